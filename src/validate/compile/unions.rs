//! Unions of a core schema, plain and discriminated.
//!
//! Owns: the labels under which choices report their errors. Does not own: the choices themselves.
//! Spec: `union.rs` in pydantic-core 2.41, `src/validators`.

use super::{flag, has_custom_error, is_strict, optional, require, Compiler, Config, Schema};
use crate::validate::node::*;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList, PyString, PyTuple};

impl<'py> Compiler<'py> {
    pub(super) fn union(&mut self, schema: &Schema<'py>, config: Config<'_, 'py>) -> PyResult<Node> {
        if has_custom_error(schema)? {
            return self.opaque("a union with an error of its own");
        }
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
        let is_ordered = optional(schema, "mode")?.is_some_and(|mode| mode.to_string() == "left_to_right");
        Ok(Node::Union(Box::new(Union { choices: compiled, is_ordered, maker: self.maker(schema, config) })))
    }

    /// The name under which a union reports a choice's errors, as pydantic-core gives it.
    pub(super) fn label(
        &mut self,
        choice: &Schema<'py>,
        config: Config<'_, 'py>,
    ) -> PyResult<Option<String>> {
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
            _ => self.derived_label(choice, config),
        }
    }

    /// The name that pydantic-core derives, read from a validator of the choice alone; `None` where the choice refers to
    /// a definition that is still being made, since its name then depends on how far that has come.
    fn derived_label(&mut self, choice: &Schema<'py>, config: Config<'_, 'py>) -> PyResult<Option<String>> {
        let schema = PyDict::new(self.py);
        if refers(choice.as_any())? {
            let (false, Some(definitions)) = (self.is_defining, &self.raw_definitions) else {
                return Ok(None);
            };
            schema.set_item("type", "definitions")?;
            schema.set_item("schema", choice)?;
            schema.set_item("definitions", definitions)?;
        } else {
            schema.update(choice.as_mapping())?;
        }
        // A title in the configuration would stand for the name.
        let config = config.map(|config| config.copy()).transpose()?;
        if let Some(config) = &config {
            config.call_method1("pop", ("title", self.py.None()))?;
        }
        let validator =
            self.py.import("pydantic_core")?.getattr("SchemaValidator")?.call1((schema, config))?;
        validator.getattr("title")?.extract().map(Some)
    }

    pub(super) fn tagged(&mut self, schema: &Schema<'py>, config: Config<'_, 'py>) -> PyResult<Node> {
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
}

/// Stands in a rendered error for the tag that was sent.
const TAG_HOLE: &str = "turboapi-tag-4039254617";

/// True if there is a reference to a definition somewhere in the schema.
pub(super) fn refers(schema: &Bound<'_, PyAny>) -> PyResult<bool> {
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
