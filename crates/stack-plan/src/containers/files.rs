//! How configs and secrets get into a container, and the hooks after its start.

use std::path::PathBuf;

use super::Planner;
use super::replicas::Slot;
use crate::desired::{SOCKET, ServiceSpec};
use crate::hooks::{Started, copies, post_start};
use crate::plan::{Action, Cause, Change, FileBind, StepId, Target};

impl<'a> Planner<'a> {
    /// The files that a container of the service sees themselves.
    pub(super) fn binds(&self, spec: &ServiceSpec) -> Vec<FileBind> {
        let mut binds: Vec<FileBind> = (spec.files.iter())
            .filter_map(|file| {
                let source = file.bound(self.observed.remote)?.clone();
                Some(FileBind { source, target: file.target.clone(), read_only: true })
            })
            .collect();
        if spec.service.use_api_socket {
            let source = PathBuf::from(SOCKET);
            binds.push(FileBind { source, target: SOCKET.to_owned(), read_only: false });
        }
        binds
    }

    /// Copies the configs and secrets of a container that it does not see themselves, and
    /// returns the last step. Every one of these is taken back with the container.
    pub(super) fn upload(
        &mut self,
        slot: &Slot<'a>,
        target: &Target,
        group: Change,
        cause: &Cause,
        mut after: Vec<StepId>,
    ) -> Vec<StepId> {
        let remote = self.observed.remote;
        for (directory, files) in copies(&slot.address, slot.service, remote, &mut self.obstacles) {
            let upload = Action::Upload { target: target.clone(), directory, files };
            let step = self.draft.add(&slot.address, upload, group, cause, after);
            if matches!(target, Target::Made(_)) {
                let target = target.clone();
                self.draft.undo(step, vec![Action::RemoveContainer { target, volumes: false }]);
            }
            after = vec![step];
        }
        after
    }

    /// Runs the hooks of a container that a step has started, and returns the last step.
    pub(super) fn post_start(
        &mut self,
        slot: &Slot<'a>,
        target: &Target,
        step: StepId,
        group: Change,
        cause: &Cause,
    ) -> StepId {
        let grace = self.policy.grace.or_else(|| slot.service.grace());
        let started = Started { address: &slot.address, target, step, group, cause, grace };
        post_start(&mut self.draft, slot.service, &started)
    }
}
