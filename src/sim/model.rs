//! The model: from a request to the answer that it must get, by a plain reading of the rules that shares nothing with the server.

use super::answer::{Answer, Content, Value};
use super::canned::Spec;
use super::conditions::{Conditions, Validators, Verdict};
use super::files::Files;
use super::lookup::{Case, Outcome};
use super::multipart::Parts;
use super::plan::Plan;
use super::ranges::{RangeField, Selected};
use crate::config::Cors;
use crate::http::listing::{CONTENT_SECURITY_POLICY, Format};
use crate::http::negotiation::Coding;
use crate::http::{Reject, Status};

/// The pool bytes of eight field lines, which are taken at once.
pub(super) const BLOCK_BYTES: usize = 120;
const BLOCK_LINES: usize = 8;
/// What blocks and ranges are aligned to.
const ALIGNMENT: usize = 8;
/// The pool bytes of the ranges of a multipart content, each.
const RANGE_BYTES: usize = 16;
/// The pool bytes of a place in a listing, and what it is aligned to.
const PLACE_BYTES: usize = 258;
const PLACE_ALIGNMENT: usize = 2;
/// What a path takes of the pool besides itself: the index file's name and a NUL.
const PATH_BYTES: usize = "index.html".len() + 1;

const METHODS: &str = "GET, HEAD, OPTIONS";
const PLAIN_TEXT: &str = "text/plain; charset=utf-8";

/// A request that breaks no rule.
#[derive(Clone, Debug)]
pub(super) struct Request {
    pub(super) method: &'static str,
    pub(super) case: Case,
    pub(super) is_old: bool,
    pub(super) persists: bool,
    /// The bytes of the request line.
    pub(super) line_length: usize,
    /// The field lines.
    pub(super) lines: Vec<String>,
    /// The codings that it would rather have than none.
    pub(super) codings: Vec<Coding>,
    pub(super) conditions: Conditions,
    pub(super) range: Option<RangeField>,
    /// Its Accept would rather have JSON than HTML.
    pub(super) prefers_json: bool,
}

/// Takes bytes of a pool of which `used` are taken. Nothing where there are not enough.
fn take(used: usize, bytes: usize, alignment: usize, pool_size: usize) -> Option<usize> {
    // Alignment is reckoned at its worst, and taken as it is.
    (used + bytes + alignment - 1 <= pool_size).then(|| (used + bytes).next_multiple_of(alignment))
}

/// What so many field lines take of the pool; or how many of them it takes to fill it.
fn take_lines(count: usize, pool_size: usize) -> Result<usize, usize> {
    let blocks = (0..count).step_by(BLOCK_LINES);
    blocks.into_iter().try_fold(0, |used, lines| take(used, BLOCK_BYTES, ALIGNMENT, pool_size).ok_or(lines))
}

/// What is known of a file that answers.
pub(super) fn validators(files: &Files, outcome: &Outcome, other_tag: Option<String>) -> Validators {
    let other_tag = other_tag.unwrap_or_else(|| "\"x\"".into());
    match outcome {
        Outcome::File { id, .. } => {
            let (modified, is_settled) = files.date(*id);
            Validators { size: files.size(*id), tag: files.tag(*id), modified, is_settled, other_tag }
        }
        _ => Validators { size: 100, tag: None, modified: 1_000_000_000, is_settled: true, other_tag },
    }
}

/// The answer to something that is refused after these field lines were read.
pub(super) fn refused(files: &Files, reject: Reject, lines: &[String]) -> Answer {
    let mut answer = rejected(files, reject);
    finish(&mut answer, files, lines);
    answer.closes |= answer.content.is_cut(files);
    answer
}

fn rejected(files: &Files, reject: Reject) -> Answer {
    let mut answer = error(files, reject.status(), reject.content());
    answer.reject = Some(reject);
    (answer.closes, answer.says_close) = (reject.closes(), reject.closes());
    answer
}

/// An error with its page, or with a text where there is none.
fn error(files: &Files, status: Status, text: &'static str) -> Answer {
    let mut answer = match files.page(status) {
        Some(page) => {
            let mut answer = Answer::new(status, Content::whole(files, page));
            answer.field("Content-Type", "text/html; charset=utf-8");
            answer.field("Content-Length", files.size(page).to_string());
            answer
        }
        None => short(status, text),
    };
    match status {
        Status::MethodNotAllowed => answer.field("Allow", METHODS),
        Status::ServiceUnavailable => answer.field("Retry-After", "1"),
        _ => {}
    }
    answer
}

fn short(status: Status, text: &'static str) -> Answer {
    let mut answer = Answer::new(status, Content::Text(text));
    answer.field("Content-Type", PLAIN_TEXT);
    answer.field("Content-Length", text.len().to_string());
    answer
}

fn plain_error(files: &Files, status: Status) -> Answer {
    error(files, status, status.content())
}

/// Whether the path of a request that breaks no rule is looked at.
pub(super) fn reaches_path(plan: &Plan, request: &Request) -> bool {
    let pool_size = plan.limits.pool_size;
    request.line_length <= plan.limits.max_request_line
        && take_lines(request.lines.len(), pool_size)
            .is_ok_and(|used| take(used, request.case.path_length + PATH_BYTES, 1, pool_size).is_some())
}

/// The head of a registered answer, as an answer to this request.
pub(super) fn registered(files: &Files, request: &Request, spec: &Spec) -> Answer {
    // What is registered is no answer to a browser that asks whether it may ask, whatever its code.
    let mut answer = Answer::new(Status::Ok, Content::Text(""));
    for (name, value) in &spec.fields {
        answer.field(name, *value);
    }
    if !spec.content.is_empty() && spec.fields.iter().all(|field| field.0 != "Content-Type") {
        answer.field("Content-Type", "application/octet-stream");
    }
    if !matches!(spec.code(), 204 | 304) {
        answer.field("Content-Length", spec.content.len().to_string());
    }
    finish(&mut answer, files, &request.lines);
    answer.is_old = request.is_old;
    answer
}

/// The answer to a request that breaks no rule.
pub(super) fn answer(plan: &Plan, files: &Files, request: &Request) -> Answer {
    let pool_size = plan.limits.pool_size;
    if request.line_length > plan.limits.max_request_line {
        return refused(files, Reject::RequestLineTooLong, &[]);
    }
    let used = match take_lines(request.lines.len(), pool_size) {
        Ok(used) => used,
        Err(lines) => return refused(files, Reject::PoolExhausted, &request.lines[..lines]),
    };
    let mut answer = match take(used, request.case.path_length + PATH_BYTES, 1, pool_size) {
        Some(used) => answer_to_method(plan, files, request, used),
        None => rejected(files, Reject::PoolExhausted),
    };
    finish(&mut answer, files, &request.lines);
    answer.is_old = request.is_old;
    answer.asked_to_close = !request.persists;
    answer.says_close |= !request.persists;
    answer.closes |= answer.says_close || (answer.content.is_cut(files) && request.method != "HEAD");
    answer
}

fn answer_to_method(plan: &Plan, files: &Files, request: &Request, used: usize) -> Answer {
    match request.method {
        "GET" | "HEAD" => {}
        "OPTIONS" => {
            let mut answer = Answer::new(Status::NoContent, Content::Text(""));
            answer.field("Allow", METHODS);
            return answer;
        }
        "POST" | "PUT" | "DELETE" | "PATCH" | "TRACE" => return rejected(files, Reject::MethodNotAllowed),
        _ => return rejected(files, Reject::MethodUnknown),
    }
    let outcome = files.outcome(&request.case.name, &request.codings);
    match &outcome {
        Outcome::File { .. } => answer_with_file(plan, files, request, &outcome, used),
        Outcome::Listing(_) if take(used, PLACE_BYTES, PLACE_ALIGNMENT, plan.limits.pool_size).is_none() => {
            Answer { has_no_place: true, ..rejected(files, Reject::PoolExhausted) }
        }
        Outcome::Listing(id) => listing(request, *id),
        // Encoded three times as long, it may be longer than what there is to send it from.
        Outcome::Redirect if 3 * request.case.name.matches(']').count() > plan.limits.buffer_size => {
            plain_error(files, Status::InternalServerError)
        }
        Outcome::Redirect => {
            let mut answer = short(Status::MovedPermanently, Status::MovedPermanently.content());
            answer.field("Location", &*request.case.location);
            answer
        }
        Outcome::Health => Answer { is_health: true, ..short(Status::Ok, "ok\n") },
        Outcome::Error(Status::ServiceUnavailable) => rejected(files, Reject::NoDescriptor),
        Outcome::Error(status) => plain_error(files, *status),
    }
}

/// Conditions first, then ranges.
fn answer_with_file(plan: &Plan, files: &Files, request: &Request, outcome: &Outcome, used: usize) -> Answer {
    let Outcome::File { id, coding, media_type, is_fallback } = *outcome else { panic!("a file answers") };
    let (size, validators) = (files.size(id), validators(files, outcome, None));
    let mut answer = match request.conditions.verdict(&validators) {
        Verdict::NotModified => Answer::new(Status::NotModified, Content::Text("")),
        Verdict::PreconditionFailed => return plain_error(files, Status::PreconditionFailed),
        Verdict::Proceed => {
            let range = request.range.as_ref().filter(|_| request.method == "GET");
            let range = range.filter(|_| request.conditions.if_range_holds(&validators));
            match range.map_or(Selected::Whole, |range| range.select(size)) {
                Selected::Whole => whole(files, id, media_type),
                Selected::Ranges(ranges) if ranges.len() == 1 => part(files, id, media_type, ranges[0]),
                Selected::Ranges(ranges) => {
                    let bytes = RANGE_BYTES * ranges.len();
                    if take(used, bytes, ALIGNMENT, plan.limits.pool_size).is_none() {
                        return Answer { has_too_many_parts: true, ..rejected(files, Reject::PoolExhausted) };
                    }
                    parts(Parts { file: id, ranges, media_type })
                }
                Selected::Nothing => {
                    let mut answer = plain_error(files, Status::RangeNotSatisfiable);
                    answer.field("Content-Range", format!("bytes */{size}"));
                    return answer;
                }
            }
        }
    };
    if answer.status != Status::NotModified {
        answer.fields.push(("Last-Modified", Value::LastModified(id)));
        answer.field("Accept-Ranges", "bytes");
        if let Some(coding) = coding {
            answer.field("Content-Encoding", coding_name(coding));
        }
    }
    answer.fields.push(("ETag", Value::Tag(id)));
    let cache_control = std::str::from_utf8(&files.site.cache_control).expect("it is ASCII");
    if !cache_control.is_empty() {
        answer.field("Cache-Control", cache_control);
    }
    answer.is_fallback = is_fallback;
    answer
}

fn coding_name(coding: Coding) -> &'static str {
    match coding {
        Coding::Brotli => "br",
        Coding::Zstandard => "zstd",
        Coding::Gzip => "gzip",
    }
}

fn whole(files: &Files, id: usize, media_type: &'static str) -> Answer {
    let mut answer = Answer::new(Status::Ok, Content::whole(files, id));
    answer.field("Content-Type", media_type);
    answer.field("Content-Length", files.size(id).to_string());
    answer
}

fn part(files: &Files, id: usize, media_type: &'static str, (first, last): (u64, u64)) -> Answer {
    let length = last - first + 1;
    let mut answer = Answer::new(Status::PartialContent, Content::Part { file: id, first, length });
    answer.field("Content-Type", media_type);
    answer.field("Content-Length", length.to_string());
    answer.field("Content-Range", format!("bytes {first}-{last}/{}", files.size(id)));
    answer
}

fn parts(parts: Parts) -> Answer {
    let mut answer = Answer::new(Status::PartialContent, Content::Parts(parts));
    answer.fields.push(("Content-Type", Value::PartsType));
    answer.fields.push(("Content-Length", Value::PartsLength));
    answer
}

/// The list of a directory. Its length is not known before, so that to an old peer it ends where the connection does.
fn listing(request: &Request, directory: usize) -> Answer {
    let is_json = request.case.wants_json || request.prefers_json;
    let format = if is_json { Format::Json } else { Format::Html };
    let mut answer = Answer::new(Status::Ok, Content::Listing { directory, format });
    answer.field("Content-Type", if is_json { "application/json" } else { "text/html; charset=utf-8" });
    if !is_json {
        answer.field("Content-Security-Policy", CONTENT_SECURITY_POLICY);
    }
    if !request.is_old {
        answer.field("Transfer-Encoding", "chunked");
    }
    answer.says_close = request.is_old;
    answer
}

/// What every answer says, by the field lines that were read before it.
fn finish(answer: &mut Answer, files: &Files, lines: &[String]) {
    let origins: Vec<_> = lines.iter().filter_map(|line| line.strip_prefix("Origin: ")).collect();
    let is_of_file = answer.fields.iter().any(|field| field.0 == "ETag");
    let allowed = match &files.site.cors {
        Cors::Off => None,
        Cors::Any => Some("*"),
        Cors::Origins(list) => match origins[..] {
            [origin] if list.iter().any(|allowed| **allowed == *origin.as_bytes()) => Some(origin),
            _ => None,
        },
    };
    let mut varies = Vec::new();
    if matches!(answer.content, Content::Listing { .. }) {
        varies.push("Accept");
    }
    if files.site.precompressed && is_of_file {
        varies.push("Accept-Encoding");
    }
    if matches!(files.site.cors, Cors::Origins(_)) {
        varies.push("Origin");
    }
    if !varies.is_empty() {
        answer.field("Vary", varies.join(", "));
    }
    let Some(allowed) = allowed else { return };
    let asks_first = lines.iter().any(|line| line.starts_with("Access-Control-Request-Method: "));
    if answer.status == Status::NoContent && asks_first && !origins.is_empty() {
        answer.field("Access-Control-Allow-Methods", METHODS);
        answer.field("Access-Control-Allow-Headers", "*");
        answer.field("Access-Control-Max-Age", "86400");
    }
    answer.field("Access-Control-Allow-Origin", allowed);
    let exposed = "Accept-Ranges, Content-Encoding, Content-Length, Content-Range, Date, ETag";
    answer.field("Access-Control-Expose-Headers", exposed);
}
