//! What a stack asks for and manifests of Kubernetes cannot say.

use crate::attributes::Attribute;
use crate::backend::Column;
use crate::diagnostic::Diagnostic;
use crate::load::Loaded;

const COLUMN: Column =
    Column { backend: "Kubernetes", honours: Attribute::on_kubernetes, not_yet: |_| false, value };

/// One warning for every attribute of the files that Kubernetes does not honour, in the order of
/// the files. What single values come to is known to the crate that writes manifests.
#[must_use]
pub fn not_honoured(loaded: &Loaded) -> Vec<Diagnostic> {
    COLUMN.not_honoured(loaded)
}

/// Attributes that Kubernetes honours with some values only.
fn value(path: &str, text: &str) -> Option<&'static str> {
    match (path, text) {
        ("services.*.deploy.update_config.failure_action", "rollback") => {
            Some("a rollout that fails stands still: undo it with `kubectl rollout undo`")
        }
        ("services.*.deploy.update_config.failure_action", "continue") => {
            Some("a rollout stands still when a new pod does not become ready")
        }
        ("services.*.deploy.mode", "global-job") => {
            Some("a Job runs so many pods anywhere: one is written, with `replicas` of them")
        }
        ("services.*.pull_policy", "build") => Some("nodes pull images: build, push, and name the `image`"),
        ("services.*.uts", "host") => Some("set the host name with `hostname`"),
        ("services.*.volumes[].bind.recursive", "disabled") => {
            Some("a mount of a node's path shows what is mounted below it")
        }
        _ => None,
    }
}
