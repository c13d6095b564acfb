//! How an answer that was registered is given: its waits, its pieces and its end, whatever they are to be.
//!
//! What goes out at once takes the way of every other answer. What does not has the send buffer for its head alone and goes out
//! from where it was registered.

use super::content::Reply;
use super::core::Core;
use super::deadlines::DeadlineKind;
use super::sending::Step;
use super::{Connection, Time};
use crate::canned::{Canned, Ending, Wait};
use crate::http::Code;
use crate::http::request_line::Method;
use crate::trace::Event;
use std::sync::Arc;

/// A wait that was registered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Pause {
    /// Nothing is waited for.
    None,
    /// The time is.
    Until(Time),
    /// The peer's end is.
    ForEver,
    /// It is over, and what comes after it has not begun.
    Over,
}

/// The answer that was registered for a request.
#[derive(Debug)]
pub(super) struct Registered {
    canned: Arc<Canned>,
    pub(super) pause: Pause,
    /// It does not go out at once: its head, which begins where the send buffer does, is all of it that is there.
    pub(super) is_played: bool,
    head_length: usize,
    /// How many bytes have gone, how far it may go without waiting, and where it ends.
    pub(super) sent: usize,
    pub(super) stop: usize,
    pub(super) end: usize,
}

impl Registered {
    pub(super) fn new(canned: Arc<Canned>) -> Self {
        Self { canned, pause: Pause::None, is_played: false, head_length: 0, sent: 0, stop: 0, end: 0 }
    }

    /// What goes out next, of its head, which is in the send buffer, and of its content.
    pub(super) fn next_bytes<'a>(&'a self, send_buffer: &'a [u8]) -> (&'a [u8], &'a [u8]) {
        let head = send_buffer.get(self.sent..self.stop.min(self.head_length)).unwrap_or_default();
        let content_place = |offset: usize| offset.saturating_sub(self.head_length);
        let content = self.canned.content().get(content_place(self.sent)..content_place(self.stop));
        (head, content.unwrap_or_default())
    }

    /// What has gone is within what may, and that within all of it.
    pub(super) fn is_within_its_end(&self) -> bool {
        self.sent <= self.stop && self.stop <= self.end
    }

    fn is_paused(&self) -> bool {
        matches!(self.pause, Pause::Until(_) | Pause::ForEver)
    }
}

impl<F> Connection<F> {
    /// Whether it waits because it was told to.
    pub(super) fn is_paused(&self) -> bool {
        self.registered.as_ref().is_some_and(Registered::is_paused)
    }

    /// Whether it waits until its peer has gone, so that nothing which the peer sends will ever be answered.
    pub(super) fn is_paused_for_ever(&self) -> bool {
        self.registered.as_ref().is_some_and(|registered| registered.pause == Pause::ForEver)
    }

    /// The deadline of a pause has passed.
    pub(super) fn pause_is_over(&mut self, core: &mut Core) {
        if let Some(registered) = &mut self.registered {
            registered.pause = Pause::Over;
        }
        core.deadlines.arm(self.slot, DeadlineKind::Send, core.now.time);
    }

    /// What comes after a pause begins. Where that was seen before the deadline passed, it is not to pass any more: the next pause
    /// would be taken to be over.
    fn leave_pause(&mut self, core: &mut Core) {
        if let Some(registered) = &mut self.registered {
            registered.pause = Pause::None;
        }
        if core.deadlines.kind(self.slot) == Some(DeadlineKind::Pause) {
            core.deadlines.arm(self.slot, DeadlineKind::Send, core.now.time);
        }
    }

    /// PROCESSING: gives the registered answer once its delay is over.
    pub(super) fn answer_as_registered(&mut self, core: &mut Core) -> Option<Step> {
        let registered = self.registered.as_ref()?;
        let (canned, pause) = (Arc::clone(&registered.canned), registered.pause);
        let head = canned.head().map_or(0, |head| head.status_line.len() + head.fields.len());
        // What has no head of ours is no response, so nothing of it is left out for HEAD.
        let has_content = self.request.line.method != Method::Head || canned.head().is_none();
        let content = if has_content { canned.content() } else { &[] };
        let whole = core.longest_head + head + content.len();
        let goes_at_once = canned.pace().is_plain() && whole <= core.limits.buffer_size;
        let waits_first = pause != Pause::Over && canned.pace().delay != Wait::None;
        // What came before is not kept waiting, and makes room.
        if self.has_output() && (waits_first || !goes_at_once || self.output_room() < whole) {
            return Some(Step::Send);
        }
        if self.waits(core, canned.pace().delay, true) {
            return self.keep_waiting(core);
        }
        self.leave_pause(core);
        let persistent = self.may_persist(core) && canned.head().is_some_and(|head| !head.closes);
        let before = self.output_end;
        if let Some(head) = canned.head() {
            self.write_registered_head(core, head, persistent);
        }
        let mut code = Code::of(canned.code());
        let reply = if goes_at_once {
            self.put_output(content);
            Reply::of_buffered(code, persistent, content.len() as u64)
        } else {
            let head_length = self.output_end - before;
            let end = canned.pace().end(head_length, head_length + content.len());
            // The head goes out piece by piece as well, and may be cut before its end.
            self.output_end = before + head_length.min(end);
            let content_length = end.saturating_sub(head_length) as u64;
            if let Some(registered) = &mut self.registered {
                *registered = Registered { is_played: true, head_length, end, ..Registered::new(Arc::clone(&canned)) };
            }
            if end == 0 {
                // Nothing is sent, a status neither.
                code = Code::Other(0);
            }
            Reply { content_written: 0, streamed: true, ..Reply::of_buffered(code, persistent, content_length) }
        };
        let length = reply.content_length;
        self.begin_reply(core, reply);
        self.record(core, Event::AnsweringAsRegistered(code, length));
        None
    }

    /// SENDING_RESPONSE: lets the next piece go, waits, or ends.
    pub(super) fn send_as_registered(&mut self, core: &mut Core) -> Option<Step> {
        let Registered { canned, head_length, sent, stop, end, .. } = self.registered.as_ref()?;
        let (pace, head_length, sent, end) = (*canned.pace(), *head_length, *sent, *end);
        if sent < *stop {
            return Some(Step::Send);
        }
        let is_stall = pace.is_stalled(sent, head_length);
        // A stall behind the last byte keeps what ends the response from coming.
        if (sent < end || is_stall) && self.waits(core, pace.wait_at(sent, head_length), is_stall) {
            return self.keep_waiting(core);
        }
        self.leave_pause(core);
        if sent < end {
            if let Some(registered) = &mut self.registered {
                registered.stop = pace.next_stop(sent, head_length, end);
            }
            return None;
        }
        match pace.ending {
            Ending::AsSaid => self.finish_response(core),
            Ending::Close => {
                self.record(core, Event::EndedAsRegistered("closed"));
                self.close(core, true);
            }
            Ending::Reset => {
                self.record(core, Event::EndedAsRegistered("reset"));
                self.resets = true;
                self.close(core, false);
            }
        }
        None
    }

    /// `count` bytes of it have gone.
    pub(super) fn piece_sent(&mut self, core: &mut Core, count: usize) {
        let (Some(reply), Some(registered)) = (&mut self.reply, &mut self.registered) else { return };
        registered.sent += count;
        reply.content_written = registered.sent.saturating_sub(registered.head_length) as u64;
        self.output_start = registered.sent.min(self.output_end);
        if self.output_start == self.output_end {
            (self.output_start, self.output_end) = (0, 0);
        }
        core.deadlines.arm(self.slot, DeadlineKind::Send, core.now.time);
    }

    /// Begins a wait, where there is one to begin. Whether it goes on.
    fn waits(&mut self, core: &mut Core, wait: Wait, is_told: bool) -> bool {
        let Some(registered) = &mut self.registered else { return false };
        match (registered.pause, wait) {
            (Pause::Over, _) | (Pause::None, Wait::None) => false,
            (Pause::Until(due), _) => core.now.time < due,
            (Pause::ForEver, _) => true,
            (Pause::None, wait) => {
                let due = match wait {
                    Wait::For(nanoseconds) => core.now.time.after(nanoseconds),
                    _ => Time(u64::MAX),
                };
                registered.pause = if wait == Wait::ForEver { Pause::ForEver } else { Pause::Until(due) };
                core.deadlines.arm_until(self.slot, DeadlineKind::Pause, due);
                if is_told {
                    self.record(core, Event::WaitingAsRegistered(wait));
                }
                true
            }
        }
    }

    /// Nobody is kept waiting by a server that stops, and nobody waits for ever who has gone.
    fn keep_waiting(&mut self, core: &mut Core) -> Option<Step> {
        if core.stopping || (self.is_paused_for_ever() && self.input_ended) {
            self.close(core, false);
            return None;
        }
        Some(Step::Wait)
    }
}

#[cfg(test)]
mod tests;
