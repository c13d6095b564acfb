//! The chunked coding: whole, cut at every place, and held against a decoder that reads line by line with everything at hand.

use super::cuts;
use crate::alloc::heapless;
use crate::http::Reject;
use crate::http::chunked::{ChunkedDecoder, MAX_EXTENSION_BYTES, MAX_TRAILER_BYTES};

/// The largest content, which few inputs reach by accident.
const MAX_CONTENT: u64 = 500;
const MAX_LINES: u32 = 5;

/// What a decoder makes of some bytes: how many it takes, whether it is done, and how much content that was.
type Decoded = Result<(usize, bool, u64), Reject>;

fn decode<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> Decoded {
    let mut decoder = ChunkedDecoder::default();
    let mut taken = 0;
    for piece in pieces {
        let count = heapless!(decoder.decode(piece, MAX_CONTENT, MAX_LINES))?;
        assert!(count <= piece.len() && (count == piece.len() || decoder.is_done()), "it takes all unless it is done");
        assert!(decoder.content_bytes() <= MAX_CONTENT);
        taken += count;
    }
    Ok((taken, decoder.is_done(), decoder.content_bytes()))
}

/// Checks a message in the chunked coding.
pub fn chunked(bytes: &[u8]) {
    let verdict = decode([bytes]);
    for cut in cuts(bytes.len()) {
        let (first, second) = bytes.split_at(cut);
        assert_eq!(decode([first, second]), verdict, "cut at {cut}");
    }
    assert_eq!(decode(bytes.chunks(1)), verdict, "byte by byte");
    assert_eq!(decode([&b""[..], bytes, b""]), verdict, "between nothing and nothing");
    let plain = decode_plainly(bytes);
    match verdict {
        Ok((taken, true, content)) => assert_eq!(plain, Some((taken, content)), "a plain reading"),
        _ => assert_eq!(plain, None, "a plain reading, but ours says {verdict:?}"),
    }
}

/// The length of a whole message and of its content; nothing where it is not whole or not right.
fn decode_plainly(bytes: &[u8]) -> Option<(usize, u64)> {
    let (mut at, mut content, mut extensions) = (0, 0_u64, 0);
    loop {
        let line = line_at(bytes, at)?;
        at += line.len() + 2;
        let digits = line.iter().take_while(|byte| byte.is_ascii_hexdigit()).count();
        if !(1..=16).contains(&digits) || !is_extension(&line[digits..]) {
            return None;
        }
        extensions += line.len() - digits;
        let size = u64::from_str_radix(std::str::from_utf8(&line[..digits]).ok()?, 16).ok()?;
        // A CR that ends an extension counts as a part of it.
        extensions += usize::from(line.len() > digits);
        content = content.checked_add(size).filter(|&content| content <= MAX_CONTENT)?;
        if extensions > MAX_EXTENSION_BYTES as usize {
            return None;
        }
        if size == 0 {
            break;
        }
        at += usize::try_from(size).ok()?;
        (bytes.get(at..at + 2)? == b"\r\n").then_some(())?;
        at += 2;
    }
    let (start, mut lines) = (at, 0);
    loop {
        let line = line_at(bytes, at)?;
        at += line.len() + 2;
        if line.is_empty() {
            return (at - start <= MAX_TRAILER_BYTES as usize).then_some((at, content));
        }
        lines += 1;
        let colon = line.iter().position(|&byte| byte == b':')?;
        let is_right = is_token(&line[..colon]) && line[colon..].iter().all(|&byte| is_text(byte));
        (is_right && lines <= MAX_LINES).then_some(())?;
    }
}

/// The line that begins at `at`, without its CRLF.
fn line_at(bytes: &[u8], at: usize) -> Option<&[u8]> {
    let rest = bytes.get(at..)?;
    let end = rest.windows(2).position(|window| window == b"\r\n")?;
    Some(&rest[..end])
}

fn is_text(byte: u8) -> bool {
    byte == b'\t' || (byte >= 0x20 && byte != 0x7f)
}

fn is_tchar(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

fn is_token(bytes: &[u8]) -> bool {
    !bytes.is_empty() && bytes.iter().copied().all(is_tchar)
}

/// `*( BWS ";" BWS chunk-ext-name [ BWS "=" BWS chunk-ext-val ] )`
fn is_extension(mut rest: &[u8]) -> bool {
    while !rest.is_empty() {
        let Some(after) = bws(rest).strip_prefix(b";") else { return false };
        let after = bws(after);
        let name = after.iter().take_while(|&&byte| is_tchar(byte)).count();
        if name == 0 {
            return false;
        }
        rest = &after[name..];
        if let Some(value) = bws(rest).strip_prefix(b"=") {
            let value = bws(value);
            let length = match value.first() {
                Some(b'"') => quoted_length(value),
                _ => value.iter().take_while(|&&byte| is_tchar(byte)).count(),
            };
            if length == 0 {
                return false;
            }
            rest = &value[length..];
        }
    }
    true
}

fn bws(bytes: &[u8]) -> &[u8] {
    let count = bytes.iter().take_while(|byte| matches!(byte, b' ' | b'\t')).count();
    &bytes[count..]
}

/// The length of the quoted-string that `bytes` begin with; 0 where there is none.
fn quoted_length(bytes: &[u8]) -> usize {
    let mut at = 1;
    loop {
        match bytes.get(at) {
            Some(b'"') => return at + 1,
            Some(b'\\') if bytes.get(at + 1).is_some_and(|&byte| is_text(byte)) => at += 2,
            Some(&byte) if byte != b'\\' && is_text(byte) => at += 1,
            _ => return 0,
        }
    }
}
