//! What threads share, from the standard library; under `cfg(loom)` from loom, so that its models run the very code of the server.
//!
//! The rings, the statistics and the loop's orders take their locks, atomics, cells and pauses from here. Without `cfg(loom)` each is the standard library's
//! own or is compiled away.

#[cfg(loom)]
pub(crate) use loom::cell::UnsafeCell;
#[cfg(loom)]
pub(crate) use loom::sync::atomic::{AtomicU64, AtomicUsize, Ordering, fence};
#[cfg(loom)]
pub(crate) use loom::sync::{Arc, Condvar, Mutex, MutexGuard};
#[cfg(not(loom))]
pub(crate) use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering, fence};
#[cfg(not(loom))]
pub(crate) use std::sync::{Arc, Condvar, Mutex, MutexGuard};

use std::time::Duration;

/// The value of an atomic that this thread alone stores to: a plain load.
///
/// loom checks that no other thread stores to it. It is also kept from loom's search, which looks for an order worth trying at the
/// last access before a store and would find this one there, which hides those of other threads.
#[inline(always)]
pub(crate) fn own_u64(atomic: &AtomicU64) -> u64 {
    #[cfg(not(loom))]
    return atomic.load(Ordering::Relaxed);
    // SAFETY: loom panics where another thread has stored to it meanwhile.
    #[cfg(loom)]
    #[allow(unsafe_code)]
    return unsafe { atomic.unsync_load() };
}

/// The same for a size.
#[inline(always)]
pub(crate) fn own_usize(atomic: &AtomicUsize) -> usize {
    #[cfg(not(loom))]
    return atomic.load(Ordering::Relaxed);
    // SAFETY: loom panics where another thread has stored to it meanwhile.
    #[cfg(loom)]
    #[allow(unsafe_code)]
    return unsafe { atomic.unsync_load() };
}

/// The standard library's cell with loom's interface, which tells it how long each access takes.
#[cfg(not(loom))]
#[derive(Debug)]
pub(crate) struct UnsafeCell<T>(std::cell::UnsafeCell<T>);

#[cfg(not(loom))]
impl<T> UnsafeCell<T> {
    pub(crate) const fn new(value: T) -> Self {
        Self(std::cell::UnsafeCell::new(value))
    }

    /// Lets `read` see the value; that nobody writes it meanwhile is up to the caller.
    #[inline(always)]
    pub(crate) fn with<R>(&self, read: impl FnOnce(*const T) -> R) -> R {
        read(self.0.get())
    }

    /// Lets `write` change the value; that nobody else touches it meanwhile is up to the caller.
    #[inline(always)]
    pub(crate) fn with_mut<R>(&self, write: impl FnOnce(*mut T) -> R) -> R {
        write(self.0.get())
    }
}

/// Tells the processor that this thread spins.
#[inline(always)]
pub(crate) fn spin() {
    #[cfg(not(loom))]
    std::hint::spin_loop();
    #[cfg(loom)]
    loom::thread::yield_now();
}

/// Lets the others go on for about that long.
#[inline(always)]
pub(crate) fn pause(duration: Duration) {
    #[cfg(not(loom))]
    std::thread::sleep(duration);
    #[cfg(loom)]
    {
        let _ = duration;
        loom::thread::yield_now();
    }
}

/// Runs a model in every order that loom finds worth trying, with at most so many switches between threads that could go on.
#[cfg(all(test, loom))]
pub(crate) fn model(preemptions: Option<usize>, check: impl Fn() + Sync + Send + 'static) {
    let runs = std::sync::Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let counted = std::sync::Arc::clone(&runs);
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = preemptions;
    // Readers go round and round until the writer lets them.
    builder.max_branches = 20_000;
    builder.check(move || {
        counted.fetch_add(1, Ordering::Relaxed);
        check();
    });
    let runs = runs.load(Ordering::Relaxed);
    println!("{runs} orders");
    assert!(runs >= 20, "a model of {runs} orders shows nothing");
}
