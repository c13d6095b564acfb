//! The bindings, and nothing else: Python's values in, the server's functions called, errors and values out.
//!
//! The event loop never comes here. Whatever can wait, waits detached from the interpreter.

mod errors;
mod limits;
mod logging;
mod orders;
mod server;
mod stats;
mod targets;
mod values;

use crate::connection::State;
use pyo3::prelude::*;

/// The private native module. `pooled_httpd` is its public face.
#[pymodule(gil_used = false)]
mod _native {
    use super::*;

    #[pymodule_export]
    use super::orders::{
        CannedAnswer, keep_requests, keep_story, open_connections, requests, reset, respond, story, wait_for_answers,
        withdraw_all,
    };
    #[pymodule_export]
    use super::server::{
        PyServer, has_ended, run_command_line, server_destroy, server_drain, server_get_stats, server_print_stats,
        server_run, server_set_max_connections, server_set_pool_size, server_set_timeout, server_stop, stop_all,
    };
    #[pymodule_export]
    use super::stats::ServerStats;
    #[pymodule_export]
    use super::targets::{PathPattern, read_target};

    /// Options as (name, default, help), in the order of the documentation.
    #[pyfunction]
    fn options() -> Vec<(&'static str, &'static str, &'static str)> {
        crate::config::OPTIONS.iter().map(|option| (option.name, option.default, option.help)).collect()
    }

    /// The table of the legal changes of state, as pairs of names, for what draws it.
    #[pyfunction]
    #[pyo3(name = "_legal_changes")]
    fn legal_changes() -> Vec<(&'static str, &'static str)> {
        let pairs = State::ALL.iter().flat_map(|from| State::ALL.iter().map(move |to| (from, to)));
        pairs.filter(|(from, to)| from.may_become(**to)).map(|(from, to)| (from.name(), to.name())).collect()
    }

    #[pymodule_init]
    fn init(module: &Bound<'_, PyModule>) -> PyResult<()> {
        let py = module.py();
        super::logging::install(py)?;
        py.import("atexit")?.call_method1("register", (module.getattr("_stop_all")?,))?;
        Ok(())
    }
}
