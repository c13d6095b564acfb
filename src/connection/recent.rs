//! The record of connections that the statistics show: those that are open, and the last that were closed.
//!
//! It is kept only where somebody can ask for it (the option `status_path`). All its memory is taken at start; the loop writes it
//! without heap, a few stores for a connection and a copy of a short text for an answer. It never keeps a query, which may hold
//! what is secret.

use super::core::Core;
use super::{Connection, State, Time};
use crate::stats::export::{LINE_BYTES, MAX_CONNECTIONS, ToldConnection};
use std::net::SocketAddr;

const NONE: u32 = u32::MAX;
/// How many of the closed ones are told at least, where there are so many and more are open than fit.
const CLOSED_AT_LEAST: usize = 12;

/// A request line as far as it is shown: its method and its target without the query.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Line {
    bytes: [u8; LINE_BYTES],
    length: u8,
    is_cut: bool,
}

impl Line {
    const EMPTY: Self = Self { bytes: [0; LINE_BYTES], length: 0, is_cut: false };

    fn set(&mut self, (line, is_cut): (&[u8], bool)) {
        for (place, byte) in self.bytes.iter_mut().zip(line) {
            *place = *byte;
        }
        self.length = u8::try_from(line.len().min(LINE_BYTES)).unwrap_or_default();
        self.is_cut = is_cut;
    }

    fn shown(&self) -> (&[u8], bool) {
        (self.bytes.get(..usize::from(self.length)).unwrap_or_default(), self.is_cut)
    }
}

/// What is known of the last answer of a connection. A status of 0 is none, or none of ours.
#[derive(Clone, Copy, Debug)]
struct LastAnswer {
    line: Line,
    status: u16,
}

impl LastAnswer {
    const NONE: Self = Self { line: Line::EMPTY, status: 0 };

    fn status(&self) -> Option<u16> {
        Some(self.status).filter(|status| *status != 0)
    }
}

/// The part of a slot: what its connection was last answered, and its neighbours in the order of arrival.
#[derive(Clone, Copy, Debug)]
struct Place {
    answer: LastAnswer,
    newer: u32,
    older: u32,
}

/// A connection that is over.
#[derive(Clone, Copy, Debug)]
struct Closed {
    number: u64,
    peer: Option<SocketAddr>,
    lifetime: u64,
    requests: u64,
    received: u64,
    sent: u64,
    answer: LastAnswer,
}

impl Closed {
    const NOBODY: Self =
        Self { number: 0, peer: None, lifetime: 0, requests: 0, received: 0, sent: 0, answer: LastAnswer::NONE };
}

/// The record of a server.
#[derive(Debug)]
pub(super) struct Recent {
    places: Box<[Place]>,
    newest: u32,
    closed: Box<[Closed]>,
    /// How many were ever closed; the last of them lie in the ring.
    closed_total: usize,
    open_count: usize,
}

impl Recent {
    /// Takes all memory that the record of so many slots will ever use.
    pub(super) fn new(slots: usize) -> Self {
        let place = Place { answer: LastAnswer::NONE, newer: NONE, older: NONE };
        Self {
            places: vec![place; slots].into_boxed_slice(),
            newest: NONE,
            closed: vec![Closed::NOBODY; MAX_CONNECTIONS].into_boxed_slice(),
            closed_total: 0,
            open_count: 0,
        }
    }

    /// The heap memory behind it, in bytes.
    pub(super) fn heap_bytes(slots: usize) -> usize {
        slots * size_of::<Place>() + MAX_CONNECTIONS * size_of::<Closed>() + size_of::<Self>()
    }

    /// A slot has a new connection.
    pub(super) fn opened(&mut self, slot: u32) {
        let older = self.newest;
        if let Some(place) = self.places.get_mut(slot as usize) {
            *place = Place { answer: LastAnswer::NONE, newer: NONE, older };
        }
        if let Some(place) = self.places.get_mut(older as usize) {
            place.newer = slot;
        }
        self.newest = slot;
        self.open_count += 1;
    }

    /// How many are open.
    pub(super) fn open_count(&self) -> usize {
        self.open_count
    }

    /// The connection of a slot is over.
    fn closed(&mut self, slot: u32, closed: Closed) {
        let Some(&Place { answer, newer, older }) = self.places.get(slot as usize) else { return };
        match self.places.get_mut(newer as usize) {
            Some(place) => place.older = older,
            None => self.newest = older,
        }
        if let Some(place) = self.places.get_mut(older as usize) {
            place.newer = newer;
        }
        if let Some(entry) = self.closed.get_mut(self.closed_total % MAX_CONNECTIONS) {
            *entry = Closed { answer, ..closed };
        }
        self.closed_total += 1;
        self.open_count = self.open_count.saturating_sub(1);
    }

    /// Forgets those that were closed, and the answers of those that are open.
    pub(super) fn forget(&mut self) {
        self.closed_total = 0;
        self.places.iter_mut().for_each(|place| place.answer = LastAnswer::NONE);
    }

    /// The slots with a connection, the newest first.
    fn open(&self) -> impl Iterator<Item = u32> {
        let place = |slot: u32| self.places.get(slot as usize);
        std::iter::successors(Some(self.newest), move |&slot| place(slot).map(|place| place.older))
            .take_while(|&slot| slot != NONE)
    }

    /// How many of those that were closed are still here.
    fn closed_count(&self) -> usize {
        self.closed_total.min(MAX_CONNECTIONS)
    }

    /// The closed ones, the last first.
    fn last_closed(&self) -> impl Iterator<Item = &Closed> {
        let total = self.closed_total;
        (1..=self.closed_count()).filter_map(move |back| self.closed.get((total - back) % MAX_CONNECTIONS))
    }

    fn answer(&self, slot: u32) -> &LastAnswer {
        self.places.get(slot as usize).map_or(&LastAnswer::NONE, |place| &place.answer)
    }
}

/// Everybody who is told of, the one who asks first: then those that are open and those that were closed, each the newest first.
/// With more than [`MAX_CONNECTIONS`] both have their share.
pub(super) fn told<'a, F>(
    recent: &'a Recent,
    connections: &'a [Connection<F>],
    asking: u32,
    now: Time,
) -> impl Iterator<Item = ToldConnection<'a>> {
    let open_at_most = MAX_CONNECTIONS - 1 - recent.closed_count().min(CLOSED_AT_LEAST);
    let others = recent.open().filter(move |slot| *slot != asking).take(open_at_most);
    let open = std::iter::once(asking)
        .chain(others)
        .filter_map(|slot| connections.get(slot as usize))
        .map(move |connection| connection.told(recent, now, connection.slot == asking));
    open.chain(recent.last_closed().map(Closed::told)).take(MAX_CONNECTIONS)
}

impl Closed {
    fn told(&self) -> ToldConnection<'_> {
        let (line, line_is_cut) = self.answer.line.shown();
        ToldConnection {
            number: self.number,
            peer: self.peer,
            state: "CLOSED",
            lifetime_milliseconds: self.lifetime / 1_000_000,
            requests: self.requests,
            received: self.received,
            sent: self.sent,
            line,
            line_is_cut,
            status: self.answer.status(),
            is_asking: false,
        }
    }
}

impl<F> Connection<F> {
    /// What is told of a connection that is open: of the request under way, or else of the last one that was answered.
    fn told<'a>(&'a self, recent: &'a Recent, now: Time, is_asking: bool) -> ToldConnection<'a> {
        let answer = recent.answer(self.slot);
        let current = if self.in_request { self.shown_line() } else { (&[][..], false) };
        let ((line, line_is_cut), status) = match current.0 {
            [] => (answer.line.shown(), answer.status()),
            _ => (current, self.reply.as_ref().map(|reply| reply.code.number()).filter(|code| *code != 0)),
        };
        ToldConnection {
            number: self.number,
            peer: self.peer,
            state: self.state.name(),
            lifetime_milliseconds: now.since(self.accepted_at) / 1_000_000,
            requests: self.requests,
            received: self.received,
            sent: self.sent,
            line,
            line_is_cut,
            status,
            is_asking,
        }
    }

    /// The request line up to its query and without its version, as far as it has come and fits; and whether more of it came.
    fn shown_line(&self) -> (&[u8], bool) {
        let line = self.method_and_target();
        let shown = line.get(..LINE_BYTES).unwrap_or(line);
        // With the question mark, to tell that something followed.
        let shown = memchr::memchr(b'?', shown).map_or(shown, |at| shown.get(..=at).unwrap_or(shown));
        (shown, shown.len() < line.len())
    }

    /// Keeps what the answer that ends here was, where somebody may ask.
    pub(super) fn remember_answer(&self, core: &mut Core) {
        let Some(recent) = &mut core.recent else { return };
        let Some(reply) = &self.reply else { return };
        if let Some(place) = recent.places.get_mut(self.slot as usize) {
            place.answer.status = reply.code.number();
            place.answer.line.set(self.shown_line());
        }
    }

    /// Moves the connection to those that were closed.
    pub(super) fn remember_end(&self, core: &mut Core) {
        let lifetime = core.now.time.since(self.accepted_at);
        let Self { number, peer, requests, received, sent, .. } = *self;
        if let Some(recent) = &mut core.recent
            && self.state != State::Free
        {
            let answer = LastAnswer::NONE;
            recent.closed(self.slot, Closed { number, peer, lifetime, requests, received, sent, answer });
        }
    }
}

#[cfg(test)]
mod tests;
