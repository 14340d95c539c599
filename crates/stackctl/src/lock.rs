//! One stackctl at a time changes a project.

use std::cell::RefCell;
use std::path::PathBuf;

use stack_engine::docker::DockerEngine;
use stack_engine::lock::{Holder, Lock, Place};
use time::macros::format_description;

use crate::record;
use crate::render::Renderer;

/// The right to change a project, as long as it lives.
#[must_use]
pub(crate) struct Alone(Option<Lock>);

impl Alone {
    /// Gives the right back after work that has come to its end, well or not. A run that is
    /// broken off does not get here, and the next one knows.
    pub(crate) fn finish(self) {
        if let Some(lock) = self.0 {
            lock.finish();
        }
    }
}

/// Keeps other runs of stackctl from changing the project as long as what is returned lives,
/// and says for whom it waits. After a run that was broken off, it waits until the engine has
/// done what that one told it. A dry run changes nothing and waits for nobody; where files
/// cannot be locked, that is said, and nothing to stop for.
pub(crate) async fn alone(
    engine: &DockerEngine,
    project: &str,
    command: &str,
    renderer: &mut Renderer,
) -> anyhow::Result<Alone> {
    if renderer.is_dry_run() {
        return Ok(Alone(None));
    }
    let place = Place::of(&directory(), &engine.connection().address, project);
    let taken = place.take(command, |holder| renderer.note(&waiting(project, holder.as_ref()))).await;
    let lock = match taken {
        Ok(lock) => lock,
        Err(error) => {
            renderer.warn(&format!("{error}; another stackctl could change {project} at the same time"));
            return Ok(Alone(None));
        }
    };
    if let Some(broken) = lock.broken() {
        let names = RefCell::new(Vec::new());
        engine.settle(project, broken.since, |name| names.borrow_mut().push(name.to_owned())).await?;
        for name in names.take() {
            renderer.note(&format!(
                "{name} was being stopped by `stackctl {}`, which was broken off",
                broken.command
            ));
        }
    }
    Ok(Alone(Some(lock)))
}

/// Where the files are: of this user, the same in every session.
fn directory() -> PathBuf {
    record::state_directory().join("locks")
}

fn waiting(project: &str, holder: Option<&Holder>) -> String {
    let Some(Holder { pid, host, command, since }) = holder else {
        return format!("waiting for another stackctl that changes {project}");
    };
    let since = since.format(format_description!("[hour]:[minute]:[second] UTC")).unwrap_or_default();
    format!("waiting for `stackctl {command}` of {project}: process {pid} on {host}, since {since}")
}
