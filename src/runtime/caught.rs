//! A future whose panic is a value.
//!
//! Owns: [`caught`]. Does not own: what becomes of whoever panicked (`connection`, `worker`).

use std::future::{poll_fn, Future};
use std::panic::{catch_unwind, AssertUnwindSafe};
use std::pin::Pin;
use std::task::Poll;

/// It panicked. Its future was not polled again.
pub struct Panicked;

/// Runs a future to its end, or to its panic.
pub async fn caught<F: Future>(mut future: Pin<&mut F>) -> Result<F::Output, Panicked> {
    poll_fn(|cx| match catch_unwind(AssertUnwindSafe(|| future.as_mut().poll(cx))) {
        Ok(polled) => polled.map(Ok),
        Err(_) => Poll::Ready(Err(Panicked)),
    })
    .await
}
