//! `cargo xtask clients`: programs that nobody here wrote, with stackctl in the place of docker compose.

use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

use crate::cargo::{self, Profile};
use crate::debian::{self, Services, last_lines};
use crate::engine::Engine;
use crate::{engine, images, say};

/// What is installed of Python.
const PYTHON: [&str; 3] = ["pytest==9.2.0", "pytest-docker==3.2.6", "testcontainers==4.15.0"];
/// What is installed of Node.
const NODE: &str = "@devcontainers/cli@0.89.0";

/// Runs the clients.
pub(crate) fn run(root: &Path) -> Result<()> {
    let engine = engine::ensure()?;
    engine.introduce()?;
    images::ensure(root, &engine, false)?;
    against(root, &engine)
}

/// Runs the clients against an engine that is there.
pub(crate) fn against(root: &Path, engine: &Engine) -> Result<()> {
    let stackctl = cargo::build(root, "stackctl", Profile::Dev)?;
    let place = root.join("target/tools/clients");
    let python = python(&place)?;
    let devcontainer = devcontainer(&place)?;

    // As a link called docker-compose, and as the plugin of docker.
    let folder = tempfile::tempdir()?;
    let compose = folder.path().join("docker-compose");
    symlink(&stackctl, &compose)?;
    let plugins = folder.path().join("config/cli-plugins");
    let mut install = Command::new(&stackctl);
    checked(install.args(["install-plugin", "--directory"]).arg(&plugins))?;

    let (name, value) = engine.variable();
    let mut pytest = Command::new(python);
    pytest.args(["-m", "pytest", "-p", "no:cacheprovider", "--verbose"]).arg("xtask/clients");
    pytest.current_dir(root).env(name, value).stdin(Stdio::null());
    pytest.env("PYTHONDONTWRITEBYTECODE", "1").env("DEVCONTAINER", devcontainer);
    pytest.env("STACKCTL_AS_COMPOSE", &compose).env("DOCKER_CONFIG", folder.path().join("config"));
    pytest.env("STACKCTL_PROJECT", format!("clients{}", std::process::id()));
    // What a developer has set for stacks of their own is nothing to these.
    for variable in ["COMPOSE_FILE", "COMPOSE_PROJECT_NAME", "COMPOSE_PROFILES", "COMPOSE_PROGRESS"] {
        pytest.env_remove(variable);
    }
    let status = pytest.status().context("python cannot be run")?;
    if !status.success() {
        bail!("a client does not get on with stackctl: {status}");
    }
    Ok(())
}

/// The Python with the clients in it, installed where it is not.
fn python(place: &Path) -> Result<PathBuf> {
    let environment = place.join("python");
    let (program, marker) = (environment.join("bin/python"), environment.join(PYTHON.join("+")));
    if marker.is_file() {
        return Ok(program);
    }
    say(&format!("installing {}: run against stackctl", PYTHON.join(", ")));
    let make = || checked(Command::new("python3").args(["-m", "venv", "--clear"]).arg(&environment));
    if make().is_err() {
        // Debian keeps a part of Python apart.
        debian::install(&["python3", "python3-venv"], "by the clients", Services::StayOff)?;
        make()?;
    }
    let mut pip = Command::new(&program);
    checked(pip.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check"]).args(PYTHON))?;
    std::fs::write(marker, "")?;
    Ok(program)
}

/// The command of dev containers, installed where it is not.
fn devcontainer(place: &Path) -> Result<PathBuf> {
    let prefix = place.join("node");
    let program = prefix.join("node_modules/.bin/devcontainer");
    let marker = prefix.join(NODE.replace('/', "+"));
    if marker.is_file() {
        return Ok(program);
    }
    if !debian::has_program("npm") {
        debian::install(&["npm"], "by the clients", Services::StayOff)?;
    }
    say(&format!("installing {NODE}: run against stackctl"));
    std::fs::create_dir_all(&prefix)?;
    checked(
        Command::new("npm").args(["install", "--silent", "--no-audit", "--prefix"]).arg(&prefix).arg(NODE),
    )?;
    std::fs::write(marker, "")?;
    Ok(program)
}

fn checked(command: &mut Command) -> Result<()> {
    let what = command.get_program().to_string_lossy().into_owned();
    let output = command.stdin(Stdio::null()).output().with_context(|| format!("{what} cannot be run"))?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        bail!("{what} failed: {}\n{}", output.status, last_lines(&said, 10));
    }
    Ok(())
}
