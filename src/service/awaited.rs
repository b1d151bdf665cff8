//! A value that one side makes and another waits for.
//!
//! Owns: [`Awaited`]: the value, the waker of who waits. Does not own: what is made, where.
//! Rule: the first value stays, and is found by who waits, whichever comes first; a waker is called outside the lock.
//! Threads: any makes it; one task waits.

use crate::sync::Mutex;
use std::task::{Context, Poll, Waker};

/// A value to come.
#[derive(Debug)]
pub struct Awaited<T>(Mutex<Slot<T>>);

#[derive(Debug)]
struct Slot<T> {
    value: Option<T>,
    waker: Option<Waker>,
}

impl<T> Default for Awaited<T> {
    fn default() -> Self {
        Awaited(Mutex::new(Slot { value: None, waker: None }))
    }
}

impl<T> Awaited<T> {
    /// It is there. One that comes while another still lies here is dropped.
    pub fn put(&self, value: T) {
        let mut value = Some(value);
        let waker = {
            let mut slot = self.0.lock();
            if slot.value.is_none() {
                slot.value = value.take();
            }
            slot.waker.take()
        };
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// Ready with the value, which is taken.
    pub fn poll(&self, cx: &Context<'_>) -> Poll<T> {
        self.poll_by(cx, Option::take)
    }

    /// Ready with a copy of the value, any number of times.
    pub fn poll_copy(&self, cx: &Context<'_>) -> Poll<T>
    where
        T: Clone,
    {
        self.poll_by(cx, |value| value.clone())
    }

    fn poll_by(&self, cx: &Context<'_>, find: impl FnOnce(&mut Option<T>) -> Option<T>) -> Poll<T> {
        let mut slot = self.0.lock();
        match find(&mut slot.value) {
            Some(value) => Poll::Ready(value),
            None => {
                slot.waker = Some(cx.waker().clone());
                Poll::Pending
            }
        }
    }
}
