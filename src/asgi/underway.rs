//! The tasks of requests, counted from their first wait to their end.
//!
//! Owns: how many there are, waking who waits for none. Does not own: the tasks (asyncio), how long they are waited for
//! (`runtime`).
//! Rule: a task counts until it is done, whether or not its response is: what it does after that is work, too.
//! Threads: any.

use crate::sync::Mutex;
use std::task::{Context, Poll, Waker};

/// Tasks of one host.
#[derive(Debug, Default)]
pub struct Underway(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    tasks: usize,
    waiting: Option<Waker>,
}

impl Underway {
    /// A task goes on.
    pub fn begin(&self) {
        self.0.lock().tasks += 1;
    }

    /// A task is done.
    pub fn end(&self) {
        let waiting = {
            let mut state = self.0.lock();
            state.tasks = state.tasks.saturating_sub(1);
            if state.tasks > 0 {
                return;
            }
            state.waiting.take()
        };
        if let Some(waiting) = waiting {
            waiting.wake();
        }
    }

    /// Ready when there are none.
    pub fn poll_none(&self, cx: &Context<'_>) -> Poll<()> {
        let mut state = self.0.lock();
        if state.tasks == 0 {
            return Poll::Ready(());
        }
        state.waiting = Some(cx.waker().clone());
        Poll::Pending
    }
}

#[cfg(all(test, not(feature = "models")))]
mod tests {
    use super::Underway;
    use crate::asgi::wakes::Wakes;
    use std::sync::Arc;
    use std::task::{Context, Poll, Waker};

    #[test]
    fn the_last_one_wakes_who_waits() {
        let (underway, wakes) = (Underway::default(), Arc::new(Wakes::default()));
        let waker = Waker::from(wakes.clone());
        let cx = Context::from_waker(&waker);
        assert_eq!(underway.poll_none(&cx), Poll::Ready(()));
        underway.begin();
        underway.begin();
        assert_eq!(underway.poll_none(&cx), Poll::Pending);
        underway.end();
        assert_eq!(wakes.count(), 0);
        underway.end();
        assert_eq!(wakes.count(), 1);
        assert_eq!(underway.poll_none(&cx), Poll::Ready(()));
    }
}
