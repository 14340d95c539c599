//! `cargo xtask drain`: the project's own stack, with clients that come through
//! its nginx while one of its servers is restarted.

use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};

use crate::cargo::{self, Profile};
use crate::engine::{self, Engine};
use crate::{images, say};

/// A project of its own, on ports of its own: a stack that runs is left alone.
const PROJECT: &str = "stackctl-drain";
const DOOR: &str = "40081";
const PORTS: [(&str, &str); 4] = [
    ("REDIS_PUBLISH", "46380"),
    ("APP1_PUBLISH", "43003"),
    ("APP2_PUBLISH", "43004"),
    ("NGINX_PUBLISH", DOOR),
];

/// The most that the image of the server may hold, in bytes.
const MOST_IMAGE: u64 = 10_000_000;

/// Brings the stack up, looks at the image of the server, restarts app1 under
/// load, and takes the stack down again, whatever has happened.
pub(crate) fn run(root: &Path) -> Result<()> {
    let engine = engine::ensure()?;
    engine.introduce()?;
    images::ensure(root, &engine, false)?;
    let stackctl = cargo::build(root, "stackctl", Profile::Dev)?;
    let bench = cargo::build(root, "server-bench", Profile::Dev)?;
    let stack = Stack { root, engine: &engine, stackctl: &stackctl };
    let proven = stack.run(&["up", "--build", "--wait"]).and_then(|()| stack.prove(&bench));
    let removed = stack.run(&["down", "-v", "--rmi", "local"]);
    proven?;
    removed
}

struct Stack<'a> {
    root: &'a Path,
    engine: &'a Engine,
    stackctl: &'a Path,
}

impl Stack<'_> {
    fn command(&self, program: &Path) -> Command {
        let mut command = Command::new(program);
        let (name, value) = self.engine.variable();
        command.current_dir(self.root).env(name, value).envs(PORTS).stdin(Stdio::null());
        command
    }

    fn stackctl(&self, arguments: &[&str]) -> Vec<String> {
        let program = self.stackctl.display().to_string();
        let first = [program.as_str(), "--file", "stack.yaml", "--project-name", PROJECT];
        first.iter().chain(arguments).map(|word| (*word).to_owned()).collect()
    }

    fn run(&self, arguments: &[&str]) -> Result<()> {
        let words = self.stackctl(arguments);
        let status =
            self.command(self.stackctl).args(&words[1..]).status().context("stackctl cannot be run")?;
        ensure!(status.success(), "stackctl {} ended with {status}", arguments.join(" "));
        Ok(())
    }

    fn prove(&self, bench: &Path) -> Result<()> {
        let path = format!("/images/{PROJECT}-app1/json");
        let image = self.engine.get(&path)?.context("the server has no image")?;
        let size = image["Size"].as_u64().context("the image has no size")?;
        let megabytes = size as f64 / 1e6;
        ensure!(size <= MOST_IMAGE, "the image of the server has {megabytes:.1} MB, and 10 are allowed");
        say(&format!("the image of the server has {megabytes:.1} MB"));
        let mut command = self.command(bench);
        command.args(["restart", "--door", DOOR, "--"]).args(self.stackctl(&["restart", "app1"]));
        let status = command.status().context("server-bench cannot be run")?;
        ensure!(status.success(), "clients have missed something");
        Ok(())
    }
}
