//! `runtime::control`: the orders, the gates of the start and of the drain.

use crate::config::StartError;
use crate::control::{Control, Gate, Order, StopHandle};
use crate::support::{block_on, explore, Task};
use loom::sync::atomic::{AtomicUsize, Ordering};
use loom::thread;
use std::sync::Arc;

/// No worker passes a gate before all have come to it, and all pass it then.
#[test]
fn a_gate_opens_when_all_have_come_and_for_all() {
    explore(|| {
        let control = Control::new(2);
        let come = Arc::new(AtomicUsize::new(0));
        let work = |worker| {
            let (control, come) = (control.clone(), come.clone());
            move || {
                come.fetch_add(1, Ordering::Relaxed);
                control.arrive(worker, Gate::Started);
                assert!(block_on(control.pass(worker, Gate::Started)));
                // Relaxed: that all have come is known by having passed.
                assert_eq!(come.load(Ordering::Relaxed), 2);
            }
        };
        let other = thread::spawn(work(1));
        work(0)();
        other.join().unwrap();
    });
}

/// `drain_answers_all`: the order to drain reaches a worker that waits for it, and no worker shuts down before the
/// connections of all are gone.
#[test]
fn all_drain_when_told_and_shut_down_together() {
    explore(|| {
        let control = Control::new(2);
        let gone = Arc::new(AtomicUsize::new(0));
        let work = |worker| {
            let (control, gone) = (control.clone(), gone.clone());
            move || {
                Task::new().wait(|cx| control.poll_order(worker, Order::Drain, cx));
                gone.fetch_add(1, Ordering::Relaxed);
                control.arrive(worker, Gate::Drained);
                assert!(block_on(control.pass(worker, Gate::Drained)));
                assert_eq!(gone.load(Ordering::Relaxed), 2);
            }
        };
        let workers = [thread::spawn(work(0)), thread::spawn(work(1))];
        StopHandle::new(control.clone()).stop();
        workers.into_iter().for_each(|worker| worker.join().unwrap());
    });
}

/// A start that is cut fails, however far it has come: who waits for its application is woken.
#[test]
fn a_cut_reaches_a_worker_that_starts() {
    explore(|| {
        let control = Control::new(1);
        let there = control.clone();
        let worker = thread::spawn(move || Task::new().wait(|cx| there.poll_failure(0, cx)));
        StopHandle::new(control.clone()).cut();
        worker.join().unwrap();
        assert!(control.wait_started().is_err());
    });
}

/// A worker that dies before it has started takes the start with it: no other passes the gate, the owner is told.
#[test]
fn a_dead_worker_fails_the_start() {
    explore(|| {
        let control = Control::new(2);
        let (alive, dead) = (control.clone(), control.clone());
        let alive = thread::spawn(move || {
            alive.arrive(0, Gate::Started);
            assert!(!block_on(alive.pass(0, Gate::Started)), "passed without the dead one");
        });
        let dead = thread::spawn(move || dead.leave(1, true));
        assert_eq!(control.wait_started(), Err(StartError::Thread("worker 1 died".to_owned())));
        alive.join().unwrap();
        dead.join().unwrap();
        assert!(control.order() >= Order::Drain);
    });
}

/// A worker that dies while it serves, or drains, does not hold up those that drain.
#[test]
fn a_dead_worker_holds_up_no_drain() {
    explore(|| {
        let control = Control::new(2);
        let (alive, dead) = (control.clone(), control.clone());
        let alive = thread::spawn(move || {
            Task::new().wait(|cx| alive.poll_order(0, Order::Drain, cx));
            alive.arrive(0, Gate::Drained);
            assert!(block_on(alive.pass(0, Gate::Drained)));
        });
        dead.leave(1, true);
        alive.join().unwrap();
    });
}

/// A worker that dies after its connections are gone counts once: the others still wait for each other.
#[test]
fn a_worker_that_dies_late_opens_no_gate_for_another() {
    explore(|| {
        let control = Control::new(3);
        let gone = Arc::new(AtomicUsize::new(0));
        let work = |worker| {
            let (control, gone) = (control.clone(), gone.clone());
            move || {
                gone.fetch_add(1, Ordering::Relaxed);
                control.arrive(worker, Gate::Drained);
                assert!(block_on(control.pass(worker, Gate::Drained)));
                assert_eq!(gone.load(Ordering::Relaxed), 2);
            }
        };
        let workers = [thread::spawn(work(0)), thread::spawn(work(1))];
        control.arrive(2, Gate::Drained);
        control.leave(2, true);
        workers.into_iter().for_each(|worker| worker.join().unwrap());
    });
}

/// Of two calls to stop one drains and the other cuts, also when they come at once.
#[test]
fn two_stops_at_once_cut() {
    explore(|| {
        let control = Control::new(1);
        let (one, two) = (StopHandle::new(control.clone()), StopHandle::new(control.clone()));
        let first = thread::spawn(move || one.stop());
        two.stop();
        first.join().unwrap();
        assert_eq!(control.order(), Order::Cut);
    });
}

/// An order is never taken back by one that came before it.
#[test]
fn orders_only_rise() {
    explore(|| {
        let control = Control::new(1);
        let (one, two) = (StopHandle::new(control.clone()), StopHandle::new(control.clone()));
        let stop = thread::spawn(move || one.stop());
        let cut = thread::spawn(move || two.cut());
        let before = control.order();
        assert!(control.order() >= before);
        stop.join().unwrap();
        cut.join().unwrap();
        assert_eq!(control.order(), Order::Cut);
    });
}

/// The count of requests, which each worker writes alone, loses none.
#[test]
fn requests_are_counted_once() {
    explore(|| {
        let control = Control::new(2);
        let other = control.count_of(1);
        let adding = thread::spawn(move || {
            other.add();
            other.add();
        });
        control.count_of(0).add();
        assert!((1..=3).contains(&control.requests()));
        adding.join().unwrap();
        assert_eq!(control.requests(), 3);
    });
}
