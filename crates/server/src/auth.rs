//! Who a client is: tokens of the application, and identities of guests.
//!
//! A token is a JWT signed by HS256. The algorithm is not the token's choice:
//! any other is refused before anything is computed.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
use hmac::{Hmac, KeyInit, Mac};
use serde::Deserialize;
use sha2::Sha256;

use crate::protocol::{Close, Fault, is_name};

/// The longest token that is looked at.
const MOST_BYTES: usize = 8 * 1024;
/// What a guest's identity begins with.
const GUEST: &str = "g1.";

/// Who a client is, and what it may do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// The user's name.
    pub user: String,
    /// When the token ends, in time since 1970.
    pub expires: Option<Duration>,
    /// What the user may do.
    pub rights: Rights,
}

/// What a user may do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rights {
    /// Patterns of the rooms; `None` are all.
    rooms: Option<Vec<String>>,
    /// Join and read.
    pub read: bool,
    /// Set, patch and act.
    pub write: bool,
    /// Publish and cast.
    pub publish: bool,
}

/// Why a token is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AuthError {
    /// It is not valid, for this reason.
    Invalid(&'static str),
    /// It has expired.
    Expired,
}

impl AuthError {
    /// The error reply, and the close code that follows.
    #[must_use]
    pub fn answer(self) -> (Fault, Close) {
        match self {
            Self::Invalid(reason) => (Fault::Unauthorized(reason), Close::Unauthorized),
            Self::Expired => (Fault::TokenExpired, Close::TokenExpired),
        }
    }
}

impl Default for Rights {
    fn default() -> Self {
        Self { rooms: None, read: true, write: true, publish: true }
    }
}

impl Rights {
    /// Whether this room may be joined.
    #[must_use]
    pub fn room(&self, room: &str) -> bool {
        self.rooms.as_ref().is_none_or(|rooms| rooms.iter().any(|pattern| fits(pattern, room)))
    }
}

/// Whether a name fits a pattern, in which `*` stands for any characters.
fn fits(pattern: &str, name: &str) -> bool {
    let mut parts = pattern.split('*');
    let Some(rest) = parts.next().and_then(|first| name.strip_prefix(first)) else { return false };
    let parts: Vec<&str> = parts.collect();
    let Some((last, middle)) = parts.split_last() else { return rest.is_empty() };
    let mut rest = rest;
    for part in middle {
        match rest.split_once(part) {
            Some((_, after)) => rest = after,
            None => return false,
        }
    }
    rest.ends_with(last)
}

#[derive(Deserialize)]
struct Header {
    alg: String,
}

#[derive(Deserialize)]
struct Claims {
    sub: String,
    exp: f64,
    nbf: Option<f64>,
    rooms: Option<Vec<String>>,
    perm: Option<String>,
}

fn mac(secret: &str, message: &str) -> Option<Hmac<Sha256>> {
    // A key of any length will do.
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).ok()?;
    mac.update(message.as_bytes());
    Some(mac)
}

/// Whether these are the same, in a time that does not tell where they differ.
#[must_use]
pub fn same(secret: &str, given: &str) -> bool {
    let (Some(expected), Some(found)) = (mac(secret, secret), mac(secret, given)) else { return false };
    expected.verify(&found.finalize().into_bytes()).is_ok()
}

/// Reads a token, `now` being the time since 1970.
///
/// # Errors
/// If it is no JWT, not signed by HS256 with this secret, not valid yet or not any more.
pub fn verify(secret: &str, token: &str, now: Duration) -> Result<Identity, AuthError> {
    let invalid = AuthError::Invalid;
    if token.len() > MOST_BYTES {
        return Err(invalid("the token is too long"));
    }
    let (signed, signature) = token.rsplit_once('.').ok_or(invalid("the token is no JWT"))?;
    let (header, claims) = signed.split_once('.').ok_or(invalid("the token is no JWT"))?;
    let decode = |text: &str| BASE64.decode(text).map_err(|_| invalid("the token is no JWT"));
    let header: Header =
        serde_json::from_slice(&decode(header)?).map_err(|_| invalid("the token is no JWT"))?;
    if header.alg != "HS256" {
        return Err(invalid("the token is not signed by HS256"));
    }
    let mac = mac(secret, signed).ok_or(invalid("the secret cannot be used"))?;
    mac.verify_slice(&decode(signature)?).map_err(|_| invalid("the token has another signature"))?;
    let claims: Claims = serde_json::from_slice(&decode(claims)?)
        .map_err(|_| invalid("the token needs sub, a name, and exp, a time"))?;
    if !is_name(&claims.sub) {
        return Err(invalid("sub must be 1 to 64 of the characters A-Z a-z 0-9 _ . : -"));
    }
    let now = now.as_secs_f64();
    if claims.exp <= now {
        return Err(AuthError::Expired);
    }
    if claims.nbf.is_some_and(|nbf| nbf > now) {
        return Err(invalid("the token is not valid yet"));
    }
    let perm = claims.perm.as_deref().unwrap_or("rwp");
    if !perm.chars().all(|letter| matches!(letter, 'r' | 'w' | 'p')) {
        return Err(invalid("perm is made of the letters r, w and p"));
    }
    Ok(Identity {
        user: claims.sub,
        expires: Duration::try_from_secs_f64(claims.exp).ok(),
        rights: Rights {
            rooms: claims.rooms,
            read: perm.contains('r'),
            write: perm.contains('w'),
            publish: perm.contains('p'),
        },
    })
}

/// A new guest's name.
#[must_use]
pub fn guest_name() -> String {
    let mut user = format!("guest-{}", uuid::Uuid::new_v4().simple());
    user.truncate(22);
    user
}

/// What makes a guest the same user again.
#[must_use]
pub fn guest_token(secret: &str, user: &str) -> Option<String> {
    let signed = format!("{GUEST}{user}");
    let signature = mac(secret, &signed)?.finalize().into_bytes();
    Some(format!("{signed}.{}", BASE64.encode(signature)))
}

/// The guest of a token that some instance has given.
#[must_use]
pub fn guest_of(secret: &str, token: &str) -> Option<String> {
    let (signed, signature) = token.rsplit_once('.').filter(|_| token.len() <= MOST_BYTES)?;
    let user = signed.strip_prefix(GUEST).filter(|user| user.starts_with("guest-") && is_name(user))?;
    mac(secret, signed)?.verify_slice(&BASE64.decode(signature).ok()?).ok()?;
    Some(user.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &str = "a secret of thirty-two bytes or so";
    const NOW: Duration = Duration::from_secs(1_000);

    fn token(header: &str, claims: &str, secret: &str) -> String {
        let signed = format!("{}.{}", BASE64.encode(header), BASE64.encode(claims));
        let signature = mac(secret, &signed).expect("a key").finalize().into_bytes();
        format!("{signed}.{}", BASE64.encode(signature))
    }

    fn hs256(claims: &str) -> Result<Identity, AuthError> {
        verify(SECRET, &token(r#"{"alg":"HS256","typ":"JWT"}"#, claims, SECRET), NOW)
    }

    #[test]
    fn the_example_of_rfc_7515_has_its_signature() {
        let key = BASE64
            .decode("AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow")
            .expect("base64");
        let signed = "eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ";
        let mut mac = Hmac::<Sha256>::new_from_slice(&key).expect("a key");
        mac.update(signed.as_bytes());
        let signature = BASE64.encode(mac.finalize().into_bytes());
        assert_eq!(signature, "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk");
    }

    #[test]
    fn a_token_says_who_and_what() {
        let identity = hs256(r#"{"sub":"ann","exp":1001}"#).expect("valid");
        assert_eq!((identity.user.as_str(), identity.expires), ("ann", Some(Duration::from_secs(1001))));
        assert_eq!(identity.rights, Rights::default());
        let claims = r#"{"sub":"ann","exp":1001.5,"nbf":999,"rooms":["team-*","lobby"],"perm":"rp"}"#;
        let rights = hs256(claims).expect("valid").rights;
        assert!(rights.read && rights.publish && !rights.write);
        assert!(rights.room("team-a") && rights.room("lobby") && !rights.room("lobby2"));
    }

    #[test]
    fn what_is_not_right_is_refused() {
        let claims = r#"{"sub":"ann","exp":1001}"#;
        for (header, secret) in [
            (r#"{"alg":"none"}"#, SECRET),
            (r#"{"alg":"HS512"}"#, SECRET),
            (r#"{"alg":"hs256"}"#, SECRET),
            (r#"{"typ":"JWT"}"#, SECRET),
            (r#"{"alg":"HS256"}"#, "another secret of thirty-two bytes"),
        ] {
            let found = verify(SECRET, &token(header, claims, secret), NOW);
            assert!(matches!(found, Err(AuthError::Invalid(_))), "{header}: {found:?}");
        }
        let unsigned = format!("{}.{}.", BASE64.encode(r#"{"alg":"none"}"#), BASE64.encode(claims));
        for text in ["", "a", "a.b", "a.b.c", ".", "..", unsigned.as_str(), &"x".repeat(10_000)] {
            assert!(matches!(verify(SECRET, text, NOW), Err(AuthError::Invalid(_))), "{text}");
        }
        for claims in [
            r#"{"exp":1001}"#,
            r#"{"sub":"ann"}"#,
            r#"{"sub":"a b","exp":1001}"#,
            r#"{"sub":"","exp":1001}"#,
            r#"{"sub":"ann","exp":"1001"}"#,
            r#"{"sub":"ann","exp":1001,"nbf":1001}"#,
            r#"{"sub":"ann","exp":1001,"perm":"admin"}"#,
        ] {
            assert!(matches!(hs256(claims), Err(AuthError::Invalid(_))), "{claims}");
        }
        assert_eq!(hs256(r#"{"sub":"ann","exp":1000}"#), Err(AuthError::Expired));
    }

    #[test]
    fn a_guest_comes_back_and_nobody_makes_one_up() {
        let user = guest_name();
        let token = guest_token(SECRET, &user).expect("a token");
        assert_eq!(guest_of(SECRET, &token), Some(user.clone()));
        assert_eq!(guest_of("another secret", &token), None);
        let other = token.replace(&user, "guest-0000000000000000");
        assert_eq!(guest_of(SECRET, &other), None);
        assert_eq!(guest_of(SECRET, &guest_token(SECRET, "ann").expect("a token")), None);
        assert!(same("key", "key") && !same("key", "kez") && !same("key", ""));
    }

    #[test]
    fn patterns_of_rooms() {
        for (pattern, name, wanted) in [
            ("*", "anything", true),
            ("a*", "a", true),
            ("a*b*c", "a1b2c", true),
            ("a*b*c", "a1c", false),
            ("a*b", "ab-b", true),
            ("ab*ba", "aba", false),
            ("*-x", "a-x", true),
            ("*-x", "a-xy", false),
            ("lobby", "lobby", true),
            ("", "a", false),
        ] {
            assert_eq!(fits(pattern, name), wanted, "{pattern} {name}");
        }
    }
}
