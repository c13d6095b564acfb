//! Changes in the middle of an insertion, between any two turns, and all the time.

use super::*;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// How many places there are in an insertion where a change may fall.
const STEPS: usize = 7;

/// Every change at every step: what is served in this turn is a state that the file had during it, and in the next turn it is
/// what is there.
#[test]
fn a_change_in_the_middle_of_an_insertion_is_not_missed() {
    let mut inserted = 0;
    for (what, change) in CHANGES {
        for step in 0..STEPS {
            for other_variant_first in [false, true] {
                let case = format!("{what} at step {step}, other variant first: {other_variant_first}");
                let mut site = Site::new();
                site.write("a/f", "one");
                if other_variant_first {
                    assert!(site.insert_variant("a/f", CODED, CODINGS));
                }
                site.cache.refresh();
                let path = site.tree.path().to_path_buf();
                site.cache.interference = Interference(Some((step, Box::new(move || change(&path)))));
                if site.insert("a/f") {
                    inserted += 1;
                    check_this_turn(&mut site, what, &case);
                }
                assert!(site.cache.interference.0.is_none(), "{case}: the step was not reached");
                check_next_turn(&mut site, &case);
            }
        }
    }
    assert!(inserted >= 10, "{inserted} insertions in spite of the change");
}

fn check_this_turn(site: &mut Site, what: &str, case: &str) {
    let hit = site.look("a/f", 0).expect("it was inserted");
    let is_old = hit.content == b"one";
    assert!(is_old || Some(&hit.content) == on_disk(site, "a/f").as_ref(), "{case}");
    assert_eq!(hit.facts.size, hit.content.len() as u64, "{case}");
    // Facts and content are of one moment.
    if ["written", "place", "appended", "truncated"].iter().any(|word| what.contains(word)) {
        assert_eq!(hit.facts.modified_seconds == 1000, is_old, "{case}");
    }
}

fn check_next_turn(site: &mut Site, case: &str) {
    site.cache.refresh();
    for variant in [0, CODED] {
        if let Some(hit) = site.look("a/f", variant) {
            let status = rustix::fs::stat(site.path("a/f")).expect("what is cached is there");
            assert_eq!(Some(&hit.content), on_disk(site, "a/f").as_ref(), "{case}");
            assert_eq!(hit.facts, facts(&status), "{case}");
        }
    }
}

/// A writer of before leaves in the moment between the first look at the file and the watch: no event tells of what it did.
#[test]
fn what_is_served_is_chosen_by_the_last_look() {
    let mut site = Site::new();
    site.write("f.js", "plain");
    site.write("f.js.br", "br");
    let mapping = Mapping::of(&site.path("f.js"));
    let action = Box::new(move || mapping.write(b"PLAIN"));
    site.cache.interference = Interference(Some((1, action)));
    assert!(!site.insert_variant("f.js", CODED, CODINGS), "the file is newer than its sidecar now");
    assert!(site.insert_variant("f.js", CODED, CODINGS));
    assert_eq!(site.get_coded("f.js"), Some((0, "PLAIN".into())));
}

/// Ways to write `version` over the file so that its size stays the same.
struct Writer {
    path: PathBuf,
    mapping: Option<Mapping>,
}

impl Writer {
    fn write(&mut self, version: u64) {
        let content = format!("{version:08}");
        // A mapping is kept through several versions.
        let way = version / 5 % 5;
        if way != 2 {
            self.mapping = None;
        }
        match way {
            0 => write_at_start(&self.path, &content),
            1 => {
                let new = self.path.with_extension("new");
                fs::write(&new, content).expect("a file");
                fs::rename(new, &self.path).expect("one directory");
            }
            2 => self.mapping.get_or_insert_with(|| Mapping::of(&self.path)).write(content.as_bytes()),
            3 => {
                fs::remove_file(&self.path).expect("it is there");
                fs::write(&self.path, content).expect("a file");
            }
            _ => Mapping::of(&self.path).write(content.as_bytes()),
        }
    }
}

fn version(content: &[u8]) -> u64 {
    std::str::from_utf8(content).expect("digits").parse().expect("a number")
}

#[test]
fn ten_thousand_versions_are_each_seen_at_once() {
    let mut site = Site::new();
    site.write("a/f", "00000000");
    let mut writer = Writer { path: site.path("a/f"), mapping: None };
    let (mut hits, mut insertions) = (0, 0);
    for round in 0..10_000 {
        writer.write(round);
        for _ in 0..2 {
            let found = site.get_next("a/f");
            hits += usize::from(found.is_some());
            if let Some(content) = found {
                assert_eq!(version(&content), round);
            } else if site.insert_rested("a/f") {
                insertions += 1;
                assert_eq!(version(&site.get("a/f").expect("it was inserted")), round);
            }
        }
    }
    assert!(hits >= 7000 && insertions >= 7000, "{hits} hits, {insertions} insertions");
}

/// A writer who never rests, and a reader who knows what was written before it asked.
#[test]
fn nobody_sees_less_than_was_written_before_he_asked() {
    let mut site = Site::new();
    site.write("a/f", "00000000");
    let written = AtomicU64::new(0);
    let until = Instant::now() + Duration::from_millis(800);
    let mut writer = Writer { path: site.path("a/f"), mapping: None };
    let (mut hits, mut insertions) = (0, 0);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for version in 1.. {
                writer.write(version);
                written.store(version, Ordering::Release);
                // Now and then it lets the others work.
                for _ in 0..version % 7 * 400 {
                    std::hint::spin_loop();
                }
                if Instant::now() > until {
                    return;
                }
            }
        });
        while Instant::now() < until {
            let asked = written.load(Ordering::Acquire);
            let found = site.get_next("a/f").map(|content| (content, true));
            let found =
                found.or_else(|| site.insert_rested("a/f").then(|| (site.get("a/f").expect("it was inserted"), false)));
            if let Some((content, is_hit)) = found {
                // Between making and writing it, a new file is empty.
                assert!(content.is_empty() || version(&content) >= asked, "{content:?} after version {asked}");
                *(if is_hit { &mut hits } else { &mut insertions }) += 1;
            }
        }
    });
    assert!(hits > 10 && insertions > 10, "{hits} hits, {insertions} insertions");
}
