//! All slots and what they share: the one thing that a driver (the event loop, the simulator) holds and calls.

use super::core::{Core, Now};
use super::deadlines::{DeadlineKind, Deadlines};
use super::lease::Lease;
use super::recent::Recent;
use super::sending::Step;
use super::{Action, CONTENT_ROOM, Connection, InMemory, Listed, OpenError, Opened, State, Time};
use crate::canned::CannedAnswers;
use crate::capture::Capture;
use crate::config::{Limits, Site};
use crate::http::Reject;
use crate::http::response_head::MAX_FIXED_HEAD;
use crate::stats::{Counters, Timeout};
use crate::trace::{Event, Tracer};
use std::net::SocketAddr;
use std::sync::Arc;

/// What came of receiving.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Input {
    /// So many bytes, at least one, were put where [`Table::receive_room`] said.
    Bytes(usize),
    /// So many bytes, at least one, were received and thrown away, as [`Table::receive_room`] said.
    Drained(usize),
    /// Nothing is there now.
    Nothing,
    /// The peer has closed its sending side.
    End,
    /// The connection is gone.
    Lost,
}

/// Where received bytes go.
#[derive(Debug)]
pub enum Room<'a> {
    /// Nowhere: do not receive.
    None,
    /// Here.
    Buffer(&'a mut [u8]),
    /// Away: nothing follows but the close.
    Drain,
}

/// What becomes of a newcomer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Admission {
    /// It has this slot.
    Slot(u32),
    /// This idle connection makes room: run it until it is closed, then ask again.
    Reclaim(u32),
    /// There is no slot.
    Refuse,
}

/// All slots and what they share.
#[derive(Debug)]
pub struct Table<F> {
    pub(super) core: Core,
    pub(super) connections: Box<[Connection<F>]>,
    pub(super) free: Vec<u32>,
}

impl<F> Table<F> {
    /// Takes all memory that connections will ever use.
    #[must_use]
    pub fn new(limits: Limits, site: Site, counters: Arc<Counters>, tracer: Tracer) -> Self {
        let slots = u32::try_from(limits.max_connections).unwrap_or(u32::MAX);
        Self {
            core: Core::new(limits, site, counters, tracer),
            connections: (0..slots).map(Connection::new).collect(),
            free: (0..slots).rev().collect(),
        }
    }

    /// The heap memory of one slot, in bytes: its connection and deadline, and its places on the stacks of free slots and leases.
    #[must_use]
    pub fn slot_bytes() -> usize {
        size_of::<Connection<F>>() + Deadlines::heap_bytes(1) + size_of::<u32>() + size_of::<Lease>()
    }

    /// The heap memory of the record of connections, in bytes; none where nobody can ask for it.
    #[must_use]
    pub fn record_bytes(limits: &Limits, site: &Site) -> usize {
        if site.status_name.is_some() { Recent::heap_bytes(limits.max_connections) } else { 0 }
    }

    /// The heap memory of a lease's receive and send buffer, in bytes.
    #[must_use]
    pub fn buffer_bytes(limits: &Limits) -> (usize, usize) {
        (limits.buffer_size + CONTENT_ROOM, limits.buffer_size)
    }

    /// Where the numbers begin that this server uses once: boundaries, and tags of files that have just changed. Random, so that
    /// they cannot be foretold.
    pub fn set_seed(&mut self, seed: u64) {
        self.core.set_seed(seed);
    }

    /// Tells the time; all that follows happens then.
    pub fn set_now(&mut self, now: Now) {
        self.core.now = now;
    }

    /// How many leases are out.
    #[cfg(any(test, fuzzing))]
    pub(crate) fn leases_held(&self) -> usize {
        self.core.leases.held()
    }

    /// Whether the connection in `slot` waits because a registered answer is to.
    #[cfg(any(test, fuzzing))]
    pub(crate) fn is_paused(&self, slot: u32) -> bool {
        self.connections[slot as usize].is_paused()
    }

    /// Whether a violated invariant panics, as it does in debug builds unless told otherwise.
    #[cfg(any(test, fuzzing))]
    pub fn set_panic_on_violation(&mut self, panics: bool) {
        self.core.panic_on_violation = panics;
    }

    /// The log's writing side.
    pub fn tracer(&mut self) -> &mut Tracer {
        &mut self.core.tracer
    }

    /// The numbers that are counted.
    #[must_use]
    pub fn counters(&self) -> &Counters {
        &self.core.counters
    }

    /// How many connections there are.
    #[must_use]
    pub fn active(&self) -> usize {
        self.connections.len() - self.free.len()
    }

    /// The state of the connection in `slot`.
    #[must_use]
    pub fn state(&self, slot: u32) -> State {
        self.connections[slot as usize].state()
    }

    /// What names the connection in `slot`, and no other that ever was or will be there.
    #[must_use]
    pub fn token(&self, slot: u32) -> u64 {
        u64::from(self.connections[slot as usize].generation) << 32 | u64::from(slot)
    }

    /// The slot of a token, if its connection is still there. An event for another is stale.
    #[must_use]
    pub fn slot_of(&self, token: u64) -> Option<u32> {
        let slot = u32::try_from(token & u64::from(u32::MAX)).ok()?;
        let connection = self.connections.get(slot as usize)?;
        let is_current = u64::from(connection.generation) == token >> 32;
        if !is_current {
            return None;
        }
        // A generation ends with its connection, so a current one belongs to a connection that is there.
        self.core.check(connection.state != State::Free).then_some(slot)
    }

    /// Finds a slot for a newcomer, or room for one.
    pub fn admit(&mut self, peer: Option<SocketAddr>) -> Admission {
        if let Some(slot) = self.free.pop() {
            self.connections[slot as usize].accept(&mut self.core, peer);
            return Admission::Slot(slot);
        }
        let Some(slot) = self.core.deadlines.oldest(DeadlineKind::Keepalive) else { return Admission::Refuse };
        let connection = &mut self.connections[slot as usize];
        connection.record(&mut self.core, Event::Reclaimed);
        self.core.counters.connections_reclaimed.add(1);
        connection.close(&mut self.core, false);
        Admission::Reclaim(slot)
    }

    /// A newcomer got a 503 of so many bytes and nothing else, for this reason.
    pub fn refused(&mut self, peer: Option<SocketAddr>, reject: Reject, sent: usize) {
        let number = self.core.take_number();
        let counters = &self.core.counters;
        counters.connections_refused.add(1);
        counters.total_requests.add(1);
        counters.count_response(reject.status().into());
        counters.rejects[reject as usize].add(1);
        counters.bytes_sent.add(sent as u64);
        self.core.tracer.record(Some(number), Event::Refused(peer, reject));
        self.core.log_refused(number, peer, reject, sent);
    }

    /// Bytes of a refused newcomer were received and thrown away.
    pub fn drained_refused(&mut self, count: usize) {
        self.core.counters.bytes_received.add(count as u64);
    }

    /// Takes over the answers that are registered now, and gives back those that were.
    pub fn set_canned(&mut self, canned: &mut Box<CannedAnswers>) {
        std::mem::swap(&mut self.core.canned, canned);
    }

    /// Whether an answer is registered that may have to wait.
    #[must_use]
    pub fn has_canned(&self) -> bool {
        !self.core.canned.is_empty()
    }

    /// Keeps requests there from now on, and gives back what they were kept in before.
    pub fn set_capture(&mut self, capture: &mut Option<Box<Capture>>) {
        std::mem::swap(&mut self.core.capture, capture);
    }

    /// How many connections are open at both ends, as far as is known.
    #[must_use]
    pub fn open_at_both_ends(&self) -> usize {
        let is_open = |connection: &&Connection<F>| {
            !matches!(connection.state, State::Free | State::Closing) && !connection.input_ended
        };
        self.connections.iter().filter(is_open).count()
    }

    /// Ends every connection, whatever it is doing. Every slot then needs the driver.
    pub fn dismiss_all(&mut self) {
        for connection in &mut self.connections {
            if connection.state == State::Closing {
                connection.linger = false;
            } else if connection.state != State::Free {
                connection.record(&mut self.core, Event::Dismissed);
                connection.close(&mut self.core, false);
            }
        }
    }

    /// Forgets whatever was counted and kept, for whoever begins anew. The numbers of connections do as well.
    pub fn forget(&mut self) {
        self.core.forget();
    }

    /// The longest head that can be registered, in bytes: with what every head has it fits the send buffer.
    #[must_use]
    pub fn max_registered_head(limits: &Limits, site: &Site) -> usize {
        limits.buffer_size.saturating_sub(MAX_FIXED_HEAD + site.head_bytes())
    }

    /// What the answers are made by.
    #[must_use]
    pub fn site(&self) -> &Site {
        &self.core.site
    }

    /// Whether bytes of the peer are of use now.
    #[must_use]
    pub fn wants_input(&self, slot: u32) -> bool {
        self.connections[slot as usize].wants_input()
    }

    /// Where bytes of the peer go.
    pub fn receive_room(&mut self, slot: u32) -> Room<'_> {
        let connection = &mut self.connections[slot as usize];
        if !connection.wants_input() {
            return Room::None;
        }
        if connection.drains_input() {
            return Room::Drain;
        }
        connection.receive_room(&mut self.core).map_or(Room::None, Room::Buffer)
    }

    /// What came of receiving.
    pub fn receive(&mut self, slot: u32, input: Input) {
        let (connection, core) = (&mut self.connections[slot as usize], &mut self.core);
        match input {
            Input::Bytes(count) => {
                core.counters.bytes_received.add(count as u64);
                connection.received += count as u64;
                connection.take_input(core, count);
            }
            Input::Drained(count) => {
                core.counters.bytes_received.add(count as u64);
                connection.drained += count;
                connection.received += count as u64;
            }
            Input::Nothing => connection.rest(core),
            Input::End => connection.input_ended = true,
            Input::Lost => connection.lost(core),
        }
    }

    /// What the driver is to do next for `slot`.
    pub fn next_action(&mut self, slot: u32) -> Action<'_, F> {
        loop {
            match self.connections[slot as usize].next_step(&mut self.core) {
                Step::Wait => return Action::Wait,
                Step::Tell => self.reply_with_statistics(slot),
                step => return self.connections[slot as usize].action(step),
            }
        }
    }

    /// What became of [`Action::Open`].
    pub fn opened(&mut self, slot: u32, outcome: Result<Opened<F>, OpenError>) {
        if matches!(outcome, Ok(Opened::File(..))) {
            self.core.counters.file_cache_misses.add(1);
        }
        self.connections[slot as usize].opened(&mut self.core, outcome);
    }

    /// The other thing that may become of [`Action::Open`]: the whole content is in memory.
    pub fn found_in_memory(&mut self, slot: u32, found: InMemory<'_, F>) {
        self.connections[slot as usize].found_in_memory(&mut self.core, found);
    }

    /// What became of [`Action::List`].
    pub fn listed(&mut self, slot: u32, outcome: Listed<'_>) {
        self.connections[slot as usize].listed(outcome);
    }

    /// The other thing that may become of [`Action::List`]: it takes longer.
    pub fn listing_waits(&mut self, slot: u32) {
        self.connections[slot as usize].listing_waits(&mut self.core);
    }

    /// What became of [`Action::Send`] or [`Action::SendRegistered`]: the bytes that the kernel took.
    pub fn sent(&mut self, slot: u32, count: usize) {
        self.connections[slot as usize].sent(&mut self.core, count);
    }

    /// The kernel takes nothing more of `slot` for now.
    pub fn send_blocked(&mut self, slot: u32) {
        self.connections[slot as usize].send_blocked(&mut self.core);
    }

    /// What became of [`Action::SendFile`]: the bytes that the kernel took, none where the file has ended.
    pub fn file_sent(&mut self, slot: u32, count: u64) {
        self.connections[slot as usize].file_sent(&mut self.core, count);
    }

    /// What became of [`Action::ReadFile`]: the bytes read, none where the file has ended.
    pub fn file_read(&mut self, slot: u32, count: usize) {
        self.connections[slot as usize].file_read(&mut self.core, count);
    }

    /// What became of [`Action::Close`]: the slot is free again.
    pub fn closed(&mut self, slot: u32) {
        self.connections[slot as usize].free(&mut self.core);
        self.free.push(slot);
    }

    /// When the next deadline is due.
    #[must_use]
    pub fn next_due(&self) -> Option<Time> {
        self.core.deadlines.next_due()
    }

    /// Handles one deadline that has passed and returns its slot, which then needs the driver.
    pub fn expire(&mut self) -> Option<u32> {
        let (slot, kind) = self.core.deadlines.expire(self.core.now.time)?;
        let (connection, core) = (&mut self.connections[slot as usize], &mut self.core);
        let (timeout, limit) = match kind {
            DeadlineKind::Header => (Timeout::Header, core.limits.header_timeout),
            DeadlineKind::Keepalive => (Timeout::Keepalive, core.limits.keepalive_timeout),
            DeadlineKind::Content => (Timeout::Content, core.limits.content_timeout),
            DeadlineKind::Send => (Timeout::Send, core.limits.send_timeout),
            DeadlineKind::Pause => {
                connection.pause_is_over(core);
                return Some(slot);
            }
            DeadlineKind::Linger => {
                connection.linger = false;
                core.deadlines.arm(slot, kind, core.now.time);
                return Some(slot);
            }
        };
        core.counters.timeouts[timeout as usize].add(1);
        let milliseconds = u64::try_from(limit.as_millis()).unwrap_or(u64::MAX);
        connection.record(core, Event::TimedOut(timeout, milliseconds));
        // No state but FREE is without a deadline, so the one that passed stands until the next state brings its own.
        core.deadlines.arm(slot, kind, core.now.time);
        match (kind, connection.state) {
            (DeadlineKind::Header, _) if connection.in_request => connection.refuse(core, Reject::HeaderTimeout),
            (DeadlineKind::Content, _) => connection.refuse(core, Reject::ContentTimeout),
            _ => connection.close(core, false),
        }
        Some(slot)
    }

    /// Begins the drain, for a balancer that is to send its requests elsewhere: from here on every response ends its connection.
    /// Idle connections stay, newcomers are served. Without effect where it, or the stop, has begun.
    pub fn begin_drain(&mut self) {
        if self.core.draining || self.core.stopping {
            return;
        }
        self.core.draining = true;
        let active = self.active() as u64;
        self.core.tracer.record(None, Event::Draining(active));
    }

    /// Begins the stop: from here on idle and reading connections want to be closed, and responses under way go on. Whoever was
    /// closing has had time. Every slot then needs the driver.
    pub fn begin_stop(&mut self) {
        self.core.stopping = true;
        for connection in &mut self.connections {
            connection.linger &= connection.state != State::Closing;
        }
        let active = self.active() as u64;
        self.core.tracer.record(None, Event::Stopping(active));
    }

    /// Gives up a connection, whatever it is doing.
    pub fn abandon(&mut self, slot: u32) {
        self.connections[slot as usize].lost(&mut self.core);
    }

    /// Checks what concerns all slots together.
    pub fn check_invariants(&mut self) {
        let counters = &self.core.counters;
        let free = counters.states[State::Free as usize].get();
        let in_states: u64 = counters.states.iter().map(crate::stats::Counter::get).sum();
        let checks = [
            ("slots_add_up", free == self.free.len() as u64),
            (
                "states_add_up",
                in_states == self.connections.len() as u64 && in_states - free == counters.active_connections.get(),
            ),
            ("leases_add_up", self.core.leases.held() <= self.active()),
        ];
        for (name, holds) in checks {
            self.hold(name, holds);
        }
        if let Some(recent) = &self.core.recent {
            self.hold("record_adds_up", recent.open_count() as u64 == self.core.counters.active_connections.get());
        }
    }

    /// Counts a check of the server's own, and tells where it does not hold.
    fn hold(&mut self, name: &'static str, holds: bool) {
        if !self.core.check(holds) {
            self.core.tracer.record(None, Event::Violated(name));
            assert!(!self.core.panic_on_violation, "invariant violated: {name}");
        }
    }
}

#[cfg(test)]
pub(super) mod tests;
