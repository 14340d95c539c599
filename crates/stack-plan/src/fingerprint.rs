//! What a plan does, as short digests: a plan that was written down is the same as
//! one made later when their fingerprints are.
//!
//! Only what reaches the engine counts. Where in a file a setting stands does not, so
//! that a comment added above it changes nothing; and no secret can be read from it.

use std::fmt::Write;

use sha2::{Digest, Sha256};

use crate::fields::hex;
use crate::plan::{Action, Plan, Step};

impl Plan {
    /// The digest of all steps in their order: 64 hexadecimal digits.
    #[must_use]
    pub fn fingerprint(&self) -> String {
        let mut digest = Sha256::new();
        digest.update(&self.project);
        for step in &self.steps {
            digest.update([0]);
            digest.update(step.fingerprint());
        }
        for rollout in &self.rollouts {
            digest.update([1]);
            digest.update(rollout.to_string());
        }
        hex(&digest.finalize())
    }
}

impl Step {
    /// The digest of the step: 64 hexadecimal digits. Steps that do the same to the same
    /// resource for the same reason, at the same place in the order, have the same.
    #[must_use]
    pub fn fingerprint(&self) -> String {
        let mut text = format!(
            "{} {:?} {:?} {:?} {} {:?} ",
            self.address, self.after, self.after_any, self.group, self.cause, self.risk
        );
        for action in std::iter::once(&self.action).chain(&self.undo) {
            text.push_str(&details(action));
            text.push('\n');
        }
        hex(&Sha256::digest(text))
    }
}

/// Everything about an action that reaches the engine. The labels hold the settings, with
/// digests in place of what may be secret.
fn details(action: &Action) -> String {
    let mut text = action.word().to_owned();
    let _ = match action {
        Action::CreateNetwork(spec) => write!(text, " {} {:?}", spec.network.name, spec.labels),
        Action::CreateVolume(spec) => write!(text, " {} {:?}", spec.volume.name, spec.labels),
        Action::CreateContainer(new) => {
            write!(
                text,
                " {} {} {:?} {:?} {:?} {:?} {:?} {:?}",
                new.name, new.known_as, new.labels, new.keep, new.networks, new.links, new.lenders, new.binds
            )
        }
        Action::Pull(spec) | Action::Push(spec) => write!(text, " {:?} {:?}", spec.references, spec.platform),
        Action::Build(spec) => {
            write!(text, " {:?} {:?} {:?} {}", spec.references, spec.platform, spec.labels, spec.definition)
        }
        // What is in the files stands in the labels of the container.
        Action::Upload { target, directory, files } => {
            let _ = write!(text, " {target:?} {directory}");
            files.iter().try_for_each(|file| {
                write!(text, " {:?} {} {} {:?} {:o}", file.kind, file.key, file.target, file.owner, file.mode)
            })
        }
        Action::Run { target, hook, .. } => {
            let _ = write!(
                text,
                " {target:?} {:?} {:?} {} {:?}",
                hook.command, hook.user, hook.privileged, hook.working_dir
            );
            (hook.environment.iter()).try_for_each(|(name, value)| write!(text, " {name}={:?}", value.value))
        }
        Action::Provide { spec, .. } => {
            write!(text, " {} {} {:?}", spec.project, spec.provider.kind.value, spec.provider.options)
        }
        Action::ProvideModel(spec) => {
            let model = &spec.model;
            write!(text, " {} {:?} {:?}", model.model, model.context_size, model.runtime_flags)
        }
        // The version that a change names is one of the swarm's, which changes by itself.
        Action::CreateService(spec) | Action::UpdateService { spec, .. } => {
            let _ = write!(text, " {} {} {:?} {}", spec.name, spec.image, spec.mode, spec.replicas);
            write!(text, " {:?} {:?} {:?}", spec.labels, spec.container_labels, spec.files)
        }
        Action::CreateObject(spec) => write!(text, " {} {:?}", spec.name, spec.labels),
        other => write!(text, " {other:?}"),
    };
    text
}
