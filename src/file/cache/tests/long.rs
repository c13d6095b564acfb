//! Contents that are held while they are sent, instead of being copied.

use super::*;

const LONG: usize = MAX_CONTENT + 1;

impl Site {
    fn hold(&mut self, name: &str) -> Held {
        match self.cache.get(name.as_bytes(), 0) {
            Some(Found::Long(hit)) => hit.content,
            found => panic!("{found:?} is not long"),
        }
    }
}

#[test]
fn every_change_drops_a_long_content_and_who_holds_it_keeps_it() {
    let one = vec![b'1'; LONG];
    for (what, change) in CHANGES {
        let mut site = Site::new();
        site.write("a/f", &one);
        assert!(site.insert("a/f"), "{what}");
        assert_eq!(site.get_next("a/f"), Some(one.clone()), "{what}");
        let held = site.hold("a/f");
        change(site.tree.path());
        assert_eq!(site.get_next("a/f"), None, "{what}");
        if site.insert_rested("a/f") {
            assert_eq!(site.get_next("a/f"), on_disk(&site, "a/f"), "{what}");
        }
        assert_eq!(site.cache.held_content(&held), one, "{what}");
    }
}

#[test]
fn a_change_in_the_middle_of_bringing_in_a_long_content_is_not_missed() {
    for (what, change) in CHANGES {
        for step in 0..7 {
            let mut site = Site::new();
            site.write("a/f", vec![b'1'; LONG]);
            let path = site.tree.path().to_path_buf();
            site.cache.interference = Interference(Some((step, Box::new(move || change(&path)))));
            let _ = site.insert("a/f");
            assert!(site.cache.interference.0.is_none(), "{what}: step {step} was not reached");
            if let Some(content) = site.get_next("a/f") {
                assert_eq!(Some(content), on_disk(&site, "a/f"), "{what} at step {step}");
            }
        }
    }
}

/// A megabyte of cache has three places.
#[test]
fn where_all_places_are_held_nothing_long_is_brought_in() {
    let mut site = Site::new();
    for name in ["a", "b", "c", "d"] {
        site.write(name, vec![name.as_bytes()[0]; LONG]);
    }
    let mut held = Vec::new();
    for name in ["a", "b", "c"] {
        assert!(site.insert_rested(name), "{name}");
        held.push(site.hold(name));
    }
    assert!(!site.insert_rested("d"));
    for (held, byte) in held.iter().zip(*b"abc") {
        assert!(site.cache.held_content(held).iter().all(|&content| content == byte));
    }
    drop(held.remove(1));
    site.cache.contents = Restraint::default();
    assert!(site.insert_rested("d"));
    assert_eq!(site.get("b"), None, "it made room");
    assert_eq!(site.get("d"), Some(vec![b'd'; LONG]));
}
