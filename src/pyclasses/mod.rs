//! Frozen Python classes that handlers see.
//!
//! Owns: [`Request`]. Does not own: logic; a method here reads a field. Rule: frozen, `Send + Sync`.

mod request;

pub use request::Request;
