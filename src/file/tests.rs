//! Names beneath the root, and nothing else.

use super::*;
use std::ffi::CString;
use std::os::unix::fs::{FileExt, PermissionsExt, symlink};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// What became of a name, and the first bytes of the file where it was one.
#[derive(Debug, PartialEq)]
enum Found {
    File(String),
    Directory,
    Error(OpenError),
}

fn open(root: &mut Root, name: &str) -> Found {
    match root.open_file(&CString::new(name).expect("no NUL"), Codings::NONE) {
        Ok(Opened::File(OpenFile::Descriptor(file), facts, _)) => {
            let mut bytes = vec![0; usize::try_from(facts.size).expect("it is small")];
            std::fs::File::from(file).read_exact_at(&mut bytes, 0).expect("it was just opened");
            Found::File(String::from_utf8(bytes).expect("the tests write text"))
        }
        Ok(Opened::Directory(OpenFile::Descriptor(_))) => Found::Directory,
        Ok(_) => panic!("nothing is in memory"),
        Err(error) => Found::Error(error),
    }
}

/// A tree with everything that can be met, and a secret beside it; and a root for each resolver.
fn tree() -> (TempDir, [Root; 2]) {
    let outer = tempfile::tempdir().expect("a temporary directory");
    let root = outer.path().join("www");
    std::fs::create_dir_all(root.join("a/b")).expect("a directory");
    std::fs::write(outer.path().join("secret"), "secret").expect("a file");
    std::fs::create_dir(outer.path().join("www-secret")).expect("a directory");
    std::fs::write(outer.path().join("www-secret/f"), "secret").expect("a file");
    std::fs::write(root.join("f"), "root").expect("a file");
    std::fs::write(root.join("a/b/f"), "deep").expect("a file");
    let links = [
        ("inside", "a/b/f"),
        ("a/up", "../f"),
        ("a/b/upup", "../../a/up"),
        ("dir", "a/b"),
        ("dots", "a/./b/../b//f"),
        ("outside", "../secret"),
        ("sibling", "../www-secret/f"),
        ("through", "a/../../secret"),
        ("loop", "loop"),
        ("dangling", "nothing"),
        ("here", "."),
        ("up", ".."),
    ];
    for (name, target) in links {
        symlink(target, root.join(name)).expect("a link");
    }
    symlink(outer.path().join("secret"), root.join("absolute")).expect("a link");
    symlink(root.join("f"), root.join("absolute-inside")).expect("a link");
    let fifo = root.join("fifo");
    rustix::fs::mknodat(rustix::fs::CWD, &fifo, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).expect("a FIFO");
    let roots = [Resolver::Openat2, Resolver::Walk].map(|resolver| {
        let path = root.to_str().expect("it is UTF-8");
        Root { resolver, ..Root::open(path).expect("it is a directory") }
    });
    (outer, roots)
}

#[test]
fn names_beneath_the_root_and_nothing_else() {
    let (_tree, mut roots) = tree();
    let file = |text: &str| Found::File(text.into());
    let long = "n".repeat(256);
    let deep = "x/".repeat(2000) + "f";
    for root in &mut roots {
        for (name, expected) in [
            ("f", file("root")),
            ("a/b/f", file("deep")),
            ("a//b/./f", file("deep")),
            ("inside", file("deep")),
            ("a/up", file("root")),
            ("a/b/upup", file("root")),
            ("dir/f", file("deep")),
            ("dir/upup", file("root")),
            ("dots", file("deep")),
            ("here/f", file("root")),
            ("a", Found::Directory),
            ("dir", Found::Directory),
            ("here", Found::Directory),
            ("nothing", Found::Error(OpenError::NotFound)),
            ("f/f", Found::Error(OpenError::NotFound)),
            ("inside/f", Found::Error(OpenError::NotFound)),
            ("dangling", Found::Error(OpenError::NotFound)),
            (long.as_str(), Found::Error(OpenError::NotFound)),
            (deep.as_str(), Found::Error(OpenError::NotFound)),
            ("outside", Found::Error(OpenError::Forbidden)),
            ("sibling", Found::Error(OpenError::Forbidden)),
            ("through", Found::Error(OpenError::Forbidden)),
            ("absolute", Found::Error(OpenError::Forbidden)),
            ("absolute-inside", Found::Error(OpenError::Forbidden)),
            ("up/secret", Found::Error(OpenError::Forbidden)),
            ("up", Found::Error(OpenError::Forbidden)),
            ("loop", Found::Error(OpenError::Forbidden)),
            ("../secret", Found::Error(OpenError::Forbidden)),
            ("/etc/passwd", Found::Error(OpenError::Forbidden)),
        ] {
            assert_eq!(open(root, name), expected, "{name} by {:?}", root.resolver());
        }
    }
}

#[test]
fn a_fifo_is_refused_without_blocking() {
    let (_tree, mut roots) = tree();
    for root in &mut roots {
        assert_eq!(open(root, "fifo"), Found::Error(OpenError::Forbidden));
    }
}

#[test]
fn an_unreadable_file_is_forbidden_to_who_may_not_read_it() {
    let (tree, mut roots) = tree();
    let path = tree.path().join("www/f");
    std::fs::set_permissions(&path, PermissionsExt::from_mode(0o000)).expect("it is ours");
    // Root may read everything.
    let expected = match std::fs::read_to_string(&path) {
        Ok(text) => Found::File(text),
        Err(_) => Found::Error(OpenError::Forbidden),
    };
    for root in &mut roots {
        assert_eq!(open(root, "f"), expected);
    }
}

#[test]
fn opening_leaves_no_descriptor_and_calls_no_heap() {
    let (_tree, mut roots) = tree();
    let count = || std::fs::read_dir("/proc/self/fd").map(Iterator::count).unwrap_or(0);
    for root in &mut roots {
        let names: Vec<_> = ["f", "a/b/upup", "outside", "fifo", "loop", "nothing"]
            .map(|name| CString::new(name).expect("no NUL"))
            .into();
        let descriptors = count();
        let before = crate::alloc::thread_heap_use();
        for name in &names {
            drop(root.open_file(name, Codings::NONE));
        }
        assert_eq!(crate::alloc::thread_heap_use(), before);
        // Other tests of this process open descriptors too, so only a leak for each of many opens would show.
        for _ in 0..200 {
            drop(root.open_file(&names[1], Codings::NONE));
        }
        assert!(count() < descriptors + 150, "a descriptor leaked with each open");
    }
}

/// Swaps `name` between a directory and a link to the outside as fast as it can, while the other thread opens through it.
#[test]
fn a_link_swapped_in_a_loop_never_leads_outside() {
    let (tree, roots) = tree();
    let www = tree.path().join("www");
    std::fs::create_dir(www.join("real")).expect("a directory");
    std::fs::write(www.join("real/f"), "inside").expect("a file");
    symlink("../www-secret", www.join("evil")).expect("a link");
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| swap(&www, &stop));
        let deadline = Instant::now() + Duration::from_millis(400);
        for mut root in roots {
            let (mut served, mut refused) = (0, 0);
            while Instant::now() < deadline || served == 0 || refused == 0 {
                match open(&mut root, "swap/f") {
                    Found::File(text) => {
                        assert_eq!(text, "inside");
                        served += 1;
                    }
                    Found::Error(_) => refused += 1,
                    Found::Directory => panic!("it is a file"),
                }
            }
        }
        stop.store(true, Ordering::Relaxed);
    });
}

fn swap(www: &Path, stop: &AtomicBool) {
    let name = www.join("swap");
    while !stop.load(Ordering::Relaxed) {
        std::fs::rename(www.join("real"), &name).expect("nothing is there");
        std::fs::rename(&name, www.join("real")).expect("it was just moved");
        std::fs::rename(www.join("evil"), &name).expect("nothing is there");
        std::fs::rename(&name, www.join("evil")).expect("it was just moved");
    }
}
