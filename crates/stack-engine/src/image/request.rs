//! What is to be built, and how.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use stack_file::model::{Build, Content};
use stack_plan::desired::ImageSpec;

use crate::image::context::{self, ContextError};

/// What is to be built.
#[derive(Clone, Debug, Default)]
pub struct BuildRequest {
    /// The directory that is sent.
    pub context: PathBuf,
    /// The address of git or HTTP that the engine fetches the context from, in place of a directory.
    pub remote: Option<String>,
    /// The Dockerfile, relative to the context or absolute.
    pub dockerfile: Option<String>,
    /// The text of the Dockerfile itself.
    pub inline: Option<String>,
    /// Build arguments.
    pub args: BTreeMap<String, String>,
    /// The stage to build.
    pub target: Option<String>,
    /// References that the image gets; at least one.
    pub tags: Vec<String>,
    /// Labels that the image gets.
    pub labels: BTreeMap<String, String>,
    /// Images whose layers may be reused.
    pub cache_from: Vec<String>,
    /// Lines for `/etc/hosts`.
    pub extra_hosts: Vec<String>,
    /// Network of `RUN` steps.
    pub network: Option<String>,
    /// Platform to build for.
    pub platform: Option<String>,
    /// Size of `/dev/shm`, bytes.
    pub shm_size: Option<u64>,
    /// Whether the layer cache is left unused.
    pub no_cache: bool,
    /// Whether base images are always pulled.
    pub pull: bool,
    /// Further contexts by name: an absolute folder, `docker-image://REFERENCE`, or an address.
    pub contexts: BTreeMap<String, String>,
    /// Where the layer cache is exported to.
    pub cache_to: Vec<String>,
    /// Rights that the build asks for.
    pub entitlements: Vec<String>,
    /// Stages that are built without the layer cache.
    pub no_cache_filter: Vec<String>,
    /// Platforms of which the engine's own is built, where `platform` says nothing.
    pub platforms: Vec<String>,
    /// Whether `RUN` steps may have all privileges.
    pub privileged: bool,
    /// How an attestation of the provenance is made.
    pub provenance: Option<String>,
    /// Whether and by what a bill of materials is made.
    pub sbom: Option<String>,
    /// Secrets for `RUN` steps by id: what is in each, or why that is not known.
    pub secrets: BTreeMap<String, Result<Content, String>>,
    /// SSH agents and keys for `RUN` steps by id; `None` is the user's own agent.
    pub ssh: BTreeMap<String, Option<String>>,
    /// Limits of `RUN` steps: `nofile=1024:4096`.
    pub ulimits: Vec<String>,
}

impl BuildRequest {
    /// What a stack file asks for.
    #[must_use]
    pub fn of(build: &Build, spec: &ImageSpec) -> Self {
        let text = |value: &Option<stack_file::source::Spanned<String>>| {
            value.as_ref().map(|value| value.value.clone())
        };
        let texts = |values: &[stack_file::source::Spanned<String>]| {
            values.iter().map(|value| value.value.clone()).collect()
        };
        Self {
            context: build.context.value.clone(),
            remote: build.remote().map(str::to_owned),
            dockerfile: text(&build.dockerfile),
            inline: text(&build.dockerfile_inline),
            args: build
                .args
                .iter()
                .filter_map(|(name, value)| Some((name.clone(), value.value.clone()?)))
                .collect(),
            target: text(&build.target),
            tags: spec.references.clone(),
            labels: spec.labels.clone(),
            cache_from: texts(&build.cache_from),
            extra_hosts: texts(&build.extra_hosts),
            network: text(&build.network),
            platform: spec.platform.clone(),
            shm_size: build.shm_size.as_ref().map(|size| size.value),
            no_cache: build.no_cache.as_ref().is_some_and(|flag| flag.value),
            pull: build.pull.as_ref().is_some_and(|flag| flag.value),
            contexts: build
                .additional_contexts
                .iter()
                .map(|(name, place)| (name.clone(), place.value.clone()))
                .collect(),
            cache_to: texts(&build.cache_to),
            entitlements: texts(&build.entitlements),
            no_cache_filter: texts(&build.no_cache_filter),
            platforms: texts(&build.platforms),
            privileged: build.privileged.as_ref().is_some_and(|flag| flag.value),
            provenance: text(&build.provenance),
            sbom: text(&build.sbom),
            secrets: spec.secrets.clone(),
            ssh: build.ssh.iter().map(|(id, place)| (id.clone(), place.value.clone())).collect(),
            ulimits: build
                .ulimits
                .iter()
                .map(|(name, limit)| format!("{name}={}:{}", limit.value.soft, limit.value.hard))
                .collect(),
        }
    }

    /// The text of a Dockerfile of this machine, for a context that is fetched from elsewhere.
    ///
    /// # Errors
    /// When there is a path to one that cannot be read.
    pub(super) fn text(&self) -> Result<Option<String>, ContextError> {
        match (&self.inline, self.dockerfile.as_deref().map(Path::new)) {
            (Some(text), _) => Ok(Some(text.clone())),
            (None, Some(path)) if path.is_absolute() => match path.is_file() {
                true => context::read(path).map(Some),
                false => Err(ContextError::NoDockerfile(path.to_owned())),
            },
            _ => Ok(None),
        }
    }

    /// The first attribute that only a session with BuildKit can honour, as it is told.
    pub(super) fn needs_session(&self) -> Option<String> {
        let asks = |value: &Option<String>| value.as_deref().is_some_and(|value| value != "false");
        let attributes = [
            ("additional_contexts", !self.contexts.is_empty()),
            ("cache_to", !self.cache_to.is_empty()),
            ("entitlements", !self.entitlements.is_empty()),
            ("no_cache_filter", !self.no_cache_filter.is_empty()),
            ("privileged", self.privileged),
            ("provenance", asks(&self.provenance)),
            ("sbom", asks(&self.sbom)),
            ("secrets", !self.secrets.is_empty()),
            ("ssh", !self.ssh.is_empty()),
            ("ulimits", !self.ulimits.is_empty()),
        ];
        let whole = attributes.into_iter().find(|(_, asked)| *asked);
        // The one call has room for one line and for a number of 31 bits.
        let parts = [
            ("extra_hosts", "with more than one name", self.extra_hosts.len() > 1),
            ("shm_size", "of 2 GiB or more", self.shm_size.is_some_and(|size| i32::try_from(size).is_err())),
        ];
        let part = parts.into_iter().find(|(_, _, asked)| *asked);
        whole
            .map(|(attribute, _)| format!("`build.{attribute}`"))
            .or_else(|| part.map(|(attribute, which, _)| format!("`build.{attribute}` {which}")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_no_room_in_the_call_is_named() {
        let request = |hosts: usize, size| BuildRequest {
            extra_hosts: vec!["a=10.0.0.1".to_owned(); hosts],
            shm_size: Some(size),
            ..BuildRequest::default()
        };
        assert_eq!(request(1, 1 << 30).needs_session(), None);
        let told = |hosts, size| request(hosts, size).needs_session().unwrap_or_default();
        assert_eq!(told(2, 1), "`build.extra_hosts` with more than one name");
        assert_eq!(told(1, 1 << 31), "`build.shm_size` of 2 GiB or more");
    }
}
