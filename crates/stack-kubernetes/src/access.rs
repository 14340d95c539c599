//! The right to look at Jobs, for what waits for them.

use serde_json::{Map, json};

use crate::labels::Marks;
use crate::manifests::Manifests;
use crate::name;

impl Manifests<'_> {
    /// The account of pods that wait for Jobs.
    pub(crate) fn account(&self) -> String {
        name::label(&format!("{}-waits", self.stack.name.value)).unwrap_or_default()
    }

    /// Writes the account, and lets it look at the Jobs that are waited for and at nothing else.
    pub(crate) fn access(&mut self) {
        if self.awaited.is_empty() {
            return;
        }
        let name = self.account();
        let origin = self.stack.name.origin.clone();
        let marks = || Marks::default();
        let labels = self.common();
        let with_labels =
            |labels: &Map<String, serde_json::Value>| Marks { labels: labels.clone(), ..marks() };
        let closed = Map::from_iter([("automountServiceAccountToken".to_owned(), json!(false))]);
        self.write("v1", "ServiceAccount", &name, with_labels(&labels), closed, &origin);
        let jobs: Vec<&String> = self.awaited.iter().collect();
        let rules = json!([{ "apiGroups": ["batch"], "resources": ["jobs"], "resourceNames": jobs, "verbs": ["get"] }]);
        let body = Map::from_iter([("rules".to_owned(), rules)]);
        self.write("rbac.authorization.k8s.io/v1", "Role", &name, with_labels(&labels), body, &origin);
        let namespace = self.options.namespace.clone().unwrap_or_else(|| "default".to_owned());
        let body = Map::from_iter([
            (
                "roleRef".to_owned(),
                json!({ "apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": name }),
            ),
            (
                "subjects".to_owned(),
                json!([{ "kind": "ServiceAccount", "name": name, "namespace": namespace }]),
            ),
        ]);
        self.write("rbac.authorization.k8s.io/v1", "RoleBinding", &name, with_labels(&labels), body, &origin);
    }
}
