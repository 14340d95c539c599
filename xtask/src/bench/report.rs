//! What was measured, beside its targets.

use std::fmt;
use std::time::Duration;

/// What one of those compared took.
#[derive(Default)]
pub(super) struct Figures {
    pub(super) up: Vec<Duration>,
    pub(super) second: Vec<Duration>,
    pub(super) down: Vec<Duration>,
    /// KiB.
    pub(super) memory: Option<u64>,
}

/// Everything that was measured.
#[derive(Default)]
pub(super) struct Report {
    pub(super) runs: u32,
    /// How many services that need nothing of each other; `None` for a stack that waits for health.
    pub(super) services: Option<u32>,
    pub(super) stackctl: Figures,
    pub(super) compose: Option<Figures>,
    pub(super) floor: Figures,
    /// From the start of a process that has nothing to do to its end.
    pub(super) start: Vec<Duration>,
}

/// Something that was promised.
pub(super) struct Promise {
    pub(super) what: String,
    pub(super) measured: f64,
    pub(super) unit: Unit,
    pub(super) limit: f64,
}

/// In what something is measured.
#[derive(Clone, Copy)]
pub(super) enum Unit {
    Times,
    Milliseconds,
    Mebibytes,
}

impl Report {
    fn promises(&self) -> Vec<Promise> {
        use Unit::{Mebibytes, Milliseconds, Times};
        let promise =
            |what: &str, measured, unit, limit| Promise { what: what.to_owned(), measured, unit, limit };
        let (ours, floor) = (&self.stackctl, &self.floor);
        if let Some(services) = self.services {
            let mut all = vec![promise("up, to the floor", ratio(&ours.up, &floor.up), Times, 1.15)];
            if let Some(compose) = &self.compose {
                all.push(promise("up, to docker compose", ratio(&ours.up, &compose.up), Times, 0.6));
            }
            // 40 ms for 50 services and 150 ms for 500, and on the line between them.
            let limit = 40.0 + (f64::from(services) - 50.0).max(0.0) * 110.0 / 450.0;
            all.push(promise("second up", milliseconds(median(&ours.second)), Milliseconds, limit));
            all.push(promise("down, to the floor", ratio(&ours.down, &floor.down), Times, 1.1));
            return all;
        }
        let mut all = vec![promise("up --wait, to the floor", ratio(&ours.up, &floor.up), Times, 1.25)];
        if let Some(compose) = &self.compose {
            all.push(promise("up --wait, to docker compose", ratio(&ours.up, &compose.up), Times, 0.5));
            all.push(promise(
                "second up, to docker compose",
                ratio(&ours.second, &compose.second),
                Times,
                0.05,
            ));
        }
        // The same look at the engine, made raw, is the engine's time; the rest is ours.
        let own = milliseconds(median(&ours.second).saturating_sub(median(&floor.second)));
        all.push(promise("second up, without the engine", own, Milliseconds, 25.0));
        all.push(promise("start of the process", milliseconds(median(&self.start)), Milliseconds, 5.0));
        let memory = ours.memory.unwrap_or_default() as f64 / 1024.0;
        all.push(promise("most memory", memory, Mebibytes, 15.0));
        all
    }

    /// Whether a promise is not kept.
    pub(super) fn is_short(&self) -> bool {
        self.promises().iter().any(|promise| !promise.is_kept())
    }
}

impl Promise {
    pub(super) fn is_kept(&self) -> bool {
        self.measured <= self.limit
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "\nmedians of {}", self.runs)?;
        let up = if self.services.is_some() { "up -d" } else { "up --wait" };
        writeln!(f, "{:16}{:>12}{:>12}{:>12}{:>12}", "", up, "second", "down", "memory")?;
        let rows = [("stackctl", Some(&self.stackctl)), ("docker compose", self.compose.as_ref())];
        for (name, figures) in rows.into_iter().chain([("floor", Some(&self.floor))]) {
            let Some(figures) = figures else { continue };
            let [up, second, down] = [&figures.up, &figures.second, &figures.down]
                .map(|times| Unit::Milliseconds.shown(milliseconds(median(times))));
            let memory = figures.memory.map(|kib| Unit::Mebibytes.shown(kib as f64 / 1024.0));
            writeln!(
                f,
                "{name:16}{up:>12}{second:>12}{down:>12}{:>12}",
                memory.unwrap_or_else(|| "-".to_owned())
            )?;
        }
        write_promises(f, &self.promises())
    }
}

/// What was promised, and whether it is kept.
pub(super) fn write_promises(f: &mut fmt::Formatter<'_>, promises: &[Promise]) -> fmt::Result {
    writeln!(f, "\n{:32}{:>12}{:>20}", "stackctl", "measured", "target")?;
    for promise in promises {
        let measured = promise.unit.shown(promise.measured);
        let limit = format!("at most {}", promise.unit.shown(promise.limit));
        let verdict = if promise.is_kept() { "" } else { "  missed" };
        writeln!(f, "{:32}{measured:>12}{limit:>20}{verdict}", promise.what)?;
    }
    Ok(())
}

impl Unit {
    pub(super) fn shown(self, value: f64) -> String {
        match self {
            Self::Times if value < 0.1 => format!("{value:.3} ×"),
            Self::Times => format!("{value:.2} ×"),
            Self::Milliseconds => format!("{value:.1} ms"),
            Self::Mebibytes => format!("{value:.1} MiB"),
        }
    }
}

pub(super) fn median(times: &[Duration]) -> Duration {
    let mut times = times.to_vec();
    times.sort();
    times.get(times.len() / 2).copied().unwrap_or_default()
}

pub(super) fn ratio(one: &[Duration], other: &[Duration]) -> f64 {
    median(one).as_secs_f64() / median(other).as_secs_f64()
}

pub(super) fn milliseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1000.0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn times(milliseconds: &[u64]) -> Vec<Duration> {
        milliseconds.iter().copied().map(Duration::from_millis).collect()
    }

    fn report() -> Report {
        Report {
            runs: 3,
            services: None,
            stackctl: Figures {
                up: times(&[1100, 1000, 9000]),
                second: times(&[20]),
                down: times(&[300]),
                memory: Some(10 * 1024),
            },
            compose: Some(Figures {
                up: times(&[4000]),
                second: times(&[800]),
                down: times(&[700]),
                memory: None,
            }),
            floor: Figures { up: times(&[1000]), second: times(&[8]), down: times(&[250]), memory: None },
            start: times(&[2]),
        }
    }

    #[test]
    fn medians_are_compared_with_targets() {
        let report = report();
        assert!(!report.is_short());
        let text = report.to_string();
        for line in [
            "stackctl           1100.0 ms     20.0 ms    300.0 ms    10.0 MiB",
            "docker compose     4000.0 ms    800.0 ms    700.0 ms           -",
            "up --wait, to the floor               1.10 ×      at most 1.25 ×",
            "up --wait, to docker compose          0.28 ×      at most 0.50 ×",
            "second up, without the engine        12.0 ms     at most 25.0 ms",
        ] {
            assert!(text.contains(line), "{line}\n{text}");
        }
    }

    #[test]
    fn a_target_that_is_missed_is_said() {
        let mut report = report();
        report.start = times(&[6]);
        assert!(report.is_short());
        assert!(report.to_string().contains("6.0 ms      at most 5.0 ms  missed"), "{report}");
    }

    #[test]
    fn without_docker_compose_the_rest_is_compared() {
        let report = Report { compose: None, ..report() };
        assert!(!report.to_string().contains("docker compose"));
        assert!(!report.is_short());
    }
}
