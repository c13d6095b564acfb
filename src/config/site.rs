//! What the answers of a site are made by, besides the limits: switches, and field lines prepared at start.

use crate::http::response_head::HeadWriter;
use crate::http::{Reject, grammar, target};

/// Which other origins a browser lets read the answers (Fetch Standard, "CORS protocol").
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Cors {
    /// None: nothing is said about it.
    #[default]
    Off,
    /// Any.
    Any,
    /// These, as a browser writes them in its Origin field.
    Origins(Box<[Box<[u8]>]>),
}

/// What the answers of a site are made by. The names are those of the options.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[allow(clippy::struct_excessive_bools)] // Each is an option of its own, and all combinations have a meaning.
pub struct Site {
    /// Whether a directory without an index file is answered with a list of what is in it.
    pub listing: bool,
    /// Whether names that begin with a dot are served.
    pub hidden: bool,
    /// Whether compressed files beside a file are sent in its place.
    pub precompressed: bool,
    /// Whether the root's index file answers for paths that name nothing.
    pub spa: bool,
    /// Whether files such as 404.html in the root are the content of error answers.
    pub error_pages: bool,
    /// The name of the statistics, relative to the root and without slashes at its ends.
    pub status_name: Option<Box<[u8]>>,
    /// The value of Cache-Control; empty for none.
    pub cache_control: Box<[u8]>,
    /// Field lines of every response, each with its CRLF.
    pub fields: Box<[u8]>,
    /// Which other origins may read the answers.
    pub cors: Cors,
}

/// The fields that the server writes itself, or that would change how a response is framed.
const OWN_FIELDS: &[&str] = &[
    "accept-ranges",
    "allow",
    "connection",
    "content-encoding",
    "content-length",
    "content-range",
    "content-type",
    "date",
    "etag",
    "keep-alive",
    "last-modified",
    "location",
    "proxy-connection",
    "retry-after",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "vary",
];
/// The fields that an option of their own sets.
const FIELDS_OF_OPTIONS: &[(&str, &str)] = &[
    ("access-control-allow-headers", "cors"),
    ("access-control-allow-methods", "cors"),
    ("access-control-allow-origin", "cors"),
    ("access-control-expose-headers", "cors"),
    ("access-control-max-age", "cors"),
    ("cache-control", "cache_control"),
];

/// Takes apart a field line as the option `header` has it.
///
/// # Errors
/// What is wrong with it, as the end of a sentence.
pub(super) fn field_line(text: &str) -> Result<(&str, &str), String> {
    let Some((name, value)) = text.split_once(':') else {
        return Err("it takes field lines of the form \"Name: value\"".into());
    };
    let value = value.trim_matches([' ', '\t']);
    if !grammar::is_token(name.as_bytes()) {
        return Err(format!("the name {name:?} is not a token (RFC 9110 section 5.1)"));
    }
    if !grammar::all(value.as_bytes(), grammar::FIELD_CONTENT) {
        return Err("the value has a control byte (RFC 9110 section 5.5)".into());
    }
    let lower = name.to_ascii_lowercase();
    if OWN_FIELDS.contains(&lower.as_str()) {
        return Err(format!("the server writes {name} itself"));
    }
    if let Some((_, option)) = FIELDS_OF_OPTIONS.iter().find(|(field, _)| *field == lower) {
        return Err(format!("{name} has an option of its own, {option}"));
    }
    Ok((name, value))
}

/// Reads the value of the option `cors`.
///
/// # Errors
/// What is wrong with it, as the end of a sentence.
pub(super) fn origins(text: &str) -> Result<Cors, String> {
    let list: Vec<&str> = text.split([' ', ',']).filter(|origin| !origin.is_empty()).collect();
    match list[..] {
        ["off"] => return Ok(Cors::Off),
        ["*" | "on"] => return Ok(Cors::Any),
        _ => {}
    }
    if list.is_empty() || !list.iter().all(|origin| is_origin(origin)) {
        return Err("it takes off, * for any origin, or a list of origins such as https://example.org".into());
    }
    Ok(Cors::Origins(list.into_iter().map(|origin| origin.as_bytes().into()).collect()))
}

/// `scheme "://" host [ ":" port ]` or `null` (RFC 6454 section 7.1).
fn is_origin(text: &str) -> bool {
    let Some((scheme, host)) = text.split_once("://") else { return text == "null" };
    let is_scheme = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'-' | b'.');
    !scheme.is_empty() && scheme.bytes().all(is_scheme) && crate::http::host::is_host_and_port(host.as_bytes())
}

/// Reads the value of the option `status_path`: the name that its path decodes to.
///
/// # Errors
/// What is wrong with it, as the end of a sentence.
pub(super) fn status_name(path: &str) -> Result<Box<[u8]>, String> {
    let expected = "it takes none or a path such as /status";
    if !path.starts_with('/') {
        return Err(expected.into());
    }
    let mut name = vec![0; path.len()];
    let decoded = target::decode_path(path.as_bytes(), &mut name);
    let length = decoded.map_err(|reject| match reject {
        Reject::RequestTarget => expected,
        reject => reject.text(),
    })?;
    let name = name[..length].strip_suffix(b"/").unwrap_or(&name[..length]);
    if name.is_empty() { Err(expected.into()) } else { Ok(name.into()) }
}

impl Cors {
    /// What Access-Control-Allow-Origin answers to a request of this origin.
    #[must_use]
    pub fn allowed(&self, origin: Option<&[u8]>) -> Option<&[u8]> {
        match self {
            Self::Off => None,
            Self::Any => Some(b"*"),
            Self::Origins(list) => list.iter().map(|allowed| &**allowed).find(|allowed| Some(*allowed) == origin),
        }
    }

    /// Whether the answer depends on the Origin field.
    #[must_use]
    pub fn varies(&self) -> bool {
        matches!(self, Self::Origins(_))
    }
}

/// What scripts of another origin may read besides the few fields that they always may (Fetch Standard, "CORS-safelisted
/// response-header name").
const EXPOSED: &[u8] = b"Accept-Ranges, Content-Encoding, Content-Length, Content-Range, Date, ETag";

impl Site {
    /// Writes the fields that every response has because of these options: those for the scripts of this other origin, and the
    /// operator's own.
    pub fn put_fields(&self, head: &mut HeadWriter<'_>, allowed_origin: Option<&[u8]>) {
        if let Some(origin) = allowed_origin {
            head.field("Access-Control-Allow-Origin", origin);
            head.field("Access-Control-Expose-Headers", EXPOSED);
        }
        head.put(&self.fields);
    }

    /// The most bytes that these options add to a head.
    #[must_use]
    pub fn head_bytes(&self) -> usize {
        let longest_origin = match &self.cors {
            Cors::Off => 0,
            Cors::Any => 1,
            Cors::Origins(list) => list.iter().map(|origin| origin.len()).max().unwrap_or(0),
        };
        self.fields.len() + self.cache_control.len() + longest_origin
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn field_lines_are_checked() {
        assert_eq!(field_line("X-Frame-Options: DENY"), Ok(("X-Frame-Options", "DENY")));
        assert_eq!(field_line("a:"), Ok(("a", "")));
        for (text, message) in [
            ("X-A", "it takes field lines of the form \"Name: value\""),
            ("X A: b", "the name \"X A\" is not a token (RFC 9110 section 5.1)"),
            (": b", "the name \"\" is not a token (RFC 9110 section 5.1)"),
            ("X-A: b\r\nX-B: c", "the value has a control byte (RFC 9110 section 5.5)"),
            ("X-A: \0", "the value has a control byte (RFC 9110 section 5.5)"),
            ("content-LENGTH: 5", "the server writes content-LENGTH itself"),
            ("Transfer-Encoding: chunked", "the server writes Transfer-Encoding itself"),
            ("Cache-Control: no-store", "Cache-Control has an option of its own, cache_control"),
            ("Access-Control-Allow-Origin: *", "Access-Control-Allow-Origin has an option of its own, cors"),
        ] {
            assert_eq!(field_line(text), Err(message.to_owned()), "{text:?}");
        }
    }

    #[test]
    fn origins_are_read_and_compared() {
        assert_eq!(origins("off"), Ok(Cors::Off));
        assert_eq!(origins("*"), Ok(Cors::Any));
        let list = origins("https://a.example, http://localhost:3000 null").expect("it is right");
        assert_eq!(list.allowed(Some(b"http://localhost:3000")), Some(&b"http://localhost:3000"[..]));
        assert_eq!(list.allowed(Some(b"http://localhost")), None);
        assert_eq!(list.allowed(None), None);
        assert_eq!(Cors::Any.allowed(None), Some(&b"*"[..]));
        for wrong in ["", " ", "a.example", "https://a.example/", "https://", "*, https://a.example", "https://u@a"] {
            assert!(origins(wrong).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn a_status_path_is_decoded() {
        for (path, name) in [("/status", &b"status"[..]), ("/a/%73tatus/", b"a/status"), ("//x", b"x")] {
            assert_eq!(status_name(path).as_deref(), Ok(name), "{path}");
        }
        for wrong in ["status", "", "/", "/..", "/a%00"] {
            assert!(status_name(wrong).is_err(), "{wrong:?}");
        }
    }
}
