//! One run: a server without a kernel, its clients, the clock between them, and the loop that lets each have its turn.

use super::client::{Act, Client};
use super::coverage::Coverage;
use super::files::{FakeFile, Files, PRESENT};
use super::listing::UnderWay;
use super::opening::Kept;
use super::plan::Plan;
use super::random::Random;
use super::registry::Registry;
use super::watch::Watch;
use crate::capture::{Captured, capture};
use crate::connection::{Now, Table, Time};
use crate::http::Status;
use crate::http::date::DateCache;
use crate::stats::{Counters, Timeout};
use crate::trace::{AccessFormat, Drain, Level, Logger, Sink, trace_with_access};
use std::collections::VecDeque;
use std::fmt;
use std::sync::Arc;

/// A run that takes more turns does not end.
const MOST_TURNS: u64 = 60_000;
/// How far the wall clock is set, in seconds.
const WALL_JUMP: u64 = 100_000;
/// One run of so many keeps an access log.
const RUNS_PER_ACCESS_LOG: u64 = 16;
/// Where drained bytes go.
pub(super) const SCRATCH_BYTES: usize = 1024;

/// The driver's side of a connection, as in the event loop.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Socket {
    pub(super) client: Option<usize>,
    pub(super) readable: bool,
    pub(super) end_announced: bool,
    pub(super) queued: bool,
    pub(super) registered: bool,
    /// A content in memory was not taken over yet, because something is to be sent before.
    pub(super) waits_for_room: bool,
    /// The file was opened to bring its content into memory.
    pub(super) was_opened: bool,
    /// What the response under way needs its file for.
    pub(super) need: Need,
    /// The listing that it is.
    pub(super) listing: Option<UnderWay>,
}

/// What a response needs a file for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Need {
    /// Its bytes.
    #[default]
    Bytes,
    /// Nothing more; but that is seen only once the last delimiter is written.
    Delimiter,
    /// The same, once the end of a listing is.
    End,
    Nothing,
}

/// What the driver itself counted, to hold the statistics against.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Tally {
    pub(super) accepted: u64,
    pub(super) refused_for_slot: u64,
    pub(super) refused_for_descriptor: u64,
    pub(super) reclaimed: u64,
    pub(super) truncated: u64,
    pub(super) abandoned: u64,
    pub(super) stops: u64,
    pub(super) turns: u64,
    /// Contents that were taken from memory, how many of them once there was room, and those for which there never would be.
    pub(super) memory_hits: u64,
    /// The same, but the file was opened to bring it there.
    pub(super) memory_misses: u64,
    pub(super) memory_late: u64,
    pub(super) memory_held: u64,
    pub(super) kept_fields_used: u64,
    pub(super) sent_together: u64,
    /// Those that wait for room, or did so when their connection was lost.
    pub(super) memory_waits: u64,
    /// Answers of several parts that came from memory; and how often some of a part was read, or sent without being read.
    pub(super) parts_from_memory: u64,
    pub(super) parts_read: u64,
    pub(super) parts_sent: u64,
    /// How often the next entry of a directory was not told yet.
    pub(super) listing_waits: u64,
    /// How often the system failed where nothing was amiss with the connection.
    pub(super) receives_failed: u64,
    pub(super) sends_failed: u64,
    pub(super) files_ended: u64,
    pub(super) opens_failed: u64,
    pub(super) accepts_failed: u64,
    pub(super) newcomers_failed: u64,
    /// How often the wall clock was set.
    pub(super) set_back: u64,
    pub(super) set_ahead: u64,
    /// How often a registered answer was found to wait, and how often others were registered.
    pub(super) pauses: u64,
    pub(super) changes: u64,
}

/// What does not count because it has been forgotten.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Before {
    pub(super) received: usize,
    pub(super) sent: usize,
    pub(super) opened: u64,
    /// How often everything was forgotten.
    pub(super) times: u64,
}

pub(super) struct World {
    pub(super) random: Random,
    pub(super) plan: Plan,
    pub(super) files: Files,
    pub(super) kept: Kept,
    pub(super) clients: Vec<Client>,
    pub(super) table: Table<FakeFile>,
    pub(super) counters: Arc<Counters>,
    /// How many answers are known to belong to some client.
    pub(super) answers_noted: u64,
    pub(super) sockets: Box<[Socket]>,
    pub(super) ready: VecDeque<u32>,
    /// Clients that wait to be accepted.
    pub(super) backlog: VecDeque<usize>,
    /// Refused clients that are drained, and until when.
    pub(super) refusals: Vec<(usize, u64)>,
    pub(super) scratch: [u8; SCRATCH_BYTES],
    pub(super) date: DateCache,
    pub(super) now: Now,
    /// What the wall clock shows when the other one shows 0, in seconds.
    wall_offset: u64,
    /// When accepting is tried again after the system refused it.
    pub(super) accept_again_at: Option<u64>,
    pub(super) stop_due: Option<u64>,
    pub(super) stop_wanted: bool,
    pub(super) abort_wanted: bool,
    pub(super) drain_wanted: bool,
    /// The tokens of all listings.
    pub(super) listings: Vec<u64>,
    /// Tokens of connections that are over.
    pub(super) retired: Vec<u64>,
    pub(super) watch: Watch,
    pub(super) tally: Tally,
    pub(super) coverage: Coverage,
    pub(super) access_log: Option<AccessFormat>,
    /// The lines of the access log by status.
    pub(super) logged: [u64; Status::COUNT],
    /// The bytes of content in all of them.
    pub(super) logged_bytes: u64,
    /// The registered answers.
    pub(super) registry: Registry,
    /// Where requests are kept, in some runs.
    pub(super) captured: Option<Captured>,
    /// The number of the next connection.
    pub(super) next_number: u64,
    /// What had been received and sent, and how many files opened, when everything counted was last forgotten.
    pub(super) before: Before,
    /// Access log lines of another status.
    pub(super) logged_other: u64,
    hash: u64,
    drain: Option<Drain>,
    tells_story: bool,
}

/// The lines of the trace: counted for the coverage, and shown where somebody reads.
struct Lines<'a> {
    coverage: &'a mut Coverage,
    logged: &'a mut [u64; Status::COUNT],
    logged_bytes: &'a mut u64,
    logged_other: &'a mut u64,
    tells_story: bool,
}

impl Sink for Lines<'_> {
    fn line(&mut self, _: Level, logger: Logger, text: fmt::Arguments<'_>) {
        let text = text.to_string();
        self.coverage.take_line(&text);
        if self.tells_story {
            match logger {
                Logger::Server => println!("[SERVER] {text}"),
                Logger::Connection(number) => println!("[CONN {number}] {text}"),
            }
        }
    }

    fn access(&mut self, line: fmt::Arguments<'_>) {
        let line = line.to_string();
        let status = Status::ALL.iter().find(|status| line.contains(&format!("\",\"status\":{},", status.code())));
        match status {
            Some(status) => self.logged[*status as usize] += 1,
            None => *self.logged_other += 1,
        }
        let bytes = line.split_once("\"bytes\":").and_then(|(_, rest)| rest.split(',').next());
        *self.logged_bytes += bytes.and_then(|digits| digits.parse::<u64>().ok()).expect("every line has its bytes");
    }
}

impl World {
    pub(super) fn new(seed: u64, tells_story: bool) -> Self {
        let mut random = Random::new(seed);
        let plan = Plan::new(&mut random);
        let files = Files::new(&mut random, &plan);
        let clients: Vec<_> = (0..plan.clients).map(|_| Client::new(&mut random, &plan, &files)).collect();
        let access_log = seed.is_multiple_of(RUNS_PER_ACCESS_LOG).then_some(AccessFormat::Json);
        let (tracer, drain, _) = trace_with_access(Level::Debug, access_log);
        let slots = plan.limits.max_connections;
        let counters = Arc::<Counters>::default();
        // Some are about to wrap.
        let first_unique = if random.chance(200) { u64::MAX - 2 } else { random.next() };
        let mut world = Self {
            table: Table::new(plan.limits, plan.site.clone(), Arc::clone(&counters), tracer),
            counters,
            answers_noted: 0,
            sockets: vec![Socket::default(); slots].into_boxed_slice(),
            ready: VecDeque::with_capacity(slots),
            backlog: VecDeque::new(),
            refusals: Vec::new(),
            scratch: [0; SCRATCH_BYTES],
            date: DateCache::new(0),
            now: Now::default(),
            wall_offset: u64::try_from(PRESENT).expect("it is after 1970"),
            accept_again_at: None,
            stop_due: None,
            stop_wanted: false,
            abort_wanted: false,
            drain_wanted: false,
            listings: Vec::new(),
            retired: Vec::new(),
            watch: Watch::new(plan.limits),
            tally: Tally::default(),
            coverage: Coverage::default(),
            access_log,
            logged: [0; Status::COUNT],
            logged_bytes: 0,
            registry: Registry::new(&plan),
            captured: None,
            next_number: 0,
            before: Before::default(),
            logged_other: 0,
            hash: 0xcbf2_9ce4_8422_2325,
            drain: Some(drain),
            tells_story,
            random,
            plan,
            files,
            kept: Kept::new(),
            clients,
        };
        world.table.set_panic_on_violation(true);
        world.table.set_seed(first_unique);
        world.table.set_canned(&mut world.registry.answers());
        if let Some(memory) = world.plan.capture {
            let (capture, captured) = capture(memory);
            world.table.set_capture(&mut Some(Box::new(capture)));
            world.captured = Some(captured);
        }
        world.advance_clock(0);
        world.note(|world| format!("{:#?}", world.plan));
        world
    }

    /// Lets the world go on until everything is over.
    pub(super) fn run(&mut self) {
        while self.goes_on() {
            self.tally.turns += 1;
            assert!(self.tally.turns < MOST_TURNS, "the run does not end");
            self.pass_time();
            self.let_clients_act();
            self.turn();
            self.turn_ends();
        }
        self.flush_trace();
    }

    fn goes_on(&self) -> bool {
        self.stop_due.is_none() || self.table.active() > 0
    }

    fn pass_time(&mut self) {
        let faults = self.plan.faults;
        if self.random.chance(faults.wall_jump_back) {
            self.wall_offset -= WALL_JUMP;
            self.tally.set_back += 1;
        }
        if self.tally.set_back > self.tally.set_ahead && self.random.chance(faults.wall_jump_ahead) {
            self.wall_offset += WALL_JUMP;
            self.tally.set_ahead += 1;
        }
        let mut step = self.random.between(0, self.plan.longest_step);
        if self.random.chance(faults.clock_jump) {
            step = self.random.between(0, self.plan.longest_timeout() * 2);
            self.watch.clock_leaps(step);
            self.note(|_| format!("the clock leaps {step} ns ahead"));
        } else if let Some(time) = self.next_event_at() {
            step = step.max(time.saturating_sub(self.now.time.0));
        }
        self.advance_clock(step);
        if self.random.chance(faults.drain) {
            self.drain_wanted = true;
        }
        let everyone_done = self.clients.iter().all(Client::is_done) && self.refusals.is_empty();
        if !self.stop_wanted && (everyone_done || self.random.chance(faults.early_stop)) {
            self.stop_wanted = true;
            self.abort_wanted = !everyone_done && self.random.chance(faults.abort);
            self.note(|world| {
                format!("the server is told to stop{}", if world.abort_wanted { " at once" } else { "" })
            });
        }
    }

    /// When something happens by itself, where nothing can happen now.
    fn next_event_at(&self) -> Option<u64> {
        let has_edges = self.clients.iter().any(|client| client.wire.edge && !client.wire.server_closed);
        let accepts = self.stop_due.is_none() && self.accept_again_at.is_none();
        if !self.ready.is_empty() || has_edges || (!self.backlog.is_empty() && accepts) {
            return None;
        }
        let wakes = self.clients.iter().filter_map(Client::wakes_at);
        let refusals = self.refusals.iter().map(|refusal| refusal.1);
        // What lasts for ever is never due.
        let next_due = self.table.next_due().map(|due| due.0).filter(|due| *due < u64::MAX);
        let dues = [next_due, self.stop_due, self.accept_again_at];
        wakes.chain(refusals).chain(dues.into_iter().flatten()).min()
    }

    /// Time passes; also within a turn, when a system call takes some.
    pub(super) fn advance_clock(&mut self, nanoseconds: u64) {
        let time = self.now.time.after(nanoseconds);
        let wall_nanoseconds = self.wall_offset * 1_000_000_000 + time.0;
        self.now = Now { time: Time(time.0), wall_nanoseconds };
    }

    fn let_clients_act(&mut self) {
        for index in 0..self.clients.len() {
            let act = self.clients[index].act(&mut self.random, &self.plan, self.now.time.0);
            if act == Act::Nothing {
                continue;
            }
            self.note(|_| format!("client {index}: {act:?}"));
            if act == Act::Connects {
                self.backlog.push_back(index);
            }
            self.coverage.take_act(act);
        }
    }

    fn turn_ends(&mut self) {
        for slot in 0..self.sockets.len() {
            let slot = u32::try_from(slot).expect("there are few slots");
            let state = self.table.state(slot);
            self.coverage.take_state(state);
            let most_open = u64::from(state == crate::connection::State::SendingResponse);
            assert!(self.files.open_for(slot) <= most_open, "slot {slot} holds a file in {}", state.name());
            let wants_input = self.table.wants_input(slot);
            let may_read = self.stop_due.is_none() || state == crate::connection::State::Closing;
            assert!(!wants_input || may_read, "slot {slot} still reads requests though the server stops");
            self.watch.turn_ends(slot, state, wants_input, self.now.time.0);
        }
        if !self.retired.is_empty() {
            let token = *self.random.pick(&self.retired);
            assert_eq!(self.table.slot_of(token), None, "the token of a connection that is over names a slot");
        }
        let active = self.table.active() as u64;
        assert_eq!(self.table.counters().active_connections.get(), active);
    }

    /// Makes the trace depend on `value`.
    pub(super) fn mix(&mut self, value: u64) {
        self.hash = (self.hash ^ value).wrapping_mul(0x0000_0100_0000_01b3).rotate_left(29);
    }

    /// A number that differs wherever two runs differ.
    pub(super) fn trace_hash(&mut self) -> u64 {
        let turns = self.tally.turns;
        self.mix(turns);
        self.mix(self.now.time.0);
        self.hash
    }

    /// Adds to the story, where it is told.
    pub(super) fn note(&mut self, text: impl FnOnce(&Self) -> String) {
        if self.tells_story {
            self.flush_trace();
            let (text, time) = (text(self), self.now.time.0);
            println!("[{:>6}.{:06} ms] {text}", time / 1_000_000, time % 1_000_000);
        }
    }

    /// Whatever was counted counts no more.
    pub(super) fn forget(&mut self) {
        self.flush_trace();
        (self.logged, self.logged_bytes, self.logged_other) = ([0; Status::COUNT], 0, 0);
        let counts = &self.files.counts;
        self.before = Before {
            received: self.clients.iter().map(|client| client.wire.received).sum(),
            sent: self.clients.iter().map(|client| client.wire.stream.len()).sum(),
            opened: counts.opened.get() - counts.directories.get(),
            times: self.before.times + 1,
        };
        let Tally { accepted, refused_for_slot, refused_for_descriptor, reclaimed, truncated, .. } = &mut self.tally;
        for counter in [accepted, refused_for_slot, refused_for_descriptor, reclaimed, truncated] {
            *counter = 0;
        }
        (self.tally.memory_hits, self.tally.memory_misses) = (0, 0);
        self.watch.timeouts = [0; Timeout::ALL.len()];
        (self.answers_noted, self.next_number) = (0, 0);
    }

    /// Reads what the table has recorded. The ring's reader reads until its writer is gone, so the table gets another one.
    fn flush_trace(&mut self) {
        let (tracer, drain, _) = trace_with_access(Level::Debug, self.access_log);
        drop(std::mem::replace(self.table.tracer(), tracer));
        if let Some(old) = self.drain.replace(drain) {
            let Self { coverage, logged, logged_bytes, logged_other, tells_story, .. } = self;
            let tells_story = *tells_story;
            old.run(&mut Lines { coverage, logged, logged_bytes, logged_other, tells_story }, "www");
        }
    }
}

impl Drop for World {
    /// A run that fails still tells what led to it.
    fn drop(&mut self) {
        if self.tells_story {
            self.flush_trace();
        }
    }
}
