//! A Pydantic core schema to a tree of nodes.
//!
//! Owns: reading the schema, rendering its errors beforehand. Does not own: what the nodes mean (`walk`).
//! Rule: only what is decided exactly is compiled; anything else becomes [`Node::Opaque`] with its reason in words, and so
//! is left to Pydantic. Texts of errors are Pydantic's own, made by `pydantic_core.PydanticKnownError`.
//! Spec: the `build` functions of pydantic-core 2.41.

use super::node::*;
use super::report::Fault;
use super::{Compiled, Member, Root};
use crate::json;
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyDict, PyFloat, PyInt, PyList, PyString, PyTuple};
use regex::Regex;
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
    /// Compiles the core schema of a parameter that is the whole body.
    ///
    /// # Errors
    /// [`Unsupported`] if nothing would be decided.
    pub fn compile(schema: &Bound<'_, PyAny>) -> Result<Compiled, Unsupported> {
        let mut compiler = Compiler::new(schema.py())?;
        let root = compiler.node(schema.cast().map_err(PyErr::from)?, None)?;
        if compiler.is_opaque(&root) {
            return Err(compiler.unsupported());
        }
        Ok(compiler.finish(Root::Whole(root)))
    }

    /// Compiles the core schemas of parameters that are members of the body.
    ///
    /// # Errors
    /// [`Unsupported`] if nothing would be decided.
    pub fn compile_members(py: Python<'_>, members: Vec<MemberSchema<'_>>) -> Result<Compiled, Unsupported> {
        let mut compiler = Compiler::new(py)?;
        let mut compiled = Vec::with_capacity(members.len());
        for MemberSchema { alias, schema, is_required, validates_default } in members {
            compiler.path.push(alias.clone());
            let node = compiler.node(schema.cast().map_err(PyErr::from)?, None)?;
            compiler.path.pop();
            if compiler.is_opaque(&node) {
                return Err(compiler.unsupported());
            }
            let if_missing = match (is_required, validates_default) {
                (true, _) => IfMissing::Report,
                (false, true) => IfMissing::Ask,
                (false, false) => IfMissing::Accept,
            };
            compiled.push(Member { alias, node, if_missing });
        }
        Ok(compiler.finish(Root::Members(compiled)))
    }
}

/// Versions of pydantic-core whose rules these are. Others: every schema is unsupported, so that Pydantic judges.
const KNOWN_CORE_VERSIONS: &[&str] = &["2.41."];

type Schema<'py> = Bound<'py, PyDict>;
type Config<'a, 'py> = Option<&'a Bound<'py, PyDict>>;

struct Compiler<'py> {
    py: Python<'py>,
    known_error: Bound<'py, PyAny>,
    definitions: Vec<Node>,
    /// Index and schema of each definition.
    places: HashMap<String, (usize, Schema<'py>)>,
    json_mode_agrees: bool,
    left_to_pydantic: Vec<String>,
    /// Names of the fields that lead to the schema in hand, for reasons.
    path: Vec<String>,
}

impl<'py> Compiler<'py> {
    fn new(py: Python<'py>) -> Result<Self, Unsupported> {
        let core = py.import("pydantic_core")?;
        let version: String = core.getattr("__version__")?.extract()?;
        if !KNOWN_CORE_VERSIONS.iter().any(|known| version.starts_with(known)) {
            return Err(Unsupported {
                reason: format!("pydantic-core {version} is not a version whose rules are known"),
            });
        }
        Ok(Compiler {
            py,
            known_error: core.getattr("PydanticKnownError")?,
            definitions: Vec::new(),
            places: HashMap::new(),
            json_mode_agrees: true,
            left_to_pydantic: Vec::new(),
            path: Vec::new(),
        })
    }

    fn finish(self, root: Root) -> Compiled {
        Compiled {
            root,
            definitions: self.definitions,
            json_mode_agrees: self.json_mode_agrees,
            left_to_pydantic: self.left_to_pydantic,
        }
    }

    fn unsupported(mut self) -> Unsupported {
        let reason = self.left_to_pydantic.pop();
        Unsupported { reason: reason.unwrap_or_else(|| "nothing in the schema can be decided".to_owned()) }
    }

    /// True if whatever reaches the node is left to Pydantic.
    fn is_opaque(&self, node: &Node) -> bool {
        match node {
            Node::Opaque => true,
            Node::Default { inner, .. } | Node::After(inner) => self.is_opaque(inner),
            Node::Ref(target) => matches!(self.definitions.get(*target), Some(Node::Opaque)),
            _ => false,
        }
    }

    fn opaque(&mut self, reason: &str) -> PyResult<Node> {
        self.json_mode_agrees = false;
        let place = if self.path.is_empty() { "the body".to_owned() } else { self.path.join(".") };
        self.left_to_pydantic.push(format!("{place}: {reason}"));
        Ok(Node::Opaque)
    }

    fn node(&mut self, schema: &Schema<'py>, config: Config<'_, 'py>) -> PyResult<Node> {
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
            "model-fields" => self.fields(schema, config, "model_attributes_type"),
            "typed-dict" => {
                let own = optional(schema, "config")?.map(|own| own.cast_into::<PyDict>()).transpose()?;
                self.fields(schema, own.as_ref().or(config), "dict_type")
            }
            "nullable" => Ok(Node::Nullable(Box::new(self.inner(schema, config)?))),
            "default" => self.default(schema, config),
            "function-after" => {
                self.json_mode_agrees = false;
                Ok(Node::After(Box::new(self.inner(schema, config)?)))
            }
            "union" => self.union(schema, config),
            "tagged-union" => self.tagged(schema, config),
            "definitions" => self.definitions(schema, config),
            "definition-ref" => self.reference(schema),
            "json-or-python" => {
                self.json_mode_agrees = false;
                self.node(require(schema, "python_schema")?.cast()?, config)
            }
            "lax-or-strict" if !is_strict(schema, config)? => {
                self.json_mode_agrees = false;
                self.node(require(schema, "lax_schema")?.cast()?, config)
            }
            "function-before" | "function-wrap" | "function-plain" => self
                .opaque("a validator written in Python sees the value first; an `after` validator would not"),
            _ => self.opaque(&format!("values of the kind `{kind}` are judged by Pydantic")),
        }
    }

    fn inner(&mut self, schema: &Schema<'py>, config: Config<'_, 'py>) -> PyResult<Node> {
        self.node(require(schema, "schema")?.cast()?, config)
    }

    fn bool(&mut self, schema: &Schema<'py>, config: Config<'_, 'py>) -> PyResult<Node> {
        Ok(Node::Bool(Bool {
            is_strict: is_strict(schema, config)?,
            wrong_type: self.fault("bool_type", &[])?,
            unparsable: self.fault("bool_parsing", &[])?,
        }))
    }

    fn int(&mut self, schema: &Schema<'py>, config: Config<'_, 'py>) -> PyResult<Node> {
        let mut limits = Vec::new();
        for (key, kind) in LIMITS {
            limits.push(match optional(schema, key)? {
                None => None,
                Some(limit) => match whole_number(&limit) {
                    Some(number) if number != 0 || *key != "multiple_of" => {
                        Some((number, self.fault(kind, &[(key, number.into_pyobject(self.py)?.into_any())])?))
                    }
                    _ => return self.opaque(&format!("`{key}` is not a whole number of 64 bits")),
                },
            });
        }
        let [multiple_of, le, lt, ge, gt] = take_limits(limits)?;
        Ok(Node::Int(Box::new(Int {
            is_strict: is_strict(schema, config)?,
            multiple_of,
            le,
            lt,
            ge,
            gt,
            faults: IntFaults {
                wrong_type: self.fault("int_type", &[])?,
                unparsable: self.fault("int_parsing", &[])?,
                too_large: self.fault("int_parsing_size", &[])?,
                fractional: self.fault("int_from_float", &[])?,
                not_finite: self.fault("finite_number", &[])?,
            },
        })))
    }

    fn float(&mut self, schema: &Schema<'py>, config: Config<'_, 'py>) -> PyResult<Node> {
        let mut limits = Vec::new();
        for (key, kind) in LIMITS {
            limits.push(match optional(schema, key)? {
                None => None,
                Some(limit) => {
                    let number: f64 = limit.extract()?;
                    if !number.is_finite() {
                        return self.opaque(&format!("`{key}` is not a finite number"));
                    }
                    Some((number, self.fault(kind, &[(key, PyFloat::new(self.py, number).into_any())])?))
                }
            });
        }
        let [multiple_of, le, lt, ge, gt] = take_limits(limits)?;
        Ok(Node::Float(Box::new(Float {
            is_strict: is_strict(schema, config)?,
            allows_inf_nan: flag(schema, config, "allow_inf_nan", "allow_inf_nan")?.unwrap_or(true),
            multiple_of,
            le,
            lt,
            ge,
            gt,
            wrong_type: self.fault("float_type", &[])?,
            unparsable: self.fault("float_parsing", &[])?,
            not_finite: self.fault("finite_number", &[])?,
        })))
    }

    fn str(&mut self, schema: &Schema<'py>, config: Config<'_, 'py>) -> PyResult<Node> {
        let pattern = match optional(schema, "pattern")? {
            None => None,
            Some(pattern) => {
                let engine = setting(schema, config, "regex_engine", "regex_engine")?;
                let is_rust = engine.is_none_or(|engine| engine.to_string() == "rust-regex");
                let text = pattern.cast::<PyString>().ok().map(|text| text.to_string());
                match text.and_then(|text| Regex::new(&text).ok()) {
                    Some(regex) if is_rust => {
                        Some((regex, self.fault("string_pattern_mismatch", &[("pattern", pattern)])?))
                    }
                    _ => return self.opaque("its pattern is one for Python's `re`"),
                }
            }
        };
        let coerces_numbers =
            flag(schema, config, "coerce_numbers_to_str", "coerce_numbers_to_str")?.unwrap_or(false);
        self.json_mode_agrees &= !coerces_numbers;
        let limit = |key, config_key, kind| -> PyResult<Option<(usize, Fault)>> {
            let Some(limit) = setting(schema, config, key, config_key)? else { return Ok(None) };
            Ok(Some((limit.extract()?, self.fault(kind, &[(key, limit)])?)))
        };
        Ok(Node::Str(Box::new(Str {
            coerces_numbers,
            strips: flag(schema, config, "strip_whitespace", "str_strip_whitespace")?.unwrap_or(false),
            min_length: limit("min_length", "str_min_length", "string_too_short")?,
            max_length: limit("max_length", "str_max_length", "string_too_long")?,
            pattern,
            wrong_type: self.fault("string_type", &[])?,
        })))
    }

    fn literal(&mut self, schema: &Schema<'py>) -> PyResult<Node> {
        let values = require(schema, "expected")?.cast_into::<PyList>()?;
        let Some(expected) = expected(&values)? else {
            return self.opaque("a literal holds something other than strings, integers, booleans and None");
        };
        let shown = shown(&values)?;
        Ok(Node::Literal(Literal { expected, other: self.fault("literal_error", &[("expected", shown)])? }))
    }

    fn enumeration(&mut self, schema: &Schema<'py>, config: Config<'_, 'py>) -> PyResult<Node> {
        let members = require(schema, "members")?.cast_into::<PyList>()?;
        let class = require(schema, "cls")?;
        let values = PyList::empty(self.py);
        for member in members.iter() {
            values.append(member.getattr("value")?)?;
        }
        let is_plain = is_plain_enum(&class, values.len()).unwrap_or(false);
        if is_strict(schema, config)? || optional(schema, "missing")?.is_some() || !is_plain {
            return self.opaque("an enum that is strict, or looks values up in its own way");
        }
        let sub_type: Option<String> =
            optional(schema, "sub_type")?.map(|kind| kind.extract()).transpose()?;
        let found = expected(&values)?.filter(|found| !found.has_true && !found.has_false && !found.has_none);
        let (Some(expected), Some(kind)) = (
            found,
            match sub_type.as_deref() {
                Some("str") => Some(EnumKind::Str),
                Some("int") => Some(EnumKind::Int),
                None => Some(EnumKind::Plain),
                Some(_) => None,
            },
        ) else {
            return self.opaque("an enum whose values are not strings or integers");
        };
        let is_mixed = match kind {
            EnumKind::Str => !expected.integers.is_empty(),
            EnumKind::Int => !expected.strings.is_empty(),
            EnumKind::Plain => false,
        };
        if is_mixed {
            return self.opaque("an enum whose values are not all of its own type");
        }
        let shown = shown(&values)?;
        Ok(Node::Enum(Enum { kind, expected, other: self.fault("enum", &[("expected", shown)])? }))
    }

    fn list(&mut self, schema: &Schema<'py>, config: Config<'_, 'py>) -> PyResult<Node> {
        let items = match optional(schema, "items_schema")? {
            Some(items) => match self.node(items.cast()?, config)? {
                Node::Any => None,
                node => Some(Box::new(node)),
            },
            None => None,
        };
        Ok(Node::List(List {
            items,
            lengths: self.lengths(schema, "List")?,
            fails_fast: flag(schema, None, "fail_fast", "")?.unwrap_or(false),
            wrong_type: self.fault("list_type", &[])?,
        }))
    }

    fn set(&mut self, schema: &Schema<'py>, config: Config<'_, 'py>, kind: &str) -> PyResult<Node> {
        if is_strict(schema, config)? {
            return self.opaque("a strict set takes no JSON array");
        }
        if optional(schema, "min_length")?.is_some() || optional(schema, "max_length")?.is_some() {
            return self.opaque("the length of a set is known only after its items are compared");
        }
        let items = match optional(schema, "items_schema")? {
            Some(items) => self.node(items.cast()?, config)?,
            None => Node::Any,
        };
        if !matches!(items, Node::Str(_) | Node::Int(_) | Node::Float(_) | Node::Bool(_) | Node::Literal(_)) {
            return self.opaque("a set of items that may not be hashable");
        }
        Ok(Node::Set(Set {
            items: Box::new(items),
            fails_fast: flag(schema, None, "fail_fast", "")?.unwrap_or(false),
            wrong_type: self.fault(if kind == "set" { "set_type" } else { "frozen_set_type" }, &[])?,
        }))
    }

    fn tuple(&mut self, schema: &Schema<'py>, config: Config<'_, 'py>) -> PyResult<Node> {
        if is_strict(schema, config)? {
            return self.opaque("a strict tuple takes no JSON array");
        }
        let mut head = Vec::new();
        for (index, item) in require(schema, "items_schema")?.cast_into::<PyList>()?.iter().enumerate() {
            self.path.push(index.to_string());
            head.push(self.node(item.cast()?, config)?);
            self.path.pop();
        }
        let count = head.len();
        let repeated = match optional(schema, "variadic_item_index")? {
            None => None,
            Some(at) if at.extract::<usize>()? + 1 == count => head.pop(),
            Some(_) => return self.opaque("a tuple with items after the one that repeats"),
        };
        let too_long = match repeated {
            Some(_) => None,
            None => Some(self.too_long("Tuple", &count.into_pyobject(self.py)?.into_any())?),
        };
        Ok(Node::Tuple(Box::new(Tuple {
            head,
            repeated,
            lengths: self.lengths(schema, "Tuple")?,
            too_long,
            fails_fast: flag(schema, None, "fail_fast", "")?.unwrap_or(false),
            wrong_type: self.fault("tuple_type", &[])?,
            missing: self.fault("missing", &[])?,
        })))
    }

    fn dict(&mut self, schema: &Schema<'py>, config: Config<'_, 'py>) -> PyResult<Node> {
        let mut part = |key: &str| match optional(schema, key)? {
            Some(part) => self.node(part.cast()?, config),
            None => Ok(Node::Any),
        };
        let keys = part("keys_schema")?;
        let values = part("values_schema")?;
        let lengths = self.lengths(schema, "Dictionary")?;
        let keeps_keys_apart = match &keys {
            Node::Any | Node::Literal(_) => true,
            Node::Str(str) => {
                !str.strips
                    && !flag(schema, config, "", "str_to_lower")?.unwrap_or(false)
                    && !flag(schema, config, "", "str_to_upper")?.unwrap_or(false)
                    && !changes_case(schema)?
            }
            _ => false,
        };
        if !keeps_keys_apart {
            // The keys of JSON-mode are strings of another kind.
            self.json_mode_agrees = false;
            if lengths.min.is_some() || lengths.max.is_some() {
                return self.opaque("the length of a dict is known only after its keys are converted");
            }
        }
        Ok(Node::Dict(Box::new(Dict {
            keys,
            values,
            lengths,
            fails_fast: flag(schema, None, "fail_fast", "")?.unwrap_or(false),
            wrong_type: self.fault("dict_type", &[])?,
        })))
    }

    fn model(&mut self, schema: &Schema<'py>) -> PyResult<Node> {
        if flag(schema, None, "custom_init", "")?.unwrap_or(false) {
            return self.opaque("the model has an `__init__` of its own");
        }
        let class = require(schema, "cls")?;
        // A model's own configuration, or none: never that of the model around it.
        let config = optional(schema, "config")?.map(|config| config.cast_into::<PyDict>()).transpose()?;
        let inner = self.node(require(schema, "schema")?.cast()?, config.as_ref())?;
        match optional(schema, "post_init")? {
            Some(name) if !is_private_init(&class, &name)? => {
                self.json_mode_agrees = false;
                Ok(Node::After(Box::new(inner)))
            }
            _ => Ok(inner),
        }
    }

    fn fields(&mut self, schema: &Schema<'py>, config: Config<'_, 'py>, wrong_type: &str) -> PyResult<Node> {
        let by_alias = flag(schema, config, "", "validate_by_alias")?.unwrap_or(true);
        let by_name = flag(schema, config, "", "validate_by_name")?.unwrap_or(false);
        let is_located_by_key = flag(schema, config, "", "loc_by_alias")?.unwrap_or(true);
        let is_total = flag(schema, config, "total", "typed_dict_total")?.unwrap_or(true);
        let mut fields = Vec::new();
        for (name, field) in require(schema, "fields")?.cast_into::<PyDict>()?.iter() {
            let name: String = name.extract()?;
            let field = field.cast_into::<PyDict>()?;
            let alias = match optional(&field, "validation_alias")?.map(|alias| alias.extract::<String>()) {
                None => None,
                Some(Ok(alias)) => Some(alias),
                Some(Err(_)) => return self.opaque("a field has an alias that is a path or a choice"),
            };
            let keys = match (alias, by_alias, by_name) {
                (_, false, false) => return self.opaque("neither aliases nor names are looked up"),
                (Some(alias), true, true) => vec![alias, name.clone()],
                (Some(alias), true, false) => vec![alias],
                _ => vec![name.clone()],
            };
            self.path.push(name.clone());
            let inner = require(&field, "schema")?;
            let node = self.node(inner.cast()?, config)?;
            let mut if_missing = match &node {
                Node::Default { if_missing, .. } => *if_missing,
                // Its target may have a default.
                Node::Ref(_) => self.reference_if_missing(inner.cast()?)?,
                _ => IfMissing::Report,
            };
            self.path.pop();
            let is_required = if wrong_type == "dict_type" {
                flag(&field, None, "required", "")?.unwrap_or(is_total)
            } else {
                true
            };
            if if_missing == IfMissing::Report && !is_required {
                if_missing = IfMissing::Accept;
            }
            fields.push(Field { keys, name, is_located_by_key, node, if_missing });
        }
        let behaviour = setting(schema, config, "extra_behavior", "extra_fields_behavior")?;
        let extra = match behaviour.map(|behaviour| behaviour.to_string()).as_deref() {
            None | Some("ignore") => Extra::Ignore,
            Some("forbid") => Extra::Forbid(self.fault("extra_forbidden", &[])?),
            Some(_) if optional(schema, "extras_keys_schema")?.is_some() => {
                return self.opaque("the names of extra fields are validated")
            }
            Some(_) => match optional(schema, "extras_schema")? {
                Some(extras) => Extra::Check(self.node(extras.cast()?, config)?),
                None => Extra::Ignore,
            },
        };
        Ok(Node::Fields(Box::new(Fields {
            fields,
            extra,
            wrong_type: self.fault(wrong_type, &[])?,
            missing: self.fault("missing", &[])?,
        })))
    }

    fn default(&mut self, schema: &Schema<'py>, config: Config<'_, 'py>) -> PyResult<Node> {
        if optional(schema, "on_error")?.is_some_and(|on_error| on_error.to_string() != "raise") {
            return self.opaque("an error is replaced by a default");
        }
        let takes_data = flag(schema, None, "default_factory_takes_data", "")?.unwrap_or(false);
        let has_default = schema.contains("default")? || schema.contains("default_factory")?;
        let if_missing = if !has_default {
            IfMissing::Report
        } else if takes_data || flag(schema, config, "validate_default", "validate_default")?.unwrap_or(false)
        {
            IfMissing::Ask
        } else {
            IfMissing::Accept
        };
        Ok(Node::Default { inner: Box::new(self.inner(schema, config)?), if_missing })
    }

    fn union(&mut self, schema: &Schema<'py>, config: Config<'_, 'py>) -> PyResult<Node> {
        if has_custom_error(schema)? {
            return self.opaque("a union with an error of its own");
        }
        // Which choice wins differs between JSON and Python input.
        self.json_mode_agrees = false;
        let choices = require(schema, "choices")?.cast_into::<PyList>()?;
        let mut compiled = Vec::with_capacity(choices.len());
        for choice in choices.iter() {
            let (choice, label) = match choice.cast::<PyTuple>() {
                Ok(pair) => (pair.get_item(0)?, Some(pair.get_item(1)?.to_string())),
                Err(_) => (choice, None),
            };
            let choice = choice.cast_into::<PyDict>()?;
            let Some(label) = label.map_or_else(|| self.label(&choice, config), |label| Ok(Some(label)))?
            else {
                return self.opaque("a union whose choices refer to a recursive type");
            };
            compiled.push((label, self.node(&choice, config)?));
        }
        let collapses = flag(schema, None, "auto_collapse", "")?.unwrap_or(true);
        if compiled.len() == 1 && collapses {
            return Ok(compiled.remove(0).1);
        }
        Ok(Node::Union(compiled))
    }

    /// The name under which a union reports a choice's errors, as pydantic-core gives it.
    fn label(&mut self, choice: &Schema<'py>, config: Config<'_, 'py>) -> PyResult<Option<String>> {
        let kind = require(choice, "type")?.to_string();
        match kind.as_str() {
            "model" => require(choice, "cls")?.getattr("__name__")?.extract().map(Some),
            "definition-ref" => {
                let target: String = require(choice, "schema_ref")?.extract()?;
                match self.places.get(&target).map(|(_, schema)| schema.clone()) {
                    Some(schema) if require(&schema, "type")?.eq("model")? => self.label(&schema, config),
                    _ => Ok(None),
                }
            }
            _ if refers(choice.as_any())? => Ok(None),
            _ => {
                // A title in the configuration would stand for the name.
                let config = config.map(|config| config.copy()).transpose()?;
                if let Some(config) = &config {
                    config.call_method1("pop", ("title", self.py.None()))?;
                }
                let validator =
                    self.py.import("pydantic_core")?.getattr("SchemaValidator")?.call1((choice, config))?;
                validator.getattr("title")?.extract().map(Some)
            }
        }
    }

    fn tagged(&mut self, schema: &Schema<'py>, config: Config<'_, 'py>) -> PyResult<Node> {
        let Ok(key) = require(schema, "discriminator")?.extract::<String>() else {
            return self.opaque("a union is discriminated by a function or an alias path");
        };
        if has_custom_error(schema)? || is_strict(schema, config)? {
            return self.opaque("a discriminated union that is strict or has an error of its own");
        }
        let mut choices = Vec::new();
        let mut tags = Vec::new();
        for (tag, choice) in require(schema, "choices")?.cast_into::<PyDict>()?.iter() {
            let (true, Ok(choice)) = (tag.is_exact_instance_of::<PyString>(), choice.cast_into::<PyDict>())
            else {
                return self.opaque("a union is discriminated by something other than strings");
            };
            tags.push(tag.repr()?.to_string());
            let node = self.node(&choice, config)?;
            choices.push((tag.extract()?, node));
        }
        let discriminator = PyString::new(self.py, &format!("'{key}'")).into_any();
        let tags = PyString::new(self.py, &tags.join(", ")).into_any();
        let hole = PyString::new(self.py, TAG_HOLE).into_any();
        Ok(Node::Tagged(Box::new(Tagged {
            key,
            choices,
            wrong_type: self.fault("model_attributes_type", &[])?,
            no_tag: self.fault("union_tag_not_found", &[("discriminator", discriminator.clone())])?,
            other_tag: self.fault_with_hole(
                "union_tag_invalid",
                &[("discriminator", discriminator), ("tag", hole), ("expected_tags", tags)],
                TAG_HOLE,
            )?,
        })))
    }

    fn definitions(&mut self, schema: &Schema<'py>, config: Config<'_, 'py>) -> PyResult<Node> {
        let mut own = Vec::new();
        for definition in require(schema, "definitions")?.cast_into::<PyList>()?.iter() {
            let definition = definition.cast_into::<PyDict>()?;
            let name: String = require(&definition, "ref")?.extract()?;
            let place = self.definitions.len();
            self.definitions.push(Node::Opaque);
            self.places.insert(name, (place, definition.clone()));
            own.push((place, definition));
        }
        for (place, definition) in own {
            let node = self.node(&definition, config)?;
            self.definitions[place] = node;
        }
        self.inner(schema, config)
    }

    fn reference(&mut self, schema: &Schema<'py>) -> PyResult<Node> {
        let target: String = require(schema, "schema_ref")?.extract()?;
        match self.places.get(&target) {
            Some((place, _)) => Ok(Node::Ref(*place)),
            None => self.opaque("a type that the schema does not define"),
        }
    }

    fn reference_if_missing(&self, schema: &Schema<'py>) -> PyResult<IfMissing> {
        let target: String = require(schema, "schema_ref")?.extract()?;
        let kind = match self.places.get(&target) {
            Some((_, schema)) => require(schema, "type")?.to_string(),
            None => String::new(),
        };
        let may_have_default = matches!(kind.as_str(), "" | "default" | "definition-ref");
        Ok(if may_have_default { IfMissing::Ask } else { IfMissing::Report })
    }

    fn lengths(&mut self, schema: &Schema<'py>, name: &str) -> PyResult<Lengths> {
        let min = match optional(schema, "min_length")? {
            None => None,
            Some(min) => {
                let context = [
                    ("field_type", PyString::new(self.py, name).into_any()),
                    ("min_length", min.clone()),
                    ("actual_length", NUMBER_HOLE.into_pyobject(self.py)?.into_any()),
                ];
                Some((min.extract()?, self.fault_with_hole("too_short", &context, &NUMBER_HOLE.to_string())?))
            }
        };
        let max = match optional(schema, "max_length")? {
            None => None,
            Some(max) => Some((max.extract()?, self.too_long(name, &max)?)),
        };
        Ok(Lengths { min, max })
    }

    fn too_long(&mut self, name: &str, max: &Bound<'py, PyAny>) -> PyResult<Fault> {
        let context = [
            ("field_type", PyString::new(self.py, name).into_any()),
            ("max_length", max.clone()),
            ("actual_length", NUMBER_HOLE.into_pyobject(self.py)?.into_any()),
        ];
        self.fault_with_hole("too_long", &context, &NUMBER_HOLE.to_string())
    }

    fn fault(&self, kind: &str, context: &[(&str, Bound<'py, PyAny>)]) -> PyResult<Fault> {
        self.fault_with_hole(kind, context, "")
    }

    /// Renders an error as FastAPI will write it, cut open wherever `hole` stands.
    fn fault_with_hole(
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
        head.extend_from_slice(b",\"loc\":[\"body\"");
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

/// Stands in a rendered error for a length known only with the input.
const NUMBER_HOLE: u32 = 4_039_254_617;

/// Stands in a rendered error for the tag that was sent.
const TAG_HOLE: &str = "turboapi-tag-4039254617";

/// Limits of a number in the order in which they are checked, with their errors.
const LIMITS: &[(&str, &str)] = &[
    ("multiple_of", "multiple_of"),
    ("le", "less_than_equal"),
    ("lt", "less_than"),
    ("ge", "greater_than_equal"),
    ("gt", "greater_than"),
];

type Limits<T> = [Option<(T, Fault)>; 5];

fn take_limits<T>(limits: Vec<Option<(T, Fault)>>) -> PyResult<Limits<T>> {
    limits.try_into().map_err(|_| pyo3::exceptions::PyAssertionError::new_err("five limits"))
}

fn optional<'py>(schema: &Schema<'py>, key: &str) -> PyResult<Option<Bound<'py, PyAny>>> {
    Ok(schema.get_item(key)?.filter(|value| !value.is_none()))
}

fn require<'py>(schema: &Schema<'py>, key: &str) -> PyResult<Bound<'py, PyAny>> {
    schema.get_item(key)?.ok_or_else(|| pyo3::exceptions::PyKeyError::new_err(key.to_owned()))
}

/// A key of the schema, or of the configuration under its own name there.
fn setting<'py>(
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

fn flag(schema: &Schema<'_>, config: Config<'_, '_>, key: &str, config_key: &str) -> PyResult<Option<bool>> {
    let own = optional(schema, key)?;
    let inherited = match (&own, config) {
        (None, Some(config)) => optional(config, config_key)?.map(|value| value.extract()).transpose()?,
        _ => None,
    };
    own.map_or(Ok(inherited), |value| value.extract().map(Some))
}

fn is_strict(schema: &Schema<'_>, config: Config<'_, '_>) -> PyResult<bool> {
    Ok(flag(schema, config, "strict", "strict")?.unwrap_or(false))
}

fn has_custom_error(schema: &Schema<'_>) -> PyResult<bool> {
    schema.contains("custom_error_type")
}

/// True if the keys of a dict change case, so that two of them may become one.
fn changes_case(schema: &Schema<'_>) -> PyResult<bool> {
    let Some(keys) = optional(schema, "keys_schema")? else { return Ok(false) };
    let keys = keys.cast::<PyDict>()?;
    Ok(flag(keys, None, "to_lower", "")?.unwrap_or(false)
        || flag(keys, None, "to_upper", "")?.unwrap_or(false))
}

/// True if there is a reference to a definition somewhere in the schema.
fn refers(schema: &Bound<'_, PyAny>) -> PyResult<bool> {
    if let Ok(dict) = schema.cast::<PyDict>() {
        if optional(dict, "type")?.is_some_and(|kind| kind.eq("definition-ref").unwrap_or(true)) {
            return Ok(true);
        }
        for (_, value) in dict.iter() {
            if refers(&value)? {
                return Ok(true);
            }
        }
    } else if let Ok(list) = schema.cast::<PyList>() {
        for value in list.iter() {
            if refers(&value)? {
                return Ok(true);
            }
        }
    }
    Ok(false)
}

fn whole_number(limit: &Bound<'_, PyAny>) -> Option<i64> {
    if limit.is_exact_instance_of::<PyInt>() {
        return limit.extract().ok();
    }
    let number = limit.cast_exact::<PyFloat>().ok()?.value();
    (number.fract() == 0.0 && number.abs() < 1e15).then_some(number as i64)
}

/// The values of a literal or an enum; `None` if one is of a type that is not compared here.
fn expected(values: &Bound<'_, PyList>) -> PyResult<Option<Expected>> {
    let mut expected = Expected::default();
    for value in values.iter() {
        if value.is_none() {
            expected.has_none = true;
        } else if let Ok(bool) = value.cast_exact::<PyBool>() {
            match bool.is_true() {
                true => expected.has_true = true,
                false => expected.has_false = true,
            }
        } else if value.is_exact_instance_of::<PyString>() {
            expected.strings.insert(value.extract()?);
        } else if let (true, Ok(number)) = (value.is_exact_instance_of::<PyInt>(), value.extract()) {
            expected.integers.insert(number);
        } else {
            return Ok(None);
        }
    }
    Ok(Some(expected))
}

/// `'a', 'b' or 'c'`, as errors list what is expected.
fn shown<'py>(values: &Bound<'py, PyList>) -> PyResult<Bound<'py, PyAny>> {
    let mut texts = values.iter().map(|value| Ok(value.repr()?.to_string())).collect::<PyResult<Vec<_>>>()?;
    let last = texts.pop().unwrap_or_default();
    let text = if texts.is_empty() { last } else { format!("{} or {last}", texts.join(", ")) };
    Ok(PyString::new(values.py(), &text).into_any())
}

/// True if calling the class finds a member by its value and in no other way.
fn is_plain_enum(class: &Bound<'_, PyAny>, members: usize) -> PyResult<bool> {
    let module = class.py().import("enum")?;
    let root = module.getattr("Enum")?;
    let is_flag = class.cast::<pyo3::types::PyType>()?.is_subclass(&module.getattr("Flag")?)?;
    let own_lookup = class
        .getattr("_missing_")?
        .getattr("__func__")?
        .is(&root.getattr("_missing_")?.getattr("__func__")?);
    let own_class = class.get_type().is(&module.getattr("EnumType")?);
    let values = class.getattr("_value2member_map_")?.len()?;
    Ok(!is_flag && own_lookup && own_class && values == members)
}

/// True if what runs after validation is Pydantic's own set-up of private attributes.
fn is_private_init(class: &Bound<'_, PyAny>, name: &Bound<'_, PyAny>) -> PyResult<bool> {
    let function = class.getattr(name.cast::<PyString>()?)?;
    Ok(function.getattr("__module__")?.to_string() == "pydantic._internal._model_construction")
}
