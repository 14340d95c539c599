//! A plan, for people and for programs.

use serde_json::{Value, json};
use stack_plan::plan::{Action, Cause, Change, Condition, Plan, Step};
use stack_plan::rollout::Rollout;

use crate::render::{DIM, GREEN, RED, YELLOW, paint, words};
use crate::settings::Project;

/// How many changed settings of one resource are shown.
const SHOWN_FIELDS: usize = 8;

/// What can be done after a plan was shown.
pub(crate) enum Next {
    /// Nothing: it was shown in place of being carried out.
    DryRun,
    /// This command does what it says.
    Command(String),
}

/// A plan for people: what changes, why, and at which line.
pub(crate) fn pretty(plan: &Plan, project: Option<&Project>, next: &Next) -> String {
    let mut text = String::new();
    let groups = plan.by_address();
    let mut changing = 0;
    let width = groups.keys().map(|address| address.to_string().len()).max().unwrap_or(0);
    for (address, steps) in &groups {
        let Some(first) = steps.iter().find(|step| step.group != Change::Await) else { continue };
        changing += usize::from(first.group != Change::Provide);
        let loses = plan.data_losses().contains(address);
        let (glyph, style, words) = match first.group {
            Change::Create => ("+", GREEN, "create"),
            Change::Replace if loses => ("!", RED, "recreate, LOSES DATA"),
            Change::Replace => ("±", YELLOW, "replace"),
            Change::Mend => ("~", YELLOW, "mend"),
            Change::Update => ("~", YELLOW, "update"),
            Change::Start => ("~", YELLOW, "start"),
            Change::Restart => ("~", YELLOW, "restart"),
            Change::Stop => ("~", YELLOW, "stop"),
            Change::Kill => ("~", YELLOW, "kill"),
            Change::Pause => ("~", YELLOW, "pause"),
            Change::Unpause => ("~", YELLOW, "unpause"),
            Change::Remove => ("-", RED, "remove"),
            Change::Pull => ("+", GREEN, "pull"),
            Change::Push => ("~", YELLOW, "push"),
            Change::Ship => ("+", GREEN, "ship"),
            Change::Build => ("+", GREEN, "build"),
            Change::Await => (" ", DIM, "wait"),
            Change::Provide => ("?", YELLOW, "provide"),
        };
        let name = format!("{:width$}", address.to_string());
        let mut because = reasons(&first.cause, project);
        let lead = because.first().cloned().unwrap_or_default();
        text.push_str(&format!("  {} {name}  {words:<9}  {lead}\n", paint(style, glyph)));
        for reason in because.drain(1.min(because.len())..) {
            text.push_str(&format!("    {:width$}  {:9}  {reason}\n", "", ""));
        }
        let order: Vec<_> = steps.iter().map(|step| step_words(step)).collect();
        if order.len() > 1 || first.group == Change::Ship {
            text.push_str(&format!("    {:width$}  {}\n", "", paint(DIM, &order.join(", "))));
        }
    }
    if !plan.unchanged.is_empty() {
        let names: Vec<_> = plan.unchanged.iter().map(ToString::to_string).collect();
        text.push_str(&format!("  = {}  {}\n", names.join(", "), paint(DIM, "unchanged")));
    }
    for shortfall in &plan.shortfalls {
        let told = words::shortfall(shortfall, project);
        text.push_str(&format!("  {}: {told}\n", paint(YELLOW, "warning")));
    }
    for warning in &plan.warnings {
        text.push_str(&format!("  {}: {warning}\n", paint(YELLOW, "warning")));
    }
    for obstacle in &plan.obstacles {
        let place = project.map(|project| format!("{}  ", project.place(&obstacle.origin)));
        let place = place.unwrap_or_default();
        text.push_str(&format!(
            "  {}: {place}{}; {}\n",
            paint(RED, "in the way"),
            obstacle.what,
            obstacle.next
        ));
    }
    for rollout in &plan.rollouts {
        for line in words::rollout(rollout) {
            text.push_str(&format!("  {line}\n"));
        }
    }
    let losses = plan.data_losses();
    let unchanged = plan.unchanged.len();
    if changing == 0 {
        text.push_str(&format!("nothing to change, {unchanged} unchanged.\n"));
        return text;
    }
    let mut allow = String::new();
    let mut risk = String::new();
    if !losses.is_empty() {
        let plural = if losses.len() == 1 { "s" } else { "" };
        risk = format!(", {} lose{plural} data", losses.len());
        for address in losses {
            allow.push_str(&format!(" --allow-data-loss {address}"));
        }
    }
    let next = match next {
        Next::DryRun => "Nothing was done: this was a dry run".to_owned(),
        Next::Command(command) => format!("Apply with: {command}{allow}"),
    };
    text.push_str(&format!("{changing} to change, {unchanged} unchanged{risk}. {next}\n"));
    text
}

fn step_words(step: &Step) -> String {
    match &step.action {
        Action::Stop { .. } if step.group == Change::Replace => "stop old".to_owned(),
        Action::RemoveContainer { .. } if step.group == Change::Replace => "remove old".to_owned(),
        Action::Delay(time) => format!("delay {}", words::took(*time)),
        Action::Await { condition: Condition::Steady { monitor, checked }, .. } => {
            let watched = if *checked { " and " } else { " or " };
            format!("await healthy{watched}running {}", words::took(*monitor))
        }
        Action::Ship { name, .. } => format!("ship to {name}"),
        action => action.word().to_owned(),
    }
}

/// Why, each reason on a line of its own.
fn reasons(cause: &Cause, project: Option<&Project>) -> Vec<String> {
    let (changes, by_hand) = match cause {
        Cause::Changed(changes) => (changes, ""),
        Cause::Altered(changes) => (changes, "  changed by hand"),
        _ => return vec![cause.to_string()],
    };
    let mut lines: Vec<_> = changes
        .iter()
        .take(SHOWN_FIELDS)
        .map(|change| {
            let place = project.map(|project| format!("{}  ", project.place(&change.origin)));
            format!("{}{change}{by_hand}", place.unwrap_or_default())
        })
        .collect();
    if changes.len() > SHOWN_FIELDS {
        lines.push(format!("and {} more settings", changes.len() - SHOWN_FIELDS));
    }
    lines
}

/// A plan for programs, as one line.
pub(crate) fn json(plan: &Plan, project: Option<&Project>) -> String {
    value(plan, project).to_string()
}

/// How a service is replaced, and put back, as a JSON object.
fn rollout(rollout: &Rollout) -> Value {
    json!({
        "service": rollout.service,
        "order": rollout.order.word(),
        "reason": rollout.reason,
        "failure_action": rollout.failure_action.word(),
        "max_failure_ratio": rollout.max_failure_ratio,
        "replicas": rollout.replicas.iter().map(|replica| json!({
            "address": replica.address.to_string(),
            "steps": replica.steps.iter().map(|id| id.0).collect::<Vec<_>>(),
            "back": replica.back.iter().map(Action::word).collect::<Vec<_>>(),
        })).collect::<Vec<_>>(),
    })
}

/// A plan as a JSON object.
pub(crate) fn value(plan: &Plan, project: Option<&Project>) -> Value {
    let step = |step: &Step| {
        let fields: Vec<_> = match &step.cause {
            Cause::Changed(changes) | Cause::Altered(changes) => changes
                .iter()
                .map(|change| {
                    json!({
                        "field": change.field,
                        "was": change.was.to_string(),
                        "now": change.now.to_string(),
                        "at": project.map(|project| project.place(&change.origin)),
                    })
                })
                .collect(),
            _ => Vec::new(),
        };
        json!({
            "id": step.id.0,
            "address": step.address.to_string(),
            "change": format!("{:?}", step.group).to_lowercase(),
            "action": step.action.word(),
            "cause": step.cause.to_string(),
            "fields": fields,
            "after": step.after.iter().map(|id| id.0).collect::<Vec<_>>(),
            "after_any": step.after_any.iter().map(|id| id.0).collect::<Vec<_>>(),
            "undo": step.undo.iter().map(Action::word).collect::<Vec<_>>(),
            "loses_data": step.risk == stack_plan::plan::Risk::LosesData,
            "fingerprint": step.fingerprint(),
        })
    };
    json!({
        "schema": 1,
        "project": plan.project,
        "fingerprint": plan.fingerprint(),
        "steps": plan.steps.iter().map(step).collect::<Vec<_>>(),
        "unchanged": plan.unchanged.iter().map(ToString::to_string).collect::<Vec<_>>(),
        "warnings": (plan.shortfalls.iter().map(|shortfall| words::shortfall(shortfall, project)))
            .chain(plan.warnings.iter().cloned())
            .collect::<Vec<_>>(),
        "rollouts": plan.rollouts.iter().map(rollout).collect::<Vec<_>>(),
        "obstacles": plan.obstacles.iter().map(|obstacle| json!({
            "address": obstacle.address.to_string(),
            "text": obstacle.what,
            "next": obstacle.next,
            "at": project.map(|project| project.place(&obstacle.origin)),
        })).collect::<Vec<_>>(),
    })
}
