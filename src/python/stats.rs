//! `ServerStats`: one consistent copy of the statistics as a frozen Python value.

use crate::connection::State;
use crate::http::{Code, Reject, Status};
use crate::stats::{BUCKETS, Snapshot, Timeout, bucket_bounds};
use pyo3::prelude::*;
use pyo3::types::PyDict;
use std::time::Duration;

macro_rules! server_stats {
    (counters { $($(#[doc = $doc:literal])* $counter:ident,)* } gauges { $($(#[doc = $gauge_doc:literal])* $gauge:ident,)* }) => {
        /// A consistent copy of a server's statistics. Subtract an earlier one for what happened between them: counters are
        /// subtracted, gauges stay as they are in the later one.
        #[pyclass(frozen, eq, module = "pooled_httpd")]
        #[derive(Clone, PartialEq)]
        pub(super) struct ServerStats {
            $($(#[doc = $doc])* #[pyo3(get)] $counter: i64,)*
            $($(#[doc = $gauge_doc])* #[pyo3(get)] $gauge: i64,)*
            /// Time since the server began to serve, in seconds.
            #[pyo3(get)]
            uptime: f64,
            responses: [i64; Status::COUNT],
            other_responses: [i64; Code::LIMIT],
            rejects: [i64; Reject::COUNT],
            timeouts: [i64; Timeout::ALL.len()],
            states: [i64; State::ALL.len()],
            latency: [i64; BUCKETS],
            text: String,
        }

        impl ServerStats {
            pub(super) fn of(snapshot: &Snapshot, uptime: Duration) -> Self {
                Self {
                    $($counter: signed(snapshot.$counter),)*
                    $($gauge: signed(snapshot.$gauge),)*
                    uptime: uptime.as_secs_f64(),
                    responses: snapshot.responses.map(signed),
                    other_responses: snapshot.other_responses.map(signed),
                    rejects: snapshot.rejects.map(signed),
                    timeouts: snapshot.timeouts.map(signed),
                    states: snapshot.states.map(signed),
                    latency: snapshot.latency.map(signed),
                    text: snapshot.to_string(),
                }
            }

            fn since(&self, earlier: &Self) -> Self {
                Self {
                    $($counter: self.$counter - earlier.$counter,)*
                    responses: difference(&self.responses, &earlier.responses),
                    other_responses: difference(&self.other_responses, &earlier.other_responses),
                    rejects: difference(&self.rejects, &earlier.rejects),
                    timeouts: difference(&self.timeouts, &earlier.timeouts),
                    latency: difference(&self.latency, &earlier.latency),
                    ..self.clone()
                }
            }

            fn scalars(&self) -> Vec<(&'static str, i64)> {
                vec![$((stringify!($counter), self.$counter),)* $((stringify!($gauge), self.$gauge),)*]
            }
        }
    };
}

server_stats! {
    counters {
        /// Answers given, refusals included.
        total_requests,
        /// Connections accepted into a slot.
        total_connections,
        /// Bytes received from peers, drained ones included.
        bytes_received,
        /// Bytes handed to the kernel for peers.
        bytes_sent,
        /// Requests that ended and so emptied their pool, answered or not.
        pool_resets,
        /// Pool memory used by all those requests together, in bytes.
        pool_usage_total,
        /// Requests that needed more than their pool had.
        pool_overflows,
        /// Newcomers that got a 503 for want of a slot or a descriptor.
        connections_refused,
        /// Idle persistent connections closed to make room for a newcomer.
        connections_reclaimed,
        /// Files that were shorter, or could no longer be read, when they were sent.
        files_truncated,
        /// File answers that needed no open.
        file_cache_hits,
        /// File answers that opened their file.
        file_cache_misses,
        /// Log records that found the ring full.
        log_records_dropped,
        /// Heap allocations of the loop's thread since "Server ready".
        malloc_calls,
        /// Heap frees of the loop's thread since "Server ready".
        free_calls,
        /// Invariant checks that held.
        invariant_checks_passed,
        /// Invariant checks that did not.
        invariant_violations,
    }
    gauges {
        /// Connections in any state but FREE.
        active_connections,
        /// The most connections at one time.
        peak_connections,
        /// The most pool memory that one request used, in bytes.
        peak_pool_usage,
        /// Heap memory that the loop's thread holds beyond that at "Server ready", in bytes.
        heap_bytes,
    }
}

fn signed(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

fn difference<const N: usize>(later: &[i64; N], earlier: &[i64; N]) -> [i64; N] {
    std::array::from_fn(|index| later[index] - earlier[index])
}

impl ServerStats {
    fn dict<'py>(py: Python<'py>, pairs: impl Iterator<Item = (&'static str, i64)>) -> PyResult<Bound<'py, PyDict>> {
        let dict = PyDict::new(py);
        for (name, value) in pairs {
            dict.set_item(name, value)?;
        }
        Ok(dict)
    }
}

#[pymethods]
impl ServerStats {
    /// Answers by status code, only those that occurred; 0 for what was registered to be sent without a status line.
    #[getter]
    fn responses<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let dict = PyDict::new(py);
        for (status, count) in Status::ALL.iter().zip(self.responses).filter(|(_, count)| *count != 0) {
            dict.set_item(status.code(), count)?;
        }
        for (code, count) in self.other_responses.iter().enumerate().filter(|(_, count)| **count != 0) {
            dict.set_item(code, count)?;
        }
        Ok(dict)
    }

    /// Refused requests by reason; only those that occurred.
    #[getter]
    fn rejects<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let occurred = Reject::ALL.iter().zip(self.rejects).filter(|(_, count)| *count != 0);
        Self::dict(py, occurred.map(|(reject, count)| (reject.name(), count)))
    }

    /// Timeouts by kind: header, keepalive, content, send.
    #[getter]
    fn timeouts<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        Self::dict(py, Timeout::ALL.iter().map(|kind| kind.name()).zip(self.timeouts))
    }

    /// Connections by state, FREE left out.
    #[getter]
    fn states<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        Self::dict(py, State::ALL.iter().map(|state| state.name()).zip(self.states).skip(1))
    }

    /// The latency histogram, from the first byte of a request until its response was handed over to be sent: (from, to, count),
    /// both bounds in seconds, the upper one excluded; only buckets that are not empty.
    #[getter]
    fn latency(&self) -> Vec<(f64, f64, i64)> {
        let seconds = |microseconds: u64| Duration::from_micros(microseconds).as_secs_f64();
        let buckets = self.latency.iter().enumerate().filter(|(_, count)| **count != 0);
        buckets
            .map(|(bucket, count)| (seconds(bucket_bounds(bucket).0), seconds(bucket_bounds(bucket).1), *count))
            .collect()
    }

    /// Everything as plain dicts, lists and numbers.
    fn as_dict<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let dict = Self::dict(py, self.scalars().into_iter())?;
        dict.set_item("uptime", self.uptime)?;
        dict.set_item("responses", self.responses(py)?)?;
        dict.set_item("rejects", self.rejects(py)?)?;
        dict.set_item("timeouts", self.timeouts(py)?)?;
        dict.set_item("states", self.states(py)?)?;
        dict.set_item("latency", self.latency())?;
        Ok(dict)
    }

    fn __sub__(&self, earlier: &Self) -> Self {
        self.since(earlier)
    }

    fn __repr__(&self, py: Python<'_>) -> PyResult<String> {
        let mut parts: Vec<_> = self.scalars().iter().map(|(name, value)| format!("{name}={value}")).collect();
        parts.push(format!("uptime={:.3}", self.uptime));
        for (name, dict) in
            [("responses", self.responses(py)?), ("rejects", self.rejects(py)?), ("states", self.states(py)?)]
        {
            parts.push(format!("{name}={}", dict.repr()?));
        }
        Ok(format!("ServerStats({})", parts.join(", ")))
    }

    /// The block that `server_print_stats` writes.
    fn __str__(&self) -> &str {
        &self.text
    }

    /// As a notebook shows it; `pooled_httpd.html` draws it.
    fn _repr_html_(slf: &Bound<'_, Self>) -> PyResult<String> {
        slf.py().import("pooled_httpd.html")?.call_method1("statistics_html", (slf,))?.extract()
    }
}
