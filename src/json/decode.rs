//! JSON text to Python objects, as `json.loads` gives them.
//!
//! Owns: making the objects. Does not own: the grammar (`parse`).
//! Rule: an object equal to that of `json.loads`, or its exception. Keys are never interned: requests choose them.

use super::parse::{parse, Value};
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyBytes, PyDict, PyFloat, PyInt, PyList, PyString};

/// Reads JSON text of any encoding that `json.loads` detects.
///
/// # Errors
/// Those of `json.loads`: `json.JSONDecodeError`, `UnicodeDecodeError`, `ValueError`, `RecursionError`.
pub fn decode<'py>(py: Python<'py>, text: &[u8]) -> PyResult<Bound<'py, PyAny>> {
    match parse(text) {
        Ok(document) => to_python(py, document.root()),
        // Python reads what we cannot, and raises its own errors.
        Err(_) => py.import("json")?.call_method1("loads", (PyBytes::new(py, text),)),
    }
}

/// The Python object of a value that was read before.
///
/// # Errors
/// Memory only.
pub fn to_python<'py>(py: Python<'py>, value: Value<'_>) -> PyResult<Bound<'py, PyAny>> {
    Ok(match value {
        Value::Null => py.None().into_bound(py),
        Value::Bool(value) => PyBool::new(py, value).to_owned().into_any(),
        Value::Int(value) => value.into_pyobject(py)?.into_any(),
        Value::BigInt(digits) => py.get_type::<PyInt>().call1((digits,))?,
        Value::Float(value) => PyFloat::new(py, value).into_any(),
        Value::Str(text) => PyString::new(py, text).into_any(),
        Value::Array(items) => {
            let items = items.iter().map(|item| to_python(py, item)).collect::<PyResult<Vec<_>>>()?;
            PyList::new(py, items)?.into_any()
        }
        Value::Object(entries) => {
            let dict = PyDict::new(py);
            for (key, value) in entries.iter() {
                dict.set_item(PyString::new(py, key), to_python(py, value)?)?;
            }
            dict.into_any()
        }
    })
}
