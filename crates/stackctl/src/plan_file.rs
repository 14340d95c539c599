//! A plan that was written down, to be applied later as it is or not at all.
//!
//! The file holds how the plan was made, what it says, and a digest of every step. It
//! holds no settings and no secrets: to apply it, the same plan is made again, and
//! nothing is done unless both are the same to the byte.

use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use anyhow::Context;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use stack_plan::plan::Plan;

use crate::error::{Fault, Kind};
use crate::render;
use crate::settings::Project;

/// The version of the file's form.
const SCHEMA: u32 = 1;

/// The largest file that is read, bytes: a plan of some ten thousand steps.
const SIZE_LIMIT: u64 = 64 << 20;

/// How many steps that differ are named.
const SHOWN_STEPS: usize = 5;

/// A plan that was written down.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct PlanFile {
    schema: u32,
    /// The directory in which the plan was made.
    pub(crate) directory: PathBuf,
    /// The arguments of stackctl that make the plan.
    pub(crate) arguments: Vec<String>,
    /// The address of the engine it was made for.
    engine: String,
    /// The plan as `plan --json` shows it.
    plan: Value,
}

impl PlanFile {
    /// Writes down a plan, and what makes it again.
    pub(crate) fn of(
        plan: &Plan,
        project: &Project,
        engine: &str,
        arguments: Vec<String>,
    ) -> anyhow::Result<Self> {
        Ok(Self {
            schema: SCHEMA,
            directory: std::env::current_dir().context("the working directory cannot be read")?,
            arguments,
            engine: engine.to_owned(),
            plan: render::plan::value(plan, Some(project)),
        })
    }

    /// Puts it into a file that only its owner can read, in one piece or not at all.
    pub(crate) fn write(&self, path: &Path) -> io::Result<()> {
        let directory = match path.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent,
            _ => Path::new("."),
        };
        // The name of the file in between is of no use to anybody who reads the error.
        let mut file =
            tempfile::NamedTempFile::new_in(directory).map_err(|error| io::Error::from(error.kind()))?;
        serde_json::to_writer_pretty(&mut file, self)?;
        file.write_all(b"\n")?;
        file.persist(path).map_err(|error| error.error)?;
        Ok(())
    }

    /// Reads one.
    pub(crate) fn read(path: &Path) -> anyhow::Result<Self> {
        let shown = path.display();
        let wrong = |why: &str| {
            Fault::new(Kind::Usage, format!("{shown} holds no plan: {why}"))
                .hint("write one with: stackctl plan --out FILE")
        };
        let mut text = String::new();
        std::fs::File::open(path)
            .and_then(|file| file.take(SIZE_LIMIT + 1).read_to_string(&mut text))
            .map_err(|error| {
                Fault::new(Kind::Usage, format!("{shown} cannot be read: {error}"))
                    .hint("write a plan with: stackctl plan --out FILE")
            })?;
        if text.len() as u64 > SIZE_LIMIT {
            return Err(wrong("it is too large").into());
        }
        let file: Self = serde_json::from_str(&text).map_err(|error| wrong(&error.to_string()))?;
        if file.schema != SCHEMA {
            return Err(
                wrong(&format!("its form is {}, and this stackctl knows {SCHEMA}", file.schema)).into()
            );
        }
        Ok(file)
    }

    /// Refuses a plan for another engine.
    pub(crate) fn check_engine(&self, engine: &str) -> anyhow::Result<()> {
        if self.engine == engine {
            return Ok(());
        }
        Err(moved(&format!("it is for the engine at {}, and this is {engine}", self.engine)).into())
    }

    /// Refuses when the plan that is made now is another one.
    pub(crate) fn check(&self, now: &Plan) -> anyhow::Result<()> {
        if self.plan["fingerprint"] == now.fingerprint() {
            return Ok(());
        }
        let was: Vec<(&str, String)> = (self.plan["steps"].as_array().into_iter().flatten())
            .map(|step| {
                let text = |key: &str| step[key].as_str().unwrap_or_default();
                (text("fingerprint"), format!("{}, {}, {}", text("address"), text("action"), text("cause")))
            })
            .collect();
        let is: Vec<(String, String)> = (now.steps.iter())
            .map(|step| {
                (step.fingerprint(), format!("{}, {}, {}", step.address, step.action.word(), step.cause))
            })
            .collect();
        let mut lines = Vec::new();
        for (fingerprint, text) in &was {
            if !is.iter().any(|(other, _)| other == fingerprint) {
                lines.push(format!("in the file:  {text}"));
            }
        }
        for (fingerprint, text) in &is {
            if !was.iter().any(|(other, _)| other == fingerprint) {
                lines.push(format!("needed now:   {text}"));
            }
        }
        if lines.is_empty() {
            lines.push("the order of the steps differs".to_owned());
        }
        let more = lines.len().saturating_sub(2 * SHOWN_STEPS);
        lines.truncate(2 * SHOWN_STEPS);
        if more > 0 {
            lines.push(format!("and {more} more"));
        }
        let told = lines.iter().map(|line| format!("\n    {line}")).collect::<String>();
        Err(moved(&format!("the stack or its file has changed since{told}")).into())
    }
}

fn moved(why: &str) -> Fault {
    Fault::new(Kind::Moved, format!("the plan does not fit any more, and nothing was done: {why}"))
        .hint("make a new one with: stackctl plan --out FILE")
}
