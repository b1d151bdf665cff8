//! `home_loop::Mailbox` with `runtime::Nudge`: the way of a job from any thread to the loop that a worker steps.

use crate::mailbox::Mailbox;
use crate::nudge::Nudge;
use crate::support::{explore, Task};
use loom::thread;
use std::sync::Arc;
use std::task::{Poll, Waker};

type Mails = Mailbox<u32, u32>;

/// The steps of a worker, until so many things have come.
fn step_until(mailbox: &Mails, count: usize) -> (Vec<u32>, Vec<u64>, Vec<u32>) {
    let task = Task::new();
    let nudge = Nudge::new(task.waker().clone());
    mailbox.set_waker(Waker::from(nudge.clone()));
    let (mut jobs, mut woken, mut outcomes) = (Vec::new(), Vec::new(), Vec::new());
    while jobs.len() + woken.len() + outcomes.len() < count {
        task.wait(|_| if nudge.take() { Poll::Ready(()) } else { Poll::Pending });
        if let Some(mail) = mailbox.take() {
            jobs.extend(mail.jobs);
            woken.extend(mail.woken);
            outcomes.extend(mail.outcomes);
        }
        if mailbox.has_mail() {
            nudge.again();
        }
    }
    assert!(mailbox.take().is_none_or(|mail| mail.jobs.is_empty() && mail.outcomes.is_empty()));
    (jobs, woken, outcomes)
}

/// A job posted is run once, and an outcome told once, before, while or after the worker begins to step: it never sleeps
/// while something lies there.
#[test]
fn what_is_put_in_is_taken_once() {
    explore(|| {
        let mailbox = Arc::new(Mails::default());
        let (one, two) = (mailbox.clone(), mailbox.clone());
        let posting = thread::spawn(move || one.post(1).unwrap());
        let delivering = thread::spawn(move || {
            two.deliver(2);
            two.wake_waiting(3);
        });
        assert_eq!(step_until(&mailbox, 3), (vec![1], vec![3], vec![2]));
        posting.join().unwrap();
        delivering.join().unwrap();
    });
}

/// Jobs of one thread run in the order in which they were posted.
#[test]
fn jobs_of_one_thread_run_in_order() {
    explore(|| {
        let mailbox = Arc::new(Mails::default());
        let there = mailbox.clone();
        let posting = thread::spawn(move || (1..=3).for_each(|job| there.post(job).unwrap()));
        assert_eq!(step_until(&mailbox, 3).0, [1, 2, 3]);
        posting.join().unwrap();
    });
}

/// `drain_answers_all`: a job that meets the closing of the loop is given back, taken, or left over: one of them.
#[test]
fn a_job_that_meets_the_closing_is_not_lost() {
    explore(|| {
        let mailbox = Arc::new(Mails::default());
        let there = mailbox.clone();
        let posting = thread::spawn(move || there.post(1).is_err());
        let taken = mailbox.take().map_or(0, |mail| mail.jobs.len());
        let left = mailbox.close().jobs.len();
        let given_back = usize::from(posting.join().unwrap());
        assert_eq!(taken + left + given_back, 1);
        assert!(mailbox.take().is_none_or(|mail| mail.jobs.is_empty()), "put in after the closing");
    });
}
