//! The 422 that FastAPI would give a request, without FastAPI.
//!
//! Owns: which parameters are wrong, in FastAPI's order, and the answer to that. Does not own: the verdict on a value
//! (`validate`, and Pydantic where that is not certain).
//! Rule: an answer is given only if FastAPI would call nothing of the user's before it: dependencies are left out when
//! each of them has a wrong parameter of its own, or one below it has; a body that is no JSON comes before all of them.
//! Spec: `get_request_handler`, `solve_dependencies` and `request_params_to_args` of FastAPI.

use super::bind::PathParams;
use super::call_plan::PlanSpec;
use super::plan_bind::{has_json_or_nothing, BodyJudge};
use crate::bytes_ext;
use crate::http1::RequestHead;
use crate::interp::{self, Held};
use crate::service::{Request, RequestBody};
use crate::validate::{merge_answers, Compiled, Judged, Validator};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyList, PyTuple};
use std::borrow::Cow;
use std::sync::Arc;

/// Finds what is wrong with the requests of one plan.
#[derive(Debug)]
pub struct Referee {
    root: Stage,
    /// Called with a body, gives the answer to what is wrong with it, or `None`. Absent: there is no body to read.
    ask_body: Option<Held<PyAny>>,
    /// A coroutine function of no argument that does nothing.
    nothing: Held<PyAny>,
}

/// The parameters of a dependency, or of the endpoint.
#[derive(Debug)]
struct Stage {
    /// The dependencies that FastAPI solves before.
    before: Vec<Stage>,
    fields: Vec<Field>,
}

#[derive(Debug)]
struct Field {
    place: Place,
    wire: String,
    is_list: bool,
    if_absent: IfAbsent,
    /// Absent: only Pydantic knows.
    compiled: Option<Arc<Compiled>>,
    /// Called with path parameters, query string and header fields, gives the answer to what is wrong, or `None`.
    ask: Held<PyAny>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    Path,
    Query,
    Header,
    Cookie,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum IfAbsent {
    Report,
    Accept,
    Ask,
}

/// FastAPI is to decide.
struct Unsure;

/// The answer to what is wrong, if something is.
type Found = Result<Option<Vec<u8>>, Unsure>;

impl Referee {
    /// The answer of a request that its plan did not decide; `None` if FastAPI is to decide it.
    pub fn refuse(&self, plan: &PlanSpec, request: &Request, path: &PathParams) -> Option<Vec<u8>> {
        self.errors(plan, request, path).ok().flatten()
    }

    /// What a request that is answered already is followed by on the loop: a coroutine that does nothing.
    ///
    /// # Errors
    /// As making a coroutine.
    pub fn nothing_more<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        self.nothing.bind(py).call0()
    }

    fn errors(&self, plan: &PlanSpec, request: &Request, path: &PathParams) -> Found {
        let body = match self.body(plan.judge.as_ref(), request)? {
            Body::NotJson(answer) => return Ok(Some(answer)),
            Body::Read(answer) => answer,
        };
        if !self.root.before.is_empty() && plan.is_overridden() {
            return Err(Unsure);
        }
        let mut given = Given { request, path, query: None };
        let mut answers = Vec::new();
        self.root.judge(&mut given, &mut answers)?;
        answers.extend(body);
        Ok(match answers.len() {
            0 | 1 => answers.pop(),
            _ => Some(merge_answers(answers.iter().map(Vec::as_slice))),
        })
    }

    fn body(&self, judge: Option<&BodyJudge>, request: &Request) -> Result<Body, Unsure> {
        let Some(ask) = &self.ask_body else { return Ok(Body::Read(None)) };
        let body = match &request.body {
            RequestBody::Whole(body) => body.as_ref(),
            RequestBody::Empty => b"",
            RequestBody::Streamed(_) => return Err(Unsure),
        };
        has_json_or_nothing(request).map_err(|_| Unsure)?;
        let judged = match judge {
            Some(judge) if body.is_empty() => judge.compiled.judge_absent(),
            Some(judge) => judge.compiled.judge(body),
            None => Judged::Undecided,
        };
        match judged {
            Judged::NotJson(answer) => Ok(Body::NotJson(answer)),
            Judged::Invalid(answer) => Ok(Body::Read(Some(answer))),
            Judged::Valid(tape) if !tape.is_for_pydantic() => Ok(Body::Read(None)),
            _ => interp::attach(|py| {
                let body = match body {
                    b"" => py.None().into_bound(py),
                    _ => PyBytes::new(py, body).into_any(),
                };
                // Dropped here, attached.
                let said = ask.bind(py).call1((body,)).and_then(asked).map_err(|_| Unsure)?;
                Ok(match said {
                    (Some(answer), false) => Body::NotJson(answer),
                    (answer, _) => Body::Read(answer),
                })
            }),
        }
    }
}

/// What came of reading the body.
enum Body {
    /// FastAPI says this, and looks at nothing else.
    NotJson(Vec<u8>),
    /// The answer to what is wrong with it.
    Read(Option<Vec<u8>>),
}

impl Stage {
    /// Adds an answer for each parameter that is wrong.
    fn judge(&self, given: &mut Given<'_>, answers: &mut Vec<Vec<u8>>) -> Result<(), Unsure> {
        for stage in &self.before {
            let found = answers.len();
            stage.judge(given, answers)?;
            if answers.len() == found {
                // FastAPI would call it.
                return Err(Unsure);
            }
        }
        for field in &self.fields {
            answers.extend(field.judge(given)?);
        }
        Ok(())
    }
}

impl Field {
    fn judge(&self, given: &mut Given<'_>) -> Found {
        let judged = match &self.compiled {
            Some(compiled) => self.judge_natively(compiled, given),
            None => Err(Unsure),
        };
        match judged {
            Ok(Judged::Invalid(answer)) => Ok(Some(answer)),
            Ok(Judged::Valid(tape)) if !tape.is_for_pydantic() => Ok(None),
            _ => interp::attach(|py| {
                let said = given.raw(py).and_then(|(path, query, headers)| {
                    asked(self.ask.bind(py).call1((path, query, headers))?)
                });
                // Dropped here, attached.
                said.map(|(answer, _)| answer).map_err(|_| Unsure)
            }),
        }
    }

    fn judge_natively(&self, compiled: &Compiled, given: &mut Given<'_>) -> Result<Judged, Unsure> {
        let texts: Vec<Cow<'_, str>> = match self.place {
            Place::Path => given
                .path
                .iter()
                .filter(|(name, _)| *name == self.wire)
                .map(|(_, text)| Cow::Borrowed(text.as_str()))
                .collect(),
            Place::Query => given.query(&self.wire)?,
            Place::Header => fields_of(&given.request.head, self.wire.as_bytes()).collect(),
            Place::Cookie => cookie(&given.request.head, &self.wire)?.map(Cow::Owned).into_iter().collect(),
        };
        let one = match self.place {
            Place::Header => texts.first(),
            _ => texts.last(),
        };
        match (one, self.if_absent) {
            (Some(_), _) if self.is_list => Ok(compiled.judge_texts(texts.iter().map(AsRef::as_ref))),
            (Some(text), _) => Ok(compiled.judge_text(text)),
            (None, IfAbsent::Report) => Ok(compiled.judge_absent()),
            (None, IfAbsent::Accept) => Ok(Judged::Valid(Default::default())),
            (None, IfAbsent::Ask) => Err(Unsure),
        }
    }
}

/// A request, as its parameters are looked for.
struct Given<'a> {
    request: &'a Request,
    path: &'a PathParams,
    /// Pairs of the query string, once somebody asked.
    query: Option<Vec<(Cow<'a, str>, Cow<'a, str>)>>,
}

impl<'a> Given<'a> {
    fn query(&mut self, name: &str) -> Result<Vec<Cow<'a, str>>, Unsure> {
        let query = self.request.head.query();
        if !query.is_ascii() {
            return Err(Unsure);
        }
        let pairs = self.query.get_or_insert_with(|| bytes_ext::parse_query(query).collect());
        Ok(pairs.iter().filter(|(found, _)| found == name).map(|(_, value)| value.clone()).collect())
    }

    /// Path parameters, query string and header fields, as Starlette is given them.
    #[allow(clippy::type_complexity, reason = "three arguments of one call")]
    fn raw<'py>(
        &self,
        py: Python<'py>,
    ) -> PyResult<(Bound<'py, PyDict>, Bound<'py, PyBytes>, Bound<'py, PyList>)> {
        let path = PyDict::new(py);
        for (name, value) in self.path {
            path.set_item(name, value)?;
        }
        let head = &self.request.head;
        Ok((path, PyBytes::new(py, head.query()), header_list(py, head)?))
    }
}

/// Names in lower case and values of all fields.
///
/// # Errors
/// Memory.
pub fn header_list<'py>(py: Python<'py>, head: &RequestHead) -> PyResult<Bound<'py, PyList>> {
    let list = PyList::empty(py);
    for (name, value) in head.fields() {
        let pair = [PyBytes::new(py, &name.to_ascii_lowercase()), PyBytes::new(py, value)];
        list.append(PyTuple::new(py, pair)?)?;
    }
    Ok(list)
}

/// The values of a field, Latin-1 as they are to the application.
fn fields_of<'a>(head: &'a RequestHead, wire: &'a [u8]) -> impl Iterator<Item = Cow<'a, str>> {
    head.fields().filter(move |(name, _)| name.eq_ignore_ascii_case(wire)).map(|(_, value)| {
        match std::str::from_utf8(value) {
            Ok(text) if text.is_ascii() => Cow::Borrowed(text),
            _ => Cow::Owned(value.iter().map(|&byte| char::from(byte)).collect()),
        }
    })
}

/// A cookie as `starlette.requests.cookie_parser` finds it; the last of a name counts.
fn cookie(head: &RequestHead, wire: &str) -> Result<Option<String>, Unsure> {
    let mut found = None;
    for header in fields_of(head, b"cookie") {
        // Of white space Python strips some more, and of quoted ones it undoes escapes.
        if header.bytes().any(|byte| byte == b'"' || !(byte == b'\t' || (b' '..0x7f).contains(&byte))) {
            return Err(Unsure);
        }
        for chunk in header.split(';') {
            let (name, value) = chunk.split_once('=').unwrap_or(("", chunk));
            let (name, value) = (name.trim(), value.trim());
            if name == wire && !(name.is_empty() && value.is_empty()) {
                found = Some(value.to_owned());
            }
        }
    }
    Ok(found)
}

/// What was asked in Python: `None`, the answer, or `(answer,)` to what is no JSON.
fn asked(said: Bound<'_, PyAny>) -> PyResult<(Option<Vec<u8>>, bool)> {
    if said.is_none() {
        return Ok((None, true));
    }
    if let Ok(answer) = said.cast::<PyBytes>() {
        return Ok((Some(answer.as_bytes().to_vec()), true));
    }
    let (answer,): (Vec<u8>,) = said.extract()?;
    Ok((Some(answer), false))
}

/// Reads a referee as `plans.refusal` gives it; `None` where FastAPI is to decide.
///
/// # Errors
/// A wrong shape, for the developer of the plans.
pub fn referee(spec: &Bound<'_, PyAny>) -> PyResult<Option<Referee>> {
    if spec.is_none() {
        return Ok(None);
    }
    type Spec<'py> = (Bound<'py, PyTuple>, Bound<'py, PyAny>, Bound<'py, PyAny>);
    let (root, ask_body, nothing) = spec.extract::<Spec<'_>>()?;
    let held = |value: Bound<'_, PyAny>| (!value.is_none()).then(|| Held::new(value.unbind()));
    Ok(Some(Referee { root: stage(&root)?, ask_body: held(ask_body), nothing: Held::new(nothing.unbind()) }))
}

fn stage(spec: &Bound<'_, PyTuple>) -> PyResult<Stage> {
    let (before, fields): (Vec<Bound<'_, PyTuple>>, Vec<Bound<'_, PyTuple>>) = spec.extract()?;
    Ok(Stage {
        before: before.iter().map(stage).collect::<PyResult<_>>()?,
        fields: fields.iter().map(field).collect::<PyResult<_>>()?,
    })
}

fn field(spec: &Bound<'_, PyTuple>) -> PyResult<Field> {
    type Spec<'py> = (String, String, bool, String, Bound<'py, PyAny>, Bound<'py, PyAny>);
    let (place, wire, is_list, if_absent, validator, ask) = spec.extract::<Spec<'_>>()?;
    Ok(Field {
        place: match place.as_str() {
            "path" => Place::Path,
            "query" => Place::Query,
            "header" => Place::Header,
            "cookie" => Place::Cookie,
            _ => return Err(PyValueError::new_err(format!("no parameter comes from {place}"))),
        },
        wire,
        is_list,
        if_absent: match if_absent.as_str() {
            "report" => IfAbsent::Report,
            "accept" => IfAbsent::Accept,
            "ask" => IfAbsent::Ask,
            _ => {
                return Err(PyValueError::new_err(format!(
                    "{if_absent} is nothing to do with what is absent"
                )))
            }
        },
        compiled: validator.cast::<Validator>().ok().map(|validator| validator.get().compiled.clone()),
        ask: Held::new(ask.unbind()),
    })
}
