//! From frames to requests.

use super::ring::Frame;
use super::{CONTENT, CONTENT_FIELDS, END, END_FIELDS};
use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};

/// A request that was received.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CapturedRequest {
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
    /// The status of the answer; 0 where it had no status line, none where there was no answer.
    pub code: Option<u16>,
    /// The bytes of content that were sent.
    pub bytes_sent: u64,
    /// The bytes of content that were received.
    pub content_length: u64,
    /// Its head as far as it was received.
    pub head: Vec<u8>,
    /// Its content without any coding, as far as it was kept; nothing where a piece of it has given way.
    pub content: Vec<u8>,
    /// Whether it was understood and not refused.
    pub is_valid: bool,
}

/// Puts together what belongs together. Returns the requests, and how many there were before the first of them.
pub(super) fn assemble(frames: &[Frame]) -> (Vec<CapturedRequest>, u64) {
    let mut contents: HashMap<(u64, u64), Vec<u8>> = HashMap::new();
    let mut requests = Vec::new();
    let (mut forgotten, mut before_content) = (None, 0);
    for frame in frames {
        match (frame.kind, &*frame.fields) {
            (CONTENT, fields) if fields.len() == CONTENT_FIELDS => {
                before_content = fields[2];
                contents.entry((fields[0], fields[1])).or_default().extend_from_slice(&frame.text);
            }
            (END, fields) if fields.len() == END_FIELDS => {
                forgotten.get_or_insert(fields[11]);
                let ip = Ipv6Addr::from_bits(u128::from(fields[2]) << 64 | u128::from(fields[3]));
                let ip = ip.to_ipv4_mapped().map_or(IpAddr::V6(ip), IpAddr::V4);
                requests.push(CapturedRequest {
                    connection: fields[0],
                    request: fields[1],
                    peer: u16::try_from(fields[4]).ok().map(|port| SocketAddr::new(ip, port)),
                    wall_milliseconds: fields[5],
                    duration: fields[6],
                    code: u16::try_from(fields[7]).ok(),
                    bytes_sent: fields[8],
                    content_length: fields[9],
                    head: frame.text.clone(),
                    content: contents
                        .remove(&(fields[0], fields[1]))
                        .filter(|content| content.len() as u64 == fields[12])
                        .unwrap_or_default(),
                    is_valid: fields[10] == 1,
                });
            }
            _ => {}
        }
    }
    // Where content is all that is left, every one that was over before it has given way.
    (requests, forgotten.unwrap_or(before_content))
}
