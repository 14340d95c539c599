//! In what a generation differs from another, and from what its files come to now.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use stack_file::load::Loaded;
use stack_file::source::Origin;

use super::{Generation, KeptFields, KeptService, KeptValue, is_given_variables, kept};
use crate::desired::Desired;
use crate::fields::{Fields, Shown};

/// How many fields, and how many resources, are named where little is said.
const NAMED: usize = 4;

/// A resource that is another than before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResourceChange {
    /// The resource: `web`, `network:front`, `volume:data`.
    pub resource: String,
    /// What became of it.
    pub difference: Difference,
}

/// What became of a resource.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Difference {
    /// It was not there before.
    Added,
    /// It is not there any more.
    Removed,
    /// It has other settings.
    Changed(Vec<KeptChange>),
}

/// A setting that differs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeptChange {
    /// The path below the resource.
    pub field: String,
    /// The value before.
    pub was: Shown,
    /// The value after.
    pub now: Shown,
    /// The variable that the value after came through, or the one before.
    pub variable: Option<String>,
}

impl fmt::Display for KeptChange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.was, &self.now) {
            (Shown::Hidden, Shown::Hidden) => write!(f, "{}  another value", self.field)?,
            (was, now) => write!(f, "{}  {was} → {now}", self.field)?,
        }
        match &self.variable {
            Some(name) => write!(f, "  ({name})"),
            None => Ok(()),
        }
    }
}

/// A setting that is not what it was, although the files are.
#[derive(Clone, Debug)]
pub struct Unlike {
    /// The resource.
    pub resource: String,
    /// The path below it.
    pub field: String,
    /// The variable that it comes through now, or came through then.
    pub variable: Option<String>,
    /// Whether there is no such setting now.
    pub gone: bool,
    /// Where the files say it.
    pub origin: Origin,
}

/// A service as its files ask for it.
pub(super) struct Asked<'a> {
    pub(super) name: &'a str,
    pub(super) fields: &'a Fields,
    pub(super) place: &'a Origin,
    /// Whether programs that make services set variables of it.
    pub(super) given: bool,
}

impl Generation {
    /// In what it differs from one before: the services that both know, networks and volumes.
    #[must_use]
    pub fn since(&self, earlier: &Self) -> Vec<ResourceChange> {
        let mut changes = Vec::new();
        let names: BTreeSet<&String> = self.services.keys().chain(earlier.services.keys()).collect();
        for name in names {
            if self.others.contains(name) || earlier.others.contains(name) {
                continue;
            }
            let pair = (earlier.services.get(name), self.services.get(name));
            changes.extend(change(name.clone(), pair, service_changes));
        }
        for (kind, was, now) in
            [("network", &earlier.networks, &self.networks), ("volume", &earlier.volumes, &self.volumes)]
        {
            let keys: BTreeSet<&String> = was.keys().chain(now.keys()).collect();
            for key in keys {
                changes.extend(change(format!("{kind}:{key}"), (was.get(key), now.get(key)), field_changes));
            }
        }
        changes
    }

    /// The settings of which its files come to something else now: variables, environment files,
    /// configs or secrets are not what they were. Images are not among them.
    #[must_use]
    pub fn unlike(&self, loaded: &Loaded, desired: &Desired) -> Vec<Unlike> {
        let services = desired.services.iter().map(|spec| Asked {
            name: spec.name(),
            fields: &spec.fields,
            place: &spec.service.name.origin,
            given: is_given_variables(spec, desired),
        });
        self.unlike_asked(loaded, desired, services)
    }

    /// The same with the services as a backend of its own sees them.
    pub(super) fn unlike_asked<'a>(
        &self,
        loaded: &Loaded,
        desired: &Desired,
        services: impl Iterator<Item = Asked<'a>>,
    ) -> Vec<Unlike> {
        let mut unlike = Vec::new();
        let mut compare =
            |resource: &str, was: Option<&KeptFields>, fields: &Fields, place: &Origin, given| {
                let Some(was) = was else { return };
                let origins: BTreeMap<&str, &Origin> =
                    fields.iter().map(|(path, _, origin)| (path, origin)).collect();
                for change in field_changes(was, &kept(fields, &loaded.sources)) {
                    let gone = change.now == Shown::Nothing;
                    if change.field == "image" || (given && gone) {
                        continue;
                    }
                    let origin = origins.get(change.field.as_str()).copied().unwrap_or(place).clone();
                    let KeptChange { field, variable, .. } = change;
                    unlike.push(Unlike { resource: resource.to_owned(), field, variable, gone, origin });
                }
            };
        for Asked { name, fields, place, given } in services {
            let was = self.services.get(name).map(|service| &service.fields);
            compare(name, was, fields, place, given);
        }
        for spec in &desired.networks {
            let key = &spec.network.key;
            let was = self.networks.get(key.as_str());
            compare(&spec.address.to_string(), was, &spec.fields, &key.origin, false);
        }
        for spec in &desired.volumes {
            let key = &spec.volume.key;
            let was = self.volumes.get(key.as_str());
            compare(&spec.address.to_string(), was, &spec.fields, &key.origin, false);
        }
        unlike
    }
}

/// What became of one resource; `None` when nothing did.
fn change<T>(
    resource: String,
    pair: (Option<&T>, Option<&T>),
    changes: impl Fn(&T, &T) -> Vec<KeptChange>,
) -> Option<ResourceChange> {
    let difference = match pair {
        (None, Some(_)) => Difference::Added,
        (Some(_), None) => Difference::Removed,
        (Some(was), Some(now)) => {
            let changes = changes(was, now);
            if changes.is_empty() {
                return None;
            }
            Difference::Changed(changes)
        }
        (None, None) => return None,
    };
    Some(ResourceChange { resource, difference })
}

fn service_changes(was: &KeptService, now: &KeptService) -> Vec<KeptChange> {
    let mut changes = field_changes(&was.fields, &now.fields);
    let mut tell = |field: &str, was: String, now: String| {
        if was != now {
            let (was, now) = (Shown::Text(was), Shown::Text(now));
            changes.push(KeptChange { field: field.to_owned(), was, now, variable: None });
        }
    };
    // Without containers nobody knows which image they would run.
    if let (Some(was), Some(now)) = (&was.image, &now.image) {
        tell("image id", short(&was.id).to_owned(), short(&now.id).to_owned());
    }
    tell("scale", was.scale.to_string(), now.scale.to_string());
    changes
}

/// The settings in which `now` differs from `was`, in the order of the paths.
fn field_changes(was: &KeptFields, now: &KeptFields) -> Vec<KeptChange> {
    let paths: BTreeSet<&String> = was.keys().chain(now.keys()).collect();
    let mut changes = Vec::new();
    for path in paths {
        let (before, after) = (was.get(path), now.get(path));
        if let (Some(before), Some(after)) = (before, after)
            && before.same(after)
        {
            continue;
        }
        let shown = |value: Option<&KeptValue>| value.map_or(Shown::Nothing, KeptValue::shown);
        let variable = after.and_then(KeptValue::variable).or_else(|| before.and_then(KeptValue::variable));
        changes.push(KeptChange {
            field: path.clone(),
            was: shown(before),
            now: shown(after),
            variable: variable.map(str::to_owned),
        });
    }
    changes
}

/// Twelve digits of an image's id.
pub(super) fn short(id: &str) -> &str {
    let bare = id.strip_prefix("sha256:").unwrap_or(id);
    bare.get(..12).unwrap_or(bare)
}

/// What changed, in one line and without values: `web: image, scale; + worker; - old`.
#[must_use]
pub fn summary(changes: &[ResourceChange]) -> String {
    let list = |mut names: Vec<String>, between: &str| {
        let more = names.len().saturating_sub(NAMED);
        names.truncate(NAMED);
        if more > 0 {
            names.push(format!("{more} more"));
        }
        names.join(between)
    };
    let told = changes.iter().map(|change| match &change.difference {
        Difference::Added => format!("+ {}", change.resource),
        Difference::Removed => format!("- {}", change.resource),
        Difference::Changed(fields) => {
            let names = fields.iter().map(|field| field.field.clone()).collect();
            format!("{}: {}", change.resource, list(names, ", "))
        }
    });
    list(told.collect(), "; ")
}
