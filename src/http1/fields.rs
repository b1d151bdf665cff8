//! Response fields, checked one by one and kept as encoded lines.
//!
//! Owns: which fields a response may carry, and what of them the encoder must know.
//! Rule: what is in a block may go to the wire as it is. Spec: RFC 9110 sections 5.5, 5.6.2, 8.6.

use super::chars;
use super::parse::parse_length;
use crate::bytes_ext::{list_members, trim_ows};

/// Response fields, checked one by one and kept as encoded lines.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FieldBlock {
    /// Whole lines, names in lower case, each with its CRLF.
    lines: Vec<u8>,
    content_length: Option<u64>,
    close: bool,
    has_framing: bool,
    has_content_type: bool,
    has_date: bool,
}

/// Why a response field is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FieldFault {
    /// The name is empty or not a token (RFC 9110 section 5.6.2).
    Name,
    /// The value holds CR, LF or NUL, or another byte that is not allowed (RFC 9110 section 5.5).
    Value,
    /// `content-length` is not a number, or repeated with another value.
    ContentLength,
}

impl FieldFault {
    /// One fixed sentence.
    pub fn reason(self) -> &'static str {
        match self {
            FieldFault::Name => "the name is not a token",
            FieldFault::Value => "the value holds a control character",
            FieldFault::ContentLength => "content-length is not one number",
        }
    }
}

impl FieldBlock {
    /// No fields.
    pub fn new() -> Self {
        FieldBlock::default()
    }

    /// Adds one field. `content-length` is noted, not encoded (the encoder writes the framing);
    /// `connection` is noted if it says `close`, and dropped; `transfer-encoding`, `keep-alive` and `upgrade` are dropped
    /// and noted in `has_framing`; `date` and `server` given by the app replace ours.
    ///
    /// # Errors
    /// The field may not go to the wire; the block is as before.
    pub fn push(&mut self, name: &[u8], value: &[u8]) -> Result<(), FieldFault> {
        if !chars::is_token_all(name) {
            return Err(FieldFault::Name);
        }
        let value = trim_ows(value);
        if !value.iter().all(|&byte| chars::is_value(byte)) {
            return Err(FieldFault::Value);
        }
        match own_field(name) {
            Some(OwnField::ContentLength) => {
                let length = parse_length(value).ok_or(FieldFault::ContentLength)?;
                if self.content_length.is_some_and(|noted| noted != length) {
                    return Err(FieldFault::ContentLength);
                }
                self.content_length = Some(length);
                self.has_framing = true;
                return Ok(());
            }
            Some(OwnField::Connection) => {
                self.close |= list_members(value).any(|option| option.eq_ignore_ascii_case(b"close"));
                self.has_framing = true;
                return Ok(());
            }
            Some(OwnField::HopByHop) => {
                self.has_framing = true;
                return Ok(());
            }
            Some(OwnField::ContentType) => self.has_content_type = true,
            Some(OwnField::Date) => self.has_date = true,
            None => {}
        }
        let size = name.len() + value.len() + 4;
        self.lines.reserve(if self.lines.is_empty() { size.max(USUAL_BYTES) } else { size });
        self.lines.extend(name.iter().map(u8::to_ascii_lowercase));
        self.lines.extend_from_slice(b": ");
        self.lines.extend_from_slice(value);
        self.lines.extend_from_slice(b"\r\n");
        Ok(())
    }

    /// A field of framing was given (`content-length`, `transfer-encoding`, `connection`): a fault for raw handlers.
    pub fn has_framing(&self) -> bool {
        self.has_framing
    }

    /// `content-type` was given.
    pub fn has_content_type(&self) -> bool {
        self.has_content_type
    }

    /// The `content-length` that was given.
    pub fn content_length(&self) -> Option<u64> {
        self.content_length
    }

    /// The application asked for the connection to be closed.
    pub fn wants_close(&self) -> bool {
        self.close
    }

    /// The application gave a `date` of its own.
    pub fn has_date(&self) -> bool {
        self.has_date
    }

    /// The fields in order, names in lower case, without those of framing.
    pub fn iter(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        let mut rest = &self.lines[..];
        std::iter::from_fn(move || {
            let (line, after) = rest.split_at(memchr::memchr(b'\n', rest)? + 1);
            rest = after;
            let colon = memchr::memchr(b':', line)?;
            Some((&line[..colon], &line[colon + 2..line.len() - 2]))
        })
    }

    /// The first value of that name, which is given in lower case.
    pub fn first(&self, name: &[u8]) -> Option<&[u8]> {
        self.iter().find(|(own, _)| *own == name).map(|(_, value)| value)
    }

    /// Replaces the fields of that name by one, at the place of the first of them, or at the end.
    ///
    /// # Errors
    /// The field may not go to the wire, or is one of framing; the block is as before.
    pub fn set(&mut self, name: &[u8], value: &[u8]) -> Result<(), FieldFault> {
        if matches!(
            own_field(name),
            Some(OwnField::ContentLength | OwnField::Connection | OwnField::HopByHop)
        ) {
            return Err(FieldFault::Name);
        }
        let mut made = FieldBlock { lines: Vec::with_capacity(self.lines.len() + value.len()), ..*self };
        let mut is_set = false;
        for (own, kept) in self.iter() {
            if !own.eq_ignore_ascii_case(name) {
                made.push(own, kept)?;
            } else if !is_set {
                made.push(name, value)?;
                is_set = true;
            }
        }
        if !is_set {
            made.push(name, value)?;
        }
        *self = made;
        Ok(())
    }

    /// Replaces the `content-length` that was given, or takes it away.
    pub fn set_content_length(&mut self, length: Option<u64>) {
        self.content_length = length;
    }

    /// The encoded lines, each with its CRLF.
    pub fn lines(&self) -> &[u8] {
        &self.lines
    }
}

/// Bytes reserved for the lines of a block at once: the fields of most responses fit, so that they grow no buffer.
const USUAL_BYTES: usize = 256;

/// Fields that the encoder writes, or must know of.
enum OwnField {
    ContentLength,
    ContentType,
    Connection,
    Date,
    HopByHop,
}

fn own_field(name: &[u8]) -> Option<OwnField> {
    let is = |own: &[u8]| name.eq_ignore_ascii_case(own);
    match name.len() {
        4 if is(b"date") => Some(OwnField::Date),
        7 if is(b"upgrade") => Some(OwnField::HopByHop),
        10 if is(b"connection") => Some(OwnField::Connection),
        10 if is(b"keep-alive") => Some(OwnField::HopByHop),
        12 if is(b"content-type") => Some(OwnField::ContentType),
        14 if is(b"content-length") => Some(OwnField::ContentLength),
        17 if is(b"transfer-encoding") => Some(OwnField::HopByHop),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn block(fields: &[(&[u8], &[u8])]) -> FieldBlock {
        let mut block = FieldBlock::new();
        for (name, value) in fields {
            block.push(name, value).unwrap();
        }
        block
    }

    #[test]
    fn fields_are_read_back_in_order_and_without_framing() {
        let block = block(&[
            (b"Vary", b"a: b"),
            (b"content-length", b"3"),
            (b"x-empty", b""),
            (b"connection", b"close"),
            (b"vary", b"c"),
        ]);
        let fields: Vec<_> = block.iter().collect();
        assert_eq!(fields, [(&b"vary"[..], &b"a: b"[..]), (b"x-empty", b""), (b"vary", b"c")]);
        assert_eq!(block.first(b"vary"), Some(&b"a: b"[..]));
        assert_eq!(block.first(b"content-length"), None);
        assert_eq!(FieldBlock::new().iter().count(), 0);
    }

    #[test]
    fn set_field_takes_the_place_of_the_first_and_removes_the_others() {
        let mut fields = block(&[(b"vary", b"a"), (b"x", b"1"), (b"vary", b"b"), (b"content-length", b"3")]);
        fields.set(b"Vary", b"a, b, Origin").unwrap();
        fields.set(b"content-encoding", b"gzip").unwrap();
        assert_eq!(fields.lines(), b"vary: a, b, Origin\r\nx: 1\r\ncontent-encoding: gzip\r\n");
        assert_eq!(fields.content_length(), Some(3));
        fields.set_content_length(Some(7));
        assert_eq!(fields.content_length(), Some(7));
        let before = fields.clone();
        assert_eq!(fields.set(b"x", b"a\r\nb"), Err(FieldFault::Value));
        assert_eq!(fields.set(b"content-length", b"1"), Err(FieldFault::Name));
        assert_eq!(fields, before);
    }
}
