//! Request-targets, and what the document root has for each: the model's view, apart from how the server finds it.

use super::files::{Files, Kind};
use super::random::Random;
use crate::connection::OpenError;
use crate::http::Status;
use crate::http::negotiation::Coding;

/// A request-target.
#[derive(Clone, Debug)]
pub(super) struct Case {
    pub(super) target: String,
    /// The part of it that is the path, in bytes.
    pub(super) path_length: usize,
    /// What the path means, with a final slash where that is a directory.
    pub(super) name: String,
    /// Where a directory without its slash is redirected to.
    pub(super) location: String,
    /// Its query asks for JSON.
    pub(super) wants_json: bool,
}

/// What a GET of a name comes to before its conditions and ranges.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    File {
        id: usize,
        coding: Option<Coding>,
        media_type: &'static str,
        /// The root's index file answers for a name that is not there.
        is_fallback: bool,
    },
    /// The list of a directory.
    Listing(usize),
    Redirect,
    Health,
    Error(Status),
}

/// Queries, and whether they ask for JSON.
const QUERIES: &[(&str, bool)] = &[
    ("?a=b&c", false),
    ("?format=json", true),
    ("?&a=b&format=json&format=html", true),
    ("?format=JSON", false),
    ("?format=json5&xformat=json", false),
    ("?", false),
];

/// The Content-Type of a file of this name.
fn media_type(name: &str) -> &'static str {
    match name.rsplit_once('.').map_or("", |(_, extension)| extension) {
        "txt" => "text/plain; charset=utf-8",
        "html" => "text/html; charset=utf-8",
        "css" => "text/css; charset=utf-8",
        "png" => "image/png",
        "pptx" => "application/vnd.openxmlformats-officedocument.presentationml.presentation",
        "gz" => "application/gzip",
        _ => "application/octet-stream",
    }
}

/// Whether a name has a part that begins with a dot, RFC 8615's directory at the root aside.
fn is_hidden(name: &str) -> bool {
    name.split('/').enumerate().any(|(index, part)| part.starts_with('.') && !(index == 0 && part == ".well-known"))
}

impl Files {
    /// What a GET for the decoded name is answered with, where these codings are accepted.
    pub(super) fn outcome(&self, name: &str, codings: &[Coding]) -> Outcome {
        if let Some(status_name) = &self.site.status_name
            && let Some(below) = name.strip_prefix(std::str::from_utf8(status_name).expect("it is ASCII"))
            && below.starts_with('/')
        {
            return if below == "/health" { Outcome::Health } else { Outcome::Error(Status::NotFound) };
        }
        if is_hidden(name) && !self.site.hidden {
            return Outcome::Error(Status::NotFound);
        }
        let names_directory = name.is_empty() || name.ends_with('/');
        let opened = if names_directory { format!("{name}index.html") } else { name.to_owned() };
        match self.find(opened.as_bytes()) {
            Some((_, Kind::Directory)) if !names_directory => Outcome::Redirect,
            None if names_directory && self.site.listing => self.outcome_of_directory(name, codings),
            None | Some((_, Kind::Directory)) => self.outcome_of_nothing(name, codings),
            Some((_, Kind::Fails(error))) => Outcome::Error(status_of(error)),
            Some((id, Kind::File { .. })) => self.outcome_of_file(&opened, id, codings, false),
        }
    }

    fn outcome_of_file(&self, name: &str, id: usize, codings: &[Coding], is_fallback: bool) -> Outcome {
        let codings = if self.site.precompressed { codings } else { &[] };
        let beside = codings.iter().find_map(|&coding| Some((self.sidecar(name.as_bytes(), coding)?, coding)));
        let (id, coding) = beside.map_or((id, None), |(id, coding)| (id, Some(coding)));
        Outcome::File { id, coding, media_type: media_type(name), is_fallback }
    }

    /// There is no index file in the directory that is named.
    fn outcome_of_directory(&self, name: &str, codings: &[Coding]) -> Outcome {
        match self.find(if name.is_empty() { b"." } else { name.as_bytes() }) {
            Some((id, Kind::Directory)) => Outcome::Listing(id),
            Some((_, Kind::Fails(error))) if error != OpenError::NotFound => Outcome::Error(status_of(error)),
            _ => self.outcome_of_nothing(name, codings),
        }
    }

    fn outcome_of_nothing(&self, name: &str, codings: &[Coding]) -> Outcome {
        let last = name.rsplit('/').next().unwrap_or_default();
        match self.find(b"index.html") {
            Some((id, Kind::File { .. })) if self.site.spa && !last.contains('.') => {
                self.outcome_of_file("index.html", id, codings, true)
            }
            _ => Outcome::Error(Status::NotFound),
        }
    }

    /// The file that goes with an error as its content.
    pub(super) fn page(&self, status: Status) -> Option<usize> {
        // Time and memory that are wanting have none.
        if !self.site.error_pages || matches!(status.code(), 408 | 503 | 507) {
            return None;
        }
        match self.find(format!("{}.html", status.code()).as_bytes()) {
            Some((id, Kind::File { .. })) => Some(id),
            _ => None,
        }
    }

    /// A request-target.
    pub(super) fn case(&self, random: &mut Random) -> Case {
        let plain = ["", "missing", "d/", "d/empty/", "d/missing.txt", "odd/", ".hidden", "d/.git/x"];
        let below_status = ["/health", "/health", "/other", "x", "/health/"];
        let name = match &self.site.status_name {
            Some(status_name) if random.chance(400) => {
                let status_name = std::str::from_utf8(status_name).expect("it is ASCII");
                format!("{status_name}{}", random.pick(&below_status))
            }
            _ if random.chance(if self.site.listing { 400 } else { 10 }) => {
                self.directories.any_name(random).to_owned()
            }
            _ if random.chance(200) => (*random.pick(&plain)).to_owned(),
            _ => self.any_name(random).to_owned(),
        };
        let encoded = name.replace(' ', "%20");
        let path = match random.between(0, 9) {
            0 => format!("/./{encoded}"),
            1 => format!("/x/../{encoded}"),
            2 => format!("/%2e//{encoded}"),
            _ => format!("/{encoded}"),
        };
        let (query, wants_json) = match random.between(0, 19) {
            0..=2 => *random.pick(QUERIES),
            _ => ("", false),
        };
        let location = format!("/{}/{query}", encoded.replace('[', "%5B").replace(']', "%5D"));
        let authority = if random.chance(100) { "http://example.org:80" } else { "" };
        Case { target: format!("{authority}{path}{query}"), path_length: path.len(), name, location, wants_json }
    }
}

fn status_of(error: OpenError) -> Status {
    match error {
        OpenError::NotFound => Status::NotFound,
        OpenError::Forbidden => Status::Forbidden,
        OpenError::NoDescriptor => Status::ServiceUnavailable,
        OpenError::Failed => Status::InternalServerError,
    }
}
