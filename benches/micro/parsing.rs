//! Request heads: httparse, our parser where it does the same, and all that a connection does with a head.
//!
//! httparse finds the method, the target, the version, the names and the values, and checks the bytes of each. "ours,
//! the same" does that with the server's own functions, and tells besides which method and which names it knows. "ours,
//! all of it" is the connection: the bytes are copied into its buffer, the target's form and the framing are checked
//! (Host, Content-Length, Transfer-Encoding, Connection, Expect), the field lines are kept in the pool, the deadline is
//! armed, the state changes twice with its invariants, and everything is reset.

use crate::heads::{BROWSER, SMALL};
use criterion::{Criterion, Throughput};
use httparse::Request;
use pooled_httpd::connection::bench::Bench;
use pooled_httpd::http::field::FieldLine;
use pooled_httpd::http::line::{LineKind, LineScanner};
use pooled_httpd::http::request_line::RequestLine;
use std::hint::black_box;
use std::mem::MaybeUninit;

/// The most field lines of a head here.
const MOST_FIELDS: usize = 64;

/// The heads by what they are.
fn heads() -> [(&'static str, Vec<u8>); 4] {
    let head =
        |target: &str, fields: &str| format!("GET {target} HTTP/1.1\r\nHost: localhost\r\n{fields}\r\n").into_bytes();
    let fields: String = (1..50).map(|number| format!("X-Field-{number}: value number {number}\r\n")).collect();
    let target = format!("/{}index.html", "directory/".repeat(600));
    [
        ("small", SMALL.to_vec()),
        ("browser", BROWSER.to_vec()),
        ("50 field lines", head("/index.html", &fields)),
        ("target of 6 kB", head(&target, "")),
    ]
}

/// All heads through all parsers.
pub fn parsers(criterion: &mut Criterion) {
    let mut bench = Bench::default();
    for (name, head) in &heads() {
        let mut fields = [FieldLine::default(); MOST_FIELDS];
        let count = httparse(head);
        assert!(count > 0, "{name}: there are field lines");
        assert_eq!(ours(head, &mut fields), count, "{name}: as many field lines as httparse finds");
        assert_eq!(bench.read_head(head), count, "{name}: as many field lines as httparse finds");
        let mut group = criterion.benchmark_group(format!("head: {name}"));
        group.throughput(Throughput::Bytes(head.len() as u64));
        group.bench_function("httparse", |bencher| bencher.iter(|| httparse(black_box(head))));
        group.bench_function("ours, the same", |bencher| bencher.iter(|| ours(black_box(head), &mut fields)));
        group.bench_function("ours, all of it", |bencher| bencher.iter(|| bench.read_head(black_box(head))));
        group.finish();
    }
    assert_eq!(bench.violations(), 0, "every invariant holds");
}

/// The number of field lines by httparse, in the quicker of its two ways; 0 where it refuses.
fn httparse(head: &[u8]) -> usize {
    let mut fields = [const { MaybeUninit::uninit() }; MOST_FIELDS];
    let mut request = Request::new(&mut []);
    let parsed = request.parse_with_uninit_headers(head, &mut fields);
    let is_complete = matches!(parsed, Ok(httparse::Status::Complete(_)));
    black_box(&request);
    if is_complete { request.headers.len() } else { 0 }
}

/// The number of field lines by ours; 0 where it refuses.
fn ours(head: &[u8], fields: &mut [FieldLine; MOST_FIELDS]) -> usize {
    parse(head, fields).unwrap_or(0)
}

fn parse(head: &[u8], fields: &mut [FieldLine; MOST_FIELDS]) -> Option<usize> {
    let mut scanner = LineScanner::default();
    let line = scanner.next_line(head, LineKind::Request { max_length: 8000 }).ok()??;
    black_box(RequestLine::parse(head, line).ok()?);
    let mut count = 0;
    loop {
        let line = scanner.next_line(head, LineKind::Field).ok()??;
        if line.of(head).is_empty() {
            black_box(fields);
            return Some(count);
        }
        *fields.get_mut(count)? = FieldLine::parse(head, line).ok()?;
        count += 1;
    }
}
