//! From what somebody asks for to an answer that can be given: everything is checked here, before the loop knows of it.

use super::pattern::{Pattern, Query};
use super::{Canned, CannedHead, Pace};
use crate::http::{Status, grammar, target};
use std::fmt;
use std::sync::Arc;

/// What is to be answered, as it was asked for.
#[derive(Clone, Debug)]
pub struct Registration {
    /// The path in a URL; a star at its end stands for whatever follows, and a query must be the request's own. What a client has
    /// to encode may be as it is.
    pub path: String,
    /// The method; none where any will do.
    pub method: Option<String>,
    /// The status code, 200 to 999.
    pub status: u16,
    /// The reason phrase; none for the one that goes with the status.
    pub reason: Option<String>,
    /// The field lines. Content-Length, Date and Connection are added where they are not among them.
    pub fields: Vec<(String, String)>,
    /// The content.
    pub content: Vec<u8>,
    /// Whether the content is all that is sent, without a head.
    pub is_raw: bool,
    /// How often it is given; none for ever.
    pub times: Option<u64>,
    /// When what is sent.
    pub pace: Pace,
}

/// What is wrong with a registration, with the name of the argument.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RegistrationError {
    /// The argument.
    pub argument: &'static str,
    /// What is wrong with it, and what would be right.
    pub reason: String,
}

impl fmt::Display for RegistrationError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}: {}", self.argument, self.reason)
    }
}

fn wrong<T>(argument: &'static str, reason: impl Into<String>) -> Result<T, RegistrationError> {
    Err(RegistrationError { argument, reason: reason.into() })
}

/// The phrases of the codes that this server never sends by itself (the registry of status codes).
const REASONS: [(u16, &str); 38] = [
    (201, "Created"),
    (202, "Accepted"),
    (203, "Non-Authoritative Information"),
    (205, "Reset Content"),
    (207, "Multi-Status"),
    (208, "Already Reported"),
    (226, "IM Used"),
    (300, "Multiple Choices"),
    (302, "Found"),
    (303, "See Other"),
    (305, "Use Proxy"),
    (307, "Temporary Redirect"),
    (308, "Permanent Redirect"),
    (401, "Unauthorized"),
    (402, "Payment Required"),
    (406, "Not Acceptable"),
    (407, "Proxy Authentication Required"),
    (409, "Conflict"),
    (410, "Gone"),
    (411, "Length Required"),
    (415, "Unsupported Media Type"),
    (418, "I'm a teapot"),
    (421, "Misdirected Request"),
    (422, "Unprocessable Content"),
    (423, "Locked"),
    (424, "Failed Dependency"),
    (425, "Too Early"),
    (426, "Upgrade Required"),
    (428, "Precondition Required"),
    (429, "Too Many Requests"),
    (451, "Unavailable For Legal Reasons"),
    (502, "Bad Gateway"),
    (504, "Gateway Timeout"),
    (506, "Variant Also Negotiates"),
    (508, "Loop Detected"),
    (509, "Bandwidth Limit Exceeded"),
    (510, "Not Extended"),
    (511, "Network Authentication Required"),
];

fn reason_of(code: u16) -> &'static str {
    let own = Status::of_code(code).and_then(|status| status.text().split_once(' ')).map(|(_, reason)| reason);
    let other = || REASONS.iter().find(|(other, _)| *other == code).map(|(_, reason)| *reason);
    own.or_else(other).unwrap_or_default()
}

impl Registration {
    /// 200 without content for that path.
    #[must_use]
    pub fn new(path: &str) -> Self {
        Self {
            path: path.to_owned(),
            method: None,
            status: 200,
            reason: None,
            fields: Vec::new(),
            content: Vec::new(),
            is_raw: false,
            times: None,
            pace: Pace::default(),
        }
    }

    /// The answer that comes of it, whose head has so much room in the send buffer beside what every head has.
    ///
    /// # Errors
    /// The first thing that is wrong.
    pub fn check(self, head_room: usize) -> Result<Canned, RegistrationError> {
        let pattern = self.pattern()?;
        if self.times == Some(0) {
            return wrong("times", "0 answers are none; it takes at least 1, or None for as many as are asked for");
        }
        let head = if self.is_raw { None } else { Some(self.head()?) };
        let (status_line, fields) = head.as_ref().map_or((0, 0), |head| (head.status_line.len(), head.fields.len()));
        let length = status_line + fields;
        if length > head_room {
            let argument = if status_line > head_room { "reason" } else { "headers" };
            return wrong(argument, format!("{length} bytes; the send buffer has room for {head_room} (buffer_size)"));
        }
        Ok(Canned {
            pattern,
            code: if self.is_raw { 0 } else { self.status },
            head,
            content: self.content.into_boxed_slice(),
            pace: self.pace,
            limit: self.times.unwrap_or(u64::MAX),
            served: Arc::default(),
        })
    }

    fn pattern(&self) -> Result<Pattern, RegistrationError> {
        let shown = &self.path;
        let (path, query) = self.path.split_once('?').map_or((&*self.path, None), |(path, query)| (path, Some(query)));
        if path == "*" {
            return wrong(
                "path",
                "\"*\" is for OPTIONS alone, and answered by the server itself; \"/*\" is every path",
            );
        }
        if !path.starts_with('/') || shown.contains('#') {
            return wrong("path", format!("{shown:?} is no path: it begins with a slash and has no fragment"));
        }
        let (path, is_prefix) = path.strip_suffix('*').map_or((path, false), |path| (path, true));
        // What no client may send as it is, the path may have: it is compared decoded. Something follows a beginning, so that dots at
        // its end are no dot-segment.
        let follows = is_prefix.then_some(b'x');
        let encoded: Vec<_> = path.bytes().chain(follows).flat_map(encoded).collect();
        let mut decoded = vec![0; encoded.len()];
        match target::decode_path(&encoded, &mut decoded) {
            Ok(length) => decoded.truncate(length - usize::from(is_prefix)),
            Err(reject) => {
                let reason = reject.text();
                return wrong("path", format!("{shown:?} is refused before any answer is looked for: {reason}"));
            }
        }
        if let Some(method) = &self.method
            && !grammar::is_token(method.as_bytes())
        {
            return wrong("method", format!("{method:?} is no token (RFC 9110 section 9.1)"));
        }
        if self.method.as_deref() == Some("CONNECT") {
            let reason =
                "CONNECT asks for a host and a port, never for a path (RFC 9110 section 9.3.6); the server refuses it";
            return wrong("method", reason);
        }
        Ok(Pattern {
            method: self.method.as_ref().map(|method| method.as_bytes().into()),
            path: decoded.into_boxed_slice(),
            is_prefix,
            query: query.map(|query| Query::new(query.as_bytes())),
        })
    }

    fn head(&self) -> Result<CannedHead, RegistrationError> {
        let status = self.status;
        if !(200..=999).contains(&status) {
            return wrong(
                "status",
                format!("{status} is not within 200 to 999; what else is to be sent goes as raw bytes"),
            );
        }
        if matches!(status, 204 | 304) && !self.content.is_empty() {
            let reason =
                format!("a {status} has none (RFC 9110 section 6.4.1); what else is to be sent goes as raw bytes");
            return wrong("content", reason);
        }
        let phrase = self.reason.as_deref().unwrap_or_else(|| reason_of(status));
        if grammar::find_control(phrase.as_bytes()).is_some() {
            return wrong("reason", format!("{phrase:?} has a control character"));
        }
        let mut head = CannedHead {
            status_line: format!("HTTP/1.1 {status} {phrase}\r\n").into_bytes().into_boxed_slice(),
            ..CannedHead::default()
        };
        let mut fields = Vec::new();
        let (mut has_length, mut has_type) = (matches!(status, 204 | 304), self.content.is_empty());
        for (name, value) in &self.fields {
            if !grammar::is_token(name.as_bytes()) {
                return wrong("headers", format!("{name:?} is no field name (RFC 9110 section 5.1)"));
            }
            if grammar::find_control(value.as_bytes()).is_some() || value.trim_matches([' ', '\t']) != value {
                let reason = "has a control character, or white space around it (RFC 9110 section 5.5)";
                return wrong("headers", format!("the value {value:?} of {name} {reason}"));
            }
            match () {
                () if name.eq_ignore_ascii_case("Content-Length") => has_length = true,
                () if name.eq_ignore_ascii_case("Transfer-Encoding") => has_length = true,
                () if name.eq_ignore_ascii_case("Content-Type") => has_type = true,
                () if name.eq_ignore_ascii_case("Date") => head.has_date = true,
                () if name.eq_ignore_ascii_case("Connection") => {
                    head.has_connection = true;
                    let mut options = grammar::list_elements(value.as_bytes());
                    head.closes |= options.any(|option| option.eq_ignore_ascii_case(b"close"));
                }
                () => {}
            }
            fields.extend_from_slice(format!("{name}: {value}\r\n").as_bytes());
        }
        if !has_type {
            fields.extend_from_slice(b"Content-Type: application/octet-stream\r\n");
        }
        if !has_length {
            fields.extend_from_slice(format!("Content-Length: {}\r\n", self.content.len()).as_bytes());
        }
        head.fields = fields.into_boxed_slice();
        Ok(head)
    }
}

/// A byte as a URL has it.
fn encoded(byte: u8) -> Vec<u8> {
    if grammar::is(byte, grammar::PATH) { vec![byte] } else { format!("%{byte:02X}").into_bytes() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(change: impl FnOnce(&mut Registration)) -> String {
        let mut registration = Registration::new("/a");
        change(&mut registration);
        registration.check(500).map(|_| ()).expect_err("something is wrong").to_string()
    }

    fn field(name: &str, value: &str) -> Vec<(String, String)> {
        vec![(name.into(), value.into())]
    }

    #[test]
    fn what_is_wrong_is_told_with_what_would_be_right() {
        for (told, expected) in [
            (
                error(|wrong| wrong.path = "a".into()),
                "path: \"a\" is no path: it begins with a slash and has no fragment",
            ),
            (error(|wrong| wrong.path = "/a#b".into()), "path: \"/a#b\" is no path"),
            (error(|wrong| wrong.path = "/a?b#c".into()), "path: \"/a?b#c\" is no path"),
            (error(|wrong| wrong.path = "*".into()), "path: \"*\" is for OPTIONS alone"),
            (error(|wrong| wrong.method = Some("CONNECT".into())), "method: CONNECT asks for a host and a port"),
            (error(|wrong| wrong.path = "/%zz".into()), "path: \"/%zz\" is refused before any answer is looked for:"),
            (error(|wrong| wrong.path = "/../a".into()), "path: \"/../a\" is refused before any answer is looked for:"),
            (error(|wrong| wrong.method = Some("G T".into())), "method: \"G T\" is no token"),
            (error(|wrong| wrong.status = 199), "status: 199 is not within 200 to 999"),
            (error(|wrong| wrong.times = Some(0)), "times: 0 answers are none"),
            (error(|wrong| (wrong.status, wrong.content) = (204, vec![1])), "content: a 204 has none"),
            (error(|wrong| wrong.reason = Some("a\r\nb".into())), "reason: \"a\\r\\nb\" has a control character"),
            (error(|wrong| wrong.fields = field("a b", "c")), "headers: \"a b\" is no field name"),
            (error(|wrong| wrong.fields = field("a", "b\nc: d")), "headers: the value \"b\\nc: d\" of a has a control"),
            (error(|wrong| wrong.fields = field("a", " b")), "headers: the value \" b\" of a has"),
            (
                error(|wrong| wrong.reason = Some("a".repeat(500))),
                "reason: 534 bytes; the send buffer has room for 500",
            ),
            (
                error(|wrong| wrong.fields = field("a", &"b".repeat(500))),
                "headers: 541 bytes; the send buffer has room for 500",
            ),
        ] {
            assert!(told.starts_with(expected), "{told}");
        }
    }

    #[test]
    fn a_head_has_what_was_asked_for_and_what_it_needs() {
        let head = |change: fn(&mut Registration)| {
            let mut registration = Registration::new("/a");
            change(&mut registration);
            let canned = registration.check(500).expect("it is in order");
            let head = canned.head().expect("it has one");
            (String::from_utf8_lossy(&[&*head.status_line, &*head.fields].concat()).into_owned(), head.closes)
        };
        assert_eq!(head(|_| {}).0, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n");
        assert_eq!(head(|asked| asked.status = 204).0, "HTTP/1.1 204 No Content\r\n");
        assert_eq!(head(|asked| asked.status = 799).0, "HTTP/1.1 799 \r\nContent-Length: 0\r\n");
        let (text, closes) = head(|asked| {
            asked.status = 429;
            asked.content = b"slow".to_vec();
            asked.fields = [field("connection", "x, Close"), field("content-length", "9"), field("X", "é")].concat();
        });
        assert_eq!(
            text,
            "HTTP/1.1 429 Too Many Requests\r\nconnection: x, Close\r\ncontent-length: 9\r\nX: é\r\n\
             Content-Type: application/octet-stream\r\n"
        );
        assert!(closes);
    }

    #[test]
    fn every_phrase_is_of_a_code_that_the_server_has_none_for() {
        for (code, reason) in REASONS {
            assert_eq!(Status::of_code(code), None);
            assert_eq!(reason_of(code), reason);
        }
        assert_eq!((reason_of(404), reason_of(299)), ("Not Found", ""));
    }
}
