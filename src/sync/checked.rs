//! loom's locks and atomics, with the names and signatures of those that serve.
//!
//! Owns: what differs: guards that are lent, timed waits, a swapped `Arc`. Does not own: the exploration (loom).
//! Rule: a timed wait passes its time when the model's plan says so, and never otherwise; see [`pass_times`].

use std::cell::Cell;
use std::fmt;
use std::ops::{Deref, DerefMut};
use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

pub use loom::sync::atomic;
pub use loom::thread::JoinHandle;

/// As `parking_lot::Mutex`.
pub struct Mutex<T>(loom::sync::Mutex<T>);

impl<T> Mutex<T> {
    /// As `parking_lot`'s.
    pub fn new(value: T) -> Self {
        Mutex(loom::sync::Mutex::new(value))
    }

    /// As `parking_lot`'s.
    pub fn lock(&self) -> MutexGuard<'_, T> {
        MutexGuard { of: self, held: Some(self.acquire()) }
    }

    fn acquire(&self) -> loom::sync::MutexGuard<'_, T> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T: Default> Default for Mutex<T> {
    fn default() -> Self {
        Mutex::new(T::default())
    }
}

impl<T> fmt::Debug for Mutex<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Mutex").finish_non_exhaustive()
    }
}

/// As `parking_lot::MutexGuard`.
pub struct MutexGuard<'a, T> {
    of: &'a Mutex<T>,
    /// None only while the lock is lent.
    held: Option<loom::sync::MutexGuard<'a, T>>,
}

impl<T> MutexGuard<'_, T> {
    /// As `parking_lot`'s.
    pub fn unlocked<R>(guard: &mut Self, run: impl FnOnce() -> R) -> R {
        guard.held = None;
        let result = run();
        guard.held = Some(guard.of.acquire());
        result
    }
}

impl<T> Deref for MutexGuard<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        self.held.as_deref().expect("the lock is held")
    }
}

impl<T> DerefMut for MutexGuard<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        self.held.as_deref_mut().expect("the lock is held")
    }
}

/// As `parking_lot::Condvar`.
#[derive(Debug)]
pub struct Condvar(loom::sync::Condvar);

impl Condvar {
    /// As `parking_lot`'s.
    #[allow(clippy::new_without_default, reason = "as the one whose place it takes")]
    pub fn new() -> Self {
        Condvar(loom::sync::Condvar::new())
    }

    /// As `parking_lot`'s.
    pub fn wait<T>(&self, guard: &mut MutexGuard<'_, T>) {
        let held = guard.held.take().expect("the lock is held");
        guard.held = Some(self.0.wait(held).unwrap_or_else(PoisonError::into_inner));
    }

    /// As `parking_lot`'s.
    pub fn wait_for<T>(&self, guard: &mut MutexGuard<'_, T>, _time: Duration) -> WaitTimeoutResult {
        let is_late = next_passes();
        if is_late {
            // No yield: loom would let every other thread go first, and hide what these do to one that leaves.
            MutexGuard::unlocked(guard, || {});
        } else {
            self.wait(guard);
        }
        WaitTimeoutResult(is_late)
    }

    /// As `parking_lot`'s.
    pub fn wait_until<T>(&self, guard: &mut MutexGuard<'_, T>, _deadline: Instant) -> WaitTimeoutResult {
        self.wait_for(guard, Duration::ZERO)
    }

    /// As `parking_lot`'s.
    pub fn notify_one(&self) {
        self.0.notify_one();
    }

    /// As `parking_lot`'s.
    pub fn notify_all(&self) {
        self.0.notify_all();
    }
}

/// As `parking_lot::WaitTimeoutResult`.
#[derive(Debug)]
pub struct WaitTimeoutResult(bool);

impl WaitTimeoutResult {
    /// As `parking_lot`'s.
    pub fn timed_out(&self) -> bool {
        self.0
    }
}

/// As `arc_swap::ArcSwap`, as far as it is used: a load is of one moment, a store is seen whole.
pub struct ArcSwap<T>(Mutex<Arc<T>>);

impl<T> ArcSwap<T> {
    /// As `arc_swap`'s.
    pub fn from_pointee(value: T) -> Self {
        ArcSwap(Mutex::new(Arc::new(value)))
    }

    /// As `arc_swap`'s.
    pub fn load_full(&self) -> Arc<T> {
        self.0.lock().clone()
    }

    /// As `arc_swap`'s, but for the type of the guard.
    pub fn load(&self) -> Arc<T> {
        self.load_full()
    }

    /// As `arc_swap`'s.
    pub fn store(&self, value: Arc<T>) {
        let before = std::mem::replace(&mut *self.0.lock(), value);
        drop(before);
    }
}

impl<T> fmt::Debug for ArcSwap<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ArcSwap").finish_non_exhaustive()
    }
}

/// As the one that serves. A model has a few threads; none is refused.
///
/// # Errors
/// None.
pub fn spawn(
    _name: &str,
    _stack_bytes: usize,
    run: impl FnOnce() + Send + 'static,
) -> std::io::Result<JoinHandle<()>> {
    Ok(loom::thread::spawn(run))
}

thread_local! {
    /// Bit N: the Nth timed wait passes its time. loom runs all threads of a model on one thread of the system.
    static PLAN: Cell<u32> = const { Cell::new(0) };
}

/// Says which timed waits of this execution pass their time: bit N, the Nth one. At the begin of each execution.
pub fn pass_times(plan: u32) {
    PLAN.set(plan);
}

fn next_passes() -> bool {
    let plan = PLAN.get();
    PLAN.set(plan >> 1);
    plan & 1 == 1
}
