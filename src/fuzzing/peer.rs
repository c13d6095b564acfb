//! A peer of [`super::driver`] and its socket, in memory.

use std::collections::VecDeque;

/// A peer and its socket.
#[derive(Debug, Default)]
pub(super) struct Peer {
    pub(super) slot: Option<u32>,
    /// Everything that it ever sent.
    pub(super) sent: Vec<u8>,
    /// What has not arrived yet; and what has, in the pieces that it is received in.
    pub(super) pending: Vec<u8>,
    pub(super) incoming: VecDeque<Vec<u8>>,
    pub(super) window: Option<usize>,
    pub(super) ended: bool,
    pub(super) is_reset: bool,
    pub(super) readable: bool,
    pub(super) received: u64,
    /// Everything that it was sent.
    pub(super) stream: Vec<u8>,
    pub(super) shut_down: bool,
    pub(super) closed: bool,
    /// How many answers were begun for it.
    pub(super) begun: u64,
    /// The inodes of the files that were looked up for it, in order.
    pub(super) looked_up: Vec<u64>,
    /// Something cut it short.
    pub(super) disturbed: bool,
}

impl Peer {
    /// How many of so many bytes the kernel takes now.
    pub(super) fn room(&self, wanted: usize) -> usize {
        if self.is_reset { 0 } else { self.window.map_or(wanted, |window| window.min(wanted)) }
    }

    pub(super) fn take(&mut self, bytes: &[u8]) {
        self.stream.extend_from_slice(bytes);
    }
}
