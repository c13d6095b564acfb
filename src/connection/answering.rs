//! PROCESSING: from a complete or refused request to the decision what answers it.
//!
//! Every answer goes this way, errors too. What has to be looked up beneath the document root is asked of the driver, one name
//! at a time; [`super::replying`] writes the answer.

use super::canned::Registered;
use super::core::Core;
use super::sending::{FileName, Step};
use super::{Connection, State};
use crate::http::field::FieldName;
use crate::http::negotiation::{Coding, Codings, acceptable_codings};
use crate::http::request_line::Method;
use crate::http::target::{self, Target};
use crate::http::{Reject, Status, grammar};
use crate::stats::export::MAX_EXPORT;
use crate::trace::Event;
use std::ffi::CStr;

/// The file that answers for its directory.
const INDEX: &[u8] = b"index.html";
/// The same at the root.
const ROOT_INDEX: &CStr = c"index.html";
/// The longest name that the system opens, its NUL included (PATH_MAX).
const MAX_NAME: usize = 4096;

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

/// What a name beneath the root turned out to be. `F` is an open file or directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Opened<F> {
    /// A regular file, open; and the content coding that it has, where it is a sidecar in place of the file of that name.
    File(F, FileFacts, Option<Coding>),
    /// A directory, open.
    Directory(F),
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

/// What is being looked up beneath the root.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Lookup {
    /// Nothing.
    #[default]
    Nothing,
    /// What the request names: a file, or the index file where it names a directory.
    Named,
    /// The directory that the request names, to be listed.
    Directory,
    /// The root's index file, because the request names nothing.
    Fallback,
    /// The page that goes with an error.
    ErrorPage(Failure),
    /// The server's own statistics.
    Statistics,
    /// Nothing: what was registered answers.
    Registered,
}

/// An error answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Failure {
    pub(super) status: Status,
    /// Its content where it has no page.
    pub(super) content: &'static str,
    pub(super) may_persist: bool,
}

impl Failure {
    /// An answer that says no more than its status, on a connection that goes on.
    pub(super) fn of(status: Status) -> Self {
        Self { status, content: status.content(), may_persist: true }
    }

    /// The file in the root that may be its content. Some errors have none: those that come of a lack of time or memory.
    fn page(&self) -> Option<&'static CStr> {
        Some(match self.status {
            Status::BadRequest => c"400.html",
            Status::Forbidden => c"403.html",
            Status::NotFound => c"404.html",
            Status::MethodNotAllowed => c"405.html",
            Status::PreconditionFailed => c"412.html",
            Status::ContentTooLarge => c"413.html",
            Status::UriTooLong => c"414.html",
            Status::RangeNotSatisfiable => c"416.html",
            Status::ExpectationFailed => c"417.html",
            Status::RequestHeaderFieldsTooLarge => c"431.html",
            Status::InternalServerError => c"500.html",
            Status::NotImplemented => c"501.html",
            Status::HttpVersionNotSupported => c"505.html",
            _ => return None,
        })
    }
}

/// Where a file's content comes from.
#[derive(Debug)]
pub(super) enum Source<'a, F> {
    /// A file that is open.
    File(F),
    /// All of its content, good for now only. There is room for it in the send buffer.
    Memory(&'a [u8]),
}

/// What a request's path leads to.
enum Route {
    /// What was registered for it.
    Registered,
    /// A name beneath the root.
    Name,
    /// Nothing that may be opened or shown.
    Nowhere,
    /// The statistics, or the state of health.
    Statistics,
    Health,
}

impl<F> Connection<F> {
    /// Takes the next step towards an answer; none where the response is on its way.
    pub(super) fn answer(&mut self, core: &mut Core) -> Option<Step> {
        let room = self.longest_answer(core).max(self.request.room_wanted);
        if self.has_output() && self.output_room() < room {
            return Some(Step::Send);
        }
        match self.request.lookup {
            Lookup::Nothing => {}
            Lookup::Statistics => return Some(Step::Tell),
            Lookup::Registered => return self.answer_as_registered(core),
            _ => return Some(Step::Open),
        }
        let routed = match self.request.refusal {
            Some(reject) => Err(reject),
            None => self.route(core),
        };
        if let Err(reject) = routed {
            self.reject(core, reject);
        }
        // A lookup has begun, or the response.
        None
    }

    /// Decides what a complete, well-framed request gets.
    fn route(&mut self, core: &mut Core) -> Result<(), Reject> {
        if self.request.framing.unmet_expectation {
            return Err(Reject::Expectation);
        }
        let route = self.find_name(core)?;
        let used = self.lease.as_ref().map_or(0, |lease| lease.pool.used());
        self.record(core, Event::HeadersParsed(self.request.fields.len(), used));
        match (self.request.line.method, route) {
            (_, Route::Registered) => self.request.lookup = Lookup::Registered,
            (Method::Get | Method::Head, Route::Name) => {
                if core.site.precompressed && self.request.fields.has(FieldName::AcceptEncoding) {
                    self.request.codings = acceptable_codings(self.fields());
                }
                self.request.lookup = Lookup::Named;
            }
            (Method::Get | Method::Head, Route::Nowhere) => self.fail(core, Failure::of(Status::NotFound)),
            (Method::Get | Method::Head, Route::Statistics) => {
                self.request.lookup = Lookup::Statistics;
                self.request.room_wanted = core.longest_head + MAX_EXPORT;
            }
            (Method::Get | Method::Head, Route::Health) => self.reply_with_health(core),
            (Method::Options, _) => self.reply_short(core, Status::NoContent, "", true),
            (Method::Standard | Method::Connect, _) => return Err(Reject::MethodNotAllowed),
            (Method::Unknown, _) => return Err(Reject::MethodUnknown),
        }
        Ok(())
    }

    /// Makes the name to open in the pool.
    fn find_name(&mut self, core: &mut Core) -> Result<Route, Reject> {
        let (start, end) = (self.consumed, self.filled);
        let Some(lease) = &mut self.lease else { return Ok(Route::Nowhere) };
        let received = lease.receive.get(start..end).unwrap_or_default();
        let target = Target::parse(self.request.line.method, self.request.line.target.of(received))?;
        if target.has_fragment() {
            return Err(Reject::Fragment);
        }
        let Target::Path { path, query } = target else { return Ok(Route::Nowhere) };
        let Ok(memory) = lease.pool.make::<u8>(path.len() + INDEX.len() + 1) else {
            core.counters.pool_overflows.add(1);
            return Err(Reject::PoolExhausted);
        };
        let name = lease.pool.get_mut(memory);
        let length = target::decode_path(path, name)?;
        if !core.canned.is_empty() {
            let line = self.request.line.line.of(received);
            let method = grammar::find(b' ', line).and_then(|end| line.get(..end)).unwrap_or_default();
            self.registered = core.canned.take(method, &name[..length], query).map(Registered::new);
            if self.registered.is_some() {
                return Ok(Route::Registered);
            }
        }
        if let Some(status_name) = &core.site.status_name
            && let Some(below) = name[..length].strip_prefix(&**status_name)
        {
            match below {
                b"" | b"/" => return Ok(Route::Statistics),
                b"/health" => return Ok(Route::Health),
                _ if below.starts_with(b"/") => return Ok(Route::Nowhere),
                _ => {}
            }
        }
        if length + INDEX.len() >= MAX_NAME || (!core.site.hidden && target::is_hidden(&name[..length])) {
            return Ok(Route::Nowhere);
        }
        let names_directory = length == 0 || name[length - 1] == b'/';
        let end = if names_directory { length + INDEX.len() } else { length };
        if names_directory {
            name[length..end].copy_from_slice(INDEX);
        }
        // Behind the end may lie what a removed dot-segment left.
        name[end] = 0;
        self.request.name_length = length;
        self.request.name_end = end;
        self.request.path = Some(memory);
        Ok(Route::Name)
    }

    /// What the request's path decodes to, with a final slash where it names a directory.
    pub(super) fn requested_name(&self) -> &[u8] {
        let name = match (&self.lease, self.request.path) {
            (Some(lease), Some(path)) => lease.pool.get(path),
            _ => &[],
        };
        name.get(..self.request.name_length).unwrap_or_default()
    }

    fn names_directory(&self) -> bool {
        self.requested_name().last().is_none_or(|&last| last == b'/')
    }

    /// The name to open now.
    pub(super) fn name(&self) -> FileName<'_> {
        match (self.request.lookup, &self.lease, self.request.path) {
            (Lookup::Fallback, ..) => FileName::of(ROOT_INDEX),
            (Lookup::ErrorPage(failure), ..) => FileName::of(failure.page().unwrap_or_default()),
            (_, Some(lease), Some(path)) => FileName::new(lease.pool.get(path), self.request.name_end),
            _ => FileName::of(c""),
        }
    }

    /// The content codings that may take the place of what is opened now.
    pub(super) fn codings(&self) -> Codings {
        match self.request.lookup {
            Lookup::Named | Lookup::Fallback => self.request.codings,
            Lookup::Nothing | Lookup::Directory | Lookup::ErrorPage(_) | Lookup::Statistics | Lookup::Registered => {
                Codings::NONE
            }
        }
    }

    /// What the name turned out to be: the answer follows from it.
    pub(super) fn opened(&mut self, core: &mut Core, outcome: Result<Opened<F>, OpenError>) {
        if self.state != State::Processing {
            return;
        }
        match (self.request.lookup, outcome) {
            (Lookup::Nothing | Lookup::Statistics | Lookup::Registered, _) => {}
            (Lookup::ErrorPage(failure), Ok(Opened::File(file, facts, _))) => {
                self.reply_with_page(core, failure, Source::File(file), facts.size);
            }
            (Lookup::ErrorPage(failure), _) => self.reply_failure(core, failure),
            (Lookup::Named | Lookup::Fallback, Ok(Opened::File(file, facts, coding))) => {
                self.reply_with_file(core, Source::File(file), facts, coding, None);
            }
            (Lookup::Directory, Ok(Opened::Directory(directory))) => self.reply_with_listing(core, directory),
            (Lookup::Named, Ok(Opened::Directory(_))) if !self.names_directory() => self.redirect_to_directory(core),
            (Lookup::Named, Err(OpenError::NotFound)) if self.names_directory() && core.site.listing => {
                self.look_up_directory();
            }
            (_, Ok(_) | Err(OpenError::NotFound)) => self.not_found(core),
            (_, Err(OpenError::Forbidden)) => self.fail(core, Failure::of(Status::Forbidden)),
            (_, Err(OpenError::NoDescriptor)) => self.reject(core, Reject::NoDescriptor),
            (_, Err(OpenError::Failed)) => self.fail(core, Failure::of(Status::InternalServerError)),
        }
    }

    /// The directory itself is to be opened, not its index file.
    fn look_up_directory(&mut self) {
        self.request.lookup = Lookup::Directory;
        let length = self.request.name_length;
        let (Some(lease), Some(path)) = (&mut self.lease, self.request.path) else { return };
        let name = lease.pool.get_mut(path);
        // The index file's name, which is longer than this, ends where the directory's name does.
        let end = if length == 0 { 1 } else { length };
        if length == 0 {
            name[0] = b'.';
        }
        if let Some(place) = name.get_mut(end) {
            *place = 0;
        }
        self.request.name_end = end;
    }

    /// Nothing is there: the single page of an application, where there is one, answers for what has no extension.
    fn not_found(&mut self, core: &mut Core) {
        let has_extension =
            |name: &[u8]| name.rsplit(|&byte| byte == b'/').next().is_some_and(|last| last.contains(&b'.'));
        if core.site.spa && self.request.lookup != Lookup::Fallback && !has_extension(self.requested_name()) {
            self.request.was_opened = false;
            self.request.lookup = Lookup::Fallback;
        } else {
            self.fail(core, Failure::of(Status::NotFound));
        }
    }

    pub(super) fn reject(&mut self, core: &mut Core, reject: Reject) {
        core.counters.rejects[reject as usize].add(1);
        self.record(core, Event::Rejected(reject));
        // A method that is not allowed has been understood, and so has what there is no memory or descriptor for.
        self.request.is_refused |= reject.status().code() < 500 && reject != Reject::MethodNotAllowed;
        let failure = Failure { status: reject.status(), content: reject.content(), may_persist: !reject.closes() };
        self.fail(core, failure);
    }

    /// Answers with an error, whose content may be a page of the site.
    pub(super) fn fail(&mut self, core: &mut Core, failure: Failure) {
        let has_page = core.site.error_pages && failure.page().is_some();
        if has_page && !matches!(self.request.lookup, Lookup::ErrorPage(_)) {
            self.request.was_opened = false;
            self.request.lookup = Lookup::ErrorPage(failure);
        } else {
            self.reply_failure(core, failure);
        }
    }

    /// The field lines of the request.
    pub(super) fn fields(&self) -> impl Iterator<Item = (FieldName, &[u8])> + Clone {
        let received = self.received_bytes();
        let lease = self.lease.as_ref();
        let lines = lease.map(|lease| self.request.fields.iter(&lease.pool)).into_iter().flatten();
        lines.map(move |line| (line.name, line.value.of(received)))
    }

    /// The value of a field, where exactly one line has it.
    pub(super) fn single_field(&self, name: FieldName) -> Option<&[u8]> {
        if !self.request.fields.has(name) {
            return None;
        }
        let mut values = self.fields().filter(|field| field.0 == name).map(|field| field.1);
        values.next().filter(|_| values.next().is_none())
    }

    /// Whether the query of the request-target has this parameter, written just so.
    pub(super) fn query_has(&self, parameter: &[u8]) -> bool {
        let target = Target::parse(self.request.line.method, self.request.line.target.of(self.received_bytes()));
        let query = target.ok().and_then(Target::query).unwrap_or_default();
        query.split(|&byte| byte == b'&').any(|part| part == parameter)
    }
}
