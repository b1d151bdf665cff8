//! Threads for work that may block.
//!
//! Owns: a bounded pool that grows when all are busy and shrinks when idle. Does not own: the work.
//! Rule: the queue is bounded, a refused job goes back; each thread lives inside the factory's `enter_thread`. When the pool
//! has ended its threads are over, with what lies in their thread-locals: dropping a Python reference there, while the
//! interpreter was ending, was a SIGSEGV.
//! Threads: one mutex around the queue and the counts, never held while a job runs.

use crate::invariants;
use crate::service::{BlockingJob, OffloadLoad, OffloadPool};
use crate::sync::{self, Condvar, JoinHandle, Mutex, MutexGuard};
use std::collections::VecDeque;
use std::panic::{catch_unwind, AssertUnwindSafe};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// An idle thread ends after this. tokio: 10 s.
const IDLE: Duration = Duration::from_secs(10);

/// How long jobs that block are waited for at the end.
pub const END_GRACE: Duration = Duration::from_secs(5);

/// Stack of a worker or pool thread, in bytes: address space, of which only what is used costs memory.
///
/// CPython bounds its recursion in C by a count that supposes the 8 MiB of a main thread on Linux; the 2 MiB that Rust
/// gives a thread would overflow before the count is reached.
pub const STACK_BYTES: usize = 16 * 1024 * 1024;

type Enter = dyn Fn(&mut dyn FnMut()) + Send + Sync;

/// The pool.
pub struct Pool {
    max_threads: usize,
    max_queued: usize,
    idle_timeout: Duration,
    enter: Box<Enter>,
    state: Mutex<State>,
    has_work: Condvar,
    ended: Condvar,
    me: std::sync::Weak<Pool>,
}

impl std::fmt::Debug for Pool {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Pool").field("load", &self.load()).finish_non_exhaustive()
    }
}

#[derive(Default)]
struct State {
    queue: VecDeque<BlockingJob>,
    /// Threads that will look at the queue again.
    threads: usize,
    /// Those of them that wait.
    idle: usize,
    /// Those of them that run a job.
    busy: usize,
    /// Threads that have not ended, those on their way out included.
    alive: usize,
    /// What to join them by, and their numbers.
    handles: Vec<(u64, JoinHandle<()>)>,
    /// The number of the next one.
    next: u64,
    /// The thread that left last. It joins the one before it, so that whoever joins it has joined all that have left.
    left: Option<JoinHandle<()>>,
    completed: u64,
    refused: u64,
    has_ended: bool,
}

impl Pool {
    /// A pool without threads yet.
    pub fn new(
        max_threads: usize,
        max_queued: usize,
        enter: impl Fn(&mut dyn FnMut()) + Send + Sync + 'static,
    ) -> Arc<Self> {
        Pool::with_idle_timeout(IDLE, max_threads, max_queued, enter)
    }

    fn with_idle_timeout(
        idle_timeout: Duration,
        max_threads: usize,
        max_queued: usize,
        enter: impl Fn(&mut dyn FnMut()) + Send + Sync + 'static,
    ) -> Arc<Self> {
        Arc::new_cyclic(|me| Pool {
            max_threads: max_threads.max(1),
            max_queued,
            idle_timeout,
            enter: Box::new(enter),
            state: Mutex::default(),
            has_work: Condvar::new(),
            ended: Condvar::new(),
            me: me.clone(),
        })
    }

    /// Takes no more jobs, finishes those queued, and waits for every thread to end; `within` at most, since nobody can
    /// stop a job that blocks. False: some are left behind.
    pub fn end(&self, within: Duration) -> bool {
        let deadline = Instant::now() + within;
        let mut state = self.state.lock();
        state.has_ended = true;
        self.has_work.notify_all();
        while state.alive > 0 {
            if self.ended.wait_until(&mut state, deadline).timed_out() {
                log::warn!("{} jobs that block were left behind", state.alive + state.queue.len());
                return false;
            }
        }
        let left = state.left.take();
        drop(state);
        join(left);
        true
    }

    fn live(&self) {
        let mut state = self.state.lock();
        loop {
            if let Some(job) = state.queue.pop_front() {
                state.busy += 1;
                MutexGuard::unlocked(&mut state, || {
                    if catch_unwind(AssertUnwindSafe(job)).is_err() {
                        log::error!("a job of the offload pool panicked; please report it");
                    }
                });
                state.busy -= 1;
                state.completed += 1;
                continue;
            }
            if state.has_ended {
                break;
            }
            state.idle += 1;
            invariants::about_to_wait();
            let is_late = self.has_work.wait_for(&mut state, self.idle_timeout).timed_out();
            state.idle -= 1;
            if is_late && state.queue.is_empty() {
                break;
            }
        }
        // Under the same lock as the last look at the queue: no job is left to a thread that is leaving.
        state.threads -= 1;
    }

    /// The thread has left everything that `enter` gave it.
    fn leave(&self, number: u64) {
        let mut state = self.state.lock();
        state.alive -= 1;
        let mine = state.handles.iter().position(|(of, _)| *of == number);
        let mine = mine.map(|place| state.handles.swap_remove(place).1);
        let before = std::mem::replace(&mut state.left, mine);
        drop(state);
        self.ended.notify_all();
        join(before);
    }
}

fn join(thread: Option<JoinHandle<()>>) {
    if thread.is_some_and(|thread| thread.join().is_err()) {
        log::error!("a thread of the offload pool panicked; please report it");
    }
}

impl OffloadPool for Pool {
    fn submit(&self, job: BlockingJob) -> Result<(), BlockingJob> {
        let mut state = self.state.lock();
        // Jobs that a thread is there for, or may be made for, do not wait.
        let free = self.max_threads - state.busy;
        if state.has_ended || state.queue.len() >= self.max_queued.saturating_add(free) {
            state.refused += 1;
            return Err(job);
        }
        state.queue.push_back(job);
        if state.queue.len() <= state.idle || state.threads == self.max_threads {
            self.has_work.notify_one();
            return Ok(());
        }
        state.threads += 1;
        state.alive += 1;
        let Some(pool) = self.me.upgrade() else { return Ok(()) };
        let number = state.next;
        state.next += 1;
        let spawned = sync::spawn("turboapi-offload", STACK_BYTES, move || {
            (pool.enter)(&mut || pool.live());
            pool.leave(number);
        });
        match spawned {
            // It cannot have left yet: the lock was held all the time.
            Ok(handle) => state.handles.push((number, handle)),
            Err(error) => {
                log::error!("a thread of the offload pool could not be started: {error}");
                state.threads -= 1;
                state.alive -= 1;
                // With no thread at all the job would wait for ever. It is the last one, for the same reason.
                if state.threads == 0 {
                    return state.queue.pop_back().map_or(Ok(()), Err);
                }
            }
        }
        Ok(())
    }

    fn load(&self) -> OffloadLoad {
        let state = self.state.lock();
        OffloadLoad {
            queued: state.queue.len(),
            busy: state.busy,
            threads: state.threads,
            max_threads: self.max_threads,
            max_queued: self.max_queued,
            completed: state.completed,
            refused: state.refused,
        }
    }
}

#[cfg(all(test, not(feature = "models")))]
mod tests {
    use super::*;
    use std::sync::mpsc;

    const SOON: Duration = Duration::from_secs(20);

    fn pool(threads: usize, queue: usize) -> Arc<Pool> {
        Pool::new(threads, queue, |run| run())
    }

    fn submit(pool: &Pool, job: impl FnOnce() + Send + 'static) -> bool {
        pool.submit(Box::new(job)).is_ok()
    }

    #[test]
    fn job_is_given_back_when_the_queue_is_full() {
        let pool = pool(1, 1);
        let (begun, has_begun) = mpsc::channel();
        let (release, released) = mpsc::channel::<()>();
        assert!(submit(&pool, move || {
            begun.send(()).expect("the test waits");
            released.recv().expect("the test releases");
        }));
        has_begun.recv_timeout(SOON).expect("the job runs");
        assert!(submit(&pool, || {}));
        assert!(!submit(&pool, || {}));
        let load = pool.load();
        assert_eq!((load.queued, load.busy, load.threads, load.completed, load.refused), (1, 1, 1, 0, 1));
        release.send(()).expect("the job waits");
        assert!(pool.end(SOON));
        assert!(!submit(&pool, || {}));
    }

    #[test]
    fn jobs_that_a_thread_is_free_for_are_taken_though_none_may_wait() {
        let pool = pool(2, 0);
        let (release, released) = mpsc::channel::<()>();
        let released = Arc::new(Mutex::new(released));
        for _ in 0..2 {
            let released = released.clone();
            assert!(submit(&pool, move || released.lock().recv().expect("the test releases")));
        }
        assert!(!submit(&pool, || {}));
        assert_eq!(pool.load().refused, 1);
        release.send(()).expect("a job waits");
        release.send(()).expect("a job waits");
        assert!(pool.end(SOON));
        assert_eq!(pool.load().completed, 2);
    }

    #[test]
    fn threads_grow_to_the_bound_and_run_at_the_same_time() {
        let pool = pool(3, 8);
        let barrier = Arc::new(std::sync::Barrier::new(3));
        let (done, all) = mpsc::channel();
        for _ in 0..6 {
            let (barrier, done) = (barrier.clone(), done.clone());
            assert!(submit(&pool, move || {
                barrier.wait();
                done.send(()).expect("the test waits");
            }));
        }
        for _ in 0..6 {
            all.recv_timeout(SOON).expect("three at a time pass the barrier");
        }
        assert!(pool.end(SOON));
    }

    #[test]
    fn threads_end_when_they_have_been_idle_and_come_back_when_there_is_work() {
        let (entered, all) = mpsc::channel();
        let pool = Pool::with_idle_timeout(Duration::from_millis(1), 4, 8, move |run| {
            run();
            entered.send(()).expect("the test waits");
        });
        for _ in 0..3 {
            assert!(submit(&pool, || {}));
            all.recv_timeout(SOON).expect("the thread ends");
            let load = pool.load();
            assert_eq!((load.threads, load.busy, load.queued), (0, 0, 0));
        }
        assert_eq!(pool.load().completed, 3);
        assert!(pool.end(SOON));
    }

    #[test]
    fn every_job_runs_when_the_pool_ends_and_a_panic_ends_none_of_them() {
        let pool = pool(2, 100);
        let (done, all) = mpsc::channel();
        for number in 0..50 {
            let done = done.clone();
            assert!(submit(&pool, move || {
                assert!(number % 10 != 3, "a job panics");
                done.send(number).expect("the test waits");
            }));
        }
        assert!(pool.end(SOON));
        drop(done);
        assert_eq!(all.iter().count(), 45);
    }

    #[test]
    fn each_thread_lives_inside_enter() {
        let (entered, all) = mpsc::channel();
        let pool = Pool::new(2, 8, move |run| {
            entered.send("in").expect("the test waits");
            run();
            entered.send("out").expect("the test waits");
        });
        assert!(submit(&pool, || {}));
        assert!(pool.end(SOON));
        drop(pool);
        assert_eq!(all.iter().collect::<Vec<_>>(), ["in", "out"]);
    }

    /// Drops late, as a thread-local does that attaches to an interpreter first.
    struct Late(Arc<std::sync::atomic::AtomicUsize>);

    impl Drop for Late {
        fn drop(&mut self) {
            std::thread::sleep(Duration::from_millis(20));
            self.0.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
        }
    }

    thread_local! {
        static LATE: std::cell::RefCell<Option<Late>> = const { std::cell::RefCell::new(None) };
    }

    #[test]
    fn threads_are_over_with_their_locals_when_the_pool_has_ended() {
        let dropped = Arc::new(std::sync::atomic::AtomicUsize::new(0));
        let (left, all) = mpsc::channel();
        let pool = Pool::with_idle_timeout(Duration::from_millis(1), 4, 8, move |run| {
            run();
            left.send(()).expect("the test waits");
        });
        let barrier = Arc::new(std::sync::Barrier::new(3));
        for _ in 0..3 {
            let (dropped, barrier) = (dropped.clone(), barrier.clone());
            assert!(submit(&pool, move || {
                LATE.with_borrow_mut(|slot| *slot = Some(Late(dropped)));
                barrier.wait();
            }));
        }
        // Idle ones, which leave before the end; they may not be over yet.
        for _ in 0..3 {
            all.recv_timeout(SOON).expect("the thread leaves");
        }
        assert!(pool.end(SOON));
        assert_eq!(dropped.load(std::sync::atomic::Ordering::SeqCst), 3);
    }

    #[test]
    fn end_leaves_a_job_behind_when_it_blocks_too_long() {
        let pool = pool(1, 1);
        let (release, released) = mpsc::channel::<()>();
        assert!(submit(&pool, move || released.recv().expect("the test releases")));
        assert!(!pool.end(Duration::from_millis(10)));
        release.send(()).expect("the job waits");
        assert!(pool.end(SOON));
    }
}
