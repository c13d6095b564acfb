//! What the server counts, and how a reader gets a consistent copy without ever making the loop wait.
//!
//! The loop is the only writer: a counter is a relaxed load and store, no read-modify-write. Around each turn of the loop stands
//! a sequence lock ([`Published::begin_turn`], [`Published::end_turn`]); a reader copies between two turns. All that a turn sent
//! is counted before the turn ends, so that a copy taken after a client has read its response includes that response (P6).

pub mod export;
mod histogram;
mod published;
mod report;

pub(crate) use report::Grouped;

pub use histogram::{BUCKETS, bucket_bounds, bucket_of};
pub use published::{Published, Sheet};

use crate::connection::State;
use crate::http::{Code, Reject, Status};
use crate::sync::{self, AtomicU64, Ordering};

/// A number that one thread writes and any thread reads.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    /// Adds; only the loop may.
    pub fn add(&self, amount: u64) {
        self.0.store(sync::own_u64(&self.0).wrapping_add(amount), Ordering::Relaxed);
    }

    /// Subtracts; only the loop may.
    pub fn subtract(&self, amount: u64) {
        self.0.store(sync::own_u64(&self.0).wrapping_sub(amount), Ordering::Relaxed);
    }

    /// Sets; only the loop may.
    pub fn set(&self, value: u64) {
        self.0.store(value, Ordering::Relaxed);
    }

    /// Raises to `value` where that is more; only the loop may.
    pub fn raise(&self, value: u64) {
        if value > sync::own_u64(&self.0) {
            self.set(value);
        }
    }

    /// The value now.
    #[must_use]
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// The kinds of timeout that the statistics tell apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Timeout {
    /// The head was not complete in time, or nothing came at all.
    Header,
    /// A persistent connection stayed idle.
    Keepalive,
    /// The content was not complete in time.
    Content,
    /// The peer did not read our response.
    Send,
}

impl Timeout {
    /// Every kind, in the order of the statistics.
    pub const ALL: [Self; 4] = [Self::Header, Self::Keepalive, Self::Content, Self::Send];

    /// The name in the statistics.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Header => "header",
            Self::Keepalive => "keepalive",
            Self::Content => "content",
            Self::Send => "send",
        }
    }
}

macro_rules! statistics {
    (scalars { $($(#[$doc:meta])* $scalar:ident,)* } arrays { $($(#[$array_doc:meta])* $array:ident: $length:expr,)* }) => {
        /// The numbers themselves.
        #[derive(Debug)]
        pub struct Numbers {
            $($(#[$doc])* pub $scalar: Counter,)*
            $($(#[$array_doc])* pub $array: [Counter; $length],)*
        }

        /// One consistent copy of the numbers.
        #[derive(Clone, Debug, PartialEq, Eq)]
        pub struct Snapshot {
            $($(#[$doc])* pub $scalar: u64,)*
            $($(#[$array_doc])* pub $array: [u64; $length],)*
        }

        impl Default for Numbers {
            fn default() -> Self {
                Self {
                    $($scalar: Counter::default(),)*
                    $($array: std::array::from_fn(|_| Counter::default()),)*
                }
            }
        }

        impl Numbers {
            /// The names of the scalars, in the order of the table.
            pub(crate) const SCALARS: &'static [&'static str] = &[$(stringify!($scalar),)*];

            /// The scalars now, in the same order.
            fn scalars(&self) -> [u64; Self::SCALARS.len()] {
                [$(self.$scalar.get(),)*]
            }

        }

        impl From<&Snapshot> for Numbers {
            /// The numbers of a copy, for who reads live ones.
            fn from(copy: &Snapshot) -> Self {
                let numbers = Self::default();
                $(numbers.$scalar.set(copy.$scalar);)*
                $(for (mine, theirs) in numbers.$array.iter().zip(copy.$array) {
                    mine.set(theirs);
                })*
                numbers
            }
        }

        impl Sheet for Numbers {
            type Copy = Snapshot;

            fn copy(&self) -> Snapshot {
                Snapshot {
                    $($scalar: self.$scalar.get(),)*
                    $($array: std::array::from_fn(|index| self.$array[index].get()),)*
                }
            }

            fn take_over(&self, live: &Self) {
                $(self.$scalar.set(live.$scalar.get());)*
                $(for (mine, theirs) in self.$array.iter().zip(&live.$array) {
                    mine.set(theirs.get());
                })*
            }
        }
    };
}

statistics! {
    scalars {
        /// Answers given, refusals included.
        total_requests,
        /// Connections accepted into a slot.
        total_connections,
        /// Bytes received from peers, the drained ones included.
        bytes_received,
        /// Bytes handed to the kernel for peers.
        bytes_sent,
        /// Requests that ended and so emptied their pool, answered or not.
        pool_resets,
        /// Pool bytes used by all those requests together.
        pool_usage_total,
        /// Requests that needed more than their pool had.
        pool_overflows,
        /// Newcomers that got a 503 for want of a slot or a descriptor.
        connections_refused,
        /// Idle persistent connections closed to make room for a newcomer.
        connections_reclaimed,
        /// Files that were shorter, or could no longer be read, when they were sent.
        files_truncated,
        /// File answers that needed no open.
        file_cache_hits,
        /// File answers that opened their file.
        file_cache_misses,
        /// Log records that found the ring full.
        log_records_dropped,
        /// Heap allocations of the loop's thread since "Server ready".
        malloc_calls,
        /// Heap frees of the loop's thread since "Server ready".
        free_calls,
        /// Invariant checks that held.
        invariant_checks_passed,
        /// Invariant checks that did not.
        invariant_violations,
        /// Connections in any state but FREE.
        active_connections,
        /// The most of them at one time.
        peak_connections,
        /// The most pool bytes that one request used.
        peak_pool_usage,
        /// Heap bytes that the loop's thread holds beyond those at "Server ready".
        heap_bytes,
        /// Requests whose latency was recorded.
        latency_count,
        /// The sum of all recorded latencies, in nanoseconds.
        latency_total,
    }
    arrays {
        /// Answers by status, in the order of [`Status::ALL`].
        responses: Status::COUNT,
        /// Answers with another code, which were registered, by that code; 0 where what was sent has no status line of ours.
        other_responses: Code::LIMIT,
        /// Refused requests by reason, in the order of [`Reject::ALL`].
        rejects: Reject::COUNT,
        /// Timeouts by kind, in the order of [`Timeout::ALL`].
        timeouts: Timeout::ALL.len(),
        /// Connections by state, in the order of [`State::ALL`]; FREE counts free slots.
        states: State::ALL.len(),
        /// Requests by latency, from the first byte of the request until its response was handed over to be sent.
        latency: BUCKETS,
    }
}

/// The live numbers of a server.
pub type Counters = Published<Numbers>;

impl Published<Numbers> {
    /// Sets everything back that counts what has happened. What tells how things are stays, and so do the peaks of now.
    pub fn forget(&self) {
        let (active, states) = (self.active_connections.get(), self.states.each_ref().map(Counter::get));
        self.take_over(&Numbers::default());
        self.active_connections.set(active);
        self.peak_connections.set(active);
        for (counter, value) in self.states.iter().zip(states) {
            counter.set(value);
        }
    }

    /// Counts an answer by its status.
    pub fn count_response(&self, code: Code) {
        match code {
            Code::Own(status) => self.responses[status as usize].add(1),
            Code::Other(number) => {
                if let Some(counter) = self.other_responses.get(usize::from(number)) {
                    counter.add(1);
                }
            }
        }
    }

    /// Records the time from the first byte of a request until its response was handed over to be sent.
    pub fn record_latency(&self, nanoseconds: u64) {
        self.latency_count.add(1);
        self.latency_total.add(nanoseconds);
        if let Some(bucket) = self.latency.get(bucket_of(nanoseconds)) {
            bucket.add(1);
        }
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use std::sync::Arc;
    use std::sync::atomic::AtomicBool;

    /// Turns that follow each other without a pause: only a published copy can be had.
    #[test]
    fn a_snapshot_of_a_loop_that_never_rests_is_published_and_is_not_old() {
        let counters = Arc::new(Counters::default());
        let writer = Arc::clone(&counters);
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let before = Arc::new(AtomicU64::new(0));
        let told = Arc::clone(&before);
        counters.begin_turn();
        let thread = std::thread::spawn(move || {
            while !stopped.load(Ordering::Relaxed) {
                writer.total_requests.add(1);
                writer.bytes_sent.add(3);
                told.store(writer.total_requests.get(), Ordering::Release);
                writer.end_turn();
                writer.begin_turn();
            }
        });
        for _ in 0..200 {
            let least = before.load(Ordering::Acquire);
            let copy = counters.snapshot();
            assert!(copy.total_requests >= least);
            assert_eq!(copy.bytes_sent, 3 * copy.total_requests);
        }
        stop.store(true, Ordering::Relaxed);
        thread.join().expect("the writer does not panic");
    }

    #[test]
    fn a_snapshot_never_sees_half_a_turn() {
        let counters = Arc::new(Counters::default());
        let writer = Arc::clone(&counters);
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let thread = std::thread::spawn(move || {
            while !stopped.load(Ordering::Relaxed) {
                writer.begin_turn();
                writer.total_requests.add(1);
                writer.bytes_sent.add(3);
                writer.latency[BUCKETS - 1].add(1);
                writer.end_turn();
                std::thread::yield_now();
            }
        });
        for _ in 0..2000 {
            let copy = counters.snapshot();
            assert_eq!(copy.bytes_sent, 3 * copy.total_requests);
            assert_eq!(copy.latency[BUCKETS - 1], copy.total_requests);
        }
        stop.store(true, Ordering::Relaxed);
        thread.join().expect("the writer does not panic");
    }
}
