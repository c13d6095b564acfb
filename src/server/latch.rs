//! What threads wait for, and the locks between them.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// A value that is set once and can be waited for.
#[derive(Debug)]
pub(crate) struct Latch<T> {
    pub(super) value: Mutex<Option<T>>,
    set: Condvar,
}

impl<T: Clone> Latch<T> {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self { value: Mutex::new(None), set: Condvar::new() })
    }

    pub(crate) fn set(&self, value: T) {
        *lock(&self.value) = Some(value);
        self.set.notify_all();
    }

    /// Waits for the value, for `limit` at most where one is given.
    pub(crate) fn wait(&self, limit: Option<Duration>) -> Option<T> {
        let deadline = limit.map(|limit| Instant::now() + limit);
        let mut value = lock(&self.value);
        while value.is_none() {
            value = match deadline {
                None => self.set.wait(value).unwrap_or_else(PoisonError::into_inner),
                Some(deadline) => {
                    let left = deadline.checked_duration_since(Instant::now())?;
                    self.set.wait_timeout(value, left).unwrap_or_else(PoisonError::into_inner).0
                }
            };
        }
        value.clone()
    }
}

/// A lock whose holder never leaves a half-made value behind, so that a panic elsewhere does not matter.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::thread;

    #[test]
    fn everyone_who_waits_sees_what_was_written_before_the_value_was_set() {
        let latch = Latch::<Arc<str>>::new();
        let waiters: Vec<_> = (0..3)
            .map(|_| {
                let latch = Arc::clone(&latch);
                thread::spawn(move || latch.wait(None))
            })
            .collect();
        latch.set(Arc::from("done"));
        for waiter in waiters {
            assert_eq!(waiter.join().expect("a waiter does not panic").as_deref(), Some("done"));
        }
        assert_eq!(latch.wait(Some(Duration::ZERO)).as_deref(), Some("done"), "it stays set");
    }

    #[test]
    fn a_limit_ends_the_wait() {
        let latch = Latch::<()>::new();
        assert_eq!(latch.wait(Some(Duration::from_millis(5))), None);
    }
}
