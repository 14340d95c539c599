//! Times of the command line: `--since`, `--until`.

use std::time::Duration;

use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::error::{Fault, Kind};

/// A moment: RFC 3339, seconds since 1970, a date, or a time before now such as `1h30m`.
pub(crate) fn moment(text: &str, now: OffsetDateTime) -> anyhow::Result<OffsetDateTime> {
    if let Ok(moment) = OffsetDateTime::parse(text, &Rfc3339) {
        return Ok(moment);
    }
    if let Ok(seconds) = text.parse::<f64>() {
        return Ok(OffsetDateTime::UNIX_EPOCH + time::Duration::seconds_f64(seconds));
    }
    for suffix in ["Z", ":00Z", "T00:00:00Z"] {
        if let Ok(moment) = OffsetDateTime::parse(&format!("{text}{suffix}"), &Rfc3339) {
            return Ok(moment);
        }
    }
    match ago(text) {
        Some(ago) => Ok(now - ago),
        None => Err(Fault::new(Kind::Usage, format!("{text} is no time"))
            .hint("write 2026-01-31T12:00:00Z, or how long ago: 10m, 1h30m")
            .into()),
    }
}

/// A Go duration: `1h30m`, `90s`, `1.5h`.
fn ago(text: &str) -> Option<Duration> {
    let mut total = 0.0;
    let mut rest = text;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let number: f64 = rest[..digits].parse().ok()?;
        rest = &rest[digits..];
        let (unit, seconds) = [("ms", 0.001), ("h", 3600.0), ("m", 60.0), ("s", 1.0)]
            .into_iter()
            .find(|(unit, _)| rest.starts_with(unit))?;
        total += number * seconds;
        rest = &rest[unit.len()..];
    }
    (!text.is_empty()).then(|| Duration::try_from_secs_f64(total).ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_is_a_time_or_an_age() {
        let now = OffsetDateTime::from_unix_timestamp(1_800_000_000).expect("a valid time");
        let at = |text: &str| moment(text, now).map(OffsetDateTime::unix_timestamp).ok();
        assert_eq!(at("10m"), Some(1_800_000_000 - 600));
        assert_eq!(at("1h30m"), Some(1_800_000_000 - 5400));
        assert_eq!(at("1800000000"), Some(1_800_000_000));
        assert_eq!(at("2026-01-31T12:00:00Z"), Some(1_769_860_800));
        assert_eq!(at("2026-01-31T12:00:00"), Some(1_769_860_800));
        assert_eq!(at("2026-01-31T12:00"), Some(1_769_860_800));
        assert_eq!(at("2026-01-31"), Some(1_769_817_600));
        assert_eq!(at("yesterday"), None);
        assert_eq!(at("m"), None);
        assert_eq!(at(""), None);
    }
}
