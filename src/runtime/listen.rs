//! Listening sockets: bound first, so that errors come early; listening only when the application has started.
//!
//! Owns: addresses, SO_REUSEPORT, Unix domain socket files, inherited descriptors.
//! Rule: TCP on Linux gets one socket a worker (SO_REUSEPORT balances); elsewhere, and for other sockets, all workers
//! accept from one (docs/decisions/0003-shared-accept.md).

use super::config::{Bind, RuntimeConfig, StartError};
use super::stream::{Place, RawListener};
use socket2::{Domain, Protocol, SockAddr, Socket, Type};
use std::fs;
use std::io;
use std::net::{SocketAddr, ToSocketAddrs};
use std::os::fd::{FromRawFd, RawFd};
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

/// Sockets of all workers.
#[derive(Debug)]
pub struct Bound {
    /// By worker.
    pub per_worker: Vec<Vec<RawListener>>,
    /// For people.
    pub addresses: Vec<String>,
    /// Socket files that were made, to be removed at the end.
    pub files: Vec<SocketFile>,
}

/// A Unix domain socket's file.
#[derive(Debug)]
pub struct SocketFile {
    path: PathBuf,
    device: u64,
    inode: u64,
}

impl SocketFile {
    fn made_at(path: &Path) -> io::Result<Self> {
        let found = fs::symlink_metadata(path)?;
        Ok(SocketFile { path: path.to_owned(), device: found.dev(), inode: found.ino() })
    }

    /// Removes the file, unless it is another one by now: the next server may have replaced it already.
    pub fn remove(&self) {
        let is_ours = fs::symlink_metadata(&self.path)
            .is_ok_and(|found| found.dev() == self.device && found.ino() == self.inode);
        if is_ours {
            if let Err(error) = fs::remove_file(&self.path) {
                log::warn!("{} could not be removed: {error}", self.path.display());
            }
        }
    }
}

/// Binds all that is configured.
///
/// # Errors
/// The first that cannot be bound; all are closed again.
pub fn bind(config: &RuntimeConfig, workers: usize) -> Result<Bound, StartError> {
    let mut bound = Bound {
        per_worker: (0..workers).map(|_| Vec::new()).collect(),
        addresses: Vec::new(),
        files: Vec::new(),
    };
    let all = config.bind.iter().try_for_each(|wanted| match wanted {
        Bind::Tcp(host, port) => bind_host(&mut bound, host, *port, config.shares_port),
        Bind::Uds(path) => bind_uds(&mut bound, path, config.uds_mode),
        Bind::Fd(fd) => bind_fd(&mut bound, *fd),
    });
    if let Err(error) = all {
        bound.files.iter().for_each(SocketFile::remove);
        return Err(error);
    }
    Ok(bound)
}

/// Binds every address of a host: `localhost` is often one of each family, and clients may use either.
fn bind_host(bound: &mut Bound, host: &str, mut port: u16, shares_port: bool) -> Result<(), StartError> {
    let shown = format!("{host}:{port}");
    let found =
        (host, port).to_socket_addrs().map_err(|error| StartError::Address(format!("{shown}: {error}")))?;
    let mut addresses: Vec<SocketAddr> = Vec::new();
    for address in found {
        if !addresses.contains(&address) {
            addresses.push(address);
        }
    }
    let is_one_of_many = addresses.len() > 1;
    let mut refused = None;
    let before = bound.addresses.len();
    for mut address in addresses {
        address.set_port(port);
        match bind_address(bound, address, shares_port, is_one_of_many) {
            Ok(at) => port = at.port(),
            // A family that is switched off on this system is no fault of the host's other address.
            Err(error) if is_one_of_many && is_absent(&error) => refused = Some(error),
            Err(error) => return Err(StartError::bind(&shown, &error)),
        }
    }
    if bound.addresses.len() == before {
        return Err(match refused {
            Some(error) => StartError::bind(&shown, &error),
            None => StartError::Address(shown),
        });
    }
    Ok(())
}

fn is_absent(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::EADDRNOTAVAIL | libc::EAFNOSUPPORT))
}

fn bind_address(
    bound: &mut Bound,
    address: SocketAddr,
    shares_port: bool,
    is_one_of_many: bool,
) -> io::Result<SocketAddr> {
    let workers = bound.per_worker.len();
    let first = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    first.set_reuse_address(true)?;
    if address.is_ipv6() && is_one_of_many {
        first.set_only_v6(true)?;
    }
    if shares_port {
        first.set_reuse_port(true)?;
    }
    // Bound without SO_REUSEPORT, it collides with any other server on the port, as it should: set before, the kernel
    // would quietly share the port with another server of the same user. Set after, our other sockets can join.
    first.bind(&address.into())?;
    let address =
        first.local_addr()?.as_socket().ok_or_else(|| io::Error::from(io::ErrorKind::AddrNotAvailable))?;
    let place = Place::Tcp(address.ip().to_string(), address.port());
    if !cfg!(target_os = "linux") || workers == 1 {
        share(bound, &first, &place)?;
    } else {
        first.set_reuse_port(true)?;
        let mut sockets = vec![first];
        while sockets.len() < workers {
            let next = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
            next.set_reuse_address(true)?;
            if address.is_ipv6() && is_one_of_many {
                next.set_only_v6(true)?;
            }
            next.set_reuse_port(true)?;
            next.bind(&address.into())?;
            sockets.push(next);
        }
        for (worker, socket) in bound.per_worker.iter_mut().zip(sockets) {
            worker.push(RawListener { socket, place: place.clone() });
        }
    }
    bound.addresses.push(address.to_string());
    Ok(address)
}

fn bind_uds(bound: &mut Bound, path: &Path, mode: Option<u32>) -> Result<(), StartError> {
    let shown = format!("unix:{}", path.display());
    let mut inner = || -> io::Result<()> {
        let address = SockAddr::unix(path)?;
        let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
        remove_left_over(path, &address)?;
        socket.bind(&address)?;
        bound.files.push(SocketFile::made_at(path)?);
        if let Some(mode) = mode {
            // Before `listen`, so that nobody connects under wider permissions.
            fs::set_permissions(path, fs::Permissions::from_mode(mode))?;
        }
        share(bound, &socket, &Place::Unix(path.display().to_string()))?;
        bound.addresses.push(shown.clone());
        Ok(())
    };
    inner().map_err(|error| StartError::bind(&shown, &error))
}

/// A socket file that nobody listens on is left over from a server that died. Any other file stays, and is in the way.
fn remove_left_over(path: &Path, address: &SockAddr) -> io::Result<()> {
    if !fs::symlink_metadata(path).is_ok_and(|found| found.file_type().is_socket()) {
        return Ok(());
    }
    let probe = Socket::new(Domain::UNIX, Type::STREAM, None)?;
    // A full queue of a living server must not make us wait.
    probe.set_nonblocking(true)?;
    match probe.connect(address) {
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => fs::remove_file(path),
        _ => Err(io::Error::from_raw_os_error(libc::EADDRINUSE)),
    }
}

fn bind_fd(bound: &mut Bound, fd: RawFd) -> Result<(), StartError> {
    let mut inner = || -> io::Result<()> {
        // SAFETY: F_DUPFD_CLOEXEC touches no memory; a descriptor that is not open is an error that it reports.
        let copy = unsafe { libc::fcntl(fd, libc::F_DUPFD_CLOEXEC, 3) };
        if copy < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: it was opened by the call above, and nobody else has it.
        let socket = unsafe { Socket::from_raw_fd(copy) };
        let local = socket.local_addr()?;
        if socket.r#type()? != Type::STREAM {
            return Err(io::Error::from_raw_os_error(libc::ESOCKTNOSUPPORT));
        }
        let (place, address) = match local.as_socket() {
            Some(address) => (Place::Tcp(address.ip().to_string(), address.port()), address.to_string()),
            None if local.is_unix() => {
                let path = local.as_pathname().map(|path| path.display().to_string()).unwrap_or_default();
                (Place::Unix(path.clone()), format!("unix:{path}"))
            }
            None => return Err(io::Error::from_raw_os_error(libc::EAFNOSUPPORT)),
        };
        share(bound, &socket, &place)?;
        bound.addresses.push(address);
        Ok(())
    };
    inner().map_err(|error| StartError::bind(format!("descriptor {fd}"), &error))
}

/// One socket, accepted from by all workers.
fn share(bound: &mut Bound, socket: &Socket, place: &Place) -> io::Result<()> {
    for worker in &mut bound.per_worker {
        worker.push(RawListener { socket: socket.try_clone()?, place: place.clone() });
    }
    Ok(())
}
