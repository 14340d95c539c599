//! Commands on the containers that are there.

use stack_plan::desired::Desired;
use stack_plan::lifecycle;
use stack_plan::observed::{ContainerState, Observed};
use stack_plan::plan::Plan;
use stack_plan::teardown::{Teardown, teardown};

/// A command on the containers that are there.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Command {
    Stop,
    Start,
    Restart,
    Kill,
    Pause,
    Unpause,
    Remove,
    Down,
}

impl Command {
    pub(crate) const ALL: [Self; 8] = [
        Self::Stop,
        Self::Start,
        Self::Restart,
        Self::Kill,
        Self::Pause,
        Self::Unpause,
        Self::Remove,
        Self::Down,
    ];

    pub(crate) fn plan(self, desired: Option<&Desired>, observed: &Observed, services: &[String]) -> Plan {
        let services = services.to_vec();
        match self {
            Self::Stop => {
                let policy = Teardown { services, stop_only: true, ..Teardown::default() };
                teardown("shop", desired, observed, &policy)
            }
            Self::Start => {
                lifecycle::start("shop", desired, observed, &lifecycle::Start { services, wait: true })
            }
            Self::Restart => {
                let policy = lifecycle::Restart { services, ..lifecycle::Restart::default() };
                lifecycle::restart("shop", desired, observed, &policy)
            }
            Self::Kill => {
                let policy = lifecycle::Kill { services, signal: "SIGKILL".to_owned(), orphans: false };
                lifecycle::kill("shop", desired, observed, &policy)
            }
            Self::Pause => lifecycle::pause("shop", desired, observed, &services),
            Self::Unpause => lifecycle::unpause("shop", desired, observed, &services),
            Self::Remove => {
                let policy = lifecycle::Removal { services, stop: true, volumes: true, grace: None };
                lifecycle::remove("shop", desired, observed, &policy)
            }
            Self::Down => teardown("shop", desired, observed, &Teardown { services, ..Teardown::default() }),
        }
    }

    /// Whether the container is as the command leaves it.
    pub(crate) fn is_reached(self, state: ContainerState) -> bool {
        match self {
            Self::Stop | Self::Kill => !state.is_up(),
            Self::Start | Self::Restart => {
                matches!(state, ContainerState::Running | ContainerState::Exited(0))
            }
            Self::Pause => state != ContainerState::Running,
            Self::Unpause => state != ContainerState::Paused,
            Self::Remove | Self::Down => false,
        }
    }
}
