//! `stackctl config`

pub(crate) mod digests;

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;
use clap::ValueEnum;
use serde::Serialize;
use stack_file::config::Form;
use stack_file::load::{Loaded, Omitted, Request, load_without, variables_of};
use stack_file::select::select;
use stack_file::source::Sources;
use stack_file::tree::Node;
use stack_file::variables;
use stack_plan::config_hash;

use crate::args::Global;
use crate::error::{Fault, Kind};
use crate::render::config as show;
use crate::settings::Project;
use crate::{render, settings};

/// What `config` takes.
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = "Example:\n  stackctl config --services")]
pub(crate) struct ConfigArgs {
    /// Only these services, and what they depend on
    #[arg(value_name = "SERVICE")]
    only: Vec<String>,
    /// Form of the output [default: yaml; a table for --variables]
    #[arg(long, value_enum)]
    format: Option<Format>,
    /// Only check the file
    #[arg(short, long)]
    quiet: bool,
    /// File to write to instead of standard output
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Show values that look like secrets on a terminal, too
    #[arg(long)]
    reveal: bool,
    /// Only the names of the services, one per line
    #[arg(long, group = "list", help_heading = "Lists")]
    services: bool,
    /// Only the images, one per line
    #[arg(long, group = "list", help_heading = "Lists")]
    images: bool,
    /// Only the profiles, one per line
    #[arg(long = "profiles", id = "all_profiles", group = "list", help_heading = "Lists")]
    all_profiles: bool,
    /// Only the keys of the networks, one per line
    #[arg(long, group = "list", help_heading = "Lists")]
    networks: bool,
    /// Only the keys of the volumes, one per line
    #[arg(long, group = "list", help_heading = "Lists")]
    volumes: bool,
    /// Only the models, one per line
    #[arg(long, group = "list", help_heading = "Lists")]
    models: bool,
    /// Only the variables that the file may use, as NAME=value
    #[arg(long, group = "list", help_heading = "Lists")]
    environment: bool,
    /// Only the variables that the file names, with their defaults
    #[arg(long, group = "list", help_heading = "Lists")]
    variables: bool,
    /// Only the hashes of services, joined by commas, or of all for '*'
    ///
    /// It is the hash that docker compose compares: equal hashes, nothing to change.
    #[arg(long, group = "list", value_name = "SERVICES", help_heading = "Lists")]
    hash: Option<String>,
    /// Leave variables as they are written
    #[arg(long, help_heading = "What is left undone")]
    no_interpolate: bool,
    /// Leave out names, networks and dependencies that are implied
    #[arg(long, help_heading = "What is left undone")]
    no_normalize: bool,
    /// Leave paths as they are written
    #[arg(long, help_heading = "What is left undone")]
    no_path_resolution: bool,
    /// Do not check whether the parts fit together
    #[arg(long, help_heading = "What is left undone")]
    no_consistency: bool,
    /// Leave environment files unread
    #[arg(long, help_heading = "What is left undone")]
    no_env_resolution: bool,
    /// Pin images to the digests that their registries tell now
    #[arg(long, help_heading = "Images", conflicts_with = "list")]
    resolve_image_digests: bool,
    /// Only an override file that pins the images to their digests
    #[arg(long, help_heading = "Images", conflicts_with = "list")]
    lock_image_digests: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    /// YAML
    Yaml,
    /// JSON
    Json,
}

pub(crate) async fn run(global: &Global, args: &ConfigArgs) -> anyhow::Result<ExitCode> {
    let format = if global.json { Some(Format::Json) } else { args.format };
    let args = &ConfigArgs { format, ..args.clone() };
    let text = match settings::with_request(global, |request| shown(request, global, args))?? {
        Shown::Text(text) => text,
        Shown::Stack(mut tree, sources) => {
            if args.resolve_image_digests || args.lock_image_digests {
                digests::pin(global, &mut tree).await?;
            }
            if args.lock_image_digests {
                tree = digests::only_images(tree);
            }
            if args.hides() {
                show::hide(&mut tree, &sources);
            }
            // What is shown can be read again: a plain dollar sign is written twice.
            if !args.no_interpolate {
                tree.double_dollars();
            }
            written(&tree, args.format)?
        }
    };
    if args.quiet {
        return Ok(ExitCode::SUCCESS);
    }
    match &args.output {
        Some(file) => {
            std::fs::write(file, text).with_context(|| format!("{} cannot be written", file.display()))?;
        }
        None => render::text(&text)?,
    }
    Ok(ExitCode::SUCCESS)
}

/// What is asked for.
enum Shown {
    /// A stack in the form in which it is written, and the texts that it came from.
    Stack(Node, Sources),
    /// Something else, as text.
    Text(String),
}

impl ConfigArgs {
    fn omitted(&self, global: &Global) -> Omitted {
        Omitted {
            variables: self.no_interpolate || self.variables,
            defaults: self.no_normalize,
            paths: self.no_path_resolution,
            checks: self.no_consistency,
            env_files: self.no_env_resolution,
            unused: global.all_resources,
        }
    }

    /// Whether nothing is asked beyond whether the file is right.
    fn only_checks(&self) -> bool {
        let asks = !self.only.is_empty()
            || self.hash.is_some()
            || self.no_interpolate
            || self.resolve_image_digests
            || self.lock_image_digests;
        self.quiet && !asks
    }

    /// Whether values that look like secrets must not be seen.
    fn hides(&self) -> bool {
        !self.reveal && self.output.is_none() && render::is_watched()
    }
}

fn shown(request: &Request<'_>, global: &Global, args: &ConfigArgs) -> anyhow::Result<Shown> {
    let mut request = request.clone();
    if args.all_profiles {
        request.profiles.push("*".to_owned());
    }
    let mut loaded = load_without(&request, args.omitted(global));
    // A service that is named is wanted, whatever its profiles.
    if args.only.iter().any(|name| loaded.stack.disabled.contains(name)) {
        request.profiles.push("*".to_owned());
        loaded = load_without(&request, args.omitted(global));
    }
    settings::accept(&loaded)?;
    if args.only_checks() {
        // The process ends, and its memory with it: nobody needs to take the stack apart.
        std::mem::forget(loaded);
        return Ok(Shown::Text(String::new()));
    }
    if args.environment {
        let mut all = variables_of(&request);
        all.insert("COMPOSE_PROJECT_NAME".to_owned(), loaded.stack.name.value.clone());
        return Ok(Shown::Text(show::environment(&all, args.hides())));
    }
    if args.variables {
        return variables_text(&loaded.stack.tree, args.format).map(Shown::Text);
    }
    if args.no_interpolate {
        return verbatim(loaded, args);
    }

    let mut project = Project::of(loaded, BTreeMap::new(), &BTreeMap::new());
    project.check_services(&args.only)?;
    let Project { loaded, desired, .. } = &mut project;
    let stack = &mut loaded.stack;
    if let Some(wanted) = &args.hash {
        return hashes(&project, wanted).map(Shown::Text);
    }
    Ok(Shown::Text(if args.services {
        show::list(desired.services.iter().map(|spec| spec.name()))
    } else if args.images {
        show::list(desired.selection(&args.only, true).iter().map(|spec| spec.image.as_str()))
    } else if args.all_profiles {
        let all: BTreeSet<&str> = stack
            .services
            .values()
            .flat_map(|service| service.profiles.iter().map(|profile| profile.value.as_str()))
            .collect();
        show::list(all)
    } else if args.networks {
        show::list(stack.networks.keys().map(String::as_str))
    } else if args.volumes {
        show::list(stack.volumes.keys().map(String::as_str))
    } else if args.models {
        let models = stack.tree.get("models").and_then(Node::as_mapping).into_iter().flatten();
        let names = models.filter_map(|(_, entry)| entry.node.get("model")?.as_scalar());
        show::list(names.map(|scalar| scalar.text.as_str()))
    } else {
        if !args.only.is_empty() {
            select(&mut stack.tree, &args.only);
        }
        let form = if args.format == Some(Format::Json) { Form::Json } else { Form::Yaml };
        return Ok(Shown::Stack(stack.config(form), std::mem::take(&mut loaded.sources)));
    }))
}

fn written(value: &impl Serialize, format: Option<Format>) -> anyhow::Result<String> {
    Ok(match format {
        None | Some(Format::Yaml) => render::yaml::document(&serde_json::to_value(value)?),
        // What cleans results for files takes this sign, as it stands, for one to a terminal.
        Some(Format::Json) => {
            format!("{}\n", serde_json::to_string_pretty(value)?.replace('\u{7f}', "\\u007f"))
        }
    })
}

fn variables_text(tree: &Node, format: Option<Format>) -> anyhow::Result<String> {
    let all = variables::of_tree(tree);
    match format {
        None => Ok(show::variables(&all)),
        format => written(&show::variables_value(&all), format),
    }
}

/// A stack whose variables are not filled in has a tree alone.
fn verbatim(loaded: Loaded, args: &ConfigArgs) -> anyhow::Result<Shown> {
    let tree = loaded.stack.tree;
    let keys = |kind: &str| {
        let entries = tree.get(kind).and_then(Node::as_mapping).into_iter().flatten();
        Shown::Text(show::list(entries.map(|(key, _)| key.as_str())))
    };
    if args.services {
        return Ok(keys("services"));
    }
    if args.networks {
        return Ok(keys("networks"));
    }
    if args.volumes {
        return Ok(keys("volumes"));
    }
    if args.images || args.all_profiles || args.models || args.hash.is_some() {
        let message = "this list needs the variables filled in";
        return Err(Fault::new(Kind::Usage, message).hint("leave out --no-interpolate").into());
    }
    if !args.only.is_empty() {
        let message = "without its variables a stack is shown as a whole, not by service";
        return Err(Fault::new(Kind::Usage, message)
            .hint("leave out the services, or --no-interpolate")
            .into());
    }
    Ok(Shown::Stack(tree, loaded.sources))
}

fn hashes(project: &Project, wanted: &str) -> anyhow::Result<String> {
    let names: Vec<String> = match wanted {
        "*" => Vec::new(),
        list => list.split(',').map(|name| name.trim().to_owned()).collect(),
    };
    project.check_services(&names)?;
    let mut specs = project.desired.selection(&names, false);
    specs.sort_by_key(|spec| spec.name().to_owned());
    // A container's label has what `use_api_socket` comes to in it, and docker compose shows it without.
    let services = project.loaded.stack.tree.get("services");
    let hash = |name: &str| services.and_then(|all| all.get(name)).map(config_hash::of_service);
    Ok(specs
        .iter()
        .map(|spec| format!("{} {}\n", spec.name(), hash(spec.name()).unwrap_or_default()))
        .collect())
}
