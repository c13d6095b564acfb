//! The least that a server on this machine can do: the benchmark's yardstick, of no use for anything else.
//!
//! It reads until the request heads that came are complete, which it tells by counting empty lines, and writes the same
//! fixed bytes for each, whatever was asked. It looks at nothing, keeps nothing, logs nothing and has no timeouts. One
//! thread, edge-triggered: one recv and one send for a request, no epoll_ctl after the first. A request that is there
//! when its connection is accepted is answered before anything is registered, so that one with `Connection: close`
//! never is.
//!
//! ```text
//! null_server FILE [gathered] < a listening socket that does not wait
//! ```
//!
//! The socket's options are those that suit such a server, and whoever starts it sets them: TCP_NODELAY, so that the end
//! of gathered answers waits for no acknowledgement, and TCP_DEFER_ACCEPT, so that a connection comes with its request.
//! FILE holds the bytes of one answer, its head included. Pipelined requests get a send each, or with `gathered` one for
//! all of them.

use memchr::memmem::Finder;
use mio::unix::SourceFd;
use mio::{Events, Interest, Poll, Token};
use rustix::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use rustix::io::Errno;
use rustix::net::{RecvFlags, SendFlags, SocketFlags};
use std::process::ExitCode;
use std::{env, fs, io};

/// The most connections at a time.
const CONNECTIONS: usize = 4500;
const LISTENER: Token = Token(CONNECTIONS);
/// Room for the heads of what is pipelined.
const BUFFER_BYTES: usize = 16 * 1024;
/// What the bytes of one gathered send come to, or a little more.
const BLOCK_BYTES: usize = 64 * 1024;
const HEAD_END: &[u8] = b"\r\n\r\n";
/// The bytes of an end that may have come without its last one.
const MOST_KEPT: usize = HEAD_END.len() - 1;
/// The only field line that is looked for, in what comes at once. ab and the benchmark's checks write it so.
const CLOSE: &[u8] = b"\r\nConnection: close\r\n";

/// What every connection is given.
struct Answers {
    /// One answer again and again, so that any number of pending bytes is one stretch of it.
    block: Vec<u8>,
    /// The bytes of one answer.
    length: usize,
    gathered: bool,
    head_end: Finder<'static>,
    close: Finder<'static>,
}

impl Answers {
    fn new(answer: &[u8], gathered: bool) -> Self {
        let block = answer.repeat(BLOCK_BYTES.div_ceil(answer.len()));
        Self { block, length: answer.len(), gathered, head_end: Finder::new(HEAD_END), close: Finder::new(CLOSE) }
    }

    /// What the next send has, where the first `sent` bytes of an answer have gone and `pending` are still to go.
    fn next(&self, sent: usize, pending: usize) -> &[u8] {
        let most = if self.gathered { self.block.len() } else { self.length };
        &self.block[sent..most.min(sent + pending)]
    }
}

struct Connection {
    stream: OwnedFd,
    /// The last bytes that were received, as far as an end of a head may begin in them.
    kept: [u8; MOST_KEPT],
    kept_bytes: usize,
    /// How much of the answer under way has gone.
    sent: usize,
    /// Bytes of answers that are still to go.
    pending: usize,
    closing: bool,
}

/// Whether a connection goes on.
#[derive(PartialEq, Eq)]
enum Next {
    Wait,
    Close,
}

impl Connection {
    fn new(stream: OwnedFd) -> Self {
        Self { stream, kept: [0; MOST_KEPT], kept_bytes: 0, sent: 0, pending: 0, closing: false }
    }

    /// Answers what has come, until nothing more is there or nothing more can go.
    fn serve(&mut self, answers: &Answers, buffer: &mut [u8; BUFFER_BYTES]) -> Result<Next, Errno> {
        loop {
            if !self.send(answers)? {
                return Ok(Next::Wait);
            }
            if self.closing {
                return Ok(Next::Close);
            }
            let start = self.kept_bytes;
            buffer[..start].copy_from_slice(&self.kept[..start]);
            let room = BUFFER_BYTES - start;
            let received = match rustix::net::recv(&self.stream, &mut buffer[start..], RecvFlags::empty()) {
                Ok((0, _)) => return Ok(Next::Close),
                Ok((_, received)) => received,
                Err(Errno::AGAIN) => return Ok(Next::Wait),
                Err(error) => return Err(error),
            };
            self.take_in(&buffer[..start + received], answers);
            // What did not fill the buffer was all there is; more of it makes another event.
            if received < room {
                let all_sent = self.send(answers)?;
                return Ok(if all_sent && self.closing { Next::Close } else { Next::Wait });
            }
        }
    }

    /// Counts the heads that end in `bytes`.
    fn take_in(&mut self, bytes: &[u8], answers: &Answers) {
        let mut after_last = 0;
        for end in answers.head_end.find_iter(bytes) {
            after_last = end + HEAD_END.len();
            self.pending += answers.length;
        }
        let rest = &bytes[after_last..];
        let kept = &rest[rest.len().saturating_sub(MOST_KEPT)..];
        self.kept[..kept.len()].copy_from_slice(kept);
        self.kept_bytes = kept.len();
        self.closing = self.closing || answers.close.find(bytes).is_some();
    }

    /// Sends what is pending; true once that is all gone.
    fn send(&mut self, answers: &Answers) -> Result<bool, Errno> {
        while self.pending > 0 {
            let bytes = answers.next(self.sent, self.pending);
            match rustix::net::send(&self.stream, bytes, SendFlags::NOSIGNAL) {
                Ok(count) => {
                    self.sent = (self.sent + count) % answers.length;
                    self.pending -= count;
                }
                Err(Errno::AGAIN) => return Ok(false),
                Err(error) => return Err(error),
            }
        }
        Ok(true)
    }
}

/// The connections by token, and the tokens that are free.
struct Table {
    connections: Vec<Option<Connection>>,
    free: Vec<usize>,
}

/// Takes every connection that waits, and answers each at once where it can.
fn accept(
    listener: BorrowedFd<'_>,
    poll: &Poll,
    table: &mut Table,
    answers: &Answers,
    buffer: &mut [u8; BUFFER_BYTES],
) -> io::Result<()> {
    loop {
        let stream = match rustix::net::accept_with(listener, SocketFlags::NONBLOCK | SocketFlags::CLOEXEC) {
            Ok(stream) => stream,
            Err(Errno::AGAIN) => return Ok(()),
            Err(error) => return Err(error.into()),
        };
        let mut connection = Connection::new(stream);
        // A peer that has gone already, or one too many, is closed.
        if connection.serve(answers, buffer) != Ok(Next::Wait) {
            continue;
        }
        let Some(index) = table.free.pop() else { continue };
        let mut source = SourceFd(&connection.stream.as_raw_fd());
        poll.registry().register(&mut source, Token(index), Interest::READABLE | Interest::WRITABLE)?;
        table.connections[index] = Some(connection);
    }
}

fn serve(listener: BorrowedFd<'_>, answers: &Answers) -> io::Result<()> {
    let mut poll = Poll::new()?;
    poll.registry().register(&mut SourceFd(&listener.as_raw_fd()), LISTENER, Interest::READABLE)?;
    let mut events = Events::with_capacity(CONNECTIONS);
    let mut buffer = [0; BUFFER_BYTES];
    let mut table =
        Table { connections: (0..CONNECTIONS).map(|_| None).collect(), free: (0..CONNECTIONS).rev().collect() };
    loop {
        match poll.poll(&mut events, None) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            done => done?,
        }
        for event in &events {
            if event.token() == LISTENER {
                accept(listener, &poll, &mut table, answers, &mut buffer)?;
                continue;
            }
            let index = event.token().0;
            // It is gone where it was closed earlier in this turn.
            let Some(connection) = &mut table.connections[index] else { continue };
            if connection.serve(answers, &mut buffer) != Ok(Next::Wait) {
                table.connections[index] = None;
                table.free.push(index);
            }
        }
    }
}

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let (file, gathered) = match &arguments[..] {
        [file] => (file, false),
        [file, word] if word == "gathered" => (file, true),
        _ => {
            eprintln!("usage: null_server FILE [gathered], with a listening socket as its standard input");
            return ExitCode::from(2);
        }
    };
    let run = || {
        let answer = fs::read(file)?;
        if answer.is_empty() {
            return Err(io::Error::other("the answer is empty"));
        }
        serve(io::stdin().as_fd(), &Answers::new(&answer, gathered))
    };
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("null_server: {error}");
            ExitCode::FAILURE
        }
    }
}
