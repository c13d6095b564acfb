//! A ring of fixed-size records between one writer, who never waits, and one reader.
//!
//! The writer that finds the ring full leaves the record out and counts it. Nothing here allocates after [`ring`].

#![allow(unsafe_code)]

use crate::sync::{self, Arc, AtomicUsize, Ordering, UnsafeCell};
use std::mem::MaybeUninit;

#[derive(Debug)]
struct Shared<T> {
    /// INVARIANT: the writer touches only the cells from `head` up to `tail + capacity`, the reader only those from `tail` up to
    /// `head`; the two ranges never meet, and a cell changes sides by a release store that an acquire load has seen. Every cell
    /// below `head` holds a record.
    cells: Box<[UnsafeCell<MaybeUninit<T>>]>,
    /// How many records were ever written; only the writer stores it.
    head: AtomicUsize,
    /// How many records were ever read; only the reader stores it.
    tail: AtomicUsize,
}

// SAFETY: by the invariant on `cells`, each cell is touched by one side at a time, so sharing needs only `T: Send`.
unsafe impl<T: Send> Sync for Shared<T> {}

/// The side that writes.
#[derive(Debug)]
pub struct Writer<T> {
    shared: Arc<Shared<T>>,
    /// What was last seen of the reader's progress.
    tail: usize,
    /// What a cell holds before its first record. It is put there no sooner: to write a megabyte takes longer than most starts.
    initial: T,
}

/// The side that reads.
#[derive(Debug)]
pub struct Reader<T> {
    shared: Arc<Shared<T>>,
}

/// A ring of `capacity` records, a power of two, whose memory is taken here.
#[must_use]
pub fn ring<T: Copy>(capacity: usize, initial: T) -> (Writer<T>, Reader<T>) {
    assert!(capacity.is_power_of_two(), "the ring's positions wrap at a power of two");
    let cells = (0..capacity).map(|_| UnsafeCell::new(MaybeUninit::uninit())).collect();
    let shared = Arc::new(Shared { cells, head: AtomicUsize::new(0), tail: AtomicUsize::new(0) });
    (Writer { shared: Arc::clone(&shared), tail: 0, initial }, Reader { shared })
}

impl<T: Copy> Writer<T> {
    /// How many records were ever written.
    pub fn position(&self) -> usize {
        sync::own_usize(&self.shared.head)
    }

    /// Lets `write` fill the next record in place. False where the ring is full: nothing was written.
    pub fn push(&mut self, write: impl FnOnce(&mut T)) -> bool {
        let capacity = self.shared.cells.len();
        let head = sync::own_usize(&self.shared.head);
        if head.wrapping_sub(self.tail) == capacity {
            self.tail = self.shared.tail.load(Ordering::Acquire);
            if head.wrapping_sub(self.tail) == capacity {
                return false;
            }
        }
        self.shared.cells[head & (capacity - 1)].with_mut(|cell| {
            // SAFETY: `head` is below `tail + capacity`, so by the invariant on `cells` the cell is the writer's, and there is one
            // writer, borrowed exclusively.
            let cell = unsafe { &mut *cell };
            // SAFETY: the cell was at `head - capacity` before, so by the invariant on `cells` it holds a record.
            write(if head < capacity { cell.write(self.initial) } else { unsafe { cell.assume_init_mut() } });
        });
        self.shared.head.store(head.wrapping_add(1), Ordering::Release);
        true
    }
}

impl<T: Copy> Reader<T> {
    /// How many records were ever read.
    pub fn position(&self) -> usize {
        sync::own_usize(&self.shared.tail)
    }

    /// Lets `read` see the oldest record, if there is one, and frees its place.
    pub fn pop<R>(&mut self, read: impl FnOnce(&T) -> R) -> Option<R> {
        let tail = sync::own_usize(&self.shared.tail);
        if tail == self.shared.head.load(Ordering::Acquire) {
            return None;
        }
        // SAFETY: `tail` is below `head`, so by the invariant on `cells` the cell is the reader's and holds a record, and there is
        // one reader, borrowed exclusively.
        let result = self.shared.cells[tail & (self.shared.cells.len() - 1)]
            .with(|cell| read(unsafe { (*cell).assume_init_ref() }));
        self.shared.tail.store(tail.wrapping_add(1), Ordering::Release);
        Some(result)
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn a_full_ring_refuses_and_keeps_what_it_has() {
        let (mut writer, mut reader) = ring(4, 0_u64);
        for value in 1..=4 {
            assert!(writer.push(|cell| *cell = value));
        }
        assert!(!writer.push(|cell| *cell = 5));
        assert_eq!(reader.pop(|value| *value), Some(1));
        assert!(writer.push(|cell| *cell = 6));
        assert_eq!((writer.position(), reader.position()), (5, 1));
        let rest: Vec<_> = std::iter::from_fn(|| reader.pop(|value| *value)).collect();
        assert_eq!(rest, [2, 3, 4, 6]);
    }

    #[test]
    fn records_cross_threads_whole_and_in_order() {
        const COUNT: u64 = 200_000;
        let (mut writer, mut reader) = ring(64, [0_u64; 8]);
        let thread = std::thread::spawn(move || {
            for value in 1..=COUNT {
                while !writer.push(|cell| *cell = [value; 8]) {
                    std::thread::yield_now();
                }
            }
        });
        let mut expected = 1;
        while expected <= COUNT {
            match reader.pop(|record| *record) {
                Some(record) => {
                    assert_eq!(record, [expected; 8]);
                    expected += 1;
                }
                None => std::thread::yield_now(),
            }
        }
        thread.join().expect("the writer does not panic");
    }
}

/// Every order in which the two sides can meet: `make loom`.
#[cfg(all(test, loom))]
mod models {
    use super::*;
    use crate::sync::model;
    use loom::thread;

    /// Two values, so that half of one would be seen.
    fn push(writer: &mut Writer<[u64; 2]>, value: u64) -> bool {
        writer.push(|cell| *cell = [value; 2])
    }

    #[test]
    fn loom_records_cross_whole_and_in_order_and_a_full_ring_refuses() {
        model(None, || {
            let (mut writer, mut reader) = ring(2, [0; 2]);
            let thread = thread::spawn(move || (1..=4).filter(|&value| push(&mut writer, value)).collect::<Vec<_>>());
            let mut read = Vec::new();
            for _ in 0..2 {
                read.extend(reader.pop(|record| *record));
            }
            let written = thread.join().expect("the writer does not panic");
            read.extend(std::iter::from_fn(|| reader.pop(|record| *record)));
            let expected: Vec<_> = written.iter().map(|&value| [value; 2]).collect();
            assert_eq!(read, expected);
            assert!(written.starts_with(&[1, 2]), "there is room for two at first");
        });
    }

    #[test]
    fn loom_a_place_that_was_read_is_written_again_only_after_that() {
        model(None, || {
            let (mut writer, mut reader) = ring(1, [0; 2]);
            let thread = thread::spawn(move || {
                let written = (1..=3).filter(|&value| push(&mut writer, value)).count();
                (writer, written)
            });
            let mut read = 0;
            for _ in 0..3 {
                read += reader.pop(|record| assert_eq!(record[0], record[1])).map_or(0, |()| 1);
            }
            let (mut writer, written) = thread.join().expect("the writer does not panic");
            read += std::iter::from_fn(|| reader.pop(|_| ())).count();
            assert_eq!(read, written);
            assert!(push(&mut writer, 9), "the ring is empty again");
        });
    }
}
