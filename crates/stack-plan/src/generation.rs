//! Generations: what runs have brought a project to, as it is kept on the engine, so that the
//! project can go back there.
//!
//! What came from outside of the stack files, out of variables, environment files, configs and
//! secrets, is kept by its digest alone. The files are kept as they are written, with the names
//! of their variables in the place of values.

mod difference;
mod drift;
mod swarm;

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use stack_file::load::Loaded;
use stack_file::source::{Origin, Sources, VariableSource};

use crate::containers::jobs;
use crate::desired::{Desired, ServiceSpec};
use crate::drift::limits;
use crate::fields::{DIGEST, Fields, Shown, digest, is_secret};
use crate::observed::Observed;

pub use self::difference::{Difference, KeptChange, ResourceChange, Unlike, summary};
pub use self::drift::Drift;

/// The form of the record; one of another form cannot be gone back to.
const FORM: u32 = 1;

/// The path of the standard input among the files of a stack.
pub const STDIN: &str = "-";

/// What a run has brought a project to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Generation {
    form: u32,
    /// Its number within the project, from 1.
    pub number: u32,
    /// When the run came to its end, as RFC 3339.
    pub at: String,
    /// The command, with the services that it named.
    pub command: String,
    /// Who ran it: `USER@MACHINE`.
    pub by: String,
    /// The version of stackctl.
    pub version: String,
    /// The project name.
    pub project: String,
    /// What the stack is read from.
    pub stack: KeptStack,
    /// The services that are as the files say.
    pub services: BTreeMap<String, KeptService>,
    /// The services of the files that were left as they were: the run was not about them.
    pub others: BTreeSet<String>,
    /// The networks by key.
    pub networks: BTreeMap<String, KeptFields>,
    /// The volumes by key.
    pub volumes: BTreeMap<String, KeptFields>,
}

/// Who made a generation, when, and by what.
#[derive(Clone, Debug, Default)]
pub struct Occasion {
    /// When, as RFC 3339.
    pub at: String,
    /// The command, with the services that it named.
    pub command: String,
    /// `USER@MACHINE`.
    pub by: String,
    /// The version of stackctl.
    pub version: String,
}

/// What a stack is read from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeptStack {
    /// The project directory, absolute.
    pub directory: PathBuf,
    /// The stack files in the order of merging; [`STDIN`] is standard input.
    pub files: Vec<PathBuf>,
    /// The environment files given by `--env-file`.
    pub env_files: Vec<PathBuf>,
    /// The active profiles.
    pub profiles: Vec<String>,
    /// What stands between the parts of names that are made up.
    pub separator: char,
    /// The texts of all stack files as they are written, those that are included or extended, too.
    pub texts: BTreeMap<PathBuf, String>,
}

/// A service.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeptService {
    /// How many containers.
    pub scale: u32,
    /// Whether it runs to an end.
    pub job: bool,
    /// The image of its containers; `None` when it has none.
    pub image: Option<KeptImage>,
    /// The settings.
    pub fields: KeptFields,
    /// What its containers may use, as `docker update` could change it.
    pub limits: KeptFields,
}

/// An image.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeptImage {
    /// The reference that the file names, variables filled in, or that of its build.
    pub reference: String,
    /// The engine's id, `sha256:…`.
    pub id: String,
    /// Under which names and digests registries have it.
    pub digests: Vec<String>,
}

/// Settings by path.
pub type KeptFields = BTreeMap<String, KeptValue>;

/// The value of a setting.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum KeptValue {
    /// As the file has it.
    Text(String),
    /// A digest of what may be secret.
    Hidden {
        /// The digest.
        digest: String,
        /// The variable that it came through, or the first of several.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        variable: Option<String>,
    },
}

impl KeptValue {
    fn of(path: &str, value: &str, origin: &Origin, sources: &Sources) -> Self {
        let through = origin.via.as_ref().filter(|variable| {
            matches!(variable.from, VariableSource::Environment | VariableSource::EnvFile(..))
        });
        let variable = through.map(|variable| variable.name.clone());
        // An image is shown wherever it runs, and its reference is needed to find it again.
        if path == "image" {
            return Self::Text(value.to_owned());
        }
        if is_secret(path) {
            return match value.starts_with(DIGEST) {
                true => Self::Hidden { digest: value.to_owned(), variable },
                false => Self::Text(value.to_owned()),
            };
        }
        if through.is_some() || sources.get(origin.source).confidential {
            return Self::Hidden { digest: digest(value), variable };
        }
        Self::Text(value.to_owned())
    }

    /// Whether it is this value, or one of this digest.
    #[must_use]
    pub fn is(&self, value: &str) -> bool {
        match self {
            Self::Text(text) => text == value,
            Self::Hidden { digest: kept, .. } => kept == value || *kept == digest(value),
        }
    }

    /// Whether both stand for the same.
    fn same(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Hidden { digest: one, .. }, Self::Hidden { digest: other, .. }) => one == other,
            (Self::Text(text), other) | (other, Self::Text(text)) => other.is(text),
        }
    }

    /// As it may be shown.
    #[must_use]
    pub fn shown(&self) -> Shown {
        match self {
            Self::Text(text) => Shown::Text(text.clone()),
            Self::Hidden { .. } => Shown::Hidden,
        }
    }

    fn variable(&self) -> Option<&str> {
        match self {
            Self::Text(_) => None,
            Self::Hidden { variable, .. } => variable.as_deref(),
        }
    }
}

fn kept(fields: &Fields, sources: &Sources) -> KeptFields {
    let of = |(path, value, origin): (&str, &str, &Origin)| {
        (path.to_owned(), KeptValue::of(path, value, origin, sources))
    };
    fields.iter().map(of).collect()
}

impl Generation {
    /// What the project has come to: the services whose containers are as the files say.
    /// `digests` has the names and digests of images in registries, by id.
    #[must_use]
    pub fn of(
        number: u32,
        occasion: Occasion,
        loaded: &Loaded,
        desired: &Desired,
        observed: &Observed,
        digests: &BTreeMap<String, Vec<String>>,
    ) -> Self {
        let sources = &loaded.sources;
        let jobs = jobs(&desired.services);
        let mut services = BTreeMap::new();
        let mut others = BTreeSet::new();
        for spec in &desired.services {
            let Some(id) = reached(spec, desired, observed) else {
                others.insert(spec.name().to_owned());
                continue;
            };
            let image = id.map(|id| KeptImage {
                reference: spec.reference.clone(),
                digests: digests.get(&id).cloned().unwrap_or_default(),
                id,
            });
            let service = KeptService::of(spec, jobs.contains(spec.name()), image, sources);
            services.insert(spec.name().to_owned(), service);
        }
        Self { number, services, others, ..Self::about(occasion, loaded, desired) }
    }

    /// What the files ask for, as if a run had brought the project there. Which images that would
    /// be is not known before.
    #[must_use]
    pub fn asked(loaded: &Loaded, desired: &Desired) -> Self {
        let jobs = jobs(&desired.services);
        let services = desired.services.iter().map(|spec| {
            let service = KeptService::of(spec, jobs.contains(spec.name()), None, &loaded.sources);
            (spec.name().to_owned(), service)
        });
        Self { services: services.collect(), ..Self::about(Occasion::default(), loaded, desired) }
    }

    fn about(occasion: Occasion, loaded: &Loaded, desired: &Desired) -> Self {
        let sources = &loaded.sources;
        let networks = desired.networks.iter();
        let networks = networks.map(|spec| (spec.network.key.value.clone(), kept(&spec.fields, sources)));
        let volumes = desired.volumes.iter();
        let volumes = volumes.map(|spec| (spec.volume.key.value.clone(), kept(&spec.fields, sources)));
        Self {
            form: FORM,
            number: 0,
            at: occasion.at,
            command: occasion.command,
            by: occasion.by,
            version: occasion.version,
            project: desired.project.clone(),
            stack: KeptStack::of(loaded),
            services: BTreeMap::new(),
            others: BTreeSet::new(),
            networks: networks.collect(),
            volumes: volumes.collect(),
        }
    }

    /// Reads the text of a record; `None` when it is none of this form.
    #[must_use]
    pub fn read(text: &str) -> Option<Self> {
        serde_json::from_str(text).ok().filter(|generation: &Self| generation.form == FORM)
    }

    /// The text of the record.
    #[must_use]
    pub fn write(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }

    /// The ids of its images, each once.
    #[must_use]
    pub fn image_ids(&self) -> BTreeSet<&str> {
        self.services.values().filter_map(|service| Some(service.image.as_ref()?.id.as_str())).collect()
    }
}

/// The ids of the images that the containers of a project run, as a generation of it may keep them.
#[must_use]
pub fn images_of(observed: &Observed) -> BTreeSet<String> {
    let containers = observed.containers.iter().filter(|container| !container.one_off);
    containers.map(|container| container.image_id.clone()).collect()
}

impl KeptService {
    fn of(spec: &ServiceSpec, job: bool, image: Option<KeptImage>, sources: &Sources) -> Self {
        let limits = limits(&spec.service).into_iter();
        let limits = limits
            .map(|(name, (value, origin))| (name.to_owned(), KeptValue::of(name, &value, origin, sources)));
        let fields = kept(&spec.fields, sources);
        Self { scale: spec.scale, job, image, fields, limits: limits.collect() }
    }
}

impl KeptStack {
    /// What the label of its containers says of the files.
    #[must_use]
    pub fn config_files(&self) -> String {
        let files = self.files.iter().filter(|path| path.as_os_str() != STDIN);
        files.map(|path| path.to_string_lossy()).collect::<Vec<_>>().join(",")
    }

    fn of(loaded: &Loaded) -> Self {
        let stack = &loaded.stack;
        let mut files = Vec::new();
        let mut texts = BTreeMap::new();
        let stack_files = loaded.sources.iter().filter(|source| !source.confidential);
        for source in stack_files.filter(|source| source.path.is_some() || source.name == "<stdin>") {
            let path = source.path.clone().unwrap_or_else(|| PathBuf::from(STDIN));
            if source.referrer.is_none() {
                files.push(path.clone());
            }
            texts.insert(path, source.text.to_string());
        }
        Self {
            directory: stack.directory.clone(),
            files,
            env_files: stack.env_files.clone(),
            profiles: loaded.profiles.iter().cloned().collect(),
            separator: stack.separator,
            texts,
        }
    }
}

/// Whether all containers of a service are as the file says, and the image that they run; `None`
/// when one of them is not.
fn reached(spec: &ServiceSpec, desired: &Desired, observed: &Observed) -> Option<Option<String>> {
    let mine = observed.containers.iter();
    let mine = mine.filter(|container| !container.one_off && container.service == spec.name());
    let mut image = None;
    let mut count = 0;
    for container in mine {
        let recorded = container.recorded.as_ref()?;
        // What providers have set stands in no file.
        let given = |field: &str| field.starts_with("environment.") && is_given_variables(spec, desired);
        let changes = spec.fields.difference(recorded, &spec.service.name.origin);
        if changes.iter().any(|change| change.now != Shown::Nothing || !given(&change.field)) {
            return None;
        }
        if image.replace(container.image_id.clone()).is_some_and(|other| other != container.image_id) {
            return None;
        }
        count += 1;
    }
    (spec.provider.is_some() || count == spec.scale).then_some(image)
}

/// Whether programs that make services set variables of it.
fn is_given_variables(spec: &ServiceSpec, desired: &Desired) -> bool {
    let is_provided =
        |name: &String| desired.service(name).is_some_and(|other| other.service.provider.is_some());
    !spec.service.models.is_empty() || spec.service.depends_on.keys().any(is_provided)
}
