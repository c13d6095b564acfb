//! How a site is set up: each switch with some probability, and added field lines up to what the send buffer allows.

use super::random::Random;
use crate::config::{Cors, Site};

/// The bytes of a send buffer that the options keep free of added fields: for the rest of a head, and for the shortest limit of a
/// request line.
const RESERVED: usize = 1024 + SHORTEST_LINE;
/// The least that `max_request_line` may be.
pub(super) const SHORTEST_LINE: usize = 64;
/// The smallest send buffer that any entry of a listing fits.
const LISTING_BUFFER: usize = 4096;
/// The smallest send buffer that the statistics take.
const STATUS_BUFFER: usize = 16_384;

/// Field lines that an operator may add.
const LINES: &[&str] = &[
    "X-Frame-Options: DENY\r\n",
    "Server: simulated\r\n",
    "X-Empty: \r\n",
    "Strict-Transport-Security: max-age=63072000; includeSubDomains\r\n",
];
/// Origins that may be allowed, as a browser writes them.
pub(super) const ORIGINS: &[&str] = &["https://a.example", "http://localhost:3000", "null"];

/// A site whose heads leave room for a request line in a send buffer of this size.
pub(super) fn site(random: &mut Random, buffer_size: usize) -> Site {
    let fields: String = LINES.iter().filter(|_| random.chance(150)).copied().collect();
    let cors = match random.between(0, 9) {
        0..=4 => Cors::Off,
        5..=6 => Cors::Any,
        _ => Cors::Origins(
            ORIGINS[..random.size(1, ORIGINS.len())].iter().map(|origin| origin.as_bytes().into()).collect(),
        ),
    };
    let cache_control: &[u8] = random.pick(&["", "", "no-cache", "public, max-age=31536000, immutable"]).as_bytes();
    let has_status = buffer_size >= STATUS_BUFFER && random.chance(900);
    let status_name: Option<&[u8]> = has_status.then(|| random.pick(&["status", "d/status"]).as_bytes());
    let mut site = Site {
        listing: buffer_size >= LISTING_BUFFER && random.chance(500),
        hidden: random.chance(300),
        precompressed: random.chance(500),
        spa: random.chance(300),
        error_pages: random.chance(500),
        status_name: status_name.map(Into::into),
        cache_control: cache_control.into(),
        fields: fields.into_bytes().into(),
        cors,
    };
    if random.chance(60) {
        let room = buffer_size - RESERVED - site.head_bytes();
        let length = if random.chance(500) { room } else { random.size(12, room) };
        let filler = format!("X-Filler: {}\r\n", "f".repeat(length - "X-Filler: \r\n".len()));
        site.fields = [&*site.fields, filler.as_bytes()].concat().into();
    }
    site
}
