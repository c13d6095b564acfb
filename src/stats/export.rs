//! The statistics for other programs: as a JSON object, and in the text format of Prometheus (version 0.0.4).
//!
//! Both are written by the loop itself between two answers, so they read the live numbers and write into memory that is there
//! already: no heap, no lock, and no more than [`MAX_EXPORT`] bytes whatever the numbers are.

mod connections;
mod json;

pub use connections::{LINE_BYTES, MAX_CONNECTIONS, ToldConnection};
pub use json::{Pools, json};

use super::{BUCKETS, Counter, Numbers, Timeout, bucket_bounds};
use crate::connection::State;
use crate::http::{Reject, Status};
use std::fmt::{self, Write};

/// The most that either form takes, in bytes: with every number at its largest and every reason and status seen.
pub const MAX_EXPORT: usize = 14_000;

/// The media type of [`prometheus`].
pub const PROMETHEUS_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

const VERSION: &str = env!("CARGO_PKG_VERSION");
/// No uptime is shown as longer, in seconds; it is that of 30,000 years.
const LONGEST_UPTIME: f64 = 1e12;

/// A writer into memory of a fixed size. What does not fit is an error.
struct Text<'a> {
    memory: &'a mut [u8],
    length: usize,
}

impl Write for Text<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let place = self.memory.get_mut(self.length..self.length + text.len()).ok_or(fmt::Error)?;
        place.copy_from_slice(text.as_bytes());
        self.length += text.len();
        Ok(())
    }
}

impl Text<'_> {
    /// How much still fits, in bytes.
    fn room(&self) -> usize {
        self.memory.len() - self.length
    }
}

fn written(memory: &mut [u8], write: impl FnOnce(&mut Text<'_>) -> fmt::Result) -> Option<usize> {
    let mut text = Text { memory, length: 0 };
    write(&mut text).ok()?;
    Some(text.length)
}

/// An uptime that is a number of seconds, whatever the clocks said.
fn uptime(seconds: f64) -> f64 {
    if seconds.is_nan() { 0.0 } else { seconds.clamp(0.0, LONGEST_UPTIME) }
}

/// The name of a status: its digits, or that of all others, which only registered answers have.
struct StatusName(Option<Status>);

impl fmt::Display for StatusName {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(status) => write!(out, "{}", status.code()),
            None => out.write_str("other"),
        }
    }
}

/// The answers with a status that this server does not send by itself.
fn other_responses(numbers: &Numbers) -> Counter {
    let sum = Counter::default();
    sum.set(numbers.other_responses.iter().map(Counter::get).fold(0, u64::wrapping_add));
    sum
}

/// The answers by status, all others last.
fn statuses<'a>(numbers: &'a Numbers, other: &'a Counter) -> impl Iterator<Item = (StatusName, &'a Counter)> {
    let own = Status::ALL.iter().zip(&numbers.responses).map(|(status, counter)| (StatusName(Some(*status)), counter));
    own.chain([(StatusName(None), other)])
}

/// Microseconds as seconds, exactly.
struct Seconds(u64);

impl fmt::Display for Seconds {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}.{:06}", self.0 / 1_000_000, self.0 % 1_000_000)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Counter,
    Gauge,
    /// Not a family of its own: the histogram has it.
    InHistogram,
}

/// How Prometheus knows a scalar: a family of one sample.
#[derive(Debug)]
struct Family {
    scalar: &'static str,
    kind: Kind,
    /// Without the prefix, and without what the kind adds.
    name: &'static str,
    help: &'static str,
}

const fn counter(scalar: &'static str, name: &'static str, help: &'static str) -> Family {
    Family { scalar, kind: Kind::Counter, name, help }
}

const fn gauge(scalar: &'static str, name: &'static str, help: &'static str) -> Family {
    Family { scalar, kind: Kind::Gauge, name, help }
}

const fn in_histogram(scalar: &'static str) -> Family {
    Family { scalar, kind: Kind::InHistogram, name: "", help: "" }
}

/// Every scalar, in the order of the statistics. No name is that of another family with `_total` behind it.
const FAMILIES: [Family; Numbers::SCALARS.len()] = [
    counter("total_requests", "requests", "Answers given, refusals included"),
    counter("total_connections", "connections_accepted", "Connections accepted into a slot"),
    counter("bytes_received", "received_bytes", "Bytes received from peers"),
    counter("bytes_sent", "sent_bytes", "Bytes handed to the kernel for peers"),
    counter("pool_resets", "pool_resets", "Requests that ended and emptied their pool"),
    counter("pool_usage_total", "pool_used_bytes", "Pool memory used by all those requests"),
    counter("pool_overflows", "pool_overflows", "Requests that needed more than their pool had"),
    counter("connections_refused", "connections_refused", "Newcomers without a slot or descriptor"),
    counter("connections_reclaimed", "connections_reclaimed", "Idle connections closed to make room"),
    counter("files_truncated", "files_truncated", "Files that shrank while they were sent"),
    counter("file_cache_hits", "file_cache_hits", "File answers that needed no open"),
    counter("file_cache_misses", "file_cache_misses", "File answers that opened their file"),
    counter("log_records_dropped", "log_records_dropped", "Log records that found the ring full"),
    counter("malloc_calls", "malloc_calls", "Heap allocations of the loop"),
    counter("free_calls", "free_calls", "Heap frees of the loop"),
    counter("invariant_checks_passed", "invariant_checks_passed", "Invariant checks that held"),
    counter("invariant_violations", "invariant_violations", "Invariant checks that did not"),
    gauge("active_connections", "active_connections", "Connections in any state but FREE"),
    gauge("peak_connections", "peak_connections", "The most of them at one time"),
    gauge("peak_pool_usage", "peak_pool_bytes", "The most pool memory of one request"),
    gauge("heap_bytes", "heap_bytes", "Heap memory that the loop took since its start"),
    in_histogram("latency_count"),
    in_histogram("latency_total"),
];

/// The families stand in the order of the scalars.
const _: () = {
    let mut index = 0;
    while index < FAMILIES.len() {
        let (scalar, expected) = (FAMILIES[index].scalar.as_bytes(), Numbers::SCALARS[index].as_bytes());
        assert!(scalar.len() == expected.len(), "a family stands where another scalar does");
        let mut at = 0;
        while at < scalar.len() {
            assert!(scalar[at] == expected[at], "a family stands where another scalar does");
            at += 1;
        }
        index += 1;
    }
};

/// Writes the text format of Prometheus. Returns its length, or nothing where `memory` is too small; [`MAX_EXPORT`] bytes are
/// enough.
///
/// Every series is there from the beginning, at 0: what appears only with its first event has no increase to show for it.
#[must_use]
pub fn prometheus(numbers: &Numbers, uptime_seconds: f64, draining: bool, memory: &mut [u8]) -> Option<usize> {
    written(memory, |out| {
        head(out, "build_info", "gauge", "The version that runs")?;
        writeln!(out, "pooled_httpd_build_info{{version=\"{VERSION}\"}} 1")?;
        head(out, "uptime_seconds", "gauge", "Time since the server began to serve")?;
        writeln!(out, "pooled_httpd_uptime_seconds {:.6}", uptime(uptime_seconds))?;
        head(out, "draining", "gauge", "Whether the server is to be left")?;
        writeln!(out, "pooled_httpd_draining {}", u8::from(draining))?;
        for (Family { kind, name, help, .. }, value) in FAMILIES.iter().zip(numbers.scalars()) {
            match kind {
                Kind::Counter => {
                    head(out, format_args!("{name}_total"), "counter", help)?;
                    writeln!(out, "pooled_httpd_{name}_total {value}")?;
                }
                Kind::Gauge => {
                    head(out, name, "gauge", help)?;
                    writeln!(out, "pooled_httpd_{name} {value}")?;
                }
                Kind::InHistogram => {}
            }
        }
        let other = other_responses(numbers);
        series(out, ("responses_total", "counter", "Answers by status"), "code", statuses(numbers, &other))?;
        let rejects = Reject::ALL.iter().map(|reject| reject.name()).zip(&numbers.rejects);
        series(out, ("rejects_total", "counter", "Refused requests by reason"), "reason", rejects)?;
        let timeouts = Timeout::ALL.iter().map(|kind| kind.name()).zip(&numbers.timeouts);
        series(out, ("timeouts_total", "counter", "Timeouts by kind"), "kind", timeouts)?;
        let states = State::ALL.iter().map(|state| Lower(state.name())).zip(&numbers.states).skip(1);
        series(out, ("connections", "gauge", "Connections by state, FREE left out"), "state", states)?;
        histogram(out, numbers)
    })
}

fn head(out: &mut Text<'_>, name: impl fmt::Display, kind: &str, help: &str) -> fmt::Result {
    writeln!(out, "# HELP pooled_httpd_{name} {help}\n# TYPE pooled_httpd_{name} {kind}")
}

/// A name in small letters, as labels have it.
struct Lower(&'static str);

impl fmt::Display for Lower {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.chars().try_for_each(|letter| out.write_char(letter.to_ascii_lowercase()))
    }
}

/// A family whose samples differ in one label.
fn series<'a, L: fmt::Display>(
    out: &mut Text<'_>,
    (name, kind, help): (&str, &str, &str),
    label: &str,
    samples: impl Iterator<Item = (L, &'a Counter)>,
) -> fmt::Result {
    head(out, name, kind, help)?;
    for (value, counter) in samples {
        writeln!(out, "pooled_httpd_{name}{{{label}=\"{value}\"}} {}", counter.get())?;
    }
    Ok(())
}

/// The latencies, a bucket for each doubling. A bound is that of a bucket of ours, which ends just before it; the last bucket of
/// ours also holds everything above it and so counts as infinite only.
fn histogram(out: &mut Text<'_>, numbers: &Numbers) -> fmt::Result {
    const NAME: &str = "request_duration_seconds";
    head(out, NAME, "histogram", "From the first byte of a request until its response was handed over")?;
    let mut count = 0_u64;
    for (bucket, counter) in numbers.latency.iter().enumerate() {
        // Saturating, as the sum of numbers that no server reaches has to be some number.
        count = count.saturating_add(counter.get());
        if bucket % 4 == 3 && bucket < BUCKETS - 1 {
            let bound = Seconds(bucket_bounds(bucket).1);
            writeln!(out, "pooled_httpd_{NAME}_bucket{{le=\"{bound}\"}} {count}")?;
        }
    }
    writeln!(out, "pooled_httpd_{NAME}_bucket{{le=\"+Inf\"}} {count}")?;
    let nanoseconds = numbers.latency_total.get();
    writeln!(out, "pooled_httpd_{NAME}_sum {}.{:09}", nanoseconds / 1_000_000_000, nanoseconds % 1_000_000_000)?;
    writeln!(out, "pooled_httpd_{NAME}_count {count}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::alloc::thread_heap_use;
    use crate::stats::Counters;
    use std::collections::{BTreeMap, BTreeSet};

    type Export = fn(&Numbers, f64, bool, &mut [u8]) -> Option<usize>;

    pub(super) const POOLS: Pools = Pools { total: 128, in_use: 3, size: 4096 };

    fn json(numbers: &Numbers, uptime_seconds: f64, draining: bool, memory: &mut [u8]) -> Option<usize> {
        super::json(numbers, uptime_seconds, draining, POOLS, std::iter::empty(), memory)
    }

    fn text(export: Export, numbers: &Numbers, uptime_seconds: f64, draining: bool) -> String {
        let mut memory = [0; MAX_EXPORT];
        let length = export(numbers, uptime_seconds, draining, &mut memory).expect("it fits");
        String::from_utf8(memory[..length].to_vec()).expect("it is text")
    }

    pub(super) fn all_at(value: u64) -> Counters {
        let counters = Counters::default();
        let Numbers { responses, other_responses, rejects, timeouts, states, latency, .. } = &*counters;
        let arrays = [&responses[..], &other_responses[..1], rejects, timeouts, states, latency];
        arrays.into_iter().flatten().for_each(|counter| counter.set(value));
        for counter in [
            &counters.total_requests,
            &counters.total_connections,
            &counters.bytes_received,
            &counters.bytes_sent,
            &counters.pool_resets,
            &counters.pool_usage_total,
            &counters.pool_overflows,
            &counters.connections_refused,
            &counters.connections_reclaimed,
            &counters.files_truncated,
            &counters.file_cache_hits,
            &counters.file_cache_misses,
            &counters.log_records_dropped,
            &counters.malloc_calls,
            &counters.free_calls,
            &counters.invariant_checks_passed,
            &counters.invariant_violations,
            &counters.active_connections,
            &counters.peak_connections,
            &counters.peak_pool_usage,
            &counters.heap_bytes,
            &counters.latency_count,
            &counters.latency_total,
        ] {
            counter.set(value);
        }
        assert_eq!(counters.scalars(), [value; Numbers::SCALARS.len()], "every scalar is set");
        counters
    }

    #[test]
    fn the_largest_numbers_fit_without_heap_and_too_little_memory_is_told() {
        let counters = all_at(u64::MAX);
        let mut memory = [0; MAX_EXPORT];
        for (export, uptime_seconds) in [(json as Export, f64::MAX), (prometheus, f64::INFINITY), (json, f64::NAN)] {
            let before = thread_heap_use();
            let length = export(&counters, uptime_seconds, true, &mut memory);
            assert_eq!(thread_heap_use(), before);
            let length = length.expect("it fits");
            println!("{length} of {MAX_EXPORT} bytes");
            assert_eq!(export(&counters, uptime_seconds, true, &mut memory[..length]), Some(length));
            assert_eq!(export(&counters, uptime_seconds, true, &mut memory[..length - 1]), None);
            assert_eq!(export(&counters, uptime_seconds, true, &mut []), None);
        }
    }

    #[test]
    fn json_has_every_name_and_exact_numbers() {
        let counters = Counters::default();
        counters.bytes_sent.set(u64::MAX);
        counters.responses[Status::NotFound as usize].set(2);
        counters.responses[Status::Ok as usize].set(1);
        counters.other_responses[0].set(1);
        counters.other_responses[418].set(4);
        counters.rejects[Reject::BareLf as usize].set(3);
        counters.timeouts[Timeout::Send as usize].set(4);
        counters.states[State::Free as usize].set(128);
        counters.states[State::Closing as usize].set(5);
        counters.record_latency(80_500);
        counters.record_latency(u64::MAX);
        let told = text(json, &counters, 12.5, false);
        let version = env!("CARGO_PKG_VERSION");
        assert!(told.starts_with(&format!("{{\"version\":\"{version}\",\"draining\":false,\"uptime\":12.500000,")));
        for name in Numbers::SCALARS.iter().filter(|name| !name.starts_with("latency")) {
            let value = if *name == "bytes_sent" { u64::MAX } else { 0 };
            assert_eq!(told.matches(&format!(",\"{name}\":{value},")).count(), 1, "{name}");
        }
        assert!(told.ends_with(
            ",\"responses\":{\"200\":1,\"404\":2,\"other\":5},\"rejects\":{\"bare_lf\":3},\
             \"timeouts\":{\"header\":0,\"keepalive\":0,\"content\":0,\"send\":4},\
             \"states\":{\"READING_REQUEST_LINE\":0,\"READING_HEADERS\":0,\"READING_CONTENT\":0,\"PROCESSING\":0,\
             \"SENDING_RESPONSE\":0,\"CLOSING\":5},\
             \"latency\":[[0.000080,0.000096,1],[117.440512,134.217728,1]],\
             \"pools\":{\"total\":128,\"in_use\":3,\"size\":4096},\"connections\":[]}\n"
        ));
        assert!(text(json, &counters, -1.0, true).contains("\"draining\":true,\"uptime\":0.000000,"));
        assert!(text(json, &counters, f64::NAN, true).contains("\"uptime\":0.000000,"));
        assert!(text(json, &counters, f64::INFINITY, true).contains("\"uptime\":1000000000000.000000,"));
    }

    /// The samples by their names with labels; checks the form on the way.
    fn samples(told: &str) -> BTreeMap<&str, &str> {
        let (mut families, mut samples) = (BTreeSet::new(), BTreeMap::new());
        let mut family = "";
        for line in told.lines() {
            if let Some(rest) = line.strip_prefix("# HELP ") {
                family = rest.split(' ').next().expect("a name");
                assert!(families.insert(family.trim_end_matches("_total")), "{family} stands twice");
            } else if let Some(rest) = line.strip_prefix("# TYPE ") {
                assert_eq!(rest.split(' ').next(), Some(family));
            } else {
                let (name, value) = line.rsplit_once(' ').expect("a sample");
                assert!(name.starts_with(family) && family.starts_with("pooled_httpd_"), "{name} in {family}");
                assert!(samples.insert(name, value).is_none(), "{name} stands twice");
            }
        }
        let has_sample = |family: &&str| samples.keys().any(|name| name.starts_with(*family));
        assert!(families.iter().all(has_sample), "a family has no sample");
        samples
    }

    #[test]
    fn prometheus_has_every_family_once_with_its_samples() {
        let counters = all_at(7);
        let told = text(prometheus, &counters, 12.5, true);
        let samples = samples(&told);
        for family in FAMILIES.iter().filter(|family| family.kind != Kind::InHistogram) {
            let end = if family.kind == Kind::Counter { "_total" } else { "" };
            assert_eq!(samples.get(format!("pooled_httpd_{}{end}", family.name).as_str()), Some(&"7"));
        }
        for (name, value) in [
            ("pooled_httpd_draining", "1"),
            ("pooled_httpd_uptime_seconds", "12.500000"),
            ("pooled_httpd_responses_total{code=\"200\"}", "7"),
            ("pooled_httpd_rejects_total{reason=\"bare_lf\"}", "7"),
            ("pooled_httpd_timeouts_total{kind=\"header\"}", "7"),
            ("pooled_httpd_connections{state=\"reading_headers\"}", "7"),
            ("pooled_httpd_request_duration_seconds_sum", "0.000000007"),
        ] {
            assert_eq!(samples.get(name), Some(&value), "{name}");
        }
        assert!(!told.contains("\"free\"") && told.ends_with('\n'));
        let labelled = |name: &str| samples.keys().filter(|sample| sample.starts_with(name)).count();
        assert_eq!(labelled("pooled_httpd_rejects_total{"), Reject::COUNT);
        assert_eq!(labelled("pooled_httpd_responses_total{"), Status::COUNT + 1);
    }

    #[test]
    fn the_buckets_of_prometheus_ascend_and_hold_every_latency() {
        let counters = Counters::default();
        for nanoseconds in [0, 3_999, 4_000, 7_999, 8_000, 67_108_863_999, 67_108_864_000, u64::MAX / 2] {
            counters.record_latency(nanoseconds);
        }
        let told = text(prometheus, &counters, 0.0, false);
        let buckets: Vec<(f64, u64)> = told
            .lines()
            .filter_map(|line| line.strip_prefix("pooled_httpd_request_duration_seconds_bucket{le=\""))
            .map(|rest| rest.split_once("\"} ").expect("a sample"))
            .map(|(bound, count)| (bound.parse().expect("a bound"), count.parse().expect("a count")))
            .collect();
        assert!(buckets.windows(2).all(|pair| pair[0].0 * 2.0 <= pair[1].0 && pair[0].1 <= pair[1].1), "{buckets:?}");
        let upto = |bound: f64| buckets.iter().find(|bucket| (bucket.0 - bound).abs() < 1e-9).map(|bucket| bucket.1);
        assert_eq!((upto(0.000_004), upto(0.000_008), upto(0.000_016)), (Some(2), Some(4), Some(5)));
        // What is above the last bound is in a bucket that has none.
        assert_eq!(buckets[buckets.len() - 2..], [(67.108_864, 6), (f64::INFINITY, 8)]);
        assert!(told.ends_with("pooled_httpd_request_duration_seconds_count 8\n"));
    }
}
