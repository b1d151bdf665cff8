//! The encoder and the decoder as functions of the extension module: for call plans, and for tests.

use super::parse::Fault;
use pyo3::prelude::*;
use pyo3::types::PyBytes;

/// Adds `_Writer`, `jsonable_bytes`, `_json_dumps`, `_json_loads` and `_json_check` to the extension module.
///
/// # Errors
/// As adding an attribute to a module.
pub fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<super::Writer>()?;
    module.add_function(wrap_pyfunction!(_json_dumps, module)?)?;
    module.add_function(wrap_pyfunction!(_json_loads, module)?)?;
    module.add_function(wrap_pyfunction!(jsonable_bytes, module)?)?;
    module.add_function(wrap_pyfunction!(_json_check, module)?)
}

#[pyfunction]
#[pyo3(signature = (value, default = None))]
fn _json_dumps<'py>(
    value: &Bound<'py, PyAny>,
    default: Option<&Bound<'py, PyAny>>,
) -> PyResult<Bound<'py, PyBytes>> {
    let mut out = Vec::new();
    super::encode_with(value, &mut out, default)?;
    Ok(PyBytes::new(value.py(), &out))
}

/// The JSON of a value that FastAPI's `jsonable_encoder` leaves as it is; `None` for any other.
#[pyfunction]
fn jsonable_bytes<'py>(value: &Bound<'py, PyAny>) -> PyResult<Option<Bound<'py, PyBytes>>> {
    let mut out = Vec::new();
    let is_whole = super::encode_jsonable(value, &mut out)?;
    Ok(is_whole.then(|| PyBytes::new(value.py(), &out)))
}

#[pyfunction]
fn _json_loads<'py>(py: Python<'py>, text: &[u8]) -> PyResult<Bound<'py, PyAny>> {
    super::decode(py, text)
}

/// `"ok"`, the message and position of the syntax error, or `None` where only Python can say.
#[pyfunction]
fn _json_check<'py>(py: Python<'py>, text: &[u8]) -> PyResult<Option<Bound<'py, PyAny>>> {
    Ok(match super::parse::parse(text) {
        Ok(_) => Some("ok".into_pyobject(py)?.into_any()),
        Err(Fault::Syntax { message, position }) => Some((message, position).into_pyobject(py)?.into_any()),
        Err(Fault::Beyond) => None,
    })
}
