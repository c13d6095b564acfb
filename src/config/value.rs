//! The kinds of options, the values they take, and the errors that say what would be right.

use super::site;
use crate::http::grammar;
use crate::trace::Level;
use std::fmt::{self, Display, Formatter};

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
    /// One of these words.
    Choice(&'static [&'static str]),
    /// Any number of field lines `Name: value`.
    FieldLines,
    /// Origins, any origin, or off.
    Origins,
    /// A path of a URL, or none.
    UrlPath,
    /// The value of a field, or none.
    FieldValue,
    /// The name of a file, or none.
    FileName,
}

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
    /// Several texts.
    List(Vec<String>),
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
            Self::List(texts) => write!(out, "{texts:?}"),
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
    /// Whether a text on the command line is a right value of this kind.
    #[must_use]
    pub fn takes(self, text: &str) -> bool {
        self.fault(&self.read(text)).is_none()
    }

    /// What is wrong with a value of this kind, as the end of a sentence; nothing where it is right.
    pub(super) fn fault(self, value: &Value) -> Option<String> {
        let checked = match (self, value) {
            (Self::FieldLines, Value::List(lines)) => {
                lines.iter().find_map(|line| site::field_line(line).err()).map_or(Ok(()), Err)
            }
            (Self::FieldLines, Value::Text(line)) => site::field_line(line).map(|_| ()),
            (Self::Origins, Value::Text(text)) => site::origins(text).map(|_| ()),
            (Self::UrlPath, Value::Text(path)) => site::status_name(path).map(|_| ()),
            _ if self.accepts(value) => Ok(()),
            _ => Err(format!("it takes {}", self.expectation())),
        };
        checked.err()
    }

    /// What would be right.
    fn expectation(self) -> String {
        match self {
            Self::Integer(low, high) => format!("a whole number from {low} to {high}"),
            Self::OptionalInteger(low, high) => format!("none or a whole number from {low} to {high}"),
            Self::Seconds(low, high) => format!("a number of seconds from {} to {}", seconds(low), seconds(high)),
            Self::Switch => "on or off".into(),
            Self::Text => "a text that is not empty".into(),
            Self::Level => Level::ALL.map(Level::name).join(", "),
            Self::Choice(words) => words.join(", "),
            Self::FieldLines => "field lines of the form \"Name: value\"".into(),
            Self::Origins => "off, * for any origin, or a list of origins such as https://example.org".into(),
            Self::UrlPath => "none or a path such as /status".into(),
            Self::FieldValue => "none or a field value without control bytes".into(),
            Self::FileName => "none or the name of a file".into(),
        }
    }

    /// Whether a value that needs no closer look is right.
    fn accepts(self, value: &Value) -> bool {
        let within = |value: i128, low: u64, high: u64| (i128::from(low)..=i128::from(high)).contains(&value);
        match (self, value) {
            (Self::Integer(low, high) | Self::OptionalInteger(low, high), Value::Integer(value)) => {
                within(*value, low, high)
            }
            (Self::Seconds(..), Value::Integer(_) | Value::Number(_)) => self.milliseconds(value).is_some(),
            (Self::Switch | Self::Origins, Value::Switch(_))
            | (
                Self::OptionalInteger(..) | Self::FieldLines | Self::UrlPath | Self::FieldValue | Self::FileName,
                Value::None,
            ) => true,
            (Self::Text | Self::FileName, Value::Text(text)) => !text.is_empty() && !text.contains('\0'),
            (Self::FieldValue, Value::Text(text)) => {
                !text.trim().is_empty() && grammar::all(text.as_bytes(), grammar::FIELD_CONTENT)
            }
            (Self::Level, Value::Text(text)) => Level::named(text).is_some(),
            (Self::Choice(words), Value::Text(text)) => words.contains(&text.as_str()),
            _ => false,
        }
    }

    #[allow(clippy::cast_precision_loss, clippy::cast_possible_truncation, clippy::cast_sign_loss)] // In range by the check.
    pub(super) fn milliseconds(self, value: &Value) -> Option<u64> {
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
            Self::OptionalInteger(..) | Self::FieldLines | Self::UrlPath | Self::FieldValue | Self::FileName
                if text == "none" =>
            {
                Some(Value::None)
            }
            Self::OptionalInteger(..) => text.parse().ok().map(Value::Integer),
            Self::Seconds(..) => text.parse().ok().map(Value::Number),
            Self::Switch => match text {
                "on" | "true" | "yes" | "1" => Some(Value::Switch(true)),
                "off" | "false" | "no" | "0" => Some(Value::Switch(false)),
                _ => None,
            },
            _ => None,
        };
        parsed.unwrap_or_else(|| Value::Text(text.into()))
    }
}

fn seconds(milliseconds: u64) -> String {
    if milliseconds.is_multiple_of(1000) { (milliseconds / 1000).to_string() } else { format!("0.{milliseconds:03}") }
}
