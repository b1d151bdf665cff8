//! The runtime over real sockets, on both drivers.

#[path = "support.rs"]
mod support;

mod binding;
mod bodies;
mod children;
mod guest;
mod keep_alive;
mod limits;
mod shutdown;
mod streams;
mod timeouts;
