//! `stackctl replay`

use std::io::Read;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use time::OffsetDateTime;

use crate::args::Global;
use crate::commands::FRAME;
use crate::error::{Fault, Kind, failed, interrupted};
use crate::record::{Recorded, read};
use crate::render::Renderer;
use crate::render::stream::{Line, What};

/// What `replay` takes.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  stackctl --json up -d 2> run.jsonl\n  stackctl replay run.jsonl\n\n\
                  Exit codes: 0 when the run succeeded, 1 when it did not.")]
pub(crate) struct ReplayArgs {
    /// A recorded run, as `--json` writes it to standard error; `-` is standard input
    file: PathBuf,
    /// How many times as fast as it was; without it all comes at once
    #[arg(long, value_name = "FACTOR", value_parser = factor)]
    speed: Option<f64>,
}

/// A factor of time.
fn factor(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(factor) if factor.is_finite() && factor > 0.0 => Ok(factor),
        _ => Err("a number above 0, as 1 or 2.5".to_owned()),
    }
}

/// Reads a recorded run from a file, or from standard input.
pub(crate) fn recorded(file: &PathBuf) -> anyhow::Result<Vec<Recorded>> {
    let fault = |reason: String| Fault::new(Kind::Usage, format!("{} {reason}", file.display()));
    let text = if file.as_os_str() == "-" {
        let mut text = String::new();
        std::io::stdin().read_to_string(&mut text).map(|_| text)
    } else {
        std::fs::read_to_string(file)
    };
    let text = text.map_err(|error| {
        fault(format!("cannot be read: {error}")).hint("record a run with: stackctl --json up 2> run.jsonl")
    })?;
    let read = read(&text).map_err(|error| {
        fault(format!("is no recorded run: line {}: {}", error.line, error.reason))
            .hint("record one with: stackctl --json up 2> run.jsonl")
    })?;
    Ok(read)
}

pub(crate) async fn run(global: &Global, args: ReplayArgs) -> anyhow::Result<ExitCode> {
    let read = recorded(&args.file)?;
    let mut renderer = Renderer::new(global);
    let mut succeeded = true;
    let mut last: Option<OffsetDateTime> = None;
    for recorded in read {
        match recorded {
            Recorded::Said(text) => {
                succeeded &= !text.starts_with("error: ");
                renderer.note(&text);
            }
            Recorded::Line(line) => {
                if let (Some(speed), Some(last)) = (args.speed, last) {
                    let pause = Duration::try_from(line.at - last).unwrap_or_default().div_f64(speed);
                    tokio::select! {
                        () = wait(pause, &mut renderer) => {}
                        () = super::interrupt() => return Ok(interrupted()),
                    }
                }
                last = Some(line.at);
                succeeded &= !is_failure(&line);
                renderer.line(&line);
            }
        }
    }
    Ok(if succeeded { ExitCode::SUCCESS } else { failed() })
}

fn is_failure(line: &Line) -> bool {
    match &line.what {
        What::Finished(ended) => !ended.succeeded,
        What::Interrupted { .. } => true,
        _ => false,
    }
}

/// Lets a time pass while what is live goes on.
async fn wait(pause: Duration, renderer: &mut Renderer) {
    let mut left = pause;
    while !left.is_zero() {
        let turn = if renderer.is_live() { left.min(FRAME) } else { left };
        tokio::time::sleep(turn).await;
        left -= turn;
        renderer.tick();
    }
}
