//! Starlette's `CORSMiddleware`.
//!
//! Owns: the answer to a preflight, the fields of every other response. Does not own: the values that are fixed at start,
//! which Starlette's own constructor made. Spec: `starlette/middleware/cors.py`; Fetch, section 3.2.

use super::text::{lower, strip};
use super::{add_vary, plain_text, push, set, Answer};
use crate::http1::{FieldBlock, FieldFault, Method, RequestHead, ResponseHead};
use regex::bytes::{Regex, RegexBuilder};

/// The attributes of a `CORSMiddleware`, texts in Latin-1.
#[derive(Debug, Default)]
pub struct CorsOptions {
    /// Fields of a response to a request with an origin, in order.
    pub simple_headers: Vec<(Vec<u8>, Vec<u8>)>,
    /// Fields of each answer to a preflight, in order.
    pub preflight_headers: Vec<(Vec<u8>, Vec<u8>)>,
    /// Origins, compared as they are.
    pub allow_origins: Vec<Vec<u8>>,
    /// A pattern in this crate's dialect for the bytes of a whole origin.
    pub allow_origin_regex: Option<String>,
    /// Methods, compared as they are.
    pub allow_methods: Vec<Vec<u8>>,
    /// Names of headers, in lower case.
    pub allow_headers: Vec<Vec<u8>>,
    /// `*` is among the origins.
    pub allow_all_origins: bool,
    /// `*` is among the headers: what is asked for is mirrored.
    pub allow_all_headers: bool,
    /// Credentials are allowed.
    pub allow_credentials: bool,
    /// A preflight names its origin, because `*` does not do.
    pub preflight_explicit_allow_origin: bool,
    /// Requests from a public page to a private network are allowed.
    pub allow_private_network: bool,
}

/// One `CORSMiddleware`.
#[derive(Debug)]
pub struct Cors {
    options: CorsOptions,
    preflight: FieldBlock,
    origin: Option<Regex>,
}

/// Why a [`Cors`] cannot be made.
#[derive(Debug)]
pub enum CorsFault {
    /// A field would not be allowed on the wire.
    Field(FieldFault),
    /// The pattern is not one that can be compiled here.
    Pattern(regex::Error),
}

impl Cors {
    /// Checks the fields, compiles the pattern.
    ///
    /// # Errors
    /// See [`CorsFault`].
    pub fn new(options: CorsOptions) -> Result<Self, CorsFault> {
        let preflight = block(&options.preflight_headers).map_err(CorsFault::Field)?;
        block(&options.simple_headers).map_err(CorsFault::Field)?;
        let pattern = options.allow_origin_regex.as_ref().map(|pattern| format!(r"\A(?:{pattern})\z"));
        let origin = pattern
            .map(|pattern| RegexBuilder::new(&pattern).unicode(false).build())
            .transpose()
            .map_err(CorsFault::Pattern)?;
        Ok(Cors { options, preflight, origin })
    }

    /// The answer to a preflight.
    pub fn on_request(&self, head: &RequestHead) -> Option<Answer> {
        if head.method() != Method::Options {
            return None;
        }
        let origin = head.field(b"origin")?;
        let method = head.field(b"access-control-request-method")?;
        Some(self.preflight(head, origin, method))
    }

    /// The fields of a response. `vary` grows in any case: it would be another one for another origin.
    pub fn on_response(&self, head: &RequestHead, response: &mut ResponseHead) {
        let options = &self.options;
        let fields = &mut response.fields;
        if let Some(origin) = head.field(b"origin") {
            for (name, value) in &options.simple_headers {
                set(fields, name, value);
            }
            let is_mirrored = if options.allow_all_origins {
                options.allow_credentials
            } else {
                self.is_allowed_origin(origin)
            };
            if is_mirrored {
                set(fields, b"access-control-allow-origin", origin);
            }
        }
        add_vary(fields, b"Origin");
    }

    fn is_allowed_origin(&self, origin: &[u8]) -> bool {
        self.options.allow_all_origins
            || self.origin.as_ref().is_some_and(|pattern| pattern.is_match(origin))
            || self.options.allow_origins.iter().any(|allowed| allowed == origin)
    }

    fn preflight(&self, head: &RequestHead, origin: &[u8], method: &[u8]) -> Answer {
        let options = &self.options;
        let mut fields = self.preflight.clone();
        let mut failures = Vec::new();
        if !self.is_allowed_origin(origin) {
            failures.push("origin");
        } else if options.preflight_explicit_allow_origin {
            push(&mut fields, b"access-control-allow-origin", origin);
        }
        if !options.allow_methods.iter().any(|allowed| allowed == method) {
            failures.push("method");
        }
        if let Some(asked) = head.field(b"access-control-request-headers") {
            if options.allow_all_headers {
                push(&mut fields, b"access-control-allow-headers", asked);
            } else if !self.allows_headers(asked) {
                failures.push("headers");
            }
        }
        if head.field(b"access-control-request-private-network").is_some() {
            if options.allow_private_network {
                push(&mut fields, b"access-control-allow-private-network", b"true");
            } else {
                failures.push("private-network");
            }
        }
        if failures.is_empty() {
            plain_text(200, fields, "OK")
        } else {
            plain_text(400, fields, &format!("Disallowed CORS {}", failures.join(", ")))
        }
    }

    fn allows_headers(&self, asked: &[u8]) -> bool {
        lower(asked)
            .split(|&byte| byte == b',')
            .all(|name| self.options.allow_headers.iter().any(|allowed| allowed == strip(name)))
    }
}

fn block(fields: &[(Vec<u8>, Vec<u8>)]) -> Result<FieldBlock, FieldFault> {
    let mut block = FieldBlock::new();
    for (name, value) in fields {
        block.push(name, value)?;
    }
    Ok(block)
}
