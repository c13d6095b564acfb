//! What was kept of requests, held against what calm clients sent and got.

use super::client::Client;
use super::request::Expected;
use crate::capture::{Captured, CapturedRequest};

/// Checks all that was kept of clients whom nothing disturbed.
pub(super) fn check(captured: &Captured, clients: &[Client]) {
    let (mut kept, forgotten) = captured.requests();
    let all: u64 = clients.iter().map(|client| begun(client) as u64).sum();
    assert_eq!(kept.len() as u64 + forgotten, all, "how many requests were kept or forgotten");
    kept.sort_by_key(|request| (request.connection, request.request));
    for request in &kept {
        let client = clients.iter().find(|client| client.accepted && client.number == request.connection);
        let client = client.unwrap_or_else(|| panic!("a request of nobody: {request:?}"));
        check_one(request, client, forgotten > 0);
    }
}

/// How many requests of a client have begun.
fn begun(client: &Client) -> usize {
    let (whole, has_part) = client.received_exchanges();
    let answered = client.reader.responses.len() + usize::from(client.headless().is_some());
    let closes = answered.checked_sub(1).is_some_and(|last| client.script[last].closes());
    // Empty lines alone are no request yet.
    let start = answered.checked_sub(1).map_or(0, |last| client.boundaries[last]);
    let is_begun = client.unanswered(start).next().is_some();
    answered + usize::from(!closes && (has_part || whole > answered) && is_begun)
}

fn check_one(request: &CapturedRequest, client: &Client, has_forgotten: bool) {
    let index = usize::try_from(request.request).expect("there are few") - 1;
    let exchange = &client.script[index];
    let shown = client.reader.responses.get(index);
    let sent = match (shown, client.headless()) {
        (Some(response), _) => response.content(&client.wire.stream).len(),
        (None, Some((_, course))) if index == client.reader.responses.len() && course.code == 0 => course.content,
        _ => 0,
    };
    assert_eq!(request.bytes_sent, sent as u64, "the content that was sent for {request:?}");
    let code = match (exchange.course(), &exchange.expected) {
        (Some(course), _) => course.is_answered.then_some(course.code),
        (None, Expected::Answer(answer)) => shown.map(|_| answer.status.code()),
        (None, _) => None,
    };
    assert_eq!(request.code, code, "the code of {request:?}");
    let Some(asked) = &exchange.request else {
        let reject = exchange.answer().and_then(|answer| answer.reject).filter(|reject| reject.closes());
        let is_refused = reject.is_some_and(|reject| reject.status().code() < 500);
        return assert!(!is_refused || !request.is_valid, "a refused request is not valid: {request:?}");
    };
    if code.is_none() && exchange.taken.is_none() {
        return;
    }
    let line = format!("{} {} HTTP/1.", asked.method, asked.case.target);
    assert!(request.head.starts_with(line.as_bytes()), "the head of {request:?}");
    let head = memchr::memmem::find(&exchange.bytes, line.as_bytes()).expect("it is there");
    assert!(exchange.bytes[head..].starts_with(&request.head), "the head of {request:?}");
    assert!(request.head.ends_with(b"\r\n\r\n") && request.is_valid, "the head of {request:?}");
    assert_eq!(memchr::memmem::find_iter(&request.head, b"\r\n\r\n").count(), 1, "more than the head of {request:?}");
    assert_eq!(request.content_length, exchange.content.len() as u64, "the length of {request:?}");
    // Of the oldest some may have given way.
    assert!(has_forgotten || request.content == exchange.content, "the content of {request:?}");
}
