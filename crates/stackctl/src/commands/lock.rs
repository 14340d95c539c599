//! `stackctl lock`

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::ExitCode;

use futures_util::{StreamExt, TryStreamExt, stream};

use crate::args::Global;
use crate::commands::config::digests::{AT_A_TIME, pinned};
use crate::render::{self, Renderer};
use crate::{lock_file, settings};

/// What `lock` takes.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Services of all profiles are locked. What is built is not, nor the base images of builds.\n\nExample:\n  stackctl lock && stackctl up --locked --wait"
)]
pub(crate) struct LockArgs {
    /// Only these services anew; the others keep what the lock has
    services: Vec<String>,
    /// Where it is written [default: stack.lock in the project directory]
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
}

pub(crate) async fn run(global: &Global, args: LockArgs) -> anyhow::Result<ExitCode> {
    let mut all = global.clone();
    all.profiles.push("*".to_owned());
    let project = settings::read(&all, &BTreeMap::new())?;
    project.check_services(&args.services)?;
    let path = args.output.unwrap_or_else(|| lock_file::place(&project));
    let kept = if args.services.is_empty() { BTreeMap::new() } else { lock_file::read(&path)? };

    let mut lock = BTreeMap::new();
    let mut open = Vec::new();
    for image in lock_file::pulled(&project.desired) {
        for service in &image.services {
            match kept.get(service).filter(|_| !args.services.contains(service)) {
                Some(locked) => drop(lock.insert(service.clone(), locked.clone())),
                None => open.push((service, image.references[0].as_str())),
            }
        }
    }
    let mut asked: BTreeMap<&str, &str> = BTreeMap::new();
    for (service, image) in &open {
        asked.entry(image).or_insert(service);
    }
    if !asked.is_empty() {
        let engine = settings::any_engine(global, false).await?;
        let ask = async {
            let all = stream::iter(&asked).map(|(image, service)| pinned(&engine, service, image));
            all.buffered(AT_A_TIME).try_collect::<BTreeMap<String, String>>().await
        };
        let found = tokio::select! {
            found = ask => found?,
            () = super::interrupt() => return Ok(crate::error::interrupted()),
        };
        for (service, image) in open {
            if let Some(with_digest) = found.get(image) {
                lock.insert(service.clone(), with_digest.clone());
            }
        }
    }
    if global.dry_run {
        render::text(&lock_file::text(&lock))?;
        return Ok(ExitCode::SUCCESS);
    }
    lock_file::write(&path, &lock)?;
    let plural = if lock.len() == 1 { "" } else { "s" };
    Renderer::new(global).note(&format!(
        "the images of {} service{plural} are locked in {}",
        lock.len(),
        path.display()
    ));
    Ok(ExitCode::SUCCESS)
}
