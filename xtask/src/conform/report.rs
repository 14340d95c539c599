//! What came of all files.

use std::collections::BTreeMap;
use std::fmt::Write;

use serde_json::{Value, json};

use super::compare::kind_of;
use super::exceptions::Exceptions;
use super::{Difference, Outcome};

/// The form of the JSON report.
const SCHEMA: u32 = 1;

/// What came of one file.
#[derive(Clone, Debug)]
pub(crate) struct Told {
    /// Its name.
    pub(crate) file: String,
    /// What came of it.
    pub(crate) outcome: Outcome,
    /// Why it may differ, if it does and is on the list.
    pub(crate) accepted: Option<String>,
    /// Whether docker compose can say nothing of it, which no figure of agreement counts.
    pub(crate) beyond: bool,
}

/// What came of all of them.
pub(crate) struct Report {
    told: Vec<Told>,
    idle: Vec<String>,
}

const WORDS: [&str; 6] = ["same", "both refuse", "differs", "too lax", "too strict", "broken"];

impl Outcome {
    fn word(&self) -> &'static str {
        WORDS[match self {
            Self::Same => 0,
            Self::BothRefuse => 1,
            Self::Differs(_) => 2,
            Self::TooLax(_) => 3,
            Self::TooStrict(_) => 4,
            Self::Broken(_) => 5,
        }]
    }

    fn agrees(&self) -> bool {
        matches!(self, Self::Same | Self::BothRefuse)
    }

    /// What is wrong, without what is particular to one file.
    fn kind(&self) -> Option<String> {
        match self {
            Self::Same | Self::BothRefuse => None,
            Self::Differs(found) => Some(format!("differs: {}", kind_of(&found.path))),
            Self::TooLax(why) => Some(format!("too lax: {}", without_names(why))),
            Self::TooStrict(why) => Some(format!("too strict: {why}")),
            Self::Broken(why) => Some(format!("broken: {why}")),
        }
    }

    fn details(&self) -> String {
        match self {
            Self::Same | Self::BothRefuse => String::new(),
            Self::Differs(Difference { path, ours, theirs }) => {
                format!("{path}: {} and not {}", shown(ours.as_ref()), shown(theirs.as_ref()))
            }
            Self::TooLax(why) | Self::TooStrict(why) | Self::Broken(why) => why.clone(),
        }
    }
}

/// A value on one line, cut if it is long.
fn shown(value: Option<&Value>) -> String {
    const LONGEST: usize = 120;
    let text = value.map_or_else(|| "nothing".to_owned(), Value::to_string);
    match text.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}

/// A message without paths and quoted names, so that equal faults are counted together.
fn without_names(message: &str) -> String {
    let mut text = String::new();
    for word in message.split_whitespace() {
        let named = word.starts_with('/') || word.contains(".y") || (word.starts_with('"') && word.len() > 2);
        let _ = write!(text, "{}{}", if text.is_empty() { "" } else { " " }, if named { "…" } else { word });
    }
    text
}

impl Report {
    pub(crate) fn of(told: Vec<Told>, exceptions: &Exceptions) -> Self {
        let differing: Vec<&str> =
            told.iter().filter(|told| !told.outcome.agrees()).map(|told| told.file.as_str()).collect();
        let idle = exceptions.idle(&differing).into_iter().map(str::to_owned).collect();
        Self { told, idle }
    }

    /// How many of a hundred files of which docker compose can say something are the same
    /// for both, or refused by both.
    pub(crate) fn agreement(&self) -> f64 {
        let counted = self.told.iter().filter(|told| !told.beyond);
        let agreeing = counted.clone().filter(|told| told.outcome.agrees()).count();
        percent(agreeing, counted.count())
    }

    fn counts(&self) -> BTreeMap<&'static str, usize> {
        let mut counts = BTreeMap::new();
        for told in &self.told {
            *counts.entry(told.outcome.word()).or_insert(0) += 1;
        }
        counts
    }

    /// Kinds of differences that are not accepted, the most frequent first.
    fn kinds(&self) -> Vec<(String, usize)> {
        let mut kinds = BTreeMap::new();
        for told in self.told.iter().filter(|told| told.accepted.is_none()) {
            if let Some(kind) = told.outcome.kind() {
                *kinds.entry(kind).or_insert(0) += 1;
            }
        }
        let mut kinds: Vec<_> = kinds.into_iter().collect();
        kinds.sort_by(|(one, many), (other, more)| more.cmp(many).then_with(|| one.cmp(other)));
        kinds
    }

    /// For people: every file that differs, the kinds of differences, and figures.
    pub(crate) fn text(&self) -> String {
        let mut text = String::new();
        for told in self.told.iter().filter(|told| !told.outcome.agrees()) {
            let _ = writeln!(
                text,
                "{:10}  {}\n            {}",
                told.outcome.word(),
                told.file,
                told.outcome.details()
            );
            if let Some(reason) = &told.accepted {
                let _ = writeln!(text, "            accepted: {reason}");
            }
        }
        let kinds = self.kinds();
        if !kinds.is_empty() {
            let _ = writeln!(text, "\nby kind, what is accepted left out:");
            for (kind, count) in kinds {
                let _ = writeln!(text, "{count:5}  {kind}");
            }
        }
        for entry in &self.idle {
            let _ = writeln!(text, "\nnothing needs the exception {entry} any more: remove it");
        }
        let _ = writeln!(text, "\n{} files", self.told.len());
        let counts = self.counts();
        for word in WORDS {
            let count = counts.get(word).copied().unwrap_or_default();
            let _ = writeln!(text, "{word:12}{count:5}  {:5.1} %", percent(count, self.told.len()));
        }
        let accepted = self.told.iter().filter(|told| told.accepted.is_some()).count();
        let _ = writeln!(text, "{:.1} % agree; {accepted} of the others are accepted", self.agreement());
        let beyond = self.told.iter().filter(|told| told.beyond).count();
        if beyond > 0 {
            let _ = writeln!(text, "{beyond} of which docker compose can say nothing are not counted");
        }
        text
    }

    /// For programs.
    pub(crate) fn value(&self) -> Value {
        let files = self.told.iter().map(|told| {
            let mut file = json!({ "file": told.file, "outcome": told.outcome.word() });
            match &told.outcome {
                Outcome::Same | Outcome::BothRefuse => {}
                Outcome::Differs(found) => {
                    file["path"] = found.path.clone().into();
                    file["ours"] = found.ours.clone().unwrap_or_default();
                    file["theirs"] = found.theirs.clone().unwrap_or_default();
                }
                Outcome::TooLax(why) | Outcome::TooStrict(why) | Outcome::Broken(why) => {
                    file["why"] = why.clone().into();
                }
            }
            if let Some(reason) = &told.accepted {
                file["accepted"] = reason.clone().into();
            }
            file
        });
        let kinds: Vec<_> =
            self.kinds().into_iter().map(|(kind, count)| json!({ "kind": kind, "count": count })).collect();
        json!({
            "schema": SCHEMA,
            "files": files.collect::<Vec<_>>(),
            "counts": self.counts(),
            "kinds": kinds,
            "idle_exceptions": self.idle,
            "agreement_percent": self.agreement(),
        })
    }
}

fn percent(part: usize, whole: usize) -> f64 {
    if whole == 0 { 100.0 } else { part as f64 * 100.0 / whole as f64 }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report() -> Report {
        let told = |file: &str, outcome, accepted: Option<&str>| Told {
            file: file.to_owned(),
            outcome,
            accepted: accepted.map(str::to_owned),
            beyond: false,
        };
        let differs = |path: &str| {
            Outcome::Differs(Difference { path: path.to_owned(), ours: None, theirs: Some(json!(1)) })
        };
        let all = vec![
            told("a", Outcome::Same, None),
            told("b", Outcome::BothRefuse, None),
            told("c", differs("services.x.cpus"), None),
            told("d", differs("services.y.cpus"), None),
            told("e", Outcome::TooStrict("error: no".to_owned()), Some("on purpose")),
        ];
        Report::of(all, &Exceptions::default())
    }

    #[test]
    fn figures_and_kinds_are_told() {
        let report = report();
        assert_eq!(report.agreement(), 40.0);
        let text = report.text();
        for line in [
            "differs     c\n            services.x.cpus: nothing and not 1\n",
            "            accepted: on purpose\n",
            "    2  differs: services.*.cpus\n",
            "same            1   20.0 %\n",
            "40.0 % agree; 1 of the others are accepted\n",
        ] {
            assert!(text.contains(line), "{line}\nis not in\n{text}");
        }
        assert!(!text.contains("1  too strict"), "what is accepted is no work:\n{text}");
    }

    #[test]
    fn what_docker_compose_cannot_judge_is_not_counted() {
        let mut report = report();
        report.told[4].beyond = true;
        assert_eq!(report.agreement(), 50.0);
        let text = report.text();
        assert!(text.ends_with("1 of which docker compose can say nothing are not counted\n"), "{text}");
    }

    #[test]
    fn programs_get_the_same() {
        let value = report().value();
        assert_eq!(value["agreement_percent"], 40.0);
        assert_eq!(value["files"][2]["theirs"], 1);
        assert_eq!(value["files"][4]["accepted"], "on purpose");
        assert_eq!(value["counts"]["differs"], 2);
    }
}
