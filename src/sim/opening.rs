//! The driver's part in files: what it opens, what it finds in memory instead, and what it lets a response read of a file.

use super::answer::Content;
use super::client::Client;
use super::files::{FakeFile, Files, Found};
use super::heapless;
use super::request::{Exchange, Expected};
use super::world::{Need, World};
use crate::connection::{Action, Content as In, InMemory, KEPT_FIELDS_BYTES, KeptFields, OpenError, State};
use crate::http::negotiation::{Coding, Codings};
use crate::stats::Counters;
use std::collections::HashMap;
use std::ffi::CStr;

/// The largest file that is kept in memory, in bytes.
const MOST_IN_MEMORY: u64 = 60_000;

/// What a head takes at most besides what the site adds.
const HEAD: usize = 768;

/// The field lines that are kept beside a content, by file, coding, and when the file last changed.
pub(super) type Kept = HashMap<(usize, Option<u8>, u64, i64), (Box<[u8]>, u16)>;

impl World {
    /// Opens a name, or finds its content in memory.
    pub(super) fn open(&mut self, slot: u32, name: &CStr, codings: Codings) {
        let wall_nanoseconds = self.now.wall_nanoseconds;
        let mut found = self.files.look(name.to_bytes(), codings);
        let fails = self.random.chance(self.plan.faults.open_fails);
        if fails {
            found =
                Found::Fails(*self.random.pick(&[OpenError::NoDescriptor, OpenError::Failed, OpenError::Forbidden]));
            self.open_failed(slot);
        }
        if let Found::File(id, coding) = found
            && self.files.left(id) == self.files.size(id)
            && self.files.size(id) <= MOST_IN_MEMORY
            && self.random.chance(self.plan.memory)
        {
            return self.find_in_memory(slot, name, id, coding);
        }
        self.sockets[slot as usize].was_opened = false;
        self.waited_for_room(slot);
        let outcome = self.files.open(slot, found, wall_nanoseconds);
        heapless!(self.table.opened(slot, outcome));
        self.note_answers(slot);
    }

    /// The content of a name is in memory: short, or held until it is sent.
    fn find_in_memory(&mut self, slot: u32, name: &CStr, id: usize, coding: Option<Coding>) {
        let mut content = vec![0; usize::try_from(self.files.size(id)).expect("it is small")];
        Files::fill(id, 0, &mut content);
        let facts = self.files.facts(id, self.now.wall_nanoseconds);
        let is_new = self.random.chance(300);
        self.sockets[slot as usize].was_opened |= is_new;
        let is_short = content.len() <= self.table.max_short() && self.random.chance(700);
        let in_memory = if is_short { In::Short(&content) } else { In::Long(self.files.hold(slot, id)) };
        let key = (id, coding.map(|coding| coding as u8), facts.identity.1, facts.modified_seconds);
        if self.random.chance(200) {
            self.kept.remove(&key);
        }
        let room = if self.random.chance(100) { 50 } else { KEPT_FIELDS_BYTES };
        let (memory, length) = self.kept.entry(key).or_insert_with(|| (vec![0; room].into_boxed_slice(), 0));
        self.tally.kept_fields_used += u64::from(*length > 0);
        let fields = KeptFields::new(memory, length);
        let found = InMemory { facts, coding, content: in_memory, fields, is_new };
        heapless!(self.table.found_in_memory(slot, found));
        self.offered(slot, name, content.len(), is_short);
    }

    /// The answer that `slot` is to begin next is another than it should be.
    fn open_failed(&mut self, slot: u32) {
        self.tally.opens_failed += 1;
        let client = self.sockets[slot as usize].client.expect("only who is there is answered");
        let client = &mut self.clients[client];
        client.disturbance.failed = true;
        client.failed.push(client.begun);
    }

    /// A content was offered from memory: finds out whether it was taken, and whether that was right.
    fn offered(&mut self, slot: u32, name: &CStr, length: usize, is_short: bool) {
        let is_taken = if self.note_answers(slot) > 0 {
            true
        } else {
            assert_eq!(self.table.state(slot), State::Processing, "no answer was begun");
            // Asking twice changes nothing where the answer waits for the driver.
            match self.table.next_action(slot) {
                Action::Send { .. } | Action::SendRegistered { .. } => false,
                Action::Open { name: next, .. } => {
                    let is_page = next.bytes().ends_with(b".html") && next.bytes().len() == "404.html".len();
                    assert!(is_page, "{next:?} is opened after {name:?} was found in memory");
                    true
                }
                action => panic!("{action:?} after {name:?} was found in memory"),
            }
        };
        let waited = self.waited_for_room(slot);
        if is_taken {
            let least = length + HEAD + self.plan.site.head_bytes();
            assert!(
                !is_short || least <= self.plan.limits.buffer_size,
                "{length} bytes were taken without room for them"
            );
            let was_opened = std::mem::take(&mut self.sockets[slot as usize].was_opened);
            self.tally.memory_hits += u64::from(!was_opened);
            self.tally.memory_misses += u64::from(was_opened);
            self.tally.memory_late += u64::from(waited);
            self.tally.memory_held += u64::from(!is_short);
            if let Some(Content::Parts(_)) = self.content_under_way(slot) {
                self.tally.parts_from_memory += 1;
            }
        } else {
            assert!(is_short, "what is held needs no room");
            assert!(!waited, "what waits for room finds none when everything is sent");
            self.sockets[slot as usize].waits_for_room = true;
            self.tally.memory_waits += 1;
        }
    }

    /// Whether a content in memory waited for room. It does no longer.
    fn waited_for_room(&mut self, slot: u32) -> bool {
        let waited = std::mem::take(&mut self.sockets[slot as usize].waits_for_room);
        self.tally.memory_waits -= u64::from(waited);
        waited
    }

    /// Counts the answers that `slot` has begun in the last call. Returns how many those are.
    fn note_answers(&mut self, slot: u32) -> usize {
        let client = self.sockets[slot as usize].client.expect("only who is there is answered");
        let count = note_answers(&self.counters, &mut self.answers_noted, &mut self.clients[client]);
        if count > 0 {
            let socket = &mut self.sockets[slot as usize];
            (socket.need, socket.listing) = (Need::Bytes, None);
        }
        count
    }

    /// The content of the answer that `slot` is sending, where the request got one that is known.
    fn content_under_way(&self, slot: u32) -> Option<&Content> {
        let client = &self.clients[self.sockets[slot as usize].client?];
        let exchange = client.script.get(client.begun.checked_sub(1)?)?;
        Some(&exchange.answer().filter(|_| !exchange.is_head)?.content)
    }
}

/// Counts the answers that a client's connection has begun since the last call for any.
pub(super) fn note_answers(counters: &Counters, noted: &mut u64, client: &mut Client) -> usize {
    let total = counters.total_requests.get();
    let count = usize::try_from(total - *noted).expect("one call begins few answers");
    *noted = total;
    client.begun += count;
    count
}

/// A part of a file that a response reads.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Reading {
    /// There are others.
    pub(super) is_of_several: bool,
    /// Where it ends, if nothing is read after that.
    last_end: Option<u64>,
}

impl Reading {
    /// What the file is needed for once so much of it has been read from `offset` on.
    pub(super) fn need_after(self, offset: u64, count: u64) -> Need {
        match self.last_end == Some(offset + count) {
            _ if count == 0 => Need::Nothing,
            true if self.is_of_several => Need::Delimiter,
            true => Need::Nothing,
            false => Need::Bytes,
        }
    }
}

/// `length` bytes of a file are wanted for the answer to this: they must be the rest of a part that it is to have.
pub(super) fn check_read(under_way: Option<&Exchange>, files: &Files, id: usize, offset: u64, length: u64) -> Reading {
    match under_way.map(|exchange| &exchange.expected) {
        Some(Expected::Answer(answer)) => {
            let end = answer.content.end_of_part(id, offset);
            assert_eq!(Some(offset + length), end, "the rest of a part is read: {:?}", answer.content);
            let is_of_several = matches!(answer.content, Content::Parts(_));
            Reading { is_of_several, last_end: end.filter(|end| answer.content.is_last(*end)) }
        }
        _ => {
            assert!(offset + length <= files.size(id), "no more is read than there is");
            Reading::default()
        }
    }
}

/// Reads what there is of a file.
pub(super) fn read_file(files: &Files, file: &FakeFile, offset: u64, into: &mut [u8]) -> usize {
    assert!(!into.is_empty(), "a read into nothing looks like the end of the file");
    let left = usize::try_from(files.left(file.id).saturating_sub(offset)).expect("test files are small");
    let count = left.min(into.len());
    Files::fill(file.id, offset, &mut into[..count]);
    count
}
