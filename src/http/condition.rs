//! Conditional requests (RFC 9110 section 13): whether the representation that is there is the one the peer asks about.
//!
//! Pure functions over field lines and validators. They never see the clock: who makes the validators knows whether a date
//! can be trusted.

use super::field::{self, FieldName};
use super::{date, grammar};

/// What a representation is told apart by (RFC 9110 section 8.8).
#[derive(Clone, Copy, Debug)]
pub struct Validators<'a> {
    /// The strong entity-tag, with its quotes.
    pub etag: &'a [u8],
    /// When the file changed last, in seconds since 1970.
    pub last_modified: i64,
    /// Whether the file can no longer change within the second of its date. Where it can, the date tells nothing: no date
    /// yields 304, and an If-Range with a date is false (section 8.8.2.2).
    pub is_settled: bool,
}

impl Validators<'_> {
    /// The date as a Last-Modified field says it, which is all that the peer can know of it.
    fn date(&self) -> i64 {
        date::in_range(self.last_modified)
    }
}

/// What the preconditions make of a GET or HEAD.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The request is answered as if it had no preconditions.
    Proceed,
    /// 304 (Not Modified).
    NotModified,
    /// 412 (Precondition Failed).
    PreconditionFailed,
}

/// The verdict on a GET or HEAD of a representation that exists, in the order of RFC 9110 section 13.2.2, steps 1 to 4.
///
/// A date that is not valid, or that is there twice, is no condition (sections 13.1.3 and 13.1.4).
pub fn evaluate<'a>(
    validators: &Validators<'_>,
    fields: impl Iterator<Item = (FieldName, &'a [u8])> + Clone,
) -> Verdict {
    let lines = |name| field::values(fields.clone(), name);
    let date = |name| field::only_value(fields.clone(), name).and_then(date::parse_http_date);

    let is_as_expected = match is_listed(lines(FieldName::IfMatch), |tag| tag.equals_strongly(validators.etag)) {
        Some(is_listed) => is_listed,
        None => date(FieldName::IfUnmodifiedSince).is_none_or(|since| validators.date() <= since),
    };
    if !is_as_expected {
        return Verdict::PreconditionFailed;
    }
    let is_known = match is_listed(lines(FieldName::IfNoneMatch), |tag| tag.equals_weakly(validators.etag)) {
        Some(is_listed) => is_listed,
        None => {
            validators.is_settled && date(FieldName::IfModifiedSince).is_some_and(|since| validators.date() <= since)
        }
    };
    if is_known { Verdict::NotModified } else { Verdict::Proceed }
}

/// Whether the Range of a GET is obeyed: `If-Range = entity-tag / HTTP-date` holds or is not there (RFC 9110 sections 13.1.5
/// and 13.2.2, step 5).
///
/// Parts of two representations must never come together at the peer, so both comparisons are strong, and doubt means no:
/// what is malformed or there twice does not hold.
pub fn if_range_holds<'a>(validators: &Validators<'_>, fields: impl Iterator<Item = (FieldName, &'a [u8])>) -> bool {
    let mut lines = field::values(fields, FieldName::IfRange);
    let value = match (lines.next(), lines.next()) {
        (None, _) => return true,
        (Some(_), Some(_)) => return false,
        (Some(value), None) => value,
    };
    match EntityTag::take(value) {
        Some((tag, rest)) => rest.is_empty() && tag.equals_strongly(validators.etag),
        None => validators.is_settled && date::parse_http_date(value) == Some(validators.date()),
    }
}

/// Whether `"*" / #entity-tag` (RFC 9110 sections 13.1.1 and 13.1.2) names the representation; nothing where there is no such
/// field. All lines are one list.
///
/// A malformed list, of which `*` beside other elements is one, names nothing, not even by its good elements. So the doubt
/// is resolved alike for both fields, to the side that costs a transfer and not the truth: If-Match is false and the answer
/// 412, If-None-Match is true and the answer 200.
fn is_listed<'a>(lines: impl Iterator<Item = &'a [u8]>, is_same: impl Fn(EntityTag<'a>) -> bool) -> Option<bool> {
    let (mut is_present, mut is_any, mut is_match) = (false, false, false);
    let mut elements = 0_usize;
    for line in lines {
        is_present = true;
        let mut rest = grammar::trim_ows(line);
        while !rest.is_empty() {
            // Elements may be empty (section 5.6.1).
            if let Some(next) = rest.strip_prefix(b",") {
                rest = grammar::trim_ows(next);
                continue;
            }
            elements += 1;
            if let Some(next) = rest.strip_prefix(b"*") {
                (is_any, rest) = (true, next);
            } else if let Some((tag, next)) = EntityTag::take(rest) {
                (is_match, rest) = (is_match || is_same(tag), next);
            } else {
                return Some(false);
            }
            rest = grammar::trim_ows(rest);
            if !matches!(rest.first(), None | Some(b',')) {
                return Some(false);
            }
        }
    }
    is_present.then_some(if is_any { elements == 1 } else { is_match })
}

/// `entity-tag = [ weak ] opaque-tag` (RFC 9110 section 8.8.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct EntityTag<'a> {
    is_weak: bool,
    /// With its quotes.
    opaque_tag: &'a [u8],
}

impl<'a> EntityTag<'a> {
    /// The entity-tag that `bytes` begin with, and what follows it.
    ///
    /// `weak = %s"W/"`, in this case only; `opaque-tag = DQUOTE *etagc DQUOTE`, without escapes and with commas as they are.
    fn take(bytes: &'a [u8]) -> Option<(Self, &'a [u8])> {
        let (is_weak, rest) = bytes.strip_prefix(b"W/").map_or((false, bytes), |rest| (true, rest));
        let inside = rest.strip_prefix(b"\"")?;
        let length = inside.iter().position(|&byte| !is_etagc(byte))?;
        if inside.get(length) != Some(&b'"') {
            return None;
        }
        let (opaque_tag, rest) = rest.split_at_checked(length + 2)?;
        Some((Self { is_weak, opaque_tag }, rest))
    }

    /// Strong comparison (section 8.8.3.2) with the strong entity-tag `etag`.
    fn equals_strongly(self, etag: &[u8]) -> bool {
        !self.is_weak && self.equals_weakly(etag)
    }

    /// Weak comparison (section 8.8.3.2) with the strong entity-tag `etag`.
    fn equals_weakly(self, etag: &[u8]) -> bool {
        self.opaque_tag == etag
    }
}

/// `etagc = %x21 / %x23-7E / obs-text` (RFC 9110 section 8.8.3): what is visible but DQUOTE, and obs-text.
fn is_etagc(byte: u8) -> bool {
    matches!(byte, 0x21 | 0x23..=0x7e | 0x80..=0xff)
}

#[cfg(test)]
mod tests {
    use super::FieldName::{IfMatch, IfModifiedSince, IfNoneMatch, IfRange, IfUnmodifiedSince};
    use super::Verdict::{NotModified, PreconditionFailed, Proceed};
    use super::*;

    type Fields = &'static [(FieldName, &'static [u8])];

    const BEFORE: &[u8] = b"Sun, 06 Nov 1994 08:49:36 GMT";
    const EXACT: &[u8] = b"Sun, 06 Nov 1994 08:49:37 GMT";
    const EXACT_RFC850: &[u8] = b"Sunday, 06-Nov-94 08:49:37 GMT";
    const EXACT_ASCTIME: &[u8] = b"Sun Nov  6 08:49:37 1994";
    const AFTER: &[u8] = b"Sun, 06 Nov 1994 08:49:38 GMT";
    const SETTLED: Validators<'_> = Validators { etag: b"\"a,b\"", last_modified: 784_111_777, is_settled: true };
    const UNSETTLED: Validators<'_> = Validators { is_settled: false, ..SETTLED };

    fn show(fields: &[(FieldName, &[u8])]) -> String {
        fields.iter().map(|(name, value)| format!("{name:?}: {}; ", value.escape_ascii())).collect()
    }

    fn check(table: &[(&str, &str, Fields, Verdict)]) {
        for (rule, section, fields, verdict) in table {
            let found = evaluate(&SETTLED, fields.iter().copied());
            assert_eq!(found, *verdict, "{rule} ({section}): {}", show(fields));
        }
    }

    #[test]
    fn if_match_by_rule() {
        check(&[
            ("no precondition", "13.2.2", &[], Proceed),
            ("another field is none", "13.2.2", &[(FieldName::Other, b"\"x\""), (IfRange, b"\"x\"")], Proceed),
            ("the tag", "13.1.1", &[(IfMatch, b"\"a,b\"")], Proceed),
            ("another tag", "13.1.1", &[(IfMatch, b"\"a\"")], PreconditionFailed),
            ("any tag", "13.1.1", &[(IfMatch, b"*")], Proceed),
            ("strong comparison", "13.1.1", &[(IfMatch, b"W/\"a,b\"")], PreconditionFailed),
            ("tags are opaque, case counts", "8.8.3.2", &[(IfMatch, b"\"A,B\"")], PreconditionFailed),
            ("a list", "13.1.1", &[(IfMatch, b"\"x\", W/\"y\" ,\"a,b\"")], Proceed),
            ("a list without the tag", "13.1.1", &[(IfMatch, b"\"x\", \"\", \"a,b \xff\"")], PreconditionFailed),
            ("empty elements", "5.6.1", &[(IfMatch, b",, \t,\"a,b\",")], Proceed),
            ("lines are one list", "5.3", &[(IfMatch, b"\"x\""), (IfMatch, b"\"a,b\"")], Proceed),
            ("an empty list", "13.1.1", &[(IfMatch, b"")], PreconditionFailed),
            ("an empty list", "13.1.1", &[(IfMatch, b" , ")], PreconditionFailed),
            ("a bare tag", "8.8.3", &[(IfMatch, b"a,b")], PreconditionFailed),
            ("malformed: a good element in it", "13.1.1", &[(IfMatch, b"\"a,b\", x")], PreconditionFailed),
            ("malformed: in another line", "13.1.1", &[(IfMatch, b"\"a,b\""), (IfMatch, b"x")], PreconditionFailed),
            ("malformed: * in a list", "13.1.1", &[(IfMatch, b"*, \"a,b\"")], PreconditionFailed),
            ("malformed: * in two lines", "13.1.1", &[(IfMatch, b"\"a,b\""), (IfMatch, b"*")], PreconditionFailed),
            ("malformed: * twice", "13.1.1", &[(IfMatch, b"*"), (IfMatch, b"*")], PreconditionFailed),
            ("* beside empty elements", "5.6.1", &[(IfMatch, b","), (IfMatch, b"*,")], Proceed),
            ("malformed: quoted *", "13.1.1", &[(IfMatch, b"\"*\"")], PreconditionFailed),
            ("malformed: no end", "8.8.3", &[(IfMatch, b"\"a,b")], PreconditionFailed),
            ("malformed: no comma", "5.6.1", &[(IfMatch, b"\"a,b\" \"x\"")], PreconditionFailed),
            ("malformed: more after the tag", "5.6.1", &[(IfMatch, b"\"a,b\"x")], PreconditionFailed),
        ]);
    }

    #[test]
    fn if_none_match_by_rule() {
        check(&[
            ("the tag", "13.1.2", &[(IfNoneMatch, b"\"a,b\"")], NotModified),
            ("weak comparison", "13.1.2", &[(IfNoneMatch, b"W/\"a,b\"")], NotModified),
            ("weak is %s\"W/\"", "8.8.3", &[(IfNoneMatch, b"w/\"a,b\"")], Proceed),
            ("no white space in a tag", "8.8.3", &[(IfNoneMatch, b"W/ \"a,b\"")], Proceed),
            ("no white space in a tag", "8.8.3", &[(IfNoneMatch, b"\"a, b\", \"a,b\"")], Proceed),
            ("another tag", "13.1.2", &[(IfNoneMatch, b"\"x\"")], Proceed),
            ("any tag", "13.1.2", &[(IfNoneMatch, b"*")], NotModified),
            ("a list", "13.1.2", &[(IfNoneMatch, b"\"x\",W/\"a,b\"\t, \"y\"")], NotModified),
            ("lines are one list", "5.3", &[(IfNoneMatch, b"\"a,b\""), (IfNoneMatch, b"\"y\"")], NotModified),
            ("an empty list", "13.1.2", &[(IfNoneMatch, b"")], Proceed),
            ("malformed: a good element in it", "13.1.2", &[(IfNoneMatch, b"\"a,b\", x")], Proceed),
            ("malformed: * in a list", "13.1.2", &[(IfNoneMatch, b"\"a,b\", *")], Proceed),
            ("malformed: * twice", "13.1.2", &[(IfNoneMatch, b"**")], Proceed),
            ("malformed: DQUOTE alone", "8.8.3", &[(IfNoneMatch, b"\"")], Proceed),
            ("malformed: W/ alone", "8.8.3", &[(IfNoneMatch, b"W/")], Proceed),
            ("malformed: no escapes", "8.8.3", &[(IfNoneMatch, b"\"\\\"\", \"a,b\"")], Proceed),
            ("malformed: DEL", "8.8.3", &[(IfNoneMatch, b"\"\x7f\", \"a,b\"")], Proceed),
            ("obs-text in a tag", "8.8.3", &[(IfNoneMatch, b"\"\x80\xff!#~\", \"a,b\"")], NotModified),
        ]);
    }

    #[test]
    fn dates_by_rule() {
        check(&[
            ("later than the date", "13.1.4", &[(IfUnmodifiedSince, BEFORE)], PreconditionFailed),
            ("equal to the date", "13.1.4", &[(IfUnmodifiedSince, EXACT)], Proceed),
            ("earlier than the date", "13.1.4", &[(IfUnmodifiedSince, AFTER)], Proceed),
            ("not valid: ignored", "13.1.4", &[(IfUnmodifiedSince, b"yesterday")], Proceed),
            ("not valid: empty", "13.1.4", &[(IfUnmodifiedSince, b"")], Proceed),
            ("repeated: ignored", "13.1.4", &[(IfUnmodifiedSince, BEFORE), (IfUnmodifiedSince, BEFORE)], Proceed),
            ("later than the date", "13.1.3", &[(IfModifiedSince, BEFORE)], Proceed),
            ("equal to the date", "13.1.3", &[(IfModifiedSince, EXACT)], NotModified),
            ("equal, rfc850-date", "5.6.7", &[(IfModifiedSince, EXACT_RFC850)], NotModified),
            ("equal, asctime-date", "5.6.7", &[(IfModifiedSince, EXACT_ASCTIME)], NotModified),
            ("earlier than the date", "13.1.3", &[(IfModifiedSince, AFTER)], NotModified),
            ("not valid: ignored", "13.1.3", &[(IfModifiedSince, b"Sun, 06 Nov 2094 08:49:37 GMT")], Proceed),
            ("repeated: ignored", "13.1.3", &[(IfModifiedSince, AFTER), (IfModifiedSince, AFTER)], Proceed),
        ]);
        for (rule, field, verdict) in [
            ("a date that tells nothing never yields 304 (8.8.2.2)", (IfModifiedSince, AFTER), Proceed),
            ("and is still compared (13.1.4)", (IfUnmodifiedSince, EXACT), Proceed),
            ("and is still compared (13.1.4)", (IfUnmodifiedSince, BEFORE), PreconditionFailed),
            ("and leaves tags alone (13.1.2)", (IfNoneMatch, &b"\"a,b\""[..]), NotModified),
        ] {
            assert_eq!(evaluate(&UNSETTLED, [field].into_iter()), verdict, "{rule}");
        }
    }

    #[test]
    fn a_date_is_compared_as_it_was_sent() {
        for last_modified in [i64::MIN, -1, 0, 253_402_300_799, i64::MAX] {
            let validators = Validators { last_modified, ..SETTLED };
            let sent = date::imf_fixdate(last_modified);
            assert_eq!(evaluate(&validators, [(IfModifiedSince, &sent[..])].into_iter()), NotModified);
            assert_eq!(evaluate(&validators, [(IfUnmodifiedSince, &sent[..])].into_iter()), Proceed);
            assert!(if_range_holds(&validators, [(IfRange, &sent[..])].into_iter()));
        }
    }

    /// Every mixture of the four fields, each absent, met, unmet or malformed, against the steps of section 13.2.2.
    #[test]
    fn preconditions_are_evaluated_in_their_order() {
        let of = |name, values: [&'static [u8]; 3]| {
            [None, Some((name, values[0])), Some((name, values[1])), Some((name, values[2]))]
        };
        // True, false, malformed; in If-None-Match and If-Modified-Since false means 304.
        let if_match = of(IfMatch, [b"\"a,b\"", b"\"x\"", b"x"]);
        let if_unmodified_since = of(IfUnmodifiedSince, [AFTER, BEFORE, b"x"]);
        let if_none_match = of(IfNoneMatch, [b"\"x\"", b"\"a,b\"", b"x"]);
        let if_modified_since = of(IfModifiedSince, [BEFORE, AFTER, b"x"]);
        for mixture in 0..256_usize {
            let [one, two, three, four] = [mixture & 3, mixture >> 2 & 3, mixture >> 4 & 3, mixture >> 6];
            let expected = match (one, two, three, four) {
                (2 | 3, _, _, _) | (0, 2, _, _) => PreconditionFailed,
                (_, _, 2, _) | (_, _, 0, 2) => NotModified,
                _ => Proceed,
            };
            // The order of the lines says nothing, so they come in the reverse one.
            let fields = [if_modified_since[four], if_none_match[three], if_unmodified_since[two], if_match[one]];
            let fields: Vec<_> = fields.into_iter().flatten().collect();
            assert_eq!(evaluate(&SETTLED, fields.iter().copied()), expected, "{}", show(&fields));
        }
    }

    #[test]
    fn if_range_by_rule() {
        let table: &[(&str, &str, Fields, bool)] = &[
            ("no If-Range", "13.2.2", &[(IfMatch, b"\"x\"")], true),
            ("the tag", "13.1.5", &[(IfRange, b"\"a,b\"")], true),
            ("another tag", "13.1.5", &[(IfRange, b"\"x\"")], false),
            ("strong comparison", "13.1.5", &[(IfRange, b"W/\"a,b\"")], false),
            ("a list is malformed", "13.1.5", &[(IfRange, b"\"a,b\", \"a,b\"")], false),
            ("more after the tag", "13.1.5", &[(IfRange, b"\"a,b\"x")], false),
            ("any tag is malformed", "13.1.5", &[(IfRange, b"*")], false),
            ("nothing is malformed", "13.1.5", &[(IfRange, b"")], false),
            ("repeated", "13.1.5", &[(IfRange, b"\"a,b\""), (IfRange, b"\"a,b\"")], false),
            ("the date", "13.1.5", &[(IfRange, EXACT)], true),
            ("the date, rfc850-date", "5.6.7", &[(IfRange, EXACT_RFC850)], true),
            ("the date, asctime-date", "5.6.7", &[(IfRange, EXACT_ASCTIME)], true),
            ("a later date", "13.1.5", &[(IfRange, AFTER)], false),
            ("an earlier date", "13.1.5", &[(IfRange, BEFORE)], false),
            ("not a date", "13.1.5", &[(IfRange, b"yesterday")], false),
        ];
        for (rule, section, fields, holds) in table {
            let found = if_range_holds(&SETTLED, fields.iter().copied());
            assert_eq!(found, *holds, "{rule} ({section}): {}", show(fields));
        }
        assert!(!if_range_holds(&UNSETTLED, [(IfRange, EXACT)].into_iter()), "a weak date is no match (8.8.2.2)");
        assert!(if_range_holds(&UNSETTLED, [(IfRange, SETTLED.etag)].into_iter()), "and leaves tags alone");
    }
}
