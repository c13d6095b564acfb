//! Listings of names that nobody should use, in both formats and in rooms of every size.

use super::*;
use crate::alloc::thread_heap_use;

/// What somebody could call a file to do harm, and what only looks harmful.
fn nasty_names() -> Vec<Vec<u8>> {
    let mut names: Vec<Vec<u8>> = [
        &b"plain.txt"[..],
        b"\"><script>alert(1)</script>",
        b"' onmouseover='alert(1)",
        b"</title></style><!--",
        b"]]>-->",
        b"javascript:alert(1)",
        b"a:b",
        b"//host",
        b"?a#b",
        b"&amp;&lt;&",
        b"&copy=1",
        b"%2e%2e%2f",
        b"back\\slash",
        b"..hidden",
        b" ",
        b"  two  ",
        b"line\r\nbreak\x0b\x0c\x08\t",
        b"\x1b[31mred\x07\x7f",
        b"\xff",
        b"a:\xff\xfe\"<",
        b"cut \xe2\x82",
        "\u{202e}gnp.exe".as_bytes(),
        "\u{85}\u{a0}\u{200b}\u{2028}\u{2067}\u{feff}\u{fffe}".as_bytes(),
        "👩\u{200d}🚀 日本 \u{5e9}\u{5dc}\u{5d5}\u{5dd}".as_bytes(),
    ]
    .map(Vec::from)
    .into();
    for byte in *b"x\"&<\x01\xff " {
        names.push(vec![byte; MAX_ENTRY_NAME]);
    }
    names.push("\u{61c}".repeat(127).into());
    names.push("🚀".repeat(63).into());
    names
}

fn entry(name: &[u8], kind: Kind) -> Entry<'_> {
    Entry { name, kind, size: u64::MAX, modified_seconds: 784_111_777, is_first: false }
}

fn text(format: Format, part: &Part<'_>) -> String {
    let mut memory = vec![0; 200_000];
    let written = write(format, part, 0, &mut memory);
    assert!(written.is_complete);
    memory.truncate(written.length);
    String::from_utf8(memory).expect("a listing is UTF-8")
}

fn count(text: &str, wanted: char) -> usize {
    text.chars().filter(|&character| character == wanted).count()
}

/// The value of the string that `text` begins with, after its first quotation mark, and what follows it.
fn parse_string(text: &str) -> (String, &str) {
    let (mut value, mut characters) = (String::new(), text.char_indices());
    loop {
        match characters.next().expect("the string ends") {
            (end, '"') => return (value, &text[end + 1..]),
            (at, '\\') => match characters.next().expect("something is escaped").1 {
                'u' => {
                    let code = u32::from_str_radix(&text[at + 2..at + 6], 16).expect("it is hexadecimal");
                    value.push(char::from_u32(code).expect("it is a character"));
                    characters.nth(3);
                }
                'n' => value.push('\n'),
                'r' => value.push('\r'),
                't' => value.push('\t'),
                'b' => value.push('\u{8}'),
                'f' => value.push('\u{c}'),
                same @ ('"' | '\\') => value.push(same),
                other => panic!("\\{other} is no escape"),
            },
            (_, character) => {
                assert!(character >= ' ', "a control character stands in a string");
                value.push(character);
            }
        }
    }
}

#[test]
fn a_row_is_written_as_it_goes_out() {
    let directory = Entry { size: 4096, ..entry(b"a b", Kind::Directory) };
    assert_eq!(
        text(Format::Html, &Part::Entry(directory)),
        "<tr class=\"d\"><th scope=\"row\"><a href=\"./a%20b/\">a b/</a></th><td></td>\
         <td><time datetime=\"1994-11-06T08:49:37Z\">1994-11-06 08:49</time></td></tr>\n"
    );
    let file = Entry { size: 1234, ..entry(b"x&y?\xff", Kind::File) };
    assert_eq!(
        text(Format::Html, &Part::Entry(file)),
        "<tr><th scope=\"row\"><a href=\"./x%26y%3F%FF\">x&amp;y?\u{fffd}</a></th><td title=\"1234 bytes\">1.2 kB</td>\
         <td><time datetime=\"1994-11-06T08:49:37Z\">1994-11-06 08:49</time></td></tr>\n"
    );
}

#[test]
fn no_name_changes_the_markup_of_a_row() {
    for kind in [Kind::Directory, Kind::File] {
        let plain = text(Format::Html, &Part::Entry(entry(b"plain", kind)));
        for name in nasty_names() {
            let row = text(Format::Html, &Part::Entry(entry(&name, kind)));
            for special in ['<', '>', '"', '\''] {
                assert_eq!(count(&row, special), count(&plain, special), "{special} in {row}");
            }
            let (link, rest) = row.split_once("<a href=\"./").and_then(|(_, rest)| rest.split_once("\">")).expect(&row);
            assert!(
                link.bytes().all(|byte| byte.is_ascii_graphic() && !matches!(byte, b'&' | b'\'' | b'?' | b'#' | b'\\'))
            );
            let shown = rest.split_once("</a>").expect(&row).0;
            assert!(!shown.chars().any(char::is_control), "{row}");
            assert!(!shown.contains(['\u{202e}', '\u{2067}', '\u{61c}', '\u{200b}', '\u{2028}', '\u{fffe}']), "{row}");
            assert!(shown.starts_with(|first: char| first != ' ') && !shown.ends_with(' '), "{row}");
            for (start, _) in shown.match_indices('&') {
                let reference = &shown[start..=start + shown[start..].find(';').expect("a reference ends")];
                assert!(["&amp;", "&lt;", "&gt;", "&#34;", "&#39;"].contains(&reference), "{reference}");
            }
        }
    }
}

#[test]
fn the_beginning_leads_to_every_directory_above() {
    let page = text(Format::Html, &Part::Begin(b"a&b/\xff c/\"<h1>/"));
    assert!(page.contains("<title>Index of /a&amp;b/\u{fffd} c/&#34;&lt;h1&gt;/</title>"), "{page}");
    let path =
        page.split_once("Index of <a").and_then(|(_, rest)| rest.split_once("</h1>")).expect("there is a heading").0;
    assert_eq!(
        path,
        " href=\"../../../\">/</a><a href=\"../../\">a&amp;b/</a><a href=\"../\">\u{fffd} c/</a>\
         <span aria-current=\"page\">&#34;&lt;h1&gt;/</span>"
    );
    assert!(page.contains("href=\"../\">Parent directory</a>"));
    let root = text(Format::Html, &Part::Begin(b""));
    assert!(root.contains("<title>Index of /</title>"));
    assert!(root.contains("Index of <span aria-current=\"page\">/</span></h1>\n</nav>"), "no parent is linked");
    let deep = text(Format::Html, &Part::Begin(&b"d/".repeat(100)));
    assert_eq!(deep.matches("<span>d/</span>").count(), 100 - 33);
    assert_eq!(deep.matches(">d/</a>").count(), 32);
    assert!(deep.contains(&format!("<a href=\"{}\">/</a>", "../".repeat(100))));
}

#[test]
fn an_empty_directory_is_told() {
    assert!(text(Format::Html, &Part::End { is_empty: true }).contains("Nothing to show"));
    assert!(!text(Format::Html, &Part::End { is_empty: false }).contains("Nothing to show"));
}

/// As nginx 1.22 writes it.
#[test]
fn json_is_what_nginx_writes() {
    let parts = [
        Part::Begin(b"any/"),
        Part::Entry(Entry { is_first: true, ..entry(b"dir", Kind::Directory) }),
        Part::Entry(Entry { size: 6, ..entry(b"a.txt", Kind::File) }),
        Part::Entry(Entry { size: 0, ..entry("q\"\\\n\u{1}\u{7f}<é\u{202e}.t".as_bytes(), Kind::File) }),
        Part::End { is_empty: false },
    ];
    let whole: String = parts.iter().map(|part| text(Format::Json, part)).collect();
    assert_eq!(
        whole,
        "[\r\n{ \"name\":\"dir\", \"type\":\"directory\", \"mtime\":\"Sun, 06 Nov 1994 08:49:37 GMT\" },\
         \r\n{ \"name\":\"a.txt\", \"type\":\"file\", \"mtime\":\"Sun, 06 Nov 1994 08:49:37 GMT\", \"size\":6 },\
         \r\n{ \"name\":\"q\\\"\\\\\\n\\u0001\u{7f}<é\u{202e}.t\", \"type\":\"file\", \
         \"mtime\":\"Sun, 06 Nov 1994 08:49:37 GMT\", \"size\":0 }\r\n]"
    );
    assert_eq!(text(Format::Json, &Part::Begin(b"")) + &text(Format::Json, &Part::End { is_empty: true }), "[\r\n]");
}

#[test]
fn json_gives_every_name_back() {
    for kind in [Kind::Directory, Kind::File] {
        for name in nasty_names() {
            let object = text(Format::Json, &Part::Entry(entry(&name, kind)));
            let rest = object.strip_prefix(",\r\n{ \"name\":\"").expect(&object);
            let (value, rest) = parse_string(rest);
            assert_eq!(value, String::from_utf8_lossy(&name), "{object}");
            let href = rest.split_once(", \"href\":\"./").map(|(_, href)| href.strip_suffix("\" }").expect(&object));
            assert_eq!(href.is_none(), std::str::from_utf8(&name).is_ok(), "{object}");
            if let Some(href) = href {
                let mut decoded = [0; MAX_ENTRY_NAME + 1];
                let path = format!("/{href}");
                let length = crate::http::target::decode_path(path.as_bytes(), &mut decoded).expect(&path);
                let slash = if kind == Kind::Directory { &b"/"[..] } else { b"" };
                assert_eq!(decoded[..length], [&name, slash].concat());
            }
        }
    }
}

#[test]
fn every_room_gives_the_same_whole() {
    let names = nasty_names();
    let path = [b"\"'<>&/".repeat(8), b"\xff\xe2\x82/".repeat(50)].concat();
    for format in [Format::Html, Format::Json] {
        let mut parts = vec![Part::Begin(&path)];
        parts.extend(names.iter().map(|name| Part::Entry(entry(name, Kind::File))));
        parts.push(Part::End { is_empty: true });
        for part in parts {
            let whole = text(format, &part);
            for room in [1, 2, 3].into_iter().chain(64..300).chain([511, 1024, 2048, whole.len()]) {
                let (mut memory, mut out) = (vec![0; room], Vec::new());
                loop {
                    let written = write(format, &part, out.len(), &mut memory);
                    out.extend_from_slice(&memory[..written.length]);
                    if written.is_complete {
                        break;
                    }
                    assert_eq!(written.length, room, "room is left");
                }
                assert_eq!(out, whole.as_bytes(), "with a room of {room}");
                assert_eq!(write(format, &part, whole.len(), &mut memory), Written { length: 0, is_complete: true });
            }
        }
    }
}

#[test]
fn nothing_takes_more_than_its_bound() {
    let mut most = 0;
    for format in [Format::Html, Format::Json] {
        for kind in [Kind::Directory, Kind::File] {
            for name in nasty_names() {
                most = most.max(text(format, &Part::Entry(entry(&name, kind))).len());
            }
        }
        assert!(text(format, &Part::End { is_empty: true }).len() <= MAX_END);
        for component in ["a/", "\"/", "\u{1}\"/", "aaaaaaaaaaaaaaaa/"] {
            for length in [0, 1, 2, 31, 32, 33, 34, 100, 4096 / component.len()] {
                let name = component.repeat(length);
                let taken = text(format, &Part::Begin(name.as_bytes())).len();
                assert!(taken <= max_begin(name.len()), "{taken} for {length} of {component}");
            }
        }
    }
    assert!(most <= MAX_ENTRY && most > MAX_ENTRY - 512, "{most} of {MAX_ENTRY}");
    assert!(max_begin(0) < 4096);
    assert!(html::STYLE.len() + html::SCRIPT.len() <= 3200, "the page stays small");
}

#[test]
fn writing_calls_no_heap() {
    let name = [b'"'; MAX_ENTRY_NAME];
    let mut memory = [0; 8192];
    let before = thread_heap_use();
    for format in [Format::Html, Format::Json] {
        for part in [Part::Begin(b"a/\xff/"), Part::Entry(entry(&name, Kind::File)), Part::End { is_empty: true }] {
            assert!(write(format, &part, 0, &mut memory).is_complete);
        }
    }
    assert_eq!(thread_heap_use(), before);
}

#[test]
fn the_policy_allows_the_pages_own_style_and_script() {
    for text in [html::STYLE, html::SCRIPT] {
        let allowed = format!("'sha256-{}'", base64(&sha256(text.as_bytes())));
        assert!(CONTENT_SECURITY_POLICY.contains(&allowed), "the policy lacks {allowed}");
    }
    assert!(!html::STYLE.contains('<') && !html::SCRIPT.contains("</"), "neither ends its element");
}

/// Writes pages to look at: `cargo test --lib pages_to_look_at -- --ignored`.
#[test]
#[ignore = "it is for a person"]
fn pages_to_look_at() {
    let sane =
        ["docs", "images", "node_modules", "about.txt", "index.html", "logo.svg", "one-mebibyte.txt", "release.tar.gz"];
    let mut names: Vec<Vec<u8>> = sane.map(Vec::from).into();
    names.extend(nasty_names());
    for (file, path, count) in [
        ("listing.html", "", 8),
        (
            "listing-nasty.html",
            "projects/pooled \u{5e9}\u{5dc}\u{5d5}\u{5dd}/a very long directory name, as people make them/<b>/",
            99,
        ),
        ("listing-empty.html", "docs/", 0),
    ] {
        let mut page = text(Format::Html, &Part::Begin(path.as_bytes()));
        for (index, name) in (0_u32..).zip(names.iter().take(count)) {
            let kind = if index < 3 || index % 9 == 8 { Kind::Directory } else { Kind::File };
            let entry = Entry {
                name,
                kind,
                size: 7_u64.pow(index % 20),
                modified_seconds: i64::from(index * 77_777_777 % 1_790_000_000),
                is_first: index == 0,
            };
            page.push_str(&text(Format::Html, &Part::Entry(entry)));
        }
        page.push_str(&text(Format::Html, &Part::End { is_empty: count == 0 }));
        std::fs::write(std::env::temp_dir().join(file), page).expect("it can be written");
    }
}

fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for chunk in bytes.chunks(3) {
        let bits = chunk.iter().chain(&[0, 0]).take(3).fold(0_usize, |bits, &byte| bits << 8 | usize::from(byte));
        let digits = [18, 12, 6, 0].map(|shift| char::from(DIGITS[bits >> shift & 63]));
        text.extend(digits.iter().take(chunk.len() + 1));
        text.push_str(&"="[..usize::from(chunk.len() == 2)]);
        text.push_str(&"=="[..2 * usize::from(chunk.len() == 1)]);
    }
    text
}

/// SHA-256 (FIPS 180-4). Its constants are the first bits of the roots of the first primes, which are found rather than listed.
fn sha256(message: &[u8]) -> Vec<u8> {
    let primes: Vec<u128> = (2_u128..312).filter(|n| (2..*n).all(|d| n % d != 0)).collect();
    // The first 32 bits of the fraction: the root of the prime times 2^32 raised to the same power.
    let root = |prime: u128, power: u32| {
        let wanted = prime << (32 * power);
        let (mut low, mut high) = (0_u128, 1 << 37);
        while high - low > 1 {
            let middle = u128::midpoint(low, high);
            (low, high) = if middle.pow(power) <= wanted { (middle, high) } else { (low, middle) };
        }
        u32::try_from(low & 0xffff_ffff).expect("it is masked")
    };
    let mut hash: Vec<u32> = primes[..8].iter().map(|&prime| root(prime, 2)).collect();
    let mut padded = message.to_vec();
    padded.push(0x80);
    padded.resize(padded.len().next_multiple_of(64) + if padded.len() % 64 > 56 { 64 } else { 0 } - 8, 0);
    padded.extend_from_slice(&(8 * message.len() as u64).to_be_bytes());
    for block in padded.chunks_exact(64) {
        let mut w: Vec<u32> = block.chunks_exact(4).map(|b| u32::from_be_bytes([b[0], b[1], b[2], b[3]])).collect();
        for i in 16..64 {
            let s0 = w[i - 15].rotate_right(7) ^ w[i - 15].rotate_right(18) ^ w[i - 15] >> 3;
            let s1 = w[i - 2].rotate_right(17) ^ w[i - 2].rotate_right(19) ^ w[i - 2] >> 10;
            w.push(w[i - 16].wrapping_add(s0).wrapping_add(w[i - 7]).wrapping_add(s1));
        }
        let mut v = hash.clone();
        for i in 0..64 {
            let s1 = v[4].rotate_right(6) ^ v[4].rotate_right(11) ^ v[4].rotate_right(25);
            let chosen = (v[4] & v[5]) ^ (!v[4] & v[6]);
            let first = [s1, chosen, root(primes[i], 3), w[i]].iter().fold(v[7], |sum, &term| sum.wrapping_add(term));
            let s0 = v[0].rotate_right(2) ^ v[0].rotate_right(13) ^ v[0].rotate_right(22);
            let majority = (v[0] & v[1]) ^ (v[0] & v[2]) ^ (v[1] & v[2]);
            v[3] = v[3].wrapping_add(first);
            v[7] = first.wrapping_add(s0).wrapping_add(majority);
            v.rotate_right(1);
        }
        for (sum, value) in hash.iter_mut().zip(v) {
            *sum = sum.wrapping_add(value);
        }
    }
    hash.iter().flat_map(|word| word.to_be_bytes()).collect()
}
