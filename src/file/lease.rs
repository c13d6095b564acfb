//! Whether a file is open for writing, by anybody, at this moment.
//!
//! A writer through a shared mapping tells nobody what it changes, so a file may be cached only while no writer has it. The
//! kernel counts the writers of a file, mappings included, and shows that count in one way only: it refuses a read lease while
//! it is not zero. The lease is taken and given back at once; it must never be held, because it makes others wait.

#![allow(unsafe_code)]

use nix::libc;
use rustix::fd::{AsRawFd, OwnedFd};

/// Which signal tells of a lease that somebody waits for (asm-generic/fcntl.h; the libc crate does not have it).
const F_SETSIG: libc::c_int = 10;

/// True where nobody has the file open for writing or mapped for writing. False also where that cannot be known: the file
/// belongs to another user and this process has not CAP_LEASE, or the file system gives no leases.
///
/// `file` is a regular file, open for reading only.
pub(super) fn has_no_writer(file: &OwnedFd) -> bool {
    let is_taken = take(file);
    if is_taken {
        give_back(file);
    }
    is_taken
}

fn take(file: &OwnedFd) -> bool {
    // Whoever opens the file for writing before the lease is given back breaks it, and the signal for that would be SIGIO, which
    // ends the process. SIGURG is ignored unless somebody handles it.
    control(file, F_SETSIG, libc::SIGURG) && control(file, libc::F_SETLEASE, libc::F_RDLCK)
}

fn give_back(file: &OwnedFd) {
    // Fails only where the lease is gone already; closing the descriptor would end it too.
    let _ = control(file, libc::F_SETLEASE, libc::F_UNLCK);
}

fn control(file: &OwnedFd, command: libc::c_int, argument: libc::c_int) -> bool {
    // SAFETY: the descriptor is open as long as `file` is borrowed; both commands take an integer and no pointer.
    unsafe { libc::fcntl(file.as_raw_fd(), command, argument) == 0 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::file::testing::{Mapping, become_nobody};
    use std::fs::{File, OpenOptions};
    use std::io::ErrorKind;
    use std::os::unix::fs::OpenOptionsExt;

    #[test]
    fn a_file_has_no_writer_until_one_opens_it_and_after_the_last_has_closed_it() {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let path = directory.path().join("f");
        std::fs::write(&path, "content").expect("a file");
        let reader = OwnedFd::from(File::open(&path).expect("it is there"));
        assert!(has_no_writer(&reader));
        let writers = [(); 2].map(|()| OpenOptions::new().append(true).open(&path).expect("it may be written"));
        for writer in writers {
            assert!(!has_no_writer(&reader));
            drop(writer);
        }
        assert!(has_no_writer(&reader), "nothing is held");
        let writer = OpenOptions::new().write(true).custom_flags(libc::O_NONBLOCK).open(&path);
        assert!(writer.is_ok(), "it would not wait for a lease");
    }

    #[test]
    fn a_mapping_for_writing_is_a_writer_after_its_descriptor_is_closed() {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let path = directory.path().join("f");
        std::fs::write(&path, "content").expect("a file");
        let reader = OwnedFd::from(File::open(&path).expect("it is there"));
        let mapping = Mapping::of(&path);
        assert!(!has_no_writer(&reader));
        drop(mapping);
        assert!(has_no_writer(&reader));
    }

    #[test]
    fn somebody_elses_file_counts_as_written() {
        // Its owner is root everywhere, and who asks is not.
        let passwd = OwnedFd::from(File::open("/etc/passwd").expect("it is there"));
        let asked = std::thread::spawn(move || {
            become_nobody();
            has_no_writer(&passwd)
        });
        assert!(!asked.join().expect("the thread does not panic"));
    }

    /// The signal was chosen before the lease was taken. Otherwise this test would end the whole process.
    #[test]
    fn a_broken_lease_ends_nobody() {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let path = directory.path().join("f");
        std::fs::write(&path, "content").expect("a file");
        let reader = OwnedFd::from(File::open(&path).expect("it is there"));
        let open = || OpenOptions::new().write(true).custom_flags(libc::O_NONBLOCK).open(&path);
        assert!(take(&reader));
        assert_eq!(open().map(drop).map_err(|error| error.kind()), Err(ErrorKind::WouldBlock));
        give_back(&reader);
        drop(open().expect("nobody is in the way"));
    }
}
