//! Conditions of a request, and the validators that they name.
//!
//! Owns: `If-Match`, `If-Unmodified-Since`, `If-None-Match`, `If-Modified-Since`, `If-Range`, dates as sent.
//! Rule: in the order of RFC 9110 section 13.2.2; a date that is none is as if it were not there.

use crate::bytes_ext::trim_ows;
use crate::http1::{Method, RequestHead};

/// What the conditions of a request come to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Answer as usual. `ranges_count`: a `Range` field is to be looked at.
    Proceed {
        /// There is no `If-Range`, or it names what is here.
        ranges_count: bool,
    },
    /// 304.
    NotModified,
    /// 412.
    Failed,
}

/// Judges the conditions of `head` for a file with this entity tag (its quotes included), changed at `modified` (Unix
/// seconds).
pub fn check(head: &RequestHead, etag: &[u8], modified: u64) -> Verdict {
    let values = |name: &'static [u8]| {
        head.fields().filter(move |(own, _)| own.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    };
    let date = |name: &[u8]| head.field(name).and_then(parse_date);
    if head.field(b"if-match").is_some() {
        // Strong: a weak tag never matches.
        let matches = values(b"if-match").any(|value| names(value, |tag| tag == etag));
        if !matches {
            return Verdict::Failed;
        }
    } else if date(b"if-unmodified-since").is_some_and(|since| modified > since) {
        return Verdict::Failed;
    }
    let is_reading = matches!(head.method(), Method::Get | Method::Head);
    if head.field(b"if-none-match").is_some() {
        if values(b"if-none-match").any(|value| names(value, |tag| weakly_equal(tag, etag))) {
            return if is_reading { Verdict::NotModified } else { Verdict::Failed };
        }
    } else if is_reading && date(b"if-modified-since").is_some_and(|since| modified <= since) {
        return Verdict::NotModified;
    }
    let ranges_count = match head.field(b"if-range") {
        None => true,
        Some(value) if value.starts_with(b"\"") => value == etag,
        Some(value) if value.starts_with(b"W/") => false,
        // Exactly the date that we sent (section 13.1.5).
        Some(value) => parse_date(value) == Some(modified),
    };
    Verdict::Proceed { ranges_count }
}

/// The weak comparison: `W/"a"` equals `"a"` (RFC 9110 section 8.8.3.2).
pub fn weakly_equal(one: &[u8], other: &[u8]) -> bool {
    let opaque = |tag: &'_ [u8]| -> usize {
        if tag.starts_with(b"W/") {
            2
        } else {
            0
        }
    };
    one[opaque(one)..] == other[opaque(other)..]
}

/// True for `*`, and where `is_it` is true of one of the listed tags. A tag may hold commas.
fn names(value: &[u8], is_it: impl Fn(&[u8]) -> bool) -> bool {
    let mut rest = trim_ows(value);
    if rest == b"*" {
        return true;
    }
    while !rest.is_empty() {
        let start = if rest.starts_with(b"W/\"") { 3 } else { 1 };
        let is_tag = rest.get(start - 1) == Some(&b'"');
        let end = rest.iter().skip(start).position(|&byte| byte == b'"');
        let (Some(end), true) = (end, is_tag) else {
            // No tag: what follows the next comma may be one.
            match rest.iter().position(|&byte| byte == b',') {
                Some(comma) => rest = trim_ows(&rest[comma + 1..]),
                None => return false,
            }
            continue;
        };
        let (tag, after) = rest.split_at(start + end + 1);
        if is_it(tag) {
            return true;
        }
        let after = trim_ows(after);
        rest = trim_ows(after.strip_prefix(b",").unwrap_or(after));
    }
    false
}

/// Unix seconds of a date in one of the three forms of RFC 9110 section 5.6.7. `None`: it is none, or before 1970.
pub fn parse_date(text: &[u8]) -> Option<u64> {
    let text = std::str::from_utf8(trim_ows(text)).ok()?;
    let (year, month, day, time) = match text.split_once(", ") {
        Some((_, rest)) if rest.contains('-') => {
            // Sunday, 06-Nov-94 08:49:37 GMT
            let (date, time) = rest.split_once(' ')?;
            let mut parts = date.split('-');
            let (day, month, year) = (parts.next()?, parts.next()?, parts.next()?);
            let year = digits(year, 2)?;
            // Two digits are of the last century from 70 on.
            (if year < 70 { 2000 + year } else { 1900 + year }, month, digits(day, 2)?, gmt(time)?)
        }
        Some((_, rest)) => {
            // Sun, 06 Nov 1994 08:49:37 GMT
            let mut parts = rest.splitn(4, ' ');
            let (day, month, year) = (parts.next()?, parts.next()?, parts.next()?);
            (digits(year, 4)?, month, digits(day, 2)?, gmt(parts.next()?)?)
        }
        None => {
            // Sun Nov  6 08:49:37 1994
            let mut parts = text.split(' ').filter(|part| !part.is_empty());
            let (_, month, day) = (parts.next()?, parts.next()?, parts.next()?);
            let (time, year) = (parts.next()?, parts.next()?);
            (digits(year, 4)?, month, digits(day, day.len())?, time)
        }
    };
    let month = MONTHS.iter().position(|&name| name == month)? as u64;
    let mut parts = time.split(':');
    let mut two = || digits(parts.next()?, 2);
    let (hour, minute, second) = (two()?, two()?, two()?);
    let is_date = (1..=31).contains(&day) && hour < 24 && minute < 60 && second <= 60 && year >= 1970;
    (is_date && parts.next().is_none())
        .then(|| days_before(year, month, day) * 86_400 + hour * 3600 + minute * 60 + second)
}

const MONTHS: [&str; 12] =
    ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

fn gmt(time: &str) -> Option<&str> {
    time.strip_suffix(" GMT")
}

fn digits(text: &str, count: usize) -> Option<u64> {
    let are_digits =
        text.len() == count && (1..=4).contains(&count) && text.bytes().all(|byte| byte.is_ascii_digit());
    are_digits.then(|| text.parse().ok())?
}

/// Days from 1 January 1970 to a date; month from 0. The inverse of `http1::date`'s, by the same eras.
fn days_before(year: u64, month: u64, day: u64) -> u64 {
    let year = if month < 2 { year - 1 } else { year };
    let (era, in_era) = (year / 400, year % 400);
    let month_from_march = (month + 10) % 12;
    let day_of_year = (153 * month_from_march + 2) / 5 + day - 1;
    era * 146_097 + in_era * 365 + in_era / 4 - in_era / 100 + day_of_year - 719_468
}
