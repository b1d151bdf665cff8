//! Accepting connections on one worker, from one listening socket.
//!
//! Owns: [`Acceptor`]: accepting, backing off, taking the last ones before it closes. Does not own: what is served.
//! Rule (`drain_answers_all`): what the kernel has accepted before the drain is served; running out of descriptors costs
//! a pause and never a spin.

use super::config::{Driver, StartError};
use super::connection;
use super::signal::Signal;
use super::stream::{Accepted, Duplex, Listener, RawListener, Transport};
use super::worker::Worker;
use crate::service::{Ends, Service};
use monoio::io::Canceller;
use std::cell::{Cell, RefCell};
use std::future::{poll_fn, Future};
use std::io;
use std::pin::pin;
use std::rc::Rc;
use std::task::Poll;
use std::time::Duration;

/// Pause after the process ran out of descriptors or memory. nginx 500 ms.
const STARVED_PAUSE: Duration = Duration::from_millis(100);

/// Connections taken from the kernel's queue when the drain begins, at most.
const MAX_LAST_ACCEPTS: usize = 4096;

/// Times that a starved acceptor tries on when the drain begins, [`STARVED_PAUSE`] apart.
const MAX_LAST_PAUSES: usize = 20;

/// Refused connections that are given time to read their 503, a worker. More are reset.
const MAX_REFUSED: usize = 64;

/// Accepts from one listening socket.
pub struct Acceptor {
    listener: Listener,
    /// The same socket, for what the kernel has queued when the drain begins.
    raw: socket2::Socket,
    driver: Driver,
    canceller: RefCell<Option<Canceller>>,
    ended: Signal,
}

impl Acceptor {
    /// Begins to listen.
    pub fn listen(raw: RawListener, driver: Driver, backlog: u32) -> Result<Self, StartError> {
        let address = raw.place.to_string();
        let inner = || -> io::Result<Self> {
            raw.socket.listen(i32::try_from(backlog).unwrap_or(i32::MAX))?;
            raw.socket.set_nonblocking(has_nonblocking_sockets(driver))?;
            let clone = raw.socket.try_clone()?;
            Ok(Acceptor {
                listener: Listener::adopt(raw)?,
                raw: clone,
                driver,
                canceller: RefCell::new(Some(Canceller::new())),
                ended: Signal::default(),
            })
        };
        inner().map_err(|error| StartError::bind(address, &error))
    }

    /// Accepts until the drain.
    pub async fn run<S: Service>(&self, worker: &Rc<Worker<S>>) {
        // Also when it panics: `stop` waits for it.
        let _ended = Ended(&self.ended);
        let mut is_starved = false;
        loop {
            let cancel = self.canceller.borrow().as_ref().map(Canceller::handle);
            let Some(cancel) = cancel else { break };
            match self.listener.accept(cancel).await {
                Ok(accepted) => {
                    is_starved = false;
                    open(worker, accepted);
                }
                Err(_) if worker.draining.is_set() => break,
                // Somebody who shares the socket has made it non-blocking.
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => self.readable(worker).await,
                // The peer left between the kernel's queue and us (accept(2): treat these like EAGAIN).
                Err(error) if is_of_one_connection(&error) => log::debug!("accept: {error}"),
                Err(error) => {
                    if !is_starved {
                        is_starved = true;
                        log::error!("no connection can be accepted: {error}; trying on");
                    }
                    monoio::time::sleep(STARVED_PAUSE).await;
                }
            }
        }
    }

    async fn readable<S: Service>(&self, worker: &Worker<S>) {
        let mut readable = pin!(self.listener.readable());
        poll_fn(|cx| match worker.draining.poll(cx) {
            Poll::Ready(()) => Poll::Ready(()),
            // An error shows again in the next accept.
            Poll::Pending => readable.as_mut().poll(cx).map(drop),
        })
        .await;
    }

    /// Takes what the kernel has queued, then closes. Call after `draining` is set.
    ///
    /// Args: `is_left`: other processes accept from the same socket, and go on.
    pub async fn stop<S: Service>(self: Rc<Self>, worker: &Rc<Worker<S>>, is_left: bool) {
        // The accept in flight may have taken a connection by now: its outcome is waited for.
        let canceller = self.canceller.borrow_mut().take();
        let _cancelled = canceller.map(Canceller::cancel);
        poll_fn(|cx| self.ended.poll(cx)).await;
        if is_left {
            // What waits there is for them. Nor may the socket be made non-blocking: they would see it, too.
            return;
        }
        if let Err(error) = self.raw.set_nonblocking(true) {
            return log::error!("the listening socket cannot be emptied: {error}");
        }
        let (mut accepts, mut pauses) = (0, 0);
        while accepts < MAX_LAST_ACCEPTS && pauses < MAX_LAST_PAUSES {
            match self.take_waiting() {
                Ok((socket, peer)) => {
                    accepts += 1;
                    match self.listener.adopt_accepted(socket, &peer) {
                        Ok(accepted) => open(worker, accepted),
                        Err(error) => log::error!("an accepted connection is lost: {error}"),
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) if is_of_one_connection(&error) => {}
                // Connections that end give their descriptors back.
                Err(_) => {
                    pauses += 1;
                    monoio::time::sleep(STARVED_PAUSE).await;
                }
            }
        }
        // Not shut down: other workers may accept from the same socket. It closes with the last of its owners.
    }

    /// A connection that the kernel has queued, as the driver wants it: on Linux it does not take after the listening
    /// socket, and one that blocks would stop an epoll worker at its first read.
    fn take_waiting(&self) -> io::Result<(socket2::Socket, socket2::SockAddr)> {
        let (socket, peer) = self.raw.accept()?;
        socket.set_nonblocking(has_nonblocking_sockets(self.driver))?;
        Ok((socket, peer))
    }
}

/// epoll needs sockets that do not block; io_uring waits by itself only on those that do.
fn has_nonblocking_sockets(driver: Driver) -> bool {
    driver == Driver::Epoll
}

/// Sets its signal when it is dropped.
struct Ended<'a>(&'a Signal);

impl Drop for Ended<'_> {
    fn drop(&mut self) {
        self.0.set();
    }
}

fn is_of_one_connection(error: &io::Error) -> bool {
    use libc::{
        ECONNABORTED, EHOSTDOWN, EHOSTUNREACH, EINTR, ENETDOWN, ENETUNREACH, ENOPROTOOPT, EOPNOTSUPP, EPROTO,
    };
    error.raw_os_error().is_some_and(|code| {
        [ECONNABORTED, EHOSTDOWN, EHOSTUNREACH, EINTR, ENETDOWN, ENETUNREACH, ENOPROTOOPT, EOPNOTSUPP, EPROTO]
            .contains(&code)
    })
}

fn open<S: Service>(worker: &Rc<Worker<S>>, accepted: Accepted) {
    let has_room = worker.max_connections == 0 || worker.connections.get() < worker.max_connections;
    match accepted {
        Accepted::Tcp(stream, ends) => spawn(worker, stream, ends, has_room),
        Accepted::Unix(stream, ends) => spawn(worker, stream, ends, has_room),
    }
}

fn spawn<S: Service>(worker: &Rc<Worker<S>>, stream: impl Transport, ends: Ends, has_room: bool) {
    if has_room {
        run(worker, |worker| &worker.connections, connection::serve(worker, stream, ends));
    } else if worker.refused.get() < MAX_REFUSED {
        run(worker, |worker| &worker.refused, connection::refuse(worker, stream, ends));
    } else {
        Duplex::new(stream).reset();
    }
}

fn run<S: Service>(
    worker: &Rc<Worker<S>>,
    count: fn(&Worker<S>) -> &Cell<usize>,
    connection: impl Future<Output = ()> + 'static,
) {
    let worker = worker.clone();
    count(&worker).set(count(&worker).get() + 1);
    // Detached: `Slots` knows which connections there are.
    drop(monoio::spawn(async move {
        connection.await;
        count(&worker).set(count(&worker).get() - 1);
    }));
}

#[cfg(test)]
mod tests {
    use super::Acceptor;
    use crate::runtime::config::Driver;
    use crate::runtime::stream::{Place, RawListener};
    use socket2::{Domain, Socket, Type};
    use std::net::{SocketAddr, TcpStream};

    /// Whether a connection that is taken at the drain blocks.
    fn blocks(driver: Driver) -> bool {
        let mut runtime =
            monoio::RuntimeBuilder::<monoio::LegacyDriver>::new().build().expect("epoll is there");
        runtime.block_on(async {
            let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
            let any: SocketAddr = ([127, 0, 0, 1], 0).into();
            socket.bind(&any.into()).expect("a port");
            let address = socket.local_addr().ok().and_then(|bound| bound.as_socket()).expect("an address");
            let place = Place::Tcp("127.0.0.1".to_owned(), address.port());
            let acceptor = Acceptor::listen(RawListener { socket, place }, driver, 8).expect("it listens");
            let _client = TcpStream::connect(address).expect("a connection");
            let (taken, _) = acceptor.take_waiting().expect("it waits");
            !taken.nonblocking().expect("a mode")
        })
    }

    #[test]
    fn what_waits_at_the_drain_is_taken_as_its_driver_wants_it() {
        assert!(!blocks(Driver::Epoll));
        assert!(blocks(Driver::Uring));
    }
}
