//! Containers that wait for what a service depends on, before its own starts.

use serde_json::{Value, json};
use stack_file::model::{DependencyCondition, Service};

use crate::Publish;
use crate::lifecycle::quoted;
use crate::manifests::Manifests;
use crate::mounts::PodVolumes;
use crate::pod::literal;
use crate::ports::is_local;
use crate::workload::Workload;

/// Has `sh` and `nc`.
const PLAIN: &str = "busybox:stable";
/// Has `curl` as well.
const WITH_CURL: &str = "curlimages/curl:latest";
/// Where a container that waits for a Job finds what it needs to ask.
const ACCESS: &str = "/var/run/access";

/// What waits in a pod.
pub(crate) struct Waits {
    pub(crate) containers: Vec<Value>,
    /// Whether a Job is waited for, which takes the right to look at it.
    pub(crate) for_jobs: bool,
}

impl<'a> Manifests<'a> {
    pub(crate) fn waits(&mut self, service: &'a Service, volumes: &mut PodVolumes) -> Waits {
        let mut waits = Waits { containers: Vec::new(), for_jobs: false };
        let mut access = None;
        for (name, wanted) in &service.depends_on {
            let path = format!("services.{}.depends_on.{name}", service.name.value);
            let Some(other) = self.stack.services.get(name) else { continue };
            let Some(fit) = self.names.get(name.as_str()).cloned() else { continue };
            let is_job = self.kinds.get(name.as_str()) == Some(&Workload::Job);
            let completes = wanted.condition == DependencyCondition::CompletedSuccessfully;
            if is_job && !completes {
                self.warn(
                    &wanted.origin,
                    path,
                    format!("`{name}` is a Job, and nobody can tell in Kubernetes that it has started"),
                    "wait for its end: `condition: service_completed_successfully`",
                );
                continue;
            }
            if !is_job && !crate::network::is_found(other) {
                self.warn(
                    &wanted.origin,
                    path,
                    format!("`{name}` is not found in Kubernetes, so that nobody can wait for it"),
                    "put it on a network",
                );
                continue;
            }
            let ports = self.open_ports(other);
            let tcp = ports.iter().find(|open| open.protocol == "TCP");
            let open = self.options.publish != Publish::Nothing
                && tcp.is_some_and(|tcp| {
                    other.ports.iter().any(|port| port.target == tcp.number && !is_local(port))
                });
            let meets = if is_job {
                !self.isolation.shuts_in(service)
            } else {
                self.isolation.joins(service, other, open)
            };
            if !meets {
                self.warn(
                    &wanted.origin,
                    path,
                    format!(
                        "the networks keep this service apart from `{name}`, so that it cannot wait for it"
                    ),
                    "put both on a network, and one that waits for a Job on one that is not internal",
                );
                continue;
            }
            let script = if is_job {
                let Some(job) = self.jobs.get(name.as_str()).cloned() else { continue };
                if !waits.for_jobs && self.options.namespace.is_none() {
                    self.warn(
                        &wanted.origin,
                        path,
                        "waiting for a Job takes rights, and these are written for the namespace `default`",
                        "name the namespace with `--namespace`",
                    );
                }
                waits.for_jobs = true;
                access.get_or_insert_with(|| volumes.add("access", access_volume()));
                self.awaited.insert(job.clone());
                job_script(&job)
            } else {
                match tcp {
                    Some(port) => port_script(&fit, port.number),
                    None => name_script(&fit),
                }
            };
            let image = match &self.options.wait_image {
                Some(image) => image.clone(),
                None if is_job => WITH_CURL.to_owned(),
                None => PLAIN.to_owned(),
            };
            let name = crate::name::label(&format!("wait-for-{fit}")).unwrap_or_default();
            let mut container = json!({
                "name": name,
                "image": image,
                "command": ["sh", "-c", literal(&script)],
                "securityContext": {
                    "allowPrivilegeEscalation": false,
                    "capabilities": { "drop": ["ALL"] },
                    "readOnlyRootFilesystem": true,
                    "runAsNonRoot": true,
                    "runAsUser": 65534,
                },
            });
            if let Some(volume) = access.as_ref().filter(|_| is_job) {
                container["volumeMounts"] =
                    json!([{ "name": volume, "mountPath": ACCESS, "readOnly": true }]);
            }
            waits.containers.push(container);
        }
        waits
    }
}

/// A Service leads to pods that are ready alone.
fn port_script(name: &str, port: u16) -> String {
    format!("until nc -z -w 2 {name} {port}; do echo 'waiting for {name}:{port}'; sleep 1; done")
}

/// Without a port, a name is found once a pod is ready.
fn name_script(name: &str) -> String {
    format!(
        "while nc -z -w 2 {name} 1 2>&1 | grep -q 'bad address'; do echo 'waiting for {name}'; sleep 1; done"
    )
}

/// A Job that failed will not complete: then the pod fails, too, and says why.
fn job_script(job: &str) -> String {
    let job_of = format!("/apis/batch/v1/namespaces/$(cat {ACCESS}/namespace)/jobs/{}", quoted(job));
    format!(
        "while :; do \
         job=$(curl -sS --fail --max-time 10 --cacert {ACCESS}/ca.crt -H \"Authorization: Bearer $(cat {ACCESS}/token)\" \
         \"https://kubernetes.default.svc{job_of}\" | tr -d ' \\n'); \
         case \"$job\" in \
         *'\"type\":\"Complete\",\"status\":\"True\"'*) exit 0;; \
         *'\"type\":\"Failed\",\"status\":\"True\"'*) echo '{job} has failed' >&2; exit 1;; \
         esac; \
         echo 'waiting for {job}'; sleep 2; done"
    )
}

/// What a container needs to ask the cluster, for it alone: the others know no cluster.
fn access_volume() -> (&'static str, Value) {
    let sources = json!({
        "sources": [
            { "serviceAccountToken": { "path": "token", "expirationSeconds": 3600 } },
            { "configMap": { "name": "kube-root-ca.crt", "items": [{ "key": "ca.crt", "path": "ca.crt" }] } },
            {
                "downwardAPI": {
                    "items": [{ "path": "namespace", "fieldRef": { "fieldPath": "metadata.namespace" } }],
                },
            },
        ],
    });
    ("projected", sources)
}
