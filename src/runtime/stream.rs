//! The two kinds of stream a worker serves, and the listeners they come from.
//!
//! Owns: what differs between TCP and Unix domain sockets. Rule: nothing above this file knows which one it has.

use crate::service::Ends;
use monoio::io::{AsyncReadRent, AsyncWriteRent, CancelHandle, Split};
use monoio::net::{TcpListener, TcpStream, UnixListener, UnixStream};
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};

/// A connected stream.
pub trait Transport: AsyncReadRent + AsyncWriteRent + Split + AsRawFd + 'static {}

impl Transport for TcpStream {}
impl Transport for UnixStream {}

/// A connection that was accepted.
pub enum Accepted {
    /// TCP.
    Tcp(TcpStream, Ends),
    /// A Unix domain socket.
    Unix(UnixStream, Ends),
}

/// A listening socket of one worker.
pub enum Listener {
    /// TCP.
    Tcp(TcpListener, (String, u16)),
    /// A Unix domain socket.
    Unix(UnixListener, String),
}

/// A listening socket on its way to its worker.
#[derive(Debug)]
pub struct RawListener {
    /// The socket.
    pub socket: socket2::Socket,
    /// Its kind and address.
    pub place: Place,
}

/// Kind and address of a listening socket.
#[derive(Clone, Debug)]
pub enum Place {
    /// TCP.
    Tcp(String, u16),
    /// A Unix domain socket.
    Unix(String),
}

impl Listener {
    /// Takes a raw one into the calling worker's runtime.
    pub fn adopt(raw: RawListener) -> io::Result<Self> {
        let fd = OwnedFd::from(raw.socket);
        Ok(match raw.place {
            Place::Tcp(host, port) => Listener::Tcp(TcpListener::from_std(fd.into())?, (host, port)),
            Place::Unix(path) => Listener::Unix(UnixListener::from_std(fd.into())?, path),
        })
    }

    /// Waits for a connection.
    pub async fn accept(&self, cancel: CancelHandle) -> io::Result<Accepted> {
        match self {
            Listener::Tcp(listener, server) => {
                let (stream, peer) = listener.cancelable_accept(cancel).await?;
                Ok(tcp(stream, peer, server))
            }
            Listener::Unix(listener, path) => {
                let (stream, _) = listener.cancelable_accept(cancel).await?;
                Ok(unix(stream, path))
            }
        }
    }

    /// Makes a stream of a socket that was accepted outside of monoio.
    pub fn adopt_accepted(&self, socket: socket2::Socket, peer: &socket2::SockAddr) -> io::Result<Accepted> {
        let fd = OwnedFd::from(socket);
        match self {
            Listener::Tcp(_, server) => {
                let stream = TcpStream::from_std(fd.into())?;
                let peer = peer.as_socket().unwrap_or_else(|| ([0, 0, 0, 0], 0).into());
                Ok(tcp(stream, peer, server))
            }
            Listener::Unix(_, path) => Ok(unix(UnixStream::from_std(fd.into())?, path)),
        }
    }
}

fn tcp(stream: TcpStream, peer: std::net::SocketAddr, server: &(String, u16)) -> Accepted {
    if let Err(error) = stream.set_nodelay(true) {
        // The peer may be gone already; reading will tell.
        log::debug!("TCP_NODELAY: {error}");
    }
    let ends = Ends {
        client: Some((peer.ip().to_string(), peer.port())),
        server: Some((server.0.clone(), Some(server.1))),
    };
    Accepted::Tcp(stream, ends)
}

fn unix(stream: UnixStream, path: &str) -> Accepted {
    Accepted::Unix(stream, Ends { client: None, server: Some((path.to_owned(), None)) })
}
