//! Standard output: the log as the program prints it, and the statistics, in whole lines from whichever thread.
//!
//! It waits for whoever reads, on threads that may wait. What it does not take, on a full disk say, is lost, counted and told.

use super::colours::Colours;
use crate::net::Address;
use crate::server::Latch;
use crate::trace::{Gathered, Level, Logger, Sink};
use rustix::event::{PollFd, PollFlags};
use rustix::io::Errno;
use std::fmt;
use std::io::{self, ErrorKind, IsTerminal, StdoutLock, Write};
use std::sync::Arc;
use std::time::Duration;

/// How much of the log is gathered before it is written.
const WRITE_BYTES: usize = 16 * 1024;
/// How long the statistics wait for somebody to read them.
const PRINT_PATIENCE: Duration = Duration::from_secs(1);

/// The descriptor itself, past the standard library's buffer. Locked, so that a text stays together.
struct Descriptor(StdoutLock<'static>);

impl Descriptor {
    fn lock() -> Self {
        Self(io::stdout().lock())
    }
}

impl Write for Descriptor {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        loop {
            match rustix::io::write(&self.0, bytes) {
                // Another process may have told a terminal or pipe that they share not to wait.
                Err(Errno::AGAIN) => {
                    // Where it fails, the write is tried again all the same.
                    let _ = rustix::event::poll(&mut [PollFd::new(&self.0, PollFlags::OUT)], None);
                }
                written => return Ok(written?),
            }
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Prints, but does not wait for ever where nobody reads: signals are still looked after, and the program still ends.
#[derive(Debug, Default)]
pub(super) struct Printer {
    /// Set once the last text is out, where nobody had read it in time.
    stuck: Option<Arc<Latch<()>>>,
}

impl Printer {
    /// Prints on a thread of its own. While the text before it is not out, there is no other: it would wait behind it.
    pub(super) fn print(&mut self, text: String) {
        if self.stuck.as_ref().is_some_and(|printed| printed.wait(Some(PRINT_PATIENCE)).is_none()) {
            return;
        }
        self.stuck = None;
        let printed = Latch::new();
        let done = Arc::clone(&printed);
        let spawned = std::thread::Builder::new().name("pooled-print".into()).spawn(move || {
            // A reader that is gone is not an error of the server.
            let _ = Descriptor::lock().write_all(text.as_bytes());
            done.set(());
        });
        // Where the system gives no thread, the statistics are not worth the server.
        let Ok(thread) = spawned else { return };
        if printed.wait(Some(PRINT_PATIENCE)).is_some() {
            // Nothing is left of it when the process ends. Its only panic would be ours, and has been told.
            let _ = thread.join();
        } else {
            self.stuck = Some(printed);
        }
    }
}

/// The URL of the server for a browser on this machine; none for a Unix socket, which no browser opens.
pub(super) fn address_to_click(address: &Address) -> Option<String> {
    match address {
        Address::Tcp(socket) if socket.ip().is_unspecified() => Some(format!("http://localhost:{}/", socket.port())),
        Address::Tcp(_) => Some(format!("{}/", address.url())),
        Address::Unix(_) => None,
    }
}

/// The log as the program prints it.
#[derive(Debug)]
pub(super) struct StandardOutput {
    level: Level,
    colours: Colours,
    /// What to click, where a person reads this.
    address: Option<String>,
    gathered: Gathered,
    connection_seen: bool,
    /// How many lines were lost since that was told.
    lost: u64,
}

impl StandardOutput {
    /// What is lost is told there too, where `level` wants warnings.
    pub(super) fn new(level: Level, colours: Colours, address: &Address) -> Self {
        // Whoever reads a pipe gets the lines that they know, and no other.
        let address = address_to_click(address).filter(|_| io::stdout().is_terminal());
        Self { level, colours, address, gathered: Gathered::default(), connection_seen: false, lost: 0 }
    }

    fn put(&mut self, line: fmt::Arguments<'_>) {
        if self.gathered.put(line) > WRITE_BYTES {
            self.flush();
        }
    }
}

impl Sink for StandardOutput {
    fn line(&mut self, level: Level, logger: Logger, text: fmt::Arguments<'_>) {
        let (colours, text) = (self.colours, self.colours.line(text));
        match logger {
            Logger::Server => {
                let name = level.name().to_uppercase();
                self.put(format_args!("{} {text}", colours.mark(level, logger, format_args!("[{name}]"))));
            }
            Logger::Connection(number) => {
                if !self.connection_seen {
                    self.connection_seen = true;
                    self.put(format_args!(""));
                }
                self.put(format_args!("{} {text}", colours.mark(level, logger, format_args!("[CONN {number}]"))));
            }
        }
    }

    fn listening(&mut self) {
        if let Some(address) = self.address.take() {
            let address = self.colours.address(address);
            self.line(Level::Info, Logger::Server, format_args!("Address: {address}"));
        }
    }

    fn access(&mut self, line: fmt::Arguments<'_>) {
        // Without a mark: the formats are those that other programs read.
        self.put(line);
    }

    fn flush(&mut self) {
        match self.gathered.write_to(&mut Descriptor::lock()) {
            Ok(written) if written > 0 && self.lost > 0 && self.level >= Level::Warn => {
                let lost = std::mem::take(&mut self.lost);
                self.line(Level::Warn, Logger::Server, format_args!("{lost} lines lost; now they are written again"));
                self.flush();
            }
            // Whoever has closed the other end has had enough.
            Ok(_) => {}
            Err((_, error)) if error.kind() == ErrorKind::BrokenPipe => {}
            Err((lost, _)) => self.lost += lost,
        }
    }
}

impl Drop for StandardOutput {
    fn drop(&mut self) {
        let lost = self.lost + self.gathered.lines_left();
        if lost > 0 {
            // The one place that is left to tell it.
            let _ = writeln!(io::stderr(), "httpserver: {lost} lines lost: standard output did not take them");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_address_to_click_is_one_that_a_browser_here_reaches() {
        let tcp = |text: &str| address_to_click(&Address::Tcp(text.parse().expect("it is an address")));
        assert_eq!(tcp("0.0.0.0:8080").as_deref(), Some("http://localhost:8080/"));
        assert_eq!(tcp("[::]:80").as_deref(), Some("http://localhost:80/"));
        assert_eq!(tcp("127.0.0.1:8080").as_deref(), Some("http://127.0.0.1:8080/"));
        assert_eq!(tcp("[::1]:8080").as_deref(), Some("http://[::1]:8080/"));
        assert_eq!(address_to_click(&Address::Unix("x".into())), None);
    }
}
