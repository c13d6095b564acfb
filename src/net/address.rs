//! Where a server listens, and how a client names that.

use crate::config::UNIX_PREFIX;
use std::fmt::{self, Display, Formatter, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// Where a server listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Address {
    /// An IPv4 or IPv6 address with its port.
    Tcp(SocketAddr),
    /// The path of a Unix socket, as the operator wrote it.
    Unix(String),
}

impl Display for Address {
    fn fmt(&self, out: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => address.fmt(out),
            Self::Unix(path) => write!(out, "{UNIX_PREFIX}{path}"),
        }
    }
}

impl Address {
    /// The TCP port; 0 where there is none.
    #[must_use]
    pub fn port(&self) -> u16 {
        match self {
            Self::Tcp(address) => address.port(),
            Self::Unix(_) => 0,
        }
    }

    /// The host to connect to: an IPv6 address in brackets, loopback where it listens on every address.
    #[must_use]
    pub fn host(&self) -> String {
        let Self::Tcp(address) = self else { return self.to_string() };
        match (address.ip(), address) {
            (IpAddr::V4(ip), _) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.to_string(),
            (IpAddr::V6(ip), _) if ip.is_unspecified() => format!("[{}]", Ipv6Addr::LOCALHOST),
            (IpAddr::V4(ip), _) => ip.to_string(),
            (IpAddr::V6(ip), SocketAddr::V6(address)) if address.scope_id() != 0 => {
                format!("[{ip}%{}]", address.scope_id())
            }
            (IpAddr::V6(ip), _) => format!("[{ip}]"),
        }
    }

    /// The URL of it, without a final slash. That of a Unix socket has the encoded path as its host, as `requests-unixsocket` and
    /// others read it; a percent sign before a zone is encoded (RFC 6874 section 2).
    #[must_use]
    pub fn url(&self) -> String {
        match self {
            Self::Tcp(address) => format!("http://{}:{}", self.host().replace('%', "%25"), address.port()),
            Self::Unix(path) => format!("http+unix://{}", encoded(path)),
        }
    }
}

/// A path as the host of a URL: everything but the unreserved characters is encoded (RFC 3986 section 2.3).
fn encoded(path: &str) -> String {
    let mut text = String::with_capacity(3 * path.len());
    for byte in path.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => text.push(byte.into()),
            // Writing to a String cannot fail.
            _ => write!(text, "%{byte:02X}").unwrap_or_default(),
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tcp(text: &str) -> Address {
        Address::Tcp(text.parse().expect("it is an address"))
    }

    #[test]
    fn an_address_is_shown_as_it_is_and_named_so_that_it_can_be_reached() {
        for (address, shown, host, url) in [
            (tcp("127.0.0.1:80"), "127.0.0.1:80", "127.0.0.1", "http://127.0.0.1:80"),
            (tcp("0.0.0.0:8080"), "0.0.0.0:8080", "127.0.0.1", "http://127.0.0.1:8080"),
            (tcp("[::]:8080"), "[::]:8080", "[::1]", "http://[::1]:8080"),
            (tcp("[2001:db8::1]:1"), "[2001:db8::1]:1", "[2001:db8::1]", "http://[2001:db8::1]:1"),
            (tcp("[fe80::1%4]:1"), "[fe80::1%4]:1", "[fe80::1%4]", "http://[fe80::1%254]:1"),
            (
                Address::Unix("/run/x y-é.sock".into()),
                "unix:/run/x y-é.sock",
                "unix:/run/x y-é.sock",
                "http+unix://%2Frun%2Fx%20y-%C3%A9.sock",
            ),
        ] {
            assert_eq!((address.to_string().as_str(), address.host().as_str()), (shown, host));
            assert_eq!(address.url(), url);
        }
        assert_eq!((tcp("[::1]:81").port(), Address::Unix("x".into()).port()), (81, 0));
    }
}
