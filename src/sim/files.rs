//! A document root that does not exist. What a byte of a file is follows from the file and the offset, so that every byte of every
//! answer can be checked.

use super::plan::Plan;
use super::random::Random;
use crate::connection::{FileFacts, OpenError, Opened};
use crate::http::Status;
use std::cell::Cell;
use std::rc::Rc;

/// How many were opened, and how many of them were closed.
#[derive(Debug, Default)]
pub(super) struct FileCounts {
    pub(super) opened: Cell<u64>,
    pub(super) closed: Cell<u64>,
}

/// An open file. It counts when it is closed.
#[derive(Debug)]
pub(super) struct FakeFile {
    pub(super) id: usize,
    counts: Rc<FileCounts>,
}

impl Drop for FakeFile {
    fn drop(&mut self) {
        self.counts.closed.set(self.counts.closed.get() + 1);
    }
}

/// What a name stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// Its size when it is opened, and what is left of it when it is read.
    File {
        size: u64,
        left: u64,
    },
    Directory,
    Fails(OpenError),
}

#[derive(Debug)]
struct Entry {
    name: String,
    kind: Kind,
}

/// A request-target and what a GET for it is answered with.
#[derive(Clone, Debug)]
pub(super) struct Case {
    pub(super) target: String,
    pub(super) status: Status,
    /// The file that is sent.
    pub(super) file: Option<usize>,
    pub(super) location: Option<String>,
}

/// The document root.
#[derive(Debug)]
pub(super) struct Files {
    entries: Vec<Entry>,
    pub(super) counts: Rc<FileCounts>,
}

/// The byte of a file at an offset.
fn byte_at(id: usize, offset: u64) -> u8 {
    (offset.wrapping_mul(7) ^ (offset >> 8).wrapping_mul(13) ^ (id as u64).wrapping_mul(59)).to_le_bytes()[0]
}

impl Files {
    pub(super) fn new(random: &mut Random, plan: &Plan) -> Self {
        let buffer = plan.limits.buffer_size as u64;
        let mut entries = Vec::new();
        let mut add = |name: String, kind| entries.push(Entry { name, kind });
        // A file's head takes between 200 and 320 bytes, so that these sizes lie around what fits behind it.
        let around = buffer - random.between(200, 330);
        let sizes =
            [0, 1, 6, random.between(7, 300), around, buffer - 1, buffer, buffer + 1, random.between(buffer, 9000)];
        for (index, size) in sizes.into_iter().enumerate() {
            let extension = random.pick(&["txt", "html", "png", "unknown", "css"]);
            add(format!("f{index}.{extension}"), Kind::File { size, left: size });
        }
        if plan.huge_files {
            let size = random.between(200_000, 2_600_000);
            add("huge.bin".into(), Kind::File { size, left: size });
        }
        let size = random.between(1, 2 * buffer);
        add("shrinks.txt".into(), Kind::File { size, left: random.between(0, size - 1) });
        for directory in ["d", "d/empty", "a [dir]", "odd", "odd/index.html"] {
            add(directory.into(), Kind::Directory);
            add(format!("{directory}/"), Kind::Directory);
        }
        // Its Location is three times as long as its path: each bracket must be encoded. The smallest pools have no room for it.
        if plan.limits.pool_size >= 400 {
            add("[".repeat(random.size(120, 200)), Kind::Directory);
        }
        add("d/index.html".into(), Kind::File { size: 40, left: 40 });
        if random.chance(700) {
            add("index.html".into(), Kind::File { size: 777, left: 777 });
        }
        for (name, error) in
            [("secret", OpenError::Forbidden), ("crowded", OpenError::NoDescriptor), ("broken", OpenError::Failed)]
        {
            add(name.into(), Kind::Fails(error));
        }
        Self { entries, counts: Rc::default() }
    }

    fn find(&self, name: &[u8]) -> Option<(usize, Kind)> {
        let index = self.entries.iter().position(|entry| entry.name.as_bytes() == name)?;
        Some((index, self.entries[index].kind))
    }

    /// What opening `name` comes to.
    pub(super) fn open(&self, name: &[u8]) -> Result<Opened<FakeFile>, OpenError> {
        match self.find(name) {
            None => Err(OpenError::NotFound),
            Some((_, Kind::Directory)) => Ok(Opened::Directory),
            Some((_, Kind::Fails(error))) => Err(error),
            Some((id, Kind::File { size, .. })) => {
                self.counts.opened.set(self.counts.opened.get() + 1);
                let facts = FileFacts { size, modified_seconds: 1_000_000_000, identity: (id as u64, 0xabc) };
                Ok(Opened::File(FakeFile { id, counts: Rc::clone(&self.counts) }, facts))
            }
        }
    }

    /// How many files are open.
    pub(super) fn open_now(&self) -> u64 {
        self.counts.opened.get() - self.counts.closed.get()
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

    /// What a GET for the decoded name is answered with: status and file.
    fn answer_to(&self, name: &str) -> (Status, Option<usize>) {
        let names_directory = name.is_empty() || name.ends_with('/');
        let opened = if names_directory { format!("{name}index.html") } else { name.into() };
        match self.find(opened.as_bytes()) {
            None => (Status::NotFound, None),
            Some((_, Kind::Directory)) if names_directory => (Status::NotFound, None),
            Some((_, Kind::Directory)) => (Status::MovedPermanently, None),
            Some((_, Kind::Fails(OpenError::NotFound))) => (Status::NotFound, None),
            Some((_, Kind::Fails(OpenError::Forbidden))) => (Status::Forbidden, None),
            Some((_, Kind::Fails(OpenError::NoDescriptor))) => (Status::ServiceUnavailable, None),
            Some((_, Kind::Fails(OpenError::Failed))) => (Status::InternalServerError, None),
            Some((id, Kind::File { .. })) => (Status::Ok, Some(id)),
        }
    }

    /// A request-target with what it is answered with.
    pub(super) fn case(&self, random: &mut Random) -> Case {
        let plain = ["", "missing", "d/", "d/empty/", "odd/", ".hidden", "d/.git/x"];
        let name = if random.chance(200) {
            (*random.pick(&plain)).to_owned()
        } else {
            random.pick(&self.entries).name.clone()
        };
        let encoded = name.replace(' ', "%20");
        let path = match random.between(0, 9) {
            0 => format!("/./{encoded}"),
            1 => format!("/x/../{encoded}"),
            2 => format!("/%2e//{encoded}"),
            _ => format!("/{encoded}"),
        };
        let query = if random.chance(150) { "?a=b&c" } else { "" };
        let (status, file) = self.answer_to(&name);
        let location = (status == Status::MovedPermanently)
            .then(|| format!("/{}/{query}", encoded.replace('[', "%5B").replace(']', "%5D")));
        let authority = if random.chance(100) { "http://example.org:80" } else { "" };
        Case { target: format!("{authority}{path}{query}"), status, file, location }
    }
}
