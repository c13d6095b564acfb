//! Resolving a name beneath a directory by hand, component by component, as RESOLVE_BENEATH would.
//!
//! Each component is opened with O_NOFOLLOW and looked at through that descriptor; links are read from it and resolved the same
//! way. The directories on the way are kept open on a stack, so that `..` in a link means the directory it was reached through
//! and never leads above the root, whatever is renamed meanwhile.

use super::LOOK_FLAGS;
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::fs::{FileType, Mode, OFlags};
use rustix::io::Errno;
use std::ffi::CStr;

/// The most directories that may be open on the way.
const MAX_DEPTH: usize = 64;
/// The most links that may be followed (as the kernel's MAXSYMLINKS).
const MAX_LINKS: u32 = 40;
/// Room for what is left of the name, links put in front included.
const REST_BYTES: usize = 8192;
const LINK_BYTES: usize = 4096;

/// The memory of a walk, taken once.
#[derive(Debug)]
pub(super) struct Walker {
    directories: Vec<OwnedFd>,
    /// What is left of the name lies at the end, from `start`; the last byte is NUL.
    rest: Box<[u8]>,
    start: usize,
    link: Box<[u8]>,
}

impl Walker {
    pub(super) const HEAP_BYTES: usize = MAX_DEPTH * size_of::<OwnedFd>() + REST_BYTES + LINK_BYTES;

    pub(super) fn new() -> Self {
        Self {
            directories: Vec::with_capacity(MAX_DEPTH),
            rest: vec![0; REST_BYTES].into_boxed_slice(),
            start: REST_BYTES - 1,
            link: vec![0; LINK_BYTES].into_boxed_slice(),
        }
    }

    /// Opens `name` with `flags`, which have O_PATH where it is to be looked at only.
    pub(super) fn open(&mut self, root: &OwnedFd, name: &CStr, flags: OFlags) -> Result<OwnedFd, Errno> {
        self.start = REST_BYTES - 1;
        let result = self.put_in_front(name.to_bytes()).and_then(|()| self.walk(root, flags));
        self.directories.clear();
        result
    }

    /// Puts `name` and a slash before what is left. A name that begins with a slash leaves the root.
    fn put_in_front(&mut self, name: &[u8]) -> Result<(), Errno> {
        if name.starts_with(b"/") {
            return Err(Errno::XDEV);
        }
        let is_last = self.start == REST_BYTES - 1;
        let start = self.start.checked_sub(name.len() + usize::from(!is_last)).ok_or(Errno::NAMETOOLONG)?;
        self.rest[start..start + name.len()].copy_from_slice(name);
        if !is_last {
            self.rest[self.start - 1] = b'/';
        }
        self.start = start;
        Ok(())
    }

    fn walk(&mut self, root: &OwnedFd, flags: OFlags) -> Result<OwnedFd, Errno> {
        let only_looks = flags.contains(OFlags::PATH);
        let mut links = 0;
        loop {
            let Some((start, end)) = self.next_component() else {
                let here = self.directories.last().map_or(root.as_fd(), AsFd::as_fd);
                return rustix::fs::openat(here, c".", flags | OFlags::DIRECTORY, Mode::empty());
            };
            let is_last = self.start >= REST_BYTES - 1;
            let here = self.directories.last().map_or(root.as_fd(), AsFd::as_fd);
            let component = CStr::from_bytes_until_nul(&self.rest[start..=end]).unwrap_or_default();
            let entry = match component.to_bytes() {
                b"." => continue,
                b".." => {
                    self.directories.pop().ok_or(Errno::XDEV)?;
                    continue;
                }
                _ if is_last && !only_looks => match open_last(here, component, flags)? {
                    Some(file) => return Ok(file),
                    None => look_up(here, component)?,
                },
                _ => look_up(here, component)?,
            };
            match FileType::from_raw_mode(rustix::fs::fstat(&entry)?.st_mode) {
                FileType::Directory if self.directories.len() == MAX_DEPTH => return Err(Errno::NAMETOOLONG),
                FileType::Directory => self.directories.push(entry),
                FileType::Symlink => {
                    links += 1;
                    if links > MAX_LINKS {
                        return Err(Errno::LOOP);
                    }
                    self.follow(&entry)?;
                }
                _ if is_last && only_looks => return Ok(entry),
                _ => return Err(Errno::NOTDIR),
            }
        }
    }

    /// The bounds of the next component, now ended by NUL; what is left begins after it.
    fn next_component(&mut self) -> Option<(usize, usize)> {
        let last = REST_BYTES - 1;
        while self.start < last && self.rest[self.start] == b'/' {
            self.start += 1;
        }
        if self.start >= last {
            return None;
        }
        let start = self.start;
        let length = memchr::memchr(b'/', &self.rest[start..last]).unwrap_or(last - start);
        self.rest[start + length] = 0;
        self.start = (start + length + 1).min(last);
        Some((start, start + length))
    }

    fn follow(&mut self, entry: &OwnedFd) -> Result<(), Errno> {
        let length = rustix::fs::readlinkat_raw(entry, c"", &mut self.link[..])?;
        if length == LINK_BYTES {
            return Err(Errno::NAMETOOLONG);
        }
        let link = std::mem::take(&mut self.link);
        let result = self.put_in_front(&link[..length]);
        self.link = link;
        result
    }
}

/// The last component, open for reading; nothing where it is a link.
fn open_last(here: BorrowedFd<'_>, name: &CStr, flags: OFlags) -> Result<Option<OwnedFd>, Errno> {
    match rustix::fs::openat(here, name, flags | OFlags::NOFOLLOW, Mode::empty()) {
        Ok(file) => Ok(Some(file)),
        Err(Errno::LOOP) => Ok(None),
        Err(errno) => Err(errno),
    }
}

/// What is there, whatever it is, neither followed nor opened for reading.
fn look_up(here: BorrowedFd<'_>, name: &CStr) -> Result<OwnedFd, Errno> {
    rustix::fs::openat(here, name, LOOK_FLAGS | OFlags::NOFOLLOW, Mode::empty())
}
