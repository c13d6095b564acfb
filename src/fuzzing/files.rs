//! Files that do not exist. What a byte of a file is follows from its inode and the offset, and the inode from its name.

use crate::connection::{FileFacts, OpenError};
use crate::http::negotiation::{Coding, Codings};
use std::cell::Cell;
use std::rc::Rc;

/// How many files and directories are open.
pub(super) type OpenCount = Rc<Cell<u64>>;

/// An open file or directory. It counts when it is closed.
#[derive(Debug)]
pub(super) struct File {
    pub(super) inode: u64,
    /// What is left of it when it is read, in bytes.
    pub(super) left: u64,
    open: OpenCount,
}

impl File {
    pub(super) fn open(inode: u64, left: u64, open: &OpenCount) -> Self {
        open.set(open.get() + 1);
        Self { inode, left, open: Rc::clone(open) }
    }
}

impl Drop for File {
    fn drop(&mut self) {
        self.open.set(self.open.get() - 1);
    }
}

/// What a name stands for.
#[derive(Clone, Copy, Debug)]
pub(super) enum Found {
    File(FileFacts, Option<Coding>),
    Directory,
    Fails(OpenError),
}

/// The sizes that files have.
const SIZES: [u64; 8] = [0, 1, 10, 300, 2000, 15_000, 17_000, 1 << 40];

/// What a name stands for: its first letter says what it is, and all of them say its size and its age.
pub(super) fn look(name: &[u8], codings: Codings, wall_nanoseconds: u64) -> Found {
    match name.first() {
        None => return Found::Directory,
        Some(b'n') => return Found::Fails(OpenError::NotFound),
        Some(b's') => return Found::Fails(OpenError::Forbidden),
        Some(b'd') => return Found::Directory,
        _ if name.ends_with(b"/") => return Found::Directory,
        _ => {}
    }
    let hash = name.iter().fold(7_u64, |hash, &byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3) >> 3);
    let coding = codings.iter().find(|&coding| hash >> (8 + coding as u64) & 1 == 1);
    let inode = (hash & 0xffff_ffff) << 8 | coding.map_or(0, |coding| coding as u64 + 1);
    let changed = if hash & 0x10_0000 == 0 { 1_000_000_000 } else { wall_nanoseconds };
    let size = SIZES[usize::try_from(hash & 7).expect("three bits")];
    let modified_seconds = i64::try_from(hash & 0xffff_ffff).expect("32 bits");
    Found::File(FileFacts { size, modified_seconds, identity: (inode, changed) }, coding)
}

/// The byte of a file at an offset: a letter that no status line begins with.
pub(super) fn byte_at(inode: u64, offset: u64) -> u8 {
    let mixed = offset.wrapping_mul(7) ^ (offset >> 8).wrapping_mul(13) ^ inode ^ (inode >> 8);
    b"abcdefgijklmnopq"[usize::try_from(mixed & 15).expect("four bits")]
}

/// Fills `into` with what a file has from `offset` on.
pub(super) fn fill(inode: u64, offset: u64, into: &mut [u8]) {
    for (place, at) in into.iter_mut().zip(offset..) {
        *place = byte_at(inode, at);
    }
}
