//! The command line: the same for the program `httpserver` and for `python -m pooled_httpd`.

mod advice;
mod arguments;
mod browser;
mod colours;
mod command;
mod completions;
mod environment;
mod holder;
mod output;
mod passed;

use crate::config::Options;
use crate::server::{Outcome, Server, StartError};
use crate::trace::{Level, Logger, Sink};
use arguments::{Asked, Request};
use colours::Colours;
use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use output::{Printer, StandardOutput};
use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::process::{Resource, getrlimit, setrlimit};
use std::ffi::OsString;
use std::io::{ErrorKind, Write};
use std::time::Duration;

/// The exit status of a successful run.
pub const EXIT_OK: u8 = 0;
/// The exit status where the server cannot start or fails.
pub const EXIT_FAILURE: u8 = 1;
/// The exit status of a wrong command line.
pub const EXIT_USAGE: u8 = 2;

/// How often the waiting thread looks whether the server has failed.
const LOOK: Timespec = Timespec { tv_sec: 0, tv_nsec: 200_000_000 };
/// The same once it has been asked to stop.
const LOOK_OFTEN: Timespec = Timespec { tv_sec: 0, tv_nsec: 2_000_000 };

/// Runs the command line and returns its exit status, with which the process is to end: the signals that it handles stay blocked.
/// `arguments` begin with the program's name.
pub fn run(arguments: impl IntoIterator<Item = OsString>) -> u8 {
    let mut request = match arguments::parse(arguments, std::env::vars_os()) {
        Ok(Asked::Serve(request)) => request,
        Ok(Asked::Complete(shell)) => {
            let mut stdout = std::io::stdout().lock();
            return exit_status(stdout.write_all(&completions::script(shell)).and_then(|()| stdout.flush()));
        }
        Err(error) if error.use_stderr() => {
            // Nothing better can be done where the terminal is gone.
            let _ = error.print();
            return EXIT_USAGE;
        }
        Err(help) => return exit_status(help.print().and_then(|()| std::io::stdout().flush())),
    };
    let taken = passed::take(&mut request.options).map_err(StartError::Option);
    let config = request.options.config();
    let served = taken.and_then(|told| {
        request.warnings.extend(told);
        serve(*request)
    });
    match served {
        Ok(Outcome::Stopped) => EXIT_OK,
        Ok(Outcome::Failed(message)) => {
            fail(&message, None);
            EXIT_FAILURE
        }
        Err(error) => {
            fail(&error.to_string(), config.ok().and_then(|config| advice::advice(&error, &config)));
            if matches!(error, StartError::Option(_)) { EXIT_USAGE } else { EXIT_FAILURE }
        }
    }
}

/// The exit status of a command that only tells something: a failure where that could not be written. Whoever reads only some
/// of it has had enough.
fn exit_status(written: std::io::Result<()>) -> u8 {
    match written {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => {
            fail(&format!("cannot write to standard output: {error}"), None);
            EXIT_FAILURE
        }
        _ => EXIT_OK,
    }
}

/// Tells what went wrong, and what to do about it. Where standard error is gone, nothing better can be done.
fn fail(message: &str, tip: Option<String>) {
    let colours = Colours::of_stderr();
    let tip = tip.map_or_else(String::new, |tip| format!("  {} {tip}\n", colours.tip("tip:")));
    let _ = write!(std::io::stderr().lock(), "{} {message}\n{tip}", colours.error("httpserver:"));
}

fn serve(request: Request) -> Result<Outcome, StartError> {
    let system = |errno: nix::errno::Errno| StartError::System(errno.into());
    let mut signals = vec![Signal::SIGINT, Signal::SIGTERM, Signal::SIGUSR1, Signal::SIGUSR2];
    let config = request.options.config()?;
    let logs_to_file = config.access_log.is_some() && config.access_log_file.is_some();
    if logs_to_file || !ignores_hangup() {
        signals.push(Signal::SIGHUP);
    }
    // Blocked before any thread starts, so that they are read here and nowhere else. They stay so: one more that comes while the
    // process ends must not change how it ended. SIGXFSZ is read nowhere: a file that may not grow is an error of its write.
    signals.iter().copied().chain([Signal::SIGXFSZ]).collect::<SigSet>().thread_block().map_err(system)?;
    serve_with_signals(request, &signals, logs_to_file)
}

/// Whether whoever started the program wants it to outlive its terminal, as nohup does. A signal that is blocked is read
/// though it is ignored, so this must be known.
fn ignores_hangup() -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let ignored = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let ignored = ignored.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or(0);
    ignored & (1 << (Signal::SIGHUP as u32 - 1)) != 0
}

fn serve_with_signals(request: Request, signals: &[Signal], logs_to_file: bool) -> Result<Outcome, StartError> {
    // A reader for each: one for all would give out the lowest number first, and a storm of it would hide the others.
    let reader = |signal: &Signal| {
        let signals = SigSet::from_iter([*signal]);
        Ok((*signal, SignalFd::with_flags(&signals, SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK)?))
    };
    let readers: Result<Vec<_>, nix::errno::Errno> = signals.iter().map(reader).collect();
    let readers = readers.map_err(|errno| StartError::System(errno.into()))?;
    raise_descriptor_limit();
    let Request { options, open, warnings } = request;
    let server = start(options, &warnings)?;
    if open {
        match output::address_to_click(server.address()) {
            Some(address) => browser::show(address),
            None => fail("--open: no browser opens a Unix socket, and one was passed", None),
        }
    }
    Ok(watch(&server, &readers, logs_to_file))
}

/// Starts a server that tells its story on standard output, `warnings` first.
fn start(options: Options, warnings: &[String]) -> Result<Server, StartError> {
    let level = options.config()?.log_level;
    let server = Server::create(options)?;
    let mut output = StandardOutput::new(level, Colours::of_stdout(), server.address());
    for warning in warnings.iter().filter(|_| level >= Level::Warn) {
        output.line(Level::Warn, Logger::Server, format_args!("{warning}"));
    }
    server.start(Box::new(output))?;
    Ok(server)
}

/// Does what the signals ask for until the server has ended.
fn watch(server: &Server, readers: &[(Signal, SignalFd)], logs_to_file: bool) -> Outcome {
    let mut printer = Printer::default();
    let mut asked = false;
    let colours = Colours::of_stdout();
    let statistics = || colours.statistics(&format!("{}\n", server.snapshot()));
    while server.wait(Some(Duration::ZERO)).is_none() {
        let mut ready: Vec<_> = readers.iter().map(|(_, reader)| PollFd::new(reader, PollFlags::IN)).collect();
        let patience = if asked { &LOOK_OFTEN } else { &LOOK };
        if rustix::event::poll(&mut ready, Some(patience)).unwrap_or(0) == 0 {
            continue;
        }
        for (signal, reader) in readers {
            if !matches!(reader.read_signal(), Ok(Some(_))) {
                continue;
            }
            match signal {
                Signal::SIGUSR1 => printer.print(statistics()),
                Signal::SIGUSR2 => server.drain(),
                Signal::SIGHUP if logs_to_file => server.reopen_access_log(),
                _ if asked => server.request_abort(),
                _ => {
                    asked = true;
                    server.request_stop();
                }
            }
        }
    }
    server.stop();
    printer.print(statistics());
    server.wait(None).unwrap_or(Outcome::Stopped)
}

/// Takes all the descriptors that the system lets this process have; a limit that stays low is told at start.
fn raise_descriptor_limit() {
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    let _ = setrlimit(Resource::Nofile, limit);
}
