//! Requests by the grammar, each with the answer that it must get.

use super::files::Files;
use super::hostile;
use super::plan::Plan;
use super::random::Random;
use crate::config::Limits;
use crate::http::{Reject, Status};

/// One request, or something that pretends to be one.
#[derive(Clone, Debug)]
pub(super) struct Exchange {
    pub(super) bytes: Vec<u8>,
    /// Where the client waits for 100 (Continue) before it goes on, counted in bytes.
    pub(super) waits_at: Option<usize>,
    /// It lets the server answer 100 (Continue) first.
    pub(super) may_continue: bool,
    pub(super) is_head: bool,
    pub(super) expected: Expected,
}

/// What comes of a request.
#[derive(Clone, Debug)]
pub(super) enum Expected {
    Answer(Answer),
    /// It is not complete: nothing, or a 408 in the end.
    Nothing,
    /// It cannot be told, nor can anything after it.
    Anything,
}

/// The answer that a request must get.
#[derive(Clone, Debug)]
pub(super) struct Answer {
    pub(super) status: Status,
    pub(super) reject: Option<Reject>,
    /// The file that is its content.
    pub(super) file: Option<usize>,
    pub(super) location: Option<String>,
    /// Nothing is answered after it.
    pub(super) closes: bool,
    /// Its head says so; where a file shrinks, it was too late for that.
    pub(super) says_close: bool,
    /// The request itself asked for the close.
    pub(super) asked_to_close: bool,
    /// The request is of HTTP/1.0, so that persistence must be said.
    pub(super) is_old: bool,
}

impl Answer {
    pub(super) fn to_reject(reject: Reject) -> Self {
        Self {
            status: reject.status(),
            reject: Some(reject),
            file: None,
            location: None,
            closes: reject.closes(),
            says_close: reject.closes(),
            asked_to_close: false,
            is_old: false,
        }
    }
}

impl Exchange {
    pub(super) fn new(bytes: Vec<u8>, answer: Answer) -> Self {
        Self { bytes, waits_at: None, may_continue: false, is_head: false, expected: Expected::Answer(answer) }
    }

    fn untold(bytes: Vec<u8>) -> Self {
        Self { bytes, waits_at: None, may_continue: true, is_head: false, expected: Expected::Anything }
    }

    /// The answer, where it is known.
    pub(super) fn answer(&self) -> Option<&Answer> {
        match &self.expected {
            Expected::Answer(answer) => Some(answer),
            Expected::Nothing | Expected::Anything => None,
        }
    }
}

/// What one client sends, in order.
pub(super) fn script(random: &mut Random, plan: &Plan, files: &Files) -> Vec<Exchange> {
    let faults = &plan.faults;
    let mut exchanges: Vec<Exchange> = Vec::new();
    let mut is_told = true;
    // Long scripts repeat themselves, so that gathered answers fill the send buffer.
    let is_long = random.chance(250);
    let length = if is_long { random.size(8, 40) } else { random.size(0, 7) };
    for _ in 0..length {
        let repeated = exchanges.last().filter(|last| last.answer().is_some_and(|answer| !answer.closes));
        let mut exchange = if let Some(last) = repeated.filter(|_| is_long && random.chance(850)) {
            // Now and then one that waits for 100 (Continue) comes behind answers that nearly fill the send buffer.
            let waits = random
                .chance(60)
                .then(|| (0..20).map(|_| valid(random, plan, files)).find(|next| next.waits_at.is_some()));
            waits.flatten().unwrap_or_else(|| last.clone())
        } else if random.chance(faults.hostile) {
            hostile::exchange(random, plan)
        } else {
            valid(random, plan, files)
        };
        // Once an answer cannot be told, the client cannot know which one has no content either.
        if (!is_told || random.chance(faults.mutated)) && !exchange.is_head {
            if is_told {
                mutate(random, &mut exchange.bytes);
            }
            is_told = false;
            exchange = Exchange::untold(exchange.bytes);
        }
        if !is_told && exchange.is_head {
            continue;
        }
        let number = exchanges.len() as u64 + 1;
        if let Expected::Answer(answer) = &mut exchange.expected {
            let closes = closes_anyway(&plan.limits, number);
            answer.says_close |= closes;
            answer.closes |= closes;
        }
        exchanges.push(exchange);
    }
    if is_told && random.chance(100) {
        let mut exchange = valid(random, plan, files);
        if exchange.answer().is_some_and(|answer| answer.reject != Some(Reject::RequestLineTooLong)) {
            let length = exchange.bytes.len();
            exchange.bytes.truncate(random.size(1, exchange.waits_at.unwrap_or(length) - 1));
            exchange.waits_at = None;
            exchange.expected = Expected::Nothing;
            exchanges.push(exchange);
        }
    }
    exchanges
}

fn closes_anyway(limits: &Limits, number: u64) -> bool {
    !limits.keep_alive || limits.max_requests_per_connection.is_some_and(|most| number >= most)
}

/// The content of a request: something that looks like a request itself and must not be taken for one.
fn content(length: usize) -> Vec<u8> {
    b"GET /smuggled HTTP/1.1\r\nHost: evil\r\n\r\n0\r\n\r\n".iter().copied().cycle().take(length).collect()
}

fn chunked(random: &mut Random, content: &[u8]) -> Vec<u8> {
    let mut coded = Vec::new();
    let mut rest = content;
    while !rest.is_empty() {
        let (chunk, tail) = rest.split_at(random.size(1, rest.len()));
        let extension = random.pick(&["", "", ";a", ";a=b;c=\"d \\\" e\"", " ; a = b"]);
        coded.extend_from_slice(format!("{:X}{extension}\r\n", chunk.len()).as_bytes());
        coded.extend_from_slice(chunk);
        coded.extend_from_slice(b"\r\n");
        rest = tail;
    }
    coded.extend_from_slice(random.pick(&["0\r\n\r\n", "000;last\r\n\r\n", "0\r\nTrailer: x\r\n\r\n"]).as_bytes());
    coded
}

/// A request that breaks no rule.
fn valid(random: &mut Random, plan: &Plan, files: &Files) -> Exchange {
    let limits = &plan.limits;
    let method = match random.between(0, 99) {
        0..58 => "GET",
        58..70 => "HEAD",
        70..76 => "OPTIONS",
        76..94 => *random.pick(&["POST", "PUT", "DELETE", "PATCH", "TRACE"]),
        _ => *random.pick(&["get", "BREW", "X-!#$"]),
    };
    let case = files.case(random);
    let version = *random.pick(&["1.1", "1.1", "1.1", "1.1", "1.1", "1.1", "1.7", "1.0", "1.0"]);
    let is_old = version == "1.0";
    let mut lines = Vec::new();
    if !is_old || random.chance(500) {
        lines.push((*random.pick(&["Host: a", "hOST:\t[::1]:8080 ", "Host: example.org:"])).to_owned());
    }
    let mut persists = !is_old;
    if random.chance(if is_old { 600 } else { 120 }) {
        let asks_close = random.chance(500);
        persists = !asks_close;
        lines.push(if asks_close { "Connection: x, CLOSE".into() } else { "connection: Keep-Alive".into() });
    }
    let is_standard = !matches!(method, "GET" | "HEAD" | "OPTIONS");
    let (mut body, mut may_continue) = (Vec::new(), false);
    if random.chance(if is_standard { 800 } else { 60 }) {
        let length = random.size(1, usize::try_from(limits.max_content).expect("it is small").min(1500));
        body = content(length);
        if !is_old && random.chance(500) {
            body = chunked(random, &body);
            lines.push("Transfer-Encoding: Chunked".into());
        } else {
            lines.push(format!("Content-Length: {length}"));
        }
        if random.chance(300) {
            lines.push("Expect: 100-Continue".into());
            may_continue = !is_old;
        }
    }
    if lines.len() < limits.max_field_lines && random.chance(500) {
        lines.push("Accept: */*;q=0.8, text/html".into());
    }
    let request_line = format!("{method} {} HTTP/{version}", case.target);
    let empty_lines = if random.chance(60) { random.size(1, 2) } else { 0 };
    let head = format!("{}{request_line}\r\n{}\r\n\r\n", "\r\n".repeat(empty_lines), lines.join("\r\n"));
    let head = if lines.is_empty() { head.replacen("\r\n\r\n\r\n", "\r\n\r\n", 1) } else { head };
    let mut answer = if request_line.len() > limits.max_request_line {
        Answer::to_reject(Reject::RequestLineTooLong)
    } else if is_standard {
        let is_known = method.bytes().all(|byte| byte.is_ascii_uppercase()) && method != "BREW";
        Answer::to_reject(if is_known { Reject::MethodNotAllowed } else { Reject::MethodUnknown })
    } else {
        let status = if method == "OPTIONS" { Status::NoContent } else { case.status };
        let of_get = method != "OPTIONS";
        let reject = (status == Status::ServiceUnavailable).then_some(Reject::NoDescriptor);
        let location = case.location.filter(|_| of_get);
        let file = case.file.filter(|_| of_get);
        Answer { status, reject, file, location, closes: false, says_close: false, asked_to_close: false, is_old }
    };
    if answer.reject != Some(Reject::RequestLineTooLong) {
        answer.is_old = is_old;
        answer.asked_to_close = !persists;
        // A file that shrinks cannot be sent as promised, so that the connection must end.
        let shrinks = answer.file.is_some_and(|file| files.left(file) < files.size(file));
        answer.says_close |= !persists;
        answer.closes |= !persists || (shrinks && method == "GET");
    }
    let mut exchange = Exchange::new(head.into_bytes(), answer);
    // A line that is refused before its end is answered as if its method were not known: with content.
    exchange.is_head = method == "HEAD" && request_line.len() <= limits.max_request_line;
    exchange.may_continue = may_continue;
    exchange.waits_at = (may_continue && random.chance(700)).then_some(exchange.bytes.len());
    exchange.bytes.extend_from_slice(&body);
    exchange
}

/// Changes bytes without an idea of what they mean.
fn mutate(random: &mut Random, bytes: &mut Vec<u8>) {
    if random.chance(100) {
        bytes.clear();
        bytes.extend((0..random.size(1, 200)).map(|_| random.byte()));
        return;
    }
    for _ in 0..random.size(1, 4) {
        let place = random.size(0, bytes.len() - 1);
        match random.between(0, 5) {
            0 => bytes[place] = random.byte(),
            1 => bytes[place] ^= 1 << random.between(0, 7),
            2 => drop(bytes.remove(place)),
            3 => bytes.insert(place, *random.pick(b"\r\n\0 \t:;%/.,\x80\x7f\"")),
            4 => {
                let end = random.size(place, bytes.len().min(place + 20));
                let part = bytes[place..end].to_vec();
                let at = random.size(0, bytes.len() - 1);
                bytes.splice(at..at, part);
            }
            _ => bytes.truncate(place + 1),
        }
        if bytes.is_empty() {
            bytes.push(b'G');
        }
    }
}
