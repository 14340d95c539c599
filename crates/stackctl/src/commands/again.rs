//! Asking the engine again from time to time, less and less often.

use std::time::Duration;

use tokio::time::{Instant, sleep_until};

/// The longest time between two questions.
const LONGEST: Duration = Duration::from_secs(30);

/// When to ask next. A busy engine lists a container for long that it has told the end of, so
/// one question after an end is not enough.
#[derive(Debug, Default)]
pub(crate) struct Again {
    next: Option<(Instant, Duration)>,
}

impl Again {
    /// Asks after this time, and then after twice as long each time.
    pub(crate) fn begin(&mut self, first: Duration) {
        self.next = Some((Instant::now() + first, first));
    }

    /// Waits until it is time to ask; for ever before [`Again::begin`]. Dropping it loses nothing.
    pub(crate) async fn due(&mut self) {
        let Some((at, pause)) = self.next else { return std::future::pending().await };
        sleep_until(at).await;
        let pause = (2 * pause).min(LONGEST);
        self.next = Some((Instant::now() + pause, pause));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn questions_become_rarer_and_other_work_does_not_put_them_off() {
        let mut again = Again::default();
        let begun = Instant::now();
        let waited = tokio::time::timeout(Duration::from_secs(60), again.due()).await;
        assert!(waited.is_err(), "nothing to ask");
        again.begin(Duration::from_secs(10));
        let at = begun + Duration::from_secs(60);
        for _ in 0..9 {
            assert!(tokio::time::timeout(Duration::from_secs(1), again.due()).await.is_err());
        }
        let mut passed = Vec::new();
        for _ in 0..4 {
            again.due().await;
            passed.push((Instant::now() - at).as_secs());
        }
        assert_eq!(passed, [10, 30, 60, 90]);
    }
}
