//! The event loop's part in [`super::connection`]: call for call what `net::event_loop` does, over peers that exist in memory only.

mod answering;

use super::connection::Order;
use super::files::{File, OpenCount};
use super::peer::Peer;
use super::statistics::Tally;
use crate::alloc::heapless;
use crate::canned::{Canned, CannedAnswers, Ending, Place, Registration, Wait};
use crate::config::{Config, Limits};
use crate::connection::{Admission, Input, Now, Room, State, Table, Time};
use crate::http::Reject;
use crate::stats::Counters;
use crate::trace::{AccessFormat, Drain, Level, Logger, Sink, short_trace};
use std::fmt;
use std::sync::Arc;

/// How many receives one connection gets in a turn.
const RECEIVES_PER_TURN: usize = 4;
/// How many steps of answering one connection gets in a turn, unless the schedule says otherwise.
const STEPS_PER_TURN: usize = 192;
/// A run that takes more turns than this to come to its end does not.
const MOST_TURNS: usize = 4000;
/// The largest file that is kept in memory, in bytes.
const MOST_IN_MEMORY: u64 = 128 * 1024;
/// How much of a file goes out at a time at most. The largest file is never sent whole.
const FILE_PIECE: u64 = 40_000;
/// How much a peer that is sent a file without end takes before it resets the connection.
const MOST_SENT: usize = 400_000;

pub(super) struct Driver {
    table: Table<File>,
    pub(super) counters: Arc<Counters>,
    log: Drain,
    pub(super) limits: Limits,
    pub(super) peers: Vec<Peer>,
    current: usize,
    open: OpenCount,
    now: u64,
    budget: usize,
    fault: Option<u8>,
    listing_waits: bool,
    stopped: bool,
    /// What is registered, and all that ever was: the table is not to drop the last.
    registered: Vec<Arc<Canned>>,
    /// Something happened in this turn.
    went_on: bool,
    pub(super) tally: Tally,
}

impl Driver {
    pub(super) fn new(config: Config) -> Self {
        let counters = Arc::<Counters>::default();
        let (tracer, log, _) = short_trace(Level::Debug, Some(AccessFormat::Json));
        let limits = config.limits;
        let mut table = Table::new(limits, config.site, Arc::clone(&counters), tracer);
        table.set_panic_on_violation(true);
        let mut driver = Self {
            table,
            counters,
            log,
            limits,
            peers: Vec::new(),
            current: 0,
            open: OpenCount::default(),
            now: 0,
            budget: STEPS_PER_TURN,
            fault: None,
            listing_waits: false,
            stopped: false,
            registered: Vec::new(),
            went_on: false,
            tally: Tally::default(),
        };
        driver.pass_time(0);
        driver.connect();
        driver
    }

    pub(super) fn carry_out(&mut self, order: Order) {
        let Some(peer) = self.peers.get_mut(self.current) else { return };
        match order {
            Order::Text(byte) => return peer.pending.push(byte),
            Order::Switch(number) => return self.current = usize::from(number) % self.peers.len(),
            Order::Window(window) => peer.window = window,
            Order::Fault(fault) => return self.fault = Some(fault),
            Order::Register(kind) => return self.register(kind),
            Order::Budget(steps) => self.budget = if steps == 0 { STEPS_PER_TURN } else { steps.into() },
            Order::ListingWaits => return self.listing_waits = true,
            Order::Turn => self.arrive(),
            Order::Cut => return self.arrive(),
            Order::Time(milliseconds) => self.pass_time(milliseconds * 1_000_000),
            Order::Connect => self.connect(),
            Order::HalfClose => {
                self.arrive();
                let peer = &mut self.peers[self.current];
                (peer.ended, peer.readable) = (true, true);
            }
            Order::Reset => self.reset(self.current),
            Order::Spurious => peer.readable = true,
            Order::Abandon => {
                if let Some(slot) = peer.slot {
                    peer.disturbed = true;
                    heapless!(self.table.abandon(slot));
                }
            }
            Order::Drain => heapless!(self.table.begin_drain()),
            Order::Stop if self.stopped => {}
            Order::Stop => {
                self.stopped = true;
                self.peers.iter_mut().for_each(|peer| peer.disturbed = true);
                heapless!(self.table.begin_stop());
            }
        }
        self.turn();
    }

    /// Lets everything come to its end, and checks what is left and what was counted.
    pub(super) fn finish(mut self) {
        self.arrive();
        self.budget = STEPS_PER_TURN;
        for peer in &mut self.peers {
            (peer.window, peer.readable) = (None, true);
        }
        self.run_until_idle();
        for number in 0..self.peers.len() {
            let reading = self.read(number);
            let peer = &self.peers[number];
            assert!(peer.disturbed || reading.is_whole, "peer {number} is left with half a response");
        }
        for peer in &mut self.peers {
            (peer.ended, peer.readable) = (true, true);
        }
        self.run_until_idle();
        while let Some(due) = self.table.next_due() {
            self.pass_time(due.since(Time(self.now)));
            self.run_until_idle();
        }
        assert_eq!(self.table.active(), 0, "every slot is free");
        assert_eq!(self.table.leases_held(), 0, "every buffer and pool was given back");
        assert_eq!(self.open.get(), 0, "every file was closed");
        self.check_statistics();
        let Self { table, log, .. } = self;
        drop(table);
        log.run(&mut CleanLines, "www");
    }

    /// Registers an answer whose kind the bits tell, in place of the one before.
    fn register(&mut self, kind: u8) {
        const RAW: &str = "HTTP/1.1 200 OK\r\nDate: now\r\nConnection: close\r\nContent-Length: 3\r\n\r\nraw";
        let is = |bit: u8| kind & 1 << bit != 0;
        let mut registration = Registration::new("/r");
        let length = if is(6) { 20_000 } else { 11 };
        registration.content = b"registered ".iter().copied().cycle().take(length).collect();
        let (wait, pace) = (if is(5) { Wait::ForEver } else { Wait::For(20_000_000) }, &mut registration.pace);
        pace.delay = if is(2) { wait } else { Wait::None };
        pace.stall = is(3).then_some((Place::Content(3), wait));
        pace.dribble = is(4).then_some((1 + length / 8, 1_000_000));
        (pace.cut, pace.ending) = match kind & 3 {
            1 => (Some(Place::Content(if is(6) { 10_000 } else { 5 })), Ending::Close),
            2 => (Some(if is(6) { Place::Content(7) } else { Place::Start }), Ending::Reset),
            _ => (None, Ending::AsSaid),
        };
        if kind & 3 == 3 {
            (registration.is_raw, registration.content) = (true, RAW.into());
        }
        self.registered.push(Arc::new(registration.check(1000).expect("it is in order")));
        let last = self.registered.last().into_iter().cloned().collect::<Vec<_>>();
        let mut answers = Box::new(CannedAnswers::new(&last));
        heapless!(self.table.set_canned(&mut answers));
    }

    fn run_until_idle(&mut self) {
        let mut turns = 0;
        self.went_on = true;
        while self.went_on {
            self.turn();
            turns += 1;
            assert!(turns < MOST_TURNS, "it does not come to rest");
        }
    }

    fn pass_time(&mut self, nanoseconds: u64) {
        self.now += nanoseconds;
        let wall_nanoseconds = 1_700_000_000_000_000_000 + self.now;
        heapless!(self.table.set_now(Now { time: Time(self.now), wall_nanoseconds }));
    }

    /// What the current peer sent arrives, as one piece.
    fn arrive(&mut self) {
        let peer = &mut self.peers[self.current];
        let piece = std::mem::take(&mut peer.pending);
        if !piece.is_empty() && !peer.ended && !peer.is_reset && !peer.closed {
            peer.sent.extend_from_slice(&piece);
            peer.incoming.push_back(piece);
            peer.readable = true;
        }
    }

    fn reset(&mut self, number: usize) {
        let peer = &mut self.peers[number];
        peer.incoming.clear();
        (peer.is_reset, peer.readable, peer.disturbed) = (true, true, true);
    }

    fn connect(&mut self) {
        /// More peers than that find nobody.
        const MOST_PEERS: usize = 12;
        if self.stopped || self.peers.len() == MOST_PEERS {
            return;
        }
        let mut peer = Peer { readable: true, ..Peer::default() };
        let admission = match heapless!(self.table.admit(None)) {
            Admission::Reclaim(slot) => {
                self.tally.reclaimed += 1;
                let idle = self.owner(slot);
                assert!(!self.peers[idle].disturbed || self.table.state(slot) == State::Closing);
                self.peers[idle].disturbed = true;
                self.answer(idle);
                heapless!(self.table.admit(None))
            }
            admission => admission,
        };
        match admission {
            Admission::Slot(slot) => {
                self.tally.accepted += 1;
                peer.slot = Some(slot);
            }
            Admission::Reclaim(_) => panic!("what was reclaimed is free"),
            Admission::Refuse => {
                const ANSWER: usize = 100;
                self.tally.refused += 1;
                self.tally.refused_bytes += ANSWER as u64;
                (peer.closed, peer.disturbed) = (true, true);
                heapless!(self.table.refused(None, Reject::NoSlot, ANSWER));
                self.tally.begun += 1;
            }
        }
        self.current = self.peers.len();
        self.peers.push(peer);
    }

    fn slots(&self) -> impl Iterator<Item = u32> {
        self.peers.iter().filter_map(|peer| peer.slot)
    }

    fn owner(&self, slot: u32) -> usize {
        self.peers.iter().position(|peer| peer.slot == Some(slot)).expect("a slot in use has its peer")
    }

    fn turn(&mut self) {
        self.went_on = false;
        for number in 0..self.peers.len() {
            self.receive(number);
        }
        for number in 0..self.peers.len() {
            self.answer(number);
        }
        loop {
            let is_told = |&slot: &u32| self.table.state(slot) == State::Closing || self.table.is_paused(slot);
            let told: Vec<_> = self.slots().filter(is_told).collect();
            let Some(slot) = heapless!(self.table.expire()) else { break };
            self.went_on = true;
            // It may be a linger that is over, or a wait that was registered, which are no timeouts.
            self.tally.timeouts += u64::from(!told.contains(&slot));
            let number = self.owner(slot);
            self.peers[number].disturbed = true;
            self.answer(number);
        }
        heapless!(self.table.check_invariants());
        // Whoever can be received from again has another turn.
        let Self { table, peers, .. } = self;
        self.went_on |= peers.iter().any(|peer| peer.readable && peer.slot.is_some_and(|slot| table.wants_input(slot)));
    }

    fn receive(&mut self, number: usize) {
        let Self { table, peers, .. } = self;
        let peer = &mut peers[number];
        let Some(slot) = peer.slot else { return };
        for _ in 0..RECEIVES_PER_TURN {
            if !peer.readable {
                return;
            }
            let (room, is_drained) = match heapless!(table.receive_room(slot)) {
                Room::None => {
                    assert!(!table.wants_input(slot), "it wants input and has no room: the loop would spin");
                    return;
                }
                Room::Buffer(room) => {
                    assert!(!room.is_empty(), "a receive into no room looks like the peer's end");
                    (room, false)
                }
                Room::Drain => (&mut [0; 512][..], true),
            };
            let input = if peer.is_reset {
                peer.readable = false;
                Input::Lost
            } else if let Some(piece) = peer.incoming.front_mut() {
                let count = piece.len().min(room.len());
                for (place, byte) in room.iter_mut().zip(piece.drain(..count)) {
                    *place = byte;
                }
                if piece.is_empty() {
                    peer.incoming.pop_front();
                }
                peer.received += count as u64;
                if is_drained { Input::Drained(count) } else { Input::Bytes(count) }
            } else {
                peer.readable = false;
                if peer.ended { Input::End } else { Input::Nothing }
            };
            self.went_on |= input != Input::Nothing;
            heapless!(table.receive(slot, input));
        }
    }
}

/// The lines of the log, which nothing that a peer sends may break.
struct CleanLines;

impl Sink for CleanLines {
    fn line(&mut self, _: Level, _: Logger, text: fmt::Arguments<'_>) {
        let text = text.to_string();
        assert!(!text.chars().any(char::is_control), "a control byte in the log: {text:?}");
    }

    fn access(&mut self, line: fmt::Arguments<'_>) {
        let line = line.to_string();
        assert!(!line.chars().any(char::is_control), "a control byte in the access log: {line:?}");
        assert!(line.starts_with('{') && line.ends_with('}'), "not an object: {line}");
    }
}
