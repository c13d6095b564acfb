//! What the head says of the message around it: how its content is delimited, and whether the connection persists.
//!
//! Everything that decides where the next request begins is decided here, once, from the whole field table (RFC 9112 sections
//! 6.3 and 9.3). What two implementations could read differently is refused.

use super::field::{FieldLine, FieldName, FieldNames};
use super::{Reject, Version, grammar, host};

/// How the content of a request is delimited (RFC 9112 section 6.3).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ContentLength {
    /// There is none.
    #[default]
    None,
    /// So many bytes, at least one.
    Bytes(u64),
    /// The chunked transfer coding.
    Chunked,
}

/// What the head says of its message.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Framing {
    /// How the content is delimited.
    pub content: ContentLength,
    /// Whether the peer lets the connection persist.
    pub persistent: bool,
    /// Whether the peer waits for 100 (Continue) before it sends content.
    pub expects_continue: bool,
    /// Whether the peer expects something that cannot be met.
    pub unmet_expectation: bool,
}

impl Framing {
    /// Reads the framing of a request out of all its field lines, whose names are `names`.
    ///
    /// # Errors
    /// Whatever is ambiguous, malformed or over `max_content` bytes.
    pub fn of<'a>(
        request: &[u8],
        version: Version,
        names: FieldNames,
        fields: impl Iterator<Item = &'a FieldLine> + Clone,
        max_content: u64,
    ) -> Result<Self, Reject> {
        // Most heads have few of the names that are asked for here.
        let values = |name: FieldName| {
            let most = if names.has(name) { usize::MAX } else { 0 };
            fields.clone().take(most).filter(move |field| field.name == name).map(|field| field.value.of(request))
        };
        check_host(version, values(FieldName::Host))?;
        let mut framing = Self { persistent: persists(version, values(FieldName::Connection)), ..Self::default() };
        framing.content = content_length(version, &values, max_content)?;
        for value in values(FieldName::Expect) {
            if !value.eq_ignore_ascii_case(b"100-continue") {
                framing.unmet_expectation = true;
            } else if version == Version::Http11 && framing.content != ContentLength::None {
                // A 100-continue of HTTP/1.0, or with nothing to continue with, is ignored (RFC 9110 section 10.1.1).
                framing.expects_continue = true;
            }
        }
        Ok(framing)
    }
}

/// One Host field line of the right form; HTTP/1.0 may go without (RFC 9112 section 3.2).
fn check_host<'a>(version: Version, mut hosts: impl Iterator<Item = &'a [u8]>) -> Result<(), Reject> {
    match (hosts.next(), hosts.next()) {
        (None, _) if version == Version::Http10 => Ok(()),
        (None, _) => Err(Reject::HostMissing),
        (Some(_), Some(_)) => Err(Reject::HostRepeated),
        (Some(value), None) if host::is_host_and_port(value) => Ok(()),
        (Some(_), None) => Err(Reject::HostInvalid),
    }
}

/// All Connection lines are one list of tokens; `close` wins (RFC 9112 section 9.3).
fn persists<'a>(version: Version, lines: impl Iterator<Item = &'a [u8]>) -> bool {
    let mut keep_alive = false;
    for option in lines.flat_map(grammar::list_elements) {
        if option.eq_ignore_ascii_case(b"close") {
            return false;
        }
        keep_alive |= option.eq_ignore_ascii_case(b"keep-alive");
    }
    keep_alive || version == Version::Http11
}

fn content_length<'a, Values: Iterator<Item = &'a [u8]>>(
    version: Version,
    values: &impl Fn(FieldName) -> Values,
    max_content: u64,
) -> Result<ContentLength, Reject> {
    let mut lengths = values(FieldName::ContentLength);
    let (length, second) = (lengths.next(), lengths.next());
    if values(FieldName::TransferEncoding).next().is_some() {
        if length.is_some() {
            return Err(Reject::LengthAmbiguous);
        }
        if version == Version::Http10 {
            return Err(Reject::TransferEncodingInHttp10);
        }
        return transfer_encoding(values(FieldName::TransferEncoding));
    }
    if second.is_some() {
        return Err(Reject::ContentLengthRepeated);
    }
    let Some(digits) = length else { return Ok(ContentLength::None) };
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return Err(Reject::ContentLengthInvalid);
    }
    // Saturating: a length that does not fit is over every limit.
    let bytes = digits.iter().fold(0_u64, |sum, digit| sum.saturating_mul(10).saturating_add(u64::from(digit - b'0')));
    match bytes {
        0 => Ok(ContentLength::None),
        bytes if bytes > max_content => Err(Reject::ContentTooLarge),
        bytes => Ok(ContentLength::Bytes(bytes)),
    }
}

/// `Transfer-Encoding = #transfer-coding`, all lines together; chunked once and last (RFC 9112 section 6.1).
fn transfer_encoding<'a>(lines: impl Iterator<Item = &'a [u8]>) -> Result<ContentLength, Reject> {
    let mut chunked = 0;
    let mut another = false;
    for value in lines {
        // An empty line or element is legal in a list, and still a sign of somebody trying; doubt means no.
        for coding in value.split(|&byte| byte == b',').map(grammar::trim_ows) {
            let name = grammar::trim_ows(coding.split(|&byte| byte == b';').next().unwrap_or_default());
            if !grammar::is_token(name) || chunked > 0 {
                return Err(Reject::TransferEncodingInvalid);
            }
            if name.eq_ignore_ascii_case(b"chunked") {
                if name.len() != coding.len() {
                    return Err(Reject::TransferEncodingInvalid);
                }
                chunked += 1;
            } else {
                another = true;
            }
        }
    }
    if another { Err(Reject::TransferCodingUnknown) } else { Ok(ContentLength::Chunked) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(fields: &[FieldLine]) -> FieldNames {
        let mut names = FieldNames::default();
        fields.iter().for_each(|field| names.insert(field.name));
        names
    }
    use crate::http::Span;

    /// The framing of a header section, with a valid Host unless it names one.
    fn framing(version: Version, lines: &[&str]) -> Result<Framing, Reject> {
        let mut text = String::new();
        let mut spans = Vec::new();
        let has_host = lines.iter().any(|line| line.to_ascii_lowercase().starts_with("host"));
        for line in lines.iter().copied().chain((!has_host).then_some("Host: a")) {
            spans.push(Span::new(text.len(), text.len() + line.len()));
            text.push_str(line);
        }
        let fields: Vec<_> = spans
            .into_iter()
            .map(|span| FieldLine::parse(text.as_bytes(), span).expect("the line is well formed"))
            .collect();
        Framing::of(text.as_bytes(), version, names(&fields), fields.iter(), 1 << 20)
    }

    fn content(lines: &[&str]) -> Result<ContentLength, Reject> {
        framing(Version::Http11, lines).map(|framing| framing.content)
    }

    #[test]
    fn content_length_is_digits_once() {
        assert_eq!(content(&[]), Ok(ContentLength::None));
        assert_eq!(content(&["Content-Length: 0"]), Ok(ContentLength::None));
        assert_eq!(content(&["Content-Length: 0005"]), Ok(ContentLength::Bytes(5)));
        assert_eq!(content(&["Content-Length: 1048576"]), Ok(ContentLength::Bytes(1 << 20)));
        for large in ["1048577", "99999999999", "18446744073709551616", "99999999999999999999999999"] {
            assert_eq!(content(&[&format!("Content-Length: {large}")]), Err(Reject::ContentTooLarge), "{large}");
        }
        for bad in ["", "+5", "-1", "0x5", "1_0", "5,5", "5 5", "5.0", "5;", "\u{ff15}", "1e1"] {
            assert_eq!(content(&[&format!("Content-Length: {bad}")]), Err(Reject::ContentLengthInvalid), "{bad}");
        }
        assert_eq!(content(&["Content-Length: 5", "content-length: 5"]), Err(Reject::ContentLengthRepeated));
    }

    #[test]
    fn transfer_encoding_is_chunked_once_and_last() {
        assert_eq!(content(&["Transfer-Encoding: Chunked"]), Ok(ContentLength::Chunked));
        for bad in [
            "chunked, chunked",
            "chunked, gzip",
            "",
            ",chunked",
            "chunked,",
            "chunked;a=b",
            "\"chunked\"",
            "x y",
            "chunked\u{b}",
        ] {
            let line = format!("Transfer-Encoding: {bad}");
            assert_eq!(content(&[&line]), Err(Reject::TransferEncodingInvalid), "{bad}");
        }
        for unknown in ["gzip", "gzip, chunked", "identity", "xchunked"] {
            let line = format!("Transfer-Encoding: {unknown}");
            assert_eq!(content(&[&line]), Err(Reject::TransferCodingUnknown), "{unknown}");
        }
        let two = ["Transfer-Encoding: chunked", "Transfer-Encoding: chunked"];
        assert_eq!(content(&two), Err(Reject::TransferEncodingInvalid));
        assert_eq!(content(&["Transfer-Encoding: chunked", "Content-Length: 5"]), Err(Reject::LengthAmbiguous));
        assert_eq!(framing(Version::Http10, &["Transfer-Encoding: chunked"]), Err(Reject::TransferEncodingInHttp10));
    }

    #[test]
    fn host_is_there_once_and_valid() {
        assert_eq!(framing(Version::Http11, &["Host: "]), Err(Reject::HostInvalid));
        assert_eq!(framing(Version::Http11, &["Host: a", "hOST: a"]), Err(Reject::HostRepeated));
        assert_eq!(framing(Version::Http10, &["Host: a b"]), Err(Reject::HostInvalid));
        assert_eq!(Framing::of(b"", Version::Http11, names(&[]), [].iter(), 0), Err(Reject::HostMissing));
        assert!(Framing::of(b"", Version::Http10, names(&[]), [].iter(), 0).is_ok());
    }

    #[test]
    fn connection_is_a_list_of_tokens() {
        let persists = |version, lines: &[&str]| framing(version, lines).expect("well framed").persistent;
        assert!(persists(Version::Http11, &[]));
        assert!(!persists(Version::Http10, &[]));
        assert!(persists(Version::Http10, &["Connection: Keep-Alive"]));
        assert!(!persists(Version::Http11, &["Connection: keep-alive, CLOSE"]));
        assert!(!persists(Version::Http11, &["Connection: x", "Connection: close"]));
        assert!(persists(Version::Http11, &["Connection: closed, x-close"]));
        assert!(!persists(Version::Http10, &["Connection: keep-alive", "Connection: close"]));
    }

    #[test]
    fn expectations() {
        let of = |version, lines: &[&str]| {
            let framing = framing(version, lines).expect("well framed");
            (framing.expects_continue, framing.unmet_expectation)
        };
        assert_eq!(of(Version::Http11, &["Expect: 100-Continue", "Content-Length: 5"]), (true, false));
        assert_eq!(of(Version::Http11, &["Expect: 100-continue"]), (false, false));
        assert_eq!(of(Version::Http10, &["Expect: 100-continue", "Content-Length: 5"]), (false, false));
        assert_eq!(of(Version::Http11, &["Expect: 200-ok"]), (false, true));
        assert_eq!(of(Version::Http11, &["Expect: 100-continue, x"]), (false, true));
    }
}
