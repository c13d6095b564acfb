//! What `pooled_httpd.Server` asks of a server at any time, as private functions: its Python methods are their public face.

use super::errors::exception;
use super::server::{PyServer, SIGNAL_INTERVAL};
use crate::canned::{Canned, Ending, Pace, Place, Registration, RegistrationError, Wait};
use crate::server::Server;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyTuple};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

/// How long a wait sleeps between two looks at the statistics.
const SHORTEST_SLEEP: Duration = Duration::from_micros(20);
const LONGEST_SLEEP: Duration = Duration::from_micros(500);

/// An answer that was registered: how often it was given, and a way to withdraw it.
#[pyclass(frozen, module = "pooled_httpd")]
pub(super) struct CannedAnswer {
    server: Weak<Server>,
    canned: Weak<Canned>,
    served: Arc<AtomicU64>,
    path: String,
    /// The process that made it: there is no loop to be told in another one.
    process: u32,
}

#[pymethods]
impl CannedAnswer {
    /// How often it was given, every answer that a client has read included.
    #[getter]
    fn served(&self) -> u64 {
        self.served.load(Ordering::Relaxed)
    }

    /// The path as it was registered.
    #[getter]
    fn path(&self) -> &str {
        &self.path
    }

    /// Gives it no more, except where it is being sent already. Nothing happens where it was withdrawn or replaced before.
    fn withdraw(&self, py: Python<'_>) -> PyResult<()> {
        if std::process::id() != self.process {
            let message = format!("this answer belongs to a server of process {}, which forked", self.process);
            return Err(exception(py, "ForkError", (message,)));
        }
        if let (Some(server), Some(canned)) = (self.server.upgrade(), self.canned.upgrade()) {
            py.detach(|| {
                server.withdraw(&canned);
                drop(canned);
            });
        }
        Ok(())
    }

    fn __repr__(&self) -> String {
        format!("<pooled_httpd.CannedAnswer {:?}, served {} times>", self.path, self.served())
    }
}

fn to_error(py: Python<'_>, error: &RegistrationError) -> PyErr {
    exception(py, "OptionError", (error.to_string(),))
}

/// Seconds as a wait: None stands for ever, 0 for no wait.
fn wait_of(py: Python<'_>, argument: &'static str, seconds: Option<f64>) -> PyResult<Wait> {
    const LONGEST: f64 = 86_400.0;
    match seconds {
        None => Ok(Wait::ForEver),
        Some(0.0) => Ok(Wait::None),
        Some(seconds) if (0.0..=LONGEST).contains(&seconds) => {
            Ok(Wait::For(u64::try_from(Duration::from_secs_f64(seconds).as_nanos()).unwrap_or(u64::MAX)))
        }
        Some(seconds) => {
            let reason = format!("{seconds} is not within 0 to 86,400 seconds");
            Err(to_error(py, &RegistrationError { argument, reason }))
        }
    }
}

/// A place as Python has it: -1 for the start, else so many bytes behind the head.
fn place_of(place: i64) -> Place {
    usize::try_from(place).map_or(Place::Start, Place::Content)
}

/// Registers an answer. `stall` is a place and seconds, `dribble` bytes and seconds, `cut` a place and whether a reset follows.
#[pyfunction]
#[pyo3(name = "_respond")]
#[pyo3(signature = (server, path, *, method, status, reason, fields, content, is_raw, times, delay, stall, dribble, cut))]
#[allow(clippy::too_many_arguments)] // They are Python's keywords.
pub(super) fn respond(
    py: Python<'_>,
    server: &PyServer,
    path: String,
    method: Option<String>,
    status: u16,
    reason: Option<String>,
    fields: Vec<(String, String)>,
    content: Vec<u8>,
    is_raw: bool,
    times: Option<u64>,
    delay: Option<f64>,
    stall: Option<(i64, Option<f64>)>,
    dribble: Option<(usize, f64)>,
    cut: Option<(i64, bool)>,
) -> PyResult<CannedAnswer> {
    let server = server.server(py)?;
    let stall = match stall {
        Some((place, seconds)) => Some((place_of(place), wait_of(py, "fault", seconds)?)),
        None => None,
    };
    let dribble = match dribble {
        Some((bytes, seconds)) => match wait_of(py, "fault", Some(seconds))? {
            Wait::For(nanoseconds) => Some((bytes, nanoseconds)),
            _ => Some((bytes, 0)),
        },
        None => None,
    };
    let ending = match cut {
        None => Ending::AsSaid,
        Some((_, true)) => Ending::Reset,
        Some((_, false)) => Ending::Close,
    };
    let delay = wait_of(py, "delay", delay)?;
    let pace = Pace { delay, stall, dribble, cut: cut.map(|(place, _)| place_of(place)), ending };
    let registration =
        Registration { path: path.clone(), method, status, reason, fields, content, is_raw, times, pace };
    let registered = py.detach(|| server.register(registration)).map_err(|error| to_error(py, &error))?;
    Ok(CannedAnswer {
        server: Arc::downgrade(&server),
        served: registered.counter(),
        canned: Arc::downgrade(&registered),
        path,
        process: std::process::id(),
    })
}

/// Withdraws every answer that was registered.
#[pyfunction]
#[pyo3(name = "_withdraw_all")]
pub(super) fn withdraw_all(py: Python<'_>, server: &PyServer) -> PyResult<()> {
    let server = server.server(py)?;
    py.detach(|| server.withdraw_all());
    Ok(())
}

/// Keeps requests in so much memory; 0 keeps none.
#[pyfunction]
#[pyo3(name = "_keep_requests")]
pub(super) fn keep_requests(py: Python<'_>, server: &PyServer, max_bytes: usize) -> PyResult<()> {
    let server = server.server(py)?;
    py.detach(|| server.keep_requests(max_bytes)).map_err(|error| to_error(py, &error))
}

/// The requests that were kept as tuples, and how many have given way; None where they are not kept.
#[pyfunction]
#[pyo3(name = "_requests")]
pub(super) fn requests<'py>(py: Python<'py>, server: &PyServer) -> PyResult<Option<(Vec<Bound<'py, PyTuple>>, u64)>> {
    let server = server.server(py)?;
    let Some((requests, forgotten)) = py.detach(|| server.requests()) else { return Ok(None) };
    let tuples = requests.into_iter().map(|request| {
        let peer = request.peer.map(|peer| (peer.ip().to_string(), peer.port()));
        let facts = (
            request.connection,
            request.request,
            peer,
            request.wall_milliseconds,
            request.duration,
            request.code,
            request.bytes_sent,
            request.content_length,
            PyBytes::new(py, &request.head),
            PyBytes::new(py, &request.content),
            request.is_valid,
        );
        facts.into_pyobject(py)
    });
    Ok(Some((tuples.collect::<PyResult<_>>()?, forgotten)))
}

/// Keeps so many lines of the story; 0 keeps none.
#[pyfunction]
#[pyo3(name = "_keep_story")]
pub(super) fn keep_story(py: Python<'_>, server: &PyServer, lines: usize) -> PyResult<()> {
    let server = server.server(py)?;
    py.detach(|| server.keep_story(lines));
    Ok(())
}

/// The lines that were kept, and how many before them have given way.
#[pyfunction]
#[pyo3(name = "_story")]
pub(super) fn story(py: Python<'_>, server: &PyServer) -> PyResult<(Vec<String>, u64)> {
    let server = server.server(py)?;
    Ok(py.detach(|| server.story()))
}

/// How many connections are open at both ends.
#[pyfunction]
#[pyo3(name = "_open_connections")]
pub(super) fn open_connections(py: Python<'_>, server: &PyServer) -> PyResult<usize> {
    let server = server.server(py)?;
    Ok(py.detach(|| server.open_connections()))
}

/// Begins anew. Returns how many connections were open at both ends.
#[pyfunction]
#[pyo3(name = "_reset")]
pub(super) fn reset(py: Python<'_>, server: &PyServer) -> PyResult<usize> {
    let server = server.server(py)?;
    Ok(py.detach(|| server.reset()))
}

/// Waits until so many answers have been given, for so many seconds at most, while signals are looked after. Whether they were.
#[pyfunction]
#[pyo3(name = "_wait_for_answers")]
pub(super) fn wait_for_answers(py: Python<'_>, server: &PyServer, count: u64, seconds: f64) -> PyResult<bool> {
    let server = server.server(py)?;
    let limit = Duration::try_from_secs_f64(seconds.max(0.0)).unwrap_or(Duration::MAX);
    let deadline = Instant::now().checked_add(limit);
    loop {
        let look_for_signals = Instant::now() + SIGNAL_INTERVAL;
        let outcome = py.detach(|| {
            let mut pause = SHORTEST_SLEEP;
            loop {
                if server.snapshot().total_requests >= count {
                    return Some(true);
                }
                let now = Instant::now();
                if deadline.is_some_and(|deadline| deadline <= now) {
                    return Some(false);
                }
                if look_for_signals <= now {
                    return None;
                }
                std::thread::sleep(pause);
                pause = (pause * 2).min(LONGEST_SLEEP);
            }
        });
        if let Some(outcome) = outcome {
            return Ok(outcome);
        }
        py.check_signals()?;
    }
}
