//! The page of a directory listing.
//!
//! It works without its script, which makes the columns sortable. Names are shown so that nothing in them is invisible or moves
//! what stands around them; links are written from the names' bytes, so that every name can be followed.

use super::{Entry, Kind, Part, Window};
use crate::http::date;
use crate::http::target::encode_path;
use std::fmt::Write;

pub(super) const STYLE: &str = include_str!("style.css");
pub(super) const SCRIPT: &str = include_str!("script.js");

const BEFORE_TITLE: &str = "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
    <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
    <title>Index of /";
const AFTER_TITLE: &str = "</title>\n<style>";
const BEFORE_PATH: &str = "</style>\n</head>\n<body>\n<nav aria-label=\"Path\">\n<h1 id=\"path\">Index of ";
const AFTER_PATH: &str = "</h1>\n";
const PARENT: &str = "<a class=\"up\" href=\"../\">Parent directory</a>\n";
const BEFORE_ENTRIES: &str = "</nav>\n<main>\n<table aria-labelledby=\"path\">\n<thead>\n<tr>\
    <th scope=\"col\" aria-sort=\"ascending\">Name</th><th scope=\"col\">Size</th><th scope=\"col\">Modified (UTC)</th></tr>\n\
    </thead>\n<tbody>\n";
const AFTER_ENTRIES: &str = "</tbody>\n</table>\n";
const EMPTY: &str = "<p>Nothing to show here.</p>\n";
const BEFORE_SCRIPT: &str = "</main>\n<script>";
const AFTER_SCRIPT: &str = "</script>\n</body>\n</html>\n";

/// How many directories above this one are linked, besides the root. Climbing takes three bytes for each level, so that with no
/// limit a path of n components would take links of n² bytes.
const MAX_LINKS: usize = 32;
const CURRENT_CRUMB: [&str; 2] = ["<span aria-current=\"page\">", "/</span>"];
const LINKED_CRUMB: [&str; 3] = ["<a href=\"", "\">", "/</a>"];
const PLAIN_CRUMB: [&str; 2] = ["<span>", "/</span>"];

/// The most that the beginning takes for a name of so many bytes.
pub(super) const fn max_begin(name_length: usize) -> usize {
    const FIXED: usize = BEFORE_TITLE.len()
        + AFTER_TITLE.len()
        + STYLE.len()
        + BEFORE_PATH.len()
        + AFTER_PATH.len()
        + PARENT.len()
        + BEFORE_ENTRIES.len();
    const CURRENT: usize = CURRENT_CRUMB[0].len() + CURRENT_CRUMB[1].len();
    // The others have no more markup than a linked one.
    const CRUMB: usize = LINKED_CRUMB[0].len() + LINKED_CRUMB[1].len() + LINKED_CRUMB[2].len();
    // A component has two bytes at least, its slash included.
    let depth = name_length / 2;
    let links = if depth < MAX_LINKS { depth } else { MAX_LINKS };
    let climbs = 3 * depth + 3 * links * (links + 1) / 2;
    // The name is there twice, up to five bytes for one.
    FIXED + CURRENT + depth * CRUMB + climbs + 2 * 5 * name_length
}

pub(super) const END_BYTES: usize =
    AFTER_ENTRIES.len() + EMPTY.len() + BEFORE_SCRIPT.len() + SCRIPT.len() + AFTER_SCRIPT.len();

/// The control characters below the space have pictures from here on.
const CONTROL_PICTURES: u32 = 0x2400;
const PICTURE_OF_DELETE: char = '\u{2421}';
const OPEN_BOX: char = '\u{2423}';

pub(super) fn put(out: &mut Window<'_>, part: &Part<'_>) {
    match part {
        Part::Begin(name) => put_begin(out, name),
        Part::Entry(entry) => put_entry(out, entry),
        Part::End { is_empty } => {
            out.put(AFTER_ENTRIES.as_bytes());
            if *is_empty {
                out.put(EMPTY.as_bytes());
            }
            for text in [BEFORE_SCRIPT, SCRIPT, AFTER_SCRIPT] {
                out.put(text.as_bytes());
            }
        }
    }
}

fn put_begin(out: &mut Window<'_>, name: &[u8]) {
    out.put(BEFORE_TITLE.as_bytes());
    put_text(out, name);
    for text in [AFTER_TITLE, STYLE, BEFORE_PATH] {
        out.put(text.as_bytes());
    }
    let mut level = name.iter().filter(|&&byte| byte == b'/').count();
    put_crumb(out, level, true, b"");
    for component in name.split_inclusive(|&byte| byte == b'/') {
        level = level.saturating_sub(1);
        put_crumb(out, level, false, component.strip_suffix(b"/").unwrap_or(component));
    }
    out.put(AFTER_PATH.as_bytes());
    if !name.is_empty() {
        out.put(PARENT.as_bytes());
    }
    out.put(BEFORE_ENTRIES.as_bytes());
}

/// A component of the path, so many levels above the directory.
fn put_crumb(out: &mut Window<'_>, level: usize, is_root: bool, component: &[u8]) {
    let after = if level == 0 {
        out.put(CURRENT_CRUMB[0].as_bytes());
        CURRENT_CRUMB[1]
    } else if is_root || level <= MAX_LINKS {
        out.put(LINKED_CRUMB[0].as_bytes());
        for _ in 0..level {
            out.put(b"../");
        }
        out.put(LINKED_CRUMB[1].as_bytes());
        LINKED_CRUMB[2]
    } else {
        out.put(PLAIN_CRUMB[0].as_bytes());
        PLAIN_CRUMB[1]
    };
    put_text(out, component);
    out.put(after.as_bytes());
}

fn put_entry(out: &mut Window<'_>, entry: &Entry<'_>) {
    let (class, slash) = match entry.kind {
        Kind::Directory => (" class=\"d\"", &b"/"[..]),
        Kind::File => ("", &b""[..]),
    };
    out.put(b"<tr");
    out.put(class.as_bytes());
    // The dot and slash before it keep a name from being a scheme, a query or an empty address (RFC 3986 section 4.2).
    out.put(b"><th scope=\"row\"><a href=\"./");
    encode_path(entry.name, |part| put_encoded(out, part));
    out.put(slash);
    out.put(b"\">");
    put_text(out, entry.name);
    out.put(slash);
    out.put(b"</a></th><td");
    if entry.kind == Kind::File {
        // Writing into a window never fails.
        let _ = write!(out, " title=\"{} {}\">", entry.size, if entry.size == 1 { "byte" } else { "bytes" });
        put_size(out, entry.size);
    } else {
        out.put(b">");
    }
    out.put(b"</td><td><time datetime=\"");
    let time = iso_time(entry.modified_seconds);
    let (day, clock) = time.split_at(10);
    out.put(&time);
    out.put(b"\">");
    out.put(day);
    out.put(b" ");
    out.put(clock.get(1..6).unwrap_or_default());
    out.put(b"</time></td></tr>\n");
}

/// A size for people: rounded to whole units of a thousand each, or to tenths below ten of them.
fn put_size(out: &mut Window<'_>, bytes: u64) {
    const UNITS: [&str; 6] = ["kB", "MB", "GB", "TB", "PB", "EB"];
    let bytes = u128::from(bytes);
    // Writing into a window never fails.
    if bytes < 1000 {
        let _ = write!(out, "{bytes} B");
        return;
    }
    let mut scale = 1;
    for unit in UNITS {
        scale *= 1000;
        let (whole, tenths) = ((bytes + scale / 2) / scale, (10 * bytes + scale / 2) / scale);
        if tenths < 100 {
            let _ = write!(out, "{}.{} {unit}", tenths / 10, tenths % 10);
            return;
        }
        if whole < 1000 {
            let _ = write!(out, "{whole} {unit}");
            return;
        }
    }
}

/// `YYYY-MM-DDTHH:MM:SSZ`, of the years 1970 to 9999.
fn iso_time(seconds: i64) -> [u8; 20] {
    const MONTHS: &[u8; 36] = b"JanFebMarAprMayJunJulAugSepOctNovDec";
    // "Sun, 06 Nov 1994 08:49:37 GMT"
    let [_, _, _, _, _, d1, d2, _, month @ .., _, y1, y2, y3, y4, _, h1, h2, _, m1, m2, _, s1, s2, _, _, _, _] =
        date::imf_fixdate(seconds);
    let number = (1..).zip(MONTHS.chunks_exact(3)).find(|(_, name)| **name == month).map_or(1, |(number, _)| number);
    let (n1, n2) = (b'0' + number / 10, b'0' + number % 10);
    [y1, y2, y3, y4, b'-', n1, n2, b'-', d1, d2, b'T', h1, h2, b':', m1, m2, b':', s1, s2, b'Z']
}

/// A part of a percent-encoded name in the value of an attribute: what means something to HTML is encoded too.
fn put_encoded(out: &mut Window<'_>, encoded: &[u8]) {
    let mut rest = encoded;
    while let Some(position) = memchr::memchr2(b'&', b'\'', rest) {
        let (plain, special) = rest.split_at(position);
        out.put(plain);
        out.put(if special.starts_with(b"&") { b"%26" } else { b"%27" });
        rest = special.get(1..).unwrap_or_default();
    }
    out.put(rest);
}

/// A name as text that shows all that is in it.
fn put_text(out: &mut Window<'_>, name: &[u8]) {
    let mut start = 0;
    for chunk in name.utf8_chunks() {
        let valid = chunk.valid();
        let end = start + valid.len() + chunk.invalid().len();
        let (opens, closes) = (start == 0, end == name.len() && chunk.invalid().is_empty());
        let mut plain = 0;
        for (position, character) in valid.char_indices() {
            let next = position + character.len_utf8();
            let is_at_edge = (opens && position == 0) || (closes && next == valid.len());
            let Some(shown) = replacement(character, is_at_edge) else { continue };
            out.put(valid.get(plain..position).unwrap_or_default().as_bytes());
            match shown {
                Shown::Reference(text) => out.put(text.as_bytes()),
                Shown::Character(shown) => out.put(shown.encode_utf8(&mut [0; 4]).as_bytes()),
            }
            plain = next;
        }
        out.put(valid.get(plain..).unwrap_or_default().as_bytes());
        if !chunk.invalid().is_empty() {
            out.put("\u{fffd}".as_bytes());
        }
        start = end;
    }
}

enum Shown {
    /// A character reference.
    Reference(&'static str),
    /// Another character.
    Character(char),
}

/// What is shown in place of `character`; nothing where it shows itself.
fn replacement(character: char, is_at_edge: bool) -> Option<Shown> {
    let shown = match character {
        '&' => return Some(Shown::Reference("&amp;")),
        '<' => return Some(Shown::Reference("&lt;")),
        '>' => return Some(Shown::Reference("&gt;")),
        '"' => return Some(Shown::Reference("&#34;")),
        '\'' => return Some(Shown::Reference("&#39;")),
        // A name of nothing but a space would be a link that has no name.
        ' ' if is_at_edge => OPEN_BOX,
        '\0'..='\x1f' => char::from_u32(CONTROL_PICTURES + u32::from(character))?,
        '\x7f' => PICTURE_OF_DELETE,
        ' '..='~' => return None,
        _ if hides(character) => char::REPLACEMENT_CHARACTER,
        _ => return None,
    };
    Some(Shown::Character(shown))
}

/// Whether a character outside ASCII shows nothing itself, or moves what stands around it. Joiners and variation selectors stay:
/// scripts and emoji need them.
fn hides(character: char) -> bool {
    match character {
        // Controls, the soft hyphen, fillers, blanks without width and separators of lines.
        '\u{80}'..='\u{9f}' | '\u{ad}' | '\u{115f}'..='\u{1160}' | '\u{3164}' | '\u{ffa0}' => true,
        '\u{180e}' | '\u{200b}' | '\u{2028}'..='\u{2029}' | '\u{2060}'..='\u{2064}' | '\u{feff}' => true,
        // Controls of direction and of annotation.
        '\u{61c}' | '\u{200e}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{206f}' => true,
        '\u{fff9}'..='\u{fffb}' => true,
        // Noncharacters, which HTML may not hold.
        '\u{fdd0}'..='\u{fdef}' => true,
        _ => u32::from(character) & 0xfffe == 0xfffe,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(put: impl FnOnce(&mut Window<'_>)) -> String {
        let mut memory = [0; 256];
        let mut window = Window { memory: &mut memory, length: 0, skip: 0, is_complete: true };
        put(&mut window);
        let length = window.length;
        String::from_utf8(memory[..length].to_vec()).expect("it is UTF-8")
    }

    #[test]
    fn sizes_are_rounded_for_people() {
        for (bytes, text) in [
            (0, "0 B"),
            (999, "999 B"),
            (1000, "1.0 kB"),
            (1234, "1.2 kB"),
            (9949, "9.9 kB"),
            (9950, "10 kB"),
            (12_345, "12 kB"),
            (999_499, "999 kB"),
            (999_500, "1.0 MB"),
            (1_000_000_000, "1.0 GB"),
            (u64::MAX, "18 EB"),
        ] {
            assert_eq!(written(|out| put_size(out, bytes)), text);
        }
    }

    #[test]
    fn times_are_written_for_programs() {
        for (seconds, text) in [
            (784_111_777, "1994-11-06T08:49:37Z"),
            (951_782_400, "2000-02-29T00:00:00Z"),
            (-5, "1970-01-01T00:00:00Z"),
            (i64::MAX, "9999-12-31T23:59:59Z"),
        ] {
            assert_eq!(iso_time(seconds), text.as_bytes());
        }
    }

    #[test]
    fn names_show_all_that_is_in_them() {
        for (name, text) in [
            (&b"plain.txt"[..], "plain.txt"),
            (b"<script>alert('1')</script>", "&lt;script&gt;alert(&#39;1&#39;)&lt;/script&gt;"),
            (b"a\"b&amp;c", "a&#34;b&amp;amp;c"),
            (b"a\nb\x1b[2J\x7f", "a\u{240a}b\u{241b}[2J\u{2421}"),
            (b" ", "\u{2423}"),
            (b" a b ", "\u{2423}a b\u{2423}"),
            (b"\xff", "\u{fffd}"),
            (b"a \xe2\x82 b", "a \u{fffd} b"),
            (b" \xff ", "\u{2423}\u{fffd}\u{2423}"),
            ("cod\u{202e}gnp.exe".as_bytes(), "cod\u{fffd}gnp.exe"),
            ("\u{85}\u{200b}\u{2028}\u{feff}\u{fffe}".as_bytes(), "\u{fffd}\u{fffd}\u{fffd}\u{fffd}\u{fffd}"),
            ("👩\u{200d}🚀 é 日本".as_bytes(), "👩\u{200d}🚀 é 日本"),
        ] {
            assert_eq!(written(|out| put_text(out, name)), text, "{}", name.escape_ascii());
        }
    }
}
