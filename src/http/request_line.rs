//! `request-line = method SP request-target SP HTTP-version` (RFC 9112 section 3), taken apart strictly.

use super::{Reject, Span, Version, grammar};

/// The method of a request. Names are case-sensitive (RFC 9110 section 9.1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Method {
    /// GET
    #[default]
    Get,
    /// HEAD
    Head,
    /// OPTIONS
    Options,
    /// CONNECT, whose target has a form of its own
    Connect,
    /// Another method that a standard defines: POST, PUT, DELETE, PATCH, TRACE
    Standard,
    /// A token that is no method known here
    Unknown,
}

impl Method {
    /// The methods that this server answers with content: the value of `Allow`.
    pub const ALLOWED: &'static str = "GET, HEAD, OPTIONS";

    fn of(token: &[u8]) -> Self {
        match token {
            b"GET" => Self::Get,
            b"HEAD" => Self::Head,
            b"OPTIONS" => Self::Options,
            b"CONNECT" => Self::Connect,
            b"POST" | b"PUT" | b"DELETE" | b"PATCH" | b"TRACE" => Self::Standard,
            _ => Self::Unknown,
        }
    }
}

/// A request line, taken apart. The spans count from the first byte of the request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RequestLine {
    /// The method.
    pub method: Method,
    /// The request-target as it was received.
    pub target: Span,
    /// The HTTP-version.
    pub version: Version,
    /// The whole line, without its CRLF.
    pub line: Span,
}

impl RequestLine {
    /// Takes apart `line`, which `request` holds.
    ///
    /// # Errors
    /// Whatever is not by the grammar, in the order: parts, method, version, target.
    pub fn parse(request: &[u8], line: Span) -> Result<Self, Reject> {
        let bytes = line.of(request);
        let first = bytes.iter().position(|&byte| byte == b' ').ok_or(Reject::RequestLine)?;
        let last =
            bytes.iter().rposition(|&byte| byte == b' ').filter(|&last| last > first).ok_or(Reject::RequestLine)?;
        let (method, target, version) = (&bytes[..first], &bytes[first + 1..last], &bytes[last + 1..]);
        let other = target.iter().position(|&byte| !grammar::is(byte, grammar::QUERY) && byte != b'#');
        // No SP is of these, so only a target that has others can be more than one part.
        if target.is_empty() || other.is_some_and(|other| target[other..].contains(&b' ')) {
            return Err(Reject::RequestLine);
        }
        if !grammar::is_token(method) {
            return Err(Reject::Method);
        }
        let version = parse_version(version)?;
        if other.is_some() {
            return Err(Reject::RequestTarget);
        }
        Ok(Self { method: Method::of(method), target: line.part(bytes, target), version, line })
    }
}

/// `HTTP-version = "HTTP" "/" DIGIT "." DIGIT`, case-sensitive (RFC 9112 section 2.3).
fn parse_version(version: &[u8]) -> Result<Version, Reject> {
    match version {
        b"HTTP/1.1" => Ok(Version::Http11),
        b"HTTP/1.0" => Ok(Version::Http10),
        [b'H', b'T', b'T', b'P', b'/', major, b'.', minor] if major.is_ascii_digit() && minor.is_ascii_digit() => {
            if *major == b'1' {
                Ok(Version::Http11)
            } else {
                Err(Reject::VersionNotSupported)
            }
        }
        _ => Err(Reject::Version),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &[u8]) -> Result<RequestLine, Reject> {
        RequestLine::parse(line, Span::new(0, line.len()))
    }

    #[test]
    fn a_request_line_is_taken_apart() {
        let line = b"GET /a%20b?c=d HTTP/1.1";
        let parsed = parse(line).expect("it is by the grammar");
        assert_eq!(parsed.method, Method::Get);
        assert_eq!(parsed.target.of(line), b"/a%20b?c=d");
        assert_eq!(parsed.version, Version::Http11);
        assert_eq!(parse(b"GET / HTTP/1.0").expect("1.0 is served").version, Version::Http10);
        assert_eq!(parse(b"GET / HTTP/1.9").expect("1.x is as 1.1").version, Version::Http11);
    }

    #[test]
    fn a_malformed_request_line_is_refused() {
        let cases: &[(&[u8], Reject)] = &[
            (b"GET", Reject::RequestLine),
            (b"GET /", Reject::RequestLine),
            (b"GET  HTTP/1.1", Reject::RequestLine),
            (b"GET  / HTTP/1.1", Reject::RequestLine),
            (b"GET /  HTTP/1.1", Reject::RequestLine),
            (b"GET / HTTP/1.1 ", Reject::RequestLine),
            (b"GET /a b HTTP/1.1", Reject::RequestLine),
            (b" GET / HTTP/1.1", Reject::RequestLine),
            (b"G@T / HTTP/1.1", Reject::Method),
            (b"G\x80T / HTTP/1.1", Reject::Method),
            (b" / HTTP/1.1", Reject::Method),
            (b"GET / http/1.1", Reject::Version),
            (b"GET / HTTP/1.10", Reject::Version),
            (b"GET / HTTP/01.1", Reject::Version),
            (b"GET / HTTP/4294967297.1", Reject::Version),
            (b"GET / HTTP/1,1", Reject::Version),
            (b"GET / HTTP/2", Reject::Version),
            (b"GET / HTTPS/1.1", Reject::Version),
            (b"GET / HTTP/2.0", Reject::VersionNotSupported),
            (b"GET / HTTP/0.9", Reject::VersionNotSupported),
            (b"PRI * HTTP/2.0", Reject::VersionNotSupported),
            (b"GET /\xc3\xa9 HTTP/1.1", Reject::RequestTarget),
            (b"GET /<a> HTTP/1.1", Reject::RequestTarget),
            (b"GET /\"a HTTP/1.1", Reject::RequestTarget),
        ];
        for (line, reject) in cases {
            assert_eq!(parse(line), Err(*reject), "{}", line.escape_ascii());
        }
    }

    #[test]
    fn methods_are_case_sensitive() {
        let method = |line: &[u8]| parse(line).expect("it is by the grammar").method;
        assert_eq!(method(b"get / HTTP/1.1"), Method::Unknown);
        assert_eq!(method(b"POST / HTTP/1.1"), Method::Standard);
        assert_eq!(method(b"HEAD / HTTP/1.1"), Method::Head);
        assert_eq!(method(b"GETS / HTTP/1.1"), Method::Unknown);
    }
}
