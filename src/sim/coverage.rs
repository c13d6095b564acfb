//! What the runs have come upon, so that a simulator that sees nothing is noticed.

use super::answer::Content;
use super::client::{Act, Client};
use super::files::Files;
use super::request::Exchange;
use super::response::Response;
use super::world::World;
use crate::canned::{Ending, Wait};
use crate::connection::State;
use crate::http::listing::Format;
use crate::http::{Reject, Status};
use crate::stats::Timeout;

/// Numbers that must all be above 0 once many seeds have run.
#[derive(Clone, Debug)]
pub(super) struct Coverage {
    states: [u64; State::ALL.len()],
    transitions: [[u64; State::ALL.len()]; State::ALL.len()],
    responses: [u64; Status::COUNT],
    rejects: [u64; Reject::COUNT],
    timeouts: [u64; Timeout::ALL.len()],
    events: [u64; EVENTS.len()],
}

const EVENTS: &[&str] = &[
    "a connection is reclaimed",
    "a file is truncated",
    "a pool overflows",
    "a connection is abandoned",
    "100 (Continue)",
    "a peer ends in the middle of a request",
    "a peer resets",
    "a peer vanishes",
    "a peer half-closes",
    "a peer sleeps",
    "everything was foretold",
    "nothing was foretold",
    "the server closes and leaves bytes unread",
    "content is discarded",
    "the server drains",
    "206 with one range",
    "206 with several parts",
    "a part is read into the send buffer",
    "a part is sent from the file",
    "several parts come from memory",
    "a content comes from memory",
    "a content in memory waits for room",
    "a content in memory is held",
    "kept field lines are used",
    "what goes before a file goes with it",
    "a sidecar",
    "304 beside sidecars",
    "an error page on a connection that persists",
    "an error page on a connection that closes",
    "an error page that is cut short",
    "the root's index answers for another name",
    "a preflight",
    "a tag that holds once",
    "a HEAD with a Range",
    "a health",
    "several parts are cut short",
    "too many ranges for the pool",
    "a Location that is too long",
    "a listing as a page",
    "a listing as JSON",
    "a listing in several chunks",
    "a listing of nothing",
    "a listing waits for the desk",
    "a listing fails",
    "a listing for HTTP/1.0",
    "a HEAD of a listing",
    "no room in the pool for a listing",
    "a receive fails",
    "a send fails",
    "a file ends early",
    "a name cannot be opened",
    "accepting fails",
    "a newcomer is gone before it is accepted",
    "the wall clock goes back",
    "the wall clock goes ahead",
    "a registered answer waits",
    "other answers are registered",
    "a registered answer is used up",
    "the server begins anew",
    "a request is kept",
    "everything that was kept was foretold",
    "a registered answer is disturbed",
    "a registered answer",
    "a registered answer with a delay",
    "a registered answer that dribbles",
    "a registered answer that stalls",
    "a registered answer with a long content",
    "a registered answer of 204",
    "a registered answer of 304",
    "a registered answer with a code of its own",
    "a registered answer to HEAD",
    "a registered answer to another method",
    "a registered answer that says close",
    "a registered answer to HTTP/1.0",
    "a registered answer is cut by a close",
    "a registered answer is cut by a reset",
    "a registered answer is none",
    "something raw",
    "something raw for HEAD",
    "something raw is cut",
    "a registered answer is delayed for ever",
    "a registered answer stalls for ever",
];

impl Default for Coverage {
    fn default() -> Self {
        let states = [0; State::ALL.len()];
        Self {
            states,
            transitions: [states; State::ALL.len()],
            responses: [0; Status::COUNT],
            rejects: [0; Reject::COUNT],
            timeouts: [0; Timeout::ALL.len()],
            events: [0; EVENTS.len()],
        }
    }
}

impl Coverage {
    fn count(&mut self, event: &str) {
        let index = EVENTS.iter().position(|known| *known == event).expect("the event is listed");
        self.events[index] += 1;
    }

    pub(super) fn take_state(&mut self, state: State) {
        self.states[state as usize] += 1;
    }

    pub(super) fn take_act(&mut self, act: Act) {
        match act {
            Act::Resets => self.count("a peer resets"),
            Act::Vanishes => self.count("a peer vanishes"),
            Act::Ends => self.count("a peer half-closes"),
            Act::Sleeps(_) => self.count("a peer sleeps"),
            Act::Nothing | Act::Connects | Act::Delivers(_) | Act::Reads(_) => {}
        }
    }

    /// Takes in a line of the trace.
    pub(super) fn take_line(&mut self, line: &str) {
        let named = |name: &str| State::ALL.into_iter().find(|state| state.name() == name);
        let change = if let Some(states) = line.strip_prefix("State: ") {
            let (from, to) = states.split_once(" → ").unwrap_or(("FREE", states));
            named(from).zip(named(to))
        } else if line.starts_with("Parsed: ") {
            Some((State::ReadingRequestLine, State::ReadingHeaders))
        } else if line == "Connection closed" {
            Some((State::Closing, State::Free))
        } else {
            None
        };
        if let Some((from, to)) = change {
            self.take_state(to);
            self.transitions[from as usize][to as usize] += 1;
        }
        if line.starts_with("Content: ") {
            self.count("content is discarded");
        }
        if line.starts_with("Draining: ") {
            self.count("the server drains");
        }
        if line.starts_with("Peer closed in the middle") {
            self.count("a peer ends in the middle of a request");
        }
    }

    /// Takes in the end of a run.
    pub(super) fn take_end(&mut self, world: &World, is_foretold: bool) {
        let statistics = world.table.counters().snapshot();
        add(&mut self.responses, &statistics.responses);
        add(&mut self.rejects, &statistics.rejects);
        add(&mut self.timeouts, &statistics.timeouts);
        let mut happened = |event, times: u64| (0..times).for_each(|_| self.count(event));
        happened("a connection is reclaimed", statistics.connections_reclaimed);
        happened("a file is truncated", statistics.files_truncated);
        happened("a pool overflows", statistics.pool_overflows);
        happened("a connection is abandoned", world.tally.abandoned);
        happened("100 (Continue)", world.clients.iter().map(|client| client.reader.interim as u64).sum());
        happened(if is_foretold { "everything was foretold" } else { "nothing was foretold" }, 1);
        let unread = world.clients.iter().filter(|client| client.wire.closed_unread).count();
        happened("the server closes and leaves bytes unread", unread as u64);
        let tally = &world.tally;
        happened("a part is read into the send buffer", tally.parts_read);
        happened("a part is sent from the file", tally.parts_sent);
        happened("several parts come from memory", tally.parts_from_memory);
        happened("a content comes from memory", tally.memory_hits);
        happened("a content in memory waits for room", tally.memory_late);
        happened("a content in memory is held", tally.memory_held);
        happened("kept field lines are used", tally.kept_fields_used);
        happened("what goes before a file goes with it", tally.sent_together);
        happened("a listing waits for the desk", tally.listing_waits);
        happened("a receive fails", tally.receives_failed);
        happened("a send fails", tally.sends_failed);
        happened("a file ends early", tally.files_ended);
        happened("a name cannot be opened", tally.opens_failed);
        happened("accepting fails", tally.accepts_failed);
        happened("a newcomer is gone before it is accepted", tally.newcomers_failed);
        happened("the wall clock goes back", tally.set_back);
        happened("the wall clock goes ahead", tally.set_ahead);
        happened("a registered answer waits", tally.pauses);
        happened("other answers are registered", tally.changes);
        happened("a registered answer is used up", world.registry.used_up);
        happened("the server begins anew", world.before.times);
        if let Some(captured) = &world.captured {
            let requests = captured.requests().0;
            happened("a request is kept", requests.len() as u64);
            happened("everything that was kept was foretold", u64::from(is_foretold && !requests.is_empty()));
        }
        for client in world.clients.iter().filter(|client| !client.disturbance.refused) {
            for (response, exchange) in client.reader.responses.iter().zip(&client.script) {
                match response.spec() {
                    Some(_) => continue,
                    None => self.take_response(response, exchange),
                }
                self.take_listing(response, exchange, &world.files);
            }
            client.script.iter().for_each(|exchange| self.take_registered(exchange, client, world));
        }
    }

    fn take_response(&mut self, response: &Response, exchange: &Exchange) {
        let Some(answer) = exchange.answer() else { return };
        let has = |name: &str| response.head.value(name).is_some();
        let is_whole = response.end.is_some() && !exchange.is_head;
        let young = response.head.value("ETag").is_some_and(|tag| tag.split('-').count() == 4);
        let several = matches!(answer.content, Content::Parts(_));
        let page = response.has_page() && !exchange.is_head;
        let is_sidecar = has("Content-Encoding");
        let varies = response.head.value("Vary").is_some_and(|names| names.starts_with("Accept-Encoding"));
        let is_long = memchr::memmem::find(&exchange.bytes, b"]]]]]]]]").is_some();
        for (event, happens) in [
            ("206 with one range", is_whole && response.status == Status::PartialContent && !several),
            ("206 with several parts", is_whole && several),
            ("a sidecar", is_sidecar),
            ("304 beside sidecars", response.status == Status::NotModified && varies),
            ("an error page on a connection that persists", is_whole && page && !response.closes),
            ("an error page on a connection that closes", is_whole && page && response.closes),
            ("an error page that is cut short", !is_whole && page),
            ("the root's index answers for another name", answer.is_fallback),
            ("a preflight", has("Access-Control-Allow-Methods")),
            ("a tag that holds once", young),
            ("a HEAD with a Range", exchange.is_head && exchange.has_range && response.status == Status::Ok),
            ("a health", answer.is_health),
            ("several parts are cut short", !is_whole && several),
            ("too many ranges for the pool", answer.has_too_many_parts),
            ("a Location that is too long", is_long && response.status == Status::InternalServerError),
        ] {
            if happens {
                self.count(event);
            }
        }
    }

    /// What was registered, where nothing disturbed it.
    fn take_registered(&mut self, exchange: &Exchange, client: &Client, world: &World) {
        let (Some(spec), Some(course)) = (&exchange.taken, exchange.course()) else { return };
        if client.disturbance.any() {
            return self.count("a registered answer is disturbed");
        }
        let (pace, waits_for_ever) = (&spec.pace, |wait| wait == Wait::ForEver);
        let length = spec.content_length(exchange.is_head);
        let is_cut = course.is_shown && course.content < length && !course.lasts;
        let is_delayed = !matches!(pace.delay, Wait::None | Wait::ForEver);
        let is_stalled = pace.stall.is_some_and(|(_, wait)| !waits_for_ever(wait));
        let method = exchange.request.as_ref().map_or("", |request| request.method);
        let fits = length + 900 < world.plan.limits.buffer_size;
        for (event, happens) in [
            ("a registered answer", course.completes && pace.is_plain()),
            ("a registered answer with a delay", course.completes && is_delayed),
            ("a registered answer that dribbles", course.completes && pace.dribble.is_some()),
            ("a registered answer that stalls", course.completes && is_stalled),
            ("a registered answer with a long content", course.completes && !fits),
            ("a registered answer of 204", course.completes && course.code == 204),
            ("a registered answer of 304", course.completes && course.code == 304),
            ("a registered answer with a code of its own", course.completes && matches!(course.code, 299 | 418 | 799)),
            ("a registered answer to HEAD", course.completes && exchange.is_head),
            ("a registered answer to another method", course.completes && matches!(method, "POST" | "BREW" | "DELETE")),
            ("a registered answer that says close", course.completes && spec.says_close()),
            ("a registered answer to HTTP/1.0", exchange.request.as_ref().is_some_and(|request| request.is_old)),
            ("a registered answer is cut by a close", is_cut && pace.ending == Ending::Close),
            ("a registered answer is cut by a reset", is_cut && pace.ending == Ending::Reset),
            ("a registered answer is none", course.is_answered && !course.is_shown && !spec.is_raw() && !course.lasts),
            ("something raw", spec.is_raw() && course.completes),
            ("something raw for HEAD", spec.is_raw() && course.completes && exchange.is_head),
            ("something raw is cut", spec.is_raw() && !course.lasts && course.content < length),
            ("a registered answer is delayed for ever", waits_for_ever(pace.delay)),
            ("a registered answer stalls for ever", course.lasts && course.is_answered),
        ] {
            if happens {
                self.count(event);
            }
        }
    }

    fn take_listing(&mut self, response: &Response, exchange: &Exchange, files: &Files) {
        let Some(answer) = exchange.answer() else { return };
        if answer.has_no_place {
            self.count("no room in the pool for a listing");
        }
        let Content::Listing { directory, format } = answer.content else { return };
        let is_cut = answer.content.is_cut(files);
        let is_empty = files.directories.get(directory).is_empty();
        let is_whole = response.end.is_some() && !exchange.is_head && !is_cut;
        for (event, happens) in [
            ("a listing as a page", is_whole && format == Format::Html),
            ("a listing as JSON", is_whole && format == Format::Json),
            ("a listing in several chunks", is_whole && response.chunks() > 1),
            ("a listing of nothing", is_whole && is_empty),
            ("a listing fails", is_cut && !exchange.is_head),
            ("a listing for HTTP/1.0", is_whole && answer.is_old),
            ("a HEAD of a listing", exchange.is_head),
        ] {
            if happens {
                self.count(event);
            }
        }
    }

    pub(super) fn merge(&mut self, other: &Self) {
        add(&mut self.states, &other.states);
        for (mine, theirs) in self.transitions.iter_mut().zip(&other.transitions) {
            add(mine, theirs);
        }
        add(&mut self.responses, &other.responses);
        add(&mut self.rejects, &other.rejects);
        add(&mut self.timeouts, &other.timeouts);
        add(&mut self.events, &other.events);
    }

    /// Everything that is to happen, and how often it did.
    pub(super) fn all(&self) -> Vec<(String, u64)> {
        let mut all = Vec::new();
        for state in State::ALL {
            all.push((format!("state {}", state.name()), self.states[state as usize]));
            for to in State::ALL.into_iter().filter(|to| state.may_become(*to)) {
                let count = self.transitions[state as usize][to as usize];
                all.push((format!("{} → {}", state.name(), to.name()), count));
            }
        }
        let statuses = Status::ALL.iter().map(|status| format!("status {}", status.text())).zip(self.responses);
        let rejects = Reject::ALL.iter().map(|reject| format!("reject {}", reject.name())).zip(self.rejects);
        let timeouts = Timeout::ALL.iter().map(|timeout| format!("timeout {}", timeout.name())).zip(self.timeouts);
        let events = EVENTS.iter().map(|event| (*event).to_owned()).zip(self.events);
        all.extend(statuses.chain(rejects).chain(timeouts).chain(events));
        all
    }
}

fn add(sums: &mut [u64], numbers: &[u64]) {
    for (sum, number) in sums.iter_mut().zip(numbers) {
        *sum += number;
    }
}
