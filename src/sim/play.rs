//! A registered answer under way: that it keeps to its times.

use super::canned::Spec;
use crate::canned::{Place, Wait};
use std::rc::Rc;

/// An answer under way: when which part of it went out.
#[derive(Debug)]
pub(super) struct Play {
    pub(super) spec: Rc<Spec>,
    pub(super) index: usize,
    is_head: bool,
    /// When its delay was seen to begin.
    delayed_from: Option<u64>,
    /// Where it begins in the stream, once it has begun.
    start: Option<usize>,
    /// From where to where, counted from its start, and when: before the call and after it.
    sends: Vec<(usize, usize, u64, u64)>,
}

impl Play {
    /// One that has not begun.
    pub(super) fn new(spec: Rc<Spec>, index: usize, is_head: bool) -> Self {
        Self { spec, index, is_head, delayed_from: None, start: None, sends: Vec::new() }
    }

    /// It is begun now, behind so much of the stream.
    pub(super) fn begin(&mut self, length: usize, now: u64) {
        let delay = self.spec.pace.delay;
        assert_eq!(self.delayed_from.is_some(), delay != Wait::None, "an answer begins without its delay, or with one");
        if let (Some(from), Wait::For(nanoseconds)) = (self.delayed_from, delay) {
            assert!(now >= from + nanoseconds, "an answer begins {} of {nanoseconds} ns after its request", now - from);
        }
        assert!(delay != Wait::ForEver, "an answer begins that never should");
        self.start = Some(length);
    }

    /// It waits. Returns for how long it is to.
    pub(super) fn waits(&mut self, stream: &[u8], now: u64) -> Wait {
        let Some(start) = self.start else {
            self.delayed_from.get_or_insert(now);
            return self.spec.pace.delay;
        };
        let offset = stream.len() - start;
        let wait = self.wait_at(self.head_length(&stream[start..]), offset);
        assert!(wait != Wait::None, "it waits behind {offset} bytes for nothing: {:?}", self.spec);
        wait
    }

    pub(super) fn has_begun(&self) -> bool {
        self.start.is_some()
    }

    /// The length of its head; as if it had no end where that has not come.
    fn head_length(&self, sent: &[u8]) -> usize {
        let has_head = !self.spec.is_raw();
        if has_head { memchr::memmem::find(sent, b"\r\n\r\n").map_or(1 << 30, |end| end + 4) } else { 0 }
    }

    fn offset(&self, place: Place, head: usize) -> usize {
        if let Place::Content(bytes) = place { head + bytes } else { 0 }
    }

    fn wait_at(&self, head: usize, offset: usize) -> Wait {
        let pace = &self.spec.pace;
        let place = |place| self.offset(place, head);
        let whole = head + self.spec.content_length(self.is_head);
        let end = pace.cut.map_or(whole, |cut| whole.min(place(cut)));
        match (pace.stall, pace.dribble) {
            (Some((at, wait)), _) if place(at) == offset => wait,
            (_, Some((bytes, between))) if offset > 0 && offset < end && offset.is_multiple_of(bytes) => {
                Wait::For(between)
            }
            // What comes behind a stall waits for the next multiple.
            _ => Wait::None,
        }
    }

    /// Bytes of the stream went out, up to its end.
    pub(super) fn sent(&mut self, stream: &[u8], count: usize, before: u64, after: u64) {
        if let Some(start) = self.start {
            let end = stream.len() - start;
            self.sends.push((end - count, end, before, after));
        } else {
            assert!(self.delayed_from.is_none(), "something is sent while an answer is delayed");
        }
    }

    /// What is about to be sent goes as far as it may: no piece is broken but by the kernel.
    pub(super) fn check_piece(&self, stream: &[u8], head: &[u8], content: &[u8]) {
        let Some(start) = self.start else { return };
        let shown = [&stream[start..], head, content].concat();
        assert!(shown.len() > stream.len() - start, "a send of nothing makes no progress");
        let length = self.head_length(&shown);
        let whole = length + self.spec.content_length(self.is_head);
        let end = self.spec.pace.cut.map_or(whole, |cut| whole.min(self.offset(cut, length)));
        let stops = shown.len() == end || self.wait_at(length, shown.len()) != Wait::None;
        assert!(stops, "a piece ends at byte {} of {end} for nothing: {:?}", shown.len(), self.spec);
    }

    /// Nothing more of it comes: it kept to its times.
    pub(super) fn check(&self, stream: &[u8]) {
        let Some(start) = self.start.filter(|_| !self.spec.is_plain()) else { return };
        let head = self.head_length(&stream[start..]);
        let (mut at, mut since) = (0, None);
        for &(from, to, before, after) in &self.sends {
            let stop = (from + 1..to).find(|&offset| self.wait_at(head, offset) != Wait::None);
            assert_eq!(stop, None, "bytes {from} to {to} come at once: {:?}", self.spec);
            assert_eq!(from, at);
            match self.wait_at(head, from) {
                Wait::None => {}
                Wait::ForEver => panic!("bytes come behind a stall for ever: {:?}", self.spec),
                Wait::For(nanoseconds) => {
                    let since = since.unwrap_or(0);
                    assert!(before >= since + nanoseconds, "byte {from} comes early: {:?}", self.spec);
                }
            }
            (at, since) = (to, Some(after));
        }
    }
}
