//! What the statistics tell of single connections, by a table with a driver.

use super::super::table::tests::{TestTable, table, table_of};
use super::super::{Admission, Input, Now, Time};
use super::*;
use crate::alloc::thread_heap_use;
use crate::config::Value;

const ASK: &[u8] = b"GET /status HTTP/1.1\r\nHost: a\r\n\r\n";

fn told_table(slots: usize) -> (TestTable, u32) {
    let slots = i128::try_from(slots).expect("it is small");
    table_of(&[
        ("status_path", Value::Text("/status".into())),
        ("max_connections", Value::Integer(slots)),
        ("log_level", Value::Text("off".into())),
    ])
}

fn admit(test: &mut TestTable, peer: &str) -> u32 {
    let Admission::Slot(slot) = test.table.admit(peer.parse().ok()) else { panic!("a slot is free") };
    slot
}

fn run(test: &mut TestTable, slot: u32, bytes: &[u8]) {
    test.feed(slot, bytes);
    while test.step(slot) {}
}

/// The part of the statistics that tells of connections, each as it stands between its braces.
fn connections(test: &mut TestTable, asking: u32) -> Vec<String> {
    test.sent.clear();
    let before = thread_heap_use();
    run(test, asking, ASK);
    assert_eq!(thread_heap_use(), before, "the statistics take no heap");
    let told = String::from_utf8(test.sent.clone()).expect("it is ASCII");
    let (_, all) = told.split_once(",\"connections\":[{").expect("the one who asks is told of");
    let all = all.strip_suffix("}]}\n").expect("it ends with them");
    all.split("},{").map(str::to_owned).collect()
}

fn numbers(connections: &[String]) -> Vec<u32> {
    let number = |told: &String| told.strip_prefix("\"number\":")?.split(',').next()?.parse().ok();
    connections.iter().map(|told| number(told).expect("it begins with its number")).collect()
}

#[test]
fn the_one_who_asks_is_first_then_the_open_ones_then_the_closed_ones() {
    let (mut test, first) = told_table(8);
    test.table.set_now(Now { time: Time(5_000_000), ..Now::default() });
    let second = admit(&mut test, "192.0.2.7:1234");
    let third = admit(&mut test, "[2001:db8::1]:80");
    let fourth = admit(&mut test, "192.0.2.8:1");
    run(&mut test, second, b"GET /a.txt?password=1 HTTP/1.1\r\nHost: a\r\n\r\n");
    test.feed(third, b"POST /slow HTTP/1.1\r\nHo");
    run(&mut test, fourth, b"GET /b HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    test.finish(fourth);
    test.table.set_now(Now { time: Time(12_000_000), ..Now::default() });
    let all = connections(&mut test, first);
    assert_eq!(
        all,
        [
            "\"number\":0,\"peer\":\"unix:\",\"state\":\"PROCESSING\",\"lifetime_ms\":12,\"requests\":1,\
             \"bytes_received\":33,\"bytes_sent\":0,\"request\":\"GET /status\",\"status\":null,\"asking\":true",
            "\"number\":2,\"peer\":\"[2001:db8::1]:80\",\"state\":\"READING_HEADERS\",\"lifetime_ms\":7,\"requests\":1,\
             \"bytes_received\":23,\"bytes_sent\":0,\"request\":\"POST /slow\",\"status\":null",
            "\"number\":1,\"peer\":\"192.0.2.7:1234\",\"state\":\"READING_REQUEST_LINE\",\"lifetime_ms\":7,\"requests\":1,\
             \"bytes_received\":43,\"bytes_sent\":207,\"request\":\"GET /a.txt?...\",\"status\":200",
            "\"number\":3,\"peer\":\"192.0.2.8:1\",\"state\":\"CLOSED\",\"lifetime_ms\":0,\"requests\":1,\
             \"bytes_received\":47,\"bytes_sent\":225,\"request\":\"GET /b\",\"status\":200",
        ]
    );
}

#[test]
fn whoever_leaves_from_the_middle_or_an_end_leaves_the_others_in_order() {
    for leaving in [0, 1, 2, 3, 4] {
        let (mut test, first) = told_table(8);
        let slots: Vec<_> = std::iter::once(first).chain((1..5).map(|_| admit(&mut test, "192.0.2.1:1"))).collect();
        test.finish(slots[leaving]);
        let asking = admit(&mut test, "192.0.2.1:1");
        let expected: Vec<_> = [5, 4, 3, 2, 1, 0].into_iter().filter(|number| *number as usize != leaving).collect();
        let all = numbers(&connections(&mut test, asking));
        assert_eq!(all[..5], expected, "number {leaving} left");
        assert_eq!(all[5..], [u32::try_from(leaving).expect("it is small")]);
        slots.into_iter().chain([asking]).for_each(|slot| test.finish(slot));
        test.table.check_invariants();
        let again = admit(&mut test, "192.0.2.1:1");
        assert_eq!(connections(&mut test, again).len(), 7);
    }
}

#[test]
fn of_too_many_the_open_ones_and_the_closed_ones_have_their_share() {
    let (mut test, first) = told_table(100);
    for _ in 0..40 {
        let slot = admit(&mut test, "192.0.2.1:1");
        test.finish(slot);
    }
    assert_eq!(numbers(&connections(&mut test, first)), [vec![0], (10..41).rev().collect()].concat());
    let open: Vec<_> = (0..50).map(|_| admit(&mut test, "192.0.2.1:1")).collect();
    let all = [vec![0], (72..=90).rev().collect(), (29..=40).rev().collect()].concat();
    assert_eq!(numbers(&connections(&mut test, first)), all);
    assert_eq!(all.len(), MAX_CONNECTIONS);
    open.into_iter().for_each(|slot| test.finish(slot));
    test.table.check_invariants();
}

/// What is told of a connection that sent this and ended.
fn request_told(bytes: &[u8]) -> String {
    let (mut test, slot) = told_table(4);
    run(&mut test, slot, bytes);
    test.finish(slot);
    let asking = admit(&mut test, "192.0.2.1:1");
    let all = connections(&mut test, asking);
    let (_, told) = all[1].split_once(",\"request\":").expect("it is told of");
    told.to_owned()
}

#[test]
fn a_request_is_escaped_and_cut_and_keeps_no_query() {
    let long = format!("GET /{} HTTP/1.1\r\nHost: a\r\n\r\n", "x".repeat(200));
    let hostile = [b"\xff\x01\"\\".repeat(50), b"\r\n\r\n".to_vec()].concat();
    for (bytes, told) in [
        (&b"GET /a HTTP/1.1\r\nHost: a\r\n\r\n"[..], r#""GET /a","status":200"#.to_owned()),
        (b"GET /a?b=c HTTP/1.1\r\nHost: a\r\n\r\n", r#""GET /a?...","status":200"#.to_owned()),
        (b"G@T /a?b=secret HTTP/1.1\r\nHost: a\r\n\r\n", r#""G@T /a?...","status":400"#.to_owned()),
        (b"GET /a\nAuthorization: secret\n\n", r#""GET /a","status":400"#.to_owned()),
        (b"GET /\"\\\x1b\0 HTTP/1.1\r\n\r\n", r#""GET /\"\\\u001b\u0000 HTTP/1.1","status":400"#.to_owned()),
        (b"GET /a HTTP/1.1\r\n\r\n", r#""GET /a","status":400"#.to_owned()),
        (long.as_bytes(), format!(r#""GET /{}...","status":200"#, "x".repeat(75))),
        (&hostile, format!(r#""{}\u00ff...","status":400"#, r#"\u00ff\u0001\"\\"#.repeat(7))),
        (b"GET /never-en", r#""","status":null"#.to_owned()),
        (b"", r#""","status":null"#.to_owned()),
    ] {
        assert_eq!(request_told(bytes), told, "{}", bytes.escape_ascii());
    }
}

#[test]
fn what_is_forgotten_is_told_no_more_and_who_is_there_is() {
    let (mut test, first) = told_table(4);
    let (second, third) = (admit(&mut test, "192.0.2.1:1"), admit(&mut test, "192.0.2.1:2"));
    run(&mut test, second, b"GET /before HTTP/1.1\r\nHost: a\r\n\r\n");
    test.finish(third);
    let before = thread_heap_use();
    test.table.forget();
    assert_eq!(thread_heap_use(), before);
    let told = connections(&mut test, first);
    assert_eq!(numbers(&told), [0, 1]);
    assert!(!told[1].contains("before"), "{told:?}");
    let again = admit(&mut test, "192.0.2.1:3");
    test.finish(again);
    assert_eq!(numbers(&connections(&mut test, first)), [0, 1, 0], "numbers begin anew");
    test.table.check_invariants();
}

#[test]
fn nothing_is_kept_where_nobody_can_ask() {
    let (mut test, slot) = table();
    run(&mut test, slot, b"GET /a HTTP/1.1\r\nHost: a\r\n\r\n");
    assert!(test.table.core.recent.is_none());
    test.table.receive(slot, Input::Lost);
    test.finish(slot);
}

#[test]
fn pipelined_statistics_are_whole_and_tell_what_was_answered_before() {
    let (mut test, slot) = told_table(4);
    let pair = [b"GET /a HTTP/1.1\r\nHost: a\r\n\r\n", ASK].concat();
    run(&mut test, slot, &pair.repeat(5));
    let told = String::from_utf8_lossy(&test.sent).into_owned();
    for asked in 1..=5 {
        let requests = format!("\"requests\":{},\"bytes_received\":305", asked * 2);
        assert_eq!(told.matches(&requests).count(), 1, "{told}");
    }
    assert_eq!(told.matches(",\"asking\":true}]}\n").count(), 5);
}
