//! The last lines of the story, kept in memory for whoever asks.

use super::{Level, Logger, Sink};
use std::collections::VecDeque;
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// The lines that are kept, between the log's thread, which adds them, and whoever reads.
#[derive(Debug, Default)]
pub struct Story {
    is_kept: AtomicBool,
    kept: Mutex<Kept>,
}

#[derive(Debug, Default)]
struct Kept {
    lines: VecDeque<String>,
    limit: usize,
    /// How many have given way.
    forgotten: u64,
}

impl Story {
    fn lock(&self) -> MutexGuard<'_, Kept> {
        // Nobody leaves it half-made.
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Keeps at most so many lines from now on; none ends it and forgets what there is.
    pub fn keep(&self, limit: usize) {
        let mut kept = self.lock();
        *kept = Kept { limit, ..Kept::default() };
        self.is_kept.store(limit > 0, Ordering::Release);
    }

    /// Whether lines are kept.
    #[must_use]
    pub fn is_kept(&self) -> bool {
        self.is_kept.load(Ordering::Acquire)
    }

    /// Forgets what there is.
    pub fn forget(&self) {
        let mut kept = self.lock();
        kept.lines.clear();
        kept.forgotten = 0;
    }

    /// The lines, the oldest first, and how many of them have given way before.
    #[must_use]
    pub fn lines(&self) -> (Vec<String>, u64) {
        let kept = self.lock();
        (kept.lines.iter().cloned().collect(), kept.forgotten)
    }

    fn add(&self, line: String) {
        let mut kept = self.lock();
        if kept.limit == 0 {
            return;
        }
        if kept.lines.len() == kept.limit {
            kept.lines.pop_front();
            kept.forgotten += 1;
        }
        kept.lines.push_back(line);
    }
}

/// A sink that keeps the story as well, where that is wanted, and hands on what the other one wants.
pub struct KeepingSink<S> {
    sink: S,
    story: std::sync::Arc<Story>,
    /// What the other one wants.
    wanted: Level,
}

impl<S: Sink> KeepingSink<S> {
    /// Before `sink`, which wants so much where it does not say.
    pub fn new(sink: S, wanted: Level, story: std::sync::Arc<Story>) -> Self {
        Self { sink, story, wanted }
    }
}

impl<S: Sink> Sink for KeepingSink<S> {
    fn line(&mut self, level: Level, logger: Logger, text: fmt::Arguments<'_>) {
        if self.story.is_kept() {
            self.story.add(match logger {
                Logger::Server => format!("[{}] {text}", level.name().to_uppercase()),
                Logger::Connection(number) => format!("[CONN {number}] {text}"),
            });
        }
        if level <= self.wanted {
            self.sink.line(level, logger, text);
        }
    }

    fn access(&mut self, line: fmt::Arguments<'_>) {
        self.sink.access(line);
    }

    fn flush(&mut self) {
        self.sink.flush();
    }

    fn level(&mut self) -> Option<Level> {
        self.wanted = self.sink.level().unwrap_or(self.wanted);
        Some(if self.story.is_kept() { Level::Debug } else { self.wanted })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    #[derive(Default)]
    struct Lines(Vec<String>);

    impl Sink for Lines {
        fn line(&mut self, _: Level, _: Logger, text: fmt::Arguments<'_>) {
            self.0.push(text.to_string());
        }

        fn level(&mut self) -> Option<Level> {
            Some(Level::Warn)
        }
    }

    #[test]
    fn the_last_lines_are_kept_and_the_other_sink_gets_what_it_wants() {
        let story = Arc::<Story>::default();
        let mut sink = KeepingSink::new(Lines::default(), Level::Info, Arc::clone(&story));
        assert_eq!(sink.level(), Some(Level::Warn));
        sink.line(Level::Debug, Logger::Connection(1), format_args!("nobody wants it"));
        story.keep(2);
        assert_eq!(sink.level(), Some(Level::Debug));
        for number in 0..3 {
            sink.line(Level::Debug, Logger::Connection(number), format_args!("story"));
        }
        sink.line(Level::Warn, Logger::Server, format_args!("warning"));
        assert_eq!(story.lines(), (vec!["[CONN 2] story".into(), "[WARN] warning".into()], 2));
        story.forget();
        assert_eq!(story.lines(), (vec![], 0));
        story.keep(0);
        sink.line(Level::Debug, Logger::Server, format_args!("too late"));
        assert_eq!(story.lines(), (vec![], 0));
        assert_eq!(sink.sink.0, ["warning"]);
    }
}
