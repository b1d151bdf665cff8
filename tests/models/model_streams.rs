//! `dispatch::Turns` with `service::Exchange`: a sync iterator, or a body on its way to the disk, moved on by turns on the
//! pool.

use crate::support::{explore, Task};
use crate::turns::Turns;
use bytes::Bytes;
use loom::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use loom::thread;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use turboapi::service::{Awaited, CloseReason, Exchange, ReplyEvent, HIGH_WATER_BYTES};

/// As `dispatch::SyncStream`, with a number in the place of the iterator, and a thread for each turn.
struct Stream {
    exchange: Arc<Exchange>,
    turns: Turns,
    left: AtomicUsize,
    is_running: AtomicBool,
    closes: AtomicUsize,
    closed: Awaited<()>,
}

impl Stream {
    fn start(exchange: Arc<Exchange>, items: usize) -> Arc<Self> {
        let stream = Arc::new(Stream {
            exchange,
            turns: Turns::default(),
            left: AtomicUsize::new(items),
            is_running: AtomicBool::new(false),
            closes: AtomicUsize::new(0),
            closed: Awaited::default(),
        });
        stream.schedule();
        stream
    }

    fn schedule(self: &Arc<Self>) {
        if self.turns.ask() {
            self.submit();
        }
    }

    fn submit(self: &Arc<Self>) {
        let stream = self.clone();
        thread::spawn(move || stream.turn());
    }

    fn turn(self: Arc<Self>) {
        self.turns.begin();
        assert!(!self.is_running.swap(true, Ordering::Relaxed), "two turns at once");
        self.pull();
        self.is_running.store(false, Ordering::Relaxed);
        if self.turns.end() {
            self.submit();
        }
    }

    fn pull(self: &Arc<Self>) {
        if self.closes.load(Ordering::Relaxed) > 0 {
            return;
        }
        let waker = Waker::from(self.clone());
        let mut context = Context::from_waker(&waker);
        loop {
            match self.exchange.poll_room(&mut context) {
                Poll::Pending => return,
                Poll::Ready(Err(_)) => break,
                Poll::Ready(Ok(())) => {}
            }
            let left = self.left.load(Ordering::Relaxed);
            if left == 0 {
                let _ = self.exchange.push(ReplyEvent::End);
                break;
            }
            self.left.store(left - 1, Ordering::Relaxed);
            let _ = self.exchange.push(ReplyEvent::Chunk(Bytes::from(vec![0; HIGH_WATER_BYTES])));
        }
        self.closes.fetch_add(1, Ordering::Relaxed);
        self.closed.put(());
    }
}

impl Wake for Stream {
    fn wake(self: Arc<Self>) {
        self.schedule();
    }
}

/// The next event, as a connection waits for it.
fn next_event(task: &Task, exchange: &Exchange) -> ReplyEvent {
    task.wait(|cx| {
        exchange.poll_wants(cx);
        exchange.take_event().map_or(Poll::Pending, Poll::Ready)
    })
}

/// A stream goes on whenever there is room again, one turn at a time, to its end: no wake is lost.
#[test]
fn a_stream_goes_on_when_there_is_room() {
    explore(|| {
        let exchange = Exchange::without_body();
        let stream = Stream::start(exchange.clone(), 1);
        let task = Task::new();
        assert!(matches!(next_event(&task, &exchange), ReplyEvent::Chunk(_)));
        exchange.written(HIGH_WATER_BYTES);
        assert!(matches!(next_event(&task, &exchange), ReplyEvent::End));
        task.wait(|cx| stream.closed.poll(cx));
        assert_eq!(stream.closes.load(Ordering::Relaxed), 1);
    });
}

/// `stream_closed_once`: a stream whose peer leaves while it is pulled, or waits for room, is closed, once.
#[test]
fn a_stream_is_closed_once_when_its_peer_leaves() {
    explore(|| {
        let exchange = Exchange::without_body();
        let stream = Stream::start(exchange.clone(), 9);
        exchange.close(CloseReason::Disconnected);
        Task::new().wait(|cx| stream.closed.poll(cx));
        assert_eq!(stream.closes.load(Ordering::Relaxed), 1);
    });
}

/// A turn that was asked for runs after what it was asked for for, however many ask at once, and never two together.
#[test]
fn a_turn_that_was_asked_for_sees_why() {
    explore(|| {
        let turns = Arc::new(Turns::default());
        let (work, seen) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let ask = |turns: Arc<Turns>, work: Arc<AtomicUsize>, seen: Arc<AtomicUsize>| {
            move || {
                work.fetch_add(1, Ordering::Relaxed);
                let mut is_mine = turns.ask();
                while is_mine {
                    turns.begin();
                    // Relaxed: the turns themselves put the work before what looks at it.
                    seen.store(work.load(Ordering::Relaxed), Ordering::Relaxed);
                    is_mine = turns.end();
                }
            }
        };
        let others = [
            thread::spawn(ask(turns.clone(), work.clone(), seen.clone())),
            thread::spawn(ask(turns.clone(), work.clone(), seen.clone())),
        ];
        others.into_iter().for_each(|other| other.join().unwrap());
        assert_eq!(seen.load(Ordering::Relaxed), 2);
    });
}
