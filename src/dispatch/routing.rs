//! Where a request goes.
//!
//! Owns: [`Route`], what a head is routed to, and in which order: routes, the ASGI application, nobody.
//! Does not own: patterns (`router`), the table (`plan`), what is done with the request (`service`).
//! Rule: it reads the head alone, and enters no interpreter.

use super::bind::PathParams;
use super::file_route::FileRoute;
use super::local::Local;
use super::plan::{NoRoute, Target};
use crate::bytes_ext;
use crate::http1::RequestHead;
use crate::router::Found;
use crate::static_cache::StaticResponse;
use bytes::Bytes;
use std::sync::Arc;

/// Where a request goes.
pub(super) enum Route {
    /// A response rendered beforehand.
    Static(Arc<StaticResponse>),
    /// A raw route and its path parameters.
    Handler(usize, PathParams),
    /// A call plan and its path parameters.
    Plan(usize, PathParams),
    /// A file below a folder, and the rest of the path.
    Files(Arc<FileRoute>, String),
    /// The ASGI application.
    Asgi,
    /// No route has this path.
    NotFound,
    /// Routes have this path, for other methods.
    MethodNotAllowed(Bytes),
}

impl Local {
    /// What a request of that head is for.
    pub(super) fn route(&self, head: &RequestHead) -> Route {
        let table = &self.app.table;
        if table.is_empty() {
            return if self.app.asgi.is_some() { Route::Asgi } else { Route::NotFound };
        }
        let raw = head.path();
        let decoded = bytes_ext::percent_decode(raw);
        let text = String::from_utf8_lossy(&decoded);
        let text = table.route_path(&text);
        if text.is_empty() && self.app.asgi.is_some() {
            return Route::Asgi;
        }
        match table.router.find(head.method_bytes(), text) {
            Found::Route(Target::Static(cell), _) => Route::Static(cell.load()),
            Found::Route(Target::Handler(index), params) => {
                let params = params.iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
                Route::Handler(*index as usize, params)
            }
            Found::Route(Target::Plan(index), params) => {
                let params = params.iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
                Route::Plan(*index as usize, params)
            }
            Found::Route(Target::Files(files), params) => {
                Route::Files(files.clone(), params.value("path").unwrap_or_default().to_owned())
            }
            Found::Route(Target::Asgi, _) => Route::Asgi,
            _ if self.app.asgi.is_some() => match table.no_route(head.method_bytes(), text) {
                NoRoute::NotFound => Route::NotFound,
                NoRoute::MethodNotAllowed(allow) => Route::MethodNotAllowed(allow),
                NoRoute::Asgi => Route::Asgi,
            },
            Found::MethodNotAllowed(allow) => Route::MethodNotAllowed(allow.clone()),
            Found::NotFound => Route::NotFound,
        }
    }
}
