//! What is read in a Dockerfile here: where a step stands, and which images it starts from.

use crate::image::build::DockerfileLine;
use crate::image::digest::full;

/// The line of a step, found by its words: older engines tell no more. `None` when no
/// instruction, or more than one, reads like it.
pub(super) fn line_of_step(step: &str, file: &str, dockerfile: &str) -> Option<DockerfileLine> {
    let words = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
    let step = match step.strip_prefix('[').and_then(|rest| rest.split_once("] ")) {
        Some((_, instruction)) => words(instruction),
        None => words(step),
    };
    if let Some(image) = step.strip_prefix("load metadata for ") {
        return line_of_base(image, file, dockerfile);
    }
    let mut found = None;
    let mut lines = dockerfile.lines().enumerate();
    while let Some((at, first)) = lines.next() {
        let mut whole = first.to_owned();
        while let Some(begun) = whole.strip_suffix('\\') {
            let Some((_, next)) = lines.next() else { break };
            whole = format!("{begun}{next}");
        }
        if words(&whole) == step && !step.is_empty() {
            if found.is_some() {
                return None;
            }
            found =
                Some(DockerfileLine { file: file.to_owned(), number: at + 1, text: first.trim().to_owned() });
        }
    }
    found
}

/// The first line that takes an image for its base.
fn line_of_base(image: &str, file: &str, dockerfile: &str) -> Option<DockerfileLine> {
    let takes = |line: &str| base(line).is_some_and(|base| full(base) == full(image));
    let (at, line) = dockerfile.lines().enumerate().find(|(_, line)| takes(line))?;
    Some(DockerfileLine { file: file.to_owned(), number: at + 1, text: line.trim().to_owned() })
}

/// The images that a Dockerfile starts from, as it names them; stages of its own among them.
pub(super) fn bases(dockerfile: &str) -> impl Iterator<Item = &str> {
    dockerfile.lines().filter_map(base)
}

/// The image that a line takes for its base.
fn base(line: &str) -> Option<&str> {
    let mut words = line.split_whitespace();
    let from = words.next().is_some_and(|word| word.eq_ignore_ascii_case("from"));
    words.find(|word| !word.starts_with("--")).filter(|_| from)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_is_found_by_its_words_where_only_one_has_them() {
        let dockerfile = "FROM a\nRUN one && \\\n  two\nRUN three\nRUN three\n";
        let number = |step: &str| line_of_step(step, "Dockerfile", dockerfile).map(|line| line.number);
        assert_eq!(number("[2/4] RUN one &&   two"), Some(2));
        assert_eq!((number("[3/4] RUN three"), number("[1/4] FROM b"), number("")), (None, None, None));
    }

    #[test]
    fn a_base_image_is_found_by_its_full_name() {
        let dockerfile = "FROM a AS b\nfrom --platform=linux/amd64 redis:7 AS c\nFROM b\n";
        let step = "[internal] load metadata for docker.io/library/redis:7";
        let line = line_of_step(step, "Dockerfile", dockerfile).expect("a line");
        assert_eq!((line.number, line.text.starts_with("from --platform")), (2, true));
        assert!(line_of_step("[internal] load metadata for x:1", "Dockerfile", dockerfile).is_none());
    }

    #[test]
    fn what_it_starts_from_is_named_by_its_lines() {
        let dockerfile = "ARG A=1\nFROM --platform=linux/amd64 127.0.0.1:5000/a:1 AS b\nRUN from x\nfrom b\n";
        assert_eq!(bases(dockerfile).collect::<Vec<_>>(), ["127.0.0.1:5000/a:1", "b"]);
    }
}
