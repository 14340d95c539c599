//! Further attempts at what may go well the next time.

use std::time::Duration;

use crate::event::Progress;
use crate::image::pull::PullError;

/// How often a registry is asked before it is given up.
const ATTEMPTS: u32 = 4;
/// How long the second attempt is waited for; each further one twice as long as the one before.
const PAUSE: Duration = Duration::from_millis(500);

/// Tries again what failed for a reason that passes, and says so each time.
///
/// # Errors
/// That of the last attempt, with the number of attempts where there was more than one.
pub(super) async fn persist<E>(
    report: &dyn Fn(Progress),
    mut attempt: impl AsyncFnMut() -> Result<(), E>,
) -> Result<(), E>
where
    E: Passing,
{
    let mut pause = PAUSE;
    for number in 2..=ATTEMPTS {
        match attempt().await {
            Err(error) if error.reason().is_some_and(PullError::passes) => {
                let why = error.reason().map(ToString::to_string).unwrap_or_default();
                report(Progress::Warning(format!("{why}; attempt {number} of {ATTEMPTS} follows")));
            }
            other => return other,
        }
        tokio::time::sleep(pause).await;
        pause *= 2;
    }
    attempt().await.map_err(|error| match error.reason().is_some_and(PullError::passes) {
        true => error.counted(ATTEMPTS),
        false => error,
    })
}

/// An error behind which a registry's may stand.
pub(super) trait Passing {
    /// What the registry said.
    fn reason(&self) -> Option<&PullError>;
    /// The same, with the number of attempts.
    fn counted(self, attempts: u32) -> Self;
}

impl Passing for PullError {
    fn reason(&self) -> Option<&PullError> {
        Some(self)
    }

    fn counted(self, attempts: u32) -> Self {
        match self {
            Self::Unreachable { registry, message } => {
                Self::Unreachable { registry, message: format!("{message} ({attempts} attempts)") }
            }
            other => other,
        }
    }
}

impl Passing for crate::engine::EngineError {
    fn reason(&self) -> Option<&PullError> {
        match self {
            Self::Pull(error) => Some(error),
            _ => None,
        }
    }

    fn counted(self, attempts: u32) -> Self {
        match self {
            Self::Pull(error) => Self::Pull(error.counted(attempts)),
            other => other,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use super::*;

    fn unreachable(message: &str) -> PullError {
        PullError::Unreachable { registry: "r".to_owned(), message: message.to_owned() }
    }

    async fn outcome(message: &str, failures: u32) -> (Result<(), String>, u32, usize) {
        let (told, mut made) = (RefCell::new(0), 0);
        let report = |_| *told.borrow_mut() += 1;
        let result = persist(&report, async || {
            made += 1;
            if made <= failures { Err(unreachable(message)) } else { Ok(()) }
        });
        let result = result.await.map_err(|error| error.to_string());
        (result, made, told.into_inner())
    }

    #[tokio::test(start_paused = true)]
    async fn what_passes_is_tried_again_and_told_and_what_stays_is_not() {
        let reset = "read tcp: connection reset by peer";
        assert_eq!(outcome(reset, 2).await, (Ok(()), 3, 2));
        let (result, made, told) = outcome(reset, 9).await;
        assert_eq!((made, told), (4, 3));
        assert!(result.is_err_and(|error| error.ends_with("(4 attempts)")));
        let (result, made, told) = outcome("dial tcp 127.0.0.1:9: connect: connection refused", 9).await;
        assert_eq!((result.is_err(), made, told), (true, 1, 0));
    }
}
