//! What a strict client makes of the bytes that a peer was sent, without knowing what it asked for.

use super::files::byte_at;
use super::peer::Peer;
use crate::http::Status;

/// What a stream of responses has.
pub(super) struct Reading {
    /// How many final responses were begun.
    pub(super) responses: u64,
    pub(super) by_status: [u64; Status::COUNT],
    /// How many of them announce content that did not come although another response did: the answers to HEAD.
    pub(super) without_content: u64,
    /// It ends with a whole response.
    pub(super) is_whole: bool,
    /// The last response says that it is the last.
    pub(super) closes: bool,
}

/// One head, taken apart.
struct Head<'a> {
    status: Status,
    fields: Vec<(&'a str, &'a str)>,
}

impl<'a> Head<'a> {
    fn new(text: &'a str) -> Self {
        let mut lines = text.split("\r\n");
        let status_line = lines.next().expect("split yields something");
        let code = status_line.strip_prefix("HTTP/1.1 ").unwrap_or_else(|| panic!("a status line: {text:?}"));
        let status = Status::ALL.iter().find(|status| code == status.text());
        let fields: Vec<_> = lines
            .map(|line| {
                let (name, value) = line.split_once(": ").unwrap_or_else(|| panic!("a field line: {line:?}"));
                assert!(name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-'), "a name: {line:?}");
                assert!(value.bytes().all(|byte| byte == b' ' || byte.is_ascii_graphic()), "a value: {line:?}");
                (name, value)
            })
            .collect();
        for (index, field) in fields.iter().enumerate() {
            let is_once = !fields[..index].iter().any(|other| other.0.eq_ignore_ascii_case(field.0));
            assert!(is_once, "{} twice in {text:?}", field.0);
        }
        Self { status: *status.unwrap_or_else(|| panic!("a known status: {text:?}")), fields }
    }

    fn value(&self, name: &str) -> Option<&'a str> {
        self.fields.iter().find(|field| field.0 == name).map(|field| field.1)
    }

    /// The inode and the size in the entity-tag.
    fn tag(&self) -> Option<(u64, u64)> {
        let number = |text: &str| u64::from_str_radix(text, 16).expect("a hexadecimal number");
        let mut parts = self.value("ETag")?.trim_matches('"').split('-');
        let (size, inode) = (parts.next()?, parts.next()?);
        Some((number(inode), number(size)))
    }
}

/// Where the content of a response ends in `rest`, or that it does not.
enum End {
    At(usize),
    /// There is none, because the request was HEAD.
    Absent,
    Open,
}

/// Reads all responses in the stream of a peer.
pub(super) fn read_responses(peer: &Peer) -> Reading {
    let mut reading =
        Reading { responses: 0, by_status: [0; Status::COUNT], without_content: 0, is_whole: true, closes: false };
    let mut rest = &peer.stream[..];
    let mut looked_up = &peer.looked_up[..];
    while !rest.is_empty() {
        let Some(length) = memchr::memmem::find(rest, b"\r\n\r\n") else {
            reading.is_whole = false;
            return reading;
        };
        let text = std::str::from_utf8(&rest[..length]).expect("a head is ASCII");
        rest = &rest[length + 4..];
        assert!(!reading.closes, "a response follows the last one: {text:?}");
        if text == "HTTP/1.1 100 Continue" {
            continue;
        }
        let head = Head::new(text);
        reading.responses += 1;
        reading.by_status[head.status as usize] += 1;
        reading.closes = head.value("Connection") == Some("close");
        check_head(&head, text);
        if let Some((inode, _)) = head.tag() {
            let place = looked_up.iter().position(|&other| other == inode);
            let place =
                place.unwrap_or_else(|| panic!("an answer out of order, or of a file nobody asked for: {text:?}"));
            looked_up = &looked_up[place + 1..];
        }
        let content = match find_end(&head, rest, peer.closed || peer.shut_down) {
            End::At(end) => &rest[..end],
            End::Absent => {
                reading.without_content += u64::from(!rest.is_empty());
                continue;
            }
            End::Open => {
                reading.is_whole = false;
                check_content(&head, rest, text);
                return reading;
            }
        };
        check_content(&head, content, text);
        rest = &rest[content.len()..];
    }
    reading
}

fn check_head(head: &Head<'_>, text: &str) {
    let has = |name| head.value(name).is_some();
    let code = head.status.code();
    assert!(has("Date"), "a Date: {text:?}");
    assert!(!(has("Content-Length") && has("Transfer-Encoding")), "one length: {text:?}");
    assert!(!matches!(code, 204 | 304) || !(has("Content-Length") || has("Transfer-Encoding")), "no length: {text:?}");
    assert!(matches!(head.value("Connection"), None | Some("close" | "keep-alive")), "Connection in {text:?}");
    assert_eq!(has("Allow"), matches!(code, 204 | 405), "Allow in {text:?}");
    assert!(code != 416 || has("Content-Range"), "Content-Range in {text:?}");
    assert!(code != 301 || head.value("Location").is_some_and(|to| to.starts_with('/') && !to.starts_with("//")));
    if let Some((inode, _)) = head.tag() {
        let coding = [None, Some("br"), Some("zstd"), Some("gzip")][usize::try_from(inode & 0xff).expect("a byte")];
        assert!(code == 304 || head.value("Content-Encoding") == coding, "Content-Encoding in {text:?}");
    }
}

fn find_end(head: &Head<'_>, rest: &[u8], ended: bool) -> End {
    if matches!(head.status.code(), 204 | 304) {
        return End::At(0);
    }
    if rest.is_empty() || rest.starts_with(b"HTTP/1.1 ") {
        return if head.value("Content-Length") == Some("0") { End::At(0) } else { End::Absent };
    }
    if let Some(length) = head.value("Content-Length") {
        let length: usize = length.parse().expect("a length is a number");
        return if rest.len() < length { End::Open } else { End::At(length) };
    }
    if head.value("Transfer-Encoding") == Some("chunked") {
        return end_of_chunks(rest).map_or(End::Open, End::At);
    }
    if ended { End::At(rest.len()) } else { End::Open }
}

fn end_of_chunks(bytes: &[u8]) -> Option<usize> {
    let mut at = 0;
    loop {
        let line = &bytes[at..];
        let length = memchr::memmem::find(line, b"\r\n")?;
        let digits = std::str::from_utf8(&line[..length]).expect("a chunk-size is ASCII");
        let size = usize::from_str_radix(digits, 16).unwrap_or_else(|_| panic!("a chunk-size: {digits:?}"));
        let end = at + length + 2 + size;
        assert_eq!(*bytes.get(end..end + 2)?, *b"\r\n", "a chunk ends in CRLF");
        at = end + 2;
        if size == 0 {
            return Some(at);
        }
    }
}

/// Checks that the content, or the part of it that has come, is what the head says.
fn check_content(head: &Head<'_>, content: &[u8], text: &str) {
    let Some((inode, size)) = head.tag() else {
        return assert!(!content.starts_with(b"HTTP/"), "a response in the content of another: {text:?}");
    };
    let range = head.value("Content-Range").map(|range| {
        let range = range.strip_suffix(&format!("/{size}")).and_then(|range| range.strip_prefix("bytes "));
        let (first, last) =
            range.and_then(|range| range.split_once('-')).unwrap_or_else(|| panic!("a range: {text:?}"));
        (first.parse::<u64>().expect("a number"), last.parse::<u64>().expect("a number"))
    });
    let first = match (head.status, range) {
        (Status::NotModified, None) => return assert!(content.is_empty(), "content in {text:?}"),
        (Status::Ok, None) => 0,
        (Status::PartialContent, Some((first, last))) => {
            assert!(first <= last && last < size, "a range within the file: {text:?}");
            assert_eq!(head.value("Content-Length"), Some(&*(last - first + 1).to_string()), "in {text:?}");
            first
        }
        // The simulator looks into several parts.
        (Status::PartialContent, None) => return,
        _ => panic!("an ETag in {text:?}"),
    };
    let is_right = content.iter().zip(first..).all(|(&byte, offset)| byte == byte_at(inode, offset));
    assert!(is_right, "other content than the file's: {text:?}");
}
