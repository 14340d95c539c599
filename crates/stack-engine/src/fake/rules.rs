//! What is on the engine in memory, and what it does and refuses.

use std::collections::BTreeMap;
use std::time::Duration;

use stack_file::model::{MountSource, Restart};
use stack_plan::desired::{FileContent, Provided};
use stack_plan::fields::Recorded;
use stack_plan::labels;
use stack_plan::observed::{
    ContainerState, Health, Observed, ObservedContainer, ObservedImage, ObservedMount, ObservedNetwork,
    ObservedPort, ObservedVolume,
};
use stack_plan::plan::{Action, Condition, HookEvent, NewContainer, ProviderCommand};
use stack_plan::ports::{HeldPort, Holder};
use tokio::time::Instant;

use super::{Behaviour, Fault, GRACE, When};
use crate::engine::{EngineError, NotReady, Outcome, Query};
use crate::image::pull::PullError;

#[derive(Debug, Default)]
pub(super) struct State {
    pub(super) containers: BTreeMap<String, Container>,
    networks: BTreeMap<String, Network>,
    pub(super) volumes: BTreeMap<String, BTreeMap<String, String>>,
    pub(super) images: BTreeMap<String, String>,
    pub(super) registry: BTreeMap<String, String>,
    pub(super) behaviours: BTreeMap<String, Behaviour>,
    pub(super) image_behaviours: BTreeMap<String, Behaviour>,
    /// How many containers were started, by image.
    starts: BTreeMap<String, u32>,
    pub(super) least_good: BTreeMap<String, usize>,
    pub(super) faults: Vec<(When, Fault)>,
    pub(super) occupied: Vec<HeldPort>,
    pub(super) calls: Vec<String>,
    pub(super) latency: Duration,
    pub(super) seed: Option<u64>,
    pub(super) under_way: usize,
    pub(super) peak: usize,
    pub(super) dead: bool,
    pub(super) remote: bool,
    pub(super) provides: BTreeMap<String, Vec<(String, String)>>,
    made: u64,
}

#[derive(Debug)]
struct Network {
    name: String,
    labels: BTreeMap<String, String>,
}

#[derive(Debug)]
pub(super) struct Container {
    pub(super) name: String,
    pub(super) state: ContainerState,
    pub(super) lines: Vec<String>,
    /// What is where a config or secret is expected, by path.
    pub(super) files: BTreeMap<String, String>,
    /// The hooks that have run in it.
    pub(super) hooks: Vec<String>,
    read_only: bool,
    labels: BTreeMap<String, String>,
    image: String,
    image_id: String,
    /// The containers whose namespaces it is in.
    borrows: Vec<String>,
    /// Network name to id; the id is empty until the first start.
    networks: BTreeMap<String, String>,
    /// Target and name of each volume, and whether it was made for this container.
    volumes: Vec<(ObservedMount, bool)>,
    ports: Vec<ObservedPort>,
    checked: bool,
    restarted: bool,
    behaviour: Behaviour,
    looks: u32,
    started: Option<Instant>,
}

fn refused(status: u16, message: String) -> EngineError {
    EngineError::Refused { status, message }
}

fn missing(kind: &str, name: &str) -> EngineError {
    refused(404, format!("No such {kind}: {name}"))
}

impl Container {
    fn label(&self, key: &str) -> &str {
        self.labels.get(key).map_or("", String::as_str)
    }

    fn address(&self) -> String {
        format!("{}/{}", self.label(labels::SERVICE), self.label(labels::NUMBER))
    }

    pub(super) fn end(&mut self, code: i64) {
        if self.state.is_up() {
            self.state = ContainerState::Exited(code);
        }
    }

    /// Lets the time that has passed have its effect.
    fn live(&mut self) {
        if let (Some(started), Some((after, code))) = (self.started, self.behaviour.exits)
            && self.state == ContainerState::Running
            && !self.restarted
            && started.elapsed() >= after
        {
            self.end(code);
        }
    }

    /// The exit code, if it has ended.
    pub(super) fn exit_code(&self) -> Option<i64> {
        match self.state {
            ContainerState::Exited(code) => Some(code),
            _ => None,
        }
    }

    fn health(&self) -> Health {
        if !self.checked || self.state != ContainerState::Running {
            return Health::None;
        }
        match (self.looks >= self.behaviour.healthy_after, self.behaviour.unhealthy) {
            (false, _) => Health::Starting,
            (true, false) => Health::Healthy,
            (true, true) => Health::Unhealthy,
        }
    }

    /// Whether the condition is reached, and why it never will be.
    pub(super) fn look(&mut self, condition: Condition) -> Result<bool, NotReady> {
        self.live();
        let health = self.health();
        self.looks += 1;
        match (self.state, condition) {
            (ContainerState::Exited(_), Condition::Ended) => Ok(true),
            (ContainerState::Exited(0), Condition::Completed) => Ok(true),
            (ContainerState::Exited(0), Condition::Ready) if !self.restarted => Ok(true),
            (ContainerState::Exited(code), _) => Err(NotReady::Exited { code }),
            (ContainerState::Running, Condition::Completed | Condition::Ended) => Ok(false),
            (ContainerState::Running, _) => match health {
                Health::Healthy if let Condition::Steady { monitor, checked: true } = condition => {
                    Ok(self.started.is_some_and(|started| started.elapsed() >= monitor))
                }
                Health::Healthy => Ok(true),
                Health::Starting => Ok(false),
                Health::Unhealthy => {
                    let after = self.started.map(|started| started.elapsed()).unwrap_or_default();
                    Err(NotReady::Unhealthy { probes: self.looks, after })
                }
                Health::None if condition == Condition::Ready => Ok(true),
                Health::None if let Condition::Steady { monitor, .. } = condition => {
                    Ok(self.started.is_some_and(|started| started.elapsed() >= monitor))
                }
                Health::None => Err(NotReady::NoHealthcheck),
            },
            _ => Ok(false),
        }
    }
}

impl State {
    pub(super) fn named(&mut self, name: &str) -> Option<&mut Container> {
        self.containers.values_mut().find(|container| container.name == name)
    }

    /// An id that was never given before: 64 hexadecimal digits.
    fn id(&mut self) -> String {
        self.made += 1;
        format!("{:064x}", self.made.wrapping_mul(0x9e37_79b9_7f4a_7c15))
    }

    pub(super) fn put_network(&mut self, name: &str, labels: BTreeMap<String, String>) -> String {
        let id = self.id();
        self.networks.insert(id.clone(), Network { name: name.to_owned(), labels });
        id
    }

    pub(super) fn put_volume(&mut self, name: &str, labels: BTreeMap<String, String>) {
        self.volumes.entry(name.to_owned()).or_insert(labels);
    }

    /// Notes how many containers of each service are good now.
    pub(super) fn count_good(&mut self) {
        self.containers.values_mut().for_each(Container::live);
        let mut now: BTreeMap<String, usize> = BTreeMap::new();
        for container in self.containers.values() {
            let good = container.state == ContainerState::Running
                && matches!(container.health(), Health::None | Health::Healthy);
            *now.entry(container.label(labels::SERVICE).to_owned()).or_default() += usize::from(good);
        }
        for (service, good) in now {
            let least = self.least_good.entry(service).or_insert(good);
            *least = good.min(*least);
        }
    }

    pub(super) fn fault(&self, nth: usize, line: &str) -> Option<Fault> {
        let hit = self.faults.iter().find(|(when, _)| match when {
            When::Nth(wanted) => *wanted == nth,
            When::Call(wanted) => line
                .strip_prefix(wanted.as_str())
                .is_some_and(|rest| rest.is_empty() || rest.starts_with(' ')),
        });
        hit.map(|(_, fault)| *fault)
    }

    /// How long the nth call takes.
    pub(super) fn pause(&self, nth: usize) -> Duration {
        let Some(seed) = self.seed else { return self.latency };
        let mixed = (seed ^ nth as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        self.latency * u32::try_from(mixed >> 61).unwrap_or_default()
    }

    /// How a call stands in the log.
    pub(super) fn line(&self, action: &Action, id: Option<&str>) -> String {
        let container =
            || id.and_then(|id| self.containers.get(id)).map_or("nothing".to_owned(), Container::address);
        let about = match action {
            Action::CreateNetwork(spec) => spec.address.to_string(),
            Action::CreateVolume(spec) => spec.address.to_string(),
            Action::CreateContainer(new) => format!("{}/{}", new.spec.name(), new.number),
            Action::RemoveNetwork(id) => {
                match self.networks.get(id).and_then(|found| found.labels.get(labels::NETWORK)) {
                    Some(key) => format!("network:{key}"),
                    None => "nothing".to_owned(),
                }
            }
            Action::RemoveVolume(name) => {
                match self.volumes.get(name).and_then(|found| found.get(labels::VOLUME)) {
                    Some(key) => format!("volume:{key}"),
                    None => name.clone(),
                }
            }
            Action::RemoveImage(reference) | Action::Ship { reference, .. } => format!("image:{reference}"),
            Action::Pull(spec) | Action::Push(spec) | Action::Build(spec) => spec.address.to_string(),
            Action::Provide { spec, .. } => spec.address.to_string(),
            Action::ProvideModel(spec) => spec.address.to_string(),
            _ => container(),
        };
        format!("{} {about}", action.word())
    }

    /// How long a stop takes.
    pub(super) fn stopping(&self, action: &Action, id: Option<&str>) -> Duration {
        let (Action::Stop { grace, .. }, Some(container)) =
            (action, id.and_then(|id| self.containers.get(id)))
        else {
            return Duration::ZERO;
        };
        if container.state.is_up() {
            container.behaviour.stops_in.min(grace.unwrap_or(GRACE))
        } else {
            Duration::ZERO
        }
    }

    pub(super) fn perform(
        &mut self,
        action: &Action,
        id: Option<&str>,
        lenders: &BTreeMap<String, String>,
    ) -> Result<Outcome, EngineError> {
        let made = |id: String| Ok(Outcome::made(id));
        let id = id.unwrap_or_default();
        self.containers.values_mut().for_each(Container::live);
        match action {
            Action::CreateNetwork(spec) => {
                let name = &spec.network.name;
                if self.networks.values().any(|network| network.name == *name) {
                    return Err(refused(409, format!("network with name {name} already exists")));
                }
                return made(self.put_network(name, spec.labels.clone()));
            }
            Action::CreateVolume(spec) => {
                self.put_volume(&spec.volume.name, spec.labels.clone());
                return made(spec.volume.name.clone());
            }
            Action::CreateContainer(new) => return made(self.create(new, lenders)?),
            Action::Start(_) => self.start(id)?,
            Action::Stop { grace, .. } => {
                if let Some(container) = self.containers.get_mut(id) {
                    let killed = container.behaviour.stops_in > grace.unwrap_or(GRACE);
                    container.end(if killed { 137 } else { 0 });
                }
            }
            Action::Kill { signal, .. } => {
                let container = self.containers.get_mut(id).ok_or_else(|| missing("container", id))?;
                if matches!(signal.as_str(), "KILL" | "SIGKILL" | "9") {
                    container.end(137);
                }
            }
            Action::Pause(_) => self.change(id, ContainerState::Running, ContainerState::Paused)?,
            Action::Unpause(_) => self.change(id, ContainerState::Paused, ContainerState::Running)?,
            Action::RemoveContainer { volumes, .. } => self.remove(id, *volumes)?,
            Action::RemoveNetwork(network) => {
                let attached = |found: &&Container| {
                    found.state.is_up() && found.networks.values().any(|joined| joined == network)
                };
                if let Some(container) = self.containers.values().find(attached) {
                    return Err(EngineError::InUse { by: vec![container.name.clone()] });
                }
                self.networks.remove(network);
            }
            Action::RemoveVolume(name) => {
                let uses = |found: &&Container| found.volumes.iter().any(|(mount, _)| mount.name == *name);
                if let Some(container) = self.containers.values().find(uses) {
                    return Err(EngineError::InUse { by: vec![container.name.clone()] });
                }
                self.volumes.remove(name);
            }
            Action::RemoveImage(reference) => {
                let image = self.images.get(reference);
                if let Some(container) = self.containers.values().find(|found| Some(&found.image_id) == image)
                {
                    return Err(EngineError::InUse { by: vec![container.name.clone()] });
                }
                self.images.remove(reference);
            }
            Action::Rename { to, .. } => {
                if self.named(to).is_some() {
                    return Err(refused(409, format!("the container name {to} is already in use")));
                }
                self.containers.get_mut(id).ok_or_else(|| missing("container", id))?.name = to.clone();
            }
            Action::Connect { network, .. } => {
                if !self.networks.values().any(|found| found.name == network.name) {
                    return Err(missing("network", &network.name));
                }
                let container = self.containers.get_mut(id).ok_or_else(|| missing("container", id))?;
                if container.networks.insert(network.name.clone(), String::new()).is_some() {
                    return Err(refused(403, format!("{} is on {} already", container.name, network.name)));
                }
            }
            Action::Disconnect { network, .. } => {
                let container = self.containers.get_mut(id).ok_or_else(|| missing("container", id))?;
                if container.networks.remove(network).is_none() {
                    return Err(refused(500, format!("{} is not on {network}", container.name)));
                }
            }
            Action::Upload { directory, files, .. } => {
                let container = self.containers.get_mut(id).ok_or_else(|| missing("container", id))?;
                if container.read_only && directory == "/" {
                    return Err(refused(400, "container rootfs is marked read-only".to_owned()));
                }
                for file in files {
                    let content = match &file.content {
                        FileContent::Inline(content) | FileContent::File { content: Ok(content), .. } => {
                            String::from_utf8_lossy(content.bytes()).into_owned()
                        }
                        FileContent::File { content: Err(why), .. } => {
                            return Err(refused(400, why.to_string()));
                        }
                        FileContent::Credentials => "credentials".to_owned(),
                    };
                    let (uid, gid) = file.owner;
                    let text = format!("{uid}:{gid} {:o} {content}", file.mode);
                    container.files.insert(file.target.clone(), text);
                }
            }
            Action::Run { event, hook, .. } => {
                let container = self.containers.get_mut(id).ok_or_else(|| missing("container", id))?;
                if container.state != ContainerState::Running {
                    if *event == HookEvent::PreStop {
                        return Ok(Outcome::default());
                    }
                    return Err(refused(409, format!("container {} is not running", container.name)));
                }
                container.hooks.push(hook.command.join(" "));
            }
            Action::ProvideModel(spec) => {
                let mut provided = Provided::default();
                let name = spec.address.to_string();
                provided.note(&name, self.provides.get(&name).cloned().unwrap_or_default());
                return Ok(Outcome { provided, ..Outcome::default() });
            }
            Action::Provide { spec, command } => {
                let mut provided = Provided::default();
                if *command == ProviderCommand::Up {
                    provided
                        .note(&spec.service, self.provides.get(&spec.service).cloned().unwrap_or_default());
                }
                return Ok(Outcome { provided, ..Outcome::default() });
            }
            Action::Pull(spec) => {
                for reference in &spec.references {
                    let Some(found) = self.registry.get(reference) else {
                        let registry = "the registry".to_owned();
                        return Err(PullError::NotFound { reference: reference.clone(), registry }.into());
                    };
                    self.images.insert(reference.clone(), found.clone());
                }
            }
            Action::Push(spec) => {
                for reference in &spec.references {
                    let Some(found) = self.images.get(reference) else {
                        return Err(EngineError::NoImage { reference: reference.clone() });
                    };
                    self.registry.insert(reference.clone(), found.clone());
                }
            }
            Action::Build(spec) => {
                let image = format!("sha256:{}", self.id());
                for reference in &spec.references {
                    self.images.insert(reference.clone(), image.clone());
                }
            }
            Action::Await { .. } | Action::Delay(_) => {}
            Action::CreateService(_)
            | Action::Ship { .. }
            | Action::UpdateService { .. }
            | Action::RestartService(_)
            | Action::RemoveService(_)
            | Action::CreateObject(_)
            | Action::RemoveObject { .. } => {
                return Err(EngineError::Unsupported("this engine is in no swarm".to_owned()));
            }
        }
        Ok(Outcome::default())
    }

    /// Takes a container from one state to another.
    fn change(&mut self, id: &str, from: ContainerState, to: ContainerState) -> Result<(), EngineError> {
        let container = self.containers.get_mut(id).ok_or_else(|| missing("container", id))?;
        // What has ended meanwhile is neither frozen nor does it go on.
        if !container.state.is_up() {
            return Ok(());
        }
        if container.state != from {
            return Err(refused(409, format!("container {} is {}", container.name, container.state.word())));
        }
        container.state = to;
        Ok(())
    }

    /// Who has which ports of the host.
    pub(super) fn held_ports(&self) -> Vec<HeldPort> {
        let mut held = self.occupied.clone();
        for (id, container) in self.containers.iter().filter(|(_, container)| container.state.is_up()) {
            for port in &container.ports {
                let Some(published) = port.published else { continue };
                held.push(HeldPort {
                    protocol: port.protocol.clone(),
                    port: published,
                    host_ip: port.host_ip.clone(),
                    holder: Holder::Container {
                        id: id.clone(),
                        name: container.name.clone(),
                        project: container.labels.get(labels::PROJECT).cloned(),
                    },
                });
            }
        }
        held
    }

    fn create(
        &mut self,
        new: &NewContainer,
        lenders: &BTreeMap<String, String>,
    ) -> Result<String, EngineError> {
        let spec = &new.spec;
        for lender in &spec.lenders {
            let name = &lender.service;
            let Some(id) = lenders.get(name) else {
                return Err(EngineError::Unsupported(format!("{name} has no container")));
            };
            if !self.containers.contains_key(id) {
                return Err(missing("container", id));
            }
        }
        if self.named(&new.name).is_some() {
            return Err(refused(409, format!("the container name {} is already in use", new.name)));
        }
        let Some(image_id) = self.images.get(&spec.image).cloned() else {
            return Err(EngineError::NoImage { reference: spec.image.clone() });
        };
        let mut volumes = Vec::new();
        for (target, name) in &new.keep {
            volumes.push((ObservedMount { name: name.clone(), target: target.clone() }, false));
        }
        for mount in &spec.service.volumes {
            let target = mount.target.clone();
            match &mount.source {
                MountSource::Volume { key, .. } => {
                    let name = spec.volume_names.get(key).unwrap_or(key).clone();
                    // A volume that is not there is made, without labels.
                    self.put_volume(&name, BTreeMap::new());
                    volumes.push((ObservedMount { name, target }, false));
                }
                MountSource::Anonymous if !new.keep.iter().any(|(kept, _)| *kept == target) => {
                    let name = self.id();
                    self.put_volume(&name, BTreeMap::new());
                    volumes.push((ObservedMount { name, target }, true));
                }
                _ => {}
            }
        }
        let ports = spec.service.ports.iter().map(|port| ObservedPort {
            target: port.target,
            published: port.published.as_ref().and_then(|published| published.parse().ok()),
            host_ip: port.host_ip.clone().unwrap_or_else(|| "0.0.0.0".to_owned()),
            protocol: port.protocol.clone(),
        });
        let restart = spec.service.restart.as_ref().map(|restart| restart.value);
        let container = Container {
            name: new.name.clone(),
            state: ContainerState::Created,
            lines: Vec::new(),
            files: (new.binds.iter())
                .map(|bind| (bind.target.clone(), format!("bind {}", bind.source.display())))
                .collect(),
            hooks: Vec::new(),
            read_only: spec.service.read_only.as_ref().is_some_and(|read_only| read_only.value),
            labels: new.labels_with(lenders),
            borrows: spec
                .lenders
                .iter()
                .filter(|lender| lender.namespace)
                .map(|lender| lenders[&lender.service].clone())
                .collect(),
            image: spec.image.clone(),
            image_id,
            networks: new.networks.iter().map(|joined| (joined.name.clone(), String::new())).collect(),
            volumes,
            ports: ports.collect(),
            checked: spec.service.healthcheck.as_ref().is_some_and(|check| !check.disable),
            restarted: matches!(restart, Some(Restart::Always | Restart::UnlessStopped)),
            behaviour: Behaviour::default(),
            looks: 0,
            started: None,
        };
        let id = self.id();
        self.containers.insert(id.clone(), container);
        Ok(id)
    }

    fn start(&mut self, id: &str) -> Result<(), EngineError> {
        let container = self.containers.get(id).ok_or_else(|| missing("container", id))?;
        if container.state == ContainerState::Paused {
            return Err(refused(409, format!("container {} is paused", container.name)));
        }
        if container.state.is_up() {
            return Ok(());
        }
        for lender in &container.borrows {
            if !self.containers.get(lender).is_some_and(|lender| lender.state.is_up()) {
                return Err(refused(409, format!("cannot join the namespace of {lender}: it does not run")));
            }
        }
        let mut joined = BTreeMap::new();
        for (name, known) in &container.networks {
            let found = self
                .networks
                .iter()
                .find(|(id, network)| network.name == *name && (known.is_empty() || known == *id));
            let (network, _) = found.ok_or_else(|| missing("network", name))?;
            joined.insert(name.clone(), network.clone());
        }
        for port in container.ports.iter().filter(|port| port.published.is_some()) {
            let holds = |other: &&Container| {
                other.state.is_up()
                    && other
                        .ports
                        .iter()
                        .any(|held| held.published == port.published && held.protocol == port.protocol)
            };
            if let Some(holder) = self.containers.values().find(holds) {
                let port = port.published.map(|port| port.to_string()).unwrap_or_default();
                return Err(EngineError::PortInUse { port, holder: Some(holder.name.clone()) });
            }
        }
        let mut behaviour = (self.image_behaviours.get(&container.image))
            .or_else(|| self.behaviours.get(container.label(labels::SERVICE)))
            .cloned()
            .unwrap_or_default();
        let starts = self.starts.entry(container.image.clone()).or_default();
        *starts += 1;
        behaviour.unhealthy |= behaviour.unwell_after.is_some_and(|good| *starts > good);
        if let Some(container) = self.containers.get_mut(id) {
            container.networks = joined;
            container.behaviour = behaviour;
            container.state = ContainerState::Running;
            container.looks = 0;
            container.started = Some(Instant::now());
        }
        Ok(())
    }

    fn remove(&mut self, id: &str, volumes: bool) -> Result<(), EngineError> {
        let Some(container) = self.containers.get(id) else {
            return Ok(());
        };
        if container.state.is_up() {
            return Err(refused(409, format!("cannot remove the running container {}", container.name)));
        }
        let own: Vec<String> =
            container.volumes.iter().filter(|(_, own)| *own).map(|(mount, _)| mount.name.clone()).collect();
        self.containers.remove(id);
        for name in own.iter().filter(|_| volumes) {
            let used = |found: &Container| found.volumes.iter().any(|(mount, _)| mount.name == *name);
            if !self.containers.values().any(used) {
                self.volumes.remove(name);
            }
        }
        Ok(())
    }

    pub(super) fn observe(&mut self, query: &Query) -> Observed {
        self.containers.values_mut().for_each(Container::live);
        let own = |found: &BTreeMap<String, String>| found.get(labels::PROJECT) == Some(&query.project);
        let record =
            |found: &BTreeMap<String, String>| found.get(labels::SPEC).and_then(|text| Recorded::read(text));
        let mut containers: Vec<_> = (self.containers.iter())
            .filter(|(_, container)| {
                own(&container.labels) && container.labels.contains_key(labels::CONFIG_HASH)
            })
            .map(|(id, container)| observed(id, container, record(&container.labels)))
            .collect();
        containers.sort_by(|a, b| a.name.cmp(&b.name));
        let mut networks: Vec<_> = (self.networks.iter())
            .filter(|(_, network)| own(&network.labels) || query.networks.contains(&network.name))
            .map(|(id, network)| ObservedNetwork {
                id: id.clone(),
                name: network.name.clone(),
                key: network.labels.get(labels::NETWORK).filter(|_| own(&network.labels)).cloned(),
                config_hash: network.labels.get(labels::CONFIG_HASH).cloned().unwrap_or_default(),
                recorded: record(&network.labels),
            })
            .collect();
        networks.sort_by(|a, b| a.name.cmp(&b.name));
        let volumes = (self.volumes.iter())
            .filter(|(name, found)| own(found) || query.volumes.contains(name))
            .map(|(name, found)| ObservedVolume {
                name: name.clone(),
                key: found.get(labels::VOLUME).filter(|_| own(found)).cloned(),
                config_hash: found.get(labels::CONFIG_HASH).cloned().unwrap_or_default(),
                recorded: record(found),
            })
            .collect();
        let images = (query.images.iter())
            .filter_map(|name| {
                let id = self.images.get(name)?.clone();
                Some((name.clone(), ObservedImage { id, tagged: None }))
            })
            .collect();
        Observed { containers, networks, volumes, images, remote: self.remote, ..Observed::default() }
    }
}

fn observed(id: &str, container: &Container, recorded: Option<Recorded>) -> ObservedContainer {
    ObservedContainer {
        id: id.to_owned(),
        name: container.name.clone(),
        service: container.label(labels::SERVICE).to_owned(),
        number: container.label(labels::NUMBER).parse().unwrap_or(0),
        one_off: container.label(labels::ONE_OFF) == "True",
        state: container.state,
        health: container.health(),
        image_id: container.image_id.clone(),
        image: container.image.clone(),
        recorded,
        lenders: labels::read_lenders(container.label(labels::LENDERS)),
        config_hash: container.label(labels::CONFIG_HASH).to_owned(),
        replaced_another: container.labels.contains_key(labels::REPLACE),
        depends_on: labels::dependencies(container.label(labels::DEPENDS_ON)),
        networks: container.networks.clone(),
        volumes: container.volumes.iter().map(|(mount, _)| mount.clone()).collect(),
        config_files: container.label(labels::CONFIG_FILES).to_owned(),
        command: String::new(),
        created: 0,
        status: container.state.word().to_owned(),
        ports: if container.state.is_up() { container.ports.clone() } else { Vec::new() },
        actual: None,
    }
}
