//! More than there is room for is refused, with a word.

use crate::support::{config, finish, handing_over, on_both_drivers, own_target, App, Client, Server, SOON};
use turboapi::http1::Limits;
use turboapi::runtime::{DriverChoice, RuntimeConfig};

on_both_drivers! {
    connection_beyond_the_limit_is_answered_503
    request_beyond_the_limit_is_answered_503_and_its_connection_kept
    idle_connections_do_not_count_as_requests
    limits_of_a_head_are_answered
}

fn connection_beyond_the_limit_is_answered_503(driver: DriverChoice) {
    let server =
        Server::start(RuntimeConfig { driver, max_connections: 2, ..config() }, App::new(own_target));
    let (mut first, mut second) = (server.connect(), server.connect());
    first.get("/1");
    second.get("/2");
    for _ in 0..3 {
        let mut third = server.connect();
        // It has spoken already: a plain close would be a reset that destroys the answer.
        let answer = third.send("GET /3 HTTP/1.1\r\nHost: x\r\n\r\n").answer();
        assert_eq!((answer.status, answer.field("retry-after")), (503, Some("1")));
        assert_eq!(answer.field("connection"), Some("close"));
        assert!(third.is_closed());
    }
    assert_eq!(first.get("/still").text(), "/still");
    drop(first);
    // Its place is free as soon as the server has noticed.
    let mut answer = server.connect().get("/again");
    for _ in 0..1000 {
        if answer.status == 200 {
            break;
        }
        answer = server.connect().get("/again");
    }
    assert_eq!(answer.text(), "/again");
}

fn request_beyond_the_limit_is_answered_503_and_its_connection_kept(driver: DriverChoice) {
    let (handle, requests) = handing_over();
    let server = Server::start(RuntimeConfig { driver, max_in_flight: 2, ..config() }, App::new(handle));
    let mut busy: Vec<Client> = (0..2).map(|_| server.connect()).collect();
    let mut exchanges = Vec::new();
    for client in &mut busy {
        client.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
        exchanges.push(requests.recv_timeout(SOON).expect("the request is handed over").1);
    }
    let mut third = server.connect();
    // Its body is read, and not taken for a request.
    let post = "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\nGET ";
    let answer = third.send(post).answer();
    assert_eq!((answer.status, answer.field("retry-after")), (503, Some("1")));
    finish(&exchanges[0], "done");
    assert_eq!(busy[0].answer().text(), "done");
    third.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
    finish(&requests.recv_timeout(SOON).expect("there is room again").1, "third");
    assert_eq!(third.answer().text(), "third");
}

fn idle_connections_do_not_count_as_requests(driver: DriverChoice) {
    let server = Server::start(RuntimeConfig { driver, max_in_flight: 1, ..config() }, App::new(own_target));
    let mut clients: Vec<Client> = (0..20).map(|_| server.connect()).collect();
    for client in &mut clients {
        assert_eq!(client.get("/").status, 200);
    }
}

fn limits_of_a_head_are_answered(driver: DriverChoice) {
    let limits = Limits { max_head_bytes: 512, max_fields: 4, max_target_bytes: 64, ..Limits::default() };
    let server = Server::start(RuntimeConfig { driver, limits, ..config() }, App::new(own_target));
    let table = [
        (format!("GET /{} HTTP/1.1\r\nHost: x\r\n\r\n", "a".repeat(64)), 414),
        (format!("GET / HTTP/1.1\r\nHost: x\r\n{}\r\n", "a: b\r\n".repeat(4)), 431),
        (format!("GET / HTTP/1.1\r\nHost: x\r\na: {}\r\n\r\n", "b".repeat(600)), 431),
        ("GET / HTTP/1.1\r\nHost: x\r\n\r\n".to_owned(), 200),
    ];
    for (bytes, status) in table {
        assert_eq!(server.connect().send(&bytes).answer().status, status, "{bytes}");
    }
}
