//! The content of a response under way: where the rest of it comes from, and the parts of a multipart content.

use super::Connection;
use super::answering::Source;
use super::listing::Listing;
use super::pool::{Pool, PoolExhausted, PoolSlice};
use crate::http::negotiation::Coding;
use crate::http::range::ByteRange;
use crate::http::request_line::Method;
use crate::http::response_head::HeadWriter;
use crate::http::{Code, Status};

/// The most bytes that stand before a part: its delimiter, Content-Type and Content-Range.
pub(super) const MAX_PART_HEAD: usize = 256;
/// How every boundary begins (RFC 2046 section 5.1.1).
const BOUNDARY: &[u8] = b"pooled-httpd-";

/// A response under way. Its head, and its content where that is short, are in the send buffer.
#[derive(Debug)]
pub(super) struct Reply<F> {
    pub(super) code: Code,
    /// Where the rest of the content comes from; held exactly while some is left.
    pub(super) file: Option<F>,
    /// What of the file goes out next.
    pub(super) offset: u64,
    pub(super) remaining: u64,
    /// The parts that follow it, in a multipart content.
    pub(super) parts: Option<Parts>,
    /// The list of a directory, which the file is then.
    pub(super) listing: Option<Listing>,
    /// All the content, in bytes.
    pub(super) content_length: u64,
    /// How much of it is in the send buffer or gone.
    pub(super) content_written: u64,
    /// Whether the content goes from file to socket without passing the send buffer; and whether any did.
    pub(super) streaming: bool,
    pub(super) streamed: bool,
    /// Whether the peer once took nothing.
    pub(super) blocked: bool,
    pub(super) persistent: bool,
    pub(super) truncated: bool,
}

impl<F> Reply<F> {
    /// A response whose content, so many bytes, is in the send buffer.
    pub(super) fn of_buffered(code: impl Into<Code>, persistent: bool, content_length: u64) -> Self {
        Self {
            code: code.into(),
            file: None,
            offset: 0,
            remaining: 0,
            parts: None,
            listing: None,
            content_length,
            content_written: content_length,
            streaming: false,
            streamed: false,
            blocked: false,
            persistent,
            truncated: false,
        }
    }

    /// So much more of a content whose length was not known has been written.
    pub(super) fn has_written(&mut self, count: usize) {
        self.content_length += count as u64;
        self.content_written += count as u64;
    }

    /// Whether something of the file is still to be sent.
    pub(super) fn needs_file(&self) -> bool {
        self.remaining > 0 || self.parts.is_some() || self.listing.is_some()
    }
}

/// The parts of a multipart/byteranges content that have not been begun (RFC 9110 section 14.6).
#[derive(Clone, Copy, Debug)]
pub(super) struct Parts {
    ranges: PoolSlice<ByteRange>,
    next: usize,
    size: u64,
    boundary: u64,
    media_type: (&'static str, &'static str),
    content_length: u64,
}

/// What comes next in a multipart content: a part of the file behind its head, or the end.
enum Next {
    Part(ByteRange),
    End,
}

impl Parts {
    /// Keeps the ranges in the pool.
    ///
    /// # Errors
    /// The pool has no room for them.
    pub(super) fn new(
        pool: &mut Pool,
        ranges: &[ByteRange],
        size: u64,
        boundary: u64,
        media_type: (&'static str, &'static str),
    ) -> Result<Self, PoolExhausted> {
        let memory = pool.make::<ByteRange>(ranges.len())?;
        pool.get_mut(memory).copy_from_slice(ranges);
        let mut parts = Self { ranges: memory, next: 0, size, boundary, media_type, content_length: 0 };
        let (mut counted, mut scratch) = (parts, [0; MAX_PART_HEAD]);
        loop {
            let (next, length) = counted.write_next(pool, &mut scratch);
            parts.content_length += length as u64;
            match next {
                Next::Part(range) => parts.content_length += range.length(),
                Next::End => return Ok(parts),
            }
        }
    }

    /// The length of the whole content, delimiters included.
    fn content_length(&self) -> u64 {
        self.content_length
    }

    /// Writes the Content-Type of the whole.
    fn put_content_type(&self, head: &mut HeadWriter<'_>) {
        head.put(b"Content-Type: multipart/byteranges; boundary=");
        self.put_boundary(head);
        head.put(b"\r\n");
    }

    fn put_boundary(&self, head: &mut HeadWriter<'_>) {
        head.put(BOUNDARY);
        head.hex(self.boundary);
    }

    /// Writes what stands before the next part, or the end. Returns how much that is.
    fn write_next(&mut self, pool: &Pool, memory: &mut [u8]) -> (Next, usize) {
        let mut head = HeadWriter::bare(memory);
        head.put(if self.next == 0 { b"--" } else { b"\r\n--" });
        self.put_boundary(&mut head);
        let Some(&range) = pool.get(self.ranges).get(self.next) else {
            head.put(b"--\r\n");
            return (Next::End, head.length());
        };
        self.next += 1;
        head.put(b"\r\n");
        put_content_type(&mut head, self.media_type);
        put_content_range(&mut head, range, self.size);
        head.put(b"\r\n");
        (Next::Part(range), head.length())
    }
}

/// What a head says of the content of a file, or of the parts of it that are sent.
pub(super) struct ContentFields<'a> {
    pub(super) media_type: (&'static str, &'static str),
    pub(super) coding: Option<Coding>,
    pub(super) size: u64,
    /// The one part that is sent; several parts.
    pub(super) range: Option<ByteRange>,
    pub(super) parts: Option<&'a Parts>,
}

impl ContentFields<'_> {
    /// Writes Content-Type, Content-Range, Content-Length and Content-Encoding.
    pub(super) fn put(&self, head: &mut HeadWriter<'_>) {
        let length = match (self.parts, self.range) {
            (Some(parts), _) => {
                parts.put_content_type(head);
                parts.content_length()
            }
            (None, Some(range)) => {
                put_content_type(head, self.media_type);
                put_content_range(head, range, self.size);
                range.length()
            }
            (None, None) => {
                put_content_type(head, self.media_type);
                self.size
            }
        };
        head.number_field("Content-Length", length);
        if let Some(coding) = self.coding {
            head.field("Content-Encoding", coding.name().as_bytes());
        }
    }
}

/// Writes a Content-Type.
fn put_content_type(head: &mut HeadWriter<'_>, (media_type, charset): (&str, &str)) {
    head.put(b"Content-Type: ");
    head.put(media_type.as_bytes());
    head.put(charset.as_bytes());
    head.put(b"\r\n");
}

/// Writes the Content-Range of a 206 (RFC 9110 section 14.4).
fn put_content_range(head: &mut HeadWriter<'_>, range: ByteRange, size: u64) {
    head.put(b"Content-Range: bytes ");
    head.number(range.first);
    head.put(b"-");
    head.number(range.last);
    head.put(b"/");
    head.number(size);
    head.put(b"\r\n");
}

impl<F> Connection<F> {
    /// The content of a response whose head has just been written: taken over from memory, or to be read from the file. `range`
    /// is none where all of it goes, and does not matter where there are parts; `head` is the status and whether the connection
    /// persists. HEAD gets none of it (RFC 9110 section 9.3.2).
    pub(super) fn content_of(
        &mut self,
        source: Source<'_, F>,
        range: Option<ByteRange>,
        parts: Option<Parts>,
        size: u64,
        head: (Status, bool),
    ) -> Reply<F> {
        if self.request.line.method == Method::Head {
            return Reply::of_buffered(head.0, head.1, 0);
        }
        let (offset, length) = range.map_or((0, size), |range| (range.first, range.length()));
        let content_length = parts.map_or(length, |parts| parts.content_length);
        let mut reply = Reply::of_buffered(head.0, head.1, content_length);
        match source {
            Source::File(file) if length > 0 => {
                let remaining = if parts.is_some() { 0 } else { length };
                reply = Reply { file: Some(file), offset, remaining, parts, content_written: 0, ..reply };
            }
            Source::File(_) => {}
            Source::Memory(content) => match parts {
                Some(parts) => self.put_parts(parts, content),
                None => self.put_output(part_of(content, offset, length)),
            },
        }
        reply
    }

    /// Appends a whole multipart content.
    fn put_parts(&mut self, mut parts: Parts, content: &[u8]) {
        while let Some(Next::Part(range)) = self.put_next(&mut parts) {
            self.put_output(part_of(content, range.first, range.length()));
        }
    }

    fn put_next(&mut self, parts: &mut Parts) -> Option<Next> {
        let lease = self.lease.as_mut()?;
        let (next, length) = parts.write_next(&lease.pool, lease.send.get_mut(self.output_end..).unwrap_or_default());
        self.output_end += length;
        Some(next)
    }

    /// Begins the next part, or ends the content. The caller has made room for [`MAX_PART_HEAD`] bytes.
    pub(super) fn begin_part(&mut self) {
        let Some(mut parts) = self.reply.as_ref().and_then(|reply| reply.parts) else { return };
        let before = self.output_end;
        let next = self.put_next(&mut parts);
        let written = self.output_end - before;
        let Some(reply) = &mut self.reply else { return };
        reply.streaming = false;
        reply.content_written += written as u64;
        if let Some(Next::Part(range)) = next {
            (reply.offset, reply.remaining) = (range.first, range.length());
            reply.parts = Some(parts);
        } else {
            reply.parts = None;
            reply.file = None;
        }
    }
}

fn part_of(content: &[u8], offset: u64, length: u64) -> &[u8] {
    let start = usize::try_from(offset).unwrap_or(usize::MAX);
    let end = usize::try_from(length).map_or(usize::MAX, |length| start.saturating_add(length));
    content.get(start..end).unwrap_or_default()
}
