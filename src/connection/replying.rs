//! From the decision what answers a request to the head of the response, and its content where that is at hand.
//!
//! The head is written straight into the send buffer, so that an answer to "out of pool" needs no pool.

use super::answering::{Failure, FileFacts, Source};
use super::content::{ContentFields, Parts, Reply};
use super::core::Core;
use super::in_memory::KeptFields;
use super::pool::PoolExhausted;
use super::validator::EntityTag;
use super::{Connection, State};
use crate::canned::CannedHead;
use crate::config::Site;
use crate::http::condition::{self, Validators, Verdict};
use crate::http::date::DATE_LENGTH;
use crate::http::field::FieldName;
use crate::http::negotiation::Coding;
use crate::http::range::{self, ByteRange, RangeList, Selection};
use crate::http::request_line::Method;
use crate::http::response_head::HeadWriter;
use crate::http::target::{self, Target};
use crate::http::{Reject, Status, Version, date, media_type};
use crate::trace::Event;

/// The most content that a short answer has.
pub(super) const MAX_SHORT_CONTENT: usize = 256;
/// How long a browser may remember the answer to a preflight request, in seconds.
const PREFLIGHT_MAX_AGE: u64 = 86_400;

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

/// What the conditions and ranges of a request come to.
#[allow(clippy::large_enum_variant)] // It lives for one call; a box would be heap.
enum Decision {
    Whole,
    Part(ByteRange),
    Parts(RangeList),
    NotModified,
    PreconditionFailed,
    Unsatisfiable,
}

/// Which request field an answer depends on besides Origin (RFC 9110 section 12.5.5).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Varies {
    No,
    ByAccept,
    ByAcceptEncoding,
}

/// What every head has.
pub(super) struct Head<'a> {
    status: Status,
    /// What was registered, which has another status line and may say some of it itself.
    canned: Option<&'a CannedHead>,
    version: Version,
    persistent: bool,
    varies: Varies,
    /// What Access-Control-Allow-Origin says.
    allowed_origin: Option<&'a [u8]>,
    site: &'a Site,
    date: &'a [u8; DATE_LENGTH],
}

impl Head<'_> {
    /// Writes the head with these fields. Returns its length, or nothing where the memory is too small.
    fn write(&self, memory: &mut [u8], fields: impl FnOnce(&mut HeadWriter<'_>, &Site)) -> Option<usize> {
        let mut head = match self.canned {
            None => HeadWriter::new(memory, self.status, self.date),
            Some(canned) => {
                let mut head = HeadWriter::bare(memory);
                head.put(&canned.status_line);
                if !canned.has_date {
                    head.field("Date", self.date);
                }
                head
            }
        };
        fields(&mut head, self.site);
        match (self.varies, self.site.cors.varies()) {
            (Varies::No, false) => {}
            (Varies::No, true) => head.field("Vary", b"Origin"),
            (Varies::ByAccept, false) => head.field("Vary", b"Accept"),
            (Varies::ByAccept, true) => head.field("Vary", b"Accept, Origin"),
            (Varies::ByAcceptEncoding, false) => head.field("Vary", b"Accept-Encoding"),
            (Varies::ByAcceptEncoding, true) => head.field("Vary", b"Accept-Encoding, Origin"),
        }
        self.site.put_fields(&mut head, self.allowed_origin);
        // Said only where the version's default is another (RFC 9112 section 9.3).
        match (self.version, self.persistent) {
            _ if self.canned.is_some_and(|canned| canned.has_connection) => {}
            (_, false) => head.field("Connection", b"close"),
            (Version::Http10, true) => head.field("Connection", b"keep-alive"),
            (Version::Http11, true) => {}
        }
        head.finish()
    }
}

impl<F> Connection<F> {
    /// The most room that any answer takes besides a file's content. A `Location` repeats the target, and encoding may make three
    /// bytes of one.
    pub(super) fn longest_answer(&self, core: &Core) -> usize {
        core.longest_head + MAX_SHORT_CONTENT + 3 * self.request.line.line.end()
    }

    pub(super) fn reply_failure(&mut self, core: &mut Core, failure: Failure) {
        self.reply_short(core, failure.status, failure.content, failure.may_persist);
    }

    /// An answer whose content is a short text.
    pub(super) fn reply_short(&mut self, core: &mut Core, status: Status, content: &'static str, may_persist: bool) {
        let persistent = may_persist && self.may_persist(core);
        let (unsatisfied_size, is_preflight) = (self.request.unsatisfied_size, self.is_preflight(core, status));
        self.write_head(core, status, persistent, Varies::No, |head, _| {
            put_status_fields(head, status, unsatisfied_size);
            // A 204 has no content, and so no length of it (RFC 9110 section 8.6).
            if status != Status::NoContent {
                head.field("Content-Type", b"text/plain; charset=utf-8");
                head.number_field("Content-Length", content.len() as u64);
            }
            if is_preflight {
                head.field("Access-Control-Allow-Methods", Method::ALLOWED.as_bytes());
                head.field("Access-Control-Allow-Headers", b"*");
                head.number_field("Access-Control-Max-Age", PREFLIGHT_MAX_AGE);
            }
        });
        let sent = if self.request.line.method == Method::Head { "" } else { content };
        self.put_output(sent.as_bytes());
        self.begin_reply(core, Reply::of_buffered(status, persistent, sent.len() as u64));
        self.record(core, Event::Answering(status));
    }

    /// Whether this answers a browser that asks whether it may ask (Fetch Standard, "CORS-preflight request").
    fn is_preflight(&self, core: &Core, status: Status) -> bool {
        status == Status::NoContent
            && self.request.fields.has(FieldName::AccessControlRequestMethod)
            && self.request.fields.has(FieldName::Origin)
            && core.site.cors.allowed(self.single_field(FieldName::Origin)).is_some()
    }

    /// An error answer with a page of the site as its content.
    pub(super) fn reply_with_page(&mut self, core: &mut Core, failure: Failure, source: Source<'_, F>, size: u64) {
        let persistent = failure.may_persist && self.may_persist(core);
        let unsatisfied_size = self.request.unsatisfied_size;
        self.write_head(core, failure.status, persistent, Varies::No, |head, _| {
            put_status_fields(head, failure.status, unsatisfied_size);
            head.field("Content-Type", b"text/html; charset=utf-8");
            head.number_field("Content-Length", size);
        });
        let reply = self.content_of(source, None, None, size, (failure.status, persistent));
        self.begin_reply(core, reply);
        self.record(core, Event::Answering(failure.status));
    }

    /// A file answers, or what its state makes of the request's conditions and ranges. `kept` is what the driver keeps beside the
    /// content.
    pub(super) fn reply_with_file(
        &mut self,
        core: &mut Core,
        source: Source<'_, F>,
        facts: FileFacts,
        coding: Option<Coding>,
        kept: Option<&mut KeptFields<'_>>,
    ) {
        if !self.is_ranged()
            && !self.request.fields.has_condition()
            && let Some(lines) = kept.and_then(|kept| self.kept_lines(core, kept, &facts, coding))
        {
            let persistent = self.may_persist(core);
            self.write_head(core, Status::Ok, persistent, varies_by_coding(core), |head, _| head.put(lines));
            return self.send_file(core, source, (None, None), &facts, (Status::Ok, persistent));
        }
        let tag = EntityTag::of(&facts, core);
        // A Last-Modified is never later than the Date beside it (RFC 9110 section 8.8.2.1).
        let last_modified = facts.modified_seconds.min(core.now.wall_seconds());
        let is_settled = facts.modified_seconds < core.now.wall_seconds();
        let validators = Validators { etag: tag.as_bytes(), last_modified, is_settled };
        let (range, parts) = match self.decide(&validators, facts.size) {
            Decision::Whole => (None, None),
            Decision::Part(range) => (Some(range), None),
            Decision::Parts(list) => match self.parts_of(&list, facts.size, core) {
                Ok(parts) => (None, Some(parts)),
                Err(PoolExhausted) => return self.reject(core, Reject::PoolExhausted),
            },
            Decision::NotModified => return self.reply_not_modified(core, &tag),
            Decision::PreconditionFailed => return self.fail(core, Failure::of(Status::PreconditionFailed)),
            Decision::Unsatisfiable => {
                self.request.unsatisfied_size = facts.size;
                return self.fail(core, Failure::of(Status::RangeNotSatisfiable));
            }
        };
        let persistent = self.may_persist(core);
        let media_type = media_type::of_file_name(self.name().bytes());
        let status = if range.is_some() || parts.is_some() { Status::PartialContent } else { Status::Ok };
        self.write_head(core, status, persistent, varies_by_coding(core), |head, site| {
            let content = ContentFields { media_type, coding, size: facts.size, range, parts: parts.as_ref() };
            content.put(head);
            put_validators(head, last_modified, &tag, site);
        });
        self.send_file(core, source, (range, parts), &facts, (status, persistent));
    }

    /// The field lines that every whole response with this file has; nothing as long as they depend on when they are asked for.
    fn kept_lines<'k>(
        &self,
        core: &mut Core,
        kept: &'k mut KeptFields<'_>,
        facts: &FileFacts,
        coding: Option<Coding>,
    ) -> Option<&'k [u8]> {
        if facts.modified_seconds > core.now.wall_seconds() || EntityTag::holds_once(facts, core) {
            return None;
        }
        kept.get_or_write(|lines| {
            let tag = EntityTag::of(facts, core);
            let media_type = media_type::of_file_name(self.name().bytes());
            ContentFields { media_type, coding, size: facts.size, range: None, parts: None }.put(lines);
            put_validators(lines, facts.modified_seconds, &tag, &core.site);
        })
    }

    fn send_file(
        &mut self,
        core: &mut Core,
        source: Source<'_, F>,
        (range, parts): (Option<ByteRange>, Option<Parts>),
        facts: &FileFacts,
        head: (Status, bool),
    ) {
        let reply = self.content_of(source, range, parts, facts.size, head);
        self.begin_reply(core, reply);
        core.tracer.record_text(Some(self.number), Event::ServingFile(facts.size), self.name().bytes());
    }

    /// Whether the request asks for a range. GET is the only method that ranges are defined for (RFC 9110 section 14.2).
    fn is_ranged(&self) -> bool {
        self.request.line.method == Method::Get && self.request.fields.has(FieldName::Range)
    }

    /// What the request's conditions (RFC 9110 section 13.2.2) and its ranges (section 14.2) come to.
    fn decide(&self, validators: &Validators<'_>, size: u64) -> Decision {
        let fields = &self.request.fields;
        if fields.has_condition() {
            match condition::evaluate(validators, self.fields()) {
                Verdict::Proceed => {}
                Verdict::NotModified => return Decision::NotModified,
                Verdict::PreconditionFailed => return Decision::PreconditionFailed,
            }
        }
        if !self.is_ranged() || !condition::if_range_holds(validators, self.fields()) {
            return Decision::Whole;
        }
        match range::select(size, self.fields()) {
            Selection::Whole => Decision::Whole,
            Selection::One(range) => Decision::Part(range),
            Selection::Several(list) => Decision::Parts(list),
            Selection::Unsatisfiable => Decision::Unsatisfiable,
        }
    }

    fn parts_of(&mut self, list: &RangeList, size: u64, core: &mut Core) -> Result<Parts, PoolExhausted> {
        let media_type = media_type::of_file_name(self.name().bytes());
        let boundary = core.take_unique();
        let pool = &mut self.lease.as_mut().ok_or(PoolExhausted)?.pool;
        Parts::new(pool, list.as_slice(), size, boundary, media_type)
            .inspect_err(|_| core.counters.pool_overflows.add(1))
    }

    /// 304 with the fields that a 200 would have had, as far as a cache needs them (RFC 9110 section 15.4.5).
    fn reply_not_modified(&mut self, core: &mut Core, tag: &EntityTag) {
        const STATUS: Status = Status::NotModified;
        let persistent = self.may_persist(core);
        self.write_head(core, STATUS, persistent, varies_by_coding(core), |head, site| {
            head.field("ETag", tag.as_bytes());
            put_cache_control(head, site);
        });
        self.begin_reply(core, Reply::of_buffered(STATUS, persistent, 0));
        self.record(core, Event::Answering(STATUS));
    }

    /// 301 to the same path with a final slash. The path is written anew from its decoded form, so that it begins with one slash
    /// and cannot lead to another host.
    pub(super) fn redirect_to_directory(&mut self, core: &mut Core) {
        const STATUS: Status = Status::MovedPermanently;
        let persistent = self.may_persist(core);
        let content = if self.request.line.method == Method::Head { "" } else { STATUS.content() };
        let (start, end, output_end) = (self.consumed, self.filled, self.output_end);
        let (head, line, name_length) =
            (self.head(core, STATUS, persistent, Varies::No), self.request.line, self.request.name_length);
        let (Some(lease), Some(path)) = (&mut self.lease, self.request.path) else { return };
        let received = lease.receive.get(start..end).unwrap_or_default();
        let query = Target::parse(line.method, line.target.of(received)).ok().and_then(Target::query);
        let name = lease.pool.get(path).get(..name_length).unwrap_or_default();
        let memory = lease.send.get_mut(output_end..).unwrap_or_default();
        let room = memory.len();
        let written = head.write(memory, |head, _| {
            head.put(b"Location: /");
            target::encode_path(name, |part| head.put(part));
            head.put(b"/");
            if let Some(query) = query {
                head.put(b"?");
                head.put(query);
            }
            head.put(b"\r\nContent-Type: text/plain; charset=utf-8\r\n");
            head.number_field("Content-Length", STATUS.content().len() as u64);
        });
        let Some(length) = written.filter(|length| length + content.len() <= room) else {
            // Encoding made the path longer than the whole send buffer.
            return self.fail(core, Failure::of(Status::InternalServerError));
        };
        self.output_end += length;
        self.put_output(content.as_bytes());
        self.begin_reply(core, Reply::of_buffered(STATUS, persistent, content.len() as u64));
        self.record(core, Event::Answering(STATUS));
    }

    fn head<'a>(&self, core: &'a mut Core, status: Status, persistent: bool, varies: Varies) -> Head<'a> {
        let origin = if core.site.cors.varies() { self.single_field(FieldName::Origin) } else { None };
        let seconds = core.now.wall_seconds();
        Head {
            status,
            canned: None,
            version: self.request.line.version,
            persistent,
            varies,
            allowed_origin: core.site.cors.allowed(origin),
            site: &core.site,
            date: core.date.at(seconds),
        }
    }

    /// Writes a head of bounded length behind what is in the send buffer.
    pub(super) fn write_head(
        &mut self,
        core: &mut Core,
        status: Status,
        persistent: bool,
        varies: Varies,
        fields: impl FnOnce(&mut HeadWriter<'_>, &Site),
    ) {
        let head = self.head(core, status, persistent, varies);
        let memory = self.lease.as_mut().and_then(|lease| lease.send.get_mut(self.output_end..)).unwrap_or_default();
        // `answer` has made room for the longest head.
        self.output_end += head.write(memory, fields).unwrap_or(0);
    }

    /// Writes the head of a registered answer behind what is in the send buffer.
    pub(super) fn write_registered_head(&mut self, core: &mut Core, canned: &CannedHead, persistent: bool) {
        let head = self.head(core, Status::Ok, persistent, Varies::No);
        let head = Head { canned: Some(canned), ..head };
        let memory = self.lease.as_mut().and_then(|lease| lease.send.get_mut(self.output_end..)).unwrap_or_default();
        // What was registered has been measured against the send buffer.
        self.output_end += head.write(memory, |head, _| head.put(&canned.fields)).unwrap_or(0);
    }

    pub(super) fn begin_reply(&mut self, core: &mut Core, reply: Reply<F>) {
        self.responses += 1;
        core.counters.total_requests.add(1);
        core.counters.count_response(reply.code);
        self.reply = Some(reply);
        self.transition(core, State::SendingResponse);
    }

    /// Whether the connection outlives this response, as far as the response itself allows.
    pub(super) fn may_persist(&self, core: &Core) -> bool {
        let limits = &core.limits;
        self.request.framing.persistent
            && limits.keep_alive
            && !core.stopping
            && !core.draining
            && limits.max_requests_per_connection.is_none_or(|most| self.requests < most)
    }

    pub(super) fn output_room(&self) -> usize {
        self.lease.as_ref().map_or(0, |lease| lease.send.len() - self.output_end)
    }
}

/// The fields that belong to a status rather than to a file.
fn put_status_fields(head: &mut HeadWriter<'_>, status: Status, unsatisfied_size: u64) {
    match status {
        Status::NoContent | Status::MethodNotAllowed => head.field("Allow", Method::ALLOWED.as_bytes()),
        Status::ServiceUnavailable => head.field("Retry-After", b"1"),
        Status::RangeNotSatisfiable => {
            head.put(b"Content-Range: bytes */");
            head.number(unsatisfied_size);
            head.put(b"\r\n");
        }
        _ => {}
    }
}

fn put_validators(head: &mut HeadWriter<'_>, last_modified: i64, tag: &EntityTag, site: &Site) {
    head.field("Last-Modified", &date::imf_fixdate(last_modified));
    head.field("ETag", tag.as_bytes());
    head.field("Accept-Ranges", b"bytes");
    put_cache_control(head, site);
}

fn put_cache_control(head: &mut HeadWriter<'_>, site: &Site) {
    if !site.cache_control.is_empty() {
        head.field("Cache-Control", &site.cache_control);
    }
}

fn varies_by_coding(core: &Core) -> Varies {
    if core.site.precompressed { Varies::ByAcceptEncoding } else { Varies::No }
}
