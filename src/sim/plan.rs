//! What one run is made of: the limits of the server, the faults of its world, the pace of its clock.

use super::canned::{self, Spec};
use super::random::Random;
use super::site::{SHORTEST_LINE, site};
use crate::capture::MIN_MEMORY;
use crate::config::{Limits, Site};
use std::rc::Rc;
use std::time::Duration;

/// How often each thing goes wrong, in thousandths of its occasions.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Faults {
    /// A receive returns less than is there.
    pub(super) partial_receive: u32,
    /// A receive finds nothing although something is there.
    pub(super) receive_would_block: u32,
    /// A send takes less than it could.
    pub(super) partial_send: u32,
    /// A send takes nothing although it could.
    pub(super) send_would_block: u32,
    /// A system call is interrupted by a signal.
    pub(super) interrupted: u32,
    /// A receive fails although the connection is whole: the system has no memory, say.
    pub(super) receive_fails: u32,
    /// The same of a send.
    pub(super) send_fails: u32,
    /// A file ends before its time, or cannot be read any further.
    pub(super) file_ends: u32,
    /// A name cannot be opened, whatever it leads to.
    pub(super) open_fails: u32,
    /// A read of a file returns less than was asked for.
    pub(super) partial_file_read: u32,
    /// The next entry of a directory is not told yet.
    pub(super) listing_waits: u32,
    /// The peer resets the connection, at each of its turns.
    pub(super) reset: u32,
    /// The peer half-closes in the middle of its script, at each of its turns.
    pub(super) half_close: u32,
    /// The peer closes without reading what is under way, at each of its turns.
    pub(super) vanish: u32,
    /// The peer does nothing for a while, at each of its turns.
    pub(super) stall: u32,
    /// A peer never reads anything, once for each.
    pub(super) peer_stops_reading: u32,
    /// A peer stays silent at its end instead of closing, once for each.
    pub(super) silent_end: u32,
    /// A request is not what its grammar allows, once for each.
    pub(super) hostile: u32,
    /// A request has random bytes changed, once for each.
    pub(super) mutated: u32,
    /// The monotonic clock leaps ahead, at each turn.
    pub(super) clock_jump: u32,
    /// The wall clock goes back, at each turn.
    pub(super) wall_jump_back: u32,
    /// It goes ahead again, though never beyond where it was.
    pub(super) wall_jump_ahead: u32,
    /// A socket is said to be ready when it is not, at each turn.
    pub(super) spurious_event: u32,
    /// An event is told a turn later.
    pub(super) late_event: u32,
    /// The kernel has no room for another watch.
    pub(super) registration_fails: u32,
    /// A newcomer finds the process without a descriptor.
    pub(super) accept_without_descriptor: u32,
    /// The system accepts nobody for a while.
    pub(super) accept_fails: u32,
    /// A newcomer is gone before it is accepted.
    pub(super) newcomer_fails: u32,
    /// The server is told to stop while clients are busy, at each turn.
    pub(super) early_stop: u32,
    /// That stop is to be at once.
    pub(super) abort: u32,
    /// The server is told to drain, at each turn.
    pub(super) drain: u32,
    /// Others of the registered answers are given from now on, at each turn.
    pub(super) change: u32,
    /// The server is told to begin anew, at each turn.
    pub(super) begin_anew: u32,
}

/// What one run is made of.
#[derive(Clone, Debug)]
pub(super) struct Plan {
    pub(super) limits: Limits,
    pub(super) site: Site,
    pub(super) faults: Faults,
    /// How often a file that is opened is found in memory instead, in thousandths.
    pub(super) memory: u32,
    /// Nothing is to disturb any client, so that everything can be foretold.
    pub(super) calm: bool,
    pub(super) clients: usize,
    /// The most that the clock advances in an ordinary turn, in nanoseconds.
    pub(super) longest_step: u64,
    /// There are files that take more than a turn's budget.
    pub(super) huge_files: bool,
    /// The answers that are registered at some time.
    pub(super) registered: Vec<Rc<Spec>>,
    /// How much memory requests are kept in, in bytes.
    pub(super) capture: Option<usize>,
}

impl Plan {
    pub(super) fn new(random: &mut Random) -> Self {
        let calm = random.chance(300);
        let faults = if calm { calm_faults(random) } else { rough_faults(random) };
        let buffer_size = buffer_size(random);
        let site = site(random, buffer_size);
        let limits = limits(random, calm, buffer_size, &site);
        let most = if calm { limits.max_connections } else { 9 };
        let huge_files = random.chance(8);
        let mut plan = Self {
            limits,
            site,
            faults,
            memory: *random.pick(&[0, 400, 900]),
            calm,
            clients: random.size(1, if huge_files { 1 } else { most }),
            longest_step: random.between(1, 1_000_000),
            huge_files,
            registered: Vec::new(),
            capture: random.chance(120).then(|| *random.pick(&[MIN_MEMORY, 1 << 20])),
        };
        plan.registered = canned::specs(random, &plan);
        plan
    }

    /// The longest of all timeouts, in nanoseconds.
    pub(super) fn longest_timeout(&self) -> u64 {
        let limits = &self.limits;
        let all = [limits.header_timeout, limits.keepalive_timeout, limits.content_timeout, limits.send_timeout];
        all.into_iter().map(nanoseconds).max().unwrap_or(0)
    }
}

pub(super) fn nanoseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).expect("a timeout is at most a day")
}

/// Small ones fill soon; a content in memory is taken over by larger ones only.
fn buffer_size(random: &mut Random) -> usize {
    match random.between(0, 9) {
        0..=4 => random.size(2048, 4096),
        5..=8 => random.size(6000, 16_383),
        _ => random.size(16_384, 20_000),
    }
}

fn limits(random: &mut Random, calm: bool, buffer_size: usize, site: &Site) -> Limits {
    let longest_line = buffer_size - 1024 - site.head_bytes();
    let mut timeout = || Duration::from_millis(if calm { 600_000 } else { random.between(5, 3000) });
    let (header_timeout, keepalive_timeout) = (timeout(), timeout());
    let (content_timeout, send_timeout) = (timeout(), timeout());
    Limits {
        max_connections: random.size(1, 6),
        pool_size: if random.chance(500) { random.size(256, 512) } else { random.size(256, 4096) },
        buffer_size,
        header_timeout,
        keepalive_timeout,
        content_timeout,
        send_timeout,
        max_content: random.between(16, 3000),
        max_request_line: random.size(SHORTEST_LINE, longest_line),
        max_field_lines: random.size(4, 40),
        keep_alive: random.chance(900),
        max_requests_per_connection: random.chance(250).then(|| random.between(1, 6)),
    }
}

/// Weather that no client notices.
fn calm_faults(random: &mut Random) -> Faults {
    let mut often = |most: u64| u32::try_from(random.between(0, most)).expect("it is below a thousand");
    Faults {
        partial_receive: often(600),
        receive_would_block: often(200),
        partial_send: often(600),
        send_would_block: often(200),
        interrupted: often(100),
        partial_file_read: often(600),
        listing_waits: often(300),
        hostile: often(400),
        wall_jump_back: often(50),
        wall_jump_ahead: often(50),
        spurious_event: often(100),
        late_event: often(300),
        change: often(100),
        ..Faults::default()
    }
}

fn rough_faults(random: &mut Random) -> Faults {
    let calm = calm_faults(random);
    // Each rough run has some of the faults, so that they do not hide each other.
    let mut some = |most: u64| {
        let present = random.chance(400);
        u32::try_from(if present { random.between(0, most) } else { 0 }).expect("it is below a thousand")
    };
    Faults {
        reset: some(60),
        half_close: some(60),
        vanish: some(60),
        stall: some(150),
        peer_stops_reading: some(600),
        silent_end: some(900),
        mutated: some(500),
        clock_jump: some(60),
        registration_fails: some(100),
        accept_without_descriptor: some(200),
        accept_fails: some(200),
        newcomer_fails: some(100),
        receive_fails: some(20),
        send_fails: some(20),
        file_ends: some(100),
        open_fails: some(200),
        early_stop: some(20),
        abort: some(900),
        drain: some(20),
        begin_anew: some(15),
        ..calm
    }
}
