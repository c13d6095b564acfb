//! A file's content that the driver has in memory: how it becomes the content of a response, and what is kept beside it.

use super::answering::{FileFacts, Lookup, Source};
use super::content::MAX_PART_HEAD;
use super::core::Core;
use super::{Connection, Table};
use crate::http::field::FieldName;
use crate::http::negotiation::Coding;
use crate::http::range::MAX_RANGES;
use crate::http::response_head::HeadWriter;

/// How much memory the driver offers for field lines, in bytes; those of a usual site and file take about 180.
pub const KEPT_FIELDS_BYTES: usize = 256;

/// The whole content of a file in the driver's memory. `F` is an open file.
#[derive(Debug)]
pub struct InMemory<'a, F> {
    /// What is known of the file.
    pub facts: FileFacts,
    /// The content coding of the sidecar, where it is one.
    pub coding: Option<Coding>,
    /// All of its content.
    pub content: Content<'a, F>,
    /// What earlier responses left for this one.
    pub fields: KeptFields<'a>,
    /// Whether the file was opened just now to bring it there.
    pub is_new: bool,
}

/// How long a content in memory stays there.
#[derive(Debug)]
pub enum Content<'a, F> {
    /// Until the call returns. It is at most [`Table::max_short`] bytes long and is taken over at once.
    Short(&'a [u8]),
    /// As long as this is held.
    Long(F),
}

/// The field lines that tell of a file, from Content-Type to Cache-Control, written for its first response and used for every
/// later one. They belong to one state of one file, in one coding: the driver gives them up with the content.
#[derive(Debug)]
pub struct KeptFields<'a> {
    memory: &'a mut [u8],
    length: &'a mut u16,
}

impl<'a> KeptFields<'a> {
    /// What the driver keeps beside a content: memory, and how much of it was written, 0 to begin with.
    pub fn new(memory: &'a mut [u8], length: &'a mut u16) -> Self {
        Self { memory, length }
    }

    /// The field lines, which `write` writes where nobody has before. Nothing where there is too little memory for them.
    pub fn get_or_write(&mut self, write: impl FnOnce(&mut HeadWriter<'_>)) -> Option<&[u8]> {
        if *self.length == 0 {
            let mut lines = HeadWriter::bare(self.memory);
            write(&mut lines);
            *self.length = lines.written().and_then(|length| u16::try_from(length).ok())?;
        }
        self.memory.get(..usize::from(*self.length))
    }
}

impl<F> Table<F> {
    /// The longest content that is taken over from memory, in bytes: with the longest head and the heads of the most parts it fits
    /// an empty send buffer.
    #[must_use]
    pub fn max_short(&self) -> usize {
        self.core.limits.buffer_size.saturating_sub(self.core.longest_head + MAX_HEADS_OF_PARTS)
    }
}

/// What the heads of the most parts take, and the end behind them.
const MAX_HEADS_OF_PARTS: usize = (MAX_RANGES + 1) * MAX_PART_HEAD;

impl<F> Connection<F> {
    /// The content of the name is in memory. Where it is to be taken over and there is no room for it now, what is in the send
    /// buffer goes out first.
    pub(super) fn found_in_memory(&mut self, core: &mut Core, found: InMemory<'_, F>) {
        self.request.was_opened |= found.is_new;
        if let Content::Short(content) = &found.content {
            // Nothing has no parts.
            let may_have_parts = !content.is_empty() && self.request.fields.has(FieldName::Range);
            let most = core.longest_head + content.len() + if may_have_parts { MAX_HEADS_OF_PARTS } else { 0 };
            if self.output_room() < most {
                self.request.room_wanted = most;
                return;
            }
        }
        let counters = &core.counters;
        let counter = if self.request.was_opened { &counters.file_cache_misses } else { &counters.file_cache_hits };
        counter.add(1);
        let InMemory { facts, coding, content, mut fields, .. } = found;
        let source = match content {
            Content::Short(content) => Source::Memory(content),
            Content::Long(file) => Source::File(file),
        };
        match self.request.lookup {
            Lookup::ErrorPage(failure) => self.reply_with_page(core, failure, source, facts.size),
            _ => self.reply_with_file(core, source, facts, coding, Some(&mut fields)),
        }
    }
}
