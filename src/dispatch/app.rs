//! The application as all workers share it.
//!
//! Owns: [`App`], and what its native middleware does with a response on its way out.
//! Does not own: what one worker holds of its own (`local`), replacing routes (`live`).
//! Rule: built on the main thread, then only read.

use super::fault;
use super::form::FormLimits;
use super::plan::Table;
use crate::asgi::TrustedProxies;
use crate::home_loop::LoopHandle;
use crate::http1::{RequestHead, ResponseHead};
use crate::interp::{BaseContext, Held};
use crate::middleware::{Seen, Stack};
use crate::service::{Ends, Outcome, Reply, Request};
use bytes::Bytes;
use pyo3::prelude::*;
use std::sync::atomic::AtomicBool;
use std::sync::Arc;

/// Which workers have a loop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LoopPlacement {
    /// Worker 0, for all.
    Home,
    /// Each worker, with a lifespan of its own.
    PerWorker,
}

/// The classes of `turboapi_rs.isolated`.
pub struct PlainClasses {
    /// Of a whole request.
    pub request: Held<PyAny>,
    /// Of a body as it arrives.
    pub upload: Held<PyAny>,
}

impl PlainClasses {
    /// The same classes, once more.
    pub fn clone_ref(&self, py: Python<'_>) -> Self {
        let PlainClasses { request, upload } = self;
        PlainClasses { request: Held::new(request.clone_ref(py)), upload: Held::new(upload.clone_ref(py)) }
    }
}

/// What all workers share. Built on the main thread, then only read.
pub struct App {
    /// Raw routes and static responses.
    pub table: Table,
    /// The ASGI application behind them, if any.
    pub asgi: Option<Held<PyAny>>,
    /// Prefix that a proxy took off.
    pub root_path: String,
    /// Proxies whose word on scheme and client is taken.
    pub proxies: TrustedProxies,
    /// `auto`, `on` or `off`.
    pub lifespan: String,
    /// Which workers have a loop.
    pub placement: LoopPlacement,
    /// The context that requests start from.
    pub context: BaseContext,
    /// The way to the home loop.
    pub home: Arc<LoopHandle>,
    /// The drain has begun.
    pub draining: Arc<AtomicBool>,
    /// What handlers are given, where the extension's own classes must not be used.
    pub plain: Option<PlainClasses>,
    /// What an uploaded form may be.
    pub forms: FormLimits,
    /// Runs around compiled routes.
    pub middleware: Option<Arc<Stack>>,
}

impl App {
    /// A request as native middleware sees it.
    pub(super) fn seen<'a>(&'a self, head: &'a RequestHead, ends: &'a Ends) -> Seen<'a> {
        let peer = ends.client.as_ref().map(|(host, _)| host.as_str());
        Seen {
            head,
            scheme: self.proxies.scheme(peer, head).unwrap_or("http"),
            server: ends.server.as_ref().map(|(host, port)| (host.as_str(), *port)),
            root_path: &self.root_path,
        }
    }

    /// A whole response of a compiled route, on its way out through native middleware.
    pub(super) fn finished(
        &self,
        request: &RequestHead,
        ends: &Ends,
        mut head: ResponseHead,
        body: Bytes,
    ) -> (ResponseHead, Bytes) {
        match &self.middleware {
            None => (head, body),
            Some(stack) => {
                let body = stack.after(&self.seen(request, ends), &mut head, body);
                (head, body)
            }
        }
    }

    /// The way out, through the application's native middleware, of a stream's head. No layer codes its pieces: a path
    /// operation with `yield` behind one that would is not pulled (`plans/compile.py`).
    pub(super) fn begin_stream(&self, request: &RequestHead, ends: &Ends, head: &mut ResponseHead) {
        if let Some(stack) = &self.middleware {
            if stack.stream(&self.seen(request, ends), head).is_some() {
                log::error!(
                    "a stream that was to be compressed is not; a bug in the server; please report it"
                );
            }
        }
    }

    /// Answers with JSON that is ready.
    pub(super) fn answer_json(
        &self,
        request: &Request,
        reply: Reply<'_>,
        status: u16,
        body: &[u8],
    ) -> Outcome {
        const JSON: &[u8] = b"application/json";
        if self.middleware.is_none() {
            return reply.short(status, JSON, body);
        }
        let mut fields = crate::http1::FieldBlock::new();
        if fields.push(b"content-type", JSON).is_err() {
            return fault::answer(reply);
        }
        let head = ResponseHead { status, fields };
        let (head, body) = self.finished(&request.head, &request.ends, head, Bytes::copy_from_slice(body));
        reply.full(head.status, &head.fields, body)
    }
}

/// The path has routes, of other methods.
pub(super) fn method_not_allowed(app: &App, request: &Request, allow: &[u8], reply: Reply<'_>) -> Outcome {
    const BODY: &[u8] = b"{\"detail\":\"Method Not Allowed\"}";
    let mut fields = crate::http1::FieldBlock::new();
    let pushed =
        fields.push(b"content-type", b"application/json").and_then(|()| fields.push(b"allow", allow));
    match pushed {
        Ok(()) => {
            let (head, body) = app.finished(
                &request.head,
                &request.ends,
                ResponseHead { status: 405, fields },
                Bytes::from_static(BODY),
            );
            reply.full(head.status, &head.fields, body)
        }
        Err(_) => fault::answer(reply),
    }
}
