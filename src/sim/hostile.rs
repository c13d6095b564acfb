//! Requests that break one rule each, with the reason for which they must be refused.

use super::files::Files;
use super::model::{self, BLOCK_BYTES};
use super::plan::Plan;
use super::random::Random;
use super::request::Exchange;
use crate::http::Reject;

/// How far a need of pool bytes may be off without making an answer here wrong.
const MARGIN: usize = 64;

/// Heads and what follows them, in full.
const PLAIN: &[(&str, Reject)] = &[
    ("GET /\x01 HTTP/1.1\r\nHost: a\r\n\r\n", Reject::ControlByte),
    ("GET / HTTP/1.1\r\nHost: a\r\nX: \0\r\n\r\n", Reject::ControlByte),
    ("GET / HTTP/1.1\rHost: a\r\n\r\n", Reject::BareCr),
    ("GET / HTTP/1.1\r\nHost: a\r\nX: a\rb\r\n\r\n", Reject::BareCr),
    ("GET / HTTP/1.1\nHost: a\n\n", Reject::BareLf),
    ("GET / HTTP/1.1\r\nHost: a\n\r\n", Reject::BareLf),
    ("\r\n\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", Reject::TooManyEmptyLines),
    ("GET /\r\n", Reject::RequestLine),
    ("GET / /b HTTP/1.1\r\nHost: a\r\n\r\n", Reject::RequestLine),
    ("G@T / HTTP/1.1\r\nHost: a\r\n\r\n", Reject::Method),
    ("GET / HTTP/1.10\r\nHost: a\r\n\r\n", Reject::Version),
    ("GET / HTTP/2.0\r\nHost: a\r\n\r\n", Reject::VersionNotSupported),
    ("GET a HTTP/1.1\r\nHost: a\r\n\r\n", Reject::RequestTarget),
    ("GET https://a/ HTTP/1.1\r\nHost: a\r\n\r\n", Reject::RequestTarget),
    ("CONNECT / HTTP/1.1\r\nHost: a\r\n\r\n", Reject::RequestTarget),
    ("GET / HTTP/1.1\r\nHost: a\r\n folded\r\n\r\n", Reject::ObsFold),
    ("GET / HTTP/1.1\r\nHost : a\r\n\r\n", Reject::FieldName),
    ("GET / HTTP/1.1\r\nHost: a\r\n: b\r\n\r\n", Reject::FieldName),
    ("GET / HTTP/1.1\r\nX: a\r\n\r\n", Reject::HostMissing),
    ("GET / HTTP/1.1\r\nHost: a\r\nhost: a\r\n\r\n", Reject::HostRepeated),
    ("GET / HTTP/1.1\r\nHost: a b\r\n\r\n", Reject::HostInvalid),
    ("GET / HTTP/1.1\r\nHost:\r\n\r\n", Reject::HostInvalid),
    ("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: +5\r\n\r\nhello", Reject::ContentLengthInvalid),
    (
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\nhello",
        Reject::ContentLengthRepeated,
    ),
    ("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999999\r\n\r\n", Reject::ContentTooLarge),
    ("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nFFFFFFF\r\n", Reject::ContentTooLarge),
    (
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        Reject::LengthAmbiguous,
    ),
    ("POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", Reject::TransferEncodingInHttp10),
    ("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked, chunked\r\n\r\n", Reject::TransferEncodingInvalid),
    ("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n", Reject::TransferCodingUnknown),
    ("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0x1\r\n", Reject::ChunkSize),
    ("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1;=\r\nx\r\n0\r\n\r\n", Reject::ChunkExtension),
    ("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nxy\r\n0\r\n\r\n", Reject::ChunkEnd),
    ("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\na b: c\r\n\r\n", Reject::Trailer),
    ("GET / HTTP/1.1\r\nHost: a\r\nExpect: 200-ok\r\n\r\n", Reject::Expectation),
    ("POST / HTTP/1.1\r\nHost: a\r\nExpect: x\r\nContent-Length: 5\r\n\r\nhello", Reject::Expectation),
    ("GET /%zz HTTP/1.1\r\nHost: a\r\n\r\n", Reject::PercentEncoding),
    ("GET /a%00b HTTP/1.1\r\nHost: a\r\n\r\n", Reject::EncodedNul),
    ("GET /a%2Fb HTTP/1.1\r\nHost: a\r\n\r\n", Reject::EncodedSlash),
    ("GET /a/..%5c.. HTTP/1.1\r\nHost: a\r\n\r\n", Reject::EncodedSlash),
    ("GET /a/../%2e%2e/etc/passwd HTTP/1.1\r\nHost: a\r\n\r\n", Reject::ClimbsAboveRoot),
    ("GET /a#b HTTP/1.1\r\nHost: a\r\n\r\n", Reject::Fragment),
    ("CONNECT a:443 HTTP/1.1\r\nHost: a\r\n\r\n", Reject::MethodNotAllowed),
];

/// A request that breaks a rule.
pub(super) fn exchange(random: &mut Random, plan: &Plan, files: &Files) -> Exchange {
    let made = match random.between(0, 9) {
        0 => Some(long_line(random, plan)),
        1 => Some(long_header_section(plan)),
        2 => many_lines(plan),
        3 => long_path(plan),
        _ => None,
    };
    let (bytes, reject) = made.unwrap_or_else(|| {
        let (text, reject) = *random.pick(PLAIN);
        (text.as_bytes().to_vec(), reject)
    });
    let mut answer = model::refused(files, reject, &[]);
    // Whether the content follows that was announced with it cannot be known.
    answer.says_close |= reject == Reject::Expectation && bytes.starts_with(b"POST");
    answer.closes |= answer.says_close;
    Exchange::new(bytes, answer)
}

fn long_line(random: &mut Random, plan: &Plan) -> (Vec<u8>, Reject) {
    let line = format!("GET /{}", "a".repeat(plan.limits.max_request_line - 4));
    let end = random.pick(&["", " HTTP/1.1\r\n\r\n"]);
    (format!("{line}{end}").into_bytes(), Reject::RequestLineTooLong)
}

fn long_header_section(plan: &Plan) -> (Vec<u8>, Reject) {
    let value = "x".repeat(plan.limits.buffer_size);
    (format!("GET / HTTP/1.1\r\nHost: a\r\nX: {value}\r\n\r\n").into_bytes(), Reject::HeaderSectionTooLarge)
}

/// More field lines than are allowed, or than the pool has room for.
fn many_lines(plan: &Plan) -> Option<(Vec<u8>, Reject)> {
    let most = plan.limits.max_field_lines;
    let needed = most.div_ceil(8) * BLOCK_BYTES;
    let reject = if needed + MARGIN <= plan.limits.pool_size {
        Reject::TooManyFieldLines
    } else if needed >= plan.limits.pool_size + MARGIN {
        Reject::PoolExhausted
    } else {
        return None;
    };
    Some((format!("GET / HTTP/1.1\r\nHost: a\r\n{}\r\n", "X: y\r\n".repeat(most)).into_bytes(), reject))
}

/// A path that the pool has no room for.
fn long_path(plan: &Plan) -> Option<(Vec<u8>, Reject)> {
    let longest = plan.limits.max_request_line - "GET / HTTP/1.1".len();
    (BLOCK_BYTES + longest >= plan.limits.pool_size + MARGIN).then(|| {
        let path = "p".repeat(longest);
        (format!("GET /{path} HTTP/1.1\r\nHost: a\r\n\r\n").into_bytes(), Reject::PoolExhausted)
    })
}
