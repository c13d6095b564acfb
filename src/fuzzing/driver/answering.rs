//! What the loop does for a connection that is being answered, call for call.

use super::{Driver, FILE_PIECE, MOST_IN_MEMORY, MOST_SENT};
use crate::alloc::heapless;
use crate::canned::{Ending, Wait};
use crate::connection::{
    Action, Content, FileFacts, InMemory, Input, KEPT_FIELDS_BYTES, KeptFields, Listed, OpenError, Opened, State, Table,
};
use crate::fuzzing::files::{File, Found, fill, look};
use crate::http::listing::{Kind, Position};
use crate::http::negotiation::Coding;

impl Driver {
    /// Counts the answers that were begun since the last call, for this peer.
    pub(super) fn note_answers(&mut self, number: usize) {
        let total = self.counters.total_requests.get();
        self.peers[number].begun += total - self.tally.begun;
        self.tally.begun = total;
    }

    pub(super) fn answer(&mut self, number: usize) {
        for _ in 0..self.budget {
            let Some(slot) = self.peers[number].slot else { return };
            let goes_on = self.step(number, slot);
            self.note_answers(number);
            if !goes_on {
                return;
            }
            self.went_on = true;
        }
    }

    /// Does what the connection asks for. False where it waits, or the loop does.
    fn step(&mut self, number: usize, slot: u32) -> bool {
        let served = self.registered.last().map_or(0, |canned| canned.served());
        let action = heapless!(self.table.next_action(slot));
        let peer = &mut self.peers[number];
        if let Some(canned) = self.registered.last().filter(|canned| canned.served() > served) {
            // It may come late, in part, or as something else than a response.
            peer.disturbed |= !canned.pace().is_plain() || canned.pace().delay != Wait::None || canned.head().is_none();
        }
        match action {
            Action::Wait => return false,
            Action::Open { name, codings } => {
                let found = look(name.bytes(), codings, 1_700_000_000_000_000_000 + self.now);
                self.open(number, slot, found);
            }
            Action::ReadFile { file, offset, into } => {
                assert!(!into.is_empty(), "a read into nothing looks like the end of the file");
                let left = usize::try_from(file.left.saturating_sub(offset)).unwrap_or(usize::MAX);
                let count = left.min(into.len());
                fill(file.inode, offset, &mut into[..count]);
                self.truncated(number, count as u64);
                heapless!(self.table.file_read(slot, count));
            }
            Action::List { position, .. } => {
                let after = position.name().first().copied().unwrap_or(b'a');
                return self.list(slot, after);
            }
            Action::ShutDownSending => peer.shut_down = true,
            Action::Close { resets } => {
                let may_reset = self.registered.iter().any(|canned| canned.pace().ending == Ending::Reset);
                assert!(!resets || (may_reset && peer.disturbed), "peer {number} is reset for nothing");
                heapless!(self.table.closed(slot));
                assert_eq!(self.table.state(slot), State::Free);
                (peer.slot, peer.closed) = (None, true);
            }
            Action::Send { bytes, .. } => {
                assert!(!bytes.is_empty(), "a send of nothing makes no progress");
                let count = peer.room(bytes.len());
                peer.take(&bytes[..count]);
                return self.sent(number, slot, count, |table, slot, count| table.sent(slot, count));
            }
            Action::SendRegistered { head, content } => {
                assert!(!head.is_empty() || !content.is_empty(), "a send of nothing makes no progress");
                let count = peer.room(head.len() + content.len());
                let of_head = count.min(head.len());
                peer.take(&head[..of_head]);
                peer.take(&content[..count - of_head]);
                return self.sent(number, slot, count, |table, slot, count| table.sent(slot, count));
            }
            Action::SendFile { before, .. } if !before.is_empty() => {
                let count = peer.room(before.len());
                peer.take(&before[..count]);
                return self.sent(number, slot, count, |table, slot, count| table.sent(slot, count));
            }
            Action::SendFile { file, offset, length, .. } => {
                let left = file.left.saturating_sub(offset).min(length).min(FILE_PIECE);
                let left = usize::try_from(left).expect("it is a piece");
                if left == 0 && peer.room(1) > 0 {
                    self.truncated(number, 0);
                    heapless!(self.table.file_sent(slot, 0));
                    return true;
                }
                let mut content = vec![0; peer.room(left)];
                fill(file.inode, offset, &mut content);
                peer.take(&content);
                return self
                    .sent(number, slot, content.len(), |table, slot, count| table.file_sent(slot, count as u64));
            }
        }
        true
    }

    /// Tells that bytes were sent, that none could be, or that the connection is gone. False where the loop waits then.
    fn sent(&mut self, number: usize, slot: u32, count: usize, tell: fn(&mut Table<File>, u32, usize)) -> bool {
        let peer = &mut self.peers[number];
        if peer.is_reset {
            heapless!(self.table.receive(slot, Input::Lost));
            return true;
        }
        if count == 0 {
            heapless!(self.table.send_blocked(slot));
            return false;
        }
        assert!(!peer.shut_down, "it sends after it has shut down its sending side");
        let has_enough = peer.stream.len() > MOST_SENT;
        heapless!(tell(&mut self.table, slot, count));
        if has_enough {
            self.reset(number);
        }
        // With a narrow window one piece goes out in a turn.
        self.peers[number].window.is_none()
    }

    fn truncated(&mut self, number: usize, count: u64) {
        if count == 0 {
            self.tally.truncated += 1;
            self.peers[number].disturbed = true;
        }
    }

    fn open(&mut self, number: usize, slot: u32, found: Found) {
        let fault = self.fault.take().map_or(8, |fault| fault & 7);
        let outcome = match (fault, found) {
            (0, _) => Err(OpenError::NotFound),
            (1, _) => Err(OpenError::Forbidden),
            (2, _) => Err(OpenError::NoDescriptor),
            (3, _) => Err(OpenError::Failed),
            (4, _) | (_, Found::Directory) => Ok(Opened::Directory(File::open(0, 0, &self.open))),
            (_, Found::Fails(error)) => Err(error),
            (5 | 6, Found::File(facts, coding)) if facts.size <= MOST_IN_MEMORY => {
                return self.find_in_memory(number, slot, facts, coding, fault == 6);
            }
            (_, Found::File(facts, coding)) => {
                let left = if fault == 7 { facts.size / 2 } else { facts.size };
                self.tally.misses += 1;
                self.peers[number].looked_up.push(facts.identity.0);
                Ok(Opened::File(File::open(facts.identity.0, left, &self.open), facts, coding))
            }
        };
        heapless!(self.table.opened(slot, outcome));
    }

    fn find_in_memory(&mut self, number: usize, slot: u32, facts: FileFacts, coding: Option<Coding>, is_new: bool) {
        let mut content = vec![0; usize::try_from(facts.size).expect("it is small")];
        fill(facts.identity.0, 0, &mut content);
        self.peers[number].looked_up.push(facts.identity.0);
        let (mut memory, mut length) = ([0; KEPT_FIELDS_BYTES], 0);
        let fields = KeptFields::new(&mut memory, &mut length);
        let content = if content.len() <= self.table.max_short() {
            Content::Short(&content)
        } else {
            Content::Long(File::open(facts.identity.0, facts.size, &self.open))
        };
        heapless!(self.table.found_in_memory(slot, InMemory { facts, coding, content, fields, is_new }));
        self.note_answers(number);
    }

    /// Tells the next of a few entries, which are called by one letter each.
    fn list(&mut self, slot: u32, after: u8) -> bool {
        if std::mem::take(&mut self.listing_waits) {
            heapless!(self.table.listing_waits(slot));
            // It is asked again in the next turn.
            self.went_on = true;
            return false;
        }
        let next = after + 1;
        let name = [next; 40];
        let position = Position::of(Kind::File, &name).expect("it is short");
        let listed = match (next, self.fault) {
            (_, Some(0)) => Listed::Failed,
            (b'x'.., _) => Listed::End,
            _ => Listed::Entry { position: &position, size: 5, modified_seconds: 5 },
        };
        if matches!(listed, Listed::Failed) {
            self.fault = None;
            let number = self.owner(slot);
            self.peers[number].disturbed = true;
        }
        heapless!(self.table.listed(slot, listed));
        true
    }
}
