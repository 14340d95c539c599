//! `cargo xtask bench`: stackctl beside docker compose and beside the floor,
//! the same calls made raw; all in one run, in turn. `bench server` is about the server.

mod commands;
mod files;
mod floor;
mod many;
mod report;
mod server;

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use crate::cargo::{self, Profile};
use crate::engine::{self, Engine};
use crate::{compose, images, say};
use floor::Calls;
use report::{Figures, Report};

/// The project of the benchmark.
const PROJECT: &str = "stackctl-bench";

/// Its ports, out of the way of a stack that runs.
const PORTS: [(&str, &str); 4] = [
    ("REDIS_PUBLISH", "46379"),
    ("APP1_PUBLISH", "43001"),
    ("APP2_PUBLISH", "43002"),
    ("NGINX_PUBLISH", "40080"),
];

/// `cargo xtask bench`.
#[derive(Debug, clap::Args)]
pub(crate) struct BenchArgs {
    /// What is measured
    #[arg(value_enum, default_value_t = Part::Stacks)]
    part: Part,
    /// How often each is measured; medians are shown
    #[arg(long, value_name = "NUMBER", default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..))]
    runs: u32,
    /// Program of docker compose, where it is not a plugin of docker
    #[arg(long, value_name = "PATH")]
    compose: Option<PathBuf>,
    /// Stack to bring up [default: the project's own]
    #[arg(long, value_name = "FILE", conflicts_with = "services")]
    file: Option<PathBuf>,
    /// Bring up so many services that need nothing of each other, in place of a stack that waits for health
    #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(u32).range(1..))]
    services: Option<u32>,
    /// Measure `exec` and `ps` among so many containers, in place of `up` and `down`
    #[arg(long, value_name = "NUMBER", num_args = 0..=1, default_missing_value = "500", conflicts_with_all = ["file", "services"], value_parser = clap::value_parser!(u32).range(1..))]
    commands: Option<u32>,
    /// Only the figures of the server whose name has this in it: fan-out, across, writes, idle, nginx, kicked, drain
    #[arg(long, value_name = "TEXT")]
    only: Option<String>,
    /// The server without the other systems
    #[arg(long)]
    alone: bool,
}

/// What is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Part {
    /// A stack that is brought up and taken down
    Stacks,
    /// Stack files that are only read; needs no engine
    Files,
    /// The server beside its targets and other systems; needs no engine
    Server,
}

/// Measures, and says what is short of its target.
pub(crate) fn run(root: &Path, arguments: &BenchArgs) -> Result<()> {
    if arguments.part != Part::Server && (arguments.only.is_some() || arguments.alone) {
        bail!("--only and --alone are for the server");
    }
    if arguments.part == Part::Server {
        if arguments.file.is_some() || arguments.services.is_some() || arguments.commands.is_some() {
            bail!("--file, --services and --commands are for stacks");
        }
        return server::run(root, arguments);
    }
    if arguments.part == Part::Files {
        if arguments.file.is_some() || arguments.services.is_some() {
            bail!("--file and --services are for stacks; `files` makes its own");
        }
        return files::run(root, arguments);
    }
    let engine = engine::ensure()?;
    engine.introduce()?;
    images::ensure(root, &engine, false)?;
    let stackctl = cargo::build(root, "stackctl", Profile::Release)?;

    let many = arguments.services.or(arguments.commands).map(many::stack).transpose()?;
    let file = match (&arguments.file, &many) {
        (Some(file), _) => std::path::absolute(file)?,
        (None, Some(many)) => many.path().to_owned(),
        (None, None) => root.join("stack.yaml"),
    };
    // Services that need nothing of each other are not waited for.
    let up: &[&str] = if many.is_some() { &["up", "-d"] } else { &["up", "--wait"] };
    let ours = Tool::new(root, &engine, &file, up, "stackctl", vec![stackctl.display().to_string()]);
    let found = compose::find(arguments.compose.as_deref())?;
    if found.is_none() {
        say(
            "docker compose is not installed, and is not compared; a program of it can be named by --compose",
        );
    }
    let compose = found.map(|command| Tool::new(root, &engine, &file, up, "docker compose", command));
    // What an interrupted run has left would be measured, too.
    ours.run(&["down", "-v"])?;
    let measured = match arguments.commands {
        Some(containers) => commands::measure(&engine, &ours, compose.as_ref(), containers, arguments.runs)
            .map(|measured| (measured.to_string(), measured.is_short())),
        None => measure(&engine, &ours, compose.as_ref(), arguments)
            .map(|measured| (measured.to_string(), measured.is_short())),
    };
    // Also after a failure nothing stays.
    let removed = ours.run(&["down", "-v", "--rmi", "local"]);
    let (report, is_short) = measured?;
    say(&report);
    removed?;
    if is_short {
        bail!("a target is missed");
    }
    Ok(())
}

/// Whose turn it is.
#[derive(Clone, Copy)]
enum Turn {
    Stackctl,
    Compose,
    Floor,
}

fn measure(engine: &Engine, ours: &Tool, compose: Option<&Tool>, arguments: &BenchArgs) -> Result<Report> {
    let runs = arguments.runs;
    say("making the images, and learning the calls");
    ours.run(&[ours.up, &["--build"]].concat())?;
    let calls = Calls::record(engine, PROJECT, arguments.services.is_none())?;
    ours.run(&["down", "-v"])?;

    let mut report = Report { runs, services: arguments.services, ..Report::default() };
    report.stackctl.memory = Some(ours.memory(engine)?);
    if let Some(compose) = compose {
        // The first round of each is not timed: it warms the disk, and looking at the memory takes time.
        let memory = compose.memory(engine)?;
        // docker is not compose: it starts it.
        let figures = Figures { memory: compose.is_one_program().then_some(memory), ..Figures::default() };
        report.compose = Some(figures);
    }
    calls.replay(engine)?.remove(engine)?;

    for round in 1..=runs {
        say(&format!("round {round} of {runs}"));
        // Back and forth: what ran just before leaves the engine a little busier or less.
        let mut order = [Turn::Stackctl, Turn::Compose, Turn::Floor];
        if round % 2 == 0 {
            order.reverse();
        }
        for turn in order {
            match (turn, compose, &mut report.compose) {
                (Turn::Stackctl, ..) => ours.round(engine, &mut report.stackctl)?,
                (Turn::Compose, Some(compose), Some(figures)) => compose.round(engine, figures)?,
                (Turn::Compose, ..) => {}
                (Turn::Floor, ..) => calls.round(engine, &mut report.floor)?,
            }
        }
    }
    for _ in 0..runs * 20 {
        report.start.push(ours.run(&["version"])?);
    }
    Ok(report)
}

impl Calls {
    /// Does raw what a tool does in its round.
    fn round(&self, engine: &Engine, figures: &mut Figures) -> Result<()> {
        let begun = Instant::now();
        let made = self.replay(engine)?;
        figures.up.push(begun.elapsed());
        floor::settle(engine, PROJECT)?;
        let begun = Instant::now();
        self.look(engine)?;
        figures.second.push(begun.elapsed());
        let begun = Instant::now();
        made.remove(engine)?;
        figures.down.push(begun.elapsed());
        Ok(())
    }
}

/// A program that brings stacks up.
struct Tool<'a> {
    root: &'a Path,
    name: &'static str,
    /// How a stack is brought up.
    up: &'a [&'a str],
    /// The program and what comes before the command.
    command: Vec<String>,
    file: &'a Path,
    engine: (&'static str, String),
}

impl<'a> Tool<'a> {
    fn new(
        root: &'a Path,
        engine: &Engine,
        file: &'a Path,
        up: &'a [&'a str],
        name: &'static str,
        command: Vec<String>,
    ) -> Self {
        Self { root, name, up, command, file, engine: engine.variable() }
    }

    fn is_one_program(&self) -> bool {
        self.command.len() == 1
    }

    fn call(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(&self.command[0]);
        command.args(&self.command[1..]).arg("-f").arg(self.file).args(["-p", PROJECT]).args(arguments);
        command.current_dir(self.root).envs(PORTS).env(self.engine.0, &self.engine.1).stdin(Stdio::null());
        command
    }

    /// Runs a command to its end, and tells how long it took.
    fn run(&self, arguments: &[&str]) -> Result<Duration> {
        let mut command = self.call(arguments);
        let begun = Instant::now();
        let output = command.output().with_context(|| format!("{} cannot be run", self.name))?;
        let took = begun.elapsed();
        if !output.status.success() {
            let said = String::from_utf8_lossy(&output.stderr);
            bail!("{} {} ended with {}:\n{}", self.name, arguments.join(" "), output.status, said.trim_end());
        }
        Ok(took)
    }

    /// Brings the stack up, asks for the same again, and takes it down.
    fn round(&self, engine: &Engine, figures: &mut Figures) -> Result<()> {
        figures.up.push(self.run(self.up)?);
        // Asked for again when the engine's own verdicts are in.
        floor::settle(engine, PROJECT)?;
        figures.second.push(self.run(self.up)?);
        figures.down.push(self.run(&["down", "-v"])?);
        Ok(())
    }

    /// The most memory that any of these commands holds, in KiB.
    fn memory(&self, engine: &Engine) -> Result<u64> {
        let first = peak(self.call(self.up))?;
        floor::settle(engine, PROJECT)?;
        let second = peak(self.call(self.up))?;
        Ok(first.max(second).max(peak(self.call(&["down", "-v"]))?))
    }
}

/// The most memory that a program holds until it has ended, in KiB.
fn peak(mut call: Command) -> Result<u64> {
    let mut child = call.stdout(Stdio::null()).stderr(Stdio::null()).spawn()?;
    let status = format!("/proc/{}/status", child.id());
    let mut peak = 0;
    loop {
        // The mark only rises, so the last look before the end has the peak.
        peak = high_water(&std::fs::read_to_string(&status).unwrap_or_default()).max(peak);
        if let Some(code) = child.try_wait()? {
            if !code.success() {
                bail!("{call:?} ended with {code}");
            }
            return Ok(peak);
        }
        std::thread::sleep(Duration::from_micros(500));
    }
}

/// The most memory that a process has held, in KiB, by its status.
fn high_water(status: &str) -> u64 {
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.and_then(|rest| rest.split_whitespace().next()?.parse().ok()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_peak_of_memory_is_read_from_the_status() {
        assert_eq!(high_water("Name:\tx\nVmPeak:\t  9000 kB\nVmHWM:\t  1234 kB\n"), 1234);
        assert_eq!(high_water(""), 0);
    }
}
