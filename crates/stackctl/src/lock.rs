//! One stackctl at a time changes a project.

use std::path::PathBuf;

use stack_engine::docker::DockerEngine;
use stack_engine::lock::{Holder, Lock, Place};
use time::macros::format_description;

use crate::render::Renderer;

/// Keeps other runs of stackctl from changing the project as long as what is returned lives,
/// and says for whom it waits. `None` in a dry run, which changes nothing, and where files
/// cannot be locked: that is said, and nothing to stop for.
pub(crate) async fn alone(
    engine: &DockerEngine,
    project: &str,
    command: &str,
    renderer: &mut Renderer,
) -> Option<Lock> {
    if renderer.is_dry_run() {
        return None;
    }
    let place = Place::of(&directory(), &engine.connection().address, project);
    let taken = place.take(command, |holder| renderer.note(&waiting(project, holder.as_ref()))).await;
    match taken {
        Ok(lock) => Some(lock),
        Err(error) => {
            renderer.warn(&format!("{error}; another stackctl could change {project} at the same time"));
            None
        }
    }
}

/// Where the files are: of this user, the same in every session.
fn directory() -> PathBuf {
    let absolute = |name: &str| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let state = absolute("XDG_STATE_HOME").or_else(|| Some(absolute("HOME")?.join(".local/state")));
    state.unwrap_or_else(std::env::temp_dir).join("stackctl").join("locks")
}

fn waiting(project: &str, holder: Option<&Holder>) -> String {
    let Some(Holder { pid, host, command, since }) = holder else {
        return format!("waiting for another stackctl that changes {project}");
    };
    let since = since.format(format_description!("[hour]:[minute]:[second] UTC")).unwrap_or_default();
    format!("waiting for `stackctl {command}` of {project}: process {pid} on {host}, since {since}")
}
