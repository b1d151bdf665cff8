//! Routes, as Python declares them.
//!
//! Owns: parameters of raw routes, what is told of a route's calls.
//! Does not own: tables of routes, static responses (`dispatch`), signatures (`turboapi_rs.signatures`).
//! Rule: what is unsound is a `ValueError` that names it.

use crate::dispatch::{Earned, Param, ScalarType, Source};
use crate::interp::Held;
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::PyDict;

/// What `route` is told of one parameter: source, wire name, type, required, default, is a list.
pub(super) type ParamSpec<'py> = (String, String, String, bool, Bound<'py, PyAny>, bool);

pub(super) fn route_state<'py>(py: Python<'py>, earned: &Earned) -> PyResult<Bound<'py, PyDict>> {
    let state = earned.state();
    let dict = PyDict::new(py);
    dict.set_item("method", state.method)?;
    dict.set_item("path", state.path)?;
    dict.set_item("handler", state.handler)?;
    dict.set_item("pin", state.pin.name())?;
    dict.set_item("mode", if state.is_direct { "direct" } else { "offload" })?;
    dict.set_item("direct_calls", state.direct_calls)?;
    dict.set_item("offloaded_calls", state.offloaded_calls)?;
    dict.set_item("promotions", state.promotions)?;
    dict.set_item("demotions", state.demotions)?;
    dict.set_item("streak", state.streak)?;
    dict.set_item("needed", state.needed)?;
    Ok(dict)
}

pub(super) fn read_param(spec: &Bound<'_, PyAny>) -> PyResult<Param> {
    param(spec.extract()?)
}

pub(super) fn param(spec: ParamSpec<'_>) -> PyResult<Param> {
    let (source, name, kind, required, default, is_list) = spec;
    let scalar = match kind.as_str() {
        "int" => Some(ScalarType::Int),
        "float" => Some(ScalarType::Float),
        "bool" => Some(ScalarType::Bool),
        "str" => Some(ScalarType::Str),
        _ => None,
    };
    let source = match (source.as_str(), scalar) {
        ("path", Some(scalar)) => Source::Path(scalar),
        ("query", Some(scalar)) => Source::Query(scalar),
        ("body", _) => Source::Body,
        ("request", _) => Source::Request,
        ("upload", _) => Source::Upload,
        _ => {
            return Err(PyValueError::new_err(format!("parameter {name}: no {kind} can come from {source}")))
        }
    };
    Ok(Param { source, name, required, is_list, default: Held::new(default.unbind()) })
}
