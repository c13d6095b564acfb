//! The bytes that clients send.

use crate::heads::SMALL;

/// The small request with another field line.
pub fn small_with(field_line: &str) -> Vec<u8> {
    let head = SMALL.strip_suffix(b"\r\n").unwrap_or(SMALL);
    [head, field_line.as_bytes(), b"\r\n\r\n"].concat()
}

/// A content in chunks, which is taken in and thrown away before the request is refused.
pub fn chunked_content() -> Vec<u8> {
    let head = b"POST /index.html HTTP/1.1\r\nHost: 127.0.0.1:8080\r\nTransfer-Encoding: chunked\r\n\r\n";
    let chunk = [b"200\r\n".as_slice(), &[b'x'; 0x200], b"\r\n"].concat();
    [head, chunk.repeat(4).as_slice(), b"0\r\n\r\n"].concat()
}

/// Heads with something wrong, early and late in them.
pub const MALFORMED: &[&[u8]] = &[
    b"GET  /index.html HTTP/1.1\r\nHost: a\r\n\r\n",
    b"G@T /index.html HTTP/1.1\r\nHost: a\r\n\r\n",
    b"GET /index.html HTTP/1.1\nHost: a\r\n\r\n",
    b"GET /index.html HTTP/1.1\r\n\r\n",
    b"GET /index.html HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
    b"GET /index.html HTTP/1.1\r\nHost : a\r\n\r\n",
    b"GET /index.html HTTP/1.1\r\nHost: a\r\nX: a\r\n b\r\n\r\n",
    b"GET /index.html HTTP/1.1\r\nHost: a\r\nX: \0\r\n\r\n",
    b"GET /index.html HTTP/1.1\r\nHost: a\r\nContent-Length: +5\r\n\r\n",
    b"GET /index.html HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n",
    b"GET /../index.html HTTP/1.1\r\nHost: a\r\n\r\n",
    b"GET /%00 HTTP/1.1\r\nHost: a\r\n\r\n",
];
