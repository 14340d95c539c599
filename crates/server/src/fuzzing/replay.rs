//! What fuzzers kept is replayed, as it is and with its parts mixed: the fuzz targets' short form.

use std::path::Path;

use super::{frame, game, patch};

/// Runs a target over its corpus, and over the beginnings of some texts with the ends of others.
fn replay(target: &str, run: impl Fn(&str)) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("../../fuzz/corpus/{target}.txt"));
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let texts: Vec<String> =
        text.lines().map(|line| serde_json::from_str(line).expect("a JSON text")).collect();
    assert!(texts.len() > 20, "{target} has only {} texts", texts.len());
    for (index, text) in texts.iter().enumerate() {
        run(text);
        let other = &texts[(index * 7 + 3) % texts.len()];
        run(&[half(text).0, half(other).1].concat());
    }
}

fn half(text: &str) -> (&str, &str) {
    let middle = text.len() / 2;
    let middle = (0..=middle).rev().find(|at| text.is_char_boundary(*at)).unwrap_or_default();
    text.split_at(middle)
}

#[test]
fn frames() {
    replay("frame", frame);
}

#[test]
fn patches() {
    replay("patch", patch);
}

#[test]
fn games() {
    replay("game", game);
}
