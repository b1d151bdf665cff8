//! Request targets and the authority in them.
//!
//! Owns: the forms of a target, what a host may be. Does not own: decoding of percent-escapes.
//! Spec: RFC 9112 section 3.2; RFC 3986 section 3.2.2; RFC 9110 section 4.2.

use super::head::Span;
use super::{chars, Violation};
use std::net::Ipv6Addr;

/// The forms of a request target that a server which is no proxy obeys.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Target {
    /// `/path?query`.
    Origin { path: Span, query: Span },
    /// `http://authority/path?query`.
    Absolute { authority: Span, path: Span, query: Span },
    /// `*`.
    Asterisk,
}

/// Splits the target that lies at `span` of `input`. Its bytes have been checked with `chars::is_target`.
pub(crate) fn parse_target(input: &[u8], span: Span) -> Result<Target, Violation> {
    let target = span.of(input);
    if target.first() == Some(&b'/') {
        let (path, query) = split_query(input, span);
        return Ok(Target::Origin { path, query });
    }
    if target == b"*" {
        return Ok(Target::Asterisk);
    }
    let scheme_len = absolute_prefix(target).ok_or(Violation::BadTarget)?;
    let authority_start = span.start() + scheme_len;
    let rest = Span::new(authority_start, span.end()).of(input);
    let authority_len = rest.iter().position(|&byte| byte == b'/' || byte == b'?').unwrap_or(rest.len());
    let authority = Span::new(authority_start, authority_start + authority_len);
    if !is_host(authority.of(input)) {
        return Err(Violation::BadHost);
    }
    let (mut path, query) = split_query(input, Span::new(authority.end(), span.end()));
    if path.is_empty() {
        // `http://host` and `http://host?q` mean the path `/` (RFC 9110 section 4.2.3). The last slash of `://` is
        // one, so that the path is part of the head's bytes here too.
        path = Span::new(authority_start - 1, authority_start);
    }
    Ok(Target::Absolute { authority, path, query })
}

fn absolute_prefix(target: &[u8]) -> Option<usize> {
    [&b"http://"[..], b"https://"]
        .into_iter()
        .find(|scheme| target.get(..scheme.len()).is_some_and(|start| start.eq_ignore_ascii_case(scheme)))
        .map(<[u8]>::len)
}

fn split_query(input: &[u8], span: Span) -> (Span, Span) {
    match memchr::memchr(b'?', span.of(input)) {
        Some(at) => {
            let mark = span.start() + at;
            (Span::new(span.start(), mark), Span::new(mark + 1, span.end()))
        }
        None => (span, Span::new(span.end(), span.end())),
    }
}

/// `uri-host [ ":" port ]`, not empty, without userinfo.
///
/// Stricter than the grammar in three points, see docs/wire.md: no comma, no IPvFuture, no port above 65535.
pub(crate) fn is_host(value: &[u8]) -> bool {
    let (host_ok, port) = if value.first() == Some(&b'[') {
        let Some(close) = memchr::memchr(b']', value) else { return false };
        let address =
            std::str::from_utf8(&value[1..close]).ok().and_then(|text| text.parse::<Ipv6Addr>().ok());
        (address.is_some(), &value[close + 1..])
    } else {
        let end = memchr::memchr(b':', value).unwrap_or(value.len());
        (is_reg_name(&value[..end]), &value[end..])
    };
    host_ok && (port.is_empty() || (port[0] == b':' && is_port(&port[1..])))
}

fn is_reg_name(host: &[u8]) -> bool {
    let mut rest = host;
    while let Some((&byte, after)) = rest.split_first() {
        rest = match (byte, after) {
            (b'%', [high, low, after @ ..]) if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() => after,
            _ if chars::is_reg_name(byte) => after,
            _ => return false,
        };
    }
    !host.is_empty()
}

/// `*DIGIT`, at most 65535. Empty is allowed by RFC 3986 section 3.2.3.
fn is_port(port: &[u8]) -> bool {
    port.iter()
        .try_fold(0u32, |sum, byte| match byte {
            b'0'..=b'9' => Some(sum * 10 + u32::from(byte - b'0')).filter(|&sum| sum <= 65535),
            _ => None,
        })
        .is_some()
}
