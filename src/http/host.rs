//! `Host = uri-host [ ":" port ]` (RFC 9110 section 7.2), and the authority of a request-target, which has the same form here.

use super::grammar;
use std::net::Ipv6Addr;

/// Whether `value` is `uri-host [ ":" port ]` with a host that is not empty and a port up to 65,535.
#[must_use]
pub fn is_host_and_port(value: &[u8]) -> bool {
    let (host, rest) = match value.first() {
        Some(b'[') => match memchr::memchr(b']', value) {
            Some(end) => value.split_at(end + 1),
            None => return false,
        },
        _ => value.split_at(value.iter().position(|&byte| byte == b':').unwrap_or(value.len())),
    };
    let port_ok = match rest {
        [] => true,
        [b':', port @ ..] => is_port(port),
        _ => false,
    };
    port_ok && if host.first() == Some(&b'[') { is_ip_literal(host) } else { is_reg_name(host) }
}

/// `port = *DIGIT` (RFC 3986 section 3.2.3), in the range of TCP.
fn is_port(port: &[u8]) -> bool {
    port.iter().all(u8::is_ascii_digit)
        && port.iter().fold(0_u32, |sum, digit| (sum * 10 + u32::from(digit - b'0')).min(65_536)) <= 65_535
}

/// `IP-literal = "[" ( IPv6address / IPvFuture ) "]"`, `IPvFuture = "v" 1*HEXDIG "." 1*( unreserved / sub-delims / ":" )`.
fn is_ip_literal(host: &[u8]) -> bool {
    let address = &host[1..host.len() - 1];
    match address {
        [b'v' | b'V', rest @ ..] => match memchr::memchr(b'.', rest) {
            Some(dot) => {
                let (version, tail) = (&rest[..dot], &rest[dot + 1..]);
                !version.is_empty()
                    && grammar::all(version, grammar::HEXDIG)
                    && !tail.is_empty()
                    && tail.iter().all(|&byte| grammar::is(byte, grammar::REG_NAME) || byte == b':')
            }
            None => false,
        },
        _ => std::str::from_utf8(address).is_ok_and(|text| text.parse::<Ipv6Addr>().is_ok()),
    }
}

/// `reg-name = *( unreserved / pct-encoded / sub-delims )`, not empty for http; an IPv4address is one too.
fn is_reg_name(host: &[u8]) -> bool {
    let mut rest = host;
    while let Some(other) = rest.iter().position(|&byte| !grammar::is(byte, grammar::REG_NAME)) {
        rest = match &rest[other..] {
            [b'%', high, low, tail @ ..]
                if grammar::is(*high, grammar::HEXDIG) && grammar::is(*low, grammar::HEXDIG) =>
            {
                tail
            }
            _ => return false,
        };
    }
    !host.is_empty()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_by_the_grammar_are_accepted() {
        for good in [
            &b"a"[..],
            b"localhost:8080",
            b"127.0.0.1",
            b"[::1]",
            b"[::1]:80",
            b"[::ffff:1.2.3.4]",
            b"a.b-c_d~e",
            b"a%41:1",
            b"a:",
            b"a:65535",
            b"[v1.a:b]",
            b"a:00080",
        ] {
            assert!(is_host_and_port(good), "{}", good.escape_ascii());
        }
    }

    #[test]
    fn anything_else_is_refused() {
        for bad in [
            &b""[..],
            b":80",
            b"a:b",
            b"a:-1",
            b"a:65536",
            b"a:99999999999999999999",
            b"a b",
            b"a/b",
            b"u@a",
            b"a:1:2",
            b"[::1",
            b"[::g]",
            b"[]",
            b"[::1]a",
            b"[v.a]",
            b"[v1.]",
            b"[vg.a]",
            b"a%4",
            b"a%zz",
            b"a\x80",
            b"http://a",
            b"a?b",
            b"a#b",
            b"[::1%eth0]",
            b"a\\b",
            b"]",
            b"[",
        ] {
            assert!(!is_host_and_port(bad), "{}", bad.escape_ascii());
        }
    }
}
