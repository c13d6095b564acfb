//! The smallest names of a directory, as many as a fixed memory holds, however many are offered.
//!
//! Names are packed one behind the other and found by an index of offsets. When either is full, the larger half is dropped, and
//! from then on nothing that is not smaller than all that was dropped is taken. Every operation takes time in proportion to the
//! memory at most; nothing here allocates after the start.

use crate::http::listing::Position;

/// The names that were kept.
#[derive(Debug)]
pub(super) struct Selection {
    /// Records one behind the other: the length of the key less one, and the key.
    records: Box<[u8]>,
    /// How much of `records` is in use, in bytes.
    used: usize,
    /// Where in `records` each key is. While names are offered in no order; then a heap, the smallest key first.
    index: Box<[u32]>,
    count: usize,
    /// From here on everything was dropped.
    bound: Option<Position>,
}

/// The key of the record at `offset`.
fn key_at(records: &[u8], offset: u32) -> &[u8] {
    let start = offset as usize;
    let length = records.get(start).map_or(0, |&length| usize::from(length) + 1);
    records.get(start + 1..start + 1 + length).unwrap_or_default()
}

impl Selection {
    /// A selection with so many bytes for records, and room for so many of them.
    pub(super) fn new(record_bytes: usize, most: usize) -> Self {
        Self {
            records: vec![0; record_bytes].into_boxed_slice(),
            used: 0,
            index: vec![0; most].into_boxed_slice(),
            count: 0,
            bound: None,
        }
    }

    pub(super) fn clear(&mut self) {
        self.used = 0;
        self.count = 0;
        self.bound = None;
    }

    /// Whether something was dropped.
    pub(super) fn is_partial(&self) -> bool {
        self.bound.is_some()
    }

    /// Whether an entry would be kept.
    pub(super) fn wants(&self, position: &Position) -> bool {
        self.bound.as_ref().is_none_or(|bound| position.key() < bound.key())
    }

    /// Keeps an entry, unless it is beyond what is kept.
    pub(super) fn offer(&mut self, position: &Position) {
        if !self.wants(position) {
            return;
        }
        let key = position.key();
        if self.count == self.index.len() || self.used + 1 + key.len() > self.records.len() {
            self.drop_larger_half();
            if !self.wants(position) {
                return;
            }
        }
        let end = self.used + 1 + key.len();
        let (Some(record), Some(place)) = (self.records.get_mut(self.used..end), self.index.get_mut(self.count)) else {
            return;
        };
        let (Some((length, rest)), Ok(offset)) = (record.split_first_mut(), u32::try_from(self.used)) else { return };
        *length = u8::try_from(key.len().saturating_sub(1)).unwrap_or_default();
        rest.copy_from_slice(key);
        *place = offset;
        self.count += 1;
        self.used = end;
    }

    /// Leaves the smaller half of the entries, or fewer if those take more than half of the memory, and moves them together.
    fn drop_larger_half(&mut self) {
        let Self { records, index, .. } = self;
        while self.count > 1 && (self.used > records.len() / 2 || self.count > index.len() / 2) {
            let Some(entries) = index.get_mut(..self.count) else { return };
            self.count /= 2;
            entries.select_nth_unstable_by(self.count, |&a, &b| key_at(records, a).cmp(key_at(records, b)));
            let kept = entries.iter().take(self.count);
            self.used = kept.map(|&offset| 1 + key_at(records, offset).len()).sum();
        }
        let kept = index.get_mut(..self.count).unwrap_or_default();
        let largest = kept.iter().map(|&offset| key_at(records, offset)).max().unwrap_or_default();
        self.bound = Some(Position::of_key(largest));
        kept.sort_unstable();
        let mut end = 0;
        for offset in kept {
            let start = *offset as usize;
            let length = 1 + key_at(records, *offset).len();
            records.copy_within(start..start + length, end);
            *offset = u32::try_from(end).unwrap_or_default();
            end += length;
        }
        self.used = end;
    }

    /// No more will be offered: brings the entries into an order to be taken in.
    pub(super) fn arrange(&mut self) {
        for position in (0..self.count / 2).rev() {
            self.sift_down(position);
        }
    }

    /// Takes the smallest entry.
    pub(super) fn take_smallest(&mut self) -> Option<Position> {
        let last = self.count.checked_sub(1)?;
        let smallest = *self.index.first()?;
        self.index.swap(0, last);
        self.count = last;
        self.sift_down(0);
        Some(Position::of_key(key_at(&self.records, smallest)))
    }

    /// Makes a heap of the entries at and below `parent`, where those below are heaps.
    fn sift_down(&mut self, mut parent: usize) {
        let Self { records, index, count, .. } = self;
        let heap = index.get_mut(..*count).unwrap_or_default();
        let key = |heap: &[u32], at: usize| heap.get(at).map(|&offset| key_at(records, offset));
        loop {
            let (left, right) = (2 * parent + 1, 2 * parent + 2);
            let Some(mut smaller) = key(heap, left) else { return };
            let mut child = left;
            if let Some(other) = key(heap, right).filter(|other| *other < smaller) {
                (child, smaller) = (right, other);
            }
            if key(heap, parent).is_none_or(|parent| parent <= smaller) {
                return;
            }
            heap.swap(parent, child);
            parent = child;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::alloc::thread_heap_use;
    use crate::http::listing::{Kind, MAX_ENTRY_NAME};

    fn position(kind: Kind, name: &str) -> Position {
        Position::of(kind, name.as_bytes()).expect("it is not too long")
    }

    /// The numbers below `count` in an order that looks like none.
    fn shuffled(count: usize) -> impl Iterator<Item = usize> {
        // Coprime to every count that is used here.
        (0..count).map(move |number| number * 7919 % count)
    }

    #[test]
    fn directories_come_first_and_then_names_by_their_bytes() {
        let order = [
            Position::default(),
            position(Kind::Directory, "B"),
            position(Kind::Directory, "a"),
            position(Kind::Directory, "\u{e9}"),
            position(Kind::File, "A"),
            position(Kind::File, "A.txt"),
            position(Kind::File, &"A".repeat(MAX_ENTRY_NAME)),
            position(Kind::File, "a"),
        ];
        assert!(order.is_sorted_by(|a, b| a.key() < b.key()));
        assert!(Position::of(Kind::File, &[b'a'; MAX_ENTRY_NAME + 1]).is_none());
        for place in &order[1..] {
            assert_eq!(Position::of(place.kind(), place.name()).as_ref(), Some(place));
        }
    }

    #[test]
    fn the_smallest_are_kept_whatever_order_they_come_in() {
        let name = |number: usize| format!("{number:05}{}", "x".repeat(number % 40));
        let ascending: Vec<usize> = (0..5000).collect();
        let descending: Vec<usize> = (0..5000).rev().collect();
        let mut selection = Selection::new(4096, 200);
        for order in [ascending, descending, shuffled(5000).collect()] {
            selection.clear();
            for number in order {
                selection.offer(&position(Kind::File, &name(number)));
            }
            assert!(selection.is_partial());
            selection.arrange();
            let mut count = 0;
            while let Some(smallest) = selection.take_smallest() {
                assert_eq!(smallest, position(Kind::File, &name(count)));
                count += 1;
            }
            assert!(count >= 40, "only {count} were kept");
        }
    }

    #[test]
    fn what_fits_is_kept_whole() {
        let mut selection = Selection::new(100 * (2 + 5), 100);
        for number in shuffled(100) {
            selection.offer(&position(Kind::Directory, &format!("{number:05}")));
        }
        assert!(!selection.is_partial());
        selection.arrange();
        for number in 0..100 {
            assert_eq!(selection.take_smallest(), Some(position(Kind::Directory, &format!("{number:05}"))));
        }
        assert_eq!(selection.take_smallest(), None);
    }

    /// Small names that are long, and large ones that are short, so that half of the names takes nearly all of the memory.
    #[test]
    fn memory_is_made_where_the_small_names_are_the_long_ones() {
        let mut selection = Selection::new(10_000, 1000);
        for round in 0..100 {
            selection.offer(&position(Kind::File, &format!("a{round:02}{}", "x".repeat(MAX_ENTRY_NAME - 3))));
            for _ in 0..5 {
                selection.offer(&position(Kind::File, "z"));
            }
        }
        selection.arrange();
        let mut count = 0;
        while let Some(smallest) = selection.take_smallest() {
            assert_eq!(smallest.name()[..3], format!("a{count:02}").as_bytes()[..3]);
            count += 1;
        }
        assert!(count >= 9, "only {count} were kept");
    }

    #[test]
    fn selecting_calls_no_heap() {
        let mut selection = Selection::new(1 << 16, 1 << 12);
        let positions: Vec<Position> =
            shuffled(20_000).map(|number| position(Kind::File, &format!("file-{number:06}"))).collect();
        let before = thread_heap_use();
        for position in &positions {
            selection.offer(position);
        }
        selection.arrange();
        while selection.take_smallest().is_some() {}
        assert_eq!(thread_heap_use(), before);
    }
}
