//! A table with a driver that answers every name with one small file, for the tests of this module.

use super::*;
use crate::config::{Options, Value};
use crate::connection::FileFacts;
use crate::trace::{Drain, Level, Logger, Sink, trace};
use std::fmt;

/// A table with a driver that answers every name with one small file, one that begins with a bracket with a directory, and
/// sends nothing until it is told to.
pub(in crate::connection) struct TestTable {
    pub(in crate::connection) table: Table<u32>,
    drain: Option<Drain>,
    pub(in crate::connection) sent: Vec<u8>,
}

/// The content of every file.
const CONTENT: &[u8] = b"hello\n";

/// A table of four slots with one connection.
pub(in crate::connection) fn table() -> (TestTable, u32) {
    table_with("buffer_size", 16_384)
}

/// The same with another value for one option.
pub(in crate::connection) fn table_with(option: &str, value: i128) -> (TestTable, u32) {
    table_of(&[(option, Value::Integer(value))])
}

/// The same with other values for some options.
pub(in crate::connection) fn table_of(values: &[(&str, Value)]) -> (TestTable, u32) {
    let mut options = Options::new("www", "127.0.0.1");
    for (option, value) in [("max_connections", Value::Integer(4))].iter().chain(values) {
        options.set(option, value.clone()).expect("it is in range");
    }
    let config = options.config().expect("the options agree");
    let (tracer, drain, _) = trace(Level::Debug);
    let mut test = TestTable {
        table: Table::new(config.limits, config.site, Arc::default(), tracer),
        drain: Some(drain),
        sent: Vec::with_capacity(1 << 16),
    };
    // Its files were changed long ago.
    test.table.set_now(Now { time: Time(0), wall_nanoseconds: 1_800_000_000_000_000_000 });
    let Admission::Slot(slot) = test.table.admit(None) else { panic!("four slots are free") };
    (test, slot)
}

struct Lines(Vec<String>);

impl Sink for Lines {
    fn line(&mut self, _: Level, _: Logger, text: fmt::Arguments<'_>) {
        self.0.push(text.to_string());
    }
}

impl TestTable {
    pub(in crate::connection) fn feed(&mut self, slot: u32, bytes: &[u8]) {
        let Room::Buffer(room) = self.table.receive_room(slot) else { panic!("it wants input") };
        room[..bytes.len()].copy_from_slice(bytes);
        self.table.receive(slot, Input::Bytes(bytes.len()));
    }

    /// Does what the connection asks for, until it is in `state` or has nothing more to do.
    pub(in crate::connection) fn run_until(&mut self, slot: u32, state: State) {
        while self.table.state(slot) != state && self.step(slot) {}
    }

    pub(in crate::connection) fn step(&mut self, slot: u32) -> bool {
        match self.table.next_action(slot) {
            Action::Wait => return false,
            Action::Open { name, .. } if name.bytes().starts_with(b"[") => {
                self.table.opened(slot, Ok(Opened::Directory(2)))
            }
            Action::Open { .. } => {
                let facts = FileFacts { size: CONTENT.len() as u64, ..FileFacts::default() };
                self.table.opened(slot, Ok(Opened::File(1, facts, None)));
            }
            Action::ReadFile { offset, into, .. } => {
                let rest = &CONTENT[usize::try_from(offset).expect("it is small")..];
                let count = rest.len().min(into.len());
                into[..count].copy_from_slice(&rest[..count]);
                self.table.file_read(slot, count);
            }
            Action::List { .. } => self.table.listed(slot, Listed::End),
            Action::Send { bytes, .. } => {
                self.sent.extend_from_slice(bytes);
                let count = bytes.len();
                self.table.sent(slot, count);
            }
            Action::SendRegistered { head, content } => {
                self.sent.extend_from_slice(head);
                self.sent.extend_from_slice(content);
                let count = head.len() + content.len();
                self.table.sent(slot, count);
            }
            Action::SendFile { .. } => panic!("the file is small"),
            Action::ShutDownSending => {}
            Action::Close { .. } => {
                self.table.closed(slot);
                return false;
            }
        }
        true
    }

    /// Runs the connection until its slot is free, as if the peer had ended.
    pub(in crate::connection) fn finish(&mut self, slot: u32) {
        if self.table.state(slot) != State::Free {
            self.table.receive(slot, Input::End);
        }
        while self.step(slot) {}
    }

    /// Everything that was logged. Ends the log.
    pub(in crate::connection) fn lines(&mut self) -> Vec<String> {
        let (unused, ..) = trace(Level::Off);
        drop(std::mem::replace(self.table.tracer(), unused));
        let mut lines = Lines(Vec::new());
        if let Some(drain) = self.drain.take() {
            drain.run(&mut lines, "www");
        }
        lines.0
    }
}

#[test]
fn one_closing_request_tells_the_story_of_the_design() {
    let (mut test, slot) = table();
    test.feed(slot, b"GET /index.html HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    while test.step(slot) {}
    assert_eq!(test.table.state(slot), State::Free);
    let expected = [
        "New connection from unix:",
        "State: READING_REQUEST_LINE",
        "Read 56 bytes, buffer: 56/16384",
        "Parsed: GET /index.html HTTP/1.1",
        "State: READING_HEADERS → PROCESSING",
        "Headers parsed: 2 headers, used 142 bytes pool",
        "State: PROCESSING → SENDING_RESPONSE",
        "Serving file: www/index.html (6 bytes)",
        "Sent 6 bytes",
        "State: SENDING_RESPONSE → CLOSING",
        "Pool reset, 142 bytes freed",
        "Connection closed",
        "Total lifetime: 0ms, heap allocs: 0",
    ];
    assert_eq!(test.lines(), expected);
}

#[test]
fn pipelined_requests_are_answered_in_one_write() {
    let (mut test, slot) = table();
    let one = b"GET /a HTTP/1.1\r\nHost: a\r\n\r\n";
    test.feed(slot, &one.repeat(10));
    let mut writes = 0;
    loop {
        if matches!(test.table.next_action(slot), Action::Send { .. }) {
            writes += 1;
        }
        if !test.step(slot) {
            break;
        }
    }
    assert_eq!(writes, 1);
    assert_eq!(memchr::memmem::find_iter(&test.sent, "HTTP/1.1 200 OK\r\n").count(), 10);
    assert_eq!(memchr::memmem::find_iter(&test.sent, "\r\n\r\nhello\n").count(), 10);
}

#[test]
fn a_whole_head_that_waits_for_its_turn_is_not_timed_out() {
    let (mut test, slot) = table();
    let at = |test: &mut TestTable, seconds: u64| {
        test.table.set_now(Now { time: Time(seconds * 1_000_000_000), ..Now::default() });
    };
    test.feed(slot, b"GET /a HTTP/1.1\r\n");
    test.run_until(slot, State::ReadingHeaders);
    at(&mut test, 20);
    test.feed(slot, b"Host: a\r\n\r\n");
    test.run_until(slot, State::Processing);
    // The end of the header timeout, and of the send timeout, which runs since the head was whole.
    for (seconds, expired) in [(30, None), (50, Some(slot))] {
        at(&mut test, seconds);
        assert_eq!(test.table.expire(), expired, "after {seconds} s");
    }
    assert_eq!(test.table.state(slot), State::Closing);
    assert_eq!(test.table.counters().timeouts.each_ref().map(|count| count.get()), [0, 0, 0, 1]);
}
