//! Dates, times, UUIDs and decimals in the plain forms that Pydantic is certain to accept.
//!
//! Owns: those forms. Does not own: every other form, which may be valid too: Pydantic judges them.
//! Rule: true only for what pydantic-core 2.41 accepts in lax mode without constraints.

use crate::json::parse::Value;

/// What a form stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    DateTime,
    Date,
    Time,
    Uuid,
    Decimal,
}

impl Kind {
    /// The kind of a core schema that has no constraint.
    pub fn of_schema(kind: &str) -> Option<Kind> {
        match kind {
            "datetime" => Some(Kind::DateTime),
            "date" => Some(Kind::Date),
            "time" => Some(Kind::Time),
            "uuid" => Some(Kind::Uuid),
            "decimal" => Some(Kind::Decimal),
            _ => None,
        }
    }

    /// True if a value is certainly valid, false if that is not known.
    pub fn recognises(self, value: &Value<'_>) -> bool {
        match (self, value) {
            (Kind::Decimal, Value::Int(_)) => true,
            (Kind::DateTime, Value::Str(text)) => is_datetime(text.as_bytes()),
            (Kind::Date, Value::Str(text)) => is_date(text.as_bytes()),
            (Kind::Time, Value::Str(text)) => is_time(text.as_bytes()),
            (Kind::Uuid, Value::Str(text)) => is_uuid(text.as_bytes()),
            (Kind::Decimal, Value::Str(text)) => is_decimal(text.as_bytes()),
            _ => false,
        }
    }
}

/// `2024-02-29T12:34:56`, with up to six decimals and `Z` or an offset if any.
fn is_datetime(text: &[u8]) -> bool {
    let Some((date, rest)) = text.split_at_checked(10) else { return false };
    let [b'T', time @ ..] = rest else { return false };
    let time = match time {
        [time @ .., b'Z'] => time,
        [time @ .., b'+' | b'-', h1, h2, b':', m1, m2] => match (two(*h1, *h2), two(*m1, *m2)) {
            (Some(0..=23), Some(0..=59)) => time,
            _ => return false,
        },
        _ => time,
    };
    is_date(date) && is_time(time)
}

/// `2024-02-29`
fn is_date(text: &[u8]) -> bool {
    let [y1, y2, y3, y4, b'-', m1, m2, b'-', d1, d2] = text else { return false };
    let (Some(century), Some(year)) = (two(*y1, *y2), two(*y3, *y4)) else { return false };
    let (Some(month), Some(day)) = (two(*m1, *m2), two(*d1, *d2)) else { return false };
    let year = century * 100 + year;
    let is_leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let days = match month {
        1 | 3 | 5 | 7 | 8 | 10 | 12 => 31,
        4 | 6 | 9 | 11 => 30,
        2 if is_leap => 29,
        2 => 28,
        _ => return false,
    };
    year >= 1 && (1..=days).contains(&day)
}

/// `12:34:56`, with up to six decimals.
fn is_time(text: &[u8]) -> bool {
    let [h1, h2, b':', m1, m2, b':', s1, s2, rest @ ..] = text else { return false };
    let is_fraction = match rest {
        [] => true,
        [b'.', digits @ ..] => (1..=6).contains(&digits.len()) && digits.iter().all(u8::is_ascii_digit),
        _ => false,
    };
    is_fraction
        && matches!((two(*h1, *h2), two(*m1, *m2), two(*s1, *s2)), (Some(0..=23), Some(0..=59), Some(0..=59)))
}

/// The hyphenated form.
fn is_uuid(text: &[u8]) -> bool {
    text.len() == 36
        && text.iter().enumerate().all(|(at, byte)| match at {
            8 | 13 | 18 | 23 => *byte == b'-',
            _ => byte.is_ascii_hexdigit(),
        })
}

/// Digits, perhaps with a sign and a fraction.
fn is_decimal(text: &[u8]) -> bool {
    let unsigned = text.strip_prefix(b"-").unwrap_or(text);
    let mut parts = unsigned.splitn(2, |&byte| byte == b'.');
    let is_digits = |part: &[u8]| (1..=20).contains(&part.len()) && part.iter().all(u8::is_ascii_digit);
    parts.next().is_some_and(is_digits) && parts.next().is_none_or(is_digits)
}

fn two(tens: u8, ones: u8) -> Option<u32> {
    (tens.is_ascii_digit() && ones.is_ascii_digit())
        .then(|| u32::from(tens - b'0') * 10 + u32::from(ones - b'0'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_plain_forms_are_recognised() {
        for (kind, text, expected) in [
            ("datetime", "2024-02-29T12:34:56", true),
            ("datetime", "2024-02-29T12:34:56.123456+02:00", true),
            ("datetime", "2024-02-29T12:34:56Z", true),
            ("datetime", "2023-02-29T12:34:56Z", false),
            ("datetime", "2024-02-29T24:00:00", false),
            ("datetime", "2024-02-29 12:34:56", false),
            ("datetime", "1709210096", false),
            ("date", "0001-01-01", true),
            ("date", "0000-01-01", false),
            ("date", "2100-02-29", false),
            ("time", "23:59:59.5", true),
            ("time", "23:59:60", false),
            ("uuid", "12345678-1234-1234-1234-1234567890aB", true),
            ("uuid", "12345678123412341234123456789012", false),
            ("decimal", "-1.50", true),
            ("decimal", "1.", false),
            ("decimal", "1e3", false),
        ] {
            let kind = Kind::of_schema(kind).expect("a kind");
            assert_eq!(kind.recognises(&Value::Str(text)), expected, "{kind:?} {text}");
        }
    }
}
