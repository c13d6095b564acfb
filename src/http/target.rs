//! The request-target: its four forms (RFC 9112 section 3.2), and the way from its path to a name beneath the document root.
//!
//! A path is decoded once and its dot-segments are removed after that, so that `%2e%2e` is what it is. What could mean a
//! separator to somebody else (an encoded slash, a backslash) or end a name early (NUL) is refused.

use super::request_line::Method;
use super::{Reject, grammar, host};

/// A request-target, taken apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target<'a> {
    /// `*`, or an authority: not a file.
    NoPath,
    /// origin-form, or the path of absolute-form; never empty.
    Path {
        /// As received, beginning with a slash.
        path: &'a [u8],
        /// What follows the first `?`, as received.
        query: Option<&'a [u8]>,
    },
}

impl<'a> Target<'a> {
    /// Takes apart `target`, which holds visible ASCII only.
    ///
    /// # Errors
    /// A form that the method does not take, another scheme than http, or an authority that is none.
    pub fn parse(method: Method, target: &'a [u8]) -> Result<Self, Reject> {
        if method == Method::Connect {
            // authority-form = uri-host ":" port
            let has_port = target.iter().rposition(|&byte| byte == b':').is_some_and(|colon| {
                colon + 1 < target.len()
                    && target.get(colon + 1..).is_some_and(|port| port.iter().all(u8::is_ascii_digit))
            });
            let valid = has_port && host::is_host_and_port(target);
            return if valid { Ok(Self::NoPath) } else { Err(Reject::RequestTarget) };
        }
        if target == b"*" {
            return if method == Method::Options { Ok(Self::NoPath) } else { Err(Reject::RequestTarget) };
        }
        if target.starts_with(b"/") {
            return Ok(Self::of_path(target));
        }
        let rest = match target.split_at_checked(7) {
            Some((scheme, rest)) if scheme.eq_ignore_ascii_case(b"http://") => rest,
            _ => return Err(Reject::RequestTarget),
        };
        let end = memchr::memchr3(b'/', b'?', b'#', rest).unwrap_or(rest.len());
        let (authority, path) = rest.split_at(end);
        if !host::is_host_and_port(authority) {
            return Err(Reject::RequestTarget);
        }
        Ok(Self::of_path(path))
    }

    fn of_path(path_and_query: &'a [u8]) -> Self {
        let (path, query) = match grammar::find(b'?', path_and_query) {
            Some(mark) => (&path_and_query[..mark], Some(&path_and_query[mark + 1..])),
            None => (path_and_query, None),
        };
        // An empty path of absolute-form is "/" (RFC 9110 section 4.2.3).
        Self::Path { path: if path.is_empty() { b"/" } else { path }, query }
    }

    /// What follows the first `?`, as received.
    #[must_use]
    pub fn query(self) -> Option<&'a [u8]> {
        match self {
            Self::NoPath => None,
            Self::Path { query, .. } => query,
        }
    }

    /// Whether a fragment is attached, which no client may send (RFC 9112 section 3.2).
    #[must_use]
    pub fn has_fragment(&self) -> bool {
        let has_hash = |bytes: &[u8]| grammar::find(b'#', bytes).is_some();
        match self {
            Self::NoPath => false,
            Self::Path { path, query } => has_hash(path) || query.is_some_and(has_hash),
        }
    }
}

/// Decodes `path` into `name`, relative to the root: without its leading slash, without empty and dot-segments, and with a
/// final slash if it names a directory (the root itself is empty). Returns the length; it is never more than that of `path`.
///
/// # Errors
/// Bad percent-encoding, an encoded NUL or slash, a backslash, a byte that no path has, or a climb above the root.
pub fn decode_path(path: &[u8], name: &mut [u8]) -> Result<usize, Reject> {
    if let Some(plain) = plain_path(path) {
        let place = name.get_mut(..plain.len()).unwrap_or_default();
        place.copy_from_slice(&plain[..place.len()]);
        return Ok(place.len());
    }
    let mut length = 0;
    let mut names_directory = true;
    for segment in path.get(1..).unwrap_or_default().split(|&byte| byte == b'/') {
        let start = if length == 0 { 0 } else { length + 1 };
        let room = name.get_mut(start..).unwrap_or_default();
        let decoded = decode_segment(segment, room)?;
        names_directory = true;
        match room.get(..decoded).unwrap_or_default() {
            b"" | b"." => {}
            b".." if length == 0 => return Err(Reject::ClimbsAboveRoot),
            b".." => length = name[..length].iter().rposition(|&byte| byte == b'/').unwrap_or(0),
            _ => {
                if length > 0 {
                    name[length] = b'/';
                }
                length = start + decoded;
                names_directory = false;
            }
        }
    }
    if names_directory && length > 0 {
        name[length] = b'/';
        length += 1;
    }
    Ok(length)
}

fn decode_segment(segment: &[u8], room: &mut [u8]) -> Result<usize, Reject> {
    let mut bytes = segment.iter();
    let mut length = 0;
    while let Some(&byte) = bytes.next() {
        let decoded = match byte {
            b'%' => {
                let mut digit =
                    || bytes.next().and_then(|&byte| grammar::hex_value(byte)).ok_or(Reject::PercentEncoding);
                match digit()? << 4 | digit()? {
                    0 => return Err(Reject::EncodedNul),
                    b'/' | b'\\' => return Err(Reject::EncodedSlash),
                    decoded => decoded,
                }
            }
            b'\\' => return Err(Reject::EncodedSlash),
            b'#' => return Err(Reject::Fragment),
            byte if grammar::is(byte, grammar::PATH) => byte,
            _ => return Err(Reject::RequestTarget),
        };
        // A caller's buffer is as long as the path; were it not, the name would end here and not be found.
        let Some(place) = room.get_mut(length) else { break };
        *place = decoded;
        length += 1;
    }
    Ok(length)
}

/// The name that most paths are already: what follows the first slash, where no segment but the last is empty, none begins with a
/// dot, and nothing is encoded or out of place.
fn plain_path(path: &[u8]) -> Option<&[u8]> {
    let (b'/', name) = path.split_first()? else { return None };
    let mut previous = b'/';
    for &byte in name {
        if !grammar::is(byte, grammar::PATH) || byte == b'%' || (previous == b'/' && matches!(byte, b'/' | b'.')) {
            return None;
        }
        previous = byte;
    }
    Some(name)
}

/// Whether a decoded name has a hidden part: one that begins with a dot, `.well-known` at the root aside (RFC 8615).
#[must_use]
pub fn is_hidden(name: &[u8]) -> bool {
    const SHOWN: &[u8] = b".well-known";
    let rest = match name.strip_prefix(SHOWN) {
        Some(rest) if rest.first().is_none_or(|&byte| byte == b'/') => rest,
        _ => name,
    };
    let mut previous = if rest.len() == name.len() { b'/' } else { 0 };
    for &byte in rest {
        if byte == b'.' && previous == b'/' {
            return true;
        }
        previous = byte;
    }
    false
}

/// Gives the bytes of a decoded path to `put`, percent-encoded where they need it.
pub fn encode_path(name: &[u8], mut put: impl FnMut(&[u8])) {
    const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
    let mut rest = name;
    while let Some(&byte) = rest.first() {
        let literal = rest.iter().take_while(|&&byte| grammar::is(byte, grammar::PATH_LITERAL)).count();
        if literal > 0 {
            let (plain, tail) = rest.split_at(literal);
            put(plain);
            rest = tail;
        } else {
            put(&[b'%', DIGITS[usize::from(byte >> 4)], DIGITS[usize::from(byte & 15)]]);
            rest = &rest[1..];
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decode(path: &str) -> Result<String, Reject> {
        let mut name = vec![0; path.len()];
        decode_path(path.as_bytes(), &mut name).map(|length| String::from_utf8_lossy(&name[..length]).into_owned())
    }

    #[test]
    fn a_path_becomes_a_name_beneath_the_root() {
        for (path, name) in [
            ("/", ""),
            ("/a", "a"),
            ("/a/", "a/"),
            ("//a//b", "a/b"),
            ("/a/./b/.", "a/b/"),
            ("/a/../b", "b"),
            ("/a/b/../..", ""),
            ("/a/b/..", "a/"),
            ("/a%20b", "a b"),
            ("/%2e/a/%2E%2e/b", "b"),
            ("/%252e%252e", "%2e%2e"),
            ("/...", "..."),
            ("/a[1]|^", "a[1]|^"),
            ("/%ff%0a", "\u{fffd}\n"),
        ] {
            assert_eq!(decode(path).as_deref(), Ok(name), "{path}");
        }
    }

    #[test]
    fn a_path_that_is_not_plain_is_refused() {
        for (path, reject) in [
            ("/..", Reject::ClimbsAboveRoot),
            ("/../a", Reject::ClimbsAboveRoot),
            ("/a/../../b", Reject::ClimbsAboveRoot),
            ("/%2e%2e", Reject::ClimbsAboveRoot),
            ("/.%2e/a", Reject::ClimbsAboveRoot),
            ("/a%2fb", Reject::EncodedSlash),
            ("/a%5Cb", Reject::EncodedSlash),
            ("/a\\b", Reject::EncodedSlash),
            ("/..%5c..", Reject::EncodedSlash),
            ("/%00", Reject::EncodedNul),
            ("/a%", Reject::PercentEncoding),
            ("/a%2", Reject::PercentEncoding),
            ("/a%2/b", Reject::PercentEncoding),
            ("/a%zz", Reject::PercentEncoding),
            ("/a%u002e", Reject::PercentEncoding),
            ("/{a}", Reject::RequestTarget),
        ] {
            assert_eq!(decode(path), Err(reject), "{path}");
        }
    }

    #[test]
    fn forms_belong_to_methods() {
        let path = |path, query| Ok(Target::Path { path, query });
        assert_eq!(Target::parse(Method::Get, b"/a?b?c"), path(b"/a", Some(b"b?c")));
        assert_eq!(Target::parse(Method::Get, b"HTTP://a:80/b"), path(b"/b", None));
        assert_eq!(Target::parse(Method::Get, b"http://a"), path(b"/", None));
        assert_eq!(Target::parse(Method::Get, b"http://a?b"), path(b"/", Some(b"b")));
        assert_eq!(Target::parse(Method::Options, b"*"), Ok(Target::NoPath));
        assert_eq!(Target::parse(Method::Connect, b"a:443"), Ok(Target::NoPath));
        for (method, bad) in [
            (Method::Get, &b"*"[..]),
            (Method::Get, b"a"),
            (Method::Get, b"a:80"),
            (Method::Get, b"https://a/"),
            (Method::Get, b"http:///a"),
            (Method::Get, b"http://u@a/"),
            (Method::Get, b"http:/a"),
            (Method::Connect, b"/"),
            (Method::Connect, b"a"),
            (Method::Connect, b"a:"),
            (Method::Connect, b"http://a:80"),
        ] {
            assert_eq!(Target::parse(method, bad), Err(Reject::RequestTarget), "{}", bad.escape_ascii());
        }
        assert!(Target::parse(Method::Get, b"/a#b").is_ok_and(|target| target.has_fragment()));
        assert!(Target::parse(Method::Get, b"/a?q#b").is_ok_and(|target| target.has_fragment()));
        assert!(Target::parse(Method::Get, b"/a").is_ok_and(|target| !target.has_fragment()));
    }

    #[test]
    fn hidden_names() {
        for hidden in [&b".git"[..], b"a/.b", ".well-known/.x".as_bytes(), b"a/.well-known/b", b"..."] {
            assert!(is_hidden(hidden), "{}", hidden.escape_ascii());
        }
        for plain in [&b""[..], b"a.b", b"a/b.", b".well-known/a"] {
            assert!(!is_hidden(plain), "{}", plain.escape_ascii());
        }
    }

    #[test]
    fn encoding_leaves_nothing_that_needs_it() {
        let mut out = Vec::new();
        encode_path(b"a b/\"<\r\n%?#\xff~", |part| out.extend_from_slice(part));
        assert_eq!(out, b"a%20b/%22%3C%0D%0A%25%3F%23%FF~");
    }
}
