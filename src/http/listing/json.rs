//! The listing for programs: byte for byte what nginx's autoindex_format json writes, and one more member for a name that is not
//! UTF-8, which no string can hold.

use super::{Entry, Kind, Part, Window};
use crate::http::date;
use crate::http::target::encode_path;
use std::fmt::Write;

pub(super) fn put(out: &mut Window<'_>, part: &Part<'_>) {
    match part {
        Part::Begin(_) => out.put(b"["),
        Part::Entry(entry) => put_entry(out, entry),
        Part::End { .. } => out.put(b"\r\n]"),
    }
}

fn put_entry(out: &mut Window<'_>, entry: &Entry<'_>) {
    let (kind, slash) = match entry.kind {
        Kind::Directory => ("directory", &b"/"[..]),
        Kind::File => ("file", &b""[..]),
    };
    out.put(if entry.is_first { b"" } else { b"," });
    out.put(b"\r\n{ \"name\":\"");
    let mut is_utf8 = true;
    for chunk in entry.name.utf8_chunks() {
        put_string(out, chunk.valid());
        if !chunk.invalid().is_empty() {
            is_utf8 = false;
            out.put("\u{fffd}".as_bytes());
        }
    }
    out.put(b"\", \"type\":\"");
    out.put(kind.as_bytes());
    out.put(b"\", \"mtime\":\"");
    out.put(&date::imf_fixdate(entry.modified_seconds));
    out.put(b"\"");
    if entry.kind == Kind::File {
        // Writing into a window never fails.
        let _ = write!(out, ", \"size\":{}", entry.size);
    }
    if !is_utf8 {
        // As in a page: the dot and slash keep a name with a colon from being a scheme.
        out.put(b", \"href\":\"./");
        encode_path(entry.name, |part| out.put(part));
        out.put(slash);
        out.put(b"\"");
    }
    out.put(b" }");
}

/// What is between the quotation marks of a string (RFC 8259 section 7).
fn put_string(out: &mut Window<'_>, text: &str) {
    let mut plain = 0;
    for (position, byte) in text.bytes().enumerate() {
        let short = match byte {
            b'"' => "\\\"",
            b'\\' => "\\\\",
            b'\n' => "\\n",
            b'\r' => "\\r",
            b'\t' => "\\t",
            0x08 => "\\b",
            0x0c => "\\f",
            0..0x20 => "",
            _ => continue,
        };
        out.put(text.get(plain..position).unwrap_or_default().as_bytes());
        out.put(short.as_bytes());
        if short.is_empty() {
            // Writing into a window never fails.
            let _ = write!(out, "\\u{byte:04X}");
        }
        plain = position + 1;
    }
    out.put(text.get(plain..).unwrap_or_default().as_bytes());
}
