//! The command line: the same for the program `httpserver` and for `python -m pooled_httpd`.

mod output;
mod passed;

use crate::config::{Kind, OPTIONS, OptionSpec, Options, Value};
use crate::server::{Outcome, Server, StartError};
use crate::trace::{Level, Logger, Sink};
use clap::{Arg, ArgAction, Command};
use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use output::{Printer, StandardOutput};
use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::process::{Resource, getrlimit, setrlimit};
use std::ffi::OsString;
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

fn command() -> Command {
    let option = |spec: &OptionSpec| {
        let value = match spec.kind {
            Kind::Integer(..) | Kind::OptionalInteger(..) => "N",
            Kind::Seconds(..) => "SECONDS",
            Kind::Switch => "on|off",
            Kind::Text => "ADDRESS",
            Kind::Level => "LEVEL",
            Kind::Choice(_) => "FORMAT",
            Kind::FieldLines => "NAME: VALUE",
            Kind::Origins => "ORIGINS",
            Kind::UrlPath => "PATH",
            Kind::FieldValue => "VALUE",
            Kind::FileName => "FILE",
        };
        let default = if spec.name == "host" { "0.0.0.0" } else { spec.default };
        let argument = Arg::new(spec.name)
            .long(spec.name.replace('_', "-"))
            .value_name(value)
            .help(format!("{} [default: {default}]", spec.help));
        match spec.kind {
            // Without a value they are on; what looks like a value has been joined to the name by then.
            Kind::Switch | Kind::Origins => {
                argument.num_args(0..=1).require_equals(true).default_missing_value("on").allow_hyphen_values(true)
            }
            Kind::FieldLines => argument.action(ArgAction::Append).allow_hyphen_values(true),
            _ => argument.allow_hyphen_values(true),
        }
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
        .after_help(
            "Ctrl+C or SIGTERM stops and prints the statistics; SIGUSR1 prints them and goes on. SIGUSR2 drains: \
             connections end with their next response, and health answers 503. SIGHUP opens the file of the \
             access log anew, or stops where there is none.",
        )
}

/// Joins `--name value` to `--name=value` where the value may be left out and what follows is one, not the document root.
fn join_values(arguments: impl IntoIterator<Item = OsString>) -> Vec<OsString> {
    let mut joined: Vec<OsString> = Vec::new();
    for argument in arguments {
        let kind = joined
            .last()
            .and_then(|last| last.to_str())
            .and_then(|last| last.strip_prefix("--"))
            .and_then(|name| OPTIONS.iter().find(|spec| spec.name.replace('_', "-") == name).map(|spec| spec.kind));
        let is_optional = matches!(kind, Some(Kind::Switch | Kind::Origins));
        let is_value = is_optional && kind.zip(argument.to_str()).is_some_and(|(kind, text)| kind.takes(text));
        match joined.last_mut().filter(|_| is_value) {
            Some(last) => {
                last.push("=");
                last.push(argument);
            }
            None => joined.push(argument),
        }
    }
    joined
}

/// The options that the arguments (the program's name first) ask for.
fn parse(arguments: impl IntoIterator<Item = OsString>) -> Result<Options, clap::Error> {
    let mut command = command();
    let matches = command.try_get_matches_from_mut(join_values(arguments))?;
    let mut fail = |message: String| command.error(clap::error::ErrorKind::ValueValidation, message);
    let operands: Vec<&String> = matches.get_many("operands").unwrap_or_default().collect();
    let (port, docroot) = match operands[..] {
        [docroot] => (None, docroot),
        [port, docroot] => (Some(port), docroot),
        _ => return Err(fail("one directory, and before it one port at most".into())),
    };
    let mut options = Options::new(docroot, "0.0.0.0");
    for spec in OPTIONS {
        let all = || matches.get_many::<String>(spec.name).unwrap_or_default();
        let given = all().next_back();
        let operand = if spec.name == "port" { port } else { None };
        if given.is_some() && operand.is_some() {
            return Err(fail("port: it is given twice, by --port and before the directory".into()));
        }
        let value = match (spec.kind, given.or(operand)) {
            (_, None) => continue,
            (Kind::FieldLines, Some(text)) if text != "none" => Value::List(all().cloned().collect()),
            (kind, Some(text)) => kind.read(text),
        };
        // A value that an option would have taken behind an equals sign may have been taken for the port.
        let is_misplaced = operand.is_some_and(|text| text.parse::<u64>().is_err());
        let hint =
            if is_misplaced { "; a value of --listing, --cors and the like goes behind an equals sign" } else { "" };
        options.set(spec.name, value).map_err(|error| fail(format!("{error}{hint}")))?;
    }
    options.config().map_err(|error| fail(error.to_string()))?;
    Ok(options)
}

/// Runs the command line and returns its exit status, with which the process is to end: the signals that it handles stay blocked.
/// `arguments` begin with the program's name.
pub fn run(arguments: impl IntoIterator<Item = OsString>) -> u8 {
    let mut options = match parse(arguments) {
        Ok(options) => options,
        Err(error) => {
            // Nothing better can be done where the terminal is gone.
            let _ = error.print();
            return if error.use_stderr() { EXIT_USAGE } else { EXIT_OK };
        }
    };
    let served = passed::take(&mut options).map_err(StartError::Option).and_then(|told| serve(options, told));
    match served {
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

/// `told` is what the operator should know before anything else.
fn serve(options: Options, told: Option<String>) -> Result<Outcome, StartError> {
    let system = |errno: nix::errno::Errno| StartError::System(errno.into());
    let mut signals = vec![Signal::SIGINT, Signal::SIGTERM, Signal::SIGUSR1, Signal::SIGUSR2];
    let config = options.config()?;
    let logs_to_file = config.access_log.is_some() && config.access_log_file.is_some();
    if logs_to_file || !ignores_hangup() {
        signals.push(Signal::SIGHUP);
    }
    // Blocked before any thread starts, so that they are read here and nowhere else. They stay so: one more that comes while the
    // process ends must not change how it ended. SIGXFSZ is read nowhere: a file that may not grow is an error of its write.
    signals.iter().copied().chain([Signal::SIGXFSZ]).collect::<SigSet>().thread_block().map_err(system)?;
    serve_with_signals(options, told, &signals, logs_to_file)
}

/// Whether whoever started the program wants it to outlive its terminal, as nohup does. A signal that is blocked is read
/// though it is ignored, so this must be known.
fn ignores_hangup() -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let ignored = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let ignored = ignored.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or(0);
    ignored & (1 << (Signal::SIGHUP as u32 - 1)) != 0
}

fn serve_with_signals(
    options: Options,
    told: Option<String>,
    signals: &[Signal],
    logs_to_file: bool,
) -> Result<Outcome, StartError> {
    // A reader for each: one for all would give out the lowest number first, and a storm of it would hide the others.
    let reader = |signal: &Signal| {
        let signals = SigSet::from_iter([*signal]);
        Ok((*signal, SignalFd::with_flags(&signals, SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK)?))
    };
    let readers: Result<Vec<_>, nix::errno::Errno> = signals.iter().map(reader).collect();
    let readers = readers.map_err(|errno| StartError::System(errno.into()))?;
    raise_descriptor_limit();
    let level = options.config()?.log_level;
    let server = Server::create(options)?;
    let mut output = StandardOutput::new(level);
    if let Some(told) = told.filter(|_| level >= Level::Warn) {
        output.line(Level::Warn, Logger::Server, format_args!("{told}"));
    }
    server.start(Box::new(output))?;
    let mut printer = Printer::default();
    let mut asked = false;
    while server.wait(Some(Duration::ZERO)).is_none() {
        let mut ready: Vec<_> = readers.iter().map(|(_, reader)| PollFd::new(reader, PollFlags::IN)).collect();
        let patience = if asked { &LOOK_OFTEN } else { &LOOK };
        if rustix::event::poll(&mut ready, Some(patience)).unwrap_or(0) == 0 {
            continue;
        }
        for (signal, reader) in &readers {
            if !matches!(reader.read_signal(), Ok(Some(_))) {
                continue;
            }
            match signal {
                Signal::SIGUSR1 => printer.print(format!("{}\n", server.snapshot())),
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
    printer.print(format!("{}\n", server.snapshot()));
    Ok(server.wait(None).unwrap_or(Outcome::Stopped))
}

/// Takes all the descriptors that the system lets this process have; a limit that stays low is told at start.
fn raise_descriptor_limit() {
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    let _ = setrlimit(Resource::Nofile, limit);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Cors;

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
    fn a_switch_needs_no_value_and_takes_one_either_way() {
        for (arguments, listing, keep_alive) in [
            ("--listing .", true, true),
            ("--listing on .", true, true),
            ("--listing=off .", false, true),
            ("--keep-alive off --listing 80 .", true, false),
            (". --listing", true, true),
        ] {
            let config = parsed(arguments).expect("it is right");
            assert_eq!((config.site.listing, config.limits.keep_alive), (listing, keep_alive), "{arguments}");
            assert_eq!(config.docroot, ".");
        }
        assert_eq!(parsed("--cors .").expect("it is right").site.cors, Cors::Any);
        assert_eq!(parsed("--cors * .").expect("it is right").site.cors, Cors::Any);
        assert!(parsed("--cors http://a .").expect("it is right").site.cors.varies());
    }

    #[test]
    fn headers_add_up() {
        let config = parsed("--header A:1 --header=B:2 .").expect("it is right");
        assert_eq!(&*config.site.fields, b"A: 1\r\nB: 2\r\n");
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
            ("--keep-alive=maybe .", "keep_alive: \"maybe\" is not allowed; it takes on or off"),
            ("--header Date:x .", "header: [\"Date:x\"] is not allowed; the server writes Date itself"),
            ("--cors=a .", "cors: \"a\" is not allowed; it takes off, * for any origin, or a list of origins"),
            ("--status-path x .", "status_path: \"x\" is not allowed; it takes none or a path such as /status"),
            ("--status-path /x --buffer-size 9000 .", "status_path: the statistics need a buffer_size of 16384"),
            ("--host unix:x 80 .", "port: a Unix socket has none; leave it out"),
            ("--listen-fd 3 80 .", "listen_fd: what is handed over has its address already"),
            ("--access-log apache .", "access_log: \"apache\" is not allowed; it takes off, common, combined, json"),
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
