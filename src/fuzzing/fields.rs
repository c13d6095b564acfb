//! The values of fields that choose an answer: Range, the conditions, Accept and Accept-Encoding, and dates.
//!
//! Each line of the input is a field line; the first byte says which field, and what follows is its value.

use crate::alloc::heapless;
use crate::http::condition::{Validators, Verdict, evaluate, if_range_holds};
use crate::http::date::{imf_fixdate, parse_http_date};
use crate::http::field::FieldName;
use crate::http::negotiation::{Coding, acceptable_codings, prefers_json};
use crate::http::range::{ByteRange, MAX_RANGES, Selection, select};

/// A field line as the checks of field values take it.
type Line<'a> = (FieldName, &'a [u8]);

/// The validators that the conditions are held against: a settled file and one that is not.
const ETAG: &[u8] = b"\"1-2-3\"";
const MODIFIED: i64 = 784_111_777;

/// Checks field values.
pub fn field_values(bytes: &[u8]) {
    let lines: Vec<Line<'_>> = bytes.split(|&byte| byte == b'\n').filter_map(line).take(40).collect();
    for size in [0, 1, 2, 10, 100, 255, 1 << 40, u64::MAX] {
        check_ranges(size, &lines);
    }
    for is_settled in [true, false] {
        check_conditions(&Validators { etag: ETAG, last_modified: MODIFIED, is_settled }, &lines);
    }
    check_codings(&lines);
    check_media_types(&lines);
    for (_, value) in &lines {
        check_date(value);
    }
}

fn line(bytes: &[u8]) -> Option<Line<'_>> {
    let (first, value) = bytes.split_first()?;
    let name = match first {
        b'R' => FieldName::Range,
        b'I' => FieldName::IfRange,
        b'M' => FieldName::IfMatch,
        b'N' => FieldName::IfNoneMatch,
        b'S' => FieldName::IfModifiedSince,
        b'U' => FieldName::IfUnmodifiedSince,
        b'E' => FieldName::AcceptEncoding,
        b'A' => FieldName::Accept,
        _ => FieldName::Other,
    };
    // A value as the parser of field lines leaves it.
    let value = value.trim_ascii();
    value.iter().all(|&byte| byte == b'\t' || (byte >= 0x20 && byte != 0x7f)).then_some((name, value))
}

fn values<'a>(lines: &[Line<'a>], name: FieldName) -> Vec<&'a [u8]> {
    lines.iter().filter(|line| line.0 == name).map(|line| line.1).collect()
}

fn check_ranges(size: u64, lines: &[Line<'_>]) {
    let selection = heapless!(select(size, lines.iter().copied()));
    let specs = match values(lines, FieldName::Range)[..] {
        [value] => specs(value),
        _ => None,
    };
    let Some(specs) = specs else {
        return assert_eq!(selection, Selection::Whole, "a Range that is not one, once, is ignored");
    };
    let ends = specs.iter().map(|spec| spec.of(size));
    let wanted: Vec<_> = ends.clone().flatten().collect();
    if specs.iter().any(|spec| spec.is_suffix_of_nothing(size)) {
        return assert_eq!(selection, Selection::Whole, "no Content-Range names the last bytes of none");
    }
    let ranges = match &selection {
        Selection::Whole => panic!("a right Range is obeyed"),
        Selection::Unsatisfiable => return assert!(wanted.is_empty(), "there is something to send: {wanted:?}"),
        Selection::One(range) => std::slice::from_ref(range),
        Selection::Several(list) => list.as_slice(),
    };
    assert_eq!(matches!(selection, Selection::Several(_)), ranges.len() > 1);
    check_parts(size, ranges, &wanted);
}

/// Checks that the parts are what was wanted, that none touches another, and that they come in the order they were asked for.
fn check_parts(size: u64, ranges: &[ByteRange], wanted: &[(u64, u64)]) {
    let holds = |range: &ByteRange, at: u64| range.first <= at && at <= range.last;
    for (index, range) in ranges.iter().enumerate() {
        assert!(range.first <= range.last && range.last < size, "{range:?} of {size}");
        assert_eq!(u128::from(range.length()), u128::from(range.last) - u128::from(range.first) + 1);
        for other in &ranges[index + 1..] {
            let apart = |low: &ByteRange, high: &ByteRange| low.last < high.first && high.first - low.last > 1;
            assert!(apart(range, other) || apart(other, range), "{range:?} touches {other:?}");
        }
        let is_end = |at: u64, end: fn(&(u64, u64)) -> u64| wanted.iter().any(|part| end(part) == at);
        assert!(is_end(range.first, |part| part.0) && is_end(range.last, |part| part.1), "{range:?} of {wanted:?}");
    }
    let part_of = |&(first, last): &(u64, u64)| {
        let part = ranges.iter().position(|range| holds(range, first));
        part.filter(|&part| holds(&ranges[part], last)).unwrap_or_else(|| panic!("{first}-{last} is left out"))
    };
    let mut seen: Vec<usize> = Vec::new();
    for part in wanted.iter().map(part_of) {
        if !seen.contains(&part) {
            seen.push(part);
        }
    }
    assert!(seen.is_sorted() && seen.len() == ranges.len(), "the order of {ranges:?} is that of {wanted:?}");
}

/// A range-spec, with numbers as large as they are written.
enum Spec {
    Int(u128, Option<u128>),
    Suffix(u128),
}

impl Spec {
    /// The first and the last byte that it selects.
    fn of(&self, size: u64) -> Option<(u64, u64)> {
        let narrow = |position: u128| u64::try_from(position).ok();
        let end = u128::from(size).checked_sub(1)?;
        match *self {
            Self::Int(first, last) => {
                (first <= end).then_some((narrow(first)?, narrow(last.map_or(end, |last| last.min(end)))?))
            }
            Self::Suffix(0) => None,
            Self::Suffix(length) => Some((narrow(u128::from(size).saturating_sub(length))?, narrow(end)?)),
        }
    }

    fn is_suffix_of_nothing(&self, size: u64) -> bool {
        matches!(self, Self::Suffix(length) if *length > 0) && size == 0
    }
}

/// The range-specs of a Range field; nothing where it is malformed, of another unit, or of too many.
fn specs(value: &[u8]) -> Option<Vec<Spec>> {
    let text: String = value.iter().map(|&byte| char::from(byte)).collect();
    let (unit, set) = text.split_once('=')?;
    let is_spaced = set.starts_with([' ', '\t']) && !set.trim_start_matches([' ', '\t']).starts_with(',');
    if !unit.eq_ignore_ascii_case("bytes") || is_spaced {
        return None;
    }
    let mut specs = Vec::new();
    for element in set.split(',').map(|element| element.trim_matches([' ', '\t'])).filter(|text| !text.is_empty()) {
        let (first, last) = element.split_once('-')?;
        specs.push(match (number(first)?, number(last)?) {
            (None, None) => return None,
            (None, Some(length)) => Spec::Suffix(length),
            (Some(first), Some(last)) if first > last => return None,
            (Some(first), last) => Spec::Int(first, last),
        });
    }
    (!specs.is_empty() && specs.len() <= MAX_RANGES).then_some(specs)
}

/// A number of digits, of which there may be none. Longer ones than any input has are not told apart.
fn number(digits: &str) -> Option<Option<u128>> {
    if !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let significant = digits.trim_start_matches('0');
    let value = if significant.is_empty() { Ok(0) } else { significant.parse() };
    // What fits in no number is told apart by how many digits it has and by the first of them.
    let huge = || {
        let head: u128 = significant[..20].parse().expect("digits");
        (1_u128 << 127) + (significant.len() as u128) * 10_u128.pow(21) + head
    };
    Some((!digits.is_empty()).then(|| value.unwrap_or_else(|_| huge())))
}

fn check_conditions(validators: &Validators<'_>, lines: &[Line<'_>]) {
    let verdict = heapless!(evaluate(validators, lines.iter().copied()));
    let has = |name| !values(lines, name).is_empty();
    let date = |name| match values(lines, name)[..] {
        [value] => parse_http_date(value),
        _ => None,
    };
    // The space keeps two halves of a tag, each at the end of a line, from becoming one.
    let lists = |name| list_names(&values(lines, name).join(&b", "[..]));
    let fails = if has(FieldName::IfMatch) {
        !matches!(lists(FieldName::IfMatch), Listed::Any | Listed::Strongly)
    } else {
        date(FieldName::IfUnmodifiedSince).is_some_and(|since| MODIFIED > since)
    };
    let is_known = if has(FieldName::IfNoneMatch) {
        !matches!(lists(FieldName::IfNoneMatch), Listed::No)
    } else {
        validators.is_settled && date(FieldName::IfModifiedSince).is_some_and(|since| MODIFIED <= since)
    };
    let expected = match (fails, is_known) {
        (true, _) => Verdict::PreconditionFailed,
        (false, true) => Verdict::NotModified,
        (false, false) => Verdict::Proceed,
    };
    assert_eq!(verdict, expected);
    let holds = heapless!(if_range_holds(validators, lines.iter().copied()));
    let is_right = match values(lines, FieldName::IfRange)[..] {
        [] => true,
        [value] => value == ETAG || (validators.is_settled && parse_http_date(value) == Some(MODIFIED)),
        _ => false,
    };
    assert_eq!(holds, is_right, "If-Range");
}

/// What a list of entity-tags says of the one there is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Listed {
    No,
    Any,
    Weakly,
    Strongly,
}

/// Reads `"*" / #entity-tag`, where one fault spoils it all.
fn list_names(list: &[u8]) -> Listed {
    let is_ows = |byte: &u8| matches!(byte, b' ' | b'\t');
    let (mut at, mut found, mut elements) = (0, Listed::No, 0);
    let mut has_star = false;
    loop {
        while list.get(at).is_some_and(|byte| is_ows(byte) || *byte == b',') {
            at += 1;
        }
        if at == list.len() {
            let is_any = has_star && elements == 1;
            return if is_any {
                Listed::Any
            } else if has_star {
                Listed::No
            } else {
                found
            };
        }
        elements += 1;
        if list[at] == b'*' {
            has_star = true;
            at += 1;
        } else {
            let is_weak = list[at..].starts_with(b"W/");
            let start = at + if is_weak { 2 } else { 0 };
            let is_etagc = |byte: &u8| *byte == 0x21 || (*byte >= 0x23 && *byte != 0x7f);
            let length = list.get(start + 1..).unwrap_or_default().iter().take_while(|byte| is_etagc(byte)).count();
            if list.get(start) != Some(&b'"') || list.get(start + 1 + length) != Some(&b'"') {
                return Listed::No;
            }
            at = start + length + 2;
            if list[start..at] == *ETAG && found != Listed::Strongly {
                found = if is_weak { Listed::Weakly } else { Listed::Strongly };
            }
        }
        while list.get(at).is_some_and(is_ows) {
            at += 1;
        }
        if at < list.len() && list[at] != b',' {
            return Listed::No;
        }
    }
}

fn check_codings(lines: &[Line<'_>]) {
    let codings = heapless!(acceptable_codings(lines.iter().copied()));
    let list: Vec<_> = codings.iter().collect();
    for (index, coding) in list.iter().enumerate() {
        assert!(!list[index + 1..].contains(coding), "{} twice", coding.name());
    }
    let all = values(lines, FieldName::AcceptEncoding).join(&b","[..]);
    assert_eq!(acceptable_codings([(FieldName::AcceptEncoding, &*all)].into_iter()), codings, "lines are one list");
    let text = String::from_utf8_lossy(&all).to_ascii_lowercase();
    for coding in list {
        let is_named = text.contains(coding.name()) || text.contains('*');
        assert!(is_named, "{} is not wanted by {text:?}", coding.name());
    }
    // Whoever refuses everything first is given nothing, whatever follows.
    let none = [b"br;q=0,zstd;q=0,gzip;q=0,", &*all].concat();
    assert!(acceptable_codings([(FieldName::AcceptEncoding, &*none)].into_iter()).is_empty());
    let first = [b"zstd,br;q=0.999,gzip;q=0.998,", &*all].concat();
    let first = acceptable_codings([(FieldName::AcceptEncoding, &*first)].into_iter()).iter().next();
    assert!(matches!(first, Some(Coding::Zstandard)), "what is said first counts");
}

fn check_media_types(lines: &[Line<'_>]) {
    let is_json = heapless!(prefers_json(lines.iter().copied()));
    let all = values(lines, FieldName::Accept).join(&b","[..]);
    let text = String::from_utf8_lossy(&all).to_ascii_lowercase();
    assert!(!is_json || text.contains("application/") || text.contains("*/*"), "JSON for {text:?}");
    if !all.contains(&b'"') {
        let prefers = |value: &[u8]| prefers_json([(FieldName::Accept, value)].into_iter());
        assert_eq!(prefers(&all), is_json, "lines are one list");
        assert!(!prefers(&[b"application/json;q=0,text/html,", &*all].concat()), "what is said first counts");
        assert!(prefers(&[b"application/json,text/html;q=0.1,", &*all].concat()), "what is said first counts");
    }
}

fn check_date(value: &[u8]) {
    let Some(seconds) = heapless!(parse_http_date(value)) else { return };
    let written = heapless!(imf_fixdate(seconds));
    assert_eq!(parse_http_date(&written), Some(seconds), "what is written reads the same");
    let text = std::str::from_utf8(&written).expect("a date is ASCII");
    let [weekday, day, month, year, time, _] = text.split(' ').collect::<Vec<_>>()[..] else { panic!("six parts") };
    let weekday = weekday.trim_end_matches(',');
    let long = match weekday {
        "Tue" => "Tuesday".to_owned(),
        "Wed" => "Wednesday".to_owned(),
        "Thu" => "Thursday".to_owned(),
        "Sat" => "Saturday".to_owned(),
        other => format!("{other}day"),
    };
    // The three forms of RFC 9110 section 5.6.7; an asctime-date may pad its day with a space.
    let forms = [
        text.to_owned(),
        format!("{long}, {day}-{month}-{} {time} GMT", &year[2..]),
        format!("{weekday} {month} {day} {time} {year}"),
        format!("{weekday} {month} {} {time} {year}", day.replacen('0', " ", usize::from(day.starts_with('0')))),
    ];
    let is_one = forms.iter().any(|form| form.as_bytes() == value);
    assert!(is_one, "no form of {text}: {}", value.escape_ascii());
}
