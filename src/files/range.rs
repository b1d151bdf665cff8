//! The bytes that a `Range` field asks for.
//!
//! Owns: the grammar, bounds, what is too much to ask. Does not own: whether the field counts (`condition`).
//! Rule: a field that is malformed or excessive is as if it were not there; one of which nothing lies in the file is 416.
//! Spec: RFC 9110 section 14.1 and 14.2.

use crate::bytes_ext::list_members;

/// Ranges in one field, beyond which it is not looked at. Apache 200, nginx: as configured.
const MAX_RANGES: usize = 32;

/// Ranges nearer to each other than this are sent as one: the head of a part is about as long.
const MERGED_GAP_BYTES: u64 = 80;

/// What a `Range` field comes to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Asked {
    /// All of it: no range is asked for, or not in a way that we take.
    Whole,
    /// First byte and length of each range, at least one, in the order asked, none overlapping another.
    Ranges(Vec<(u64, u64)>),
    /// Nothing of what is asked for exists.
    Unsatisfiable,
}

/// The ranges that `field` asks for, of `length` bytes.
pub fn ranges_of(field: &[u8], length: u64) -> Asked {
    let Some(mark) = field.iter().position(|&byte| byte == b'=') else { return Asked::Whole };
    let (unit, list) = (&field[..mark], &field[mark + 1..]);
    if !unit.eq_ignore_ascii_case(b"bytes") {
        return Asked::Whole;
    }
    let mut ranges = Vec::new();
    let mut count = 0;
    for member in list_members(list) {
        count += 1;
        let Some(range) = range_of(member, length).filter(|_| count <= MAX_RANGES) else {
            return Asked::Whole;
        };
        ranges.extend(range);
    }
    if count == 0 {
        return Asked::Whole;
    }
    if ranges.is_empty() {
        return Asked::Unsatisfiable;
    }
    let ranges = merged(ranges);
    // More than all of it is all of it.
    if ranges.len() > 1 && ranges.iter().map(|&(_, length)| length).sum::<u64>() >= length {
        return Asked::Whole;
    }
    Asked::Ranges(ranges)
}

/// One range: malformed (`None`), outside of the file (`Some(None)`), or first byte and length.
fn range_of(member: &[u8], length: u64) -> Option<Option<(u64, u64)>> {
    let mark = member.iter().position(|&byte| byte == b'-')?;
    let (first, last) = (&member[..mark], &member[mark + 1..]);
    if first.is_empty() {
        let wanted = number(last)?.min(length);
        return Some((wanted > 0).then_some((length - wanted, wanted)));
    }
    let first = number(first)?;
    let last = if last.is_empty() { u64::MAX } else { number(last)? };
    if last < first {
        return None;
    }
    Some((first < length).then(|| (first, last.min(length - 1) - first + 1)))
}

/// Digits alone. A number too large for the type lies beyond every file.
fn number(digits: &[u8]) -> Option<u64> {
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    Some(
        digits
            .iter()
            .fold(0_u64, |value, digit| value.saturating_mul(10).saturating_add(u64::from(digit - b'0'))),
    )
}

/// Joins each range with those before it that it overlaps or nearly touches, and keeps the order asked.
fn merged(ranges: Vec<(u64, u64)>) -> Vec<(u64, u64)> {
    let mut joined: Vec<(u64, u64)> = Vec::with_capacity(ranges.len());
    for (first, length) in ranges {
        let mut new = (first, first + length);
        let mut place = None;
        // Joining may make a range reach others, which were apart so far.
        while let Some(index) = joined.iter().position(|&(first, end)| {
            first <= new.1.saturating_add(MERGED_GAP_BYTES) && new.0 <= end.saturating_add(MERGED_GAP_BYTES)
        }) {
            let known = joined.remove(index);
            new = (new.0.min(known.0), new.1.max(known.1));
            place = Some(place.map_or(index, |place: usize| place.min(index)));
        }
        joined.insert(place.unwrap_or(joined.len()), new);
    }
    joined.into_iter().map(|(first, end)| (first, end - first)).collect()
}
