//! Ages and sizes in docker's words.

use time::OffsetDateTime;

/// How long it took or is ago, in docker's words: `About a minute`, `3 weeks`. In seconds.
pub(crate) fn duration(seconds: i64) -> String {
    let (minutes, hours) = (seconds / 60, (seconds + 1800) / 3600);
    let many = |count: i64, unit: &str| format!("{count} {unit}");
    match seconds {
        ..1 => "Less than a second".to_owned(),
        1 => "1 second".to_owned(),
        2..60 => many(seconds, "seconds"),
        _ => match (minutes, hours) {
            (1, _) => "About a minute".to_owned(),
            (2..60, _) => many(minutes, "minutes"),
            (_, 1) => "About an hour".to_owned(),
            (_, 2..48) => many(hours, "hours"),
            (_, 48..336) => many(hours / 24, "days"),
            (_, 336..1440) => many(hours / 24 / 7, "weeks"),
            (_, 1440..17520) => many(hours / 24 / 30, "months"),
            _ => many(hours / 24 / 365, "years"),
        },
    }
}

/// How long ago a time was, given in seconds since 1970.
pub(crate) fn ago(moment: i64) -> String {
    let seconds = OffsetDateTime::now_utc().unix_timestamp().saturating_sub(moment);
    format!("{} ago", duration(seconds))
}

/// Bytes in powers of 1000, three digits: `1.17kB`.
pub(crate) fn decimal(bytes: f64) -> String {
    sized(bytes, 1000.0, 3, &["B", "kB", "MB", "GB", "TB", "PB", "EB"])
}

/// Bytes in powers of 1024, four digits: `3.82MiB`.
pub(crate) fn binary(bytes: f64) -> String {
    sized(bytes, 1024.0, 4, &["B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"])
}

fn sized(bytes: f64, base: f64, digits: usize, units: &[&str]) -> String {
    let mut value = bytes;
    let mut unit = 0;
    while value >= base && unit + 1 < units.len() {
        value /= base;
        unit += 1;
    }
    format!("{}{}", significant(value, digits), units[unit])
}

/// A number with this many digits and no zeros at its end, as `%.4g` of C.
fn significant(value: f64, digits: usize) -> String {
    let whole = if value < 1.0 { 1 } else { value.log10().floor() as usize + 1 };
    let text = format!("{value:.*}", digits.saturating_sub(whole));
    match text.contains('.') {
        true => text.trim_end_matches('0').trim_end_matches('.').to_owned(),
        false => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ages_are_in_the_words_of_docker() {
        for (seconds, wanted) in [
            (0, "Less than a second"),
            (1, "1 second"),
            (59, "59 seconds"),
            (60, "About a minute"),
            (119, "About a minute"),
            (120, "2 minutes"),
            (3599, "59 minutes"),
            (3600, "About an hour"),
            (5399, "About an hour"),
            (5400, "2 hours"),
            (47 * 3600, "47 hours"),
            (48 * 3600, "2 days"),
            (13 * 86400, "13 days"),
            (14 * 86400, "2 weeks"),
            (60 * 86400, "2 months"),
            (729 * 86400, "24 months"),
            (730 * 86400, "2 years"),
        ] {
            assert_eq!(duration(seconds), wanted, "{seconds}");
        }
    }

    #[test]
    fn sizes_have_the_digits_of_docker() {
        assert_eq!(decimal(0.0), "0B");
        assert_eq!(decimal(836.0), "836B");
        assert_eq!(decimal(1170.0), "1.17kB");
        assert_eq!(decimal(135_709_539.0), "136MB");
        assert_eq!(decimal(1_000_000.0), "1MB");
        assert_eq!(binary(552_960.0), "540KiB");
        assert_eq!(binary(4_005_888.0), "3.82MiB");
        assert_eq!(binary(25_275_899_904.0), "23.54GiB");
    }
}
