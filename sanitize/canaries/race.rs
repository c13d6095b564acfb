//! Hands a value over as the log's ring does. With the argument `relaxed` its store releases nothing: ThreadSanitizer must tell of
//! that, and must keep still without it.

use std::cell::UnsafeCell;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

struct Ring {
    cell: UnsafeCell<[u64; 8]>,
    head: AtomicUsize,
}

// SAFETY: one thread writes the cell before it stores the head, the other reads it after that; `relaxed` breaks this on purpose.
unsafe impl Sync for Ring {}

fn main() {
    let ordering = if std::env::args().any(|word| word == "relaxed") { Ordering::Relaxed } else { Ordering::Release };
    let ring = Arc::new(Ring { cell: UnsafeCell::new([0; 8]), head: AtomicUsize::new(0) });
    let writer = Arc::clone(&ring);
    let thread = std::thread::spawn(move || {
        // SAFETY: see `Ring`.
        unsafe { *writer.cell.get() = [7; 8] };
        writer.head.store(1, ordering);
    });
    while ring.head.load(Ordering::Acquire) == 0 {
        std::hint::spin_loop();
    }
    // SAFETY: see `Ring`.
    assert_eq!(unsafe { *ring.cell.get() }, [7; 8]);
    thread.join().expect("the writer does not panic");
}
