//! Variables in values: `$NAME`, `${NAME}` and the forms with an operator.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::fmt;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::canonical::Trail;
use crate::diagnostic::Diagnostic;
use crate::source::{Origin, Sources, Span, Variable, VariableSource};
use crate::tree::{Kind, Node, ScalarKind};

/// Defaults within defaults, at most.
const DEPTH_LIMIT: usize = 64;

/// The variables that a file may use: the environment of the process, below it
/// those of environment files.
#[derive(Clone, Debug)]
pub(crate) struct Variables<'a> {
    process: &'a BTreeMap<String, String>,
    /// Variables that win over all of these: those of the file that includes another.
    above: Option<&'a Variables<'a>>,
    files: HashMap<String, Line>,
    /// Lines of environment files that another one took the place of, by name in the order of reading.
    beaten: HashMap<String, Vec<Line>>,
    implied: HashMap<&'static str, String>,
}

/// What a line of an environment file says: the value, the file and the line, from 1.
type Line = (String, PathBuf, usize);

impl<'a> Variables<'a> {
    /// The environment of the process alone.
    #[must_use]
    pub(crate) fn new(process: &'a BTreeMap<String, String>) -> Self {
        Self { process, above: None, files: HashMap::new(), beaten: HashMap::new(), implied: HashMap::new() }
    }

    /// The variables of an included file: those of the including one, and below them its own.
    #[must_use]
    pub(crate) fn below(above: &'a Variables<'a>) -> Self {
        Self { above: Some(above), ..Self::new(above.process) }
    }

    /// Adds a variable of an environment file: its path and line, from 1. One that
    /// is there already is replaced if `stronger`.
    pub(crate) fn add(&mut self, name: &str, value: String, path: &Path, line: usize, stronger: bool) {
        let line = (value, path.to_owned(), line);
        let beaten = if stronger || !self.files.contains_key(name) {
            self.files.insert(name.to_owned(), line)
        } else {
            Some(line)
        };
        if let Some(beaten) = beaten {
            self.beaten.entry(name.to_owned()).or_default().push(beaten);
        }
    }

    /// Adds a variable that has a value even if nobody sets it.
    pub(crate) fn imply(&mut self, name: &'static str, value: &str) {
        self.implied.insert(name, value.to_owned());
    }

    /// The value of a variable.
    #[must_use]
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        if let Some(value) = self.above.and_then(|above| above.get(name)) {
            return Some(value);
        }
        self.process
            .get(name)
            .or_else(|| self.files.get(name).map(|(value, ..)| value))
            .or_else(|| self.implied.get(name))
            .map(String::as_str)
    }

    /// The value of a variable that no environment file of this level can replace.
    #[must_use]
    pub(crate) fn fixed(&self, name: &str) -> Option<&str> {
        let above = self.above.and_then(|above| above.get(name));
        above.or_else(|| self.process.get(name).map(String::as_str))
    }

    /// The variables of this level's environment files.
    #[must_use]
    pub(crate) fn of_files(&self) -> HashMap<String, String> {
        self.files.iter().map(|(name, (value, ..))| (name.clone(), value.clone())).collect()
    }

    /// Every variable that somebody set, with its value.
    pub(crate) fn all(&self) -> BTreeMap<String, String> {
        let mut all: BTreeMap<_, _> =
            self.files.iter().map(|(name, (value, ..))| (name.clone(), value.clone())).collect();
        all.extend(self.process.clone());
        all
    }

    /// The lines of environment files that set a variable in vain, the strongest first.
    pub(crate) fn in_vain(&self, name: &str) -> Vec<(VariableSource, &str)> {
        fn told((value, path, line): &Line) -> (VariableSource, &str) {
            (VariableSource::EnvFile(path.clone(), *line), value)
        }
        let above = self.above.filter(|above| above.get(name).is_some());
        let mut lines = above.map_or_else(Vec::new, |above| above.in_vain(name));
        if above.is_some() || self.process.contains_key(name) {
            lines.extend(self.files.get(name).map(told));
        }
        lines.extend(self.beaten.get(name).into_iter().flatten().rev().map(told));
        lines
    }

    /// Who set a variable.
    #[must_use]
    pub(crate) fn origin(&self, name: &str) -> VariableSource {
        if let Some(above) = self.above.filter(|above| above.get(name).is_some()) {
            return above.origin(name);
        }
        if self.process.contains_key(name) {
            return VariableSource::Environment;
        }
        match self.files.get(name) {
            Some((_, path, line)) => VariableSource::EnvFile(path.clone(), *line),
            None if self.implied.contains_key(name) => VariableSource::Default,
            None => VariableSource::Unset,
        }
    }
}

/// A text with its variables filled in.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Filled {
    pub(crate) text: String,
    /// The variables that were used, and of each whether it was its default that served.
    pub(crate) used: Vec<(String, bool)>,
    /// Variables without a value and without a default.
    pub(crate) unset: Vec<String>,
}

/// Why the variables of a text cannot be filled in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum FillError {
    /// A brace that does not close.
    Open,
    /// Braces without a name.
    Nameless,
    /// Something other than an operator after this name.
    Operator(String),
    /// Too many defaults within defaults.
    Deep,
    /// A variable without a value, and what the file says about it.
    Required(String, String),
}

impl fmt::Display for FillError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Open => f.write_str("`${` is not closed by `}`"),
            Self::Nameless => f.write_str("`${` needs the name of a variable: letters, digits and `_`"),
            Self::Operator(name) => {
                write!(f, "after `${{{name}` only `}}`, `:-`, `-`, `:?`, `?`, `:+` or `+` may follow")
            }
            Self::Deep => write!(f, "variables are nested more than {DEPTH_LIMIT} deep"),
            Self::Required(name, message) => {
                write!(f, "the variable `{name}` is required and has no value")?;
                if message.is_empty() { Ok(()) } else { write!(f, ": {message}") }
            }
        }
    }
}

impl std::error::Error for FillError {}

impl FillError {
    fn help(&self) -> &'static str {
        match self {
            Self::Required(..) => "set it in the environment or in `.env`",
            Self::Deep => "write it with fewer defaults within defaults",
            _ => "write `$$` for a plain dollar sign",
        }
    }
}

/// A variable's value by its name.
type Lookup<'l, 'v> = &'l dyn Fn(&str) -> Option<Cow<'v, str>>;

/// Fills in the variables of a text.
pub(crate) fn fill(text: &str, lookup: Lookup<'_, '_>) -> Result<Filled, FillError> {
    let mut filled = Filled::default();
    let text = expand(text, lookup, 0, &mut filled)?;
    filled.text = text;
    Ok(filled)
}

fn expand(
    text: &str,
    lookup: Lookup<'_, '_>,
    depth: usize,
    filled: &mut Filled,
) -> Result<String, FillError> {
    if depth > DEPTH_LIMIT {
        return Err(FillError::Deep);
    }
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('$') {
        out.push_str(&rest[..at]);
        let after = &rest[at + 1..];
        match after.chars().next() {
            Some('$') => {
                out.push('$');
                rest = &after[1..];
            }
            Some('{') => {
                let inner = &after[1..];
                let end = closing(inner).ok_or(FillError::Open)?;
                out.push_str(&braced(&inner[..end], lookup, depth, filled)?);
                rest = &inner[end + 1..];
            }
            Some(first) if first.is_ascii_alphabetic() || first == '_' => {
                let end = name_length(after);
                out.push_str(&plain(&after[..end], lookup, filled));
                rest = &after[end..];
            }
            _ => {
                out.push('$');
                rest = after;
            }
        }
    }
    out.push_str(rest);
    Ok(out)
}

fn plain(name: &str, lookup: Lookup<'_, '_>, filled: &mut Filled) -> String {
    let value = lookup(name);
    note(filled, name, false);
    match value {
        Some(value) => value.into_owned(),
        None => {
            filled.unset.push(name.to_owned());
            String::new()
        }
    }
}

/// What stands between the braces: a name, and maybe an operator with a text.
fn braced(
    inner: &str,
    lookup: Lookup<'_, '_>,
    depth: usize,
    filled: &mut Filled,
) -> Result<String, FillError> {
    let end = name_length(inner);
    let (name, rest) = inner.split_at(end);
    if name.is_empty() {
        return Err(FillError::Nameless);
    }
    if rest.is_empty() {
        return Ok(plain(name, lookup, filled));
    }
    let (filled_only, rest) = match rest.strip_prefix(':') {
        Some(rest) => (true, rest),
        None => (false, rest),
    };
    let value = lookup(name);
    let usable = value.as_deref().is_some_and(|value| !filled_only || !value.is_empty());
    if let Some(default) = rest.strip_prefix('-') {
        note(filled, name, !usable);
        if usable {
            Ok(value.unwrap_or_default().into_owned())
        } else {
            expand(default, lookup, depth + 1, filled)
        }
    } else if let Some(instead) = rest.strip_prefix('+') {
        note(filled, name, usable);
        if usable {
            expand(instead, lookup, depth + 1, filled)
        } else {
            Ok(value.unwrap_or_default().into_owned())
        }
    } else if let Some(message) = rest.strip_prefix('?') {
        note(filled, name, false);
        if usable {
            return Ok(value.unwrap_or_default().into_owned());
        }
        let message = expand(message, lookup, depth + 1, filled)?;
        Err(FillError::Required(name.to_owned(), message))
    } else {
        Err(FillError::Operator(name.to_owned()))
    }
}

fn note(filled: &mut Filled, name: &str, default: bool) {
    filled.used.push((name.to_owned(), default));
}

/// The length of the name at the start of a text.
fn name_length(text: &str) -> usize {
    if text.starts_with(|first: char| first.is_ascii_digit()) {
        return 0;
    }
    text.find(|each: char| !each.is_ascii_alphanumeric() && each != '_').unwrap_or(text.len())
}

/// Where the brace closes that was opened just before a text.
fn closing(text: &str) -> Option<usize> {
    let mut open = 1_usize;
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            b'{' => open += 1,
            b'}' => {
                open -= 1;
                if open == 0 {
                    return Some(at);
                }
            }
            _ => {}
        }
    }
    None
}

/// Fills in the variables of every value of a tree; keys stay as they are.
pub(crate) fn interpolate(
    root: &mut Node,
    variables: &Variables<'_>,
    sources: &Sources,
    diagnostics: &mut Vec<Diagnostic>,
) {
    let mut filler = Filler { variables, sources, diagnostics, told: HashSet::new() };
    filler.node(root, Trail::Top);
}

struct Filler<'a> {
    variables: &'a Variables<'a>,
    sources: &'a Sources,
    diagnostics: &'a mut Vec<Diagnostic>,
    /// Places of which a warning was given: an alias brings a value several times.
    told: HashSet<(String, usize)>,
}

impl Filler<'_> {
    /// Fills in one node; `false` when it cannot be used and is to be left out.
    fn node(&mut self, node: &mut Node, trail: Trail<'_>) -> bool {
        match &mut node.kind {
            Kind::Sequence(items) => {
                let mut index = 0;
                items.retain_mut(|item| {
                    index += 1;
                    self.node(item, Trail::Item(&trail, index - 1))
                });
            }
            Kind::Mapping(entries) => {
                entries.retain(|key, entry| self.node(&mut entry.node, Trail::Key(&trail, key)));
            }
            Kind::Scalar(scalar) if scalar.kind == ScalarKind::String && scalar.text.contains('$') => {
                let lookup = |name: &str| self.variables.get(name).map(Cow::Borrowed);
                match fill(&scalar.text, &lookup) {
                    Ok(filled) => {
                        scalar.text = filled.text;
                        for name in filled.unset {
                            self.unset(&name, &node.origin, trail);
                        }
                        if let Some(variable) = self.decisive(filled.used) {
                            node.origin.via = Some(Arc::new(variable));
                        }
                    }
                    Err(fault) => {
                        let told = Diagnostic::error(fault.to_string())
                            .at(&node.origin)
                            .path(trail.to_string())
                            .help(fault.help());
                        self.diagnostics.push(told);
                        return false;
                    }
                }
            }
            Kind::Scalar(_) => {}
        }
        true
    }

    /// Of the variables of a value the first that somebody outside of the file has set, else the
    /// first: what came from outside may be secret, whatever stands before it.
    fn decisive(&self, used: Vec<(String, bool)>) -> Option<Variable> {
        let mut first = None;
        for (name, default) in used {
            let from = if default { VariableSource::Default } else { self.variables.origin(&name) };
            let outside = matches!(from, VariableSource::Environment | VariableSource::EnvFile(..));
            let variable = Variable { name, from };
            if outside {
                return Some(variable);
            }
            first.get_or_insert(variable);
        }
        first
    }

    fn unset(&mut self, name: &str, origin: &Origin, trail: Trail<'_>) {
        if !self.told.insert((name.to_owned(), origin.span.start())) {
            return;
        }
        let text = &self.sources.get(origin.source).text;
        let span = place_of(name, text, &origin.span.range()).map_or(origin.span, Span::from);
        let place = Origin { source: origin.source, span, via: None };
        self.diagnostics.push(
            Diagnostic::warning(format!("the variable `{name}` is not set, and stands for an empty text"))
                .at(&place)
                .path(trail.to_string())
                .help(format!(
                    "set it in the environment or in `.env`, give a default with `${{{name}:-…}}`, or write `$$` for a plain dollar sign"
                )),
        );
    }
}

/// Where `$NAME` or `${NAME` stands within a range of a text.
fn place_of(name: &str, text: &str, within: &Range<usize>) -> Option<Range<usize>> {
    let slice = text.get(within.clone())?;
    for (at, _) in slice.match_indices('$') {
        let after = &slice[at + 1..];
        let (open, after) = match after.strip_prefix('{') {
            Some(inner) => (2, inner),
            None => (1, after),
        };
        if after.starts_with(name) && name_length(after) == name.len() {
            let close = usize::from(open == 2 && after[name.len()..].starts_with('}'));
            let start = within.start + at;
            return Some(start..start + open + name.len() + close);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use std::borrow::Cow;

    use super::fill;
    use proptest::prelude::*;

    fn filled(text: &str) -> Result<String, String> {
        let lookup = |name: &str| match name {
            "A" => Some(Cow::Borrowed("1")),
            "EMPTY" => Some(Cow::Borrowed("")),
            "_b2" => Some(Cow::Borrowed("two")),
            _ => None,
        };
        fill(text, &lookup).map(|filled| filled.text).map_err(|fault| fault.to_string())
    }

    #[test]
    fn every_form() {
        for (text, value) in [
            ("$A", "1"),
            ("${A}", "1"),
            ("x${A}y$_b2-", "x1ytwo-"),
            ("$UNSET.", "."),
            ("${UNSET}", ""),
            ("${A:-d}", "1"),
            ("${UNSET:-d}", "d"),
            ("${EMPTY:-d}", "d"),
            ("${EMPTY-d}", ""),
            ("${UNSET-d}", "d"),
            ("${A:?no}", "1"),
            ("${EMPTY?no}", ""),
            ("${A:+r}", "r"),
            ("${EMPTY:+r}", ""),
            ("${EMPTY+r}", "r"),
            ("${UNSET+r}", ""),
            ("$$A", "$A"),
            ("$$$A", "$1"),
            ("a $ b", "a $ b"),
            ("^x$", "^x$"),
            ("$}", "$}"),
            ("$1", "$1"),
            ("${UNSET:-${A}}", "1"),
            ("${UNSET:-${NOT:-x}y}", "xy"),
            ("${UNSET:-{\"a\":1}}", "{\"a\":1}"),
            ("${A-x?y}", "1"),
            ("${UNSET-x?y}", "x?y"),
            ("${UNSET:-$$A}", "$A"),
            ("${A:+${UNSET:-z}}", "z"),
            ("ä${A}ö", "ä1ö"),
        ] {
            assert_eq!(filled(text).as_deref(), Ok(value), "{text}");
        }
    }

    #[test]
    fn faults() {
        for text in ["${", "${}", "${ A}", "${A }", "${A!}", "${1}", "${A:x}", "${UNSET:-{}", "a${A"] {
            assert!(filled(text).is_err(), "{text}");
        }
        let fault = filled("${UNSET:?give one}").expect_err("required");
        assert_eq!(fault, "the variable `UNSET` is required and has no value: give one");
        let fault = filled("${EMPTY:?}").expect_err("required");
        assert_eq!(fault, "the variable `EMPTY` is required and has no value");
        let deep = format!("{}x{}", "${U:-".repeat(100), "}".repeat(100));
        assert!(filled(&deep).is_err());
    }

    #[test]
    fn an_unused_branch_is_left_alone() {
        let lookup = |name: &str| (name == "A").then_some(Cow::Borrowed("1"));
        let filled = fill("${A:-$UNSET} ${B:+$UNSET}", &lookup).expect("fine");
        assert_eq!(filled.unset, Vec::<String>::new());
        assert_eq!(filled.used.first(), Some(&("A".to_owned(), false)));
    }

    proptest! {
        #[test]
        fn no_text_panics(text in "[$A{}:?+\\-ä \n]{0,40}") {
            let _ = filled(&text);
        }

        #[test]
        fn a_doubled_dollar_is_one(text in "\\PC{0,40}") {
            prop_assert_eq!(filled(&text.replace('$', "$$")), Ok(text));
        }
    }
}
