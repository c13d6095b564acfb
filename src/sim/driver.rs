//! The event loop's part, call for call as in `net::event_loop`, with a fake kernel below it.

use super::client::Client;
use super::files::{FakeFile, Files};
use super::heapless;
use super::wire::Failure;
use super::world::{Socket, World};
use crate::connection::{Action, Admission, Input, Room, State};
use crate::http::Reject;
use crate::http::response_head::{HeadWriter, MAX_FIXED_HEAD};

/// How many newcomers one turn accepts.
const ACCEPTS_PER_TURN: usize = 64;
/// How many receives one connection gets in a turn.
const RECEIVES_PER_TURN: usize = 4;
/// How many steps of answering one connection gets in a turn.
const STEPS_PER_TURN: usize = 192;
/// How much of a file one connection sends in a turn, in bytes.
const FILE_BYTES_PER_TURN: u64 = 1 << 20;
/// How long responses under way may take once the server stops, in nanoseconds.
const STOP_GRACE: u64 = 1_000_000_000;
/// How long a refused newcomer is drained at most, in nanoseconds.
const DRAIN_TIME: u64 = 500_000_000;
/// No turn has more deadlines to handle than this.
const MOST_EXPIRED: usize = 1000;

#[derive(Clone, Copy)]
enum Progress {
    Sent(usize),
    FileSent(u64),
}

impl World {
    pub(super) fn turn(&mut self) {
        let now = self.now;
        heapless!(self.table.set_now(now));
        self.note_events();
        for _ in 0..self.ready.len() {
            let Some(slot) = self.ready.pop_front() else { break };
            self.receive(slot);
            self.ready.push_back(slot);
        }
        self.accept();
        for _ in 0..self.ready.len() {
            let Some(slot) = self.ready.pop_front() else { break };
            self.sockets[slot as usize].queued = false;
            self.answer(slot);
        }
        self.expire();
        self.drain_refusals();
        heapless!(self.table.check_invariants());
        self.stop();
    }

    fn note_events(&mut self) {
        let spurious = self.plan.faults.spurious_event;
        for index in 0..self.sockets.len() {
            let slot = u32::try_from(index).expect("there are few slots");
            let Some(client) = self.sockets[index].client else { continue };
            if !self.sockets[index].registered {
                continue;
            }
            let wire = &mut self.clients[client].wire;
            let is_spurious = self.random.chance(spurious);
            if !is_spurious && (!wire.edge || self.random.chance(self.plan.faults.late_event)) {
                continue;
            }
            wire.edge = false;
            let token = self.table.token(slot);
            assert_eq!(heapless!(self.table.slot_of(token)), Some(slot), "a slot's own event is not stale");
            self.sockets[index].readable |= is_spurious || wire.is_readable();
            self.sockets[index].end_announced |= wire.has_ended();
            self.enqueue(slot);
        }
    }

    fn enqueue(&mut self, slot: u32) {
        let socket = &mut self.sockets[slot as usize];
        if !socket.queued {
            socket.queued = true;
            self.ready.push_back(slot);
        }
    }

    /// The first half of a turn, for one connection.
    fn receive(&mut self, slot: u32) {
        let index = slot as usize;
        for _ in 0..RECEIVES_PER_TURN {
            let Some(client) = self.sockets[index].client else { return };
            if !self.sockets[index].readable {
                break;
            }
            let wire = &mut self.clients[client].wire;
            let (received, length, is_drained) = match heapless!(self.table.receive_room(slot)) {
                Room::None => {
                    assert!(
                        !self.table.wants_input(slot),
                        "slot {slot} wants input and has no room: the loop would spin"
                    );
                    break;
                }
                Room::Buffer(room) => {
                    assert!(!room.is_empty(), "a receive into no room looks like the peer's end");
                    self.watch.receives_into(slot, room.as_ptr() as usize);
                    (wire.receive(room, &mut self.random, &self.plan.faults), room.len(), false)
                }
                Room::Drain => {
                    let length = self.scratch.len();
                    (wire.receive(&mut self.scratch, &mut self.random, &self.plan.faults), length, true)
                }
            };
            let socket = &mut self.sockets[index];
            let input = match received {
                Ok(0) => {
                    socket.readable = false;
                    Input::End
                }
                Ok(count) => {
                    socket.readable = count == length || socket.end_announced;
                    self.watch.received(slot, self.now.time.0);
                    if is_drained { Input::Drained(count) } else { Input::Bytes(count) }
                }
                Err(Failure::WouldBlock) => {
                    socket.readable = false;
                    Input::Nothing
                }
                Err(Failure::Interrupted) => continue,
                Err(Failure::Broken) => {
                    socket.readable = false;
                    self.clients[client].disturbance.lost = true;
                    Input::Lost
                }
            };
            self.mix(received.map_or(u64::MAX, |count| count as u64));
            heapless!(self.table.receive(slot, input));
            self.note(|world| format!("slot {slot}: {input:?}, {}", world.table.state(slot).name()));
        }
    }

    /// The second half of a turn, for one connection.
    fn answer(&mut self, slot: u32) {
        let mut file_bytes = 0;
        for _ in 0..STEPS_PER_TURN {
            let Some(client) = self.sockets[slot as usize].client else { return };
            let wire = &mut self.clients[client].wire;
            let (random, faults) = (&mut self.random, &self.plan.faults);
            let outcome = match heapless!(self.table.next_action(slot)) {
                Action::Wait => return self.settle(slot, client),
                Action::Open(name) => {
                    let outcome = self.files.open(name.to_bytes());
                    heapless!(self.table.opened(slot, outcome));
                    continue;
                }
                Action::ReadFile { file, offset, into } => {
                    let count = read_file(&self.files, file, offset, into);
                    let count = if count > 1 && random.chance(faults.partial_file_read) {
                        random.size(1, count)
                    } else {
                        count
                    };
                    self.tally.truncated += u64::from(count == 0);
                    heapless!(self.table.file_read(slot, count));
                    continue;
                }
                Action::ShutDownSending => {
                    wire.server_shut = true;
                    continue;
                }
                Action::Close => return self.close(slot, client),
                Action::Send(bytes) => {
                    assert!(!bytes.is_empty(), "a send of nothing makes no progress");
                    wire.room(bytes.len(), random, faults).map(|count| {
                        wire.send(&bytes[..count]);
                        Progress::Sent(count)
                    })
                }
                Action::SendFile { file, offset, length } => {
                    assert_eq!(offset + length, self.files.size(file.id), "the rest of the file is sent");
                    let left = self.files.left(file.id).saturating_sub(offset).min(length).min(FILE_BYTES_PER_TURN);
                    let wanted = usize::try_from(left).expect("it is within the turn's budget");
                    wire.room(wanted, random, faults).map(|count| {
                        let mut content = vec![0; count];
                        Files::fill(file.id, offset, &mut content);
                        wire.send(&content);
                        Progress::FileSent(content.len() as u64)
                    })
                }
            };
            match outcome {
                Ok(progress) => {
                    self.progressed(slot, client, progress);
                    if let Progress::FileSent(count) = progress {
                        file_bytes += count;
                        if file_bytes >= FILE_BYTES_PER_TURN {
                            break;
                        }
                    }
                }
                Err(Failure::WouldBlock) => {
                    heapless!(self.table.send_blocked(slot));
                    return self.settle(slot, client);
                }
                Err(Failure::Interrupted) => {}
                Err(Failure::Broken) => {
                    self.clients[client].disturbance.lost = true;
                    heapless!(self.table.receive(slot, Input::Lost));
                }
            }
        }
        self.enqueue(slot);
        self.settle(slot, self.sockets[slot as usize].client.expect("it was there until its budget was spent"));
    }

    /// Bytes went out: some time has passed, and the client hears of them.
    fn progressed(&mut self, slot: u32, client: usize, progress: Progress) {
        let elapsed = self.random.between(0, 2000);
        self.advance_clock(elapsed);
        let now = self.now;
        heapless!(self.table.set_now(now));
        self.watch.sent(slot, now.time.0);
        let Client { reader, script, wire, .. } = &mut self.clients[client];
        reader.advance(&wire.stream, script, &self.files);
        match progress {
            Progress::Sent(count) => {
                self.mix(count as u64);
                heapless!(self.table.sent(slot, count));
            }
            Progress::FileSent(count) => {
                self.mix(!count);
                self.tally.truncated += u64::from(count == 0);
                heapless!(self.table.file_sent(slot, count));
            }
        }
    }

    fn close(&mut self, slot: u32, client: usize) {
        self.retired.push(self.table.token(slot));
        let queued = self.sockets[slot as usize].queued;
        self.sockets[slot as usize] = Socket { queued, ..Socket::default() };
        self.clients[client].wire.close();
        self.watch.closed(slot);
        heapless!(self.table.closed(slot));
        assert_eq!(self.table.state(slot), State::Free);
        self.note(|_| format!("slot {slot}: closed, client {client} with it"));
    }

    fn settle(&mut self, slot: u32, client: usize) {
        let index = slot as usize;
        if !self.sockets[index].registered {
            self.sockets[index].registered = true;
            self.clients[client].wire.edge = true;
            if self.random.chance(self.plan.faults.registration_fails) {
                self.give_up(slot, client);
                self.enqueue(slot);
            }
        }
        if self.sockets[index].readable && self.table.wants_input(slot) {
            self.enqueue(slot);
        }
        let idle = match self.table.state(slot) {
            State::ReadingRequestLine => self.clients[client].is_surely_idle(),
            state => state == State::Closing,
        };
        self.watch.rests(slot, idle);
    }

    fn give_up(&mut self, slot: u32, client: usize) {
        self.tally.abandoned += 1;
        self.clients[client].disturbance.lost = true;
        heapless!(self.table.abandon(slot));
    }

    fn accept(&mut self) {
        for _ in 0..ACCEPTS_PER_TURN {
            if self.stop_due.is_some() {
                return;
            }
            let Some(client) = self.backlog.pop_front() else { return };
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
                    *socket = Socket { client: Some(client), readable: true, queued, ..Socket::default() };
                    self.watch.accepted(slot, self.now.time.0);
                    self.enqueue(slot);
                    self.note(|_| format!("slot {slot}: client {client} is accepted"));
                    return self.receive(slot);
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
        let date = *self.date.at(self.now.wall_seconds);
        let mut memory = [0; MAX_FIXED_HEAD + 256];
        let mut head = HeadWriter::new(&mut memory, reject.status(), &date);
        head.field("Retry-After", b"1");
        head.field("Content-Type", b"text/plain; charset=utf-8");
        head.number_field("Content-Length", reject.content().len() as u64);
        head.put(b"Connection: close\r\n\r\n");
        head.put(reject.content().as_bytes());
        let length = head.length();
        let refused = &mut self.clients[client];
        refused.disturbance.refused = true;
        let sent = refused.wire.room(length, &mut self.random, &self.plan.faults).unwrap_or(0);
        refused.wire.send(&memory[..sent]);
        refused.wire.server_shut = true;
        heapless!(self.table.refused(None, reject, sent));
        // Its answer is not one to its script, whose first request may be HEAD.
        refused.reader.advance(&refused.wire.stream, &[], &self.files);
        match reject {
            Reject::NoSlot => {
                self.tally.refused_for_slot += 1;
                self.refusals.push((client, self.now.time.0 + DRAIN_TIME));
            }
            _ => {
                self.tally.refused_for_descriptor += 1;
                refused.wire.close();
            }
        }
        self.note(|_| format!("client {client} is refused: {}", reject.name()));
    }

    /// Takes in what refused newcomers still send, and closes those that have ended or whose time is over.
    fn drain_refusals(&mut self) {
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
                wire.close();
            }
            !is_over
        });
        self.refusals = refusals;
    }

    fn expire(&mut self) {
        for _ in 0..MOST_EXPIRED {
            let Some(slot) = heapless!(self.table.expire()) else { return };
            let client = self.sockets[slot as usize].client.expect("a free slot has no deadline");
            let is_timeout = self.watch.expired(slot, self.now.time.0, self.table.counters());
            let disturbance = &mut self.clients[client].disturbance;
            disturbance.timed_out |= is_timeout;
            disturbance.linger_over |= !is_timeout;
            self.note(|_| format!("slot {slot}: a deadline passed, timeout: {is_timeout}"));
            self.answer(slot);
        }
        panic!("deadlines do not cease to pass");
    }

    /// Begins and ends the stop, where it is wanted.
    fn stop(&mut self) {
        if !self.stop_wanted {
            return;
        }
        if self.stop_due.is_none() {
            self.tally.stops += 1;
            self.stop_due = Some(self.now.time.0 + STOP_GRACE);
            for client in self.clients.iter_mut().filter(|client| !client.wire.server_closed) {
                client.disturbance.stopped = true;
            }
            heapless!(self.table.begin_drain());
            self.answer_all();
        }
        if self.abort_wanted || self.stop_due.is_some_and(|due| due <= self.now.time.0) {
            for index in 0..self.sockets.len() {
                if let Some(client) = self.sockets[index].client {
                    self.give_up(u32::try_from(index).expect("there are few slots"), client);
                }
            }
            self.answer_all();
            assert_eq!(self.table.active(), 0, "what is abandoned closes at once");
        }
        if self.table.active() == 0 {
            self.drain_refusals();
        }
    }

    fn answer_all(&mut self) {
        for slot in 0..self.sockets.len() {
            self.answer(u32::try_from(slot).expect("there are few slots"));
        }
    }
}

fn read_file(files: &Files, file: &FakeFile, offset: u64, into: &mut [u8]) -> usize {
    assert!(!into.is_empty(), "a read into nothing looks like the end of the file");
    assert_eq!(offset + into.len() as u64, files.size(file.id), "the rest of the file is read");
    let left = usize::try_from(files.left(file.id).saturating_sub(offset)).expect("test files are small");
    let count = left.min(into.len());
    Files::fill(file.id, offset, &mut into[..count]);
    count
}
