//! A connection between a client and the server, as the kernel would keep it: two streams of bytes, their ends, and the edges
//! that epoll would tell of.

use super::plan::Faults;
use super::random::Random;
use std::collections::VecDeque;

/// Why a system call came to nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Failure {
    WouldBlock,
    Interrupted,
    Broken,
}

#[derive(Debug, Default)]
pub(super) struct Wire {
    /// Delivered to the server's side and not yet received there.
    incoming: VecDeque<u8>,
    /// The client has closed its sending side.
    pub(super) ended: bool,
    /// The connection is gone.
    pub(super) is_reset: bool,
    /// The client has closed both sides: what comes is answered with a reset.
    pub(super) gone: bool,
    /// Everything that the server ever sent.
    pub(super) stream: Vec<u8>,
    /// How much of it the client has read.
    pub(super) read_to: usize,
    /// How much the kernel keeps for the client before the server has to wait.
    capacity: usize,
    /// The server waits for room.
    blocked: bool,
    /// The server said that nothing but the end follows what it sent.
    pub(super) said_last: bool,
    pub(super) server_shut: bool,
    pub(super) server_closed: bool,
    /// The server closed while it left bytes unread, which resets the connection.
    pub(super) closed_unread: bool,
    /// The server reset the connection as it closed it.
    pub(super) closed_with_reset: bool,
    /// Something changed since epoll last told.
    pub(super) edge: bool,
    /// How many bytes the server has received.
    pub(super) received: usize,
}

impl Wire {
    pub(super) fn new(capacity: usize) -> Self {
        Self { capacity, ..Self::default() }
    }

    pub(super) fn is_readable(&self) -> bool {
        !self.incoming.is_empty() || self.ended || self.is_reset
    }

    pub(super) fn has_ended(&self) -> bool {
        self.ended || self.is_reset
    }

    /// The server receives.
    pub(super) fn receive(&mut self, into: &mut [u8], random: &mut Random, faults: &Faults) -> Result<usize, Failure> {
        if random.chance(faults.interrupted) {
            return Err(Failure::Interrupted);
        }
        if self.is_reset || random.chance(faults.receive_fails) {
            return Err(Failure::Broken);
        }
        if self.incoming.is_empty() {
            return if self.ended { Ok(0) } else { Err(Failure::WouldBlock) };
        }
        // What is held back counts as having come a moment later, which makes an edge of its own.
        if random.chance(faults.receive_would_block) {
            self.edge = true;
            return Err(Failure::WouldBlock);
        }
        let mut count = self.incoming.len().min(into.len());
        if random.chance(faults.partial_receive) {
            count = random.size(1, count);
            self.edge = true;
        }
        for (place, byte) in into.iter_mut().zip(self.incoming.drain(..count)) {
            *place = byte;
        }
        self.received += count;
        Ok(count)
    }

    /// How much of `wanted` bytes the kernel takes now.
    pub(super) fn room(&mut self, wanted: usize, random: &mut Random, faults: &Faults) -> Result<usize, Failure> {
        if random.chance(faults.interrupted) {
            return Err(Failure::Interrupted);
        }
        if self.is_reset || random.chance(faults.send_fails) {
            return Err(Failure::Broken);
        }
        let room = self.capacity.saturating_sub(self.stream.len() - self.read_to);
        if room == 0 {
            self.blocked = true;
            return Err(Failure::WouldBlock);
        }
        if random.chance(faults.send_would_block) {
            self.edge = true;
            return Err(Failure::WouldBlock);
        }
        let count = wanted.min(room);
        Ok(if count > 1 && random.chance(faults.partial_send) { random.size(1, count) } else { count })
    }

    /// The server sends what [`Self::room`] allowed.
    pub(super) fn send(&mut self, bytes: &[u8]) {
        assert!(!self.server_shut, "the server sends after it has shut down its sending side");
        self.stream.extend_from_slice(bytes);
        if self.gone {
            self.is_reset = true;
            self.edge = true;
        }
    }

    /// The server closes its descriptor.
    pub(super) fn close(&mut self, resets: bool) {
        assert!(!self.server_closed, "the server closes a descriptor twice");
        self.closed_unread = !self.incoming.is_empty();
        self.closed_with_reset = resets;
        self.server_shut = true;
        self.server_closed = true;
    }

    /// The client sends.
    pub(super) fn deliver(&mut self, bytes: &[u8]) {
        if !self.server_closed {
            self.incoming.extend(bytes);
            self.edge = true;
        }
    }

    /// The client closes its sending side.
    pub(super) fn end(&mut self) {
        self.ended = true;
        self.edge = true;
    }

    /// The client resets the connection.
    pub(super) fn reset(&mut self) {
        self.is_reset = true;
        self.incoming.clear();
        self.edge = true;
    }

    /// The client reads.
    pub(super) fn read(&mut self, most: usize) {
        let count = most.min(self.stream.len() - self.read_to);
        self.read_to += count;
        if count > 0 && self.blocked {
            self.blocked = false;
            self.edge = true;
        }
    }
}
