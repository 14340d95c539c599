//! Rooms of the kind `ttt`: a game of tic-tac-toe whose rules the server holds.
//!
//! The document: `{"board":[9 × null, "x" or "o"],"seats":{"x":user,"o":user},
//! "turn":"x" or "o","winner":null, "x", "o" or "draw","line":null or 3 cells}`.
//! Seats belong to users, so whoever comes back keeps the seat.

use serde::{Deserialize, Serialize};

/// The lines that win.
const LINES: [[usize; 3]; 8] =
    [[0, 1, 2], [3, 4, 5], [6, 7, 8], [0, 3, 6], [1, 4, 7], [2, 5, 8], [0, 4, 8], [2, 4, 6]];

/// A player's mark.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Mark {
    /// Begins.
    X,
    /// Comes second.
    O,
}

impl Mark {
    fn other(self) -> Self {
        match self {
            Self::X => Self::O,
            Self::O => Self::X,
        }
    }
}

/// How a game ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Winner {
    /// Three of X in a line, or O has stood up.
    X,
    /// Three of O in a line, or X has stood up.
    O,
    /// Nine marks and no line.
    Draw,
}

/// Who plays.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Seats {
    /// The user with X.
    pub x: Option<String>,
    /// The user with O.
    pub o: Option<String>,
}

/// The document of a room.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Game {
    /// Nine cells, row by row.
    pub board: [Option<Mark>; 9],
    /// Who plays.
    pub seats: Seats,
    /// Whose move it is.
    pub turn: Mark,
    /// Who has won, once it is over.
    pub winner: Option<Winner>,
    /// The cells of the line that won.
    pub line: Option<[usize; 3]>,
}

/// What a user does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(tag = "do", rename_all = "lowercase", deny_unknown_fields)]
pub enum Action {
    /// Takes the first free seat.
    Sit,
    /// Gives the seat back; a game under way is lost.
    Stand,
    /// Puts a mark into a cell, 0 to 8.
    Move {
        /// The cell.
        cell: i64,
    },
    /// Begins a new game when one is over; the players change sides.
    Again,
}

/// Why an action is against the rules.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Foul {
    /// It is no action of this kind of room.
    UnknownAction,
    /// It is the other player's move.
    NotYourTurn,
    /// There is a mark in the cell.
    CellTaken,
    /// There is no such cell.
    OutOfRange,
    /// The game is over.
    GameOver,
    /// Both seats are taken.
    SeatsFull,
    /// Only players may do this.
    NotSeated,
    /// The user has a seat already.
    AlreadySeated,
    /// The other seat is free.
    NoOpponent,
    /// The game is not over.
    StillPlaying,
}

impl Foul {
    /// The `reason` of the error reply.
    #[must_use]
    pub fn reason(self) -> &'static str {
        match self {
            Self::UnknownAction => "unknown_action",
            Self::NotYourTurn => "not_your_turn",
            Self::CellTaken => "cell_taken",
            Self::OutOfRange => "out_of_range",
            Self::GameOver => "game_over",
            Self::SeatsFull => "seats_full",
            Self::NotSeated => "not_seated",
            Self::AlreadySeated => "already_seated",
            Self::NoOpponent => "no_opponent",
            Self::StillPlaying => "still_playing",
        }
    }

    /// The reason in words.
    #[must_use]
    pub fn msg(self) -> &'static str {
        match self {
            Self::UnknownAction => {
                "an action is {\"do\":\"sit\"}, \"stand\", \"again\" or {\"do\":\"move\",\"cell\":0…8}"
            }
            Self::NotYourTurn => "it is the other player's move",
            Self::CellTaken => "there is a mark in the cell",
            Self::OutOfRange => "cells are 0 to 8",
            Self::GameOver => "the game is over",
            Self::SeatsFull => "both seats are taken",
            Self::NotSeated => "only players may do this: sit first",
            Self::AlreadySeated => "you have a seat already",
            Self::NoOpponent => "the other seat is free",
            Self::StillPlaying => "the game is not over",
        }
    }
}

impl Default for Game {
    fn default() -> Self {
        Self { board: [None; 9], seats: Seats::default(), turn: Mark::X, winner: None, line: None }
    }
}

impl Game {
    fn mark_of(&self, user: &str) -> Option<Mark> {
        if self.seats.x.as_deref() == Some(user) {
            Some(Mark::X)
        } else if self.seats.o.as_deref() == Some(user) {
            Some(Mark::O)
        } else {
            None
        }
    }

    fn seat(&mut self, mark: Mark) -> &mut Option<String> {
        match mark {
            Mark::X => &mut self.seats.x,
            Mark::O => &mut self.seats.o,
        }
    }

    fn sit(&mut self, user: &str) -> Result<(), Foul> {
        if self.mark_of(user).is_some() {
            return Err(Foul::AlreadySeated);
        }
        let free = [Mark::X, Mark::O].into_iter().find(|mark| self.seat(*mark).is_none());
        *self.seat(free.ok_or(Foul::SeatsFull)?) = Some(user.to_owned());
        Ok(())
    }

    fn stand(&mut self, user: &str) -> Result<(), Foul> {
        let mark = self.mark_of(user).ok_or(Foul::NotSeated)?;
        let begun = self.board.iter().any(Option::is_some);
        if begun && self.winner.is_none() {
            self.winner = Some(if mark == Mark::X { Winner::O } else { Winner::X });
        }
        *self.seat(mark) = None;
        Ok(())
    }

    fn put(&mut self, user: &str, cell: i64) -> Result<(), Foul> {
        let mark = self.mark_of(user).ok_or(Foul::NotSeated)?;
        if self.winner.is_some() {
            return Err(Foul::GameOver);
        }
        if self.seats.x.is_none() || self.seats.o.is_none() {
            return Err(Foul::NoOpponent);
        }
        let cell = usize::try_from(cell).ok().filter(|cell| *cell < 9).ok_or(Foul::OutOfRange)?;
        if self.turn != mark {
            return Err(Foul::NotYourTurn);
        }
        if self.board[cell].is_some() {
            return Err(Foul::CellTaken);
        }
        self.board[cell] = Some(mark);
        self.line = LINES.into_iter().find(|line| line.iter().all(|cell| self.board[*cell] == Some(mark)));
        self.winner = if self.line.is_some() {
            Some(if mark == Mark::X { Winner::X } else { Winner::O })
        } else if self.board.iter().all(Option::is_some) {
            Some(Winner::Draw)
        } else {
            None
        };
        self.turn = mark.other();
        Ok(())
    }

    fn again(&mut self, user: &str) -> Result<(), Foul> {
        self.mark_of(user).ok_or(Foul::NotSeated)?;
        if self.winner.is_none() {
            return Err(Foul::StillPlaying);
        }
        let Seats { x, o } = std::mem::take(&mut self.seats);
        *self = Self { seats: Seats { x: o, o: x }, ..Self::default() };
        Ok(())
    }

    /// The game after a user's action.
    ///
    /// # Errors
    /// The rule that forbids it.
    pub fn after(mut self, user: &str, action: Action) -> Result<Self, Foul> {
        match action {
            Action::Sit => self.sit(user)?,
            Action::Stand => self.stand(user)?,
            Action::Move { cell } => self.put(user, cell)?,
            Action::Again => self.again(user)?,
        }
        Ok(self)
    }
}

/// The document after an action, both as JSON text; `None` is a game that has not begun.
///
/// # Errors
/// The rule that forbids it. A document that is no game gives a new one: it was
/// not written by these rules.
pub fn reduce(doc: Option<&str>, user: &str, action: &str) -> Result<String, Foul> {
    let action: Action = serde_json::from_str(action).map_err(|_| Foul::UnknownAction)?;
    let game: Game = doc.and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default();
    let next = game.after(user, action)?;
    serde_json::to_string(&next).map_err(|_| Foul::UnknownAction)
}

#[cfg(test)]
#[path = "tictactoe_tests.rs"]
mod tests;
