//! Requests on one connection: order, batches, when it is kept.

use crate::support::{config, finish, on_both_drivers, own_target, App, Client, Life, Server};
use std::io::{Read, Write};
use std::sync::mpsc;
use turboapi::runtime::{DriverChoice, RuntimeConfig};
use turboapi::service::{Exchange, Outcome};

on_both_drivers! {
    requests_share_a_connection_until_close_is_asked_for
    http10_connection_is_kept_only_when_asked_for
    answers_come_in_order_when_later_ones_are_ready_first
    answers_are_the_same_when_bytes_come_one_by_one
    service_is_entered_once_for_a_batch
    violation_is_answered_after_the_requests_before_it
    idle_connections_do_not_hinder_each_other
    panic_in_a_handler_ends_its_own_connection_only
    many_pipelined_requests_are_all_answered
    greedy_client_leaves_turns_to_others
}

fn requests_share_a_connection_until_close_is_asked_for(driver: DriverChoice) {
    let server = Server::on(driver, own_target);
    let mut client = server.connect();
    for number in 0..5 {
        let answer = client.get(&format!("/{number}"));
        assert_eq!((answer.status, answer.text()), (200, format!("/{number}")));
        assert_eq!(answer.field("connection"), None);
    }
    let answer = client.send("GET /last HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").answer();
    assert_eq!(answer.field("connection"), Some("close"));
    assert!(client.is_closed());
}

fn http10_connection_is_kept_only_when_asked_for(driver: DriverChoice) {
    let server = Server::on(driver, own_target);
    let mut client = server.connect();
    let answer = client.send("GET /a HTTP/1.0\r\nConnection: keep-alive\r\n\r\n").answer();
    assert_eq!(answer.field("connection"), Some("keep-alive"));
    let answer = client.send("GET /b HTTP/1.0\r\n\r\n").answer();
    assert_eq!((answer.field("connection"), answer.text().as_str()), (Some("close"), "/b"));
    assert!(client.is_closed());
}

/// `own_reply`: some answers come at once, some from other threads, the first of them last.
fn answers_come_in_order_when_later_ones_are_ready_first(driver: DriverChoice) {
    let (later, exchanges) = mpsc::channel();
    let later = parking_lot::Mutex::new(later);
    let server = Server::on(driver, move |request, reply| {
        if request.head.path().starts_with(b"/later") {
            let exchange = Exchange::without_body();
            let target = request.head.share(request.head.target());
            later.lock().send((exchange.clone(), target)).expect("the test listens");
            Outcome::Pending(exchange)
        } else {
            own_target(request, reply)
        }
    });
    std::thread::spawn(move || {
        for (exchange, target) in exchanges {
            finish(&exchange, target);
        }
    });
    let paths = ["/later/0", "/1", "/2", "/later/3", "/later/4", "/5", "/later/6"];
    let mut client = server.connect();
    let all: String = paths.iter().map(|path| format!("GET {path} HTTP/1.1\r\nHost: x\r\n\r\n")).collect();
    client.send(all);
    for path in paths {
        assert_eq!(client.answer().text(), path);
    }
}

/// `split_invariance`, over a socket.
fn answers_are_the_same_when_bytes_come_one_by_one(driver: DriverChoice) {
    let server = Server::on(driver, |request, reply| {
        let body = crate::support::whole(request.body);
        reply.short(200, b"text/plain", &body)
    });
    let mut client = server.connect();
    let bytes = b"POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc\
        POST /b HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n2;x=y\r\nde\r\n1\r\nf\r\n0\r\nt: v\r\n\r\n\
        GET /c HTTP/1.1\r\nHost: x\r\n\r\n";
    for byte in bytes {
        client.send([*byte]);
    }
    for body in ["abc", "def", ""] {
        assert_eq!(client.answer().text(), body);
    }
}

fn service_is_entered_once_for_a_batch(driver: DriverChoice) {
    let app = App::new(own_target);
    let server = Server::start(RuntimeConfig { driver, ..config() }, app.clone());
    let mut client = server.connect();
    client.get("/alone");
    assert!(!app.life().contains(&Life::Batch));
    client.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n".repeat(20));
    for _ in 0..20 {
        client.answer();
    }
    // The kernel may have delivered the bytes in two parts, and the second one in the middle of a head.
    let batches = app.life().iter().filter(|life| **life == Life::Batch).count();
    assert!((1..=2).contains(&batches), "{batches} batches");
}

fn violation_is_answered_after_the_requests_before_it(driver: DriverChoice) {
    let server = Server::on(driver, own_target);
    let mut client = server.connect();
    client.send(
        "GET /good HTTP/1.1\r\nHost: x\r\n\r\nGET /bad HTTP/1.1\r\nHost : x\r\n\r\nGET /never HTTP/1.1\r\n",
    );
    assert_eq!(client.answer().text(), "/good");
    let answer = client.answer();
    assert_eq!((answer.status, answer.field("connection")), (400, Some("close")));
    assert!(client.is_closed());
}

fn idle_connections_do_not_hinder_each_other(driver: DriverChoice) {
    let server = Server::on(driver, own_target);
    let mut clients: Vec<Client> = (0..50).map(|_| server.connect()).collect();
    for round in 0..3 {
        for client in clients.iter_mut().rev() {
            assert_eq!(client.get(&format!("/{round}")).text(), format!("/{round}"));
        }
    }
}

fn panic_in_a_handler_ends_its_own_connection_only(driver: DriverChoice) {
    let server = Server::on(driver, |request, reply| {
        assert_ne!(request.head.path(), b"/panic", "a handler that panics");
        own_target(request, reply)
    });
    let mut other = server.connect();
    other.get("/before");
    let mut client = server.connect();
    client.send("GET /panic HTTP/1.1\r\nHost: x\r\n\r\n");
    assert_eq!(client.all(), b"");
    assert_eq!(other.get("/after").text(), "/after");
    assert_eq!(server.connect().get("/new").text(), "/new");
}

/// More answers than are gathered for one write, and more bytes than one read brings.
fn many_pipelined_requests_are_all_answered(driver: DriverChoice) {
    const COUNT: usize = 5_000;
    let server = Server::on(driver, own_target);
    let mut client = server.connect();
    let mut sender = client.socket.try_clone().expect("a descriptor is left");
    let writing = std::thread::spawn(move || {
        for number in 0..COUNT {
            write!(sender, "GET /{number} HTTP/1.1\r\nHost: x\r\n\r\n").expect("the server reads");
        }
    });
    for number in 0..COUNT {
        assert_eq!(client.answer().text(), format!("/{number}"));
    }
    writing.join().expect("all is written");
}

/// A client that always has more to send must not keep the worker for itself, and must not keep it from ending.
fn greedy_client_leaves_turns_to_others(driver: DriverChoice) {
    // Where the server is found when it is told to end is a matter of chance.
    for cuts in [false, true].repeat(8) {
        let server = Server::on(driver, own_target);
        let mut greedy = server.connect();
        let mut sender = greedy.socket.try_clone().expect("a descriptor is left");
        let flood = std::thread::spawn(move || {
            let many = "GET / HTTP/1.1\r\nHost: x\r\n\r\n".repeat(500);
            while sender.write_all(many.as_bytes()).is_ok() {}
        });
        let drain =
            std::thread::spawn(
                move || while greedy.socket.read(&mut [0; 65536]).is_ok_and(|read| read > 0) {},
            );
        for _ in 0..50 {
            assert_eq!(server.connect().get("/mine").text(), "/mine");
        }
        let began = std::time::Instant::now();
        if cuts {
            server.stop.cut();
        } else {
            server.stop.stop();
        }
        server.join();
        flood.join().expect("it ends with the server");
        drain.join().expect("it ends with the server");
        assert!(began.elapsed() < std::time::Duration::from_secs(4), "ended after {:?}", began.elapsed());
    }
}
