//! The request object of one call of a raw handler.
//!
//! Owns: making it once, for the interpreter at hand; telling it what its request is answered through, which is how it knows
//! that the peer has left. Does not own: what it shows (`pyclasses`, `turboapi_rs.isolated`).
//! Rule: no exchange is made for it. A handler that answers at once has none, and its object finds nothing out.

use super::app::App;
use super::bind::PathParams;
use super::fault::Fault;
use crate::pyclasses::{plain_answered_through, Request as PyRequest};
use crate::service::{Exchange, Request};
use bytes::Bytes;
use pyo3::prelude::*;
use std::cell::OnceCell;
use std::sync::Arc;

/// The object, once a parameter has asked for it.
#[derive(Default)]
pub struct RequestObject<'py>(OnceCell<Bound<'py, PyAny>>);

impl<'py> RequestObject<'py> {
    /// The object; made at the first call. `exchange` is what the request is answered through, where that is known.
    ///
    /// # Errors
    /// Python's own.
    pub fn of(
        &self,
        py: Python<'py>,
        app: &App,
        request: &Request,
        body: &Bytes,
        path: &PathParams,
        exchange: Option<&Arc<Exchange>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        if let Some(made) = self.0.get() {
            return Ok(made.clone());
        }
        let native = PyRequest::new(request, body.clone(), path, exchange);
        let made = match &app.plain {
            Some(classes) => native.plain(classes.request.bind(py))?,
            None => Bound::new(py, native)?.into_any(),
        };
        Ok(self.0.get_or_init(|| made).clone())
    }

    /// The request is answered through that exchange, as has turned out. Before anything of the answer runs.
    ///
    /// # Errors
    /// Python's own.
    pub fn answered_through(&self, app: &App, exchange: &Arc<Exchange>) -> Result<(), Fault> {
        let Some(made) = self.0.get() else { return Ok(()) };
        if app.plain.is_some() {
            return plain_answered_through(made, exchange).map_err(Fault::Raised);
        }
        if let Ok(native) = made.cast::<PyRequest>() {
            native.get().answered_through(exchange);
        }
        Ok(())
    }
}
