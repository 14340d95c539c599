//! `stackctl commit`

use std::process::ExitCode;

use stack_engine::docker::archive::CommitSpec;

use super::target;
use crate::args::Global;
use crate::error::{Fault, Kind};
use crate::{render, settings};

/// What `commit` takes.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  stackctl commit -m 'with the fix' web shop/web:fixed")]
pub(crate) struct CommitArgs {
    /// Who did it
    #[arg(short, long, value_name = "NAME")]
    author: Option<String>,
    /// Line of a Dockerfile that is applied, as `CMD ["sh"]`
    #[arg(short, long, value_name = "INSTRUCTION")]
    change: Vec<String>,
    /// Number of the container, where the service has several [default: the lowest]
    #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(u32).range(1..))]
    index: Option<u32>,
    /// What changed
    #[arg(short, long, value_name = "TEXT")]
    message: Option<String>,
    /// Freeze the container meanwhile; `--pause=false` does not
    #[arg(short, long, num_args = 0..=1, require_equals = true, default_missing_value = "true", default_value = "true", value_name = "BOOL", hide_possible_values = true, hide_default_value = true)]
    pause: bool,
    /// The service
    service: String,
    /// Name of the image, as `REPOSITORY[:TAG]` [default: none]
    #[arg(value_name = "IMAGE")]
    reference: Option<String>,
}

pub(crate) async fn run(global: &Global, args: CommitArgs) -> anyhow::Result<ExitCode> {
    let (repository, tag) = name(args.reference.as_deref().unwrap_or_default())?;
    let project = target::project(global)?;
    let engine = settings::engine(global, false).await?;
    let container = target::one(global, &engine, &project, &args.service, args.index, false).await?;
    if global.dry_run {
        return target::rehearse(&format!("make an image of {}", target::address(&container)));
    }
    let spec = CommitSpec {
        repository,
        tag,
        comment: args.message.unwrap_or_default(),
        author: args.author.unwrap_or_default(),
        changes: args.change,
        pause: args.pause,
    };
    render::line(&engine.commit(&container.id, &spec).await?)?;
    Ok(ExitCode::SUCCESS)
}

/// The repository and the tag of an image's name.
fn name(reference: &str) -> anyhow::Result<(String, String)> {
    if reference.contains('@') {
        return Err(Fault::new(Kind::Usage, format!("{reference} has a digest, which comes of itself"))
            .hint("write REPOSITORY[:TAG]")
            .into());
    }
    Ok(match reference.rsplit_once(':') {
        // A colon before a slash is that of a registry's port.
        Some((repository, tag)) if !tag.contains('/') => (repository.to_owned(), tag.to_owned()),
        _ => (reference.to_owned(), String::new()),
    })
}

#[cfg(test)]
mod tests {
    use super::name;

    #[test]
    fn the_tag_of_a_name_is_told_from_a_port() {
        let parts = |text| name(text).ok();
        let pair = |one: &str, other: &str| Some((one.to_owned(), other.to_owned()));
        assert_eq!(parts("shop/web:fixed"), pair("shop/web", "fixed"));
        assert_eq!(parts("localhost:5000/web"), pair("localhost:5000/web", ""));
        assert_eq!(parts("localhost:5000/web:1"), pair("localhost:5000/web", "1"));
        assert_eq!(parts(""), pair("", ""));
        assert_eq!(parts("web@sha256:00"), None);
    }
}
