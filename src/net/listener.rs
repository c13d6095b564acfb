//! The listening socket.

use rustix::fd::OwnedFd;
use rustix::net::{AddressFamily, SocketFlags, SocketType, sockopt};
use std::io;
use std::net::{SocketAddr, ToSocketAddrs};

/// How many connections the kernel may hold before they are accepted; it lowers this to its own limit (net.core.somaxconn).
const BACKLOG: i32 = 4096;

/// Listens on `host` and `port` and returns the socket with the address that it has.
///
/// # Errors
/// The name cannot be resolved, or none of its addresses can be bound: the last one's error.
pub fn listen(host: &str, port: u16) -> io::Result<(OwnedFd, SocketAddr)> {
    // An IPv6 address may stand in brackets, as in a URL.
    let name = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(host);
    let mut last = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
    for address in (name, port).to_socket_addrs()? {
        match bind(address) {
            Ok(listening) => return Ok(listening),
            Err(error) => last = error,
        }
    }
    Err(last)
}

fn bind(address: SocketAddr) -> io::Result<(OwnedFd, SocketAddr)> {
    let family = if address.is_ipv6() { AddressFamily::INET6 } else { AddressFamily::INET };
    let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
    let socket = rustix::net::socket_with(family, SocketType::STREAM, flags, None)?;
    sockopt::set_socket_reuseaddr(&socket, true)?;
    // Accepted sockets inherit it: small responses go out at once, without a system call for each connection.
    sockopt::set_tcp_nodelay(&socket, true)?;
    // Inherited too: an urgent byte is a byte like any other.
    sockopt::set_socket_oobinline(&socket, true)?;
    rustix::net::bind(&socket, &address)?;
    rustix::net::listen(&socket, BACKLOG)?;
    let bound = SocketAddr::try_from(rustix::net::getsockname(&socket)?)?;
    Ok((socket, bound))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpStream;

    #[test]
    fn port_zero_takes_a_free_port_and_a_taken_one_is_told() {
        let (_socket, address) = listen("127.0.0.1", 0).expect("loopback can be bound");
        assert_ne!(address.port(), 0);
        assert!(TcpStream::connect(address).is_ok());
        let taken = listen("127.0.0.1", address.port()).expect_err("it is taken");
        assert_eq!(taken.kind(), io::ErrorKind::AddrInUse);
        assert!(listen("no-such-host.invalid", 0).is_err());
    }

    #[test]
    fn ipv6_is_taken_with_and_without_brackets() {
        for host in ["::1", "[::1]"] {
            let (_socket, address) = listen(host, 0).expect("IPv6 loopback can be bound");
            assert!(address.is_ipv6());
        }
    }
}
