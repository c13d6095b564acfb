//! The event loop: one thread, every socket non-blocking, every turn bounded.
//!
//! A turn has two halves. First every ready connection is received from and parsed, then the answers are made and sent: what an
//! answer shows is looked up after its request has arrived (P8). A connection whose budget is spent goes to the end of the ready
//! queue, so that none starves another. Nothing here allocates once [`EventLoop::new`] has returned.

mod accepting;

use super::refusal::{PLACES, Refusals};
use crate::alloc::{HeapUse, thread_heap_use};
use crate::config::Limits;
use crate::connection::{Action, Input, Now, Room, Table, Time};
use crate::file::Root;
use crate::http::date::DateCache;
use crate::stats::Counters;
use crate::trace::{Event, Tracer};
use mio::unix::SourceFd;
use mio::{Events, Interest, Poll, Token, Waker};
use rustix::fd::{AsRawFd, OwnedFd};

use rustix::io::Errno;
use rustix::net::{RecvFlags, SendFlags, Shutdown};
use std::collections::VecDeque;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::thread::Thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// How many readiness events one turn takes.
const EVENTS_PER_TURN: usize = 1024;
/// How many receives one connection gets in a turn.
const RECEIVES_PER_TURN: usize = 4;
/// How many steps of answering one connection gets in a turn; a small file takes three.
const STEPS_PER_TURN: usize = 192;
/// How much of a file one connection sends in a turn before the others have theirs, in bytes.
const FILE_BYTES_PER_TURN: u64 = 1 << 20;
/// How long responses under way may take once the server stops.
const STOP_GRACE: Duration = Duration::from_secs(1);
/// Where drained bytes go.
const SCRATCH_BYTES: usize = 16 * 1024;

const WAKER: Token = Token(usize::MAX);
const LISTENER: Token = Token(usize::MAX - 1);
/// The tokens of refused newcomers end here. A slot's token never comes near: its lower half is below the number of slots.
const LAST_REFUSAL: usize = usize::MAX - 2;

/// How a stop is asked for, from any thread.
#[derive(Debug)]
pub struct Stop {
    /// 0: not asked for; 1: responses under way may finish; 2: at once.
    wanted: AtomicU8,
    waker: Waker,
}

impl Stop {
    /// Asks the loop to stop: responses under way may finish within a bounded time.
    pub fn stop(&self) {
        self.ask(1);
    }

    /// Asks the loop to stop at once, whatever is under way.
    pub fn abort(&self) {
        self.ask(2);
    }

    fn ask(&self, wanted: u8) {
        self.wanted.fetch_max(wanted, Ordering::Release);
        // The loop's end of it outlives every caller that matters; a loop that has ended needs no waking.
        let _ = self.waker.wake();
    }
}

#[derive(Debug, Default)]
struct Socket {
    descriptor: Option<OwnedFd>,
    /// Bytes may be there: cleared when the kernel has no more.
    readable: bool,
    /// The peer's end or an urgent byte was announced, so that a short read does not mean that there is nothing more to see.
    reads_to_the_end: bool,
    queued: bool,
    registered: bool,
}

/// The event loop with everything it will ever use.
#[derive(Debug)]
pub struct EventLoop {
    poll: Poll,
    events: Events,
    listener: Option<OwnedFd>,
    stop: Arc<Stop>,
    table: Table<OwnedFd>,
    sockets: Box<[Socket]>,
    /// Slots that have something to do; each is in it at most once, so it never grows.
    ready: VecDeque<u32>,
    refusals: Refusals,
    /// Given up to tell a newcomer that there is no descriptor for it.
    reserve: Option<OwnedFd>,
    root: Root,
    scratch: Box<[u8]>,
    date: DateCache,
    started: Instant,
    now: Now,
    acceptable: bool,
    accept_again_at: Option<Time>,
    stop_due: Option<Time>,
    heap_at_ready: HeapUse,
}

impl EventLoop {
    /// The thread to wake when something was logged.
    pub fn set_log_reader(&mut self, thread: Thread) {
        self.table.tracer().set_reader(thread);
    }

    /// Takes every byte and descriptor that the loop will need besides the connections' own descriptors.
    ///
    /// # Errors
    /// The system refused an event queue or a descriptor.
    pub fn new(
        limits: Limits,
        listener: OwnedFd,
        root: Root,
        counters: Arc<Counters>,
        tracer: Tracer,
    ) -> io::Result<(Self, Arc<Stop>)> {
        let poll = Poll::new()?;
        let stop = Arc::new(Stop { wanted: AtomicU8::new(0), waker: Waker::new(poll.registry(), WAKER)? });
        poll.registry().register(&mut SourceFd(&listener.as_raw_fd()), LISTENER, Interest::READABLE)?;
        let slots = limits.max_connections;
        let event_loop = Self {
            poll,
            events: Events::with_capacity(EVENTS_PER_TURN),
            listener: Some(listener),
            stop: Arc::clone(&stop),
            table: Table::new(limits, counters, tracer),
            sockets: std::iter::repeat_with(Socket::default).take(slots).collect(),
            ready: VecDeque::with_capacity(slots),
            refusals: Refusals::new(),
            reserve: Some(accepting::reserve()?),
            root,
            scratch: vec![0; SCRATCH_BYTES].into_boxed_slice(),
            date: DateCache::new(0),
            started: Instant::now(),
            now: Now::default(),
            acceptable: false,
            accept_again_at: None,
            stop_due: None,
            heap_at_ready: HeapUse::default(),
        };
        Ok((event_loop, stop))
    }

    /// The heap memory of the loop's own tables, in bytes: all but the slots, buffers, pools and the log ring.
    #[must_use]
    pub fn table_bytes(limits: &Limits) -> usize {
        // An event of the kernel's queue takes 12 bytes; mio keeps them in one block.
        limits.max_connections * (size_of::<Socket>() + size_of::<u32>())
            + EVENTS_PER_TURN * 12
            + SCRATCH_BYTES
            + Root::heap_bytes()
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
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
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
        self.note_events();
        for _ in 0..self.ready.len() {
            let Some(slot) = self.ready.pop_front() else { break };
            self.receive(slot);
            self.ready.push_back(slot);
        }
        self.accept();
        for _ in 0..self.ready.len() {
            let Some(slot) = self.ready.pop_front() else { break };
            self.sockets[slot as usize].queued = false;
            self.answer(slot);
        }
        // A full queue of events may have left out bytes that came in time; they are seen before anything expires.
        if self.events.iter().count() < EVENTS_PER_TURN {
            while let Some(slot) = self.table.expire() {
                self.answer(slot);
            }
        }
        self.refusals.expire(self.now.time);
        self.table.check_invariants();
        self.go_on()
    }

    fn tell_time(&mut self) {
        let nanoseconds = u64::try_from(self.started.elapsed().as_nanos()).unwrap_or(u64::MAX);
        let wall = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        self.now = Now { time: Time(nanoseconds), wall_seconds: i64::try_from(wall.as_secs()).unwrap_or(i64::MAX) };
        self.table.set_now(self.now);
    }

    /// Tells the table how long a system call took, so that latencies count it.
    fn tell_elapsed_time(&mut self) {
        self.now.time = Time(u64::try_from(self.started.elapsed().as_nanos()).unwrap_or(u64::MAX));
        self.table.set_now(self.now);
    }

    fn wait_time(&self) -> Option<Duration> {
        if !self.ready.is_empty() || (self.acceptable && self.accept_again_at.is_none()) {
            return Some(Duration::ZERO);
        }
        let dues = [self.table.next_due(), self.refusals.next_due(), self.accept_again_at, self.stop_due];
        let due = dues.map(|due| due.unwrap_or(Time(u64::MAX))).into_iter().min().filter(|due| due.0 < u64::MAX)?;
        let elapsed = u64::try_from(self.started.elapsed().as_nanos()).unwrap_or(u64::MAX);
        Some(Duration::from_nanos(due.since(Time(elapsed))))
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
                    enqueue(&mut self.ready, socket, slot);
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
                    table.receive(slot, Input::End);
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

    /// The second half of a turn, for one connection: does what it asks for, within the budget.
    fn answer(&mut self, slot: u32) {
        let mut file_bytes = 0;
        for _ in 0..STEPS_PER_TURN {
            let Some(descriptor) = &self.sockets[slot as usize].descriptor else { return };
            let outcome = match self.table.next_action(slot) {
                Action::Wait => return self.settle(slot),
                Action::Open(name) => {
                    let outcome = self.root.open_file(name);
                    self.table.opened(slot, outcome);
                    continue;
                }
                Action::ReadFile { file, offset, into } => {
                    // A file that cannot be read has no more content, as far as the peer is concerned.
                    let count = rustix::io::retry_on_intr(|| rustix::io::pread(file, &mut *into, offset)).unwrap_or(0);
                    self.table.file_read(slot, count);
                    continue;
                }
                Action::ShutDownSending => {
                    // Fails only where the peer is gone, which the next receive shows.
                    let _ = rustix::net::shutdown(descriptor, Shutdown::Write);
                    continue;
                }
                Action::Close => {
                    // Shut down first: should a forked child hold a copy of the descriptor, the peer still sees the end.
                    let _ = rustix::net::shutdown(descriptor, Shutdown::Both);
                    let queued = self.sockets[slot as usize].queued;
                    self.sockets[slot as usize] = Socket { queued, ..Socket::default() };
                    return self.table.closed(slot);
                }
                Action::Send(bytes) => rustix::net::send(descriptor, bytes, SendFlags::NOSIGNAL).map(Progress::Sent),
                Action::SendFile { file, offset, length } => {
                    let mut offset = offset;
                    let count = usize::try_from(length.min(FILE_BYTES_PER_TURN)).unwrap_or(usize::MAX);
                    match rustix::fs::sendfile(descriptor, file, Some(&mut offset), count) {
                        Ok(count) => Ok(Progress::FileSent(count as u64)),
                        Err(errno @ (Errno::AGAIN | Errno::INTR)) => Err(errno),
                        Err(errno) if is_sockets_fault(errno) => Err(errno),
                        // A file that cannot be read has no more content, as far as the peer is concerned.
                        Err(_) => Ok(Progress::FileSent(0)),
                    }
                }
            };
            match outcome {
                Ok(progress) => {
                    self.tell_elapsed_time();
                    match progress {
                        Progress::Sent(count) => self.table.sent(slot, count),
                        Progress::FileSent(count) => {
                            self.table.file_sent(slot, count);
                            file_bytes += count;
                            if file_bytes >= FILE_BYTES_PER_TURN {
                                break;
                            }
                        }
                    }
                }
                Err(Errno::AGAIN) => {
                    self.table.send_blocked(slot);
                    return self.settle(slot);
                }
                Err(Errno::INTR) => {}
                Err(_) => self.table.receive(slot, Input::Lost),
            }
        }
        // The budget is spent: the others first.
        enqueue(&mut self.ready, &mut self.sockets[slot as usize], slot);
        self.settle(slot);
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
        let wanted = self.stop.wanted.load(Ordering::Acquire);
        if wanted == 0 {
            return true;
        }
        if self.stop_due.is_none() {
            if let Some(listener) = self.listener.take() {
                close_listener(&listener);
            }
            self.acceptable = false;
            self.accept_again_at = None;
            let grace = u64::try_from(STOP_GRACE.as_nanos()).unwrap_or(u64::MAX);
            self.stop_due = Some(self.now.time.after(grace));
            self.table.begin_drain();
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

/// Whether sendfile failed because of the socket; otherwise it was the file.
fn is_sockets_fault(errno: Errno) -> bool {
    matches!(
        errno,
        Errno::PIPE
            | Errno::CONNRESET
            | Errno::CONNABORTED
            | Errno::NOTCONN
            | Errno::TIMEDOUT
            | Errno::NETDOWN
            | Errno::NETUNREACH
            | Errno::HOSTUNREACH
    )
}

enum Progress {
    Sent(usize),
    FileSent(u64),
}

fn enqueue(ready: &mut VecDeque<u32>, socket: &mut Socket, slot: u32) {
    if !socket.queued {
        socket.queued = true;
        ready.push_back(slot);
    }
}

/// Ends listening for good: should a forked child hold a copy of the socket, its port is free all the same.
pub(crate) fn close_listener(listener: &OwnedFd) {
    // Fails only where it is not listening, which is what is wanted.
    let _ = rustix::net::shutdown(listener, Shutdown::Both);
}
