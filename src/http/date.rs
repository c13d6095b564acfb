//! Dates as HTTP writes and reads them (RFC 9110 section 5.6.7), without heap and without a date that cannot be written.

use httpdate::HttpDate;
use std::fmt::Write;
use std::time::{Duration, UNIX_EPOCH};

/// The length of every IMF-fixdate.
pub const DATE_LENGTH: usize = 29;
/// The last second that an IMF-fixdate can name: the end of the year 9999.
const LAST_SECOND: i64 = 253_402_300_799;

/// `seconds` since 1970, brought into the years 1970 to 9999, which a date can name: a file may claim any time.
#[must_use]
pub fn in_range(seconds: i64) -> i64 {
    seconds.clamp(0, LAST_SECOND)
}

/// The IMF-fixdate of `seconds` since 1970, brought into range.
#[must_use]
pub fn imf_fixdate(seconds: i64) -> [u8; DATE_LENGTH] {
    let seconds = u64::try_from(in_range(seconds)).unwrap_or_default();
    let mut text = Cursor { bytes: [b' '; DATE_LENGTH], length: 0 };
    // The cursor has room for exactly what httpdate writes.
    let _ = write!(text, "{}", HttpDate::from(UNIX_EPOCH + Duration::from_secs(seconds)));
    text.bytes
}

struct Cursor {
    bytes: [u8; DATE_LENGTH],
    length: usize,
}

impl Write for Cursor {
    fn write_str(&mut self, text: &str) -> std::fmt::Result {
        let end = self.length + text.len();
        self.bytes.get_mut(self.length..end).ok_or(std::fmt::Error)?.copy_from_slice(text.as_bytes());
        self.length = end;
        Ok(())
    }
}

/// The seconds since 1970 of `HTTP-date = IMF-fixdate / obs-date`, `obs-date = rfc850-date / asctime-date`.
///
/// httpdate takes the case, the digits and the day of the week strictly. What it takes beside the grammar, white space
/// around the date and any byte before the time of an rfc850-date, is refused here. It knows no year before 1970 and no
/// leap second; such a date counts as not valid. The two digits of an rfc850-date name a year from 1970 to 2069: that a
/// date more than 50 years ahead is of the past century (section 5.6.7) would need the clock.
#[must_use]
pub fn parse_http_date(value: &[u8]) -> Option<i64> {
    let text = std::str::from_utf8(value).ok().filter(|text| text.trim().len() == text.len())?;
    // An rfc850-date and an IMF-fixdate end in `SP hour ":" minute ":" second SP "GMT"`.
    if let [.., before, _, _, b':', _, _, b':', _, _, b' ', b'G', b'M', b'T'] = value
        && *before != b' '
    {
        return None;
    }
    let date = httpdate::parse_http_date(text).ok()?;
    i64::try_from(date.duration_since(UNIX_EPOCH).ok()?.as_secs()).ok()
}

/// The current date, written once a second.
#[derive(Clone, Copy, Debug)]
pub struct DateCache {
    seconds: i64,
    text: [u8; DATE_LENGTH],
}

impl DateCache {
    /// A cache that holds the date of `seconds` since 1970.
    #[must_use]
    pub fn new(seconds: i64) -> Self {
        Self { seconds, text: imf_fixdate(seconds) }
    }

    /// The date of `seconds` since 1970.
    pub fn at(&mut self, seconds: i64) -> &[u8; DATE_LENGTH] {
        if seconds != self.seconds {
            *self = Self::new(seconds);
        }
        &self.text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_written_and_brought_into_range() {
        assert_eq!(&imf_fixdate(784_111_777), b"Sun, 06 Nov 1994 08:49:37 GMT");
        assert_eq!(&imf_fixdate(-1), b"Thu, 01 Jan 1970 00:00:00 GMT");
        assert_eq!(&imf_fixdate(i64::MIN), b"Thu, 01 Jan 1970 00:00:00 GMT");
        assert_eq!(&imf_fixdate(i64::MAX), b"Fri, 31 Dec 9999 23:59:59 GMT");
        assert_eq!(&imf_fixdate(951_782_400), b"Tue, 29 Feb 2000 00:00:00 GMT");
    }

    #[test]
    fn the_cache_follows_the_clock_both_ways() {
        let mut cache = DateCache::new(10);
        assert_eq!(cache.at(11), &imf_fixdate(11));
        assert_eq!(cache.at(5), &imf_fixdate(5));
    }

    /// The three forms of one date.
    const FORMS: [&str; 3] =
        ["Sun, 06 Nov 1994 08:49:37 GMT", "Sunday, 06-Nov-94 08:49:37 GMT", "Sun Nov  6 08:49:37 1994"];

    #[test]
    fn all_three_forms_are_read_and_what_is_written_comes_back() {
        for form in FORMS {
            assert_eq!(parse_http_date(form.as_bytes()), Some(784_111_777), "{form}");
        }
        for seconds in [0, 1, 86_399, 951_782_400, 784_111_777, 4_102_444_800, LAST_SECOND] {
            assert_eq!(parse_http_date(&imf_fixdate(seconds)), Some(seconds));
        }
    }

    #[test]
    fn dates_by_rule() {
        for (rule, value, expected) in [
            ("rfc850: 69 is 2069", &b"Tuesday, 01-Jan-69 00:00:00 GMT"[..], Some(3_124_224_000)),
            ("rfc850: 70 is 1970", b"Thursday, 01-Jan-70 00:00:00 GMT", Some(0)),
            ("rfc850: the longest day", b"Wednesday, 02-Nov-94 08:49:37 GMT", Some(783_766_177)),
            ("asctime-date: date3 is 2DIGIT too", b"Sun Nov 06 08:49:37 1994", Some(784_111_777)),
            ("the day of the week is the date's", b"Mon, 06 Nov 1994 08:49:37 GMT", None),
            ("the day of the week is the date's", b"Monday, 06-Nov-94 08:49:37 GMT", None),
            ("the day of the week is the date's", b"Mon Nov  6 08:49:37 1994", None),
            ("dates are case-sensitive", b"sun, 06 Nov 1994 08:49:37 GMT", None),
            ("dates are case-sensitive", b"Sun, 06 NOV 1994 08:49:37 GMT", None),
            ("dates are case-sensitive", b"Sun, 06 Nov 1994 08:49:37 gmt", None),
            ("GMT is the only zone", b"Sun, 06 Nov 1994 08:49:37 UTC", None),
            ("GMT is the only zone", b"Sun, 06 Nov 1994 08:49:37 +0000", None),
            ("GMT is there", b"Sun, 06 Nov 1994 08:49:37", None),
            ("one SP where the grammar has it", b"Sun,  06 Nov 1994 08:49:37 GMT", None),
            ("one SP where the grammar has it", b"Sun,06 Nov 1994 08:49:37 GMT", None),
            ("no white space around", b" Sun, 06 Nov 1994 08:49:37 GMT", None),
            ("no white space around", b"Sun, 06 Nov 1994 08:49:37 GMT\x0b", None),
            ("no white space around", b"Sun Nov  6 08:49:37 1994 ", None),
            ("rfc850: SP before the time", b"Sunday, 06-Nov-94X08:49:37 GMT", None),
            ("rfc850: two digits of the year", b"Sunday, 06-Nov-1994 08:49:37 GMT", None),
            ("no such day", b"Wed, 30 Feb 1994 08:49:37 GMT", None),
            ("no such hour", b"Sun, 06 Nov 1994 24:00:00 GMT", None),
            ("a leap second is not known", b"Sat, 31 Dec 2016 23:59:60 GMT", None),
            ("no year before 1970", b"Wed, 31 Dec 1969 23:59:59 GMT", None),
            ("a list of dates is no date", b"Sun, 06 Nov 1994 08:49:37 GMT, Sun, 06 Nov 1994 08:49:37 GMT", None),
            ("seconds since 1970 are no date", b"784111777", None),
            ("obs-text is in no date", b"Sun, 06 Nov 1994 08:49:37 GM\xd4", None),
            ("nothing is no date", b"", None),
            ("a part is no date", b" GMT", None),
        ] {
            assert_eq!(parse_http_date(value), expected, "{rule}: {}", value.escape_ascii());
        }
    }

    #[test]
    fn one_byte_off_is_no_date_unless_it_is_a_digit() {
        for form in FORMS {
            for place in 0..form.len() {
                for byte in 0..=255_u8 {
                    let mut value = form.as_bytes().to_vec();
                    value[place] = byte;
                    // The SP before the one digit of an asctime-date may be a 0.
                    let both_digits = byte.is_ascii_digit() && matches!(form.as_bytes()[place], b'0'..=b'9' | b' ');
                    if parse_http_date(&value).is_some() && value != form.as_bytes() {
                        assert!(both_digits, "{}", value.escape_ascii());
                    }
                }
                assert_eq!(parse_http_date(&form.as_bytes()[..place]), None, "the first {place} of {form}");
            }
        }
    }
}
