//! A piece of a file on its way to the peer, without a copy in this process.
//!
//! Owns: sending a [`FilePart`], waiting for the disk and for the peer. Does not own: what surrounds it (`pending`).
//! Rule (`bounded_memory`): no byte of the file is held here where the kernel can send it by itself (`sendfile`), and one
//! buffer of [`WINDOW_BYTES`] elsewhere. A file that ends too soon tears the response: it never looks whole.
//! Threads: the worker never waits for the disk: what is not in memory is brought there by a thread of the offload pool.

use super::{Connection, MAX_UNWAITED_READS};
use crate::error::{AppFault, ConnError};
use crate::runtime::slots::Phase;
use crate::runtime::stream::Transport;
use crate::service::{Awaited, FilePart, Offload, Service};
use bytes::{Bytes, BytesMut};
use std::future::poll_fn;
use std::io;
use std::os::unix::fs::FileExt;
use std::sync::Arc;

/// Bytes of a file that are looked at, brought into memory and sent at once. nginx sends up to 2 MiB in a row.
const WINDOW_BYTES: u64 = 1024 * 1024;

impl<S: Service, T: Transport> Connection<S, T> {
    /// Sends a piece of a file, behind what was flushed before.
    ///
    /// # Errors
    /// The file has become shorter than it was announced, it cannot be read, or the peer is gone.
    pub(super) async fn send_file(&mut self, part: &FilePart) -> Result<(), ConnError> {
        let left = self.hand_over(part).await?;
        self.copy_file(&left).await
    }

    /// Has the kernel send the file. Gives what is left where it cannot.
    #[cfg(target_os = "linux")]
    async fn hand_over(&mut self, part: &FilePart) -> Result<FilePart, ConnError> {
        use rustix::fs::sendfile;
        use rustix::io::Errno;
        let mut left = part.clone();
        let _unblocked = Unblocked::make(self.wire.stream().borrow_fd())?;
        let mut sent_in_a_row = 0;
        while left.length > 0 {
            if self.slot.is_cut() {
                return Err(io::Error::from(io::ErrorKind::ConnectionAborted).into());
            }
            let window = left.length.min(WINDOW_BYTES);
            if !is_in_memory(&left, window) {
                self.slot.wait_for(Phase::Pending, None);
                bring_into_memory(&self.worker.offload, &left, window).await?;
            }
            let mut offset = left.offset;
            let sent =
                sendfile(self.wire.stream().borrow_fd(), &*left.file, Some(&mut offset), window as usize);
            match sent {
                Ok(0) => return Err(AppFault::FileTooShort.into()),
                Ok(sent) => {
                    left.offset = offset;
                    left.length -= sent as u64;
                    sent_in_a_row += 1;
                    if sent_in_a_row > MAX_UNWAITED_READS {
                        sent_in_a_row = 0;
                        self.worker.turns.pass().await;
                    }
                }
                Err(Errno::AGAIN) => {
                    sent_in_a_row = 0;
                    let until = self.worker.clock.read() + self.worker.config.timeouts.write;
                    self.slot.wait_for(Phase::Write, Some(until));
                    self.wire.stream().writable().await?;
                    if self.slot.has_expired() {
                        return Err(io::Error::from(io::ErrorKind::TimedOut).into());
                    }
                }
                Err(Errno::INTR) => {}
                // A filesystem that the kernel cannot send from.
                Err(Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP) => break,
                Err(error) => return Err(io::Error::from(error).into()),
            }
        }
        Ok(left)
    }

    #[cfg(not(target_os = "linux"))]
    async fn hand_over(&mut self, part: &FilePart) -> Result<FilePart, ConnError> {
        Ok(part.clone())
    }

    /// Reads and writes a window at a time.
    async fn copy_file(&mut self, part: &FilePart) -> Result<(), ConnError> {
        let mut left = part.clone();
        while left.length > 0 {
            if self.slot.is_cut() {
                return Err(io::Error::from(io::ErrorKind::ConnectionAborted).into());
            }
            let window = left.length.min(WINDOW_BYTES / 4);
            self.slot.wait_for(Phase::Pending, None);
            let piece = read_window(&self.worker.offload, &left, window).await?;
            if piece.is_empty() {
                return Err(AppFault::FileTooShort.into());
            }
            left.offset += piece.len() as u64;
            left.length -= piece.len() as u64;
            self.wire.out.push(piece);
            self.flush().await?;
        }
        Ok(())
    }
}

/// A socket that gives `EAGAIN` in place of waiting, for as long as this lives.
///
/// Sockets of the io_uring driver wait; `sendfile` has no flag of its own to say that it must not.
#[cfg(target_os = "linux")]
struct Unblocked<'a> {
    fd: std::os::fd::BorrowedFd<'a>,
    before: rustix::fs::OFlags,
}

#[cfg(target_os = "linux")]
impl<'a> Unblocked<'a> {
    fn make(fd: std::os::fd::BorrowedFd<'a>) -> io::Result<Self> {
        let before = rustix::fs::fcntl_getfl(fd)?;
        rustix::fs::fcntl_setfl(fd, before | rustix::fs::OFlags::NONBLOCK)?;
        Ok(Unblocked { fd, before })
    }
}

#[cfg(target_os = "linux")]
impl Drop for Unblocked<'_> {
    fn drop(&mut self) {
        if let Err(error) = rustix::fs::fcntl_setfl(self.fd, self.before) {
            log::debug!("F_SETFL: {error}");
        }
    }
}

/// Both ends of a window are in memory. Where the system cannot tell, it is taken to be so.
#[cfg(target_os = "linux")]
fn is_in_memory(part: &FilePart, window: u64) -> bool {
    use rustix::io::{preadv2, Errno, ReadWriteFlags};
    [part.offset, part.offset + window - 1].into_iter().all(|offset| {
        let mut byte = [0_u8];
        let mut buffers = [io::IoSliceMut::new(&mut byte)];
        !matches!(preadv2(&*part.file, &mut buffers, offset, ReadWriteFlags::NOWAIT), Err(Errno::AGAIN))
    })
}

/// Reads a window on a thread of the pool, and forgets it: the kernel remembers.
#[cfg(target_os = "linux")]
async fn bring_into_memory(offload: &Offload, part: &FilePart, window: u64) -> io::Result<()> {
    let part = part.clone();
    on_pool(offload, move || {
        let mut scratch = vec![0_u8; 64 * 1024];
        let mut done = 0;
        while done < window {
            let wanted = usize::try_from(window - done).unwrap_or(usize::MAX).min(scratch.len());
            let read = part.file.read_at(&mut scratch[..wanted], part.offset + done)?;
            if read == 0 {
                break;
            }
            done += read as u64;
        }
        Ok(())
    })
    .await
}

/// Reads up to a window on a thread of the pool. Empty: the file ends there.
async fn read_window(offload: &Offload, part: &FilePart, window: u64) -> io::Result<Bytes> {
    let part = part.clone();
    on_pool(offload, move || {
        let mut piece = BytesMut::zeroed(usize::try_from(window).unwrap_or(usize::MAX));
        let read = part.file.read_at(&mut piece, part.offset)?;
        piece.truncate(read);
        Ok(piece.freeze())
    })
    .await
}

/// Runs `work` on a thread of the pool, and waits for it.
async fn on_pool<R: Send + 'static>(
    offload: &Offload,
    work: impl FnOnce() -> io::Result<R> + Send + 'static,
) -> io::Result<R> {
    let errand = Arc::new(Awaited::default());
    let there = errand.clone();
    let job = Box::new(move || there.put(work()));
    if let Err(job) = offload.submit(job) {
        // The pool is full. Waiting for the disk here is better than no answer.
        job();
    }
    poll_fn(|cx| errand.poll(cx)).await
}
