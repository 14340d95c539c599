//! In the language of graphviz.

use std::fmt::Write;

use super::viz::quoted;
use super::{Graph, Node};

/// The graph, for `dot`.
pub(crate) fn dot(graph: &Graph) -> String {
    let mut text = format!(
        "digraph {} {{\n  node [shape=box style=\"rounded,filled\" fillcolor=\"#ffffff\" fontname=\"sans-serif\"];\n  edge [fontname=\"sans-serif\" fontsize=10];\n",
        quoted(&graph.project)
    );
    for node in &graph.nodes {
        let colours = node.state.as_ref().map_or_else(String::new, |state| {
            let (fill, border) = state.tone.colours();
            format!(" fillcolor=\"{fill}\" color=\"{border}\"")
        });
        let _ = writeln!(text, "  {} [label={}{colours}];", quoted(&node.name), quoted(&label(node)));
    }
    for edge in &graph.edges {
        let label = if edge.condition.is_empty() {
            String::new()
        } else {
            format!("label={}", quoted(edge.condition))
        };
        let style = if edge.optional { "style=dashed" } else { "" };
        let more = [label.as_str(), style].into_iter().filter(|word| !word.is_empty()).collect::<Vec<_>>();
        let more = if more.is_empty() { String::new() } else { format!(" [{}]", more.join(" ")) };
        let (from, to) = (&graph.nodes[edge.from].name, &graph.nodes[edge.to].name);
        let _ = writeln!(text, "  {} -> {}{more};", quoted(from), quoted(to));
    }
    text.push_str("}\n");
    text
}

/// What stands in a box, a line each.
fn label(node: &Node) -> String {
    let state = node.state.as_ref().map(|state| state.words.as_str());
    let lines = [node.name.as_str()].into_iter().chain(state).chain(node.facts.iter().map(String::as_str));
    lines.collect::<Vec<_>>().join("\n")
}
