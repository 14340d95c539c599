//! What Kubernetes' server refuses though the schema allows it: names, what must be there once,
//! what belongs together.

use std::collections::HashSet;

use serde_json::Value;
use stack_kubernetes::Object;

/// What is found, in words.
struct Judge {
    at: String,
    faults: Vec<String>,
}

impl Judge {
    fn must(&mut self, good: bool, what: &str) {
        if !good {
            self.faults.push(format!("{}: {what}", self.at));
        }
    }

    fn once<'a>(&mut self, all: impl IntoIterator<Item = &'a str>, what: &str) {
        let mut seen = HashSet::new();
        for one in all {
            self.must(seen.insert(one), &format!("{what} {one} stands twice"));
        }
    }
}

pub(crate) fn faults(objects: &[Object]) -> Vec<String> {
    let mut faults = Vec::new();
    let mut seen = HashSet::new();
    for object in objects {
        let mut judge = Judge { at: format!("{}/{}", object.kind, object.name), faults: Vec::new() };
        judge.must(seen.insert((object.kind, &object.name)), "it stands twice");
        let value = &object.value;
        judge.must(
            value["kind"] == object.kind && value["metadata"]["name"] == object.name.as_str(),
            "it is called otherwise",
        );
        metadata(&mut judge, &value["metadata"]);
        match object.kind {
            "Deployment" | "StatefulSet" | "DaemonSet" => controller(&mut judge, object, objects),
            "Job" => {
                let template = &value["spec"]["template"];
                judge.must(
                    matches!(text(&template["spec"]["restartPolicy"]), "Never" | "OnFailure"),
                    "restartPolicy",
                );
                metadata(&mut judge, &template["metadata"]);
                pod(&mut judge, &template["spec"], &[], objects);
            }
            "Service" => service(&mut judge, &value["spec"]),
            "ConfigMap" | "Secret" => content(&mut judge, value),
            "PersistentVolumeClaim" => claim(&mut judge, &value["spec"]),
            "RoleBinding" => {
                judge.must(!text(&value["subjects"][0]["namespace"]).is_empty(), "a subject has no namespace")
            }
            _ => {}
        }
        faults.extend(judge.faults);
    }
    faults
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

fn items(value: &Value) -> &[Value] {
    value.as_array().map(Vec::as_slice).unwrap_or_default()
}

fn is_label(text: &str) -> bool {
    let bytes = text.as_bytes();
    let inner = |each: &u8| each.is_ascii_lowercase() || each.is_ascii_digit() || *each == b'-';
    let outer = |each: Option<&u8>| each.is_some_and(|each| *each != b'-');
    bytes.len() <= 63 && bytes.iter().all(inner) && outer(bytes.first()) && outer(bytes.last())
}

fn is_domain(text: &str) -> bool {
    text.len() <= 253 && text.split('.').all(is_label)
}

fn is_value(text: &str) -> bool {
    let inner = |each: u8| each.is_ascii_alphanumeric() || b"-_.".contains(&each);
    let outer = |each: Option<&u8>| each.is_none_or(u8::is_ascii_alphanumeric);
    text.len() <= 63
        && text.bytes().all(inner)
        && outer(text.as_bytes().first())
        && outer(text.as_bytes().last())
}

fn is_qualified(text: &str) -> bool {
    let (prefix, name) = text.rsplit_once('/').map_or((None, text), |(prefix, name)| (Some(prefix), name));
    !name.is_empty() && is_value(name) && prefix.is_none_or(|prefix| !prefix.is_empty() && is_domain(prefix))
}

fn is_quantity(text: &str) -> bool {
    let number = text.trim_end_matches(|each: char| each.is_ascii_alphabetic());
    let units = ["", "m", "k", "M", "G", "T", "P", "Ki", "Mi", "Gi", "Ti", "Pi"];
    number.parse::<f64>().is_ok_and(|number| number >= 0.0) && units.contains(&&text[number.len()..])
}

fn quantity(text: &str) -> f64 {
    let number = text.trim_end_matches(|each: char| each.is_ascii_alphabetic());
    let factor = match &text[number.len()..] {
        "m" => 0.001,
        "Ki" => 1024.0,
        "Mi" => 1_048_576.0,
        "Gi" => 1_073_741_824.0,
        _ => 1.0,
    };
    number.parse::<f64>().unwrap_or(f64::NAN) * factor
}

fn metadata(judge: &mut Judge, metadata: &Value) {
    if let Some(name) = metadata["name"].as_str() {
        judge.must(is_domain(name), "its name");
    }
    for (key, value) in metadata["labels"].as_object().into_iter().flatten() {
        judge.must(is_qualified(key) && is_value(text(value)), &format!("the label {key}: {value}"));
    }
    for (key, value) in metadata["annotations"].as_object().into_iter().flatten() {
        judge.must(is_qualified(key) && value.is_string(), &format!("the annotation {key}"));
    }
}

fn controller(judge: &mut Judge, object: &Object, objects: &[Object]) {
    let spec = &object.value["spec"];
    let template = &spec["template"];
    metadata(judge, &template["metadata"]);
    let labels = &template["metadata"]["labels"];
    let selector = spec["selector"]["matchLabels"].as_object().expect("a selector");
    judge.must(!selector.is_empty(), "its selector is empty");
    for (key, value) in selector {
        judge.must(labels[key.as_str()] == *value, &format!("its pods do not have {key}"));
    }
    let strategy = if object.kind == "Deployment" { &spec["strategy"] } else { &spec["updateStrategy"] };
    let none = |value: &Value| *value == 0 || *value == "0%";
    let rolling = &strategy["rollingUpdate"];
    judge.must(!(none(&rolling["maxSurge"]) && none(&rolling["maxUnavailable"])), "nothing may be replaced");
    let mut templates = Vec::new();
    for template in items(&spec["volumeClaimTemplates"]) {
        metadata(judge, &template["metadata"]);
        claim(judge, &template["spec"]);
        templates.push(text(&template["metadata"]["name"]));
    }
    if object.kind == "StatefulSet" {
        let name = text(&spec["serviceName"]);
        let found = objects.iter().any(|other| other.kind == "Service" && other.name == name);
        judge.must(found || name.is_empty(), "its Service is missing");
        judge.must(template["spec"]["restartPolicy"].is_null(), "restartPolicy");
    }
    pod(judge, &template["spec"], &templates, objects);
}

fn pod(judge: &mut Judge, pod: &Value, templates: &[&str], objects: &[Object]) {
    let volumes: Vec<&str> = items(&pod["volumes"]).iter().map(|volume| text(&volume["name"])).collect();
    judge.once(volumes.iter().chain(templates).copied(), "the volume");
    for volume in items(&pod["volumes"]) {
        judge.must(is_label(text(&volume["name"])), "the name of a volume");
        judge.must(volume.as_object().is_some_and(|volume| volume.len() == 2), "a volume has one source");
        for (kind, name) in
            [("ConfigMap", &volume["configMap"]["name"]), ("Secret", &volume["secret"]["secretName"])]
        {
            referred(judge, kind, text(name), objects);
        }
        if let Some(size) = volume["emptyDir"]["sizeLimit"].as_str() {
            judge.must(is_quantity(size), "sizeLimit");
        }
        if let Some(path) = volume["hostPath"]["path"].as_str() {
            judge.must(
                !path.is_empty() && !path.split('/').any(|part| part == ".."),
                &format!("the path {path}"),
            );
        }
        if let Some(path) = volume["nfs"]["path"].as_str() {
            judge.must(path.starts_with('/') && !text(&volume["nfs"]["server"]).is_empty(), "nfs");
        }
        for item in items(&volume["configMap"]["items"]).iter().chain(items(&volume["secret"]["items"])) {
            let path = text(&item["path"]);
            judge.must(
                !path.is_empty() && !path.starts_with('/') && !path.split('/').any(|part| part == ".."),
                "the path of an item",
            );
        }
    }
    let all: Vec<&Value> = items(&pod["initContainers"]).iter().chain(items(&pod["containers"])).collect();
    judge.must(!items(&pod["containers"]).is_empty(), "it has no container");
    judge.once(all.iter().map(|container| text(&container["name"])), "the container");
    for container in &all {
        one_container(judge, container, &volumes, templates, objects);
    }
    let of_node = pod["hostNetwork"] == true;
    for port in items(&pod["containers"][0]["ports"]) {
        judge.must(!of_node || port["hostPort"] == port["containerPort"], "a port of the node is another");
    }
    judge.must(
        !(pod["hostPID"] == true && pod["shareProcessNamespace"] == true),
        "hostPID and shareProcessNamespace",
    );
    let signal = pod["containers"][0]["lifecycle"]["stopSignal"].is_string();
    judge.must(!signal || pod["os"]["name"] == "linux", "stopSignal without a system");
    if let Some(hostname) = pod["hostname"].as_str() {
        judge.must(is_label(hostname), "hostname");
    }
    for line in items(&pod["hostAliases"]) {
        judge.must(text(&line["ip"]).parse::<std::net::IpAddr>().is_ok(), "the address of a host");
        judge.must(items(&line["hostnames"]).iter().all(|name| is_domain(text(name))), "the name of a host");
    }
    judge.must(items(&pod["dnsConfig"]["nameservers"]).len() <= 3, "more than 3 name servers");
    judge.once(
        items(&pod["securityContext"]["sysctls"]).iter().map(|sysctl| text(&sysctl["name"])),
        "the sysctl",
    );
    for (key, value) in pod["nodeSelector"].as_object().into_iter().flatten() {
        judge.must(is_qualified(key) && is_value(text(value)), "nodeSelector");
    }
}

fn one_container(
    judge: &mut Judge,
    container: &Value,
    volumes: &[&str],
    templates: &[&str],
    objects: &[Object],
) {
    judge.must(is_label(text(&container["name"])), "the name of a container");
    let image = text(&container["image"]);
    judge.must(!image.is_empty() && image.trim() == image, "an image");
    judge.once(
        items(&container["volumeMounts"]).iter().map(|mount| text(&mount["mountPath"])),
        "the mount at",
    );
    for mount in items(&container["volumeMounts"]) {
        let name = text(&mount["name"]);
        judge.must(
            volumes.contains(&name) || templates.contains(&name),
            &format!("there is no volume {name}"),
        );
        judge.must(!text(&mount["mountPath"]).contains(':'), "a path with `:`");
        let below = text(&mount["subPath"]);
        judge.must(!below.starts_with('/') && !below.split('/').any(|part| part == ".."), "subPath");
    }
    let ports = items(&container["ports"]);
    judge.once(ports.iter().map(|port| text(&port["name"])), "the port");
    let numbers: Vec<String> =
        ports.iter().map(|port| format!("{}/{}", port["containerPort"], port["protocol"])).collect();
    judge.once(numbers.iter().map(String::as_str), "the port");
    for port in ports {
        port_name(judge, text(&port["name"]));
        judge.must(
            (1..=65_535).contains(&port["containerPort"].as_i64().unwrap_or_default()),
            "containerPort",
        );
    }
    judge.once(items(&container["env"]).iter().map(|variable| text(&variable["name"])), "the variable");
    for variable in items(&container["env"]) {
        let name = text(&variable["name"]);
        let fits = name.bytes().all(|each| each.is_ascii_alphanumeric() || b"_-.".contains(&each));
        judge.must(
            fits && !name.is_empty() && !name.as_bytes()[0].is_ascii_digit(),
            &format!("the variable {name}"),
        );
        let from = &variable["valueFrom"]["secretKeyRef"];
        judge.must(variable["value"].is_string() != from.is_object(), "a variable has one value");
        if from.is_object() {
            let secret =
                objects.iter().find(|object| object.kind == "Secret" && object.name == text(&from["name"]));
            judge.must(
                secret.is_some_and(|secret| secret.value["data"][text(&from["key"])].is_string()),
                "a Secret is missing",
            );
        }
    }
    for probe in ["startupProbe", "readinessProbe"] {
        let probe = &container[probe];
        if probe.is_object() {
            judge.must(!items(&probe["exec"]["command"]).is_empty(), "a probe has no command");
            for number in ["periodSeconds", "timeoutSeconds", "failureThreshold"] {
                judge.must(probe[number].as_i64().unwrap_or_default() >= 1, number);
            }
        }
    }
    for hook in ["postStart", "preStop"] {
        let hook = &container["lifecycle"][hook];
        judge.must(hook.is_null() || !items(&hook["exec"]["command"]).is_empty(), "a hook has no command");
    }
    for (name, amount) in container["resources"]["requests"].as_object().into_iter().flatten() {
        let limit = &container["resources"]["limits"][name.as_str()];
        judge.must(is_quantity(text(amount)), "a request");
        judge.must(
            limit.is_null() || quantity(text(amount)) <= quantity(text(limit)),
            "a request is above its limit",
        );
    }
    for (_, amount) in container["resources"]["limits"].as_object().into_iter().flatten() {
        judge.must(is_quantity(text(amount)), "a limit");
    }
    let security = &container["securityContext"];
    let everything = security["privileged"] == true
        || items(&security["capabilities"]["add"]).iter().any(|name| text(name).ends_with("SYS_ADMIN"));
    judge.must(!(everything && security["allowPrivilegeEscalation"] == false), "allowPrivilegeEscalation");
}

fn port_name(judge: &mut Judge, name: &str) {
    let fits = name.len() <= 15 && is_label(name) && name.bytes().any(|each| each.is_ascii_lowercase());
    judge.must(fits && !name.contains("--"), &format!("the name of a port: {name}"));
}

/// What a digest in its name tells to be ours must be there.
fn referred(judge: &mut Judge, kind: &str, name: &str, objects: &[Object]) {
    let ending = name.rsplit('-').next().unwrap_or_default();
    let ours = ending.len() == 8 && ending.bytes().all(|each| each.is_ascii_hexdigit());
    let found = objects.iter().any(|object| object.kind == kind && object.name == name);
    judge.must(!ours || found, &format!("the {kind} {name} is missing"));
}

fn service(judge: &mut Judge, spec: &Value) {
    let name = judge.at.rsplit('/').next().unwrap_or_default().to_owned();
    judge.must(is_label(&name) && name.starts_with(|first: char| first.is_ascii_lowercase()), "its name");
    judge.must(
        spec["selector"].as_object().is_some_and(|selector| !selector.is_empty()),
        "its selector is empty",
    );
    let ports = items(&spec["ports"]);
    judge.must(!ports.is_empty() || spec["clusterIP"] == "None", "it has no ports");
    judge.once(ports.iter().map(|port| text(&port["name"])), "the port");
    let numbers: Vec<String> =
        ports.iter().map(|port| format!("{}/{}", port["port"], port["protocol"])).collect();
    judge.once(numbers.iter().map(String::as_str), "the port");
    for port in ports {
        port_name(judge, text(&port["name"]));
        for number in ["port", "targetPort"] {
            judge.must((1..=65_535).contains(&port[number].as_i64().unwrap_or_default()), number);
        }
    }
}

fn content(judge: &mut Judge, value: &Value) {
    let all = ["data", "binaryData"].map(|key| value[key].as_object());
    let mut size = 0;
    for (key, content) in all.into_iter().flatten().flatten() {
        let fits = key.bytes().all(|each| each.is_ascii_alphanumeric() || b"-_.".contains(&each));
        judge.must(
            fits && !key.is_empty() && key.len() <= 253 && !matches!(key.as_str(), "." | ".."),
            &format!("the key {key}"),
        );
        size += text(content).len();
    }
    judge.once(all.into_iter().flatten().flatten().map(|(key, _)| key.as_str()), "the key");
    judge.must(size <= 1_500_000, "it is too large");
}

fn claim(judge: &mut Judge, spec: &Value) {
    judge.must(is_quantity(text(&spec["resources"]["requests"]["storage"])), "the size of a claim");
    judge.must(items(&spec["accessModes"]).len() == 1, "accessModes");
}
