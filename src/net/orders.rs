//! What the loop is asked to do between two answers, by a thread that waits until it is done.
//!
//! The loop never waits for whoever asks: where that one holds the order in its hands this very moment, the loop comes again.

use crate::canned::CannedAnswers;
use crate::capture::Capture;
use crate::sync::{AtomicU64, Condvar, Mutex, MutexGuard, Ordering};
use std::sync::{PoisonError, TryLockError};
use std::time::Duration;

/// Something to be done by the loop, and what came of it. What the loop gives up comes back, for whoever asked to drop.
#[derive(Debug)]
pub enum Order {
    /// These answers are given from now on.
    Answers(Box<CannedAnswers>),
    /// Requests are kept there from now on.
    Capture(Option<Box<Capture>>),
    /// How many connections are open at both ends is counted.
    Survey(usize),
    /// Every connection is closed, and whatever was counted and kept is forgotten; how many were open at both ends is told.
    Reset(usize),
}

#[derive(Debug, Default)]
struct Slip {
    order: Option<Order>,
    /// The loop has ended: nobody will do it.
    is_abandoned: bool,
}

/// Where one order lies at a time.
#[derive(Debug)]
pub(super) struct Orders {
    /// One asks after the other.
    turnstile: Mutex<()>,
    slip: Mutex<Slip>,
    is_done: Condvar,
    asked: AtomicU64,
    done: AtomicU64,
}

/// A lock whose holder never leaves a half-made value behind.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Orders {
    pub(super) fn new() -> Self {
        Self {
            turnstile: Mutex::new(()),
            slip: Mutex::new(Slip::default()),
            is_done: Condvar::new(),
            asked: AtomicU64::new(0),
            done: AtomicU64::new(0),
        }
    }

    /// Asks, lets `wake` wake the loop, and waits. None where the loop has ended.
    pub(super) fn ask(&self, order: Order, wake: impl Fn()) -> Option<Order> {
        /// How long the loop may sleep where a wake was lost because it has just ended.
        const LOOK_AGAIN: Duration = Duration::from_millis(50);
        let _turn = lock(&self.turnstile);
        let mut slip = lock(&self.slip);
        if slip.is_abandoned {
            return None;
        }
        slip.order = Some(order);
        let ticket = self.asked.fetch_add(1, Ordering::Release) + 1;
        wake();
        while self.done.load(Ordering::Acquire) < ticket && !slip.is_abandoned {
            slip = self.is_done.wait_timeout(slip, LOOK_AGAIN).unwrap_or_else(PoisonError::into_inner).0;
        }
        let done = self.done.load(Ordering::Acquire) >= ticket;
        slip.order.take().filter(|_| done)
    }

    /// Whether there is something to do: a load or two.
    pub(super) fn is_asked(&self) -> bool {
        self.asked.load(Ordering::Acquire) != self.done.load(Ordering::Relaxed)
    }

    /// Lets `obey` do what is asked. False where that could not be looked at, and is to be tried again.
    pub(super) fn obey(&self, obey: impl FnOnce(&mut Order)) -> bool {
        let mut slip = match self.slip.try_lock() {
            Ok(slip) => slip,
            Err(TryLockError::Poisoned(slip)) => slip.into_inner(),
            Err(TryLockError::WouldBlock) => return false,
        };
        if let Some(order) = &mut slip.order {
            obey(order);
        }
        self.done.store(self.asked.load(Ordering::Acquire), Ordering::Release);
        drop(slip);
        self.is_done.notify_all();
        true
    }

    /// Nothing will be done any more.
    pub(super) fn abandon(&self) {
        lock(&self.slip).is_abandoned = true;
        self.is_done.notify_all();
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use std::sync::Arc;
    use std::thread;

    #[test]
    fn what_is_asked_is_done_once_and_told_to_who_asked() {
        let orders = Arc::new(Orders::new());
        let askers: Vec<_> = (0..8)
            .map(|number| {
                let orders = Arc::clone(&orders);
                thread::spawn(move || {
                    (0..200)
                        .map(|_| match orders.ask(Order::Survey(number), || ()) {
                            Some(Order::Survey(told)) => told,
                            other => panic!("not what was asked: {other:?}"),
                        })
                        .all(|told| told == number + 100)
                })
            })
            .collect();
        let mut done = 0;
        while done < 8 * 200 {
            if orders.is_asked() {
                let obeyed = orders.obey(|order| {
                    let Order::Survey(number) = order else { panic!("only surveys are asked for") };
                    *number += 100;
                });
                done += usize::from(obeyed);
            }
            thread::yield_now();
        }
        assert!(askers.into_iter().all(|asker| asker.join().expect("it does not panic")));
    }

    #[test]
    fn nobody_waits_for_a_loop_that_has_ended() {
        let orders = Arc::new(Orders::new());
        let asks = Arc::clone(&orders);
        let asker = thread::spawn(move || asks.ask(Order::Survey(0), || ()).is_none());
        while !orders.is_asked() {
            thread::yield_now();
        }
        orders.abandon();
        assert!(asker.join().expect("it does not panic"));
        assert!(orders.ask(Order::Reset(0), || ()).is_none());
    }
}

/// Every order in which who asks and the loop can meet: `make loom`. Nothing wakes whoever waits but what the code does.
#[cfg(all(test, loom))]
mod models {
    use super::*;
    use crate::sync::{Arc, model, spin};
    use loom::thread;

    fn ask(orders: &Orders, number: usize, woken: &AtomicU64) -> Option<usize> {
        match orders.ask(Order::Survey(number), || {
            woken.fetch_add(1, Ordering::Release);
        }) {
            Some(Order::Survey(told)) => Some(told),
            Some(other) => panic!("not what was asked: {other:?}"),
            None => None,
        }
    }

    fn obey(order: &mut Order) {
        let Order::Survey(number) = order else { panic!("only surveys are asked for") };
        *number += 100;
    }

    /// The loop looks when it was woken so often, and comes again where it could not.
    fn obey_once_woken(orders: &Orders, woken: &AtomicU64, times: u64) {
        while woken.load(Ordering::Acquire) < times {
            spin();
        }
        assert!(orders.is_asked(), "it was woken for nothing");
        while !orders.obey(obey) {
            spin();
        }
    }

    #[test]
    fn loom_what_is_asked_is_done_once_and_told() {
        model(Some(3), || {
            let (orders, woken) = (Arc::new(Orders::new()), Arc::new(AtomicU64::new(0)));
            let (asks, wakes) = (Arc::clone(&orders), Arc::clone(&woken));
            let asker = thread::spawn(move || [1, 2].map(|number| ask(&asks, number, &wakes)));
            obey_once_woken(&orders, &woken, 1);
            obey_once_woken(&orders, &woken, 2);
            assert_eq!(asker.join().expect("it does not panic"), [Some(101), Some(102)]);
            assert!(!orders.is_asked(), "it would do it again");
        });
    }

    #[test]
    fn loom_nobody_waits_for_a_loop_that_ends() {
        model(Some(3), || {
            let (orders, woken) = (Arc::new(Orders::new()), Arc::new(AtomicU64::new(0)));
            let (asks, wakes) = (Arc::clone(&orders), Arc::clone(&woken));
            let asker = thread::spawn(move || [1, 2].map(|number| ask(&asks, number, &wakes)));
            for _ in 0..2 {
                if orders.is_asked() {
                    orders.obey(obey);
                }
            }
            orders.abandon();
            let told = asker.join().expect("it does not panic");
            assert!(told[0].is_none_or(|told| told == 101), "an order comes back undone: {told:?}");
            assert!(told[1].is_none_or(|told| told == 102), "an order comes back undone: {told:?}");
        });
    }
}
