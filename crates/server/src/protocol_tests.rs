use super::*;

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

    let hello = value(&hello_reply(Some(1), "c", "u", "a\"b", 25_000, 65_536));
    assert_eq!(hello["ok"]["server"], "a\"b");
    assert_eq!((&hello["ok"]["proto"], &hello["ok"]["ping_ms"]), (&1.into(), &25_000.into()));

    let join = value(&join_reply(Some(2), &whole, "c", "u"));
    assert_eq!((&join["ok"]["doc"]["a"], &join["ok"]["recovered"]), (&1.into(), &false.into()));
    assert_eq!(join["ok"]["events"], Value::Array(Vec::new()));
    let join = value(&join_reply(Some(2), &recovered, "c", "u"));
    assert_eq!(join["ok"]["events"][1]["offset"], 7);
    assert!(join["ok"].get("doc").is_none());

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
    assert_eq!(value(&reset_push("r", "epoch", &whole))["doc"]["a"], 1);
    assert_eq!(value(&drain_push(10, 20))["retry_ms"], 20);
    for push in [DEGRADED, RESTORED, PING] {
        assert!(value(push)["t"].is_string());
    }

    let set = set_write("r", "u", "[1]", None, Some("k"));
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
fn every_fault_has_its_code_and_says_whether_to_try_again() {
    for (fault, code, temporary) in [
        (Fault::BadRequest("a \"quoted\" reason".into()), "bad_request", false),
        (Fault::NotJoined, "not_joined", false),
        (Fault::AlreadyJoined, "already_joined", false),
        (Fault::NotFound("gone"), "not_found", false),
        (Fault::Conflict { version: 4, doc: Some("{}".to_owned()) }, "conflict", false),
        (Fault::Conflict { version: 0, doc: None }, "conflict", false),
        (Fault::TooLarge(9), "too_large", false),
        (Fault::RateLimited(25), "rate_limited", true),
        (Fault::LimitExceeded(32), "limit_exceeded", false),
        (Fault::Unavailable, "unavailable", true),
        (Fault::UnknownOutcome, "unknown_outcome", true),
        (Fault::Internal, "internal", false),
    ] {
        let reply = value(&fault_reply(None, &fault));
        assert_eq!(reply["id"], Value::Null);
        assert_eq!((&reply["err"]["code"], &reply["err"]["temporary"]), (&code.into(), &temporary.into()));
        assert!(reply["err"]["msg"].as_str().is_some_and(|msg| !msg.is_empty()));
    }
    let conflict = Fault::Conflict { version: 4, doc: Some(r#"{"a":1}"#.to_owned()) };
    let reply = value(&fault_reply(Some(1), &conflict));
    assert_eq!((&reply["err"]["version"], &reply["err"]["doc"]["a"]), (&4.into(), &1.into()));
    assert_eq!(value(&fault_reply(Some(1), &Fault::RateLimited(25)))["err"]["retry_ms"], 25);
}

#[test]
fn close_codes_tell_whether_to_come_back() {
    for close in [Close::BadProtocol, Close::NoHello] {
        assert!((4000..4100).contains(&close.code()), "{close:?}");
    }
    for close in [Close::NoPong, Close::Slow, Close::RateAbuse] {
        assert!((4100..4200).contains(&close.code()), "{close:?}");
    }
    assert_eq!(Close::Draining.code(), 4200);
    for close in [Close::Rfc, Close::BadText, Close::TooBig, Close::BadProtocol, Close::Draining] {
        assert!(close.reason().len() <= 123, "a close frame holds no more");
    }
}
