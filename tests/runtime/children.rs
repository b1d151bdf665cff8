//! What needs a process of its own: few descriptors, many connections, a count of what is left.
//!
//! Each test starts this same test binary again, in which [`child`] alone runs, as the server.

use crate::support::{config, has_uring, own_target, App, Client};
use std::io::{BufRead, BufReader, Write};
use std::net::SocketAddr;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::Arc;
use turboapi::runtime::{self, DriverChoice, RuntimeConfig};

const ROLE: &str = "TURBOAPI_TEST_CHILD";

/// The server in the other process. Each line on its input is an order; it answers each with a line.
#[test]
fn child() {
    let Ok(driver) = std::env::var(ROLE) else { return };
    let driver = if driver == "uring" { DriverChoice::Uring } else { DriverChoice::Epoll };
    log::set_boxed_logger(Box::new(Lines)).expect("the first logger");
    log::set_max_level(log::LevelFilter::Error);
    let start = || {
        let config = RuntimeConfig { driver, ..config() };
        let running = runtime::start(config, Arc::new(App::new(own_target))).expect("a port is free");
        running.wait_started().expect("it starts");
        running
    };
    let mut running = start();
    println!("address {}", running.addresses()[0]);
    for order in std::io::stdin().lines() {
        match order.expect("a line").as_str() {
            "restart" => {
                running.stop_handle().stop();
                running.join().expect("no worker dies");
                running = start();
                println!("address {}", running.addresses()[0]);
            }
            "stop" => {
                running.stop_handle().stop();
                running.join().expect("no worker dies");
                println!("stopped");
                return;
            }
            other => panic!("{other}"),
        }
    }
}

/// Log lines, on standard output.
struct Lines;

impl log::Log for Lines {
    fn enabled(&self, _: &log::Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &log::Record<'_>) {
        println!("log {}", record.args());
    }

    fn flush(&self) {}
}

struct Process {
    child: Child,
    orders: ChildStdin,
    lines: BufReader<ChildStdout>,
    address: SocketAddr,
}

impl Process {
    /// With that many descriptors at most.
    fn start(driver: &str, descriptors: usize) -> Self {
        let command = format!("ulimit -n {descriptors}; exec \"$0\" --exact children::child --nocapture");
        let mut child = Command::new("sh")
            .args(["-c", &command])
            .arg(std::env::current_exe().expect("this test"))
            .env(ROLE, driver)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("sh is there");
        let orders = child.stdin.take().expect("piped");
        let lines = BufReader::new(child.stdout.take().expect("piped"));
        let mut process = Process { child, orders, lines, address: SocketAddr::from(([0, 0, 0, 0], 0)) };
        process.address = process.line("address ").parse().expect("an address");
        process
    }

    /// The rest of the next line that begins so.
    fn line(&mut self, begin: &str) -> String {
        loop {
            let mut line = String::new();
            let read = self.lines.read_line(&mut line).expect("the process lives");
            assert_ne!(read, 0, "the process ended before it said {begin:?}");
            // The test harness writes the test's name in front of the first line.
            if let Some(at) = line.find(begin) {
                return line[at + begin.len()..].trim().to_owned();
            }
        }
    }

    fn order(&mut self, order: &str) {
        writeln!(self.orders, "{order}").expect("the process lives");
    }

    fn status(&self, field: &str) -> usize {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).expect("Linux");
        let line = status.lines().find(|line| line.starts_with(field)).expect("the field is there");
        line.split_whitespace().nth(1).expect("a number").parse().expect("a number")
    }

    fn descriptors(&self) -> usize {
        std::fs::read_dir(format!("/proc/{}/fd", self.child.id())).expect("Linux").count()
    }

    /// User and system time so far, in clock ticks.
    fn ticks(&self) -> u64 {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.child.id())).expect("Linux");
        let fields: Vec<&str> = stat[stat.rfind(')').expect("a name") + 2..].split(' ').collect();
        fields[11].parse::<u64>().expect("utime") + fields[12].parse::<u64>().expect("stime")
    }

    fn stop(mut self) {
        self.order("stop");
        self.line("stopped");
        assert!(self.child.wait().expect("it ends").success());
    }
}

fn drivers() -> impl Iterator<Item = &'static str> {
    ["epoll", "uring"].into_iter().filter(|driver| *driver == "epoll" || has_uring())
}

/// Out of descriptors: one log line, no spin, the connections it has go on, and those that wait are served later.
#[test]
fn accepting_pauses_when_descriptors_run_out() {
    for driver in drivers() {
        let mut process = Process::start(driver, 40);
        let address = process.address;
        let mut clients: Vec<Client> = (0..60).map(|_| Client::to(address)).collect();
        assert!(process.line("log no connection can be accepted").contains("os error 24"));
        let began = std::time::Instant::now();
        let before = process.ticks();
        assert_eq!(clients[0].get("/served").text(), "/served");
        while began.elapsed() < std::time::Duration::from_millis(500) {
            assert_eq!(clients[1].get("/served").text(), "/served");
            std::thread::sleep(std::time::Duration::from_millis(10));
        }
        let spent = process.ticks() - before;
        assert!(spent < 25, "{driver}: {spent} ticks in 50: it spins");
        // The last ones are let in as the first ones leave.
        clients.drain(..40);
        for client in &mut clients {
            assert_eq!(client.get("/later").text(), "/later");
        }
        process.stop();
    }
}

/// A server that was started and stopped leaves no descriptor and no thread behind.
#[test]
fn nothing_is_left_of_a_server_that_ended() {
    for driver in drivers() {
        let mut process = Process::start(driver, 1000);
        let mut seen = Vec::new();
        for _ in 0..5 {
            let mut clients: Vec<Client> = (0..20).map(|_| Client::to(process.address)).collect();
            clients.iter_mut().for_each(|client| drop(client.get("/")));
            process.order("restart");
            process.address = process.line("address ").parse().expect("an address");
            clients.iter_mut().for_each(|client| assert!(client.is_closed()));
            seen.push((process.descriptors(), process.status("Threads:")));
        }
        // The kernel's own threads for a ring come and go.
        let (first, last) = (seen[0], seen[seen.len() - 1]);
        assert!(last.0 == first.0 && last.1 <= first.1, "{driver}: descriptors and threads {seen:?}");
        process.stop();
    }
}

/// Idle keep-alive connections are cheap. `TURBOAPI_IDLE` says how many; prints what each costs.
#[test]
fn idle_connections_are_cheap() {
    let count: usize =
        std::env::var("TURBOAPI_IDLE").ok().and_then(|text| text.parse().ok()).unwrap_or(1_000);
    for driver in drivers() {
        let process = Process::start(driver, count + 100);
        let mut warm: Vec<Client> = (0..50).map(|_| Client::to(process.address)).collect();
        warm.iter_mut().for_each(|client| drop(client.get("/")));
        let before = process.status("VmRSS:");
        let mut clients: Vec<Client> = (0..count).map(|_| Client::to(process.address)).collect();
        clients.iter_mut().for_each(|client| drop(client.get("/")));
        let each = (process.status("VmRSS:") - before) as f64 / count as f64;
        println!("{driver}: {count} idle connections, {each:.2} KiB of RSS each");
        assert_eq!(warm[0].get("/still").text(), "/still");
        assert!(each < 8.0, "{driver}: {each:.2} KiB each");
        process.stop();
    }
}

/// Children of the application must be stoppable: a worker's signal mask is theirs.
#[test]
fn workers_block_no_signal() {
    let server = crate::support::Server::on(DriverChoice::Epoll, |_, reply| {
        let status = std::fs::read_to_string("/proc/thread-self/status").unwrap_or_default();
        let blocked = status.lines().find(|line| line.starts_with("SigBlk:")).unwrap_or_default();
        reply.short(200, b"text/plain", blocked.as_bytes())
    });
    assert_eq!(server.connect().get("/").text(), "SigBlk:\t0000000000000000");
}
