//! One loop over real sockets, turn by turn, so that a test says what happens between two of them.

use super::*;
use crate::canned::{Registration, Wait};
use crate::config::{Options, Value};
use crate::connection::State;
use crate::net::{Address, listen};
use crate::trace::{Level, trace};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;

/// How long what must come at once may take, on a busy machine.
const PATIENCE: Duration = Duration::from_secs(10);

fn event_loop(root: &Path, switches: &[&str]) -> (EventLoop, SocketAddr) {
    let mut options = Options::new(root.to_str().expect("it is UTF-8"), "127.0.0.1");
    for switch in switches {
        options.set(switch, Value::Switch(true)).expect("it is a switch");
    }
    let config = options.config().expect("the options agree");
    let (listener, address) = listen("127.0.0.1", 0).expect("loopback can be bound");
    let Address::Tcp(address) = address else { panic!("it is TCP") };
    let root = Root::open(&config.docroot).expect("it is a directory");
    let (tracer, ..) = trace(Level::Off);
    let (event_loop, _) = EventLoop::new(&config, listener, root, Arc::default(), tracer).expect("the system gives it");
    (event_loop, address)
}

/// One turn with what has happened until now.
fn turn(event_loop: &mut EventLoop) {
    event_loop.poll.poll(&mut event_loop.events, Some(Duration::ZERO)).expect("nothing interrupts it");
    assert!(event_loop.turn(), "nobody stops it");
}

/// Turns until something holds.
fn turn_until(event_loop: &mut EventLoop, what: &str, holds: impl Fn(&EventLoop) -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !holds(event_loop) {
        assert!(Instant::now() < deadline, "never: {what}");
        turn(event_loop);
    }
}

/// Closes with a reset.
fn reset(socket: TcpStream) {
    rustix::net::sockopt::set_socket_linger(&socket, Some(Duration::ZERO)).expect("it is a socket");
}

/// A listing that looks at a long directory has nothing to send and takes nothing in: only the event tells of the reset.
#[test]
fn a_reset_is_noticed_while_a_listing_waits() {
    let tree = tempfile::tempdir().expect("a temporary directory");
    for number in 0..600 {
        std::fs::write(tree.path().join(format!("{number:0240}")), "").expect("a file");
    }
    let (mut event_loop, address) = event_loop(tree.path(), &["listing"]);
    let mut client = TcpStream::connect(address).expect("it listens");
    client.write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").expect("it is connected");
    turn_until(&mut event_loop, "a listing that has sent its beginning", |event_loop| {
        event_loop.table.counters().bytes_sent.get() > 0
    });
    client.set_read_timeout(Some(PATIENCE)).expect("it is not zero");
    let mut beginning = [0; 12];
    client.read_exact(&mut beginning).expect("it was sent");
    assert_eq!(&beginning, b"HTTP/1.1 200");
    let sent = event_loop.table.counters().bytes_sent.get();
    reset(client);
    // One turn takes a block of the directory, which has ten of them or more, and has nothing to send meanwhile.
    turn(&mut event_loop);
    assert_eq!(event_loop.table.counters().bytes_sent.get(), sent, "it still looks at the directory");
    assert_eq!(event_loop.table.active(), 0);
    assert_eq!(event_loop.table.counters().invariant_violations.get(), 0);
}

/// One that has half-closed and is reset before the loop has seen either: reading tells of the end, and of nothing more.
#[test]
fn a_reset_behind_the_end_is_noticed_while_an_answer_waits() {
    let tree = tempfile::tempdir().expect("a temporary directory");
    let (mut event_loop, address) = event_loop(tree.path(), &[]);
    let mut registration = Registration::new("/late");
    registration.pace.delay = Wait::For(u64::MAX / 4);
    let canned = Arc::new(registration.check(1000).expect("it is in order"));
    event_loop.begin_with(Box::new(CannedAnswers::new(&[canned])), None);
    let mut client = TcpStream::connect(address).expect("it listens");
    client.write_all(b"GET /late HTTP/1.1\r\nHost: a\r\n\r\n").expect("it is connected");
    turn_until(&mut event_loop, "an answer that waits", |event_loop| {
        event_loop.table.state(0) == State::Processing && event_loop.ready.is_empty()
    });
    client.shutdown(std::net::Shutdown::Write).expect("it is connected");
    reset(client);
    turn(&mut event_loop);
    assert_eq!(event_loop.table.active(), 0);
    assert_eq!(event_loop.table.counters().invariant_violations.get(), 0);
}

/// The process slept from before a deadline until after it, and bytes came meanwhile; so did a turn that no wait preceded.
#[test]
fn a_deadline_waits_for_what_came_before_it() {
    let tree = tempfile::tempdir().expect("a temporary directory");
    std::fs::write(tree.path().join("f"), "content").expect("a file");
    let (mut event_loop, address) = event_loop(tree.path(), &[]);
    let mut client = TcpStream::connect(address).expect("it listens");
    client.write_all(b"GET /f HTTP/1.1\r\n").expect("it is connected");
    turn_until(&mut event_loop, "half a request", |event_loop| {
        event_loop.table.active() == 1 && event_loop.ready.is_empty()
    });
    client.write_all(b"Host: a\r\n\r\n").expect("it is connected");
    // As long ago as the limit is, and a second more.
    let limit = event_loop.table.next_due().expect("a head is awaited").0 + 1_000_000_000;
    event_loop.started -= Duration::from_nanos(limit);
    event_loop.events.clear();
    assert!(event_loop.turn(), "nobody stops it");
    assert_eq!(event_loop.table.active(), 1, "nothing is known of what came since the last wait");
    let timeout = event_loop.wait_time();
    assert_eq!(timeout, Some(Duration::ZERO));
    event_loop.poll.poll(&mut event_loop.events, timeout).expect("nothing interrupts it");
    assert!(event_loop.turn(), "nobody stops it");
    let mut beginning = [0; 12];
    client.set_read_timeout(Some(PATIENCE)).expect("it is not zero");
    client.read_exact(&mut beginning).expect("it was sent");
    assert_eq!(&beginning, b"HTTP/1.1 200");
    // And where nothing came, the deadline passes.
    event_loop.started -= Duration::from_nanos(limit);
    let timeout = event_loop.wait_time();
    event_loop.poll.poll(&mut event_loop.events, timeout).expect("nothing interrupts it");
    assert!(event_loop.turn(), "nobody stops it");
    assert_eq!(event_loop.table.active(), 0);
}

/// Whoever counts the connections that somebody forgot to close must not count those who have closed theirs a moment before,
/// however much they had sent.
#[test]
fn an_order_is_obeyed_once_what_came_before_it_is_known() {
    const CONTENT: usize = 250_000;
    let tree = tempfile::tempdir().expect("a temporary directory");
    let (mut event_loop, address) = event_loop(tree.path(), &[]);
    let mut client = TcpStream::connect(address).expect("it listens");
    let head = format!("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: {CONTENT}\r\n\r\n");
    client.write_all(&[head.as_bytes(), &[b'x'; CONTENT]].concat()).expect("the kernel keeps it");
    client.shutdown(std::net::Shutdown::Write).expect("it is connected");
    let stop = Arc::clone(&event_loop.stop);
    let asker = std::thread::spawn(move || stop.order(Order::Survey(9)));
    let deadline = Instant::now() + PATIENCE;
    while !asker.is_finished() {
        assert!(Instant::now() < deadline, "nobody obeys");
        turn(&mut event_loop);
    }
    assert!(matches!(asker.join(), Ok(Some(Order::Survey(0)))), "its end had come before");
    assert_eq!(event_loop.table.counters().bytes_received.get(), (head.len() + CONTENT) as u64);
}
