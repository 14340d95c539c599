//! A directory with files, and stackctl run in it with an environment of its own.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;

/// A directory with files.
pub(crate) struct Files(tempfile::TempDir);

impl Files {
    /// Writes these files, by name.
    pub(crate) fn new(files: &[(&str, &str)]) -> Self {
        let directory = tempfile::tempdir().expect("a temporary directory");
        for (name, text) in files {
            let path = directory.path().join(name);
            fs::create_dir_all(path.parent().expect("a parent")).expect("a directory");
            fs::write(path, text).expect("a file");
        }
        Self(directory)
    }

    /// Where they are.
    pub(crate) fn path(&self) -> &Path {
        self.0.path()
    }

    /// Runs stackctl.
    pub(crate) fn run(&self, arguments: &[&str], environment: &[(&str, &str)]) -> Ran {
        let mut command = Command::new(env!("CARGO_BIN_EXE_stackctl"));
        command.current_dir(self.0.path()).args(arguments);
        command.env_clear().envs(environment.iter().copied());
        let Output { status, stdout, stderr } = command.output().expect("stackctl runs");
        let text = |bytes: Vec<u8>| {
            let text = String::from_utf8(bytes).expect("UTF-8");
            text.replace(&self.0.path().display().to_string(), "/here")
        };
        Ran { code: status.code(), out: text(stdout), err: text(stderr) }
    }
}

/// What a run gave.
pub(crate) struct Ran {
    pub(crate) code: Option<i32>,
    pub(crate) out: String,
    pub(crate) err: String,
}

/// Text that has one JSON object per line.
pub(crate) fn objects(text: &str) -> Vec<Value> {
    text.lines().map(|line| serde_json::from_str(line).expect(line)).collect()
}
