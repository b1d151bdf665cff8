//! Whether the routes of a framework are still those that its plans were made of.
//!
//! Owns: [`Watch`], asked before each call of a plan. Does not own: which lists hold the routes, what a change of them means
//! (`plans/watch.py`).
//! Rule: a plan is not called once an earlier route may stand before it, or its own is gone.
//! Threads: asked by all workers, attached; the size of a list is read without counting a reference. Written at a change.

use crate::interp::{self, Held};
use pyo3::prelude::*;
use pyo3::types::PyList;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

/// The lists that hold the routes.
pub struct Watch {
    lists: Vec<(Held<PyList>, AtomicUsize)>,
    /// Says whether plans still hold. Called attached, when a list has another size.
    do_hold: Held<PyAny>,
    is_over: AtomicBool,
}

impl Watch {
    /// Watches lists that have their sizes of now.
    pub fn new(lists: &[Bound<'_, PyList>], do_hold: Held<PyAny>) -> Self {
        let sized = lists
            .iter()
            .map(|list| (Held::new(list.clone().unbind()), AtomicUsize::new(list.len())))
            .collect();
        Watch { lists: sized, do_hold, is_over: AtomicBool::new(false) }
    }

    /// Plans may be called.
    pub fn holds(&self) -> bool {
        !self.is_over.load(Ordering::Relaxed)
            && interp::attach(|py| {
                let is_same = |(list, size): &(Held<PyList>, AtomicUsize)| {
                    list.bind(py).len() == size.load(Ordering::Relaxed)
                };
                self.lists.iter().all(is_same) || self.ask(py)
            })
    }

    #[cold]
    fn ask(&self, py: Python<'_>) -> bool {
        // Read before: what changes while Python is asked is asked about again.
        let sizes: Vec<usize> = self.lists.iter().map(|(list, _)| list.bind(py).len()).collect();
        let holds =
            self.do_hold.bind(py).call0().and_then(|holds| holds.is_truthy()).unwrap_or_else(|raised| {
                log::error!("the routes could not be looked at: {raised}");
                false
            });
        if holds {
            for ((_, known), size) in self.lists.iter().zip(sizes) {
                known.store(size, Ordering::Relaxed);
            }
        } else if !self.is_over.swap(true, Ordering::Relaxed) {
            log::warn!("routes were changed while serving: from now on FastAPI itself runs every route");
        }
        holds
    }
}
