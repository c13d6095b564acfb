//! What must be true once everything is over.

use super::answer::Content;
use super::canned::Spec;
use super::captured;
use super::client::Client;
use super::files::Files;
use super::model;
use super::request::{Exchange, Expected};
use super::response::Response;
use super::world::World;
use crate::connection::State;
use crate::http::{Code, Reject, Status};
use crate::stats::{Snapshot, Timeout};
use crate::trace::ACCESS_RECORDS;

/// What the statistics must be, as far as it follows from what the clients sent and got.
#[derive(Debug)]
struct Model {
    responses: [u64; Status::COUNT],
    /// Those with another code.
    others: u64,
    rejects: [u64; Reject::COUNT],
    /// Responses whose last byte was sent.
    completed: u64,
    /// Requests whose first byte was received.
    begun: u64,
    /// What came of all contents.
    content_bytes: u64,
}

impl World {
    /// Checks the end of the run. Returns whether every number of the statistics was foretold.
    pub(super) fn check_end(&mut self) -> bool {
        self.table.check_invariants();
        let statistics = self.table.counters().snapshot();
        let slots = self.plan.limits.max_connections as u64;
        assert_eq!(self.table.active(), 0);
        assert_eq!(statistics.active_connections, 0);
        assert_eq!(statistics.states[State::Free as usize], slots);
        // With no connection left, the invariant that there are no more leases out than connections means that there are none.
        assert_eq!(statistics.invariant_violations, 0);
        let counts = &self.files.counts;
        assert_eq!(counts.opened.get() + counts.held.get(), counts.closed.get(), "every file is closed, and once");
        assert!(self.sockets.iter().all(|socket| socket.client.is_none()), "a socket is left");
        assert!(self.refusals.is_empty(), "a refused newcomer is left");
        self.watch.check_leases();
        for client in &mut self.clients {
            client.disturbance.unheard = !client.accepted;
            assert_eq!(client.accepted, client.wire.server_closed, "every accepted connection was closed");
        }
        self.check_counters(&statistics);
        self.check_uniqueness();
        for (index, client) in self.clients.iter().enumerate() {
            self.check_client(index, client);
        }
        if self.plan.calm && self.plan.faults.early_stop == 0 {
            assert!(
                self.clients.iter().all(|client| !client.disturbance.any()),
                "a client was disturbed in calm weather"
            );
        }
        self.check_model(&statistics)
    }

    fn check_counters(&self, statistics: &Snapshot) {
        let (tally, clients) = (&self.tally, &self.clients);
        let refused = tally.refused_for_slot + tally.refused_for_descriptor;
        let received: usize = clients.iter().map(|client| client.wire.received).sum();
        let sent: usize = clients.iter().map(|client| client.wire.stream.len()).sum();
        let others: u64 = statistics.other_responses.iter().sum();
        let responses = statistics.responses.iter().sum::<u64>() + others;
        let latencies: u64 = statistics.latency.iter().sum();
        assert_eq!(statistics.bytes_received, (received - self.before.received) as u64);
        assert_eq!(statistics.bytes_sent, (sent - self.before.sent) as u64);
        assert_eq!(statistics.total_requests, responses);
        if self.access_log.is_some() && responses <= ACCESS_RECORDS as u64 {
            assert_eq!(self.logged, statistics.responses, "the access log has one line for each answer");
            assert_eq!(self.logged_other, others, "the same of those that were registered");
        }
        assert_eq!(statistics.total_connections, tally.accepted);
        assert_eq!(statistics.connections_refused, refused);
        assert_eq!(statistics.connections_reclaimed, tally.reclaimed);
        assert_eq!(statistics.file_cache_hits, tally.memory_hits);
        let counts = &self.files.counts;
        let opened = counts.opened.get() - counts.directories.get() - self.before.opened;
        assert_eq!(statistics.file_cache_misses, opened + tally.memory_misses);
        assert_eq!(statistics.files_truncated, tally.truncated);
        assert_eq!(statistics.timeouts, self.watch.timeouts);
        assert_eq!(statistics.rejects[Reject::NoSlot as usize], tally.refused_for_slot);
        // Whoever is lost while an answer waits for room in the send buffer has overflowed a pool and is not refused.
        let disturbed = clients.iter().filter(|client| client.disturbance.any()).count() as u64;
        let for_pool = statistics.rejects[Reject::PoolExhausted as usize];
        assert!((for_pool..=for_pool + disturbed).contains(&statistics.pool_overflows), "pool overflows");
        assert_eq!(statistics.latency_count, latencies);
        assert!(statistics.latency_count + statistics.files_truncated <= responses);
        assert!(statistics.latency_total <= statistics.latency_count * self.now.time.0);
        assert!(statistics.peak_connections <= self.plan.limits.max_connections as u64);
        assert!(statistics.peak_pool_usage <= self.plan.limits.pool_size as u64);
        assert!(statistics.pool_usage_total <= statistics.pool_resets * statistics.peak_pool_usage);
        assert!(statistics.pool_resets >= responses - refused);
        let header_timeouts = statistics.timeouts[Timeout::Header as usize];
        assert!(statistics.rejects[Reject::HeaderTimeout as usize] <= header_timeouts);
        assert_eq!(statistics.rejects[Reject::ContentTimeout as usize], statistics.timeouts[Timeout::Content as usize]);
        for status in Status::ALL {
            let of_status = |reject: &&Reject| reject.status() == *status;
            let rejects: u64 =
                Reject::ALL.iter().filter(of_status).map(|reject| statistics.rejects[*reject as usize]).sum();
            // Whoever is lost while the page of an error waits for room in the send buffer is refused and not answered.
            let most = statistics.responses[*status as usize] + tally.memory_waits;
            assert!(rejects <= most, "rejects of {}", status.text());
        }
    }

    /// What one client got is what its requests ask for, as far as it got.
    fn check_client(&self, index: usize, client: &Client) {
        let Client { script, reader, wire, disturbance, .. } = client;
        let stream = &wire.stream;
        reader.check_rest(stream, &self.files);
        for response in reader.responses.iter().filter(|response| response.spec().is_none()) {
            response.head.check_status(&self.files.site, disturbance.refused);
        }
        if disturbance.refused {
            let statuses: Vec<_> = reader.responses.iter().map(|response| response.status).collect();
            assert!(matches!(statuses[..], [] | [Status::ServiceUnavailable]), "a refused client got {statuses:?}");
            return;
        }
        assert!(reader.responses.len() <= client.begun, "client {index} got an answer that was never begun");
        let ends_of_heads = memchr::memmem::find_iter(&client_bytes(client), b"\r\n\r\n").count();
        assert!(reader.responses.len() <= ends_of_heads + 1, "client {index} got more answers than it sent requests");
        for (number, response) in reader.responses.iter().enumerate() {
            let is_last = number + 1 == reader.responses.len();
            let exchange = script.get(number);
            if matches!(exchange.map(|exchange| &exchange.expected), Some(Expected::Anything)) {
                break;
            }
            if let (Some(spec), Some(exchange)) = (response.spec(), exchange) {
                let while_stopping = client.drained_from.is_some_and(|from| number >= from);
                self.check_registered(response, spec, exchange, while_stopping);
                assert!(is_last || !exchange.closes(), "client {index} got an answer after its last");
                continue;
            }
            // Both kinds of 408 end a connection.
            if response.status == Status::RequestTimeout {
                assert!(disturbance.timed_out && is_last, "client {index} got a 408 for nothing");
                break;
            }
            let exchange = exchange.unwrap_or_else(|| panic!("client {index} got an answer to nothing"));
            let answer = exchange.answer();
            let answer = answer.unwrap_or_else(|| panic!("client {index} got an answer to half a request"));
            if client.failed.contains(&number) {
                // What it could not open it says so, or goes without.
                let is_told = matches!(response.status.code(), 403 | 500 | 503) || response.status == answer.status;
                assert!(is_told, "client {index} got {} for what cannot be opened", response.status.text());
                continue;
            }
            let while_stopping = client.drained_from.is_some_and(|from| number >= from);
            self.check_response(response, exchange, stream, while_stopping);
            assert!(is_last || !answer.closes, "client {index} got an answer after its last");
        }
        if !disturbance.any() {
            self.check_undisturbed(index, client);
        }
    }

    /// Checks the head of a registered answer; its content was looked at as it came.
    fn check_registered(&self, response: &Response, spec: &Spec, exchange: &Exchange, while_stopping: bool) {
        let request = exchange.request.as_ref().expect("only what is understood gets what is registered");
        let code = format!("HTTP/1.1 {} ", spec.code());
        let status_line = response.head.status_line();
        assert!(status_line.starts_with(&code), "{status_line:?} instead of {code:?}");
        if let Some(status) = Status::of_code(spec.code()) {
            assert_eq!(status_line, status.line().trim_end(), "the phrase that goes with the code");
        }
        let closes = !request.persists || exchange.closes_anyway || while_stopping || spec.is_raw();
        let connection = match (closes, request.is_old) {
            _ if spec.says_close() => None,
            (true, _) => Some("close"),
            (false, true) => Some("keep-alive"),
            (false, false) => None,
        };
        response.head.check(&model::registered(&self.files, request, spec), connection, &self.files);
    }

    /// Checks a response against the answer that its request must get, where the server may be about to stop when it is begun.
    fn check_response(&self, response: &Response, exchange: &Exchange, stream: &[u8], while_stopping: bool) {
        let Some(answer) = exchange.answer() else { return };
        let request = exchange.bytes[..exchange.bytes.len().min(500)].escape_ascii();
        if answer.is_health && while_stopping {
            assert_eq!(response.status, Status::ServiceUnavailable, "the health while the server stops");
            assert!(response.closes && b"draining\n".starts_with(response.text(stream)), "the same");
            return;
        }
        assert_eq!(response.status, answer.status, "the status that answers {request}");
        let closes = answer.says_close || while_stopping;
        assert_eq!(response.closes, closes, "the Connection that answers {request}");
        let connection = match (closes, answer.is_old) {
            (true, _) => Some("close"),
            (false, true) => Some("keep-alive"),
            (false, false) => None,
        };
        response.head.check(answer, connection, &self.files);
        if exchange.is_head {
            return assert_eq!(response.content_length, 0, "the content of an answer to HEAD");
        }
        match &answer.content {
            Content::Text(text) => {
                let sent = response.text(stream);
                let is_right =
                    if response.end.is_some() { sent == text.as_bytes() } else { text.as_bytes().starts_with(sent) };
                assert!(is_right, "{} answers {request}", sent.escape_ascii());
            }
            Content::Part { file, first, .. } => {
                assert_eq!(response.part(), Some((*file, *first)), "the file that answers {request}");
            }
            Content::Parts(parts) => {
                let seen = response.parts(stream, &self.files);
                parts.check(&seen.unwrap_or_else(|| panic!("several parts answer {request}")));
            }
            Content::Listing { directory, format } => {
                let (list, is_cut) =
                    (self.files.directories.get(*directory).content(*format), answer.content.is_cut(&self.files));
                response.check_listing(stream, *format, list, is_cut);
            }
        }
    }

    /// What is given to one response only is given to no other.
    fn check_uniqueness(&self) {
        let mut used: Vec<_> = self.clients.iter().flat_map(|client| client.reader.used_once()).collect();
        used.sort_unstable();
        let twice = used.windows(2).find(|pair| pair[0] == pair[1]);
        assert_eq!(twice, None, "two answers have the same tag or boundary");
    }

    /// Nothing befell this client: it has every answer, whole.
    fn check_undisturbed(&self, index: usize, client: &Client) {
        let Client { script, reader, wire, .. } = client;
        let stream = &wire.stream;
        let shown = reader.responses.len();
        let headless = client.headless();
        let got = shown + usize::from(headless.is_some());
        if reader.is_blind {
            return;
        }
        if let Some((spec, course)) = headless {
            let come = if course.code == 0 { course.content } else { 0 };
            assert_eq!(reader.rest(stream), &spec.content[..come], "client {index}: what comes without a head");
        } else if !reader.is_whole(stream) {
            let last = reader.responses.last().unwrap_or_else(|| panic!("client {index}: a head is cut short"));
            last.check_cut(stream, &self.files);
        }
        // Of what ends with the connection only this tells whether it is whole.
        for (response, exchange) in
            reader.responses.iter().zip(script).filter(|pair| !pair.1.is_head && pair.0.spec().is_none())
        {
            if let Some(Content::Listing { directory, format }) = exchange.answer().map(|answer| &answer.content)
                && response.status == Status::Ok
            {
                let (came, there) =
                    (response.content(stream).len(), self.files.directories.get(*directory).content(*format).len());
                assert_eq!(came, there, "client {index}: the length of a listing");
            }
        }
        let (whole, has_part) = client.received_exchanges();
        if script[..(whole + usize::from(has_part)).min(script.len())]
            .iter()
            .any(|exchange| matches!(exchange.expected, Expected::Anything))
        {
            return;
        }
        let expected = client.expected_answers();
        // What is refused at its first bytes is answered although the rest of it never came.
        let early = usize::from(has_part && expected > whole);
        let range = expected.min(whole)..=expected.min(whole + early);
        assert!(range.contains(&got), "client {index} got {got} answers instead of {range:?}");
        if wire.closed_unread {
            let asked = got.checked_sub(1).and_then(|last| script[last].answer());
            let ends_at_once = client.ends_at_once();
            assert!(
                ends_at_once || asked.is_some_and(|answer| answer.asked_to_close),
                "client {index}: bytes were left unread, so that a reset may destroy the answer"
            );
        }
        let resets =
            got.checked_sub(1).and_then(|last| script[last].taken.as_ref().map(|spec| (spec, script[last].is_head)));
        let resets = resets.is_some_and(|(spec, is_head)| spec.resets(is_head));
        assert_eq!(wire.closed_with_reset, resets, "client {index}: whether the connection is reset");
        let complete = client.delivered_limit() == client.boundaries.last().copied().unwrap_or(0);
        assert!(!complete || got == expected, "client {index} sent everything and got {got} of {expected} answers");
    }

    fn has_mutated(&self, client: &Client) -> bool {
        client.script.iter().any(|exchange| matches!(exchange.expected, Expected::Anything))
    }

    /// Where nothing was disturbed and nothing mutated, the statistics follow from what the clients sent.
    fn check_model(&self, statistics: &Snapshot) -> bool {
        if self.before.times > 0 {
            return false;
        }
        let (mut heads, mut others) = ([0; Status::COUNT], vec![0; Code::LIMIT]);
        for client in &self.clients {
            let responses = &client.reader.responses;
            let codes = responses
                .iter()
                .map(|response| response.spec().map_or(response.status.into(), |spec| Code::of(spec.code())));
            let headless = client.headless().filter(|_| client.begun > responses.len());
            for code in codes.chain(headless.map(|(_, course)| Code::of(course.code))) {
                match code {
                    Code::Own(status) => heads[status as usize] += 1,
                    Code::Other(number) => others[usize::from(number)] += 1,
                }
            }
        }
        for (number, &seen) in others.iter().enumerate() {
            assert!(seen <= statistics.other_responses[number], "{seen} answers of {number} were sent");
        }
        for status in Status::ALL {
            let (seen, counted) = (heads[*status as usize], statistics.responses[*status as usize]);
            assert!(seen <= counted, "{seen} answers of {} were sent and {counted} counted", status.text());
        }
        if self.clients.iter().any(|client| client.disturbance.any()) {
            return false;
        }
        if self.clients.iter().any(|client| client.reader.is_blind) {
            return false;
        }
        assert_eq!(heads, statistics.responses);
        assert_eq!(others, statistics.other_responses);
        if self.clients.iter().any(|client| self.has_mutated(client)) {
            return false;
        }
        let (responses, rejects) = ([0; Status::COUNT], [0; Reject::COUNT]);
        let mut model = Model { responses, others: 0, rejects, completed: 0, begun: 0, content_bytes: 0 };
        for client in &self.clients {
            model.take(client, &self.files);
        }
        assert_eq!(model.responses, statistics.responses);
        assert_eq!(model.rejects, statistics.rejects);
        assert_eq!(model.completed, statistics.latency_count);
        assert_eq!(model.begun, statistics.pool_resets);
        assert_eq!(statistics.timeouts, [0; Timeout::ALL.len()]);
        assert_eq!(model.others, others.iter().sum::<u64>());
        if let Some(captured) = &self.captured {
            captured::check(captured, &self.clients);
        }
        let answers = model.responses.iter().sum::<u64>() + model.others;
        if self.access_log.is_some() && answers <= ACCESS_RECORDS as u64 {
            assert_eq!(self.logged_bytes, model.content_bytes, "the bytes of content in the access log");
        }
        true
    }
}

impl Model {
    fn take(&mut self, client: &Client, files: &Files) {
        let headless = client.headless();
        let got = client.reader.responses.len() + usize::from(headless.is_some());
        let mut closed = false;
        let Client { reader, wire, .. } = client;
        if headless.is_some() {
            self.content_bytes += reader.rest(&wire.stream).len() as u64;
        }
        let contents = reader.responses.iter().map(|response| response.content(&wire.stream).len() as u64);
        self.content_bytes += contents.sum::<u64>();
        for exchange in &client.script[..got] {
            if let Some(course) = exchange.course() {
                match Status::of_code(course.code) {
                    Some(status) => self.responses[status as usize] += 1,
                    None => self.others += 1,
                }
                self.completed += u64::from(course.completes);
                closed = exchange.closes();
                continue;
            }
            let answer = exchange.answer().expect("the client was told all its answers");
            self.responses[answer.status as usize] += 1;
            if let Some(reject) = answer.reject {
                self.rejects[reject as usize] += 1;
            }
            let is_cut = answer.content.is_cut(files) && !exchange.is_head;
            self.completed += u64::from(!is_cut);
            closed = answer.closes;
        }
        let start = got.checked_sub(1).map_or(0, |last| client.boundaries[last]);
        self.begun += got as u64 + u64::from(!closed && client.unanswered(start).next().is_some());
    }
}

fn client_bytes(client: &Client) -> Vec<u8> {
    client.script.iter().flat_map(|exchange| exchange.bytes.iter().copied()).collect()
}
