//! The reading side of the ring: its thread formats records and hands them to a sink, at the sink's pace.

use super::{Level, Line, Record, TraceControl, ring};
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread;
use std::time::Duration;

/// Whose line it is: the name of the Python logger, and the mark at the front of a printed line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Logger {
    /// The server as a whole.
    Server,
    /// The connection of this number.
    Connection(u64),
}

/// Where lines go. It may block as long as it likes: the loop does not notice.
pub trait Sink: Send {
    /// Takes one line.
    fn line(&mut self, level: Level, logger: Logger, text: fmt::Arguments<'_>);

    /// Makes sure that what was taken is seen. Called when there is nothing more to read.
    fn flush(&mut self) {}

    /// How much is wanted now, where that can change while the server runs. Asked at least every 100 ms.
    fn level(&mut self) -> Option<Level> {
        None
    }
}

/// How long the reader sleeps when nothing wakes it; a changed level is taken up within this time.
const LONGEST_SLEEP: Duration = Duration::from_millis(50);

/// The reader's side.
#[derive(Debug)]
pub struct Drain {
    reader: ring::Reader<Record>,
    control: Arc<TraceControl>,
    dropped_told: u64,
}

impl Drain {
    pub(super) fn new(reader: ring::Reader<Record>, control: Arc<TraceControl>) -> Self {
        Self { reader, control, dropped_told: 0 }
    }

    /// Reads until the writing side is gone and the ring is empty. `root` is the document root as the operator wrote it.
    pub fn run(mut self, sink: &mut dyn Sink, root: &str) {
        loop {
            if let Some(level) = sink.level() {
                self.control.set_level(level);
            }
            let finished = self.control.finished.load(Ordering::Acquire);
            let mut read_any = false;
            while self.read_one(sink, root) {
                read_any = true;
            }
            self.tell_dropped(sink);
            if read_any {
                sink.flush();
            }
            if finished {
                return;
            }
            thread::park_timeout(LONGEST_SLEEP);
        }
    }

    fn read_one(&mut self, sink: &mut dyn Sink, root: &str) -> bool {
        // Copied out first, so that a slow sink does not hold a place in the ring.
        let Some(record) = self.reader.pop(|record| *record) else { return false };
        let logger = record.connection.map_or(Logger::Server, Logger::Connection);
        sink.line(record.event.level(), logger, format_args!("{}", Line { record: &record, root }));
        true
    }

    fn tell_dropped(&mut self, sink: &mut dyn Sink) {
        let dropped = self.control.dropped.load(Ordering::Relaxed);
        if dropped > self.dropped_told {
            let lost = dropped - self.dropped_told;
            self.dropped_told = dropped;
            sink.line(
                Level::Warn,
                Logger::Server,
                format_args!("{lost} log records were dropped: the reader is too slow"),
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Event, RING_RECORDS, trace};
    use super::*;
    use crate::alloc::thread_heap_use;

    #[derive(Default)]
    struct Lines(Vec<String>);

    impl Sink for Lines {
        fn line(&mut self, _: Level, _: Logger, text: fmt::Arguments<'_>) {
            self.0.push(text.to_string());
        }
    }

    #[test]
    fn a_full_ring_drops_counts_and_tells_without_heap() {
        let (mut tracer, drain, _) = trace(Level::Debug);
        let before = thread_heap_use();
        for _ in 0..RING_RECORDS + 3 {
            tracer.record(Some(1), Event::Closed);
        }
        assert_eq!(tracer.dropped(), 3);
        assert_eq!(thread_heap_use(), before);
        drop(tracer);
        let mut lines = Lines::default();
        drain.run(&mut lines, "");
        assert_eq!(lines.0.len(), RING_RECORDS + 1);
        assert_eq!(lines.0.last().map(String::as_str), Some("3 log records were dropped: the reader is too slow"));
    }

    #[test]
    fn a_level_that_is_off_records_nothing() {
        let (mut tracer, drain, control) = trace(Level::Info);
        tracer.record(Some(1), Event::Closed);
        tracer.record(None, Event::Ready);
        control.set_level(Level::Debug);
        tracer.record(Some(2), Event::Closed);
        drop(tracer);
        let mut lines = Lines::default();
        drain.run(&mut lines, "");
        assert_eq!(lines.0, ["Server ready. Press Ctrl+C to stop.", "Connection closed"]);
    }
}
