//! Invariant: what an EventSource reads from the encoded events is what was given, line ends in data made LF; an event
//! is refused exactly when it could not be read back, and then nothing was written.
#![no_main]

use arbitrary::Arbitrary;
use bytes::BytesMut;
use libfuzzer_sys::fuzz_target;
use turboapi::sse::{encode_event, Event};

#[derive(Arbitrary, Debug)]
struct Given<'a> {
    comment: Option<&'a str>,
    event: Option<&'a str>,
    data: Option<&'a str>,
    id: Option<&'a str>,
    retry: Option<u64>,
}

#[derive(Debug, Default, PartialEq)]
struct Source {
    fired: Vec<(String, String, String)>,
    last_id: String,
    retry: Option<u64>,
}

fuzz_target!(|events: Vec<Given<'_>>| {
    let mut out = BytesMut::new();
    let mut expected = Source::default();
    for given in &events {
        let before = out.len();
        let event = Event {
            comment: given.comment,
            event: given.event,
            data: given.data,
            id: given.id,
            retry: given.retry,
        };
        let breaks = |text: &str| text.contains(['\r', '\n']);
        let is_lost =
            given.event.is_some_and(breaks) || given.id.is_some_and(|id| breaks(id) || id.contains('\0'));
        assert_eq!(encode_event(&mut out, &event).is_err(), is_lost);
        if is_lost {
            assert_eq!(out.len(), before);
            continue;
        }
        expected.retry = given.retry.or(expected.retry);
        if let Some(id) = given.id {
            expected.last_id = id.to_owned();
        }
        if let Some(data) = given.data {
            let data = data.replace("\r\n", "\n").replace('\r', "\n");
            let event = given.event.filter(|event| !event.is_empty()).unwrap_or("message");
            expected.fired.push((event.to_owned(), data, expected.last_id.clone()));
        }
    }
    let text = std::str::from_utf8(&out).expect("events are UTF-8");
    assert_eq!(read(text), expected);
});

/// WHATWG HTML section 9.2.6, "Interpreting an event stream".
fn read(stream: &str) -> Source {
    let mut source = Source::default();
    let (mut data, mut event) = (String::new(), String::new());
    let stream = stream.strip_prefix('\u{feff}').unwrap_or(stream).replace("\r\n", "\n").replace('\r', "\n");
    for line in stream.split_inclusive('\n') {
        // A last line without its end is not interpreted; the encoder writes none.
        let line = line.strip_suffix('\n').expect("every line is ended");
        if line.is_empty() {
            if !data.is_empty() {
                data.pop();
                let name = if event.is_empty() { "message" } else { event.as_str() };
                source.fired.push((name.to_owned(), data.clone(), source.last_id.clone()));
            }
            data.clear();
            event.clear();
            continue;
        }
        let (field, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match field {
            "event" => event = value.to_owned(),
            "data" => {
                data.push_str(value);
                data.push('\n');
            }
            "id" if !value.contains('\0') => source.last_id = value.to_owned(),
            "retry" if !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit()) => {
                source.retry = value.parse().ok();
            }
            _ => {}
        }
    }
    source
}
