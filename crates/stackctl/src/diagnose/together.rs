//! Several failures, told together: causes first, what failed only because of another in a line.

use std::collections::BTreeMap;

use super::Diagnosis;

/// A failure as it is told among others.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Told<'a> {
    /// With all that is known.
    Whole(&'a Diagnosis),
    /// In one line, because another says the rest.
    Brief(&'a Diagnosis, String),
}

/// The failures of a run, in the order in which they are told.
pub(crate) fn together(failures: &[Diagnosis]) -> Vec<Told<'_>> {
    let causes: Vec<usize> = (0..failures.len()).map(|index| cause_of(failures, index)).collect();
    let mut told = Vec::new();
    // The first of those that failed alike, by what they have in common.
    let mut first: BTreeMap<(Option<&str>, &str, String), usize> = BTreeMap::new();
    let mut groups: Vec<Vec<Told<'_>>> = vec![Vec::new(); failures.len()];
    for (index, failure) in failures.iter().enumerate().filter(|(index, _)| causes[*index] == *index) {
        // Without evidence of its own there is nothing more to say than the cause.
        let service = if failure.evidence.is_null() { None } else { failure.service.as_deref() };
        let cause = match service {
            Some(_) => without_numbers(&failure.cause),
            None => failure.cause.clone(),
        };
        let alike = (service, failure.what.as_str(), cause);
        match first.get(&alike) {
            Some(same) => {
                let mut line = format!("{} {}, too: {}", failure.address, failure.what, failure.cause);
                if service.is_none()
                    && let Some(place) = &failure.declared
                {
                    line.push_str(&format!(" ({place})"));
                }
                groups[*same].push(Told::Brief(failure, line));
            }
            None => {
                first.insert(alike, index);
                groups[index].insert(0, Told::Whole(failure));
            }
        }
    }
    for (index, failure) in failures.iter().enumerate().filter(|(index, _)| causes[*index] != *index) {
        let cause = causes[index];
        let mut line = format!("{} {}: {}", failure.address, failure.what, failure.cause);
        line.push_str(&format!("; it needs {}, which failed", failures[cause].address));
        if let Some(service) = &failure.service {
            line.push_str(&format!("; more with: stackctl why {service}"));
        }
        // A cause that is told in a line itself stands in the group of another.
        let group = (0..groups.len())
            .find(|group| groups[*group].iter().any(|told| std::ptr::eq(told.diagnosis(), &failures[cause])))
            .unwrap_or(cause);
        groups[group].push(Told::Brief(failure, line));
    }
    told.extend(groups.into_iter().flatten());
    told
}

impl Told<'_> {
    /// The failure itself.
    pub(crate) fn diagnosis(&self) -> &Diagnosis {
        match self {
            Self::Whole(diagnosis) | Self::Brief(diagnosis, _) => diagnosis,
        }
    }
}

/// The failure that another one comes from: itself, unless a service that it needs failed, too.
fn cause_of(failures: &[Diagnosis], index: usize) -> usize {
    let mut cause = index;
    // Services that need each other in a circle cannot be; the bound is for a stream from elsewhere.
    for _ in 0..failures.len() {
        let needs = &failures[cause].needs;
        let deeper = failures.iter().position(|other| {
            let service = other.service.as_ref();
            service.is_some_and(|service| needs.contains(service)) && other.service != failures[cause].service
        });
        match deeper {
            Some(deeper) => cause = deeper,
            None => return cause,
        }
    }
    index
}

/// The text with every run of digits as one sign: replicas differ in times.
fn without_numbers(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '0'..='9' if out.ends_with('#') => {}
            '0'..='9' => out.push('#'),
            other => out.push(other),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn failure(address: &str, cause: &str, needs: &[&str]) -> Diagnosis {
        Diagnosis {
            address: address.to_owned(),
            what: "is not ready".to_owned(),
            cause: cause.to_owned(),
            service: address.split_once('/').map(|(service, _)| service.to_owned()),
            needs: needs.iter().map(|name| (*name).to_owned()).collect(),
            evidence: json!({ "state": "exited" }),
            ..Diagnosis::default()
        }
    }

    fn order(failures: &[Diagnosis]) -> Vec<String> {
        together(failures)
            .iter()
            .map(|told| match told {
                Told::Whole(diagnosis) => format!("WHOLE {}", diagnosis.address),
                Told::Brief(_, line) => line.clone(),
            })
            .collect()
    }

    #[test]
    fn a_cause_comes_first_though_it_failed_last() {
        let failures = [
            failure("web/1", "ended with exit code 1", &["app", "db"]),
            failure("app/1", "ended with exit code 1", &["db"]),
            failure("db/1", "ended with exit code 3", &[]),
        ];
        assert_eq!(
            order(&failures),
            [
                "WHOLE db/1",
                "web/1 is not ready: ended with exit code 1; it needs db/1, which failed; more with: stackctl why web",
                "app/1 is not ready: ended with exit code 1; it needs db/1, which failed; more with: stackctl why app",
            ]
        );
    }

    #[test]
    fn replicas_that_failed_alike_are_told_once() {
        let failures = [
            failure("web/1", "unhealthy after 3 failed probes in 2.1 s", &[]),
            failure("web/2", "unhealthy after 3 failed probes in 12.0 s", &[]),
            failure("web/3", "ended with exit code 3", &[]),
            failure("other/1", "unhealthy after 3 failed probes in 2.1 s", &[]),
        ];
        assert_eq!(
            order(&failures),
            [
                "WHOLE web/1",
                "web/2 is not ready, too: unhealthy after 3 failed probes in 12.0 s",
                "WHOLE web/3",
                "WHOLE other/1",
            ]
        );
    }

    #[test]
    fn what_the_engine_says_to_many_is_told_once() {
        let lost = |address: &str| Diagnosis {
            evidence: serde_json::Value::Null,
            ..failure(address, "the engine does not answer: gone", &[])
        };
        assert_eq!(
            order(&[lost("a/1"), lost("b/1")]),
            ["WHOLE a/1", "b/1 is not ready, too: the engine does not answer: gone"]
        );
    }

    #[test]
    fn none_is_lost_even_in_a_circle() {
        let failures = [failure("a/1", "x", &["b"]), failure("b/1", "y", &["a"]), failure("c/1", "z", &[])];
        assert_eq!(together(&failures).len(), 3);
    }
}
