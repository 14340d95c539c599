//! Where in a Dockerfile a build failed, as BuildKit tells it beside its words.

use prost::Message;
use serde::Deserialize;

use crate::image::build::DockerfileLine;

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

#[cfg(test)]
mod tests {
    use super::*;

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
