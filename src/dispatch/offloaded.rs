//! Prepared calls on the offload pool, answered later.
//!
//! Owns: [`Away`] (what a call on the pool may reach), queueing, 503 when the queue is full, answering with a result.
//! Does not own: the pool (`runtime`), whether a call goes there (`earned`).
//! Rule: whatever happens to a call, its exchange gets exactly one last word; a call that was queued is made, also when
//! its peer has left meanwhile, since it may have effects that the peer counts on.
//! Threads: a call runs attached on a thread of the pool, which keeps its own thread state for life.

use super::app::App;
use super::coroutine;
use super::fault::{self, Fault};
use super::onward::LastWord;
use super::reply::{classify, Classified};
use super::stream::{self, Origin, SyncStream};
use crate::home_loop::LoopHandle;
use crate::http1::FieldBlock;
use crate::interp::{self, Held};
use crate::service::{Exchange, Offload, Outcome, Reply, ReplyEvent};
use bytes::Bytes;
use pyo3::prelude::*;
use std::sync::Arc;

/// Seconds after which a client may try again, when the queue is full.
const RETRY_AFTER: &[u8] = b"1";

/// What a call away from its worker may reach. For any thread.
#[derive(Clone)]
pub struct Away {
    /// The application.
    pub app: Arc<App>,
    /// The pool.
    pub offload: Offload,
    /// The loop for what turns out to be asynchronous.
    pub home: Arc<LoopHandle>,
}

impl Away {
    /// Queues `call` for the pool, to answer later through `exchange`, or answers 503 at once when the queue is full.
    ///
    /// `call` runs attached, in no context of its own: it enters one ([`crate::interp::BaseContext::run`]). It answers
    /// through the exchange, for which [`Away::answer`] is there. Its error is logged under `origin` and is a 500.
    pub fn submit(
        &self,
        reply: Reply<'_>,
        exchange: Arc<Exchange>,
        origin: Origin,
        call: impl for<'py> FnOnce(Python<'py>, &Away, &Arc<Exchange>) -> Result<(), Fault> + Send + 'static,
    ) -> Outcome {
        let away = self.clone();
        let (answered, last_word) = (exchange.clone(), LastWord::on(&exchange));
        let submitted = self.offload.submit(Box::new(move || {
            interp::attach(|py| match call(py, &away, &answered) {
                // Answered, or an iterator or a coroutine that was started will.
                Ok(()) => last_word.pass_on(),
                Err(fault) => fault.end(py, &answered, &origin.handler, &origin.request),
            });
        }));
        match submitted {
            Ok(()) => Outcome::Pending(exchange),
            Err(job) => {
                // What it holds of Python's is let go of while attached.
                interp::attach(|_py| drop(job));
                refuse(reply)
            }
        }
    }

    /// Answers with what a handler returned.
    ///
    /// # Errors
    /// The handler's fault; nothing was answered.
    pub fn answer(
        &self,
        result: Bound<'_, PyAny>,
        exchange: &Arc<Exchange>,
        origin: &Origin,
    ) -> Result<(), Fault> {
        exchange.claim(|| origin.request.clone());
        let mut scratch = Vec::new();
        match classify(result, &mut scratch)? {
            Classified::Stream(head, iterator) => {
                let is_async = coroutine::check_iterator(&iterator)?;
                // Refused, here and below, when the peer is gone: nobody is left to tell.
                let _ = exchange.push(ReplyEvent::Head(head));
                if is_async {
                    stream::start_async_away(&self.home, iterator, exchange, origin.clone());
                } else {
                    let iterator = Held::new(iterator.try_iter()?.into_any().unbind());
                    let draining = self.app.draining.clone();
                    SyncStream::start(
                        iterator,
                        exchange.clone(),
                        self.offload.clone(),
                        draining,
                        origin.clone(),
                    );
                }
            }
            Classified::Awaitable(awaitable) => {
                coroutine::start_away(&self.home, awaitable, exchange, origin.clone());
            }
            whole => {
                let _ = exchange.push(coroutine::whole_event(whole, scratch)?);
            }
        }
        Ok(())
    }
}

fn refuse(reply: Reply<'_>) -> Outcome {
    let mut fields = FieldBlock::new();
    let pushed = fields
        .push(b"content-type", b"text/plain; charset=utf-8")
        .and_then(|()| fields.push(b"retry-after", RETRY_AFTER));
    match pushed {
        Ok(()) => reply.full(503, &fields, Bytes::from_static(b"Service Unavailable")),
        Err(_) => fault::answer(reply),
    }
}
