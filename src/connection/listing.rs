//! The list of a directory as the content of a response, written as far as there is room and gone on with later.
//!
//! Its length is not known before: it goes out in chunks (RFC 9112 section 7.1), or to HTTP/1.0 until the end of the connection.

use super::Connection;
use super::content::Reply;
use super::core::Core;
use super::deadlines::DeadlineKind;
use super::pool::PoolSlice;
use super::replying::Varies;
use super::sending::Step;
use crate::http::field::FieldName;
use crate::http::listing::{self, Entry, Format, MAX_ENTRY, Part, Position};
use crate::http::negotiation::prefers_json;
use crate::http::request_line::Method;
use crate::http::{Reject, Status, Version};
use crate::trace::Event;

/// The chunk-size of every chunk, with leading zeros (RFC 9112 section 7.1), and its CRLF.
const CHUNK_HEAD: usize = 9;
/// What ends a chunk, and the last one.
const CHUNK_END: &[u8] = b"\r\n";
const LAST_CHUNK: &[u8] = b"0\r\n\r\n";
/// The room that is kept for what ends the content.
const END_ROOM: usize = CHUNK_END.len() + LAST_CHUNK.len();

/// What came of looking for the next entry of a directory.
#[derive(Clone, Copy, Debug)]
pub enum Listed<'a> {
    /// This one.
    Entry {
        /// What it is and how it is called: the list goes on after it.
        position: &'a Position,
        /// Its size in bytes.
        size: u64,
        /// When its content last changed, in seconds since 1970.
        modified_seconds: i64,
    },
    /// There is none left.
    End,
    /// The directory can no longer be read.
    Failed,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Begin,
    Entries,
    End,
}

/// A listing under way.
#[derive(Clone, Copy, Debug)]
pub(super) struct Listing {
    format: Format,
    stage: Stage,
    /// How much of the part at the beginning or the end has been written.
    written: usize,
    is_empty: bool,
    is_chunked: bool,
    /// Where the open chunk begins in the send buffer.
    chunk: Option<usize>,
    position: PoolSlice<Position>,
    /// What is written is to go out before the next entry is looked for.
    is_waiting: bool,
    /// What tells it from every other.
    token: u64,
}

impl<F> Connection<F> {
    /// The list of an open directory answers.
    pub(super) fn reply_with_listing(&mut self, core: &mut Core, directory: F) {
        let Some(position) = self.lease.as_mut().and_then(|lease| lease.pool.make::<Position>(1).ok()) else {
            core.counters.pool_overflows.add(1);
            return self.reject(core, Reject::PoolExhausted);
        };
        let wants_json = self.query_has(b"format=json")
            || (self.request.fields.has(FieldName::Accept) && prefers_json(self.fields()));
        let format = if wants_json { Format::Json } else { Format::Html };
        let is_chunked = self.request.line.version == Version::Http11;
        let persistent = is_chunked && self.may_persist(core);
        self.write_head(core, Status::Ok, persistent, Varies::ByAccept, |head, _| {
            head.field("Content-Type", format.media_type().as_bytes());
            if is_chunked {
                head.field("Transfer-Encoding", b"chunked");
            }
            if format == Format::Html {
                head.field("Content-Security-Policy", listing::CONTENT_SECURITY_POLICY.as_bytes());
            }
        });
        let mut reply = Reply::of_buffered(Status::Ok, persistent, 0);
        if self.request.line.method != Method::Head {
            reply.file = Some(directory);
            reply.listing = Some(Listing {
                format,
                stage: Stage::Begin,
                written: 0,
                is_empty: true,
                is_chunked,
                chunk: None,
                position,
                is_waiting: false,
                token: core.take_unique(),
            });
        }
        self.begin_reply(core, reply);
        self.record(core, Event::Answering(Status::Ok));
    }

    /// Writes on. The step says what is needed for that.
    pub(super) fn go_on_listing(&mut self) -> Option<Step> {
        let listing = self.reply.as_ref()?.listing?;
        // The room for an entry is there before it is looked up, so that none is looked up twice.
        let wanted = CHUNK_HEAD + END_ROOM + if listing.stage == Stage::Entries { MAX_ENTRY } else { 1 };
        if self.output_room() < wanted || (listing.is_waiting && self.has_output()) {
            self.close_chunk();
            return Some(Step::Send);
        }
        match listing.stage {
            Stage::Begin => self.write_part(listing, Stage::Entries),
            Stage::Entries => return Some(Step::List),
            Stage::End => {
                self.write_part(listing, Stage::End);
            }
        }
        None
    }

    /// Writes as much as there is room for of the beginning or the end; `next` comes when all of it is written.
    fn write_part(&mut self, mut listing: Listing, next: Stage) {
        self.open_chunk();
        let room = self.output_end..self.output_end + self.output_room().saturating_sub(END_ROOM);
        let Some(lease) = &mut self.lease else { return };
        let name =
            self.request.path.map(|path| lease.pool.get(path)).and_then(|name| name.get(..self.request.name_length));
        let part = match listing.stage {
            Stage::End => Part::End { is_empty: listing.is_empty },
            _ => Part::Begin(name.unwrap_or_default()),
        };
        let memory = lease.send.get_mut(room).unwrap_or_default();
        let outcome = listing::write(listing.format, &part, listing.written, memory);
        self.output_end += outcome.length;
        listing.written += outcome.length;
        let Some(reply) = &mut self.reply else { return };
        reply.has_written(outcome.length);
        let is_over = outcome.is_complete && listing.stage == Stage::End;
        if outcome.is_complete {
            (listing.stage, listing.written) = (next, 0);
        }
        listing.chunk = reply.listing.and_then(|listing| listing.chunk);
        reply.listing = Some(listing);
        if is_over {
            self.end_listing();
        }
    }

    /// Looking for the next entry takes longer: what is written goes out meanwhile, and the peer, who has nothing to take, is not
    /// the one who is waited for.
    pub(super) fn listing_waits(&mut self, core: &mut Core) {
        let has_output = self.has_output();
        let Some(listing) = self.reply.as_mut().and_then(|reply| reply.listing.as_mut()) else { return };
        listing.is_waiting = has_output;
        if !has_output {
            core.deadlines.arm(self.slot, DeadlineKind::Send, core.now.time);
        }
    }

    /// What came of looking for the next entry.
    pub(super) fn listed(&mut self, outcome: Listed<'_>) {
        let Some(mut listing) = self.reply.as_ref().and_then(|reply| reply.listing) else { return };
        let (position, entry) = match outcome {
            Listed::Entry { position, size, modified_seconds } => {
                let (name, kind) = (position.name(), position.kind());
                (position, Entry { name, kind, size, modified_seconds, is_first: listing.is_empty })
            }
            Listed::End => {
                listing.stage = Stage::End;
                if let Some(reply) = &mut self.reply {
                    reply.listing = Some(listing);
                }
                return;
            }
            Listed::Failed => {
                // The open chunk gets its size: none would make it the last one.
                self.close_chunk();
                if let Some(reply) = &mut self.reply {
                    (reply.truncated, reply.listing, reply.file) = (true, None, None);
                }
                return;
            }
        };
        self.open_chunk();
        let Some(lease) = &mut self.lease else { return };
        lease.pool.get_mut(listing.position)[0] = *position;
        let memory = lease.send.get_mut(self.output_end..).unwrap_or_default();
        let length = listing::write(listing.format, &Part::Entry(entry), 0, memory).length;
        self.output_end += length;
        if let Some(reply) = &mut self.reply {
            reply.has_written(length);
            if let Some(listing) = &mut reply.listing {
                (listing.is_empty, listing.is_waiting) = (false, false);
            }
        }
    }

    /// What tells this listing from every other, and the last entry that was listed.
    pub(super) fn listing_place(&self) -> Option<(u64, &Position)> {
        let listing = self.reply.as_ref()?.listing?;
        Some((listing.token, self.lease.as_ref()?.pool.get(listing.position).first()?))
    }

    /// Begins a chunk unless one is open. There is room.
    fn open_chunk(&mut self) {
        let start = self.output_end;
        let Some(listing) = self.reply.as_mut().and_then(|reply| reply.listing.as_mut()) else { return };
        if listing.is_chunked && listing.chunk.is_none() {
            listing.chunk = Some(start);
            self.put_output(b"0000000\r\n");
        }
    }

    /// Ends the open chunk, whose size is known now.
    fn close_chunk(&mut self) {
        let Some(listing) = self.reply.as_mut().and_then(|reply| reply.listing.as_mut()) else { return };
        let Some(start) = listing.chunk.take() else { return };
        let mut size = self.output_end.saturating_sub(start + CHUNK_HEAD);
        let head =
            self.lease.as_mut().and_then(|lease| lease.send.get_mut(start..start + CHUNK_HEAD - CHUNK_END.len()));
        for digit in head.into_iter().flatten().rev() {
            *digit = b"0123456789abcdef"[size & 15];
            size >>= 4;
        }
        self.put_output(CHUNK_END);
    }

    fn end_listing(&mut self) {
        self.close_chunk();
        let Some(reply) = &mut self.reply else { return };
        let is_chunked = reply.listing.is_some_and(|listing| listing.is_chunked);
        (reply.listing, reply.file) = (None, None);
        if is_chunked {
            self.put_output(LAST_CHUNK);
        }
    }
}
