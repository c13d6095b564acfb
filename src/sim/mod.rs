//! The simulator: whole lives of the server, each determined by one number.
//!
//! The state machine of [`crate::connection`] runs under a driver that does call for call what the event loop does, over fake
//! sockets, a fake document root, contents in memory and a virtual clock. Clients send what they should and what they should not,
//! in pieces, with stalls, resets and half-closes; what they get is checked byte by byte against a model that reads the rules anew,
//! and so is every number of the statistics.
//!
//! A failure names its seed and the line that replays it.

mod accepting;
mod answer;
mod canned;
mod captured;
mod check;
mod chunks;
mod client;
mod conditions;
mod coverage;
mod directories;
mod driver;
mod files;
mod head;
mod hostile;
mod listing;
mod lookup;
mod model;
mod multipart;
mod opening;
mod orders;
mod plan;
mod play;
mod random;
mod ranges;
mod registry;
mod request;
mod response;
mod site;
mod valid;
mod watch;
mod wire;
mod world;

use crate::alloc::heapless;
use coverage::Coverage;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, Ordering};
use world::World;

/// How many seeds run unless `SIM_SEEDS` says otherwise; they begin at `SIM_FIRST_SEED`, or at 0.
const SEEDS: u64 = 10_000;

/// Runs one seed to its end and checks everything. Returns what it came upon and a number that tells this run from any other.
fn run(seed: u64, tells_story: bool) -> (Coverage, u64) {
    let mut world = World::new(seed, tells_story);
    world.run();
    let is_foretold = world.check_end();
    let hash = world.trace_hash();
    let mut coverage = world.coverage.clone();
    coverage.take_end(&world, is_foretold);
    (coverage, hash)
}

fn number_from_environment(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{name} takes a whole number, not {text:?}")))
}

/// Runs seeds until there are none left. The first failure ends it with the line that replays it.
fn run_seeds(next: &AtomicU64, end: u64) -> Result<Coverage, String> {
    let mut coverage = Coverage::default();
    loop {
        let seed = next.fetch_add(1, Ordering::Relaxed);
        if seed >= end {
            return Ok(coverage);
        }
        match catch_unwind(AssertUnwindSafe(|| run(seed, false))) {
            Ok((seen, _)) => coverage.merge(&seen),
            Err(panic) => {
                next.store(end, Ordering::Relaxed);
                let text = panic.downcast_ref::<String>().map(String::as_str);
                let text = text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("a panic without a text");
                return Err(format!(
                    "seed {seed}: {text}\nreplay: SIM_SEED={seed} cargo test --lib sim::one_seed -- --nocapture --ignored"
                ));
            }
        }
    }
}

#[test]
fn seeds_hold() {
    let begin = number_from_environment("SIM_FIRST_SEED").unwrap_or(0);
    let seeds = number_from_environment("SIM_SEEDS").unwrap_or(SEEDS);
    let next = AtomicU64::new(begin);
    let threads = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let results: Vec<_> = std::thread::scope(|scope| {
        let workers: Vec<_> = (0..threads).map(|_| scope.spawn(|| run_seeds(&next, begin + seeds))).collect();
        workers.into_iter().map(|worker| worker.join().expect("a worker catches its panics")).collect()
    });
    let mut coverage = Coverage::default();
    for result in results {
        match result {
            Ok(seen) => coverage.merge(&seen),
            Err(failure) => panic!("{failure}"),
        }
    }
    for (what, count) in coverage.all() {
        println!("{count:>9} {what}");
        // Fewer seeds need not come upon everything.
        assert!(count > 0 || seeds < SEEDS, "{seeds} seeds never came upon this: {what}");
    }
}

/// Tells the story of one seed: `SIM_SEED=1234 cargo test --lib sim::one_seed -- --nocapture --ignored`.
#[test]
#[ignore = "tells the story of the seed in SIM_SEED"]
fn one_seed() {
    run(number_from_environment("SIM_SEED").unwrap_or(0), true);
}

#[test]
fn the_same_seed_lives_the_same_life() {
    let hashes: Vec<_> = (0..50).map(|seed| run(seed, false).1).collect();
    for (seed, hash) in (0..50).zip(&hashes) {
        assert_eq!(run(seed, false).1, *hash, "seed {seed}");
    }
    let mut different = hashes;
    different.sort_unstable();
    different.dedup();
    assert_eq!(different.len(), 50, "different seeds live different lives");
}
