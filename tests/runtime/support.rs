//! A server on a real socket, made of a closure, and a client that sees raw bytes.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::Thread;
use std::time::Duration;
use turboapi::http1::{FieldBlock, Framing, RequestHead, ResponseHead};
use turboapi::runtime::{self, Bind, DriverChoice, RunningServer, RuntimeConfig, StartError, StopHandle};
use turboapi::service::{
    BodyMode, Exchange, GuestLoop, Inbound, Outcome, Reply, ReplyEvent, Request, RequestBody, Service,
    ServiceFactory, WorkerContext,
};

/// Longer than anything here takes; a test that waits for so long has failed.
pub const SOON: Duration = Duration::from_secs(20);

/// Runs each test on io_uring and on epoll.
macro_rules! on_both_drivers {
    ($($test:ident)*) => {
        $(mod $test {
            #[test]
            fn uring() {
                if crate::support::has_uring() {
                    super::$test(turboapi::runtime::DriverChoice::Uring);
                }
            }

            #[test]
            fn epoll() {
                super::$test(turboapi::runtime::DriverChoice::Epoll);
            }
        })*
    };
}
pub(crate) use on_both_drivers;

/// False, and said so, where the system refuses io_uring.
pub fn has_uring() -> bool {
    let config = RuntimeConfig { driver: DriverChoice::Uring, bind: Vec::new(), workers: 1, ..config() };
    match runtime::start(config, Arc::new(App::new(|_, reply| reply.short(200, b"", b"")))) {
        Err(StartError::DriverRefused(why)) => {
            eprintln!("not run: io_uring is refused here: {why}");
            false
        }
        Ok(server) => {
            server.stop_handle().cut();
            server.join().expect("no worker dies");
            true
        }
        Err(error) => panic!("{error}"),
    }
}

/// One worker on a free port of 127.0.0.1.
pub fn config() -> RuntimeConfig {
    RuntimeConfig { bind: vec![Bind::Tcp("127.0.0.1".to_owned(), 0)], workers: 1, ..RuntimeConfig::default() }
}

type Handle = dyn Fn(Request, Reply<'_>) -> Outcome + Send + Sync;
type PollStartup = dyn Fn(usize) -> Poll<Result<(), String>> + Send + Sync;
type MakeGuest = dyn Fn() -> std::rc::Rc<dyn GuestLoop> + Send + Sync;

/// What a worker does in its life.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Life {
    Entered,
    Made(usize),
    Startup(usize),
    Batch,
    BeginDrain(usize),
    Shutdown(usize),
    Close(usize),
    Left,
}

/// A service made of closures. Bodies are buffered, but for paths that begin with `/live`.
#[derive(Clone)]
pub struct App {
    pub handle: Arc<Handle>,
    guest: Option<Arc<MakeGuest>>,
    startup: Option<Arc<PollStartup>>,
    life: Sender<Life>,
    seen: Arc<parking_lot::Mutex<Receiver<Life>>>,
}

impl App {
    pub fn new(handle: impl Fn(Request, Reply<'_>) -> Outcome + Send + Sync + 'static) -> Self {
        let (life, seen) = mpsc::channel();
        App {
            handle: Arc::new(handle),
            guest: None,
            startup: None,
            life,
            seen: Arc::new(parking_lot::Mutex::new(seen)),
        }
    }

    pub fn with_guest(
        mut self,
        make: impl Fn() -> std::rc::Rc<dyn GuestLoop> + Send + Sync + 'static,
    ) -> Self {
        self.guest = Some(Arc::new(make));
        self
    }

    pub fn with_startup(
        mut self,
        poll: impl Fn(usize) -> Poll<Result<(), String>> + Send + Sync + 'static,
    ) -> Self {
        self.startup = Some(Arc::new(poll));
        self
    }

    /// What has happened so far, since last asked.
    pub fn life(&self) -> Vec<Life> {
        self.seen.lock().try_iter().collect()
    }

    fn note(&self, life: Life) {
        self.life.send(life).expect("the other end is in the same value");
    }
}

impl ServiceFactory for App {
    type Service = AppService;

    fn enter_thread(&self, run: &mut dyn FnMut()) {
        self.note(Life::Entered);
        run();
        self.note(Life::Left);
    }

    fn make(&self, worker: WorkerContext) -> Result<AppService, String> {
        self.note(Life::Made(worker.worker));
        Ok(AppService { app: self.clone(), worker: worker.worker })
    }
}

pub struct AppService {
    app: App,
    worker: usize,
}

impl Service for AppService {
    type Route = BodyMode;

    fn route(&self, head: &RequestHead) -> BodyMode {
        if head.path().starts_with(b"/live") {
            BodyMode::Streamed
        } else {
            BodyMode::Buffered
        }
    }

    fn body_mode(&self, route: &BodyMode, _framing: Framing) -> BodyMode {
        *route
    }

    fn call(&self, _route: BodyMode, request: Request, reply: Reply<'_>) -> Outcome {
        (self.app.handle)(request, reply)
    }

    fn batch(&self, run: &mut dyn FnMut()) {
        self.app.note(Life::Batch);
        run();
    }

    fn guest_loop(&self) -> Option<std::rc::Rc<dyn GuestLoop>> {
        self.app.guest.as_ref().map(|make| make())
    }

    fn poll_startup(&self, _cx: &mut Context<'_>) -> Poll<Result<(), String>> {
        let polled = self.app.startup.as_ref().map_or(Poll::Ready(Ok(())), |poll| poll(self.worker));
        if polled.is_ready() {
            self.app.note(Life::Startup(self.worker));
        }
        polled
    }

    fn begin_drain(&self) {
        self.app.note(Life::BeginDrain(self.worker));
    }

    fn poll_shutdown(&self, _cx: &mut Context<'_>) -> Poll<()> {
        self.app.note(Life::Shutdown(self.worker));
        Poll::Ready(())
    }

    fn close(&self) {
        self.app.note(Life::Close(self.worker));
    }
}

/// A running server. Cut when dropped.
pub struct Server {
    running: Option<RunningServer>,
    pub stop: StopHandle,
    pub address: SocketAddr,
}

impl Server {
    pub fn start(config: RuntimeConfig, app: App) -> Self {
        let running = runtime::start(config, Arc::new(app)).expect("the address is free");
        running.wait_started().expect("the application starts");
        let address = running.addresses()[0].parse().unwrap_or_else(|_| SocketAddr::from(([0, 0, 0, 0], 0)));
        Server { stop: running.stop_handle(), running: Some(running), address }
    }

    /// On that driver, with a handler, and otherwise as [`config`] says.
    pub fn on(
        driver: DriverChoice,
        handle: impl Fn(Request, Reply<'_>) -> Outcome + Send + Sync + 'static,
    ) -> Self {
        Server::start(RuntimeConfig { driver, ..config() }, App::new(handle))
    }

    pub fn connect(&self) -> Client {
        Client::to(self.address)
    }

    /// Waits for the end. Panics if it does not come.
    pub fn join(mut self) {
        let running = self.running.take().expect("joined once");
        let (done, is_done) = mpsc::channel();
        std::thread::spawn(move || done.send(running.join()));
        is_done.recv_timeout(SOON).expect("the server ends").expect("no worker dies");
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop.cut();
        if let Some(running) = self.running.take() {
            let ended = running.join();
            if !std::thread::panicking() {
                ended.expect("no worker dies");
            }
        }
    }
}

/// A client that writes what it is told.
pub struct Client {
    pub socket: TcpStream,
    buffer: Vec<u8>,
}

/// A response as received.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    pub status: u16,
    pub head: String,
    pub body: Vec<u8>,
}

impl Answer {
    pub fn field(&self, name: &str) -> Option<&str> {
        self.head.lines().skip(1).find_map(|line| {
            let (found, value) = line.split_once(':')?;
            found.eq_ignore_ascii_case(name).then(|| value.trim())
        })
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

impl Client {
    pub fn to(address: SocketAddr) -> Self {
        let socket = TcpStream::connect(address).expect("the server listens");
        socket.set_nodelay(true).expect("a TCP socket");
        socket.set_read_timeout(Some(SOON)).expect("not zero");
        socket.set_write_timeout(Some(SOON)).expect("not zero");
        Client { socket, buffer: Vec::new() }
    }

    pub fn send(&mut self, bytes: impl AsRef<[u8]>) -> &mut Self {
        self.socket.write_all(bytes.as_ref()).expect("the server reads");
        self
    }

    /// Sends what may be refused on the way.
    pub fn try_send(&mut self, bytes: impl AsRef<[u8]>) -> io::Result<()> {
        self.socket.write_all(bytes.as_ref())
    }

    pub fn get(&mut self, path: &str) -> Answer {
        self.send(format!("GET {path} HTTP/1.1\r\nHost: x\r\n\r\n")).answer()
    }

    fn fill(&mut self) -> io::Result<usize> {
        let mut chunk = [0; 16 * 1024];
        let read = self.socket.read(&mut chunk)?;
        self.buffer.extend_from_slice(&chunk[..read]);
        Ok(read)
    }

    fn until(&mut self, mark: &[u8]) -> Vec<u8> {
        loop {
            if let Some(at) = self.buffer.windows(mark.len()).position(|window| window == mark) {
                return self.buffer.drain(..at + mark.len()).collect();
            }
            let read = self.fill().expect("the server answers");
            assert_ne!(read, 0, "the connection ended after {:?}", String::from_utf8_lossy(&self.buffer));
        }
    }

    pub fn exactly(&mut self, count: usize) -> Vec<u8> {
        while self.buffer.len() < count {
            assert_ne!(self.fill().expect("the body comes"), 0, "the connection ended in a body");
        }
        self.buffer.drain(..count).collect()
    }

    /// The next head, without its body.
    pub fn head(&mut self) -> Answer {
        let head = String::from_utf8(self.until(b"\r\n\r\n")).expect("heads are ASCII");
        let status = head[9..12].parse().expect("a status");
        Answer { status, head, body: Vec::new() }
    }

    /// The next response, whole.
    pub fn answer(&mut self) -> Answer {
        let mut answer = self.head();
        if let Some(length) = answer.field("content-length") {
            let length = length.parse().expect("a number");
            answer.body = self.exactly(length);
        } else if answer.field("transfer-encoding") == Some("chunked") {
            loop {
                let chunk = self.chunk();
                if chunk.is_empty() {
                    break;
                }
                answer.body.extend_from_slice(&chunk);
            }
        }
        answer
    }

    /// The next chunk. Empty: the last one.
    pub fn chunk(&mut self) -> Vec<u8> {
        let line = String::from_utf8(self.until(b"\r\n")).expect("a size line");
        let size = usize::from_str_radix(line.trim(), 16).expect("a size");
        let chunk = self.exactly(size);
        assert_eq!(self.exactly(2), b"\r\n");
        chunk
    }

    /// All that comes until the end, which must be a good one.
    pub fn rest(&mut self) -> Vec<u8> {
        while self.fill().expect("a good end") > 0 {}
        std::mem::take(&mut self.buffer)
    }

    /// All that comes until the end, and how it ended.
    pub fn rest_and_end(&mut self) -> (Vec<u8>, io::Result<()>) {
        let end = loop {
            match self.fill() {
                Ok(0) => break Ok(()),
                Ok(_) => {}
                Err(error) => break Err(error),
            }
        };
        (std::mem::take(&mut self.buffer), end)
    }

    /// All that comes until the end, whatever that is.
    pub fn all(&mut self) -> Vec<u8> {
        self.rest_and_end().0
    }

    /// Nothing more comes, and the end is a good one.
    pub fn is_closed(&mut self) -> bool {
        self.rest().is_empty()
    }
}

/// The body of a request, if it came whole.
pub fn whole(body: RequestBody) -> bytes::Bytes {
    match body {
        RequestBody::Empty => bytes::Bytes::new(),
        RequestBody::Whole(body) => body,
        RequestBody::Streamed(_) => panic!("a streamed body"),
    }
}

/// Answers with the request's own target: whose answer it is.
pub fn own_target(request: Request, reply: Reply<'_>) -> Outcome {
    reply.short(200, b"text/plain", request.head.target())
}

pub fn plain_head(status: u16) -> ResponseHead {
    ResponseHead { status, fields: fields(&[("content-type", "text/plain")]) }
}

pub fn fields(pairs: &[(&str, &str)]) -> FieldBlock {
    let mut fields = FieldBlock::new();
    for (name, value) in pairs {
        fields.push(name.as_bytes(), value.as_bytes()).expect("a sound field");
    }
    fields
}

/// Waits, on the calling thread, until `poll` is ready.
pub fn wait_for<R>(mut poll: impl FnMut(&mut Context<'_>) -> Poll<R>) -> R {
    struct Unpark(Thread);
    impl Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }
    let waker = Waker::from(Arc::new(Unpark(std::thread::current())));
    let began = std::time::Instant::now();
    loop {
        if let Poll::Ready(value) = poll(&mut Context::from_waker(&waker)) {
            return value;
        }
        assert!(began.elapsed() < SOON, "what was waited for does not come");
        std::thread::park_timeout(SOON);
    }
}

/// What an exchange finds next on its receiving side.
pub fn receive(exchange: &Exchange) -> Inbound {
    wait_for(|cx| exchange.poll_inbound(cx))
}

/// Requests and their exchanges.
pub type Handed = Receiver<(Request, Arc<Exchange>)>;

/// A handler that hands each request's exchange to the test.
pub fn handing_over() -> (impl Fn(Request, Reply<'_>) -> Outcome + Send + Sync, Handed) {
    let (sender, receiver) = mpsc::channel();
    let sender = parking_lot::Mutex::new(sender);
    let handle = move |request: Request, _reply: Reply<'_>| {
        let exchange = match &request.body {
            RequestBody::Streamed(exchange) => exchange.clone(),
            _ => Exchange::without_body(),
        };
        // A test that has ended no longer listens.
        let _ = sender.lock().send((request, exchange.clone()));
        Outcome::Pending(exchange)
    };
    (handle, receiver)
}

/// Ends an exchange with a whole response.
pub fn finish(exchange: &Exchange, body: impl Into<bytes::Bytes>) {
    exchange.push(ReplyEvent::Full(plain_head(200), body.into())).expect("the peer is there");
}
