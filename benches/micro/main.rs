//! Micro-benchmarks: the parser beside httparse, the pool beside malloc, a change of state, a record of the log. They
//! tell what a part costs alone and warm; what a request costs is for `make bench`.

#[path = "../heads.rs"]
mod heads;
mod parsing;

use criterion::{Criterion, criterion_group, criterion_main};
use parsing::parsers;
use pooled_httpd::connection::Pool;
use pooled_httpd::connection::bench::Bench;
use pooled_httpd::trace::{Event, Level, RING_RECORDS, trace};
use std::alloc::{GlobalAlloc, Layout, System};
use std::hint::black_box;
use std::time::{Duration, Instant};

/// What a small request makes in its pool: a block of its field table, of 120 bytes, and the name of its file.
type Block = [u64; 15];
const NAME_BYTES: usize = 22;

/// The pool's allocations and reset of one request, and the same by malloc and free. Either way the memory comes with
/// values in it.
fn pool(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("memory of a request");
    let mut pool = Pool::new(4096);
    group.bench_function("pool", |bencher| {
        bencher.iter(|| {
            let block = pool.make::<Block>(1).expect("it fits");
            let name = pool.make::<u8>(NAME_BYTES).expect("it fits");
            black_box((pool.get(block), pool.get(name)));
            pool.reset()
        });
    });
    let layouts = [Layout::new::<Block>(), Layout::new::<[u8; NAME_BYTES]>()];
    group.bench_function("malloc and free", |bencher| {
        bencher.iter(|| {
            // SAFETY: no layout is of size 0.
            let blocks = layouts.map(|layout| unsafe { black_box(System.alloc_zeroed(layout)) });
            for (block, layout) in blocks.into_iter().zip(layouts) {
                // SAFETY: the block was taken just now, by this layout, and is given back once.
                unsafe { System.dealloc(block, layout) };
            }
        });
    });
    group.finish();
}

/// A change of state: the table of legal changes, the counters, the log (off), the deadline, the invariants.
fn state(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("state");
    let mut bench = Bench::default();
    group.bench_function("a change with its invariants", |bencher| bencher.iter(|| bench.change_state()));
    group.bench_function("the invariants alone", |bencher| bencher.iter(|| bench.check_invariants()));
    assert_eq!(bench.violations(), 0, "every invariant holds");
    group.finish();
}

/// A record of the log, as the loop writes it into the ring, while nobody reads; and where its level is off.
fn log(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("log record");
    let line = b"GET /index.html HTTP/1.1";
    let read = Event::Read(44, 44, 16_384);
    for (name, event, text) in [("with a text", Event::Parsed, &line[..]), ("without a text", read, &[])] {
        group.bench_function(format!("{name}, level on"), |bencher| {
            bencher.iter_custom(|records| {
                (0..records).step_by(RING_RECORDS).map(|at| fill(records - at, event, text)).sum()
            });
        });
        let (mut tracer, _log, _) = trace(Level::Info);
        group.bench_function(format!("{name}, level off"), |bencher| {
            bencher.iter(|| black_box(&mut tracer).record_text(Some(7), black_box(event), black_box(text)));
        });
    }
    group.finish();
}

/// How long it takes to write so many records into an empty ring, or as many as it holds.
fn fill(records: u64, event: Event, text: &[u8]) -> Duration {
    let (mut tracer, _log, _) = trace(Level::Debug);
    let records = records.min(RING_RECORDS as u64);
    let start = Instant::now();
    for _ in 0..records {
        black_box(&mut tracer).record_text(Some(7), black_box(event), black_box(text));
    }
    let elapsed = start.elapsed();
    assert_eq!(tracer.dropped(), 0, "each record has its place");
    elapsed
}

/// A minute altogether.
fn configuration() -> Criterion {
    let warm_up = Duration::from_millis(500);
    Criterion::default().without_plots().warm_up_time(warm_up).measurement_time(Duration::from_secs(2))
}

criterion_group! {
    name = benches;
    config = configuration();
    targets = parsers, pool, state, log
}
criterion_main!(benches);
