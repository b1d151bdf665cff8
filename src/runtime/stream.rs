//! The two kinds of stream a worker serves, and the listeners they come from.
//!
//! Owns: what differs between TCP and Unix domain sockets; reading and writing one stream at the same time.
//! Rule: nothing above this file knows which kind it has.

use crate::service::Ends;
use bytes::BytesMut;
use monoio::buf::{IoBuf, IoBufMut, IoVecBuf};
use monoio::io::{AsyncReadRent, AsyncWriteRent, CancelHandle, Split};
use monoio::net::{TcpListener, TcpStream, UnixListener, UnixStream};
use socket2::SockRef;
use std::cell::UnsafeCell;
use std::fmt;
use std::future::Future;
use std::io;
use std::net::Shutdown;
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::rc::Rc;
use std::time::Duration;

/// A connected stream.
pub trait Transport: AsyncReadRent + AsyncWriteRent + Split + AsRawFd + 'static {
    /// Waits until the peer takes more, or has gone.
    fn writable(&self) -> impl Future<Output = io::Result<()>>;
}

impl Transport for TcpStream {
    fn writable(&self) -> impl Future<Output = io::Result<()>> {
        TcpStream::writable(self, false)
    }
}

impl Transport for UnixStream {
    fn writable(&self) -> impl Future<Output = io::Result<()>> {
        UnixStream::writable(self, false)
    }
}

/// A stream whose two directions are used at the same time, by one task.
///
/// monoio's own halves do the same, but the writing one shuts the socket down when it is dropped: an end that must be a
/// reset would look like a good one.
#[derive(Debug)]
pub struct Duplex<T>(Rc<UnsafeCell<T>>);

impl<T: Transport> Duplex<T> {
    /// Of a connected stream.
    pub fn new(stream: T) -> Self {
        Duplex(Rc::new(UnsafeCell::new(stream)))
    }

    /// Reads once, behind what is in the buffer. One read at a time. The future must be polled to its end, or what it
    /// has read is lost.
    pub fn read(&self, buffer: BytesMut) -> impl Future<Output = (io::Result<usize>, BytesMut)> + 'static {
        let stream = self.0.clone();
        let (length, capacity) = (buffer.len(), buffer.capacity());
        async move {
            // SAFETY: there is one task and one thread. `Split` promises that reading touches nothing that writing
            // does, and there is one read at a time.
            let stream = unsafe { &mut *stream.get() };
            let (result, slice) = stream.read(buffer.slice_mut(length..capacity)).await;
            (result, slice.into_inner())
        }
    }

    /// Writes some of a buffer. One write at a time.
    pub async fn write<B: IoBuf>(&self, buffer: B) -> (io::Result<usize>, B) {
        // SAFETY: as in `read`, for the other direction.
        let stream = unsafe { &mut *self.0.get() };
        stream.write(buffer).await
    }

    /// Writes some of many buffers. One write at a time.
    pub async fn writev<B: IoVecBuf>(&self, buffers: B) -> (io::Result<usize>, B) {
        // SAFETY: as in `write`.
        let stream = unsafe { &mut *self.0.get() };
        stream.writev(buffers).await
    }

    /// Waits until the peer takes more, or has gone. As a write: one at a time.
    pub async fn writable(&self) -> io::Result<()> {
        // SAFETY: as in `write`; nothing of the stream is changed.
        let stream = unsafe { &*self.0.get() };
        stream.writable().await
    }

    /// The descriptor, for calls that monoio has not.
    pub fn borrow_fd(&self) -> BorrowedFd<'_> {
        // SAFETY: the stream in `self` owns the descriptor, which is open for as long as `self` is borrowed.
        unsafe { BorrowedFd::borrow_raw(self.fd()) }
    }

    /// The descriptor, open as long as `self` lives.
    pub fn fd(&self) -> RawFd {
        // SAFETY: asks for a number that never changes.
        let stream = unsafe { &*self.0.get() };
        stream.as_raw_fd()
    }

    /// Tells the peer that nothing more comes.
    pub fn end_writing(&self) -> io::Result<()> {
        self.with_socket(|socket| socket.shutdown(Shutdown::Write))
    }

    /// Makes the coming close a reset.
    pub fn reset_on_close(&self) -> io::Result<()> {
        self.with_socket(|socket| socket.set_linger(Some(Duration::ZERO)))
    }

    /// Closes with a reset.
    pub fn reset(self) {
        if let Err(error) = self.reset_on_close() {
            log::debug!("SO_LINGER: {error}");
        }
    }

    fn with_socket<R>(&self, use_it: impl FnOnce(SockRef<'_>) -> R) -> R {
        // SAFETY: the stream in `self` owns the descriptor, which is open for the whole call.
        let fd = unsafe { BorrowedFd::borrow_raw(self.fd()) };
        use_it(SockRef::from(&fd))
    }
}

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

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Place::Tcp(host, port) => write!(f, "{host}:{port}"),
            Place::Unix(path) => write!(f, "unix:{path}"),
        }
    }
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

    /// Waits until a connection may be there to be accepted.
    pub async fn readable(&self) -> io::Result<()> {
        match self {
            Listener::Tcp(listener, _) => listener.readable(false).await,
            Listener::Unix(listener, _) => listener.readable(false).await,
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
