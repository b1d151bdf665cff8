//! A Pydantic core schema to a tree of nodes.
//!
//! Owns: reading the schema, rendering its errors beforehand, the table of objects that are needed to build. Does not own:
//! what the nodes mean (`walk`, `build`).
//! Rule: only what is decided exactly is compiled; anything else becomes [`Node::Opaque`] with its reason in words, and so
//! is left to Pydantic. Texts of errors are Pydantic's own, made by `pydantic_core.PydanticKnownError`.
//! Spec: the `build` functions of pydantic-core 2.41.

mod containers;
mod objects;
mod scalars;
mod unions;

use super::moments::Moments;
use super::node::{IfMissing, Maker, Node, Object, Product};
use super::recognise::Kind;
use super::report::Fault;
use super::{Compiled, Member, Root, Slots, Whole};
use crate::interp::{Held, Slot};
use crate::json::{self, escape::push_utf8};
use pyo3::exceptions::PyNotImplementedError;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList, PyTuple};
use std::collections::HashMap;

/// Why a schema cannot be judged natively at all.
#[derive(Debug)]
pub struct Unsupported {
    /// In words that the author of the model can act on.
    pub reason: String,
}

impl From<PyErr> for Unsupported {
    fn from(fault: PyErr) -> Self {
        Unsupported { reason: format!("the schema could not be read: {fault}") }
    }
}

/// One parameter of several that a body holds.
pub struct MemberSchema<'py> {
    /// The key in the body.
    pub alias: String,
    /// The core schema of the parameter's `TypeAdapter`.
    pub schema: Bound<'py, PyAny>,
    /// Without it the request is refused.
    pub is_required: bool,
    /// Its default is validated too.
    pub validates_default: bool,
}

impl Compiled {
    /// Compiles the core schema of a parameter that is the whole body. `validator` is the `SchemaValidator` of that schema,
    /// or whatever stands for it; without one it is made.
    ///
    /// # Errors
    /// [`Unsupported`] if the schema, or its pydantic-core, is not one that is known.
    pub fn compile(
        schema: &Bound<'_, PyAny>,
        validator: Option<&Bound<'_, PyAny>>,
    ) -> Result<Compiled, Unsupported> {
        Compiled::compile_at(schema, validator, &["body"])
    }

    /// Compiles the core schema of a parameter of the path, the query, the headers or the cookies. `place` is where its
    /// errors are, such as `["query", "q"]`.
    ///
    /// # Errors
    /// As [`compile`](Self::compile).
    pub fn compile_at(
        schema: &Bound<'_, PyAny>,
        validator: Option<&Bound<'_, PyAny>>,
        place: &[&str],
    ) -> Result<Compiled, Unsupported> {
        let mut compiler = Compiler::new(schema.py(), place)?;
        let missing = compiler.fault("missing", &[])?;
        let schema = schema.cast::<PyDict>().map_err(PyErr::from)?;
        let node = compiler.node(schema, None)?;
        let validate = match validator {
            Some(validator) => compiler.bind(validator)?,
            None => {
                let class = schema.py().import("pydantic_core")?.getattr("SchemaValidator")?;
                compiler.bind(&class.call1((schema,))?)?
            }
        };
        compiler.finish(Root::Whole(Box::new(Whole { node, validate, missing })))
    }

    /// Compiles the core schemas of parameters that are members of the body.
    ///
    /// # Errors
    /// As [`compile`](Self::compile).
    pub fn compile_members(py: Python<'_>, members: Vec<MemberSchema<'_>>) -> Result<Compiled, Unsupported> {
        let mut compiler = Compiler::new(py, &["body"])?;
        let mut compiled = Vec::with_capacity(members.len());
        for MemberSchema { alias, schema, is_required, validates_default } in members {
            compiler.path.push(alias.clone());
            let node = compiler.node(schema.cast().map_err(PyErr::from)?, None)?;
            compiler.path.pop();
            let if_missing = match (is_required, validates_default) {
                (true, _) => IfMissing::Report,
                (false, true) => IfMissing::Ask,
                (false, false) => IfMissing::Accept,
            };
            let missing = compiler.fault("missing", &[])?;
            compiled.push(Member { alias, node, if_missing, missing });
        }
        compiler.finish(Root::Members(compiled))
    }
}

/// Versions of pydantic-core whose rules these are. Others: every schema is unsupported, so that Pydantic judges.
const KNOWN_CORE_VERSIONS: &[&str] = &["2.41."];

pub(super) type Schema<'py> = Bound<'py, PyDict>;
pub(super) type Config<'a, 'py> = Option<&'a Bound<'py, PyDict>>;

pub(super) struct Compiler<'py> {
    pub(super) py: Python<'py>,
    known_error: Bound<'py, PyAny>,
    /// `["body"`: how the locations of errors begin.
    location: Vec<u8>,
    definitions: Vec<Node>,
    /// As the schema has them, for the names that pydantic-core derives from them.
    pub(super) raw_definitions: Option<Bound<'py, PyList>>,
    /// A definition is being compiled: its name is not known yet.
    pub(super) is_defining: bool,
    /// Index and schema of each definition.
    pub(super) places: HashMap<String, (usize, Schema<'py>)>,
    left_to_pydantic: Vec<String>,
    objects: Vec<Held<PyAny>>,
    pub(super) slots: Vec<Slots>,
    pub(super) dict_slots: Vec<Slot>,
    /// Parts of the schema that Pydantic makes, each with its configuration.
    makers: Vec<(Schema<'py>, Option<Bound<'py, PyDict>>)>,
    /// All definitions met, of which those parts may need some.
    all_definitions: Bound<'py, PyList>,
    /// Names of the fields that lead to the schema in hand, for reasons.
    pub(super) path: Vec<String>,
}

impl<'py> Compiler<'py> {
    fn new(py: Python<'py>, place: &[&str]) -> Result<Self, Unsupported> {
        let core = py.import("pydantic_core")?;
        let version: String = core.getattr("__version__")?.extract()?;
        if !KNOWN_CORE_VERSIONS.iter().any(|known| version.starts_with(known)) {
            return Err(Unsupported {
                reason: format!("pydantic-core {version} is not a version whose rules are known"),
            });
        }
        let mut location = Vec::new();
        for step in place {
            location.push(if location.is_empty() { b'[' } else { b',' });
            push_utf8(&mut location, step);
        }
        Ok(Compiler {
            py,
            location,
            known_error: core.getattr("PydanticKnownError")?,
            definitions: Vec::new(),
            raw_definitions: None,
            is_defining: false,
            places: HashMap::new(),
            left_to_pydantic: Vec::new(),
            objects: Vec::new(),
            slots: Vec::new(),
            dict_slots: Vec::new(),
            makers: Vec::new(),
            all_definitions: PyList::empty(py),
            path: Vec::new(),
        })
    }

    fn finish(mut self, root: Root) -> Result<Compiled, Unsupported> {
        let makers = std::mem::take(&mut self.makers);
        let makers = makers.iter().map(|(schema, config)| self.build_maker(schema, config.as_ref()));
        // Without one of them, Pydantic makes it all.
        let makers = makers.collect::<PyResult<Vec<_>>>().ok();
        let deepcopy = self.py.import("copy")?.getattr("deepcopy")?;
        let is_opaque = match &root {
            Root::Whole(whole) => self.is_opaque(&whole.node),
            Root::Members(members) => members.iter().any(|member| self.is_opaque(&member.node)),
        };
        Ok(Compiled {
            root,
            definitions: self.definitions,
            objects: self.objects,
            slots: self.slots,
            dict_slots: self.dict_slots,
            moments: Moments::of(self.py)?,
            from_attributes: Held::new(PyTuple::new(self.py, ["from_attributes"])?.unbind()),
            is_built_here: makers.is_some(),
            makers: makers.unwrap_or_default(),
            deepcopy: Held::new(deepcopy.unbind()),
            is_opaque,
            left_to_pydantic: self.left_to_pydantic,
        })
    }

    /// True if whatever reaches the node is left to Pydantic.
    fn is_opaque(&self, node: &Node) -> bool {
        match node {
            Node::Opaque => true,
            Node::Default { inner, .. } | Node::After(inner) | Node::Made(inner, _) => self.is_opaque(inner),
            Node::Ref(target) => matches!(self.definitions.get(*target), Some(Node::Opaque)),
            _ => false,
        }
    }

    pub(super) fn opaque(&mut self, reason: &str) -> PyResult<Node> {
        let place = if self.path.is_empty() { "the body".to_owned() } else { self.path.join(".") };
        self.left_to_pydantic.push(format!("{place}: {reason}"));
        Ok(Node::Opaque)
    }

    /// Keeps an object for the build.
    pub(super) fn object(&mut self, object: Bound<'py, PyAny>) -> Object {
        self.objects.push(Held::new(object.unbind()));
        Object(self.objects.len() as u32 - 1)
    }

    /// The place that the next object will have.
    pub(super) fn next_object(&self) -> u32 {
        self.objects.len() as u32
    }

    /// Has Pydantic make what a part of the schema accepts.
    pub(super) fn maker(&mut self, schema: &Schema<'py>, config: Config<'_, 'py>) -> Maker {
        self.makers.push((schema.clone(), config.cloned()));
        Maker(self.makers.len() as u32 - 1)
    }

    fn build_maker(&self, schema: &Schema<'py>, config: Config<'_, 'py>) -> PyResult<Held<PyAny>> {
        let whole = if unions::refers(schema.as_any())? && !self.all_definitions.is_empty() {
            if config
                .is_some_and(|config| config.len() > usize::from(config.contains("title").unwrap_or(false)))
            {
                // The definitions were not made under it, and would be here.
                return Err(PyNotImplementedError::new_err("definitions under a configuration"));
            }
            let whole = PyDict::new(self.py);
            let is_defined = optional(schema, "ref")?.map(|name| name.extract::<String>()).transpose()?;
            match is_defined.filter(|name| self.places.contains_key(name)) {
                Some(name) => {
                    let reference = PyDict::new(self.py);
                    reference.set_item("type", "definition-ref")?;
                    reference.set_item("schema_ref", name)?;
                    whole.set_item("schema", reference)?;
                }
                None => whole.set_item("schema", schema)?,
            }
            whole.set_item("type", "definitions")?;
            whole.set_item("definitions", &self.all_definitions)?;
            whole
        } else {
            schema.clone()
        };
        let class = self.py.import("pydantic_core")?.getattr("SchemaValidator")?;
        self.bind(&class.call1((whole, config))?)
    }

    fn bind(&self, validator: &Bound<'py, PyAny>) -> PyResult<Held<PyAny>> {
        Ok(Held::new(validator.getattr("validate_python")?.unbind()))
    }

    pub(super) fn node(&mut self, schema: &Schema<'py>, config: Config<'_, 'py>) -> PyResult<Node> {
        let kind: String = require(schema, "type")?.extract()?;
        match kind.as_str() {
            "any" => Ok(Node::Any),
            "none" => Ok(Node::Null(self.fault("none_required", &[])?)),
            "bool" => self.bool(schema, config),
            "int" => self.int(schema, config),
            "float" => self.float(schema, config),
            "str" => self.str(schema, config),
            "literal" => self.literal(schema),
            "enum" => self.enumeration(schema, config),
            "list" => self.list(schema, config),
            "set" | "frozenset" => self.set(schema, config, &kind),
            "tuple" => self.tuple(schema, config),
            "dict" => self.dict(schema, config),
            "model" => self.model(schema),
            "model-fields" => {
                // Outside a model: what it makes is a tuple.
                let fields = self.fields(schema, config, "model_attributes_type", Product::Other)?;
                Ok(Node::Made(Box::new(fields), self.maker(schema, config)))
            }
            "typed-dict" => {
                // Its own configuration, or none: never that of the type around it.
                let config =
                    optional(schema, "config")?.map(|config| config.cast_into::<PyDict>()).transpose()?;
                self.fields(schema, config.as_ref(), "dict_type", Product::Dict)
            }
            "dataclass" => self.dataclass(schema),
            "dataclass-args" => {
                // Outside a dataclass: what it makes is a tuple.
                let fields = self.dataclass_args(schema, config, Product::Other)?;
                Ok(Node::Made(Box::new(fields), self.maker(schema, config)))
            }
            "nullable" => Ok(Node::Nullable(Box::new(self.inner(schema, config)?))),
            "default" => self.default(schema, config),
            "function-after" => Ok(Node::After(Box::new(self.inner(schema, config)?))),
            "union" => self.union(schema, config),
            "tagged-union" => self.tagged(schema, config),
            "definitions" => self.definitions(schema, config),
            "definition-ref" => self.reference(schema),
            "json-or-python" => self.node(require(schema, "python_schema")?.cast()?, config),
            "lax-or-strict" if !is_strict(schema, config)? => {
                self.node(require(schema, "lax_schema")?.cast()?, config)
            }
            "function-before" | "function-wrap" | "function-plain" => self
                .opaque("a validator written in Python sees the value first; an `after` validator would not"),
            _ => match Kind::of_schema(&kind) {
                Some(kind) if is_unconstrained(schema)? && !is_strict(schema, config)? => {
                    Ok(Node::Recognised(kind, self.maker(schema, config)))
                }
                _ => self.opaque(&format!("values of the kind `{kind}` are judged by Pydantic")),
            },
        }
    }

    pub(super) fn inner(&mut self, schema: &Schema<'py>, config: Config<'_, 'py>) -> PyResult<Node> {
        self.node(require(schema, "schema")?.cast()?, config)
    }

    fn definitions(&mut self, schema: &Schema<'py>, config: Config<'_, 'py>) -> PyResult<Node> {
        let definitions = require(schema, "definitions")?.cast_into::<PyList>()?;
        let mut own = Vec::new();
        for definition in definitions.iter() {
            let definition = definition.cast_into::<PyDict>()?;
            let name: String = require(&definition, "ref")?.extract()?;
            let place = self.definitions.len();
            self.definitions.push(Node::Opaque);
            self.places.insert(name, (place, definition.clone()));
            self.all_definitions.append(&definition)?;
            own.push((place, definition));
        }
        let outer = (self.is_defining, self.raw_definitions.take());
        self.is_defining = true;
        for (place, definition) in own {
            let node = self.node(&definition, config)?;
            self.definitions[place] = node;
        }
        // Definitions within definitions: names are not derived there.
        let is_outermost = !outer.0 && outer.1.is_none();
        self.is_defining = !is_outermost;
        self.raw_definitions = is_outermost.then_some(definitions);
        let inner = self.inner(schema, config);
        (self.is_defining, self.raw_definitions) = outer;
        inner
    }

    fn reference(&mut self, schema: &Schema<'py>) -> PyResult<Node> {
        let target: String = require(schema, "schema_ref")?.extract()?;
        match self.places.get(&target) {
            Some((place, _)) => Ok(Node::Ref(*place)),
            None => self.opaque("a type that the schema does not define"),
        }
    }

    pub(super) fn fault(&self, kind: &str, context: &[(&str, Bound<'py, PyAny>)]) -> PyResult<Fault> {
        self.fault_with_hole(kind, context, "")
    }

    /// Renders an error as FastAPI will write it, cut open wherever `hole` stands.
    pub(super) fn fault_with_hole(
        &self,
        kind: &str,
        context: &[(&str, Bound<'py, PyAny>)],
        hole: &str,
    ) -> PyResult<Fault> {
        let given = PyDict::new(self.py);
        for (key, value) in context {
            given.set_item(key, value)?;
        }
        let error = match context.is_empty() {
            true => self.known_error.call1((kind,))?,
            false => self.known_error.call1((kind, given))?,
        };
        let mut head = b"{\"type\":".to_vec();
        json::encode(&error.getattr("type")?, &mut head)?;
        head.extend_from_slice(b",\"loc\":");
        head.extend_from_slice(&self.location);
        let mut message = b"],\"msg\":".to_vec();
        json::encode(&error.call_method0("message")?, &mut message)?;
        message.extend_from_slice(b",\"input\":");
        let mut tail = Vec::new();
        let context = error.getattr("context")?;
        if !context.is_none() {
            tail.extend_from_slice(b",\"ctx\":");
            json::encode(&context, &mut tail)?;
        }
        tail.push(b'}');
        let pieces = |text: Vec<u8>| match hole {
            "" => vec![text.into_boxed_slice()],
            _ => String::from_utf8_lossy(&text).split(hole).map(|piece| piece.as_bytes().into()).collect(),
        };
        Ok(Fault { head: head.into(), message: pieces(message), tail: pieces(tail) })
    }
}

pub(super) fn optional<'py>(schema: &Schema<'py>, key: &str) -> PyResult<Option<Bound<'py, PyAny>>> {
    Ok(schema.get_item(key)?.filter(|value| !value.is_none()))
}

pub(super) fn require<'py>(schema: &Schema<'py>, key: &str) -> PyResult<Bound<'py, PyAny>> {
    schema.get_item(key)?.ok_or_else(|| pyo3::exceptions::PyKeyError::new_err(key.to_owned()))
}

/// A key of the schema, or of the configuration under its own name there.
pub(super) fn setting<'py>(
    schema: &Schema<'py>,
    config: Config<'_, 'py>,
    key: &str,
    config_key: &str,
) -> PyResult<Option<Bound<'py, PyAny>>> {
    match (optional(schema, key)?, config) {
        (Some(value), _) => Ok(Some(value)),
        (None, Some(config)) => optional(config, config_key),
        (None, None) => Ok(None),
    }
}

pub(super) fn flag(
    schema: &Schema<'_>,
    config: Config<'_, '_>,
    key: &str,
    config_key: &str,
) -> PyResult<Option<bool>> {
    let own = optional(schema, key)?;
    let inherited = match (&own, config) {
        (None, Some(config)) => optional(config, config_key)?.map(|value| value.extract()).transpose()?,
        _ => None,
    };
    own.map_or(Ok(inherited), |value| value.extract().map(Some))
}

pub(super) fn is_strict(schema: &Schema<'_>, config: Config<'_, '_>) -> PyResult<bool> {
    Ok(flag(schema, config, "strict", "strict")?.unwrap_or(false))
}

/// True if the schema says no more than its kind, and how finely times are read.
fn is_unconstrained(schema: &Schema<'_>) -> PyResult<bool> {
    for key in schema.keys().iter() {
        if !["type", "metadata", "ref", "serialization", "microseconds_precision"]
            .contains(&key.extract::<&str>()?)
        {
            return Ok(false);
        }
    }
    Ok(true)
}

pub(super) fn has_custom_error(schema: &Schema<'_>) -> PyResult<bool> {
    schema.contains("custom_error_type")
}
