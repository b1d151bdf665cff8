//! The extension module `turboapi_rs._core`: one file, so that the library itself stays an rlib.

use pyo3::prelude::*;

/// The native half of `turboapi_rs`.
#[pymodule(gil_used = false)]
fn _core(module: &Bound<'_, PyModule>) -> PyResult<()> {
    turboapi::server::register(module)
}
