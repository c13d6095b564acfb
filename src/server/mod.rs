//! A server's life: created (bound, not serving), running, stopped. Operators' mistakes end here, as errors at start.
//!
//! The loop runs on a thread of its own, so that its heap calls can be counted and nothing else can stall it; another thread reads
//! the log ring.

mod access;
mod descriptors;
mod error;
mod latch;
mod listening;
mod looking;
mod memory;
mod orders;
mod slow_close;
#[cfg(test)]
mod tests;

pub(crate) use descriptors::needed as descriptors_needed;
pub use error::StartError;
pub(crate) use latch::Latch;
pub use memory::MemoryPlan;

use crate::config::{Config, Options, Value};
use crate::file::Root;
use crate::net::{Address, EventLoop, Listener, Stop};
use crate::stats::{Counters, Snapshot};
use crate::trace::{Level, Logger, Sink, Story, TraceControl, trace_with_access};
use access::NamedFile;
use latch::lock;
use nix::sys::signal::SigSet;
use orders::Asked;
use rustix::fd::RawFd;
use std::cell::Cell;
use std::fmt;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

/// How long a stop waits for the log's reader to hand over what is left: a sink that blocks for ever must not block the stop.
const LOG_GRACE: Duration = Duration::from_secs(1);

thread_local! {
    /// Whether this thread runs a server's sink: what that calls must not wait for the thread's own progress.
    static IN_SINK: Cell<bool> = const { Cell::new(false) };
}

/// As long as it lives, a stop on this thread only asks.
struct Unwaiting;

impl Unwaiting {
    fn begin() -> Self {
        IN_SINK.set(true);
        Self
    }
}

impl Drop for Unwaiting {
    fn drop(&mut self) {
        IN_SINK.set(false);
    }
}

/// How the loop ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It was told to.
    Stopped,
    /// It failed: a fault of ours or of the system.
    Failed(String),
}

#[derive(Debug)]
struct Running {
    stop: Arc<Stop>,
    loop_thread: thread::JoinHandle<()>,
    /// Set when all that is left to the loop's thread is to close this descriptor.
    loop_ended: Arc<Latch<Option<RawFd>>>,
    log_thread: thread::JoinHandle<()>,
    log_ended: Arc<Latch<()>>,
    log_control: Arc<TraceControl>,
}

/// What a server has from its creation on.
#[derive(Debug)]
struct Prepared {
    root: Root,
    access_file: Option<NamedFile>,
    listener: Listener,
}

#[derive(Debug)]
enum Life {
    Created(Box<Prepared>),
    /// Being started, outside the lock: what is told meanwhile may call back into this server.
    Starting {
        stop_wanted: bool,
    },
    Running(Running),
    Stopped,
}

/// A server.
#[derive(Debug)]
pub struct Server {
    options: Mutex<Options>,
    address: Address,
    /// A drain was asked for, perhaps before there was a loop to ask.
    drain_wanted: AtomicBool,
    counters: Arc<Counters>,
    life: Mutex<Life>,
    /// How the loop ended, and when.
    outcome: Arc<Latch<(Outcome, Instant)>>,
    joined: Arc<Latch<()>>,
    started: Mutex<Option<Instant>>,
    /// Set until the log's thread has opened the file of the access log anew.
    reopen_access_log: Arc<AtomicBool>,
    /// What is asked of it besides its options.
    asked: Mutex<Asked>,
    story: Arc<Story>,
}

impl Server {
    /// Validates the options, opens the document root, binds the address and opens the access log. Nothing is served yet.
    ///
    /// # Errors
    /// The first thing that is wrong.
    pub fn create(options: Options) -> Result<Self, StartError> {
        let config = options.config()?;
        listening::examine(&config)?;
        let root = Root::open(&config.docroot).map_err(|error| StartError::Root(config.docroot.clone(), error))?;
        let bound = listening::bind(&config)?;
        let reopen_access_log = Arc::default();
        let access_file = access::open_file(&config, None, &reopen_access_log)?;
        // Last: what was handed over is taken only where nothing else is wrong.
        let (listener, address) = bound.map_or_else(|| listening::take_over(&config), Ok)?;
        if config.deferred {
            listener.defer_accept().map_err(StartError::System)?;
        }
        Ok(Self {
            options: Mutex::new(options),
            address,
            drain_wanted: AtomicBool::new(false),
            counters: Arc::default(),
            life: Mutex::new(Life::Created(Box::new(Prepared { root, access_file, listener }))),
            outcome: Latch::new(),
            joined: Latch::new(),
            started: Mutex::new(None),
            reopen_access_log,
            asked: Mutex::default(),
            story: Arc::default(),
        })
    }

    /// Where its story is kept, where that is wanted: for a [`crate::trace::KeepingSink`].
    #[must_use]
    pub fn kept_story(&self) -> Arc<Story> {
        Arc::clone(&self.story)
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> &Address {
        &self.address
    }

    /// Changes an option that is not yet in use.
    ///
    /// # Errors
    /// The option does not take the value, or the server has been started.
    pub fn set_option(&self, name: &str, value: Value) -> Result<(), StartError> {
        // Held until the option is written: a start that comes meanwhile sees it.
        let life = lock(&self.life);
        if !matches!(*life, Life::Created(_)) {
            return Err(StartError::State("options can be set only before the server runs"));
        }
        let mut options = lock(&self.options);
        let mut changed = options.clone();
        changed.set(name, value)?;
        changed.config()?;
        *options = changed;
        Ok(())
    }

    /// Takes all memory, starts the threads and returns once connections are accepted.
    ///
    /// # Errors
    /// The server has been started before, or the system refused what it needs.
    pub fn start(&self, sink: Box<dyn Sink>) -> Result<(), StartError> {
        let prepared = {
            let mut life = lock(&self.life);
            match std::mem::replace(&mut *life, Life::Starting { stop_wanted: false }) {
                Life::Created(prepared) => prepared,
                other => {
                    let runs = matches!(other, Life::Starting { .. } | Life::Running(_));
                    *life = other;
                    return Err(StartError::State(if runs {
                        "the server has been started already, and runs: nothing else has to start it"
                    } else {
                        "the server has been started already, and has ended; create another one"
                    }));
                }
            }
        };
        let attempt = catch_unwind(AssertUnwindSafe(|| self.start_threads(*prepared, sink)));
        let started = attempt.unwrap_or_else(|panic| {
            let message = format!("starting panicked: {}", panic_text(panic.as_ref()));
            Err(StartError::System(io::Error::other(message)))
        });
        let mut life = lock(&self.life);
        let stop_wanted = matches!(*life, Life::Starting { stop_wanted: true });
        match started {
            Ok(running) => {
                if stop_wanted {
                    running.stop.stop();
                }
                if self.drain_wanted.load(Ordering::Acquire) {
                    running.stop.drain();
                }
                *life = Life::Running(running);
                drop(life);
                self.tell_asked();
                Ok(())
            }
            Err(error) => {
                *life = Life::Stopped;
                self.outcome.set((Outcome::Failed(error.to_string()), Instant::now()));
                self.joined.set(());
                Err(error)
            }
        }
    }

    fn start_threads(&self, prepared: Prepared, mut sink: Box<dyn Sink>) -> Result<Running, StartError> {
        let Prepared { root, access_file, listener } = prepared;
        let config = lock(&self.options).config()?;
        MemoryPlan::of(&config).probe(&config).map_err(StartError::Memory)?;
        let access_file = access::open_file(&config, access_file, &self.reopen_access_log)?;
        let level = sink.level().unwrap_or(config.log_level);
        let (tracer, mut drain, log_control) = trace_with_access(level, config.access_log);
        if let Some(access_file) = access_file {
            drain.write_access_to(access_file.into_file());
        }
        // What is told here may call back, and must not wait for what only this thread can bring about.
        let told = Unwaiting::begin();
        if level >= Level::Info {
            sink.line(Level::Info, Logger::Server, format_args!("Initializing memory pools..."));
            // Seen, whether or not what it says succeeds.
            sink.flush();
        }
        let (mut event_loop, stop) =
            EventLoop::new(&config, listener, root, Arc::clone(&self.counters), tracer).map_err(StartError::System)?;
        if self.drain_wanted.load(Ordering::Acquire) {
            stop.drain();
        }
        self.tell_start(&config, level, sink.as_mut());
        sink.flush();
        drop(told);
        let shown_root = shown_root(&config.docroot);
        let log_ended = Latch::new();
        let ended = Arc::clone(&log_ended);
        MemoryPlan::probe_for_threads().map_err(StartError::Memory)?;
        let log_thread = spawn("pooled-log", move || {
            let _unwaiting = Unwaiting::begin();
            // A sink that panics ends the log, not the server.
            let _ = catch_unwind(AssertUnwindSafe(|| drain.run(sink.as_mut(), &shown_root)));
            drop(sink);
            ended.set(());
        })?;
        event_loop.set_log_reader(log_thread.thread().clone());
        let (answers, capture) = self.asked_before();
        event_loop.begin_with(answers, capture);
        let (counters, outcome) = (Arc::clone(&self.counters), Arc::clone(&self.outcome));
        let loop_ended = Latch::new();
        let closing = Arc::clone(&loop_ended);
        let spawned = spawn("pooled-loop", move || {
            let result = catch_unwind(AssertUnwindSafe(|| event_loop.run()));
            let slow_descriptor = event_loop.give_up_memory();
            // Descriptors, memory and the log's writing side go before anybody hears of the end.
            drop(event_loop);
            counters.end_turn();
            let how = match result {
                Ok(Ok(())) => Outcome::Stopped,
                Ok(Err(error)) => Outcome::Failed(format!("the event queue failed: {error}")),
                Err(panic) => Outcome::Failed(format!("the loop panicked: {}", panic_text(panic.as_ref()))),
            };
            outcome.set((how, Instant::now()));
            slow_close::close(slow_descriptor, &closing);
        });
        let loop_thread = match spawned {
            Ok(thread) => thread,
            Err(error) => {
                // The loop went with its thread, and the log ends with the loop.
                let _ = log_thread.join();
                return Err(error);
            }
        };
        // It need not run yet: the system takes in whoever connects, and what is asked of the loop waits for it.
        *lock(&self.started) = Some(Instant::now());
        Ok(Running { stop, loop_thread, loop_ended, log_thread, log_ended, log_control })
    }

    /// The lines before "Server ready".
    fn tell_start(&self, config: &Config, level: Level, sink: &mut dyn Sink) {
        if level < Level::Info {
            return;
        }
        let mut tell = |text: fmt::Arguments<'_>| sink.line(Level::Info, Logger::Server, text);
        let plan = MemoryPlan::of(config);
        let pools = config.limits.max_connections * config.limits.pool_size;
        tell(format_args!(
            "Created {} connection pools ({} bytes each)",
            config.limits.max_connections, config.limits.pool_size
        ));
        tell(format_args!("Total pre-allocated memory: {} KB", pools / 1024));
        tell(format_args!("{plan}"));
        if let Some(warning) = descriptors::warning(config.limits.max_connections) {
            tell(format_args!("{warning}"));
        }
        tell(format_args!("Listening on {}", self.address));
        sink.listening();
        let absolute = Path::new(&config.docroot).canonicalize().unwrap_or_else(|_| config.docroot.clone().into());
        sink.line(Level::Info, Logger::Server, format_args!("Document root: {}", absolute.display()));
    }

    /// Asks the server to drain and returns at once, for a balancer that is to send its requests elsewhere: its health is 503, and
    /// every connection ends with its next response; idle ones stay and newcomers are served until the stop. Safe from any thread,
    /// idempotent, and remembered where the server does not run yet.
    pub fn drain(&self) {
        self.drain_wanted.store(true, Ordering::Release);
        // Whoever is starting the server looks for the wish once more under this lock.
        if let Life::Running(running) = &*lock(&self.life) {
            running.stop.drain();
        }
    }

    /// Asks the server to stop and returns at once. Safe from any thread.
    pub fn request_stop(&self) {
        if let Some(stop) = self.stop_handle() {
            stop.stop();
        }
    }

    /// Asks the server to stop without regard to responses under way, and returns at once.
    pub fn request_abort(&self) {
        if let Some(stop) = self.stop_handle() {
            stop.abort();
        }
    }

    /// How to ask; none where nothing runs. A server that was never started is stopped by this.
    fn stop_handle(&self) -> Option<Arc<Stop>> {
        let mut life = lock(&self.life);
        match &*life {
            Life::Running(running) => return Some(Arc::clone(&running.stop)),
            Life::Created(_) => {
                // Dropped with its listener, which ends listening.
                *life = Life::Stopped;
                self.outcome.set((Outcome::Stopped, Instant::now()));
                self.joined.set(());
            }
            Life::Starting { .. } => *life = Life::Starting { stop_wanted: true },
            Life::Stopped => {}
        }
        None
    }

    /// Stops the server and returns when its threads have ended and everything is given back. Idempotent.
    ///
    /// Called from a sink (a logging handler may do so), it only asks.
    pub fn stop(&self) {
        self.request_stop();
        if IN_SINK.get() {
            return;
        }
        self.wait(None);
        self.join();
    }

    /// Waits until the loop has ended, for `limit` at most where one is given.
    pub fn wait(&self, limit: Option<Duration>) -> Option<Outcome> {
        self.outcome.wait(limit).map(|(outcome, _)| outcome)
    }

    /// Joins the threads, or waits for whoever is joining them.
    fn join(&self) {
        let taken = loop {
            let mut life = lock(&self.life);
            match std::mem::replace(&mut *life, Life::Stopped) {
                Life::Running(running) => break Some(running),
                // The loop failed before its start was over.
                starting @ Life::Starting { .. } => *life = starting,
                Life::Created(_) | Life::Stopped => break None,
            }
            drop(life);
            thread::sleep(Duration::from_millis(1));
        };
        if let Some(running) = taken {
            slow_close::join(running.loop_thread, &running.loop_ended);
            if running.log_ended.wait(Some(LOG_GRACE)).is_some() {
                let _ = running.log_thread.join();
            }
            self.joined.set(());
        }
        self.joined.wait(None);
    }

    /// Whether it has neither been started nor stopped.
    #[must_use]
    pub fn is_created(&self) -> bool {
        matches!(*lock(&self.life), Life::Created(_))
    }

    /// Whether connections are being accepted or served.
    #[must_use]
    pub fn is_running(&self) -> bool {
        matches!(*lock(&self.life), Life::Running(_)) && lock(&self.outcome.value).is_none()
    }

    /// A consistent copy of the statistics.
    #[must_use]
    pub fn snapshot(&self) -> Snapshot {
        self.counters.snapshot()
    }

    /// How long the server has been running, or had when it stopped; zero before it runs.
    #[must_use]
    pub fn uptime(&self) -> Duration {
        let end = self.outcome.wait(Some(Duration::ZERO)).map_or_else(Instant::now, |(_, end)| end);
        lock(&self.started).map_or(Duration::ZERO, |started| end.saturating_duration_since(started))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.request_abort();
        self.stop();
    }
}

/// Starts a thread that no signal interrupts. SIGPIPE is among them: sendfile has no flag against it.
fn spawn(name: &str, run: impl FnOnce() + Send + 'static) -> Result<thread::JoinHandle<()>, StartError> {
    let system = |errno: nix::errno::Errno| StartError::System(errno.into());
    let before = SigSet::thread_get_mask().map_err(system)?;
    SigSet::all().thread_block().map_err(system)?;
    let thread = thread::Builder::new().name(name.into()).spawn(run);
    before.thread_set_mask().map_err(system)?;
    thread.map_err(StartError::Thread)
}

fn panic_text(panic: &(dyn std::any::Any + Send)) -> &str {
    panic
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("no reason given")
}

/// The document root as the operator wrote it, ready to have a slash and a name after it.
fn shown_root(docroot: &str) -> String {
    docroot.trim_end_matches('/').into()
}
