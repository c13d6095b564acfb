//! Listings of directories that are large, that change, and that hold what is not to be shown.

use super::super::Resolver;
use super::*;
use crate::alloc::thread_heap_use;
use rustix::fs::{CWD, Mode, OFlags};
use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::symlink;
use std::path::Path;
use std::time::Instant;
use tempfile::TempDir;

/// More calls than any listing here takes.
pub(super) const MANY: usize = 1_000_000;

pub(super) fn root_of(path: &Path, resolver: Resolver) -> Root {
    Root { resolver, ..Root::open(path.to_str().expect("it is UTF-8")).expect("it is a directory") }
}

fn open(path: &Path) -> OwnedFd {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NONBLOCK | OFlags::CLOEXEC;
    rustix::fs::openat(CWD, path, flags, Mode::empty()).expect("it can be opened")
}

/// Makes entries in no order, few of them directories, and the files links to a few: that is fast to make.
pub(super) fn fill(path: &Path, count: usize) {
    let mut file = None;
    for place in 0..count {
        let number = place * 7919 % count;
        let name = path.join(format!("a-name-like-any-{number:06}"));
        if number % 100 == 3 {
            std::fs::create_dir(name).expect("a directory");
        } else if let Some(file) = file.as_ref().filter(|_| place % 10_000 != 0) {
            std::fs::hard_link(file, name).expect("a link");
        } else {
            std::fs::write(&name, "").expect("a file");
            file = Some(name);
        }
    }
}

/// What is to be listed of a directory that holds only directories and files that are not hidden.
pub(super) fn expected(path: &Path) -> Vec<(Kind, Vec<u8>)> {
    let entries = std::fs::read_dir(path).expect("it can be read").map(|entry| entry.expect("it can be read"));
    let kind = |is_directory| if is_directory { Kind::Directory } else { Kind::File };
    let mut names: Vec<_> = entries
        .map(|entry| (kind(entry.file_type().expect("it is known").is_dir()), entry.file_name().into_vec()))
        .collect();
    names.sort();
    names
}

/// A listing as a connection keeps it.
pub(super) struct Walk {
    pub(super) token: Token,
    directory: OwnedFd,
    name: &'static str,
    shows_hidden: bool,
    position: Position,
    pub(super) found: Vec<(Kind, Vec<u8>)>,
    facts: Vec<EntryFacts>,
    pub(super) calls: usize,
}

impl Walk {
    pub(super) fn new(token: Token, root: &Path, name: &'static str) -> Self {
        let directory = open(&root.join(name));
        let (position, found, facts) = (Position::default(), Vec::new(), Vec::new());
        Self { token, directory, name, shows_hidden: false, position, found, facts, calls: 0 }
    }

    pub(super) fn call(&mut self, desk: &mut Desk, root: &mut Root) -> Progress {
        self.call_by(|listing, position| desk.next(root, listing, position))
    }

    pub(super) fn call_desks(&mut self, desks: &mut Desks, root: &mut Root) -> Progress {
        let connection = usize::try_from(self.token).expect("there are few");
        self.call_by(|listing, position| desks.next(root, connection, listing, position))
    }

    fn call_by(&mut self, next: impl FnOnce(&Listing<'_>, &mut Position) -> Progress) -> Progress {
        let listing = Listing {
            token: self.token,
            directory: &self.directory,
            name: self.name.as_bytes(),
            shows_hidden: self.shows_hidden,
        };
        let progress = next(&listing, &mut self.position);
        self.calls += 1;
        if let Progress::Entry(facts) = progress {
            assert_eq!(facts.kind, self.position.kind());
            self.found.push((facts.kind, self.position.name().to_vec()));
            self.facts.push(facts);
        }
        progress
    }

    pub(super) fn run(mut self, desk: &mut Desk, root: &mut Root) -> Self {
        for _ in 0..MANY {
            match self.call(desk, root) {
                Progress::Entry(_) | Progress::Working => {}
                Progress::Done => return self,
                progress => panic!("{progress:?}"),
            }
        }
        panic!("the listing does not end");
    }

    fn names(&self) -> Vec<String> {
        self.found.iter().map(|(_, name)| String::from_utf8_lossy(name).into_owned()).collect()
    }
}

fn listed(path: &Path, desk: &mut Desk) -> Walk {
    Walk::new(1, path, "").run(desk, &mut root_of(path, Resolver::Openat2))
}

#[test]
fn ten_thousand_entries_are_listed_in_few_passes() {
    let tree = tempfile::tempdir().expect("a temporary directory");
    fill(tree.path(), 10_000);
    let wanted = expected(tree.path());
    let mut desk = Desk::new(128);
    let walk = listed(tree.path(), &mut desk);
    assert!(walk.found == wanted, "they are complete, sorted and told once");
    assert!(desk.passes <= 3, "{} passes", desk.passes);
    // A step reads a block, and each entry takes a call.
    let blocks = 10_000 * 48 / BLOCK_BYTES + 2;
    assert!(walk.calls <= 10_000 + desk.passes * (blocks + 2) + 1, "{} calls", walk.calls);
}

#[test]
fn little_memory_takes_more_passes_and_gives_the_same() {
    let tree = tempfile::tempdir().expect("a temporary directory");
    fill(tree.path(), 1500);
    let wanted = expected(tree.path());
    for (record_bytes, most_records, block_bytes) in [(4096, 4096, 4096), (1 << 20, 64, 512), (600, 10, 1 << 16)] {
        let mut desk = Desk::with_memory(1, record_bytes, most_records, block_bytes);
        let walk = listed(tree.path(), &mut desk);
        assert!(walk.found == wanted, "with {record_bytes} bytes for {most_records} names");
        // A quarter of what the memory holds is kept at least.
        let kept = most_records.min(record_bytes / 24) / 4;
        assert!(desk.passes <= 1500 / kept + 1, "{} passes with {kept}", desk.passes);
    }
}

#[test]
fn small_directories() {
    let tree = tempfile::tempdir().expect("a temporary directory");
    let mut desk = Desk::new(1);
    let walk = listed(tree.path(), &mut desk);
    assert!(walk.found.is_empty() && walk.calls <= 4);
    std::fs::write(tree.path().join("one"), "12345").expect("a file");
    let walk = listed(tree.path(), &mut desk);
    assert_eq!(walk.names(), ["one"]);
    assert_eq!(walk.facts[0].size, 5);
    assert!(walk.facts[0].modified_seconds > 1_000_000_000);
}

#[test]
fn a_removed_directory_has_no_entries() {
    let tree = tempfile::tempdir().expect("a temporary directory");
    let inner = tree.path().join("inner");
    std::fs::create_dir(&inner).expect("a directory");
    let mut root = root_of(tree.path(), Resolver::Openat2);
    let walk = Walk::new(1, tree.path(), "inner/");
    std::fs::remove_dir(&inner).expect("it is empty");
    assert!(walk.run(&mut Desk::new(1), &mut root).found.is_empty());
}

#[test]
fn what_is_no_directory_fails_and_leaves_the_desk() {
    let tree = tempfile::tempdir().expect("a temporary directory");
    std::fs::write(tree.path().join("f"), "").expect("a file");
    let mut root = root_of(tree.path(), Resolver::Openat2);
    let mut desk = Desk::new(1000);
    let mut bad = Walk::new(1, tree.path(), "");
    bad.directory = std::fs::File::open(tree.path().join("f")).expect("it is there").into();
    assert_eq!(bad.call(&mut desk, &mut root), Progress::Failed);
    assert_eq!(Walk::new(2, tree.path(), "").call(&mut desk, &mut root), Progress::Working);
}

#[test]
fn names_are_bytes() {
    let tree = tempfile::tempdir().expect("a temporary directory");
    let longest = [b'\xfe'; 255];
    for name in [&b"\xff"[..], b"a\nb", b" ", b"\x01", b"?", b"a", b"a.", b"A", &longest, "🚀".as_bytes()] {
        std::fs::write(tree.path().join(OsStr::from_bytes(name)), "").expect("a file");
    }
    let all = expected(tree.path());
    // No path leads to them.
    for name in ["\\", "a\\b"] {
        std::fs::write(tree.path().join(name), "").expect("a file");
    }
    assert_eq!(listed(tree.path(), &mut Desk::new(1)).found, all);
}

/// A tree with every kind of entry, and a secret beside it.
fn tree() -> TempDir {
    let outer = tempfile::tempdir().expect("a temporary directory");
    let root = outer.path().join("www");
    std::fs::create_dir_all(root.join("sub/deeper")).expect("a directory");
    std::fs::create_dir(root.join(".git")).expect("a directory");
    std::fs::create_dir_all(root.join(".well-known")).expect("a directory");
    std::fs::create_dir_all(root.join("sub/.well-known")).expect("a directory");
    std::fs::write(outer.path().join("secret"), "secret").expect("a file");
    std::fs::write(root.join("file"), "12345").expect("a file");
    std::fs::write(root.join("..hidden"), "").expect("a file");
    for (name, target) in [
        ("sub/inside", "../file"),
        ("sub/directory", "deeper"),
        ("sub/chain", "inside"),
        ("sub/root", ".."),
        ("sub/outside", "../../secret"),
        ("sub/above", "../.."),
        ("sub/dangling", "nothing"),
        ("sub/loop", "loop"),
        ("sub/to-fifo", "fifo"),
        ("top", "sub/deeper"),
    ] {
        symlink(target, root.join(name)).expect("a link");
    }
    symlink(root.join("file"), root.join("sub/absolute")).expect("a link");
    let fifo = root.join("sub/fifo");
    rustix::fs::mknodat(CWD, &fifo, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).expect("a FIFO");
    std::os::unix::net::UnixListener::bind(root.join("sub/socket")).expect("a socket");
    outer
}

#[test]
fn links_are_shown_as_what_they_lead_to_beneath_the_root() {
    let outer = tree();
    for resolver in [Resolver::Openat2, Resolver::Walk] {
        let path = outer.path().join("www");
        let mut root = root_of(&path, resolver);
        let walk = Walk::new(1, &path, "sub/").run(&mut Desk::new(1), &mut root);
        assert_eq!(walk.names(), ["deeper", "directory", "root", "chain", "inside"], "by {resolver:?}");
        assert_eq!(walk.found[1].0, Kind::Directory);
        assert_eq!(walk.facts[4].size, 5, "it is the target's");
        let walk = Walk::new(2, &path, "").run(&mut Desk::new(1), &mut root);
        assert_eq!(walk.names(), [".well-known", "sub", "top", "file"], "by {resolver:?}");
    }
}

#[test]
fn hidden_names_are_shown_where_they_are_wanted() {
    let outer = tree();
    let path = outer.path().join("www");
    let mut root = root_of(&path, Resolver::Openat2);
    for (name, expected) in [
        ("", &[".git", ".well-known", "sub", "top", "..hidden", "file"][..]),
        ("sub/", &[".well-known", "deeper", "directory", "root", "chain", "inside"]),
    ] {
        let walk = Walk { shows_hidden: true, ..Walk::new(1, &path, name) };
        assert_eq!(walk.run(&mut Desk::new(1), &mut root).names(), expected);
    }
}

#[test]
fn a_step_looks_at_few_entries_however_many_links_there_are() {
    let tree = tempfile::tempdir().expect("a temporary directory");
    for number in 0..1000 {
        symlink("nothing", tree.path().join(format!("dangling-{number}"))).expect("a link");
    }
    std::fs::write(tree.path().join("file"), "").expect("a file");
    for number in 0..300 {
        symlink("file", tree.path().join(format!("link-{number:03}"))).expect("a link");
    }
    let mut root = root_of(tree.path(), Resolver::Openat2);
    let mut desk = Desk::new(1);
    let walk = Walk::new(1, tree.path(), "").run(&mut desk, &mut root);
    let names: Vec<String> =
        std::iter::once("file".into()).chain((0..300).map(|number| format!("link-{number:03}"))).collect();
    assert_eq!(walk.names(), names);
    assert_eq!(desk.passes, 1);
    let steps = walk.calls - 301;
    assert!((1300 / LOOKS_PER_STEP..1300 / LOOKS_PER_STEP + 6).contains(&steps), "{steps} steps");
}

#[test]
fn entries_that_vanish_are_skipped_in_bounded_steps() {
    let tree = tempfile::tempdir().expect("a temporary directory");
    fill(tree.path(), 1000);
    let mut root = root_of(tree.path(), Resolver::Openat2);
    let mut desk = Desk::new(1);
    let mut walk = Walk::new(1, tree.path(), "");
    while !matches!(walk.call(&mut desk, &mut root), Progress::Entry(_)) {}
    for (kind, name) in expected(tree.path()) {
        let path = tree.path().join(OsStr::from_bytes(&name));
        // The last stays, and another becomes a directory.
        match (kind, name.as_slice()) {
            (_, b"a-name-like-any-000999") => {}
            (Kind::Directory, _) => std::fs::remove_dir(path).expect("it is there"),
            (Kind::File, b"a-name-like-any-000998") => {
                std::fs::remove_file(&path).expect("it is there");
                std::fs::create_dir(path).expect("nothing is there");
            }
            (Kind::File, _) => std::fs::remove_file(path).expect("it is there"),
        }
    }
    let before = walk.calls;
    let walk = walk.run(&mut desk, &mut root);
    assert_eq!(walk.names(), ["a-name-like-any-000003", "a-name-like-any-000999"]);
    assert!(walk.calls - before > 999 / LOOKS_PER_STEP, "each call skips {LOOKS_PER_STEP} at most");
}

#[test]
fn a_directory_that_changes_shows_what_stays_and_nothing_twice() {
    let tree = tempfile::tempdir().expect("a temporary directory");
    let path = |kind: &str, number: usize| tree.path().join(format!("{number:04}-{kind}"));
    for number in 0..1000 {
        std::fs::write(path("stays", number), "").expect("a file");
        std::fs::write(path("goes", number), "").expect("a file");
    }
    let mut root = root_of(tree.path(), Resolver::Openat2);
    let mut desk = Desk::with_memory(1, 2048, 1024, 2048);
    let mut walk = Walk::new(1, tree.path(), "");
    let mut number = 0;
    for call in 0.. {
        assert!(call < MANY, "the listing does not end");
        if walk.call(&mut desk, &mut root) == Progress::Done {
            break;
        }
        // Those that go, go in another order than they are listed in; others come before and behind the position.
        if number < 1000 {
            std::fs::remove_file(path("goes", number * 7919 % 1000)).expect("it is there");
            std::fs::write(path("comes", number * 4999 % 1000), "").expect("a file");
            number += 1;
        }
    }
    assert!(walk.found.is_sorted_by(|a, b| a < b), "nothing comes twice");
    let found: BTreeSet<String> = walk.names().into_iter().collect();
    for number in 0..1000 {
        assert!(found.contains(&format!("{number:04}-stays")), "{number} stays");
    }
    assert!(desk.passes > 10);
}

#[test]
fn a_name_that_a_pass_meets_twice_is_told_once() {
    let tree = tempfile::tempdir().expect("a temporary directory");
    fill(tree.path(), 10);
    let mut root = root_of(tree.path(), Resolver::Openat2);
    let mut desk = Desk::new(1);
    let mut walk = Walk::new(1, tree.path(), "");
    assert_eq!(walk.call(&mut desk, &mut root), Progress::Working);
    for (kind, name) in expected(tree.path()) {
        desk.selection.offer(&Position::of(kind, &name).expect("it is not too long"));
    }
    assert!(walk.run(&mut desk, &mut root).found == expected(tree.path()));
}

#[test]
fn a_position_that_was_set_back_is_gone_on_from() {
    let tree = tempfile::tempdir().expect("a temporary directory");
    fill(tree.path(), 10);
    let mut root = root_of(tree.path(), Resolver::Openat2);
    let mut desk = Desk::new(1);
    let mut walk = Walk::new(1, tree.path(), "");
    while walk.found.len() < 5 {
        walk.call(&mut desk, &mut root);
    }
    let again = Walk { position: Position::default(), found: Vec::new(), ..walk };
    assert!(again.run(&mut desk, &mut root).found == expected(tree.path()));
}

#[test]
fn listing_calls_no_heap() {
    let outer = tree();
    let path = outer.path().join("www");
    fill(&path.join("sub/deeper"), 500);
    for resolver in [Resolver::Openat2, Resolver::Walk] {
        let mut root = root_of(&path, resolver);
        let before = thread_heap_use();
        let mut desk = Desk::new(2);
        let taken = thread_heap_use();
        assert_eq!(usize::try_from(taken.since(before).net_bytes), Ok(Desk::HEAP_BYTES));
        for (token, name) in [(1, "sub/"), (2, "sub/deeper/")] {
            let directory = &open(&path.join(name));
            let before = thread_heap_use();
            let listing = Listing { token, directory, name: name.as_bytes(), shows_hidden: true };
            let mut position = Position::default();
            while desk.next(&mut root, &listing, &mut position) != Progress::Done {}
            assert_eq!(thread_heap_use(), before);
        }
    }
}

/// Prints how long listings take: `cargo test --lib time_of_listings -- --ignored --nocapture`.
#[test]
#[ignore = "it is for a person"]
fn time_of_listings() {
    for (count, links) in [(10_000, false), (100_000, false), (10_000, true)] {
        let tree = tempfile::tempdir().expect("a temporary directory");
        if links {
            std::fs::write(tree.path().join("file"), "").expect("a file");
            for number in 0..count {
                symlink("file", tree.path().join(format!("a-link-like-any-{number:06}"))).expect("a link");
            }
        } else {
            fill(tree.path(), count);
        }
        let mut root = root_of(tree.path(), Resolver::Openat2);
        for _ in 0..3 {
            let mut desk = Desk::new(128);
            let mut walk = Walk::new(1, tree.path(), "");
            let mut times = Vec::with_capacity(MANY);
            let start = Instant::now();
            loop {
                let before = Instant::now();
                let progress = walk.call(&mut desk, &mut root);
                times.push((before.elapsed(), progress == Progress::Working));
                if progress == Progress::Done {
                    break;
                }
            }
            let longest = |working| times.iter().filter(|time| time.1 == working).map(|time| time.0).max();
            println!(
                "{count} entries, links {links}: {:?} in {} calls and {} passes; longest step {:?}, longest entry {:?}",
                start.elapsed(),
                times.len(),
                desk.passes,
                longest(true).unwrap_or_default(),
                longest(false).unwrap_or_default()
            );
        }
    }
}
