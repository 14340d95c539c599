use serde_json::Value;

use super::fault::ERRORS;
use super::outbound::*;
use super::*;
use crate::kinds::doc::Misfit;
use crate::kinds::tictactoe::Foul;
use crate::kinds::{Kind, Reject};
use crate::store::{Members, Position, Recent, Snapshot};

const DEPTH: usize = 64;

fn parse(text: &str) -> Result<Request<'_>, Refusal> {
    super::parse(text, DEPTH)
}

fn refusal(text: &str) -> Refusal {
    match parse(text) {
        Err(refusal) => refusal,
        Ok(request) => panic!("{text} was taken as {request:?}"),
    }
}

#[test]
fn what_is_no_json_object_ends_the_connection() {
    for text in ["", "hello", "[1]", "\"t\"", "null", "{", "{\"t\":\"ping\"", "{\"t\" \"ping\"}", "{}{}"] {
        assert_eq!(refusal(text), Refusal::Close(Close::BadProtocol), "{text}");
    }
}

#[test]
fn a_malformed_command_is_told_what_it_lacks() {
    let deep = format!(r#"{{"t":"pub","id":3,"room":"r","data":{}1{}}}"#, "[".repeat(80), "]".repeat(80));
    for (text, id, says) in [
        (r#"{}"#, None, "t must be"),
        (r#"{"t":7,"id":3}"#, Some(3), "t must be"),
        (r#"{"t":"fly","id":3}"#, Some(3), "not a command"),
        (r#"{"t":"join","id":3}"#, Some(3), "room must be"),
        (r#"{"t":"join","id":3,"room":"a b"}"#, Some(3), "room must be"),
        (r#"{"t":"join","id":3,"room":""}"#, Some(3), "room must be"),
        (r#"{"t":"join","id":3,"room":"\u0061"}"#, Some(3), "room must be"),
        (r#"{"t":"join","id":3,"room":"r","kind":"chess"}"#, Some(3), "kind must be"),
        (r#"{"t":"join","id":3,"room":"r","since":{"epoch":"e"}}"#, Some(3), "since must be"),
        (r#"{"t":"join","id":3,"room":"r","since":{"epoch":"e","offset":-1}}"#, Some(3), "since must be"),
        (r#"{"t":"join","room":"r"}"#, None, "id must be"),
        (r#"{"t":"join","id":-1,"room":"r"}"#, None, "id must be"),
        (r#"{"t":"join","id":4294967296,"room":"r"}"#, None, "id must be"),
        (r#"{"t":"ping","id":"x"}"#, None, "id must be"),
        (r#"{"t":"hello","id":3,"token":7}"#, Some(3), "token must be"),
        (r#"{"t":"join","id":3,"room":"r","presence":1}"#, Some(3), "presence must be"),
        (r#"{"t":"join","id":3,"room":"r","info":"\ud800"}"#, Some(3), "info"),
        (r#"{"t":"act","id":3,"room":"r"}"#, Some(3), "action is missing"),
        (r#"{"t":"here","id":3,"room":"r"}"#, Some(3), "info is missing"),
        (r#"{"t":"patch","id":3,"room":"r","merge":1,"ops":[]}"#, Some(3), "either merge or ops"),
        (r#"{"t":"set","id":3,"room":"r"}"#, Some(3), "doc is missing"),
        (r#"{"t":"set","id":3,"room":"r","doc":"\ud800"}"#, Some(3), "doc"),
        (r#"{"t":"set","id":3,"room":"r","doc":1,"if_version":1.5}"#, Some(3), "if_version must be"),
        (r#"{"t":"set","id":3,"room":"r","doc":1,"key":"a b"}"#, Some(3), "key must be"),
        (r#"{"t":"pub","id":3,"room":"r"}"#, Some(3), "data is missing"),
        (r#"{"t":"get","id":3,"room":"r"}"#, Some(3), "what must be"),
        (r#"{"t":"get","id":3,"room":"r","what":"history","limit":0}"#, Some(3), "limit must be"),
        (r#"{"t":"get","id":3,"room":"r","what":"history","limit":257}"#, Some(3), "limit must be"),
        (&deep, Some(3), "nested deeper than 64"),
    ] {
        match refusal(text) {
            Refusal::Fault(found, Fault::BadRequest(reason)) => {
                assert_eq!(found, id, "{text}");
                assert!(reason.contains(says), "{text}: {reason}");
            }
            other => panic!("{text}: {other:?}"),
        }
    }
}

#[test]
fn a_name_that_is_given_twice_is_refused() {
    assert!(matches!(refusal(r#"{"t":"ping","t":"pong"}"#), Refusal::Fault(None, Fault::BadRequest(_))));
}

#[test]
fn a_command_is_read_whatever_else_is_in_it() {
    let text = r#" {"id":4294967295,"new":[{"x":1}],"t":"set","room":"a:B_1.-","doc":{"a": [1, "}"]},"if_version":0,"key":"k"}"#;
    let request = parse(text).expect("valid");
    assert_eq!(request.id, Some(u32::MAX));
    match request.command {
        Command::Set { room, doc, if_version, key } => {
            assert_eq!((room, if_version, key), ("a:B_1.-", Some(0), Some("k")));
            assert_eq!(doc, r#"{"a": [1, "}"]}"#, "the client's own bytes");
        }
        other => panic!("{other:?}"),
    }
    let join = parse(r#"{"t":"join","id":0,"room":"r","kind":null,"since":{"epoch":"e","offset":9}}"#);
    match join.expect("valid").command {
        Command::Join { since: Some(since), .. } => {
            assert_eq!((since.epoch.as_str(), since.offset), ("e", 9))
        }
        other => panic!("{other:?}"),
    }
    assert!(matches!(parse(r#"{"t":"ping"}"#), Ok(Request { id: None, command: Command::Ping })));
}

fn value(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{text}: {error}"))
}

#[test]
fn every_frame_out_is_json_with_what_the_table_says() {
    let position = Position { epoch: "e1".to_owned(), offset: 7 };
    let event = |offset| crate::store::Event { offset, payload: format!(r#"{{"offset":{offset}}}"#) };
    let whole = Snapshot {
        position: position.clone(),
        version: 5,
        kind: "doc".to_owned(),
        doc: Some(r#"{"a":1}"#.to_owned()),
        recovered: false,
        events: Vec::new(),
    };
    let recovered =
        Snapshot { doc: None, recovered: true, events: vec![event(6), event(7)], ..whole.clone() };

    let greeting = Greeting {
        conn: "c",
        user: "u",
        server: "a\"b",
        ping_ms: 25_000,
        max_bytes: 65_536,
        guest_token: Some("g1.x"),
    };
    let hello = value(&hello_reply(Some(1), &greeting));
    assert_eq!((&hello["ok"]["server"], &hello["ok"]["guest_token"]), (&"a\"b".into(), &"g1.x".into()));
    assert_eq!((&hello["ok"]["proto"], &hello["ok"]["ping_ms"]), (&1.into(), &25_000.into()));
    let known = value(&hello_reply(Some(1), &Greeting { guest_token: None, ..greeting }));
    assert!(known["ok"].get("guest_token").is_none());

    let join = value(&join_reply(Some(2), &whole, None, "c", "u"));
    assert_eq!((&join["ok"]["doc"]["a"], &join["ok"]["recovered"]), (&1.into(), &false.into()));
    assert_eq!(join["ok"]["events"], Value::Array(Vec::new()));
    assert!(join["ok"].get("members").is_none());
    let fields = member_fields("c", "u", "s\"", Some(r#"{"n":1}"#));
    let members = Members { rev: 4, count: 1, listed: vec![format!("{{{fields}}}")], ..Members::default() };
    let join = value(&join_reply(Some(2), &recovered, Some(&members), "c", "u"));
    assert_eq!(join["ok"]["events"][1]["offset"], 7);
    assert!(join["ok"].get("doc").is_none());
    let member = &join["ok"]["members"][0];
    assert_eq!((&member["server"], &member["info"]["n"]), (&"s\"".into(), &1.into()));
    assert_eq!(value(&members_reply(Some(3), &members))["ok"]["rev"], 4);
    let push = value(&format!("{}join\",{fields},\"rev\":5}}", member_head("r")));
    assert_eq!((&push["t"], &push["ev"], &push["rev"]), (&"member".into(), &"join".into(), &5.into()));

    assert_eq!(
        value(&doc_reply(Some(3), &Snapshot { doc: None, ..whole.clone() }))["ok"]["doc"],
        Value::Null
    );
    let recent = Recent { position: position.clone(), payloads: vec!["{}".to_owned(), "1".to_owned()] };
    assert_eq!(value(&history_reply(Some(4), &recent))["ok"]["events"][1], 1);
    let write = value(&write_reply(Some(5), &position, true, true));
    assert_eq!((&write["ok"]["version"], &write["ok"]["repeated"]), (&7.into(), &true.into()));
    assert!(value(&write_reply(Some(5), &position, false, false))["ok"].get("version").is_none());
    assert_eq!(value(&empty_reply(Some(6)))["id"], 6);
    assert_eq!(value(&pong_reply(Some(6)))["id"], 6);
    assert_eq!(value(&pong_reply(None))["t"], "pong");
    assert_eq!(value(&reset_push("r", "epoch", &whole, Some(&members)))["doc"]["a"], 1);
    assert_eq!(value(&kicked_push("r", "closed"))["code"], "closed");
    assert_eq!(value(&drain_push(10, 20))["retry_ms"], 20);
    for push in [DEGRADED, RESTORED, PING] {
        assert!(value(push)["t"].is_string());
    }

    let set = set_write("r", Kind::Doc, "u", "[1]", None, Some("k"));
    let state = value(&set.payload(&position));
    assert_eq!((&state["t"], &state["version"], &state["doc"][0]), (&"state".into(), &7.into(), &1.into()));
    assert_eq!(set.idempotency.as_deref(), Some("u:k"));
    let message = value(&pub_write("r", "u", "\"x\"", None).payload(&position));
    assert_eq!(
        (&message["t"], &message["offset"], &message["data"]),
        (&"msg".into(), &7.into(), &"x".into())
    );
    assert!(message["ts"].as_u64().is_some_and(|ts| ts > 1_700_000_000_000));
}

#[test]
fn every_fault_has_its_row() {
    let faults = [
        Fault::bad("a \"quoted\" reason"),
        Fault::Unauthorized("no"),
        Fault::TokenExpired,
        Fault::Forbidden("no".into()),
        Fault::NotJoined,
        Fault::AlreadyJoined,
        Fault::NotFound("gone"),
        Fault::Conflict { version: 4, doc: Some(r#"{"a":1}"#.to_owned()) },
        Fault::Rejected(Reject::Misfit(Misfit::TestFailed)),
        Fault::TooLarge(9),
        Fault::RateLimited(25),
        Fault::LimitExceeded("32".into()),
        Fault::Unavailable,
        Fault::UnknownOutcome,
        Fault::Internal,
    ];
    assert_eq!(faults.len(), ERRORS.len());
    for (fault, row) in faults.iter().zip(&ERRORS) {
        let reply = value(&fault_reply(None, fault));
        assert_eq!(reply["id"], Value::Null);
        let err = reply["err"].as_object().expect("an object");
        assert_eq!((&err["code"], &err["temporary"]), (&row.code.into(), &row.temporary.into()));
        assert!(err["msg"].as_str().is_some_and(|msg| !msg.is_empty()));
        let extra: Vec<&str> = err.keys().map(String::as_str).skip(3).collect();
        assert_eq!(extra.join(", "), row.extra, "{}", row.code);
    }
    let foul = value(&fault_reply(Some(1), &Fault::Rejected(Reject::Foul(Foul::CellTaken))));
    assert_eq!(foul["err"]["reason"], "cell_taken");
    let unset = value(&fault_reply(Some(1), &Fault::Conflict { version: 0, doc: None }));
    assert_eq!(unset["err"]["doc"], Value::Null);
}

#[test]
fn close_codes_tell_whether_to_come_back() {
    for close in Close::ALL {
        let next = close.next();
        let expected = match close.code() {
            4002 => "with a new token",
            0..4100 => "do not connect again",
            4100..4200 => "with back-off",
            _ => "at once",
        };
        assert!(next.contains(expected), "{close:?}: {next}");
        assert!(close.reason().len() <= 123, "a close frame holds no more");
    }
    assert!(Close::ALL.is_sorted_by_key(|close| close.code()), "each once, in order");
}

#[test]
fn the_table_has_every_command_once_with_an_example_that_is_one() {
    for row in &table::COMMANDS {
        let request = parse(row.example).unwrap_or_else(|refusal| panic!("{}: {refusal:?}", row.example));
        assert_eq!(request.command.name(), row.name);
        let example = value(row.example);
        for name in example.as_object().expect("an object").keys().filter(|name| *name != "t") {
            let known = row.fields.iter().any(|field| field.split([' ', '?']).any(|word| word == name));
            assert!(known, "{}: {name} is not in the table", row.name);
        }
    }
    let unknown = refusal(r#"{"t":"fly","id":3}"#);
    assert!(matches!(unknown, Refusal::Fault(Some(3), Fault::BadRequest(_))));
    let mut names: Vec<&str> = table::COMMANDS.iter().map(|row| row.name).collect();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), table::COMMANDS.len());
}

#[test]
fn the_page_of_the_protocol_is_the_table() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/protocol.md");
    let found = std::fs::read_to_string(path).expect("docs/protocol.md");
    assert!(
        found == table::page(),
        "docs/protocol.md is not what the table says; write it anew: cargo run -p server -- protocol > docs/protocol.md"
    );
}

proptest::proptest! {
    #[test]
    fn no_text_breaks_the_reader(text in ".{0,200}") {
        let _ = parse(&text);
    }

    #[test]
    fn whatever_is_in_the_fields_the_answer_is_json(
        t in "(hello|join|set|patch|act|pub|cast|get|here|leave|ping|x)",
        field in "(id|room|kind|since|presence|info|doc|merge|ops|action|data|if_version|key|what|limit|token)",
        raw in r#"("[a-z\\"\u{0}-\u{ff}]{0,8}"|-?[0-9]{1,20}(\.[0-9])?|null|true|\[[0-9,]{0,6}\]|\{"a":[0-9]\})"#,
    ) {
        let text = format!(r#"{{"t":"{t}","id":1,"room":"r","{field}":{raw}}}"#);
        if let Err(Refusal::Fault(id, fault)) = parse(&text) {
            value(&fault_reply(id, &fault));
        }
    }

    #[test]
    fn the_depth_is_what_the_reader_of_json_sees(depth in 1_usize..100) {
        let text = format!(r#"{{"t":"pub","id":3,"room":"r","data":{}1{}}}"#, "[".repeat(depth), "]".repeat(depth));
        proptest::prop_assert_eq!(parse(&text).is_ok(), depth < DEPTH);
    }
}
