//! The canonical tree as the typed model. The tree was checked when it was made
//! canonical, so nothing can fail here: what is absent was told or is optional.

use std::path::PathBuf;
use std::time::Duration;

use indexmap::IndexMap;

use crate::attributes::Schema;
use crate::canonical::text;
use crate::effective::effective;
use crate::model::{
    Attachment, Build, Dependency, DependencyCondition, Healthcheck, IpamPool, Logging, Mount, MountSource,
    Network, Port, PullPolicy, Restart, Service, Ulimit, Volume,
};
use crate::quantity;
use crate::source::{Origin, Spanned};
use crate::tree::{Entry, Node};

/// Reads a completed service.
#[must_use]
pub(crate) fn service(name: &str, entry: &Entry) -> Service {
    let tree = effective(&entry.node, row_of("services"));
    let node = &tree;
    let limits = node.get("deploy").and_then(|deploy| deploy.get("resources"));
    let limit = |name: &str| limits.and_then(|all| all.get("limits")).and_then(|limits| limits.get(name));
    let reserved = limits.and_then(|all| all.get("reservations")).and_then(|kept| kept.get("memory"));
    let replicas = node.get("deploy").and_then(|deploy| deploy.get("replicas"));
    Service {
        name: Spanned::new(name.to_owned(), entry.key.clone()),
        image: string(node, "image"),
        build: node.get("build").map(|node| spanned(node, build(node))),
        command: words(node, "command"),
        entrypoint: words(node, "entrypoint"),
        environment: variables(node, "environment"),
        ports: items(node, "ports").map(|item| spanned(item, port(item))).collect(),
        expose: strings(node, "expose"),
        volumes: items(node, "volumes")
            .filter(|item| matches!(item.get("type").map(text), Some("bind" | "volume" | "tmpfs")))
            .map(|item| spanned(item, mount(item)))
            .collect(),
        tmpfs: strings(node, "tmpfs"),
        networks: if node.get("network_mode").is_some() {
            IndexMap::new()
        } else {
            keyed(node, "networks", attachment)
        },
        network_mode: string(node, "network_mode"),
        depends_on: keyed(node, "depends_on", dependency),
        healthcheck: node.get("healthcheck").map(|node| spanned(node, healthcheck(node))),
        restart: node.get("restart").map(|node| spanned(node, restart(text(node)))),
        stop_grace_period: node.get("stop_grace_period").and_then(time),
        stop_signal: string(node, "stop_signal"),
        container_name: string(node, "container_name"),
        hostname: string(node, "hostname"),
        domainname: string(node, "domainname"),
        labels: pairs(node, "labels"),
        annotations: pairs(node, "annotations"),
        working_dir: string(node, "working_dir"),
        user: string(node, "user"),
        group_add: strings(node, "group_add"),
        init: flag(node, "init"),
        read_only: flag(node, "read_only"),
        tty: flag(node, "tty"),
        stdin_open: flag(node, "stdin_open"),
        privileged: flag(node, "privileged"),
        cap_add: strings(node, "cap_add"),
        cap_drop: strings(node, "cap_drop"),
        security_opt: strings(node, "security_opt"),
        sysctls: pairs(node, "sysctls"),
        ulimits: keyed(node, "ulimits", ulimit),
        extra_hosts: strings(node, "extra_hosts"),
        dns: strings(node, "dns"),
        dns_opt: strings(node, "dns_opt"),
        dns_search: strings(node, "dns_search"),
        shm_size: parsed(node.get("shm_size")),
        mem_limit: parsed(node.get("mem_limit").or_else(|| limit("memory"))),
        mem_reservation: parsed(node.get("mem_reservation").or(reserved)),
        cpus: parsed(node.get("cpus").or_else(|| limit("cpus"))),
        pids_limit: parsed(node.get("pids_limit").or_else(|| limit("pids"))),
        logging: node.get("logging").map(|node| spanned(node, logging(node))),
        pull_policy: node.get("pull_policy").map(|node| spanned(node, pull_policy(text(node)))),
        platform: string(node, "platform"),
        scale: parsed(node.get("scale").or(replicas)),
        profiles: strings(node, "profiles"),
        tree,
    }
}

/// Reads a completed network.
#[must_use]
pub(crate) fn network(key: &str, entry: &Entry) -> Network {
    let node = &entry.node;
    let pools = node.get("ipam").map(|ipam| {
        items(ipam, "config")
            .map(|pool| IpamPool {
                subnet: value(pool, "subnet"),
                gateway: value(pool, "gateway"),
                ip_range: value(pool, "ip_range"),
            })
            .collect()
    });
    Network {
        key: Spanned::new(key.to_owned(), entry.key.clone()),
        tree: effective(node, row_of("networks")),
        name: value(node, "name").unwrap_or_else(|| key.to_owned()),
        external: is_true(node, "external"),
        driver: string(node, "driver"),
        driver_opts: pairs(node, "driver_opts"),
        internal: is_true(node, "internal"),
        attachable: is_true(node, "attachable"),
        enable_ipv6: flag(node, "enable_ipv6"),
        labels: pairs(node, "labels"),
        ipam: pools.unwrap_or_default(),
    }
}

/// Reads a completed volume.
#[must_use]
pub(crate) fn volume(key: &str, entry: &Entry) -> Volume {
    let node = &entry.node;
    Volume {
        key: Spanned::new(key.to_owned(), entry.key.clone()),
        tree: effective(node, row_of("volumes")),
        name: value(node, "name").unwrap_or_else(|| key.to_owned()),
        external: is_true(node, "external"),
        driver: string(node, "driver"),
        driver_opts: pairs(node, "driver_opts"),
        labels: pairs(node, "labels"),
    }
}

fn build(node: &Node) -> Build {
    let context = node.get("context").unwrap_or(node);
    Build {
        context: spanned(context, PathBuf::from(text(context))),
        dockerfile: string(node, "dockerfile"),
        dockerfile_inline: string(node, "dockerfile_inline"),
        args: variables(node, "args"),
        target: string(node, "target"),
        labels: pairs(node, "labels"),
        cache_from: strings(node, "cache_from"),
        extra_hosts: strings(node, "extra_hosts"),
        network: string(node, "network"),
        shm_size: parsed(node.get("shm_size")),
        no_cache: flag(node, "no_cache"),
        pull: flag(node, "pull"),
        tags: strings(node, "tags"),
    }
}

fn port(node: &Node) -> Port {
    Port {
        target: number(node, "target").unwrap_or_default(),
        published: value(node, "published"),
        host_ip: value(node, "host_ip"),
        protocol: value(node, "protocol").unwrap_or_else(|| "tcp".to_owned()),
    }
}

fn mount(node: &Node) -> Mount {
    let source = value(node, "source");
    let source = match (node.get("type").map(text), source) {
        (Some("bind"), source) => {
            let bind = node.get("bind");
            MountSource::Bind {
                path: PathBuf::from(source.unwrap_or_default()),
                create: bind.is_none_or(|bind| value(bind, "create_host_path").as_deref() != Some("false")),
                propagation: bind.and_then(|bind| value(bind, "propagation")),
                selinux: bind.and_then(|bind| value(bind, "selinux")),
            }
        }
        (Some("tmpfs"), _) => {
            let tmpfs = node.get("tmpfs");
            MountSource::Tmpfs {
                size: tmpfs.and_then(|tmpfs| number(tmpfs, "size")),
                mode: tmpfs.and_then(|tmpfs| number(tmpfs, "mode")),
            }
        }
        (_, Some(key)) => MountSource::Volume {
            key,
            nocopy: node.get("volume").is_some_and(|volume| is_true(volume, "nocopy")),
        },
        (_, None) => MountSource::Anonymous,
    };
    Mount { source, target: value(node, "target").unwrap_or_default(), read_only: is_true(node, "read_only") }
}

fn attachment(node: &Node) -> Attachment {
    Attachment {
        aliases: items(node, "aliases").map(|alias| text(alias).to_owned()).collect(),
        ipv4_address: value(node, "ipv4_address"),
        ipv6_address: value(node, "ipv6_address"),
        priority: number(node, "priority").unwrap_or_default(),
    }
}

fn dependency(node: &Node) -> Dependency {
    Dependency {
        condition: match node.get("condition").map(text) {
            Some("service_healthy") => DependencyCondition::Healthy,
            Some("service_completed_successfully") => DependencyCondition::CompletedSuccessfully,
            _ => DependencyCondition::Started,
        },
        restart: is_true(node, "restart"),
        required: value(node, "required").as_deref() != Some("false"),
    }
}

fn healthcheck(node: &Node) -> Healthcheck {
    let duration = |name: &str| node.get(name).and_then(time).map(|time| time.value);
    Healthcheck {
        test: items(node, "test").map(|word| text(word).to_owned()).collect(),
        interval: duration("interval"),
        timeout: duration("timeout"),
        retries: number(node, "retries"),
        start_period: duration("start_period"),
        start_interval: duration("start_interval"),
        disable: is_true(node, "disable"),
    }
}

fn restart(policy: &str) -> Restart {
    match policy.split_once(':').unwrap_or((policy, "0")) {
        ("always", _) => Restart::Always,
        ("unless-stopped", _) => Restart::UnlessStopped,
        ("on-failure", count) => Restart::OnFailure(count.parse().unwrap_or_default()),
        _ => Restart::No,
    }
}

fn ulimit(node: &Node) -> Ulimit {
    let soft = number(node, "soft");
    let hard = number(node, "hard");
    Ulimit { soft: soft.or(hard).unwrap_or_default(), hard: hard.or(soft).unwrap_or_default() }
}

fn logging(node: &Node) -> Logging {
    Logging {
        driver: value(node, "driver"),
        options: pairs(node, "options").into_iter().map(|(key, option)| (key, option.value)).collect(),
    }
}

fn pull_policy(policy: &str) -> PullPolicy {
    match policy {
        "always" => PullPolicy::Always,
        "never" => PullPolicy::Never,
        "build" => PullPolicy::Build,
        _ => PullPolicy::Missing,
    }
}

fn spanned<T>(node: &Node, value: T) -> Spanned<T> {
    Spanned::new(value, node.origin.clone())
}

fn value(node: &Node, key: &str) -> Option<String> {
    node.get(key).map(|node| text(node).to_owned())
}

fn string(node: &Node, key: &str) -> Option<Spanned<String>> {
    node.get(key).map(|node| spanned(node, text(node).to_owned()))
}

fn items<'a>(node: &'a Node, key: &str) -> impl Iterator<Item = &'a Node> {
    node.get(key).and_then(Node::as_sequence).unwrap_or_default().iter()
}

fn strings(node: &Node, key: &str) -> Vec<Spanned<String>> {
    items(node, key).map(|item| spanned(item, text(item).to_owned())).collect()
}

fn words(node: &Node, key: &str) -> Option<Spanned<Vec<String>>> {
    let list = node.get(key)?;
    Some(spanned(list, items(node, key).map(|word| text(word).to_owned()).collect()))
}

fn number<T: std::str::FromStr>(node: &Node, key: &str) -> Option<T> {
    node.get(key).and_then(|node| text(node).parse().ok())
}

fn parsed<T: std::str::FromStr>(node: Option<&Node>) -> Option<Spanned<T>> {
    node.and_then(|node| Some(spanned(node, text(node).parse().ok()?)))
}

fn is_true(node: &Node, key: &str) -> bool {
    node.get(key).map(text) == Some("true")
}

fn flag(node: &Node, key: &str) -> Option<Spanned<bool>> {
    node.get(key).map(|node| spanned(node, text(node) == "true"))
}

fn time(node: &Node) -> Option<Spanned<Duration>> {
    Some(spanned(node, quantity::duration(text(node))?))
}

fn keyed<T>(node: &Node, key: &str, read: impl Fn(&Node) -> T) -> IndexMap<String, Spanned<T>> {
    entries(node, key)
        .map(|(key, entry)| (key.clone(), Spanned::new(read(&entry.node), place(entry))))
        .collect()
}

fn pairs(node: &Node, key: &str) -> IndexMap<String, Spanned<String>> {
    entries(node, key)
        .map(|(key, entry)| (key.clone(), spanned(&entry.node, text(&entry.node).to_owned())))
        .collect()
}

fn variables(node: &Node, key: &str) -> IndexMap<String, Spanned<Option<String>>> {
    entries(node, key)
        .map(|(key, entry)| {
            let value = (!entry.node.is_null()).then(|| text(&entry.node).to_owned());
            (key.clone(), spanned(&entry.node, value))
        })
        .collect()
}

fn entries<'a>(node: &'a Node, key: &str) -> impl Iterator<Item = (&'a String, &'a Entry)> {
    node.get(key).and_then(Node::as_mapping).into_iter().flatten()
}

/// A key says more about a place than the braces or the first line below it.
fn place(entry: &Entry) -> Origin {
    entry.key.clone()
}

/// The row of the entries of `services`, `networks` or `volumes`.
fn row_of(kind: &str) -> Option<&'static Schema> {
    Schema::root().below(kind).and_then(|all| all.each.as_deref())
}
