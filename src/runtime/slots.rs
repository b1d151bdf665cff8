//! The connections of one worker, as its timers see them.
//!
//! Owns: deadlines, and the shutting down of a descriptor whose deadline has passed.
//! Does not own: what a connection then answers (`connection`).
//! Rule: a deadline costs a store; nothing is registered per request. A sweep every [`tick`] finds those that passed and
//! shuts the socket's reading side (or both), so that the pending operation completes: nothing in flight is dropped.
//! Threads: one worker's.

use super::config::Timeouts;
use crate::service::is_same_task;
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

/// What a connection without any request yet may still get in the drain. nginx waits for the whole time of a head.
const FRESH_GRACE: Duration = Duration::from_secs(1);

/// One connection.
#[derive(Debug)]
pub struct Slot {
    fd: RawFd,
    phase: Cell<Phase>,
    deadline: Cell<Option<Instant>>,
    has_expired: Cell<bool>,
    is_cut: Cell<bool>,
    is_reading_shut: Cell<bool>,
    /// No request has come yet.
    is_fresh: Cell<bool>,
    /// Wakes the connection's task while it waits for its application.
    waker: RefCell<Option<Waker>>,
}

impl Slot {
    fn new(fd: RawFd) -> Self {
        Slot {
            fd,
            phase: Cell::new(Phase::Idle),
            deadline: Cell::new(None),
            has_expired: Cell::new(false),
            is_cut: Cell::new(false),
            is_reading_shut: Cell::new(false),
            is_fresh: Cell::new(true),
            waker: RefCell::new(None),
        }
    }

    /// Says what is waited for from now on, and until when.
    pub fn wait_for(&self, phase: Phase, deadline: Option<Instant>) {
        self.phase.set(phase);
        self.deadline.set(deadline);
    }

    /// A request has come.
    pub fn note_request(&self) {
        self.is_fresh.set(false);
    }

    /// Says, in the drain, that no more requests are waited for.
    ///
    /// Of a connection that was just accepted the first request may still be on its way. Where other processes go on
    /// serving the same socket, its client has no reason to expect an end: it gets a moment's grace.
    pub fn end_idle(&self, now: Instant, others_go_on: bool) {
        if others_go_on && self.is_fresh.get() {
            self.deadline.set(Some(now + FRESH_GRACE));
        } else {
            self.shut_reading();
        }
    }

    /// What is waited for.
    pub fn phase(&self) -> Phase {
        self.phase.get()
    }

    /// A deadline has passed: nothing more will be read, or written.
    pub fn has_expired(&self) -> bool {
        self.has_expired.get()
    }

    /// The server cut this connection.
    pub fn is_cut(&self) -> bool {
        self.is_cut.get()
    }

    /// Remembers who to wake when the connection is cut.
    pub fn remember(&self, waker: &Waker) {
        let mut slot = self.waker.borrow_mut();
        match &*slot {
            Some(known) if is_same_task(known, waker) => {}
            _ => *slot = Some(waker.clone()),
        }
    }

    /// Ends the reading side: what the kernel already has is still read, then comes the end.
    pub fn shut_reading(&self) {
        self.is_reading_shut.set(true);
        self.shut(Shutdown::Read);
    }

    /// The reading side was ended by us, for the drain: the end that a read finds is not the peer's.
    pub fn is_reading_shut(&self) -> bool {
        self.is_reading_shut.get()
    }

    fn shut(&self, how: Shutdown) {
        // SAFETY: a slot lies in the table only while the connection's stream, which owns the descriptor, is alive: its
        // guard is dropped before the stream (see `connection::Connection`), on the one thread that sweeps.
        let fd = unsafe { BorrowedFd::borrow_raw(self.fd) };
        // Fails only when the peer is gone already, which ends the pending operation as well.
        let _ = SockRef::from(&fd).shutdown(how);
    }

    /// Resets the connection. What the peer has not taken yet is not sent any more, nor is an end.
    #[cfg(target_os = "linux")]
    fn abort(&self) {
        const UNSPEC: libc::sockaddr = libc::sockaddr { sa_family: libc::AF_UNSPEC as u16, sa_data: [0; 14] };
        let length = std::mem::size_of_val(&UNSPEC) as libc::socklen_t;
        // SAFETY: the address lives for the whole call, and is as long as said. The descriptor is open: see `shut`.
        let result = unsafe { libc::connect(self.fd, &UNSPEC, length) };
        if result != 0 {
            // Not TCP: there is no reset to be had.
            self.shut(Shutdown::Both);
        }
    }

    #[cfg(not(target_os = "linux"))]
    fn abort(&self) {
        self.shut(Shutdown::Both);
    }

    fn expire(&self) {
        self.deadline.set(None);
        self.has_expired.set(true);
        self.stop_waiting();
    }

    /// Completes the pending operation. A response that was begun must not get what looks like a good end.
    fn stop_waiting(&self) {
        match self.phase.get() {
            Phase::Write => self.abort(),
            Phase::Linger => self.shut(Shutdown::Both),
            Phase::Idle | Phase::Head | Phase::Body | Phase::Pending => self.shut(Shutdown::Read),
        }
    }

    fn cut(&self) {
        self.is_cut.set(true);
        self.stop_waiting();
        let waker = self.waker.borrow_mut().take();
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

/// All connections of one worker.
#[derive(Debug)]
pub struct Slots {
    table: RefCell<Vec<Option<Rc<Slot>>>>,
    free: RefCell<Vec<usize>>,
    live: Cell<usize>,
    emptied: RefCell<Option<Waker>>,
    tick: Duration,
    /// Everything is cut at this time: the end of the drain's grace.
    cut_at: Cell<Option<Instant>>,
}

impl Slots {
    /// None yet.
    pub fn new(timeouts: &Timeouts) -> Rc<Self> {
        Rc::new(Slots {
            table: RefCell::default(),
            free: RefCell::default(),
            live: Cell::new(0),
            emptied: RefCell::default(),
            tick: tick(timeouts),
            cut_at: Cell::new(None),
        })
    }

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

    /// Time between sweeps.
    pub fn tick(&self) -> Duration {
        self.tick
    }

    /// Shuts those whose deadline has passed.
    pub fn sweep(&self, now: Instant) {
        if self.cut_at.get().is_some_and(|at| at <= now) {
            self.cut_at.set(None);
            log::warn!("{} connections are cut at the end of the drain", self.live());
            return self.cut_all();
        }
        for slot in self.table.borrow().iter().flatten() {
            if slot.deadline.get().is_some_and(|deadline| deadline <= now) {
                slot.expire();
            }
        }
    }

    /// Ends the reading side of idle ones: what the kernel already has is still read and answered, then comes the end.
    pub fn shut_idle(&self, now: Instant, others_go_on: bool) {
        for slot in self.table.borrow().iter().flatten() {
            if slot.phase.get() == Phase::Idle {
                slot.end_idle(now, others_go_on);
            }
        }
    }

    /// Cuts all at that time.
    pub fn cut_at(&self, at: Instant) {
        self.cut_at.set(Some(at));
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
fn tick(timeouts: &Timeouts) -> Duration {
    let shortest = [timeouts.head, timeouts.body, timeouts.keep_alive, timeouts.write, timeouts.drain_grace]
        .into_iter()
        .min()
        .unwrap_or_default();
    (shortest / 4).clamp(Duration::from_millis(10), Duration::from_millis(500))
}
