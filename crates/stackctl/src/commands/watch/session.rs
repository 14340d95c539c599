//! What is done while files change.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::path::Path;
use std::rc::Rc;
use std::sync::Arc;

use stack_engine::develop::{Change, Changes, Delivery, Kind, WatchError, Watcher};
use stack_engine::docker::DockerEngine;
use stack_engine::engine::Engine;
use stack_engine::execute::Pace;
use stack_file::model::WatchAction;
use stack_plan::lifecycle::{Restart, restart};
use stack_plan::observed::{ContainerState, ObservedContainer};
use time::OffsetDateTime;
use time::macros::format_description;

use super::rules::{Rule, Rules, shown};
use crate::error::{Fault, hint_of};
use crate::lock;
use crate::render::Renderer;
use crate::settings::Project;
use crate::{commands, error};

/// How many paths are told by name.
const SHOWN: usize = 3;

/// How rebuilds are done.
pub(crate) struct Settings {
    pub(crate) pace: Pace,
    /// Whether images go that nothing names any more.
    pub(crate) prune: bool,
}

/// A stack that follows the files of this machine.
pub(crate) struct Session<'a> {
    pub(super) engine: &'a DockerEngine,
    pub(super) project: &'a Project,
    rules: Rc<Rules>,
    watcher: Watcher,
    pub(super) settings: Settings,
    /// Services whose last rebuild failed: whatever changes next, they are built again.
    stale: BTreeSet<String>,
}

/// What changed for one rule.
struct Touched<'a> {
    rule: &'a Rule,
    changes: Vec<(&'a Path, Change)>,
}

impl Touched<'_> {
    /// The files among them: a directory alone is nothing to build or restart for.
    fn files(&self) -> impl Iterator<Item = &Path> {
        let files = self.changes.iter().filter(|(_, change)| !is_directory(*change));
        files.map(|(path, _)| *path)
    }
}

impl<'a> Session<'a> {
    /// Looks at all files, and listens from then on.
    pub(crate) async fn open(
        engine: &'a DockerEngine,
        project: &'a Project,
        rules: Rules,
        settings: Settings,
    ) -> anyhow::Result<Self> {
        let scopes = rules.0.iter().map(|rule| Arc::clone(&rule.scope)).collect();
        let watcher = Watcher::open(scopes).await.map_err(told)?;
        let rules = Rc::new(rules);
        Ok(Self { engine, project, rules, watcher, settings, stale: BTreeSet::new() })
    }

    /// Copies what is to be copied at first, and follows the files until nothing is watched any more.
    pub(crate) async fn run(&mut self, renderer: &mut Renderer) -> anyhow::Result<()> {
        for line in self.rules.describe(self.project) {
            renderer.note(&line);
        }
        for service in self.rules.services() {
            if let Err(error) = self.copy_all(&service, renderer).await {
                warn(renderer, &service, &error);
            }
        }
        let (files, services) = (self.watcher.files(), self.rules.services().len());
        let watching = format!("watching {} for {}", count(files, "file"), count(services, "service"));
        renderer.note(&format!("{watching}; Ctrl-C ends it"));
        renderer.status(Some(&watching));
        loop {
            let changes = self.watcher.changed().await.map_err(told)?;
            renderer.status(None);
            let last = self.follow(&changes, renderer).await;
            let now = OffsetDateTime::now_utc();
            let now = now.format(format_description!("[hour]:[minute]:[second] UTC")).unwrap_or_default();
            renderer.status(Some(&match last {
                Some(last) => format!("{watching}; last at {now}: {last}"),
                None => watching.clone(),
            }));
        }
    }

    /// Does what follows some changes; returns what was done last, in a word.
    async fn follow(&mut self, changes: &Changes, renderer: &mut Renderer) -> Option<String> {
        let mut last = None;
        let rules = Rc::clone(&self.rules);
        for service in rules.services() {
            let touched: Vec<Touched<'_>> = (rules.0.iter())
                .filter(|rule| rule.service == service)
                .filter_map(|rule| touched(rule, changes))
                .collect();
            if touched.is_empty() {
                continue;
            }
            match self.follow_service(&service, &touched, renderer).await {
                Ok(done) => last = done.map(|done| format!("{service} {done}")).or(last),
                Err(error) => {
                    warn(renderer, &service, &error);
                    last = Some(format!("{service} failed"));
                }
            }
        }
        last
    }

    async fn follow_service(
        &mut self,
        service: &str,
        touched: &[Touched<'_>],
        renderer: &mut Renderer,
    ) -> anyhow::Result<Option<String>> {
        let asks = |wanted: WatchAction| {
            let mut asking = touched.iter().filter(|touched| touched.rule.watch.action.value == wanted);
            asking.any(|touched| touched.files().next().is_some())
        };
        let mut done = None;
        let mut replaced = false;
        if asks(WatchAction::Rebuild) || self.stale.contains(service) {
            let rebuilding =
                touched.iter().filter(|touched| touched.rule.watch.action.value == WatchAction::Rebuild);
            let files: BTreeSet<&Path> = rebuilding.flat_map(Touched::files).collect();
            renderer.note(&format!("{service}  {} changed: rebuilding", self.names(&files)));
            self.stale.insert(service.to_owned());
            match self.rebuild(service, renderer).await? {
                Some(other) => replaced = other,
                None => return Ok(Some("could not be rebuilt".to_owned())),
            }
            self.stale.remove(service);
            done = Some("rebuilt".to_owned());
        }
        if replaced {
            self.copy_all(service, renderer).await?;
        }
        let copying: Vec<&Touched<'_>> = touched.iter().filter(|touched| touched.rule.copies).collect();
        if !copying.is_empty() {
            let files: BTreeSet<&Path> = copying.iter().flat_map(|touched| touched.files()).collect();
            let containers = self.copy(service, &copying).await?;
            if containers == 0 {
                renderer
                    .note(&format!("{service}  {} changed, and there is no container", self.names(&files)));
            } else if !files.is_empty() {
                let to = count(containers, "container");
                renderer.note(&format!("{service}  {} synced to {to}", self.names(&files)));
                done = Some(format!("{} synced", count(files.len(), "file")));
            }
        }
        // A new container has everything from its start on.
        if (asks(WatchAction::Restart) || asks(WatchAction::SyncRestart)) && !replaced {
            self.restart(service, renderer).await?;
            done = Some("restarted".to_owned());
        }
        for touched in
            touched.iter().filter(|touched| touched.rule.watch.action.value == WatchAction::SyncExec)
        {
            if touched.files().next().is_some() {
                self.exec(service, touched.rule, renderer).await?;
            }
        }
        Ok(done)
    }

    /// The paths, shortened to a few.
    fn names(&self, paths: &BTreeSet<&Path>) -> String {
        let mut names: Vec<String> = paths.iter().take(SHOWN).map(|path| shown(self.project, path)).collect();
        if paths.len() > SHOWN {
            names.push(format!("{} more", paths.len() - SHOWN));
        }
        match names.pop() {
            None => "something".to_owned(),
            Some(last) if names.is_empty() => last,
            Some(last) => format!("{} and {last}", names.join(", ")),
        }
    }

    /// The containers of a service into which files go: also those that do not run, so that what
    /// broke down finds what mends it.
    async fn containers(&self, service: &str) -> anyhow::Result<Vec<ObservedContainer>> {
        let mut members = self.engine.members(&self.project.desired.project, service, true).await?;
        members.retain(|member| {
            !member.one_off && !matches!(member.state, ContainerState::Removing | ContainerState::Dead)
        });
        Ok(members)
    }

    /// Copies changes into the containers, and returns how many there are.
    async fn copy(&self, service: &str, copying: &[&Touched<'_>]) -> anyhow::Result<usize> {
        let containers = self.containers(service).await?;
        for container in &containers {
            for touched in copying {
                let (base, delivery) = delivery(touched.rule, touched.changes.iter().copied());
                let runs = container.state == ContainerState::Running;
                self.engine.deliver(&container.id, &base, &delivery, runs).await?;
            }
        }
        Ok(containers.len())
    }

    /// Copies all files of the rules with `initial_sync`.
    async fn copy_all(&self, service: &str, renderer: &mut Renderer) -> anyhow::Result<()> {
        let initial = |rule: &&Rule| rule.service == service && rule.copies && rule.watch.initial_sync;
        for rule in self.rules.0.iter().filter(initial) {
            let all = self.watcher.all(&rule.scope).await.map_err(told)?;
            let Some(touched) = touched(rule, &all) else { continue };
            let containers = self.copy(service, &[&touched]).await?;
            renderer.note(&format!(
                "{service}  {} of {} synced to {}",
                count(touched.files().count(), "file"),
                shown(self.project, &rule.watch.path),
                count(containers, "container")
            ));
        }
        Ok(())
    }

    async fn restart(&self, service: &str, renderer: &mut Renderer) -> anyhow::Result<()> {
        let desired = &self.project.desired;
        let alone = lock::alone(self.engine, &desired.project, "watch", renderer).await?;
        let observed = self.engine.observe(&self.project.query()).await?;
        let policy = Restart { services: vec![service.to_owned()], ..Restart::default() };
        let plan = restart(&desired.project, Some(desired), &observed, &policy);
        if !plan.is_empty() {
            let pace = self.settings.pace;
            commands::carry_out(self.engine, plan, pace, Some(self.project), renderer).await;
        }
        alone.finish();
        Ok(())
    }

    /// Runs the command of a rule in each container that runs.
    async fn exec(&self, service: &str, rule: &Rule, renderer: &mut Renderer) -> anyhow::Result<()> {
        let Some(command) = &rule.watch.exec else { return Ok(()) };
        let containers = self.containers(service).await?;
        for container in containers.iter().filter(|container| container.state == ContainerState::Running) {
            let address = commands::target::address(container);
            let lines = RefCell::new(Vec::new());
            let tell = |line: &str| lines.borrow_mut().push(line.to_owned());
            let code = self.engine.run_command(&container.id, command, &tell).await?;
            for line in lines.take() {
                renderer.note(&format!("{address}  {line}"));
            }
            match code {
                0 => renderer.note(&format!("{address}  {} done", shell_words::join(&command.command))),
                code => renderer.warn(&format!(
                    "{address}: {} ended with exit code {code}",
                    shell_words::join(&command.command)
                )),
            }
        }
        Ok(())
    }
}

/// What changed for a rule; `None` when nothing did.
fn touched<'a>(rule: &'a Rule, changes: &'a Changes) -> Option<Touched<'a>> {
    let changes: Vec<_> =
        changes.iter().filter(|(path, change)| rule.scope.has(path, is_directory(*change))).collect();
    (!changes.is_empty()).then_some(Touched { rule, changes })
}

fn is_directory(change: Change) -> bool {
    change.now.or(change.was) == Some(Kind::Directory)
}

/// Where changes of a rule go in a container: a directory, and what is different below it.
fn delivery<'a>(rule: &Rule, changes: impl Iterator<Item = (&'a Path, Change)>) -> (String, Delivery) {
    let target = rule.watch.target.as_deref().unwrap_or_default();
    let root = format!("/{}", target.trim_matches('/'));
    let (mut base, mut delivery) = (root.clone(), Delivery::default());
    for (path, change) in changes {
        let relative = rule.scope.relative(path).unwrap_or_default();
        let place = if !relative.is_empty() {
            format!("{}/{relative}", root.trim_end_matches('/'))
        } else if target.ends_with('/') {
            // A file for a directory keeps its name.
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            format!("{}/{name}", root.trim_end_matches('/'))
        } else {
            let above = root.rsplit_once('/').map_or("", |(above, _)| above);
            base = if above.is_empty() { "/".to_owned() } else { above.to_owned() };
            root.clone()
        };
        delivery.add(path, place, change);
    }
    (base, delivery)
}

fn count(number: usize, what: &str) -> String {
    format!("{number} {what}{}", if number == 1 { "" } else { "s" })
}

fn warn(renderer: &mut Renderer, service: &str, error: &anyhow::Error) {
    let hint = hint_of(error).map(|hint| format!("; {hint}")).unwrap_or_default();
    renderer.warn(&format!("{service}: {error:#}{hint}"));
}

fn told(error: WatchError) -> anyhow::Error {
    let fault = Fault::new(error::Kind::Engine, error.to_string());
    match error.hint() {
        Some(hint) => fault.hint(hint).into(),
        None => fault.into(),
    }
}

#[cfg(test)]
mod tests {
    use stack_engine::develop::Scope;
    use stack_file::model::WatchRule;
    use stack_file::source::{Origin, Sources, Spanned};

    use super::*;

    fn origin(text: &str) -> Origin {
        let source = Sources::default().add("stack.yaml", None, text);
        Origin { source, span: (0..text.len()).into(), via: None }
    }

    fn rule(path: &str, target: &str) -> Rule {
        Rule {
            service: "web".to_owned(),
            watch: WatchRule {
                path: Spanned::new(path.into(), origin(path)),
                action: Spanned::new(WatchAction::Sync, origin(path)),
                target: Some(target.to_owned()),
                include: Vec::new(),
                ignore: Vec::new(),
                initial_sync: false,
                exec: None,
            },
            scope: Arc::new(Scope::new(Path::new(path), &[], &[], None).expect("patterns")),
            copies: true,
        }
    }

    #[test]
    fn a_file_lands_where_its_rule_says() {
        let change = Change { was: None, now: Some(Kind::File) };
        for (root, target, path, base, place) in [
            ("/nowhere/src", "/srv/src", "/nowhere/src/a/b", "/srv/src", "\"/srv/src/a/b\""),
            ("/nowhere/src", "/srv/src/", "/nowhere/src/b", "/srv/src", "\"/srv/src/b\""),
            ("/nowhere/src", "srv", "/nowhere/src/b", "/srv", "\"/srv/b\""),
            ("/nowhere/src", "/", "/nowhere/src/b", "/", "\"/b\""),
            ("/nowhere/p.json", "/srv/q.json", "/nowhere/p.json", "/srv", "\"/srv/q.json\""),
            ("/nowhere/p.json", "/srv/", "/nowhere/p.json", "/srv", "\"/srv/p.json\""),
            ("/nowhere/p.json", "/q.json", "/nowhere/p.json", "/", "\"/q.json\""),
        ] {
            let changes = [(Path::new(path), change)].into_iter();
            let (found, delivery) = delivery(&rule(root, target), changes);
            let delivery = format!("{delivery:?}");
            assert_eq!(found, base, "{root} {target}");
            assert!(delivery.contains(place), "{delivery}");
        }
    }
}
