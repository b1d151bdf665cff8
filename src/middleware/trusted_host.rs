//! Starlette's `TrustedHostMiddleware`.
//!
//! Owns: which hosts are answered. Spec: `starlette/middleware/trustedhost.py`.

use super::url::{parse_host, Url};
use super::{plain_text, redirect, Answer, Seen};
use crate::http1::FieldBlock;

/// One `TrustedHostMiddleware`.
#[derive(Clone, Debug, Default)]
pub struct TrustedHost {
    /// Hosts in lower case, or `*.` and the end of hosts.
    pub allowed_hosts: Vec<String>,
    /// Every host is.
    pub allow_any: bool,
    /// `example.com` is sent to `www.example.com`, if that one is allowed.
    pub www_redirect: bool,
}

impl TrustedHost {
    /// A redirect, or the refusal of a host that is not allowed.
    pub fn on_request(&self, seen: &Seen<'_>) -> Option<Answer> {
        if self.allow_any {
            return None;
        }
        let Some(parsed) = parse_host(seen.head.field(b"host")) else {
            return Some(invalid_host());
        };
        let host = parsed.host.to_ascii_lowercase();
        let is_allowed = |pattern: &String| {
            host == *pattern || pattern.strip_prefix('*').is_some_and(|end| host.ends_with(end))
        };
        if self.allowed_hosts.iter().any(is_allowed) {
            return None;
        }
        let has_www = self.allowed_hosts.iter().any(|pattern| pattern.strip_prefix("www.") == Some(&host));
        if !(has_www && self.www_redirect) {
            return Some(invalid_host());
        }
        let url = Url::of(seen);
        Some(redirect(&url.redirected(seen.scheme, &format!("www.{}", url.netloc))))
    }
}

/// The refusal.
pub(super) fn invalid_host() -> Answer {
    plain_text(400, FieldBlock::new(), "Invalid host header")
}
