//! What a strict client makes of the bytes that the server sends.

use super::files::Files;
use super::request::{Exchange, Expected};
use crate::http::{Reject, Status};

/// One response as far as it has come.
#[derive(Clone, Debug)]
pub(super) struct Response {
    pub(super) status: Status,
    pub(super) closes: bool,
    says_keep_alive: bool,
    pub(super) location: Option<String>,
    pub(super) file: Option<usize>,
    content_start: usize,
    /// The bytes of content that must come.
    content_length: usize,
    /// Where it ends in the stream; nothing while it is not complete.
    pub(super) end: Option<usize>,
    /// The peer asked with HEAD and was cut off before the server knew: content may follow or not.
    content_is_optional: bool,
}

/// A client's view of the stream.
#[derive(Debug, Default)]
pub(super) struct Reader {
    at: usize,
    pub(super) responses: Vec<Response>,
    /// How many times 100 (Continue) came.
    pub(super) interim: usize,
    /// How many responses had come before the last of them.
    continued_at: Option<usize>,
}

impl Reader {
    /// Takes in what has come since the last call.
    pub(super) fn advance(&mut self, stream: &[u8], script: &[Exchange], files: &Files) {
        loop {
            if let Some(response) = self.responses.last_mut().filter(|response| response.end.is_none()) {
                let end = response.content_start + response.content_length;
                if stream.len() < end {
                    return;
                }
                response.end = Some(end);
                check_content(response, stream, files);
                self.at = end;
            }
            if self.at == stream.len() {
                return;
            }
            if let Some(last) = self.responses.last()
                && last.closes
            {
                let rest = &stream[self.at..];
                let allowed = last.content_is_optional && Reject::HeaderTimeout.content().as_bytes().starts_with(rest);
                assert!(allowed, "bytes follow the last response: {:?}", rest.escape_ascii().to_string());
                return;
            }
            let rest = &stream[self.at..];
            let Some(length) = memchr::memmem::find(rest, b"\r\n\r\n") else {
                assert!(rest.len() < 8192, "a head does not end");
                return;
            };
            let head = std::str::from_utf8(&rest[..length]).expect("a head is ASCII");
            let content_start = self.at + length + 4;
            if head == "HTTP/1.1 100 Continue" {
                let index = self.responses.len();
                let exchange = script.get(index).expect("100 (Continue) follows a request");
                assert!(exchange.may_continue, "100 (Continue) where none was asked for");
                let is_first = self.continued_at != Some(index) || matches!(exchange.expected, Expected::Anything);
                assert!(is_first, "100 (Continue) twice");
                self.continued_at = Some(index);
                self.interim += 1;
                self.at = content_start;
                continue;
            }
            let is_head = script.get(self.responses.len()).is_some_and(|exchange| exchange.is_head);
            self.responses.push(parse_head(head, content_start, is_head, files));
        }
    }

    /// Checks what there is of a response that is not complete.
    pub(super) fn check_rest(&self, stream: &[u8], files: &Files) {
        if let Some(response) = self.responses.last().filter(|response| response.end.is_none()) {
            check_content(response, stream, files);
        }
    }

    /// How many responses are complete within the first `read` bytes.
    pub(super) fn complete(&self, read: usize) -> usize {
        self.responses.iter().take_while(|response| response.end.is_some_and(|end| end <= read)).count()
    }

    /// Whether the stream ends with a whole response, or is empty.
    pub(super) fn is_whole(&self, stream: &[u8]) -> bool {
        self.at == stream.len() && self.responses.last().is_none_or(|response| response.end.is_some())
    }

    /// Where the stream is cut off within a response: the bytes of content that have come.
    pub(super) fn content_so_far(&self, stream: &[u8]) -> usize {
        self.responses.last().map_or(0, |response| stream.len() - response.content_start)
    }
}

fn parse_head(head: &str, content_start: usize, is_head: bool, files: &Files) -> Response {
    let mut lines = head.split("\r\n");
    let status_line = lines.next().unwrap_or_default();
    let status = Status::ALL.iter().find(|status| status.line().strip_suffix("\r\n") == Some(status_line));
    let status = *status.unwrap_or_else(|| panic!("no status line of ours: {status_line:?}"));
    let fields: Vec<_> = lines
        .map(|line| line.split_once(": ").unwrap_or_else(|| panic!("no field line: {line:?} in {head:?}")))
        .collect();
    let value = |name: &str| {
        let mut values = fields.iter().filter(|field| field.0 == name).map(|field| field.1);
        let first = values.next();
        assert!(values.next().is_none(), "{name} is repeated in {head:?}");
        first
    };
    let date = value("Date").unwrap_or_default();
    assert!(date.len() == 29 && date.ends_with(" GMT"), "no Date in {head:?}");
    let connection = value("Connection");
    assert!(matches!(connection, None | Some("close" | "keep-alive")), "Connection in {head:?}");
    assert_eq!(value("Allow").is_some(), matches!(status.code(), 204 | 405), "Allow in {head:?}");
    assert_eq!(value("Retry-After").is_some(), status.code() == 503, "Retry-After in {head:?}");
    assert_eq!(value("Location").is_some(), status.code() == 301, "Location in {head:?}");
    let length = value("Content-Length").map(|digits| digits.parse::<usize>().expect("a length is a number"));
    assert_eq!(length.is_none(), status == Status::NoContent, "Content-Length in {head:?}");
    let file = (status == Status::Ok).then(|| {
        let mut parts = value("ETag").unwrap_or_default().trim_matches('"').split('-');
        let mut part = || u64::from_str_radix(parts.next().unwrap_or_default(), 16).expect("an ETag of ours");
        let (size, id, changed) = (part(), part(), part());
        let id = usize::try_from(id).expect("there are few files");
        assert_eq!((size, changed), (files.size(id), 0xabc), "ETag in {head:?}");
        assert_eq!(length.map(|length| length as u64), Some(size), "Content-Length in {head:?}");
        id
    });
    Response {
        status,
        closes: connection == Some("close"),
        says_keep_alive: connection == Some("keep-alive"),
        location: value("Location").map(str::to_owned),
        file,
        content_start,
        content_length: if is_head { 0 } else { length.unwrap_or(0) },
        end: None,
        content_is_optional: is_head && status == Status::RequestTimeout,
    }
}

fn check_content(response: &Response, stream: &[u8], files: &Files) {
    let end = stream.len().min(response.content_start + response.content_length);
    let content = &stream[response.content_start..end];
    if let Some(file) = response.file {
        assert!(Files::is_content(file, 0, content), "the content is not that of file {file}");
        assert!(content.len() as u64 <= files.left(file), "more content came than file {file} has");
        return;
    }
    let is_prefix = |text: &str| text.as_bytes().starts_with(content);
    let of_reject = Reject::ALL.iter().filter(|reject| reject.status() == response.status);
    let known = is_prefix(response.status.content()) || of_reject.clone().any(|reject| is_prefix(reject.content()));
    assert!(known, "unknown content of {}: {}", response.status.text(), content.escape_ascii());
}

impl Response {
    /// Checks it against the answer that its request must get. `ends_anyway` tells that the server may have ended the connection
    /// for a reason of its own.
    pub(super) fn check(&self, exchange: &Exchange, stream: &[u8], ends_anyway: bool) {
        let Some(answer) = exchange.answer() else { return };
        let request = exchange.bytes[..exchange.bytes.len().min(120)].escape_ascii();
        assert_eq!(self.status, answer.status, "the status that answers {request}");
        assert_eq!(self.file, answer.file, "the file that answers {request}");
        assert_eq!(self.location, answer.location, "the Location that answers {request}");
        assert!(
            self.closes == answer.says_close || (self.closes && ends_anyway),
            "the Connection that answers {request}"
        );
        assert_eq!(self.says_keep_alive, answer.is_old && !self.closes, "keep-alive in answer to {request}");
        if let (Some(end), None) = (self.end, answer.file) {
            let content = answer.reject.map_or(answer.status.content(), Reject::content);
            let sent = &stream[self.content_start..end];
            let is_empty = exchange.is_head || self.status == Status::NoContent;
            assert_eq!(sent, if is_empty { b"" } else { content.as_bytes() }, "the content that answers {request}");
        }
    }
}
