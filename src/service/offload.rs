//! The way to threads on which work may block.
//!
//! Owns: [`Offload`], a handle. Does not own: the threads (`runtime::offload`).
//! Rule: the queue is bounded; a job that is not taken is given back.

use std::sync::Arc;

/// Work that may block.
pub type BlockingJob = Box<dyn FnOnce() + Send>;

/// What stands behind an [`Offload`].
pub trait OffloadPool: Send + Sync {
    /// Queues a job, or gives it back when the queue is full or the pool has ended.
    ///
    /// # Errors
    /// The job, unrun.
    fn submit(&self, job: BlockingJob) -> Result<(), BlockingJob>;

    /// What the pool is doing.
    fn load(&self) -> OffloadLoad;
}

/// What a pool is doing, at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OffloadLoad {
    /// Jobs waiting.
    pub queued: usize,
    /// Threads running a job.
    pub busy: usize,
    /// Threads alive.
    pub threads: usize,
    /// Threads that there may be.
    pub max_threads: usize,
    /// Jobs that may wait.
    pub max_queued: usize,
    /// Jobs that were run.
    pub completed: u64,
    /// Jobs that were given back, since the queue was full.
    pub refused: u64,
}

/// A handle to a pool, for any thread.
#[derive(Clone)]
pub struct Offload(Arc<dyn OffloadPool>);

impl std::fmt::Debug for Offload {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Offload").field(&self.0.load()).finish()
    }
}

impl Offload {
    /// A handle to `pool`.
    pub fn new(pool: Arc<dyn OffloadPool>) -> Self {
        Offload(pool)
    }

    /// Queues a job.
    ///
    /// # Errors
    /// The job, unrun.
    pub fn submit(&self, job: BlockingJob) -> Result<(), BlockingJob> {
        self.0.submit(job)
    }

    /// What the pool is doing.
    pub fn load(&self) -> OffloadLoad {
        self.0.load()
    }
}
