//! `asgi::Underway`: the tasks of requests, and the worker that waits for their end before its loop goes.

use crate::support::{explore, Task};
use crate::underway::Underway;
use loom::sync::atomic::{AtomicUsize, Ordering};
use loom::thread;
use std::sync::Arc;

/// Tasks that end at once are all counted, and the last of them wakes who waits for none.
#[test]
fn the_last_task_wakes_who_waits() {
    explore(|| {
        let (underway, ended) = (Arc::new(Underway::default()), Arc::new(AtomicUsize::new(0)));
        let tasks = [(); 2].map(|()| {
            underway.begin();
            let (underway, ended) = (underway.clone(), ended.clone());
            thread::spawn(move || {
                ended.fetch_add(1, Ordering::Relaxed);
                underway.end();
            })
        });
        Task::new().wait(|cx| underway.poll_none(cx));
        // Relaxed: that all have ended is known by having been told.
        assert_eq!(ended.load(Ordering::Relaxed), 2);
        tasks.into_iter().for_each(|task| task.join().unwrap());
    });
}

/// A task that another one begins is waited for as well, however late it ends.
#[test]
fn a_task_that_began_meanwhile_is_waited_for() {
    explore(|| {
        let (underway, ended) = (Arc::new(Underway::default()), Arc::new(AtomicUsize::new(0)));
        underway.begin();
        let (there, counted) = (underway.clone(), ended.clone());
        let first = thread::spawn(move || {
            there.begin();
            let (beside, also) = (there.clone(), counted.clone());
            let second = thread::spawn(move || {
                also.fetch_add(1, Ordering::Relaxed);
                beside.end();
            });
            counted.fetch_add(1, Ordering::Relaxed);
            there.end();
            second.join().unwrap();
        });
        Task::new().wait(|cx| underway.poll_none(cx));
        assert_eq!(ended.load(Ordering::Relaxed), 2);
        first.join().unwrap();
    });
}
