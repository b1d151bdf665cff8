//! Models, dataclasses, typed dicts and defaults of a core schema.
//!
//! Owns: the table of fields, and what a missing one amounts to. Does not own: dicts of any keys (`containers`).
//! Spec: `model.rs model_fields.rs dataclass.rs typed_dict.rs with_default.rs` in pydantic-core 2.41, `src/validators`.

use super::{flag, is_strict, optional, require, setting, Compiler, Config, Schema};
use crate::interp::Slot;
use crate::validate::node::*;
use crate::validate::report::Fault;
use crate::validate::Slots;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList, PySet, PyString, PyType};

impl<'py> Compiler<'py> {
    pub(super) fn model(&mut self, schema: &Schema<'py>) -> PyResult<Node> {
        if flag(schema, None, "custom_init", "")?.unwrap_or(false) {
            return self.opaque("the model has an `__init__` of its own");
        }
        let class = require(schema, "cls")?;
        // A model's own configuration, or none: never that of the model around it.
        let config = optional(schema, "config")?.map(|config| config.cast_into::<PyDict>()).transpose()?;
        let inner = require(schema, "schema")?.cast_into::<PyDict>()?;
        let post_init = optional(schema, "post_init")?;
        let private_init = match &post_init {
            Some(name) if is_private_init(&class, name)? => Some(name.clone()),
            _ => None,
        };
        let is_plain = !flag(schema, None, "root_model", "")?.unwrap_or(false)
            && require(&inner, "type")?.eq("model-fields")?;
        let slots = if is_plain { self.slots(&class)? } else { None };
        let judged = if let Some(slots) = slots {
            let has_private_init = private_init.is_some();
            let private_init = private_init.map(|name| self.object(name));
            let product = Product::Model { slots, class: self.object(class), private_init };
            let node = self.fields(&inner, config.as_ref(), "model_attributes_type", product)?;
            match post_init {
                Some(_) if !has_private_init => Node::After(Box::new(node)),
                _ => node,
            }
        } else {
            let node = match require(&inner, "type")?.eq("model-fields")? {
                true => self.fields(&inner, config.as_ref(), "model_attributes_type", Product::Other)?,
                false => self.node(&inner, config.as_ref())?,
            };
            match post_init {
                Some(_) if private_init.is_none() => Node::After(Box::new(node)),
                _ => Node::Made(Box::new(node), self.maker(schema, None)),
            }
        };
        Ok(judged)
    }

    /// Where the instances of a model keep what makes them one; `None` for a class that is not made as models are.
    fn slots(&mut self, class: &Bound<'py, PyAny>) -> PyResult<Option<u32>> {
        let Ok(class) = class.cast::<PyType>() else { return Ok(None) };
        let found = (
            Slot::find(class, "__dict__")?,
            Slot::find(class, "__pydantic_extra__")?,
            Slot::find(class, "__pydantic_private__")?,
            Slot::find(class, "__pydantic_fields_set__")?,
        );
        let (Some(dict), Some(extra), Some(private), Some(fields_set)) = found else { return Ok(None) };
        self.slots.push(Slots { dict, extra, private, fields_set });
        Ok(Some(self.slots.len() as u32 - 1))
    }

    /// `model-fields`, and `typed-dict`, which differs in its error for what is no object.
    pub(super) fn fields(
        &mut self,
        schema: &Schema<'py>,
        config: Config<'_, 'py>,
        wrong_type: &str,
        product: Product,
    ) -> PyResult<Node> {
        let may_be_left_out = wrong_type == "dict_type";
        let is_total = flag(schema, config, "total", "typed_dict_total")?.unwrap_or(true);
        let mut fields = Vec::new();
        for (name, field) in require(schema, "fields")?.cast_into::<PyDict>()?.iter() {
            let field_schema = field.cast_into::<PyDict>()?;
            let Some(mut field) = self.field(name.extract()?, &field_schema, config)? else {
                return Ok(Node::Opaque);
            };
            let is_required =
                !may_be_left_out || flag(&field_schema, None, "required", "")?.unwrap_or(is_total);
            if field.if_missing == IfMissing::Report && !is_required {
                field.if_missing = IfMissing::Accept;
            }
            fields.push(field);
        }
        let wrong_type = self.fault(wrong_type, &[])?;
        self.members(schema, config, fields, product, wrong_type, "extra_forbidden")
    }

    /// A dataclass, made from the keyword arguments that an object is taken for.
    pub(super) fn dataclass(&mut self, schema: &Schema<'py>) -> PyResult<Node> {
        // Its own configuration, or none: never that of the type around it.
        let config = optional(schema, "config")?.map(|config| config.cast_into::<PyDict>()).transpose()?;
        if is_strict(schema, config.as_ref())? {
            return self.opaque("a strict dataclass takes no JSON object");
        }
        let inner = require(schema, "schema")?.cast_into::<PyDict>()?;
        let is_args = require(&inner, "type")?.eq("dataclass-args")?;
        if flag(schema, None, "post_init", "")?.unwrap_or(false) {
            let node = match is_args {
                true => self.dataclass_args(&inner, config.as_ref(), Product::Other)?,
                false => self.node(&inner, config.as_ref())?,
            };
            return Ok(Node::After(Box::new(node)));
        }
        let class = require(schema, "cls")?;
        let slot = match class.cast::<PyType>() {
            Ok(class)
                if is_args
                    && !flag(schema, None, "slots", "")?.unwrap_or(false)
                    && !has_init_only(&inner)? =>
            {
                Slot::find(class, "__dict__")?
            }
            _ => None,
        };
        let Some(slot) = slot else {
            let node = match is_args {
                true => self.dataclass_args(&inner, config.as_ref(), Product::Other)?,
                false => self.node(&inner, config.as_ref())?,
            };
            return Ok(Node::Made(Box::new(node), self.maker(schema, None)));
        };
        self.dict_slots.push(slot);
        let dict = self.dict_slots.len() as u32 - 1;
        let product = Product::Dataclass { class: self.object(class), dict };
        self.dataclass_args(&inner, config.as_ref(), product)
    }

    /// The fields of a dataclass.
    pub(super) fn dataclass_args(
        &mut self,
        schema: &Schema<'py>,
        config: Config<'_, 'py>,
        product: Product,
    ) -> PyResult<Node> {
        let mut fields = Vec::new();
        for field in require(schema, "fields")?.cast_into::<PyList>()?.iter() {
            let field_schema = field.cast_into::<PyDict>()?;
            let name = require(&field_schema, "name")?.extract()?;
            let Some(mut field) = self.field(name, &field_schema, config)? else { return Ok(Node::Opaque) };
            if !flag(&field_schema, None, "init", "")?.unwrap_or(true) {
                // Never taken from the input, and missing without an error.
                field.keys.clear();
                if field.if_missing == IfMissing::Report {
                    field.if_missing = IfMissing::Accept;
                }
            }
            fields.push(field);
        }
        let wrong_type =
            self.fault("dataclass_type", &[("class_name", require(schema, "dataclass_name")?)])?;
        self.members(schema, config, fields, product, wrong_type, "unexpected_keyword_argument")
    }

    /// One field; `None` where its aliases are beyond us, which is then noted.
    fn field(
        &mut self,
        name: String,
        field: &Schema<'py>,
        config: Config<'_, 'py>,
    ) -> PyResult<Option<Field>> {
        let by_alias = flag(field, config, "", "validate_by_alias")?.unwrap_or(true);
        let by_name = flag(field, config, "", "validate_by_name")?.unwrap_or(false);
        let alias = match optional(field, "validation_alias")?.map(|alias| alias.extract::<String>()) {
            None => None,
            Some(Ok(alias)) => Some(alias),
            Some(Err(_)) => {
                self.opaque(&format!("the alias of `{name}` is a path or a choice"))?;
                return Ok(None);
            }
        };
        let keys = match (alias, by_alias, by_name) {
            (_, false, false) => {
                self.opaque("neither aliases nor names are looked up")?;
                return Ok(None);
            }
            (Some(alias), true, true) => vec![alias, name.clone()],
            (Some(alias), true, false) => vec![alias],
            _ => vec![name.clone()],
        };
        self.path.push(name.clone());
        let inner = require(field, "schema")?;
        let node = self.node(inner.cast()?, config)?;
        let if_missing = match &node {
            Node::Default { if_missing, .. } => *if_missing,
            // Its target may have a default.
            Node::Ref(_) => self.reference_if_missing(inner.cast()?)?,
            // So may what was not compiled.
            Node::Opaque if require(inner.cast()?, "type")?.eq("default")? => IfMissing::Ask,
            _ => IfMissing::Report,
        };
        self.path.pop();
        let is_located_by_key = flag(field, config, "", "loc_by_alias")?.unwrap_or(true);
        let name_object = self.object(PyString::intern(self.py, &name).into_any());
        Ok(Some(Field { keys, name, name_object, is_located_by_key, node, if_missing }))
    }

    fn members(
        &mut self,
        schema: &Schema<'py>,
        config: Config<'_, 'py>,
        fields: Vec<Field>,
        product: Product,
        wrong_type: Fault,
        if_extra: &str,
    ) -> PyResult<Node> {
        let behaviour = setting(schema, config, "extra_behavior", "extra_fields_behavior")?;
        let extra = match behaviour.map(|behaviour| behaviour.to_string()).as_deref() {
            None | Some("ignore") => Extra::Ignore,
            Some("forbid") => Extra::Forbid(self.fault(if_extra, &[])?),
            Some(_) if optional(schema, "extras_keys_schema")?.is_some() => {
                return self.opaque("the names of extra fields are validated")
            }
            Some(_) => match optional(schema, "extras_schema")? {
                Some(extras) => Extra::Check(self.node(extras.cast()?, config)?),
                None => Extra::Keep,
            },
        };
        let missing = self.fault("missing", &[])?;
        Ok(Node::Fields(Box::new(Fields { fields, extra, product, wrong_type, missing })))
    }

    pub(super) fn default(&mut self, schema: &Schema<'py>, config: Config<'_, 'py>) -> PyResult<Node> {
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
        let default = self.default_value(schema, takes_data)?;
        Ok(Node::Default { inner: Box::new(self.inner(schema, config)?), if_missing, default })
    }

    fn default_value(&mut self, schema: &Schema<'py>, takes_data: bool) -> PyResult<Default> {
        if let Some(factory) = schema.get_item("default_factory")?.filter(|_| !takes_data) {
            return Ok(match () {
                () if factory.is(self.py.get_type::<PyList>()) => Default::List,
                () if factory.is(self.py.get_type::<PyDict>()) => Default::Dict,
                () if factory.is(self.py.get_type::<PySet>()) => Default::Set,
                () => Default::Call(self.object(factory)),
            });
        }
        let Some(value) = schema.get_item("default")? else { return Ok(Default::Absent) };
        let is_hashable = value.hash().is_ok();
        let value = self.object(value);
        Ok(if is_hashable { Default::Same(value) } else { Default::Copy(value) })
    }

    pub(super) fn reference_if_missing(&self, schema: &Schema<'py>) -> PyResult<IfMissing> {
        let target: String = require(schema, "schema_ref")?.extract()?;
        let kind = match self.places.get(&target) {
            Some((_, schema)) => require(schema, "type")?.to_string(),
            None => String::new(),
        };
        let may_have_default = matches!(kind.as_str(), "" | "default" | "definition-ref");
        Ok(if may_have_default { IfMissing::Ask } else { IfMissing::Report })
    }
}

/// True if a field of a dataclass is for its `__init__` alone, and so is not kept.
fn has_init_only(arguments: &Schema<'_>) -> PyResult<bool> {
    for field in require(arguments, "fields")?.cast_into::<PyList>()?.iter() {
        if flag(field.cast()?, None, "init_only", "")?.unwrap_or(false) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// True if what runs after validation is Pydantic's own set-up of private attributes.
fn is_private_init(class: &Bound<'_, PyAny>, name: &Bound<'_, PyAny>) -> PyResult<bool> {
    let function = class.getattr(name.cast::<PyString>()?)?;
    Ok(function.getattr("__module__")?.to_string() == "pydantic._internal._model_construction")
}
