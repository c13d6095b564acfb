//! The request-target: its forms, and the name beneath the root that its path is decoded to.

use crate::alloc::heapless;
use crate::http::Reject;
use crate::http::request_line::Method;
use crate::http::target::{Target, decode_path, encode_path, is_hidden};

/// Checks a request-target, as it stands in a request line.
pub fn request_target(bytes: &[u8]) {
    for method in [Method::Get, Method::Head, Method::Options, Method::Connect, Method::Standard, Method::Unknown] {
        let Ok(target) = heapless!(Target::parse(method, bytes)) else { continue };
        let Target::Path { path, query } = target else {
            assert!(bytes == b"*" || method == Method::Connect, "what has no path is \"*\" or an authority");
            assert!(target.query().is_none() && !target.has_fragment());
            continue;
        };
        // An authority may also end at a fragment, which is refused before anything is made of the path.
        assert!(path.starts_with(b"/") || path.starts_with(b"#"), "a path begins with a slash");
        assert!(!path.contains(&b'?'), "a path ends where the query begins");
        assert!(method != Method::Connect, "CONNECT has an authority");
        let is_absolute = !bytes.starts_with(b"/");
        assert!(!is_absolute || bytes[..7].eq_ignore_ascii_case(b"http://"), "no other scheme");
        let whole = query.map_or_else(|| path.to_vec(), |query| [path, b"?", query].concat());
        assert!(bytes.ends_with(&whole) || (is_absolute && path == b"/"), "the path and the query are its end");
        assert_eq!(target.has_fragment(), path.contains(&b'#') || query.is_some_and(|query| query.contains(&b'#')));
    }
    // Whatever the form says: a path is decoded the same.
    let path = [b"/", bytes].concat();
    check_path(&path);
}

fn check_path(path: &[u8]) {
    let mut room = vec![0; path.len()];
    let length = heapless!(decode_path(path, &mut room));
    let plain = decode_plainly(path);
    let name = match length {
        Ok(length) => &room[..length],
        Err(reject) => {
            assert!(plain.is_err(), "{} refuses what a plain reading takes", reject.name());
            return;
        }
    };
    assert_eq!(plain.as_deref(), Ok(name), "a plain reading of {}", path.escape_ascii());
    assert!(!name.contains(&0) && !name.contains(&b'\\') && !name.starts_with(b"/"));
    let segments: Vec<_> = name.strip_suffix(b"/").unwrap_or(name).split(|&byte| byte == b'/').collect();
    assert!(name.is_empty() || segments.iter().all(|segment| !matches!(*segment, b"" | b"." | b"..")));
    let shows = |segment: &&[u8]| segment.starts_with(b".");
    let is_well_known = segments.first().is_some_and(|first| *first == b".well-known");
    assert_eq!(is_hidden(name), segments.iter().skip(usize::from(is_well_known)).any(shows));
    let mut again = b"/".to_vec();
    encode_path(name, |part| again.extend_from_slice(part));
    assert!(again.iter().all(u8::is_ascii_graphic), "what is encoded is visible ASCII");
    assert_eq!(decode_plainly(&again).as_deref(), Ok(name), "what is encoded decodes to the same");
}

/// The name of a path, step by step with memory for each.
fn decode_plainly(path: &[u8]) -> Result<Vec<u8>, Reject> {
    let mut stack: Vec<Vec<u8>> = Vec::new();
    let mut is_directory = true;
    for segment in path[1..].split(|&byte| byte == b'/') {
        let mut decoded = Vec::new();
        let mut rest = segment;
        while let [byte, tail @ ..] = rest {
            rest = tail;
            if *byte == b'%' {
                let digits = rest.get(..2).filter(|digits| digits.iter().all(u8::is_ascii_hexdigit));
                let digits = std::str::from_utf8(digits.ok_or(Reject::PercentEncoding)?).expect("digits are ASCII");
                let value = u8::from_str_radix(digits, 16).expect("two digits make a byte");
                if matches!(value, 0 | b'/' | b'\\') {
                    return Err(Reject::EncodedSlash);
                }
                decoded.push(value);
                rest = &rest[2..];
            } else if byte.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=:@[]|^".contains(byte) {
                decoded.push(*byte);
            } else {
                return Err(Reject::RequestTarget);
            }
        }
        is_directory = matches!(&decoded[..], b"" | b"." | b"..");
        match &decoded[..] {
            b"" | b"." => {}
            b".." => {
                stack.pop().ok_or(Reject::ClimbsAboveRoot)?;
            }
            _ => stack.push(decoded),
        }
    }
    let mut name = stack.join(&b'/');
    if is_directory && !name.is_empty() {
        name.push(b'/');
    }
    Ok(name)
}
