//! Going on with a request on a home loop, from any thread.
//!
//! Owns: posting work for an exchange to a loop, and what that work finds on the loop's worker.
//! Does not own: the mailbox (`home_loop`), what the work does, work for the offload pool (`offloaded`).
//! Rule: whoever posts is told nothing: work that a closed loop refuses, or that finds nothing to go on with, aborts its
//! exchange.

use super::fault;
use super::local::Local;
use crate::asgi::AsgiHost;
use crate::home_loop::{HomeLoop, LoopHandle};
use crate::service::Exchange;
use pyo3::prelude::*;
use std::rc::Rc;
use std::sync::Arc;

/// Ends an exchange that nobody else will: what should have gone on with it was dropped undone, or panicked.
pub(super) struct LastWord(Option<Arc<Exchange>>);

impl LastWord {
    pub(super) fn on(exchange: &Arc<Exchange>) -> Self {
        LastWord(Some(exchange.clone()))
    }

    /// Somebody goes on with it.
    pub(super) fn pass_on(mut self) {
        self.0 = None;
    }
}

impl Drop for LastWord {
    fn drop(&mut self) {
        if let Some(exchange) = &self.0 {
            fault::abort(exchange);
        }
    }
}

/// Does `work` for an exchange on the loop's thread.
pub(super) fn post(
    home: &LoopHandle,
    exchange: &Arc<Exchange>,
    work: impl for<'py> FnOnce(Python<'py>, &Rc<HomeLoop>, &Arc<Exchange>) + Send + 'static,
) {
    let (answered, last_word) = (exchange.clone(), LastWord::on(exchange));
    // A loop that is closed drops it, now or when it closes.
    let _ = home.post(Box::new(move |py, home| {
        work(py, home, &answered);
        last_word.pass_on();
    }));
}

/// As [`post`], with what the loop's worker holds of its own.
pub(super) fn post_to_local(
    home: &LoopHandle,
    exchange: &Arc<Exchange>,
    work: impl for<'py> FnOnce(Python<'py>, &Rc<Local>, &Rc<HomeLoop>, &Arc<Exchange>) + Send + 'static,
) {
    post(home, exchange, move |py, home, exchange| match Local::current() {
        Some(local) => work(py, &local, home, exchange),
        None => fault::abort(exchange),
    });
}

/// As [`post`], with the ASGI application of the loop's worker.
pub(super) fn post_to_host(
    home: &LoopHandle,
    exchange: &Arc<Exchange>,
    work: impl for<'py> FnOnce(Python<'py>, &AsgiHost, &Rc<HomeLoop>, &Arc<Exchange>) + Send + 'static,
) {
    post_to_local(home, exchange, move |py, local, home, exchange| match &local.host {
        Some(host) => work(py, host, home, exchange),
        None => fault::abort(exchange),
    });
}
