//! Writes to rooms, whoever asks for them. What depends on the document is
//! computed here and committed only if the document is still the same; else it
//! is computed anew. There are no locks, and any instance can do it.

use std::time::Duration;

use tokio::time::sleep;

use crate::drain::chance;
use crate::http::App;
use crate::kinds::doc::{self, Bounds, Misfit, Patch};
use crate::kinds::{Kind, Reject, tictactoe};
use crate::protocol::{Fault, outbound};
use crate::store::{Outcome, Position, Read, StoreError, Write};

/// How often a reduction is tried on documents that change meanwhile.
const TRIES: u32 = 8;
/// The longest pause before the second try, at random; each further one is longer by the same.
const PAUSE: Duration = Duration::from_millis(4);
/// A version that no document ever has.
const NO_VERSION: u64 = (1 << 53) - 1;

/// A write that has its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Done {
    /// Where it stands.
    pub position: Position,
    /// Whether it was done before, under the same key.
    pub repeated: bool,
}

/// Refuses a document that is too long.
pub(crate) fn must_fit(doc: &str, most: usize) -> Result<(), Fault> {
    if doc.len() > most { Err(Fault::TooLarge(most)) } else { Ok(()) }
}

/// Commits a write as it is.
pub(crate) async fn commit(app: &App, room: &str, write: Write) -> Result<Done, Fault> {
    match app.store.commit(room, write).await {
        Ok(Outcome::Done { position, repeated }) => Ok(Done { position, repeated }),
        Ok(Outcome::Conflict { version, doc }) => {
            app.metrics.cas_conflicts.inc();
            Err(Fault::Conflict { version, doc })
        }
        Ok(Outcome::OtherKind(kind)) => {
            Err(Fault::Forbidden(format!("the room is of the kind \"{kind}\"").into()))
        }
        Err(error) => {
            if matches!(error, StoreError::Broken(_)) {
                tracing::error!(room, error = %error, "write failed");
            }
            Err(error.into())
        }
    }
}

/// Applies a patch to the present document.
pub(crate) async fn patch(
    app: &App,
    room: &str,
    by: &str,
    patch: Patch<'_>,
    if_version: Option<u64>,
    key: Option<&str>,
) -> Result<Done, Fault> {
    let limits = &app.config.limits;
    let bounds = Bounds { depth: limits.depth, bytes: limits.doc_bytes };
    let next = |doc: Option<&str>| {
        doc::apply(doc, patch, bounds).map_err(|misfit| match misfit {
            Misfit::TooLong => Fault::TooLarge(limits.doc_bytes),
            misfit => Fault::Rejected(Reject::Misfit(misfit)),
        })
    };
    let write = |doc, version| outbound::patch_write(room, by, doc, patch, version, key);
    reduce(app, room, Kind::Doc, if_version, key.is_some(), next, write).await
}

/// Does something by the rules of the room's kind.
pub(crate) async fn act(
    app: &App,
    room: &str,
    kind: Kind,
    by: &str,
    action: &str,
    key: Option<&str>,
) -> Result<Done, Fault> {
    if kind == Kind::Doc {
        return Err(Fault::Forbidden("rooms of the kind \"doc\" have no actions: set or patch".into()));
    }
    let next = |doc: Option<&str>| {
        tictactoe::reduce(doc, by, action).map_err(|foul| Fault::Rejected(Reject::Foul(foul)))
    };
    let write = |doc: String, version| outbound::set_write(room, kind, by, &doc, Some(version), key);
    reduce(app, room, kind, None, key.is_some(), next, write).await
}

async fn reduce(
    app: &App,
    room: &str,
    kind: Kind,
    if_version: Option<u64>,
    keyed: bool,
    next: impl Fn(Option<&str>) -> Result<String, Fault>,
    write: impl Fn(String, u64) -> Write,
) -> Result<Done, Fault> {
    let most = app.config.limits.doc_bytes;
    let read = Read { since: None, max_events: 0, max_bytes: 0, part: false, doc: true, kind };
    let snapshot = app.store.read(room, read).await?;
    let (mut version, mut doc) = (snapshot.version, snapshot.doc);
    for attempt in 1..=TRIES {
        let reduced = match if_version {
            Some(wanted) if wanted != version => {
                app.metrics.cas_conflicts.inc();
                Err(Fault::Conflict { version, doc: doc.clone() })
            }
            _ => next(doc.as_deref()).and_then(|next| must_fit(&next, most).map(|()| next)),
        };
        let fault = match reduced {
            Ok(text) => match app.store.commit(room, write(text, version)).await? {
                Outcome::Done { position, repeated } => return Ok(Done { position, repeated }),
                Outcome::Conflict { version: now, doc: text } => {
                    app.metrics.cas_retries.inc();
                    (version, doc) = (now, text);
                    sleep(PAUSE.mul_f64(chance() * f64::from(attempt))).await;
                    continue;
                }
                Outcome::OtherKind(kind) => {
                    Fault::Forbidden(format!("the room is of the kind \"{kind}\"").into())
                }
            },
            Err(fault) => fault,
        };
        // It may not fit because it was done before: the store knows by its key.
        if keyed
            && let Outcome::Done { position, .. } =
                app.store.commit(room, write("null".to_owned(), NO_VERSION)).await?
        {
            return Ok(Done { position, repeated: true });
        }
        return Err(fault);
    }
    Err(Fault::Unavailable)
}
