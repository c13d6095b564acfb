//! What was received, kept for whoever asks: the head of each request, the beginning of its content, and what came of it.
//!
//! The loop writes into a ring of a fixed size, over what is oldest in it; it never waits. Any thread may copy what is there.

mod requests;
mod ring;

pub use requests::CapturedRequest;

use crate::http::Code;
use ring::ring;
use std::net::{IpAddr, SocketAddr};

/// The least memory that a capture has, in bytes.
pub const MIN_MEMORY: usize = 64 * 1024;
/// The most, in bytes.
pub const MAX_MEMORY: usize = 1 << 30;

/// A piece of the content.
const CONTENT: u8 = 1;
/// The end of the request, with its head.
const END: u8 = 2;
/// Words before the text of a frame.
const CONTENT_FIELDS: usize = 3;
const END_FIELDS: usize = 13;

/// What is known of a request once it is over.
#[derive(Clone, Copy, Debug)]
pub struct Facts<'a> {
    /// The connection's number.
    pub connection: u64,
    /// Which request of its connection it is, from 1.
    pub request: u64,
    /// The peer; one of a Unix socket has no address.
    pub peer: Option<SocketAddr>,
    /// When it was over, in milliseconds since 1970.
    pub wall_milliseconds: u64,
    /// From its first byte until it was over, in nanoseconds.
    pub duration: u64,
    /// The status of the answer, where there was one.
    pub code: Option<Code>,
    /// The bytes of content that were sent.
    pub bytes_sent: u64,
    /// The bytes of content that were received.
    pub content_length: u64,
    /// The bytes of it that were kept, in all its pieces.
    pub content_kept: u64,
    /// Its head as far as it was received, the empty line included where it was complete.
    pub head: &'a [u8],
    /// Whether it was understood and not refused.
    pub is_valid: bool,
}

/// The loop's side.
#[derive(Debug)]
pub struct Capture {
    ring: ring::Writer,
    /// How many requests were over since everything was forgotten.
    ended: u64,
    max_content: usize,
}

/// The side that is asked.
#[derive(Debug)]
pub struct Captured(ring::Reader);

/// A capture with so many bytes of memory, or up to half of them where that is no power of two: its two sides.
#[must_use]
pub fn capture(memory: usize) -> (Capture, Captured) {
    let words = memory.clamp(MIN_MEMORY, MAX_MEMORY) / size_of::<u64>();
    let words = 1 << words.ilog2();
    let (ring, reader) = ring(words);
    (Capture { ring, ended: 0, max_content: words * size_of::<u64>() / 4 }, Captured(reader))
}

impl Capture {
    /// The most content that is kept of one request, in bytes.
    #[must_use]
    pub fn max_content(&self) -> usize {
        self.max_content
    }

    /// Keeps a piece of a request's content.
    pub fn content(&mut self, connection: u64, request: u64, piece: &[u8]) {
        self.ring.push(CONTENT, &[connection, request, self.ended], piece);
    }

    /// Keeps a request that is over.
    pub fn end(&mut self, facts: &Facts<'_>) {
        let (high, low, port) = match facts.peer {
            None => (0, 0, u64::MAX),
            Some(peer) => {
                let ip = match peer.ip() {
                    IpAddr::V4(ip) => ip.to_ipv6_mapped().to_bits(),
                    IpAddr::V6(ip) => ip.to_bits(),
                };
                ((ip >> 64) as u64, (ip & u128::from(u64::MAX)) as u64, u64::from(peer.port()))
            }
        };
        let fields: [u64; END_FIELDS] = [
            facts.connection,
            facts.request,
            high,
            low,
            port,
            facts.wall_milliseconds,
            facts.duration,
            facts.code.map_or(u64::MAX, |code| u64::from(code.number())),
            facts.bytes_sent,
            facts.content_length,
            u64::from(facts.is_valid),
            self.ended,
            facts.content_kept,
        ];
        self.ended += 1;
        self.ring.push(END, &fields, facts.head);
    }

    /// Forgets everything.
    pub fn clear(&mut self) {
        self.ended = 0;
        self.ring.clear();
    }
}

impl Captured {
    /// The requests that are there, the oldest first, and how many have been forgotten for want of room.
    #[must_use]
    pub fn requests(&self) -> (Vec<CapturedRequest>, u64) {
        requests::assemble(&self.0.copy())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::alloc::heapless;
    use crate::http::Status;

    const FACTS: Facts<'_> = Facts {
        connection: 3,
        request: 1,
        peer: None,
        wall_milliseconds: 5,
        duration: 6,
        code: Some(Code::Own(Status::Ok)),
        bytes_sent: 7,
        content_length: 8,
        content_kept: 0,
        head: b"GET / HTTP/1.1\r\n\r\n",
        is_valid: true,
    };

    #[test]
    fn requests_come_back_as_they_were_with_their_content() {
        let (mut capture, captured) = capture(MIN_MEMORY);
        let peer = "127.0.0.1:8080".parse().ok();
        heapless!({
            capture.content(3, 1, b"ab");
            capture.content(4, 1, b"other");
            capture.content(3, 1, b"cdefghijk");
            capture.end(&Facts { content_kept: 11, ..FACTS });
            capture.end(&Facts {
                connection: 4,
                content_kept: 5,
                peer,
                code: None,
                is_valid: false,
                head: b"",
                ..FACTS
            });
            capture.end(&Facts { connection: 4, request: 2, peer: "[2001:db8::1]:1".parse().ok(), ..FACTS });
        });
        let (requests, forgotten) = captured.requests();
        assert_eq!((requests.len(), forgotten), (3, 0));
        assert_eq!(requests[0].content, b"abcdefghijk");
        assert_eq!(requests[0].head, FACTS.head);
        assert_eq!((requests[0].code, requests[0].bytes_sent, requests[0].content_length), (Some(200), 7, 8));
        assert_eq!((requests[0].wall_milliseconds, requests[0].duration, requests[0].peer), (5, 6, None));
        assert_eq!((&*requests[1].content, requests[1].peer, requests[1].code), (&b"other"[..], peer, None));
        assert!(requests[0].is_valid && !requests[1].is_valid);
        assert_eq!(requests[2].peer, "[2001:db8::1]:1".parse().ok());
        assert_eq!((requests[2].request, &*requests[2].content), (2, &b""[..]));
        capture.clear();
        assert_eq!(captured.requests(), (vec![], 0));
    }

    #[test]
    fn what_is_oldest_gives_way_whole() {
        let (mut capture, captured) = capture(MIN_MEMORY);
        let content = vec![7; 1000];
        for request in 1..=1000 {
            heapless!({
                capture.content(1, request, &content);
                capture.end(&Facts { connection: 1, request, content_kept: 1000, ..FACTS });
            });
        }
        let (requests, forgotten) = captured.requests();
        assert!((40..64).contains(&requests.len()), "{}", requests.len());
        assert_eq!(requests.len() as u64 + forgotten, 1000);
        assert!(requests.windows(2).all(|pair| pair[0].request + 1 == pair[1].request));
        assert_eq!(requests.last().map(|last| last.request), Some(1000));
        // Of the first one the content may have gone before its end: then there is none of it.
        assert!(requests[0].content.is_empty() || requests[0].content == content);
        assert!(requests[1..].iter().all(|request| request.content == content));
    }

    #[test]
    fn of_a_content_whose_beginning_has_given_way_there_is_nothing() {
        let (mut capture, captured) = capture(MIN_MEMORY);
        capture.content(1, 1, b"AAAA");
        for request in 1..=1000 {
            capture.end(&Facts { connection: 2, request, ..FACTS });
        }
        capture.content(1, 1, b"BBBB");
        capture.end(&Facts { connection: 1, content_kept: 8, ..FACTS });
        let (requests, _) = captured.requests();
        let last = requests.last().expect("the newest is there");
        assert_eq!((last.connection, &*last.content, last.content_length), (1, &b""[..], 8));
    }

    #[test]
    fn what_gave_way_to_content_alone_is_counted() {
        let (mut capture, captured) = capture(MIN_MEMORY);
        capture.content(1, 1, b"of a request that is not over");
        assert_eq!(captured.requests(), (vec![], 0));
        for request in 1..=5 {
            capture.end(&Facts { request, ..FACTS });
        }
        for connection in 10..20 {
            capture.content(connection, 1, &[b'x'; MIN_MEMORY / 4]);
        }
        assert_eq!(captured.requests(), (vec![], 5));
        capture.end(&Facts { request: 6, ..FACTS });
        let (requests, forgotten) = captured.requests();
        assert_eq!((requests.len(), forgotten), (1, 5));
    }

    #[test]
    fn what_would_not_fit_is_cut() {
        let (mut capture, captured) = capture(MIN_MEMORY);
        let long = vec![b'x'; 200_000];
        capture.end(&Facts { head: &long, ..FACTS });
        let (requests, _) = captured.requests();
        assert_eq!(requests[0].head.len(), MIN_MEMORY / 4);
    }
}
