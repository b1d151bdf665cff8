//! Every way a peer can break HTTP, each a named value with its status.

/// The peer broke HTTP or a limit. Answer [`Violation::status`], then close.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Violation {
    /// The head is larger than `Limits::max_head_bytes`.
    HeadTooLarge,
}

impl Violation {
    /// Status to answer before the connection is closed.
    pub fn status(self) -> u16 {
        match self {
            Violation::HeadTooLarge => 431,
        }
    }

    /// One fixed sentence for the log and the response body. Never contains input.
    pub fn reason(self) -> &'static str {
        match self {
            Violation::HeadTooLarge => "request head too large",
        }
    }
}
