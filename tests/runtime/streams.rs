//! Responses that come through an exchange: framing, faults, backpressure, disconnects.

use crate::support::{
    config, fields, finish, handing_over, on_both_drivers, plain_head, receive, wait_for, App, Client,
    Handed, Server, SOON,
};
use bytes::Bytes;
use std::net::Shutdown;
use std::sync::Arc;
use std::task::{Context, Waker};
use turboapi::http1::ResponseHead;
use turboapi::runtime::{DriverChoice, RuntimeConfig};
use turboapi::service::{CloseReason, Exchange, Inbound, ReplyEvent, HIGH_WATER_BYTES};

on_both_drivers! {
    chunks_are_sent_as_they_come
    large_chunks_and_small_ones_keep_their_order
    announced_length_is_kept_or_the_response_torn
    http10_stream_ends_with_the_connection
    head_request_gets_no_body
    producer_is_not_held_up_when_no_body_is_sent
    failure_before_the_head_is_a_500_and_the_connection_is_kept
    failure_after_the_head_shows_as_torn
    slow_reader_makes_the_producer_wait
    exchange_closes_when_the_peer_leaves
    exchange_closes_when_the_peer_ends_its_side
    response_is_finished_for_a_half_closed_peer_when_told_to
    exchange_is_complete_when_the_response_is_written
    requests_behind_a_pending_one_are_bounded
}

fn server(driver: DriverChoice) -> (Server, Handed) {
    let (handle, requests) = handing_over();
    (Server::on(driver, handle), requests)
}

fn next(requests: &Handed) -> Arc<Exchange> {
    requests.recv_timeout(SOON).expect("the request is handed over").1
}

fn ask(server: &Server, requests: &Handed) -> (Client, Arc<Exchange>) {
    let mut client = server.connect();
    client.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
    (client, next(requests))
}

fn chunk(data: impl Into<Bytes>) -> ReplyEvent {
    ReplyEvent::Chunk(data.into())
}

fn chunks_are_sent_as_they_come(driver: DriverChoice) {
    let (server, requests) = server(driver);
    let (mut client, exchange) = ask(&server, &requests);
    exchange.push(ReplyEvent::Head(plain_head(200))).expect("open");
    let head = client.head();
    assert_eq!(head.field("transfer-encoding"), Some("chunked"));
    for text in ["one", "two", "three"] {
        // Each is read before the next is made.
        exchange.push(chunk(text)).expect("open");
        assert_eq!(client.chunk(), text.as_bytes());
    }
    exchange.push(ReplyEvent::End).expect("open");
    assert_eq!(client.chunk(), b"");
    client.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
    finish(&next(&requests), "kept");
    assert_eq!(client.answer().text(), "kept");
}

fn large_chunks_and_small_ones_keep_their_order(driver: DriverChoice) {
    let (server, requests) = server(driver);
    let (mut client, exchange) = ask(&server, &requests);
    let mut expected = Vec::new();
    exchange.push(ReplyEvent::Head(plain_head(200))).expect("open");
    let pushing = {
        let chunks: Vec<Bytes> = (0..60_usize)
            .map(|at| Bytes::from(vec![b'a' + (at % 26) as u8; [1, 100, 16 * 1024, 70_000, 300_000][at % 5]]))
            .collect();
        chunks.iter().for_each(|data| expected.extend_from_slice(data));
        std::thread::spawn(move || {
            for data in chunks {
                wait_for(|cx| exchange.poll_room(cx)).expect("open");
                exchange.push(ReplyEvent::Chunk(data)).expect("open");
            }
            exchange.push(ReplyEvent::End).expect("open");
        })
    };
    assert!(client.answer().body == expected, "the body differs");
    pushing.join().expect("no panic");
}

fn announced_length_is_kept_or_the_response_torn(driver: DriverChoice) {
    let (server, requests) = server(driver);
    let head = || ResponseHead { status: 200, fields: fields(&[("content-length", "4")]) };
    let table: [(&[&str], &str); 3] = [(&["ab", "cd"], "abcd"), (&["ab"], "ab"), (&["ab", "cde"], "ab")];
    for (chunks, sent) in table {
        let (mut client, exchange) = ask(&server, &requests);
        exchange.push(ReplyEvent::Head(head())).expect("open");
        for text in chunks {
            // A connection that was torn before takes no more.
            let _ = exchange.push(chunk(*text));
        }
        let _ = exchange.push(ReplyEvent::End);
        let answer = client.head();
        assert_eq!((answer.field("content-length"), answer.field("transfer-encoding")), (Some("4"), None));
        if sent == "abcd" {
            client.socket.shutdown(Shutdown::Write).expect("connected");
        }
        assert_eq!(client.rest(), sent.as_bytes());
    }
}

fn http10_stream_ends_with_the_connection(driver: DriverChoice) {
    let (server, requests) = server(driver);
    let mut client = server.connect();
    client.send("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
    let exchange = next(&requests);
    for event in [ReplyEvent::Head(plain_head(200)), chunk("one"), chunk("two"), ReplyEvent::End] {
        exchange.push(event).expect("open");
    }
    let head = client.head();
    assert_eq!((head.field("connection"), head.field("transfer-encoding")), (Some("close"), None));
    assert_eq!(client.rest(), b"onetwo");
}

fn head_request_gets_no_body(driver: DriverChoice) {
    let (server, requests) = server(driver);
    let mut client = server.connect();
    client.send("HEAD / HTTP/1.1\r\nHost: x\r\n\r\n");
    let exchange = next(&requests);
    for event in [ReplyEvent::Head(plain_head(200)), chunk("unseen"), ReplyEvent::End] {
        exchange.push(event).expect("open");
    }
    assert_eq!(client.head().status, 200);
    client.send("HEAD / HTTP/1.1\r\nHost: x\r\n\r\n");
    finish(&next(&requests), "unseen");
    assert_eq!(client.head().field("content-length"), Some("6"));
    client.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
    finish(&next(&requests), "seen");
    assert_eq!(client.answer().text(), "seen");
}

/// Once, chunks that were dropped for a HEAD request stayed counted: the producer waited for ever.
fn producer_is_not_held_up_when_no_body_is_sent(driver: DriverChoice) {
    let (server, requests) = server(driver);
    let mut client = server.connect();
    client.send("HEAD / HTTP/1.1\r\nHost: x\r\n\r\n");
    let exchange = next(&requests);
    exchange.push(ReplyEvent::Head(plain_head(200))).expect("open");
    assert_eq!(client.head().status, 200);
    for _ in 0..20 {
        wait_for(|cx| exchange.poll_room(cx)).expect("open");
        exchange.push(chunk(vec![b'x'; HIGH_WATER_BYTES])).expect("open");
    }
    wait_for(|cx| exchange.poll_flushed(cx)).expect("open");
    exchange.push(ReplyEvent::End).expect("open");
    assert_eq!(receive(&exchange), Inbound::Closed(CloseReason::Complete));
}

fn failure_before_the_head_is_a_500_and_the_connection_is_kept(driver: DriverChoice) {
    let (server, requests) = server(driver);
    let (mut client, exchange) = ask(&server, &requests);
    exchange.push(ReplyEvent::Abort).expect("open");
    let answer = client.answer();
    assert_eq!((answer.status, answer.text().as_str()), (500, "Internal Server Error"));
    client.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
    finish(&next(&requests), "kept");
    assert_eq!(client.answer().text(), "kept");
}

/// With chunks, the last one is missing; where only the end of the connection ends a body, it is a reset.
fn failure_after_the_head_shows_as_torn(driver: DriverChoice) {
    let (server, requests) = server(driver);
    let (mut client, exchange) = ask(&server, &requests);
    for event in [ReplyEvent::Head(plain_head(200)), chunk("part"), ReplyEvent::Abort] {
        exchange.push(event).expect("open");
    }
    client.head();
    assert_eq!(client.chunk(), b"part");
    assert!(client.is_closed());

    let mut client = server.connect();
    client.send("GET / HTTP/1.0\r\n\r\n");
    let exchange = next(&requests);
    for event in [ReplyEvent::Head(plain_head(200)), chunk("part")] {
        exchange.push(event).expect("open");
    }
    client.head();
    // Read before the reset, which may overtake it otherwise.
    assert_eq!(client.exactly(4), b"part");
    exchange.push(ReplyEvent::Abort).expect("open");
    let (bytes, end) = client.rest_and_end();
    assert_eq!(bytes, b"");
    assert_eq!(end.expect_err("not a good end").kind(), std::io::ErrorKind::ConnectionReset);
}

/// `bounded_memory`: the producer is told to wait while the peer reads nothing, and goes on when it does.
fn slow_reader_makes_the_producer_wait(driver: DriverChoice) {
    const CHUNK: usize = 16 * 1024;
    let (server, requests) = server(driver);
    let (mut client, exchange) = ask(&server, &requests);
    exchange.push(ReplyEvent::Head(plain_head(200))).expect("open");
    // Pushes until there has been no room for a while: then the kernel's buffers are full, and ours are.
    let mut pushed = 0;
    let mut quiet = 0;
    while quiet < 50 {
        let has_room = exchange.poll_room(&mut Context::from_waker(Waker::noop())).is_ready();
        if has_room {
            exchange.push(chunk(vec![b'x'; CHUNK])).expect("open");
            pushed += CHUNK;
            quiet = 0;
        } else {
            quiet += 1;
            std::thread::sleep(std::time::Duration::from_millis(10));
        }
        assert!(pushed < 64 * 1024 * 1024, "the producer was never told to wait");
    }
    let ending = std::thread::spawn(move || {
        wait_for(|cx| exchange.poll_room(cx)).expect("open");
        exchange.push(ReplyEvent::End).expect("open");
    });
    assert_eq!(client.answer().body.len(), pushed);
    ending.join().expect("no panic");
}

fn exchange_closes_when_the_peer_leaves(driver: DriverChoice) {
    let (server, requests) = server(driver);
    // While the application is silent.
    let (client, exchange) = ask(&server, &requests);
    drop(client);
    assert_eq!(receive(&exchange), Inbound::Closed(CloseReason::Disconnected));
    // While it is told to wait.
    let (client, exchange) = ask(&server, &requests);
    exchange.push(ReplyEvent::Head(plain_head(200))).expect("open");
    let pushing = std::thread::spawn(move || loop {
        if let Err(reason) = wait_for(|cx| exchange.poll_room(cx)) {
            return reason;
        }
        if let Err(reason) = exchange.push(chunk(vec![b'x'; HIGH_WATER_BYTES])) {
            return reason;
        }
    });
    drop(client);
    assert_eq!(pushing.join().expect("no panic"), CloseReason::Disconnected);
}

/// As in uvicorn. A test of its own shows the other choice.
fn exchange_closes_when_the_peer_ends_its_side(driver: DriverChoice) {
    let (server, requests) = server(driver);
    let (mut client, exchange) = ask(&server, &requests);
    client.socket.shutdown(Shutdown::Write).expect("connected");
    assert_eq!(receive(&exchange), Inbound::Closed(CloseReason::Disconnected));
    assert!(client.is_closed());
}

fn response_is_finished_for_a_half_closed_peer_when_told_to(driver: DriverChoice) {
    let (handle, requests) = handing_over();
    let config = RuntimeConfig { driver, half_close: true, ..config() };
    let server = Server::start(config, App::new(handle));
    let (mut client, exchange) = ask(&server, &requests);
    exchange.push(ReplyEvent::Head(plain_head(200))).expect("open");
    client.head();
    client.socket.shutdown(Shutdown::Write).expect("connected");
    for event in [chunk("late"), ReplyEvent::End] {
        exchange.push(event).expect("open");
    }
    assert_eq!(client.chunk(), b"late");
    assert_eq!(client.chunk(), b"");
    assert!(client.is_closed());
}

fn exchange_is_complete_when_the_response_is_written(driver: DriverChoice) {
    let (server, requests) = server(driver);
    let (mut client, exchange) = ask(&server, &requests);
    finish(&exchange, "done");
    client.answer();
    assert_eq!(receive(&exchange), Inbound::Closed(CloseReason::Complete));
}

/// `bounded_memory`: what comes behind a request that takes long is not read without end.
fn requests_behind_a_pending_one_are_bounded(driver: DriverChoice) {
    let (server, requests) = server(driver);
    let (mut client, exchange) = ask(&server, &requests);
    client.socket.set_write_timeout(Some(std::time::Duration::from_millis(500))).expect("not zero");
    let many = "GET /next HTTP/1.1\r\nHost: x\r\n\r\n".repeat(1000);
    let mut sent = 0;
    while sent < 64 * 1024 * 1024 && client.try_send(&many).is_ok() {
        sent += many.len();
    }
    assert!(sent < 64 * 1024 * 1024, "requests were read without end");
    finish(&exchange, "first");
    assert_eq!(client.answer().text(), "first");
    finish(&next(&requests), "second");
    assert_eq!(client.answer().text(), "second");
}
