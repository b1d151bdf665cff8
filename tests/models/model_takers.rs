//! `dispatch::Takers`: threads and tasks that take of one body.

use crate::support::explore;
use crate::takers::{Takers, Turn};
use loom::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use loom::thread;
use std::convert::Infallible;
use std::mem::ManuallyDrop;
use std::sync::Arc;

/// A body. What a task awaits is a flag: it has left.
struct Body {
    takers: Arc<Takers<Arc<AtomicBool>>>,
    taken: AtomicUsize,
}

type OfBody = Turn<Arc<AtomicBool>>;

impl Body {
    fn new() -> Arc<Self> {
        Arc::new(Body { takers: Arc::default(), taken: AtomicUsize::new(0) })
    }

    fn by_thread(&self) -> Option<OfBody> {
        self.takers.by_thread(Takers::wait, has_left).unwrap()
    }

    fn by_task(&self) -> Option<OfBody> {
        self.takers.by_task(has_left).unwrap()
    }

    /// A turn of a task that waits until `awaited` is set. Ended by [`end`] alone.
    fn by_waiting_task(&self, awaited: &Arc<AtomicBool>) -> Option<ManuallyDrop<OfBody>> {
        let turn = self.by_task()?;
        self.takers.awaits(turn.number(), awaited.clone());
        Some(ManuallyDrop::new(turn))
    }

    /// Takes a piece, in a turn. Two at once, or one that does not see what the turn before did, count as one.
    fn take(&self, turn: OfBody) {
        let taken = self.taken.load(Ordering::Relaxed);
        self.taken.store(taken + 1, Ordering::Relaxed);
        drop(turn);
    }

    fn taken(&self) -> usize {
        self.taken.load(Ordering::Relaxed)
    }
}

fn has_left(awaited: &Arc<AtomicBool>) -> Result<bool, Infallible> {
    Ok(awaited.load(Ordering::Acquire))
}

/// Not where a model fails: its locks cannot be taken then, as a turn's end does.
fn end(turn: ManuallyDrop<OfBody>) {
    drop(ManuallyDrop::into_inner(turn));
}

fn flag(has_left: bool) -> Arc<AtomicBool> {
    Arc::new(AtomicBool::new(has_left))
}

/// Two threads and a task take turns; each has its own or, where the task is in it, is refused. Nobody waits for ever.
#[test]
fn one_at_a_time_takes_of_a_body() {
    explore(|| {
        let body = Body::new();
        let threads = [(); 2].map(|()| {
            let body = body.clone();
            thread::spawn(move || body.by_thread().map(|turn| body.take(turn)).is_some())
        });
        let task = body.by_task();
        let was_given = task.is_some();
        if let Some(turn) = task {
            body.takers.awaits(turn.number(), flag(false));
            body.take(turn);
        }
        let [first, second] = threads.map(|thread| thread.join().unwrap());
        assert_eq!(body.taken(), [was_given, first, second].into_iter().filter(|&given| given).count());
        // Nobody but a task makes a thread go without.
        assert!(was_given || (first && second));
    });
}

/// A task may come between threads that wait: all of them hear of it. None waits for the task, which may wait for it.
#[test]
fn no_thread_waits_for_a_task() {
    explore(|| {
        let body = Body::new();
        let before = body.by_thread().unwrap();
        let threads = [(); 2].map(|()| {
            let body = body.clone();
            thread::spawn(move || body.by_thread().map(|turn| body.take(turn)).is_some())
        });
        body.take(before);
        let task = body.by_waiting_task(&flag(false));
        let given = threads.map(|thread| thread.join().unwrap()).into_iter().filter(|&given| given).count();
        assert_eq!(body.taken(), 1 + given);
        if let Some(task) = task {
            end(task);
        }
    });
}

/// Of two threads that find a task gone each has a turn: one takes over, the other one waits for it and is not refused.
/// That the task's own turn ends only then ends no other.
#[test]
fn a_turn_of_a_task_that_left_is_taken_over_once() {
    explore(|| {
        let body = Body::new();
        let task = body.by_waiting_task(&flag(true)).unwrap();
        let there = body.clone();
        let other = thread::spawn(move || there.take(there.by_thread().expect("the task has left")));
        body.take(body.by_thread().expect("the task has left"));
        end(task);
        other.join().unwrap();
        assert_eq!(body.taken(), 2);
    });
}

/// A task that leaves while it is asked about goes on until then, and is taken over after it.
#[test]
fn a_task_may_leave_while_another_one_asks() {
    explore(|| {
        let body = Body::new();
        let awaited = flag(false);
        let task = body.by_waiting_task(&awaited).unwrap();
        let there = body.clone();
        let other = thread::spawn(move || there.by_task().map(|turn| there.take(turn)).is_some());
        // The last piece, then it is cancelled.
        body.taken.store(body.taken() + 1, Ordering::Relaxed);
        awaited.store(true, Ordering::Release);
        let last = body.by_task().map(|turn| body.take(turn)).is_some();
        end(task);
        let other = other.join().unwrap();
        assert!(last || other);
        assert_eq!(body.taken(), 1 + usize::from(last) + usize::from(other));
    });
}

/// What a task awaits is told after its turn: where that is over by then, the next one is not taken for it.
#[test]
fn what_is_told_late_marks_no_other_turn() {
    explore(|| {
        let body = Body::new();
        let task = body.by_task().unwrap();
        let number = task.number();
        drop(task);
        let others = [(); 2].map(|()| {
            let body = body.clone();
            thread::spawn(move || body.by_task().map(|turn| body.take(turn)).is_some())
        });
        body.takers.awaits(number, flag(true));
        let given = others.map(|other| other.join().unwrap()).into_iter().filter(|&given| given).count();
        assert_eq!(body.taken(), given);
    });
}

/// Where no turn follows, it begins none.
#[test]
fn what_is_told_late_begins_no_turn() {
    explore(|| {
        let body = Body::new();
        let number = body.by_task().unwrap().number();
        let there = body.clone();
        let other = thread::spawn(move || there.take(there.by_thread().expect("no task has the turn")));
        body.takers.awaits(number, flag(false));
        other.join().unwrap();
    });
}
