//! What fuzzers kept is replayed, as it is and a little changed: the fuzz targets' short form.

use std::path::Path;

use super::{decode, env_file, interpolation, merge, tree};

/// One of so many texts is also changed.
const CHANGED: usize = 4;

/// The texts of a corpus: a JSON text a line.
fn corpus(target: &str) -> Vec<String> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("../../fuzz/corpus/{target}.txt"));
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let texts: Vec<String> =
        text.lines().map(|line| serde_json::from_str(line).expect("a JSON text")).collect();
    assert!(texts.len() > 100, "{target} has only {} texts", texts.len());
    texts
}

/// Runs a target over its corpus, and over what comes of it by cutting and mixing.
fn replay(target: &str, run: impl Fn(&str)) {
    let texts = corpus(target);
    for (index, text) in texts.iter().enumerate() {
        run(text);
        if index % CHANGED == 0 {
            let seed = (index / CHANGED) as u64;
            let other = &texts[(spread(seed) % texts.len() as u64) as usize];
            run(&changed(text, other, seed));
        }
    }
}

/// A text with a piece taken out, doubled, or replaced by a piece of another.
fn changed(text: &str, other: &str, seed: u64) -> String {
    let place = |of: &str, salt: u64| {
        let at = (spread(seed ^ salt) % (of.len() as u64 + 1)) as usize;
        (0..=at).rev().find(|&at| of.is_char_boundary(at)).unwrap_or_default()
    };
    let piece = |of: &str, salt: u64| {
        let (one, two) = (place(of, salt), place(of, salt + 1));
        one.min(two)..one.max(two)
    };
    let range = piece(text, 1 << 20);
    let middle = match seed % 3 {
        0 => String::new(),
        1 => text[range.clone()].repeat(2),
        _ => other[piece(other, 1 << 21)].to_owned(),
    };
    [&text[..range.start], &middle, &text[range.end..]].concat()
}

/// A number that looks like chance; the same one for the same seed.
fn spread(seed: u64) -> u64 {
    let mut mixed = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15).wrapping_add(1);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed ^ (mixed >> 31)
}

#[test]
fn trees() {
    replay("tree", tree);
}

#[test]
fn interpolations() {
    replay("interpolation", interpolation);
}

#[test]
fn environment_files() {
    replay("env_file", env_file);
}

#[test]
fn merges() {
    replay("merge", merge);
}

#[test]
fn whole_loads() {
    let directory = tempfile::tempdir().expect("a directory");
    replay("decode", |text| decode(text, directory.path()));
}
