//! What a server is configured with, and what can be wrong with it.
//!
//! Owns: [`RuntimeConfig`], its defaults, [`StartError`], the choice of driver, the count of cores.
//! Rule: every limit says unit, effect and precedent.

use crate::http1::Limits;
use std::fmt;
use std::io;
use std::os::fd::RawFd;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::OnceLock;
use std::time::Duration;

/// Where to listen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Bind {
    /// Host and port. Port 0: the system picks one, the same for all workers.
    Tcp(String, u16),
    /// A Unix domain socket, made at this path; a socket that nobody listens on is replaced.
    Uds(PathBuf),
    /// A listening socket that was inherited.
    Fd(RawFd),
}

/// Which driver is asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DriverChoice {
    /// io_uring where it works, else epoll with one log line.
    #[default]
    Auto,
    /// io_uring or nothing.
    Uring,
    /// epoll (kqueue on macOS).
    Epoll,
}

/// Which driver runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Driver {
    /// io_uring.
    Uring,
    /// epoll, or kqueue.
    Epoll,
}

impl Driver {
    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Driver::Uring => "io_uring",
            Driver::Epoll if cfg!(target_os = "macos") => "kqueue",
            Driver::Epoll => "epoll",
        }
    }
}

/// How long each wait may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timeouts {
    /// A head must arrive in so long after its first byte: 408. nginx 60 s, Node 60 s.
    pub head: Duration,
    /// A body must progress within so long: 408, or close once a response has begun. nginx 60 s.
    pub body: Duration,
    /// An idle connection is closed after so long. nginx 75 s, Node 5 s, uvicorn 5 s.
    pub keep_alive: Duration,
    /// A write must progress within so long, or the connection is cut. nginx 60 s.
    pub write: Duration,
    /// What is still busy so long after the drain began is cut. Kubernetes 30 s.
    pub drain_grace: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Timeouts {
            head: Duration::from_secs(10),
            body: Duration::from_secs(30),
            keep_alive: Duration::from_secs(75),
            write: Duration::from_secs(30),
            drain_grace: Duration::from_secs(30),
        }
    }
}

/// All that the runtime is told.
#[derive(Clone, Debug)]
pub struct RuntimeConfig {
    /// Where to listen.
    pub bind: Vec<Bind>,
    /// Permissions of the Unix domain socket files made. `None`: what the umask leaves.
    pub uds_mode: Option<u32>,
    /// Other processes of this user may listen on the same port, and share its connections (SO_REUSEPORT). Off: a port
    /// that is in use is an error, though the workers of this server share it among themselves.
    pub shares_port: bool,
    /// Other processes accept from the same inherited socket, and may go on when this one drains.
    pub shares_listener: bool,
    /// Worker threads. 0: one per available core.
    pub workers: usize,
    /// Driver asked for.
    pub driver: DriverChoice,
    /// What one request may be.
    pub limits: Limits,
    /// How long each wait may take.
    pub timeouts: Timeouts,
    /// Connections accepted by the kernel and not yet by us, a listener.
    pub backlog: u32,
    /// Connections of the whole server; one more is answered 503 and closed. 0 is unlimited.
    pub max_connections: usize,
    /// Requests being answered, in the whole server; one more is answered 503. 0 is unlimited. Idle connections
    /// do not count.
    pub max_in_flight: usize,
    /// Threads for work that may block.
    pub offload_threads: usize,
    /// Jobs that may wait for such a thread.
    pub offload_queue: usize,
    /// A peer that ends its sending side while its response is pending still gets it. Off, as in uvicorn: the end of
    /// a peer's sending is taken for its leaving.
    pub half_close: bool,
}

impl Default for RuntimeConfig {
    fn default() -> Self {
        RuntimeConfig {
            bind: vec![Bind::Tcp("127.0.0.1".to_owned(), 8000)],
            uds_mode: None,
            shares_port: false,
            shares_listener: false,
            workers: 0,
            driver: DriverChoice::Auto,
            limits: Limits::default(),
            timeouts: Timeouts::default(),
            backlog: 2048,
            max_connections: 0,
            max_in_flight: 0,
            offload_threads: 64,
            offload_queue: 4096,
            half_close: false,
        }
    }
}

/// Why nothing is served.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StartError {
    /// Binding or listening failed: the address, the system's code, its text.
    Bind(String, Option<i32>, String),
    /// The address is none.
    Address(String),
    /// io_uring was asked for and is refused here.
    DriverRefused(String),
    /// A thread could not be started.
    Thread(String),
    /// A service could not be made.
    Service(String),
    /// The application refused to start; the text is its own.
    AppFailed(String),
}

impl StartError {
    pub(super) fn bind(address: impl fmt::Display, error: &io::Error) -> Self {
        StartError::Bind(address.to_string(), error.raw_os_error(), error.to_string())
    }
}

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            StartError::Bind(address, _, text) => write!(f, "cannot listen on {address}: {text}"),
            StartError::Address(text) => write!(f, "not an address to listen on: {text}"),
            StartError::DriverRefused(text) => {
                write!(f, "the io_uring driver is refused by this system: {text}")
            }
            StartError::Thread(text) => write!(f, "a thread could not be started: {text}"),
            StartError::Service(text) | StartError::AppFailed(text) => f.write_str(text),
        }
    }
}

impl std::error::Error for StartError {}

/// The driver that `auto` runs on here, and why it is not io_uring if it is not.
pub fn usable_driver() -> (Driver, Option<String>) {
    match refusal() {
        None => (Driver::Uring, None),
        Some(refusal) => (Driver::Epoll, Some(refusal.to_owned())),
    }
}

/// Decides on a driver.
pub(super) fn probe(choice: DriverChoice) -> Result<Driver, StartError> {
    // Told of once in a process.
    static IS_TOLD: AtomicBool = AtomicBool::new(false);
    if choice == DriverChoice::Epoll {
        return Ok(Driver::Epoll);
    }
    match (refusal(), choice) {
        (None, _) => Ok(Driver::Uring),
        (Some(error), DriverChoice::Uring) => Err(StartError::DriverRefused(error.to_owned())),
        (Some(error), _) => {
            if !IS_TOLD.swap(true, Ordering::Relaxed) {
                log::warn!(
                    "io_uring is refused by this system ({error}): running on {}",
                    Driver::Epoll.name()
                );
            }
            Ok(Driver::Epoll)
        }
    }
}

/// Why there is no io_uring. Tried for real, once in a process: a kernel may know it and a filter refuse it.
fn refusal() -> Option<&'static str> {
    static REFUSAL: OnceLock<Option<String>> = OnceLock::new();
    REFUSAL.get_or_init(|| try_uring().err().map(|error| error.to_string())).as_deref()
}

#[cfg(target_os = "linux")]
fn try_uring() -> io::Result<()> {
    // A thread of its own: a runtime leaves thread-local state behind.
    std::thread::spawn(|| {
        super::ring::runtime()?.block_on(async {
            let (mut near, mut far) = monoio::net::UnixStream::pair()?;
            let (sent, _) = monoio::io::AsyncWriteRent::write(&mut near, b"x".to_vec()).await;
            sent?;
            let (read, _) = monoio::io::AsyncReadRent::read(&mut far, vec![0_u8; 1]).await;
            read.map(drop)
        })
    })
    .join()
    .unwrap_or_else(|_| Err(io::Error::other("the probe panicked")))
}

#[cfg(not(target_os = "linux"))]
fn try_uring() -> io::Result<()> {
    Err(io::Error::from(io::ErrorKind::Unsupported))
}

/// Cores that this process may use: its affinity, bounded by its cgroup's quota.
pub fn available_cores() -> usize {
    // The standard library reads the affinity mask and the cgroup quotas (v1 and v2).
    std::thread::available_parallelism().map_or(1, std::num::NonZeroUsize::get)
}
