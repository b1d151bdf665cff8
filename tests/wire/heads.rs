//! Request heads: what is let in, what is refused and how.

use crate::support::{assert_refused, head_of};
use turboapi::http1::{Method, Version, Violation};

#[test]
fn head_gives_its_parts_when_origin_form() {
    let head =
        head_of(b"GET /items/7?q=x HTTP/1.1\r\nHost: a.example:80\r\nX-Empty:\r\nAccept:  a , b \t\r\n\r\n");
    assert_eq!(head.method(), Method::Get);
    assert_eq!(head.version(), Version::Http11);
    assert_eq!(head.target(), b"/items/7?q=x");
    assert_eq!((head.path(), head.query()), (&b"/items/7"[..], &b"q=x"[..]));
    assert_eq!(head.host(), Some(&b"a.example:80"[..]));
    let fields: Vec<_> = head.fields().collect();
    assert_eq!(fields[1], (&b"X-Empty"[..], &b""[..]));
    assert_eq!(fields[2], (&b"Accept"[..], &b"a , b"[..]));
    assert!(head.keep_alive());
}

#[test]
fn head_refused_when_line_ends_are_bare() {
    assert_refused(&[
        ("LF", b"GET / HTTP/1.1\nHost: a\r\n\r\n", Violation::BareLf),
        ("LF in fields", b"GET / HTTP/1.1\r\nHost: a\n\r\n", Violation::BareLf),
        ("LF for the empty line", b"GET / HTTP/1.1\r\nHost: a\r\n\n", Violation::BareLf),
        ("CR", b"GET / HTTP/1.1\r\nHost: a\rX: b\r\n\r\n", Violation::BareCr),
    ]);
}
