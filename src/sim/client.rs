//! A client: it sends its script in pieces, reads or does not, and ends in one of several ways.

use super::files::Files;
use super::plan::Plan;
use super::play::Play;
use super::random::Random;
use super::request::{self, Exchange, Expected};
use super::response::Reader;
use super::wire::Wire;

/// How a client goes once its script is delivered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ending {
    /// It closes its sending side at once and reads on.
    HalfClose,
    /// It waits for its answers and closes then.
    AfterAnswers,
    /// It does nothing more.
    Silent,
}

/// What befell a client that is not its server's doing alone, so that its answers cannot be foretold in full.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Disturbance {
    pub(super) refused: bool,
    pub(super) timed_out: bool,
    /// The linger of its closing was over before it ended.
    pub(super) linger_over: bool,
    pub(super) reclaimed: bool,
    /// The server gave it up, or its connection was broken.
    pub(super) lost: bool,
    /// The server stopped while it was there.
    pub(super) stopped: bool,
    /// The server began anew while it was there.
    pub(super) dismissed: bool,
    /// The server began to drain before it was gone.
    pub(super) drained: bool,
    /// A file of its ended early, or a name could not be opened.
    pub(super) cut: bool,
    pub(super) failed: bool,
    /// It was never accepted.
    pub(super) unheard: bool,
}

impl Disturbance {
    pub(super) fn any(self) -> bool {
        self != Self::default()
    }
}

/// What a client did in its turn, as far as others must know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Act {
    Nothing,
    Connects,
    Delivers(usize),
    Reads(usize),
    Ends,
    Resets,
    Vanishes,
    Sleeps(u64),
}

#[derive(Debug)]
pub(super) struct Client {
    pub(super) script: Vec<Exchange>,
    bytes: Vec<u8>,
    /// Where each exchange ends in the bytes.
    pub(super) boundaries: Vec<usize>,
    /// How much has been delivered.
    delivered: usize,
    /// The client will deliver no more than this.
    limit: usize,
    pub(super) wire: Wire,
    pub(super) reader: Reader,
    pub(super) disturbance: Disturbance,
    pub(super) connected: bool,
    /// The server has taken it in: accepted or refused.
    pub(super) accepted: bool,
    /// The exchanges for which a name could not be opened.
    pub(super) failed: Vec<usize>,
    /// How many answers the server has begun.
    pub(super) begun: usize,
    /// How many of them when the server was told to stop.
    pub(super) drained_from: Option<usize>,
    /// The registered answer that is under way.
    pub(super) play: Option<Play>,
    /// The first exchange of which it is not known yet that its path was looked at.
    pub(super) next_route: usize,
    /// The one that may have been, when other answers were registered.
    pub(super) may_be_routed: Option<usize>,
    /// What it sends cannot be told, so that it is not known what it gets.
    pub(super) is_unsure: bool,
    /// What it waits for never comes.
    pub(super) gives_up: bool,
    /// The number of its connection.
    pub(super) number: u64,
    asleep_until: u64,
    ending: Ending,
    /// It sends a request only when the one before it is answered.
    takes_turns: bool,
    longest_piece: usize,
    longest_read: usize,
    reads: bool,
}

impl Client {
    pub(super) fn new(random: &mut Random, plan: &Plan, files: &Files) -> Self {
        let script = request::script(random, plan, files);
        let mut bytes = Vec::new();
        let mut boundaries = Vec::new();
        for exchange in &script {
            bytes.extend_from_slice(&exchange.bytes);
            boundaries.push(bytes.len());
        }
        // However slowly it sends and reads, it is to come to its end within the turns of a run.
        let longest_piece = (*random.pick(&[3, 40, 400, 5000])).max(bytes.len() / 300).max(1);
        let answers = script.iter().filter_map(Exchange::answer);
        let volume: usize = answers.map(|answer| answer.content.volume(files)).sum();
        let longest = plan.registered.iter().map(|spec| spec.content.len() + 600).max().unwrap_or(0);
        let volume = volume + longest * script.iter().filter(|exchange| exchange.request.is_some()).count();
        let capacity = if plan.huge_files { 400_000 } else { *random.pick(&[300, 1500, 9000, 60_000]) };
        let longest_read = if plan.huge_files { 1 << 20 } else { *random.pick(&[100, 1000, 100_000]) };
        let silent = random.chance(plan.faults.silent_end);
        Self {
            limit: bytes.len(),
            bytes,
            boundaries,
            delivered: 0,
            wire: Wire::new(capacity.max(volume / 300)),
            reader: Reader::default(),
            disturbance: Disturbance::default(),
            connected: false,
            accepted: false,
            failed: Vec::new(),
            begun: 0,
            drained_from: None,
            play: None,
            next_route: 0,
            may_be_routed: None,
            is_unsure: false,
            gives_up: false,
            number: 0,
            // Some come late, when others are idle or gone.
            asleep_until: if random.chance(500) { 0 } else { random.between(0, plan.longest_step * 200) },
            ending: match random.between(0, 1) {
                _ if silent => Ending::Silent,
                0 => Ending::HalfClose,
                _ => Ending::AfterAnswers,
            },
            takes_turns: random.chance(300),
            longest_piece,
            longest_read: longest_read.max(volume / 300),
            reads: !random.chance(plan.faults.peer_stops_reading),
            script,
        }
    }

    /// When it acts again by itself; nothing where it waits for the server or is done.
    pub(super) fn wakes_at(&self) -> Option<u64> {
        let done = self.wire.server_closed || self.wire.is_reset || self.wire.gone;
        let waits = self.connected && (!self.accepted || (!self.can_deliver() && !self.can_read() && !self.can_end()));
        (!done && !waits).then_some(self.asleep_until)
    }

    fn can_read(&self) -> bool {
        self.reads && self.wire.read_to < self.wire.stream.len()
    }

    fn can_deliver(&self) -> bool {
        !self.wire.ended && self.next_stop() > self.delivered
    }

    fn can_end(&self) -> bool {
        let is_ready = match self.ending {
            Ending::HalfClose => true,
            Ending::AfterAnswers => {
                self.wire.server_shut || self.reader.complete(self.wire.read_to) >= self.answers_due()
            }
            Ending::Silent => false,
        };
        !self.wire.ended && (self.gives_up || (self.delivered == self.limit && is_ready))
    }

    /// How many answers a client that knows nothing of the server waits for.
    fn answers_due(&self) -> usize {
        let is_told = self.script.iter().all(|exchange| !matches!(exchange.expected, Expected::Anything));
        if is_told { self.expected_answers() } else { 0 }
    }

    /// How many answers the script gets if nothing disturbs it.
    pub(super) fn expected_answers(&self) -> usize {
        let is_answered = |exchange: &&Exchange| {
            exchange.answer().is_some() && exchange.course().is_none_or(|course| course.is_answered)
        };
        let answers = self.script.iter().take_while(is_answered);
        let closing = answers.clone().position(Exchange::closes);
        closing.map_or_else(|| answers.count(), |position| position + 1)
    }

    /// Up to where it may deliver now: to the end, or to the next place where it waits for the server.
    fn next_stop(&self) -> usize {
        if self.wire.server_shut || !self.reads {
            return self.limit;
        }
        let complete = self.reader.complete(self.wire.read_to);
        let begun = self.boundaries.partition_point(|&end| end <= self.delivered);
        let mut interim = self.script[..begun].iter().filter(|exchange| exchange.waits_at.is_some()).count();
        for (index, exchange) in self.script.iter().enumerate().skip(begun) {
            let start = index.checked_sub(1).map_or(0, |last| self.boundaries[last]);
            if self.takes_turns && self.delivered <= start && complete < index {
                return start.min(self.limit);
            }
            let Some(waits_at) = exchange.waits_at else { continue };
            interim += 1;
            let is_answered = self.reader.interim >= interim || self.reader.responses.len() > index;
            if self.delivered <= start + waits_at && !is_answered {
                return (start + waits_at).min(self.limit);
            }
        }
        self.limit
    }

    /// One turn of the client.
    pub(super) fn act(&mut self, random: &mut Random, plan: &Plan, now: u64) -> Act {
        if self.wakes_at().is_none_or(|time| time > now) {
            return Act::Nothing;
        }
        if !self.connected {
            self.connected = random.chance(300);
            return if self.connected { Act::Connects } else { Act::Nothing };
        }
        let faults = &plan.faults;
        if random.chance(faults.reset) {
            self.wire.reset();
            self.disturbance.lost = true;
            return Act::Resets;
        }
        if random.chance(faults.vanish) {
            self.wire.gone = true;
            self.wire.end();
            self.disturbance.lost = true;
            return Act::Vanishes;
        }
        if random.chance(faults.half_close) && !self.wire.ended {
            self.limit = self.delivered;
            self.wire.end();
            return Act::Ends;
        }
        if random.chance(faults.stall) {
            // Beyond every limit, or well within: who is slow and goes on must not be cut off.
            let longest = if random.chance(400) { plan.longest_timeout() * 2 } else { plan.longest_timeout() / 4 };
            self.asleep_until = now + random.between(1, longest);
            return Act::Sleeps(self.asleep_until - now);
        }
        if self.can_read() && random.chance(600) {
            let most = random.size(1, self.longest_read).max(self.longest_read / 8);
            let before = self.wire.read_to;
            self.wire.read(most);
            return Act::Reads(self.wire.read_to - before);
        }
        if self.can_deliver() && random.chance(700) {
            let end = self.next_stop().min(self.delivered + random.size(1, self.longest_piece));
            let count = end - self.delivered;
            self.wire.deliver(&self.bytes[self.delivered..end]);
            self.delivered = end;
            return Act::Delivers(count);
        }
        if self.can_end() && random.chance(200) {
            self.limit = self.delivered;
            // Its end is to be heard of behind whatever it sent before.
            if self.gives_up && random.chance(500) {
                self.wire.deliver(&vec![b'x'; plan.limits.buffer_size + 1000]);
            }
            self.wire.end();
            return Act::Ends;
        }
        Act::Nothing
    }

    /// Whether nothing more can come of it.
    pub(super) fn is_done(&self) -> bool {
        self.connected && (self.wire.server_closed || (!self.accepted && (self.wire.is_reset || self.wire.gone)))
    }

    /// How many exchanges the server has received in full, and whether it has received a part of the next one.
    pub(super) fn received_exchanges(&self) -> (usize, bool) {
        let whole = self.boundaries.partition_point(|&end| end <= self.wire.received);
        let start = whole.checked_sub(1).map_or(0, |last| self.boundaries[last]);
        (whole, self.wire.received > start)
    }

    /// Whether everything that the server has received is answered in full, so that it must hold nothing for this client.
    pub(super) fn is_surely_idle(&self) -> bool {
        let (whole, has_part) = self.received_exchanges();
        let is_told = self.script[..whole].iter().all(|exchange| exchange.answer().is_some());
        is_told && !has_part && self.reader.complete(usize::MAX) == whole && self.reader.is_whole(&self.wire.stream)
    }

    /// What the server has received from there on, empty lines at its beginning left out.
    pub(super) fn unanswered(&self, start: usize) -> impl Iterator<Item = u8> {
        let mut rest = self.bytes.get(start..self.wire.received.min(self.bytes.len())).unwrap_or_default();
        while let Some(behind) = rest.strip_prefix(b"\r\n") {
            rest = behind;
        }
        rest.iter().copied()
    }

    /// Up to where it meant to deliver.
    pub(super) fn delivered_limit(&self) -> usize {
        self.limit
    }
}
