//! Finds where a head ends, line by line, each byte looked at once.
//!
//! Owns: line ends and the limits that can be seen before a head is whole. Does not own: what the lines say (`head`).
//! Rule: a fault is reported as soon as its bytes are there, so that a broken peer is not waited for.
//! Spec: RFC 9112 section 2.2.

use super::{Limits, Violation};
use bytes::{Buf, BytesMut};

/// Empty lines tolerated before a request line (RFC 9112 section 2.2 asks for at least one).
const MAX_LEADING_EMPTY_LINES: u8 = 4;

/// Progress through the lines of one head.
#[derive(Clone, Debug, Default)]
pub(super) struct HeadScan {
    /// Bytes already looked at.
    seen: usize,
    /// Where the current line begins.
    line_start: usize,
    leading_empty_lines: u8,
}

impl HeadScan {
    /// The length of the head at the front of `input`, its blank line included, or `None` while it is not whole.
    ///
    /// # Errors
    /// A violation that the bytes so far prove.
    pub fn find_end(&mut self, input: &mut BytesMut, limits: &Limits) -> Result<Option<usize>, Violation> {
        loop {
            let Some(offset) = memchr::memchr(b'\n', &input[self.seen..]) else {
                self.seen = input.len();
                self.check_open_line(input, limits)?;
                return Ok(None);
            };
            let feed = self.seen + offset;
            if feed == self.line_start || input[feed - 1] != b'\r' {
                return Err(Violation::BareLf);
            }
            let line = &input[self.line_start..feed - 1];
            let is_first = self.line_start == 0;
            if line.is_empty() {
                if !is_first {
                    return if feed < limits.max_head_bytes {
                        Ok(Some(feed + 1))
                    } else {
                        Err(Violation::HeadTooLarge)
                    };
                }
                self.leading_empty_lines += 1;
                if self.leading_empty_lines > MAX_LEADING_EMPTY_LINES {
                    return Err(Violation::RequestLine);
                }
                input.advance(2);
                self.seen = 0;
                continue;
            }
            check_line(line, is_first, limits)?;
            self.line_start = feed + 1;
            self.seen = feed + 1;
        }
    }

    /// True when nothing of a head has been seen.
    pub fn is_untouched(&self, input: &BytesMut) -> bool {
        self.line_start == 0 && input.is_empty()
    }

    fn check_open_line(&self, input: &BytesMut, limits: &Limits) -> Result<(), Violation> {
        let line = &input[self.line_start..];
        check_line(line, self.line_start == 0, limits)?;
        if input.len() >= limits.max_head_bytes {
            return Err(Violation::HeadTooLarge);
        }
        Ok(())
    }
}

/// What can be told from a line that may still be incomplete.
fn check_line(line: &[u8], is_first: bool, limits: &Limits) -> Result<(), Violation> {
    if !is_first {
        return match line.first() {
            Some(b' ' | b'\t') => Err(Violation::ObsFold),
            _ => Ok(()),
        };
    }
    let method_end = memchr::memchr(b' ', line).unwrap_or(line.len());
    let method = &line[..method_end];
    let is_open_cr = method.ends_with(b"\r") && method_end == line.len();
    let method = if is_open_cr { &method[..method.len() - 1] } else { method };
    if !method.iter().all(|&byte| is_token_byte(byte))
        || (method.is_empty() && !is_open_cr && !line.is_empty())
    {
        return Err(Violation::RequestLine);
    }
    if method_end < line.len() {
        let rest = &line[method_end + 1..];
        let target_end = memchr::memchr(b' ', rest).unwrap_or(rest.len());
        if target_end > limits.max_target_bytes {
            return Err(Violation::TargetTooLong);
        }
    } else if method.len() > limits.max_target_bytes {
        return Err(Violation::RequestLine);
    }
    Ok(())
}

/// RFC 9110 section 5.6.2.
pub(super) fn is_token_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}
