//! Byte classes of HTTP and URI grammar, as one table.
//!
//! Owns: which byte may stand where. Does not own: what is done about one that may not.
//! Spec: RFC 9110 sections 5.5 and 5.6.2; RFC 3986 section 2.

const TOKEN: u8 = 1;
const TARGET: u8 = 2;
const VALUE: u8 = 4;
const REG_NAME: u8 = 8;
const QUOTED: u8 = 16;

/// `tchar` (RFC 9110 section 5.6.2).
#[inline]
pub(crate) fn is_token(byte: u8) -> bool {
    CLASSES[byte as usize] & TOKEN != 0
}

/// A byte of a request target: visible ASCII without `#`.
///
/// Wider than RFC 3986 on purpose: browsers send `"<>[]\^{}|` and the backquote unescaped (docs/wire.md).
#[inline]
pub(crate) fn is_target(byte: u8) -> bool {
    CLASSES[byte as usize] & TARGET != 0
}

/// A byte of a field value: `field-vchar`, obs-text, space or tab (RFC 9110 section 5.5).
#[inline]
pub(crate) fn is_value(byte: u8) -> bool {
    CLASSES[byte as usize] & VALUE != 0
}

/// A byte of a `reg-name` (RFC 3986 section 3.2.2), without `%`, which needs its digits, and without the comma.
#[inline]
pub(crate) fn is_reg_name(byte: u8) -> bool {
    CLASSES[byte as usize] & REG_NAME != 0
}

/// `qdtext` (RFC 9110 section 5.6.4): what a quoted string may hold unescaped.
#[inline]
pub(crate) fn is_quoted(byte: u8) -> bool {
    CLASSES[byte as usize] & QUOTED != 0
}

/// True when `bytes` is one token.
pub(crate) fn is_token_all(bytes: &[u8]) -> bool {
    !bytes.is_empty() && bytes.iter().all(|&byte| is_token(byte))
}

static CLASSES: [u8; 256] = classes();

const fn classes() -> [u8; 256] {
    let mut table = [0u8; 256];
    let mut byte = 0;
    while byte < 256 {
        let b = byte as u8;
        let mut class = 0;
        let tchar = b.is_ascii_alphanumeric() || is_one_of(b, b"!#$%&'*+-.^_`|~");
        if tchar {
            class |= TOKEN;
        }
        if b.is_ascii_graphic() && b != b'#' {
            class |= TARGET;
        }
        if b.is_ascii_graphic() || b == b' ' || b == b'\t' || b >= 0x80 {
            class |= VALUE;
            if b != b'"' && b != b'\\' {
                class |= QUOTED;
            }
        }
        if b.is_ascii_alphanumeric() || is_one_of(b, b"-._~!$&'()*+;=") {
            class |= REG_NAME;
        }
        table[byte] = class;
        byte += 1;
    }
    table
}

const fn is_one_of(byte: u8, set: &[u8]) -> bool {
    let mut i = 0;
    while i < set.len() {
        if set[i] == byte {
            return true;
        }
        i += 1;
    }
    false
}
