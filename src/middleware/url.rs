//! `starlette.datastructures.URL` of a request, as far as redirects need it.
//!
//! Owns: the authority by the `Host` field, URLs put together and quoted. Spec: Starlette's `URL`, `parse_host_header`;
//! `urllib.parse.urlsplit`, `urlunsplit`, `quote`.

use super::Seen;
use crate::bytes_ext::percent_decode;
use std::fmt::Write as _;
use std::net::Ipv6Addr;

/// A `Host` field that is one.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct ParsedHost<'a> {
    /// Brackets around an address are part of it.
    pub host: &'a str,
    pub port: Option<&'a str>,
    /// As sent.
    pub authority: &'a str,
}

/// `parse_host_header`. Stricter than RFC 3986 where Starlette is.
pub(super) fn parse_host(field: Option<&[u8]>) -> Option<ParsedHost<'_>> {
    let authority = std::str::from_utf8(field?).ok().filter(|text| text.is_ascii())?;
    let (host, port) = if authority.starts_with('[') {
        let (host, rest) = authority.split_at(authority.find(']')? + 1);
        if !is_ip_literal(&host[1..host.len() - 1]) {
            return None;
        }
        (host, rest)
    } else {
        authority.split_at(authority.find(':').unwrap_or(authority.len()))
    };
    if !host.starts_with('[') && (host.is_empty() || !host.bytes().all(is_host_byte)) {
        return None;
    }
    let port = match port.strip_prefix(':') {
        Some(digits) if !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit()) => {
            Some(digits)
        }
        Some(_) => return None,
        None if port.is_empty() => None,
        None => return None,
    };
    Some(ParsedHost { host, port, authority })
}

/// An IPv6 address, or an address of the future (`v1.x`).
fn is_ip_literal(text: &str) -> bool {
    if let Some((version, address)) = text.strip_prefix('v').and_then(|rest| rest.split_once('.')) {
        return !version.is_empty()
            && version.bytes().all(|byte| byte.is_ascii_hexdigit())
            && !address.is_empty()
            && address.bytes().all(|byte| byte != b'%' && (is_host_byte(byte) || byte == b':'));
    }
    text.parse::<Ipv6Addr>().is_ok()
}

fn is_host_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"._~%!$&'()*+,;=-".contains(&byte)
}

/// The URL of a request, split.
#[derive(Debug)]
pub(super) struct Url<'a> {
    /// Host and port, if any is known.
    pub netloc: String,
    path: String,
    query: &'a str,
}

impl<'a> Url<'a> {
    /// `URL(scope=scope)`.
    pub fn of(seen: &Seen<'a>) -> Self {
        let netloc = match (parse_host(seen.head.field(b"host")), seen.server) {
            (Some(host), _) if is_valid_port(host.port) => host.authority.to_owned(),
            (_, Some((host, port))) => server_netloc(seen.scheme, host, port),
            (_, None) => String::new(),
        };
        let decoded = percent_decode(seen.head.path());
        let mut path = String::with_capacity(seen.root_path.len() + decoded.len());
        for character in seen.root_path.chars().chain(String::from_utf8_lossy(&decoded).chars()) {
            match character {
                '?' => path.push_str("%3F"),
                '#' => path.push_str("%23"),
                '\\' => path.push_str("%5C"),
                // What `urlsplit` removes.
                '\t' | '\r' | '\n' => {}
                _ => path.push(character),
            }
        }
        if !path.starts_with('/') {
            path.insert(0, '/');
        }
        // A target holds visible ASCII alone.
        Url { netloc, path, query: std::str::from_utf8(seen.head.query()).unwrap_or_default() }
    }

    /// Host in lower case and without brackets, and port, as `SplitResult` gives them.
    pub fn hostname_and_port(&self) -> (String, Option<u16>) {
        let (host, port) = match self.netloc.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
            Some((host, rest)) => (host, rest.strip_prefix(':').unwrap_or_default()),
            None => self.netloc.split_once(':').unwrap_or((&self.netloc, "")),
        };
        let zone = host.find('%').unwrap_or(host.len());
        let hostname = host[..zone].to_ascii_lowercase() + &host[zone..];
        (hostname, port.parse().ok())
    }

    /// Quoted as `RedirectResponse` quotes, with another scheme and authority.
    pub fn redirected(&self, scheme: &str, netloc: &str) -> String {
        let mut url = format!("{scheme}://{netloc}");
        for byte in self.path.bytes() {
            if byte.is_ascii_alphanumeric() || SAFE.contains(&byte) {
                url.push(char::from(byte));
            } else {
                // Writing to a String cannot fail.
                let _ = write!(url, "%{byte:02X}");
            }
        }
        if !self.query.is_empty() {
            url.push('?');
            for byte in self.query.bytes() {
                if byte.is_ascii_alphanumeric() || SAFE.contains(&byte) {
                    url.push(char::from(byte));
                } else {
                    let _ = write!(url, "%{byte:02X}");
                }
            }
        }
        url
    }
}

/// `quote`'s own, and those that `RedirectResponse` names.
const SAFE: &[u8] = b"_.-~:/%#?=@[]!$&'()*+,;";

/// At most 65535, leading zeros aside.
fn is_valid_port(port: Option<&str>) -> bool {
    port.is_none_or(|port| {
        let digits = port.trim_start_matches('0');
        digits.is_empty() || digits.parse::<u16>().is_ok()
    })
}

/// What stands in for the authority of a request that names none.
fn server_netloc(scheme: &str, host: &str, port: Option<u16>) -> String {
    let host =
        if host.contains(':') && !host.starts_with('[') { format!("[{host}]") } else { host.to_owned() };
    let default = if matches!(scheme, "https" | "wss") { 443 } else { 80 };
    let netloc = match port {
        Some(port) if port == default => host,
        Some(port) => format!("{host}:{port}"),
        None => host,
    };
    // A path of a Unix domain socket is none: `urlsplit` ends the authority at its first slash.
    netloc.split('/').next().unwrap_or_default().to_owned()
}
