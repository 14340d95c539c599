//! A service of the canonical tree.

use std::path::PathBuf;
use std::time::Duration;

use indexmap::IndexMap;

use super::deploy::deploy;
use super::file::files;
use super::hook::hook;
use super::mount::mount;
use super::network::attachment;
use super::provider::{model_use, provider};
use super::update::update_config;
use super::values::{
    flag, is_true, items, keyed, number, pairs, parsed, plain_pairs, spanned, string, strings, texts, time,
    value, variables, words,
};
use super::watch::watch_rules;
use crate::canonical::text;
use crate::effective::turned_off;
use crate::model::{
    Blkio, Build, BuildSecret, CredentialSpec, Dependency, DependencyCondition, Device, DeviceRate,
    DeviceRequest, DeviceWeight, Healthcheck, Logging, Port, PortMode, PullPolicy, Restart, Service, Ulimit,
};
use crate::quantity;
use crate::short_syntax::exposed;
use crate::source::Spanned;
use crate::tree::{Entry, Node};

/// Reads a completed service.
#[must_use]
pub(crate) fn service(name: &str, entry: &Entry) -> Service {
    let node = &entry.node;
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
        expose: expose(node),
        volumes: items(node, "volumes")
            .filter(|item| matches!(item.get("type").map(text), Some("bind" | "volume" | "tmpfs" | "image")))
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
        healthcheck: node.get("healthcheck").and_then(|node| Some(spanned(node, healthcheck(node)?))),
        restart: (node.get("deploy").and_then(|deploy| deploy.get("restart_policy")))
            .map(|policy| spanned(policy, restart_policy(policy)))
            .or_else(|| node.get("restart").map(|node| spanned(node, restart(text(node))))),
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
        pull_policy: (node.get("pull_policy"))
            .map(|policy| spanned(policy, pull_policy(text(policy), node.get("pull_refresh_after")))),
        platform: string(node, "platform"),
        scale: parsed(node.get("scale").or(replicas)),
        profiles: strings(node, "profiles"),
        job: (node.get("deploy").and_then(|deploy| deploy.get("mode")))
            .is_some_and(|mode| matches!(text(mode), "replicated-job" | "global-job")),
        deploy: deploy(node),
        credential_spec: node
            .get("credential_spec")
            .and_then(|spec| Some(spanned(spec, credential_spec(spec)?))),
        update: (node.get("deploy").and_then(|deploy| deploy.get("update_config")))
            .map(|node| spanned(node, update_config(node))),
        rollback: (node.get("deploy").and_then(|deploy| deploy.get("rollback_config")))
            .map(|node| spanned(node, update_config(node))),
        attach: flag(node, "attach"),
        blkio: node.get("blkio_config").map(|node| spanned(node, blkio(node))),
        cgroup: string(node, "cgroup"),
        cgroup_parent: string(node, "cgroup_parent"),
        cpu_count: parsed(node.get("cpu_count")),
        cpu_percent: parsed(node.get("cpu_percent")),
        cpu_period: parsed(node.get("cpu_period")),
        cpu_quota: parsed(node.get("cpu_quota")),
        cpu_rt_period: parsed(node.get("cpu_rt_period")),
        cpu_rt_runtime: parsed(node.get("cpu_rt_runtime")),
        cpu_shares: parsed(node.get("cpu_shares")),
        cpuset: string(node, "cpuset"),
        device_cgroup_rules: strings(node, "device_cgroup_rules"),
        devices: items(node, "devices").map(|item| spanned(item, device(item))).collect(),
        device_requests: device_requests(node),
        external_links: strings(node, "external_links"),
        links: strings(node, "links"),
        ipc: string(node, "ipc"),
        isolation: string(node, "isolation"),
        mac_address: string(node, "mac_address"),
        mem_swappiness: parsed(node.get("mem_swappiness")),
        memswap_limit: parsed(node.get("memswap_limit")),
        oom_kill_disable: flag(node, "oom_kill_disable"),
        oom_score_adj: parsed(node.get("oom_score_adj")),
        pid: string(node, "pid"),
        runtime: string(node, "runtime"),
        storage_opt: pairs(node, "storage_opt"),
        userns_mode: string(node, "userns_mode"),
        uts: string(node, "uts"),
        volumes_from: strings(node, "volumes_from"),
        files: files(node),
        post_start: items(node, "post_start").map(|item| spanned(item, hook(item))).collect(),
        pre_stop: items(node, "pre_stop").map(|item| spanned(item, hook(item))).collect(),
        // It is nothing of a container, and so not in what comes to one.
        watch: watch_rules(&entry.node),
        provider: node.get("provider").map(|node| spanned(node, provider(node))),
        models: keyed(node, "models", model_use),
        use_api_socket: is_true(node, "use_api_socket"),
    }
}

fn build(node: &Node) -> Build {
    let context = node.get("context").unwrap_or(node);
    Build {
        context: spanned(context, PathBuf::from(text(context))),
        dockerfile: dockerfile(node),
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
        additional_contexts: pairs(node, "additional_contexts"),
        cache_to: strings(node, "cache_to"),
        entitlements: strings(node, "entitlements"),
        no_cache_filter: strings(node, "no_cache_filter"),
        platforms: strings(node, "platforms"),
        privileged: flag(node, "privileged"),
        provenance: string(node, "provenance"),
        sbom: string(node, "sbom"),
        secrets: items(node, "secrets").filter_map(build_secret).collect(),
        ssh: variables(node, "ssh"),
        ulimits: keyed(node, "ulimits", ulimit),
    }
}

/// `target` is no path here, but the id that a `RUN` step asks for.
fn build_secret(node: &Node) -> Option<BuildSecret> {
    let source = value(node, "source")?;
    let id = value(node, "target").unwrap_or_else(|| source.clone());
    Some(BuildSecret { id, source, origin: node.origin.clone() })
}

pub(crate) fn port(node: &Node) -> Port {
    Port {
        target: number(node, "target").unwrap_or_default(),
        // Port 0 lets the engine choose, as no port does.
        published: value(node, "published").filter(|published| published != "0"),
        host_ip: value(node, "host_ip"),
        protocol: value(node, "protocol").unwrap_or_else(|| "tcp".to_owned()),
        mode: match node.get("mode").map(text) {
            Some("host") => PortMode::Host,
            _ => PortMode::Ingress,
        },
    }
}

fn credential_spec(node: &Node) -> Option<CredentialSpec> {
    let at = |key: &str| value(node, key);
    let config = at("config").map(CredentialSpec::Config);
    config
        .or_else(|| at("file").map(CredentialSpec::File))
        .or_else(|| at("registry").map(CredentialSpec::Registry))
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

/// Exposed ports, each with its protocol.
fn expose(node: &Node) -> Vec<Spanned<String>> {
    let items: Vec<Node> = items(node, "expose").cloned().collect();
    let ports = exposed(items.clone()).unwrap_or(items);
    ports.iter().map(|item| spanned(item, text(item).to_owned())).collect()
}

/// An empty name is the usual one.
fn dockerfile(build: &Node) -> Option<Spanned<String>> {
    let name = string(build, "dockerfile")?;
    match name.is_empty() {
        false => Some(name),
        true if build.get("dockerfile_inline").is_some() => None,
        true => Some(name.map(|_| "Dockerfile".to_owned())),
    }
}

/// `None` for a health check that says nothing.
fn healthcheck(node: &Node) -> Option<Healthcheck> {
    let entries = node.as_mapping()?;
    if turned_off(entries).is_some() {
        let test = vec!["NONE".to_owned()];
        return Some(Healthcheck { test, disable: true, ..Healthcheck::default() });
    }
    if entries.keys().all(|key| key == "disable" || key.starts_with("x-")) {
        return None;
    }
    let duration = |name: &str| node.get(name).and_then(time).map(|time| time.value);
    Some(Healthcheck {
        test: items(node, "test").map(|word| text(word).to_owned()).collect(),
        interval: duration("interval"),
        timeout: duration("timeout"),
        retries: number(node, "retries"),
        start_period: duration("start_period"),
        start_interval: duration("start_interval"),
        disable: false,
    })
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

/// `restart_policy` of `deploy`, which wins over `restart`. Without a condition it asks for none.
fn restart_policy(policy: &Node) -> Restart {
    let attempts = number(policy, "max_attempts").unwrap_or_default();
    match policy.get("condition").map(text) {
        Some("on-failure") => Restart::OnFailure(attempts),
        Some("unless-stopped") => Restart::UnlessStopped,
        Some("any" | "always") => Restart::Always,
        _ => Restart::No,
    }
}

/// `gpus` and the devices of `deploy.resources.reservations`: two ways to ask for the same.
fn device_requests(service: &Node) -> Vec<Spanned<DeviceRequest>> {
    let reserved = service
        .get("deploy")
        .and_then(|deploy| deploy.get("resources"))
        .and_then(|resources| resources.get("reservations"));
    let reserved = reserved.into_iter().flat_map(|kept| items(kept, "devices"));
    let mut requests: Vec<_> = reserved.map(|item| spanned(item, device_request(item))).collect();
    for item in items(service, "gpus") {
        let mut request = device_request(item);
        if !request.capabilities.iter().any(|capability| capability == "gpu") {
            request.capabilities.push("gpu".to_owned());
        }
        requests.push(spanned(item, request));
    }
    requests
}

fn device_request(node: &Node) -> DeviceRequest {
    let count = node.get("count").and_then(|count| match text(count) {
        "all" => Some(-1),
        count => count.parse().ok(),
    });
    DeviceRequest {
        capabilities: texts(node, "capabilities"),
        count,
        device_ids: texts(node, "device_ids"),
        driver: value(node, "driver"),
        options: plain_pairs(node, "options"),
    }
}

fn device(node: &Node) -> Device {
    let source = value(node, "source").unwrap_or_default();
    Device {
        target: value(node, "target").filter(|path| !path.is_empty()).unwrap_or_else(|| source.clone()),
        permissions: value(node, "permissions")
            .filter(|bits| !bits.is_empty())
            .unwrap_or_else(|| "rwm".to_owned()),
        source,
    }
}

fn blkio(node: &Node) -> Blkio {
    let path = |item: &Node| value(item, "path").unwrap_or_default();
    let rates = |key: &str| {
        items(node, key)
            .map(|item| DeviceRate { path: path(item), rate: number(item, "rate").unwrap_or_default() })
            .collect()
    };
    Blkio {
        weight: number(node, "weight"),
        weight_device: items(node, "weight_device")
            .map(|item| DeviceWeight { path: path(item), weight: number(item, "weight").unwrap_or_default() })
            .collect(),
        device_read_bps: rates("device_read_bps"),
        device_read_iops: rates("device_read_iops"),
        device_write_bps: rates("device_write_bps"),
        device_write_iops: rates("device_write_iops"),
    }
}

/// `refresh` goes by `pull_refresh_after`; without it, it is as good as `missing`.
fn pull_policy(policy: &str, after: Option<&Node>) -> PullPolicy {
    const DAY: Duration = Duration::from_secs(24 * 60 * 60);
    match policy {
        "daily" => PullPolicy::Refresh(DAY),
        "weekly" => PullPolicy::Refresh(7 * DAY),
        "refresh" => after
            .and_then(|after| quantity::duration(text(after)))
            .map_or(PullPolicy::Missing, PullPolicy::Refresh),
        policy if policy.starts_with("every_") => {
            quantity::duration(&policy["every_".len()..]).map_or(PullPolicy::Missing, PullPolicy::Refresh)
        }
        "always" => PullPolicy::Always,
        "never" => PullPolicy::Never,
        "build" => PullPolicy::Build,
        _ => PullPolicy::Missing,
    }
}
