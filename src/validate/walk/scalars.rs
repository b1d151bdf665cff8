//! Scalars, literals and enums in a walk.
//!
//! Owns: their verdicts. Does not own: how strings count as numbers (`validate::scalar`).
//! Spec: `bool.rs int.rs float.rs string.rs literal.rs enum_.rs` in pydantic-core 2.41, `src/validators`.

use super::{Judged, Unsure, Walk};
use crate::json::parse::Value;
use crate::validate::node::*;
use crate::validate::report::Path;
use crate::validate::scalar::{float_as_int, str_as_bool, str_as_float, str_as_int, Integer, NotInteger};
use crate::validate::tape::Entry;
use std::borrow::Cow;
use std::cmp::Ordering;

impl Walk<'_> {
    pub(super) fn bool(&mut self, bool: &Bool, value: &Value<'_>, path: &Path<'_>) -> Judged {
        let parsed = match value {
            Value::Bool(bool) => Some(*bool),
            _ if bool.is_strict => return self.fault(&bool.wrong_type, value, path),
            Value::Str(text) => str_as_bool(text),
            Value::Int(number) => zero_or_one(*number),
            Value::Float(number) => match float_as_int(*number) {
                Ok(number) => zero_or_one(number),
                Err(_) => return self.fault(&bool.wrong_type, value, path),
            },
            _ => return self.fault(&bool.wrong_type, value, path),
        };
        match parsed {
            Some(parsed) => self.accept(Entry::Bool(parsed)),
            None => self.fault(&bool.unparsable, value, path),
        }
    }

    pub(super) fn int(&mut self, int: &Int, value: &Value<'_>, path: &Path<'_>) -> Judged {
        let number = match value {
            Value::Int(number) => Ok(Integer::Small(*number)),
            Value::BigInt(digits) => Ok(Integer::Big(Cow::Borrowed(digits))),
            _ if int.is_strict => return self.fault(&int.faults.wrong_type, value, path),
            Value::Bool(bool) => Ok(Integer::Small(i64::from(*bool))),
            Value::Str(text) => str_as_int(text),
            Value::Float(number) => float_as_int(*number).map(Integer::Small),
            _ => return self.fault(&int.faults.wrong_type, value, path),
        };
        let number = match number {
            Ok(number) => number,
            Err(NotInteger::Unsure) => return Err(Unsure),
            Err(NotInteger::Unparsable) => return self.fault(&int.faults.unparsable, value, path),
            Err(NotInteger::TooLarge) => return self.fault(&int.faults.too_large, value, path),
            Err(NotInteger::Fractional) => return self.fault(&int.faults.fractional, value, path),
            Err(NotInteger::NotFinite) => return self.fault(&int.faults.not_finite, value, path),
        };
        if let Some((divisor, fault)) = &int.multiple_of {
            if !number.is_multiple_of(*divisor) {
                return self.fault(fault, value, path);
            }
        }
        let limits: [(_, IsWithin); 4] = [
            (&int.le, Ordering::is_le),
            (&int.lt, Ordering::is_lt),
            (&int.ge, Ordering::is_ge),
            (&int.gt, Ordering::is_gt),
        ];
        for (limit, is_within) in limits {
            if let Some((limit, fault)) = limit {
                if !is_within(number.cmp(*limit)) {
                    return self.fault(fault, value, path);
                }
            }
        }
        match number {
            Integer::Small(number) => self.accept(Entry::Int(number)),
            Integer::Big(digits) => {
                self.tape.big(&digits);
                Ok(true)
            }
        }
    }

    pub(super) fn float(&mut self, float: &Float, value: &Value<'_>, path: &Path<'_>) -> Judged {
        let number = match value {
            Value::Float(number) => *number,
            Value::Int(number) => *number as f64,
            // Python refuses an integer that no float comes near.
            Value::BigInt(digits) => match digits.parse::<f64>() {
                Ok(number) if number.is_finite() => number,
                _ => return self.fault(&float.wrong_type, value, path),
            },
            Value::Bool(bool) if !float.is_strict => f64::from(u8::from(*bool)),
            Value::Str(text) if !float.is_strict => match str_as_float(text) {
                Some(number) => number,
                None => return self.fault(&float.unparsable, value, path),
            },
            _ => return self.fault(&float.wrong_type, value, path),
        };
        if !float.allows_inf_nan && !number.is_finite() {
            return self.fault(&float.not_finite, value, path);
        }
        if let Some((divisor, fault)) = &float.multiple_of {
            let nearest = (number / divisor).round() * divisor;
            if (number - nearest).abs() > MULTIPLE_TOLERANCE {
                return self.fault(fault, value, path);
            }
        }
        let limits: [(_, IsWithin); 4] = [
            (&float.le, Ordering::is_le),
            (&float.lt, Ordering::is_lt),
            (&float.ge, Ordering::is_ge),
            (&float.gt, Ordering::is_gt),
        ];
        for (limit, is_within) in limits {
            if let Some((limit, fault)) = limit {
                if !number.partial_cmp(limit).is_some_and(is_within) {
                    return self.fault(fault, value, path);
                }
            }
        }
        self.accept(Entry::Float(number))
    }

    pub(super) fn str(&mut self, str: &Str, value: &Value<'_>, path: &Path<'_>) -> Judged {
        let text = match value {
            Value::Str(text) => *text,
            Value::Int(_) | Value::BigInt(_) | Value::Float(_) if str.coerces_numbers => {
                let is_changed = str.min_length.is_some()
                    || str.max_length.is_some()
                    || str.pattern.is_some()
                    || str.case.is_some();
                if is_changed {
                    return Err(Unsure);
                }
                // Printed by Python.
                self.tape.raw(value);
                return Ok(true);
            }
            _ => return self.fault(&str.wrong_type, value, path),
        };
        let text = if str.strips { text.trim() } else { text };
        if str.min_length.is_some() || str.max_length.is_some() {
            let length = text.chars().count();
            if let Some((min, fault)) = &str.min_length {
                if length < *min {
                    return self.fault(fault, value, path);
                }
            }
            if let Some((max, fault)) = &str.max_length {
                if length > *max {
                    return self.fault(fault, value, path);
                }
            }
        }
        if let Some((pattern, fault)) = &str.pattern {
            if !pattern.is_match(text) {
                return self.fault(fault, value, path);
            }
        }
        match str.case {
            None => self.tape.text(text),
            Some(Case::Lower) => self.tape.text(&text.to_lowercase()),
            Some(Case::Upper) => self.tape.text(&text.to_uppercase()),
        }
        Ok(true)
    }

    pub(super) fn literal(&mut self, literal: &Literal, value: &Value<'_>, path: &Path<'_>) -> Judged {
        match picked(&literal.expected, value) {
            Some(index) => self.accept(Entry::Pick(index)),
            None if is_expected(&literal.expected, value)? => self.leave_pick(value),
            None => self.fault(&literal.other, value, path),
        }
    }

    pub(super) fn enumeration(&mut self, members: &Enum, value: &Value<'_>, path: &Path<'_>) -> Judged {
        let expected = &members.expected;
        let found = match members.kind {
            EnumKind::Plain => match picked(expected, value) {
                None if is_expected(expected, value)? => return self.leave_pick(value),
                found => found,
            },
            EnumKind::Str => match value {
                Value::Str(text) => expected.strings.get(text),
                _ => None,
            },
            EnumKind::Int => enum_number(value)?.and_then(|number| expected.integers.get(&number).copied()),
        };
        match found {
            Some(index) => self.accept(Entry::Pick(index)),
            None => self.fault(&members.other, value, path),
        }
    }

    /// Valid, but Pydantic is to find what it is equal to.
    fn leave_pick(&mut self, value: &Value<'_>) -> Judged {
        self.tape.put(Entry::Raw);
        self.tape.raw(value);
        Ok(true)
    }
}

/// Whether a comparison with a limit is one that the limit allows.
type IsWithin = fn(Ordering) -> bool;

/// pydantic-core's own constant.
const MULTIPLE_TOLERANCE: f64 = 1e-9;

fn zero_or_one(number: i64) -> Option<bool> {
    match number {
        0 => Some(false),
        1 => Some(true),
        _ => None,
    }
}

/// The place of a value of the very same type.
fn picked(expected: &Expected, value: &Value<'_>) -> Option<u32> {
    match value {
        Value::Null => expected.none,
        Value::Bool(true) => expected.true_,
        Value::Bool(false) => expected.false_,
        Value::Int(number) => expected.integers.get(number).copied(),
        Value::Str(text) => expected.strings.get(text),
        _ => None,
    }
}

/// `LiteralLookup::validate`: beyond exact types, whatever Python holds equal (`1 == 1.0 == True`).
fn is_expected(expected: &Expected, value: &Value<'_>) -> Judged {
    Ok(match value {
        Value::Null => expected.none.is_some(),
        Value::Str(text) => expected.strings.get(text).is_some(),
        Value::Bool(bool) => is_number_expected(expected, i64::from(*bool)),
        Value::Int(number) => is_number_expected(expected, *number),
        // pydantic-core raises OverflowError, where it looks for integers at all.
        Value::BigInt(_) if !expected.integers.is_empty() => return Err(Unsure),
        Value::Float(number) => {
            float_as_int(*number).is_ok_and(|number| is_number_expected(expected, number))
        }
        _ => false,
    })
}

fn is_number_expected(expected: &Expected, number: i64) -> bool {
    expected.integers.contains_key(&number)
        || (number == 1 && expected.true_.is_some())
        || (number == 0 && expected.false_.is_some())
}

/// The integer that an enum of integers takes a value for.
fn enum_number(value: &Value<'_>) -> Result<Option<i64>, Unsure> {
    let number = match value {
        Value::Int(number) => Ok(*number),
        Value::Bool(bool) => Ok(i64::from(*bool)),
        Value::BigInt(_) => return Err(Unsure),
        Value::Float(number) => float_as_int(*number),
        Value::Str(text) => match str_as_int(text) {
            Ok(Integer::Small(number)) => Ok(number),
            Ok(Integer::Big(_)) | Err(NotInteger::Unsure) => return Err(Unsure),
            Err(fault) => Err(fault),
        },
        _ => return Ok(None),
    };
    Ok(number.ok())
}
