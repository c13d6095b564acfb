//! What a client sends, each request with the answer that it must get.

use super::answer::Answer;
use super::canned::{Course, Spec};
use super::files::Files;
use super::hostile;
use super::model::Request;
use super::plan::Plan;
use super::random::Random;
use super::valid::valid;
use crate::config::Limits;
use crate::http::Reject;
use std::rc::Rc;

/// One request, or something that pretends to be one.
#[derive(Clone, Debug)]
pub(super) struct Exchange {
    pub(super) bytes: Vec<u8>,
    /// Where the client waits for 100 (Continue) before it goes on, counted in bytes.
    pub(super) waits_at: Option<usize>,
    /// It lets the server answer 100 (Continue) first.
    pub(super) may_continue: bool,
    pub(super) is_head: bool,
    /// It asks for ranges.
    pub(super) has_range: bool,
    pub(super) expected: Expected,
    /// What it is, where it breaks no rule and its path is looked at.
    pub(super) request: Option<Rc<Request>>,
    /// Its content without any coding.
    pub(super) content: Vec<u8>,
    /// Its connection ends with its answer, whatever that is.
    pub(super) closes_anyway: bool,
    /// The registered answer that it got in place of the expected one.
    pub(super) taken: Option<Rc<Spec>>,
}

/// What comes of a request.
#[derive(Clone, Debug)]
pub(super) enum Expected {
    Answer(Answer),
    /// It is not complete: nothing, or a 408 in the end.
    Nothing,
    /// It cannot be told, nor can anything after it.
    Anything,
}

impl Exchange {
    pub(super) fn new(bytes: Vec<u8>, answer: Answer) -> Self {
        Self::with(bytes, false, Expected::Answer(answer))
    }

    fn untold(bytes: Vec<u8>) -> Self {
        Self::with(bytes, true, Expected::Anything)
    }

    fn with(bytes: Vec<u8>, may_continue: bool, expected: Expected) -> Self {
        Self {
            bytes,
            waits_at: None,
            may_continue,
            is_head: false,
            has_range: false,
            expected,
            request: None,
            content: Vec::new(),
            closes_anyway: false,
            taken: None,
        }
    }

    /// What becomes of the registered answer that it got, if it did.
    pub(super) fn course(&self) -> Option<Course> {
        self.taken.as_ref().map(|spec| spec.course(self.is_head))
    }

    /// Whether its answer is the last of its connection. False where that is not known.
    pub(super) fn closes(&self) -> bool {
        let asks_to_close = self.request.as_ref().is_some_and(|request| !request.persists);
        match self.course() {
            Some(course) => course.closes || asks_to_close || self.closes_anyway,
            None => self.answer().is_some_and(|answer| answer.closes),
        }
    }

    /// The answer, where it is known.
    pub(super) fn answer(&self) -> Option<&Answer> {
        match &self.expected {
            Expected::Answer(answer) => Some(answer),
            Expected::Nothing | Expected::Anything => None,
        }
    }
}

/// What one client sends, in order.
pub(super) fn script(random: &mut Random, plan: &Plan, files: &Files) -> Vec<Exchange> {
    let faults = &plan.faults;
    let mut exchanges: Vec<Exchange> = Vec::new();
    let mut is_told = true;
    // Long scripts repeat themselves, so that gathered answers fill the send buffer.
    let is_long = random.chance(250);
    let length = if is_long { random.size(8, 40) } else { random.size(0, 7) };
    for _ in 0..length {
        let repeated = exchanges.last().filter(|last| last.answer().is_some_and(|answer| !answer.closes));
        let mut exchange = if let Some(last) = repeated.filter(|_| is_long && random.chance(850)) {
            // Now and then one that waits for 100 (Continue) comes behind answers that nearly fill the send buffer.
            let waits = random
                .chance(60)
                .then(|| (0..20).map(|_| valid(random, plan, files)).find(|next| next.waits_at.is_some()));
            waits.flatten().unwrap_or_else(|| last.clone())
        } else if random.chance(faults.hostile) {
            hostile::exchange(random, plan, files)
        } else {
            valid(random, plan, files)
        };
        // Once an answer cannot be told, the client cannot know which one has no content either.
        if (!is_told || random.chance(faults.mutated)) && !exchange.is_head {
            if is_told {
                mutate(random, &mut exchange.bytes);
            }
            is_told = false;
            exchange = Exchange::untold(exchange.bytes);
        }
        if !is_told && exchange.is_head {
            continue;
        }
        let number = exchanges.len() as u64 + 1;
        if let Expected::Answer(answer) = &mut exchange.expected {
            let closes = closes_anyway(&plan.limits, number);
            answer.says_close |= closes;
            answer.closes |= closes;
            exchange.closes_anyway = closes;
        }
        exchanges.push(exchange);
    }
    if is_told && random.chance(100) {
        let mut exchange = valid(random, plan, files);
        // What is refused before its end is answered without it.
        let early = [Some(Reject::RequestLineTooLong), Some(Reject::PoolExhausted)];
        if exchange.answer().is_some_and(|answer| !early.contains(&answer.reject)) {
            let length = exchange.bytes.len();
            exchange.bytes.truncate(random.size(1, exchange.waits_at.unwrap_or(length) - 1));
            exchange.waits_at = None;
            exchange.expected = Expected::Nothing;
            exchange.request = None;
            exchanges.push(exchange);
        }
    }
    exchanges
}

fn closes_anyway(limits: &Limits, number: u64) -> bool {
    !limits.keep_alive || limits.max_requests_per_connection.is_some_and(|most| number >= most)
}

/// Changes bytes without an idea of what they mean.
fn mutate(random: &mut Random, bytes: &mut Vec<u8>) {
    if random.chance(100) {
        bytes.clear();
        bytes.extend((0..random.size(1, 200)).map(|_| random.byte()));
        return;
    }
    for _ in 0..random.size(1, 4) {
        let place = random.size(0, bytes.len() - 1);
        match random.between(0, 5) {
            0 => bytes[place] = random.byte(),
            1 => bytes[place] ^= 1 << random.between(0, 7),
            2 => drop(bytes.remove(place)),
            3 => bytes.insert(place, *random.pick(b"\r\n\0 \t:;%/.,\x80\x7f\"")),
            4 => {
                let end = random.size(place, bytes.len().min(place + 20));
                let part = bytes[place..end].to_vec();
                let at = random.size(0, bytes.len() - 1);
                bytes.splice(at..at, part);
            }
            _ => bytes.truncate(place + 1),
        }
        if bytes.is_empty() {
            bytes.push(b'G');
        }
    }
}
