//! Directory listings: a page for people, and JSON in the shape of nginx's autoindex for programs.
//!
//! A listing is its beginning, one part for each entry, and its end. Each part is a pure function of what it shows, so that it
//! can be written into whatever room there is and gone on with later, told by nothing but the count of bytes that are out. It
//! must never let a name become markup, a script, or an address of somewhere else.

#[cfg(test)]
mod cases;
mod html;
mod json;
mod position;

pub use position::Position;

use std::fmt;

/// What the page may do (Content Security Policy Level 3): use its own style and its own script, told by their hashes, and show
/// the site's icon. Should a name become markup after all, the browser would not run it.
pub const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; img-src 'self'; style-src \
    'sha256-lKKZTtFnd3mRiY/FAWmoYIrwR7X/qS+zHkOJxlDEQLI='; script-src \
    'sha256-tGoiZkTEgyz9j10HZtoOutcSEliAy/5NiXeODNnRW7s='; base-uri 'none'; form-action 'none'";

/// The longest name of an entry, in bytes (NAME_MAX).
pub const MAX_ENTRY_NAME: usize = 255;
/// The most that an entry takes, in bytes: its fixed text, its name percent-encoded (three bytes for one) and as text (at most
/// six for one).
pub const MAX_ENTRY: usize = 256 + 9 * MAX_ENTRY_NAME;
/// The most that the end takes, in bytes.
pub const MAX_END: usize = html::END_BYTES;

/// The most that the beginning takes for a directory whose name has so many bytes.
#[must_use]
pub const fn max_begin(name_length: usize) -> usize {
    html::max_begin(name_length)
}

/// How a listing is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// A page.
    Html,
    /// An array of objects.
    Json,
}

impl Format {
    /// The value of Content-Type.
    #[must_use]
    pub const fn media_type(self) -> &'static str {
        match self {
            Self::Html => "text/html; charset=utf-8",
            Self::Json => "application/json",
        }
    }
}

/// What an entry is. Directories come first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// A directory.
    Directory,
    /// A regular file.
    File,
}

/// An entry of a directory.
#[derive(Clone, Copy, Debug)]
pub struct Entry<'a> {
    /// Its name as the file system has it.
    pub name: &'a [u8],
    /// What it is.
    pub kind: Kind,
    /// Its size in bytes; shown of files only.
    pub size: u64,
    /// When its content last changed, in seconds since 1970.
    pub modified_seconds: i64,
    /// Whether no other entry came before.
    pub is_first: bool,
}

/// A part of a listing.
#[derive(Clone, Copy, Debug)]
pub enum Part<'a> {
    /// What comes before the entries. The decoded name of the directory, relative to the root: empty, or with a final slash.
    Begin(&'a [u8]),
    /// An entry.
    Entry(Entry<'a>),
    /// What comes after the entries.
    End {
        /// Whether there were none.
        is_empty: bool,
    },
}

/// What became of writing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Written {
    /// How many bytes were written.
    pub length: usize,
    /// Whether nothing of the part is left.
    pub is_complete: bool,
}

/// Writes into `memory` what comes after the first `from` bytes of `part`, as much as fits.
pub fn write(format: Format, part: &Part<'_>, from: usize, memory: &mut [u8]) -> Written {
    let mut window = Window { memory, length: 0, skip: from, is_complete: true };
    match format {
        Format::Html => html::put(&mut window, part),
        Format::Json => json::put(&mut window, part),
    }
    Written { length: window.length, is_complete: window.is_complete }
}

/// The part of an output that is wanted: what comes after some bytes and fits some memory.
#[derive(Debug)]
struct Window<'a> {
    memory: &'a mut [u8],
    length: usize,
    /// What is still to be left out, in bytes.
    skip: usize,
    is_complete: bool,
}

impl Window<'_> {
    fn put(&mut self, bytes: &[u8]) {
        let Some(wanted) = bytes.get(self.skip..) else {
            self.skip -= bytes.len();
            return;
        };
        self.skip = 0;
        let room = self.memory.get_mut(self.length..).unwrap_or_default();
        let count = room.len().min(wanted.len());
        for (place, byte) in room.iter_mut().zip(wanted) {
            *place = *byte;
        }
        self.length += count;
        self.is_complete &= count == wanted.len();
    }
}

impl fmt::Write for Window<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.put(text.as_bytes());
        Ok(())
    }
}
