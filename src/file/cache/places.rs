//! The memory of the hot-file cache for long contents: places of one size, each for one file.
//!
//! A response does not copy a long content, it holds its place until it is sent, and a place that is held is neither written nor
//! given to another file. Whoever reads slowly keeps places from being filled, and nothing more: what finds none is opened.

use super::memory::Memory;
use super::store::{Evicted, Hit, MAX_WATCHED, Record};
use crate::connection::{KEPT_FIELDS_BYTES, KeptFields};
use crate::file::names::NameHash;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

/// The longest content that is kept, in bytes.
pub(super) const MAX_LONG: usize = 128 * 1024;
/// The longest name that is kept, in bytes.
const MAX_NAME: usize = super::opening::MAX_NAME;
const PLACE_BYTES: usize = MAX_NAME + KEPT_FIELDS_BYTES + MAX_LONG;

/// A content in its place, held there as long as this lives.
#[derive(Debug)]
pub struct Held {
    number: usize,
    content_length: usize,
    /// INVARIANT: as many of the place's holders as there are of these for it. Only the loop's thread changes them; they are
    /// atomic so that an open file may cross threads with the server before it runs.
    holders: Arc<[AtomicU32]>,
}

impl Held {
    fn new(number: usize, content_length: usize, holders: &Arc<[AtomicU32]>) -> Self {
        let count = &holders[number];
        count.store(count.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
        Self { number, content_length, holders: Arc::clone(holders) }
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        let count = &self.holders[self.number];
        count.store(count.load(Ordering::Relaxed) - 1, Ordering::Relaxed);
    }
}

#[derive(Debug, Default)]
struct Place {
    record: Record,
    name_length: usize,
    fields_length: u16,
    content_length: usize,
    /// Whether the file may be found in it.
    live: bool,
    hits: u8,
    /// Whether it was found since somebody last looked for a place to fill.
    is_fresh: bool,
    /// The number of the next live place in the same bucket, and one; or 0.
    following: u32,
}

/// All places.
#[derive(Debug)]
pub(super) struct Places {
    memory: Memory,
    places: Box<[Place]>,
    holders: Arc<[AtomicU32]>,
    /// By hash: the number of the first live place, and one; or 0. A change is looked up here however many places there are.
    buckets: Box<[u32]>,
    live: usize,
    /// Where the search for a place to fill goes on.
    next: usize,
}

impl Places {
    /// As many as `bytes` have room for.
    pub(super) fn new(bytes: usize) -> io::Result<Self> {
        let count = bytes / PLACE_BYTES;
        Ok(Self {
            buckets: vec![0; count.next_power_of_two()].into_boxed_slice(),
            live: 0,
            memory: Memory::new(count * PLACE_BYTES)?,
            places: std::iter::repeat_with(Place::default).take(count).collect(),
            holders: std::iter::repeat_with(AtomicU32::default).take(count).collect(),
            next: 0,
        })
    }

    /// What they take of the heap besides their memory.
    pub(super) fn heap_bytes(bytes: usize) -> usize {
        let count = bytes / PLACE_BYTES;
        // An Arc keeps two counts of its own.
        let shared = (2 * size_of::<usize>() + count * size_of::<AtomicU32>()).next_multiple_of(align_of::<usize>());
        count * size_of::<Place>() + count.next_power_of_two() * size_of::<u32>() + shared
    }

    /// How much of so many bytes the places take.
    pub(super) fn content_bytes(bytes: usize) -> usize {
        bytes / PLACE_BYTES * PLACE_BYTES
    }

    /// The longest content for which there is a place.
    pub(super) fn max_content(&self) -> usize {
        if self.places.is_empty() { 0 } else { MAX_LONG }
    }

    fn memory_of(&self, number: usize) -> &[u8] {
        &self.memory[number * PLACE_BYTES..(number + 1) * PLACE_BYTES]
    }

    fn bucket(&self, hash: NameHash) -> usize {
        hash.spread() & (self.buckets.len() - 1)
    }

    /// The number of a live place with this hash that fits.
    fn search(&self, hash: NameHash, fits: impl Fn(usize, &Place) -> bool) -> Option<usize> {
        let mut number = self.buckets[self.bucket(hash)].checked_sub(1)? as usize;
        loop {
            let place = &self.places[number];
            if place.record.hash == hash && fits(number, place) {
                return Some(number);
            }
            number = place.following.checked_sub(1)? as usize;
        }
    }

    fn number_of(&self, hash: NameHash, name: &[u8], variant: u8) -> Option<usize> {
        self.search(hash, |number, place| {
            place.record.variant == variant && &self.memory_of(number)[..place.name_length] == name
        })
    }

    /// Makes a live place one that nothing is found in.
    fn give_up(&mut self, number: usize) -> Evicted {
        let bucket = self.bucket(self.places[number].record.hash);
        let (wanted, after) = (as_link(number), self.places[number].following);
        if self.buckets[bucket] == wanted {
            self.buckets[bucket] = after;
        } else {
            let mut before = self.buckets[bucket];
            while let Some(place) = before.checked_sub(1).map(|before| &mut self.places[before as usize]) {
                before = place.following;
                if before == wanted {
                    place.following = after;
                    break;
                }
            }
        }
        self.live -= 1;
        let place = &mut self.places[number];
        place.live = false;
        Evicted { watched: place.record.watched, hits: place.hits }
    }

    pub(super) fn find(&mut self, hash: NameHash, name: &[u8], variant: u8) -> Option<Hit<'_, Held>> {
        let number = self.number_of(hash, name, variant)?;
        let place = &mut self.places[number];
        place.hits = place.hits.saturating_add(1);
        place.is_fresh = true;
        let start = number * PLACE_BYTES + MAX_NAME;
        let fields = &mut self.memory[start..start + KEPT_FIELDS_BYTES];
        Some(Hit {
            facts: place.record.facts,
            tag: place.record.tag,
            content: Held::new(number, place.content_length, &self.holders),
            fields: KeptFields::new(fields, &mut place.fields_length),
        })
    }

    /// Like [`Self::find`], without counting as use.
    pub(super) fn contains(&self, hash: NameHash, name: &[u8], variant: u8) -> bool {
        self.number_of(hash, name, variant).is_some()
    }

    /// A content that is held.
    pub(super) fn content(&self, held: &Held) -> &[u8] {
        &self.memory_of(held.number)[MAX_NAME + KEPT_FIELDS_BYTES..][..held.content_length]
    }

    /// Empties a place to be filled: the first that nobody holds and that was not found lately. Its number, and what was given up
    /// for it; nothing where all are held.
    pub(super) fn make_room(&mut self) -> Option<(usize, Option<Evicted>)> {
        // Whatever is fresh now is not the second time round.
        for _ in 0..2 * self.places.len() {
            let number = self.next;
            self.next = (self.next + 1) % self.places.len();
            let place = &mut self.places[number];
            let is_free = self.holders[number].load(Ordering::Relaxed) == 0;
            if is_free && !(place.live && std::mem::take(&mut place.is_fresh)) {
                let evicted = if place.live { Some(self.give_up(number)) } else { None };
                return Some((number, evicted));
            }
        }
        None
    }

    /// The memory for the name and for the content of so many bytes, [`MAX_LONG`] at most, in a place that was emptied.
    pub(super) fn room(&mut self, number: usize, length: usize) -> &mut [u8] {
        &mut self.memory[number * PLACE_BYTES..][MAX_NAME + KEPT_FIELDS_BYTES..][..length]
    }

    /// Makes the file findable whose content was written into [`Self::room`].
    pub(super) fn put(&mut self, number: usize, record: Record, name: &[u8], content_length: usize) {
        self.memory[number * PLACE_BYTES..][..name.len()].copy_from_slice(name);
        let bucket = self.bucket(record.hash);
        let following = std::mem::replace(&mut self.buckets[bucket], as_link(number));
        let place =
            Place { record, name_length: name.len(), content_length, live: true, following, ..Place::default() };
        self.places[number] = place;
        self.live += 1;
    }

    /// Drops one file of this name, of the given variant or any, and returns its watches. Who holds its content keeps it.
    pub(super) fn drop_one(&mut self, hash: NameHash, variant: Option<u8>) -> Option<[i32; MAX_WATCHED]> {
        let number = self.search(hash, |_, place| variant.is_none_or(|variant| place.record.variant == variant))?;
        Some(self.give_up(number).watched)
    }

    /// Drops one file or other, where there is any.
    pub(super) fn evict_any(&mut self) -> Option<Evicted> {
        if self.live == 0 {
            return None;
        }
        let number = self.places.iter().position(|place| place.live)?;
        Some(self.give_up(number))
    }

    pub(super) fn clear(&mut self) {
        if self.live == 0 {
            return;
        }
        for place in &mut self.places {
            place.live = false;
        }
        self.buckets.fill(0);
        self.live = 0;
    }
}

/// How a place's number is kept where 0 means none.
fn as_link(number: usize) -> u32 {
    u32::try_from(number + 1).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::connection::FileFacts;

    fn hash(name: &[u8]) -> NameHash {
        NameHash::seeded(7).with(name)
    }

    fn put(places: &mut Places, name: &[u8], content: &[u8]) -> Option<Option<Evicted>> {
        let (number, evicted) = places.make_room()?;
        places.room(number, content.len()).copy_from_slice(content);
        let facts = FileFacts { size: content.len() as u64, ..FileFacts::default() };
        let record = Record { hash: hash(name), variant: 0, tag: 3, facts, watched: [i32::from(name[0]), 0, 0, 0] };
        places.put(number, record, name, content.len());
        Some(evicted)
    }

    fn hold(places: &mut Places, name: &[u8]) -> Option<Held> {
        places.find(hash(name), name, 0).map(|hit| hit.content)
    }

    #[test]
    fn a_held_content_stays_while_its_file_changes_and_others_come() {
        let mut places = Places::new(2 * PLACE_BYTES).expect("there is memory");
        assert_eq!(put(&mut places, b"a", &[1; MAX_LONG]), Some(None));
        let held = hold(&mut places, b"a").expect("it was put");
        assert_eq!(places.drop_one(hash(b"a"), None), Some([i32::from(b'a'), 0, 0, 0]));
        assert!(hold(&mut places, b"a").is_none());
        for name in [b"b", b"c", b"d"] {
            assert!(put(&mut places, name, &[2; MAX_LONG]).is_some());
            assert!(places.content(&held).iter().all(|&byte| byte == 1));
        }
        drop(held);
        assert_eq!(put(&mut places, b"e", b"e"), Some(None), "the place of the dropped file is free");
        assert!(places.contains(hash(b"d"), b"d", 0) && places.contains(hash(b"e"), b"e", 0));
    }

    /// Names that share hashes come and go; what is found is what was put last and not dropped.
    #[test]
    fn what_was_put_is_found_until_it_is_dropped() {
        let mut places = Places::new(5 * PLACE_BYTES).expect("there is memory");
        let mut state = 1_u64;
        let mut random = |below: u64| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 33) % below
        };
        let hash = |name: u8| NameHash::seeded(u64::from(name % 3));
        let mut model = std::collections::BTreeSet::new();
        for step in 0..50_000 {
            let name = u8::try_from(random(9)).expect("it is small");
            match random(8) {
                0..4 if !model.contains(&name) => {
                    let (number, evicted) = places.make_room().expect("nobody holds any");
                    let evicted = evicted.map(|evicted| evicted.watched[0]);
                    model.retain(|name| evicted != Some(i32::from(*name)));
                    places.room(number, 1)[0] = name;
                    let watched = [i32::from(name), 0, 0, 0];
                    places.put(number, Record { hash: hash(name), watched, ..Record::default() }, &[name], 1);
                    model.insert(name);
                }
                4 => {
                    let dropped = places.drop_one(hash(name), None).map(|watched| watched[0]);
                    assert_eq!(dropped.is_some(), model.iter().any(|other| other % 3 == name % 3), "step {step}");
                    model.retain(|name| dropped != Some(i32::from(*name)));
                }
                5 if random(50) == 0 => {
                    places.clear();
                    model.clear();
                }
                6 if random(50) == 0 => {
                    let evicted = places.evict_any().map(|evicted| evicted.watched[0]);
                    assert_eq!(evicted.is_some(), !model.is_empty(), "step {step}");
                    model.retain(|name| evicted != Some(i32::from(*name)));
                }
                _ => {}
            }
            for name in 0..9 {
                let found = places.find(hash(name), &[name], 0).map(|hit| hit.content);
                assert_eq!(found.is_some(), model.contains(&name), "step {step}");
                assert!(found.is_none_or(|held| places.content(&held) == [name]), "step {step}");
            }
        }
    }

    /// Half of the largest cache is 65,000 places, and a turn may bring thousands of changes.
    #[test]
    fn a_change_costs_no_more_where_there_are_many_places() {
        let cost = |count: usize| {
            let mut places = Places::new(count * PLACE_BYTES).expect("what is not touched takes no memory");
            let times = (0..7).map(|_| {
                let start = std::time::Instant::now();
                for number in 0..2_000_u32 {
                    assert!(places.drop_one(hash(&number.to_le_bytes()), None).is_none());
                }
                start.elapsed()
            });
            times.min().expect("there are seven")
        };
        let (few, many) = (cost(4), cost(4_000));
        assert!(many < few * 50, "{few:?} with 4 places, {many:?} with 4,000");
    }

    #[test]
    fn where_all_are_held_there_is_no_place() {
        let mut places = Places::new(2 * PLACE_BYTES).expect("there is memory");
        assert!(put(&mut places, b"a", b"a").is_some() && put(&mut places, b"b", b"b").is_some());
        let held = [hold(&mut places, b"a"), hold(&mut places, b"b"), hold(&mut places, b"b")];
        assert_eq!(put(&mut places, b"c", b"c"), None);
        let [_first, second, third] = held;
        drop(second);
        assert_eq!(put(&mut places, b"c", b"c"), None, "somebody holds it still");
        drop(third);
        let evicted = Evicted { watched: [i32::from(b'b'), 0, 0, 0], hits: 2 };
        assert_eq!(put(&mut places, b"c", b"c"), Some(Some(evicted)));
        assert_eq!(Places::new(PLACE_BYTES - 1).expect("none is needed").max_content(), 0);
    }

    #[test]
    fn what_was_found_lately_is_given_up_last() {
        let mut places = Places::new(3 * PLACE_BYTES).expect("there is memory");
        for name in [b"a", b"b", b"c"] {
            assert!(put(&mut places, name, name).is_some());
        }
        for name in [b"d", b"e", b"f", b"g"] {
            assert!(hold(&mut places, b"a").is_some(), "it is in use all the time");
            assert!(put(&mut places, name, name).is_some());
        }
    }

    #[test]
    fn another_name_of_the_same_hash_is_another_file() {
        let mut places = Places::new(2 * PLACE_BYTES).expect("there is memory");
        assert!(put(&mut places, b"a", b"content").is_some());
        assert!(places.find(hash(b"a"), b"b", 0).is_none());
        assert!(places.find(hash(b"a"), b"a", 1).is_none());
        let hit = places.find(hash(b"a"), b"a", 0).expect("it was put");
        assert_eq!((hit.tag, hit.facts.size), (3, 7));
    }
}
