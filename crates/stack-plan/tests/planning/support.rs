//! What the tests of the planner share: stacks from text, and what is there, by hand.

use std::collections::BTreeMap;
use std::path::PathBuf;

use stack_file::load::{Loaded, Request, load};
use stack_plan::containers::{self, Policy};
use stack_plan::desired::Desired;
use stack_plan::labels;
use stack_plan::observed::{
    ContainerState, Health, Observed, ObservedContainer, ObservedImage, ObservedMount, ObservedNetwork,
    ObservedPort, ObservedVolume,
};
use stack_plan::plan::Plan;

/// The stack of a file's text, as the project `shop`.
pub(crate) fn desired(text: &str) -> Desired {
    Desired::of(&loaded(text, &[]).stack, &BTreeMap::new())
}

/// What is read of a file's text with these variables.
pub(crate) fn loaded(text: &str, variables: &[(&str, &str)]) -> Loaded {
    let environment =
        variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    let loaded = load(&Request {
        files: vec![PathBuf::from("-")],
        directory: PathBuf::from("/nowhere/shop"),
        project_directory: None,
        project_name: Some("shop".to_owned()),
        env_files: Vec::new(),
        profiles: Vec::new(),
        environment: &environment,
        stdin: Some(text),
    });
    assert!(!loaded.has_errors(), "{text}\n{:#?}", loaded.diagnostics);
    loaded
}

/// What is there when the stack of this text is up and ready.
pub(crate) fn up(text: &str) -> Observed {
    up_as(&desired(text))
}

/// What is there when all that is desired is up and ready.
pub(crate) fn up_as(desired: &Desired) -> Observed {
    let mut observed = Observed::default();
    for spec in &desired.networks {
        observed.networks.push(ObservedNetwork {
            id: format!("{}-id", spec.network.name),
            name: spec.network.name.clone(),
            key: (!spec.network.external).then(|| spec.network.key.value.clone()),
            config_hash: spec.labels.get(labels::CONFIG_HASH).cloned().unwrap_or_default(),
            recorded: (!spec.network.external).then(|| spec.fields.record()),
        });
    }
    for spec in &desired.volumes {
        observed.volumes.push(ObservedVolume {
            name: spec.volume.name.clone(),
            key: (!spec.volume.external).then(|| spec.volume.key.value.clone()),
            config_hash: spec.labels.get(labels::CONFIG_HASH).cloned().unwrap_or_default(),
            recorded: (!spec.volume.external).then(|| spec.fields.record()),
        });
    }
    for reference in desired.references() {
        observed
            .images
            .insert(reference.clone(), ObservedImage { id: format!("sha256:{reference}"), tagged: None });
    }
    for spec in &desired.services {
        for number in 1..=spec.scale {
            let name = spec.container_name(&desired.project, number);
            observed.containers.push(ObservedContainer {
                id: format!("{name}-id"),
                name,
                service: spec.name().to_owned(),
                number,
                one_off: false,
                state: ContainerState::Running,
                health: if spec.service.healthcheck.is_some() { Health::Healthy } else { Health::None },
                image_id: format!("sha256:{}", spec.image),
                image: spec.image.clone(),
                recorded: Some(spec.fields.record()),
                lenders: (spec.lenders.iter())
                    .map(|lender| (lender.service.clone(), format!("shop-{}-1-id", lender.service)))
                    .collect(),
                config_hash: spec.labels[labels::CONFIG_HASH].clone(),
                replaced_another: false,
                depends_on: labels::dependencies(&spec.labels[labels::DEPENDS_ON]),
                networks: (spec.networks.iter())
                    .map(|joined| (joined.name.clone(), format!("{}-id", joined.name)))
                    .collect(),
                volumes: (spec.service.volumes.iter())
                    .map(|mount| ObservedMount {
                        name: match &mount.source {
                            stack_file::model::MountSource::Volume { key, .. } => {
                                spec.volume_names[key].clone()
                            }
                            _ => "a".repeat(64),
                        },
                        target: mount.target.clone(),
                    })
                    .collect(),
                config_files: spec.labels.get(labels::CONFIG_FILES).cloned().unwrap_or_default(),
                command: String::new(),
                created: 0,
                status: String::new(),
                ports: (spec.service.ports.iter())
                    .map(|port| ObservedPort {
                        target: port.target,
                        published: port.published.as_ref().and_then(|published| published.parse().ok()),
                        host_ip: port.host_ip.clone().unwrap_or_else(|| "0.0.0.0".to_owned()),
                        protocol: port.protocol.clone(),
                    })
                    .collect(),
                actual: None,
            });
        }
    }
    observed
}

/// The container of this name.
pub(crate) fn container<'a>(observed: &'a mut Observed, name: &str) -> &'a mut ObservedContainer {
    observed.containers.iter_mut().find(|container| container.name == name).expect("a container of this name")
}

/// What `up` has to do for the stack of this text.
pub(crate) fn plan(text: &str, observed: &Observed, policy: &Policy) -> Plan {
    containers::plan(&desired(text), observed, policy)
}

/// What is there when only the images of a stack are.
pub(crate) fn images_of(text: &str) -> Observed {
    Observed { images: up(text).images, ..Observed::default() }
}

/// Asserts the text of a plan, one step a line.
#[track_caller]
pub(crate) fn assert_plan(plan: &Plan, steps: &[&str]) {
    let text = plan.to_string();
    assert_eq!(text.lines().collect::<Vec<_>>(), steps, "\n{text}\n{:#?}", plan.warnings);
}
