//! `static_cache::StaticCell` and `dispatch::Latest`: what is replaced while requests run. The swap itself is arc-swap's;
//! a lock stands for it.

use crate::latest::Latest;
use crate::support::explore;
use bytes::Bytes;
use loom::thread;
use std::sync::Arc;
use turboapi::static_cache::{StaticCell, StaticResponse};

fn response(text: &'static str) -> StaticResponse {
    let headers = [("x-text", text)];
    StaticResponse::render(200, "text/plain", headers, Bytes::from_static(text.as_bytes()))
        .expect("a sound response")
}

fn text_of(cell: &StaticCell) -> String {
    let found = cell.load();
    let text = String::from_utf8(found.body().to_vec()).expect("ASCII");
    let head = String::from_utf8(found.head().to_vec()).expect("ASCII");
    assert!(head.contains(&format!("x-text: {text}")), "the head of one and the body of another");
    text
}

/// `publish_whole`: head and body are of one response, and a reader that has seen the new one never sees the old one.
#[test]
fn a_response_is_published_whole() {
    explore(|| {
        let cell = Arc::new(StaticCell::new(response("old")));
        let there = cell.clone();
        let publisher = thread::spawn(move || there.publish(response("new")));
        let (first, second) = (text_of(&cell), text_of(&cell));
        assert!(first == "old" || second == "new");
        publisher.join().unwrap();
        assert_eq!(text_of(&cell), "new");
    });
}

/// `swap_is_whole`: a worker that takes the latest up at each request has one table for all of the request, and, once a
/// replacement is done, the new one at its next.
#[test]
fn a_table_is_taken_up_whole() {
    explore(|| {
        let latest = Arc::new(Latest::new([1, 1]));
        let there = latest.clone();
        let replacing = thread::spawn(move || there.put([2, 2]));
        let mut own = latest.take_up();
        let mut before = 0;
        for _ in 0..2 {
            if !latest.is(&own) {
                own = latest.take_up();
            }
            assert_eq!(own[0], own[1]);
            assert!(own[0] >= before);
            before = own[0];
        }
        replacing.join().unwrap();
        if !latest.is(&own) {
            own = latest.take_up();
        }
        assert_eq!(*own, [2, 2]);
    });
}
