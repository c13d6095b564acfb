//! What the server says while it runs: records from the loop into a ring, lines out of it on a thread of its own.
//!
//! The loop's side ([`Tracer`]) never allocates, waits or takes a lock. The other side ([`Drain`]) formats and hands the lines to
//! a [`Sink`]: standard output for the program, Python's `logging` for the extension. The access log has a ring of its own, made
//! where it is wanted, and may go to a file instead ([`AccessFile`]).

mod access;
mod access_file;
mod access_line;
mod drain;
mod record;
mod ring;
mod story;

pub use access::{ACCESS_RECORDS, Access, AccessFormat, AccessRecord};
pub use access_file::AccessFile;
pub(crate) use access_file::Gathered;
pub use drain::{Drain, Logger, Sink};
pub use record::{Event, Line, Record};
pub use story::{KeepingSink, Story};

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, AtomicUsize, Ordering};
use std::thread::Thread;
use std::time::{Duration, Instant};

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
    /// How often it was asked that everything be handed on, and how many of these are done.
    flushes_asked: AtomicU64,
    flushes_done: AtomicU64,
    /// How many records had been written, and how many dropped, when all that was told was last to be forgotten.
    forgotten: AtomicUsize,
    forgotten_dropped: AtomicU64,
}

impl TraceControl {
    /// Sets how much is wanted; the loop takes it up with its next record.
    pub fn set_level(&self, level: Level) {
        self.level.store(level as u8, Ordering::Relaxed);
    }

    /// Waits, for `limit` at most, until everything that was recorded before the call has been handed on by the reader, which is
    /// that thread.
    pub(crate) fn flush(&self, reader: &Thread, limit: Duration) {
        let ticket = self.flushes_asked.fetch_add(1, Ordering::AcqRel) + 1;
        let deadline = Instant::now() + limit;
        let mut pause = Duration::from_micros(10);
        reader.unpark();
        while self.flushes_done.load(Ordering::Acquire) < ticket && Instant::now() < deadline {
            std::thread::sleep(pause);
            pause = (pause * 2).min(Duration::from_millis(1));
        }
    }

    /// How many records had been written when all that was told was last to be forgotten.
    pub(crate) fn forgotten(&self) -> usize {
        self.forgotten.load(Ordering::Acquire)
    }

    /// Whether so much is wanted.
    fn wants(&self, level: Level) -> bool {
        level as u8 <= self.level.load(Ordering::Relaxed)
    }
}

/// The loop's side.
#[derive(Debug)]
pub struct Tracer {
    writer: ring::Writer<Record>,
    /// None where the access log is off.
    access: Option<ring::Writer<AccessRecord>>,
    control: Arc<TraceControl>,
    reader: Option<Thread>,
    written: bool,
    /// How many dropped records are forgotten.
    dropped_before: u64,
}

/// A ring with its two sides, without an access log.
#[must_use]
pub fn trace(level: Level) -> (Tracer, Drain, Arc<TraceControl>) {
    trace_with_access(level, None)
}

/// A ring with its two sides, and another one for the access log where that is on.
#[must_use]
pub fn trace_with_access(level: Level, format: Option<AccessFormat>) -> (Tracer, Drain, Arc<TraceControl>) {
    trace_of(level, format, RING_RECORDS, ACCESS_RECORDS)
}

/// The same with short rings, for checks that make very many of them.
#[cfg(any(test, fuzzing))]
#[must_use]
pub(crate) fn short_trace(level: Level, format: Option<AccessFormat>) -> (Tracer, Drain, Arc<TraceControl>) {
    trace_of(level, format, 256, 64)
}

fn trace_of(
    level: Level,
    format: Option<AccessFormat>,
    records: usize,
    access_records: usize,
) -> (Tracer, Drain, Arc<TraceControl>) {
    let (writer, reader) = ring::ring(records, Record::EMPTY);
    let access = format.map(|format| (ring::ring(access_records, AccessRecord::EMPTY), format));
    let (access, access_reader) = access.map(|((writer, reader), format)| (writer, (reader, format))).unzip();
    let control = Arc::new(TraceControl {
        level: AtomicU8::new(level as u8),
        dropped: AtomicU64::new(0),
        finished: AtomicBool::new(false),
        flushes_asked: AtomicU64::new(0),
        flushes_done: AtomicU64::new(0),
        forgotten: AtomicUsize::new(0),
        forgotten_dropped: AtomicU64::new(0),
    });
    let tracer =
        Tracer { writer, access, control: Arc::clone(&control), reader: None, written: false, dropped_before: 0 };
    (tracer, Drain::new(reader, access_reader, Arc::clone(&control)), control)
}

/// The memory of the rings in bytes.
#[must_use]
pub const fn ring_bytes(with_access: bool) -> usize {
    let access = if with_access { ACCESS_RECORDS * size_of::<AccessRecord>() } else { 0 };
    RING_RECORDS * size_of::<Record>() + access
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
        if self.control.wants(event.level()) {
            self.push(connection, event, text);
        }
    }

    #[inline(never)]
    fn push(&mut self, connection: Option<u64>, event: Event, text: &[u8]) {
        let pushed = self.writer.push(|record| record.set(connection, event, text));
        self.note(pushed);
    }

    /// Whether there is an access log: without one nothing need be gathered for it.
    #[must_use]
    pub fn logs_access(&self) -> bool {
        self.access.is_some()
    }

    /// Records an answer where the access log is on, whatever the level.
    pub fn access(&mut self, access: &Access<'_>) {
        if let Some(writer) = &mut self.access {
            let pushed = writer.push(|record| record.set(access));
            self.note(pushed);
        }
    }

    /// Notes whether a record found room in its ring.
    fn note(&mut self, pushed: bool) {
        if pushed {
            self.written = true;
        } else {
            // One writer, so a load and a store are enough.
            let dropped = self.control.dropped.load(Ordering::Relaxed);
            self.control.dropped.store(dropped + 1, Ordering::Relaxed);
        }
    }

    /// How many records found their ring full.
    #[must_use]
    pub fn dropped(&self) -> u64 {
        self.control.dropped.load(Ordering::Relaxed) - self.dropped_before
    }

    /// Counts them anew. What was recorded before, and may still be in the ring, is no longer for those who keep lines.
    pub fn forget(&mut self) {
        self.dropped_before += self.dropped();
        self.control.forgotten_dropped.store(self.dropped_before, Ordering::Release);
        self.control.forgotten.store(self.writer.position(), Ordering::Release);
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
