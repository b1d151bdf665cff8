//! What `json.loads` reads, the native decoder reads alike, and the native encoder prints as `json.dumps` does.
#![no_main]

use libfuzzer_sys::fuzz_target;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyModule};
use std::sync::OnceLock;

const REFEREE: &std::ffi::CStr = cr#"
import json, gc
gc.disable()

def loads(body):
    try:
        return "read", json.loads(body)
    except json.JSONDecodeError as fault:
        return "syntax", (fault.msg, fault.pos)
    except Exception as fault:
        return "raises", (type(fault), str(fault))

def dumps(value):
    try:
        text = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
        return text.encode()
    except Exception as fault:
        return type(fault), str(fault)
"#;

static MODULE: OnceLock<Py<PyModule>> = OnceLock::new();

fuzz_target!(
    init: {
        Python::initialize();
        Python::attach(|py| {
            let module = PyModule::from_code(py, REFEREE, c"referee.py", c"referee").expect("the referee");
            let _ = MODULE.set(module.unbind());
        });
    },
    |body: &[u8]| {
        Python::attach(|py| {
            let module = MODULE.get().expect("init").bind(py);
            let (outcome, expected): (String, Bound<'_, PyAny>) =
                module.call_method1("loads", (PyBytes::new(py, body),)).and_then(|found| found.extract()).expect("loads");
            let ours = turboapi::json::decode(py, body);
            assert_eq!(ours.is_ok(), outcome == "read", "{body:?}: {expected:?}");
            let Ok(ours) = ours else { return };
            assert_eq!(ours.repr().expect("repr").to_string(), expected.repr().expect("repr").to_string());
            let printed = module.call_method1("dumps", (&expected,)).expect("dumps");
            let mut out = Vec::new();
            match turboapi::json::encode(&ours, &mut out) {
                Ok(()) => assert!(printed.eq(PyBytes::new(py, &out)).expect("bytes"), "{out:?} {printed:?}"),
                Err(fault) => {
                    let shown = (fault.get_type(py), fault.value(py).str().expect("str"));
                    assert!(printed.eq(shown).expect("tuple"), "{fault} {printed:?}");
                }
            }
        });
    }
);
