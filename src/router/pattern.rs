//! Path patterns: their syntax, what they match, and which of them meet.
//!
//! Owns: [`Pattern`]. Does not own: searching many of them (`table`).
//! Syntax (Starlette's): `/items/{id}`, `/items/{id:int}`, `/files/{path:path}`; also `/files/{*path}`. A segment may have
//! literal text around its one parameter. A brace that begins no parameter stands for itself.
//! Rule: matching is linear in the path. What would need backtracking (two parameters in a segment, two `path`s) is
//! refused by name.

use super::params::{Spans, MAX_PARAMS};
use std::fmt;

/// One parsed path pattern.
#[derive(Clone, Debug)]
pub struct Pattern {
    text: String,
    /// Split at `/`, without the first, empty one.
    segments: Vec<Segment>,
    param_count: usize,
    /// Index of the segment with a `path` parameter, which may take several segments of the path.
    rest: Option<usize>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Segment {
    Literal(String),
    Param { prefix: String, name: String, convertor: Convertor, suffix: String },
}

/// What a path parameter matches, as Starlette's convertors of the same names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Convertor {
    /// At least one byte, no slash.
    Str,
    /// Anything, slashes and nothing at all included.
    Path,
    /// Digits.
    Int,
    /// Digits, and perhaps a point and digits.
    Float,
    /// 32 hex digits, with or without the four hyphens.
    Uuid,
}

/// Why a route is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RouteFault {
    /// The method is no token.
    Method,
    /// The pattern does not begin with a slash.
    NoLeadingSlash,
    /// No convertor has this name.
    UnknownConvertor(String),
    /// Two parameters have this name.
    RepeatedParam(String),
    /// More than [`MAX_PARAMS`] parameters.
    TooManyParams,
    /// More than one parameter in this segment of the pattern.
    ManyParamsInSegment(String),
    /// More than one `path` parameter.
    ManyPathParams,
    /// This earlier pattern takes all paths of the new one.
    Shadowed(String),
}

impl fmt::Display for RouteFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            RouteFault::Method => f.write_str("the method is not a token"),
            RouteFault::NoLeadingSlash => f.write_str("the pattern does not begin with /"),
            RouteFault::UnknownConvertor(name) => write!(f, "no convertor is named {name:?}"),
            RouteFault::RepeatedParam(name) => write!(f, "the parameter {name:?} is repeated"),
            RouteFault::TooManyParams => write!(f, "more than {MAX_PARAMS} parameters"),
            RouteFault::ManyParamsInSegment(segment) => {
                write!(f, "more than one parameter in the segment {segment:?}")
            }
            RouteFault::ManyPathParams => f.write_str("more than one path parameter"),
            RouteFault::Shadowed(by) => write!(f, "the earlier route {by:?} takes all of its paths"),
        }
    }
}

impl std::error::Error for RouteFault {}

impl Pattern {
    /// Reads a pattern.
    ///
    /// # Errors
    /// What cannot be held, by name.
    pub fn parse(text: &str) -> Result<Self, RouteFault> {
        let inner = text.strip_prefix('/').ok_or(RouteFault::NoLeadingSlash)?;
        let segments = inner.split('/').map(Segment::parse).collect::<Result<Vec<_>, _>>()?;
        let pattern = Pattern {
            text: text.to_owned(),
            param_count: segments.iter().filter(|segment| segment.is_param()).count(),
            rest: segments.iter().position(Segment::is_path),
            segments,
        };
        if pattern.segments.iter().filter(|segment| segment.is_path()).count() > 1 {
            return Err(RouteFault::ManyPathParams);
        }
        if pattern.param_count > MAX_PARAMS {
            return Err(RouteFault::TooManyParams);
        }
        for (at, (name, _)) in pattern.params().enumerate() {
            if pattern.params().take(at).any(|(earlier, _)| earlier == name) {
                return Err(RouteFault::RepeatedParam(name.to_owned()));
            }
        }
        Ok(pattern)
    }

    /// The pattern as it was given.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Names and convertors of the parameters, in order.
    pub fn params(&self) -> impl ExactSizeIterator<Item = (&str, Convertor)> + '_ {
        ExactParams { segments: self.segments.iter(), left: self.param_count }
    }

    /// True when the pattern has no parameters: it matches its own text.
    pub(super) fn is_literal(&self) -> bool {
        self.param_count == 0
    }

    /// True when some parameter takes less than its place in the path may hold.
    pub(super) fn is_choosy(&self) -> bool {
        self.params().any(|(_, convertor)| !matches!(convertor, Convertor::Str | Convertor::Path))
    }

    /// True when the convertors accept what lies at these places of a path.
    pub(super) fn accepts(&self, path: &str, spans: &Spans) -> bool {
        let value = |(start, end)| path.as_bytes().get(start..end).unwrap_or_default();
        self.params().zip(spans.iter()).all(|((_, convertor), range)| convertor.accepts(value(range)))
    }

    /// Matches a whole path, and fills in where the parameters lie.
    pub(super) fn find(&self, path: &str, spans: &mut Spans) -> bool {
        if self.is_literal() {
            spans.clear();
            return self.text == path;
        }
        self.find_params(path.as_bytes(), spans)
    }

    fn find_params(&self, path: &[u8], spans: &mut Spans) -> bool {
        spans.clear();
        let Some((b'/', inner)) = path.split_first() else { return false };
        let Some((head, rest, tail)) = self.parts() else {
            return match_aligned(&self.segments, inner, 1, spans);
        };
        // Segments before and after the `path` parameter hold no slash, so that both its ends are fixed by counting.
        let Some(start) = skip_slashes(path, head.len() + 1) else { return false };
        let Some(end) = skip_slashes_back(path, tail.len()) else { return false };
        if start > end {
            return false;
        }
        if !head.is_empty() && !match_aligned(head, path.get(1..start - 1).unwrap_or_default(), 1, spans) {
            return false;
        }
        let middle = path.get(start..end).unwrap_or_default();
        if !rest.matches(middle, start, spans) {
            return false;
        }
        tail.is_empty() || match_aligned(tail, path.get(end + 1..).unwrap_or_default(), end + 1, spans)
    }

    /// True when every path of `later` is one of this pattern's: same text around parameters that are as wide.
    pub(super) fn shadows(&self, later: &Pattern) -> bool {
        self.segments.len() == later.segments.len()
            && self.segments.iter().zip(&later.segments).all(|(own, other)| own.covers(other))
    }

    /// False only when no path matches both.
    pub(super) fn may_meet(&self, other: &Pattern) -> bool {
        let fixed = |pattern: &Pattern| pattern.rest.unwrap_or(pattern.segments.len());
        let common = fixed(self).min(fixed(other));
        let fronts_meet = self.segments.iter().zip(&other.segments).take(common).all(|(a, b)| a.may_meet(b));
        let lengths_meet = match (self.rest, other.rest) {
            (None, None) => self.segments.len() == other.segments.len(),
            (Some(_), None) => other.segments.len() >= self.segments.len(),
            (None, Some(_)) => self.segments.len() >= other.segments.len(),
            (Some(_), Some(_)) => true,
        };
        fronts_meet && lengths_meet
    }

    /// The paths to put into a matchit tree, if it can hold the pattern: parameters are whole segments, `path` is last.
    ///
    /// A `path` parameter takes nothing at all too, which matchit's does not: hence the second one.
    pub(super) fn tree_paths(&self) -> Option<(String, Option<String>)> {
        let mut path = String::new();
        let mut without_rest = None;
        for (at, segment) in self.segments.iter().enumerate() {
            path.push('/');
            match segment {
                Segment::Literal(text) => path.push_str(&text.replace('{', "{{").replace('}', "}}")),
                Segment::Param { prefix, suffix, .. } if !prefix.is_empty() || !suffix.is_empty() => {
                    return None
                }
                // Names do not matter to the tree; alike ones make fewer conflicts.
                Segment::Param { convertor: Convertor::Path, .. } => {
                    if at + 1 != self.segments.len() {
                        return None;
                    }
                    without_rest = Some(path.clone());
                    path.push_str("{*r}");
                }
                Segment::Param { .. } => path.push_str("{p}"),
            }
        }
        Some((path, without_rest))
    }

    fn parts(&self) -> Option<(&[Segment], &Segment, &[Segment])> {
        let at = self.rest?;
        let (head, from_rest) = self.segments.split_at(at);
        let (rest, tail) = from_rest.split_first()?;
        Some((head, rest, tail))
    }
}

impl Segment {
    fn parse(text: &str) -> Result<Self, RouteFault> {
        let Some((open, close, name, convertor)) = find_param(text, 0)? else {
            return Ok(Segment::Literal(text.to_owned()));
        };
        if find_param(text, close)?.is_some() {
            return Err(RouteFault::ManyParamsInSegment(text.to_owned()));
        }
        Ok(Segment::Param {
            prefix: text[..open].to_owned(),
            name: name.to_owned(),
            convertor,
            suffix: text[close..].to_owned(),
        })
    }

    fn is_param(&self) -> bool {
        matches!(self, Segment::Param { .. })
    }

    fn is_path(&self) -> bool {
        matches!(self, Segment::Param { convertor: Convertor::Path, .. })
    }

    /// Matches one segment of a path, which begins at `at`.
    fn matches(&self, text: &[u8], at: usize, spans: &mut Spans) -> bool {
        match self {
            Segment::Literal(literal) => literal.as_bytes() == text,
            Segment::Param { prefix, convertor, suffix, .. } => {
                let Some(value) = text.strip_prefix(prefix.as_bytes()) else { return false };
                let Some(value) = value.strip_suffix(suffix.as_bytes()) else { return false };
                if !convertor.accepts(value) {
                    return false;
                }
                let start = at + prefix.len();
                spans.push(start, start + value.len());
                true
            }
        }
    }

    fn covers(&self, other: &Segment) -> bool {
        match (self, other) {
            (Segment::Literal(own), Segment::Literal(other)) => own == other,
            (
                Segment::Param { prefix, convertor, suffix, .. },
                Segment::Param {
                    prefix: other_prefix, convertor: other_convertor, suffix: other_suffix, ..
                },
            ) => {
                prefix == other_prefix
                    && suffix == other_suffix
                    && (convertor == other_convertor
                        || (*convertor == Convertor::Str && *other_convertor != Convertor::Path))
            }
            _ => false,
        }
    }

    /// Convertors are not looked at: false only when the literal text differs.
    fn may_meet(&self, other: &Segment) -> bool {
        match (self, other) {
            (Segment::Literal(own), Segment::Literal(other)) => own == other,
            (Segment::Literal(literal), Segment::Param { prefix, suffix, .. })
            | (Segment::Param { prefix, suffix, .. }, Segment::Literal(literal)) => {
                literal.starts_with(prefix.as_str()) && literal.ends_with(suffix.as_str())
            }
            (
                Segment::Param { prefix, suffix, .. },
                Segment::Param { prefix: other_prefix, suffix: other_suffix, .. },
            ) => {
                let starts = |a: &str, b: &str| a.starts_with(b) || b.starts_with(a);
                let ends = |a: &str, b: &str| a.ends_with(b) || b.ends_with(a);
                starts(prefix, other_prefix) && ends(suffix, other_suffix)
            }
        }
    }
}

impl Convertor {
    fn from_name(name: &str) -> Option<Self> {
        match name {
            "str" => Some(Convertor::Str),
            "path" => Some(Convertor::Path),
            "int" => Some(Convertor::Int),
            "float" => Some(Convertor::Float),
            "uuid" => Some(Convertor::Uuid),
            _ => None,
        }
    }

    /// `value` holds no slash, unless this is `Path`.
    fn accepts(self, value: &[u8]) -> bool {
        let is_digits = |part: &[u8]| !part.is_empty() && part.iter().all(u8::is_ascii_digit);
        match self {
            Convertor::Str => !value.is_empty(),
            Convertor::Path => true,
            Convertor::Int => is_digits(value),
            Convertor::Float => match memchr::memchr(b'.', value) {
                Some(point) => is_digits(&value[..point]) && is_digits(&value[point + 1..]),
                None => is_digits(value),
            },
            Convertor::Uuid => is_uuid(value),
        }
    }
}

/// Starlette's `[0-9a-fA-F]{8}-?[0-9a-fA-F]{4}-?[0-9a-fA-F]{4}-?[0-9a-fA-F]{4}-?[0-9a-fA-F]{12}`.
fn is_uuid(value: &[u8]) -> bool {
    let mut rest = value;
    for (at, digits) in [8, 4, 4, 4, 12].into_iter().enumerate() {
        if at > 0 {
            rest = rest.strip_prefix(b"-").unwrap_or(rest);
        }
        match rest.split_at_checked(digits) {
            Some((part, after)) if part.iter().all(u8::is_ascii_hexdigit) => rest = after,
            _ => return false,
        }
    }
    rest.is_empty()
}

/// Matches segments one to one; `text` begins at `at` of the path.
fn match_aligned(segments: &[Segment], text: &[u8], at: usize, spans: &mut Spans) -> bool {
    let mut at = at;
    let mut rest = Some(text);
    for segment in segments {
        let Some(text) = rest else { return false };
        let end = text.iter().position(|&byte| byte == b'/');
        let part = &text[..end.unwrap_or(text.len())];
        if !segment.matches(part, at, spans) {
            return false;
        }
        at += part.len() + 1;
        rest = end.map(|end| &text[end + 1..]);
    }
    rest.is_none()
}

/// Where the text behind the `count`th slash begins.
fn skip_slashes(path: &[u8], count: usize) -> Option<usize> {
    memchr::memchr_iter(b'/', path).nth(count - 1).map(|slash| slash + 1)
}

/// Where the `count`th slash from the end is; the end itself for 0.
fn skip_slashes_back(path: &[u8], count: usize) -> Option<usize> {
    match count {
        0 => Some(path.len()),
        _ => memchr::memrchr_iter(b'/', path).nth(count - 1),
    }
}

/// The first parameter of a segment from `from` on: `{name}`, `{name:convertor}` or `{*name}`.
#[allow(clippy::type_complexity, reason = "one use, and the parts are named where they are bound")]
fn find_param(text: &str, from: usize) -> Result<Option<(usize, usize, &str, Convertor)>, RouteFault> {
    let mut search = from;
    while let Some(open) = text[search..].find('{').map(|at| search + at) {
        let Some(close) = text[open..].find('}').map(|at| open + at + 1) else { return Ok(None) };
        let inner = &text[open + 1..close - 1];
        let (name, convertor) = match (inner.strip_prefix('*'), inner.split_once(':')) {
            (Some(name), _) => (name, "path"),
            (None, Some((name, convertor))) => (name, convertor),
            (None, None) => (inner, "str"),
        };
        if is_identifier(name) && is_identifier(convertor) {
            let found = Convertor::from_name(convertor)
                .ok_or_else(|| RouteFault::UnknownConvertor(convertor.to_owned()))?;
            return Ok(Some((open, close, name, found)));
        }
        search = open + 1;
    }
    Ok(None)
}

fn is_identifier(text: &str) -> bool {
    let is_start = |byte: u8| byte.is_ascii_alphabetic() || byte == b'_';
    text.bytes().next().is_some_and(is_start)
        && text.bytes().all(|byte| is_start(byte) || byte.is_ascii_digit())
}

/// `tchar`s (RFC 9110 section 5.6.2), at least one.
pub(super) fn is_token(text: &[u8]) -> bool {
    !text.is_empty()
        && text.iter().all(|&byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte))
}

struct ExactParams<'a> {
    segments: std::slice::Iter<'a, Segment>,
    left: usize,
}

impl<'a> Iterator for ExactParams<'a> {
    type Item = (&'a str, Convertor);

    fn next(&mut self) -> Option<Self::Item> {
        for segment in self.segments.by_ref() {
            if let Segment::Param { name, convertor, .. } = segment {
                self.left -= 1;
                return Some((name, *convertor));
            }
        }
        None
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.left, Some(self.left))
    }
}

impl ExactSizeIterator for ExactParams<'_> {}
