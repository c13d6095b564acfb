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
}
