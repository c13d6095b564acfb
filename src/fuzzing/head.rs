//! The request head as a connection parses it: whole, cut at every place, and held against a plain reading of the same bytes.

use super::cuts;
use crate::connection::probe::{Head, Probe, Verdict};
use crate::http::Version;
use crate::http::field::FieldName;
use crate::http::framing::ContentLength;
use std::cell::RefCell;

thread_local! {
    /// The server as it comes, and one whose every limit is near.
    static PROBES: RefCell<[Probe; 2]> = RefCell::new([
        Probe::new(&[]),
        Probe::new(&[("buffer_size", 2048), ("max_request_line", 100), ("max_field_lines", 12), ("pool_size", 256)]),
    ]);
}

/// What a connection of the server as it comes makes of `bytes`.
pub(super) fn read_whole(bytes: &[u8]) -> Verdict {
    PROBES.with_borrow_mut(|probes| probes[0].read([bytes]))
}

/// Checks a request head.
pub fn request_head(bytes: &[u8]) {
    PROBES.with_borrow_mut(|probes| {
        for probe in probes {
            let verdict = probe.read([bytes]);
            for cut in cuts(bytes.len()) {
                let (first, second) = bytes.split_at(cut);
                assert_eq!(probe.read([first, second]), verdict, "cut at {cut}");
            }
            assert_eq!(probe.read(bytes.chunks(1)), verdict, "byte by byte");
            match verdict {
                Verdict::Complete(head) => check_complete(bytes, &head, probe),
                Verdict::Incomplete => assert!(find_end(bytes).is_none(), "a whole head is incomplete"),
                Verdict::Refused(reject) => assert!(reject.closes(), "{} leaves the framing in doubt", reject.name()),
            }
        }
    });
}

/// The bytes from the request line on: one or two empty lines before it are skipped.
pub(super) fn without_empty_lines(bytes: &[u8]) -> &[u8] {
    let once = bytes.strip_prefix(b"\r\n").unwrap_or(bytes);
    once.strip_prefix(b"\r\n").unwrap_or(once)
}

/// Where the head ends, by its first empty line.
fn find_end(bytes: &[u8]) -> Option<usize> {
    let bytes = without_empty_lines(bytes);
    bytes.windows(4).position(|window| window == b"\r\n\r\n").map(|position| position + 4)
}

fn check_complete(bytes: &[u8], head: &Head, probe: &Probe) {
    assert_eq!(Some(head.length), find_end(bytes), "the head ends with its first empty line");
    let text = &without_empty_lines(bytes)[..head.length - 4];
    let mut lines = Vec::new();
    let mut start = 0;
    while let Some(length) = text[start..].windows(2).position(|window| window == b"\r\n") {
        lines.push(&text[start..start + length]);
        start += length + 2;
    }
    lines.push(&text[start..]);
    let (request_line, field_lines) = lines.split_first().expect("a request line");
    assert!(head.length <= probe.limits().buffer_size && request_line.len() <= probe.limits().max_request_line);
    assert!(field_lines.len() <= probe.limits().max_field_lines);
    check_request_line(request_line, head);
    assert_eq!(field_lines.len(), head.fields.len(), "every line is a field line");
    let fields: Vec<_> =
        field_lines.iter().zip(&head.fields).map(|(line, field)| check_field_line(line, field)).collect();
    check_framing(&fields, head);
}

fn is_tchar(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

fn is_token(bytes: &[u8]) -> bool {
    !bytes.is_empty() && bytes.iter().copied().all(is_tchar)
}

fn check_request_line(line: &[u8], head: &Head) {
    assert_eq!(line, head.line);
    assert!(line.iter().all(|byte| (0x20..0x7f).contains(byte)), "a request line is visible ASCII and SP");
    let parts: Vec<_> = line.split(|&byte| byte == b' ').collect();
    let [method, target, version] = parts[..] else { panic!("three parts, each behind one SP") };
    assert!(is_token(method) && !target.is_empty());
    assert_eq!(target, head.target);
    let minor = version.strip_prefix(b"HTTP/1.").expect("the major version is 1");
    assert!(minor.len() == 1 && minor[0].is_ascii_digit());
    assert_eq!(head.version == Version::Http10, minor == b"0");
}

/// Checks one field line and returns its name in lower case, and its value.
fn check_field_line<'a>(line: &'a [u8], field: &(FieldName, Vec<u8>)) -> (String, &'a [u8]) {
    assert!(line.iter().all(|&byte| byte == b'\t' || (byte >= 0x20 && byte != 0x7f)), "no control byte but HTAB");
    let colon = line.iter().position(|&byte| byte == b':').expect("a colon");
    let (name, mut value) = (&line[..colon], &line[colon + 1..]);
    assert!(is_token(name), "a field name is a token");
    while let Some((b' ' | b'\t', rest)) = value.split_first() {
        value = rest;
    }
    while let Some((b' ' | b'\t', rest)) = value.split_last() {
        value = rest;
    }
    assert_eq!(value, field.1, "a value loses the OWS around it and nothing else");
    let name = String::from_utf8_lossy(name).to_ascii_lowercase();
    for (meaning, known) in [
        (FieldName::Connection, "connection"),
        (FieldName::ContentLength, "content-length"),
        (FieldName::Expect, "expect"),
        (FieldName::Host, "host"),
        (FieldName::IfRange, "if-range"),
        (FieldName::Range, "range"),
        (FieldName::TransferEncoding, "transfer-encoding"),
    ] {
        assert_eq!(field.0 == meaning, name == known, "what {name} means");
    }
    (name, value)
}

fn check_framing(fields: &[(String, &[u8])], head: &Head) {
    let values = |name: &str| fields.iter().filter(|field| field.0 == name).map(|field| field.1).collect::<Vec<_>>();
    let is_old = head.version == Version::Http10;
    let hosts = values("host");
    assert!(hosts.len() == 1 || (is_old && hosts.is_empty()), "one Host");
    let (lengths, codings) = (values("content-length"), values("transfer-encoding"));
    let content = match (&lengths[..], &codings[..]) {
        ([], []) => ContentLength::None,
        ([digits], []) => {
            assert!(!digits.is_empty() && digits.iter().all(u8::is_ascii_digit), "a length is 1*DIGIT");
            match std::str::from_utf8(digits).expect("digits are ASCII").parse().expect("it is within the limit") {
                0 => ContentLength::None,
                bytes => ContentLength::Bytes(bytes),
            }
        }
        ([], [coding]) => {
            assert!(!is_old && coding.eq_ignore_ascii_case(b"chunked"), "chunked, in HTTP/1.1");
            ContentLength::Chunked
        }
        _ => panic!("the length is ambiguous: {lengths:?}, {codings:?}"),
    };
    assert_eq!(head.framing.content, content);
    let options = values("connection").join(&b","[..]).to_ascii_lowercase();
    let options: Vec<_> = options.split(|&byte| byte == b',').map(<[u8]>::trim_ascii).collect();
    let persists = !options.contains(&&b"close"[..]) && (!is_old || options.contains(&&b"keep-alive"[..]));
    let expectations = values("expect");
    let is_met = |value: &&[u8]| value.eq_ignore_ascii_case(b"100-continue");
    let is_unmet = !expectations.iter().all(is_met);
    assert_eq!(head.framing.unmet_expectation, is_unmet);
    // Content that may or may not come leaves the connection in doubt.
    let persists = persists && !(is_unmet && content != ContentLength::None);
    assert_eq!(head.framing.persistent, persists, "the Connection options are {options:?}");
    let expects = expectations.iter().any(is_met) && !is_old && content != ContentLength::None;
    assert_eq!(head.framing.expects_continue, expects);
}
