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
    /// What was received and not yet consumed.
    pub receive: Box<[u8]>,
    /// What is to be sent: heads and small contents, gathered.
    pub send: Box<[u8]>,
    /// The request's memory.
    pub pool: Pool,
}

/// All leases, the free ones on a stack.
#[derive(Debug)]
pub struct Leases {
    free: Vec<Lease>,
    total: usize,
}

impl Leases {
    /// Takes all memory that requests will ever use.
    #[must_use]
    pub fn new(count: usize, buffer_size: usize, pool_size: usize) -> Self {
        let lease = || Lease {
            receive: vec![0; buffer_size + CONTENT_ROOM].into_boxed_slice(),
            send: vec![0; buffer_size].into_boxed_slice(),
            pool: Pool::new(pool_size),
        };
        let mut free = Vec::with_capacity(count);
        free.extend(std::iter::repeat_with(lease).take(count));
        Self { free, total: count }
    }

    /// The lease that was given back last.
    pub fn take(&mut self) -> Option<Lease> {
        self.free.pop()
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
