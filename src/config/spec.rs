//! The table of options: names, kinds, defaults and what each is for.

use super::value::Kind;

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

impl OptionSpec {
    /// The default on the command line; the one from Python may be another, which stands behind it.
    #[must_use]
    pub fn default_of_program(&self) -> &'static str {
        self.default.split(" (from Python").next().unwrap_or_default()
    }
}

/// Every option but the document root.
pub const OPTIONS: &[OptionSpec] = &[
    OptionSpec {
        name: "port",
        kind: Kind::Integer(0, 65_535),
        default: "8080 (from Python any free one)",
        help: "The TCP port; 0 takes any free one",
    },
    OptionSpec {
        name: "host",
        kind: Kind::Text,
        default: "0.0.0.0 (from Python 127.0.0.1)",
        help: "The address or name to listen on, IPv4 or IPv6; or unix: and the path of a socket",
    },
    OptionSpec {
        name: "listen_fd",
        kind: Kind::OptionalInteger(0, 1 << 20),
        default: "none",
        help: "A listening socket to take over, by the number of its descriptor, in place of host and port; the program takes over what systemd passes in LISTEN_FDS",
    },
    OptionSpec {
        name: "deferred",
        kind: Kind::Switch,
        default: "off",
        help: "Whether the system keeps connections until their first bytes have come (TCP_DEFER_ACCEPT), which makes short ones cheaper; one that sends nothing is not seen for a second or more",
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
        help: "Longest request line, in bytes; at most buffer_size - 1024, less what header adds",
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
        name: "cache_size",
        kind: Kind::Integer(0, 1 << 34),
        default: "16777216",
        help: "Memory for the contents of files up to 128 KiB, in bytes; 0 keeps none",
    },
    OptionSpec {
        name: "listing",
        kind: Kind::Switch,
        default: "off",
        help: "Whether a directory without index.html is answered with a list of what is in it",
    },
    OptionSpec {
        name: "hidden",
        kind: Kind::Switch,
        default: "off",
        help: "Whether names that begin with a dot are served",
    },
    OptionSpec {
        name: "precompressed",
        kind: Kind::Switch,
        default: "off",
        help: "Whether name.br, name.zst or name.gz is sent in place of name to who accepts it",
    },
    OptionSpec {
        name: "header",
        kind: Kind::FieldLines,
        default: "none",
        help: "A field line \"Name: value\" for every response; may be given several times",
    },
    OptionSpec { name: "cache_control", kind: Kind::FieldValue, default: "none", help: "The Cache-Control of files" },
    OptionSpec {
        name: "cors",
        kind: Kind::Origins,
        default: "off",
        help: "Other origins that may read the answers: * for any, or a list such as https://example.org",
    },
    OptionSpec {
        name: "spa",
        kind: Kind::Switch,
        default: "off",
        help: "Whether a path that names nothing and has no extension is answered with the root's index.html",
    },
    OptionSpec {
        name: "error_pages",
        kind: Kind::Switch,
        default: "off",
        help: "Whether 404.html and the like in the root are the content of error answers",
    },
    OptionSpec {
        name: "status_path",
        kind: Kind::UrlPath,
        default: "none",
        help: "A path for the statistics as JSON (?format=prometheus for Prometheus), and /health below it",
    },
    OptionSpec {
        name: "access_log",
        kind: Kind::Choice(&["off", "common", "combined", "json"]),
        default: "off",
        help: "One line for each answer: common, combined or json",
    },
    OptionSpec {
        name: "access_log_file",
        kind: Kind::FileName,
        default: "none",
        help: "A file for the access log in place of standard output, combined unless access_log says otherwise; opened anew on SIGHUP",
    },
    OptionSpec {
        name: "log_level",
        kind: Kind::Level,
        default: "debug",
        help: "How much is told: off, error, warn, info (start and stop), debug (the story of every connection)",
    },
];
