//! The monoio runtime: N worker threads, each with its own listener, serving one [`Service`] each.
//!
//! Owns: threads, sockets, timers, buffers, shutdown. Does not own: HTTP (`http1`), what is answered (`service`).
//! Rule: monoio is named here and nowhere else; a read in flight is never dropped; every wait has a deadline or a waker.
//! Threads: a worker's state never leaves it; [`StopHandle`] and the offload pool are for any thread.

mod accept;
mod brake;
mod buffers;
mod caught;
mod clock;
mod config;
mod connection;
mod control;
mod guest;
mod listen;
mod nudge;
mod offload;
#[cfg(target_os = "linux")]
mod ring;
mod signal;
mod slots;
mod stream;
mod worker;

pub use brake::Brake;
pub use config::{
    available_cores, usable_driver, Bind, Driver, DriverChoice, RuntimeConfig, StartError, Timeouts,
};
pub use control::StopHandle;

use crate::service::{Offload, ServiceFactory};
use control::Control;
use listen::SocketFile;
use offload::Pool;
use std::sync::Arc;
use std::thread::JoinHandle;
use worker::WorkerPlan;

/// A started server. Dropping it does not stop it.
#[derive(Debug)]
pub struct RunningServer {
    control: Arc<Control>,
    threads: Vec<JoinHandle<bool>>,
    pool: Arc<Pool>,
    addresses: Vec<String>,
    files: Vec<SocketFile>,
    driver: Driver,
}

/// Binds, starts the workers, and returns while they start up. See [`RunningServer::wait_started`].
///
/// # Errors
/// The configuration cannot be served: nothing was started.
pub fn start<F: ServiceFactory>(config: RuntimeConfig, factory: Arc<F>) -> Result<RunningServer, StartError> {
    let driver = config::probe(config.driver)?;
    let workers = if config.workers == 0 { available_cores() } else { config.workers };
    let bound = listen::bind(&config, workers)?;
    let addresses = bound.addresses.clone();
    let control = Control::new(workers);
    let enter = factory.clone();
    let pool = Pool::new(config.offload_threads, config.offload_queue, move |run| enter.enter_thread(run));
    let own_pool = |worker: usize| {
        let (enter, share) = (factory.clone(), |total: usize| total.div_ceil(workers));
        Pool::new(share(config.offload_threads), share(config.offload_queue), move |run| {
            enter.enter_own_pool(worker, run);
        })
    };
    let mut threads = Vec::with_capacity(workers);
    for (index, sockets) in bound.per_worker.into_iter().enumerate() {
        let own_pool = factory.has_own_pools().then(|| own_pool(index));
        let plan = WorkerPlan {
            index,
            workers,
            driver,
            sockets,
            config: config.clone(),
            control: control.clone(),
            offload: Offload::new(own_pool.clone().unwrap_or_else(|| pool.clone())),
            own_pool,
        };
        let factory = factory.clone();
        let spawned = std::thread::Builder::new()
            .stack_size(offload::STACK_BYTES)
            .name(format!("turboapi-{index}"))
            .spawn(move || worker::run(plan, &*factory));
        match spawned {
            Ok(thread) => threads.push(thread),
            Err(error) => {
                control.fail(StartError::Thread(error.to_string()));
                break;
            }
        }
    }
    Ok(RunningServer { control, threads, pool, addresses, files: bound.files, driver })
}

impl RunningServer {
    /// Waits until every worker accepts, or the start has failed (then all workers have ended, or soon will).
    ///
    /// # Errors
    /// Why nothing is served.
    pub fn wait_started(&self) -> Result<(), StartError> {
        self.control.wait_started()
    }

    /// Where it listens: `127.0.0.1:8000` or `unix:/path`.
    pub fn addresses(&self) -> &[String] {
        &self.addresses
    }

    /// The driver that the workers run on.
    pub fn driver(&self) -> Driver {
        self.driver
    }

    /// How many workers there are.
    pub fn workers(&self) -> usize {
        self.threads.len()
    }

    /// The way to stop it, for any thread.
    pub fn stop_handle(&self) -> StopHandle {
        StopHandle::new(self.control.clone())
    }

    /// The pool for work that may block.
    pub fn offload(&self) -> Offload {
        Offload::new(self.pool.clone())
    }

    /// Waits until every thread has ended.
    ///
    /// # Errors
    /// A worker thread panicked; the text says which.
    pub fn join(self) -> Result<(), String> {
        let mut fault = None;
        for (index, thread) in self.threads.into_iter().enumerate() {
            if !thread.join().unwrap_or(false) {
                fault = Some(format!("worker {index} died"));
            }
        }
        self.pool.end(offload::END_GRACE);
        self.files.iter().for_each(SocketFile::remove);
        fault.map_or(Ok(()), Err)
    }
}
