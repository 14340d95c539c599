//! A text as a whole stack, with the files that it refers to.

#![no_main]

use std::path::PathBuf;
use std::sync::OnceLock;

use libfuzzer_sys::{Corpus, fuzz_target};

/// Where the files of an input are written: a folder of this process alone.
fn directory() -> &'static PathBuf {
    static DIRECTORY: OnceLock<PathBuf> = OnceLock::new();
    DIRECTORY.get_or_init(|| {
        let place = std::env::temp_dir().join(format!("stack-file-fuzz-{}", std::process::id()));
        std::fs::create_dir_all(&place).expect("the temporary folder can be written");
        place
    })
}

fuzz_target!(|bytes: &[u8]| -> Corpus {
    let Ok(text) = std::str::from_utf8(bytes) else { return Corpus::Reject };
    stack_file::fuzzing::decode(text, directory());
    Corpus::Keep
});
