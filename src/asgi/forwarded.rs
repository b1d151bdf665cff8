//! What a trusted proxy says of the connection in front of it.
//!
//! Owns: `X-Forwarded-Proto` and `X-Forwarded-For`, and whom to believe. Does not own: the scope (`scope`).
//! Rule: fields of a peer that is not trusted are not looked at. The rules and the default are uvicorn's
//! (`ProxyHeadersMiddleware`, `--forwarded-allow-ips 127.0.0.1`), so that an app behind a proxy sees the same.

use crate::http1::RequestHead;
use std::net::IpAddr;

/// Proxies whose word is taken.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TrustedProxies {
    all: bool,
    networks: Vec<(IpAddr, u8)>,
    literals: Vec<String>,
}

impl TrustedProxies {
    /// Reads a list such as `127.0.0.1, 10.0.0.0/8`; `*` trusts everybody, an empty list nobody.
    pub fn parse(list: &str) -> Self {
        let mut trusted = TrustedProxies { all: list.trim() == "*", ..TrustedProxies::default() };
        for item in list.split(',').map(str::trim).filter(|item| !item.is_empty()) {
            let (address, bits) =
                item.split_once('/').map_or((item, None), |(address, bits)| (address, Some(bits)));
            match (address.parse::<IpAddr>(), bits.map(str::parse::<u8>)) {
                (Ok(address), None) => trusted.networks.push((address, width(address))),
                (Ok(address), Some(Ok(bits))) if bits <= width(address) => {
                    trusted.networks.push((address, bits))
                }
                _ => trusted.literals.push(item.to_owned()),
            }
        }
        trusted
    }

    fn trusts(&self, host: &str) -> bool {
        if self.all {
            return true;
        }
        match host.parse::<IpAddr>() {
            Ok(address) => self.networks.iter().any(|&(network, bits)| is_in(address, network, bits)),
            Err(_) => self.literals.iter().any(|literal| literal == host),
        }
    }

    /// The scheme that a trusted peer forwards, if it is one.
    pub fn scheme<'h>(&self, client: Option<&str>, head: &'h RequestHead) -> Option<&'h str> {
        let value = std::str::from_utf8(head.field(b"x-forwarded-proto")?).ok()?;
        let is_trusted = self.all || client.is_some_and(|client| self.trusts(client));
        (is_trusted && matches!(value, "http" | "https" | "ws" | "wss")).then_some(value)
    }

    /// The client that a trusted peer forwards for: the last one in the list that is no trusted proxy itself.
    pub fn client(&self, client: Option<&str>, head: &RequestHead) -> Option<(String, u16)> {
        head.field(b"x-forwarded-for")?;
        if !(self.all || client.is_some_and(|client| self.trusts(client))) {
            return None;
        }
        let values: Vec<String> = head
            .fields()
            .filter(|(name, _)| name.eq_ignore_ascii_case(b"x-forwarded-for"))
            .map(|(_, value)| value.iter().map(|&byte| char::from(byte)).collect())
            .collect();
        let joined = values.join(",");
        let hosts: Vec<(String, u16)> = joined.split(',').map(|item| host_and_port(item.trim())).collect();
        let chosen = if self.all {
            hosts.first()
        } else {
            hosts.iter().rev().find(|(host, _)| !self.trusts(host)).or(hosts.first())
        };
        chosen.filter(|(host, _)| !host.is_empty()).cloned()
    }
}

fn width(address: IpAddr) -> u8 {
    if address.is_ipv4() {
        32
    } else {
        128
    }
}

fn is_in(address: IpAddr, network: IpAddr, bits: u8) -> bool {
    match (address, network) {
        (IpAddr::V4(address), IpAddr::V4(network)) => {
            let mask = u32::MAX.checked_shl(32 - u32::from(bits)).unwrap_or(0);
            u32::from(address) & mask == u32::from(network) & mask
        }
        (IpAddr::V6(address), IpAddr::V6(network)) => {
            let mask = u128::MAX.checked_shl(128 - u32::from(bits)).unwrap_or(0);
            u128::from(address) & mask == u128::from(network) & mask
        }
        _ => false,
    }
}

/// `host`, `host:port` or `[host]:port`; what is none of them is taken as it is, without a port.
fn host_and_port(value: &str) -> (String, u16) {
    if let Some(rest) = value.strip_prefix('[') {
        return match rest.split_once(']') {
            Some((host, "")) => (host.to_owned(), 0),
            Some((host, port)) if port.starts_with(':') => (host.to_owned(), port[1..].parse().unwrap_or(0)),
            _ => (value.to_owned(), 0),
        };
    }
    match value.split_once(':') {
        Some((host, port)) if !port.contains(':') => match port.parse() {
            Ok(port) => (host.to_owned(), port),
            Err(_) => (value.to_owned(), 0),
        },
        _ => (value.to_owned(), 0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http1::{Conn, Event, Limits};
    use bytes::BytesMut;

    fn head(fields: &str) -> RequestHead {
        let mut input = BytesMut::from(format!("GET / HTTP/1.1\r\nhost: x\r\n{fields}\r\n").as_bytes());
        match Conn::new(Limits::default()).next_event(&mut input) {
            Ok(Event::Head(head)) => head,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn forwarded_client_is_the_last_that_is_not_trusted() {
        let trusted = TrustedProxies::parse("127.0.0.1, 10.0.0.0/8, ::1, proxy");
        let sent = head("x-forwarded-for: 1.2.3.4, 5.6.7.8:99\r\nx-forwarded-for: 10.9.9.9\r\nx-forwarded-proto: https\r\n");
        assert_eq!(trusted.client(Some("127.0.0.1"), &sent), Some(("5.6.7.8".into(), 99)));
        assert_eq!(trusted.scheme(Some("127.0.0.1"), &sent), Some("https"));
        assert_eq!(trusted.client(Some("9.9.9.9"), &sent), None);
        assert_eq!(trusted.scheme(Some("9.9.9.9"), &sent), None);
        assert_eq!(trusted.scheme(None, &sent), None);
        let own = head("x-forwarded-for: 10.0.0.1, proxy\r\nx-forwarded-proto: gopher\r\n");
        assert_eq!(trusted.client(Some("::1"), &own), Some(("10.0.0.1".into(), 0)));
        assert_eq!(trusted.scheme(Some("::1"), &own), None);
        assert_eq!(TrustedProxies::parse("*").client(None, &sent), Some(("1.2.3.4".into(), 0)));
        assert_eq!(host_and_port("[::2]:7"), ("::2".into(), 7));
        assert_eq!(host_and_port("::2"), ("::2".into(), 0));
    }
}
