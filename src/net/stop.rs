//! How a running loop is told from outside: to drain, to stop, to stop at once, or to do something and go on.

use super::orders::{Order, Orders};
use mio::Waker;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};

/// How a stop is asked for, or the drain that may come before it, from any thread.
#[derive(Debug)]
pub struct Stop {
    /// 0: not asked for; 1: responses under way may finish; 2: at once.
    wanted: AtomicU8,
    drain_wanted: AtomicBool,
    #[cfg(test)]
    panic_wanted: AtomicBool,
    pub(super) orders: Orders,
    waker: Waker,
}

impl Stop {
    pub(super) fn new(waker: Waker) -> Self {
        Self {
            wanted: AtomicU8::new(0),
            drain_wanted: AtomicBool::new(false),
            #[cfg(test)]
            panic_wanted: AtomicBool::new(false),
            orders: Orders::new(),
            waker,
        }
    }

    /// Asks the loop to stop: responses under way may finish within a bounded time.
    pub fn stop(&self) {
        self.ask(1);
    }

    /// Asks the loop to stop at once, whatever is under way.
    pub fn abort(&self) {
        self.ask(2);
    }

    /// Asks the loop to drain: every connection ends with its next response, and newcomers are served all the same.
    pub fn drain(&self) {
        self.drain_wanted.store(true, Ordering::Release);
        self.wake();
    }

    /// Has the loop do something between two answers, and returns what came of it once it is done; whatever a peer had done by the
    /// time of the call is seen before. None where the loop has ended. Not for the loop's own thread.
    #[must_use]
    pub fn order(&self, order: Order) -> Option<Order> {
        self.orders.ask(order, || self.wake())
    }

    /// Makes the loop panic in its next turn, as a fault of ours would.
    #[cfg(test)]
    pub(crate) fn plant_panic(&self) {
        self.panic_wanted.store(true, Ordering::Release);
        self.wake();
    }

    #[cfg(test)]
    pub(super) fn panic_if_planted(&self) {
        assert!(!self.panic_wanted.load(Ordering::Acquire), "planted by a test");
    }

    /// 0: not asked for; 1: responses under way may finish; 2: at once.
    pub(super) fn wanted(&self) -> u8 {
        self.wanted.load(Ordering::Acquire)
    }

    pub(super) fn drain_wanted(&self) -> bool {
        self.drain_wanted.load(Ordering::Acquire)
    }

    fn ask(&self, wanted: u8) {
        self.wanted.fetch_max(wanted, Ordering::Release);
        self.wake();
    }

    fn wake(&self) {
        // The loop's end of it outlives every caller that matters; a loop that has ended needs no waking.
        let _ = self.waker.wake();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use mio::{Events, Poll, Token};
    use std::sync::Arc;
    use std::thread;

    #[test]
    fn of_all_that_is_asked_for_the_strongest_counts_and_the_loop_wakes() {
        let mut poll = Poll::new().expect("the system has an event queue");
        let stop = Arc::new(Stop::new(Waker::new(poll.registry(), Token(0)).expect("and a waker")));
        let asks: [fn(&Stop); 4] = [Stop::stop, Stop::abort, Stop::drain, Stop::stop];
        let threads = asks.map(|ask| {
            let stop = Arc::clone(&stop);
            thread::spawn(move || ask(&stop))
        });
        let mut events = Events::with_capacity(4);
        while stop.wanted() < 2 || !stop.drain_wanted() {
            poll.poll(&mut events, None).expect("nothing interrupts it");
        }
        for thread in threads {
            thread.join().expect("nobody who asks panics");
        }
        assert_eq!(stop.wanted(), 2, "a stop takes nothing back");
    }
}
