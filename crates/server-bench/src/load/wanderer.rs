//! A client that is sent away, comes back elsewhere, and counts what it is told.

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;

use super::dialect::{Dialect, greeted, replied};
use super::wire::{Heard, Wire};

/// Where a number or a text stands in a frame; reading all of it as JSON would
/// cost more than the server does.
pub(crate) fn number_after(text: &[u8], name: &str) -> Option<u64> {
    let at = memchr::memmem::find(text, name.as_bytes())? + name.len();
    let digits = text[at..].iter().take_while(|byte| byte.is_ascii_digit()).count();
    std::str::from_utf8(&text[at..at + digits]).ok()?.parse().ok()
}

/// A client in one room.
pub(crate) struct Wanderer {
    wire: Wire,
    room: String,
    epoch: String,
    /// The last event that it was told.
    pub(crate) offset: u64,
    /// How many it was told.
    pub(crate) told: u64,
}

/// What a client heard.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum News {
    /// An event.
    Event,
    /// Something else.
    Other,
    /// The end, with its code.
    SentAway(Option<u16>),
}

impl Wanderer {
    /// Comes to a room for the first time.
    pub(crate) async fn arrive(port: u16, room: &str) -> Result<Self> {
        let mut wire = greeted(port).await?;
        let joined = reply(super::dialect::join(&mut wire, room).await?)?;
        let (epoch, offset) = place(&joined)?;
        Ok(Self { wire, room: room.to_owned(), epoch, offset, told: 0 })
    }

    /// Comes back, here or there, and is told what it missed.
    pub(crate) async fn return_to(&mut self, port: u16) -> Result<()> {
        let mut wire = greeted(port).await?;
        let (room, epoch, offset) = (&self.room, &self.epoch, self.offset);
        let since = format!(r#"{{"epoch":"{epoch}","offset":{offset}}}"#);
        wire.send(format!(r#"{{"t":"join","id":1,"room":"{room}","since":{since}}}"#).as_bytes()).await?;
        let joined = reply(replied(&mut wire, 1).await?)?;
        ensure!(joined["recovered"] == true, "{room} was not recovered from {offset}");
        for event in joined["events"].as_array().into_iter().flatten() {
            self.note(event["offset"].as_u64().context("an event without an offset")?)?;
        }
        let (epoch, offset) = place(&joined)?;
        ensure!(
            epoch == self.epoch && offset == self.offset,
            "recovered to {}, not to {offset}",
            self.offset
        );
        self.wire = wire;
        Ok(())
    }

    fn note(&mut self, offset: u64) -> Result<()> {
        ensure!(offset == self.offset + 1, "after {} comes {offset} in {}", self.offset, self.room);
        self.offset = offset;
        self.told += 1;
        Ok(())
    }

    /// Sends a frame.
    pub(crate) async fn send(&mut self, text: &str) -> Result<()> {
        self.wire.send(text.as_bytes()).await
    }

    /// Waits for the next frame; `look` sees each that is neither an event nor the end.
    pub(crate) async fn hear(&mut self, look: &mut impl FnMut(&[u8])) -> Result<News> {
        loop {
            let (offset, asked) = match self.wire.next()? {
                Some(Heard::Close(code)) => return Ok(News::SentAway(code)),
                Some(Heard::Ping(payload)) => {
                    let payload = payload.to_vec();
                    self.wire.pong(&payload).await?;
                    return Ok(News::Other);
                }
                Some(Heard::Text(text)) if text.starts_with(b"{\"id\":") => {
                    look(text);
                    return Ok(News::Other);
                }
                Some(Heard::Text(text)) if text.starts_with(b"{\"t\":\"reset\"") => {
                    bail!("{} has lost its place", self.room);
                }
                Some(Heard::Text(text)) => (number_after(text, "\"offset\":"), Dialect::Rooms.asks(text)),
                None => {
                    self.wire.receive().await?;
                    continue;
                }
            };
            if asked {
                self.wire.send(Dialect::Rooms.sign_of_life()).await?;
            }
            return match offset {
                Some(offset) => self.note(offset).map(|()| News::Event),
                None => Ok(News::Other),
            };
        }
    }
}

fn reply(text: Vec<u8>) -> Result<Value> {
    let mut reply: Value = serde_json::from_slice(&text)?;
    Ok(reply["ok"].take())
}

fn place(joined: &Value) -> Result<(String, u64)> {
    let epoch = joined["epoch"].as_str().context("no epoch")?;
    Ok((epoch.to_owned(), joined["offset"].as_u64().context("no offset")?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_follows_its_name() {
        assert_eq!(number_after(br#"{"ok":{"version":42}}"#, "\"version\":"), Some(42));
        assert_eq!(number_after(b"{}", "\"version\":"), None);
    }
}
