//! The connections of one worker, as its timers see them.
//!
//! Owns: deadlines, and the shutting down of a descriptor whose deadline has passed.
//! Does not own: what a connection then answers (`connection`).
//! Rule: a deadline costs a store; nothing is registered per request. A sweep every [`tick`] finds those that passed and
//! shuts the socket's reading side (or both), so that the pending operation completes: nothing in flight is dropped.
//! Threads: one worker's.

use super::config::Timeouts;
use socket2::SockRef;
use std::cell::{Cell, RefCell};
use std::net::Shutdown;
use std::os::fd::{BorrowedFd, RawFd};
use std::rc::Rc;
use std::task::Waker;
use std::time::{Duration, Instant};

/// What a connection is waiting for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// The first byte of a request.
    Idle,
    /// The rest of a head.
    Head,
    /// More of a body.
    Body,
    /// The application.
    Pending,
    /// The peer, to take what is written.
    Write,
    /// The peer, to read the rest and close.
    Linger,
}

/// One connection.
#[derive(Debug)]
pub struct Slot {
    fd: RawFd,
    phase: Cell<Phase>,
    deadline: Cell<Option<Instant>>,
    expired: Cell<bool>,
    is_cut: Cell<bool>,
    /// Wakes the connection's task while it waits for its application.
    waker: RefCell<Option<Waker>>,
}

impl Slot {
    fn new(fd: RawFd) -> Self {
        Slot {
            fd,
            phase: Cell::new(Phase::Idle),
            deadline: Cell::new(None),
            expired: Cell::new(false),
            is_cut: Cell::new(false),
            waker: RefCell::new(None),
        }
    }

    /// Says what is waited for from now on, and until when.
    pub fn wait_for(&self, phase: Phase, deadline: Option<Instant>) {
        self.phase.set(phase);
        self.deadline.set(deadline);
    }

    /// What is waited for.
    pub fn phase(&self) -> Phase {
        self.phase.get()
    }

    /// The deadline has passed.
    pub fn has_expired(&self) -> bool {
        self.expired.get()
    }

    /// The server cut this connection.
    pub fn is_cut(&self) -> bool {
        self.is_cut.get()
    }

    /// Remembers who to wake when the connection is cut.
    pub fn remember(&self, waker: &Waker) {
        let mut slot = self.waker.borrow_mut();
        match &*slot {
            Some(known) if known.will_wake(waker) => {}
            _ => *slot = Some(waker.clone()),
        }
    }

    fn shut(&self, how: Shutdown) {
        // SAFETY: a slot lies in the table only while the connection's stream, which owns the descriptor, is alive: its
        // guard is dropped before the stream (see `connection::Connection`), on the one thread that sweeps.
        let fd = unsafe { BorrowedFd::borrow_raw(self.fd) };
        // Fails only when the peer is gone already, which ends the pending operation as well.
        let _ = SockRef::from(&fd).shutdown(how);
    }

    fn cut(&self) {
        self.is_cut.set(true);
        self.shut(Shutdown::Both);
        let waker = self.waker.borrow_mut().take();
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

/// All connections of one worker.
#[derive(Debug, Default)]
pub struct Slots {
    table: RefCell<Vec<Option<Rc<Slot>>>>,
    free: RefCell<Vec<usize>>,
    live: Cell<usize>,
    emptied: RefCell<Option<Waker>>,
}

impl Slots {
    /// Adds a connection.
    pub fn add(self: &Rc<Self>, fd: RawFd) -> SlotGuard {
        let slot = Rc::new(Slot::new(fd));
        let mut table = self.table.borrow_mut();
        let index = self.free.borrow_mut().pop().unwrap_or_else(|| {
            table.push(None);
            table.len() - 1
        });
        table[index] = Some(slot.clone());
        self.live.set(self.live.get() + 1);
        SlotGuard { slots: self.clone(), index, slot }
    }

    /// How many there are.
    pub fn live(&self) -> usize {
        self.live.get()
    }

    /// Remembers who to wake when the last one goes.
    pub fn remember_emptied(&self, waker: &Waker) {
        *self.emptied.borrow_mut() = Some(waker.clone());
    }

    /// Shuts those whose deadline has passed.
    pub fn sweep(&self, now: Instant) {
        for slot in self.table.borrow().iter().flatten() {
            if slot.deadline.get().is_some_and(|deadline| deadline <= now) {
                slot.deadline.set(None);
                slot.expired.set(true);
                match slot.phase.get() {
                    Phase::Write | Phase::Linger => slot.shut(Shutdown::Both),
                    _ => slot.shut(Shutdown::Read),
                }
            }
        }
    }

    /// Ends the reading side of idle ones: what the kernel already has is still read and answered, then comes the end.
    pub fn shut_idle(&self) {
        for slot in self.table.borrow().iter().flatten() {
            if slot.phase.get() == Phase::Idle {
                slot.shut(Shutdown::Read);
            }
        }
    }

    /// Cuts all.
    pub fn cut_all(&self) {
        let all: Vec<Rc<Slot>> = self.table.borrow().iter().flatten().cloned().collect();
        for slot in all {
            slot.cut();
        }
    }
}

/// Keeps a connection in the table.
#[derive(Debug)]
pub struct SlotGuard {
    slots: Rc<Slots>,
    index: usize,
    slot: Rc<Slot>,
}

impl std::ops::Deref for SlotGuard {
    type Target = Slot;

    fn deref(&self) -> &Slot {
        &self.slot
    }
}

impl Drop for SlotGuard {
    fn drop(&mut self) {
        self.slots.table.borrow_mut()[self.index] = None;
        self.slots.free.borrow_mut().push(self.index);
        self.slots.live.set(self.slots.live.get() - 1);
        if self.slots.live.get() == 0 {
            let waker = self.slots.emptied.borrow_mut().take();
            if let Some(waker) = waker {
                waker.wake();
            }
        }
    }
}

/// Time between sweeps: a quarter of the shortest timeout, from 10 to 500 ms.
pub fn tick(timeouts: &Timeouts) -> Duration {
    let shortest = timeouts.head.min(timeouts.body).min(timeouts.keep_alive).min(timeouts.write);
    (shortest / 4).clamp(Duration::from_millis(10), Duration::from_millis(500))
}
