//! `cargo xtask drain`: the project's own stack, with clients that come through
//! its nginx while one of its servers is restarted.

use std::path::Path;

use anyhow::{Context, Result, ensure};

use crate::cargo::{self, Profile};
use crate::first_stack::Stack;
use crate::{engine, images, say};

const PROJECT: &str = "stackctl-drain";
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
    let stack = Stack::new(root, &engine, &stackctl, PROJECT)?;
    let proven = stack.run(&["up", "--build", "--wait"]).and_then(|()| prove(&stack, &bench));
    let removed = stack.run(&["down", "-v", "--rmi", "local"]);
    proven?;
    removed
}

fn prove(stack: &Stack<'_>, bench: &Path) -> Result<()> {
    let path = format!("/images/{PROJECT}-app1/json");
    let image = stack.engine.get(&path)?.context("the server has no image")?;
    let size = image["Size"].as_u64().context("the image has no size")?;
    let megabytes = size as f64 / 1e6;
    ensure!(size <= MOST_IMAGE, "the image of the server has {megabytes:.1} MB, and 10 are allowed");
    say(&format!("the image of the server has {megabytes:.1} MB"));
    let restart = stack.words(stack.stackctl, &[], &["restart", "app1"]);
    let mut command = stack.command(bench);
    command.args(["restart", "--door", &stack.door().to_string(), "--"]).args(restart);
    let status = command.status().context("server-bench cannot be run")?;
    ensure!(status.success(), "clients have missed something");
    Ok(())
}
