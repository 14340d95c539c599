//! Reads logs to their ends, the earliest line first.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::collections::binary_heap::PeekMut;
use std::path::Path;

use bollard::Docker;
use bollard::query_parameters::InspectContainerOptions;
use futures_util::future::join_all;

use crate::docker::logs::file::FileLines;
use crate::docker::logs::split::{Ask, Line, Span, Splitter};
use crate::engine::{EngineError, LineRef, Selection};

/// Memory for all files together, and for one of them, bytes.
const BUFFERS: usize = 4 << 20;
const BUFFER: std::ops::RangeInclusive<usize> = 8 << 10..=256 << 10;
/// After so many lines others get a turn: files give theirs without any wait.
const TURN: usize = 1024;

/// The lines of one container.
enum Lines {
    File(Box<FileLines>),
    /// From the engine, with the present line.
    Engine(Box<Splitter>, Option<Line>),
}

impl Lines {
    async fn open(docker: &Docker, id: &str, local: bool, ask: Ask, buffer: usize) -> Self {
        if local
            && ask.tail.is_none()
            && let Some(file) = open_file(docker, id, ask.span, buffer).await
        {
            return Self::File(Box::new(file));
        }
        Self::Engine(Box::new(Splitter::open(docker, id, ask)), None)
    }

    /// Goes on to the next line; `false` at the end.
    async fn advance(&mut self) -> Result<bool, EngineError> {
        match self {
            Self::File(lines) => {
                lines.advance().map_err(|error| EngineError::Lost(format!("a log cannot be read: {error}")))
            }
            Self::Engine(splitter, line) => {
                *line = splitter.next().await.transpose()?;
                Ok(line.is_some())
            }
        }
    }

    fn at(&self) -> Option<i64> {
        match self {
            Self::File(lines) => Some(lines.at),
            Self::Engine(_, line) => line.as_ref().and_then(|line| line.at),
        }
    }
}

async fn open_file(docker: &Docker, id: &str, span: Span, buffer: usize) -> Option<FileLines> {
    let found = docker.inspect_container(id, None::<InspectContainerOptions>).await.ok()?;
    let driver = found.host_config?.log_config?.typ?;
    let path = found.log_path.filter(|_| driver == "json-file")?;
    FileLines::open(Path::new(&path), id, span, buffer)
}

/// Shows every line of the selection to `visit`. `local` says that the engine is on this machine;
/// `timed` that every line has to have its time.
pub(in crate::docker) async fn read<E: From<EngineError>>(
    docker: &Docker,
    local: bool,
    selection: &Selection,
    timed: bool,
    visit: &mut dyn FnMut(&LineRef<'_>) -> Result<(), E>,
) -> Result<(), E> {
    let span = Span::of(selection);
    let timed = timed || selection.containers.len() > 1 || span.since.is_some() || span.until.is_some();
    let ask = Ask { follow: false, tail: selection.tail, timed, span };
    let buffer = (BUFFERS / selection.containers.len().max(1)).clamp(*BUFFER.start(), *BUFFER.end());
    let opening = selection.containers.iter().map(|source| async move {
        let mut lines = Lines::open(docker, &source.id, local, ask, buffer).await;
        lines.advance().await.map(|any| (lines, any))
    });
    let mut logs = Vec::with_capacity(selection.containers.len());
    // A container whose lines have no time says what it has to say at once, first.
    let mut heads = BinaryHeap::new();
    for (index, opened) in join_all(opening).await.into_iter().enumerate() {
        let (lines, any) = opened?;
        if any {
            heads.push(Reverse((lines.at().unwrap_or(i64::MIN), index)));
        }
        logs.push(lines);
    }
    let mut turn = 0;
    while let Some(mut first) = heads.peek_mut() {
        let Reverse((key, index)) = *first;
        let lines = &mut logs[index];
        visit(&line_ref(lines, &selection.containers[index]))?;
        if lines.advance().await? {
            // A container's own order holds, even when its clock goes back.
            first.0.0 = lines.at().map_or(key, |at| at.max(key));
        } else {
            PeekMut::pop(first);
        }
        turn += 1;
        if turn % TURN == 0 {
            tokio::task::yield_now().await;
        }
    }
    Ok(())
}

fn line_ref<'a>(lines: &'a Lines, source: &'a crate::engine::LogSource) -> LineRef<'a> {
    match lines {
        Lines::File(lines) => {
            LineRef { source, channel: lines.channel, nanoseconds: Some(lines.at), text: lines.text() }
        }
        Lines::Engine(_, line) => LineRef {
            source,
            channel: line.as_ref().map_or(crate::engine::Channel::Stdout, |line| line.channel),
            nanoseconds: line.as_ref().and_then(|line| line.at),
            text: line.as_ref().map(|line| &line.text[..]).unwrap_or_default(),
        },
    }
}
