//! Forms as call plans read them: url-encoded, or in parts.
//!
//! Owns: which forms are read natively, their names and values as text. Does not own: the syntax (`multipart`,
//! `bytes_ext`), which field is whose (`plan_bind`).
//! Rule: what Starlette's parsers may read otherwise, refuse, or put on disk is not decided here.
//! Spec: RFC 7578; `starlette.formparsers`.

use super::plan_bind::Refused::{self, Undecided};
use crate::bytes_ext;
use crate::multipart::{self, Event, Limits, Parser, PartHead};
use crate::service::{Request, RequestBody};
use bytes::{Bytes, BytesMut};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyList};
use std::borrow::Cow;

/// Bytes of a form in parts that is read natively: none of its files would be put on disk.
pub const MOST_BYTES_IN_PARTS: u64 = 1024 * 1024;

/// Fields of a form that Starlette's parser takes at most.
const FORM_FIELDS: usize = 1000;

/// Bytes of the name and the value of a form's field that Starlette's parser takes at most.
const FORM_FIELD_BYTES: usize = 1024 * 1024;

/// Bytes of the head of a part that every parser takes.
const PART_HEAD_BYTES: usize = 4 * 1024;

/// A form.
#[derive(Debug)]
pub struct Form<'r> {
    /// Names and values, in order.
    entries: Vec<(Cow<'r, str>, Entry<'r>)>,
}

#[derive(Debug)]
enum Entry<'r> {
    Text(Cow<'r, str>),
    File(FilePart),
}

/// A file of a form.
#[derive(Clone, Debug)]
pub struct FilePart {
    name: String,
    fields: Vec<(Vec<u8>, Vec<u8>)>,
    content: Bytes,
}

/// A value of a form, for Python.
#[derive(Debug)]
pub enum Content {
    /// Of a field.
    Text(String),
    /// Of a file.
    File(FilePart),
}

impl<'r> Form<'r> {
    /// The form of a request, or an empty one where it has no body.
    ///
    /// # Errors
    /// It is no form, or not one to be read natively.
    pub fn of(request: &'r Request) -> Result<Self, Refused> {
        let body: &'r [u8] = match &request.body {
            RequestBody::Whole(body) => body,
            RequestBody::Empty => &[],
            RequestBody::Streamed(_) => return Err(Undecided),
        };
        let entries = match request.head.field(b"content-type") {
            Some(content_type) if is_url_encoded(content_type) => url_encoded(body)?,
            Some(content_type) if is_in_parts(content_type) => in_parts(content_type, body)?,
            // Without a type nothing is read, and what is wrong with it is FastAPI's to say.
            None if body.is_empty() => Vec::new(),
            _ => return Err(Undecided),
        };
        Ok(Form { entries })
    }

    /// The values of a name.
    ///
    /// # Errors
    /// A file is among them.
    pub fn texts_of(&self, wanted: &str) -> Result<Vec<&str>, Refused> {
        let named = self.entries.iter().filter(|(name, _)| name == wanted);
        named.map(|(_, entry)| entry.text()).collect()
    }

    /// Names and values.
    ///
    /// # Errors
    /// A file is among them.
    pub fn texts(&self) -> Result<Vec<(String, String)>, Refused> {
        self.entries.iter().map(|(name, entry)| Ok((name.to_string(), entry.text()?.to_owned()))).collect()
    }

    /// Names and values, files among them.
    pub fn parts(&self) -> Vec<(String, Content)> {
        let content = |entry: &Entry<'_>| match entry {
            Entry::Text(text) => Content::Text(text.to_string()),
            Entry::File(file) => Content::File(file.clone()),
        };
        self.entries.iter().map(|(name, entry)| (name.to_string(), content(entry))).collect()
    }
}

impl Entry<'_> {
    fn text(&self) -> Result<&str, Refused> {
        match self {
            Entry::Text(text) => Ok(text),
            Entry::File(_) => Err(Undecided),
        }
    }
}

fn is_url_encoded(content_type: &[u8]) -> bool {
    let (kind, parameter) = match memchr::memchr(b';', content_type) {
        None => (content_type, None),
        Some(end) => (&content_type[..end], Some(bytes_ext::trim_ows(&content_type[end + 1..]))),
    };
    bytes_ext::trim_ows(kind).eq_ignore_ascii_case(b"application/x-www-form-urlencoded")
        && parameter.is_none_or(|parameter| parameter.eq_ignore_ascii_case(b"charset=utf-8"))
}

fn url_encoded(body: &[u8]) -> Result<Vec<(Cow<'_, str>, Entry<'_>)>, Refused> {
    // Starlette reads bytes as Latin-1 before it decodes escapes as UTF-8.
    if !body.is_ascii() || body.split(|&byte| byte == b'&').any(|field| field.len() > FORM_FIELD_BYTES) {
        return Err(Undecided);
    }
    let pairs = bytes_ext::parse_query(body).take(FORM_FIELDS + 1);
    let entries: Vec<_> = pairs.map(|(name, value)| (name, Entry::Text(value))).collect();
    if entries.len() > FORM_FIELDS {
        return Err(Undecided);
    }
    Ok(entries)
}

/// In parts, with a boundary and nothing besides.
fn is_in_parts(content_type: &[u8]) -> bool {
    let kind = content_type.split(|&byte| byte == b';').next().unwrap_or_default();
    bytes_ext::trim_ows(kind).eq_ignore_ascii_case(b"multipart/form-data")
        && multipart::parse_options(content_type).iter().all(|(name, _)| name == b"boundary")
}

fn in_parts(content_type: &[u8], body: &[u8]) -> Result<Vec<(Cow<'static, str>, Entry<'static>)>, Refused> {
    if body.len() as u64 > MOST_BYTES_IN_PARTS {
        return Err(Undecided);
    }
    let boundary = multipart::boundary_of(content_type).map_err(|_| Undecided)?;
    if is_padded(&boundary, body) {
        return Err(Undecided);
    }
    let limits = Limits {
        max_parts: FORM_FIELDS,
        max_field_bytes: FORM_FIELD_BYTES as u64,
        max_part_head_bytes: PART_HEAD_BYTES,
        ..Limits::default()
    };
    let mut parser = Parser::new(&boundary, limits);
    let mut input = BytesMut::from(body);
    let mut entries = Vec::new();
    let mut part: Option<(PartHead, Bytes)> = None;
    loop {
        match parser.next_event(&mut input).map_err(|_| Undecided)? {
            Event::Part(head) => part = Some((head, Bytes::new())),
            Event::Data(data) => {
                let (_, content) = part.as_mut().ok_or(Undecided)?;
                *content = if content.is_empty() { data } else { [&content[..], &data].concat().into() };
            }
            Event::PartEnd => {
                let (head, content) = part.take().ok_or(Undecided)?;
                entries.push(entry_of(head, content)?);
            }
            Event::End => return Ok(entries),
            Event::NeedMore => return Err(Undecided),
        }
    }
}

/// Whitespace follows a boundary: not every python-multipart takes that.
fn is_padded(boundary: &[u8], body: &[u8]) -> bool {
    memchr::memmem::find_iter(body, boundary)
        .any(|at| matches!(body.get(at + boundary.len()), Some(b' ' | b'\t')))
}

fn entry_of(head: PartHead, content: Bytes) -> Result<(Cow<'static, str>, Entry<'static>), Refused> {
    // What an extended parameter (RFC 5987) says is another matter to each version of python-multipart.
    let mut dispositions = head.fields.iter().filter(|(name, _)| name == b"content-disposition");
    if dispositions.any(|(_, value)| memchr::memchr(b'*', value).is_some()) {
        return Err(Undecided);
    }
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).map_err(|_| Undecided);
    let name = Cow::Owned(text(head.name)?);
    let entry = match head.filename {
        Some(filename) => Entry::File(FilePart { name: text(filename)?, fields: head.fields, content }),
        None => Entry::Text(Cow::Owned(text(content.into())?)),
    };
    Ok((name, entry))
}

/// A list of `(name, text)` and `(name, (filename, fields, content))`.
///
/// # Errors
/// Python's own.
pub fn to_python(py: Python<'_>, parts: Vec<(String, Content)>) -> PyResult<Bound<'_, PyList>> {
    let list = PyList::empty(py);
    for (name, content) in parts {
        match content {
            Content::Text(text) => list.append((name, text))?,
            Content::File(FilePart { name: filename, fields, content }) => {
                let fields =
                    fields.iter().map(|(name, value)| (PyBytes::new(py, name), PyBytes::new(py, value)));
                let fields = PyList::new(py, fields.collect::<Vec<_>>())?;
                list.append((name, (filename, fields, PyBytes::new(py, &content))))?;
            }
        }
    }
    Ok(list)
}
