//! Request bodies: by length, chunked with trailers.
//!
//! Owns: [`BodyDecoder`]. Does not own: which framing applies (`head`).
//! Rule: zero copy, pieces are split off the input; a size is checked before its bytes are taken; nothing past the end
//! of the body is touched. Spec: RFC 9112 sections 6 and 7.

use super::scan::is_token_byte;
use super::{Framing, Limits, Violation};
use bytes::{Buf, Bytes, BytesMut};

/// Bytes of one chunk-size line, extensions included. hyper allows 16 KiB of extensions in all; ours are a line's.
const MAX_CHUNK_LINE_BYTES: usize = 256;

/// Bytes of extensions in one body: a thousand tiny chunks may not carry a megabyte of them.
const MAX_EXTENSION_BYTES: u64 = 16 * 1024;

/// What a decoder found at the front of its input.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Piece {
    NeedMore,
    Data(Bytes),
    End,
}

/// Decodes one body. Used through [`super::Conn`]; public for fuzz targets.
#[derive(Debug)]
pub struct BodyDecoder {
    state: State,
    limits: Limits,
    decoded_bytes: u64,
    extension_bytes: u64,
    trailer_bytes: usize,
    trailer_fields: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    ExpectData(u64),
    ExpectChunkSize,
    ExpectChunkData(u64),
    ExpectChunkEnd,
    ExpectTrailer,
    Ended,
}

impl BodyDecoder {
    /// For a body framed so.
    pub fn new(framing: Framing, limits: Limits) -> Self {
        let state = match framing {
            Framing::None => State::Ended,
            Framing::Length(length) => State::ExpectData(length),
            Framing::Chunked => State::ExpectChunkSize,
        };
        BodyDecoder {
            state,
            limits,
            decoded_bytes: 0,
            extension_bytes: 0,
            trailer_bytes: 0,
            trailer_fields: 0,
        }
    }

    /// True when the body has been read to its end.
    pub fn has_ended(&self) -> bool {
        self.state == State::Ended
    }

    /// Bytes still to come, where that is known.
    pub fn left(&self) -> Option<u64> {
        match self.state {
            State::ExpectData(left) => Some(left),
            State::Ended => Some(0),
            _ => None,
        }
    }

    /// Takes the next piece off the front of `input`.
    pub(super) fn next_piece(&mut self, input: &mut BytesMut) -> Result<Piece, Violation> {
        loop {
            match self.state {
                State::Ended => return Ok(Piece::End),
                State::ExpectData(left) => {
                    let Some((data, left)) = take(input, left) else { return Ok(Piece::NeedMore) };
                    self.state = if left == 0 { State::Ended } else { State::ExpectData(left) };
                    return Ok(Piece::Data(data));
                }
                State::ExpectChunkData(left) => {
                    let Some((data, left)) = take(input, left) else { return Ok(Piece::NeedMore) };
                    self.state = if left == 0 { State::ExpectChunkEnd } else { State::ExpectChunkData(left) };
                    return Ok(Piece::Data(data));
                }
                State::ExpectChunkEnd => {
                    let seen = input.len().min(2);
                    if input[..seen] != b"\r\n"[..seen] {
                        return Err(Violation::ChunkEnd);
                    }
                    if seen < 2 {
                        return Ok(Piece::NeedMore);
                    }
                    input.advance(2);
                    self.state = State::ExpectChunkSize;
                }
                State::ExpectChunkSize => {
                    let Some(line) = take_line(input, MAX_CHUNK_LINE_BYTES, Violation::ChunkExtension)?
                    else {
                        return check_open_size(input).map(|()| Piece::NeedMore);
                    };
                    let size = self.chunk_size(&line)?;
                    self.state = if size == 0 { State::ExpectTrailer } else { State::ExpectChunkData(size) };
                }
                State::ExpectTrailer => {
                    let room = self.limits.max_head_bytes.saturating_sub(self.trailer_bytes);
                    let Some(line) = take_line(input, room, Violation::HeadTooLarge)? else {
                        return Ok(Piece::NeedMore);
                    };
                    if line.is_empty() {
                        self.state = State::Ended;
                    } else {
                        self.note_trailer(&line)?;
                    }
                }
            }
        }
    }

    fn chunk_size(&mut self, line: &[u8]) -> Result<u64, Violation> {
        let digits = line.iter().take_while(|byte| byte.is_ascii_hexdigit()).count();
        // Sixteen digits are 64 bits; leading zeros beyond that are somebody's attempt, not a size.
        if digits == 0 || digits > 16 {
            return Err(Violation::ChunkSize);
        }
        let (size, extension) = line.split_at(digits);
        let size = std::str::from_utf8(size).ok().and_then(|size| u64::from_str_radix(size, 16).ok());
        let size = size.ok_or(Violation::ChunkSize)?;
        check_extension(extension)?;
        self.extension_bytes += extension.len() as u64;
        if self.extension_bytes > MAX_EXTENSION_BYTES {
            return Err(Violation::ChunkExtension);
        }
        self.decoded_bytes = self.decoded_bytes.checked_add(size).ok_or(Violation::ChunkSize)?;
        if self.limits.max_body_bytes != 0 && self.decoded_bytes > self.limits.max_body_bytes {
            return Err(Violation::BodyTooLarge);
        }
        Ok(size)
    }

    fn note_trailer(&mut self, line: &[u8]) -> Result<(), Violation> {
        self.trailer_bytes += line.len() + 2;
        self.trailer_fields += 1;
        if self.trailer_fields > self.limits.max_fields {
            return Err(Violation::TooManyFields);
        }
        let colon = memchr::memchr(b':', line).ok_or(Violation::Trailer)?;
        let (name, value) = line.split_at(colon);
        let is_sound = !name.is_empty()
            && name.iter().all(|&byte| is_token_byte(byte))
            && value.iter().all(|&byte| is_field_value_byte(byte));
        if is_sound {
            Ok(())
        } else {
            Err(Violation::Trailer)
        }
    }
}

/// RFC 9110 section 5.5: visible bytes, obs-text, SP and HTAB.
pub(super) fn is_field_value_byte(byte: u8) -> bool {
    byte == b'\t' || (byte >= b' ' && byte != 0x7f)
}

/// Takes up to `left` bytes. `None` when there are none.
fn take(input: &mut BytesMut, left: u64) -> Option<(Bytes, u64)> {
    if input.is_empty() {
        return None;
    }
    let length = usize::try_from(left).map_or(input.len(), |left| left.min(input.len()));
    Some((input.split_to(length).freeze(), left - length as u64))
}

/// Takes one line without its CRLF. `None` when it is not whole yet.
fn take_line(input: &mut BytesMut, max: usize, too_long: Violation) -> Result<Option<Bytes>, Violation> {
    let window = &input[..input.len().min(max + 2)];
    let Some(feed) = memchr::memchr(b'\n', window) else {
        return if input.len() > max + 1 { Err(too_long) } else { Ok(None) };
    };
    if feed == 0 || input[feed - 1] != b'\r' {
        return Err(Violation::BareLf);
    }
    let line = input.split_to(feed + 1).freeze().slice(..feed - 1);
    if memchr::memchr(b'\r', &line).is_some() {
        return Err(Violation::BareCr);
    }
    Ok(Some(line))
}

/// An open size line is refused at its first wrong byte.
fn check_open_size(input: &BytesMut) -> Result<(), Violation> {
    match input.first() {
        Some(byte) if !byte.is_ascii_hexdigit() => Err(Violation::ChunkSize),
        _ => Ok(()),
    }
}

/// `*( BWS ";" BWS chunk-ext-name [ BWS "=" BWS ( token / quoted-string ) ] )`.
fn check_extension(mut rest: &[u8]) -> Result<(), Violation> {
    const FAULT: Violation = Violation::ChunkExtension;
    while !rest.is_empty() {
        rest = skip_space(rest);
        rest = skip_space(rest.strip_prefix(b";").ok_or(FAULT)?);
        rest = skip_token(rest).ok_or(FAULT)?;
        let after = skip_space(rest);
        let Some(value) = after.strip_prefix(b"=") else { continue };
        let value = skip_space(value);
        rest = match value.strip_prefix(b"\"") {
            Some(quoted) => skip_quoted(quoted).ok_or(FAULT)?,
            None => skip_token(value).ok_or(FAULT)?,
        };
    }
    Ok(())
}

fn skip_space(mut rest: &[u8]) -> &[u8] {
    while let [b' ' | b'\t', tail @ ..] = rest {
        rest = tail;
    }
    rest
}

fn skip_token(rest: &[u8]) -> Option<&[u8]> {
    let length = rest.iter().take_while(|&&byte| is_token_byte(byte)).count();
    (length > 0).then(|| &rest[length..])
}

fn skip_quoted(mut rest: &[u8]) -> Option<&[u8]> {
    loop {
        match rest {
            [b'"', tail @ ..] => return Some(tail),
            [b'\\', escaped, tail @ ..] if is_field_value_byte(*escaped) => rest = tail,
            [byte, tail @ ..] if *byte != b'\\' && is_field_value_byte(*byte) => rest = tail,
            _ => return None,
        }
    }
}
