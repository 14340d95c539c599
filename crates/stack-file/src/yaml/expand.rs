//! From what stands in a text to trees: aliases and merge keys are followed, and tags taken
//! at their word.

use std::collections::{HashMap, HashSet};

use super::{ALIAS_LIMIT, DEPTH_LIMIT, Document, Given, Mark, Raw, RawNode};
use crate::diagnostic::Diagnostic;
use crate::scalar;
use crate::source::{Origin, SourceId};
use crate::tree::{Entries, Entry, Kind, Node, ScalarKind};

const TOO_LARGE: &str = "aliases make this file too large";

pub(super) struct Expander<'a> {
    arena: &'a [RawNode<'a>],
    source: SourceId,
    /// Nodes that aliases may still add.
    budget: usize,
    diagnostics: &'a mut Vec<Diagnostic>,
    /// What was told, and of which node: aliases lead to a fault as often as to a value.
    told: HashSet<(usize, String)>,
    path: Vec<&'a str>,
    in_list: usize,
}

impl<'a> Expander<'a> {
    pub(super) fn new(
        arena: &'a [RawNode<'a>],
        source: SourceId,
        diagnostics: &'a mut Vec<Diagnostic>,
    ) -> Self {
        Self {
            arena,
            source,
            budget: ALIAS_LIMIT,
            diagnostics,
            told: HashSet::new(),
            path: Vec::new(),
            in_list: 0,
        }
    }

    /// Makes the tree of a document; `None` when nothing of it can be used.
    pub(super) fn document(&mut self, root: usize) -> Option<Document> {
        self.path.clear();
        let mut marks = Vec::new();
        let root = self.expand(root, 0, false, &mut marks)?;
        Some(Document { root, marks })
    }

    fn origin(&self, node: usize) -> Origin {
        Origin { source: self.source, span: self.arena[node].span, via: None }
    }

    /// Makes the tree of a node; `None` when it is unusable or was reset.
    fn expand(&mut self, node: usize, depth: usize, aliased: bool, marks: &mut Vec<Mark>) -> Option<Node> {
        let arena = self.arena;
        let raw = &arena[node];
        if let Raw::Alias(target) = raw.raw {
            return self.expand(target, depth, true, marks);
        }
        if depth > DEPTH_LIMIT {
            self.refuse_once(node, &format!("aliases make this file nest more than {DEPTH_LIMIT} deep"));
            return None;
        }
        if aliased {
            if self.budget == 0 {
                self.refuse_once(node, TOO_LARGE);
                return None;
            }
            self.charge(true);
        }
        match raw.given {
            Given::Reset | Given::Override if self.in_list > 0 => {
                let told = Diagnostic::error("`!reset` and `!override` cannot mark an item of a list")
                    .at(&self.origin(node))
                    .help("mark the whole list instead");
                self.tell(node, told);
                return None;
            }
            Given::Reset => {
                marks.push(self.mark(true));
                return None;
            }
            Given::Override => marks.push(self.mark(false)),
            Given::Unknown => return None,
            Given::Nothing | Given::Text | Given::Standard => {}
        }
        let origin = self.origin(node);
        let kind = match &raw.raw {
            Raw::Scalar { text, plain } => {
                let resolve = (*plain && raw.given != Given::Text) || raw.given == Given::Standard;
                let kind = if resolve { scalar::resolve(text) } else { ScalarKind::String };
                return Some(Node::scalar(text.as_ref(), kind, origin));
            }
            Raw::Sequence(items) => {
                self.in_list += 1;
                let mut nodes = Vec::with_capacity(items.len());
                for &item in items {
                    nodes.extend(self.expand(item, depth + 1, aliased, marks));
                }
                self.in_list -= 1;
                Kind::Sequence(nodes)
            }
            Raw::Mapping(pairs) => Kind::Mapping(self.mapping(pairs, depth, aliased, marks)),
            Raw::Alias(_) | Raw::Broken => return None,
        };
        Some(Node { kind, origin })
    }

    /// The place that is being read, marked.
    fn mark(&self, reset: bool) -> Mark {
        Mark { path: self.path.iter().map(|&key| key.to_owned()).collect(), reset }
    }

    fn mapping(
        &mut self,
        pairs: &[(usize, usize)],
        depth: usize,
        aliased: bool,
        marks: &mut Vec<Mark>,
    ) -> Entries {
        // What merge keys bring stands below the own keys, wherever these stand.
        let merging = pairs.iter().any(|&(key, _)| self.merges(key));
        let own = pairs.iter().filter(|(key, _)| merging && !self.merges(*key));
        let own: HashSet<&str> = own.filter_map(|(key, _)| self.key(*key)).collect();
        let mut entries = Entries::with_capacity(pairs.len());
        // Keys without a usable value: they too must not stand twice.
        let mut left_out: HashMap<&str, usize> = HashMap::new();
        let mut merge_keys = pairs.iter().filter(|(key, _)| self.merges(*key)).map(|&(key, _)| key);
        if let (Some(first), Some(second)) = (merge_keys.next(), merge_keys.next()) {
            let told = Diagnostic::error("the key `<<` stands here twice")
                .at(&self.origin(second))
                .label("again here")
                .related(&self.origin(first), "first here")
                .help("merge several mappings with a list: `<<: [*one, *two]`");
            self.tell(second, told);
        }
        for &(key, value) in pairs {
            if self.merges(key) {
                self.merge_key(value, depth, &own, &mut entries, marks);
                continue;
            }
            let Some(name) = self.key(key) else {
                self.charge(aliased);
                let told = Diagnostic::error("a key must be a single text, not a list or a mapping")
                    .at(&self.origin(key));
                self.tell(key, told);
                continue;
            };
            if let Some(what) = self.no_text(key) {
                self.charge(aliased);
                let told = Diagnostic::error(format!("a key must be a text, and `{name}` is read as {what}"))
                    .at(&self.origin(key))
                    .path(self.path_text(name))
                    .help(format!("put it in quotes: \"{name}\""));
                self.tell(key, told);
                continue;
            }
            let first = match entries.get(name) {
                Some(entry) => Some(entry.key.clone()),
                None => left_out.get(name).map(|&first| self.origin(first)),
            };
            if let Some(first) = first {
                self.charge(aliased);
                let told = Diagnostic::error(format!("the key `{name}` stands here twice"))
                    .at(&self.origin(key))
                    .path(self.path_text(name))
                    .label("again here")
                    .related(&first, "first here")
                    .help("keep one of the two");
                self.tell(key, told);
                continue;
            }
            self.path.push(name);
            let node = self.expand(value, depth + 1, aliased, marks);
            self.path.pop();
            match node {
                Some(node) => {
                    entries.insert(name.to_owned(), Entry { key: self.origin(key), node });
                }
                None => {
                    left_out.insert(name, key);
                }
            }
        }
        entries
    }

    /// `<<`: the entries of another mapping, or of several, below the own ones.
    fn merge_key(
        &mut self,
        value: usize,
        depth: usize,
        own: &HashSet<&str>,
        entries: &mut Entries,
        marks: &mut Vec<Mark>,
    ) {
        let arena = self.arena;
        let target = self.target(value);
        let sources: Vec<usize> = match &arena[target].raw {
            Raw::Mapping(_) => vec![value],
            Raw::Sequence(items) => items.clone(),
            Raw::Broken => return,
            _ => {
                self.wrong_merge(value);
                return;
            }
        };
        for source in sources {
            if self.budget == 0 {
                self.refuse_once(source, TOO_LARGE);
                return;
            }
            self.charge(true);
            let target = self.target(source);
            let Raw::Mapping(pairs) = &arena[target].raw else {
                if !matches!(arena[target].raw, Raw::Broken) {
                    self.wrong_merge(source);
                }
                continue;
            };
            let below = depth + 1;
            if below > DEPTH_LIMIT {
                self.refuse_once(
                    source,
                    &format!("aliases make this file nest more than {DEPTH_LIMIT} deep"),
                );
                return;
            }
            let mut wanted = Vec::new();
            let merged = self.mapping(pairs, below, true, &mut wanted);
            let covered = |name: &str| own.contains(name) || entries.contains_key(name);
            let at = self.path.len();
            marks.extend(
                wanted.into_iter().filter(|mark| mark.path.get(at).is_none_or(|name| !covered(name))),
            );
            for (name, entry) in merged {
                if !own.contains(name.as_str()) && !entries.contains_key(&name) {
                    entries.insert(name, entry);
                }
            }
        }
    }

    fn wrong_merge(&mut self, node: usize) {
        let told = Diagnostic::error("`<<` takes a mapping or a list of mappings")
            .at(&self.origin(node))
            .help("write `<<: *name`, where `&name` marks a mapping above");
        self.tell(node, told);
    }

    fn target(&self, node: usize) -> usize {
        match self.arena[node].raw {
            Raw::Alias(target) => target,
            _ => node,
        }
    }

    fn merges(&self, key: usize) -> bool {
        matches!(&self.arena[key].raw, Raw::Scalar { text, plain: true } if text == "<<")
    }

    fn key(&self, key: usize) -> Option<&'a str> {
        let arena = self.arena;
        match &arena[self.target(key)].raw {
            Raw::Scalar { text, .. } => Some(text),
            _ => None,
        }
    }

    /// What a key is taken for, when that is no text.
    fn no_text(&self, key: usize) -> Option<&'static str> {
        let node = &self.arena[self.target(key)];
        let Raw::Scalar { text, plain } = &node.raw else { return None };
        if (!plain && node.given != Given::Standard) || node.given == Given::Text {
            return None;
        }
        match scalar::resolve(text) {
            ScalarKind::String => None,
            ScalarKind::Null => Some("no value"),
            ScalarKind::Boolean => Some("true or false"),
            ScalarKind::Integer | ScalarKind::Float => Some("a number"),
        }
    }

    fn path_text(&self, last: &str) -> String {
        self.path.iter().copied().chain([last]).collect::<Vec<_>>().join(".")
    }

    /// Counts one more node that an alias brings, or that is looked at because of one.
    fn charge(&mut self, aliased: bool) {
        self.budget -= usize::from(aliased && self.budget > 0);
    }

    /// Tells of a fault once, however many aliases lead to it.
    fn tell(&mut self, node: usize, told: Diagnostic) {
        if self.told.insert((node, told.message.clone())) {
            self.diagnostics.push(told);
        }
    }

    /// Tells of a limit once: the other places of the same fault would be noise.
    fn refuse_once(&mut self, node: usize, message: &str) {
        if self.told.insert((usize::MAX, message.to_owned())) {
            let told = Diagnostic::error(message).at(&self.origin(node));
            self.diagnostics.push(told);
        }
    }
}
