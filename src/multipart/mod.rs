//! Forms as they are uploaded: `multipart/form-data`, bytes in, parts out.
//!
//! Owns: the boundary, heads of parts, their content in pieces, limits. Does not own: where content is kept (`dispatch`),
//! charsets of names and values.
//! Rule: what is not decided yet is at most one head of a part or one delimiter: content is passed on as it comes.
//! What is accepted is what Starlette's parser (python-multipart) accepts, whole and at every split of the input.
//! Spec: RFC 7578, RFC 2046 section 5.1.1.
#![forbid(unsafe_code)]

mod options;
mod parser;
#[cfg(test)]
mod tests;
mod violation;

pub use options::{boundary_of, parse_options};
pub use parser::{Event, Limits, Parser, PartHead};
pub use violation::Violation;
