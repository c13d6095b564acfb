//! The head of a response: every field that it must have, once, and none besides.

use super::answer::{Answer, Content, Value};
use super::files::Files;
use super::multipart;
use crate::config::{Cors, Site};
use crate::http::Status;
use httpdate::parse_http_date;
use std::fmt;
use std::time::Duration;

/// A head, without its last CRLF and the empty line.
#[derive(Clone)]
pub(super) struct Head {
    text: String,
}

impl fmt::Debug for Head {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{:?}", self.text)
    }
}

impl Head {
    /// Checks the form of a head, and that no field is there twice.
    pub(super) fn new(text: &str) -> Self {
        let head = Self { text: text.to_owned() };
        let mut names: Vec<_> = head.fields().map(|field| field.0.to_ascii_lowercase()).collect();
        names.sort_unstable();
        assert!(names.windows(2).all(|pair| pair[0] != pair[1]), "a field is repeated in {head:?}");
        head
    }

    pub(super) fn status(&self) -> Status {
        let line = self.text.split("\r\n").next().unwrap_or_default();
        let status = Status::ALL.iter().find(|status| status.line().strip_suffix("\r\n") == Some(line));
        *status.unwrap_or_else(|| panic!("no status line of ours: {line:?}"))
    }

    /// What stands before its fields.
    pub(super) fn status_line(&self) -> &str {
        self.text.split("\r\n").next().unwrap_or_default()
    }

    fn fields(&self) -> impl Iterator<Item = (&str, &str)> {
        let lines = self.text.split("\r\n").skip(1);
        lines.map(move |line| line.split_once(": ").unwrap_or_else(|| panic!("no field line: {line:?} in {self:?}")))
    }

    pub(super) fn value(&self, name: &str) -> Option<&str> {
        self.fields().find(|field| field.0 == name).map(|field| field.1)
    }

    /// Checks what follows from the status and the site alone, so that it holds of answers to anything.
    pub(super) fn check_status(&self, site: &Site, is_refusal: bool) {
        let status = self.status();
        let has = |name: &str| self.value(name).is_some();
        let date = self.value("Date").unwrap_or_default();
        assert!(date.len() == 29 && parse_http_date(date).is_ok(), "the Date of {self:?}");
        for (name, value) in added(site) {
            assert_eq!(self.value(name), Some(value), "{name} is added to {self:?}");
        }
        let is_content = matches!(status.code(), 200 | 206) && has("ETag");
        let is_file = is_content || status == Status::NotModified;
        let is_listing = self.is_listing();
        let is_page = is_listing && self.value("Content-Type") != Some("application/json");
        let is_part = status == Status::PartialContent
            && self.value("Content-Type").is_some_and(|media_type| !media_type.starts_with("multipart/"));
        for (name, must_be_there) in [
            ("Allow", matches!(status.code(), 204 | 405)),
            ("Retry-After", status.code() == 503),
            ("Location", status.code() == 301),
            ("Content-Type", !matches!(status.code(), 204 | 304)),
            ("Content-Range", status.code() == 416 || is_part),
            ("ETag", is_file),
            ("Last-Modified", is_content),
            ("Accept-Ranges", is_content),
            ("Cache-Control", is_file && !site.cache_control.is_empty()),
            ("Content-Security-Policy", is_page),
        ] {
            assert_eq!(has(name), must_be_there, "{name} in {self:?}");
        }
        assert!(!has("Content-Encoding") || (is_content && site.precompressed), "Content-Encoding in {self:?}");
        if !is_refusal {
            self.check_sharing(site, is_file);
            assert!(!is_listing || site.listing, "a listing where none is wanted: {self:?}");
        }
    }

    /// Whether it is of the list of a directory, which alone has a content without a length.
    pub(super) fn is_listing(&self) -> bool {
        self.status() == Status::Ok && self.value("Content-Length").is_none()
    }

    /// What is said to caches, and to scripts of other origins.
    fn check_sharing(&self, site: &Site, is_file: bool) {
        let by_coding = (is_file && site.precompressed).then_some("Accept-Encoding");
        let by_type = self.is_listing().then_some("Accept");
        let by_origin = matches!(site.cors, Cors::Origins(_)).then_some("Origin");
        let varies: Vec<_> = [by_coding, by_type, by_origin].into_iter().flatten().collect();
        let varies = varies.join(", ");
        assert_eq!(self.value("Vary"), Some(&*varies).filter(|names| !names.is_empty()), "Vary in {self:?}");
        let allowed = self.value("Access-Control-Allow-Origin");
        let may_be = match &site.cors {
            Cors::Off => allowed.is_none(),
            Cors::Any => allowed == Some("*"),
            Cors::Origins(list) => {
                allowed.is_none_or(|allowed| list.iter().any(|origin| **origin == *allowed.as_bytes()))
            }
        };
        assert!(may_be, "Access-Control-Allow-Origin in {self:?}");
    }

    /// Checks it against the answer that it must be.
    pub(super) fn check(&self, answer: &Answer, connection: Option<&str>, files: &Files) {
        let connection = connection.map(|value| ("Connection", value));
        let others: Vec<_> = added(&files.site).chain(connection).collect();
        let mut names: Vec<_> = self.fields().map(|field| field.0).collect();
        let answered = answer.fields.iter().map(|field| field.0);
        let mut expected: Vec<_> = answered.chain(others.iter().map(|field| field.0)).chain(["Date"]).collect();
        names.sort_unstable();
        expected.sort_unstable();
        assert_eq!(names, expected, "the fields of {self:?}");
        for (name, value) in others {
            assert_eq!(self.value(name), Some(value), "{name} in {self:?}");
        }
        for (name, value) in &answer.fields {
            self.check_value(self.value(name).unwrap_or_default(), value, &answer.content, files);
        }
    }

    fn check_value(&self, found: &str, value: &Value, content: &Content, files: &Files) {
        match (value, content) {
            (Value::Exactly(text), _) => assert_eq!(found, text, "in {self:?}"),
            (Value::Tag(file), _) => match files.tag(*file) {
                Some(tag) => assert_eq!(found, tag, "in {self:?}"),
                None => files.check_passing_tag(*file, found),
            },
            (Value::LastModified(file), _) => {
                let date = |text: &str| parse_http_date(text).unwrap_or_else(|_| panic!("a date in {self:?}"));
                let expected = match files.age(*file) {
                    Some(seconds) => date(self.value("Date").unwrap_or_default()) - Duration::from_secs(seconds),
                    None => {
                        let seconds = u64::try_from(files.date(*file).0).expect("a date is not before 1970");
                        std::time::UNIX_EPOCH + Duration::from_secs(seconds)
                    }
                };
                assert_eq!(date(found), expected, "Last-Modified in {self:?}");
            }
            (Value::PartsType, _) => assert!(multipart::boundary(found).is_some(), "Content-Type in {self:?}"),
            (Value::PartsLength, Content::Parts(parts)) => {
                let boundary = self.value("Content-Type").and_then(multipart::boundary).unwrap_or_default();
                assert_eq!(found, parts.length(files, boundary).to_string(), "Content-Length in {self:?}");
            }
            (Value::PartsLength, _) => panic!("only several parts have their length by their boundary"),
        }
    }
}

/// The fields that the site adds to every response.
fn added(site: &Site) -> impl Iterator<Item = (&str, &str)> {
    let fields = std::str::from_utf8(&site.fields).expect("they are ASCII");
    fields.split_terminator("\r\n").map(|line| line.split_once(": ").expect("it is a field line"))
}
