//! The reading side of the rings: its thread formats records and hands them to a sink, at the sink's pace.

use super::access_line::AccessLine;
use super::{AccessFile, AccessFormat, AccessRecord, Level, Line, RING_RECORDS, Record, TraceControl, ring};
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
    /// Called before a line: how many records have been read up to it. A new beginning is told by that number.
    fn at(&mut self, _position: usize) {}

    /// Takes one line.
    fn line(&mut self, level: Level, logger: Logger, text: fmt::Arguments<'_>);

    /// Called right after the line that says where the server listens, for what else a reader wants to know of it.
    fn listening(&mut self) {}

    /// Takes one line of the access log, where that does not go to a file.
    fn access(&mut self, _line: fmt::Arguments<'_>) {}

    /// Makes sure that what was taken is seen. Called when there is nothing more to read.
    fn flush(&mut self) {}

    /// How much is wanted now, where that can change while the server runs. Asked at least every 100 ms.
    fn level(&mut self) -> Option<Level> {
        None
    }
}

/// How long the reader sleeps when nothing wakes it; a changed level is taken up within this time.
const LONGEST_SLEEP: Duration = Duration::from_millis(50);
/// How often each ring is read before the reader looks after everything else: once through a full one.
const BATCH: usize = RING_RECORDS;

/// The access log's part of the reader's side.
#[derive(Debug)]
struct AccessReader {
    reader: ring::Reader<AccessRecord>,
    format: AccessFormat,
    file: Option<AccessFile>,
}

/// The reader's side.
#[derive(Debug)]
pub struct Drain {
    reader: ring::Reader<Record>,
    access: Option<AccessReader>,
    control: Arc<TraceControl>,
    dropped_told: u64,
}

impl Drain {
    pub(super) fn new(
        reader: ring::Reader<Record>,
        access: Option<(ring::Reader<AccessRecord>, AccessFormat)>,
        control: Arc<TraceControl>,
    ) -> Self {
        let access = access.map(|(reader, format)| AccessReader { reader, format, file: None });
        Self { reader, access, control, dropped_told: 0 }
    }

    /// Writes the access log to this file instead of handing its lines to the sink.
    pub fn write_access_to(&mut self, file: AccessFile) {
        if let Some(access) = &mut self.access {
            access.file = Some(file);
        }
    }

    /// Reads until the writing side is gone and the rings are empty. `root` is the document root as the operator wrote it.
    pub fn run(mut self, sink: &mut dyn Sink, root: &str) {
        let mut read_any = false;
        loop {
            if let Some(level) = sink.level() {
                self.control.set_level(level);
            }
            self.with_file(sink, AccessFile::reopen_if_asked);
            let finished = self.control.finished.load(Ordering::Acquire);
            let flushes = self.control.flushes_asked.load(Ordering::Acquire);
            let read = (0..BATCH).take_while(|_| self.read_one_of_each(sink, root)).count();
            read_any |= read > 0;
            self.tell_dropped(sink);
            if read == BATCH {
                continue;
            }
            if read_any {
                read_any = false;
                // Before the file, which may keep us waiting.
                sink.flush();
                self.with_file(sink, AccessFile::flush);
            }
            self.control.flushes_done.store(flushes, Ordering::Release);
            if finished {
                return self.with_file(sink, AccessFile::finish);
            }
            thread::park_timeout(LONGEST_SLEEP);
        }
    }

    /// Reads from both rings in turn, so that neither starves the other. False where both are empty.
    fn read_one_of_each(&mut self, sink: &mut dyn Sink, root: &str) -> bool {
        let read_event = self.read_one(sink, root);
        self.read_access(sink) || read_event
    }

    fn read_one(&mut self, sink: &mut dyn Sink, root: &str) -> bool {
        // Copied out first, so that a slow sink does not hold a place in the ring.
        let Some(record) = self.reader.pop(|record| *record) else { return false };
        let logger = record.connection.map_or(Logger::Server, Logger::Connection);
        sink.at(self.reader.position());
        sink.line(record.event.level(), logger, format_args!("{}", Line { record: &record, root }));
        true
    }

    fn read_access(&mut self, sink: &mut dyn Sink) -> bool {
        let Some(AccessReader { reader, format, file }) = &mut self.access else { return false };
        let Some(record) = reader.pop(|record| *record) else { return false };
        let line = AccessLine { record: &record, format: *format };
        match file {
            Some(file) => file.line(format_args!("{line}")),
            None => sink.access(format_args!("{line}")),
        }
        true
    }

    /// Does something with the access log's file, where there is one, and tells what came of it.
    fn with_file(&mut self, sink: &mut dyn Sink, act: fn(&mut AccessFile)) {
        let Some(file) = self.access.as_mut().and_then(|access| access.file.as_mut()) else { return };
        act(file);
        let warnings = file.take_warnings();
        for warning in &warnings {
            self.warn(sink, self.present(), format_args!("{warning}"));
        }
        if !warnings.is_empty() {
            sink.flush();
        }
    }

    fn tell_dropped(&mut self, sink: &mut dyn Sink) {
        // In this order: what was dropped before a new beginning is never taken for something later.
        let present = self.present();
        let forgotten = self.control.forgotten_dropped.load(Ordering::Acquire);
        let dropped = self.control.dropped.load(Ordering::Relaxed);
        for (dropped, position) in [(forgotten.min(dropped), 0), (dropped, present)] {
            if dropped > self.dropped_told {
                let lost = dropped - self.dropped_told;
                self.dropped_told = dropped;
                self.warn(sink, position, format_args!("{lost} log records were dropped: the reader is too slow"));
            }
        }
    }

    /// The position of what happens now: behind what was read, and behind the last new beginning.
    fn present(&self) -> usize {
        self.reader.position().max(self.control.forgotten() + 1)
    }

    /// Tells of the log itself. Its level matters: beside an access log, these may be the only other lines.
    fn warn(&self, sink: &mut dyn Sink, position: usize, text: fmt::Arguments<'_>) {
        if self.control.wants(Level::Warn) {
            sink.at(position);
            sink.line(Level::Warn, Logger::Server, text);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::access::tests::ACCESS;
    use super::super::{ACCESS_RECORDS, Access, Event, ring_bytes, trace, trace_with_access};
    use super::*;
    use crate::alloc::thread_heap_use;

    #[derive(Default)]
    struct Lines(Vec<String>);

    impl Sink for Lines {
        fn line(&mut self, _: Level, _: Logger, text: fmt::Arguments<'_>) {
            self.0.push(text.to_string());
        }

        fn access(&mut self, line: fmt::Arguments<'_>) {
            self.0.push(format!("access: {line}"));
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

    #[derive(Default)]
    struct Positions(usize, Vec<(usize, String)>);

    impl Sink for Positions {
        fn at(&mut self, position: usize) {
            self.0 = position;
        }

        fn line(&mut self, _: Level, _: Logger, text: fmt::Arguments<'_>) {
            self.1.push((self.0, text.to_string()));
        }
    }

    #[test]
    fn each_line_says_whether_it_is_of_before_a_new_beginning() {
        let (mut tracer, drain, control) = trace(Level::Debug);
        for _ in 0..RING_RECORDS + 3 {
            tracer.record(Some(1), Event::Closed);
        }
        tracer.forget();
        assert_eq!((tracer.dropped(), control.forgotten()), (0, RING_RECORDS));
        // Dropped as well.
        tracer.record(Some(1), Event::Closed);
        drop(tracer);
        let mut positions = Positions::default();
        drain.run(&mut positions, "");
        let (after, before): (Vec<_>, Vec<_>) = positions.1.iter().partition(|line| line.0 > control.forgotten());
        assert_eq!(before.len(), RING_RECORDS + 1);
        assert_eq!(before[RING_RECORDS].1, "3 log records were dropped: the reader is too slow");
        assert_eq!(after, [&(RING_RECORDS + 1, "1 log records were dropped: the reader is too slow".into())]);
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

    #[test]
    fn a_full_access_ring_drops_and_counts_without_heap_whatever_the_level() {
        for (level, told) in [(Level::Warn, 1), (Level::Error, 0), (Level::Off, 0)] {
            let (mut tracer, drain, _) = trace_with_access(level, Some(AccessFormat::Common));
            assert!(tracer.logs_access());
            let before = thread_heap_use();
            let long = [b'x'; 9999];
            for _ in 0..ACCESS_RECORDS + 3 {
                tracer.access(&Access { line: &long, referer: Some(&long), agent: Some(&long), ..ACCESS });
            }
            assert_eq!(tracer.dropped(), 3);
            assert_eq!(thread_heap_use(), before);
            drop(tracer);
            let mut lines = Lines::default();
            drain.run(&mut lines, "");
            assert_eq!(lines.0.len(), ACCESS_RECORDS + told);
            assert!(lines.0[..ACCESS_RECORDS].iter().all(|line| line.starts_with("access: unix: - - [22/Nov/2026")));
        }
    }

    #[test]
    fn without_an_access_log_there_is_no_record_and_no_ring() {
        let before = thread_heap_use();
        let (mut tracer, drain, _) = trace_with_access(Level::Debug, None);
        let taken = usize::try_from(thread_heap_use().since(before).net_bytes).expect("memory was taken");
        assert!(taken < ring_bytes(false) + 1024, "{taken}");
        assert!(!tracer.logs_access());
        tracer.access(&ACCESS);
        assert_eq!(tracer.dropped(), 0);
        drop(tracer);
        let mut lines = Lines::default();
        drain.run(&mut lines, "");
        assert_eq!(lines.0, [""; 0]);
    }

    #[test]
    fn neither_ring_starves_the_other() {
        let (mut tracer, drain, _) = trace_with_access(Level::Debug, Some(AccessFormat::Common));
        for number in 0..100 {
            tracer.record(Some(number), Event::Closed);
        }
        for _ in 0..50 {
            tracer.access(&ACCESS);
        }
        drop(tracer);
        let mut lines = Lines::default();
        drain.run(&mut lines, "");
        let is_access: Vec<_> = lines.0.iter().map(|line| line.starts_with("access: ")).collect();
        assert_eq!(is_access[..100], [false, true].repeat(50));
        assert_eq!(is_access[100..], [false; 50]);
    }

    #[test]
    fn with_a_file_the_sink_hears_only_of_its_trouble() {
        let (mut tracer, mut drain, _) = trace_with_access(Level::Warn, Some(AccessFormat::Json));
        drain.write_access_to(AccessFile::open("/dev/full", Arc::default()).expect("Linux has it"));
        tracer.access(&ACCESS);
        drop(tracer);
        let mut lines = Lines::default();
        drain.run(&mut lines, "");
        assert_eq!(lines.0, ["access log: 1 lines lost: No space left on device (os error 28)"]);
    }

    /// The reader sleeps when it finds nothing, and is woken; what it is too slow for it is told of.
    #[test]
    fn what_is_recorded_while_the_reader_runs_comes_in_order_or_is_counted() {
        const RECORDS: u64 = 20_000;
        let (mut tracer, drain, control) = trace(Level::Debug);
        let thread = std::thread::spawn(move || {
            let mut lines = Lines::default();
            drain.run(&mut lines, "");
            lines.0
        });
        tracer.set_reader(thread.thread().clone());
        for number in 0..RECORDS {
            tracer.record(Some(1), Event::PoolReset(usize::try_from(number).expect("it is small")));
            tracer.wake_reader();
        }
        let dropped = tracer.dropped();
        drop(tracer);
        let lines = thread.join().expect("the reader does not panic");
        let numbers: Vec<u64> = lines
            .iter()
            .filter_map(|line| line.strip_prefix("Pool reset, ")?.strip_suffix(" bytes freed")?.parse().ok())
            .collect();
        assert!(numbers.is_sorted_by(|one, next| one < next), "in order, and none twice");
        assert_eq!(numbers.len() as u64, RECORDS - dropped);
        assert_eq!(control.dropped.load(Ordering::Relaxed), dropped);
    }
}
