//! How long a container may take to stop, as it is typed.

use std::time::Duration;

/// Seconds from 0 on; -1 waits without end.
pub(crate) fn seconds(text: &str) -> Result<Duration, String> {
    match text.trim().parse::<i64>() {
        Ok(-1) => Ok(Duration::MAX),
        Ok(seconds) if seconds >= 0 => Ok(Duration::from_secs(seconds.unsigned_abs())),
        _ => Err("a number of seconds from 0 on, or -1 to wait without end".to_owned()),
    }
}

/// The same as it is typed.
pub(crate) fn typed(grace: Duration) -> String {
    if grace == Duration::MAX { "-1".to_owned() } else { grace.as_secs().to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seconds_are_read_as_they_are_written() {
        for text in ["0", "10", "-1"] {
            assert_eq!(seconds(text).map(typed).as_deref(), Ok(text));
        }
        assert_eq!(seconds("-1"), Ok(Duration::MAX));
        for text in ["-2", "1.5", "", "x"] {
            assert!(seconds(text).is_err(), "{text}");
        }
    }
}
