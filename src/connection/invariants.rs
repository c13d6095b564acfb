//! What must hold after every change of state, and what happens where it does not.
//!
//! A violation is our own fault. It is counted, logged under the invariant's name, and ends the connection; in debug builds it
//! panics. The server goes on.

use super::canned::Registered;
use super::core::Core;
use super::{Connection, State};
use crate::trace::Event;

/// The name of each invariant, in the order of [`Connection::invariants`].
const NAMES: [&str; 9] = [
    "cursors_are_ordered",
    "spans_are_inside",
    "pool_is_within_its_size",
    "pool_is_empty_between_requests",
    "sending_has_a_response",
    "file_is_open_while_it_is_sent",
    "deadline_is_armed",
    "closing_gave_everything_back",
    "responses_are_within_requests",
];

impl<F> Connection<F> {
    /// Checks everything that concerns this connection alone.
    #[inline]
    pub(super) fn check_invariants(&mut self, core: &mut Core) {
        let checks = self.invariants(core);
        if checks == [true; NAMES.len()] {
            core.counters.invariant_checks_passed.add(NAMES.len() as u64);
        } else {
            self.found_broken(core, &checks);
        }
    }

    #[cold]
    fn found_broken(&mut self, core: &mut Core, checks: &[bool; NAMES.len()]) {
        let passed = checks.iter().take_while(|holds| **holds).count();
        core.counters.invariant_checks_passed.add(passed as u64);
        core.counters.invariant_violations.add(1);
        self.violate(core, NAMES.get(passed).copied().unwrap_or_default());
    }

    #[inline]
    fn invariants(&self, core: &Core) -> [bool; NAMES.len()] {
        use State::{Closing, Free, ReadingRequestLine, SendingResponse};
        let capacity = self.lease.as_ref().map_or(0, |lease| lease.receive.len());
        let pool = self.lease.as_ref().map(|lease| &lease.pool);
        let file_open = self.reply.as_ref().is_some_and(|reply| reply.file.is_some());
        let has_reply = self.reply.is_some();
        let resting = matches!(self.state, Closing | Free);
        let received = self.filled - self.consumed.min(self.filled);
        [
            self.consumed <= self.scanned && self.scanned <= self.filled && self.filled <= capacity,
            self.request.line.line.end() <= received && self.request.head_length <= received,
            pool.is_none_or(|pool| pool.used() <= pool.size()),
            self.state != ReadingRequestLine || pool.is_none_or(|pool| pool.used() == 0),
            (self.state == SendingResponse) == has_reply
                && self.reply.as_ref().is_none_or(|reply| {
                    let is_within = self.registered.as_ref().is_none_or(Registered::is_within_its_end);
                    reply.remaining <= reply.content_length && is_within
                }),
            self.reply.as_ref().is_none_or(|reply| reply.file.is_some() == reply.needs_file())
                && (!file_open || self.state == SendingResponse),
            core.deadlines.kind(self.slot).is_some() == (self.state != Free),
            !resting || (self.lease.is_none() && !has_reply && self.output_end == 0 && self.filled == 0),
            self.responses <= self.requests,
        ]
    }

    /// Counted already: logs the violation and ends the connection.
    #[cold]
    #[allow(clippy::panic)] // Debug builds stop at our own faults.
    pub(super) fn violate(&mut self, core: &mut Core, name: &'static str) {
        self.record(core, Event::Violated(name));
        assert!(!core.panic_on_violation, "invariant violated: {name}");
        self.linger = false;
        if self.state != State::Free {
            // Past the table and the checks: both have just been found broken.
            core.count_change(self.state, State::Closing);
            self.state = State::Closing;
            (self.consumed, self.scanned, self.filled) = (0, 0, 0);
            self.requests = self.requests.max(self.responses);
            self.give_back(core);
            self.arm(core);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::canned::{CannedAnswers, Registration};
    use crate::config::Value;
    use crate::connection::deadlines::DeadlineKind;
    use crate::connection::table::tests::{TestTable, table, table_of};
    use crate::connection::{Connection, Input, Now, Table, Time};
    use crate::http::Span;
    use crate::http::request_line::RequestLine;
    use std::sync::Arc;

    type Break = fn(&mut Connection<u32>, &mut Core);

    /// Each invariant's name, a state to be in, and a corruption that breaks it and nothing before it.
    const CORRUPTIONS: [(&str, &[u8], State, Break); 9] = [
        ("cursors_are_ordered", b"GET / HT", State::ReadingRequestLine, |connection, _| {
            connection.scanned = connection.filled + 1
        }),
        ("spans_are_inside", b"GET / HTTP/1.1\r\n", State::ReadingHeaders, |connection, _| {
            connection.request.line = RequestLine { line: Span::new(0, 9000), ..RequestLine::default() };
        }),
        ("pool_is_within_its_size", b"GET / HTTP/1.1\r\n", State::ReadingHeaders, |connection, _| {
            connection.lease.as_mut().expect("a request is under way").pool.corrupt_size();
        }),
        ("pool_is_empty_between_requests", b"GET / HT", State::ReadingRequestLine, |connection, _| {
            let _ = connection.lease.as_mut().expect("a request is under way").pool.make::<u8>(1);
        }),
        ("sending_has_a_response", b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", State::SendingResponse, |connection, _| {
            connection.reply = None;
        }),
        (
            "file_is_open_while_it_is_sent",
            b"GET / HTTP/1.1\r\nHost: a\r\n\r\n",
            State::SendingResponse,
            |connection, _| {
                connection.reply.as_mut().expect("it is sending").file = None;
            },
        ),
        ("deadline_is_armed", b"GET / HT", State::ReadingRequestLine, |connection, core| {
            core.deadlines.disarm(connection.slot)
        }),
        ("closing_gave_everything_back", b"BAD\r\n", State::Closing, |connection, core| {
            connection.lease = core.leases.take();
        }),
        ("responses_are_within_requests", b"GET / HT", State::ReadingRequestLine, |connection, _| {
            connection.responses = 7
        }),
    ];

    /// What is played goes no further than it may, nor that beyond its end.
    #[test]
    fn a_registered_answer_that_outruns_itself_is_caught() {
        let breaks: [fn(&mut Registered); 2] =
            [|played| played.sent = played.stop + 1, |played| (played.sent, played.stop) = (0, played.end + 1)];
        for corrupt in breaks {
            let mut registration = Registration::new("/");
            registration.pace.dribble = Some((7, 1));
            let canned = Arc::new(registration.check(1000).expect("it is in order"));
            let (mut test, slot) = table();
            test.table.set_canned(&mut Box::new(CannedAnswers::new(&[canned])));
            test.feed(slot, b"GET / HTTP/1.1\r\nHost: a\r\n\r\n");
            while test.step(slot) {}
            let Table { core, connections, .. } = &mut test.table;
            core.panic_on_violation = false;
            let connection = &mut connections[slot as usize];
            connection.check_invariants(core);
            assert_eq!((connection.state, core.counters.invariant_violations.get()), (State::SendingResponse, 0));
            corrupt(connection.registered.as_mut().expect("it is played"));
            connection.check_invariants(core);
            assert_eq!((connection.state, core.counters.invariant_violations.get()), (State::Closing, 1));
            test.finish(slot);
            assert!(test.lines().iter().any(|line| line == "Invariant violated: sending_has_a_response"));
        }
    }

    /// A table with one connection that has received `bytes` and reached `state`.
    fn reach(bytes: &[u8], state: State) -> (TestTable, u32) {
        let (mut test, slot) = table();
        test.feed(slot, bytes);
        test.run_until(slot, state);
        assert_eq!(test.table.state(slot), state);
        (test, slot)
    }

    #[test]
    fn each_invariant_broken_on_purpose_is_caught_logged_and_ends_the_connection() {
        for (name, bytes, state, corrupt) in CORRUPTIONS {
            let (mut test, slot) = reach(bytes, state);
            let Table { core, connections, .. } = &mut test.table;
            core.panic_on_violation = false;
            let connection = &mut connections[slot as usize];
            let before = core.counters.invariant_violations.get();
            connection.check_invariants(core);
            assert_eq!(core.counters.invariant_violations.get(), before, "{name}: all holds before");
            corrupt(connection, core);
            connection.check_invariants(core);
            assert_eq!(core.counters.invariant_violations.get(), before + 1, "{name}");
            assert_eq!(connection.state, State::Closing, "{name}");
            test.finish(slot);
            assert_eq!(test.table.active(), 0, "{name}: the slot is free again");
            let lines = test.lines();
            assert!(lines.iter().any(|line| *line == format!("Invariant violated: {name}")), "{name}: {lines:?}");
        }
    }

    #[test]
    #[should_panic(expected = "invariant violated: deadline_is_armed")]
    fn a_violation_panics_in_debug_builds() {
        let (mut test, slot) = reach(b"GET / HT", State::ReadingRequestLine);
        let Table { core, connections, .. } = &mut test.table;
        core.deadlines.disarm(slot);
        core.panic_on_violation = true;
        connections[slot as usize].check_invariants(core);
    }

    #[test]
    fn every_illegal_transition_is_caught_and_every_legal_one_passes_the_table() {
        for from in State::ALL {
            for to in State::ALL {
                let (mut test, slot) = table();
                let Table { core, connections, .. } = &mut test.table;
                core.panic_on_violation = false;
                core.set_state_for_test(&mut connections[slot as usize], from);
                connections[slot as usize].transition(core, to);
                let lines = test.lines();
                let caught = lines.iter().any(|line| line == "Invariant violated: transition_is_legal");
                assert_eq!(caught, !from.may_become(to), "{} to {}", from.name(), to.name());
            }
        }
    }

    impl Core {
        /// Puts a connection into a state with only its deadline in order.
        fn set_state_for_test(&mut self, connection: &mut Connection<u32>, state: State) {
            self.count_change(connection.state, state);
            connection.state = state;
            self.deadlines.arm(connection.slot, DeadlineKind::Header, Time(0));
        }
    }

    #[test]
    fn server_wide_invariants_are_caught() {
        type BreakTable = fn(&mut TestTable);
        let breaks: [(&str, BreakTable); 4] = [
            ("slots_add_up", |test| {
                test.table.free.pop();
            }),
            ("states_add_up", |test| test.table.core.counters.states[State::Processing as usize].add(1)),
            ("leases_add_up", |test| {
                let held: Vec<_> = std::iter::from_fn(|| test.table.core.leases.take()).collect();
                assert!(held.len() > test.table.active());
            }),
            ("record_adds_up", |test| {
                let recent = test.table.core.recent.as_mut().expect("the statistics can be asked for");
                recent.opened(3);
            }),
        ];
        for (name, corrupt) in breaks {
            let (mut test, _) = table_of(&[("status_path", Value::Text("/status".into()))]);
            test.table.core.panic_on_violation = false;
            test.table.check_invariants();
            corrupt(&mut test);
            test.table.check_invariants();
            assert_eq!(test.table.core.counters.invariant_violations.get(), 1, "{name}");
            let lines = test.lines();
            assert!(lines.iter().any(|line| *line == format!("Invariant violated: {name}")), "{name}: {lines:?}");
        }
    }

    #[test]
    fn an_event_of_another_generation_is_told_from_the_slots_own() {
        let (mut test, slot) = table();
        let token = test.table.token(slot);
        assert_eq!(test.table.slot_of(token), Some(slot));
        test.table.set_now(Now::default());
        test.table.receive(slot, Input::Lost);
        test.finish(slot);
        assert_eq!(test.table.slot_of(token), None, "the slot was freed, so its generation moved on");
    }
}
