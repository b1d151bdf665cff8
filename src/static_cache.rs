//! Complete responses, encoded once, shared read-only.
//!
//! Owns: [`StaticResponse`]: head and body as they go to the wire, but for `date` and what the connection needs said;
//! [`StaticCell`]: the place of one that may be replaced while it is read.
//! Does not own: which path leads to one (`router`). Rule (`publish_whole`): a value exists only fully rendered, and is
//! put in its place by one swap: a reader has the old one or the new one.
//! Threads: a cell is read by all workers, and written by whoever publishes.
#![forbid(unsafe_code)]

use crate::http1::{self, FieldBlock, FieldFault};
use crate::invariants::{hold, Invariant, Seal};
use crate::sync::ArcSwap;
use bytes::Bytes;
use std::sync::Arc;

/// One response, rendered.
#[derive(Clone, Debug)]
pub struct StaticResponse {
    head: Bytes,
    body: Bytes,
    seal: Seal,
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
        let head = head.freeze();
        let seal = Seal::of(&[&head, &body]);
        Ok(StaticResponse { head, body, seal })
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

/// The place of one response.
#[derive(Debug)]
pub struct StaticCell(ArcSwap<StaticResponse>);

impl StaticCell {
    /// With its first response.
    pub fn new(response: StaticResponse) -> Self {
        StaticCell(ArcSwap::from_pointee(response))
    }

    /// The response of now.
    pub fn load(&self) -> Arc<StaticResponse> {
        let found = self.0.load_full();
        hold(Invariant::PublishWhole, || Seal::of(&[&found.head, &found.body]) == found.seal);
        found
    }

    /// Puts another response in its place. Who has loaded the one before keeps it.
    pub fn publish(&self, response: StaticResponse) {
        self.0.store(Arc::new(response));
    }
}
