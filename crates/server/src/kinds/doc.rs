//! Rooms of the kind `doc`: anybody may change anything.

use json_patch::PatchOperation;
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
    /// The document would be nested too deep, at the end or in between.
    TooDeep,
    /// The operations copy so much that the document would be too long.
    TooLong,
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
            Self::TooLong => "too_long",
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
            Self::TooLong => "the document would be too long",
        }
    }
}

/// How far a document may grow.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// How deep a frame that holds it may be nested.
    pub depth: usize,
    /// How many bytes of JSON operations may copy.
    pub bytes: usize,
}

/// Applies a patch to a document, `null` if it was never set, and returns the
/// next one.
///
/// # Errors
/// Why that cannot be; nothing of the patch holds then.
pub fn apply(doc: Option<&str>, patch: Patch<'_>, bounds: Bounds) -> Result<String, Misfit> {
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
            operate(&mut doc, &ops, bounds)?;
        }
    }
    let text = doc.to_string();
    if depth(&text) >= bounds.depth { Err(Misfit::TooDeep) } else { Ok(text) }
}

/// Carries out operations one by one. Copies could double the document each
/// time, and nest it until the stack does not suffice to walk it, so both are
/// looked at before.
fn operate(doc: &mut Value, ops: &[PatchOperation], bounds: Bounds) -> Result<(), Misfit> {
    let mut copied = 0;
    for op in ops {
        let put = match op {
            PatchOperation::Add(add) => Some(nesting(&add.value)),
            PatchOperation::Replace(replace) => Some(nesting(&replace.value)),
            PatchOperation::Move(from) => doc.pointer(from.from.as_str()).map(nesting),
            PatchOperation::Copy(from) => {
                let source = doc.pointer(from.from.as_str()).ok_or(Misfit::NoSuchPath)?;
                copied += source.to_string().len();
                Some(nesting(source))
            }
            PatchOperation::Remove(_) | PatchOperation::Test(_) => None,
        };
        if copied > bounds.bytes {
            return Err(Misfit::TooLong);
        }
        if put.is_some_and(|nesting| op.path().tokens().count() + nesting > bounds.depth) {
            return Err(Misfit::TooDeep);
        }
        // The document is a copy: where one does not fit, nothing of the others is kept.
        json_patch::patch_unsafe(doc, std::slice::from_ref(op)).map_err(|error| match error.kind {
            json_patch::PatchErrorKind::TestFailed => Misfit::TestFailed,
            _ => Misfit::NoSuchPath,
        })?;
    }
    Ok(())
}

/// How deep a value is nested.
fn nesting(value: &Value) -> usize {
    match value {
        Value::Array(items) => 1 + items.iter().map(nesting).max().unwrap_or(0),
        Value::Object(entries) => 1 + entries.values().map(nesting).max().unwrap_or(0),
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAX_DEPTH: usize = 64;
    const BOUNDS: Bounds = Bounds { depth: MAX_DEPTH, bytes: 65_536 };

    fn merged(doc: Option<&str>, merge: &str) -> String {
        apply(doc, Patch::Merge(merge), BOUNDS).expect("it fits")
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
    fn numbers_stay_what_they_are() {
        let doc = r#"{"a":3.3333333333333334e+48,"b":0.1,"c":-0.0,"d":18446744073709551615}"#;
        assert_eq!(merged(Some(doc), "{}"), doc);
    }

    #[test]
    fn operations_hold_all_or_none() {
        let doc = Some(r#"{"list":[1,2],"name":"x"}"#);
        let ops = |text| apply(doc, Patch::Ops(text), BOUNDS);
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
        let ops = |doc: &str| apply(Some(r#"{"x":0}"#), Patch::Merge(&format!(r#"{{"x":{doc}}}"#)), BOUNDS);
        while ops(&doc).is_ok() {
            doc = format!("[{doc}]");
            assert!(doc.len() < 1000, "there is no end");
        }
        assert_eq!(ops(&doc), Err(Misfit::TooDeep));
        // What a client is given, it can send back.
        assert!(depth(&doc) <= MAX_DEPTH);
    }

    #[test]
    fn the_edges_of_rfc_6902_hold() {
        for (doc, ops, wanted) in [
            // Appendix A.
            (
                r#"{"foo":["bar","baz"]}"#,
                r#"[{"op":"add","path":"/foo/1","value":"qux"}]"#,
                Ok(r#"{"foo":["bar","qux","baz"]}"#),
            ),
            (
                r#"{"foo":["bar","qux","baz"]}"#,
                r#"[{"op":"remove","path":"/foo/1"}]"#,
                Ok(r#"{"foo":["bar","baz"]}"#),
            ),
            (
                r#"{"foo":["a","b","c","d"]}"#,
                r#"[{"op":"move","from":"/foo/1","path":"/foo/3"}]"#,
                Ok(r#"{"foo":["a","c","d","b"]}"#),
            ),
            (
                r#"{"foo":"bar"}"#,
                r#"[{"op":"add","path":"/child","value":{}}]"#,
                Ok(r#"{"foo":"bar","child":{}}"#),
            ),
            (
                r#"{"foo":"bar"}"#,
                r#"[{"op":"add","path":"/baz","value":1,"xyz":123}]"#,
                Ok(r#"{"foo":"bar","baz":1}"#),
            ),
            (r#"{"foo":"bar"}"#, r#"[{"op":"add","path":"/baz/bat","value":1}]"#, Err(Misfit::NoSuchPath)),
            (r#"{"/":9,"~1":10}"#, r#"[{"op":"test","path":"/~01","value":10}]"#, Ok(r#"{"/":9,"~1":10}"#)),
            (r#"{"/":9,"~1":10}"#, r#"[{"op":"test","path":"/~01","value":"10"}]"#, Err(Misfit::TestFailed)),
            (
                r#"{"foo":["bar"]}"#,
                r#"[{"op":"add","path":"/foo/-","value":["x"]}]"#,
                Ok(r#"{"foo":["bar",["x"]]}"#),
            ),
            // The whole document, members without a name, indices that are none.
            (r#"{"a":1}"#, r#"[{"op":"replace","path":"","value":[2]}]"#, Ok("[2]")),
            (r#"{"":1}"#, r#"[{"op":"replace","path":"/","value":2}]"#, Ok(r#"{"":2}"#)),
            ("[1,2]", r#"[{"op":"add","path":"/2","value":3}]"#, Ok("[1,2,3]")),
            ("[1,2]", r#"[{"op":"add","path":"/3","value":3}]"#, Err(Misfit::NoSuchPath)),
            ("[1,2]", r#"[{"op":"add","path":"/01","value":3}]"#, Err(Misfit::NoSuchPath)),
            ("[1,2]", r#"[{"op":"remove","path":"/-"}]"#, Err(Misfit::NoSuchPath)),
            (r#"{"a":1}"#, r#"[{"op":"replace","path":"/b","value":3}]"#, Err(Misfit::NoSuchPath)),
            (r#"{"a":1}"#, r#"[{"op":"copy","from":"/b","path":"/c"}]"#, Err(Misfit::NoSuchPath)),
            (r#"{"a":{"b":1}}"#, r#"[{"op":"move","from":"/a","path":"/a/b"}]"#, Err(Misfit::NoSuchPath)),
            (r#"{"a":1}"#, r#"[{"op":"add","path":"a","value":1}]"#, Err(Misfit::NoPatch)),
            (r#"{"a":1}"#, r#"[{"op":"add","path":"/b"}]"#, Err(Misfit::NoPatch)),
            (r#"{"a":1}"#, "[]", Ok(r#"{"a":1}"#)),
            (
                r#"{"a":1}"#,
                r#"[{"op":"remove","path":"/a"},{"op":"remove","path":"/a"}]"#,
                Err(Misfit::NoSuchPath),
            ),
        ] {
            let found = apply(Some(doc), Patch::Ops(ops), BOUNDS);
            assert_eq!(found.as_deref(), wanted.as_ref().copied(), "{doc} {ops}");
        }
    }

    #[test]
    fn operations_that_copy_without_end_are_refused_early() {
        let doubled = r#"{"op":"copy","from":"","path":"/x"}"#;
        let ops = format!("[{}]", vec![doubled; 1000].join(","));
        assert_eq!(apply(Some(r#"{"x":"0123456789"}"#), Patch::Ops(&ops), BOUNDS), Err(Misfit::TooDeep));
        let doubled = r#"{"op":"copy","from":"/0","path":"/0/-"},{"op":"copy","from":"","path":"/-"}"#;
        let ops = format!("[{}]", vec![doubled; 500].join(","));
        let wide = apply(Some(r#"[[1]]"#), Patch::Ops(&ops), BOUNDS);
        assert!(matches!(wide, Err(Misfit::TooLong | Misfit::TooDeep)), "{wide:?}");
        let flat = r#"{"op":"copy","from":"/a","path":"/b/-"}"#;
        let ops = format!("[{}]", vec![flat; 1000].join(","));
        let long = format!(r#"{{"a":"{}","b":[]}}"#, "x".repeat(1000));
        assert_eq!(apply(Some(&long), Patch::Ops(&ops), BOUNDS), Err(Misfit::TooLong));
        // Deeper than the stack could bear, by a path that is written out.
        let mut nested =
            vec![format!(r#"{{"op":"add","path":"","value":{}1{}}}"#, "[".repeat(60), "]".repeat(60))];
        for levels in [60, 120, 240, 480, 960, 1920, 3840, 7680] {
            nested.push(format!(r#"{{"op":"copy","from":"","path":"{}"}}"#, "/0".repeat(levels)));
        }
        let ops = format!("[{}]", nested.join(","));
        assert_eq!(apply(None, Patch::Ops(&ops), BOUNDS), Err(Misfit::TooDeep));
    }
}
