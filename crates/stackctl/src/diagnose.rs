//! Why something failed, what is known about it, and what to do next.

use std::collections::BTreeSet;

use stack_engine::engine::{EngineError, Evidence, Failure};
use stack_plan::plan::{Plan, Step, StepId};

use crate::render::words;
use crate::settings::Project;

/// How many lines of output and log are shown.
const SHOWN_LINES: usize = 8;

/// A failed step in words: the first line says what, the indented ones say more.
pub(crate) fn explain(plan: &Plan, step: &Step, failure: &Failure, project: Option<&Project>) -> String {
    let mut text = format!("{} {}: {}", step.address, words::failed(step), failure.error);
    let waiting = waiting_for(plan, step.id);
    if !waiting.is_empty() {
        let verb = if waiting.len() == 1 { "waits" } else { "wait" };
        text.push_str(&format!("; {} {verb} for it", waiting.into_iter().collect::<Vec<_>>().join(", ")));
    }
    let mut row = |name: &str, value: &str| {
        for (index, line) in value.lines().enumerate() {
            let name = if index == 0 { name } else { "" };
            text.push_str(&format!("\n    {name:<9} {line}"));
        }
    };
    if let Some(evidence) = &failure.evidence {
        describe(evidence, &mut row);
    }
    if let EngineError::Build(error) = &failure.error {
        if let Some(step) = error.step() {
            row("step", &words::build_step(step));
        }
        let log = error.log();
        let lines: Vec<_> =
            log.iter().skip(log.len().saturating_sub(3 * SHOWN_LINES)).map(String::as_str).collect();
        row("log", &lines.join("\n"));
    }
    let output = match &failure.error {
        EngineError::Hook { output, .. } => output,
        EngineError::Provider(error) => error.output(),
        _ => &[][..],
    };
    if !output.is_empty() {
        row("output", &output[output.len().saturating_sub(SHOWN_LINES)..].join("\n"));
    }
    let mut next = failure.error.hint().unwrap_or_default();
    if let (Some(_), Some(service)) = (&failure.evidence, step.address.service()) {
        next = format!("stackctl logs {service} · docker inspect {}", container(failure));
    }
    if !next.is_empty() {
        row("next", &next);
    }
    if let (Some(project), Some(service)) = (project, step.address.service())
        && let Some(spec) = project.desired.service(service)
    {
        row("declared", &format!("at {}", project.place(&place(spec, &failure.error))));
    }
    text
}

fn container(failure: &Failure) -> &str {
    failure.evidence.as_ref().map_or("", |evidence| &evidence.container)
}

/// The line of the file that has to do with it: the port for a port, else the service.
fn place(spec: &stack_plan::desired::ServiceSpec, error: &EngineError) -> stack_file::source::Origin {
    match error {
        EngineError::PortInUse { port, .. } => spec
            .service
            .ports
            .iter()
            .find(|published| published.published.as_deref() == Some(port))
            .map(|published| published.origin.clone()),
        EngineError::NoImage { .. } => spec.service.image.as_ref().map(|image| image.origin.clone()),
        _ => None,
    }
    .unwrap_or_else(|| spec.service.name.origin.clone())
}

fn describe(evidence: &Evidence, row: &mut dyn FnMut(&str, &str)) {
    if !evidence.probe.is_empty() {
        let command = format!("{:?}", evidence.probe);
        match evidence.probes.last() {
            Some(last) if last.output.is_empty() => {
                row("probe", &format!("{command} → exit {}", last.exit_code))
            }
            Some(last) => {
                let output: Vec<_> = last.output.lines().take(SHOWN_LINES).collect();
                row("probe", &format!("{command} → exit {}: {}", last.exit_code, output.join("\n")));
            }
            None => row("probe", &format!("{command} has not run yet")),
        }
    }
    if !evidence.log.is_empty() {
        let skip = evidence.log.len().saturating_sub(SHOWN_LINES);
        row("log", &evidence.log[skip..].join("\n"));
    }
    let mut state = evidence.state.clone();
    if let Some(code) = evidence.exit_code {
        state.push_str(&format!(", exit code {code}"));
    }
    if evidence.out_of_memory {
        state.push_str(", killed for want of memory");
    }
    if let Some(limit) = evidence.memory_limit {
        state.push_str(&format!(", memory limit {}", words::size(limit)));
    }
    if evidence.restarts > 0 {
        state.push_str(&format!(", restarted {} times", evidence.restarts));
    }
    if let Some(started) = evidence.started {
        state.push_str(&format!(", started {} ago", words::took(started)));
    }
    row("state", &state);
}

/// The services of the steps that wait for this one, directly or not.
fn waiting_for(plan: &Plan, failed: StepId) -> BTreeSet<String> {
    let own = plan.step(failed).and_then(|step| step.address.service()).unwrap_or_default();
    let mut reached = BTreeSet::from([failed]);
    let mut services = BTreeSet::new();
    for step in &plan.steps {
        if step.after.iter().any(|earlier| reached.contains(earlier)) {
            reached.insert(step.id);
            services.extend(step.address.service().filter(|service| *service != own).map(str::to_owned));
        }
    }
    services
}
