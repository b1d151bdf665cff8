//! A guest loop is stepped when it must be, and starves nobody.

use crate::support::{
    config, finish, handing_over, on_both_drivers, own_target, App, Client, Life, Server, SOON,
};
use std::cell::{Cell, RefCell};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::fd::{AsRawFd, RawFd};
use std::os::unix::net::UnixStream;
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Sender};
use std::sync::Arc;
use std::task::Waker;
use std::thread;
use std::time::{Duration, Instant};
use turboapi::runtime::{self, DriverChoice, RuntimeConfig, StartError, Timeouts};
use turboapi::service::{GuestLoop, NextStep, Reply};

on_both_drivers! {
    guest_is_stepped_when_its_descriptor_is_readable
    guest_is_stepped_when_woken_from_another_thread
    guest_is_stepped_at_its_time_and_not_before
    idle_guest_is_left_alone
    guest_that_never_rests_starves_no_connection_and_no_timer
    guest_with_timers_in_a_row_keeps_them
    guest_that_cannot_be_watched_fails_the_start
    worker_whose_guest_panics_takes_the_others_with_it
}

type Next = dyn Fn(u64) -> NextStep + Send + Sync;

/// Notes each step, and empties its socket.
struct Noting {
    socket: UnixStream,
    steps: Cell<u64>,
    next: Arc<Next>,
    stepped: Sender<(u64, Instant)>,
    wakers: RefCell<Sender<Waker>>,
}

impl GuestLoop for Noting {
    fn fd(&self) -> RawFd {
        self.socket.as_raw_fd()
    }

    fn set_waker(&self, waker: Waker) {
        self.wakers.borrow().send(waker).expect("the test listens");
    }

    fn step(&self, _is_readable: bool) -> NextStep {
        while (&self.socket).read(&mut [0; 64]).is_ok_and(|read| read > 0) {}
        self.steps.set(self.steps.get() + 1);
        // A test that has seen enough no longer listens.
        let _ = self.stepped.send((self.steps.get(), Instant::now()));
        (self.next)(self.steps.get())
    }
}

struct Guest {
    app: App,
    steps: mpsc::Receiver<(u64, Instant)>,
    wakers: mpsc::Receiver<Waker>,
    socket: UnixStream,
}

fn guest(next: impl Fn(u64) -> NextStep + Send + Sync + 'static) -> Guest {
    let (ours, theirs) = UnixStream::pair().expect("descriptors are left");
    theirs.set_nonblocking(true).expect("a socket");
    let (stepped, steps) = mpsc::channel();
    let (waker, wakers) = mpsc::channel();
    let next: Arc<Next> = Arc::new(next);
    let parts = parking_lot::Mutex::new((stepped, waker));
    let app = App::new(own_target).with_guest(move || {
        let (stepped, waker) = parts.lock().clone();
        Rc::new(Noting {
            socket: theirs.try_clone().expect("a descriptor is left"),
            steps: Cell::new(0),
            next: next.clone(),
            stepped,
            wakers: RefCell::new(waker),
        })
    });
    Guest { app, steps, wakers, socket: ours }
}

impl Guest {
    fn start(&self, driver: DriverChoice, timeouts: Timeouts) -> Server {
        Server::start(RuntimeConfig { driver, timeouts, ..config() }, self.app.clone())
    }

    fn step(&self) -> (u64, Instant) {
        self.steps.recv_timeout(SOON).expect("it is stepped")
    }

    /// Steps until there has been none for a while.
    fn settle(&self) -> u64 {
        let mut last = 0;
        while let Ok((step, _)) = self.steps.recv_timeout(Duration::from_millis(100)) {
            last = step;
        }
        last
    }
}

fn guest_is_stepped_when_its_descriptor_is_readable(driver: DriverChoice) {
    let mut guest = guest(|_| NextStep::Idle);
    let _server = guest.start(driver, Timeouts::default());
    let mut last = guest.settle();
    for _ in 0..20 {
        guest.socket.write_all(b"x").expect("a socket");
        let (step, _) = guest.step();
        assert!(step > last);
        last = step;
    }
    assert!(guest.settle() <= last + 2, "it spins");
}

fn guest_is_stepped_when_woken_from_another_thread(driver: DriverChoice) {
    let guest = guest(|_| NextStep::Idle);
    let server = guest.start(driver, Timeouts::default());
    let waker = guest.wakers.recv_timeout(SOON).expect("it is given");
    let mut last = guest.settle();
    for _ in 0..100 {
        waker.wake_by_ref();
        let (step, _) = guest.step();
        assert!(step > last);
        last = step;
    }
    drop(server);
    // Of a worker that is no more.
    waker.wake();
}

fn guest_is_stepped_at_its_time_and_not_before(driver: DriverChoice) {
    const WAIT: Duration = Duration::from_millis(60);
    let guest = guest(|_| NextStep::At(Instant::now() + WAIT));
    let _server = guest.start(driver, Timeouts::default());
    let (_, mut before) = guest.step();
    for _ in 0..5 {
        let (_, now) = guest.step();
        assert!(now - before >= WAIT, "stepped after {:?}", now - before);
        before = now;
    }
}

fn idle_guest_is_left_alone(driver: DriverChoice) {
    let guest = guest(|_| NextStep::Idle);
    let server = guest.start(driver, Timeouts::default());
    guest.settle();
    for _ in 0..20 {
        server.connect().get("/");
    }
    assert_eq!(guest.steps.try_iter().count(), 0);
}

/// Once, the run queue that such a loop never leaves empty kept monoio from its timers: nothing ever timed out.
fn guest_that_never_rests_starves_no_connection_and_no_timer(driver: DriverChoice) {
    let guest = guest(|_| NextStep::Now);
    let timeouts = Timeouts { keep_alive: Duration::from_millis(200), ..Timeouts::default() };
    let server = guest.start(driver, timeouts);
    let mut idle = server.connect();
    for _ in 0..50 {
        assert_eq!(server.connect().get("/busy").text(), "/busy");
    }
    assert!(idle.is_closed());
    let steps = guest.steps.try_iter().count();
    assert!(steps > 50, "{steps} steps");
    server.stop.stop();
    server.join();
}

fn guest_with_timers_in_a_row_keeps_them(driver: DriverChoice) {
    let guest = guest(|step| match step % 3 {
        0 => NextStep::Idle,
        1 => NextStep::At(Instant::now() + Duration::from_millis(5)),
        _ => NextStep::Now,
    });
    let server = guest.start(driver, Timeouts::default());
    let waker = guest.wakers.recv_timeout(SOON).expect("it is given");
    let mut last = guest.settle();
    for _ in 0..5 {
        waker.wake_by_ref();
        let step = guest.settle();
        assert!(step >= last + 3, "from {last} to {step}");
        last = step;
    }
    drop(server);
}

/// A loop without a descriptor.
struct Unwatchable;

impl GuestLoop for Unwatchable {
    fn fd(&self) -> RawFd {
        RawFd::MAX
    }

    fn set_waker(&self, _waker: Waker) {}

    fn step(&self, _is_readable: bool) -> NextStep {
        NextStep::Idle
    }
}

/// Such a worker would accept, and answer nothing that waits. Nor would its application ever have shut down.
fn guest_that_cannot_be_watched_fails_the_start(driver: DriverChoice) {
    let app = App::new(own_target).with_guest(|| Rc::new(Unwatchable));
    let running = runtime::start(RuntimeConfig { driver, workers: 2, ..config() }, Arc::new(app.clone()))
        .expect("the address is free");
    let Err(StartError::Thread(text)) = running.wait_started() else { panic!("it serves") };
    assert!(text.contains("its event loop cannot be watched"), "{text}");
    running.join().expect("no worker dies");
    assert!(!app.life().iter().any(|life| matches!(life, Life::Shutdown(_))));
}

/// Its connections are closed at once, what the other worker has begun is answered, nobody listens meanwhile, and the end
/// tells of it.
fn worker_whose_guest_panics_takes_the_others_with_it(driver: DriverChoice) {
    let is_doomed = Arc::new(AtomicBool::new(false));
    let (seen, (dies, dead)) = (is_doomed.clone(), mpsc::channel());
    let dies = parking_lot::Mutex::new(dies);
    let guest = guest(move |_| {
        if seen.swap(false, Ordering::SeqCst) {
            dies.lock().send(thread::current().id()).expect("the test listens");
            panic!("a step that panics");
        }
        NextStep::Idle
    });
    let (handle, requests) = handing_over();
    let (served, by) = mpsc::channel();
    let served = parking_lot::Mutex::new(served);
    let mut app = guest.app.clone();
    app.handle = Arc::new(move |request, reply: Reply<'_>| {
        served.lock().send(thread::current().id()).expect("the test listens");
        handle(request, reply)
    });
    let timeouts = Timeouts { drain_grace: Duration::from_secs(3600), ..Timeouts::default() };
    let config = RuntimeConfig { driver, workers: 2, timeouts, ..config() };
    let running = runtime::start(config, Arc::new(app)).expect("the address is free");
    running.wait_started().expect("it starts");
    let address: SocketAddr = running.addresses()[0].parse().expect("an address");
    let mut begun = Vec::new();
    for _ in 0..20 {
        let mut client = Client::to(address);
        client.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
        let exchange = requests.recv_timeout(SOON).expect("the request is handed over").1;
        begun.push((client, exchange, by.recv_timeout(SOON).expect("somebody hands it over")));
    }
    is_doomed.store(true, Ordering::SeqCst);
    guest.wakers.recv_timeout(SOON).expect("a worker has a loop").wake();
    let dead = dead.recv_timeout(SOON).expect("it panics");
    let until = Instant::now() + SOON;
    while TcpStream::connect(address).is_ok() {
        assert!(Instant::now() < until, "it serves on");
    }
    for (client, exchange, by) in &mut begun {
        if *by == dead {
            client.all();
        } else {
            finish(exchange, "answered");
            assert!(client.answer().text().contains("answered"));
        }
    }
    let fault = running.join().expect_err("a worker died");
    assert!(fault.starts_with("worker ") && fault.ends_with(" died"), "{fault}");
}
