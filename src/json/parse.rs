//! JSON text to a [`Document`], as `json.loads` reads it.
//!
//! Owns: the grammar, and the message and position of a syntax error. Does not own: Python objects (`decode`).
//! Rule: what is read here is what `json.loads` reads, and a syntax error is the one that it raises; what only Python can
//! hold or judge (lone surrogates, UTF-16, integers of many hundred digits, great depth) is [`Fault::Beyond`].
//! Spec: CPython 3.13's `Modules/_json.c` and `Lib/json`, which accept more than RFC 8259: `NaN`, `Infinity`, floats that
//! overflow, repeated keys.

use super::document::{slice, Entry, Extent, Span};
use std::collections::HashMap;

pub use super::document::{Array, Document, Object, Place, Value};

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
pub fn parse(text: &[u8]) -> Result<Document<'_>, Fault> {
    let text = utf8_text(text).ok_or(Fault::Beyond)?;
    if text.len() > u32::MAX as usize {
        return Err(Fault::Beyond);
    }
    let document = Document {
        text,
        entries: Vec::with_capacity((text.len() / BYTES_OF_AN_ENTRY).clamp(FEWEST_ENTRIES, MOST_ENTRIES)),
        unescaped: String::new(),
    };
    let mut parser = Parser { bytes: text.as_bytes(), at: 0, document };
    parser.skip_space();
    parser.value(MAX_DEPTH)?;
    parser.skip_space();
    match parser.at == text.len() {
        true => Ok(parser.document),
        false => Err(parser.syntax("Extra data", parser.at)),
    }
}

/// Bytes of text for each entry, of records with short strings and numbers.
const BYTES_OF_AN_ENTRY: usize = 9;

/// Entries, of 16 bytes, for which there is room at once.
const FEWEST_ENTRIES: usize = 32;
const MOST_ENTRIES: usize = 64 * 1024;

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
    bytes: &'a [u8],
    /// Byte offset of what is read next.
    at: usize,
    document: Document<'a>,
}

impl Parser<'_> {
    fn value(&mut self, depth: u32) -> Result<(), Fault> {
        let start = self.at;
        let entry = match self.peek() {
            Some(b'"') => self.string()?,
            Some(b'{') => return self.object(depth.checked_sub(1).ok_or(Fault::Beyond)?),
            Some(b'[') => return self.array(depth.checked_sub(1).ok_or(Fault::Beyond)?),
            Some(b'0'..=b'9') => self.number()?,
            Some(b'n') if self.take("null") => Entry::Null,
            Some(b't') if self.take("true") => Entry::Bool(true),
            Some(b'f') if self.take("false") => Entry::Bool(false),
            Some(b'N') if self.take("NaN") => Entry::Float(f64::NAN),
            Some(b'I') if self.take("Infinity") => Entry::Float(f64::INFINITY),
            Some(b'-') if self.take("-Infinity") => Entry::Float(f64::NEG_INFINITY),
            Some(b'-') => self.number()?,
            _ => return Err(self.syntax("Expecting value", start)),
        };
        self.document.entries.push(entry);
        Ok(())
    }

    fn object(&mut self, depth: u32) -> Result<(), Fault> {
        let start = self.document.entries.len();
        self.document.entries.push(Entry::Object(Extent { count: 0, entries: 0 }));
        self.at += 1;
        self.skip_space();
        if self.take_byte(b'}') {
            return Ok(());
        }
        let mut seen = Seen::default();
        let mut count = 0;
        loop {
            if self.peek() != Some(b'"') {
                return Err(self.syntax("Expecting property name enclosed in double quotes", self.at));
            }
            let key = self.string()?;
            seen.add(match key {
                Entry::Unescaped(span) => slice(&self.document.unescaped, span).as_bytes(),
                Entry::Str(span) => {
                    self.bytes.get(span.start as usize..span.end as usize).unwrap_or_default()
                }
                _ => b"",
            });
            self.document.entries.push(key);
            self.skip_space();
            if !self.take_byte(b':') {
                return Err(self.syntax("Expecting ':' delimiter", self.at));
            }
            self.skip_space();
            self.value(depth)?;
            count += 1;
            self.skip_space();
            if self.take_byte(b'}') {
                if seen.may_repeat {
                    count = self.let_last_win(start + 1, count);
                }
                let entries = (self.document.entries.len() - start - 1) as u32;
                self.document.entries[start] = Entry::Object(Extent { count, entries });
                return Ok(());
            }
            self.comma(b'}', "Illegal trailing comma before end of object")?;
        }
    }

    /// Leaves of repeated keys what a Python dict keeps: the first place, the last value.
    #[cold]
    fn let_last_win(&mut self, start: usize, count: u32) -> u32 {
        let members = Object { document: &self.document, at: start as u32, count };
        let mut places: HashMap<&str, usize> = HashMap::with_capacity(members.len());
        // Of each key kept: where it stands, and where its last value does.
        let mut kept: Vec<(u32, u32)> = Vec::with_capacity(members.len());
        for place in members.places() {
            let key = members.key(place).unwrap_or_default();
            match places.get(key) {
                Some(&first) => kept[first].1 = place.at + 1,
                None => {
                    places.insert(key, kept.len());
                    kept.push((place.at, place.at + 1));
                }
            }
        }
        if kept.len() < members.len() {
            let mut entries = Vec::new();
            for &(key, value) in &kept {
                entries.push(self.document.entries[key as usize]);
                let end = self.document.after(value);
                entries.extend_from_slice(&self.document.entries[value as usize..end as usize]);
            }
            self.document.entries.truncate(start);
            self.document.entries.append(&mut entries);
        }
        kept.len() as u32
    }

    fn array(&mut self, depth: u32) -> Result<(), Fault> {
        let start = self.document.entries.len();
        self.document.entries.push(Entry::Array(Extent { count: 0, entries: 0 }));
        self.at += 1;
        self.skip_space();
        if self.take_byte(b']') {
            return Ok(());
        }
        let mut count = 0;
        loop {
            self.value(depth)?;
            count += 1;
            self.skip_space();
            if self.take_byte(b']') {
                let entries = (self.document.entries.len() - start - 1) as u32;
                self.document.entries[start] = Entry::Array(Extent { count, entries });
                return Ok(());
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

    fn string(&mut self) -> Result<Entry, Fault> {
        let quote = self.at;
        self.at += 1;
        self.skip_plain();
        if self.take_byte(b'"') {
            return Ok(Entry::Str(Span { start: quote as u32 + 1, end: self.at as u32 - 1 }));
        }
        let start = self.document.unescaped.len();
        let mut run = quote + 1;
        loop {
            let text: &str = self.document.text;
            self.document.unescaped.push_str(text.get(run..self.at).unwrap_or_default());
            match self.peek() {
                Some(b'"') => {
                    self.at += 1;
                    // No longer than the text: each escape is longer than what it stands for.
                    let end = self.document.unescaped.len() as u32;
                    return Ok(Entry::Unescaped(Span { start: start as u32, end }));
                }
                Some(b'\\') => {
                    let character = self.escape(quote)?;
                    self.document.unescaped.push(character);
                }
                Some(_) => return Err(self.syntax("Invalid control character at", self.at)),
                None => return Err(self.syntax("Unterminated string starting at", quote)),
            }
            run = self.at;
            self.skip_plain();
        }
    }

    /// Goes on to the next quote, backslash or control character, eight bytes at a time.
    #[inline]
    fn skip_plain(&mut self) {
        const EACH: u64 = 0x0101_0101_0101_0101;
        while let Some(word) = self.bytes.get(self.at..).and_then(|rest| rest.first_chunk::<8>()) {
            let word = u64::from_le_bytes(*word);
            let is_zero = |word: u64| word.wrapping_sub(EACH) & !word;
            let quote = is_zero(word ^ (EACH * u64::from(b'"')));
            let backslash = is_zero(word ^ (EACH * u64::from(b'\\')));
            let control = word.wrapping_sub(EACH * 0x20) & !word;
            // The lowest high bit is exact; those above it may be carried there.
            let other = (quote | backslash | control) & (EACH * 0x80);
            if other != 0 {
                self.at += other.trailing_zeros() as usize / 8;
                return;
            }
            self.at += 8;
        }
        while self.peek().is_some_and(|byte| byte >= 0x20 && byte != b'"' && byte != b'\\') {
            self.at += 1;
        }
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
        let unit = match self.hex4(backslash + 2) {
            Some(unit) if backslash + 6 < self.bytes.len() => unit,
            // A text that ends with the last digit: an invalid escape to 3.13, an unterminated string to 3.14.
            Some(_) => return Err(Fault::Beyond),
            None => return Err(self.syntax("Invalid \\uXXXX escape", backslash + 1)),
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

    fn number(&mut self) -> Result<Entry, Fault> {
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
        let text: &str = self.document.text;
        let digits = text.get(start..self.at).unwrap_or_default();
        Ok(if self.at != integer_end {
            Entry::Float(digits.parse().map_err(|_| Fault::Beyond)?)
        } else if let Ok(small) = digits.parse() {
            Entry::Int(small)
        } else if digits.len() - usize::from(is_negative) <= MAX_INT_DIGITS {
            Entry::BigInt(Span { start: start as u32, end: self.at as u32 })
        } else {
            return Err(Fault::Beyond);
        })
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

/// Whether two keys of an object may be the same, told by short marks of them.
#[derive(Default)]
struct Seen {
    marks: [u32; FEW_KEYS],
    count: usize,
    may_repeat: bool,
}

impl Seen {
    fn add(&mut self, bytes: &[u8]) {
        // Its length, its ends, and its middle. Never 0, which stands for none.
        let at = |place: usize| u32::from(bytes.get(place).copied().unwrap_or_default());
        let last = bytes.len().saturating_sub(1);
        let mark = at(0) ^ at(last) << 8 ^ at(bytes.len() / 2) << 16 ^ (bytes.len() as u32 | 0x80) << 24;
        self.may_repeat |= self.count == FEW_KEYS || self.marks.contains(&mark);
        if let Some(place) = self.marks.get_mut(self.count) {
            *place = mark;
            self.count += 1;
        }
    }
}

/// Keys that are compared by their marks; an object of more is looked at in whole.
const FEW_KEYS: usize = 16;

#[cfg(test)]
mod tests {
    use super::*;

    /// The value as it was read, in a form of its own.
    fn read(text: &str) -> String {
        fn show(value: Value<'_>) -> String {
            match value {
                Value::Str(text) => format!("'{text}'"),
                Value::Array(items) => format!("[{}]", items.iter().map(show).collect::<Vec<_>>().join(" ")),
                Value::Object(entries) => {
                    let entries = entries.iter().map(|(key, value)| format!("{key}={}", show(value)));
                    format!("<{}>", entries.collect::<Vec<_>>().join(" "))
                }
                scalar => format!("{scalar:?}"),
            }
        }
        show(parse(text.as_bytes()).expect("JSON").root())
    }

    #[test]
    fn values_are_those_of_python() {
        let read_ones = "[Int(1) Int(0) Float(2.5) Float(inf) Bool(true) Null]";
        assert_eq!(read(" [1, -0, 2.5, 1e400, true, null] "), read_ones);
        assert_eq!(read(r#""a\u00e9\ud83d\ude00\t""#), "'aé😀\t'");
        assert_eq!(
            read(r#"["a long string, \\, and more of it", ""]"#),
            r"['a long string, \, and more of it' '']"
        );
        assert_eq!(read("9223372036854775808"), "BigInt(\"9223372036854775808\")");
        assert_eq!(read("-Infinity"), "Float(-inf)");
        assert_eq!(read("\u{feff}1"), "Int(1)");
        assert_eq!(read(r#"[[], {}, [{"a": []}]]"#), "[[] <> [<a=[]>]]");
    }

    #[test]
    fn repeated_key_keeps_the_first_place_and_the_last_value() {
        assert_eq!(read(r#"{"a": 1, "b": [2], "a": [3, 4]}"#), "<a=[Int(3) Int(4)] b=[Int(2)]>");
        assert_eq!(read(r#"[{"a": 1, "\u0061": 2}, 5]"#), "[<a=Int(2)> Int(5)]");
        // Alike by their marks.
        assert_eq!(read(r#"{"axbyc": 1, "azbwc": 2}"#), "<axbyc=Int(1) azbwc=Int(2)>");
        let many: Vec<_> = (0..40).map(|key| format!("\"{}\":{key}", key % 20)).collect();
        let kept: Vec<_> = (0..20).map(|key| format!("{key}=Int({})", key + 20)).collect();
        assert_eq!(read(&format!("{{{}}}", many.join(","))), format!("<{}>", kept.join(" ")));
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
            ("\"\\u123", "Invalid \\uXXXX escape", 2),
            ("01", "Extra data", 1),
            ("1.", "Extra data", 1),
            ("1e", "Extra data", 1),
            ("tru", "Expecting value", 0),
        ] {
            assert_eq!(parse(text.as_bytes()).err(), Some(Fault::Syntax { message, position }), "{text}");
        }
    }

    #[test]
    fn what_only_python_can_hold_is_beyond() {
        let deep = "[".repeat(200);
        let digits = "9".repeat(641);
        for text in [
            &b"\"\\ud800\""[..],
            b"\"\\ude00\\ud83d\"",
            b"\"\\u1234",
            b"\"\xff\"",
            b"1\0",
            deep.as_bytes(),
            digits.as_bytes(),
        ] {
            assert_eq!(parse(text).err(), Some(Fault::Beyond));
        }
    }
}
