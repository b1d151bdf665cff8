//! Instances of Pydantic models to JSON bytes, past Pydantic's serializer.
//!
//! Owns: the walk over values of the types that a response model names. Does not own: reading the model's schema
//! (`plans/writers.py`), strings and numbers (`encode`).
//! Rule: the bytes are those of `SchemaSerializer.to_json`. A value of any other type than the exact one, a field too many or
//! too few, a number that the two write differently: nothing is written, and Pydantic is to say.
//! Spec: the serializers of pydantic-core.
//!
//! Threads: as `encode`: containers are walked in their critical section, what may release it is owned first.

use super::encode::{is_exact, Halt, Walk, Walked};
use super::escape;
use pyo3::exceptions::PyTypeError;
use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyList, PyString, PyTuple, PyType};
use pyo3::Borrowed;

/// What a value must be, exactly.
enum Node {
    Str,
    Int,
    Float,
    Bool,
    None,
    Nullable(Box<Node>),
    List(Box<Node>),
    /// With keys that are strings.
    Dict(Box<Node>),
    /// One of these strings.
    Words(Vec<String>),
    Model(Model),
}

struct Model {
    class: Py<PyType>,
    fields: Vec<Field>,
}

struct Field {
    name: Py<PyString>,
    /// The key as JSON, with the colon.
    key: Vec<u8>,
    node: Node,
}

/// The writer of one response model.
#[pyclass(frozen, name = "_Writer", module = "turboapi_rs._core")]
pub struct Writer {
    root: Node,
}

#[pymethods]
impl Writer {
    /// From nested tuples: `("str",)`, `("list", inner)`, `("model", class, [(name, key, inner), ...])`.
    #[new]
    fn new(spec: &Bound<'_, PyTuple>) -> PyResult<Self> {
        Ok(Writer { root: node(spec)? })
    }

    /// The JSON of a value; `None` where Pydantic is to write it.
    fn dump<'py>(&self, value: &Bound<'py, PyAny>) -> PyResult<Option<Bound<'py, PyBytes>>> {
        let mut out = Vec::new();
        let is_whole = self.write(value, &mut out)?;
        Ok(is_whole.then(|| PyBytes::new(value.py(), &out)))
    }
}

impl Writer {
    /// Appends the JSON of a value. False, and nothing appended, where Pydantic is to write it.
    ///
    /// # Errors
    /// What a call into Python raised.
    pub fn write(&self, value: &Bound<'_, PyAny>, out: &mut Vec<u8>) -> PyResult<bool> {
        let start = out.len();
        let written = self.root.write(value.as_borrowed(), &mut Walk::exact(out));
        let Err(halt) = written else { return Ok(true) };
        out.truncate(start);
        match halt {
            Halt::Raised(fault) => Err(fault),
            Halt::LeaveToPython => Ok(false),
        }
    }
}

fn node(spec: &Bound<'_, PyTuple>) -> PyResult<Node> {
    let kind: String = spec.get_item(0)?.extract()?;
    let inner = || -> PyResult<Box<Node>> { Ok(Box::new(node(spec.get_item(1)?.cast()?)?)) };
    Ok(match kind.as_str() {
        "str" => Node::Str,
        "int" => Node::Int,
        "float" => Node::Float,
        "bool" => Node::Bool,
        "none" => Node::None,
        "nullable" => Node::Nullable(inner()?),
        "list" => Node::List(inner()?),
        "dict" => Node::Dict(inner()?),
        "words" => Node::Words(spec.get_item(1)?.extract()?),
        "model" => {
            let class = spec.get_item(1)?.cast_into::<PyType>()?.unbind();
            let fields = spec.get_item(2)?.cast_into::<PyList>()?;
            let fields = fields.iter().map(|field| {
                let (name, key, spec): (Bound<'_, PyString>, String, Bound<'_, PyTuple>) = field.extract()?;
                let mut json = Vec::new();
                escape::push_utf8(&mut json, &key);
                json.push(b':');
                // Interned, as the keys of an instance's dict are: the same object, most of the time.
                let name = PyString::intern(name.py(), name.to_str()?).unbind();
                Ok(Field { name, key: json, node: node(&spec)? })
            });
            Node::Model(Model { class, fields: fields.collect::<PyResult<_>>()? })
        }
        other => return Err(PyTypeError::new_err(format!("_Writer: unknown node {other:?}"))),
    })
}

impl Node {
    fn write<'py>(&self, value: Borrowed<'_, 'py, PyAny>, walk: &mut Walk<'_, 'py>) -> Walked {
        match self {
            Node::Str if is_exact(value, &raw mut ffi::PyUnicode_Type) => walk.string(value),
            Node::Int if is_exact(value, &raw mut ffi::PyLong_Type) => walk.short_integer(value),
            Node::Float if is_exact(value, &raw mut ffi::PyFloat_Type) => walk.usual_float(value),
            Node::Bool if is_exact(value, &raw mut ffi::PyBool_Type) => walk.boolean(value),
            Node::None if value.is_none() => walk.literal(b"null"),
            Node::Nullable(_) if value.is_none() => walk.literal(b"null"),
            Node::Nullable(inner) => inner.write(value, walk),
            Node::Words(words) if is_exact(value, &raw mut ffi::PyUnicode_Type) => {
                let word = value.to_owned();
                let word = word.cast::<PyString>().map_err(PyErr::from)?.to_str()?;
                match words.iter().any(|known| known == word) {
                    true => walk.string(value),
                    false => Err(Halt::LeaveToPython),
                }
            }
            Node::List(inner) if is_exact(value, &raw mut ffi::PyList_Type) => {
                walk.items(&value.to_owned(), |item, walk| inner.write(item, walk))
            }
            Node::Dict(inner) if is_exact(value, &raw mut ffi::PyDict_Type) => {
                walk.literal(b"{")?;
                let mut is_first = true;
                walk.pairs(&value.to_owned(), |key, value, walk| {
                    if !is_exact(key, &raw mut ffi::PyUnicode_Type) {
                        return Err(Halt::LeaveToPython);
                    }
                    if !std::mem::take(&mut is_first) {
                        walk.literal(b",")?;
                    }
                    walk.string(key)?;
                    walk.literal(b":")?;
                    inner.write(value, walk)
                })?;
                walk.literal(b"}")
            }
            Node::Model(model) if is_exact(value, model.class.as_ptr().cast()) => {
                model.write(&value.to_owned(), walk)
            }
            _ => Err(Halt::LeaveToPython),
        }
    }
}

impl Model {
    /// The fields in the order of the instance's dict, which is how Pydantic walks them.
    fn write<'py>(&self, instance: &Bound<'py, PyAny>, walk: &mut Walk<'_, 'py>) -> Walked {
        let dict = dict_of(instance)?;
        walk.literal(b"{")?;
        let mut written = 0;
        walk.pairs(dict.as_any(), |key, value, walk| {
            let named = |field: &&Field| field.name.as_ptr() == key.as_ptr();
            let field = self.fields.get(written).filter(named);
            let field = match field.or_else(|| self.fields.iter().find(named)) {
                Some(field) => field,
                // An attribute beyond the fields, or a key that is not interned.
                None => return Err(Halt::LeaveToPython),
            };
            if written > 0 {
                walk.literal(b",")?;
            }
            written += 1;
            walk.literal(&field.key)?;
            field.node.write(value, walk)
        })?;
        if written != self.fields.len() {
            return Err(Halt::LeaveToPython);
        }
        walk.literal(b"}")
    }
}

fn dict_of<'py>(instance: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyDict>> {
    // SAFETY: `instance` is alive; the result is a new reference, or null with an exception set.
    let dict = unsafe { ffi::PyObject_GenericGetDict(instance.as_ptr(), std::ptr::null_mut()) };
    // SAFETY: as above.
    let dict = unsafe { Bound::from_owned_ptr_or_err(instance.py(), dict) }?;
    Ok(dict.cast_into::<PyDict>()?)
}
