//! JSON text to a tree of values, as `json.loads` reads it.
//!
//! Owns: the grammar, and the message and position of a syntax error. Does not own: Python objects (`decode`).
//! Rule: what is read here is what `json.loads` reads, and a syntax error is the one that it raises; what only Python can
//! hold or judge (lone surrogates, UTF-16, integers of many hundred digits, great depth) is [`Fault::Beyond`].
//! Spec: CPython 3.13's `Modules/_json.c` and `Lib/json`, which accept more than RFC 8259: `NaN`, `Infinity`, floats that
//! overflow, repeated keys.

use super::escape::{is_plain, plain_prefix};
use std::borrow::Cow;
use std::collections::HashMap;

/// A JSON value that borrows from its text what needs no unescaping.
#[derive(Clone, Debug, PartialEq)]
pub enum Value<'a> {
    /// `null`
    Null,
    /// `true` or `false`
    Bool(bool),
    /// An integer of 64 bits.
    Int(i64),
    /// A wider integer: its sign and digits, as they were written (no leading zero, not `-0`).
    BigInt(&'a str),
    /// A number with a point or an exponent, `NaN`, or an infinity.
    Float(f64),
    /// A string.
    Str(Cow<'a, str>),
    /// An array.
    Array(Vec<Value<'a>>),
    /// An object. Each key once, where it first stood, with the value that came last.
    Object(Vec<(Cow<'a, str>, Value<'a>)>),
}

/// Why no value was read.
#[derive(Debug, PartialEq, Eq)]
pub enum Fault {
    /// `json.JSONDecodeError` with these `msg` and `pos` (in characters).
    Syntax {
        /// `JSONDecodeError.msg`
        message: &'static str,
        /// `JSONDecodeError.pos`
        position: usize,
    },
    /// Python is to read the text: it may hold what a [`Value`] cannot, or raise something else.
    Beyond,
}

/// Reads one JSON text.
///
/// # Errors
/// See [`Fault`].
pub fn parse(text: &[u8]) -> Result<Value<'_>, Fault> {
    let text = utf8_text(text).ok_or(Fault::Beyond)?;
    let mut parser = Parser { text, bytes: text.as_bytes(), at: 0 };
    parser.skip_space();
    let mut value = Value::Null;
    parser.value(MAX_DEPTH, &mut value)?;
    parser.skip_space();
    match parser.at == text.len() {
        true => Ok(value),
        false => Err(parser.syntax("Extra data", parser.at)),
    }
}

const BYTE_ORDER_MARK: &[u8] = b"\xEF\xBB\xBF";

/// Arrays and objects within each other.
///
/// Far below Python's recursion limit, so that what is deeper gets Python's own answer. serde_json allows 128.
const MAX_DEPTH: u32 = 128;

/// Digits of an integer that any `sys.set_int_max_str_digits()` lets through, which is 640 at least.
const MAX_INT_DIGITS: usize = 640;

/// The text without its byte order mark, where it is UTF-8 by the rules of `json.detect_encoding`.
fn utf8_text(text: &[u8]) -> Option<&str> {
    // A NUL among the first two bytes means UTF-16 or UTF-32; so do their marks, which are not UTF-8.
    if text.iter().take(2).any(|&byte| byte == 0) {
        return None;
    }
    let text = text.strip_prefix(BYTE_ORDER_MARK).unwrap_or(text);
    std::str::from_utf8(text).ok()
}

struct Parser<'a> {
    text: &'a str,
    bytes: &'a [u8],
    /// Byte offset of what is read next.
    at: usize,
}

impl<'a> Parser<'a> {
    /// Reads a value into `slot`, which holds `Null`.
    ///
    /// Into a place rather than returned: moving a `Value` through `Result`s cost more than reading it (store forwarding
    /// stalls, 36% of all time).
    fn value(&mut self, depth: u32, slot: &mut Value<'a>) -> Result<(), Fault> {
        let start = self.at;
        *slot = match self.peek() {
            Some(b'"') => Value::Str(self.string()?),
            Some(b'{') => Value::Object(self.object(depth.checked_sub(1).ok_or(Fault::Beyond)?)?),
            Some(b'[') => Value::Array(self.array(depth.checked_sub(1).ok_or(Fault::Beyond)?)?),
            Some(b'n') if self.take("null") => Value::Null,
            Some(b't') if self.take("true") => Value::Bool(true),
            Some(b'f') if self.take("false") => Value::Bool(false),
            Some(b'N') if self.take("NaN") => Value::Float(f64::NAN),
            Some(b'I') if self.take("Infinity") => Value::Float(f64::INFINITY),
            Some(b'-') if self.take("-Infinity") => Value::Float(f64::NEG_INFINITY),
            Some(b'-' | b'0'..=b'9') => return self.number(slot),
            _ => return Err(self.syntax("Expecting value", start)),
        };
        Ok(())
    }

    fn object(&mut self, depth: u32) -> Result<Entries<'a>, Fault> {
        self.at += 1;
        self.skip_space();
        if self.take_byte(b'}') {
            return Ok(Vec::new());
        }
        let mut entries = Vec::with_capacity(FIRST_MEMBERS);
        loop {
            if self.peek() != Some(b'"') {
                return Err(self.syntax("Expecting property name enclosed in double quotes", self.at));
            }
            let key = self.string()?;
            self.skip_space();
            if !self.take_byte(b':') {
                return Err(self.syntax("Expecting ':' delimiter", self.at));
            }
            self.skip_space();
            entries.push((key, Value::Null));
            if let Some((_, slot)) = entries.last_mut() {
                self.value(depth, slot)?;
            }
            self.skip_space();
            if self.take_byte(b'}') {
                return Ok(last_wins(entries));
            }
            self.comma(b'}', "Illegal trailing comma before end of object")?;
        }
    }

    fn array(&mut self, depth: u32) -> Result<Vec<Value<'a>>, Fault> {
        let mut items = Vec::new();
        self.at += 1;
        self.skip_space();
        if self.take_byte(b']') {
            return Ok(items);
        }
        loop {
            items.push(Value::Null);
            if let Some(slot) = items.last_mut() {
                self.value(depth, slot)?;
            }
            self.skip_space();
            if self.take_byte(b']') {
                return Ok(items);
            }
            self.comma(b']', "Illegal trailing comma before end of array")?;
        }
    }

    /// A comma and the space after it, which `end` must not follow.
    fn comma(&mut self, end: u8, if_it_follows: &'static str) -> Result<(), Fault> {
        let comma = self.at;
        if !self.take_byte(b',') {
            return Err(self.syntax("Expecting ',' delimiter", comma));
        }
        self.skip_space();
        match self.peek() == Some(end) {
            true => Err(self.syntax(if_it_follows, comma)),
            false => Ok(()),
        }
    }

    fn string(&mut self) -> Result<Cow<'a, str>, Fault> {
        let quote = self.at;
        self.at += 1;
        let run = self.plain_run();
        if self.take_byte(b'"') {
            return Ok(Cow::Borrowed(run));
        }
        let mut unescaped = String::from(run);
        loop {
            match self.peek() {
                Some(b'"') => {
                    self.at += 1;
                    return Ok(Cow::Owned(unescaped));
                }
                Some(b'\\') => unescaped.push(self.escape(quote)?),
                Some(_) => return Err(self.syntax("Invalid control character at", self.at)),
                None => return Err(self.syntax("Unterminated string starting at", quote)),
            }
            unescaped.push_str(self.plain_run());
        }
    }

    fn plain_run(&mut self) -> &'a str {
        let start = self.at;
        self.at += plain_prefix(&self.bytes[start..], is_plain);
        &self.text[start..self.at]
    }

    fn escape(&mut self, quote: usize) -> Result<char, Fault> {
        let backslash = self.at;
        let Some(&letter) = self.bytes.get(backslash + 1) else {
            return Err(self.syntax("Unterminated string starting at", quote));
        };
        let character = match letter {
            b'"' | b'\\' | b'/' => char::from(letter),
            b'b' => '\u{8}',
            b'f' => '\u{c}',
            b'n' => '\n',
            b'r' => '\r',
            b't' => '\t',
            b'u' => return self.unicode_escape(backslash),
            _ => return Err(self.syntax("Invalid \\escape", backslash)),
        };
        self.at = backslash + 2;
        Ok(character)
    }

    fn unicode_escape(&mut self, backslash: usize) -> Result<char, Fault> {
        // Python wants one more character after the digits, be it only the closing quote.
        let unit = match self.hex4(backslash + 2) {
            Some(unit) if backslash + 6 < self.bytes.len() => unit,
            _ => return Err(self.syntax("Invalid \\uXXXX escape", backslash + 1)),
        };
        self.at = backslash + 6;
        if let Some(character) = char::from_u32(unit) {
            return Ok(character);
        }
        // Half of a pair. Whatever is not plainly the other half is Python's to judge.
        let is_followed = self.bytes[self.at..].starts_with(b"\\u") && self.at + 6 < self.bytes.len();
        match self.hex4(self.at + 2) {
            Some(low @ 0xDC00..0xE000) if is_followed && unit < 0xDC00 => {
                self.at += 6;
                char::from_u32(0x10000 + ((unit - 0xD800) << 10 | (low - 0xDC00))).ok_or(Fault::Beyond)
            }
            _ => Err(Fault::Beyond),
        }
    }

    fn hex4(&self, at: usize) -> Option<u32> {
        let digits = self.bytes.get(at..at + 4)?;
        digits.iter().try_fold(0, |unit, &digit| Some(unit << 4 | char::from(digit).to_digit(16)?))
    }

    fn number(&mut self, slot: &mut Value<'a>) -> Result<(), Fault> {
        let start = self.at;
        let is_negative = self.take_byte(b'-');
        match self.peek() {
            Some(b'0') => self.at += 1,
            Some(b'1'..=b'9') => self.skip_digits(),
            _ => return Err(self.syntax("Expecting value", start)),
        }
        let integer_end = self.at;
        if self.peek() == Some(b'.') && self.is_digit(self.at + 1) {
            self.at += 1;
            self.skip_digits();
        }
        if let Some(b'e' | b'E') = self.peek() {
            let sign = usize::from(matches!(self.bytes.get(self.at + 1), Some(b'-' | b'+')));
            if self.is_digit(self.at + 1 + sign) {
                self.at += 1 + sign;
                self.skip_digits();
            }
        }
        let digits = &self.text[start..self.at];
        *slot = if self.at != integer_end {
            Value::Float(digits.parse().map_err(|_| Fault::Beyond)?)
        } else if let Ok(small) = digits.parse() {
            Value::Int(small)
        } else if digits.len() - usize::from(is_negative) <= MAX_INT_DIGITS {
            Value::BigInt(digits)
        } else {
            return Err(Fault::Beyond);
        };
        Ok(())
    }

    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    fn take(&mut self, expected: &str) -> bool {
        let is_there = self.bytes[self.at..].starts_with(expected.as_bytes());
        if is_there {
            self.at += expected.len();
        }
        is_there
    }

    #[inline]
    fn take_byte(&mut self, expected: u8) -> bool {
        let is_there = self.peek() == Some(expected);
        self.at += usize::from(is_there);
        is_there
    }

    fn is_digit(&self, at: usize) -> bool {
        self.bytes.get(at).is_some_and(u8::is_ascii_digit)
    }

    fn skip_digits(&mut self) {
        while self.is_digit(self.at) {
            self.at += 1;
        }
    }

    fn skip_space(&mut self) {
        while let Some(b' ' | b'\t' | b'\n' | b'\r') = self.peek() {
            self.at += 1;
        }
    }

    #[cold]
    fn syntax(&self, message: &'static str, at: usize) -> Fault {
        // Python counts characters: the bytes that do not continue one.
        let position = self.bytes[..at].iter().filter(|&&byte| byte & 0xC0 != 0x80).count();
        Fault::Syntax { message, position }
    }
}

/// Members of an object for which there is room at once.
const FIRST_MEMBERS: usize = 8;

type Entries<'a> = Vec<(Cow<'a, str>, Value<'a>)>;

/// What a Python dict keeps of repeated keys: the first place, the last value.
fn last_wins(entries: Entries<'_>) -> Entries<'_> {
    if entries.len() <= FEW_KEYS {
        let is_repeated = |at: usize| entries[..at].iter().any(|(key, _)| *key == entries[at].0);
        if !(1..entries.len()).any(is_repeated) {
            return entries;
        }
    }
    let mut kept: Entries<'_> = Vec::with_capacity(entries.len());
    let mut places: HashMap<Cow<'_, str>, usize> = HashMap::with_capacity(entries.len());
    for (key, value) in entries {
        match places.get(&key) {
            Some(&place) => kept[place].1 = value,
            None => {
                places.insert(key.clone(), kept.len());
                kept.push((key, value));
            }
        }
    }
    kept
}

/// Keys that are compared with each other; more are hashed. 16 keys are at most 120 comparisons of lengths, mostly.
const FEW_KEYS: usize = 16;

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Value<'_> {
        parse(text.as_bytes()).expect("JSON")
    }

    #[test]
    fn values_are_those_of_python() {
        assert_eq!(read(" [1, -0, 2.5, 1e400, true, null] "), {
            let float = f64::INFINITY;
            Value::Array(vec![
                Value::Int(1),
                Value::Int(0),
                Value::Float(2.5),
                Value::Float(float),
                Value::Bool(true),
                Value::Null,
            ])
        });
        assert_eq!(read(r#""a\u00e9\ud83d\ude00\n""#), Value::Str("aé😀\n".into()));
        assert_eq!(read("9223372036854775808"), Value::BigInt("9223372036854775808"));
        assert_eq!(read("-Infinity"), Value::Float(f64::NEG_INFINITY));
        assert_eq!(read("\u{feff}1"), Value::Int(1));
    }

    #[test]
    fn repeated_key_keeps_the_first_place_and_the_last_value() {
        let expected = Value::Object(vec![("a".into(), Value::Int(3)), ("b".into(), Value::Int(2))]);
        assert_eq!(read(r#"{"a": 1, "b": 2, "a": 3}"#), expected);
    }

    #[test]
    fn syntax_errors_are_those_of_python() {
        for (text, message, position) in [
            ("", "Expecting value", 0),
            ("  ", "Expecting value", 2),
            ("é", "Expecting value", 0),
            ("-", "Expecting value", 0),
            ("[1,]", "Illegal trailing comma before end of array", 2),
            ("[1 2]", "Expecting ',' delimiter", 3),
            ("[", "Expecting value", 1),
            ("{", "Expecting property name enclosed in double quotes", 1),
            ("{\"é\" 1}", "Expecting ':' delimiter", 5),
            ("{\"a\": 1, }", "Illegal trailing comma before end of object", 7),
            ("\"é", "Unterminated string starting at", 0),
            ("\"a\\", "Unterminated string starting at", 0),
            ("\"a\tb\"", "Invalid control character at", 2),
            ("\"\\x\"", "Invalid \\escape", 1),
            ("\"\\u12\"", "Invalid \\uXXXX escape", 2),
            ("\"\\u1234", "Invalid \\uXXXX escape", 2),
            ("01", "Extra data", 1),
            ("1.", "Extra data", 1),
            ("1e", "Extra data", 1),
            ("tru", "Expecting value", 0),
        ] {
            assert_eq!(parse(text.as_bytes()), Err(Fault::Syntax { message, position }), "{text}");
        }
    }

    #[test]
    fn what_only_python_can_hold_is_beyond() {
        let deep = "[".repeat(200);
        let digits = "9".repeat(641);
        for text in [
            &b"\"\\ud800\""[..],
            b"\"\\ude00\\ud83d\"",
            b"\"\xff\"",
            b"1\0",
            deep.as_bytes(),
            digits.as_bytes(),
        ] {
            assert_eq!(parse(text), Err(Fault::Beyond));
        }
    }
}
