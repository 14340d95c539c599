//! A plan: what will be done, in which order, and why.

mod action;
mod draft;
mod step;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use indexmap::IndexMap;
use stack_file::source::Origin;

pub use self::action::{Action, Condition, FileBind, HookEvent, NewContainer, ProviderCommand, Target};
pub(crate) use self::draft::Draft;
pub use self::step::{Cause, Change, Risk, Step, StepId, first_origin};
use crate::address::Address;
use crate::rollout::Rollout;
use crate::shortfall::Shortfall;

/// What will be done to one project.
#[derive(Clone, Debug, Default)]
pub struct Plan {
    /// The project name.
    pub project: String,
    /// The steps; each comes after all the steps it waits for.
    pub steps: Vec<Step>,
    /// The resources that are as wanted.
    pub unchanged: Vec<Address>,
    /// What a person should know, one sentence each.
    pub warnings: Vec<String>,
    /// What the file asks for and the engine is too old for, of all that is made.
    pub shortfalls: Vec<Shortfall>,
    /// The services of which running containers are replaced one after the other.
    pub rollouts: Vec<Rollout>,
    /// What keeps the plan from being carried out: nothing is begun while there is any.
    pub obstacles: Vec<Obstacle>,
}

/// Something that has to be there, or to be otherwise, before a plan can be carried out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Obstacle {
    /// The resource it is about.
    pub address: Address,
    /// What is in the way, one fragment.
    pub what: String,
    /// What to do about it.
    pub next: String,
    /// Where the file asks for it.
    pub origin: Origin,
}

impl Plan {
    /// Whether nothing is to be done.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.steps.is_empty()
    }

    /// Whether anything but waits is to be done.
    #[must_use]
    pub fn changes_something(&self) -> bool {
        self.steps.iter().any(|step| !matches!(step.group, Change::Await | Change::Provide))
    }

    /// The step of this id.
    #[must_use]
    pub fn step(&self, id: StepId) -> Option<&Step> {
        self.steps.get((id.0 as usize).checked_sub(1)?)
    }

    /// Whether it pulls, builds or pushes, so that what follows can be known only after that.
    #[must_use]
    pub fn has_image_steps(&self) -> bool {
        self.steps.iter().any(|step| is_of_images(&step.action))
    }

    /// Whether other programs are asked for services, so that the variables of what depends
    /// on these are known only after that.
    #[must_use]
    pub fn has_provider_steps(&self) -> bool {
        self.steps.iter().any(|step| step.group == Change::Provide)
    }

    /// The services that other programs are asked for.
    #[must_use]
    pub fn provided_services(&self) -> Vec<String> {
        let asked = self.steps.iter().filter(|step| step.group == Change::Provide);
        asked.filter_map(|step| step.address.service().map(str::to_owned)).collect()
    }

    /// The same plan with only the steps that see to AI models.
    #[must_use]
    pub fn model_steps(&self) -> Plan {
        self.only(|action| matches!(action, Action::ProvideModel(_)))
    }

    /// The same plan with only the steps that pull, build or push.
    #[must_use]
    pub fn image_steps(&self) -> Plan {
        self.only(is_of_images)
    }

    /// The same plan with only the steps that build.
    #[must_use]
    pub fn build_steps(&self) -> Plan {
        self.only(|action| matches!(action, Action::Build(_)))
    }

    /// The same plan with only some of the steps, which wait for nothing but each other.
    fn only(&self, wanted: impl Fn(&Action) -> bool) -> Plan {
        let mut plan = Plan { project: self.project.clone(), ..Plan::default() };
        let mut kept: BTreeMap<StepId, StepId> = BTreeMap::new();
        for step in &self.steps {
            if wanted(&step.action) {
                let id = StepId(plan.steps.len() as u32 + 1);
                let after = step.after.iter().filter_map(|earlier| kept.get(earlier).copied()).collect();
                kept.insert(step.id, id);
                plan.steps.push(Step { id, after, after_any: Vec::new(), ..step.clone() });
            }
        }
        plan
    }

    /// The same plan up to the start of the last container that it makes, which is left to another.
    #[must_use]
    pub fn until_last_start(mut self) -> Plan {
        let last = self.steps.iter().rposition(|step| matches!(step.action, Action::Start(_)));
        self.steps.truncate(last.unwrap_or(self.steps.len()));
        self
    }

    /// The resources that lose data, each once.
    #[must_use]
    pub fn data_losses(&self) -> BTreeSet<&Address> {
        self.steps.iter().filter(|step| step.risk == Risk::LosesData).map(|step| &step.address).collect()
    }

    /// The steps by resource, in the order in which each resource first appears.
    #[must_use]
    pub fn by_address(&self) -> IndexMap<&Address, Vec<&Step>> {
        let mut groups: IndexMap<&Address, Vec<&Step>> = IndexMap::new();
        for step in &self.steps {
            groups.entry(&step.address).or_default().push(step);
        }
        groups
    }
}

/// One line per step, and one per replica that may be put back: what it waits for (`?` where that may fail), its number, resource, action, cause.
impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for step in &self.steps {
            let done = step.after.iter().map(|id| id.0.to_string());
            let ended = step.after_any.iter().map(|id| format!("{}?", id.0));
            let after = done.chain(ended).collect::<Vec<_>>().join(",");
            write!(f, "[{after}] -> {} {}, {}, {}", step.id, step.address, step.action.word(), step.cause)?;
            if step.risk == Risk::LosesData {
                f.write_str(", loses data")?;
            }
            if self.rollouts.iter().any(|rollout| rollout.has(step.id)) && !step.undo.is_empty() {
                let undo: Vec<_> = step.undo.iter().map(Action::word).collect();
                write!(f, "; taken back by: {}", undo.join(", "))?;
            }
            writeln!(f)?;
        }
        self.rollouts.iter().try_for_each(|rollout| write!(f, "{rollout}"))
    }
}

fn is_of_images(action: &Action) -> bool {
    matches!(action, Action::Pull(_) | Action::Build(_) | Action::Push(_))
}
