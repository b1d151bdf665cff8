//! Python values to JSON bytes.
//!
//! Owns: the walk over the value. Does not own: string escapes (`escape`), the digits of floats (`float`).
//! Rule: the bytes are those of `json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))`
//! encoded as UTF-8; whatever has no such form natively (a fault, a depth beyond ours) is left to `json.dumps` itself, so
//! that the exception is Python's own.
//! Spec: `encoder_listencode_obj` in CPython's `Modules/_json.c`.
//!
//! Threads: another thread may change a container while it is read. Each `dict` and `list` is walked inside its critical
//! section. What is found in it is used as a borrowed reference only where nothing can release that section (exact `str`
//! and `float`, `int` of 64 bits, the constants: no allocation by Python, no call); anything else is owned first, since a
//! nested section may release ours, and the walk goes on by index, which bounds-checks at each step.

use super::escape;
use super::float::push_float;
use pyo3::exceptions::PyValueError;
use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::sync::critical_section::with_critical_section;
use pyo3::types::{PyDict, PyString, PyTuple};
use pyo3::Borrowed;
use std::os::raw::{c_int, c_longlong};

/// Appends the compact JSON of a value, as FastAPI's `JSONResponse` writes it.
///
/// # Errors
/// Python's own: `TypeError` for a value or key that JSON has no form for, `ValueError` for a float out of range or a
/// circular structure, `UnicodeEncodeError` for a lone surrogate, `RecursionError`. `out` is then as it was.
pub fn encode(value: &Bound<'_, PyAny>, out: &mut Vec<u8>) -> PyResult<()> {
    encode_with(value, out, None)
}

/// As [`encode`], with `default` called for a value that JSON has no form for, to return one that has.
///
/// # Errors
/// As [`encode`], and what `default` raises.
pub fn encode_with(
    value: &Bound<'_, PyAny>,
    out: &mut Vec<u8>,
    default: Option<&Bound<'_, PyAny>>,
) -> PyResult<()> {
    let start = out.len();
    let walk = &mut Walk { out, default, is_jsonable: false, is_spaced: false };
    let Err(halt) = walk.value(value.as_borrowed(), MAX_NATIVE_DEPTH) else { return Ok(()) };
    out.truncate(start);
    match halt {
        Halt::Raised(fault) => Err(fault),
        Halt::LeaveToPython => dumps(value, out, default),
    }
}

/// Appends the compact JSON of a value that FastAPI's `jsonable_encoder` gives back as it is: exact dicts with `str` keys,
/// lists, tuples, `str`, `int`, `float`, `bool`, `None`. Gives false, and appends nothing, for any other value.
///
/// # Errors
/// What a call into Python raised.
pub fn encode_jsonable(value: &Bound<'_, PyAny>, out: &mut Vec<u8>) -> PyResult<bool> {
    try_jsonable(value, out, false)
}

/// As [`encode_jsonable`], with the bytes of plain `json.dumps(value)`: a blank after each comma and colon. Text beyond
/// ASCII is left to the caller.
///
/// # Errors
/// As [`encode_jsonable`].
pub fn encode_jsonable_spaced(value: &Bound<'_, PyAny>, out: &mut Vec<u8>) -> PyResult<bool> {
    try_jsonable(value, out, true)
}

fn try_jsonable(value: &Bound<'_, PyAny>, out: &mut Vec<u8>, is_spaced: bool) -> PyResult<bool> {
    let start = out.len();
    let walk = &mut Walk { out, default: None, is_jsonable: true, is_spaced };
    let Err(halt) = walk.value(value.as_borrowed(), MAX_NATIVE_DEPTH) else { return Ok(true) };
    out.truncate(start);
    match halt {
        Halt::Raised(fault) => Err(fault),
        Halt::LeaveToPython => Ok(false),
    }
}

/// Containers within containers that are walked natively.
///
/// Deeper values go to `json.dumps`, which counts against Python's own recursion limit. 128 levels are 40 KiB of stack.
const MAX_NATIVE_DEPTH: u32 = 128;

/// Why the native walk ended early.
pub(super) enum Halt {
    /// A call into Python raised.
    Raised(PyErr),
    /// `json.dumps` is to write the whole value, or to raise what it raises.
    LeaveToPython,
}

impl From<PyErr> for Halt {
    fn from(fault: PyErr) -> Self {
        Halt::Raised(fault)
    }
}

impl From<escape::LoneSurrogate> for Halt {
    fn from(_: escape::LoneSurrogate) -> Self {
        Halt::LeaveToPython
    }
}

pub(super) type Walked = Result<(), Halt>;

pub(super) struct Walk<'a, 'py> {
    out: &'a mut Vec<u8>,
    default: Option<&'a Bound<'py, PyAny>>,
    /// Only what `jsonable_encoder` leaves as it is.
    is_jsonable: bool,
    /// A blank after each comma and colon, and ASCII alone.
    is_spaced: bool,
}

impl<'a> Walk<'a, '_> {
    /// A walk over values of known types.
    pub(super) fn exact(out: &'a mut Vec<u8>) -> Self {
        Walk { out, default: None, is_jsonable: true, is_spaced: false }
    }
}

impl<'py> Walk<'_, 'py> {
    fn value(&mut self, value: Borrowed<'_, 'py, PyAny>, depth: u32) -> Walked {
        match Kind::of(value) {
            Kind::Str => self.string(value),
            Kind::Int => self.integer(value),
            Kind::Float => self.float(value),
            Kind::None => self.literal(b"null"),
            Kind::True => self.literal(b"true"),
            Kind::False => self.literal(b"false"),
            kind => {
                // Owned from here on: see "Threads" above.
                let value = value.to_owned();
                let depth = depth.checked_sub(1).ok_or(Halt::LeaveToPython)?;
                match kind {
                    Kind::Dict => self.dict(&value, depth),
                    Kind::List => self.list(&value, depth),
                    Kind::Tuple => self.tuple(&value, depth),
                    _ => self.other(&value, depth),
                }
            }
        }
    }

    fn dict(&mut self, dict: &Bound<'py, PyAny>, depth: u32) -> Walked {
        self.out.push(b'{');
        let start = self.out.len();
        self.pairs(dict, |key, value, walk| walk.entry(key, value, start, depth))?;
        self.out.push(b'}');
        Ok(())
    }

    /// Walks an exact `dict`. What is given is borrowed: see "Threads" above.
    pub(super) fn pairs(
        &mut self,
        dict: &Bound<'py, PyAny>,
        mut write: impl FnMut(Borrowed<'_, 'py, PyAny>, Borrowed<'_, 'py, PyAny>, &mut Self) -> Walked,
    ) -> Walked {
        with_critical_section(dict, || -> Walked {
            let mut position: ffi::Py_ssize_t = 0;
            let mut key: *mut ffi::PyObject = std::ptr::null_mut();
            let mut value: *mut ffi::PyObject = std::ptr::null_mut();
            loop {
                // SAFETY: `dict` is an exact `dict` kept alive by `Bound`, and the three places outlive the call. Any
                // position is allowed: `PyDict_Next` checks it against the table as it is now, whose critical section is
                // held here and held again after a nested section released it.
                let found = unsafe { ffi::PyDict_Next(dict.as_ptr(), &mut position, &mut key, &mut value) };
                if found == 0 {
                    return Ok(());
                }
                // SAFETY: `PyDict_Next` gave a live object, which the dict keeps as long as its section is held;
                // `write` owns the value before anything that may release the section.
                let key = unsafe { Borrowed::from_ptr(dict.py(), key) };
                // SAFETY: as for `key`.
                let value = unsafe { Borrowed::from_ptr(dict.py(), value) };
                write(key, value, self)?;
            }
        })
    }

    fn list(&mut self, list: &Bound<'py, PyAny>, depth: u32) -> Walked {
        self.items(list, |item, walk| walk.value(item, depth))
    }

    /// Writes an exact `list`, each item by `write`. What is given is borrowed: see "Threads" above.
    pub(super) fn items(
        &mut self,
        list: &Bound<'py, PyAny>,
        mut write: impl FnMut(Borrowed<'_, 'py, PyAny>, &mut Self) -> Walked,
    ) -> Walked {
        self.out.push(b'[');
        with_critical_section(list, || -> Walked {
            let mut index: ffi::Py_ssize_t = 0;
            loop {
                // SAFETY: `list` is an exact `list`, alive, its critical section held, so its size is not being changed.
                let length = unsafe { ffi::PyList_GET_SIZE(list.as_ptr()) };
                if index >= length {
                    return Ok(());
                }
                if index > 0 {
                    self.separator(b',');
                }
                // SAFETY: `index` is below the size just read, and nothing came between that could release the section.
                let item = unsafe { ffi::PyList_GET_ITEM(list.as_ptr(), index) };
                // SAFETY: the list keeps its item as long as the section is held; `write` owns it before anything that
                // may release the section.
                let item = unsafe { Borrowed::from_ptr(list.py(), item) };
                write(item, self)?;
                index += 1;
            }
        })?;
        self.out.push(b']');
        Ok(())
    }

    fn tuple(&mut self, tuple: &Bound<'py, PyAny>, depth: u32) -> Walked {
        let tuple = tuple.cast::<PyTuple>().map_err(PyErr::from)?;
        self.out.push(b'[');
        for (index, item) in tuple.iter_borrowed().enumerate() {
            self.item(item, index == 0, depth)?;
        }
        self.out.push(b']');
        Ok(())
    }

    /// A subclass of a container, or a value for `default`.
    #[cold]
    fn other(&mut self, value: &Bound<'py, PyAny>, depth: u32) -> Walked {
        if self.is_jsonable {
            return Err(Halt::LeaveToPython);
        }
        if let Ok(dict) = value.cast::<PyDict>() {
            return self.dict_subclass(dict, depth);
        }
        if value.is_instance_of::<pyo3::types::PyList>() || value.is_instance_of::<PyTuple>() {
            return self.sequence_subclass(value, depth);
        }
        let Some(default) = self.default else { return Err(Halt::LeaveToPython) };
        let replacement = default.call1((value,))?;
        self.value(replacement.as_borrowed(), depth)
    }

    fn dict_subclass(&mut self, dict: &Bound<'py, PyDict>, depth: u32) -> Walked {
        if dict.is_empty() {
            self.out.extend_from_slice(b"{}");
            return Ok(());
        }
        self.out.push(b'{');
        let start = self.out.len();
        let items = dict.call_method0("items")?;
        for item in items.try_iter()? {
            let item = item?;
            let pair = item.cast::<PyTuple>().map_err(|_| pairs_expected())?;
            let [key, value] = pair.as_slice() else { return Err(pairs_expected().into()) };
            self.entry(key.as_borrowed(), value.as_borrowed(), start, depth)?;
        }
        self.out.push(b'}');
        Ok(())
    }

    fn sequence_subclass(&mut self, sequence: &Bound<'py, PyAny>, depth: u32) -> Walked {
        // What its own `__iter__` gives, collected first, as `json` does.
        // SAFETY: `sequence` is alive, the message is a C string; a null result is turned into the exception set.
        let stored = unsafe { ffi::PySequence_Fast(sequence.as_ptr(), c"a sequence is needed".as_ptr()) };
        // SAFETY: a new reference, or null with an exception set.
        let stored = unsafe { Bound::from_owned_ptr_or_err(sequence.py(), stored) }?;
        match stored.is_instance_of::<PyTuple>() {
            true => self.tuple(&stored, depth),
            false => self.list(&stored, depth),
        }
    }

    fn item(&mut self, item: Borrowed<'_, 'py, PyAny>, is_first: bool, depth: u32) -> Walked {
        if !is_first {
            self.separator(b',');
        }
        self.value(item, depth)
    }

    fn separator(&mut self, mark: u8) {
        self.out.push(mark);
        if self.is_spaced {
            self.out.push(b' ');
        }
    }

    /// One pair of a dict whose first byte would stand at `start`.
    fn entry(
        &mut self,
        key: Borrowed<'_, 'py, PyAny>,
        value: Borrowed<'_, 'py, PyAny>,
        start: usize,
        depth: u32,
    ) -> Walked {
        if self.out.len() != start {
            self.separator(b',');
        }
        let kind = Kind::of(key);
        if let Kind::Str = kind {
            // Nothing here releases the section, so the value need not be owned yet, or, if a scalar, at all: a count
            // that all workers share is left alone.
            let before = self.out.len();
            self.string(key)?;
            // `jsonable_encoder` leaves such keys out: SQLAlchemy's state.
            if self.is_jsonable && self.out[before..].starts_with(b"\"_sa") {
                return Err(Halt::LeaveToPython);
            }
            self.separator(b':');
            return self.value(value, depth);
        }
        if self.is_jsonable {
            return Err(Halt::LeaveToPython);
        }
        // Owned, since writing a long `int` takes a call into Python.
        let value = value.to_owned();
        self.out.push(b'"');
        match kind {
            Kind::Int => self.integer(key)?,
            Kind::Float => self.float(key)?,
            Kind::None => self.literal(b"null")?,
            Kind::True => self.literal(b"true")?,
            Kind::False => self.literal(b"false")?,
            _ => return Err(Halt::LeaveToPython),
        }
        self.out.push(b'"');
        self.out.push(b':');
        self.value(value.as_borrowed(), depth)
    }

    pub(super) fn literal(&mut self, text: &[u8]) -> Walked {
        self.out.extend_from_slice(text);
        Ok(())
    }

    /// Releases no critical section: it reads the characters in place.
    pub(super) fn string(&mut self, text: Borrowed<'_, 'py, PyAny>) -> Walked {
        let text = text.as_ptr();
        debug_assert!(is_str(text));
        // SAFETY: `text` is a live `str` (or a subclass), whose characters never change.
        let length = unsafe { ffi::PyUnicode_GET_LENGTH(text) } as usize;
        // SAFETY: as above.
        let kind = unsafe { ffi::PyUnicode_KIND(text) };
        // SAFETY: as above.
        let data = unsafe { ffi::PyUnicode_DATA(text) };
        match kind {
            ffi::PyUnicode_1BYTE_KIND => {
                // SAFETY: a `str` of this kind holds `length` characters of one byte at `data`, aligned, unchanging.
                let narrow = unsafe { std::slice::from_raw_parts(data.cast::<u8>(), length) };
                if self.is_spaced && !narrow.is_ascii() {
                    return Err(Halt::LeaveToPython);
                }
                escape::push_latin1(self.out, narrow);
            }
            _ if self.is_spaced => return Err(Halt::LeaveToPython),
            ffi::PyUnicode_2BYTE_KIND => {
                // SAFETY: as above, of two bytes.
                let wide = unsafe { std::slice::from_raw_parts(data.cast::<u16>(), length) };
                escape::push_wide(self.out, wide)?;
            }
            _ => {
                // SAFETY: as above, of four bytes: the only kind left.
                let wide = unsafe { std::slice::from_raw_parts(data.cast::<u32>(), length) };
                escape::push_wide(self.out, wide)?;
            }
        }
        Ok(())
    }

    fn integer(&mut self, number: Borrowed<'_, 'py, PyAny>) -> Walked {
        let mut overflow: c_int = 0;
        // SAFETY: `number` is a live `int` (or a subclass), so no `__index__` is called and no exception is set.
        let small: c_longlong = unsafe { ffi::PyLong_AsLongLongAndOverflow(number.as_ptr(), &mut overflow) };
        if overflow == 0 {
            self.out.extend_from_slice(itoa::Buffer::new().format(small).as_bytes());
            return Ok(());
        }
        // `int.__repr__`, whatever a subclass says; it refuses beyond sys.get_int_max_str_digits().
        let number = number.to_owned();
        let digits = number.py().get_type::<pyo3::types::PyInt>().call_method1("__repr__", (&number,))?;
        self.out.extend_from_slice(digits.cast::<PyString>().map_err(PyErr::from)?.to_str()?.as_bytes());
        Ok(())
    }

    /// An exact `int` of 64 bits.
    pub(super) fn short_integer(&mut self, number: Borrowed<'_, 'py, PyAny>) -> Walked {
        let mut overflow: c_int = 0;
        // SAFETY: `number` is a live `int`, so no `__index__` is called and no exception is set.
        let small: c_longlong = unsafe { ffi::PyLong_AsLongLongAndOverflow(number.as_ptr(), &mut overflow) };
        if overflow != 0 {
            return Err(Halt::LeaveToPython);
        }
        self.literal(itoa::Buffer::new().format(small).as_bytes())
    }

    /// An exact `float` that Python and serde_json write alike: without an exponent.
    pub(super) fn usual_float(&mut self, number: Borrowed<'_, 'py, PyAny>) -> Walked {
        // SAFETY: `number` is a live `float`, whose value never changes.
        let number = unsafe { ffi::PyFloat_AS_DOUBLE(number.as_ptr()) };
        if number != 0.0 && !(1e-4..1e15).contains(&number.abs()) {
            return Err(Halt::LeaveToPython);
        }
        push_float(self.out, number);
        Ok(())
    }

    /// An exact `bool`.
    pub(super) fn boolean(&mut self, value: Borrowed<'_, 'py, PyAny>) -> Walked {
        let is_true = value.is(&*pyo3::types::PyBool::new(value.py(), true));
        self.literal(if is_true { b"true" } else { b"false" })
    }

    fn float(&mut self, number: Borrowed<'_, 'py, PyAny>) -> Walked {
        // SAFETY: `number` is a live `float` (or a subclass), whose value never changes.
        let number = unsafe { ffi::PyFloat_AS_DOUBLE(number.as_ptr()) };
        if !number.is_finite() {
            return Err(Halt::LeaveToPython);
        }
        push_float(self.out, number);
        Ok(())
    }
}

/// What `json` takes a value for. `Str`, `Int` and `Float` include subclasses, the containers do not.
#[derive(Clone, Copy)]
enum Kind {
    None,
    True,
    False,
    Str,
    Int,
    Float,
    List,
    Tuple,
    Dict,
    Other,
}

impl Kind {
    fn of(value: Borrowed<'_, '_, PyAny>) -> Kind {
        let class = value.get_type_ptr();
        // Exact types first, the commonest first: each test compares one pointer.
        if class == &raw mut ffi::PyUnicode_Type {
            Kind::Str
        } else if class == &raw mut ffi::PyLong_Type {
            Kind::Int
        } else if class == &raw mut ffi::PyDict_Type {
            Kind::Dict
        } else if class == &raw mut ffi::PyList_Type {
            Kind::List
        } else if class == &raw mut ffi::PyFloat_Type {
            Kind::Float
        } else if class == &raw mut ffi::PyBool_Type {
            match value.is(&*pyo3::types::PyBool::new(value.py(), true)) {
                true => Kind::True,
                false => Kind::False,
            }
        } else if value.is_none() {
            Kind::None
        } else if class == &raw mut ffi::PyTuple_Type {
            Kind::Tuple
        } else if is_str(value.as_ptr()) {
            Kind::Str
        } else if value.is_instance_of::<pyo3::types::PyInt>() {
            Kind::Int
        } else if value.is_instance_of::<pyo3::types::PyFloat>() {
            Kind::Float
        } else {
            Kind::Other
        }
    }
}

pub(super) fn is_exact(value: Borrowed<'_, '_, PyAny>, class: *mut ffi::PyTypeObject) -> bool {
    value.get_type_ptr() == class
}

fn is_str(object: *mut ffi::PyObject) -> bool {
    // SAFETY: callers pass a live object; the check reads the flags of its type.
    unsafe { ffi::PyUnicode_Check(object) != 0 }
}

fn pairs_expected() -> PyErr {
    PyValueError::new_err("items must return 2-tuples")
}

/// `json.dumps` itself, for what the native walk leaves to it.
#[cold]
fn dumps(value: &Bound<'_, PyAny>, out: &mut Vec<u8>, default: Option<&Bound<'_, PyAny>>) -> PyResult<()> {
    let py = value.py();
    let options = PyDict::new(py);
    options.set_item("ensure_ascii", false)?;
    options.set_item("allow_nan", false)?;
    options.set_item("separators", (",", ":"))?;
    options.set_item("default", default)?;
    let text = py.import("json")?.call_method("dumps", (value,), Some(&options))?;
    // `str.encode` rather than `to_str`: its UnicodeEncodeError is the one that JSONResponse raises.
    let bytes = text.call_method1("encode", ("utf-8",))?;
    out.extend_from_slice(bytes.cast::<pyo3::types::PyBytes>()?.as_bytes());
    Ok(())
}
