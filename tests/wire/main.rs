//! The wire, from outside: raw bytes in, events or statuses out. docs/wire.md maps RFC clauses to these tests.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod bodies;
mod connection;
mod framing;
mod heads;
mod hosts;
mod ledger;
mod limits;
mod properties;
mod responses;
mod support;
