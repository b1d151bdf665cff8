//! The bytes of a form, in order: delimiters, heads, content.
//!
//! Owns: [`Parser`]. Does not own: parameters (`options`).
//! Rule: what an event is depends on the bytes alone, not on how they were split; content that may still turn out to be
//! a delimiter is kept back, and nothing else.

use super::options::parse_options;
use super::Violation;
use bytes::{Buf, Bytes, BytesMut};
use memchr::memmem::Finder;

/// What a form may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Parts of a form; one more is 413. Starlette: 1,000 fields and 1,000 files.
    pub max_parts: usize,
    /// Bytes of a part's head; more is 413. python-multipart: 8 fields of 4 KiB.
    pub max_part_head_bytes: usize,
    /// Bytes of a field that is no file; more is 413. Starlette: 1 MiB.
    pub max_field_bytes: u64,
    /// Bytes of a file; more is 413. 0: as the body's own limit allows. Starlette: unlimited.
    pub max_file_bytes: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            max_parts: 1000,
            max_part_head_bytes: 8 * 1024,
            max_field_bytes: 1024 * 1024,
            max_file_bytes: 0,
        }
    }
}

/// Fields in the head of one part. python-multipart: the same.
const MAX_PART_FIELDS: usize = 8;

/// The head of one part.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PartHead {
    /// The field's name, as sent.
    pub name: Vec<u8>,
    /// The file's name, as sent. Parts without one are fields.
    pub filename: Option<Vec<u8>>,
    /// All fields, names in lower case.
    pub fields: Vec<(Vec<u8>, Vec<u8>)>,
}

/// What the input holds next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// Nothing whole yet: append to the input, then ask again.
    NeedMore,
    /// A part begins.
    Part(PartHead),
    /// A piece of its content, not empty.
    Data(Bytes),
    /// Its content is whole.
    PartEnd,
    /// The form is whole. Said again when asked again; what follows in the input is dropped.
    End,
}

/// Splits one form into parts.
///
/// ```
/// use bytes::BytesMut;
/// use turboapi::multipart::{Event, Limits, Parser};
///
/// let mut parser = Parser::new(b"b", Limits::default());
/// let mut input = BytesMut::from("--b\r\ncontent-disposition: form-data; name=\"a\"\r\n\r\nhel");
/// assert!(matches!(parser.next_event(&mut input)?, Event::Part(head) if head.name == b"a"));
/// assert!(matches!(parser.next_event(&mut input)?, Event::Data(piece) if piece == "hel"));
/// assert_eq!(parser.next_event(&mut input)?, Event::NeedMore);
/// input.extend_from_slice(b"lo\r\n--b--");
/// assert!(matches!(parser.next_event(&mut input)?, Event::Data(piece) if piece == "lo"));
/// assert_eq!(parser.next_event(&mut input)?, Event::PartEnd);
/// assert_eq!(parser.next_event(&mut input)?, Event::End);
/// # Ok::<(), turboapi::multipart::Violation>(())
/// ```
#[derive(Debug)]
pub struct Parser {
    /// CRLF, two hyphens and the boundary.
    delimiter: Vec<u8>,
    finder: Finder<'static>,
    limits: Limits,
    state: State,
    parts: usize,
    head: PartHead,
    /// Bytes of the head of the current part so far.
    head_bytes: usize,
    is_file: bool,
    /// Bytes of content of the current part so far.
    content_bytes: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Before the first byte.
    ExpectFirst,
    /// A line break came first: all up to the next hyphen is dropped.
    SkipToHyphen,
    /// The first boundary, without a line break before it.
    ExpectFirstLine,
    /// Fields of a part, or the line that ends them.
    InHead,
    InContent,
    /// A boundary and whitespace: the end of its line must follow.
    InPadding,
    Ended,
    Failed(Violation),
}

impl Parser {
    /// For a form with this boundary ([`super::boundary_of`]).
    pub fn new(boundary: &[u8], limits: Limits) -> Self {
        let delimiter = [b"\r\n--", boundary].concat();
        Parser {
            finder: Finder::new(&delimiter).into_owned(),
            delimiter,
            limits,
            state: State::ExpectFirst,
            parts: 0,
            head: PartHead::default(),
            head_bytes: 0,
            is_file: false,
            content_bytes: 0,
        }
    }

    /// Takes the next event off the front of `input`. Between calls the input may only grow at its end.
    ///
    /// # Errors
    /// The form is broken, or passes a limit. Said again when asked again.
    pub fn next_event(&mut self, input: &mut BytesMut) -> Result<Event, Violation> {
        let result = self.advance(input);
        if let Err(violation) = result {
            self.state = State::Failed(violation);
        }
        result
    }

    /// The input has ended.
    ///
    /// # Errors
    /// The form has not.
    pub fn finish(&self) -> Result<(), Violation> {
        match self.state {
            State::Ended => Ok(()),
            State::Failed(violation) => Err(violation),
            _ => Err(Violation::Truncated),
        }
    }

    fn advance(&mut self, input: &mut BytesMut) -> Result<Event, Violation> {
        loop {
            match self.state {
                State::ExpectFirst => match input.first() {
                    None => return Ok(Event::NeedMore),
                    Some(b'\r' | b'\n') => self.state = State::SkipToHyphen,
                    Some(_) => self.state = State::ExpectFirstLine,
                },
                State::SkipToHyphen => match memchr::memchr(b'-', input) {
                    Some(hyphen) => {
                        input.advance(hyphen);
                        self.state = State::ExpectFirstLine;
                    }
                    None => {
                        input.clear();
                        return Ok(Event::NeedMore);
                    }
                },
                State::ExpectFirstLine => match self.first_line(input)? {
                    Some(next) => self.state = next,
                    None => return Ok(Event::NeedMore),
                },
                State::InHead => return self.head_line(input),
                State::InContent => return self.content(input),
                State::InPadding => match input[..] {
                    [] | [b'\r'] => return Ok(Event::NeedMore),
                    [b' ' | b'\t', ..] => input.advance(1),
                    [b'\r', b'\n', ..] => {
                        input.advance(2);
                        self.begin_head();
                    }
                    _ => return Err(Violation::BadDelimiter),
                },
                State::Ended => {
                    input.clear();
                    return Ok(Event::End);
                }
                State::Failed(violation) => return Err(violation),
            }
        }
    }

    fn first_line(&mut self, input: &mut BytesMut) -> Result<Option<State>, Violation> {
        let boundary = &self.delimiter[2..];
        let seen = input.len().min(boundary.len());
        if input[..seen] != boundary[..seen] {
            return Err(Violation::BadFirstLine);
        }
        let next = match input[seen..] {
            _ if seen < boundary.len() => return Ok(None),
            [] | [b'\r'] | [b'-'] => return Ok(None),
            [b'\r', b'\n', ..] => State::InHead,
            [b'-', b'-', ..] => State::Ended,
            _ => return Err(Violation::BadFirstLine),
        };
        input.advance(seen + 2);
        if next == State::InHead {
            self.begin_head();
        }
        Ok(Some(next))
    }

    fn begin_head(&mut self) {
        self.head = PartHead::default();
        self.head_bytes = 0;
        self.state = State::InHead;
    }

    /// Takes fields, line by line, and at the end of the head the event that a part begins.
    fn head_line(&mut self, input: &mut BytesMut) -> Result<Event, Violation> {
        loop {
            let room = self.limits.max_part_head_bytes.saturating_sub(self.head_bytes);
            // The line break, too, must lie within the limit.
            let visible = &input[..input.len().min(room)];
            let Some(end) = memchr::memchr(b'\r', visible).filter(|&end| end + 1 < visible.len()) else {
                return if input.len() > visible.len() || visible.len() == room {
                    Err(Violation::PartHeadTooLarge)
                } else {
                    Ok(Event::NeedMore)
                };
            };
            if visible[end + 1] != b'\n' {
                return Err(Violation::BadPartField);
            }
            let line = input.split_to(end + 2);
            self.head_bytes += line.len();
            if end == 0 {
                return self.begin_content();
            }
            if self.head.fields.len() == MAX_PART_FIELDS {
                return Err(Violation::PartHeadTooLarge);
            }
            let field = field_of(&line[..end]).ok_or(Violation::BadPartField)?;
            self.head.fields.push(field);
        }
    }

    fn begin_content(&mut self) -> Result<Event, Violation> {
        self.parts += 1;
        if self.parts > self.limits.max_parts {
            return Err(Violation::TooManyParts);
        }
        let mut head = std::mem::take(&mut self.head);
        let disposition = head.fields.iter().rev().find(|(name, _)| name == b"content-disposition");
        let options = disposition.map(|(_, value)| parse_options(value)).unwrap_or_default();
        let last = |wanted: &[u8]| {
            options.iter().rev().find(|(name, _)| name == wanted).map(|(_, value)| value.clone())
        };
        head.name = last(b"name").ok_or(Violation::MissingName)?;
        head.filename = last(b"filename");
        self.is_file = head.filename.is_some();
        self.content_bytes = 0;
        self.state = State::InContent;
        Ok(Event::Part(head))
    }

    fn content(&mut self, input: &mut BytesMut) -> Result<Event, Violation> {
        let length = self.delimiter.len();
        let mut from = 0;
        let data = loop {
            let Some(at) = self.finder.find(&input[from..]).map(|at| from + at) else {
                // The end may be the beginning of a delimiter: kept back.
                let tail = from.max(input.len().saturating_sub(length - 1));
                let kept = memchr::memchr_iter(b'\r', &input[tail..])
                    .map(|cr| tail + cr)
                    .find(|&cr| self.delimiter.starts_with(&input[cr..]));
                break kept.unwrap_or(input.len());
            };
            match input[at + length..] {
                // Not decided yet: what comes before is content anyhow.
                [] | [b'\r'] | [b'-'] => break at,
                [b'\r', b'\n', ..] | [b'-', b'-', ..] | [b' ' | b'\t', ..] if at > 0 => break at,
                [b'\r', b'\n', ..] => {
                    input.advance(length + 2);
                    self.begin_head();
                    return Ok(Event::PartEnd);
                }
                [b'-', b'-', ..] => {
                    input.advance(length + 2);
                    self.state = State::Ended;
                    return Ok(Event::PartEnd);
                }
                [b' ' | b'\t', ..] => {
                    input.advance(length);
                    self.state = State::InPadding;
                    return Ok(Event::PartEnd);
                }
                // A line that only begins as a delimiter does.
                _ => from = at + 1,
            }
        };
        if data == 0 {
            return Ok(Event::NeedMore);
        }
        self.content_bytes = self.content_bytes.saturating_add(data as u64);
        let (limit, violation) = if self.is_file {
            (self.limits.max_file_bytes, Violation::FileTooLarge)
        } else {
            (self.limits.max_field_bytes, Violation::FieldTooLarge)
        };
        let is_unlimited = self.is_file && limit == 0;
        if !is_unlimited && self.content_bytes > limit {
            return Err(violation);
        }
        Ok(Event::Data(input.split_to(data).freeze()))
    }
}

/// Name, in lower case, and value of one line.
fn field_of(line: &[u8]) -> Option<(Vec<u8>, Vec<u8>)> {
    let colon = memchr::memchr(b':', line)?;
    let (name, value) = (&line[..colon], &line[colon + 1..]);
    if name.is_empty() || !name.iter().all(|&byte| is_token(byte)) {
        return None;
    }
    let start = value.iter().position(|&byte| byte != b' ').unwrap_or(value.len());
    Some((name.to_ascii_lowercase(), value[start..].to_vec()))
}

/// `tchar` of RFC 9110 section 5.6.2.
fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}
