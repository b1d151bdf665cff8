//! `service::Awaited`: the result of a job on the pool, of an upload, of a lifespan phase.

use crate::support::{explore, Task};
use loom::thread;
use std::sync::Arc;
use turboapi::service::Awaited;

/// Who waits always gets the value, whether it comes before, while or after it is asked for.
#[test]
fn a_value_is_found_by_who_waits() {
    explore(|| {
        let awaited = Arc::new(Awaited::default());
        let there = awaited.clone();
        let maker = thread::spawn(move || there.put(7));
        assert_eq!(Task::new().wait(|cx| awaited.poll(cx)), 7);
        maker.join().unwrap();
    });
}

/// Of two values one is told, and stays the one.
#[test]
fn the_first_of_two_values_stays() {
    explore(|| {
        let awaited = Arc::new(Awaited::default());
        let (one, two) = (awaited.clone(), awaited.clone());
        let first = thread::spawn(move || one.put(1));
        let second = thread::spawn(move || two.put(2));
        let task = Task::new();
        let told = task.wait(|cx| awaited.poll_copy(cx));
        first.join().unwrap();
        second.join().unwrap();
        assert_eq!(task.wait(|cx| awaited.poll_copy(cx)), told);
    });
}
