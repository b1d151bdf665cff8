//! The bare server: the runtime with a service that knows no Python.
//!
//! The ceiling that every Python figure is compared with; it sends the same bytes as `examples/raw.py`.
//! Options: `--port N`, `--workers N`, `--driver auto|uring|epoll`.

use bytes::Bytes;
use std::sync::Arc;
use turboapi::http1::RequestHead;
use turboapi::runtime::{self, Bind, DriverChoice, RuntimeConfig};
use turboapi::service::{
    BodyMode, Outcome, Reply, Request, RequestBody, Service, ServiceFactory, WorkerContext,
};

struct Factory;

impl ServiceFactory for Factory {
    type Service = Hello;

    fn make(&self, _worker: WorkerContext) -> Result<Hello, String> {
        Ok(Hello)
    }
}

struct Hello;

impl Service for Hello {
    type Route = u16;

    fn route(&self, head: &RequestHead) -> u16 {
        match head.path() {
            b"/" => 200,
            b"/echo" => 201,
            _ => 404,
        }
    }

    fn body_mode(&self, _route: &u16) -> BodyMode {
        BodyMode::Buffered
    }

    fn call(&self, route: u16, request: Request, reply: Reply<'_>) -> Outcome {
        match (route, request.body) {
            (200, _) => reply.short(200, b"application/json", b"{\"message\":\"Hello World\"}"),
            (201, RequestBody::Whole(body)) => {
                let mut fields = turboapi::http1::FieldBlock::new();
                match fields.push(b"content-type", b"application/octet-stream") {
                    Ok(()) => reply.full(200, &fields, body),
                    Err(_) => reply.short(500, b"text/plain", b""),
                }
            }
            (201, _) => reply.short(200, b"application/octet-stream", &Bytes::new()),
            _ => reply.short(404, b"application/json", b"{\"detail\":\"Not Found\"}"),
        }
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut config =
        RuntimeConfig { bind: vec![Bind::Tcp("127.0.0.1".to_owned(), 8000)], ..RuntimeConfig::default() };
    let mut arguments = std::env::args().skip(1);
    while let (Some(name), Some(value)) = (arguments.next(), arguments.next()) {
        match name.as_str() {
            "--port" => config.bind = vec![Bind::Tcp("127.0.0.1".to_owned(), value.parse()?)],
            "--workers" => config.workers = value.parse()?,
            "--driver" => {
                config.driver = match value.as_str() {
                    "uring" => DriverChoice::Uring,
                    "epoll" => DriverChoice::Epoll,
                    _ => DriverChoice::Auto,
                }
            }
            _ => return Err(format!("unknown option {name}").into()),
        }
    }
    let server = runtime::start(config, Arc::new(Factory))?;
    server.wait_started()?;
    println!("http://{} {} {} workers", server.addresses()[0], server.driver().name(), server.workers());
    // Ends with its process: SIGTERM needs no drain here.
    server.join()?;
    Ok(())
}
