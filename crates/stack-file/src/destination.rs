//! Where a stack belongs: `x-stackctl` says which kind of engine runs it, and under which name
//! docker knows that engine.

use indexmap::IndexMap;

use crate::canonical::text;
use crate::diagnostic::Diagnostic;
use crate::source::Spanned;
use crate::tree::{Kind, Node};

/// What runs a stack.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Backend {
    /// One Docker Engine.
    #[default]
    Docker,
    /// Docker Swarm.
    Swarm,
}

impl Backend {
    /// The backend of this name.
    #[must_use]
    pub fn of(word: &str) -> Option<Self> {
        [Self::Docker, Self::Swarm].into_iter().find(|backend| backend.word() == word)
    }

    /// Its name in a file and on the command line.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Docker => "docker",
            Self::Swarm => "swarm",
        }
    }
}

/// Where a stack belongs, as its file says.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Destination {
    /// What runs it; `None` leaves that to the command line.
    pub engine: Option<Spanned<Backend>>,
    /// The docker context that it goes to; `None` leaves that to the command line.
    pub context: Option<Spanned<String>>,
    /// Where the engines of the nodes of a swarm are, by name or id of the node.
    pub nodes: IndexMap<String, Spanned<String>>,
}

/// The attribute.
const ATTRIBUTE: &str = "x-stackctl";

/// Reads `x-stackctl` of a merged tree.
pub(crate) fn destination(tree: &Node, diagnostics: &mut Vec<Diagnostic>) -> Destination {
    let mut found = Destination::default();
    let Some(node) = tree.get(ATTRIBUTE) else { return found };
    let Kind::Mapping(entries) = &node.kind else {
        diagnostics.push(
            Diagnostic::error(format!("`{ATTRIBUTE}` needs a mapping"))
                .at(&node.origin)
                .path(ATTRIBUTE)
                .help("write, as an example, x-stackctl: { engine: swarm, context: NAME }"),
        );
        return found;
    };
    for (key, entry) in entries {
        let node = &entry.node;
        let path = format!("{ATTRIBUTE}.{key}");
        let word = node.as_scalar().filter(|_| !node.is_null()).map(|_| text(node));
        match (key.as_str(), word) {
            ("engine", word) => match word.and_then(Backend::of) {
                Some(backend) => found.engine = Some(Spanned::new(backend, node.origin.clone())),
                None => diagnostics.push(
                    Diagnostic::error(format!("`{}` is no engine that runs stacks", text(node)))
                        .at(&node.origin)
                        .path(path)
                        .help("use docker or swarm"),
                ),
            },
            ("context", Some(name)) if !name.is_empty() => {
                found.context = Some(Spanned::new(name.to_owned(), node.origin.clone()));
            }
            ("nodes", _) => nodes(node, &path, &mut found.nodes, diagnostics),
            ("context", _) => diagnostics.push(
                Diagnostic::error("`context` needs the name of a docker context")
                    .at(&node.origin)
                    .path(path)
                    .help("docker context ls shows them"),
            ),
            _ => diagnostics.push(
                Diagnostic::error(format!("`{ATTRIBUTE}` has no attribute `{key}`"))
                    .at(&entry.key)
                    .path(path)
                    .help("there are engine, context and nodes"),
            ),
        }
    }
    found
}

/// Forms of addresses of engines.
const FORMS: [&str; 5] = ["ssh://", "unix://", "tcp://", "http://", "https://"];

fn nodes(
    node: &Node,
    path: &str,
    found: &mut IndexMap<String, Spanned<String>>,
    diagnostics: &mut Vec<Diagnostic>,
) {
    let Kind::Mapping(entries) = &node.kind else {
        diagnostics.push(
            Diagnostic::error("`nodes` needs a mapping of nodes to addresses of their engines")
                .at(&node.origin)
                .path(path)
                .help("write, as an example, nodes: { worker-1: \"ssh://worker-1\" }"),
        );
        return;
    };
    for (name, entry) in entries {
        let address = text(&entry.node);
        let rest = FORMS.iter().find_map(|form| address.strip_prefix(form));
        if rest.is_some_and(|rest| !rest.is_empty()) {
            found.insert(name.clone(), Spanned::new(address.to_owned(), entry.node.origin.clone()));
        } else {
            diagnostics.push(
                Diagnostic::error(format!("the node `{name}` needs the address of its engine"))
                    .at(&entry.node.origin)
                    .path(format!("{path}.{name}"))
                    .help(
                        "write ssh://[USER@]HOST[:PORT], tcp://HOST:PORT, https://HOST:PORT or unix:///PATH",
                    ),
            );
        }
    }
}
