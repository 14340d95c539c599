//! The words for what is done.

use std::collections::BTreeSet;
use std::time::Duration;

use stack_engine::engine::Failure;
use stack_engine::event::{Progress, Summary, Waiting};
use stack_engine::exit;
use stack_engine::image::build::BuildProgress;
use stack_engine::image::pull::PullProgress;
use stack_file::model::{FailureAction, UpdateOrder};
use stack_plan::plan::{Action, Change, Condition, HookEvent, Plan, ProviderCommand, Step, StepId};
use stack_plan::rollout::Rollout;
use stack_plan::shortfall::Shortfall;

use crate::render::stream::Slow;
use crate::settings::Project;

/// What a step does, while it does it.
pub(crate) fn doing(step: &Step) -> &'static str {
    match &step.action {
        Action::CreateNetwork(_)
        | Action::CreateVolume(_)
        | Action::CreateContainer(_)
        | Action::CreateService(_)
        | Action::CreateObject(_) => "creating",
        Action::UpdateService { .. } => "updating",
        Action::RestartService(_) => "restarting",
        Action::Start(_) => "starting",
        Action::Stop { .. } => "stopping",
        Action::Kill { .. } => "killing",
        Action::Pause(_) => "pausing",
        Action::Unpause(_) => "unpausing",
        Action::RemoveContainer { .. }
        | Action::RemoveNetwork(_)
        | Action::RemoveVolume(_)
        | Action::RemoveImage(_)
        | Action::RemoveService(_)
        | Action::RemoveObject { .. } => "removing",
        Action::Rename { .. } => "renaming",
        Action::Connect { .. } => "connecting",
        Action::Disconnect { .. } => "disconnecting",
        Action::Upload { .. } => "putting configs and secrets in",
        Action::Run { event: HookEvent::PostStart, .. } => "running post_start",
        Action::Run { event: HookEvent::PreStop, .. } => "running pre_stop",
        Action::ProvideModel(_) => "being fetched",
        Action::Provide { command: ProviderCommand::Up, .. } => "being made by its provider",
        Action::Provide { command: ProviderCommand::Down, .. } => "being removed by its provider",
        Action::Pull(_) => "pulling",
        Action::Push(_) => "pushing",
        Action::Ship { .. } => "going to another node",
        Action::Build(_) => "building",
        Action::Delay(_) => "waiting for its turn",
        Action::Await { condition, .. } => match condition {
            Condition::Ready | Condition::Healthy => "waiting for it to be ready",
            Condition::Steady { .. } => "waiting for it to be steady",
            Condition::Completed => "waiting for it to complete",
            Condition::Ended => "waiting for its end",
            Condition::Converged => "waiting for its tasks",
            Condition::TasksCompleted => "waiting for it to complete",
            Condition::NoTasks => "waiting for its tasks to end",
        },
    }
}

/// What a step has done; `None` for one that is a detail of another.
pub(crate) fn done(step: &Step) -> Option<&'static str> {
    Some(match &step.action {
        Action::CreateContainer(_) if step.group == Change::Replace => "new one created",
        Action::CreateNetwork(_)
        | Action::CreateVolume(_)
        | Action::CreateContainer(_)
        | Action::CreateService(_)
        | Action::CreateObject(_) => "created",
        Action::UpdateService { .. } => "updated",
        Action::RestartService(_) => "restarted",
        Action::Start(_) => "started",
        Action::Stop { .. } => "stopped",
        Action::Kill { signal, .. } if is_kill(signal) => "killed",
        Action::Kill { .. } => "signalled",
        Action::Pause(_) => "paused",
        Action::Unpause(_) => "unpaused",
        Action::RemoveContainer { .. } if step.group == Change::Replace => "old one removed",
        Action::RemoveVolume(_) if step.address.service().is_some() => "anonymous volume removed",
        Action::RemoveContainer { .. }
        | Action::RemoveNetwork(_)
        | Action::RemoveVolume(_)
        | Action::RemoveImage(_)
        | Action::RemoveService(_)
        | Action::RemoveObject { .. } => "removed",
        Action::Run { event: HookEvent::PostStart, .. } => "post_start done",
        Action::Run { event: HookEvent::PreStop, .. } => "pre_stop done",
        Action::Provide { command: ProviderCommand::Up, .. } | Action::ProvideModel(_) => "provided",
        Action::Provide { command: ProviderCommand::Down, .. } => "removed",
        Action::Rename { .. } if step.group == Change::Mend => "renamed back",
        Action::Disconnect { .. } => "detached from a network that it was attached to by hand",
        Action::Rename { .. } | Action::Connect { .. } | Action::Upload { .. } | Action::Delay(_) => {
            return None;
        }
        Action::Pull(_) => "pulled",
        Action::Push(_) => "pushed",
        Action::Ship { .. } => "on one node more",
        Action::Build(_) => "built",
        Action::Await { condition, .. } => match condition {
            Condition::Ready => "ready",
            Condition::Healthy => "healthy",
            Condition::Completed => "completed",
            Condition::Ended => "ended",
            Condition::Steady { .. } => "steady",
            Condition::Converged => "converged",
            Condition::TasksCompleted => "completed",
            Condition::NoTasks => "no tasks left",
        },
    })
}

/// Whether it is the signal that nothing outlives.
fn is_kill(signal: &str) -> bool {
    let name = signal.to_ascii_uppercase();
    matches!(name.strip_prefix("SIG").unwrap_or(&name), "KILL" | "9")
}

/// Why a step that failed is no failure of the run.
pub(crate) fn tolerated(step: &Step) -> &'static str {
    match &step.action {
        Action::Await { .. } => "it is not required: going on without it",
        Action::Pull(_) | Action::Push(_) => "going on without it",
        _ => "it stays; all else goes on",
    }
}

/// What failed, as in "app1/1 cannot be started".
pub(crate) fn failed(step: &Step) -> &'static str {
    match &step.action {
        Action::CreateNetwork(_)
        | Action::CreateVolume(_)
        | Action::CreateContainer(_)
        | Action::CreateService(_)
        | Action::CreateObject(_) => "cannot be created",
        Action::UpdateService { .. } => "cannot be updated",
        Action::RestartService(_) => "cannot be restarted",
        Action::Start(_) => "cannot be started",
        Action::Stop { .. } => "cannot be stopped",
        Action::Kill { .. } => "cannot be killed",
        Action::Pause(_) => "cannot be paused",
        Action::Unpause(_) => "cannot be unpaused",
        Action::RemoveContainer { .. }
        | Action::RemoveNetwork(_)
        | Action::RemoveVolume(_)
        | Action::RemoveImage(_)
        | Action::RemoveService(_)
        | Action::RemoveObject { .. } => "cannot be removed",
        Action::Rename { .. } => "cannot be renamed",
        Action::Connect { .. } => "cannot be connected",
        Action::Disconnect { .. } => "cannot be detached from a network",
        Action::Upload { .. } => "cannot get its configs and secrets",
        Action::Run { event: HookEvent::PostStart, .. } => "is not ready",
        Action::Run { event: HookEvent::PreStop, .. } => "cannot be stopped",
        Action::Provide { command: ProviderCommand::Up, .. } | Action::ProvideModel(_) => {
            "cannot be provided"
        }
        Action::Provide { command: ProviderCommand::Down, .. } => "cannot be removed",
        Action::Pull(_) => "cannot be pulled",
        Action::Push(_) => "cannot be pushed",
        Action::Ship { .. } => "cannot be brought to another node",
        Action::Build(_) => "cannot be built",
        Action::Delay(_) => "cannot wait for its turn",
        Action::Await { condition: Condition::Completed | Condition::TasksCompleted, .. } => {
            "did not complete"
        }
        Action::Await { condition: Condition::NoTasks, .. } => "has tasks that do not end",
        Action::Await { condition: Condition::Ended, .. } => "cannot be waited for",
        Action::Await { .. } => "is not ready",
    }
}

/// That something could not be put back, and what to do about it.
pub(crate) fn not_taken_back(failure: &Failure) -> String {
    let why = crate::diagnose::harmless(&failure.error.to_string());
    format!("it cannot be put back: {why}; look at it with stackctl ps -a, and run stackctl up again")
}

/// How a step goes on, in a few words; `None` for what is not worth a word.
pub(crate) fn progress(progress: &Progress) -> Option<String> {
    match progress {
        Progress::Waiting(Waiting::Probed { failures, counted, last }) => {
            let last = crate::diagnose::harmless(last);
            let probe = match counted {
                Some((streak, retries)) => format!("probe {streak} of {retries}"),
                None => format!("probe {failures} failed"),
            };
            Some(format!("{probe}, last: {}", build_step(&last)))
        }
        Progress::Waiting(Waiting::Restarting { exit_code }) => {
            let meaning =
                exit::meaning(*exit_code).map(|meaning| format!(" ({meaning})")).unwrap_or_default();
            Some(format!("ended with exit code {exit_code}{meaning}, is started again"))
        }
        Progress::Waiting(Waiting::Tasks { ready, of, doing }) => {
            let doing = crate::diagnose::harmless(doing);
            let doing = if doing.is_empty() { String::new() } else { format!(", {}", build_step(&doing)) };
            Some(format!("{ready} of {of} tasks run{doing}"))
        }
        Progress::Waiting(Waiting::TasksEnding { left: 1 }) => Some("1 task has not ended".to_owned()),
        Progress::Waiting(Waiting::TasksEnding { left }) => Some(format!("{left} tasks have not ended")),
        Progress::Waiting(Waiting::Stopping { signal, since, grace }) => {
            let end = match grace {
                Some(grace) => format!("killed at {} s", grace.as_secs()),
                None => "never killed".to_owned(),
            };
            Some(format!("{signal} ignored for {} s, {end}", since.as_secs()))
        }
        Progress::Build(build) => match build {
            BuildProgress::Started { name } => Some(build_step(name)),
            BuildProgress::Finished { name, took } => {
                Some(format!("{}  {}", build_step(name), self::took(*took)))
            }
            BuildProgress::Cached { name } => Some(format!("{}  cached", build_step(name))),
            BuildProgress::Log { line, .. } => Some(crate::diagnose::harmless(line)),
            BuildProgress::Warning(_) => None,
        },
        Progress::Pull(pull) => pulled(*pull),
        Progress::Hook(line) | Progress::Provider(line) => Some(crate::diagnose::harmless(line)),
        Progress::Warning(_) => None,
    }
}

/// What an engine does not do of what the file asks for, and where the file does.
pub(crate) fn shortfall(shortfall: &Shortfall, project: Option<&Project>) -> String {
    match project {
        Some(project) => format!("{}: {shortfall}", project.place(&shortfall.origin)),
        None => shortfall.to_string(),
    }
}

/// A line that a hook has written, with its container before it.
pub(crate) fn hook_line(address: &str, line: &str) -> String {
    format!("{} -> | {line}", address.replace('/', "-"))
}

/// A text on one line, as the name of a build step: what is long is cut.
pub(crate) fn build_step(name: &str) -> String {
    const LONGEST: usize = 100;
    let line = name.split_whitespace().collect::<Vec<_>>().join(" ");
    match line.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None => line,
    }
}

/// A time as people write it: `0.4 s`, `12 s`, `3 min 5 s`.
pub(crate) fn took(time: Duration) -> String {
    match time.as_secs() {
        0..10 => format!("{:.1} s", time.as_secs_f64()),
        seconds @ 10..60 => format!("{seconds} s"),
        seconds => format!("{} min {} s", seconds / 60, seconds % 60),
    }
}

/// Bytes as people write them: `12.3 MB`.
pub(crate) fn size(bytes: u64) -> String {
    let mut value = bytes as f64;
    for unit in ["B", "kB", "MB", "GB"] {
        if value < 1000.0 {
            return if unit == "B" { format!("{bytes} B") } else { format!("{value:.1} {unit}") };
        }
        value /= 1000.0;
    }
    format!("{value:.1} TB")
}

/// How a service is replaced while it serves, and what follows when a new version is not good.
pub(crate) fn rollout(rollout: &Rollout) -> Vec<String> {
    let service = &rollout.service;
    let mut lines = Vec::new();
    if rollout.replicas.is_empty() {
        let order = if rollout.order == UpdateOrder::StartFirst { "new first" } else { "old first" };
        let follows = match rollout.failure_action {
            FailureAction::Pause => "the swarm stops there",
            FailureAction::Continue => "the swarm goes on with the others",
            FailureAction::Rollback => "the swarm puts all of them back",
        };
        lines.push(format!("{service}: tasks are replaced {order}; if a new one is not good, {follows}"));
        return lines;
    }
    let order = match rollout.order {
        UpdateOrder::StartFirst => "new first",
        UpdateOrder::StopFirst => "old first",
    };
    let reason = rollout.reason.as_ref().map(|reason| format!(", because {reason}")).unwrap_or_default();
    let follows = match rollout.failure_action {
        FailureAction::Pause => "it is taken back, and the others are not touched",
        FailureAction::Continue => "it is taken back, and the others go on",
        FailureAction::Rollback => "all of them are put back",
    };
    lines.push(format!(
        "{service} is replaced while it serves, {order}{reason}; if a new one is not good, {follows}"
    ));
    lines
}

/// The containers that were not brought up because of a failure, a line for each that failed.
pub(crate) fn left_out(plan: &Plan, summary: &Summary) -> Vec<String> {
    let mut lines = Vec::new();
    let mut told: BTreeSet<StepId> = BTreeSet::new();
    for failed in &summary.failed {
        let Some(root) = plan.step(*failed) else { continue };
        let mut reached = BTreeSet::from([*failed]);
        let mut without: Vec<String> = Vec::new();
        for step in &plan.steps {
            if !step.after.iter().any(|earlier| reached.contains(earlier)) {
                continue;
            }
            reached.insert(step.id);
            let address = step.address.to_string();
            let is_other = step.address != root.address && step.address.service().is_some();
            if is_other
                && summary.skipped.contains(&step.id)
                && told.insert(step.id)
                && !without.contains(&address)
            {
                without.push(address);
            }
        }
        if !without.is_empty() {
            let verb = if without.len() == 1 { "was" } else { "were" };
            let because = format!("because {} {}", root.address, self::failed(root));
            lines.push(format!("- {} {verb} not brought up, {because}", without.join(", ")));
        }
    }
    lines
}

/// From this time on, what took longest is worth its words.
const LONG: Duration = Duration::from_secs(2);

/// The last line of a run: counts, time, and what took longest.
pub(crate) fn summary(plan: &Plan, summary: &Summary, slowest: &[Slow]) -> String {
    let mut text = outcome(plan, summary);
    if summary.took >= LONG && slowest.len() > 1 {
        let slowest: Vec<String> = (slowest.iter())
            .map(|slow| format!("{} {}", slow.address, took(Duration::from_millis(slow.milliseconds))))
            .collect();
        text.push_str(&format!("; slowest: {}", slowest.join(", ")));
    }
    text
}

fn outcome(plan: &Plan, summary: &Summary) -> String {
    let changed = plan
        .by_address()
        .iter()
        .filter(|(_, steps)| steps.iter().any(|step| !matches!(step.group, Change::Await | Change::Provide)))
        .count();
    let took = took(summary.took);
    if !summary.succeeded() {
        let failed = summary.failed.len();
        let waiting = match summary.skipped.len() {
            0 => String::new(),
            1 => ", 1 step not begun".to_owned(),
            skipped => format!(", {skipped} steps not begun"),
        };
        let back =
            if summary.is_rolled_back() { "; rolled back: what it had replaced serves again" } else { "" };
        return format!("{failed} failed{waiting}{back}, after {took}");
    }
    match changed {
        0 => format!("nothing to change, in {took}"),
        1 => format!("1 changed in {took}"),
        changed => format!("{changed} changed in {took}"),
    }
}

fn pulled(pull: PullProgress) -> Option<String> {
    if pull.layers == 0 {
        return None;
    }
    let bytes = if pull.total > 0 {
        format!(", {} of {}", size(pull.current), size(pull.total))
    } else {
        String::new()
    };
    Some(format!("{} of {} layers{bytes}", pull.layers_done, pull.layers))
}

/// Words as they are typed in a shell.
pub(crate) fn command_line(words: &[String]) -> String {
    words.iter().map(|word| shell_word(word)).collect::<Vec<_>>().join(" ")
}

/// A word as it is typed in a shell, in quotes only where they are needed.
pub(crate) fn shell_word(word: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=@,+%".contains(c);
    if !word.is_empty() && word.chars().all(is_plain) {
        return word.to_owned();
    }
    shell_words::quote(word).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_build_step_is_one_short_line() {
        assert_eq!(build_step("RUN a &&     b \n  c"), "RUN a && b c");
        let long = build_step(&"é".repeat(150));
        assert_eq!((long.chars().count(), long.ends_with('…')), (101, true));
    }
}
