//! What the server must keep to from turn to turn, seen from outside: nobody waits longer than a limit allows, no deadline comes
//! early, and an idle connection holds no buffer.

use super::plan::nanoseconds;
use crate::canned::Wait;
use crate::config::Limits;
use crate::connection::State;
use crate::stats::{Counters, Timeout};

/// How far the time that the driver tells within a turn may stand apart from the turn's beginning, in nanoseconds.
const SLACK: u64 = 1_000_000;
/// A closing connection's time, in nanoseconds.
const LINGER: u64 = 1_000_000_000;

/// What was last seen of one slot.
#[derive(Clone, Copy, Debug)]
struct Seen {
    state: State,
    /// When that state was first seen, leaps left out.
    since: u64,
    /// When it was accepted, or bytes last went out.
    output_at: u64,
    /// The same, leaps left out.
    steady_output_at: u64,
    /// When anything at all last moved, leaps left out.
    moved_at: u64,
    /// It surely holds no lease.
    idle: bool,
    /// What a registered answer waits for since something last moved.
    pause: Option<Wait>,
}

#[derive(Debug)]
pub(super) struct Watch {
    seen: Vec<Seen>,
    limits: Limits,
    /// How far the clock has leapt in all. While the server sleeps through a deadline it may find that bytes have come in time, so
    /// that lateness is told by a clock that does not leap.
    leapt: u64,
    /// The receive buffers that were ever seen.
    buffers: Vec<usize>,
    /// The most slots at a time that may have held a lease.
    most_busy: usize,
    /// How many timeouts of each kind were seen to fire.
    pub(super) timeouts: [u64; Timeout::ALL.len()],
}

impl Watch {
    pub(super) fn new(limits: Limits) -> Self {
        let seen = Seen {
            state: State::Free,
            since: 0,
            output_at: 0,
            steady_output_at: 0,
            moved_at: 0,
            idle: true,
            pause: None,
        };
        let slots = limits.max_connections;
        Self {
            seen: vec![seen; slots],
            limits,
            leapt: 0,
            // Taken beforehand, so that the watch itself needs no heap between two calls.
            buffers: Vec::with_capacity(slots + 1),
            most_busy: 0,
            timeouts: [0; Timeout::ALL.len()],
        }
    }

    pub(super) fn clock_leaps(&mut self, nanoseconds: u64) {
        self.leapt += nanoseconds;
    }

    pub(super) fn accepted(&mut self, slot: u32, now: u64) {
        let state = State::ReadingRequestLine;
        let steady = now - self.leapt;
        self.seen[slot as usize] = Seen {
            state,
            since: steady,
            output_at: now,
            steady_output_at: steady,
            moved_at: steady,
            idle: true,
            pause: None,
        };
    }

    pub(super) fn received(&mut self, slot: u32, now: u64) {
        self.seen[slot as usize].moved_at = now - self.leapt;
    }

    pub(super) fn sent(&mut self, slot: u32, now: u64) {
        let seen = &mut self.seen[slot as usize];
        (seen.output_at, seen.steady_output_at, seen.moved_at) = (now, now - self.leapt, now - self.leapt);
        seen.pause = None;
    }

    /// What it was told to wait for has come, or it never was.
    pub(super) fn goes_on(&mut self, slot: u32, now: u64) {
        let seen = &mut self.seen[slot as usize];
        if seen.pause.take().is_some() {
            seen.moved_at = now - self.leapt;
        }
    }

    /// It waits as it was told to.
    pub(super) fn pauses(&mut self, slot: u32, wait: Wait) {
        self.seen[slot as usize].pause = Some(wait);
    }

    pub(super) fn rests(&mut self, slot: u32, idle: bool) {
        self.seen[slot as usize].idle = idle;
    }

    pub(super) fn closed(&mut self, slot: u32) {
        (self.seen[slot as usize].idle, self.seen[slot as usize].pause) = (true, None);
    }

    /// A connection is given a buffer to receive into. They are handed out last-in-first-out, so that there are never more of them
    /// than connections that were busy at one time.
    pub(super) fn receives_into(&mut self, slot: u32, buffer: usize) {
        self.seen[slot as usize].idle = false;
        let busy = self.seen.iter().filter(|seen| !seen.idle).count();
        self.most_busy = self.most_busy.max(busy);
        // Cursors move inside a buffer; what is told apart is the buffer, and each is larger than 2 KiB.
        let span = self.limits.buffer_size + 1024;
        if !self.buffers.iter().any(|known| known.abs_diff(buffer) < span) {
            self.buffers.push(buffer);
        }
    }

    /// A deadline passed: it must be one that was due. Returns whether it was a timeout that the statistics count.
    pub(super) fn expired(&mut self, slot: u32, now: u64, counters: &Counters) -> bool {
        let seen = &mut self.seen[slot as usize];
        seen.moved_at = now - self.leapt;
        for kind in Timeout::ALL {
            let count = counters.timeouts[kind as usize].get();
            if count == self.timeouts[kind as usize] {
                continue;
            }
            assert_eq!(count, self.timeouts[kind as usize] + 1, "one deadline counts once");
            self.timeouts[kind as usize] = count;
            let limit = nanoseconds(match kind {
                Timeout::Header => self.limits.header_timeout,
                Timeout::Keepalive => self.limits.keepalive_timeout,
                Timeout::Content => self.limits.content_timeout,
                Timeout::Send => self.limits.send_timeout,
            });
            let waited = now - seen.output_at;
            assert!(waited + SLACK >= limit, "the {} timeout came after {waited} of {limit} ns", kind.name());
            return true;
        }
        false
    }

    /// The end of a turn, for one slot.
    pub(super) fn turn_ends(&mut self, slot: u32, state: State, wants_input: bool, now: u64) {
        let limits = self.limits;
        let now = now - self.leapt;
        let seen = &mut self.seen[slot as usize];
        if seen.state != state {
            (seen.state, seen.since) = (state, now);
        }
        let (from, limit) = match state {
            State::Free => return,
            State::ReadingRequestLine | State::ReadingHeaders if wants_input => {
                // First for the first byte of a request, then for the rest of its head.
                let idle = limits.keepalive_timeout.max(limits.header_timeout);
                (seen.steady_output_at, nanoseconds(idle) + nanoseconds(limits.header_timeout))
            }
            State::ReadingContent if wants_input => {
                (seen.since.max(seen.steady_output_at), nanoseconds(limits.content_timeout))
            }
            State::Closing => (seen.since, LINGER),
            State::Processing | State::SendingResponse if seen.pause == Some(Wait::ForEver) => return,
            State::Processing | State::SendingResponse if let Some(Wait::For(nanoseconds)) = seen.pause => {
                (seen.moved_at, nanoseconds)
            }
            _ => (seen.moved_at, nanoseconds(limits.send_timeout)),
        };
        let waited = now.saturating_sub(from);
        assert!(waited <= limit + SLACK, "slot {slot} waits in {} for {waited} of {limit} ns", state.name());
    }

    /// Whether idle connections gave their buffers back, as far as can be seen.
    pub(super) fn check_leases(&self) {
        let (buffers, busy) = (self.buffers.len(), self.most_busy);
        assert!(buffers <= busy, "{buffers} buffers were in use, though never more than {busy} connections were busy");
    }
}
