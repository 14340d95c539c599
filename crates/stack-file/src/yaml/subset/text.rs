//! Scalars that are not plain: in quotes, literal and folded.

use std::borrow::Cow;

use memchr::{memchr, memchr2};

use super::{Line, Reader};
use crate::yaml::Raw;

impl<'a> Reader<'a> {
    /// A scalar in quotes that ends before `end`, and the place behind it.
    pub(super) fn quoted(&self, start: usize, end: usize) -> Option<(Cow<'a, str>, usize)> {
        if self.byte(start) == b'\'' {
            self.single_quoted(start, end)
        } else {
            self.double_quoted(start, end)
        }
    }

    fn single_quoted(&self, start: usize, end: usize) -> Option<(Cow<'a, str>, usize)> {
        let bytes = self.text.as_bytes();
        let mut at = start + 1;
        let mut doubled = false;
        loop {
            let quote = at + memchr(b'\'', &bytes[at..end])?;
            if quote + 1 < end && bytes[quote + 1] == b'\'' {
                doubled = true;
                at = quote + 2;
                continue;
            }
            let text = &self.text[start + 1..quote];
            let text = if doubled { Cow::Owned(text.replace("''", "'")) } else { Cow::Borrowed(text) };
            return Some((text, quote + 1));
        }
    }

    fn double_quoted(&self, start: usize, end: usize) -> Option<(Cow<'a, str>, usize)> {
        let bytes = self.text.as_bytes();
        let mut at = start + 1;
        let mut text = Cow::Borrowed("");
        loop {
            let found = at + memchr2(b'"', b'\\', &bytes[at..end])?;
            let piece = &self.text[at..found];
            if text.is_empty() {
                text = Cow::Borrowed(piece);
            } else {
                text.to_mut().push_str(piece);
            }
            if bytes[found] == b'"' {
                return Some((text, found + 1));
            }
            if found + 1 >= end {
                return None;
            }
            text.to_mut().push(match bytes[found + 1] {
                b'"' => '"',
                b'\\' => '\\',
                b'/' => '/',
                b'n' => '\n',
                b't' => '\t',
                _ => return None,
            });
            at = found + 2;
        }
    }

    /// A literal or folded text: the lines below that stand deeper than the key or the dash.
    pub(super) fn text_block(&mut self, start: usize, line: Line, indent: usize) -> Option<usize> {
        let chomp = match self.byte(start + 1) {
            mark @ (b'-' | b'+') => Some(mark),
            b' ' | b'\n' => None,
            _ => return None,
        };
        if !self.is_over(start + 1 + usize::from(chomp.is_some()), line) {
            return None;
        }
        let bytes = self.text.as_bytes();
        let folded = bytes[start] == b'>';
        let mut text = String::new();
        let mut deep = None;
        // Line breaks that stand behind the text so far.
        let mut breaks = 0;
        let (mut from, mut end) = (line.end, bytes.len());
        while self.next < bytes.len() {
            let begin = self.next;
            let stop = memchr(b'\n', &bytes[begin..]).map_or(bytes.len(), |length| begin + length);
            let first = self.skip_spaces(begin);
            let spaces = first - begin;
            if first >= stop {
                // Spaces of an empty line that reach into the text belong to it.
                if spaces > 0 && (chomp == Some(b'+') || deep.is_none_or(|deep| spaces > deep)) {
                    return None;
                }
                breaks += 1;
                self.next = stop + 1;
                continue;
            }
            let deep = *deep.get_or_insert(spaces);
            if spaces < deep || spaces <= indent {
                end = first;
                break;
            }
            if text.is_empty() {
                from = first;
            }
            if folded && spaces > deep {
                return None;
            }
            if folded && breaks == 1 && !text.is_empty() {
                text.push(' ');
            } else {
                let kept = if folded && !text.is_empty() { breaks - 1 } else { breaks };
                text.extend(std::iter::repeat_n('\n', kept));
            }
            text.push_str(&self.text[begin + deep..stop]);
            breaks = usize::from(stop < bytes.len());
            self.next = stop + 1;
        }
        if text.is_empty() || (chomp == Some(b'+') && breaks == 0) {
            return None;
        }
        match chomp {
            None => text.push('\n'),
            Some(b'+') => text.extend(std::iter::repeat_n('\n', breaks)),
            Some(_) => {}
        }
        let node = self.add(Raw::Scalar { text: Cow::Owned(text), plain: false }, from..end);
        self.advance();
        Some(node)
    }
}
