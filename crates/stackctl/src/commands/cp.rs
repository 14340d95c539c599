//! `stackctl cp`

use std::fs;
use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::{Arc, Mutex};

use anyhow::Context;
use bytes::Bytes;
use futures_util::{Stream, stream};
use stack_engine::copy::{
    CopyError, Landing, There, What, landing, means_contents, means_directory, pack, split, unpack,
};
use stack_engine::docker::DockerEngine;
use stack_engine::docker::archive::{FileKind, Stat};
use stack_engine::engine::EngineError;
use stack_plan::observed::ObservedContainer;
use tokio::io::AsyncReadExt;

use super::target;
use crate::args::Global;
use crate::error::{Fault, Kind, interrupted};
use crate::render::Renderer;
use crate::{render, settings};

/// How much of an archive is read at once, bytes.
const PIECE: usize = 128 * 1024;
/// How many links are followed, one after the other.
const LINKS: usize = 40;

/// What `cp` takes.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
A path that ends in `/.` means what is in a directory; `-` is a tar archive on standard input or output.

Example:
  stackctl cp web:/etc/nginx/nginx.conf .")]
pub(crate) struct CpArgs {
    /// Containers of `run`, too
    #[arg(long)]
    all: bool,
    /// Keep the owners of what is copied out; what is copied in belongs to the container's user
    #[arg(short, long)]
    archive: bool,
    /// Copy what a link at SOURCE leads to, not the link
    #[arg(short = 'L', long)]
    follow_link: bool,
    /// Number of the container [default: out of the first, into all of them]
    #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(u32).range(1..))]
    index: Option<u32>,
    /// What is copied: a path, SERVICE:PATH or `-`
    source: String,
    /// Where to: a path, SERVICE:PATH or `-`
    destination: String,
}

/// One end of a copy.
#[derive(Debug, PartialEq, Eq)]
enum Place {
    Here(String),
    There { service: String, path: String },
}

impl Place {
    fn of(text: &str) -> Self {
        let local = text.starts_with(['/', '.']) || cfg!(windows) && Path::new(text).is_absolute();
        match text.split_once(':') {
            Some((service, path)) if !local && !service.is_empty() => {
                // A path in a container starts at its root.
                let path = if path.starts_with('/') { path.to_owned() } else { format!("/{path}") };
                Self::There { service: service.to_owned(), path }
            }
            _ => Self::Here(text.to_owned()),
        }
    }
}

pub(crate) async fn run(global: &Global, args: CpArgs) -> anyhow::Result<ExitCode> {
    let copy = async {
        match (Place::of(&args.source), Place::of(&args.destination)) {
            (Place::There { service, path }, Place::Here(to)) => {
                out(global, &args, &service, &path, &to).await
            }
            (Place::Here(from), Place::There { service, path }) => {
                into(global, &args, &from, &service, &path).await
            }
            (Place::There { .. }, Place::There { .. }) => {
                Err(Fault::new(Kind::Usage, "from service to service nothing is copied")
                    .hint("copy it here first, then from here")
                    .into())
            }
            (Place::Here(_), Place::Here(_)) => Err(Fault::new(Kind::Usage, "neither end is in a container")
                .hint("name one as SERVICE:PATH")
                .into()),
        }
    };
    tokio::select! {
        done = copy => done,
        () = super::interrupt() => Ok(interrupted()),
    }
}

/// Containers of the service, those that do not run, too.
async fn containers(
    global: &Global,
    engine: &DockerEngine,
    args: &CpArgs,
    service: &str,
) -> anyhow::Result<Vec<ObservedContainer>> {
    let project = target::project(global)?;
    let mut members = engine.members(&project, service, true).await?;
    members.retain(|member| match args.index {
        Some(index) => !member.one_off && member.number == index,
        None => !member.one_off || args.all,
    });
    if members.is_empty() {
        return Err(target::absent(global, &project, service, args.index, true));
    }
    Ok(members)
}

async fn out(
    global: &Global,
    args: &CpArgs,
    service: &str,
    path: &str,
    to: &str,
) -> anyhow::Result<ExitCode> {
    if to == "-" && std::io::stdout().is_terminal() {
        return Err(Fault::new(Kind::Usage, "an archive is nothing for a terminal")
            .hint("send it to a file or a program: stackctl cp … - > files.tar")
            .into());
    }
    let engine = settings::engine(global, false).await?;
    let containers = containers(global, &engine, args, service).await?;
    let container = &containers[0];
    let address = target::address(container);
    if global.dry_run {
        return target::rehearse(&format!("copy {path} of {address} to {to}"));
    }
    let (_, name) = split(path);
    // The root has no name that could be replaced.
    let path = if name.is_none() { "/." } else { path };
    let absent = || Fault::new(Kind::Engine, format!("there is no {path} in {address}"));
    let mut path = path.to_owned();
    let mut stat = engine.stat(&container.id, &path).await?.ok_or_else(absent)?;
    if args.follow_link {
        (path, stat) = followed(&engine, &container.id, path, stat).await?.ok_or_else(absent)?;
    }
    if to == "-" {
        render::passed_on::archive(engine.read_archive(&container.id, &path)).await?;
        return Ok(ExitCode::SUCCESS);
    }
    let directory = stat.kind == FileKind::Directory;
    if means_directory(&path) && !directory {
        return Err(told(CopyError::NotADirectory(path)));
    }
    let name = name.unwrap_or_default();
    let what = match directory {
        true if means_contents(&path) => What::Contents,
        true => What::Directory(&name),
        false => What::File(&name),
    };
    let there = match fs::metadata(to) {
        Ok(found) if found.is_dir() => There::Directory,
        Ok(_) => There::File,
        Err(_) => There::Nothing,
    };
    // A link to a file stays, and the file that it leads to is written.
    let place = match there {
        There::File if !means_directory(to) => fs::canonicalize(to)?.display().to_string(),
        _ => to.to_owned(),
    };
    let landing = landing(what, &place, there).map_err(told)?;
    if !Path::new(&landing.directory).is_dir() {
        return Err(told(CopyError::NoDirectory(landing.directory)));
    }
    let archive = engine.read_archive(&container.id, &path);
    let unpacked = unpack(archive, landing, args.archive).await?.map_err(told)?;
    let mut renderer = Renderer::new(global);
    for left_out in &unpacked.left_out {
        renderer.warn(&format!("{} is no file, directory or link, and was left out", left_out.display()));
    }
    renderer.note(&format!("{address}:{path} copied to {to}"));
    Ok(ExitCode::SUCCESS)
}

/// Where a link in a container leads to, and what is there; `None` where nothing is.
async fn followed(
    engine: &DockerEngine,
    container: &str,
    mut path: String,
    mut stat: Stat,
) -> Result<Option<(String, Stat)>, EngineError> {
    for _ in 0..LINKS {
        let FileKind::Link(target) = &stat.kind else { break };
        path = if target.starts_with('/') {
            target.clone()
        } else {
            format!("{}/{target}", split(&path).0.trim_end_matches('/'))
        };
        match engine.stat(container, &path).await? {
            Some(found) => stat = found,
            None => return Ok(None),
        }
    }
    Ok(Some((path, stat)))
}

/// What is copied into a container.
enum Source {
    /// A tar archive on standard input.
    Stdin,
    /// A path of this machine: the path itself, its name, and whether it is a directory.
    Path { path: PathBuf, name: String, directory: bool, contents: bool },
}

impl Source {
    fn of(from: &str, follow: bool) -> anyhow::Result<Self> {
        if from == "-" {
            return Ok(Self::Stdin);
        }
        let path = PathBuf::from(from);
        let at = |error: std::io::Error| match error.kind() {
            std::io::ErrorKind::NotADirectory => told(CopyError::NotADirectory(from.to_owned())),
            _ => told(CopyError::Path { path: PathBuf::from(from), error }),
        };
        let found = if follow { fs::metadata(&path) } else { fs::symlink_metadata(&path) }.map_err(at)?;
        // A slash at the end asks for what a link leads to.
        let meant = means_directory(from);
        let directory = found.is_dir() || meant && fs::metadata(&path).map_err(at)?.is_dir();
        if meant && !directory {
            return Err(told(CopyError::NotADirectory(from.to_owned())));
        }
        let whole = if follow || meant { fs::canonicalize(&path).map_err(at)? } else { path };
        let name = match split(from).1 {
            Some(name) => Some(name),
            None => fs::canonicalize(from)
                .map_err(at)?
                .file_name()
                .map(|name| name.to_string_lossy().into_owned()),
        };
        let contents = directory && (means_contents(from) || name.is_none());
        Ok(Self::Path { path: whole, name: name.unwrap_or_default(), directory, contents })
    }
}

async fn into(
    global: &Global,
    args: &CpArgs,
    from: &str,
    service: &str,
    to: &str,
) -> anyhow::Result<ExitCode> {
    let source = Source::of(from, args.follow_link)?;
    let engine = settings::engine(global, false).await?;
    let containers = containers(global, &engine, args, service).await?;
    if matches!(source, Source::Stdin) && containers.len() > 1 {
        return Err(Fault::new(
            Kind::Usage,
            format!("{service} has {} containers, and standard input is read once", containers.len()),
        )
        .hint("choose one of them with --index")
        .into());
    }
    if global.dry_run {
        let all: Vec<_> = containers.iter().map(|found| target::address(found).to_string()).collect();
        return target::rehearse(&format!("copy {from} to {to} of {}", all.join(", ")));
    }
    let mut renderer = Renderer::new(global);
    for container in &containers {
        let address = target::address(container);
        let (place, there) = there(&engine, &container.id, to).await?;
        let Some(there) = there else {
            return Err(Fault::new(
                Kind::Engine,
                format!("{to} in {address} is neither a file nor a directory"),
            )
            .into());
        };
        match &source {
            Source::Stdin => {
                if there != There::Directory {
                    return Err(told(CopyError::NoDirectory(to.to_owned())));
                }
                engine.write_archive(&container.id, &place, args.archive, stdin()).await?;
            }
            Source::Path { path, name, directory, contents } => {
                let what = match directory {
                    true if *contents => What::Contents,
                    true => What::Directory(name),
                    false => What::File(name),
                };
                let landing = landing(what, &place, there).map_err(told)?;
                upload(&engine, &container.id, path.clone(), landing, args.archive).await?;
            }
        }
        renderer.note(&format!("{from} copied to {address}:{to}"));
    }
    Ok(ExitCode::SUCCESS)
}

/// What is at a path in a container, where links lead to; `None` for what nothing can be copied to.
async fn there(
    engine: &DockerEngine,
    container: &str,
    path: &str,
) -> Result<(String, Option<There>), EngineError> {
    let Some(stat) = engine.stat(container, path).await? else {
        return Ok((path.to_owned(), Some(There::Nothing)));
    };
    let (path, kind) = match followed(engine, container, path.to_owned(), stat).await? {
        Some((path, stat)) => (path, stat.kind),
        None => return Ok((path.to_owned(), Some(There::Nothing))),
    };
    let there = match kind {
        FileKind::Directory => Some(There::Directory),
        FileKind::File => Some(There::File),
        FileKind::Link(_) | FileKind::Other => None,
    };
    Ok((path, there))
}

async fn upload(
    engine: &DockerEngine,
    container: &str,
    path: PathBuf,
    landing: Landing,
    own: bool,
) -> anyhow::Result<()> {
    let mut pieces = pack(path, landing.name);
    let unreadable = Arc::new(Mutex::new(None));
    let told_to = Arc::clone(&unreadable);
    let archive = stream::poll_fn(move |context| {
        pieces.poll_recv(context).map(|piece| {
            piece.map(|piece| {
                piece.map_err(|error| {
                    let text = error.to_string();
                    *told_to.lock().unwrap_or_else(std::sync::PoisonError::into_inner) = Some(error);
                    std::io::Error::other(text)
                })
            })
        })
    });
    let written = engine.write_archive(container, &landing.directory, own, archive).await;
    // What could not be read here is why the engine lost the connection.
    if let Some(error) = unreadable.lock().unwrap_or_else(std::sync::PoisonError::into_inner).take() {
        return Err(told(error));
    }
    match written {
        Err(EngineError::Refused { status: 404, .. }) => Err(told(CopyError::NoDirectory(landing.directory))),
        written => Ok(written?),
    }
}

/// Standard input in pieces.
fn stdin() -> impl Stream<Item = std::io::Result<Bytes>> + Send + 'static {
    stream::unfold(tokio::io::stdin(), |mut stdin| async move {
        let mut piece = Vec::with_capacity(PIECE);
        match stdin.read_buf(&mut piece).await {
            Ok(0) => None,
            Ok(_) => Some((Ok(Bytes::from(piece)), stdin)),
            Err(error) => Some((Err(error), stdin)),
        }
    })
}

/// A copy that cannot be made, with what to do next.
fn told(error: CopyError) -> anyhow::Error {
    let fault = Fault::new(Kind::Engine, error.to_string());
    match error.hint() {
        Some(hint) => fault.hint(hint).into(),
        None => fault.into(),
    }
}

/// Writes an archive to a file, which is there whole or not at all.
pub(super) async fn save(
    archive: impl Stream<Item = Result<Bytes, EngineError>>,
    path: &Path,
) -> anyhow::Result<()> {
    use futures_util::StreamExt;
    use std::io::Write;
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    if path.is_dir() || !folder.is_dir() {
        let message = match path.is_dir() {
            true => format!("{} is a directory", path.display()),
            false => format!("there is no directory {}", folder.display()),
        };
        return Err(Fault::new(Kind::Usage, message).hint("name a file in a directory that is there").into());
    }
    let mut file = tempfile::NamedTempFile::new_in(folder)
        .with_context(|| format!("{} cannot be written", path.display()))?;
    let mut archive = std::pin::pin!(archive);
    while let Some(piece) = archive.next().await {
        file.write_all(&piece?).with_context(|| format!("{} cannot be written", path.display()))?;
    }
    file.persist(path).with_context(|| format!("{} cannot be written", path.display()))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::Place;

    #[test]
    fn a_place_is_in_a_container_if_a_service_stands_before_a_colon() {
        let there =
            |service: &str, path: &str| Place::There { service: service.to_owned(), path: path.to_owned() };
        let here = |path: &str| Place::Here(path.to_owned());
        for (text, place) in [
            ("web:/etc", there("web", "/etc")),
            ("web:etc", there("web", "/etc")),
            ("web:", there("web", "/")),
            ("web:/a:b", there("web", "/a:b")),
            ("/web:/etc", here("/web:/etc")),
            ("./web:x", here("./web:x")),
            ("file", here("file")),
            (":x", here(":x")),
            ("-", here("-")),
        ] {
            assert_eq!(Place::of(text), place, "{text}");
        }
    }
}
