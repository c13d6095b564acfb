//! What the kernel tells about changes: one inotify instance, and which of its watches stands for which name.
//!
//! Cached files are watched themselves, by inode, because a change by another hard link, or by a handle, is told to nobody who
//! watches the directory only. The directories on the way to them are watched for names that come and go. Changes of the mount
//! table, which inotify does not tell, come from `/proc`. All memory is taken by [`Watch::new`].

mod table;
#[cfg(test)]
mod tests;

use super::names::{NameHash, Names};
use rustix::event::Timespec;
use rustix::event::epoll::{self, EventData, EventFlags};
use rustix::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use rustix::fs::inotify::{self, CreateFlags, ReadFlags, WatchFlags};
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use std::ffi::CStr;
use std::io::Write;
use std::mem::MaybeUninit;
use table::{Table, Watched};

/// What is asked of a directory: every name that comes or goes, and whether it may still be entered. That it is moved or removed
/// itself is told by the directory it is in.
const DIRECTORY_EVENTS: WatchFlags = WatchFlags::ONLYDIR
    .union(WatchFlags::ATTRIB)
    .union(WatchFlags::CREATE)
    .union(WatchFlags::DELETE)
    .union(WatchFlags::MOVED_FROM)
    .union(WatchFlags::MOVED_TO);
/// What is asked of a file. IN_OPEN: who maps it for writing tells nothing more until it is unmapped. IN_ATTRIB: also that it has
/// one name more or less. IN_MOVE_SELF: its directory may call it by another name than was asked for, where upper and lower case
/// are one.
const FILE_EVENTS: WatchFlags = WatchFlags::OPEN
    .union(WatchFlags::MODIFY)
    .union(WatchFlags::ATTRIB)
    .union(WatchFlags::CLOSE_WRITE)
    .union(WatchFlags::MOVE_SELF);

const BUFFER_BYTES: usize = 16 * 1024;
/// How many times one call reads the queue: more events than that are as good as "anything may have changed", and cost less.
const READS: u32 = 4;
/// How many watches are removed at once in a turn; what is more waits for [`Watch::sweep`].
const REMOVALS_PER_TURN: u32 = 16;
/// How many watches one turn's sweep removes, and how many it looks at.
const SWEPT_PER_TURN: (usize, usize) = (8, 1024);
/// An event without its name: watch, mask, cookie and length of the name, each of 4 bytes (inotify(7)).
const EVENT_BYTES: usize = 16;
/// Watches beyond one for each entry: sidecars and directories.
const SPARE_WATCHES: usize = 64;
/// The user's watches where the kernel does not tell how many there are (its default for decades).
const USUAL_WATCHES: usize = 8192;

/// What a change asks of the cache.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Change {
    /// These names may now lead to something else, or nothing.
    Names(Names),
    /// Somebody opened the file of this watch.
    Opened(i32, Names),
    /// Anything may have changed.
    Everything,
}

/// Why something cannot be watched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refused {
    /// The user has no watch left, or this table none.
    NoRoom,
    /// The same directory or file was reached by another name.
    OtherName,
    /// The kernel does not want to: most likely it may not be read.
    Failed,
}

/// The queue could not be read to its end: what it holds is unknown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Unknown;

/// What there is to look at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Ready {
    pub(super) events: bool,
    pub(super) mounts: bool,
}

#[derive(Debug)]
pub(super) struct Watch {
    inotify: OwnedFd,
    /// Watched by the next one.
    _mounts: OwnedFd,
    /// Tells of both at half the price of poll(2).
    ready: OwnedFd,
    buffer: Box<[u8]>,
    /// What was read and not yet looked at.
    start: usize,
    end: usize,
    reads_left: u32,
    removals_left: u32,
    watches: Table,
    /// How many there may be; the table has room for them.
    limit: usize,
    generation: u32,
    /// How many of the watches were forgotten.
    forgotten: usize,
    /// The one that the sweep looks at next.
    sweep_from: usize,
    #[cfg(test)]
    used_up: bool,
}

const EVENTS: u64 = 1;
const MOUNTS: u64 = 2;

impl Watch {
    /// What the kernel takes long to close: it waits until nobody looks at a watch any more, for milliseconds.
    pub(super) fn into_slow_descriptor(self) -> OwnedFd {
        self.inotify
    }

    /// Nothing where the kernel cannot tell about changes beneath `root`.
    pub(super) fn new(root: BorrowedFd<'_>, entries: usize) -> Option<Self> {
        let inotify = inotify::init(CreateFlags::NONBLOCK | CreateFlags::CLOEXEC).ok()?;
        // The mount table of the thread that opened the root.
        let flags = OFlags::RDONLY | OFlags::CLOEXEC;
        let mounts = rustix::fs::open(c"/proc/thread-self/mountinfo", flags, Mode::empty()).ok()?;
        let ready = epoll::create(epoll::CreateFlags::CLOEXEC).ok()?;
        epoll::add(&ready, &inotify, EventData::new_u64(EVENTS), EventFlags::IN).ok()?;
        epoll::add(&ready, &mounts, EventData::new_u64(MOUNTS), EventFlags::PRI).ok()?;
        let of_user = std::fs::read_to_string("/proc/sys/fs/inotify/max_user_watches").unwrap_or_default();
        let mut watch = Self {
            inotify,
            _mounts: mounts,
            ready,
            buffer: vec![0; BUFFER_BYTES].into_boxed_slice(),
            start: 0,
            end: 0,
            reads_left: 0,
            removals_left: REMOVALS_PER_TURN,
            watches: Table::new(most_watches(entries)),
            limit: limit(entries, &of_user),
            generation: 0,
            forgotten: 0,
            sweep_from: 0,
            #[cfg(test)]
            used_up: false,
        };
        watch.watch_directory(root, NameHash::default()).ok()?;
        watch.forget_all();
        watch.sweep_all(1);
        Some(watch)
    }

    pub(super) fn heap_bytes(entries: usize) -> usize {
        BUFFER_BYTES + Table::heap_bytes(most_watches(entries))
    }

    /// Whether nothing is watched, so that nothing can be missed.
    pub(super) fn is_idle(&self) -> bool {
        self.watches.len() == 0
    }

    /// Whether so many more can be watched, as far as this table is concerned.
    pub(super) fn has_room(&self, more: usize) -> bool {
        self.watches.len() + more <= self.limit
    }

    /// One system call: whether anything is to be read.
    pub(super) fn poll(&self) -> Result<Ready, Errno> {
        let mut events = [MaybeUninit::uninit(); 2];
        let zero = Timespec { tv_sec: 0, tv_nsec: 0 };
        let (events, _) = epoll::wait(&self.ready, &mut events, Some(&zero))?;
        let has = |which| events.iter().any(|event| event.data.u64() == which);
        Ok(Ready { events: has(EVENTS), mounts: has(MOUNTS) })
    }

    /// Begins to read the queue.
    pub(super) fn begin(&mut self) {
        self.reads_left = READS;
    }

    /// The next change of something watched. Nothing once the queue is empty.
    pub(super) fn next_change(&mut self) -> Result<Option<Change>, Unknown> {
        loop {
            if self.start == self.end && !self.read()? {
                return Ok(None);
            }
            let Some((descriptor, mask, name)) = parse(&self.buffer[self.start..self.end]) else {
                // The kernel does not write half an event.
                self.start = self.end;
                return Ok(Some(Change::Everything));
            };
            let taken = EVENT_BYTES + name.len();
            let name = name.split(|byte| *byte == 0).next().unwrap_or_default();
            let change = self.meaning(descriptor, ReadFlags::from_bits_retain(mask), name);
            self.start += taken;
            if change.is_some() {
                return Ok(change);
            }
        }
    }

    /// False where the queue is empty.
    fn read(&mut self) -> Result<bool, Unknown> {
        self.reads_left = self.reads_left.checked_sub(1).ok_or(Unknown)?;
        (self.start, self.end) = (0, 0);
        match rustix::io::retry_on_intr(|| rustix::io::read(&self.inotify, &mut *self.buffer)) {
            Ok(count) if count > 0 => self.end = count,
            Err(Errno::AGAIN) => {}
            _ => return Err(Unknown),
        }
        Ok(self.end > 0)
    }

    fn meaning(&self, descriptor: i32, mask: ReadFlags, name: &[u8]) -> Option<Change> {
        if mask.intersects(ReadFlags::QUEUE_OVERFLOW | ReadFlags::UNMOUNT) {
            return Some(Change::Everything);
        }
        // Events of a watch that was removed or forgotten concern nothing.
        let watched = self.watches[self.watches.find(descriptor)?];
        if watched.generation != self.generation {
            return None;
        }
        let of_directory = mask.contains(ReadFlags::ISDIR);
        if !watched.is_directory {
            let only_opened = mask == ReadFlags::OPEN;
            let (opened, changed) = (Change::Opened(descriptor, watched.names), Change::Names(watched.names));
            return Some(if only_opened { opened } else { changed });
        }
        if of_directory && mask.contains(ReadFlags::CREATE) {
            // It is new: nothing was reached through it. But its name no longer leads to nothing.
            return Some(Change::Names(Names::of(watched.names.own, name)));
        }
        if of_directory || name.is_empty() {
            // A directory on the way moved, went, or changed its permissions; or one beside it: rare enough to be treated alike.
            // IN_IGNORED has no name either.
            return Some(Change::Everything);
        }
        Some(Change::Names(Names::of(watched.names.own, name)))
    }

    /// Watches a directory, whose hash is that of its name with the final slash.
    pub(super) fn watch_directory(&mut self, directory: BorrowedFd<'_>, own: NameHash) -> Result<(), Refused> {
        let names = Names { own, base: own };
        self.watch(directory, DIRECTORY_EVENTS, names, true).map(drop)
    }

    /// Watches an open file, once more where it is watched already. To be released as often.
    pub(super) fn watch_file(&mut self, file: &OwnedFd, names: Names) -> Result<i32, Refused> {
        self.watch(file.as_fd(), FILE_EVENTS, names, false)
    }

    fn watch(
        &mut self,
        target: BorrowedFd<'_>,
        events: WatchFlags,
        names: Names,
        is_directory: bool,
    ) -> Result<i32, Refused> {
        if !self.has_room(1) {
            return Err(Refused::NoRoom);
        }
        let mut path = [0; 32];
        // A descriptor's number has 10 digits at most.
        write!(&mut path[..], "/proc/self/fd/{}\0", target.as_raw_fd()).map_err(|_| Refused::Failed)?;
        let path = CStr::from_bytes_until_nul(&path).map_err(|_| Refused::Failed)?;
        #[cfg(test)]
        if self.used_up {
            return Err(Refused::NoRoom);
        }
        let descriptor = match inotify::add_watch(&self.inotify, path, events) {
            Ok(descriptor) if descriptor > 0 => descriptor,
            Err(Errno::NOSPC | Errno::NOMEM) => return Err(Refused::NoRoom),
            _ => return Err(Refused::Failed),
        };
        let fresh = Watched { descriptor, generation: self.generation, is_directory, uses: 1, names };
        let Some(index) = self.watches.find(descriptor) else {
            self.watches.put(fresh);
            return Ok(descriptor);
        };
        let known = &mut self.watches[index];
        if known.generation != self.generation {
            *known = fresh;
            self.forgotten -= 1;
            return Ok(descriptor);
        }
        if known.names != names || known.is_directory != is_directory {
            return Err(Refused::OtherName);
        }
        if !is_directory {
            known.uses = known.uses.checked_add(1).ok_or(Refused::NoRoom)?;
        }
        Ok(descriptor)
    }

    /// Gives a file's watch back, once. Nothing happens where it was forgotten meanwhile.
    pub(super) fn release(&mut self, descriptor: i32) {
        let Some(index) = self.watches.find(descriptor) else { return };
        let watched = &mut self.watches[index];
        if watched.generation != self.generation || watched.is_directory {
            return;
        }
        watched.uses -= 1;
        if watched.uses > 0 {
            return;
        }
        // Forgotten from here on.
        watched.generation = self.generation.wrapping_sub(1);
        self.forgotten += 1;
        if let Some(left) = self.removals_left.checked_sub(1) {
            self.removals_left = left;
            self.remove(index);
        }
    }

    /// From now on nothing is watched. The watches themselves are removed by and by, unless they are asked for again.
    pub(super) fn forget_all(&mut self) {
        self.generation = self.generation.wrapping_add(1);
        self.forgotten = self.watches.len();
    }

    /// Ends a turn: removes a few of the forgotten watches.
    pub(super) fn sweep(&mut self) {
        self.removals_left = REMOVALS_PER_TURN;
        self.sweep_some(SWEPT_PER_TURN.0, SWEPT_PER_TURN.1);
    }

    /// Removes up to `most` forgotten watches, wherever they are. True where there were any.
    pub(super) fn sweep_all(&mut self, most: usize) -> bool {
        let before = self.forgotten;
        self.sweep_some(most, 2 * self.watches.len());
        self.forgotten < before
    }

    fn sweep_some(&mut self, mut removals: usize, looks: usize) {
        for _ in 0..looks {
            if removals == 0 || self.forgotten == 0 {
                return;
            }
            match self.watches.get(self.sweep_from) {
                None => self.sweep_from = 0,
                Some(watched) if watched.generation == self.generation => self.sweep_from += 1,
                Some(_) => {
                    // The last one moves into its stead and is looked at next.
                    self.remove(self.sweep_from);
                    removals -= 1;
                }
            }
        }
    }

    /// Removes a forgotten watch.
    fn remove(&mut self, index: usize) {
        let descriptor = self.watches[index].descriptor;
        self.watches.take_out(index);
        self.forgotten -= 1;
        // Fails where the kernel has removed it with the file.
        let _ = inotify::remove_watch(&self.inotify, descriptor);
    }
}

fn most_watches(entries: usize) -> usize {
    entries + entries / 4 + SPARE_WATCHES
}

/// At most half of what the user may have: other programs need some too.
fn limit(entries: usize, of_user: &str) -> usize {
    most_watches(entries).min(of_user.trim().parse().unwrap_or(USUAL_WATCHES) / 2)
}

/// The first event: its watch, its mask, and its name with the NULs that fill it up.
fn parse(events: &[u8]) -> Option<(i32, u32, &[u8])> {
    let (descriptor, rest) = events.split_first_chunk()?;
    let (mask, rest) = rest.split_first_chunk()?;
    let (_cookie, rest) = rest.split_first_chunk::<4>()?;
    let (length, rest) = rest.split_first_chunk()?;
    let name = rest.get(..u32::from_ne_bytes(*length) as usize)?;
    Some((i32::from_ne_bytes(*descriptor), u32::from_ne_bytes(*mask), name))
}

#[cfg(test)]
impl Watch {
    /// As if the table were so small.
    pub(super) fn limit_to(&mut self, limit: usize) {
        self.limit = limit;
    }

    /// As if the user's other programs had taken all watches that are left.
    pub(super) fn use_up(&mut self, used_up: bool) {
        self.used_up = used_up;
    }
}
