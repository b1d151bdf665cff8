//! Requests judged without Python: a Pydantic core schema compiled to a tree that reads raw JSON, or the texts of other
//! parameters.
//!
//! Owns: the verdict on a body, the 422 answer's bytes, and the objects made of a valid body. Does not own: models whose
//! making runs Python code (Pydantic makes them).
//! Rule (`verdict_equal`): a verdict is FastAPI's own, to the byte of the error list, and what is built is what Pydantic
//! builds; where that is not certain Pydantic judges.
//! Spec: FastAPI reads a body by `json.loads` and validates the object by `validate_python(..., from_attributes=True)`:
//! so these are Pydantic's rules for Python input, in lax mode, over what `json.loads` can return.
//!
//! Threads: a [`Compiled`] is written once and read by all workers; [`Compiled::judge`] touches no Python object and is
//! called detached, [`Compiled::build`] attached.

mod build;
mod compile;
mod moments;
mod node;
mod python;
mod recognise;
mod report;
mod scalar;
mod tape;
mod walk;

pub use compile::{MemberSchema, Unsupported};
pub use python::{register, Validator};
pub use report::merge_answers;
pub use tape::Tape;

use crate::interp::{Held, Slot};
use crate::json::parse::{self, Document, Value};
use node::Node;
use pyo3::types::PyTuple;
use pyo3::PyAny;
use report::Report;
use tape::Recorder;
use walk::Walk;

/// A body's schema, ready to judge and to build.
#[derive(Debug)]
pub struct Compiled {
    root: Root,
    /// Targets of [`Node::Ref`].
    definitions: Vec<Node>,
    /// What [`node::Object`] names: classes, names of fields, defaults, values of literals.
    objects: Vec<Held<PyAny>>,
    /// What [`node::Maker`] names: methods `validate_python`.
    makers: Vec<Held<PyAny>>,
    /// Where the instances of each model keep what makes them one.
    slots: Vec<Slots>,
    /// Where the instances of each dataclass keep their `__dict__`.
    dict_slots: Vec<Slot>,
    deepcopy: Held<PyAny>,
    moments: Option<moments::Moments>,
    /// `("from_attributes",)`
    from_attributes: Held<PyTuple>,
    /// False where Pydantic makes the objects of every body.
    is_built_here: bool,
    /// Pydantic judges every body.
    is_opaque: bool,
    /// Why parts of the schema are left to Pydantic, for people.
    left_to_pydantic: Vec<String>,
}

/// How a body maps to the parameters of an endpoint.
#[derive(Debug)]
enum Root {
    /// The whole body is one parameter.
    Whole(Box<Whole>),
    /// Each parameter is a member of the body.
    Members(Vec<Member>),
}

#[derive(Debug)]
struct Whole {
    node: Node,
    /// `validate_python` for all of it.
    validate: Held<PyAny>,
    /// FastAPI's own error, not Pydantic's: its input is null.
    missing: report::Fault,
}

#[derive(Debug)]
struct Member {
    alias: String,
    node: Node,
    if_missing: node::IfMissing,
    /// FastAPI's own error, not Pydantic's: its input is null.
    missing: report::Fault,
}

/// The places that every model has.
#[derive(Debug)]
struct Slots {
    dict: Slot,
    extra: Slot,
    private: Slot,
    fields_set: Slot,
}

/// What is known of a body.
#[derive(Debug)]
pub enum Judged {
    /// It is JSON; [`Compiled::build`] makes the value. Where [`Tape::is_for_pydantic`], that may still raise
    /// `ValidationError`.
    Valid(Tape),
    /// FastAPI answers 422 with this body.
    Invalid(Vec<u8>),
    /// It is no JSON: FastAPI answers 422 with this body, whatever else is wrong with the request.
    NotJson(Vec<u8>),
    /// FastAPI is to read the bytes themselves: `json.loads` may raise something else, or give what no [`Tape`] holds.
    Undecided,
}

impl Compiled {
    /// Judges a body that is not empty and whose content type FastAPI reads as JSON.
    pub fn judge(&self, body: &[u8]) -> Judged {
        if body.len() > MAX_BODY_BYTES {
            return Judged::Undecided;
        }
        match parse::parse(body) {
            Ok(document) => self.judge_value(document.root(), body),
            Err(parse::Fault::Syntax { message, position }) => {
                Judged::NotJson(report::syntax_error(message, position))
            }
            Err(parse::Fault::Beyond) => Judged::Undecided,
        }
    }

    /// Judges the one value of a parameter that is not in the body. It is built with an empty body.
    pub fn judge_text(&self, text: &str) -> Judged {
        self.judge_value(Value::Str(text), b"")
    }

    /// Judges all values of a parameter that is a sequence and not in the body. It is built with an empty body.
    pub fn judge_texts<'t>(&self, texts: impl IntoIterator<Item = &'t str>) -> Judged {
        self.judge_value(Document::of_strings(texts).root(), b"")
    }

    /// Judges what is not there: a parameter that is required, or a body of several parameters.
    pub fn judge_absent(&self) -> Judged {
        let mut walk = self.walk(b"");
        let judged = match &self.root {
            Root::Whole(whole) => walk.absent(&whole.missing),
            Root::Members(members) => walk.absent_members(members),
        };
        match judged {
            Ok(true) => walk.tape.into_tape().map_or(Judged::Undecided, Judged::Valid),
            Ok(false) => Judged::Invalid(walk.report.into_body()),
            Err(walk::Unsure) => Judged::Undecided,
        }
    }

    /// `text` is what texts are named by their places in.
    fn judge_value(&self, value: Value<'_>, text: &[u8]) -> Judged {
        let mut walk = self.walk(text);
        let judged = match &self.root {
            Root::Whole(whole) => walk.whole(&whole.node, &value),
            Root::Members(members) => walk.members(members, &value),
        };
        match judged {
            Ok(false) => return Judged::Invalid(walk.report.into_body()),
            Ok(true) if self.is_built_here => {}
            Ok(true) | Err(walk::Unsure) => self.leave_to_pydantic(&mut walk.tape, value),
        }
        walk.tape.into_tape().map_or(Judged::Undecided, Judged::Valid)
    }

    fn walk<'a>(&'a self, text: &'a [u8]) -> Walk<'a> {
        Walk {
            definitions: &self.definitions,
            report: Report::default(),
            tape: Recorder::new(text),
            steps_left: FEWEST_STEPS + STEPS_OF_A_BYTE * text.len() as u64,
        }
    }

    fn leave_to_pydantic(&self, tape: &mut Recorder<'_>, value: Value<'_>) {
        match (&self.root, value) {
            (Root::Members(members), Value::Object(entries)) => {
                tape.leave_to_pydantic(members.iter().map(|member| entries.get(&member.alias)));
            }
            (_, value) => tape.leave_to_pydantic([Some(value)]),
        }
    }

    /// True if Pydantic judges every body.
    pub fn is_opaque(&self) -> bool {
        self.is_opaque
    }

    /// For each part of the schema that Pydantic judges, where it is and why.
    pub fn left_to_pydantic(&self) -> &[String] {
        &self.left_to_pydantic
    }
}

/// Bytes of a body up to which places in it are named by 32 bits.
const MAX_BODY_BYTES: usize = u32::MAX as usize;

/// Values that a walk looks at, some of them many times over in unions within each other; beyond these, Pydantic judges.
///
/// A record takes a step for some 10 bytes, and a union of 10 choices makes 20 of it.
const STEPS_OF_A_BYTE: u64 = 16;
const FEWEST_STEPS: u64 = 10_000;
