//! Single connections in the JSON of the statistics. What a peer sent is shown as ASCII, escaped and cut to a length.

use super::Text;
use std::fmt::{self, Display, Formatter, Write};
use std::net::SocketAddr;

/// The most connections that are told of.
pub const MAX_CONNECTIONS: usize = 32;
/// How much of a request line is kept, in bytes.
pub const LINE_BYTES: usize = 80;
/// The most characters that show a request line, escapes included and the mark of a cut left out.
const LINE_SHOWN: usize = 120;
/// What stands for an end that was cut off.
const CUT: &str = "...";

/// A connection as it is told.
#[derive(Clone, Copy, Debug)]
pub struct ToldConnection<'a> {
    /// Its number, from 0 in the order of arrival.
    pub number: u64,
    /// Where it comes from; a peer of a Unix socket has no address.
    pub peer: Option<SocketAddr>,
    /// The name of its state, or CLOSED.
    pub state: &'static str,
    /// How long it has been, or was, open.
    pub lifetime_milliseconds: u64,
    /// Requests that began.
    pub requests: u64,
    /// Bytes received of it, the drained ones included.
    pub received: u64,
    /// Bytes handed to the kernel for it.
    pub sent: u64,
    /// The method and the target of its last request, raw as they came.
    pub line: &'a [u8],
    /// Whether more of the line was sent than is here.
    pub line_is_cut: bool,
    /// The status of the answer to it, if it has one.
    pub status: Option<u16>,
    /// Whether this is the connection that asks for the statistics.
    pub is_asking: bool,
}

/// The line as the inside of a JSON string (RFC 8259 section 7): ASCII only, each byte above it as the code point of that number.
struct Shown<'a> {
    line: &'a [u8],
    is_cut: bool,
}

impl Display for Shown<'_> {
    fn fmt(&self, out: &mut Formatter<'_>) -> fmt::Result {
        let mut room = LINE_SHOWN;
        for &byte in self.line {
            let length = match byte {
                b'"' | b'\\' => 2,
                b' '..=b'~' => 1,
                _ => 6,
            };
            if length > room {
                return out.write_str(CUT);
            }
            room -= length;
            match length {
                2 => write!(out, "\\{}", char::from(byte))?,
                1 => out.write_char(char::from(byte))?,
                _ => write!(out, "\\u{byte:04x}")?,
            }
        }
        if self.is_cut { out.write_str(CUT) } else { Ok(()) }
    }
}

/// A value, or `null`.
struct OrNull<T>(Option<T>);

impl<T: Display> Display for OrNull<T> {
    fn fmt(&self, out: &mut Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Some(value) => value.fmt(out),
            None => out.write_str("null"),
        }
    }
}

impl ToldConnection<'_> {
    fn write(&self, out: &mut Text<'_>) -> fmt::Result {
        write!(out, "{{\"number\":{},\"peer\":", self.number)?;
        match self.peer {
            Some(peer) => write!(out, "\"{peer}\"")?,
            None => out.write_str("\"unix:\"")?,
        }
        let Self { state, lifetime_milliseconds, requests, received, sent, line, line_is_cut, .. } = *self;
        write!(out, ",\"state\":\"{state}\",\"lifetime_ms\":{lifetime_milliseconds},\"requests\":{requests}")?;
        write!(out, ",\"bytes_received\":{received},\"bytes_sent\":{sent}")?;
        write!(out, ",\"request\":\"{}\",\"status\":{}", Shown { line, is_cut: line_is_cut }, OrNull(self.status))?;
        out.write_str(if self.is_asking { ",\"asking\":true}" } else { "}" })
    }
}

/// Writes the last member, with as many of the connections as there is room for, the first of them first.
pub(super) fn write<'a>(out: &mut Text<'_>, connections: impl Iterator<Item = ToldConnection<'a>>) -> fmt::Result {
    /// What follows the last connection.
    const END: &str = "]}\n";
    out.write_str(",\"connections\":[")?;
    let mut separator = "";
    for connection in connections.take(MAX_CONNECTIONS) {
        let before = out.length;
        let written = out.write_str(separator).and_then(|()| connection.write(out));
        if written.is_err() || out.room() < END.len() {
            out.length = before;
            break;
        }
        separator = ",";
    }
    out.write_str(END)
}

#[cfg(test)]
mod tests {
    use super::super::tests::{POOLS, all_at};
    use super::super::{MAX_EXPORT, json};
    use super::*;
    use crate::stats::Counters;

    /// One whose every member is as long as it can be.
    fn longest(number: u64) -> ToldConnection<'static> {
        const MAX: u64 = u64::MAX;
        ToldConnection {
            number,
            peer: "[2001:db8:1111:2222:3333:4444:5555:6666%4294967295]:65535".parse().ok(),
            state: "READING_REQUEST_LINE",
            lifetime_milliseconds: MAX,
            requests: MAX,
            received: MAX,
            sent: MAX,
            line: &[b'"'; LINE_BYTES],
            line_is_cut: true,
            status: Some(599),
            is_asking: false,
        }
    }

    /// How many are told of in so much room; none where not even the numbers fit.
    fn told(counters: &Counters, room: usize, first: u64) -> Option<usize> {
        let mut memory = [0; MAX_EXPORT];
        let all = (0..100).map(|number| longest(first + number));
        let length = json(counters, 0.0, false, POOLS, all, memory.get_mut(..room)?)?;
        let text = String::from_utf8(memory[..length].to_vec()).expect("it is text");
        assert!(text.ends_with(",\"connections\":[]}\n") || text.ends_with("}]}\n"), "{text}");
        assert_eq!(text.matches('{').count(), text.matches('}').count());
        Some(text.matches("\"number\":").count())
    }

    #[test]
    fn as_many_are_told_of_as_fit_and_the_object_is_whole() {
        let largest = told(&all_at(u64::MAX), MAX_EXPORT, u64::MAX - 100);
        let counts: Vec<_> = (0..=MAX_EXPORT).map(|room| told(&Counters::default(), room, 0)).collect();
        println!("{largest:?} of the longest beside the largest numbers, {:?} beside none", counts[MAX_EXPORT]);
        assert!(largest >= Some(12), "{largest:?}");
        assert!(counts.is_sorted() && counts[0].is_none() && counts.contains(&Some(0)), "more room, more connections");
        assert!(counts[MAX_EXPORT] >= Some(24), "{:?}", counts[MAX_EXPORT]);
    }

    #[test]
    fn as_they_mostly_are_there_is_room_for_all() {
        let mut memory = [0; MAX_EXPORT];
        let peer = "[2001:db8:1111:2222:3333:4444:5555:6666]:65535".parse().ok();
        let usual =
            ToldConnection { peer, lifetime_milliseconds: 10_000_000, requests: 1_000_000, ..longest(1_000_000) };
        let usual = ToldConnection { received: 1_000_000_000, sent: 1_000_000_000, ..usual };
        let counters = Counters::default();
        (0..200).for_each(|latency| counters.record_latency(latency * 1_000_000));
        let length = json(&counters, 1e6, false, POOLS, (0..40).map(|_| usual), &mut memory).expect("it fits");
        let text = String::from_utf8_lossy(&memory[..length]);
        assert_eq!(text.matches("\"number\":1000000,").count(), MAX_CONNECTIONS, "{length} bytes: {text}");
    }
}
