//! What is mounted into a container.

use std::collections::HashSet;
use std::path::Path;

use serde_json::{Map, Value, json};
use stack_file::model::{FileKind, FileReference, FileSource, Mount, MountSource, Service};
use stack_file::quantity;
use stack_file::source::{Origin, Spanned};
use stack_file::variables::tells_of_secret;

use crate::content::Files;
use crate::manifests::{Manifests, put};
use crate::resources::bytes;
use crate::volumes::{Kept, all_mounts, template_name};
use crate::{Found, name};

/// The bits of files that a container may read and nobody may write.
const READABLE: u32 = 0o444;
/// The same for programs.
const RUNNABLE: u32 = 0o555;

/// The volumes of a pod, and the mounts of its container.
#[derive(Debug, Default)]
pub(crate) struct PodVolumes {
    pub(crate) volumes: Vec<Value>,
    pub(crate) mounts: Vec<Value>,
    names: HashSet<String>,
    targets: HashSet<String>,
}

impl PodVolumes {
    /// Adds a volume under a name that none has yet; its name.
    pub(crate) fn add(&mut self, wanted: &str, source: (&str, Value)) -> String {
        let stem = name::label(wanted).unwrap_or_else(|| "volume".to_owned());
        let mut name = stem.clone();
        let mut number = 2;
        while !self.names.insert(name.clone()) {
            name = name::label(&format!("{stem}-{number}")).unwrap_or_default();
            number += 1;
        }
        let (kind, value) = source;
        self.volumes.push(json!({ "name": name, kind: value }));
        name
    }

    fn mount(&mut self, volume: &str, target: &str, read_only: bool, more: Map<String, Value>) {
        let mut mount = Map::new();
        mount.insert("name".to_owned(), json!(volume));
        mount.insert("mountPath".to_owned(), json!(target));
        if read_only {
            mount.insert("readOnly".to_owned(), json!(true));
        }
        mount.extend(more);
        self.mounts.push(Value::Object(mount));
    }
}

fn sub_path(path: &str) -> Map<String, Value> {
    Map::from_iter([("subPath".to_owned(), json!(path))])
}

impl<'a> Manifests<'a> {
    pub(crate) fn mounts(&mut self, service: &'a Service) -> PodVolumes {
        let path = format!("services.{}", service.name.value);
        let mut volumes = PodVolumes::default();
        let all = all_mounts(self.stack, service);
        // The names of claims for each pod cannot be chosen, so that they come first.
        for mount in &all {
            if let MountSource::Volume { key } = &mount.source
                && self.storage.of_key(key) == Some(&Kept::Template)
            {
                volumes.names.insert(template_name(key));
            }
        }
        let mut named: Vec<(String, String)> = Vec::new();
        for (index, mount) in all.iter().enumerate() {
            let path = format!("{path}.volumes[{index}]");
            if self.takes(&mut volumes, &mount.target, &mount.origin, &path) {
                self.mount(&mut volumes, mount, &path, &mut named);
            }
        }
        for tmpfs in &service.tmpfs {
            let path = format!("{path}.tmpfs");
            let (target, options) = tmpfs.value.split_once(':').unwrap_or((&tmpfs.value, ""));
            if self.takes(&mut volumes, target, &tmpfs.origin, &path) {
                self.tmpfs(&mut volumes, target, options, &tmpfs.origin, path);
            }
        }
        if let Some(size) = service.shm_size.as_ref().filter(|size| size.value > 0)
            && self.takes(&mut volumes, "/dev/shm", &size.origin, &format!("{path}.shm_size"))
        {
            let name = volumes
                .add("shm", ("emptyDir", json!({ "medium": "Memory", "sizeLimit": bytes(size.value) })));
            volumes.mount(&name, "/dev/shm", false, Map::new());
        }
        for file in &service.files {
            let path = format!("{path}.{}", file.kind.attribute());
            if self.takes(&mut volumes, &file.target, &file.origin, &path) {
                self.file(&mut volumes, file, &path);
            }
        }
        for from in service.volumes_from.iter().filter(|from| from.starts_with("container:")) {
            self.warn(
                &from.origin,
                format!("{path}.volumes_from"),
                "a pod has no mounts of a container outside of the stack",
                "name the volumes in both",
            );
        }
        volumes
    }

    /// Whether something can be mounted at a path: nothing else is, and Kubernetes takes it for one.
    fn takes(&mut self, volumes: &mut PodVolumes, target: &str, origin: &Origin, path: &str) -> bool {
        if target.contains(':') || !target.starts_with('/') {
            self.warn(
                origin,
                path,
                format!("Kubernetes mounts nothing at `{target}`"),
                "use an absolute path without `:`",
            );
            return false;
        }
        let clean = target.trim_end_matches('/').to_owned();
        if !volumes.targets.insert(clean) {
            self.warn(
                origin,
                path,
                format!("something else is mounted at `{target}`, too"),
                "remove one of both",
            );
            return false;
        }
        true
    }

    fn mount(
        &mut self,
        volumes: &mut PodVolumes,
        mount: &Spanned<Mount>,
        path: &str,
        named: &mut Vec<(String, String)>,
    ) {
        let more = mount.volume.subpath.as_deref().map(sub_path).unwrap_or_default();
        match &mount.source {
            MountSource::Volume { key } => {
                // Whoever mounts a volume twice has one volume.
                let known = named.iter().find(|(other, _)| other == key).map(|(_, name)| name.clone());
                let name = known.or_else(|| self.named(volumes, key));
                if let Some(name) = name {
                    volumes.mount(&name, &mount.target, mount.read_only, more);
                    named.push((key.clone(), name));
                }
            }
            MountSource::Anonymous => {
                let name = volumes.add("empty", ("emptyDir", json!({})));
                volumes.mount(&name, &mount.target, mount.read_only, Map::new());
                self.warn(
                    &mount.origin,
                    path,
                    "what is in a volume without a name goes with its pod",
                    "give the volume a name",
                );
            }
            MountSource::Tmpfs { size, .. } => {
                let name = volumes.add("tmpfs", ("emptyDir", memory(*size)));
                volumes.mount(&name, &mount.target, mount.read_only, Map::new());
            }
            MountSource::Image { reference, subpath } => {
                let name = volumes.add("image", ("image", json!({ "reference": reference })));
                let more = subpath.as_deref().map(sub_path).unwrap_or_default();
                volumes.mount(&name, &mount.target, true, more);
            }
            MountSource::Bind { .. } => self.bind(volumes, mount, path),
        }
    }

    fn named(&mut self, volumes: &mut PodVolumes, key: &str) -> Option<String> {
        Some(match self.storage.of_key(key)?.clone() {
            Kept::Template => template_name(key),
            Kept::Claim { name, .. } => {
                volumes.add(key, ("persistentVolumeClaim", json!({ "claimName": name })))
            }
            Kept::Nfs { server, path } => {
                volumes.add(key, ("nfs", json!({ "server": server, "path": path })))
            }
            Kept::Node(path) => volumes.add(key, ("hostPath", json!({ "path": path, "type": "Directory" }))),
            Kept::Memory(size) => volumes.add(key, ("emptyDir", memory(size))),
        })
    }

    /// A path of this machine: what is in it, where it is of the project and only read; else the
    /// same path of the node.
    fn bind(&mut self, volumes: &mut PodVolumes, mount: &Spanned<Mount>, path: &str) {
        let MountSource::Bind { path: source, create, propagation, recursive, .. } = &mount.source else {
            return;
        };
        let of_project = source.starts_with(&self.stack.directory);
        let found = if of_project { (self.look)(source) } else { Found::Other };
        match found {
            Found::File { content, executable } => {
                if !mount.read_only {
                    self.warn(
                        &mount.origin,
                        path,
                        "the file is read-only in a pod, which has a copy of what is in it now",
                        "mount it read-only: `:ro`",
                    );
                }
                let (stem, key) = file_names(source);
                let files = Files { entries: vec![(key.clone(), content)], secret: is_secret_file(source) };
                let Some(object) = self.content(&stem, files, &mount.origin, path) else { return };
                let mode = if executable { RUNNABLE } else { READABLE };
                let name = volumes.add(&stem, object.volume(mode, None));
                volumes.mount(&name, &mount.target, true, sub_path(&key));
            }
            Found::Directory(entries) if mount.read_only => {
                let (stem, _) = file_names(source);
                let keyed: Vec<(String, String, Vec<u8>)> = (entries.into_iter())
                    .map(|(path, content)| (directory_key(&path), path, content))
                    .collect();
                let items = keyed.iter().map(|(key, path, _)| json!({ "key": key, "path": path })).collect();
                let secret = keyed.iter().any(|(_, path, _)| is_secret_file(Path::new(path)));
                let entries = keyed.into_iter().map(|(key, _, content)| (key, content)).collect();
                let Some(object) = self.content(&stem, Files { entries, secret }, &mount.origin, path) else {
                    return;
                };
                let name = volumes.add(&stem, object.volume(READABLE, Some(items)));
                volumes.mount(&name, &mount.target, true, Map::new());
            }
            Found::Unread(why) => self.error(
                &mount.origin,
                path,
                format!("{} cannot be written into a manifest: {why}", source.display()),
                "keep it in a named volume or in the image",
            ),
            Found::Directory(_) | Found::Other => {
                self.node_path(&mount.origin, path.to_owned());
                let kind = if *create { "DirectoryOrCreate" } else { "" };
                // What is there may be a file or a socket, which Kubernetes would not make.
                let kind = if of_project { kind } else { "" };
                let text = source.to_string_lossy();
                let mut value = Map::from_iter([("path".to_owned(), json!(text))]);
                put(&mut value, "type", (!kind.is_empty()).then(|| json!(kind)));
                let (stem, _) = file_names(source);
                let name = volumes.add(&stem, ("hostPath", Value::Object(value)));
                let mut more = Map::new();
                let passed_on = match propagation.as_deref() {
                    Some("shared" | "rshared") => Some("Bidirectional"),
                    Some("slave" | "rslave") => Some("HostToContainer"),
                    _ => None,
                };
                put(&mut more, "mountPropagation", passed_on.map(|kind| json!(kind)));
                if recursive.as_deref() == Some("readonly") && mount.read_only {
                    more.insert("recursiveReadOnly".to_owned(), json!("Enabled"));
                }
                volumes.mount(&name, &mount.target, mount.read_only, more);
            }
        }
    }

    fn tmpfs(
        &mut self,
        volumes: &mut PodVolumes,
        target: &str,
        options: &str,
        origin: &Origin,
        path: String,
    ) {
        let mut size = None;
        let mut read_only = false;
        for option in options.split(',').filter(|option| !option.is_empty()) {
            match option.split_once('=').unwrap_or((option, "")) {
                ("size", text) => size = quantity::bytes(text).filter(|size| *size > 0),
                ("ro", "") => read_only = true,
                ("rw", "") => {}
                _ => self.warn(
                    origin,
                    path.clone(),
                    format!("a directory in memory has no `{option}` in Kubernetes"),
                    "leave it out: it is open to all users of the pod",
                ),
            }
        }
        let name = volumes.add("tmpfs", ("emptyDir", memory(size)));
        volumes.mount(&name, target, read_only, Map::new());
    }

    /// A config or secret as a file.
    fn file(&mut self, volumes: &mut PodVolumes, file: &FileReference, path: &str) {
        let all = match file.kind {
            FileKind::Config => &self.stack.configs,
            FileKind::Secret => &self.stack.secrets,
        };
        let Some(object) = all.get(&file.source) else { return };
        let key = name::key(&file.source);
        let content = match &object.source {
            FileSource::External => {
                let tree = self.stack.tree.get(file.kind.attribute()).and_then(|all| all.get(&file.source));
                let outside = tree
                    .and_then(|node| node.get("name")?.as_scalar())
                    .map_or(&file.source, |name| &name.text);
                let fit = name::label(outside).unwrap_or_default();
                if fit != *outside {
                    self.warn(
                        &object.key.origin,
                        format!("{}.{}", file.kind.attribute(), file.source),
                        format!("Kubernetes takes `{outside}` for no name: `{fit}` is used"),
                        "give it a name of lower-case letters, digits and `-`",
                    );
                }
                let kept = crate::content::Kept { name: fit, secret: file.kind == FileKind::Secret };
                Some(kept)
            }
            FileSource::File { content: Ok(content), .. } | FileSource::Inline(Some(content)) => {
                let files = Files {
                    entries: vec![(key.clone(), content.bytes().to_vec())],
                    secret: file.kind == FileKind::Secret,
                };
                self.content(&file.source, files, &object.key.origin, path)
            }
            FileSource::File { content: Err(why), path: place } => {
                self.without_content(
                    &object.key.origin,
                    format!("{}.{}", file.kind.attribute(), file.source),
                    format!("{} cannot be written into a manifest: {why}", place.display()),
                    "name a file that this user may read, of 1 MiB at most",
                );
                None
            }
            FileSource::Inline(None) => {
                self.without_content(
                    &object.key.origin,
                    format!("{}.{}", file.kind.attribute(), file.source),
                    format!("the {} has no content", file.kind.word()),
                    "set the variable that holds it",
                );
                None
            }
        };
        let Some(content) = content else { return };
        let wanted = format!("{}-{}", file.kind.word(), file.source);
        let name = volumes.add(&wanted, content.volume(file.mode.unwrap_or(READABLE) & 0o777, None));
        volumes.mount(&name, &file.target, true, sub_path(&key));
    }
}

/// The name of an object for a file, and the key in it.
fn file_names(path: &Path) -> (String, String) {
    let file = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let stem = name::label(&file).unwrap_or_else(|| "file".to_owned());
    (stem, name::key(&file))
}

/// A key for a file below a directory: two paths never have the same one.
fn directory_key(path: &str) -> String {
    let key = name::key(path);
    if key == path { key } else { name::key(&format!("{}-{}", &name::digest(path.as_bytes())[..8], path)) }
}

/// Whether the name of a file tells of a secret.
fn is_secret_file(path: &Path) -> bool {
    let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let ending = path.extension().map(|ending| ending.to_string_lossy().to_ascii_lowercase());
    tells_of_secret(&name)
        || name == ".env"
        || matches!(ending.as_deref(), Some("key" | "pem" | "p12" | "pfx" | "env" | "htpasswd"))
}

fn memory(size: Option<u64>) -> Value {
    let mut memory = Map::from_iter([("medium".to_owned(), json!("Memory"))]);
    put(&mut memory, "sizeLimit", size.map(|size| json!(bytes(size))));
    Value::Object(memory)
}
