//! The command line: the same for the program `httpserver` and for `python -m pooled_httpd`.

use crate::config::{Kind, OPTIONS, OptionSpec, Options};
use crate::server::{Latch, Outcome, Server, StartError};
use crate::trace::{Level, Logger, Sink};
use clap::{Arg, ArgAction, Command};
use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::process::{Resource, getrlimit, setrlimit};
use std::ffi::OsString;
use std::fmt::{self, Write as _};
use std::io::Write as _;
use std::sync::Arc;
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
/// How much of the log is gathered before it is written.
const WRITE_BYTES: usize = 16 * 1024;
/// How long the statistics wait for somebody to read them.
const PRINT_PATIENCE: Duration = Duration::from_secs(1);

fn command() -> Command {
    let option = |spec: &OptionSpec| {
        let value = match spec.kind {
            Kind::Integer(..) | Kind::OptionalInteger(..) => "N",
            Kind::Seconds(..) => "SECONDS",
            Kind::Switch => "on|off",
            Kind::Text => "ADDRESS",
            Kind::Level => "LEVEL",
        };
        let default = if spec.name == "host" { "0.0.0.0" } else { spec.default };
        Arg::new(spec.name)
            .long(spec.name.replace('_', "-"))
            .value_name(value)
            .allow_hyphen_values(true)
            .help(format!("{} [default: {default}]", spec.help))
    };
    Command::new("httpserver")
        .version(env!("CARGO_PKG_VERSION"))
        .about("Serves the files of a directory over HTTP/1.1, strictly, without allocating while it serves")
        .override_usage("httpserver [OPTIONS] [PORT] <DOCROOT>")
        .arg(
            Arg::new("operands")
                .value_name("DOCROOT")
                .help("The directory whose files are served; the port may stand before it")
                .num_args(1..=2)
                .required(true)
                .action(ArgAction::Append),
        )
        .args(OPTIONS.iter().map(option))
        .after_help("Ctrl+C or SIGTERM stops and prints the statistics; SIGUSR1 prints them and goes on.")
}

/// The options that the arguments (the program's name first) ask for.
fn parse(arguments: impl IntoIterator<Item = OsString>) -> Result<Options, clap::Error> {
    let mut command = command();
    let matches = command.try_get_matches_from_mut(arguments)?;
    let mut fail = |message: String| command.error(clap::error::ErrorKind::ValueValidation, message);
    let operands: Vec<&String> = matches.get_many("operands").unwrap_or_default().collect();
    let (port, docroot) = match operands[..] {
        [docroot] => (None, docroot),
        [port, docroot] => (Some(port), docroot),
        _ => return Err(fail("one directory, and before it one port at most".into())),
    };
    let mut options = Options::new(docroot, "0.0.0.0");
    for spec in OPTIONS {
        let given = matches.get_one::<String>(spec.name);
        let operand = if spec.name == "port" { port } else { None };
        if given.is_some() && operand.is_some() {
            return Err(fail("port: it is given twice, by --port and before the directory".into()));
        }
        if let Some(text) = given.or(operand) {
            options.set(spec.name, spec.kind.read(text)).map_err(|error| fail(error.to_string()))?;
        }
    }
    options.config().map_err(|error| fail(error.to_string()))?;
    Ok(options)
}

/// Runs the command line and returns its exit status. `arguments` begin with the program's name.
pub fn run(arguments: impl IntoIterator<Item = OsString>) -> u8 {
    let options = match parse(arguments) {
        Ok(options) => options,
        Err(error) => {
            // Nothing better can be done where the terminal is gone.
            let _ = error.print();
            return if error.use_stderr() { EXIT_USAGE } else { EXIT_OK };
        }
    };
    match serve(options) {
        Ok(Outcome::Stopped) => EXIT_OK,
        Ok(Outcome::Failed(message)) => {
            eprintln!("httpserver: {message}");
            EXIT_FAILURE
        }
        Err(error) => {
            eprintln!("httpserver: {error}");
            if matches!(error, StartError::Option(_)) { EXIT_USAGE } else { EXIT_FAILURE }
        }
    }
}

fn serve(options: Options) -> Result<Outcome, StartError> {
    let system = |errno: nix::errno::Errno| StartError::System(errno.into());
    let mut signals = SigSet::empty();
    for signal in [Signal::SIGINT, Signal::SIGTERM, Signal::SIGUSR1] {
        signals.add(signal);
    }
    // Blocked before any thread starts, so that they are read here and nowhere else.
    let mask = SigSet::thread_get_mask().map_err(system)?;
    signals.thread_block().map_err(system)?;
    let served = serve_with_signals(options, &signals);
    let _ = mask.thread_set_mask();
    served
}

fn serve_with_signals(options: Options, signals: &SigSet) -> Result<Outcome, StartError> {
    let system = |errno: nix::errno::Errno| StartError::System(errno.into());
    let signal_reader =
        SignalFd::with_flags(signals, SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK).map_err(system)?;
    raise_descriptor_limit();
    let server = Server::create(options)?;
    server.start(Box::new(StandardOutput::default()))?;
    let mut asked = false;
    while server.wait(Some(Duration::ZERO)).is_none() {
        let mut ready = [PollFd::new(&signal_reader, PollFlags::IN)];
        let patience = if asked { &LOOK_OFTEN } else { &LOOK };
        if rustix::event::poll(&mut ready, Some(patience)).unwrap_or(0) == 0 {
            continue;
        }
        while let Ok(Some(signal)) = signal_reader.read_signal() {
            if i32::try_from(signal.ssi_signo) == Ok(Signal::SIGUSR1 as i32) {
                print_soon(format!("{}\n", server.snapshot()));
            } else if asked {
                server.request_abort();
            } else {
                asked = true;
                server.request_stop();
            }
        }
    }
    server.stop();
    print_soon(format!("{}\n", server.snapshot()));
    Ok(server.wait(None).unwrap_or(Outcome::Stopped))
}

/// Takes all the descriptors that the system lets this process have; a limit that stays low is told at start.
fn raise_descriptor_limit() {
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    let _ = setrlimit(Resource::Nofile, limit);
}

/// Prints, but does not wait for ever where nobody reads: signals are still looked after, and the program still ends.
fn print_soon(text: String) {
    let printed = Latch::new();
    let done = Arc::clone(&printed);
    let thread = std::thread::spawn(move || {
        print(&text);
        done.set(());
    });
    if printed.wait(Some(PRINT_PATIENCE)).is_some() {
        // Nothing is left of it when the process ends. Its only panic would be ours, and has been told.
        let _ = thread.join();
    }
}

/// Writes whole lines, so that those of two threads do not mix. A reader that is gone is not an error of the server.
fn print(text: &str) {
    let mut output = std::io::stdout().lock();
    let _ = output.write_all(text.as_bytes());
    let _ = output.flush();
}

/// The log as the program prints it.
#[derive(Debug, Default)]
struct StandardOutput {
    gathered: String,
    connection_seen: bool,
}

impl Sink for StandardOutput {
    fn line(&mut self, level: Level, logger: Logger, text: fmt::Arguments<'_>) {
        let written = match logger {
            Logger::Server => writeln!(self.gathered, "[{}] {text}", level.name().to_uppercase()),
            Logger::Connection(number) => {
                if !self.connection_seen {
                    self.connection_seen = true;
                    self.gathered.push('\n');
                }
                writeln!(self.gathered, "[CONN {number}] {text}")
            }
        };
        // Writing to a String cannot fail.
        debug_assert!(written.is_ok());
        if self.gathered.len() > WRITE_BYTES {
            self.flush();
        }
    }

    fn flush(&mut self) {
        print(&self.gathered);
        self.gathered.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(arguments: &str) -> Result<crate::config::Config, String> {
        let words = std::iter::once("httpserver").chain(arguments.split_whitespace()).map(OsString::from);
        let options = parse(words).map_err(|error| error.to_string())?;
        Ok(options.config().expect("it was checked"))
    }

    #[test]
    fn the_port_may_stand_before_the_directory() {
        let config = parsed("8081 ./www --pool-size 512 --timeout 0.5").expect("it is right");
        assert_eq!((config.port, config.docroot.as_str(), config.host.as_str()), (8081, "./www", "0.0.0.0"));
        assert_eq!(config.limits.pool_size, 512);
        assert_eq!(config.limits.send_timeout, Duration::from_millis(500));
        assert_eq!(parsed("--port 1 ./www").expect("it is right").port, 1);
    }

    #[test]
    fn a_wrong_command_line_is_told() {
        for (arguments, message) in [
            ("", "required arguments were not provided"),
            ("a b c", "unexpected value 'c'"),
            ("x ./www", "port: \"x\" is not allowed; it takes a whole number from 0 to 65535"),
            ("--port 1 2 ./www", "port: it is given twice"),
            ("--pool-size -5 ./www", "pool_size: -5 is not allowed; it takes a whole number from 256 to 16777216"),
            ("--pool-siz 5 ./www", "a similar argument exists: '--pool-size'"),
            ("--keep-alive maybe .", "keep_alive: \"maybe\" is not allowed; it takes on or off"),
            (
                "--buffer-size 2048 --max-request-line 4000 .",
                "max_request_line: 4000 is not allowed; with buffer_size 2048",
            ),
        ] {
            let error = parsed(arguments).map(|_| ()).expect_err(arguments);
            assert!(error.contains(message), "{arguments}: {error}");
        }
    }

    #[test]
    fn help_names_every_option() {
        let help = command().render_help().to_string();
        for option in OPTIONS {
            assert!(help.contains(&format!("--{}", option.name.replace('_', "-"))), "{}", option.name);
        }
    }
}
