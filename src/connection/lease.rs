//! What a request in progress borrows: a receive buffer, a send buffer and a pool.
//!
//! There is one lease for each slot, so taking one never fails; they are handed out last-in-first-out, so that the memory in use
//! stays warm in cache, and an idle connection holds none.

use super::pool::Pool;

/// How much larger a receive buffer is than its limit for heads: room to take in content behind a head that fills it.
pub const CONTENT_ROOM: usize = 512;

/// A receive buffer, a send buffer and a pool.
#[derive(Debug)]
pub struct Lease {
    /// What was received and not yet consumed. As long as the lease has never been taken it is empty, and its memory untouched.
    pub receive: Vec<u8>,
    /// What is to be sent: heads and small contents, gathered. The same.
    pub send: Vec<u8>,
    /// The request's memory.
    pub pool: Pool,
}

/// All leases, the free ones on a stack.
#[derive(Debug)]
pub struct Leases {
    free: Vec<Lease>,
    total: usize,
    buffer_size: usize,
}

impl Leases {
    /// Takes all memory that requests will ever use. Buffers are cleared when they are first used: a start that cleared them all
    /// would take the time for it, and the system the memory, however few of them are ever used.
    #[must_use]
    pub fn new(count: usize, buffer_size: usize, pool_size: usize) -> Self {
        let lease = || Lease {
            receive: Vec::with_capacity(buffer_size + CONTENT_ROOM),
            send: Vec::with_capacity(buffer_size),
            pool: Pool::new(pool_size),
        };
        let mut free = Vec::with_capacity(count);
        free.extend(std::iter::repeat_with(lease).take(count));
        Self { free, total: count, buffer_size }
    }

    /// The lease that was given back last.
    pub fn take(&mut self) -> Option<Lease> {
        let mut lease = self.free.pop()?;
        if lease.receive.is_empty() {
            // Within what was taken at the start, so that the heap is not asked.
            lease.receive.resize(self.buffer_size + CONTENT_ROOM, 0);
            lease.send.resize(self.buffer_size, 0);
        }
        Some(lease)
    }

    /// Takes a lease back. The stack has room for every lease, so this allocates nothing.
    pub fn give_back(&mut self, lease: Lease) {
        debug_assert!(self.free.len() < self.total);
        self.free.push(lease);
    }

    /// How many leases are out.
    #[must_use]
    pub fn held(&self) -> usize {
        self.total - self.free.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::alloc::thread_heap_use;

    #[test]
    fn leases_come_back_last_in_first_out_without_heap() {
        let mut leases = Leases::new(2, 2048, 256);
        let before = thread_heap_use();
        let (first, second) = (leases.take().expect("two are free"), leases.take().expect("one is free"));
        assert!(leases.take().is_none());
        assert_eq!(leases.held(), 2);
        let address = first.receive.as_ptr();
        leases.give_back(second);
        leases.give_back(first);
        let again = leases.take().expect("two are free");
        assert_eq!(again.receive.as_ptr(), address);
        leases.give_back(again);
        assert_eq!(leases.held(), 0);
        assert_eq!(thread_heap_use(), before);
    }
}
