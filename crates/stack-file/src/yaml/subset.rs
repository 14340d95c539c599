//! The part of YAML that stack files are written in, read in one pass over the lines.
//!
//! Block mappings and lists, scalars that end on their line, literal and folded texts, flow
//! collections of one line, anchors and aliases. Whatever else stands in a text (tags, scalars
//! of several lines, several documents, tabs, faults) ends the reading with `None`, and the
//! library reads the whole text: what this file takes, it takes as the library does, and it
//! never refuses anything itself.

mod text;

use std::borrow::Cow;
use std::collections::HashMap;
use std::ops::Range;

use memchr::{memchr, memchr2};

use super::{DEPTH_LIMIT, Given, Raw, RawNode};

/// Keys may be longer in a block of their own form, which is not read here.
const LONGEST_KEY: usize = 1000;

/// The nodes of a text and its root; `None` when more than the subset stands in it.
pub(super) fn read(text: &str) -> Option<(Vec<RawNode<'_>>, usize)> {
    if text.len() >= u32::MAX as usize || !text.bytes().all(is_ordinary) {
        return None;
    }
    if !text.is_ascii() && !text.chars().all(is_ordinary_char) {
        return None;
    }
    let mut reader =
        Reader { text, next: 0, line: None, depth: 0, arena: Vec::new(), anchors: HashMap::new() };
    reader.arena.reserve(text.len() / 16);
    reader.advance();
    if reader.line.is_some_and(|line| &text[line.start..line.end] == "---" && line.indent == 0) {
        reader.advance();
    }
    let line = reader.line.filter(|line| line.indent == 0)?;
    if reader.is_dash(line) {
        return None;
    }
    let root = reader.mapping(line.indent)?;
    reader.line.is_none().then_some((reader.arena, root))
}

fn is_ordinary(byte: u8) -> bool {
    (byte >= b' ' && byte != 0x7f) || byte == b'\n'
}

fn is_ordinary_char(next: char) -> bool {
    !matches!(next, '\u{80}'..='\u{9f}' | '\u{2028}' | '\u{2029}' | '\u{feff}' | '\u{fffe}' | '\u{ffff}')
}

/// A line, or what is left of it behind dashes.
#[derive(Clone, Copy)]
struct Line {
    /// The column of its first byte.
    indent: usize,
    start: usize,
    end: usize,
}

struct Reader<'a> {
    text: &'a str,
    /// Where the line after the present one starts.
    next: usize,
    /// The line that is to be read next, neither empty nor a comment.
    line: Option<Line>,
    depth: usize,
    arena: Vec<RawNode<'a>>,
    /// The last node of each name; `None` while it is being read.
    anchors: HashMap<&'a str, Option<usize>>,
}

impl<'a> Reader<'a> {
    fn byte(&self, at: usize) -> u8 {
        self.text.as_bytes().get(at).copied().unwrap_or(b'\n')
    }

    /// Goes to the next line that holds something.
    fn advance(&mut self) {
        let bytes = self.text.as_bytes();
        while self.next < bytes.len() {
            let begin = self.next;
            let end = memchr(b'\n', &bytes[begin..]).map_or(bytes.len(), |length| begin + length);
            self.next = end + 1;
            let start = self.skip_spaces(begin);
            if start < end && bytes[start] != b'#' {
                self.line = Some(Line { indent: start - begin, start, end });
                return;
            }
        }
        self.line = None;
    }

    fn end_of_char(&self, at: usize) -> usize {
        at + self.text[at..].chars().next().map_or(0, char::len_utf8)
    }

    fn skip_spaces(&self, mut at: usize) -> usize {
        while self.byte(at) == b' ' {
            at += 1;
        }
        at
    }

    /// Whether an item of a list begins with the line.
    fn is_dash(&self, line: Line) -> bool {
        self.byte(line.start) == b'-' && matches!(self.byte(line.start + 1), b' ' | b'\n')
    }

    /// Whether nothing but a comment follows.
    fn is_over(&self, at: usize, line: Line) -> bool {
        let rest = self.skip_spaces(at);
        rest >= line.end || (rest > at && self.byte(rest) == b'#')
    }

    fn add(&mut self, raw: Raw<'a>, range: Range<usize>) -> usize {
        self.arena.push(RawNode { raw, given: Given::Nothing, span: range.into() });
        self.arena.len() - 1
    }

    /// What stands on lines of its own below a key or a dash.
    fn block(&mut self, line: Line) -> Option<usize> {
        if self.is_dash(line) { self.sequence(line.indent) } else { self.mapping(line.indent) }
    }

    fn mapping(&mut self, indent: usize) -> Option<usize> {
        self.enter()?;
        let first = self.line?.start;
        let node = self.add(Raw::Broken, first..first);
        let mut pairs = Vec::new();
        while let Some(line) = self.line.filter(|line| line.indent >= indent) {
            // A line that stands deeper goes on with a scalar, or is a fault.
            if line.indent > indent || self.is_dash(line) || self.is_marker(line) {
                return None;
            }
            let (key, colon) = self.key(line.start, line.end)??;
            let value = self.value(colon + 1, line, indent, true)?;
            pairs.push((key, value));
        }
        self.depth -= 1;
        self.arena[node].span = self.arena[pairs.first()?.0].span;
        self.arena[node].raw = Raw::Mapping(pairs);
        Some(node)
    }

    fn sequence(&mut self, indent: usize) -> Option<usize> {
        self.enter()?;
        let first = self.line?.start;
        let node = self.add(Raw::Broken, first..first + 1);
        let mut items = Vec::new();
        while let Some(line) = self.line.filter(|line| line.indent >= indent) {
            if line.indent > indent {
                return None;
            }
            if !self.is_dash(line) {
                break;
            }
            items.push(self.item(line, indent)?);
        }
        self.depth -= 1;
        self.arena[node].raw = Raw::Sequence(items);
        Some(node)
    }

    fn enter(&mut self) -> Option<()> {
        self.depth += 1;
        (self.depth <= DEPTH_LIMIT).then_some(())
    }

    /// Where a document ends or begins.
    fn is_marker(&self, line: Line) -> bool {
        line.indent == 0
            && matches!(self.text.as_bytes().get(line.start..line.start + 3), Some(b"---" | b"..."))
    }

    /// What follows a dash: a list or a mapping may begin on the same line.
    fn item(&mut self, line: Line, indent: usize) -> Option<usize> {
        let start = self.skip_spaces(line.start + 1);
        let rest = Line { indent: indent + start - line.start, start, end: line.end };
        if start < line.end && self.byte(start) != b'#' {
            if self.is_dash(rest) {
                self.line = Some(rest);
                return self.sequence(rest.indent);
            }
            if !matches!(self.byte(start), b'[' | b'{' | b'&' | b'*' | b'|' | b'>') {
                let before = self.arena.len();
                if self.key(start, line.end)?.is_some() {
                    self.arena.truncate(before);
                    self.line = Some(rest);
                    return self.mapping(rest.indent);
                }
            }
        }
        self.value(line.start + 1, line, indent, false)
    }

    /// A key and the place of its colon; `Some(None)` where the text holds no colon.
    fn key(&mut self, start: usize, end: usize) -> Option<Option<(usize, usize)>> {
        let (text, after, plain) = match self.byte(start) {
            b'"' | b'\'' => {
                let (text, after) = self.quoted(start, end)?;
                (text, after, false)
            }
            first => {
                if !self.may_begin(first, start, false) {
                    return None;
                }
                match self.colon(start, end) {
                    Some(colon) => {
                        let text = self.text[start..colon].trim_end_matches(' ');
                        (Cow::Borrowed(text), start + text.len(), true)
                    }
                    None => return Some(None),
                }
            }
        };
        let colon = self.skip_spaces(after);
        if colon >= end || self.byte(colon) != b':' || !matches!(self.byte(colon + 1), b' ' | b'\n') {
            return Some(None);
        }
        if colon - start > LONGEST_KEY {
            return None;
        }
        let key = self.add(Raw::Scalar { text, plain }, start..after);
        Some(Some((key, colon)))
    }

    /// The colon that ends a plain key; none where a comment begins before it.
    fn colon(&self, start: usize, end: usize) -> Option<usize> {
        let bytes = self.text.as_bytes();
        let mut at = start;
        while let Some(found) = memchr2(b':', b'#', &bytes[at..end]) {
            let here = at + found;
            if bytes[here] == b':' {
                if matches!(self.byte(here + 1), b' ' | b'\n') {
                    return Some(here);
                }
            } else if here > start && bytes[here - 1] == b' ' {
                return None;
            }
            at = here + 1;
        }
        None
    }

    /// Whether a plain scalar of the subset may begin with this byte.
    fn may_begin(&self, first: u8, at: usize, flow: bool) -> bool {
        match first {
            b'-' => match self.byte(at + 1) {
                b' ' | b'\n' => false,
                b',' | b'[' | b']' | b'{' | b'}' => !flow,
                _ => true,
            },
            b'?' | b':' | b',' | b'[' | b']' | b'{' | b'}' | b'#' | b'&' | b'*' | b'!' | b'|' | b'>'
            | b'\'' | b'"' | b'%' | b'@' | b'`' | b' ' | b'\n' => false,
            _ => true,
        }
    }

    /// The value behind the colon or the dash that ends before `at`.
    fn value(&mut self, at: usize, line: Line, indent: usize, of_key: bool) -> Option<usize> {
        let mut start = self.skip_spaces(at);
        let mut anchor = None;
        if start < line.end && self.byte(start) == b'&' {
            let name = self.name_of_anchor(start + 1)?;
            self.anchors.insert(name, None);
            anchor = Some(name);
            start += 1 + name.len();
            if self.is_over(start, line) {
                start = line.end;
            } else {
                if self.byte(start) != b' ' {
                    return None;
                }
                start = self.skip_spaces(start);
            }
        }
        let node = if start >= line.end || (self.byte(start) == b'#' && start > at) {
            self.advance();
            match self.line {
                Some(below) if below.indent > indent => self.block(below)?,
                Some(below) if of_key && below.indent == indent && self.is_dash(below) => {
                    let first = self.skip_spaces(below.start + 1);
                    if self.is_over(below.start + 1, below) {
                        return None;
                    }
                    let list = self.sequence(indent)?;
                    self.arena[list].span = (first..self.end_of_char(first)).into();
                    list
                }
                _ if anchor.is_some() => return None,
                _ if of_key => self.nothing(at - 1),
                _ => self.nothing(line.end),
            }
        } else {
            self.inline(start, line, indent, anchor.is_some())?
        };
        if let Some(name) = anchor {
            self.anchors.insert(name, Some(node));
        }
        Some(node)
    }

    /// A value that is left out.
    fn nothing(&mut self, at: usize) -> usize {
        self.add(Raw::Scalar { text: Cow::Borrowed("~"), plain: true }, at..at)
    }

    /// A value that begins on the line of its key or dash.
    fn inline(&mut self, start: usize, line: Line, indent: usize, anchored: bool) -> Option<usize> {
        let (node, after) = match self.byte(start) {
            b'|' | b'>' => return self.text_block(start, line, indent),
            b'[' | b'{' => self.flow(start, line.end)?,
            b'*' if !anchored => self.alias(start)?,
            b'"' | b'\'' => {
                let (text, after) = self.quoted(start, line.end)?;
                (self.add(Raw::Scalar { text, plain: false }, start..after), after)
            }
            first => {
                if !self.may_begin(first, start, false) || self.colon(start, line.end).is_some() {
                    return None;
                }
                let text = self.plain(start, line.end);
                (
                    self.add(
                        Raw::Scalar { text: Cow::Borrowed(text), plain: true },
                        start..start + text.len(),
                    ),
                    start + text.len(),
                )
            }
        };
        if !self.is_over(after, line) {
            return None;
        }
        self.advance();
        Some(node)
    }

    /// A plain scalar up to the end of its line or a comment.
    fn plain(&self, start: usize, end: usize) -> &'a str {
        let bytes = self.text.as_bytes();
        let mut stop = end;
        let mut at = start;
        while let Some(found) = memchr(b'#', &bytes[at..end]) {
            if bytes[at + found - 1] == b' ' {
                stop = at + found;
                break;
            }
            at += found + 1;
        }
        self.text[start..stop].trim_end_matches(' ')
    }

    fn name_of_anchor(&self, start: usize) -> Option<&'a str> {
        let rest = &self.text[start..];
        let length = rest
            .bytes()
            .take_while(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-'))
            .count();
        (length > 0).then(|| &rest[..length])
    }

    fn alias(&mut self, start: usize) -> Option<(usize, usize)> {
        let name = self.name_of_anchor(start + 1)?;
        let target = (*self.anchors.get(name)?)?;
        let end = start + 1 + name.len();
        matches!(self.byte(end), b' ' | b'\n' | b',' | b']' | b'}')
            .then(|| (self.add(Raw::Alias(target), start..end), end))
    }

    /// A list or a mapping in brackets that ends before `end`, and the place behind it.
    fn flow(&mut self, start: usize, end: usize) -> Option<(usize, usize)> {
        self.enter()?;
        let node = self.add(Raw::Broken, start..start);
        let (raw, after) = if self.byte(start) == b'[' {
            let mut items = Vec::new();
            let after = self.flow_entries(start, end, b']', |reader, at| {
                let (item, after) = reader.flow_value(at, end)?;
                items.push(item);
                Some(after)
            })?;
            (Raw::Sequence(items), after)
        } else {
            let mut pairs = Vec::new();
            let after = self.flow_entries(start, end, b'}', |reader, at| {
                let (key, after) = reader.flow_scalar(at, end)?;
                if reader.byte(after) != b':' || reader.byte(after + 1) != b' ' || after - at > LONGEST_KEY {
                    return None;
                }
                let (value, after) = reader.flow_value(reader.skip_spaces(after + 1), end)?;
                pairs.push((key, value));
                Some(after)
            })?;
            (Raw::Mapping(pairs), after)
        };
        self.depth -= 1;
        self.arena[node].raw = raw;
        self.arena[node].span = (start..after).into();
        Some((node, after))
    }

    /// What stands between brackets, separated by commas; the place behind the closing one.
    fn flow_entries(
        &mut self,
        start: usize,
        end: usize,
        close: u8,
        mut entry: impl FnMut(&mut Self, usize) -> Option<usize>,
    ) -> Option<usize> {
        let mut at = self.skip_spaces(start + 1);
        while at < end && self.byte(at) != close {
            let after = entry(self, at)?;
            at = self.skip_spaces(after);
            match self.byte(at) {
                b',' => at = self.skip_spaces(at + 1),
                next if next == close => {}
                _ => return None,
            }
        }
        (at < end).then_some(at + 1)
    }

    fn flow_value(&mut self, start: usize, end: usize) -> Option<(usize, usize)> {
        match self.byte(start) {
            b'[' | b'{' => self.flow(start, end),
            b'*' => self.alias(start),
            _ => self.flow_scalar(start, end),
        }
    }

    fn flow_scalar(&mut self, start: usize, end: usize) -> Option<(usize, usize)> {
        let first = self.byte(start);
        if matches!(first, b'"' | b'\'') {
            let (text, after) = self.quoted(start, end)?;
            return Some((self.add(Raw::Scalar { text, plain: false }, start..after), after));
        }
        if !self.may_begin(first, start, true) {
            return None;
        }
        let bytes = self.text.as_bytes();
        let mut at = start;
        while at < end {
            match bytes[at] {
                b',' | b']' | b'}' => break,
                b'[' | b'{' => return None,
                b'#' if bytes[at - 1] == b' ' => return None,
                b':' => match self.byte(at + 1) {
                    b' ' => break,
                    b'\n' | b',' | b'[' | b']' | b'{' | b'}' => return None,
                    _ => {}
                },
                _ => {}
            }
            at += 1;
        }
        let text = self.text[start..at].trim_end_matches(' ');
        let after = start + text.len();
        Some((self.add(Raw::Scalar { text: Cow::Borrowed(text), plain: true }, start..after), after))
    }
}

#[cfg(test)]
mod tests;
