//! What Python sees of a request body as it arrives.
//!
//! Owns: [`Upload`], the same as functions for an interpreter that is not the extension's own, `FormError`.
//! Does not own: what is taken, and how (`intake`).

use super::form::{FormLimits, Sink};
use super::intake::{raise, to_python, Intake};
use crate::interp;
use crate::pyclasses::Request as PyRequest;
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyTuple};
use std::path::PathBuf;
use std::sync::Arc;

pyo3::create_exception!(
    turboapi_rs._core,
    FormError,
    PyValueError,
    "A form is broken or passes a limit. `args` are the text, which names the rule, and the status: 400 or 413."
);

/// A request body, piece by piece.
#[pyclass(frozen, module = "turboapi_rs._core")]
pub struct Upload {
    request: Py<PyRequest>,
    intake: Intake,
}

impl Upload {
    /// Of a request whose body comes through `intake`.
    pub fn new(request: Py<PyRequest>, intake: Intake) -> Self {
        Upload { request, intake }
    }
}

#[pymethods]
impl Upload {
    /// The request without its body.
    #[getter]
    fn request(&self, py: Python<'_>) -> Py<PyRequest> {
        self.request.clone_ref(py)
    }

    fn __iter__(slf: Py<Self>) -> Py<Self> {
        slf
    }

    fn __next__<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        self.intake.next(py)
    }

    fn __aiter__(slf: Py<Self>) -> Py<Self> {
        slf
    }

    fn __anext__<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        self.intake.anext(py)
    }

    /// All that is left of the body.
    fn read<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        self.intake.read(py)
    }

    /// Writes what is left of the body to a file, which gets its name when it is whole.
    fn save_to<'py>(&self, py: Python<'py>, path: PathBuf) -> PyResult<Bound<'py, PyAny>> {
        self.intake.save_to(py, path)
    }

    /// The fields and files of a `multipart/form-data` body.
    fn form<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        self.intake.form(py)
    }
}

/// The same as an instance of a plain Python class, `turboapi_rs.isolated.Upload`.
///
/// # Errors
/// The class's own.
pub fn plain<'py>(
    class: &Bound<'py, PyAny>,
    request: Bound<'py, PyAny>,
    intake: Intake,
) -> PyResult<Bound<'py, PyAny>> {
    let py = class.py();
    let intake = Arc::new(intake);
    let saving = intake.clone();
    let save_to =
        interp::callback(py, move |path| saving.save_to(path.py(), path.extract()?).map(Bound::unbind))?;
    let arguments = [
        request,
        asking(py, &intake, Intake::next)?,
        asking(py, &intake, Intake::anext)?,
        asking(py, &intake, Intake::read)?,
        save_to,
        asking(py, &intake, Intake::form)?,
    ];
    class.call1(PyTuple::new(py, arguments)?)
}

/// A way to take of a body, as a function of Python's.
fn asking<'py>(
    py: Python<'py>,
    intake: &Arc<Intake>,
    take: for<'a> fn(&Intake, Python<'a>) -> PyResult<Bound<'a, PyAny>>,
) -> PyResult<Bound<'py, PyAny>> {
    let intake = intake.clone();
    interp::callback0(py, move |py| take(&intake, py).map(Bound::unbind))
}

/// Adds what the module has of uploads.
///
/// # Errors
/// Python's own.
pub fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<Upload>()?;
    module.add("FormError", module.py().get_type::<FormError>())?;
    // Parses pieces of a form as an upload does; for tests.
    module.add_function(pyo3::wrap_pyfunction!(parse_form, module)?)
}

/// Parse a form that is given in pieces, as `Upload.form` does.
#[pyfunction]
fn parse_form<'py>(
    py: Python<'py>,
    content_type: &[u8],
    pieces: Vec<Bound<'py, PyBytes>>,
) -> PyResult<Bound<'py, PyAny>> {
    let mut sink =
        Sink::form(content_type, FormLimits::default()).map_err(|fault| raise(py, fault.into()))?;
    for piece in pieces {
        sink.take(&interp::share_bytes(&piece)).map_err(|fault| raise(py, fault))?;
    }
    sink.finish().map_err(|fault| raise(py, fault)).and_then(|poured| to_python(py, poured, content_type))
}
