//! Newcomers: accepted into a slot, or told why not. Accepting never stops for long and never spins.

use super::super::refusal;
use super::{EventLoop, LAST_REFUSAL, Socket, enqueue};
use crate::connection::{Admission, State};
use crate::http::Reject;
use crate::trace::Event;
use mio::unix::SourceFd;
use mio::{Interest, Token};
use rustix::fd::{AsRawFd, OwnedFd};
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use rustix::net::SocketFlags;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

/// How many newcomers one turn accepts.
const ACCEPTS_PER_TURN: usize = 64;
/// How many newcomers in a row may fail before it is the system that refuses them.
const FAULTS_AT_A_STRETCH: usize = 32;
/// When accepting is tried again after the system refused it.
const ACCEPT_RETRY: Duration = Duration::from_millis(50);

impl EventLoop {
    pub(super) fn accept(&mut self) {
        if self.accept_again_at.is_some_and(|due| due <= self.now.time) {
            self.accept_again_at = None;
            self.reserve = self.reserve.take().or_else(|| reserve().ok());
        }
        if !self.acceptable || self.accept_again_at.is_some() {
            return;
        }
        let mut faults = 0;
        for _ in 0..ACCEPTS_PER_TURN {
            let Some(listener) = self.listener.descriptor() else { return };
            match rustix::net::acceptfrom_with(listener, SocketFlags::NONBLOCK | SocketFlags::CLOEXEC) {
                Ok((descriptor, peer)) => {
                    let peer = peer.and_then(|address| SocketAddr::try_from(address).ok());
                    self.admit(descriptor, peer);
                    faults = 0;
                }
                Err(Errno::AGAIN) => {
                    self.acceptable = false;
                    return;
                }
                Err(Errno::MFILE | Errno::NFILE) if self.reserve.is_some() => {
                    if !self.accept_by_reserve() {
                        return;
                    }
                }
                // So many at a stretch are not the newcomers': a filter of system calls may refuse every one.
                Err(errno) if is_newcomers_fault(errno) && faults < FAULTS_AT_A_STRETCH => faults += 1,
                Err(errno) => return self.pause_accepting(errno),
            }
        }
    }

    fn admit(&mut self, descriptor: OwnedFd, peer: Option<SocketAddr>) {
        loop {
            match self.table.admit(peer) {
                Admission::Slot(slot) => {
                    let socket = &mut self.sockets[slot as usize];
                    let queued = socket.queued;
                    *socket = Socket {
                        descriptor: Some(descriptor),
                        readable: true,
                        // Descriptors that a peer of a Unix socket passes along cut a read short of what is there (unix(7)), where they could
                        // not be refused.
                        reads_to_the_end: peer.is_none(),
                        queued,
                        ..Socket::default()
                    };
                    enqueue(&mut self.ready, socket, slot);
                    self.receive(slot);
                    if self.table.state(slot) == State::Closing {
                        // Gone before it was accepted: it must not cost the next one its slot.
                        self.answer(slot);
                    }
                    return;
                }
                Admission::Reclaim(slot) => self.answer(slot),
                Admission::Refuse => return self.refuse(descriptor, peer, Reject::NoSlot),
            }
        }
    }

    fn refuse(&mut self, descriptor: OwnedFd, peer: Option<SocketAddr>, reject: Reject) {
        let date = *self.date.at(self.now.wall_seconds());
        let sent = refusal::answer(&descriptor, reject, &date, self.table.site(), &mut self.scratch);
        self.table.refused(peer, reject, sent);
        let (count, goes_on) = refusal::drain(&descriptor, &mut self.scratch);
        self.table.drained_refused(count);
        if !goes_on || reject == Reject::NoDescriptor {
            return;
        }
        let token = Token(LAST_REFUSAL - self.refusals.next_place());
        if self.poll.registry().register(&mut SourceFd(&descriptor.as_raw_fd()), token, Interest::READABLE).is_ok() {
            self.refusals.keep(descriptor, self.now.time);
        }
    }

    /// Out of descriptors: gives up the one in reserve to tell a newcomer so. Whether to go on accepting: the system says that it
    /// is out of descriptors even where nobody waits, so that is found out here.
    fn accept_by_reserve(&mut self) -> bool {
        self.reserve = None;
        let Some(listener) = self.listener.descriptor() else { return false };
        let accepted = rustix::net::acceptfrom_with(listener, SocketFlags::NONBLOCK | SocketFlags::CLOEXEC);
        let goes_on = match accepted {
            Ok((descriptor, peer)) => {
                let peer = peer.and_then(|address| SocketAddr::try_from(address).ok());
                self.refuse(descriptor, peer, Reject::NoDescriptor);
                true
            }
            Err(Errno::AGAIN) => {
                self.acceptable = false;
                false
            }
            Err(errno) => {
                self.pause_accepting(errno);
                false
            }
        };
        self.reserve = reserve().ok();
        goes_on
    }

    /// The system cannot accept now: tries again a little later instead of at once.
    fn pause_accepting(&mut self, errno: Errno) {
        self.table.tracer().record(None, Event::AcceptFailed(errno.raw_os_error()));
        let retry = u64::try_from(ACCEPT_RETRY.as_nanos()).unwrap_or(u64::MAX);
        self.accept_again_at = Some(self.now.time.after(retry));
    }
}

/// Whether accepting failed because of the one connection that would have been accepted (accept(2)), or of a signal.
fn is_newcomers_fault(errno: Errno) -> bool {
    matches!(
        errno,
        Errno::CONNABORTED
            | Errno::INTR
            | Errno::PROTO
            | Errno::PERM
            | Errno::NETDOWN
            | Errno::NETUNREACH
            | Errno::HOSTDOWN
            | Errno::HOSTUNREACH
            | Errno::NONET
            | Errno::NOPROTOOPT
            | Errno::OPNOTSUPP
    )
}

/// A descriptor to give up when there is no other.
pub(super) fn reserve() -> io::Result<OwnedFd> {
    Ok(rustix::fs::open(c"/dev/null", OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())?)
}
