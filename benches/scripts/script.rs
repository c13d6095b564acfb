//! The scripts: what is sent, how, and what must come back.

use crate::exchange::Exchange;
use crate::heads::{BROWSER, SMALL};
use crate::measured_part;
use crate::requests::{MALFORMED, chunked_content, small_with};
use crate::sockets;
use pooled_httpd::trace::{AccessFormat, Drain, Level, Logger, Sink};
use std::fmt::{self, Write};

/// How many times a script's turns are repeated on one table, at most: the log's ring holds the records of so many
/// requests.
const CYCLES: usize = 200;
/// How many requests a script has at least; each table has some of them.
const REQUESTS: u64 = 2000;
/// The length of the file.
const CONTENT: usize = 1200;

/// What the log tells, and what of it is counted.
#[derive(Clone, Copy)]
enum Log {
    Off,
    /// The story, as the loop writes it; and as the other side reads it.
    Story,
    StoryRead,
    Access,
}

/// Requests through the connection table.
pub struct InMemory {
    /// The bytes of each turn.
    turns: Vec<Vec<u8>>,
    /// Whether the client closes the connection after each turn.
    closes: bool,
    log: Log,
    /// How every answer begins, and how many there are.
    status: &'static str,
    answers: u64,
}

/// A script.
pub enum Script {
    InMemory(InMemory),
    Sockets,
}

/// Every script by its name.
pub fn all() -> Vec<(&'static str, Script)> {
    let kept = |turns: Vec<Vec<u8>>, status, answers| InMemory { turns, closes: false, log: Log::Off, status, answers };
    let small = |log| InMemory { log, ..kept(vec![SMALL.to_vec()], "200", 1) };
    let bytewise = |bytes: &[u8]| bytes.iter().map(|&byte| vec![byte]).collect();
    let malformed: Vec<_> = MALFORMED.iter().map(|head| head.to_vec()).collect();
    let absent = b"GET /missing.html HTTP/1.1\r\nHost: 127.0.0.1:8080\r\n\r\n".to_vec();
    let since = small_with("If-Modified-Since: Sat, 22 Jul 2023 04:26:40 GMT");
    let in_memory = [
        ("kept_alive", small(Log::Off)),
        ("pipelined", kept(vec![SMALL.repeat(16)], "200", 16)),
        ("close", InMemory { closes: true, ..kept(vec![small_with("Connection: close")], "200", 1) }),
        ("browser", kept(vec![BROWSER.to_vec()], "200", 1)),
        ("bytewise", kept(bytewise(SMALL), "200", 1)),
        ("not_found", kept(vec![absent], "404", 1)),
        ("not_modified", kept(vec![since], "304", 1)),
        ("range", kept(vec![small_with("Range: bytes=100-299")], "206", 1)),
        ("content", kept(vec![chunked_content()], "405", 1)),
        ("refused", InMemory { closes: true, ..kept(malformed, "400", MALFORMED.len() as u64) }),
        ("story", small(Log::Story)),
        ("story_read", small(Log::StoryRead)),
        ("access_log", small(Log::Access)),
    ];
    let mut scripts: Vec<_> = in_memory.into_iter().map(|(name, script)| (name, Script::InMemory(script))).collect();
    scripts.push(("sockets", Script::Sockets));
    scripts
}

impl Script {
    /// Carries it out and returns how many requests were measured.
    pub fn run(&self) -> u64 {
        match self {
            Self::InMemory(script) => script.run(),
            Self::Sockets => sockets::run(REQUESTS, CONTENT),
        }
    }
}

impl InMemory {
    fn run(&self) -> u64 {
        let bytes_per_cycle = self.try_out();
        let mut requests = 0;
        while requests < REQUESTS {
            requests += self.run_table(bytes_per_cycle);
        }
        requests
    }

    fn exchange(&self) -> (Exchange, Drain) {
        let (level, access_log) = match self.log {
            Log::Off => (Level::Error, None),
            Log::Story | Log::StoryRead => (Level::Debug, None),
            Log::Access => (Level::Error, Some(AccessFormat::Combined)),
        };
        Exchange::new(level, access_log, vec![b'x'; CONTENT])
    }

    fn cycle(&self, exchange: &mut Exchange) {
        for turn in &self.turns {
            exchange.turn(turn);
            if self.closes {
                exchange.close();
            }
        }
    }

    /// Looks at what one cycle is answered. Returns its length in bytes.
    fn try_out(&self) -> usize {
        let (mut exchange, _log) = self.exchange();
        self.cycle(&mut exchange);
        let stream = exchange.kept.take().unwrap_or_default();
        let stream = String::from_utf8(stream).expect("heads are ASCII, and the file is too");
        let begins = |answer: &&str| answer.starts_with(self.status);
        let answers = stream.split("HTTP/1.1 ").skip(1).filter(begins).count();
        assert_eq!(answers as u64, self.answers, "answers with {}: {stream}", self.status);
        assert_eq!(exchange.answered(), self.answers, "answers");
        assert_eq!(exchange.is_open(), !self.closes, "whether the connection persists");
        stream.len()
    }

    /// Measures some cycles on one table. Returns the number of requests.
    fn run_table(&self, bytes_per_cycle: usize) -> u64 {
        let (mut exchange, log) = self.exchange();
        exchange.kept = None;
        // The connection is there before anything is measured.
        self.cycle(&mut exchange);
        let mut cycles = || (0..CYCLES).for_each(|_| self.cycle(&mut exchange));
        if matches!(self.log, Log::StoryRead) {
            cycles()
        } else {
            measured_part(&mut cycles)
        }
        assert_eq!(exchange.sent, (CYCLES + 1) * bytes_per_cycle, "each cycle is answered like the first");
        assert!(exchange.has_whole_log(), "the log's ring is too short");
        drop(exchange);
        if matches!(self.log, Log::StoryRead) {
            read(log);
        }
        CYCLES as u64 * self.answers
    }
}

/// The log's lines, one after the other.
struct Lines(String);

impl Sink for Lines {
    fn line(&mut self, _: Level, _: Logger, text: fmt::Arguments<'_>) {
        self.0.clear();
        self.0.write_fmt(text).expect("there is memory");
    }
}

fn read(log: Drain) {
    let mut log = Some(log);
    let mut lines = Lines(String::with_capacity(1000));
    measured_part(&mut || {
        if let Some(log) = log.take() {
            log.run(&mut lines, "www");
        }
    });
}
