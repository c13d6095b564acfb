//! Names that lead to nothing, until they lead to something.

use super::*;

impl Site {
    fn insert_absence(&mut self, name: &str) {
        self.cache.names = Restraint::default();
        let name = CString::new(name).expect("no NUL");
        self.cache.insert_absence(&self.root, &name);
    }

    fn is_absent(&mut self, name: &str) -> bool {
        matches!(self.cache.get(name.as_bytes(), 0), Some(Found::Absent))
    }

    fn is_absent_next(&mut self, name: &str) -> bool {
        self.cache.refresh();
        self.is_absent(name)
    }
}

/// What can make `a/f` lead to something, by a call that returns.
const ARRIVALS: &[Change] = &[
    ("written", |root| fs::write(root.join("a/f"), "one").expect("nothing is there")),
    ("renamed to", |root| {
        write(&root.join("a/g"), "one");
        rename(root.join("a/g"), root.join("a/f"));
    }),
    ("moved there", |root| {
        write(&root.join("g"), "one");
        rename(root.join("g"), root.join("a/f"));
    }),
    ("linked", |root| {
        write(&root.join("g"), "one");
        fs::hard_link(root.join("g"), root.join("a/f")).expect("one file system");
    }),
    // To a directory that folds case it is the same name.
    ("written under a name in capitals", |root| write(&root.join("a/F"), "one")),
    ("linked by name", |root| symlink("nothing", root.join("a/f")).expect("nothing is there")),
    ("made a directory", |root| fs::create_dir(root.join("a/f")).expect("nothing is there")),
    ("made a directory by a rename", |root| {
        fs::create_dir(root.join("d")).expect("nothing is there");
        rename(root.join("d"), root.join("a/f"));
    }),
    ("made a FIFO", |root| {
        rustix::fs::mknodat(CWD, root.join("a/f"), FileType::Fifo, Mode::RUSR, 0).expect("nothing is there");
    }),
    ("there in another directory of that name", |root| {
        write(&root.join("b/f"), "one");
        rename(root.join("a"), root.join("c"));
        rename(root.join("b"), root.join("a"));
    }),
    ("there in a directory that is linked", |root| {
        write(&root.join("b/f"), "one");
        rename(root.join("a"), root.join("c"));
        symlink("b", root.join("a")).expect("nothing is there");
    }),
    ("there behind a closed door", |root| {
        fs::set_permissions(root.join("a"), PermissionsExt::from_mode(0o000)).expect("it is ours");
    }),
    ("there no more, with its directory", |root| fs::remove_dir_all(root.join("a")).expect("it is ours")),
];

/// A document root in which `a/f` leads to nothing.
fn site() -> Site {
    let mut site = Site::new();
    site.write("a/other", "other");
    site.cache.refresh();
    site
}

#[test]
fn a_name_is_absent_until_something_is_there() {
    for (what, change) in ARRIVALS {
        let mut site = site();
        // First: of 512 pairs of names one shares a place, and the later one has it.
        site.insert_absence("f");
        site.insert_absence("a/f");
        assert!(site.is_absent("a/f") && site.is_absent_next("a/f"), "{what}: it is remembered");
        change(site.tree.path());
        assert!(!site.is_absent_next("a/f"), "{what}");
    }
}

/// Between looking for the name and remembering it, and before.
#[test]
fn what_arrives_in_the_middle_is_not_missed() {
    for (what, change) in ARRIVALS {
        for step in 0..2 {
            let mut site = site();
            let path = site.tree.path().to_path_buf();
            site.cache.interference = Interference(Some((step, Box::new(move || change(&path)))));
            site.insert_absence("a/f");
            assert!(site.cache.interference.0.is_none(), "{what}: step {step} was not reached");
            assert!(!site.is_absent("a/f"), "{what} at step {step}");
            assert!(!site.is_absent_next("a/f"), "{what} at step {step}");
        }
    }
}

#[test]
fn only_what_its_directory_would_tell_of_is_remembered() {
    let mut site = site();
    symlink("a", site.path("way")).expect("nothing is there");
    symlink("nothing", site.path("link")).expect("nothing is there");
    let long = "n".repeat(200);
    let names = ["a/other", "nothing/f", "a/other/f", "way/f", "link", "", "a", "a/", "./f", "a//f", "../f", &long];
    for name in names {
        site.insert_absence(name);
        assert!(!site.is_absent(name), "{name}");
    }
    site.insert_absence("a/f");
    assert!(site.is_absent("a/f"));
    site.cache.distrust();
    assert!(!site.is_absent("a/f"), "what has changed is not known");
    site.insert_absence("a/f");
    assert!(!site.is_absent("a/f"), "nor in the rest of the turn");
    site.cache.refresh();
    site.insert_absence("a/f");
    assert!(site.is_absent("a/f"));
}

/// Nor do attempts cost much that cannot succeed.
#[test]
fn names_that_cannot_be_remembered_are_tried_less_and_less() {
    let mut site = site();
    let looked_for = (0..20_000).filter(|_| {
        let is_tried = site.cache.names.left == 0;
        site.cache.insert_absence(&site.root, c"nothing/f");
        is_tried
    });
    let looked_for = looked_for.count();
    assert!((1000..2500).contains(&looked_for), "{looked_for} of 20,000");
}

/// Who asks for ever new names pays for one look more at a few of them only.
#[test]
fn names_that_nobody_asks_for_again_are_remembered_less_and_less() {
    let mut site = site();
    let mut looked_for = 0;
    for number in 0..20_000 {
        let name = CString::new(format!("a/{number}")).expect("no NUL");
        looked_for += usize::from(site.cache.names.left == 0);
        site.cache.insert_absence(&site.root, &name);
    }
    assert!((1000..2500).contains(&looked_for), "{looked_for} of 20,000");
    let heap = thread_heap_use();
    site.insert_absence("a/f");
    assert!(site.is_absent("a/f"));
    assert_eq!(thread_heap_use().allocations - heap.allocations, 1, "the name of this test alone");
}

/// Where upper and lower case are one, what comes as `A` is what was asked for as `a`.
#[test]
fn whatever_comes_ends_every_absence() {
    let mut site = site();
    site.insert_absence("a/f");
    assert!(site.is_absent_next("a/f"));
    site.write("a/F", "one");
    assert!(!site.is_absent_next("a/f"));
}
