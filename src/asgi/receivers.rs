//! The tasks that await a message of one request.
//!
//! Owns: [`Receivers`]: their wakers. Does not own: messages (`call`), who of them finds one (`service::Exchange`).
//! Rule: an exchange wakes one task; in its place it wakes these, all of them, and each looks anew. An application may have
//! several: Starlette awaits the disconnect of a stream, which may ask for it meanwhile.
//! Threads: any wakes; they come and go on the loop's.

use crate::service::is_same_task;
use crate::sync::Mutex;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};

/// Wakes all that wait. Each has a waker of its own.
#[derive(Debug, Default)]
pub struct Receivers(Mutex<Vec<Waker>>);

impl Receivers {
    /// A task waits, until the next wake.
    fn add(&self, waker: &Waker) {
        let mut waiting = self.0.lock();
        if !waiting.iter().any(|known| is_same_task(known, waker)) {
            waiting.push(waker.clone());
        }
    }

    /// It waits no more.
    fn remove(&self, waker: &Waker) {
        let mut waiting = self.0.lock();
        let at = waiting.iter().position(|known| is_same_task(known, waker));
        let left = at.map(|at| waiting.swap_remove(at));
        drop(waiting);
        // Outside of the lock: it may be the last of its task, which then goes, with what it holds.
        drop(left);
    }
}

impl Wake for Receivers {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        let waiting = std::mem::take(&mut *self.0.lock());
        waiting.into_iter().for_each(Waker::wake);
    }
}

/// One of them: gone when this is dropped.
#[derive(Debug)]
pub struct Receiver {
    of: Arc<Receivers>,
    waker: Option<Waker>,
}

impl Receiver {
    /// One that does not wait yet.
    pub fn new(of: Arc<Receivers>) -> Self {
        Receiver { of, waker: None }
    }

    /// Polls what they wait for, which wakes them all. It waits from before that: a wake that comes at once finds it.
    pub fn poll<R>(&mut self, cx: &Context<'_>, poll: impl FnOnce(&mut Context<'_>) -> Poll<R>) -> Poll<R> {
        let waker = cx.waker();
        self.of.add(waker);
        if !self.waker.as_ref().is_some_and(|known| is_same_task(known, waker)) {
            self.leave();
            self.waker = Some(waker.clone());
        }
        poll(&mut Context::from_waker(&Waker::from(self.of.clone())))
    }

    fn leave(&mut self) {
        if let Some(waker) = self.waker.take() {
            self.of.remove(&waker);
        }
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.leave();
    }
}

#[cfg(all(test, not(feature = "models")))]
mod tests {
    use super::{Receiver, Receivers};
    use crate::asgi::wakes::Wakes;
    use std::sync::Arc;
    use std::task::{Context, Poll, Waker};

    fn wait(receiver: &mut Receiver, task: &Arc<Wakes>) -> Waker {
        let (waker, mut woken) = (Waker::from(task.clone()), None);
        let found = receiver.poll(&Context::from_waker(&waker), |cx| {
            woken = Some(cx.waker().clone());
            Poll::<()>::Pending
        });
        assert!(found.is_pending());
        woken.expect("it was polled")
    }

    #[test]
    fn all_that_wait_are_woken_once_and_those_that_left_are_not() {
        let (first, second, left) =
            (Arc::new(Wakes::default()), Arc::new(Wakes::default()), Arc::new(Wakes::default()));
        let receivers = Arc::new(Receivers::default());
        let mut waiting = [&first, &second, &left].map(|task| {
            let mut receiver = Receiver::new(receivers.clone());
            wait(&mut receiver, task);
            receiver
        });
        let exchange = wait(&mut waiting[0], &first);
        let [first_waits, second_waits, left_waits] = waiting;
        drop(left_waits);
        exchange.wake_by_ref();
        exchange.wake_by_ref();
        let count = |task: &Arc<Wakes>| task.count();
        assert_eq!((count(&first), count(&second), count(&left)), (1, 1, 0));
        drop((first_waits, second_waits));
        assert_eq!(Arc::strong_count(&left), 1);
    }

    #[test]
    fn who_waits_with_another_waker_is_woken_by_that_one() {
        let (before, after) = (Arc::new(Wakes::default()), Arc::new(Wakes::default()));
        let mut receiver = Receiver::new(Arc::default());
        wait(&mut receiver, &before);
        wait(&mut receiver, &after).wake();
        assert_eq!((before.count(), after.count()), (0, 1));
        assert_eq!(Arc::strong_count(&before), 1);
    }
}
