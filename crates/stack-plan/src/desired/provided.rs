//! What programs beside the engine say of the services they make: variables for those
//! that depend on them.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use stack_file::model::{Model, ModelUse, Stack};
use stack_file::source::{Origin, Spanned};
use stack_file::tree::{Entries, Entry, Kind, Node};

use crate::address::Address;

/// The variables that providers have set, by service. They may be secret, so they are
/// never shown.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Provided {
    variables: BTreeMap<String, Vec<(String, String)>>,
}

impl fmt::Debug for Provided {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = |all: &Vec<(String, String)>| all.iter().map(|(name, _)| name.clone()).collect();
        let shown: BTreeMap<_, Vec<String>> =
            self.variables.iter().map(|(service, all)| (service, names(all))).collect();
        write!(f, "Provided({shown:?})")
    }
}

impl Provided {
    /// Notes what the program of a service has set, each variable under the name that those who
    /// depend on the service get.
    pub fn note(&mut self, service: &str, variables: Vec<(String, String)>) {
        self.variables.insert(service.to_owned(), variables);
    }

    /// Adds what other programs have set.
    pub fn extend(&mut self, other: Self) {
        self.variables.extend(other.variables);
    }

    /// Whether the program of the service has said what it has to say.
    #[must_use]
    pub fn has(&self, service: &str) -> bool {
        self.variables.contains_key(service)
    }
}

/// What stands before the variables of a provider: `CLOUD_DB_` for `cloud_db`.
#[must_use]
pub fn prefix(service: &str) -> String {
    format!("{}_", service.to_uppercase())
}

/// An AI model that another program runs.
#[derive(Clone, Debug)]
pub struct ModelSpec {
    /// Its name within the project.
    pub address: Address,
    /// The model and its settings.
    pub model: Model,
}

/// What the program of models says of one: where it is.
pub const ENDPOINT: &str = "endpoint";

pub(super) fn models(stack: &Stack) -> Vec<Arc<ModelSpec>> {
    let spec = |(key, model): (&String, &Model)| {
        Arc::new(ModelSpec { address: Address::Model(key.clone()), model: model.clone() })
    };
    stack.models.iter().map(spec).collect()
}

/// The variables by which a service learns of a model.
fn of_model(key: &str, model: &Model, used: &ModelUse, endpoint: &str) -> [(String, String); 2] {
    let prefix = key.to_uppercase().replace('-', "_");
    let name = |given: &Option<String>, end: &str| given.clone().unwrap_or_else(|| format!("{prefix}_{end}"));
    [
        (name(&used.model_var, "MODEL"), model.model.clone()),
        (name(&used.endpoint_var, "URL"), endpoint.to_owned()),
    ]
}

/// The stack with the variables of providers in the services that depend on them.
pub(super) fn with(stack: &Stack, provided: &Provided) -> Stack {
    let mut stack = stack.clone();
    let Stack { services, tree, models, .. } = &mut stack;
    for (name, service) in services {
        let mut given: Vec<(String, String, Origin)> = Vec::new();
        for (dependency, wanted) in &service.depends_on {
            for (variable, value) in provided.variables.get(dependency).into_iter().flatten() {
                given.push((variable.clone(), value.clone(), wanted.origin.clone()));
            }
        }
        for (key, used) in &service.models {
            let said = provided.variables.get(&Address::Model(key.clone()).to_string());
            let endpoint = said.into_iter().flatten().find(|(name, _)| name == ENDPOINT);
            if let (Some((_, endpoint)), Some(model)) = (endpoint, models.get(key)) {
                let variables = of_model(key, model, used, endpoint);
                given.extend(variables.map(|(name, value)| (name, value, used.origin.clone())));
            }
        }
        for (variable, value, origin) in given {
            if let Some(environment) = environment_of(tree, name, &origin) {
                let node = Node::string(value.clone(), origin.clone());
                environment.insert(variable.clone(), Entry { key: origin.clone(), node });
            }
            service.environment.insert(variable, Spanned::new(Some(value), origin));
        }
    }
    stack
}

/// The variables of a service in the tree of the stack.
fn environment_of<'a>(tree: &'a mut Node, service: &str, origin: &Origin) -> Option<&'a mut Entries> {
    let Kind::Mapping(top) = &mut tree.kind else { return None };
    let Kind::Mapping(services) = &mut top.get_mut("services")?.node.kind else { return None };
    let Kind::Mapping(service) = &mut services.get_mut(service)?.node.kind else { return None };
    let empty = || Entry {
        key: origin.clone(),
        node: Node { kind: Kind::Mapping(Entries::new()), origin: origin.clone() },
    };
    match &mut service.entry("environment".to_owned()).or_insert_with(empty).node.kind {
        Kind::Mapping(environment) => Some(environment),
        _ => None,
    }
}
