//! Listings that share a desk: each comes to its end, whatever the others do.

use super::super::Resolver;
use super::cases::{MANY, Walk, expected, fill, root_of};
use super::*;

#[test]
fn many_listings_at_one_desk_all_come_to_their_end() {
    let tree = tempfile::tempdir().expect("a temporary directory");
    fill(tree.path(), 600);
    let wanted = expected(tree.path());
    let mut root = root_of(tree.path(), Resolver::Openat2);
    for listings in [2, 40] {
        let mut desk = Desk::with_memory(listings, 4096, 4096, 1024);
        let mut walks: Vec<Walk> = (0..listings as u64).map(|token| Walk::new(token, tree.path(), "")).collect();
        let mut done = 0;
        for round in 0.. {
            assert!(round < MANY, "they do not end");
            walks.retain_mut(|walk| match walk.call(&mut desk, &mut root) {
                Progress::Done => {
                    assert!(walk.found == wanted, "listing {} of {listings}", walk.token);
                    done += 1;
                    false
                }
                Progress::Failed => panic!("it can be read"),
                _ => true,
            });
            if walks.is_empty() {
                break;
            }
        }
        assert_eq!(done, listings);
        // Alone each takes about nine passes; sharing must not make it many more.
        assert!(desk.passes <= 20 * listings, "{} passes for {listings}", desk.passes);
    }
}

#[test]
fn a_listing_that_does_not_come_back_loses_the_desk() {
    let tree = tempfile::tempdir().expect("a temporary directory");
    fill(tree.path(), 300);
    let wanted = expected(tree.path());
    let mut root = root_of(tree.path(), Resolver::Openat2);
    // Left in the middle of a pass, and in the middle of giving.
    for calls in [2, 100] {
        let mut desk = Desk::with_memory(8, 1 << 16, 4096, 1024);
        let mut first = Walk::new(1, tree.path(), "");
        for _ in 0..calls {
            first.call(&mut desk, &mut root);
        }
        assert_eq!(desk.phase, if calls == 2 { Phase::Scanning } else { Phase::Giving });
        let mut second = Walk::new(2, tree.path(), "");
        while second.call(&mut desk, &mut root) == Progress::Busy {}
        assert_eq!(second.calls, PATIENT_ROUNDS * 8);
        let second = second.run(&mut desk, &mut root);
        assert!(second.found == wanted);
        assert!(first.run(&mut desk, &mut root).found == wanted, "it goes on where it was");
    }
}

#[test]
fn a_listing_that_is_slow_loses_the_desk_in_the_end() {
    let tree = tempfile::tempdir().expect("a temporary directory");
    fill(tree.path(), 300);
    let mut root = root_of(tree.path(), Resolver::Openat2);
    let mut desk = Desk::new(1);
    let mut slow = Walk::new(1, tree.path(), "");
    while !matches!(slow.call(&mut desk, &mut root), Progress::Entry(_)) {}
    let mut other = Walk::new(2, tree.path(), "");
    while other.call(&mut desk, &mut root) == Progress::Busy {
        slow.call(&mut desk, &mut root);
    }
    assert_eq!(other.calls, MAX_ROUNDS);
    assert_eq!(slow.found.len(), MAX_ROUNDS);
}

#[test]
fn a_listing_that_ends_early_gives_the_desk_back() {
    let tree = tempfile::tempdir().expect("a temporary directory");
    fill(tree.path(), 10);
    let mut root = root_of(tree.path(), Resolver::Openat2);
    let mut desk = Desk::new(1000);
    let mut second = Walk::new(2, tree.path(), "");
    assert_eq!(Walk::new(1, tree.path(), "").call(&mut desk, &mut root), Progress::Working);
    assert_eq!(second.call(&mut desk, &mut root), Progress::Busy);
    desk.release(2);
    assert_eq!(second.call(&mut desk, &mut root), Progress::Busy, "it was not its own");
    desk.release(1);
    assert_eq!(second.call(&mut desk, &mut root), Progress::Working);
}
