//! Lists, sets, tuples and dicts in a walk.
//!
//! Owns: their verdicts and lengths. Does not own: objects with named fields (`walk`).
//! Spec: `list.rs set.rs tuple.rs dict.rs` in pydantic-core 2.41, `src/validators`.

use super::{step, Judged, Unsure, Walk};
use crate::json::parse::Value;
use crate::validate::node::*;
use crate::validate::report::{Fault, Mark, Path, Step};
use crate::validate::tape::Entry;

impl Walk<'_> {
    pub(super) fn list(&mut self, list: &List, value: &Value<'_>, path: &Path<'_>) -> Judged {
        let Value::Array(items) = value else { return self.fault(&list.wrong_type, value, path) };
        let Some(node) = &list.items else {
            self.tape.raw(value);
            return self.lengths(&list.lengths, items.len(), value, path);
        };
        let mark = self.report.mark();
        self.tape.put(Entry::Array(items.len() as u32));
        for (index, item) in items.iter().enumerate() {
            let is_valid = self.node(node, &item, &step(path, Step::Index(index)))?;
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

    pub(super) fn set(&mut self, set: &Set, value: &Value<'_>, path: &Path<'_>) -> Judged {
        let Value::Array(items) = value else { return self.fault(&set.wrong_type, value, path) };
        let mut is_valid = true;
        self.tape.put(Entry::Array(items.len() as u32));
        for (index, item) in items.iter().enumerate() {
            let here = step(path, Step::Index(index));
            is_valid &= match (&*set.items, &item) {
                (Node::Any, Value::Array(_) | Value::Object(_)) => {
                    self.fault(&set.unhashable, &item, &here)?
                }
                (node, item) => self.node(node, item, &here)?,
            };
            if !is_valid && set.fails_fast {
                return Ok(false);
            }
        }
        Ok(is_valid)
    }

    pub(super) fn tuple(&mut self, tuple: &Tuple, value: &Value<'_>, path: &Path<'_>) -> Judged {
        let Value::Array(items) = value else { return self.fault(&tuple.wrong_type, value, path) };
        let mark = self.report.mark();
        let mut accepted = 0;
        let more = items.len().saturating_sub(tuple.head.len());
        let repeats = if tuple.repeated.is_some() { more } else { 0 };
        let mut rest = items.iter();
        self.tape.put(Entry::Array((tuple.head.len() + repeats) as u32));
        for (index, node) in tuple.head.iter().enumerate() {
            let here = step(path, Step::Index(index));
            match rest.next() {
                Some(item) => accepted += usize::from(self.node(node, &item, &here)?),
                None => match self.if_missing(node) {
                    IfMissing::Accept => {
                        self.tape.put(Entry::Missing);
                        accepted += 1;
                    }
                    IfMissing::Ask => return Err(Unsure),
                    IfMissing::Report => self.report.push(&tuple.missing, &here, value)?,
                },
            }
            if let Some(judged) = self.tuple_ends_early(tuple, accepted, items.len(), mark, value, path) {
                return judged;
            }
        }
        match (&tuple.repeated, &tuple.too_long) {
            (Some(node), _) => {
                for (index, item) in rest.enumerate() {
                    let here = step(path, Step::Index(tuple.head.len() + index));
                    accepted += usize::from(self.node(node, &item, &here)?);
                    if let Some(judged) =
                        self.tuple_ends_early(tuple, accepted, items.len(), mark, value, path)
                    {
                        return judged;
                    }
                }
            }
            (None, Some(fault)) if more > 0 => {
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

    pub(super) fn dict(&mut self, dict: &Dict, value: &Value<'_>, path: &Path<'_>) -> Judged {
        let Value::Object(entries) = value else { return self.fault(&dict.wrong_type, value, path) };
        let mut is_valid = true;
        self.tape.put(Entry::Object(entries.len() as u32));
        for (key, item) in entries.iter() {
            let here = step(path, Step::Key(key));
            is_valid &= self.node(&dict.keys, &Value::Str(key), &step(&here, Step::Key("[key]")))?;
            if !is_valid && dict.fails_fast {
                return Ok(false);
            }
            is_valid &= self.node(&dict.values, &item, &here)?;
            if !is_valid && dict.fails_fast {
                return Ok(false);
            }
        }
        match is_valid {
            true => self.lengths(&dict.lengths, entries.len(), value, path),
            false => Ok(false),
        }
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
