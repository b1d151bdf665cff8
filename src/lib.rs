//! turboapi: a free-threaded-Python-first HTTP server.
//!
//! The module map, nothing else. Layers, and which may use which, are in `scripts/check_layers.py`.

pub mod bytes_ext;
pub mod http1;
pub mod router;
pub mod service;
