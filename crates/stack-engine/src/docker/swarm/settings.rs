//! The settings of a service, flat and under the names of the file. Those that it was made with are
//! kept in a label of it, so that what was changed by hand since is told setting by setting.

use std::collections::{BTreeMap, HashMap};

use bollard::models::{ServiceSpec, TaskSpec};
use serde_json::{Map, Value};
use stack_plan::fields::Recorded;
use stack_plan::labels;

/// What stands between the parts of a path of the Docker API.
const DOT: &str = ".";

/// Paths of the Docker API and the file's names for them. What stands below a path stands below its name.
const NAMES: &[(&str, &str)] = &[
    ("TaskTemplate.ContainerSpec.Args", "command"),
    ("TaskTemplate.ContainerSpec.CapabilityAdd", "cap_add"),
    ("TaskTemplate.ContainerSpec.CapabilityDrop", "cap_drop"),
    ("TaskTemplate.ContainerSpec.Command", "entrypoint"),
    ("TaskTemplate.ContainerSpec.Configs", "configs"),
    ("TaskTemplate.ContainerSpec.Dir", "working_dir"),
    ("TaskTemplate.ContainerSpec.DNSConfig.Nameservers", "dns"),
    ("TaskTemplate.ContainerSpec.DNSConfig.Options", "dns_opt"),
    ("TaskTemplate.ContainerSpec.DNSConfig.Search", "dns_search"),
    ("TaskTemplate.ContainerSpec.Env", "environment"),
    ("TaskTemplate.ContainerSpec.Groups", "group_add"),
    ("TaskTemplate.ContainerSpec.HealthCheck.Interval", "healthcheck.interval"),
    ("TaskTemplate.ContainerSpec.HealthCheck.Retries", "healthcheck.retries"),
    ("TaskTemplate.ContainerSpec.HealthCheck.StartInterval", "healthcheck.start_interval"),
    ("TaskTemplate.ContainerSpec.HealthCheck.StartPeriod", "healthcheck.start_period"),
    ("TaskTemplate.ContainerSpec.HealthCheck.Test", "healthcheck.test"),
    ("TaskTemplate.ContainerSpec.HealthCheck.Timeout", "healthcheck.timeout"),
    ("TaskTemplate.ContainerSpec.Hostname", "hostname"),
    ("TaskTemplate.ContainerSpec.Hosts", "extra_hosts"),
    ("TaskTemplate.ContainerSpec.Image", "image"),
    ("TaskTemplate.ContainerSpec.Init", "init"),
    ("TaskTemplate.ContainerSpec.Isolation", "isolation"),
    ("TaskTemplate.ContainerSpec.Labels", "labels"),
    ("TaskTemplate.ContainerSpec.Mounts", "volumes"),
    ("TaskTemplate.ContainerSpec.OomScoreAdj", "oom_score_adj"),
    ("TaskTemplate.ContainerSpec.OpenStdin", "stdin_open"),
    ("TaskTemplate.ContainerSpec.Privileges.CredentialSpec", "credential_spec"),
    ("TaskTemplate.ContainerSpec.Privileges", "security_opt"),
    ("TaskTemplate.ContainerSpec.ReadOnly", "read_only"),
    ("TaskTemplate.ContainerSpec.Secrets", "secrets"),
    ("TaskTemplate.ContainerSpec.StopGracePeriod", "stop_grace_period"),
    ("TaskTemplate.ContainerSpec.StopSignal", "stop_signal"),
    ("TaskTemplate.ContainerSpec.Sysctls", "sysctls"),
    ("TaskTemplate.ContainerSpec.TTY", "tty"),
    ("TaskTemplate.ContainerSpec.Ulimits", "ulimits"),
    ("TaskTemplate.ContainerSpec.User", "user"),
    ("TaskTemplate.LogDriver.Name", "logging.driver"),
    ("TaskTemplate.LogDriver.Options", "logging.options"),
    ("TaskTemplate.Networks", "networks"),
    ("TaskTemplate.Placement.Constraints", "deploy.placement.constraints"),
    ("TaskTemplate.Placement.MaxReplicas", "deploy.placement.max_replicas_per_node"),
    ("TaskTemplate.Placement.Preferences", "deploy.placement.preferences"),
    ("TaskTemplate.Resources.Limits.MemoryBytes", "deploy.resources.limits.memory"),
    ("TaskTemplate.Resources.Limits.NanoCPUs", "deploy.resources.limits.cpus"),
    ("TaskTemplate.Resources.Limits.Pids", "deploy.resources.limits.pids"),
    (
        "TaskTemplate.Resources.Reservations.GenericResources",
        "deploy.resources.reservations.generic_resources",
    ),
    ("TaskTemplate.Resources.Reservations.MemoryBytes", "deploy.resources.reservations.memory"),
    ("TaskTemplate.Resources.Reservations.NanoCPUs", "deploy.resources.reservations.cpus"),
    ("TaskTemplate.RestartPolicy.Condition", "deploy.restart_policy.condition"),
    ("TaskTemplate.RestartPolicy.Delay", "deploy.restart_policy.delay"),
    ("TaskTemplate.RestartPolicy.MaxAttempts", "deploy.restart_policy.max_attempts"),
    ("TaskTemplate.RestartPolicy.Window", "deploy.restart_policy.window"),
    ("Mode.Replicated.Replicas", "deploy.replicas"),
    ("Mode.ReplicatedJob.TotalCompletions", "deploy.replicas"),
    ("UpdateConfig.Delay", "deploy.update_config.delay"),
    ("UpdateConfig.FailureAction", "deploy.update_config.failure_action"),
    ("UpdateConfig.MaxFailureRatio", "deploy.update_config.max_failure_ratio"),
    ("UpdateConfig.Monitor", "deploy.update_config.monitor"),
    ("UpdateConfig.Order", "deploy.update_config.order"),
    ("UpdateConfig.Parallelism", "deploy.update_config.parallelism"),
    ("RollbackConfig.Delay", "deploy.rollback_config.delay"),
    ("RollbackConfig.FailureAction", "deploy.rollback_config.failure_action"),
    ("RollbackConfig.MaxFailureRatio", "deploy.rollback_config.max_failure_ratio"),
    ("RollbackConfig.Monitor", "deploy.rollback_config.monitor"),
    ("RollbackConfig.Order", "deploy.rollback_config.order"),
    ("RollbackConfig.Parallelism", "deploy.rollback_config.parallelism"),
    ("EndpointSpec.Mode", "deploy.endpoint_mode"),
    ("EndpointSpec.Ports", "ports"),
    ("Labels", "deploy.labels"),
];

/// What is no setting: names, what a manager fills in, and how often tasks were replaced.
const NONE: &[&str] = &[
    "Name",
    "Mode.ReplicatedJob.MaxConcurrent",
    "TaskTemplate.ForceUpdate",
    "TaskTemplate.Placement.Platforms",
    "TaskTemplate.Runtime",
];

/// Values that mean the same as nothing, because a manager goes by them where nothing is said.
const USUAL: &[(&str, &str)] = &[
    ("deploy.endpoint_mode", "vip"),
    ("deploy.restart_policy.condition", "any"),
    ("deploy.restart_policy.delay", "5s"),
    ("deploy.rollback_config.failure_action", "pause"),
    ("deploy.rollback_config.monitor", "5s"),
    ("deploy.rollback_config.order", "stop-first"),
    ("deploy.rollback_config.parallelism", "1"),
    ("deploy.update_config.failure_action", "pause"),
    ("deploy.update_config.monitor", "5s"),
    ("deploy.update_config.order", "stop-first"),
    ("deploy.update_config.parallelism", "1"),
    ("isolation", "default"),
    ("stop_grace_period", "10s"),
];

/// Numbers of which 0 says something.
const ZERO: &[&str] =
    &["deploy.replicas", "deploy.rollback_config.parallelism", "deploy.update_config.parallelism"];

/// Times, which the Docker API counts in nanoseconds.
const TIMES: &[&str] = &[
    "delay",
    "interval",
    "monitor",
    "start_interval",
    "start_period",
    "stop_grace_period",
    "timeout",
    "window",
];

/// Lists whose order says nothing.
const SETS: &[&str] = &["cap_add", "cap_drop", "deploy.placement.constraints", "extra_hosts", "group_add"];

/// Lists of things, and what tells one from another.
const THINGS: &[(&str, &str)] = &[
    ("configs", "ConfigName"),
    ("networks", "Target"),
    ("secrets", "SecretName"),
    ("ulimits", "Name"),
    ("volumes", "Target"),
];

/// The settings of a service. `networks` has the names of networks by id: a manager tells ids.
pub(super) fn settings(spec: &ServiceSpec, networks: &HashMap<String, String>) -> Recorded {
    let mut all = Vec::new();
    walk("", &serde_json::to_value(spec).unwrap_or_default(), networks, &mut all);
    Recorded::of(all)
}

/// Keeps what a service is made with in a label of it. `networks` has the names of networks by id.
pub(super) fn keep(spec: &mut ServiceSpec, networks: &HashMap<String, String>) {
    let text = settings(spec, networks).write();
    spec.labels.get_or_insert_default().insert(labels::MADE.to_owned(), text);
}

/// Whether the tasks of both would be the same. What a program that made a service says of it in
/// labels of containers is no reason to replace one.
pub(super) fn is_same(one: &TaskSpec, other: &TaskSpec, networks: &HashMap<String, String>) -> bool {
    let of = |template: &TaskSpec| {
        settings(&ServiceSpec { task_template: Some(template.clone()), ..ServiceSpec::default() }, networks)
    };
    of(one) == of(other)
}

fn walk(path: &str, value: &Value, networks: &HashMap<String, String>, all: &mut Vec<(String, String)>) {
    let name = name(path);
    if NONE.contains(&path) {
        return;
    }
    match value {
        Value::Null => {}
        Value::Object(fields) => {
            for (key, below) in fields {
                let ours = key.starts_with("stackctl.") || key.starts_with("com.docker.stack.");
                if path.ends_with("Labels") && ours {
                    continue;
                }
                let path = if path.is_empty() { key.clone() } else { format!("{path}{DOT}{key}") };
                walk(&path, below, networks, all);
            }
        }
        Value::Array(items) => list(&name, items, networks, all),
        Value::String(text) => tell(name, text.clone(), all),
        Value::Bool(set) => tell(name, if *set { "true".to_owned() } else { String::new() }, all),
        Value::Number(number) => {
            let text = match number.as_f64() {
                Some(0.0) if !ZERO.contains(&name.as_str()) => String::new(),
                Some(billionths) if name.ends_with(".cpus") => format!("{}", billionths / 1e9),
                Some(nanoseconds) if TIMES.contains(&name.rsplit('.').next().unwrap_or_default()) => {
                    format!("{}s", nanoseconds / 1e9)
                }
                _ => number.to_string(),
            };
            tell(name, text, all);
        }
    }
}

fn list(name: &str, items: &[Value], networks: &HashMap<String, String>, all: &mut Vec<(String, String)>) {
    if name == "environment" {
        for variable in items.iter().filter_map(Value::as_str) {
            let (key, value) = variable.split_once('=').unwrap_or((variable, "(null)"));
            all.push((format!("environment.{key}"), value.to_owned()));
        }
        return;
    }
    if name == "ports" {
        for port in items {
            let text = |key: &str, usual: &str| match &port[key] {
                Value::String(text) => text.clone(),
                Value::Number(number) => number.to_string(),
                _ => usual.to_owned(),
            };
            let key = format!(
                "ports.{}:{}/{}",
                text("PublishedPort", "0"),
                text("TargetPort", ""),
                text("Protocol", "tcp")
            );
            all.push((key, text("PublishMode", "ingress")));
        }
        return;
    }
    if let Some((_, key)) = THINGS.iter().find(|(thing, _)| *thing == name) {
        for item in items {
            let mut item = item.clone();
            // By which labels a volume is found again is no setting of the service.
            if let Some(Value::Object(labels)) = item.pointer_mut("/VolumeOptions/Labels") {
                labels.retain(|label, _| !label.starts_with("com.docker."));
            }
            let mut rest = pruned(&item).as_object().cloned().unwrap_or_default();
            // The content has a name; under which id a manager has it says nothing more.
            rest.retain(|field, _| !matches!(field.as_str(), "ConfigID" | "SecretID"));
            let own = rest.remove(*key).and_then(|own| own.as_str().map(str::to_owned)).unwrap_or_default();
            let own = networks.get(&own).filter(|_| name == "networks").cloned().unwrap_or(own);
            let text = if rest.is_empty() { "there".to_owned() } else { Value::Object(rest).to_string() };
            all.push((format!("{name}.{own}"), text));
        }
        return;
    }
    let mut items: Vec<String> = items
        .iter()
        .map(|item| item.as_str().map_or_else(|| pruned(item).to_string(), str::to_owned))
        .collect();
    if SETS.contains(&name) {
        items.sort();
    }
    let text =
        if items.is_empty() { String::new() } else { serde_json::to_string(&items).unwrap_or_default() };
    tell(name.to_owned(), text, all);
}

/// Keeps a setting that says something.
fn tell(name: String, text: String, all: &mut Vec<(String, String)>) {
    if !text.is_empty() && !USUAL.contains(&(name.as_str(), text.as_str())) {
        all.push((name, text));
    }
}

/// A value without what says nothing.
fn pruned(value: &Value) -> Value {
    let says = |value: &Value| match value {
        Value::Null | Value::Bool(false) => false,
        Value::String(text) => !text.is_empty(),
        Value::Number(number) => number.as_f64() != Some(0.0),
        Value::Array(items) => !items.is_empty(),
        Value::Object(fields) => !fields.is_empty(),
        Value::Bool(true) => true,
    };
    match value {
        Value::Object(fields) => {
            // A manager gives the fields of a thing in an order of its own.
            let fields: BTreeMap<String, Value> =
                fields.iter().map(|(key, value)| (key.clone(), pruned(value))).collect();
            Value::Object(fields.into_iter().filter(|(_, value)| says(value)).collect::<Map<_, _>>())
        }
        Value::Array(items) => Value::Array(items.iter().map(pruned).collect()),
        other => other.clone(),
    }
}

/// The file's name of a path; the path where the file has none.
fn name(path: &str) -> String {
    NAMES
        .iter()
        .find_map(|(own, name)| match path.strip_prefix(own)? {
            "" => Some((*name).to_owned()),
            rest => rest.starts_with(DOT).then(|| format!("{name}{rest}")),
        })
        .unwrap_or_else(|| path.to_owned())
}
