//! Colours for terminals: which part of a line gets which. Without them every byte is as it would be.
//!
//! It looks at what this program says itself, never at what a peer sent: that has been escaped, and stays the plain end of a line.

use crate::trace::{Level, Logger};
use anstream::{AutoStream, ColorChoice};
use clap::builder::styling::{AnsiColor, Style};
use std::fmt::{self, Display, Formatter};
use std::io;

const PLAIN: Style = Style::new();
const BOLD: Style = Style::new().bold();
const DIM: Style = Style::new().dimmed();
const BLUE: Style = AnsiColor::BrightBlue.on_default();
const GREEN: Style = AnsiColor::Green.on_default();
const YELLOW: Style = AnsiColor::Yellow.on_default();
const RED: Style = AnsiColor::BrightRed.on_default();
/// The marks of connections in turn, so that stories which run together can be told apart.
const CONNECTIONS: [Style; 4] =
    [GREEN, AnsiColor::Cyan.on_default(), AnsiColor::Magenta.on_default(), AnsiColor::BrightGreen.on_default()];
/// How lines of a connection begin that stand out, or step back.
const BEGINNINGS: &[(&str, Style)] = &[
    ("Parsed:", BOLD),
    ("Serving file:", GREEN),
    ("Answering:", YELLOW),
    ("Rejected:", RED),
    ("Refused", RED),
    ("Invariant violated:", RED),
    ("Timeout:", YELLOW),
    ("Reclaimed:", YELLOW),
    ("Peer closed", YELLOW),
    ("Peer reset", YELLOW),
    ("File shrank", YELLOW),
    ("Pool reset", DIM),
    ("Connection closed", DIM),
    ("Total lifetime:", DIM),
];
const STATE: &str = "State: ";
const ARROW: &str = " → ";

/// Whether a stream gets colours.
#[derive(Clone, Copy, Debug)]
pub(super) struct Colours(bool);

impl Colours {
    /// Those of standard output: a terminal has them, unless NO_COLOR, CLICOLOR, CLICOLOR_FORCE or TERM say otherwise.
    pub(super) fn of_stdout() -> Self {
        Self(AutoStream::choice(&io::stdout()) != ColorChoice::Never)
    }

    /// The same for standard error.
    pub(super) fn of_stderr() -> Self {
        Self(AutoStream::choice(&io::stderr()) != ColorChoice::Never)
    }

    fn styled<T: Display>(self, style: Style, text: T) -> Styled<T> {
        Styled { style: if self.0 { style } else { PLAIN }, text }
    }

    /// The mark at the front of a line.
    pub(super) fn mark<T: Display>(self, level: Level, logger: Logger, text: T) -> impl Display {
        let style = match (logger, level) {
            (Logger::Connection(number), _) => CONNECTIONS[usize::try_from(number % 4).unwrap_or(0)],
            (Logger::Server, Level::Error) => RED.bold(),
            (Logger::Server, Level::Warn) => YELLOW.bold(),
            (Logger::Server, _) => BLUE,
        };
        self.styled(style, text)
    }

    /// A line without its mark.
    pub(super) fn line(self, text: fmt::Arguments<'_>) -> impl Display {
        Line { colours: self, text }
    }

    /// An address to click.
    pub(super) fn address<T: Display>(self, text: T) -> impl Display {
        self.styled(BLUE.underline(), text)
    }

    /// What stands before an error, as clap has it.
    pub(super) fn error<T: Display>(self, text: T) -> impl Display {
        self.styled(RED.bold(), text)
    }

    /// What stands before what to do about it, as clap has it.
    pub(super) fn tip<T: Display>(self, text: T) -> impl Display {
        self.styled(GREEN, text)
    }

    /// The statistics: headings stand out, and so does what must be 0 and is not.
    pub(super) fn statistics(self, text: &str) -> String {
        if !self.0 {
            return text.into();
        }
        let must_be_0 = ["Invariant Violations", "  malloc() calls during runtime", "  free() calls during runtime"];
        let style = |line: &str| match line.split_once(": ") {
            Some((name, "0")) if must_be_0.contains(&name) => GREEN,
            Some((name, _)) if must_be_0.contains(&name) => RED.bold(),
            Some(_) => PLAIN,
            None if line.starts_with('=') => BLUE,
            None => BOLD,
        };
        text.split('\n').map(|line| self.styled(style(line), line).to_string()).collect::<Vec<_>>().join("\n")
    }
}

/// Text in a style. A plain one adds nothing.
struct Styled<T> {
    style: Style,
    text: T,
}

impl<T: Display> Display for Styled<T> {
    fn fmt(&self, out: &mut Formatter<'_>) -> fmt::Result {
        write!(out, "{}{}{:#}", self.style, self.text, self.style)
    }
}

/// A line without its mark. Only where there are colours is it looked at.
struct Line<'a> {
    colours: Colours,
    text: fmt::Arguments<'a>,
}

impl Display for Line<'_> {
    fn fmt(&self, out: &mut Formatter<'_>) -> fmt::Result {
        if !self.colours.0 {
            return out.write_fmt(self.text);
        }
        let text = self.text.to_string();
        if let Some(states) = text.strip_prefix(STATE) {
            out.write_str(STATE)?;
            for (index, state) in states.split(ARROW).enumerate() {
                out.write_str(if index > 0 { ARROW } else { "" })?;
                write!(out, "{}", self.colours.styled(YELLOW, state))?;
            }
            return Ok(());
        }
        let style =
            BEGINNINGS.iter().find(|(beginning, _)| text.starts_with(beginning)).map_or(PLAIN, |(_, style)| *style);
        write!(out, "{}", self.colours.styled(style, text))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::connection::State;
    use crate::stats::Timeout;
    use crate::trace::{Event, Line as Story, Record};

    /// A text without its escape sequences, which are all of the form `ESC [ … m`.
    fn without_colours(text: &str) -> String {
        let mut parts = text.split("\x1b[");
        let mut plain = parts.next().unwrap_or_default().to_owned();
        for part in parts {
            let (codes, rest) = part.split_once('m').expect("every sequence ends");
            assert!(codes.bytes().all(|byte| byte.is_ascii_digit() || byte == b';'), "{codes:?}");
            plain.push_str(rest);
        }
        plain
    }

    #[test]
    fn colours_change_no_text_and_end_with_it() {
        for text in [
            "State: READING_HEADERS → PROCESSING",
            "State: CLOSING",
            "Parsed: GET /\\x1b[31m HTTP/1.1",
            "Read 78 bytes, buffer: 78/16384",
            "Rejected: 400 Bad Request, a bare CR (RFC 9112 section 2.2)",
        ] {
            let coloured = Colours(true).line(format_args!("{text}")).to_string();
            assert_eq!(without_colours(&coloured), text);
            assert_eq!(Colours(false).line(format_args!("{text}")).to_string(), text);
        }
        let line = Colours(true).line(format_args!("State: A → B")).to_string();
        assert_eq!(line, "State: \x1b[33mA\x1b[0m → \x1b[33mB\x1b[0m");
        let block = "=== x ===\nPool Statistics:\n  Pool overflows: 0\n  free() calls during runtime: 0\nInvariant Violations: 2\n";
        assert_eq!(Colours(false).statistics(block), block);
        let coloured = Colours(true).statistics(block);
        assert_eq!(without_colours(&coloured), block);
        assert!(coloured.contains("\x1b[32m  free() calls during runtime: 0\x1b[0m\n"));
        assert!(coloured.contains("\x1b[1m\x1b[91mInvariant Violations: 2\x1b[0m\n"), "{coloured:?}");
    }

    #[test]
    fn every_beginning_is_that_of_a_line() {
        let events = [
            Event::Parsed,
            Event::ServingFile(1),
            Event::Answering(crate::http::Status::NotFound),
            Event::Rejected(crate::http::Reject::RequestTarget),
            Event::Refused(None, crate::http::Reject::RequestTarget),
            Event::Violated("x"),
            Event::TimedOut(Timeout::Header, 1),
            Event::Reclaimed,
            Event::PeerClosed,
            Event::PeerReset,
            Event::FileTruncated(1),
            Event::PoolReset(1),
            Event::Closed,
            Event::Lifetime(1, 0),
        ];
        let text = |event| {
            let mut record = Record::EMPTY;
            record.set(Some(0), event, b"");
            Story { record: &record, root: "." }.to_string()
        };
        for ((beginning, _), event) in BEGINNINGS.iter().zip(events) {
            assert!(text(event).starts_with(beginning), "{beginning}");
        }
        assert_eq!(BEGINNINGS.len(), events.len());
        let changed = text(Event::Changed(State::Processing, State::Closing));
        assert!(changed.starts_with(STATE) && changed.contains(ARROW));
    }
}
