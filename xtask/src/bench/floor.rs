//! The floor: the calls by which stackctl brings a stack up and takes it down,
//! made raw: the same calls in the same order and as many at once, with nothing
//! read, planned, compared or shown between them.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail};
use serde_json::{Value, json};

use crate::engine::{Engine, Line};
use crate::http::escaped;

/// The pauses between two probes, as stackctl makes them.
const FIRST_PAUSE: Duration = Duration::from_millis(20);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// Containers by their label, escaped for a query.
fn of_project(project: &str) -> String {
    escaped(&json!({ "label": [format!("com.docker.compose.project={project}")] }).to_string())
}

/// Waits until the engine itself has a verdict on every container of a project.
pub(super) fn settle(engine: &Engine, project: &str) -> Result<()> {
    let mut line = engine.line()?;
    for _ in 0..1200 {
        let list = line.call("GET", &format!("/containers/json?filters={}", of_project(project)), None)?;
        let starting = |found: &Value| {
            found["Status"].as_str().is_some_and(|status| status.contains("health: starting"))
        };
        if !list.as_array().context("no list")?.iter().any(starting) {
            return Ok(());
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    bail!("the engine has not come to a verdict within a minute")
}

/// The calls that bring one stack up.
pub(super) struct Calls {
    project: String,
    /// Whether each container is waited for.
    waits: bool,
    /// Path and body of what makes networks and volumes.
    ground: Vec<(&'static str, Value)>,
    containers: Vec<Container>,
}

/// A container, and when its turn is.
#[derive(Debug, PartialEq)]
struct Container {
    name: String,
    service: String,
    body: Value,
    /// The health check as a command, where there is one.
    probe: Option<Vec<String>>,
    /// What must have got how far before this one starts.
    needs: Vec<(String, Stage)>,
}

/// How far a container has got.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Stage {
    Made,
    Started,
    Ready,
    Removed,
}

/// What a replay has made.
pub(super) struct Made<'a> {
    calls: &'a Calls,
    ground: Vec<String>,
    ids: Vec<String>,
}

impl Calls {
    /// Learns the calls from a stack that runs.
    pub(super) fn record(engine: &Engine, project: &str, waits: bool) -> Result<Self> {
        let mut line = engine.line()?;
        let filter = of_project(project);
        let networks = line.call("GET", &format!("/networks?filters={filter}"), None)?;
        let volumes = line.call("GET", &format!("/volumes?filters={filter}"), None)?;
        let mut ground = Vec::new();
        for (path, list, keys) in [
            ("/networks", &networks, ["Name", "Driver", "Options", "Labels"]),
            ("/volumes", &volumes["Volumes"], ["Name", "Driver", "DriverOpts", "Labels"]),
        ] {
            for found in list.as_array().into_iter().flatten() {
                let body = keys.map(|key| (key.to_owned(), found[key].clone())).into_iter();
                ground.push((path, Value::Object(body.filter(|(_, value)| !value.is_null()).collect())));
            }
        }
        let list = line.call("GET", &format!("/containers/json?all=true&filters={filter}"), None)?;
        let mut containers = Vec::new();
        for found in list.as_array().context("no list")? {
            let id = found["Id"].as_str().context("no id")?;
            containers.push(Container::of(&line.call("GET", &format!("/containers/{id}/json"), None)?)?);
        }
        if containers.len() > PARALLEL && containers.iter().any(|container| !container.needs.is_empty()) {
            bail!("the floor knows no more than {PARALLEL} containers that need each other");
        }
        Ok(Self { project: project.to_owned(), waits, ground, containers })
    }

    /// The look that comes before a plan: at the engine, then at everything of the project at once.
    pub(super) fn look(&self, engine: &Engine) -> Result<()> {
        engine.ping()?;
        let images: BTreeSet<_> =
            self.containers.iter().filter_map(|container| container.body["Image"].as_str()).collect();
        let mut paths = vec![
            format!("/containers/json?all=true&filters={}", of_project(&self.project)),
            "/networks".to_owned(),
            "/volumes".to_owned(),
        ];
        paths.extend(images.into_iter().map(|image| format!("/images/{image}/json")));
        at_once(paths.len(), |index| engine.line()?.call("GET", &paths[index], None)).map(drop)
    }

    /// Brings the stack up: networks, then containers, each started when what it needs is there.
    pub(super) fn replay(&self, engine: &Engine) -> Result<Made<'_>> {
        self.look(engine)?;
        let ground = at_once(self.ground.len(), |index| {
            let (path, body) = &self.ground[index];
            let made = engine.line()?.call("POST", &format!("{path}/create"), Some(body))?;
            let id = made["Id"].as_str().or(made["Name"].as_str()).context("no id")?;
            Ok(format!("{path}/{id}"))
        })?;
        let mut events = engine.line()?;
        events.follow("/events")?;
        let progress = Progress::new(self.containers.len());
        let ids = at_once(self.containers.len(), |index| {
            progress.or_fail(|| {
                let container = &self.containers[index];
                let mut line = engine.line()?;
                let path = format!("/containers/create?name={}", container.name);
                let made = line.call("POST", &path, Some(&container.body))?;
                let id = made["Id"].as_str().context("no id")?.to_owned();
                for (service, stage) in &container.needs {
                    progress.wait(self.indexes(service), *stage)?;
                }
                line.call("POST", &format!("/containers/{id}/start"), None)?;
                progress.reach(index, Stage::Started);
                if self.waits {
                    wait(engine, &mut line, &id, container.probe.as_deref())?;
                }
                progress.reach(index, Stage::Ready);
                Ok(id)
            })
        })?;
        Ok(Made { calls: self, ground, ids })
    }

    fn indexes(&self, service: &str) -> Vec<usize> {
        let all = self.containers.iter().enumerate();
        all.filter(|(_, container)| container.service == service).map(|(index, _)| index).collect()
    }

    /// Those that need a container, and go before it.
    fn dependents(&self, index: usize) -> Vec<usize> {
        let service = &self.containers[index].service;
        let all = self.containers.iter().enumerate();
        all.filter(|(_, other)| other.needs.iter().any(|(needed, _)| needed == service))
            .map(|(index, _)| index)
            .collect()
    }
}

impl Container {
    /// The container that an inspection shows.
    fn of(found: &Value) -> Result<Self> {
        let config = &found["Config"];
        let label = |name: &str| config["Labels"][format!("com.docker.compose.{name}")].as_str();
        let networks = found["NetworkSettings"]["Networks"].as_object().context("no networks")?;
        let short = found["Id"].as_str().and_then(|id| id.get(..12)).context("no id")?;
        // More than one takes calls of its own before API 1.44.
        let [(network, endpoint)] = networks.iter().collect::<Vec<_>>()[..] else {
            bail!("the floor knows only containers with one network");
        };
        let aliases = endpoint["Aliases"].as_array().into_iter().flatten();
        let aliases: Vec<_> = aliases.filter(|alias| *alias != short).collect();
        let mut body = config.clone();
        if body["Hostname"] == short {
            body["Hostname"] = "".into();
        }
        body["HostConfig"] = found["HostConfig"].clone();
        body["NetworkingConfig"] = json!({ "EndpointsConfig": { network: { "Aliases": aliases } } });

        let depends_on = label("depends_on").unwrap_or_default();
        let needs = depends_on.split(',').filter(|entry| !entry.is_empty()).map(|entry| {
            let mut words = entry.split(':');
            let service = words.next().unwrap_or_default().to_owned();
            match words.next() {
                Some("service_started") => Ok((service, Stage::Started)),
                Some("service_healthy") => Ok((service, Stage::Ready)),
                other => Err(anyhow!("the floor does not know the condition {other:?}")),
            }
        });
        Ok(Self {
            name: found["Name"].as_str().context("no name")?.trim_start_matches('/').to_owned(),
            service: label("service").context("no service")?.to_owned(),
            needs: needs.collect::<Result<_>>()?,
            probe: probe(&config["Healthcheck"]["Test"])?,
            body,
        })
    }
}

/// A health check as a command.
fn probe(test: &Value) -> Result<Option<Vec<String>>> {
    let words: Vec<_> = test.as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    let command = |words: &[&str]| Some(words.iter().map(|&word| word.to_owned()).collect());
    match words.split_first() {
        None | Some((&"NONE", _)) => Ok(None),
        Some((&"CMD", words)) => Ok(command(words)),
        Some((&"CMD-SHELL", words)) => Ok(command(&[&["/bin/sh", "-c"], words].concat())),
        Some((other, _)) => bail!("the floor does not know the health check {other}"),
    }
}

/// Waits for a container: looks, and runs its health check until it passes.
fn wait(engine: &Engine, line: &mut Line, id: &str, probe: Option<&[String]>) -> Result<()> {
    let mut pause = FIRST_PAUSE;
    loop {
        let look = line.call("GET", &format!("/containers/{id}/json"), None)?;
        let state = &look["State"];
        let Some(probe) = probe else { return Ok(()) };
        if state["Health"]["Status"] == "healthy" {
            return Ok(());
        }
        if state["Running"] != true || state["Health"]["Status"] == "unhealthy" {
            bail!("{} did not get ready: {}", look["Name"], state["Status"]);
        }
        let exec = json!({ "Cmd": probe, "AttachStdout": true, "AttachStderr": true });
        let exec = line.call("POST", &format!("/containers/{id}/exec"), Some(&exec))?;
        let exec = exec["Id"].as_str().context("no exec")?;
        // What it says comes on a connection that ends with it.
        engine.drain(&format!("/exec/{exec}/start"), &json!({ "Detach": false, "Tty": false }))?;
        let ended = line.call("GET", &format!("/exec/{exec}/json"), None)?;
        if ended["ExitCode"] == 0 {
            return Ok(());
        }
        std::thread::sleep(pause);
        pause = (pause * 3 / 2).min(LONGEST_PAUSE);
    }
}

impl Made<'_> {
    /// Stops and removes everything, dependents first, and the networks and volumes last.
    pub(super) fn remove(self, engine: &Engine) -> Result<()> {
        let calls = self.calls;
        calls.look(engine)?;
        let progress = Progress::new(self.ids.len());
        at_once(self.ids.len(), |index| {
            progress.or_fail(|| {
                progress.wait(calls.dependents(index), Stage::Removed)?;
                let id = &self.ids[index];
                let mut line = engine.line()?;
                line.call("POST", &format!("/containers/{id}/stop"), None)?;
                line.call("DELETE", &format!("/containers/{id}?v=true"), None)?;
                progress.reach(index, Stage::Removed);
                Ok(())
            })
        })?;
        at_once(self.ground.len(), |index| engine.line()?.call("DELETE", &self.ground[index], None)).map(drop)
    }
}

/// How far each container has got, for threads that wait for one another.
struct Progress {
    /// `None` when one has failed: nothing will go on then.
    stages: Mutex<Option<Vec<Stage>>>,
    changed: Condvar,
}

impl Progress {
    fn new(count: usize) -> Self {
        Self { stages: Mutex::new(Some(vec![Stage::Made; count])), changed: Condvar::new() }
    }

    fn stages(&self) -> MutexGuard<'_, Option<Vec<Stage>>> {
        self.stages.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn reach(&self, index: usize, stage: Stage) {
        if let Some(stages) = &mut *self.stages() {
            stages[index] = stage;
        }
        self.changed.notify_all();
    }

    /// Waits until all of these have got that far.
    fn wait(&self, indexes: Vec<usize>, stage: Stage) -> Result<()> {
        let mut stages = self.stages();
        loop {
            match &*stages {
                None => bail!("another one has failed"),
                Some(stages) if indexes.iter().all(|&index| stages[index] >= stage) => return Ok(()),
                Some(_) => {}
            }
            stages = self.changed.wait(stages).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Does something; if it fails, those that wait fail, too.
    fn or_fail<T>(&self, work: impl FnOnce() -> Result<T>) -> Result<T> {
        let done = work();
        if done.is_err() {
            *self.stages() = None;
            self.changed.notify_all();
        }
        done
    }
}

/// As many calls are under way at once as in stackctl.
const PARALLEL: usize = 48;

/// Does `count` things, at once as far as that may be, each begun in its turn; the first
/// error in their order is the one returned.
fn at_once<T: Send>(count: usize, work: impl Fn(usize) -> Result<T> + Sync) -> Result<Vec<T>> {
    let work = &work;
    let next = &AtomicUsize::new(0);
    let mut done: Vec<(usize, Result<T>)> = std::thread::scope(|scope| {
        let turns = move || {
            let mut done = Vec::new();
            loop {
                let index = next.fetch_add(1, Ordering::Relaxed);
                if index >= count {
                    return done;
                }
                done.push((index, work(index)));
            }
        };
        let threads: Vec<_> = (0..count.min(PARALLEL)).map(|_| scope.spawn(turns)).collect();
        let joined = threads.into_iter().map(|thread| thread.join());
        joined
            .flat_map(|done| done.unwrap_or_else(|_| vec![(0, Err(anyhow!("a thread broke down")))]))
            .collect()
    });
    done.sort_by_key(|(index, _)| *index);
    done.into_iter().map(|(_, result)| result).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn inspection() -> Value {
        json!({
            "Id": "0123456789abcdef",
            "Name": "/bench-web-1",
            "Config": {
                "Hostname": "0123456789ab",
                "Image": "web:1",
                "Healthcheck": { "Test": ["CMD-SHELL", "curl -f localhost"] },
                "Labels": {
                    "com.docker.compose.service": "web",
                    "com.docker.compose.depends_on": "db:service_healthy:false,cache:service_started:true",
                },
            },
            "HostConfig": { "NetworkMode": "bench_default" },
            "NetworkSettings": { "Networks": { "bench_default": { "Aliases": ["web", "0123456789ab"], "IPAddress": "x" } } },
        })
    }

    #[test]
    fn a_container_is_made_as_it_was_made() {
        let container = Container::of(&inspection()).expect("a container");
        assert_eq!(container.name, "bench-web-1");
        assert_eq!(container.body["Hostname"], "");
        assert_eq!(container.body["HostConfig"]["NetworkMode"], "bench_default");
        let endpoints = json!({ "EndpointsConfig": { "bench_default": { "Aliases": ["web"] } } });
        assert_eq!(container.body["NetworkingConfig"], endpoints);
        assert_eq!(container.needs, [("db".to_owned(), Stage::Ready), ("cache".to_owned(), Stage::Started)]);
        assert_eq!(container.probe, Some(["/bin/sh", "-c", "curl -f localhost"].map(str::to_owned).to_vec()));
    }

    #[test]
    fn what_the_floor_does_not_know_is_refused() {
        let mut job = inspection();
        job["Config"]["Labels"]["com.docker.compose.depends_on"] =
            "x:service_completed_successfully:false".into();
        assert!(Container::of(&job).is_err());
        let mut two = inspection();
        two["NetworkSettings"]["Networks"]["other"] = json!({});
        assert!(Container::of(&two).is_err());
    }

    #[test]
    fn one_goes_on_when_those_it_needs_are_there() {
        let progress = Progress::new(2);
        let order = Mutex::new(Vec::new());
        at_once(2, |index| {
            progress.or_fail(|| {
                if index == 0 {
                    progress.wait(vec![1], Stage::Ready)?;
                } else {
                    std::thread::sleep(Duration::from_millis(20));
                }
                order.lock().expect("a lock").push(index);
                progress.reach(index, Stage::Ready);
                Ok(())
            })
        })
        .expect("both");
        assert_eq!(*order.lock().expect("a lock"), [1, 0]);
    }

    #[test]
    fn those_that_wait_for_one_that_fails_fail_too() {
        let progress = Progress::new(2);
        let done = at_once(2, |index| {
            progress
                .or_fail(|| if index == 0 { progress.wait(vec![1], Stage::Started) } else { bail!("broken") })
        });
        assert!(done.is_err());
    }
}
