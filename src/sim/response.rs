//! What a strict client makes of the bytes that the server sends.

use super::canned::Spec;
use super::chunks::Chunks;
use super::files::Files;
use super::head::Head;
use super::multipart::{self, Seen};
use super::request::{Exchange, Expected};
use crate::http::listing::Format;
use crate::http::{Reject, Status};
use std::rc::Rc;

/// What the head of a response announces.
#[derive(Clone, Debug)]
enum Body {
    Text,
    /// So much of a file, all of the content.
    Part {
        file: usize,
        first: u64,
    },
    /// Several parts of a file behind boundaries.
    Parts {
        file: usize,
        boundary: String,
    },
    /// The list of a directory: in chunks, or up to the end of the stream. An answer to HEAD has none.
    Listing(Format, Option<Chunks>),
    /// What was registered.
    Registered(Rc<Spec>),
}

/// One response as far as it has come.
#[derive(Clone, Debug)]
pub(super) struct Response {
    pub(super) head: Head,
    pub(super) status: Status,
    pub(super) closes: bool,
    body: Body,
    pub(super) content_start: usize,
    /// The bytes of content that must come, where that is announced.
    pub(super) content_length: usize,
    /// It has no other end than that of the stream.
    ends_with_stream: bool,
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
    /// What comes is not known any more, and not looked at.
    pub(super) is_blind: bool,
}

impl Reader {
    /// Takes in what has come since the last call.
    pub(super) fn advance(&mut self, stream: &[u8], script: &[Exchange], files: &Files) {
        if self.is_blind {
            return;
        }
        loop {
            if let Some(response) = self.responses.last_mut().filter(|response| response.end.is_none()) {
                response.end = response.find_end(stream);
                let Some(end) = response.end else { return };
                response.check_content(stream, files);
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
            let exchange = script.get(self.responses.len());
            let taken = exchange.and_then(|exchange| exchange.taken.as_ref());
            if let Some((spec, false)) = taken.zip(exchange).map(|(spec, it)| (spec, spec.course(it.is_head).is_shown))
            {
                let come = if spec.course(false).code == 0 { spec.course(false).content } else { 0 };
                assert!(spec.content[..come].starts_with(rest), "what has no head is {}", rest.escape_ascii());
                return;
            }
            let Some(length) = memchr::memmem::find(rest, b"\r\n\r\n") else {
                assert!(rest.len() < 32_768, "a head does not end");
                return;
            };
            let head = std::str::from_utf8(&rest[..length]).expect("a head is ASCII");
            let content_start = self.at + length + 4;
            if head == "HTTP/1.1 100 Continue" {
                self.take_interim(script);
                self.at = content_start;
                continue;
            }
            let is_head = exchange.is_some_and(|exchange| exchange.is_head);
            self.responses.push(match taken {
                Some(spec) => Response::registered(head, content_start, is_head, spec),
                None => Response::new(head, content_start, is_head, files),
            });
        }
    }

    /// Nothing more will come.
    pub(super) fn stream_ends(&mut self, stream: &[u8]) {
        let last = self.responses.last_mut();
        if let Some(response) = last.filter(|response| response.end.is_none() && response.ends_with_stream) {
            response.end = Some(stream.len());
            self.at = stream.len();
        }
    }

    fn take_interim(&mut self, script: &[Exchange]) {
        let index = self.responses.len();
        let exchange = script.get(index).expect("100 (Continue) follows a request");
        assert!(exchange.may_continue, "100 (Continue) where none was asked for");
        let is_first = self.continued_at != Some(index) || matches!(exchange.expected, Expected::Anything);
        assert!(is_first, "100 (Continue) twice");
        self.continued_at = Some(index);
        self.interim += 1;
    }

    /// Checks what there is of a response that is not complete.
    pub(super) fn check_rest(&self, stream: &[u8], files: &Files) {
        if let Some(response) = self.responses.last().filter(|response| response.end.is_none()) {
            response.check_content(stream, files);
        }
    }

    /// How many responses are complete within the first `read` bytes.
    pub(super) fn complete(&self, read: usize) -> usize {
        self.responses.iter().take_while(|response| response.end.is_some_and(|end| end <= read)).count()
    }

    /// What has come behind the last response that has a head.
    pub(super) fn rest<'a>(&self, stream: &'a [u8]) -> &'a [u8] {
        &stream[self.at..]
    }

    /// Whether the stream ends with a whole response, or is empty.
    pub(super) fn is_whole(&self, stream: &[u8]) -> bool {
        self.at == stream.len() && self.responses.last().is_none_or(|response| response.end.is_some())
    }

    /// What may be given to one response only: boundaries, and tags of files that have just changed.
    pub(super) fn used_once(&self) -> impl Iterator<Item = &str> {
        self.responses.iter().flat_map(|response| {
            let young = response.head.value("ETag").filter(|tag| tag.split('-').count() == 4);
            let boundary = response.head.value("Content-Type").and_then(multipart::boundary);
            // Both end in the number that is taken once.
            let number = |text: &'_ str| text.rfind('-').map_or(0, |hyphen| hyphen + 1);
            let numbers = young.map(|tag| tag[number(tag)..].trim_end_matches('"'));
            numbers.into_iter().chain(boundary.map(|boundary| &boundary[number(boundary)..]))
        })
    }
}

impl Response {
    fn new(head: &str, content_start: usize, is_head: bool, files: &Files) -> Self {
        let head = Head::new(head);
        let status = head.status();
        let length = head.value("Content-Length").map(|digits| digits.parse::<usize>().expect("a length is a number"));
        let is_listing = head.is_listing();
        let has_none = matches!(status.code(), 204 | 304) || is_listing;
        assert_eq!(length.is_none(), has_none, "Content-Length in {head:?}");
        let coding = head.value("Transfer-Encoding");
        assert!(coding.is_none() || (is_listing && coding == Some("chunked")), "Transfer-Encoding in {head:?}");
        let connection = head.value("Connection");
        assert!(matches!(connection, None | Some("close" | "keep-alive")), "Connection in {head:?}");
        Self {
            status,
            closes: connection == Some("close"),
            body: if is_listing {
                let is_json = head.value("Content-Type") == Some("application/json");
                let chunks = (coding.is_some() && !is_head).then(|| Chunks::new(content_start));
                Body::Listing(if is_json { Format::Json } else { Format::Html }, chunks)
            } else {
                Body::new(&head, length.unwrap_or(0), files)
            },
            ends_with_stream: is_listing && coding.is_none() && !is_head,
            content_start,
            content_length: if is_head { 0 } else { length.unwrap_or(0) },
            end: None,
            content_is_optional: is_head && status == Status::RequestTimeout,
            head,
        }
    }

    /// The answer that was registered, at the place where it must be.
    fn registered(head: &str, content_start: usize, is_head: bool, spec: &Rc<Spec>) -> Self {
        let head = Head::new(head);
        Self {
            // Which it is the head itself is compared with.
            status: Status::Ok,
            closes: spec.course(is_head).closes || head.value("Connection") == Some("close"),
            body: Body::Registered(Rc::clone(spec)),
            ends_with_stream: false,
            content_start,
            content_length: spec.content_length(is_head),
            end: None,
            content_is_optional: false,
            head,
        }
    }

    /// The answer that was registered, if it is one.
    pub(super) fn spec(&self) -> Option<&Spec> {
        if let Body::Registered(spec) = &self.body { Some(spec) } else { None }
    }

    /// Where it ends, once so much of the stream is there.
    fn find_end(&mut self, stream: &[u8]) -> Option<usize> {
        if let Body::Listing(_, Some(chunks)) = &mut self.body {
            return chunks.advance(stream);
        }
        let end = self.content_start + self.content_length;
        (end <= stream.len() && !self.ends_with_stream).then_some(end)
    }

    /// What has come of the content.
    pub(super) fn content<'a>(&'a self, stream: &'a [u8]) -> &'a [u8] {
        match &self.body {
            Body::Listing(_, Some(chunks)) => return &chunks.content,
            _ if self.ends_with_stream => return &stream[self.content_start..],
            _ => {}
        }
        &stream[self.content_start..stream.len().min(self.content_start.saturating_add(self.content_length))]
    }

    /// What has come of several parts.
    pub(super) fn parts(&self, stream: &[u8], files: &Files) -> Option<Seen> {
        let Body::Parts { file, boundary } = &self.body else { return None };
        Some(Seen::new(self.content(stream), boundary, *file, files))
    }

    /// Checks that what has come is the beginning of the content that the head announces.
    fn check_content(&self, stream: &[u8], files: &Files) {
        let content = self.content(stream);
        match &self.body {
            Body::Part { file, first } => {
                assert!(Files::is_content(*file, *first, content), "the content is not that of file {file}");
                let there = files.left(*file).saturating_sub(*first);
                assert!(content.len() as u64 <= there, "more content came than file {file} has");
            }
            Body::Parts { file, boundary } => {
                let seen = Seen::new(content, boundary, *file, files);
                let is_whole = content.len() == self.content_length && self.content_length > 0;
                assert_eq!(seen.is_complete, is_whole, "the last delimiter of {:?} is the end", self.head);
                seen.check_within(files.left(*file));
            }
            Body::Listing(format, _) => {
                let is_whole = self.end.is_some() && !self.ends_with_stream && !content.is_empty();
                let is_right = files.directories.is_listing(*format, content, is_whole);
                assert!(is_right, "{:?} has another listing: {}", self.head, content.escape_ascii());
            }
            Body::Registered(spec) => {
                assert!(spec.content.starts_with(content), "other content than was registered: {:?}", self.head);
                let most = spec.course(false).content;
                assert!(content.len() <= most, "{} of {most} bytes came: {spec:?}", content.len());
            }
            Body::Text => {
                let is_prefix = |text: &str| text.as_bytes().starts_with(content);
                let mut of_reject = Reject::ALL.iter().filter(|reject| reject.status() == self.status);
                let is_health =
                    matches!(self.status.code(), 200 | 503) && (is_prefix("ok\n") || is_prefix("draining\n"));
                let is_known = is_prefix(self.status.content()) || of_reject.any(|reject| is_prefix(reject.content()));
                assert!(is_known || is_health, "unknown content of {:?}: {}", self.head, content.escape_ascii());
            }
        }
    }

    /// Checks that a response that is cut short ends where the file does.
    pub(super) fn check_cut(&self, stream: &[u8], files: &Files) {
        let content = self.content(stream);
        let is_right = match &self.body {
            Body::Text => false,
            Body::Registered(spec) => content.len() == spec.course(false).content,
            Body::Listing(format, Some(chunks)) => {
                files.directories.is_listing(*format, content, true) && chunks.ends_between_chunks(stream)
            }
            Body::Listing(..) => false,
            Body::Part { file, first } => content.len() as u64 == files.left(*file).saturating_sub(*first),
            Body::Parts { file, .. } => {
                self.parts(stream, files).is_some_and(|seen| seen.ends_with_file(files.left(*file)))
            }
        };
        assert!(is_right, "cut short after {} of {} bytes: {:?}", content.len(), self.content_length, self.head);
    }

    /// The content as it was sent, where it is a text.
    pub(super) fn text<'a>(&'a self, stream: &'a [u8]) -> &'a [u8] {
        match self.body {
            Body::Text => self.content(stream),
            _ => &[],
        }
    }

    /// The file that it is of, and the offset of its first byte.
    pub(super) fn part(&self) -> Option<(usize, u64)> {
        match self.body {
            Body::Part { file, first } => Some((file, first)),
            _ => None,
        }
    }

    /// Checks that it is a listing, and that what has come of its content is what it must be.
    pub(super) fn check_listing(&self, stream: &[u8], format: Format, list: &[u8], is_cut: bool) {
        let content = self.content(stream);
        assert!(matches!(self.body, Body::Listing(seen, _) if seen == format), "a listing, not {:?}", self.head);
        assert!(list.starts_with(content), "the listing is another: {}", content.escape_ascii());
        let is_complete = self.end.is_some() && !self.ends_with_stream;
        assert!(!is_complete || (content.len() == list.len() && !is_cut), "the listing is not whole: {:?}", self.head);
    }

    /// How many chunks its content came in.
    pub(super) fn chunks(&self) -> usize {
        if let Body::Listing(_, Some(chunks)) = &self.body { chunks.begun } else { 0 }
    }

    /// Whether it is an error with a page of the site.
    pub(super) fn has_page(&self) -> bool {
        self.status.code() >= 400 && !matches!(self.body, Body::Text | Body::Registered(_))
    }
}

impl Body {
    fn new(head: &Head, length: usize, files: &Files) -> Self {
        let status = head.status();
        let tag = head.value("ETag").filter(|_| status != Status::NotModified);
        let Some(tag) = tag else {
            let has_page = status.code() >= 400 && head.value("Content-Type") == Some("text/html; charset=utf-8");
            let page = has_page.then(|| files.page(status).unwrap_or_else(|| panic!("there is no page: {head:?}")));
            if let Some(page) = page {
                assert_eq!(length as u64, files.size(page), "Content-Length in {head:?}");
            }
            return page.map_or(Self::Text, |file| Self::Part { file, first: 0 });
        };
        let file = files.file_of_tag(tag).unwrap_or_else(|| panic!("ETag in {head:?}"));
        let media_type = head.value("Content-Type").unwrap_or_default();
        match (status, head.value("Content-Range")) {
            (Status::Ok, None) => {
                assert_eq!(length as u64, files.size(file), "Content-Length in {head:?}");
                Self::Part { file, first: 0 }
            }
            (Status::PartialContent, Some(range)) => {
                let (first, last) = multipart::content_range_of(range, files.size(file));
                assert_eq!(length as u64, last - first + 1, "Content-Length in {head:?}");
                Self::Part { file, first }
            }
            (Status::PartialContent, None) => {
                let boundary = multipart::boundary(media_type).unwrap_or_else(|| panic!("no range in {head:?}"));
                Self::Parts { file, boundary: boundary.to_owned() }
            }
            _ => panic!("an ETag in {head:?}"),
        }
    }
}
