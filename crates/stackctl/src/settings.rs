//! From the command line and the environment to a stack and an engine.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Read;
use std::path::Path;

use anyhow::Context;
use stack_engine::engine::Query;
use stack_engine::provider::Programs;
use stack_file::destination::Backend;
use stack_file::diagnostic::Diagnostic;
use stack_file::load::{Loaded, Omitted, Request, load, load_kept, load_without, variables_of};
use stack_file::source::{Origin, Spanned};
use stack_file::swarm;
use stack_plan::desired::{Desired, Provided};
use stack_plan::generation::{Generation, STDIN};
use stack_plan::plan::Plan;
use stack_plan::swarm::SwarmDesired;

use crate::args::Global;
use crate::closest::closest;
use crate::commands::config::digests;
use crate::error::{Fault, Kind};
use crate::render;

pub(crate) mod destination;

pub(crate) use self::destination::{any_engine, backend, either, engine, manager};

/// Of stacks with at most so many containers, plans ask for each what it is set to now. For larger
/// ones that would take longer than all else.
pub(crate) const CLOSELY: usize = 24;

/// The variable that names the platform of services that name none, as docker has it.
const DEFAULT_PLATFORM: &str = "DOCKER_DEFAULT_PLATFORM";

/// A stack that can be used.
#[derive(Clone)]
pub(crate) struct Project {
    pub(crate) loaded: Loaded,
    pub(crate) desired: Desired,
    scale: BTreeMap<String, u32>,
    /// The references under which the images of services are taken, in the place of the file's.
    pins: BTreeMap<String, String>,
    /// Variables for the programs that make services; none where there are no such services.
    environment: BTreeMap<String, String>,
}

impl Project {
    /// A stack that was read, with the variables for the programs that make its services.
    pub(crate) fn of(
        loaded: Loaded,
        environment: BTreeMap<String, String>,
        scale: &BTreeMap<String, u32>,
    ) -> Self {
        let desired = Desired::of(&loaded.stack, scale);
        Self { loaded, desired, scale: scale.clone(), pins: BTreeMap::new(), environment }
    }

    /// What is wanted once the programs that make services have said what they have to say.
    pub(crate) fn desired_with(&self, provided: &Provided) -> Desired {
        Desired::with_provided(&self.loaded.stack, &self.scale, provided).pinned(&self.pins)
    }

    /// The same with the images of some services under other references, such as ids; what is
    /// recorded of them stays what the file says.
    pub(crate) fn pinned(self, pins: BTreeMap<String, String>) -> Self {
        Self { desired: self.desired.pinned(&pins), pins, ..self }
    }

    /// The same with other images for some services.
    pub(crate) fn with_images(mut self, images: &BTreeMap<String, String>) -> Self {
        let stack = &mut self.loaded.stack;
        for (service, image) in digests::images(&mut stack.tree) {
            if let Some(other) = images.get(service) {
                image.clone_from(other);
            }
        }
        for (name, service) in &mut stack.services {
            if let (Some(image), Some(other)) = (&mut service.image, images.get(name)) {
                image.value.clone_from(other);
            }
        }
        Self::of(self.loaded, self.environment, &self.scale)
    }

    /// The same with other numbers of containers for some services.
    pub(crate) fn scaled(&self, numbers: &BTreeMap<String, u32>) -> Self {
        let mut scale = self.scale.clone();
        scale.extend(numbers.iter().map(|(service, number)| (service.clone(), *number)));
        Self::of(self.loaded.clone(), self.environment.clone(), &scale)
    }

    /// Where programs that make services are looked for.
    pub(crate) fn programs(&self) -> Programs {
        Programs { environment: self.environment.clone() }
    }

    /// The services that a service needs to be there, directly or not, itself left out.
    pub(crate) fn needs(&self, service: &str) -> BTreeSet<String> {
        let mut needed = BTreeSet::new();
        let mut next = vec![service.to_owned()];
        while let Some(name) = next.pop() {
            let Some(spec) = self.desired.service(&name) else { continue };
            let more = spec.service.depends_on.keys().filter(|name| !needed.contains(*name)).cloned();
            let more: Vec<String> = more.collect();
            needed.extend(more.iter().cloned());
            next.extend(more);
        }
        needed.remove(service);
        needed
    }

    /// Where a value stands: `stack.yaml:14:5`.
    pub(crate) fn place(&self, origin: &Origin) -> String {
        self.loaded.sources.place(origin).to_string()
    }

    /// What is wanted of a swarm.
    pub(crate) fn on_swarm(&self) -> SwarmDesired {
        SwarmDesired::of(&self.loaded.stack, &self.desired)
    }

    /// What to look at on the engine.
    pub(crate) fn query(&self) -> Query {
        Query {
            project: self.desired.project.clone(),
            images: self.desired.references(),
            aging: self.desired.aging(),
            networks: self.desired.networks.iter().map(|spec| spec.network.name.clone()).collect(),
            volumes: self.desired.volumes.iter().map(|spec| spec.volume.name.clone()).collect(),
            actual: CLOSELY,
        }
    }

    /// Refuses a plan that cannot be carried out, and shows all that is in the way.
    pub(crate) fn check_obstacles(&self, plan: &Plan) -> anyhow::Result<()> {
        if plan.obstacles.is_empty() {
            return Ok(());
        }
        let told: Vec<_> = (plan.obstacles.iter())
            .map(|obstacle| Diagnostic::error(&obstacle.what).at(&obstacle.origin).help(&obstacle.next))
            .collect();
        render::diagnostics(&told, &self.loaded.sources);
        Err(Fault::new(Kind::Refused, "nothing was done: the stack cannot come up on this engine").into())
    }

    /// Refuses names that the file does not have.
    pub(crate) fn check_services(&self, names: &[String]) -> anyhow::Result<()> {
        let known = || self.desired.services.iter().map(|spec| spec.name());
        for name in names {
            if self.desired.service(name).is_some() {
                continue;
            }
            if self.desired.disabled.contains(name) {
                let message = format!("the service {name} is not enabled by any profile");
                return Err(Fault::new(Kind::Usage, message).hint("enable it with: --profile NAME").into());
            }
            let hint = match closest(name, known()) {
                Some(close) => format!("did you mean {close}?"),
                None => format!("the file has: {}", known().collect::<Vec<_>>().join(", ")),
            };
            return Err(Fault::new(Kind::Usage, format!("there is no service {name}")).hint(hint).into());
        }
        Ok(())
    }
}

/// The environment of the process. What is not UTF-8 cannot be a variable of a stack file.
fn environment() -> BTreeMap<String, String> {
    std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
        .collect()
}

/// Reads the stack file, shows what there is to say about it, and refuses one with errors.
/// What stackctl cannot do yet is no error to a reader: see [`to_act`].
pub(crate) fn read(global: &Global, scale: &BTreeMap<String, u32>) -> anyhow::Result<Project> {
    let (loaded, environment) = with_request(global, |request| load_with_variables(global, request))?;
    accept(&loaded)?;
    Ok(Project::of(loaded, environment, scale))
}

/// As [`read`], for a command that does what the file says: it also refuses what stackctl
/// cannot do yet, so that nothing is ignored silently.
pub(crate) fn to_act(global: &Global, scale: &BTreeMap<String, u32>) -> anyhow::Result<Project> {
    let (loaded, environment) = with_request(global, |request| load_with_variables(global, request))?;
    fit_to_act(global, loaded, environment, scale)
}

/// As [`to_act`], for a stack that is loaded already, with the variables for its programs.
pub(crate) fn fit_to_act(
    global: &Global,
    mut loaded: Loaded,
    environment: BTreeMap<String, String>,
    scale: &BTreeMap<String, u32>,
) -> anyhow::Result<Project> {
    let unsupported = match backend(global)? {
        Backend::Docker => std::mem::take(&mut loaded.unsupported),
        Backend::Swarm => swarm::refusals(&loaded, &global.allow_unsupported),
    };
    loaded.diagnostics.extend(unsupported);
    accept(&loaded)?;
    Ok(Project::of(loaded, environment, scale))
}

/// A stack, and the variables for the programs that make its services.
pub(crate) fn load_with_variables(
    global: &Global,
    request: &Request<'_>,
) -> (Loaded, BTreeMap<String, String>) {
    let loaded = load_without(request, Omitted { unused: global.all_resources, ..Omitted::default() });
    destination::note(global, &loaded);
    completed(loaded, request)
}

/// A stack with what stands in no file, and the variables for the programs that make its services.
fn completed(mut loaded: Loaded, request: &Request<'_>) -> (Loaded, BTreeMap<String, String>) {
    if let Some(platform) = request.environment.get(DEFAULT_PLATFORM).filter(|name| !name.is_empty()) {
        let mut services = loaded.stack.services.values_mut();
        let without = services.by_ref().filter(|service| service.platform.is_none());
        for service in without.filter(|service| service.provider.is_none()) {
            service.platform = Some(Spanned::new(platform.clone(), service.name.origin.clone()));
        }
    }
    let mut services = loaded.stack.services.values();
    let programs = services.any(|service| service.provider.is_some() || !service.models.is_empty());
    let environment = if programs { variables_of(request) } else { BTreeMap::new() };
    (loaded, environment)
}

/// Shows what there is to say about a stack file, and refuses one with errors.
pub(crate) fn accept(loaded: &Loaded) -> anyhow::Result<()> {
    if !loaded.diagnostics.is_empty() {
        render::diagnostics(&loaded.diagnostics, &loaded.sources);
    }
    let errors = loaded
        .diagnostics
        .iter()
        .filter(|found| found.severity == stack_file::diagnostic::Severity::Error)
        .count();
    if errors > 0 {
        let plural = if errors == 1 { "" } else { "s" };
        return Err(Fault::new(Kind::File, format!("the stack file has {errors} error{plural}")).into());
    }
    Ok(())
}

/// The project for a command that works on what is there: with its file if one can
/// be found, else by the name alone.
pub(crate) fn read_or_name(global: &Global) -> anyhow::Result<(Option<Project>, String)> {
    let (unplanned, name) = unplanned_or_name(global)?;
    Ok((unplanned.map(Unplanned::planned), name))
}

/// A stack that was read, without what is wanted of it, which takes longer than the reading.
pub(crate) struct Unplanned {
    pub(crate) loaded: Loaded,
    environment: BTreeMap<String, String>,
}

impl Unplanned {
    /// The same with what is wanted of it.
    pub(crate) fn planned(self) -> Project {
        Project::of(self.loaded, self.environment, &BTreeMap::new())
    }
}

/// As [`read_or_name`], for a command that only looks at what is there.
pub(crate) fn unplanned_or_name(global: &Global) -> anyhow::Result<(Option<Unplanned>, String)> {
    let (loaded, environment) = with_request(global, |request| load_with_variables(global, request))?;
    if global.files.is_empty()
        && loaded.has_errors()
        && let Some(name) = &global.project_name
    {
        return Ok((None, name.clone()));
    }
    accept(&loaded)?;
    let name = loaded.stack.name.value.clone();
    Ok((Some(Unplanned { loaded, environment }), name))
}

/// Notes where the file says that the project of a given name belongs, if there is one and the
/// command line does not say it.
pub(crate) fn note_destination(global: &Global) -> anyhow::Result<()> {
    if global.engine.is_none() {
        destination::note(global, &with_request(global, load)?);
    }
    Ok(())
}

/// The project of a command that needs no file: its name, from a file if the command line has none.
pub(crate) fn name(global: &Global) -> anyhow::Result<String> {
    if let Some(name) = &global.project_name {
        note_destination(global)?;
        return Ok(name.clone());
    }
    let loaded = with_request(global, load)?;
    destination::note(global, &loaded);
    // A file that is wrong in other ways still says whose it is.
    if loaded.stack.files.is_empty() {
        accept(&loaded)?;
    }
    Ok(loaded.stack.name.value)
}

/// The stack of the command line, if there is one without errors; nothing is said of any.
pub(crate) fn loaded(global: &Global) -> anyhow::Result<Option<Project>> {
    let (loaded, environment) = with_request(global, |request| load_with_variables(global, request))?;
    Ok((!loaded.has_errors()).then(|| Project::of(loaded, environment, &BTreeMap::new())))
}

/// The stack of a generation, read from its own texts: variables, environment files and the
/// contents of configs and secrets are those of now.
pub(crate) fn of_generation(global: &Global, generation: &Generation) -> anyhow::Result<Project> {
    let kept = &generation.stack;
    let here = std::env::current_dir().context("the working directory cannot be read")?;
    let mut environment = environment();
    // What decides on names and profiles is part of the generation.
    let compatible = kept.separator == '_';
    environment.insert("COMPOSE_COMPATIBILITY".to_owned(), compatible.to_string());
    environment.insert("COMPOSE_PROFILES".to_owned(), kept.profiles.join(","));
    let env_files = match global.env_files.as_slice() {
        [] => kept.env_files.clone(),
        given => given.iter().map(|path| here.join(path)).collect(),
    };
    let request = Request {
        files: kept.files.clone(),
        // On another machine there is no such directory, and `.env` is that of where one is.
        directory: if kept.directory.is_dir() { kept.directory.clone() } else { here },
        project_directory: Some(kept.directory.clone()),
        project_name: Some(generation.project.clone()),
        env_files,
        profiles: kept.profiles.clone(),
        environment: &environment,
        stdin: kept.texts.get(Path::new(STDIN)).map(String::as_str),
    };
    let loaded = load_kept(&request, &kept.texts);
    destination::note(global, &loaded);
    let (loaded, variables) = completed(loaded, &request);
    let scale = generation.services.iter().map(|(name, service)| (name.clone(), service.scale)).collect();
    let images = generation
        .services
        .iter()
        .filter_map(|(name, service)| Some((name.clone(), service.image.as_ref()?.reference.clone())));
    let images: BTreeMap<String, String> = images.collect();
    Ok(fit_to_act(global, loaded, variables, &scale)?.with_images(&images))
}

/// Does something with what the command line asks to be loaded; standard input is read once.
pub(crate) fn with_request<T>(global: &Global, work: impl FnOnce(&Request<'_>) -> T) -> anyhow::Result<T> {
    let directory = match &global.directory {
        Some(directory) => directory.clone(),
        None => std::env::current_dir().context("the working directory cannot be read")?,
    };
    let mut environment = environment();
    if global.compatibility {
        environment.insert("COMPOSE_COMPATIBILITY".to_owned(), "true".to_owned());
    }
    let mut stdin = None;
    if global.files.iter().any(|file| file == Path::new("-")) {
        let mut text = String::new();
        std::io::stdin().read_to_string(&mut text).context("standard input cannot be read")?;
        stdin = Some(text);
    }
    Ok(work(&Request {
        files: global.files.clone(),
        directory,
        project_directory: global.project_directory.clone(),
        project_name: global.project_name.clone(),
        env_files: global.env_files.clone(),
        profiles: global.profiles.clone(),
        environment: &environment,
        stdin: stdin.as_deref(),
    }))
}

/// Looks up the variables that docker's own settings depend on.
pub(crate) fn variables(global: &Global) -> impl Fn(&str) -> Option<String> + use<'_> {
    |name| match (&global.docker_config, name) {
        (Some(directory), "DOCKER_CONFIG") => Some(directory.to_string_lossy().into_owned()),
        _ => std::env::var(name).ok(),
    }
}
