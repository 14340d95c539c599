//! A game of tic-tac-toe, a line an action.

#![no_main]

use libfuzzer_sys::{Corpus, fuzz_target};

fuzz_target!(|bytes: &[u8]| -> Corpus {
    let Ok(text) = std::str::from_utf8(bytes) else { return Corpus::Reject };
    server::fuzzing::game(text);
    Corpus::Keep
});
