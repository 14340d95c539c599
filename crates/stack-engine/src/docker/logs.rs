//! What containers say, line by line.

use std::collections::{HashMap, HashSet, VecDeque};
use std::pin::Pin;

use bollard::Docker;
use bollard::container::LogOutput;
use bollard::errors::Error;
use bollard::query_parameters::{InspectContainerOptions, LogsOptionsBuilder};
use bytes::Bytes;
use futures_util::future::{self, Either};
use futures_util::stream::{self, SelectAll, Stream, StreamExt};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use tokio::sync::broadcast;
use tokio::sync::broadcast::error::RecvError;

use crate::docker::watch::{Happening, Watch};
use crate::docker::{answered, is_not_found};
use crate::engine::{Channel, EngineError, LogLine, LogSource, Selection};

/// How much earlier than a container's noted start its first lines may have been written.
const EARLY: time::Duration = time::Duration::SECOND;
/// A longer line is cut here, bytes: a container must not fill our memory.
const LONGEST_LINE: usize = 1 << 20;

type Lines = Pin<Box<dyn Stream<Item = Result<LogLine, EngineError>> + Send>>;

pub(super) fn follow(
    docker: &Docker,
    watch: &Watch,
    selection: Selection,
) -> impl Stream<Item = Result<LogLine, EngineError>> + use<> {
    if !selection.follow {
        let streams =
            selection.containers.iter().map(|source| lines(docker, source.clone(), &selection)).collect();
        return Either::Left(by_time(streams));
    }
    let happenings = selection.project.is_some().then(|| watch.listen());
    let mut following = Following {
        docker: docker.clone(),
        happenings,
        active: HashSet::new(),
        shown: HashMap::new(),
        parts: SelectAll::new(),
        ended: HashMap::new(),
        selection,
    };
    for source in following.selection.containers.clone() {
        following.add(source, false);
    }
    Either::Right(stream::unfold(following, |mut following| async move {
        following.next().await.map(|line| (line, following))
    }))
}

/// A line, or the end of a container's log.
enum Part {
    Line(Result<LogLine, EngineError>),
    End(LogSource),
}

struct Following {
    docker: Docker,
    selection: Selection,
    happenings: Option<broadcast::Receiver<Happening>>,
    /// The containers whose logs are open.
    active: HashSet<String>,
    /// The time of the last line of each container.
    shown: HashMap<String, OffsetDateTime>,
    parts: SelectAll<Pin<Box<dyn Stream<Item = Part> + Send>>>,
    /// Exit codes of containers whose last lines are still to come.
    ended: HashMap<String, i64>,
}

impl Following {
    /// Opens a log, for a container that has just started without what it wrote in former runs.
    fn add(&mut self, source: LogSource, started: bool) {
        self.active.insert(source.id.clone());
        let end = stream::once(future::ready(Part::End(source.clone())));
        let selection = self.selection.clone();
        if !started {
            let lines = lines(&self.docker, source, &selection).map(Part::Line);
            return self.parts.push(Box::pin(lines.chain(end)));
        }
        let (docker, shown) = (self.docker.clone(), self.shown.get(&source.id).copied());
        let lines = async move {
            // The event of a start comes after the first lines, so it does not tell where they begin.
            // The clock is the engine's throughout.
            let since = shown
                .map(|shown| shown + time::Duration::nanoseconds(1))
                .max(begin(&docker, &source.id).await);
            lines(&docker, source, &Selection { since, tail: None, ..selection }).map(Part::Line)
        };
        self.parts.push(Box::pin(stream::once(lines).flatten().chain(end)));
    }

    async fn next(&mut self) -> Option<Result<LogLine, EngineError>> {
        loop {
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
                    Part::Line(line) => {
                        if let Ok(LogLine { source, at: Some(at), .. }) = &line {
                            self.shown.insert(source.id.clone(), *at);
                        }
                        return Some(line);
                    }
                    Part::End(source) => {
                        self.active.remove(&source.id);
                        if let Some(code) = self.ended.remove(&source.id) {
                            return Some(Ok(exit(source, code)));
                        }
                    }
                },
                heard = heard => match heard {
                    Ok(happening) => {
                        if let Some(line) = self.hear(happening) {
                            return Some(Ok(line));
                        }
                    }
                    Err(RecvError::Lagged(_)) => {}
                    Err(RecvError::Closed) => self.happenings = None,
                },
            }
        }
    }

    fn hear(&mut self, happening: Happening) -> Option<LogLine> {
        if self.selection.project.as_ref() != Some(&happening.project) {
            return None;
        }
        let source = LogSource { id: happening.id, service: happening.service, number: happening.number };
        match happening.action.as_str() {
            "start" if !self.active.contains(&source.id) => self.add(source, true),
            "die" => {
                let code = happening.exit_code.unwrap_or_default();
                if self.active.contains(&source.id) {
                    self.ended.insert(source.id, code);
                } else {
                    return Some(exit(source, code));
                }
            }
            _ => {}
        }
        None
    }
}

/// Where the lines of a container's present run, or of its last one, begin; `None` for the first line.
async fn begin(docker: &Docker, id: &str) -> Option<OffsetDateTime> {
    let found = docker.inspect_container(id, None::<InspectContainerOptions>).await.ok()?;
    let state = found.state?;
    let moment = |text: Option<String>| OffsetDateTime::parse(&text?, &Rfc3339).ok();
    let (started, ended) = (moment(state.started_at)?, moment(state.finished_at)?);
    if ended < started {
        // It runs. The end of the run before is a bound, and year 1 if there was none.
        return (ended.year() > 1).then_some(ended);
    }
    Some(started - EARLY)
}

fn exit(source: LogSource, code: i64) -> LogLine {
    LogLine { source, channel: Channel::Exit(code), at: None, text: Bytes::new() }
}

/// The lines of one container.
fn lines(docker: &Docker, source: LogSource, selection: &Selection) -> Lines {
    let mut options =
        LogsOptionsBuilder::new().stdout(true).stderr(true).timestamps(true).follow(selection.follow);
    if let Some(tail) = selection.tail {
        options = options.tail(&tail.to_string());
    }
    // The Docker API takes whole seconds here; the rest is left out by the time of each line.
    if let Some(since) = selection.since {
        options = options.since(i32::try_from(since.unix_timestamp()).unwrap_or(i32::MAX));
    }
    if let Some(until) = selection.until {
        options = options.until(i32::try_from(until.unix_timestamp() + 1).unwrap_or(i32::MAX));
    }
    let (since, until) = (selection.since, selection.until);
    let output = docker.logs(&source.id, Some(options.build()));
    let splitter =
        Splitter { source, output: Box::pin(output), parts: HashMap::new(), ready: VecDeque::new() };
    let lines =
        stream::unfold(
            splitter,
            |mut splitter| async move { splitter.next().await.map(|line| (line, splitter)) },
        );
    Box::pin(lines.filter(move |line| {
        let at = line.as_ref().ok().and_then(|line| line.at);
        let early = matches!((at, since), (Some(at), Some(since)) if at < since);
        let late = matches!((at, until), (Some(at), Some(until)) if at > until);
        future::ready(!early && !late)
    }))
}

/// Puts the engine's pieces together to lines.
struct Splitter {
    source: LogSource,
    output: Pin<Box<dyn Stream<Item = Result<LogOutput, Error>> + Send>>,
    /// The line begun on each channel.
    parts: HashMap<bool, (Option<OffsetDateTime>, Vec<u8>)>,
    ready: VecDeque<LogLine>,
}

impl Splitter {
    async fn next(&mut self) -> Option<Result<LogLine, EngineError>> {
        loop {
            if let Some(line) = self.ready.pop_front() {
                return Some(Ok(line));
            }
            match self.output.next().await {
                Some(Ok(LogOutput::StdErr { message })) => self.feed(&message, true),
                Some(Ok(output)) => self.feed(&output.into_bytes(), false),
                // A container that was removed has nothing more to say.
                Some(Err(error)) if is_not_found(&error) => return None,
                Some(Err(error)) => return Some(Err(answered(error))),
                None => {
                    let rest: Vec<_> = self.parts.drain().collect();
                    for (stderr, (at, text)) in rest {
                        if !text.is_empty() {
                            self.ready.push_back(line(&self.source, stderr, at, text));
                        }
                    }
                    return self.ready.pop_front().map(Ok);
                }
            }
        }
    }

    /// Takes a piece in: whole lines, each with its time before it, the last perhaps unfinished.
    fn feed(&mut self, message: &[u8], stderr: bool) {
        for piece in message.split_inclusive(|&byte| byte == b'\n') {
            let (at, text) = timestamp(piece);
            let (begun, buffer) = self.parts.entry(stderr).or_default();
            if buffer.is_empty() {
                *begun = at;
            }
            let room = LONGEST_LINE.saturating_sub(buffer.len());
            buffer.extend_from_slice(&text[..text.len().min(room)]);
            if piece.ends_with(b"\n") || buffer.len() >= LONGEST_LINE {
                let (at, text) = (begun.take(), std::mem::take(buffer));
                self.ready.push_back(line(&self.source, stderr, at, text));
            }
        }
    }
}

fn line(source: &LogSource, stderr: bool, at: Option<OffsetDateTime>, mut text: Vec<u8>) -> LogLine {
    while matches!(text.last(), Some(b'\n' | b'\r')) {
        text.pop();
    }
    let channel = if stderr { Channel::Stderr } else { Channel::Stdout };
    LogLine { source: source.clone(), channel, at, text: text.into() }
}

/// Takes the time off the front of a line.
fn timestamp(piece: &[u8]) -> (Option<OffsetDateTime>, &[u8]) {
    let Some(space) = piece.iter().take(40).position(|&byte| byte == b' ') else {
        return (None, piece);
    };
    let text = std::str::from_utf8(&piece[..space]).ok();
    match text.and_then(|text| OffsetDateTime::parse(text, &Rfc3339).ok()) {
        Some(at) => (Some(at), &piece[space + 1..]),
        None => (None, piece),
    }
}

/// Merges logs that have an end, the earliest line first.
fn by_time(streams: Vec<Lines>) -> impl Stream<Item = Result<LogLine, EngineError>> {
    struct Merge {
        heads: Vec<(Result<LogLine, EngineError>, Lines)>,
        waiting: Vec<Lines>,
    }
    let merge = Merge { heads: Vec::new(), waiting: streams };
    stream::unfold(merge, |mut merge| async move {
        let refills = merge.waiting.drain(..).map(|mut lines| async move { (lines.next().await, lines) });
        for (head, lines) in future::join_all(refills).await {
            if let Some(head) = head {
                merge.heads.push((head, lines));
            }
        }
        let time = |head: &Result<LogLine, EngineError>| head.as_ref().ok().and_then(|line| line.at);
        let first =
            merge.heads.iter().enumerate().min_by_key(|(_, (head, _))| time(head)).map(|(index, _)| index)?;
        let (line, lines) = merge.heads.remove(first);
        merge.waiting.push(lines);
        Some((line, merge))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn splitter() -> Splitter {
        let source = LogSource { id: "1".into(), service: "web".into(), number: 1 };
        Splitter { source, output: Box::pin(stream::empty()), parts: HashMap::new(), ready: VecDeque::new() }
    }

    #[test]
    fn pieces_become_lines_with_their_first_time() {
        let mut splitter = splitter();
        splitter.feed(b"2026-01-02T03:04:05.000000001Z one\r\n2026-01-02T03:04:06Z tw", false);
        splitter.feed(b"2026-01-02T03:04:06Z err\n", true);
        splitter.feed(b"2026-01-02T03:04:07Z o\n", false);
        let lines: Vec<_> = splitter.ready.iter().map(|line| (line.channel, line.text.clone())).collect();
        assert_eq!(
            lines,
            [
                (Channel::Stdout, Bytes::from("one")),
                (Channel::Stderr, Bytes::from("err")),
                (Channel::Stdout, Bytes::from("two")),
            ]
        );
        assert_eq!(splitter.ready[2].at.map(|at| at.second()), Some(6));
    }

    #[test]
    fn an_endless_line_is_cut() {
        let mut splitter = splitter();
        for _ in 0..3 {
            splitter.feed(&vec![b'x'; LONGEST_LINE / 2], false);
        }
        assert_eq!(splitter.ready.len(), 1);
        assert_eq!(splitter.ready[0].text.len(), LONGEST_LINE);
    }
}
