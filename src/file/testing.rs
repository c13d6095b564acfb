//! What the tests of this module ask of the system that the standard library does not have.

#![allow(unsafe_code)]

use nix::libc;
use std::ffi::{CStr, CString};
use std::fs::OpenOptions;
use std::io;
use std::os::fd::AsRawFd;
use std::path::Path;
use std::ptr::{NonNull, null_mut};

/// The first bytes of a file, mapped for writing and shared; its descriptor is closed.
pub(super) struct Mapping(NonNull<u8>);

// SAFETY: it is memory of the process, which belongs to no thread.
unsafe impl Send for Mapping {}

impl Mapping {
    const BYTES: usize = 4096;

    pub(super) fn of(path: &Path) -> Self {
        let file = OpenOptions::new().read(true).write(true).open(path).expect("it may be written");
        let protection = libc::PROT_READ | libc::PROT_WRITE;
        // SAFETY: a new mapping, wherever the kernel likes.
        let address = unsafe { libc::mmap(null_mut(), Self::BYTES, protection, libc::MAP_SHARED, file.as_raw_fd(), 0) };
        assert_ne!(address, libc::MAP_FAILED);
        Self(NonNull::new(address.cast()).expect("nothing is mapped at 0"))
    }

    /// Writes at the beginning. The file is not shorter than that.
    pub(super) fn write(&self, bytes: &[u8]) {
        assert!(bytes.len() <= Self::BYTES);
        // SAFETY: the mapping is as long as that and lives as long as `self`.
        unsafe { std::ptr::copy_nonoverlapping(bytes.as_ptr(), self.0.as_ptr(), bytes.len()) }
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: it was mapped with this length, and nothing borrows from it.
        unsafe { libc::munmap(self.0.as_ptr().cast(), Self::BYTES) };
    }
}

fn result(code: libc::c_int) -> io::Result<()> {
    if code == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

fn c_string(path: &Path) -> CString {
    CString::new(path.as_os_str().as_encoded_bytes()).expect("a path has no NUL")
}

/// truncate(2), which does not open.
pub(super) fn truncate(path: &Path, length: i64) {
    // SAFETY: the name lives through the call.
    result(unsafe { libc::truncate(c_string(path).as_ptr(), length) }).expect("it is ours");
}

/// Makes the calling thread, and no other, a user who owns nothing. There is no way back.
pub(super) fn become_nobody() {
    // SAFETY: integers only. It fails where this is no privileged user, and then nothing is to be done.
    unsafe { libc::syscall(libc::SYS_setresuid, 65_534, 65_534, 65_534) };
}

/// Gives the calling thread a mount table of its own.
pub(super) fn unshare_mounts() -> io::Result<()> {
    // SAFETY: integers only; the thread's working directory and root are its own from here on.
    result(unsafe { libc::unshare(libc::CLONE_NEWNS) })?;
    mount(c"none", Path::new("/"), c"", libc::MS_REC | libc::MS_PRIVATE, c"")
}

/// Mounts one directory over another.
pub(super) fn mount_over(what: &Path, path: &Path) -> io::Result<()> {
    mount(&c_string(what), path, c"", libc::MS_BIND, c"")
}

/// Mounts at `path/merged` one directory of it laid over another.
pub(super) fn mount_overlay(path: &Path) -> io::Result<()> {
    for name in ["lower", "upper", "work", "merged"] {
        std::fs::create_dir(path.join(name))?;
    }
    let path = path.display();
    let layers = format!("lowerdir={path}/lower,upperdir={path}/upper,workdir={path}/work");
    let layers = CString::new(layers).expect("a path has no NUL");
    mount(c"overlay", Path::new(&format!("{path}/merged")), c"overlay", 0, &layers)
}

fn mount(what: &CStr, path: &Path, kind: &CStr, flags: libc::c_ulong, data: &CStr) -> io::Result<()> {
    // SAFETY: all of these live through the call.
    result(unsafe { libc::mount(what.as_ptr(), c_string(path).as_ptr(), kind.as_ptr(), flags, data.as_ptr().cast()) })
}

pub(super) fn unmount(path: &Path) -> io::Result<()> {
    // SAFETY: the name lives through the call.
    result(unsafe { libc::umount2(c_string(path).as_ptr(), 0) })
}
