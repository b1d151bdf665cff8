//! Models of the hand-made concurrent pieces: loom runs each in every order of its threads, up to a bound.
//!
//! Owns: one module a piece, each model with its invariant in words. `README.md` lists the pieces, and what has no model.
//! Rule: what is modelled is the file that serves, with `turboapi::sync` made of loom's locks and atomics: files of
//! modules that hold Python or monoio are taken in here by path.
//! `LOOM_MAX_PREEMPTIONS` bounds how often a thread is cut off where it could go on (2); `scripts/models.sh` says more.

#![cfg(feature = "models")]
#![allow(dead_code, reason = "files taken in by path have more than their model uses")]

use turboapi::{invariants, service, sync};

#[path = "../../src/runtime/brake.rs"]
mod brake;
#[path = "../../src/runtime/control.rs"]
mod control;
#[path = "../../src/asgi/feeds.rs"]
mod feeds;
#[path = "../../src/dispatch/latest.rs"]
mod latest;
#[path = "../../src/home_loop/mailbox.rs"]
mod mailbox;
#[path = "../../src/runtime/nudge.rs"]
mod nudge;
#[path = "../../src/runtime/offload.rs"]
mod offload;
#[path = "../../src/asgi/receivers.rs"]
mod receivers;
#[path = "../../src/dispatch/standing.rs"]
mod standing;
#[path = "../../src/dispatch/takers.rs"]
mod takers;
#[path = "../../src/dispatch/turns.rs"]
mod turns;
#[path = "../../src/asgi/underway.rs"]
mod underway;

mod model_awaited;
mod model_brake;
mod model_control;
mod model_exchange;
mod model_feeds;
mod model_home_loop;
mod model_offload;
mod model_receivers;
mod model_standing;
mod model_streams;
mod model_swap;
mod model_takers;
mod model_underway;
mod support;

/// What `control` needs of the runtime's configuration.
mod config {
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub enum StartError {
        Service(String),
        Thread(String),
    }
}
