//! Stacks that chance makes.

use std::collections::BTreeSet;
use std::fmt::Write;
use std::time::Duration;

use proptest::collection::vec;
use proptest::prelude::*;
use stack_engine::fake::{Behaviour, FakeEngine};

pub(crate) const NETWORKS: usize = 3;
pub(crate) const VOLUMES: usize = 2;

/// A service that chance makes; what does not fit is left out when it is written.
#[derive(Clone, Debug)]
pub(crate) struct Made {
    pub(crate) there: bool,
    pub(crate) depends_on: Vec<(usize, u8, bool, bool)>,
    pub(crate) networks: [bool; NETWORKS],
    pub(crate) volume: Option<usize>,
    pub(crate) anonymous: bool,
    pub(crate) port: Option<u16>,
    pub(crate) name: Option<usize>,
    pub(crate) replicas: u32,
    pub(crate) level: u8,
    pub(crate) checked: bool,
    pub(crate) job: bool,
    /// The version of its config, which is copied.
    pub(crate) config: Option<u8>,
    pub(crate) hooked: bool,
    /// A service that lends its mounts or a namespace.
    pub(crate) borrows: Option<(usize, u8)>,
    /// How it is replaced while it serves: parallelism, start-first, failure action.
    pub(crate) update: Option<(u32, bool, usize)>,
}

/// One generation of a stack.
#[derive(Clone, Debug)]
pub(crate) struct Generation {
    pub(crate) services: Vec<Made>,
    pub(crate) networks: [u8; NETWORKS],
    pub(crate) volumes: [u8; VOLUMES],
}

pub(crate) fn service() -> impl Strategy<Value = Made> {
    let shape = (
        prop::bool::weighted(0.85),
        vec((0..8_usize, 0..3_u8, any::<bool>(), prop::bool::weighted(0.8)), 0..3),
        any::<[bool; NETWORKS]>(),
        prop::option::weighted(0.3, 0..VOLUMES),
        prop::bool::weighted(0.2),
    );
    let rest = (
        prop::option::weighted(0.4, 8000..8003_u16),
        prop::option::weighted(0.2, 0..2_usize),
        1..4_u32,
        0..2_u8,
        any::<bool>(),
        prop::bool::weighted(0.2),
        prop::option::weighted(0.3, (0..8_usize, 0..3_u8)),
    );
    let update = prop::option::weighted(0.4, (0..3_u32, any::<bool>(), 0..3_usize));
    let inside = (prop::option::weighted(0.3, 0..2_u8), prop::bool::weighted(0.3), update);
    (shape, rest, inside).prop_map(|(shape, rest, (config, hooked, update))| {
        let (there, depends_on, networks, volume, anonymous) = shape;
        let (port, name, replicas, level, checked, job, borrows) = rest;
        Made {
            there,
            depends_on,
            networks,
            volume,
            anonymous,
            port,
            name,
            replicas,
            level,
            checked,
            job,
            config,
            hooked,
            borrows,
            update,
        }
    })
}

/// Two generations: of the second, about half of the services are as they were.
pub(crate) fn generations() -> impl Strategy<Value = (Generation, Generation)> {
    let services = vec((service(), service(), any::<bool>()), 3..8);
    let networks = any::<[bool; NETWORKS]>();
    let volumes = vec(prop::bool::weighted(0.2), VOLUMES);
    (services, networks, volumes).prop_map(|(services, networks, volumes)| {
        let first = Generation {
            services: services.iter().map(|(first, ..)| first.clone()).collect(),
            networks: [0; NETWORKS],
            volumes: [0; VOLUMES],
        };
        let second = Generation {
            services: services
                .into_iter()
                .map(|(first, second, same)| if same { first } else { second })
                .collect(),
            networks: networks.map(|remade| u8::from(remade && networks[0])),
            volumes: std::array::from_fn(|index| u8::from(volumes[index])),
        };
        (first, second)
    })
}

impl Generation {
    /// The stack file.
    pub(crate) fn text(&self) -> String {
        let mut text = String::from("services:\n  base:\n    image: base\n");
        let mut ports = BTreeSet::new();
        let mut names = BTreeSet::new();
        for (index, made) in self.services.iter().enumerate().filter(|(_, made)| made.there) {
            let _ = write!(text, "  s{index}:\n    image: image{}\n", made.level);
            let _ = writeln!(text, "    environment: {{ LEVEL: \"{}\" }}", made.level);
            let port = made.port.filter(|port| ports.insert(*port));
            let name = made.name.filter(|name| names.insert(*name));
            if let Some(port) = port {
                let _ = writeln!(text, "    ports: [\"{port}:80\"]");
            }
            if let Some(name) = name {
                let _ = writeln!(text, "    container_name: shop-of-{name}");
            }
            if port.is_none() && name.is_none() && !made.job {
                let _ = writeln!(text, "    scale: {}", made.replicas);
            }
            if made.job {
                text.push_str("    restart: \"no\"\n");
            } else if made.checked {
                text.push_str("    healthcheck: { test: [CMD, look] }\n");
            }
            if made.config.is_some() {
                let _ = writeln!(text, "    configs: [{{ source: c{index}, target: /etc/c, mode: 0400 }}]");
            }
            // A job may have ended before a hook could run in it.
            if made.hooked && !made.job {
                text.push_str("    post_start: [{ command: [hello] }]\n    pre_stop: [{ command: [bye] }]\n");
            }
            if let Some((parallelism, start_first, action)) = made.update.filter(|_| !made.job) {
                let order = if start_first { "start-first" } else { "stop-first" };
                let action = ["pause", "continue", "rollback"][action];
                let _ = writeln!(
                    text,
                    "    deploy: {{ update_config: {{ parallelism: {parallelism}, order: {order}, failure_action: {action} }} }}"
                );
            }
            let joined: Vec<_> = (0..NETWORKS).filter(|network| made.networks[*network]).collect();
            if !joined.is_empty() {
                let joined: Vec<_> = joined.iter().map(|network| format!("n{network}")).collect();
                let _ = writeln!(text, "    networks: [{}]", joined.join(", "));
            }
            let mut mounts: Vec<String> =
                made.volume.iter().map(|volume| format!("v{volume}:/named")).collect();
            if made.anonymous {
                mounts.push("/anonymous".to_owned());
            }
            if !mounts.is_empty() {
                let _ = writeln!(text, "    volumes: [{}]", mounts.join(", "));
            }
            let lender = made.borrows.filter(|(from, _)| *from < index);
            if let Some((from, kind)) = lender
                && let Some(other) = self.services.get(from).filter(|other| other.there)
            {
                let _ = match kind {
                    0 if !other.job => writeln!(text, "    pid: \"service:s{from}\""),
                    1 if !other.job => writeln!(text, "    ipc: \"service:s{from}\""),
                    _ => writeln!(text, "    volumes_from: [\"s{from}:ro\"]"),
                };
            }
            text.push_str("    depends_on:\n      base: { condition: service_started }\n");
            let mut seen = BTreeSet::new();
            for (on, condition, restart, required) in &made.depends_on {
                if *on >= index
                    || !seen.insert(on)
                    || !self.services.get(*on).is_some_and(|other| other.there)
                {
                    continue;
                }
                let other = &self.services[*on];
                let condition = match condition {
                    1 if other.checked && !other.job => "service_healthy",
                    2 if other.job => "service_completed_successfully",
                    _ => "service_started",
                };
                let _ = writeln!(
                    text,
                    "      s{on}: {{ condition: {condition}, restart: {restart}, required: {required} }}"
                );
            }
        }
        text.push_str("configs:\n  unused: { content: nothing }\n");
        for (index, made) in self.services.iter().enumerate() {
            if let Some(version) = made.config {
                let _ = writeln!(text, "  c{index}: {{ content: \"version {version}\" }}");
            }
        }
        text.push_str("networks:\n");
        for (index, version) in self.networks.iter().enumerate() {
            let _ = writeln!(text, "  n{index}: {{ labels: {{ version: \"{version}\" }} }}");
        }
        text.push_str("volumes:\n");
        for (index, version) in self.volumes.iter().enumerate() {
            let _ = writeln!(text, "  v{index}: {{ labels: {{ version: \"{version}\" }} }}");
        }
        text
    }

    pub(crate) fn behave(&self, engine: &FakeEngine) {
        for (index, made) in self.services.iter().enumerate() {
            let exits = made.job.then_some((Duration::from_millis(20), 0));
            let healthy_after = u32::from(made.level);
            engine.behave(&format!("s{index}"), Behaviour { exits, healthy_after, ..Behaviour::default() });
        }
    }
}
