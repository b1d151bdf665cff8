//! The error list of a 422 answer, written as FastAPI writes it.
//!
//! Owns: the bytes of each error. Does not own: which errors there are (`walk`).
//! Rule: `JSONResponse({"detail": jsonable_encoder(exc.errors())})`, byte for byte. What that call cannot write (a float
//! out of range) makes FastAPI answer 500, and us [`Unsure`].

use super::walk::Unsure;
use crate::json::escape::push_utf8;
use crate::json::float::push_float;
use crate::json::parse::Value;

/// One error, rendered but for its location, its input, and a number or a tag known only then.
#[derive(Debug, Clone)]
pub(super) struct Fault {
    /// `{"type":"...","loc":["body"`, or the place of another parameter
    pub head: Box<[u8]>,
    /// `],"msg":"...","input":`, cut where the number or tag belongs.
    pub message: Vec<Box<[u8]>>,
    /// `,"ctx":{...}}`, cut likewise.
    pub tail: Vec<Box<[u8]>>,
}

/// Where a value stands in the body, innermost first.
#[derive(Clone, Copy)]
pub(super) struct Path<'a> {
    pub parent: Option<&'a Path<'a>>,
    pub step: Step<'a>,
}

#[derive(Clone, Copy)]
pub(super) enum Step<'a> {
    /// The body itself, which `Fault::head` has already named.
    Body,
    Key(&'a str),
    Index(usize),
}

/// The errors found so far.
#[derive(Default)]
pub(super) struct Report {
    out: Vec<u8>,
    /// Only that there are errors is noted.
    pub is_muted: bool,
}

/// A place in a report to go back to.
#[derive(Clone, Copy)]
pub(super) struct Mark(usize);

impl Report {
    pub fn push(&mut self, fault: &Fault, path: &Path<'_>, input: &Value<'_>) -> Result<(), Unsure> {
        self.push_filled(fault, path, input, b"")
    }

    /// As `push`, with `fill` (JSON text) in the places left open.
    pub fn push_filled(
        &mut self,
        fault: &Fault,
        path: &Path<'_>,
        input: &Value<'_>,
        fill: &[u8],
    ) -> Result<(), Unsure> {
        if self.is_muted {
            self.out.push(b',');
            return Ok(());
        }
        if self.out.len() > MAX_REPORT_BYTES {
            return Err(Unsure);
        }
        self.out.push(b',');
        self.out.extend_from_slice(&fault.head);
        push_path(&mut self.out, path);
        push_pieces(&mut self.out, &fault.message, fill);
        push_input(&mut self.out, input)?;
        push_pieces(&mut self.out, &fault.tail, fill);
        Ok(())
    }

    pub fn mark(&self) -> Mark {
        Mark(self.out.len())
    }

    pub fn forget_since(&mut self, mark: Mark) {
        self.out.truncate(mark.0);
    }

    pub fn is_empty_since(&self, mark: Mark) -> bool {
        self.out.len() == mark.0
    }

    /// The answer's body.
    pub fn into_body(self) -> Vec<u8> {
        let mut body = Vec::with_capacity(self.out.len() + DETAIL.len() + 2);
        body.extend_from_slice(DETAIL);
        body.extend_from_slice(self.out.get(1..).unwrap_or_default());
        body.extend_from_slice(END);
        body
    }
}

const DETAIL: &[u8] = b"{\"detail\":[";
const END: &[u8] = b"]}";

/// One answer of several: their errors in the same order.
///
/// FastAPI's order is path, query, header, cookie, body.
pub fn merge_answers<'a>(answers: impl IntoIterator<Item = &'a [u8]>) -> Vec<u8> {
    let mut merged = DETAIL.to_vec();
    for answer in answers {
        if merged.len() > DETAIL.len() {
            merged.push(b',');
        }
        let errors = answer.strip_prefix(DETAIL).and_then(|errors| errors.strip_suffix(END));
        merged.extend_from_slice(errors.unwrap_or_default());
    }
    merged.extend_from_slice(END);
    merged
}

/// Bytes of errors that are written natively.
///
/// Each error repeats its input, so a list of many wrong objects grows quadratically in places; beyond this, Pydantic.
const MAX_REPORT_BYTES: usize = 8 * 1024 * 1024;

/// The body of the 422 that FastAPI gives for `json.JSONDecodeError`.
pub(super) fn syntax_error(message: &str, position: usize) -> Vec<u8> {
    let mut body = b"{\"detail\":[{\"type\":\"json_invalid\",\"loc\":[\"body\",".to_vec();
    body.extend_from_slice(itoa::Buffer::new().format(position).as_bytes());
    body.extend_from_slice(b"],\"msg\":\"JSON decode error\",\"input\":{},\"ctx\":{\"error\":");
    push_utf8(&mut body, message);
    body.extend_from_slice(b"}}]}");
    body
}

fn push_path(out: &mut Vec<u8>, path: &Path<'_>) {
    if let Some(parent) = path.parent {
        push_path(out, parent);
    }
    match path.step {
        Step::Body => {}
        Step::Key(key) => {
            out.push(b',');
            push_utf8(out, key);
        }
        Step::Index(index) => {
            out.push(b',');
            out.extend_from_slice(itoa::Buffer::new().format(index).as_bytes());
        }
    }
}

fn push_pieces(out: &mut Vec<u8>, pieces: &[Box<[u8]>], fill: &[u8]) {
    for (index, piece) in pieces.iter().enumerate() {
        if index > 0 {
            out.extend_from_slice(fill);
        }
        out.extend_from_slice(piece);
    }
}

/// A value as `json.dumps(jsonable_encoder(value))` writes it.
fn push_input(out: &mut Vec<u8>, value: &Value<'_>) -> Result<(), Unsure> {
    match value {
        Value::Null => out.extend_from_slice(b"null"),
        Value::Bool(true) => out.extend_from_slice(b"true"),
        Value::Bool(false) => out.extend_from_slice(b"false"),
        Value::Int(number) => out.extend_from_slice(itoa::Buffer::new().format(*number).as_bytes()),
        Value::BigInt(digits) => out.extend_from_slice(digits.as_bytes()),
        Value::Float(number) if number.is_finite() => push_float(out, *number),
        Value::Float(_) => return Err(Unsure),
        Value::Str(text) => push_utf8(out, text),
        Value::Array(items) => {
            out.push(b'[');
            for (index, item) in items.iter().enumerate() {
                if index > 0 {
                    out.push(b',');
                }
                push_input(out, &item)?;
            }
            out.push(b']');
        }
        Value::Object(entries) => {
            out.push(b'{');
            // jsonable_encoder drops what SQLAlchemy would have put there.
            for (index, (key, item)) in entries.iter().filter(|(key, _)| !key.starts_with("_sa")).enumerate()
            {
                if index > 0 {
                    out.push(b',');
                }
                push_utf8(out, key);
                out.push(b':');
                push_input(out, &item)?;
            }
            out.push(b'}');
        }
    }
    Ok(())
}
