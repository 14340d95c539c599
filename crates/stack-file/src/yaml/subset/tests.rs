use std::fs;
use std::path::Path;

use proptest::prelude::*;

use super::read;
use crate::fuzzing::tree;

#[test]
fn what_stack_files_are_written_in_is_read_here_and_as_the_library_reads_it() {
    for text in [
        "a: 1\n",
        "a: 1",
        "---\na: 1\n",
        "# a comment\n\na: b # another\n",
        "a:\n  b: c\n  d:\n    e: f\ng:\n",
        "a:\n- b\n- c\nd: e\n",
        "a:\n  - b\n  -\n  - c: d\n    e: f\n  - - g\n    - h\n",
        "a:\n  -\n    b: c\n",
        "a: &x\n  b: c\nd: *x\ne:\n  <<: *x\n  f: g\n",
        "a: &x\n- b\nd: *x\n",
        "a: &x\n  - b\nd: *x\n",
        "a: &x b\nc: [*x, *x]\n",
        "a: &x [b]\nc: &y \"d\"\ne: &z {f: g}\nh: [*x, *y, *z]\n",
        "a: &x |\n  b\nc: *x\n",
        "a:\n  - &x b\n  - *x\n  - &y\n    c: d\n  - &z\n    - e\n",
        "a: [b, \"c\", 'd''e', [f], {g: h}, ]\nb: {}\nc: []\n",
        "a: \"x\\ny \\\" \\\\ z\"\nb: ''\nc: \"\"\n",
        "'a': b\n\"c d\" : e\nf  : g\n",
        "a: |\n  one\n\n  two\n   three\nb: |-\n  one\n\nc: |+\n  one\n\n\nd: >\n  one\n  two\n\n  three\n",
        "a:\n  - |\n    one\n  - >-\n    two\n    three\n",
        "a: 80:80\nb: c#d\ne: http://x/y\nf: -x\ng: a, b [c] {d}\n",
        "a: ${B:-c}\nd: \"${E}\"\n",
        "a: \u{e9}\u{4e2d}\n\u{e9}: b\n",
        "a:   b   \nc:   # nothing\n  d: e\n",
        "a:\n  # deep\n    # deeper\n  b: c\n# flat\n  d: e\n",
        "<<: {a: b}\na: c\na: d\n1: e\n",
    ] {
        assert!(read(text).is_some(), "{text}");
        tree(text);
    }
}

#[test]
fn every_case_is_read_as_the_library_reads_it() {
    let cases = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases");
    let (mut all, mut here) = (0, 0);
    for case in fs::read_dir(cases).expect("a case") {
        for file in fs::read_dir(case.expect("a case").path()).expect("a case") {
            let path = file.expect("a case").path();
            if path.extension().is_some_and(|found| found == "yaml" || found == "yml") {
                let text = fs::read_to_string(&path).expect("a case");
                tree(&text);
                all += 1;
                here += usize::from(read(&text).is_some());
            }
        }
    }
    assert!(here * 2 > all, "{here} of {all} are read here");
}

/// Lines as they stand in stack files, and such as nobody should write.
fn line() -> impl Strategy<Value = String> {
    let indent = prop::sample::select(vec!["", "  ", "    ", " ", "      "]);
    let dash = prop::sample::select(vec!["", "", "", "- ", "-", "- - ", "-   "]);
    let key = prop::sample::select(vec![
        "a: ", "b:", "c : ", "'d': ", "\"e\": ", "<<: ", "f:  ", "", "", "? ", "1: ", "g:h: ", "&k i: ",
        "[j]: ",
    ]);
    let value = prop::sample::select(vec![
        "",
        "",
        "x",
        "x y",
        "'q'",
        "\"q\\n\"",
        "\"\\u0041\"",
        "'it''s'",
        "[a, b]",
        "[a, 'b', \"c\"]",
        "{a: b, c: d}",
        "{}",
        "[]",
        "[a, ]",
        "[a: b]",
        "[[a], {b: c}]",
        "{a: , b}",
        "{\"a\":b}",
        "{a: [b, c]}",
        "&m",
        "&m x",
        "&m [a]",
        "&n",
        "*m",
        "*n",
        "[*m]",
        "[*m , b]",
        "{a: *m}",
        "|",
        "|-",
        "|+",
        ">",
        ">-",
        "|2",
        "> # folded",
        "!reset",
        "!override [a]",
        "!!str 1",
        "-",
        "- x",
        "-x",
        "a: b",
        "a:b",
        "x # y",
        "x# y",
        "#",
        "# y",
        "~",
        "null",
        "80:80",
        "${A}",
        "[${A}]",
        "'open",
        "\"open",
        "[open",
        "x:",
        ":x",
        "%x",
        "@x",
        "x, y",
        "]",
        "}",
        "\"q\" x",
        "\"q\"#",
        "[a]#",
        "[a] # y",
        "\u{e9}",
        "\u{85}",
        "\t",
        "x\ty",
        "--- x",
        "...",
    ]);
    let end = prop::sample::select(vec![
        "\n",
        "\n",
        "\n",
        "\n",
        " \n",
        "\n\n",
        "\n# c\n",
        "\n  # c\n",
        "\n   \n",
        "\r\n",
    ]);
    (indent, dash, key, value, end)
        .prop_map(|(indent, dash, key, value, end)| format!("{indent}{dash}{key}{value}{end}"))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(5000))]

    #[test]
    fn any_lines_are_read_as_the_library_reads_them(
        head in prop::sample::select(vec!["", "---\n", "a:\n", "a: &m x\nb: &n\n  c: d\n", "--- a\n"]),
        lines in prop::collection::vec(line(), 0..7),
        whole in any::<bool>(),
    ) {
        let mut text = format!("{head}{}", lines.concat());
        if !whole {
            text.truncate(text.trim_end_matches('\n').len());
        }
        tree(&text);
    }
}
