//! What hand-made concurrent pieces are built of.
//!
//! Owns: the choice between the locks and atomics that serve, and those of the model checker (feature `models`).
//! Does not own: the pieces, which lie where they are used; their models, which lie in `tests/models`.
//! Rule: a piece with a model takes its locks, atomics and threads from here, so that what is modelled is what serves.
//! Without the feature every name here is another crate's own: nothing is wrapped, nothing costs.

#[cfg(not(feature = "models"))]
mod plain {
    pub use arc_swap::ArcSwap;
    pub use parking_lot::{Condvar, Mutex, MutexGuard};
    pub use std::sync::atomic;
    pub use std::thread::JoinHandle;

    /// Starts a thread.
    ///
    /// # Errors
    /// The system's own: no thread was started.
    pub fn spawn(
        name: &str,
        stack_bytes: usize,
        run: impl FnOnce() + Send + 'static,
    ) -> std::io::Result<JoinHandle<()>> {
        let builder = std::thread::Builder::new().name(name.to_owned()).stack_size(stack_bytes);
        builder.spawn(run)
    }
}
#[cfg(not(feature = "models"))]
pub use plain::*;

#[cfg(feature = "models")]
mod checked;
#[cfg(feature = "models")]
pub use checked::*;
