//! `stackctl generate`

use std::path::PathBuf;
use std::process::ExitCode;

use clap::ValueEnum;
use serde_json::Value;
use stack_engine::generate::generate;

use crate::args::Global;
use crate::error::{Fault, Kind};
use crate::render::{self, Renderer};
use crate::settings;

/// What `generate` takes.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Values of variables stand in the file as they are: look for secrets before it is shared.

Example:
  stackctl generate web db > stack.yaml")]
pub(crate) struct GenerateArgs {
    /// The containers, by name or id [default: those of the project that -p names, else all that run]
    containers: Vec<String>,
    /// Form of the output
    #[arg(long, value_enum, default_value_t)]
    format: Format,
    /// Project name in the file
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
    /// Directory that the paths of binds are written relative to, where they lie in it
    #[arg(long, value_name = "DIR")]
    project_dir: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
enum Format {
    /// YAML
    #[default]
    Yaml,
    /// JSON
    Json,
}

pub(crate) async fn run(global: &Global, args: GenerateArgs) -> anyhow::Result<ExitCode> {
    let engine = settings::any_engine(global, false).await?;
    let names = match args.containers.is_empty() {
        false => args.containers,
        true => match &global.project_name {
            Some(project) => {
                let listed = engine.list(Some(project), true, false).await?;
                listed.into_iter().filter(|found| !found.one_off).map(|found| found.id).collect()
            }
            None => engine.running().await?,
        },
    };
    if names.is_empty() {
        let message = match &global.project_name {
            Some(project) => format!("{project} has no containers"),
            None => "no container runs".to_owned(),
        };
        return Err(Fault::new(Kind::Engine, message).hint("name containers: stackctl generate NAME").into());
    }
    let inspected = engine.inspect(&names).await?.map_err(|absent| {
        Fault::new(Kind::Engine, format!("there is no container {absent}")).hint("see: docker ps --all")
    })?;
    let mut generated = generate(&inspected, args.name.as_deref());
    if let Some(directory) = args.project_dir {
        let directory = std::path::absolute(directory)?;
        shorten(&mut generated.stack, &directory.to_string_lossy());
    }
    let mut renderer = Renderer::new(global);
    for what in &generated.left_out {
        renderer.warn(&format!("{what} is left out"));
    }
    let format = if global.json { Format::Json } else { args.format };
    render::text(&match format {
        Format::Yaml => render::yaml::document(&Value::Object(generated.stack)),
        Format::Json => format!("{}\n", serde_json::to_string_pretty(&generated.stack)?),
    })?;
    Ok(ExitCode::SUCCESS)
}

/// Writes the sources of binds relative to the directory that they lie in.
fn shorten(stack: &mut serde_json::Map<String, Value>, directory: &str) {
    let services = stack.get_mut("services").and_then(Value::as_object_mut).into_iter().flatten();
    for (_, service) in services {
        let mounts = service.get_mut("volumes").and_then(Value::as_array_mut).into_iter().flatten();
        for mount in mounts.filter(|mount| mount["type"] == "bind") {
            let source = mount["source"].as_str().and_then(|path| path.strip_prefix(directory));
            let source = source.filter(|rest| rest.is_empty() || rest.starts_with('/'));
            if let Some(rest) = source.map(|rest| format!(".{rest}")) {
                mount["source"] = rest.into();
            }
        }
    }
}
