//! Logs as the engine keeps them in files, one JSON record per piece of a line. Where they can be
//! read they are: the engine reads them out no faster than it decodes and sends them, piece by piece.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use crate::docker::logs::LONGEST_LINE;
use crate::docker::logs::moment::nanoseconds;
use crate::docker::logs::split::{Span, end_of};
use crate::engine::Channel;

/// A record is never longer than this, bytes; what is longer is no record.
const LONGEST_RECORD: usize = 1 << 21;
/// How far the times of records that follow each other may go back, nanoseconds.
const UNORDERED: i64 = 1_000_000_000;

/// The lines of one container, from its files.
pub(super) struct FileLines {
    /// What is still to be read, the oldest first.
    files: VecDeque<File>,
    buffer: Vec<u8>,
    /// The part of the buffer that is filled and not used yet.
    from: usize,
    to: usize,
    span: Span,
    /// The lines begun on standard output and standard error, each with its time.
    begun: [(i64, Vec<u8>); 2],
    /// The present line.
    pub(super) channel: Channel,
    pub(super) at: i64,
    text: Vec<u8>,
}

impl FileLines {
    /// Opens the log of the container `id` at `path`. `None` when it cannot be read here, or not
    /// without the engine: compressed, or another user's.
    pub(super) fn open(path: &Path, id: &str, span: Span, buffer: usize) -> Option<Self> {
        // The name tells that this is the log of just this container of just this engine.
        if path.file_name()?.to_str()? != format!("{id}-json.log") {
            return None;
        }
        let files = rotated(path).ok()??;
        let mut lines = Self {
            files,
            buffer: vec![0; buffer],
            from: 0,
            to: 0,
            span,
            begun: Default::default(),
            channel: Channel::Stdout,
            at: 0,
            text: Vec::new(),
        };
        if let Some(since) = span.since {
            lines.skip_to(since.saturating_sub(UNORDERED)).ok()?;
        }
        Some(lines)
    }

    /// The text of the present line.
    pub(super) fn text(&self) -> &[u8] {
        &self.text
    }

    /// Goes on to the next line; `false` at the end of the log.
    pub(super) fn advance(&mut self) -> io::Result<bool> {
        while self.fill()? {
            // The newline is there: fill has looked.
            let Some(length) = memchr::memchr(b'\n', &self.buffer[self.from..self.to]) else { continue };
            let record = self.from..self.from + length;
            self.from += length + 1;
            let Some((log, channel, at)) = record_parts(&self.buffer[record.clone()]) else {
                if self.take_odd(record) && self.span.has(Some(self.at)) {
                    return Ok(true);
                }
                continue;
            };
            if self.span.until.is_some_and(|until| at > until.saturating_add(UNORDERED)) {
                self.files.clear();
                self.from = self.to;
                return Ok(false);
            }
            let log = record.start + log.start..record.start + log.end;
            let begun = &mut self.begun[usize::from(channel == Channel::Stderr)];
            if begun.1.is_empty() {
                self.text.clear();
                unescape(&self.buffer[log], &mut self.text);
                self.at = at;
                if self.text.ends_with(b"\n") && self.text.len() <= LONGEST_LINE {
                    self.text.truncate(end_of(&self.text));
                    self.channel = channel;
                    if self.span.has(Some(at)) {
                        return Ok(true);
                    }
                    continue;
                }
                begun.0 = at;
                std::mem::swap(&mut begun.1, &mut self.text);
            } else {
                unescape(&self.buffer[log], &mut begun.1);
            }
            if self.finish(channel, false) && self.span.has(Some(self.at)) {
                return Ok(true);
            }
        }
        for channel in [Channel::Stdout, Channel::Stderr] {
            if self.finish(channel, true) && self.span.has(Some(self.at)) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Makes a line that was begun the present one, if it is whole, too long, or the last.
    fn finish(&mut self, channel: Channel, last: bool) -> bool {
        let (at, begun) = &mut self.begun[usize::from(channel == Channel::Stderr)];
        if begun.is_empty() || !(last || begun.ends_with(b"\n") || begun.len() >= LONGEST_LINE) {
            return false;
        }
        self.text.clear();
        std::mem::swap(&mut self.text, begun);
        self.text.truncate(end_of(&self.text).min(LONGEST_LINE));
        self.at = *at;
        self.channel = channel;
        true
    }

    /// Takes a record that has another form than the engine's own. One that is no record at all, as
    /// a crash leaves them, is passed over.
    fn take_odd(&mut self, record: std::ops::Range<usize>) -> bool {
        #[derive(serde::Deserialize)]
        struct Record {
            #[serde(default)]
            log: String,
            #[serde(default)]
            stream: String,
            time: String,
        }
        let Ok(record) = serde_json::from_slice::<Record>(&self.buffer[record]) else { return false };
        let Some(at) = nanoseconds(record.time.as_bytes()) else { return false };
        let channel = if record.stream == "stderr" { Channel::Stderr } else { Channel::Stdout };
        let begun = &mut self.begun[usize::from(channel == Channel::Stderr)];
        if begun.1.is_empty() {
            begun.0 = at;
        }
        begun.1.extend_from_slice(record.log.as_bytes());
        self.finish(channel, false)
    }

    /// Makes sure that a whole record is in the buffer; `false` at the end of the last file.
    fn fill(&mut self) -> io::Result<bool> {
        let mut looked = self.from;
        loop {
            if memchr::memchr(b'\n', &self.buffer[looked..self.to]).is_some() {
                return Ok(true);
            }
            looked = self.to;
            if self.from > 0 {
                self.buffer.copy_within(self.from..self.to, 0);
                looked -= self.from;
                self.to -= self.from;
                self.from = 0;
            }
            if self.to == self.buffer.len() {
                if self.to >= LONGEST_RECORD {
                    // It has no end: nothing of it can be used.
                    self.to = 0;
                    looked = 0;
                } else {
                    self.buffer.resize(self.to * 2, 0);
                }
            }
            let Some(file) = self.files.front_mut() else { return Ok(false) };
            match file.read(&mut self.buffer[self.to..])? {
                0 => {
                    // A record without its end is still being written.
                    self.files.pop_front();
                    self.to = 0;
                    looked = 0;
                }
                read => self.to += read,
            }
        }
    }

    /// Leaves out what is older, by halves.
    fn skip_to(&mut self, since: i64) -> io::Result<()> {
        let Some(file) = self.files.front_mut() else { return Ok(()) };
        let (mut low, mut high) = (0, file.metadata()?.len());
        let mut older = None;
        while high - low > self.buffer.len() as u64 {
            let middle = low + (high - low) / 2;
            match first_time(file, middle, &mut self.buffer)? {
                Some(at) if at < since => {
                    low = middle;
                    older = Some(middle);
                }
                _ => high = middle,
            }
        }
        file.seek(SeekFrom::Start(older.unwrap_or(0)))?;
        // What begins before the middle was looked at is older, too.
        while older.is_some() && self.to == 0 {
            let read = file.read(&mut self.buffer)?;
            if read == 0 {
                break;
            }
            if let Some(found) = memchr::memchr(b'\n', &self.buffer[..read]) {
                (self.from, self.to) = (found + 1, read);
            }
        }
        Ok(())
    }
}

/// The time of the first record that begins after a byte of a file.
fn first_time(file: &mut File, at: u64, buffer: &mut [u8]) -> io::Result<Option<i64>> {
    file.seek(SeekFrom::Start(at))?;
    let mut filled = 0;
    while filled < buffer.len() {
        match file.read(&mut buffer[filled..])? {
            0 => break,
            read => filled += read,
        }
    }
    let mut records = buffer[..filled].split_inclusive(|&byte| byte == b'\n').skip(1);
    let time = records.find_map(|record| record_parts(record.strip_suffix(b"\n")?).map(|(_, _, at)| at));
    Ok(time)
}

/// The files of a log, the oldest first; `None` when one of them is compressed.
fn rotated(path: &Path) -> io::Result<Option<VecDeque<File>>> {
    // The engine may rename while this opens: the newest is opened first, so that none is missed,
    // and one that was renamed meanwhile is there twice.
    let mut files = VecDeque::from([File::open(path)?]);
    for number in 1.. {
        let numbered = |suffix: &str| {
            let mut name = path.as_os_str().to_owned();
            name.push(format!(".{number}{suffix}"));
            PathBuf::from(name)
        };
        if numbered(".gz").exists() {
            return Ok(None);
        }
        match File::open(numbered("")) {
            Ok(file) => files.push_front(file),
            Err(error) if error.kind() == io::ErrorKind::NotFound => break,
            Err(error) => return Err(error),
        }
    }
    let mut seen = Vec::new();
    let mut once = VecDeque::new();
    for file in files {
        let identity = identity(&file)?;
        if !seen.contains(&identity) {
            seen.push(identity);
            once.push_back(file);
        }
    }
    Ok(Some(once))
}

#[cfg(unix)]
fn identity(file: &File) -> io::Result<(u64, u64)> {
    use std::os::unix::fs::MetadataExt;
    let metadata = file.metadata()?;
    Ok((metadata.dev(), metadata.ino()))
}

#[cfg(not(unix))]
fn identity(_: &File) -> io::Result<(u64, u64)> {
    // An engine on such a machine keeps its files where this program cannot read them.
    Err(io::ErrorKind::Unsupported.into())
}

/// Where the text of a record stands in it, still escaped, its channel, and its time in nanoseconds
/// since 1970: `{"log":"…","stream":"stdout","time":"…"}`. `None` for any other form.
fn record_parts(record: &[u8]) -> Option<(std::ops::Range<usize>, Channel, i64)> {
    const FRONT: &[u8] = br#"{"log":""#;
    if !record.starts_with(FRONT) {
        return None;
    }
    let mut at = FRONT.len();
    let end = loop {
        let found = at + memchr::memchr2(b'"', b'\\', record.get(at..)?)?;
        if record[found] == b'"' {
            break found;
        }
        at = found + 2;
    };
    let rest = &record[end..];
    let (channel, rest) = match rest.strip_prefix(br#"","stream":"stdout","#.as_slice()) {
        Some(rest) => (Channel::Stdout, rest),
        None => (Channel::Stderr, rest.strip_prefix(br#"","stream":"stderr","#.as_slice())?),
    };
    let time = rest.strip_prefix(br#""time":""#.as_slice())?.strip_suffix(br#""}"#.as_slice())?;
    Some((FRONT.len()..end, channel, nanoseconds(time)?))
}

/// Takes the escapes of JSON out of a text.
fn unescape(mut escaped: &[u8], text: &mut Vec<u8>) {
    while let Some(found) = memchr::memchr(b'\\', escaped) {
        text.extend_from_slice(&escaped[..found]);
        let Some(&mark) = escaped.get(found + 1) else { return };
        let mut taken = found + 2;
        match mark {
            b'n' => text.push(b'\n'),
            b'r' => text.push(b'\r'),
            b't' => text.push(b'\t'),
            b'b' => text.push(8),
            b'f' => text.push(12),
            b'u' => {
                let unit = |at: usize| {
                    let digits = escaped.get(at..at + 4)?;
                    u32::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()
                };
                let mut code = unit(taken).unwrap_or(0xfffd);
                taken += 4;
                if (0xd800..0xdc00).contains(&code)
                    && escaped.get(taken..taken + 2) == Some(b"\\u")
                    && let Some(low @ 0xdc00..0xe000) = unit(taken + 2)
                {
                    code = 0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00);
                    taken += 6;
                }
                let c = char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER);
                text.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
            }
            other => text.push(other),
        }
        escaped = escaped.get(taken..).unwrap_or_default();
    }
    text.extend_from_slice(escaped);
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use proptest::prelude::*;

    use super::*;

    const ID: &str = "c0ffee";

    fn record(log: &str, stream: &str, nanos: i64) -> String {
        let at = time::OffsetDateTime::from_unix_timestamp_nanos(i128::from(nanos)).expect("a time");
        let at = at.format(&time::format_description::well_known::Rfc3339).expect("a text");
        let log = serde_json::to_string(log).expect("a text");
        format!("{{\"log\":{log},\"stream\":\"{stream}\",\"time\":\"{at}\"}}\n")
    }

    fn read(files: &[(&str, String)], span: Span, buffer: usize) -> Vec<(Channel, i64, String)> {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join(format!("{ID}-json.log"));
        for (suffix, text) in files {
            let mut name = path.clone().into_os_string();
            name.push(suffix);
            File::create(name).and_then(|mut file| file.write_all(text.as_bytes())).expect("a file");
        }
        let mut lines = FileLines::open(&path, ID, span, buffer).expect("it can be read");
        let mut found = Vec::new();
        while lines.advance().expect("it can be read") {
            let text = String::from_utf8(lines.text().to_vec()).expect("UTF-8");
            found.push((lines.channel, lines.at, text));
        }
        found
    }

    const ALL: Span = Span { since: None, until: None };

    #[test]
    fn pieces_of_two_channels_become_lines() {
        let mut text = record("on\"e\\ <ü>\u{1F600}\t\n", "stdout", 1);
        text += &record("tw", "stdout", 2);
        text += &record("err\r\n", "stderr", 3);
        text += "\0\0\0 a crash\n";
        text += "{\"log\":\"attrs\\n\",\"stream\":\"stdout\",\"attrs\":{\"a\":\"b\"},\"time\":\"1970-01-01T00:00:00.000000005Z\"}\n";
        text += &record("o\n", "stdout", 4);
        text += &record("unfinished", "stdout", 6);
        let lines = read(&[("", text + "{\"log\":\"being wr")], ALL, 64);
        let (out, err) = (Channel::Stdout, Channel::Stderr);
        let wanted = [
            (out, 1, "on\"e\\ <ü>\u{1F600}\t"),
            (err, 3, "err"),
            (out, 2, "twattrs"),
            (out, 4, "o"),
            (out, 6, "unfinished"),
        ];
        assert_eq!(lines, wanted.map(|(channel, at, text)| (channel, at, text.to_owned())));
    }

    #[test]
    fn rotated_files_are_read_from_the_oldest_on() {
        let one = |text: &str, at| record(&format!("{text}\n"), "stdout", at);
        let files = [("", one("c", 3)), (".1", one("b", 2)), (".2", one("a", 1))];
        let lines: Vec<_> = read(&files, ALL, 4096).into_iter().map(|(_, _, text)| text).collect();
        assert_eq!(lines, ["a", "b", "c"]);
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join(format!("{ID}-json.log"));
        File::create(&path)
            .and(File::create(folder.path().join(format!("{ID}-json.log.1.gz"))))
            .expect("files");
        assert!(FileLines::open(&path, ID, ALL, 64).is_none(), "compressed files are left to the engine");
        assert!(FileLines::open(&path, "other", ALL, 64).is_none(), "this is another container's log");
    }

    proptest! {
        #[test]
        fn whatever_was_logged_is_read(texts in prop::collection::vec(".{0,80}", 0..20), buffer in 16_usize..300) {
            let lines: Vec<String> = texts.iter().map(|text| text.replace(['\n', '\r'], "")).collect();
            let file: String = lines.iter().enumerate()
                .map(|(at, line)| record(&format!("{line}\n"), "stdout", at as i64)).collect();
            let found: Vec<String> = read(&[("", file)], ALL, buffer).into_iter().map(|(_, _, text)| text).collect();
            prop_assert_eq!(found, lines);
        }

        #[test]
        fn a_span_is_what_a_look_at_every_line_gives(since in 0_i64..210, until in 0_i64..210, buffer in 64_usize..2000) {
            const SECOND: i64 = 1_000_000_000;
            let file: String = (0..200).map(|at| record(&format!("{at}\n"), "stdout", at * SECOND)).collect();
            let span = Span { since: Some(since * SECOND), until: Some(until * SECOND) };
            let found: Vec<i64> = read(&[("", file)], span, buffer).into_iter().map(|(_, at, _)| at / SECOND).collect();
            let wanted: Vec<i64> = (0..200).filter(|at| *at >= since && *at <= until).collect();
            prop_assert_eq!(found, wanted);
        }
    }
}
