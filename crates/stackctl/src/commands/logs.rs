//! `stackctl logs`

use std::collections::{HashMap, HashSet};
use std::pin::pin;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::bail;
use futures_util::{FutureExt, StreamExt};
use regex::bytes::Regex;
use stack_engine::docker::DockerEngine;
use stack_engine::engine::{Channel, Engine, EngineError, LineRef, LogSource, Selection};
use stack_engine::look::Listed;
use stack_file::destination::Backend;
use time::OffsetDateTime;

use crate::args::Global;
use crate::commands::again::Again;
use crate::commands::look::{Subject, is_of};
use crate::commands::swarm;
use crate::error::{Fault, Kind};
use crate::moment::moment;
use crate::render::log::{LogStyle, Logs};
use crate::settings::{self, Unplanned};

/// The word for the last start of each container.
const LAST_UP: &str = "last-up";
/// So many lines that are there are shown before they are written.
const BATCH: usize = 4096;
/// How soon after the last end it is asked whether anything runs.
const SOON: Duration = Duration::from_millis(10);
/// A log that an engine leaves open by mistake is given up after so long without a line, if
/// nothing runs.
const QUIET: Duration = Duration::from_secs(5);

/// What `logs` takes.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  stackctl logs -f --since 10m --grep error web")]
pub(crate) struct LogsArgs {
    /// Only these services
    services: Vec<String>,
    /// Go on as long as a container runs
    #[arg(short, long)]
    follow: bool,
    /// Only this container of the service, by its number
    #[arg(long, value_name = "NUMBER")]
    index: Option<u32>,
    /// Only the last lines of each container, or `all`
    #[arg(short = 'n', long, value_name = "LINES", default_value = "all")]
    tail: String,
    /// Only lines since then: a time, how long ago (`10m`), or `last-up` for each container's last start
    #[arg(long, value_name = "WHEN")]
    since: Option<String>,
    /// Only lines until then: a time, or how long ago (`10m`)
    #[arg(long, value_name = "WHEN")]
    until: Option<String>,
    /// Of these lines, only those in which the pattern is found
    #[arg(long, value_name = "REGEX")]
    grep: Option<String>,
    /// Show the time before each line
    #[arg(short, long)]
    timestamps: bool,
    #[command(flatten)]
    style: LogStyle,
}

/// Which lines are shown, beyond what the engine is asked for.
struct Wanted {
    services: Vec<String>,
    index: Option<u32>,
    pattern: Option<Regex>,
    /// The first moment of each container, in nanoseconds since 1970, by id.
    starts: HashMap<String, i64>,
}

impl Wanted {
    fn has_container(&self, source: &LogSource) -> bool {
        // A container of `run` has no number; who asked for it sees what it says.
        source.number > 0
            && (self.services.is_empty() || self.services.contains(&source.service))
            && self.index.is_none_or(|index| index == source.number)
    }

    fn has(&self, line: &LineRef<'_>) -> bool {
        if matches!(line.channel, Channel::Exit(_)) {
            return true;
        }
        let early = !self.starts.is_empty()
            && matches!((self.starts.get(&line.source.id), line.nanoseconds), (Some(start), Some(at)) if at < *start);
        !early && self.pattern.as_ref().is_none_or(|pattern| pattern.is_match(line.text))
    }
}

pub(crate) async fn run(global: &Global, args: LogsArgs) -> anyhow::Result<ExitCode> {
    let tail = match args.tail.as_str() {
        "all" => None,
        number => Some(number.parse().map_err(|_| {
            Fault::new(Kind::Usage, format!("--tail {number} is no number of lines"))
                .hint("write --tail 100, or all")
        })?),
    };
    let now = OffsetDateTime::now_utc();
    let last_up = args.since.as_deref() == Some(LAST_UP);
    let since = args.since.as_deref().filter(|_| !last_up).map(|text| moment(text, now)).transpose()?;
    let until = args.until.as_deref().map(|text| moment(text, now)).transpose()?;
    let pattern = args.grep.as_deref().map(Regex::new).transpose();
    let pattern = pattern.map_err(|error| {
        Fault::new(Kind::Usage, format!("--grep is no pattern: {error}"))
            .hint("put a backslash before a character that is meant as it is: \\[")
    })?;
    if args.index.is_some() && args.services.len() != 1 {
        return Err(Fault::new(Kind::Usage, "--index needs one service")
            .hint("write: logs --index 2 SERVICE")
            .into());
    }

    let (read, name) = settings::unplanned_or_name(global)?;
    if settings::backend(global)? == Backend::Swarm {
        swarm::refuse(&[(last_up, "--since last-up", "its tasks were made at different times")])?;
        let (services, index, follow) = (args.services, args.index, args.follow);
        let wanted = swarm::logs::Wanted { services, index, pattern, tail, since, until, follow };
        let mut logs = Logs::new(args.style.with_time(args.timestamps).with_json(global.json));
        return swarm::logs::run(global, (read.map(Unplanned::planned), name), &wanted, &mut logs).await;
    }
    let subject = Subject::of((read, name));
    let engine = settings::engine(global, true).await?;
    let listed = subject.containers(&engine, &args.services, true, false).await?;
    let mut wanted = Wanted { services: args.services, index: args.index, pattern, starts: HashMap::new() };
    let containers: Vec<LogSource> =
        listed.iter().map(source).filter(|found| wanted.has_container(found)).collect();
    if let (Some(index), true) = (args.index, containers.is_empty()) {
        let service = &wanted.services[0];
        let has: Vec<_> =
            listed.iter().filter(|found| is_of(found, &wanted.services) && !found.one_off).collect();
        match has.len() {
            0 => bail!("{service} has no container"),
            count => bail!("{service} has no container {index}; it has {count}"),
        }
    }
    let mut selection =
        Selection { project: args.follow.then(|| subject.name.clone()), tail, since, until, containers };
    if last_up {
        let ids: Vec<String> = selection.containers.iter().map(|container| container.id.clone()).collect();
        let starts: Vec<_> = engine.last_started(&ids).await;
        selection.since = starts.iter().copied().min().flatten();
        let nanoseconds = |at: OffsetDateTime| i64::try_from(at.unix_timestamp_nanos()).ok();
        wanted.starts =
            ids.into_iter().zip(starts).filter_map(|(id, at)| Some((id, nanoseconds(at?)?))).collect();
    }
    let mut logs = Logs::new(args.style.with_time(args.timestamps).with_json(global.json));
    for container in &selection.containers {
        logs.introduce(container);
    }
    let timed = args.timestamps || global.json;
    if args.follow {
        let down: HashSet<String> =
            listed.iter().filter(|found| !found.state.is_up()).map(|found| found.id.clone()).collect();
        return follow(&engine, &subject.name, (selection, down), &wanted, &mut logs).await;
    }
    let mut visit = |line: &LineRef<'_>| -> anyhow::Result<()> {
        if wanted.has(line) {
            logs.show(line)?;
        }
        Ok(())
    };
    let mut stop = pin!(super::interrupt());
    tokio::select! {
        read = engine.read_logs(&selection, timed, &mut visit) => read?,
        () = &mut stop => {}
    }
    logs.flush()?;
    Ok(ExitCode::SUCCESS)
}

fn source(container: &Listed) -> LogSource {
    LogSource {
        id: container.id.clone(),
        service: container.service.clone(),
        number: if container.one_off { 0 } else { container.number },
    }
}

async fn follow(
    engine: &DockerEngine,
    project: &str,
    (selection, mut down): (Selection, HashSet<String>),
    wanted: &Wanted,
    logs: &mut Logs,
) -> anyhow::Result<ExitCode> {
    // The containers of which lines may still come. Only when there are none does it matter
    // whether anything runs, so that no last line is left out.
    let mut open: HashSet<String> = selection.containers.iter().map(|found| found.id.clone()).collect();
    if selection.containers.is_empty() {
        return Ok(ExitCode::SUCCESS);
    }
    let mut lines = pin!(engine.follow(selection));
    let mut stop = pin!(super::interrupt());
    let mut again = Again::default();
    again.begin(QUIET);
    let mut last = Instant::now();
    loop {
        let mut next = tokio::select! {
            line = lines.next() => line,
            () = again.due() => {
                if (open.is_empty() || last.elapsed() >= QUIET) && !anything_runs(engine, project, wanted).await? {
                    return Ok(ExitCode::SUCCESS);
                }
                continue;
            }
            () = &mut stop => None,
        };
        last = Instant::now();
        for _ in 0..BATCH {
            let Some(line) = next.transpose()? else {
                logs.flush()?;
                return Ok(ExitCode::SUCCESS);
            };
            if wanted.has_container(&line.source) {
                if matches!(line.channel, Channel::Exit(_)) {
                    // That one was down before is no news.
                    if !down.remove(&line.source.id) {
                        logs.show(&line.as_line_ref())?;
                    }
                    open.remove(&line.source.id);
                    if open.is_empty() {
                        again.begin(SOON);
                    }
                } else {
                    if !open.contains(&line.source.id) {
                        open.insert(line.source.id.clone());
                    }
                    if wanted.has(&line.as_line_ref()) {
                        logs.show(&line.as_line_ref())?;
                    }
                }
            }
            // What is there already is written together.
            match lines.next().now_or_never() {
                Some(line) => next = line,
                None => break,
            }
        }
        logs.flush()?;
    }
}

/// Whether anything runs whose log is shown.
async fn anything_runs(engine: &DockerEngine, project: &str, wanted: &Wanted) -> Result<bool, EngineError> {
    let listed = engine.list(Some(project), false, false).await?;
    Ok(listed.iter().map(source).any(|found| wanted.has_container(&found)))
}
