//! The connection table with a client and a driver in memory: call for call what the event loop does, without its
//! system calls.

use pooled_httpd::config::{Config, Options};
use pooled_httpd::connection::{
    Action, Admission, Content, FileFacts, InMemory, Input, KEPT_FIELDS_BYTES, KeptFields, Now, OpenError, Opened,
    Room, State, Table, Time,
};
use pooled_httpd::stats::Counters;
use pooled_httpd::trace::{AccessFormat, Drain, Level, trace_with_access};
use std::convert::Infallible;
use std::sync::Arc;

/// How long a turn takes on the clock that the table is told, in nanoseconds.
const TURN: u64 = 20_000;
/// The time when it all begins, in nanoseconds since 1970.
const START: u64 = 1_700_000_000_000_000_000;

/// A table with its one client.
pub struct Exchange {
    table: Table<Infallible>,
    content: Vec<u8>,
    facts: FileFacts,
    /// What the table keeps beside the content.
    fields: [u8; KEPT_FIELDS_BYTES],
    fields_length: u16,
    now: u64,
    connection: Option<u32>,
    /// What was sent to the client, where that is to be looked at.
    pub kept: Option<Vec<u8>>,
    /// How much was sent to the client, in bytes.
    pub sent: usize,
}

impl Exchange {
    /// A server with one file in memory, and the reading side of its log.
    pub fn new(level: Level, access_log: Option<AccessFormat>, content: Vec<u8>) -> (Self, Drain) {
        let Config { limits, site, .. } = Options::new("www", "127.0.0.1").config().expect("the defaults agree");
        let (tracer, log, _) = trace_with_access(level, access_log);
        let facts = FileFacts { size: content.len() as u64, modified_seconds: 1_690_000_000, identity: (5, START / 2) };
        let mut table = Table::new(limits, site, Arc::<Counters>::default(), tracer);
        table.set_seed(7);
        let kept = Some(Vec::new());
        let fields = [0; KEPT_FIELDS_BYTES];
        (Self { table, content, facts, fields, fields_length: 0, now: 0, connection: None, kept, sent: 0 }, log)
    }

    /// How many requests were answered.
    pub fn answered(&self) -> u64 {
        self.table.counters().total_requests.get()
    }

    /// Whether no record of the log was left out for want of room.
    pub fn has_whole_log(&mut self) -> bool {
        self.table.tracer().dropped() == 0
    }

    /// Whether a connection is open.
    pub fn is_open(&self) -> bool {
        self.connection.is_some()
    }

    /// One turn: the bytes arrive, on a new connection where there is none, and are answered.
    pub fn turn(&mut self, bytes: &[u8]) {
        self.begin_turn();
        let slot = match self.connection {
            Some(slot) => slot,
            None => self.accept(),
        };
        let Room::Buffer(room) = self.table.receive_room(slot) else { panic!("a request has room to be read into") };
        room[..bytes.len()].copy_from_slice(bytes);
        self.table.receive(slot, Input::Bytes(bytes.len()));
        self.answer(slot);
        self.end_turn();
    }

    /// One more turn, in which the client closes its connection.
    pub fn close(&mut self) {
        let Some(slot) = self.connection else { return };
        self.begin_turn();
        self.table.receive(slot, Input::End);
        self.answer(slot);
        self.end_turn();
    }

    fn begin_turn(&mut self) {
        self.table.counters().begin_turn();
        self.now += TURN;
        self.table.set_now(Now { time: Time(self.now), wall_nanoseconds: START + self.now });
    }

    fn end_turn(&mut self) {
        self.table.check_invariants();
        self.table.counters().end_turn();
    }

    fn accept(&mut self) -> u32 {
        let Admission::Slot(slot) = self.table.admit("127.0.0.1:50000".parse().ok()) else { panic!("a slot is free") };
        self.connection = Some(slot);
        slot
    }

    fn answer(&mut self, slot: u32) {
        loop {
            match self.table.next_action(slot) {
                Action::Wait => return,
                Action::Open { name, .. } if name.bytes() == b"index.html" => {
                    let content = Content::Short(&self.content);
                    let fields = KeptFields::new(&mut self.fields, &mut self.fields_length);
                    let found = InMemory { facts: self.facts, coding: None, content, fields, is_new: false };
                    self.table.found_in_memory(slot, found);
                }
                Action::Open { .. } => self.table.opened(slot, Err::<Opened<_>, _>(OpenError::NotFound)),
                Action::Send { bytes, .. } => {
                    if let Some(kept) = &mut self.kept {
                        kept.extend_from_slice(bytes);
                    }
                    let count = bytes.len();
                    self.sent += count;
                    self.now += TURN;
                    self.table.set_now(Now { time: Time(self.now), wall_nanoseconds: START + self.now });
                    self.table.sent(slot, count);
                }
                Action::ShutDownSending => {}
                Action::Close { .. } => {
                    self.table.closed(slot);
                    assert_eq!(self.table.state(slot), State::Free);
                    self.connection = None;
                    return;
                }
                Action::ReadFile { .. }
                | Action::List { .. }
                | Action::SendFile { .. }
                | Action::SendRegistered { .. } => {
                    panic!("nothing is registered, and nothing is read from a file that is in memory")
                }
            }
        }
    }
}
