//! Unix stream sockets: bound to a path, whose file is replaced where it is stale and removed when listening ends.
//!
//! What stands at the path and is not a socket, or is somebody else's by then, is never touched. Who may connect is decided by the
//! permissions of the file, which the umask gives it, and of its directory.

use super::address::Address;
use super::listener::{BACKLOG, ListenError, Listener, Origin};
use super::socket_options;
use rustix::fd::OwnedFd;
use rustix::fs::{FileType, Stat};
use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType};
use std::ffi::CString;
use std::io;

/// Whether both are the same file, by whatever name.
fn is_same(one: &Stat, other: &Stat) -> bool {
    (one.st_dev, one.st_ino) == (other.st_dev, other.st_ino)
}

/// The file of a socket of ours.
#[derive(Debug)]
pub(super) struct SocketFile {
    /// Absolute, so that it is the same file after a change of the working directory. Here because removing must not allocate.
    path: CString,
    facts: Stat,
}

impl SocketFile {
    /// The file that `bind` has just made.
    fn made(path: CString) -> Result<Self, Errno> {
        let facts = rustix::fs::lstat(&path)?;
        Ok(Self { path, facts })
    }

    /// Removes it, unless another has taken its place. Without effect where it is gone.
    pub(super) fn remove(&self) {
        if rustix::fs::lstat(&self.path).is_ok_and(|file| is_same(&file, &self.facts)) {
            // Fails only where the directory has become read-only, and then a stale file is what the next server replaces.
            let _ = rustix::fs::unlink(&self.path);
        }
    }
}

/// Listens on a socket at `path`.
///
/// # Errors
/// Another server listens there, something that is no socket stands there, or the system refuses the file.
pub(super) fn listen(path: &str) -> Result<(Listener, Address), ListenError> {
    let address = SocketAddrUnix::new(path)?;
    let absolute = CString::new(std::path::absolute(path)?.into_os_string().into_encoded_bytes())
        .map_err(|_| ListenError::from(Errno::INVAL))?;
    let socket = socket()?;
    // Before it listens, so that it holds for every peer. Where the system cannot do that, all that protects the loop from who passes
    // what is slow to close is who may connect.
    socket_options::refuse_descriptors(&socket);
    match rustix::net::bind(&socket, &address) {
        Err(Errno::ADDRINUSE) => {
            remove_stale(&absolute, &address)?;
            rustix::net::bind(&socket, &address)?;
        }
        bound => bound?,
    }
    let file = SocketFile::made(absolute)?;
    // From here on the listener removes the file, also where listening fails.
    let listener = Listener::new(socket, Origin::BoundToFile(file));
    if let Some(descriptor) = listener.descriptor() {
        rustix::net::listen(descriptor, BACKLOG)?;
    }
    Ok((listener, Address::Unix(path.into())))
}

fn socket() -> Result<OwnedFd, Errno> {
    let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
    rustix::net::socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None)
}

/// Removes the file of a socket that nobody listens on any more.
fn remove_stale(path: &CString, address: &SocketAddrUnix) -> Result<(), ListenError> {
    let found = rustix::fs::lstat(path)?;
    if !FileType::from_raw_mode(found.st_mode).is_socket() {
        let hint = "what stands there is not a socket, and is left alone";
        return Err(ListenError { cause: Errno::NOTSOCK.into(), hint });
    }
    // Only a refusal says that nobody listens: a full queue, or a file that may not be connected to, says nothing of the kind.
    if rustix::net::connect(socket()?, address) != Err(Errno::CONNREFUSED) {
        let hint = "another server listens there, or it cannot be told that none does";
        return Err(ListenError { cause: Errno::ADDRINUSE.into(), hint });
    }
    // Whoever was quicker to replace it listens by now.
    if !is_same(&rustix::fs::lstat(path)?, &found) {
        return Err(Errno::ADDRINUSE.into());
    }
    rustix::fs::unlink(path).map_err(|errno| {
        let hint = "a stale socket stands there and cannot be removed";
        ListenError { cause: io::Error::from(errno), hint }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::alloc::thread_heap_use;
    use crate::config::LONGEST_SOCKET_PATH;
    use std::os::unix::net::{UnixListener, UnixStream};
    use std::path::{Path, PathBuf};

    fn directory() -> (tempfile::TempDir, PathBuf) {
        let directory = tempfile::tempdir().expect("a directory can be made");
        let path = directory.path().join("x.sock");
        (directory, path)
    }

    fn listen_at(path: &Path) -> Result<Listener, ListenError> {
        listen(path.to_str().expect("the path is text")).map(|(listener, _)| listener)
    }

    #[test]
    fn the_file_comes_with_the_socket_and_goes_with_it_without_heap() {
        let (_directory, path) = directory();
        let mut listener = listen_at(&path).expect("the path is free");
        UnixStream::connect(&path).expect("it listens");
        let before = thread_heap_use();
        listener.close();
        assert_eq!(thread_heap_use(), before);
        assert!(!path.exists());
        drop(listen_at(&path).expect("the path is free again"));
        assert!(!path.exists());
    }

    #[test]
    fn a_stale_file_is_replaced_and_a_live_one_is_not() {
        let (_directory, path) = directory();
        drop(UnixListener::bind(&path).expect("the path is free"));
        assert!(path.exists(), "the standard library leaves the file");
        let listener = listen_at(&path).expect("a stale file is replaced");
        let error = listen_at(&path).map(|_| ()).expect_err("the socket is alive");
        assert_eq!(error.cause.kind(), io::ErrorKind::AddrInUse);
        UnixStream::connect(&path).expect("the first still listens");
        drop(listener);
    }

    #[test]
    fn a_socket_whose_queue_is_full_is_alive() {
        let (_directory, path) = directory();
        let socket = socket().expect("there is a descriptor left");
        rustix::net::bind(&socket, &SocketAddrUnix::new(&path).expect("it is short")).expect("the path is free");
        rustix::net::listen(&socket, 0).expect("it can listen");
        let _first = UnixStream::connect(&path).expect("the queue takes one");
        let error = listen_at(&path).map(|_| ()).expect_err("somebody listens");
        assert_eq!(error.cause.kind(), io::ErrorKind::AddrInUse);
        assert!(path.exists());
    }

    #[test]
    fn what_is_not_a_socket_is_left_alone() {
        let (directory, path) = directory();
        std::fs::write(&path, "precious").expect("the file can be written");
        let link = directory.path().join("link.sock");
        std::os::unix::fs::symlink(&path, &link).expect("a link can be made");
        for place in [&path, &link, &directory.path().to_owned()] {
            let error = listen_at(place).map(|_| ()).expect_err("it is not a socket");
            assert_eq!(error.cause.raw_os_error(), Some(Errno::NOTSOCK.raw_os_error()), "{}", place.display());
            assert!(error.to_string().contains("is not a socket, and is left alone"));
        }
        assert_eq!(std::fs::read_to_string(&link).ok().as_deref(), Some("precious"));
    }

    #[test]
    fn a_file_that_took_the_place_is_not_removed() {
        let (_directory, path) = directory();
        let mut listener = listen_at(&path).expect("the path is free");
        std::fs::remove_file(&path).expect("it is there");
        let _other = UnixListener::bind(&path).expect("the path is free");
        listener.close();
        UnixStream::connect(&path).expect("the other's file is still there");
    }

    #[test]
    fn a_path_that_cannot_be_bound_is_told() {
        let (directory, _) = directory();
        let missing = directory.path().join("missing").join("x.sock");
        assert_eq!(listen_at(&missing).map(|_| ()).expect_err("").cause.kind(), io::ErrorKind::NotFound);
        let longest = "x".repeat(LONGEST_SOCKET_PATH + 2);
        assert!(listen(&longest).is_err());
    }
}
