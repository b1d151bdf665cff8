//! Whether one route is called on the workers or on the pool, by what its calls took.
//!
//! Owns: [`Standing`]: the verdict, the proofs. Does not own: clocks, bounds, log lines (`earned`).
//! Rule: a route that must stay on the pool is never direct again; a verdict is changed, and counted, by one call alone.
//! Threads: any. Counts are relaxed: each is right by itself, several are not of one moment.

use crate::sync::atomic::{AtomicU32, AtomicU64, AtomicU8, Ordering};

/// A route whose proofs are asked for again needs twice as many each time, up to this.
pub const MAX_PROOFS: u32 = 65_536;

/// Direct calls, in proofs asked for, after which a slow one is forgiven: the proofs start anew, they do not double.
const FORGIVEN_AFTER: u64 = 1_000;

/// How one route stands.
pub struct Standing {
    /// One word, so that a call that proves it fast cannot pass one that ties it to the pool.
    verdict: AtomicU8,
    /// Fast calls on the pool since the last slow one.
    streak: AtomicU32,
    /// Such calls asked for.
    needed: AtomicU32,
    promotions: AtomicU32,
    demotions: AtomicU32,
    /// Direct calls made before the last promotion.
    direct_before: AtomicU64,
}

impl Standing {
    const POOL: u8 = 0;
    const DIRECT: u8 = 1;
    /// It needs the event loop to go on while it runs, so that it is never direct.
    const STAYS: u8 = 2;

    /// Of a new route, of which so many fast calls are asked.
    pub fn new(is_direct: bool, needed: u32) -> Self {
        Standing {
            verdict: AtomicU8::new(if is_direct { Self::DIRECT } else { Self::POOL }),
            streak: AtomicU32::new(0),
            needed: AtomicU32::new(needed),
            promotions: AtomicU32::new(0),
            demotions: AtomicU32::new(0),
            direct_before: AtomicU64::new(0),
        }
    }

    /// Does the next call run on the worker?
    #[inline]
    pub fn is_direct(&self) -> bool {
        self.verdict.load(Ordering::Relaxed) == Self::DIRECT
    }

    /// It is never direct again. False: that was known.
    pub fn stay(&self) -> bool {
        let before = self.verdict.swap(Self::STAYS, Ordering::Relaxed);
        if before == Self::DIRECT {
            self.demotions.fetch_add(1, Ordering::Relaxed);
        }
        before != Self::STAYS
    }

    fn change(&self, from: u8, to: u8) -> bool {
        self.verdict.compare_exchange(from, to, Ordering::Relaxed, Ordering::Relaxed).is_ok()
    }

    /// A call on the pool was fast, or slow. Gives the proofs that were asked for, when this one was the last of them.
    pub fn prove(&self, is_fast: bool, direct_calls: impl Fn() -> u64) -> Option<u32> {
        if self.verdict.load(Ordering::Relaxed) != Self::POOL {
            return None;
        }
        if !is_fast {
            self.streak.store(0, Ordering::Relaxed);
            return None;
        }
        let streak = self.streak.fetch_add(1, Ordering::Relaxed) + 1;
        let needed = self.needed.load(Ordering::Relaxed);
        if streak < needed || !self.change(Self::POOL, Self::DIRECT) {
            return None;
        }
        self.streak.store(0, Ordering::Relaxed);
        self.direct_before.store(direct_calls(), Ordering::Relaxed);
        self.promotions.fetch_add(1, Ordering::Relaxed);
        Some(needed)
    }

    /// A direct call was slow. Gives the proofs asked for from now on, `after` at first; None: it was not direct any more,
    /// and calls that were on their way when another one took the right away say nothing new.
    pub fn lose(&self, after: u32, direct_calls: impl Fn() -> u64) -> Option<u32> {
        if !self.change(Self::DIRECT, Self::POOL) {
            return None;
        }
        // The counts of other workers may be seen late.
        let calls = direct_calls().saturating_sub(self.direct_before.load(Ordering::Relaxed));
        let before = self.needed.load(Ordering::Relaxed);
        let is_forgiven = calls > FORGIVEN_AFTER * u64::from(before.max(1));
        let base = if is_forgiven { after } else { before };
        let needed = base.saturating_mul(2).clamp(1, MAX_PROOFS);
        self.needed.store(needed, Ordering::Relaxed);
        self.streak.store(0, Ordering::Relaxed);
        self.demotions.fetch_add(1, Ordering::Relaxed);
        Some(needed)
    }

    /// Times that direct calls were earned.
    pub fn promotions(&self) -> u32 {
        self.promotions.load(Ordering::Relaxed)
    }

    /// Times that they were lost.
    pub fn demotions(&self) -> u32 {
        self.demotions.load(Ordering::Relaxed)
    }

    /// Fast calls in a row so far.
    pub fn streak(&self) -> u32 {
        self.streak.load(Ordering::Relaxed)
    }

    /// Fast calls in a row asked for.
    pub fn needed(&self) -> u32 {
        self.needed.load(Ordering::Relaxed)
    }
}
