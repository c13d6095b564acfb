//! The event loop's part in newcomers: who is accepted, and who is refused and drained.

use super::heapless;
use super::wire::Failure;
use super::world::{Socket, World};
use crate::connection::{Admission, State};
use crate::http::Reject;
use crate::http::response_head::{HeadWriter, MAX_FIXED_HEAD};

/// How many newcomers one turn accepts.
const ACCEPTS_PER_TURN: usize = 64;
/// When accepting is tried again after the system refused it, in nanoseconds.
const ACCEPT_RETRY: u64 = 50_000_000;
/// How long a refused newcomer is drained at most, in nanoseconds.
const DRAIN_TIME: u64 = 500_000_000;

impl World {
    pub(super) fn accept(&mut self) {
        self.accept_again_at = self.accept_again_at.filter(|due| *due > self.now.time.0 && self.stop_due.is_none());
        for _ in 0..ACCEPTS_PER_TURN {
            if self.stop_due.is_some() || self.accept_again_at.is_some() {
                return;
            }
            if !self.backlog.is_empty() && self.random.chance(self.plan.faults.accept_fails) {
                self.tally.accepts_failed += 1;
                self.accept_again_at = Some(self.now.time.0 + ACCEPT_RETRY);
                return;
            }
            let Some(client) = self.backlog.pop_front() else { return };
            if self.random.chance(self.plan.faults.newcomer_fails) {
                self.tally.newcomers_failed += 1;
                let wire = &mut self.clients[client].wire;
                wire.reset();
                // The server has no descriptor of it, and so hears nothing.
                wire.edge = false;
                continue;
            }
            self.clients[client].accepted = true;
            if self.random.chance(self.plan.faults.accept_without_descriptor) {
                self.refuse(client, Reject::NoDescriptor);
            } else {
                self.admit(client);
            }
        }
    }

    fn admit(&mut self, client: usize) {
        for _ in 0..=self.sockets.len() {
            match heapless!(self.table.admit(None)) {
                Admission::Slot(slot) => {
                    self.tally.accepted += 1;
                    let socket = &mut self.sockets[slot as usize];
                    assert_eq!(socket.client, None, "a newcomer gets a slot that is in use");
                    let queued = socket.queued;
                    self.clients[client].number = self.next_number;
                    self.next_number += 1;
                    *socket = Socket { client: Some(client), readable: true, queued, ..Socket::default() };
                    self.watch.accepted(slot, self.now.time.0);
                    self.enqueue(slot);
                    self.note(|_| format!("slot {slot}: client {client} is accepted"));
                    self.receive(slot);
                    if self.table.state(slot) == State::Closing {
                        self.answer(slot);
                    }
                    return;
                }
                Admission::Reclaim(slot) => {
                    self.tally.reclaimed += 1;
                    let idle = self.sockets[slot as usize].client.expect("a connection is reclaimed, not a free slot");
                    self.clients[idle].disturbance.reclaimed = true;
                    assert_eq!(self.table.state(slot), State::Closing, "a reclaimed connection closes");
                    self.answer(slot);
                }
                Admission::Refuse => return self.refuse(client, Reject::NoSlot),
            }
        }
        panic!("admitting a newcomer does not end");
    }

    fn refuse(&mut self, client: usize, reject: Reject) {
        let date = *self.date.at(self.now.wall_seconds());
        let site = &self.plan.site;
        let mut memory = vec![0; MAX_FIXED_HEAD + 256 + site.head_bytes()];
        let mut head = HeadWriter::new(&mut memory, reject.status(), &date);
        head.field("Retry-After", b"1");
        head.field("Content-Type", b"text/plain; charset=utf-8");
        head.number_field("Content-Length", reject.content().len() as u64);
        if site.cors.varies() {
            head.field("Vary", b"Origin");
        }
        site.put_fields(&mut head, site.cors.allowed(None));
        head.put(b"Connection: close\r\n\r\n");
        head.put(reject.content().as_bytes());
        let length = head.length();
        let refused = &mut self.clients[client];
        refused.disturbance.refused = true;
        let sent = refused.wire.room(length, &mut self.random, &self.plan.faults).unwrap_or(0);
        refused.wire.send(&memory[..sent]);
        refused.wire.server_shut = true;
        heapless!(self.table.refused(None, reject, sent));
        self.next_number += 1;
        self.answers_noted = self.counters.total_requests.get();
        // Its answer is not one to its script, whose first request may be HEAD.
        refused.reader.advance(&refused.wire.stream, &[], &self.files);
        match reject {
            Reject::NoSlot => {
                self.tally.refused_for_slot += 1;
                self.refusals.push((client, self.now.time.0 + DRAIN_TIME));
            }
            _ => {
                self.tally.refused_for_descriptor += 1;
                refused.wire.close(false);
            }
        }
        self.note(|_| format!("client {client} is refused: {}", reject.name()));
    }

    /// Closes all refused newcomers.
    pub(super) fn close_refusals(&mut self) {
        for (client, _) in std::mem::take(&mut self.refusals) {
            self.clients[client].wire.close(false);
        }
    }

    /// Takes in what refused newcomers still send, and closes those that have ended or whose time is over.
    pub(super) fn drain_refusals(&mut self) {
        let ends_all = self.stop_due.is_some();
        let mut refusals = std::mem::take(&mut self.refusals);
        refusals.retain(|&(client, due)| {
            let wire = &mut self.clients[client].wire;
            wire.edge = false;
            let received = wire.receive(&mut self.scratch, &mut self.random, &self.plan.faults);
            wire.edge |= received != Err(Failure::WouldBlock);
            heapless!(self.table.drained_refused(received.unwrap_or(0)));
            let is_over = matches!(received, Ok(0) | Err(Failure::Broken)) || due <= self.now.time.0 || ends_all;
            if is_over {
                wire.close(false);
            }
            !is_over
        });
        self.refusals = refusals;
    }
}
