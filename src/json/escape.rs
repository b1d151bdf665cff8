//! JSON string literals, escaped as Python's `json` escapes them with `ensure_ascii=False`.
//!
//! Owns: which characters are escaped and how. Does not own: where the characters come from.
//! Rule: only `"`, `\` and the C0 controls are escaped; everything else is written as UTF-8.
//! Spec: `escape_unicode` in CPython's `Modules/_json.c`.

/// A lone surrogate: a character that UTF-8 has no form for.
#[derive(Debug, PartialEq, Eq)]
pub struct LoneSurrogate;

/// Appends a literal of text that is already UTF-8.
pub fn push_utf8(out: &mut Vec<u8>, text: &str) {
    push_runs(out, text.as_bytes(), is_plain, push_escaped);
}

/// Appends a literal of characters kept one byte each (Latin-1, of which ASCII is a part).
pub fn push_latin1(out: &mut Vec<u8>, text: &[u8]) {
    push_runs(out, text, is_plain_ascii, |out, byte| match byte {
        0x80.. => out.extend_from_slice(&[0xC0 | byte >> 6, 0x80 | byte & 0x3F]),
        _ => push_escaped(out, byte),
    });
}

/// Appends a literal of characters kept two or four bytes each.
///
/// # Errors
/// [`LoneSurrogate`]; what was appended until then stays.
pub fn push_wide<C: Copy + Into<u32>>(out: &mut Vec<u8>, text: &[C]) -> Result<(), LoneSurrogate> {
    out.reserve(text.len() + 2);
    out.push(b'"');
    for &unit in text {
        let character = char::from_u32(unit.into()).ok_or(LoneSurrogate)?;
        match character {
            '\0'..'\u{80}' => match character as u8 {
                byte if is_plain(byte) => out.push(byte),
                byte => push_escaped(out, byte),
            },
            _ => out.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes()),
        }
    }
    out.push(b'"');
    Ok(())
}

/// Copies runs of plain bytes whole and hands the others, one by one, to `other`.
fn push_runs(
    out: &mut Vec<u8>,
    mut rest: &[u8],
    plain: impl Fn(u8) -> bool + Copy,
    other: impl Fn(&mut Vec<u8>, u8),
) {
    out.reserve(rest.len() + 2);
    out.push(b'"');
    loop {
        let (run, after) = rest.split_at(plain_prefix(rest, plain));
        out.extend_from_slice(run);
        let Some((&byte, after)) = after.split_first() else { break };
        other(out, byte);
        rest = after;
    }
    out.push(b'"');
}

/// Length of the longest prefix of plain bytes.
///
/// Blocks of 16 are judged whole, which the compiler turns into vector compares; only a block with something to escape
/// is walked byte by byte.
pub(super) fn plain_prefix(bytes: &[u8], plain: impl Fn(u8) -> bool) -> usize {
    let mut blocks = bytes.chunks_exact(16);
    for (index, block) in blocks.by_ref().enumerate() {
        if block.iter().fold(0, |other, &byte| other | u8::from(!plain(byte))) != 0 {
            return index * 16 + block.iter().take_while(|&&byte| plain(byte)).count();
        }
    }
    let tail = blocks.remainder();
    bytes.len() - tail.len() + tail.iter().take_while(|&&byte| plain(byte)).count()
}

#[inline(always)]
pub(super) fn is_plain(byte: u8) -> bool {
    byte >= b' ' && byte != b'"' && byte != b'\\'
}

#[inline(always)]
fn is_plain_ascii(byte: u8) -> bool {
    is_plain(byte) && byte < 0x80
}

#[cold]
fn push_escaped(out: &mut Vec<u8>, byte: u8) {
    let short = match byte {
        b'"' | b'\\' => byte,
        0x08 => b'b',
        b'\t' => b't',
        b'\n' => b'n',
        0x0C => b'f',
        b'\r' => b'r',
        _ => {
            out.extend_from_slice(b"\\u00");
            out.push(HEX[usize::from(byte >> 4)]);
            out.push(HEX[usize::from(byte & 0xF)]);
            return;
        }
    };
    out.extend_from_slice(&[b'\\', short]);
}

const HEX: &[u8; 16] = b"0123456789abcdef";

#[cfg(test)]
mod tests {
    use super::*;

    fn literal(push: impl FnOnce(&mut Vec<u8>)) -> String {
        let mut out = Vec::new();
        push(&mut out);
        String::from_utf8(out).expect("UTF-8")
    }

    #[test]
    fn escapes_are_those_of_python() {
        for (text, expected) in [
            ("", r#""""#),
            ("plain", r#""plain""#),
            ("a\"b\\c/d", r#""a\"b\\c/d""#),
            ("\u{8}\t\n\u{c}\r", r#""\b\t\n\f\r""#),
            ("\0\u{1f}\u{7f}", "\"\\u0000\\u001f\u{7f}\""),
            ("sixteen bytes ok\nthen é", "\"sixteen bytes ok\\nthen é\""),
        ] {
            assert_eq!(literal(|out| push_utf8(out, text)), expected);
            let wide: Vec<u32> = text.chars().map(u32::from).collect();
            assert_eq!(literal(|out| push_wide(out, &wide).expect("no surrogate")), expected);
            let narrow: Vec<u8> = text.chars().map(|c| c as u8).collect();
            assert_eq!(literal(|out| push_latin1(out, &narrow)), expected);
        }
    }

    #[test]
    fn lone_surrogate_is_refused() {
        assert_eq!(push_wide(&mut Vec::new(), &[0xD800_u16]), Err(LoneSurrogate));
    }
}
