//! `runtime::offload::Pool`: the queue of jobs that may block, the threads that come and go.

use crate::offload::Pool;
use crate::service::OffloadPool;
use crate::support::{explore, explore_times};
use loom::sync::atomic::{AtomicUsize, Ordering};
use loom::thread;
use std::sync::Arc;
use std::time::Duration;

/// Timed waits of which every choice is tried: idle threads that leave.
const WAITS: u32 = 2;

struct Jobs {
    ran: AtomicUsize,
    running: AtomicUsize,
    most: AtomicUsize,
}

impl Jobs {
    fn new() -> Arc<Self> {
        Arc::new(Jobs { ran: AtomicUsize::new(0), running: AtomicUsize::new(0), most: AtomicUsize::new(0) })
    }

    fn submit(self: &Arc<Self>, pool: &Pool) -> bool {
        let jobs = self.clone();
        let job = move || {
            jobs.most.fetch_max(jobs.running.fetch_add(1, Ordering::Relaxed) + 1, Ordering::Relaxed);
            jobs.running.fetch_sub(1, Ordering::Relaxed);
            jobs.ran.fetch_add(1, Ordering::Relaxed);
        };
        pool.submit(Box::new(job)).is_ok()
    }
}

/// A job that was taken is run once before the pool has ended, though its threads leave when idle; one that was refused
/// is not. Never more at once than there may be threads.
#[test]
fn a_job_taken_is_run_once() {
    explore_times(WAITS, || {
        let pool = Pool::new(1, 1, |run| run());
        let jobs = Jobs::new();
        let mut taken = usize::from(jobs.submit(&pool));
        taken += usize::from(jobs.submit(&pool));
        assert!(taken >= 1, "an idle pool refused its first job");
        pool.end(Duration::ZERO);
        // `end` may have passed its time; what it has not waited for is looked at when all threads have.
        if pool.load().threads == 0 {
            assert_eq!(jobs.ran.load(Ordering::Relaxed), taken);
        }
        assert!(jobs.most.load(Ordering::Relaxed) <= 1);
    });
}

/// A job that meets an idle thread on its way out is run all the same: nobody is left with a queue and no thread.
#[test]
fn a_job_that_meets_a_leaving_thread_is_run() {
    explore_times(WAITS, || {
        let pool = Pool::new(1, 1, |run| run());
        let done = Arc::new(turboapi::service::Awaited::default());
        assert!(Jobs::new().submit(&pool));
        let there = done.clone();
        if pool.submit(Box::new(move || there.put(()))).is_ok() {
            crate::support::Task::new().wait(|cx| done.poll(cx));
        }
        pool.end(Duration::ZERO);
    });
}

/// Two who submit at once: each job is run once or given back, by two threads at most.
#[test]
fn jobs_of_two_threads_are_run_once() {
    explore(|| {
        turboapi::sync::pass_times(0);
        let pool = Pool::new(2, 0, |run| run());
        let jobs = Jobs::new();
        let (there, of) = (pool.clone(), jobs.clone());
        let other = thread::spawn(move || usize::from(of.submit(&there)));
        let taken = usize::from(jobs.submit(&pool)) + other.join().unwrap();
        assert_eq!(taken, 2, "refused with a thread to spare");
        assert!(pool.end(Duration::ZERO));
        assert_eq!(jobs.ran.load(Ordering::Relaxed), 2);
        assert!(jobs.most.load(Ordering::Relaxed) <= 2);
        assert_eq!(pool.load().completed, 2);
    });
}

/// `drain_answers_all`: a job that meets the end of the pool is run, or given back.
#[test]
fn a_job_that_meets_the_end_is_run_or_given_back() {
    explore(|| {
        turboapi::sync::pass_times(0);
        let pool = Pool::new(1, 1, |run| run());
        let jobs = Jobs::new();
        let (there, of) = (pool.clone(), jobs.clone());
        let other = thread::spawn(move || usize::from(of.submit(&there)));
        assert!(pool.end(Duration::ZERO));
        let taken = other.join().unwrap();
        // Taken before the end: then `end` has waited for it.
        assert_eq!(jobs.ran.load(Ordering::Relaxed), taken);
        assert!(!jobs.submit(&pool));
    });
}

/// What `enter` holds, and when it is let go of.
struct Held(Arc<AtomicUsize>);

impl Drop for Held {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

/// What `enter` holds is let go of when the pool has ended and its owner has dropped it: no thread does that later.
#[test]
fn no_thread_holds_a_pool_that_has_ended() {
    explore(|| {
        turboapi::sync::pass_times(0);
        let dropped = Arc::new(AtomicUsize::new(0));
        let held = Held(dropped.clone());
        let pool = Pool::new(1, 1, move |run| {
            let _held = &held;
            run();
        });
        assert!(Jobs::new().submit(&pool));
        assert!(pool.end(Duration::ZERO));
        drop(pool);
        assert_eq!(dropped.load(Ordering::Relaxed), 1);
    });
}
