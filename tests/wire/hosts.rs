//! The Host field (RFC 9112 section 3.2, RFC 9110 section 7.2).

use crate::support::{assert_refused, head_of, read};
use turboapi::http1::Violation;

#[test]
fn host_accepted_when_uri_host_and_port() {
    for host in [
        "a",
        "a.example",
        "a.example.",
        "a_b.example",
        "a.example:8000",
        "a.example:",
        "127.0.0.1:80",
        "[::1]",
        "[2001:db8::1]:65535",
        "[::ffff:127.0.0.1]",
        "xn--bcher-kva.example",
        "a%20b",
        "a~b",
    ] {
        let head = head_of(format!("GET / HTTP/1.1\r\nHost: {host}\r\n\r\n").as_bytes());
        assert_eq!(head.host(), Some(host.as_bytes()));
    }
}

#[test]
fn host_refused_when_anything_else() {
    for host in [
        "",
        " ",
        ":80",
        "u@a",
        "u:p@a",
        "a/b",
        "a/",
        "/",
        "http://a",
        "a,b",
        "a, b",
        "a b",
        "a\tb",
        "a?b",
        "a#b",
        "a\\b",
        "a:b",
        "a:80:80",
        "a:-1",
        "a:+1",
        "a:65536",
        "a:99999999999999999999",
        "a%2",
        "a%zz",
        "[::1",
        "::1",
        "[::1]a",
        "[a]",
        "[]",
        "[v1.a]",
        "[::1%25eth0]",
        "<a>",
        "\"a\"",
        "\u{e4}",
        "a:\u{665}",
    ] {
        let seen = read(format!("GET / HTTP/1.1\r\nHost: {host}\r\n\r\n").as_bytes());
        assert_eq!(seen.violation, Some(Violation::BadHost), "{host:?}");
    }
}

#[test]
fn host_needed_once_on_1_1_and_at_most_once_on_1_0() {
    use Violation::*;
    assert_refused(&[
        ("none", b"GET / HTTP/1.1\r\n\r\n", MissingHost),
        ("none, absolute-form", b"GET http://a/ HTTP/1.1\r\n\r\n", MissingHost),
        ("two", b"GET / HTTP/1.1\r\nHost: a\r\nhost: a\r\n\r\n", RepeatedHost),
        ("two on 1.0", b"GET / HTTP/1.0\r\nHost: a\r\nHost: b\r\n\r\n", RepeatedHost),
        ("bad on 1.0", b"GET / HTTP/1.0\r\nHost: a/b\r\n\r\n", BadHost),
        ("bad beside an absolute-form target", b"GET http://a/ HTTP/1.1\r\nHost: b/c\r\n\r\n", BadHost),
    ]);
    assert_eq!(head_of(b"GET / HTTP/1.0\r\n\r\n").host(), None);
}

#[test]
fn authority_of_target_wins_over_host() {
    let head = head_of(b"GET http://target.example/ HTTP/1.1\r\nHost: field.example\r\n\r\n");
    assert_eq!(head.host(), Some(&b"target.example"[..]));
    assert_eq!(head.field(b"host"), Some(&b"field.example"[..]));
}
