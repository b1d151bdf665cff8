//! A value that is replaced while it is used.
//!
//! Owns: [`Latest`]. Does not own: what it is a value of.
//! Rule (`swap_is_whole`): who has taken one up keeps it, whole, until it asks for the latest; a later one never gives way
//! to an earlier one.
//! Threads: any.

use crate::sync::ArcSwap;
use std::sync::Arc;

/// The latest of a row of values.
pub struct Latest<T>(ArcSwap<T>);

impl<T> Latest<T> {
    /// The first one.
    pub fn new(value: T) -> Self {
        Latest(ArcSwap::from_pointee(value))
    }

    /// The one of now.
    pub fn take_up(&self) -> Arc<T> {
        self.0.load_full()
    }

    /// It is still that one.
    pub fn is(&self, value: &Arc<T>) -> bool {
        Arc::ptr_eq(&self.0.load(), value)
    }

    /// Replaces it.
    pub fn put(&self, value: T) {
        self.0.store(Arc::new(value));
    }
}
