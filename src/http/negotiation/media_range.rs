//! The media-ranges of an Accept field (RFC 9110 section 12.5.1), and which of the two listings of a directory they are for.

use super::{qvalue, weight_value};
use crate::http::field::{self, FieldName};
use crate::http::grammar;

/// Whether the peer would rather have application/json than text/html, by the Accept lines as one list (RFC 9110 section
/// 12.5.1).
///
/// `Accept = #( media-range [ weight ] )`. The weight of each type is that of the most specific media-range it is in. Where
/// the weights are equal the type that is named goes first, as in `application/json, */*`; otherwise, and without an Accept,
/// HTML does.
pub fn prefers_json<'a>(fields: impl Iterator<Item = (FieldName, &'a [u8])>) -> bool {
    let (mut json, mut html) = (Best::default(), Best::default());
    for element in field::values(fields, FieldName::Accept).flat_map(|line| split_unquoted(line, b',')) {
        if let Some(range) = MediaRange::parse(element) {
            json.consider(range, b"application", b"json");
            html.consider(range, b"text", b"html");
        }
    }
    json.weight > html.weight || (json.weight == html.weight && json.is_named() && !html.is_named())
}

/// The precedence of a media-range that names the type itself.
const NAMED: u8 = 5;

/// The most specific media-range so far that a type is in, by its precedence, and its weight.
#[derive(Clone, Copy, Debug, Default)]
struct Best {
    precedence: u8,
    weight: u16,
}

impl Best {
    fn is_named(&self) -> bool {
        self.precedence >= NAMED && self.weight > 0
    }

    /// Takes the weight of `range` where it is more specific. Of two alike the first counts, as among the codings.
    fn consider(&mut self, range: MediaRange<'_>, main_type: &[u8], subtype: &[u8]) {
        let precedence = range.precedence(main_type, subtype);
        if precedence > self.precedence {
            *self = Self { precedence, weight: range.weight };
        }
    }
}

/// A media-range that can be of JSON or HTML as this server sends them.
#[derive(Clone, Copy, Debug)]
struct MediaRange<'a> {
    main_type: &'a [u8],
    subtype: &'a [u8],
    has_charset: bool,
    weight: u16,
}

impl<'a> MediaRange<'a> {
    /// `media-range = ( "*/*" / ( type "/" "*" ) / ( type "/" subtype ) ) parameters`, with the weight as the parameter "q",
    /// wherever it stands among the others.
    ///
    /// A range with a parameter is only of what has that parameter (section 12.5.1). Both answers are in UTF-8 and have no
    /// other, so every parameter but charset=utf-8, a malformed one included, makes this a range of neither: nothing.
    fn parse(element: &'a [u8]) -> Option<Self> {
        let mut parts = split_unquoted(element, b';').map(grammar::trim_ows);
        let name = parts.next()?;
        let slash = memchr::memchr(b'/', name)?;
        let (main_type, subtype) = (name.get(..slash)?, name.get(slash + 1..)?);
        if !grammar::is_token(main_type) || !grammar::is_token(subtype) {
            return None;
        }
        let (mut has_charset, mut weight) = (false, None);
        // Parameters may be empty (section 5.6.6).
        for parameter in parts.filter(|parameter| !parameter.is_empty()) {
            match weight_value(parameter) {
                Some(value) if weight.is_none() => weight = Some(qvalue(value)?),
                None if is_utf8_charset(parameter) => has_charset = true,
                _ => return None,
            }
        }
        Some(Self { main_type, subtype, has_charset, weight: weight.unwrap_or(1000) })
    }

    /// How specific the range is of a type, 0 where the type is not in it (RFC 9110 section 12.5.1): a type goes before
    /// `type/*`, that before `*/*`, and of two alike the one with a parameter before the other.
    fn precedence(self, main_type: &[u8], subtype: &[u8]) -> u8 {
        let is_of = |name: &[u8], other: &[u8]| name.eq_ignore_ascii_case(other);
        let precedence = match (self.main_type, self.subtype) {
            (b"*", b"*") => 1,
            (main, b"*") if is_of(main, main_type) => 3,
            (main, sub) if is_of(main, main_type) && is_of(sub, subtype) => NAMED,
            _ => return 0,
        };
        precedence + u8::from(self.has_charset)
    }
}

/// Whether `parameter` is charset=utf-8, quoted or not; names and charsets ignore case (RFC 9110 section 8.3.2).
fn is_utf8_charset(parameter: &[u8]) -> bool {
    [&b"charset=utf-8"[..], b"charset=\"utf-8\""].into_iter().any(|known| parameter.eq_ignore_ascii_case(known))
}

/// The parts of `value` between separators that stand in no quoted-string (RFC 9110 section 5.6.4).
///
/// A quoted-string without its end reaches to the end of `value`, and is in no element that means anything here.
fn split_unquoted(value: &[u8], separator: u8) -> impl Iterator<Item = &[u8]> {
    let (mut is_quoted, mut is_escaped) = (false, false);
    value.split(move |&byte| {
        is_quoted ^= byte == b'"' && !is_escaped;
        is_escaped = is_quoted && !is_escaped && byte == b'\\';
        byte == separator && !is_quoted
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn json(lines: &[&str]) -> bool {
        prefers_json(lines.iter().map(|line| (FieldName::Accept, line.as_bytes())))
    }

    #[test]
    fn json_is_preferred_by_rule() {
        for (rule, section, value, expected) in [
            ("empty", "12.5.1", "", false),
            ("JSON alone", "12.5.1", "application/json", true),
            ("JSON alone, least", "12.5.1", "application/json;q=0.001", true),
            ("JSON excluded", "12.4.2", "application/json;q=0", false),
            ("HTML alone", "12.5.1", "text/html", false),
            ("a tie", "12.5.1", "application/json, text/html", false),
            ("a tie by */*", "12.5.1", "*/*", false),
            ("a tie of a type and */*", "12.5.1", "application/json, text/plain, */*", true),
            ("by weight", "12.4.2", "application/json, text/html;q=0.999", true),
            ("by weight", "12.4.2", "text/html, application/json;q=0.9", false),
            ("*/* is below", "12.5.1", "application/json, */*;q=0.8", true),
            ("*/* is above", "12.5.1", "application/json;q=0.5, */*;q=0.8", false),
            ("*/* is above an excluded HTML", "12.5.1", "text/html;q=0, */*;q=0.1", true),
            ("a browser", "12.5.1", "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", false),
            ("type/*", "12.5.1", "application/*", true),
            ("type/* before */*", "12.5.1", "*/*, text/*;q=0.5", true),
            ("a type before type/*", "12.5.1", "application/*;q=0.9, application/json;q=0.1, text/html;q=0.5", false),
            ("names ignore case", "8.3.1", "APPLICATION/Json", true),
            ("another type", "12.5.1", "application/json-seq, application/vnd.a+json, text/json", false),
            ("* is no type by itself", "12.5.1", "*/json", false),
            ("OWS around the semicolon", "12.4.2", "application/json \t; Q=0.5 , text/html ;q=0.4", true),
            ("charset is one that both have", "12.5.1", "application/json; Charset=\"UTF-8\"", true),
            (
                "a parameter is more specific",
                "12.5.1",
                "text/html;charset=utf-8;q=0.1, text/html, application/json;q=0.5",
                true,
            ),
            ("a parameter that neither has", "12.5.1", "application/json;version=1", false),
            (
                "a parameter that neither has",
                "12.5.1",
                "text/html;level=1, text/html;q=0.1, application/json;q=0.5",
                true,
            ),
            ("a charset that neither has", "12.5.1", "application/json;charset=latin1", false),
            ("q among the parameters", "12.5.1", "application/json;q=0.5;charset=utf-8, text/html;q=0.4", true),
            ("empty parameters", "5.6.6", "application/json;;q=0.5;", true),
            ("a comma in quotes", "5.6.4", "text/x;a=\",application/json,\"", false),
            ("a semicolon in quotes", "5.6.4", "text/html;a=\";q=0.1\", application/json;q=0.5", true),
            ("an escaped quote", "5.6.4", "text/x;a=\"\\\",application/json,\\\\\\\"\"", false),
            ("an escaped backslash", "5.6.4", "text/x;a=\"\\\\\",application/json", true),
            ("a backslash outside quotes", "5.6.4", "text/x\\\",application/json", false),
            ("no end of the quotes", "5.6.4", "text/x;a=\",application/json", false),
            (
                "named twice, the first counts",
                "12.5.1",
                "application/json;q=0.1, application/json, text/html;q=0.5",
                false,
            ),
            ("empty elements", "5.6.1", ",, application/json,", true),
        ] {
            assert_eq!(json(&[value]), expected, "{rule} ({section}): {value}");
        }
        assert!(!json(&[]), "no field (12.5.1)");
        assert!(json(&["text/html;q=0.5", "application/json"]), "lines are one list (5.3)");
        assert!(!prefers_json([(FieldName::AcceptEncoding, &b"application/json"[..])].into_iter()), "another field");
    }

    #[test]
    fn a_malformed_media_range_is_left_out_and_no_other() {
        for element in [
            "application",
            "application/",
            "/json",
            "application/json/x",
            "application /json",
            "application/ json",
            "application/json;q=2",
            "application/json;q=",
            "application/json;q=1;q=1",
            "application/json;q=\"1\"",
            "application/json;q = 1",
            "application/json;charset = utf-8",
            "application/json;charset",
            "application/js\u{f3}n",
            "application/json text/x",
            "\"application/json\"",
        ] {
            assert!(!json(&[&format!("{element}, text/html;q=0.1")]), "{element}");
            assert!(json(&[&format!("{element}, text/html;q=0.1, application/json;q=0.2")]), "{element}");
        }
    }
}
