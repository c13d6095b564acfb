//! What the runs have come upon, so that a simulator that sees nothing is noticed.

use super::client::Act;
use super::world::World;
use crate::connection::State;
use crate::http::{Reject, Status};
use crate::stats::Timeout;

/// Numbers that must all be above 0 once many seeds have run.
#[derive(Clone, Debug)]
pub(super) struct Coverage {
    states: [u64; State::ALL.len()],
    transitions: [[u64; State::ALL.len()]; State::ALL.len()],
    responses: [u64; Status::COUNT],
    rejects: [u64; Reject::COUNT],
    timeouts: [u64; Timeout::ALL.len()],
    events: [u64; EVENTS.len()],
}

const EVENTS: [&str; 14] = [
    "a connection is reclaimed",
    "a file is truncated",
    "a pool overflows",
    "a connection is abandoned",
    "100 (Continue)",
    "a peer ends in the middle of a request",
    "a peer resets",
    "a peer vanishes",
    "a peer half-closes",
    "a peer sleeps",
    "everything was foretold",
    "nothing was foretold",
    "the server closes and leaves bytes unread",
    "content is discarded",
];

impl Default for Coverage {
    fn default() -> Self {
        let states = [0; State::ALL.len()];
        Self {
            states,
            transitions: [states; State::ALL.len()],
            responses: [0; Status::COUNT],
            rejects: [0; Reject::COUNT],
            timeouts: [0; Timeout::ALL.len()],
            events: [0; EVENTS.len()],
        }
    }
}

impl Coverage {
    fn count(&mut self, event: &str) {
        let index = EVENTS.iter().position(|known| *known == event).expect("the event is listed");
        self.events[index] += 1;
    }

    pub(super) fn take_state(&mut self, state: State) {
        self.states[state as usize] += 1;
    }

    pub(super) fn take_act(&mut self, act: Act) {
        match act {
            Act::Resets => self.count("a peer resets"),
            Act::Vanishes => self.count("a peer vanishes"),
            Act::Ends => self.count("a peer half-closes"),
            Act::Sleeps(_) => self.count("a peer sleeps"),
            Act::Nothing | Act::Connects | Act::Delivers(_) | Act::Reads(_) => {}
        }
    }

    /// Takes in a line of the trace.
    pub(super) fn take_line(&mut self, line: &str) {
        let named = |name: &str| State::ALL.into_iter().find(|state| state.name() == name);
        let change = if let Some(states) = line.strip_prefix("State: ") {
            let (from, to) = states.split_once(" → ").unwrap_or(("FREE", states));
            named(from).zip(named(to))
        } else if line.starts_with("Parsed: ") {
            Some((State::ReadingRequestLine, State::ReadingHeaders))
        } else if line == "Connection closed" {
            Some((State::Closing, State::Free))
        } else {
            None
        };
        if let Some((from, to)) = change {
            self.take_state(to);
            self.transitions[from as usize][to as usize] += 1;
        }
        if line.starts_with("Content: ") {
            self.count("content is discarded");
        }
        if line.starts_with("Peer closed in the middle") {
            self.count("a peer ends in the middle of a request");
        }
    }

    /// Takes in the end of a run.
    pub(super) fn take_end(&mut self, world: &World, is_foretold: bool) {
        let statistics = world.table.counters().snapshot();
        add(&mut self.responses, &statistics.responses);
        add(&mut self.rejects, &statistics.rejects);
        add(&mut self.timeouts, &statistics.timeouts);
        let mut happened = |event, times: u64| (0..times).for_each(|_| self.count(event));
        happened("a connection is reclaimed", statistics.connections_reclaimed);
        happened("a file is truncated", statistics.files_truncated);
        happened("a pool overflows", statistics.pool_overflows);
        happened("a connection is abandoned", world.tally.abandoned);
        happened("100 (Continue)", world.clients.iter().map(|client| client.reader.interim as u64).sum());
        happened(if is_foretold { "everything was foretold" } else { "nothing was foretold" }, 1);
        let unread = world.clients.iter().filter(|client| client.wire.closed_unread).count();
        happened("the server closes and leaves bytes unread", unread as u64);
    }

    pub(super) fn merge(&mut self, other: &Self) {
        add(&mut self.states, &other.states);
        for (mine, theirs) in self.transitions.iter_mut().zip(&other.transitions) {
            add(mine, theirs);
        }
        add(&mut self.responses, &other.responses);
        add(&mut self.rejects, &other.rejects);
        add(&mut self.timeouts, &other.timeouts);
        add(&mut self.events, &other.events);
    }

    /// Everything that is to happen, and how often it did.
    pub(super) fn all(&self) -> Vec<(String, u64)> {
        let mut all = Vec::new();
        for state in State::ALL {
            all.push((format!("state {}", state.name()), self.states[state as usize]));
            for to in State::ALL.into_iter().filter(|to| state.may_become(*to)) {
                let count = self.transitions[state as usize][to as usize];
                all.push((format!("{} → {}", state.name(), to.name()), count));
            }
        }
        let statuses = Status::ALL.iter().map(|status| format!("status {}", status.text())).zip(self.responses);
        let rejects = Reject::ALL.iter().map(|reject| format!("reject {}", reject.name())).zip(self.rejects);
        let timeouts = Timeout::ALL.iter().map(|timeout| format!("timeout {}", timeout.name())).zip(self.timeouts);
        let events = EVENTS.iter().map(|event| (*event).to_owned()).zip(self.events);
        all.extend(statuses.chain(rejects).chain(timeouts).chain(events));
        all
    }
}

fn add(sums: &mut [u64], numbers: &[u64]) {
    for (sum, number) in sums.iter_mut().zip(numbers) {
        *sum += number;
    }
}
