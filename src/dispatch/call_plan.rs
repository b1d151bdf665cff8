//! Call plans: FastAPI routes as `turboapi_rs.plans` compiled them.
//!
//! Owns: [`PlanSpec`], where a plan's function runs (worker, offload pool, home loop), what becomes of its answer.
//! Does not own: what the function does (generated, see `plans/builder.py`), binding (`plan_bind`).
//! Rule: a request that a plan does not decide is given to the ASGI application whole, before any code of the user ran;
//! what a plan has begun is finished by it, or by the application that it returns (a `Resumed`), and never run again.

use super::app::App;
use super::bind::PathParams;
use super::earned::Earned;
use super::fault;
use super::local::{describe, Local};
use super::onward;
use super::plan_bind::{self, Arguments, BodyJudge, PlanParam, Refused};
use super::plan_form::MOST_BYTES_IN_PARTS;
use super::plan_reply::{resume, PlanReply};
use super::refusal::{self, Referee};
use super::stream::Origin;
use crate::asgi::AppArguments;
use crate::home_loop;
use crate::http1::{FieldBlock, Framing, RequestHead, ResponseHead};
use crate::interp::{self, Held};
use crate::json;
use crate::service::{BodyMode, Ends, Exchange, Outcome, Reply, ReplyEvent, Request, RequestBody};
use crate::validate::Validator;
use bytes::Bytes;
use pyo3::exceptions::{PyException, PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyList, PyTuple};
use std::rc::Rc;
use std::sync::Arc;

const JSON: &[u8] = b"application/json";

/// A compiled route.
#[derive(Debug)]
pub struct PlanSpec {
    /// The generated function.
    pub run: Held<PyAny>,
    /// For log lines.
    pub name: String,
    /// Its arguments, in order.
    pub params: Vec<PlanParam>,
    /// A coroutine function for the home loop.
    pub is_task: bool,
    /// Where it runs: a plan that calls `def` functions of the user's earns direct calls, others are direct.
    pub earned: Arc<Earned>,
    /// Status of an answer that is a JSON body alone.
    pub status: u16,
    /// The response step, when `run` gives the endpoint's bare result.
    pub finish: Option<Held<PyAny>>,
    /// A plain dict or list is the JSON body as it is.
    pub encodes_plain: bool,
    /// Writes a result of the response model's own type, as it is.
    pub writer: Option<Held<json::Writer>>,
    /// Makes the answer to an exception.
    pub fault: Held<PyAny>,
    /// The body is read before the plan runs.
    pub reads_body: bool,
    /// It may hold files: one that is longer, or of unknown length, goes to FastAPI as it comes.
    pub takes_files: bool,
    /// Bodies are judged natively.
    pub judge: Option<BodyJudge>,
    /// Answers what the plan does not decide, where that is a 422.
    pub referee: Option<Referee>,
    /// What takes the place of dependencies, as tests use it: FastAPI resolves them anew for each request.
    pub overrides: Option<interp::Attribute>,
}

/// What a plan's function came to.
pub(super) enum Final {
    /// A JSON body, in the scratch buffer.
    Encoded,
    /// A whole response.
    Full(ResponseHead, Bytes),
    /// An ASGI application for the rest of the request.
    Resumed(Py<PyAny>),
    /// FastAPI is to decide.
    Undecided,
}

impl PlanSpec {
    /// Runs a plan that does not suspend, up to its answer. Attached, in a context of the request's own.
    fn decide(
        &self,
        py: Python<'_>,
        run: &Bound<'_, PyAny>,
        arguments: Arguments,
        path: &PathParams,
        request: &Request,
        scratch: &mut Vec<u8>,
    ) -> PyResult<Final> {
        scratch.clear();
        let result = self
            .call(py, run, arguments, path, request, scratch)
            .and_then(|result| result.map_or(Ok(Final::Encoded), |made| self.read(&made, scratch)));
        let raised = match result {
            Ok(decided) => return Ok(decided),
            Err(raised) => raised,
        };
        if !raised.is_instance_of::<PyException>(py) {
            return Err(raised);
        }
        // Called directly, it has reached for the loop that waits for it to end.
        if self.earned.is_direct() && raised.get_type(py).name().is_ok_and(|name| name == "NoEventLoopError")
        {
            self.earned.stay_on_pool();
        }
        scratch.clear();
        self.read(&self.fault.bind(py).call1((raised.value(py),))?, scratch)
    }

    /// The function's final object; `None` when its result was encoded into `scratch` as it is.
    fn call<'py>(
        &self,
        py: Python<'py>,
        run: &Bound<'py, PyAny>,
        arguments: Arguments,
        path: &PathParams,
        request: &Request,
        scratch: &mut Vec<u8>,
    ) -> PyResult<Option<Bound<'py, PyAny>>> {
        let Some(mut result) = plan_bind::call(py, run, &[], self, arguments, request, path)? else {
            return Ok(Some(py.NotImplemented().into_bound(py)));
        };
        let Some(finish) = &self.finish else { return Ok(Some(result)) };
        if result.is(py.NotImplemented()) {
            return Ok(Some(result));
        }
        if interp::is_coroutine(&result) {
            result = home_loop::drive(&result)?;
        }
        if self.encodes_plain && json::encode_jsonable(&result, scratch)? {
            return Ok(None);
        }
        if let Some(writer) = &self.writer {
            if writer.bind(py).get().write(&result, scratch)? {
                return Ok(None);
            }
        }
        finish.bind(py).call1((result,)).map(Some)
    }

    pub(super) fn read(&self, made: &Bound<'_, PyAny>, scratch: &mut Vec<u8>) -> PyResult<Final> {
        if let Ok(body) = made.cast_exact::<PyBytes>() {
            scratch.extend_from_slice(body.as_bytes());
            return Ok(Final::Encoded);
        }
        if let Ok(whole) = made.cast_exact::<PyTuple>() {
            let (head, body) = read_whole(whole)?;
            return Ok(Final::Full(head, body));
        }
        if made.is(made.py().NotImplemented()) {
            return Ok(Final::Undecided);
        }
        Ok(Final::Resumed(made.clone().unbind()))
    }

    /// How the body of a request is wanted.
    pub(super) fn body_mode(&self, framing: Framing) -> BodyMode {
        let is_gathered = match framing {
            Framing::Length(bytes) => !self.takes_files || bytes <= MOST_BYTES_IN_PARTS,
            _ => !self.takes_files,
        };
        if self.reads_body && is_gathered {
            BodyMode::Buffered
        } else {
            BodyMode::Streamed
        }
    }

    pub(super) fn event(&self, scratch: Vec<u8>) -> PyResult<ReplyEvent> {
        json_event(self.status, scratch)
    }

    /// The 422 of a request that the plan did not decide; `None` if FastAPI is to decide it.
    pub(super) fn refusal(&self, request: &Request, path: &PathParams) -> Option<Vec<u8>> {
        self.referee.as_ref()?.refuse(self, request, path)
    }

    /// Dependencies are overridden, or may be.
    pub(super) fn is_overridden(&self) -> bool {
        let is_truthy =
            |overrides: &interp::Attribute| interp::attach(|py| overrides.is_truthy(py)).unwrap_or(true);
        self.overrides.as_ref().is_some_and(is_truthy)
    }
}

pub(super) fn json_event(status: u16, body: Vec<u8>) -> PyResult<ReplyEvent> {
    let mut fields = FieldBlock::new();
    fields.push(b"content-type", JSON).map_err(|fault| PyValueError::new_err(fault.reason()))?;
    Ok(ReplyEvent::Full(ResponseHead { status, fields }, Bytes::from(body)))
}

/// Reads `(status, body, raw_headers)` of a Starlette response.
pub(super) fn read_whole(whole: &Bound<'_, PyTuple>) -> PyResult<(ResponseHead, Bytes)> {
    let (status, body, headers) = whole
        .extract::<(u16, Bound<'_, PyBytes>, Bound<'_, PyList>)>()
        .map_err(|_| PyTypeError::new_err("a plan answers with (status: int, body: bytes, headers: list)"))?;
    if !(200..=599).contains(&status) {
        return Err(PyValueError::new_err(format!("status {status} is outside 200..=599")));
    }
    let mut fields = FieldBlock::new();
    for pair in headers.iter() {
        let (name, value) = pair.extract::<(Bound<'_, PyBytes>, Bound<'_, PyBytes>)>()?;
        fields.push(name.as_bytes(), value.as_bytes()).map_err(|fault| {
            PyValueError::new_err(format!(
                "response header {:?}: {}",
                String::from_utf8_lossy(name.as_bytes()),
                fault.reason()
            ))
        })?;
    }
    Ok((ResponseHead { status, fields }, interp::share_bytes(&body)))
}

impl App {
    pub(super) fn through_middleware(
        &self,
        request: &RequestHead,
        ends: &Ends,
        event: ReplyEvent,
    ) -> ReplyEvent {
        match event {
            ReplyEvent::Full(head, body) => {
                let (head, body) = self.finished(request, ends, head, body);
                ReplyEvent::Full(head, body)
            }
            other => other,
        }
    }
}

impl Local {
    /// Answers a request by its plan.
    pub(super) fn call_plan(
        self: &Rc<Self>,
        index: usize,
        path: PathParams,
        request: Request,
        reply: Reply<'_>,
    ) -> Outcome {
        if !self.app.table.has_valid_plans() {
            return self.call_asgi(request);
        }
        let spec = &self.app.table.plans[index];
        let arguments = match plan_bind::convert(&spec.params, spec.judge.as_ref(), &request, &path) {
            Ok(arguments) => arguments,
            Err(Refused::Undecided) => return self.decide_otherwise(spec, &path, request, reply),
            Err(Refused::Invalid(answer)) => return self.app.answer_json(&request, reply, 422, &answer),
        };
        if spec.is_overridden() {
            return self.decide_otherwise(spec, &path, request, reply);
        }
        if spec.is_task {
            return self.begin_task(index, arguments, path, request);
        }
        if !spec.earned.is_direct() {
            return self.offload_plan(index, arguments, path, request, reply);
        }
        interp::attach(|py| {
            self.app.home.stand_in.adopt(py);
            self.app.home.claim.claim_thread(py);
            // Taken, not borrowed: the plan runs Python, which may come back here.
            let mut scratch = self.scratch.take();
            let decided = self.context.run(py, || {
                let run = self.plans[index].bind(py);
                let decide = || spec.decide(py, run, arguments, &path, &request, &mut scratch);
                spec.earned.call_direct(self.worker, decide)
            });
            if let Some(home) = &self.home {
                // A coroutine may have made a task.
                if let Err(raised) = home.notice_work(py) {
                    log::error!("the event loop could not be asked for work: {raised}");
                }
            }
            let outcome = match decided {
                Ok(Final::Encoded) => self.app.answer_json(&request, reply, spec.status, &scratch),
                Ok(Final::Full(head, body)) => {
                    let (head, body) = self.app.finished(&request.head, &request.ends, head, body);
                    reply.full(head.status, &head.fields, body)
                }
                Ok(Final::Undecided) => self.decide_otherwise(spec, &path, request, reply),
                Ok(Final::Resumed(rest)) => {
                    let exchange = exchange_of(&request);
                    resume(&self.app, py, rest, request, &exchange);
                    Outcome::Pending(exchange)
                }
                Err(raised) => {
                    log_fault(py, spec, &request, &raised);
                    fault::answer(reply)
                }
            };
            self.scratch.replace(scratch);
            outcome
        })
    }

    /// What becomes of a request that its plan did not decide.
    fn decide_otherwise(
        self: &Rc<Self>,
        spec: &PlanSpec,
        path: &PathParams,
        request: Request,
        reply: Reply<'_>,
    ) -> Outcome {
        match spec.refusal(&request, path) {
            Some(answer) => self.app.answer_json(&request, reply, 422, &answer),
            None => self.call_asgi(request),
        }
    }

    /// Runs a plan that may block on the offload pool.
    fn offload_plan(
        &self,
        index: usize,
        arguments: Arguments,
        path: PathParams,
        request: Request,
        reply: Reply<'_>,
    ) -> Outcome {
        let name = self.app.table.plans[index].name.clone();
        let origin = Origin { handler: name, request: describe(&request.head) };
        self.away().submit(reply, exchange_of(&request), origin, move |py, away, exchange| {
            let app = &away.app;
            app.home.stand_in.adopt(py);
            app.home.claim.claim_thread(py);
            let spec = &app.table.plans[index];
            let mut scratch = Vec::new();
            let decided = app.context.run(py, || {
                let run = spec.run.bind(py);
                spec.earned.call_offloaded(|| spec.decide(py, run, arguments, &path, &request, &mut scratch))
            })?;
            let event = match decided {
                Final::Encoded => spec.event(scratch)?,
                Final::Full(head, body) => ReplyEvent::Full(head, body),
                Final::Undecided => match spec.refusal(&request, &path) {
                    Some(answer) => json_event(422, answer)?,
                    None => {
                        to_asgi(app, request, exchange);
                        return Ok(());
                    }
                },
                Final::Resumed(rest) => {
                    resume(app, py, rest, request, exchange);
                    return Ok(());
                }
            };
            // Refused when the peer is gone: nobody is left to tell.
            let _ = exchange.push(app.through_middleware(&request.head, &request.ends, event));
            Ok(())
        })
    }

    /// Starts a plan's coroutine on the home loop.
    fn begin_task(
        self: &Rc<Self>,
        index: usize,
        arguments: Arguments,
        path: PathParams,
        request: Request,
    ) -> Outcome {
        let exchange = exchange_of(&request);
        if self.home.is_some() {
            interp::attach(|py| self.run_task(py, index, arguments, path, request, &exchange));
            return Outcome::Pending(exchange);
        }
        onward::post_to_local(&self.app.home, &exchange, move |py, local, _home, exchange| {
            local.run_task(py, index, arguments, path, request, exchange);
        });
        Outcome::Pending(exchange)
    }

    fn run_task(
        self: &Rc<Self>,
        py: Python<'_>,
        index: usize,
        arguments: Arguments,
        path: PathParams,
        request: Request,
        exchange: &Arc<Exchange>,
    ) {
        let (Some(home), Some(host)) = (&self.home, &self.host) else { return fault::abort(exchange) };
        let spec = &self.app.table.plans[index];
        let run = self.plans[index].bind(py);
        let for_arguments = Request {
            head: request.head.clone(),
            body: match &request.body {
                RequestBody::Whole(body) => RequestBody::Whole(body.clone()),
                _ => RequestBody::Empty,
            },
            ends: request.ends.clone(),
        };
        let seen = Arc::new((for_arguments, path));
        host.start_with(py, home, request, exchange, |AppArguments { scope, receive, send, call }| {
            let reply = Bound::new(py, PlanReply::new(call.clone(), index, seen.clone()))?;
            let leading = [scope.clone().into_any(), receive, send, reply.clone().into_any()];
            let (request, path) = &*seen;
            if let Some(coroutine) = plan_bind::call(py, run, &leading, spec, arguments, request, path)? {
                return Ok(coroutine);
            }
            match &spec.referee {
                Some(referee) if reply.get().refuse()? => referee.nothing_more(py),
                _ => host.application(py).call1((scope, &leading[1], &leading[2])),
            }
        });
    }
}

/// The exchange of a request: its body's, if one is still coming.
fn exchange_of(request: &Request) -> Arc<Exchange> {
    match &request.body {
        RequestBody::Streamed(exchange) => exchange.clone(),
        _ => Exchange::without_body(),
    }
}

fn log_fault(py: Python<'_>, spec: &PlanSpec, request: &Request, raised: &PyErr) {
    log::error!("{}: {} raised\n{}", describe(&request.head), spec.name, interp::traceback(py, raised));
}

/// Gives a request that no plan decided to the ASGI application, from any thread.
fn to_asgi(app: &Arc<App>, request: Request, exchange: &Arc<Exchange>) {
    onward::post_to_host(&app.home, exchange, move |py, host, home, exchange| {
        host.start(py, home, request, exchange);
    });
}

/// What `CoreServer.plan_route` is told by name.
///
/// # Errors
/// A wrong shape, for the developer of the plans.
pub fn spec_from(run: Py<PyAny>, options: &Bound<'_, PyDict>, earned: Arc<Earned>) -> PyResult<PlanSpec> {
    let item = |name: &str| -> PyResult<Bound<'_, PyAny>> {
        options.get_item(name)?.ok_or_else(|| PyTypeError::new_err(format!("plan_route: {name} is missing")))
    };
    type Spec<'py> = (String, String, String, bool, Bound<'py, PyAny>, bool);
    let params = item("params")?
        .extract::<Vec<Spec<'_>>>()?
        .into_iter()
        .map(|(source, wire, kind, required, default, is_list)| {
            plan_bind::param(&source, wire, &kind, required, default.unbind(), is_list)
                .map_err(PyValueError::new_err)
        })
        .collect::<PyResult<_>>()?;
    let finish = item("finish")?;
    let judge = match item("judge")?.cast::<Validator>() {
        Ok(validator) => Some(BodyJudge {
            compiled: validator.get().compiled.clone(),
            answers_invalid: item("answers_invalid")?.extract()?,
            answers_unreadable: item("answers_unreadable")?.extract()?,
        }),
        Err(_) => None,
    };
    Ok(PlanSpec {
        judge,
        run: Held::new(run),
        name: item("name")?.extract()?,
        params,
        is_task: item("is_task")?.extract()?,
        earned,
        status: item("status")?.extract()?,
        finish: (!finish.is_none()).then(|| Held::new(finish.unbind())),
        encodes_plain: item("encodes_plain")?.extract()?,
        writer: item("writer")?.extract::<Option<Py<json::Writer>>>()?.map(Held::new),
        fault: Held::new(item("fault")?.unbind()),
        reads_body: item("reads_body")?.extract()?,
        takes_files: item("takes_files")?.extract()?,
        referee: refusal::referee(&item("referee")?)?,
        overrides: match item("overrides")? {
            provider if provider.is_none() => None,
            provider => Some(interp::Attribute::new(&provider, c"dependency_overrides")?),
        },
    })
}
