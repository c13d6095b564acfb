//! From a name to open files that are watched over: the directories on the way, the file, and its sidecars.

use super::store::MAX_WATCHED;
use crate::file::names::{NameHash, Names};
use crate::file::watch::{Refused, Watch};
use crate::file::{OPEN_FLAGS, RESOLVE, modified};
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::fs::{FileType, Mode, OFlags, ResolveFlags, Stat};
use rustix::io::Errno;
use std::ffi::CStr;

/// The longest name that is cached, in bytes.
pub(super) const MAX_NAME: usize = 255;
/// Room for one component with the suffix of a sidecar and NUL.
const COMPONENT_BYTES: usize = MAX_NAME + 17;
/// The most directories on the way to a file, the root included.
pub(super) const MAX_DIRECTORIES: usize = 32;
/// What is reached through a link or lies beyond a mount point is not cached: the directories on its way are not all watched.
const RESOLVE_PLAINLY: ResolveFlags = RESOLVE.union(ResolveFlags::NO_SYMLINKS).union(ResolveFlags::NO_XDEV);
/// How many turns a name rests that will hardly become cacheable: too large, a link, not ours.
pub(super) const LONG_REST: u64 = 1024;

/// Why a name was not inserted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// It changed meanwhile, or the system failed: the next request may try again.
    Now,
    /// Not for so many turns.
    For(u64),
    /// The user has no watches left.
    NoWatches,
}

impl From<Refused> for Fault {
    fn from(refused: Refused) -> Self {
        match refused {
            Refused::NoRoom => Self::NoWatches,
            Refused::OtherName | Refused::Failed => Self::For(LONG_REST),
        }
    }
}

impl From<Errno> for Fault {
    fn from(errno: Errno) -> Self {
        match errno {
            Errno::LOOP | Errno::XDEV | Errno::ACCESS | Errno::PERM | Errno::NXIO => Self::For(LONG_REST),
            _ => Self::Now,
        }
    }
}

/// A file that an insertion has opened and watches.
#[derive(Debug)]
pub(super) struct Candidate {
    pub(super) file: OwnedFd,
    pub(super) tag: u8,
    pub(super) names: Names,
    /// 0 before it is watched.
    pub(super) watch: i32,
}

/// The main file and the sidecars that were looked at.
pub(super) type Candidates = [Option<Candidate>; MAX_WATCHED];

/// Watches the directories on the way and opens the last of them, by one component at a time: whatever is renamed
/// meanwhile, each was reached through the one before. Nothing where that is the root itself.
pub(super) fn walk(
    watch: &mut Watch,
    root: &OwnedFd,
    root_hash: NameHash,
    way: &[u8],
) -> Result<Option<OwnedFd>, Fault> {
    let mut hash = root_hash;
    let mut here: Option<OwnedFd> = None;
    watch.watch_directory(root.as_fd(), hash)?;
    for component in way.split_inclusive(|byte| *byte == b'/') {
        let mut memory = [0; COMPONENT_BYTES];
        let name = with_nul(&mut memory, component.strip_suffix(b"/").unwrap_or(component), b"")?;
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let directory = here.as_ref().map_or(root.as_fd(), AsFd::as_fd);
        let next = rustix::fs::openat2(directory, name, flags, Mode::empty(), RESOLVE_PLAINLY)?;
        hash = hash.with(component);
        watch.watch_directory(next.as_fd(), hash)?;
        here = Some(next);
    }
    Ok(here)
}

/// Whether a name has one spelling only, and its sidecars' names show whose they are.
pub(super) fn is_plain(name: &[u8], suffixes: &[(u8, &'static str)]) -> bool {
    let depth = memchr::memchr_iter(b'/', name).count();
    name.len() <= MAX_NAME
        && depth < MAX_DIRECTORIES
        && name.split(|byte| *byte == b'/').all(|component| !matches!(component, b"" | b"." | b".."))
        && suffixes.len() < MAX_WATCHED
        && suffixes.iter().all(|(tag, suffix)| {
            *tag != 0 && suffix.len() <= 16 && suffix.starts_with('.') && !suffix[1..].contains(['.', '/', '\0'])
        })
}

fn with_nul<'a>(memory: &'a mut [u8; COMPONENT_BYTES], name: &[u8], suffix: &[u8]) -> Result<&'a CStr, Fault> {
    let length = name.len() + suffix.len();
    let Some((place, _)) = memory.split_at_mut_checked(length + 1) else { return Err(Fault::For(LONG_REST)) };
    place[..name.len()].copy_from_slice(name);
    place[name.len()..length].copy_from_slice(suffix);
    CStr::from_bytes_with_nul(place).map_err(|_| Fault::For(LONG_REST))
}

/// The state of a regular file with one name. What happens by another before the file itself is watched, nobody tells.
fn look_at(file: &OwnedFd) -> Result<Stat, Fault> {
    let status = rustix::fs::fstat(file)?;
    if FileType::from_raw_mode(status.st_mode) != FileType::RegularFile || status.st_nlink != 1 {
        return Err(Fault::For(LONG_REST));
    }
    Ok(status)
}

/// Opens the file, and its sidecars up to the first that counts. Returns which of them is to be served.
pub(super) fn open_all(
    directory: BorrowedFd<'_>,
    way: NameHash,
    last: &[u8],
    suffixes: &[(u8, &'static str)],
    candidates: &mut Candidates,
) -> Result<usize, Fault> {
    let mut places = candidates.iter_mut().enumerate();
    let mut main = None;
    for (tag, suffix) in std::iter::once(&(0, "")).chain(suffixes) {
        let mut memory = [0; COMPONENT_BYTES];
        let name = with_nul(&mut memory, last, suffix.as_bytes())?;
        let file = match rustix::fs::openat2(directory, name, OPEN_FLAGS, Mode::empty(), RESOLVE_PLAINLY) {
            Ok(file) => file,
            // Its coming would be told to who watches the directory.
            Err(Errno::NOENT | Errno::NAMETOOLONG) if main.is_some() => continue,
            Err(errno) => return Err(errno.into()),
        };
        let status = look_at(&file)?;
        let Some((number, place)) = places.next() else { return Err(Fault::For(LONG_REST)) };
        *place = Some(Candidate { file, tag: *tag, names: Names::of(way, name.to_bytes()), watch: 0 });
        match main {
            None => main = Some(modified(&status)),
            Some(main) if modified(&status) >= main => return Ok(number),
            // An older sidecar is left aside for as long as nobody touches it.
            Some(_) => {}
        }
    }
    Ok(0)
}

/// Makes sure that a directory has nothing of this name.
pub(super) fn look_for_nothing(directory: BorrowedFd<'_>, last: &[u8]) -> Result<(), Fault> {
    let mut memory = [0; COMPONENT_BYTES];
    let name = with_nul(&mut memory, last, b"")?;
    let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    match rustix::fs::openat2(directory, name, flags, Mode::empty(), RESOLVE_PLAINLY) {
        Err(Errno::NOENT) => Ok(()),
        _ => Err(Fault::Now),
    }
}

/// Reads a content that fills the memory.
pub(super) fn read_whole(file: &OwnedFd, memory: &mut [u8]) -> Result<(), Fault> {
    let length = memory.len();
    match rustix::io::retry_on_intr(|| rustix::io::pread(file, &mut *memory, 0)) {
        Ok(count) if count == length => Ok(()),
        _ => Err(Fault::Now),
    }
}

/// The state of the chosen candidate as it is now that nobody writes to any of them, if it still is the one to be chosen.
pub(super) fn look_again(candidates: &Candidates, chosen: usize) -> Result<Stat, Fault> {
    let mut states = candidates.iter().flatten().map(|candidate| look_at(&candidate.file));
    let main = states.next().unwrap_or(Err(Fault::Now))?;
    let mut first_that_counts = (0, main);
    for (number, state) in (1..).zip(states) {
        let state = state?;
        if first_that_counts.0 == 0 && modified(&state) >= modified(&main) {
            first_that_counts = (number, state);
        }
    }
    if first_that_counts.0 == chosen { Ok(first_that_counts.1) } else { Err(Fault::Now) }
}

/// Whether this watch is one of theirs.
pub(super) fn are_watched_by(candidates: &Candidates, watch: i32) -> bool {
    candidates.iter().flatten().any(|candidate| candidate.watch == watch)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::fs::CWD;

    #[test]
    fn only_a_regular_file_with_one_name_is_looked_at() {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let path = |name: &str| directory.path().join(name);
        std::fs::write(path("f"), "content").expect("a file");
        std::fs::create_dir(path("d")).expect("a directory");
        rustix::fs::mknodat(CWD, path("fifo"), FileType::Fifo, Mode::RUSR, 0).expect("a FIFO");
        let look = |name: &str| {
            let file = rustix::fs::open(path(name), OPEN_FLAGS, Mode::empty()).expect("it can be opened");
            look_at(&file).map(|status| status.st_size)
        };
        assert_eq!(look("f"), Ok(7));
        for name in ["d", "fifo"] {
            assert_eq!(look(name), Err(Fault::For(LONG_REST)), "{name}");
        }
        std::fs::hard_link(path("f"), path("g")).expect("one file system");
        assert_eq!(look("f"), Err(Fault::For(LONG_REST)));
    }
}
