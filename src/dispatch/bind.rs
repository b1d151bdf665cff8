//! Parameters of a request, converted before the interpreter is entered, then made into Python objects.
//!
//! Owns: [`Value`] and the error list of a request whose parameters do not fit (FastAPI's shape, 422).
//! Does not own: the rules of conversion (`scalar`). Rule: all errors are reported, in parameter order.

use super::plan::{Param, RouteSpec, ScalarType, Source};
use super::scalar::{self, ScalarFault};
use crate::bytes_ext;
use crate::http1::RequestHead;
use bytes::Bytes;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyInt, PyList, PyString};
use std::borrow::Cow;

/// A converted parameter, still without an interpreter.
#[derive(Debug)]
pub enum Value {
    /// An integer of machine size.
    Int(i64),
    /// The digits of a larger integer, as Python's `int` reads them.
    BigInt(String),
    /// A float.
    Float(f64),
    /// A bool.
    Bool(bool),
    /// A string.
    Str(String),
    /// A list.
    List(Vec<Value>),
    /// The declared default.
    Default,
    /// The body as it arrives.
    Upload,
    /// The raw body.
    Body,
    /// The request itself.
    Request,
}

/// Why parameters do not fit: the body of the 422 answer.
#[derive(Debug)]
pub struct Misfit(pub Vec<u8>);

/// Path parameters found by the router: name and percent-decoded value.
pub type PathParams = Vec<(String, String)>;

/// Converts the parameters of a request.
///
/// # Errors
/// The error list, when at least one does not fit.
pub fn convert(spec: &RouteSpec, head: &RequestHead, path: &PathParams) -> Result<Vec<Value>, Misfit> {
    let mut values = Vec::with_capacity(spec.params.len());
    let mut misfits = ErrorList::default();
    let mut query: Option<Vec<(Cow<'_, str>, Cow<'_, str>)>> = None;
    for param in &spec.params {
        let value = match param.source {
            Source::Body => Value::Body,
            Source::Request => Value::Request,
            Source::Upload => Value::Upload,
            Source::Path(kind) => match path.iter().find(|(name, _)| *name == param.name) {
                Some((_, text)) => scalar_or_note(kind, text, &mut misfits, &["path", &param.name]),
                None => absent(param, "path", &mut misfits),
            },
            Source::Query(kind) => {
                let pairs = query.get_or_insert_with(|| bytes_ext::parse_query(head.query()).collect());
                from_query(param, kind, pairs, &mut misfits)
            }
        };
        values.push(value);
    }
    if misfits.count == 0 {
        Ok(values)
    } else {
        Err(Misfit(misfits.finish()))
    }
}

fn from_query(
    param: &Param,
    kind: ScalarType,
    pairs: &[(Cow<'_, str>, Cow<'_, str>)],
    misfits: &mut ErrorList,
) -> Value {
    let mut matching = pairs.iter().filter(|(name, _)| *name == param.name.as_str()).map(|(_, value)| value);
    if param.is_list {
        let items: Vec<Value> = matching
            .enumerate()
            .map(|(index, text)| {
                let index = index.to_string();
                scalar_or_note_at(kind, text, misfits, &["query", &param.name], Some(&index))
            })
            .collect();
        return if items.is_empty() { absent(param, "query", misfits) } else { Value::List(items) };
    }
    match matching.next_back() {
        Some(text) => scalar_or_note(kind, text, misfits, &["query", &param.name]),
        None => absent(param, "query", misfits),
    }
}

fn absent(param: &Param, place: &str, misfits: &mut ErrorList) -> Value {
    if param.required {
        misfits.missing(place, &param.name);
    }
    Value::Default
}

fn scalar_or_note(kind: ScalarType, text: &str, misfits: &mut ErrorList, location: &[&str]) -> Value {
    scalar_or_note_at(kind, text, misfits, location, None)
}

fn scalar_or_note_at(
    kind: ScalarType,
    text: &str,
    misfits: &mut ErrorList,
    location: &[&str],
    index: Option<&str>,
) -> Value {
    let converted = match kind {
        ScalarType::Str => Ok(Value::Str(text.to_owned())),
        ScalarType::Int => scalar::int_from_str(text).map(|found| match found {
            scalar::Int::Small(value) => Value::Int(value),
            scalar::Int::Big(digits) => Value::BigInt(digits),
        }),
        ScalarType::Float => scalar::float_from_str(text).map(Value::Float),
        ScalarType::Bool => scalar::bool_from_str(text).map(Value::Bool),
    };
    converted.unwrap_or_else(|fault| {
        misfits.scalar(&fault, location, index, text);
        Value::Default
    })
}

/// FastAPI's list of errors, as JSON.
#[derive(Default)]
struct ErrorList {
    body: Vec<u8>,
    count: usize,
}

impl ErrorList {
    fn open(&mut self, kind: &str) {
        self.body.extend_from_slice(if self.count == 0 { b"{\"detail\":[" } else { b"," });
        self.count += 1;
        self.body.extend_from_slice(b"{\"type\":\"");
        self.body.extend_from_slice(kind.as_bytes());
        self.body.extend_from_slice(b"\",\"loc\":[");
    }

    fn missing(&mut self, place: &str, name: &str) {
        self.open("missing");
        self.text(place);
        self.body.push(b',');
        self.text(name);
        self.body.extend_from_slice(b"],\"msg\":\"Field required\",\"input\":null}");
    }

    fn scalar(&mut self, fault: &ScalarFault, location: &[&str], index: Option<&str>, input: &str) {
        self.open(fault.kind);
        for (position, part) in location.iter().enumerate() {
            if position > 0 {
                self.body.push(b',');
            }
            self.text(part);
        }
        if let Some(index) = index {
            self.body.push(b',');
            self.body.extend_from_slice(index.as_bytes());
        }
        self.body.extend_from_slice(b"],\"msg\":");
        self.text(fault.message);
        self.body.extend_from_slice(b",\"input\":");
        self.text(input);
        self.body.push(b'}');
    }

    fn text(&mut self, text: &str) {
        // Writing to a vector cannot fail.
        let _ = serde_json::to_writer(&mut self.body, text);
    }

    fn finish(mut self) -> Vec<u8> {
        self.body.extend_from_slice(b"]}");
        self.body
    }
}

/// Makes the Python object of a converted parameter.
///
/// # Errors
/// Python's own, such as an integer with more digits than `sys.set_int_max_str_digits` allows.
pub fn to_python<'py>(
    py: Python<'py>,
    value: Value,
    param: &Param,
    body: &Bytes,
    request: impl FnOnce() -> PyResult<Bound<'py, PyAny>>,
) -> PyResult<Bound<'py, PyAny>> {
    Ok(match value {
        Value::Body => PyBytes::new(py, body).into_any(),
        Value::Request | Value::Upload => request()?,
        Value::Default => param.default.bind(py).clone(),
        other => scalar_to_python(py, other)?,
    })
}

pub(super) fn scalar_to_python(py: Python<'_>, value: Value) -> PyResult<Bound<'_, PyAny>> {
    Ok(match value {
        Value::Int(value) => value.into_pyobject(py)?.into_any(),
        Value::BigInt(digits) => py.get_type::<PyInt>().call1((digits,))?,
        Value::Float(value) => value.into_pyobject(py)?.into_any(),
        Value::Bool(value) => value.into_pyobject(py)?.to_owned().into_any(),
        Value::Str(value) => PyString::new(py, &value).into_any(),
        Value::List(items) => {
            let list = PyList::empty(py);
            for item in items {
                list.append(scalar_to_python(py, item)?)?;
            }
            list.into_any()
        }
        Value::Default | Value::Body | Value::Request | Value::Upload => py.None().into_bound(py),
    })
}
