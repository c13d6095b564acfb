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
    /// Each with how many records had been read up to it.
    lines: VecDeque<(usize, String)>,
    limit: usize,
    /// How many have given way.
    given_way: u64,
    /// Those up to this position are forgotten, also where they come later.
    forgotten: usize,
}

impl Story {
    fn lock(&self) -> MutexGuard<'_, Kept> {
        // Nobody leaves it half-made.
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Keeps at most so many lines from now on; none ends it and forgets what there is.
    pub fn keep(&self, limit: usize) {
        let mut kept = self.lock();
        *kept = Kept { limit, forgotten: kept.forgotten, ..Kept::default() };
        self.is_kept.store(limit > 0, Ordering::Release);
    }

    /// Whether lines are kept.
    #[must_use]
    pub fn is_kept(&self) -> bool {
        self.is_kept.load(Ordering::Acquire)
    }

    /// Forgets what is told of the first `position` records: what there is of it, and what of it is still to come. All that there is
    /// where that is none.
    pub fn forget(&self, position: Option<usize>) {
        let mut kept = self.lock();
        // Of two that forget at the same time the one that comes last may know of less.
        kept.forgotten = kept.forgotten.max(position.unwrap_or_default());
        let forgotten = position.map_or(usize::MAX, |_| kept.forgotten);
        kept.lines.retain(|(position, _)| *position > forgotten);
        kept.given_way = 0;
    }

    /// The lines, the oldest first, and how many of them have given way before.
    #[must_use]
    pub fn lines(&self) -> (Vec<String>, u64) {
        let kept = self.lock();
        (kept.lines.iter().map(|(_, line)| line.clone()).collect(), kept.given_way)
    }

    fn add(&self, position: usize, line: String) {
        let mut kept = self.lock();
        if kept.limit == 0 || (position <= kept.forgotten && kept.forgotten > 0) {
            return;
        }
        if kept.lines.len() == kept.limit {
            kept.lines.pop_front();
            kept.given_way += 1;
        }
        kept.lines.push_back((position, line));
    }
}

/// A sink that keeps the story as well, where that is wanted, and hands on what the other one wants.
pub struct KeepingSink<S> {
    sink: S,
    story: std::sync::Arc<Story>,
    /// What the other one wants.
    wanted: Level,
    position: usize,
}

impl<S: Sink> KeepingSink<S> {
    /// Before `sink`, which wants so much where it does not say.
    pub fn new(sink: S, wanted: Level, story: std::sync::Arc<Story>) -> Self {
        Self { sink, story, wanted, position: 0 }
    }
}

impl<S: Sink> Sink for KeepingSink<S> {
    fn at(&mut self, position: usize) {
        self.position = position;
    }

    fn line(&mut self, level: Level, logger: Logger, text: fmt::Arguments<'_>) {
        if self.story.is_kept() {
            let line = match logger {
                Logger::Server => format!("[{}] {text}", level.name().to_uppercase()),
                Logger::Connection(number) => format!("[CONN {number}] {text}"),
            };
            self.story.add(self.position, line);
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
        story.forget(None);
        assert_eq!(story.lines(), (vec![], 0));
        story.keep(0);
        sink.line(Level::Debug, Logger::Server, format_args!("too late"));
        assert_eq!(story.lines(), (vec![], 0));
        assert_eq!(sink.sink.0, ["warning"]);
    }

    #[test]
    fn what_was_recorded_before_a_new_beginning_is_forgotten_also_where_it_comes_later() {
        let story = Arc::<Story>::default();
        let mut sink = KeepingSink::new(Lines::default(), Level::Debug, Arc::clone(&story));
        story.keep(3);
        let mut tell = |position, text: &str| {
            sink.at(position);
            sink.line(Level::Debug, Logger::Connection(0), format_args!("{text}"));
        };
        tell(0, "start");
        for position in 1..=3 {
            tell(position, "before");
        }
        assert_eq!(story.lines().1, 1);
        // One that came after it has been told already, two that came before it have not.
        tell(6, "after");
        story.forget(Some(5));
        story.forget(Some(2));
        tell(4, "before");
        tell(5, "before");
        tell(7, "after");
        assert_eq!(story.lines(), (vec!["[CONN 0] after".into(); 2], 0));
        // As they were, when lines are kept anew.
        story.keep(2);
        tell(5, "before");
        tell(8, "after");
        assert_eq!(story.lines(), (vec!["[CONN 0] after".into()], 0));
        story.forget(None);
        assert_eq!(story.lines(), (vec![], 0));
        assert_eq!(sink.sink.0.len(), 10, "the other sink gets all of them");
    }
}
