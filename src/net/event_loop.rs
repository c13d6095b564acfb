//! The event loop: one thread, every socket non-blocking, every turn bounded.
//!
//! A turn has two halves. First every ready connection is received from and parsed, then the answers are made and sent: what an
//! answer shows is looked up after its request has arrived (P8). A connection whose budget is spent goes to the end of the ready
//! queue, so that none starves another. Nothing here allocates once [`EventLoop::new`] has returned.

mod accepting;
mod answering;
#[cfg(test)]
mod tests;

use super::listener::Listener;
use super::orders::Order;
use super::refusal::{MAX_ANSWER, PLACES, Refusals};
use super::stop::Stop;
use crate::alloc::{HeapUse, thread_heap_use};
use crate::canned::CannedAnswers;
use crate::capture::Capture;
use crate::config::{Config, Site};
use crate::connection::{Input, Now, Room, Table, Time};
use crate::file::{Desks, OpenFile, Root};
use crate::http::date::DateCache;
use crate::stats::Counters;
use crate::trace::{Event, Tracer};
use mio::unix::SourceFd;
use mio::{Events, Interest, Poll, Token, Waker};
use rustix::fd::{AsRawFd, OwnedFd};

use rustix::io::Errno;
use rustix::net::RecvFlags;
use std::collections::VecDeque;
use std::hash::{BuildHasher, Hasher};
use std::io;
use std::sync::Arc;
use std::thread::Thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// How many readiness events one turn takes.
const EVENTS_PER_TURN: usize = 1024;
/// How many receives one connection gets in a turn.
const RECEIVES_PER_TURN: usize = 4;
/// How long responses under way may take once the server stops.
const STOP_GRACE: Duration = Duration::from_secs(1);
/// How many turns an order may wait for what had come before it to be looked at; while it does, nothing else waits.
const ORDER_TURNS: u32 = 64;
/// Where drained bytes go.
const SCRATCH_BYTES: usize = 16 * 1024;

const WAKER: Token = Token(usize::MAX);
const LISTENER: Token = Token(usize::MAX - 1);
/// The tokens of refused newcomers end here. A slot's token never comes near: its lower half is below the number of slots.
const LAST_REFUSAL: usize = usize::MAX - 2;

#[derive(Debug, Default)]
struct Socket {
    descriptor: Option<OwnedFd>,
    /// Bytes may be there: cleared when the kernel has no more.
    readable: bool,
    /// The peer's end or an urgent byte was announced, so that a short read does not mean that there is nothing more to see.
    reads_to_the_end: bool,
    /// An error was announced. Where the peer's end came before it, reading tells of that end alone.
    failed: bool,
    queued: bool,
    registered: bool,
}

/// The event loop with everything it will ever use.
#[derive(Debug)]
pub struct EventLoop {
    poll: Poll,
    events: Events,
    listener: Listener,
    stop: Arc<Stop>,
    table: Table<OpenFile>,
    sockets: Box<[Socket]>,
    /// Slots that have something to do; each is in it at most once, so it never grows.
    ready: VecDeque<u32>,
    refusals: Refusals,
    /// Given up to tell a newcomer that there is no descriptor for it.
    reserve: Option<OwnedFd>,
    root: Root,
    /// Where directories are listed, if they are.
    desks: Option<Desks>,
    shows_hidden: bool,
    scratch: Box<[u8]>,
    date: DateCache,
    started: Instant,
    now: Now,
    /// When the wait for events began that the turn was told of: whatever had come by then is among them.
    waited_from: Time,
    acceptable: bool,
    accept_again_at: Option<Time>,
    stop_due: Option<Time>,
    /// How many turns ago an order was seen: what has come since is looked at before it is obeyed.
    order_seen: Option<u32>,
    heap_at_ready: HeapUse,
}

impl EventLoop {
    /// The thread to wake when something was logged.
    pub fn set_log_reader(&mut self, thread: Thread) {
        self.table.tracer().set_reader(thread);
    }

    /// Gives back what is kept in memory, all but one descriptor, which the kernel takes long to close.
    pub fn give_up_memory(&mut self) -> Option<OwnedFd> {
        self.root.give_up_memory()
    }

    /// Takes every byte and descriptor that the loop will need besides the connections' own descriptors.
    ///
    /// # Errors
    /// The system refused an event queue or a descriptor.
    pub fn new(
        config: &Config,
        listener: Listener,
        mut root: Root,
        counters: Arc<Counters>,
        tracer: Tracer,
    ) -> io::Result<(Self, Arc<Stop>)> {
        let poll = Poll::new()?;
        let stop = Arc::new(Stop::new(Waker::new(poll.registry(), WAKER)?));
        if let Some(socket) = listener.descriptor() {
            poll.registry().register(&mut SourceFd(&socket.as_raw_fd()), LISTENER, Interest::READABLE)?;
        }
        let slots = config.limits.max_connections;
        let mut table = Table::new(config.limits, config.site.clone(), counters, tracer);
        root.keep_in_memory(config.cache_size, table.max_short());
        // The standard library's keys for hashing are random numbers of the system.
        table.set_seed(std::hash::RandomState::new().build_hasher().finish());
        let event_loop = Self {
            poll,
            events: Events::with_capacity(EVENTS_PER_TURN),
            listener,
            stop: Arc::clone(&stop),
            table,
            sockets: std::iter::repeat_with(Socket::default).take(slots).collect(),
            ready: VecDeque::with_capacity(slots),
            refusals: Refusals::new(),
            reserve: Some(accepting::reserve()?),
            root,
            desks: config.site.listing.then(|| Desks::new(slots)),
            shows_hidden: config.site.hidden,
            scratch: vec![0; scratch_bytes(&config.site)].into_boxed_slice(),
            date: DateCache::new(0),
            started: Instant::now(),
            now: Now::default(),
            waited_from: Time::default(),
            acceptable: false,
            accept_again_at: None,
            stop_due: None,
            order_seen: None,
            heap_at_ready: HeapUse::default(),
        };
        Ok((event_loop, stop))
    }

    /// The heap memory of the loop's own tables, the statistics among them, in bytes: all but the slots, buffers, pools and the
    /// log ring.
    #[must_use]
    pub fn table_bytes(config: &Config) -> usize {
        let limits = &config.limits;
        // An event of the kernel's queue takes 12 bytes; mio keeps them in one block.
        limits.max_connections * (size_of::<Socket>() + size_of::<u32>())
            + EVENTS_PER_TURN * 12
            + scratch_bytes(&config.site)
            + size_of::<Counters>()
            + Root::heap_bytes()
            + if config.site.listing { Desks::heap_bytes(limits.max_connections) } else { 0 }
    }

    /// Serves until it is told to stop. The thread that calls it is the one whose heap calls are counted from here on.
    ///
    /// # Errors
    /// The system's event queue failed.
    pub fn run(&mut self) -> io::Result<()> {
        self.heap_at_ready = thread_heap_use();
        self.tell_time();
        self.table.tracer().record(None, Event::Ready);
        self.table.tracer().wake_reader();
        loop {
            let timeout = self.wait_time();
            match self.poll.poll(&mut self.events, timeout) {
                Ok(()) => {}
                // Nothing was told, so nothing is known: the process was stopped for a while, say.
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            }
            self.table.counters().begin_turn();
            let goes_on = self.turn();
            self.publish();
            self.table.counters().end_turn();
            if !goes_on {
                return Ok(());
            }
        }
    }

    fn turn(&mut self) -> bool {
        self.tell_time();
        // First, so that every answer of this turn knows.
        if self.stop.drain_wanted() {
            self.table.begin_drain();
        }
        self.note_events();
        for _ in 0..self.ready.len() {
            let Some(slot) = self.ready.pop_front() else { break };
            self.receive(slot);
            self.ready.push_back(slot);
        }
        self.accept();
        #[cfg(test)]
        self.stop.panic_if_planted();
        self.root.refresh();
        for _ in 0..self.ready.len() {
            let Some(slot) = self.ready.pop_front() else { break };
            self.sockets[slot as usize].queued = false;
            self.answer(slot);
        }
        self.expire();
        self.refusals.expire(self.now.time);
        self.table.check_invariants();
        if self.stop.orders.is_asked() {
            self.obey();
        }
        self.go_on()
    }

    /// Does what is asked, once every event is known that came before it was seen, and everybody was received from who had sent
    /// something by then; or after a number of turns, where that does not end.
    fn obey(&mut self) {
        let turns = self.order_seen.map_or(0, |turns| turns + 1);
        if turns == 0 || (turns < ORDER_TURNS && self.is_behind()) {
            self.order_seen = Some(turns);
            return;
        }
        let stop = Arc::clone(&self.stop);
        let is_done = stop.orders.obey(|order| match order {
            Order::Answers(answers) => self.table.set_canned(answers),
            Order::Capture(capture) => self.table.set_capture(capture),
            Order::Survey(open) => *open = self.table.open_at_both_ends(),
            Order::Reset(open) => {
                *open = self.table.open_at_both_ends();
                self.table.dismiss_all();
                self.answer_all();
                self.refusals.close_all();
                self.table.forget();
            }
        });
        self.order_seen = if is_done { None } else { Some(turns) };
    }

    /// Whether more may be known in the next turn: something came in this one, somebody's budget was spent, a newcomer waits.
    fn is_behind(&self) -> bool {
        self.events.iter().any(|event| event.token() != WAKER)
            || !self.ready.is_empty()
            || (self.acceptable && self.accept_again_at.is_none())
    }

    /// What was asked for before there was a loop that could be asked.
    pub fn begin_with(&mut self, mut answers: Box<CannedAnswers>, capture: Option<Box<Capture>>) {
        self.table.set_canned(&mut answers);
        self.table.set_capture(&mut { capture });
    }

    /// Handles the deadlines that have passed, but only those of whom nothing can have come in time: what came while the process
    /// slept, or was left out by a full queue of events, is seen before anything expires.
    fn expire(&mut self) {
        if self.events.iter().count() == EVENTS_PER_TURN {
            return;
        }
        while self.table.next_due().is_some_and(|due| due <= self.waited_from)
            && let Some(slot) = self.table.expire()
        {
            self.answer(slot);
        }
    }

    fn tell_time(&mut self) {
        let nanoseconds = u64::try_from(self.started.elapsed().as_nanos()).unwrap_or(u64::MAX);
        let wall = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let wall_nanoseconds = u64::try_from(wall.as_nanos()).unwrap_or(u64::MAX);
        self.now = Now { time: Time(nanoseconds), wall_nanoseconds };
        self.table.set_now(self.now);
    }

    /// Tells the table how long a system call took, so that latencies count it.
    fn tell_elapsed_time(&mut self) {
        self.now.time = Time(u64::try_from(self.started.elapsed().as_nanos()).unwrap_or(u64::MAX));
        self.table.set_now(self.now);
    }

    /// How long to wait for events. From now on what comes is told.
    fn wait_time(&mut self) -> Option<Duration> {
        self.waited_from = self.now.time;
        if !self.ready.is_empty() || self.order_seen.is_some() || (self.acceptable && self.accept_again_at.is_none()) {
            return Some(Duration::ZERO);
        }
        let dues = [self.table.next_due(), self.refusals.next_due(), self.accept_again_at, self.stop_due];
        let due = dues.map(|due| due.unwrap_or(Time(u64::MAX))).into_iter().min().filter(|due| due.0 < u64::MAX)?;
        self.waited_from = Time(u64::try_from(self.started.elapsed().as_nanos()).unwrap_or(u64::MAX));
        Some(Duration::from_nanos(due.since(self.waited_from)))
    }

    fn note_events(&mut self) {
        for event in &self.events {
            match event.token() {
                WAKER => {}
                LISTENER => self.acceptable = true,
                Token(value) if value > LAST_REFUSAL - PLACES && value <= LAST_REFUSAL => {
                    let count = self.refusals.ready(LAST_REFUSAL - value, &mut self.scratch);
                    self.table.drained_refused(count);
                }
                Token(value) => {
                    // Stale where the slot has another connection by now.
                    let Some(slot) = self.table.slot_of(value as u64) else { continue };
                    let socket = &mut self.sockets[slot as usize];
                    socket.readable |=
                        event.is_readable() || event.is_read_closed() || event.is_error() || event.is_priority();
                    socket.reads_to_the_end |= event.is_read_closed() || event.is_error() || event.is_priority();
                    socket.failed |= event.is_error();
                    enqueue(&mut self.ready, socket, slot);
                    // Where nothing is received, nobody else would notice that the peer is gone.
                    if event.is_error() && !self.table.wants_input(slot) {
                        self.table.receive(slot, Input::Lost);
                    }
                }
            }
        }
    }

    /// The first half of a turn, for one connection: takes in what is there, within the budget.
    fn receive(&mut self, slot: u32) {
        let Self { table, sockets, scratch, .. } = self;
        let socket = &mut sockets[slot as usize];
        let Some(descriptor) = &socket.descriptor else { return };
        for _ in 0..RECEIVES_PER_TURN {
            if !socket.readable {
                break;
            }
            let (received, length, is_drained) = match table.receive_room(slot) {
                Room::None => break,
                Room::Buffer(room) => {
                    (rustix::net::recv(descriptor, &mut *room, RecvFlags::empty()), room.len(), false)
                }
                Room::Drain => (rustix::net::recv(descriptor, &mut **scratch, RecvFlags::empty()), scratch.len(), true),
            };
            match received {
                Ok((0, _)) => {
                    socket.readable = false;
                    table.receive(slot, if socket.failed { Input::Lost } else { Input::End });
                }
                Ok((count, _)) => {
                    // A short read of a stream means that the kernel has no more; the next byte brings a new event (epoll(7)).
                    socket.readable = count == length || socket.reads_to_the_end;
                    table.receive(slot, if is_drained { Input::Drained(count) } else { Input::Bytes(count) });
                }
                Err(Errno::AGAIN) => {
                    socket.readable = false;
                    table.receive(slot, Input::Nothing);
                }
                Err(Errno::INTR) => {}
                Err(_) => {
                    socket.readable = false;
                    table.receive(slot, Input::Lost);
                }
            }
        }
    }

    /// The connection can do nothing more in this turn: makes sure that it is heard of again.
    fn settle(&mut self, slot: u32) {
        let token = Token(usize::try_from(self.table.token(slot)).unwrap_or(usize::MAX));
        let socket = &mut self.sockets[slot as usize];
        let Some(descriptor) = &socket.descriptor else { return };
        if !socket.registered {
            let interest = Interest::READABLE | Interest::WRITABLE | Interest::PRIORITY;
            socket.registered = true;
            if self.poll.registry().register(&mut SourceFd(&descriptor.as_raw_fd()), token, interest).is_err() {
                // The kernel has no room for another watch; without one the connection would hang.
                self.table.abandon(slot);
                enqueue(&mut self.ready, socket, slot);
            }
        }
        if socket.readable && self.table.wants_input(slot) {
            enqueue(&mut self.ready, socket, slot);
        }
    }

    /// Whether to go on; begins and ends the stop.
    fn go_on(&mut self) -> bool {
        let wanted = self.stop.wanted();
        if wanted == 0 {
            return true;
        }
        if self.stop_due.is_none() {
            if let Some(socket) = self.listener.descriptor() {
                // Closing does not end the watch where another process has the socket too. Fails only where there is none.
                let _ = self.poll.registry().deregister(&mut SourceFd(&socket.as_raw_fd()));
            }
            self.listener.close();
            self.acceptable = false;
            self.accept_again_at = None;
            let grace = u64::try_from(STOP_GRACE.as_nanos()).unwrap_or(u64::MAX);
            self.stop_due = Some(self.now.time.after(grace));
            self.table.begin_stop();
            self.answer_all();
        }
        if wanted > 1 || self.stop_due.is_some_and(|due| due <= self.now.time) {
            for slot in 0..self.sockets.len() {
                if self.sockets[slot].descriptor.is_some() {
                    self.table.abandon(u32::try_from(slot).unwrap_or(u32::MAX));
                }
            }
            self.answer_all();
        }
        self.table.active() > 0
    }

    fn answer_all(&mut self) {
        for slot in 0..self.sockets.len() {
            if self.sockets[slot].descriptor.is_some() {
                self.answer(u32::try_from(slot).unwrap_or(u32::MAX));
            }
        }
    }

    /// Brings into the statistics what is counted elsewhere, and wakes the log's reader.
    fn publish(&mut self) {
        let heap = thread_heap_use().since(self.heap_at_ready);
        let dropped = self.table.tracer().dropped();
        let counters = self.table.counters();
        counters.malloc_calls.set(heap.allocations);
        counters.free_calls.set(heap.frees);
        counters.heap_bytes.set(u64::try_from(heap.net_bytes).unwrap_or(0));
        counters.log_records_dropped.set(dropped);
        self.table.tracer().wake_reader();
    }
}

impl Drop for EventLoop {
    fn drop(&mut self) {
        self.stop.orders.abandon();
    }
}

/// Drained bytes go there, and the answer to a refused newcomer is made there.
fn scratch_bytes(site: &Site) -> usize {
    SCRATCH_BYTES.max(MAX_ANSWER + site.head_bytes())
}

fn enqueue(ready: &mut VecDeque<u32>, socket: &mut Socket, slot: u32) {
    if !socket.queued {
        socket.queued = true;
        ready.push_back(slot);
    }
}
