//! Frozen Python classes that handlers see, and those that describe an application.
//!
//! Owns: [`Request`], [`MiddlewareStack`]. Does not own: logic; a method here reads a field. Rule: frozen, `Send + Sync`.

mod middleware;
mod request;

pub use middleware::MiddlewareStack;
pub use request::{plain_answered_through, Request};
