//! What a service becomes: a Deployment, a StatefulSet, a DaemonSet or a Job.

use indexmap::IndexMap;
use serde_json::{Map, Value, json};
use stack_file::model::{DependencyCondition, Restart, Service, Stack, UpdateConfig, UpdateOrder};
use stack_file::tree::Node;

use crate::labels::Marks;
use crate::manifests::{Manifests, put, put_some};
use crate::name;
use crate::probe::seconds;

/// What runs the pods of a service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Workload {
    /// Pods of which none is another than the others.
    Deployment,
    /// Pods with volumes that they write to: none is replaced before it has stopped.
    StatefulSet,
    /// A pod on each node.
    DaemonSet,
    /// Pods that run to an end.
    Job,
}

/// What each service with pods becomes. A service that others wait for to complete is a Job, one
/// that writes to a named volume a StatefulSet.
pub(crate) fn workloads(stack: &Stack) -> IndexMap<&str, Workload> {
    let completes = |name: &str| {
        stack.services.values().any(|other| {
            other
                .depends_on
                .get(name)
                .is_some_and(|wanted| wanted.condition == DependencyCondition::CompletedSuccessfully)
        })
    };
    let with_pods = stack.services.values().filter(|service| service.provider.is_none());
    with_pods
        .map(|service| {
            let name = service.name.as_str();
            let kind = if service.job || completes(name) {
                Workload::Job
            } else if mode(stack, name) == Some("global") {
                Workload::DaemonSet
            } else if crate::volumes::writes(stack, service) {
                Workload::StatefulSet
            } else {
                Workload::Deployment
            };
            (name, kind)
        })
        .collect()
}

fn mode<'a>(stack: &'a Stack, service: &str) -> Option<&'a str> {
    Some(&stack.written_service(service)?.get("deploy")?.get("mode")?.as_scalar()?.text)
}

/// How many pods a service has; a Job or a service at work.
pub(crate) fn replicas(service: &Service) -> u32 {
    service.scale.as_ref().map_or(1, |scale| scale.value)
}

impl<'a> Manifests<'a> {
    /// Writes what runs the pods of a service.
    pub(crate) fn workload(&mut self, service: &'a Service) {
        let kind = self.kinds[service.name.as_str()];
        self.restarts(service, kind);
        let mut marks = Marks { labels: self.labels_of(&service.name), ..Marks::default() };
        let path = format!("services.{}", service.name.value);
        let deploy = self.stack.written_service(&service.name).and_then(|node| node.get("deploy"));
        for (key, entry) in
            deploy.and_then(|deploy| deploy.get("labels")).and_then(Node::as_mapping).into_iter().flatten()
        {
            let text = entry.node.as_scalar().map(|scalar| scalar.text.clone()).unwrap_or_default();
            let one = IndexMap::from([(
                key.clone(),
                stack_file::source::Spanned::new(text, entry.node.origin.clone()),
            )]);
            self.add_labels(&mut marks, &one, &format!("{path}.deploy.labels"));
        }
        let template = self.template(service, kind);
        match kind {
            Workload::Job => self.job(service, marks, template),
            Workload::Deployment => {
                let mut spec = Map::new();
                spec.insert("replicas".to_owned(), json!(replicas(service)));
                put(&mut spec, "minReadySeconds", self.watched(service));
                spec.insert("selector".to_owned(), json!({ "matchLabels": self.selector(&service.name) }));
                put(&mut spec, "strategy", self.strategy(service, true));
                spec.insert("template".to_owned(), template);
                self.write_spec("apps/v1", "Deployment", service, marks, spec);
            }
            Workload::DaemonSet => {
                let mut spec = Map::new();
                put(&mut spec, "minReadySeconds", self.watched(service));
                spec.insert("selector".to_owned(), json!({ "matchLabels": self.selector(&service.name) }));
                put(&mut spec, "updateStrategy", self.strategy(service, false));
                spec.insert("template".to_owned(), template);
                self.write_spec("apps/v1", "DaemonSet", service, marks, spec);
            }
            Workload::StatefulSet => {
                let mut spec = Map::new();
                let name =
                    crate::network::is_found(service).then(|| json!(self.names[service.name.as_str()]));
                put(&mut spec, "serviceName", name);
                spec.insert("replicas".to_owned(), json!(replicas(service)));
                put(&mut spec, "minReadySeconds", self.watched(service));
                // Replicas of a stack start side by side.
                spec.insert("podManagementPolicy".to_owned(), json!("Parallel"));
                put(&mut spec, "updateStrategy", self.one_by_one(service));
                spec.insert("selector".to_owned(), json!({ "matchLabels": self.selector(&service.name) }));
                spec.insert("template".to_owned(), template);
                put_some(&mut spec, "volumeClaimTemplates", self.claim_templates(service));
                self.write_spec("apps/v1", "StatefulSet", service, marks, spec);
            }
        }
    }

    fn write_spec(
        &mut self,
        api: &str,
        kind: &'static str,
        service: &'a Service,
        marks: Marks,
        spec: Map<String, Value>,
    ) {
        let body = Map::from_iter([("spec".to_owned(), Value::Object(spec))]);
        let name = self.names[service.name.as_str()].clone();
        self.write(api, kind, &name, marks, body, &service.name.origin);
    }

    /// A Job cannot be changed: one that is another has another name, and runs again.
    fn job(&mut self, service: &'a Service, marks: Marks, template: Value) {
        let count = replicas(service);
        let mut spec = Map::new();
        spec.insert("completions".to_owned(), json!(count.max(1)));
        spec.insert("parallelism".to_owned(), json!(count));
        let attempts = match service.restart.as_ref().map(|restart| restart.value) {
            Some(Restart::OnFailure(0) | Restart::Always | Restart::UnlessStopped) => i32::MAX,
            Some(Restart::OnFailure(attempts)) => i32::try_from(attempts).unwrap_or(i32::MAX),
            Some(Restart::No) | None => 0,
        };
        spec.insert("backoffLimit".to_owned(), json!(attempts));
        spec.insert("template".to_owned(), template);
        let content = Value::Object(spec.clone()).to_string();
        let name = name::hashed(&self.names[service.name.as_str()], content.as_bytes());
        self.jobs.insert(service.name.as_str(), name.clone());
        let body = Map::from_iter([("spec".to_owned(), Value::Object(spec))]);
        self.write("batch/v1", "Job", &name, marks, body, &service.name.origin);
    }

    /// Says where pods start again though the file does not want that.
    fn restarts(&mut self, service: &Service, kind: Workload) {
        let Some(restart) = &service.restart else { return };
        let path = format!("services.{}.restart", service.name.value);
        match (kind, restart.value) {
            (Workload::Job, Restart::Always | Restart::UnlessStopped) => self.warn(
                &restart.origin,
                path,
                "a Job is done once its pods have ended well, and starts them again only when they fail",
                "use `restart: on-failure`",
            ),
            (Workload::Job, _) | (_, Restart::Always | Restart::UnlessStopped) => {}
            (_, Restart::No) => self.warn(
                &restart.origin,
                path,
                "Kubernetes starts a container again whenever it has ended",
                "for one that runs to an end use `deploy: {mode: replicated-job}`",
            ),
            (_, Restart::OnFailure(_)) => self.warn(
                &restart.origin,
                path,
                "Kubernetes starts a container again whenever it has ended, not only when it failed, and without a limit",
                "use `restart: always`, or `deploy: {mode: replicated-job}` for one that runs to an end",
            ),
        }
    }

    /// How long a new pod must be ready before it counts.
    fn watched(&self, service: &Service) -> Option<Value> {
        let update = service.update.as_ref()?;
        let longest = update.monitor.unwrap_or_default().max(update.delay);
        (!longest.is_zero()).then(|| json!(seconds(longest)))
    }

    /// How pods are replaced: as the file says, else as Kubernetes does it. A port of the node is
    /// free for the new pod only when the old one has gone.
    fn strategy(&self, service: &Service, deployment: bool) -> Option<Value> {
        let holds_port = self.host_ports(service);
        let update = match &service.update {
            Some(update) => update.value.clone(),
            None if holds_port && deployment => UpdateConfig::default(),
            None => return None,
        };
        let number = match update.parallelism {
            0 => json!("100%"),
            some => json!(some),
        };
        let (surge, unavailable) = match update.order {
            UpdateOrder::StartFirst if !holds_port => (number, json!(0)),
            _ => (json!(0), number),
        };
        Some(json!({
            "type": "RollingUpdate",
            "rollingUpdate": { "maxSurge": surge, "maxUnavailable": unavailable },
        }))
    }

    /// How pods with volumes are replaced: the old one stops first.
    fn one_by_one(&mut self, service: &Service) -> Option<Value> {
        let update = service.update.as_ref()?;
        if update.order == UpdateOrder::StartFirst {
            self.warn(
                &update.origin,
                format!("services.{}.deploy.update_config.order", service.name.value),
                "a pod that writes to a volume stops before the new one starts",
                "use `order: stop-first`",
            );
        }
        let number = match update.parallelism {
            1 => return None,
            0 => json!("100%"),
            some => json!(some),
        };
        Some(json!({ "type": "RollingUpdate", "rollingUpdate": { "maxUnavailable": number } }))
    }
}
