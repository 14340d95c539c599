//! How pods find each other, who may reach whom, and what is open to the outside.

use std::collections::BTreeSet;

use indexmap::IndexMap;
use serde_json::{Map, Value, json};
use stack_file::model::{Service, Stack};
use stack_file::source::Spanned;

use crate::labels::{ALIAS, Marks, NETWORK};
use crate::manifests::{Manifests, put, put_some};
use crate::ports::{OpenPort, is_local};
use crate::workload::Workload;
use crate::{Publish, name};

/// Which networks keep services apart. With one network there is nothing to keep apart.
#[derive(Debug, Default)]
pub(crate) struct Isolation {
    /// The networks by key that are written, and their names in labels.
    networks: IndexMap<String, String>,
    /// Those of them that have no way out.
    internal: BTreeSet<String>,
}

impl Isolation {
    pub(crate) fn of(stack: &Stack) -> Self {
        let used: BTreeSet<&String> =
            stack.services.values().flat_map(|service| service.networks.keys()).collect();
        let internal: BTreeSet<String> = (stack.networks.iter())
            .filter(|(_, network)| network.internal)
            .map(|(key, _)| key.clone())
            .collect();
        let none = (stack.services.values())
            .any(|service| service.network_mode.as_ref().is_some_and(|mode| mode.value == "none"));
        if used.len() < 2 && internal.is_empty() && !none {
            return Self::default();
        }
        // What others own is open to pods of theirs, which nobody here knows.
        let own = stack.networks.iter().filter(|(key, network)| used.contains(key) && !network.external);
        let networks = own.filter_map(|(key, _)| Some((key.clone(), name::label(key)?))).collect();
        Self { networks, internal }
    }

    /// The networks of a service, as they are called in labels.
    pub(crate) fn networks_of(&self, service: &Service) -> Vec<String> {
        service.networks.keys().filter_map(|key| self.networks.get(key).cloned()).collect()
    }

    /// Whether pods of a service may open connections to those of another, at a port that is open
    /// to the outside or at any other.
    pub(crate) fn joins(&self, service: &Service, other: &Service, open: bool) -> bool {
        let theirs = self.networks_of(other);
        let meet = self.networks_of(service).iter().any(|network| theirs.contains(network));
        meet || !self.shuts_in(service) && (open || !self.holds(other))
    }

    /// Whether pods of a service reach none but those on their own networks.
    pub(crate) fn shuts_in(&self, service: &Service) -> bool {
        let none = service.network_mode.as_ref().is_some_and(|mode| mode.value == "none");
        none || self.holds(service) && service.networks.keys().all(|key| self.internal.contains(key))
    }

    /// Whether pods of a service are kept apart from others: no network of theirs is somebody else's.
    fn holds(&self, service: &Service) -> bool {
        !service.networks.is_empty() && service.networks.keys().all(|key| self.networks.contains_key(key))
    }
}

impl<'a> Manifests<'a> {
    /// Further names of a service, each once.
    pub(crate) fn aliases(&self, service: &'a Service) -> Vec<Spanned<String>> {
        let mut all: Vec<Spanned<String>> = Vec::new();
        let attached = service.networks.values();
        let own = attached.flat_map(|attachment| {
            attachment.aliases.iter().map(|alias| Spanned::new(alias.clone(), attachment.origin.clone()))
        });
        // Those who link to it may call it by another name.
        let linked = self.stack.services.values().flat_map(|other| &other.links).filter_map(|link| {
            let (to, alias) = link.value.split_once(':')?;
            (to == service.name.value).then(|| Spanned::new(alias.to_owned(), link.origin.clone()))
        });
        for alias in own.chain(linked) {
            let known = self.names.get(service.name.as_str()).is_some_and(|name| *name == alias.value);
            let fits = is_service_name(&alias.value);
            if fits && !known && !all.iter().any(|other| other.value == alias.value) {
                all.push(alias);
            }
        }
        all
    }

    /// The Services by which the pods of a service are found.
    pub(crate) fn services_of(&mut self, service: &'a Service) {
        let fit = self.names[service.name.as_str()].clone();
        self.unfit_aliases(service);
        if !is_found(service) {
            return;
        }
        let ports = self.open_ports(service);
        if ports.is_empty() && self.kinds.get(service.name.as_str()) == Some(&Workload::Job) {
            return;
        }
        let marks = || Marks::default();
        let mut spec = Map::new();
        if self.is_headless(service, &ports) {
            spec.insert("clusterIP".to_owned(), json!("None"));
        }
        spec.insert("selector".to_owned(), Value::Object(self.selector(&service.name)));
        let listed: Vec<Value> = ports.iter().map(open_port).collect();
        put_some(&mut spec, "ports", Value::Array(listed));
        let body = Map::from_iter([("spec".to_owned(), Value::Object(spec))]);
        let labels = Marks { labels: self.labels_of(&service.name), ..marks() };
        self.write("v1", "Service", &fit, labels, body, &service.name.origin);

        for alias in self.aliases(service) {
            if self.names.values().any(|name| *name == alias.value) {
                self.warn(
                    &alias.origin,
                    format!("services.{}.networks", service.name.value),
                    format!(
                        "`{}` is the name of a service: in Kubernetes it is found by it alone",
                        alias.value
                    ),
                    "give the alias another name",
                );
                continue;
            }
            let mut selector = self.common();
            selector.shift_remove("app.kubernetes.io/managed-by");
            selector.insert(format!("{ALIAS}{}", alias.value), json!("true"));
            // Several services may have the alias, on different ports: any port of theirs is reached.
            let spec = json!({ "clusterIP": "None", "selector": selector });
            let body = Map::from_iter([("spec".to_owned(), spec)]);
            let labels = Marks { labels: self.common(), ..marks() };
            self.write("v1", "Service", &alias.value, labels, body, &alias.origin);
        }
        self.publish(service, &fit);
    }

    /// Names that the domain name system of a cluster does not have.
    fn unfit_aliases(&mut self, service: &'a Service) {
        for (network, attachment) in &service.networks {
            for alias in attachment.aliases.iter().filter(|alias| !is_service_name(alias)) {
                self.warn(
                    &attachment.origin,
                    format!("services.{}.networks.{network}.aliases", service.name.value),
                    format!("Kubernetes takes `{alias}` for no name of a Service"),
                    "use lower-case letters, digits and `-`, and begin with a letter",
                );
            }
        }
    }

    /// Whether its name leads to the pods themselves: where it is asked for, where no port is
    /// known, so that any is reached, and where nobody could tell that one is ready otherwise.
    pub(crate) fn is_headless(&self, service: &Service, ports: &[OpenPort]) -> bool {
        let deploy = self.stack.written_service(&service.name).and_then(|node| node.get("deploy"));
        let mode = deploy.and_then(|deploy| deploy.get("endpoint_mode")?.as_scalar());
        mode.is_some_and(|mode| mode.text == "dnsrr") || ports.iter().all(|open| open.protocol != "TCP")
    }

    /// What is open to the outside.
    fn publish(&mut self, service: &'a Service, fit: &str) {
        let mut ports = self.published_ports(service);
        if ports.is_empty() || self.options.publish == Publish::Nothing {
            return;
        }
        let kind = match self.options.publish {
            Publish::LoadBalancer => "LoadBalancer",
            Publish::NodePort | Publish::Nothing => "NodePort",
        };
        if kind == "NodePort" {
            for port in &mut ports {
                let number = port["port"].as_u64().unwrap_or_default();
                if (30_000..=32_767).contains(&number) {
                    port["nodePort"] = json!(number);
                } else if let Some(first) = service.ports.first() {
                    self.warn(
                        &first.origin,
                        format!("services.{}.ports", service.name.value),
                        format!("nodes have no port {number} to publish: the cluster chooses one"),
                        "publish it at a port from 30000 to 32767, or with a load balancer",
                    );
                }
            }
        }
        let spec = json!({ "type": kind, "selector": self.selector(&service.name), "ports": ports });
        let body = Map::from_iter([("spec".to_owned(), spec)]);
        let marks = Marks { labels: self.labels_of(&service.name), ..Marks::default() };
        let name = name::label(&format!("{fit}-published")).unwrap_or_default();
        self.write("v1", "Service", &name, marks, body, &service.name.origin);
    }

    /// Keeps pods apart that are on different networks.
    pub(crate) fn policies(&mut self) {
        let networks: Vec<(String, String)> =
            self.isolation.networks.iter().map(|(key, label)| (key.clone(), label.clone())).collect();
        for (key, label) in &networks {
            let Some(network) = self.stack.networks.get(key) else { continue };
            let members = json!({ "matchLabels": self.member(label) });
            let spec = json!({
                "podSelector": members,
                "policyTypes": ["Ingress"],
                "ingress": [{ "from": [{ "podSelector": members }] }],
            });
            self.policy(&format!("network-{label}"), spec, &network.key.origin);
        }
        let stack = self.stack;
        for service in stack.services.values() {
            let Some(fit) = self.names.get(service.name.as_str()).cloned() else { continue };
            let pods = json!({ "matchLabels": self.selector(&service.name) });
            let mode = service.network_mode.as_ref();
            if let Some(mode) = mode.filter(|mode| mode.value == "none") {
                let spec = json!({ "podSelector": pods, "policyTypes": ["Ingress", "Egress"] });
                self.policy(&format!("{fit}-alone"), spec, &mode.origin);
                continue;
            }
            if !self.isolation.holds(service) {
                continue;
            }
            let mut open: Vec<Value> = Vec::new();
            for port in service.ports.iter().filter(|port| !is_local(port)) {
                let entry = json!({ "protocol": port.protocol.to_ascii_uppercase(), "port": port.target });
                if port.target > 0 && !open.contains(&entry) {
                    open.push(entry);
                }
            }
            if !open.is_empty() && self.options.publish != Publish::Nothing {
                let spec = json!({ "podSelector": pods, "policyTypes": ["Ingress"], "ingress": [{ "ports": open }] });
                self.policy(&format!("{fit}-published"), spec, &service.name.origin);
            }
            if self.isolation.shuts_in(service) {
                let others: Vec<Value> = (self.isolation.networks_of(service).iter())
                    .map(|label| json!({ "podSelector": { "matchLabels": self.member(label) } }))
                    .collect();
                // Without names nobody finds anybody.
                let names = json!({ "ports": [{ "protocol": "UDP", "port": 53 }, { "protocol": "TCP", "port": 53 }] });
                let spec = json!({
                    "podSelector": pods,
                    "policyTypes": ["Egress"],
                    "egress": [{ "to": others }, names],
                });
                self.policy(&format!("{fit}-internal"), spec, &service.name.origin);
            }
        }
    }

    fn member(&self, label: &str) -> Map<String, Value> {
        let mut labels = self.common();
        labels.shift_remove("app.kubernetes.io/managed-by");
        labels.insert(format!("{NETWORK}{label}"), json!("true"));
        labels
    }

    fn policy(&mut self, wanted: &str, spec: Value, origin: &stack_file::source::Origin) {
        let body = Map::from_iter([("spec".to_owned(), spec)]);
        let marks = Marks { labels: self.common(), ..Marks::default() };
        let name = name::label(wanted).unwrap_or_default();
        self.write("networking.k8s.io/v1", "NetworkPolicy", &name, marks, body, origin);
    }

    /// Lines of `/etc/hosts`, and where names are looked up.
    pub(crate) fn resolving(&mut self, service: &Service, spec: &mut Map<String, Value>) {
        let path = format!("services.{}", service.name.value);
        let mut lines: IndexMap<String, Vec<String>> = IndexMap::new();
        for line in &service.extra_hosts {
            let Some((host, address)) = line.value.split_once([':', '=']) else { continue };
            let bare = address.trim_start_matches('[').trim_end_matches(']');
            if bare.parse::<std::net::IpAddr>().is_ok() {
                lines.entry(bare.to_owned()).or_default().push(host.to_ascii_lowercase());
            } else {
                self.warn(
                    &line.origin,
                    format!("{path}.extra_hosts"),
                    format!("Kubernetes has no address for `{address}`"),
                    "name the address",
                );
            }
        }
        let hosts = lines.iter().map(|(address, names)| json!({ "ip": address, "hostnames": names }));
        put_some(spec, "hostAliases", Value::Array(hosts.collect()));

        let mut config = Map::new();
        let mut servers = Vec::new();
        for server in &service.dns {
            if server.value.parse::<std::net::IpAddr>().is_ok() && servers.len() < 3 {
                servers.push(json!(server.value));
            }
            self.warn(
                &server.origin,
                format!("{path}.dns"),
                "pods ask the cluster first, and this server only when that does not answer",
                "let the cluster's own DNS ask this server",
            );
        }
        put_some(&mut config, "nameservers", Value::Array(servers));
        let searches: Vec<&str> = service.dns_search.iter().map(|domain| domain.value.as_str()).collect();
        put_some(&mut config, "searches", json!(searches));
        let options = service.dns_opt.iter().map(|option| {
            let (name, value) = match option.value.split_once(':') {
                Some((name, value)) => (name, Some(value)),
                None => (option.value.as_str(), None),
            };
            let mut entry = Map::from_iter([("name".to_owned(), json!(name))]);
            put(&mut entry, "value", value.map(|value| json!(value)));
            Value::Object(entry)
        });
        put_some(&mut config, "options", Value::Array(options.collect()));
        put_some(spec, "dnsConfig", Value::Object(config));
    }
}

/// Whether the pods of a service have a name: not without a network, and not on that of another.
pub(crate) fn is_found(service: &Service) -> bool {
    !service.network_mode.as_ref().is_some_and(|mode| mode.value == "none" || mode.value.contains(':'))
}

/// Whether a text is a name of a Service: a label of RFC 1123 that begins with a letter.
fn is_service_name(text: &str) -> bool {
    name::is_label(text) && text.starts_with(|first: char| first.is_ascii_lowercase())
}

/// A port within the cluster: that of the container, as on a network of an engine.
fn open_port(open: &OpenPort) -> Value {
    let mut port = Map::new();
    port.insert("name".to_owned(), json!(open.name));
    port.insert("port".to_owned(), json!(open.number));
    port.insert("targetPort".to_owned(), json!(open.number));
    port.insert("protocol".to_owned(), json!(open.protocol));
    put(&mut port, "appProtocol", open.app_protocol.as_ref().map(|spoken| json!(spoken)));
    Value::Object(port)
}
