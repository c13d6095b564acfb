//! How many descriptors the connections can need, beside how many the system lets this process have.

use crate::stats::Grouped;
use rustix::process::{Resource, getrlimit};

/// How many descriptors so many connections can need: one each, one more while a large file is sent, and those of the server.
pub(crate) fn needed(max_connections: usize) -> u64 {
    2 * max_connections as u64 + 32
}

/// What is to be told where the system gives fewer.
pub(super) fn warning(max_connections: usize) -> Option<String> {
    let limit = getrlimit(Resource::Nofile).current?;
    let needed = needed(max_connections);
    (limit < needed).then(|| {
        format!(
            "The limit of {} descriptors is below the {} that {} connections can need; beyond it newcomers get a 503: raise it (ulimit -n) or lower max_connections",
            Grouped(limit),
            Grouped(needed),
            Grouped(max_connections as u64)
        )
    })
}
