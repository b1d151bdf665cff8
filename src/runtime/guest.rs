//! Steps a guest loop (asyncio's) from a worker.
//!
//! Owns: when to step: its descriptor, its waker, its next timer. Does not own: what a step does (`home_loop`).
//! Rule: between two steps every other task of the worker has had its turn; while nothing is due, nothing runs.

use super::nudge::Nudge;
use super::signal::{Signal, Turns};
use crate::invariants;
use crate::service::{GuestLoop, NextStep};
use monoio::net::UnixStream;
use monoio::time::Sleep;
use std::future::{poll_fn, Future};
use std::io;
use std::os::fd::BorrowedFd;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use std::time::Instant;

/// One timer, used again.
#[derive(Default)]
struct Timer {
    sleep: Option<Pin<Box<Sleep>>>,
    at: Option<Instant>,
}

impl Timer {
    fn set(&mut self, at: Instant) {
        if self.at == Some(at) {
            return;
        }
        self.at = Some(at);
        match &mut self.sleep {
            Some(sleep) => sleep.as_mut().reset(at.into()),
            none => *none = Some(Box::pin(monoio::time::sleep_until(at.into()))),
        }
    }

    /// Ready once, at its time.
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let Some(sleep) = self.sleep.as_mut().filter(|_| self.at.is_some()) else { return Poll::Pending };
        let polled = sleep.as_mut().poll(cx);
        if polled.is_ready() {
            self.at = None;
        }
        polled
    }
}

/// A guest loop whose descriptor is watched.
pub struct Watched {
    guest: Rc<dyn GuestLoop>,
    descriptor: Rc<UnixStream>,
}

impl Watched {
    /// Begins to watch.
    ///
    /// # Errors
    /// There is no descriptor left for that. A worker without its loop would answer nothing that waits.
    pub fn new(guest: Rc<dyn GuestLoop>) -> io::Result<Self> {
        let descriptor = watched(&*guest)?;
        Ok(Watched { guest, descriptor })
    }
}

/// Steps `guest` until the worker closes.
pub async fn drive(Watched { guest, descriptor }: Watched, turns: Rc<Turns>, closing: Rc<Signal>) {
    let nudge = poll_fn(|cx| Poll::Ready(Nudge::new(cx.waker().clone()))).await;
    guest.set_waker(Waker::from(nudge.clone()));
    let mut readable = readable(&descriptor);
    let mut timer = Timer::default();
    loop {
        let is_readable = poll_fn(|cx| {
            invariants::about_to_wait();
            let mut is_due = nudge.take();
            let is_readable = readable.as_mut().poll(cx).is_ready();
            if is_readable {
                readable = self::readable(&descriptor);
                is_due = true;
            }
            is_due |= timer.poll(cx).is_ready();
            let is_closing = closing.poll(cx).is_ready();
            if is_due || is_closing {
                Poll::Ready(is_readable)
            } else {
                Poll::Pending
            }
        })
        .await;
        if closing.is_set() {
            return;
        }
        turns.rest().await;
        match guest.step(is_readable) {
            NextStep::Now => {
                nudge.again();
                turns.pass().await;
            }
            NextStep::Idle => timer.at = None,
            NextStep::At(when) => timer.set(when),
        }
    }
}

/// The loop's descriptor as something that monoio watches: it watches sockets, and no bare descriptor. Never read from.
fn watched(guest: &dyn GuestLoop) -> io::Result<Rc<UnixStream>> {
    // SAFETY: the loop's descriptor is open while the loop lives, which the caller keeps it doing.
    let borrowed = unsafe { BorrowedFd::borrow_raw(guest.fd()) };
    let copy = borrowed.try_clone_to_owned()?;
    UnixStream::from_std(copy.into()).map(Rc::new)
}

fn readable(watched: &Rc<UnixStream>) -> Pin<Box<dyn Future<Output = io::Result<()>>>> {
    let watched = watched.clone();
    Box::pin(async move { watched.readable(false).await })
}
