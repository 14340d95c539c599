//! From the engine's pieces to lines.

use std::collections::VecDeque;
use std::pin::Pin;

use bollard::Docker;
use bollard::container::LogOutput;
use bollard::errors::Error;
use bollard::query_parameters::LogsOptionsBuilder;
use bytes::Bytes;
use futures_util::stream::{Stream, StreamExt};

use crate::docker::logs::LONGEST_LINE;
use crate::docker::logs::moment::nanoseconds;
use crate::docker::{answered, is_not_found};
use crate::engine::{Channel, EngineError, Selection};

/// A line without its end.
#[derive(Clone, Debug)]
pub(super) struct Line {
    pub(super) channel: Channel,
    /// Nanoseconds since 1970 at which it began.
    pub(super) at: Option<i64>,
    /// The same of its last piece.
    pub(super) end: Option<i64>,
    pub(super) text: Bytes,
    /// Whether its end has come, or the log has just stopped or cut it there.
    pub(super) whole: bool,
}

/// Which lines are wanted.
#[derive(Clone, Copy, Debug)]
pub(super) struct Span {
    /// The first nanosecond since 1970.
    pub(super) since: Option<i64>,
    /// The last one.
    pub(super) until: Option<i64>,
}

impl Span {
    pub(super) fn of(selection: &Selection) -> Self {
        let nanoseconds = |moment: time::OffsetDateTime| {
            // A time that does not fit is far away in either direction.
            let far = if moment.year() < 1970 { i64::MIN } else { i64::MAX };
            i64::try_from(moment.unix_timestamp_nanos()).unwrap_or(far)
        };
        Self { since: selection.since.map(nanoseconds), until: selection.until.map(nanoseconds) }
    }

    pub(super) fn has(&self, at: Option<i64>) -> bool {
        at.is_none_or(|at| {
            self.since.is_none_or(|since| at >= since) && self.until.is_none_or(|until| at <= until)
        })
    }
}

/// How a container's log is asked for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ask {
    pub(super) follow: bool,
    pub(super) tail: Option<u64>,
    /// Whether every line has its time: the engine is faster without.
    pub(super) timed: bool,
    pub(super) span: Span,
}

/// The lines of one container, from the engine.
pub(super) struct Splitter {
    output: Pin<Box<dyn Stream<Item = Result<LogOutput, Error>> + Send>>,
    ask: Ask,
    /// The lines begun on standard output and standard error.
    begun: [Begun; 2],
    ready: VecDeque<Line>,
}

#[derive(Default)]
struct Begun {
    at: Option<i64>,
    text: Vec<u8>,
    last: Option<i64>,
}

impl Splitter {
    pub(super) fn open(docker: &Docker, id: &str, ask: Ask) -> Self {
        let mut options = LogsOptionsBuilder::new().stdout(true).stderr(true);
        options = options.timestamps(ask.timed).follow(ask.follow);
        if let Some(tail) = ask.tail {
            options = options.tail(&tail.to_string());
        }
        // bollard takes whole seconds here; the rest is left out by the time of each line.
        let seconds = |nanoseconds: i64| i32::try_from(nanoseconds.div_euclid(1_000_000_000));
        if let Some(since) = ask.span.since {
            options = options.since(seconds(since).unwrap_or(if since < 0 { 0 } else { i32::MAX }));
        }
        if let Some(until) = ask.span.until {
            options = options.until(seconds(until).map_or(i32::MAX, |until| until.saturating_add(1)));
        }
        Self {
            output: Box::pin(docker.logs(id, Some(options.build()))),
            ask,
            begun: Default::default(),
            ready: VecDeque::new(),
        }
    }

    /// The next line; `None` at the end of the log.
    pub(super) async fn next(&mut self) -> Option<Result<Line, EngineError>> {
        loop {
            while let Some(line) = self.ready.pop_front() {
                if self.ask.span.has(line.at) {
                    return Some(Ok(line));
                }
            }
            match self.output.next().await {
                Some(Ok(LogOutput::StdErr { message })) => self.feed(&message, Channel::Stderr),
                Some(Ok(output)) => self.feed(&output.into_bytes(), Channel::Stdout),
                // A container that was removed has nothing more to say.
                Some(Err(error)) if is_not_found(&error) => return None,
                Some(Err(error)) => return Some(Err(answered(error))),
                None => {
                    for channel in [Channel::Stdout, Channel::Stderr] {
                        self.finish(channel);
                    }
                    if self.ready.is_empty() {
                        return None;
                    }
                }
            }
        }
    }

    /// Takes a piece in: whole lines, each with its time before it, the last perhaps unfinished.
    fn feed(&mut self, message: &Bytes, channel: Channel) {
        let mut rest = 0;
        while rest < message.len() {
            let end = memchr::memchr(b'\n', &message[rest..]).map_or(message.len(), |found| rest + found + 1);
            let piece = message.slice(rest..end);
            rest = end;
            let (at, text) = if self.ask.timed { timestamp(&piece) } else { (None, 0) };
            let text = piece.slice(text..);
            let begun = &mut self.begun[usize::from(channel == Channel::Stderr)];
            if begun.text.is_empty() && text.ends_with(b"\n") && text.len() <= LONGEST_LINE {
                self.ready.push_back(Line { channel, at, end: at, text: without_end(text), whole: true });
                continue;
            }
            if begun.text.is_empty() {
                begun.at = at;
            }
            begun.last = at;
            let room = LONGEST_LINE.saturating_sub(begun.text.len());
            begun.text.extend_from_slice(&text[..text.len().min(room)]);
            if text.ends_with(b"\n") || begun.text.len() >= LONGEST_LINE {
                self.finish(channel);
            }
        }
    }

    fn finish(&mut self, channel: Channel) {
        let begun = &mut self.begun[usize::from(channel == Channel::Stderr)];
        if !begun.text.is_empty() {
            let whole = begun.text.ends_with(b"\n");
            let text = without_end(std::mem::take(&mut begun.text).into());
            let (at, end) = (begun.at.take(), begun.last.take());
            self.ready.push_back(Line { channel, at, end, text, whole });
        }
    }
}

/// A line without the characters that end it.
pub(super) fn end_of(text: &[u8]) -> usize {
    text.iter().rposition(|byte| !matches!(byte, b'\n' | b'\r')).map_or(0, |last| last + 1)
}

fn without_end(text: Bytes) -> Bytes {
    text.slice(..end_of(&text))
}

/// The time at the front of a piece, and where what comes after it begins.
fn timestamp(piece: &[u8]) -> (Option<i64>, usize) {
    let space = piece.iter().take(40).position(|&byte| byte == b' ');
    match space.and_then(|space| Some((nanoseconds(&piece[..space])?, space + 1))) {
        Some((at, text)) => (Some(at), text),
        None => (None, 0),
    }
}

#[cfg(test)]
mod tests {
    use futures_util::stream;

    use super::*;

    fn splitter() -> Splitter {
        let span = Span { since: None, until: None };
        let ask = Ask { follow: false, tail: None, timed: true, span };
        Splitter { output: Box::pin(stream::empty()), ask, begun: Default::default(), ready: VecDeque::new() }
    }

    #[test]
    fn pieces_become_lines_with_their_first_time() {
        let mut splitter = splitter();
        let second = |second| nanoseconds(format!("2026-01-02T03:04:0{second}Z").as_bytes());
        splitter.feed(
            &Bytes::from_static(b"2026-01-02T03:04:05Z one\r\n2026-01-02T03:04:06Z tw"),
            Channel::Stdout,
        );
        splitter.feed(&Bytes::from_static(b"2026-01-02T03:04:06Z err\n"), Channel::Stderr);
        splitter.feed(&Bytes::from_static(b"2026-01-02T03:04:07Z o\n"), Channel::Stdout);
        let lines: Vec<_> =
            splitter.ready.iter().map(|line| (line.channel, line.at, line.text.clone())).collect();
        assert_eq!(
            lines,
            [
                (Channel::Stdout, second(5), Bytes::from("one")),
                (Channel::Stderr, second(6), Bytes::from("err")),
                (Channel::Stdout, second(6), Bytes::from("two")),
            ]
        );
        assert_eq!(splitter.ready[2].end, second(7));
    }

    #[test]
    fn an_endless_line_is_cut() {
        let mut splitter = splitter();
        for _ in 0..3 {
            splitter.feed(&Bytes::from(vec![b'x'; LONGEST_LINE / 2]), Channel::Stdout);
        }
        assert_eq!(splitter.ready.len(), 1);
        assert_eq!(splitter.ready[0].text.len(), LONGEST_LINE);
    }

    #[test]
    fn without_times_a_line_that_begins_with_one_is_whole() {
        let mut splitter = splitter();
        splitter.ask.timed = false;
        splitter.feed(&Bytes::from_static(b"2026-01-02T03:04:05Z one\n"), Channel::Stdout);
        assert_eq!(splitter.ready[0].text, "2026-01-02T03:04:05Z one");
    }
}
