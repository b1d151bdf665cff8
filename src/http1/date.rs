//! The `Date` field value (IMF-fixdate, RFC 9110 section 5.6.7), from a Unix time passed in.

/// 29 bytes such as `Sun, 06 Nov 1994 08:49:37 GMT`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HttpDate(pub [u8; 29]);

impl HttpDate {
    /// Renders a Unix time in seconds.
    pub fn from_unix(_seconds: u64) -> Self {
        todo!()
    }
    pub fn as_bytes(&self) -> &[u8; 29] {
        &self.0
    }
}
