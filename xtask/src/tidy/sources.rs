//! What sources may name, and how modules may be called.

use super::{Finding, Tree};

/// A word that code below `within` may name only at these places.
struct Kept {
    word: &'static str,
    within: &'static str,
    at: &'static [&'static str],
    next: &'static str,
}

const KEPT: [Kept; 6] = [
    Kept {
        word: "bollard",
        within: "crates/",
        at: &["crates/stack-engine/"],
        next: "only stack-engine names bollard: put what is missing there",
    },
    Kept {
        word: "fred",
        within: "crates/",
        at: &["crates/server/src/store/redis.rs", "crates/server/src/store/redis/"],
        next: "only the Redis store names fred, so that it can be replaced",
    },
    Kept {
        word: "axum",
        within: "crates/server/src/",
        at: &[
            "crates/server/src/http.rs",
            "crates/server/src/http/",
            "crates/server/src/session.rs",
            "crates/server/src/session/",
        ],
        next: "only the edge of the server names axum: http and session",
    },
    Kept {
        word: "async",
        within: "crates/stack-plan/src/",
        at: &[],
        next: "a plan cannot wait: put what waits into stack-engine",
    },
    Kept {
        word: "SystemTime",
        within: "crates/stack-plan/src/",
        at: &[],
        next: "a plan does not know the time: the same input gives the same plan",
    },
    Kept {
        word: "Instant",
        within: "crates/stack-plan/src/",
        at: &[],
        next: "a plan does not know the time: the same input gives the same plan",
    },
];

/// Names that say nothing of what a module is about.
const EMPTY: [&str; 9] =
    ["common", "helper", "helpers", "manager", "misc", "types", "util", "utilities", "utils"];

pub(super) fn check(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (path, text) in tree.below("").filter(|(path, _)| path.ends_with(".rs")) {
        findings.extend(KEPT.iter().flat_map(|kept| named(kept, path, text)));
        findings.extend(empty_name(path));
    }
    findings
}

fn named(kept: &Kept, path: &str, text: &str) -> Vec<Finding> {
    if !path.starts_with(kept.within) || kept.at.iter().any(|place| path.starts_with(place)) {
        return Vec::new();
    }
    let lines = text.lines().enumerate().filter(|(_, line)| has_word(code(line), kept.word));
    lines
        .map(|(index, _)| Finding {
            path: path.to_owned(),
            line: index + 1,
            what: format!("{} is named", kept.word),
            next: kept.next.to_owned(),
        })
        .collect()
}

/// A line without its comment.
fn code(line: &str) -> &str {
    if line.trim_start().starts_with("//") {
        return "";
    }
    line.split_once(" //").map_or(line, |(code, _)| code)
}

fn has_word(code: &str, word: &str) -> bool {
    code.split(|letter: char| !letter.is_alphanumeric() && letter != '_').any(|found| found == word)
}

fn empty_name(path: &str) -> Option<Finding> {
    let mut names = path.trim_end_matches(".rs").split('/');
    let name =
        names.find(|name| EMPTY.contains(name) || name.ends_with("_utils") || name.ends_with("_helpers"))?;
    Some(Finding {
        path: path.to_owned(),
        line: 1,
        what: format!("a module is called {name}"),
        next: "name it for what it is about".to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(path: &str, text: &str) -> Vec<(usize, String)> {
        let findings = check(&Tree::of(&[(path, text)]));
        findings.into_iter().map(|finding| (finding.line, finding.what)).collect()
    }

    #[test]
    fn bollard_is_named_in_one_crate() {
        let text = "//! Unlike bollard.\nlet x = 1; // bollard\nuse bollard::Docker;\n";
        assert_eq!(found("crates/stackctl/src/main.rs", text), [(3, "bollard is named".to_owned())]);
        assert_eq!(found("crates/stackctl/tests/engine/main.rs", text).len(), 1);
        assert_eq!(found("crates/stack-engine/src/lib.rs", text), []);
        assert_eq!(found("crates/stackctl/src/main.rs", "let bollards = 2;\n"), []);
    }

    #[test]
    fn fred_and_axum_stay_in_their_rooms() {
        assert_eq!(found("crates/server/src/hub.rs", "use fred::types::Message;\n").len(), 1);
        assert_eq!(found("crates/server/src/store/redis.rs", "use fred::types::Message;\n"), []);
        assert_eq!(
            found("crates/server/src/hub.rs", "fn f(socket: axum::extract::ws::WebSocket) {}\n").len(),
            1
        );
        assert_eq!(found("crates/server/src/session/outbox.rs", "use axum::extract::ws::Utf8Bytes;\n"), []);
    }

    #[test]
    fn a_plan_neither_waits_nor_knows_the_time() {
        let text = "pub async fn plan() {}\nlet now = std::time::Instant::now();\nSystemTime::now();\n";
        assert_eq!(found("crates/stack-plan/src/plan.rs", text).len(), 3);
        assert_eq!(found("crates/stack-engine/src/execute.rs", text), []);
    }

    #[test]
    fn empty_names_are_refused() {
        for path in
            ["crates/server/src/utils.rs", "crates/stackctl/tests/common/mod.rs", "xtask/src/http_helpers.rs"]
        {
            assert_eq!(found(path, "").len(), 1, "{path}");
        }
        assert_eq!(found("crates/stack-engine/src/event.rs", ""), []);
    }
}
