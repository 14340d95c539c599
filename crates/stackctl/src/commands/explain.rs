//! `stackctl explain`

use std::process::ExitCode;

use stack_file::explain::explain;
use stack_file::load::load_with_history;

use crate::args::Global;
use crate::error::{Fault, Kind};
use crate::{render, settings};

/// What `explain` takes.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  stackctl explain services.web.image")]
pub(crate) struct ExplainArgs {
    /// What to explain, as `web.environment.PORT`, `services.web.ports[0]` or `networks.front`
    #[arg(required = true, value_name = "PATH")]
    paths: Vec<String>,
    /// Show values that come from outside the file and may be secret
    #[arg(long)]
    reveal: bool,
}

pub(crate) fn run(global: &Global, args: &ExplainArgs) -> anyhow::Result<ExitCode> {
    settings::with_request(global, |request| {
        let (loaded, history) = load_with_history(request);
        // Warnings are what `check` is for.
        if loaded.has_errors() {
            settings::accept(&loaded)?;
        }
        let mut all = Vec::new();
        for path in &args.paths {
            let found = explain(&loaded, &history, path)
                .map_err(|missing| Fault::new(Kind::Usage, missing.message).hint(missing.help))?;
            all.extend(found);
        }
        let text = if global.json {
            format!("{}\n", render::explain::json(&all, &loaded.sources, args.reveal))
        } else {
            render::explain::pretty(&all, &loaded.sources, args.reveal)
        };
        render::text(&text)?;
        Ok(ExitCode::SUCCESS)
    })?
}
