//! Where a value came from: its place, its variables, and what it took the place of.

use std::borrow::Cow;
use std::cell::RefCell;
use std::collections::BTreeMap;

use crate::attributes::{Attribute, Merge, Schema, Shape};
use crate::canonical::{closest, text};
use crate::env_file;
use crate::interpolate::{self, Variables};
use crate::load::Loaded;
use crate::merge::key_of;
use crate::name::normalized;
use crate::source::{Origin, VariableSource};
use crate::tree::{Kind, Node};

/// What a load leaves behind for [`explain`]: the files one by one, before they were
/// merged, and the variables. See [`load_with_history`](crate::load::load_with_history).
#[derive(Clone, Debug)]
pub struct History<'a> {
    layers: Vec<Node>,
    merged: Option<Node>,
    variables: Variables<'a>,
}

impl<'a> History<'a> {
    pub(crate) fn new(environment: &'a BTreeMap<String, String>) -> Self {
        Self { layers: Vec::new(), merged: None, variables: Variables::new(environment) }
    }

    /// Keeps the documents as they were before they were merged, and what the merge gave,
    /// before it was completed.
    pub(crate) fn merged(&mut self, layers: Vec<Node>, tree: &Node, variables: &Variables<'a>) {
        self.layers = layers;
        self.merged = Some(tree.clone());
        self.variables = variables.clone();
    }
}

/// One value and its history.
#[derive(Clone, Debug)]
pub struct Explained {
    /// The path from the top: `services.web.environment.PORT`.
    pub path: String,
    /// The value: a scalar, or an empty list or mapping.
    pub value: Node,
    /// What the attribute table says about the attribute.
    pub doc: &'static str,
    /// Who said it.
    pub whence: Whence,
    /// Whether it may be a secret: it comes from outside the stack files, and its
    /// attribute takes any text.
    pub confidential: bool,
    /// The variables it was made from, in the order of their use.
    pub variables: Vec<Used>,
    /// The values it took the place of, the latest first.
    pub overridden: Vec<Earlier>,
}

/// Who said a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Whence {
    /// A file, at the place of the value.
    File,
    /// Nobody: it follows from what stands at its place.
    Implied,
    /// The variable that is named, or the command line: only a project name can.
    Outside,
}

/// A variable that went into a value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Used {
    /// The name.
    pub name: String,
    /// Who set it.
    pub from: VariableSource,
    /// Its value, if somebody set it.
    pub value: Option<String>,
    /// Who else set it, in vain, the strongest first.
    pub in_vain: Vec<InVain>,
}

/// A source of a variable that another one won over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InVain {
    /// The source.
    pub from: VariableSource,
    /// The value that it gives.
    pub value: String,
}

/// A value that another took the place of.
#[derive(Clone, Debug)]
pub struct Earlier {
    /// The value.
    pub value: Node,
    /// Whether it may be a secret.
    pub confidential: bool,
}

/// Why a path leads nowhere.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Missing {
    /// One sentence without a full stop.
    pub message: String,
    /// What to do next.
    pub help: String,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Step {
    Key(String),
    Item(usize),
}

/// Explains the value at a path, or every value below it. A path that does not begin
/// at the top begins at a service: `web.ports[0]` is `services.web.ports[0]`.
///
/// # Errors
/// When there is nothing at the path.
pub fn explain(loaded: &Loaded, history: &History<'_>, path: &str) -> Result<Vec<Explained>, Missing> {
    let top = &loaded.stack.tree;
    let first = path.split(['.', '[']).next().unwrap_or_default();
    let from_top = top.get(first).is_some() || Schema::root().children.contains_key(first);
    let whole = if from_top { path.to_owned() } else { format!("services.{path}") };
    let explainer = Explainer { loaded, history };
    let (steps, node) = explainer.resolve(&whole)?;
    let mut all = Vec::new();
    explainer.leaves(node, &mut steps.clone(), &mut all);
    Ok(all)
}

struct Explainer<'a> {
    loaded: &'a Loaded,
    history: &'a History<'a>,
}

impl<'a> Explainer<'a> {
    /// Follows a path. Keys may have dots: of those that fit the longest is taken.
    fn resolve(&self, path: &str) -> Result<(Vec<Step>, &'a Node), Missing> {
        let mut node = &self.loaded.stack.tree;
        let mut steps = Vec::new();
        let mut rest = path;
        while !rest.is_empty() {
            if let Some(inner) = rest.strip_prefix('[') {
                let (index, after) = inner.split_once(']').ok_or_else(|| Missing {
                    message: format!("`{path}` has a `[` that is not closed"),
                    help: "count items of a list from 0: `ports[0]`".to_owned(),
                })?;
                let items = node.as_sequence().unwrap_or_default();
                let shown = index;
                let index = index.parse().unwrap_or(usize::MAX);
                let Some(item) = items.get(index) else {
                    let here = printed(&steps);
                    return Err(match node.as_sequence() {
                        Some(items) => Missing {
                            message: format!("`{here}` has no item {shown}"),
                            help: match items.len() {
                                0 => "it is empty".to_owned(),
                                1 => "it has one, which is [0]".to_owned(),
                                all => format!("it has [0] to [{}]", all - 1),
                            },
                        },
                        None => Missing {
                            message: format!("`{here}` is not a list"),
                            help: self.inventory(node, &here),
                        },
                    });
                };
                steps.push(Step::Item(index));
                node = item;
                rest = after;
                continue;
            }
            rest = rest.strip_prefix('.').unwrap_or(rest);
            let fitting = node.as_mapping().into_iter().flatten().filter(|(key, _)| {
                rest.strip_prefix(key.as_str())
                    .is_some_and(|after| after.is_empty() || after.starts_with(['.', '[']))
            });
            let Some((key, entry)) = fitting.max_by_key(|(key, _)| key.len()) else {
                return Err(self.missing(node, &steps, rest));
            };
            steps.push(Step::Key(key.clone()));
            node = &entry.node;
            rest = &rest[key.len()..];
        }
        Ok((steps, node))
    }

    fn missing(&self, node: &Node, steps: &[Step], rest: &str) -> Missing {
        let name = rest.split(['.', '[']).next().unwrap_or_default();
        let here = printed(steps);
        let place = if here.is_empty() { "the file".to_owned() } else { format!("`{here}`") };
        if node.as_scalar().is_some() {
            return Missing {
                message: format!("{place} is a single value: it has no `{name}`"),
                help: format!("ask for it as a whole: {here}"),
            };
        }
        if here == "services" && self.loaded.stack.disabled.iter().any(|disabled| disabled == name) {
            return Missing {
                message: format!("the service `{name}` is not enabled by any profile"),
                help: "enable it with: --profile NAME".to_owned(),
            };
        }
        let mut there = steps.to_vec();
        there.push(Step::Key(name.to_owned()));
        let whole = &self.loaded.stack.tree;
        let earlier = self.history.layers.iter().rev().find(|layer| at(layer, whole, &there).is_some());
        if let Some(layer) = earlier {
            let file = &self.loaded.sources.get(layer.origin.source).name;
            return Missing {
                message: format!("{place} has no `{name}` in the end, although {file} gives one"),
                help: "a later file takes it out, or nothing uses it".to_owned(),
            };
        }
        let schema = schema_at(steps);
        if let Some(row) = schema.and_then(|schema| schema.children.get(name)) {
            return Missing {
                message: format!("the file sets no `{name}` for {place}"),
                help: format!("{name}: {}", row.row.doc),
            };
        }
        let keys = node.as_mapping().into_iter().flatten().map(|(key, _)| key.as_str());
        let known = schema.into_iter().flat_map(|schema| schema.children.keys().copied());
        let message = match here.as_str() {
            "services" => format!("there is no service `{name}`"),
            _ => format!("{place} has no `{name}`"),
        };
        let help = match closest(name, keys.chain(known)) {
            Some(close) => format!("did you mean `{close}`?"),
            None => self.inventory(node, &here),
        };
        Missing { message, help }
    }

    fn inventory(&self, node: &Node, here: &str) -> String {
        match &node.kind {
            Kind::Mapping(entries) if !entries.is_empty() => {
                format!("it has: {}", entries.keys().map(String::as_str).collect::<Vec<_>>().join(", "))
            }
            Kind::Sequence(items) if !items.is_empty() => format!("it is a list: ask for {here}[0]"),
            _ => "look at the whole file with `stackctl config`".to_owned(),
        }
    }

    fn leaves(&self, node: &Node, steps: &mut Vec<Step>, all: &mut Vec<Explained>) {
        match &node.kind {
            Kind::Mapping(entries) if !entries.is_empty() => {
                for (key, entry) in entries {
                    steps.push(Step::Key(key.clone()));
                    self.leaves(&entry.node, steps, all);
                    steps.pop();
                }
            }
            Kind::Sequence(items) if !items.is_empty() => {
                for (index, item) in items.iter().enumerate() {
                    steps.push(Step::Item(index));
                    self.leaves(item, steps, all);
                    steps.pop();
                }
            }
            _ => all.push(self.leaf(node, steps)),
        }
    }

    fn leaf(&self, node: &Node, steps: &[Step]) -> Explained {
        let row = row_at(steps);
        let whole = &self.loaded.stack.tree;
        let found: Vec<&Node> =
            self.history.layers.iter().filter_map(|layer| at(layer, whole, steps)).collect();
        let env_files = self.env_files(steps);
        let from_file = self.loaded.sources.get(node.origin.source).confidential;
        let implied = !from_file && found.iter().all(|other| !same_place(&other.origin, &node.origin));
        let mut overridden: Vec<Earlier> = env_files
            .into_iter()
            .filter(|other| !same_place(&other.origin, &node.origin))
            .map(|value| Earlier { confidential: true, value })
            .collect();
        overridden.extend(found.into_iter().filter(|other| !same_place(&other.origin, &node.origin)).map(
            |other| Earlier {
                confidential: self.confidential(row, &self.variables(other), &other.origin),
                value: other.clone(),
            },
        ));
        overridden.reverse();
        if let [Step::Key(key)] = steps
            && key == "name"
        {
            return self.project_name(node, row);
        }
        let variables = if implied { Vec::new() } else { self.variables(node) };
        Explained {
            path: printed(steps),
            value: node.clone(),
            doc: row.doc,
            whence: if implied { Whence::Implied } else { Whence::File },
            confidential: self.confidential(row, &variables, &node.origin),
            variables,
            overridden,
        }
    }

    /// The project name may come from the command line, from one variable, from a
    /// file, or from the name of the directory.
    fn project_name(&self, node: &Node, row: &'static Attribute) -> Explained {
        let written = self.history.merged.as_ref().and_then(|tree| tree.get("name"));
        let name = text(node);
        let from = self.history.variables.origin("COMPOSE_PROJECT_NAME");
        let directory = self.loaded.stack.directory.file_name().map(|name| name.to_string_lossy());
        let mut variables = Vec::new();
        let whence = if matches!(from, VariableSource::Environment | VariableSource::EnvFile(..))
            && self.history.variables.get("COMPOSE_PROJECT_NAME") == Some(name)
        {
            variables.push(self.used("COMPOSE_PROJECT_NAME", from, Some(name.to_owned())));
            Whence::Outside
        } else if let Some(written) = written.filter(|written| text(written) == name) {
            variables = self.variables(written);
            Whence::File
        } else if written.is_none() && directory.is_some_and(|directory| normalized(&directory) == name) {
            Whence::Implied
        } else {
            Whence::Outside
        };
        let overridden = written
            .filter(|_| whence == Whence::Outside)
            .map(|written| Earlier { value: written.clone(), confidential: false });
        Explained {
            path: "name".to_owned(),
            value: node.clone(),
            doc: row.doc,
            whence,
            confidential: false,
            variables,
            overridden: overridden.into_iter().collect(),
        }
    }

    /// What the environment files of a service say about a variable.
    fn env_files(&self, steps: &[Step]) -> Vec<Node> {
        let [Step::Key(top), Step::Key(service), Step::Key(attribute), Step::Key(name)] = steps else {
            return Vec::new();
        };
        if (top.as_str(), attribute.as_str()) != ("services", "environment") {
            return Vec::new();
        }
        let files =
            self.history.merged.as_ref().and_then(|tree| tree.get("services")?.get(service)?.get("env_file"));
        let mut found = Vec::new();
        for file in files.and_then(Node::as_sequence).unwrap_or_default() {
            let Some(path) = file.get("path").map(text) else { continue };
            let Some((id, source)) = self.loaded.sources.named(path.as_ref()) else { continue };
            let lookup = |name: &str| self.history.variables.get(name).map(str::to_owned);
            let assignments = if file.get("format").is_some() {
                env_file::parse_raw(&source.text, id, &lookup, &mut Vec::new())
            } else {
                env_file::parse(&source.text, id, &lookup, &mut Vec::new())
            };
            let own = assignments.into_iter().filter(|assignment| assignment.name == *name);
            found.extend(own.map(|assignment| {
                Node::string(assignment.value, Origin { source: id, span: assignment.span.into(), via: None })
            }));
        }
        found
    }

    /// The variables that went into a value, read again from its text.
    fn variables(&self, node: &Node) -> Vec<Used> {
        let Some(via) = node.origin.via.as_deref() else { return Vec::new() };
        let source = self.loaded.sources.get(node.origin.source);
        if source.confidential {
            return Vec::new();
        }
        let variables = &self.history.variables;
        let names = RefCell::new(Vec::new());
        let written = source.text.get(node.origin.span.range()).unwrap_or_default();
        let filled = interpolate::fill(written, &|name| {
            if !names.borrow().iter().any(|known| known == name) {
                names.borrow_mut().push(name.to_owned());
            }
            variables.get(name).map(Cow::Borrowed)
        });
        let unset = filled.map(|filled| filled.unset).unwrap_or_default();
        let mut used: Vec<Used> = names
            .into_inner()
            .into_iter()
            .map(|name| {
                let value = variables.get(&name).map(str::to_owned);
                let by_default = via.name == name && via.from == VariableSource::Default;
                let from = match &value {
                    Some(value) if !(by_default && value.is_empty()) => variables.origin(&name),
                    None if unset.contains(&name) => VariableSource::Unset,
                    _ => VariableSource::Default,
                };
                self.used(&name, from, value)
            })
            .collect();
        // A key without a value takes that of the variable of the same name.
        if used.is_empty() {
            let value = variables.get(&via.name).map(str::to_owned);
            used.push(self.used(&via.name, via.from.clone(), value));
        }
        used
    }

    fn used(&self, name: &str, from: VariableSource, value: Option<String>) -> Used {
        let in_vain = self.history.variables.in_vain(name);
        let in_vain = in_vain.into_iter().map(|(from, value)| InVain { from, value: value.to_owned() });
        Used { name: name.to_owned(), from, value, in_vain: in_vain.collect() }
    }

    fn confidential(&self, row: &Attribute, variables: &[Used], origin: &Origin) -> bool {
        let outside = self.loaded.sources.get(origin.source).confidential
            || variables
                .iter()
                .any(|used| matches!(used.from, VariableSource::Environment | VariableSource::EnvFile(..)));
        outside && may_be_secret(row)
    }
}

/// Attributes with a text that everybody may read: what `ps` and `plan` show anyway.
const PUBLIC: &[&str] = &[
    "name",
    "services.*.image",
    "services.*.ports[].published",
    "services.*.ports[].host_ip",
    "services.*.volumes[].source",
    "services.*.volumes[].target",
    "services.*.container_name",
    "services.*.hostname",
    "services.*.platform",
    "services.*.restart",
    "services.*.user",
    "networks.*.name",
    "volumes.*.name",
];

fn may_be_secret(row: &Attribute) -> bool {
    matches!(
        row.shape,
        Shape::Text
            | Shape::Plain
            | Shape::Texts
            | Shape::Pairs
            | Shape::Variables
            | Shape::Contexts
            | Shape::Lists
            | Shape::Mapping
    ) && !PUBLIC.contains(&row.path)
}

fn same_place(one: &Origin, two: &Origin) -> bool {
    one.source == two.source && one.span == two.span
}

/// What one file says at a path of the whole stack. An item of a list that adds up is
/// found by what makes it the same as the whole stack's.
fn at<'a>(layer: &'a Node, whole: &Node, steps: &[Step]) -> Option<&'a Node> {
    let mut schema = Some(Schema::root());
    let (mut node, mut whole) = (layer, Some(whole));
    for step in steps {
        match step {
            Step::Key(key) => {
                node = node.get(key)?;
                whole = whole.and_then(|whole| whole.get(key));
                schema = schema.and_then(|schema| schema.below(key));
            }
            Step::Item(place) => {
                let items = node.as_sequence()?;
                let item = whole?.as_sequence()?.get(*place)?;
                node = match schema.map(|schema| schema.row.merge) {
                    Some(Merge::Unique(identity)) => {
                        let key = key_of(item, identity);
                        items.iter().find(|other| key_of(other, identity) == key)?
                    }
                    Some(Merge::Replace) => items.get(*place)?,
                    _ => items.iter().find(|other| same_place(&other.origin, &item.origin))?,
                };
                whole = Some(item);
                schema = schema.and_then(|schema| schema.item.as_deref());
            }
        }
    }
    Some(node)
}

fn schema_at(steps: &[Step]) -> Option<&'static Schema> {
    steps.iter().try_fold(Schema::root(), |schema, step| match step {
        Step::Key(key) => schema.below(key),
        Step::Item(_) => schema.item.as_deref(),
    })
}

/// The last row on the way: single texts have none of their own.
fn row_at(steps: &[Step]) -> &'static Attribute {
    (0..=steps.len())
        .rev()
        .find_map(|end| schema_at(&steps[..end]))
        .map_or(Schema::root().row, |schema| schema.row)
}

fn printed(steps: &[Step]) -> String {
    let mut path = String::new();
    for step in steps {
        match step {
            Step::Key(key) => {
                if !path.is_empty() {
                    path.push('.');
                }
                path.push_str(key);
            }
            Step::Item(index) => path.push_str(&format!("[{index}]")),
        }
    }
    path
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::explain;
    use crate::load::{Request, load_with_history};

    proptest! {
        #[test]
        fn no_path_panics(path in "(services|web|labels|ä|x-a|ports|[0-9\\[\\].ä]){0,8}") {
            let text = "services:\n  web:\n    image: a\n    ports: [80]\n    labels: {ä: b, ä.ä: c}\nx-a: [[1]]\n";
            let environment = BTreeMap::new();
            let (loaded, history) = load_with_history(&Request {
                files: vec!["-".into()],
                directory: "/none".into(),
                project_directory: None,
                project_name: None,
                env_files: Vec::new(),
                profiles: Vec::new(),
                environment: &environment,
                stdin: Some(text),
            });
            if let Ok(found) = explain(&loaded, &history, &path) {
                prop_assert!(!found.is_empty());
            }
        }
    }
}
