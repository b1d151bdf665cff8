//! Where a server listens, and what it says when it cannot.

use crate::support::{config, on_both_drivers, own_target, App, Client, Server};
use std::collections::HashSet;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::os::fd::AsRawFd;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::PathBuf;
use std::sync::Arc;
use turboapi::runtime::{self, Bind, DriverChoice, RuntimeConfig, StartError};

on_both_drivers! {
    port_in_use_is_an_error_whatever_the_number_of_workers
    shared_port_is_shared_when_asked_for
    workers_share_one_free_port
    unix_socket_serves_and_is_removed_at_the_end
    unix_socket_that_is_left_over_is_replaced
    inherited_socket_serves
    several_addresses_are_served
    localhost_is_served_on_every_family
    ends_of_a_connection_are_told
}

fn start_error(config: RuntimeConfig) -> StartError {
    match runtime::start(config, Arc::new(App::new(own_target))) {
        Err(error) => error,
        Ok(server) => {
            server.stop_handle().cut();
            let _ = server.join();
            panic!("it started");
        }
    }
}

fn code_of(error: &StartError) -> Option<i32> {
    match error {
        StartError::Bind(_, code, _) => *code,
        other => panic!("{other}"),
    }
}

fn port_in_use_is_an_error_whatever_the_number_of_workers(driver: DriverChoice) {
    for (ours, theirs) in [(1, 1), (1, 2), (2, 1), (2, 2)] {
        let server =
            Server::start(RuntimeConfig { driver, workers: theirs, ..config() }, App::new(own_target));
        let bind = vec![Bind::Tcp("127.0.0.1".to_owned(), server.address.port())];
        let error = start_error(RuntimeConfig { driver, bind, workers: ours, ..config() });
        assert_eq!(code_of(&error), Some(libc::EADDRINUSE));
        assert!(error.to_string().starts_with(&format!("cannot listen on {}: ", server.address)), "{error}");
    }
}

fn shared_port_is_shared_when_asked_for(driver: DriverChoice) {
    let config = || RuntimeConfig { driver, shares_port: true, ..config() };
    let first = Server::start(config(), App::new(own_target));
    let bind = vec![Bind::Tcp("127.0.0.1".to_owned(), first.address.port())];
    let second = Server::start(RuntimeConfig { bind, ..config() }, App::new(own_target));
    assert_eq!(first.address, second.address);
    first.stop.stop();
    first.join();
    assert_eq!(second.connect().get("/").status, 200);
}

fn workers_share_one_free_port(driver: DriverChoice) {
    let server = Server::start(
        RuntimeConfig { driver, workers: 2, ..config() },
        App::new(|_, reply| {
            let thread = std::thread::current();
            reply.short(200, b"text/plain", thread.name().expect("workers have names").as_bytes())
        }),
    );
    // The kernel picks by a hash of the addresses: 1 in 2^199 that one worker gets all.
    let seen: HashSet<String> = (0..200).map(|_| server.connect().get("/").text()).collect();
    assert_eq!(seen.len(), 2, "{seen:?}");
}

/// A path of its own for each test.
fn path_of(name: &str, driver: DriverChoice) -> PathBuf {
    std::env::temp_dir().join(format!("turboapi-{}-{name}-{driver:?}.sock", std::process::id()))
}

fn get_over(path: &PathBuf) -> String {
    let mut socket = UnixStream::connect(path).expect("the server listens");
    socket
        .write_all(b"GET /unix HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        .expect("the server reads");
    let mut answer = String::new();
    socket.read_to_string(&mut answer).expect("the server answers");
    answer
}

fn unix_socket_serves_and_is_removed_at_the_end(driver: DriverChoice) {
    let path = path_of("serves", driver);
    let config = || RuntimeConfig {
        driver,
        workers: 2,
        bind: vec![Bind::Uds(path.clone())],
        uds_mode: Some(0o620),
        ..config()
    };
    let server = Server::start(config(), App::new(own_target));
    let mode = std::fs::metadata(&path).expect("the file is there").permissions().mode();
    assert_eq!(mode & 0o777, 0o620);
    for _ in 0..10 {
        let answer = get_over(&path);
        assert!(answer.starts_with("HTTP/1.1 200 OK\r\n") && answer.ends_with("\r\n\r\n/unix"), "{answer}");
    }
    assert_eq!(code_of(&start_error(config())), Some(libc::EADDRINUSE));
    assert!(get_over(&path).ends_with("/unix"), "the failed start took the file away");
    server.stop.stop();
    server.join();
    assert!(!path.exists());
}

fn unix_socket_that_is_left_over_is_replaced(driver: DriverChoice) {
    let path = path_of("left", driver);
    drop(UnixListener::bind(&path).expect("the path is free"));
    assert!(path.exists());
    let server = Server::start(
        RuntimeConfig { driver, bind: vec![Bind::Uds(path.clone())], ..config() },
        App::new(own_target),
    );
    assert!(get_over(&path).ends_with("/unix"));
    drop(server);
    // Not a socket: somebody's file, which stays.
    std::fs::write(&path, "precious").expect("the path is free");
    let error = start_error(RuntimeConfig { driver, bind: vec![Bind::Uds(path.clone())], ..config() });
    assert_eq!(code_of(&error), Some(libc::EADDRINUSE));
    assert_eq!(std::fs::read(&path).expect("it is there"), b"precious");
    std::fs::remove_file(&path).expect("it is there");
}

fn inherited_socket_serves(driver: DriverChoice) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
    let bind = vec![Bind::Fd(listener.as_raw_fd())];
    let server = Server::start(RuntimeConfig { driver, bind, workers: 2, ..config() }, App::new(own_target));
    assert_eq!(server.address, listener.local_addr().expect("bound"));
    for _ in 0..10 {
        assert_eq!(server.connect().get("/fd").text(), "/fd");
    }
    let path = path_of("fd", driver);
    let unix = UnixListener::bind(&path).expect("the path is free");
    let bind = vec![Bind::Fd(unix.as_raw_fd())];
    let over_unix = Server::start(RuntimeConfig { driver, bind, ..config() }, App::new(own_target));
    assert!(get_over(&path).ends_with("/unix"));
    drop(over_unix);
    assert!(path.exists(), "the file is not ours");
    std::fs::remove_file(&path).expect("it is there");
}

fn several_addresses_are_served(driver: DriverChoice) {
    let path = path_of("several", driver);
    let bind = vec![
        Bind::Tcp("127.0.0.1".to_owned(), 0),
        Bind::Tcp("127.0.0.1".to_owned(), 0),
        Bind::Uds(path.clone()),
    ];
    let app = Arc::new(App::new(own_target));
    let running =
        runtime::start(RuntimeConfig { driver, bind, workers: 2, ..config() }, app).expect("free addresses");
    running.wait_started().expect("it starts");
    let addresses = running.addresses().to_vec();
    assert_eq!(addresses[2], format!("unix:{}", path.display()));
    for address in &addresses[..2] {
        assert_eq!(Client::to(address.parse().expect("an address")).get("/").status, 200);
    }
    assert!(get_over(&path).ends_with("/unix"));
    running.stop_handle().stop();
    running.join().expect("no worker dies");
}

fn localhost_is_served_on_every_family(driver: DriverChoice) {
    let bind = vec![Bind::Tcp("localhost".to_owned(), 0)];
    let app = Arc::new(App::new(own_target));
    let running = runtime::start(RuntimeConfig { driver, bind, ..config() }, app).expect("a port is free");
    running.wait_started().expect("it starts");
    for address in running.addresses() {
        assert_eq!(Client::to(address.parse().expect("an address")).get("/").status, 200);
    }
    let ports: HashSet<&str> =
        running.addresses().iter().filter_map(|address| address.rsplit(':').next()).collect();
    assert_eq!(ports.len(), 1, "{:?}", running.addresses());
    running.stop_handle().stop();
    running.join().expect("no worker dies");
}

fn ends_of_a_connection_are_told(driver: DriverChoice) {
    let server = Server::on(driver, |request, reply| {
        reply.short(200, b"text/plain", format!("{:?}", request.ends).as_bytes())
    });
    let mut client = server.connect();
    let ours = client.socket.local_addr().expect("connected");
    let text = client.get("/").text();
    let expected = format!(
        "Ends {{ client: Some((\"127.0.0.1\", {})), server: Some((\"127.0.0.1\", Some({}))) }}",
        ours.port(),
        server.address.port()
    );
    assert_eq!(text, expected);
}

#[test]
fn what_is_no_address_is_an_error() {
    let on = |bind| start_error(RuntimeConfig { bind: vec![bind], ..config() });
    assert!(matches!(on(Bind::Tcp("no such host".to_owned(), 0)), StartError::Address(_)));
    assert_eq!(code_of(&on(Bind::Fd(-1))), Some(libc::EBADF));
    assert_eq!(code_of(&on(Bind::Fd(1_000_000))), Some(libc::EBADF));
    let file = std::fs::File::open("/dev/null").expect("it is there");
    assert_eq!(code_of(&on(Bind::Fd(file.as_raw_fd()))), Some(libc::ENOTSOCK));
    let datagrams = std::net::UdpSocket::bind("127.0.0.1:0").expect("a port is free");
    assert_eq!(code_of(&on(Bind::Fd(datagrams.as_raw_fd()))), Some(libc::ESOCKTNOSUPPORT));
    assert_eq!(code_of(&on(Bind::Uds("/no/such/folder/x.sock".into()))), Some(libc::ENOENT));
    assert_eq!(code_of(&on(Bind::Tcp("192.0.2.1".to_owned(), 0))), Some(libc::EADDRNOTAVAIL));
}
