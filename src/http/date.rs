//! Dates as HTTP writes them (IMF-fixdate, RFC 9110 section 5.6.7), without heap and without a date that cannot be written.

use httpdate::HttpDate;
use std::fmt::Write;
use std::time::{Duration, UNIX_EPOCH};

/// The length of every IMF-fixdate.
pub const DATE_LENGTH: usize = 29;
/// The last second that an IMF-fixdate can name: the end of the year 9999.
const LAST_SECOND: i64 = 253_402_300_799;

/// The IMF-fixdate of `seconds` since 1970, brought into the years 1970 to 9999: a file may claim any time.
#[must_use]
pub fn imf_fixdate(seconds: i64) -> [u8; DATE_LENGTH] {
    let seconds = u64::try_from(seconds.clamp(0, LAST_SECOND)).unwrap_or_default();
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
}
