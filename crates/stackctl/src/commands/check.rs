//! `stackctl check`

use std::process::ExitCode;

use stack_file::diagnostic::Severity;
use stack_file::lint::lint;
use stack_file::load::load;
use stack_file::swarm;
use stack_kubernetes::{Options, export};

use crate::args::Global;
use crate::commands::export::look;
use crate::{error, render, settings};

/// What `check` takes.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  stackctl -f stack.yaml check")]
pub(crate) struct CheckArgs {
    /// Fail on warnings too, with exit code 3 as for errors
    #[arg(long)]
    strict: bool,
    /// What the stack is meant for: what it does not honour is told
    #[arg(long = "for", value_enum, default_value_t = Backend::Engine, value_name = "BACKEND")]
    backend: Backend,
}

/// What runs a stack.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Backend {
    /// A Docker Engine
    Engine,
    /// Docker Swarm, whose services know fewer attributes
    Swarm,
    /// Kubernetes, by way of `export kubernetes`
    Kubernetes,
}

pub(crate) fn run(global: &Global, args: &CheckArgs) -> anyhow::Result<ExitCode> {
    let loaded = settings::with_request(global, load)?;
    let mut found = loaded.diagnostics.clone();
    // What cannot be looked at may well be there.
    found.extend(lint(&loaded, &|path| path.try_exists().unwrap_or(true)));
    match args.backend {
        // The file is right; what would act on it refuses.
        Backend::Engine => found.extend(loaded.unsupported.iter().cloned().map(|mut told| {
            told.severity = Severity::Warning;
            told
        })),
        Backend::Swarm => found.extend(swarm::not_honoured(&loaded)),
        // What single values come to is known to none but who writes them.
        Backend::Kubernetes if !loaded.has_errors() => {
            found.extend(export(&loaded, &Options::default(), &look).diagnostics);
        }
        Backend::Kubernetes => {}
    }
    // Those without a place come first; the rest in the order of the files.
    found.sort_by_key(|told| told.origin.as_ref().map(|origin| (origin.source, origin.span)));
    let errors = found.iter().filter(|told| told.severity == Severity::Error).count();
    let warnings = found.len() - errors;
    let text = if global.json {
        render::diagnostics::lines(&found, &loaded.sources, errors, warnings)
    } else {
        render::diagnostics::report(&found, &loaded.sources, errors, warnings)
    };
    render::text(&text)?;
    if errors > 0 || (args.strict && warnings > 0) {
        return Ok(error::faulty());
    }
    Ok(ExitCode::SUCCESS)
}
