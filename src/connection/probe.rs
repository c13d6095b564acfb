//! A look at what the parser makes of a request head, for checks that want more than the answer. Part of no ordinary build.

// It drives the server as a test does.
#![allow(clippy::panic)]

use super::{Action, Admission, Input, Room, State, Table};
use crate::config::{Limits, Options, Value};
use crate::http::field::FieldName;
use crate::http::framing::Framing;
use crate::http::request_line::Method;
use crate::http::{Reject, Version};
use crate::trace::{Level, short_trace};
use std::sync::Arc;

/// A complete request head as it was understood.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Head {
    /// The request line without its CRLF.
    pub line: Vec<u8>,
    /// The method.
    pub method: Method,
    /// The request-target.
    pub target: Vec<u8>,
    /// The version.
    pub version: Version,
    /// The field lines: what their names mean, and their values.
    pub fields: Vec<(FieldName, Vec<u8>)>,
    /// How the message is framed.
    pub framing: Framing,
    /// The bytes of the head from the request line on, its last CRLF included.
    pub length: usize,
}

/// What became of some bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// More bytes must come.
    Incomplete,
    /// They are refused.
    Refused(Reject),
    /// They begin with a whole head.
    Complete(Box<Head>),
}

/// A table of one connection that is used again and again.
#[derive(Debug)]
pub struct Probe {
    table: Table<()>,
}

impl Probe {
    /// The size of the receive buffer where no option says otherwise.
    pub const BUFFER_SIZE: usize = 16_384;

    /// A probe with other values for some options.
    #[must_use]
    pub fn new(options: &[(&str, i128)]) -> Self {
        let mut all = Options::new("www", "127.0.0.1");
        for (name, value) in [("max_connections", 1)].iter().chain(options) {
            all.set(name, Value::Integer(*value)).expect("it is in range");
        }
        let config = all.config().expect("the options agree");
        let (tracer, ..) = short_trace(Level::Off, None);
        Self { table: Table::new(config.limits, config.site, Arc::default(), tracer) }
    }

    /// The limits it has.
    #[must_use]
    pub fn limits(&self) -> &Limits {
        &self.table.core.limits
    }

    /// What becomes of these bytes when they come in these pieces.
    pub fn read<'a>(&mut self, pieces: impl IntoIterator<Item = &'a [u8]>) -> Verdict {
        let Admission::Slot(slot) = self.table.admit(None) else { panic!("the slot is free") };
        for piece in pieces {
            self.give(slot, piece);
        }
        let verdict = self.verdict(slot);
        self.table.abandon(slot);
        assert!(matches!(self.table.next_action(slot), Action::Close { .. }), "what is abandoned closes at once");
        self.table.closed(slot);
        self.table.check_invariants();
        assert_eq!(self.table.leases_held(), 0, "everything was given back");
        verdict
    }

    fn give(&mut self, slot: u32, mut bytes: &[u8]) {
        let is_in_head = |state| matches!(state, State::ReadingRequestLine | State::ReadingHeaders);
        while !bytes.is_empty() && is_in_head(self.table.state(slot)) {
            let Room::Buffer(room) = self.table.receive_room(slot) else { panic!("a head has room to be read into") };
            let count = bytes.len().min(room.len());
            assert!(count > 0, "a receive into no room looks like the peer's end");
            room[..count].copy_from_slice(&bytes[..count]);
            bytes = &bytes[count..];
            self.table.receive(slot, Input::Bytes(count));
        }
    }

    fn verdict(&self, slot: u32) -> Verdict {
        let connection = &self.table.connections[slot as usize];
        let request = &connection.request;
        if request.head_length == 0 {
            return request.refusal.map_or(Verdict::Incomplete, Verdict::Refused);
        }
        let bytes = connection.received_bytes();
        let pool = &connection.lease.as_ref().expect("a request is under way").pool;
        let fields = request.fields.iter(pool).map(|field| (field.name, field.value.of(bytes).to_vec()));
        Verdict::Complete(Box::new(Head {
            line: request.line.line.of(bytes).to_vec(),
            method: request.line.method,
            target: request.line.target.of(bytes).to_vec(),
            version: request.line.version,
            fields: fields.collect(),
            framing: request.framing,
            length: request.head_length,
        }))
    }
}
