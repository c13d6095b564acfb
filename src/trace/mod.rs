//! What the server says while it runs: records from the loop into a ring, lines out of it on a thread of its own.
//!
//! The loop's side ([`Tracer`]) never allocates, waits or takes a lock. The other side ([`Drain`]) formats and hands the lines to
//! a [`Sink`]: standard output for the program, Python's `logging` for the extension.

mod drain;
mod record;
mod ring;

pub use drain::{Drain, Logger, Sink};
pub use record::{Event, Line, Record};

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};
use std::thread::Thread;

/// How many records the ring holds.
pub const RING_RECORDS: usize = 4096;

/// How important a record is, and how much is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum Level {
    /// Nothing at all.
    Off,
    /// The server broke a rule of its own.
    Error,
    /// Something an operator should know.
    Warn,
    /// Start and stop.
    Info,
    /// The story of every connection.
    Debug,
}

impl Level {
    /// Every level, from the least to the most.
    pub const ALL: [Self; 5] = [Self::Off, Self::Error, Self::Warn, Self::Info, Self::Debug];

    /// The name as an option has it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Off => "off",
            Self::Error => "error",
            Self::Warn => "warn",
            Self::Info => "info",
            Self::Debug => "debug",
        }
    }

    /// The level of that name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|level| level.name() == name)
    }
}

/// What both sides of the ring share beside it.
#[derive(Debug)]
pub struct TraceControl {
    level: AtomicU8,
    dropped: AtomicU64,
    finished: AtomicBool,
}

impl TraceControl {
    /// Sets how much is wanted; the loop takes it up with its next record.
    pub fn set_level(&self, level: Level) {
        self.level.store(level as u8, Ordering::Relaxed);
    }
}

/// The loop's side.
#[derive(Debug)]
pub struct Tracer {
    writer: ring::Writer<Record>,
    control: Arc<TraceControl>,
    reader: Option<Thread>,
    written: bool,
}

/// A ring with its two sides.
#[must_use]
pub fn trace(level: Level) -> (Tracer, Drain, Arc<TraceControl>) {
    let (writer, reader) = ring::ring(RING_RECORDS, Record::EMPTY);
    let control = Arc::new(TraceControl {
        level: AtomicU8::new(level as u8),
        dropped: AtomicU64::new(0),
        finished: AtomicBool::new(false),
    });
    let tracer = Tracer { writer, control: Arc::clone(&control), reader: None, written: false };
    (tracer, Drain::new(reader, Arc::clone(&control)), control)
}

impl Tracer {
    /// The thread to wake when there is something to read.
    pub fn set_reader(&mut self, thread: Thread) {
        self.reader = Some(thread);
    }

    /// Records an event unless its level is off.
    pub fn record(&mut self, connection: Option<u64>, event: Event) {
        self.record_text(connection, event, &[]);
    }

    /// Records an event with its text unless its level is off.
    #[inline]
    pub fn record_text(&mut self, connection: Option<u64>, event: Event, text: &[u8]) {
        if event.level() as u8 <= self.control.level.load(Ordering::Relaxed) {
            self.push(connection, event, text);
        }
    }

    fn push(&mut self, connection: Option<u64>, event: Event, text: &[u8]) {
        if self.writer.push(|record| record.set(connection, event, text)) {
            self.written = true;
        } else {
            // One writer, so a load and a store are enough.
            self.control.dropped.store(self.dropped() + 1, Ordering::Relaxed);
        }
    }

    /// How many records found the ring full.
    #[must_use]
    pub fn dropped(&self) -> u64 {
        self.control.dropped.load(Ordering::Relaxed)
    }

    /// Wakes the reader if something was recorded since the last call.
    pub fn wake_reader(&mut self) {
        if self.written {
            self.written = false;
            if let Some(reader) = &self.reader {
                reader.unpark();
            }
        }
    }
}

impl Drop for Tracer {
    fn drop(&mut self) {
        self.control.finished.store(true, Ordering::Release);
        if let Some(reader) = &self.reader {
            reader.unpark();
        }
    }
}
