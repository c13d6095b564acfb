//! The entries of a directory of any size, sorted, in fixed memory and in bounded steps.
//!
//! A connection keeps the directory's descriptor and the place of the last entry it was given. The desk is shared by all of
//! them: a pass over the whole directory, a block of it at each call, selects the smallest entries beyond that place, which are
//! then given out one by one. Where another listing took the desk meanwhile, or not all entries fitted, another pass follows. A
//! call never does more than one block of a directory, one reordering of the desk and [`LOOKS_PER_STEP`] looks at entries.

#[cfg(test)]
mod cases;
mod desks;
mod selection;
#[cfg(test)]
mod sharing;

pub use desks::Desks;

use super::{Root, facts};
use crate::http::listing::{Kind, Position};
use crate::http::target::is_hidden;
use rustix::fd::OwnedFd;
use rustix::fs::{AtFlags, FileType, RawDir, SeekFrom, Stat};
use rustix::io::Errno;
use selection::Selection;
use std::ffi::CStr;
use std::mem::MaybeUninit;

/// For the names of a pass: nearly ten thousand of 20 bytes.
const RECORD_BYTES: usize = 208 * 1024;
/// For their index, so that both together take 256 KiB.
const MAX_RECORDS: usize = 12 * 1024;
/// For a block of a directory, of 682 entries at most. A larger one makes nothing faster, and where there are many links its rest
/// is read again and again.
const BLOCK_BYTES: usize = 16 * 1024;
/// For a path beneath the root (PATH_MAX) and the name of an entry behind it.
const PATH_BYTES: usize = 4096 + 256;
/// How many entries a call looks at (stat) at most; a link takes three system calls.
const LOOKS_PER_STEP: usize = 64;
/// How often every other listing is told to wait while the one at the desk does not come back.
const PATIENT_ROUNDS: usize = 4;
/// How often every other listing is told to wait while the one at the desk takes its entries, but slowly.
const MAX_ROUNDS: usize = 64;

/// What identifies a listing: never the same for two of them.
pub type Token = u64;

/// A listing under way, as its connection keeps it.
#[derive(Clone, Copy, Debug)]
pub struct Listing<'a> {
    /// What tells it from every other.
    pub token: Token,
    /// The directory, open for reading and used for nothing else.
    pub directory: &'a OwnedFd,
    /// Its name relative to the root: empty, or with a final slash.
    pub name: &'a [u8],
    /// Whether names that begin with a dot are shown.
    pub shows_hidden: bool,
}

/// What is known of an entry besides its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EntryFacts {
    /// What it is, or what it leads to.
    pub kind: Kind,
    /// Its size in bytes.
    pub size: u64,
    /// When its content last changed, in seconds since 1970.
    pub modified_seconds: i64,
}

/// What became of asking for the next entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// The next entry; the position has its name.
    Entry(EntryFacts),
    /// A step was made: ask again, after the others had their turn.
    Working,
    /// Another listing has the desk: ask again later.
    Busy,
    /// There are no more entries.
    Done,
    /// The directory cannot be read to its end.
    Failed,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Idle,
    /// A pass is under way.
    Scanning,
    /// What the pass selected is given out.
    Giving,
}

/// The memory of the passes, taken once.
#[derive(Debug)]
pub struct Desk {
    selection: Selection,
    block: Box<[MaybeUninit<u8>]>,
    looks: Looks,
    owner: Option<Token>,
    phase: Phase,
    /// The pass selects what comes after this; while giving, the last entry that was given.
    after: Position,
    /// Where in the directory to go on, if not where the last block ended.
    seek_to: Option<u64>,
    /// Whether the owner has got something of this pass.
    has_given: bool,
    /// How many calls others have made since the owner's last.
    absent: usize,
    /// How many calls others have made since the owner took the desk.
    held: usize,
    patience: usize,
    #[cfg(test)]
    passes: usize,
}

impl Desk {
    /// The heap memory of a desk, in bytes.
    pub const HEAP_BYTES: usize = RECORD_BYTES + MAX_RECORDS * size_of::<u32>() + BLOCK_BYTES + PATH_BYTES;

    /// A desk for at most so many listings at the same time.
    #[must_use]
    pub fn new(most_listings: usize) -> Self {
        Self::with_memory(most_listings, RECORD_BYTES, MAX_RECORDS, BLOCK_BYTES)
    }

    fn with_memory(most_listings: usize, record_bytes: usize, most_records: usize, block_bytes: usize) -> Self {
        Self {
            selection: Selection::new(record_bytes, most_records),
            block: Box::new_uninit_slice(block_bytes),
            looks: Looks { path: vec![0; PATH_BYTES].into_boxed_slice(), left: 0 },
            owner: None,
            phase: Phase::Idle,
            after: Position::default(),
            seek_to: None,
            has_given: false,
            absent: 0,
            held: 0,
            patience: PATIENT_ROUNDS * most_listings,
            #[cfg(test)]
            passes: 0,
        }
    }

    /// The next entry after `position`, which moves on.
    ///
    /// [`Progress::Busy`] does not last. Let a round be as many calls by others as there can be listings: the owner of the desk
    /// loses it after [`PATIENT_ROUNDS`] rounds in which it does not call; after [`MAX_ROUNDS`] in any case, as soon as its pass
    /// has given it an entry; and it gives the desk up itself with each selection that it has taken whole. A pass is never lost
    /// without an entry unless its owner stays away, so all listings come to their end.
    pub fn next(&mut self, root: &mut Root, listing: &Listing<'_>, position: &mut Position) -> Progress {
        if !self.take(listing.token) {
            return Progress::Busy;
        }
        if self.phase == Phase::Idle || self.after != *position {
            self.begin_pass(position);
        }
        self.looks.left = LOOKS_PER_STEP;
        let progress = match self.phase {
            Phase::Giving => self.give(root, listing, position),
            Phase::Idle | Phase::Scanning => self.scan(root, listing),
        };
        progress.unwrap_or_else(|_| {
            self.release(listing.token);
            Progress::Failed
        })
    }

    /// A listing has ended, whether its entries have or not.
    pub fn release(&mut self, token: Token) {
        if self.owner == Some(token) {
            self.owner = None;
            self.phase = Phase::Idle;
        }
    }

    /// Whether the desk is, or becomes, this listing's.
    fn take(&mut self, token: Token) -> bool {
        if self.owner == Some(token) {
            self.absent = 0;
            return true;
        }
        if self.owner.is_some() {
            self.absent += 1;
            self.held += 1;
            let has_had_enough = self.has_given && self.held >= self.patience * (MAX_ROUNDS / PATIENT_ROUNDS);
            if self.absent < self.patience && !has_had_enough {
                return false;
            }
        }
        self.owner = Some(token);
        self.phase = Phase::Idle;
        self.absent = 0;
        self.held = 0;
        true
    }

    fn begin_pass(&mut self, position: &Position) {
        self.selection.clear();
        self.after = *position;
        self.phase = Phase::Scanning;
        self.seek_to = Some(0);
        self.has_given = false;
        #[cfg(test)]
        {
            self.passes += 1;
        }
    }

    /// A block of the directory, or a part of it where many entries must be looked at.
    fn scan(&mut self, root: &mut Root, listing: &Listing<'_>) -> Result<Progress, Errno> {
        if let Some(cookie) = self.seek_to {
            rustix::fs::seek(listing.directory, SeekFrom::Start(cookie))?;
            self.seek_to = None;
        }
        let Self { selection, block, looks, after, .. } = self;
        let mut entries = RawDir::new(listing.directory, block);
        let mut last_cookie = None;
        loop {
            let entry = match entries.next() {
                Some(Ok(entry)) => entry,
                Some(Err(Errno::INTR)) => break,
                // A directory that was removed has no entries (getdents(2)).
                None | Some(Err(Errno::NOENT)) => {
                    selection.arrange();
                    self.phase = Phase::Giving;
                    break;
                }
                Some(Err(errno)) => return Err(errno),
            };
            let name = entry.file_name().to_bytes();
            let kind = match entry.file_type() {
                _ if !is_shown(listing, name) => None,
                FileType::RegularFile => Some(Kind::File),
                FileType::Directory => Some(Kind::Directory),
                FileType::Symlink | FileType::Unknown if may_be_wanted(selection, after, name) => {
                    if looks.left == 0 {
                        // To read this entry again costs less than to remember the rest of the block.
                        self.seek_to = last_cookie;
                        break;
                    }
                    looks.look(root, listing, name)?.map(|facts| facts.kind)
                }
                _ => None,
            };
            let place = kind.and_then(|kind| Position::of(kind, name));
            if let Some(place) = place.filter(|place| place.key() > after.key()) {
                selection.offer(&place);
            }
            last_cookie = Some(entry.next_entry_cookie());
            if entries.is_buffer_empty() {
                break;
            }
        }
        Ok(Progress::Working)
    }

    /// The smallest entry of the selection that still is what the pass saw.
    fn give(&mut self, root: &mut Root, listing: &Listing<'_>, position: &mut Position) -> Result<Progress, Errno> {
        for _ in 0..LOOKS_PER_STEP {
            let Some(entry) = self.selection.take_smallest() else {
                self.release(listing.token);
                return Ok(if self.selection.is_partial() { Progress::Working } else { Progress::Done });
            };
            // A pass over a directory that changes may meet a name twice.
            if entry.key() <= self.after.key() {
                continue;
            }
            *position = entry;
            self.after = entry;
            self.has_given = true;
            let facts = self.looks.look(root, listing, entry.name())?;
            if let Some(facts) = facts.filter(|facts| facts.kind == entry.kind()) {
                return Ok(Progress::Entry(facts));
            }
        }
        Ok(Progress::Working)
    }
}

fn is_shown(listing: &Listing<'_>, name: &[u8]) -> bool {
    match name {
        b"." | b".." => false,
        // No path leads to it: a backslash, encoded or not, is refused.
        _ if memchr::memchr(b'\\', name).is_some() => false,
        _ if listing.shows_hidden => true,
        _ if listing.name.is_empty() => !is_hidden(name),
        _ => !name.starts_with(b"."),
    }
}

/// Whether an entry would be kept, were it the one kind or the other.
fn may_be_wanted(selection: &Selection, after: &Position, name: &[u8]) -> bool {
    let mut places = [Kind::Directory, Kind::File].into_iter().filter_map(|kind| Position::of(kind, name));
    places.any(|place| place.key() > after.key() && selection.wants(&place))
}

/// The looks at entries that a call may take, and the memory for a path.
#[derive(Debug)]
struct Looks {
    path: Box<[u8]>,
    left: usize,
}

impl Looks {
    /// What the name leads to, beneath the root; nothing where that is not to be shown.
    ///
    /// # Errors
    /// The process or the system has no descriptor or memory left, so that a link cannot be told from a broken one.
    fn look(&mut self, root: &mut Root, listing: &Listing<'_>, name: &[u8]) -> Result<Option<EntryFacts>, Errno> {
        self.left = self.left.saturating_sub(1);
        // A longer path cannot be opened either.
        let Some(path) = self.path.get_mut(..=listing.name.len() + name.len()) else { return Ok(None) };
        for (place, byte) in path.iter_mut().zip(listing.name.iter().chain(name).chain(&[0])) {
            *place = *byte;
        }
        let c_str = |bytes| CStr::from_bytes_until_nul(bytes).unwrap_or_default();
        let in_directory = c_str(path.get(listing.name.len()..).unwrap_or_default());
        let status = match rustix::fs::statat(listing.directory, in_directory, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(status) if file_type(&status) == FileType::Symlink => root.stat_beneath(c_str(path)),
            outcome => outcome,
        };
        let status = match status {
            Ok(status) => status,
            Err(errno @ (Errno::MFILE | Errno::NFILE | Errno::NOMEM)) => return Err(errno),
            Err(_) => return Ok(None),
        };
        let kind = match file_type(&status) {
            FileType::RegularFile => Kind::File,
            FileType::Directory => Kind::Directory,
            _ => return Ok(None),
        };
        let facts = facts(&status);
        Ok(Some(EntryFacts { kind, size: facts.size, modified_seconds: facts.modified_seconds }))
    }
}

fn file_type(status: &Stat) -> FileType {
    FileType::from_raw_mode(status.st_mode)
}
