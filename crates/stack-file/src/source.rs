//! The texts a stack was read from, and the place of each value in them.

use std::fmt;
use std::fs::File;
use std::io::Read;
use std::ops::{Deref, Range};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Names one text of [`Sources`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SourceId(pub(crate) u32);

/// One text: a stack file, an environment file, or standard input.
#[derive(Clone, Debug)]
pub struct Source {
    /// How the text is named to a person: the path as it was given, or `<stdin>`.
    pub name: String,
    /// Where the text was read from; `None` for standard input.
    pub path: Option<PathBuf>,
    /// The whole text, UTF-8.
    pub text: Arc<str>,
    /// Whether its lines may hold secrets and are never shown: environment files.
    pub confidential: bool,
    /// Where another text refers to this one; `None` for what was asked for itself.
    pub referrer: Option<Referrer>,
    /// Byte offset at which each line starts, the first being 0.
    lines: Vec<usize>,
}

/// The place at which one text refers to another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Referrer {
    /// Where.
    pub origin: Origin,
    /// By what.
    pub by: Reference,
}

/// How one text refers to another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reference {
    /// By the top-level `include`.
    Include,
    /// By `extends` of a service.
    Extends,
    /// As an environment file of an `include`.
    EnvFile,
}

/// A line and a column, both counted from 1; columns count characters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The name of the text, see [`Source::name`].
    pub file: String,
    /// Line, from 1.
    pub line: usize,
    /// Column in characters, from 1.
    pub column: usize,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.file, self.line, self.column)
    }
}

/// Every text that a load has read, in the order of reading.
#[derive(Clone, Debug, Default)]
pub struct Sources {
    all: Vec<Source>,
}

impl Sources {
    /// Adds a text and returns its name for [`Origin`]s.
    pub fn add(
        &mut self,
        name: impl Into<String>,
        path: Option<PathBuf>,
        text: impl Into<Arc<str>>,
    ) -> SourceId {
        let text = text.into();
        let lines =
            std::iter::once(0).chain(memchr::memchr_iter(b'\n', text.as_bytes()).map(|at| at + 1)).collect();
        let id = SourceId(u32::try_from(self.all.len()).unwrap_or(u32::MAX));
        self.all.push(Source { name: name.into(), path, text, confidential: false, referrer: None, lines });
        id
    }

    /// Adds a text whose lines are never shown, such as an environment file.
    pub fn add_confidential(
        &mut self,
        name: impl Into<String>,
        path: Option<PathBuf>,
        text: impl Into<Arc<str>>,
    ) -> SourceId {
        let id = self.add(name, path, text);
        self.all[id.0 as usize].confidential = true;
        id
    }

    /// Notes where another text refers to this one.
    pub(crate) fn refer(&mut self, id: SourceId, referrer: Referrer) {
        self.all[id.0 as usize].referrer = Some(referrer);
    }

    /// The places that led to a text, the nearest first; none for what was asked for itself.
    pub fn referrers(&self, id: SourceId) -> impl Iterator<Item = &Referrer> {
        let of = |id: SourceId| self.get(id).referrer.as_ref();
        std::iter::successors(of(id), move |referrer| of(referrer.origin.source))
    }

    /// The text behind `id`.
    ///
    /// # Panics
    /// When `id` came from other `Sources`.
    #[must_use]
    pub fn get(&self, id: SourceId) -> &Source {
        &self.all[id.0 as usize]
    }

    /// The text that was read from a path, the last time.
    pub(crate) fn named(&self, path: &Path) -> Option<(SourceId, &Source)> {
        let at = self.all.iter().rposition(|source| source.path.as_deref() == Some(path))?;
        Some((SourceId(u32::try_from(at).ok()?), &self.all[at]))
    }

    /// The first line of `origin` without its indentation, whatever may stand in it.
    #[must_use]
    pub fn line(&self, origin: &Origin) -> &str {
        let source = self.get(origin.source);
        let at = origin.span.start().min(source.text.len());
        let start = source.lines[source.lines.partition_point(|&start| start <= at).max(1) - 1];
        source.text[start..].lines().next().unwrap_or_default().trim()
    }

    /// Line and column behind the last character of `origin`.
    #[must_use]
    pub fn end(&self, origin: &Origin) -> Place {
        let span = Span { start: origin.span.end, end: origin.span.end };
        self.place(&Origin { source: origin.source, span, via: None })
    }

    /// All texts, in the order of reading.
    pub fn iter(&self) -> impl Iterator<Item = &Source> {
        self.all.iter()
    }

    /// Line and column of the first character of `origin`.
    #[must_use]
    pub fn place(&self, origin: &Origin) -> Place {
        let source = self.get(origin.source);
        let at = origin.span.start().min(source.text.len());
        let line = source.lines.partition_point(|&start| start <= at).max(1);
        let start = source.lines[line - 1];
        let column = source.text.get(start..at).map_or(0, |text| text.chars().count()) + 1;
        Place { file: source.name.clone(), line, column }
    }
}

/// A range of bytes in a text, end exclusive. No text is larger than [`SIZE_LIMIT`], so that
/// half of the usual size is enough: there is one for every key and value.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Span {
    start: u32,
    end: u32,
}

impl Span {
    /// The first byte.
    #[must_use]
    pub fn start(self) -> usize {
        self.start as usize
    }

    /// The first byte behind it.
    #[must_use]
    pub fn end(self) -> usize {
        self.end as usize
    }

    /// As a range.
    #[must_use]
    pub fn range(self) -> Range<usize> {
        self.start()..self.end()
    }
}

impl From<Range<usize>> for Span {
    fn from(range: Range<usize>) -> Self {
        let narrow = |at: usize| u32::try_from(at).unwrap_or(u32::MAX);
        Self { start: narrow(range.start), end: narrow(range.end) }
    }
}

/// Where a value came from: a range of bytes in one text, and the variable
/// that supplied it, if one did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    /// The text.
    pub source: SourceId,
    /// Range of bytes in the text.
    pub span: Span,
    /// The variable whose value went into this one: of several the first from outside of the
    /// file, else the first.
    pub via: Option<Arc<Variable>>,
}

/// A variable that took part in a value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Variable {
    /// The name, as in `${NAME}`.
    pub name: String,
    /// Who set it.
    pub from: VariableSource,
}

/// Who set a variable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum VariableSource {
    /// The environment of the process.
    Environment,
    /// A line of an environment file (`.env`, `--env-file`): path and line, from 1.
    EnvFile(PathBuf, usize),
    /// The default written in the file, as in `${NAME:-default}`.
    Default,
    /// Nobody: the value is empty.
    Unset,
}

/// A value and its place.
#[derive(Clone, Debug)]
pub struct Spanned<T> {
    /// The value.
    pub value: T,
    /// Where it came from.
    pub origin: Origin,
}

impl<T> Spanned<T> {
    /// Puts a value at its place.
    pub fn new(value: T, origin: Origin) -> Self {
        Self { value, origin }
    }

    /// The same place, another value.
    pub fn map<U>(self, convert: impl FnOnce(T) -> U) -> Spanned<U> {
        Spanned { value: convert(self.value), origin: self.origin }
    }
}

impl<T> Deref for Spanned<T> {
    type Target = T;
    fn deref(&self) -> &T {
        &self.value
    }
}

/// Equal values are equal wherever they stand.
impl<T: PartialEq> PartialEq for Spanned<T> {
    fn eq(&self, other: &Self) -> bool {
        self.value == other.value
    }
}

/// The size of a file that is read, at most, in bytes.
pub const SIZE_LIMIT: u64 = 16 << 20;

/// Reads a file of at most [`SIZE_LIMIT`] bytes as UTF-8; the error says in a few
/// words why it cannot be read.
pub(crate) fn read(path: &Path) -> Result<String, String> {
    let file = File::open(path).map_err(|error| reason(&error))?;
    let mut bytes = Vec::new();
    file.take(SIZE_LIMIT + 1).read_to_end(&mut bytes).map_err(|error| reason(&error))?;
    if bytes.len() as u64 > SIZE_LIMIT {
        return Err(too_large());
    }
    String::from_utf8(bytes).map_err(|error| {
        let line = error.as_bytes()[..error.utf8_error().valid_up_to()].split(|&byte| byte == b'\n').count();
        format!("line {line} is not UTF-8")
    })
}

pub(crate) fn too_large() -> String {
    format!("it is larger than {} MiB", SIZE_LIMIT >> 20)
}

pub(crate) fn reason(error: &std::io::Error) -> String {
    match error.kind() {
        std::io::ErrorKind::NotFound => "there is no such file".to_owned(),
        std::io::ErrorKind::PermissionDenied => "permission denied".to_owned(),
        std::io::ErrorKind::IsADirectory => "it is a directory".to_owned(),
        _ => error.to_string(),
    }
}
