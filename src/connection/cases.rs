//! Requests and what they get: each case whole, byte by byte, at every split, and followed by a pipelined request.

use super::State;
use super::table::tests::{TestTable, table, table_with};
use super::{Action, Admission, Input, Room};
use crate::http::{Reject, Status};

/// Sends the parts and returns the statuses of the answers, and whether the connection is still open after them.
fn answers(parts: &[&[u8]]) -> (Vec<u16>, bool) {
    let (mut test, slot) = table();
    for part in parts {
        give(&mut test, slot, part);
        while test.table.state(slot) != State::Closing && test.table.state(slot) != State::Free && test.step(slot) {}
    }
    let open = !matches!(test.table.state(slot), State::Closing | State::Free);
    test.finish(slot);
    assert_eq!(test.table.active(), 0, "the slot is free in the end");
    assert_eq!(test.table.counters().invariant_violations.get(), 0);
    (statuses(&test.sent), open)
}

/// Hands `bytes` over in pieces that fit, as a socket would.
fn give(test: &mut TestTable, slot: u32, bytes: &[u8]) {
    let mut rest = bytes;
    while !rest.is_empty() && test.table.state(slot) != State::Free {
        match test.table.receive_room(slot) {
            Room::Buffer(room) => {
                let count = rest.len().min(room.len());
                room[..count].copy_from_slice(&rest[..count]);
                rest = &rest[count..];
                test.table.receive(slot, Input::Bytes(count));
            }
            Room::Drain => return test.table.receive(slot, Input::Drained(rest.len())),
            Room::None => {
                if !test.step(slot) {
                    return;
                }
            }
        }
        while test.table.state(slot) == State::Processing || test.table.state(slot) == State::SendingResponse {
            test.step(slot);
        }
    }
}

/// The statuses in a stream of responses, taken apart by Content-Length.
fn statuses(stream: &[u8]) -> Vec<u16> {
    let mut found = Vec::new();
    let mut rest = stream;
    while let Some(end) = memchr::memmem::find(rest, b"\r\n\r\n") {
        let head = std::str::from_utf8(&rest[..end]).expect("a head is ASCII");
        found.push(head[9..12].parse().expect("a status line"));
        let length = head.lines().find_map(|line| line.strip_prefix("Content-Length: "));
        let content: usize = length.map_or(0, |digits| digits.parse().expect("digits"));
        rest = &rest[end + 4 + content..];
    }
    assert!(rest.is_empty(), "the stream ends with a whole response");
    found
}

const NEXT: &[u8] = b"GET /next HTTP/1.1\r\nHost: n\r\n\r\n";

/// A request, the statuses it gets, and whether the connection persists after them.
type Case = (&'static str, &'static [u16], bool);

#[rustfmt::skip]
const CASES: &[Case] = &[
    // Complete requests that are served.
    ("GET / HTTP/1.1\r\nHost: a\r\n\r\n", &[200], true),
    ("\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", &[200], true),
    ("\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", &[200], true),
    ("GET /a?b#?c HTTP/1.1\r\nHost: a\r\n\r\n", &[400], true),
    ("GET / HTTP/1.1\r\nHOST:\t a:80 \t\r\nx-y_z~: \"\x7e\" \r\nEmpty:\r\n\r\n", &[200], true),
    ("GET / HTTP/1.9\r\nHost: a\r\n\r\n", &[200], true),
    ("GET http://a/b HTTP/1.1\r\nHost: c\r\n\r\n", &[200], true),
    ("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", &[200], false),
    ("GET / HTTP/1.1\r\nHost: a\r\nConnection: foo, CLOSE ,bar\r\n\r\n", &[200], false),
    ("GET / HTTP/1.1\r\nHost: a\r\nConnection: enclosed\r\n\r\n", &[200], true),
    ("GET / HTTP/1.0\r\n\r\n", &[200], false),
    ("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", &[200], true),
    ("OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n", &[204], true),
    ("OPTIONS /x HTTP/1.1\r\nHost: a\r\n\r\n", &[204], true),
    ("GET /.git HTTP/1.1\r\nHost: a\r\n\r\n", &[404], true),
    // Methods: the framing first, then the method.
    ("POST / HTTP/1.1\r\nHost: a\r\n\r\n", &[405], true),
    ("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello", &[405], true),
    ("GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello", &[200], true),
    ("PUT /x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n", &[405], true),
    ("PUT /x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: CHUNKED\r\n\r\n5;a=\"b\"\r\nhello\r\n0\r\nT: v\r\n\r\n", &[405], true),
    ("CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\n\r\n", &[405], true),
    ("get / HTTP/1.1\r\nHost: a\r\n\r\n", &[501], true),
    ("BREW /pot HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi", &[501], true),
    ("POST / HTTP/1.1\r\nHost: a\r\nExpect: 200-maybe\r\n\r\n", &[417], true),
    ("POST / HTTP/1.1\r\nHost: a\r\nExpect: 200-maybe\r\nContent-Length: 2\r\n\r\nhi", &[417], false),
    // Paths.
    ("GET /%00 HTTP/1.1\r\nHost: a\r\n\r\n", &[400], true),
    ("GET /%zz HTTP/1.1\r\nHost: a\r\n\r\n", &[400], true),
    ("GET /a%2fb HTTP/1.1\r\nHost: a\r\n\r\n", &[400], true),
    ("GET /a%5Cb HTTP/1.1\r\nHost: a\r\n\r\n", &[400], true),
    ("GET /../a HTTP/1.1\r\nHost: a\r\n\r\n", &[400], true),
    ("GET /%2e%2e/a HTTP/1.1\r\nHost: a\r\n\r\n", &[400], true),
    ("POST /%2e%2e/a HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi", &[400], true),
    ("GET /a#b HTTP/1.1\r\nHost: a\r\n\r\n", &[400], true),
    ("GET /{a} HTTP/1.1\r\nHost: a\r\n\r\n", &[400], false),
    // Request lines.
    ("\r\n\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", &[400], false),
    ("GET / HTTP/2.0\r\nHost: a\r\n\r\n", &[505], false),
    ("GET / HTTP/0.9\r\n\r\n", &[505], false),
    ("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", &[505], false),
    ("GET /\r\n", &[400], false),
    ("GET\r\n\r\n", &[400], false),
    ("GET  / HTTP/1.1\r\nHost: a\r\n\r\n", &[400], false),
    ("GET / HTTP/1.1 \r\nHost: a\r\n\r\n", &[400], false),
    ("GET\t/ HTTP/1.1\r\nHost: a\r\n\r\n", &[400], false),
    ("GET / http/1.1\r\nHost: a\r\n\r\n", &[400], false),
    ("GET / HTTP/1.10\r\nHost: a\r\n\r\n", &[400], false),
    ("GET / HTTP/4294967297.1\r\nHost: a\r\n\r\n", &[400], false),
    ("G@T / HTTP/1.1\r\nHost: a\r\n\r\n", &[400], false),
    ("GET * HTTP/1.1\r\nHost: a\r\n\r\n", &[400], false),
    ("GET a HTTP/1.1\r\nHost: a\r\n\r\n", &[400], false),
    ("GET a:80 HTTP/1.1\r\nHost: a\r\n\r\n", &[400], false),
    ("GET ftp://a/ HTTP/1.1\r\nHost: a\r\n\r\n", &[400], false),
    ("GET http://u:p@a/ HTTP/1.1\r\nHost: a\r\n\r\n", &[400], false),
    ("CONNECT / HTTP/1.1\r\nHost: a\r\n\r\n", &[400], false),
    ("\u{16}\u{3}\u{1}\u{2}", &[400], false),
    // Line ends and control bytes.
    ("GET / HTTP/1.1\nHost: a\r\n\r\n", &[400], false),
    ("GET / HTTP/1.1\r\nHost: a\n\r\n", &[400], false),
    ("GET / HTTP/1.1\r\nHost: a\r\n\n", &[400], false),
    ("GET / HTTP/1.1\rHost: a\r\n\r\n", &[400], false),
    ("GET / HTTP/1.1\r\nHost: a\rX: b\r\n\r\n", &[400], false),
    ("GET / HTTP/1.1\r\nHost: a\r\nX: a\0b\r\n\r\n", &[400], false),
    ("GET / HTTP/1.1\r\nHost: a\r\nX: a\x0bb\r\n\r\n", &[400], false),
    ("GET / HTTP/1.1\r\nHost: a\r\nX: \x7f\r\n\r\n", &[400], false),
    ("GET /\0 HTTP/1.1\r\nHost: a\r\n\r\n", &[400], false),
    // Field lines.
    ("GET / HTTP/1.1\r\nHost: a\r\n b: c\r\n\r\n", &[400], false),
    ("GET / HTTP/1.1\r\n Host: a\r\n\r\n", &[400], false),
    ("GET / HTTP/1.1\r\nHost: a\r\nX : b\r\n\r\n", &[400], false),
    ("GET / HTTP/1.1\r\nHost: a\r\n: b\r\n\r\n", &[400], false),
    ("GET / HTTP/1.1\r\nHost: a\r\nX\r\n\r\n", &[400], false),
    ("GET / HTTP/1.1\r\nHost: a\r\nX Y: b\r\n\r\n", &[400], false),
    // Host.
    ("GET / HTTP/1.1\r\n\r\n", &[400], false),
    ("GET / HTTP/1.1\r\nHost:\r\n\r\n", &[400], false),
    ("GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n", &[400], false),
    ("GET / HTTP/1.1\r\nHost: a b\r\n\r\n", &[400], false),
    ("GET / HTTP/1.1\r\nHost: a/b\r\n\r\n", &[400], false),
    ("GET / HTTP/1.1\r\nHost: a:b\r\n\r\n", &[400], false),
    ("GET / HTTP/1.1\r\nHost: u@a\r\n\r\n", &[400], false),
    ("GET http://a/ HTTP/1.1\r\n\r\n", &[400], false),
    // Lengths.
    ("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: +5\r\n\r\nhello", &[400], false),
    ("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0x5\r\n\r\nhello", &[400], false),
    ("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5, 5\r\n\r\nhello", &[400], false),
    ("POST / HTTP/1.1\r\nHost: a\r\nContent-Length:\r\n\r\n", &[400], false),
    ("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\nhello", &[400], false),
    ("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999999\r\n\r\n", &[413], false),
    ("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999999999999999999\r\n\r\n", &[413], false),
    ("GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 1048577\r\n\r\n", &[413], false),
    ("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n", &[400], false),
    ("POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", &[400], false),
    ("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n", &[400], false),
    ("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked, gzip\r\n\r\n0\r\n\r\n", &[400], false),
    ("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip\r\n\r\n", &[501], false),
    ("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", &[501], false),
    ("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: \x0bchunked\r\n\r\n0\r\n\r\n", &[400], false),
    // Chunks.
    ("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhelloX\r\n0\r\n\r\n", &[400], false),
    ("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\nhello\r\n0\r\n\r\n", &[400], false),
    ("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0x5\r\nhello\r\n0\r\n\r\n", &[400], false),
    ("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5 \r\nhello\r\n0\r\n\r\n", &[400], false),
    ("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nFFFFFFFFFFFFFFFF\r\n", &[413], false),
    ("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n100001\r\n", &[413], false),
    ("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nBad Trailer: x\r\n\r\n", &[400], false),
];

/// What follows the case: nothing where it closes, one more 200 where it persists.
fn check(name: &str, request: &[u8], expected: &[u16], persists: bool) {
    let with = |extra: &[u16]| [expected, extra].concat();
    assert_eq!(answers(&[request]), (expected.to_vec(), persists), "whole: {name}");
    let bytes: Vec<&[u8]> = request.chunks(1).collect();
    assert_eq!(answers(&bytes), (expected.to_vec(), persists), "byte by byte: {name}");
    for split in 1..request.len() {
        let parts = request.split_at(split);
        assert_eq!(answers(&[parts.0, parts.1]), (expected.to_vec(), persists), "split at {split}: {name}");
    }
    let followed = [request, NEXT].concat();
    let after = if persists { with(&[200]) } else { with(&[]) };
    assert_eq!(answers(&[&followed]), (after.clone(), persists), "followed: {name}");
    let bytes: Vec<&[u8]> = followed.chunks(1).collect();
    assert_eq!(answers(&bytes), (after, persists), "followed, byte by byte: {name}");
}

#[test]
fn each_case_whole_byte_by_byte_at_every_split_and_followed_by_another() {
    for (request, expected, persists) in CASES {
        check(&request.escape_debug().to_string(), request.as_bytes(), expected, *persists);
    }
}

#[test]
fn requests_at_the_limits() {
    let line = |length: usize| {
        let fixed = "GET / HTTP/1.1".len();
        format!("GET /{} HTTP/1.1\r\nHost: a\r\n\r\n", "p".repeat(length - fixed))
    };
    let fields = |count: usize| format!("GET / HTTP/1.1\r\nHost: a\r\n{}\r\n", "X: y\r\n".repeat(count - 1));
    let head = |length: usize| {
        let fixed = "GET / HTTP/1.1\r\nHost: a\r\nX: \r\n\r\n".len();
        format!("GET / HTTP/1.1\r\nHost: a\r\nX: {}\r\n\r\n", "y".repeat(length - fixed))
    };
    for (name, request, expected, persists) in [
        ("a request line of 3,900 bytes", line(3900), 200, true),
        ("a request line of 8,000 bytes, whose name does not fit the pool", line(8000), 507, false),
        ("a request line of 8,001 bytes", line(8001), 414, false),
        ("a target of 10 KB", line(10_000), 414, false),
        ("100 field lines", fields(100), 200, true),
        ("101 field lines", fields(101), 431, false),
        ("a head of 16,384 bytes", head(16_384), 200, true),
        ("a head of 16,385 bytes", head(16_385), 431, false),
    ] {
        let request = request.as_bytes();
        let after = if persists { vec![expected, 200] } else { vec![expected] };
        let followed = [request, NEXT].concat();
        assert_eq!(answers(&[request]), (vec![expected], persists), "whole: {name}");
        assert_eq!(answers(&request.chunks(1).collect::<Vec<_>>()), (vec![expected], persists), "byte by byte: {name}");
        for split in (1..request.len()).step_by(97) {
            let (first, second) = request.split_at(split);
            assert_eq!(answers(&[first, second]), (vec![expected], persists), "split at {split}: {name}");
        }
        assert_eq!(answers(&[&followed]), (after, persists), "followed: {name}");
    }
}

#[test]
fn content_up_to_the_limit_is_taken_in_behind_a_head_of_any_size() {
    for padding in [1, 16_000, 16_384 - "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1048576\r\nX: \r\n\r\n".len()] {
        let head =
            format!("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1048576\r\nX: {}\r\n\r\n", "y".repeat(padding));
        let request = [head.as_bytes(), &[b'G'; 1 << 20], NEXT].concat();
        assert_eq!(answers(&[&request]), (vec![405, 200], true), "with {padding} bytes of padding");
    }
}

#[test]
fn content_is_taken_in_wherever_in_the_buffer_its_head_ends() {
    let get = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
    for padding in 0..1200 {
        let post = format!("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 600\r\nX: {}\r\n\r\n", "y".repeat(padding));
        let before = get.repeat((16_384 - 600) / get.len());
        let mut expected = vec![200; (16_384 - 600) / get.len()];
        expected.extend([405, 200]);
        let content = "c".repeat(600);
        let parts = [before + &post, content + std::str::from_utf8(NEXT).expect("it is ASCII")];
        assert_eq!(
            answers(&parts.each_ref().map(|part| part.as_bytes())),
            (expected, true),
            "{padding} bytes of padding"
        );
    }
}

#[test]
fn expect_continue_is_answered_before_the_content_comes() {
    let head = b"POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n";
    assert_eq!(answers(&[head, b"hello", NEXT]), (vec![100, 405, 200], true));
    assert_eq!(answers(&[&[&head[..], b"hello"].concat()]), (vec![405], true), "the content is there already");
    let bytes: Vec<&[u8]> = head.chunks(1).chain([&b"hello"[..]]).collect();
    assert_eq!(answers(&bytes), (vec![100, 405], true));
}

#[test]
fn nothing_of_one_request_reaches_the_next() {
    let first = b"GET /a HTTP/1.0\r\nConnection: keep-alive\r\nExpect: x\r\n\r\n";
    let second = b"GET /b HTTP/1.1\r\nHost: b\r\n\r\n";
    assert_eq!(answers(&[&[&first[..], second].concat()]), (vec![417, 200], true));
    let post = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc";
    assert_eq!(answers(&[&[&post[..], second, post, second].concat()]), (vec![405, 200, 405, 200], true));
}

#[test]
fn head_gets_the_head_of_get_and_the_next_request_its_content() {
    let (mut test, slot) = table();
    give(&mut test, slot, b"HEAD /a HTTP/1.1\r\nHost: a\r\n\r\nGET /a HTTP/1.1\r\nHost: a\r\n\r\n");
    while test.step(slot) {}
    let sent = std::str::from_utf8(&test.sent).expect("it is text");
    let (head, rest) = sent.split_once("\r\n\r\n").expect("a head");
    assert_eq!(rest.strip_prefix(head), Some("\r\n\r\nhello\n"), "the same head, then the content once");
}

#[test]
fn a_name_ends_where_its_path_ends_whatever_dot_segments_were_removed() {
    for (path, name) in [
        ("/x/../dir", c"dir"),
        ("/xxxxxxxx/../", c"index.html"),
        ("/a/b/c/../../d", c"a/d"),
        ("/%2e/long-segment/%2e%2e/s/", c"s/index.html"),
    ] {
        let (mut test, slot) = table();
        test.feed(slot, format!("GET {path} HTTP/1.1\r\nHost: a\r\n\r\n").as_bytes());
        match test.table.next_action(slot) {
            Action::Open { name: opened, .. } => assert_eq!(opened.as_c_str(), name, "{path}"),
            other => panic!("{path}: {other:?}"),
        }
    }
}

/// A directory whose name grows to three times its length in a `Location`, behind answers that wait to be sent.
#[test]
fn a_redirect_that_does_not_fit_is_an_answer_of_its_own() {
    for brackets in [100, 1700, 3000] {
        let (mut test, slot) = table_with("buffer_size", 9000);
        let get = "GET /a HTTP/1.1\r\nHost: a\r\n\r\n";
        let redirect = format!("GET /{} HTTP/1.1\r\nHost: a\r\n\r\n", "[".repeat(brackets));
        give(&mut test, slot, format!("{get}{get}{redirect}{get}").as_bytes());
        while test.step(slot) {}
        let expected = if brackets < 2900 { 301 } else { 500 };
        assert_eq!(statuses(&test.sent), [200, 200, expected, 200], "{brackets} brackets");
    }
}

#[test]
fn a_drain_ends_every_connection_with_its_next_response_and_no_sooner() {
    let (mut test, idle) = table();
    give(&mut test, idle, NEXT);
    test.run_until(idle, State::ReadingRequestLine);
    while test.step(idle) {}
    assert!(memchr::memmem::find(&test.sent, b"Connection: close").is_none());
    test.table.begin_drain();
    test.table.begin_drain();
    // Idle connections stay, and newcomers are accepted.
    while test.step(idle) {}
    assert_eq!(test.table.state(idle), State::ReadingRequestLine);
    let Admission::Slot(newcomer) = test.table.admit(None) else { panic!("there is a free slot") };
    for (slot, request) in [(idle, NEXT), (newcomer, b"nonsense\r\n\r\n")] {
        test.sent.clear();
        // Another request behind it is not answered.
        give(&mut test, slot, &[request, NEXT].concat());
        while test.step(slot) {}
        assert_eq!(statuses(&test.sent).len(), 1);
        assert_eq!(memchr::memmem::find_iter(&test.sent, b"Connection: close\r\n").count(), 1);
        assert_eq!(test.table.state(slot), State::Closing);
        test.finish(slot);
    }
    assert_eq!(test.table.active(), 0);
    let lines = test.lines();
    let told: Vec<_> = lines.iter().filter(|line| line.starts_with("Draining")).collect();
    assert_eq!(told, ["Draining: 1 connections open; health answers 503"]);
}

#[test]
fn a_drain_that_comes_after_the_stop_is_not_told() {
    let (mut test, slot) = table();
    test.table.begin_stop();
    test.table.begin_drain();
    while test.step(slot) {}
    let lines = test.lines();
    assert!(lines.iter().any(|line| line.starts_with("Stopping: 1 ")));
    assert!(!lines.iter().any(|line| line.starts_with("Draining")));
}

/// The number of overflows is of requests, that of 507 is of answers: whoever is lost before its answer could be begun has had the
/// one and not the other.
#[test]
fn a_pool_that_overflows_counts_though_the_peer_is_lost_before_the_507() {
    for is_lost in [false, true] {
        let (mut test, slot) = table_with("pool_size", 256);
        // Its answer may be three times as long as its line, so that the one before has to go out first.
        let fields = "A: b\r\n".repeat(40);
        let overflowing = format!("GET /{} HTTP/1.1\r\nHost: a\r\n{fields}\r\n", "x".repeat(5400));
        test.feed(slot, format!("GET /a HTTP/1.1\r\nHost: a\r\n\r\n{overflowing}").as_bytes());
        while !matches!(test.table.next_action(slot), Action::Send { .. }) {
            test.step(slot);
        }
        assert_eq!(test.table.counters().pool_overflows.get(), 1);
        assert_eq!(test.table.state(slot), State::Processing);
        if is_lost {
            test.table.receive(slot, Input::Lost);
        }
        while test.step(slot) {}
        test.finish(slot);
        let counters = test.table.counters();
        let refused = counters.rejects[Reject::PoolExhausted as usize].get();
        let answered = counters.responses[Status::InsufficientStorage as usize].get();
        assert_eq!((counters.pool_overflows.get(), refused), (1, u64::from(!is_lost)));
        assert_eq!(answered, refused);
        assert_eq!(counters.invariant_violations.get(), 0);
        assert_eq!(statuses(&test.sent).len(), if is_lost { 0 } else { 2 });
    }
}
