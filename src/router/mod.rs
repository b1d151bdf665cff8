//! Method and path to a route, with path parameters as byte ranges.
//!
//! Owns: pattern syntax, precedence, 404 against 405. Does not own: what a route does, percent-decoding of the path.
//! Rule: no Python, no runtime; the route that was inserted first wins, as in Starlette; nothing is allocated while a
//! route with up to three parameters is found.
//! Spec: RFC 9110 sections 15.5.5, 15.5.6 and 10.2.1; pattern syntax and precedence as Starlette's.
#![forbid(unsafe_code)]

mod params;
mod pattern;
mod table;
#[cfg(test)]
mod tests;

pub use params::{Params, MAX_PARAMS};
pub use pattern::{Convertor, Pattern, RouteFault};

use bytes::Bytes;
use params::Spans;
use table::Table;

/// Routes of one application: one tree a method.
///
/// ```
/// use turboapi::router::{Found, Router};
///
/// let mut router = Router::new();
/// router.insert("GET", "/items/{id:int}", "read_item")?;
/// match router.find(b"GET", "/items/7") {
///     Found::Route(handler, params) => {
///         assert_eq!((*handler, params.value("id")), ("read_item", Some("7")));
///     }
///     other => panic!("{other:?}"),
/// }
/// assert!(matches!(router.find(b"PUT", "/items/7"), Found::MethodNotAllowed(allow) if allow == "GET, HEAD"));
/// # Ok::<(), turboapi::router::RouteFault>(())
/// ```
#[derive(Clone, Debug)]
pub struct Router<T> {
    /// In the order of insertion, which is the order of precedence.
    routes: Vec<Route<T>>,
    /// One a method, in the order in which methods were first seen.
    methods: Vec<(Box<[u8]>, Table)>,
    /// Routes for any method. The start of each method's table.
    any: Table,
    head_uses_get: bool,
}

#[derive(Clone, Debug)]
struct Route<T> {
    pattern: Pattern,
    value: T,
}

/// What a method and a path lead to.
#[derive(Debug)]
pub enum Found<'r, 'p, T> {
    /// A route and its parameters.
    Route(&'r T, Params<'r, 'p>),
    /// The path has routes, for these methods: the value of `Allow` (RFC 9110 section 10.2.1).
    MethodNotAllowed(Bytes),
    /// No route has the path.
    NotFound,
}

impl<T> Default for Router<T> {
    fn default() -> Self {
        Router { routes: Vec::new(), methods: Vec::new(), any: Table::default(), head_uses_get: true }
    }
}

impl<T> Router<T> {
    /// A router where HEAD is answered by the route of GET, unless HEAD has a route of its own.
    pub fn new() -> Self {
        Router::default()
    }

    /// A router where HEAD is a method like any other, as FastAPI has it.
    pub fn with_head_apart() -> Self {
        Router { head_uses_get: false, ..Router::default() }
    }

    /// Adds a route for one method. Methods are case-sensitive.
    ///
    /// # Errors
    /// The method is no token, the pattern cannot be held, or an earlier route takes all of its paths.
    /// The router is unchanged.
    pub fn insert(&mut self, method: &str, pattern: &str, value: T) -> Result<(), RouteFault> {
        let method = method.as_bytes();
        if !pattern::is_token(method) {
            return Err(RouteFault::Method);
        }
        let pattern = Pattern::parse(pattern)?;
        let known = self.methods.iter().position(|(name, _)| **name == *method);
        let table = known.map_or(&self.any, |at| &self.methods[at].1);
        self.check_not_shadowed(table, &pattern)?;
        let at = known.unwrap_or_else(|| {
            self.methods.push((method.into(), self.any.clone()));
            self.methods.len() - 1
        });
        let index = self.push(pattern, value);
        self.methods[at].1.insert(index, &self.routes);
        Ok(())
    }

    /// Adds a route for every method.
    ///
    /// # Errors
    /// The pattern cannot be held, or an earlier route for any method takes all of its paths. The router is unchanged.
    pub fn insert_any(&mut self, pattern: &str, value: T) -> Result<(), RouteFault> {
        let pattern = Pattern::parse(pattern)?;
        self.check_not_shadowed(&self.any, &pattern)?;
        let index = self.push(pattern, value);
        self.any.insert(index, &self.routes);
        for (_, table) in &mut self.methods {
            table.insert(index, &self.routes);
        }
        Ok(())
    }

    /// Finds the route of a request. `path` is percent-decoded.
    pub fn find<'r, 'p>(&'r self, method: &[u8], path: &'p str) -> Found<'r, 'p, T> {
        let mut spans = Spans::default();
        if let Some(index) = self.table(method).find(&self.routes, path, &mut spans) {
            return self.found(index, path, spans);
        }
        if method == b"HEAD" && self.head_uses_get {
            if let Some(index) = self.table(b"GET").find(&self.routes, path, &mut spans) {
                return self.found(index, path, spans);
            }
        }
        self.refuse(path)
    }

    /// Every route with its pattern, in order of precedence.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&Pattern, &T)> + '_ {
        self.routes.iter().map(|route| (&route.pattern, &route.value))
    }

    /// True when nothing was inserted.
    pub fn is_empty(&self) -> bool {
        self.routes.is_empty()
    }

    fn table(&self, method: &[u8]) -> &Table {
        self.methods.iter().find(|(name, _)| **name == *method).map_or(&self.any, |(_, table)| table)
    }

    fn found<'r, 'p>(&'r self, index: u32, path: &'p str, spans: Spans) -> Found<'r, 'p, T> {
        let route = &self.routes[index as usize];
        Found::Route(&route.value, Params::new(&route.pattern, path, spans))
    }

    /// 404, or 405 with the methods that any route of the path has. Not on the way of a request that has a route.
    #[cold]
    fn refuse<'r, 'p>(&'r self, path: &'p str) -> Found<'r, 'p, T> {
        let mut allow = Vec::new();
        let mut spans = Spans::default();
        let mut add = |name: &[u8]| {
            if !allow.is_empty() {
                allow.extend_from_slice(b", ");
            }
            allow.extend_from_slice(name);
        };
        for (name, table) in &self.methods {
            if table.find(&self.routes, path, &mut spans).is_none() {
                continue;
            }
            let is_implied =
                |own: &[u8], by: &[u8]| **name == *own && self.head_uses_get && self.has(by, path);
            if is_implied(b"HEAD", b"GET") {
                continue; // Named next to GET.
            }
            add(name);
            if **name == *b"GET" && self.head_uses_get {
                add(b"HEAD");
            }
        }
        if allow.is_empty() {
            Found::NotFound
        } else {
            Found::MethodNotAllowed(allow.into())
        }
    }

    fn has(&self, method: &[u8], path: &str) -> bool {
        self.table(method).find(&self.routes, path, &mut Spans::default()).is_some()
    }

    fn push(&mut self, pattern: Pattern, value: T) -> u32 {
        self.routes.push(Route { pattern, value });
        (self.routes.len() - 1) as u32
    }

    fn check_not_shadowed(&self, table: &Table, pattern: &Pattern) -> Result<(), RouteFault> {
        let mut earlier = table.members().map(|index| &self.routes[index as usize].pattern);
        match earlier.find(|earlier| earlier.shadows(pattern)) {
            Some(earlier) => Err(RouteFault::Shadowed(earlier.text().to_owned())),
            None => Ok(()),
        }
    }
}
