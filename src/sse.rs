//! Server-sent events as bytes.
//!
//! Owns: [`Event`], its fields to lines, the keep-alive comment. Does not own: when one is sent.
//! Rule: what an EventSource reads back is what was given, line ends in data aside, which all become LF; what it could
//! not read back is refused. Spec: WHATWG HTML section 9.2 (Server-sent events).
#![forbid(unsafe_code)]

use bytes::BytesMut;
use std::fmt;

/// A comment that keeps idle connections open through proxies. An EventSource ignores it. The same bytes as FastAPI's.
pub const KEEP_ALIVE: &[u8] = b": ping\n\n";

/// One event. Fields that are `None` are not sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Event<'a> {
    /// Ignored by the client. May have several lines.
    pub comment: Option<&'a str>,
    /// Type of the event; `message` where there is none. One line.
    pub event: Option<&'a str>,
    /// The message. May have several lines. Without it the client fires no event.
    pub data: Option<&'a str>,
    /// What the client sends as `Last-Event-ID` when it comes back. One line without NUL; empty resets it.
    pub id: Option<&'a str>,
    /// Milliseconds that the client waits before it comes back.
    pub retry: Option<u64>,
}

/// Why an event is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EventFault {
    /// The type holds a line end: the rest of it would be read as another field.
    Event,
    /// The id holds a line end, or NUL, which makes a client ignore it.
    Id,
}

impl EventFault {
    /// One fixed sentence.
    pub fn reason(self) -> &'static str {
        match self {
            EventFault::Event => "the event type holds a line end",
            EventFault::Id => "the event id holds a line end or NUL",
        }
    }
}

impl fmt::Display for EventFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.reason())
    }
}

impl std::error::Error for EventFault {}

/// Appends one event, with the empty line that ends it. An event without any field appends nothing.
///
/// # Errors
/// A field could not be read back by a client; nothing was appended.
pub fn encode_event(out: &mut BytesMut, event: &Event<'_>) -> Result<(), EventFault> {
    if event.event.is_some_and(has_line_end) {
        return Err(EventFault::Event);
    }
    if event.id.is_some_and(|id| has_line_end(id) || id.contains('\0')) {
        return Err(EventFault::Id);
    }
    if *event == Event::default() {
        return Ok(());
    }
    let text = [event.comment, event.event, event.data, event.id];
    out.reserve(text.iter().flatten().map(|text| text.len() + 16).sum::<usize>() + 32);
    if let Some(comment) = event.comment {
        put_lines(out, b": ", comment);
    }
    if let Some(name) = event.event {
        put_line(out, b"event: ", name.as_bytes());
    }
    if let Some(data) = event.data {
        put_lines(out, b"data: ", data);
    }
    if let Some(id) = event.id {
        put_line(out, b"id: ", id.as_bytes());
    }
    if let Some(retry) = event.retry {
        put_line(out, b"retry: ", itoa::Buffer::new().format(retry).as_bytes());
    }
    out.extend_from_slice(b"\n");
    Ok(())
}

fn has_line_end(text: &str) -> bool {
    memchr::memchr2(b'\r', b'\n', text.as_bytes()).is_some()
}

/// One line of the stream for each line of the text. CRLF, LF and CR each end a line, and nothing else does.
fn put_lines(out: &mut BytesMut, field: &[u8], text: &str) {
    let mut rest = text.as_bytes();
    while let Some(end) = memchr::memchr2(b'\r', b'\n', rest) {
        put_line(out, field, &rest[..end]);
        let ends_with_crlf = rest[end..].starts_with(b"\r\n");
        rest = &rest[end + 1 + usize::from(ends_with_crlf)..];
    }
    put_line(out, field, rest);
}

fn put_line(out: &mut BytesMut, field: &[u8], line: &[u8]) {
    out.extend_from_slice(field);
    out.extend_from_slice(line);
    out.extend_from_slice(b"\n");
}

#[cfg(test)]
mod tests {
    use super::*;

    fn encoded(event: Event<'_>) -> String {
        let mut out = BytesMut::new();
        encode_event(&mut out, &event).expect("the events of a table are allowed");
        String::from_utf8(out.to_vec()).expect("events are UTF-8")
    }

    #[test]
    fn event_has_one_line_for_each_line_of_its_fields() {
        let none = Event::default();
        let table = [
            (none, ""),
            (Event { data: Some("hi"), ..none }, "data: hi\n\n"),
            (Event { data: Some(""), ..none }, "data: \n\n"),
            (Event { data: Some(" a"), ..none }, "data:  a\n\n"),
            (Event { data: Some("a\nb"), ..none }, "data: a\ndata: b\n\n"),
            (Event { data: Some("a\r\nb\rc\n"), ..none }, "data: a\ndata: b\ndata: c\ndata: \n\n"),
            (Event { data: Some("\n\r"), ..none }, "data: \ndata: \ndata: \n\n"),
            // Python's splitlines would split here; an EventSource would not.
            (Event { data: Some("a\u{2028}b\u{b}c\u{85}d"), ..none }, "data: a\u{2028}b\u{b}c\u{85}d\n\n"),
            (Event { data: Some("a\n\ndata: evil"), ..none }, "data: a\ndata: \ndata: data: evil\n\n"),
            (Event { comment: Some("x\ny"), ..none }, ": x\n: y\n\n"),
            (Event { id: Some(""), ..none }, "id: \n\n"),
            (Event { retry: Some(1500), ..none }, "retry: 1500\n\n"),
            (
                Event {
                    comment: Some("c"),
                    event: Some("e"),
                    data: Some("d"),
                    id: Some("i"),
                    retry: Some(0),
                },
                ": c\nevent: e\ndata: d\nid: i\nretry: 0\n\n",
            ),
        ];
        for (event, expected) in table {
            assert_eq!(encoded(event), expected, "{event:?}");
        }
    }

    #[test]
    fn event_refused_when_a_one_line_field_has_several() {
        let none = Event::default();
        let table = [
            (Event { event: Some("a\nb"), ..none }, EventFault::Event),
            (Event { event: Some("a\r"), ..none }, EventFault::Event),
            (Event { id: Some("a\ndata: evil"), ..none }, EventFault::Id),
            (Event { id: Some("a\0"), ..none }, EventFault::Id),
        ];
        for (event, fault) in table {
            let mut out = BytesMut::new();
            assert_eq!(encode_event(&mut out, &event), Err(fault), "{event:?}");
            assert!(out.is_empty());
        }
    }
}
