//! Python values to JSON bytes, and JSON text to values.
//!
//! Owns: the encoder, the parser, the decoder. Does not own: what is encoded.
//! Rule: Python's `json` module is the referee, to the byte of the output and to the position of an error.

mod decode;
mod document;
mod encode;
pub mod escape;
pub mod float;
mod model;
pub mod parse;
mod python;

pub use decode::{decode, to_python};
pub use encode::{encode, encode_jsonable, encode_jsonable_spaced, encode_with};
pub use model::Writer;
pub use python::register;
