//! HTTP/1.1 as pure functions over bytes: no socket, clock, file system, heap or Python below this module.

pub mod chunked;
pub mod condition;
pub mod date;
pub mod field;
pub mod framing;
pub mod grammar;
pub mod host;
pub mod line;
pub mod listing;
pub mod media_type;
pub mod negotiation;
pub mod range;
pub mod reject;
pub mod request_line;
pub mod response_head;
pub mod status;
pub mod target;

pub use reject::Reject;
pub use status::{Code, Status};

/// A part of the received bytes, counted from the first byte of its request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Span {
    start: u32,
    end: u32,
}

impl Span {
    /// The bytes from `start` up to but without `end`. Buffers are limited to far less than 4 GiB, so nothing is cut.
    #[must_use]
    pub fn new(start: usize, end: usize) -> Self {
        let narrow = |position: usize| u32::try_from(position).unwrap_or(u32::MAX);
        Self { start: narrow(start), end: narrow(end).max(narrow(start)) }
    }

    /// The part of `request` that this names; nothing where it is not wholly inside.
    #[must_use]
    pub fn of(self, request: &[u8]) -> &[u8] {
        request.get(self.start as usize..self.end as usize).unwrap_or_default()
    }

    /// Where `part` lies inside `whole`, moved by the start of `self`: the span of a slice taken of `self.of(…)`.
    #[must_use]
    pub(crate) fn part(self, whole: &[u8], part: &[u8]) -> Self {
        let offset = (part.as_ptr() as usize).saturating_sub(whole.as_ptr() as usize);
        Self::new(self.start as usize + offset, self.start as usize + offset + part.len())
    }

    /// The position after the last byte.
    #[must_use]
    pub fn end(self) -> usize {
        self.end as usize
    }
}

/// The minor version of a request, as far as it matters: 1.0, or 1.1 and above (RFC 9110 section 2.5).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Version {
    /// HTTP/1.0.
    Http10,
    /// HTTP/1.1, and as such every HTTP/1.x above it.
    #[default]
    Http11,
}
