//! Request lines and field lines: what is let in, what is refused and how.

use crate::support::{assert_accepted, assert_refused, head_of, read};
use turboapi::http1::{Method, Version, Violation};

#[test]
fn head_gives_its_parts_when_origin_form() {
    let head =
        head_of(b"GET /items/7?q=x HTTP/1.1\r\nHost: a.example:80\r\nX-Empty:\r\nAccept:  a , b \t\r\n\r\n");
    assert_eq!(head.method(), Method::Get);
    assert_eq!(head.method_bytes(), b"GET");
    assert_eq!(head.version(), Version::Http11);
    assert_eq!(head.target(), b"/items/7?q=x");
    assert_eq!((head.path(), head.query()), (&b"/items/7"[..], &b"q=x"[..]));
    assert_eq!(head.host(), Some(&b"a.example:80"[..]));
    let fields: Vec<_> = head.fields().collect();
    assert_eq!(
        fields,
        [(&b"Host"[..], &b"a.example:80"[..]), (&b"X-Empty"[..], &b""[..]), (&b"Accept"[..], &b"a , b"[..])]
    );
    assert_eq!(head.field(b"aCCEPT"), Some(&b"a , b"[..]));
    assert_eq!(head.field(b"cookie"), None);
}

#[test]
fn head_parts_are_shared_without_a_copy() {
    let head = head_of(b"GET /items HTTP/1.1\r\nHost: a\r\n\r\n");
    let shared = head.share(head.path());
    assert_eq!(shared.as_ptr(), head.path().as_ptr());
    assert_eq!(head.share(b"elsewhere"), &b"elsewhere"[..]);
}

#[test]
fn target_is_split_when_of_any_allowed_form() {
    let table: [(&[u8], &str, &str, &str); 9] = [
        (b"GET / HTTP/1.1\r\nHost: h\r\n\r\n", "/", "", "h"),
        (b"GET /a%2Fb?x=?&y HTTP/1.1\r\nHost: h\r\n\r\n", "/a%2Fb", "x=?&y", "h"),
        (b"GET //a//b HTTP/1.1\r\nHost: h\r\n\r\n", "//a//b", "", "h"),
        (b"GET /\"<>[]\\^`{|}~ HTTP/1.1\r\nHost: h\r\n\r\n", "/\"<>[]\\^`{|}~", "", "h"),
        (b"GET http://t.example/a?b HTTP/1.1\r\nHost: h\r\n\r\n", "/a", "b", "t.example"),
        (b"GET HTTPS://t.example:8443 HTTP/1.1\r\nHost: h\r\n\r\n", "/", "", "t.example:8443"),
        (b"GET http://[::1]?q HTTP/1.1\r\nHost: h\r\n\r\n", "/", "q", "[::1]"),
        (b"OPTIONS * HTTP/1.1\r\nHost: h\r\n\r\n", "*", "", "h"),
        (b"OPTIONS /x HTTP/1.1\r\nHost: h\r\n\r\n", "/x", "", "h"),
    ];
    for (bytes, path, query, host) in table {
        let head = head_of(bytes);
        let text = |part: &[u8]| String::from_utf8(part.to_vec()).unwrap();
        assert_eq!((text(head.path()).as_str(), text(head.query()).as_str()), (path, query));
        assert_eq!(head.host().map(text).as_deref(), Some(host));
        assert_eq!(head.share(head.path()), path.as_bytes());
    }
}

#[test]
fn target_refused_when_form_or_byte_is_wrong() {
    use Violation::*;
    assert_refused(&[
        ("empty", b"GET  HTTP/1.1\r\nHost: a\r\n\r\n", BadTarget),
        ("no slash", b"GET a HTTP/1.1\r\nHost: a\r\n\r\n", BadTarget),
        ("fragment", b"GET /#a HTTP/1.1\r\nHost: a\r\n\r\n", BadTarget),
        ("NUL", b"GET /\0 HTTP/1.1\r\nHost: a\r\n\r\n", BadTarget),
        ("tab", b"GET /\ta HTTP/1.1\r\nHost: a\r\n\r\n", BadTarget),
        ("DEL", b"GET /\x7f HTTP/1.1\r\nHost: a\r\n\r\n", BadTarget),
        ("raw UTF-8", b"GET /\xc3\xa4 HTTP/1.1\r\nHost: a\r\n\r\n", BadTarget),
        ("space", b"GET /a b HTTP/1.1\r\nHost: a\r\n\r\n", BadVersion),
        ("other scheme", b"GET ftp://a/ HTTP/1.1\r\nHost: a\r\n\r\n", BadTarget),
        ("authority-form", b"GET a:80 HTTP/1.1\r\nHost: a\r\n\r\n", BadTarget),
        ("no authority", b"GET http:///a HTTP/1.1\r\nHost: a\r\n\r\n", BadHost),
        ("userinfo", b"GET http://u@a/ HTTP/1.1\r\nHost: a\r\n\r\n", BadHost),
        ("asterisk", b"GET * HTTP/1.1\r\nHost: a\r\n\r\n", AsteriskWithoutOptions),
        ("asterisk and more", b"OPTIONS *a HTTP/1.1\r\nHost: a\r\n\r\n", BadTarget),
    ]);
}

#[test]
fn method_is_any_token_and_case_sensitive() {
    let table: [(&[u8], Method); 11] = [
        (b"GET", Method::Get),
        (b"HEAD", Method::Head),
        (b"POST", Method::Post),
        (b"PUT", Method::Put),
        (b"DELETE", Method::Delete),
        (b"PATCH", Method::Patch),
        (b"OPTIONS", Method::Options),
        (b"TRACE", Method::Trace),
        (b"get", Method::Other),
        (b"M-SEARCH", Method::Other),
        (b"!#$%&'*+-.^_`|~09", Method::Other),
    ];
    for (method, expected) in table {
        let head = head_of(&[method, b" / HTTP/1.1\r\nHost: a\r\n\r\n"].concat());
        assert_eq!((head.method(), head.method_bytes()), (expected, method));
    }
}

#[test]
fn method_refused_when_no_token_or_not_implemented() {
    use Violation::*;
    assert_refused(&[
        ("empty", b" / HTTP/1.1\r\nHost: a\r\n\r\n", BadMethod),
        ("brace", b"G{T / HTTP/1.1\r\nHost: a\r\n\r\n", BadMethod),
        ("colon", b"Host: a\r\n\r\n", BadMethod),
        ("tab for space", b"GET\t/ HTTP/1.1\r\nHost: a\r\n\r\n", BadMethod),
        ("above ASCII", b"G\xc3T / HTTP/1.1\r\nHost: a\r\n\r\n", BadMethod),
        ("33 bytes", b"ABCDEFGHIJKLMNOPQRSTUVWXYZABCDEFG / HTTP/1.1\r\nHost: a\r\n\r\n", MethodTooLong),
        ("CONNECT", b"CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\n\r\n", ConnectNotImplemented),
    ]);
}

#[test]
fn version_of_later_1_x_is_read_as_1_1() {
    assert_eq!(head_of(b"GET / HTTP/1.0\r\n\r\n").version(), Version::Http10);
    assert_eq!(head_of(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").version(), Version::Http11);
    assert_eq!(head_of(b"GET / HTTP/1.9\r\nHost: a\r\n\r\n").version(), Version::Http11);
}

#[test]
fn version_refused_when_malformed_or_not_1_x() {
    use Violation::*;
    assert_refused(&[
        ("HTTP/0.9", b"GET /\r\n", MissingVersion),
        ("HTTP/0.9 with a space", b"GET / \r\n", BadVersion),
        ("two spaces", b"GET /  HTTP/1.1\r\nHost: a\r\n\r\n", BadVersion),
        ("lower case", b"GET / http/1.1\r\nHost: a\r\n\r\n", BadVersion),
        ("no minor", b"GET / HTTP/1\r\nHost: a\r\n\r\n", BadVersion),
        ("two digits", b"GET / HTTP/1.10\r\nHost: a\r\n\r\n", BadVersion),
        ("two digits of major", b"GET / HTTP/11.1\r\nHost: a\r\n\r\n", BadVersion),
        ("trailing space", b"GET / HTTP/1.1 \r\nHost: a\r\n\r\n", BadVersion),
        ("another protocol", b"GET / RTSP/1.0\r\nHost: a\r\n\r\n", BadVersion),
        ("HTTP/0.9 said", b"GET / HTTP/0.9\r\nHost: a\r\n\r\n", UnsupportedVersion),
        ("HTTP/2.0", b"GET / HTTP/2.0\r\nHost: a\r\n\r\n", UnsupportedVersion),
        ("HTTP/3.0", b"GET / HTTP/3.0\r\nHost: a\r\n\r\n", UnsupportedVersion),
        ("HTTP/2 preface", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", Http2Preface),
    ]);
}

#[test]
fn head_refused_when_line_ends_are_bare() {
    use Violation::*;
    assert_refused(&[
        ("LF", b"GET / HTTP/1.1\nHost: a\r\n\r\n", BareLf),
        ("LF after the method", b"GET\n", BareLf),
        ("LF after the target", b"GET /\n", BareLf),
        ("LF in fields", b"GET / HTTP/1.1\r\nHost: a\n\r\n", BareLf),
        ("LF in a name", b"GET / HTTP/1.1\r\nHo\nst: a\r\n\r\n", BareLf),
        ("LF for the empty line", b"GET / HTTP/1.1\r\nHost: a\r\n\n", BareLf),
        ("LF first", b"\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", BareLf),
        ("CR first", b"\rGET / HTTP/1.1\r\nHost: a\r\n\r\n", BareCr),
        ("CR in a value", b"GET / HTTP/1.1\r\nHost: a\rX: b\r\n\r\n", BareCr),
        ("CR after the version", b"GET / HTTP/1.1\rHost: a\r\n\r\n", BareCr),
        ("CR CR LF", b"GET / HTTP/1.1\r\r\nHost: a\r\n\r\n", BareCr),
        ("CR for the empty line", b"GET / HTTP/1.1\r\nHost: a\r\n\rX", BareCr),
    ]);
}

#[test]
fn empty_lines_before_head_are_skipped_up_to_the_bound() {
    assert_accepted(&[
        ("one", b"\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n"),
        ("four", b"\r\n\r\n\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n"),
    ]);
    assert_refused(&[("five", b"\r\n\r\n\r\n\r\n\r\n", Violation::TooManyEmptyLines)]);
    let seen = read(
        b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\nx\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n",
    );
    assert_eq!((seen.requests.len(), seen.violation), (2, None));
}

#[test]
fn field_accepted_when_value_holds_what_rfc_9110_allows() {
    let head = head_of(
        b"GET / HTTP/1.1\r\nHost: a\r\nA:b\r\nB: \t b\tc \t\r\nC:\r\nD: \t \r\nE: \xff\x80\r\n!#$%&'*+-.^_`|~9z: \"\r\n\r\n",
    );
    let values: Vec<_> = head.fields().map(|(_, value)| value).collect();
    assert_eq!(values, [&b"a"[..], b"b", b"b\tc", b"", b"", b"\xff\x80", b"\""]);
}

#[test]
fn field_refused_when_line_breaks_the_grammar() {
    use Violation::*;
    assert_refused(&[
        ("space before the colon", b"GET / HTTP/1.1\r\nHost : a\r\n\r\n", SpaceBeforeColon),
        ("tab before the colon", b"GET / HTTP/1.1\r\nHost\t: a\r\n\r\n", SpaceBeforeColon),
        ("space in the name", b"GET / HTTP/1.1\r\nA b: c\r\nHost: a\r\n\r\n", SpaceBeforeColon),
        ("empty name", b"GET / HTTP/1.1\r\n: a\r\nHost: a\r\n\r\n", EmptyFieldName),
        ("no colon", b"GET / HTTP/1.1\r\nHost\r\n\r\n", BadFieldName),
        ("NUL in the name", b"GET / HTTP/1.1\r\nHo\0st: a\r\n\r\n", BadFieldName),
        ("brackets in the name", b"GET / HTTP/1.1\r\nHost: a\r\na[b]: c\r\n\r\n", BadFieldName),
        ("UTF-8 in the name", b"GET / HTTP/1.1\r\nHost: a\r\n\xc3\xa4: c\r\n\r\n", BadFieldName),
        ("NUL in the value", b"GET / HTTP/1.1\r\nHost: a\r\nB: c\0d\r\n\r\n", BadFieldValue),
        ("DEL in the value", b"GET / HTTP/1.1\r\nHost: a\r\nB: \x7f\r\n\r\n", BadFieldValue),
        ("BEL in the value", b"GET / HTTP/1.1\r\nHost: a\r\nB: \x07\r\n\r\n", BadFieldValue),
        ("obs-fold", b"GET / HTTP/1.1\r\nHost: a\r\nB: c\r\n d\r\n\r\n", ObsFold),
        ("obs-fold by tab", b"GET / HTTP/1.1\r\nHost: a\r\nB: c\r\n\td\r\n\r\n", ObsFold),
        ("obs-fold, empty", b"GET / HTTP/1.1\r\nHost: a\r\nB: c\r\n \r\n\r\n", ObsFold),
        ("space before the first field", b"GET / HTTP/1.1\r\n Host: a\r\n\r\n", ObsFold),
    ]);
}

#[test]
fn garbage_refused_at_its_first_byte() {
    use Violation::*;
    assert_refused(&[
        ("TLS ClientHello", b"\x16", TlsOnPlainPort),
        ("NUL", b"\0", BadMethod),
        ("SOCKS", b"\x05", BadMethod),
        ("JSON", b"{", BadMethod),
        ("response", b"HTTP/", BadMethod),
        ("second byte", b"G\x01", BadMethod),
        ("HTTP/2 preface", b"PRI * HTTP/2", Http2Preface),
        ("major version", b"GET / HTTP/2", UnsupportedVersion),
        ("fold", b"GET / HTTP/1.1\r\n ", ObsFold),
        ("NUL in a value", b"GET / HTTP/1.1\r\nA: \0", BadFieldValue),
    ]);
}

#[test]
fn debug_text_of_head_holds_no_field_values() {
    let head = head_of(b"GET /a HTTP/1.1\r\nHost: a\r\nAuthorization: secret\r\n\r\n");
    let text = format!("{head:?}");
    assert!(text.contains("/a") && !text.contains("secret"), "{text}");
}

#[test]
fn violations_have_a_status_and_a_reason_of_their_own() {
    let mut reasons: Vec<_> = Violation::ALL.iter().map(|violation| violation.reason()).collect();
    reasons.sort_unstable();
    reasons.dedup();
    assert_eq!(reasons.len(), Violation::ALL.len());
    assert!(Violation::ALL.iter().all(|violation| (400..=505).contains(&violation.status())));
}
