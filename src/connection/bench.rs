//! Entry points to what is private, for the micro-benchmarks in `benches`. Part of no released build.

// It drives the server as a test does.
#![allow(clippy::panic)]

use super::{Admission, Connection, Input, Room, State, Table};
use crate::config::Options;
use crate::trace::{Level, trace};
use std::sync::Arc;

/// A table of which one connection is used again and again. Nothing is logged.
#[derive(Debug)]
pub struct Bench {
    table: Table<()>,
    slot: u32,
}

impl Default for Bench {
    fn default() -> Self {
        let config = Options::new("www", "127.0.0.1").config().expect("the defaults agree");
        let (tracer, ..) = trace(Level::Off);
        let mut table = Table::new(config.limits, config.site, Arc::default(), tracer);
        let Admission::Slot(slot) = table.admit(None) else { panic!("every slot is free") };
        Self { table, slot }
    }
}

impl Bench {
    /// Receives a whole request head and does all that the connection does before the answer: the request begins, its
    /// lines are found, taken apart and kept, its framing is decided, the state changes twice. Then it is forgotten, as
    /// after its response. Returns the number of field lines, none where the head is refused.
    pub fn read_head(&mut self, head: &[u8]) -> usize {
        let Room::Buffer(room) = self.table.receive_room(self.slot) else { panic!("a head has room to be read into") };
        room[..head.len()].copy_from_slice(head);
        self.table.receive(self.slot, Input::Bytes(head.len()));
        let Table { core, connections, .. } = &mut self.table;
        let connection = &mut connections[self.slot as usize];
        let fields = connection.request.fields.len();
        let is_complete = connection.state == State::Processing && connection.request.refusal.is_none();
        connection.end_request(core);
        self.put_back();
        let Table { core, connections, .. } = &mut self.table;
        connections[self.slot as usize].rest(core);
        if is_complete { fields } else { 0 }
    }

    /// Changes the state, with everything that belongs to a change, and puts the old one back.
    pub fn change_state(&mut self) {
        let Table { core, connections, .. } = &mut self.table;
        connections[self.slot as usize].transition(core, State::ReadingHeaders);
        self.put_back();
    }

    /// Checks the invariants of the connection once.
    pub fn check_invariants(&mut self) {
        let Table { core, connections, .. } = &mut self.table;
        connections[self.slot as usize].check_invariants(core);
    }

    /// How many invariants did not hold.
    #[must_use]
    pub fn violations(&self) -> u64 {
        self.table.counters().invariant_violations.get()
    }

    /// Past the table of legal changes: no connection goes this way.
    fn put_back(&mut self) {
        let Table { core, connections, .. } = &mut self.table;
        let Connection { state, .. } = &mut connections[self.slot as usize];
        core.count_change(*state, State::ReadingRequestLine);
        *state = State::ReadingRequestLine;
    }
}
