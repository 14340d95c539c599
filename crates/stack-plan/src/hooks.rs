//! What is done around the start and the stop of a container: files are put in, hooks run.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use stack_file::model::MountSource;

use crate::address::Address;
use crate::desired::{FileSpec, ServiceSpec};
use crate::observed::{ContainerState, ObservedContainer};
use crate::plan::{Action, Cause, Change, Draft, HookEvent, Obstacle, StepId, Target};

/// The configs and secrets of a container that are copied, by the directory below which they
/// are; what cannot be copied is an obstacle. A `remote` engine cannot see files of this machine.
pub(crate) fn copies(
    address: &Address,
    spec: &ServiceSpec,
    remote: bool,
    obstacles: &mut Vec<Obstacle>,
) -> BTreeMap<String, Vec<Arc<FileSpec>>> {
    let mut directories: BTreeMap<String, Vec<Arc<FileSpec>>> = BTreeMap::new();
    for file in spec.files.iter().filter(|file| file.bound(remote).is_none()) {
        match directory(spec, file, remote) {
            Ok(directory) => directories.entry(directory).or_default().push(Arc::clone(file)),
            Err((what, next)) => obstacles.push(Obstacle {
                address: address.clone(),
                what: format!("{address}: the {} {} cannot be copied{what}", file.kind.word(), file.key),
                next,
                origin: file.origin.clone(),
            }),
        }
    }
    directories
}

/// The directory below which a file is copied, or why it cannot be and what to do about it.
fn directory(spec: &ServiceSpec, file: &FileSpec, remote: bool) -> Result<String, (String, String)> {
    if let Some(why) = file.unread() {
        return Err(if remote {
            let next = "make it a file that can be read, or use an engine of this machine";
            (format!(", though the engine is on another machine: {why}"), next.to_owned())
        } else {
            let next = "make it a file that can be read, or leave these out";
            (format!(", though uid, gid or mode are given: {why}"), next.to_owned())
        });
    }
    if spec.service.read_only.as_ref().is_none_or(|read_only| !read_only.value) {
        return Ok("/".to_owned());
    }
    // The engine puts nothing onto a read-only root file system, but it does into a volume.
    let volume = (spec.service.volumes.iter())
        .filter(|mount| {
            matches!(mount.source, MountSource::Volume { .. } | MountSource::Anonymous)
                && !mount.read_only
                && Path::new(&file.target).starts_with(&mount.target)
        })
        .max_by_key(|mount| mount.target.len());
    let parent = Path::new(&file.target).parent().unwrap_or(Path::new("/")).display();
    volume.map(|mount| mount.target.clone()).ok_or_else(|| {
        (
            format!(" to {}: the root file system is read-only", file.target),
            format!("give it a `file` without uid, gid and mode, or add a volume at {parent}"),
        )
    })
}

/// The hooks before the stop of a container that runs, none where the file says nothing.
pub(crate) fn pre_stop(
    spec: Option<&ServiceSpec>,
    container: &ObservedContainer,
) -> impl Iterator<Item = Action> {
    let hooks = spec.filter(|_| container.state == ContainerState::Running && !container.one_off);
    let target = Target::Known(container.id.clone());
    hooks.into_iter().flat_map(|spec| spec.hooks.pre_stop.clone()).map(move |hook| Action::Run {
        target: target.clone(),
        event: HookEvent::PreStop,
        hook,
    })
}

/// A container that was started by a step.
pub(crate) struct Started<'a> {
    pub(crate) address: &'a Address,
    pub(crate) target: &'a Target,
    pub(crate) step: StepId,
    pub(crate) group: Change,
    pub(crate) cause: &'a Cause,
    /// How long it may take to stop, should a hook fail.
    pub(crate) grace: Option<Duration>,
}

/// Runs what the service wants after a start, one after the other, and returns the last step.
pub(crate) fn post_start(draft: &mut Draft, spec: &ServiceSpec, started: &Started<'_>) -> StepId {
    let mut last = started.step;
    for hook in &spec.hooks.post_start {
        let target = started.target.clone();
        let hook = Arc::clone(hook);
        let run = Action::Run { target: target.clone(), event: HookEvent::PostStart, hook };
        last = draft.add(started.address, run, started.group, started.cause, [last]);
        draft.undo(last, vec![Action::Stop { target, grace: started.grace }]);
    }
    last
}
