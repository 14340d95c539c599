//! A step: its name, what it is about, why it is there, and what could be lost.

use std::fmt;

use stack_file::source::Origin;

use super::Action;
use crate::address::Address;
use crate::fields::FieldChange;

/// Names a step of one plan, counted from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct StepId(pub u32);

impl fmt::Display for StepId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "#{}", self.0)
    }
}

/// One engine call, or one wait.
#[derive(Clone, Debug)]
pub struct Step {
    /// Its name within the plan.
    pub id: StepId,
    /// The resource it is about.
    pub address: Address,
    /// What is done.
    pub action: Action,
    /// Why.
    pub cause: Cause,
    /// The steps that must be done first. When one fails, this one is skipped.
    pub after: Vec<StepId>,
    /// The steps that must have ended first, well or not: what an optional dependency needs.
    pub after_any: Vec<StepId>,
    /// What all steps of this resource together do.
    pub group: Change,
    /// What could be lost.
    pub risk: Risk,
    /// What takes the step back, in this order, as long as every step done so far in its group has an undo.
    pub undo: Vec<Action>,
}

/// What the steps of one resource together do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Change {
    /// It is made, and started if it is a container.
    Create,
    /// Another takes its place.
    Replace,
    /// It is changed where it is, and goes on.
    Mend,
    /// A service of a swarm is changed; the swarm replaces its tasks where they have to be others.
    Update,
    /// It is started.
    Start,
    /// It is stopped and started.
    Restart,
    /// It is stopped.
    Stop,
    /// It gets a signal.
    Kill,
    /// It is frozen.
    Pause,
    /// It goes on after it was frozen.
    Unpause,
    /// It is removed.
    Remove,
    /// An image is pulled.
    Pull,
    /// An image is pushed.
    Push,
    /// An image goes to another node.
    Ship,
    /// An image is built.
    Build,
    /// Nothing is done to it; something waits for it.
    Await,
    /// Another program sees to it that it is there, as it always does; whether that changes
    /// anything, only the program knows.
    Provide,
}

/// Why a step is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Cause {
    /// It is wanted and not there.
    Missing,
    /// It was made with other settings.
    Changed(Vec<FieldChange>),
    /// It was changed by hand since it was made: what it is set to now, and what it is to be.
    Altered(Vec<FieldChange>),
    /// It was made by another program, which kept no record of the settings.
    Unrecorded,
    /// The image's reference now names another image.
    ImageMoved,
    /// Its content is another one, and it cannot be changed.
    ContentChanged,
    /// What it depends on is replaced or restarted.
    DependencyReplaced(Address),
    /// The file does not have it.
    Orphaned,
    /// It is there, but not in the state that is wanted: the Docker API's word for the state.
    Drifted(&'static str),
    /// There are more containers than the service is to have.
    Surplus,
    /// An earlier run was interrupted before the end.
    Interrupted,
    /// The command line asks for it.
    Asked,
    /// A dependent, or the command line, waits for it.
    Awaited,
}

/// What could be lost by a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Risk {
    /// Nothing that the file does not bring back.
    None,
    /// The data of a volume.
    LosesData,
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing => f.write_str("missing"),
            Self::Changed(fields) => {
                let names: Vec<_> = fields.iter().map(|change| change.field.as_str()).collect();
                write!(f, "changed: {}", names.join(", "))
            }
            Self::Altered(fields) => {
                let names: Vec<_> = fields.iter().map(|change| change.field.as_str()).collect();
                write!(f, "changed by hand: {}", names.join(", "))
            }
            Self::Unrecorded => f.write_str("made by another program"),
            Self::ImageMoved => f.write_str("image is newer"),
            Self::ContentChanged => f.write_str("content changed"),
            Self::DependencyReplaced(address) => write!(f, "depends on {address}, replaced"),
            Self::Orphaned => f.write_str("not in the file"),
            Self::Drifted(state) => write!(f, "is {state}"),
            Self::Surplus => f.write_str("more than asked for"),
            Self::Interrupted => f.write_str("left by an interrupted run"),
            Self::Asked => f.write_str("asked for"),
            Self::Awaited => f.write_str("waited for"),
        }
    }
}

/// Where a changed setting stands, if the cause is one.
#[must_use]
pub fn first_origin(cause: &Cause) -> Option<&Origin> {
    match cause {
        Cause::Changed(fields) | Cause::Altered(fields) => fields.first().map(|change| &change.origin),
        _ => None,
    }
}
