//! The validator as a private class of the extension module, for tests.

use super::{merge_answers, Compiled, Judged, MemberSchema, Root, Unsupported};
use pyo3::exceptions::PyNotImplementedError;
use pyo3::prelude::*;
use pyo3::pybacked::PyBackedBytes;
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

    /// For a parameter that is not in the body, with the place of its errors.
    #[staticmethod]
    #[pyo3(signature = (schema, place, validator = None))]
    #[allow(clippy::needless_pass_by_value, reason = "extracted from Python")]
    fn at(
        schema: &Bound<'_, PyAny>,
        place: Vec<String>,
        validator: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<Self> {
        let place: Vec<&str> = place.iter().map(String::as_str).collect();
        Validator::of(Compiled::compile_at(schema, validator, &place))
    }

    /// Judges a body, the text of a parameter, a list of its texts, or `None` for what is not there: `("valid", None)`,
    /// `("invalid", body of the 422)`, `("unsure", None)` where Pydantic is to judge, or `("undecided", None)` where
    /// Python is to read the bytes.
    fn check<'py>(
        &self,
        py: Python<'py>,
        input: Option<Input>,
    ) -> (&'static str, Option<Bound<'py, PyBytes>>) {
        // Detached, as a worker is when it judges a request.
        match py.detach(|| self.judge(input.as_ref())) {
            Judged::Valid(tape) if tape.is_for_pydantic() => ("unsure", None),
            Judged::Valid(_) => ("valid", None),
            Judged::Invalid(answer) | Judged::NotJson(answer) => ("invalid", Some(PyBytes::new(py, &answer))),
            Judged::Undecided => ("undecided", None),
        }
    }

    /// What is made of an input (a list of values if members of the body are parameters, `...` for one that is not
    /// there), or `NotImplemented`.
    fn build<'py>(&self, py: Python<'py>, input: Option<Input>) -> PyResult<Bound<'py, PyAny>> {
        let Judged::Valid(tape) = self.judge(input.as_ref()) else {
            return Ok(py.NotImplemented().into_bound(py));
        };
        let body = if let Some(Input::Body(body)) = &input { body.as_ref() } else { b"" };
        match self.compiled.root {
            Root::Whole(_) => self.compiled.build(py, body, &tape),
            Root::Members(_) => {
                let values = self.compiled.build_members(py, body, &tape)?.into_iter();
                let values = values.map(|value| value.unwrap_or_else(|| py.Ellipsis().into_bound(py)));
                Ok(PyList::new(py, values.collect::<Vec<_>>())?.into_any())
            }
        }
    }

    /// One answer of several.
    #[staticmethod]
    fn merge<'py>(py: Python<'py>, answers: Vec<PyBackedBytes>) -> Bound<'py, PyBytes> {
        PyBytes::new(py, &merge_answers(answers.iter().map(AsRef::as_ref)))
    }

    /// Why parts are left to Pydantic.
    fn left_to_pydantic(&self) -> Vec<String> {
        self.compiled.left_to_pydantic().to_vec()
    }
}

/// What a request holds of a parameter.
#[derive(FromPyObject)]
enum Input {
    Body(PyBackedBytes),
    Text(String),
    Texts(Vec<String>),
}

impl Validator {
    fn judge(&self, input: Option<&Input>) -> Judged {
        match input {
            None => self.compiled.judge_absent(),
            Some(Input::Body(body)) => self.compiled.judge(body),
            Some(Input::Text(text)) => self.compiled.judge_text(text),
            Some(Input::Texts(texts)) => self.compiled.judge_texts(texts.iter().map(String::as_str)),
        }
    }

    fn of(compiled: Result<Compiled, Unsupported>) -> PyResult<Self> {
        let compiled = compiled.map_err(|unsupported| PyNotImplementedError::new_err(unsupported.reason))?;
        match compiled.left_to_pydantic().last() {
            Some(reason) if compiled.is_opaque() => Err(PyNotImplementedError::new_err(reason.clone())),
            _ => Ok(Validator { compiled: Arc::new(compiled) }),
        }
    }
}
