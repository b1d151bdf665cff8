//! Request bodies: by length and chunked.

use crate::support::read;

#[test]
fn body_is_joined_when_chunked() {
    let seen = read(b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3;a=b\r\nabc\r\n2\r\nde\r\n0\r\nT: x\r\n\r\nGET / HTTP/1.1\r\nHost: b\r\n\r\n");
    assert_eq!(seen.violation, None);
    assert_eq!(seen.requests.len(), 2);
    assert_eq!(seen.requests[0].body, b"abcde");
}
