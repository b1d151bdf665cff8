//! A value with parameters: `form-data; name="a"; filename="b"`.
//!
//! Owns: the parameters of `Content-Type` and `Content-Disposition` in forms. Rule: as python-multipart's
//! `parse_options_header`: the last of a name counts, names with `*` are left out (RFC 7578 section 4.2), a quoted value
//! loses its quotes and escapes, a Windows path loses its folders.

use super::Violation;
use crate::bytes_ext::trim_ows;

/// Bytes of a boundary. python-multipart: the same.
const MAX_BOUNDARY_BYTES: usize = 256;

/// The boundary that a content type names.
///
/// # Errors
/// It names none, or one that is too long.
pub fn boundary_of(content_type: &[u8]) -> Result<Vec<u8>, Violation> {
    let boundary = parse_options(content_type)
        .into_iter()
        .rev()
        .find(|(name, _)| name == b"boundary")
        .map(|(_, value)| value);
    let boundary = boundary.ok_or(Violation::MissingBoundary)?;
    if boundary.len() > MAX_BOUNDARY_BYTES {
        return Err(Violation::BoundaryTooLong);
    }
    Ok(boundary)
}

/// Names, in lower case, and values of the parameters, in order.
pub fn parse_options(value: &[u8]) -> Vec<(Vec<u8>, Vec<u8>)> {
    let mut rest = value;
    let mut options = Vec::new();
    // What comes first is the value itself.
    let mut is_first = true;
    loop {
        let (segment, after) = split_segment(rest);
        if !std::mem::take(&mut is_first) {
            options.extend(option_of(segment));
        }
        match after {
            Some(after) => rest = after,
            None => return options,
        }
    }
}

/// Up to the next semicolon that is not quoted, and what follows it.
fn split_segment(text: &[u8]) -> (&[u8], Option<&[u8]>) {
    let mut quotes = 0_usize;
    for (i, &byte) in text.iter().enumerate() {
        match byte {
            b'"' if i > 0 && text[i - 1] == b'\\' => {}
            b'"' => quotes += 1,
            b';' if quotes % 2 == 0 => return (&text[..i], Some(&text[i + 1..])),
            _ => {}
        }
    }
    (text, None)
}

fn option_of(segment: &[u8]) -> Option<(Vec<u8>, Vec<u8>)> {
    let (name, value) = match segment.iter().position(|&byte| byte == b'=') {
        Some(mark) => {
            let (name, value) = (&segment[..mark], &segment[mark + 1..]);
            (trim_ows(name).to_ascii_lowercase(), trim_ows(value))
        }
        // Without a value its case is kept, as it is there.
        None => (trim_ows(segment).to_vec(), &[][..]),
    };
    if name.contains(&b'*') {
        return None;
    }
    let mut value = match value {
        [b'"', inner @ .., b'"'] => unescaped(inner),
        _ => value.to_vec(),
    };
    if name == b"filename" && (value.get(1..3) == Some(b":\\") || value.starts_with(b"\\\\")) {
        let start = value.iter().rposition(|&byte| byte == b'\\').map_or(0, |mark| mark + 1);
        value.drain(..start);
    }
    Some((name, value))
}

/// First `\\` to `\`, then `\"` to `"`, each over all of it: so does the referee.
fn unescaped(text: &[u8]) -> Vec<u8> {
    replaced(&replaced(text, b'\\'), b'"')
}

fn replaced(text: &[u8], escaped: u8) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    let mut i = 0;
    while i < text.len() {
        if text[i] == b'\\' && text.get(i + 1) == Some(&escaped) {
            out.push(escaped);
            i += 2;
        } else {
            out.push(text[i]);
            i += 1;
        }
    }
    out
}
