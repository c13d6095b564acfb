//! The hot-file cache: the contents of files that are not large, kept in memory for as long as they are known to be what the file
//! holds, and names that are known to lead to nothing.
//!
//! Promise P8: nothing stale is ever given out. A turn of the event loop first receives, then calls [`Cache::refresh`], then
//! answers. Whoever changed a file before its request was sent has put an event into the kernel's queue before that, so the entry
//! is gone before it is looked up. What no event tells of is not cached: see [`Cache::insert`]. All memory is taken by
//! [`Cache::new`]; no failure here is an error, it means opening the file as if there were no cache.

mod absences;
mod memory;
mod opening;
mod places;
mod restraint;
mod store;
#[cfg(test)]
mod tests;

use super::names::{NameHash, Names};
use super::watch::{Change, Watch};
use super::{facts, lease};
use crate::connection::KEPT_FIELDS_BYTES;
use absences::Absences;
use opening::{Candidates, Fault, LONG_REST, MAX_DIRECTORIES};
pub use places::Held;
use places::Places;
use restraint::Restraint;
use rustix::fd::{AsFd, OwnedFd};
use std::ffi::CStr;
use std::hash::{BuildHasher, Hasher};
pub(super) use store::Hit;
use store::{Evicted, MAX_WATCHED, Record, Room, Store};

/// One entry for so many bytes of content memory.
const BYTES_PER_ENTRY: usize = 1024;
const MIN_ENTRIES: usize = 16;
/// File systems whose every change goes through this kernel's own calls (statfs(2)): ext2 to ext4, XFS, Btrfs, tmpfs, ramfs, F2FS.
/// Not overlayfs: a mapping there keeps the file of the layer below open for writing, and the lease does not show it.
const TRUSTED_FILE_SYSTEMS: [u64; 6] = [0xef53, 0x5846_5342, 0x9123_683e, 0x0102_1994, 0x8584_58f6, 0xf2f5_2010];

/// How many names are remembered as not worth an attempt.
const RESTING: usize = 1024;
/// How many turns a name rests that somebody has open for writing.
const SHORT_REST: u64 = 16;
/// How many turns nothing is inserted after the user's watches were used up.
const WATCHES_REST: u64 = 4096;

#[derive(Clone, Copy, Debug, Default)]
struct Resting {
    name: NameHash,
    until: u64,
}

/// What is known of a name.
#[derive(Debug)]
pub(super) enum Found<'a> {
    /// Its content, good until the cache is used again.
    Short(Hit<'a, &'a [u8]>),
    /// Its content, good as long as it is held.
    Long(Hit<'a, Held>),
    /// It leads to nothing.
    Absent,
}

/// The cache with everything it will ever use. Dropping it may take 25 ms, in which the kernel makes sure that nobody looks at its
/// watches any more: not while somebody waits.
#[derive(Debug)]
pub(super) struct Cache {
    store: Store,
    places: Places,
    absences: Absences,
    watch: Watch,
    resting: Box<[Resting]>,
    /// The hash of the root's own name, which is empty.
    root: NameHash,
    /// The longest content that goes into the store; what is longer takes a place.
    max_short: usize,
    turn: u64,
    /// Whether all events were taken in. Where not, the store is empty and stays so until the next turn.
    trusted: bool,
    /// The turn from which on insertions are tried again.
    insert_from: u64,
    contents: Restraint,
    names: Restraint,
    /// What a test does to the files in the middle of an insertion.
    #[cfg(test)]
    interference: tests::Interference,
}

impl Cache {
    /// Takes all memory and descriptors. `root` is the document root, opened with O_PATH by this thread. Nothing where
    /// `cache_size` is 0, or changes beneath the root cannot be learned of.
    pub(super) fn new(root: &OwnedFd, cache_size: usize, max_short: usize, uses_openat2: bool) -> Option<Self> {
        if cache_size == 0 || !uses_openat2 || !is_trusted(root) {
            return None;
        }
        let entries = entries(cache_size);
        let seed = std::hash::RandomState::new().build_hasher().finish();
        Some(Self {
            watch: Watch::new(root.as_fd(), entries)?,
            store: Store::new(store_bytes(cache_size), entries, KEPT_FIELDS_BYTES).ok()?,
            places: Places::new(cache_size / 2).ok()?,
            absences: Absences::new(),
            resting: vec![Resting::default(); RESTING].into_boxed_slice(),
            root: NameHash::seeded(seed),
            max_short,
            turn: 0,
            trusted: true,
            insert_from: 0,
            contents: Restraint::default(),
            names: Restraint::default(),
            #[cfg(test)]
            interference: tests::Interference::default(),
        })
    }

    /// What the kernel takes long to close; all else is given back.
    pub(super) fn into_slow_descriptor(self) -> OwnedFd {
        self.watch.into_slow_descriptor()
    }

    /// The heap memory that a cache of this size takes besides its contents, in bytes.
    pub(super) fn heap_bytes(cache_size: usize) -> usize {
        if cache_size == 0 {
            return 0;
        }
        let entries = entries(cache_size);
        Store::heap_bytes(entries)
            + Places::heap_bytes(cache_size / 2)
            + Absences::heap_bytes()
            + Watch::heap_bytes(entries)
            + RESTING * size_of::<Resting>()
    }

    /// Drops all that has changed. To be called once a turn, after the turn's requests were received and before they are
    /// answered; what [`Cache::get`] finds is right for those requests only. One system call where nothing has changed, none
    /// where nothing is cached.
    pub(super) fn refresh(&mut self) {
        self.turn += 1;
        self.trusted = true;
        if self.watch.is_idle() {
            return;
        }
        match self.watch.poll() {
            Ok(ready) => {
                if ready.mounts {
                    // A mount over a directory on the way changes what a name means.
                    self.drop_all();
                }
                if ready.events {
                    self.drain(None);
                }
            }
            Err(_) => self.distrust(),
        }
        self.watch.sweep();
    }

    /// Whether a content of this size may be kept.
    pub(super) fn takes(&self, size: u64) -> bool {
        size <= self.max_short.max(self.places.max_content()) as u64
    }

    /// What is known of a name, which is relative to the root, for one variant. Right for requests that had arrived when
    /// [`Cache::refresh`] was last called.
    pub(super) fn get(&mut self, name: &[u8], variant: u8) -> Option<Found<'_>> {
        let hash = self.root.with(name);
        if let Some(hit) = self.store.find(hash, name, variant) {
            return Some(Found::Short(hit));
        }
        if let Some(hit) = self.places.find(hash, name, variant) {
            return Some(Found::Long(hit));
        }
        self.absences.contain(hash, name).then_some(Found::Absent)
    }

    /// A content that is held.
    pub(super) fn held_content(&self, held: &Held) -> &[u8] {
        self.places.content(held)
    }

    /// Remembers that `name` leads to nothing, where that is so and its directory tells of changes. To be called for what was found
    /// to lead to nothing and is not remembered.
    pub(super) fn insert_absence(&mut self, root: &OwnedFd, name: &CStr) {
        let name = name.to_bytes();
        if !self.may_insert() || !Absences::takes(name) || !opening::is_plain(name, &[]) || self.names.holds_back() {
            return;
        }
        match self.try_insert_absence(root, name) {
            Ok(wasted) => self.names.inserted(wasted),
            Err(Fault::NoWatches) => self.rest_from_watching(),
            // A directory on the way is not there, or a link is: the attempt was of no use.
            Err(Fault::Now | Fault::For(_)) => self.names.inserted(true),
        }
    }

    /// The directory is watched first, so that whoever makes the name after it was looked for puts an event into the queue, which is
    /// taken in once the name is remembered.
    fn try_insert_absence(&mut self, root: &OwnedFd, name: &[u8]) -> Result<bool, Fault> {
        self.make_room_for_watches()?;
        let (way, last) = split(name);
        let directory = opening::walk(&mut self.watch, root, self.root, way)?;
        let directory = directory.as_ref().map_or(root.as_fd(), AsFd::as_fd);
        self.at_step(0);
        opening::look_for_nothing(directory, last)?;
        self.at_step(1);
        let wasted = self.absences.put(self.root.with(name), name);
        self.drain(None);
        Ok(wasted)
    }

    /// Opens `name` and caches it, or the first of its sidecars `name` + suffix that is not older than itself. True where it is
    /// there afterwards; otherwise it is to be opened as if there were no cache. A suffix is one extension, its dot included.
    /// To be called for what was found to be a small file and is not cached: names that do not exist are not remembered.
    ///
    /// In this order: every directory on the way is watched, then the files are opened and watched, so that from here on every
    /// change puts an event into the queue; what is queued is taken in; then nobody has a file open for writing (who opens it
    /// after that puts an event into the queue); then it is looked at and read; then what is queued is taken in once more.
    pub(super) fn insert(&mut self, root: &OwnedFd, name: &CStr, variant: u8, suffixes: &[(u8, &'static str)]) -> bool {
        let name = name.to_bytes();
        let hash = self.root.with(name);
        // No name has a NUL in it.
        let resting_name = hash.with(&[0, variant]);
        let rests = self.resting[resting_name.spread() % RESTING];
        let is_resting = rests.name == resting_name && rests.until > self.turn;
        if !self.may_insert() || is_resting || !opening::is_plain(name, suffixes) || self.contents.holds_back() {
            return false;
        }
        let mut candidates = Candidates::default();
        let outcome = self.try_insert(root, name, variant, suffixes, &mut candidates);
        match outcome {
            Ok(wasted) => {
                self.contents.inserted(wasted);
                return self.store.contains(hash, name, variant) || self.places.contains(hash, name, variant);
            }
            Err(Fault::Now) => {}
            Err(Fault::For(turns)) => {
                let resting = Resting { name: resting_name, until: self.turn + turns };
                self.resting[resting_name.spread() % RESTING] = resting;
            }
            Err(Fault::NoWatches) => self.rest_from_watching(),
        }
        for candidate in candidates.iter().flatten() {
            self.watch.release(candidate.watch);
            // Others may have opened it for writing while our own opening hid theirs, and nobody has made sure since.
            self.drop_names(candidate.names);
        }
        false
    }

    fn may_insert(&self) -> bool {
        self.trusted && self.insert_from <= self.turn
    }

    /// Others need watches as well, so all are given back.
    fn rest_from_watching(&mut self) {
        self.drop_all();
        self.insert_from = self.turn + WATCHES_REST;
    }

    /// Leaves the watches of the candidates to the caller where it fails, and to the new entry otherwise. True where something went
    /// for it that was of no use.
    fn try_insert(
        &mut self,
        root: &OwnedFd,
        name: &[u8],
        variant: u8,
        suffixes: &[(u8, &'static str)],
        candidates: &mut Candidates,
    ) -> Result<bool, Fault> {
        self.make_room_for_watches()?;
        let (way, last) = split(name);
        let directory = opening::walk(&mut self.watch, root, self.root, way)?;
        let directory = directory.as_ref().map_or(root.as_fd(), AsFd::as_fd);
        self.at_step(0);
        let (hash, way) = (self.root.with(name), self.root.with(way));
        let chosen = opening::open_all(directory, way, last, suffixes, candidates)?;
        self.at_step(1);
        for candidate in candidates.iter_mut().flatten() {
            candidate.watch = self.watch.watch_file(&candidate.file, candidate.names)?;
        }
        self.at_step(2);
        if !self.drain(Some((hash, candidates))) {
            return Err(Fault::Now);
        }
        self.at_step(3);
        if !candidates.iter().flatten().all(|candidate| lease::has_no_writer(&candidate.file)) {
            return Err(Fault::For(SHORT_REST));
        }
        self.at_step(4);
        let status = opening::look_again(candidates, chosen)?;
        self.at_step(5);
        let Some(Some(chosen)) = candidates.get(chosen) else { return Err(Fault::Now) };
        let facts = facts(&status);
        let mut watched = [0; MAX_WATCHED];
        for (place, candidate) in watched.iter_mut().zip(candidates.iter().flatten()) {
            *place = candidate.watch;
        }
        let record = Record { hash, variant, tag: chosen.tag, facts, watched };
        while let Some(watched) = self.drop_one(hash, Some(variant)) {
            self.release(watched);
        }
        let wasted = self.put(record, name, &chosen.file)?;
        self.drain(None);
        Ok(wasted)
    }

    /// Reads a content into memory and makes an entry of it. True where something went for it that was of no use.
    fn put(&mut self, record: Record, name: &[u8], file: &OwnedFd) -> Result<bool, Fault> {
        let size = usize::try_from(record.facts.size).unwrap_or(usize::MAX);
        if size <= self.max_short {
            let wasted = self.make_room(name.len() + size)?;
            opening::read_whole(file, self.store.room(name, size))?;
            self.at_step(6);
            self.store.put(record, name, size);
            Ok(wasted)
        } else if size <= self.places.max_content() {
            let (number, evicted) = self.places.make_room().ok_or(Fault::For(SHORT_REST))?;
            let wasted = self.evicted(evicted);
            opening::read_whole(file, self.places.room(number, size))?;
            self.at_step(6);
            self.places.put(number, record, name, size);
            Ok(wasted)
        } else {
            Err(Fault::For(LONG_REST))
        }
    }

    /// Takes in all that is queued and drops what has changed. False where it concerns the name that is being inserted, or not
    /// all could be taken in. That somebody opened one of its candidates is left aside: it was us, or it is seen by the lease,
    /// or by the closing.
    fn drain(&mut self, inserting: Option<(NameHash, &Candidates)>) -> bool {
        let mut is_undisturbed = true;
        self.watch.begin();
        loop {
            let names = match self.watch.next_change() {
                Ok(None) => return is_undisturbed,
                Ok(Some(Change::Opened(watch, _)))
                    if inserting.is_some_and(|(_, candidates)| opening::are_watched_by(candidates, watch)) =>
                {
                    continue;
                }
                Ok(Some(Change::Opened(_, names) | Change::Names(names))) => names,
                Ok(Some(Change::Everything)) => {
                    self.drop_all();
                    is_undisturbed = false;
                    continue;
                }
                Err(_) => {
                    self.distrust();
                    return false;
                }
            };
            self.drop_names(names);
            is_undisturbed &= inserting.is_none_or(|(name, _)| !names.concern(name));
        }
    }

    fn drop_names(&mut self, names: Names) {
        for name in [names.own, names.base] {
            while let Some(watched) = self.drop_one(name, None) {
                self.release(watched);
            }
        }
        self.absences.clear();
    }

    fn drop_one(&mut self, name: NameHash, variant: Option<u8>) -> Option<[i32; MAX_WATCHED]> {
        self.store.drop_one(name, variant).or_else(|| self.places.drop_one(name, variant))
    }

    fn drop_all(&mut self) {
        self.store.clear();
        self.places.clear();
        self.absences.clear();
        self.watch.forget_all();
    }

    /// What has changed is not known: nothing is cached until the next turn.
    fn distrust(&mut self) {
        self.drop_all();
        self.trusted = false;
    }

    fn release(&mut self, watched: [i32; MAX_WATCHED]) {
        for watch in watched {
            if watch != 0 {
                self.watch.release(watch);
            }
        }
    }

    /// Makes room in the store for a name and a content of so many bytes together. True where something went that was of no use.
    fn make_room(&mut self, length: usize) -> Result<bool, Fault> {
        let mut wasted = false;
        loop {
            match self.store.make_room(length) {
                Room::Ready => return Ok(wasted),
                Room::Evicted(evicted) => wasted |= self.evicted(evicted),
                Room::TooLarge => return Err(Fault::For(LONG_REST)),
            }
        }
    }

    /// True where an entry served no request but the one that brought it in.
    fn evicted(&mut self, evicted: Option<Evicted>) -> bool {
        evicted.is_some_and(|Evicted { watched, hits }| {
            self.release(watched);
            hits < 2
        })
    }

    /// Where a test may interfere.
    #[cfg_attr(not(test), allow(clippy::unused_self))]
    fn at_step(&mut self, _step: usize) {
        #[cfg(test)]
        self.interference.at_step(_step);
    }

    fn make_room_for_watches(&mut self) -> Result<(), Fault> {
        const MOST: usize = MAX_DIRECTORIES + MAX_WATCHED;
        while !self.watch.has_room(MOST) {
            if self.watch.sweep_all(MOST) {
                continue;
            }
            if !self.store.is_empty() {
                let evicted = self.store.evict_oldest();
                self.evicted(evicted);
            } else if let Some(evicted) = self.places.evict_any() {
                self.evicted(Some(evicted));
            } else if self.watch.is_idle() {
                return Err(Fault::NoWatches);
            } else {
                // All of them are directories.
                self.absences.clear();
                self.watch.forget_all();
            }
        }
        Ok(())
    }
}

/// The directories on the way to a name, with their slashes, and what is in the last of them.
fn split(name: &[u8]) -> (&[u8], &[u8]) {
    name.split_at(memchr::memrchr(b'/', name).map_or(0, |slash| slash + 1))
}

/// What is left beside the places for long contents.
fn store_bytes(cache_size: usize) -> usize {
    cache_size - Places::content_bytes(cache_size / 2)
}

fn entries(cache_size: usize) -> usize {
    // Numbers of entries are kept in 32 bits.
    (cache_size / BYTES_PER_ENTRY).clamp(MIN_ENTRIES, 1 << 30)
}

fn is_trusted(root: &OwnedFd) -> bool {
    #[allow(clippy::cast_sign_loss, clippy::unnecessary_cast)]
    // The type differs between architectures; the numbers do not.
    rustix::fs::fstatfs(root).is_ok_and(|status| TRUSTED_FILE_SYSTEMS.contains(&u64::from(status.f_type as u32)))
}
