//! The statistics as one JSON object.

use super::connections::{self, ToldConnection};
use super::{FAMILIES, Kind, Seconds, Text, VERSION, other_responses, statuses, uptime, written};
use crate::connection::State;
use crate::http::Reject;
use crate::stats::{Counter, Numbers, Timeout, bucket_bounds};
use std::fmt::{self, Write};

/// The pools of the server, which no counter tells of.
#[derive(Clone, Copy, Debug)]
pub struct Pools {
    /// How many there are: one for each connection that there can be.
    pub total: usize,
    /// How many a request in progress holds now.
    pub in_use: usize,
    /// The size of one, in bytes.
    pub size: usize,
}

/// Writes one JSON object: the names of `ServerStats.as_dict()`, and `draining`, `version`, `pools` and `connections`. Returns its
/// length, or nothing where `memory` is too small; [`MAX_EXPORT`] bytes are enough, with as many connections as then fit.
#[must_use]
pub fn json<'a>(
    numbers: &Numbers,
    uptime_seconds: f64,
    draining: bool,
    pools: Pools,
    connections: impl Iterator<Item = ToldConnection<'a>>,
    memory: &mut [u8],
) -> Option<usize> {
    written(memory, |out| {
        write!(out, "{{\"version\":\"{VERSION}\",\"draining\":{draining},\"uptime\":{:.6}", uptime(uptime_seconds))?;
        for ((name, value), family) in Numbers::SCALARS.iter().zip(numbers.scalars()).zip(&FAMILIES) {
            if family.kind != Kind::InHistogram {
                write!(out, ",\"{name}\":{value}")?;
            }
        }
        let occurred = |counter: &&Counter| counter.get() != 0;
        let other = other_responses(numbers);
        let statuses = statuses(numbers, &other).filter(|(_, counter)| occurred(counter));
        json_object(out, "responses", statuses)?;
        let rejects = Reject::ALL.iter().zip(&numbers.rejects).filter(|(_, counter)| occurred(counter));
        json_object(out, "rejects", rejects.map(|(reject, counter)| (reject.name(), counter)))?;
        json_object(out, "timeouts", Timeout::ALL.iter().map(|kind| kind.name()).zip(&numbers.timeouts))?;
        json_object(out, "states", State::ALL.iter().map(|state| state.name()).zip(&numbers.states).skip(1))?;
        out.write_str(",\"latency\":[")?;
        let mut separator = "";
        for (bucket, counter) in numbers.latency.iter().enumerate().filter(|(_, counter)| occurred(counter)) {
            let (from, to) = bucket_bounds(bucket);
            write!(out, "{separator}[{},{},{}]", Seconds(from), Seconds(to), counter.get())?;
            separator = ",";
        }
        let Pools { total, in_use, size } = pools;
        write!(out, "],\"pools\":{{\"total\":{total},\"in_use\":{in_use},\"size\":{size}}}")?;
        connections::write(out, connections)
    })
}

fn json_object<'a, N: fmt::Display>(
    out: &mut Text<'_>,
    name: &str,
    members: impl Iterator<Item = (N, &'a Counter)>,
) -> fmt::Result {
    write!(out, ",\"{name}\":{{")?;
    let mut separator = "";
    for (name, counter) in members {
        write!(out, "{separator}\"{name}\":{}", counter.get())?;
        separator = ",";
    }
    out.write_char('}')
}
