//! Method and path to a target, with path parameters as parts of the path.
//!
//! Owns: pattern syntax, precedence, 404 against 405. Does not own: what a route does.
//! Rule: no Python, no runtime, no allocation while finding.
//! Spec: RFC 9110 sections 15.5.5 and 15.5.6; pattern syntax as Starlette's `{name}` and `{name:path}`.
#![forbid(unsafe_code)]

use bytes::Bytes;
use std::fmt;

/// Routes of one application: one tree a method.
#[derive(Debug)]
pub struct Router<T> {
    trees: Vec<(Box<[u8]>, matchit::Router<T>)>,
    /// All patterns, whatever their method, with the methods that have them.
    patterns: matchit::Router<usize>,
    allowed: Vec<Allowed>,
}

#[derive(Debug)]
struct Allowed {
    pattern: String,
    methods: Vec<String>,
    rendered: Bytes,
}

/// What a method and a path lead to.
#[derive(Debug)]
pub enum Found<'r, 'p, T> {
    /// A route and its parameters.
    Route(&'r T, Params<'r, 'p>),
    /// The path has routes, for these methods: the value of `Allow`.
    MethodNotAllowed(&'r Bytes),
    /// No route has the path.
    NotFound,
}

/// Path parameters: names from the pattern, values from the path.
#[derive(Debug)]
pub struct Params<'r, 'p>(matchit::Params<'r, 'p>);

impl<'r, 'p> Params<'r, 'p> {
    /// Names and values, in the pattern's order.
    pub fn iter(&self) -> impl Iterator<Item = (&'r str, &'p str)> + '_ {
        self.0.iter()
    }
}

/// Why a pattern is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RouteFault {
    /// The method is no token.
    Method,
    /// The pattern is malformed; the text says where.
    Pattern(String),
    /// A pattern that is there already matches the same paths.
    Conflict(String),
}

impl fmt::Display for RouteFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            RouteFault::Method => f.write_str("the method is not a token"),
            RouteFault::Pattern(what) => write!(f, "malformed pattern: {what}"),
            RouteFault::Conflict(with) => write!(f, "the pattern conflicts with {with}"),
        }
    }
}

impl std::error::Error for RouteFault {}

impl<T> Default for Router<T> {
    fn default() -> Self {
        Router { trees: Vec::new(), patterns: matchit::Router::new(), allowed: Vec::new() }
    }
}

impl<T> Router<T> {
    /// Adds a route.
    ///
    /// # Errors
    /// The pattern is malformed or conflicts. The router is unchanged.
    pub fn insert(&mut self, method: &str, pattern: &str, target: T) -> Result<(), RouteFault> {
        let is_token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
        if method.is_empty() || !method.bytes().all(is_token) {
            return Err(RouteFault::Method);
        }
        let native = native_pattern(pattern)?;
        let tree = match self.trees.iter().position(|(known, _)| **known == *method.as_bytes()) {
            Some(index) => index,
            None => {
                self.trees.push((method.as_bytes().into(), matchit::Router::new()));
                self.trees.len() - 1
            }
        };
        self.trees[tree].1.insert(&native, target).map_err(named)?;
        self.allow(method, &native);
        Ok(())
    }

    /// Finds the route of a request. HEAD falls back to GET.
    pub fn find<'r, 'p>(&'r self, method: &[u8], path: &'p str) -> Found<'r, 'p, T> {
        if let Some(found) = self.find_exact(method, path) {
            return found;
        }
        if method == b"HEAD" {
            if let Some(found) = self.find_exact(b"GET", path) {
                return found;
            }
        }
        match self.patterns.at(path) {
            Ok(found) => Found::MethodNotAllowed(&self.allowed[*found.value].rendered),
            Err(_) => Found::NotFound,
        }
    }

    /// True when nothing was inserted.
    pub fn is_empty(&self) -> bool {
        self.trees.is_empty()
    }

    fn find_exact<'r, 'p>(&'r self, method: &[u8], path: &'p str) -> Option<Found<'r, 'p, T>> {
        let (_, tree) = self.trees.iter().find(|(known, _)| **known == *method)?;
        let found = tree.at(path).ok()?;
        Some(Found::Route(found.value, Params(found.params)))
    }

    /// Notes the method for `Allow`. Patterns that differ in parameter names only are one.
    fn allow(&mut self, method: &str, pattern: &str) {
        let shape = shape_of(pattern);
        let index = match self.allowed.iter().position(|allowed| shape_of(&allowed.pattern) == shape) {
            Some(index) => index,
            None => {
                let index = self.allowed.len();
                if self.patterns.insert(pattern, index).is_err() {
                    // Two patterns that only different methods have may conflict; the first then speaks for both.
                    return;
                }
                let pattern = pattern.to_owned();
                self.allowed.push(Allowed { pattern, methods: Vec::new(), rendered: Bytes::new() });
                index
            }
        };
        let allowed = &mut self.allowed[index];
        allowed.methods.push(method.to_owned());
        if method == "GET" && !allowed.methods.iter().any(|known| known == "HEAD") {
            allowed.methods.push("HEAD".to_owned());
        }
        allowed.rendered = Bytes::from(allowed.methods.join(", "));
    }
}

fn named(error: matchit::InsertError) -> RouteFault {
    match error {
        matchit::InsertError::Conflict { with } => RouteFault::Conflict(with),
        other => RouteFault::Pattern(other.to_string()),
    }
}

/// `{name:path}` to matchit's `{*name}`; converters other than `path` are the caller's to check.
fn native_pattern(pattern: &str) -> Result<String, RouteFault> {
    if !pattern.starts_with('/') {
        return Err(RouteFault::Pattern("a pattern begins with /".to_owned()));
    }
    let mut native = String::with_capacity(pattern.len());
    let mut rest = pattern;
    while let Some(open) = rest.find('{') {
        let close =
            rest[open..].find('}').ok_or_else(|| RouteFault::Pattern("{ without }".to_owned()))? + open;
        native.push_str(&rest[..open]);
        let parameter = &rest[open + 1..close];
        let (name, converter) = parameter.split_once(':').unwrap_or((parameter, ""));
        if !name_is_plain(name) {
            return Err(RouteFault::Pattern(format!("parameter {parameter:?}")));
        }
        native.push_str(if converter == "path" { "{*" } else { "{" });
        native.push_str(name);
        native.push('}');
        rest = &rest[close + 1..];
    }
    native.push_str(rest);
    Ok(native)
}

fn name_is_plain(name: &str) -> bool {
    let name = name.strip_prefix('*').unwrap_or(name);
    !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

/// A pattern with its parameter names taken out.
fn shape_of(pattern: &str) -> String {
    let mut shape = String::with_capacity(pattern.len());
    let mut in_name = false;
    for character in pattern.chars() {
        match character {
            '{' => in_name = true,
            '}' => in_name = false,
            '*' if in_name => {}
            _ if in_name => continue,
            _ => {}
        }
        shape.push(character);
    }
    shape
}
