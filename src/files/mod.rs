//! Files as HTTP answers: which file, which representation of it, which bytes.
//!
//! Owns: names to paths, validators, conditions, ranges, content types, encodings that lie beside a file; opening a file
//! below a folder (`open`). Does not own: sending it (`runtime`), routes (`dispatch`).
//! Rule: nothing outside of the folder is ever opened; a file's bytes are never read here.
//! Spec: RFC 9110 sections 8.8 (validators), 12.5.3 (Accept-Encoding), 13 (conditions), 14 (ranges).
#![forbid(unsafe_code)]

mod answer;
mod condition;
mod encoding;
mod media_type;
mod name;
#[cfg(all(unix, any(feature = "runtime", feature = "python")))]
mod open;
mod range;
#[cfg(test)]
mod tests;

pub use answer::{plan, Answer, Piece, Representation, Settings};
pub use condition::{check, parse_date, weakly_equal, Verdict};
pub use encoding::{acceptable, Coding};
pub use media_type::media_type;
pub use name::{relative_path, NameFault};
#[cfg(all(unix, any(feature = "runtime", feature = "python")))]
pub use open::{Folder, OpenFault, Opened, Symlinks};
pub use range::{ranges_of, Asked};
