//! What is in the directories that can be listed, and what the list of each must be.

use super::random::Random;
use crate::http::listing::{self, Entry, Format, Kind, MAX_END, MAX_ENTRY, Part, Position};
use std::cell::OnceCell;
use std::collections::BTreeMap;

/// How many directories can no longer be read at some place, in thousandths.
const FAILING: u32 = 120;

/// Characters of names: plain ones, those that mean something to HTML, JSON, a URI or a terminal, and bytes that are no UTF-8.
const PIECES: &[&[u8]] = &[
    b"a",
    b"b",
    b"Z",
    b"0",
    b"-",
    b".",
    b" ",
    b"&",
    b"<",
    b">",
    b"\"",
    b"'",
    b"%",
    b"%2e",
    b"?",
    b"#",
    b":",
    b"\\",
    b"\n",
    b"\r\n",
    b"\t",
    b"\x08",
    b"\x1b",
    b"\x7f",
    b"\xff",
    b"\xe2\x82",
    b"\xc3\xa9",
    b"\xe6\x97\xa5",
    b"\xe2\x80\xae",
];

/// An entry, under its place in the order.
#[derive(Debug)]
pub(super) struct Listable {
    pub(super) position: Position,
    pub(super) size: u64,
    pub(super) modified_seconds: i64,
}

/// A directory that can be listed.
#[derive(Debug)]
pub(super) struct Directory {
    /// As a request names it: empty, or with a final slash.
    pub(super) name: String,
    /// In the order of their positions.
    entries: Vec<Listable>,
    /// After so many entries it can no longer be read.
    fails_after: Option<usize>,
    html: OnceCell<Vec<u8>>,
    json: OnceCell<Vec<u8>>,
}

/// What comes after a place in a directory.
#[derive(Clone, Copy, Debug)]
pub(super) enum Next<'a> {
    Entry(&'a Listable),
    End,
    Failure,
}

/// The directories that can be listed, by their entries in the document root. Where none can, it is empty.
#[derive(Debug, Default)]
pub(super) struct Directories(BTreeMap<usize, Directory>);

impl Directories {
    /// Puts something into a directory.
    pub(super) fn fill(&mut self, random: &mut Random, id: usize, name: &str) {
        let count = match name {
            "none/" => 0,
            "one/" => 1,
            "many/" => random.size(190, 210),
            _ => random.size(0, 12),
        };
        self.0.insert(id, Directory::new(random, name, count));
    }

    pub(super) fn get(&self, id: usize) -> &Directory {
        self.0.get(&id).unwrap_or_else(|| panic!("entry {id} is not a directory that can be listed"))
    }

    /// Whether `bytes` begin the list of some directory; all of what there is of it, where `is_whole`.
    pub(super) fn is_listing(&self, format: Format, bytes: &[u8], is_whole: bool) -> bool {
        let mut lists = self.0.values().map(|directory| directory.content(format));
        lists.any(|list| if is_whole { list == bytes } else { list.starts_with(bytes) })
    }

    /// The name of something that can be listed, or of one of those that cannot be opened.
    pub(super) fn any_name(&self, random: &mut Random) -> &str {
        if self.0.is_empty() || random.chance(100) {
            return random.pick::<&str>(&["locked/", "gone/", "torn/"]);
        }
        let index = random.size(0, self.0.len() - 1);
        self.0.values().nth(index).map_or("", |directory| &directory.name)
    }
}

impl Directory {
    fn new(random: &mut Random, name: &str, count: usize) -> Self {
        let mut entries = BTreeMap::new();
        for _ in 0..count {
            let entry = listable(random, count);
            entries.insert(entry.position.key().to_vec(), entry);
        }
        let entries: Vec<_> = entries.into_values().collect();
        let fails_after = random.chance(FAILING).then(|| random.size(0, entries.len()));
        Self { name: name.into(), entries, fails_after, html: OnceCell::new(), json: OnceCell::new() }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Whether it can no longer be read before its end.
    pub(super) fn fails(&self) -> bool {
        self.fails_after.is_some()
    }

    /// What comes after a place.
    pub(super) fn after(&self, position: &Position) -> Next<'_> {
        let index = self.entries.partition_point(|entry| entry.position.key() <= position.key());
        match self.entries.get(index) {
            _ if self.fails_after == Some(index) => Next::Failure,
            Some(entry) => Next::Entry(entry),
            None => Next::End,
        }
    }

    /// The whole list, or what there is of it before the directory fails.
    pub(super) fn content(&self, format: Format) -> &[u8] {
        let cell = match format {
            Format::Html => &self.html,
            Format::Json => &self.json,
        };
        cell.get_or_init(|| {
            let mut content = Vec::new();
            let name = self.name.as_bytes();
            put(&mut content, format, &Part::Begin(name), listing::max_begin(name.len()));
            let count = self.fails_after.unwrap_or(self.entries.len());
            for (index, entry) in self.entries[..count].iter().enumerate() {
                let Listable { position, size, modified_seconds } = entry;
                let (name, kind) = (position.name(), position.kind());
                let (size, modified_seconds) = (*size, *modified_seconds);
                let entry = Entry { name, kind, size, modified_seconds, is_first: index == 0 };
                put(&mut content, format, &Part::Entry(entry), MAX_ENTRY);
            }
            if !self.fails() {
                put(&mut content, format, &Part::End { is_empty: self.is_empty() }, MAX_END);
            }
            content
        })
    }
}

/// Writes a part whole.
fn put(content: &mut Vec<u8>, format: Format, part: &Part<'_>, most: usize) {
    let start = content.len();
    content.resize(start + most, 0);
    let written = listing::write(format, part, 0, &mut content[start..]);
    assert!(written.is_complete, "{part:?} takes more than {most} bytes");
    content.truncate(start + written.length);
}

/// An entry of a directory that has about so many.
fn listable(random: &mut Random, count: usize) -> Listable {
    let longest = match random.between(0, 19) {
        0 => 255,
        1 => 254,
        2..=4 if count < 20 => 255,
        5..=9 => 60,
        _ => 12,
    };
    let length = if longest < 254 { random.size(1, longest) } else { longest };
    // Most names have few of the odd characters; some are nothing but one of them, which takes the most room.
    let pieces = match random.between(0, 9) {
        0..=5 => &PIECES[..6],
        6..=8 => PIECES,
        _ => std::slice::from_ref(random.pick(PIECES)),
    };
    let mut name = Vec::new();
    while name.len() < length {
        name.extend_from_slice(random.pick::<&[u8]>(pieces));
    }
    name.truncate(length);
    let kind = if random.chance(300) { Kind::Directory } else { Kind::File };
    let size = match random.between(0, 4) {
        0 => random.between(0, 2),
        1 => u64::MAX - random.between(0, 1),
        _ => random.next() >> random.between(0, 63),
    };
    let modified_seconds = match random.between(0, 9) {
        0 => *random.pick(&[i64::MIN, -1, 0, i64::MAX]),
        _ => i64::try_from(random.between(0, 5_000_000_000)).expect("it is before the end of time"),
    };
    let position = Position::of(kind, &name).expect("a name has 255 bytes at most");
    Listable { position, size, modified_seconds }
}
