//! The event loop's part, call for call as in `net::event_loop`, with a fake kernel below it.

use super::client::Client;
use super::files::Files;
use super::heapless;
use super::listing::is_end;
use super::opening::{check_read, note_answers, read_file};
use super::wire::Failure;
use super::world::{Need, Socket, World};
use crate::connection::{Action, Input, Room, State};
use crate::http::listing::Position;
use crate::http::negotiation::Codings;
use std::ffi::CString;

/// How many receives one connection gets in a turn.
const RECEIVES_PER_TURN: usize = 4;
/// How many steps of answering one connection gets in a turn.
const STEPS_PER_TURN: usize = 192;
/// How much of a file one connection sends in a turn, in bytes.
const FILE_BYTES_PER_TURN: u64 = 1 << 20;
/// How long responses under way may take once the server stops, in nanoseconds.
const STOP_GRACE: u64 = 1_000_000_000;
/// No turn has more deadlines to handle than this.
const MOST_EXPIRED: usize = 1000;

#[derive(Clone, Copy)]
enum Progress {
    Sent(usize),
    FileSent(usize, u64),
}

/// What became of asking a connection what it wants.
enum Step {
    /// Nothing until something happens.
    Waits,
    Closes(bool),
    Opens(CString, Codings),
    /// A directory by its token, its file and its name, from a place on.
    Lists(u64, usize, Vec<u8>, Box<Position>),
    /// It was done.
    Goes,
    Sends(Result<Progress, Failure>),
}

impl World {
    pub(super) fn turn(&mut self) {
        let now = self.now;
        heapless!(self.table.set_now(now));
        self.drain();
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
        self.obey();
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

    pub(super) fn enqueue(&mut self, slot: u32) {
        let socket = &mut self.sockets[slot as usize];
        if !socket.queued {
            socket.queued = true;
            self.ready.push_back(slot);
        }
    }

    /// The first half of a turn, for one connection.
    pub(super) fn receive(&mut self, slot: u32) {
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
                    self.tally.receives_failed += u64::from(!wire.is_reset);
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
    pub(super) fn answer(&mut self, slot: u32) {
        let mut file_bytes = 0;
        for _ in 0..STEPS_PER_TURN {
            let Some(client) = self.sockets[slot as usize].client else { return };
            match self.step(slot, client) {
                Step::Waits => {
                    self.paused(slot, client);
                    return self.settle(slot, client);
                }
                Step::Closes(resets) => return self.close(slot, client, resets),
                Step::Opens(name, codings) => self.open(slot, &name, codings),
                Step::Lists(token, id, name, position) => {
                    if !self.list(slot, token, id, &name, *position) {
                        break;
                    }
                }
                Step::Goes | Step::Sends(Err(Failure::Interrupted)) => {}
                Step::Sends(Ok(progress)) => {
                    self.progressed(slot, client, progress);
                    if let Progress::FileSent(_, count) = progress {
                        file_bytes += count;
                        if file_bytes >= FILE_BYTES_PER_TURN {
                            break;
                        }
                    }
                }
                Step::Sends(Err(Failure::WouldBlock)) => {
                    heapless!(self.table.send_blocked(slot));
                    return self.settle(slot, client);
                }
                Step::Sends(Err(Failure::Broken)) => {
                    self.tally.sends_failed += u64::from(!self.clients[client].wire.is_reset);
                    self.clients[client].disturbance.lost = true;
                    heapless!(self.table.receive(slot, Input::Lost));
                }
            }
        }
        self.enqueue(slot);
        self.settle(slot, self.sockets[slot as usize].client.expect("it was there until its budget was spent"));
    }

    /// Asks what is to be done next, and does it as far as that is at hand.
    fn step(&mut self, slot: u32, client: usize) -> Step {
        let action = heapless!(self.table.next_action(slot));
        let socket = &mut self.sockets[slot as usize];
        let begun = note_answers(&self.counters, &mut self.answers_noted, &mut self.clients[client]);
        self.registry.note(&mut self.clients[client], self.now.time.0);
        if begun > 0 {
            (socket.need, socket.listing) = (Need::Bytes, None);
        } else if self.files.open_for(slot) > 0 {
            let is_needed = match (socket.need, &action) {
                (Need::Bytes, _) => true,
                (Need::Delimiter, Action::Send { bytes, .. }) => !bytes.ends_with(b"--\r\n"),
                (Need::End, Action::Send { bytes, .. }) => !is_end(bytes),
                _ => false,
            };
            assert!(is_needed, "slot {slot} holds a file that nothing more is needed of");
        }
        if !matches!(action, Action::Wait) {
            self.watch.goes_on(slot, self.now.time.0);
        }
        let Client { wire, script, begun, failed, reader, disturbance, play, .. } = &mut self.clients[client];
        // Where a name could not be opened, it is another answer that is under way.
        let under_way =
            begun.checked_sub(1).filter(|index| !failed.contains(index)).and_then(|index| script.get(index));
        let (random, faults) = (&mut self.random, &self.plan.faults);
        match action {
            Action::Wait => {
                assert!(
                    !wire.said_last || wire.server_shut,
                    "slot {slot} waits, and what it said was the last waits for its end"
                );
                return Step::Waits;
            }
            Action::Close { resets } => return Step::Closes(resets),
            Action::Open { name, codings } => {
                let (bytes, c_string) = (name.bytes(), name.as_c_str().to_owned());
                assert_eq!(c_string.to_bytes(), bytes, "a name ends in its only NUL");
                return Step::Opens(c_string, codings);
            }
            Action::ReadFile { file, offset, into } => {
                let reading = check_read(under_way, &self.files, file.id, offset, into.len() as u64);
                self.tally.parts_read += u64::from(reading.is_of_several);
                let mut count = read_file(&self.files, file, offset, into);
                if count > 1 && random.chance(faults.partial_file_read) {
                    count = random.size(1, count);
                }
                if count > 0 && random.chance(faults.file_ends) {
                    count = 0;
                    disturbance.cut = true;
                    self.tally.files_ended += 1;
                }
                self.tally.truncated += u64::from(count == 0);
                socket.need = reading.need_after(offset, count as u64);
                heapless!(self.table.file_read(slot, count));
            }
            Action::List { token, directory, name, position } => {
                return Step::Lists(token, directory.id, name.to_vec(), Box::new(*position));
            }
            Action::ShutDownSending => {
                wire.server_shut = true;
                reader.stream_ends(&wire.stream);
            }
            Action::Send { bytes, is_last } => {
                assert!(!bytes.is_empty(), "a send of nothing makes no progress");
                assert!(!wire.said_last, "slot {slot} sends more than what it said was the last");
                return Step::Sends(wire.room(bytes.len(), random, faults).map(|count| {
                    wire.said_last = is_last && count == bytes.len();
                    wire.send(&bytes[..count]);
                    Progress::Sent(count)
                }));
            }
            Action::SendRegistered { head, content } => {
                assert!(!wire.said_last, "slot {slot} sends more than what it said was the last");
                if let Some(play) = play.as_ref() {
                    play.check_piece(&wire.stream, head, content);
                }
                return Step::Sends(wire.room(head.len() + content.len(), random, faults).map(|count| {
                    let of_head = count.min(head.len());
                    wire.send(&head[..of_head]);
                    wire.send(&content[..count - of_head]);
                    Progress::Sent(count)
                }));
            }
            Action::SendFile { .. } if wire.said_last => {
                panic!("slot {slot} sends a file after what it said was the last")
            }
            Action::SendFile { before, .. } if !before.is_empty() && random.chance(500) => {
                return Step::Sends(wire.room(before.len(), random, faults).map(|count| {
                    wire.send(&before[..count]);
                    Progress::Sent(count)
                }));
            }
            Action::SendFile { before, file, offset, length } => {
                let reading = check_read(under_way, &self.files, file.id, offset, length);
                self.tally.parts_sent += u64::from(reading.is_of_several);
                let mut left = self.files.left(file.id).saturating_sub(offset).min(length).min(FILE_BYTES_PER_TURN);
                if left > 0 && before.is_empty() && random.chance(faults.file_ends) {
                    left = 0;
                    disturbance.cut = true;
                    self.tally.files_ended += 1;
                }
                let wanted = usize::try_from(left).expect("it is within the turn's budget");
                return Step::Sends(wire.room(before.len() + wanted, random, faults).map(|count| {
                    let Some(of_file) = count.checked_sub(before.len()).filter(|count| *count > 0 || wanted == 0)
                    else {
                        wire.send(&before[..count]);
                        return Progress::Sent(count);
                    };
                    let mut content = vec![0; of_file];
                    Files::fill(file.id, offset, &mut content);
                    wire.send(before);
                    wire.send(&content);
                    socket.need = reading.need_after(offset, of_file as u64);
                    Progress::FileSent(before.len(), of_file as u64)
                }));
            }
        }
        Step::Goes
    }

    /// Bytes went out: some time has passed, and the client hears of them.
    fn progressed(&mut self, slot: u32, client: usize, progress: Progress) {
        let (before, elapsed) = (self.now.time.0, self.random.between(0, 2000));
        self.advance_clock(elapsed);
        let now = self.now;
        heapless!(self.table.set_now(now));
        self.watch.sent(slot, now.time.0);
        let Client { reader, script, wire, play, .. } = &mut self.clients[client];
        reader.advance(&wire.stream, script, &self.files);
        let is_under_way = matches!(self.table.state(slot), State::Processing | State::SendingResponse);
        if let (Progress::Sent(count), Some(play)) = (progress, play.as_mut().filter(|_| is_under_way)) {
            play.sent(&wire.stream, count, before, now.time.0);
        }
        match progress {
            Progress::Sent(count) => {
                self.mix(count as u64);
                heapless!(self.table.sent(slot, count));
            }
            Progress::FileSent(before, count) => {
                self.mix(!count);
                self.tally.truncated += u64::from(count == 0);
                if before > 0 {
                    self.tally.sent_together += 1;
                    heapless!(self.table.sent(slot, before));
                }
                heapless!(self.table.file_sent(slot, count));
            }
        }
    }

    fn close(&mut self, slot: u32, client: usize, resets: bool) {
        self.retired.push(self.table.token(slot));
        let queued = self.sockets[slot as usize].queued;
        self.sockets[slot as usize] = Socket { queued, ..Socket::default() };
        self.clients[client].check_play();
        let Client { wire, reader, .. } = &mut self.clients[client];
        wire.close(resets);
        reader.stream_ends(&wire.stream);
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

    fn expire(&mut self) {
        for _ in 0..MOST_EXPIRED {
            let Some(slot) = heapless!(self.table.expire()) else { return };
            let client = self.sockets[slot as usize].client.expect("a free slot has no deadline");
            let is_timeout = self.watch.expired(slot, self.now.time.0, self.table.counters());
            let is_closing = self.table.state(slot) == State::Closing;
            let disturbance = &mut self.clients[client].disturbance;
            disturbance.timed_out |= is_timeout;
            disturbance.linger_over |= !is_timeout && is_closing;
            self.note(|_| format!("slot {slot}: a deadline passed, timeout: {is_timeout}"));
            self.answer(slot);
        }
        panic!("deadlines do not cease to pass");
    }

    /// Begins the drain, where it is wanted. Whoever is still to be answered sees it.
    fn drain(&mut self) {
        if self.drain_wanted {
            for client in self.clients.iter_mut().filter(|client| !client.wire.server_closed) {
                client.disturbance.drained = true;
                client.drained_from.get_or_insert(client.begun);
            }
            heapless!(self.table.begin_drain());
        }
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
                client.drained_from.get_or_insert(client.begun);
            }
            heapless!(self.table.begin_stop());
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

    pub(super) fn answer_all(&mut self) {
        for slot in 0..self.sockets.len() {
            self.answer(u32::try_from(slot).expect("there are few slots"));
        }
    }
}
