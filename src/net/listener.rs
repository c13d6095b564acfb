//! The listening socket: bound to an address or name here, to a path by [`super::unix`], or taken over by [`super::inherited`].
//!
//! It owns the descriptor until listening ends, and knows how that is done: a socket of ours is shut down, so that no copy of it
//! in a forked child keeps the address; one that was taken over is only closed, because others serve from it.

use super::address::Address;
use super::socket_options;
use super::unix::{self, SocketFile};
use crate::config::UNIX_PREFIX;
use rustix::fd::OwnedFd;
use rustix::io::Errno;
use rustix::net::{AddressFamily, Shutdown, SocketFlags, SocketType, sockopt};
use std::fmt::{self, Display, Formatter};
use std::io;
use std::net::{SocketAddr, ToSocketAddrs};

/// How many connections the kernel may hold before they are accepted; it lowers this to its own limit (net.core.somaxconn).
pub(super) const BACKLOG: i32 = 4096;

/// Where a listening socket comes from, and so what is due when listening ends.
#[derive(Debug)]
pub(super) enum Origin {
    /// It was bound here, to an address.
    Bound,
    /// It was bound here, to this file.
    BoundToFile(SocketFile),
    /// It was handed over, and may be shared with other processes.
    Inherited,
}

/// The one congestion control that every system has and lets everybody choose (tcp(7)); it does not pace.
const LOOPBACK_CONGESTION_CONTROL: &str = "reno";

/// A listening socket.
#[derive(Debug)]
pub struct Listener {
    /// None once listening has ended.
    descriptor: Option<OwnedFd>,
    origin: Origin,
}

impl Listener {
    pub(super) fn new(descriptor: OwnedFd, origin: Origin) -> Self {
        Self { descriptor: Some(descriptor), origin }
    }

    /// The socket, until listening ends.
    pub(super) fn descriptor(&self) -> Option<&OwnedFd> {
        self.descriptor.as_ref()
    }

    /// Lets connections be accepted only once their first bytes have come.
    ///
    /// # Errors
    /// It is no TCP socket.
    pub fn defer_accept(&self) -> io::Result<()> {
        self.descriptor.as_ref().map_or(Ok(()), socket_options::defer_accept)
    }

    /// Ends listening for good. It takes no heap, and gives none back before the listener is dropped.
    pub(super) fn close(&mut self) {
        let Some(descriptor) = self.descriptor.take() else { return };
        match &self.origin {
            // A shutdown would end it for everybody who has a copy.
            Origin::Inherited => return,
            // Still listening: nobody who finds the file takes it for a stale one and puts another in its place meanwhile.
            Origin::BoundToFile(file) => file.remove(),
            Origin::Bound => {}
        }
        // Fails only where it is not listening, which is what is wanted.
        let _ = rustix::net::shutdown(&descriptor, Shutdown::Both);
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.close();
    }
}

/// Why nothing can listen there.
#[derive(Debug)]
pub struct ListenError {
    /// What the system said.
    pub cause: io::Error,
    /// What would be right, where the system's words do not say it.
    pub hint: &'static str,
}

impl Display for ListenError {
    fn fmt(&self, out: &mut Formatter<'_>) -> fmt::Result {
        let separator = if self.hint.is_empty() { "" } else { "; " };
        write!(out, "{}{separator}{}", self.cause, self.hint)
    }
}

impl std::error::Error for ListenError {}

impl From<io::Error> for ListenError {
    fn from(cause: io::Error) -> Self {
        Self { cause, hint: "" }
    }
}

impl From<Errno> for ListenError {
    fn from(errno: Errno) -> Self {
        io::Error::from(errno).into()
    }
}

/// Listens on `host` and `port`, or where `host` is `unix:` and a path on a socket of that name, and returns the socket with the
/// address that it has.
///
/// # Errors
/// The name cannot be resolved, or none of its addresses can be bound: the last one's error.
pub fn listen(host: &str, port: u16) -> Result<(Listener, Address), ListenError> {
    if let Some(path) = host.strip_prefix(UNIX_PREFIX) {
        return unix::listen(path);
    }
    // An IPv6 address may stand in brackets, as in a URL.
    let name = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(host);
    let zone_hint = if name.contains('%') { "after % stands the name or the number of an interface" } else { "" };
    let addresses = (name, port).to_socket_addrs().map_err(|cause| ListenError { cause, hint: zone_hint })?;
    let mut last = io::Error::new(io::ErrorKind::NotFound, "the name has no address").into();
    for address in addresses {
        match bind(address) {
            Ok(listening) => return Ok(listening),
            Err(errno) => last = ListenError { cause: errno.into(), hint: hint(address, errno) },
        }
    }
    Err(last)
}

fn bind(address: SocketAddr) -> Result<(Listener, Address), Errno> {
    let family = if address.is_ipv6() { AddressFamily::INET6 } else { AddressFamily::INET };
    let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
    let socket = rustix::net::socket_with(family, SocketType::STREAM, flags, None)?;
    sockopt::set_socket_reuseaddr(&socket, true)?;
    set_tcp_options(&socket)?;
    if address.ip().is_loopback() {
        // Nothing is lost on the way and nobody else wants the line: what paces packets costs time and CPU for nothing. Where the
        // system has another mind, its own choice will do.
        let _ = sockopt::set_tcp_congestion(&socket, LOOPBACK_CONGESTION_CONTROL);
    }
    rustix::net::bind(&socket, &address)?;
    rustix::net::listen(&socket, BACKLOG)?;
    let bound = SocketAddr::try_from(rustix::net::getsockname(&socket)?)?;
    Ok((Listener::new(socket, Origin::Bound), Address::Tcp(bound)))
}

/// Sets what sockets accepted from a TCP listener inherit.
pub(super) fn set_tcp_options(socket: &OwnedFd) -> Result<(), Errno> {
    // Small responses go out at once, without a system call for each connection.
    sockopt::set_tcp_nodelay(socket, true)?;
    // An urgent byte is a byte like any other.
    sockopt::set_socket_oobinline(socket, true)
}

/// What would be right, where the system's words do not say it.
fn hint(address: SocketAddr, errno: Errno) -> &'static str {
    match address {
        SocketAddr::V6(address)
            if errno == Errno::INVAL && address.ip().is_unicast_link_local() && address.scope_id() == 0 =>
        {
            "a link-local address takes its interface behind it, as in fe80::1%eth0"
        }
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::{Ipv6Addr, TcpStream};

    fn tcp(address: Address) -> SocketAddr {
        let Address::Tcp(address) = address else { panic!("it is TCP") };
        address
    }

    #[test]
    fn only_loopback_connections_have_a_congestion_control_of_their_own() {
        let of_system = std::fs::read_to_string("/proc/sys/net/ipv4/tcp_congestion_control").expect("it is Linux");
        for (host, expected) in
            [("127.0.0.1", LOOPBACK_CONGESTION_CONTROL), ("::1", "reno"), ("0.0.0.0", of_system.trim())]
        {
            let (listener, address) = listen(host, 0).expect("it can be bound");
            let client = TcpStream::connect((if host == "::1" { host } else { "127.0.0.1" }, tcp(address).port()));
            let socket = listener.descriptor().expect("it listens");
            // It is there once the client is connected.
            let accepted = rustix::net::accept(socket).expect("somebody has come");
            assert_eq!(sockopt::tcp_congestion(&accepted).expect("it is TCP"), expected, "{host}");
            drop(client);
        }
    }

    #[test]
    fn port_zero_takes_a_free_port_and_a_taken_one_is_told() {
        let (_socket, address) = listen("127.0.0.1", 0).expect("loopback can be bound");
        assert_ne!(address.port(), 0);
        assert!(TcpStream::connect(tcp(address.clone())).is_ok());
        let taken = listen("127.0.0.1", address.port()).expect_err("it is taken");
        assert_eq!(taken.cause.kind(), io::ErrorKind::AddrInUse);
        assert_eq!(taken.to_string(), taken.cause.to_string());
        assert!(listen("no-such-host.invalid", 0).is_err());
    }

    #[test]
    fn ipv6_is_taken_with_and_without_brackets() {
        for host in ["::1", "[::1]"] {
            let (_socket, address) = listen(host, 0).expect("IPv6 loopback can be bound");
            assert!(tcp(address).is_ipv6());
        }
    }

    #[test]
    fn every_ipv6_address_is_every_ipv4_address_too() {
        let (_socket, address) = listen("::", 0).expect("it can be bound");
        assert_eq!(tcp(address.clone()).ip(), Ipv6Addr::UNSPECIFIED);
        for host in ["::1", "127.0.0.1"] {
            assert!(TcpStream::connect((host, address.port())).is_ok(), "{host}");
        }
    }

    #[test]
    fn a_link_local_address_without_its_interface_is_told_what_is_missing() {
        let error = listen("fe80::1", 0).map(|_| ()).expect_err("no interface is named");
        assert_eq!(error.cause.raw_os_error(), Some(22));
        assert!(
            error.to_string().ends_with("; a link-local address takes its interface behind it, as in fe80::1%eth0")
        );
        let error = listen("fe80::1%no-such", 0).map(|_| ()).expect_err("there is no such interface");
        assert!(error.to_string().ends_with("; after % stands the name or the number of an interface"), "{error}");
    }

    #[test]
    fn a_socket_of_ours_ends_though_a_copy_of_it_lives() {
        let (mut listener, address) = listen("127.0.0.1", 0).expect("loopback can be bound");
        let descriptor = listener.descriptor().expect("it listens");
        let _copy = rustix::io::fcntl_dupfd_cloexec(descriptor, 3).expect("there is a descriptor left");
        listener.close();
        assert!(TcpStream::connect(tcp(address)).is_err());
    }
}
