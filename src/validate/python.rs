//! The validator as a private class of the extension module, for tests.

use super::{Compiled, Judged, MemberSchema, Root, Unsupported};
use pyo3::exceptions::PyNotImplementedError;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyList};
use std::sync::Arc;

/// Adds `_Validator` to the extension module.
///
/// # Errors
/// As adding an attribute to a module.
pub fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<Validator>()
}

/// A compiled core schema.
#[pyclass(frozen, name = "_Validator", module = "turboapi_rs._core")]
pub struct Validator {
    /// Shared with the plan that judges by it.
    pub(crate) compiled: Arc<Compiled>,
}

#[pymethods]
impl Validator {
    /// Raises `NotImplementedError` with the reason where nothing would be decided.
    #[new]
    #[pyo3(signature = (schema, validator = None))]
    fn new(schema: &Bound<'_, PyAny>, validator: Option<&Bound<'_, PyAny>>) -> PyResult<Self> {
        Validator::of(Compiled::compile(schema, validator))
    }

    /// For a body whose members are parameters: alias, schema, is required, default is validated.
    #[staticmethod]
    fn members(py: Python<'_>, members: Vec<(String, Bound<'_, PyAny>, bool, bool)>) -> PyResult<Self> {
        let members = members.into_iter().map(|(alias, schema, is_required, validates_default)| {
            MemberSchema { alias, schema, is_required, validates_default }
        });
        Validator::of(Compiled::compile_members(py, members.collect()))
    }

    /// `("valid", None)`, `("invalid", body of the 422)`, `("unsure", None)` where Pydantic is to judge, or
    /// `("undecided", None)` where Python is to read the bytes.
    fn check<'py>(&self, py: Python<'py>, body: &[u8]) -> (&'static str, Option<Bound<'py, PyBytes>>) {
        // Detached, as a worker is when it judges a body.
        match py.detach(|| self.compiled.judge(body)) {
            Judged::Valid(tape) if tape.is_for_pydantic() => ("unsure", None),
            Judged::Valid(_) => ("valid", None),
            Judged::Invalid(answer) => ("invalid", Some(PyBytes::new(py, &answer))),
            Judged::Undecided => ("undecided", None),
        }
    }

    /// What is made of a body (a list of values if its members are parameters, `...` for one that is not there), or
    /// `NotImplemented`.
    fn build<'py>(&self, py: Python<'py>, body: &[u8]) -> PyResult<Bound<'py, PyAny>> {
        let Judged::Valid(tape) = self.compiled.judge(body) else {
            return Ok(py.NotImplemented().into_bound(py));
        };
        match self.compiled.root {
            Root::Whole(_) => self.compiled.build(py, body, &tape),
            Root::Members(_) => {
                let values = self.compiled.build_members(py, body, &tape)?.into_iter();
                let values = values.map(|value| value.unwrap_or_else(|| py.Ellipsis().into_bound(py)));
                Ok(PyList::new(py, values.collect::<Vec<_>>())?.into_any())
            }
        }
    }

    /// Why parts are left to Pydantic.
    fn left_to_pydantic(&self) -> Vec<String> {
        self.compiled.left_to_pydantic().to_vec()
    }
}

impl Validator {
    fn of(compiled: Result<Compiled, Unsupported>) -> PyResult<Self> {
        let compiled = compiled.map_err(|unsupported| PyNotImplementedError::new_err(unsupported.reason))?;
        match compiled.left_to_pydantic().last() {
            Some(reason) if compiled.is_opaque() => Err(PyNotImplementedError::new_err(reason.clone())),
            _ => Ok(Validator { compiled: Arc::new(compiled) }),
        }
    }
}
