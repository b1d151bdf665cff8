//! What other threads have for a loop, until its next step.
//!
//! Owns: [`Mailbox`]: jobs, wakes and outcomes that wait, the waker of who steps. Does not own: what becomes of them.
//! Rule: what is put in is taken once, or, once it is closed, given back or dropped; whoever puts something in asks for
//! a step after it lies there. A waker is called outside the lock.
//! Threads: any puts in; the loop's own takes.

use crate::sync::atomic::{AtomicBool, Ordering};
use crate::sync::{Mutex, MutexGuard};
use std::task::Waker;

/// The mailbox of one loop.
pub struct Mailbox<J, O> {
    inbox: Mutex<Inbox<J, O>>,
    /// The inbox has something: spares the lock in steps that were made for other reasons. Written under the lock.
    has_mail: AtomicBool,
}

struct Inbox<J, O> {
    mail: Mail<J, O>,
    waker: Option<Waker>,
    closed: bool,
}

/// What lies in a mailbox.
pub struct Mail<J, O> {
    /// To be run.
    pub jobs: Vec<J>,
    /// Keys of futures to be polled.
    pub woken: Vec<u64>,
    /// To be told to who waits for them.
    pub outcomes: Vec<O>,
}

impl<J, O> Default for Mail<J, O> {
    fn default() -> Self {
        Mail { jobs: Vec::new(), woken: Vec::new(), outcomes: Vec::new() }
    }
}

impl<J, O> Default for Mailbox<J, O> {
    fn default() -> Self {
        let inbox = Inbox { mail: Mail::default(), waker: None, closed: false };
        Mailbox { inbox: Mutex::new(inbox), has_mail: AtomicBool::new(false) }
    }
}

impl<J, O> Mailbox<J, O> {
    /// Puts in a job. Gives it back when it has been closed.
    ///
    /// # Errors
    /// The job, unrun.
    pub fn post(&self, job: J) -> Result<(), J> {
        let mut inbox = self.inbox.lock();
        if inbox.closed {
            return Err(job);
        }
        inbox.mail.jobs.push(job);
        self.tell(inbox);
        Ok(())
    }

    /// Puts in a wake.
    pub fn wake_waiting(&self, key: u64) {
        let mut inbox = self.inbox.lock();
        if inbox.closed {
            return;
        }
        inbox.mail.woken.push(key);
        self.tell(inbox);
    }

    /// Puts in an outcome. Dropped when it has been closed: nobody waits for it any more.
    pub fn deliver(&self, outcome: O) {
        let mut inbox = self.inbox.lock();
        if inbox.closed {
            // Not under the lock: what it holds may be Python's.
            drop(inbox);
            return drop(outcome);
        }
        inbox.mail.outcomes.push(outcome);
        self.tell(inbox);
    }

    fn tell(&self, inbox: MutexGuard<'_, Inbox<J, O>>) {
        self.has_mail.store(true, Ordering::Release);
        let waker = inbox.waker.clone();
        drop(inbox);
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// Asks for a step.
    pub fn nudge(&self) {
        let waker = self.inbox.lock().waker.clone();
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// By this a step is asked for.
    pub fn set_waker(&self, waker: Waker) {
        self.inbox.lock().waker = Some(waker);
    }

    /// Something lies here.
    pub fn has_mail(&self) -> bool {
        self.has_mail.load(Ordering::Acquire)
    }

    /// Takes all, if there is something.
    pub fn take(&self) -> Option<Mail<J, O>> {
        if !self.has_mail() {
            return None;
        }
        let mut inbox = self.inbox.lock();
        self.has_mail.store(false, Ordering::Release);
        Some(std::mem::take(&mut inbox.mail))
    }

    /// Takes nothing more. Gives what was left.
    pub fn close(&self) -> Mail<J, O> {
        let mut inbox = self.inbox.lock();
        inbox.closed = true;
        std::mem::take(&mut inbox.mail)
    }
}
