//! Scalars, literals and enums of a core schema.
//!
//! Owns: their limits, with the errors rendered beforehand. Does not own: how strings count as numbers (`super::super::scalar`).
//! Spec: `bool.rs int.rs float.rs string.rs literal.rs enum_.rs` in pydantic-core 2.41, `src/validators`.

use super::{flag, is_strict, optional, require, setting, Compiler, Config, Schema};
use crate::validate::node::*;
use crate::validate::report::Fault;
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyFloat, PyInt, PyList, PyString};
use regex::Regex;

impl<'py> Compiler<'py> {
    pub(super) fn bool(&mut self, schema: &Schema<'py>, config: Config<'_, 'py>) -> PyResult<Node> {
        Ok(Node::Bool(Bool {
            is_strict: is_strict(schema, config)?,
            wrong_type: self.fault("bool_type", &[])?,
            unparsable: self.fault("bool_parsing", &[])?,
        }))
    }

    pub(super) fn int(&mut self, schema: &Schema<'py>, config: Config<'_, 'py>) -> PyResult<Node> {
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

    pub(super) fn float(&mut self, schema: &Schema<'py>, config: Config<'_, 'py>) -> PyResult<Node> {
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

    pub(super) fn str(&mut self, schema: &Schema<'py>, config: Config<'_, 'py>) -> PyResult<Node> {
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
        let case = match (
            flag(schema, config, "to_lower", "str_to_lower")?,
            flag(schema, config, "to_upper", "str_to_upper")?,
        ) {
            (Some(true), _) => Some(Case::Lower),
            (_, Some(true)) => Some(Case::Upper),
            _ => None,
        };
        let limit = |key, config_key, kind| -> PyResult<Option<(usize, Fault)>> {
            let Some(limit) = setting(schema, config, key, config_key)? else { return Ok(None) };
            Ok(Some((limit.extract()?, self.fault(kind, &[(key, limit)])?)))
        };
        Ok(Node::Str(Box::new(Str {
            coerces_numbers,
            strips: flag(schema, config, "strip_whitespace", "str_strip_whitespace")?.unwrap_or(false),
            case,
            min_length: limit("min_length", "str_min_length", "string_too_short")?,
            max_length: limit("max_length", "str_max_length", "string_too_long")?,
            pattern,
            wrong_type: self.fault("string_type", &[])?,
        })))
    }

    pub(super) fn literal(&mut self, schema: &Schema<'py>) -> PyResult<Node> {
        let values = require(schema, "expected")?.cast_into::<PyList>()?;
        let Some(expected) = expected(&values, self.next_object())? else {
            return self.opaque("a literal holds something other than strings, integers, booleans and None");
        };
        for value in values.iter() {
            self.object(value);
        }
        let other = self.fault("literal_error", &[("expected", shown(&values)?)])?;
        Ok(Node::Literal(Literal { expected, maker: self.maker(schema, None), other }))
    }

    pub(super) fn enumeration(&mut self, schema: &Schema<'py>, config: Config<'_, 'py>) -> PyResult<Node> {
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
        let found = expected(&values, self.next_object())?
            .filter(|found| found.true_.is_none() && found.false_.is_none() && found.none.is_none());
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
        for member in members.iter() {
            self.object(member);
        }
        let other = self.fault("enum", &[("expected", shown(&values)?)])?;
        Ok(Node::Enum(Enum { kind, expected, maker: self.maker(schema, config), other }))
    }
}

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

fn whole_number(limit: &Bound<'_, PyAny>) -> Option<i64> {
    if limit.is_exact_instance_of::<PyInt>() {
        return limit.extract().ok();
    }
    let number = limit.cast_exact::<PyFloat>().ok()?.value();
    (number.fract() == 0.0 && number.abs() < 1e15).then_some(number as i64)
}

/// The values of a literal or an enum, whose objects will stand from `first` on; `None` if one is of a type that is not
/// compared here.
fn expected(values: &Bound<'_, PyList>, first: u32) -> PyResult<Option<Expected>> {
    let mut expected = Expected { first, ..Expected::default() };
    for (index, value) in (0u32..).zip(values.iter()) {
        if value.is_none() {
            expected.none = Some(index);
        } else if let Ok(bool) = value.cast_exact::<PyBool>() {
            match bool.is_true() {
                true => expected.true_ = Some(index),
                false => expected.false_ = Some(index),
            }
        } else if value.is_exact_instance_of::<PyString>() {
            expected.strings.insert(value.extract()?, index);
        } else if let (true, Ok(number)) = (value.is_exact_instance_of::<PyInt>(), value.extract()) {
            expected.integers.insert(number, index);
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
