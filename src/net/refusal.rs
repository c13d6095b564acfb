//! Newcomers that cannot be served: a prepared 503, then a short drain, so that a reset does not eat the answer.
//!
//! A fixed number of them is drained at a time; the oldest gives way.

use crate::config::Site;
use crate::connection::Time;
use crate::http::date::DATE_LENGTH;
use crate::http::response_head::{HeadWriter, MAX_FIXED_HEAD};
use crate::http::{Reject, Status};
use rustix::fd::OwnedFd;
use rustix::net::{RecvFlags, SendFlags, Shutdown};

/// How many refused newcomers are drained at a time.
pub(super) const PLACES: usize = 32;
/// How long each is drained at most, in nanoseconds.
const DRAIN_TIME: u64 = 500_000_000;
/// How much of each is drained in one turn at most, in reads of the scratch memory.
const READS_PER_TURN: usize = 4;

#[derive(Debug)]
struct Place {
    socket: OwnedFd,
    due: Time,
}

/// Refused newcomers that are being drained.
#[derive(Debug)]
pub(super) struct Refusals {
    places: [Option<Place>; PLACES],
    next: usize,
}

/// The most that an answer takes, besides the field lines that the operator added.
pub(super) const MAX_ANSWER: usize = MAX_FIXED_HEAD + 256;

/// Sends the answer, made in `memory`, and shuts down the sending side. Returns the bytes that the kernel took.
pub(super) fn answer(
    socket: &OwnedFd,
    reject: Reject,
    date: &[u8; DATE_LENGTH],
    site: &Site,
    memory: &mut [u8],
) -> usize {
    let content = reject.content();
    let mut head = HeadWriter::new(memory, Status::ServiceUnavailable, date);
    head.field("Retry-After", b"1");
    head.field("Content-Type", b"text/plain; charset=utf-8");
    head.number_field("Content-Length", content.len() as u64);
    if site.cors.varies() {
        head.field("Vary", b"Origin");
    }
    // Nothing was read, so that nobody's Origin is known.
    site.put_fields(&mut head, site.cors.allowed(None));
    head.put(b"Connection: close\r\n\r\n");
    head.put(content.as_bytes());
    let length = head.length();
    // A fresh socket's buffer takes this whole, or the peer is gone.
    let sent = rustix::net::send(socket, &memory[..length], SendFlags::NOSIGNAL | SendFlags::DONTWAIT).unwrap_or(0);
    // A peer that is gone cannot be told; closing follows either way.
    let _ = rustix::net::shutdown(socket, Shutdown::Write);
    sent
}

/// Takes what is there. Returns the bytes, and whether more can come.
pub(super) fn drain(socket: &OwnedFd, scratch: &mut [u8]) -> (usize, bool) {
    let mut total = 0;
    for _ in 0..READS_PER_TURN {
        match rustix::net::recv(socket, &mut *scratch, RecvFlags::DONTWAIT) {
            Ok((0, _)) => return (total, false),
            Ok((count, _)) => total += count,
            Err(rustix::io::Errno::AGAIN | rustix::io::Errno::INTR) => return (total, true),
            Err(_) => return (total, false),
        }
    }
    // Whoever sends this much to a server that refused it has had its time.
    (total, false)
}

impl Refusals {
    pub(super) fn new() -> Self {
        Self { places: [const { None }; PLACES], next: 0 }
    }

    /// The place that the next newcomer gets.
    pub(super) fn next_place(&self) -> usize {
        self.next
    }

    /// Keeps a newcomer until its peer ends or its time is over; whoever had the place is closed.
    pub(super) fn keep(&mut self, socket: OwnedFd, now: Time) {
        self.places[self.next] = Some(Place { socket, due: now.after(DRAIN_TIME) });
        self.next = (self.next + 1) % PLACES;
    }

    /// Something happened at a place. Returns the bytes that were drained.
    pub(super) fn ready(&mut self, place: usize, scratch: &mut [u8]) -> usize {
        let Some(Some(refused)) = self.places.get(place) else { return 0 };
        let (count, goes_on) = drain(&refused.socket, scratch);
        if !goes_on {
            self.places[place] = None;
        }
        count
    }

    /// When the next one's time is over.
    pub(super) fn next_due(&self) -> Option<Time> {
        self.places.iter().flatten().map(|place| place.due).min()
    }

    /// Closes all of them.
    pub(super) fn close_all(&mut self) {
        self.places = [const { None }; PLACES];
    }

    /// Closes those whose time is over.
    pub(super) fn expire(&mut self, now: Time) {
        for place in &mut self.places {
            if place.as_ref().is_some_and(|refused| refused.due <= now) {
                *place = None;
            }
        }
    }
}
