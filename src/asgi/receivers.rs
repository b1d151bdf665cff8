//! The tasks that await a message of one request.
//!
//! Owns: [`Receivers`]: their wakers. Does not own: messages (`call`), who of them finds one (`service::Exchange`).
//! Rule: an exchange wakes one task; in its place it wakes these, all of them, and each looks anew. An application may have
//! several: Starlette awaits the disconnect of a stream, which may ask for it meanwhile.
//! Threads: any wakes; they come and go on the loop's.

use crate::service::is_same_task;
use parking_lot::Mutex;
use std::sync::Arc;
use std::task::{Wake, Waker};

/// Wakes all that wait.
#[derive(Debug, Default)]
pub struct Receivers(Mutex<Vec<Waker>>);

impl Receivers {
    /// A task waits, until the next wake.
    pub fn add(&self, waker: &Waker) {
        let mut waiting = self.0.lock();
        if !waiting.iter().any(|known| is_same_task(known, waker)) {
            waiting.push(waker.clone());
        }
    }

    /// It waits no more.
    pub fn remove(&self, waker: &Waker) {
        self.0.lock().retain(|known| !is_same_task(known, waker));
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

    /// Waits from now on; gives what the exchange is to wake.
    pub fn waker(&mut self, waker: &Waker) -> Waker {
        self.of.add(waker);
        self.waker.get_or_insert_with(|| waker.clone());
        Waker::from(self.of.clone())
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        if let Some(waker) = &self.waker {
            self.of.remove(waker);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Receiver, Receivers};
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::sync::Arc;
    use std::task::{Wake, Waker};

    #[derive(Default)]
    struct Task(AtomicUsize);

    impl Wake for Task {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    #[test]
    fn all_that_wait_are_woken_once_and_those_that_left_are_not() {
        let (first, second, left) =
            (Arc::new(Task::default()), Arc::new(Task::default()), Arc::new(Task::default()));
        let receivers = Arc::new(Receivers::default());
        let mut waiting = [&first, &second, &left].map(|task| {
            let mut receiver = Receiver::new(receivers.clone());
            receiver.waker(&Waker::from(task.clone()));
            (receiver, Waker::from(task.clone()))
        });
        let exchange = waiting[0].0.waker(&waiting[0].1.clone());
        let [first_waits, second_waits, left_waits] = waiting;
        drop(left_waits);
        exchange.wake_by_ref();
        exchange.wake_by_ref();
        let count = |task: &Arc<Task>| task.0.load(Ordering::Relaxed);
        assert_eq!((count(&first), count(&second), count(&left)), (1, 1, 0));
        drop((first_waits, second_waits));
        assert_eq!(Arc::strong_count(&left), 1);
    }
}
