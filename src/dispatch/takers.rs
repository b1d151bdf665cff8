//! The turns of those that take of one thing: one at a time.
//!
//! Owns: [`Takers`]: whose turn it is, threads that wait for theirs. Does not own: what is taken, what a task awaits.
//! Rule: a thread waits while another has the turn, never for a task; a task waits for nobody. A turn is ended by who
//! has it, or, once its task has left, by one that asks; a later turn is not an earlier one's to end.
//! Threads: any. No lock is held while a caller's code runs; `A` is cloned under it, and nothing else.

use crate::invariants;
use crate::sync::{Condvar, Mutex};
use std::sync::Arc;

/// Whose turn it is. `A`: what a task awaits.
#[derive(Debug)]
pub struct Takers<A> {
    state: Mutex<State<A>>,
    /// A turn has ended.
    ended: Condvar,
}

#[derive(Debug)]
struct State<A> {
    turn: Option<Who<A>>,
    /// Turns begun so far: what tells one from another.
    begun: u64,
}

#[derive(Debug)]
enum Who<A> {
    Thread,
    /// Once it waits: for what.
    Task(Option<A>),
}

/// What one that asks is given.
enum Asked<A> {
    Turn(Turn<A>),
    /// A thread has the turn.
    Thread,
    /// A task has the turn of this number.
    Task(u64, Option<A>),
}

/// A turn: over when it is dropped.
#[derive(Debug)]
pub struct Turn<A> {
    of: Arc<Takers<A>>,
    number: u64,
}

impl<A> Default for Takers<A> {
    fn default() -> Self {
        Takers { state: Mutex::new(State { turn: None, begun: 0 }), ended: Condvar::new() }
    }
}

impl<A: Clone> Takers<A> {
    /// The turn of a thread. `wait` calls [`Takers::wait`], which may take long; `has_left`: a task waits no more.
    /// None: a task has the turn.
    ///
    /// # Errors
    /// Those of `has_left`.
    pub fn by_thread<E>(
        self: &Arc<Self>,
        wait: impl Fn(&Self),
        has_left: impl Fn(&A) -> Result<bool, E>,
    ) -> Result<Option<Turn<A>>, E> {
        loop {
            match self.ask(|| Who::Thread) {
                Asked::Turn(turn) => return Ok(Some(turn)),
                Asked::Thread => wait(self),
                Asked::Task(number, awaited) => {
                    if !self.end_left(number, awaited, &has_left)? {
                        return Ok(None);
                    }
                }
            }
        }
    }

    /// The turn of a task. None: another one has it.
    ///
    /// # Errors
    /// Those of `has_left`.
    pub fn by_task<E>(
        self: &Arc<Self>,
        has_left: impl Fn(&A) -> Result<bool, E>,
    ) -> Result<Option<Turn<A>>, E> {
        loop {
            match self.ask(|| Who::Task(None)) {
                Asked::Turn(turn) => return Ok(Some(turn)),
                Asked::Thread => return Ok(None),
                Asked::Task(number, awaited) => {
                    if !self.end_left(number, awaited, &has_left)? {
                        return Ok(None);
                    }
                }
            }
        }
    }

    /// A look and a turn are one: who was found to have it is the one that is waited for, or refused.
    fn ask(self: &Arc<Self>, who: impl FnOnce() -> Who<A>) -> Asked<A> {
        let mut state = self.state.lock();
        match &state.turn {
            None => {}
            Some(Who::Thread) => return Asked::Thread,
            Some(Who::Task(awaited)) => return Asked::Task(state.begun, awaited.clone()),
        }
        state.turn = Some(who());
        state.begun += 1;
        Asked::Turn(Turn { of: self.clone(), number: state.begun })
    }

    /// Ends the turn of a task that waits no more. False: it goes on.
    fn end_left<E>(
        &self,
        number: u64,
        awaited: Option<A>,
        has_left: impl Fn(&A) -> Result<bool, E>,
    ) -> Result<bool, E> {
        // One that does not wait yet is about to.
        let Some(awaited) = awaited else { return Ok(false) };
        let has_left = has_left(&awaited)?;
        if has_left {
            // Of several that find it so, one ends it.
            self.end(number);
        }
        Ok(has_left)
    }
}

impl<A> Takers<A> {
    /// Until no thread has the turn.
    pub fn wait(&self) {
        let mut state = self.state.lock();
        while matches!(state.turn, Some(Who::Thread)) {
            invariants::about_to_wait();
            self.ended.wait(&mut state);
        }
    }

    /// The turn `number`, of a task, goes on until what is awaited is done. Nothing, if it is over already.
    pub fn awaits(&self, number: u64, awaited: A) {
        let mut state = self.state.lock();
        let is_its = state.begun == number && matches!(state.turn, Some(Who::Task(None)));
        if is_its {
            state.turn = Some(Who::Task(Some(awaited)));
        } else {
            drop(state);
            // Outside of the lock: its code may ask for a turn.
            drop(awaited);
        }
    }

    fn end(&self, number: u64) {
        let mut state = self.state.lock();
        // A later turn is not this one's to end.
        let over = if state.begun == number { state.turn.take() } else { None };
        drop(state);
        // All: the one that is woken may find that a task was faster, and leave.
        self.ended.notify_all();
        // Outside of the lock, as above.
        drop(over);
    }
}

impl<A> Turn<A> {
    /// Which one it is.
    pub fn number(&self) -> u64 {
        self.number
    }
}

impl<A> Drop for Turn<A> {
    fn drop(&mut self) {
        self.of.end(self.number);
    }
}

#[cfg(all(test, not(feature = "models")))]
mod tests {
    use super::{Takers, Turn};
    use std::convert::Infallible;
    use std::sync::Arc;

    /// What a task awaits is a flag: it has left.
    fn ask(takers: &Arc<Takers<bool>>) -> Option<Turn<bool>> {
        takers.by_task(|&has_left| Ok::<_, Infallible>(has_left)).ok().flatten()
    }

    #[test]
    fn a_task_is_refused_while_another_goes_on_and_takes_over_from_one_that_left() {
        let takers = Arc::new(Takers::default());
        let first = ask(&takers).expect("nobody has it");
        assert!(ask(&takers).is_none());
        takers.awaits(first.number(), true);
        let second = ask(&takers).expect("the first has left");
        takers.awaits(second.number(), false);
        drop(first);
        assert!(ask(&takers).is_none());
        drop(second);
        assert!(ask(&takers).is_some());
    }

    #[test]
    fn what_comes_late_marks_no_other_turn() {
        let takers = Arc::new(Takers::default());
        let number = ask(&takers).expect("nobody has it").number();
        takers.awaits(number, true);
        let second = ask(&takers).expect("the first is over");
        takers.awaits(number, true);
        assert!(ask(&takers).is_none());
        drop(second);
    }
}
