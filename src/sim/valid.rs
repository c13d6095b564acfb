//! Requests by the grammar.

use super::conditions::Conditions;
use super::files::Files;
use super::lookup::{Case, Outcome};
use super::model::{self, Request};
use super::plan::Plan;
use super::random::Random;
use super::ranges::RangeField;
use super::request::Exchange;
use super::site::ORIGINS;
use crate::http::Reject;
use crate::http::negotiation::Coding::{self, Brotli, Gzip, Zstandard};
use std::rc::Rc;

/// Lines of Accept-Encoding, and the codings that they would rather have than none, the most wanted first.
const ACCEPTED: &[(&[&str], &[Coding])] = &[
    (&["gzip"], &[Gzip]),
    (&["gzip, deflate, br, zstd"], &[Brotli, Zstandard, Gzip]),
    (&["GZip;Q=0.5 , br;q=0.8"], &[Brotli, Gzip]),
    (&["zstd;q=0.9", "br;q=0.2"], &[Zstandard, Brotli]),
    (&["*"], &[Brotli, Zstandard, Gzip]),
    (&["br;q=0, *;q=0.1"], &[Zstandard, Gzip]),
    (&["x-gzip, zstd;q=0"], &[Gzip]),
    (&["gzip;q=0.3, identity;q=0.5"], &[]),
    (&["identity"], &[]),
    (&["gzip;q=0"], &[]),
    (&["deflate, brotli"], &[]),
    (&[""], &[]),
];

/// Lines of Accept, and whether they would rather have JSON than HTML.
const ACCEPTS: &[(&str, bool)] = &[
    ("*/*;q=0.8, text/html", false),
    ("*/*", false),
    ("application/json", true),
    ("Application/JSON, */*", true),
    ("text/html, application/json;q=0.9", false),
    ("application/*;q=0.5, text/html;q=0.4", true),
    ("text/html;q=0, */*", true),
    ("text/html;q=0.5, application/json;q=0.5", false),
    ("application/json;q=0", false),
    ("application/xml", false),
];

/// Field lines as far as there is room for them.
struct Lines {
    lines: Vec<String>,
    most: usize,
    /// The bytes that are left for them.
    room: usize,
}

impl Lines {
    /// Adds the lines together, or none of them.
    fn add(&mut self, group: Vec<String>) -> bool {
        let bytes: usize = group.iter().map(|line| line.len() + 2).sum();
        let fits = self.lines.len() + group.len() <= self.most && bytes <= self.room;
        if fits {
            self.room -= bytes;
            self.lines.extend(group);
        }
        fits
    }

    fn add_one(&mut self, line: impl Into<String>) -> bool {
        self.add(vec![line.into()])
    }
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

/// The content of a request, its field lines among the others. Returns it, whether the peer may be told to go on, and what it is
/// without any coding.
fn add_content(random: &mut Random, plan: &Plan, is_old: bool, lines: &mut Lines) -> (Vec<u8>, bool, Vec<u8>) {
    let length = random.size(1, usize::try_from(plan.limits.max_content).expect("it is small").min(1500));
    let plain = content(length);
    let (mut body, mut line) = (plain.clone(), format!("Content-Length: {length}"));
    if !is_old && random.chance(500) {
        (body, line) = (chunked(random, &body), "Transfer-Encoding: Chunked".into());
    }
    if !lines.add_one(line) {
        return (Vec::new(), false, Vec::new());
    }
    let may_continue = random.chance(300) && lines.add_one("Expect: 100-Continue") && !is_old;
    (body, may_continue, plain)
}

/// The codings that a request accepts.
fn add_codings(random: &mut Random, lines: &mut Lines) -> Vec<Coding> {
    if !random.chance(400) {
        return Vec::new();
    }
    let (values, codings) = random.pick(ACCEPTED);
    let group = values.iter().map(|value| format!("Accept-Encoding: {value}")).collect();
    if lines.add(group) { codings.to_vec() } else { Vec::new() }
}

fn add_origin(random: &mut Random, method: &str, lines: &mut Lines) {
    if method == "OPTIONS" && random.chance(500) {
        lines.add_one("Access-Control-Request-Method: GET");
    }
    if !random.chance(if method == "OPTIONS" { 600 } else { 200 }) {
        return;
    }
    let other = ["https://b.example", "https://A.example", "https://a.example/", ""];
    let origins = if random.chance(800) { ORIGINS } else { &other };
    let origin = *random.pick(origins);
    lines.add_one(format!("Origin: {origin}"));
    if random.chance(60) {
        lines.add_one(format!("Origin: {}", ORIGINS[0]));
    }
}

/// Conditions and ranges for what the request names.
fn add_wishes(
    random: &mut Random,
    files: &Files,
    (case, codings): (&Case, &[Coding]),
    lines: &mut Lines,
) -> (Conditions, Option<RangeField>) {
    let outcome = files.outcome(&case.name, codings);
    // The file as it is, where a sidecar goes in its place, or a file of another name.
    let other = if random.chance(700) { files.outcome(&case.name, &[]) } else { files.outcome("d/index.html", &[]) };
    // A file of the future is told apart by more than what a tag of long ago has.
    let other_tag = if let Outcome::File { id, .. } = other { files.tag_to_be(id) } else { None };
    let validators = model::validators(files, &outcome, other_tag);
    let mut add = |group| lines.add(group);
    let mut conditions = Conditions::default();
    if random.chance(350) {
        conditions = Conditions::new(random, &validators, &mut add);
    }
    let range = random.chance(400).then(|| RangeField::new(random, validators.size));
    let range = range.filter(|range| add(range.lines.clone()));
    if random.chance(if range.is_some() { 300 } else { 30 }) {
        conditions.add_if_range(random, &validators, &mut add);
    }
    (conditions, range)
}

/// A request that breaks no rule.
pub(super) fn valid(random: &mut Random, plan: &Plan, files: &Files) -> Exchange {
    let limits = &plan.limits;
    let method = match random.between(0, 99) {
        0..66 => "GET",
        66..76 => "HEAD",
        76..82 => "OPTIONS",
        82..95 => *random.pick(&["POST", "PUT", "DELETE", "PATCH", "TRACE"]),
        _ => *random.pick(&["get", "BREW", "X-!#$"]),
    };
    let case = match random.chance(500) {
        true if !plan.registered.is_empty() => random.pick(&plan.registered).case(random),
        _ => files.case(random),
    };
    let version = *random.pick(&["1.1", "1.1", "1.1", "1.1", "1.1", "1.1", "1.7", "1.0", "1.0"]);
    let is_old = version == "1.0";
    let request_line = format!("{method} {} HTTP/{version}", case.target);
    let room = limits.buffer_size.saturating_sub(request_line.len() + 4);
    let mut lines = Lines { lines: Vec::new(), most: limits.max_field_lines, room };
    if !is_old || random.chance(500) {
        lines.add_one(*random.pick(&["Host: a", "hOST:\t[::1]:8080 ", "Host: example.org:"]));
    }
    let mut persists = !is_old;
    if random.chance(if is_old { 600 } else { 120 }) {
        let asks_close = random.chance(500);
        persists = !asks_close;
        lines.add_one(if asks_close { "Connection: x, CLOSE" } else { "connection: Keep-Alive" });
    }
    let has_content = !matches!(method, "GET" | "HEAD" | "OPTIONS");
    let (mut body, mut may_continue, mut plain) = (Vec::new(), false, Vec::new());
    if random.chance(if has_content { 800 } else { 60 }) {
        (body, may_continue, plain) = add_content(random, plan, is_old, &mut lines);
    }
    let codings = add_codings(random, &mut lines);
    let (conditions, range) = add_wishes(random, files, (&case, &codings), &mut lines);
    add_origin(random, method, &mut lines);
    let mut prefers_json = false;
    if random.chance(300) {
        let (value, is_for_json) = *random.pick(ACCEPTS);
        prefers_json = lines.add_one(format!("Accept: {value}")) && is_for_json;
    }
    let mut lines = lines.lines;
    for index in (1..lines.len()).rev() {
        lines.swap(index, random.size(0, index));
    }
    let line_length = request_line.len();
    let head: String = std::iter::once(&request_line).chain(&lines).map(|line| format!("{line}\r\n")).collect();
    let empty_lines = if random.chance(60) { random.size(1, 2) } else { 0 };
    let head = format!("{}{head}\r\n", "\r\n".repeat(empty_lines));
    let has_range = range.is_some();
    let request =
        Request { method, case, is_old, persists, line_length, lines, codings, conditions, range, prefers_json };
    let answer = model::answer(plan, files, &request);
    // A line that is refused before its end is answered as if its method were not known: with content.
    let is_head = method == "HEAD" && answer.reject != Some(Reject::RequestLineTooLong);
    let mut exchange = Exchange { is_head, has_range, may_continue, ..Exchange::new(head.into_bytes(), answer) };
    exchange.waits_at = (may_continue && random.chance(700)).then_some(exchange.bytes.len());
    exchange.bytes.extend_from_slice(&body);
    exchange.content = plain;
    exchange.request = model::reaches_path(plan, &request).then(|| Rc::new(request));
    exchange
}
