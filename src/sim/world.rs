//! One run: a server without a kernel, its clients, the clock between them, and the loop that lets each have its turn.

use super::client::{Act, Client};
use super::coverage::Coverage;
use super::files::{FakeFile, Files};
use super::plan::Plan;
use super::random::Random;
use super::watch::Watch;
use crate::connection::{Now, Table, Time};
use crate::http::date::DateCache;
use crate::trace::{Drain, Level, Logger, Sink, trace};
use std::collections::VecDeque;
use std::fmt;
use std::sync::Arc;

/// A run that takes more turns does not end.
const MOST_TURNS: u64 = 60_000;
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
}

pub(super) struct World {
    pub(super) random: Random,
    pub(super) plan: Plan,
    pub(super) files: Files,
    pub(super) clients: Vec<Client>,
    pub(super) table: Table<FakeFile>,
    pub(super) sockets: Box<[Socket]>,
    pub(super) ready: VecDeque<u32>,
    /// Clients that wait to be accepted.
    pub(super) backlog: VecDeque<usize>,
    /// Refused clients that are drained, and until when.
    pub(super) refusals: Vec<(usize, u64)>,
    pub(super) scratch: [u8; SCRATCH_BYTES],
    pub(super) date: DateCache,
    pub(super) now: Now,
    wall_offset: i64,
    pub(super) stop_due: Option<u64>,
    pub(super) stop_wanted: bool,
    pub(super) abort_wanted: bool,
    /// Tokens of connections that are over.
    pub(super) retired: Vec<u64>,
    pub(super) watch: Watch,
    pub(super) tally: Tally,
    pub(super) coverage: Coverage,
    hash: u64,
    drain: Option<Drain>,
    tells_story: bool,
}

/// The lines of the trace: counted for the coverage, and shown where somebody reads.
struct Lines<'a> {
    coverage: &'a mut Coverage,
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
}

impl World {
    pub(super) fn new(seed: u64, tells_story: bool) -> Self {
        let mut random = Random::new(seed);
        let plan = Plan::new(&mut random);
        let files = Files::new(&mut random, &plan);
        let clients: Vec<_> = (0..plan.clients).map(|_| Client::new(&mut random, &plan, &files)).collect();
        let (tracer, drain, _) = trace(Level::Debug);
        let slots = plan.limits.max_connections;
        let mut world = Self {
            table: Table::new(plan.limits, Arc::default(), tracer),
            sockets: vec![Socket::default(); slots].into_boxed_slice(),
            ready: VecDeque::with_capacity(slots),
            backlog: VecDeque::new(),
            refusals: Vec::new(),
            scratch: [0; SCRATCH_BYTES],
            date: DateCache::new(0),
            now: Now::default(),
            wall_offset: 1_700_000_000,
            stop_due: None,
            stop_wanted: false,
            abort_wanted: false,
            retired: Vec::new(),
            watch: Watch::new(plan.limits),
            tally: Tally::default(),
            coverage: Coverage::default(),
            hash: 0xcbf2_9ce4_8422_2325,
            drain: Some(drain),
            tells_story,
            random,
            plan,
            files,
            clients,
        };
        world.table.set_panic_on_violation(true);
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
            self.wall_offset -= 100_000;
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
        if !self.ready.is_empty() || has_edges || (!self.backlog.is_empty() && self.stop_due.is_none()) {
            return None;
        }
        let wakes = self.clients.iter().filter_map(Client::wakes_at);
        let refusals = self.refusals.iter().map(|refusal| refusal.1);
        wakes.chain(refusals).chain(self.table.next_due().map(|due| due.0)).chain(self.stop_due).min()
    }

    /// Time passes; also within a turn, when a system call takes some.
    pub(super) fn advance_clock(&mut self, nanoseconds: u64) {
        let time = self.now.time.after(nanoseconds);
        let seconds = i64::try_from(time.0 / 1_000_000_000).expect("a run lasts for hours at most");
        self.now = Now { time: Time(time.0), wall_seconds: self.wall_offset + seconds };
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
        let mut sending = 0;
        for slot in 0..self.sockets.len() {
            let slot = u32::try_from(slot).expect("there are few slots");
            let state = self.table.state(slot);
            self.coverage.take_state(state);
            sending += u64::from(state == crate::connection::State::SendingResponse);
            let wants_input = self.table.wants_input(slot);
            let may_read = self.stop_due.is_none() || state == crate::connection::State::Closing;
            assert!(!wants_input || may_read, "slot {slot} still reads requests though the server stops");
            self.watch.turn_ends(slot, state, wants_input, self.now.time.0);
        }
        let open = self.files.open_now();
        assert!(open <= sending, "{open} files are open while {sending} responses are being sent");
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

    /// Reads what the table has recorded. The ring's reader reads until its writer is gone, so the table gets another one.
    fn flush_trace(&mut self) {
        let (tracer, drain, _) = trace(Level::Debug);
        drop(std::mem::replace(self.table.tracer(), tracer));
        if let Some(old) = self.drain.replace(drain) {
            old.run(&mut Lines { coverage: &mut self.coverage, tells_story: self.tells_story }, "www");
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
