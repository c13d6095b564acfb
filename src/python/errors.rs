//! The server's errors as the exceptions of `pooled_httpd.errors`, which are written in Python because each has two bases.

use crate::server::StartError;
use pyo3::PyErr;
use pyo3::prelude::*;
use rustix::io::Errno;
use std::io;

/// An exception of `pooled_httpd.errors` by its name.
pub(super) fn exception(py: Python<'_>, name: &str, arguments: impl for<'py> pyo3::call::PyCallArgs<'py>) -> PyErr {
    let made = py.import("pooled_httpd.errors").and_then(|module| module.getattr(name)?.call1(arguments));
    made.map_or_else(|error| error, PyErr::from_value)
}

/// The exception for an operator's mistake.
pub(super) fn from_start_error(py: Python<'_>, error: &StartError) -> PyErr {
    let message = error.to_string();
    let number = |error: &io::Error| error.raw_os_error();
    match error {
        StartError::Option(_) => exception(py, "OptionError", (message,)),
        StartError::Root(_, cause) => match cause.kind() {
            io::ErrorKind::NotFound => exception(py, "RootNotFoundError", (number(cause), message)),
            io::ErrorKind::NotADirectory => exception(py, "RootNotADirectoryError", (number(cause), message)),
            _ => exception(py, "RootError", (number(cause), message)),
        },
        StartError::Bind(_, error) => match number(&error.cause) {
            Some(number) => exception(py, "BindError", (number, message)),
            // A name that leads nowhere; its cause has no number.
            None => exception(py, "BindError", (message,)),
        },
        StartError::AccessLog(_, cause) => exception(py, "AccessLogError", (number(cause), message)),
        StartError::State(_) => exception(py, "StateError", (message,)),
        StartError::Memory(_) => exception(py, "SystemRefusedError", (Errno::NOMEM.raw_os_error(), message)),
        StartError::Thread(cause) | StartError::System(cause) => {
            exception(py, "SystemRefusedError", (number(cause), message))
        }
    }
}
