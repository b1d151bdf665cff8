//! The wire, from outside: raw bytes in, events or statuses out. docs/wire.md maps RFC clauses to these tests.

mod bodies;
mod heads;
mod support;
