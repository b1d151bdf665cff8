//! Request bodies judged without Python: a Pydantic core schema compiled to a tree that reads raw JSON.
//!
//! Owns: the verdict on a body, and the 422 answer's bytes. Does not own: making model instances (Pydantic does).
//! Rule (`verdict_equal`): a verdict is FastAPI's own, to the byte of the error list; where that is not certain the verdict
//! is [`Verdict::Unsure`] and Pydantic judges.
//! Spec: FastAPI reads a body by `json.loads` and validates the object by `validate_python(..., from_attributes=True)`:
//! so these are Pydantic's rules for Python input, in lax mode, over what `json.loads` can return.
//!
//! Threads: a [`Compiled`] holds no Python reference, is written once and read by all workers.

mod compile;
mod node;
mod python;
mod recognise;
mod report;
mod scalar;
mod walk;

pub use compile::{MemberSchema, Unsupported};
pub use python::register;

use crate::json::parse::{self, Value};
use node::Node;
use report::Report;
use walk::Walk;

/// A body's schema, ready to judge.
#[derive(Debug)]
pub struct Compiled {
    root: Root,
    /// Targets of [`Node::Ref`].
    definitions: Vec<Node>,
    /// JSON-mode and Python-mode validation give the same for every valid body, as far as the schema goes.
    json_mode_agrees: bool,
    /// Why parts of the schema are left to Pydantic, for people.
    left_to_pydantic: Vec<String>,
}

/// How a body maps to the parameters of an endpoint.
#[derive(Debug)]
enum Root {
    /// The whole body is one parameter.
    Whole(Node),
    /// Each parameter is a member of the body.
    Members(Vec<Member>),
}

#[derive(Debug)]
struct Member {
    alias: String,
    node: Node,
    if_missing: node::IfMissing,
    /// FastAPI's own error, not Pydantic's: its input is null.
    missing: report::Fault,
}

/// What is known of a body.
#[derive(Debug)]
pub enum Verdict<'a> {
    /// Pydantic will accept it.
    Valid {
        /// The body, read once: `json::to_python` makes of it what `json.loads` would.
        value: Value<'a>,
        /// `SchemaValidator.validate_json(body)` gives the very same as `validate_python(json.loads(body))`.
        json_mode_agrees: bool,
    },
    /// FastAPI answers 422 with this body.
    Invalid(Vec<u8>),
    /// FastAPI is to judge.
    Unsure,
}

impl Compiled {
    /// Judges a body that is not empty and whose content type FastAPI reads as JSON.
    pub fn check<'a>(&self, body: &'a [u8]) -> Verdict<'a> {
        let (value, is_plain) = match parse::parse_marked(body) {
            Ok(read) => read,
            Err(parse::Fault::Syntax { message, position }) => {
                return Verdict::Invalid(report::syntax_error(message, position))
            }
            Err(parse::Fault::Beyond) => return Verdict::Unsure,
        };
        let mut report = Report::default();
        let judged = match &self.root {
            Root::Whole(node) => Walk::new(&self.definitions, &mut report).whole(node, &value),
            Root::Members(members) => Walk::new(&self.definitions, &mut report).members(members, &value),
        };
        match judged {
            Err(walk::Unsure) => Verdict::Unsure,
            Ok(false) => Verdict::Invalid(report.into_body()),
            Ok(true) => Verdict::Valid { value, json_mode_agrees: self.json_mode_agrees && is_plain },
        }
    }

    /// For each part of the schema that Pydantic judges, where it is and why.
    pub fn left_to_pydantic(&self) -> &[String] {
        &self.left_to_pydantic
    }
}
