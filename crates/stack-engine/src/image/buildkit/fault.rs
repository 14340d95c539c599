//! Where in a Dockerfile a build failed, as BuildKit tells it beside its words.

use prost::Message;
use serde::Deserialize;

use crate::image::build::DockerfileLine;
use crate::image::digest::full;

/// `google.rpc.Status`.
#[derive(Clone, PartialEq, Message)]
struct Told {
    #[prost(message, repeated, tag = "3")]
    details: Vec<Detail>,
}

/// `google.protobuf.Any`.
#[derive(Clone, PartialEq, Message)]
struct Detail {
    #[prost(string, tag = "1")]
    type_url: String,
    #[prost(bytes = "vec", tag = "2")]
    value: Vec<u8>,
}

/// `errdefs.Source` of BuildKit, which sends it in one form or the other.
#[derive(Clone, PartialEq, Message, Deserialize)]
#[serde(default)]
struct Source {
    #[prost(message, optional, tag = "1")]
    info: Option<Info>,
    #[prost(message, repeated, tag = "2")]
    ranges: Vec<Range>,
}

#[derive(Clone, PartialEq, Message, Deserialize)]
#[serde(default)]
struct Info {
    #[prost(string, tag = "1")]
    filename: String,
}

#[derive(Clone, PartialEq, Message, Deserialize)]
#[serde(default)]
struct Range {
    #[prost(message, optional, tag = "1")]
    start: Option<Position>,
}

#[derive(Clone, PartialEq, Message, Deserialize)]
#[serde(default)]
struct Position {
    #[prost(int32, tag = "1")]
    line: i32,
}

/// The line of the Dockerfile that a failure is about, with its text.
pub(super) fn line(details: &[u8], dockerfile: &str) -> Option<DockerfileLine> {
    let told = Told::decode(details).ok()?;
    let sources = told.details.iter().filter(|detail| detail.type_url.contains("errdefs.Source"));
    let found = sources.filter_map(|detail| match detail.value.first() {
        Some(b'{') => serde_json::from_slice::<Source>(&detail.value).ok(),
        _ => Source::decode(detail.value.as_slice()).ok(),
    });
    let (file, number) = found
        .filter_map(|source| {
            let line = source.ranges.first()?.start.as_ref()?.line;
            let number = usize::try_from(line).ok().filter(|number| *number > 0)?;
            Some((source.info.map(|info| info.filename).unwrap_or_default(), number))
        })
        .next()?;
    let text = dockerfile.lines().nth(number - 1).unwrap_or_default().trim().to_owned();
    Some(DockerfileLine { file, number, text })
}

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
    let takes = |line: &str| {
        let mut words = line.split_whitespace();
        let from = words.next().is_some_and(|word| word.eq_ignore_ascii_case("from"));
        let base = words.find(|word| !word.starts_with("--"));
        from && base.is_some_and(|base| full(base) == full(image))
    };
    let (at, line) = dockerfile.lines().enumerate().find(|(_, line)| takes(line))?;
    Some(DockerfileLine { file: file.to_owned(), number: at + 1, text: line.trim().to_owned() })
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
    fn the_line_is_read_in_both_forms() {
        let source = Source {
            info: Some(Info { filename: "Dockerfile".to_owned() }),
            ranges: vec![Range { start: Some(Position { line: 2 }) }],
        };
        let json = br#"{"info":{"filename":"Dockerfile"},"ranges":[{"start":{"line":2},"end":{"line":2}}]}"#;
        for value in [source.encode_to_vec(), json.to_vec()] {
            let type_url = "github.com/moby/buildkit/errdefs.Source+json".to_owned();
            let other =
                Detail { type_url: "github.com/moby/buildkit/stack.Stack+json".to_owned(), value: vec![9] };
            let told = Told { details: vec![other, Detail { type_url, value }] };
            let found = line(&told.encode_to_vec(), "FROM a\n  RUN exit 9\n").expect("a line");
            assert_eq!(
                (found.file.as_str(), found.number, found.text.as_str()),
                ("Dockerfile", 2, "RUN exit 9")
            );
        }
        assert!(line(b"nonsense", "").is_none());
    }
}
