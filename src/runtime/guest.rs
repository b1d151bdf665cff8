//! Steps a guest loop (asyncio's) from a worker.
//!
//! Owns: when to step: its descriptor, its waker, its next timer. Does not own: what a step does (`home_loop`).
//! Rule: between two steps every other task of the worker has had its turn; while nothing is due, nothing runs.

use crate::service::{GuestLoop, NextStep};
use monoio::net::UnixStream;
use std::cell::Cell;
use std::future::{poll_fn, Future};
use std::os::fd::BorrowedFd;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::Arc;
use std::task::{Poll, Wake, Waker};
use std::time::Instant;

/// Notes that a step was asked for, then wakes the task that steps.
struct Nudge {
    is_due: AtomicBool,
    task: Waker,
}

impl Wake for Nudge {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        if !self.is_due.swap(true, Ordering::AcqRel) {
            self.task.wake_by_ref();
        }
    }
}

/// Steps `guest` for as long as `is_open` says.
///
/// # Errors
/// The descriptor cannot be watched.
pub async fn drive(guest: Rc<dyn GuestLoop>, is_open: Rc<Cell<bool>>) -> std::io::Result<()> {
    // SAFETY: the loop's descriptor is open while the loop lives, which `guest` keeps it doing.
    let borrowed = unsafe { BorrowedFd::borrow_raw(guest.fd()) };
    // monoio watches sockets and no bare descriptor; a stream made of a duplicate is never read from, only watched.
    let watched = borrowed.try_clone_to_owned()?;
    let watched = Rc::new(UnixStream::from_std(watched.into())?);
    let watch = |watched: &Rc<UnixStream>| -> Pin<Box<dyn Future<Output = std::io::Result<()>>>> {
        let watched = watched.clone();
        Box::pin(async move { watched.readable(false).await })
    };
    let nudge = poll_fn(|cx| {
        Poll::Ready(Arc::new(Nudge { is_due: AtomicBool::new(true), task: cx.waker().clone() }))
    })
    .await;
    guest.set_waker(Waker::from(nudge.clone()));
    let mut readable = watch(&watched);
    let mut timer: Option<(Instant, Pin<Box<monoio::time::Sleep>>)> = None;
    while is_open.get() {
        let mut is_ready = Ok(false);
        poll_fn(|cx| {
            let mut due = nudge.is_due.swap(false, Ordering::AcqRel);
            if let Poll::Ready(result) = readable.as_mut().poll(cx) {
                is_ready = result.map(|()| true);
                due = true;
            }
            if let Some((_, sleep)) = &mut timer {
                if sleep.as_mut().poll(cx).is_ready() {
                    timer = None;
                    due = true;
                }
            }
            if due || !is_open.get() {
                Poll::Ready(())
            } else {
                Poll::Pending
            }
        })
        .await;
        if is_ready? {
            readable = watch(&watched);
        }
        match guest.step() {
            NextStep::Now => {
                nudge.is_due.store(true, Ordering::Release);
                yield_now().await;
            }
            NextStep::Idle => timer = None,
            NextStep::At(when) => {
                if timer.as_ref().is_none_or(|(known, _)| *known != when) {
                    timer = Some((when, Box::pin(monoio::time::sleep_until(when.into()))));
                }
            }
        }
    }
    Ok(())
}

/// Lets every ready task of the worker run, and the driver look at its completions.
pub async fn yield_now() {
    // A task that wakes itself is put in front of the queue; one hop through a fresh task puts us behind.
    let (done, waker) = (Rc::new(Cell::new(false)), Rc::new(Cell::new(None::<Waker>)));
    let (set, wake) = (done.clone(), waker.clone());
    monoio::spawn(async move {
        set.set(true);
        if let Some(waker) = wake.take() {
            waker.wake();
        }
    });
    poll_fn(|cx| {
        if done.get() {
            return Poll::Ready(());
        }
        waker.set(Some(cx.waker().clone()));
        Poll::Pending
    })
    .await;
}
