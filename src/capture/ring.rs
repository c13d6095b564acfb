//! Frames of any length in a ring of words: one writer, who goes over the oldest, and readers who copy what is whole.

use crate::sync::{self, Arc, AtomicU64, Ordering, fence};

/// How often a copy is tried that the writer has overtaken.
const COPIES: usize = 8;

/// Words that were written, in all, and how they are found again.
#[derive(Debug)]
struct Shared {
    words: Box<[AtomicU64]>,
    /// INVARIANT: frames lie from word `tail` to word `head`, counted from the first that was ever written; `tail` is raised before
    /// any word in front of it is written anew, `head` after the words in front of it have been written.
    head: AtomicU64,
    tail: AtomicU64,
}

/// The side that writes.
#[derive(Debug)]
pub(super) struct Writer {
    shared: Arc<Shared>,
}

/// The side that reads.
#[derive(Debug)]
pub(super) struct Reader {
    shared: Arc<Shared>,
}

/// The words of a frame: what it is, its fields, its text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Frame {
    pub(super) kind: u8,
    pub(super) fields: Vec<u64>,
    pub(super) text: Vec<u8>,
}

/// The first word of a frame: its kind, how many fields it has, how long its text is.
fn first_word(kind: u8, fields: usize, text: usize) -> u64 {
    u64::from(kind) | (fields as u64) << 8 | (text as u64) << 16
}

fn kind_of(first: u64) -> u8 {
    u8::try_from(first & 0xff).unwrap_or_default()
}

/// The words of fields and the bytes of text behind a first word.
fn lengths_of(first: u64) -> (usize, usize) {
    (usize::try_from(first >> 8 & 0xff).unwrap_or(0), usize::try_from(first >> 16).unwrap_or(0))
}

fn frame_words(first: u64) -> u64 {
    let (fields, text) = lengths_of(first);
    1 + fields as u64 + text.div_ceil(8) as u64
}

/// A ring of so many words, a power of two.
pub(super) fn ring(words: usize) -> (Writer, Reader) {
    assert!(words.is_power_of_two(), "the ring's positions wrap at a power of two");
    let words = (0..words).map(|_| AtomicU64::new(0)).collect();
    let shared = Arc::new(Shared { words, head: AtomicU64::new(0), tail: AtomicU64::new(0) });
    (Writer { shared: Arc::clone(&shared) }, Reader { shared })
}

impl Shared {
    fn word(&self, position: u64) -> &AtomicU64 {
        let mask = self.words.len() as u64 - 1;
        &self.words[usize::try_from(position & mask).unwrap_or(0)]
    }
}

impl Writer {
    /// Appends a frame, over the oldest where there is no room; a text of more than a quarter of the ring is cut.
    pub(super) fn push(&mut self, kind: u8, fields: &[u64], text: &[u8]) {
        let text = text.get(..self.shared.words.len() * 2).unwrap_or(text);
        let first = first_word(kind, fields.len(), text.len());
        let head = sync::own_u64(&self.shared.head);
        self.make_room(head + frame_words(first));
        let shared = &*self.shared;
        let words = [first].into_iter().chain(fields.iter().copied()).chain(text.chunks(8).map(word_of));
        for (position, word) in (head..).zip(words) {
            shared.word(position).store(word, Ordering::Relaxed);
        }
        shared.head.store(head + frame_words(first), Ordering::Release);
    }

    /// Gives up the oldest frames until the ring can reach so far.
    fn make_room(&mut self, end: u64) {
        let shared = &*self.shared;
        let mut tail = sync::own_u64(&shared.tail);
        while end - tail > shared.words.len() as u64 {
            tail += frame_words(shared.word(tail).load(Ordering::Relaxed));
        }
        shared.tail.store(tail, Ordering::Relaxed);
        fence(Ordering::Release);
    }

    /// Gives up everything. Nothing is written over it before [`Self::push`] has made that known in order.
    pub(super) fn clear(&mut self) {
        self.shared.tail.store(sync::own_u64(&self.shared.head), Ordering::Relaxed);
    }
}

fn word_of(bytes: &[u8]) -> u64 {
    let mut word = [0; 8];
    word[..bytes.len()].copy_from_slice(bytes);
    u64::from_le_bytes(word)
}

impl Reader {
    /// Copies every frame that is whole. Where the writer has gone over all of them meanwhile it tries again, a few times.
    pub(super) fn copy(&self) -> Vec<Frame> {
        (0..COPIES).find_map(|_| self.try_copy(|| ())).unwrap_or_default()
    }

    /// None where frames were there and none of them is whole any more. `meanwhile` is what a test lets the writer do.
    fn try_copy(&self, meanwhile: impl FnOnce()) -> Option<Vec<Frame>> {
        let shared = &*self.shared;
        let head = shared.head.load(Ordering::Acquire);
        let from = shared.tail.load(Ordering::Relaxed).min(head);
        let words: Vec<_> = (from..head).map(|position| shared.word(position).load(Ordering::Relaxed)).collect();
        meanwhile();
        fence(Ordering::Acquire);
        // What has been gone over meanwhile is in front of here.
        let tail = shared.tail.load(Ordering::Relaxed);
        let skipped = usize::try_from(tail.saturating_sub(from)).unwrap_or(usize::MAX);
        let mut rest = words.get(skipped..).unwrap_or_default();
        if rest.is_empty() && !words.is_empty() {
            return None;
        }
        let mut frames = Vec::new();
        while let Some((frame, behind)) = frame_of(rest) {
            frames.push(frame);
            rest = behind;
        }
        Some(frames)
    }
}

/// The frame at the beginning of some words, and what follows it.
fn frame_of(words: &[u64]) -> Option<(Frame, &[u64])> {
    let (&first, rest) = words.split_first()?;
    let (fields, length) = lengths_of(first);
    let (fields, rest) = rest.split_at_checked(fields)?;
    let (text, rest) = rest.split_at_checked(length.div_ceil(8))?;
    let mut text: Vec<_> = text.iter().flat_map(|word| word.to_le_bytes()).collect();
    text.truncate(length);
    Some((Frame { kind: kind_of(first), fields: fields.to_vec(), text }, rest))
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn a_copy_that_the_writer_overtakes_is_told_from_an_empty_ring() {
        let (mut writer, reader) = ring(64);
        assert_eq!(reader.try_copy(|| ()), Some(Vec::new()));
        writer.push(1, &[], b"first");
        let lap = |writer: &mut Writer| (0..30).for_each(|_| writer.push(2, &[3], b"x"));
        assert_eq!(reader.try_copy(|| lap(&mut writer)), None, "what was copied has been gone over");
        let frames = reader.copy();
        assert!(frames.len() > 15 && frames.iter().all(|frame| frame.kind == 2));
        writer.clear();
        assert_eq!(reader.try_copy(|| ()), Some(Vec::new()));
    }

    #[test]
    fn frames_of_every_length_come_back_until_they_are_gone_over() {
        let (mut writer, reader) = ring(64);
        for length in 0..40_u8 {
            let text = vec![length; usize::from(length)];
            writer.push(length, &[u64::from(length), 9], &text);
            let frames = reader.copy();
            let last = frames.last().expect("the newest is always there");
            assert_eq!(*last, Frame { kind: length, fields: vec![u64::from(length), 9], text });
            let kinds: Vec<_> = frames.iter().map(|frame| frame.kind).collect();
            assert!(kinds.windows(2).all(|pair| pair[0] + 1 == pair[1]), "{kinds:?}");
        }
    }

    #[test]
    fn a_copy_of_a_busy_ring_has_whole_frames_only() {
        let (mut writer, reader) = ring(1 << 14);
        let stop = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
        let stopped = std::sync::Arc::clone(&stop);
        let thread = std::thread::spawn(move || {
            let mut value = 0_u64;
            while !stopped.load(Ordering::Relaxed) {
                let text = value.to_le_bytes().repeat(usize::try_from(value % 9).expect("it is small"));
                writer.push(1, &[value], &text);
                value += 1;
                if value.is_multiple_of(64) {
                    std::thread::yield_now();
                }
            }
        });
        let mut seen = 0;
        while seen < 100_000 {
            let frames = reader.copy();
            for frame in &frames {
                let value = frame.fields[0];
                assert_eq!(frame.text, value.to_le_bytes().repeat(usize::try_from(value % 9).expect("it is small")));
            }
            assert!(frames.windows(2).all(|pair| pair[0].fields[0] + 1 == pair[1].fields[0]));
            seen += frames.len();
        }
        stop.store(true, Ordering::Relaxed);
        thread.join().expect("the writer does not panic");
    }
}

/// Every order in which the two sides can meet: `make loom`.
#[cfg(all(test, loom))]
mod models {
    use super::*;
    use crate::sync::model;
    use loom::thread;

    #[test]
    fn loom_a_frame_that_is_copied_is_whole() {
        model(Some(3), || {
            let (mut writer, reader) = ring(4);
            let thread = thread::spawn(move || {
                for value in 1..=3 {
                    writer.push(1, &[value, value], b"");
                }
            });
            let frames = reader.copy();
            for frame in &frames {
                assert_eq!(frame.fields[0], frame.fields[1], "a torn frame");
            }
            thread.join().expect("the writer does not panic");
            assert_eq!(reader.copy().len(), 1);
        });
    }

    #[test]
    fn loom_what_was_given_up_before_is_not_copied_with_what_comes_after() {
        model(Some(3), || {
            let (mut writer, reader) = ring(8);
            writer.push(1, &[1, 1], b"");
            let thread = thread::spawn(move || {
                writer.clear();
                for value in 2..=4 {
                    writer.push(1, &[value, value], b"");
                }
            });
            let frames = reader.copy();
            let values: Vec<_> = frames.iter().map(|frame| frame.fields[0]).collect();
            assert!(frames.iter().all(|frame| frame.fields[0] == frame.fields[1]), "a torn frame");
            assert!(values.windows(2).all(|pair| pair[0] + 1 == pair[1]), "{values:?}");
            assert!(values == [1] || !values.contains(&1), "what was forgotten comes back: {values:?}");
            thread.join().expect("the writer does not panic");
            assert_eq!(reader.copy().len(), 2);
        });
    }
}
