//! Users, capabilities, and what else a container may or may not do.

use serde_json::{Map, Value, json};
use stack_file::model::Service;
use stack_file::source::Spanned;

use crate::manifests::{Manifests, put_some};

/// Kernel parameters that a node lets pods set unless it was told more.
const SAFE: [&str; 12] = [
    "kernel.shm_rmid_forced",
    "net.ipv4.ip_local_port_range",
    "net.ipv4.ip_local_reserved_ports",
    "net.ipv4.ip_unprivileged_port_start",
    "net.ipv4.ping_group_range",
    "net.ipv4.tcp_fin_timeout",
    "net.ipv4.tcp_keepalive_intvl",
    "net.ipv4.tcp_keepalive_probes",
    "net.ipv4.tcp_keepalive_time",
    "net.ipv4.tcp_rmem",
    "net.ipv4.tcp_syncookies",
    "net.ipv4.tcp_wmem",
];

impl Manifests<'_> {
    /// What holds for the whole pod.
    pub(crate) fn pod_security(&mut self, service: &Service) -> Value {
        let path = format!("services.{}", service.name.value);
        let mut security = Map::new();
        let mut groups = Vec::new();
        for group in &service.group_add {
            match id(&group.value) {
                Some(number) => groups.push(json!(number)),
                None => self.warn(
                    &group.origin,
                    format!("{path}.group_add"),
                    format!("Kubernetes knows groups by number, and `{}` is a name", group.value),
                    "use the number that the image has for it",
                ),
            }
        }
        put_some(&mut security, "supplementalGroups", Value::Array(groups));
        let mut sysctls = Vec::new();
        for (name, value) in &service.sysctls {
            if !SAFE.contains(&name.as_str()) {
                self.warn(
                    &value.origin,
                    format!("{path}.sysctls.{name}"),
                    format!("nodes refuse pods that set `{name}`, unless they were told otherwise"),
                    "let the nodes have it in `allowedUnsafeSysctls`",
                );
            }
            sysctls.push(json!({ "name": name, "value": value.value }));
        }
        put_some(&mut security, "sysctls", Value::Array(sysctls));
        Value::Object(security)
    }

    /// What holds for the container.
    pub(crate) fn container_security(&mut self, service: &Service) -> Value {
        let path = format!("services.{}", service.name.value);
        let mut security = Map::new();
        if let Some(user) = service.user.as_ref().filter(|user| !user.is_empty()) {
            let (name, group) = match user.value.split_once(':') {
                Some((name, group)) => (name, Some(group)),
                None => (user.value.as_str(), None),
            };
            for (key, part) in [("runAsUser", Some(name)), ("runAsGroup", group)] {
                match part.map(id) {
                    Some(Some(number)) => {
                        security.insert(key.to_owned(), json!(number));
                    }
                    Some(None) => self.warn(
                        &user.origin,
                        format!("{path}.user"),
                        format!(
                            "Kubernetes knows users by number, and `{}` is a name",
                            part.unwrap_or_default()
                        ),
                        "use the number that the image has for it",
                    ),
                    None => {}
                }
            }
        }
        let privileged = service.privileged.as_ref().is_some_and(|asked| asked.value);
        if privileged {
            security.insert("privileged".to_owned(), json!(true));
        }
        if service.read_only.as_ref().is_some_and(|asked| asked.value) {
            security.insert("readOnlyRootFilesystem".to_owned(), json!(true));
        }
        let added = capabilities(&service.cap_add);
        let everything = added.iter().any(|name| matches!(name.as_str(), "SYS_ADMIN" | "ALL"));
        let mut changes = Map::new();
        put_some(&mut changes, "add", json!(added));
        put_some(&mut changes, "drop", json!(capabilities(&service.cap_drop)));
        put_some(&mut security, "capabilities", Value::Object(changes));
        for option in &service.security_opt {
            self.security_option(service, option, privileged || everything, &mut security);
        }
        Value::Object(security)
    }

    fn security_option(
        &mut self,
        service: &Service,
        option: &Spanned<String>,
        everything: bool,
        security: &mut Map<String, Value>,
    ) {
        let path = format!("services.{}.security_opt", service.name.value);
        let (name, value) = match option.value.split_once(['=', ':']) {
            Some((name, value)) => (name, value),
            None => (option.value.as_str(), ""),
        };
        match (name, value) {
            ("no-new-privileges", "" | "true") if everything => self.warn(
                &option.origin,
                path,
                "Kubernetes refuses this together with `privileged`, or with the capability SYS_ADMIN",
                "take away one of both",
            ),
            ("no-new-privileges", "" | "true") => {
                security.insert("allowPrivilegeEscalation".to_owned(), json!(false));
            }
            ("no-new-privileges", "false") => {}
            ("seccomp", "unconfined") => {
                security.insert("seccompProfile".to_owned(), json!({ "type": "Unconfined" }));
            }
            ("apparmor", "unconfined") => {
                security.insert("appArmorProfile".to_owned(), json!({ "type": "Unconfined" }));
            }
            ("apparmor", profile) if !profile.is_empty() => {
                let profile = match profile {
                    "docker-default" => json!({ "type": "RuntimeDefault" }),
                    own => json!({ "type": "Localhost", "localhostProfile": own }),
                };
                security.insert("appArmorProfile".to_owned(), profile);
            }
            ("label", label) => match label.split_once(':') {
                Some((part @ ("user" | "role" | "type" | "level"), value)) if !value.is_empty() => {
                    let options = security.entry("seLinuxOptions").or_insert_with(|| json!({}));
                    options[part] = json!(value);
                }
                _ => self.refuse_option(option, path),
            },
            _ => self.refuse_option(option, path),
        }
    }

    fn refuse_option(&mut self, option: &Spanned<String>, path: String) {
        self.warn(
            &option.origin,
            path,
            "Kubernetes does not honour this security option",
            "put profiles on the nodes, and name them with an overlay",
        );
    }
}

/// The number of a user or a group. Of names, one has the same number everywhere.
fn id(text: &str) -> Option<u32> {
    if text == "root" {
        return Some(0);
    }
    text.parse().ok().filter(|number: &u32| i32::try_from(*number).is_ok())
}

/// Names of capabilities as Kubernetes has them, each once.
fn capabilities(names: &[Spanned<String>]) -> Vec<String> {
    let mut all: Vec<String> = Vec::new();
    for name in names {
        let upper = name.value.to_ascii_uppercase();
        let name = upper.strip_prefix("CAP_").unwrap_or(&upper).to_owned();
        if !all.contains(&name) {
            all.push(name);
        }
    }
    all
}
