//! Reads a head byte by byte as it trickles in, and names the first byte that breaks a rule.
//!
//! Owns: the character-level rules of a head and of a trailer section, and their limits.
//! Does not own: what a whole head means (`parse`), which is asked once the scan has found its end.
//! Rule: the verdict depends on the bytes alone, never on how they were split; each byte is looked at once.
//! Spec: RFC 9112 sections 2.2, 3 and 5.

use super::chars;
use super::limits::{Limits, MAX_METHOD_BYTES};
use super::Violation;

/// Where a scan of one head stands.
#[derive(Clone, Debug)]
pub(crate) struct HeadScan {
    /// Bytes of the head looked at so far.
    pos: usize,
    state: State,
    /// Bytes of the current part (method, target or version) so far.
    part: usize,
    /// The method is `PRI`, that of the HTTP/2 preface.
    is_pri: bool,
    fields: FieldScan,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Method,
    Target,
    Version,
    Fields,
}

impl HeadScan {
    pub(crate) fn new() -> Self {
        HeadScan { pos: 0, state: State::Method, part: 0, is_pri: false, fields: FieldScan::new(Line::End) }
    }

    /// Nothing of this head was looked at yet.
    pub(crate) fn is_fresh(&self) -> bool {
        self.pos == 0
    }

    /// Looks at what is new in `input`, which begins with the head. True: the head ends in it.
    pub(crate) fn advance(&mut self, input: &[u8], limits: &Limits) -> Result<bool, Violation> {
        let visible = input.len().min(limits.max_head_bytes);
        while self.pos < visible {
            if self.state == State::Fields {
                let new = input.get(self.pos..visible).unwrap_or_default();
                let (used, ended) = self.fields.advance(new, limits)?;
                self.pos += used;
                if ended {
                    return Ok(true);
                }
            } else {
                let byte = input.get(self.pos).copied().unwrap_or_default();
                self.request_line_byte(byte, input, limits)?;
                self.pos += 1;
            }
        }
        if input.len() > limits.max_head_bytes {
            return Err(Violation::HeadTooLarge);
        }
        Ok(false)
    }

    fn request_line_byte(&mut self, byte: u8, input: &[u8], limits: &Limits) -> Result<(), Violation> {
        match self.state {
            State::Method => match byte {
                b' ' if self.part > 0 => {
                    self.is_pri = input.starts_with(b"PRI ");
                    self.enter(State::Target);
                }
                _ if chars::is_token(byte) => {
                    self.part += 1;
                    if self.part > MAX_METHOD_BYTES {
                        return Err(Violation::MethodTooLong);
                    }
                }
                0x16 if self.part == 0 => return Err(Violation::TlsOnPlainPort),
                b'\n' => return Err(Violation::BareLf),
                _ => return Err(Violation::BadMethod),
            },
            State::Target => match byte {
                b' ' if self.part > 0 => self.enter(State::Version),
                b'\r' if self.part > 0 => return Err(Violation::MissingVersion),
                b'\n' => return Err(Violation::BareLf),
                _ if chars::is_target(byte) => {
                    self.part += 1;
                    if self.part > limits.max_target_bytes {
                        return Err(Violation::TargetTooLong);
                    }
                }
                _ => return Err(Violation::BadTarget),
            },
            State::Version => {
                match (self.part, byte) {
                    (0, b'H') | (1 | 2, b'T') | (3, b'P') | (4, b'/') | (5, b'1') | (6, b'.') => {}
                    (5, b'2') if self.is_pri => return Err(Violation::Http2Preface),
                    (5, b'0'..=b'9') => return Err(Violation::UnsupportedVersion),
                    (7, b'0'..=b'9') => {}
                    (8, b'\r') => self.state = State::Fields,
                    (_, b'\n') => return Err(Violation::BareLf),
                    _ => return Err(Violation::BadVersion),
                }
                self.part += 1;
            }
            State::Fields => {}
        }
        Ok(())
    }

    fn enter(&mut self, state: State) {
        self.state = state;
        self.part = 0;
    }
}

/// Where a scan of field lines stands: the rest of a head, or a trailer section.
#[derive(Clone, Copy, Debug)]
pub(crate) struct FieldScan {
    line: Line,
    count: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Line {
    /// Before the first byte of a line.
    Start,
    /// In a field name.
    Name,
    /// In a field value, or the whitespace around it.
    Value,
    /// After the CR of a field line: LF must follow.
    End,
    /// After the CR of the empty line: LF must follow.
    LastEnd,
}

impl FieldScan {
    pub(crate) fn new(line: Line) -> Self {
        FieldScan { line, count: 0 }
    }

    /// Looks at `new` bytes. Gives how many were used, and whether the empty line has ended.
    pub(crate) fn advance(&mut self, new: &[u8], limits: &Limits) -> Result<(usize, bool), Violation> {
        for (i, &byte) in new.iter().enumerate() {
            match self.line {
                Line::Value => match byte {
                    _ if chars::is_value(byte) => {}
                    b'\r' => self.line = Line::End,
                    b'\n' => return Err(Violation::BareLf),
                    _ => return Err(Violation::BadFieldValue),
                },
                Line::Name => match byte {
                    _ if chars::is_token(byte) => {}
                    b':' => self.line = Line::Value,
                    b' ' | b'\t' => return Err(Violation::SpaceBeforeColon),
                    b'\n' => return Err(Violation::BareLf),
                    _ => return Err(Violation::BadFieldName),
                },
                Line::Start => match byte {
                    _ if chars::is_token(byte) => {
                        self.count += 1;
                        if self.count > limits.max_fields {
                            return Err(Violation::TooManyFields);
                        }
                        self.line = Line::Name;
                    }
                    b'\r' => self.line = Line::LastEnd,
                    b' ' | b'\t' => return Err(Violation::ObsFold),
                    b':' => return Err(Violation::EmptyFieldName),
                    b'\n' => return Err(Violation::BareLf),
                    _ => return Err(Violation::BadFieldName),
                },
                Line::End if byte == b'\n' => self.line = Line::Start,
                Line::LastEnd if byte == b'\n' => return Ok((i + 1, true)),
                Line::End | Line::LastEnd => return Err(Violation::BareCr),
            }
        }
        Ok((new.len(), false))
    }
}
