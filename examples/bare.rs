//! The bare server: the runtime with a service that knows no Python.
//!
//! The ceiling that every Python figure is compared with: `GET /` sends the same bytes as `examples/raw.py`.
//! `POST /echo` gives a body back, `GET /stream` sends 100 chunks from another thread.
//! Options: `--port N`, `--uds PATH`, `--workers N`, `--driver auto|uring|epoll`. SIGTERM and SIGINT drain it.

use bytes::Bytes;
use signal_hook::consts::{SIGINT, SIGTERM};
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::Thread;
use turboapi::http1::{FieldBlock, Framing, Method, RequestHead, ResponseHead};
use turboapi::runtime::{self, Bind, DriverChoice, RuntimeConfig};
use turboapi::service::{
    BodyMode, Exchange, Outcome, Reply, ReplyEvent, Request, RequestBody, Service, ServiceFactory,
    WorkerContext,
};

fn main() {
    let ended = config().and_then(|config| serve(config).map_err(|error| error.to_string()));
    if let Err(message) = ended {
        eprintln!("bare: {message}");
        std::process::exit(2);
    }
}

fn config() -> Result<RuntimeConfig, String> {
    let mut config = RuntimeConfig::default();
    let mut arguments = std::env::args().skip(1);
    while let Some(name) = arguments.next() {
        let value = arguments.next().ok_or_else(|| format!("{name} needs a value"))?;
        let number = || value.parse::<usize>().map_err(|error| format!("{name} {value}: {error}"));
        match name.as_str() {
            "--port" => {
                let port = u16::try_from(number()?).map_err(|error| format!("{name} {value}: {error}"))?;
                config.bind = vec![Bind::Tcp("127.0.0.1".to_owned(), port)];
            }
            "--uds" => config.bind = vec![Bind::Uds(value.into())],
            "--workers" => config.workers = number()?,
            "--driver" => {
                config.driver = match value.as_str() {
                    "auto" => DriverChoice::Auto,
                    "uring" => DriverChoice::Uring,
                    "epoll" => DriverChoice::Epoll,
                    _ => return Err(format!("{name} {value}: auto, uring or epoll")),
                }
            }
            _ => return Err(format!("unknown option {name}")),
        }
    }
    Ok(config)
}

fn serve(config: RuntimeConfig) -> Result<(), Box<dyn std::error::Error>> {
    let mut signals = signal_hook::iterator::Signals::new([SIGTERM, SIGINT])?;
    let server = runtime::start(config, Arc::new(Factory))?;
    server.wait_started()?;
    let address = &server.addresses()[0];
    let url = if address.starts_with("unix:") { address.clone() } else { format!("http://{address}") };
    println!("{url} {} {} workers", server.driver().name(), server.workers());
    let stop = server.stop_handle();
    std::thread::spawn(move || signals.forever().for_each(|_| stop.stop()));
    Ok(server.join()?)
}

struct Factory;

impl ServiceFactory for Factory {
    type Service = Bare;

    fn make(&self, _worker: WorkerContext) -> Result<Bare, String> {
        let mut fields = FieldBlock::new();
        fields.push(b"content-type", b"application/octet-stream").map_err(|fault| format!("{fault:?}"))?;
        Ok(Bare { bytes: fields })
    }
}

struct Bare {
    /// Fields of a response of plain bytes.
    bytes: FieldBlock,
}

enum Route {
    Hello,
    Echo,
    Stream,
    NotFound,
}

impl Service for Bare {
    type Route = Route;

    fn route(&self, head: &RequestHead) -> Route {
        match (head.method(), head.path()) {
            (Method::Get | Method::Head, b"/") => Route::Hello,
            (Method::Post, b"/echo") => Route::Echo,
            (Method::Get, b"/stream") => Route::Stream,
            _ => Route::NotFound,
        }
    }

    fn body_mode(&self, _route: &Route, _framing: Framing) -> BodyMode {
        BodyMode::Buffered
    }

    fn call(&self, route: Route, request: Request, reply: Reply<'_>) -> Outcome {
        match route {
            Route::Hello => reply.short(200, b"application/json", br#"{"message":"Hello World"}"#),
            Route::Echo => match request.body {
                RequestBody::Whole(body) => reply.full(200, &self.bytes, body),
                RequestBody::Empty | RequestBody::Streamed(_) => reply.full(200, &self.bytes, Bytes::new()),
            },
            Route::Stream => {
                let exchange = Exchange::without_body();
                let head = ResponseHead { status: 200, fields: self.bytes.clone() };
                let producer = exchange.clone();
                std::thread::spawn(move || produce(&producer, head));
                Outcome::Pending(exchange)
            }
            Route::NotFound => reply.short(404, b"application/json", br#"{"detail":"Not Found"}"#),
        }
    }
}

/// Sends 100 chunks, each when there is room for it. Ends early when the client has left.
fn produce(exchange: &Exchange, head: ResponseHead) {
    let waker = Waker::from(Arc::new(Unpark(std::thread::current())));
    let mut pushed = exchange.push(ReplyEvent::Head(head));
    for number in 0..100 {
        while pushed.is_ok() && exchange.poll_room(&mut Context::from_waker(&waker)) == Poll::Pending {
            std::thread::park();
        }
        pushed = pushed.and_then(|()| exchange.push(ReplyEvent::Chunk(format!("chunk {number}\n").into())));
    }
    // An error says that nobody reads any more.
    let _ = pushed.and_then(|()| exchange.push(ReplyEvent::End));
}

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}
