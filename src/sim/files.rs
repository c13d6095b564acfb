//! A document root that does not exist. What a byte of a file is follows from the file and the offset, so that every byte of every
//! answer can be checked.

use super::directories::Directories;
use super::plan::Plan;
use super::random::Random;
use crate::config::Site;
use crate::connection::{FileFacts, OpenError, Opened};
use crate::http::negotiation::{Coding, Codings};
use std::cell::{Cell, RefCell};
use std::collections::HashSet;
use std::rc::Rc;

/// As long after its last change a file's tag holds once only, in nanoseconds.
const YOUTH: u64 = 20_000_000;
/// What stands for the current second where dates are compared: the one that the clock shows first.
pub(super) const PRESENT: i64 = 1_700_000_000;
/// No change of long ago is later than this, in seconds since 1970.
const LATEST_PAST: u64 = 1_300_000_000;
/// Every change of the future is later than this, in seconds since 1970.
const EARLIEST_FUTURE: u64 = 5_000_000_000;

/// How many were opened, and how many of them were closed.
#[derive(Debug, Default)]
pub(super) struct FileCounts {
    pub(super) opened: Cell<u64>,
    /// How many of those were directories.
    pub(super) directories: Cell<u64>,
    pub(super) closed: Cell<u64>,
    /// How many contents in memory were held instead.
    pub(super) held: Cell<u64>,
    /// How many are open for each slot.
    open: Box<[Cell<u64>]>,
}

/// An open file. It counts when it is closed.
#[derive(Debug)]
pub(super) struct FakeFile {
    pub(super) id: usize,
    slot: u32,
    counts: Rc<FileCounts>,
}

impl Drop for FakeFile {
    fn drop(&mut self) {
        let open = &self.counts.open[self.slot as usize];
        open.set(open.get() - 1);
        self.counts.closed.set(self.counts.closed.get() + 1);
    }
}

/// What a name stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Its size when it is opened, and what is left of it when it is read.
    File {
        size: u64,
        left: u64,
    },
    Directory,
    Fails(OpenError),
}

/// A moment: a certain one, or so long before the file is opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Moment<Certain> {
    At(Certain),
    Before(u64),
}

#[derive(Debug)]
struct Entry {
    name: String,
    kind: Kind,
    /// When anything of it last changed, in nanoseconds.
    changed: Moment<u64>,
    /// When its content is said to have changed, in seconds.
    modified: Moment<i64>,
}

/// What is found beneath a name.
#[derive(Clone, Copy, Debug)]
pub(super) enum Found {
    File(usize, Option<Coding>),
    Directory(usize),
    Fails(OpenError),
}

/// The document root, and how it is served.
#[derive(Debug)]
pub(super) struct Files {
    entries: Vec<Entry>,
    /// Most requests are for one of the first so many, which are files, or for one of the first so many of any kind.
    files: usize,
    ordinary: usize,
    pub(super) directories: Directories,
    /// The inode of the first entry.
    first_inode: u64,
    /// The changes that lay so long before an open, by file.
    told_changes: RefCell<HashSet<(usize, u64)>>,
    pub(super) site: Site,
    pub(super) counts: Rc<FileCounts>,
}

/// The byte of a file at an offset.
fn byte_at(id: usize, offset: u64) -> u8 {
    (offset.wrapping_mul(7) ^ (offset >> 8).wrapping_mul(13) ^ (id as u64).wrapping_mul(59)).to_le_bytes()[0]
}

fn changed(random: &mut Random) -> Moment<u64> {
    match random.between(0, 19) {
        0 => Moment::Before(random.between(0, YOUTH - 1)),
        1 => Moment::Before(YOUTH - 1),
        2 => Moment::Before(YOUTH),
        3 => Moment::At(random.between(EARLIEST_FUTURE * 1_000_000_000, u64::MAX)),
        _ => Moment::At(random.between(0, LATEST_PAST * 1_000_000_000)),
    }
}

fn modified(random: &mut Random) -> Moment<i64> {
    let seconds = |seconds| i64::try_from(seconds).expect("it is before the end of time");
    match random.between(0, 19) {
        0..=1 => Moment::Before(0),
        2 => Moment::Before(1),
        3 => Moment::At(-seconds(random.between(0, 1 << 40))),
        4 => Moment::At(seconds(random.between(EARLIEST_FUTURE, 1 << 62))),
        _ => Moment::At(seconds(random.between(0, LATEST_PAST))),
    }
}

impl Files {
    pub(super) fn new(random: &mut Random, plan: &Plan) -> Self {
        let mut files = Self {
            entries: Vec::new(),
            files: 0,
            ordinary: 0,
            directories: Directories::default(),
            first_inode: if random.chance(500) { 0 } else { random.between(0, u64::MAX - 1000) },
            told_changes: RefCell::default(),
            site: plan.site.clone(),
            counts: Rc::new(FileCounts {
                open: vec![Cell::new(0); plan.limits.max_connections].into(),
                ..FileCounts::default()
            }),
        };
        files.add_files(random, plan);
        files.files = files.entries.len();
        files.add_directories(random, plan);
        for (name, error) in
            [("secret", OpenError::Forbidden), ("crowded", OpenError::NoDescriptor), ("broken", OpenError::Failed)]
        {
            files.add(random, name, Kind::Fails(error));
        }
        files.ordinary = files.entries.len();
        files.add_sidecars(random, plan);
        files.add_pages(random);
        if files.site.listing {
            files.fill_directories(random);
        }
        files
    }

    fn add(&mut self, random: &mut Random, name: impl Into<String>, kind: Kind) {
        let (changed, modified) = (changed(random), modified(random));
        self.entries.push(Entry { name: name.into(), kind, changed, modified });
    }

    fn add_file(&mut self, random: &mut Random, name: impl Into<String>, size: u64) {
        self.add(random, name, Kind::File { size, left: size });
    }

    fn add_files(&mut self, random: &mut Random, plan: &Plan) {
        let buffer = plan.limits.buffer_size as u64;
        // A file's head takes between 200 and 650 bytes and what the site adds: these sizes lie around what fits behind it.
        let added = plan.site.head_bytes() as u64;
        let around = (buffer - added).saturating_sub(random.between(200, 650));
        let sizes = [
            0,
            1,
            6,
            random.between(7, 300),
            random.between(100, buffer / 2),
            around,
            buffer - 1,
            buffer,
            buffer + 1,
            random.between(buffer, buffer + 5000),
            random.between(2 * buffer, 2 * buffer + 9000),
        ];
        for (index, size) in sizes.into_iter().enumerate() {
            let extension = *random.pick(&["txt", "html", "png", "unknown", "css", "pptx"]);
            self.add_file(random, format!("f{index}.{extension}"), size);
        }
        if plan.huge_files {
            let size = random.between(200_000, 2_600_000);
            self.add_file(random, "huge.bin", size);
        }
        let size = random.between(1, 2 * buffer);
        let left = random.between(0, size - 1);
        self.add(random, "shrinks.txt", Kind::File { size, left });
        let (size, left) = (random.between(1 << 60, 1 << 62), random.between(0, 4000));
        self.add(random, "vast.pptx", Kind::File { size, left });
        self.add_file(random, "d/index.html", 40);
        if random.chance(700) {
            self.add_file(random, "index.html", 777);
        }
        for name in [".hidden.txt", "d/.hidden/file", ".well-known/file", "d/.well-known"] {
            self.add_file(random, name, 50);
        }
    }

    fn add_directories(&mut self, random: &mut Random, plan: &Plan) {
        for directory in ["d", "d/empty", "a [dir]", "odd", "odd/index.html"] {
            self.add(random, directory, Kind::Directory);
            self.add(random, format!("{directory}/"), Kind::Directory);
        }
        // Their Location is three times as long as their path, for each bracket must be encoded. The smallest pools have no room.
        let limits = &plan.limits;
        if limits.pool_size >= 400 {
            let brackets = random.size(120, 160);
            self.add(random, "[".repeat(brackets), Kind::Directory);
        }
        let too_long = limits.buffer_size / 3 + 1;
        if limits.pool_size > too_long + 300 && limits.max_request_line > too_long + 40 {
            self.add(random, "]".repeat(too_long), Kind::Directory);
        }
    }

    fn add_sidecars(&mut self, random: &mut Random, plan: &Plan) {
        let longest = 2 * plan.limits.buffer_size as u64;
        for id in 0..self.ordinary {
            let Kind::File { .. } = self.entries[id].kind else { continue };
            for suffix in [".br", ".zst", ".gz"] {
                if !random.chance(if self.site.precompressed { 350 } else { 30 }) {
                    continue;
                }
                let most = if random.chance(500) { 600 } else { longest };
                let size = random.between(0, most);
                let kind = match random.between(0, 19) {
                    0 => Kind::Directory,
                    1 => Kind::Fails(*random.pick(&[OpenError::Forbidden, OpenError::NoDescriptor, OpenError::Failed])),
                    2 if size > 0 => Kind::File { size, left: random.between(0, size - 1) },
                    _ => Kind::File { size, left: size },
                };
                let name = format!("{}{suffix}", self.entries[id].name);
                self.add(random, name, kind);
            }
        }
    }

    fn add_pages(&mut self, random: &mut Random) {
        for status in [400, 403, 404, 405, 412, 413, 414, 416, 417, 431, 500, 501, 505, 408, 503, 507] {
            let most = if random.chance(800) { 600 } else { 6000 };
            let size = random.between(0, most);
            let kind = match random.between(0, 19) {
                0..=1 => continue,
                2 => Kind::Directory,
                3 => Kind::Fails(*random.pick(&[OpenError::Forbidden, OpenError::NoDescriptor, OpenError::Failed])),
                4..=5 if size > 0 => Kind::File { size, left: random.between(0, size - 1) },
                _ => Kind::File { size, left: size },
            };
            self.add(random, format!("{status}.html"), kind);
            if self.site.precompressed && random.chance(200) {
                self.add_file(random, format!("{status}.html.gz"), 30);
            }
        }
    }

    /// Puts something into the directories, the root among them.
    fn fill_directories(&mut self, random: &mut Random) {
        let deep = "x/".repeat(random.size(2, 36));
        for name in ["none/", "one/", "a&b 'c'/", "many/", &deep, "."] {
            self.add(random, name, Kind::Directory);
        }
        for (name, error) in
            [("locked/", OpenError::Forbidden), ("gone/", OpenError::NotFound), ("torn/", OpenError::Failed)]
        {
            self.add(random, name, Kind::Fails(error));
        }
        for (id, entry) in self.entries.iter().enumerate() {
            let name = if entry.name == "." { "" } else { &entry.name };
            if entry.kind != Kind::Directory || !(name.is_empty() || name.ends_with('/')) {
                continue;
            }
            self.directories.fill(random, id, name);
        }
    }

    /// The name of something that is there.
    pub(super) fn any_name(&self, random: &mut Random) -> &str {
        let count = match random.between(0, 19) {
            0..=11 => self.files,
            12..=16 => self.ordinary,
            _ => self.entries.len(),
        };
        let name = &random.pick(&self.entries[..count]).name;
        if name == "." { "" } else { name }
    }

    pub(super) fn find(&self, name: &[u8]) -> Option<(usize, Kind)> {
        let index = self.entries.iter().position(|entry| entry.name.as_bytes() == name)?;
        Some((index, self.entries[index].kind))
    }

    /// The file that lies beside the one of this name in a coding.
    pub(super) fn sidecar(&self, name: &[u8], coding: Coding) -> Option<usize> {
        let suffix: &[u8] = match coding {
            Coding::Brotli => b".br",
            Coding::Zstandard => b".zst",
            Coding::Gzip => b".gz",
        };
        let (id, kind) = self.find(&[name, suffix].concat())?;
        matches!(kind, Kind::File { .. }).then_some(id)
    }

    /// What there is for the driver beneath `name`.
    pub(super) fn look(&self, name: &[u8], codings: Codings) -> Found {
        match self.find(name) {
            None => Found::Fails(OpenError::NotFound),
            Some((id, Kind::Directory)) => Found::Directory(id),
            Some((_, Kind::Fails(error))) => Found::Fails(error),
            Some((id, Kind::File { .. })) => {
                let sidecar = codings.iter().find_map(|coding| Some((self.sidecar(name, coding)?, coding)));
                sidecar.map_or(Found::File(id, None), |(id, coding)| Found::File(id, Some(coding)))
            }
        }
    }

    /// Opens what was found.
    pub(super) fn open(&self, slot: u32, found: Found, wall_nanoseconds: u64) -> Result<Opened<FakeFile>, OpenError> {
        let opened = |id| {
            self.counts.opened.set(self.counts.opened.get() + 1);
            self.take(slot, id)
        };
        match found {
            Found::File(id, coding) => Ok(Opened::File(opened(id), self.facts(id, wall_nanoseconds), coding)),
            Found::Directory(id) => {
                self.counts.directories.set(self.counts.directories.get() + 1);
                Ok(Opened::Directory(opened(id)))
            }
            Found::Fails(error) => Err(error),
        }
    }

    /// A content in memory that is held as if it were an open file.
    pub(super) fn hold(&self, slot: u32, id: usize) -> FakeFile {
        self.counts.held.set(self.counts.held.get() + 1);
        self.take(slot, id)
    }

    fn take(&self, slot: u32, id: usize) -> FakeFile {
        let open = &self.counts.open[slot as usize];
        open.set(open.get() + 1);
        FakeFile { id, slot, counts: Rc::clone(&self.counts) }
    }

    /// What the file system says of a file now.
    pub(super) fn facts(&self, id: usize, wall_nanoseconds: u64) -> FileFacts {
        let entry = &self.entries[id];
        let seconds = wall_nanoseconds / 1_000_000_000;
        let changed = match entry.changed {
            Moment::At(time) => time,
            Moment::Before(nanoseconds) => wall_nanoseconds - nanoseconds,
        };
        let modified_seconds = match entry.modified {
            Moment::At(seconds) => seconds,
            Moment::Before(earlier) => i64::try_from(seconds - earlier).expect("it is before the end of time"),
        };
        if let Moment::Before(_) = entry.changed {
            self.told_changes.borrow_mut().insert((id, changed));
        }
        FileFacts { size: self.size(id), modified_seconds, identity: (self.first_inode + id as u64, changed) }
    }

    /// How many files are open for a slot.
    pub(super) fn open_for(&self, slot: u32) -> u64 {
        self.counts.open[slot as usize].get()
    }

    fn extent(&self, id: usize) -> (u64, u64) {
        match self.entries.get(id).map(|entry| entry.kind) {
            Some(Kind::File { size, left }) => (size, left),
            _ => panic!("entry {id} is not a file"),
        }
    }

    /// What a file's size is said to be when it is opened.
    pub(super) fn size(&self, id: usize) -> u64 {
        self.extent(id).0
    }

    /// How much there is to read.
    pub(super) fn left(&self, id: usize) -> u64 {
        self.extent(id).1
    }

    /// Fills `into` with the file's bytes from `offset` on.
    pub(super) fn fill(id: usize, offset: u64, into: &mut [u8]) {
        for (position, byte) in (offset..).zip(into) {
            *byte = byte_at(id, position);
        }
    }

    /// Whether `bytes` are those of the file at `offset`.
    pub(super) fn is_content(id: usize, offset: u64, bytes: &[u8]) -> bool {
        (offset..).zip(bytes).all(|(position, byte)| *byte == byte_at(id, position))
    }

    /// The tag of a file, where it is the same at all times.
    pub(super) fn tag(&self, id: usize) -> Option<String> {
        match self.entries[id].changed {
            Moment::At(changed) if changed <= LATEST_PAST * 1_000_000_000 => self.tag_to_be(id),
            _ => None,
        }
    }

    /// The tag that a file of the future would have if it were of long ago.
    pub(super) fn tag_to_be(&self, id: usize) -> Option<String> {
        match self.entries[id].changed {
            Moment::At(changed) => {
                Some(format!("\"{:x}-{:x}-{changed:x}\"", self.size(id), self.first_inode + id as u64))
            }
            Moment::Before(_) => None,
        }
    }

    /// The file that a tag names.
    pub(super) fn file_of_tag(&self, tag: &str) -> Option<usize> {
        let inode = tag.trim_matches('"').split('-').nth(1)?;
        let id = u64::from_str_radix(inode, 16).ok()?.checked_sub(self.first_inode)?;
        let id = usize::try_from(id).ok()?;
        matches!(self.entries.get(id)?.kind, Kind::File { .. }).then_some(id)
    }

    /// Checks a tag that is not the same at all times. A young file's has a fourth part.
    pub(super) fn check_passing_tag(&self, id: usize, tag: &str) {
        let inside = tag.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).unwrap_or_default();
        let parts: Vec<_> = inside.split('-').map(|part| u64::from_str_radix(part, 16)).collect();
        let (&[Ok(size), Ok(inode), Ok(changed)] | &[Ok(size), Ok(inode), Ok(changed), Ok(_)]) = &parts[..] else {
            panic!("no tag of ours: {tag}");
        };
        assert_eq!((size, inode), (self.size(id), self.first_inode + id as u64), "the tag {tag} of file {id}");
        let (is_known, is_young) = match self.entries[id].changed {
            Moment::At(time) => (changed == time, true),
            Moment::Before(earlier) => (self.told_changes.borrow().contains(&(id, changed)), earlier < YOUTH),
        };
        assert!(is_known, "the tag {tag} has a change that file {id} never had");
        assert_eq!(parts.len() == 4, is_young, "the tag {tag} holds once exactly where file {id} is young");
    }

    /// When a file's content changed, as a client may learn it; and whether that date tells anything.
    pub(super) fn date(&self, id: usize) -> (i64, bool) {
        match self.entries[id].modified {
            Moment::At(seconds) if seconds < PRESENT => (seconds.max(0), true),
            Moment::At(_) => (PRESENT, false),
            Moment::Before(earlier) => (PRESENT, earlier > 0),
        }
    }

    /// How long before the response's Date its Last-Modified lies, in seconds, where that is what is known of it.
    pub(super) fn age(&self, id: usize) -> Option<u64> {
        match self.entries[id].modified {
            Moment::At(seconds) if seconds < PRESENT => None,
            Moment::At(_) => Some(0),
            Moment::Before(earlier) => Some(earlier),
        }
    }
}
