//! Encodings of a file that lie beside it.
//!
//! Owns: which of `.br`, `.zst`, `.gz` a client takes, best first. Does not own: whether such a file is there (`open`).
//! Spec: RFC 9110 section 12.5.3.

use crate::bytes_ext::{list_members, trim_ows};

/// A content coding with a file name's end of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Coding {
    /// `br`, smallest for text.
    Brotli,
    /// `zstd`.
    Zstd,
    /// `gzip`.
    Gzip,
}

impl Coding {
    /// Best first, among those a client takes equally well.
    pub const ALL: [Coding; 3] = [Coding::Brotli, Coding::Zstd, Coding::Gzip];

    /// As in `Content-Encoding`.
    pub fn name(self) -> &'static str {
        match self {
            Coding::Brotli => "br",
            Coding::Zstd => "zstd",
            Coding::Gzip => "gzip",
        }
    }

    /// What is appended to the name of the plain file.
    pub fn suffix(self) -> &'static str {
        match self {
            Coding::Brotli => ".br",
            Coding::Zstd => ".zst",
            Coding::Gzip => ".gz",
        }
    }
}

/// The codings that a client takes, best first: by its weights, then by ours. None where it has not asked.
pub fn acceptable(accept_encoding: &[&[u8]]) -> Vec<Coding> {
    let weight_of = |name: &str| -> Option<u16> {
        let members = accept_encoding.iter().flat_map(|value| list_members(value));
        let mut found = None;
        for member in members {
            let (coding, weight) = split_weight(member);
            if coding.eq_ignore_ascii_case(name.as_bytes()) {
                return Some(weight);
            }
            if name == "gzip" && coding.eq_ignore_ascii_case(b"x-gzip") {
                return Some(weight);
            }
            if coding == b"*" {
                found = Some(weight);
            }
        }
        found
    };
    // A client that likes the plain form better than a coding gets the plain form.
    let plain = weight_of("identity").filter(|_| names_identity(accept_encoding)).unwrap_or(0);
    let mut taken: Vec<(u16, Coding)> = Coding::ALL
        .into_iter()
        .filter_map(|coding| weight_of(coding.name()).map(|weight| (weight, coding)))
        .filter(|&(weight, _)| weight > 0 && weight >= plain)
        .collect();
    // Stable: ours is the order among equals.
    taken.sort_by_key(|&(weight, _)| std::cmp::Reverse(weight));
    taken.into_iter().map(|(_, coding)| coding).collect()
}

fn names_identity(accept_encoding: &[&[u8]]) -> bool {
    accept_encoding.iter().any(|value| {
        list_members(value).any(|member| split_weight(member).0.eq_ignore_ascii_case(b"identity"))
    })
}

/// A coding and its weight in thousandths. A weight that is none counts as 0: what is not understood is not sent.
fn split_weight(member: &[u8]) -> (&[u8], u16) {
    let mut parts = member.split(|&byte| byte == b';').map(trim_ows);
    let coding = parts.next().unwrap_or_default();
    let weight = parts.find_map(|part| part.strip_prefix(b"q=").or_else(|| part.strip_prefix(b"Q=")));
    (coding, weight.map_or(1000, |weight| thousandths(weight).unwrap_or(0)))
}

fn thousandths(weight: &[u8]) -> Option<u16> {
    let (whole, rest) = match weight {
        [whole @ (b'0' | b'1')] => (whole, &[][..]),
        [whole @ (b'0' | b'1'), b'.', rest @ ..] if rest.len() <= 3 => (whole, rest),
        _ => return None,
    };
    let mut value = u16::from(whole - b'0') * 1000;
    for (digit, place) in rest.iter().zip([100, 10, 1]) {
        value += u16::from(digit.is_ascii_digit().then(|| digit - b'0')?) * place;
    }
    (value <= 1000).then_some(value)
}
