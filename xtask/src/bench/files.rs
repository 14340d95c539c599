//! `cargo xtask bench files`: how long stack files take to be read, and how much memory.

use std::fmt::{self, Write as _};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use tempfile::NamedTempFile;

use super::report::{Promise, Unit, median, milliseconds, ratio, write_promises};
use super::{BenchArgs, peak};
use crate::cargo::{self, Profile};
use crate::{compose, say};

/// Services of the files that are made up.
const SIZES: [u32; 3] = [50, 500, 5_000];

/// Reads files of many services and the project's own, and says what is short of its target.
pub(super) fn run(root: &Path, arguments: &BenchArgs) -> Result<()> {
    let stackctl = cargo::build(root, "stackctl", Profile::Release)?;
    let ours = vec![stackctl.display().to_string()];
    let theirs = compose::find(arguments.compose.as_deref())?;
    if theirs.is_none() {
        say(
            "docker compose is not installed, and is not compared; a program of it can be named by --compose",
        );
    }
    let made =
        SIZES.into_iter().map(|services| Ok((services, stack(services)?))).collect::<Result<Vec<_>>>()?;
    let own = (None, root.join("stack.yaml"));
    let files = [own].into_iter().chain(made.iter().map(|(count, file)| (Some(*count), file.path().into())));
    let mut report = Report { rows: Vec::new() };
    for (services, file) in files {
        let mut row =
            Row { services, ours: Reading::default(), theirs: theirs.as_ref().map(|_| Reading::default()) };
        let name = row.name();
        say(&format!("reading {name}, {} times", arguments.runs));
        let mut tools = vec![(&ours, &mut row.ours)];
        tools.extend(theirs.as_ref().zip(row.theirs.as_mut()));
        // The first round warms the disk and looks at the memory, which takes time.
        for (command, reading) in &mut tools {
            // docker is not compose: it starts it.
            let memory = peak(call(command, &file))?;
            reading.memory = (command.len() == 1).then_some(memory);
        }
        for _ in 0..arguments.runs {
            for (command, reading) in &mut tools {
                reading.times.push(timed(call(command, &file))?);
            }
        }
        report.rows.push(row);
    }
    say(&report.to_string());
    if report.promises().iter().any(|promise| !promise.is_kept()) {
        bail!("a target is missed");
    }
    Ok(())
}

fn call(command: &[String], file: &PathBuf) -> Command {
    let mut call = Command::new(&command[0]);
    call.args(&command[1..]).arg("-f").arg(file).args(["-p", "stackctl-bench", "config", "-q"]);
    call.stdin(Stdio::null());
    call
}

fn timed(mut call: Command) -> Result<Duration> {
    let begun = Instant::now();
    let output = call.output().context("a program cannot be run")?;
    let took = begun.elapsed();
    if !output.status.success() {
        bail!(
            "{call:?} ended with {}:\n{}",
            output.status,
            String::from_utf8_lossy(&output.stderr).trim_end()
        );
    }
    Ok(took)
}

/// A stack of so many services, each with about as much as services have. The file goes when it
/// is dropped.
fn stack(services: u32) -> Result<NamedTempFile> {
    let mut text = String::from("services:\n  base:\n    image: base:1\n");
    let mut volumes = String::new();
    for number in 0..services {
        // Chains of ten.
        let other = if number % 10 == 0 { "base".to_owned() } else { format!("app{}", number - 1) };
        write!(
            text,
            r#"  app{number}:
    image: registry.example.com/team/app{number}:1.{number}
    command: ["serve", "--port", "8080"]
    environment:
      LOG_LEVEL: info
      DATABASE_URL: postgres://db{number}.internal:5432/app{number}
      FEATURE: "${{FEATURE:-off}}"
    ports: ["127.0.0.1:{port}:8080"]
    volumes:
      - data{number}:/var/lib/app
      - ./conf/{number}:/etc/app:ro
    networks: [front, back]
    labels: {{ team: core, index: "{number}" }}
    depends_on:
      {other}: {{ condition: service_started }}
    healthcheck: {{ test: [CMD, /app, healthcheck], interval: 10s, timeout: 3s, retries: 3 }}
    restart: unless-stopped
    deploy: {{ resources: {{ limits: {{ memory: 64M, cpus: "0.5" }} }} }}
    logging: {{ driver: json-file, options: {{ max-size: 10m }} }}
"#,
            port = 10_000 + number,
        )?;
        writeln!(volumes, "  data{number}: {{}}")?;
    }
    write!(text, "networks:\n  front: {{}}\n  back: {{}}\nvolumes:\n{volumes}")?;
    let mut file = tempfile::Builder::new().prefix("stackctl-bench-").suffix(".yaml").tempfile()?;
    file.write_all(text.as_bytes())?;
    Ok(file)
}

/// What reading one file took.
#[derive(Default)]
struct Reading {
    times: Vec<Duration>,
    /// KiB.
    memory: Option<u64>,
}

struct Row {
    /// How many services were made up; `None` for the project's own file.
    services: Option<u32>,
    ours: Reading,
    theirs: Option<Reading>,
}

impl Row {
    fn name(&self) -> String {
        self.services.map_or_else(|| "stack.yaml".to_owned(), |services| format!("{services} services"))
    }
}

struct Report {
    rows: Vec<Row>,
}

impl Report {
    fn of(&self, services: u32) -> Option<&Row> {
        self.rows.iter().find(|row| row.services == Some(services))
    }

    fn promises(&self) -> Vec<Promise> {
        let promise =
            |what: &str, measured, unit, limit| Promise { what: what.to_owned(), measured, unit, limit };
        let mut all = Vec::new();
        for row in &self.rows {
            let Some(theirs) = &row.theirs else { continue };
            let name = row.name();
            let times = ratio(&row.ours.times, &theirs.times);
            all.push(promise(&format!("{name}, to docker compose"), times, Unit::Times, 0.1));
            if let (Some(ours), Some(theirs)) = (row.ours.memory, theirs.memory) {
                let part = ours as f64 / theirs as f64;
                all.push(promise(&format!("{name}, memory"), part, Unit::Times, 0.2));
            }
        }
        if let (Some(some), Some(many)) = (self.of(500), self.of(5_000)) {
            let (some, many) = (&some.ours.times, &many.ours.times);
            all.push(promise("500 services", milliseconds(median(some)), Unit::Milliseconds, 30.0));
            // Ten times as many take ten times as long, and a little for memory that is farther away.
            all.push(promise("5000 services, to 500", ratio(many, some), Unit::Times, 12.0));
        }
        all
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rounds = self.rows.first().map_or(0, |row| row.ours.times.len());
        writeln!(f, "\nconfig -q, medians of {rounds}")?;
        writeln!(f, "{:16}{:>14}{:>12}{:>18}{:>12}", "", "stackctl", "memory", "docker compose", "memory")?;
        for row in &self.rows {
            write!(f, "{:16}", row.name())?;
            for (reading, width) in [(Some(&row.ours), 14), (row.theirs.as_ref(), 18)] {
                let Some(reading) = reading else { continue };
                let time = Unit::Milliseconds.shown(milliseconds(median(&reading.times)));
                let memory = reading.memory.map(|kib| Unit::Mebibytes.shown(kib as f64 / 1024.0));
                write!(f, "{time:>width$}{:>12}", memory.unwrap_or_else(|| "-".to_owned()))?;
            }
            writeln!(f)?;
        }
        write_promises(f, &self.promises())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reading(milliseconds: u64, memory: u64) -> Reading {
        Reading { times: vec![Duration::from_millis(milliseconds)], memory: Some(memory * 1024) }
    }

    fn report(many: u64) -> Report {
        let row = |services, ours, theirs| Row { services, ours, theirs: Some(theirs) };
        Report {
            rows: vec![
                row(None, reading(4, 8), reading(80, 50)),
                row(Some(500), reading(20, 20), reading(1000, 130)),
                row(Some(5_000), reading(many, 100), reading(10_000, 700)),
            ],
        }
    }

    #[test]
    fn files_are_compared_with_docker_compose_and_with_each_other() {
        let text = report(200).to_string();
        for line in [
            "stack.yaml              4.0 ms     8.0 MiB           80.0 ms    50.0 MiB",
            "500 services, to docker compose      0.020 ×      at most 0.10 ×",
            "500 services, memory                  0.15 ×      at most 0.20 ×",
            "5000 services, to 500                10.00 ×     at most 12.00 ×",
        ] {
            assert!(text.contains(line), "{line}\n{text}");
        }
        assert!(!text.contains("missed"), "{text}");
        assert!(report(400).to_string().contains("20.00 ×     at most 12.00 ×  missed"));
    }

    #[test]
    fn the_files_have_as_many_services_as_they_should() {
        let file = stack(12).expect("written");
        let text = std::fs::read_to_string(file.path()).expect("a file");
        assert_eq!(text.matches("    image: ").count(), 13);
        assert!(text.contains("\n      app10: { condition"), "{text}");
    }
}
