//! What is known of a container, row by row.

use std::time::Duration;

use serde_json::{Value, json};
use stack_engine::evidence::{Evidence, Said};
use stack_engine::exit;
use time::macros::format_description;

use super::SHOWN_LINES;
use crate::render::words;

/// How many probes are shown with their times.
const SHOWN_PROBES: usize = 4;
/// How many lines of standard output stand below those of standard error.
const LINES_BESIDE: usize = 4;

/// Tells `row` what is known: its name, its lines, and how many of the last are enough.
pub(super) fn describe(evidence: &Evidence, row: &mut dyn FnMut(&str, String, Option<usize>)) {
    if !evidence.probe.is_empty() && evidence.probe.first().is_none_or(|kind| kind != "NONE") {
        row("probe", probe(evidence), None);
        if evidence.probes.len() > 1 {
            row("probes", probes(evidence), None);
        }
    }
    let (stderr, stdout): (Vec<_>, Vec<_>) = evidence.log.iter().partition(|said| said.stderr);
    let beside = if stderr.is_empty() { SHOWN_LINES } else { LINES_BESIDE };
    for (name, said, most) in [("stderr", stderr, SHOWN_LINES), ("stdout", stdout, beside)] {
        let lines: Vec<&str> = said.into_iter().map(|Said { text, .. }| text.as_str()).collect();
        row(name, lines.join("\n"), Some(most));
    }
    if evidence.log.is_empty() && evidence.state != "created" {
        row("log", "it has written nothing".to_owned(), None);
    }
    if !evidence.state.is_empty() {
        row("state", state(evidence), None);
    }
}

/// What is known, for programs.
pub(super) fn value(evidence: &Evidence) -> Value {
    let seconds = |time: Option<Duration>| time.map(|time| time.as_secs_f64());
    json!({
        "container": evidence.container,
        "state": evidence.state,
        "exit_code": evidence.exit_code,
        "out_of_memory": evidence.out_of_memory,
        "memory_limit": evidence.memory_limit,
        "restarts": evidence.restarts,
        "loops": evidence.loops(),
        "ran_seconds": seconds(evidence.ran),
        "waited_seconds": seconds(evidence.waited),
        "probe": evidence.probe,
        "probes": evidence.probes.iter().map(|probe| json!({
            "exit_code": probe.exit_code,
            "output": probe.output,
            "at": probe.at.map(crate::render::moment),
        })).collect::<Vec<_>>(),
        "log": evidence.log.iter().map(|said| json!({
            "channel": if said.stderr { "stderr" } else { "stdout" },
            "text": said.text,
        })).collect::<Vec<_>>(),
    })
}

/// The command, and how its last run ended.
fn probe(evidence: &Evidence) -> String {
    let command = format!("{:?}", evidence.probe);
    let Some(last) = evidence.probes.last() else { return format!("{command} has not run yet") };
    let meaning = exit::meaning(last.exit_code).map(|meaning| format!(" ({meaning})")).unwrap_or_default();
    let output: Vec<_> = last.output.lines().take(SHOWN_LINES).collect();
    let output = if output.is_empty() { String::new() } else { format!(": {}", output.join("\n")) };
    format!("{command} → exit {}{meaning}{output}", last.exit_code)
}

/// The times and exit codes of the last probes.
fn probes(evidence: &Evidence) -> String {
    let skipped = evidence.probes.len().saturating_sub(SHOWN_PROBES);
    let told: Vec<String> = (evidence.probes[skipped..].iter())
        .map(|probe| {
            let format = format_description!("[hour]:[minute]:[second].[subsecond digits:1]");
            match probe.at.and_then(|at| at.format(format).ok()) {
                Some(at) => format!("{at} exit {}", probe.exit_code),
                None => format!("exit {}", probe.exit_code),
            }
        })
        .collect();
    format!("{} (UTC)", told.join(" · "))
}

fn state(evidence: &Evidence) -> String {
    let mut parts = vec![evidence.state.clone()];
    if let Some(code) = evidence.exit_code {
        let meaning = exit::meaning(code).map(|meaning| format!(": {meaning}")).unwrap_or_default();
        parts.push(format!("exit code {code}{meaning}"));
    }
    if evidence.out_of_memory {
        parts.push("out of memory".to_owned());
    }
    if let Some(limit) = evidence.memory_limit {
        parts.push(format!("memory limit {} MiB", limit >> 20));
    }
    match evidence.restarts {
        0 => {}
        1 => parts.push("restarted once".to_owned()),
        restarts => parts.push(format!("restarted {restarts} times: it loops")),
    }
    if let Some(ran) = evidence.ran {
        parts.push(format!("ran for {}", words::took(ran)));
    } else if let Some(started) = evidence.started {
        parts.push(format!("started {} ago", words::took(started)));
    }
    if let Some(waited) = evidence.waited {
        parts.push(format!("waited for {}", words::took(waited)));
    }
    parts.join(", ")
}
