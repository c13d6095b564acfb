//! A listening socket that was handed over by the number of its descriptor: by systemd, or by another generation of the program.
//!
//! A number becomes a descriptor here and nowhere else. There is no safe way to do that: a number says nothing about who else owns
//! what it stands for, and a socket cannot be opened anew by its name in /proc.

#![allow(unsafe_code)]

use super::address::Address;
use super::listener::{Listener, Origin, set_tcp_options};
use super::socket_options;
use rustix::fd::{FromRawFd, OwnedFd, RawFd};
use rustix::io::{Errno, FdFlags};
use rustix::net::{AddressFamily, SocketAddrUnix, SocketType, sockopt};
use std::mem::ManuallyDrop;
use std::net::SocketAddr;

/// Looks at the descriptor with this number and changes nothing of it. To be called before anything else is opened, which could
/// get a number that is not in use.
///
/// # Errors
/// What is wrong with the descriptor, as the end of a sentence.
pub(crate) fn examine(number: RawFd) -> Result<Address, String> {
    let given = descriptor(number)?;
    check(&given).map_err(|unfit| unfit.text(number))
}

/// Takes over the listening socket with this number and returns it with the address that it has. The number is given up: the
/// socket goes on under another one, which nobody else knows. Where it is of no use, the number is left as it was.
///
/// # Errors
/// What is wrong with the descriptor, as the end of a sentence.
pub(crate) fn take_over(number: RawFd) -> Result<(Listener, Address), String> {
    let given = descriptor(number)?;
    let address = check(&given).map_err(|unfit| unfit.text(number))?;
    let own = adopt(&given).map_err(|errno| Unfit::Refused(errno).text(number))?;
    drop(ManuallyDrop::into_inner(given));
    Ok((Listener::new(own, Origin::Inherited), address))
}

/// The descriptor with this number, which is not closed unless it is taken out.
fn descriptor(number: RawFd) -> Result<ManuallyDrop<OwnedFd>, String> {
    if number < 0 {
        return Err(format!("{number} is not the number of a descriptor"));
    }
    // SAFETY: the number is not -1. By the meaning of the option `listen_fd` whoever sets it gives the descriptor away, so that
    // nobody else closes it while it is looked at. Where no descriptor has that number, or an unfit one, nothing is done with it
    // but system calls that change nothing and say so (EBADF, ENOTSOCK), and it is not closed.
    Ok(ManuallyDrop::new(unsafe { OwnedFd::from_raw_fd(number) }))
}

/// Why a descriptor is of no use.
#[derive(Debug)]
enum Unfit {
    NotOpen,
    NotASocket,
    NotAStream,
    NotListening,
    Family,
    Refused(Errno),
}

impl Unfit {
    fn text(&self, number: RawFd) -> String {
        let wanted = "it takes a TCP or Unix stream socket that listens";
        match self {
            Self::NotOpen => format!("descriptor {number} is not open; {wanted}"),
            Self::NotASocket => format!("descriptor {number} is not a socket; {wanted}"),
            Self::NotAStream => format!("descriptor {number} is not a stream socket; {wanted}"),
            Self::NotListening => format!("descriptor {number} is not a listening socket; {wanted}"),
            Self::Family => format!("descriptor {number} is of another family of sockets; {wanted}"),
            Self::Refused(errno) => format!("descriptor {number} cannot be used: {errno}"),
        }
    }
}

/// Looks at the descriptor and changes nothing of it.
fn check(socket: &OwnedFd) -> Result<Address, Unfit> {
    rustix::io::fcntl_getfd(socket).map_err(|errno| match errno {
        Errno::BADF => Unfit::NotOpen,
        errno => Unfit::Refused(errno),
    })?;
    let kind = sockopt::socket_type(socket).map_err(|errno| match errno {
        // One that was opened for its path only is a bad one for everything else (open(2), O_PATH).
        Errno::NOTSOCK | Errno::BADF => Unfit::NotASocket,
        errno => Unfit::Refused(errno),
    })?;
    if kind != SocketType::STREAM {
        return Err(Unfit::NotAStream);
    }
    let family = sockopt::socket_domain(socket).map_err(Unfit::Refused)?;
    if ![AddressFamily::INET, AddressFamily::INET6, AddressFamily::UNIX].contains(&family) {
        return Err(Unfit::Family);
    }
    if !sockopt::socket_acceptconn(socket).map_err(Unfit::Refused)? {
        return Err(Unfit::NotListening);
    }
    let name = rustix::net::getsockname(socket).map_err(Unfit::Refused)?;
    if family != AddressFamily::UNIX {
        return SocketAddr::try_from(name).map(Address::Tcp).map_err(Unfit::Refused);
    }
    let name = SocketAddrUnix::try_from(name).map_err(Unfit::Refused)?;
    // An abstract name is shown as ss(8) and systemd show it.
    let path = match (name.path_bytes(), name.abstract_name()) {
        (Some(path), _) => String::from_utf8_lossy(path).into_owned(),
        (None, Some(name)) => format!("@{}", String::from_utf8_lossy(name)),
        (None, None) => String::new(),
    };
    Ok(Address::Unix(path))
}

/// A descriptor of our own for the same socket, which no program started from here inherits. Non-blocking becomes whoever else
/// has the socket, too: that belongs to the socket and not to the descriptor.
fn adopt(given: &OwnedFd) -> Result<OwnedFd, Errno> {
    // Above those that a program takes for its standard streams.
    let own = rustix::io::fcntl_dupfd_cloexec(given, 3)?;
    debug_assert!(rustix::io::fcntl_getfd(&own).is_ok_and(|flags| flags.contains(FdFlags::CLOEXEC)));
    rustix::io::ioctl_fionbio(&own, true)?;
    if sockopt::socket_domain(&own)? == AddressFamily::UNIX {
        // Those who wait already have it as it was.
        socket_options::refuse_descriptors(&own);
    } else {
        set_tcp_options(&own)?;
    }
    Ok(own)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::fs::{Mode, OFlags, fcntl_getfl};
    use std::net::{TcpListener, TcpStream, UdpSocket};
    use std::os::fd::{AsRawFd, IntoRawFd};
    use std::os::unix::net::{UnixListener, UnixStream};

    #[test]
    fn a_listening_socket_is_taken_over_closed_and_not_shut_down() {
        let parents = TcpListener::bind("127.0.0.1:0").expect("loopback can be bound");
        let address = parents.local_addr().expect("it is bound");
        let copy = parents.try_clone().expect("there is a descriptor left");
        let (mut listener, shown) = take_over(copy.into_raw_fd()).expect("it listens");
        assert_eq!(shown, Address::Tcp(address));
        let own = listener.descriptor().expect("it listens");
        assert!(fcntl_getfl(own).expect("it is open").contains(OFlags::NONBLOCK));
        assert!(rustix::io::fcntl_getfd(own).expect("it is open").contains(FdFlags::CLOEXEC));
        assert!(sockopt::tcp_nodelay(own).expect("it is TCP"));
        assert!(sockopt::socket_oobinline(own).expect("it is a socket"));
        listener.close();
        assert!(listener.descriptor().is_none());
        // The parent still listens.
        let peer = TcpStream::connect(address).expect("the socket lives");
        parents.set_nonblocking(false).expect("it is open");
        assert_eq!(parents.accept().expect("a peer waits").1, peer.local_addr().expect("it is connected"));
    }

    #[test]
    fn a_unix_socket_is_taken_over_and_its_file_is_left() {
        let directory = tempfile::tempdir().expect("a directory can be made");
        let path = directory.path().join("x.sock");
        let parents = UnixListener::bind(&path).expect("the path is free");
        let copy = parents.try_clone().expect("there is a descriptor left");
        let (listener, shown) = take_over(copy.into_raw_fd()).expect("it listens");
        assert_eq!(shown.to_string(), format!("unix:{}", path.display()));
        drop(listener);
        assert!(UnixStream::connect(&path).is_ok());
    }

    #[test]
    fn what_is_not_a_listening_socket_is_told_and_left_open() {
        let file = std::fs::File::open("/dev/null").expect("it is there");
        let path = rustix::fs::open("/", OFlags::PATH | OFlags::CLOEXEC, Mode::empty()).expect("it is there");
        let udp = UdpSocket::bind("127.0.0.1:0").expect("loopback can be bound");
        let listening = TcpListener::bind("127.0.0.1:0").expect("loopback can be bound");
        let connected = TcpStream::connect(listening.local_addr().expect("it is bound")).expect("it listens");
        for (number, what) in [
            (file.as_raw_fd(), "not a socket"),
            (path.as_raw_fd(), "not a socket"),
            (udp.as_raw_fd(), "not a stream socket"),
            (connected.as_raw_fd(), "not a listening socket"),
            (1 << 20, "not open"),
        ] {
            let told = take_over(number).map(|_| ()).expect_err(what);
            let wanted = "it takes a TCP or Unix stream socket that listens";
            assert_eq!(told, format!("descriptor {number} is {what}; {wanted}"));
            assert_eq!(examine(number), Err(told));
        }
        assert!(take_over(-1).is_err());
        assert!(examine(listening.as_raw_fd()).is_ok());
        // Closing one of them twice would end the process in a debug build.
        assert!(file.metadata().is_ok() && udp.local_addr().is_ok() && connected.peer_addr().is_ok());
    }
}
