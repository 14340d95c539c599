//! `cargo xtask bench server`: how fast the server is, beside its targets and
//! beside other systems on the same processors.

mod peers;

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail};

use super::BenchArgs;
use crate::cargo::{self, Profile};
use crate::debian::{self, Services};

/// Programs that are started, and the packages of Debian that hold them.
const PROGRAMS: [(&str, &str); 3] =
    [("redis-server", "redis-server"), ("redis-benchmark", "redis-tools"), ("nginx", "nginx")];

/// Measures, and says what is short of its target.
pub(super) fn run(root: &Path, arguments: &BenchArgs) -> Result<()> {
    let missing: Vec<_> =
        PROGRAMS.iter().filter(|(name, _)| !debian::has_program(name)).map(|(_, package)| *package).collect();
    if !missing.is_empty() {
        debian::install(&missing, "by the figures", Services::StayOff)?;
    }
    let server = cargo::build(root, "server", Profile::Release)?;
    let bench = cargo::build(root, "server-bench", Profile::Release)?;
    let only = arguments.only.as_deref();
    let mut command = Command::new(bench);
    command.arg("figures").arg("--server").arg(server);
    command.arg("--nginx").arg(root.join("docker/nginx.conf")).env("PATH", debian::path_with_sbin());
    if only.is_none_or(|only| "fan-out".contains(only)) && !arguments.alone {
        command.arg("--peers").arg(peers::fetch(root));
    }
    if let Some(only) = only {
        command.args(["--only", only]);
    }
    let status = command.status().context("server-bench cannot be run")?;
    if !status.success() {
        bail!("a target is missed");
    }
    Ok(())
}
