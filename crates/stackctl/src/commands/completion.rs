//! `stackctl completion`

use std::process::ExitCode;

use clap::ValueEnum;

use crate::error::{Fault, Kind};
use crate::invocation::{self, Name};
use crate::{completion, render};

/// What `completion` takes.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Example:\n  bash  source <(stackctl completion bash)           in ~/.bashrc\n  zsh   source <(stackctl completion zsh)            in ~/.zshrc\n  fish  stackctl completion fish | source            in ~/.config/fish/config.fish"
)]
pub(crate) struct CompletionArgs {
    /// The shell
    #[arg(value_enum)]
    shell: Shell,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Shell {
    Bash,
    Zsh,
    Fish,
    Elvish,
    Powershell,
}

pub(crate) fn run(args: &CompletionArgs) -> anyhow::Result<ExitCode> {
    let program = match invocation::name() {
        Name::DockerCompose => "docker-compose",
        Name::Stackctl => "stackctl",
        // Docker completes the lines of its plugins itself.
        Name::Plugin => {
            return Err(Fault::new(Kind::Usage, "docker completes its own command line")
                .hint("use: docker completion bash, or zsh, or fish")
                .into());
        }
    };
    let shell = args.shell.to_possible_value().map(|shell| shell.get_name().to_owned()).unwrap_or_default();
    let Some(script) = completion::registration(&shell, program) else {
        return Err(Fault::new(Kind::Usage, format!("there is no completion for {shell}")).into());
    };
    render::text(&script?)?;
    Ok(ExitCode::SUCCESS)
}
