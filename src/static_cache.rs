//! Complete responses, encoded once, shared read-only.
//!
//! Owns: [`StaticResponse`]: head and body as they go to the wire, but for `date` and what the connection needs said.
//! Does not own: which path leads to one (`router`). Rule (`publish_whole`): a value exists only fully rendered.
#![forbid(unsafe_code)]

use crate::http1::{self, FieldBlock, FieldFault};
use bytes::Bytes;

/// One response, rendered.
#[derive(Clone, Debug)]
pub struct StaticResponse {
    head: Bytes,
    body: Bytes,
}

impl StaticResponse {
    /// Renders a response.
    ///
    /// # Errors
    /// A field that may not be sent.
    pub fn render<'a>(
        status: u16,
        content_type: &str,
        headers: impl IntoIterator<Item = (&'a str, &'a str)>,
        body: Bytes,
    ) -> Result<Self, FieldFault> {
        let mut fields = FieldBlock::new();
        fields.push(b"content-type", content_type.as_bytes())?;
        for (name, value) in headers {
            fields.push(name.as_bytes(), value.as_bytes())?;
        }
        let head = http1::render_head(status, &fields, body.len() as u64);
        let body = if http1::status_allows_body(status) { body } else { Bytes::new() };
        Ok(StaticResponse { head: head.freeze(), body })
    }

    /// The head, up to and without `date` and the blank line.
    pub fn head(&self) -> &[u8] {
        &self.head
    }

    /// The body.
    pub fn body(&self) -> &Bytes {
        &self.body
    }
}
