//! Python values to JSON bytes.
//!
//! Owns: the encoder. Does not own: what is encoded. Rule: the bytes are those of FastAPI's `JSONResponse`.

use pyo3::prelude::*;

/// Appends the compact JSON of a value, as `json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))`.
///
/// # Errors
/// Python's own: a value that JSON has no form for, a float out of range, a circular structure.
pub fn encode(value: &Bound<'_, PyAny>, out: &mut Vec<u8>) -> PyResult<()> {
    let py = value.py();
    let options = pyo3::types::PyDict::new(py);
    options.set_item("ensure_ascii", false)?;
    options.set_item("allow_nan", false)?;
    options.set_item("separators", (",", ":"))?;
    let text = py.import("json")?.call_method("dumps", (value,), Some(&options))?;
    out.extend_from_slice(text.cast::<pyo3::types::PyString>()?.to_str()?.as_bytes());
    Ok(())
}
