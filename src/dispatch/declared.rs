//! What Python declares of responses that it does not make: static ones, and folders of files.
//!
//! Owns: reading such a declaration. Does not own: the table that they go to (`plan`), what is served (`static_cache`, `files`).
//! Rule: what is unsound is a `ValueError` that names it, the same in every isolation.

use super::{FileOptions, FileRoute};
use crate::http1::FieldFault;
use crate::static_cache::StaticResponse;
use bytes::Bytes;
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use std::path::Path;

/// What is told of one static response: status, content type, body, further headers.
pub type StaticSpec = (u16, String, Vec<u8>, Vec<(String, String)>);

/// Renders a static response.
///
/// # Errors
/// `ValueError`: its status or one of its fields cannot be sent.
pub fn render_static(spec: StaticSpec) -> PyResult<StaticResponse> {
    let (status, content_type, body, headers) = spec;
    if !(200..=599).contains(&status) {
        return Err(PyValueError::new_err(format!("status {status} is outside 200..=599")));
    }
    let pairs = headers.iter().map(|(name, value)| (name.as_str(), value.as_str()));
    StaticResponse::render(status, &content_type, pairs, Bytes::from(body)).map_err(wrong_header)
}

/// Opens a folder of files. Detached: it is asked of the disk.
///
/// # Errors
/// `ValueError`: a field cannot be sent. `OSError`: there is no such folder, or it may not be entered.
pub fn open_folder(
    py: Python<'_>,
    directory: &Path,
    options: FileOptions,
    headers: &[(String, String)],
) -> PyResult<FileRoute> {
    py.detach(|| FileRoute::open(directory, options, headers))?.map_err(wrong_header)
}

fn wrong_header(fault: FieldFault) -> PyErr {
    PyValueError::new_err(format!("header: {}", fault.reason()))
}
