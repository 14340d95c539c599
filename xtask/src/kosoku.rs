//! kosoku, which runs the Autobahn test suite, in a Python environment of its own.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

use crate::debian::{self, Services, last_lines};
use crate::say;

/// What is installed.
const PACKAGE: &str = "kosoku==0.1.0";

/// Where the program is, installed if it is not.
pub(crate) fn ensure(root: &Path) -> Result<PathBuf> {
    let place = root.join("target/tools/kosoku");
    let program = place.join("bin/kosoku");
    if program.is_file() {
        return Ok(program);
    }
    say(&format!("installing {PACKAGE}: needed by the tests"));
    if environment(&place).is_err() {
        // Debian keeps a part of Python apart.
        debian::install(&["python3", "python3-venv"], "by the tests", Services::StayOff)?;
        environment(&place)?;
    }
    let pip = place.join("bin/pip");
    run(Command::new(pip).args(["install", "--quiet", "--disable-pip-version-check", PACKAGE]))?;
    Ok(program)
}

fn environment(place: &Path) -> Result<()> {
    run(Command::new("python3").args(["-m", "venv", "--clear"]).arg(place))
}

fn run(command: &mut Command) -> Result<()> {
    let output = command.stdin(Stdio::null()).output().context("python3 cannot be run")?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        bail!("{:?} failed: {}\n{}", command.get_program(), output.status, last_lines(&said, 10));
    }
    Ok(())
}
