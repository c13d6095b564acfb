//! Registered answers in one connection, wait by wait.

use super::super::table::tests::{TestTable, table};
use super::super::{Action, Input, Now, Room, State};
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
fn a_piece_across_the_end_of_the_head_goes_out_at_once_and_goes_on_where_the_kernel_stopped() {
    let (mut test, slot, _canned) = registered(pace(|pace| pace.dribble = Some((36, MILLISECOND))));
    test.feed(slot, GET);
    run(&mut test, slot);
    at(&mut test, slot, 1);
    test.table.set_now(Now { time: Time(2 * MILLISECOND), ..Now::default() });
    assert_eq!(test.table.expire(), Some(slot));
    let head_length = WHOLE.len() + 37 - 12;
    let offered = |test: &mut TestTable| match test.table.next_action(slot) {
        Action::SendRegistered { head, content } => (head.len(), content.to_vec()),
        other => panic!("not a piece: {other:?}"),
    };
    assert_eq!(offered(&mut test), (head_length - 72, b"hello, world"[..108 - head_length].to_vec()));
    // One byte of the head is left, then none, then all but one byte of the piece's content.
    test.table.sent(slot, head_length - 73);
    assert_eq!(offered(&mut test), (1, b"hello, world"[..108 - head_length].to_vec()));
    test.table.sent(slot, 2);
    assert_eq!(offered(&mut test), (0, b"hello, world"[1..108 - head_length].to_vec()));
    test.table.sent(slot, 107 - head_length);
    assert!(matches!(test.table.next_action(slot), Action::Wait));
    at(&mut test, slot, 3);
    assert_eq!(test.table.state(slot), State::ReadingRequestLine);
    assert_eq!(test.table.counters().bytes_sent.get(), head_length as u64 + 12);
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

#[test]
fn what_is_raw_has_no_content_to_leave_out_for_head() {
    let (mut test, slot, _canned) = registered(|registration| registration.is_raw = true);
    test.feed(slot, b"HEAD /a HTTP/1.1\r\nHost: a\r\n\r\n");
    run(&mut test, slot);
    assert_eq!(test.sent, b"hello, world");
    assert_eq!(test.table.state(slot), State::Closing);
}

#[test]
fn a_stall_behind_the_last_byte_keeps_the_end_from_coming() {
    let stall = Some((Place::Content(12), Wait::For(10 * MILLISECOND)));
    for (is_raw, cut) in [(true, None), (false, Some(Place::Content(12))), (false, None)] {
        let (mut test, slot, _canned) = registered(|registration| {
            registration.is_raw = is_raw;
            (registration.pace.stall, registration.pace.cut) = (stall, cut);
            registration.pace.ending = if cut.is_some() { Ending::Reset } else { Ending::AsSaid };
        });
        test.feed(slot, GET);
        run(&mut test, slot);
        let length = test.sent.len();
        assert!(test.sent.ends_with(b"hello, world"));
        at(&mut test, slot, 9);
        assert_eq!(test.table.state(slot), State::SendingResponse, "raw: {is_raw}, cut: {cut:?}");
        at(&mut test, slot, 10);
        let after = if is_raw { State::Closing } else { State::ReadingRequestLine };
        assert_eq!(test.table.state(slot), if cut.is_some() { State::Free } else { after });
        assert_eq!(test.sent.len(), length);
    }
}

#[test]
fn a_pause_whose_end_is_seen_before_its_deadline_passes_leaves_none_behind() {
    let (mut test, slot, _canned) = registered(pace(|pace| pace.dribble = Some((40, MILLISECOND))));
    test.feed(slot, GET);
    run(&mut test, slot);
    assert_eq!(test.sent.len(), 40);
    test.table.set_now(Now { time: Time(MILLISECOND), ..Now::default() });
    // An event of the socket comes first, and the send is interrupted.
    assert!(matches!(test.table.next_action(slot), Action::SendRegistered { .. }));
    assert_eq!(test.table.expire(), None);
    run(&mut test, slot);
    assert_eq!(test.sent.len(), 80, "the next pause is none the shorter");
}

#[test]
fn who_fills_the_receive_buffer_and_ends_is_not_waited_for_for_ever() {
    let (mut test, slot, _canned) = registered(pace(|pace| pace.delay = Wait::ForEver));
    test.feed(slot, GET);
    run(&mut test, slot);
    heapless!(for _ in 0..100 {
        match test.table.receive_room(slot) {
            Room::None => break,
            Room::Buffer(room) => {
                let count = room.len();
                test.table.receive(slot, Input::Bytes(count));
            }
            Room::Drain => test.table.receive(slot, Input::Drained(1000)),
        }
    });
    assert!(test.table.wants_input(slot), "its end would not be seen");
    test.table.receive(slot, Input::End);
    run(&mut test, slot);
    assert_eq!(test.table.active(), 0);
}
