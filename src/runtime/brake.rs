//! Stopping a server that may not have been started yet.
//!
//! Owns: [`Brake`]. Does not own: what stops (`control`).
//! Rule: a server that is cut before, while or after it starts is cut.
//! Threads: any.

use super::control::StopHandle;
use crate::sync::atomic::{AtomicBool, Ordering};
use crate::sync::Mutex;

/// The way to stop a server, once there is one.
#[derive(Debug)]
pub struct Brake {
    handle: Mutex<Option<StopHandle>>,
    /// `cut` was called, perhaps before there was anything to cut.
    is_cut: AtomicBool,
}

impl Default for Brake {
    fn default() -> Self {
        Brake { handle: Mutex::new(None), is_cut: AtomicBool::new(false) }
    }
}

impl Brake {
    /// This is what it stops.
    pub fn fit(&self, handle: StopHandle) {
        *self.handle.lock() = Some(handle.clone());
        // Looked at after: who cut before found nothing there.
        if self.is_cut.load(Ordering::Acquire) {
            handle.cut();
        }
    }

    /// The processes that share the listening socket all end. To be said before `stop`.
    pub fn note_last(&self) {
        let handle = self.handle.lock().clone();
        if let Some(handle) = handle {
            handle.note_last();
        }
    }

    /// Begins the drain; a second call cuts what is left.
    pub fn stop(&self) {
        let handle = self.handle.lock().clone();
        if let Some(handle) = handle {
            handle.stop();
        }
    }

    /// Cuts everything. A start that is still under way fails.
    pub fn cut(&self) {
        self.is_cut.store(true, Ordering::Release);
        let handle = self.handle.lock().clone();
        if let Some(handle) = handle {
            handle.cut();
        }
    }

    /// Requests begun so far.
    pub fn requests(&self) -> u64 {
        self.handle.lock().as_ref().map_or(0, StopHandle::requests)
    }
}
