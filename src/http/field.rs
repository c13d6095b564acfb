//! `field-line = field-name ":" OWS field-value OWS` (RFC 9112 section 5), and the names that mean something here.

use super::{Reject, Span, grammar};

/// The field names that this server acts on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum FieldName {
    /// Any other.
    #[default]
    Other,
    /// Accept
    Accept,
    /// Accept-Encoding
    AcceptEncoding,
    /// Access-Control-Request-Method
    AccessControlRequestMethod,
    /// Connection
    Connection,
    /// Content-Length
    ContentLength,
    /// Expect
    Expect,
    /// Host
    Host,
    /// If-Match
    IfMatch,
    /// If-Modified-Since
    IfModifiedSince,
    /// If-None-Match
    IfNoneMatch,
    /// If-Range
    IfRange,
    /// If-Unmodified-Since
    IfUnmodifiedSince,
    /// Origin
    Origin,
    /// Range
    Range,
    /// Referer
    Referer,
    /// Transfer-Encoding
    TransferEncoding,
    /// User-Agent
    UserAgent,
}

impl FieldName {
    /// Names are compared without regard to case (RFC 9110 section 5.1).
    ///
    /// The length and the first letter leave one candidate at most, so that what means nothing here costs one look.
    fn of(name: &[u8]) -> Self {
        let first = name.first().map_or(0, u8::to_ascii_lowercase);
        let candidate = match (name.len(), first) {
            (4, b'h') => (&b"host"[..], Self::Host),
            (5, b'r') => (&b"range"[..], Self::Range),
            (6, b'a') => (&b"accept"[..], Self::Accept),
            (6, b'e') => (&b"expect"[..], Self::Expect),
            (6, b'o') => (&b"origin"[..], Self::Origin),
            (7, b'r') => (&b"referer"[..], Self::Referer),
            (8, b'i') if name.ends_with(b"h") || name.ends_with(b"H") => (&b"if-match"[..], Self::IfMatch),
            (8, b'i') => (&b"if-range"[..], Self::IfRange),
            (10, b'c') => (&b"connection"[..], Self::Connection),
            (10, b'u') => (&b"user-agent"[..], Self::UserAgent),
            (13, b'i') => (&b"if-none-match"[..], Self::IfNoneMatch),
            (14, b'c') => (&b"content-length"[..], Self::ContentLength),
            (15, b'a') => (&b"accept-encoding"[..], Self::AcceptEncoding),
            (17, b'i') => (&b"if-modified-since"[..], Self::IfModifiedSince),
            (17, b't') => (&b"transfer-encoding"[..], Self::TransferEncoding),
            (19, b'i') => (&b"if-unmodified-since"[..], Self::IfUnmodifiedSince),
            (29, b'a') => (&b"access-control-request-method"[..], Self::AccessControlRequestMethod),
            _ => return Self::Other,
        };
        if name.eq_ignore_ascii_case(candidate.0) { candidate.1 } else { Self::Other }
    }
}

/// Which of the names there are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FieldNames(u32);

impl FieldNames {
    /// These names.
    #[must_use]
    pub const fn of(names: &[FieldName]) -> Self {
        let (mut bits, mut index) = (0, 0);
        while index < names.len() {
            bits |= 1 << names[index] as u32;
            index += 1;
        }
        Self(bits)
    }

    /// Adds a name.
    pub fn insert(&mut self, name: FieldName) {
        self.0 |= 1 << name as u32;
    }

    /// Whether one of `names` is among these.
    #[must_use]
    pub fn has_any(self, names: Self) -> bool {
        self.0 & names.0 != 0
    }

    /// Whether `name` is among these.
    #[must_use]
    pub fn has(self, name: FieldName) -> bool {
        self.has_any(Self::of(&[name]))
    }
}

/// The values of the field lines called `name`, in the order they came.
pub fn values<'a>(
    fields: impl Iterator<Item = (FieldName, &'a [u8])>,
    name: FieldName,
) -> impl Iterator<Item = &'a [u8]> {
    fields.filter(move |field| field.0 == name).map(|field| field.1)
}

/// The value of the one field line called `name`; nothing where there is none, and nothing where there are several: a
/// field that is no list has one value or no valid one (RFC 9110 section 5.3).
pub fn only_value<'a>(fields: impl Iterator<Item = (FieldName, &'a [u8])>, name: FieldName) -> Option<&'a [u8]> {
    let mut lines = values(fields, name);
    let value = lines.next()?;
    lines.next().is_none().then_some(value)
}

/// One field line, taken apart. The spans count from the first byte of the request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FieldLine {
    /// What it is called.
    pub name: FieldName,
    /// The value without the white space around it.
    pub value: Span,
}

impl FieldLine {
    /// Takes apart `line`, which `request` holds and in which the scanner left no control byte but HTAB.
    ///
    /// # Errors
    /// Obsolete line folding, or a name that is not a token followed at once by a colon.
    pub fn parse(request: &[u8], line: Span) -> Result<Self, Reject> {
        let bytes = line.of(request);
        if matches!(bytes.first(), Some(b' ' | b'\t')) {
            return Err(Reject::ObsFold);
        }
        // What ends the name as a token ends it altogether, or else it is none.
        let end = bytes.iter().position(|&byte| !grammar::is(byte, grammar::TCHAR)).ok_or(Reject::FieldName)?;
        let (name, [b':', value @ ..]) = bytes.split_at(end) else { return Err(Reject::FieldName) };
        if name.is_empty() {
            return Err(Reject::FieldName);
        }
        let value = grammar::trim_ows(value);
        let value = if value.is_empty() { Span::new(line.end(), line.end()) } else { line.part(bytes, value) };
        Ok(Self { name: FieldName::of(name), value })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &[u8]) -> Result<(FieldName, &[u8]), Reject> {
        FieldLine::parse(line, Span::new(0, line.len())).map(|field| (field.name, field.value.of(line)))
    }

    #[test]
    fn names_ignore_case_and_values_lose_only_ows() {
        assert_eq!(parse(b"hOsT:\t a b \t"), Ok((FieldName::Host, &b"a b"[..])));
        assert_eq!(parse(b"Content-Length: 5"), Ok((FieldName::ContentLength, &b"5"[..])));
        assert_eq!(parse(b"Content-Lengt\x68: 5"), Ok((FieldName::ContentLength, &b"5"[..])));
        assert_eq!(parse(b"rEFERER: x"), Ok((FieldName::Referer, &b"x"[..])));
        assert_eq!(parse(b"User-agent: x"), Ok((FieldName::UserAgent, &b"x"[..])));
        assert_eq!(parse(b"Content_Length: 5"), Ok((FieldName::Other, &b"5"[..])));
        assert_eq!(parse(b"a:"), Ok((FieldName::Other, &b""[..])));
        assert_eq!(parse(b"a: \xa0\xff "), Ok((FieldName::Other, &b"\xa0\xff"[..])));
    }

    #[test]
    fn every_name_is_known_in_any_case_and_a_byte_off_is_another() {
        for (field, name) in [
            (FieldName::Accept, "Accept"),
            (FieldName::AcceptEncoding, "Accept-Encoding"),
            (FieldName::AccessControlRequestMethod, "Access-Control-Request-Method"),
            (FieldName::Connection, "Connection"),
            (FieldName::ContentLength, "Content-Length"),
            (FieldName::Expect, "Expect"),
            (FieldName::Host, "Host"),
            (FieldName::IfMatch, "If-Match"),
            (FieldName::IfModifiedSince, "If-Modified-Since"),
            (FieldName::IfNoneMatch, "If-None-Match"),
            (FieldName::IfRange, "If-Range"),
            (FieldName::IfUnmodifiedSince, "If-Unmodified-Since"),
            (FieldName::Origin, "Origin"),
            (FieldName::Range, "Range"),
            (FieldName::Referer, "Referer"),
            (FieldName::TransferEncoding, "Transfer-Encoding"),
            (FieldName::UserAgent, "User-Agent"),
        ] {
            let of = |text: &str| FieldName::of(text.as_bytes());
            assert_eq!(of(name), field);
            assert_eq!(of(&name.to_ascii_lowercase()), field, "{name}");
            assert_eq!(of(&name.to_ascii_uppercase()), field, "{name}");
            assert_eq!(of(&format!("{name}s")), FieldName::Other, "{name}");
            assert_eq!(of(&name[1..]), FieldName::Other, "{name}");
            for place in 0..name.len() {
                let mut near = name.as_bytes().to_vec();
                near[place] = b'_';
                assert_eq!(FieldName::of(&near), FieldName::Other, "{}", near.escape_ascii());
                // A bit that differs where the case does, but in a byte that is no letter.
                near[place] = name.as_bytes()[place] ^ 0x20;
                let is_letter = name.as_bytes()[place].is_ascii_alphabetic();
                assert_eq!(FieldName::of(&near) == field, is_letter, "{}", near.escape_ascii());
            }
        }
        assert_eq!(FieldName::of(b""), FieldName::Other);
    }

    #[test]
    fn values_are_those_of_one_name_in_their_order() {
        let fields = [(FieldName::Range, &b"a"[..]), (FieldName::Other, b"b"), (FieldName::Range, b"c")];
        let ranges: Vec<_> = values(fields.into_iter(), FieldName::Range).collect();
        assert_eq!(ranges, [b"a", b"c"]);
        assert_eq!(only_value(fields.into_iter(), FieldName::Other), Some(&b"b"[..]));
        assert_eq!(only_value(fields.into_iter(), FieldName::Range), None, "there are two");
        assert_eq!(only_value(fields.into_iter(), FieldName::Host), None, "there is none");
    }

    #[test]
    fn a_malformed_field_line_is_refused() {
        for (line, reject) in [
            (&b" a: b"[..], Reject::ObsFold),
            (b"\ta: b", Reject::ObsFold),
            (b"a : b", Reject::FieldName),
            (b"a\t: b", Reject::FieldName),
            (b": b", Reject::FieldName),
            (b"ab", Reject::FieldName),
            (b"a b: c", Reject::FieldName),
            (b"\x80a: b", Reject::FieldName),
            (b"a\"b\": c", Reject::FieldName),
        ] {
            assert_eq!(parse(line), Err(reject), "{}", line.escape_ascii());
        }
    }
}
