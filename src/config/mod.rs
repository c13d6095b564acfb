//! The options: one table of names, kinds, ranges and defaults, from which the command line, the Python keywords and their error
//! messages are made; and the validated limits that the server runs with.

mod site;
mod spec;
mod value;

pub use site::{Cors, Site};
pub use spec::{OPTIONS, OptionSpec};
pub use value::{Kind, OptionError, Value};

use crate::http::response_head::MAX_FIXED_HEAD;
use crate::stats::export::MAX_EXPORT;
use crate::trace::{AccessFormat, Level};
use std::time::Duration;

/// The bytes of a send buffer that the longest request line must leave for the rest of a head that repeats its target.
const HEAD_RESERVE: u64 = 1024;
/// The least that `max_request_line` takes.
const SHORTEST_LINE: u64 = 64;
/// The smallest send buffer that any entry of a listing fits, in bytes.
const LISTING_BUFFER: usize = 4096;
/// What makes a host the path of a Unix socket.
pub const UNIX_PREFIX: &str = "unix:";
/// The longest path that a Unix socket can have, in bytes: `sun_path` without its NUL (unix(7)).
pub const LONGEST_SOCKET_PATH: usize = 107;
/// The smallest pool that the place in a listing fits beside a request, in bytes.
const LISTING_POOL: usize = 1024;
/// The smallest send buffer that the statistics fit, in bytes.
const STATUS_BUFFER: usize = 16_384;

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
        if let Some(fault) = OPTIONS[index].kind.fault(&value) {
            return Err(error(format!("{value} is not allowed; {fault}")));
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

    fn switch(&self, name: &str) -> Option<bool> {
        match self.value(name) {
            Some((_, Value::Switch(on))) => Some(*on),
            _ => None,
        }
    }

    fn text(&self, name: &str) -> Option<&str> {
        match self.value(name) {
            Some((_, Value::Text(text))) => Some(text),
            _ => None,
        }
    }

    /// Whether an option was set, to whatever value.
    #[must_use]
    pub fn is_set(&self, name: &str) -> bool {
        self.value(name).is_some()
    }

    /// Checks that what says where to listen agrees: a Unix socket has no port, and what was handed over has its address already.
    /// Port 0 asks for nothing in particular and so agrees with everything.
    fn check_place(&self) -> Result<(), OptionError> {
        let error = |option: &str, message: String| Err(OptionError { option: option.into(), message });
        let port = self.integer("port").filter(|port| *port != 0);
        let host = self.text("host");
        if self.integer("listen_fd").is_some() && (host.is_some() || port.is_some()) {
            return error("listen_fd", "what is handed over has its address already; leave host and port out".into());
        }
        let Some(path) = host.and_then(|host| host.strip_prefix(UNIX_PREFIX)) else { return Ok(()) };
        if path.is_empty() {
            return error("host", "after unix: there is no path".into());
        }
        if path.len() > LONGEST_SOCKET_PATH {
            let length = path.len();
            let message =
                format!("the path of a Unix socket has {LONGEST_SOCKET_PATH} bytes at most; this one has {length}");
            return error("host", message);
        }
        match port {
            Some(_) => error("port", "a Unix socket has none; leave it out".into()),
            None => Ok(()),
        }
    }

    fn site(&self) -> Result<Site, OptionError> {
        // What each option takes was checked when it was set.
        let error = |option: &str| {
            let option = option.to_owned();
            move |message| OptionError { option, message }
        };
        let on = |name| self.switch(name).unwrap_or(false);
        let lines = match self.value("header") {
            Some((_, Value::List(lines))) => lines.iter().map(String::as_str).collect(),
            Some((_, Value::Text(line))) => vec![line.as_str()],
            _ => Vec::new(),
        };
        let mut fields = Vec::new();
        for line in lines {
            let (name, value) = site::field_line(line).map_err(error("header"))?;
            fields.extend_from_slice(format!("{name}: {value}\r\n").as_bytes());
        }
        let cors = match self.value("cors") {
            Some((_, Value::Switch(true))) => Cors::Any,
            Some((_, Value::Text(text))) => site::origins(text).map_err(error("cors"))?,
            _ => Cors::Off,
        };
        let status_path = self.text("status_path");
        Ok(Site {
            listing: on("listing"),
            hidden: on("hidden"),
            precompressed: on("precompressed"),
            spa: on("spa"),
            error_pages: on("error_pages"),
            status_name: status_path.map(site::status_name).transpose().map_err(error("status_path"))?,
            cache_control: self.text("cache_control").unwrap_or_default().trim().as_bytes().into(),
            fields: fields.into(),
            cors,
        })
    }

    /// The limits to run with.
    ///
    /// # Errors
    /// Two options contradict each other.
    pub fn config(&self) -> Result<Config, OptionError> {
        self.check_place()?;
        let buffer_size = self.size("buffer_size", 16_384);
        let site = self.site()?;
        let reserve = HEAD_RESERVE + site.head_bytes() as u64;
        let longest_line = (buffer_size as u64).saturating_sub(reserve);
        if longest_line < SHORTEST_LINE {
            let message = format!(
                "these field lines need a buffer_size of {} bytes; it is {buffer_size}",
                reserve + SHORTEST_LINE
            );
            let is_own = site.fields.len() >= site.head_bytes() - site.fields.len();
            return Err(OptionError {
                option: if is_own { "header" } else { "cache_control or cors" }.into(),
                message,
            });
        }
        if site.listing && buffer_size < LISTING_BUFFER {
            let message = format!("a listing needs a buffer_size of {LISTING_BUFFER} bytes; it is {buffer_size}");
            return Err(OptionError { option: "listing".into(), message });
        }
        if site.listing && self.size("pool_size", 4096) < LISTING_POOL {
            let message = format!("a listing needs a pool_size of {LISTING_POOL} bytes");
            return Err(OptionError { option: "listing".into(), message });
        }
        let status_buffer = STATUS_BUFFER.max(MAX_EXPORT + MAX_FIXED_HEAD + site.head_bytes());
        if site.status_name.is_some() && buffer_size < status_buffer {
            let message = format!("the statistics need a buffer_size of {status_buffer} bytes; it is {buffer_size}");
            return Err(OptionError { option: "status_path".into(), message });
        }
        let max_request_line = self.integer("max_request_line").unwrap_or_else(|| longest_line.min(8000));
        if max_request_line > longest_line {
            let message = format!(
                "{max_request_line} is not allowed; with buffer_size {buffer_size} it takes a whole number from 64 to {longest_line}"
            );
            return Err(OptionError { option: "max_request_line".into(), message });
        }
        let timeout = self.timeout("timeout", Duration::from_secs(30));
        let text = |name| self.text(name).map(str::to_owned);
        // Whoever names a file wants a log in it.
        let access_log = if self.text("access_log_file").is_some() { "combined" } else { "off" };
        Ok(Config {
            host: text("host").unwrap_or_else(|| self.default_host.into()),
            listen_fd: self.integer("listen_fd").and_then(|number| i32::try_from(number).ok()),
            deferred: self.switch("deferred").unwrap_or(false),
            access_log: AccessFormat::named(self.text("access_log").unwrap_or(access_log)),
            access_log_file: text("access_log_file"),
            cache_size: self.size("cache_size", 16 << 20),
            site,
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
                keep_alive: self.switch("keep_alive").unwrap_or(true),
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
    /// The inherited descriptor to listen on, in place of both.
    pub listen_fd: Option<i32>,
    /// Whether connections are accepted only once their first bytes have come.
    pub deferred: bool,
    /// The directory whose files are served, as the operator wrote it.
    pub docroot: String,
    /// The form of the access log, unless it is off.
    pub access_log: Option<AccessFormat>,
    /// Where the access log goes in place of standard output.
    pub access_log_file: Option<String>,
    /// Memory for the contents of files up to 128 KiB, in bytes.
    pub cache_size: usize,
    /// What the answers are made by.
    pub site: Site,
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
        for option in OPTIONS.iter().filter(|option| option.name != "max_request_line") {
            if option.default != "timeout" {
                let set = set(option.name, option.default_of_program()).expect("a default is a value");
                assert_eq!(set.limits, config.limits, "{}", option.name);
                assert_eq!(set.port, config.port, "{}", option.name);
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
    fn a_unix_socket_and_an_inherited_one_take_no_port() {
        let with = |options: &[(&str, Value)]| {
            let mut all = Options::new(".", "127.0.0.1");
            for (name, value) in options {
                all.set(name, value.clone()).expect("each is right by itself");
            }
            all.config().map(|config| (config.host, config.listen_fd)).map_err(|error| error.to_string())
        };
        let host = |text: &str| ("host", Value::Text(text.into()));
        let (port, any_port, inherited) =
            (("port", Value::Integer(80)), ("port", Value::Integer(0)), ("listen_fd", Value::Integer(7)));
        let longest = format!("unix:{}", "x".repeat(LONGEST_SOCKET_PATH));
        for agreeing in [
            vec![host("unix:x")],
            vec![host("unix:x"), any_port.clone()],
            vec![host(&longest)],
            vec![inherited.clone()],
            vec![inherited.clone(), any_port],
        ] {
            assert!(with(&agreeing).is_ok(), "{agreeing:?}");
        }
        let handed = "listen_fd: what is handed over has its address already; leave host and port out";
        for (contradicting, message) in [
            (vec![host("unix:x"), port.clone()], "port: a Unix socket has none; leave it out"),
            (vec![host("unix:")], "host: after unix: there is no path"),
            (
                vec![host(&format!("{longest}x"))],
                "host: the path of a Unix socket has 107 bytes at most; this one has 108",
            ),
            (vec![inherited.clone(), port], handed),
            (vec![inherited, host("::1")], handed),
        ] {
            assert_eq!(with(&contradicting), Err(message.into()));
        }
    }

    #[test]
    fn options_that_need_memory_say_how_much() {
        let config = |pairs: &[(&str, Value)]| {
            let mut options = Options::new(".", "127.0.0.1");
            for (name, value) in pairs {
                options.set(name, value.clone()).expect("each alone is right");
            }
            options.config().map(|_| ()).map_err(|error| error.to_string())
        };
        let line = |bytes: usize| Value::Text(format!("A: {}", "b".repeat(bytes - "A: \r\n".len())));
        let (status, listing) = (Value::Text("/status".into()), Value::Switch(true));
        assert_eq!(config(&[("status_path", status.clone()), ("header", line(1616))]), Ok(()));
        assert_eq!(
            config(&[("status_path", status), ("header", line(1617))]),
            Err("status_path: the statistics need a buffer_size of 16385 bytes; it is 16384".into())
        );
        assert_eq!(config(&[("listing", listing.clone()), ("pool_size", Value::Integer(1024))]), Ok(()));
        assert_eq!(
            config(&[("listing", listing), ("pool_size", Value::Integer(1023))]),
            Err("listing: a listing needs a pool_size of 1024 bytes".into())
        );
        for (option, value, named) in [
            ("header", line(16_000), "header"),
            ("cache_control", Value::Text("x".repeat(16_000)), "cache_control or cors"),
        ] {
            let error = config(&[(option, value)]).expect_err("it does not fit");
            assert!(error.starts_with(&format!("{named}: these field lines need a buffer_size of 17")), "{error}");
        }
    }

    #[test]
    fn a_small_buffer_shortens_the_default_request_line() {
        assert_eq!(set("buffer_size", "2048").map(|config| config.limits.max_request_line), Ok(1024));
    }
}
