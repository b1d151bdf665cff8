//! Lists, sets, tuples and dicts of a core schema.
//!
//! Owns: their lengths and parts. Does not own: objects with named fields (`objects`).
//! Spec: `list.rs set.rs tuple.rs dict.rs` in pydantic-core 2.41, `src/validators`.

use super::{flag, is_strict, optional, require, Compiler, Config, Schema};
use crate::validate::node::*;
use crate::validate::report::Fault;
use pyo3::prelude::*;
use pyo3::types::{PyList, PyString};

impl<'py> Compiler<'py> {
    pub(super) fn list(&mut self, schema: &Schema<'py>, config: Config<'_, 'py>) -> PyResult<Node> {
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

    pub(super) fn set(
        &mut self,
        schema: &Schema<'py>,
        config: Config<'_, 'py>,
        kind: &str,
    ) -> PyResult<Node> {
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
        let is_hashable = matches!(
            items,
            Node::Any
                | Node::Str(_)
                | Node::Int(_)
                | Node::Float(_)
                | Node::Bool(_)
                | Node::Literal(_)
                | Node::Enum(_)
        );
        if !is_hashable {
            return self.opaque("a set of items that may not be hashable");
        }
        Ok(Node::Set(Set {
            items: Box::new(items),
            is_frozen: kind == "frozenset",
            fails_fast: flag(schema, None, "fail_fast", "")?.unwrap_or(false),
            wrong_type: self.fault(if kind == "set" { "set_type" } else { "frozen_set_type" }, &[])?,
            unhashable: self.fault("set_item_not_hashable", &[])?,
        }))
    }

    pub(super) fn tuple(&mut self, schema: &Schema<'py>, config: Config<'_, 'py>) -> PyResult<Node> {
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

    pub(super) fn dict(&mut self, schema: &Schema<'py>, config: Config<'_, 'py>) -> PyResult<Node> {
        let mut part = |key: &str| match optional(schema, key)? {
            Some(part) => self.node(part.cast()?, config),
            None => Ok(Node::Any),
        };
        let keys = part("keys_schema")?;
        let values = part("values_schema")?;
        let lengths = self.lengths(schema, "Dictionary")?;
        let keeps_keys_apart = match &keys {
            Node::Any | Node::Literal(_) => true,
            Node::Str(str) => !str.strips && str.case.is_none(),
            _ => false,
        };
        if !keeps_keys_apart && (lengths.min.is_some() || lengths.max.is_some()) {
            return self.opaque("the length of a dict is known only after its keys are converted");
        }
        Ok(Node::Dict(Box::new(Dict {
            keys,
            values,
            lengths,
            fails_fast: flag(schema, None, "fail_fast", "")?.unwrap_or(false),
            wrong_type: self.fault("dict_type", &[])?,
        })))
    }

    pub(super) fn lengths(&mut self, schema: &Schema<'py>, name: &str) -> PyResult<Lengths> {
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

    pub(super) fn too_long(&mut self, name: &str, max: &Bound<'py, PyAny>) -> PyResult<Fault> {
        let context = [
            ("field_type", PyString::new(self.py, name).into_any()),
            ("max_length", max.clone()),
            ("actual_length", NUMBER_HOLE.into_pyobject(self.py)?.into_any()),
        ];
        self.fault_with_hole("too_long", &context, &NUMBER_HOLE.to_string())
    }
}

/// Stands in a rendered error for a length known only with the input.
const NUMBER_HOLE: u32 = 4_039_254_617;
