//! The kernel's events and the table of watches.

use super::*;
use crate::file::testing::become_nobody;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use tempfile::TempDir;

fn open(path: &Path) -> OwnedFd {
    rustix::fs::open(path, OFlags::PATH | OFlags::CLOEXEC, Mode::empty()).expect("it is there")
}

fn watch() -> (TempDir, OwnedFd, Watch) {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let root = open(directory.path());
    let watch = Watch::new(root.as_fd(), 1000).expect("changes can be learned of");
    (directory, root, watch)
}

fn names(text: &str) -> Names {
    Names::of(NameHash::seeded(7), text.as_bytes())
}

#[test]
fn what_the_kernel_could_not_queue_may_be_anything() {
    let (_tree, _root, watch) = watch();
    let everything = Some(Change::Everything);
    assert_eq!(watch.meaning(-1, ReadFlags::QUEUE_OVERFLOW, b""), everything);
    assert_eq!(watch.meaning(77, ReadFlags::UNMOUNT, b""), everything);
    assert_eq!(watch.meaning(77, ReadFlags::MODIFY, b"f"), None, "nobody knows this watch");
}

/// Some file systems remove a directory with all that is in it, and only its parent tells.
#[test]
fn a_directory_that_went_may_have_taken_anything_with_it() {
    let (tree, root, mut watch) = watch();
    watch.watch_directory(root.as_fd(), NameHash::seeded(7)).expect("it can be watched");
    std::fs::create_dir(tree.path().join("d")).expect("nothing is there");
    watch.begin();
    let came = Change::Names(Names::of(NameHash::seeded(7), b"d"));
    assert_eq!(watch.next_change(), Ok(Some(came)), "one that came has taken nothing but its name");
    std::fs::remove_dir(tree.path().join("d")).expect("it is empty");
    assert_eq!(watch.next_change(), Ok(Some(Change::Everything)));
}

#[test]
fn half_of_the_users_watches_are_left_to_others() {
    assert_eq!(limit(1000, "192536\n"), most_watches(1000));
    assert_eq!(limit(1000, "600\n"), 300);
    assert_eq!(limit(100_000, ""), USUAL_WATCHES / 2);
}

#[test]
fn a_directory_that_may_not_be_read_is_not_watched() {
    let (tree, root, mut watch) = watch();
    std::fs::set_permissions(tree.path(), PermissionsExt::from_mode(0o111)).expect("it is ours");
    std::thread::spawn(move || {
        become_nobody();
        assert_eq!(watch.watch_directory(root.as_fd(), NameHash::seeded(7)), Err(Refused::Failed));
        assert!(watch.is_idle());
    })
    .join()
    .expect("the thread does not panic");
    std::fs::set_permissions(tree.path(), PermissionsExt::from_mode(0o755)).expect("it is ours");
}

#[test]
fn a_file_is_watched_under_one_name_and_until_its_last_use_is_given_back() {
    let (tree, _root, mut watch) = watch();
    std::fs::write(tree.path().join("f"), "content").expect("a file");
    let file = open(&tree.path().join("f"));
    let descriptor = watch.watch_file(&file, names("f")).expect("it can be watched");
    assert_eq!(watch.watch_file(&file, names("f")), Ok(descriptor));
    assert_eq!(watch.watch_file(&file, names("g")), Err(Refused::OtherName));
    watch.release(descriptor);
    assert!(!watch.is_idle());
    watch.release(descriptor);
    assert!(watch.is_idle());
    watch.release(descriptor);
    std::fs::write(tree.path().join("f"), "changed").expect("a file");
    watch.begin();
    assert_eq!(watch.next_change(), Ok(None));
}

#[test]
fn a_directory_may_be_on_the_way_any_number_of_times() {
    let (_tree, root, mut watch) = watch();
    for _ in 0..70_000 {
        assert_eq!(watch.watch_directory(root.as_fd(), NameHash::seeded(7)), Ok(()));
    }
    assert_eq!(watch.watches.len(), 1);
}

#[test]
fn what_was_forgotten_tells_nothing_until_it_is_watched_again() {
    let (tree, root, mut watch) = watch();
    let path = tree.path().join("f");
    std::fs::write(&path, "content").expect("a file");
    let file = open(&path);
    let descriptor = watch.watch_file(&file, names("f")).expect("it can be watched");
    watch.watch_directory(root.as_fd(), NameHash::seeded(7)).expect("it can be watched");
    watch.forget_all();
    std::fs::write(&path, "changed").expect("a file");
    watch.begin();
    assert_eq!(watch.next_change(), Ok(None));
    assert_eq!(watch.watch_file(&file, names("g")), Ok(descriptor), "under any name");
    std::fs::write(&path, "again").expect("a file");
    watch.begin();
    assert_eq!(watch.next_change(), Ok(Some(Change::Opened(descriptor, names("g")))));
    assert_eq!(watch.next_change(), Ok(Some(Change::Names(names("g")))), "it was truncated");
    watch.sweep();
    assert_eq!((watch.watches.len(), watch.forgotten), (1, 0));
    watch.release(descriptor);
    assert!(watch.is_idle());
}

#[test]
fn the_table_is_right_whatever_comes_and_goes() {
    let (tree, _root, mut watch) = watch();
    let files: Vec<_> = (0..1000)
        .map(|number| {
            std::fs::write(tree.path().join(number.to_string()), "").expect("a file");
            open(&tree.path().join(number.to_string()))
        })
        .collect();
    let mut watched = vec![None; files.len()];
    for step in 0..20_000_usize {
        let number = step * 7919 % 1000;
        match step % 5 {
            0..3 => {
                if watched[number].is_none() {
                    watched[number] = watch.watch_file(&files[number], names("f")).ok();
                    assert!(watched[number].is_some());
                }
            }
            3 => {
                if let Some(descriptor) = watched[number].take() {
                    watch.release(descriptor);
                }
            }
            _ if step % 1000 == 999 => {
                watch.forget_all();
                watched.fill(None);
            }
            _ => watch.sweep(),
        }
        let live = watched.iter().flatten().count();
        assert_eq!(watch.watches.len() - watch.forgotten, live, "step {step}");
    }
    let found = |descriptor: &i32| watch.watches.find(*descriptor).map(|index| watch.watches[index].descriptor);
    assert!(watched.iter().flatten().all(|descriptor| found(descriptor) == Some(*descriptor)));
    watch.forget_all();
    while watch.sweep_all(10) {}
    assert!(watch.is_idle());
}

/// Whatever its directory calls it.
#[test]
fn a_file_tells_itself_that_it_is_moved() {
    let (tree, _root, mut watch) = watch();
    let path = tree.path().join("f");
    std::fs::write(&path, "content").expect("a file");
    watch.watch_file(&open(&path), names("F")).expect("it can be watched");
    std::fs::rename(&path, tree.path().join("g")).expect("nothing is there");
    watch.begin();
    assert_eq!(watch.next_change(), Ok(Some(Change::Names(names("F")))));
}
