//! The tail of a request's path as a path below a folder.
//!
//! Owns: which names there may be. Does not own: what they lead to (`open`, which refuses an escape once more).
//! Rule: every part is a plain name; nothing that climbs, repeats or hides a separator gets through.

/// Why a name leads to no file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NameFault {
    /// `.`, `..`, an empty part in the middle, a NUL, or bytes that are not UTF-8.
    NotPlain,
    /// A part begins with a dot, and such files are not served.
    Hidden,
}

/// A relative path of plain parts, without a slash at either end. Empty: the folder itself.
///
/// `tail` is decoded, and is what follows the prefix of the route, with or without its first slash. A slash at its end
/// is taken off: it says that a folder is meant.
///
/// # Errors
/// Why there can be no such file.
pub fn relative_path(tail: &str, serves_hidden: bool) -> Result<&str, NameFault> {
    let tail = tail.strip_prefix('/').unwrap_or(tail);
    let tail = tail.strip_suffix('/').unwrap_or(tail);
    if tail.is_empty() {
        return Ok(tail);
    }
    for part in tail.split('/') {
        if matches!(part, "" | "." | "..") || part.contains(['\0', '\u{fffd}']) {
            return Err(NameFault::NotPlain);
        }
        if !serves_hidden && part.starts_with('.') {
            return Err(NameFault::Hidden);
        }
    }
    Ok(tail)
}
