//! A service of the canonical tree.

use std::path::PathBuf;

use indexmap::IndexMap;

use super::mount::mount;
use super::network::attachment;
use super::row_of;
use super::values::{
    flag, is_true, items, keyed, number, pairs, parsed, spanned, string, strings, time, value, variables,
    words,
};
use crate::canonical::text;
use crate::effective::effective;
use crate::model::{
    Build, Dependency, DependencyCondition, Healthcheck, Logging, Port, PullPolicy, Restart, Service, Ulimit,
};
use crate::source::Spanned;
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
        // Port 0 lets the engine choose, as no port does.
        published: value(node, "published").filter(|published| published != "0"),
        host_ip: value(node, "host_ip"),
        protocol: value(node, "protocol").unwrap_or_else(|| "tcp".to_owned()),
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
