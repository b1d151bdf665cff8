//! Every wait ends.

use crate::support::{
    config, finish, handing_over, on_both_drivers, own_target, receive, wait_for, App, Server, SOON,
};
use bytes::Bytes;
use std::io::Write;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::Arc;
use std::time::{Duration, Instant};
use turboapi::runtime::{DriverChoice, RuntimeConfig, Timeouts};
use turboapi::service::{CloseReason, Inbound, ReplyEvent};

on_both_drivers! {
    idle_connection_is_closed_without_a_word
    head_that_does_not_come_is_answered_408
    head_that_trickles_is_answered_408
    gathered_body_that_stops_is_answered_408
    streamed_body_that_stops_is_answered_408_and_closes_its_exchange
    body_that_trickles_is_waited_for
    application_may_take_its_time
    time_that_the_application_takes_is_not_counted_against_the_body
    peer_that_takes_nothing_is_reset
    closing_connection_is_not_held_open_by_its_peer
}

const SHORT: Duration = Duration::from_millis(200);
const LONG: Duration = Duration::from_secs(3600);

/// All are long, so that only the one under test can end a wait.
fn patient() -> Timeouts {
    Timeouts { head: LONG, body: LONG, keep_alive: LONG, write: LONG, drain_grace: LONG }
}

fn server(driver: DriverChoice, timeouts: Timeouts) -> Server {
    Server::start(RuntimeConfig { driver, timeouts, ..config() }, App::new(own_target))
}

/// The time that a wait took, which must not be shorter than the timeout.
fn took_its_time(began: Instant) {
    assert!(began.elapsed() >= SHORT, "ended after {:?}", began.elapsed());
}

fn idle_connection_is_closed_without_a_word(driver: DriverChoice) {
    let server = server(driver, Timeouts { keep_alive: SHORT, ..patient() });
    for has_asked in [false, true] {
        let began = Instant::now();
        let mut client = server.connect();
        if has_asked {
            client.get("/");
        }
        assert!(client.is_closed());
        took_its_time(began);
    }
}

fn head_that_does_not_come_is_answered_408(driver: DriverChoice) {
    let server = server(driver, Timeouts { head: SHORT, ..patient() });
    let mut client = server.connect();
    client.get("/");
    let began = Instant::now();
    let answer = client.send("GET / HTTP/1.1\r\nHos").answer();
    took_its_time(began);
    assert_eq!((answer.status, answer.field("connection")), (408, Some("close")));
    assert!(client.is_closed());
}

/// Each byte is progress, but a head has one deadline: a thousand slow clients must not hold a thousand connections.
fn head_that_trickles_is_answered_408(driver: DriverChoice) {
    let server = server(driver, Timeouts { head: SHORT, ..patient() });
    let mut client = server.connect();
    client.send("GET / HTTP/1.1\r\nHost: x\r\nX: ");
    let is_over = Arc::new(AtomicBool::new(false));
    let mut sender = client.socket.try_clone().expect("a descriptor is left");
    let over = is_over.clone();
    let trickle = std::thread::spawn(move || {
        while !over.load(Ordering::Relaxed) && sender.write_all(b"x").is_ok() {
            std::thread::sleep(SHORT / 10);
        }
    });
    assert_eq!(client.answer().status, 408);
    is_over.store(true, Ordering::Relaxed);
    trickle.join().expect("no panic");
}

fn gathered_body_that_stops_is_answered_408(driver: DriverChoice) {
    let server = server(driver, Timeouts { body: SHORT, ..patient() });
    let mut client = server.connect();
    let began = Instant::now();
    let answer = client.send("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nabc").answer();
    took_its_time(began);
    assert_eq!((answer.status, answer.field("connection")), (408, Some("close")));
    assert!(client.is_closed());
}

fn streamed_body_that_stops_is_answered_408_and_closes_its_exchange(driver: DriverChoice) {
    let (handle, requests) = handing_over();
    let timeouts = Timeouts { body: SHORT, ..patient() };
    let server = Server::start(RuntimeConfig { driver, timeouts, ..config() }, App::new(handle));
    let mut client = server.connect();
    client.send("POST /live HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nabc");
    let (_request, exchange) = requests.recv_timeout(SOON).expect("the request is handed over");
    assert_eq!(receive(&exchange), Inbound::Body(Bytes::from_static(b"abc"), true));
    assert_eq!(client.answer().status, 408);
    assert_eq!(receive(&exchange), Inbound::Closed(CloseReason::Disconnected));
    assert!(client.is_closed());
}

/// A body has a deadline for progress, and none for the whole.
fn body_that_trickles_is_waited_for(driver: DriverChoice) {
    let server = server(driver, Timeouts { body: SHORT * 5, ..patient() });
    let mut client = server.connect();
    client.send("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 20\r\n\r\n");
    let began = Instant::now();
    for _ in 0..20 {
        std::thread::sleep(SHORT / 2);
        client.send("x");
    }
    assert!(began.elapsed() > SHORT * 5, "the test was too fast to show anything");
    assert_eq!(client.answer().status, 200);
}

fn application_may_take_its_time(driver: DriverChoice) {
    let (handle, requests) = handing_over();
    let timeouts = Timeouts { head: SHORT, body: SHORT, keep_alive: SHORT, write: SHORT, ..patient() };
    let server = Server::start(RuntimeConfig { driver, timeouts, ..config() }, App::new(handle));
    let mut client = server.connect();
    client.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
    let (_request, exchange) = requests.recv_timeout(SOON).expect("the request is handed over");
    std::thread::sleep(SHORT * 4);
    finish(&exchange, "late");
    assert_eq!(client.answer().text(), "late");
}

/// Once, the peer's time for its body ran while the application had no room for it.
fn time_that_the_application_takes_is_not_counted_against_the_body(driver: DriverChoice) {
    let (handle, requests) = handing_over();
    let timeouts = Timeouts { body: SHORT * 2, ..patient() };
    let server = Server::start(RuntimeConfig { driver, timeouts, ..config() }, App::new(handle));
    let mut client = server.connect();
    let body = vec![b'x'; 1_000_000];
    client.send(format!("POST /live HTTP/1.1\r\nHost: x\r\nContent-Length: {}\r\n\r\n", body.len()));
    let mut sender = client.socket.try_clone().expect("a descriptor is left");
    let writing = std::thread::spawn(move || sender.write_all(&body));
    let (_request, exchange) = requests.recv_timeout(SOON).expect("the request is handed over");
    wait_for(|_| if exchange.has_inbound_room() { again() } else { std::task::Poll::Ready(()) });
    std::thread::sleep(SHORT * 6);
    let mut received = 0;
    loop {
        match receive(&exchange) {
            Inbound::Body(piece, true) => received += piece.len(),
            Inbound::Body(piece, false) => {
                assert_eq!(received + piece.len(), 1_000_000);
                break;
            }
            Inbound::Closed(reason) => panic!("closed after {received} bytes: {reason:?}"),
        }
    }
    writing.join().expect("no panic").expect("all is written");
    finish(&exchange, "done");
    assert_eq!(client.answer().text(), "done");
}

/// Pending, and looked at again soon.
fn again() -> std::task::Poll<()> {
    std::thread::sleep(Duration::from_millis(1));
    std::thread::current().unpark();
    std::task::Poll::Pending
}

fn peer_that_takes_nothing_is_reset(driver: DriverChoice) {
    let (handle, requests) = handing_over();
    let timeouts = Timeouts { write: SHORT, ..patient() };
    let server = Server::start(RuntimeConfig { driver, timeouts, ..config() }, App::new(handle));
    let mut client = server.connect();
    client.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
    let (_request, exchange) = requests.recv_timeout(SOON).expect("the request is handed over");
    // More than the kernel's buffers hold.
    exchange.push(ReplyEvent::Head(crate::support::plain_head(200))).expect("open");
    exchange.push(ReplyEvent::Chunk(vec![b'x'; 64 * 1024 * 1024].into())).expect("open");
    assert_eq!(receive(&exchange), Inbound::Closed(CloseReason::Disconnected));
    let (_, end) = client.rest_and_end();
    assert_eq!(end.expect_err("not a good end").kind(), std::io::ErrorKind::ConnectionReset);
}

/// The peer keeps its side open for ever after it was told `connection: close`.
fn closing_connection_is_not_held_open_by_its_peer(driver: DriverChoice) {
    let server = server(driver, patient());
    let mut client = server.connect();
    client.send("GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").answer();
    assert!(client.is_closed());
    server.stop.stop();
    server.join();
    drop(client);
}
