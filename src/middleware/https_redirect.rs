//! Starlette's `HTTPSRedirectMiddleware`.
//!
//! Owns: the redirect. Spec: `starlette/middleware/httpsredirect.py`.

use super::trusted_host::invalid_host;
use super::url::Url;
use super::{redirect, Answer, Seen};

/// One `HTTPSRedirectMiddleware`.
#[derive(Clone, Copy, Debug, Default)]
pub struct HttpsRedirect;

impl HttpsRedirect {
    /// The redirect of a request that did not come over TLS.
    pub fn on_request(self, seen: &Seen<'_>) -> Option<Answer> {
        let scheme = match seen.scheme {
            "http" => "https",
            "ws" => "wss",
            _ => return None,
        };
        let url = Url::of(seen);
        if url.netloc.is_empty() {
            return Some(invalid_host());
        }
        let (hostname, port) = url.hostname_and_port();
        // As Starlette: without its brackets, an address would not come back from a default port.
        let netloc = if matches!(port, Some(80 | 443)) { &hostname } else { &url.netloc };
        Some(redirect(&url.redirected(scheme, netloc)))
    }
}
