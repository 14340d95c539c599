//! `cargo xtask test`: every check there is.

mod leftovers;
mod limit;

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, bail};

use crate::cargo::cargo;
use crate::debian::{self, Services};
use crate::engine::{self, Engine};
use crate::{clients, compose, images, kosoku, rolling, say, stress, tidy};
use leftovers::Resources;

/// Programs that the tests start, and the packages of Debian that hold them.
const PROGRAMS: [(&str, &str); 5] = [
    ("redis-server", "redis-server"),
    ("nginx", "nginx"),
    ("docker-registry", "docker-registry"),
    ("chromium", "chromium"),
    ("sshd", "openssh-server"),
];

/// How many cases the properties over plans draw.
const CASES: &str = "STACKCTL_CASES";

/// How long a stage may take. None takes half of it, from nothing and on two cores; one that hangs
/// is to be told, not to be waited for.
const LIMIT: Duration = Duration::from_secs(40 * 60);

/// `cargo xtask test`.
#[derive(Debug, clap::Args)]
pub(crate) struct TestArgs {
    /// How many cases of each property over plans are drawn, in place of 256
    #[arg(long, value_name = "NUMBER", conflicts_with = "only")]
    cases: Option<u32>,
    /// Only the tests that need a Docker Engine, against the one at this address, as `unix:///var/run/docker.sock`
    #[arg(long, value_name = "URL", conflicts_with_all = ["cases", "clients", "only"])]
    host: Option<String>,
    /// Also the programs that use docker compose, with stackctl in its place: they come from PyPI and npm
    #[arg(long, conflicts_with = "only")]
    clients: bool,
    /// What goes to `cargo test` in place of every check: a filter, `-p PACKAGE`, `-- --nocapture`.
    #[arg(last = true, value_name = "ARGUMENTS")]
    only: Vec<String>,
}

/// Runs every check, or only the tests that are asked for.
pub(crate) fn run(root: &Path, arguments: &TestArgs) -> Result<()> {
    if let Some(host) = &arguments.host {
        return against(root, host);
    }
    let begun = Instant::now();
    let mut stages = Stages::default();
    let (mut engine, mut suite) = (None, None);
    stages.run("engine", "cargo xtask images", || {
        let found = engine::ensure()?;
        found.introduce()?;
        images::ensure(root, &found, false)?;
        programs()?;
        suite = Some(kosoku::ensure(root)?);
        engine = Some(found);
        Ok(())
    })?;
    let engine = engine.context("no engine")?;
    let suite = suite.context("no kosoku")?;
    if arguments.only.is_empty() {
        stages.cargo("fmt", cargo(root).args(["fmt", "--all", "--check"]))?;
        stages.run("tidy", "cargo xtask tidy", || tidy::run(root))?;
        let clippy = ["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"];
        stages.cargo("clippy", cargo(root).args(clippy))?;
        stages.cargo("features", &mut without_features(root))?;
        let mut doc = cargo(root);
        doc.args(["doc", "--workspace", "--no-deps"]).env("RUSTDOCFLAGS", "-Dwarnings");
        stages.cargo("doc", &mut doc)?;
    }
    let before = Resources::of_tests(&engine)?;
    let compose = docker_compose()?;
    let mut tests = tests(root, &engine, Some(&suite), &arguments.only, compose.as_deref());
    if let Some(cases) = arguments.cases {
        tests.env(CASES, cases.to_string());
    }
    let tests = stages.cargo("test", &mut tests);
    // Tests that fail leave things behind, too, and then that is not what is wrong.
    let leftovers = stages.run("leftovers", "docker ps --all", || before.nothing_since(&engine));
    tests?;
    leftovers?;
    if arguments.clients {
        stages.run("clients", "cargo xtask clients", || clients::against(root, &engine))?;
    }
    if arguments.only.is_empty() {
        stages.run("stress", "cargo xtask stress", || stress::short(root))?;
        stages.run("rolling", "cargo xtask rolling --alone", || rolling::short(root))?;
    }
    let what = if arguments.only.is_empty() { "every check" } else { "what was asked for" };
    say(&format!("\n{}{what} passed in {}", stages.table(), shown(begun.elapsed())));
    Ok(())
}

/// Runs the tests of stackctl that need an engine against another than this machine's.
fn against(root: &Path, host: &str) -> Result<()> {
    let begun = Instant::now();
    let mut stages = Stages::default();
    let mut found = None;
    stages.run("engine", "cargo xtask images", || {
        let engine = engine::at(host)?;
        engine.introduce()?;
        images::ensure(root, &engine, false)?;
        programs()?;
        found = Some(engine);
        Ok(())
    })?;
    let engine = found.context("no engine")?;
    let before = Resources::of_tests(&engine)?;
    let compose = docker_compose()?;
    let only = ["-p", "stackctl", "--test", "engine"].map(str::to_owned);
    let tests = stages.cargo("test", &mut tests(root, &engine, None, &only, compose.as_deref()));
    let leftovers = stages.run("leftovers", "docker ps --all", || before.nothing_since(&engine));
    tests?;
    leftovers?;
    say(&format!("\n{}the tests against {host} passed in {}", stages.table(), shown(begun.elapsed())));
    Ok(())
}

/// The program of docker compose, if there is one.
fn docker_compose() -> Result<Option<Vec<String>>> {
    let compose = compose::find(None)?;
    if compose.is_none() {
        say(&format!(
            "docker compose is not installed: what stackctl shares with it is not tested; a program of it can be named by {}",
            compose::VARIABLE
        ));
    }
    Ok(compose)
}

fn tests(
    root: &Path,
    engine: &Engine,
    suite: Option<&Path>,
    only: &[String],
    compose: Option<&[String]>,
) -> Command {
    let (name, value) = engine.variable();
    let mut command = cargo(root);
    command.arg("test");
    if only.is_empty() {
        command.arg("--workspace");
    }
    command.args(only);
    let mut left_out = Vec::new();
    match compose {
        Some(words) => {
            command.env(compose::VARIABLE, words.join(" "));
        }
        None => left_out.push("sharing::"),
    }
    if !has_what_an_engine_takes() {
        left_out.push("restarted::");
        left_out.push("swarm::");
    }
    if !left_out.is_empty() && !only.iter().any(|word| word == "--") {
        command.arg("--");
    }
    command.args(left_out.into_iter().flat_map(|tests| ["--skip", tests]));
    command.env(name, value).env("PATH", debian::path_with_sbin());
    if let Some(suite) = suite {
        command.env("KOSOKU", suite);
    }
    command
}

/// What remains without the features that are on by default, tests included.
fn without_features(root: &Path) -> Command {
    let mut command = cargo(root);
    command.args(["clippy", "-p", "stackctl", "-p", "stack-engine", "--no-default-features"]);
    command.args(["--all-targets", "--", "-D", "warnings"]);
    command
}

/// Whether a test may start an engine of its own; where not, it says what is left out.
fn has_what_an_engine_takes() -> bool {
    let missing = ["dockerd", "containerd", "unshare"].into_iter().find(|name| !debian::has_program(name));
    let why = match missing {
        Some(name) => format!("{name} is not installed"),
        None if !debian::is_root() => "it takes root".to_owned(),
        None => return true,
    };
    say(&format!("an engine that ends in the middle of the work is not tested: {why}"));
    false
}

/// Sees to it that the programs are there. Their services stay off: the tests start their own.
fn programs() -> Result<()> {
    let missing: Vec<_> =
        PROGRAMS.iter().filter(|(name, _)| !debian::has_program(name)).map(|(_, package)| *package).collect();
    if missing.is_empty() {
        return Ok(());
    }
    debian::install(&missing, "by the tests", Services::StayOff)
}

/// What is run one after another, and how long each took.
#[derive(Default)]
struct Stages {
    took: Vec<(&'static str, Duration)>,
}

impl Stages {
    /// Runs a stage. `alone` is the command that runs it without the others.
    fn run(&mut self, name: &'static str, alone: &str, work: impl FnOnce() -> Result<()>) -> Result<()> {
        say(&format!("── {name}"));
        let begun = Instant::now();
        let done = work();
        let took = begun.elapsed();
        self.took.push((name, took));
        done.map_err(|error| anyhow!("{name} failed after {}: {error:#}\nnext: {alone}", shown(took)))?;
        say(&format!("   {name} took {}", shown(took)));
        Ok(())
    }

    fn cargo(&mut self, name: &'static str, command: &mut Command) -> Result<()> {
        let alone = spelled(command);
        self.run(name, &alone, || {
            let child = command.spawn().context("cargo cannot be run")?;
            let Some(status) = limit::wait(child, LIMIT)? else {
                bail!("not done in time");
            };
            if !status.success() {
                bail!("{status}");
            }
            Ok(())
        })
    }

    fn table(&self) -> String {
        self.took.iter().map(|(name, took)| format!("{name:10}{:>10}\n", shown(*took))).collect()
    }
}

/// A call of cargo as a person would type it.
fn spelled(command: &Command) -> String {
    let flags = command.get_envs().find(|(name, _)| *name == "RUSTDOCFLAGS");
    let flags = flags.and_then(|(_, value)| Some(format!("RUSTDOCFLAGS={} ", value?.to_string_lossy())));
    let arguments: Vec<_> = command.get_args().map(|argument| argument.to_string_lossy()).collect();
    format!("{}cargo {}", flags.unwrap_or_default(), arguments.join(" "))
}

fn shown(time: Duration) -> String {
    match time.as_secs() {
        seconds @ 60.. => format!("{} min {:02} s", seconds / 60, seconds % 60),
        _ => format!("{:.1} s", time.as_secs_f64()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stage_that_fails_says_how_to_run_it_alone() {
        let mut stages = Stages::default();
        stages.run("first", "true", || Ok(())).expect("a stage");
        let error =
            stages.run("second", "cargo second", || bail!("it broke")).expect_err("a fault").to_string();
        assert!(error.starts_with("second failed after 0.0 s: it broke\n"), "{error}");
        assert!(error.ends_with("next: cargo second"), "{error}");
        assert_eq!(stages.table().lines().count(), 2);
    }

    #[test]
    fn a_program_that_ends_badly_fails_its_stage() {
        let mut command = Command::new("false");
        command.args(["doc", "--no-deps"]).env("RUSTDOCFLAGS", "-Dwarnings");
        let error = Stages::default().cargo("doc", &mut command).expect_err("a fault").to_string();
        assert!(error.contains("exit status: 1"), "{error}");
        assert!(error.ends_with("next: RUSTDOCFLAGS=-Dwarnings cargo doc --no-deps"), "{error}");
    }

    #[test]
    fn times_are_short() {
        assert_eq!(shown(Duration::from_millis(1234)), "1.2 s");
        assert_eq!(shown(Duration::from_secs(65)), "1 min 05 s");
    }
}
