//! From received bytes to a complete request, or to the reason why it is none.
//!
//! Parsing resumes where it stopped; each byte is looked at once. Incomplete is not invalid, and invalid is never repaired.

use super::capturing::KeptContent;
use super::core::Core;
use super::lease::{CONTENT_ROOM, Lease};
use super::{Connection, State};
use crate::http::chunked::ContentReader;
use crate::http::field::FieldLine;
use crate::http::framing::{ContentLength, Framing};
use crate::http::line::LineKind;
use crate::http::request_line::RequestLine;
use crate::http::target::Target;
use crate::http::{Reject, Span};
use crate::trace::Event;

/// The interim response to `Expect: 100-continue` (RFC 9110 section 10.1.1).
const CONTINUE: &[u8] = b"HTTP/1.1 100 Continue\r\n\r\n";
/// The most empty lines that are skipped before a request line (RFC 9112 section 2.2).
const MAX_EMPTY_LINES: u8 = 2;

impl<F> Connection<F> {
    /// Whether bytes from the peer are of use now. While output waits, none are taken: that is the peer's incentive to read.
    pub(super) fn wants_input(&self) -> bool {
        match self.state {
            State::ReadingRequestLine | State::ReadingHeaders | State::ReadingContent => {
                !self.input_ended && !self.has_output()
            }
            State::Closing => self.linger && self.shut_down && !self.input_ended,
            State::Free => false,
            // So that the end of the peer is noticed; what else comes belongs to its next request.
            State::Processing | State::SendingResponse => {
                let has_place = self.has_input_room() || self.drains_input();
                self.is_paused() && !self.input_ended && has_place
            }
        }
    }

    /// Whether what comes is thrown away: nothing of it will be answered, and behind it comes the peer's end.
    pub(super) fn drains_input(&self) -> bool {
        self.state == State::Closing || self.is_paused_for_ever()
    }

    fn has_input_room(&self) -> bool {
        let room = self.lease.as_ref().map_or(0, |lease| lease.receive.len().saturating_sub(CONTENT_ROOM));
        self.filled - self.consumed.min(self.filled) < room
    }

    /// Where received bytes go, in a reading state.
    pub(super) fn receive_room(&mut self, core: &mut Core) -> Option<&mut [u8]> {
        if self.lease.is_none() {
            self.lease = core.leases.take();
        }
        let limit = core.limits.buffer_size;
        let behind_head = if self.state == State::ReadingContent { self.request.head_length + CONTENT_ROOM } else { 0 };
        let Lease { receive, .. } = self.lease.as_mut()?;
        if self.consumed > 0 && self.filled >= limit {
            receive.copy_within(self.consumed..self.filled, 0);
            self.scanned -= self.consumed;
            self.filled -= self.consumed;
            self.consumed = 0;
        }
        receive.get_mut(self.filled..limit.max(self.consumed + behind_head))
    }

    /// `count` bytes have been put where [`Self::receive_room`] said.
    pub(super) fn take_input(&mut self, core: &mut Core, count: usize) {
        self.received_at = core.now.time;
        if !self.in_request {
            self.begin_request(core);
        }
        self.filled += count;
        self.record(core, Event::Read(count, self.filled - self.consumed, core.limits.buffer_size));
        self.parse(core);
    }

    /// There is nothing to receive now: an idle connection gives its lease back.
    pub(super) fn rest(&mut self, core: &mut Core) {
        if self.state == State::ReadingRequestLine && !self.in_request && !self.has_output() {
            self.release_lease(core);
        }
    }

    /// Parses as far as the received bytes go, or until a request is complete or refused.
    pub(super) fn parse(&mut self, core: &mut Core) {
        loop {
            let outcome = match self.state {
                State::ReadingRequestLine => self.read_request_line(core),
                State::ReadingHeaders => self.read_header_line(core),
                State::ReadingContent => self.read_content(core),
                _ => return,
            };
            match outcome {
                Ok(true) => {}
                Ok(false) => return,
                Err(reject) => return self.refuse(core, reject),
            }
        }
    }

    /// The request ends here, and so does the trust in what follows it.
    pub(super) fn refuse(&mut self, core: &mut Core, reject: Reject) {
        self.scanned = self.filled;
        self.request.refusal = Some(reject);
        self.transition(core, State::Processing);
    }

    fn read_request_line(&mut self, core: &mut Core) -> Result<bool, Reject> {
        let kind = LineKind::Request { max_length: core.limits.max_request_line };
        let mut scanner = self.request.scanner;
        let found = scanner.next_line(self.received_bytes(), kind)?;
        self.request.scanner = scanner;
        self.scanned = self.consumed + scanner.scanned();
        let Some(line) = found else { return Ok(false) };
        if line.end() == 0 {
            self.request.empty_lines += 1;
            if self.request.empty_lines > MAX_EMPTY_LINES {
                return Err(Reject::TooManyEmptyLines);
            }
            self.request.scanner = Default::default();
            self.consumed = self.scanned;
            if self.consumed == self.filled {
                // Nothing but an empty line: the connection is idle still.
                self.requests -= 1;
                self.in_request = false;
                self.arm(core);
            }
            return Ok(true);
        }
        let bytes = self.received_bytes();
        let parsed = RequestLine::parse(bytes, line)?;
        Target::parse(parsed.method, parsed.target.of(bytes))?;
        core.tracer.record_text(Some(self.number), Event::Parsed, line.of(bytes));
        self.request.line = parsed;
        self.transition(core, State::ReadingHeaders);
        Ok(true)
    }

    fn read_header_line(&mut self, core: &mut Core) -> Result<bool, Reject> {
        let mut scanner = self.request.scanner;
        let found = scanner.next_line(self.received_bytes(), LineKind::Field)?;
        self.request.scanner = scanner;
        self.scanned = self.consumed + scanner.scanned();
        let Some(line) = found else {
            let is_full = self.filled - self.consumed >= core.limits.buffer_size;
            return if is_full { Err(Reject::HeaderSectionTooLarge) } else { Ok(false) };
        };
        if line == Span::new(line.end(), line.end()) {
            self.complete_head(core)?;
            return Ok(true);
        }
        if self.request.fields.len() >= core.limits.max_field_lines {
            return Err(Reject::TooManyFieldLines);
        }
        let field = FieldLine::parse(self.received_bytes(), line)?;
        let Some(lease) = &mut self.lease else { return Ok(false) };
        if self.request.fields.push(&mut lease.pool, field).is_err() {
            core.counters.pool_overflows.add(1);
            return Err(Reject::PoolExhausted);
        }
        Ok(true)
    }

    fn complete_head(&mut self, core: &mut Core) -> Result<(), Reject> {
        let Some(lease) = &self.lease else { return Ok(()) };
        let fields = self.request.fields.iter(&lease.pool);
        let version = self.request.line.version;
        let names = self.request.fields.names();
        self.request.framing = Framing::of(self.received_bytes(), version, names, fields, core.limits.max_content)?;
        self.request.head_length = self.request.scanner.scanned();
        let framing = self.request.framing;
        if let ContentLength::Bytes(bytes) = framing.content {
            self.request.remaining = bytes;
        }
        if framing.content == ContentLength::None {
            self.transition(core, State::Processing);
            return Ok(());
        }
        if framing.unmet_expectation {
            // The peer may or may not go on to send the content, so what follows cannot be told apart.
            self.request.framing.persistent = false;
            return Err(Reject::Expectation);
        }
        if framing.expects_continue && self.scanned == self.filled {
            self.put_output(CONTINUE);
        }
        self.transition(core, State::ReadingContent);
        Ok(())
    }

    fn read_content(&mut self, core: &mut Core) -> Result<bool, Reject> {
        let start = self.consumed + self.request.head_length;
        let Some(content) = self.lease.as_ref().and_then(|lease| lease.receive.get(start..self.filled)) else {
            return Ok(false);
        };
        let kept_bytes = &mut self.request.kept_content;
        let of = (self.number, self.requests);
        let mut kept = core.capture.as_deref_mut().map(|capture| KeptContent { capture, of, kept_bytes });
        let (taken, is_done, total) = match self.request.framing.content {
            ContentLength::Chunked => {
                let lines = u32::try_from(core.limits.max_field_lines).unwrap_or(u32::MAX);
                let decoder = &mut self.request.decoder;
                let taken = match &mut kept {
                    None => decoder.decode(content, core.limits.max_content, lines)?,
                    Some(kept) => {
                        let keep: &mut ContentReader<'_> = &mut |piece| kept.keep(piece);
                        decoder.decode_to(content, core.limits.max_content, lines, Some(keep))?
                    }
                };
                (taken, decoder.is_done(), decoder.content_bytes())
            }
            ContentLength::Bytes(total) => {
                let taken = content.len().min(usize::try_from(self.request.remaining).unwrap_or(usize::MAX));
                if let Some(kept) = &mut kept {
                    kept.keep(content.get(..taken).unwrap_or_default());
                }
                self.request.remaining -= taken as u64;
                (taken, self.request.remaining == 0, total)
            }
            ContentLength::None => (0, true, 0),
        };
        if is_done {
            self.scanned = start + taken;
            self.record(core, Event::ContentDiscarded(total));
            self.transition(core, State::Processing);
        } else {
            self.scanned = start;
            self.filled = start;
        }
        Ok(is_done)
    }

    /// Appends to the send buffer, whose room the caller knows.
    pub(super) fn put_output(&mut self, bytes: &[u8]) {
        let end = self.output_end + bytes.len();
        if let Some(place) = self.lease.as_mut().and_then(|lease| lease.send.get_mut(self.output_end..end)) {
            place.copy_from_slice(bytes);
            self.output_end = end;
        }
    }
}
