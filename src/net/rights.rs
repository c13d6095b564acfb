//! Refuses the descriptors that peers of a Unix socket may pass along with their bytes (SCM_RIGHTS, unix(7)).
//!
//! Whoever receives such bytes has to close what came with them, and closing the last descriptor of a socket that lingers, or of
//! a file of a dead network file system, waits for as long as the peer likes: the loop would stand still.

#![allow(unsafe_code)]

use nix::libc;
use rustix::fd::{AsRawFd, OwnedFd};

/// Whether descriptors may be passed to a socket; those accepted from a listener inherit it as they connect. rustix, nix and libc do
/// not have it yet: it is of Linux 6.16. This is its number on every architecture but those of [`HAS_ANOTHER_NUMBER`].
const SO_PASSRIGHTS: libc::c_int = 83;
const HAS_ANOTHER_NUMBER: bool = cfg!(any(target_arch = "sparc", target_arch = "sparc64"));

/// Refuses descriptors on what will be accepted from this socket. Without effect where the system cannot do that.
pub(super) fn refuse(listener: &OwnedFd) {
    if HAS_ANOTHER_NUMBER {
        return;
    }
    let off: libc::c_int = 0;
    let length = libc::socklen_t::try_from(size_of_val(&off)).unwrap_or(0);
    // SAFETY: the descriptor is open while it is borrowed, and the kernel reads `length` bytes from a variable of that size.
    let _ = unsafe {
        libc::setsockopt(listener.as_raw_fd(), libc::SOL_SOCKET, SO_PASSRIGHTS, (&raw const off).cast(), length)
    };
}
