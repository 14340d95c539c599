//! A run as a JUnit report, which CI systems read: a test case per resource.

use indexmap::IndexMap;
use time::OffsetDateTime;

use crate::diagnose::Diagnosis;
use crate::render::moment;
use crate::render::stream::{Line, What, steps};

/// What became of one resource.
#[derive(Default)]
struct Case {
    milliseconds: u64,
    done: bool,
    open: usize,
    skipped: bool,
    failure: Option<Diagnosis>,
}

/// The report of a run of `project`.
pub(crate) fn report(project: &str, lines: &[Line]) -> String {
    let mut cases: IndexMap<String, Case> = IndexMap::new();
    for line in lines {
        if let What::Plan { plan } = &line.what {
            for step in steps(plan) {
                cases.entry(step.address).or_default().open += 1;
            }
        }
        let Some(of) = &line.of else { continue };
        let case = cases.entry(of.address.clone()).or_default();
        match &line.what {
            What::Done { milliseconds, .. } => {
                case.milliseconds += milliseconds;
                case.done = true;
                case.open = case.open.saturating_sub(1);
            }
            What::Failed { tolerated, diagnosis, .. } => {
                case.open = case.open.saturating_sub(1);
                if !tolerated {
                    case.failure.get_or_insert_with(|| (**diagnosis).clone());
                }
            }
            What::Skipped { .. } => {
                case.skipped = true;
                case.open = case.open.saturating_sub(1);
            }
            _ => {}
        }
    }
    let count = |what: fn(&Case) -> bool| cases.values().filter(|case| what(case)).count();
    let failures = count(|case| case.failure.is_some());
    let errors = count(|case| case.failure.is_none() && case.open > 0);
    let skipped = count(|case| case.failure.is_none() && case.open == 0 && case.skipped);
    let begun = lines.first().map_or(OffsetDateTime::UNIX_EPOCH, |line| line.at);
    let took = lines.last().map_or(0.0, |line| (line.at - begun).as_seconds_f64());
    let head = format!(
        "tests=\"{}\" failures=\"{failures}\" errors=\"{errors}\" skipped=\"{skipped}\" time=\"{took:.3}\"",
        cases.len()
    );
    let mut text =
        format!("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites name=\"stackctl\" {head}>\n");
    let project = escaped(project);
    let at = escaped(&moment(begun));
    text.push_str(&format!("  <testsuite name=\"{project}\" {head} timestamp=\"{at}\">\n"));
    for (address, case) in &cases {
        let seconds = std::time::Duration::from_millis(case.milliseconds).as_secs_f64();
        let place = case.failure.as_ref().and_then(|failure| failure.declared.as_ref());
        let place = place.map(|place| format!(" file=\"{}\" line=\"{}\"", escaped(&place.file), place.line));
        let name = escaped(address);
        let place = place.unwrap_or_default();
        text.push_str(&format!(
            "    <testcase classname=\"{project}\" name=\"{name}\" time=\"{seconds:.3}\"{place}"
        ));
        let inner = match &case.failure {
            Some(failure) => format!(
                "      <failure type=\"{}\" message=\"{}\">{}</failure>\n",
                escaped(&failure.what),
                escaped(&failure.headline()),
                escaped(&failure.text(None, true)),
            ),
            None if case.open > 0 => {
                "      <error type=\"interrupted\" message=\"the run was broken off before its end\"/>\n"
                    .to_owned()
            }
            None if case.skipped => {
                "      <skipped message=\"not begun because of what failed before it\"/>\n".to_owned()
            }
            None => {
                text.push_str("/>\n");
                continue;
            }
        };
        text.push_str(&format!(">\n{inner}    </testcase>\n"));
    }
    text.push_str("  </testsuite>\n</testsuites>\n");
    text
}

/// A text within XML. Characters that XML cannot have become `�`.
pub(crate) fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\n' | '\t' => out.push(character),
            '\u{fffe}' | '\u{ffff}' => out.push('\u{fffd}'),
            other if other.is_control() => out.push('\u{fffd}'),
            other => out.push(other),
        }
    }
    out
}
