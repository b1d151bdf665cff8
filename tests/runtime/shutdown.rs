//! Starting and stopping: what is served before, while and after.

use crate::support::{
    config, finish, handing_over, on_both_drivers, own_target, plain_head, receive, App, Client, Life,
    Server, SOON,
};
use std::net::TcpStream;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{mpsc, Arc};
use std::task::Poll;
use std::time::{Duration, Instant};
use turboapi::runtime::{self, DriverChoice, RuntimeConfig, StartError, Timeouts};
use turboapi::service::{CloseReason, Inbound, Outcome, ReplyEvent};

on_both_drivers! {
    stop_closes_idle_connections_at_once
    stop_lets_busy_connections_finish_and_says_close
    stop_answers_what_was_sent_before_it
    stop_answers_everything_under_load
    grace_ends_with_a_cut
    second_stop_cuts_at_once
    cut_ends_everything_at_once
    nothing_is_served_when_the_start_fails
    start_can_be_cut_off
    workers_wait_for_each_other
    application_that_panics_at_start_is_an_error
}

const LONG: Duration = Duration::from_secs(3600);

fn slow_to_cut() -> Timeouts {
    Timeouts { drain_grace: LONG, ..Timeouts::default() }
}

fn stop_closes_idle_connections_at_once(driver: DriverChoice) {
    let server =
        Server::start(RuntimeConfig { driver, timeouts: slow_to_cut(), ..config() }, App::new(own_target));
    let mut clients: Vec<Client> = (0..20).map(|_| server.connect()).collect();
    for client in clients.iter_mut().skip(5) {
        client.get("/");
    }
    let began = Instant::now();
    server.stop.stop();
    let address = server.address;
    server.join();
    assert!(began.elapsed() < Duration::from_secs(10), "waited for idle connections");
    for client in &mut clients {
        assert!(client.is_closed());
    }
    assert!(TcpStream::connect(address).is_err(), "it still listens");
}

fn stop_lets_busy_connections_finish_and_says_close(driver: DriverChoice) {
    let (handle, requests) = handing_over();
    let app = App::new(handle);
    let server = Server::start(RuntimeConfig { driver, timeouts: slow_to_cut(), ..config() }, app.clone());
    let (mut whole, mut streamed) = (server.connect(), server.connect());
    whole.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
    let first = requests.recv_timeout(SOON).expect("the request is handed over").1;
    streamed.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
    let second = requests.recv_timeout(SOON).expect("the request is handed over").1;
    second.push(ReplyEvent::Head(plain_head(200))).expect("open");
    // Its head is out before the drain: it cannot say close any more.
    assert_eq!(streamed.head().field("connection"), None);
    server.stop.stop();
    wait_until(|| app.life().contains(&Life::BeginDrain(0)));
    finish(&first, "whole");
    let answer = whole.answer();
    assert_eq!((answer.text().as_str(), answer.field("connection")), ("whole", Some("close")));
    assert!(whole.is_closed());
    second.push(ReplyEvent::Chunk("late".into())).expect("open");
    second.push(ReplyEvent::End).expect("open");
    assert_eq!((streamed.chunk(), streamed.chunk()), (b"late".to_vec(), Vec::new()));
    assert!(streamed.is_closed());
    server.join();
}

/// `drain_answers_all`: also what the kernel has accepted and nobody has looked at yet.
fn stop_answers_what_was_sent_before_it(driver: DriverChoice) {
    // The worker is held up, so that everything waits in the kernel when the drain begins.
    let (release, released) = mpsc::channel::<()>();
    let (entered, has_entered) = mpsc::channel();
    let gate = parking_lot::Mutex::new((entered, released));
    let server = Server::on(driver, move |request, reply| {
        if request.head.path() == b"/hold" {
            let gate = gate.lock();
            gate.0.send(()).expect("the test waits");
            gate.1.recv().expect("the test releases");
        }
        own_target(request, reply)
    });
    let mut known = server.connect();
    known.get("/");
    let mut holder = server.connect();
    holder.send("GET /hold HTTP/1.1\r\nHost: x\r\n\r\n");
    has_entered.recv_timeout(SOON).expect("the handler runs");
    let mut clients: Vec<Client> = (0..100).map(|_| server.connect()).collect();
    for (number, client) in clients.iter_mut().enumerate() {
        client.send(format!("GET /{number} HTTP/1.1\r\nHost: x\r\n\r\n"));
    }
    known.send("GET /known HTTP/1.1\r\nHost: x\r\n\r\nGET /pipelined HTTP/1.1\r\nHost: x\r\n\r\n");
    server.stop.stop();
    release.send(()).expect("the handler waits");
    assert_eq!(holder.answer().text(), "/hold");
    for (number, client) in clients.iter_mut().enumerate() {
        let answer = client.answer();
        assert_eq!((answer.text(), answer.field("connection")), (format!("/{number}"), Some("close")));
        assert!(client.is_closed());
    }
    assert_eq!(known.answer().text(), "/known");
    assert_eq!(known.answer().text(), "/pipelined");
    server.join();
}

/// A client may lose a request that it sent while the server was closing its idle connection, but then gets not one byte
/// of an answer; a request sent before the signal is answered whole.
fn stop_answers_everything_under_load(driver: DriverChoice) {
    for workers in [1, 2] {
        let server = Server::start(RuntimeConfig { driver, workers, ..config() }, App::new(own_target));
        let address = server.address;
        let stopped = Arc::new(AtomicBool::new(false));
        let answered = Arc::new(AtomicUsize::new(0));
        let clients: Vec<_> = (0..16)
            .map(|_| {
                let (stopped, answered) = (stopped.clone(), answered.clone());
                std::thread::spawn(move || {
                    let mut client = Client::to(address);
                    for number in 0.. {
                        let request = format!("GET /{number} HTTP/1.1\r\nHost: x\r\n\r\n");
                        let sent = client.try_send(request);
                        let was_before = !stopped.load(Ordering::SeqCst);
                        if was_before {
                            sent.expect("the server reads");
                            let answer = client.answer();
                            assert_eq!(answer.text(), format!("/{number}"));
                            answered.fetch_add(1, Ordering::Relaxed);
                            if answer.field("connection") == Some("close") {
                                return;
                            }
                        } else {
                            let bytes = client.all();
                            assert!(bytes.is_empty() || bytes.ends_with(format!("/{number}").as_bytes()));
                            return;
                        }
                    }
                })
            })
            .collect();
        wait_until(|| answered.load(Ordering::Relaxed) > 2_000);
        // Before the signal: whoever has not seen it has sent its request before the server was told.
        stopped.store(true, Ordering::SeqCst);
        server.stop.stop();
        for client in clients {
            client.join().expect("every request before the drain is answered");
        }
        server.join();
    }
}

fn grace_ends_with_a_cut(driver: DriverChoice) {
    let (handle, requests) = handing_over();
    let timeouts = Timeouts { drain_grace: Duration::from_millis(200), ..Timeouts::default() };
    let server = Server::start(RuntimeConfig { driver, timeouts, ..config() }, App::new(handle));
    let mut client = server.connect();
    client.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
    let exchange = requests.recv_timeout(SOON).expect("the request is handed over").1;
    let began = Instant::now();
    server.stop.stop();
    assert_eq!(receive(&exchange), Inbound::Closed(CloseReason::Disconnected));
    assert!(began.elapsed() >= Duration::from_millis(200), "cut before the grace was over");
    client.all();
    server.join();
}

fn second_stop_cuts_at_once(driver: DriverChoice) {
    let (handle, requests) = handing_over();
    let app = App::new(handle);
    let server = Server::start(RuntimeConfig { driver, timeouts: slow_to_cut(), ..config() }, app.clone());
    // One waits for its application, one for a peer that reads nothing.
    let (mut waiting, mut stalled) = (server.connect(), server.connect());
    waiting.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
    let first = requests.recv_timeout(SOON).expect("the request is handed over").1;
    stalled.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
    let second = requests.recv_timeout(SOON).expect("the request is handed over").1;
    finish(&second, vec![b'x'; 64 * 1024 * 1024]);
    server.stop.stop();
    wait_until(|| app.life().contains(&Life::BeginDrain(0)));
    assert_eq!((first.closed(), second.closed()), (None, None));
    server.stop.stop();
    assert_eq!(receive(&first), Inbound::Closed(CloseReason::Disconnected));
    assert_eq!(receive(&second), Inbound::Closed(CloseReason::Disconnected));
    server.join();
    waiting.all();
    stalled.rest_and_end().1.expect_err("half a response has no good end");
}

fn cut_ends_everything_at_once(driver: DriverChoice) {
    let (handle, requests) = handing_over();
    let server =
        Server::start(RuntimeConfig { driver, timeouts: slow_to_cut(), ..config() }, App::new(handle));
    let mut client = server.connect();
    client.send("POST /live HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nabc");
    let exchange = requests.recv_timeout(SOON).expect("the request is handed over").1;
    let mut half = server.connect();
    half.send("GET / HTT");
    let stop = server.stop.clone();
    stop.cut();
    server.join();
    assert_eq!(exchange.closed(), Some(CloseReason::Disconnected));
    client.all();
    half.all();
    stop.stop();
}

/// The other worker has started, and must not have accepted; a client is refused at every moment.
fn nothing_is_served_when_the_start_fails(driver: DriverChoice) {
    let app = App::new(own_target).with_startup(|worker| match worker {
        0 => Poll::Ready(Ok(())),
        _ => Poll::Ready(Err("no database".to_owned())),
    });
    let running = runtime::start(RuntimeConfig { driver, workers: 2, ..config() }, Arc::new(app.clone()))
        .expect("the address is free");
    let address: std::net::SocketAddr = running.addresses()[0].parse().expect("an address");
    assert_eq!(running.wait_started(), Err(StartError::AppFailed("no database".to_owned())));
    assert!(TcpStream::connect(address).is_err(), "it listens");
    running.join().expect("no worker dies");
    let closed = app.life().into_iter().filter(|life| matches!(life, Life::Close(_))).count();
    assert_eq!(closed, 2);
}

/// An application whose start-up never ends.
fn start_can_be_cut_off(driver: DriverChoice) {
    let app = App::new(own_target).with_startup(|_| Poll::Pending);
    let running =
        runtime::start(RuntimeConfig { driver, ..config() }, Arc::new(app)).expect("the address is free");
    running.stop_handle().cut();
    assert!(matches!(running.wait_started(), Err(StartError::Service(_))));
    running.join().expect("no worker dies");
}

fn workers_wait_for_each_other(driver: DriverChoice) {
    let (handle, requests) = handing_over();
    let app = App::new(handle);
    let server = Server::start(RuntimeConfig { driver, workers: 3, ..config() }, app.clone());
    let mut client = server.connect();
    client.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
    let exchange = requests.recv_timeout(SOON).expect("the request is handed over").1;
    server.stop.stop();
    let mut life = Vec::new();
    wait_until(|| {
        life.extend(app.life());
        life.iter().filter(|life| matches!(life, Life::BeginDrain(_))).count() == 3
    });
    // One worker still has a connection: no application is shut down, though two workers have none.
    assert!(!life.iter().any(|life| matches!(life, Life::Shutdown(_))));
    finish(&exchange, "last");
    client.answer();
    server.join();
    life.extend(app.life());
    let at = |wanted: fn(&Life) -> bool| {
        let places: Vec<usize> =
            life.iter().enumerate().filter(|(_, life)| wanted(life)).map(|(at, _)| at).collect();
        assert_eq!(places.len(), 3, "{life:?}");
        (places[0], places[2])
    };
    let started = at(|life| matches!(life, Life::Startup(_)));
    let drained = at(|life| matches!(life, Life::BeginDrain(_)));
    let shut = at(|life| matches!(life, Life::Shutdown(_)));
    assert!(started.1 < drained.0 && drained.1 < shut.0, "{life:?}");
    assert!(at(|life| matches!(life, Life::Close(_))).1 < at(|life| matches!(life, Life::Left)).1);
}

fn application_that_panics_at_start_is_an_error(driver: DriverChoice) {
    let app = App::new(|_, _| -> Outcome { unreachable!() }).with_startup(|worker| {
        assert_ne!(worker, 1, "a start-up that panics");
        Poll::Ready(Ok(()))
    });
    let running = runtime::start(RuntimeConfig { driver, workers: 2, ..config() }, Arc::new(app))
        .expect("the address is free");
    assert!(matches!(running.wait_started(), Err(StartError::Thread(_))));
    running.join().expect_err("a worker died");
}

/// Looks until it is so.
fn wait_until(mut is_so: impl FnMut() -> bool) {
    let began = Instant::now();
    while !is_so() {
        assert!(began.elapsed() < SOON, "what was waited for does not come");
        std::thread::sleep(Duration::from_millis(1));
    }
}
