//! A stack as it is written: long forms and names are filled in, variables are
//! not, and nothing is cast. It is for reading, not for running.

use std::path::Path;
use std::sync::Arc;

use crate::attributes::{Schema, Shape, Short};
use crate::canonical::{Base, absolute, is_remote, text};
use crate::complete::dependencies;
use crate::interpolate::Variables;
use crate::load::Omitted;
use crate::short_syntax;
use crate::source::{Origin, Variable};
use crate::tree::{Entries, Entry, Kind, Node, ScalarKind};

/// What a tree is made readable with.
pub(crate) struct Verbatim<'a> {
    /// What the paths are relative to.
    pub(crate) base: Base<'a>,
    /// Variables of the project, for what has no value in the file.
    pub(crate) variables: &'a Variables<'a>,
    /// What is left as it is.
    pub(crate) omitted: Omitted,
}

impl Verbatim<'_> {
    /// The long forms of one file. What cannot be read without its variables stays.
    pub(crate) fn long(&self, node: &mut Node, schema: &Schema) {
        let short = schema.row.short;
        let one = short == Short::One && schema.row.name() != "tmpfs";
        if one && matches!(node.kind, Kind::Scalar(_)) {
            let origin = node.origin.clone();
            *node = Node { kind: Kind::Sequence(vec![node.clone()]), origin };
        }
        if matches!(short, Short::Build | Short::Names | Short::EnvFiles | Short::External)
            && let Ok(long) = short_syntax::long_form(node.clone(), short)
        {
            *node = long;
        }
        let remote = is_remote(node.as_scalar().map_or("", |scalar| &scalar.text));
        match (&mut node.kind, schema.row.shape) {
            (Kind::Mapping(entries), _) => {
                if matches!(schema.row.shape, Shape::Mapping) {
                    short_syntax::hoist_external(entries);
                }
                for (key, entry) in entries.iter_mut() {
                    if let Some(below) = schema.below(key) {
                        self.long(&mut entry.node, below);
                    }
                }
            }
            (Kind::Sequence(items), Shape::List) => {
                if let Some(item) = schema.item.as_deref() {
                    self.items(items, item);
                }
            }
            (Kind::Scalar(_), Shape::Path) => self.absolute(node),
            (Kind::Scalar(_), Shape::Context) if !remote => self.absolute(node),
            (Kind::Sequence(items), Shape::Paths) => items.iter_mut().for_each(|item| self.absolute(item)),
            _ => {}
        }
    }

    /// The items of a list. Ports are written in full all together or not at all.
    fn items(&self, items: &mut Vec<Node>, schema: &Schema) {
        let mut all = Vec::with_capacity(items.len());
        for item in items.iter() {
            let variable = item.as_scalar().is_some_and(|scalar| scalar.text.contains('$'));
            match short_syntax::items(&masked(item), schema.row.short) {
                Some(_) if variable && schema.row.short == Short::Port => return,
                Some(Ok(mut nodes)) => {
                    nodes.iter_mut().for_each(unmask);
                    all.extend(nodes);
                }
                Some(Err(_)) if schema.row.short == Short::Port => return,
                Some(Err(_)) => all.push(item.clone()),
                None => {
                    let long = short_syntax::long_form(item.clone(), schema.row.short);
                    all.push(long.unwrap_or_else(|_| item.clone()));
                }
            }
        }
        for item in &mut all {
            let whole = item.clone();
            let settled = match schema.row.short {
                Short::Mount => short_syntax::settle_mount(item),
                Short::Port => short_syntax::settle_port(item),
                _ => Ok(()),
            };
            if settled.is_err() {
                *item = whole;
            }
            if schema.row.path.ends_with(".env_file[]")
                && let origin = item.origin.clone()
                && let Kind::Mapping(entries) = &mut item.kind
            {
                let yes = Node::scalar("true", ScalarKind::Boolean, origin.clone());
                entries.entry("required".to_owned()).or_insert_with(|| entry(&origin, yes));
            }
            let bind = item.get("type").map(text) == Some("bind");
            if let Kind::Mapping(entries) = &mut item.kind {
                for (key, entry) in entries.iter_mut() {
                    if schema.below(key).is_some_and(|below| below.row.shape == Shape::Path)
                        || (bind && key == "source")
                    {
                        self.absolute(&mut entry.node);
                    }
                }
            }
        }
        *items = all;
    }

    fn absolute(&self, node: &mut Node) {
        if let (false, Ok(path)) = (self.omitted.paths, absolute(text(node), self.base)) {
            *node = Node::string(path, node.origin.clone());
        }
    }

    /// The names and networks that the merged tree implies.
    pub(crate) fn complete(&self, tree: &mut Node, project: &str) {
        let whole = tree.origin.clone();
        let Kind::Mapping(top) = &mut tree.kind else { return };
        top.shift_remove("name");
        top.shift_insert(0, "name".to_owned(), entry(&whole, Node::string(project, whole.clone())));
        top.shift_remove("version");
        let mut default = false;
        for service in below(top, "services") {
            default |= self.service(service, &whole);
        }
        if self.omitted.defaults {
            return;
        }
        if default {
            let networks = top.entry("networks".to_owned()).or_insert_with(|| empty(&whole));
            if let Kind::Mapping(networks) = &mut networks.node.kind {
                networks.entry("default".to_owned()).or_insert_with(|| empty(&whole));
            }
        }
        for kind in ["networks", "volumes", "secrets", "configs"] {
            let Some(Kind::Mapping(all)) = top.get_mut(kind).map(|entry| &mut entry.node.kind) else {
                continue;
            };
            for (key, resource) in all.iter_mut() {
                if resource.node.is_null() {
                    resource.node.kind = Kind::Mapping(Entries::new());
                }
                let Kind::Mapping(resource) = &mut resource.node.kind else { continue };
                let external = resource.get("external").is_some_and(|entry| text(&entry.node) == "true");
                let name = if external { key.clone() } else { format!("{project}_{key}") };
                resource
                    .entry("name".to_owned())
                    .or_insert_with(|| entry(&whole, Node::string(name, whole.clone())));
            }
        }
    }

    /// Fills in a service; whether it joins the network that nobody declares.
    fn service(&self, service: &mut Entries, whole: &Origin) -> bool {
        dependencies::complete(service, !self.omitted.defaults);
        if let Some(Kind::Mapping(build)) = service.get_mut("build").map(|entry| &mut entry.node.kind) {
            let directory = if self.omitted.paths { Path::new(".") } else { self.base.directory };
            build
                .entry("context".to_owned())
                .or_insert_with(|| entry(whole, Node::string(directory.to_string_lossy(), whole.clone())));
            if let (false, Some(args)) = (self.omitted.defaults, build.get_mut("args")) {
                self.arguments(&mut args.node);
            }
            if !self.omitted.defaults && !build.contains_key("dockerfile_inline") {
                build
                    .entry("dockerfile".to_owned())
                    .or_insert_with(|| entry(whole, Node::string("Dockerfile", whole.clone())));
            }
        }
        if self.omitted.defaults || service.contains_key("network_mode") || service.contains_key("provider") {
            return false;
        }
        let networks = service.entry("networks".to_owned()).or_insert_with(|| empty(whole));
        let Kind::Mapping(networks) = &mut networks.node.kind else { return false };
        if networks.is_empty() {
            networks.insert("default".to_owned(), empty(whole));
        }
        networks.contains_key("default")
    }

    /// A place, and the variable whose value stands there.
    fn through(&self, name: &str, origin: &Origin) -> Origin {
        let variable = Variable { name: name.to_owned(), from: self.variables.origin(name) };
        Origin { via: Some(Arc::new(variable)), ..origin.clone() }
    }

    /// Build arguments without a value take that of the variable, or are left out.
    fn arguments(&self, args: &mut Node) {
        match &mut args.kind {
            Kind::Mapping(entries) => entries.retain(|name, entry| {
                if entry.node.is_null()
                    && let Some(value) = self.variables.get(name)
                {
                    entry.node = Node::string(value, self.through(name, &entry.key));
                }
                !entry.node.is_null()
            }),
            Kind::Sequence(items) => items.retain_mut(|item| {
                let name = text(item).to_owned();
                if name.contains('=') {
                    return true;
                }
                let value = self.variables.get(&name);
                if let Some(value) = value {
                    *item = Node::string(format!("{name}={value}"), self.through(&name, &item.origin));
                }
                value.is_some()
            }),
            Kind::Scalar(_) => {}
        }
    }
}

/// Stands for a colon that belongs to a variable, and not to the short form around it.
const COLON: &str = "\u{1}";

/// An item in which the colons of `${…}` are none.
fn masked(item: &Node) -> Node {
    let Some(scalar) = item.as_scalar().filter(|scalar| scalar.text.contains("${")) else {
        return item.clone();
    };
    let mut depth = 0_usize;
    let mut text = String::with_capacity(scalar.text.len());
    for each in scalar.text.chars() {
        match each {
            '{' => depth += 1,
            '}' => depth = depth.saturating_sub(1),
            _ => {}
        }
        if each == ':' && depth > 0 { text.push_str(COLON) } else { text.push(each) }
    }
    Node::scalar(text, scalar.kind, item.origin.clone())
}

fn unmask(node: &mut Node) {
    match &mut node.kind {
        Kind::Scalar(scalar) => scalar.text = scalar.text.replace(COLON, ":"),
        Kind::Sequence(items) => items.iter_mut().for_each(unmask),
        Kind::Mapping(entries) => entries.values_mut().for_each(|entry| unmask(&mut entry.node)),
    }
}

fn below<'a>(top: &'a mut Entries, key: &str) -> impl Iterator<Item = &'a mut Entries> {
    let all = top.get_mut(key).and_then(|entry| match &mut entry.node.kind {
        Kind::Mapping(all) => Some(all),
        _ => None,
    });
    all.into_iter().flat_map(|all| all.values_mut()).filter_map(|entry| match &mut entry.node.kind {
        Kind::Mapping(entries) => Some(entries),
        _ => None,
    })
}

fn entry(key: &Origin, node: Node) -> Entry {
    Entry { key: key.clone(), node }
}

fn empty(origin: &Origin) -> Entry {
    entry(origin, Node { kind: Kind::Mapping(Entries::new()), origin: origin.clone() })
}
