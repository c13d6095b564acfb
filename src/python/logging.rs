//! The server's lines as records of Python's `logging`, by way of `log` and pyo3-log, from the log's own thread.

use crate::trace::{Level, Logger, Sink};
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3_log::{Caching, ResetHandle};
use std::fmt;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

const SERVER: &str = "pooled_httpd";
/// pyo3-log writes `::` as a dot.
const CONNECTION: &str = "pooled_httpd::conn";
const CONNECTION_LOGGER: &str = "pooled_httpd.conn";
const ACCESS: &str = "pooled_httpd::access";
/// How often the loggers' levels are read.
const LEVEL_AGE: Duration = Duration::from_millis(40);

static RESET: OnceLock<ResetHandle> = OnceLock::new();
/// The manager of all loggers, and the two whose levels count; `logging` never makes others of the same names.
static LOGGERS: PyOnceLock<(Py<PyAny>, [Py<PyAny>; 2])> = PyOnceLock::new();

/// Connects `log` with Python's `logging`, once for the process.
pub(super) fn install(py: Python<'_>) -> PyResult<()> {
    if RESET.get().is_none() {
        let logger = pyo3_log::Logger::new(py, Caching::LoggersAndLevels)?.filter(log::LevelFilter::Debug);
        if let Ok(handle) = logger.install() {
            // Another thread cannot have come first: the import lock is held.
            let _ = RESET.set(handle);
        }
    }
    Ok(())
}

/// Python's `logging` as a sink.
pub(super) struct PythonLogging {
    /// What the option `log_level` allows at most.
    most: Level,
    read_at: Option<Instant>,
}

impl PythonLogging {
    pub(super) fn new(most: Level) -> Self {
        Self { most, read_at: None }
    }
}

impl Sink for PythonLogging {
    fn line(&mut self, level: Level, logger: Logger, text: fmt::Arguments<'_>) {
        let level = match level {
            Level::Off => return,
            Level::Error => log::Level::Error,
            Level::Warn => log::Level::Warn,
            Level::Info => log::Level::Info,
            Level::Debug => log::Level::Debug,
        };
        // pyo3-log attaches by itself, but panics where the interpreter is going away; then there is nobody to tell.
        let _ = Python::try_attach(|_| match logger {
            Logger::Server => log::log!(target: SERVER, level, "{text}"),
            Logger::Connection(number) => log::log!(target: CONNECTION, level, "[CONN {number}] {text}"),
        });
    }

    fn access(&mut self, line: fmt::Arguments<'_>) {
        let _ = Python::try_attach(|_| log::info!(target: ACCESS, "{line}"));
    }

    fn level(&mut self) -> Option<Level> {
        if self.read_at.is_some_and(|read_at| read_at.elapsed() < LEVEL_AGE) {
            return None;
        }
        self.read_at = Some(Instant::now());
        let most = self.most;
        Python::try_attach(|py| {
            if let Some(handle) = RESET.get() {
                handle.reset();
            }
            effective_level(py).unwrap_or(Level::Info).min(most)
        })
    }
}

/// The most that either logger lets through.
fn effective_level(py: Python<'_>) -> PyResult<Level> {
    // As `Logger.isEnabledFor` has it, in one call for all levels: every start of a server asks.
    let (manager, loggers) = LOGGERS.get_or_try_init(py, || {
        let logging = py.import("logging")?;
        let logger = |name| PyResult::Ok(logging.call_method1("getLogger", (name,))?.unbind());
        PyResult::Ok((
            logging.getattr("root")?.getattr("manager")?.unbind(),
            [logger(SERVER)?, logger(CONNECTION_LOGGER)?],
        ))
    })?;
    let disabled: i64 = manager.bind(py).getattr("disable")?.extract()?;
    let mut most = Level::Off;
    for logger in loggers {
        let logger = logger.bind(py);
        if logger.getattr("disabled")?.is_truthy()? {
            continue;
        }
        let least: i64 = logger.call_method0("getEffectiveLevel")?.extract()?;
        for (number, level) in [(40, Level::Error), (30, Level::Warn), (20, Level::Info), (10, Level::Debug)] {
            if level > most && number > disabled && number >= least {
                most = level;
            }
        }
    }
    Ok(most)
}
