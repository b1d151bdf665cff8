//! The validator as a private class of the extension module, for tests.

use super::{Compiled, MemberSchema, Verdict};
use pyo3::exceptions::PyNotImplementedError;
use pyo3::prelude::*;
use pyo3::types::PyBytes;

/// Adds `_Validator` to the extension module.
///
/// # Errors
/// As adding an attribute to a module.
pub fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<Validator>()
}

/// A compiled core schema.
#[pyclass(frozen, name = "_Validator", module = "turboapi_rs._core")]
struct Validator {
    compiled: Compiled,
}

#[pymethods]
impl Validator {
    /// Raises `NotImplementedError` with the reason where nothing would be decided.
    #[new]
    fn new(schema: &Bound<'_, PyAny>) -> PyResult<Self> {
        match Compiled::compile(schema) {
            Ok(compiled) => Ok(Validator { compiled }),
            Err(unsupported) => Err(PyNotImplementedError::new_err(unsupported.reason)),
        }
    }

    /// For a body whose members are parameters: alias, schema, is required, default is validated.
    #[staticmethod]
    fn members(py: Python<'_>, members: Vec<(String, Bound<'_, PyAny>, bool, bool)>) -> PyResult<Self> {
        let members = members.into_iter().map(|(alias, schema, is_required, validates_default)| {
            MemberSchema { alias, schema, is_required, validates_default }
        });
        match Compiled::compile_members(py, members.collect()) {
            Ok(compiled) => Ok(Validator { compiled }),
            Err(unsupported) => Err(PyNotImplementedError::new_err(unsupported.reason)),
        }
    }

    /// `("valid", json_mode_agrees)`, `("invalid", body of the 422)` or `("unsure", None)`.
    fn check<'py>(&self, py: Python<'py>, body: &[u8]) -> PyResult<(&'static str, Bound<'py, PyAny>)> {
        // Detached, as a worker is when it judges a body.
        let verdict = py.detach(|| self.compiled.check(body));
        Ok(match verdict {
            Verdict::Valid { json_mode_agrees, .. } => {
                ("valid", json_mode_agrees.into_pyobject(py)?.to_owned().into_any())
            }
            Verdict::Invalid(answer) => ("invalid", PyBytes::new(py, &answer).into_any()),
            Verdict::Unsure => ("unsure", py.None().into_bound(py)),
        })
    }

    /// The body as a Python object, if it is valid: parsed once.
    fn read<'py>(&self, py: Python<'py>, body: &[u8]) -> PyResult<Bound<'py, PyAny>> {
        match self.compiled.check(body) {
            Verdict::Valid { value, .. } => crate::json::to_python(py, &value),
            _ => Ok(py.NotImplemented().into_bound(py)),
        }
    }

    /// Why parts are left to Pydantic.
    fn left_to_pydantic(&self) -> Vec<String> {
        self.compiled.left_to_pydantic().to_vec()
    }
}
