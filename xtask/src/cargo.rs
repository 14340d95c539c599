//! cargo, called from a chore that cargo itself runs.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};
use serde_json::Value;

/// A call of cargo in the top folder.
pub(crate) fn cargo(root: &Path) -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(root).stdin(Stdio::null());
    // What cargo tells this chore about itself would reach build scripts further
    // down, and have them run again the next time a person calls cargo.
    for (name, _) in std::env::vars_os() {
        if name.to_str().is_some_and(is_about_us) {
            command.env_remove(&name);
        }
    }
    command
}

fn is_about_us(variable: &str) -> bool {
    ["CARGO_PKG_", "CARGO_MANIFEST_", "CARGO_BIN_", "CARGO_CRATE_", "CARGO_PRIMARY_"]
        .iter()
        .any(|start| variable.starts_with(start))
}

/// How a program is made.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Profile {
    /// Quick to make.
    Dev,
    /// Quick to run.
    Release,
}

/// Builds a program of the workspace, with cargo's progress on the screen; returns where it is.
pub(crate) fn build(root: &Path, package: &str, profile: Profile) -> Result<PathBuf> {
    let mut command = cargo(root);
    command.args(["build", "--message-format", "json-render-diagnostics"]);
    match profile {
        // With the features that the tests have, so that what they have built is not built again.
        Profile::Dev => command.args(["--workspace", "--bin", package]),
        Profile::Release => command.args(["--release", "--package", package]),
    };
    let output = command.stderr(Stdio::inherit()).output().context("cargo cannot be run")?;
    if !output.status.success() {
        bail!("{package} does not build\nnext: cargo build --package {package}");
    }
    let messages = String::from_utf8_lossy(&output.stdout);
    program(&messages, package).with_context(|| format!("cargo does not tell where {package} is"))
}

/// The program that cargo's messages tell of.
fn program(messages: &str, name: &str) -> Option<PathBuf> {
    let messages = messages.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let mut made = messages.filter(|message| message["target"]["name"] == name);
    made.find_map(|message| Some(message["executable"].as_str()?.into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_program_is_where_cargo_says() {
        let messages = "{\"reason\":\"compiler-artifact\",\"target\":{\"name\":\"bytes\"},\"executable\":null}\n\
            {\"reason\":\"compiler-artifact\",\"target\":{\"name\":\"tool\"},\"executable\":\"/elsewhere/debug/tool\"}\n\
            {\"reason\":\"build-finished\",\"success\":true}\n";
        assert_eq!(program(messages, "tool"), Some("/elsewhere/debug/tool".into()));
        assert_eq!(program(messages, "bytes"), None);
    }

    #[test]
    fn what_cargo_says_about_this_chore_is_not_passed_on() {
        assert!(is_about_us("CARGO_PKG_NAME"));
        assert!(!is_about_us("CARGO_HOME"));
        assert!(!is_about_us("CARGO_TARGET_DIR"));
    }
}
