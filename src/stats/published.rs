//! Numbers that one thread writes and any thread copies whole, without ever making the writer wait.

use crate::sync::{self, AtomicU64, Ordering, fence};
use std::time::Duration;

/// Numbers that are copied together.
pub trait Sheet {
    /// A copy of them.
    type Copy;

    /// A copy of the numbers as they are.
    fn copy(&self) -> Self::Copy;

    /// Takes over the numbers of `live`.
    fn take_over(&self, live: &Self);
}

/// A sequence lock: one writer, who never waits, and any number of readers, who copy again where they were too early.
#[derive(Debug, Default)]
struct SequenceLock(AtomicU64);

impl SequenceLock {
    /// From here to [`Self::end_write`] a copy could be inconsistent.
    fn begin_write(&self) {
        self.0.store(sync::own_u64(&self.0) | 1, Ordering::Relaxed);
        fence(Ordering::Release);
    }

    fn end_write(&self) {
        let sequence = sync::own_u64(&self.0);
        self.0.store((sequence | 1).wrapping_add(1), Ordering::Release);
    }

    /// What `copy` makes, unless something was written meanwhile.
    fn read<T>(&self, copy: impl FnOnce() -> T) -> Option<T> {
        let before = self.0.load(Ordering::Acquire);
        if before & 1 == 1 {
            return None;
        }
        let copied = copy();
        fence(Ordering::Acquire);
        (self.0.load(Ordering::Relaxed) == before).then_some(copied)
    }
}

/// The live numbers, written by the loop, and a copy of them that it publishes where a reader asks.
///
/// Between two turns anybody may copy the live numbers. A busy loop leaves little time between two turns; a reader that keeps
/// coming too early asks, and the loop publishes a copy at the end of its turn, which stands still for long enough.
#[derive(Debug, Default)]
pub struct Published<S> {
    live: S,
    turn: SequenceLock,
    published: S,
    publication: SequenceLock,
    /// How many copies were asked for, and how many of them the published copy answers.
    asked: AtomicU64,
    answered: AtomicU64,
}

impl<S> std::ops::Deref for Published<S> {
    type Target = S;

    fn deref(&self) -> &S {
        &self.live
    }
}

impl<S: Sheet> Published<S> {
    /// The loop begins a turn: from here to [`Self::end_turn`] the live numbers may be inconsistent.
    pub fn begin_turn(&self) {
        self.turn.begin_write();
    }

    /// The loop ends a turn: the numbers are consistent until the next one begins, and those who asked get their copy.
    pub fn end_turn(&self) {
        let asked = self.asked.load(Ordering::Acquire);
        if asked != sync::own_u64(&self.answered) {
            self.publication.begin_write();
            self.published.take_over(&self.live);
            self.publication.end_write();
            self.answered.store(asked, Ordering::Release);
        }
        self.turn.end_write();
    }

    /// A consistent copy, not older than the call. It takes one turn of the loop at most and never makes the loop wait.
    #[must_use]
    pub fn snapshot(&self) -> S::Copy {
        /// How often to try before asking.
        const TRIES: u32 = if cfg!(loom) { 1 } else { 64 };
        for _ in 0..TRIES {
            if let Some(copy) = self.turn.read(|| self.live.copy()) {
                return copy;
            }
            sync::spin();
        }
        let ticket = self.asked.fetch_add(1, Ordering::AcqRel) + 1;
        let mut pause = Duration::from_micros(1);
        loop {
            if self.answered.load(Ordering::Acquire) >= ticket
                && let Some(copy) = self.publication.read(|| self.published.copy())
            {
                return copy;
            }
            if let Some(copy) = self.turn.read(|| self.live.copy()) {
                return copy;
            }
            sync::pause(pause);
            pause = (pause * 2).min(Duration::from_micros(100));
        }
    }
}

/// Every order in which the loop and its readers can meet: `make loom`.
#[cfg(all(test, loom))]
mod models {
    use super::*;
    use crate::stats::Counter;
    use crate::sync::{Arc, model};
    use loom::thread;

    /// Two numbers that are equal whenever no turn is under way.
    #[derive(Default)]
    struct Pair {
        first: Counter,
        second: Counter,
    }

    impl Pair {
        fn add(&self) {
            self.first.add(1);
            self.second.add(1);
        }
    }

    impl Sheet for Pair {
        type Copy = (u64, u64);

        fn copy(&self) -> (u64, u64) {
            (self.first.get(), self.second.get())
        }

        fn take_over(&self, live: &Self) {
            self.first.set(live.first.get());
            self.second.set(live.second.get());
        }
    }

    #[test]
    fn loom_no_copy_between_turns_is_torn() {
        model(Some(3), || {
            let counters = Arc::new(Published::<Pair>::default());
            let writer = Arc::clone(&counters);
            let thread = thread::spawn(move || {
                for _ in 0..2 {
                    writer.begin_turn();
                    writer.add();
                    writer.end_turn();
                }
            });
            for _ in 0..2 {
                if let Some((first, second)) = counters.turn.read(|| counters.live.copy()) {
                    assert_eq!(first, second, "a torn copy");
                }
            }
            thread.join().expect("the writer does not panic");
            assert_eq!(counters.snapshot(), (2, 2));
        });
    }

    #[test]
    fn loom_a_snapshot_has_what_a_client_was_sent_before() {
        model(Some(3), || {
            let counters = Arc::new(Published::<Pair>::default());
            let sent = Arc::new(AtomicU64::new(0));
            let (writer, sends) = (Arc::clone(&counters), Arc::clone(&sent));
            let thread = thread::spawn(move || {
                for turn in 1..=2 {
                    writer.begin_turn();
                    writer.first.add(1);
                    // The kernel hands a response over before it is counted, within the turn.
                    sends.store(turn, Ordering::Release);
                    writer.second.add(1);
                    writer.end_turn();
                }
            });
            let least = sent.load(Ordering::Acquire);
            let (first, second) = counters.snapshot();
            assert_eq!(first, second, "a torn snapshot");
            assert!(first >= least, "a snapshot that is older than what it was asked after");
            thread.join().expect("the writer does not panic");
        });
    }

    /// A loop that is always within a turn but for a moment: mostly the published copy is what can be had. More than one reader
    /// is no model for loom: of threads that wait by turns it also tries the order in which those alone go on for ever.
    #[test]
    fn loom_a_reader_of_a_busy_loop_gets_whole_copies() {
        model(Some(3), || {
            let counters = Arc::new(Published::<Pair>::default());
            let sent = Arc::new(AtomicU64::new(0));
            counters.begin_turn();
            let (reads, told) = (Arc::clone(&counters), Arc::clone(&sent));
            let reader = thread::spawn(move || {
                for _ in 0..2 {
                    let least = told.load(Ordering::Acquire);
                    let (first, second) = reads.snapshot();
                    assert_eq!(first, second, "a torn snapshot");
                    assert!(first >= least, "a snapshot that is older than what it was asked after");
                }
            });
            for turn in 1..=2 {
                counters.first.add(1);
                sent.store(turn, Ordering::Release);
                counters.second.add(1);
                counters.end_turn();
                counters.begin_turn();
            }
            counters.end_turn();
            reader.join().expect("a reader does not panic");
        });
    }

    #[test]
    fn loom_a_copy_that_is_published_again_meanwhile_is_not_torn() {
        model(None, || {
            let counters = Arc::new(Published::<Pair>::default());
            let turn = |counters: &Published<Pair>| {
                counters.begin_turn();
                counters.add();
                counters.asked.fetch_add(1, Ordering::AcqRel);
                counters.end_turn();
            };
            turn(&counters);
            let reads = Arc::clone(&counters);
            let reader = thread::spawn(move || {
                if let Some((first, second)) = reads.publication.read(|| reads.published.copy()) {
                    assert_eq!(first, second, "a torn copy");
                }
            });
            turn(&counters);
            reader.join().expect("a reader does not panic");
            assert_eq!(counters.published.copy(), (2, 2), "both who asked were answered");
        });
    }
}
