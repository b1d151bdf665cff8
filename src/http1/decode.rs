//! Request bodies: by length, chunked with trailers.
//!
//! Owns: [`BodyDecoder`]. Rule: zero copy, pieces are split off the input; sizes are checked before bytes are taken.
//! Spec: RFC 9112 sections 6 and 7.

/// Decodes one body. Used through [`super::Conn`]; public for fuzz targets.
#[derive(Debug)]
pub struct BodyDecoder {}
