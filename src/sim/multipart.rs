//! The content type multipart/byteranges (RFC 9110 section 14.6), read strictly.

use super::files::Files;

/// Several parts of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Parts {
    pub(super) file: usize,
    /// The first and the last byte of each, in their order.
    pub(super) ranges: Vec<(u64, u64)>,
    pub(super) media_type: &'static str,
}

/// What has come of several parts.
#[derive(Clone, Debug, Default)]
pub(super) struct Seen {
    pub(super) ranges: Vec<(u64, u64)>,
    /// The Content-Type of each.
    media_types: Vec<String>,
    /// How much has come of the last part whose head is complete.
    last_received: u64,
    pub(super) is_complete: bool,
}

/// The boundary that a Content-Type names.
pub(super) fn boundary(content_type: &str) -> Option<&str> {
    let boundary = content_type.strip_prefix("multipart/byteranges; boundary=")?;
    // RFC 2046 section 5.1.1; of what it allows, these need no quotes.
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"'+_-.".contains(&byte);
    assert!((1..=70).contains(&boundary.len()) && boundary.bytes().all(is_plain), "the boundary {boundary:?}");
    Some(boundary)
}

impl Parts {
    /// How long the whole content is.
    pub(super) fn length(&self, files: &Files, boundary: &str) -> u64 {
        let (size, media_type) = (files.size(self.file), self.media_type);
        let mut text = String::new();
        let mut bytes = 0;
        for (first, last) in &self.ranges {
            text += &format!("\r\n--{boundary}\r\nContent-Type: {media_type}\r\n");
            text += &format!("Content-Range: bytes {first}-{last}/{size}\r\n\r\n");
            bytes += last - first + 1;
        }
        text += &format!("\r\n--{boundary}--\r\n");
        // No line ends before the first delimiter.
        text.len() as u64 - 2 + bytes
    }

    /// Checks what has come against what must come.
    pub(super) fn check(&self, seen: &Seen) {
        assert!(self.ranges.starts_with(&seen.ranges), "the parts {:?} came for {:?}", seen.ranges, self.ranges);
        assert!(!seen.is_complete || seen.ranges == self.ranges, "not all of {:?} came", self.ranges);
        let media_type = seen.media_types.iter().find(|media_type| *media_type != self.media_type);
        assert_eq!(media_type, None, "a part is not {}", self.media_type);
    }
}

/// Takes `text` off the front of `rest`. False where only a part of it has come.
fn takes(rest: &mut &[u8], text: &str) -> bool {
    let text = text.as_bytes();
    let has_come = rest.len() >= text.len();
    let (expected, found) = if has_come { (text, &rest[..text.len()]) } else { (&text[..rest.len()], *rest) };
    assert!(expected == found, "{} stands where {} must", found.escape_ascii(), text.escape_ascii());
    *rest = &rest[found.len()..];
    has_come
}

impl Seen {
    /// Reads what has come of parts of `file`, and checks every byte.
    pub(super) fn new(content: &[u8], boundary: &str, file: usize, files: &Files) -> Self {
        let mut seen = Self::default();
        let mut rest = content;
        loop {
            let line_end = if seen.ranges.is_empty() { "" } else { "\r\n" };
            if !takes(&mut rest, &format!("{line_end}--{boundary}")) {
                return seen;
            }
            if rest.starts_with(b"-") {
                assert!(!seen.ranges.is_empty(), "a multipart content without a part");
                seen.is_complete = takes(&mut rest, "--\r\n");
                assert!(rest.is_empty(), "something follows the last delimiter");
                return seen;
            }
            let Some(length) = memchr::memmem::find(rest, b"\r\n\r\n") else {
                assert!(rest.len() < 300, "the head of a part does not end");
                return seen;
            };
            let head = std::str::from_utf8(&rest[..length]).expect("the head of a part is ASCII");
            let (first, last) = seen.take_head(head, files.size(file));
            rest = &rest[length + 4..];
            let most = usize::try_from(last - first + 1).unwrap_or(usize::MAX);
            let (part, behind) = rest.split_at(most.min(rest.len()));
            assert!(Files::is_content(file, first, part), "part {first}-{last} is not that of file {file}");
            seen.last_received = part.len() as u64;
            if part.len() < most {
                return seen;
            }
            rest = behind;
        }
    }

    fn take_head(&mut self, head: &str, size: u64) -> (u64, u64) {
        let lines: Vec<_> = head.split("\r\n").collect();
        let ["", content_type, content_range] = lines[..] else { panic!("the head of a part is {head:?}") };
        let media_type = content_type.strip_prefix("Content-Type: ").expect("a part has a Content-Type");
        let range = content_range.strip_prefix("Content-Range: ").expect("a part has a Content-Range");
        let (first, last) = content_range_of(range, size);
        self.media_types.push(media_type.to_owned());
        self.ranges.push((first, last));
        (first, last)
    }

    /// Checks that no more has come of any part than the file has.
    pub(super) fn check_within(&self, left: u64) {
        let (last, whole) = self.ranges.split_last().map_or((None, &[][..]), |(last, whole)| (Some(last), whole));
        assert!(
            whole.iter().all(|range| range.1 < left),
            "a part of {:?} came though the file ends before",
            self.ranges
        );
        let end = last.map_or(0, |range| range.0 + self.last_received);
        assert!(self.last_received == 0 || end <= left, "more of {:?} came than the file has", self.ranges);
    }

    /// Whether what has come ends exactly where the file does.
    pub(super) fn ends_with_file(&self, left: u64) -> bool {
        let Some(&(first, last)) = self.ranges.last() else { return false };
        let there = left.saturating_sub(first);
        there < last - first + 1 && self.last_received == there
    }
}

/// The range that the Content-Range of a 206 names, of a file of `size` bytes.
pub(super) fn content_range_of(value: &str, size: u64) -> (u64, u64) {
    let range = value.strip_prefix("bytes ").and_then(|range| range.strip_suffix(&format!("/{size}")));
    let (first, last) =
        range.and_then(|range| range.split_once('-')).unwrap_or_else(|| panic!("Content-Range: {value}"));
    let number = |digits: &str| digits.parse::<u64>().unwrap_or_else(|_| panic!("Content-Range: {value}"));
    let (first, last) = (number(first), number(last));
    assert!(first <= last && last < size, "Content-Range: {value}");
    assert_eq!(value, format!("bytes {first}-{last}/{size}"), "the form of a Content-Range");
    (first, last)
}
