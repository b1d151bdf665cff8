//! The bytes of one connection, on their way in and out.
//!
//! Owns: the read buffer, a read in flight, the output. Does not own: what the bytes mean.
//! Rule (`bounded_memory`): an idle connection keeps one small buffer; a large one is given back. A read in flight is
//! never dropped while the connection goes on.

use crate::bytes_ext::OutBuf;
use crate::runtime::buffers::Pieces;
use crate::runtime::clock::Clock;
use crate::runtime::slots::{Phase, Slot};
use crate::runtime::stream::{Duplex, Transport};
use bytes::{Buf, BytesMut};
use std::future::{poll_fn, Future};
use std::io;
use std::pin::{pin, Pin};
use std::task::{Context, Poll};
use std::time::Duration;

/// Bytes read at once while a connection sends heads. Small: it is what an idle connection costs, of which it is a third
/// and more. Most heads fit; a longer one takes another read.
pub const READ_BYTES: usize = 3 * 1024;

/// Bytes read at once while a body is coming.
pub const BODY_READ_BYTES: usize = 64 * 1024;

/// An output buffer larger than this is given back when the connection is idle.
const KEPT_OUTPUT_BYTES: usize = 4 * 1024;

type ReadFuture = Pin<Box<dyn Future<Output = (io::Result<usize>, BytesMut)>>>;

/// One connection's bytes.
pub struct Wire<T> {
    /// What was read and is not used yet.
    pub input: BytesMut,
    /// What is to be written.
    pub out: OutBuf,
    stream: Duplex<T>,
    in_flight: Option<ReadFuture>,
    /// The input buffer has grown beyond what an idle connection may keep.
    is_large: bool,
    /// Reads in a row that found bytes without waiting.
    unwaited: u32,
}

impl<T: Transport> Wire<T> {
    pub fn new(stream: T) -> Self {
        Wire {
            input: BytesMut::new(),
            out: OutBuf::default(),
            stream: Duplex::new(stream),
            in_flight: None,
            is_large: false,
            unwaited: 0,
        }
    }

    /// The stream itself.
    pub fn stream(&self) -> &Duplex<T> {
        &self.stream
    }

    /// Reads in a row that did not have to wait: above some, others should have their turn.
    pub fn take_unwaited(&mut self, above: u32) -> bool {
        let is_above = self.unwaited > above;
        if is_above {
            self.unwaited = 0;
        }
        is_above
    }

    /// Reads once, behind what is in the input; `wanted` is how much room to have for it. 0: the peer sends no more.
    pub async fn read(&mut self, wanted: usize) -> io::Result<usize> {
        let (result, buffer) = match self.in_flight.take() {
            Some(in_flight) => in_flight.await,
            None => {
                let buffer = self.take_input(wanted);
                let mut reading = pin!(self.stream.read(buffer));
                let mut has_waited = false;
                let done = poll_fn(|cx| {
                    let polled = reading.as_mut().poll(cx);
                    has_waited |= polled.is_pending();
                    polled
                })
                .await;
                self.unwaited = if has_waited { 0 } else { self.unwaited + 1 };
                done
            }
        };
        self.put_input(buffer);
        result
    }

    /// As [`Wire::read`], for a task that waits for other things too: the read stays in flight between calls.
    pub fn poll_read(&mut self, wanted: usize, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        let mut in_flight = match self.in_flight.take() {
            Some(in_flight) => in_flight,
            None => {
                let buffer = if self.input.is_empty() {
                    self.take_input(wanted)
                } else {
                    BytesMut::with_capacity(wanted)
                };
                Box::pin(self.stream.read(buffer))
            }
        };
        match in_flight.as_mut().poll(cx) {
            Poll::Ready((result, buffer)) => {
                self.put_input(buffer);
                Poll::Ready(result)
            }
            Poll::Pending => {
                self.in_flight = Some(in_flight);
                Poll::Pending
            }
        }
    }

    fn take_input(&mut self, wanted: usize) -> BytesMut {
        let mut buffer = std::mem::take(&mut self.input);
        // What is left of a buffer is used up to its last quarter, so that small pieces do not each keep a large one.
        if buffer.capacity() - buffer.len() < (wanted / 4).min(BODY_READ_BYTES / 4) {
            buffer.reserve(wanted);
            self.is_large |= buffer.capacity() > READ_BYTES;
        }
        buffer
    }

    fn put_input(&mut self, buffer: BytesMut) {
        if self.input.is_empty() {
            self.input = buffer;
        } else {
            self.input.extend_from_slice(&buffer);
            self.is_large = true;
        }
    }

    /// Gives back what an idle connection need not keep.
    pub fn shrink(&mut self) {
        if self.is_large && self.input.is_empty() {
            self.input = BytesMut::new();
            self.is_large = false;
        }
        if self.out.is_empty() && self.out.tail.capacity() > KEPT_OUTPUT_BYTES {
            self.out = OutBuf::default();
        }
    }

    /// Gives back every buffer that is empty and not being read into.
    pub fn release(&mut self) {
        if self.input.is_empty() {
            self.input = BytesMut::new();
            self.is_large = false;
        }
        if self.out.is_empty() {
            self.out = OutBuf::default();
        }
    }

    /// Writes all of the output. The peer must take some of it within each `timeout`.
    pub async fn flush(&mut self, slot: &Slot, clock: &Clock, timeout: Duration) -> io::Result<()> {
        while !self.out.is_empty() {
            if self.out.is_contiguous() {
                let mut tail = std::mem::take(&mut self.out.tail);
                while tail.has_remaining() {
                    slot.wait_for(Phase::Write, Some(clock.read() + timeout));
                    let (result, back) = self.stream.write(tail).await;
                    tail = back;
                    match progress(result)? {
                        // Clearing, unlike advancing, gives the whole buffer back.
                        written if written == tail.len() => tail.clear(),
                        written => tail.advance(written),
                    }
                }
                self.out.tail = tail;
            } else {
                let mut pieces = Pieces::take(&mut self.out);
                while !pieces.is_empty() {
                    slot.wait_for(Phase::Write, Some(clock.read() + timeout));
                    let (result, back) = self.stream.writev(pieces).await;
                    pieces = back;
                    pieces.advance(progress(result)?);
                }
            }
        }
        Ok(())
    }
}

fn progress(result: io::Result<usize>) -> io::Result<usize> {
    match result? {
        0 => Err(io::Error::from(io::ErrorKind::WriteZero)),
        written => Ok(written),
    }
}
