//! A volume.

use bollard::models::VolumeCreateRequest;
use stack_plan::desired::VolumeSpec;

use super::values::{hashed, plain, some};

pub(in crate::docker) fn volume(spec: &VolumeSpec) -> VolumeCreateRequest {
    let volume = &spec.volume;
    VolumeCreateRequest {
        name: Some(volume.name.clone()),
        driver: volume.driver.as_ref().map(|driver| driver.value.clone()),
        driver_opts: some(plain(&volume.driver_opts)),
        labels: some(hashed(&spec.labels)),
        ..VolumeCreateRequest::default()
    }
}
