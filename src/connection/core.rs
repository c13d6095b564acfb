//! What all connections share: the limits, the counters, the leases, the deadlines, the time.

use super::deadlines::{DeadlineKind, Deadlines};
use super::lease::Leases;
use super::recent::Recent;
use super::{State, Time};
use crate::alloc::thread_heap_use;
use crate::canned::CannedAnswers;
use crate::capture::Capture;
use crate::config::{Limits, Site};
use crate::http::date::DateCache;
use crate::http::response_head::MAX_FIXED_HEAD;
use crate::stats::Counters;
use crate::trace::Tracer;
use std::sync::Arc;
use std::time::Duration;

/// How long a closing connection waits for the peer to end.
const LINGER: Duration = Duration::from_secs(1);

/// The time, as the driver tells it.
#[derive(Clone, Copy, Debug, Default)]
pub struct Now {
    /// The clock that never goes back.
    pub time: Time,
    /// Nanoseconds since 1970.
    pub wall_nanoseconds: u64,
}

impl Now {
    /// Whole seconds since 1970.
    #[must_use]
    pub fn wall_seconds(self) -> i64 {
        i64::try_from(self.wall_nanoseconds / 1_000_000_000).unwrap_or(i64::MAX)
    }

    /// Milliseconds since 1970.
    #[must_use]
    pub fn wall_milliseconds(self) -> u64 {
        self.wall_nanoseconds / 1_000_000
    }
}

#[derive(Debug)]
pub(super) struct Core {
    pub(super) limits: Limits,
    pub(super) site: Box<Site>,
    /// The most that the head of any response takes besides a `Location`.
    pub(super) longest_head: usize,
    pub(super) counters: Arc<Counters>,
    pub(super) tracer: Tracer,
    pub(super) leases: Leases,
    pub(super) deadlines: Deadlines,
    /// Kept where the statistics can be asked for.
    pub(super) recent: Option<Box<Recent>>,
    pub(super) date: DateCache,
    pub(super) now: Now,
    /// The answers that were registered.
    pub(super) canned: Box<CannedAnswers>,
    /// Where requests are kept for whoever asks.
    pub(super) capture: Option<Box<Capture>>,
    /// The server stops: what is not being sent is not begun.
    pub(super) stopping: bool,
    /// The server is to be left: every connection ends with its next response, and its health is 503.
    pub(super) draining: bool,
    /// Whether a violated invariant panics; off where a test breaks one on purpose.
    pub(super) panic_on_violation: bool,
    next_number: u64,
    next_unique: u64,
}

impl Core {
    pub(super) fn new(limits: Limits, site: Site, counters: Arc<Counters>, tracer: Tracer) -> Self {
        let nanoseconds = |duration: Duration| u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
        let durations = move |kind| match kind {
            DeadlineKind::Header => nanoseconds(limits.header_timeout),
            DeadlineKind::Keepalive => nanoseconds(limits.keepalive_timeout),
            DeadlineKind::Content => nanoseconds(limits.content_timeout),
            DeadlineKind::Send => nanoseconds(limits.send_timeout),
            DeadlineKind::Linger => nanoseconds(LINGER),
            // Each has its own.
            DeadlineKind::Pause => 0,
        };
        counters.states[State::Free as usize].set(limits.max_connections as u64);
        Self {
            leases: Leases::new(limits.max_connections, limits.buffer_size, limits.pool_size),
            deadlines: Deadlines::new(limits.max_connections, durations),
            recent: site.status_name.as_ref().map(|_| Box::new(Recent::new(limits.max_connections))),
            date: DateCache::new(0),
            now: Now::default(),
            canned: Box::default(),
            capture: None,
            stopping: false,
            draining: false,
            panic_on_violation: cfg!(debug_assertions),
            next_number: 0,
            next_unique: 0,
            longest_head: MAX_FIXED_HEAD + site.head_bytes(),
            site: Box::new(site),
            limits,
            counters,
            tracer,
        }
    }

    pub(super) fn take_number(&mut self) -> u64 {
        self.next_number += 1;
        self.next_number - 1
    }

    /// Everything that was counted, told or kept is forgotten, and the numbers of connections begin anew: what is left is what
    /// is there now.
    pub(super) fn forget(&mut self) {
        self.counters.forget();
        self.tracer.forget();
        self.next_number = 0;
        if let Some(capture) = &mut self.capture {
            capture.clear();
        }
        if let Some(recent) = &mut self.recent {
            recent.forget();
        }
    }

    /// Where the numbers of [`Self::take_unique`] begin.
    pub(super) fn set_seed(&mut self, seed: u64) {
        self.next_unique = seed;
    }

    /// A number that this server has not given before.
    pub(super) fn take_unique(&mut self) -> u64 {
        self.next_unique = self.next_unique.wrapping_add(1);
        self.next_unique
    }

    pub(super) fn heap_calls() -> u64 {
        thread_heap_use().allocations
    }

    /// Counts an invariant check and passes its outcome on.
    pub(super) fn check(&self, holds: bool) -> bool {
        if holds {
            self.counters.invariant_checks_passed.add(1);
        } else {
            self.counters.invariant_violations.add(1);
        }
        holds
    }

    pub(super) fn count_change(&self, from: State, to: State) {
        self.counters.states[from as usize].subtract(1);
        self.counters.states[to as usize].add(1);
        match (from, to) {
            (State::Free, _) => {
                self.counters.total_connections.add(1);
                self.counters.active_connections.add(1);
                self.counters.peak_connections.raise(self.counters.active_connections.get());
            }
            (_, State::Free) => self.counters.active_connections.subtract(1),
            _ => {}
        }
    }
}
