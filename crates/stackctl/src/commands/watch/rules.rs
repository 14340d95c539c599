//! What the file says of watching, checked.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use stack_engine::develop::{Scope, dockerignore};
use stack_file::diagnostic::Diagnostic;
use stack_file::model::{MountSource, Service, WatchAction, WatchRule};
use stack_file::source::Spanned;

use crate::error::{Fault, Kind};
use crate::render::{self, Renderer};
use crate::settings::Project;

/// A rule of a service.
pub(super) struct Rule {
    /// The service.
    pub(super) service: String,
    /// What the file says.
    pub(super) watch: WatchRule,
    /// The files it is about.
    pub(super) scope: Arc<Scope>,
    /// Whether files are copied: those of a directory that is mounted are in the container already.
    pub(super) copies: bool,
}

/// The rules of all services that are watched, in the order of the services.
pub(crate) struct Rules(pub(super) Vec<Rule>);

impl Rules {
    /// The rules of the services that are `among` these; of none of all. Refuses rules that cannot be
    /// kept, and a stack that has none.
    pub(crate) fn of(
        project: &Project,
        among: &BTreeSet<String>,
        renderer: &mut Renderer,
    ) -> anyhow::Result<Self> {
        let (mut rules, mut faults) = (Vec::new(), Vec::new());
        for spec in &project.desired.services {
            if !among.is_empty() && !among.contains(spec.name()) {
                continue;
            }
            for watch in &spec.service.watch {
                match rule(project, &spec.service, watch) {
                    Ok(Some(rule)) => rules.push(rule),
                    Ok(None) => renderer.warn(&format!(
                        "{}: {} is mounted into {}: its changes are there without a copy",
                        project.place(&watch.origin),
                        shown(project, &watch.path),
                        spec.name()
                    )),
                    Err(fault) => faults.push(*fault),
                }
            }
        }
        if !faults.is_empty() {
            render::diagnostics(&faults, &project.loaded.sources);
            return Err(Fault::new(Kind::File, "`develop.watch` cannot be followed").into());
        }
        if rules.is_empty() {
            let what = match among.len() {
                0 => "no service has anything to watch".to_owned(),
                1 => format!("{} has nothing to watch", among.iter().cloned().collect::<String>()),
                _ => "none of these services has anything to watch".to_owned(),
            };
            return Err(Fault::new(Kind::File, what)
                .hint("say what follows a change: develop: { watch: [ { path: ./src, action: sync, target: /srv/src } ] }")
                .into());
        }
        Ok(Self(rules))
    }

    /// Whether a service is watched.
    pub(crate) fn has(&self, service: &str) -> bool {
        self.0.iter().any(|rule| rule.service == service)
    }

    /// The services that are watched, in their order.
    pub(super) fn services(&self) -> Vec<String> {
        let mut names: Vec<String> = self.0.iter().map(|rule| rule.service.clone()).collect();
        names.dedup();
        names
    }

    /// One line per service: what is watched, and what follows.
    pub(crate) fn describe(&self, project: &Project) -> Vec<String> {
        let of_service = |name: &String| {
            let rules = self.0.iter().filter(|rule| rule.service == *name);
            let paths: Vec<String> = rules
                .map(|rule| format!("{} ({})", shown(project, &rule.watch.path), rule.watch.action.word()))
                .collect();
            format!("{name}  watches {}", paths.join(", "))
        };
        self.services().iter().map(of_service).collect()
    }
}

/// A path as a person would type it in the directory of the project.
pub(super) fn shown(project: &Project, path: &Path) -> String {
    let directory = &project.loaded.stack.directory;
    let real = directory.canonicalize();
    let inside = path.strip_prefix(directory).ok();
    let inside = inside.or_else(|| path.strip_prefix(real.as_ref().ok()?).ok());
    match inside {
        Some(inside) if inside.as_os_str().is_empty() => ".".to_owned(),
        Some(inside) => inside.display().to_string(),
        None => path.display().to_string(),
    }
}

/// A rule that can be kept; `None` where nothing is left to be done.
fn rule(
    project: &Project,
    service: &Service,
    watch: &Spanned<WatchRule>,
) -> Result<Option<Rule>, Box<Diagnostic>> {
    let fault = |what: String| Box::new(Diagnostic::error(what).at(&watch.origin));
    let name = service.name.as_str();
    if project.desired.service(name).is_some_and(|spec| spec.provider.is_some()) {
        return Err(Box::new(
            fault(format!("{name} is made by a provider, and has no container to watch for"))
                .help("leave `develop` out"),
        ));
    }
    let action = watch.action.value;
    if action == WatchAction::Rebuild && service.build.is_none() {
        return Err(Box::new(
            fault(format!("{name} cannot be rebuilt: it has no `build`"))
                .help("add `build`, or use `sync`, `restart` or `sync+restart`"),
        ));
    }
    let command = watch.exec.as_ref().is_some_and(|exec| !exec.command.is_empty());
    if action == WatchAction::SyncExec && !command {
        return Err(Box::new(
            fault("`sync+exec` has no command".to_owned()).help("add: exec: { command: … }"),
        ));
    }
    let mounted = action.copies() && is_mounted(service, &watch.path);
    if mounted && action == WatchAction::Sync {
        return Ok(None);
    }
    let context = match service.build.as_ref().map(|build| &build.value) {
        // A context that is elsewhere has no files here.
        Some(build) if build.context.is_dir() => {
            let text = |text: &Option<Spanned<String>>| text.as_ref().map(|text| text.value.clone());
            let (dockerfile, inline) = (text(&build.dockerfile), text(&build.dockerfile_inline));
            let ignore = dockerignore(&build.context, dockerfile.as_deref(), inline.as_deref())
                .map_err(|error| fault(error.to_string()))?;
            Some((build.context.value.clone(), ignore))
        }
        _ => None,
    };
    let texts = |list: &[Spanned<String>]| list.iter().map(|text| text.value.clone()).collect::<Vec<_>>();
    let scope = Scope::new(&watch.path, &texts(&watch.include), &texts(&watch.ignore), context)
        .map_err(|error| fault(format!("{:?} is no pattern", error.pattern)))?;
    Ok(Some(Rule {
        service: name.to_owned(),
        watch: watch.value.clone(),
        scope: Arc::new(scope),
        copies: action.copies() && !mounted,
    }))
}

/// Whether containers of a service see the path itself, through a mount.
fn is_mounted(service: &Service, path: &Path) -> bool {
    service.volumes.iter().any(|mount| match &mount.source {
        MountSource::Bind { path: source, .. } => path.starts_with(source),
        _ => false,
    })
}
