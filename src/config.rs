//! The options: one table of names, kinds, ranges and defaults, from which the command line, the Python keywords and their error
//! messages are made; and the validated limits that the server runs with.

use crate::trace::Level;
use std::fmt::{self, Display, Formatter};
use std::time::Duration;

/// What values an option takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A whole number from the first to the second.
    Integer(u64, u64),
    /// The same, or none.
    OptionalInteger(u64, u64),
    /// A time in seconds, fractions allowed, from the first to the second, in milliseconds.
    Seconds(u64, u64),
    /// On or off.
    Switch,
    /// Any text that is not empty.
    Text,
    /// One of [`Level::ALL`].
    Level,
}

/// One option.
#[derive(Clone, Copy, Debug)]
pub struct OptionSpec {
    /// The name in Python; on the command line its underscores are hyphens.
    pub name: &'static str,
    /// What values it takes.
    pub kind: Kind,
    /// The default as a person reads it.
    pub default: &'static str,
    /// What it is for, in a sentence without its full stop.
    pub help: &'static str,
}

const LONGEST_TIMEOUT_MS: u64 = 86_400_000;

/// Every option but the document root.
pub const OPTIONS: &[OptionSpec] = &[
    OptionSpec {
        name: "port",
        kind: Kind::Integer(0, 65_535),
        default: "8080",
        help: "The TCP port; 0 takes any free one",
    },
    OptionSpec {
        name: "host",
        kind: Kind::Text,
        default: "0.0.0.0 (from Python 127.0.0.1)",
        help: "The address or name to listen on, IPv4 or IPv6",
    },
    OptionSpec {
        name: "max_connections",
        kind: Kind::Integer(1, 65_536),
        default: "128",
        help: "Connections served at the same time",
    },
    OptionSpec {
        name: "pool_size",
        kind: Kind::Integer(256, 1 << 24),
        default: "4096",
        help: "Memory pool of one request, in bytes",
    },
    OptionSpec {
        name: "buffer_size",
        kind: Kind::Integer(2048, 1 << 24),
        default: "16384",
        help: "Receive buffer and send buffer of one request, in bytes each; a request head must fit",
    },
    OptionSpec {
        name: "timeout",
        kind: Kind::Seconds(1, LONGEST_TIMEOUT_MS),
        default: "30",
        help: "Sets the four timeouts below, in seconds",
    },
    OptionSpec {
        name: "header_timeout",
        kind: Kind::Seconds(1, LONGEST_TIMEOUT_MS),
        default: "timeout",
        help: "Time for a request head, from its first byte, and for the first byte of a new connection, in seconds",
    },
    OptionSpec {
        name: "keepalive_timeout",
        kind: Kind::Seconds(1, LONGEST_TIMEOUT_MS),
        default: "timeout",
        help: "Time that a persistent connection may be idle, in seconds",
    },
    OptionSpec {
        name: "content_timeout",
        kind: Kind::Seconds(1, LONGEST_TIMEOUT_MS),
        default: "timeout",
        help: "Time for the content of a request, from the end of its head, in seconds",
    },
    OptionSpec {
        name: "send_timeout",
        kind: Kind::Seconds(1, LONGEST_TIMEOUT_MS),
        default: "timeout",
        help: "Time that a peer may take nothing of a response, in seconds",
    },
    OptionSpec {
        name: "max_content",
        kind: Kind::Integer(0, 1 << 53),
        default: "1048576",
        help: "Largest content of a request, in bytes",
    },
    OptionSpec {
        name: "max_request_line",
        kind: Kind::Integer(64, 1 << 24),
        default: "8000, or less with a small buffer_size",
        help: "Longest request line, in bytes; at most buffer_size - 1024",
    },
    OptionSpec {
        name: "max_field_lines",
        kind: Kind::Integer(1, 10_000),
        default: "100",
        help: "Most field lines of a request",
    },
    OptionSpec { name: "keep_alive", kind: Kind::Switch, default: "on", help: "Whether connections persist" },
    OptionSpec {
        name: "max_requests_per_connection",
        kind: Kind::OptionalInteger(1, 1 << 53),
        default: "none",
        help: "Requests after which a connection is closed",
    },
    OptionSpec {
        name: "log_level",
        kind: Kind::Level,
        default: "debug",
        help: "How much is told: off, error, warn, info (start and stop), debug (the story of every connection)",
    },
];

/// The bytes of a send buffer that the longest request line must leave for the rest of a head that repeats its target.
const HEAD_RESERVE: u64 = 1024;

/// A value as a caller gave it.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// A whole number.
    Integer(i128),
    /// A number with a fraction.
    Number(f64),
    /// On or off.
    Switch(bool),
    /// Text.
    Text(String),
    /// None.
    None,
    /// Something else, as its owner shows it.
    Other(String),
}

impl Display for Value {
    fn fmt(&self, out: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Integer(value) => write!(out, "{value}"),
            Self::Number(value) => write!(out, "{value}"),
            Self::Switch(value) => out.write_str(if *value { "on" } else { "off" }),
            Self::Text(text) => write!(out, "{text:?}"),
            Self::None => out.write_str("none"),
            Self::Other(text) => out.write_str(text),
        }
    }
}

/// An option that is not known, or a value that it does not take.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OptionError {
    /// The option's name.
    pub option: String,
    /// What was wrong and what would be right.
    pub message: String,
}

impl Display for OptionError {
    fn fmt(&self, out: &mut Formatter<'_>) -> fmt::Result {
        write!(out, "{}: {}", self.option, self.message)
    }
}

impl std::error::Error for OptionError {}

impl Kind {
    /// What would be right.
    fn expectation(self) -> String {
        match self {
            Self::Integer(low, high) => format!("a whole number from {low} to {high}"),
            Self::OptionalInteger(low, high) => format!("none or a whole number from {low} to {high}"),
            Self::Seconds(low, high) => format!("a number of seconds from {} to {}", seconds(low), seconds(high)),
            Self::Switch => "on or off".into(),
            Self::Text => "a text that is not empty".into(),
            Self::Level => Level::ALL.map(Level::name).join(", "),
        }
    }

    fn accepts(self, value: &Value) -> bool {
        let within = |value: i128, low: u64, high: u64| (i128::from(low)..=i128::from(high)).contains(&value);
        match (self, value) {
            (Self::Integer(low, high) | Self::OptionalInteger(low, high), Value::Integer(value)) => {
                within(*value, low, high)
            }
            (Self::Seconds(..), Value::Integer(_) | Value::Number(_)) => self.milliseconds(value).is_some(),
            (Self::OptionalInteger(..), Value::None) | (Self::Switch, Value::Switch(_)) => true,
            (Self::Text, Value::Text(text)) => !text.is_empty() && !text.contains('\0'),
            (Self::Level, Value::Text(text)) => Level::named(text).is_some(),
            _ => false,
        }
    }

    #[allow(clippy::cast_precision_loss, clippy::cast_possible_truncation, clippy::cast_sign_loss)] // In range by the check.
    fn milliseconds(self, value: &Value) -> Option<u64> {
        let Self::Seconds(low, high) = self else { return None };
        let seconds = match value {
            Value::Integer(value) => *value as f64,
            Value::Number(value) => *value,
            _ => return None,
        };
        let milliseconds = (seconds * 1000.0).round();
        (milliseconds >= low as f64 && milliseconds <= high as f64).then_some(milliseconds as u64)
    }

    /// Reads a value as the command line has it. Text that is none is left as text, for the error to show.
    #[must_use]
    pub fn read(self, text: &str) -> Value {
        let parsed = match self {
            Self::Integer(..) => text.parse().ok().map(Value::Integer),
            Self::OptionalInteger(..) if text == "none" => Some(Value::None),
            Self::OptionalInteger(..) => text.parse().ok().map(Value::Integer),
            Self::Seconds(..) => text.parse().ok().map(Value::Number),
            Self::Switch => match text {
                "on" | "true" | "yes" | "1" => Some(Value::Switch(true)),
                "off" | "false" | "no" | "0" => Some(Value::Switch(false)),
                _ => None,
            },
            Self::Text | Self::Level => None,
        };
        parsed.unwrap_or_else(|| Value::Text(text.into()))
    }
}

fn seconds(milliseconds: u64) -> String {
    if milliseconds.is_multiple_of(1000) { (milliseconds / 1000).to_string() } else { format!("0.{milliseconds:03}") }
}

/// The options as far as they were set, each value of the right kind and in range.
#[derive(Clone, Debug)]
pub struct Options {
    values: [Option<Value>; OPTIONS.len()],
    /// The directory whose files are served.
    pub docroot: String,
    default_host: &'static str,
}

impl Options {
    /// No option set. `default_host` differs between the program and Python.
    #[must_use]
    pub fn new(docroot: impl Into<String>, default_host: &'static str) -> Self {
        Self { values: std::array::from_fn(|_| None), docroot: docroot.into(), default_host }
    }

    /// Sets an option.
    ///
    /// # Errors
    /// There is no option of that name, or it does not take that value.
    pub fn set(&mut self, name: &str, value: Value) -> Result<(), OptionError> {
        let error = |message| OptionError { option: name.into(), message };
        let Some(index) = OPTIONS.iter().position(|option| option.name == name) else {
            let known: Vec<_> = OPTIONS.iter().map(|option| option.name).collect();
            return Err(error(format!("there is no such option; the options are {}", known.join(", "))));
        };
        let kind = OPTIONS[index].kind;
        if !kind.accepts(&value) {
            return Err(error(format!("{value} is not allowed; it takes {}", kind.expectation())));
        }
        self.values[index] = Some(value);
        Ok(())
    }

    fn value(&self, name: &str) -> Option<(Kind, &Value)> {
        let index = OPTIONS.iter().position(|option| option.name == name)?;
        Some((OPTIONS[index].kind, self.values[index].as_ref()?))
    }

    fn integer(&self, name: &str) -> Option<u64> {
        match self.value(name) {
            Some((_, Value::Integer(value))) => u64::try_from(*value).ok(),
            _ => None,
        }
    }

    fn size(&self, name: &str, default: usize) -> usize {
        self.integer(name).map_or(default, |value| usize::try_from(value).unwrap_or(usize::MAX))
    }

    fn timeout(&self, name: &str, default: Duration) -> Duration {
        self.value(name).and_then(|(kind, value)| kind.milliseconds(value)).map_or(default, Duration::from_millis)
    }

    /// The limits to run with.
    ///
    /// # Errors
    /// Two options contradict each other.
    pub fn config(&self) -> Result<Config, OptionError> {
        let buffer_size = self.size("buffer_size", 16_384);
        let longest_line = (buffer_size as u64).saturating_sub(HEAD_RESERVE);
        let max_request_line = self.integer("max_request_line").unwrap_or_else(|| longest_line.min(8000));
        if max_request_line > longest_line {
            let message = format!(
                "{max_request_line} is not allowed; with buffer_size {buffer_size} it takes a whole number from 64 to {longest_line}"
            );
            return Err(OptionError { option: "max_request_line".into(), message });
        }
        let timeout = self.timeout("timeout", Duration::from_secs(30));
        let text = |name| match self.value(name) {
            Some((_, Value::Text(text))) => Some(text.clone()),
            _ => None,
        };
        Ok(Config {
            host: text("host").unwrap_or_else(|| self.default_host.into()),
            port: self.integer("port").and_then(|port| u16::try_from(port).ok()).unwrap_or(8080),
            docroot: self.docroot.clone(),
            log_level: text("log_level").and_then(|name| Level::named(&name)).unwrap_or(Level::Debug),
            limits: Limits {
                max_connections: self.size("max_connections", 128),
                pool_size: self.size("pool_size", 4096),
                buffer_size,
                header_timeout: self.timeout("header_timeout", timeout),
                keepalive_timeout: self.timeout("keepalive_timeout", timeout),
                content_timeout: self.timeout("content_timeout", timeout),
                send_timeout: self.timeout("send_timeout", timeout),
                max_content: self.integer("max_content").unwrap_or(1 << 20),
                max_request_line: usize::try_from(max_request_line).unwrap_or(buffer_size),
                max_field_lines: self.size("max_field_lines", 100),
                keep_alive: !matches!(self.value("keep_alive"), Some((_, Value::Switch(false)))),
                max_requests_per_connection: self.integer("max_requests_per_connection"),
            },
        })
    }
}

/// What the server runs with.
#[derive(Clone, Debug)]
pub struct Config {
    /// The address or name to listen on.
    pub host: String,
    /// The TCP port, 0 for any.
    pub port: u16,
    /// The directory whose files are served, as the operator wrote it.
    pub docroot: String,
    /// How much is told.
    pub log_level: Level,
    /// The limits of every connection.
    pub limits: Limits,
}

/// The limits of every connection. The names are those of the options.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)] // Each is described in `OPTIONS`.
pub struct Limits {
    pub max_connections: usize,
    pub pool_size: usize,
    pub buffer_size: usize,
    pub header_timeout: Duration,
    pub keepalive_timeout: Duration,
    pub content_timeout: Duration,
    pub send_timeout: Duration,
    pub max_content: u64,
    pub max_request_line: usize,
    pub max_field_lines: usize,
    pub keep_alive: bool,
    pub max_requests_per_connection: Option<u64>,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(name: &str, text: &str) -> Result<Config, String> {
        let mut options = Options::new(".", "127.0.0.1");
        let kind = OPTIONS.iter().find(|option| option.name == name).map_or(Kind::Text, |option| option.kind);
        options.set(name, kind.read(text)).map_err(|error| error.to_string())?;
        options.config().map_err(|error| error.to_string())
    }

    #[test]
    fn defaults_are_those_of_the_table() {
        let config = Options::new("x", "0.0.0.0").config().expect("the defaults agree with each other");
        assert_eq!((config.host.as_str(), config.port, config.docroot.as_str()), ("0.0.0.0", 8080, "x"));
        for option in OPTIONS.iter().filter(|option| !matches!(option.name, "host" | "max_request_line")) {
            if option.default != "timeout" {
                let limits = set(option.name, option.default).expect("a default is a value").limits;
                assert_eq!(limits, config.limits, "{}", option.name);
            }
        }
        assert_eq!(config.limits.max_request_line, 8000);
    }

    #[test]
    fn timeout_sets_the_four_and_each_wins_over_it() {
        let mut options = Options::new(".", "");
        options.set("timeout", Value::Number(0.25)).expect("it is in range");
        options.set("send_timeout", Value::Integer(2)).expect("it is in range");
        let limits = options.config().expect("they agree").limits;
        assert_eq!(limits.header_timeout, Duration::from_millis(250));
        assert_eq!(limits.keepalive_timeout, Duration::from_millis(250));
        assert_eq!(limits.send_timeout, Duration::from_secs(2));
    }

    #[test]
    fn errors_name_the_option_the_value_and_the_range() {
        for (name, text, message) in [
            ("pool_size", "10", "pool_size: 10 is not allowed; it takes a whole number from 256 to 16777216"),
            ("pool_size", "4k", "pool_size: \"4k\" is not allowed; it takes a whole number from 256 to 16777216"),
            ("port", "65536", "port: 65536 is not allowed; it takes a whole number from 0 to 65535"),
            ("port", "-1", "port: -1 is not allowed; it takes a whole number from 0 to 65535"),
            ("timeout", "0", "timeout: 0 is not allowed; it takes a number of seconds from 0.001 to 86400"),
            ("timeout", "nan", "timeout: NaN is not allowed; it takes a number of seconds from 0.001 to 86400"),
            ("timeout", "inf", "timeout: inf is not allowed; it takes a number of seconds from 0.001 to 86400"),
            ("keep_alive", "maybe", "keep_alive: \"maybe\" is not allowed; it takes on or off"),
            ("host", "", "host: \"\" is not allowed; it takes a text that is not empty"),
            ("log_level", "loud", "log_level: \"loud\" is not allowed; it takes off, error, warn, info, debug"),
            (
                "max_requests_per_connection",
                "0",
                "max_requests_per_connection: 0 is not allowed; it takes none or a whole number from 1 to 9007199254740992",
            ),
            (
                "max_request_line",
                "15361",
                "max_request_line: 15361 is not allowed; with buffer_size 16384 it takes a whole number from 64 to 15360",
            ),
        ] {
            assert_eq!(set(name, text).map(|_| ()), Err(message.into()));
        }
        let unknown = set("pool", "1").map(|_| ()).expect_err("there is no such option");
        assert!(unknown.starts_with("pool: there is no such option; the options are port, host, "), "{unknown}");
    }

    #[test]
    fn a_small_buffer_shortens_the_default_request_line() {
        assert_eq!(set("buffer_size", "2048").map(|config| config.limits.max_request_line), Ok(1024));
    }
}
