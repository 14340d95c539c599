//! The attribute table: one row per attribute of a stack file. What a value may
//! look like, how files merge and what is refused is read from here, and so are
//! the help, the reference and the editor's schema.

use std::sync::OnceLock;

use foldhash::fast::RandomState;
use indexmap::IndexMap;

use crate::support;
use crate::tree::Entries;

mod build;
mod deploy;
mod develop;
mod kubernetes;
mod mounts;
mod resources;
mod services;
mod swarm;

/// One attribute of a stack file.
#[derive(Clone, Copy, Debug)]
pub struct Attribute {
    /// The path from the top; `*` stands for any key, `[]` for an item of a list.
    pub path: &'static str,
    /// What the value is, once short forms are resolved.
    pub shape: Shape,
    /// The short form that is accepted besides.
    pub short: Short,
    /// How the values of two files become one.
    pub merge: Merge,
    /// Whether stackctl does what the attribute says.
    pub support: Support,
    /// One line about it.
    pub doc: &'static str,
    /// A right value, as it is written in a file; empty for none.
    pub example: &'static str,
}

/// What a value is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// A text. What looks like a number must be quoted, but for ports and groups.
    Text,
    /// A text, or a number or `true` or `false` that is kept as one.
    Plain,
    /// `true` or `false`.
    Boolean,
    /// A whole number.
    Integer,
    /// A whole number from 0 on.
    Count,
    /// A number, with or without a fraction, from 0 on.
    Number,
    /// A time such as `1m30s`.
    Duration,
    /// A size such as `64m`, in bytes once read.
    Bytes,
    /// A size as above, or -1 for no limit.
    Limit,
    /// A whole number, or `all`, which is -1 once read.
    Amount,
    /// Permission bits, octal in a text: `0440` once read.
    Permissions,
    /// One of these texts.
    Choice(&'static [&'static str]),
    /// A path of this machine, made absolute.
    Path,
    /// A directory of this machine, made absolute, or the address of something elsewhere.
    Context,
    /// Attributes of their own, in rows below this one.
    Mapping,
    /// Keys of the reader's choice, each with the attributes of the row `.*`.
    Keyed,
    /// A list whose items have the row `[]`.
    List,
    /// A list of texts.
    Texts,
    /// A list of paths of this machine, made absolute.
    Paths,
    /// Keys and texts.
    Pairs,
    /// Keys and texts, or nothing for a key that is to be filled in or unset.
    Variables,
    /// Keys and directories or addresses, as in `Context`.
    Contexts,
    /// Keys and lists of texts.
    Lists,
}

/// A short form.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Short {
    /// There is none.
    None,
    /// One text for a list of one.
    One,
    /// A list of `KEY=value`.
    Assignments,
    /// A command line for a list of words.
    Words,
    /// A shell command for the test of a health check.
    Test,
    /// `[[ADDRESS:]PUBLISHED:]TARGET[/PROTOCOL]`, with ranges.
    Port,
    /// `80`, `80-90`, `80/udp`.
    Expose,
    /// `[SOURCE:]TARGET[:OPTIONS]`.
    Mount,
    /// The context directory of a build.
    Build,
    /// One text for this attribute of a mapping.
    Field(&'static str),
    /// A list of names for a mapping.
    Names,
    /// A path, or a list of paths, for a list of mappings.
    EnvFiles,
    /// One number for both limits.
    Ulimit,
    /// A mapping of names to addresses for a list.
    Hosts,
    /// `SOURCE[:TARGET[:PERMISSIONS]]` of a device.
    Device,
    /// `all` for a list of one request.
    Gpus,
    /// The name of what is mounted.
    Source,
    /// The old form `external: {name: NAME}`.
    External,
}

/// How the values of two files become one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Merge {
    /// Mappings by key, lists one after the other, single values by the later file.
    Deep,
    /// The later file's value as a whole.
    Replace,
    /// Lists one after the other; of items that are the same thing the later one stays.
    Unique(Identity),
    /// Options of the earlier file only under the same driver.
    Logging,
}

/// What makes two items of a list the same thing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Identity {
    /// The whole text.
    Value,
    /// Address, published port, target and protocol.
    Port,
    /// The attribute of this name.
    Field(&'static str),
    /// The text up to the first colon.
    BeforeColon,
    /// The attribute `target`, or what is mounted where it is absent.
    Mount,
}

/// Whether stackctl does what an attribute says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Support {
    /// It does, as far as the attribute around it is honoured.
    Honoured,
    /// Not yet: the file loads, and whatever would act on it refuses; with what to do
    /// instead, or nothing.
    NotYet(&'static str),
    /// There is nothing to be done: a warning says why.
    NoEffect(&'static str),
    /// On one engine there is nothing to do about it: the file runs, and whatever acts on it
    /// warns, with why.
    Ignored(&'static str),
    /// It tells something to readers and other programs; an engine has nothing to do.
    Told,
}

const fn honoured(path: &'static str, shape: Shape, doc: &'static str) -> Attribute {
    Attribute {
        path,
        shape,
        short: Short::None,
        merge: Merge::Deep,
        support: Support::Honoured,
        doc,
        example: "",
    }
}

const fn not_yet(path: &'static str, shape: Shape, doc: &'static str, instead: &'static str) -> Attribute {
    let mut row = honoured(path, shape, doc);
    row.support = Support::NotYet(instead);
    row
}

const fn ignored(path: &'static str, shape: Shape, doc: &'static str, why: &'static str) -> Attribute {
    let mut row = honoured(path, shape, doc);
    row.support = Support::Ignored(why);
    row
}

const fn told(path: &'static str, shape: Shape, doc: &'static str) -> Attribute {
    let mut row = honoured(path, shape, doc);
    row.support = Support::Told;
    row
}

const fn no_effect(path: &'static str, doc: &'static str, why: &'static str) -> Attribute {
    let mut row = honoured(path, Shape::Text, doc);
    row.support = Support::NoEffect(why);
    row
}

impl Attribute {
    const fn short(mut self, short: Short) -> Self {
        self.short = short;
        self
    }

    const fn merged(mut self, merge: Merge) -> Self {
        self.merge = merge;
        self
    }

    const fn like(mut self, example: &'static str) -> Self {
        self.example = example;
        self
    }

    /// Whether Swarm honours the attribute; else why not, or what to use instead.
    ///
    /// # Errors
    ///
    /// When it does not, as far as the attributes around it are honoured.
    pub fn on_swarm(&self) -> Result<(), &'static str> {
        swarm::refusal(self.path).map_or(Ok(()), Err)
    }

    /// Whether Kubernetes honours the attribute; else why not, or what to use instead.
    ///
    /// # Errors
    ///
    /// When it does not, as far as the attributes around it are honoured.
    pub fn on_kubernetes(&self) -> Result<(), &'static str> {
        kubernetes::refusal(self.path).map_or(Ok(()), Err)
    }

    /// The last part of the path: `image`, `*`, `ports[]`.
    #[must_use]
    pub fn name(&self) -> &'static str {
        self.path.rsplit('.').next().unwrap_or(self.path)
    }
}

/// Every row, top level first, in the order in which canonical files are written.
pub fn table() -> impl Iterator<Item = &'static Attribute> {
    [resources::TOP, services::ROWS, build::ROWS, mounts::ROWS, deploy::ROWS, develop::ROWS, resources::ROWS]
        .into_iter()
        .flatten()
}

/// The table as a tree: a row and the rows below it.
#[derive(Debug)]
pub struct Schema {
    /// The row.
    pub row: &'static Attribute,
    /// The attributes of a mapping, in the order in which they are written.
    pub children: IndexMap<&'static str, Schema, RandomState>,
    /// What stands under any key of a mapping with free keys.
    pub each: Option<Box<Schema>>,
    /// What the items of a list are.
    pub item: Option<Box<Schema>>,
    /// Whether something of it, or below it, may be other than honoured: see [`Support`].
    pub(crate) judged: bool,
}

/// The row of the whole file.
const ROOT: Attribute = honoured("", Shape::Mapping, "A stack file.");

impl Schema {
    /// The tree of the whole file.
    pub fn root() -> &'static Self {
        static TREE: OnceLock<Schema> = OnceLock::new();
        TREE.get_or_init(|| {
            let mut root = Self::leaf(&ROOT);
            for row in table() {
                root.insert(row);
            }
            root.judge();
            root
        })
    }

    fn leaf(row: &'static Attribute) -> Self {
        Self { row, children: IndexMap::default(), each: None, item: None, judged: false }
    }

    fn insert(&mut self, row: &'static Attribute) {
        let mut at = self;
        for segment in row.path.split('.') {
            let (name, item) = match segment.strip_suffix("[]") {
                Some(name) => (name, true),
                None => (segment, false),
            };
            at = if name == "*" {
                &mut **at.each.get_or_insert_with(|| Box::new(Self::leaf(row)))
            } else {
                at.children.entry(name).or_insert_with(|| Self::leaf(row))
            };
            if item {
                at = &mut **at.item.get_or_insert_with(|| Box::new(Self::leaf(row)));
            }
        }
    }

    fn judge(&mut self) {
        let below =
            self.children.values_mut().chain(self.each.as_deref_mut()).chain(self.item.as_deref_mut());
        let below = below.fold(false, |judged, child| {
            child.judge();
            judged | child.judged
        });
        let honoured = matches!(self.row.support, Support::Honoured | Support::Told);
        self.judged = below || !honoured || support::JUDGED.contains(&self.row.path);
    }

    /// The row of an attribute of this mapping, or of any key where keys are free.
    #[must_use]
    pub fn below(&self, key: &str) -> Option<&Self> {
        self.children.get(key).or(self.each.as_deref())
    }

    /// Puts the attributes of this mapping in the order of the table, extensions last.
    pub(crate) fn order(&self, entries: &mut Entries) {
        let place = |key: &str| self.children.get_index_of(key).unwrap_or(usize::MAX);
        if !entries.keys().is_sorted_by_key(|key| place(key)) {
            entries.sort_by_cached_key(|key, _| place(key));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::{Schema, Shape, Short, table};

    const SPECIFICATION: &str = include_str!("spec_paths.txt");

    #[test]
    fn every_path_of_the_specification_has_a_row() {
        let rows: HashSet<_> = table().map(|row| row.path.to_owned()).collect();
        let externals: HashSet<_> = table()
            .filter(|row| row.short == Short::External)
            .map(|row| format!("{}.name", row.path))
            .collect();
        let missing: Vec<_> = SPECIFICATION
            .lines()
            .filter(|path| !rows.contains(*path) && !externals.contains(*path))
            .collect();
        assert!(missing.is_empty(), "no row for {missing:#?}");
    }

    #[test]
    fn every_row_is_an_attribute_of_the_specification_and_stands_once() {
        let known: HashSet<_> = SPECIFICATION.lines().collect();
        let mut seen = HashSet::new();
        for row in table() {
            assert!(seen.insert(row.path), "{} stands twice", row.path);
            let structural = row.path.ends_with(".*") || row.path.ends_with("[]");
            assert!(structural || known.contains(row.path), "{} is not in the specification", row.path);
            assert!(row.doc.ends_with('.'), "{} needs a sentence", row.path);
        }
    }

    #[test]
    fn rows_stand_above_the_rows_within_them() {
        fn visit(schema: &Schema, path: &str) {
            assert_eq!(schema.row.path, path);
            let below = |name: &str| if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") };
            match schema.row.shape {
                Shape::Mapping => assert!(!schema.children.is_empty(), "{path} has no attributes"),
                Shape::Keyed => assert!(schema.each.is_some(), "{path} has no row for its entries"),
                Shape::List => assert!(schema.item.is_some(), "{path} has no row for its items"),
                _ => assert!(schema.children.is_empty() && schema.each.is_none() && schema.item.is_none()),
            }
            for (name, child) in &schema.children {
                visit(child, &below(name));
            }
            if let Some(each) = &schema.each {
                visit(each, &below("*"));
            }
            if let Some(item) = &schema.item {
                visit(item, &format!("{path}[]"));
            }
        }
        visit(Schema::root(), "");
    }
}
