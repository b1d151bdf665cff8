//! The time as a worker sees it: read once a batch, rendered once a second.
//!
//! Owns: the cached [`HttpDate`]. Rule: never older than the batch that uses it.

use crate::http1::HttpDate;
use std::cell::Cell;
use std::time::{SystemTime, UNIX_EPOCH};

/// A worker's `Date`.
#[derive(Debug)]
pub struct DateCache {
    second: Cell<u64>,
    date: Cell<HttpDate>,
}

impl DateCache {
    /// With the time of now.
    pub fn new() -> Self {
        let second = unix_now();
        DateCache { second: Cell::new(second), date: Cell::new(HttpDate::from_unix(second)) }
    }

    /// The date of now.
    pub fn now(&self) -> HttpDate {
        let second = unix_now();
        if second != self.second.get() {
            self.second.set(second);
            self.date.set(HttpDate::from_unix(second));
        }
        self.date.get()
    }
}

fn unix_now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |elapsed| elapsed.as_secs())
}
