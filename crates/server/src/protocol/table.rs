//! The protocol as a table, and the page that is written from it.

use std::fmt::Write as _;

use super::fault::ERRORS;
use super::{Close, HISTORY_LIMIT, SUBPROTOCOL};

/// A command of a client.
#[derive(Debug)]
pub struct CommandRow {
    /// The value of `t`.
    pub name: &'static str,
    /// Its fields; those that may be left out end in `?`.
    pub fields: &'static [&'static str],
    /// The fields of `ok` in the reply; empty and without a reply where `replies` is false.
    pub reply: &'static [&'static str],
    /// Whether there is a reply with `ok`.
    pub replies: bool,
    /// What it does.
    pub effect: &'static str,
    /// A frame that a client in the room `lobby` may send.
    pub example: &'static str,
}

/// Something that the server says unasked.
#[derive(Debug)]
pub struct PushRow {
    /// The value of `t`.
    pub name: &'static str,
    /// Its fields; those that may be left out end in `?`.
    pub fields: &'static [&'static str],
    /// What it tells.
    pub meaning: &'static str,
}

/// Every command.
pub const COMMANDS: [CommandRow; 12] = [
    CommandRow {
        name: "hello",
        fields: &["id", "token?", "resume?", "client?"],
        reply: &["conn", "user", "server", "ping_ms", "max_bytes", "proto", "guest_token?"],
        replies: true,
        effect: "The first frame. `token` is a JWT; without one, where none is needed, the client is a guest, \
            and the same one again if it gives its `guest_token` as `resume`. `client` is for the log.",
        example: r#"{"t":"hello","id":1}"#,
    },
    CommandRow {
        name: "join",
        fields: &["id", "room", "kind?", "since?", "presence?", "info?"],
        reply: &[
            "epoch",
            "offset",
            "version",
            "kind",
            "doc?",
            "recovered",
            "events",
            "rev?",
            "count?",
            "members?",
            "you",
        ],
        replies: true,
        effect: "Enters a room. `kind` (`doc` or `ttt`) is fixed when the room is made. With `since` \
            (`{epoch, offset}`) `recovered` tells whether `events` are all that was missed; if not, `doc` is \
            given. With `presence` the client is a member that others see, with `info`, and sees others.",
        example: r#"{"t":"join","id":2,"room":"lobby","presence":true,"info":{"name":"Ann"}}"#,
    },
    CommandRow {
        name: "set",
        fields: &["id", "room", "doc", "if_version?", "key?"],
        reply: &["epoch", "offset", "version", "repeated?"],
        replies: true,
        effect: "Replaces the document, if it has the version `if_version` (0: it was never set).",
        example: r#"{"t":"set","id":3,"room":"lobby","doc":{"open":true},"if_version":0}"#,
    },
    CommandRow {
        name: "patch",
        fields: &["id", "room", "merge? or ops?", "if_version?", "key?"],
        reply: &["epoch", "offset", "version", "repeated?"],
        replies: true,
        effect: "Changes the document by a merge patch (RFC 7396) or by operations (RFC 6902); without \
            `if_version` it is tried again on a document that has changed meanwhile.",
        example: r#"{"t":"patch","id":4,"room":"lobby","merge":{"topic":"tea"}}"#,
    },
    CommandRow {
        name: "act",
        fields: &["id", "room", "action", "key?"],
        reply: &["epoch", "offset", "version", "repeated?"],
        replies: true,
        effect: "Does something by the rules of the room's kind. In `ttt`: `{\"do\":\"sit\"}`, `stand`, \
            `again`, or `{\"do\":\"move\",\"cell\":0…8}`.",
        example: r#"{"t":"act","id":5,"room":"game","action":{"do":"sit"}}"#,
    },
    CommandRow {
        name: "pub",
        fields: &["id", "room", "data", "key?"],
        reply: &["epoch", "offset", "repeated?"],
        replies: true,
        effect: "Sends a message that has its place in the history.",
        example: r#"{"t":"pub","id":6,"room":"lobby","data":"hello all"}"#,
    },
    CommandRow {
        name: "cast",
        fields: &["room", "data"],
        reply: &[],
        replies: false,
        effect: "Sends something to whoever is there now; it may be lost, and nobody is told.",
        example: r#"{"t":"cast","room":"lobby","data":{"x":3,"y":4}}"#,
    },
    CommandRow {
        name: "get",
        fields: &["id", "room", "what", "since?", "limit?"],
        reply: &["epoch?", "offset?", "version?", "kind?", "doc?", "events?", "rev?", "count?", "members?"],
        replies: true,
        effect: "Reads. `what` is `doc`, `history` (the newest `limit` events, or those after `since`) or \
            `members`.",
        example: r#"{"t":"get","id":7,"room":"lobby","what":"doc"}"#,
    },
    CommandRow {
        name: "here",
        fields: &["id", "room", "info"],
        reply: &["rev", "count", "members"],
        replies: true,
        effect: "Changes what other members see of this client.",
        example: r#"{"t":"here","id":8,"room":"lobby","info":{"name":"Ann","typing":true}}"#,
    },
    CommandRow {
        name: "leave",
        fields: &["id", "room"],
        reply: &[],
        replies: true,
        effect: "Leaves a room.",
        example: r#"{"t":"leave","id":9,"room":"lobby"}"#,
    },
    CommandRow {
        name: "ping",
        fields: &["id?"],
        reply: &[],
        replies: false,
        effect: "Is answered by `{\"t\":\"pong\"}`, with the `id` if there was one.",
        example: r#"{"t":"ping"}"#,
    },
    CommandRow {
        name: "pong",
        fields: &[],
        reply: &[],
        replies: false,
        effect: "Answers the server's `ping`; any other frame does, too.",
        example: r#"{"t":"pong"}"#,
    },
];

/// Everything that the server says unasked.
pub const PUSHES: [PushRow; 11] = [
    PushRow {
        name: "state",
        fields: &["room", "epoch", "offset", "version", "by", "doc? or merge? or ops?"],
        meaning: "The document has changed: to `doc`, or by a patch where that is shorter.",
    },
    PushRow {
        name: "msg",
        fields: &["room", "epoch", "offset", "by", "data", "ts"],
        meaning: "A message; `ts` is in milliseconds since 1970.",
    },
    PushRow { name: "cast", fields: &["room", "by", "data"], meaning: "Something that is kept nowhere." },
    PushRow {
        name: "member",
        fields: &["room", "ev", "conn", "user", "server", "info", "rev"],
        meaning: "`ev` is `join`, `leave` or `info`. `rev` grows by one with each; where one is missing, \
            `get` the members.",
    },
    PushRow {
        name: "reset",
        fields: &[
            "room", "reason", "epoch", "offset", "version", "kind", "doc", "rev?", "count?", "members?",
        ],
        meaning: "The room starts anew for this client: its history does (`epoch`), or more is missing than \
            is kept (`trimmed`).",
    },
    PushRow {
        name: "kicked",
        fields: &["room", "code"],
        meaning: "The client is no longer in the room: `forbidden` to it, or `closed` for all.",
    },
    PushRow { name: "degraded", fields: &["reason"], meaning: "Rooms cannot be reached; writes fail." },
    PushRow {
        name: "restored",
        fields: &["reason"],
        meaning: "They can again, and whatever was missed has been sent.",
    },
    PushRow {
        name: "drain",
        fields: &["in_ms", "retry_ms"],
        meaning: "This connection will be closed with 4200 in `in_ms`; connect again `retry_ms` later.",
    },
    PushRow { name: "ping", fields: &[], meaning: "A quiet connection is asked for a sign of life." },
    PushRow { name: "pong", fields: &["id?"], meaning: "Answers `ping`." },
];

/// The HTTP side: route, what it needs, answer.
pub const ROUTES: [(&str, &str, &str); 10] = [
    ("GET /", "", "a page that shows two connections side by side"),
    (
        "GET /ws",
        "",
        "the upgrade to a WebSocket; 400 another subprotocol, 401 a bad token, 403 a page of another origin, 429 \
         too many connections at once, 503 draining, full or without its store",
    ),
    ("GET /healthz", "", "200 as long as the process serves; looks at nothing else"),
    ("GET /readyz", "", "200 if this instance takes connections, else 503 with the reasons"),
    ("GET /metrics", "", "metrics in the format of OpenMetrics"),
    ("GET /api/info", "", "`server_id`, `version`, `store`, `uptime_seconds`, `connections`"),
    ("GET /api/rooms/ROOM", "key", "the document, its position, and the members"),
    ("POST /api/publish", "key", "`{room, data, user?, key?}`: a message"),
    ("POST /api/act", "key", "`{room, user, action, kind?, key?}`: an action in the name of a user"),
    (
        "POST /api/disconnect",
        "key",
        "`{user?, conn?, room?, server?, fraction?, code?}`: ends connections on all instances with 4003 or \
         4201, or takes them out of `room`",
    ),
];

fn fields(fields: &[&str]) -> String {
    let fields: Vec<String> = fields.iter().map(|field| format!("`{field}`")).collect();
    fields.join(" ").replace("? or ", "?` or `")
}

/// `docs/protocol.md`.
#[must_use]
pub fn page() -> String {
    let mut page = format!(
        "# {SUBPROTOCOL}\n\nWritten from the table in `crates/server/src/protocol/table.rs`: `server protocol > docs/protocol.md`.\n\n\
One JSON object per text frame, on `/ws`, with the subprotocol `{SUBPROTOCOL}`. A command carries an `id` (0 to 4294967295) that \
exactly one reply repeats: `{{\"id\":1,\"ok\":{{…}}}}` or `{{\"id\":1,\"err\":{{…}}}}`. What the server says unasked has no `id`. \
Unknown fields are ignored. Names of rooms, keys and users are 1 to 64 of the characters `A-Z a-z 0-9 _ . : -`.\n\n\
**The promise.** Within one room and epoch a client that joined sees every offset once, in order, without a gap, or a `reset` that \
starts anew. An acknowledged write is seen by all of them, or its epoch ends and all are told. A client's own writes come back to it \
like everyone's; a reply may come before or after the push of the same write.\n\n\
**Coming back.** Remember the `epoch` and the `offset` of the last push of each room, and give them as `since`: on whichever instance, \
`events` is what was missed. Give a write a `key`, and repeat it with the same one after `unknown_outcome`: within five minutes it \
counts once.\n\n## Commands\n\n| `t` | fields | `ok` of the reply | |\n|---|---|---|---|\n"
    );
    // Writing to a string cannot fail.
    for row in &COMMANDS {
        let reply = match (row.replies, row.reply.is_empty()) {
            (false, _) => "no reply".to_owned(),
            (true, true) => "empty".to_owned(),
            (true, false) => fields(row.reply),
        };
        let _ = writeln!(page, "| `{}` | {} | {reply} | {} |", row.name, fields(row.fields), row.effect);
    }
    let _ = writeln!(page, "\n`limit` is 1 to {HISTORY_LIMIT}. Examples:\n\n```json");
    for row in &COMMANDS {
        let _ = writeln!(page, "{}", row.example);
    }
    page.push_str("```\n\n## Pushes\n\n| `t` | fields | |\n|---|---|---|\n");
    for row in &PUSHES {
        let _ = writeln!(page, "| `{}` | {} | {} |", row.name, fields(row.fields), row.meaning);
    }
    page.push_str(
        "\n## Errors\n\n`err` has `code`, `msg` (for people), `temporary`, and what the table says.\n\n\
         | `code` | temporary | also | meaning | HTTP |\n|---|---|---|---|---|\n",
    );
    for row in &ERRORS {
        let temporary = if row.temporary { "yes" } else { "" };
        let _ = writeln!(
            page,
            "| `{}` | {temporary} | {} | {} | {} |",
            row.code, row.extra, row.meaning, row.status
        );
    }
    page.push_str("\n## Close codes\n\n| code | meaning | next |\n|---|---|---|\n");
    for close in Close::ALL {
        let _ = writeln!(page, "| {} | {} | {} |", close.code(), close.reason(), close.next());
    }
    page.push_str(TOKENS);
    page.push_str("\n## HTTP\n\n| route | needs | answer |\n|---|---|---|\n");
    for (route, needs, answer) in ROUTES {
        let needs = if needs == "key" { "`Authorization: Bearer API_KEY`" } else { "" };
        let _ = writeln!(page, "| `{route}` | {needs} | {answer} |");
    }
    page.push_str("\nRoutes that need a key are off as long as `API_KEY` is not set.\n");
    page
}

const TOKENS: &str = "
## Tokens

With `AUTH_SECRET` every client needs a JWT, signed by HS256 and nothing else: in `hello`, or at the upgrade as `Authorization: Bearer …` \
or `?token=…`. Claims: `sub`, the user (a name as above); `exp`, after which the connection is closed with 4002; `nbf`, if it is not \
valid yet; `rooms`, patterns with `*` of the rooms that may be joined (all of them without it); `perm`, of the letters `r` (join and \
read), `w` (set, patch, act) and `p` (pub, cast), `rwp` without it. Without `AUTH_SECRET` everyone is a guest.
";
