//! Where the calls of one `def` route run: on the worker, or on the offload pool.
//!
//! Owns: [`Earned`], the policy of one route, its counters and its log lines. Does not own: making the calls
//! (`raw`, `call_plan`), the pool (`offloaded`, `runtime`).
//! Rule: a route whose function may block starts on the pool, earns direct calls by fast ones in a row, and loses them
//! by one slow call; a pin settles it.
//! Threads: shared by all. `is_direct` is one load of a word that is written at a change only; a direct call is counted
//! by its worker, on a cache line of its own; the rest is written on threads of the pool.

use super::standing::Standing;
use crate::home_loop;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

/// How direct calls are earned and lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Thresholds {
    /// Calls in a row, each under `under`, that earn direct calls. 0: the first call is direct.
    pub after: u32,
    /// Wall time under which a call on the pool counts as proof.
    pub under: Duration,
    /// Wall time over which one direct call sends the route back to the pool.
    pub over: Duration,
}

impl Default for Thresholds {
    fn default() -> Self {
        Thresholds { after: 16, under: Duration::from_millis(1), over: Duration::from_millis(5) }
    }
}

/// What settles where a route runs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Pin {
    /// Always on the worker: `@direct`, and raw handlers without a mark.
    Direct,
    /// Always on the pool: `@blocking`.
    Blocking,
    /// By its calls.
    #[default]
    Earned,
}

impl Pin {
    /// Its name, which is also the mark that `turboapi_rs.direct` and `blocking` leave.
    pub fn name(self) -> &'static str {
        match self {
            Pin::Direct => "direct",
            Pin::Blocking => "blocking",
            Pin::Earned => "earned",
        }
    }

    /// The pin of that name.
    pub fn from_name(name: &str) -> Option<Pin> {
        [Pin::Direct, Pin::Blocking, Pin::Earned].into_iter().find(|pin| pin.name() == name)
    }
}

/// The policy of one route.
pub struct Earned {
    method: String,
    path: String,
    handler: String,
    pin: Pin,
    thresholds: Thresholds,
    standing: Standing,
    offloaded: AtomicU64,
    /// Direct calls of each worker; made when the number of workers is known.
    direct: OnceLock<Box<[OwnLine]>>,
}

/// A counter that one worker writes, away from the others'.
#[derive(Default)]
#[repr(align(128))]
struct OwnLine(AtomicU64);

/// What a policy has counted, and what it has come to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RouteState {
    /// The route's method.
    pub method: String,
    /// Its pattern.
    pub path: String,
    /// Its function.
    pub handler: String,
    /// What settles it.
    pub pin: Pin,
    /// The next call runs on the worker.
    pub is_direct: bool,
    /// Calls made on workers.
    pub direct_calls: u64,
    /// Calls made on the pool.
    pub offloaded_calls: u64,
    /// Times that direct calls were earned.
    pub promotions: u32,
    /// Times that they were lost.
    pub demotions: u32,
    /// Fast calls in a row so far.
    pub streak: u32,
    /// Fast calls in a row asked for.
    pub needed: u32,
}

impl Earned {
    /// The policy of the route `method path`, whose function is called `handler` in log lines.
    pub fn new(method: &str, path: &str, handler: &str, pin: Pin, thresholds: Thresholds) -> Self {
        let is_direct = match pin {
            Pin::Direct => true,
            Pin::Blocking => false,
            Pin::Earned => thresholds.after == 0,
        };
        Earned {
            method: method.to_owned(),
            path: path.to_owned(),
            handler: handler.to_owned(),
            pin,
            thresholds,
            standing: Standing::new(is_direct, thresholds.after),
            offloaded: AtomicU64::new(0),
            direct: OnceLock::new(),
        }
    }

    /// Makes room for the counts of so many workers. Direct calls before it are not counted.
    pub fn prepare(&self, workers: usize) {
        self.direct.get_or_init(|| (0..workers).map(|_| OwnLine::default()).collect());
    }

    /// Does the next call run on the worker?
    #[inline]
    pub fn is_direct(&self) -> bool {
        self.standing.is_direct()
    }

    /// Makes a call on worker `worker`, on its own thread, and judges it. A pinned one is only counted.
    #[inline]
    pub fn call_direct<R>(&self, worker: usize, call: impl FnOnce() -> R) -> R {
        self.count_direct(worker);
        if self.pin != Pin::Earned {
            return call();
        }
        // What ran on this thread before says nothing of this call.
        home_loop::take_call_back();
        let begun = Instant::now();
        let result = call();
        let took = begun.elapsed();
        if home_loop::take_call_back() {
            self.stay_on_pool();
        }
        if took > self.thresholds.over {
            self.demote(took);
        }
        result
    }

    /// Makes a call on a thread of the pool, and judges it.
    pub fn call_offloaded<R>(&self, call: impl FnOnce() -> R) -> R {
        home_loop::take_call_back();
        let begun = Instant::now();
        let result = call();
        let took = begun.elapsed();
        if home_loop::take_call_back() {
            self.stay_on_pool();
        }
        self.note_offloaded(took);
        result
    }

    /// The function waits for the event loop, which a direct call may hold up: it is never called directly again.
    #[cold]
    pub fn stay_on_pool(&self) {
        if self.pin != Pin::Earned || !self.standing.stay() {
            return;
        }
        log::info!("{self}: it calls back into the event loop, and stays on the offload pool");
    }

    #[inline]
    fn count_direct(&self, worker: usize) {
        if let Some(OwnLine(count)) = self.direct.get().and_then(|counts| counts.get(worker)) {
            // The worker is the only writer.
            count.store(count.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
        }
    }

    fn note_offloaded(&self, took: Duration) {
        self.offloaded.fetch_add(1, Ordering::Relaxed);
        if self.pin != Pin::Earned {
            return;
        }
        let proved = self.standing.prove(took < self.thresholds.under, || self.direct_calls());
        let Some(needed) = proved else { return };
        log::info!("{self}: {needed} calls in a row took less than {:?} each: it runs directly on the workers from now on",
            self.thresholds.under);
    }

    #[cold]
    fn demote(&self, took: Duration) {
        let lost = self.standing.lose(self.thresholds.after, || self.direct_calls());
        let Some(needed) = lost else { return };
        log::warn!(
            "{self}: a call took {:.1} ms on a worker (bound: {:?}): it runs on the offload pool until {needed} calls in a row take less than {:?} each",
            took.as_secs_f64() * 1e3,
            self.thresholds.over,
            self.thresholds.under,
        );
    }

    fn direct_calls(&self) -> u64 {
        let counts = self.direct.get().map_or(&[][..], |counts| counts);
        counts.iter().map(|OwnLine(count)| count.load(Ordering::Relaxed)).sum()
    }

    /// What it has counted so far. The counts are read one after another, not at one moment.
    pub fn state(&self) -> RouteState {
        RouteState {
            method: self.method.clone(),
            path: self.path.clone(),
            handler: self.handler.clone(),
            pin: self.pin,
            is_direct: self.is_direct(),
            direct_calls: self.direct_calls(),
            offloaded_calls: self.offloaded.load(Ordering::Relaxed),
            promotions: self.standing.promotions(),
            demotions: self.standing.demotions(),
            streak: self.standing.streak(),
            needed: self.standing.needed(),
        }
    }
}

/// The route as log lines name it.
impl fmt::Display for Earned {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} ({})", self.method, self.path, self.handler)
    }
}

impl fmt::Debug for Earned {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.state().fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dispatch::standing::MAX_PROOFS;

    const FAST: Duration = Duration::from_micros(10);
    const MEDIUM: Duration = Duration::from_millis(2);
    const SLOW: Duration = Duration::from_millis(50);

    fn policy(pin: Pin, after: u32) -> Earned {
        let earned = Earned::new("GET", "/x", "app.x", pin, Thresholds { after, ..Thresholds::default() });
        earned.prepare(2);
        earned
    }

    fn prove(earned: &Earned, calls: u32) {
        for _ in 0..calls {
            earned.note_offloaded(FAST);
        }
    }

    #[test]
    fn direct_calls_are_earned_by_fast_ones_in_a_row() {
        let earned = policy(Pin::Earned, 16);
        prove(&earned, 15);
        assert!(!earned.is_direct());
        earned.note_offloaded(MEDIUM);
        prove(&earned, 15);
        assert!(!earned.is_direct());
        prove(&earned, 1);
        assert!(earned.is_direct());
        let state = earned.state();
        assert_eq!((state.offloaded_calls, state.promotions, state.demotions), (32, 1, 0));
    }

    #[test]
    fn direct_calls_are_lost_by_one_slow_call_and_cost_twice_as_many_proofs_again() {
        let earned = policy(Pin::Earned, 4);
        let mut needed = 4;
        for round in 1..=3 {
            prove(&earned, needed - 1);
            assert!(!earned.is_direct(), "round {round}");
            prove(&earned, 1);
            assert!(earned.is_direct(), "round {round}");
            earned.demote(SLOW);
            // A second slow call that was on its way changes nothing more.
            earned.demote(SLOW);
            needed *= 2;
            assert_eq!(earned.state().demotions, round);
            assert_eq!(earned.state().needed, needed);
        }
    }

    #[test]
    fn proofs_do_not_double_after_a_long_time_of_fast_direct_calls() {
        let earned = policy(Pin::Earned, 1);
        for _ in 0..3 {
            let needed = earned.state().needed;
            prove(&earned, needed);
            earned.demote(SLOW);
        }
        assert_eq!(earned.state().needed, 8);
        prove(&earned, 8);
        for call in 0..=8_000 {
            earned.count_direct(call % 2);
        }
        earned.demote(SLOW);
        assert_eq!(earned.state().needed, 2);
        assert_eq!(earned.state().direct_calls, 8_001);
    }

    #[test]
    fn proofs_are_bounded() {
        let standing = Standing::new(true, u32::MAX);
        let earned = Earned { standing, ..policy(Pin::Earned, u32::MAX) };
        earned.demote(SLOW);
        assert_eq!(earned.state().needed, MAX_PROOFS);
    }

    #[test]
    fn pins_hold_whatever_the_calls_take() {
        let direct = policy(Pin::Direct, 1);
        direct.call_direct(0, || std::thread::sleep(Duration::from_millis(6)));
        assert!(direct.is_direct());
        let blocking = policy(Pin::Blocking, 1);
        prove(&blocking, 100);
        assert!(!blocking.is_direct());
        assert_eq!((direct.state().direct_calls, blocking.state().offloaded_calls), (1, 100));
    }

    #[test]
    fn function_that_needs_the_event_loop_is_never_direct_again() {
        let earned = policy(Pin::Earned, 2);
        earned.stay_on_pool();
        prove(&earned, 10);
        assert!(!earned.is_direct());
        let promoted = policy(Pin::Earned, 0);
        promoted.stay_on_pool();
        assert!(!promoted.is_direct());
        let pinned = policy(Pin::Direct, 2);
        pinned.stay_on_pool();
        assert!(pinned.is_direct());
    }

    #[test]
    fn slow_direct_call_is_measured_and_sends_the_route_back() {
        let earned = policy(Pin::Earned, 0);
        assert!(earned.is_direct());
        assert_eq!(earned.call_direct(1, || 7), 7);
        earned.call_direct(1, || std::thread::sleep(Duration::from_millis(6)));
        assert!(!earned.is_direct());
        assert_eq!(earned.state().direct_calls, 2);
    }

    #[test]
    fn each_change_happens_once_when_many_threads_prove_and_fail() {
        let earned = policy(Pin::Earned, 8);
        std::thread::scope(|scope| {
            for worker in 0..2 {
                let earned = &earned;
                scope.spawn(move || {
                    for _ in 0..20_000 {
                        if earned.is_direct() {
                            earned.count_direct(worker);
                            earned.demote(SLOW);
                        } else {
                            earned.note_offloaded(FAST);
                        }
                    }
                });
            }
        });
        let state = earned.state();
        assert!(state.promotions.abs_diff(state.demotions) <= 1, "{state:?}");
        assert!(state.promotions >= 1);
    }
}
