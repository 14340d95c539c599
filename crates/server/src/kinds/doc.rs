//! Rooms of the kind `doc`: anybody may change anything.

use serde_json::Value;

use crate::protocol::depth;

/// A change of a part of a document.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Patch<'a> {
    /// A JSON Merge Patch (RFC 7396), as JSON text.
    Merge(&'a str),
    /// The operations of a JSON Patch (RFC 6902), as JSON text.
    Ops(&'a str),
}

/// Why a patch cannot be applied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Misfit {
    /// It is no patch.
    NoPatch,
    /// A path leads nowhere in the document.
    NoSuchPath,
    /// A `test` has failed.
    TestFailed,
    /// The document would be nested too deep.
    TooDeep,
}

impl Misfit {
    /// The `reason` of the error reply.
    #[must_use]
    pub fn reason(self) -> &'static str {
        match self {
            Self::NoPatch => "no_patch",
            Self::NoSuchPath => "no_such_path",
            Self::TestFailed => "test_failed",
            Self::TooDeep => "too_deep",
        }
    }

    /// The reason in words.
    #[must_use]
    pub fn msg(self) -> &'static str {
        match self {
            Self::NoPatch => "merge or ops is no patch",
            Self::NoSuchPath => "the document has no such path",
            Self::TestFailed => "a test of the patch has failed",
            Self::TooDeep => "the document would be nested too deep",
        }
    }
}

/// Applies a patch to a document, `null` if it was never set, and returns the
/// next one. A frame that holds it may be nested `max_depth` deep.
///
/// # Errors
/// Why that cannot be; nothing of the patch holds then.
pub fn apply(doc: Option<&str>, patch: Patch<'_>, max_depth: usize) -> Result<String, Misfit> {
    let mut doc: Value = match doc {
        Some(text) => serde_json::from_str(text).map_err(|_| Misfit::NoPatch)?,
        None => Value::Null,
    };
    match patch {
        Patch::Merge(text) => {
            let merge = serde_json::from_str(text).map_err(|_| Misfit::NoPatch)?;
            json_patch::merge(&mut doc, &merge);
        }
        Patch::Ops(text) => {
            let ops: json_patch::Patch = serde_json::from_str(text).map_err(|_| Misfit::NoPatch)?;
            json_patch::patch(&mut doc, &ops).map_err(|error| match error.kind {
                json_patch::PatchErrorKind::TestFailed => Misfit::TestFailed,
                _ => Misfit::NoSuchPath,
            })?;
        }
    }
    let text = doc.to_string();
    if depth(&text) >= max_depth { Err(Misfit::TooDeep) } else { Ok(text) }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAX_DEPTH: usize = 64;

    fn merged(doc: Option<&str>, merge: &str) -> String {
        apply(doc, Patch::Merge(merge), MAX_DEPTH).expect("it fits")
    }

    #[test]
    fn the_examples_of_rfc_7396_hold() {
        for (doc, merge, wanted) in [
            (r#"{"a":"b"}"#, r#"{"a":"c"}"#, r#"{"a":"c"}"#),
            (r#"{"a":"b"}"#, r#"{"b":"c"}"#, r#"{"a":"b","b":"c"}"#),
            (r#"{"a":"b"}"#, r#"{"a":null}"#, "{}"),
            (r#"{"a":"b","b":"c"}"#, r#"{"a":null}"#, r#"{"b":"c"}"#),
            (r#"{"a":["b"]}"#, r#"{"a":"c"}"#, r#"{"a":"c"}"#),
            (r#"{"a":"c"}"#, r#"{"a":["b"]}"#, r#"{"a":["b"]}"#),
            (r#"{"a":{"b":"c"}}"#, r#"{"a":{"b":"d","c":null}}"#, r#"{"a":{"b":"d"}}"#),
            (r#"["a","b"]"#, r#"["c","d"]"#, r#"["c","d"]"#),
            (r#"{"a":"foo"}"#, "null", "null"),
            (r#"{"e":null}"#, r#"{"a":1}"#, r#"{"e":null,"a":1}"#),
            ("[1,2]", r#"{"a":"b","c":null}"#, r#"{"a":"b"}"#),
            ("{}", r#"{"a":{"bb":{"ccc":null}}}"#, r#"{"a":{"bb":{}}}"#),
        ] {
            assert_eq!(merged(Some(doc), merge), wanted, "{doc} + {merge}");
        }
        assert_eq!(merged(None, r#"{"a":1}"#), r#"{"a":1}"#);
    }

    #[test]
    fn operations_hold_all_or_none() {
        let doc = Some(r#"{"list":[1,2],"name":"x"}"#);
        let ops = |text| apply(doc, Patch::Ops(text), MAX_DEPTH);
        let all = r#"[{"op":"test","path":"/name","value":"x"},{"op":"add","path":"/list/-","value":3},{"op":"move","from":"/name","path":"/title"}]"#;
        assert_eq!(ops(all).as_deref(), Ok(r#"{"list":[1,2,3],"title":"x"}"#));
        assert_eq!(ops(r#"[{"op":"test","path":"/name","value":"y"}]"#), Err(Misfit::TestFailed));
        assert_eq!(ops(r#"[{"op":"remove","path":"/gone"}]"#), Err(Misfit::NoSuchPath));
        assert_eq!(ops(r#"[{"op":"dance","path":"/name"}]"#), Err(Misfit::NoPatch));
        assert_eq!(ops(r#"{"op":"remove","path":"/name"}"#), Err(Misfit::NoPatch));
    }

    #[test]
    fn a_document_never_grows_too_deep() {
        let mut doc = "1".to_owned();
        let ops =
            |doc: &str| apply(Some(r#"{"x":0}"#), Patch::Merge(&format!(r#"{{"x":{doc}}}"#)), MAX_DEPTH);
        while ops(&doc).is_ok() {
            doc = format!("[{doc}]");
            assert!(doc.len() < 1000, "there is no end");
        }
        assert_eq!(ops(&doc), Err(Misfit::TooDeep));
        // What a client is given, it can send back.
        assert!(depth(&doc) <= MAX_DEPTH);
    }
}
