//! The streams of events that applications are sending.
//!
//! Owns: which exchanges these are, telling them of the drain. Does not own: how an application is told (`Exchange`).
//! Rule (`bounded_memory`): what has ended is forgotten before the list doubles.
//! Threads: any.

use crate::service::Exchange;
use crate::sync::Mutex;
use std::sync::{Arc, Weak};

/// Entries below which nothing is swept.
pub(super) const FEW: usize = 64;

/// Streams of events of one worker.
#[derive(Debug, Default)]
pub struct Feeds(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    open: Vec<Weak<Exchange>>,
    sweep_at: usize,
    is_draining: bool,
}

impl Feeds {
    /// A stream of events has begun.
    pub fn add(&self, exchange: &Arc<Exchange>) {
        let mut state = self.0.lock();
        if state.is_draining {
            drop(state);
            return exchange.tell_to_end();
        }
        if state.open.len() >= state.sweep_at.max(FEW) {
            state.open.retain(|known| known.strong_count() > 0);
            state.sweep_at = state.open.len() * 2;
        }
        state.open.push(Arc::downgrade(exchange));
    }

    /// Tells all of them, and those to come, that they should end.
    pub fn begin_drain(&self) {
        let open = {
            let mut state = self.0.lock();
            state.is_draining = true;
            std::mem::take(&mut state.open)
        };
        open.iter().filter_map(Weak::upgrade).for_each(|exchange| exchange.tell_to_end());
    }
}

#[cfg(all(test, not(feature = "models")))]
mod tests {
    use super::{Feeds, FEW};
    use crate::service::Exchange;

    #[test]
    fn those_that_ended_are_forgotten() {
        let feeds = Feeds::default();
        let kept = Exchange::without_body();
        feeds.add(&kept);
        for _ in 0..FEW * 100 {
            feeds.add(&Exchange::without_body());
        }
        assert!(feeds.0.lock().open.len() <= FEW * 2);
        feeds.begin_drain();
        assert!(kept.is_told_to_end());
        let late = Exchange::without_body();
        feeds.add(&late);
        assert!(late.is_told_to_end());
    }
}
