//! `.dockerignore`, as BuildKit reads it.

use regex::Regex;

/// Which paths of a context are left out.
#[derive(Debug, Default)]
pub struct Ignore {
    patterns: Vec<Pattern>,
}

#[derive(Debug)]
struct Pattern {
    /// Whether it brings paths back.
    negated: bool,
    /// The parts between slashes.
    parts: Vec<String>,
    matcher: Regex,
}

/// A line that is no pattern.
#[derive(Debug, thiserror::Error)]
#[error("line {line}: {pattern:?} is no pattern")]
pub struct IgnoreError {
    /// The line, from 1.
    pub line: usize,
    /// What stands there.
    pub pattern: String,
}

impl Ignore {
    /// Reads the text of a `.dockerignore`.
    ///
    /// # Errors
    /// When a line is no pattern, as `[a`.
    pub fn read(text: &str) -> Result<Self, IgnoreError> {
        let mut patterns = Vec::new();
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        for (index, line) in text.lines().enumerate() {
            if line.starts_with('#') {
                continue;
            }
            let line = line.trim();
            let (negated, pattern) = match line.strip_prefix('!') {
                Some(rest) => (true, rest.trim()),
                None => (false, line),
            };
            if pattern.is_empty() && !negated {
                continue;
            }
            let wrong = || IgnoreError { line: index + 1, pattern: line.to_owned() };
            let parts = clean(pattern);
            if negated && parts.is_empty() {
                return Err(wrong());
            }
            // The context itself cannot be left out.
            if parts.is_empty() {
                continue;
            }
            let matcher =
                expression(&parts.join("/")).and_then(|text| Regex::new(&text).ok()).ok_or_else(wrong)?;
            patterns.push(Pattern { negated, parts, matcher });
        }
        Ok(Self { patterns })
    }

    /// Whether the path, relative to the context and with `/` between its parts, is left out.
    ///
    /// A pattern that matches a directory matches all below it; the last pattern that matches decides.
    #[must_use]
    pub fn leaves_out(&self, path: &str) -> bool {
        let mut out = false;
        for pattern in &self.patterns {
            // Only a pattern that would change the verdict is worth a look.
            if pattern.negated == out && prefixes(path).any(|prefix| pattern.matcher.is_match(prefix)) {
                out = !pattern.negated;
            }
        }
        out
    }

    /// Whether something below a directory that is left out may be brought back.
    #[must_use]
    pub fn may_keep_below(&self, directory: &str) -> bool {
        let directory: Vec<&str> = directory.split('/').collect();
        self.patterns.iter().filter(|pattern| pattern.negated).any(|pattern| {
            for (part, name) in pattern.parts.iter().zip(&directory) {
                if part.contains(['*', '?', '[', '\\']) {
                    return true;
                }
                if part != name {
                    return false;
                }
            }
            true
        })
    }
}

/// The path and all directories above it, the shortest first.
fn prefixes(path: &str) -> impl Iterator<Item = &str> {
    path.match_indices('/').map(|(at, _)| &path[..at]).chain([path])
}

/// The parts of a pattern without `.`, empty parts and a leading slash, and without `..` unless
/// it leads out of the context, where nothing is.
fn clean(pattern: &str) -> Vec<String> {
    let mut parts: Vec<String> = Vec::new();
    for part in pattern.split('/') {
        match part {
            "" | "." => {}
            ".." if parts.last().is_some_and(|last| last != "..") => {
                parts.pop();
            }
            ".." if pattern.starts_with('/') => {}
            part => parts.push(part.to_owned()),
        }
    }
    parts
}

/// The regular expression of a pattern; `None` when a bracket is not closed.
fn expression(pattern: &str) -> Option<String> {
    let mut text = String::from("^");
    // BuildKit takes what follows two stars for the end of a path, not of a name, if it is plain.
    if let Some(end) = pattern.strip_prefix("**")
        && !end.is_empty()
        && !end.contains(['/', '*', '?', '[', ']', '\\'])
    {
        return Some(format!("^.*{}$", regex::escape(end)));
    }
    let mut rest = pattern.chars().peekable();
    while let Some(next) = rest.next() {
        match next {
            '*' if rest.peek() == Some(&'*') => {
                while rest.peek() == Some(&'*') {
                    rest.next();
                }
                if rest.peek() == Some(&'/') {
                    rest.next();
                }
                text.push_str(if rest.peek().is_none() { ".*" } else { "(?:.*/)?" });
            }
            '*' => text.push_str("[^/]*"),
            '?' => text.push_str("[^/]"),
            '\\' => match rest.next()? {
                // To BuildKit a letter that is escaped means what it means to a regular expression.
                letter if letter.is_ascii_alphanumeric() => text.extend(['\\', letter]),
                other => text.push_str(&regex::escape(&other.to_string())),
            },
            '[' => {
                text.push('[');
                if matches!(rest.peek(), Some('^' | '!')) {
                    rest.next();
                    text.push('^');
                }
                let mut closed = false;
                while let Some(inside) = rest.next() {
                    match inside {
                        ']' => {
                            closed = true;
                            break;
                        }
                        '-' => text.push('-'),
                        '\\' => text.push_str(&regex::escape(&rest.next()?.to_string())),
                        other => text.push_str(&regex::escape(&other.to_string())),
                    }
                }
                if !closed {
                    return None;
                }
                text.push(']');
            }
            other => text.push_str(&regex::escape(&other.to_string())),
        }
    }
    text.push('$');
    Some(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// What is left out of these paths.
    fn out<'a>(ignore: &str, paths: &[&'a str]) -> Vec<&'a str> {
        let ignore = Ignore::read(ignore).expect("patterns");
        paths.iter().copied().filter(|path| ignore.leaves_out(path)).collect()
    }

    #[test]
    fn a_pattern_is_anchored_at_the_context() {
        assert_eq!(
            out("node_modules", &["node_modules", "node_modules/a", "sub/node_modules/a"]),
            ["node_modules", "node_modules/a"]
        );
        assert_eq!(out("*.log", &["a.log", "sub/a.log"]), ["a.log"]);
        assert_eq!(out("/a", &["a", "b/a"]), ["a"]);
        assert_eq!(out("./a/", &["a", "a/b", "ab"]), ["a", "a/b"]);
        assert_eq!(out("a/../b", &["a", "b"]), ["b"]);
    }

    #[test]
    fn stars_match_within_and_across_directories() {
        assert_eq!(
            out("**/*.log", &["a.log", "sub/a.log", "s/u/b.log", "a.logs"]),
            ["a.log", "sub/a.log", "s/u/b.log"]
        );
        assert_eq!(out("a/**", &["a", "a/b", "a/b/c"]), ["a/b", "a/b/c"]);
        assert_eq!(out("**", &["a", "a/b"]), ["a", "a/b"]);
        assert_eq!(out("*/b", &["a/b", "a/b/c", "x/y/b"]), ["a/b", "a/b/c"]);
        assert_eq!(out("a?c", &["abc", "a/c", "ac"]), ["abc"]);
        assert_eq!(out("[a-c]x\n[^a]y", &["ax", "dx", "ay", "by"]), ["ax", "by"]);
        assert_eq!(out("a\\*b", &["a*b", "axb"]), ["a*b"]);
        assert_eq!(out("a.b", &["a.b", "axb"]), ["a.b"]);
    }

    #[test]
    fn the_last_match_decides() {
        assert_eq!(out("*\n!src", &["src", "src/a", "b"]), ["b"]);
        assert_eq!(out("*\n!**/*.rs", &["src", "src/a.rs", "src/b.c"]), ["src", "src/b.c"]);
        assert_eq!(out("*.md\n!README.md", &["README.md", "other.md"]), ["other.md"]);
        assert_eq!(out("!a\na", &["a"]), ["a"]);
        assert_eq!(out("# comment\n\n  a  \n", &["a", "# comment"]), ["a"]);
    }

    #[test]
    fn a_directory_is_only_skipped_when_nothing_below_comes_back() {
        let ignore = Ignore::read("*\n!crates/*/Cargo.toml\n!docs/a").expect("patterns");
        assert!(ignore.may_keep_below("crates"));
        assert!(ignore.may_keep_below("crates/x"));
        assert!(ignore.may_keep_below("docs"));
        assert!(!ignore.may_keep_below("target"));
        assert!(!ignore.may_keep_below("docs/b"));
    }

    #[test]
    fn what_is_no_pattern_is_refused_with_its_line() {
        let error = Ignore::read("a\n[b").expect_err("no pattern");
        assert_eq!(error.to_string(), "line 2: \"[b\" is no pattern");
        assert!(Ignore::read("!").is_err());
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(text in "\\PC{0,40}", path in "[a-c/.]{1,12}") {
            if let Ok(ignore) = Ignore::read(&text) {
                let _: bool = ignore.leaves_out(&path);
            }
        }

        #[test]
        fn what_is_kept_below_is_never_skipped(path in "[ab]/[ab]/[ab]", keep in "[ab*]/[ab*]/[ab*]") {
            let ignore = Ignore::read(&format!("*\n!{keep}")).expect("patterns");
            if !ignore.leaves_out(&path) {
                prop_assert!(ignore.may_keep_below(&path[..1]) && ignore.may_keep_below(&path[..3]));
            }
        }
    }
}
