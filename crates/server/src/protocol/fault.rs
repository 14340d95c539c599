//! Why a command fails.

use std::borrow::Cow;
use std::fmt::Write as _;

use super::quote;
use crate::kinds::Reject;
use crate::store::StoreError;

/// One row of the table of errors.
#[derive(Debug)]
pub struct ErrorRow {
    /// The `code` of the error reply.
    pub code: &'static str,
    /// Whether the same command may succeed later.
    pub temporary: bool,
    /// Fields besides `code`, `msg` and `temporary`.
    pub extra: &'static str,
    /// What has happened.
    pub meaning: &'static str,
    /// The status where an HTTP route answers with it.
    pub status: u16,
}

const fn row(
    code: &'static str,
    status: u16,
    temporary: bool,
    extra: &'static str,
    meaning: &'static str,
) -> ErrorRow {
    ErrorRow { code, temporary, extra, meaning, status }
}

/// Every error, in the order of [`Fault`].
pub const ERRORS: [ErrorRow; 15] = [
    row("bad_request", 400, false, "", "the command is malformed"),
    row("unauthorized", 401, false, "", "no valid token; the connection is closed with 4001"),
    row("token_expired", 401, false, "", "the token has expired; the connection is closed with 4002"),
    row("forbidden", 403, false, "", "the token, or the kind of the room, does not allow it"),
    row("not_joined", 409, false, "", "the connection is not in the room"),
    row("already_joined", 409, false, "", "the connection is in the room already"),
    row("not_found", 404, false, "", "what was asked for is not there (any more)"),
    row("conflict", 409, false, "version, doc", "the document has another version than `if_version`"),
    row("rejected", 409, false, "reason", "the patch or the action does not fit the document"),
    row("too_large", 413, false, "", "the document would be longer than is allowed"),
    row("rate_limited", 429, true, "retry_ms", "too many commands; the next one may come after `retry_ms`"),
    row("limit_exceeded", 429, false, "", "there are as many rooms or connections as are allowed"),
    row("unavailable", 503, true, "", "rooms cannot be reached; the command was not carried out"),
    row("unknown_outcome", 504, true, "", "no answer in time; try again with the same `key`"),
    row("internal", 500, false, "", "a fault of the server"),
];

/// Why a command failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The command is malformed.
    BadRequest(Cow<'static, str>),
    /// No token where one is needed, or one that is not valid.
    Unauthorized(&'static str),
    /// The token has expired.
    TokenExpired,
    /// The token, or the kind of the room, does not allow it.
    Forbidden(Cow<'static, str>),
    /// The connection is not in the room.
    NotJoined,
    /// The connection is in the room already.
    AlreadyJoined,
    /// What was asked for is not there (any more).
    NotFound(&'static str),
    /// The document has another version than `if_version`.
    Conflict {
        /// Its version.
        version: u64,
        /// Its JSON text, if it was ever set.
        doc: Option<String>,
    },
    /// The patch or the action does not fit the document.
    Rejected(Reject),
    /// The document is longer than this many bytes.
    TooLarge(usize),
    /// Too many commands; the next one may come after so many milliseconds.
    RateLimited(u64),
    /// There are as many as are allowed.
    LimitExceeded(Cow<'static, str>),
    /// The store cannot be reached; the command was not carried out.
    Unavailable,
    /// The store did not answer; try again with the same `key`.
    UnknownOutcome,
    /// A fault of the server.
    Internal,
}

impl From<StoreError> for Fault {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Unavailable(_) => Self::Unavailable,
            StoreError::UnknownOutcome => Self::UnknownOutcome,
            StoreError::Broken(_) => Self::Internal,
        }
    }
}

impl Fault {
    /// A malformed command.
    pub(crate) fn bad(reason: impl Into<Cow<'static, str>>) -> Self {
        Self::BadRequest(reason.into())
    }

    /// Its row of the table.
    #[must_use]
    pub fn row(&self) -> &'static ErrorRow {
        let index = match self {
            Self::BadRequest(_) => 0,
            Self::Unauthorized(_) => 1,
            Self::TokenExpired => 2,
            Self::Forbidden(_) => 3,
            Self::NotJoined => 4,
            Self::AlreadyJoined => 5,
            Self::NotFound(_) => 6,
            Self::Conflict { .. } => 7,
            Self::Rejected(_) => 8,
            Self::TooLarge(_) => 9,
            Self::RateLimited(_) => 10,
            Self::LimitExceeded(_) => 11,
            Self::Unavailable => 12,
            Self::UnknownOutcome => 13,
            Self::Internal => 14,
        };
        &ERRORS[index]
    }

    /// The `code` of the error reply.
    #[must_use]
    pub fn code(&self) -> &'static str {
        self.row().code
    }

    fn msg(&self) -> Cow<'static, str> {
        match self {
            Self::BadRequest(reason) | Self::Forbidden(reason) | Self::LimitExceeded(reason) => {
                reason.clone()
            }
            Self::Unauthorized(reason) | Self::NotFound(reason) => (*reason).into(),
            Self::TokenExpired => "the token has expired: get a new one".into(),
            Self::NotJoined => "join the room first".into(),
            Self::AlreadyJoined => "this connection is in the room already".into(),
            Self::Conflict { version, .. } => format!("the document has version {version}").into(),
            Self::Rejected(reject) => reject.msg().into(),
            Self::TooLarge(most) => format!("a document may have {most} bytes").into(),
            Self::RateLimited(_) => "too many commands".into(),
            Self::Unavailable => "rooms cannot be reached now, nothing was changed".into(),
            Self::UnknownOutcome => {
                "no answer in time, the write may have happened: try again with the same key".into()
            }
            Self::Internal => "a fault of the server".into(),
        }
    }

    /// The value of `err` in a reply, one JSON object.
    #[must_use]
    pub fn json(&self) -> String {
        let row = self.row();
        let mut text =
            format!(r#"{{"code":"{}","msg":{},"temporary":{}"#, row.code, quote(&self.msg()), row.temporary);
        // Writing to a string cannot fail.
        let _ = match self {
            Self::RateLimited(retry_ms) => write!(text, r#","retry_ms":{retry_ms}"#),
            Self::Conflict { version, doc } => {
                write!(text, r#","version":{version},"doc":{}"#, doc.as_deref().unwrap_or("null"))
            }
            Self::Rejected(reject) => write!(text, r#","reason":"{}""#, reject.reason()),
            _ => Ok(()),
        };
        text.push('}');
        text
    }
}
