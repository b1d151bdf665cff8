//! Request bodies: by length, chunked with trailers.
//!
//! Owns: [`BodyDecoder`]. Does not own: what follows a body (`conn`).
//! Rule: zero copy, pieces are split off the input; sizes are checked before bytes are taken; framing bytes are
//! consumed as they are read, so that no byte is looked at twice.
//! Spec: RFC 9112 sections 6 and 7.

use super::chars;
use super::limits::{Limits, MAX_CHUNK_EXTENSION_BYTES, MAX_CHUNK_SIZE_DIGITS};
use super::scan::{FieldScan, Line};
use super::{Framing, Violation};
use bytes::{Buf, Bytes, BytesMut};

/// Decodes one body. Used through [`super::Conn`]; public for fuzz targets.
#[derive(Debug)]
pub struct BodyDecoder {
    state: State,
}

/// What a body holds next.
#[derive(Debug, PartialEq, Eq)]
pub enum BodyEvent {
    /// Nothing whole yet: read more, then ask again.
    NeedMore,
    /// A non-empty piece.
    Piece(Bytes),
    /// The body ended, its trailer section too. Said again when asked again.
    End,
}

#[derive(Debug)]
enum State {
    /// So many bytes are still to come.
    Length(u64),
    Chunked(Chunked),
    Ended,
}

impl BodyDecoder {
    /// A decoder for a body that is delimited so.
    pub fn new(framing: Framing, limits: Limits) -> Self {
        let state = match framing {
            Framing::None | Framing::Length(0) => State::Ended,
            Framing::Length(length) => State::Length(length),
            Framing::Chunked => State::Chunked(Chunked::new(limits)),
        };
        BodyDecoder { state }
    }

    /// Takes the next piece off the front of `input`.
    ///
    /// # Errors
    /// The chunked framing is broken, or the body too large. What was decoded before stands; the rest is lost.
    pub fn next_event(&mut self, input: &mut BytesMut) -> Result<BodyEvent, Violation> {
        let event = match &mut self.state {
            State::Ended => BodyEvent::End,
            State::Length(left) => match take_up_to(input, *left) {
                None => BodyEvent::NeedMore,
                Some(piece) => {
                    *left -= piece.len() as u64;
                    if *left == 0 {
                        self.state = State::Ended;
                    }
                    return Ok(BodyEvent::Piece(piece));
                }
            },
            State::Chunked(chunked) => chunked.next_event(input)?,
        };
        if event == BodyEvent::End {
            self.state = State::Ended;
        }
        Ok(event)
    }

    /// Bytes still to come where that is known.
    pub fn left(&self) -> Option<u64> {
        match self.state {
            State::Ended => Some(0),
            State::Length(left) => Some(left),
            State::Chunked(_) => None,
        }
    }
}

/// At least one byte, at most `limit`, off the front.
fn take_up_to(input: &mut BytesMut, limit: u64) -> Option<Bytes> {
    if input.is_empty() {
        return None;
    }
    let size = usize::try_from(limit).unwrap_or(usize::MAX).min(input.len());
    Some(input.split_to(size).freeze())
}

/// A chunked body (RFC 9112 section 7.1).
#[derive(Debug)]
struct Chunked {
    at: At,
    limits: Limits,
    /// Bytes of data announced by all size lines so far.
    announced: u64,
    /// Bytes of extensions in all size lines so far.
    extension_bytes: usize,
    trailer_bytes: usize,
}

#[derive(Clone, Copy, Debug)]
enum At {
    /// In the size, with so many digits read.
    Size { value: u64, digits: u8 },
    /// In the extensions of a chunk of that size.
    Extension { size: u64, part: Part },
    /// After the CR of a size line.
    SizeEnd { size: u64 },
    /// In the data, so many bytes before its end.
    Data { left: u64 },
    /// After the data: CR must follow.
    DataCr,
    /// After the CR behind the data: LF must follow.
    DataLf,
    /// After the last chunk.
    Trailers(FieldScan),
}

/// Parts of `*( BWS ";" BWS name [ BWS "=" BWS ( token / quoted-string ) ] )`.
#[derive(Clone, Copy, Debug)]
enum Part {
    /// Whitespace was read: `;` must follow.
    BeforeSemicolon,
    /// `;` was read: whitespace, then a name.
    BeforeName,
    Name,
    /// A name and whitespace were read: `=` or `;` must follow.
    AfterName,
    /// `=` was read: whitespace, then a value.
    BeforeValue,
    Token,
    Quoted,
    /// A backslash was read in a quoted string.
    Escaped,
    /// The quoted string was closed.
    AfterQuoted,
}

impl Chunked {
    fn new(limits: Limits) -> Self {
        Chunked {
            at: At::Size { value: 0, digits: 0 },
            limits,
            announced: 0,
            extension_bytes: 0,
            trailer_bytes: 0,
        }
    }

    fn next_event(&mut self, input: &mut BytesMut) -> Result<BodyEvent, Violation> {
        loop {
            match &mut self.at {
                At::Data { left } => {
                    let Some(piece) = take_up_to(input, *left) else { return Ok(BodyEvent::NeedMore) };
                    *left -= piece.len() as u64;
                    if *left == 0 {
                        self.at = At::DataCr;
                    }
                    return Ok(BodyEvent::Piece(piece));
                }
                At::Trailers(fields) => {
                    let room = self.limits.max_head_bytes - self.trailer_bytes;
                    let visible = input.get(..input.len().min(room)).unwrap_or_default();
                    let (used, ended) = fields.advance(visible, &self.limits)?;
                    self.trailer_bytes += used;
                    input.advance(used);
                    if ended {
                        return Ok(BodyEvent::End);
                    }
                    if !input.is_empty() {
                        return Err(Violation::TrailersTooLarge);
                    }
                    return Ok(BodyEvent::NeedMore);
                }
                _ => {
                    let used = self.framing_bytes(input)?;
                    input.advance(used);
                    if matches!(self.at, At::Data { .. } | At::Trailers(_)) {
                        continue;
                    }
                    return Ok(BodyEvent::NeedMore);
                }
            }
        }
    }

    /// Reads framing up to where data or trailers begin. Gives how many bytes were used.
    fn framing_bytes(&mut self, input: &[u8]) -> Result<usize, Violation> {
        for (i, &byte) in input.iter().enumerate() {
            self.at = match self.at {
                At::Size { value, digits } => self.after_size_byte(value, digits, byte)?,
                At::Extension { size, part } => self.after_extension_byte(size, part, byte)?,
                At::SizeEnd { size } => match (byte, size) {
                    (b'\n', 0) => At::Trailers(FieldScan::new(Line::Start)),
                    (b'\n', left) => At::Data { left },
                    _ => return Err(Violation::BareCr),
                },
                At::DataCr if byte == b'\r' => At::DataLf,
                At::DataLf if byte == b'\n' => At::Size { value: 0, digits: 0 },
                At::DataCr | At::DataLf => return Err(Violation::BadChunkEnd),
                at @ (At::Data { .. } | At::Trailers(_)) => at,
            };
            if matches!(self.at, At::Data { .. } | At::Trailers(_)) {
                return Ok(i + 1);
            }
        }
        Ok(input.len())
    }

    fn after_size_byte(&mut self, value: u64, digits: u8, byte: u8) -> Result<At, Violation> {
        if let Some(digit) = char::from(byte).to_digit(16) {
            if digits == MAX_CHUNK_SIZE_DIGITS {
                return Err(Violation::ChunkSizeOverflow);
            }
            return Ok(At::Size { value: (value << 4) | u64::from(digit), digits: digits + 1 });
        }
        if digits == 0 {
            return Err(if byte == b'\n' { Violation::BareLf } else { Violation::BadChunkSize });
        }
        let next = match byte {
            b'\r' => At::SizeEnd { size: value },
            b';' => At::Extension { size: value, part: Part::BeforeName },
            b' ' | b'\t' => At::Extension { size: value, part: Part::BeforeSemicolon },
            b'\n' => return Err(Violation::BareLf),
            _ => return Err(Violation::BadChunkSize),
        };
        self.announced = self.announced.saturating_add(value);
        if self.limits.max_body_bytes != 0 && self.announced > self.limits.max_body_bytes {
            return Err(Violation::BodyTooLarge);
        }
        Ok(next)
    }

    fn after_extension_byte(&mut self, size: u64, part: Part, byte: u8) -> Result<At, Violation> {
        use Part::*;
        self.extension_bytes += 1;
        if self.extension_bytes > MAX_CHUNK_EXTENSION_BYTES {
            return Err(Violation::ChunkExtensionsTooLarge);
        }
        let next = match (part, byte) {
            (Name | Token | AfterQuoted, b'\r') => return Ok(At::SizeEnd { size }),
            (BeforeSemicolon | BeforeName | AfterName | BeforeValue, b' ' | b'\t') => part,
            (Name, b' ' | b'\t') => AfterName,
            (Token | AfterQuoted, b' ' | b'\t') => BeforeSemicolon,
            (BeforeSemicolon | Name | AfterName | Token | AfterQuoted, b';') => BeforeName,
            (Name | AfterName, b'=') => BeforeValue,
            (BeforeName | Name, _) if chars::is_token(byte) => Name,
            (BeforeValue | Token, _) if chars::is_token(byte) => Token,
            (BeforeValue, b'"') => Quoted,
            (Quoted, b'"') => AfterQuoted,
            (Quoted, b'\\') => Escaped,
            (Quoted, _) if chars::is_quoted(byte) => Quoted,
            (Escaped, _) if chars::is_value(byte) => Quoted,
            (_, b'\n') => return Err(Violation::BareLf),
            _ => return Err(Violation::BadChunkExtension),
        };
        Ok(At::Extension { size, part: next })
    }
}
