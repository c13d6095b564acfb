//! The memory of the hot-file cache: contents in a ring, their facts in a queue, and an index by name.
//!
//! All memory is taken by [`Store::new`]. The ring is written round and round; what is overwritten is always the oldest. This
//! file knows no system call: that what it holds is still true is the business of its owner.

use super::memory::Memory;
use crate::connection::{FileFacts, KeptFields};
use crate::file::names::NameHash;
use std::io;

/// How many files one answer depends on at most: the file itself and a sidecar for each content coding.
pub(super) const MAX_WATCHED: usize = 4;

/// What is kept of an answer besides its name and content.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Record {
    pub(super) hash: NameHash,
    pub(super) variant: u8,
    pub(super) tag: u8,
    pub(super) facts: FileFacts,
    /// The watches of the files it depends on; 0 where there is none.
    pub(super) watched: [i32; MAX_WATCHED],
}

/// What a look-up found.
#[derive(Debug)]
pub(in crate::file) struct Hit<'a, Content> {
    /// The facts of the file whose content it is.
    pub(in crate::file) facts: FileFacts,
    /// Which content coding was chosen, as the caller of `insert` numbers them; 0 for none.
    pub(in crate::file) tag: u8,
    pub(in crate::file) content: Content,
    pub(in crate::file) fields: KeptFields<'a>,
}

#[derive(Debug, Default)]
struct Entry {
    record: Record,
    /// INVARIANT: `start..start + name_length + fields_bytes + content_length` lies inside the memory, is not empty, and belongs to
    /// no other entry of the queue.
    start: usize,
    name_length: usize,
    content_length: usize,
    /// How much was written of the memory for field lines.
    fields_length: u16,
    /// Whether the index leads to it.
    live: bool,
    hits: u8,
}

/// What [`Store::make_room`] did.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Room {
    /// There is room.
    Ready,
    /// The oldest entry was given up, and there may be room now.
    Evicted(Option<Evicted>),
    /// There never will be.
    TooLarge,
}

/// A live entry that was given up.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Evicted {
    pub(super) watched: [i32; MAX_WATCHED],
    /// How often it was found, 255 at most.
    pub(super) hits: u8,
}

#[derive(Debug)]
pub(super) struct Store {
    memory: Memory,
    /// How much of it each entry has for field lines, between its name and its content.
    fields_bytes: usize,
    /// A ring as well: `used` entries from `oldest` on, in the order of their starts. Each is made when its turn first comes, in
    /// memory for `most_entries` of them that was taken before, so that a start need not touch it.
    entries: Vec<Entry>,
    most_entries: usize,
    oldest: usize,
    used: usize,
    /// Where the next content goes.
    head: usize,
    /// Open addressing: the number of an entry and one, or 0. At most half full, so that every search ends.
    index: Box<[u32]>,
}

impl Store {
    pub(super) fn new(bytes: usize, entries: usize, fields_bytes: usize) -> io::Result<Self> {
        Ok(Self {
            memory: Memory::new(bytes)?,
            fields_bytes,
            entries: Vec::with_capacity(entries),
            most_entries: entries,
            oldest: 0,
            used: 0,
            head: 0,
            index: vec![0; index_places(entries)].into_boxed_slice(),
        })
    }

    /// What it takes of the heap besides its memory.
    pub(super) fn heap_bytes(entries: usize) -> usize {
        entries * size_of::<Entry>() + index_places(entries) * size_of::<u32>()
    }

    pub(super) fn find(&mut self, hash: NameHash, name: &[u8], variant: u8) -> Option<Hit<'_, &[u8]>> {
        let (_, number) = self.search(hash, |entry| entry.record.variant == variant && self.name(entry) == name)?;
        let entry = &mut self.entries[number];
        entry.hits = entry.hits.saturating_add(1);
        let start = entry.start + entry.name_length;
        let memory = &mut self.memory[start..start + self.fields_bytes + entry.content_length];
        let (fields, content) = memory.split_at_mut(self.fields_bytes);
        let fields = KeptFields::new(fields, &mut entry.fields_length);
        Some(Hit { facts: entry.record.facts, tag: entry.record.tag, content, fields })
    }

    /// Like [`Store::find`], without counting as use.
    pub(super) fn contains(&self, hash: NameHash, name: &[u8], variant: u8) -> bool {
        self.search(hash, |entry| entry.record.variant == variant && self.name(entry) == name).is_some()
    }

    fn name(&self, entry: &Entry) -> &[u8] {
        &self.memory[entry.start..entry.start + entry.name_length]
    }

    /// The place in the index and the number of an entry with this hash that fits.
    fn search(&self, hash: NameHash, fits: impl Fn(&Entry) -> bool) -> Option<(usize, usize)> {
        let mut place = self.home(hash);
        loop {
            let number = (self.index[place] as usize).checked_sub(1)?;
            let entry = &self.entries[number];
            if entry.record.hash == hash && fits(entry) {
                return Some((place, number));
            }
            place = self.after(place);
        }
    }

    fn home(&self, hash: NameHash) -> usize {
        hash.spread() & (self.index.len() - 1)
    }

    fn after(&self, place: usize) -> usize {
        (place + 1) & (self.index.len() - 1)
    }

    /// Takes one step towards a free entry and room for a name and a content of so many bytes together.
    pub(super) fn make_room(&mut self, length: usize) -> Room {
        let length = length + self.fields_bytes;
        if length == 0 || length > self.memory.len() {
            return Room::TooLarge;
        }
        if self.used == 0 {
            self.head = 0;
            return Room::Ready;
        }
        let oldest = self.entries[self.oldest].start;
        if self.head + length > self.memory.len() {
            // It goes to the beginning; what is still left behind the head is older than what is there.
            if oldest >= self.head {
                return Room::Evicted(self.evict_oldest());
            }
            self.head = 0;
        }
        let is_in_the_way = oldest >= self.head && oldest < self.head + length;
        if is_in_the_way || self.used == self.most_entries {
            return Room::Evicted(self.evict_oldest());
        }
        Room::Ready
    }

    /// Memory for the content of an entry with this name, for both of which [`Store::make_room`] has made room, to be written before
    /// [`Store::put`].
    pub(super) fn room(&mut self, name: &[u8], content_length: usize) -> &mut [u8] {
        let start = self.head + name.len() + self.fields_bytes;
        &mut self.memory[start..start + content_length]
    }

    /// Makes an entry of a name and of what was written into [`Store::room`].
    pub(super) fn put(&mut self, record: Record, name: &[u8], content_length: usize) {
        let number = (self.oldest + self.used) % self.most_entries;
        let (start, name_length) = (self.head, name.len());
        self.memory[start..start + name_length].copy_from_slice(name);
        self.head += name_length + self.fields_bytes + content_length;
        self.used += 1;
        let entry = Entry { record, start, name_length, content_length, live: true, ..Entry::default() };
        match self.entries.get_mut(number) {
            Some(place) => *place = entry,
            // The turn goes round, so it is the one behind the last.
            None => self.entries.push(entry),
        }
        let mut place = self.home(record.hash);
        while self.index[place] != 0 {
            place = self.after(place);
        }
        self.index[place] = u32::try_from(number + 1).unwrap_or(0);
    }

    /// Gives up the oldest entry. Nothing where it was dropped before.
    pub(super) fn evict_oldest(&mut self) -> Option<Evicted> {
        if self.used == 0 {
            return None;
        }
        let number = self.oldest;
        self.oldest = (self.oldest + 1) % self.most_entries;
        self.used -= 1;
        let entry = &self.entries[number];
        if !entry.live {
            return None;
        }
        let evicted = Evicted { watched: entry.record.watched, hits: entry.hits };
        let wanted = u32::try_from(number + 1).unwrap_or(0);
        let mut place = self.home(entry.record.hash);
        while self.index[place] != wanted {
            place = self.after(place);
        }
        self.vacate(place);
        Some(evicted)
    }

    /// Drops one entry of this name, of the given variant or any, and returns its watches.
    pub(super) fn drop_one(&mut self, hash: NameHash, variant: Option<u8>) -> Option<[i32; MAX_WATCHED]> {
        let (place, number) =
            self.search(hash, |entry| variant.is_none_or(|variant| entry.record.variant == variant))?;
        self.entries[number].live = false;
        self.vacate(place);
        Some(self.entries[number].record.watched)
    }

    /// Empties a place of the index and moves up what was put behind it only because it was taken.
    fn vacate(&mut self, place: usize) {
        let mask = self.index.len() - 1;
        let mut gap = place;
        let mut next = self.after(place);
        while let Some(number) = (self.index[next] as usize).checked_sub(1) {
            let home = self.home(self.entries[number].record.hash);
            // It may move where its home is not between the gap and itself.
            if next.wrapping_sub(home) & mask >= next.wrapping_sub(gap) & mask {
                self.index[gap] = self.index[next];
                gap = next;
            }
            next = self.after(next);
        }
        self.index[gap] = 0;
    }

    pub(super) fn clear(&mut self) {
        // The index is as large as all entries together want it; a few give their places back sooner one by one.
        if self.used > self.index.len() / 64 {
            self.index.fill(0);
            self.used = 0;
        }
        while self.used > 0 {
            self.evict_oldest();
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.used == 0
    }
}

fn index_places(entries: usize) -> usize {
    (2 * entries).next_power_of_two()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::VecDeque;

    #[derive(Debug)]
    struct Put {
        /// What its watch says.
        number: i32,
        name: Vec<u8>,
        variant: u8,
        content: Vec<u8>,
        live: bool,
    }

    /// What the store should hold, the oldest first.
    #[derive(Debug, Default)]
    struct Model(VecDeque<Put>);

    impl Model {
        fn find(&self, name: &[u8], variant: u8) -> Option<&Put> {
            self.0.iter().find(|put| put.live && put.name == name && put.variant == variant)
        }

        fn drop_number(&mut self, number: i32) {
            let put = self.0.iter_mut().find(|put| put.live && put.number == number);
            put.expect("what is dropped was there").live = false;
        }
    }

    /// Few values, so that hashes are shared and chains are long.
    fn hash(name: &[u8]) -> NameHash {
        NameHash::seeded(u64::from(name[0] % 16))
    }

    fn put(store: &mut Store, model: &mut Model, number: i32, name: &[u8], variant: u8, content: &[u8]) {
        let length = name.len() + content.len();
        while let Some(watched) = store.drop_one(hash(name), Some(variant)) {
            model.drop_number(watched[0]);
        }
        loop {
            match store.make_room(length) {
                Room::Ready => break,
                Room::Evicted(evicted) => {
                    let oldest = model.0.pop_front().expect("there was one");
                    assert_eq!(evicted.map(|evicted| evicted.watched[0]), oldest.live.then_some(oldest.number));
                }
                Room::TooLarge => panic!("it is smaller than the memory"),
            }
        }
        store.room(name, content.len()).copy_from_slice(content);
        let record = Record {
            hash: hash(name),
            variant,
            tag: variant + 100,
            facts: FileFacts { size: content.len() as u64, ..FileFacts::default() },
            watched: [number, 0, 0, 0],
        };
        store.put(record, name, content.len());
        model.0.push_back(Put { number, name: name.to_vec(), variant, content: content.to_vec(), live: true });
    }

    /// splitmix64.
    fn random(state: &mut u64, below: usize) -> usize {
        *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = (*state ^ (*state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) as usize % below
    }

    #[test]
    fn what_is_found_is_what_was_put_and_the_oldest_makes_room() {
        let mut evicted_live = 0;
        for seed in 0..60 {
            let state = &mut (seed as u64 * 1_000_003);
            let (bytes, entries) = [(300, 16), (4096, 16), (2000, 64), (50, 3), (1000, 1000)][seed % 5];
            let (mut store, mut model) =
                (Store::new(bytes, entries, seed % 7).expect("there is memory"), Model::default());
            for step in 0..3000 {
                let name = vec![random(state, 40) as u8 + 1; 1 + random(state, 5)];
                let variant = random(state, 3) as u8;
                match random(state, 1000) {
                    0..400 => {
                        let content = vec![step as u8; random(state, bytes / 3)];
                        let before = model.0.len();
                        put(&mut store, &mut model, step + 1, &name, variant, &content);
                        evicted_live += usize::from(model.0.len() <= before);
                    }
                    400..450 => {
                        while let Some(watched) = store.drop_one(hash(&name), None) {
                            model.drop_number(watched[0]);
                        }
                        assert!(model.0.iter().all(|put| !put.live || hash(&put.name) != hash(&name)));
                    }
                    450..455 => {
                        store.clear();
                        model.0.clear();
                    }
                    _ => {
                        let is_there = store.contains(hash(&name), &name, variant);
                        let (found, expected) = (store.find(hash(&name), &name, variant), model.find(&name, variant));
                        assert_eq!(is_there, expected.is_some(), "seed {seed}, step {step}");
                        assert_eq!(found.is_some(), is_there);
                        if let Some((mut hit, put)) = found.zip(expected) {
                            assert_eq!(hit.content, put.content, "seed {seed}, step {step}");
                            assert_eq!((hit.tag, hit.facts.size), (variant + 100, put.content.len() as u64));
                            // Whoever finds it first leaves two bytes for all that come later, if there is room for them.
                            let number = &put.number.to_le_bytes()[..2];
                            let kept = hit.fields.get_or_write(|lines| lines.put(number));
                            assert_eq!(kept, (seed % 7 >= 2).then_some(number));
                        }
                    }
                }
                let live = model.0.iter().filter(|put| put.live).count();
                assert_eq!(store.index.iter().filter(|place| **place != 0).count(), live, "seed {seed}, step {step}");
                assert_eq!(store.used, model.0.len());
            }
        }
        assert!(evicted_live > 1000, "the ring went round");
    }

    #[test]
    fn an_entry_may_fill_the_memory_and_none_may_be_larger() {
        let (mut store, mut model) = (Store::new(104, 16, 4).expect("there is memory"), Model::default());
        put(&mut store, &mut model, 1, b"a", 0, &[7; 99]);
        assert_eq!(store.find(hash(b"a"), b"a", 0).map(|hit| hit.content), Some(&[7; 99][..]));
        assert_eq!(store.make_room(101), Room::TooLarge);
        put(&mut store, &mut model, 2, b"b", 0, b"");
        assert!(store.find(hash(b"a"), b"a", 0).is_none());
        assert_eq!(store.find(hash(b"b"), b"b", 0).map(|hit| hit.content), Some(&b""[..]));
    }

    #[test]
    fn an_entry_tells_how_often_it_was_found() {
        let (mut store, mut model) = (Store::new(100, 16, 4).expect("there is memory"), Model::default());
        put(&mut store, &mut model, 1, b"a", 0, b"content");
        for _ in 0..300 {
            assert!(store.find(hash(b"a"), b"a", 0).is_some());
            assert!(store.contains(hash(b"a"), b"a", 0));
        }
        assert_eq!(store.evict_oldest().map(|evicted| evicted.hits), Some(255));
    }
}
