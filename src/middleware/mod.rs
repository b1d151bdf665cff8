//! Starlette's own middleware, run natively around compiled routes: CORS, GZip, TrustedHost, HTTPSRedirect.
//!
//! Owns: [`Stack`], the layers of one application from the outside in. Does not own: which layers an application has
//! (`python/turboapi_rs/plans/middleware.py`), the routes inside, writing.
//! Rule: the same answers as Starlette's classes give, header by header; no Python, no runtime, no I/O. A class that is not
//! one of the four, or was changed, is never a layer: what lies inside of it runs as ASGI.
//! Spec: `starlette.middleware.{cors,gzip,trustedhost,httpsredirect}`. Deviations: [`Gzip`].
//!
//! # How to connect it
//! At start, `plans.middleware.read(app)` gives descriptions and, if there is an unknown class further inwards, why;
//! `_core.MiddlewareStack(descriptions)` is the Python object of this [`Stack`], shared by all workers. With an unknown
//! class no route may run directly: its reason is that of every route. [`Stack::before`] once the head is there, before arguments are bound: `Break` is the whole answer. Then the route,
//! and what it (or an exception handler inside of the stack, or a 404, 405, 422) answers goes through
//! [`Stack::after`]; a streamed answer through [`Stack::stream`], at its first piece. Two answers do not, because
//! Starlette makes them outside of this stack: the 500 for an exception that nobody handled, and FastAPI's 413. A request
//! that goes to FastAPI itself after all goes there as it came, and its answer as it is: nothing has happened to it here.
//!
//! ```
//! use bytes::{Bytes, BytesMut};
//! use std::ops::ControlFlow;
//! use turboapi::http1::{Conn, Event, FieldBlock, Limits, ResponseHead};
//! use turboapi::middleware::{Gzip, GzipOptions, Layer, Seen, Stack};
//!
//! let options = GzipOptions { minimum_size: 500, level: 9, ..GzipOptions::default() };
//! let stack = Stack::new(vec![Layer::Gzip(Gzip::new(options))]);
//! let mut input = BytesMut::from("GET / HTTP/1.1\r\nHost: a\r\nAccept-Encoding: gzip\r\n\r\n");
//! let Ok(Event::Head(head)) = Conn::new(Limits::default()).next_event(&mut input) else { panic!() };
//! let seen = Seen { head: &head, scheme: "http", server: Some(("127.0.0.1", Some(8000))), root_path: "" };
//! assert!(matches!(stack.before(&seen), ControlFlow::Continue(())));
//! let mut response = ResponseHead { status: 200, fields: FieldBlock::new() };
//! let body = stack.after(&seen, &mut response, Bytes::from(vec![b'x'; 1000]));
//! assert_eq!(response.fields.first(b"content-encoding"), Some(&b"gzip"[..]));
//! assert!(body.len() < 100);
//! ```
#![forbid(unsafe_code)]

mod cors;
mod gzip;
mod https_redirect;
#[cfg(test)]
mod tests;
mod text;
mod trusted_host;
mod url;

pub use cors::{Cors, CorsFault, CorsOptions};
pub use gzip::{Gzip, GzipOptions, StreamCoder};
pub use https_redirect::HttpsRedirect;
pub use trusted_host::TrustedHost;

use crate::http1::{FieldBlock, RequestHead, ResponseHead};
use bytes::Bytes;
use std::ops::ControlFlow;

/// A request as middleware sees it.
#[derive(Clone, Copy, Debug)]
pub struct Seen<'a> {
    /// The head.
    pub head: &'a RequestHead,
    /// `http`, or what a trusted proxy forwards (`https`, `ws`, `wss`).
    pub scheme: &'a str,
    /// Address on which the server was reached: host and port, or the path of a Unix domain socket and `None`.
    pub server: Option<(&'a str, Option<u16>)>,
    /// Prefix that the application is served under, as in the scope. Usually empty.
    pub root_path: &'a str,
}

/// A whole response.
#[derive(Clone, Debug)]
pub struct Answer {
    /// Status and fields.
    pub head: ResponseHead,
    /// The body.
    pub body: Bytes,
}

/// One middleware.
#[derive(Debug)]
pub enum Layer {
    /// `CORSMiddleware`.
    Cors(Box<Cors>),
    /// `GZipMiddleware`.
    Gzip(Gzip),
    /// `TrustedHostMiddleware`.
    TrustedHost(TrustedHost),
    /// `HTTPSRedirectMiddleware`.
    HttpsRedirect(HttpsRedirect),
}

/// The middleware around an application, outermost first. Made at start, shared by all workers, never written again.
#[derive(Debug, Default)]
pub struct Stack {
    layers: Vec<Layer>,
}

impl Stack {
    /// From the outside in.
    pub fn new(layers: Vec<Layer>) -> Self {
        Stack { layers }
    }

    /// True when there is nothing to run.
    pub fn is_empty(&self) -> bool {
        self.layers.is_empty()
    }

    /// The way in. `Break`: a layer answers in place of the application (a preflight, a redirect, a refusal); that
    /// answer has been through the layers outside of it, and is complete.
    pub fn before(&self, seen: &Seen<'_>) -> ControlFlow<Answer> {
        for (depth, layer) in self.layers.iter().enumerate() {
            let answer = match layer {
                Layer::Cors(cors) => cors.on_request(seen.head),
                Layer::Gzip(_) => None,
                Layer::TrustedHost(host) => host.on_request(seen),
                Layer::HttpsRedirect(redirect) => redirect.on_request(seen),
            };
            if let Some(Answer { mut head, body }) = answer {
                let body = finish(&self.layers[..depth], seen, &mut head, body);
                return ControlFlow::Break(Answer { head, body });
            }
        }
        ControlFlow::Continue(())
    }

    /// The way out of a whole response: changes its head, gives the body to send. For HEAD too, with the body that GET
    /// would have: its length is said.
    pub fn after(&self, seen: &Seen<'_>, head: &mut ResponseHead, body: Bytes) -> Bytes {
        finish(&self.layers, seen, head, body)
    }

    /// The way out of a streamed response: call it when its first piece is there (Starlette holds the head back until
    /// then), before the head is sent. Each piece then goes through the coder, if there is one.
    /// A stream that ends without any piece is a whole response with an empty body: [`Stack::after`].
    pub fn stream(&self, seen: &Seen<'_>, head: &mut ResponseHead) -> Option<StreamCoder> {
        let mut coder = None;
        for layer in self.layers.iter().rev() {
            match layer {
                Layer::Cors(cors) => cors.on_response(seen.head, head),
                // An inner coder has set `content-encoding`, which keeps the outer ones away.
                Layer::Gzip(gzip) => coder = gzip.on_stream(seen.head, head).or(coder),
                Layer::TrustedHost(_) | Layer::HttpsRedirect(_) => {}
            }
        }
        coder
    }

    /// True when `after` may take long for a body of that many bytes, so that it belongs on an offload thread: what
    /// Starlette's `thread_minimum_size` says.
    pub fn is_heavy(&self, seen: &Seen<'_>, body_bytes: usize) -> bool {
        self.layers
            .iter()
            .any(|layer| matches!(layer, Layer::Gzip(gzip) if gzip.is_heavy(seen.head, body_bytes)))
    }
}

/// Runs layers from the inside out.
fn finish(layers: &[Layer], seen: &Seen<'_>, head: &mut ResponseHead, mut body: Bytes) -> Bytes {
    for layer in layers.iter().rev() {
        match layer {
            Layer::Cors(cors) => cors.on_response(seen.head, head),
            Layer::Gzip(gzip) => body = gzip.on_response(seen.head, head, body),
            Layer::TrustedHost(_) | Layer::HttpsRedirect(_) => {}
        }
    }
    body
}

/// What `PlainTextResponse` gives.
fn plain_text(status: u16, mut fields: FieldBlock, text: &str) -> Answer {
    push(&mut fields, b"content-type", b"text/plain; charset=utf-8");
    Answer { head: ResponseHead { status, fields }, body: Bytes::copy_from_slice(text.as_bytes()) }
}

/// What `RedirectResponse` gives.
fn redirect(url: &str) -> Answer {
    let mut fields = FieldBlock::new();
    push(&mut fields, b"location", url.as_bytes());
    Answer { head: ResponseHead { status: 307, fields }, body: Bytes::new() }
}

/// Adds a field that is valid by construction: fixed, checked when its layer was made, or taken from a request, whose
/// fields keep the same rule.
fn push(fields: &mut FieldBlock, name: &[u8], value: &[u8]) {
    let pushed = fields.push(name, value);
    debug_assert!(pushed.is_ok(), "{}", name.escape_ascii());
}

/// Replaces a field that is valid by construction, as `MutableHeaders.__setitem__` does.
fn set(fields: &mut FieldBlock, name: &[u8], value: &[u8]) {
    let set = fields.set(name, value);
    debug_assert!(set.is_ok(), "{}", name.escape_ascii());
}

/// `", ".join([*headers.getlist("vary"), name])`, set.
fn add_vary(fields: &mut FieldBlock, name: &[u8]) {
    let mut vary = Vec::new();
    for (_, value) in fields.iter().filter(|(own, _)| *own == b"vary") {
        vary.extend_from_slice(value);
        vary.extend_from_slice(b", ");
    }
    vary.extend_from_slice(name);
    set(fields, b"vary", &vary);
}
