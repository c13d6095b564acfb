//! The second half of a turn: does what the connections ask for, each within its budget.

use super::{EventLoop, Socket, enqueue};
use crate::connection::{Action, Input, Listed, OpenError, Opened};
use crate::file::{EntryFacts, Known, Listing, OpenFile, Progress, Root};
use rustix::fd::OwnedFd;
use rustix::io::Errno;
use rustix::net::{SendAncillaryBuffer, SendFlags, Shutdown};
use std::io::IoSlice;
use std::time::Duration;

/// How many steps of answering one connection gets in a turn; a small file takes three.
const STEPS_PER_TURN: usize = 192;
/// How much of a file one connection sends in a turn before the others have theirs, in bytes.
const FILE_BYTES_PER_TURN: u64 = 1 << 20;
/// The most that is handed to the kernel as one where a part of it is a content in memory, in bytes: a packet has 64 KiB.
const MOST_TOGETHER: usize = 65_000;

/// What came of doing what a connection asked for.
enum Step {
    /// It may ask for more.
    Done,
    /// So many bytes went from the send buffer.
    Sent(usize),
    /// So many bytes went from the send buffer, and so many from the file behind it.
    FileSent(usize, u64),
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
        if self.table.has_canned() {
            // A delay lasts from when the request had come, which may be long after the turn began.
            self.tell_elapsed_time();
        }
        let mut file_bytes = 0;
        for _ in 0..STEPS_PER_TURN {
            match self.step(slot) {
                Step::Done => {}
                Step::Sent(count) => {
                    self.tell_elapsed_time();
                    self.table.sent(slot, count);
                }
                Step::FileSent(before, count) => {
                    self.tell_elapsed_time();
                    if before > 0 {
                        self.table.sent(slot, before);
                    }
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
            Action::Open { name, codings } => match root.find_in_memory(name, codings) {
                Some(Known::Content(found)) => table.found_in_memory(slot, found),
                Some(Known::Absent) => table.opened(slot, Err(OpenError::NotFound)),
                None => {
                    let outcome = root.open_file(name.as_c_str(), codings);
                    let found = match &outcome {
                        Ok(Opened::File(_, facts, _)) => root.bring_into_memory(name, codings, facts.size),
                        Err(OpenError::NotFound) => {
                            root.remember_absence(name);
                            None
                        }
                        _ => None,
                    };
                    match found {
                        Some(found) => table.found_in_memory(slot, found),
                        None => table.opened(slot, outcome),
                    }
                }
            },
            Action::ReadFile { file, offset, into } => {
                let count = read_file(root, file, offset, into);
                table.file_read(slot, count);
            }
            Action::List { token, directory, name, position } => {
                let mut position = *position;
                let progress = match (self.desks.as_mut(), directory) {
                    (Some(desks), OpenFile::Descriptor(directory)) => {
                        let listing = Listing { token, directory, name, shows_hidden: self.shows_hidden };
                        Some(desks.next(root, slot as usize, &listing, &mut position))
                    }
                    _ => None,
                };
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
            Action::Close { resets } => {
                // Fails only where the peer is gone.
                let _ = if resets {
                    // A connection that lingers for no time at all is reset by its close (socket(7)).
                    rustix::net::sockopt::set_socket_linger(descriptor, Some(Duration::ZERO))
                } else {
                    // Shut down first: should a forked child hold a copy of the descriptor, the peer still sees the end.
                    rustix::net::shutdown(descriptor, Shutdown::Both)
                };
                let queued = sockets[slot as usize].queued;
                sockets[slot as usize] = Socket { queued, ..Socket::default() };
                table.closed(slot);
                return Step::Closed;
            }
            Action::Send { bytes, is_last } => {
                // What ends a stream waits for the end, which follows at once and goes out in the same packet.
                let flags = if is_last { SendFlags::NOSIGNAL | SendFlags::MORE } else { SendFlags::NOSIGNAL };
                let sent = rustix::net::send(descriptor, bytes, flags).map(Step::Sent);
                return self.or_weather(slot, sent);
            }
            Action::SendRegistered { head, content } => {
                let sent = send_together(descriptor, head, content).map(Step::Sent);
                return self.or_weather(slot, sent);
            }
            Action::SendFile { before, file, offset, length } => {
                let sent = send_with_file(descriptor, before, root, file, offset, length);
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

/// Reads from a file that is open or in memory. One that cannot be read has no more content, as far as the peer is concerned.
fn read_file(root: &Root, file: &OpenFile, offset: u64, into: &mut [u8]) -> usize {
    match file {
        OpenFile::Descriptor(file) => {
            rustix::io::retry_on_intr(|| rustix::io::pread(file, &mut *into, offset)).unwrap_or(0)
        }
        OpenFile::InMemory(_) => {
            let content = part_of(root, file, offset, into.len() as u64);
            into[..content.len()].copy_from_slice(content);
            content.len()
        }
    }
}

/// At most `length` bytes of a content in memory.
fn part_of<'a>(root: &'a Root, file: &OpenFile, offset: u64, length: u64) -> &'a [u8] {
    let content = root.held_content(file).unwrap_or_default();
    let rest = usize::try_from(offset).ok().and_then(|offset| content.get(offset..)).unwrap_or_default();
    rest.get(..usize::try_from(length).unwrap_or(usize::MAX)).unwrap_or(rest)
}

/// Sends what goes before a file, from the file, or both in one call.
fn send_with_file(
    socket: &OwnedFd,
    before: &[u8],
    root: &Root,
    file: &OpenFile,
    offset: u64,
    length: u64,
) -> Result<Step, Errno> {
    match file {
        OpenFile::Descriptor(file) if before.is_empty() => send_file(socket, file, offset, length),
        OpenFile::Descriptor(_) => rustix::net::send(socket, before, SendFlags::NOSIGNAL).map(Step::Sent),
        OpenFile::InMemory(_) => send_content(socket, before, part_of(root, file, offset, length)),
    }
}

/// Sends a content in memory and what goes before it: together where they make one packet of the largest kind, and apart where
/// they would not, because the packets of one call wait for each other where the congestion control paces them.
fn send_together(socket: &OwnedFd, before: &[u8], content: &[u8]) -> Result<usize, Errno> {
    if before.is_empty() {
        rustix::net::send(socket, content, SendFlags::NOSIGNAL)
    } else if content.is_empty() || before.len() + content.len() > MOST_TOGETHER {
        rustix::net::send(socket, before, SendFlags::NOSIGNAL)
    } else {
        let pieces = [IoSlice::new(before), IoSlice::new(content)];
        rustix::net::sendmsg(socket, &pieces, &mut SendAncillaryBuffer::default(), SendFlags::NOSIGNAL)
    }
}

/// The same of a file's content.
fn send_content(socket: &OwnedFd, before: &[u8], content: &[u8]) -> Result<Step, Errno> {
    let count = send_together(socket, before, content)?;
    Ok(match count.checked_sub(before.len()) {
        // Where nothing is left of it, it has been cut short.
        Some(of_file) if of_file > 0 || content.is_empty() => Step::FileSent(before.len(), of_file as u64),
        _ => Step::Sent(count),
    })
}

/// Sends from a file without copying it.
fn send_file(socket: &OwnedFd, file: &OwnedFd, mut offset: u64, length: u64) -> Result<Step, Errno> {
    let count = usize::try_from(length.min(FILE_BYTES_PER_TURN)).unwrap_or(usize::MAX);
    match rustix::fs::sendfile(socket, file, Some(&mut offset), count) {
        Ok(count) => Ok(Step::FileSent(0, count as u64)),
        Err(errno @ (Errno::AGAIN | Errno::INTR)) => Err(errno),
        Err(errno) if is_not_the_files_fault(errno) => Err(errno),
        // A file that cannot be read has no more content, as far as the peer is concerned.
        Err(_) => Ok(Step::FileSent(0, 0)),
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
