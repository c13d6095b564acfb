//! Promise P8 put to the test: every kind of change, at every moment.

mod absences;
mod limits;
mod long;
mod races;
mod sidecars;

use super::*;
use crate::alloc::thread_heap_use;
use crate::connection::FileFacts;
use crate::file::testing::{Mapping, mount_over, mount_overlay, truncate, unmount, unshare_mounts};
use rustix::fs::{AtFlags, CWD, FileType, Mode, OFlags, Timespec, Timestamps};
use std::ffi::CString;
use std::fmt::{self, Debug, Formatter};
use std::fs::{self, OpenOptions};
use std::os::unix::fs::{FileExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use tempfile::TempDir;

const CACHE_SIZE: usize = 1 << 20;
const MAX_CONTENT: usize = 12 * 1024;
/// Two content codings, in the client's order.
const CODINGS: &[(u8, &str)] = &[(1, ".br"), (2, ".gz")];
/// The variant of a client that takes them.
const CODED: u8 = 5;

/// Something done to the files in the middle of an insertion.
#[derive(Default)]
pub(super) struct Interference(Option<(usize, Box<dyn FnOnce() + Send>)>);

impl Interference {
    pub(super) fn at_step(&mut self, step: usize) {
        if let Some((_, action)) = self.0.take_if(|(at, _)| *at == step) {
            action();
        }
    }
}

impl Debug for Interference {
    fn fmt(&self, out: &mut Formatter<'_>) -> fmt::Result {
        out.write_str("Interference")
    }
}

/// What was found in the cache.
#[derive(Debug, PartialEq)]
struct Seen {
    facts: FileFacts,
    tag: u8,
    content: Vec<u8>,
}

/// A document root and its cache.
struct Site {
    tree: TempDir,
    root: OwnedFd,
    cache: Cache,
}

impl Site {
    fn new() -> Self {
        Self::with(CACHE_SIZE)
    }

    fn with(cache_size: usize) -> Self {
        // A container's /tmp may be of a kind that is not cached; its /dev/shm is not.
        let mut tree = tempfile::tempdir().expect("a temporary directory");
        let mut root = open_root(tree.path());
        if !is_trusted(&root) {
            tree = tempfile::tempdir_in("/dev/shm").expect("a temporary directory");
            root = open_root(tree.path());
        }
        let cache = Cache::new(&root, cache_size, MAX_CONTENT, true).expect("changes can be learned of");
        Self { tree, root, cache }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.tree.path().join(name)
    }

    fn write(&self, name: &str, content: impl AsRef<[u8]>) {
        write(&self.path(name), content);
    }

    fn insert(&mut self, name: &str) -> bool {
        self.insert_variant(name, 0, &[])
    }

    fn insert_variant(&mut self, name: &str, variant: u8, suffixes: &[(u8, &'static str)]) -> bool {
        let name = CString::new(name).expect("no NUL");
        self.cache.insert(&self.root, &name, variant, suffixes)
    }

    /// The same after a rest that an earlier failure may have led to.
    fn insert_rested(&mut self, name: &str) -> bool {
        self.cache.resting.fill(Resting::default());
        self.cache.insert_from = 0;
        self.insert(name)
    }

    fn get(&mut self, name: &str) -> Option<Vec<u8>> {
        self.look(name, 0).map(|seen| seen.content)
    }

    /// What is cached under a name for one variant.
    fn look(&mut self, name: &str, variant: u8) -> Option<Seen> {
        let (facts, tag, held) = match self.cache.get(name.as_bytes(), variant)? {
            Found::Short(Hit { facts, tag, content, .. }) => {
                return Some(Seen { facts, tag, content: content.to_vec() });
            }
            Found::Long(Hit { facts, tag, content, .. }) => (facts, tag, content),
            Found::Absent => return None,
        };
        Some(Seen { facts, tag, content: self.cache.held_content(&held).to_vec() })
    }

    /// What the next turn's requests get from the cache.
    fn get_next(&mut self, name: &str) -> Option<Vec<u8>> {
        self.cache.refresh();
        self.get(name)
    }

    /// Tag and content of the variant with codings.
    fn get_coded(&mut self, name: &str) -> Option<(u8, String)> {
        self.cache.refresh();
        let seen = self.look(name, CODED)?;
        Some((seen.tag, String::from_utf8(seen.content).expect("the tests write text")))
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        // So that the tree can be removed; most tests leave it open.
        for path in ["", "a"] {
            let _ = fs::set_permissions(self.path(path), PermissionsExt::from_mode(0o755));
        }
    }
}

/// Makes a file that was last modified long ago.
fn write(path: &Path, content: impl AsRef<[u8]>) {
    fs::create_dir_all(path.parent().expect("it lies in the tree")).expect("a directory");
    fs::write(path, content).expect("a file");
    set_modified(path, 1000);
}

fn open_root(path: &Path) -> OwnedFd {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    rustix::fs::open(path, flags, Mode::empty()).expect("it is a directory")
}

/// Without opening it.
fn set_modified(path: &Path, seconds: i64) {
    let time = Timespec { tv_sec: seconds, tv_nsec: 0 };
    let times = Timestamps { last_access: time, last_modification: time };
    rustix::fs::utimensat(CWD, path, &times, AtFlags::empty()).expect("it is ours");
}

fn write_at_start(path: &Path, content: &str) {
    let file = OpenOptions::new().write(true).open(path).expect("it may be written");
    file.write_all_at(content.as_bytes(), 0).expect("there is room");
}

fn rename(from: PathBuf, to: PathBuf) {
    fs::rename(from, to).expect("both lie in one tree");
}

#[test]
fn what_was_inserted_is_found_with_its_facts() {
    let mut site = Site::new();
    site.write("a/b/f.txt", "content");
    site.write("empty", "");
    assert_eq!(site.get_next("a/b/f.txt"), None);
    for name in ["a/b/f.txt", "empty"] {
        assert!(site.insert(name), "{name}");
        assert!(site.insert(name), "again is well too");
    }
    for _ in 0..3 {
        assert_eq!(site.get_next("a/b/f.txt").as_deref(), Some(&b"content"[..]));
        assert_eq!(site.get("empty").as_deref(), Some(&b""[..]));
    }
    let hit = site.look("a/b/f.txt", 0).expect("it was found before");
    let status = rustix::fs::stat(site.path("a/b/f.txt")).expect("it is there");
    assert_eq!((hit.facts, hit.tag), (facts(&status), 0));
    assert_eq!(site.look("a/b/f.txt", 1), None, "another variant is another entry");
    assert_eq!(site.get("a/b/f.tx"), None);
}

type Change = (&'static str, fn(&Path));

/// What can happen to `a/f`, whose content is `one`, by a call that returns.
const CHANGES: &[Change] = &[
    ("written in place", |root| write_at_start(&root.join("a/f"), "two")),
    ("replaced in place", |root| fs::write(root.join("a/f"), "two").expect("it is ours")),
    ("appended to", |root| {
        let file = OpenOptions::new().append(true).open(root.join("a/f")).expect("it is ours");
        std::io::Write::write_all(&mut &file, b"+").expect("there is room");
    }),
    ("truncated by name", |root| truncate(&root.join("a/f"), 1)),
    ("mapped and written", |root| Mapping::of(&root.join("a/f")).write(b"two")),
    ("renamed over", |root| {
        write(&root.join("g"), "two");
        rename(root.join("g"), root.join("a/f"));
    }),
    ("renamed away", |root| rename(root.join("a/f"), root.join("a/g"))),
    ("moved away", |root| rename(root.join("a/f"), root.join("g"))),
    ("exchanged", |root| {
        write(&root.join("g"), "two");
        let [from, to] = [root.join("a/f"), root.join("g")];
        let flags = rustix::fs::RenameFlags::EXCHANGE;
        rustix::fs::renameat_with(CWD, from, CWD, to, flags).expect("one file system");
    }),
    ("unlinked", |root| fs::remove_file(root.join("a/f")).expect("it is ours")),
    ("replaced by a link", |root| {
        write(&root.join("g"), "two");
        fs::remove_file(root.join("a/f")).expect("it is ours");
        symlink("../g", root.join("a/f")).expect("nothing is there");
    }),
    ("made unreadable", |root| {
        fs::set_permissions(root.join("a/f"), PermissionsExt::from_mode(0o000)).expect("it is ours");
    }),
    ("touched", |root| set_modified(&root.join("a/f"), 2000)),
    ("given an attribute", |root| {
        let flags = rustix::fs::XattrFlags::empty();
        if rustix::fs::setxattr(root.join("a/f"), c"user.a", b"1", flags).is_err() {
            set_modified(&root.join("a/f"), 2000); // No attributes there.
        }
    }),
    ("linked and written by the other name, which nobody watches", |root| {
        fs::create_dir(root.join("other")).expect("nothing is there");
        fs::hard_link(root.join("a/f"), root.join("other/g")).expect("one file system");
        write_at_start(&root.join("other/g"), "two");
        fs::remove_file(root.join("other/g")).expect("it is ours");
    }),
    ("linked and touched by the other name", |root| {
        fs::create_dir(root.join("other")).expect("nothing is there");
        fs::hard_link(root.join("a/f"), root.join("other/g")).expect("one file system");
        set_modified(&root.join("other/g"), 2000);
        fs::remove_file(root.join("other/g")).expect("it is ours");
    }),
    ("moved with its directory", |root| rename(root.join("a"), root.join("b"))),
    ("hidden by another directory", |root| {
        rename(root.join("a"), root.join("b"));
        write(&root.join("a/f"), "two");
    }),
    ("hidden by a link to another directory", |root| {
        write(&root.join("b/f"), "two");
        rename(root.join("a"), root.join("c"));
        symlink("b", root.join("a")).expect("nothing is there");
    }),
    ("closed off with its directory", |root| {
        fs::set_permissions(root.join("a"), PermissionsExt::from_mode(0o000)).expect("it is ours");
    }),
    ("closed off with all", |root| {
        fs::set_permissions(root, PermissionsExt::from_mode(0o000)).expect("it is ours");
    }),
    ("deleted with its directory", |root| fs::remove_dir_all(root.join("a")).expect("it is ours")),
    ("deleted with all", |root| fs::remove_dir_all(root).expect("it is ours")),
];

/// What the file system itself says.
fn on_disk(site: &Site, name: &str) -> Option<Vec<u8>> {
    fs::read(site.path(name)).ok()
}

#[test]
fn every_change_drops_the_entry() {
    for (what, change) in CHANGES {
        let mut site = Site::new();
        site.write("a/f", "one");
        site.write("a/other", "other");
        assert!(site.insert("a/f") && site.insert("a/other"));
        assert_eq!(site.get_next("a/f").as_deref(), Some(&b"one"[..]));
        change(site.tree.path());
        assert_eq!(site.get_next("a/f"), None, "{what}");
        if site.insert_rested("a/f") {
            assert_eq!(site.get_next("a/f"), on_disk(&site, "a/f"), "{what}");
        }
        // Whatever became of its neighbour, it is right.
        if let Some(content) = site.get_next("a/other") {
            assert_eq!(Some(content), on_disk(&site, "a/other"), "{what}");
        }
    }
}

#[test]
fn what_happens_beside_it_drops_nothing() {
    let mut site = Site::new();
    site.write("a/f", "one");
    assert!(site.insert("a/f"));
    site.write("a/g", "two");
    write_at_start(&site.path("a/g"), "TWO");
    rename(site.path("a/g"), site.path("a/h"));
    fs::remove_file(site.path("a/h")).expect("it is ours");
    fs::create_dir(site.path("a/d")).expect("nothing is there");
    assert_eq!(fs::read_dir(site.path("a")).expect("it is a directory").count(), 2);
    assert!(site.path("a/f").exists());
    assert_eq!(site.get_next("a/f").as_deref(), Some(&b"one"[..]));
    assert_eq!(site.get_next("a/f").as_deref(), Some(&b"one"[..]));
}

#[test]
fn what_is_open_for_writing_is_not_cached_until_it_is_closed() {
    let mut site = Site::new();
    site.write("f", "one");
    let writer = OpenOptions::new().write(true).open(site.path("f")).expect("it is ours");
    assert!(!site.insert("f"));
    drop(writer);
    site.cache.refresh();
    assert!(!site.insert("f"), "it rests for a while");
    for _ in 0..SHORT_REST {
        site.cache.refresh();
    }
    assert!(site.insert("f"));
}

#[test]
fn what_is_mapped_for_writing_is_never_cached() {
    let mut site = Site::new();
    site.write("f", "one");
    let mapping = Mapping::of(&site.path("f"));
    for _ in 0..3 {
        assert!(!site.insert_rested("f"));
        assert_eq!(site.get_next("f"), None);
    }
    drop(mapping);
    assert!(site.insert_rested("f"));
    assert!(site.get_next("f").is_some());
    let mapping = Mapping::of(&site.path("f"));
    mapping.write(b"two");
    assert_eq!(site.get_next("f"), None, "dropped when it was opened");
    assert!(!site.insert_rested("f"));
    mapping.write(b"six");
    drop(mapping);
    assert!(site.insert_rested("f"));
    assert_eq!(site.get_next("f").as_deref(), Some(&b"six"[..]));
}

#[test]
fn what_cannot_be_watched_over_is_not_cached() {
    let mut site = Site::new();
    site.write("a/f", "one");
    site.write("large", vec![7; places::MAX_LONG + 1]);
    site.write("largest", vec![7; places::MAX_LONG]);
    site.write("linked", "one");
    fs::hard_link(site.path("linked"), site.path("a/linked")).expect("one file system");
    symlink("a/f", site.path("link")).expect("nothing is there");
    symlink("a", site.path("way")).expect("nothing is there");
    symlink("f", site.path("a/link")).expect("nothing is there");
    rustix::fs::mknodat(CWD, site.path("fifo"), FileType::Fifo, Mode::RUSR, 0).expect("a FIFO");
    let refused =
        ["link", "way/f", "a/link", "linked", "a/linked", "large", "fifo", "a", "nothing", "a/f/f", "nothing/f"];
    let spellings = ["", "/", "/a/f", "a//f", "a/", "./a/f", "a/.", "a/../a/f", "..", "../x"];
    for name in refused.iter().chain(&spellings) {
        assert!(!site.insert(name), "{name}");
        assert_eq!(site.get_next(name), None, "{name}");
    }
    assert!(site.insert("largest"));
    fs::remove_file(site.path("a/linked")).expect("it is ours");
    assert!(site.insert_rested("linked"), "its other name is gone");
}

#[test]
fn names_have_up_to_255_bytes() {
    let mut site = Site::new();
    let deep = "d/".repeat(MAX_DIRECTORIES - 1);
    let names = ["n".repeat(255), format!("{}/{}", "d".repeat(127), "f".repeat(127)), deep.clone() + "f"];
    for name in &names {
        site.write(name, name);
        assert!(site.insert(name), "{name}");
        assert!(site.insert_variant(name, CODED, CODINGS), "no sidecar can have the longest name with a suffix");
    }
    for name in &names {
        assert_eq!(site.get_next(name), Some(name.clone().into_bytes()));
    }
    let too_long = format!("{}/{}", "d".repeat(127), "g".repeat(128));
    let too_deep = deep + "d/f";
    for name in [too_long, too_deep] {
        site.write(&name, "f");
        assert!(!site.insert(&name), "{name}");
    }
}

/// There, the lease does not show a mapping whose descriptor is closed.
#[test]
fn an_overlay_is_not_cached() {
    std::thread::spawn(|| {
        let tree = tempfile::tempdir_in("/dev/shm").expect("a temporary directory");
        if unshare_mounts().and_then(|()| mount_overlay(tree.path())).is_err() {
            return eprintln!("may not mount here");
        }
        let root = open_root(&tree.path().join("merged"));
        assert!(Cache::new(&root, CACHE_SIZE, MAX_CONTENT, true).is_none());
        drop(root);
        unmount(&tree.path().join("merged")).expect("it was mounted");
    })
    .join()
    .expect("the thread does not panic");
}

#[test]
fn a_mount_over_a_directory_on_the_way_drops_everything() {
    std::thread::spawn(|| {
        // In a mount table of this thread's own, so that nobody else sees it.
        if unshare_mounts().is_err() {
            return eprintln!("may not mount here");
        }
        let mut site = Site::new();
        site.write("a/f", "one");
        assert!(site.insert("a/f"));
        assert!(site.get_next("a/f").is_some());
        fs::create_dir(site.path("b")).expect("nothing is there");
        site.write("b/f", "two");
        mount_over(&site.path("b"), &site.path("a")).expect("root may");
        assert_eq!(on_disk(&site, "a/f").as_deref(), Some(&b"two"[..]));
        assert_eq!(site.get_next("a/f"), None);
        assert!(!site.insert_rested("a/f"), "it lies on another mount");
        unmount(&site.path("a")).expect("it was mounted");
        site.cache.refresh();
        assert!(site.insert_rested("a/f"));
        assert_eq!(site.get_next("a/f").as_deref(), Some(&b"one"[..]));
    })
    .join()
    .expect("the thread does not panic");
}
