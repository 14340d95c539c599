//! Security options.

use std::path::Path;

use stack_plan::labels;
use stack_plan::plan::NewContainer;

use crate::engine::EngineError;

/// The security options of a container, as the engine is to be told.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Security {
    /// The options; a seccomp profile is its text, not its file.
    pub(super) options: Vec<String>,
    /// Whether the paths of the kernel stay as they are, neither hidden nor read-only.
    pub(super) open_paths: bool,
}

/// Reads the options of a container; the files of seccomp profiles are of this machine.
pub(super) fn security(new: &NewContainer) -> Result<Security, EngineError> {
    let directory = new.labels.get(labels::WORKING_DIR).map_or("/", String::as_str);
    let mut security = Security::default();
    for option in &new.spec.service.security_opt {
        if option.value == "systempaths=unconfined" {
            security.open_paths = true;
            continue;
        }
        let profile = option.strip_prefix("seccomp=").or_else(|| option.strip_prefix("seccomp:"));
        match profile.filter(|profile| !matches!(*profile, "unconfined" | "builtin")) {
            Some(file) => {
                let text = profile_text(&Path::new(directory).join(file))?;
                security.options.push(format!("seccomp={text}"));
            }
            None => security.options.push(option.value.clone()),
        }
    }
    Ok(security)
}

/// The text of a seccomp profile, without spaces.
fn profile_text(file: &Path) -> Result<String, EngineError> {
    let wrong = |why: String| {
        EngineError::Unsupported(format!("the seccomp profile {} cannot be used: {why}", file.display()))
    };
    let text = std::fs::read_to_string(file).map_err(|error| wrong(error.to_string()))?;
    let profile: serde_json::Value = serde_json::from_str(&text).map_err(|error| wrong(error.to_string()))?;
    Ok(profile.to_string())
}
