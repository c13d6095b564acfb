//! Conditional fields, with what each comes to: the plain reading of RFC 9110 section 13, by comparing what was written.

use super::files::PRESENT;
use super::random::Random;
use std::time::{Duration, UNIX_EPOCH};

/// Before every date of a file of long ago but the earliest, and after every date, the present one too; in seconds since 1970.
const EARLY: i64 = 1;
const LATE: i64 = 4_000_000_000;
/// The first second that the two digits of an rfc850-date do not name.
const END_OF_SHORT_YEARS: i64 = 3_155_760_000;

/// What a client may know of what it asks for.
#[derive(Clone, Debug)]
pub(super) struct Validators {
    pub(super) size: u64,
    /// Nothing where it is another one each time.
    pub(super) tag: Option<String>,
    pub(super) modified: i64,
    /// The date tells one state of the file from every other.
    pub(super) is_settled: bool,
    /// A tag of something else.
    pub(super) other_tag: String,
}

/// `"*" / #entity-tag`
#[derive(Clone, Debug)]
enum Tags {
    Any,
    /// Whether each is weak, and the rest of it.
    List(Vec<(bool, String)>),
    /// Names nothing.
    Malformed,
}

#[derive(Clone, Debug)]
enum IfRange {
    Tag(bool, String),
    Date(i64),
    Malformed,
}

/// The conditions of a request. A date is nothing where it is to be ignored.
#[derive(Clone, Debug, Default)]
pub(super) struct Conditions {
    if_match: Option<Tags>,
    if_unmodified_since: Option<i64>,
    if_none_match: Option<Tags>,
    if_modified_since: Option<i64>,
    if_range: Option<IfRange>,
}

/// What conditions come to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Proceed,
    NotModified,
    PreconditionFailed,
}

impl Conditions {
    /// Some conditions. `add` takes the lines of a field and says whether there was room for them.
    pub(super) fn new(random: &mut Random, validators: &Validators, add: &mut impl FnMut(Vec<String>) -> bool) -> Self {
        let mut conditions = Self::default();
        if random.chance(250) {
            let (lines, tags) = tags(random, "If-Match", validators);
            conditions.if_match = add(lines).then_some(tags);
        }
        if random.chance(250) {
            let (lines, date) = date_field(random, "If-Unmodified-Since", validators, false);
            let is_there = add(lines);
            conditions.if_unmodified_since = date.filter(|_| is_there);
        }
        if random.chance(400) {
            let (lines, tags) = tags(random, "If-None-Match", validators);
            conditions.if_none_match = add(lines).then_some(tags);
        }
        if random.chance(400) {
            let (lines, date) = date_field(random, "If-Modified-Since", validators, !validators.is_settled);
            let is_there = add(lines);
            conditions.if_modified_since = date.filter(|_| is_there);
        }
        conditions
    }

    pub(super) fn add_if_range(
        &mut self,
        random: &mut Random,
        validators: &Validators,
        add: &mut impl FnMut(Vec<String>) -> bool,
    ) {
        let same = validators.tag.clone().unwrap_or_else(|| "\"1-2-3\"".into());
        let (value, meaning) = match random.between(0, 11) {
            0..=3 => (same.clone(), IfRange::Tag(false, same)),
            4 => (format!("W/{same}"), IfRange::Tag(true, same)),
            5 => (validators.other_tag.clone(), IfRange::Tag(false, validators.other_tag.clone())),
            6..=8 => {
                let date = date_near(random, validators, !validators.is_settled);
                (date_text(random, date), IfRange::Date(date))
            }
            _ => (random.pick(&["", "*", "\"a", "yesterday", "\"a\", \"b\""]).to_string(), IfRange::Malformed),
        };
        let line = format!("If-Range: {value}");
        if random.chance(80) {
            // Twice is never once.
            self.if_range = add(vec![line.clone(), line]).then_some(IfRange::Malformed);
        } else {
            self.if_range = add(vec![line]).then_some(meaning);
        }
    }

    /// The order of RFC 9110 section 13.2.2.
    pub(super) fn verdict(&self, validators: &Validators) -> Verdict {
        let fails = match (&self.if_match, self.if_unmodified_since) {
            (Some(tags), _) => !tags.name(validators, false),
            (None, Some(since)) => validators.modified > since,
            (None, None) => false,
        };
        let is_known = match (&self.if_none_match, self.if_modified_since) {
            (Some(tags), _) => tags.name(validators, true),
            (None, Some(since)) => validators.is_settled && validators.modified <= since,
            (None, None) => false,
        };
        match (fails, is_known) {
            (true, _) => Verdict::PreconditionFailed,
            (false, true) => Verdict::NotModified,
            (false, false) => Verdict::Proceed,
        }
    }

    /// Whether a Range counts.
    pub(super) fn if_range_holds(&self, validators: &Validators) -> bool {
        match &self.if_range {
            None => true,
            Some(IfRange::Tag(is_weak, tag)) => !is_weak && Some(tag) == validators.tag.as_ref(),
            Some(IfRange::Date(date)) => validators.is_settled && *date == validators.modified,
            Some(IfRange::Malformed) => false,
        }
    }
}

impl Tags {
    fn name(&self, validators: &Validators, weak_counts: bool) -> bool {
        match self {
            Self::Any => true,
            Self::List(tags) => {
                tags.iter().any(|(is_weak, tag)| (weak_counts || !is_weak) && Some(tag) == validators.tag.as_ref())
            }
            Self::Malformed => false,
        }
    }
}

fn tags(random: &mut Random, name: &str, validators: &Validators) -> (Vec<String>, Tags) {
    let line = |value: &str| format!("{name}: {value}");
    match random.between(0, 9) {
        0 => return (vec![line("*")], Tags::Any),
        1 => {
            let same = validators.tag.as_deref().unwrap_or("\"x\"");
            let malformed = ["\"a", "a", "*, *", "W/", "w/\"a\""].map(|bad| format!("{same}, {bad}"));
            return (vec![line(random.pick::<String>(&malformed))], Tags::Malformed);
        }
        2 => return (vec![line(random.pick::<&str>(&["", ",", "\"x,y\""]))], Tags::List(Vec::new())),
        _ => {}
    }
    let mut list = Vec::new();
    for _ in 0..random.size(1, 3) {
        let tag = match (&validators.tag, random.between(0, 3)) {
            (Some(tag), 0..=1) => tag.clone(),
            (_, 3) => validators.other_tag.clone(),
            _ => (*random.pick(&["\"\"", "\"a,b\"", "\"1-2-3\"", "\"1-2-3-4\""])).to_owned(),
        };
        list.push((random.chance(250), tag));
    }
    let texts: Vec<_> =
        list.iter().map(|(is_weak, tag)| format!("{}{tag}", if *is_weak { "W/" } else { "" })).collect();
    let lines = match random.between(0, 3) {
        // All lines are one list.
        0 => texts.iter().map(|text| line(text)).collect(),
        1 => vec![line(&texts.join(" , ,"))],
        _ => vec![line(&texts.join(", "))],
    };
    (lines, Tags::List(list))
}

fn date_field(
    random: &mut Random,
    name: &str,
    validators: &Validators,
    may_be_present: bool,
) -> (Vec<String>, Option<i64>) {
    let line = |value: &str| format!("{name}: {value}");
    if random.chance(150) {
        let invalid = ["", "yesterday", "Sun, 06 Nov 1994 08:49:37 UTC", "784111777", "Sun, 06 Nov 1994 25:49:37 GMT"];
        return (vec![line(random.pick::<&str>(&invalid))], None);
    }
    let date = date_near(random, validators, may_be_present);
    let line = line(&date_text(random, date));
    if random.chance(80) { (vec![line.clone(), line], None) } else { (vec![line], Some(date)) }
}

/// The file's date where that can be known, or one a second off, or one that is far from it. A date near the present one may be
/// before the file's or after it, so that it is of use only where neither matters.
fn date_near(random: &mut Random, validators: &Validators, may_be_present: bool) -> i64 {
    match random.between(0, 6) {
        0 => EARLY,
        1 => LATE,
        _ if validators.modified == PRESENT && !may_be_present => *random.pick(&[EARLY, LATE]),
        2 if validators.modified > 0 => validators.modified - 1,
        3 => validators.modified + 1,
        _ => validators.modified,
    }
}

/// A date in one of the three forms of RFC 9110 section 5.6.7.
fn date_text(random: &mut Random, seconds: i64) -> String {
    let since_1970 = Duration::from_secs(u64::try_from(seconds).expect("no earlier date can be written"));
    let text = httpdate::fmt_http_date(UNIX_EPOCH + since_1970);
    let parts: Vec<&str> = text.split([' ', ',']).filter(|part| !part.is_empty()).collect();
    let [weekday, day, month, year, time, _] = parts[..] else { panic!("no IMF-fixdate: {text}") };
    match random.between(0, 5) {
        0 if seconds < END_OF_SHORT_YEARS => {
            let weekday = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"]
                .into_iter()
                .find(|full| full.starts_with(weekday))
                .expect("there are seven of them");
            format!("{weekday}, {day}-{month}-{} {time} GMT", &year[2..])
        }
        1 => format!("{weekday} {month} {:>2} {time} {year}", day.trim_start_matches('0')),
        _ => text,
    }
}
