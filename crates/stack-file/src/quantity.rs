//! Durations (`1m30s`) and sizes (`64m`) as Compose writes them.

use std::time::Duration;

/// Units of time and their length in nanoseconds; longer names first where one begins another.
const TIMES: &[(&str, u64)] = &[
    ("ns", 1),
    ("us", 1_000),
    ("µs", 1_000),
    ("μs", 1_000),
    ("ms", 1_000_000),
    ("s", 1_000_000_000),
    ("m", 60_000_000_000),
    ("h", 3_600_000_000_000),
    ("d", 86_400_000_000_000),
    ("w", 604_800_000_000_000),
];

/// Reads a duration such as `1m30s`, `1.5h` or `500ms`; `None` when it is none.
#[must_use]
pub fn duration(text: &str) -> Option<Duration> {
    if text == "0" {
        return Some(Duration::ZERO);
    }
    if text.is_empty() {
        return None;
    }
    let mut rest = text;
    let mut nanos: u128 = 0;
    while !rest.is_empty() {
        let digits = rest.find(|each: char| !each.is_ascii_digit() && each != '.').unwrap_or(rest.len());
        let (number, after) = rest.split_at(digits);
        let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
        if whole.is_empty() && fraction.is_empty() || fraction.contains('.') {
            return None;
        }
        let end = after.find(|each: char| each.is_ascii_digit() || each == '.').unwrap_or(after.len());
        let (unit, next) = after.split_at(end);
        let &(_, length) = TIMES.iter().find(|(name, _)| *name == unit)?;
        let whole: u64 = if whole.is_empty() { 0 } else { whole.parse().ok()? };
        nanos = nanos.checked_add(u128::from(whole) * u128::from(length))?;
        let mut scale = u128::from(length);
        for digit in fraction.bytes() {
            scale /= 10;
            nanos += u128::from(digit - b'0') * scale;
        }
        rest = next;
    }
    // An engine counts nanoseconds in 63 bits.
    (nanos <= i64::MAX as u128).then(|| Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX)))
}

/// Writes a duration: `1m30s`, `24h0m0s`, `1.5s`, `500ms`, `0s`.
#[must_use]
pub fn duration_text(duration: Duration) -> String {
    let nanos = duration.as_nanos();
    let with_fraction = |unit: u128, name: &str| {
        let (whole, rest) = (nanos / unit, nanos % unit);
        if rest == 0 {
            return format!("{whole}{name}");
        }
        let width = unit.ilog10() as usize;
        let fraction = format!("{rest:0width$}");
        format!("{whole}.{}{name}", fraction.trim_end_matches('0'))
    };
    match nanos {
        0 => "0s".to_owned(),
        1..1_000 => format!("{nanos}ns"),
        1_000..1_000_000 => with_fraction(1_000, "µs"),
        1_000_000..1_000_000_000 => with_fraction(1_000_000, "ms"),
        _ => {
            let seconds = duration.as_secs();
            let rest = duration_seconds(seconds % 60, duration.subsec_nanos());
            match (seconds / 3600, seconds / 60 % 60) {
                (0, 0) => rest,
                (0, minutes) => format!("{minutes}m{rest}"),
                (hours, minutes) => format!("{hours}h{minutes}m{rest}"),
            }
        }
    }
}

fn duration_seconds(seconds: u64, nanos: u32) -> String {
    if nanos == 0 {
        return format!("{seconds}s");
    }
    let fraction = format!("{nanos:09}");
    format!("{seconds}.{}s", fraction.trim_end_matches('0'))
}

/// Reads a size in bytes such as `64m`, `1.5gb`, `512 KiB` or `4096`; `k` is 1024.
#[must_use]
pub fn bytes(text: &str) -> Option<u64> {
    let digits = text.find(|each: char| !each.is_ascii_digit() && each != '.').unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let unit = unit.trim_start().to_ascii_lowercase();
    let prefix = match unit.as_str() {
        "" | "b" => "",
        unit => unit.strip_suffix("ib").or_else(|| unit.strip_suffix('b')).unwrap_or(unit),
    };
    let shift = match prefix {
        "" if matches!(unit.as_str(), "" | "b") => 0,
        "k" => 10,
        "m" => 20,
        "g" => 30,
        "t" => 40,
        "p" => 50,
        _ => return None,
    };
    if let Ok(whole) = number.parse::<u64>() {
        return whole.checked_mul(1 << shift);
    }
    if !number.starts_with(|first: char| first.is_ascii_digit() || first == '.') {
        return None;
    }
    let number: f64 = number.parse().ok()?;
    let size = number * (1_u64 << shift) as f64;
    // Beyond 2^63 no engine keeps a size.
    (size < 9.2e18).then_some(size as u64)
}

#[cfg(test)]
mod tests {
    use super::{bytes, duration, duration_text};

    #[test]
    fn durations_read_and_write() {
        for (text, written) in [
            ("90s", "1m30s"),
            ("1m", "1m0s"),
            ("25s", "25s"),
            ("1500ms", "1.5s"),
            ("1d", "24h0m0s"),
            ("1h1.5s", "1h0m1.5s"),
            ("500us", "500µs"),
            ("2.5ms", "2.5ms"),
            ("0s", "0s"),
            ("0", "0s"),
            (".5s", "500ms"),
        ] {
            assert_eq!(duration(text).map(duration_text).as_deref(), Some(written), "{text}");
        }
        for text in ["", "10", "s", "1x", "-1s", "1s2", "1.2.3s", ".s", "999999999999w", "1 s"] {
            assert_eq!(duration(text), None, "{text}");
        }
    }

    #[test]
    fn sizes_read() {
        for (text, size) in [
            ("64", Some(64)),
            ("64b", Some(64)),
            ("1k", Some(1024)),
            ("10MB", Some(10 << 20)),
            ("1.5gb", Some(3 << 29)),
            ("2GiB", Some(2 << 30)),
            ("512 KiB", Some(512 << 10)),
            ("-1", None),
            ("abc", None),
            ("1x", None),
            ("ib", None),
            ("1ib", None),
            ("99999999999p", None),
        ] {
            assert_eq!(bytes(text), size, "{text}");
        }
    }
}
