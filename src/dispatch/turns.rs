//! One turn at a time, and no wake lost.
//!
//! Owns: [`Turns`]: idle, queued or running, and asked for again while running. Does not own: what a turn does, the queue.
//! Rule: a turn that was asked for runs, after what it was asked for for; never two at once.
//! Threads: any asks; the one that runs the turn begins and ends it.

use crate::sync::atomic::{AtomicU8, Ordering};

/// A single word, so that "nothing more to do" and "asked again" cannot pass each other.
#[derive(Debug)]
pub struct Turns(AtomicU8);

impl Default for Turns {
    fn default() -> Self {
        Turns(AtomicU8::new(Self::IDLE))
    }
}

impl Turns {
    const IDLE: u8 = 0;
    const ACTIVE: u8 = 1;
    const ASKED: u8 = 2;

    /// Asks for a turn. True: the caller queues it.
    pub fn ask(&self) -> bool {
        // Idle becomes active; active becomes asked; asked stays.
        let before = self.0.fetch_update(Ordering::AcqRel, Ordering::Acquire, |state| match state {
            Self::IDLE => Some(Self::ACTIVE),
            Self::ACTIVE => Some(Self::ASKED),
            _ => None,
        });
        before == Ok(Self::IDLE)
    }

    /// A turn begins: what was asked before now is what it does.
    pub fn begin(&self) {
        // A plain store would hide those who asked, and what they asked for.
        self.0.swap(Self::ACTIVE, Ordering::AcqRel);
    }

    /// A turn found nothing more to do. True: it was asked for meanwhile, and is to be queued again.
    pub fn end(&self) -> bool {
        self.0.compare_exchange(Self::ACTIVE, Self::IDLE, Ordering::AcqRel, Ordering::Acquire).is_err()
    }
}
