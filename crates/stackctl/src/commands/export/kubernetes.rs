//! `stackctl export kubernetes`

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context;
use clap::ValueEnum;
use stack_file::diagnostic::Severity;
use stack_file::load::load;
use stack_kubernetes::{Found, Object, Options, Publish, export, is_namespace, is_quantity};

use crate::args::Global;
use crate::commands::target;
use crate::error::{Fault, Kind};
use crate::render::{Renderer, kubernetes as show};
use crate::{render, settings};

/// The word that stands for this form.
pub(super) const NAME: &str = "kubernetes";

/// The most that is read of what a service binds: an object of Kubernetes holds no more.
const LARGEST: u64 = 1 << 20;
/// How many files of a directory are read for one object.
const MOST_FILES: usize = 1000;

/// What `export kubernetes` takes.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  stackctl export kubernetes -o manifests/ --namespace shop\n\n\
    What manifests cannot say is told with its line. Apply them with: kubectl apply -f manifests/")]
pub(crate) struct KubernetesArgs {
    /// Directory for one file per object, a FILE.yaml or FILE.json for all, or `-`
    #[arg(short, long, value_name = "PATH", default_value = "-")]
    output: PathBuf,
    /// Namespace of all objects; without it they have none, and go where they are applied
    #[arg(short, long, value_name = "NAME", value_parser = namespace)]
    namespace: Option<String>,
    /// What published ports become
    #[arg(long, value_enum, default_value_t = PublishAs::LoadBalancer, value_name = "KIND")]
    publish: PublishAs,
    /// Size of claims for volumes that tell none
    #[arg(long, value_name = "SIZE", default_value = "1Gi", value_parser = quantity)]
    volume_size: String,
    /// Image of what waits for dependencies, with `sh`, `nc`, and `curl` for jobs [default: busybox, and curlimages/curl for jobs]
    #[arg(long, value_name = "IMAGE")]
    wait_image: Option<String>,
    /// Write nothing when there is something that manifests cannot say; exit code 3
    #[arg(long)]
    strict: bool,
    /// Show the contents of Secrets on a terminal, too
    #[arg(long)]
    reveal: bool,
}

/// What published ports become.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum PublishAs {
    /// A Service of type LoadBalancer, at the published port
    LoadBalancer,
    /// A Service of type NodePort
    NodePort,
    /// Nothing: they are open within the cluster alone
    None,
}

fn namespace(text: &str) -> Result<String, String> {
    if is_namespace(text) {
        return Ok(text.to_owned());
    }
    Err("a namespace has lower-case letters, digits and `-`, 63 at most".to_owned())
}

fn quantity(text: &str) -> Result<String, String> {
    if is_quantity(text) { Ok(text.to_owned()) } else { Err("write a size as in 10Gi".to_owned()) }
}

pub(crate) fn run(global: &Global, args: &KubernetesArgs) -> anyhow::Result<ExitCode> {
    let loaded = settings::with_request(global, load)?;
    settings::accept(&loaded)?;
    let options = Options {
        namespace: args.namespace.clone(),
        publish: match args.publish {
            PublishAs::LoadBalancer => Publish::LoadBalancer,
            PublishAs::NodePort => Publish::NodePort,
            PublishAs::None => Publish::Nothing,
        },
        volume_size: args.volume_size.clone(),
        wait_image: args.wait_image.clone(),
    };
    let written = export(&loaded, &options, &look);
    if !written.diagnostics.is_empty() {
        render::diagnostics(&written.diagnostics, &loaded.sources);
    }
    let errors = written.diagnostics.iter().filter(|told| told.severity == Severity::Error).count();
    if errors > 0 {
        let plural = if errors == 1 { "" } else { "s" };
        let message = format!("nothing was written: manifests cannot be made with {errors} error{plural}");
        return Err(Fault::new(Kind::File, message).into());
    }
    if args.strict && !written.diagnostics.is_empty() {
        let message = "nothing was written: manifests would leave something out";
        return Err(Fault::new(Kind::File, message).hint("leave out --strict to write the rest").into());
    }
    if global.dry_run {
        let words = match written.objects.len() {
            1 => "1 object".to_owned(),
            number => format!("{number} objects"),
        };
        return target::rehearse(&format!("write {words} to {}", args.output.display()));
    }
    save(global, args, &written.objects)?;
    Ok(ExitCode::SUCCESS)
}

fn save(global: &Global, args: &KubernetesArgs, objects: &[Object]) -> anyhow::Result<()> {
    let path = &args.output;
    if path.as_os_str() == "-" {
        let hidden = render::is_watched() && !args.reveal;
        let text = if global.json { show::list(objects, hidden) } else { show::stream(objects, hidden) };
        render::text(&text)?;
        if hidden && objects.iter().any(is_secret) {
            Renderer::new(global)
                .note("contents of Secrets are hidden on a terminal; show them with --reveal");
        }
        return Ok(());
    }
    let secret = objects.iter().any(is_secret);
    let form = path.extension().map(|ending| ending.to_string_lossy().to_ascii_lowercase());
    match form.as_deref() {
        Some("json") => keep(path, &show::list(objects, false), secret)?,
        Some("yaml" | "yml") => keep(path, &show::stream(objects, false), secret)?,
        _ => save_each(path, objects)?,
    }
    let number = objects.len();
    let plural = if number == 1 { "" } else { "s" };
    Renderer::new(global).note(&format!("{number} object{plural} written to {}", path.display()));
    Ok(())
}

/// One file per object. Files of an earlier export that are of no object now are removed: names
/// with another content are others, and would be applied again.
fn save_each(directory: &Path, objects: &[Object]) -> anyhow::Result<()> {
    fs::create_dir_all(directory).with_context(|| format!("{} cannot be made", directory.display()))?;
    let names: Vec<String> = objects
        .iter()
        .map(|object| format!("{}-{}.yaml", object.kind.to_ascii_lowercase(), object.name))
        .collect();
    let foreign = names.iter().map(|name| directory.join(name)).find(|path| path.exists() && !is_ours(path));
    if let Some(path) = foreign {
        let message = format!("{} was not written by stackctl", path.display());
        return Err(Fault::new(Kind::Usage, message).hint("move it away, or name another directory").into());
    }
    for entry in fs::read_dir(directory).with_context(|| directory.display().to_string())? {
        let path = entry?.path();
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        if name.ends_with(".yaml") && !names.contains(&name) && is_ours(&path) {
            fs::remove_file(&path).with_context(|| format!("{} cannot be removed", path.display()))?;
        }
    }
    for (name, object) in names.iter().zip(objects) {
        keep(&directory.join(name), &show::single(object), is_secret(object))?;
    }
    Ok(())
}

fn is_ours(path: &Path) -> bool {
    fs::read_to_string(path).is_ok_and(|text| text.starts_with(show::HEADER))
}

fn is_secret(object: &Object) -> bool {
    object.kind == "Secret"
}

/// Writes a file, for this user alone where it holds secrets. What was there stays until the new
/// one is whole.
fn keep(path: &Path, text: &str, secret: bool) -> anyhow::Result<()> {
    let beside = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut builder = tempfile::Builder::new();
    #[cfg(unix)]
    if !secret {
        use std::os::unix::fs::PermissionsExt;
        builder.permissions(fs::Permissions::from_mode(0o666));
    }
    #[cfg(not(unix))]
    let _ = secret;
    let write = || -> std::io::Result<()> {
        let mut file = builder.tempfile_in(beside)?;
        file.write_all(text.as_bytes())?;
        file.persist(path).map_err(|error| error.error)?;
        Ok(())
    };
    write().with_context(|| format!("{} cannot be written", path.display()))
}

/// What is at a path that a service binds.
pub(crate) fn look(path: &Path) -> Found {
    let Ok(metadata) = fs::metadata(path) else { return Found::Other };
    if metadata.is_file() {
        return match contents(path, metadata.len()) {
            Ok(content) => Found::File { content, executable: is_executable(&metadata) },
            Err(why) => Found::Unread(why),
        };
    }
    if !metadata.is_dir() {
        return Found::Other;
    }
    let mut files = Vec::new();
    let mut left = LARGEST;
    match collect(path, "", &mut files, &mut left) {
        Ok(()) => {
            files.sort();
            Found::Directory(files)
        }
        Err(why) => Found::Unread(why),
    }
}

fn collect(
    directory: &Path,
    prefix: &str,
    files: &mut Vec<(String, Vec<u8>)>,
    left: &mut u64,
) -> Result<(), String> {
    for entry in fs::read_dir(directory).map_err(|error| error.to_string())? {
        let entry = entry.map_err(|error| error.to_string())?;
        let Ok(name) = entry.file_name().into_string() else {
            return Err("a name in it is no UTF-8".to_owned());
        };
        let path = entry.path();
        let metadata = fs::metadata(&path).map_err(|error| format!("{name}: {error}"))?;
        if entry.file_type().is_ok_and(|kind| kind.is_symlink()) && metadata.is_dir() {
            return Err(format!("{name} is a link to a directory"));
        }
        if metadata.is_dir() {
            collect(&path, &format!("{prefix}{name}/"), files, left)?;
        } else if metadata.is_file() {
            *left = left.checked_sub(metadata.len()).ok_or_else(too_large)?;
            if files.len() >= MOST_FILES {
                return Err(format!("it holds more than {MOST_FILES} files"));
            }
            files.push((format!("{prefix}{name}"), contents(&path, metadata.len())?));
        } else {
            return Err(format!("{name} is no file"));
        }
    }
    Ok(())
}

fn contents(path: &Path, size: u64) -> Result<Vec<u8>, String> {
    if size > LARGEST {
        return Err(too_large());
    }
    fs::read(path).map_err(|error| error.to_string())
}

fn too_large() -> String {
    "it is larger than 1 MiB".to_owned()
}

#[cfg(unix)]
fn is_executable(metadata: &fs::Metadata) -> bool {
    use std::os::unix::fs::PermissionsExt;
    metadata.permissions().mode() & 0o111 != 0
}

#[cfg(not(unix))]
fn is_executable(_: &fs::Metadata) -> bool {
    false
}
