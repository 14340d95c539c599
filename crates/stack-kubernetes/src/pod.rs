//! The pods of a service: one container, and what waits before it.

use serde_json::{Map, Value, json};
use stack_file::model::{Build, PullPolicy, Restart, Service};
use stack_file::source::Spanned;

use crate::labels::{ALIAS, Marks, NETWORK};
use crate::manifests::{Manifests, put, put_some};
use crate::probe::seconds;
use crate::workload::Workload;

/// How long a container may take to stop where the file says nothing, as with an engine.
const GRACE: u64 = 10;

impl<'a> Manifests<'a> {
    /// The template of the pods.
    pub(crate) fn template(&mut self, service: &'a Service, kind: Workload) -> Value {
        let path = format!("services.{}", service.name.value);
        let mut marks = Marks { labels: self.labels_of(&service.name), ..Marks::default() };
        for alias in self.aliases(service) {
            marks.labels.insert(format!("{ALIAS}{}", alias.value), json!("true"));
        }
        for network in self.isolation.networks_of(service) {
            marks.labels.insert(format!("{NETWORK}{network}"), json!("true"));
        }
        self.add_labels(&mut marks, &service.labels, &format!("{path}.labels"));
        self.add_annotations(&mut marks, &service.annotations, &format!("{path}.annotations"));
        let mut metadata = Map::new();
        metadata.insert("labels".to_owned(), Value::Object(marks.labels));
        put_some(&mut metadata, "annotations", Value::Object(marks.annotations));
        json!({ "metadata": metadata, "spec": self.pod(service, kind) })
    }

    fn pod(&mut self, service: &'a Service, kind: Workload) -> Value {
        let path = format!("services.{}", service.name.value);
        let mut volumes = self.mounts(service);
        let waits = self.waits(service, &mut volumes);
        let container = self.container(service, std::mem::take(&mut volumes.mounts));
        let mut spec = Map::new();
        if kind == Workload::Job {
            let again = match service.restart.as_ref().map(|restart| restart.value) {
                Some(Restart::No) | None => "Never",
                Some(_) => "OnFailure",
            };
            spec.insert("restartPolicy".to_owned(), json!(again));
        }
        // Neither is a container of a stack known to a cluster, nor do variables of other services come into it.
        spec.insert("automountServiceAccountToken".to_owned(), json!(false));
        spec.insert("enableServiceLinks".to_owned(), json!(false));
        if waits.for_jobs {
            spec.insert("serviceAccountName".to_owned(), json!(self.account()));
        }
        let grace = service.stop_grace_period.as_ref().map_or(GRACE, |grace| seconds(grace.value));
        spec.insert("terminationGracePeriodSeconds".to_owned(), json!(grace));
        if let Some(hostname) = &service.hostname {
            if crate::name::is_label(&hostname.value) {
                spec.insert("hostname".to_owned(), json!(hostname.value));
            } else {
                self.warn(
                    &hostname.origin,
                    format!("{path}.hostname"),
                    "Kubernetes takes this for no host name",
                    "use lower-case letters, digits and `-`, 63 characters at most",
                );
            }
        }
        self.namespaces(service, &mut spec);
        self.resolving(service, &mut spec);
        self.placement(service, &mut spec);
        put_some(&mut spec, "securityContext", self.pod_security(service));
        if service.stop_signal.is_some() {
            // A signal of its own needs to be told for which system it is.
            spec.insert("os".to_owned(), json!({ "name": "linux" }));
        }
        put_some(&mut spec, "initContainers", Value::Array(waits.containers));
        spec.insert("containers".to_owned(), json!([container]));
        put_some(&mut spec, "volumes", Value::Array(volumes.volumes));
        Value::Object(spec)
    }

    fn container(&mut self, service: &'a Service, mounts: Vec<Value>) -> Value {
        let mut container = Map::new();
        container.insert("name".to_owned(), json!(self.names[service.name.as_str()]));
        container.insert("image".to_owned(), json!(self.image(service)));
        put(&mut container, "imagePullPolicy", self.pull_policy(service));
        self.commands(service, &mut container);
        put(&mut container, "workingDir", service.working_dir.as_ref().map(|path| json!(path.value)));
        put_some(&mut container, "ports", self.container_ports(service));
        put_some(&mut container, "env", self.environment(service));
        put_some(&mut container, "resources", self.resources(service));
        put_some(&mut container, "volumeMounts", Value::Array(mounts));
        self.probes(service, &mut container);
        put_some(&mut container, "lifecycle", self.lifecycle(service));
        put_some(&mut container, "securityContext", self.container_security(service));
        for (key, asked) in [("stdin", &service.stdin_open), ("tty", &service.tty)] {
            if asked.as_ref().is_some_and(|asked| asked.value) {
                container.insert(key.to_owned(), json!(true));
            }
        }
        Value::Object(container)
    }

    fn image(&mut self, service: &Service) -> String {
        if let Some(image) = &service.image {
            return image.value.clone();
        }
        let image = format!("{}{}{}", self.stack.name.value, self.stack.separator, service.name.value);
        let build: Option<&Spanned<Build>> = service.build.as_ref();
        let origin = build.map_or(&service.name.origin, |build| &build.origin);
        self.warn(
            origin,
            format!("services.{}.build", service.name.value),
            format!("nodes pull images, and `{image}` is built here"),
            "give it an `image` with the registry's name, and push it with `stackctl build --push`",
        );
        image
    }

    fn pull_policy(&mut self, service: &Service) -> Option<Value> {
        let policy = service.pull_policy.as_ref()?;
        match policy.value {
            PullPolicy::Always => Some(json!("Always")),
            PullPolicy::Never => Some(json!("Never")),
            PullPolicy::Missing | PullPolicy::Build => Some(json!("IfNotPresent")),
            PullPolicy::Refresh(_) => {
                self.warn(
                    &policy.origin,
                    format!("services.{}.pull_policy", service.name.value),
                    "a node asks for the image at each start of a pod, not after a time",
                    "use `always` or `missing`",
                );
                Some(json!("Always"))
            }
        }
    }

    /// The entry point is `command` in Kubernetes, and the command `args`. An empty list clears
    /// nothing there.
    fn commands(&mut self, service: &Service, container: &mut Map<String, Value>) {
        let path = format!("services.{}", service.name.value);
        let words = |words: &[String]| json!(words.iter().map(|word| literal(word)).collect::<Vec<_>>());
        match (&service.entrypoint, &service.command) {
            (Some(entrypoint), command) if entrypoint.is_empty() => match command {
                Some(command) if !command.is_empty() => {
                    container.insert("command".to_owned(), words(command));
                }
                _ => self.warn(
                    &entrypoint.origin,
                    format!("{path}.entrypoint"),
                    "an entry point of the image can be replaced in Kubernetes, not taken away",
                    "name the program that is to run",
                ),
            },
            (entrypoint, command) => {
                put(container, "command", entrypoint.as_ref().map(|entrypoint| words(entrypoint)));
                match command {
                    Some(command) if !command.is_empty() => {
                        container.insert("args".to_owned(), words(command));
                    }
                    Some(command) if entrypoint.is_none() => self.warn(
                        &command.origin,
                        format!("{path}.command"),
                        "a command of the image can be replaced in Kubernetes, not taken away",
                        "set the `entrypoint`, which takes the command away",
                    ),
                    _ => {}
                }
            }
        }
    }

    /// Namespaces of the node, and of other containers.
    fn namespaces(&mut self, service: &Service, spec: &mut Map<String, Value>) {
        let path = format!("services.{}", service.name.value);
        for (attribute, mode, key) in [
            ("network_mode", &service.network_mode, "hostNetwork"),
            ("pid", &service.pid, "hostPID"),
            ("ipc", &service.ipc, "hostIPC"),
            ("userns_mode", &service.userns_mode, "hostUsers"),
        ] {
            let Some(mode) = mode else { continue };
            match (attribute, mode.value.as_str()) {
                (_, "host") => {
                    spec.insert(key.to_owned(), json!(true));
                    if attribute == "network_mode" {
                        spec.insert("dnsPolicy".to_owned(), json!("ClusterFirstWithHostNet"));
                    }
                }
                (_, "")
                | ("network_mode", "bridge" | "default" | "none")
                | ("ipc", "private" | "shareable") => {}
                _ => self.warn(
                    &mode.origin,
                    format!("{path}.{attribute}"),
                    format!("a pod does not share the `{attribute}` of another"),
                    "let them reach each other by their names and ports",
                ),
            }
        }
        // The processes of a node have its first one.
        if service.init.as_ref().is_some_and(|init| init.value) && !spec.contains_key("hostPID") {
            // Then the pod's own first process takes in those that lost their parents.
            spec.insert("shareProcessNamespace".to_owned(), json!(true));
        }
    }
}

/// A text that Kubernetes fills no variables into: `$(NAME)` stays as it is.
pub(crate) fn literal(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut letters = text.chars().peekable();
    while let Some(each) = letters.next() {
        out.push(each);
        if each == '$' && matches!(letters.peek(), Some('$' | '(')) {
            out.push('$');
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::literal;

    /// What Kubernetes makes of a text: `$$` is one dollar sign, and `$(` begins a variable, which
    /// must not be.
    fn read(text: &str) -> String {
        let mut out = String::new();
        let mut rest = text;
        while let Some(at) = rest.find('$') {
            out.push_str(&rest[..=at]);
            rest = &rest[at + 1..];
            assert!(!rest.starts_with('('), "{text} names a variable");
            rest = rest.strip_prefix('$').unwrap_or(rest);
        }
        out + rest
    }

    #[test]
    fn dollars_stay_what_they_are() {
        for text in ["", "a", "$", "$$", "a$b", "$(A)", "$$(A)", "a$$$b$", "${A}"] {
            assert_eq!(read(&literal(text)), text, "{}", literal(text));
        }
        assert_eq!(literal("$(A)"), "$$(A)");
    }
}
