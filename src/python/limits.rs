//! The limits that a server runs with and the memory that it takes, as plain dicts.

use crate::config::Config;
use crate::server::MemoryPlan;
use pyo3::prelude::*;
use pyo3::types::PyDict;

/// What bounds a server, by the names of the options; timeouts in seconds, and None where there is no bound.
pub(super) fn limits<'py>(py: Python<'py>, config: &Config) -> PyResult<Bound<'py, PyDict>> {
    let (limits, dict) = (&config.limits, PyDict::new(py));
    dict.set_item("max_connections", limits.max_connections)?;
    dict.set_item("pool_size", limits.pool_size)?;
    dict.set_item("buffer_size", limits.buffer_size)?;
    dict.set_item("header_timeout", limits.header_timeout.as_secs_f64())?;
    dict.set_item("keepalive_timeout", limits.keepalive_timeout.as_secs_f64())?;
    dict.set_item("content_timeout", limits.content_timeout.as_secs_f64())?;
    dict.set_item("send_timeout", limits.send_timeout.as_secs_f64())?;
    dict.set_item("max_content", limits.max_content)?;
    dict.set_item("max_request_line", limits.max_request_line)?;
    dict.set_item("max_field_lines", limits.max_field_lines)?;
    dict.set_item("max_requests_per_connection", limits.max_requests_per_connection)?;
    dict.set_item("cache_size", config.cache_size)?;
    Ok(dict)
}

/// The terms of promise P2's sum and the sum, in bytes, but for `connections`, which counts.
pub(super) fn memory<'py>(py: Python<'py>, config: &Config) -> PyResult<Bound<'py, PyDict>> {
    let (plan, dict) = (MemoryPlan::of(config), PyDict::new(py));
    for (name, term) in [
        ("connections", plan.connections),
        ("receive_buffer", plan.receive_buffer),
        ("send_buffer", plan.send_buffer),
        ("pool", plan.pool),
        ("slot", plan.slot),
        ("tables", plan.tables),
        ("cache", plan.cache),
        ("log_ring", plan.log_ring),
        ("total", plan.total()),
    ] {
        dict.set_item(name, term)?;
    }
    Ok(dict)
}
