//! Why something failed, what is known about it, and what to do next.

mod container;
mod harmless;
mod place;
pub(crate) mod present;
pub(crate) mod tasks;
mod together;
mod wrap;

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use stack_engine::engine::{EngineError, Failure, NotReady};
use stack_engine::evidence::Evidence;
use stack_engine::refusal;
use stack_file::source::Origin;
use stack_plan::plan::{Action, Plan, Step, StepId};

use crate::render::words;
use crate::settings::Project;

pub(crate) use self::harmless::harmless;
pub(crate) use self::together::{Told, together};

/// How many lines of output and log are shown.
const SHOWN_LINES: usize = 8;

/// A failure, ready to be told in any form.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Diagnosis {
    /// What it is about, as `db/1`.
    #[serde(skip)]
    pub(crate) address: String,
    /// What it could not do or become, as `is not ready`.
    pub(crate) what: String,
    /// Of which kind it is, in one word for programs, as `timed_out`.
    pub(crate) kind: String,
    /// Why.
    #[serde(rename = "error")]
    pub(crate) cause: String,
    /// The engine's own words, where ours stand in their place.
    pub(crate) engine: Option<String>,
    /// The service, of a container or of what a provider makes.
    pub(crate) service: Option<String>,
    /// The services that wait for it.
    pub(crate) waiting: Vec<String>,
    /// The services that it needs itself, directly or not.
    pub(crate) needs: Vec<String>,
    /// The next steps, the most useful first.
    pub(crate) next: Vec<String>,
    /// The value of the file that has to do with it.
    pub(crate) declared: Option<Place>,
    /// What is known of the container, for programs.
    pub(crate) evidence: Value,
    /// What is known, each under its name.
    rows: Vec<Row>,
    /// All of it, for people.
    text: String,
}

/// Where a value stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Place {
    /// The file, as it was named.
    pub(crate) file: String,
    /// Line, from 1.
    pub(crate) line: usize,
    /// Column in characters, from 1.
    pub(crate) column: usize,
}

impl Place {
    /// Where a value of a project stands.
    pub(crate) fn of(project: &Project, origin: &Origin) -> Self {
        let place = project.loaded.sources.place(origin);
        Self { file: place.file, line: place.line, column: place.column }
    }
}

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}:{}", self.file, self.line, self.column)
    }
}

/// Something that is known.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Row {
    /// Under which name.
    name: String,
    /// What, in one or more lines.
    text: String,
    /// How many of the last lines are shown where nothing asks for all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    most: Option<usize>,
}

impl Diagnosis {
    /// What a failed step comes to.
    pub(crate) fn of(plan: &Plan, step: &Step, failure: &Failure, project: Option<&Project>) -> Self {
        // What is taken back is gone when somebody reads this.
        let taken_back = plan.rollouts.iter().any(|rollout| rollout.has(step.id));
        let error = &failure.error;
        let mut cause = error.to_string();
        let evidence = failure.evidence.as_deref();
        let told = evidence.and_then(|evidence| told(error, evidence));
        if let Some(told) = &told {
            cause = format!("{cause}; {}", told.cause);
        }
        // A builder hands on what the engine says below it.
        let below = match error {
            EngineError::Build(error) => refusal::known(&error.to_string()),
            _ => None,
        };
        let said = below.as_ref().map(|_| cause.clone()).or_else(|| error.said().map(str::to_owned));
        if let Some(below) = &below {
            cause.clone_from(&below.cause);
        }
        let mut diagnosis = Self {
            address: step.address.to_string(),
            what: words::failed(step).to_owned(),
            kind: error.kind().to_owned(),
            cause: harmless(&cause),
            engine: said.as_deref().map(harmless),
            service: step.address.service().map(str::to_owned),
            waiting: waiting_for(plan, step, project),
            needs: needed_by(plan, step, project),
            ..Self::default()
        };
        if let Some(said) = &said {
            diagnosis.row("engine", said, None);
        }
        if let Some(evidence) = evidence {
            diagnosis.look(evidence);
        }
        if let EngineError::Build(error) = error {
            if let Some(line) = error.line() {
                diagnosis.row("at", &format!("{}:{}  {}", line.file, line.number, line.text), None);
            }
            if let Some(step) = error.step() {
                diagnosis.row("step", &words::build_step(step), None);
            }
            diagnosis.row("log", &error.log().join("\n"), Some(3 * SHOWN_LINES));
        }
        let output = match error {
            EngineError::Hook { output, .. } => output,
            EngineError::Provider(error) => error.output(),
            _ => &[][..],
        };
        if let (EngineError::Hook { .. }, Action::Run { hook, .. }) = (error, &step.action) {
            diagnosis.row("command", &words::command_line(&hook.command), None);
        }
        diagnosis.row("output", &output.join("\n"), Some(SHOWN_LINES));

        let next = told.as_ref().or(below.as_ref()).map(|known| known.next.to_owned());
        let hint = next.or_else(|| error.hint());
        diagnosis.next.extend(hint);
        if let (Some(evidence), Some(service), false) = (evidence, step.address.service(), taken_back) {
            diagnosis.next.extend(commands(evidence, service));
        }
        let known = told.or_else(|| error.refusal());
        let attributes = known.map_or_else(|| place::attributes(step, error), |known| known.attributes);
        let origin = project.and_then(|project| place::place(project, step, error, attributes));
        if let (Some(project), Some(origin)) = (project, origin) {
            diagnosis.declared = Some(Place::of(project, &origin));
        }
        diagnosis.finish()
    }

    /// Adds something that is known, unless it is nothing.
    pub(crate) fn row(&mut self, name: &str, text: &str, most: Option<usize>) {
        if !text.is_empty() {
            self.rows.push(Row { name: name.to_owned(), text: harmless(text), most });
        }
    }

    /// Adds what is known of a container.
    pub(crate) fn look(&mut self, evidence: &Evidence) {
        container::describe(evidence, &mut |name, text, most| self.row(name, &text, most));
        self.evidence = container::value(evidence);
    }

    /// Writes all of it down for people, once everything is known.
    pub(crate) fn finish(mut self) -> Self {
        self.text = self.text(None, true);
        self
    }

    /// A line of a failure, broken to `width` columns where there is one.
    pub(crate) fn broken(line: &str, width: Option<usize>) -> String {
        match width {
            Some(width) => wrap::wrap(line, width.saturating_sub(4).max(20)).join("\n    "),
            None => line.to_owned(),
        }
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
    /// columns are left to a mark. `all` leaves nothing out for the sake of brevity.
    pub(crate) fn text(&self, width: Option<usize>, all: bool) -> String {
        const HEAD: usize = 14;
        let broken = |line: &str, indent: usize| match width {
            Some(width) => wrap::wrap(line, width.saturating_sub(indent).max(20)),
            None => vec![line.to_owned()],
        };
        let mut text = broken(&self.headline(), 4).join("\n    ");
        let mut add = |name: &str, value: &str, most: Option<usize>| {
            let lines: Vec<&str> = value.lines().collect();
            let skipped = most.filter(|_| !all).map_or(0, |most| lines.len().saturating_sub(most));
            let lines = lines[skipped..].iter().flat_map(|line| broken(line, HEAD));
            for (index, line) in lines.enumerate() {
                let name = if index == 0 { name } else { "" };
                text.push_str(&format!("\n    {name:<9} {line}"));
            }
        };
        for row in &self.rows {
            add(&row.name, &row.text, row.most);
        }
        if !self.next.is_empty() {
            add("next", &self.next.join("\n"), None);
        }
        if let Some(place) = &self.declared {
            add("declared", &format!("at {place}"), None);
        }
        text
    }
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
pub(crate) fn commands(evidence: &Evidence, service: &str) -> Vec<String> {
    let logs = format!("stackctl logs {service}");
    match evidence.state.as_str() {
        "running" => vec![format!("{logs} · stackctl exec {service} sh")],
        "created" => vec![format!("docker inspect {}", evidence.container)],
        _ => vec![format!("{logs} · docker inspect {}", evidence.container)],
    }
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

/// The services that the step's own needs, directly or not: those of the steps before it, and
/// what the file says.
fn needed_by(plan: &Plan, step: &Step, project: Option<&Project>) -> Vec<String> {
    let Some(own) = step.address.service() else { return Vec::new() };
    let mut reached: BTreeSet<StepId> = BTreeSet::from([step.id]);
    let mut services = BTreeSet::new();
    for earlier in plan.steps.iter().rev().filter(|earlier| earlier.id <= step.id) {
        if reached.contains(&earlier.id) {
            reached.extend(earlier.after.iter().chain(&earlier.after_any));
            services.extend(earlier.address.service().map(str::to_owned));
        }
    }
    if let Some(project) = project {
        services.extend(project.needs(own));
    }
    services.remove(own);
    services.into_iter().collect()
}
