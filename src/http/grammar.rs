//! The byte classes of HTTP and URIs, as tables, and the few scans that are made of them.
//!
//! Pure functions over bytes. Each class stands beside the grammar that it implements.

/// tchar: what a token is made of (RFC 9110 section 5.6.2).
pub const TCHAR: u8 = 1 << 0;
/// field-vchar, SP or HTAB: what a field value is made of, obs-text included (RFC 9110 section 5.5).
pub const FIELD_CONTENT: u8 = 1 << 1;
/// What the path of a request-target is made of: pchar and "/" (RFC 3986 section 3.3), and `[ ] | ^`, which browsers
/// leave as they are (URL Standard, path percent-encode set) and which mean nothing else here.
pub const PATH: u8 = 1 << 2;
/// What a query is made of: the path's bytes, "?" (RFC 3986 section 3.4) and ``\ { } ` ``, which browsers leave as they are.
pub const QUERY: u8 = 1 << 3;
/// HEXDIG (RFC 5234 appendix B.1), in either case.
pub const HEXDIG: u8 = 1 << 4;
/// reg-name without its percent-encoding: unreserved and sub-delims (RFC 3986 section 3.2.2).
pub const REG_NAME: u8 = 1 << 5;
/// qdtext (RFC 9110 section 5.6.4).
pub const QDTEXT: u8 = 1 << 6;
/// What goes into a path of a `Location` as it is: unreserved, sub-delims, ":", "@" and "/".
pub const PATH_LITERAL: u8 = 1 << 7;

const CLASS: [u8; 256] = {
    let mut table = [0_u8; 256];
    let mut byte = 0_usize;
    while byte < 256 {
        #[allow(clippy::cast_possible_truncation)] // The loop stops at 255.
        let b = byte as u8;
        let alphanumeric = b.is_ascii_alphanumeric();
        let unreserved = alphanumeric || matches!(b, b'-' | b'.' | b'_' | b'~');
        let sub_delim = matches!(b, b'!' | b'$' | b'&' | b'\'' | b'(' | b')' | b'*' | b'+' | b',' | b';' | b'=');
        let visible = b > 0x20 && b < 0x7f;
        let obs_text = b >= 0x80;
        let mut class = 0;
        if alphanumeric
            || matches!(
                b,
                b'!' | b'#' | b'$' | b'%' | b'&' | b'\'' | b'*' | b'+' | b'-' | b'.' | b'^' | b'_' | b'`' | b'|' | b'~'
            )
        {
            class |= TCHAR;
        }
        if visible || obs_text || matches!(b, b' ' | b'\t') {
            class |= FIELD_CONTENT;
            if !matches!(b, b'"' | b'\\') {
                class |= QDTEXT;
            }
        }
        if unreserved || sub_delim || matches!(b, b':' | b'@' | b'/') {
            class |= PATH_LITERAL;
        }
        if class & PATH_LITERAL != 0 || matches!(b, b'%' | b'[' | b']' | b'|' | b'^') {
            class |= PATH | QUERY;
        }
        if matches!(b, b'?' | b'\\' | b'{' | b'}' | b'`') {
            class |= QUERY;
        }
        if unreserved || sub_delim {
            class |= REG_NAME;
        }
        if b.is_ascii_hexdigit() {
            class |= HEXDIG;
        }
        table[byte] = class;
        byte += 1;
    }
    table
};

/// Whether `byte` is of one of the classes in `mask`.
#[must_use]
pub fn is(byte: u8, mask: u8) -> bool {
    CLASS[usize::from(byte)] & mask != 0
}

/// Whether every byte is of one of the classes in `mask`; true of no bytes.
#[must_use]
pub fn all(bytes: &[u8], mask: u8) -> bool {
    bytes.iter().all(|&byte| is(byte, mask))
}

/// `token = 1*tchar` (RFC 9110 section 5.6.2).
#[must_use]
pub fn is_token(bytes: &[u8]) -> bool {
    !bytes.is_empty() && all(bytes, TCHAR)
}

/// The value of one HEXDIG.
#[must_use]
pub fn hex_value(byte: u8) -> Option<u8> {
    match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        b'A'..=b'F' => Some(byte - b'A' + 10),
        _ => None,
    }
}

/// `bytes` without the SP and HTAB around it: OWS is these two and nothing else (RFC 9110 section 5.6.3).
#[must_use]
pub fn trim_ows(bytes: &[u8]) -> &[u8] {
    let is_ows = |byte: &u8| matches!(byte, b' ' | b'\t');
    let Some(start) = bytes.iter().position(|byte| !is_ows(byte)) else { return &[] };
    let end = bytes.iter().rposition(|byte| !is_ows(byte)).map_or(start, |last| last + 1);
    &bytes[start..end]
}

/// The position of the first byte below SP, or DEL: all that may not stand in a line as it is, HTAB, CR and LF included.
#[must_use]
pub fn find_control(bytes: &[u8]) -> Option<usize> {
    const ONES: u64 = 0x0101_0101_0101_0101;
    const HIGHS: u64 = 0x8080_8080_8080_8080;
    let mut chunks = bytes.chunks_exact(8);
    let mut position = 0;
    for chunk in &mut chunks {
        let word = u64::from_le_bytes(chunk.try_into().unwrap_or_default());
        // A byte below 0x20 borrows from its high bit; one equal to 0x7f does once it is turned into 0.
        let below = word.wrapping_sub(ONES * 0x20) & !word;
        let del = word ^ (ONES * 0x7f);
        let is_del = del.wrapping_sub(ONES) & !del;
        // A borrow can only mark bytes behind the first that is marked rightly, and that is the one in the lowest bits.
        let marked = (below | is_del) & HIGHS;
        if marked != 0 {
            return Some(position + marked.trailing_zeros() as usize / 8);
        }
        position += 8;
    }
    let rest = chunks.remainder().iter();
    rest.copied().position(|byte| byte < 0x20 || byte == 0x7f).map(|offset| position + offset)
}

/// The position of the first `wanted`. A search in a few bytes costs more to call than to do.
#[must_use]
#[inline]
pub fn find(wanted: u8, bytes: &[u8]) -> Option<usize> {
    if bytes.len() <= 32 { bytes.iter().position(|&byte| byte == wanted) } else { memchr::memchr(wanted, bytes) }
}

/// The elements of a comma-separated list, empty ones left out (RFC 9110 section 5.6.1).
pub fn list_elements(value: &[u8]) -> impl Iterator<Item = &[u8]> {
    value.split(|&byte| byte == b',').map(trim_ows).filter(|element| !element.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn find_control_agrees_with_the_plain_scan_at_every_place() {
        for length in 0..40 {
            for place in 0..length {
                for byte in 0..=255_u8 {
                    let mut bytes = vec![b'a'; length];
                    bytes[place] = byte;
                    let plain = bytes.iter().position(|&b| b < 0x20 || b == 0x7f);
                    assert_eq!(find_control(&bytes), plain, "byte {byte:#x} at {place} of {length}");
                }
            }
        }
        for byte in [0x80_u8, 0xff, 0x20, 0x7e, 0xa0] {
            assert_eq!(find_control(&[byte; 33]), None);
        }
    }

    #[test]
    fn trim_ows_takes_space_and_tab_only() {
        assert_eq!(trim_ows(b" \t a b\t "), b"a b");
        assert_eq!(trim_ows(b"\x0ba\x0c"), b"\x0ba\x0c");
        assert_eq!(trim_ows(b"\xa0a"), b"\xa0a");
        assert_eq!(trim_ows(b" \t "), b"");
    }

    #[test]
    fn token_excludes_delimiters_and_eight_bit_bytes() {
        assert!(is_token(b"X-a!#$%&'*+.^_`|~9"));
        for bad in [&b""[..], b"a b", b"a:b", b"a(b", b"a\"", b"\x80", b"a/b", b"a\0"] {
            assert!(!is_token(bad), "{bad:?}");
        }
    }

    #[test]
    fn list_elements_skips_empty_ones() {
        let elements: Vec<_> = list_elements(b" close ,, \tkeep-alive,").collect();
        assert_eq!(elements, [&b"close"[..], b"keep-alive"]);
    }
}
