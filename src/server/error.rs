//! The operator's mistakes and the system's refusals: errors at start, which say what was wrong and what would be right.

use crate::config::OptionError;
use crate::net::ListenError;
use std::fmt::{self, Display, Formatter};
use std::io;

/// Why a server cannot be created or run.
#[derive(Debug)]
pub enum StartError {
    /// An option is not known or has no fitting value.
    Option(OptionError),
    /// The document root cannot be served.
    Root(String, io::Error),
    /// The address cannot be bound.
    Bind(String, ListenError),
    /// The file of the access log cannot be written.
    AccessLog(String, io::Error),
    /// The server's life does not allow it.
    State(&'static str),
    /// The system has not the memory that the options ask for.
    Memory(String),
    /// The system gives no thread.
    Thread(io::Error),
    /// The system refused something else that the server needs.
    System(io::Error),
}

impl Display for StartError {
    fn fmt(&self, out: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Option(error) => error.fmt(out),
            Self::Root(path, error) => {
                write!(out, "docroot: {path:?} cannot be served: {error}; it takes a readable directory")
            }
            Self::Bind(place, error) => write!(out, "cannot listen on {place}: {error}"),
            Self::AccessLog(path, error) => write!(
                out,
                "access_log_file: {path:?} cannot be written: {error}; it takes the name of a file in a directory that can be written"
            ),
            Self::State(message) => out.write_str(message),
            Self::Memory(message) => out.write_str(message),
            Self::Thread(error) => write!(
                out,
                "the system gives no thread: {error}; a limit on threads or memory (ulimit -u, ulimit -v) may be too low"
            ),
            Self::System(error) => write!(out, "the system refused what the server needs: {error}"),
        }
    }
}

impl std::error::Error for StartError {}

impl From<OptionError> for StartError {
    fn from(error: OptionError) -> Self {
        Self::Option(error)
    }
}
