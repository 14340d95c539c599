//! What is mounted into a container.

use bollard::models::{
    Mount, MountBindOptions, MountBindOptionsPropagationEnum, MountTmpfsOptions, MountType,
    MountVolumeOptions,
};
use stack_file::model::MountSource;
use stack_plan::plan::NewContainer;

use super::values::signed;
use crate::engine::EngineError;

/// Binds that make a missing path are only known to the older text form; everything else is a mount.
pub(super) fn mounts(new: &NewContainer) -> Result<(Vec<String>, Vec<Mount>), EngineError> {
    let mut binds = Vec::new();
    let mut mounts = Vec::new();
    for mount in &new.spec.service.volumes {
        let target = Some(mount.target.clone());
        let read_only = mount.read_only.then_some(true);
        match &mount.source {
            MountSource::Bind { path, create: true, propagation, selinux } => {
                let options: Vec<&str> = [Some(if mount.read_only { "ro" } else { "rw" })]
                    .into_iter()
                    .chain([propagation.as_deref(), selinux.as_deref()])
                    .flatten()
                    .collect();
                binds.push(format!("{}:{}:{}", path.display(), mount.target, options.join(",")));
            }
            MountSource::Bind { path, create: false, propagation, selinux } => {
                if selinux.is_some() {
                    return Err(EngineError::Unsupported(
                        "bind.selinux together with bind.create_host_path: false is not supported by the engine"
                            .to_owned(),
                    ));
                }
                let propagation = propagation.as_deref().map(propagation_mode).transpose()?;
                mounts.push(Mount {
                    typ: Some(MountType::BIND),
                    source: Some(path.display().to_string()),
                    target,
                    read_only,
                    bind_options: propagation.map(|mode| MountBindOptions {
                        propagation: Some(mode),
                        ..MountBindOptions::default()
                    }),
                    ..Mount::default()
                });
            }
            MountSource::Volume { key, nocopy } => mounts.push(Mount {
                typ: Some(MountType::VOLUME),
                source: Some(new.spec.volume_names.get(key).unwrap_or(key).clone()),
                target,
                read_only,
                volume_options: nocopy
                    .then(|| MountVolumeOptions { no_copy: Some(true), ..MountVolumeOptions::default() }),
                ..Mount::default()
            }),
            MountSource::Anonymous => {}
            MountSource::Tmpfs { size, mode } => mounts.push(Mount {
                typ: Some(MountType::TMPFS),
                target,
                read_only,
                tmpfs_options: Some(MountTmpfsOptions {
                    size_bytes: size.map(signed).transpose()?,
                    mode: mode.map(i64::from),
                    ..MountTmpfsOptions::default()
                }),
                ..Mount::default()
            }),
        }
    }
    for (target, name) in &new.keep {
        mounts.push(Mount {
            typ: Some(MountType::VOLUME),
            source: Some(name.clone()),
            target: Some(target.clone()),
            ..Mount::default()
        });
    }
    Ok((binds, mounts))
}

pub(super) fn propagation_mode(word: &str) -> Result<MountBindOptionsPropagationEnum, EngineError> {
    word.parse().map_err(|_| EngineError::Unsupported(format!("{word} is no mount propagation")))
}
