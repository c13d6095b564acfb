//! What becomes of a server whose loop has a fault of ours: it is caught at the thread and reported, and everything is given back.

use super::*;
use crate::canned::Registration;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::mpsc::{Receiver, Sender, channel};
use tempfile::TempDir;

/// How long what must come at once may take, on a busy machine.
const PATIENCE: Duration = Duration::from_secs(10);

/// Hands over every line; that it was dropped shows in the channel's end.
struct Lines(Sender<String>);

impl Sink for Lines {
    fn line(&mut self, level: Level, _: Logger, text: fmt::Arguments<'_>) {
        // Whoever does not listen any more is told nothing.
        let _ = self.0.send(format!("{}: {text}", level.name()));
    }
}

fn created() -> (TempDir, Server) {
    let tree = tempfile::tempdir().expect("a temporary directory");
    std::fs::write(tree.path().join("f"), "content").expect("a file");
    let mut options = Options::new(tree.path().to_str().expect("it is UTF-8"), "127.0.0.1");
    options.set("port", Value::Integer(0)).expect("any port");
    (tree, Server::create(options).expect("loopback can be bound"))
}

fn started() -> (TempDir, Server, Receiver<String>) {
    let (tree, server) = created();
    let (sender, lines) = channel();
    server.start(Box::new(Lines(sender))).expect("the system gives what it needs");
    (tree, server, lines)
}

fn connect(server: &Server) -> TcpStream {
    let Address::Tcp(address) = server.address() else { panic!("it is TCP") };
    let client = TcpStream::connect(address).expect("it listens");
    client.set_read_timeout(Some(PATIENCE)).expect("it is not zero");
    client
}

fn ask(client: &mut TcpStream) {
    client.write_all(b"GET /f HTTP/1.1\r\nHost: a\r\n\r\n").expect("it is connected");
    let mut received = Vec::new();
    while !received.ends_with(b"content") {
        let mut bytes = [0; 512];
        let count = client.read(&mut bytes).expect("an answer comes");
        assert!(count > 0, "the connection ended");
        received.extend_from_slice(&bytes[..count]);
    }
}

#[test]
fn a_panic_of_the_loop_is_reported_and_everything_is_given_back() {
    let (_tree, server, lines) = started();
    let mut clients: Vec<_> = (0..5).map(|_| connect(&server)).collect();
    clients.iter_mut().for_each(ask);
    let weak = {
        let life = lock(&server.life);
        let Life::Running(running) = &*life else { panic!("it runs") };
        running.stop.plant_panic();
        Arc::downgrade(&running.stop)
    };
    let expected = Outcome::Failed("the loop panicked: planted by a test".into());
    assert_eq!(server.wait(Some(PATIENCE)), Some(expected.clone()));
    assert!(!server.is_running());
    for client in &mut clients {
        assert_eq!(client.read(&mut [0; 8]).expect("an end and no reset"), 0);
    }
    let Address::Tcp(address) = server.address() else { panic!("it is TCP") };
    assert!(TcpStream::connect(address).is_err(), "nobody listens any more");
    // The statistics are those of the last turn that was whole.
    let statistics = server.snapshot();
    assert_eq!((statistics.total_requests, statistics.invariant_violations), (5, 0));
    server.stop();
    server.stop();
    assert_eq!(server.wait(Some(Duration::ZERO)), Some(expected));
    // Both threads have ended: the log's has dropped its sink, the loop's its end of the stop.
    let lines: Vec<_> = lines.iter().collect();
    assert!(lines.iter().any(|line| line == "info: Server ready. Press Ctrl+C to stop."), "{lines:?}");
    assert!(weak.upgrade().is_none());
    assert!(matches!(server.start(Box::new(Lines(channel().0))), Err(StartError::State(_))));
}

#[test]
fn another_server_of_the_process_does_not_notice() {
    let (_tree, server, _lines) = started();
    let (_other_tree, other, _other_lines) = started();
    let mut client = connect(&other);
    ask(&mut client);
    if let Life::Running(running) = &*lock(&server.life) {
        running.stop.plant_panic();
    }
    assert!(matches!(server.wait(Some(PATIENCE)), Some(Outcome::Failed(_))));
    ask(&mut client);
    ask(&mut connect(&other));
    other.stop();
    assert_eq!(other.wait(Some(Duration::ZERO)), Some(Outcome::Stopped));
}

/// A sink of the operator's own that panics: the log ends, the server does not.
#[test]
fn a_sink_that_panics_ends_the_log_and_not_the_server() {
    struct Panics;
    impl Sink for Panics {
        fn line(&mut self, _: Level, logger: Logger, _: fmt::Arguments<'_>) {
            assert!(logger == Logger::Server, "a sink's own fault");
        }
    }
    let (_tree, server) = created();
    server.start(Box::new(Panics)).expect("the system gives what it needs");
    let mut client = connect(&server);
    for _ in 0..2000 {
        ask(&mut client);
    }
    let statistics = server.snapshot();
    assert_eq!(statistics.total_requests, 2000);
    assert!(statistics.log_records_dropped > 0, "what nobody takes is counted");
    server.stop();
    assert_eq!(server.wait(Some(Duration::ZERO)), Some(Outcome::Stopped));
}

/// Whoever is there before the loop begins is no exception.
#[test]
fn what_was_asked_before_the_start_holds_for_the_first_request() {
    for _ in 0..10 {
        let (_tree, server) = created();
        let mut registration = Registration::new("/f");
        registration.content = b"registered content".to_vec();
        server.register(registration).expect("it is in order");
        server.keep_requests(1 << 16).expect("it is in range");
        let mut client = connect(&server);
        client.write_all(b"GET /f HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").expect("it is connected");
        server.start(Box::new(Lines(channel().0))).expect("the system gives what it needs");
        let mut answer = String::new();
        client.read_to_string(&mut answer).expect("an answer comes");
        assert!(answer.ends_with("registered content"), "{answer}");
        assert_eq!(server.requests().map(|(requests, _)| requests.len()), Some(1));
        server.stop();
        assert!(server.wait(Some(PATIENCE)).is_some(), "it stops");
    }
}
