//! Arguments of a call plan, read from a request before the interpreter is entered.
//!
//! Owns: where each argument comes from, and when a request is not the plan's to decide.
//! Does not own: the rules of conversion (`scalar`), forms (`plan_form`), the answer to what does not convert (`refusal`).
//! Rule: what does not convert is no answer here: [`Refused::Undecided`]. Nothing of the user's has run by then.

use super::bind::{scalar_to_python, PathParams, Value};
use super::call_plan::PlanSpec;
use super::plan::ScalarType;
use super::plan_form::{self, Content, Form};
use super::refusal;
use super::scalar;
use crate::bytes_ext;
use crate::http1::RequestHead;
use crate::interp::{self, Held};
use crate::service::{Request, RequestBody};
use crate::validate::{Compiled, Judged, Tape};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict};
use std::borrow::Cow;
use std::sync::Arc;

/// Where an argument of a plan comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PlanSource {
    /// The path parameter of that name.
    Path(ScalarType),
    /// The last value of that query key, or all of them.
    Query(ScalarType),
    /// The first field of that name, or all of them.
    Header(ScalarType),
    /// The last value of that field of a form, or all of them.
    Form(ScalarType),
    /// Names and values of a form without files, in order.
    FormPairs,
    /// Names and values of a form, in order, files among them.
    FormParts,
    /// The body as `bytes` if its content type is JSON, `None` if it is empty.
    JsonBody,
    /// The body, judged and built natively: the value of the one parameter that it is.
    Model,
    /// As [`PlanSource::Model`], of several parameters the one of that index.
    Member(usize),
    /// The query string as sent.
    QueryString,
    /// Names in lower case and values of all fields, as `bytes`.
    Headers,
    /// All path parameters, as a dict of strings.
    PathParams,
}

/// One argument of a plan, in call order.
#[derive(Debug)]
pub struct PlanParam {
    /// Where it comes from.
    pub source: PlanSource,
    /// Its name on the wire.
    pub wire: String,
    /// Absent: the request goes to FastAPI.
    pub required: bool,
    /// Every occurrence, as a list.
    pub is_list: bool,
    /// What an absent one becomes.
    pub default: Held<PyAny>,
}

/// How a plan judges bodies natively.
#[derive(Debug)]
pub struct BodyJudge {
    /// The schema.
    pub compiled: Arc<Compiled>,
    /// An invalid body is answered at once: nothing of the user's would run before it is found.
    pub answers_invalid: bool,
    /// What is no JSON is answered at once: FastAPI reads the body before all else.
    pub answers_unreadable: bool,
}

/// Why a plan does not run.
#[derive(Debug, PartialEq, Eq)]
pub enum Refused {
    /// FastAPI decides this request.
    Undecided,
    /// FastAPI would answer 422 with this body.
    Invalid(Vec<u8>),
}

use Refused::Undecided;

/// Arguments ready to be made.
#[derive(Debug)]
pub struct Arguments {
    values: Vec<Argument>,
    tape: Option<Tape>,
}

/// A converted argument, still without an interpreter.
#[derive(Debug)]
enum Argument {
    /// A scalar, a list of scalars, or the default.
    Value(Value),
    /// Names and values of a form.
    Pairs(Vec<(String, String)>),
    /// Names and values of a form with files.
    Parts(Vec<(String, Content)>),
    /// Made of the request itself.
    FromRequest,
}

/// Names and values, decoded.
type Pairs<'r> = Vec<(Cow<'r, str>, Cow<'r, str>)>;

/// Converts the arguments of a request.
///
/// # Errors
/// [`Refused`]: one is missing or does not convert, or the body is invalid.
pub fn convert(
    params: &[PlanParam],
    judge: Option<&BodyJudge>,
    request: &Request,
    path: &PathParams,
) -> Result<Arguments, Refused> {
    let values = values_of(params, request, path)?;
    let Some(judge) = judge else { return Ok(Arguments { values, tape: None }) };
    let RequestBody::Whole(body) = &request.body else { return Err(Undecided) };
    if body.is_empty() {
        return Err(Undecided);
    }
    has_json_or_nothing(request)?;
    match judge.compiled.judge(body) {
        Judged::Valid(tape) => Ok(Arguments { values, tape: Some(tape) }),
        Judged::Invalid(answer) if judge.answers_invalid => Err(Refused::Invalid(answer)),
        Judged::NotJson(answer) if judge.answers_unreadable => Err(Refused::Invalid(answer)),
        Judged::Invalid(_) | Judged::NotJson(_) | Judged::Undecided => Err(Undecided),
    }
}

fn values_of(params: &[PlanParam], request: &Request, path: &PathParams) -> Result<Vec<Argument>, Refused> {
    let head = &request.head;
    let (mut query, mut form): (Option<Pairs<'_>>, Option<Form<'_>>) = (None, None);
    params
        .iter()
        .map(|param| {
            let value = match param.source {
                PlanSource::Path(kind) => {
                    let (_, text) = path.iter().find(|(name, _)| *name == param.wire).ok_or(Undecided)?;
                    scalar_of(kind, text)?
                }
                PlanSource::Query(kind) => {
                    if !head.query().is_ascii() {
                        return Err(Undecided);
                    }
                    let pairs = query.get_or_insert_with(|| bytes_ext::parse_query(head.query()).collect());
                    from_query(param, kind, pairs)?
                }
                PlanSource::Header(kind) => from_fields(param, kind, head)?,
                PlanSource::Form(kind) => from_form(param, kind, taken(&mut form, request)?)?,
                PlanSource::FormPairs => return Ok(Argument::Pairs(taken(&mut form, request)?.texts()?)),
                PlanSource::FormParts => return Ok(Argument::Parts(taken(&mut form, request)?.parts())),
                PlanSource::JsonBody => {
                    has_json_or_nothing(request)?;
                    return Ok(Argument::FromRequest);
                }
                _ => return Ok(Argument::FromRequest),
            };
            Ok(Argument::Value(value))
        })
        .collect()
}

fn from_query(
    param: &PlanParam,
    kind: ScalarType,
    pairs: &[(Cow<'_, str>, Cow<'_, str>)],
) -> Result<Value, Refused> {
    let matching = pairs.iter().filter(|(name, _)| *name == param.wire.as_str());
    from_texts(param, kind, matching.map(|(_, value)| value.as_ref()))
}

/// The last of a name's values, or all of them.
fn from_texts<'t>(
    param: &PlanParam,
    kind: ScalarType,
    mut texts: impl DoubleEndedIterator<Item = &'t str>,
) -> Result<Value, Refused> {
    if param.is_list {
        let items = texts.map(|text| scalar_of(kind, text)).collect::<Result<Vec<_>, _>>()?;
        return if items.is_empty() { absent(param) } else { Ok(Value::List(items)) };
    }
    match texts.next_back() {
        Some(text) => scalar_of(kind, text),
        None => absent(param),
    }
}

/// As from a query, but an empty value is none: a browser sends one for each field that was left blank.
fn from_form(param: &PlanParam, kind: ScalarType, form: &Form<'_>) -> Result<Value, Refused> {
    let texts = form.texts_of(&param.wire)?;
    if !param.is_list && texts.last().is_some_and(|text| text.is_empty()) {
        return absent(param);
    }
    from_texts(param, kind, texts.into_iter())
}

/// The form of a request, read at first use.
fn taken<'a, 'r>(form: &'a mut Option<Form<'r>>, request: &'r Request) -> Result<&'a Form<'r>, Refused> {
    if form.is_none() {
        *form = Some(Form::of(request)?);
    }
    form.as_ref().ok_or(Undecided)
}

fn from_fields(param: &PlanParam, kind: ScalarType, head: &RequestHead) -> Result<Value, Refused> {
    let text = |value: &[u8]| -> Result<Value, Refused> {
        match std::str::from_utf8(value) {
            Ok(text) if text.is_ascii() => scalar_of(kind, text),
            // Field values are Latin-1 to the application.
            _ if kind == ScalarType::Str => {
                Ok(Value::Str(value.iter().map(|&byte| char::from(byte)).collect()))
            }
            _ => Err(Undecided),
        }
    };
    let mut matching = head
        .fields()
        .filter(|(name, _)| name.eq_ignore_ascii_case(param.wire.as_bytes()))
        .map(|(_, value)| value);
    if param.is_list {
        let items = matching.map(text).collect::<Result<Vec<_>, _>>()?;
        return if items.is_empty() { absent(param) } else { Ok(Value::List(items)) };
    }
    match matching.next() {
        Some(value) => text(value),
        None => absent(param),
    }
}

fn absent(param: &PlanParam) -> Result<Value, Refused> {
    if param.required {
        Err(Undecided)
    } else {
        Ok(Value::Default)
    }
}

fn scalar_of(kind: ScalarType, text: &str) -> Result<Value, Refused> {
    let converted = match kind {
        ScalarType::Str => Ok(Value::Str(text.to_owned())),
        ScalarType::Int => scalar::int_from_str(text).map(|found| match found {
            scalar::Int::Small(value) => Value::Int(value),
            scalar::Int::Big(digits) => Value::BigInt(digits),
        }),
        ScalarType::Float => scalar::float_from_str(text).map(Value::Float),
        ScalarType::Bool => scalar::bool_from_str(text).map(Value::Bool),
    };
    converted.map_err(|_| Undecided)
}

/// A body whose content type FastAPI reads as JSON, or none at all.
pub(super) fn has_json_or_nothing(request: &Request) -> Result<(), Refused> {
    let body = match &request.body {
        RequestBody::Whole(body) => body,
        RequestBody::Empty => return Ok(()),
        RequestBody::Streamed(_) => return Err(Undecided),
    };
    if body.is_empty() {
        return Ok(());
    }
    let Some(content_type) = request.head.field(b"content-type") else { return Err(Undecided) };
    let is_json = match content_type.iter().position(|&byte| byte == b';') {
        None => content_type.eq_ignore_ascii_case(b"application/json"),
        Some(end) => {
            content_type[..end].eq_ignore_ascii_case(b"application/json")
                && bytes_ext::trim_ows(&content_type[end + 1..]).eq_ignore_ascii_case(b"charset=utf-8")
        }
    };
    if is_json {
        Ok(())
    } else {
        Err(Undecided)
    }
}

/// The call of a plan, with all its arguments made; `None` when one cannot be made, so that FastAPI decides.
///
/// # Errors
/// What the function raised.
pub fn call<'py>(
    py: Python<'py>,
    function: &Bound<'py, PyAny>,
    leading: &[Bound<'py, PyAny>],
    spec: &PlanSpec,
    arguments: Arguments,
    request: &Request,
    path: &PathParams,
) -> PyResult<Option<Bound<'py, PyAny>>> {
    if leading.is_empty() && arguments.values.is_empty() {
        return function.call0().map(Some);
    }
    // What cannot be made is no answer: a number of too many digits, a default factory that raises.
    let Ok(all) = made(py, leading, spec, arguments, request, path) else { return Ok(None) };
    interp::call_positional(function, &all).map(Some)
}

fn made<'py>(
    py: Python<'py>,
    leading: &[Bound<'py, PyAny>],
    spec: &PlanSpec,
    arguments: Arguments,
    request: &Request,
    path: &PathParams,
) -> PyResult<Vec<Bound<'py, PyAny>>> {
    let mut all = Vec::with_capacity(leading.len() + arguments.values.len());
    all.extend(leading.iter().cloned());
    let body: &[u8] = match &request.body {
        RequestBody::Whole(body) => body,
        _ => &[],
    };
    let judged = spec.judge.as_ref().zip(arguments.tape.as_ref());
    let has_members = spec.params.iter().any(|param| matches!(param.source, PlanSource::Member(_)));
    let mut members = match judged {
        Some((judge, tape)) if has_members && !tape.is_for_pydantic() => {
            judge.compiled.build_members(py, body, tape)?
        }
        _ => Vec::new(),
    };
    for (argument, param) in arguments.values.into_iter().zip(&spec.params) {
        all.push(match (argument, param.source, judged) {
            (Argument::Value(Value::Default), ..) => param.default.bind(py).clone(),
            (Argument::Value(value), ..) => scalar_to_python(py, value)?,
            (Argument::Pairs(pairs), ..) => pairs.into_pyobject(py)?.into_any(),
            (Argument::Parts(parts), ..) => plan_form::to_python(py, parts)?.into_any(),
            (_, PlanSource::Model, Some((judge, tape))) => judge.compiled.build(py, body, tape)?,
            (_, PlanSource::Member(index), _) => match members.get_mut(index) {
                Some(value) => value.take().unwrap_or_else(|| param.default.bind(py).clone()),
                None => return Err(PyValueError::new_err("left to Pydantic")),
            },
            (_, PlanSource::JsonBody, _) if body.is_empty() => py.None().into_bound(py),
            (_, PlanSource::JsonBody, _) => PyBytes::new(py, body).into_any(),
            (_, PlanSource::QueryString, _) => PyBytes::new(py, request.head.query()).into_any(),
            (_, PlanSource::Headers, _) => refusal::header_list(py, &request.head)?.into_any(),
            _ => {
                let params = PyDict::new(py);
                for (name, value) in path {
                    params.set_item(name, value)?;
                }
                params.into_any()
            }
        });
    }
    Ok(all)
}

/// Reads a plan's parameter as `plans.params.Native.spec` gives it.
///
/// # Errors
/// What is wrong, for the developer of the plan.
pub fn param(
    source: &str,
    wire: String,
    kind: &str,
    required: bool,
    default: Py<PyAny>,
    is_list: bool,
) -> Result<PlanParam, String> {
    let scalar = match kind {
        "int" => ScalarType::Int,
        "float" => ScalarType::Float,
        "bool" => ScalarType::Bool,
        "str" => ScalarType::Str,
        _ => return Err(format!("no parameter is a {kind}")),
    };
    let source = match source {
        "path" => PlanSource::Path(scalar),
        "query" => PlanSource::Query(scalar),
        "header" => PlanSource::Header(scalar),
        "form" => PlanSource::Form(scalar),
        "form_pairs" => PlanSource::FormPairs,
        "form_parts" => PlanSource::FormParts,
        "json_body" => PlanSource::JsonBody,
        "model" => PlanSource::Model,
        "member" => PlanSource::Member(wire.parse().map_err(|_| format!("no member has the index {wire}"))?),
        "query_string" => PlanSource::QueryString,
        "headers" => PlanSource::Headers,
        "path_params" => PlanSource::PathParams,
        _ => return Err(format!("no parameter comes from {source}")),
    };
    Ok(PlanParam { source, wire, required, is_list, default: Held::new(default) })
}
