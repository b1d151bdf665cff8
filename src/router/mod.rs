//! Method and path to a route id, with path parameters as byte ranges.
//!
//! Owns: pattern syntax, precedence, 404 against 405. Does not own: what a route does.
//! Rule: no Python, no runtime, no allocation while finding.
#![forbid(unsafe_code)]
