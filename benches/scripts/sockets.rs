//! The event loop itself, with one client over the loopback interface that sends its next request when it has the
//! answer.
//!
//! The file is opened for each answer: valgrind 3.19 has no openat2, without which nothing is kept in memory.

use crate::heads::SMALL;
use crate::measured_part;
use pooled_httpd::config::{Options, Value};
use pooled_httpd::file::Root;
use pooled_httpd::net::{Address, EventLoop, listen};
use pooled_httpd::stats::Counters;
use pooled_httpd::trace::{Level, trace};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use std::{fs, thread};

/// A directory with a file to serve; gone when this is.
struct Directory(PathBuf);

impl Directory {
    fn new(content: usize) -> Self {
        let path = std::env::temp_dir().join(format!("pooled_httpd-instructions-{}", std::process::id()));
        fs::create_dir(&path).expect("there is no such directory yet");
        fs::write(path.join("index.html"), vec![b'x'; content]).expect("it can be written");
        Self(path)
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        // Nothing depends on it.
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Serves so many requests for a file of that length and returns their number.
pub fn run(requests: u64, content: usize) -> u64 {
    let directory = Directory::new(content);
    let docroot = directory.0.to_str().expect("the name is ASCII");
    let mut options = Options::new(docroot, "127.0.0.1");
    for name in ["port", "cache_size"] {
        options.set(name, Value::Integer(0)).expect("it may be 0");
    }
    let config = options.config().expect("the options agree");
    let (listener, address) = listen(&config.host, config.port).expect("there is a free port");
    let Address::Tcp(address) = address else { panic!("it listens on a TCP port") };
    let (tracer, _log, _) = trace(Level::Error);
    let counters = Arc::<Counters>::default();
    let root = Root::open(&config.docroot).expect("the directory is there");
    let (mut event_loop, stop) =
        EventLoop::new(&config, listener, root, Arc::clone(&counters), tracer).expect("there are descriptors");
    let client = thread::spawn(move || {
        talk(address, requests, content);
        stop.stop();
    });
    let mut outcome = Ok(());
    measured_part(&mut || outcome = event_loop.run());
    outcome.expect("the event queue works");
    client.join().expect("the client got what it asked for");
    let numbers = counters.snapshot();
    assert_eq!(numbers.total_requests, requests);
    assert_eq!(numbers.file_cache_misses, requests, "the file is opened each time");
    requests
}

fn talk(address: SocketAddr, requests: u64, content: usize) {
    let mut stream = TcpStream::connect(address).expect("it listens");
    stream.set_read_timeout(Some(Duration::from_secs(60))).expect("it is a socket");
    let mut answer = vec![0; 4096];
    for _ in 0..requests {
        stream.write_all(SMALL).expect("it reads");
        let mut filled = 0;
        let end = loop {
            filled += stream.read(&mut answer[filled..]).expect("it answers in time");
            let head = answer[..filled].windows(4).position(|bytes| bytes == b"\r\n\r\n");
            if let Some(end) = head.filter(|end| filled >= end + 4 + content) {
                break end + 4 + content;
            }
        };
        assert!(filled == end && answer.starts_with(b"HTTP/1.1 200 "), "the answer is the file");
    }
}
