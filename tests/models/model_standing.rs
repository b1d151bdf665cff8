//! `dispatch::Standing`: calls on many threads that judge one route.

use crate::standing::Standing;
use crate::support::explore;
use loom::sync::atomic::{AtomicU64, Ordering};
use loom::thread;
use std::sync::Arc;

/// A route that waits for the event loop is never direct again, whatever its other calls prove at that moment.
#[test]
fn a_route_that_stays_is_never_direct_again() {
    explore(|| {
        let standing = Arc::new(Standing::new(false, 1));
        let (proving, losing) = (standing.clone(), standing.clone());
        let fast = thread::spawn(move || proving.prove(true, || 0));
        let slow = thread::spawn(move || losing.lose(1, || 0));
        assert!(standing.stay());
        assert!(!standing.is_direct());
        fast.join().unwrap();
        slow.join().unwrap();
        assert!(!standing.is_direct());
        assert_eq!(standing.promotions(), standing.demotions());
    });
}

/// A verdict that changes is counted once: what was won less what was lost is how the route stands.
#[test]
fn each_change_of_the_verdict_is_counted_once() {
    explore(|| {
        let standing = Arc::new(Standing::new(false, 1));
        let calls = Arc::new(AtomicU64::new(0));
        let work = |standing: Arc<Standing>, calls: Arc<AtomicU64>| {
            move || {
                standing.prove(true, || calls.load(Ordering::Relaxed));
                if standing.is_direct() {
                    calls.fetch_add(1, Ordering::Relaxed);
                    standing.lose(1, || calls.load(Ordering::Relaxed));
                }
            }
        };
        let other = thread::spawn(work(standing.clone(), calls.clone()));
        work(standing.clone(), calls)();
        other.join().unwrap();
        assert_eq!(standing.promotions() - standing.demotions(), u32::from(standing.is_direct()));
        assert!(standing.needed() <= 4);
    });
}

/// Direct calls of other workers that are seen late, after the promotion that counted them, are no thousand of new ones.
#[test]
fn calls_that_are_seen_late_are_not_counted_below_zero() {
    explore(|| {
        let standing = Arc::new(Standing::new(false, 1));
        let calls = Arc::new(AtomicU64::new(0));
        let (proving, counted, counting) = (standing.clone(), calls.clone(), calls.clone());
        let other_worker = thread::spawn(move || counting.store(1, Ordering::Relaxed));
        let fast = thread::spawn(move || proving.prove(true, || counted.load(Ordering::Relaxed)));
        if let Some(needed) = standing.lose(1, || calls.load(Ordering::Relaxed)) {
            assert_eq!(needed, 2);
        }
        other_worker.join().unwrap();
        fast.join().unwrap();
    });
}
