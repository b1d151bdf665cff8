//! What a handler did wrong, and what is said of it.
//!
//! Owns: [`Fault`], its log line, its fixed answer. Rule: the answer tells the client nothing; the log names the handler.

use crate::http1::{FieldBlock, ResponseHead};
use crate::interp;
use crate::service::{Exchange, Outcome, Reply, ReplyEvent};
use pyo3::prelude::*;

/// A handler broke its contract, or raised.
#[derive(Debug)]
pub enum Fault {
    /// It raised.
    Raised(PyErr),
    /// It returned what is no response; the text says what is wrong with it.
    Result(String),
}

impl From<PyErr> for Fault {
    fn from(error: PyErr) -> Self {
        Fault::Raised(error)
    }
}

impl Fault {
    /// Writes the one log line.
    pub fn log(&self, py: Python<'_>, handler: &str, request: &str) {
        match self {
            Fault::Raised(error) => {
                log::error!("{request}: handler {handler} raised\n{}", interp::traceback(py, error));
            }
            Fault::Result(what) => log::error!("{request}: handler {handler} returned no response: {what}"),
        }
    }
}

impl Fault {
    /// Ends the response of a handler: a form that it let be refused is a 400 or a 413, all else is logged and a 500.
    pub fn end(&self, py: Python<'_>, exchange: &Exchange, handler: &str, request: &str) {
        let refused = match self {
            Fault::Raised(raised) => super::intake::refusal(py, raised),
            Fault::Result(_) => None,
        };
        let Some((status, reason)) = refused else {
            self.log(py, handler, request);
            return abort(exchange);
        };
        let mut fields = FieldBlock::new();
        let pushed = fields.push(b"content-type", b"text/plain; charset=utf-8");
        debug_assert!(pushed.is_ok(), "a constant field is sound");
        // Refused when the peer is gone.
        let _ = exchange.push(ReplyEvent::Full(ResponseHead { status, fields }, reason.into()));
    }
}

/// Answers 500 with a fixed body. Text and type are Starlette's.
pub fn answer(reply: Reply<'_>) -> Outcome {
    reply.short(500, b"text/plain; charset=utf-8", b"Internal Server Error")
}

/// Ends a response that comes through an exchange: 500 if nothing was sent, a torn connection otherwise.
pub fn abort(exchange: &Exchange) {
    // A closed exchange has nobody left to tell.
    let _ = exchange.push(ReplyEvent::Abort);
}
