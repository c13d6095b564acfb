//! What peers were sent and what the server counted, held against what [`super::driver`] saw.

use super::driver::Driver;
use super::head::{read_whole, without_empty_lines};
use super::peer::Peer;
use super::reader::{Reading, read_responses};
use crate::connection::State;
use crate::connection::probe::{Probe, Verdict};
use crate::http::chunked::ChunkedDecoder;
use crate::http::framing::ContentLength;
use crate::http::{Reject, Status};
use crate::stats::Timeout;

/// What the driver counted itself, to hold the statistics against.
#[derive(Debug, Default)]
pub(super) struct Tally {
    pub(super) accepted: u64,
    pub(super) refused: u64,
    pub(super) refused_bytes: u64,
    pub(super) reclaimed: u64,
    pub(super) truncated: u64,
    pub(super) misses: u64,
    pub(super) timeouts: u64,
    pub(super) begun: u64,
}

/// How many answers a stream gets, where each request is read by itself, with nothing before and nothing behind it.
fn answers_due(mut stream: &[u8]) -> u64 {
    let mut due = 0;
    loop {
        let head = match read_whole(stream) {
            Verdict::Incomplete => return due,
            Verdict::Refused(_) => return due + 1,
            Verdict::Complete(head) => head,
        };
        stream = &without_empty_lines(stream)[head.length..];
        let framing = head.framing;
        let length = match framing.content {
            _ if framing.unmet_expectation && framing.content != ContentLength::None => return due + 1,
            ContentLength::None => 0,
            ContentLength::Bytes(bytes) => usize::try_from(bytes).expect("it is within the limit"),
            ContentLength::Chunked => {
                let mut decoder = ChunkedDecoder::default();
                match decoder.decode(stream, 1 << 20, 100) {
                    Err(_) => return due + 1,
                    Ok(_) if !decoder.is_done() => return due,
                    Ok(taken) => taken,
                }
            }
        };
        let Some(rest) = stream.get(length..) else { return due };
        stream = rest;
        due += 1;
        if !framing.persistent {
            return due;
        }
    }
}

impl Driver {
    /// Reads what a peer was sent, and checks how many answers that are.
    pub(super) fn read(&self, number: usize) -> Reading {
        let peer = &self.peers[number];
        let reading = read_responses(peer);
        assert!(reading.responses <= peer.begun, "peer {number} got an answer that was never begun");
        let ends_of_heads = memchr::memmem::find_iter(&peer.sent, b"\r\n\r\n").count() as u64;
        assert!(reading.responses <= ends_of_heads + 1, "peer {number} got more answers than it sent requests");
        if self.limits.buffer_size == Probe::BUFFER_SIZE {
            let due = answers_due(&peer.sent);
            // Who is disturbed may have timed out, which has an answer of its own.
            let most = due + u64::from(peer.disturbed);
            assert!(
                reading.responses <= most,
                "peer {number} got {} answers, of {due} that are due",
                reading.responses
            );
            let is_cut = peer.disturbed || reading.closes || !reading.is_whole;
            assert!(
                is_cut || reading.responses == due,
                "peer {number} got {} of {due} answers: {}",
                reading.responses,
                peer.stream.escape_ascii()
            );
        }
        let heads = memchr::memmem::find_iter(&peer.sent, b"HEAD ").count() as u64;
        assert!(reading.without_content <= heads, "peer {number} was left without content that it asked for");
        reading
    }

    pub(super) fn check_statistics(&self) {
        let statistics = self.counters.snapshot();
        let (tally, peers) = (&self.tally, &self.peers);
        let mut seen = [0; Status::COUNT];
        for number in 0..peers.len() {
            for (count, more) in seen.iter_mut().zip(self.read(number).by_status) {
                *count += more;
            }
        }
        let headless = statistics.other_responses[0];
        let responses = statistics.responses.iter().sum::<u64>() + headless;
        assert_eq!(statistics.other_responses.iter().sum::<u64>(), headless, "nothing else is registered");
        for status in Status::ALL {
            // What is registered without a head has one of its own.
            let most = statistics.responses[*status as usize] + headless;
            assert!(seen[*status as usize] <= most, "{} counted", status.text());
        }
        let sum = |of: fn(&Peer) -> u64| peers.iter().map(of).sum::<u64>();
        assert_eq!(statistics.invariant_violations, 0);
        assert_eq!(statistics.bytes_received, sum(|peer| peer.received));
        assert_eq!(statistics.bytes_sent, sum(|peer| peer.stream.len() as u64) + tally.refused_bytes);
        assert_eq!(statistics.total_requests, responses);
        assert_eq!(statistics.total_requests, sum(|peer| peer.begun) + tally.refused);
        assert_eq!(statistics.total_connections, tally.accepted);
        assert_eq!(statistics.connections_refused, tally.refused);
        assert_eq!(statistics.connections_reclaimed, tally.reclaimed);
        assert_eq!(statistics.files_truncated, tally.truncated);
        assert!(statistics.file_cache_misses >= tally.misses, "each file that was opened is a miss");
        assert_eq!(statistics.timeouts.iter().sum::<u64>(), tally.timeouts);
        assert_eq!(statistics.latency_count, statistics.latency.iter().sum::<u64>());
        assert!(statistics.latency_count + statistics.files_truncated <= responses);
        assert!(statistics.pool_resets + tally.refused >= responses, "each answer ended a request");
        assert!(statistics.peak_pool_usage <= self.limits.pool_size as u64);
        assert!(statistics.pool_usage_total <= statistics.pool_resets * statistics.peak_pool_usage);
        assert!(statistics.peak_connections <= self.limits.max_connections as u64);
        assert_eq!(statistics.active_connections, 0);
        assert_eq!(statistics.states[State::Free as usize], self.limits.max_connections as u64);
        let content_timeouts = statistics.timeouts[Timeout::Content as usize];
        assert_eq!(statistics.rejects[Reject::ContentTimeout as usize], content_timeouts);
    }
}
