//! One thing that happened, in a fixed size, and how it reads.

use super::Level;
use crate::canned::Wait;
use crate::connection::State;
use crate::http::{Code, Reject, Status};
use crate::stats::{Grouped, Timeout};
use std::fmt::{self, Display, Formatter};
use std::net::SocketAddr;

/// The most text that a record carries, in bytes; what is longer is cut and marked.
pub const MAX_TEXT: usize = 200;

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// The server accepts connections.
    Ready,
    /// A connection got a slot.
    Accepted(Option<SocketAddr>),
    /// A connection got no slot, or no descriptor.
    Refused(Option<SocketAddr>, Reject),
    /// An idle connection is closed to make room.
    Reclaimed,
    /// A connection is closed because whoever runs the server begins anew.
    Dismissed,
    /// A connection entered its first state.
    Entered(State),
    /// A connection changed its state.
    Changed(State, State),
    /// Bytes were received; then the buffer held so many of so many.
    Read(usize, usize, usize),
    /// A request line was complete; the text is that line.
    Parsed,
    /// A head was complete: its field lines, and the pool bytes in use.
    HeadersParsed(usize, usize),
    /// Content was taken in and thrown away: its bytes.
    ContentDiscarded(u64),
    /// A request was refused.
    Rejected(Reject),
    /// A file is the answer: its size; the text is its name beneath the root.
    ServingFile(u64),
    /// Something else is the answer.
    Answering(Status),
    /// What was registered for it is the answer: its status, and the bytes of its content that are to be sent.
    AnsweringAsRegistered(Code, u64),
    /// What was registered waits.
    WaitingAsRegistered(Wait),
    /// What was registered ends otherwise than its head says: how.
    EndedAsRegistered(&'static str),
    /// A response is sent: the bytes of its content.
    Sent(u64),
    /// The request's memory was given back: its bytes.
    PoolReset(usize),
    /// A wait was too long: its kind, and the limit in milliseconds.
    TimedOut(Timeout, u64),
    /// The peer closed its sending side in the middle of a request.
    PeerClosed,
    /// The peer reset the connection.
    PeerReset,
    /// A file was shorter than when it was opened: bytes left unsent.
    FileTruncated(u64),
    /// A connection ended.
    Closed,
    /// How long it lived in milliseconds, and the heap calls of the loop's thread meanwhile.
    Lifetime(u64, u64),
    /// An invariant did not hold: its name.
    Violated(&'static str),
    /// Accepting failed: the system's error number.
    AcceptFailed(i32),
    /// The server drains: connections still open.
    Draining(u64),
    /// The server stops: connections still open.
    Stopping(u64),
}

impl Event {
    /// How important it is.
    #[must_use]
    pub const fn level(self) -> Level {
        match self {
            Self::Violated(_) => Level::Error,
            Self::AcceptFailed(_) => Level::Warn,
            Self::Ready | Self::Draining(_) | Self::Stopping(_) => Level::Info,
            _ => Level::Debug,
        }
    }
}

/// An event, the connection it befell and the text that belongs to it.
#[derive(Clone, Copy, Debug)]
pub struct Record {
    /// The connection's number, unless the server as a whole is meant.
    pub connection: Option<u64>,
    /// What happened.
    pub event: Event,
    /// How much of `text` is used.
    text_length: u16,
    text: [u8; MAX_TEXT],
}

impl Record {
    /// A record that nobody reads: what a ring is filled with at first.
    pub const EMPTY: Self = Self { connection: None, event: Event::Ready, text_length: 0, text: [0; MAX_TEXT] };

    /// Writes the record over what it held.
    pub fn set(&mut self, connection: Option<u64>, event: Event, text: &[u8]) {
        self.connection = connection;
        self.event = event;
        self.text_length = u16::try_from(text.len()).unwrap_or(u16::MAX);
        let kept = text.len().min(MAX_TEXT);
        self.text[..kept].copy_from_slice(&text[..kept]);
    }
}

/// Bytes of a peer as they may be shown: printable ASCII as it is, everything else escaped.
struct Escaped<'a>(&'a Record);

impl Display for Escaped<'_> {
    fn fmt(&self, out: &mut Formatter<'_>) -> fmt::Result {
        let length = usize::from(self.0.text_length);
        let text = &self.0.text[..length.min(MAX_TEXT)];
        for &byte in text {
            match byte {
                b'\\' => out.write_str("\\\\")?,
                0x20..=0x7e => write!(out, "{}", char::from(byte))?,
                _ => write!(out, "\\x{byte:02x}")?,
            }
        }
        if length > MAX_TEXT { out.write_str("…") } else { Ok(()) }
    }
}

/// A peer by its address, which that of a Unix socket does not have.
struct Peer(Option<SocketAddr>);

impl Display for Peer {
    fn fmt(&self, out: &mut Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(address) => write!(out, "{address}"),
            None => out.write_str("unix:"),
        }
    }
}

/// A record as a line, without the mark at its front. `root` is the document root as the operator wrote it.
pub struct Line<'a> {
    /// What is shown.
    pub record: &'a Record,
    /// The document root as the operator wrote it.
    pub root: &'a str,
}

impl Display for Line<'_> {
    fn fmt(&self, out: &mut Formatter<'_>) -> fmt::Result {
        let text = Escaped(self.record);
        match self.record.event {
            Event::Ready => write!(out, "Server ready. Press Ctrl+C to stop."),
            Event::Accepted(peer) => write!(out, "New connection from {}", Peer(peer)),
            Event::Refused(peer, reject) => {
                write!(out, "Refused connection from {}: {}, {}", Peer(peer), reject.status().text(), reject.text())
            }
            Event::Reclaimed => write!(out, "Reclaimed: closed while idle to make room"),
            Event::Dismissed => write!(out, "Dismissed: the server is reset"),
            Event::Entered(state) => write!(out, "State: {}", state.name()),
            Event::Changed(from, to) => write!(out, "State: {} → {}", from.name(), to.name()),
            Event::Read(bytes, filled, capacity) => write!(out, "Read {bytes} bytes, buffer: {filled}/{capacity}"),
            Event::Parsed => write!(out, "Parsed: {text}"),
            Event::HeadersParsed(fields, used) => {
                write!(out, "Headers parsed: {fields} headers, used {used} bytes pool")
            }
            Event::ContentDiscarded(bytes) => write!(out, "Content: {bytes} bytes taken in and discarded"),
            Event::Rejected(reject) => {
                write!(out, "Rejected: {}, {} ({})", reject.status().text(), reject.text(), reject.section())
            }
            Event::ServingFile(bytes) => write!(out, "Serving file: {}/{text} ({bytes} bytes)", self.root),
            Event::Answering(status) => write!(out, "Answering: {}", status.text()),
            Event::AnsweringAsRegistered(Code::Other(0), bytes) => {
                write!(out, "Answering as registered: {bytes} bytes without a head")
            }
            Event::AnsweringAsRegistered(code, bytes) => {
                write!(out, "Answering as registered: {} ({bytes} bytes)", code.number())
            }
            Event::WaitingAsRegistered(Wait::For(nanoseconds)) => {
                write!(out, "Waiting as registered: {} ms", nanoseconds / 1_000_000)
            }
            Event::WaitingAsRegistered(_) => write!(out, "Waiting as registered: until the peer has gone"),
            Event::EndedAsRegistered(how) => write!(out, "Ended as registered: {how}"),
            Event::Sent(bytes) => write!(out, "Sent {bytes} bytes"),
            Event::PoolReset(bytes) => write!(out, "Pool reset, {bytes} bytes freed"),
            Event::TimedOut(kind, limit) => write!(out, "Timeout: {}_timeout of {limit} ms", kind.name()),
            Event::PeerClosed => write!(out, "Peer closed in the middle of a request"),
            Event::PeerReset => write!(out, "Peer reset the connection"),
            Event::FileTruncated(bytes) => write!(out, "File shrank while it was sent: {bytes} bytes are missing"),
            Event::Closed => write!(out, "Connection closed"),
            Event::Lifetime(milliseconds, calls) => {
                write!(out, "Total lifetime: {milliseconds}ms, heap allocs: {calls}")
            }
            Event::Violated(name) => write!(out, "Invariant violated: {name}"),
            Event::AcceptFailed(errno) => {
                write!(out, "Accepting failed: {}", std::io::Error::from_raw_os_error(errno))
            }
            Event::Draining(open) => {
                write!(out, "Draining: {} connections open; health answers 503", Grouped(open))
            }
            Event::Stopping(open) => write!(out, "Stopping: {} connections open", Grouped(open)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(event: Event, text: &[u8]) -> String {
        let mut record = Record::EMPTY;
        record.set(Some(0), event, text);
        Line { record: &record, root: "./www" }.to_string()
    }

    #[test]
    fn lines_read_as_the_design_says() {
        let peer = "127.0.0.1:52341".parse().ok();
        for (event, text, expected) in [
            (Event::Ready, &b""[..], "Server ready. Press Ctrl+C to stop."),
            (Event::Accepted(peer), b"", "New connection from 127.0.0.1:52341"),
            (Event::Entered(State::ReadingRequestLine), b"", "State: READING_REQUEST_LINE"),
            (Event::Read(78, 78, 16_384), b"", "Read 78 bytes, buffer: 78/16384"),
            (Event::Parsed, b"GET /index.html HTTP/1.1", "Parsed: GET /index.html HTTP/1.1"),
            (Event::Changed(State::ReadingHeaders, State::Processing), b"", "State: READING_HEADERS → PROCESSING"),
            (Event::HeadersParsed(6, 312), b"", "Headers parsed: 6 headers, used 312 bytes pool"),
            (Event::ServingFile(1247), b"index.html", "Serving file: ./www/index.html (1247 bytes)"),
            (Event::Sent(1247), b"", "Sent 1247 bytes"),
            (Event::AnsweringAsRegistered(Code::of(503), 2), b"", "Answering as registered: 503 (2 bytes)"),
            (Event::AnsweringAsRegistered(Code::of(0), 2), b"", "Answering as registered: 2 bytes without a head"),
            (Event::WaitingAsRegistered(Wait::For(250_000_000)), b"", "Waiting as registered: 250 ms"),
            (Event::WaitingAsRegistered(Wait::ForEver), b"", "Waiting as registered: until the peer has gone"),
            (Event::EndedAsRegistered("reset"), b"", "Ended as registered: reset"),
            (Event::PoolReset(312), b"", "Pool reset, 312 bytes freed"),
            (Event::Accepted(None), b"", "New connection from unix:"),
            (Event::Closed, b"", "Connection closed"),
            (Event::Draining(1_234), b"", "Draining: 1,234 connections open; health answers 503"),
            (Event::Lifetime(3, 0), b"", "Total lifetime: 3ms, heap allocs: 0"),
        ] {
            assert_eq!(line(event, text), expected);
        }
    }

    #[test]
    fn what_a_peer_sent_is_escaped_and_cut() {
        assert_eq!(line(Event::Parsed, b"a\x1b[31m\r\n\\\xff"), "Parsed: a\\x1b[31m\\x0d\\x0a\\\\\\xff");
        let long = line(Event::Parsed, &[b'a'; 70_000]);
        assert_eq!(long, format!("Parsed: {}…", "a".repeat(MAX_TEXT)));
        assert_eq!(line(Event::Parsed, &[b'a'; MAX_TEXT]), format!("Parsed: {}", "a".repeat(MAX_TEXT)));
    }
}
