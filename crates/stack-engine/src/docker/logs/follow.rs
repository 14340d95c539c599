//! Listens to logs: what is there already by its time, then whatever comes as it comes.

use std::collections::{HashMap, HashSet, VecDeque};
use std::pin::Pin;
use std::time::Duration;

use bollard::Docker;
use bollard::query_parameters::InspectContainerOptions;
use bytes::Bytes;
use futures_util::future::{self, join_all};
use futures_util::stream::{self, SelectAll, Stream, StreamExt};
use time::OffsetDateTime;
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::{broadcast, oneshot};

use crate::docker::logs::begin;
use crate::docker::logs::split::{Ask, Line, Span, Splitter};
use crate::docker::look::running;
use crate::docker::watch::{Happening, Watch};
use crate::engine::{Channel, EngineError, LogLine, LogSource, Selection};

pub(in crate::docker) fn follow(
    docker: &Docker,
    watch: &Watch,
    selection: Selection,
) -> impl Stream<Item = Result<LogLine, EngineError>> + use<> {
    let happenings = selection.project.is_some().then(|| watch.listen());
    let following = Following {
        docker: docker.clone(),
        happenings,
        active: selection.containers.iter().map(|source| source.id.clone()).collect(),
        shown: HashMap::new(),
        backlog: None,
        parts: SelectAll::new(),
        ended: HashMap::new(),
        told: HashSet::new(),
        again: HashSet::new(),
        closers: HashMap::new(),
        late: VecDeque::new(),
        selection,
    };
    stream::unfold(
        following,
        |mut following| async move { following.next().await.map(|line| (line, following)) },
    )
}

/// How long a container's lines may still come after its end. Docker Engine 20.10 sometimes leaves
/// the log of a container open that ends just as it is asked for.
const LAST_LINES: Duration = Duration::from_secs(5);

/// A line, or the end of a container's log.
enum Part {
    Line(LogSource, Result<Line, EngineError>),
    End(LogSource),
}

type Parts = Pin<Box<dyn Stream<Item = Part> + Send>>;

/// What was there already of one container.
struct Backlog {
    source: LogSource,
    lines: Splitter,
    /// The time of the last line of it.
    last: i64,
    head: Option<Line>,
}

struct Following {
    docker: Docker,
    selection: Selection,
    happenings: Option<broadcast::Receiver<Happening>>,
    /// The containers whose logs are open.
    active: HashSet<String>,
    /// The time of the last line of each container.
    shown: HashMap<String, i64>,
    /// Logs of which older lines are still to come; `None` before the first look.
    backlog: Option<Vec<Backlog>>,
    parts: SelectAll<Parts>,
    /// Exit codes of containers whose last lines are still to come.
    ended: HashMap<String, i64>,
    /// The containers whose end is out although no event has told of it yet.
    told: HashSet<String>,
    /// The containers that run again before the log of their former run has ended.
    again: HashSet<String>,
    /// Tells the logs that are open that their containers have ended.
    closers: HashMap<String, oneshot::Sender<()>>,
    /// Lines that were read once more after the end of a log, and that end.
    late: VecDeque<LogLine>,
}

impl Following {
    fn ask(&self, span: Span, tail: Option<u64>) -> Ask {
        Ask { follow: true, tail, timed: true, span }
    }

    /// Opens the logs of the containers that are there.
    async fn open(&mut self) {
        let span = Span::of(&self.selection);
        let ask = self.ask(span, self.selection.tail);
        let docker = self.docker.clone();
        let sources = std::mem::take(&mut self.selection.containers);
        // With one container there is nothing to put in order, and without older lines neither.
        let ordered = sources.len() > 1 && ask.tail != Some(0);
        let lasts = sources.iter().map(|source| async {
            match ordered {
                true => last_line(&docker, &source.id).await.filter(|last| span.has(Some(*last))),
                false => None,
            }
        });
        let mut backlog = Vec::new();
        for (source, last) in sources.iter().zip(join_all(lasts).await) {
            let lines = Splitter::open(&self.docker, &source.id, ask);
            match last {
                Some(last) => backlog.push(Backlog { source: source.clone(), lines, last, head: None }),
                None => {
                    let closed = self.closer(source);
                    self.parts.push(parts(source.clone(), lines, closed));
                }
            }
        }
        self.backlog = Some(backlog);
    }

    /// What tells the log of a container that the container has ended.
    fn closer(&mut self, source: &LogSource) -> oneshot::Receiver<()> {
        let (sender, receiver) = oneshot::channel();
        if self.ended.contains_key(&source.id) {
            // Nobody listens yet, but the channel keeps it.
            let _ = sender.send(());
        } else {
            self.closers.insert(source.id.clone(), sender);
        }
        receiver
    }

    /// Opens the log of a container that has just started, without what it wrote in former runs.
    fn add(&mut self, source: LogSource) {
        self.active.insert(source.id.clone());
        let (docker, shown) = (self.docker.clone(), self.shown.get(&source.id).copied());
        let until = Span::of(&self.selection).until;
        let closed = self.closer(&source);
        let lines = async move {
            // The event of a start comes after the first lines, so it does not tell where they begin.
            // The clock is the engine's throughout.
            let since = match shown {
                Some(shown) => Some(shown + 1),
                None => begin(&docker, &source.id).await,
            };
            let ask = Ask { follow: true, tail: None, timed: true, span: Span { since, until } };
            let lines = Splitter::open(&docker, &source.id, ask);
            parts(source, lines, closed)
        };
        self.parts.push(Box::pin(stream::once(lines).flatten()));
    }

    async fn next(&mut self) -> Option<Result<LogLine, EngineError>> {
        if self.backlog.is_none() {
            self.open().await;
        }
        if let Some(line) = self.older().await {
            return Some(line);
        }
        loop {
            if let Some(line) = self.late.pop_front() {
                return Some(Ok(line));
            }
            if self.parts.is_empty() && self.happenings.is_none() {
                return None;
            }
            let heard = async {
                match &mut self.happenings {
                    Some(receiver) => receiver.recv().await,
                    None => future::pending().await,
                }
            };
            tokio::select! {
                Some(part) = self.parts.next() => match part {
                    Part::Line(source, line) => return Some(self.show(source, line)),
                    Part::End(source) => {
                        if let Some(line) = self.end(source).await {
                            return Some(Ok(line));
                        }
                    }
                },
                heard = heard => match heard {
                    Ok(happening) => {
                        if let Some(line) = self.hear(happening).await {
                            return Some(Ok(line));
                        }
                    }
                    // Some happenings are lost: what runs now tells which of them were starts.
                    Err(RecvError::Lagged(_)) => self.catch_up().await,
                    Err(RecvError::Closed) => self.happenings = None,
                },
            }
        }
    }

    /// The earliest of the older lines. A log joins the others once its last older line is out.
    async fn older(&mut self) -> Option<Result<LogLine, EngineError>> {
        loop {
            let backlog = self.backlog.as_mut()?;
            let mut over = None;
            for (index, log) in backlog.iter_mut().enumerate().filter(|(_, log)| log.head.is_none()) {
                match log.lines.next().await {
                    Some(Ok(line)) => log.head = Some(line),
                    Some(Err(error)) => return Some(Err(error)),
                    None => over = Some(index),
                }
                if over.is_some() {
                    break;
                }
            }
            if let Some(index) = over {
                let source = backlog.remove(index).source;
                match self.end(source).await {
                    Some(line) => return Some(Ok(line)),
                    None => continue,
                }
            }
            let at = |log: &Backlog| log.head.as_ref().and_then(|line| line.at);
            let (first, _) = backlog.iter().enumerate().min_by_key(|(_, log)| at(log))?;
            let line = backlog[first].head.take()?;
            let source = backlog[first].source.clone();
            if line.end.is_none_or(|end| end >= backlog[first].last) {
                let log = backlog.remove(first);
                let closed = self.closer(&log.source);
                self.parts.push(parts(log.source, log.lines, closed));
            }
            return Some(self.show(source, Ok(line)));
        }
    }

    fn show(&mut self, source: LogSource, line: Result<Line, EngineError>) -> Result<LogLine, EngineError> {
        let line = line?;
        if let Some(at) = line.at {
            match self.shown.get_mut(&source.id) {
                Some(shown) => *shown = at.max(*shown),
                None => {
                    self.shown.insert(source.id.clone(), at);
                }
            }
        }
        let at = line.at.and_then(|at| OffsetDateTime::from_unix_timestamp_nanos(i128::from(at)).ok());
        Ok(LogLine { source, channel: line.channel, at, text: line.text })
    }

    /// The end of a container's log. Its exit code comes with an event, or from a look: it may have
    /// ended before anybody listened.
    async fn end(&mut self, source: LogSource) -> Option<LogLine> {
        self.active.remove(&source.id);
        self.closers.remove(&source.id);
        if let Some(code) = self.ended.remove(&source.id) {
            if self.again.remove(&source.id) {
                self.add(source.clone());
            }
            return self.last_look(source, code).await;
        }
        let found = self.docker.inspect_container(&source.id, None::<InspectContainerOptions>).await.ok()?;
        let state = found.state?;
        if state.running.unwrap_or(false) || state.restarting.unwrap_or(false) {
            return None;
        }
        self.told.insert(source.id.clone());
        self.last_look(source, state.exit_code.unwrap_or_default()).await
    }

    /// The end of a container, after what it wrote if nothing of that has come: an engine may end
    /// the log of a container that ends at once before it has written its lines down.
    async fn last_look(&mut self, source: LogSource, code: i64) -> Option<LogLine> {
        if !self.shown.contains_key(&source.id) && self.selection.tail != Some(0) {
            let since = begin(&self.docker, &source.id).await;
            let ask = Ask { follow: false, tail: None, timed: true, span: Span { since, until: None } };
            let mut lines = Splitter::open(&self.docker, &source.id, ask);
            while let Some(Ok(line)) = lines.next().await {
                if let Ok(line) = self.show(source.clone(), Ok(line)) {
                    self.late.push_back(line);
                }
            }
        }
        self.late.push_back(exit(source, code));
        self.late.pop_front()
    }

    async fn hear(&mut self, happening: Happening) -> Option<LogLine> {
        if self.selection.project.as_ref() != Some(&happening.project) {
            return None;
        }
        let source = LogSource { id: happening.id, service: happening.service, number: happening.number };
        match happening.action.as_str() {
            "start" => {
                self.told.remove(&source.id);
                if !self.active.contains(&source.id) {
                    self.add(source);
                } else if self.ended.contains_key(&source.id) {
                    self.again.insert(source.id);
                }
            }
            "die" => {
                if self.told.remove(&source.id) {
                    return None;
                }
                let code = happening.exit_code.unwrap_or_default();
                self.again.remove(&source.id);
                if self.active.contains(&source.id) {
                    if let Some(closer) = self.closers.remove(&source.id) {
                        // A log that has ended by itself needs no telling.
                        let _ = closer.send(());
                    }
                    self.ended.insert(source.id, code);
                } else {
                    // Its log has ended before it did.
                    return self.last_look(source, code).await;
                }
            }
            _ => {}
        }
        None
    }

    async fn catch_up(&mut self) {
        let Some(project) = self.selection.project.clone() else { return };
        // If the engine does not answer now, the logs that are open will tell so.
        let found = running(&self.docker, &project).await.unwrap_or_default();
        for source in found {
            if !self.active.contains(&source.id) {
                self.add(source);
            }
        }
    }
}

/// The lines of a container and the end of its log, which comes at the latest a while after that
/// of the container.
fn parts(source: LogSource, lines: Splitter, closed: oneshot::Receiver<()>) -> Parts {
    /// A log, what tells of its container's end, and whether that was told.
    struct Open {
        lines: Splitter,
        closed: Option<oneshot::Receiver<()>>,
        over: bool,
    }
    let end = stream::once(future::ready(Part::End(source.clone())));
    let open = Open { lines, closed: Some(closed), over: false };
    let lines = stream::unfold(open, |mut open| async move {
        if let Some(receiver) = &mut open.closed {
            tokio::select! {
                biased;
                line = open.lines.next() => return line.map(|line| (line, open)),
                told = receiver => {
                    open.over = told.is_ok();
                    open.closed = None;
                }
            }
        }
        let line = if open.over {
            tokio::time::timeout(LAST_LINES, open.lines.next()).await.ok().flatten()
        } else {
            open.lines.next().await
        };
        line.map(|line| (line, open))
    });
    Box::pin(lines.map(move |line| Part::Line(source.clone(), line)).chain(end))
}

/// The time of the last line of a container's log; `None` without one, or when it is unfinished.
async fn last_line(docker: &Docker, id: &str) -> Option<i64> {
    let span = Span { since: None, until: None };
    let ask = Ask { follow: false, tail: Some(1), timed: true, span };
    let mut lines = Splitter::open(docker, id, ask);
    let mut last = None;
    while let Some(Ok(line)) = lines.next().await {
        last = line.end.filter(|_| line.whole);
    }
    last
}

/// Where the lines of a container's last run begin, nanoseconds since 1970; `None` for the first line.
async fn begin(docker: &Docker, id: &str) -> Option<i64> {
    let moment = begin::of_last_run(docker, id).await?;
    i64::try_from(moment.unix_timestamp_nanos()).ok()
}

fn exit(source: LogSource, code: i64) -> LogLine {
    LogLine { source, channel: Channel::Exit(code), at: None, text: Bytes::new() }
}
