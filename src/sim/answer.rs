//! What a request must be answered with, down to each field of the head.

use super::files::Files;
use super::multipart::Parts;
use crate::http::listing::Format;
use crate::http::{Reject, Status};

/// The content of an answer, as a GET gets it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Content {
    Text(&'static str),
    /// So many bytes of a file from an offset on.
    Part {
        file: usize,
        first: u64,
        length: u64,
    },
    Parts(Parts),
    /// The list of a directory.
    Listing {
        directory: usize,
        format: Format,
    },
}

impl Content {
    pub(super) fn whole(files: &Files, file: usize) -> Self {
        Self::Part { file, first: 0, length: files.size(file) }
    }

    /// The part of a file from which the byte at `offset` is to come: its end.
    pub(super) fn end_of_part(&self, file_read: usize, offset: u64) -> Option<u64> {
        let holds = |first: u64, end: u64| first <= offset && offset < end;
        match self {
            Self::Text(_) | Self::Listing { .. } => None,
            Self::Part { file, first, length } => {
                let end = first + length;
                (*file == file_read && holds(*first, end)).then_some(end)
            }
            Self::Parts(parts) => {
                let part = parts.ranges.iter().find(|range| holds(range.0, range.1 + 1));
                part.filter(|_| parts.file == file_read).map(|range| range.1 + 1)
            }
        }
    }

    /// Whether nothing is read of the file after a part that ends there.
    pub(super) fn is_last(&self, end: u64) -> bool {
        match self {
            Self::Text(_) | Self::Listing { .. } => false,
            Self::Part { .. } => true,
            Self::Parts(parts) => parts.ranges.last().is_some_and(|range| range.1 + 1 == end),
        }
    }

    /// Whether the file or the directory ends before this does.
    pub(super) fn is_cut(&self, files: &Files) -> bool {
        match self {
            Self::Text(_) => false,
            Self::Part { file, first, length } => *length > 0 && first + length > files.left(*file),
            Self::Parts(parts) => parts.ranges.iter().any(|range| range.1 >= files.left(parts.file)),
            Self::Listing { directory, .. } => files.directories.get(*directory).fails(),
        }
    }

    /// How many bytes can be sent of it, about.
    pub(super) fn volume(&self, files: &Files) -> usize {
        let volume = match self {
            Self::Text(_) => 300,
            Self::Part { file, length, .. } => files.left(*file).min(*length),
            Self::Parts(parts) => files.left(parts.file) + 300 * parts.ranges.len() as u64,
            Self::Listing { directory, format } => {
                300 + 2 * files.directories.get(*directory).content(*format).len() as u64
            }
        };
        usize::try_from(volume).expect("test files are small")
    }
}

/// What a field of a head must say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Value {
    Exactly(String),
    /// The tag of a file.
    Tag(usize),
    /// The date of a file.
    LastModified(usize),
    /// The type and the length of several parts, which follow from their boundary.
    PartsType,
    PartsLength,
}

/// The answer that a request must get.
#[derive(Clone, Debug)]
pub(super) struct Answer {
    pub(super) status: Status,
    pub(super) reject: Option<Reject>,
    pub(super) content: Content,
    /// The fields of its head besides Date, Connection and those that the site adds to all.
    pub(super) fields: Vec<(&'static str, Value)>,
    /// Nothing is answered after it.
    pub(super) closes: bool,
    /// Its head says so; where a file shrinks, it was too late for that.
    pub(super) says_close: bool,
    /// The request itself asked for the close.
    pub(super) asked_to_close: bool,
    /// The request is of HTTP/1.0, so that persistence must be said.
    pub(super) is_old: bool,
    /// It tells whether the server is well, which changes once that is to stop.
    pub(super) is_health: bool,
    /// The root's index file answers for another name.
    pub(super) is_fallback: bool,
    /// It would have had more parts than the pool has room for.
    pub(super) has_too_many_parts: bool,
    /// It would have been a listing, but the pool has no room to keep its place.
    pub(super) has_no_place: bool,
}

impl Answer {
    pub(super) fn new(status: Status, content: Content) -> Self {
        Self {
            status,
            reject: None,
            content,
            fields: Vec::new(),
            closes: false,
            says_close: false,
            asked_to_close: false,
            is_old: false,
            is_health: false,
            is_fallback: false,
            has_too_many_parts: false,
            has_no_place: false,
        }
    }

    pub(super) fn field(&mut self, name: &'static str, value: impl Into<String>) {
        self.fields.push((name, Value::Exactly(value.into())));
    }
}
