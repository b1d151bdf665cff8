//! The walk of a body over a compiled schema.
//!
//! Owns: the verdict of each node. Does not own: how errors look (`report`), how strings count as numbers (`scalar`).
//! Rule: each function follows the validator of the same name in pydantic-core 2.41, errors in the same order.

use super::node::*;
use super::report::{Fault, Mark, Path, Report, Step};
use super::scalar::{float_as_int, str_as_bool, str_as_float, str_as_int, Integer, NotInteger};
use super::Member;
use crate::json::parse::Value;
use std::borrow::Cow;
use std::cmp::Ordering;
use std::collections::{HashMap, HashSet};

/// Pydantic is to judge.
#[derive(Debug)]
pub(super) struct Unsure;

/// True if valid; if not, the errors are in the report.
type Judged = Result<bool, Unsure>;

pub(super) struct Walk<'a> {
    definitions: &'a [Node],
    report: &'a mut Report,
}

impl<'a> Walk<'a> {
    pub fn new(definitions: &'a [Node], report: &'a mut Report) -> Self {
        Walk { definitions, report }
    }

    /// The body as one parameter.
    pub fn whole(&mut self, node: &Node, body: &Value<'_>) -> Judged {
        self.node(node, body, &Path { parent: None, step: Step::Body })
    }

    /// The body's members as parameters: the loop of FastAPI's `request_body_to_args`.
    pub fn members(&mut self, members: &[Member], body: &Value<'_>) -> Judged {
        let root = Path { parent: None, step: Step::Body };
        let mut is_valid = true;
        for member in members {
            let path = Path { parent: Some(&root), step: Step::Key(&member.alias) };
            let found = match body {
                Value::Object(entries) => entries.iter().find(|(key, _)| *key == member.alias),
                // Nothing to look into, so even what has a default is reported.
                _ => {
                    is_valid = self.fault(&member.missing, &Value::Null, &path)?;
                    continue;
                }
            };
            is_valid &= match (found, member.if_missing) {
                (Some((_, value)), _) => self.node(&member.node, value, &path)?,
                (None, IfMissing::Accept) => true,
                (None, IfMissing::Report) => self.fault(&member.missing, &Value::Null, &path)?,
                (None, IfMissing::Ask) => return Err(Unsure),
            };
        }
        Ok(is_valid)
    }

    fn node(&mut self, node: &Node, value: &Value<'_>, path: &Path<'_>) -> Judged {
        match node {
            Node::Opaque => Err(Unsure),
            Node::Any => Ok(true),
            Node::Recognised(recognise) => match recognise(value) {
                true => Ok(true),
                false => Err(Unsure),
            },
            Node::Null(other) => match value {
                Value::Null => Ok(true),
                _ => self.fault(other, value, path),
            },
            Node::Bool(bool) => self.bool(bool, value, path),
            Node::Int(int) => self.int(int, value, path),
            Node::Float(float) => self.float(float, value, path),
            Node::Str(str) => self.str(str, value, path),
            Node::Literal(literal) => match is_expected(&literal.expected, value)? {
                true => Ok(true),
                false => self.fault(&literal.other, value, path),
            },
            Node::Enum(members) => match is_member(members, value)? {
                true => Ok(true),
                false => self.fault(&members.other, value, path),
            },
            Node::List(list) => self.list(list, value, path),
            Node::Set(set) => self.set(set, value, path),
            Node::Tuple(tuple) => self.tuple(tuple, value, path),
            Node::Dict(dict) => self.dict(dict, value, path),
            Node::Fields(fields) => self.fields(fields, value, path),
            Node::Nullable(inner) => match value {
                Value::Null => Ok(true),
                _ => self.node(inner, value, path),
            },
            Node::Default { inner, .. } => self.node(inner, value, path),
            Node::After(inner) => match self.node(inner, value, path)? {
                true => Err(Unsure),
                false => Ok(false),
            },
            Node::Union(choices) => self.union(choices, value, path),
            Node::Tagged(tagged) => self.tagged(tagged, value, path),
            Node::Ref(target) => self.node(self.definitions.get(*target).ok_or(Unsure)?, value, path),
        }
    }

    fn fault(&mut self, fault: &Fault, value: &Value<'_>, path: &Path<'_>) -> Judged {
        self.report.push(fault, path, value)?;
        Ok(false)
    }

    fn bool(&mut self, bool: &Bool, value: &Value<'_>, path: &Path<'_>) -> Judged {
        let parsed = match value {
            Value::Bool(_) => return Ok(true),
            _ if bool.is_strict => return self.fault(&bool.wrong_type, value, path),
            Value::Str(text) => str_as_bool(text).is_some(),
            Value::Int(number) => matches!(number, 0 | 1),
            Value::Float(number) => match float_as_int(*number) {
                Ok(number) => matches!(number, 0 | 1),
                Err(_) => return self.fault(&bool.wrong_type, value, path),
            },
            _ => return self.fault(&bool.wrong_type, value, path),
        };
        match parsed {
            true => Ok(true),
            false => self.fault(&bool.unparsable, value, path),
        }
    }

    fn int(&mut self, int: &Int, value: &Value<'_>, path: &Path<'_>) -> Judged {
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
        Ok(true)
    }

    fn float(&mut self, float: &Float, value: &Value<'_>, path: &Path<'_>) -> Judged {
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
        Ok(true)
    }

    fn str(&mut self, str: &Str, value: &Value<'_>, path: &Path<'_>) -> Judged {
        let text = match value {
            Value::Str(text) => text.as_ref(),
            Value::Int(_) | Value::BigInt(_) | Value::Float(_) if str.coerces_numbers => {
                let is_limited =
                    str.min_length.is_some() || str.max_length.is_some() || str.pattern.is_some();
                return if is_limited { Err(Unsure) } else { Ok(true) };
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
        match &str.pattern {
            Some((pattern, fault)) if !pattern.is_match(text) => self.fault(fault, value, path),
            _ => Ok(true),
        }
    }

    fn list(&mut self, list: &List, value: &Value<'_>, path: &Path<'_>) -> Judged {
        let Value::Array(items) = value else { return self.fault(&list.wrong_type, value, path) };
        let Some(node) = &list.items else { return self.lengths(&list.lengths, items.len(), value, path) };
        let mark = self.report.mark();
        for (index, item) in items.iter().enumerate() {
            let is_valid = self.node(node, item, &step(path, Step::Index(index)))?;
            // Counted while it goes: one item too many ends it, and its error is then the only one.
            if let Some((max, fault)) = &list.lengths.max {
                if index >= *max {
                    self.report.forget_since(mark);
                    return self.length_fault(fault, items.len(), value, path);
                }
            }
            if !is_valid && list.fails_fast {
                return Ok(false);
            }
        }
        if !self.report.is_empty_since(mark) {
            return Ok(false);
        }
        match &list.lengths.min {
            Some((min, fault)) if items.len() < *min => self.length_fault(fault, items.len(), value, path),
            _ => Ok(true),
        }
    }

    fn set(&mut self, set: &Set, value: &Value<'_>, path: &Path<'_>) -> Judged {
        let Value::Array(items) = value else { return self.fault(&set.wrong_type, value, path) };
        let mut is_valid = true;
        for (index, item) in items.iter().enumerate() {
            let here = step(path, Step::Index(index));
            is_valid &= match (&*set.items, item) {
                (Node::Any, Value::Array(_) | Value::Object(_)) => {
                    self.fault(&set.unhashable, item, &here)?
                }
                (node, item) => self.node(node, item, &here)?,
            };
            if !is_valid && set.fails_fast {
                return Ok(false);
            }
        }
        Ok(is_valid)
    }

    fn tuple(&mut self, tuple: &Tuple, value: &Value<'_>, path: &Path<'_>) -> Judged {
        let Value::Array(items) = value else { return self.fault(&tuple.wrong_type, value, path) };
        let mark = self.report.mark();
        let mut accepted = 0;
        for (index, node) in tuple.head.iter().enumerate() {
            let here = step(path, Step::Index(index));
            match items.get(index) {
                Some(item) => accepted += usize::from(self.node(node, item, &here)?),
                None => match self.if_missing(node) {
                    IfMissing::Accept => accepted += 1,
                    IfMissing::Ask => return Err(Unsure),
                    IfMissing::Report => self.report.push(&tuple.missing, &here, value)?,
                },
            }
            if let Some(judged) = self.tuple_ends_early(tuple, accepted, items.len(), mark, value, path) {
                return judged;
            }
        }
        let rest = items.get(tuple.head.len()..).unwrap_or_default();
        match (&tuple.repeated, &tuple.too_long) {
            (Some(node), _) => {
                for (index, item) in rest.iter().enumerate() {
                    let here = step(path, Step::Index(tuple.head.len() + index));
                    accepted += usize::from(self.node(node, item, &here)?);
                    if let Some(judged) =
                        self.tuple_ends_early(tuple, accepted, items.len(), mark, value, path)
                    {
                        return judged;
                    }
                }
            }
            (None, Some(fault)) if !rest.is_empty() => {
                self.report.forget_since(mark);
                return self.length_fault(fault, items.len(), value, path);
            }
            _ => {}
        }
        if let Some((min, fault)) = &tuple.lengths.min {
            if accepted < *min {
                self.length_fault(fault, accepted, value, path)?;
            }
        }
        Ok(self.report.is_empty_since(mark))
    }

    fn tuple_ends_early(
        &mut self,
        tuple: &Tuple,
        accepted: usize,
        length: usize,
        mark: Mark,
        value: &Value<'_>,
        path: &Path<'_>,
    ) -> Option<Judged> {
        if let Some((max, fault)) = &tuple.lengths.max {
            if accepted > *max {
                self.report.forget_since(mark);
                return Some(self.length_fault(fault, length, value, path));
            }
        }
        // What Pydantic still checks after a fast failure is not worth following.
        let has_failed_fast = tuple.fails_fast && !self.report.is_empty_since(mark);
        has_failed_fast.then_some(Err(Unsure))
    }

    fn dict(&mut self, dict: &Dict, value: &Value<'_>, path: &Path<'_>) -> Judged {
        let Value::Object(entries) = value else { return self.fault(&dict.wrong_type, value, path) };
        let mut is_valid = true;
        for (key, item) in entries {
            let here = step(path, Step::Key(key));
            let as_value = Value::Str(Cow::Borrowed(key.as_ref()));
            is_valid &= self.node(&dict.keys, &as_value, &step(&here, Step::Key("[key]")))?;
            if !is_valid && dict.fails_fast {
                return Ok(false);
            }
            is_valid &= self.node(&dict.values, item, &here)?;
            if !is_valid && dict.fails_fast {
                return Ok(false);
            }
        }
        match is_valid {
            true => self.lengths(&dict.lengths, entries.len(), value, path),
            false => Ok(false),
        }
    }

    fn fields(&mut self, fields: &Fields, value: &Value<'_>, path: &Path<'_>) -> Judged {
        let Value::Object(entries) = value else { return self.fault(&fields.wrong_type, value, path) };
        let entries = Entries::new(entries);
        let mut is_valid = true;
        let mut used: HashSet<&str> = HashSet::new();
        for field in &fields.fields {
            let found = field.keys.iter().find_map(|key| Some((key.as_str(), entries.find(key)?)));
            let Some((key, item)) = found else {
                match field.if_missing {
                    IfMissing::Accept => {}
                    IfMissing::Ask => return Err(Unsure),
                    IfMissing::Report => {
                        let name = if field.is_located_by_key { field.keys.first() } else { None };
                        let here = step(path, Step::Key(name.unwrap_or(&field.name)));
                        is_valid = self.fault(&fields.missing, value, &here)?;
                    }
                }
                continue;
            };
            if !matches!(fields.extra, Extra::Ignore) {
                used.insert(key);
            }
            let here = step(path, Step::Key(if field.is_located_by_key { key } else { &field.name }));
            is_valid &= self.node(&field.node, item, &here)?;
        }
        if let Extra::Ignore = fields.extra {
            return Ok(is_valid);
        }
        for (key, item) in entries.all {
            if used.contains(key.as_ref()) {
                continue;
            }
            let here = step(path, Step::Key(key));
            is_valid &= match &fields.extra {
                Extra::Ignore => true,
                Extra::Forbid(fault) => self.fault(fault, item, &here)?,
                Extra::Check(node) => self.node(node, item, &here)?,
            };
        }
        Ok(is_valid)
    }

    fn union(&mut self, choices: &[(String, Node)], value: &Value<'_>, path: &Path<'_>) -> Judged {
        let mark = self.report.mark();
        for (label, node) in choices {
            if self.node(node, value, &step(path, Step::Key(label)))? {
                self.report.forget_since(mark);
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn tagged(&mut self, tagged: &Tagged, value: &Value<'_>, path: &Path<'_>) -> Judged {
        let Value::Object(entries) = value else { return self.fault(&tagged.wrong_type, value, path) };
        let Some(tag) = Entries::new(entries).find(&tagged.key) else {
            return self.fault(&tagged.no_tag, value, path);
        };
        let mut shown = Vec::new();
        match tag {
            Value::Str(tag) => {
                if let Some((_, node)) = tagged.choices.iter().find(|(name, _)| *name == *tag) {
                    return self.node(node, value, &step(path, Step::Key(tag)));
                }
                crate::json::escape::push_utf8(&mut shown, tag);
                // Without its quotes: it goes into texts.
                shown.pop();
                shown.remove(0);
            }
            // As `str()` prints them.
            Value::Null => shown.extend_from_slice(b"None"),
            Value::Bool(true) => shown.extend_from_slice(b"True"),
            Value::Bool(false) => shown.extend_from_slice(b"False"),
            Value::Int(number) => shown.extend_from_slice(itoa::Buffer::new().format(*number).as_bytes()),
            _ => return Err(Unsure),
        }
        self.report.push_filled(&tagged.other_tag, path, value, &shown)?;
        Ok(false)
    }

    fn lengths(&mut self, lengths: &Lengths, length: usize, value: &Value<'_>, path: &Path<'_>) -> Judged {
        match (&lengths.min, &lengths.max) {
            (Some((min, fault)), _) if length < *min => self.length_fault(fault, length, value, path),
            (_, Some((max, fault))) if length > *max => self.length_fault(fault, length, value, path),
            _ => Ok(true),
        }
    }

    fn length_fault(&mut self, fault: &Fault, length: usize, value: &Value<'_>, path: &Path<'_>) -> Judged {
        self.report.push_filled(fault, path, value, itoa::Buffer::new().format(length).as_bytes())?;
        Ok(false)
    }

    fn if_missing(&self, node: &Node) -> IfMissing {
        match node {
            Node::Default { if_missing, .. } => *if_missing,
            Node::Opaque | Node::Ref(_) => IfMissing::Ask,
            _ => IfMissing::Report,
        }
    }
}

/// Whether a comparison with a limit is one that the limit allows.
type IsWithin = fn(Ordering) -> bool;

/// pydantic-core's own constant.
const MULTIPLE_TOLERANCE: f64 = 1e-9;

fn step<'a>(parent: &'a Path<'a>, step: Step<'a>) -> Path<'a> {
    Path { parent: Some(parent), step }
}

/// `LiteralLookup::validate`: exact types first, then whatever Python holds equal (`1 == 1.0 == True`).
fn is_expected(expected: &Expected, value: &Value<'_>) -> Judged {
    Ok(match value {
        Value::Null => expected.has_none,
        Value::Str(text) => expected.strings.contains(text.as_ref()),
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
    expected.integers.contains(&number)
        || (number == 1 && expected.has_true)
        || (number == 0 && expected.has_false)
}

fn is_member(members: &Enum, value: &Value<'_>) -> Judged {
    let expected = &members.expected;
    match members.kind {
        EnumKind::Plain => is_expected(expected, value),
        EnumKind::Str => Ok(matches!(value, Value::Str(text) if expected.strings.contains(text.as_ref()))),
        EnumKind::Int => {
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
                _ => return Ok(false),
            };
            Ok(number.is_ok_and(|number| expected.integers.contains(&number)))
        }
    }
}

/// An object's members, hashed if there are many, since each field looks for its own.
struct Entries<'a, 'b> {
    all: &'a [(Cow<'b, str>, Value<'b>)],
    by_key: Option<HashMap<&'a str, usize>>,
}

impl<'a, 'b> Entries<'a, 'b> {
    fn new(all: &'a [(Cow<'b, str>, Value<'b>)]) -> Self {
        let by_key = (all.len() > MANY_MEMBERS)
            .then(|| all.iter().enumerate().map(|(index, (key, _))| (key.as_ref(), index)).collect());
        Entries { all, by_key }
    }

    fn find(&self, key: &str) -> Option<&'a Value<'b>> {
        match &self.by_key {
            Some(by_key) => by_key.get(key).map(|&index| &self.all[index].1),
            None => self.all.iter().find(|(name, _)| *name == key).map(|(_, value)| value),
        }
    }
}

/// Members from which hashing pays.
const MANY_MEMBERS: usize = 32;
