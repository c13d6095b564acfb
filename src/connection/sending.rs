//! What the driver is to do next, and what became of it: sending, and closing after it.

use super::content::{MAX_PART_HEAD, Reply};
use super::core::Core;
use super::deadlines::DeadlineKind;
use super::{Connection, State};
use crate::http::listing::Position;
use crate::http::negotiation::Codings;
use crate::trace::Event;
use std::ffi::CStr;

/// The most that a closing connection takes in after its last response, in bytes.
const MAX_DRAINED: usize = 256 * 1024;

/// What the driver is to do, with all it needs for it. `F` is an open file.
#[derive(Debug)]
pub enum Action<'a, F> {
    /// Nothing until something happens.
    Wait,
    /// Open this name beneath the document root and tell [`super::Table::opened`]; or, where its content is in memory, tell
    /// [`super::Table::found_in_memory`].
    Open {
        /// The name, relative to the root.
        name: FileName<'a>,
        /// The content codings of a sidecar that may take its place, in this order.
        codings: Codings,
    },
    /// Read from the file at the offset and tell [`super::Table::file_read`].
    ReadFile {
        /// The file.
        file: &'a F,
        /// Where in the file, in bytes.
        offset: u64,
        /// Where to; all of it belongs to the file.
        into: &'a mut [u8],
    },
    /// Look for the next entry of a directory and tell [`super::Table::listed`]; or tell [`super::Table::listing_waits`] where that
    /// takes longer, and let the others have their turn first.
    List {
        /// What tells this listing from every other.
        token: u64,
        /// The directory.
        directory: &'a F,
        /// Its name relative to the root: empty, or with a final slash.
        name: &'a [u8],
        /// The last entry that was told: the next one comes after it.
        position: &'a Position,
    },
    /// Send these bytes and tell [`super::Table::sent`].
    Send {
        /// What is to be sent.
        bytes: &'a [u8],
        /// Once all of it has gone, nothing follows but the end of the stream, at once.
        is_last: bool,
    },
    /// Send a piece of a registered answer and tell [`super::Table::sent`]. In one call where it may be: who reads at once then
    /// sees one piece.
    SendRegistered {
        /// What it has of the head, if anything.
        head: &'a [u8],
        /// What it has of the content, if anything; it lies elsewhere.
        content: &'a [u8],
    },
    /// Send these bytes, where there are any, and tell [`super::Table::sent`]; then, or in the same call, send from the file and
    /// tell [`super::Table::file_sent`].
    SendFile {
        /// What goes before the file.
        before: &'a [u8],
        /// The file.
        file: &'a F,
        /// Where in the file, in bytes.
        offset: u64,
        /// How much at most, in bytes.
        length: u64,
    },
    /// Shut down the sending side.
    ShutDownSending,
    /// Close the socket and tell [`super::Table::closed`].
    Close {
        /// With a reset, so that the peer learns that something went wrong.
        resets: bool,
    },
}

/// The name of a file, relative to the document root and without dot-segments.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FileName<'a> {
    /// INVARIANT: ends in the only NUL that it has.
    with_nul: &'a [u8],
}

impl<'a> FileName<'a> {
    /// The name that ends before the NUL at `end`; it has none itself, because no path decodes to one.
    pub(super) fn new(bytes: &'a [u8], end: usize) -> Self {
        bytes.get(..=end).map_or(Self::of(c""), |with_nul| Self { with_nul })
    }

    /// The same name.
    #[must_use]
    pub const fn of(name: &'a CStr) -> Self {
        Self { with_nul: name.to_bytes_with_nul() }
    }

    /// The name alone.
    #[must_use]
    pub fn bytes(self) -> &'a [u8] {
        self.with_nul.split_last().map_or(&[], |(_, name)| name)
    }

    /// The name as the system takes it.
    #[must_use]
    pub fn as_c_str(self) -> &'a CStr {
        CStr::from_bytes_with_nul(self.with_nul).unwrap_or_default()
    }
}

/// What the driver is to do, without borrowing anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    Wait,
    Open,
    /// The table is to answer with the statistics, and then to ask again.
    Tell,
    ReadFile,
    List,
    Send,
    SendFile,
    ShutDownSending,
    Close,
}

impl<F> Connection<F> {
    /// The step as the driver takes it.
    #[inline]
    pub(super) fn action(&mut self, step: Step) -> Action<'_, F> {
        let output = self.output_start..self.output_end;
        if step == Step::Open {
            return Action::Open { name: self.name(), codings: self.codings() };
        }
        if step == Step::List {
            let directory = self.reply.as_ref().and_then(|reply| reply.file.as_ref());
            return match (directory, self.listing_place()) {
                (Some(directory), Some((token, position))) => {
                    Action::List { token, directory, name: self.requested_name(), position }
                }
                _ => Action::Wait,
            };
        }
        match (step, &mut self.lease, &mut self.reply) {
            (Step::Send, Some(lease), reply) => {
                if let Some(registered) = self.registered.as_ref().filter(|registered| registered.is_played) {
                    let (head, content) = registered.next_bytes(&lease.send);
                    return Action::SendRegistered { head, content };
                }
                let is_last = reply.as_ref().is_some_and(|reply| !reply.persistent && !reply.needs_file());
                Action::Send { bytes: lease.send.get(output).unwrap_or_default(), is_last }
            }
            (Step::ReadFile, Some(lease), Some(reply)) => match &reply.file {
                Some(file) => {
                    let length = usize::try_from(reply.remaining).unwrap_or(usize::MAX);
                    let end = self.output_end.saturating_add(length);
                    let into = lease.send.get_mut(self.output_end..end).unwrap_or_default();
                    Action::ReadFile { file, offset: reply.offset, into }
                }
                None => Action::Wait,
            },
            (Step::SendFile, Some(lease), Some(reply)) => match &reply.file {
                Some(file) => {
                    let before = lease.send.get(output).unwrap_or_default();
                    Action::SendFile { before, file, offset: reply.offset, length: reply.remaining }
                }
                None => Action::Wait,
            },
            (Step::ShutDownSending, ..) => Action::ShutDownSending,
            (Step::Close, ..) => Action::Close { resets: self.resets },
            _ => Action::Wait,
        }
    }

    /// Goes as far as it can without the driver and says what it needs then.
    #[inline]
    pub(super) fn next_step(&mut self, core: &mut Core) -> Step {
        loop {
            let step = match self.state {
                State::Free => Some(Step::Wait),
                State::ReadingRequestLine | State::ReadingHeaders | State::ReadingContent => self.wait_for_input(core),
                State::Processing => self.answer(core),
                State::SendingResponse => self.send_response(core),
                State::Closing => Some(self.finish_closing()),
            };
            if let Some(step) = step {
                return step;
            }
        }
    }

    /// Whether a registered answer is on its way that does not go out at once.
    fn is_played(&self) -> bool {
        self.registered.as_ref().is_some_and(|registered| registered.is_played)
    }

    fn wait_for_input(&mut self, core: &mut Core) -> Option<Step> {
        if self.has_output() {
            return Some(Step::Send);
        }
        if self.input_ended || core.stopping {
            if self.in_request && self.input_ended {
                self.record(core, Event::PeerClosed);
            }
            self.close(core, false);
            return None;
        }
        self.rest(core);
        Some(Step::Wait)
    }

    fn send_response(&mut self, core: &mut Core) -> Option<Step> {
        let (room, has_output) = (self.output_room(), self.has_output());
        let is_followed = self.scanned < self.filled;
        if self.is_played() {
            return self.send_as_registered(core);
        }
        let reply = self.reply.as_mut()?;
        if reply.remaining > 0 {
            if !reply.streaming && reply.remaining <= room as u64 {
                return Some(Step::ReadFile);
            }
            (reply.streaming, reply.streamed) = (true, true);
            return Some(Step::SendFile);
        }
        if reply.listing.is_some() {
            return self.go_on_listing();
        }
        if reply.parts.is_some() {
            if room < MAX_PART_HEAD {
                return Some(Step::Send);
            }
            self.begin_part();
            return None;
        }
        let gathers = reply.persistent && is_followed && room >= core.longest_head && !reply.truncated;
        if has_output && !gathers {
            return Some(Step::Send);
        }
        self.finish_response(core);
        None
    }

    /// Every byte of the response is in the send buffer, to go out with those that follow it, or beyond.
    pub(super) fn finish_response(&mut self, core: &mut Core) {
        let Some(reply) = &self.reply else { return };
        let (persistent, truncated, content_length) = (reply.persistent, reply.truncated, reply.content_length);
        let went_at_once = !reply.streamed && !reply.blocked;
        if truncated {
            return self.close(core, true);
        }
        self.record(core, Event::Sent(content_length));
        core.counters.record_latency(core.now.time.since(self.request_started_at));
        if !persistent {
            // Where the peer itself asked for the close, has sent nothing more and got its answer in the same moment, there is
            // nothing that could reset the connection, and so nothing to linger for.
            let is_expected = !self.request.framing.persistent && self.request.refusal.is_none();
            return self.close(core, !is_expected || !went_at_once || self.scanned < self.filled);
        }
        self.transition(core, State::ReadingRequestLine);
        if self.consumed < self.filled && self.state == State::ReadingRequestLine {
            self.begin_request(core);
            self.parse(core);
        }
    }

    fn finish_closing(&mut self) -> Step {
        if !self.linger || self.input_ended || self.drained > MAX_DRAINED {
            Step::Close
        } else if self.shut_down {
            Step::Wait
        } else {
            self.shut_down = true;
            Step::ShutDownSending
        }
    }

    /// The kernel took `count` bytes of the send buffer.
    pub(super) fn sent(&mut self, core: &mut Core, count: usize) {
        core.counters.bytes_sent.add(count as u64);
        self.sent += count as u64;
        if self.is_played() {
            return self.piece_sent(core, count);
        }
        self.output_start += count;
        if !self.has_output() {
            (self.output_start, self.output_end) = (0, 0);
        }
        if self.has_output() || self.reply.as_ref().is_some_and(Reply::needs_file) {
            core.deadlines.arm(self.slot, DeadlineKind::Send, core.now.time);
        } else if self.state != State::SendingResponse && core.deadlines.kind(self.slot) == Some(DeadlineKind::Send) {
            // Otherwise nothing is left of the response, and its end brings another deadline.
            self.arm_after_output(core);
        }
    }

    /// Output that was gathered has gone after all: the wait is for the peer's bytes again.
    fn arm_after_output(&mut self, core: &mut Core) {
        let kind = match self.state {
            State::ReadingContent => DeadlineKind::Content,
            State::ReadingRequestLine if !self.in_request => DeadlineKind::Keepalive,
            _ => DeadlineKind::Header,
        };
        core.deadlines.arm(self.slot, kind, core.now.time);
    }

    /// The kernel takes nothing more for now.
    pub(super) fn send_blocked(&mut self, core: &mut Core) {
        if let Some(reply) = &mut self.reply {
            reply.blocked = true;
        }
        if core.deadlines.kind(self.slot) != Some(DeadlineKind::Send) {
            core.deadlines.arm(self.slot, DeadlineKind::Send, core.now.time);
        }
    }

    /// `count` bytes of the file went to the kernel; none means that the file has ended.
    pub(super) fn file_sent(&mut self, core: &mut Core, count: u64) {
        core.counters.bytes_sent.add(count);
        self.sent += count;
        core.deadlines.arm(self.slot, DeadlineKind::Send, core.now.time);
        self.file_advanced(core, count);
    }

    /// `count` bytes of the file were read behind the send buffer's content; none means that the file has ended.
    pub(super) fn file_read(&mut self, core: &mut Core, count: usize) {
        self.output_end += count;
        self.file_advanced(core, count as u64);
    }

    fn file_advanced(&mut self, core: &mut Core, count: u64) {
        let Some(reply) = &mut self.reply else { return };
        if count == 0 {
            let missing = reply.remaining;
            reply.truncated = true;
            reply.file = None;
            reply.parts = None;
            reply.remaining = 0;
            core.counters.files_truncated.add(1);
            return self.record(core, Event::FileTruncated(missing));
        }
        reply.offset += count;
        reply.content_written += count;
        reply.remaining -= count.min(reply.remaining);
        if !reply.needs_file() {
            reply.file = None;
        }
    }
}
