//! PROCESSING: from a complete or refused request to the head of its response.
//!
//! Every answer goes this way, errors too. The head is written straight into the send buffer, so that an answer to "out of pool"
//! needs no pool.

use super::core::Core;
use super::sending::Step;
use super::{Connection, Reply, State};
use crate::http::request_line::Method;
use crate::http::response_head::{HeadWriter, MAX_FIXED_HEAD};
use crate::http::target::{self, Target};
use crate::http::{Reject, Status, Version, date, media_type};
use crate::trace::Event;
use std::ffi::CStr;

/// The file that answers for its directory.
const INDEX: &[u8] = b"index.html";
/// The longest name that the system opens, its NUL included (PATH_MAX).
const MAX_NAME: usize = 4096;
/// The most content that a short answer has.
const MAX_SHORT_CONTENT: usize = 256;

/// Short contents fit the room that [`Connection::answer`] makes for them.
const _: () = {
    let (mut reject, mut status) = (0, 0);
    while reject < Reject::COUNT {
        assert!(Reject::ALL[reject].content().len() <= MAX_SHORT_CONTENT);
        reject += 1;
    }
    while status < Status::COUNT {
        assert!(Status::ALL[status].content().len() <= MAX_SHORT_CONTENT);
        status += 1;
    }
};

/// What is known of an opened file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FileFacts {
    /// Its size in bytes.
    pub size: u64,
    /// When its content last changed, in seconds since 1970.
    pub modified_seconds: i64,
    /// What tells one state of the file from another: its inode, and the nanoseconds since 1970 of its last change of any kind,
    /// which no program can set back.
    pub identity: (u64, u64),
}

/// What a name beneath the root turned out to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Opened<F> {
    /// A regular file, open.
    File(F, FileFacts),
    /// A directory.
    Directory,
}

/// Why a name could not be opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OpenError {
    /// Nothing is there.
    NotFound,
    /// It leaves the root, may not be read, or is not a regular file.
    Forbidden,
    /// The process or the system has no descriptor left.
    NoDescriptor,
    /// The system failed otherwise.
    Failed,
}

impl<F> Connection<F> {
    /// Takes the next step towards an answer; none where the response is on its way.
    pub(super) fn answer(&mut self, core: &mut Core) -> Option<Step> {
        // A `Location` repeats the target, and encoding may make three bytes of one.
        let longest = MAX_FIXED_HEAD + MAX_SHORT_CONTENT + 3 * self.request.line.line.end();
        if self.has_output() && self.output_room() < longest {
            return Some(Step::Send);
        }
        if self.request.path.is_some() {
            return Some(Step::Open);
        }
        let routed = match self.request.refusal {
            Some(reject) => Err(reject),
            None => self.route(core),
        };
        match routed {
            Ok(step) => step,
            Err(reject) => {
                self.reply_rejected(core, reject);
                None
            }
        }
    }

    /// Decides what a complete, well-framed request gets.
    fn route(&mut self, core: &mut Core) -> Result<Option<Step>, Reject> {
        if self.request.framing.unmet_expectation {
            return Err(Reject::Expectation);
        }
        let found = self.find_name(core)?;
        let used = self.lease.as_ref().map_or(0, |lease| lease.pool.used());
        self.record(core, Event::HeadersParsed(self.request.fields.len(), used));
        match self.request.line.method {
            Method::Get | Method::Head if found => Ok(Some(Step::Open)),
            Method::Get | Method::Head => {
                self.reply_short(core, Status::NotFound, Status::NotFound.content(), true);
                Ok(None)
            }
            Method::Options => {
                self.reply_short(core, Status::NoContent, "", true);
                Ok(None)
            }
            Method::Standard | Method::Connect => Err(Reject::MethodNotAllowed),
            Method::Unknown => Err(Reject::MethodUnknown),
        }
    }

    /// Makes the name to open in the pool. False where no such name can be opened or shown.
    fn find_name(&mut self, core: &mut Core) -> Result<bool, Reject> {
        let (start, end) = (self.consumed, self.filled);
        let Some(lease) = &mut self.lease else { return Ok(false) };
        let received = lease.receive.get(start..end).unwrap_or_default();
        let target = Target::parse(self.request.line.method, self.request.line.target.of(received))?;
        if target.has_fragment() {
            return Err(Reject::Fragment);
        }
        let Target::Path { path, .. } = target else { return Ok(false) };
        let Ok(memory) = lease.pool.make::<u8>(path.len() + INDEX.len() + 1) else {
            core.counters.pool_overflows.add(1);
            return Err(Reject::PoolExhausted);
        };
        let name = lease.pool.get_mut(memory);
        let length = target::decode_path(path, name)?;
        if length + INDEX.len() >= MAX_NAME || target::is_hidden(&name[..length]) {
            return Ok(false);
        }
        let names_directory = length == 0 || name[length - 1] == b'/';
        let end = if names_directory { length + INDEX.len() } else { length };
        if names_directory {
            name[length..end].copy_from_slice(INDEX);
        }
        // Behind the end may lie what a removed dot-segment left.
        name[end] = 0;
        self.request.name_length = length;
        self.request.path = Some(memory);
        Ok(true)
    }

    /// The name to open.
    pub(super) fn name(&self) -> &CStr {
        let bytes = match (&self.lease, self.request.path) {
            (Some(lease), Some(path)) => lease.pool.get(path),
            _ => &[],
        };
        CStr::from_bytes_until_nul(bytes).unwrap_or_default()
    }

    /// What the name turned out to be: the answer follows from it.
    pub(super) fn opened(&mut self, core: &mut Core, outcome: Result<Opened<F>, OpenError>) {
        if self.state != State::Processing {
            return;
        }
        let name = self.name().to_bytes();
        let asked_for_directory = name.len() > self.request.name_length;
        match outcome {
            Ok(Opened::File(file, facts)) => self.reply_with_file(core, file, facts),
            Ok(Opened::Directory) if !asked_for_directory => self.redirect_to_directory(core),
            Ok(Opened::Directory) | Err(OpenError::NotFound) => {
                self.reply_short(core, Status::NotFound, Status::NotFound.content(), true);
            }
            Err(OpenError::Forbidden) => self.reply_short(core, Status::Forbidden, Status::Forbidden.content(), true),
            Err(OpenError::NoDescriptor) => self.reply_rejected(core, Reject::NoDescriptor),
            Err(OpenError::Failed) => {
                self.reply_short(core, Status::InternalServerError, Status::InternalServerError.content(), true);
            }
        }
    }

    fn reply_rejected(&mut self, core: &mut Core, reject: Reject) {
        core.counters.rejects[reject as usize].add(1);
        self.record(core, Event::Rejected(reject));
        self.reply_short(core, reject.status(), reject.content(), !reject.closes());
    }

    /// An answer whose content is a short text.
    fn reply_short(&mut self, core: &mut Core, status: Status, content: &'static str, may_persist: bool) {
        let persistent = may_persist && self.may_persist(core);
        let with_content = self.request.line.method != Method::Head;
        self.write_head(core, status, persistent, |head| {
            match status {
                Status::NoContent | Status::MethodNotAllowed => head.field("Allow", Method::ALLOWED.as_bytes()),
                Status::ServiceUnavailable => head.field("Retry-After", b"1"),
                _ => {}
            }
            // A 204 has no content, and so no length of it (RFC 9110 section 8.6).
            if status != Status::NoContent {
                head.field("Content-Type", b"text/plain; charset=utf-8");
                head.number_field("Content-Length", content.len() as u64);
            }
        });
        let sent = if with_content { content } else { "" };
        self.put_output(sent.as_bytes());
        self.begin_reply(core, status, persistent, None, sent.len() as u64);
        self.record(core, Event::Answering(status));
    }

    fn reply_with_file(&mut self, core: &mut Core, file: F, facts: FileFacts) {
        let persistent = self.may_persist(core);
        let (media_type, charset) = media_type::of_file_name(self.name().to_bytes());
        self.write_head(core, Status::Ok, persistent, |head| {
            head.put(b"Content-Type: ");
            head.put(media_type.as_bytes());
            head.put(charset.as_bytes());
            head.put(b"\r\n");
            head.number_field("Content-Length", facts.size);
            head.field("Last-Modified", &date::imf_fixdate(facts.modified_seconds));
            head.put(b"ETag: \"");
            for (separator, part) in [(&b""[..], facts.size), (b"-", facts.identity.0), (b"-", facts.identity.1)] {
                head.put(separator);
                head.hex(part);
            }
            head.put(b"\"\r\nAccept-Ranges: none\r\n");
        });
        let length = if self.request.line.method == Method::Head { 0 } else { facts.size };
        let file = (length > 0).then_some(file);
        self.begin_reply(core, Status::Ok, persistent, file, length);
        core.tracer.record_text(Some(self.number), Event::ServingFile(facts.size), self.name().to_bytes());
    }

    /// 301 to the same path with a final slash. The path is written anew from its decoded form, so that it begins with one slash
    /// and cannot lead to another host.
    fn redirect_to_directory(&mut self, core: &mut Core) {
        const STATUS: Status = Status::MovedPermanently;
        let persistent = self.may_persist(core);
        let content = if self.request.line.method == Method::Head { "" } else { STATUS.content() };
        let date = *core.date.at(core.now.wall_seconds);
        let (start, end, output_end) = (self.consumed, self.filled, self.output_end);
        let (Some(lease), Some(path)) = (&mut self.lease, self.request.path) else { return };
        let received = lease.receive.get(start..end).unwrap_or_default();
        let target = Target::parse(self.request.line.method, self.request.line.target.of(received));
        let name = lease.pool.get(path).get(..self.request.name_length).unwrap_or_default();
        let room = lease.send.len() - output_end;
        let mut head = HeadWriter::new(lease.send.get_mut(output_end..).unwrap_or_default(), STATUS, &date);
        head.put(b"Location: /");
        target::encode_path(name, |part| head.put(part));
        head.put(b"/");
        if let Ok(Target::Path { query: Some(query), .. }) = target {
            head.put(b"?");
            head.put(query);
        }
        head.put(b"\r\nContent-Type: text/plain; charset=utf-8\r\n");
        head.number_field("Content-Length", STATUS.content().len() as u64);
        put_connection(&mut head, self.request.line.version, persistent);
        let Some(length) = head.finish().filter(|length| length + content.len() <= room) else {
            // Encoding made the path longer than the whole send buffer.
            let failed = Status::InternalServerError;
            return self.reply_short(core, failed, failed.content(), true);
        };
        self.output_end += length;
        self.put_output(content.as_bytes());
        self.begin_reply(core, STATUS, persistent, None, content.len() as u64);
        self.record(core, Event::Answering(STATUS));
    }

    fn write_head(
        &mut self,
        core: &mut Core,
        status: Status,
        persistent: bool,
        fields: impl FnOnce(&mut HeadWriter<'_>),
    ) {
        let date = core.date.at(core.now.wall_seconds);
        let memory = self.lease.as_mut().and_then(|lease| lease.send.get_mut(self.output_end..)).unwrap_or_default();
        let mut head = HeadWriter::new(memory, status, date);
        fields(&mut head);
        put_connection(&mut head, self.request.line.version, persistent);
        // `answer` has made room for the longest head.
        self.output_end += head.finish().unwrap_or(0);
    }

    fn begin_reply(&mut self, core: &mut Core, status: Status, persistent: bool, file: Option<F>, length: u64) {
        let from_file = file.is_some();
        self.reply = Some(Reply {
            file,
            offset: 0,
            remaining: if from_file { length } else { 0 },
            content_length: length,
            streaming: false,
            blocked: false,
            persistent,
            truncated: false,
        });
        self.responses += 1;
        core.counters.total_requests.add(1);
        core.counters.responses[status as usize].add(1);
        self.transition(core, State::SendingResponse);
    }

    /// Whether the connection outlives this response, as far as the response itself allows.
    fn may_persist(&self, core: &Core) -> bool {
        let limits = &core.limits;
        self.request.framing.persistent
            && limits.keep_alive
            && !core.draining
            && limits.max_requests_per_connection.is_none_or(|most| self.requests < most)
    }

    pub(super) fn output_room(&self) -> usize {
        self.lease.as_ref().map_or(0, |lease| lease.send.len() - self.output_end)
    }
}

/// The Connection field, where the version's default is another (RFC 9112 section 9.3).
fn put_connection(head: &mut HeadWriter<'_>, version: Version, persistent: bool) {
    match (version, persistent) {
        (_, false) => head.field("Connection", b"close"),
        (Version::Http10, true) => head.field("Connection", b"keep-alive"),
        (Version::Http11, true) => {}
    }
}
