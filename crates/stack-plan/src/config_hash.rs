//! docker compose's hash of a service, a network or a volume: the value of the
//! label by which it decides whether what runs is what the file asks for.
//!
//! It is the SHA-256 of a JSON text whose keys stand in a fixed order and in
//! which what is empty is left out. The tables below are that order; an
//! attribute that is new in the format needs one row at its place.

use std::collections::BTreeMap;
use std::fmt::Write;

use sha2::{Digest, Sha256};
use stack_file::tree::{Entry, Kind, Node, ScalarKind};

use crate::fields::hex;

/// How a value is written, and when it is left out.
#[derive(Clone, Copy)]
enum Form {
    /// A text; left out when empty.
    Text,
    /// A text that is written whenever it is given.
    GivenText,
    /// A time; left out when it is zero.
    Time,
    /// A list of texts; left out when empty.
    Texts,
    /// A command: never left out, null when it is the image's.
    Words,
    /// Names and addresses: in alphabetical order, joined by `=`.
    Hosts,
    /// Keys and texts, or null; left out when empty.
    Pairs,
    /// Keys and lists of texts; left out when empty.
    Lists,
    /// A boolean; left out when false.
    Flag,
    /// A boolean that is written whenever it is given.
    GivenFlag,
    /// A whole number; left out when zero.
    Number,
    /// A whole number that is written whenever it is given.
    GivenNumber,
    /// A number with a fraction, of 32 bits; left out when zero.
    Real,
    /// A size, as a text; left out when zero.
    Bytes,
    /// A size, as a text that is never left out.
    GivenBytes,
    /// Permission bits, as an octal text.
    Bits,
    /// Attributes of their own, written whenever they are given.
    Of(&'static [Field]),
    /// Attributes of their own, never left out.
    Always(&'static [Field]),
    /// A list of attributes of their own; left out when empty.
    Each(&'static [Field]),
    /// Keys, each with attributes of its own or null; left out when empty.
    Keyed(&'static [Field]),
    /// Keys, each with one limit or two; left out when empty.
    Limits,
}

/// One row: an attribute, and how it is written.
struct Field {
    key: &'static str,
    /// The key in the JSON text.
    written: &'static str,
    form: Form,
    /// What is written when the attribute is absent.
    absent: &'static str,
}

impl Field {
    fn is_written_when_absent(&self) -> bool {
        matches!(self.form, Form::Words | Form::Always(_)) || !self.absent.is_empty()
    }
}

const fn row(key: &'static str, form: Form) -> Field {
    Field { key, written: key, form, absent: "" }
}

/// A service, without what changes nothing about its containers.
const SERVICE: &[Field] = &[
    row("annotations", Form::Pairs),
    row("attach", Form::GivenFlag),
    row("develop", Form::Of(&[row("watch", Form::Each(WATCH))])),
    row("blkio_config", Form::Of(BLKIO)),
    row("cap_add", Form::Texts),
    row("cap_drop", Form::Texts),
    row("cgroup_parent", Form::Text),
    row("cgroup", Form::Text),
    row("cpu_count", Form::Number),
    row("cpu_percent", Form::Real),
    row("cpu_period", Form::Number),
    row("cpu_quota", Form::Number),
    row("cpu_rt_period", Form::Number),
    row("cpu_rt_runtime", Form::Number),
    row("cpus", Form::Real),
    row("cpuset", Form::Text),
    row("cpu_shares", Form::Number),
    row("command", Form::Words),
    row("configs", Form::Each(FILE)),
    row("container_name", Form::Text),
    row("credential_spec", Form::Of(CREDENTIALS)),
    row("deploy", Form::Of(DEPLOY)),
    row("device_cgroup_rules", Form::Texts),
    row("devices", Form::Each(DEVICE)),
    row("dns", Form::Texts),
    row("dns_opt", Form::Texts),
    row("dns_search", Form::Texts),
    row("domainname", Form::Text),
    row("entrypoint", Form::Words),
    row("provider", Form::Of(&[row("type", Form::Text), row("options", Form::Lists)])),
    row("environment", Form::Pairs),
    row("expose", Form::Texts),
    row("extends", Form::Of(&[row("file", Form::Text), row("service", Form::Text)])),
    row("external_links", Form::Texts),
    row("extra_hosts", Form::Hosts),
    row("group_add", Form::Texts),
    row("gpus", Form::Each(DEVICE_REQUEST)),
    row("hostname", Form::Text),
    row("healthcheck", Form::Of(HEALTHCHECK)),
    row("image", Form::Text),
    row("init", Form::GivenFlag),
    row("ipc", Form::Text),
    row("isolation", Form::Text),
    row("labels", Form::Pairs),
    row("label_file", Form::Texts),
    row("links", Form::Texts),
    row("logging", Form::Of(&[row("driver", Form::Text), row("options", Form::Pairs)])),
    row("mem_limit", Form::Bytes),
    row("mem_reservation", Form::Bytes),
    row("memswap_limit", Form::Bytes),
    row("mem_swappiness", Form::Bytes),
    row("mac_address", Form::Text),
    row("models", Form::Keyed(&[row("endpoint_var", Form::Text), row("model_var", Form::Text)])),
    row("network_mode", Form::Text),
    row("networks", Form::Keyed(ATTACHMENT)),
    row("oom_kill_disable", Form::Flag),
    row("oom_score_adj", Form::Number),
    row("pid", Form::Text),
    row("pids_limit", Form::Number),
    row("platform", Form::Text),
    row("ports", Form::Each(PORT)),
    row("privileged", Form::Flag),
    row("read_only", Form::Flag),
    row("restart", Form::Text),
    row("runtime", Form::Text),
    row("secrets", Form::Each(FILE)),
    row("security_opt", Form::Texts),
    row("shm_size", Form::Bytes),
    row("stdin_open", Form::Flag),
    row("stop_grace_period", Form::GivenText),
    row("stop_signal", Form::Text),
    row("storage_opt", Form::Pairs),
    row("sysctls", Form::Pairs),
    row("tmpfs", Form::Texts),
    row("tty", Form::Flag),
    row("ulimits", Form::Limits),
    row("use_api_socket", Form::Flag),
    row("user", Form::Text),
    row("userns_mode", Form::Text),
    row("uts", Form::Text),
    row("volumes", Form::Each(MOUNT)),
    row("volumes_from", Form::Texts),
    row("working_dir", Form::Text),
    row("pre_start", Form::Each(HOOK)),
    row("post_start", Form::Each(HOOK)),
    row("pre_stop", Form::Each(HOOK)),
];

const WATCH: &[Field] = &[
    row("path", Form::GivenText),
    row("action", Form::GivenText),
    row("target", Form::Text),
    row("exec", Form::Always(HOOK)),
    row("include", Form::Texts),
    row("ignore", Form::Texts),
    row("initial_sync", Form::Flag),
];

const HOOK: &[Field] = &[
    row("command", Form::Words),
    row("image", Form::Text),
    row("user", Form::Text),
    row("privileged", Form::Flag),
    row("working_dir", Form::Text),
    row("environment", Form::Pairs),
    row("per_replica", Form::Flag),
];

const BLKIO: &[Field] = &[
    row("weight", Form::Number),
    row("weight_device", Form::Each(WEIGHT)),
    row("device_read_bps", Form::Each(RATE)),
    row("device_read_iops", Form::Each(RATE)),
    row("device_write_bps", Form::Each(RATE)),
    row("device_write_iops", Form::Each(RATE)),
];

const WEIGHT: &[Field] = &[
    Field { key: "path", written: "Path", form: Form::GivenText, absent: "\"\"" },
    Field { key: "weight", written: "Weight", form: Form::GivenNumber, absent: "0" },
];

const RATE: &[Field] = &[
    Field { key: "path", written: "Path", form: Form::GivenText, absent: "\"\"" },
    Field { key: "rate", written: "Rate", form: Form::GivenBytes, absent: "\"0\"" },
];

const FILE: &[Field] = &[
    row("source", Form::Text),
    row("target", Form::Text),
    row("uid", Form::Text),
    row("gid", Form::Text),
    row("mode", Form::Bits),
];

const CREDENTIALS: &[Field] =
    &[row("config", Form::Text), row("file", Form::Text), row("registry", Form::Text)];

const DEPLOY: &[Field] = &[
    row("mode", Form::Text),
    row("labels", Form::Pairs),
    row("update_config", Form::Of(UPDATE)),
    row("rollback_config", Form::Of(UPDATE)),
    row("resources", Form::Always(RESOURCES)),
    row("restart_policy", Form::Of(RESTART)),
    row("placement", Form::Always(PLACEMENT)),
    row("endpoint_mode", Form::Text),
];

const UPDATE: &[Field] = &[
    row("parallelism", Form::GivenNumber),
    row("delay", Form::Time),
    row("failure_action", Form::Text),
    row("monitor", Form::Time),
    row("max_failure_ratio", Form::Real),
    row("order", Form::Text),
];

const RESOURCES: &[Field] = &[row("limits", Form::Of(RESOURCE)), row("reservations", Form::Of(RESOURCE))];

const RESOURCE: &[Field] = &[
    row("cpus", Form::Real),
    row("memory", Form::Bytes),
    row("pids", Form::Number),
    row("devices", Form::Each(DEVICE_REQUEST)),
    row("generic_resources", Form::Each(GENERIC)),
];

const GENERIC: &[Field] = &[row(
    "discrete_resource_spec",
    Form::Of(&[row("kind", Form::GivenText), row("value", Form::GivenNumber)]),
)];

const RESTART: &[Field] = &[
    row("condition", Form::Text),
    row("delay", Form::GivenText),
    row("max_attempts", Form::GivenNumber),
    row("window", Form::GivenText),
];

const PLACEMENT: &[Field] = &[
    row("constraints", Form::Texts),
    row("preferences", Form::Each(&[row("spread", Form::Text)])),
    row("max_replicas_per_node", Form::Number),
];

const DEVICE: &[Field] =
    &[row("source", Form::Text), row("target", Form::Text), row("permissions", Form::Text)];

const DEVICE_REQUEST: &[Field] = &[
    row("capabilities", Form::Texts),
    row("driver", Form::Text),
    row("count", Form::Number),
    row("device_ids", Form::Texts),
    row("options", Form::Pairs),
];

const HEALTHCHECK: &[Field] = &[
    row("test", Form::Texts),
    row("timeout", Form::GivenText),
    row("interval", Form::GivenText),
    row("retries", Form::GivenNumber),
    row("start_period", Form::GivenText),
    row("start_interval", Form::GivenText),
    row("disable", Form::Flag),
];

const ATTACHMENT: &[Field] = &[
    row("aliases", Form::Texts),
    row("driver_opts", Form::Pairs),
    row("gw_priority", Form::Number),
    row("interface_name", Form::Text),
    row("ipv4_address", Form::Text),
    row("ipv6_address", Form::Text),
    row("link_local_ips", Form::Texts),
    row("mac_address", Form::Text),
    row("priority", Form::Number),
];

const PORT: &[Field] = &[
    row("name", Form::Text),
    Field { key: "mode", written: "mode", form: Form::Text, absent: "\"ingress\"" },
    row("host_ip", Form::Text),
    row("target", Form::Number),
    row("published", Form::Text),
    row("protocol", Form::Text),
    row("app_protocol", Form::Text),
];

const MOUNT: &[Field] = &[
    row("type", Form::Text),
    row("source", Form::Text),
    row("target", Form::Text),
    row("read_only", Form::Flag),
    row("consistency", Form::Text),
    row("bind", Form::Of(BIND)),
    row("volume", Form::Of(VOLUME_MOUNT)),
    row("tmpfs", Form::Of(&[row("size", Form::Bytes), row("mode", Form::Number)])),
    row("image", Form::Of(&[row("subpath", Form::Text)])),
];

const BIND: &[Field] = &[
    row("selinux", Form::Text),
    row("propagation", Form::Text),
    row("create_host_path", Form::Flag),
    row("recursive", Form::Text),
];

const VOLUME_MOUNT: &[Field] =
    &[row("labels", Form::Pairs), row("nocopy", Form::Flag), row("subpath", Form::Text)];

const NETWORK: &[Field] = &[
    row("name", Form::Text),
    row("driver", Form::Text),
    row("driver_opts", Form::Pairs),
    row("ipam", Form::Always(IPAM)),
    row("external", Form::Flag),
    row("internal", Form::Flag),
    row("attachable", Form::Flag),
    row("labels", Form::Pairs),
    row("enable_ipv4", Form::GivenFlag),
    row("enable_ipv6", Form::GivenFlag),
];

const IPAM: &[Field] =
    &[row("driver", Form::Text), row("config", Form::Each(POOL)), row("options", Form::Pairs)];

const POOL: &[Field] = &[
    row("subnet", Form::Text),
    row("gateway", Form::Text),
    row("ip_range", Form::Text),
    row("aux_addresses", Form::Pairs),
];

const VOLUME: &[Field] = &[
    row("name", Form::Text),
    Field { key: "driver", written: "driver", form: Form::Text, absent: "\"local\"" },
    row("driver_opts", Form::Pairs),
    row("external", Form::Flag),
    row("labels", Form::Pairs),
];

/// The hash of a service as it stands in the tree of the stack, environment files folded
/// into its environment.
#[must_use]
pub fn of_service(tree: &Node) -> String {
    hash(tree, SERVICE)
}

/// The hash of a service whose namespaces and mounts come from other containers, as docker
/// compose keeps it with a container: with the ids of those containers, by service, in place
/// of the services.
#[must_use]
pub fn of_service_with(tree: &Node, lenders: &BTreeMap<String, String>) -> String {
    let mut tree = tree.clone();
    let Kind::Mapping(service) = &mut tree.kind else { return of_service(&tree) };
    for namespace in ["network_mode", "ipc", "pid"] {
        let Some(Kind::Scalar(mode)) = service.get_mut(namespace).map(|entry| &mut entry.node.kind) else {
            continue;
        };
        if let Some(id) = mode.text.strip_prefix("service:").and_then(|name| lenders.get(name)) {
            mode.text = format!("container:{id}");
        }
    }
    if let Some(Kind::Sequence(all)) = service.get_mut("volumes_from").map(|entry| &mut entry.node.kind) {
        for other in all {
            let Kind::Scalar(other) = &mut other.kind else { continue };
            let mut parts = other.text.split(':');
            // The access mode is no part of it.
            let id = match parts.next().unwrap_or_default() {
                "container" => parts.next().map(str::to_owned),
                name => lenders.get(name).cloned(),
            };
            if let Some(id) = id {
                other.text = id;
            }
        }
    }
    of_service(&tree)
}

/// The hash of a network in canonical form, its name included.
#[must_use]
pub fn of_network(tree: &Node) -> String {
    hash(tree, NETWORK)
}

/// The hash of a volume in canonical form, its name included.
#[must_use]
pub fn of_volume(tree: &Node) -> String {
    hash(tree, VOLUME)
}

fn hash(tree: &Node, fields: &[Field]) -> String {
    let mut text = Text(String::with_capacity(1024));
    text.object(Some(tree), fields);
    hex(&Sha256::digest(text.0))
}

/// The JSON text, as far as it is written.
struct Text(String);

impl Text {
    fn object(&mut self, node: Option<&Node>, fields: &[Field]) {
        self.bracketed('{', '}', |text| {
            for field in fields {
                let value = node.and_then(|node| node.get(field.key)).filter(|node| !node.is_null());
                if value.is_some() || field.is_written_when_absent() {
                    text.entry(field.written, |text| match value {
                        Some(node) => text.value(node, field.form),
                        None => text.absent(field),
                    });
                }
            }
        });
    }

    /// What is written for an attribute that is not there.
    fn absent(&mut self, field: &Field) -> bool {
        match field.form {
            Form::Words => self.plain("null"),
            Form::Always(below) => {
                self.object(None, below);
                true
            }
            _ => self.plain(field.absent),
        }
    }

    /// Writes a value; `false` when it is left out.
    fn value(&mut self, node: &Node, form: Form) -> bool {
        let text = node.as_scalar().map_or("", |scalar| scalar.text.as_str());
        match form {
            Form::Text => !text.is_empty() && self.quoted(text),
            Form::GivenText | Form::GivenBytes => self.quoted(text),
            Form::Time => !matches!(text, "" | "0s") && self.quoted(text),
            Form::Texts => self.list(texts(node)),
            Form::Words => self.list(texts(node)) || self.plain("[]"),
            Form::Hosts => {
                let host = |host: &str| match host.contains('=') {
                    true => host.to_owned(),
                    false => host.replacen(':', "=", 1),
                };
                let mut hosts: Vec<String> = texts(node).into_iter().map(host).collect();
                hosts.sort();
                self.list(hosts.iter().map(String::as_str).collect())
            }
            Form::Pairs => self.keyed(node, |text, entry| match entry.node.as_scalar() {
                Some(scalar) if !entry.node.is_null() => text.quoted(&scalar.text),
                _ => text.plain("null"),
            }),
            Form::Lists => self.keyed(node, |text, entry| text.list(texts(&entry.node)) || text.plain("[]")),
            Form::Flag => text == "true" && self.plain(text),
            Form::GivenFlag => self.plain(text),
            Form::Number => text != "0" && self.plain(number(text)),
            Form::GivenNumber => self.plain(number(text)),
            Form::Real => {
                let value = text.parse::<f32>().ok().filter(|value| *value != 0.0);
                value.is_some_and(|value| self.plain(&real(value)))
            }
            Form::Bytes => text != "0" && self.quoted(text),
            Form::Bits => self.bits(node),
            Form::Of(fields) | Form::Always(fields) => {
                self.object(Some(node), fields);
                true
            }
            Form::Each(fields) => match node.as_sequence() {
                Some(items) if !items.is_empty() => {
                    self.bracketed('[', ']', |text| {
                        for item in items {
                            text.separate();
                            text.object(Some(item), fields);
                        }
                    });
                    true
                }
                _ => false,
            },
            Form::Keyed(fields) => self.keyed(node, |text, entry| match entry.node.as_mapping() {
                // A key alone is not the same as a key with an empty mapping. It has no place of its own.
                Some(entries) if !entries.is_empty() || entry.node.origin != entry.key => {
                    text.object(Some(&entry.node), fields);
                    true
                }
                _ => text.plain("null"),
            }),
            Form::Limits => self.keyed(node, |text, entry| text.limit(&entry.node)),
        }
    }

    /// A limit: one number that stands for both is written as one, unless it is zero.
    fn limit(&mut self, node: &Node) -> bool {
        let part = |key: &str| node.get(key).and_then(|part| Some((&part.as_scalar()?.text, &part.origin)));
        match (node.as_scalar(), part("soft"), part("hard")) {
            (Some(scalar), _, _) if scalar.text != "0" => self.plain(number(&scalar.text)),
            (None, Some(soft), Some(hard)) if soft == hard && soft.0 != "0" => self.plain(number(soft.0)),
            _ => {
                self.object(Some(node), &[row("soft", Form::Number), row("hard", Form::Number)]);
                true
            }
        }
    }

    /// A list of texts; left out when empty.
    fn list(&mut self, texts: Vec<&str>) -> bool {
        if texts.is_empty() {
            return false;
        }
        self.bracketed('[', ']', |text| {
            for each in texts {
                text.separate();
                text.quoted(each);
            }
        });
        true
    }

    /// A mapping in the order of its keys; left out when empty.
    fn keyed(&mut self, node: &Node, write: impl Fn(&mut Self, &Entry) -> bool) -> bool {
        let Some(entries) = node.as_mapping().filter(|entries| !entries.is_empty()) else { return false };
        let mut sorted: Vec<_> = entries.iter().collect();
        sorted.sort_by_key(|(key, _)| *key);
        self.bracketed('{', '}', |text| {
            for (key, entry) in sorted {
                text.entry(key, |text| write(text, entry));
            }
        });
        true
    }

    fn bracketed(&mut self, open: char, close: char, write: impl FnOnce(&mut Self)) {
        self.0.push(open);
        write(self);
        self.0.push(close);
    }

    /// A key and what `write` writes; nothing where that says `false`.
    fn entry(&mut self, key: &str, write: impl FnOnce(&mut Self) -> bool) {
        let before = self.0.len();
        self.separate();
        self.quoted(key);
        self.0.push(':');
        if !write(self) {
            self.0.truncate(before);
        }
    }

    /// A comma, unless a bracket was opened just now.
    fn separate(&mut self) {
        if !self.0.ends_with(['{', '[']) {
            self.0.push(',');
        }
    }

    fn plain(&mut self, text: &str) -> bool {
        self.0.push_str(text);
        true
    }

    /// Permission bits: a number is what they are, a text their octal form.
    fn bits(&mut self, node: &Node) -> bool {
        let text = node.as_scalar().map_or("", |scalar| scalar.text.as_str());
        match node.as_scalar().map(|scalar| scalar.kind) {
            Some(ScalarKind::Integer) => {
                let bits = text.parse::<i64>().unwrap_or_default();
                self.plain(&format!("\"0{bits:o}\""))
            }
            _ => self.quoted(text),
        }
    }

    /// A text in quotes. What could end a script in a page is escaped, as Go does it.
    fn quoted(&mut self, text: &str) -> bool {
        self.0.push('"');
        let mut written = 0;
        // The signs that are escaped above ASCII begin with this byte.
        let escaped = |byte: u8| matches!(byte, 0..b' ' | b'"' | b'\\' | b'<' | b'>' | b'&' | 0xe2);
        if !text.bytes().any(escaped) {
            self.0.push_str(text);
            self.0.push('"');
            return true;
        }
        for (at, each) in text.char_indices() {
            let escaped = match each {
                '"' => "\\\"",
                '\\' => "\\\\",
                '\n' => "\\n",
                '\r' => "\\r",
                '\t' => "\\t",
                '\u{8}' => "\\b",
                '\u{c}' => "\\f",
                '<' | '>' | '&' | '\u{2028}' | '\u{2029}' | '\0'..='\u{1f}' => "",
                _ => continue,
            };
            self.0.push_str(&text[written..at]);
            self.0.push_str(escaped);
            if escaped.is_empty() {
                let _ = write!(self.0, "\\u{:04x}", u32::from(each));
            }
            written = at + each.len_utf8();
        }
        self.0.push_str(&text[written..]);
        self.0.push('"');
        true
    }
}

/// Every text of a list; a single one stands for a list of one.
fn texts(node: &Node) -> Vec<&str> {
    match &node.kind {
        Kind::Scalar(scalar) => vec![scalar.text.as_str()],
        Kind::Sequence(items) => {
            items.iter().filter_map(|item| item.as_scalar()).map(|scalar| scalar.text.as_str()).collect()
        }
        Kind::Mapping(_) => Vec::new(),
    }
}

/// A whole number; `all` devices are counted as -1.
fn number(text: &str) -> &str {
    if text == "all" { "-1" } else { text }
}

/// A number of 32 bits in its shortest form, with an exponent for very small and very large ones.
fn real(value: f32) -> String {
    if (1e-6..1e21).contains(&value.abs()) {
        return value.to_string();
    }
    let text = format!("{value:e}");
    if text.contains("e-") { text } else { text.replacen('e', "e+", 1) }
}
