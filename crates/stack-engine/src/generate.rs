//! A stack file for containers that are there: what the engine tells of them, in the words of the
//! Compose Specification, without what their images say already.

mod service;

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value, json};
use stack_plan::labels;

/// What the engine tells of some containers, as its API does.
#[derive(Clone, Debug, Default)]
pub struct Inspected {
    /// The containers.
    pub containers: Vec<Value>,
    /// Their images by id.
    pub images: BTreeMap<String, Value>,
    /// The networks of the engine by name.
    pub networks: BTreeMap<String, Value>,
    /// The volumes of the engine by name.
    pub volumes: BTreeMap<String, Value>,
}

/// A stack file, and what could not be put into it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Generated {
    /// The file as a mapping.
    pub stack: Map<String, Value>,
    /// What is left out, and why.
    pub left_out: Vec<String>,
}

/// Writes a stack file for containers, which are of `project` if it is named so. Containers of
/// one service become one service.
#[must_use]
pub fn generate(inspected: &Inspected, name: Option<&str>) -> Generated {
    let mut left_out = Vec::new();
    let mut services: BTreeMap<String, (Value, u32)> = BTreeMap::new();
    let mut ground = Ground::new(inspected);
    let project = ground.project.clone();
    for container in &inspected.containers {
        let key = key_of(container, &services);
        if let Some((_, number)) = services.get_mut(&key) {
            *number += 1;
            continue;
        }
        let image = container["Image"].as_str().and_then(|id| inspected.images.get(id));
        let (service, missing) = service::service(container, image.unwrap_or(&Value::Null), &mut ground);
        left_out.extend(missing.into_iter().map(|what| format!("{key}: {what}")));
        services.insert(key, (service, 1));
    }
    let mut stack = Map::new();
    if let Some(name) = name.or(project.as_deref()) {
        stack.insert("name".to_owned(), json!(name));
    }
    let services = services.into_iter().map(|(key, (mut service, number))| {
        if number > 1 {
            service["scale"] = json!(number);
        }
        (key, service)
    });
    stack.insert("services".to_owned(), Value::Object(services.collect()));
    for (kind, all) in [("networks", ground.networks), ("volumes", ground.volumes)] {
        if !all.is_empty() {
            stack.insert(kind.to_owned(), Value::Object(all.into_iter().collect()));
        }
    }
    // A plain dollar sign is written twice.
    let mut whole = Value::Object(stack);
    double_dollars(&mut whole);
    let Value::Object(stack) = whole else { return Generated::default() };
    Generated { stack, left_out }
}

/// The key of a container's service: the service that it has, or a name made of its own.
fn key_of(container: &Value, taken: &BTreeMap<String, (Value, u32)>) -> String {
    if let Some(service) = label(container, labels::SERVICE) {
        return service.to_owned();
    }
    let name = container["Name"].as_str().unwrap_or_default().trim_start_matches('/');
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    let key: String = name.chars().map(|c| if fits(c) { c } else { '-' }).collect();
    let mut unique = key.clone();
    let mut number = 2;
    while taken.contains_key(&unique) {
        unique = format!("{key}-{number}");
        number += 1;
    }
    unique
}

fn label<'a>(found: &'a Value, name: &str) -> Option<&'a str> {
    found["Config"]["Labels"][name].as_str()
}

fn double_dollars(value: &mut Value) {
    match value {
        Value::String(text) if text.contains('$') => *text = text.replace('$', "$$"),
        Value::Array(items) => items.iter_mut().for_each(double_dollars),
        Value::Object(entries) => entries.values_mut().for_each(double_dollars),
        _ => {}
    }
}

/// The networks and volumes that the services use.
struct Ground<'a> {
    inspected: &'a Inspected,
    /// The project that all containers are of; `None` if they are of several or of none.
    project: Option<String>,
    networks: BTreeMap<String, Value>,
    volumes: BTreeMap<String, Value>,
}

impl<'a> Ground<'a> {
    fn new(inspected: &'a Inspected) -> Self {
        let projects: BTreeSet<Option<&str>> =
            inspected.containers.iter().map(|container| label(container, labels::PROJECT)).collect();
        let project = match projects.into_iter().collect::<Vec<_>>()[..] {
            [Some(project)] => Some(project.to_owned()),
            _ => None,
        };
        Self { inspected, project, networks: BTreeMap::new(), volumes: BTreeMap::new() }
    }

    /// The key of a network in the file.
    fn network(&mut self, name: &str) -> String {
        let found = self.inspected.networks.get(name).unwrap_or(&Value::Null);
        let (key, resource) = self.resource(name, found, labels::NETWORK, "Options");
        // The default network of a project need not be declared.
        let plain = resource.as_object().is_none_or(Map::is_empty);
        if !(key == "default" && plain) {
            self.networks.insert(key.clone(), resource);
        }
        key
    }

    /// The key of a volume in the file.
    fn volume(&mut self, name: &str) -> String {
        let found = self.inspected.volumes.get(name).unwrap_or(&Value::Null);
        let (key, resource) = self.resource(name, found, labels::VOLUME, "Options");
        self.volumes.insert(key.clone(), resource);
        key
    }

    /// What belongs to the project is declared as it is; what does not stays with whoever has it.
    fn resource(&self, name: &str, found: &Value, label: &str, options: &str) -> (String, Value) {
        let of_project = found["Labels"][labels::PROJECT].as_str();
        let key = found["Labels"][label]
            .as_str()
            .filter(|_| self.project.is_some() && of_project == self.project.as_deref());
        let Some(key) = key else { return (name.to_owned(), json!({ "external": true, "name": name })) };
        let mut resource = Map::new();
        let project = of_project.unwrap_or_default();
        if name != format!("{project}_{key}") {
            resource.insert("name".to_owned(), json!(name));
        }
        if let Some(driver) = found["Driver"].as_str().filter(|driver| !matches!(*driver, "bridge" | "local"))
        {
            resource.insert("driver".to_owned(), json!(driver));
        }
        if let Some(set) = found[options].as_object().filter(|set| !set.is_empty()) {
            resource.insert("driver_opts".to_owned(), json!(set));
        }
        for (flag, ours) in
            [("Internal", "internal"), ("Attachable", "attachable"), ("EnableIPv6", "enable_ipv6")]
        {
            if found[flag] == true {
                resource.insert(ours.to_owned(), json!(true));
            }
        }
        let others = service::own_labels(&found["Labels"], &Value::Null);
        if !others.is_empty() {
            resource.insert("labels".to_owned(), Value::Object(others));
        }
        (key.to_owned(), Value::Object(resource))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn container(name: &str, labels: Value) -> Value {
        json!({
            "Id": "0123456789abcdef", "Name": format!("/{name}"), "Image": "sha256:1",
            "Config": {
                "Image": "web:1", "Hostname": "0123456789ab", "Labels": labels,
                "Env": ["PATH=/bin", "PRICE=5$"], "Cmd": ["serve"], "Entrypoint": ["/entry"],
                "ExposedPorts": { "80/tcp": {}, "90/udp": {} },
            },
            "HostConfig": {
                "NetworkMode": "shop_default", "RestartPolicy": { "Name": "on-failure", "MaximumRetryCount": 3 },
                "PortBindings": { "80/tcp": [{ "HostIp": "127.0.0.1", "HostPort": "8080" }] },
                "Memory": 67_108_864, "MemorySwap": 134_217_728, "NanoCpus": 500_000_000_u64,
                "CapAdd": ["CAP_NET_ADMIN"], "ShmSize": 67_108_864, "IpcMode": "private",
                "Ulimits": [{ "Name": "nofile", "Soft": 100, "Hard": 200 }],
                "VolumesFrom": ["abc"],
            },
            "Mounts": [
                { "Type": "volume", "Name": "shop_data", "Destination": "/data", "RW": true },
                { "Type": "bind", "Source": "/etc/x", "Destination": "/x", "RW": false },
            ],
            "NetworkSettings": { "Networks": { "shop_default": { "Aliases": ["web", "0123456789ab", "www"] } } },
        })
    }

    fn inspected(containers: Vec<Value>) -> Inspected {
        let of_project = |label: &str, key: &str| json!({ "Labels": { "com.docker.compose.project": "shop", label: key }, "Driver": "local" });
        Inspected {
            containers,
            images: [("sha256:1".to_owned(), json!({ "Config": { "Env": ["PATH=/bin"], "Entrypoint": ["/entry"], "ExposedPorts": { "80/tcp": {} } } }))].into(),
            networks: [("shop_default".to_owned(), of_project("com.docker.compose.network", "default"))].into(),
            volumes: [("shop_data".to_owned(), of_project("com.docker.compose.volume", "data"))].into(),
        }
    }

    #[test]
    fn containers_of_a_project_become_its_file() {
        let labels =
            json!({ "com.docker.compose.project": "shop", "com.docker.compose.service": "web", "mine": "1" });
        let two = [container("shop-web-1", labels.clone()), container("shop-web-2", labels)];
        let generated = generate(&inspected(two.to_vec()), None);
        let wanted = json!({
            "name": "shop",
            "services": { "web": {
                "image": "web:1", "command": ["serve"], "environment": { "PRICE": "5$$" },
                "ports": [{ "target": 80, "published": "8080", "host_ip": "127.0.0.1", "protocol": "tcp" }],
                "expose": ["90/udp"],
                "volumes": [
                    { "type": "volume", "source": "data", "target": "/data" },
                    { "type": "bind", "source": "/etc/x", "target": "/x", "read_only": true },
                ],
                "networks": { "default": { "aliases": ["www"] } },
                "restart": "on-failure:3", "labels": { "mine": "1" }, "cap_add": ["NET_ADMIN"],
                "ulimits": { "nofile": { "soft": 100, "hard": 200 } },
                "mem_limit": "67108864", "cpus": 0.5, "scale": 2,
            } },
            "volumes": { "data": {} },
        });
        assert_eq!(Value::Object(generated.stack), wanted);
        assert_eq!(generated.left_out, ["web: volumes_from (abc)"]);
    }

    #[test]
    fn what_belongs_to_others_stays_theirs() {
        let generated = generate(&inspected(vec![container("my_web", json!({}))]), Some("new"));
        let stack = Value::Object(generated.stack);
        assert_eq!(stack["name"], "new");
        assert_eq!(stack["networks"]["shop_default"], json!({ "external": true, "name": "shop_default" }));
        assert_eq!(stack["volumes"]["shop_data"]["external"], true);
        assert_eq!(stack["services"]["my_web"]["networks"]["shop_default"]["aliases"], json!(["web", "www"]));
    }
}
