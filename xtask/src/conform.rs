//! `cargo xtask conform`: stackctl beside docker compose over every compose file
//! of some folders. Both only read the files; no engine is needed.

mod compare;
mod corpus;
mod exceptions;
mod generate;
mod record;
mod report;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::cargo::{Profile, build};
use crate::say;
use corpus::{Case, cases};
use exceptions::Exceptions;
use report::{Report, Told};

/// The name that every stack gets, whatever its folder is called.
const PROJECT: &str = "conform";

/// `cargo xtask conform`.
#[derive(Debug, clap::Args)]
pub(crate) struct ConformArgs {
    /// Folders to look through
    #[arg(required_unless_present = "generate", value_name = "DIR")]
    directories: Vec<PathBuf>,
    /// Make up as many stacks, and compare these, too
    #[arg(long, value_name = "NUMBER")]
    generate: Option<usize>,
    /// What the made-up stacks are drawn from: the same seed makes the same ones
    #[arg(long, value_name = "NUMBER", default_value_t = 1, requires = "generate")]
    seed: u64,
    /// Keep the made-up stacks that differ in this folder
    #[arg(long, value_name = "DIR", requires = "generate")]
    keep: Option<PathBuf>,
    /// Write what docker compose says to the made-up stacks on which both agree into this folder
    #[arg(long, value_name = "DIR", requires = "generate")]
    record: Option<PathBuf>,
    /// docker compose's own program [default: `docker compose`]
    #[arg(long, value_name = "PATH")]
    compose: Option<PathBuf>,
    /// stackctl [default: it is built]
    #[arg(long, value_name = "PATH")]
    stackctl: Option<PathBuf>,
    /// Try every YAML file with services, whatever its name
    #[arg(long)]
    all: bool,
    /// Compare the hashes of the services, too, where both show the same stack
    #[arg(long)]
    hashes: bool,
    /// Report as JSON on standard output
    #[arg(long)]
    json: bool,
    /// List of differences that are accepted, with their reasons
    #[arg(long, value_name = "FILE")]
    exceptions: Option<PathBuf>,
    /// Least agreement that is good enough
    #[arg(long, value_name = "PERCENT", default_value_t = 99.0)]
    at_least: f64,
    /// How many files are tried at a time
    #[arg(long, value_name = "NUMBER", default_value_t = 2)]
    jobs: usize,
    /// How long one program may take over one file
    #[arg(long, value_name = "SECONDS", default_value_t = 20)]
    seconds: u64,
}

/// What comes of one file.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Outcome {
    /// Both show the same stack.
    Same,
    /// Both refuse the file.
    BothRefuse,
    /// Both take it, for different things.
    Differs(Difference),
    /// Only docker compose refuses it; its reason.
    TooLax(String),
    /// Only stackctl refuses it; its reason.
    TooStrict(String),
    /// A program did not end, or ended in a way that is no answer.
    Broken(String),
}

/// The first place at which two stacks are not the same.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Difference {
    /// The path from the top: `services.web.ports[0].target`.
    pub(crate) path: String,
    /// What stackctl says; `None` for nothing.
    pub(crate) ours: Option<Value>,
    /// What docker compose says.
    pub(crate) theirs: Option<Value>,
}

/// How a program is called.
struct Caller {
    program: Vec<PathBuf>,
    home: PathBuf,
    limit: Duration,
}

/// What a program says to a file.
enum Answer {
    Taken(String),
    Refused(String),
    Broken(String),
}

/// Compares all files, reports, and fails if too few agree.
pub(crate) fn run(root: &Path, arguments: &ConformArgs) -> Result<()> {
    let exceptions = match &arguments.exceptions {
        Some(path) => Exceptions::read(path)?,
        None => Exceptions::default(),
    };
    let ours = match &arguments.stackctl {
        Some(path) => path.canonicalize().with_context(|| path.display().to_string())?,
        None => build(root, "stackctl", Profile::Dev)?,
    };
    let theirs = match &arguments.compose {
        Some(path) => vec![path.canonicalize().with_context(|| path.display().to_string())?],
        None => vec!["docker".into(), "compose".into()],
    };
    let mut all = Vec::new();
    for directory in &arguments.directories {
        all.extend(cases(directory, arguments.all)?);
    }
    let made = made(arguments)?;
    if let Some(made) = &made {
        all.extend(cases(made.path(), false)?);
    }
    if all.is_empty() {
        bail!("there is no compose file\nnext: name other folders, or take every YAML file with --all");
    }
    let home = tempfile::tempdir().context("no temporary folder")?;
    let caller = |program: Vec<PathBuf>| Caller {
        program,
        home: home.path().to_owned(),
        limit: Duration::from_secs(arguments.seconds),
    };
    let (ours, theirs) = (caller(vec![ours]), caller(theirs));
    theirs.check()?;

    let next = AtomicUsize::new(0);
    let done = Mutex::new(Vec::with_capacity(all.len()));
    std::thread::scope(|scope| {
        for _ in 0..arguments.jobs.clamp(1, 64) {
            scope.spawn(|| {
                while let Some(case) = all.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let outcome = outcome(case, &ours, &theirs, arguments.hashes);
                    let accepted = match outcome {
                        Outcome::Same | Outcome::BothRefuse => None,
                        _ => exceptions.reason(&case.name).map(str::to_owned),
                    };
                    let beyond = accepted.is_some() && exceptions.is_beyond(&case.name);
                    let told = Told { file: case.name.clone(), outcome, accepted, beyond };
                    done.lock().unwrap_or_else(std::sync::PoisonError::into_inner).push(told);
                }
            });
        }
    });
    let mut told = done.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
    told.sort_by(|one, other| one.file.cmp(&other.file));
    if let Some(made) = made {
        let outcomes: BTreeMap<&str, &Outcome> =
            told.iter().map(|told| (told.file.as_str(), &told.outcome)).collect();
        for case in cases(made.path(), false)? {
            settle(&case, outcomes.get(case.name.as_str()).copied(), arguments, &theirs)?;
        }
    }
    let report = Report::of(told, &exceptions);
    if arguments.json {
        say::result(&serde_json::to_string_pretty(&report.value())?);
    } else {
        say::say(&report.text());
    }
    let agreement = report.agreement();
    if agreement < arguments.at_least {
        bail!("{agreement:.1} % agree, and {} % must", arguments.at_least);
    }
    Ok(())
}

/// The folder of the stacks that are made up.
fn made(arguments: &ConformArgs) -> Result<Option<tempfile::TempDir>> {
    let Some(count) = arguments.generate else { return Ok(None) };
    let made = tempfile::tempdir().context("no temporary folder")?;
    for number in 0..count {
        let name = format!("made-{}-{number:04}", arguments.seed);
        generate::write(&made.path().join(name), arguments.seed, number)?;
    }
    Ok(Some(made))
}

/// Keeps or records a stack that was made up, where that is asked for.
fn settle(case: &Case, outcome: Option<&Outcome>, arguments: &ConformArgs, theirs: &Caller) -> Result<()> {
    let name = case.name.rsplit('/').next().unwrap_or(&case.name);
    let write = |folder: &Option<PathBuf>| -> Result<()> {
        let Some(folder) = folder else { return Ok(()) };
        let answer = match theirs.ask(case, &["config", "--format", "json"]) {
            Answer::Taken(text) => Some(text),
            Answer::Refused(_) | Answer::Broken(_) => None,
        };
        record::write(&case.directory, answer.as_deref(), &folder.join(format!("{name}.txt")))
    };
    match outcome {
        Some(Outcome::Same | Outcome::BothRefuse) => write(&arguments.record),
        _ => write(&arguments.keep),
    }
}

fn outcome(case: &Case, ours: &Caller, theirs: &Caller, hashes: bool) -> Outcome {
    let show = ["config", "--format", "json"];
    let (we, they) = match (ours.ask(case, &show), theirs.ask(case, &show)) {
        (Answer::Broken(why), _) => return Outcome::Broken(format!("stackctl {why}")),
        (_, Answer::Broken(why)) => return Outcome::Broken(format!("docker compose {why}")),
        (Answer::Refused(_), Answer::Refused(_)) => return Outcome::BothRefuse,
        (Answer::Refused(why), Answer::Taken(_)) => return Outcome::TooStrict(why),
        (Answer::Taken(_), Answer::Refused(why)) => return Outcome::TooLax(why),
        (Answer::Taken(we), Answer::Taken(they)) => (we, they),
    };
    let shown = they;
    let (we, they) = match (serde_json::from_str(&we), serde_json::from_str(&shown)) {
        (Ok(we), Ok(they)) => (we, they),
        (Err(error), _) => return Outcome::Broken(format!("stackctl writes no JSON: {error}")),
        (_, Err(error)) => return Outcome::Broken(format!("docker compose writes no JSON: {error}")),
    };
    if let Some(found) = compare::difference(we, they) {
        return Outcome::Differs(found);
    }
    if hashes {
        let show = ["config", "--hash", "*"];
        // docker compose 2 hashes what is written, but labels containers with the hash of
        // what environment files come to: its hash of its own result is the one that counts.
        let resolved = match theirs.resolved(&shown) {
            Ok(resolved) => resolved,
            Err(error) => return Outcome::Broken(format!("{error:#}")),
        };
        let again = case.again(resolved.path());
        if let (Answer::Taken(we), Answer::Taken(they)) = (ours.ask(case, &show), theirs.ask(&again, &show))
            && let Some(found) = compare::hash_difference(&we, &they)
        {
            return Outcome::Differs(found);
        }
    }
    Outcome::Same
}

impl Caller {
    /// A call with nothing in its environment that could change its answer.
    fn command(&self) -> Command {
        let mut command = Command::new(&self.program[0]);
        command.args(&self.program[1..]).env_clear().env("HOME", &self.home).stdin(Stdio::null());
        if let Some(path) = std::env::var_os("PATH") {
            command.env("PATH", path);
        }
        // Plugins of docker are looked for in the home of whoever calls.
        if let (true, Some(home)) = (self.program.len() > 1, std::env::var_os("HOME")) {
            command.env("DOCKER_CONFIG", Path::new(&home).join(".docker"));
        }
        command
    }

    fn check(&self) -> Result<()> {
        let there = self.command().arg("version").stdout(Stdio::null()).stderr(Stdio::null()).status();
        if there.is_ok_and(|status| status.success()) {
            return Ok(());
        }
        let name: Vec<_> = self.program.iter().map(|part| part.display().to_string()).collect();
        bail!("`{}` cannot be run\nnext: name docker compose's program with --compose", name.join(" "));
    }

    /// A file with a stack that was shown.
    fn resolved(&self, shown: &str) -> Result<tempfile::NamedTempFile> {
        let file = tempfile::Builder::new().suffix(".json").tempfile_in(&self.home)?;
        std::fs::write(file.path(), shown)?;
        Ok(file)
    }

    fn ask(&self, case: &Case, arguments: &[&str]) -> Answer {
        let mut command = self.command();
        command.current_dir(&case.directory).env("PWD", &case.directory);
        command.envs(case.environment.iter().map(|(name, value)| (name, value)));
        command.args(&case.arguments).args(arguments);
        if let Some(file) = &case.stdin {
            match std::fs::File::open(file) {
                Ok(file) => command.stdin(file),
                Err(error) => return Answer::Broken(format!("gets no standard input: {error}")),
            };
        }
        match limited(&mut command, self.limit) {
            Ok((Some(0), stdout, _)) => Answer::Taken(stdout),
            // A panic of ours has a code of its own, and docker compose's are no answers either.
            Ok((Some(101), _, stderr)) => Answer::Broken(format!("panicked: {}", fault(&stderr))),
            Ok((Some(2), _, stderr)) if stderr.contains("goroutine ") => {
                Answer::Broken(format!("panicked: {}", fault(&stderr)))
            }
            Ok((Some(_), _, stderr)) => Answer::Refused(fault(&stderr)),
            Ok((None, _, _)) => Answer::Broken("was killed by a signal".to_owned()),
            Err(error) => Answer::Broken(format!("{error:#}")),
        }
    }
}

/// Runs a program to its end, or ends it: its exit code and what it wrote.
fn limited(command: &mut Command, limit: Duration) -> Result<(Option<i32>, String, String)> {
    // Files cannot fill up as pipes do while nobody reads.
    let (out, error) = (tempfile::NamedTempFile::new()?, tempfile::NamedTempFile::new()?);
    let begun = Instant::now();
    let mut child = command.stdout(out.reopen()?).stderr(error.reopen()?).spawn().context("cannot be run")?;
    let status = loop {
        if let Some(status) = child.try_wait()? {
            break status;
        }
        if begun.elapsed() > limit {
            child.kill()?;
            child.wait()?;
            bail!("did not end within {} s", limit.as_secs());
        }
        std::thread::sleep(Duration::from_millis(5));
    };
    let text = |file: &tempfile::NamedTempFile| {
        std::fs::read(file.path()).map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
    };
    Ok((status.code(), text(&out)?, text(&error)?))
}

/// The line that says why: the first error of ours, or the last line of docker compose.
fn fault(stderr: &str) -> String {
    let lines = || stderr.lines().map(str::trim).filter(|line| !line.is_empty());
    let ours = lines().find(|line| line.starts_with("error"));
    ours.or_else(|| lines().find(|line| !line.starts_with("time="))).unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fault_is_the_line_that_says_why() {
        let ours = "warning: the variable `A` is not set\n\nerror: `build` has no value\n --> a.yaml:3\nerror: the stack file has 1 error\n";
        assert_eq!(fault(ours), "error: `build` has no value");
        let theirs = "time=\"now\" level=warning msg=\"obsolete\"\nvalidating a.yaml: it is wrong\n";
        assert_eq!(fault(theirs), "validating a.yaml: it is wrong");
    }

    #[test]
    fn a_program_that_does_not_end_is_ended() {
        let fault = limited(Command::new("sleep").arg("60"), Duration::from_millis(50)).expect_err("a limit");
        assert!(fault.to_string().starts_with("did not end"), "{fault}");
        let done =
            limited(Command::new("sh").args(["-c", "echo a; echo b >&2; exit 3"]), Duration::from_secs(9));
        assert_eq!(done.expect("an end"), (Some(3), "a\n".to_owned(), "b\n".to_owned()));
    }
}
