//! The request head against httparse: what both accept both understand alike, and what ours accepts httparse does too.

use super::head::{read_whole, without_empty_lines};
use crate::connection::probe::Verdict;
use crate::http::field::FieldLine;
use crate::http::{Span, Version};
use httparse::{EMPTY_HEADER, Error, Request, Status};

/// A request that ours accepts and httparse refuses, by the error that it gives.
type Difference = (&'static str, fn(Error, &[u8]) -> bool);

/// The differences that are meant to be.
const ALLOWED: &[Difference] = &[
    // RFC 9112 section 2.3 with RFC 9110 section 2.5: a minor version above ours is processed as ours. httparse knows 0 and 1.
    ("a minor version above 1", |error, line| {
        error == Error::Version && line.last().is_some_and(|minor| (b'2'..=b'9').contains(minor))
    }),
];

/// Holds our parser of request heads against httparse.
pub fn against_httparse(bytes: &[u8]) {
    let Verdict::Complete(head) = read_whole(bytes) else { return };
    let bytes = &without_empty_lines(bytes)[..head.length];
    let mut fields = [EMPTY_HEADER; 128];
    let mut request = Request::new(&mut fields);
    match request.parse(bytes) {
        Ok(Status::Complete(length)) => assert_eq!(length, head.length, "where the head ends"),
        Ok(Status::Partial) => panic!("httparse waits for more of {}", bytes.escape_ascii()),
        Err(error) => {
            let is_allowed = ALLOWED.iter().any(|(_, is_it)| is_it(error, &head.line));
            assert!(is_allowed, "httparse refuses, with {error}: {}", bytes.escape_ascii());
            return;
        }
    }
    let method = head.line.split(|&byte| byte == b' ').next();
    assert_eq!(request.method.map(str::as_bytes), method);
    assert_eq!(request.path.map(str::as_bytes), Some(&*head.target));
    assert_eq!(request.version, Some(if head.version == Version::Http10 { 0 } else { 1 }));
    assert_eq!(request.headers.len(), head.fields.len(), "how many field lines there are");
    for (theirs, ours) in request.headers.iter().zip(&head.fields) {
        assert_eq!(theirs.value.trim_ascii(), ours.1.trim_ascii(), "the value of {}", theirs.name);
        let line = format!("{}:", theirs.name);
        let named = FieldLine::parse(line.as_bytes(), Span::new(0, line.len()));
        assert_eq!(named.map(|field| field.name), Ok(ours.0), "what {} means", theirs.name);
    }
}
