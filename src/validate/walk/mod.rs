//! The walk of a body over a compiled schema.
//!
//! Owns: the verdict of each node, and the tape of what is accepted. Does not own: how errors look (`report`), how strings
//! count as numbers (`scalar`), what is made of a tape (`build`).
//! Rule: each function follows the validator of the same name in pydantic-core 2.41, errors in the same order. What a node
//! writes on the tape is all of its value if it is valid, and of no account if not.

mod containers;
mod scalars;
mod unions;

use super::node::*;
use super::report::{Fault, Path, Report, Step};
use super::tape::{Entry, Recorder};
use super::Member;
use crate::json::parse::{Object, Place, Value};
use std::collections::HashMap;

/// Pydantic is to judge.
#[derive(Debug)]
pub(super) struct Unsure;

/// True if valid; if not, the errors are in the report.
type Judged = Result<bool, Unsure>;

pub(super) struct Walk<'a> {
    pub definitions: &'a [Node],
    pub report: Report,
    pub tape: Recorder<'a>,
    pub steps_left: u64,
}

impl Walk<'_> {
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
                Value::Object(entries) => entries.get(&member.alias),
                // Nothing to look into, so even what has a default is reported.
                _ => {
                    is_valid = self.fault(&member.missing, &Value::Null, &path)?;
                    continue;
                }
            };
            is_valid &= match (found, member.if_missing) {
                (Some(value), _) => self.node(&member.node, &value, &path)?,
                (None, IfMissing::Accept) => self.accept(Entry::Missing)?,
                (None, IfMissing::Report) => self.fault(&member.missing, &Value::Null, &path)?,
                (None, IfMissing::Ask) => return Err(Unsure),
            };
        }
        Ok(is_valid)
    }

    /// A parameter that is required and not there.
    pub fn absent(&mut self, missing: &Fault) -> Judged {
        self.fault(missing, &Value::Null, &Path { parent: None, step: Step::Body })
    }

    /// As [`members`](Self::members), of a body that is not there.
    pub fn absent_members(&mut self, members: &[Member]) -> Judged {
        let root = Path { parent: None, step: Step::Body };
        let mut is_valid = true;
        for member in members {
            let path = step(&root, Step::Key(&member.alias));
            is_valid &= match member.if_missing {
                IfMissing::Accept => self.accept(Entry::Missing)?,
                IfMissing::Report => self.fault(&member.missing, &Value::Null, &path)?,
                IfMissing::Ask => return Err(Unsure),
            };
        }
        Ok(is_valid)
    }

    fn node(&mut self, node: &Node, value: &Value<'_>, path: &Path<'_>) -> Judged {
        self.steps_left = self.steps_left.checked_sub(1).ok_or(Unsure)?;
        match node {
            Node::Opaque => Err(Unsure),
            Node::Any => {
                self.tape.raw(value);
                Ok(true)
            }
            Node::Recognised(kind, _) => match kind.recognises(value) {
                true => {
                    self.tape.raw(value);
                    Ok(true)
                }
                false => Err(Unsure),
            },
            Node::Null(other) => match value {
                Value::Null => self.accept(Entry::Null),
                _ => self.fault(other, value, path),
            },
            Node::Bool(bool) => self.bool(bool, value, path),
            Node::Int(int) => self.int(int, value, path),
            Node::Float(float) => self.float(float, value, path),
            Node::Str(str) => self.str(str, value, path),
            Node::Literal(literal) => self.literal(literal, value, path),
            Node::Enum(members) => self.enumeration(members, value, path),
            Node::List(list) => self.list(list, value, path),
            Node::Set(set) => self.set(set, value, path),
            Node::Tuple(tuple) => self.tuple(tuple, value, path),
            Node::Dict(dict) => self.dict(dict, value, path),
            Node::Fields(fields) => self.fields(fields, value, path),
            Node::Nullable(inner) => match value {
                Value::Null => self.accept(Entry::Null),
                _ => self.node(inner, value, path),
            },
            Node::Made(inner, _) => {
                self.tape.mute();
                let judged = self.node(inner, value, path);
                self.tape.unmute();
                let is_valid = judged?;
                if is_valid {
                    self.tape.raw(value);
                }
                Ok(is_valid)
            }
            Node::Default { inner, .. } => self.node(inner, value, path),
            Node::After(inner) => match self.node(inner, value, path)? {
                true => Err(Unsure),
                false => Ok(false),
            },
            Node::Union(union) => self.union(union, value, path),
            Node::Tagged(tagged) => self.tagged(tagged, value, path),
            Node::Ref(target) => self.node(self.definitions.get(*target).ok_or(Unsure)?, value, path),
        }
    }

    /// Valid, and this is all of it.
    #[inline]
    fn accept(&mut self, entry: Entry) -> Judged {
        self.tape.put(entry);
        Ok(true)
    }

    fn fault(&mut self, fault: &Fault, value: &Value<'_>, path: &Path<'_>) -> Judged {
        self.report.push(fault, path, value)?;
        Ok(false)
    }

    fn fields(&mut self, fields: &Fields, value: &Value<'_>, path: &Path<'_>) -> Judged {
        let Value::Object(entries) = value else { return self.fault(&fields.wrong_type, value, path) };
        let entries = Entries::new(*entries);
        let mut is_valid = true;
        let mut used = Used::new(entries.all.len());
        // Tells a first field that is missing from an object that is.
        self.tape.put(Entry::Fields);
        // Where the next field stands if the body has the order of the model.
        let mut next = entries.all.first();
        for field in &fields.fields {
            let found = field.keys.iter().find_map(|key| Some((key.as_str(), entries.find(key, next)?)));
            let Some((key, place)) = found else {
                match field.if_missing {
                    IfMissing::Accept => self.tape.put(Entry::Missing),
                    IfMissing::Ask => return Err(Unsure),
                    IfMissing::Report => {
                        let name = if field.is_located_by_key { field.keys.first() } else { None };
                        let here = step(path, Step::Key(name.unwrap_or(&field.name)));
                        is_valid = self.fault(&fields.missing, value, &here)?;
                    }
                }
                continue;
            };
            next = entries.all.next(place);
            used.insert(place.index);
            let here = step(path, Step::Key(if field.is_located_by_key { key } else { &field.name }));
            is_valid &= self.node(&field.node, &entries.all.value(place), &here)?;
        }
        match fields.extra {
            Extra::Ignore => Ok(is_valid),
            _ => Ok(self.extras(&fields.extra, &entries.all, &used, path)? && is_valid),
        }
    }

    /// Members that no field used.
    fn extras(&mut self, extra: &Extra, entries: &Object<'_>, used: &Used, path: &Path<'_>) -> Judged {
        let mut is_valid = true;
        let mark = self.tape.mark();
        let mut kept = 0;
        if !matches!(extra, Extra::Forbid(_)) {
            self.tape.put(Entry::Object(0));
        }
        for (at, (key, item)) in entries.iter().enumerate() {
            if used.contains(at) {
                continue;
            }
            let here = step(path, Step::Key(key));
            match extra {
                Extra::Ignore => {}
                Extra::Forbid(fault) => is_valid = self.fault(fault, &item, &here)?,
                Extra::Keep => {
                    self.tape.text(key);
                    self.tape.raw(&item);
                }
                Extra::Check(node) => {
                    self.tape.text(key);
                    is_valid &= self.node(node, &item, &here)?;
                }
            }
            kept += 1;
        }
        if !matches!(extra, Extra::Forbid(_)) {
            self.tape.amend(mark, Entry::Object(kept));
        }
        Ok(is_valid)
    }
}

fn step<'a>(parent: &'a Path<'a>, step: Step<'a>) -> Path<'a> {
    Path { parent: Some(parent), step }
}

/// An object's members, hashed if there are many, since each field looks for its own.
struct Entries<'a> {
    all: Object<'a>,
    by_key: Option<HashMap<&'a str, Place>>,
}

impl<'a> Entries<'a> {
    fn new(all: Object<'a>) -> Self {
        let by_key = (all.len() > MANY_MEMBERS)
            .then(|| all.places().map(|place| (all.key(place).unwrap_or_default(), place)).collect());
        Entries { all, by_key }
    }

    /// The place of a key, which may well be `guess`.
    fn find(&self, key: &str, guess: Place) -> Option<Place> {
        if self.all.key(guess) == Some(key) {
            return Some(guess);
        }
        match &self.by_key {
            Some(by_key) => by_key.get(key).copied(),
            None => self.all.places().find(|place| self.all.key(*place) == Some(key)),
        }
    }
}

/// Members from which hashing pays.
const MANY_MEMBERS: usize = 32;

/// Which members of an object were used: a bit for each.
struct Used {
    first: u64,
    rest: Vec<u64>,
}

impl Used {
    fn new(members: usize) -> Self {
        Used { first: 0, rest: vec![0; members / 64] }
    }

    fn insert(&mut self, at: usize) {
        match at / 64 {
            0 => self.first |= 1 << at,
            word => self.rest[word - 1] |= 1 << (at % 64),
        }
    }

    fn contains(&self, at: usize) -> bool {
        match at / 64 {
            0 => self.first >> at & 1 == 1,
            word => self.rest[word - 1] >> (at % 64) & 1 == 1,
        }
    }
}
