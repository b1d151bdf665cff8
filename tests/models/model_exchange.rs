//! `service::Exchange`: a body and a response between a connection and an application on another thread.

use crate::support::{explore, Task};
use bytes::Bytes;
use loom::thread;
use std::sync::Arc;
use turboapi::service::{CloseReason, Exchange, Inbound, ReplyEvent, HIGH_WATER_BYTES};

fn piece() -> Bytes {
    Bytes::from(vec![b'x'; HIGH_WATER_BYTES])
}

/// A body comes whole, in order, and its end is told once.
#[test]
fn a_body_is_received_whole() {
    explore(|| {
        let exchange = Exchange::with_body();
        let there = exchange.clone();
        let connection = thread::spawn(move || {
            there.offer_body(Bytes::from_static(b"one"));
            there.offer_last(Bytes::from_static(b"two"));
        });
        let task = Task::new();
        let mut body = Vec::new();
        loop {
            match task.wait(|cx| exchange.poll_inbound(cx)) {
                Inbound::Body(piece, more) => {
                    body.extend_from_slice(&piece);
                    if !more {
                        break;
                    }
                }
                Inbound::Closed(reason) => panic!("closed: {reason:?}"),
            }
        }
        assert_eq!(body, b"onetwo");
        connection.join().unwrap();
    });
}

/// A connection that waits for the application sees every word of it, in order (`own_reply`), and its wish for the body.
#[test]
fn a_response_is_taken_whole() {
    explore(|| {
        let exchange = Exchange::with_body();
        let there = exchange.clone();
        let application = thread::spawn(move || {
            let task = Task::new();
            task.wait(|cx| there.poll_inbound(cx));
            there.push(ReplyEvent::Chunk(Bytes::from_static(b"one"))).unwrap();
            there.push(ReplyEvent::End).unwrap();
        });
        let task = Task::new();
        let mut is_offered = false;
        let mut words = Vec::new();
        while words.last() != Some(&"end") {
            let wants = task.wait(|cx| {
                let wants = exchange.poll_wants(cx);
                if wants.has_event || (wants.wants_body && !is_offered) {
                    std::task::Poll::Ready(wants)
                } else {
                    std::task::Poll::Pending
                }
            });
            if wants.wants_body && !is_offered {
                is_offered = true;
                exchange.end_body();
            }
            while let Some(event) = exchange.take_event() {
                words.push(match event {
                    ReplyEvent::Chunk(_) => "chunk",
                    ReplyEvent::End => "end",
                    _ => "other",
                });
            }
        }
        assert_eq!(words, ["chunk", "end"]);
        application.join().unwrap();
    });
}

/// `bounded_memory`: a producer that asks for room never has more than the bound and one item queued; it goes on when
/// bytes were written.
#[test]
fn a_producer_waits_for_room_and_goes_on() {
    explore(|| {
        let exchange = Exchange::without_body();
        let there = exchange.clone();
        let application = thread::spawn(move || {
            let task = Task::new();
            for _ in 0..2 {
                task.wait(|cx| there.poll_room(cx)).unwrap();
                there.push(ReplyEvent::Chunk(piece())).unwrap();
            }
            task.wait(|cx| there.poll_flushed(cx)).unwrap();
        });
        let task = Task::new();
        for _ in 0..2 {
            let event = task.wait(|cx| {
                if exchange.poll_wants(cx).has_event {
                    std::task::Poll::Ready(exchange.take_event())
                } else {
                    std::task::Poll::Pending
                }
            });
            assert!(matches!(event, Some(ReplyEvent::Chunk(_))));
            assert!(exchange.take_event().is_none(), "more is queued than the bound allows");
            exchange.written(HIGH_WATER_BYTES);
        }
        application.join().unwrap();
    });
}

/// Of several tasks that wait for room all go on, though somebody looks whether there is any.
#[test]
fn all_who_wait_for_room_go_on() {
    explore(|| {
        let exchange = Exchange::without_body();
        exchange.push(ReplyEvent::Chunk(piece())).unwrap();
        let senders = [exchange.clone(), exchange.clone()].map(|there| {
            thread::spawn(move || {
                Task::new().wait(|cx| there.poll_room(cx)).unwrap();
                assert!(there.has_room());
            })
        });
        exchange.has_room();
        assert!(exchange.take_event().is_some());
        exchange.written(HIGH_WATER_BYTES);
        for sender in senders {
            sender.join().unwrap();
        }
    });
}

/// An application that waits, for the body, for room or for the end, is told when the peer leaves.
#[test]
fn all_who_wait_are_told_of_the_end() {
    explore(|| {
        let exchange = Exchange::with_body();
        exchange.push(ReplyEvent::Chunk(piece())).unwrap();
        let there = exchange.clone();
        let connection = thread::spawn(move || there.close(CloseReason::Disconnected));
        let (receiving, watching) = (exchange.clone(), exchange.clone());
        let receiver = thread::spawn(move || {
            assert_eq!(
                Task::new().wait(|cx| receiving.poll_inbound(cx)),
                Inbound::Closed(CloseReason::Disconnected)
            );
        });
        let watcher = thread::spawn(move || {
            assert_eq!(Task::new().wait(|cx| watching.poll_closed(cx)), CloseReason::Disconnected);
        });
        assert_eq!(Task::new().wait(|cx| exchange.poll_room(cx)), Err(CloseReason::Disconnected));
        receiver.join().unwrap();
        watcher.join().unwrap();
        connection.join().unwrap();
        assert!(exchange.push(ReplyEvent::End).is_err());
        assert!(exchange.take_event().is_none());
    });
}

/// An application that waits for its peer to leave is told to end, before or after it began to wait; what it still says
/// is taken.
#[test]
fn who_waits_is_told_to_end() {
    explore(|| {
        let exchange = Exchange::with_body();
        let there = exchange.clone();
        let worker = thread::spawn(move || {
            there.end_body();
            there.tell_to_end();
        });
        let task = Task::new();
        assert_eq!(task.wait(|cx| exchange.poll_inbound(cx)), Inbound::Body(Bytes::new(), false));
        let end = Inbound::Closed(CloseReason::Disconnected);
        assert_eq!(task.wait(|cx| exchange.poll_inbound(cx)), end);
        exchange.push(ReplyEvent::End).unwrap();
        worker.join().unwrap();
        assert!(exchange.take_event().is_some());
    });
}

/// `own_reply`: of two sides that have a last word one is heard, the other is refused.
#[test]
fn one_last_word_is_taken() {
    explore(|| {
        let exchange: Arc<Exchange> = Exchange::without_body();
        let there = exchange.clone();
        let aborting = thread::spawn(move || there.push(ReplyEvent::Abort).is_ok());
        let ended = exchange.push(ReplyEvent::End).is_ok();
        let aborted = aborting.join().unwrap();
        assert!(ended != aborted);
        assert!(exchange.take_event().is_some());
        assert!(exchange.take_event().is_none());
    });
}
