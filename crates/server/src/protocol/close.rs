//! Why the server closes a connection.

/// A close code. 4000 to 4099: do not reconnect; 4100 to 4199: reconnect with
/// back-off; 4200 to 4299: reconnect at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u16)]
pub enum Close {
    /// A breach of RFC 6455.
    Rfc = 1002,
    /// A text frame that is not UTF-8.
    BadText = 1007,
    /// A frame longer than `max_bytes`.
    TooBig = 1009,
    /// Not JSON, not an object, binary, or a first frame other than `hello`.
    BadProtocol = 4000,
    /// No token where one is needed, or one that is not valid.
    Unauthorized = 4001,
    /// The token has expired, at `hello` or since.
    TokenExpired = 4002,
    /// Sent away by the API.
    Forbidden = 4003,
    /// No `hello` in time.
    NoHello = 4004,
    /// The user has as many connections to this instance as it may.
    TooManyOfUser = 4005,
    /// A fault of the server.
    Internal = 4100,
    /// No sign of life after a `ping`.
    NoPong = 4101,
    /// The client does not read fast enough.
    Slow = 4102,
    /// Too many commands were refused because of their rate.
    RateAbuse = 4103,
    /// The store has been away for too long.
    StoreAway = 4104,
    /// This instance is about to end.
    Draining = 4200,
    /// The API wants the connection on another instance.
    Rebalanced = 4201,
}

impl Close {
    /// Every close code, in order.
    pub const ALL: [Self; 16] = [
        Self::Rfc,
        Self::BadText,
        Self::TooBig,
        Self::BadProtocol,
        Self::Unauthorized,
        Self::TokenExpired,
        Self::Forbidden,
        Self::NoHello,
        Self::TooManyOfUser,
        Self::Internal,
        Self::NoPong,
        Self::Slow,
        Self::RateAbuse,
        Self::StoreAway,
        Self::Draining,
        Self::Rebalanced,
    ];

    /// The code of the close frame.
    #[must_use]
    pub fn code(self) -> u16 {
        self as u16
    }

    /// The text of the close frame.
    #[must_use]
    pub fn reason(self) -> &'static str {
        match self {
            Self::Rfc => "not a WebSocket frame",
            Self::BadText => "text that is not UTF-8",
            Self::TooBig => "frame too big",
            Self::BadProtocol => "not a rooms.v1 frame, or the first was not hello",
            Self::Unauthorized => "no valid token",
            Self::TokenExpired => "the token has expired",
            Self::Forbidden => "sent away",
            Self::NoHello => "no hello in time",
            Self::TooManyOfUser => "too many connections of this user",
            Self::Internal => "a fault of the server",
            Self::NoPong => "no pong",
            Self::Slow => "reading too slowly",
            Self::RateAbuse => "too many commands",
            Self::StoreAway => "rooms cannot be reached",
            Self::Draining => "this instance is stopping",
            Self::Rebalanced => "go to another instance",
        }
    }

    /// What the client should do next.
    #[must_use]
    pub fn next(self) -> &'static str {
        match self {
            Self::TokenExpired => "connect again with a new token",
            Self::Draining | Self::Rebalanced => "connect again at once",
            close if close.code() >= 4100 => "connect again, with back-off",
            _ => "do not connect again unchanged",
        }
    }
}
