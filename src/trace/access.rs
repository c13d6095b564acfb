//! The access log: one record of a fixed size for each answer, which the loop fills in and the log's thread reads.
//!
//! What the peer sent is kept as it came; [`super::access_line`] alone decides how it is shown.

use crate::http::Code;
use std::net::SocketAddr;

/// How many records the ring of the access log holds.
pub const ACCESS_RECORDS: usize = 4096;

/// What each text gets where all of them are long, in bytes: the request line, the referer, the user agent.
const SHARES: [usize; 3] = [512, 208, 208];
/// The room for the texts of a record, in bytes.
const TEXT_BYTES: usize = SHARES[0] + SHARES[1] + SHARES[2];

const _: () = assert!(size_of::<AccessRecord>() == 1024, "a record is as large as the plan of the memory was made for");

/// The form of the lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AccessFormat {
    /// The Common Log Format.
    Common,
    /// The same with Referer and User-Agent.
    Combined,
    /// A JSON object on each line.
    Json,
}

impl AccessFormat {
    /// The form of that name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        match name {
            "common" => Some(Self::Common),
            "combined" => Some(Self::Combined),
            "json" => Some(Self::Json),
            _ => None,
        }
    }
}

/// One answer, as whoever gave it tells of it.
#[derive(Clone, Copy, Debug)]
pub struct Access<'a> {
    /// The connection's number.
    pub connection: u64,
    /// Which request of its connection was answered, from 1; 0 where a newcomer was refused before it sent any.
    pub request: u64,
    /// The peer; one of a Unix socket has no address.
    pub peer: Option<SocketAddr>,
    /// When the answer was over, in milliseconds since 1970.
    pub wall_milliseconds: u64,
    /// The status of the answer.
    pub status: Code,
    /// The bytes of its content that were handed over.
    pub content_bytes: u64,
    /// From the first byte of the request until the answer was over, in nanoseconds.
    pub duration: u64,
    /// The request line as far as it was received.
    pub line: &'a [u8],
    /// The value of Referer.
    pub referer: Option<&'a [u8]>,
    /// The value of User-Agent.
    pub agent: Option<&'a [u8]>,
}

/// Where a text lies in its record, and how much of it is there.
#[derive(Clone, Copy, Debug)]
enum Part {
    Absent,
    Whole { start: u16, end: u16 },
    Cut { start: u16, end: u16 },
}

/// The same in a fixed size, its texts cut to fit.
#[derive(Clone, Copy, Debug)]
pub struct AccessRecord {
    pub(super) connection: u64,
    pub(super) request: u64,
    pub(super) peer: Option<SocketAddr>,
    pub(super) wall_milliseconds: u64,
    pub(super) content_bytes: u64,
    pub(super) duration: u64,
    pub(super) status: u16,
    parts: [Part; 3],
    text: [u8; TEXT_BYTES],
}

/// A text of a record as far as it was kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Text<'a> {
    pub(super) bytes: &'a [u8],
    /// Whether more of it was sent than is here.
    pub(super) is_cut: bool,
}

impl AccessRecord {
    /// A record that nobody reads: what a ring is filled with at first.
    pub const EMPTY: Self = Self {
        connection: 0,
        request: 0,
        peer: None,
        wall_milliseconds: 0,
        content_bytes: 0,
        duration: 0,
        status: 0,
        parts: [Part::Absent; 3],
        text: [0; TEXT_BYTES],
    };

    /// Writes the record over what it held.
    pub fn set(&mut self, access: &Access<'_>) {
        self.connection = access.connection;
        self.request = access.request;
        self.peer = access.peer;
        self.wall_milliseconds = access.wall_milliseconds;
        self.content_bytes = access.content_bytes;
        self.duration = access.duration;
        self.status = access.status.number();
        let texts = [Some(access.line), access.referer, access.agent];
        let kept = shares(texts.map(|text| text.map_or(0, <[u8]>::len)));
        let mut start = 0;
        for ((part, text), length) in self.parts.iter_mut().zip(texts).zip(kept) {
            let end = start + length;
            *part = match text {
                None => Part::Absent,
                Some(text) => {
                    // The shares are within the room and within the texts.
                    self.text[start..end].copy_from_slice(&text[..length]);
                    let (start, end) = (narrow(start), narrow(end));
                    if length < text.len() { Part::Cut { start, end } } else { Part::Whole { start, end } }
                }
            };
            start = end;
        }
    }

    /// The request line; empty where nothing of it was received.
    pub(super) fn line(&self) -> Text<'_> {
        self.part(0).unwrap_or(Text { bytes: &[], is_cut: false })
    }

    /// The value of Referer.
    pub(super) fn referer(&self) -> Option<Text<'_>> {
        self.part(1)
    }

    /// The value of User-Agent.
    pub(super) fn agent(&self) -> Option<Text<'_>> {
        self.part(2)
    }

    fn part(&self, index: usize) -> Option<Text<'_>> {
        let (start, end, is_cut) = match self.parts[index] {
            Part::Absent => return None,
            Part::Whole { start, end } => (start, end, false),
            Part::Cut { start, end } => (start, end, true),
        };
        Some(Text { bytes: &self.text[usize::from(start)..usize::from(end)], is_cut })
    }
}

/// A position in the room for the texts, which is far below the limit.
fn narrow(position: usize) -> u16 {
    u16::try_from(position).unwrap_or(u16::MAX)
}

/// How much is kept of texts that are so long: each its share, and what one leaves over goes to the others in their order.
fn shares(lengths: [usize; 3]) -> [usize; 3] {
    let mut kept: [usize; 3] = std::array::from_fn(|index| lengths[index].min(SHARES[index]));
    let mut left = TEXT_BYTES - kept.iter().sum::<usize>();
    for (kept, length) in kept.iter_mut().zip(lengths) {
        let more = (length - *kept).min(left);
        *kept += more;
        left -= more;
    }
    kept
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::http::Status;

    /// An answer to `GET /a HTTP/1.1`, to be changed at will.
    pub(in crate::trace) const ACCESS: Access<'_> = Access {
        connection: 3,
        request: 1,
        peer: None,
        wall_milliseconds: 1_795_390_205_042,
        status: Code::Own(Status::Ok),
        content_bytes: 6,
        duration: 123_456,
        line: b"GET /a HTTP/1.1",
        referer: None,
        agent: None,
    };

    /// The record of an answer, written over one that was full.
    pub(in crate::trace) fn record(access: &Access<'_>) -> AccessRecord {
        let mut record = AccessRecord::EMPTY;
        record.set(&Access { line: &[b'x'; 9999], referer: Some(b"x"), agent: Some(b"x"), ..ACCESS });
        record.set(access);
        record
    }

    #[test]
    fn texts_that_fit_are_whole_and_absent_is_not_empty() {
        let record = record(&Access { referer: Some(b""), ..ACCESS });
        assert_eq!(record.line(), Text { bytes: b"GET /a HTTP/1.1", is_cut: false });
        assert_eq!(record.referer(), Some(Text { bytes: b"", is_cut: false }));
        assert_eq!(record.agent(), None);
    }

    #[test]
    fn long_texts_are_cut_to_their_shares_and_get_what_others_leave() {
        let lengths: [usize; 8] = [0, 1, 207, 208, 209, 512, 513, 70_000];
        for line in lengths {
            for referer in lengths {
                for agent in lengths {
                    let kept = shares([line, referer, agent]);
                    let all = line + referer + agent;
                    assert_eq!(kept.iter().sum::<usize>(), all.min(TEXT_BYTES), "{line} {referer} {agent}");
                    for ((kept, length), share) in kept.into_iter().zip([line, referer, agent]).zip(SHARES) {
                        assert!(kept <= length && kept >= length.min(share), "{line} {referer} {agent}");
                    }
                }
            }
        }
        assert_eq!(shares([70_000, 0, 0]), [928, 0, 0]);
        assert_eq!(shares([100, 70_000, 300]), [100, 620, 208]);
    }

    #[test]
    fn a_cut_text_says_so() {
        let (line, agent) = ([b'l'; 1000], [b'a'; 300]);
        let record = record(&Access { line: &line, agent: Some(&agent), ..ACCESS });
        assert_eq!(record.line(), Text { bytes: &line[..720], is_cut: true });
        assert_eq!(record.agent(), Some(Text { bytes: &agent[..208], is_cut: true }));
    }
}
