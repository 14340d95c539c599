//! Ports of containers, and what is published of them.

use serde_json::{Map, Value, json};
use stack_file::model::{Port, Service};
use stack_file::source::Spanned;
use stack_file::tree::Node;

use crate::manifests::{Manifests, put};

/// More ports than this are not listed: all are open then.
const MANY: usize = 100;

/// A port of a container.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct OpenPort {
    pub(crate) number: u16,
    /// `TCP`, `UDP` or `SCTP`.
    pub(crate) protocol: String,
    pub(crate) name: String,
    /// What is spoken over it.
    pub(crate) app_protocol: Option<String>,
    /// The port of the node.
    pub(crate) host: Option<u16>,
}

/// The published port and what the file says of it besides.
struct Written<'a> {
    port: &'a Spanned<Port>,
    node: Option<&'a Node>,
}

impl Written<'_> {
    fn text(&self, key: &str) -> Option<&str> {
        Some(self.node?.get(key)?.as_scalar()?.text.as_str()).filter(|text| !text.is_empty())
    }

    /// A port of the node itself, as `mode: host` asks for.
    fn is_of_node(&self) -> bool {
        self.text("mode") == Some("host")
    }
}

fn written<'a>(manifests: &Manifests<'a>, service: &'a Service) -> Vec<Written<'a>> {
    let node = manifests.stack.written_service(&service.name).and_then(|node| node.get("ports"));
    let items = node.and_then(Node::as_sequence).unwrap_or_default();
    // One item of the canonical form is one port.
    service.ports.iter().enumerate().map(|(index, port)| Written { port, node: items.get(index) }).collect()
}

impl<'a> Manifests<'a> {
    /// The ports that the file names, published or not, each once; none where there are too many.
    pub(crate) fn open_ports(&self, service: &'a Service) -> Vec<OpenPort> {
        let mut all: Vec<OpenPort> = Vec::new();
        for written in written(self, service) {
            let port = written.port;
            let host = written.is_of_node().then(|| port.published.as_deref().and_then(first)).flatten();
            let name = written.text("name").filter(|name| is_port_name(name)).map(str::to_owned);
            let app_protocol = written.text("app_protocol").filter(|text| crate::name::is_qualified(text));
            let found = all.iter_mut().find(|open| {
                open.number == port.target && open.protocol == port.protocol.to_ascii_uppercase()
            });
            if let Some(found) = found {
                found.host = found.host.or(host);
                continue;
            }
            all.push(OpenPort {
                number: port.target,
                protocol: port.protocol.to_ascii_uppercase(),
                name: name.unwrap_or_else(|| format!("{}-{}", port.protocol, port.target)),
                app_protocol: app_protocol.map(str::to_owned),
                host,
            });
        }
        for exposed in &service.expose {
            let (range, protocol) = exposed.value.split_once('/').unwrap_or((&exposed.value, "tcp"));
            let (from, to) = range.split_once('-').unwrap_or((range, range));
            let (Ok(from), Ok(to)) = (from.parse::<u16>(), to.parse::<u16>()) else { continue };
            for number in from..=to {
                let protocol = protocol.to_ascii_uppercase();
                if all.len() > MANY {
                    return Vec::new();
                }
                if number > 0 && !all.iter().any(|open| open.number == number && open.protocol == protocol) {
                    let name = format!("{}-{number}", protocol.to_ascii_lowercase());
                    all.push(OpenPort { number, protocol, name, app_protocol: None, host: None });
                }
            }
        }
        all.retain(|open| open.number > 0);
        let mut names = std::collections::HashSet::new();
        for open in &mut all {
            if !names.insert(open.name.clone()) {
                open.name = format!("{}-{}", open.protocol.to_ascii_lowercase(), open.number);
                names.insert(open.name.clone());
            }
        }
        if all.len() > MANY { Vec::new() } else { all }
    }

    /// Whether a pod takes ports of its node.
    pub(crate) fn host_ports(&self, service: &'a Service) -> bool {
        service.network_mode.as_ref().is_some_and(|mode| mode.value == "host")
            || self.open_ports(service).iter().any(|open| open.host.is_some())
    }

    /// The ports of the container.
    pub(crate) fn container_ports(&self, service: &'a Service) -> Value {
        let of_node = service.network_mode.as_ref().is_some_and(|mode| mode.value == "host");
        let ports = self.open_ports(service);
        Value::Array(
            (ports.iter())
                .map(|open| {
                    let mut port = Map::new();
                    port.insert("name".to_owned(), json!(open.name));
                    port.insert("containerPort".to_owned(), json!(open.number));
                    port.insert("protocol".to_owned(), json!(open.protocol));
                    let host = if of_node { Some(open.number) } else { open.host };
                    put(&mut port, "hostPort", host.map(|host| json!(host)));
                    Value::Object(port)
                })
                .collect(),
        )
    }

    /// The ports that are open to the outside, and what they are published at; those that cannot be
    /// are told.
    pub(crate) fn published_ports(&mut self, service: &'a Service) -> Vec<Value> {
        let of_node = service.network_mode.as_ref().is_some_and(|mode| mode.value == "host");
        if of_node {
            return Vec::new();
        }
        let open = self.open_ports(service);
        let mut ports: Vec<Value> = Vec::new();
        for (index, written) in written(self, service).iter().enumerate() {
            let port = written.port;
            let path = format!("services.{}.ports[{index}]", service.name.value);
            if written.is_of_node() {
                if port.published.is_none() {
                    self.warn(
                        &port.origin,
                        path,
                        "Kubernetes chooses no port of a node",
                        "say which port of the node it is: `published`",
                    );
                }
                continue;
            }
            if is_local(port) {
                self.warn(
                    &port.origin,
                    path,
                    "a port for this machine alone is not published by Kubernetes",
                    format!(
                        "reach it with: kubectl port-forward service/{} {}",
                        self.names[service.name.as_str()],
                        port.target
                    ),
                );
                continue;
            }
            if port.host_ip.as_deref().is_some_and(|address| {
                !address.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_unspecified())
            }) {
                self.warn(
                    &port.origin,
                    path.clone(),
                    "Kubernetes publishes ports on no address of the file's choice",
                    "leave out the address",
                );
            }
            let number = port.published.as_deref().and_then(first).unwrap_or(port.target);
            if number == 0 || port.published.as_deref().is_some_and(|text| text.contains('-')) {
                self.warn(
                    &port.origin,
                    path,
                    "Kubernetes chooses no port within a range",
                    "publish it at a single port",
                );
            }
            let number = number.max(1);
            let protocol = port.protocol.to_ascii_uppercase();
            let taken = ports
                .iter()
                .any(|known| known["port"] == json!(number) && known["protocol"] == json!(protocol));
            if taken {
                continue;
            }
            let known = open.iter().find(|open| open.number == port.target && open.protocol == protocol);
            let mut entry = Map::new();
            entry.insert("name".to_owned(), json!(format!("{}-{number}", port.protocol)));
            entry.insert("port".to_owned(), json!(number));
            entry.insert("targetPort".to_owned(), json!(port.target));
            entry.insert("protocol".to_owned(), json!(protocol));
            let spoken = known.and_then(|known| known.app_protocol.as_ref());
            put(&mut entry, "appProtocol", spoken.map(|spoken| json!(spoken)));
            ports.push(Value::Object(entry));
        }
        ports
    }
}

/// Whether a port is published for this machine alone.
pub(crate) fn is_local(port: &Port) -> bool {
    port.host_ip.as_deref().is_some_and(|address| {
        address == "localhost"
            || address.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
    })
}

/// The first port of a range.
fn first(published: &str) -> Option<u16> {
    published.split('-').next()?.parse().ok()
}

/// Whether a text is a name of a port: 15 lower-case letters, digits and `-`, one of them a letter.
fn is_port_name(text: &str) -> bool {
    text.len() <= 15
        && crate::name::is_label(text)
        && text.bytes().any(|each| each.is_ascii_lowercase())
        && !text.contains("--")
}
