//! One file's tree in canonical form: long forms, casts done, paths absolute.
//! Whatever is wrong is told at its place and left out, so that what remains
//! can be used and every fault is found in one go.

use std::fmt;

use crate::attributes::{Schema, Shape, Short, Support};
use crate::diagnostic::Diagnostic;
use crate::quantity;
use crate::scalar;
use crate::short_syntax::{self, Fault};
use crate::source::Origin;
use crate::tree::{Entries, Entry, Kind, Node, Scalar, ScalarKind};

mod findings;
mod paths;

pub(crate) use findings::{closest, outside_of};
pub(crate) use paths::{Base, absolute, clean, is_fetched, is_of_windows, is_remote};

use findings::{example, expected, found};

/// The way from the top to a value; prints as `services.web.ports[0]`.
#[derive(Clone, Copy)]
pub(crate) enum Trail<'a> {
    Top,
    Key(&'a Trail<'a>, &'a str),
    Item(&'a Trail<'a>, usize),
}

impl fmt::Display for Trail<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Top => Ok(()),
            Self::Key(Self::Top, key) => f.write_str(key),
            Self::Key(above, key) => write!(f, "{above}.{key}"),
            Self::Item(above, index) => write!(f, "{above}[{index}]"),
        }
    }
}

impl Trail<'_> {
    /// The last key on the way.
    fn name(&self) -> &str {
        match self {
            Self::Top => "the file",
            Self::Key(_, key) => key,
            Self::Item(above, _) => above.name(),
        }
    }
}

/// Makes the tree of a file canonical. The top must be a mapping.
pub(crate) fn canonical(root: Node, base: Base<'_>, diagnostics: &mut Vec<Diagnostic>) -> Option<Node> {
    Reader { base, diagnostics }.node(root, Schema::root(), Trail::Top)
}

struct Reader<'a> {
    base: Base<'a>,
    diagnostics: &'a mut Vec<Diagnostic>,
}

impl Reader<'_> {
    fn node(&mut self, node: Node, schema: &Schema, trail: Trail<'_>) -> Option<Node> {
        let row = schema.row;
        if node.is_null() {
            return self.nothing(node, schema, trail);
        }
        let origin = node.origin.clone();
        let node = match short_syntax::long_form(node, row.short) {
            Ok(node) => node,
            Err(fault) => {
                let whole = Node { kind: Kind::Sequence(Vec::new()), origin };
                self.fault(&whole, row, trail, fault);
                return None;
            }
        };
        let settled = match row.shape {
            Shape::Mapping => self.mapping(node, schema, trail),
            Shape::Keyed => self.keyed(node, schema, trail),
            Shape::List => self.list(node, schema, trail),
            Shape::Texts | Shape::Paths => self.texts(node, schema, trail),
            Shape::Pairs | Shape::Variables | Shape::Contexts => self.pairs(node, schema, trail),
            Shape::Lists => self.lists(node, schema, trail),
            _ => self.scalar(node, schema, trail),
        }?;
        self.settle(settled, schema, trail)
    }

    /// A key without a value: an empty entry where entries may be empty, else a fault.
    fn nothing(&mut self, node: Node, schema: &Schema, trail: Trail<'_>) -> Option<Node> {
        let row = schema.row;
        // Joining a network without attributes is told apart from joining with none of them.
        if matches!(row.path, "services.*.networks.*" | "services.*.models.*") {
            return Some(node);
        }
        if row.shape == Shape::Mapping && row.name() == "*" && row.short != Short::Ulimit {
            return Some(Node { kind: Kind::Mapping(Entries::new()), origin: node.origin });
        }
        // A command without a value takes away what an earlier file says.
        if row.short == Short::Words {
            return Some(node);
        }
        if matches!(row.path, "services.*.deploy" | "services.*.develop" | "services.*.pid")
            || row.path == "include"
        {
            return None;
        }
        let what = if matches!(trail, Trail::Top) { "the file is empty" } else { "has no value" };
        let told = match trail {
            Trail::Top => Diagnostic::error(what).help("a stack file begins with `services:`"),
            _ => {
                let mut told = Diagnostic::error(format!("`{}` {what}", trail.name()))
                    .label(format!("expected {}", expected(row)))
                    .help("give it a value, or remove the key");
                if !row.example.is_empty() {
                    told = told.help(example(row, trail));
                }
                told
            }
        };
        self.diagnostics.push(told.at(&node.origin).path(trail.to_string()));
        None
    }

    fn mapping(&mut self, node: Node, schema: &Schema, trail: Trail<'_>) -> Option<Node> {
        let origin = node.origin.clone();
        let mut entries = self.entries(node, schema, trail)?;
        short_syntax::hoist_external(&mut entries);
        retain(&mut entries, |key, place, mut node| {
            if key.starts_with("x-") {
                return Some(plain(node));
            }
            let below = Trail::Key(&trail, key);
            let Some(child) = schema.children.get(key) else {
                self.unknown(key, place, schema, below);
                return None;
            };
            match child.row.support {
                Support::NoEffect(why) => {
                    let told = Diagnostic::warning(format!("`{key}` is left out: {why}"))
                        .at(place)
                        .path(below.to_string());
                    self.diagnostics.push(told);
                    return None;
                }
                Support::Honoured | Support::NotYet(_) | Support::Ignored(_) | Support::Told => {}
            }
            // A key without a value has no place of its own: the key is the place.
            if node.is_null() {
                node.origin = place.clone();
            }
            self.node(node, child, below)
        });
        schema.order(&mut entries);
        Some(Node { kind: Kind::Mapping(entries), origin })
    }

    fn keyed(&mut self, node: Node, schema: &Schema, trail: Trail<'_>) -> Option<Node> {
        let origin = node.origin.clone();
        let each = schema.each.as_deref()?;
        let mut entries = self.entries(node, schema, trail)?;
        retain(&mut entries, |key, place, mut node| {
            let below = Trail::Key(&trail, key);
            if let Some(fault) = name_fault(key) {
                self.diagnostics.push(
                    Diagnostic::error(format!("`{key}` cannot be a name: {fault}"))
                        .at(place)
                        .path(below.to_string()),
                );
                return None;
            }
            if node.is_null() {
                node.origin = place.clone();
            }
            self.node(node, each, below)
        });
        Some(Node { kind: Kind::Mapping(entries), origin })
    }

    fn entries(&mut self, node: Node, schema: &Schema, trail: Trail<'_>) -> Option<Entries> {
        match node.kind {
            Kind::Mapping(entries) => Some(entries),
            _ => self.wrong(&node, schema, trail),
        }
    }

    fn items(&mut self, node: Node, schema: &Schema, trail: Trail<'_>) -> Option<(Vec<Node>, Origin)> {
        match node.kind {
            Kind::Sequence(items) => Some((items, node.origin)),
            _ => self.wrong(&node, schema, trail),
        }
    }

    fn list(&mut self, node: Node, schema: &Schema, trail: Trail<'_>) -> Option<Node> {
        let item = schema.item.as_deref()?;
        let (items, origin) = self.items(node, schema, trail)?;
        let mut read = Vec::with_capacity(items.len());
        for (index, node) in items.into_iter().enumerate() {
            let below = Trail::Item(&trail, index);
            match short_syntax::items(&node, item.row.short) {
                None => read.extend(self.node(node, item, below)),
                Some(Ok(nodes)) => {
                    for node in nodes {
                        read.extend(self.node(node, item, below));
                    }
                }
                Some(Err(fault)) => self.fault(&node, item.row, below, fault),
            }
        }
        Some(Node { kind: Kind::Sequence(read), origin })
    }

    fn texts(&mut self, node: Node, schema: &Schema, trail: Trail<'_>) -> Option<Node> {
        let (items, origin) = self.items(node, schema, trail)?;
        let mut read = Vec::with_capacity(items.len());
        for (index, node) in items.into_iter().enumerate() {
            let below = Trail::Item(&trail, index);
            match node {
                Node { kind: Kind::Scalar(scalar), origin } if is_text(&scalar, schema) => {
                    let mut node = Node::string(as_text(scalar), origin);
                    if schema.row.shape == Shape::Paths
                        && let Err(fault) = self.absolute(&mut node)
                    {
                        self.fault(&node, schema.row, below, fault);
                        continue;
                    }
                    read.push(node);
                }
                node => self.wrong_item(&node, schema, below),
            }
        }
        Some(Node { kind: Kind::Sequence(read), origin })
    }

    fn pairs(&mut self, node: Node, schema: &Schema, trail: Trail<'_>) -> Option<Node> {
        let origin = node.origin.clone();
        let mut entries = self.entries(node, schema, trail)?;
        retain(&mut entries, |key, key_place, node| {
            let below = Trail::Key(&trail, key);
            if key.is_empty() || key.ends_with(char::is_whitespace) {
                let fault = if key.is_empty() { "is empty" } else { "ends with a space" };
                self.diagnostics.push(
                    Diagnostic::error(format!("a key of `{}` {fault}", trail.name()))
                        .at(key_place)
                        .path(below.to_string()),
                );
                return None;
            }
            if NO_TRUTHS.contains(&schema.row.path)
                && node.as_scalar().is_some_and(|scalar| scalar.kind == ScalarKind::Boolean)
            {
                self.wrong_item(&node, schema, below);
                return None;
            }
            let Node { kind: Kind::Scalar(scalar), origin: mut place } = node else {
                self.diagnostics.push(
                    Diagnostic::error(format!("`{key}` must be a single value, not {}", found(&node)))
                        .at(&node.origin)
                        .path(below.to_string())
                        .label("expected a text"),
                );
                return None;
            };
            let kind = if scalar.kind == ScalarKind::Null && schema.row.shape == Shape::Variables {
                ScalarKind::Null
            } else {
                ScalarKind::String
            };
            if scalar.kind == ScalarKind::Null {
                place = key_place.clone();
            }
            let text = as_text(scalar);
            let mut node = Node::scalar(text, kind, place);
            if schema.row.shape == Shape::Contexts
                && let Err(fault) = self.context(&mut node)
            {
                self.fault(&node, schema.row, below, fault);
                return None;
            }
            Some(node)
        });
        Some(Node { kind: Kind::Mapping(entries), origin })
    }

    /// Keys and lists; a single value is a list of one.
    fn lists(&mut self, node: Node, schema: &Schema, trail: Trail<'_>) -> Option<Node> {
        let origin = node.origin.clone();
        let mut entries = self.entries(node, schema, trail)?;
        retain(&mut entries, |key, _, node| {
            let below = Trail::Key(&trail, key);
            let place = node.origin;
            let items = match node.kind {
                Kind::Sequence(items) => items,
                kind => vec![Node { kind, origin: place.clone() }],
            };
            let mut texts = Vec::with_capacity(items.len());
            for item in items {
                match item.as_scalar() {
                    Some(scalar) => {
                        let text = scalar::canonical(&scalar.text, scalar.kind);
                        texts.push(Node::string(text, item.origin));
                    }
                    None => self.wrong_item(&item, schema, below),
                }
            }
            Some(Node { kind: Kind::Sequence(texts), origin: place })
        });
        Some(Node { kind: Kind::Mapping(entries), origin })
    }

    fn scalar(&mut self, node: Node, schema: &Schema, trail: Trail<'_>) -> Option<Node> {
        let Some(scalar) = node.as_scalar() else { return self.wrong(&node, schema, trail) };
        // Most values are texts that stay what they are.
        if matches!(schema.row.shape, Shape::Text | Shape::Path | Shape::Context | Shape::Plain)
            && scalar.kind == ScalarKind::String
            && !scalar.text.is_empty()
        {
            return Some(node);
        }
        let text = scalar.text.as_str();
        let whole = || match scalar.kind {
            ScalarKind::Integer => scalar::integer(text),
            // A whole number may be written with a fraction of nothing, except for limits.
            ScalarKind::Float if !schema.row.path.starts_with("services.*.ulimits") => scalar::float(text)
                .filter(|number| number.fract() == 0.0 && number.abs() < 1e15)
                .map(|number| number as i128),
            // A number in a text is decimal; only permission bits are not.
            ScalarKind::String if schema.row.path == "services.*.volumes[].tmpfs.mode" => {
                scalar::integer(text.trim())
            }
            ScalarKind::String => text.trim().parse::<i128>().ok(),
            _ => None,
        };
        let cast = match schema.row.shape {
            Shape::Text | Shape::Path | Shape::Context => {
                is_text(scalar, schema).then(|| (scalar::canonical(text, scalar.kind), ScalarKind::String))
            }
            Shape::Plain => Some((scalar::canonical(text, scalar.kind), ScalarKind::String)),
            Shape::Boolean if !matches!(scalar.kind, ScalarKind::Boolean | ScalarKind::String) => None,
            Shape::Boolean => boolean(text).map(|(value, plain)| {
                if !plain {
                    self.diagnostics.push(
                        Diagnostic::warning(format!("`{text}` is taken for `{value}`"))
                            .at(&node.origin)
                            .path(trail.to_string())
                            .help("YAML 1.2 knows `true` and `false` alone"),
                    );
                }
                (value.to_string(), ScalarKind::Boolean)
            }),
            Shape::Integer => whole()
                .filter(|number| i64::try_from(*number).is_ok())
                // The kernel knows no others.
                .filter(|number| {
                    schema.row.path != "services.*.oom_score_adj" || (-1000..=1000).contains(number)
                })
                .map(|number| (number.to_string(), ScalarKind::Integer)),
            Shape::Count => whole()
                .filter(|number| u32::try_from(*number).is_ok())
                .map(|number| (number.to_string(), ScalarKind::Integer)),
            Shape::Number => match scalar.kind {
                ScalarKind::Boolean => None,
                ScalarKind::String => scalar::float(text),
                _ => scalar::integer(text).map(|number| number as f64).or_else(|| scalar::float(text)),
            }
            .filter(|number| number.is_finite() && *number >= 0.0)
            .map(|number| (scalar::float_text(number), ScalarKind::Float)),
            Shape::Duration if scalar.kind != ScalarKind::String => None,
            Shape::Duration => {
                quantity::duration(text).map(|time| (quantity::duration_text(time), ScalarKind::String))
            }
            Shape::Limit if text == "-1" => Some((text.to_owned(), ScalarKind::Integer)),
            Shape::Amount if text.eq_ignore_ascii_case("all") => Some(("-1".to_owned(), ScalarKind::Integer)),
            Shape::Amount => whole()
                .filter(|number| (-1..=i128::from(u32::MAX)).contains(number))
                .map(|number| (number.to_string(), ScalarKind::Integer)),
            Shape::Permissions => match scalar.kind {
                ScalarKind::Integer => scalar::integer(text),
                ScalarKind::String => i128::from_str_radix(text, 8).ok(),
                _ => None,
            }
            .filter(|bits| u32::try_from(*bits).is_ok())
            .map(|bits| (format!("0{bits:o}"), ScalarKind::String)),
            Shape::Bytes | Shape::Limit => match scalar.kind {
                ScalarKind::Integer => scalar::integer(text).and_then(|size| u64::try_from(size).ok()),
                ScalarKind::Float | ScalarKind::String => quantity::bytes(text),
                _ => None,
            }
            .map(|size| (size.to_string(), ScalarKind::Integer)),
            Shape::Choice(choices) => {
                if !choices.contains(&text) {
                    self.no_choice(&node, text, choices, trail);
                    return None;
                }
                Some((text.to_owned(), ScalarKind::String))
            }
            _ => None,
        };
        let Some((text, kind)) = cast else { return self.wrong(&node, schema, trail) };
        // An empty text says no more than an absent one, but that it takes away what an earlier
        // file says: `merge::without_empty` leaves it out. Items of lists have no earlier file.
        if text.is_empty() && kind == ScalarKind::String {
            match schema.row.path {
                "services.*.build.context" | "name" => {
                    let told = Diagnostic::error(format!("`{}` is empty", trail.name()));
                    self.diagnostics.push(told.at(&node.origin).path(trail.to_string()));
                    return None;
                }
                "services.*.extends.file" | "services.*.extends.service" => return None,
                path if path.contains("[]") || schema.row.shape != Shape::Text => return None,
                _ => {}
            }
        }
        Some(Node::scalar(text, kind, node.origin))
    }

    /// The rules of single attributes, once the shape is right.
    fn settle(&mut self, mut node: Node, schema: &Schema, trail: Trail<'_>) -> Option<Node> {
        let path = schema.row.path;
        let result = match path {
            _ if schema.row.shape == Shape::Path => self.absolute(&mut node),
            _ if schema.row.shape == Shape::Context => self.context(&mut node),
            "services.*.volumes[]" => {
                short_syntax::settle_mount(&mut node).and_then(|()| self.bind(&mut node))
            }
            "services.*.ports[]" => short_syntax::settle_port(&mut node),
            "services.*.healthcheck.test" => short_syntax::check_test(&node),
            "services.*.restart" => short_syntax::settle_restart(&mut node),
            "services.*.container_name" => short_syntax::check_container_name(&node),
            "services.*.build.ssh" => self.keys(&mut node),
            "services.*.pull_policy" => short_syntax::settle_pull_policy(&mut node),
            "services.*.secrets[]" => short_syntax::settle_file(&mut node, Some("/run/secrets")),
            "services.*.configs[]" | "services.*.build.secrets[]" => {
                short_syntax::settle_file(&mut node, None)
            }
            "services.*.devices[]" => short_syntax::check_device(&node),
            "services.*.gpus[]" => short_syntax::settle_request(&mut node),
            "services.*.deploy.resources.reservations.devices[]" => {
                short_syntax::needs(&node, "a request for devices", "capabilities", "capabilities: [gpu]")
                    .and_then(|()| short_syntax::settle_request(&mut node))
            }
            "services.*.develop.watch[]" => short_syntax::check_watch(&node),
            "services.*.post_start[]"
            | "services.*.pre_stop[]"
            | "services.*.pre_start[]"
            | "services.*.develop.watch[].exec" => {
                short_syntax::needs(&node, "a hook", "command", "command: [\"/migrate\"]")
            }
            "services.*.networks.*" => {
                short_syntax::settle_attachment(&mut node);
                Ok(())
            }
            _ => Ok(()),
        };
        match result {
            Ok(()) => Some(node),
            // It is absent because it was found faulty, which is told.
            Err(Fault { lacks: Some(key), .. }) if self.has_told(&Trail::Key(&trail, &key).to_string()) => {
                None
            }
            Err(fault) => {
                self.fault(&node, schema.row, trail, fault);
                None
            }
        }
    }

    /// Whether something was said about an attribute or what is within it.
    fn has_told(&self, path: &str) -> bool {
        self.diagnostics.iter().rev().any(|told| {
            told.path.strip_prefix(path).is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
        })
    }
}

/// Replaces the value of every entry, or takes the entry out, where it stands: the keys stay, and
/// nothing is made anew.
fn retain(entries: &mut Entries, mut read: impl FnMut(&str, &Origin, Node) -> Option<Node>) {
    entries.retain(|key, entry| {
        let nothing = Node::scalar(String::new(), ScalarKind::Null, entry.key.clone());
        let node = std::mem::replace(&mut entry.node, nothing);
        match read(key, &entry.key, node) {
            Some(node) => {
                entry.node = node;
                true
            }
            None => false,
        }
    });
}

/// The text that a value is kept as.
fn as_text(scalar: Scalar) -> String {
    match scalar.kind {
        ScalarKind::String => scalar.text,
        kind => scalar::canonical(&scalar.text, kind),
    }
}

/// The text of a scalar; empty for anything else.
pub(crate) fn text(node: &Node) -> &str {
    node.as_scalar().map_or("", |scalar| &scalar.text)
}

/// Texts that may be written as whole numbers.
const NUMBERS: &[&str] = &["services.*.ports[].published", "services.*.expose", "services.*.group_add"];

/// Pairs whose values are texts or numbers, and no truths.
const NO_TRUTHS: &[&str] = &[
    "services.*.logging.options",
    "services.*.networks.*.driver_opts",
    "networks.*.driver_opts",
    "volumes.*.driver_opts",
];

/// Whether a scalar can stand for a text.
fn is_text(scalar: &Scalar, schema: &Schema) -> bool {
    match scalar.kind {
        ScalarKind::String => true,
        ScalarKind::Integer => NUMBERS.contains(&schema.row.path),
        _ => false,
    }
}

/// Reads a boolean, and whether YAML 1.2 knows the word.
fn boolean(text: &str) -> Option<(bool, bool)> {
    match text.to_ascii_lowercase().as_str() {
        "true" => Some((true, true)),
        "false" => Some((false, true)),
        "y" | "yes" | "on" => Some((true, false)),
        "n" | "no" | "off" => Some((false, false)),
        _ => None,
    }
}

/// Why a key cannot name a service, a network or a volume.
fn name_fault(name: &str) -> Option<&'static str> {
    if name.is_empty() {
        return Some("it is empty");
    }
    let fine = name.chars().all(|each| each.is_ascii_alphanumeric() || matches!(each, '.' | '_' | '-'));
    (!fine).then_some("use letters, digits, `.`, `_` and `-`")
}

/// An extension (`x-…`): anything goes, values as they are read.
fn plain(node: Node) -> Node {
    let kind = match node.kind {
        Kind::Scalar(scalar) => {
            Kind::Scalar(Scalar { text: scalar::canonical(&scalar.text, scalar.kind), kind: scalar.kind })
        }
        Kind::Sequence(items) => Kind::Sequence(items.into_iter().map(plain).collect()),
        Kind::Mapping(entries) => Kind::Mapping(
            entries
                .into_iter()
                .map(|(key, entry)| (key, Entry { key: entry.key, node: plain(entry.node) }))
                .collect(),
        ),
    };
    Node { kind, origin: node.origin }
}
