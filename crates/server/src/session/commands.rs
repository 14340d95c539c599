//! What a session does with each command.

use super::Session;
use super::outbox::Frame;
use crate::auth::{self, Identity};
use crate::hub::Wish;
use crate::kinds::Kind;
use crate::presence::Shown;
use crate::protocol::outbound::{
    self, DEGRADED, Greeting, doc_reply, empty_reply, fault_reply, hello_reply, history_reply, join_reply,
    member_fields, members_reply, pong_reply, write_reply,
};
use crate::protocol::{Close, Command, Fault};
use crate::store::{Position, Read, Recent};
use crate::writes;

/// The most bytes of events in one reply.
const REPLY_BYTES: usize = 512 * 1024;
/// The most characters of a client's own name that are logged.
const CLIENT_NAME: usize = 64;

impl Session {
    /// Carries out a command, and replies to it unless it fails.
    pub(super) async fn carry_out(&mut self, id: Option<u32>, command: Command<'_>) -> Result<(), Fault> {
        match command {
            Command::Hello { token, resume, client } => self.hello(id, token, resume, client).await?,
            Command::Join { room, kind, since, presence, info } => {
                self.join(id, room, kind, since, presence.then_some(info)).await?;
            }
            Command::Leave { room } => {
                self.rooms.remove(room).ok_or(Fault::NotJoined)?;
                self.app.hub.leave(room, self.number).await;
                self.push(empty_reply(id));
            }
            Command::Set { room, doc, if_version, key } => {
                let kind = self.may_write(room)?;
                writes::must_fit(doc, self.app.config.limits.doc_bytes)?;
                if kind != Kind::Doc {
                    return Err(only_actions(kind));
                }
                let write = outbound::set_write(room, kind, &self.user, doc, if_version, key);
                let done = writes::commit(&self.app, room, write).await?;
                self.push(write_reply(id, &done.position, true, done.repeated));
            }
            Command::Patch { room, patch, if_version, key } => {
                let kind = self.may_write(room)?;
                if kind != Kind::Doc {
                    return Err(only_actions(kind));
                }
                let done = writes::patch(&self.app, room, &self.user, patch, if_version, key).await?;
                self.push(write_reply(id, &done.position, true, done.repeated));
            }
            Command::Act { room, action, key } => {
                let kind = self.may_write(room)?;
                let done = writes::act(&self.app, room, kind, &self.user, action, key).await?;
                self.push(write_reply(id, &done.position, true, done.repeated));
            }
            Command::Pub { room, data, key } => {
                self.may_publish(room)?;
                let done =
                    writes::commit(&self.app, room, outbound::pub_write(room, &self.user, data, key)).await?;
                self.push(write_reply(id, &done.position, false, done.repeated));
            }
            Command::Cast { room, data } => {
                self.may_publish(room)?;
                let frame = outbound::cast_push(room, &self.user, data);
                if let Err(error) = self.app.store.cast(room, frame).await {
                    // Nobody was promised that it arrives.
                    tracing::debug!(conn = self.connection.conn, room, error = %error, "cast lost");
                }
            }
            Command::GetDoc { room } => {
                let kind = self.must_be_in(room)?;
                let read = Read { since: None, max_events: 0, max_bytes: 0, part: false, doc: true, kind };
                let snapshot = self.app.store.read(room, read).await?;
                self.push(doc_reply(id, &snapshot));
            }
            Command::GetHistory { room, since, limit } => self.history(id, room, since, limit).await?,
            Command::GetMembers { room } => {
                self.must_be_in(room)?;
                let members = self.app.hub.members_of(room).await?;
                self.push(members_reply(id, &members));
            }
            Command::Here { room, info } => {
                self.must_be_in(room)?;
                let shown = self.shown(Some(info))?;
                let members = self.app.hub.show(room, self.number, shown).await?;
                self.push(members_reply(id, &members));
            }
            Command::Ping => self.push(pong_reply(id)),
            Command::Pong => {}
        }
        Ok(())
    }

    async fn hello(
        &mut self,
        id: Option<u32>,
        token: Option<String>,
        resume: Option<String>,
        client: Option<String>,
    ) -> Result<(), Fault> {
        if self.greeted {
            return Err(Fault::bad("hello was said already"));
        }
        let (identity, guest_token) = match self.identify(token, resume).await {
            Ok(found) => found,
            Err((fault, close)) => {
                self.push(fault_reply(id, &fault));
                self.connection.outbox.close(close);
                // The reply has been given.
                return Ok(());
            }
        };
        let Some(place) = self.app.users.take(&identity.user) else {
            let most = self.app.config.limits.user_connections;
            let fault = Fault::LimitExceeded(format!("a user may have {most} connections here").into());
            self.push(fault_reply(id, &fault));
            self.connection.outbox.close(Close::TooManyOfUser);
            return Ok(());
        };
        self.user_place = Some(place);
        self.greeted = true;
        self.user = identity.user;
        self.rights = identity.rights;
        self.expires = identity.expires.map(super::instant_of);
        self.connection.set_user(&self.user);
        let client = client.map(|name| name.chars().take(CLIENT_NAME).collect::<String>());
        tracing::debug!(conn = self.connection.conn, user = self.user, client, "hello");
        let config = &self.app.config;
        self.push(hello_reply(
            id,
            &Greeting {
                conn: &self.connection.conn,
                user: &self.user,
                server: &config.server_id,
                ping_ms: config.timing.ping.as_millis(),
                max_bytes: config.limits.frame_bytes,
                guest_token: guest_token.as_deref(),
            },
        ));
        if self.app.hub.degraded() {
            self.connection.outbox.push(DEGRADED.into());
        }
        Ok(())
    }

    /// Who the client is; a guest also gets what makes it the same one again.
    async fn identify(
        &mut self,
        token: Option<String>,
        resume: Option<String>,
    ) -> Result<(Identity, Option<String>), (Fault, Close)> {
        let refused = |reason| (Fault::Unauthorized(reason), Close::Unauthorized);
        match (&self.app.config.auth_secret, token) {
            (Some(secret), Some(token)) => auth::verify(secret.reveal(), &token, super::now())
                .map(|identity| (identity, None))
                .map_err(auth::AuthError::answer),
            (Some(_), None) => match self.identity.take() {
                Some(identity) => Ok((identity, None)),
                None => Err(refused("a token is needed")),
            },
            (None, Some(_)) => Err(refused("this server takes no tokens: it has no AUTH_SECRET")),
            (None, None) => {
                let secret = self.app.guest_secret().await;
                let secret = secret.as_deref();
                let back = resume.and_then(|token| auth::guest_of(secret?, &token));
                let user = back.unwrap_or_else(auth::guest_name);
                let token = secret.and_then(|secret| auth::guest_token(secret, &user));
                Ok((Identity { user, expires: None, rights: auth::Rights::default() }, token))
            }
        }
    }

    async fn join(
        &mut self,
        id: Option<u32>,
        room: &str,
        kind: Option<Kind>,
        since: Option<Position>,
        presence: Option<Option<&str>>,
    ) -> Result<(), Fault> {
        if self.rooms.contains_key(room) {
            return Err(Fault::AlreadyJoined);
        }
        if !self.rights.read || !self.rights.room(room) {
            return Err(Fault::Forbidden("the token does not allow this room".into()));
        }
        let most = self.app.config.limits.rooms;
        if self.rooms.len() >= most {
            return Err(Fault::LimitExceeded(format!("a connection may be in {most} rooms").into()));
        }
        let shown = presence.map(|info| self.shown(info)).transpose()?;
        let (conn, user) = (&self.connection.conn, &self.user);
        let reply =
            |snapshot: &_, members: Option<&_>| Frame::from(join_reply(id, snapshot, members, conn, user));
        let wish = Wish { kind, since, shown };
        let kind = self.app.hub.join(room, self.number, &self.connection, wish, reply).await?;
        self.rooms.insert(room.to_owned(), kind);
        Ok(())
    }

    fn shown(&self, info: Option<&str>) -> Result<Shown, Fault> {
        let most = self.app.config.limits.info_bytes;
        if info.is_some_and(|info| info.len() > most) {
            return Err(Fault::bad(format!("info may have {most} bytes")));
        }
        let conn = self.connection.conn.clone();
        let fields = member_fields(&conn, &self.user, &self.app.config.server_id, info);
        Ok(Shown { conn, fields })
    }

    async fn history(
        &self,
        id: Option<u32>,
        room: &str,
        since: Option<Position>,
        limit: usize,
    ) -> Result<(), Fault> {
        let kind = self.must_be_in(room)?;
        let recent = match since {
            None => self.app.store.recent(room, limit, REPLY_BYTES).await?,
            Some(since) => {
                let read = Read {
                    since: Some(since),
                    max_events: limit,
                    max_bytes: REPLY_BYTES,
                    part: true,
                    doc: false,
                    kind,
                };
                let snapshot = self.app.store.read(room, read).await?;
                if !snapshot.recovered {
                    return Err(Fault::NotFound("the history since then is gone"));
                }
                let payloads = snapshot.events.into_iter().map(|event| event.payload).collect();
                Recent { position: snapshot.position, payloads }
            }
        };
        self.push(history_reply(id, &recent));
        Ok(())
    }

    fn must_be_in(&self, room: &str) -> Result<Kind, Fault> {
        self.rooms.get(room).copied().ok_or(Fault::NotJoined)
    }

    fn may_write(&self, room: &str) -> Result<Kind, Fault> {
        let kind = self.must_be_in(room)?;
        let refused = || Fault::Forbidden("the token does not allow to write".into());
        self.rights.write.then_some(kind).ok_or_else(refused)
    }

    fn may_publish(&self, room: &str) -> Result<(), Fault> {
        self.must_be_in(room)?;
        let refused = || Fault::Forbidden("the token does not allow to publish".into());
        self.rights.publish.then_some(()).ok_or_else(refused)
    }
}

fn only_actions(kind: Kind) -> Fault {
    Fault::Forbidden(format!("rooms of the kind \"{}\" change by actions only", kind.name()).into())
}
