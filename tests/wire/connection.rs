//! The order of a connection: keep-alive, pipelining, expectations, upgrades.

use crate::support::{assert_refused, head_of, read};
use bytes::BytesMut;
use turboapi::http1::{Conn, Event, Limits, Violation};

#[test]
fn connection_kept_as_version_and_options_say() {
    let table: [(&[u8], bool); 13] = [
        (b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", true),
        (b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", false),
        (b"GET / HTTP/1.1\r\nHost: a\r\nConnection: CLOSE\r\n\r\n", false),
        (b"GET / HTTP/1.1\r\nHost: a\r\nConnection: x,\tclose ,y\r\n\r\n", false),
        (b"GET / HTTP/1.1\r\nHost: a\r\nConnection: keep-alive\r\n\r\n", true),
        (b"GET / HTTP/1.1\r\nHost: a\r\nConnection: keep-alive, close\r\n\r\n", false),
        (b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\nConnection: keep-alive\r\n\r\n", false),
        (b"GET / HTTP/1.1\r\nHost: a\r\nConnection: closed\r\n\r\n", true),
        (b"GET / HTTP/1.1\r\nHost: a\r\nConnection:\r\n\r\n", true),
        (b"GET / HTTP/1.0\r\n\r\n", false),
        (b"GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n", true),
        (b"GET / HTTP/1.0\r\nConnection: keep-alive, close\r\n\r\n", false),
        (b"GET / HTTP/1.0\r\nKeep-Alive: 300\r\n\r\n", false),
    ];
    for (bytes, expected) in table {
        assert_eq!(head_of(bytes).keep_alive(), expected, "{}", bytes.escape_ascii());
        assert_eq!(head_of(bytes).reply_context().keep_alive, expected);
    }
}

#[test]
fn pipelined_requests_come_out_in_order() {
    let seen = read(
        b"GET /1 HTTP/1.1\r\nHost: a\r\n\r\n\
          POST /2 HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc\
          POST /3 HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n\
          HEAD /4 HTTP/1.1\r\nHost: a\r\n\r\n",
    );
    let paths: Vec<_> = seen.requests.iter().map(|request| request.head.path()).collect();
    assert_eq!(paths, [b"/1", b"/2", b"/3", b"/4"]);
    assert_eq!(seen.requests[1].body, b"abc");
    assert_eq!(seen.requests[2].body, b"x");
}

#[test]
fn nothing_is_read_behind_a_violation() {
    let seen = read(b"GET / HTTP/1.1\r\nHost: a\r\n\r\nBAD\0GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_eq!((seen.requests.len(), seen.violation), (1, Some(Violation::BadMethod)));
}

#[test]
fn body_is_never_read_as_a_head() {
    let smuggled = "GET /smuggled HTTP/1.1\r\nHost: evil\r\n\r\n";
    let seen = read(
        format!(
            "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: {}\r\n\r\n{smuggled}GET /next HTTP/1.1\r\nHost: a\r\n\r\n",
            smuggled.len()
        )
        .as_bytes(),
    );
    assert_eq!(seen.requests[0].body, smuggled.as_bytes());
    let paths: Vec<_> = seen.requests.iter().map(|request| request.head.path()).collect();
    assert_eq!(paths, [&b"/"[..], b"/next"]);
}

#[test]
fn continue_expected_on_1_1_with_a_body_only() {
    let table: [(&[u8], bool); 5] = [
        (b"POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 1\r\n\r\nx", true),
        (b"POST / HTTP/1.1\r\nHost: a\r\nexpect: 100-Continue\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", true),
        (b"POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\n\r\n", false),
        (b"POST / HTTP/1.0\r\nExpect: 100-continue\r\nContent-Length: 1\r\n\r\nx", false),
        (b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\nx", false),
    ];
    for (bytes, expected) in table {
        assert_eq!(head_of(bytes).expects_continue(), expected, "{}", bytes.escape_ascii());
    }
}

#[test]
fn expectation_refused_with_417_when_unknown() {
    use Violation::*;
    assert_refused(&[
        ("unknown", b"POST / HTTP/1.1\r\nHost: a\r\nExpect: 200-ok\r\n\r\n", UnknownExpectation),
        ("empty", b"POST / HTTP/1.1\r\nHost: a\r\nExpect:\r\n\r\n", UnknownExpectation),
        ("a list", b"POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue, b\r\n\r\n", UnknownExpectation),
    ]);
    assert_eq!(UnknownExpectation.status(), 417);
}

#[test]
fn upgrade_wanted_when_option_and_field_are_there_on_1_1() {
    let table: [(&[u8], bool); 5] = [
        (b"GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n", true),
        (b"GET / HTTP/1.1\r\nHost: a\r\nConnection: keep-alive, upgrade\r\nUpgrade: websocket\r\n\r\n", true),
        (b"GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\n\r\n", false),
        (b"GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\n\r\n", false),
        (b"GET / HTTP/1.0\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n", false),
    ];
    for (bytes, expected) in table {
        assert_eq!(head_of(bytes).wants_upgrade(), expected, "{}", bytes.escape_ascii());
    }
}

#[test]
fn conn_knows_where_it_stands() {
    let mut conn = Conn::new(Limits::default());
    let mut input = BytesMut::new();
    assert!(conn.is_drained() && conn.is_idle(&input));
    assert_eq!(conn.body_left(), Some(0));

    input.extend_from_slice(b"\r\n\r");
    assert!(matches!(conn.next_event(&mut input), Ok(Event::NeedMore)));
    assert!(conn.is_idle(&input), "empty lines are no head");

    input.extend_from_slice(b"\nPOST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\na");
    assert!(!conn.is_idle(&input));
    assert!(matches!(conn.next_event(&mut input), Ok(Event::Head(_))));
    assert!(!conn.is_drained() && !conn.is_idle(&input));
    assert_eq!(conn.body_left(), Some(3));

    assert!(matches!(conn.next_event(&mut input), Ok(Event::Body(piece)) if piece == "a"));
    assert_eq!(conn.body_left(), Some(2));
    input.extend_from_slice(b"bc");
    assert!(matches!(conn.next_event(&mut input), Ok(Event::Body(piece)) if piece == "bc"));
    assert!(matches!(conn.next_event(&mut input), Ok(Event::BodyEnd)));
    assert!(conn.is_drained() && conn.is_idle(&input));

    input.extend_from_slice(b"G");
    assert!(matches!(conn.next_event(&mut input), Ok(Event::NeedMore)));
    assert!(!conn.is_idle(&input), "a byte of a head was seen");
}

#[test]
fn body_pieces_are_parts_of_the_input_buffer() {
    let mut conn = Conn::new(Limits::default());
    let mut input = BytesMut::from(&b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nbody"[..]);
    let at = input.as_ptr() as usize + input.len() - 4;
    assert!(matches!(conn.next_event(&mut input), Ok(Event::Head(_))));
    match conn.next_event(&mut input) {
        Ok(Event::Body(piece)) => assert_eq!(piece.as_ptr() as usize, at),
        other => panic!("{other:?}"),
    }
}
