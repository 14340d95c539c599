//! `cargo xtask rolling`: the servers of the first stack are replaced while clients write and read
//! through its nginx: by a new image, and by a broken one that must go again.

mod clients;
mod verdict;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};

use crate::cargo::{self, Profile};
use crate::first_stack::Stack;
use crate::{compose, engine, images, say};
use clients::Clients;
use verdict::{Seen, table};

const PROJECT: &str = "stackctl-rolling";
/// The services that are replaced.
const SERVERS: [&str; 2] = ["app1", "app2"];
/// After a change, and before its end is looked at.
const PAUSE: Duration = Duration::from_secs(5);
/// What a broken image may take to be known as one, where nobody waits for it.
const AFTERMATH: Duration = Duration::from_secs(15);
/// How `up` of stackctl ends when it has put back what it had replaced.
const ROLLED_BACK: i32 = 9;

/// `cargo xtask rolling`.
#[derive(Debug, clap::Args)]
pub(crate) struct RollingArgs {
    /// How many clients there are
    #[arg(long, value_name = "NUMBER", default_value_t = 2000)]
    clients: u32,
    /// Leave docker compose out
    #[arg(long)]
    alone: bool,
}

/// Replaces the servers with stackctl, and then with docker compose, and judges what came of it.
pub(crate) fn run(root: &Path, arguments: &RollingArgs) -> Result<()> {
    let compose = if arguments.alone { None } else { compose::find(None)? };
    if compose.is_none() && !arguments.alone {
        say(&format!(
            "docker compose is not installed and is left out; a program of it can be named by {}",
            compose::VARIABLE
        ));
    }
    replace(root, arguments.clients, compose.as_deref())
}

/// The same as a part of the tests: fewer clients, and nobody beside it.
pub(crate) fn short(root: &Path) -> Result<()> {
    replace(root, 200, None)
}

fn replace(root: &Path, clients: u32, compose: Option<&[String]>) -> Result<()> {
    let engine = engine::ensure()?;
    engine.introduce()?;
    images::ensure(root, &engine, false)?;
    let stackctl = cargo::build(root, "stackctl", Profile::Dev)?;
    let bench = cargo::build(root, "server-bench", Profile::Dev)?;
    let stack = Stack::new(root, &engine, &stackctl, PROJECT)?;
    let versions = Versions::new()?;
    let done = versions.build(&stack).and_then(|()| {
        let ours = with_stackctl(&stack, &versions, &bench, clients);
        down(&stack)?;
        let theirs = match compose {
            Some(words) if ours.is_ok() => Some(with_compose(&stack, &versions, &bench, clients, words)?),
            _ => None,
        };
        Ok((ours?, theirs))
    });
    let removed = down(&stack).and_then(|()| versions.remove(&stack));
    let (ours, theirs) = done?;
    removed?;
    say::result(&table(clients, &ours, theirs.as_ref()));
    say(&load());
    let broken = ours.broken();
    ensure!(broken.is_empty(), "{}", broken.join("; "));
    Ok(())
}

/// What the processors did beside it: figures of a machine that is busy are no figures of the stack.
fn load() -> String {
    let processors = std::thread::available_parallelism().map_or(0, usize::from);
    let text = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let average = text.split(' ').next().unwrap_or("?");
    format!("{processors} processors, of which the load average of the last minute was {average}")
}

fn down(stack: &Stack<'_>) -> Result<()> {
    stack.run(&["down", "--volumes", "--remove-orphans", "--timeout", "0"])
}

/// Images of the server that differ, and the files that name them.
struct Versions {
    directory: tempfile::TempDir,
}

impl Versions {
    /// The tag of a version, and what makes it another than the one before.
    const CHANGES: [(&'static str, &'static str); 2] =
        [("good", "LABEL version=2"), ("broken", "ENV HISTORY_EVENTS=none")];

    fn new() -> Result<Self> {
        let directory = tempfile::tempdir()?;
        for (version, _) in Self::CHANGES {
            let image = format!("image: {PROJECT}-server:{version}, build: !reset null, pull_policy: never");
            let services = SERVERS.map(|service| format!("  {service}: {{ {image} }}\n"));
            std::fs::write(
                directory.path().join(version).with_extension("yaml"),
                format!("services:\n{}", services.concat()),
            )?;
        }
        let services = Self::CHANGES.map(|(version, change)| {
            let recipe = format!("FROM {PROJECT}-app1\\n{change}\\n");
            format!(
                "  {version}: {{ image: '{PROJECT}-server:{version}', build: {{ dockerfile_inline: \"{recipe}\" }} }}\n"
            )
        });
        std::fs::write(directory.path().join("images.yaml"), format!("services:\n{}", services.concat()))?;
        Ok(Self { directory })
    }

    fn file(&self, version: &str) -> PathBuf {
        self.directory.path().join(version).with_extension("yaml")
    }

    /// Builds the image that the stack has, and from that the others.
    fn build(&self, stack: &Stack<'_>) -> Result<()> {
        stack.run(&["build", "app1", "app2"])?;
        let mut command = stack.command(stack.stackctl);
        command.arg("--file").arg(self.file("images")).args(["--project-name", PROJECT, "build"]);
        let status = command.status().context("stackctl cannot be run")?;
        ensure!(status.success(), "the versions of the server are not built: {status}");
        Ok(())
    }

    fn remove(&self, stack: &Stack<'_>) -> Result<()> {
        let versions = Self::CHANGES.map(|(version, _)| format!("{PROJECT}-server:{version}"));
        let own = SERVERS.map(|service| format!("{PROJECT}-{service}"));
        for image in versions.iter().chain(&own) {
            stack.engine.delete(&format!("/images/{image}?force=true"))?;
        }
        Ok(())
    }
}

/// Runs a command to its end: its exit code, and how long it took.
fn timed(mut command: Command) -> Result<(Option<i32>, Duration)> {
    let begun = Instant::now();
    let program = command.get_program().to_string_lossy().into_owned();
    let status = command.status().with_context(|| format!("{program} cannot be run"))?;
    Ok((status.code(), begun.elapsed()))
}

fn with_stackctl(stack: &Stack<'_>, versions: &Versions, bench: &Path, clients: u32) -> Result<Seen> {
    stack.run(&["up", "--wait"])?;
    let up = |version: &str| {
        let words = stack.words(stack.stackctl, &[versions.file(version)], &["up", "-d", "--rolling"]);
        let mut command = stack.command(stack.stackctl);
        command.args(&words[1..]);
        timed(command)
    };
    let crowd = Clients::gather(stack, bench, clients)?;
    let (code, good) = up("good")?;
    ensure!(code == Some(0), "the good image was not taken: exit code {code:?}");
    ensure_image(stack, "good")?;
    std::thread::sleep(PAUSE);
    let (code, broken) = up("broken")?;
    ensure!(code == Some(ROLLED_BACK), "the broken image was not refused: exit code {code:?}");
    ensure_image(stack, "good")?;
    std::thread::sleep(PAUSE);
    Ok(Seen { figures: crowd.leave()?, good, broken })
}

/// The same changes as docker compose makes them. What the broken image has taken down is brought
/// up again, so that clients can tell what they have missed.
fn with_compose(
    stack: &Stack<'_>,
    versions: &Versions,
    bench: &Path,
    clients: u32,
    compose: &[String],
) -> Result<Seen> {
    let (program, first) = compose.split_first().context("no program")?;
    let call = |further: &[PathBuf], arguments: &[&str]| {
        let words = stack.words(Path::new(program), further, arguments);
        let mut command = stack.command(program);
        command.args(first).args(&words[1..]);
        timed(command)
    };
    let (code, _) = call(&[], &["up", "-d", "--wait", "--no-build"])?;
    ensure!(code == Some(0), "docker compose does not bring the stack up: exit code {code:?}");
    let mut crowd = Clients::gather(stack, bench, clients)?;
    let (_, good) = call(&[versions.file("good")], &["up", "-d"])?;
    std::thread::sleep(PAUSE + AFTERMATH);
    let (_, broken) = call(&[versions.file("broken")], &["up", "-d"])?;
    std::thread::sleep(AFTERMATH);
    crowd.stop_counting()?;
    call(&[versions.file("good")], &["up", "-d", "--wait"])?;
    std::thread::sleep(PAUSE);
    Ok(Seen { figures: crowd.leave()?, good, broken })
}

/// Fails unless both servers run, from this version of the image.
fn ensure_image(stack: &Stack<'_>, version: &str) -> Result<()> {
    let wanted = format!("{PROJECT}-server:{version}");
    for service in SERVERS {
        let path = format!("/containers/{PROJECT}-{service}-1/json");
        let Some(container) = stack.engine.get(&path)? else { bail!("{service} has no container") };
        let (image, runs) = (&container["Config"]["Image"], &container["State"]["Running"]);
        ensure!(*image == *wanted && *runs == true, "{service} has {image}, running: {runs}");
    }
    Ok(())
}
