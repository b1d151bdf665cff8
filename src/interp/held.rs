//! A Python reference that may be dropped on any thread, attached or not.
//!
//! Owns: the drop. Rule: a plain `Py<T>` is dropped attached (a drop elsewhere aborts, see `.cargo/config.toml`); what
//! can end up in a waker, a queue or a buffer of the kernel's is wrapped in [`Held`], which attaches to let go.

use super::isolate::InterpreterId;
use crate::invariants::{Alive, Kind};
use pyo3::prelude::*;
use std::mem::ManuallyDrop;
use std::ops::Deref;

/// Owns one reference; attaches by itself when dropped.
pub struct Held<T> {
    reference: ManuallyDrop<Py<T>>,
    home: InterpreterId,
    _alive: Alive,
}

impl<T> Held<T> {
    /// Wraps a reference. Attached, as everybody is who has a reference to give.
    pub fn new(reference: Py<T>) -> Self {
        Held {
            reference: ManuallyDrop::new(reference),
            home: InterpreterId::current(),
            _alive: Alive::new(Kind::Reference),
        }
    }
}

impl<T> std::fmt::Debug for Held<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Held({:p})", self.as_ptr())
    }
}

impl<T> Deref for Held<T> {
    type Target = Py<T>;

    fn deref(&self) -> &Py<T> {
        &self.reference
    }
}

impl<T> Drop for Held<T> {
    fn drop(&mut self) {
        // An interpreter that is ending cannot be attached to; its memory goes with the process, so the reference is
        // left behind in that case.
        Python::try_attach(|_py| {
            // (`no_cross_interpreter`) A thread without a state is attached to the main interpreter, which must not
            // touch what another one made. That one has ended, or is ending: its memory goes with it.
            if self.home != InterpreterId::current() {
                log::debug!("a reference outlived its interpreter");
                return;
            }
            // SAFETY: `drop` runs once, and nothing reads the field afterwards.
            unsafe { ManuallyDrop::drop(&mut self.reference) }
        });
    }
}
