//! One connection as a state machine without I/O: bytes and the time go in, actions come out.
//!
//! It knows no socket, clock or file system, so that the event loop and the simulator drive the same code. One function,
//! [`Connection::transition`], changes the state; it consults the table and checks the invariants, in release builds too.

mod access;
mod answering;
#[cfg(feature = "bench")]
#[doc(hidden)]
pub mod bench;
mod canned;
mod capturing;
#[cfg(test)]
mod cases;
mod content;
mod core;
mod deadlines;
mod field_table;
mod in_memory;
mod invariants;
mod lease;
mod listing;
mod pool;
#[cfg(any(test, fuzzing))]
pub(crate) mod probe;
mod reading;
mod recent;
mod replying;
mod sending;
mod state;
mod statistics;
mod table;
mod validator;

pub use self::core::Now;
pub use answering::{FileFacts, OpenError, Opened};
pub use deadlines::Deadlines;
pub use in_memory::{Content, InMemory, KEPT_FIELDS_BYTES, KeptFields};
pub use lease::{CONTENT_ROOM, Leases};
pub use listing::Listed;
pub use pool::Pool;
pub use sending::{Action, FileName};
pub use state::State;
pub use table::{Admission, Input, Room, Table};

use self::core::Core;
use crate::http::Reject;
use crate::http::chunked::ChunkedDecoder;
use crate::http::framing::Framing;
use crate::http::line::LineScanner;
use crate::http::negotiation::Codings;
use crate::http::request_line::RequestLine;
use crate::trace::Event;
use answering::Lookup;
use canned::Registered;
use content::Reply;
use deadlines::DeadlineKind;
use field_table::FieldTable;
use lease::Lease;
use pool::PoolSlice;
use std::net::SocketAddr;

/// A point on a clock that never goes back, in nanoseconds since some start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Time(pub u64);

impl Time {
    /// So many nanoseconds later.
    #[must_use]
    pub const fn after(self, nanoseconds: u64) -> Self {
        Self(self.0.saturating_add(nanoseconds))
    }

    /// The nanoseconds since `earlier`, none where that is later.
    #[must_use]
    pub const fn since(self, earlier: Self) -> u64 {
        self.0.saturating_sub(earlier.0)
    }
}

/// A request as far as it is known. Its memory is in the lease's pool.
#[derive(Debug, Default)]
struct Request {
    scanner: LineScanner,
    empty_lines: u8,
    line: RequestLine,
    fields: FieldTable,
    framing: Framing,
    /// The bytes of the head, its last CRLF included; 0 until it is complete.
    head_length: usize,
    /// The bytes of content that a Content-Length still promises.
    remaining: u64,
    decoder: ChunkedDecoder,
    /// How much of its content was captured.
    kept_content: usize,
    refusal: Option<Reject>,
    /// It is answered as one that is not understood.
    is_refused: bool,
    lookup: Lookup,
    /// The content codings that may take the place of the file.
    codings: Codings,
    /// The room in the send buffer that the answer wants besides what every answer does.
    room_wanted: usize,
    /// The file was opened to bring its content into memory.
    was_opened: bool,
    /// The size that no range of the request lies in.
    unsatisfied_size: u64,
    /// The decoded name, the index file's name where a directory is meant, and a NUL.
    path: Option<PoolSlice<u8>>,
    /// The bytes of the decoded name alone.
    name_length: usize,
    /// Where the NUL behind the name to open is.
    name_end: usize,
}

/// A slot and the connection in it. `F` is an open file.
#[derive(Debug)]
pub struct Connection<F> {
    state: State,
    slot: u32,
    generation: u32,
    number: u64,
    /// Where it comes from; a peer of a Unix socket has no address.
    peer: Option<SocketAddr>,
    accepted_at: Time,
    heap_calls_at_accept: u64,
    lease: Option<Lease>,
    /// The receive buffer: everything before `consumed` belongs to requests that are over, everything before `scanned` has been
    /// looked at, everything before `filled` has been received.
    consumed: usize,
    scanned: usize,
    filled: usize,
    /// The send buffer: what lies between the two is still to be sent.
    output_start: usize,
    output_end: usize,
    request: Request,
    reply: Option<Reply<F>>,
    /// The answer that was registered for the request, if one was.
    registered: Option<Registered>,
    /// Whether the first byte of a request has come and its response is not complete.
    in_request: bool,
    received_at: Time,
    request_started_at: Time,
    requests: u64,
    responses: u64,
    /// The bytes received and handed to the kernel since it was accepted.
    received: u64,
    sent: u64,
    /// The peer has closed its sending side.
    input_ended: bool,
    /// In CLOSING: whether to wait for the peer's end, so that no reset destroys the answer.
    linger: bool,
    /// In CLOSING: the peer is to see a reset.
    resets: bool,
    shut_down: bool,
    drained: usize,
}

impl<F> Connection<F> {
    fn new(slot: u32) -> Self {
        Self {
            state: State::Free,
            slot,
            generation: 0,
            number: 0,
            peer: None,
            accepted_at: Time::default(),
            heap_calls_at_accept: 0,
            lease: None,
            consumed: 0,
            scanned: 0,
            filled: 0,
            output_start: 0,
            output_end: 0,
            request: Request::default(),
            reply: None,
            registered: None,
            in_request: false,
            received_at: Time::default(),
            request_started_at: Time::default(),
            requests: 0,
            responses: 0,
            received: 0,
            sent: 0,
            input_ended: false,
            linger: false,
            resets: false,
            shut_down: false,
            drained: 0,
        }
    }

    /// The state it is in.
    #[must_use]
    pub fn state(&self) -> State {
        self.state
    }

    fn accept(&mut self, core: &mut Core, peer: Option<SocketAddr>) {
        *self = Self {
            generation: self.generation,
            number: core.take_number(),
            peer,
            accepted_at: core.now.time,
            heap_calls_at_accept: Core::heap_calls(),
            ..Self::new(self.slot)
        };
        if let Some(recent) = &mut core.recent {
            recent.opened(self.slot);
        }
        self.record(core, Event::Accepted(peer));
        self.transition(core, State::ReadingRequestLine);
    }

    fn free(&mut self, core: &mut Core) {
        self.remember_end(core);
        self.record(core, Event::Closed);
        let milliseconds = core.now.time.since(self.accepted_at) / 1_000_000;
        self.record(core, Event::Lifetime(milliseconds, Core::heap_calls().wrapping_sub(self.heap_calls_at_accept)));
        self.transition(core, State::Free);
        if self.state != State::Free {
            // Found illegal and told; the socket is gone all the same.
            core.count_change(self.state, State::Free);
            self.state = State::Free;
            self.arm(core);
        }
        self.generation = self.generation.wrapping_add(1);
    }

    fn close(&mut self, core: &mut Core, linger: bool) {
        self.linger = linger && !self.input_ended;
        self.transition(core, State::Closing);
    }

    /// The peer's connection is gone: nothing more can be sent or received.
    fn lost(&mut self, core: &mut Core) {
        self.input_ended = true;
        self.linger = false;
        if !matches!(self.state, State::Closing | State::Free) {
            self.record(core, Event::PeerReset);
            self.close(core, false);
        }
    }

    /// Changes the state, the only way there is.
    fn transition(&mut self, core: &mut Core, to: State) {
        let from = self.state;
        if !core.check(from.may_become(to)) {
            return self.violate(core, "transition_is_legal");
        }
        self.state = to;
        core.count_change(from, to);
        match (from, to) {
            (_, State::Free) | (State::ReadingRequestLine, State::ReadingHeaders) => {}
            (State::Free, _) => self.record(core, Event::Entered(to)),
            _ => self.record(core, Event::Changed(from, to)),
        }
        match to {
            State::ReadingRequestLine if from == State::SendingResponse => self.end_request(core),
            State::Closing => self.give_back(core),
            _ => {}
        }
        self.arm(core);
        self.check_invariants(core);
    }

    fn arm(&mut self, core: &mut Core) {
        let kind = match self.state {
            State::Free => return core.deadlines.disarm(self.slot),
            // Armed by the first byte of the head and running until its end.
            State::ReadingHeaders => return,
            State::ReadingRequestLine if self.responses > 0 && !self.in_request => DeadlineKind::Keepalive,
            State::ReadingRequestLine => DeadlineKind::Header,
            State::ReadingContent => DeadlineKind::Content,
            // The request is there in time. Its answer may wait for its turn, and for what the peer has not taken of those before.
            State::Processing | State::SendingResponse => DeadlineKind::Send,
            State::Closing => DeadlineKind::Linger,
        };
        core.deadlines.arm(self.slot, kind, core.now.time);
    }

    /// The first byte of a request is there.
    fn begin_request(&mut self, core: &mut Core) {
        self.in_request = true;
        self.request_started_at = self.received_at;
        self.requests += 1;
        core.deadlines.arm(self.slot, DeadlineKind::Header, core.now.time);
    }

    /// The request is over, answered or not: its memory is free again.
    fn end_request(&mut self, core: &mut Core) {
        self.log_access(core);
        self.capture(core);
        self.remember_answer(core);
        self.reply = None;
        if self.registered.is_some() {
            self.registered = None;
        }
        self.request = Request::default();
        self.consumed = self.scanned;
        if let Some(lease) = &mut self.lease {
            let freed = lease.pool.reset();
            if self.in_request {
                core.counters.pool_resets.add(1);
                core.counters.pool_usage_total.add(freed as u64);
                core.counters.peak_pool_usage.raise(freed as u64);
                self.record(core, Event::PoolReset(freed));
            }
        }
        self.in_request = false;
    }

    /// Gives everything back that the connection holds.
    fn give_back(&mut self, core: &mut Core) {
        self.end_request(core);
        self.output_start = 0;
        self.output_end = 0;
        self.release_lease(core);
    }

    fn release_lease(&mut self, core: &mut Core) {
        (self.consumed, self.scanned, self.filled) = (0, 0, 0);
        if let Some(lease) = self.lease.take() {
            core.leases.give_back(lease);
        }
    }

    fn has_output(&self) -> bool {
        self.output_start < self.output_end
    }

    fn record(&self, core: &mut Core, event: Event) {
        core.tracer.record(Some(self.number), event);
    }

    /// What has been received of the current request and what follows it.
    fn received_bytes(&self) -> &[u8] {
        self.lease.as_ref().and_then(|lease| lease.receive.get(self.consumed..self.filled)).unwrap_or_default()
    }
}
