//! Files beneath the document root: the only module that touches them.
//!
//! The kernel resolves a name beneath the root (openat2, RESOLVE_BENEATH); then what was opened is looked at. A name is never
//! checked first and opened later. Where openat2 is refused, [`walk`] does the same by hand.

mod cache;
mod lease;
mod listing;
mod names;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;
mod walk;
mod watch;

use crate::connection::{Content, FileFacts, FileName, InMemory, OpenError, Opened};
use crate::http::negotiation::{Coding, Codings};
use cache::{Cache, Found, Held, Hit};
pub use listing::{Desks, EntryFacts, Listing, Progress};
use rustix::fd::OwnedFd;
use rustix::fs::{FileType, Mode, OFlags, ResolveFlags, Stat};
use rustix::io::Errno;
use std::ffi::CStr;
use std::io;
use walk::Walker;

/// How a regular file is opened. O_NONBLOCK: a FIFO must not stall the loop; it means nothing to a regular file.
const OPEN_FLAGS: OFlags = OFlags::RDONLY.union(OFlags::CLOEXEC).union(OFlags::NONBLOCK).union(OFlags::NOCTTY);
/// How something is opened to be looked at only, whatever it is and whoever may read it.
const LOOK_FLAGS: OFlags = OFlags::PATH.union(OFlags::CLOEXEC);
const RESOLVE: ResolveFlags = ResolveFlags::BENEATH.union(ResolveFlags::NO_MAGICLINKS);
/// How often a resolution that raced with a rename is tried again.
const MAX_RACES: u32 = 16;

/// How names are resolved beneath the root.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Resolver {
    /// By the kernel, with openat2.
    Openat2,
    /// Component by component, where the kernel or a system-call filter has no openat2.
    Walk,
}

/// The document root.
#[derive(Debug)]
pub struct Root {
    directory: OwnedFd,
    resolver: Resolver,
    walker: Walker,
    cache: Option<Cache>,
    /// Where the names of sidecars are made.
    sidecar_name: Box<[u8]>,
}

/// What is known of a name without opening it.
#[derive(Debug)]
pub enum Known<'a> {
    /// It is a file with this content.
    Content(InMemory<'a, OpenFile>),
    /// It leads to nothing.
    Absent,
}

/// A file or directory that is open, or a content in memory that is held.
#[derive(Debug)]
pub enum OpenFile {
    /// Open.
    Descriptor(OwnedFd),
    /// Held.
    InMemory(Held),
}

/// The longest name that the system opens (PATH_MAX), and a sidecar's suffix.
const SIDECAR_NAME_BYTES: usize = 4096 + 8;

impl Root {
    /// Opens the document root and finds out how names can be resolved beneath it.
    ///
    /// # Errors
    /// The directory cannot be opened, or is none.
    pub fn open(path: &str) -> io::Result<Self> {
        let directory = rustix::fs::open(path, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?;
        let flags = OFlags::PATH | OFlags::CLOEXEC;
        let works = rustix::fs::openat2(&directory, c".", flags, Mode::empty(), RESOLVE).is_ok();
        Ok(Self::with_resolver(directory, if works { Resolver::Openat2 } else { Resolver::Walk }))
    }

    fn with_resolver(directory: OwnedFd, resolver: Resolver) -> Self {
        let sidecar_name = vec![0; SIDECAR_NAME_BYTES].into_boxed_slice();
        Self { directory, resolver, walker: Walker::new(), cache: None, sidecar_name }
    }

    /// How names are resolved.
    #[must_use]
    pub fn resolver(&self) -> Resolver {
        self.resolver
    }

    /// Keeps the contents of files in memory from here on, in `cache_size` bytes, where the system tells what changes. What is longer
    /// than `max_short` is held by its responses, and has to be.
    pub fn keep_in_memory(&mut self, cache_size: usize, max_short: usize) {
        self.cache = Cache::new(&self.directory, cache_size, max_short, self.resolver == Resolver::Openat2);
    }

    /// The memory of a cache of this size, in bytes: its contents, outside the heap, and its tables.
    #[must_use]
    pub fn cache_bytes(cache_size: usize) -> usize {
        cache_size + Cache::heap_bytes(cache_size)
    }

    /// Drops from memory what has changed. To be called once a turn, after its requests were received and before they are
    /// answered.
    pub fn refresh(&mut self) {
        if let Some(cache) = &mut self.cache {
            cache.refresh();
        }
    }

    /// What [`Self::open_file`] would find, from memory; nothing where it is to be opened. Right for requests that had arrived at
    /// the last [`Self::refresh`].
    #[must_use]
    pub fn find_in_memory(&mut self, name: FileName<'_>, codings: Codings) -> Option<Known<'_>> {
        // The tag of the file itself is 0.
        let coding = |tag: u8| tag.checked_sub(1).and_then(|number| Coding::ALL.get(usize::from(number)).copied());
        Some(Known::Content(match self.cache.as_mut()?.get(name.bytes(), codings.key())? {
            Found::Short(Hit { facts, tag, content, fields }) => {
                InMemory { facts, coding: coding(tag), content: Content::Short(content), fields, is_new: false }
            }
            Found::Long(Hit { facts, tag, content, fields }) => {
                let content = Content::Long(OpenFile::InMemory(content));
                InMemory { facts, coding: coding(tag), content, fields, is_new: false }
            }
            Found::Absent => return Some(Known::Absent),
        }))
    }

    /// Brings into memory what [`Self::open_file`] has just opened, where it may be kept there. Right for the same requests.
    pub fn bring_into_memory(
        &mut self,
        name: FileName<'_>,
        codings: Codings,
        size: u64,
    ) -> Option<InMemory<'_, OpenFile>> {
        let cache = self.cache.as_mut().filter(|cache| cache.takes(size))?;
        let mut suffixes = [(0, ""); Coding::ALL.len()];
        let mut count = 0;
        for (place, coding) in suffixes.iter_mut().zip(codings.iter()) {
            *place = (coding as u8 + 1, coding.suffix());
            count += 1;
        }
        if !cache.insert(&self.directory, name.as_c_str(), codings.key(), &suffixes[..count]) {
            return None;
        }
        match self.find_in_memory(name, codings) {
            Some(Known::Content(found)) => Some(InMemory { is_new: true, ..found }),
            Some(Known::Absent) | None => None,
        }
    }

    /// Remembers that [`Self::open_file`] has just found nothing, where that is known to stay so until somebody tells.
    pub fn remember_absence(&mut self, name: FileName<'_>) {
        if let Some(cache) = &mut self.cache {
            cache.insert_absence(&self.directory, name.as_c_str());
        }
    }

    /// All of a content that is held in memory; nothing where the file is open.
    #[must_use]
    pub fn held_content<'a>(&'a self, file: &OpenFile) -> Option<&'a [u8]> {
        match (file, &self.cache) {
            (OpenFile::InMemory(held), Some(cache)) => Some(cache.held_content(held)),
            _ => None,
        }
    }

    /// Gives back what is kept in memory, all but one descriptor, which the kernel takes long to close.
    pub fn give_up_memory(&mut self) -> Option<OwnedFd> {
        self.cache.take().map(Cache::into_slow_descriptor)
    }

    /// The heap memory that resolving takes, in bytes.
    #[must_use]
    pub fn heap_bytes() -> usize {
        Walker::HEAP_BYTES + SIDECAR_NAME_BYTES
    }

    /// Opens `name`, which is relative, not empty and without dot-segments; or, where it is a file, the first of its sidecars in
    /// these codings that is not older than the file. Never blocks and never allocates.
    ///
    /// # Errors
    /// See [`OpenError`].
    pub fn open_file(&mut self, name: &CStr, codings: Codings) -> Result<Opened<OpenFile>, OpenError> {
        let (file, status) = self.open_name(name).map_err(reason)?;
        match FileType::from_raw_mode(status.st_mode) {
            FileType::RegularFile => {}
            FileType::Directory => return Ok(Opened::Directory(OpenFile::Descriptor(file))),
            _ => return Err(OpenError::Forbidden),
        }
        for coding in codings.iter() {
            if let Some((sidecar, facts)) = self.open_sidecar(name, coding, &status) {
                return Ok(Opened::File(OpenFile::Descriptor(sidecar), facts, Some(coding)));
            }
        }
        Ok(Opened::File(OpenFile::Descriptor(file), facts(&status), None))
    }

    fn open_sidecar(&mut self, name: &CStr, coding: Coding, original: &Stat) -> Option<(OwnedFd, FileFacts)> {
        let mut memory = std::mem::take(&mut self.sidecar_name);
        let opened = sidecar_name(&mut memory, name, coding).and_then(|name| self.open_name(name).ok());
        self.sidecar_name = memory;
        let (file, status) = opened?;
        let is_file = FileType::from_raw_mode(status.st_mode) == FileType::RegularFile;
        (is_file && modified(&status) >= modified(original)).then(|| (file, facts(&status)))
    }

    fn open_name(&mut self, name: &CStr) -> Result<(OwnedFd, Stat), Errno> {
        let mut races = 0;
        loop {
            let opened = match self.resolver {
                Resolver::Openat2 => open_beneath(&self.directory, name),
                Resolver::Walk => self.walker.open(&self.directory, name, OPEN_FLAGS),
            };
            match opened.and_then(|file| rustix::fs::fstat(&file).map(|status| (file, status))) {
                Err(Errno::AGAIN | Errno::INTR) if races < MAX_RACES => races += 1,
                outcome => return outcome,
            }
        }
    }

    /// Looks at what `name` leads to, under the rules of [`Self::open_file`] but without opening it for reading.
    fn stat_beneath(&mut self, name: &CStr) -> Result<Stat, Errno> {
        let mut races = 0;
        loop {
            let opened = match self.resolver {
                Resolver::Openat2 => rustix::fs::openat2(&self.directory, name, LOOK_FLAGS, Mode::empty(), RESOLVE),
                Resolver::Walk => self.walker.open(&self.directory, name, LOOK_FLAGS),
            };
            match opened.and_then(rustix::fs::fstat) {
                Err(Errno::AGAIN | Errno::INTR) if races < MAX_RACES => races += 1,
                outcome => return outcome,
            }
        }
    }
}

fn open_beneath(directory: &OwnedFd, name: &CStr) -> Result<OwnedFd, Errno> {
    rustix::fs::openat2(directory, name, OPEN_FLAGS, Mode::empty(), RESOLVE)
}

/// The name of a sidecar, made in `memory`.
fn sidecar_name<'a>(memory: &'a mut [u8], name: &CStr, coding: Coding) -> Option<&'a CStr> {
    let (name, suffix) = (name.to_bytes(), coding.suffix().as_bytes());
    let length = name.len() + suffix.len();
    let made = memory.get_mut(..=length)?;
    made[..name.len()].copy_from_slice(name);
    made[name.len()..length].copy_from_slice(suffix);
    made[length] = 0;
    CStr::from_bytes_until_nul(made).ok()
}

/// When the content was last modified: seconds and nanoseconds.
#[allow(clippy::unnecessary_cast, clippy::cast_possible_wrap)] // The types differ between architectures.
fn modified(status: &Stat) -> (i64, i64) {
    (status.st_mtime as i64, status.st_mtime_nsec as i64)
}

#[allow(clippy::unnecessary_cast, clippy::cast_sign_loss)] // The types differ between architectures; a size is not negative.
fn facts(status: &Stat) -> FileFacts {
    let changed = (status.st_ctime as i64).wrapping_mul(1_000_000_000).wrapping_add(status.st_ctime_nsec as i64);
    FileFacts {
        size: status.st_size as u64,
        modified_seconds: status.st_mtime as i64,
        identity: (status.st_ino as u64, changed as u64),
    }
}

fn reason(errno: Errno) -> OpenError {
    match errno {
        Errno::NOENT | Errno::NOTDIR | Errno::NAMETOOLONG => OpenError::NotFound,
        Errno::ACCESS | Errno::PERM | Errno::XDEV | Errno::LOOP | Errno::NXIO | Errno::NODEV => OpenError::Forbidden,
        Errno::MFILE | Errno::NFILE => OpenError::NoDescriptor,
        _ => OpenError::Failed,
    }
}
