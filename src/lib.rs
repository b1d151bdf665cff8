//! turboapi: a free-threaded-Python-first HTTP server.
//!
//! The module map, nothing else. Layers, and which may use which, are in `scripts/check_layers.py`.

pub mod bytes_ext;
pub mod error;
pub mod files;
pub mod http1;
pub mod invariants;
pub mod middleware;
pub mod multipart;
pub mod router;
pub mod service;
pub mod sse;
pub mod static_cache;
pub mod sync;

#[cfg(feature = "runtime")]
pub mod runtime;

#[cfg(feature = "python")]
pub mod asgi;
#[cfg(feature = "python")]
pub mod dispatch;
#[cfg(feature = "python")]
pub mod home_loop;
#[cfg(feature = "python")]
pub mod interp;
#[cfg(feature = "python")]
pub mod isolated;
#[cfg(feature = "python")]
pub mod json;
#[cfg(feature = "python")]
pub mod pyclasses;
#[cfg(all(feature = "python", feature = "runtime"))]
pub mod server;
#[cfg(feature = "python")]
pub mod validate;
