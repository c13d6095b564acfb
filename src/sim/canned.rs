//! Registered answers: what each is to do, read anew from what was asked for.

use super::lookup::Case;
use super::model::Request;
use super::plan::Plan;
use super::random::Random;
use crate::canned::{Ending, Pace, Place, Registration, Wait};
use std::rc::Rc;

/// No answer comes in more pieces than about so many.
const MOST_PIECES: usize = 40;
/// What a head has at most, about, where that decides how many pieces there are.
const HEAD: usize = 300;
/// The longest wait that is not for ever, in nanoseconds.
const LONGEST_WAIT: u64 = 2_000_000_000;
const QUERIES: [Option<(&str, [&str; 2])>; 2] =
    [Some(("a=b&c", ["a=b&c", "%61=b&%63"])), Some(("q=é %26/", ["q=%C3%A9%20%26/", "%71=%c3%a9+%26%2F"]))];
const PLAIN_TEXT: &str = "text/plain";

/// An answer as it was asked for.
#[derive(Debug)]
pub(super) struct Spec {
    method: Option<&'static str>,
    /// Decoded, without its first slash.
    path: String,
    is_prefix: bool,
    /// As it is registered, and as clients may send it.
    query: Option<(&'static str, [&'static str; 2])>,
    code: u16,
    pub(super) fields: Vec<(&'static str, &'static str)>,
    pub(super) content: Vec<u8>,
    is_raw: bool,
    pub(super) limit: Option<u64>,
    pub(super) pace: Pace,
}

/// What comes of an answer that nothing disturbs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Course {
    /// It is begun at all.
    pub(super) is_answered: bool,
    /// Its head is sent.
    pub(super) is_shown: bool,
    /// What it counts as.
    pub(super) code: u16,
    /// How much of its content comes.
    pub(super) content: usize,
    /// It comes to the end that its head tells.
    pub(super) completes: bool,
    /// Nothing follows it.
    pub(super) closes: bool,
    /// The peer has to go.
    pub(super) lasts: bool,
}

/// The answers that some runs register.
pub(super) fn specs(random: &mut Random, plan: &Plan) -> Vec<Rc<Spec>> {
    let count = if random.chance(300) { random.size(1, 8) } else { 0 };
    (0..count).map(|_| Rc::new(Spec::new(random, plan))).collect()
}

impl Spec {
    fn new(random: &mut Random, plan: &Plan) -> Self {
        let (path, is_prefix) = match random.between(0, 19) {
            0 => (String::new(), true),
            1 => ("d/".into(), true),
            2 => ("f2.txt".into(), false),
            3 => (".hidden.txt".into(), false),
            4..=6 => ("canned/".into(), true),
            _ => (format!("canned/{}", random.between(0, 2)), false),
        };
        let code = *random.pick(&[200, 200, 200, 204, 206, 299, 304, 404, 418, 503, 799]);
        let mut content = Vec::new();
        if !matches!(code, 204 | 304) && random.chance(900) {
            let buffer = plan.limits.buffer_size;
            let length = if random.chance(250) { random.size(buffer / 2, buffer + 4000) } else { random.size(1, 300) };
            // Some look like a response, or like the end of one.
            content = b"\r\n\r\nHTTP/1.1 200 OK\r\n\r\n0\r\n\r\n".iter().copied().cycle().take(length).collect();
            content[0] = random.byte();
        }
        let mut fields = vec![("X-Registered", *random.pick(&["yes", "\"quoted\"", "a, b"]))];
        if random.chance(300) {
            fields.push(("Connection", *random.pick(&["close", "x, Close"])));
        }
        if random.chance(300) {
            fields.push(("Content-Type", PLAIN_TEXT));
        }
        let is_raw = !content.is_empty() && random.chance(100);
        let mut spec = Self {
            method: *random.pick(&[None, None, None, None, Some("GET"), Some("HEAD"), Some("POST"), Some("BREW")]),
            path,
            is_prefix,
            query: *random.pick(&[None, None, None, None, None, QUERIES[0], QUERIES[1]]),
            code,
            fields,
            content,
            is_raw,
            limit: random.chance(400).then(|| random.between(1, 4)),
            pace: Pace::default(),
        };
        spec.pace = spec.some_pace(random);
        spec
    }

    fn some_pace(&self, random: &mut Random) -> Pace {
        let mut pace = Pace::default();
        let wait = |random: &mut Random| match random.between(0, 9) {
            0 => Wait::ForEver,
            1 => Wait::For(random.between(0, 2)),
            2..=5 => Wait::For(random.between(0, 1_000_000)),
            _ => Wait::For(random.between(0, LONGEST_WAIT)),
        };
        let length = self.content.len();
        let place = |random: &mut Random| match random.between(0, 7) {
            0 => Place::Start,
            1 => Place::Content(0),
            2 => Place::Content(length),
            3 => Place::Content(length + 1),
            _ => Place::Content(random.size(0, length)),
        };
        if random.chance(250) {
            pace.delay = wait(random);
        }
        if random.chance(200) {
            pace.dribble = Some((random.size(1, 200).max((HEAD + length) / MOST_PIECES), random.between(0, 2_000_000)));
        }
        if random.chance(150) {
            pace.stall = Some((place(random), wait(random)));
        }
        if random.chance(150) {
            pace.cut = random.chance(800).then(|| place(random));
            pace.ending = *random.pick(&[Ending::Close, Ending::Reset]);
        }
        pace
    }

    pub(super) fn registration(&self) -> Registration {
        let path = self.path.bytes().map(|byte| if byte == b'a' { "%61".into() } else { char::from(byte).to_string() });
        let path: String = path.collect();
        let query = self.query.map_or(String::new(), |(query, _)| format!("?{query}"));
        let mut registration = Registration::new(&format!("/{path}{}{query}", if self.is_prefix { "*" } else { "" }));
        registration.method = self.method.map(Into::into);
        registration.status = self.code;
        let fields = self.fields.iter().filter(|_| !self.is_raw);
        registration.fields = fields.map(|&(name, value)| (name.into(), value.into())).collect();
        registration.content.clone_from(&self.content);
        registration.is_raw = self.is_raw;
        registration.times = self.limit;
        registration.pace = self.pace;
        registration
    }

    /// A target that it is for, as far as its path goes.
    pub(super) fn case(&self, random: &mut Random) -> Case {
        let behind = if self.is_prefix { *random.pick(&["", "x", "b/c.txt"]) } else { "" };
        let name = format!("{}{behind}", self.path);
        let path = format!("/{}", if random.chance(200) { name.replacen('n', "%6E", 1) } else { name.clone() });
        let sent = self.query.filter(|_| random.chance(800)).map(|(_, sent)| *random.pick(&sent));
        let query = sent.map_or(String::new(), |query| format!("?{query}"));
        Case {
            target: format!("{path}{query}"),
            path_length: path.len(),
            location: format!("/{name}/{query}"),
            name,
            wants_json: false,
        }
    }

    pub(super) fn is_for(&self, request: &Request) -> bool {
        let name = &*request.case.name;
        let query = request.case.target.split_once('?').map(|(_, query)| query);
        let is_path = if self.is_prefix { name.starts_with(&self.path) } else { name == self.path };
        is_path
            && self.method.is_none_or(|method| method == request.method)
            && self.query.is_none_or(|(_, sent)| query.is_some_and(|query| sent.contains(&query)))
    }

    /// Less where it has its turn before another: by the limit first, by its path then, by what else it names at last.
    pub(super) fn rank(&self) -> (u8, usize, usize) {
        let path = if self.is_prefix { 1000 - self.path.len() } else { 0 };
        let names = [self.method.is_some(), self.query.is_some()];
        (u8::from(self.limit.is_none()), path, names.into_iter().filter(|&named| !named).count())
    }

    pub(super) fn is_raw(&self) -> bool {
        self.is_raw
    }

    /// What its head says of the connection, if it says something.
    pub(super) fn says_close(&self) -> bool {
        self.fields.iter().any(|field| field.0 == "Connection")
    }

    pub(super) fn code(&self) -> u16 {
        self.code
    }

    /// How much content there is for a request.
    pub(super) fn content_length(&self, is_head: bool) -> usize {
        if is_head && !self.is_raw { 0 } else { self.content.len() }
    }

    pub(super) fn course(&self, is_head: bool) -> Course {
        let length = self.content_length(is_head);
        let (is_nothing, end) = match self.pace.cut {
            None => (false, length),
            Some(Place::Start) => (true, 0),
            Some(Place::Content(place)) => (false, place.min(length)),
        };
        let stops_at = match self.pace.stall {
            Some((Place::Start, Wait::ForEver)) => Some(Place::Start),
            Some((Place::Content(place), Wait::ForEver))
                if place <= end && (!is_nothing || (self.is_raw && place == 0)) =>
            {
                Some(Place::Content(place))
            }
            _ => None,
        };
        let is_answered = self.pace.delay != Wait::ForEver;
        let lasts = !is_answered || stops_at.is_some();
        Course {
            is_answered,
            is_shown: is_answered && !self.is_raw && !is_nothing && stops_at != Some(Place::Start),
            code: if self.is_raw || is_nothing { 0 } else { self.code },
            content: match stops_at {
                _ if !is_answered => 0,
                None => end,
                Some(Place::Start) => 0,
                Some(Place::Content(place)) => place,
            },
            completes: !lasts && self.pace.ending == Ending::AsSaid,
            closes: lasts || self.is_raw || self.pace.ending != Ending::AsSaid || self.says_close(),
            lasts,
        }
    }

    /// Whether it ends with a reset.
    pub(super) fn resets(&self, is_head: bool) -> bool {
        self.pace.ending == Ending::Reset && !self.course(is_head).lasts
    }

    pub(super) fn is_plain(&self) -> bool {
        self.pace.stall.is_none() && self.pace.dribble.is_none() && self.pace.cut.is_none()
    }
}
