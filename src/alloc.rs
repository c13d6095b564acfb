//! The counting global allocator: what each thread asked of the heap, and what the whole process holds.
//!
//! Promise P1 is checked here. The counts are plain thread-local cells, so counting costs no shared memory and the allocator
//! never allocates. It must stay the only allocator of the crate and must never be switched off in release builds.

#![allow(unsafe_code)]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

/// What one thread has asked of the heap since it began.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct HeapUse {
    /// Calls that took memory: `alloc`, `alloc_zeroed` and `realloc`.
    pub allocations: u64,
    /// Calls that gave memory back: `dealloc` and `realloc`.
    pub frees: u64,
    /// Bytes taken less bytes given back; negative where a thread frees what another took.
    pub net_bytes: i64,
}

impl HeapUse {
    /// What came after `earlier`.
    #[must_use]
    pub fn since(self, earlier: Self) -> Self {
        Self {
            allocations: self.allocations.wrapping_sub(earlier.allocations),
            frees: self.frees.wrapping_sub(earlier.frees),
            net_bytes: self.net_bytes.wrapping_sub(earlier.net_bytes),
        }
    }
}

thread_local! {
    // Const-initialized and without a destructor: the first access registers nothing and so allocates nothing.
    static THREAD: Cell<HeapUse> = const { Cell::new(HeapUse { allocations: 0, frees: 0, net_bytes: 0 }) };
}

/// What the calling thread has asked of the heap since it began.
#[must_use]
pub fn thread_heap_use() -> HeapUse {
    THREAD.with(Cell::get)
}

/// The system's allocator with a count beside it.
#[derive(Debug)]
pub struct CountingAllocator;

fn count(allocations: u64, frees: u64, bytes: i64) {
    // `try_with`: a thread that is being torn down may still free.
    let _ = THREAD.try_with(|cell| {
        let mut now = cell.get();
        now.allocations = now.allocations.wrapping_add(allocations);
        now.frees = now.frees.wrapping_add(frees);
        now.net_bytes = now.net_bytes.wrapping_add(bytes);
        cell.set(now);
    });
}

fn signed(size: usize) -> i64 {
    i64::try_from(size).unwrap_or(i64::MAX)
}

// SAFETY: every call is passed to `System` unchanged; the count touches nothing but a thread-local cell.
unsafe impl GlobalAlloc for CountingAllocator {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(1, 0, signed(layout.size()));
        // SAFETY: the caller's contract is `System`'s.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        count(1, 0, signed(layout.size()));
        // SAFETY: the caller's contract is `System`'s.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        count(0, 1, -signed(layout.size()));
        // SAFETY: the caller's contract is `System`'s.
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        count(1, 1, signed(new_size).wrapping_sub(signed(layout.size())));
        // SAFETY: the caller's contract is `System`'s.
        unsafe { System.realloc(pointer, layout, new_size) }
    }
}

/// Runs a call and checks that it left the heap alone.
#[cfg(any(test, fuzzing))]
macro_rules! heapless {
    ($call:expr) => {{
        let before = $crate::alloc::thread_heap_use();
        let outcome = $call;
        assert_eq!($crate::alloc::thread_heap_use(), before, "{} used the heap", stringify!($call));
        outcome
    }};
}
#[cfg(any(test, fuzzing))]
pub(crate) use heapless;

#[global_allocator]
static ALLOCATOR: CountingAllocator = CountingAllocator;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_call_is_counted_on_the_thread_that_made_it() {
        let before = thread_heap_use();
        let mut bytes: Vec<u8> = Vec::with_capacity(100);
        bytes.resize(100, 7);
        bytes.reserve_exact(900);
        let held = thread_heap_use().since(before);
        assert_eq!(held, HeapUse { allocations: 2, frees: 1, net_bytes: 1000 });
        drop(bytes);
        assert_eq!(thread_heap_use().since(before), HeapUse { allocations: 2, frees: 2, net_bytes: 0 });
    }

    #[test]
    fn another_thread_is_counted_apart() {
        let handle = std::thread::spawn(|| {
            let before = thread_heap_use();
            drop(vec![1_u8; 10]);
            thread_heap_use().since(before).allocations
        });
        let before = thread_heap_use();
        let theirs = handle.join().expect("the thread does not panic");
        assert_eq!(theirs, 1);
        assert_eq!(thread_heap_use().since(before).allocations, 0, "joining allocates nothing here");
    }

    /// Every thread takes memory, hands half of it on, and frees what it was handed: none is counted twice and none is lost.
    #[test]
    fn what_threads_take_and_free_of_each_other_adds_up() {
        const THREADS: usize = 4;
        const EACH: usize = 5000;
        let (senders, receivers): (Vec<_>, Vec<_>) = (0..THREADS).map(|_| std::sync::mpsc::sync_channel(64)).unzip();
        let workers: Vec<_> = receivers
            .into_iter()
            .enumerate()
            .map(|(number, handed_over)| {
                let next = senders[(number + 1) % THREADS].clone();
                std::thread::spawn(move || {
                    let mut mine = 0;
                    let mut others = 0;
                    for length in 1..=EACH {
                        let before = thread_heap_use();
                        let bytes = vec![7_u8; length % 90 + 1];
                        let kept = bytes.clone();
                        drop(kept);
                        let now = thread_heap_use().since(before);
                        assert_eq!((now.allocations, now.frees, now.net_bytes), (2, 1, signed(bytes.len())));
                        mine += now.net_bytes;
                        next.send(bytes).expect("the next thread takes as many");
                        let received: Vec<u8> = handed_over.recv().expect("the one before sends as many");
                        let before = thread_heap_use();
                        drop(received);
                        let now = thread_heap_use().since(before);
                        assert_eq!((now.allocations, now.frees), (0, 1));
                        others += now.net_bytes;
                    }
                    (mine, others)
                })
            })
            .collect();
        drop(senders);
        let (mut taken, mut freed) = (0, 0);
        for worker in workers {
            let (mine, others) = worker.join().expect("a worker does not panic");
            taken += mine;
            freed += others;
        }
        assert_eq!(taken + freed, 0, "what was taken was given back, whoever did it");
        assert_eq!(taken, (1..=EACH).map(|length| signed(length % 90 + 1)).sum::<i64>() * THREADS as i64);
    }
}
