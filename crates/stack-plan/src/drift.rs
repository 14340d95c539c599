//! What was changed by hand on what is there, since stackctl made it.

use std::collections::{BTreeMap, BTreeSet};

use stack_file::model::{Restart, Service};
use stack_file::source::{Origin, Spanned};

use crate::desired::ServiceSpec;
use crate::fields::{FieldChange, Recorded, Shown};
use crate::observed::{Actual, ObservedContainer};

/// What stands before the names of variables among recorded settings.
const ENVIRONMENT: &str = "environment.";

/// What a container of the service may use, as [`Actual::limits`] has it, and where the file says so.
pub(crate) fn limits(service: &Service) -> BTreeMap<&'static str, (String, &Origin)> {
    fn number<T: Copy + Into<i128>>(value: &Option<Spanned<T>>) -> Option<(i128, &Origin)> {
        value.as_ref().map(|spanned| (spanned.value.into(), &spanned.origin))
    }
    let cpus = service.cpus.as_ref().map(|cpus| ((cpus.value * 1e9).round() as i128, &cpus.origin));
    let weight = service.blkio.as_ref();
    let weight = weight.and_then(|blkio| Some((i128::from(blkio.value.weight?), &blkio.origin)));
    let numbers = [
        ("mem_limit", number(&service.mem_limit)),
        ("mem_reservation", number(&service.mem_reservation)),
        ("cpus", cpus),
        ("cpu_shares", number(&service.cpu_shares)),
        ("cpu_period", number(&service.cpu_period)),
        ("cpu_quota", number(&service.cpu_quota)),
        ("pids_limit", number(&service.pids_limit)),
        ("blkio_config.weight", weight),
    ];
    let mut limits = BTreeMap::new();
    for (name, limit) in numbers {
        // Nothing, 0 and less all mean that there is no limit.
        if let Some((value, origin)) = limit.filter(|(value, _)| *value > 0) {
            limits.insert(name, (value.to_string(), origin));
        }
    }
    if let Some(cpuset) = service.cpuset.as_ref().filter(|cpuset| !cpuset.value.is_empty()) {
        limits.insert("cpuset", (cpuset.value.clone(), &cpuset.origin));
    }
    if let Some(restart) = &service.restart
        && let Some(word) = restart_word(restart.value)
    {
        limits.insert("restart", (word, &restart.origin));
    }
    limits
}

/// The words of a restart policy; `None` when it is not to be restarted.
fn restart_word(restart: Restart) -> Option<String> {
    match restart {
        Restart::No => None,
        Restart::Always => Some("always".to_owned()),
        Restart::UnlessStopped => Some("unless-stopped".to_owned()),
        Restart::OnFailure(0) => Some("on-failure".to_owned()),
        Restart::OnFailure(count) => Some(format!("on-failure:{count}")),
    }
}

/// What was changed by hand on a container that was made as the file says.
pub(crate) fn altered(spec: &ServiceSpec, container: &ObservedContainer) -> Vec<FieldChange> {
    let Some(actual) = &container.actual else { return Vec::new() };
    let whole = &spec.service.name.origin;
    let mut changes: Vec<FieldChange> = Vec::new();
    for (field, variable) in container.recorded.iter().flat_map(|recorded| variables(recorded, actual)) {
        let place = spec.fields.iter().find(|(path, ..)| *path == field);
        let (was, now) = match variable {
            Variable::Changed => (Shown::Hidden, Shown::Hidden),
            Variable::Gone => (Shown::Nothing, Shown::Hidden),
            Variable::Added => (Shown::Hidden, Shown::Nothing),
        };
        let origin = place.map_or(whole, |(_, _, origin)| origin).clone();
        changes.push(FieldChange { was, now, origin, field });
    }
    let wanted = limits(&spec.service);
    let names = wanted.keys().chain(actual.limits.keys().filter(|name| !wanted.contains_key(*name)));
    for name in names {
        let (now, was) = (wanted.get(name), actual.limits.get(name));
        if now.map(|(value, _)| value) != was {
            let shown =
                |value: Option<&String>| value.map_or(Shown::Nothing, |value| Shown::Text(value.clone()));
            changes.push(FieldChange {
                field: (*name).to_owned(),
                was: shown(was),
                now: shown(now.map(|(value, _)| value)),
                origin: now.map_or(whole, |(_, origin)| origin).clone(),
            });
        }
    }
    changes.sort_by(|one, other| one.field.cmp(&other.field));
    changes
}

/// What was done by hand to a variable of a container.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Variable {
    /// It has another value.
    Changed,
    /// The container does not have it any more.
    Gone,
    /// Neither the record nor the image has it so.
    Added,
}

/// The variables that a container does not have as its record and its image say.
pub(crate) fn variables(recorded: &Recorded, actual: &Actual) -> Vec<(String, Variable)> {
    let mut changed = Vec::new();
    let mut known = BTreeSet::new();
    for (path, digest) in recorded.iter() {
        let Some(name) = path.strip_prefix(ENVIRONMENT) else { continue };
        known.insert(name);
        // A variable that nobody has set is not passed on.
        if !digest.starts_with(crate::fields::DIGEST) {
            continue;
        }
        match actual.environment.get(name) {
            None => changed.push((path.to_owned(), Variable::Gone)),
            Some(now) if now != digest => changed.push((path.to_owned(), Variable::Changed)),
            Some(_) => {}
        }
    }
    if let Some(of_image) = &actual.of_image {
        let others = actual.environment.iter().filter(|(name, _)| !known.contains(name.as_str()));
        let added = others.filter(|(name, digest)| of_image.get(*name) != Some(digest));
        changed.extend(added.map(|(name, _)| (format!("{ENVIRONMENT}{name}"), Variable::Added)));
    }
    changed
}

#[cfg(test)]
mod tests {
    use super::*;

    fn digests(variables: &[(&str, &str)]) -> BTreeMap<String, String> {
        variables.iter().map(|(name, value)| ((*name).to_owned(), crate::fields::digest(value))).collect()
    }

    #[test]
    fn variables_are_those_of_the_record_and_of_the_image() {
        let digest = crate::fields::digest("v");
        let names = ["KEPT", "CHANGED", "GONE", "PATH"];
        let mut fields: Vec<String> =
            names.iter().map(|name| format!(r#""environment.{name}":"{digest}""#)).collect();
        fields.push(r#""environment.UNSET":"(null)""#.to_owned());
        let label = format!(r#"{{"form":1,"fields":{{{}}}}}"#, fields.join(","));
        let recorded = Recorded::read(&label).expect("a record");
        let of_image = digests(&[("PATH", "/bin"), ("LANG", "C"), ("HOME", "/")]);
        let mut actual = Actual {
            environment: digests(&[
                ("KEPT", "v"),
                ("CHANGED", "w"),
                ("PATH", "v"),
                ("LANG", "C"),
                ("HOME", "/root"),
                ("NEW", "v"),
            ]),
            of_image: Some(of_image),
            limits: BTreeMap::new(),
        };
        let told = |actual: &Actual| {
            let told = variables(&recorded, actual).into_iter();
            told.map(|(field, what)| format!("{field} {what:?}")).collect::<Vec<_>>()
        };
        assert_eq!(
            told(&actual),
            [
                "environment.CHANGED Changed",
                "environment.GONE Gone",
                "environment.HOME Added",
                "environment.NEW Added"
            ]
        );
        // What comes from an image that nobody knows any more cannot be told apart from it.
        actual.of_image = None;
        assert_eq!(told(&actual), ["environment.CHANGED Changed", "environment.GONE Gone"]);
    }
}
