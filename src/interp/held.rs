//! A Python reference that may be dropped on any thread, attached or not.
//!
//! Owns: the drop. Rule: a plain `Py<T>` is dropped attached (a drop elsewhere aborts, see `.cargo/config.toml`); what
//! can end up in a waker, a queue or a buffer of the kernel's is wrapped in [`Held`], which attaches to let go.

use pyo3::prelude::*;
use std::mem::ManuallyDrop;
use std::ops::Deref;

/// Owns one reference; attaches by itself when dropped.
pub struct Held<T>(ManuallyDrop<Py<T>>);

impl<T> Held<T> {
    /// Wraps a reference.
    pub fn new(reference: Py<T>) -> Self {
        Held(ManuallyDrop::new(reference))
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
        &self.0
    }
}

impl<T> Drop for Held<T> {
    fn drop(&mut self) {
        // An interpreter that is ending cannot be attached to; its memory goes with the process, so the reference is
        // left behind in that case.
        Python::try_attach(|_py| {
            // SAFETY: `drop` runs once, and nothing reads the field afterwards.
            unsafe { ManuallyDrop::drop(&mut self.0) }
        });
    }
}
