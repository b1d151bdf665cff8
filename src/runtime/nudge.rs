//! Asking a worker's task for a step, from any thread.
//!
//! Owns: [`Nudge`]. Does not own: the step (`guest`).
//! Rule: a step that was asked for is taken; any number of nudges before it wake the task once.

use crate::sync::atomic::{AtomicBool, Ordering};
use std::sync::Arc;
use std::task::{Wake, Waker};

/// Notes that a step was asked for, then wakes the task that steps.
pub struct Nudge {
    is_due: AtomicBool,
    task: Waker,
}

impl Nudge {
    /// Of the task behind `task`, which has its first step to take.
    pub fn new(task: Waker) -> Arc<Self> {
        Arc::new(Nudge { is_due: AtomicBool::new(true), task })
    }

    /// Was a step asked for? By the task, which then takes it.
    pub fn take(&self) -> bool {
        self.is_due.swap(false, Ordering::AcqRel)
    }

    /// Asks for one more. By the task, which is awake.
    pub fn again(&self) {
        // A plain store would hide, from the next `take`, the thread that asked meanwhile, and what it asked for.
        self.is_due.swap(true, Ordering::AcqRel);
    }
}

impl Wake for Nudge {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        if !self.is_due.swap(true, Ordering::AcqRel) {
            self.task.wake_by_ref();
        }
    }
}
