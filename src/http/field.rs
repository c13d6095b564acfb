//! `field-line = field-name ":" OWS field-value OWS` (RFC 9112 section 5), and the names that mean something here.

use super::{Reject, Span, grammar};

/// The field names that this server acts on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum FieldName {
    /// Any other.
    #[default]
    Other,
    /// Connection
    Connection,
    /// Content-Length
    ContentLength,
    /// Expect
    Expect,
    /// Host
    Host,
    /// Transfer-Encoding
    TransferEncoding,
}

impl FieldName {
    /// Names are compared without regard to case (RFC 9110 section 5.1).
    fn of(name: &[u8]) -> Self {
        let candidate = match name.len() {
            4 => (&b"host"[..], Self::Host),
            6 => (&b"expect"[..], Self::Expect),
            10 => (&b"connection"[..], Self::Connection),
            14 => (&b"content-length"[..], Self::ContentLength),
            17 => (&b"transfer-encoding"[..], Self::TransferEncoding),
            _ => return Self::Other,
        };
        if name.eq_ignore_ascii_case(candidate.0) { candidate.1 } else { Self::Other }
    }
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
        let colon = memchr::memchr(b':', bytes).ok_or(Reject::FieldName)?;
        let (name, value) = (&bytes[..colon], grammar::trim_ows(&bytes[colon + 1..]));
        if !grammar::is_token(name) {
            return Err(Reject::FieldName);
        }
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
        assert_eq!(parse(b"Content_Length: 5"), Ok((FieldName::Other, &b"5"[..])));
        assert_eq!(parse(b"a:"), Ok((FieldName::Other, &b""[..])));
        assert_eq!(parse(b"a: \xa0\xff "), Ok((FieldName::Other, &b"\xa0\xff"[..])));
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
