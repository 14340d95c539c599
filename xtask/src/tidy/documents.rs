//! What must be there, and what no text may say.

use std::collections::BTreeSet;

use super::{Finding, Tree, line_where};
use crate::images::recipe::Recipe;

/// Files that the two commands need.
const NEEDED: [&str; 5] = ["stack.yaml", "docker/nginx.conf", DOCKERFILE, CI, README];

const DOCKERFILE: &str = "crates/server/Dockerfile";
const CI: &str = ".ci/run";
const README: &str = "README.md";
const RECIPES: &str = "docker/images/";
const DECISIONS: &str = "docs/decisions/";

/// What a reader must find in these files.
const SAID: [(&str, &str); 3] =
    [(README, "cargo xtask up"), (README, "cargo xtask test"), (CI, "cargo xtask test")];

/// Paths of one machine. They are put together here, so that this file does not hold them.
const OF_ONE_MACHINE: [&str; 2] = [concat!("/wo", "rk/"), concat!("../sha", "red")];

pub(super) fn check(tree: &Tree) -> Vec<Finding> {
    let mut findings = needed(tree);
    findings.extend(said(tree));
    findings.extend(recipes(tree));
    findings.extend(decisions(tree));
    findings.extend(machine_paths(tree));
    findings
}

fn finding(path: &str, line: usize, what: String, next: &str) -> Finding {
    Finding { path: path.to_owned(), line, what, next: next.to_owned() }
}

fn needed(tree: &Tree) -> Vec<Finding> {
    let missing = NEEDED.iter().filter(|path| tree.text(path).is_none());
    missing.map(|path| finding(path, 1, "the file is missing".to_owned(), "write it")).collect()
}

fn said(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (path, words) in SAID {
        if tree.text(path).is_some_and(|text| !text.contains(words)) {
            findings.push(finding(path, 1, format!("`{words}` is not named"), "name it"));
        }
    }
    findings
}

/// Every image that comes from a registry has a recipe for where none answers.
fn recipes(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut made = BTreeSet::new();
    for (path, text) in tree.below(RECIPES).filter(|(path, _)| path.ends_with(".toml")) {
        match toml::from_str::<Recipe>(text) {
            Ok(recipe) => {
                made.insert(recipe.image);
            }
            Err(error) => {
                let line = error.span().map_or(1, |span| text[..span.start].matches('\n').count() + 1);
                findings.push(finding(path, line, error.message().to_owned(), "correct the recipe"));
            }
        }
    }
    let stack = tree.text("stack.yaml").map(images_of_stack).unwrap_or_default();
    let dockerfile = tree.text(DOCKERFILE).map(images_of_dockerfile).unwrap_or_default();
    let used = stack.iter().map(|image| ("stack.yaml", image));
    for (path, (line, image)) in used.chain(dockerfile.iter().map(|image| (DOCKERFILE, image))) {
        if !made.contains(image) {
            let next = format!("write a recipe for it into {RECIPES}");
            findings.push(finding(path, *line, format!("{image} has no recipe"), &next));
        }
    }
    findings
}

fn images_of_stack(text: &str) -> Vec<(usize, String)> {
    let lines = text.lines().enumerate();
    let images = lines.filter_map(|(index, line)| Some((index + 1, line.trim().strip_prefix("image:")?)));
    images.map(|(line, image)| (line, image.trim().trim_matches(['"', '\'']).to_owned())).collect()
}

/// The images that stages start from, other stages and `scratch` left out.
fn images_of_dockerfile(text: &str) -> Vec<(usize, String)> {
    let mut stages = BTreeSet::from(["scratch"]);
    let mut images = Vec::new();
    for (index, line) in text.lines().enumerate() {
        let words: Vec<_> = line.split_whitespace().filter(|word| !word.starts_with("--")).collect();
        let ["FROM", image, rest @ ..] = &words[..] else { continue };
        if !stages.contains(image) {
            images.push((index + 1, (*image).to_owned()));
        }
        if let ["AS" | "as", name] = rest {
            stages.insert(name);
        }
    }
    images
}

/// Decisions are `NNNN-title.md`, numbered without a gap, with the number in the heading.
fn decisions(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (expected, (path, text)) in (1..).zip(tree.below(DECISIONS)) {
        let name = path.trim_start_matches(DECISIONS);
        let number = name.split_once('-').filter(|(digits, _)| digits.len() == 4 && name.ends_with(".md"));
        match number.and_then(|(digits, _)| digits.parse::<u32>().ok()) {
            None => findings.push(finding(path, 1, "it has no number".to_owned(), "call it NNNN-title.md")),
            Some(number) if number != expected => {
                let what = format!("its number is {number}, and {expected} comes next");
                findings.push(finding(path, 1, what, "number decisions without a gap, each once"));
                return findings;
            }
            Some(number) if !text.starts_with(&format!("# {number}. ")) => {
                let next = format!("begin it with: # {number}. TITLE");
                findings.push(finding(path, 1, "its heading has another number, or none".to_owned(), &next));
            }
            Some(_) => {}
        }
    }
    findings
}

/// The product does not know the machine that it was written on. CI may look for one.
fn machine_paths(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (path, text) in tree.below("").filter(|(path, _)| *path != CI) {
        for part in OF_ONE_MACHINE.into_iter().filter(|part| text.contains(part)) {
            let line = line_where(text, |line| begins_path(line, part));
            if text.lines().any(|line| begins_path(line, part)) {
                let what = format!("{part} is a path of one machine");
                findings.push(finding(path, line, what, "write it relative to the project, or leave it out"));
            }
        }
    }
    findings
}

/// Whether a path in the line begins with this: `home/work/` is another.
fn begins_path(line: &str, part: &str) -> bool {
    line.match_indices(part).any(|(at, _)| {
        let before = line[..at].chars().next_back();
        before.is_none_or(|letter| !letter.is_alphanumeric() && !matches!(letter, '/' | '.' | '-' | '_'))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn whats(findings: Vec<Finding>) -> Vec<String> {
        findings.into_iter().map(|found| format!("{}:{}: {}", found.path, found.line, found.what)).collect()
    }

    #[test]
    fn what_the_two_commands_need_is_there() {
        let tree = Tree::of(&[("stack.yaml", ""), ("docker/nginx.conf", ""), (DOCKERFILE, ""), (CI, "")]);
        assert_eq!(whats(needed(&tree)), ["README.md:1: the file is missing"]);
    }

    #[test]
    fn the_two_commands_are_named() {
        let tree = Tree::of(&[(README, "Run cargo xtask up.\n"), (CI, "cargo xtask test\n")]);
        assert_eq!(whats(said(&tree)), ["README.md:1: `cargo xtask test` is not named"]);
    }

    #[test]
    fn an_image_without_a_recipe_is_found() {
        let recipe = "image = 'a:1'\nsuite = 's'\npackages = []\n[config]\n";
        let tree = Tree::of(&[
            ("stack.yaml", "services:\n  x:\n    image: a:1\n  y:\n    image: \"b:2\"\n"),
            (DOCKERFILE, "FROM --platform=x c:3 AS build\nFROM build AS test\nFROM scratch\n"),
            ("docker/images/a.toml", recipe),
        ]);
        assert_eq!(
            whats(recipes(&tree)),
            ["stack.yaml:5: b:2 has no recipe", "crates/server/Dockerfile:1: c:3 has no recipe"]
        );
    }

    #[test]
    fn a_recipe_that_is_not_understood_is_found() {
        let tree = Tree::of(&[("docker/images/a.toml", "image = 'a:1'\nsuit = 's'\n")]);
        let found = whats(recipes(&tree));
        assert!(
            found.len() == 1 && found[0].starts_with("docker/images/a.toml:2: unknown field `suit`"),
            "{found:?}"
        );
    }

    #[test]
    fn decisions_have_numbers_without_a_gap() {
        let at = |names: &[(&str, &str)]| {
            let texts: Vec<_> =
                names.iter().map(|(name, text)| (format!("{DECISIONS}{name}"), *text)).collect();
            let texts: Vec<_> = texts.iter().map(|(path, text)| (path.as_str(), *text)).collect();
            whats(decisions(&Tree::of(&texts)))
        };
        assert!(at(&[("0001-a.md", "# 1. A\n"), ("0002-b.md", "# 2. B\n")]).is_empty());
        let gap = at(&[("0001-a.md", "# 1. A\n"), ("0003-c.md", "# 3. C\n"), ("0004-d.md", "# 4. D\n")]);
        assert_eq!(gap, ["docs/decisions/0003-c.md:1: its number is 3, and 2 comes next"]);
        assert_eq!(at(&[("0001-a.md", "# 1. A\n"), ("0001-b.md", "# 1. B\n")]).len(), 1);
        assert_eq!(at(&[("0001-a.md", "# A\n")]).len(), 1);
        assert_eq!(at(&[("a.md", "# 1. A\n")]).len(), 1);
    }

    #[test]
    fn paths_of_one_machine_are_found() {
        let [work, beside] = OF_ONE_MACHINE;
        let tree = Tree::of(&[
            ("a.md", &format!("first\nsee {work}main\n")),
            ("b.rs", &format!("\"{beside}/tools\"")),
            ("c.md", &format!("home{work}main")),
            (CI, &format!("{beside}/tools/engine")),
        ]);
        let found: Vec<_> = machine_paths(&tree).into_iter().map(|found| (found.path, found.line)).collect();
        assert_eq!(found, [("a.md".to_owned(), 2), ("b.rs".to_owned(), 1)]);
    }
}
