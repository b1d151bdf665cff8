//! Whose fault it is that a connection ends before its time, and what follows from that.
//!
//! Owns: [`ConnError`], [`AppFault`]. Does not own: the rules that are broken (`http1`), what is written (`runtime`).
//! Rule: the variant says who is to blame; no string is matched.

use crate::http1::Violation;
use std::fmt;
use std::io;

/// Why a connection cannot go on.
#[derive(Debug)]
pub enum ConnError {
    /// The peer broke HTTP. Answer with `Violation::status`, then close.
    Peer(Violation),
    /// The application broke its contract in the middle of a response. Close, so that the peer sees it as torn.
    App(AppFault),
    /// The transport failed. Nobody is left to answer.
    Io(io::Error),
    /// A bug here. Log with a request to report it; close.
    Bug(&'static str),
}

impl From<Violation> for ConnError {
    fn from(violation: Violation) -> Self {
        ConnError::Peer(violation)
    }
}

impl From<AppFault> for ConnError {
    fn from(fault: AppFault) -> Self {
        ConnError::App(fault)
    }
}

impl From<io::Error> for ConnError {
    fn from(error: io::Error) -> Self {
        ConnError::Io(error)
    }
}

/// How an application broke its contract.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AppFault {
    /// It gave up, and has logged why.
    Aborted,
    /// Its body is longer than the length it had announced.
    BodyTooLong,
    /// Its body is shorter than the length it had announced.
    BodyTooShort,
    /// A file that was being sent has become shorter.
    FileTooShort,
}

impl fmt::Display for AppFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            AppFault::Aborted => "the application gave up",
            AppFault::BodyTooLong => "the body is longer than its content-length",
            AppFault::BodyTooShort => "the body is shorter than its content-length",
            AppFault::FileTooShort => "the file became shorter while it was sent",
        })
    }
}
