//! `stackctl logs`

use std::pin::pin;
use std::process::ExitCode;
use std::time::Duration;

use futures_util::StreamExt;
use stack_engine::engine::{Channel, Engine, LogSource, Query, Selection};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::args::Global;
use crate::error::{Fault, Kind};
use crate::render::log::{LogStyle, Logs};
use crate::settings;

/// What `logs` takes.
#[derive(Debug, clap::Args)]
pub(crate) struct LogsArgs {
    /// Only these services
    services: Vec<String>,
    /// Go on as long as a container runs
    #[arg(short, long)]
    follow: bool,
    /// Only the last lines of each container, or `all`
    #[arg(short = 'n', long, value_name = "LINES", default_value = "all")]
    tail: String,
    /// Only lines since then: a time, or how long ago (`10m`)
    #[arg(long, value_name = "WHEN")]
    since: Option<String>,
    /// Only lines until then: a time, or how long ago (`10m`)
    #[arg(long, value_name = "WHEN")]
    until: Option<String>,
    /// Show the time before each line
    #[arg(short, long)]
    timestamps: bool,
    #[command(flatten)]
    style: LogStyle,
}

pub(crate) async fn run(global: &Global, args: LogsArgs) -> anyhow::Result<ExitCode> {
    let (project, name) = settings::read_or_name(global)?;
    if let Some(project) = &project {
        project.check_services(&args.services)?;
    }
    let tail = match args.tail.as_str() {
        "all" => None,
        number => Some(number.parse().map_err(|_| {
            Fault::new(Kind::Usage, format!("--tail {number} is no number of lines"))
                .hint("write --tail 100, or all")
        })?),
    };
    let now = OffsetDateTime::now_utc();
    let since = args.since.as_deref().map(|text| moment(text, now)).transpose()?;
    let until = args.until.as_deref().map(|text| moment(text, now)).transpose()?;

    let engine = settings::engine(global, true).await?;
    let observed = engine.observe(&Query { project: name.clone(), ..Query::default() }).await?;
    let containers: Vec<LogSource> = observed
        .containers
        .iter()
        .filter(|container| !container.one_off)
        .filter(|container| args.services.is_empty() || args.services.contains(&container.service))
        .map(|container| LogSource {
            id: container.id.clone(),
            service: container.service.clone(),
            number: container.number,
        })
        .collect();
    let mut logs = Logs::new(args.style.with_time(args.timestamps));
    for source in &containers {
        logs.introduce(source);
    }
    let mut open = containers.len();
    let selection = Selection {
        containers,
        follow: args.follow,
        project: args.follow.then(|| name.clone()),
        tail,
        since,
        until,
    };
    let mut lines = pin!(engine.follow(selection));
    let mut stop = pin!(super::interrupt());
    if args.follow && open == 0 {
        return Ok(ExitCode::SUCCESS);
    }
    loop {
        let line = tokio::select! {
            line = lines.next() => line,
            () = &mut stop => return Ok(ExitCode::SUCCESS),
        };
        let Some(line) = line.transpose()? else { return Ok(ExitCode::SUCCESS) };
        if !args.services.is_empty() && !args.services.contains(&line.source.service) {
            continue;
        }
        logs.show(&line)?;
        if matches!(line.channel, Channel::Exit(_)) {
            let observed = engine.observe(&Query { project: name.clone(), ..Query::default() }).await?;
            open = observed
                .containers
                .iter()
                .filter(|container| args.services.is_empty() || args.services.contains(&container.service))
                .filter(|container| container.state.is_up())
                .count();
            if open == 0 {
                return Ok(ExitCode::SUCCESS);
            }
        }
    }
}

/// A moment: RFC 3339, seconds since 1970, a date, or a time before now such as `1h30m`.
fn moment(text: &str, now: OffsetDateTime) -> anyhow::Result<OffsetDateTime> {
    if let Ok(moment) = OffsetDateTime::parse(text, &Rfc3339) {
        return Ok(moment);
    }
    if let Ok(seconds) = text.parse::<f64>() {
        return Ok(OffsetDateTime::UNIX_EPOCH + time::Duration::seconds_f64(seconds));
    }
    for suffix in ["Z", ":00Z", "T00:00:00Z"] {
        if let Ok(moment) = OffsetDateTime::parse(&format!("{text}{suffix}"), &Rfc3339) {
            return Ok(moment);
        }
    }
    match ago(text) {
        Some(ago) => Ok(now - ago),
        None => Err(Fault::new(Kind::Usage, format!("{text} is no time"))
            .hint("write 2026-01-31T12:00:00Z, or how long ago: 10m, 1h30m")
            .into()),
    }
}

/// A Go duration: `1h30m`, `90s`, `1.5h`.
fn ago(text: &str) -> Option<Duration> {
    let mut total = 0.0;
    let mut rest = text;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let number: f64 = rest[..digits].parse().ok()?;
        rest = &rest[digits..];
        let (unit, seconds) = [("ms", 0.001), ("h", 3600.0), ("m", 60.0), ("s", 1.0)]
            .into_iter()
            .find(|(unit, _)| rest.starts_with(unit))?;
        total += number * seconds;
        rest = &rest[unit.len()..];
    }
    (!text.is_empty()).then(|| Duration::try_from_secs_f64(total).ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_is_a_time_or_an_age() {
        let now = OffsetDateTime::from_unix_timestamp(1_800_000_000).expect("a valid time");
        let at = |text: &str| moment(text, now).map(OffsetDateTime::unix_timestamp).ok();
        assert_eq!(at("10m"), Some(1_800_000_000 - 600));
        assert_eq!(at("1h30m"), Some(1_800_000_000 - 5400));
        assert_eq!(at("1800000000"), Some(1_800_000_000));
        assert_eq!(at("2026-01-31T12:00:00Z"), Some(1_769_860_800));
        assert_eq!(at("2026-01-31T12:00:00"), Some(1_769_860_800));
        assert_eq!(at("2026-01-31T12:00"), Some(1_769_860_800));
        assert_eq!(at("2026-01-31"), Some(1_769_817_600));
        assert_eq!(at("yesterday"), None);
        assert_eq!(at("m"), None);
        assert_eq!(at(""), None);
    }
}
