//! Listening sockets: bound first, so that errors come early; listening only when the application has started.
//!
//! Owns: addresses, SO_REUSEPORT, Unix domain socket files, inherited descriptors.
//! Rule: TCP on Linux gets one socket a worker (SO_REUSEPORT balances); elsewhere, and for other sockets, all workers
//! accept from one (docs/decisions/shared-accept.md).

use super::config::{Bind, RuntimeConfig, StartError};
use super::stream::{Place, RawListener};
use socket2::{Domain, Protocol, SockAddr, Socket, Type};
use std::io;
use std::net::{SocketAddr, ToSocketAddrs};
use std::os::fd::{BorrowedFd, RawFd};
use std::os::unix::fs::FileTypeExt;
use std::path::Path;

/// Sockets of all workers.
pub struct Bound {
    /// By worker.
    pub per_worker: Vec<Vec<RawListener>>,
    /// For people.
    pub addresses: Vec<String>,
}

/// Binds all that is configured.
///
/// # Errors
/// The first that cannot be bound; all are closed again.
pub fn bind(config: &RuntimeConfig, workers: usize) -> Result<Bound, StartError> {
    let mut bound = Bound { per_worker: (0..workers).map(|_| Vec::new()).collect(), addresses: Vec::new() };
    for wanted in &config.bind {
        match wanted {
            Bind::Tcp(host, port) => bind_tcp(&mut bound, host, *port, workers)?,
            Bind::Uds(path) => {
                let address = format!("unix:{}", path.display());
                let socket = bind_uds(path).map_err(|error| StartError::bind(&address, &error))?;
                share(&mut bound, socket, Place::Unix(path.display().to_string()), address)?;
            }
            Bind::Fd(fd) => bind_fd(&mut bound, *fd)?,
        }
    }
    Ok(bound)
}

fn bind_tcp(bound: &mut Bound, host: &str, port: u16, workers: usize) -> Result<(), StartError> {
    let shown = format!("{host}:{port}");
    let mut addresses =
        (host, port).to_socket_addrs().map_err(|error| StartError::Address(format!("{shown}: {error}")))?;
    let mut address = addresses.next().ok_or_else(|| StartError::Address(shown.clone()))?;
    let named = |error: io::Error| StartError::bind(&shown, &error);
    let one_each = cfg!(target_os = "linux") && workers > 1;
    let first = tcp_socket(address, one_each).map_err(named)?;
    address = local_tcp(&first).map_err(named)?;
    let place = Place::Tcp(address.ip().to_string(), address.port());
    if !one_each {
        return share(bound, first, place, address.to_string());
    }
    let mut sockets = vec![first];
    while sockets.len() < workers {
        sockets.push(tcp_socket(address, true).map_err(named)?);
    }
    for (worker, socket) in bound.per_worker.iter_mut().zip(sockets) {
        worker.push(RawListener { socket, place: place.clone() });
    }
    bound.addresses.push(address.to_string());
    Ok(())
}

fn tcp_socket(address: SocketAddr, reuse_port: bool) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_reuse_address(true)?;
    if reuse_port {
        socket.set_reuse_port(true)?;
    }
    socket.bind(&address.into())?;
    Ok(socket)
}

fn local_tcp(socket: &Socket) -> io::Result<SocketAddr> {
    socket.local_addr()?.as_socket().ok_or_else(|| io::Error::from(io::ErrorKind::AddrNotAvailable))
}

/// A socket file that nobody listens on is left over from a server that died: it is replaced.
fn bind_uds(path: &Path) -> io::Result<Socket> {
    let address = SockAddr::unix(path)?;
    let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
    let is_socket = std::fs::symlink_metadata(path).is_ok_and(|found| found.file_type().is_socket());
    if is_socket {
        let probe = Socket::new(Domain::UNIX, Type::STREAM, None)?;
        match probe.connect(&address) {
            Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => std::fs::remove_file(path)?,
            _ => return Err(io::Error::from(io::ErrorKind::AddrInUse)),
        }
    }
    socket.bind(&address)?;
    Ok(socket)
}

fn bind_fd(bound: &mut Bound, fd: RawFd) -> Result<(), StartError> {
    let shown = format!("descriptor {fd}");
    let named = |error: io::Error| StartError::bind(&shown, &error);
    if fd < 0 {
        return Err(named(io::Error::from_raw_os_error(libc::EBADF)));
    }
    // SAFETY: the descriptor is not negative; whether it is open is what the clone below finds out (EBADF).
    let borrowed = unsafe { BorrowedFd::borrow_raw(fd) };
    let socket = Socket::from(borrowed.try_clone_to_owned().map_err(named)?);
    let local = socket.local_addr().map_err(named)?;
    if socket.r#type().map_err(named)? != Type::STREAM {
        return Err(named(io::Error::from_raw_os_error(libc::ESOCKTNOSUPPORT)));
    }
    let (place, address) = match local.as_socket() {
        Some(address) => (Place::Tcp(address.ip().to_string(), address.port()), address.to_string()),
        None => {
            let path = local.as_pathname().map(|path| path.display().to_string()).unwrap_or_default();
            (Place::Unix(path.clone()), format!("unix:{path}"))
        }
    };
    share(bound, socket, place, address)
}

/// One socket, accepted from by all workers.
fn share(bound: &mut Bound, socket: Socket, place: Place, address: String) -> Result<(), StartError> {
    for worker in &mut bound.per_worker {
        let socket = socket.try_clone().map_err(|error| StartError::bind(&address, &error))?;
        worker.push(RawListener { socket, place: place.clone() });
    }
    bound.addresses.push(address);
    Ok(())
}
