//! How an answer that was registered is given: its waits, its pieces and its end, whatever they are to be.
//!
//! What goes out at once takes the way of every other answer. What does not has the send buffer for its head alone and goes out
//! from where it was registered.

use super::content::Reply;
use super::core::Core;
use super::deadlines::DeadlineKind;
use super::sending::Step;
use super::{Connection, Time};
use crate::canned::{Canned, Ending, Wait};
use crate::http::Code;
use crate::http::request_line::Method;
use crate::trace::Event;
use std::sync::Arc;

/// A wait that was registered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Pause {
    /// Nothing is waited for.
    #[default]
    None,
    /// The time is.
    Until(Time),
    /// The peer's end is.
    ForEver,
    /// It is over, and what comes after it has not begun.
    Over,
}

/// The answer that was registered for a request.
#[derive(Debug)]
pub(super) struct Registered {
    canned: Arc<Canned>,
    pub(super) pause: Pause,
    /// It does not go out at once: its head, which begins where the send buffer does, is all of it that is there.
    pub(super) is_played: bool,
    head_length: usize,
    /// How many bytes have gone, how far it may go without waiting, and where it ends.
    pub(super) sent: usize,
    pub(super) stop: usize,
    pub(super) end: usize,
}

impl Registered {
    pub(super) fn new(canned: Arc<Canned>) -> Self {
        Self { canned, pause: Pause::None, is_played: false, head_length: 0, sent: 0, stop: 0, end: 0 }
    }

    /// What goes out next; `head` is the send buffer.
    pub(super) fn next_bytes<'a>(&'a self, head: &'a [u8]) -> &'a [u8] {
        if self.sent < self.head_length {
            return head.get(self.sent..self.stop.min(self.head_length)).unwrap_or_default();
        }
        let (start, end) = (self.sent - self.head_length, self.stop.saturating_sub(self.head_length));
        self.canned.content().get(start..end).unwrap_or_default()
    }

    /// What has gone is within what may, and that within all of it.
    pub(super) fn is_within_its_end(&self) -> bool {
        self.sent <= self.stop && self.stop <= self.end
    }

    fn is_paused(&self) -> bool {
        matches!(self.pause, Pause::Until(_) | Pause::ForEver)
    }
}

impl<F> Connection<F> {
    /// Whether it waits because it was told to.
    pub(super) fn is_paused(&self) -> bool {
        self.registered.as_ref().is_some_and(Registered::is_paused)
    }

    /// The deadline of a pause has passed.
    pub(super) fn pause_is_over(&mut self, core: &mut Core) {
        if let Some(registered) = &mut self.registered {
            registered.pause = Pause::Over;
        }
        core.deadlines.arm(self.slot, DeadlineKind::Send, core.now.time);
    }

    /// PROCESSING: gives the registered answer once its delay is over.
    pub(super) fn answer_as_registered(&mut self, core: &mut Core) -> Option<Step> {
        let registered = self.registered.as_ref()?;
        let (canned, pause) = (Arc::clone(&registered.canned), registered.pause);
        let head = canned.head().map_or(0, |head| head.status_line.len() + head.fields.len());
        let content = if self.request.line.method == Method::Head { &[] } else { canned.content() };
        let whole = core.longest_head + head + content.len();
        let goes_at_once = canned.pace().is_plain() && whole <= core.limits.buffer_size;
        let waits_first = pause != Pause::Over && canned.pace().delay != Wait::None;
        // What came before is not kept waiting, and makes room.
        if self.has_output() && (waits_first || !goes_at_once || self.output_room() < whole) {
            return Some(Step::Send);
        }
        if self.waits(core, canned.pace().delay, true) {
            return self.keep_waiting(core);
        }
        let persistent = self.may_persist(core) && canned.head().is_some_and(|head| !head.closes);
        let before = self.output_end;
        if let Some(head) = canned.head() {
            self.write_registered_head(core, head, persistent);
        }
        let mut code = Code::of(canned.code());
        let reply = if goes_at_once {
            self.put_output(content);
            Reply::of_buffered(code, persistent, content.len() as u64)
        } else {
            let head_length = self.output_end - before;
            let end = canned.pace().end(head_length, head_length + content.len());
            // Nothing of the head goes out but by `Played`, which may end before it does.
            self.output_end = before + head_length.min(end);
            let content_length = end.saturating_sub(head_length) as u64;
            if let Some(registered) = &mut self.registered {
                *registered = Registered { is_played: true, head_length, end, ..Registered::new(Arc::clone(&canned)) };
            }
            if end == 0 {
                // Nothing is sent, a status neither.
                code = Code::Other(0);
            }
            Reply { content_written: 0, streamed: true, ..Reply::of_buffered(code, persistent, content_length) }
        };
        let length = reply.content_length;
        self.begin_reply(core, reply);
        self.record(core, Event::AnsweringAsRegistered(code, length));
        None
    }

    /// SENDING_RESPONSE: lets the next piece go, waits, or ends.
    pub(super) fn send_as_registered(&mut self, core: &mut Core) -> Option<Step> {
        let Registered { canned, head_length, sent, stop, end, .. } = self.registered.as_ref()?;
        let (pace, head_length, sent, end) = (*canned.pace(), *head_length, *sent, *end);
        if sent < *stop {
            return Some(Step::Send);
        }
        if sent < end {
            let is_stall = pace.is_stalled(sent, head_length);
            if self.waits(core, pace.wait_at(sent, head_length), is_stall) {
                return self.keep_waiting(core);
            }
            if let Some(registered) = &mut self.registered {
                registered.pause = Pause::None;
                registered.stop = pace.next_stop(sent, head_length, end);
            }
            return None;
        }
        match pace.ending {
            Ending::AsSaid => self.finish_response(core),
            Ending::Close => {
                self.record(core, Event::EndedAsRegistered("closed"));
                self.close(core, true);
            }
            Ending::Reset => {
                self.record(core, Event::EndedAsRegistered("reset"));
                self.resets = true;
                self.close(core, false);
            }
        }
        None
    }

    /// `count` bytes of it have gone.
    pub(super) fn piece_sent(&mut self, core: &mut Core, count: usize) {
        let (Some(reply), Some(registered)) = (&mut self.reply, &mut self.registered) else { return };
        registered.sent += count;
        reply.content_written = registered.sent.saturating_sub(registered.head_length) as u64;
        self.output_start = registered.sent.min(self.output_end);
        if self.output_start == self.output_end {
            (self.output_start, self.output_end) = (0, 0);
        }
        core.deadlines.arm(self.slot, DeadlineKind::Send, core.now.time);
    }

    /// Begins a wait, where there is one to begin. Whether it goes on.
    fn waits(&mut self, core: &mut Core, wait: Wait, is_told: bool) -> bool {
        let Some(registered) = &mut self.registered else { return false };
        match (registered.pause, wait) {
            (Pause::Over, _) | (Pause::None, Wait::None) => false,
            (Pause::Until(due), _) => core.now.time < due,
            (Pause::ForEver, _) => true,
            (Pause::None, wait) => {
                let due = match wait {
                    Wait::For(nanoseconds) => core.now.time.after(nanoseconds),
                    _ => Time(u64::MAX),
                };
                registered.pause = if wait == Wait::ForEver { Pause::ForEver } else { Pause::Until(due) };
                core.deadlines.arm_until(self.slot, DeadlineKind::Pause, due);
                if is_told {
                    self.record(core, Event::WaitingAsRegistered(wait));
                }
                true
            }
        }
    }

    /// Nobody is kept waiting by a server that stops, and nobody waits for ever who has gone.
    fn keep_waiting(&mut self, core: &mut Core) -> Option<Step> {
        let is_for_ever = self.registered.as_ref().is_some_and(|registered| registered.pause == Pause::ForEver);
        if core.stopping || (is_for_ever && self.input_ended) {
            self.close(core, false);
            return None;
        }
        Some(Step::Wait)
    }
}

#[cfg(test)]
mod tests {
    use super::super::table::tests::{TestTable, table};
    use super::super::{Action, Input, Now, State};
    use super::*;
    use crate::alloc::heapless;
    use crate::canned::{CannedAnswers, Pace, Place, Registration};

    const MILLISECOND: u64 = 1_000_000;
    const GET: &[u8] = b"GET /a?b HTTP/1.1\r\nHost: a\r\n\r\n";

    /// A table whose `/a` is answered with "hello, world" and what `change` makes of it. Whoever drops the answer last does so
    /// here.
    fn registered(change: impl FnOnce(&mut Registration)) -> (TestTable, u32, Arc<Canned>) {
        let mut registration = Registration::new("/a");
        registration.content = b"hello, world".to_vec();
        registration.fields = vec![("Content-Type".into(), "text/plain".into())];
        change(&mut registration);
        let canned = Arc::new(registration.check(10_000).expect("it is in order"));
        let (mut test, slot) = table();
        test.table.set_canned(&mut Box::new(CannedAnswers::new(&[Arc::clone(&canned)])));
        (test, slot, canned)
    }

    fn pace(change: impl FnOnce(&mut Pace)) -> impl FnOnce(&mut Registration) {
        move |registration| change(&mut registration.pace)
    }

    /// Lets it do what it can, as the driver does.
    fn run(test: &mut TestTable, slot: u32) {
        heapless!(while test.step(slot) {});
    }

    /// So many milliseconds later than the start.
    fn at(test: &mut TestTable, slot: u32, milliseconds: u64) {
        test.table.set_now(Now { time: Time(milliseconds * MILLISECOND), ..Now::default() });
        while let Some(due) = test.table.next_due().filter(|due| due.0 <= milliseconds * MILLISECOND) {
            assert_eq!(heapless!(test.table.expire()), Some(slot), "at {due:?}");
            run(test, slot);
        }
    }

    /// What was sent, without its Date.
    fn sent(test: &TestTable) -> String {
        let text = String::from_utf8_lossy(&test.sent).into_owned();
        let date = text.find("Date: ").map(|start| start..start + 37);
        date.map_or_else(|| text.clone(), |date| [&text[..date.start], &text[date.end..]].concat())
    }

    const WHOLE: &str = "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 12\r\n\r\nhello, world";

    #[test]
    fn what_is_registered_answers_and_the_connection_goes_on() {
        let (mut test, slot, canned) = registered(|registration| registration.times = Some(2));
        test.feed(slot, &GET.repeat(3));
        run(&mut test, slot);
        assert_eq!(canned.served(), 2);
        let text = sent(&test);
        assert!(text.starts_with(WHOLE), "{text}");
        assert_eq!(text.matches("hello, world").count(), 2);
        assert!(text.ends_with("\r\n\r\nhello\n"), "the third gets the file: {text}");
        assert_eq!(test.table.state(slot), State::ReadingRequestLine);
        assert_eq!(test.table.counters().total_requests.get(), 3);
        let lines = test.lines();
        assert!(lines.iter().any(|line| line == "Answering as registered: 200 (12 bytes)"), "{lines:?}");
    }

    #[test]
    fn any_method_is_answered_once_its_content_is_in_and_head_gets_none() {
        let (mut test, slot, _canned) = registered(|registration| registration.status = 201);
        test.feed(slot, b"BREW /a HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nab");
        run(&mut test, slot);
        assert_eq!(test.sent, b"");
        test.feed(slot, b"cHEAD /a HTTP/1.1\r\nHost: a\r\n\r\n");
        run(&mut test, slot);
        let text = sent(&test);
        assert!(text.starts_with("HTTP/1.1 201 Created\r\n"), "{text}");
        assert_eq!((text.matches("hello").count(), text.matches("Content-Length: 12\r\n").count()), (1, 2));
        assert_eq!(test.table.counters().other_responses[201].get(), 2);
    }

    #[test]
    fn a_delay_is_waited_for_in_processing_while_the_peer_may_go_on() {
        let (mut test, slot, _canned) = registered(pace(|pace| pace.delay = Wait::For(5 * MILLISECOND)));
        test.feed(slot, &[b"GET /z HTTP/1.1\r\nHost: a\r\n\r\n", GET].concat());
        run(&mut test, slot);
        let before = test.sent.len();
        assert!(before > 0, "what came before is not kept waiting");
        assert_eq!(test.table.state(slot), State::Processing);
        assert_eq!(test.table.next_due(), Some(Time(5 * MILLISECOND)));
        assert!(test.table.wants_input(slot));
        test.feed(slot, b"GET /z HTTP/1.1\r\nHost: a\r\n\r\n");
        run(&mut test, slot);
        at(&mut test, slot, 4);
        assert_eq!(test.sent.len(), before);
        at(&mut test, slot, 5);
        assert_eq!(sent(&test).matches("HTTP/1.1 200 OK\r\n").count(), 3);
        assert_eq!(test.table.state(slot), State::ReadingRequestLine);
        let lines = test.lines();
        assert!(lines.iter().any(|line| line == "Waiting as registered: 5 ms"), "{lines:?}");
    }

    #[test]
    fn it_dribbles_and_stalls_where_it_is_to() {
        let (mut test, slot, _canned) = registered(pace(|pace| {
            pace.dribble = Some((40, MILLISECOND));
            pace.stall = Some((Place::Content(5), Wait::For(10 * MILLISECOND)));
        }));
        test.feed(slot, GET);
        run(&mut test, slot);
        let mut lengths = vec![test.sent.len()];
        for milliseconds in 1..=30 {
            at(&mut test, slot, milliseconds);
            lengths.push(test.sent.len());
        }
        lengths.dedup();
        let whole = WHOLE.len() + 37;
        assert_eq!(lengths, [40, 80, whole - 7, whole]);
        assert_eq!(sent(&test), WHOLE);
        assert_eq!(test.table.state(slot), State::ReadingRequestLine);
        let lines = test.lines();
        assert!(lines.iter().any(|line| line == "Waiting as registered: 10 ms"), "{lines:?}");
    }

    #[test]
    fn it_ends_early_by_a_close_or_a_reset() {
        for (cut, expected) in [
            (Place::Start, ""),
            (Place::Content(0), &WHOLE[..WHOLE.len() - 12]),
            (Place::Content(5), &WHOLE[..WHOLE.len() - 7]),
            (Place::Content(99), WHOLE),
        ] {
            for ending in [Ending::Close, Ending::Reset] {
                let (mut test, slot, _canned) = registered(pace(|pace| (pace.cut, pace.ending) = (Some(cut), ending)));
                test.feed(slot, GET);
                heapless!(loop {
                    if let Action::Close { resets } = test.table.next_action(slot) {
                        assert_eq!(resets, ending == Ending::Reset);
                        break;
                    }
                    if !test.step(slot) {
                        test.table.receive(slot, Input::End);
                    }
                });
                assert_eq!(sent(&test), expected, "{cut:?} {ending:?}");
                assert_eq!(test.table.counters().total_requests.get(), 1);
                let without_status = u64::from(cut == Place::Start);
                assert_eq!(test.table.counters().other_responses[0].get(), without_status);
                test.finish(slot);
                assert_eq!((test.table.active(), test.table.leases_held()), (0, 0));
            }
        }
    }

    #[test]
    fn what_is_raw_is_sent_as_it_is_and_ends_the_connection() {
        let (mut test, slot, _canned) = registered(|registration| registration.is_raw = true);
        test.feed(slot, &GET.repeat(2));
        run(&mut test, slot);
        assert_eq!(test.sent, b"hello, world");
        assert_eq!(test.table.state(slot), State::Closing);
        assert_eq!(test.table.counters().other_responses[0].get(), 1);
    }

    #[test]
    fn what_waits_for_ever_ends_with_its_peer_or_with_the_server() {
        let ends: [fn(&mut TestTable, u32); 3] = [
            |test, slot| test.table.receive(slot, Input::End),
            |test, slot| test.table.receive(slot, Input::Lost),
            |test, _| test.table.begin_stop(),
        ];
        for end in ends {
            for stalls in [false, true] {
                let (mut test, slot, _canned) = registered(pace(|pace| {
                    if stalls {
                        pace.stall = Some((Place::Content(0), Wait::ForEver));
                    } else {
                        pace.delay = Wait::ForEver;
                    }
                }));
                test.feed(slot, GET);
                run(&mut test, slot);
                at(&mut test, slot, 1 << 40);
                assert_eq!(test.sent.is_empty(), !stalls);
                assert_eq!(test.table.active(), 1);
                end(&mut test, slot);
                run(&mut test, slot);
                assert_eq!(test.table.active(), 0);
            }
        }
    }

    #[test]
    fn a_long_content_goes_out_from_where_it_was_registered() {
        let (mut test, slot, canned) = registered(|registration| registration.content = vec![b'x'; 50_000]);
        test.feed(slot, GET);
        run(&mut test, slot);
        assert_eq!(test.sent.len(), sent(&test).find("\r\n\r\n").expect("a head") + 4 + 37 + 50_000);
        assert_eq!(Arc::strong_count(&canned), 2, "the connection gave it back");
    }
}
