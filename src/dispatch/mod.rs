//! The Python boundary: a request in, a Python call, a reply out.
//!
//! Owns: raw routes and their plans, what is declared beside them, binding, calling, classifying results, streams from
//! iterators, faults.
//! Does not own: sockets (`runtime`), the ASGI protocol (`asgi`), the loop (`home_loop`).
//! Rule: arguments are converted before the interpreter is entered; nothing half-written reaches the wire.
//! Spec: DESIGN section 5, the dispatch protocol.

mod app;
mod bind;
mod call_plan;
mod coroutine;
mod declared;
mod earned;
mod fault;
mod file_route;
mod form;
mod intake;
mod latest;
mod live;
mod local;
mod offloaded;
mod onward;
mod outlet;
mod plan;
mod plan_bind;
mod plan_form;
mod plan_reply;
mod raw;
mod refusal;
mod reply;
mod request_object;
mod routing;
mod scalar;
mod service;
mod standing;
mod stream;
mod takers;
mod taking;
mod turns;
mod upload;
mod watch;

pub use app::{App, LoopPlacement, PlainClasses};
pub use call_plan::spec_from;
pub use declared::{open_folder, render_static, StaticSpec};
pub use earned::{Earned, Pin, RouteState, Thresholds};
pub use file_route::{FileOptions, FileRoute};
pub use form::FormLimits;
pub use live::LiveApp;
pub use outlet::register;
pub use plan::{Param, RouteSpec, ScalarType, Source, Table, Target};
pub use service::{AppFactory, PyService};
pub use upload::register as register_uploads;
pub use watch::Watch;
