//! How the server reads a request-target, for what is asked of recorded requests: the same functions, so that neither side differs.

use super::errors::exception;
use crate::canned::{CannedAnswers, Registration};
use crate::http::Span;
use crate::http::request_line::RequestLine;
use crate::http::target::{Target, decode_path};
use pyo3::prelude::*;
use pyo3::types::PyBytes;
use std::sync::Arc;

/// A path and a query as the server reads them.
struct Read {
    /// Decoded, without dot-segments, without the slash at its beginning.
    path: Vec<u8>,
    /// As received.
    query: Option<Vec<u8>>,
}

/// Reads a target; none where the server refuses it, and where it has no path.
fn read(method: &str, target: &str) -> Option<Read> {
    // Which version it is makes no difference to its path.
    let line = format!("{method} {target} HTTP/1.1");
    let line = line.as_bytes();
    let parsed = RequestLine::parse(line, Span::new(0, line.len())).ok()?;
    let target = Target::parse(parsed.method, parsed.target.of(line)).ok()?;
    let Target::Path { path, query } = target else { return None };
    if target.has_fragment() {
        return None;
    }
    let mut name = vec![0; path.len()];
    let length = decode_path(path, &mut name).ok()?;
    name.truncate(length);
    Some(Read { path: name, query: query.map(<[u8]>::to_vec) })
}

/// The path and the query of a request's target as the server reads them; None where it has none or is refused.
#[pyfunction]
#[pyo3(name = "_read_target")]
pub(super) fn read_target<'py>(
    py: Python<'py>,
    method: &str,
    target: &str,
) -> Option<(Bound<'py, PyBytes>, Option<Bound<'py, PyBytes>>)> {
    let Read { path, query } = read(method, target)?;
    let path = [b"/", &*path].concat();
    Some((PyBytes::new(py, &path), query.map(|query| PyBytes::new(py, &query))))
}

/// A path as answers are registered for it.
#[pyclass(frozen, name = "_PathPattern", module = "pooled_httpd._native")]
pub(super) struct PathPattern(CannedAnswers);

#[pymethods]
impl PathPattern {
    #[new]
    fn new(py: Python<'_>, path: &str) -> PyResult<Self> {
        let registered = Registration::new(path).check(usize::MAX);
        let answer = registered.map_err(|error| exception(py, "OptionError", (error.to_string(),)))?;
        Ok(Self(CannedAnswers::new(&[Arc::new(answer)])))
    }

    /// Whether an answer that was registered for the path would be given to a request with this target.
    fn matches(&self, method: &str, target: &str) -> bool {
        // It is given as often as anybody asks, so that it is of no account that this counts.
        read(method, target).is_some_and(|read| self.0.take(b"", &read.path, read.query.as_deref()).is_some())
    }
}
