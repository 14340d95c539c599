//! The last run of every project, kept as the lines of its stream, for `timeline`, `why` and `replay`.

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};

use crate::render::stream::{Line, SCHEMA, What, steps};

/// Writes a run down. A run that has nothing to do leaves the record of the one before.
pub(crate) struct Recorder {
    path: PathBuf,
    /// What stands first in the record.
    head: Line,
    file: Option<File>,
}

impl Recorder {
    /// Records a command that changes a project on the engine at this address.
    pub(crate) fn new(engine: &str, project: &str, command: &str) -> Self {
        let head = Line::now(What::Run {
            command: command.to_owned(),
            project: project.to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
        });
        Self { path: path(engine, project), head, file: None }
    }

    /// Writes a line. A disk that is full or read-only is no reason to stop a run.
    pub(crate) fn write(&mut self, line: &Line) {
        if self.file.is_none() {
            let does_something = matches!(&line.what, What::Plan { plan } if !steps(plan).is_empty());
            if !does_something {
                return;
            }
            self.file = create(&self.path).ok();
            let head = self.head.written();
            self.put(&head);
        }
        self.put(&line.written());
    }

    fn put(&mut self, line: &str) {
        if let Some(file) = &mut self.file {
            // One call, so that a run that is killed leaves whole lines.
            let _: std::io::Result<()> = file.write_all(format!("{line}\n").as_bytes());
        }
    }
}

/// Notes below the last run of a project that another command has undone it.
pub(crate) fn undone(engine: &str, project: &str, command: &str) {
    let line = Recorder::new(engine, project, command).head.written();
    let file = std::fs::OpenOptions::new().append(true).open(path(engine, project));
    // Without a record there is nothing to note it below.
    if let Ok(mut file) = file {
        let _: std::io::Result<()> = file.write_all(format!("{line}\n").as_bytes());
    }
}

/// The folder of what stackctl keeps between its runs: of this user, the same in every session.
pub(crate) fn state_directory() -> PathBuf {
    let absolute = |name: &str| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let state = absolute("XDG_STATE_HOME").or_else(|| Some(absolute("HOME")?.join(".local/state")));
    state.unwrap_or_else(std::env::temp_dir).join("stackctl")
}

/// Where the last run of a project is kept.
pub(crate) fn path(engine: &str, project: &str) -> PathBuf {
    // FNV-1a: the same in every version of stackctl.
    let hash = engine.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    state_directory().join("runs").join(format!("{project}-{hash:016x}.jsonl"))
}

/// A new file that only this user may read: logs may hold what is nobody else's business.
fn create(path: &Path) -> std::io::Result<File> {
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder)?;
    }
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

/// A line of a recorded run.
pub(crate) enum Recorded {
    /// A line that renderers show.
    Line(Box<Line>),
    /// An error or a finding, in words.
    Said(String),
}

/// Why a record cannot be used.
#[derive(Debug)]
pub(crate) struct Unreadable {
    /// The line, from 1.
    pub(crate) line: usize,
    /// What is wrong with it.
    pub(crate) reason: String,
}

/// Reads a recorded run, as `--json` writes it to standard error. Events that a later stackctl has
/// invented are left out; empty lines, too. A last line that is cut off is that of a run that was killed.
pub(crate) fn read(text: &str) -> Result<Vec<Recorded>, Unreadable> {
    let mut read = Vec::new();
    let whole = text.ends_with('\n');
    let mut lines = text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()).peekable();
    while let Some((index, line)) = lines.next() {
        let unreadable = |reason: String| Unreadable { line: index + 1, reason };
        let value: serde_json::Value = match serde_json::from_str(line) {
            Ok(value) => value,
            Err(_) if !whole && lines.peek().is_none() => break,
            Err(error) => return Err(unreadable(format!("it is no JSON: {error}"))),
        };
        match value["schema"].as_u64() {
            Some(schema) if schema == u64::from(SCHEMA) => {}
            Some(schema) => {
                let reason = format!("its schema is {schema}, and this stackctl knows {SCHEMA}");
                return Err(unreadable(reason));
            }
            None => return Err(unreadable("it has no schema: it is no line of a run".to_owned())),
        }
        let text = |key: &str| value[key].as_str().unwrap_or_default();
        match text("event") {
            "error" => {
                let hint = value["hint"].as_str().map(|hint| format!("\n  {hint}")).unwrap_or_default();
                read.push(Recorded::Said(format!("error: {}{hint}", text("text"))));
            }
            "diagnostic" => {
                let place = match value["line"].as_u64() {
                    Some(line) => format!("{}:{line}:{}: ", text("file"), value["column"]),
                    None => String::new(),
                };
                read.push(Recorded::Said(format!("{place}{}: {}", text("severity"), text("message"))));
            }
            "run" | "plan" | "started" | "progress" | "warning" | "done" | "failed" | "skipped"
            | "rolled_back" | "finished" | "interrupted" | "note" => {
                let line = Line::read(line).map_err(|error| unreadable(error.to_string()))?;
                read.push(Recorded::Line(Box::new(line)));
            }
            _ => {}
        }
    }
    Ok(read)
}

/// The lines of the stream among what was read.
pub(crate) fn lines(read: Vec<Recorded>) -> Vec<Line> {
    let line = |recorded| match recorded {
        Recorded::Line(line) => Some(*line),
        Recorded::Said(_) => None,
    };
    read.into_iter().filter_map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const DONE: &str = r#"{"schema":1,"at":"2026-01-02T03:04:05Z","event":"done","text":"started","milliseconds":7,"step":1,"address":"a/1","action":"start"}"#;

    #[test]
    fn a_line_is_written_as_it_was_read() {
        let read = lines(read(DONE).expect("a run"));
        let written: serde_json::Value = serde_json::from_str(&read[0].written()).expect("JSON");
        assert_eq!(written, serde_json::from_str::<serde_json::Value>(DONE).expect("JSON"));
    }

    #[test]
    fn what_is_no_run_is_refused_and_what_was_cut_off_is_not() {
        let reason = |text: &str| read(text).err().map(|error| (error.line, error.reason));
        assert_eq!(reason(&format!("{DONE}\n{{\"schema\":1,\"at\":\"20")), None);
        assert_eq!(reason(&format!("{DONE}\n\n{{\"schema\":1}}\n")), None);
        assert_eq!(reason("{\"a\":1}\n"), Some((1, "it has no schema: it is no line of a run".to_owned())));
        let newer = Some((1, "its schema is 2, and this stackctl knows 1".to_owned()));
        assert_eq!(reason("{\"schema\":2}\n"), newer);
        assert!(reason("hello\n").is_some_and(|(_, reason)| reason.contains("no JSON")));
    }

    #[test]
    fn projects_and_engines_have_records_of_their_own() {
        assert_eq!(path("unix:///a", "p"), path("unix:///a", "p"));
        assert_ne!(path("unix:///a", "p"), path("unix:///b", "p"));
        assert_ne!(path("unix:///a", "p"), path("unix:///a", "q"));
    }
}
