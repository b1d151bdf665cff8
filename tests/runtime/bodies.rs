//! Request bodies: whole, streamed, unwanted, broken.

use crate::support::{
    config, finish, handing_over, on_both_drivers, own_target, plain_head, receive, whole, App, Server, SOON,
};
use bytes::Bytes;
use std::io::{Read, Write};
use turboapi::http1::Limits;
use turboapi::runtime::{DriverChoice, RuntimeConfig};
use turboapi::service::{
    CloseReason, Inbound, Outcome, Reply, ReplyEvent, Request, RequestBody, HIGH_WATER_BYTES,
};

on_both_drivers! {
    large_bodies_come_whole_whatever_their_framing
    continue_is_sent_when_a_body_is_gathered_and_held_back
    continue_is_sent_only_once_the_application_asks
    connection_closes_when_a_held_back_body_was_not_wanted
    streamed_body_that_has_arrived_comes_whole
    streamed_body_waits_for_the_application
    small_unread_body_is_dropped_and_never_read_as_a_head
    large_unread_body_ends_the_connection_after_its_answer
    endless_unread_body_ends_the_connection
    answer_to_a_body_too_large_reaches_a_client_that_goes_on_sending
    broken_chunk_is_answered_and_hidden_from_the_application
    memory_is_not_made_for_a_length_that_is_only_announced
}

fn echo(request: Request, reply: Reply<'_>) -> Outcome {
    reply.full(200, &plain_head(200).fields, whole(request.body))
}

fn bytes_of(length: usize) -> Bytes {
    (0..length).map(|at| (at * 7 + at / 251) as u8).collect()
}

fn large_bodies_come_whole_whatever_their_framing(driver: DriverChoice) {
    let server = Server::on(driver, echo);
    let mut client = server.connect();
    let body = bytes_of(3_000_000);
    for round in 0..2 {
        let mut sender = client.socket.try_clone().expect("a descriptor is left");
        let sent = body.clone();
        let writing = std::thread::spawn(move || {
            if round == 0 {
                write!(sender, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: {}\r\n\r\n", sent.len())?;
                sender.write_all(&sent)
            } else {
                write!(sender, "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n")?;
                for piece in sent.chunks(100_000) {
                    write!(sender, "{:x}\r\n", piece.len())?;
                    sender.write_all(piece)?;
                    sender.write_all(b"\r\n")?;
                }
                sender.write_all(b"0\r\n\r\n")
            }
        });
        let answer = client.answer();
        assert!(answer.body == body, "the body differs");
        writing.join().expect("no panic").expect("all is written");
    }
    assert_eq!(client.get("/").body, b"");
}

fn continue_is_sent_when_a_body_is_gathered_and_held_back(driver: DriverChoice) {
    let server = Server::on(driver, echo);
    let mut client = server.connect();
    client.send("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n");
    assert_eq!(client.head().head, "HTTP/1.1 100 Continue\r\n\r\n");
    assert_eq!(client.send("ab").answer().text(), "ab");
    // Not held back: no 100 is needed.
    client.send("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\ncd");
    assert_eq!(client.answer().text(), "cd");
}

fn continue_is_sent_only_once_the_application_asks(driver: DriverChoice) {
    let (handle, requests) = handing_over();
    let server = Server::on(driver, handle);
    let mut client = server.connect();
    client.send("POST /live HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n");
    let (_request, exchange) = requests.recv_timeout(SOON).expect("the request is handed over");
    client.socket.set_read_timeout(Some(std::time::Duration::from_millis(50))).expect("not zero");
    assert!(client.socket.peek(&mut [0]).is_err(), "100 was sent before it was asked for");
    client.socket.set_read_timeout(Some(SOON)).expect("not zero");
    let reading = {
        let exchange = exchange.clone();
        std::thread::spawn(move || receive(&exchange))
    };
    assert_eq!(client.head().status, 100);
    client.send("ab");
    assert_eq!(reading.join().expect("no panic"), Inbound::Body(Bytes::from_static(b"ab"), false));
    finish(&exchange, "done");
    assert_eq!(client.answer().field("connection"), None);
    client.send("GET /live HTTP/1.1\r\nHost: x\r\n\r\n");
    requests.recv_timeout(SOON).expect("the connection was kept");
}

/// The client may send the body or not, after it got an answer without a 100: the next bytes are ambiguous.
fn connection_closes_when_a_held_back_body_was_not_wanted(driver: DriverChoice) {
    let (handle, requests) = handing_over();
    let server = Server::on(driver, handle);
    let mut client = server.connect();
    client.send("POST /live HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n");
    let (_request, exchange) = requests.recv_timeout(SOON).expect("the request is handed over");
    finish(&exchange, "no");
    let answer = client.answer();
    assert_eq!((answer.text().as_str(), answer.field("connection")), ("no", Some("close")));
    assert!(client.is_closed());
}

fn streamed_body_that_has_arrived_comes_whole(driver: DriverChoice) {
    let server = Server::on(driver, |request, reply| match request.body {
        RequestBody::Whole(body) => reply.short(200, b"text/plain", &body),
        other => panic!("not whole: {other:?}"),
    });
    let mut client = server.connect();
    let length = "POST /live HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc";
    let chunked =
        "POST /live HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n2\r\nbc\r\n0\r\n\r\n";
    assert_eq!(client.send(length).answer().text(), "abc");
    assert_eq!(client.send(chunked).answer().text(), "abc");
}

/// `bounded_memory`: what the application does not take is left to the kernel, and so to the client.
fn streamed_body_waits_for_the_application(driver: DriverChoice) {
    let (handle, requests) = handing_over();
    let config =
        RuntimeConfig { driver, limits: Limits { max_body_bytes: 0, ..Limits::default() }, ..config() };
    let server = Server::start(config, App::new(handle));
    let mut client = server.connect();
    let body = bytes_of(64 * 1024 * 1024);
    client.send(format!("POST /live HTTP/1.1\r\nHost: x\r\nContent-Length: {}\r\n\r\n", body.len()));
    let (_request, exchange) = requests.recv_timeout(SOON).expect("the request is handed over");
    // Writes until the kernel takes no more for a while.
    client.socket.set_write_timeout(Some(std::time::Duration::from_millis(500))).expect("not zero");
    let mut taken = 0;
    while let Ok(written) = client.socket.write(&body[taken..]) {
        taken += written;
    }
    assert!(taken < 32 * 1024 * 1024, "{taken} bytes were taken for an application that reads none");
    assert!(!exchange.has_inbound_room());
    client.socket.set_write_timeout(Some(SOON)).expect("not zero");
    let mut sender = client.socket.try_clone().expect("a descriptor is left");
    let rest = body.slice(taken..);
    let writing = std::thread::spawn(move || sender.write_all(&rest));
    let mut received = 0;
    loop {
        match receive(&exchange) {
            Inbound::Body(piece, more) => {
                assert!(piece.len() <= 2 * HIGH_WATER_BYTES, "a piece of {} bytes", piece.len());
                assert!(body[received..received + piece.len()] == piece, "the body differs");
                received += piece.len();
                if !more {
                    break;
                }
            }
            Inbound::Closed(reason) => panic!("closed after {received} bytes: {reason:?}"),
        }
    }
    assert_eq!(received, body.len());
    writing.join().expect("no panic").expect("all is written");
    finish(&exchange, "done");
    assert_eq!(client.answer().text(), "done");
}

/// `no_smuggle`: the body looks like a request.
fn small_unread_body_is_dropped_and_never_read_as_a_head(driver: DriverChoice) {
    let server = Server::on(driver, own_target);
    let mut client = server.connect();
    let evil = "GET /evil HTTP/1.1\r\nHost: x\r\n\r\n";
    for path in ["/live/1", "/2"] {
        client.send(format!("POST {path} HTTP/1.1\r\nHost: x\r\nContent-Length: {}\r\n\r\n", evil.len()));
        if path == "/live/1" {
            // Answered before its body came.
            assert_eq!(client.answer().text(), path);
            client.send(evil);
        } else {
            assert_eq!(client.send(evil).answer().text(), path);
        }
    }
    let chunked = format!("{:x}\r\n{evil}\r\n0\r\n\r\n", evil.len());
    client.send("POST /live/3 HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n");
    assert_eq!(client.answer().text(), "/live/3");
    client.send(chunked);
    assert_eq!(client.get("/last").text(), "/last");
}

fn large_unread_body_ends_the_connection_after_its_answer(driver: DriverChoice) {
    let server = Server::on(driver, own_target);
    let mut client = server.connect();
    client.send("POST /live HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\n");
    let answer = client.answer();
    assert_eq!((answer.text().as_str(), answer.field("connection")), ("/live", Some("close")));
    // What still comes is read for a while, so that no reset destroys the answer; then the end is a good one.
    client.send(bytes_of(300_000));
    assert!(client.is_closed());
}

fn endless_unread_body_ends_the_connection(driver: DriverChoice) {
    let server = Server::on(driver, own_target);
    let mut client = server.connect();
    client.send("POST /live HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n");
    assert_eq!(client.answer().text(), "/live");
    let chunk = format!("1000\r\n{}\r\n", "x".repeat(0x1000));
    let mut sent = 0;
    while sent < 100_000_000 && client.try_send(&chunk).is_ok() {
        sent += 0x1000;
    }
    assert!(sent < 100_000_000, "a body without end was read");
}

fn answer_to_a_body_too_large_reaches_a_client_that_goes_on_sending(driver: DriverChoice) {
    let limits = Limits { max_body_bytes: 1000, ..Limits::default() };
    let server = Server::start(RuntimeConfig { driver, limits, ..config() }, App::new(echo));
    let mut client = server.connect();
    client.send("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 500000\r\n\r\n").send(bytes_of(500_000));
    let answer = client.answer();
    assert_eq!((answer.status, answer.field("connection")), (413, Some("close")));
    let mut client = server.connect();
    client.send("POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n");
    client.send(format!("400\r\n{}\r\n", "x".repeat(0x400)));
    assert_eq!(client.answer().status, 413);
    assert!(client.is_closed());
}

fn broken_chunk_is_answered_and_hidden_from_the_application(driver: DriverChoice) {
    let (handle, requests) = handing_over();
    let server = Server::on(driver, handle);
    let mut client = server.connect();
    client.send("POST /live HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n");
    let (_request, exchange) = requests.recv_timeout(SOON).expect("the request is handed over");
    assert_eq!(receive(&exchange), Inbound::Body(Bytes::from_static(b"ab"), true));
    client.send("zz\r\n");
    let answer = client.answer();
    assert_eq!((answer.status, answer.field("connection")), (400, Some("close")));
    assert_eq!(receive(&exchange), Inbound::Closed(CloseReason::Disconnected));
    assert_eq!(exchange.push(ReplyEvent::End), Err(CloseReason::Disconnected));
    assert!(client.is_closed());
}

/// Once, room was made for the whole announced length: a head of 60 bytes cost as much memory as it liked.
fn memory_is_not_made_for_a_length_that_is_only_announced(driver: DriverChoice) {
    let limits = Limits { max_body_bytes: 0, ..Limits::default() };
    let server = Server::start(RuntimeConfig { driver, limits, ..config() }, App::new(echo));
    let mut client = server.connect();
    client.send(format!("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: {}\r\n\r\nabc", 1_u64 << 50));
    // The server is alive and answers others: no allocation of a pebibyte was tried.
    assert_eq!(
        server.connect().send("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\nz").answer().text(),
        "z"
    );
    let mut none = [0];
    client.socket.set_nonblocking(true).expect("a socket");
    assert!(client.socket.read(&mut none).is_err(), "the connection still waits for the body");
}
