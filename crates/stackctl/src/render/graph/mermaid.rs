//! In the language of Mermaid, which many pages of text draw.

use std::fmt::Write;

use super::{Graph, Tone};

/// The graph as a Mermaid flow chart.
pub(crate) fn mermaid(graph: &Graph) -> String {
    let mut text = String::from("flowchart TB\n");
    for (index, node) in graph.nodes.iter().enumerate() {
        let mut label = format!("<b>{}</b>", escaped(&node.name));
        let state = node.state.as_ref().map(|state| &state.words);
        for line in state.into_iter().chain(&node.facts) {
            let _ = write!(label, "<br/>{}", escaped(line));
        }
        let class = node.state.as_ref().map_or_else(String::new, |state| format!(":::{}", state.tone.word()));
        let _ = writeln!(text, "  s{index}[\"{label}\"]{class}");
    }
    for edge in &graph.edges {
        let arrow = if edge.optional { "-.->" } else { "-->" };
        let label = if edge.condition.is_empty() { String::new() } else { format!("|{}|", edge.condition) };
        let _ = writeln!(text, "  s{} {arrow}{label} s{}", edge.from, edge.to);
    }
    let used = |tone: &Tone| {
        graph.nodes.iter().any(|node| node.state.as_ref().is_some_and(|state| state.tone == *tone))
    };
    for tone in Tone::ALL.iter().filter(|tone| used(tone)) {
        let (fill, border) = tone.colours();
        let _ = writeln!(text, "  classDef {} fill:{fill},stroke:{border},color:#1b1b20", tone.word());
    }
    text
}

/// Mermaid reads labels as HTML, with `#` where HTML has `&`.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '"' => out.push_str("#quot;"),
            '#' => out.push_str("#35;"),
            '&' => out.push_str("#amp;"),
            '<' => out.push_str("#lt;"),
            '>' => out.push_str("#gt;"),
            '`' => out.push_str("#96;"),
            '\n' => out.push(' '),
            other => out.push(other),
        }
    }
    out
}
