//! Pydantic's lax conversions of scalars.
//!
//! Owns: what a string or a float counts as. Does not own: limits on the result (`walk`).
//! Spec: pydantic-core 2.41, `src/input/shared.rs`, of which these are the same steps.

use std::borrow::Cow;

/// An integer of any size.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Integer<'a> {
    Small(i64),
    /// Beyond 64 bits: sign and digits, no leading zero.
    Big(Cow<'a, str>),
}

impl Integer<'_> {
    /// Compares with a limit; what is big is beyond any limit.
    pub fn cmp(&self, limit: i64) -> std::cmp::Ordering {
        match self {
            Integer::Small(number) => number.cmp(&limit),
            Integer::Big(digits) if digits.starts_with('-') => std::cmp::Ordering::Less,
            Integer::Big(_) => std::cmp::Ordering::Greater,
        }
    }

    /// True if `divisor` (not 0) divides it.
    pub fn is_multiple_of(&self, divisor: i64) -> bool {
        match self {
            Integer::Small(number) => number.wrapping_rem(divisor) == 0,
            Integer::Big(digits) => {
                let divisor = u128::from(divisor.unsigned_abs());
                let digits = digits.bytes().filter(u8::is_ascii_digit);
                digits.fold(0, |rest, digit| (rest * 10 + u128::from(digit - b'0')) % divisor) == 0
            }
        }
    }
}

/// How a string or a float fails to be an integer.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum NotInteger {
    Unparsable,
    TooLarge,
    Fractional,
    NotFinite,
    /// Too long to judge here.
    Unsure,
}

pub(super) fn str_as_int(text: &str) -> Result<Integer<'_>, NotInteger> {
    if text.len() > MAX_TEXT_BYTES {
        return Err(NotInteger::Unsure);
    }
    if let Some(number) = json_int(Cow::Borrowed(text)) {
        return Ok(number);
    }
    clean_int(text).and_then(json_int).ok_or(NotInteger::Unparsable)
}

/// Bytes of text that are read as a number here. Pydantic's own limit is 4,300 digits, which has an error of its own.
const MAX_TEXT_BYTES: usize = 1000;

pub(super) fn float_as_int(number: f64) -> Result<i64, NotInteger> {
    if !number.is_finite() {
        Err(NotInteger::NotFinite)
    } else if number % 1.0 != 0.0 {
        Err(NotInteger::Fractional)
    } else if (i64::MIN as f64) < number && number < (i64::MAX as f64) {
        Ok(number as i64)
    } else {
        Err(NotInteger::TooLarge)
    }
}

pub(super) fn str_as_float(text: &str) -> Option<f64> {
    text.trim().parse().ok().or_else(|| strip_underscores(text)?.parse().ok())
}

pub(super) fn str_as_bool(text: &str) -> Option<bool> {
    let is_one_of = |words: &[&str]| words.iter().any(|word| text.eq_ignore_ascii_case(word));
    if is_one_of(&["0", "f", "n", "no", "off", "false"]) {
        Some(false)
    } else if is_one_of(&["1", "t", "y", "on", "yes", "true"]) {
        Some(true)
    } else {
        None
    }
}

/// An integer by JSON's grammar.
fn json_int(text: Cow<'_, str>) -> Option<Integer<'_>> {
    let digits = text.strip_prefix('-').unwrap_or(&text);
    let is_integer = digits.bytes().all(|byte| byte.is_ascii_digit())
        && match digits.as_bytes() {
            [] => false,
            [b'0', rest @ ..] => rest.is_empty(),
            _ => true,
        };
    if !is_integer {
        return None;
    }
    Some(match text.parse() {
        Ok(small) => Integer::Small(small),
        Err(_) => Integer::Big(text),
    })
}

/// The text without white space, plus sign, leading zeros, underscores and a fraction of zeros; `None` if nothing helps.
fn clean_int(text: &str) -> Option<Cow<'_, str>> {
    let mut rest = text.trim();
    if let Some(unsigned) = rest.strip_prefix('+') {
        if unsigned.starts_with('-') {
            return None;
        }
        rest = unsigned;
    }
    let mut is_negative = false;
    if let Some(unsigned) = rest.strip_prefix('-') {
        if unsigned.starts_with(['-', '+']) {
            return None;
        }
        is_negative = true;
        rest = unsigned;
    }
    rest = strip_leading_zeros(rest)?;
    if let Some((whole, fraction)) = rest.split_once('.') {
        if !fraction.is_empty() && fraction.bytes().all(|byte| byte == b'0') {
            rest = whole;
        }
    }
    let cleaned = match strip_underscores(rest) {
        Some(stripped) => Cow::Owned(stripped),
        None if rest.len() == text.len() => return None,
        None => Cow::Borrowed(rest),
    };
    Some(if is_negative { Cow::Owned(format!("-{cleaned}")) } else { cleaned })
}

fn strip_leading_zeros(text: &str) -> Option<&str> {
    let mut characters = text.char_indices();
    match characters.next()? {
        (_, '0') => {}
        (_, '1'..='9' | '-') => return Some(text),
        _ => return None,
    }
    for (at, character) in characters {
        match character {
            '0' | '_' => {}
            '1'..='9' | '-' => return Some(&text[at..]),
            '.' => return Some(&text[at - 1..]),
            _ => return None,
        }
    }
    Some(&text[text.len() - 1..])
}

fn strip_underscores(text: &str) -> Option<String> {
    let is_well_placed =
        text.contains('_') && !text.starts_with('_') && !text.ends_with('_') && !text.contains("__");
    is_well_placed.then(|| text.replace('_', ""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strings_count_as_integers() {
        for (text, expected) in [
            ("1", Some(1)),
            (" 1 ", Some(1)),
            ("+1", Some(1)),
            ("-01", Some(-1)),
            ("1.0", Some(1)),
            ("1.00", Some(1)),
            ("1_000", Some(1000)),
            ("0_0", Some(0)),
            ("00", Some(0)),
            ("1.5", None),
            ("1.", None),
            ("", None),
            ("+-1", None),
            ("--1", None),
            ("1__0", None),
            ("_1", None),
            ("1e3", None),
            ("٣", None),
        ] {
            let expected = expected.map(Integer::Small).ok_or(NotInteger::Unparsable);
            assert_eq!(str_as_int(text), expected, "{text:?}");
        }
    }

    #[test]
    fn big_integers_divide() {
        let number = Integer::Big("36893488147419103232".into());
        assert!(number.is_multiple_of(1024));
        assert!(number.is_multiple_of(-2));
        assert!(!number.is_multiple_of(3));
    }
}
