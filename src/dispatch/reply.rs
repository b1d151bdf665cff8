//! What a handler returned, classified.
//!
//! Owns: the shapes of DESIGN section 5, checked in full before a byte is appended. Does not own: streams (`stream`).
//! Rule: fail closed; a shape that is not in the table is a fault that says what was found.

use super::fault::Fault;
use crate::http1::{FieldBlock, ResponseHead};
use crate::interp::{self, name};
use crate::json;
use bytes::Bytes;
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyBytes, PyDict, PyFloat, PyInt, PyList, PyString, PyTuple};

const JSON: &[u8] = b"application/json";
const TEXT: &[u8] = b"text/plain; charset=utf-8";
const OCTETS: &[u8] = b"application/octet-stream";

/// A handler's result.
pub enum Classified<'py> {
    /// A whole response with one content type; the body lies in the scratch buffer.
    Short {
        /// 200 to 599.
        status: u16,
        /// A constant of this module.
        content_type: &'static [u8],
    },
    /// A whole response with fields.
    Full(ResponseHead, Bytes),
    /// A streamed response.
    Stream(ResponseHead, Bound<'py, PyAny>),
    /// Something to be awaited first.
    Awaitable(Bound<'py, PyAny>),
}

/// Classifies a result. A JSON, text or short body is left in `scratch`, which is cleared first.
///
/// # Errors
/// The handler's fault.
pub fn classify<'py>(result: Bound<'py, PyAny>, scratch: &mut Vec<u8>) -> Result<Classified<'py>, Fault> {
    scratch.clear();
    if result.is_exact_instance_of::<PyDict>() || result.is_exact_instance_of::<PyList>() {
        return json_body(&result, scratch);
    }
    if let Ok(tuple) = result.cast::<PyTuple>() {
        return classify_tuple(tuple, scratch);
    }
    if let Ok(text) = result.cast::<PyString>() {
        scratch.extend_from_slice(text.to_str()?.as_bytes());
        return Ok(Classified::Short { status: 200, content_type: TEXT });
    }
    if let Ok(data) = result.cast::<PyBytes>() {
        let mut fields = FieldBlock::new();
        push(&mut fields, b"content-type", OCTETS)?;
        return Ok(Classified::Full(ResponseHead { status: 200, fields }, interp::share_bytes(data)));
    }
    if is_json(&result) {
        return json_body(&result, scratch);
    }
    if interp::is_coroutine(&result) || result.hasattr("__await__")? {
        return Ok(Classified::Awaitable(result));
    }
    if let Some(to_tuple) = result.getattr_opt(name!(result.py(), "turboapi_result"))? {
        // A response object of ours, such as `EventSourceResponse`.
        let made = to_tuple.call0()?;
        return match made.cast::<PyTuple>() {
            Ok(tuple) => classify_tuple(tuple, scratch),
            Err(_) => Err(Fault::Result("a turboapi_result that is no tuple".into())),
        };
    }
    Err(Fault::Result(format!(
        "a {}, where a 3-, 4- or 5-tuple, bytes, str, dict, list, int, float, bool or None is expected",
        type_name(&result)
    )))
}

fn is_json(result: &Bound<'_, PyAny>) -> bool {
    result.is_none()
        || result.is_instance_of::<PyDict>()
        || result.is_instance_of::<PyList>()
        || result.is_instance_of::<PyBool>()
        || result.is_instance_of::<PyInt>()
        || result.is_instance_of::<PyFloat>()
}

fn json_body<'py>(result: &Bound<'py, PyAny>, scratch: &mut Vec<u8>) -> Result<Classified<'py>, Fault> {
    json::encode(result, scratch).map_err(Fault::Raised)?;
    Ok(Classified::Short { status: 200, content_type: JSON })
}

fn classify_tuple<'py>(tuple: &Bound<'py, PyTuple>, scratch: &mut Vec<u8>) -> Result<Classified<'py>, Fault> {
    if !(3..=5).contains(&tuple.len()) {
        return Err(Fault::Result(format!("a tuple of {} items, where 3, 4 or 5 are expected", tuple.len())));
    }
    let status = status_of(&tuple.get_item(0)?)?;
    let content_type = tuple.get_item(1)?;
    let content_type = content_type.cast::<PyString>().map_err(|_| {
        Fault::Result(format!(
            "a content type that is a {}, where a str is expected",
            type_name(&content_type)
        ))
    })?;
    let mut fields = FieldBlock::new();
    push(&mut fields, b"content-type", content_type.to_str()?.as_bytes())?;
    let body = body_of(&tuple.get_item(2)?, scratch)?;
    if tuple.len() >= 4 {
        let headers = tuple.get_item(tuple.len() - 1)?;
        push_headers(&mut fields, &headers)?;
    }
    let head = ResponseHead { status, fields };
    if tuple.len() < 5 {
        return Ok(Classified::Full(head, body));
    }
    if !body.is_empty() {
        return Err(Fault::Result(
            "a 5-tuple with a body, where b\"\" is expected in front of the iterator".into(),
        ));
    }
    Ok(Classified::Stream(head, tuple.get_item(3)?))
}

fn status_of(status: &Bound<'_, PyAny>) -> Result<u16, Fault> {
    let number = match status.cast::<PyInt>() {
        Ok(number) if !number.is_instance_of::<PyBool>() => number.extract::<u16>().ok(),
        _ => {
            return Err(Fault::Result(format!(
                "a status that is a {}, where an int is expected",
                type_name(status)
            )))
        }
    };
    match number {
        Some(number) if (200..=599).contains(&number) => Ok(number),
        _ => Err(Fault::Result("a status outside 200..=599".into())),
    }
}

fn body_of(body: &Bound<'_, PyAny>, scratch: &mut Vec<u8>) -> Result<Bytes, Fault> {
    if let Ok(data) = body.cast::<PyBytes>() {
        return Ok(interp::share_bytes(data));
    }
    if let Ok(text) = body.cast::<PyString>() {
        scratch.clear();
        return Ok(Bytes::copy_from_slice(text.to_str()?.as_bytes()));
    }
    Err(Fault::Result(format!("a body that is a {}, where bytes or str is expected", type_name(body))))
}

fn push_headers(fields: &mut FieldBlock, headers: &Bound<'_, PyAny>) -> Result<(), Fault> {
    if let Ok(dict) = headers.cast::<PyDict>() {
        for (name, value) in dict.iter() {
            push_header(fields, &name, &value)?;
        }
    } else {
        for pair in headers.try_iter().map_err(Fault::Raised)? {
            let pair = pair?;
            let (name, value): (Bound<'_, PyAny>, Bound<'_, PyAny>) = pair.extract().map_err(|_| {
                Fault::Result("headers that are no dict and no pairs of name and value".into())
            })?;
            push_header(fields, &name, &value)?;
        }
    }
    if fields.has_framing() {
        return Err(Fault::Result(
            "a header of framing (content-length, transfer-encoding or connection)".into(),
        ));
    }
    Ok(())
}

fn push_header(
    fields: &mut FieldBlock,
    name: &Bound<'_, PyAny>,
    value: &Bound<'_, PyAny>,
) -> Result<(), Fault> {
    let text = |object: &Bound<'_, PyAny>| -> Result<Vec<u8>, Fault> {
        if let Ok(text) = object.cast::<PyString>() {
            latin1(text.to_str()?)
        } else if let Ok(data) = object.cast::<PyBytes>() {
            Ok(data.as_bytes().to_vec())
        } else {
            Err(Fault::Result(format!("a header that is a {}, where a str is expected", type_name(object))))
        }
    };
    push(fields, &text(name)?, &text(value)?)
}

/// Header text goes out as Latin-1, as ASGI frameworks do.
fn latin1(text: &str) -> Result<Vec<u8>, Fault> {
    text.chars()
        .map(|character| u8::try_from(u32::from(character)))
        .collect::<Result<_, _>>()
        .map_err(|_| Fault::Result("a header with a character outside Latin-1".into()))
}

fn push(fields: &mut FieldBlock, name: &[u8], value: &[u8]) -> Result<(), Fault> {
    fields.push(name, value).map_err(|fault| {
        Fault::Result(format!("the header {:?}: {}", String::from_utf8_lossy(name), fault.reason()))
    })
}

fn type_name(object: &Bound<'_, PyAny>) -> String {
    object.get_type().name().map_or_else(|_| "value".to_owned(), |name| name.to_string())
}
