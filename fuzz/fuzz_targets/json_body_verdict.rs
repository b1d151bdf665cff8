//! `verdict_equal`: the native verdict on a body, its error list, and what is built of a valid one are those of FastAPI's
//! own `request_body_to_args`.
#![no_main]

use libfuzzer_sys::fuzz_target;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyModule};
use std::sync::OnceLock;
use turboapi::validate::{Compiled, Judged};

/// The schemas and the comparison are those of the tests; packages and tests are found on `PYTHONPATH`.
const REFEREE: &std::ffi::CStr = cr#"
import gc, sys, types

# The tests import the extension module; here it is this program.
core = types.ModuleType("turboapi_rs._core")
class _Validator:
    def __init__(self, schema): pass
    members = staticmethod(lambda members: None)
core._Validator = _Validator
package = types.ModuleType("turboapi_rs")
package._core = core
sys.modules["turboapi_rs"], sys.modules["turboapi_rs._core"] = package, core

from tests.validate_support import SCHEMAS, Case

cases = [Case(name, schema) for name, schema in SCHEMAS.items()]
schemas = [case.schema for case in cases]
gc.freeze()

class Found:
    def __init__(self, verdict, outcome):
        self.verdict, self.outcome = verdict, outcome

    def check(self, body):
        return self.verdict, self.outcome if self.verdict == "invalid" else None

    def build(self, body):
        if isinstance(self.outcome, Exception):
            raise self.outcome
        return self.outcome

def compare(index, body, verdict, outcome):
    case = cases[index]
    case.validator = Found(verdict, outcome)
    case.compare(body)
"#;

static CASES: OnceLock<(Py<PyModule>, Vec<Option<Compiled>>)> = OnceLock::new();

fuzz_target!(
    init: {
        Python::initialize();
        Python::attach(|py| {
            let module = PyModule::from_code(py, REFEREE, c"referee.py", c"referee")
                .unwrap_or_else(|fault| { fault.print(py); panic!("the referee does not load") });
            let schemas: Vec<Bound<'_, PyAny>> =
                module.getattr("schemas").and_then(|schemas| schemas.extract()).expect("schemas");
            let compiled = schemas.iter().map(|schema| Compiled::compile(schema, None).ok()).collect();
            let _ = CASES.set((module.unbind(), compiled));
        });
    },
    |data: &[u8]| {
        let Some((&choice, body)) = data.split_first() else { return };
        let (module, cases) = CASES.get().expect("init");
        let index = usize::from(choice) % cases.len();
        let Some(compiled) = &cases[index] else { return };
        let judged = compiled.judge(body);
        Python::attach(|py| {
            let (verdict, outcome) = match &judged {
                Judged::Undecided => return,
                Judged::Invalid(answer) | Judged::NotJson(answer) => ("invalid", PyBytes::new(py, answer).into_any()),
                Judged::Valid(tape) => {
                    let verdict = if tape.is_for_pydantic() { "unsure" } else { "valid" };
                    match compiled.build(py, body, tape) {
                        Ok(built) => (verdict, built),
                        Err(fault) => (verdict, fault.value(py).clone().into_any()),
                    }
                }
            };
            let compared = module.bind(py).call_method1("compare", (index, PyBytes::new(py, body), verdict, outcome));
            if let Err(fault) = compared {
                fault.print(py);
                panic!("schema {index}, body {}", String::from_utf8_lossy(body));
            }
        });
    }
);
