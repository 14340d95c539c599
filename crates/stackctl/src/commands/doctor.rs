//! `stackctl doctor`

mod checks;

use std::process::ExitCode;

use serde_json::json;
use stack_engine::docker::checkup::credentials_checkup;

use crate::args::Global;
use crate::error::{code_of, failed, hint_of};
use crate::render::stream::SCHEMA;
use crate::render::{DIM, GREEN, RED, YELLOW, paint};
use crate::{render, settings};

use self::checks::{Check, State, credentials, of_engine, state_directory};

/// What `doctor` takes.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  stackctl doctor\n  stackctl -H ssh://host doctor\n\n\
                  Exit codes: 0 when nothing is wrong, 1 when something is, 4 when no engine answers. \
                  Warnings are no failure.")]
pub(crate) struct DoctorArgs {}

pub(crate) async fn run(global: &Global, _: &DoctorArgs) -> anyhow::Result<ExitCode> {
    let mut checks = Vec::new();
    let mut unreachable = None;
    match settings::any_engine(global, false).await {
        Ok(engine) => match engine.checkup().await {
            Ok(checkup) => of_engine(&engine, &checkup, &mut checks),
            Err(error) => {
                let next = error.hint().unwrap_or_else(|| "see its log: journalctl -u docker".to_owned());
                checks.push(Check { name: "engine", state: State::Wrong, text: error.to_string(), next });
            }
        },
        Err(error) => {
            let next = hint_of(&error).unwrap_or_default();
            checks.push(Check { name: "engine", state: State::Wrong, text: error.to_string(), next });
            unreachable = Some(code_of(&error));
        }
    }
    checks.extend(credentials(&credentials_checkup().await));
    checks.push(state_directory());
    show(&checks, global)?;
    let wrong = checks.iter().any(|check| check.state == State::Wrong);
    Ok(unreachable.unwrap_or(if wrong { failed() } else { ExitCode::SUCCESS }))
}

fn show(checks: &[Check], global: &Global) -> std::io::Result<()> {
    if global.json {
        let checks: Vec<_> = (checks.iter())
            .map(|check| {
                let next = Some(&check.next).filter(|next| !next.is_empty());
                json!({ "name": check.name, "state": check.state.word(), "text": check.text, "next": next })
            })
            .collect();
        return render::line(&json!({ "schema": SCHEMA, "checks": checks }).to_string());
    }
    let width = checks.iter().map(|check| check.name.len()).max().unwrap_or(0);
    let mut text = String::new();
    for check in checks {
        let mark = match check.state {
            State::Well => paint(GREEN, "✓"),
            State::Warning => paint(YELLOW, "!"),
            State::Wrong => paint(RED, "✗"),
            State::Unknown => paint(DIM, "?"),
        };
        text.push_str(&format!("{mark} {:width$}  {}\n", check.name, check.text));
        if !check.next.is_empty() {
            text.push_str(&format!("  {:width$}  next: {}\n", "", check.next));
        }
    }
    let count = |state: State| checks.iter().filter(|check| check.state == state).count();
    let (wrong, warnings) = (count(State::Wrong), count(State::Warning));
    let words = match (wrong, warnings) {
        (0, 0) => "nothing is wrong".to_owned(),
        (0, 1) => "nothing is wrong, 1 warning".to_owned(),
        (0, warnings) => format!("nothing is wrong, {warnings} warnings"),
        (wrong, 0) => format!("{wrong} wrong"),
        (wrong, 1) => format!("{wrong} wrong, 1 warning"),
        (wrong, warnings) => format!("{wrong} wrong, {warnings} warnings"),
    };
    text.push_str(&format!("{words}\n"));
    render::text(&text)
}
