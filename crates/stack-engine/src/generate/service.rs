//! A container as a service.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};
use stack_plan::labels;

use super::{Ground, label};

/// How much memory `/dev/shm` has where nothing is said, bytes.
const SHM_SIZE: u64 = 64 << 20;

/// The service that makes such a container, and what of the container cannot be said.
pub(super) fn service(container: &Value, image: &Value, ground: &mut Ground<'_>) -> (Value, Vec<String>) {
    let (config, host, of_image) = (&container["Config"], &container["HostConfig"], &image["Config"]);
    let mut service = Attributes(Map::new());
    service.set("image", config["Image"].clone());
    process(&mut service, config, of_image);
    service.set("ports", ports(host));
    service.set("expose", expose(config, of_image, host));
    service.set("volumes", mounts(container, of_image, ground));
    service.set("tmpfs", tmpfs(host));
    attach(&mut service, container, ground);
    service.set("depends_on", depends_on(container));
    service.set("restart", restart(&host["RestartPolicy"]));
    service.set("labels", Value::Object(own_labels(&config["Labels"], &of_image["Labels"])));
    if config["Healthcheck"] != of_image["Healthcheck"] {
        service.set("healthcheck", healthcheck(&config["Healthcheck"]));
    }
    for (theirs, ours) in [("CapAdd", "cap_add"), ("CapDrop", "cap_drop")] {
        let names = texts(&host[theirs]).map(|name| name.strip_prefix("CAP_").unwrap_or(name).to_owned());
        service.set(ours, json!(names.collect::<Vec<_>>()));
    }
    for (theirs, ours) in [
        ("Dns", "dns"),
        ("DnsOptions", "dns_opt"),
        ("DnsSearch", "dns_search"),
        ("ExtraHosts", "extra_hosts"),
        ("GroupAdd", "group_add"),
        ("SecurityOpt", "security_opt"),
        ("DeviceCgroupRules", "device_cgroup_rules"),
        ("Sysctls", "sysctls"),
        ("StorageOpt", "storage_opt"),
        ("Annotations", "annotations"),
        ("Privileged", "privileged"),
        ("ReadonlyRootfs", "read_only"),
        ("Init", "init"),
        ("OomKillDisable", "oom_kill_disable"),
        ("CgroupParent", "cgroup_parent"),
        ("UsernsMode", "userns_mode"),
        ("PidMode", "pid"),
        ("UTSMode", "uts"),
        ("Isolation", "isolation"),
        ("CpusetCpus", "cpuset"),
        ("CpuShares", "cpu_shares"),
        ("CpuPeriod", "cpu_period"),
        ("CpuQuota", "cpu_quota"),
        ("CpuRealtimePeriod", "cpu_rt_period"),
        ("CpuRealtimeRuntime", "cpu_rt_runtime"),
        ("OomScoreAdj", "oom_score_adj"),
        ("PidsLimit", "pids_limit"),
        ("MemorySwappiness", "mem_swappiness"),
    ] {
        service.set(ours, host[theirs].clone());
    }
    if !matches!(host["IpcMode"].as_str(), Some("private" | "shareable")) {
        service.set("ipc", host["IpcMode"].clone());
    }
    if !matches!(host["Runtime"].as_str(), Some("runc" | "io.containerd.runc.v2")) {
        service.set("runtime", host["Runtime"].clone());
    }
    limits(&mut service, host);
    service.set("logging", logging(&host["LogConfig"]));
    let missing = [
        "VolumesFrom",
        "Links",
        "DeviceRequests",
        "BlkioWeight",
        "BlkioDeviceReadBps",
        "BlkioDeviceWriteBps",
    ]
    .into_iter()
    .zip(["volumes_from", "links", "gpus", "blkio_config", "blkio_config", "blkio_config"])
    .filter(|(theirs, _)| says_something(&host[*theirs]))
    .map(|(theirs, ours)| {
        let names: Vec<&str> = texts(&host[theirs]).collect();
        if names.is_empty() { ours.to_owned() } else { format!("{ours} ({})", names.join(", ")) }
    });
    (Value::Object(service.0), missing.collect())
}

/// The attributes of a service, without those that say nothing.
struct Attributes(Map<String, Value>);

impl Attributes {
    fn set(&mut self, name: &str, value: Value) {
        if says_something(&value) {
            self.0.insert(name.to_owned(), value);
        }
    }
}

fn says_something(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(false) => false,
        Value::Bool(true) => true,
        Value::Number(number) => number.as_f64() != Some(0.0),
        Value::String(text) => !text.is_empty(),
        Value::Array(items) => !items.is_empty(),
        Value::Object(entries) => !entries.is_empty(),
    }
}

fn texts(list: &Value) -> impl Iterator<Item = &str> {
    list.as_array().into_iter().flatten().filter_map(Value::as_str)
}

/// What runs, and with what.
fn process(service: &mut Attributes, config: &Value, image: &Value) {
    let own_entry = config["Entrypoint"] != image["Entrypoint"];
    if own_entry {
        service.set("entrypoint", config["Entrypoint"].clone());
    }
    // Another entry point takes the command of the image away.
    if own_entry || config["Cmd"] != image["Cmd"] {
        service.set("command", config["Cmd"].clone());
    }
    let of_image: BTreeSet<&str> = texts(&image["Env"]).collect();
    let own = texts(&config["Env"]).filter(|line| !of_image.contains(line));
    let own = own.map(|line| match line.split_once('=') {
        Some((name, value)) => (name.to_owned(), json!(value)),
        None => (line.to_owned(), json!("")),
    });
    service.set("environment", Value::Object(own.collect()));
    for (theirs, ours) in [("User", "user"), ("WorkingDir", "working_dir"), ("StopSignal", "stop_signal")] {
        if config[theirs] != image[theirs] {
            service.set(ours, config[theirs].clone());
        }
    }
    for (theirs, ours) in [("Domainname", "domainname"), ("Tty", "tty"), ("OpenStdin", "stdin_open")] {
        service.set(ours, config[theirs].clone());
    }
    if let Some(seconds) = config["StopTimeout"].as_i64() {
        service.set("stop_grace_period", json!(format!("{seconds}s")));
    }
}

fn ports(host: &Value) -> Value {
    let mut ports = Vec::new();
    for (port, bindings) in host["PortBindings"].as_object().into_iter().flatten() {
        let (target, protocol) = port.split_once('/').unwrap_or((port, "tcp"));
        let Ok(target) = target.parse::<u16>() else { continue };
        for binding in bindings.as_array().into_iter().flatten() {
            let mut entry = Attributes(Map::new());
            entry.set("target", json!(target));
            entry.set("published", binding["HostPort"].clone());
            entry.set("host_ip", binding["HostIp"].clone());
            entry.set("protocol", json!(protocol));
            ports.push(Value::Object(entry.0));
        }
    }
    json!(ports)
}

fn expose(config: &Value, image: &Value, host: &Value) -> Value {
    let ports = config["ExposedPorts"].as_object().into_iter().flatten().map(|(port, _)| port);
    let known = |port: &&String| {
        image["ExposedPorts"].get(port.as_str()).is_none()
            && host["PortBindings"].get(port.as_str()).is_none()
    };
    json!(ports.filter(known).collect::<Vec<_>>())
}

fn mounts(container: &Value, image: &Value, ground: &mut Ground<'_>) -> Value {
    let host = &container["HostConfig"];
    // The engine tells mounts in no order; those that were asked for stand in theirs.
    let asked: Vec<&str> = (host["Mounts"].as_array().into_iter().flatten())
        .filter_map(|mount| mount["Target"].as_str())
        .chain(texts(&host["Binds"]).filter_map(|bind| bind.split(':').nth(1)))
        .collect();
    let mut all: Vec<&Value> = container["Mounts"].as_array().into_iter().flatten().collect();
    all.sort_by_key(|found| {
        let target = found["Destination"].as_str().unwrap_or_default();
        (asked.iter().position(|asked| *asked == target).unwrap_or(usize::MAX), target)
    });
    let mut mounts = Vec::new();
    for found in all {
        let kind = found["Type"].as_str().unwrap_or_default();
        let mut mount = Attributes(Map::new());
        mount.set("type", json!(kind));
        match kind {
            "volume" => {
                let name = found["Name"].as_str().unwrap_or_default();
                // A volume without a name of its own comes anew with each container.
                let anonymous = name.len() == 64 && name.chars().all(|c| c.is_ascii_hexdigit());
                let target = found["Destination"].as_str().unwrap_or_default();
                if !anonymous {
                    mount.set("source", json!(ground.volume(name)));
                } else if image["Volumes"].get(target).is_some() {
                    // The image asks for it by itself.
                    continue;
                }
            }
            "bind" => mount.set("source", found["Source"].clone()),
            // What is in memory stands among the settings of the host, too.
            _ => continue,
        }
        mount.set("target", found["Destination"].clone());
        mount.set("read_only", json!(found["RW"] == false));
        if let Some(propagation) =
            found["Propagation"].as_str().filter(|word| !matches!(*word, "" | "rprivate"))
        {
            mount.set("bind", json!({ "propagation": propagation }));
        }
        mounts.push(Value::Object(mount.0));
    }
    // Mounts of memory that were asked for with options of their own.
    for asked in host["Mounts"].as_array().into_iter().flatten() {
        if asked["Type"] == "tmpfs" {
            let mut options = Attributes(Map::new());
            options.set("size", asked["TmpfsOptions"]["SizeBytes"].clone());
            options.set("mode", asked["TmpfsOptions"]["Mode"].clone());
            let mut mount = Attributes(Map::new());
            mount.set("type", json!("tmpfs"));
            mount.set("target", asked["Target"].clone());
            mount.set("tmpfs", Value::Object(options.0));
            mounts.push(Value::Object(mount.0));
        }
    }
    json!(mounts)
}

fn tmpfs(host: &Value) -> Value {
    let all = host["Tmpfs"].as_object().into_iter().flatten();
    let all = all.map(|(path, options)| match options.as_str() {
        None | Some("") => path.clone(),
        Some(options) => format!("{path}:{options}"),
    });
    json!(all.collect::<Vec<_>>())
}

/// The networks, and the name in them.
fn attach(service: &mut Attributes, container: &Value, ground: &mut Ground<'_>) {
    let id = container["Id"].as_str().unwrap_or_default();
    let short = id.get(..12).unwrap_or(id);
    let hostname = container["Config"]["Hostname"].as_str().unwrap_or_default();
    let mode = container["HostConfig"]["NetworkMode"].as_str().unwrap_or_default();
    if matches!(mode, "host" | "none") || mode.starts_with("container:") {
        service.set("network_mode", json!(mode));
        return;
    }
    if hostname != short {
        service.set("hostname", json!(hostname));
    }
    if matches!(mode, "default" | "bridge") {
        service.set("network_mode", json!("bridge"));
        return;
    }
    let name = container["Name"].as_str().unwrap_or_default().trim_start_matches('/');
    let own = label(container, labels::SERVICE).unwrap_or_default();
    let mut networks = Map::new();
    for (network, endpoint) in container["NetworkSettings"]["Networks"].as_object().into_iter().flatten() {
        let aliases: Vec<&str> = texts(&endpoint["Aliases"])
            .filter(|alias| ![short, name, own, hostname].contains(alias))
            .collect();
        let mut attachment = Attributes(Map::new());
        attachment.set("aliases", json!(aliases));
        for (theirs, ours) in [("IPv4Address", "ipv4_address"), ("IPv6Address", "ipv6_address")] {
            attachment.set(ours, endpoint["IPAMConfig"][theirs].clone());
        }
        networks.insert(ground.network(network), Value::Object(attachment.0));
    }
    // A service without anything else to say is in the default network anyhow.
    let plain = networks.len() == 1 && networks.get("default").is_some_and(|found| !says_something(found));
    if !plain {
        service.set("networks", Value::Object(networks));
    }
}

fn depends_on(container: &Value) -> Value {
    let entries = label(container, labels::DEPENDS_ON).unwrap_or_default().split(',');
    let entries = entries.filter_map(|entry| {
        let mut words = entry.split(':');
        let service = words.next().filter(|service| !service.is_empty())?;
        let mut wanted = Attributes(Map::new());
        wanted.set("condition", json!(words.next().unwrap_or("service_started")));
        wanted.set("restart", json!(words.next() == Some("true")));
        Some((service.to_owned(), Value::Object(wanted.0)))
    });
    Value::Object(entries.collect())
}

fn restart(policy: &Value) -> Value {
    match (policy["Name"].as_str(), policy["MaximumRetryCount"].as_i64()) {
        (None | Some("" | "no"), _) => Value::Null,
        (Some("on-failure"), Some(count @ 1..)) => json!(format!("on-failure:{count}")),
        (Some(name), _) => json!(name),
    }
}

fn healthcheck(found: &Value) -> Value {
    if texts(&found["Test"]).next() == Some("NONE") {
        return json!({ "disable": true });
    }
    let mut check = Attributes(Map::new());
    check.set("test", found["Test"].clone());
    for (theirs, ours) in [
        ("Interval", "interval"),
        ("Timeout", "timeout"),
        ("StartPeriod", "start_period"),
        ("StartInterval", "start_interval"),
    ] {
        if let Some(nanoseconds) = found[theirs].as_u64().filter(|time| *time > 0) {
            let text = match nanoseconds % 1_000_000_000 {
                0 => format!("{}s", nanoseconds / 1_000_000_000),
                _ => format!("{}us", nanoseconds / 1000),
            };
            check.set(ours, json!(text));
        }
    }
    check.set("retries", found["Retries"].clone());
    Value::Object(check.0)
}

/// Limits, and devices.
fn limits(service: &mut Attributes, host: &Value) {
    let bytes = |name: &str| host[name].as_i64().filter(|bytes| *bytes != 0);
    let memory = bytes("Memory");
    service.set("mem_limit", json!(memory.map(|bytes| bytes.to_string())));
    service.set("mem_reservation", json!(bytes("MemoryReservation").map(|bytes| bytes.to_string())));
    // Without a word, swap is as much as memory.
    let swap = bytes("MemorySwap").filter(|swap| memory.is_none_or(|memory| *swap != 2 * memory));
    service.set("memswap_limit", json!(swap.map(|bytes| bytes.to_string())));
    let shm = host["ShmSize"].as_u64().filter(|size| *size != SHM_SIZE && *size != 0);
    service.set("shm_size", json!(shm.map(|bytes| bytes.to_string())));
    if let Some(nano) = host["NanoCpus"].as_f64().filter(|nano| *nano > 0.0) {
        service.set("cpus", json!(nano / 1e9));
    }
    let ulimits = host["Ulimits"].as_array().into_iter().flatten().filter_map(|limit| {
        let name = limit["Name"].as_str()?;
        Some((name.to_owned(), json!({ "soft": limit["Soft"], "hard": limit["Hard"] })))
    });
    service.set("ulimits", Value::Object(ulimits.collect()));
    let devices = host["Devices"].as_array().into_iter().flatten().map(|device| {
        let part = |name: &str| device[name].as_str().unwrap_or_default();
        format!("{}:{}:{}", part("PathOnHost"), part("PathInContainer"), part("CgroupPermissions"))
    });
    service.set("devices", json!(devices.collect::<Vec<_>>()));
}

fn logging(found: &Value) -> Value {
    let plain = matches!(found["Type"].as_str(), None | Some("" | "json-file"));
    if plain && !says_something(&found["Config"]) {
        return Value::Null;
    }
    let mut logging = Attributes(Map::new());
    logging.set("driver", found["Type"].clone());
    logging.set("options", found["Config"].clone());
    Value::Object(logging.0)
}

/// Labels that a person has given: neither those of the image nor those that stackctl and docker
/// compose write.
pub(super) fn own_labels(found: &Value, image: &Value) -> Map<String, Value> {
    let all = found.as_object().into_iter().flatten();
    all.filter(|(name, value)| {
        image.get(name.as_str()) != Some(value)
            && !name.starts_with("com.docker.compose.")
            && !name.starts_with("stackctl.")
    })
    .map(|(name, value)| (name.clone(), value.clone()))
    .collect()
}
