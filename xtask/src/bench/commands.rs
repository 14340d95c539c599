//! `exec` and `ps`, beside docker compose and the same calls made raw. Containers that were never
//! started are listed as those that run, and are there much sooner.

use std::fmt;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use serde_json::json;

use super::report::{Promise, Unit, median, milliseconds, write_promises};
use super::{PROJECT, Tool};
use crate::engine::Engine;
use crate::say;

/// The service that is asked for.
const SERVICE: &str = "s1";

/// What was measured.
#[derive(Default)]
pub(super) struct Commands {
    containers: u32,
    runs: u32,
    stackctl: Times,
    compose: Option<Times>,
    floor: Times,
}

#[derive(Default)]
struct Times {
    exec: Vec<Duration>,
    ps: Vec<Duration>,
}

/// Measures with so many containers, one of which runs; the stack is there.
pub(super) fn measure(
    engine: &Engine,
    ours: &Tool<'_>,
    compose: Option<&Tool<'_>>,
    containers: u32,
    runs: u32,
) -> Result<Commands> {
    say(&format!("making {containers} containers"));
    ours.run(&["create"])?;
    ours.run(&["start", SERVICE])?;
    let found = engine.get(&format!("/containers/{PROJECT}-{SERVICE}-1/json"))?;
    let found = found.with_context(|| format!("there is no container of {SERVICE}"))?;
    let id = found["Id"].as_str().context("no id")?;
    let mut commands =
        Commands { containers, runs, compose: compose.map(|_| Times::default()), ..Commands::default() };
    // The first round warms the disk, and is not counted.
    for round in 0..=runs {
        let mut measured = Commands { compose: compose.map(|_| Times::default()), ..Commands::default() };
        measured.stackctl.round(ours)?;
        if let (Some(compose), Some(times)) = (compose, &mut measured.compose) {
            times.round(compose)?;
        }
        measured.floor.exec.push(exec(engine, id)?);
        measured.floor.ps.push(list(engine)?);
        if round > 0 {
            commands.stackctl.add(measured.stackctl);
            commands.floor.add(measured.floor);
            if let (Some(all), Some(times)) = (&mut commands.compose, measured.compose) {
                all.add(times);
            }
        }
    }
    Ok(commands)
}

impl Times {
    fn round(&mut self, tool: &Tool<'_>) -> Result<()> {
        self.exec.push(tool.run(&["exec", "-T", SERVICE, "true"])?);
        self.ps.push(tool.run(&["ps", "-a", SERVICE])?);
        Ok(())
    }

    fn add(&mut self, other: Self) {
        self.exec.extend(other.exec);
        self.ps.extend(other.ps);
    }
}

/// The engine's own time for a command in a container.
fn exec(engine: &Engine, id: &str) -> Result<Duration> {
    let begun = Instant::now();
    let mut line = engine.line()?;
    let command = json!({ "Cmd": ["true"], "AttachStdout": true, "AttachStderr": true });
    let exec = line.call("POST", &format!("/containers/{id}/exec"), Some(&command))?;
    let exec = exec["Id"].as_str().context("no exec")?;
    engine.drain(&format!("/exec/{exec}/start"), &json!({ "Detach": false, "Tty": false }))?;
    line.call("GET", &format!("/exec/{exec}/json"), None)?;
    Ok(begun.elapsed())
}

/// The engine's own time for the containers of one service.
fn list(engine: &Engine) -> Result<Duration> {
    let begun = Instant::now();
    let labels =
        [format!("com.docker.compose.project={PROJECT}"), format!("com.docker.compose.service={SERVICE}")];
    let filters = crate::http::escaped(&json!({ "label": labels }).to_string());
    engine.line()?.call("GET", &format!("/containers/json?all=true&filters={filters}"), None)?;
    Ok(begun.elapsed())
}

impl Commands {
    fn promises(&self) -> Vec<Promise> {
        let exec = median(&self.stackctl.exec).saturating_sub(median(&self.floor.exec));
        let mut all = vec![Promise {
            what: "exec, without the engine".to_owned(),
            measured: milliseconds(exec),
            unit: Unit::Milliseconds,
            limit: 15.0,
        }];
        if self.containers <= 500 {
            let measured = milliseconds(median(&self.stackctl.ps));
            all.push(Promise {
                what: "ps of a service".to_owned(),
                measured,
                unit: Unit::Milliseconds,
                limit: 30.0,
            });
        }
        all
    }

    /// Whether a promise is not kept.
    pub(super) fn is_short(&self) -> bool {
        self.promises().iter().any(|promise| !promise.is_kept())
    }
}

impl fmt::Display for Commands {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "\nmedians of {}, of {} containers", self.runs, self.containers)?;
        writeln!(f, "{:16}{:>12}{:>12}", "", "exec", "ps")?;
        let rows = [
            ("stackctl", Some(&self.stackctl)),
            ("docker compose", self.compose.as_ref()),
            ("floor", Some(&self.floor)),
        ];
        for (name, times) in rows {
            let Some(times) = times else { continue };
            let [exec, ps] =
                [&times.exec, &times.ps].map(|times| Unit::Milliseconds.shown(milliseconds(median(times))));
            writeln!(f, "{name:16}{exec:>12}{ps:>12}")?;
        }
        write_promises(f, &self.promises())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn times(exec: u64, ps: u64) -> Times {
        Times { exec: vec![Duration::from_millis(exec)], ps: vec![Duration::from_millis(ps)] }
    }

    #[test]
    fn what_the_engine_takes_is_not_ours() {
        let commands = Commands {
            containers: 500,
            runs: 1,
            stackctl: times(60, 29),
            compose: Some(times(200, 400)),
            floor: times(50, 8),
        };
        assert!(!commands.is_short());
        let text = commands.to_string();
        for line in
            ["docker compose      200.0 ms    400.0 ms", "exec, without the engine             10.0 ms"]
        {
            assert!(text.contains(line), "{line}\n{text}");
        }
        let slow = Commands { stackctl: times(66, 29), ..commands };
        assert!(slow.is_short() && slow.to_string().contains("missed"));
    }
}
