//! `Server` and the functions of the C-style API, which call its methods.

use super::errors::{exception, from_start_error};
use super::limits;
use super::logging::PythonLogging;
use super::stats::ServerStats;
use super::values::{path_text, to_value};
use crate::config::{Config, Options};
use crate::server::{Outcome, Server, StartError};
use crate::trace::{KeepingSink, Level};
use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyString, PyTuple};
use std::ffi::OsString;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

/// How long a wait may go on before signals are looked for: Ctrl+C works within twice this.
pub(super) const SIGNAL_INTERVAL: Duration = Duration::from_millis(40);

/// Every server that may be running, so that the interpreter's exit stops it.
static SERVERS: Mutex<Vec<(u32, Weak<Server>)>> = Mutex::new(Vec::new());

/// An HTTP/1.1 static-file server: what `pooled_httpd.Server` derives from.
#[pyclass(frozen, subclass, name = "Server", module = "pooled_httpd._native")]
pub(super) struct PyServer {
    /// None once it is destroyed.
    server: Mutex<Option<Arc<Server>>>,
    /// The process that made it: threads and event queue do not survive a fork.
    process: u32,
    docroot: String,
    host: String,
    port: u16,
    url: String,
    log_level: Level,
}

impl PyServer {
    fn create(
        py: Python<'_>,
        port: &Bound<'_, PyAny>,
        docroot: &Bound<'_, PyAny>,
        options: Option<&Bound<'_, PyDict>>,
    ) -> PyResult<Self> {
        let docroot = path_text(docroot, "docroot")?;
        let mut chosen = Options::new(docroot.clone(), "127.0.0.1");
        let mut set = |name: &str, value: &Bound<'_, PyAny>| {
            chosen.set(name, to_value(value)).map_err(|error| from_start_error(py, &StartError::Option(error)))
        };
        set("port", port)?;
        for (name, value) in options.into_iter().flatten() {
            set(name.cast::<PyString>()?.to_str()?, &value)?;
        }
        let log_level = chosen.config().map_err(|error| from_start_error(py, &StartError::Option(error)))?.log_level;
        let created = py.detach(|| Server::create(chosen));
        let server = Arc::new(created.map_err(|error| from_start_error(py, &error))?);
        let address = server.address().clone();
        let process = std::process::id();
        let mut servers = SERVERS.lock().unwrap_or_else(PoisonError::into_inner);
        servers.retain(|(_, server)| server.strong_count() > 0);
        servers.push((process, Arc::downgrade(&server)));
        let (host, port, url) = (address.host(), address.port(), address.url());
        Ok(Self { server: Mutex::new(Some(server)), process, docroot, host, port, url, log_level })
    }

    /// The server, unless it was destroyed or belongs to the parent process.
    pub(super) fn server(&self, py: Python<'_>) -> PyResult<Arc<Server>> {
        if std::process::id() != self.process {
            let message = format!(
                "this server belongs to process {}, which forked; threads and sockets' events do not survive a fork: \
                 create a server in the child",
                self.process
            );
            return Err(exception(py, "ForkError", (message,)));
        }
        let server = self.server.lock().unwrap_or_else(PoisonError::into_inner);
        server.clone().ok_or_else(|| destroyed(py))
    }

    /// For what is as true in a forked child: it may well be a client of its parent's server. A lock that somebody held at the fork
    /// is never given back there, so it is not taken.
    fn unless_destroyed(&self, py: Python<'_>) -> PyResult<()> {
        if std::process::id() != self.process || self.server.lock().unwrap_or_else(PoisonError::into_inner).is_some() {
            return Ok(());
        }
        Err(destroyed(py))
    }

    fn config(&self, py: Python<'_>) -> PyResult<Config> {
        let server = self.server(py)?;
        py.detach(|| server.config()).map_err(|error| from_start_error(py, &error))
    }

    fn set_option(&self, py: Python<'_>, name: &str, value: &Bound<'_, PyAny>) -> PyResult<()> {
        let server = self.server(py)?;
        let value = to_value(value);
        py.detach(|| server.set_option(name, value)).map_err(|error| from_start_error(py, &error))
    }

    /// Waits for the end with signals looked after.
    fn wait(py: Python<'_>, server: &Server) -> PyResult<()> {
        loop {
            match py.detach(|| server.wait(Some(SIGNAL_INTERVAL))) {
                Some(Outcome::Stopped) => return Ok(()),
                Some(Outcome::Failed(message)) => return Err(exception(py, "ServerFailedError", (message,))),
                None => {}
            }
            if let Err(interrupt) = py.check_signals() {
                py.detach(|| server.stop());
                return Err(interrupt);
            }
        }
    }
}

impl Drop for PyServer {
    fn drop(&mut self) {
        let server = self.server.get_mut().unwrap_or_else(PoisonError::into_inner).take();
        if std::process::id() != self.process {
            // The threads are in the parent: there is nothing here to join.
            std::mem::forget(server);
        } else if let Some(server) = server {
            // A dropped server is stopped and joined, detached: the log's reader may need the interpreter for its last lines.
            let mut server = Some(server);
            let _ = Python::try_attach(|py| py.detach(|| drop(server.take())));
            drop(server);
        }
    }
}

#[pymethods]
impl PyServer {
    #[new]
    #[pyo3(
        signature = (docroot, *unnamed, port = None, **options),
        text_signature = "(docroot, *, port=None, **options)",
    )]
    fn new(
        py: Python<'_>,
        docroot: &Bound<'_, PyAny>,
        unnamed: &Bound<'_, PyTuple>,
        port: Option<&Bound<'_, PyAny>>,
        options: Option<&Bound<'_, PyDict>>,
    ) -> PyResult<Self> {
        if !unnamed.is_empty() {
            let message = "Server() takes options by their names, the port too: Server(docroot, port=8080)";
            return Err(PyTypeError::new_err(message));
        }
        let any_port = 0_u16.into_pyobject(py)?.into_any();
        Self::create(py, port.unwrap_or(&any_port), docroot, options)
    }

    /// The TCP port that it listens on; true before it runs. 0 where it listens on a Unix socket.
    #[getter]
    fn port(&self, py: Python<'_>) -> PyResult<u16> {
        self.unless_destroyed(py)?;
        Ok(self.port)
    }

    /// The address to connect to, IPv6 in brackets; `unix:` and the path of a Unix socket.
    #[getter]
    fn host(&self, py: Python<'_>) -> PyResult<&str> {
        self.unless_destroyed(py)?;
        Ok(&self.host)
    }

    /// The document root as it was given.
    #[getter]
    fn docroot(&self, py: Python<'_>) -> PyResult<&str> {
        self.unless_destroyed(py)?;
        Ok(&self.docroot)
    }

    /// The URL of the document root, without its final slash; `http+unix://` and the encoded path of a Unix socket.
    #[getter]
    fn url(&self, py: Python<'_>) -> PyResult<&str> {
        self.unless_destroyed(py)?;
        Ok(&self.url)
    }

    /// Whether it accepts connections now.
    #[getter]
    fn is_running(&self, py: Python<'_>) -> PyResult<bool> {
        let server = self.server(py)?;
        Ok(py.detach(|| server.is_running()))
    }

    /// The URL of a path, which may begin with a slash or not.
    fn url_for(&self, py: Python<'_>, path: &Bound<'_, PyAny>) -> PyResult<String> {
        self.unless_destroyed(py)?;
        let path = path_text(path, "path")?;
        Ok(format!("{}/{}", self.url, path.strip_prefix('/').unwrap_or(&path)))
    }

    /// Starts serving on threads of its own and returns.
    fn start(&self, py: Python<'_>) -> PyResult<()> {
        let server = self.server(py)?;
        let logging = PythonLogging::new(self.log_level);
        let sink = Box::new(KeepingSink::new(logging, self.log_level, server.kept_story()));
        let started = py.detach(|| server.start(sink));
        // What was raised while the start was told on this thread, by a handler of records or of a signal, Ctrl+C among them:
        // pyo3-log leaves it as the current exception.
        if let Some(raised) = PyErr::take(py) {
            py.detach(|| server.stop());
            return Err(raised);
        }
        started.map_err(|error| from_start_error(py, &error))
    }

    /// Serves until it is stopped; Ctrl+C stops it and raises KeyboardInterrupt.
    fn run(&self, py: Python<'_>) -> PyResult<()> {
        let server = self.server(py)?;
        if py.detach(|| server.is_created()) {
            self.start(py)?;
        }
        Self::wait(py, &server)
    }

    /// Drains it: every connection ends with its next response and health answers 503; it serves on until it is stopped.
    fn drain(&self, py: Python<'_>) -> PyResult<()> {
        let server = self.server(py)?;
        py.detach(|| server.drain());
        Ok(())
    }

    /// Stops it and returns when everything is given back. Any thread may call it, any number of times.
    fn stop(&self, py: Python<'_>) -> PyResult<()> {
        let server = self.server(py)?;
        py.detach(|| server.stop());
        Ok(())
    }

    /// Stops it and gives everything back; every later use raises StateError, another destroy does nothing.
    fn destroy(&self, py: Python<'_>) -> PyResult<()> {
        match self.server(py) {
            Ok(server) => py.detach(|| server.stop()),
            Err(_) if std::process::id() == self.process => return Ok(()),
            Err(error) => return Err(error),
        }
        let server = self.server.lock().unwrap_or_else(PoisonError::into_inner).take();
        py.detach(|| drop(server));
        Ok(())
    }

    /// Opens the file of the access log anew by its name.
    fn reopen_access_log(&self, py: Python<'_>) -> PyResult<()> {
        let server = self.server(py)?;
        py.detach(|| server.reopen_access_log());
        Ok(())
    }

    /// A consistent copy of the statistics; it includes every response that a client has read.
    fn stats(&self, py: Python<'_>) -> PyResult<ServerStats> {
        let server = self.server(py)?;
        Ok(py.detach(|| ServerStats::of(&server.snapshot(), server.uptime())))
    }

    /// The statistics in the text format of Prometheus (0.0.4), as the status path has them.
    fn prometheus(&self, py: Python<'_>) -> PyResult<String> {
        let server = self.server(py)?;
        Ok(py.detach(|| server.prometheus()))
    }

    /// What bounds it, by the names of the options; timeouts in seconds, None where there is no bound.
    #[getter]
    fn limits<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        limits::limits(py, &self.config(py)?)
    }

    /// The terms of the memory that it takes, and their sum, in bytes; `connections` counts.
    #[getter]
    fn memory<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        limits::memory(py, &self.config(py)?)
    }

    /// Writes the statistics block to sys.stdout.
    fn print_stats(&self, py: Python<'_>) -> PyResult<()> {
        let server = self.server(py)?;
        let text = py.detach(|| server.snapshot()).to_string();
        py.import("builtins")?.call_method1("print", (text,))?;
        Ok(())
    }

    fn __enter__<'py>(slf: Bound<'py, Self>) -> PyResult<Bound<'py, Self>> {
        slf.get().start(slf.py())?;
        Ok(slf)
    }

    /// Stops it, unless it was destroyed meanwhile.
    #[pyo3(signature = (*_exception))]
    fn __exit__(&self, py: Python<'_>, _exception: &Bound<'_, PyTuple>) -> PyResult<()> {
        match self.server(py) {
            Ok(server) => py.detach(|| server.stop()),
            Err(_) if std::process::id() == self.process => {}
            Err(error) => return Err(error),
        }
        Ok(())
    }

    fn __repr__(&self, py: Python<'_>) -> String {
        let life = match self.server(py) {
            Err(_) => "gone",
            Ok(server) if py.detach(|| server.is_created()) => "created",
            Ok(server) if py.detach(|| server.is_running()) => "running",
            Ok(_) => "stopped",
        };
        format!("<pooled_httpd.Server {} of {:?}, {life}>", self.url, self.docroot)
    }
}

fn destroyed(py: Python<'_>) -> PyErr {
    exception(py, "StateError", ("the server has been destroyed",))
}

/// Serves until the server is stopped; the interpreter's lock is released meanwhile. Ctrl+C stops it.
#[pyfunction]
pub(super) fn server_run(py: Python<'_>, server: &PyServer) -> PyResult<()> {
    server.run(py)
}

/// Drains a server, from any thread or signal handler, any number of times.
#[pyfunction]
pub(super) fn server_drain(py: Python<'_>, server: &PyServer) -> PyResult<()> {
    server.drain(py)
}

/// Stops a server, from any thread or signal handler, any number of times.
#[pyfunction]
pub(super) fn server_stop(py: Python<'_>, server: &PyServer) -> PyResult<()> {
    server.stop(py)
}

/// Gives everything back; later use raises StateError.
#[pyfunction]
pub(super) fn server_destroy(py: Python<'_>, server: &PyServer) -> PyResult<()> {
    server.destroy(py)
}

/// Sets the pool size in bytes, before the server runs.
#[pyfunction]
pub(super) fn server_set_pool_size(py: Python<'_>, server: &PyServer, size: &Bound<'_, PyAny>) -> PyResult<()> {
    server.set_option(py, "pool_size", size)
}

/// Sets how many connections are served at the same time, before the server runs.
#[pyfunction]
pub(super) fn server_set_max_connections(py: Python<'_>, server: &PyServer, max: &Bound<'_, PyAny>) -> PyResult<()> {
    server.set_option(py, "max_connections", max)
}

/// Sets the four timeouts in seconds, before the server runs.
#[pyfunction]
pub(super) fn server_set_timeout(py: Python<'_>, server: &PyServer, seconds: &Bound<'_, PyAny>) -> PyResult<()> {
    server.set_option(py, "timeout", seconds)
}

/// A consistent copy of the statistics.
#[pyfunction]
pub(super) fn server_get_stats(py: Python<'_>, server: &PyServer) -> PyResult<ServerStats> {
    server.stats(py)
}

/// Writes the statistics block to sys.stdout.
#[pyfunction]
pub(super) fn server_print_stats(py: Python<'_>, server: &PyServer) -> PyResult<()> {
    server.print_stats(py)
}

/// Whether nothing more will be answered, because it was stopped; ServerFailedError where it ended by itself.
#[pyfunction]
#[pyo3(name = "_has_ended")]
pub(super) fn has_ended(py: Python<'_>, server: &PyServer) -> PyResult<bool> {
    let server = server.server(py)?;
    match py.detach(|| server.wait(Some(Duration::ZERO))) {
        Some(Outcome::Failed(message)) => Err(exception(py, "ServerFailedError", (message,))),
        outcome => Ok(outcome.is_some()),
    }
}

/// Stops every server of this process. Registered with atexit.
#[pyfunction]
#[pyo3(name = "_stop_all")]
pub(super) fn stop_all(py: Python<'_>) {
    let process = std::process::id();
    let servers: Vec<_> = {
        let known = SERVERS.lock().unwrap_or_else(PoisonError::into_inner);
        known.iter().filter(|(owner, _)| *owner == process).filter_map(|(_, server)| server.upgrade()).collect()
    };
    py.detach(|| servers.iter().for_each(|server| server.stop()));
}

/// Runs the command line, the program's name first, and returns its exit status.
#[pyfunction]
pub(super) fn run_command_line(py: Python<'_>, arguments: Vec<OsString>) -> PyResult<u8> {
    if arguments.is_empty() {
        return Err(PyTypeError::new_err("arguments: the first one is the program's name"));
    }
    Ok(py.detach(|| crate::cli::run(arguments)))
}
