//! The one descriptor that the kernel takes long to close, milliseconds: it waits until nobody looks at a watched directory any
//! more. A stop does not wait for that, only for the descriptor's number to be free.

use super::latch::Latch;
use rustix::fd::{AsRawFd, OwnedFd, RawFd};
use std::path::Path;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

/// How long to wait for the number to be free. The closing thread is on its way to that call and does nothing else before it.
const PATIENCE: Duration = Duration::from_millis(5);

/// Closes the descriptor, as the last thing that its thread does.
pub(super) fn close(descriptor: Option<OwnedFd>, begun: &Latch<Option<RawFd>>) {
    begun.set(descriptor.as_ref().map(AsRawFd::as_raw_fd));
    drop(descriptor);
}

/// Waits for the end of a thread that ends with [`close`], or where that takes long for the moment from which on it has nothing
/// any more that anybody could miss.
pub(super) fn join(thread: JoinHandle<()>, begun: &Latch<Option<RawFd>>) {
    let Some(Some(number)) = begun.wait(None) else {
        // Its only panic would be ours, and has been told.
        let _ = thread.join();
        return;
    };
    let name = format!("/proc/self/fd/{number}");
    let deadline = Instant::now() + PATIENCE;
    let is_open = || std::fs::read_link(&name).is_ok_and(|link| link == Path::new("anon_inode:inotify"));
    while !thread.is_finished() && is_open() && Instant::now() < deadline {
        thread::yield_now();
    }
}
