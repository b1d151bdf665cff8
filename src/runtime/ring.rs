//! A worker's io_uring.
//!
//! Owns: how large a ring is and which of the kernel's modes it asks for. Does not own: what is submitted (monoio).
//! Rule: a mode that this kernel does not know is left out, and nothing else changes.
//! Spec: io_uring_setup(2).

use monoio::time::TimeDriver;
use monoio::{IoUringDriver, Runtime, RuntimeBuilder};
use std::io;

/// Entries of a ring. More operations than this are submitted in turns.
const ENTRIES: u32 = 1024;

/// Makes a ring for the calling thread, which must be the one that runs it.
///
/// A completion interrupts nobody (`COOP_TASKRUN`, Linux 5.19): the thread that waits for it enters the kernel anyway, and
/// without the flag another core sends it an interrupt for each. That is a quarter of the CPU of a small request
/// (decision 0012). `SINGLE_ISSUER` is of Linux 6.0.
pub fn runtime() -> io::Result<Runtime<TimeDriver<IoUringDriver>>> {
    let mut cooperative = io_uring::IoUring::builder();
    cooperative.setup_single_issuer().setup_coop_taskrun();
    match build(cooperative) {
        Err(error) if error.raw_os_error() == Some(libc::EINVAL) => build(io_uring::IoUring::builder()),
        built => built,
    }
}

fn build(ring: io_uring::Builder) -> io::Result<Runtime<TimeDriver<IoUringDriver>>> {
    RuntimeBuilder::<IoUringDriver>::new().uring_builder(ring).with_entries(ENTRIES).enable_timer().build()
}
