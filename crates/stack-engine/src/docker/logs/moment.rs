//! The times before log lines.

use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// An RFC 3339 time as nanoseconds since 1970. The engine writes every time in UTC; that form
/// is read by its places, because it is read once per line.
pub(super) fn nanoseconds(text: &[u8]) -> Option<i64> {
    plain(text).or_else(|| {
        let moment = OffsetDateTime::parse(std::str::from_utf8(text).ok()?, &Rfc3339).ok()?;
        i64::try_from(moment.unix_timestamp_nanos()).ok()
    })
}

/// `2026-01-31T12:00:00.123456789Z`, the fraction of any length up to nine digits.
fn plain(text: &[u8]) -> Option<i64> {
    let (date, rest) = text.split_at_checked(19)?;
    let number = |from: usize, to: usize| {
        date[from..to].iter().try_fold(0_i64, |number, byte| {
            byte.is_ascii_digit().then(|| number * 10 + i64::from(byte - b'0'))
        })
    };
    let marks = [(4, b'-'), (7, b'-'), (10, b'T'), (13, b':'), (16, b':')];
    if marks.iter().any(|&(at, mark)| date[at] != mark) {
        return None;
    }
    let (year, month, day) = (number(0, 4)?, number(5, 7)?, number(8, 10)?);
    let seconds = number(11, 13)? * 3600 + number(14, 16)? * 60 + number(17, 19)?;
    if !(1..=12).contains(&month) || !(1..=31).contains(&day) || !(1678..2262).contains(&year) {
        return None;
    }
    let fraction = match rest {
        b"Z" => 0,
        [b'.', digits @ .., b'Z'] if (1..=9).contains(&digits.len()) => {
            let mut fraction = 0;
            for byte in digits {
                fraction = byte.is_ascii_digit().then(|| fraction * 10 + i64::from(byte - b'0'))?;
            }
            (digits.len()..9).fold(fraction, |fraction, _| fraction * 10)
        }
        _ => return None,
    };
    Some((days(year, month, day) * 86_400 + seconds) * 1_000_000_000 + fraction)
}

/// Days from 1970 to a date of the Gregorian calendar: years begin in March, so that the
/// leap day is the last one.
fn days(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let month = (month + 9) % 12;
    let (era, of_era) = (year.div_euclid(400), year.rem_euclid(400));
    let of_year = (153 * month + 2) / 5 + day - 1;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_time_is_what_the_library_reads(seconds in -9_000_000_000_i64..9_000_000_000, fraction in 0_u32..1_000_000_000) {
            let nanos = i128::from(seconds) * 1_000_000_000 + i128::from(fraction);
            let moment = OffsetDateTime::from_unix_timestamp_nanos(nanos).expect("a time");
            let text = moment.format(&Rfc3339).expect("a text");
            prop_assert_eq!(plain(text.as_bytes()).map(i128::from), Some(nanos), "{}", text);
        }
    }

    #[test]
    fn other_forms_are_read_or_refused() {
        assert_eq!(nanoseconds(b"1970-01-01T01:00:00+01:00"), Some(0));
        for text in [
            "",
            "Z",
            "2026-13-01T00:00:00Z",
            "2026-01-01 00:00:00",
            "2026-01-01T00:00:0xZ",
            "hello world, hello",
        ] {
            assert_eq!(nanoseconds(text.as_bytes()), None, "{text}");
        }
    }
}
