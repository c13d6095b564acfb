//! What may be asked of a server at any time: answers to be given, requests and lines to be kept, and a new beginning.

use super::{IN_SINK, Life, Server, lock};
use crate::canned::{self, Canned, CannedAnswers, Registration, RegistrationError};
use crate::capture::{Capture, Captured, CapturedRequest, MAX_MEMORY, MIN_MEMORY, capture};
use crate::connection::Table;
use crate::file::OpenFile;
use crate::net::Order;
use crate::stats::Grouped;
use std::sync::Arc;
use std::time::Duration;

/// How long the log's thread may take to tell what is in its ring.
const LOG_PATIENCE: Duration = Duration::from_secs(1);

/// Who holds an answer that nobody is being sent: the list here, and the loop's.
const IDLE_HOLDERS: usize = 2;

/// What has been asked of a server, whether it runs yet or not.
#[derive(Debug, Default)]
pub(super) struct Asked {
    /// The answers that are to be given.
    answers: Vec<Arc<Canned>>,
    /// Those that are no longer, as long as a connection may still send them: the loop is never to drop the last.
    retired: Vec<Arc<Canned>>,
    /// How much memory requests are to be kept in, in bytes; none for no such thing.
    capture_memory: usize,
    captured: Option<Captured>,
    /// Something was asked for while there was no loop to be told.
    is_untold: bool,
}

impl Asked {
    fn memory(&self) -> usize {
        self.answers.iter().chain(&self.retired).map(|canned| canned.memory()).sum()
    }

    fn retire(&mut self, answers: impl IntoIterator<Item = Arc<Canned>>) {
        self.retired.extend(answers);
    }

    /// Drops those that nobody sends any more.
    fn drop_retired(&mut self) {
        self.retired.retain(|canned| Arc::strong_count(canned) > 1);
    }
}

/// A capture in so much memory, where it is any: its two sides.
fn capture_of(memory: usize) -> (Option<Box<Capture>>, Option<Captured>) {
    if memory == 0 {
        return (None, None);
    }
    let (writer, reader) = capture(memory);
    (Some(Box::new(writer)), Some(reader))
}

impl Server {
    /// Has something done by the loop. None where there is none, yet or any more.
    fn order(&self, order: Order) -> Option<Order> {
        let stop = match &*lock(&self.life) {
            Life::Running(running) => Arc::clone(&running.stop),
            _ => return None,
        };
        stop.order(order)
    }

    /// Gives that answer from now on, until it is used up, withdrawn or replaced: one that is unlimited takes the place of an
    /// unlimited one for the same requests. [`CannedAnswers::new`] tells which of several goes first.
    ///
    /// # Errors
    /// Something is wrong with it, or there is no room for it.
    pub fn register(&self, registration: Registration) -> Result<Arc<Canned>, RegistrationError> {
        let config = lock(&self.options)
            .config()
            .map_err(|error| RegistrationError { argument: "options", reason: error.to_string() })?;
        let head_room = Table::<OpenFile>::max_registered_head(&config.limits, &config.site);
        let canned = Arc::new(registration.check(head_room)?);
        let mut asked = lock(&self.asked);
        let (spent, left) = std::mem::take(&mut asked.answers).into_iter().partition(|canned| canned.is_spent());
        asked.answers = left;
        let spent: Vec<_> = spent;
        asked.retire(spent);
        // Nobody has been sent them any more since.
        asked.drop_retired();
        let too_much = |argument, reason| Err(RegistrationError { argument, reason });
        let replaced = asked
            .answers
            .iter()
            .position(|other| canned.is_unlimited() && other.is_unlimited() && canned.is_for_the_same_as(other));
        if replaced.is_none() && asked.answers.len() >= canned::MAX_ANSWERS {
            let reason = format!("{} answers are registered, which is the most; withdraw some", canned::MAX_ANSWERS);
            return too_much("path", reason);
        }
        // What is replaced makes room, unless somebody is being sent it.
        let given_up = replaced.map(|index| &asked.answers[index]).filter(|old| Arc::strong_count(old) <= IDLE_HOLDERS);
        let given_up = given_up.map_or(0, |old| old.memory());
        if asked.memory() - given_up + canned.memory() > canned::MAX_MEMORY {
            // The loop still has those that are used up.
            self.tell_answers(&mut asked);
        }
        let taken = asked.memory() - given_up;
        if taken + canned.memory() > canned::MAX_MEMORY {
            let reason = format!(
                "{} bytes are too many: with the {} of those that are registered or still being sent it is more than {}",
                Grouped(canned.memory() as u64),
                Grouped(taken as u64),
                Grouped(canned::MAX_MEMORY as u64)
            );
            return too_much("content", reason);
        }
        match replaced {
            Some(index) => {
                let old = std::mem::replace(&mut asked.answers[index], Arc::clone(&canned));
                asked.retire([old]);
            }
            None => asked.answers.push(Arc::clone(&canned)),
        }
        self.tell_answers(&mut asked);
        Ok(canned)
    }

    /// Gives that answer no more, except where it is being sent already.
    pub fn withdraw(&self, canned: &Arc<Canned>) {
        let mut asked = lock(&self.asked);
        let index = asked.answers.iter().position(|other| Arc::ptr_eq(other, canned));
        if let Some(index) = index {
            let old = asked.answers.remove(index);
            asked.retire([old]);
            self.tell_answers(&mut asked);
        }
    }

    /// Gives no registered answer any more.
    pub fn withdraw_all(&self) {
        let mut asked = lock(&self.asked);
        let old = std::mem::take(&mut asked.answers);
        if !old.is_empty() {
            asked.retire(old);
            self.tell_answers(&mut asked);
        }
    }

    /// The loop knows the answers once this returns.
    fn tell_answers(&self, asked: &mut Asked) {
        // What it had comes back and is dropped here.
        let told = self.order(Order::Answers(Box::new(CannedAnswers::new(&asked.answers))));
        asked.is_untold |= told.is_none();
        drop(told);
        asked.drop_retired();
    }

    /// Keeps the requests that come from now on in so much memory, in bytes; 0 keeps none.
    ///
    /// # Errors
    /// It is too little or too much.
    pub fn keep_requests(&self, memory: usize) -> Result<(), RegistrationError> {
        if memory != 0 && !(MIN_MEMORY..=MAX_MEMORY).contains(&memory) {
            return Err(RegistrationError {
                argument: "max_bytes",
                reason: format!(
                    "{} is not within {} to {}, nor 0",
                    Grouped(memory as u64),
                    Grouped(MIN_MEMORY as u64),
                    Grouped(MAX_MEMORY as u64)
                ),
            });
        }
        let mut asked = lock(&self.asked);
        asked.capture_memory = memory;
        asked.captured = None;
        self.tell_capture(&mut asked);
        Ok(())
    }

    fn tell_capture(&self, asked: &mut Asked) {
        let (writer, reader) = capture_of(asked.capture_memory);
        match self.order(Order::Capture(writer)) {
            Some(_) => asked.captured = reader,
            None => asked.is_untold = true,
        }
    }

    /// What the loop is to begin with, so that those who wait for it to begin are no exception.
    pub(super) fn asked_before(&self) -> (Box<CannedAnswers>, Option<Box<Capture>>) {
        let mut asked = lock(&self.asked);
        let (writer, reader) = capture_of(asked.capture_memory);
        asked.captured = reader;
        asked.is_untold = false;
        (Box::new(CannedAnswers::new(&asked.answers)), writer)
    }

    /// The loop has just begun: tells it what was asked for while it was about to.
    pub(super) fn tell_asked(&self) {
        let mut asked = lock(&self.asked);
        if std::mem::take(&mut asked.is_untold) {
            self.tell_answers(&mut asked);
            self.tell_capture(&mut asked);
        }
    }

    /// The requests that were kept, the oldest first, among them every one whose answer a client has read; and how many before
    /// them have given way. None where they are not kept.
    pub fn requests(&self) -> Option<(Vec<CapturedRequest>, u64)> {
        // The turn that answered is over once this returns.
        let _ = self.snapshot();
        let asked = lock(&self.asked);
        match &asked.captured {
            Some(captured) => Some(captured.requests()),
            None if asked.capture_memory > 0 => Some((Vec::new(), 0)),
            None => None,
        }
    }

    /// Keeps the last lines of the story from now on, at most so many; 0 keeps none.
    pub fn keep_story(&self, lines: usize) {
        self.story.keep(lines);
        self.look_at_level();
    }

    /// The lines that were kept, the oldest first, and how many before them have given way; everything that was told before the
    /// call is among them.
    pub fn story(&self) -> (Vec<String>, u64) {
        let _ = self.snapshot();
        self.flush_log();
        self.story.lines()
    }

    /// How many connections are open at both ends, as far as is known once everything has been looked at that came before.
    pub fn open_connections(&self) -> usize {
        match self.order(Order::Survey(0)) {
            Some(Order::Survey(open)) => open,
            _ => 0,
        }
    }

    /// Begins anew: withdraws what was registered, closes every connection, and forgets what was counted, kept and told. Returns
    /// how many connections were open at both ends.
    pub fn reset(&self) -> usize {
        self.withdraw_all();
        let told = self.order(Order::Reset(0));
        let control = match &*lock(&self.life) {
            Life::Running(running) => Some(Arc::clone(&running.log_control)),
            _ => None,
        };
        // What the log's thread has still to tell of before is left out when it comes: it is not waited for.
        let position = control.filter(|_| told.is_some()).map(|control| control.forgotten());
        self.story.forget(position);
        lock(&self.asked).drop_retired();
        match told {
            Some(Order::Reset(open)) => open,
            _ => 0,
        }
    }

    fn look_at_level(&self) {
        if let Life::Running(running) = &*lock(&self.life) {
            running.log_thread.thread().unpark();
            if self.story.is_kept() {
                running.log_control.set_level(crate::trace::Level::Debug);
            }
        }
    }

    /// Waits until everything that was told before the call has been handed on.
    fn flush_log(&self) {
        if IN_SINK.get() {
            return;
        }
        let (control, thread) = match &*lock(&self.life) {
            Life::Running(running) => (Arc::clone(&running.log_control), running.log_thread.thread().clone()),
            _ => return,
        };
        control.flush(&thread, LOG_PATIENCE);
    }
}
