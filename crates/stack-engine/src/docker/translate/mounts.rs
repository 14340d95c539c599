//! What is mounted into a container.

use bollard::models::{
    Mount, MountBindOptions, MountBindOptionsPropagationEnum, MountImageOptions, MountTmpfsOptions,
    MountType, MountVolumeOptions,
};
use stack_file::model::{self, MountSource};
use stack_plan::api::Api;

use super::container::Making;
use super::values::{pairs, signed, some};
use crate::engine::EngineError;

/// The API from which on a bind may say how mounts below it become read-only.
const READ_ONLY_BELOW: Api = Api(1, 44);
/// The API from which on a directory within a volume can be mounted.
const SUBPATH: Api = Api(1, 45);

/// Binds that make a missing path are only known to the older text form; everything else is a mount.
pub(super) fn mounts(making: &Making<'_>) -> Result<(Vec<String>, Vec<Mount>), EngineError> {
    let new = making.new;
    let mut binds = Vec::new();
    let mut mounts = Vec::new();
    for mount in &new.spec.service.volumes {
        let plain = Mount {
            target: Some(mount.target.clone()),
            read_only: mount.read_only.then_some(true),
            ..Mount::default()
        };
        match &mount.source {
            MountSource::Bind { path, create: true, propagation, selinux, recursive: None } => {
                let options: Vec<&str> = [Some(if mount.read_only { "ro" } else { "rw" })]
                    .into_iter()
                    .chain([propagation.as_deref(), selinux.as_deref()])
                    .flatten()
                    .collect();
                binds.push(format!("{}:{}:{}", path.display(), mount.target, options.join(",")));
            }
            MountSource::Bind { path, create, propagation, recursive, .. } => {
                let below = |mode: &str| (recursive.as_deref() == Some(mode)).then_some(true);
                let knows = |set: Option<bool>| set.filter(|_| making.api >= READ_ONLY_BELOW);
                let options = MountBindOptions {
                    propagation: propagation.as_deref().map(propagation_mode).transpose()?,
                    create_mountpoint: create.then_some(true),
                    non_recursive: below("disabled"),
                    read_only_non_recursive: knows(below("writable")),
                    read_only_force_recursive: knows(below("readonly")),
                };
                mounts.push(Mount {
                    typ: Some(MountType::BIND),
                    source: Some(path.display().to_string()),
                    bind_options: (options != MountBindOptions::default()).then_some(options),
                    ..plain
                });
            }
            MountSource::Volume { key } => mounts.push(Mount {
                typ: Some(MountType::VOLUME),
                source: Some(new.spec.volume_names.get(key).unwrap_or(key).clone()),
                volume_options: volume_options(&mount.volume, making.api),
                ..plain
            }),
            MountSource::Anonymous if !mount.has_options() => {}
            MountSource::Anonymous if new.keep.iter().any(|(target, _)| *target == mount.target) => {}
            MountSource::Anonymous => mounts.push(Mount {
                typ: Some(MountType::VOLUME),
                volume_options: volume_options(&mount.volume, making.api),
                ..plain
            }),
            MountSource::Image { reference, subpath } => {
                if making.api < Api::IMAGE_MOUNTS {
                    return Err(EngineError::Unsupported(format!(
                        "a mount of type image needs an engine with API {}, and this one has {}; \
                         copy the files in the image that uses them: COPY --from={reference}",
                        Api::IMAGE_MOUNTS,
                        making.api
                    )));
                }
                mounts.push(Mount {
                    typ: Some(MountType::IMAGE),
                    source: Some(reference.clone()),
                    image_options: subpath
                        .as_ref()
                        .map(|path| MountImageOptions { subpath: Some(path.clone()) }),
                    ..plain
                });
            }
            MountSource::Tmpfs { size, mode } => mounts.push(Mount {
                typ: Some(MountType::TMPFS),
                tmpfs_options: Some(MountTmpfsOptions {
                    size_bytes: size.map(signed).transpose()?,
                    mode: mode.map(i64::from),
                    ..MountTmpfsOptions::default()
                }),
                ..plain
            }),
        }
    }
    for bind in &new.binds {
        mounts.push(Mount {
            typ: Some(MountType::BIND),
            source: Some(bind.source.display().to_string()),
            target: Some(bind.target.clone()),
            read_only: bind.read_only.then_some(true),
            ..Mount::default()
        });
    }
    for (target, name) in &new.keep {
        let declared = new.spec.service.volumes.iter().find(|mount| mount.target == *target);
        mounts.push(Mount {
            typ: Some(MountType::VOLUME),
            source: Some(name.clone()),
            target: Some(target.clone()),
            read_only: declared.is_some_and(|mount| mount.read_only).then_some(true),
            ..Mount::default()
        });
    }
    Ok((binds, mounts))
}

fn volume_options(options: &model::VolumeOptions, api: Api) -> Option<MountVolumeOptions> {
    let options = MountVolumeOptions {
        no_copy: options.nocopy.then_some(true),
        labels: some(pairs(&options.labels)),
        subpath: options.subpath.clone().filter(|_| api >= SUBPATH),
        ..MountVolumeOptions::default()
    };
    (options != MountVolumeOptions::default()).then_some(options)
}

fn propagation_mode(word: &str) -> Result<MountBindOptionsPropagationEnum, EngineError> {
    word.parse().map_err(|_| EngineError::Unsupported(format!("{word} is no mount propagation")))
}
