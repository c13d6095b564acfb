//! The second half of a turn: does what the connections ask for, each within its budget.

use super::{EventLoop, Socket, enqueue};
use crate::connection::{Action, Input, Listed, Opened};
use crate::file::{EntryFacts, Listing, Progress};
use rustix::fd::OwnedFd;
use rustix::io::Errno;
use rustix::net::{SendFlags, Shutdown};

/// How many steps of answering one connection gets in a turn; a small file takes three.
const STEPS_PER_TURN: usize = 192;
/// How much of a file one connection sends in a turn before the others have theirs, in bytes.
const FILE_BYTES_PER_TURN: u64 = 1 << 20;

/// What came of doing what a connection asked for.
enum Step {
    /// It may ask for more.
    Done,
    /// So many bytes went from the send buffer; from a file.
    Sent(usize),
    FileSent(u64),
    /// The kernel takes nothing more for now.
    Blocked,
    /// It waits for something to happen; for something that takes longer; for nothing any more.
    Waits,
    TakesLonger,
    Closed,
}

impl EventLoop {
    /// The second half of a turn, for one connection.
    pub(super) fn answer(&mut self, slot: u32) {
        let mut file_bytes = 0;
        for _ in 0..STEPS_PER_TURN {
            match self.step(slot) {
                Step::Done => {}
                Step::Sent(count) => {
                    self.tell_elapsed_time();
                    self.table.sent(slot, count);
                }
                Step::FileSent(count) => {
                    self.tell_elapsed_time();
                    self.table.file_sent(slot, count);
                    file_bytes += count;
                    if file_bytes >= FILE_BYTES_PER_TURN {
                        break;
                    }
                }
                Step::Blocked => {
                    self.table.send_blocked(slot);
                    return self.settle(slot);
                }
                Step::Waits => return self.settle(slot),
                Step::TakesLonger => break,
                Step::Closed => return,
            }
        }
        // The budget is spent: the others first.
        enqueue(&mut self.ready, &mut self.sockets[slot as usize], slot);
        self.settle(slot);
    }

    /// Does the one thing that a connection asks for next.
    fn step(&mut self, slot: u32) -> Step {
        let Self { table, sockets, root, .. } = self;
        let Some(descriptor) = &sockets[slot as usize].descriptor else { return Step::Closed };
        match table.next_action(slot) {
            Action::Wait => return Step::Waits,
            Action::Open { name, codings, may_use_memory } => {
                if may_use_memory && let Some(found) = root.find_in_memory(name, codings) {
                    table.found_in_memory(slot, found.facts, found.coding, found.content, false);
                    return Step::Done;
                }
                let outcome = root.open_file(name, codings);
                if may_use_memory
                    && let Ok(Opened::File(_, facts, _)) = &outcome
                    && let Some(found) = root.bring_into_memory(name, codings, facts.size)
                {
                    table.found_in_memory(slot, found.facts, found.coding, found.content, true);
                } else {
                    table.opened(slot, outcome);
                }
            }
            Action::ReadFile { file, offset, into } => {
                // A file that cannot be read has no more content, as far as the peer is concerned.
                let count = rustix::io::retry_on_intr(|| rustix::io::pread(file, &mut *into, offset)).unwrap_or(0);
                table.file_read(slot, count);
            }
            Action::List { token, directory, name, position } => {
                let mut position = *position;
                let listing = Listing { token, directory, name, shows_hidden: self.shows_hidden };
                let desks = self.desks.as_mut();
                let progress = desks.map(|desks| desks.next(root, slot as usize, &listing, &mut position));
                match progress.unwrap_or(Progress::Failed) {
                    Progress::Entry(EntryFacts { size, modified_seconds, .. }) => {
                        table.listed(slot, Listed::Entry { position: &position, size, modified_seconds });
                    }
                    Progress::Done => table.listed(slot, Listed::End),
                    Progress::Failed => table.listed(slot, Listed::Failed),
                    Progress::Working | Progress::Busy => {
                        table.listing_waits(slot);
                        return Step::TakesLonger;
                    }
                }
            }
            Action::ShutDownSending => {
                // Fails only where the peer is gone, which the next receive shows.
                let _ = rustix::net::shutdown(descriptor, Shutdown::Write);
            }
            Action::Close => {
                // Shut down first: should a forked child hold a copy of the descriptor, the peer still sees the end.
                let _ = rustix::net::shutdown(descriptor, Shutdown::Both);
                let queued = sockets[slot as usize].queued;
                sockets[slot as usize] = Socket { queued, ..Socket::default() };
                table.closed(slot);
                return Step::Closed;
            }
            Action::Send(bytes) => {
                let sent = rustix::net::send(descriptor, bytes, SendFlags::NOSIGNAL).map(Step::Sent);
                return self.or_weather(slot, sent);
            }
            Action::SendFile { file, offset, length } => {
                let sent = send_file(descriptor, file, offset, length);
                return self.or_weather(slot, sent);
            }
        }
        Step::Done
    }

    /// What a send came to, where it failed too.
    fn or_weather(&mut self, slot: u32, sent: Result<Step, Errno>) -> Step {
        sent.unwrap_or_else(|errno| match errno {
            Errno::AGAIN => Step::Blocked,
            Errno::INTR => Step::Done,
            _ => {
                self.table.receive(slot, Input::Lost);
                Step::Done
            }
        })
    }
}

/// Sends from a file without copying it.
fn send_file(socket: &OwnedFd, file: &OwnedFd, mut offset: u64, length: u64) -> Result<Step, Errno> {
    let count = usize::try_from(length.min(FILE_BYTES_PER_TURN)).unwrap_or(usize::MAX);
    match rustix::fs::sendfile(socket, file, Some(&mut offset), count) {
        Ok(count) => Ok(Step::FileSent(count as u64)),
        Err(errno @ (Errno::AGAIN | Errno::INTR)) => Err(errno),
        Err(errno) if is_not_the_files_fault(errno) => Err(errno),
        // A file that cannot be read has no more content, as far as the peer is concerned.
        Err(_) => Ok(Step::FileSent(0)),
    }
}

/// Whether sendfile failed because of the socket, or for want of memory or permission to send; otherwise it was the file.
fn is_not_the_files_fault(errno: Errno) -> bool {
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
            | Errno::NOBUFS
            | Errno::NOMEM
            | Errno::PERM
    )
}
