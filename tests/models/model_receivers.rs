//! `asgi::Receivers` with `service::Exchange`: several tasks that await a message of one request.

use crate::receivers::{Receiver, Receivers};
use crate::support::{explore, Task};
use bytes::Bytes;
use loom::thread;
use std::mem::ManuallyDrop;
use std::sync::Arc;
use std::task::{Context, Wake, Waker};
use turboapi::service::{CloseReason, Exchange, Inbound};

/// What one of them finds, once it is woken.
fn receive(receivers: &Arc<Receivers>, exchange: &Exchange) -> Inbound {
    // Not where a model fails: its locks cannot be taken then, as one that leaves does.
    let mut receiver = ManuallyDrop::new(Receiver::new(receivers.clone()));
    let found = Task::new().wait(|cx| receiver.poll(cx, |cx| exchange.poll_inbound(cx)));
    drop(ManuallyDrop::into_inner(receiver));
    found
}

fn two_that_receive(exchange: &Arc<Exchange>) -> [thread::JoinHandle<Inbound>; 2] {
    let receivers = Arc::new(Receivers::default());
    [(); 2].map(|()| {
        let (receivers, exchange) = (receivers.clone(), exchange.clone());
        thread::spawn(move || receive(&receivers, &exchange))
    })
}

/// The peer leaves: all that wait for it hear of it, also one that begins to wait just then.
#[test]
fn all_hear_that_the_peer_left() {
    explore(|| {
        let exchange = Exchange::without_body();
        let tasks = two_that_receive(&exchange);
        exchange.close(CloseReason::Disconnected);
        for task in tasks {
            assert_eq!(task.join().unwrap(), Inbound::Closed(CloseReason::Disconnected));
        }
    });
}

/// Each of two gets a piece: whoever finds that another one took it is woken by the next one.
#[test]
fn each_gets_a_piece() {
    explore(|| {
        let exchange = Exchange::with_body();
        let tasks = two_that_receive(&exchange);
        exchange.offer_body(Bytes::from_static(b"a"));
        exchange.offer_body(Bytes::from_static(b"b"));
        let mut found = tasks.map(|task| match task.join().unwrap() {
            Inbound::Body(piece, true) => piece,
            other => panic!("{other:?}"),
        });
        found.sort_unstable();
        assert_eq!(found, ["a", "b"]);
    });
}

struct Nobody;

impl Wake for Nobody {
    fn wake(self: Arc<Self>) {}
}

/// One that leaves is not kept, and takes no wake away from who stays, whenever the peer leaves.
#[test]
fn one_that_left_is_let_go_of() {
    explore(|| {
        let (receivers, exchange) = (Arc::new(Receivers::default()), Exchange::without_body());
        let (there, closing) = ((receivers.clone(), exchange.clone()), exchange.clone());
        let stays = thread::spawn(move || receive(&there.0, &there.1));
        let peer = thread::spawn(move || closing.close(CloseReason::Disconnected));
        let leaving = Arc::new(Nobody);
        let waker = Waker::from(leaving.clone());
        let mut receiver = Receiver::new(receivers.clone());
        let _ = receiver.poll(&Context::from_waker(&waker), |cx| exchange.poll_inbound(cx));
        drop((receiver, waker));
        assert_eq!(stays.join().unwrap(), Inbound::Closed(CloseReason::Disconnected));
        peer.join().unwrap();
        assert_eq!(Arc::strong_count(&leaving), 1);
    });
}
