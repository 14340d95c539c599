//! Why something failed, what is known about it, and what to do next.

mod container;
mod harmless;
mod wrap;

use std::collections::BTreeSet;

use serde_json::{Value, json};
use stack_engine::engine::{EngineError, Failure, NotReady, Taken};
use stack_engine::evidence::Evidence;
use stack_engine::{exit, refusal};
use stack_file::source::Origin;
use stack_file::tree::Node;
use stack_plan::address::Address;
use stack_plan::plan::{Action, HookEvent, Plan, Step, StepId};

use crate::render::words;
use crate::settings::Project;

pub(crate) use self::harmless::harmless;

/// How many lines of output and log are shown.
const SHOWN_LINES: usize = 8;

/// A failure, ready to be told in any form.
pub(crate) struct Diagnosis {
    /// What it is about.
    pub(crate) address: Address,
    /// What it could not do or become, as `is not ready`.
    pub(crate) what: String,
    /// Why.
    pub(crate) cause: String,
    /// The services that wait for it.
    pub(crate) waiting: Vec<String>,
    /// What is known, each under its name.
    rows: Vec<(String, String)>,
    /// The next steps, the most useful first.
    pub(crate) next: Vec<String>,
    /// The value of the file that has to do with it.
    pub(crate) origin: Option<Origin>,
}

impl Diagnosis {
    /// What a failed step comes to. `all` leaves nothing out for the sake of brevity.
    pub(crate) fn of(
        plan: &Plan,
        step: &Step,
        failure: &Failure,
        project: Option<&Project>,
        all: bool,
    ) -> Self {
        // What is taken back is gone when somebody reads this: all of it is told now.
        let taken_back = plan.rollouts.iter().any(|rollout| rollout.has(step.id));
        let all = all || taken_back;
        let error = &failure.error;
        let mut cause = error.to_string();
        let evidence = failure.evidence.as_deref();
        let told = evidence.and_then(|evidence| told(error, evidence));
        if let Some(told) = &told {
            cause = format!("{cause}; {}", told.cause);
        }
        let mut diagnosis = Self {
            address: step.address.clone(),
            what: words::failed(step).to_owned(),
            cause: harmless(&cause),
            waiting: waiting_for(plan, step, project),
            rows: Vec::new(),
            next: Vec::new(),
            origin: None,
        };
        let mut row = |name: &str, value: String| {
            diagnosis.rows.push((name.to_owned(), harmless(&value)));
        };
        if let Some(said) = error.said() {
            row("engine", said.to_owned());
        }
        if let Some(evidence) = evidence {
            container::describe(evidence, all, &mut row);
        }
        if let EngineError::Build(error) = error {
            if let Some(line) = error.line() {
                row("at", format!("{}:{}  {}", line.file, line.number, line.text));
            }
            if let Some(step) = error.step() {
                row("step", words::build_step(step));
            }
            row("log", last(error.log(), if all { usize::MAX } else { 3 * SHOWN_LINES }));
        }
        let output = match error {
            EngineError::Hook { output, .. } => output,
            EngineError::Provider(error) => error.output(),
            _ => &[][..],
        };
        if let (EngineError::Hook { .. }, Action::Run { hook, .. }) = (error, &step.action) {
            row("command", words::command_line(&hook.command));
        }
        row("output", last(output, if all { usize::MAX } else { SHOWN_LINES }));
        diagnosis.rows.retain(|(_, value)| !value.is_empty());

        let hint = told.as_ref().map(|told| told.next.to_owned()).or_else(|| error.hint());
        diagnosis.next.extend(hint);
        if let (Some(evidence), Some(service), false) = (evidence, step.address.service(), taken_back) {
            diagnosis.next.extend(commands(evidence, service));
        }
        let known = told.or_else(|| error.refusal());
        let attributes = known.map_or_else(|| attributes(step, error), |known| known.attributes);
        diagnosis.origin = project.and_then(|project| place(project, step, error, attributes));
        diagnosis
    }

    /// What it is, in one line: `db/1 is not ready: unhealthy after …; app waits for it`.
    pub(crate) fn headline(&self) -> String {
        let mut text = format!("{} {}: {}", self.address, self.what, self.cause);
        if !self.waiting.is_empty() {
            let verb = if self.waiting.len() == 1 { "waits" } else { "wait" };
            text.push_str(&format!("; {} {verb} for it", self.waiting.join(", ")));
        }
        text
    }

    /// All of it, a row per line; broken to `width` columns where there is one. The first two
    /// columns are left to a mark.
    pub(crate) fn text(&self, project: Option<&Project>, width: Option<usize>) -> String {
        const HEAD: usize = 14;
        let broken = |line: &str, indent: usize| match width {
            Some(width) => wrap::wrap(line, width.saturating_sub(indent).max(20)),
            None => vec![line.to_owned()],
        };
        let mut text = broken(&self.headline(), 4).join("\n    ");
        let mut rows = self.rows.clone();
        if !self.next.is_empty() {
            rows.push(("next".to_owned(), self.next.join("\n")));
        }
        if let (Some(project), Some(origin)) = (project, &self.origin) {
            rows.push(("declared".to_owned(), format!("at {}", project.place(origin))));
        }
        for (name, value) in rows {
            let lines = value.lines().flat_map(|line| broken(line, HEAD));
            for (index, line) in lines.enumerate() {
                let name = if index == 0 { name.as_str() } else { "" };
                text.push_str(&format!("\n    {name:<9} {line}"));
            }
        }
        text
    }

    /// All of it as data.
    pub(crate) fn value(&self, project: Option<&Project>, failure: &Failure) -> Value {
        let place = match (project, &self.origin) {
            (Some(project), Some(origin)) => {
                let place = project.loaded.sources.place(origin);
                json!({ "file": place.file, "line": place.line, "column": place.column })
            }
            _ => Value::Null,
        };
        let evidence = failure.evidence.as_deref().map(|evidence| {
            let seconds = |time: Option<std::time::Duration>| time.map(|time| time.as_secs_f64());
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
        });
        json!({
            "error": self.cause,
            "engine": failure.error.said(),
            "waiting": self.waiting,
            "next": self.next,
            "declared": place,
            "evidence": evidence,
            "text": self.text(project, None),
        })
    }
}

fn last(lines: &[String], most: usize) -> String {
    lines[lines.len().saturating_sub(most)..].join("\n")
}

/// What the last words of a container that has ended mean, where they are the system's and
/// not the program's own.
fn told(error: &EngineError, evidence: &Evidence) -> Option<refusal::Refusal> {
    let EngineError::NotReady(NotReady::Exited { code: 1 | 126 | 127 | 255 } | NotReady::Loops { .. }) =
        error
    else {
        return None;
    };
    let exec = evidence.log.iter().rev().find(|said| said.stderr && said.text.starts_with("exec "))?;
    refusal::known(&exec.text)
}

/// The commands that show more of a container.
fn commands(evidence: &Evidence, service: &str) -> Vec<String> {
    let logs = format!("stackctl logs {service}");
    match evidence.state.as_str() {
        "running" => vec![format!("{logs} · stackctl exec {service} sh")],
        "created" => vec![format!("docker inspect {}", evidence.container)],
        _ => vec![format!("{logs} · docker inspect {}", evidence.container)],
    }
}

/// The attributes that a failure has to do with, the likeliest first.
fn attributes(step: &Step, error: &EngineError) -> &'static [&'static str] {
    const HEALTH: &[&str] = &["healthcheck.test", "healthcheck"];
    match (error, &step.action) {
        (EngineError::NotReady(NotReady::OutOfMemory { .. }), _) => {
            &["mem_limit", "deploy.resources.limits.memory"]
        }
        (EngineError::NotReady(NotReady::Unhealthy { .. } | NotReady::TimedOut { .. }), _) => HEALTH,
        (EngineError::NotReady(NotReady::Exited { code } | NotReady::Loops { code, .. }), _)
            if exit::meaning(*code).is_some_and(|_| matches!(code, 126 | 127)) =>
        {
            &["command", "entrypoint"]
        }
        (EngineError::NoImage { .. }, _) => &["image"],
        (EngineError::Taken { what: Taken::Name(_), .. }, _) => &["container_name"],
        (EngineError::Taken { what: Taken::Subnet { .. }, .. }, _) => &["ipam.config", "ipam"],
        (EngineError::Taken { what: Taken::Address(_), .. }, _) => &["networks"],
        (_, Action::Run { event: HookEvent::PostStart, .. }) => &["post_start"],
        (_, Action::Run { event: HookEvent::PreStop, .. }) => &["pre_stop"],
        _ => &[],
    }
}

/// The value of the file that has to do with a failure: that of the attribute, else the key of
/// the resource.
fn place(project: &Project, step: &Step, error: &EngineError, attributes: &[&str]) -> Option<Origin> {
    let (section, key) = match &step.address {
        Address::Container(service, _) | Address::Service(service) => ("services", service.as_str()),
        Address::Network(key) => ("networks", key.as_str()),
        Address::Volume(key) => ("volumes", key.as_str()),
        Address::Model(key) => ("models", key.as_str()),
        Address::Image(_) => {
            let mut images = project.desired.images.iter();
            let image = images.find(|image| image.address == step.address);
            return image.map(|image| match (&image.build, &step.action) {
                (Some(build), Action::Build(_)) => build.context.origin.clone(),
                _ => image.origin.clone(),
            });
        }
    };
    if let (EngineError::PortInUse { port, .. }, Some(spec)) = (error, project.desired.service(key)) {
        let mut ports = spec.service.ports.iter();
        let published = ports.find(|published| published.published.as_deref() == Some(port));
        if let Some(published) = published {
            return Some(published.origin.clone());
        }
    }
    let entry = project.loaded.stack.tree.get(section)?.as_mapping()?.get(key)?;
    let found = attributes.iter().find_map(|path| at(&entry.node, path));
    Some(found.unwrap_or_else(|| entry.key.clone()))
}

/// Where the value at a path stands, as `deploy.resources`.
fn at(node: &Node, path: &str) -> Option<Origin> {
    let node = path.split('.').try_fold(node, |node, key| node.get(key))?;
    (!node.is_null()).then(|| node.origin.clone())
}

/// The services of the steps that wait for this one, directly or not, and those that use an image.
fn waiting_for(plan: &Plan, failed: &Step, project: Option<&Project>) -> Vec<String> {
    let own = failed.address.service().unwrap_or_default();
    let mut reached: BTreeSet<StepId> = BTreeSet::from([failed.id]);
    let mut services = BTreeSet::new();
    for step in &plan.steps {
        if step.after.iter().any(|earlier| reached.contains(earlier)) {
            reached.insert(step.id);
            services.extend(step.address.service().filter(|service| *service != own).map(str::to_owned));
        }
    }
    if let Some(project) = project {
        let images = project.desired.images.iter().filter(|image| image.address == failed.address);
        services.extend(images.flat_map(|image| image.services.iter().cloned()));
    }
    services.into_iter().collect()
}
