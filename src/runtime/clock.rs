//! The time as a worker sees it: read once a batch, rendered once a second.
//!
//! Owns: the cached [`HttpDate`]. Rule: never older than the batch that uses it; one clock call gives both.

use crate::http1::HttpDate;
use std::cell::Cell;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// A worker's clock and its `Date`.
#[derive(Debug)]
pub struct Clock {
    date: Cell<HttpDate>,
    date_until: Cell<Instant>,
}

impl Clock {
    /// With the time of now.
    pub fn new() -> Self {
        let clock = Clock { date: Cell::new(HttpDate::from_unix(0)), date_until: Cell::new(Instant::now()) };
        clock.read();
        clock
    }

    /// Reads the clock.
    pub fn read(&self) -> Instant {
        let now = Instant::now();
        if now >= self.date_until.get() {
            let unix = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
            self.date.set(HttpDate::from_unix(unix.as_secs()));
            let rest = Duration::from_secs(1) - Duration::from_nanos(u64::from(unix.subsec_nanos()));
            self.date_until.set(now + rest);
        }
        now
    }

    /// The date as of the last reading.
    pub fn date(&self) -> HttpDate {
        self.date.get()
    }
}
