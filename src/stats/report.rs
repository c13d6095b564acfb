//! The statistics as a person reads them.

use super::Snapshot;
use crate::connection::State;
use std::fmt::{self, Display, Formatter};

/// A number with a comma at each thousand.
pub(crate) struct Grouped(pub(crate) u64);

impl Display for Grouped {
    fn fmt(&self, out: &mut Formatter<'_>) -> fmt::Result {
        let digits = self.0.to_string();
        for (index, digit) in digits.chars().enumerate() {
            if index > 0 && (digits.len() - index).is_multiple_of(3) {
                out.write_str(",")?;
            }
            write!(out, "{digit}")?;
        }
        Ok(())
    }
}

impl Snapshot {
    /// How many connections are in `state`.
    #[must_use]
    pub fn in_state(&self, state: State) -> u64 {
        self.states[state as usize]
    }
}

/// The block that `server_print_stats` writes, without a line end after its last line.
impl Display for Snapshot {
    fn fmt(&self, out: &mut Formatter<'_>) -> fmt::Result {
        let average = self.pool_usage_total.checked_div(self.pool_resets).unwrap_or(0);
        writeln!(out, "========== Memory Statistics ==========")?;
        writeln!(out, "Total requests served: {}", Grouped(self.total_requests))?;
        writeln!(out, "Total bytes received: {}", Grouped(self.bytes_received))?;
        writeln!(out, "Total bytes sent: {}", Grouped(self.bytes_sent))?;
        writeln!(out, "\nPool Statistics:")?;
        writeln!(out, "  Active connections: {}", Grouped(self.active_connections))?;
        writeln!(out, "  Peak connections: {}", Grouped(self.peak_connections))?;
        writeln!(out, "  Pool resets: {}", Grouped(self.pool_resets))?;
        writeln!(out, "  Average pool usage: {} bytes/request", Grouped(average))?;
        writeln!(out, "  Peak pool usage: {} bytes", Grouped(self.peak_pool_usage))?;
        writeln!(out, "  Pool overflows: {}", Grouped(self.pool_overflows))?;
        writeln!(out, "\nHeap Statistics:")?;
        writeln!(out, "  malloc() calls during runtime: {}", Grouped(self.malloc_calls))?;
        writeln!(out, "  free() calls during runtime: {}", Grouped(self.free_calls))?;
        writeln!(out, "  Current heap usage: {} bytes", Grouped(self.heap_bytes))?;
        writeln!(out, "\nConnection State Breakdown:")?;
        for state in State::ALL {
            let count = self.in_state(state);
            let always = !matches!(state, State::Free | State::ReadingContent | State::Closing);
            if always || (count > 0 && state != State::Free) {
                writeln!(out, "  {}: {}", state.name(), Grouped(count))?;
            }
        }
        writeln!(out, "\nInvariant Checks Passed: {}", Grouped(self.invariant_checks_passed))?;
        writeln!(out, "Invariant Violations: {}", Grouped(self.invariant_violations))?;
        write!(out, "=======================================")
    }
}

#[cfg(test)]
mod tests {
    use crate::connection::State;
    use crate::stats::Counters;

    #[test]
    fn the_block_is_exactly_this() {
        let counters = Counters::default();
        for (counter, value) in [
            (&counters.total_requests, 1_247),
            (&counters.bytes_received, 156_783),
            (&counters.bytes_sent, 4_291_034),
            (&counters.active_connections, 3),
            (&counters.peak_connections, 47),
            (&counters.pool_resets, 1_247),
            (&counters.pool_usage_total, 1_247 * 412 + 100),
            (&counters.peak_pool_usage, 3_891),
            (&counters.invariant_checks_passed, 47_291),
            (&counters.states[State::ReadingRequestLine as usize], 2),
            (&counters.states[State::ReadingHeaders as usize], 1),
            (&counters.states[State::Free as usize], 125),
        ] {
            counter.set(value);
        }
        let expected = "\
========== Memory Statistics ==========
Total requests served: 1,247
Total bytes received: 156,783
Total bytes sent: 4,291,034

Pool Statistics:
  Active connections: 3
  Peak connections: 47
  Pool resets: 1,247
  Average pool usage: 412 bytes/request
  Peak pool usage: 3,891 bytes
  Pool overflows: 0

Heap Statistics:
  malloc() calls during runtime: 0
  free() calls during runtime: 0
  Current heap usage: 0 bytes

Connection State Breakdown:
  READING_REQUEST_LINE: 2
  READING_HEADERS: 1
  PROCESSING: 0
  SENDING_RESPONSE: 0

Invariant Checks Passed: 47,291
Invariant Violations: 0
=======================================";
        assert_eq!(counters.snapshot().to_string(), expected);
        counters.states[State::ReadingContent as usize].set(1);
        counters.states[State::Closing as usize].set(1_000);
        let text = counters.snapshot().to_string();
        assert!(text.contains("  READING_HEADERS: 1\n  READING_CONTENT: 1\n  PROCESSING: 0\n"));
        assert!(text.contains("  SENDING_RESPONSE: 0\n  CLOSING: 1,000\n\nInvariant"));
    }
}
