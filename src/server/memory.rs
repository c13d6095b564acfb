//! Promise P2: the memory as a sum that is known at start.

use crate::config::Config;
use crate::connection::{Pool, Table};
use crate::file::{OpenFile, Root};
use crate::net::EventLoop;
use crate::stats::Grouped;
use crate::trace::ring_bytes;
use std::fmt::{self, Display, Formatter};

/// Every term of the memory that a server takes, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MemoryPlan {
    /// How many connections there can be.
    pub connections: usize,
    /// One receive buffer.
    pub receive_buffer: usize,
    /// One send buffer.
    pub send_buffer: usize,
    /// One pool, with what bumpalo needs to keep it.
    pub pool: usize,
    /// One slot: the connection's own fields, its deadline, and its place on two stacks.
    pub slot: usize,
    /// Sockets, ready queue, events and scratch memory of the loop.
    pub tables: usize,
    /// The record of connections, where the statistics can be asked for over HTTP.
    pub record: usize,
    /// The hot-file cache.
    pub cache: usize,
    /// The log ring, and that of the access log where it is on.
    pub log_ring: usize,
}

impl MemoryPlan {
    /// The sum that these options lead to.
    #[must_use]
    pub fn of(config: &Config) -> Self {
        let limits = &config.limits;
        let (receive_buffer, send_buffer) = Table::<OpenFile>::buffer_bytes(limits);
        Self {
            connections: limits.max_connections,
            receive_buffer,
            send_buffer,
            pool: Pool::heap_bytes(limits.pool_size),
            slot: Table::<OpenFile>::slot_bytes(),
            tables: EventLoop::table_bytes(config),
            record: Table::<OpenFile>::record_bytes(limits, &config.site),
            cache: Root::cache_bytes(config.cache_size),
            log_ring: ring_bytes(config.access_log.is_some()),
        }
    }

    /// Asks the system for as much as all of it and gives it back, so that too much is an error and not the end of the process.
    ///
    /// # Errors
    /// The system has not so much. The text names the options that ask for it, and first the one that asks for most.
    pub fn probe(&self, config: &Config) -> Result<(), String> {
        // The allocator keeps a little for itself with every piece.
        let most = self.total().saturating_add(self.total() / 16);
        let mut memory: Vec<u8> = Vec::new();
        memory.try_reserve_exact(most).map_err(|_| {
            let (limits, buffers) = (&config.limits, self.receive_buffer + self.send_buffer);
            let lower = match self.connections.saturating_mul(buffers + self.pool) {
                all if all <= self.cache => "cache_size",
                _ if self.pool > buffers => "pool_size or max_connections",
                _ => "buffer_size or max_connections",
            };
            format!(
                "there is no memory for {} bytes: max_connections {} times buffer_size {}, twice, and pool_size {}, besides \
                 cache_size {}; lower {lower}",
                Grouped(most as u64),
                limits.max_connections,
                limits.buffer_size,
                limits.pool_size,
                config.cache_size
            )
        })
    }

    /// Asks for what the threads take of the heap when they begin, and gives it back to where they will look for it: a thread that
    /// finds nothing ends the process, and their stacks may be the last that the system has.
    ///
    /// # Errors
    /// There is no memory left.
    pub fn probe_for_threads() -> Result<(), String> {
        // Less than what the allocator hands back to the system (M_TRIM_THRESHOLD is 128 KiB).
        const THREADS: usize = 96 * 1024;
        let mut memory: Vec<u8> = Vec::new();
        memory.try_reserve_exact(THREADS).map_err(|_| {
            format!(
                "there is no memory for {} bytes: the threads need so much beside the rest",
                Grouped(THREADS as u64)
            )
        })?;
        std::hint::black_box(memory.as_mut_ptr());
        Ok(())
    }

    /// All of it.
    #[must_use]
    pub fn total(&self) -> usize {
        self.connections.saturating_mul(self.receive_buffer + self.send_buffer + self.pool + self.slot)
            + self.tables
            + self.record
            + self.cache
            + self.log_ring
    }
}

impl Display for MemoryPlan {
    fn fmt(&self, out: &mut Formatter<'_>) -> fmt::Result {
        let grouped = |bytes: usize| Grouped(bytes as u64);
        write!(
            out,
            "Memory: {} × (receive buffer {} + send buffer {} + pool {} + slot {}) + tables {} + ",
            grouped(self.connections),
            grouped(self.receive_buffer),
            grouped(self.send_buffer),
            grouped(self.pool),
            grouped(self.slot),
            grouped(self.tables),
        )?;
        if self.record > 0 {
            write!(out, "record of connections {} + ", grouped(self.record))?;
        }
        let (cache, log_ring, total) = (grouped(self.cache), grouped(self.log_ring), grouped(self.total()));
        write!(out, "cache {cache} + log ring {log_ring} = {total} bytes")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::alloc::thread_heap_use;
    use crate::config::{Options, Value};
    use crate::file::Root;
    use crate::net::listen;
    use crate::trace::{Level, trace_with_access};
    use std::sync::Arc;

    #[test]
    fn the_sum_is_what_is_taken() {
        for (connections, pool_size, access_log, status_path) in [
            (1_i128, 256_i128, "off", "none"),
            (128, 4096, "json", "none"),
            (1000, 10_000, "off", "none"),
            (1, 256, "off", "/status"),
            (20_000, 256, "off", "/status"),
        ] {
            let mut options = Options::new(".", "127.0.0.1");
            options.set("max_connections", Value::Integer(connections)).expect("it is in range");
            options.set("pool_size", Value::Integer(pool_size)).expect("it is in range");
            options.set("access_log", Value::Text(access_log.into())).expect("it is a format");
            if status_path != "none" {
                options.set("status_path", Value::Text(status_path.into())).expect("it is a path");
            }
            let config = options.config().expect("they agree");
            let plan = MemoryPlan::of(&config).total();
            let (listener, _) = listen("127.0.0.1", 0).expect("loopback can be bound");
            let before = thread_heap_use();
            let root = Root::open(".").expect("it is a directory");
            let (tracer, drain, control) = trace_with_access(Level::Off, config.access_log);
            let built = EventLoop::new(&config, listener, root, Arc::default(), tracer).expect("the system gives it");
            let of_heap = usize::try_from(thread_heap_use().since(before).net_bytes).expect("memory was taken");
            let taken = of_heap + config.cache_size;
            assert!(taken <= plan + 4096, "{taken} bytes were taken, {plan} were planned");
            assert!(taken + taken / 50 >= plan, "{plan} bytes were planned, only {taken} taken");
            drop((built, drain, control));
            let left = thread_heap_use().since(before).net_bytes;
            assert_eq!(left, 0, "everything was given back");
        }
    }
}
