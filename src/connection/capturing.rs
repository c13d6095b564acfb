//! What is kept of requests, where somebody wants them kept.

use super::Connection;
use super::core::Core;
use crate::capture::{Capture, Facts};
use crate::http::framing::ContentLength;

/// Where the content of a request is kept: of the connection and the request of these numbers.
pub(super) struct KeptContent<'a> {
    pub(super) capture: &'a mut Capture,
    pub(super) of: (u64, u64),
    /// How much of it is there already.
    pub(super) kept_bytes: &'a mut usize,
}

impl KeptContent<'_> {
    /// Keeps a piece, as far as the limit goes.
    pub(super) fn keep(&mut self, piece: &[u8]) {
        let room = self.capture.max_content().saturating_sub(*self.kept_bytes);
        let piece = piece.get(..room).unwrap_or(piece);
        if !piece.is_empty() {
            *self.kept_bytes += piece.len();
            self.capture.content(self.of.0, self.of.1, piece);
        }
    }
}

impl<F> Connection<F> {
    /// Keeps the request that is over, answered or not, where requests are kept.
    #[inline]
    pub(super) fn capture(&self, core: &mut Core) {
        if self.in_request && core.capture.is_some() {
            self.keep(core);
        }
    }

    #[inline(never)]
    fn keep(&self, core: &mut Core) {
        let Some(capture) = core.capture.as_deref_mut() else { return };
        let request = &self.request;
        let received = self.received_bytes();
        let is_complete = request.head_length > 0;
        let content_length = match request.framing.content {
            ContentLength::None => 0,
            ContentLength::Chunked => request.decoder.content_taken(),
            ContentLength::Bytes(bytes) => bytes - request.remaining.min(bytes),
        };
        capture.end(&Facts {
            connection: self.number,
            request: self.requests,
            peer: self.peer,
            wall_milliseconds: core.now.wall_milliseconds(),
            duration: core.now.time.since(self.request_started_at),
            code: self.reply.as_ref().map(|reply| reply.code),
            bytes_sent: self.content_handed_over(),
            content_length: if is_complete { content_length } else { 0 },
            content_kept: request.kept_content as u64,
            head: received.get(..request.head_length).filter(|_| is_complete).unwrap_or(received),
            is_valid: is_complete && request.refusal.is_none() && !request.is_refused,
        });
    }
}

#[cfg(test)]
mod tests {
    use super::super::table::tests::table;
    use crate::alloc::heapless;
    use crate::capture::{CapturedRequest, MIN_MEMORY, capture};

    /// What is kept of a connection that sends this and ends.
    fn kept(bytes: &[u8]) -> Vec<CapturedRequest> {
        let (mut test, slot) = table();
        let (capture, captured) = capture(MIN_MEMORY);
        test.table.set_capture(&mut Some(Box::new(capture)));
        test.feed(slot, bytes);
        heapless!(while test.step(slot) {});
        test.finish(slot);
        captured.requests().0
    }

    #[test]
    fn every_request_is_kept_with_what_came_of_it() {
        let get = b"GET /a?b=c HTTP/1.1\r\nHost: a\r\nX: y\r\n\r\n";
        let post = b"POST /b HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
        let kept = kept(&[&get[..], post, b"3\r\nabc\r\n2;x\r\nde\r\n0\r\n\r\n", get, b"BAD\r\nrest"].concat());
        let numbers: Vec<_> = kept.iter().map(|kept| (kept.connection, kept.request, kept.code)).collect();
        assert_eq!(numbers, [(0, 1, Some(200)), (0, 2, Some(405)), (0, 3, Some(200)), (0, 4, Some(400))]);
        assert_eq!((&*kept[0].head, kept[0].bytes_sent, kept[0].is_valid), (&get[..], 6, true));
        assert_eq!((&*kept[1].head, &*kept[1].content, kept[1].content_length), (&post[..], &b"abcde"[..], 5));
        assert_eq!((&*kept[3].head, kept[3].is_valid), (&b"BAD\r\nrest"[..], false));
    }

    #[test]
    fn a_request_that_nobody_answered_is_kept_as_far_as_it_came() {
        let head = b"PUT /b HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\n";
        let kept = [kept(&[&head[..], b"abc"].concat()), kept(b"GET /half")].concat();
        assert_eq!(kept.len(), 2);
        assert_eq!((&*kept[0].head, &*kept[0].content, kept[0].content_length), (&head[..], &b"abc"[..], 3));
        assert_eq!((kept[0].code, kept[1].code, &*kept[1].head), (None, None, &b"GET /half"[..]));
    }

    #[test]
    fn content_counts_as_far_as_it_came() {
        let head = b"PUT /b HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
        let refused = b"PUT /b HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\nExpect: x\r\n\r\nabc";
        let kept =
            [kept(&[&head[..], b"2\r\nab\r\n3\r\nc"].concat()), kept(&[&head[..], b"9\r"].concat()), kept(refused)];
        let lengths = kept.each_ref().map(|kept| (kept[0].content_length, kept[0].content.len()));
        assert_eq!(lengths, [(3, 3), (0, 0), (0, 0)]);
        assert_eq!(kept[2][0].code, Some(417));
    }

    #[test]
    fn what_is_refused_is_not_valid_wherever_that_was_found_out() {
        let all = kept(
            b"GET /%zz HTTP/1.1\r\nHost: a\r\n\r\nGET /a#b HTTP/1.1\r\nHost: a\r\n\r\n\
              POST / HTTP/1.1\r\nHost: a\r\n\r\nBREW / HTTP/1.1\r\nHost: a\r\n\r\nGET / HTTP/1.1\r\nHost:\r\n\r\n",
        );
        let found: Vec<_> = all.iter().map(|kept| (kept.code.unwrap_or(0), kept.is_valid)).collect();
        assert_eq!(found, [(400, false), (400, false), (405, true), (501, true), (400, false)]);
    }

    #[test]
    fn content_is_kept_up_to_a_quarter_of_the_memory() {
        let (mut test, slot) = table();
        let (capture, captured) = capture(MIN_MEMORY);
        test.table.set_capture(&mut Some(Box::new(capture)));
        test.feed(slot, b"POST /b HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\n");
        for _ in 0..10 {
            test.feed(slot, &[b'x'; 10_000]);
        }
        test.finish(slot);
        let kept = captured.requests().0;
        assert_eq!((kept[0].content.len(), kept[0].content_length), (MIN_MEMORY / 4, 100_000));
    }
}
