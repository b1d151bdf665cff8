//! The layers over bytes. That they do what Starlette's classes do is compared in `tests/middleware`.

use super::*;
use crate::http1::{Conn, Event, Limits};
use bytes::BytesMut;
use std::io::Read;

fn head(bytes: &str) -> RequestHead {
    match Conn::new(Limits::default()).next_event(&mut BytesMut::from(bytes)) {
        Ok(Event::Head(head)) => head,
        other => panic!("{other:?}"),
    }
}

fn seen(head: &RequestHead) -> Seen<'_> {
    Seen { head, scheme: "http", server: Some(("127.0.0.1", Some(8000))), root_path: "" }
}

fn response(status: u16, fields: &[(&str, &str)]) -> ResponseHead {
    let mut block = FieldBlock::new();
    for (name, value) in fields {
        block.push(name.as_bytes(), value.as_bytes()).unwrap();
    }
    ResponseHead { status, fields: block }
}

fn lines(head: &ResponseHead) -> String {
    String::from_utf8(head.fields.lines().to_vec()).unwrap().replace("\r\n", "\n")
}

fn unzipped(data: &[u8]) -> Vec<u8> {
    let mut plain = Vec::new();
    flate2::read::GzDecoder::new(data).read_to_end(&mut plain).unwrap();
    plain
}

fn cors() -> Layer {
    let text = |text: &str| text.as_bytes().to_vec();
    Layer::Cors(Box::new(
        Cors::new(CorsOptions {
            simple_headers: vec![(text("access-control-allow-credentials"), text("true"))],
            preflight_headers: vec![(text("vary"), text("Origin"))],
            allow_origins: vec![text("https://a.example")],
            allow_origin_regex: Some(r"https://[a-c]+\.example\.org".into()),
            allow_methods: vec![text("GET"), text("PUT")],
            allow_headers: vec![text("accept"), text("x-a")],
            preflight_explicit_allow_origin: true,
            ..CorsOptions::default()
        })
        .unwrap(),
    ))
}

fn gzip() -> Layer {
    Layer::Gzip(Gzip::new(GzipOptions {
        minimum_size: 100,
        level: 9,
        thread_minimum_size: 1 << 17,
        exclude_content_types: vec![b"text/event-stream".to_vec(), b"audio/*".to_vec()],
    }))
}

fn trusted(www_redirect: bool) -> Layer {
    let hosts = ["a.example", "*.b.example", "www.c.example"];
    Layer::TrustedHost(TrustedHost {
        allowed_hosts: hosts.map(String::from).to_vec(),
        allow_any: false,
        www_redirect,
    })
}

fn answered(stack: &Stack, request: &str) -> Option<(u16, String, String)> {
    let head = head(request);
    match stack.before(&seen(&head)) {
        ControlFlow::Continue(()) => None,
        ControlFlow::Break(answer) => {
            let body = String::from_utf8(answer.body.to_vec()).unwrap();
            Some((answer.head.status, lines(&answer.head), body))
        }
    }
}

#[test]
fn preflight_is_answered_and_names_each_failure() {
    let stack = Stack::new(vec![cors()]);
    let ask = |fields: &str| {
        answered(&stack, &format!("OPTIONS / HTTP/1.1\r\nhost: x\r\n{fields}\r\n")).map(
            |(status, lines, body)| (status, lines.contains("access-control-allow-origin: https://"), body),
        )
    };
    let table = [
        ("origin: https://a.example\r\n", None),
        ("access-control-request-method: GET\r\n", None),
        ("origin: https://a.example\r\naccess-control-request-method: PUT\r\n", Some((200, true, "OK"))),
        (
            "origin: https://ab.example.org\r\naccess-control-request-method: GET\r\naccess-control-request-headers: X-A ,Accept\r\n",
            Some((200, true, "OK")),
        ),
        (
            "origin: https://ab.example.org.evil\r\naccess-control-request-method: get\r\naccess-control-request-headers: x-a,,accept\r\naccess-control-request-private-network: true\r\n",
            Some((400, false, "Disallowed CORS origin, method, headers, private-network")),
        ),
    ];
    for (fields, expected) in table {
        assert_eq!(
            ask(fields),
            expected.map(|(status, is_named, body)| (status, is_named, body.into())),
            "{fields}"
        );
    }
    assert_eq!(answered(&stack, "GET / HTTP/1.1\r\nhost: x\r\norigin: https://a.example\r\naccess-control-request-method: GET\r\n\r\n"), None);
}

#[test]
fn cors_fields_are_set_and_vary_is_merged() {
    let stack = Stack::new(vec![cors()]);
    let table = [
        ("", "vary: a, b, Origin\nx: 1\n"),
        ("origin: https://evil\r\n", "vary: a, b, Origin\nx: 1\naccess-control-allow-credentials: true\n"),
        (
            "origin: https://a.example\r\n",
            "vary: a, b, Origin\nx: 1\naccess-control-allow-credentials: true\naccess-control-allow-origin: https://a.example\n",
        ),
    ];
    for (field, expected) in table {
        let head = head(&format!("GET / HTTP/1.1\r\nhost: x\r\n{field}\r\n"));
        let mut response = response(200, &[("vary", "a"), ("x", "1"), ("vary", "b")]);
        stack.after(&seen(&head), &mut response, Bytes::new());
        assert_eq!(lines(&response), expected, "{field}");
    }
}

#[test]
fn origin_pattern_matches_all_of_it_or_nothing() {
    let pattern = |pattern: &str| {
        Cors::new(CorsOptions { allow_origin_regex: Some(pattern.into()), ..CorsOptions::default() })
    };
    assert!(matches!(pattern("("), Err(cors::CorsFault::Pattern(_))));
    let broken =
        CorsOptions { preflight_headers: vec![(b"a".to_vec(), b"\n".to_vec())], ..CorsOptions::default() };
    assert!(matches!(Cors::new(broken), Err(cors::CorsFault::Field(_))));
}

#[test]
fn whole_body_is_compressed_when_it_may_and_says_so() {
    let stack = Stack::new(vec![gzip()]);
    let body = Bytes::from("a long body, ".repeat(100));
    let short = Bytes::from_static(b"short");
    let html = ("content-type", "text/html");
    type Case<'a> = (&'a str, u16, &'a [(&'a str, &'a str)], &'a Bytes, &'a str, bool);
    let table: [Case<'_>; 9] = [
        (
            "gzip",
            200,
            &[html],
            &body,
            "content-type: text/html\nvary: Accept-Encoding\ncontent-encoding: gzip\n",
            true,
        ),
        (
            "br, x-gzip;q=0",
            404,
            &[("vary", "x")],
            &body,
            "vary: x, Accept-Encoding\ncontent-encoding: gzip\n",
            true,
        ),
        ("GZIP", 200, &[html], &body, "content-type: text/html\nvary: Accept-Encoding\n", false),
        ("gzip", 200, &[html], &short, "content-type: text/html\n", false),
        ("gzip", 206, &[html], &body, "content-type: text/html\n", false),
        ("gzip", 200, &[("content-encoding", "br")], &body, "content-encoding: br\n", false),
        (
            "gzip",
            200,
            &[("content-type", "Text/Event-Stream ;x")],
            &body,
            "content-type: Text/Event-Stream ;x\n",
            false,
        ),
        ("gzip", 200, &[("content-type", "audio/ogg")], &body, "content-type: audio/ogg\n", false),
        ("gzip", 200, &[("content-type", "audio")], &body, "content-type: audio\n", false),
    ];
    for (accepted, status, fields, body, expected, is_compressed) in table {
        let head = head(&format!("GET / HTTP/1.1\r\nhost: x\r\naccept-encoding: {accepted}\r\n\r\n"));
        let mut response = response(status, fields);
        let sent = stack.after(&seen(&head), &mut response, body.clone());
        assert_eq!(lines(&response), expected, "{accepted} {fields:?}");
        if is_compressed {
            assert_eq!(response.fields.content_length(), Some(sent.len() as u64));
            assert_eq!(unzipped(&sent), *body);
        } else {
            assert_eq!(sent, *body);
        }
    }
}

#[test]
fn compressor_is_as_new_for_each_body() {
    let stack = Stack::new(vec![gzip()]);
    let head = head("GET / HTTP/1.1\r\nhost: x\r\naccept-encoding: gzip\r\n\r\n");
    let mut previous = None;
    for body in ["x".repeat(200), "y".repeat(300_000), String::new() + &"z".repeat(100), "x".repeat(200)] {
        let sent = stack.after(&seen(&head), &mut response(200, &[]), Bytes::from(body.clone()));
        assert_eq!(unzipped(&sent), body.as_bytes());
        if body.starts_with('x') {
            assert_eq!(*previous.get_or_insert(sent.clone()), sent);
        }
    }
    assert!(stack.is_heavy(&seen(&head), 1 << 17));
    assert!(!stack.is_heavy(&seen(&head), 1 << 16));
}

#[test]
fn stream_can_be_read_up_to_each_piece() {
    let stack = Stack::new(vec![gzip(), cors(), gzip()]);
    let head = head("GET / HTTP/1.1\r\nhost: x\r\naccept-encoding: gzip\r\n\r\n");
    let mut response = response(200, &[("content-length", "9"), ("content-type", "text/csv")]);
    let mut coder = stack.stream(&seen(&head), &mut response).unwrap();
    assert_eq!(response.fields.content_length(), None);
    assert_eq!(
        lines(&response),
        "content-type: text/csv\nvary: Accept-Encoding, Origin\ncontent-encoding: gzip\n"
    );
    let (mut sent, mut plain) = (Vec::new(), Vec::new());
    let noise: Vec<u8> = (0..100_000u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    for piece in [&b"a,b\n"[..], b"", b"1,2\n", b"", &noise, b"end"] {
        sent.extend_from_slice(&coder.piece(piece));
        plain.extend_from_slice(piece);
        let mut reader = flate2::Decompress::new_gzip(15);
        let mut so_far = Vec::with_capacity(200_000);
        reader.decompress_vec(&sent, &mut so_far, flate2::FlushDecompress::Sync).unwrap();
        assert_eq!(so_far, plain);
    }
    sent.extend_from_slice(&coder.end());
    assert_eq!(unzipped(&sent), plain);
}

#[test]
fn host_is_refused_redirected_or_let_in() {
    let table = [
        ("a.example", None),
        ("A.EXAMPLE:99", None),
        ("x.y.b.example", None),
        ("b.example", Some((400, ""))),
        ("c.example", Some((307, "http://www.c.example/p%20q/%3F?r=s%22"))),
        ("C.example:8080", Some((307, "http://www.C.example:8080/p%20q/%3F?r=s%22"))),
        ("d.example", Some((400, ""))),
        ("[::1]", Some((400, ""))),
    ];
    for (host, expected) in table {
        let request = format!("GET /p%20q/%3f?r=s\" HTTP/1.1\r\nhost: {host}\r\n\r\n");
        let found = answered(&Stack::new(vec![trusted(true)]), &request);
        let found = found.as_ref().map(|(status, lines, body)| {
            assert_eq!(body, if *status == 400 { "Invalid host header" } else { "" });
            (
                *status,
                lines
                    .trim_start_matches("location: ")
                    .trim_end()
                    .trim_start_matches("content-type: text/plain; charset=utf-8"),
            )
        });
        assert_eq!(found, expected, "{host}");
    }
    let found = answered(&Stack::new(vec![trusted(false)]), "GET / HTTP/1.1\r\nhost: c.example\r\n\r\n");
    assert_eq!(found.map(|found| found.0), Some(400));
    let found = answered(&Stack::new(vec![trusted(true)]), "GET / HTTP/1.0\r\n\r\n");
    assert_eq!(found.map(|found| found.0), Some(400));
}

#[test]
fn redirect_to_tls_keeps_authority_path_and_query() {
    let table = [
        ("/", "host: a.example", "https://a.example/"),
        ("/a%2Fb%0A%5C?x=%20", "host: A.example:8000", "https://A.example:8000/a/b%5C?x=%20"),
        ("/%C3%A4%ff", "host: A.example:080", "https://a.example/%C3%A4%EF%BF%BD"),
        ("/", "host: a.example:443", "https://a.example/"),
        ("/", "host: [::1]:80", "https://::1/"),
        ("/", "host: [::1]", "https://[::1]/"),
        ("//x", "x: y", "https://127.0.0.1:8000//x"),
    ];
    for (target, field, expected) in table {
        let request = format!("GET {target} HTTP/1.0\r\n{field}\r\n\r\n");
        let found = answered(&Stack::new(vec![Layer::HttpsRedirect(HttpsRedirect)]), &request);
        assert_eq!(found, Some((307, format!("location: {expected}\n"), String::new())), "{request}");
    }
    let head = head("GET /a HTTP/1.0\r\n\r\n");
    let stack = Stack::new(vec![Layer::HttpsRedirect(HttpsRedirect)]);
    let unix = Seen { server: Some(("/run/app.sock", None)), ..seen(&head) };
    assert!(matches!(stack.before(&unix), ControlFlow::Break(answer) if answer.head.status == 400));
    assert!(stack.before(&Seen { scheme: "https", ..seen(&head) }).is_continue());
    let socket = Seen { scheme: "ws", root_path: "/r", ..seen(&head) };
    let ControlFlow::Break(answer) = stack.before(&socket) else { panic!() };
    assert_eq!(lines(&answer.head), "location: wss://127.0.0.1:8000/r/a\n");
}

#[test]
fn answer_of_an_inner_layer_goes_through_the_outer_ones() {
    let refused = "GET / HTTP/1.1\r\nhost: evil\r\norigin: https://a.example\r\n\r\n";
    let (status, outside, _) = answered(&Stack::new(vec![cors(), trusted(true)]), refused).unwrap();
    assert_eq!(status, 400);
    assert!(outside.contains("access-control-allow-origin: https://a.example"), "{outside}");
    let (_, inside, _) = answered(&Stack::new(vec![trusted(true), cors()]), refused).unwrap();
    assert_eq!(inside, "content-type: text/plain; charset=utf-8\n");
}
