//! Unions, plain and discriminated, in a walk.
//!
//! Owns: their verdicts, and the choice where it is certain. Does not own: the choices themselves.
//! Rule: of a union in its smart mode, a choice is certain if it is the only valid one, or if it takes a scalar just as it
//! was sent and those before it did not; otherwise Pydantic chooses.
//! Spec: `union.rs` in pydantic-core 2.41, `src/validators`.

use super::{step, Judged, Unsure, Walk};
use crate::json::parse::Value;
use crate::validate::node::*;
use crate::validate::report::{Path, Step};
use crate::validate::tape::{Entry, TapeMark};

impl Walk<'_> {
    pub(super) fn union(&mut self, union: &Union, value: &Value<'_>, path: &Path<'_>) -> Judged {
        if self.report.is_muted {
            return self.choose(union, value, path);
        }
        // Errors are written only once it is known that there is no way around them.
        let errors = self.report.mark();
        self.report.is_muted = true;
        let chosen = self.choose(union, value, path);
        self.report.is_muted = false;
        self.report.forget_since(errors);
        if chosen? {
            return Ok(true);
        }
        for (label, node) in &union.choices {
            self.node(node, value, &step(path, Step::Key(label)))?;
        }
        Ok(false)
    }

    fn choose(&mut self, union: &Union, value: &Value<'_>, path: &Path<'_>) -> Judged {
        let errors = self.report.mark();
        let start = self.tape.mark();
        let mut valid: Option<&Node> = None;
        self.tape.put(Entry::Pick(0));
        let chosen = self.tape.mark();
        for (index, (label, node)) in union.choices.iter().enumerate() {
            let attempt = self.tape.mark();
            match self.node(node, value, &step(path, Step::Key(label))) {
                Ok(true) => {
                    match valid {
                        Some(before) if is_exact(node, value) && is_scalar(before) => {
                            self.tape.forget_between(chosen, attempt);
                        }
                        Some(_) => {
                            self.report.forget_since(errors);
                            return self.leave_choice(start, value);
                        }
                        None => {}
                    }
                    self.report.forget_since(errors);
                    self.tape.amend(start, Entry::Pick(index as u32));
                    if union.is_ordered || is_exact(node, value) {
                        return Ok(true);
                    }
                    valid = Some(node);
                }
                Ok(false) if valid.is_some() => {
                    self.report.forget_since(errors);
                    self.tape.forget_since(attempt);
                }
                Ok(false) => self.tape.forget_since(attempt),
                // That the body is valid stands, whatever a later choice makes of it.
                Err(Unsure) if valid.is_some() => {
                    self.report.forget_since(errors);
                    return self.leave_choice(start, value);
                }
                Err(Unsure) => return Err(Unsure),
            }
        }
        Ok(valid.is_some())
    }

    fn leave_choice(&mut self, start: TapeMark, value: &Value<'_>) -> Judged {
        self.tape.forget_since(start);
        self.tape.put(Entry::Raw);
        self.tape.raw(value);
        Ok(true)
    }

    pub(super) fn tagged(&mut self, tagged: &Tagged, value: &Value<'_>, path: &Path<'_>) -> Judged {
        let Value::Object(entries) = value else { return self.fault(&tagged.wrong_type, value, path) };
        let Some(tag) = entries.get(&tagged.key) else {
            return self.fault(&tagged.no_tag, value, path);
        };
        let mut shown = Vec::new();
        match tag {
            Value::Str(tag) => {
                let choice = tagged.choices.iter().position(|(name, _)| name == tag);
                if let Some((index, (_, node))) = choice.and_then(|at| Some((at, tagged.choices.get(at)?))) {
                    self.tape.put(Entry::Pick(index as u32));
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
            Value::Int(number) => shown.extend_from_slice(itoa::Buffer::new().format(number).as_bytes()),
            _ => return Err(Unsure),
        }
        self.report.push_filled(&tagged.other_tag, path, value, &shown)?;
        Ok(false)
    }
}

/// True if a valid value is taken exactly as it is, so that no other choice can fit better.
fn is_exact(node: &Node, value: &Value<'_>) -> bool {
    match (node, value) {
        (Node::Null(_), Value::Null)
        | (Node::Bool(_), Value::Bool(_))
        | (Node::Int(_), Value::Int(_) | Value::BigInt(_))
        | (Node::Float(_), Value::Float(_))
        | (Node::Str(_), Value::Str(_))
        | (Node::Nullable(_), Value::Null)
        | (Node::Literal(_), _) => true,
        (Node::Nullable(inner) | Node::Default { inner, .. }, _) => is_exact(inner, value),
        _ => false,
    }
}

/// True if what the node takes otherwise than exactly is certainly no exact match for Pydantic.
fn is_scalar(node: &Node) -> bool {
    matches!(node, Node::Bool(_) | Node::Int(_) | Node::Float(_) | Node::Str(_) | Node::Enum(_))
}
