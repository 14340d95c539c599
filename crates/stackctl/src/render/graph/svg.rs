//! As a picture that needs no other program: what nobody needs on top, what all need at the bottom.

use std::fmt::Write;

use unicode_width::UnicodeWidthStr;

use super::{Graph, Node, Tone};
use crate::render::junit::escaped;

/// How many boxes stand beside each other at most; more make a further row.
const ABREAST: usize = 7;
/// How often the boxes of the layers are brought nearer to what they are joined with.
const SWEEPS: usize = 6;
/// The widest that a line of a box may be, characters; a longer one is cut.
const LONGEST: usize = 44;
const LINE: usize = 18;
const PADDING: usize = 12;
const COLUMN: f64 = 7.4;
const BETWEEN: f64 = 28.0;
const BELOW: f64 = 56.0;
const EDGE: f64 = 20.0;
const TITLE: f64 = 44.0;

/// A box at its place.
#[derive(Clone, Copy, Default)]
struct Place {
    x: f64,
    y: f64,
    width: f64,
    height: f64,
}

impl Place {
    fn middle(&self) -> f64 {
        self.x + self.width / 2.0
    }
}

/// The graph as SVG.
pub(crate) fn svg(graph: &Graph) -> String {
    let rows = rows(graph);
    let places = places(graph, &rows);
    let right = places.iter().map(|place| place.x + place.width).fold(320.0, f64::max) + EDGE;
    let bottom = places.iter().map(|place| place.y + place.height).fold(TITLE, f64::max) + EDGE;
    let title = escaped(&graph.project);
    let mut out = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {right:.0} {bottom:.0}\" width=\"{right:.0}\" height=\"{bottom:.0}\" role=\"img\">\n<title>{title}: its services and what they need</title>\n<style>{}</style>\n<defs><marker id=\"tip\" viewBox=\"0 0 10 10\" refX=\"9\" refY=\"5\" markerWidth=\"8\" markerHeight=\"8\" orient=\"auto-start-reverse\"><path class=\"tip\" d=\"M0 0L10 5L0 10z\"/></marker></defs>\n<rect class=\"paper\" width=\"100%\" height=\"100%\"/>\n<text class=\"title\" x=\"{EDGE}\" y=\"28\">{title}</text>\n",
        style()
    );
    for edge in &graph.edges {
        let (from, to) = (places[edge.from], places[edge.to]);
        let (x1, y1, x2, y2) = (from.middle(), from.y + from.height, to.middle(), to.y - 2.0);
        let bend = ((y2 - y1) / 2.0).max(BELOW / 2.0);
        let class = if edge.optional { "edge optional" } else { "edge" };
        let _ = writeln!(
            out,
            "<path class=\"{class}\" marker-end=\"url(#tip)\" d=\"M{x1:.1} {y1:.1}C{x1:.1} {:.1} {x2:.1} {:.1} {x2:.1} {y2:.1}\"><title>{} needs {}{}</title></path>",
            y1 + bend,
            y2 - bend,
            escaped(&graph.nodes[edge.from].name),
            escaped(&graph.nodes[edge.to].name),
            if edge.condition.is_empty() { String::new() } else { format!(" {}", edge.condition) },
        );
        if !edge.condition.is_empty() {
            let _ = writeln!(
                out,
                "<text class=\"condition\" x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{}</text>",
                (x1 + x2) / 2.0,
                (y1 + y2) / 2.0 + 4.0,
                edge.condition
            );
        }
    }
    for (node, place) in graph.nodes.iter().zip(&places) {
        draw(node, place, &mut out);
    }
    out.push_str("</svg>\n");
    out
}

fn style() -> String {
    let mut style = String::from(
        "text{font:13px system-ui,sans-serif;fill:#1b1b20}\
.title{font-weight:600;font-size:16px}.name{font-weight:600}.condition{font-size:11px;paint-order:stroke;stroke:#fff;stroke-width:4px}\
.paper{fill:#fff}.box{fill:#fff;stroke:#8a8a96}.edge{fill:none;stroke:#6b6b78;stroke-width:1.4}.optional{stroke-dasharray:5 4}.tip{fill:#6b6b78}",
    );
    for tone in Tone::ALL {
        let (fill, border) = tone.colours();
        let _ = write!(style, ".{}{{fill:{fill};stroke:{border}}}", tone.word());
    }
    // Boxes keep their light colours, so their words stay dark.
    style.push_str(
        "@media(prefers-color-scheme:dark){.paper{fill:#18181c}.title,.condition{fill:#eee}.condition{stroke:#18181c}.edge{stroke:#a0a0ac}.tip{fill:#a0a0ac}}",
    );
    style
}

fn draw(node: &Node, place: &Place, out: &mut String) {
    let class = node.state.as_ref().map_or("", |state| state.tone.word());
    let _ = writeln!(
        out,
        "<g><rect class=\"box {class}\" x=\"{:.1}\" y=\"{:.1}\" width=\"{:.1}\" height=\"{:.1}\" rx=\"6\"/>",
        place.x, place.y, place.width, place.height
    );
    for (index, line) in lines(node).into_iter().enumerate() {
        let class = if index == 0 { " class=\"name\"" } else { "" };
        let _ = writeln!(
            out,
            "<text{class} x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{}</text>",
            place.middle(),
            place.y + (PADDING + LINE * index + 13) as f64,
            escaped(&line)
        );
    }
    out.push_str("</g>\n");
}

/// What stands in a box: the name, the state, the facts.
fn lines(node: &Node) -> Vec<String> {
    let state = node.state.as_ref().map(|state| &state.words);
    let all = [&node.name].into_iter().chain(state).chain(&node.facts);
    all.map(|line| match line.chars().count() > LONGEST {
        // The end of an image's name tells more than its registry.
        true => {
            let skipped = line.chars().count() - LONGEST + 1;
            format!("…{}", line.chars().skip(skipped).collect::<String>())
        }
        false => line.clone(),
    })
    .collect()
}

/// The nodes in rows from the top: each stands below all that need it.
fn rows(graph: &Graph) -> Vec<Vec<usize>> {
    let mut layer = vec![0_usize; graph.nodes.len()];
    // Nodes are in the order of starting: what needs a node comes after it.
    for node in (0..graph.nodes.len()).rev() {
        let above = graph.edges.iter().filter(|edge| edge.to == node).map(|edge| layer[edge.from] + 1);
        layer[node] = above.max().unwrap_or(0);
    }
    let count = layer.iter().max().map_or(0, |last| last + 1);
    let mut layers: Vec<Vec<usize>> = vec![Vec::new(); count];
    for (node, layer) in layer.iter().enumerate() {
        layers[*layer].push(node);
    }
    let mut at = vec![0.0_f64; graph.nodes.len()];
    for layer in &layers {
        spread(layer, &mut at);
    }
    for sweep in 0..SWEEPS {
        let order: Vec<usize> =
            if sweep % 2 == 0 { (0..count).collect() } else { (0..count).rev().collect() };
        for index in order {
            let mut wanted: Vec<(f64, usize)> =
                layers[index].iter().map(|node| (centre(graph, *node, &at), *node)).collect();
            wanted.sort_by(|one, other| one.0.total_cmp(&other.0));
            layers[index] = wanted.into_iter().map(|(_, node)| node).collect();
            spread(&layers[index], &mut at);
        }
    }
    layers.iter().flat_map(|layer| layer.chunks(ABREAST)).map(<[usize]>::to_vec).collect()
}

/// Places of a layer between 0 and 1.
fn spread(layer: &[usize], at: &mut [f64]) {
    for (index, node) in layer.iter().enumerate() {
        at[*node] = (index as f64 + 0.5) / layer.len() as f64;
    }
}

/// The middle of what a node is joined with.
fn centre(graph: &Graph, node: usize, at: &[f64]) -> f64 {
    let joined: Vec<f64> = (graph.edges.iter())
        .filter_map(|edge| match (edge.from == node, edge.to == node) {
            (true, _) => Some(at[edge.to]),
            (_, true) => Some(at[edge.from]),
            _ => None,
        })
        .collect();
    if joined.is_empty() { at[node] } else { joined.iter().sum::<f64>() / joined.len() as f64 }
}

fn places(graph: &Graph, rows: &[Vec<usize>]) -> Vec<Place> {
    let mut places = vec![Place::default(); graph.nodes.len()];
    let size = |node: &usize| {
        let lines = lines(&graph.nodes[*node]);
        let longest = lines.iter().map(|line| line.width()).max().unwrap_or(0).max(10);
        (longest as f64 * COLUMN + 2.0 * PADDING as f64, (lines.len() * LINE + 2 * PADDING - 4) as f64)
    };
    let width = |row: &Vec<usize>| {
        row.iter().map(|node| size(node).0).sum::<f64>() + BETWEEN * row.len().saturating_sub(1) as f64
    };
    let widest = rows.iter().map(width).fold(0.0, f64::max);
    let mut y = TITLE;
    for row in rows {
        let mut x = EDGE + (widest - width(row)) / 2.0;
        let mut highest: f64 = 0.0;
        for node in row {
            let (width, height) = size(node);
            places[*node] = Place { x, y, width, height };
            x += width + BETWEEN;
            highest = highest.max(height);
        }
        y += highest + BELOW;
    }
    places
}
