//! `asgi::Feeds` with `service::Exchange`: streams of events that begin while the drain does.

use crate::feeds::{Feeds, FEW};
use crate::support::{explore, Task};
use loom::thread;
use std::sync::Arc;
use turboapi::service::{CloseReason, Exchange, Inbound};

/// An application that waits in its stream of events hears of the drain, whether the stream began before it, or while.
#[test]
fn a_stream_is_told_of_the_drain_in_any_order() {
    explore(|| {
        let feeds = Arc::new(Feeds::default());
        let (before, meanwhile) = (Exchange::without_body(), Exchange::without_body());
        feeds.add(&before);
        let there = feeds.clone();
        let application = thread::spawn(move || {
            there.add(&meanwhile);
            // Not told, it would wait for ever.
            let told = Task::new().wait(|cx| meanwhile.poll_inbound(cx));
            assert!(matches!(told, Inbound::Closed(CloseReason::Disconnected)));
        });
        feeds.begin_drain();
        assert!(before.is_told_to_end());
        application.join().unwrap();
    });
}

/// Forgetting those that have ended forgets none that goes on, also while the drain begins.
#[test]
fn a_sweep_forgets_no_stream_that_goes_on() {
    explore(|| {
        let feeds = Arc::new(Feeds::default());
        let kept = Exchange::without_body();
        feeds.add(&kept);
        for _ in 1..FEW {
            feeds.add(&Exchange::without_body());
        }
        let there = feeds.clone();
        let sweeping = thread::spawn(move || {
            let last = Exchange::without_body();
            there.add(&last);
            last
        });
        feeds.begin_drain();
        let last = sweeping.join().unwrap();
        assert!(kept.is_told_to_end() && last.is_told_to_end());
    });
}
