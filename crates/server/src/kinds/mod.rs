//! What clients may do to the document of a room, by the kind of the room.
//! Each kind is pure: from a document and what is asked for to the next
//! document or the reason why not. The store decides whether it was in time.

pub mod doc;
pub mod tictactoe;

/// The kind of a room, fixed when the room comes to be.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Kind {
    /// Anybody may set and patch the document.
    #[default]
    Doc,
    /// The document is a game of tic-tac-toe, and changes only by its rules.
    TicTacToe,
}

impl Kind {
    /// Every kind.
    pub const ALL: [Self; 2] = [Self::Doc, Self::TicTacToe];

    /// Its name in frames.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Doc => "doc",
            Self::TicTacToe => "ttt",
        }
    }

    /// The kind of this name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }

    /// All names, as a sentence has them.
    pub(crate) fn names() -> String {
        Self::ALL.map(|kind| format!("\"{}\"", kind.name())).join(" or ")
    }
}

/// Why an action or a patch does not fit the document.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reject {
    /// A patch does not fit.
    Misfit(doc::Misfit),
    /// A move is against the rules.
    Foul(tictactoe::Foul),
}

impl Reject {
    /// The `reason` of the error reply.
    #[must_use]
    pub fn reason(self) -> &'static str {
        match self {
            Self::Misfit(misfit) => misfit.reason(),
            Self::Foul(foul) => foul.reason(),
        }
    }

    /// The reason in words.
    #[must_use]
    pub fn msg(self) -> &'static str {
        match self {
            Self::Misfit(misfit) => misfit.msg(),
            Self::Foul(foul) => foul.msg(),
        }
    }
}
