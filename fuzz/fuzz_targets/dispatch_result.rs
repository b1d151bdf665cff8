//! Whatever object a handler returns: one whole response, or none and a torn exchange; never a panic, never half a one.
#![no_main]

mod service;

use libfuzzer_sys::fuzz_target;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyModule};
use service::{factory, module, FewThreads, Worker};
use std::cell::OnceCell;
use std::mem::ManuallyDrop;
use std::sync::OnceLock;
use turboapi::dispatch::Pin;

const HANDLERS: &std::ffi::CStr = cr#"
import gc
gc.disable()

class Text(str): pass
class Data(bytes): pass
class Table(dict): pass
class Row(list): pass
class Number(int): pass
class Triple(tuple): pass
class Raises:
    def __iter__(self): raise RuntimeError("iter")
    def __str__(self): raise RuntimeError("str")
    def __index__(self): raise RuntimeError("index")
class Endless:
    def __iter__(self):
        while True: yield "x", "y"
class Claims:
    @property
    def __await__(self): raise RuntimeError("await")
class Lies(dict):
    def items(self): raise RuntimeError("items")
    def __len__(self): return 10**6
    def __iter__(self): raise RuntimeError("iter")

def raising():
    yield "a", "b"
    raise RuntimeError("in the middle")

NAMES = ["", "x-a", "content-length", "Transfer-Encoding", "connection", "a b", "x\r\ny", "\u00e9", "\u4e00", "set-cookie", "\ud800", "date"]
PLAIN = [None, True, False, 0, -1, 200, 204, 304, 99, 600, 599, 2**70, 1.5, float("nan"), float("inf"), "", "text", "\ud800", "a\r\nb",
         "text/plain", "text/x; charset=utf-8", b"", b"bytes", b"\0\xff", b"x" * 40000, "y" * 40000]

def build(data):
    """A stack machine: each byte pushes a value, or makes one of those on the stack."""
    stack = []
    index = 0
    while index < len(data):
        code = data[index]; index += 1
        def pop(): return stack.pop() if stack else None
        if code < len(PLAIN): stack.append(PLAIN[code])
        elif code < 60: stack.append(NAMES[code % len(NAMES)])
        elif code < 80:
            size = code - 60
            text = bytes(data[index:index + size]); index += size
            stack.append(text if size % 2 else text.decode("latin-1"))
        elif code < 100: count = code % 6; stack[len(stack) - count:] = [tuple(stack[len(stack) - count:])] if count <= len(stack) else [()]
        elif code < 110: count = code % 5; stack[len(stack) - count:] = [list(stack[len(stack) - count:])] if count <= len(stack) else [[]]
        elif code < 120:
            key, value = pop(), pop()
            try: stack.append({key: value})
            except TypeError: stack.append({"key": value})
        elif code == 120: stack.append(Raises())
        elif code == 121: stack.append(Claims())
        elif code == 122: stack.append(Lies(a=1))
        elif code == 123: stack.append(raising())
        elif code == 124: stack.append(iter([("x-a", "1"), ("x-a", "2")]))
        elif code == 125: stack.append(iter([b"one", "two", 3]))
        elif code == 126: stack.append(object())
        elif code == 127:
            row = [pop()]; row.append(row); stack.append(row)
        elif code == 128: stack.append(Text(str(pop())[:100]) if stack and not isinstance(stack[-1], Raises) else Text("t"))
        elif code == 129: stack.append(Data(b"data"))
        elif code == 130: stack.append(Table(a=pop()))
        elif code == 131: stack.append(Row([pop()]))
        elif code == 132: stack.append(Number(201))
        elif code == 133: stack.append(Triple((200, "text/plain", b"")))
        elif code == 134: stack.append({1, 2})
        elif code == 135: stack.append(bytearray(b"array"))
        elif code == 136: stack.append(memoryview(b"view"))
        elif code == 137: stack.append(type)
        elif code == 138: stack.append({"a": pop(), "b": pop()})
        elif code == 139: stack.append((200, "text/plain", pop()))
        elif code == 140: stack.append((200, "text/plain", b"", pop()))
        elif code == 141: stack.append((200, "text/plain", b"", pop(), {}))
        elif code == 142: stack.append((200, "text/plain", b"", iter(["a", pop()]), {}))
        else: stack.append(code)
    return stack.pop() if stack else None

value = None
def handler():
    return value
def prepare(data):
    global value
    value = build(data)
"#;

static MODULE: OnceLock<Py<PyModule>> = OnceLock::new();

thread_local! {
    /// Kept for good: at the end of the process nobody is attached who could let go of its references.
    static WORKER: OnceCell<ManuallyDrop<Worker>> = const { OnceCell::new() };
}

fuzz_target!(
    init: {
        let made = module(HANDLERS);
        let app = factory(&made, &[("/", "handler", false, Pin::Direct)]);
        let _ = MODULE.set(made);
        WORKER.with(|slot| {
            let pool = FewThreads::new(2, Default::default());
            let _ = slot.set(ManuallyDrop::new(Worker::new(&app, 1, 2, pool)));
        });
    },
    |data: &[u8]| {
        if data.len() > 400 {
            return;
        }
        Python::attach(|py| {
            let module = MODULE.get().expect("init").bind(py);
            module.call_method1("prepare", (PyBytes::new(py, data),)).expect("every input builds something");
        });
        WORKER.with(|slot| {
            if let Some((status, _)) = slot.get().expect("init").ask("/") {
                assert!((200..=599).contains(&status), "{status}");
            }
        });
    }
);
