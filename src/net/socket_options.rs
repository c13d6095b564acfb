//! Options of sockets that rustix does not have. Sockets that are accepted inherit them from their listener.

#![allow(unsafe_code)]

use nix::libc;
use rustix::fd::{AsRawFd, OwnedFd};
use std::io;

/// Whether descriptors may be passed to a socket; those accepted from a listener inherit it as they connect. rustix, nix and libc do
/// not have it yet: it is of Linux 6.16. This is its number on every architecture but those of [`HAS_ANOTHER_NUMBER`].
const SO_PASSRIGHTS: libc::c_int = 83;
const HAS_ANOTHER_NUMBER: bool = cfg!(any(target_arch = "sparc", target_arch = "sparc64"));

/// How long a connection without a byte is kept from being accepted, in seconds.
const DEFERRAL: libc::c_int = 1;

/// Refuses the descriptors that peers of a Unix socket may pass along with their bytes (SCM_RIGHTS, unix(7)). Without effect where
/// the system cannot do that.
///
/// Whoever receives such bytes has to close what came with them, and closing the last descriptor of a socket that lingers, or of
/// a file of a dead network file system, waits for as long as the peer likes: the loop would stand still.
pub(super) fn refuse_descriptors(listener: &OwnedFd) {
    if !HAS_ANOTHER_NUMBER {
        let _ = set(listener, libc::SOL_SOCKET, SO_PASSRIGHTS, 0);
    }
}

/// Lets connections be accepted only once their first bytes have come (TCP_DEFER_ACCEPT, tcp(7)).
pub(super) fn defer_accept(listener: &OwnedFd) -> io::Result<()> {
    set(listener, libc::IPPROTO_TCP, libc::TCP_DEFER_ACCEPT, DEFERRAL)
}

fn set(socket: &OwnedFd, level: libc::c_int, option: libc::c_int, value: libc::c_int) -> io::Result<()> {
    let length = libc::socklen_t::try_from(size_of_val(&value)).unwrap_or(0);
    // SAFETY: the descriptor is open while it is borrowed, and the kernel reads `length` bytes from a variable of that size.
    let outcome = unsafe { libc::setsockopt(socket.as_raw_fd(), level, option, (&raw const value).cast(), length) };
    if outcome == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}
