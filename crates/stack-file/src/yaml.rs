//! The text of a file as trees: YAML events, anchors, merge keys, and the two
//! tags that steer the merging of files.

mod expand;
mod subset;

use std::borrow::Cow;
use std::collections::HashMap;
use std::ops::Range;

use granit_parser::{Event, Options, Parser, ScalarStyle, StructureStyle, Tag};

use crate::diagnostic::Diagnostic;
use crate::source::{Origin, SourceId, Span};
use crate::tree::Node;
use expand::Expander;

/// Lists and mappings within each other, at most.
pub(crate) const DEPTH_LIMIT: usize = 64;

/// Nodes that aliases (`*name`) may add to one file, at most.
pub(crate) const ALIAS_LIMIT: usize = 100_000;

/// One YAML document of a file.
#[derive(Clone, Debug)]
pub(crate) struct Document {
    /// The tree, tags and aliases resolved.
    pub(crate) root: Node,
    /// Where the file asks for another way of merging.
    pub(crate) marks: Vec<Mark>,
}

/// A place that a file marks with `!reset` or `!override`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Mark {
    /// The keys from the top to the place.
    pub(crate) path: Vec<String>,
    /// Whether the value itself is gone too (`!reset`), or takes the place of
    /// what earlier files said (`!override`).
    pub(crate) reset: bool,
}

enum Raw<'a> {
    Scalar { text: Cow<'a, str>, plain: bool },
    Sequence(Vec<usize>),
    Mapping(Vec<(usize, usize)>),
    Alias(usize),
    Broken,
}

#[derive(Clone, Copy, PartialEq)]
enum Given {
    Nothing,
    Reset,
    Override,
    Text,
    Standard,
    Unknown,
}

struct RawNode<'a> {
    raw: Raw<'a>,
    given: Given,
    span: Span,
}

/// Reads the documents of a text. What cannot be read is told in `diagnostics`
/// and left out.
pub(crate) fn parse(text: &str, source: SourceId, diagnostics: &mut Vec<Diagnostic>) -> Vec<Document> {
    match subset::read(text) {
        Some((arena, root)) => {
            Expander::new(&arena, source, diagnostics).document(root).into_iter().collect()
        }
        None => parse_all(text, source, diagnostics),
    }
}

/// Reads the documents of a text, whatever of YAML stands in it.
pub(crate) fn parse_all(text: &str, source: SourceId, diagnostics: &mut Vec<Diagnostic>) -> Vec<Document> {
    let mut options = Options::default();
    options.emit_comments = false;
    options.emit_unresolved_aliases = true;
    options.block_nesting_limit = 255;
    options.flow_nesting_limit = 255;
    let mut reader = Reader {
        text,
        source,
        arena: Vec::new(),
        anchors: HashMap::new(),
        open: Vec::new(),
        roots: Vec::new(),
        diagnostics,
    };
    for next in Parser::new_from_str_with_options(text, options) {
        match next {
            Ok((event, span)) => {
                if !reader.event(event, span) {
                    return Vec::new();
                }
            }
            Err(error) => {
                let at = error.marker().byte_offset().unwrap_or(text.len()).min(text.len());
                let span = at..end_of_char(text, at);
                let origin = Origin { source, span: span.into(), via: None };
                let told = Diagnostic::error(format!("this is not valid YAML: {}", error.info())).at(&origin);
                reader.diagnostics.push(hint_for_syntax(told, text, at));
                return Vec::new();
            }
        }
    }
    let Reader { arena, roots, diagnostics, .. } = reader;
    let mut expander = Expander::new(&arena, source, diagnostics);
    roots.into_iter().filter_map(|root| expander.document(root)).collect()
}

fn end_of_char(text: &str, at: usize) -> usize {
    text[at..].chars().next().map_or(at, |next| at + next.len_utf8())
}

fn hint_for_syntax(told: Diagnostic, text: &str, at: usize) -> Diagnostic {
    let start = text[..at].rfind('\n').map_or(0, |found| found + 1);
    let line = text[start..].lines().next().unwrap_or_default();
    if line.trim_start_matches(' ').starts_with('\t') {
        told.help("YAML indents with spaces; this line begins with a tab")
    } else {
        told.help("check the indentation of this line and the quotes and brackets above it")
    }
}

struct Reader<'a> {
    text: &'a str,
    source: SourceId,
    arena: Vec<RawNode<'a>>,
    /// Anchor to node, and whether that node is complete.
    anchors: HashMap<usize, (usize, bool)>,
    open: Vec<Open>,
    roots: Vec<usize>,
    diagnostics: &'a mut Vec<Diagnostic>,
}

struct Open {
    node: usize,
    anchor: usize,
    key: Option<usize>,
    flow: bool,
}

impl<'a> Reader<'a> {
    /// Takes one event; `false` ends the reading.
    fn event(&mut self, event: Event<'a>, span: granit_parser::Span) -> bool {
        let range = span.byte_range().unwrap_or(0..0);
        match event {
            Event::Scalar(text, style, anchor, tag) => {
                let raw = Raw::Scalar { text, plain: style == ScalarStyle::Plain };
                let node = self.add(raw, tag.as_deref(), range);
                self.name(anchor, node, true);
                self.place(node);
            }
            Event::Alias(anchor) => {
                let raw = match self.anchors.get(&anchor) {
                    Some(&(node, true)) => Raw::Alias(node),
                    _ => {
                        self.fault(range.clone(), "this alias stands inside the value that it names");
                        Raw::Broken
                    }
                };
                let node = self.add(raw, None, range);
                self.place(node);
            }
            Event::UnresolvedAlias(name) => {
                self.fault(range.clone(), &format!("no anchor `&{name}` stands above this alias"));
                let node = self.add(Raw::Broken, None, range);
                self.place(node);
            }
            Event::SequenceStart(style, anchor, tag) => {
                return self.start(Raw::Sequence(Vec::new()), style, anchor, tag.as_deref(), range);
            }
            Event::MappingStart(style, anchor, tag) => {
                return self.start(Raw::Mapping(Vec::new()), style, anchor, tag.as_deref(), range);
            }
            Event::SequenceEnd | Event::MappingEnd => {
                if let Some(done) = self.open.pop() {
                    self.name(done.anchor, done.node, true);
                    let span = self.span_of(done.node, done.flow, range.end);
                    self.arena[done.node].span = span.into();
                    self.place(done.node);
                }
            }
            _ => {}
        }
        true
    }

    fn start(
        &mut self,
        raw: Raw<'a>,
        style: StructureStyle,
        anchor: usize,
        tag: Option<&Tag>,
        span: Range<usize>,
    ) -> bool {
        if self.open.len() >= DEPTH_LIMIT {
            self.fault(span, &format!("lists and mappings are nested more than {DEPTH_LIMIT} deep"));
            return false;
        }
        let node = self.add(raw, tag, span);
        self.name(anchor, node, false);
        self.open.push(Open { node, anchor, key: None, flow: style == StructureStyle::Flow });
        true
    }

    fn add(&mut self, raw: Raw<'a>, tag: Option<&Tag>, span: Range<usize>) -> usize {
        let given = match tag {
            None => Given::Nothing,
            Some(tag) if tag.handle() == "!" && tag.suffix() == "reset" => Given::Reset,
            Some(tag) if tag.handle() == "!" && tag.suffix() == "override" => Given::Override,
            Some(tag) if tag.is_yaml_core_schema_tag("str") => Given::Text,
            Some(tag)
                if ["int", "float", "bool", "null", "map", "seq"]
                    .iter()
                    .any(|name| tag.is_yaml_core_schema_tag(name)) =>
            {
                Given::Standard
            }
            Some(tag) => {
                self.fault(span.clone(), &format!("the tag `{}` means nothing here", tag.original()));
                Given::Unknown
            }
        };
        self.arena.push(RawNode { raw, given, span: span.into() });
        self.arena.len() - 1
    }

    fn name(&mut self, anchor: usize, node: usize, complete: bool) {
        if anchor != 0 {
            self.anchors.insert(anchor, (node, complete));
        }
    }

    fn place(&mut self, node: usize) {
        let Some(open) = self.open.last_mut() else {
            self.roots.push(node);
            return;
        };
        let within = open.node;
        match &mut self.arena[within].raw {
            Raw::Sequence(items) => items.push(node),
            Raw::Mapping(pairs) => match open.key.take() {
                None => open.key = Some(node),
                Some(key) => pairs.push((key, node)),
            },
            _ => {}
        }
    }

    /// Brackets and all for flow style; the first key or the first dash for block style.
    fn span_of(&self, node: usize, flow: bool, end: usize) -> Range<usize> {
        let start = self.arena[node].span.start();
        if flow {
            return start..end.max(start);
        }
        match &self.arena[node].raw {
            Raw::Mapping(pairs) => {
                pairs.first().map_or(start..start, |&(key, _)| self.arena[key].span.range())
            }
            _ => start..end_of_char(self.text, start.min(self.text.len())),
        }
    }

    fn fault(&mut self, span: Range<usize>, message: &str) {
        let origin = Origin { source: self.source, span: span.into(), via: None };
        self.diagnostics.push(Diagnostic::error(message).at(&origin));
    }
}
