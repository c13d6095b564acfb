//! How a record of the access log reads: the Common Log Format, the same with Referer and User-Agent, or JSON.
//!
//! A line is printable ASCII whatever a peer sent: nothing breaks it, ends a quoted text before its end or forges another line.

use super::AccessFormat;
use super::access::{AccessRecord, Text};
use crate::http::date::imf_fixdate;
use std::fmt::{self, Display, Formatter};

/// What stands for an end that was cut off.
const CUT: &str = "...";
const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/// A record as a line, without its end.
pub(super) struct AccessLine<'a> {
    pub(super) record: &'a AccessRecord,
    pub(super) format: AccessFormat,
}

impl Display for AccessLine<'_> {
    fn fmt(&self, out: &mut Formatter<'_>) -> fmt::Result {
        match self.format {
            AccessFormat::Common => common(out, self.record),
            AccessFormat::Combined => {
                common(out, self.record)?;
                write!(out, " \"{}\" \"{}\"", Shown(self.record.referer()), Shown(self.record.agent()))
            }
            AccessFormat::Json => json(out, self.record),
        }
    }
}

/// `host ident authuser [date] "request" status bytes`; what is not there is a hyphen.
fn common(out: &mut Formatter<'_>, record: &AccessRecord) -> fmt::Result {
    match record.peer {
        Some(peer) => write!(out, "{}", peer.ip())?,
        None => out.write_str("unix:")?,
    }
    let Moment { year, month, day, time, .. } = Moment::of(record.wall_milliseconds);
    let month = MONTHS.get(month - 1).copied().unwrap_or_default();
    let line = Some(record.line()).filter(|line| !line.bytes.is_empty());
    write!(out, " - - [{day:02}/{month}/{year:04}:{time} +0000] \"{}\" {} ", Shown(line), record.status)?;
    match record.content_bytes {
        0 => out.write_str("-"),
        bytes => write!(out, "{bytes}"),
    }
}

/// One object. The time is ISO 8601 in UTC, the duration in seconds.
fn json(out: &mut Formatter<'_>, record: &AccessRecord) -> fmt::Result {
    let Moment { year, month, day, time, millisecond } = Moment::of(record.wall_milliseconds);
    write!(out, "{{\"time\":\"{year:04}-{month:02}-{day:02}T{time}.{millisecond:03}Z\",")?;
    match record.peer {
        Some(peer) => write!(out, "\"client\":\"{}\",\"port\":{},", peer.ip(), peer.port())?,
        None => out.write_str("\"client\":\"unix:\",\"port\":null,")?,
    }
    let AccessRecord { connection, request, status, content_bytes, .. } = record;
    write!(out, "\"connection\":{connection},\"request\":{request},\"line\":{},", Json(Some(record.line())))?;
    write!(out, "\"status\":{status},\"bytes\":{content_bytes},")?;
    write!(out, "\"referer\":{},\"agent\":{},", Json(record.referer()), Json(record.agent()))?;
    let microseconds = record.duration / 1000;
    write!(out, "\"duration\":{}.{:06}}}", microseconds / 1_000_000, microseconds % 1_000_000)
}

/// A moment as the calendar has it, in UTC.
struct Moment {
    year: u16,
    month: usize,
    day: u8,
    /// `23:30:05`
    time: Clock,
    millisecond: u64,
}

struct Clock([u8; 8]);

impl Moment {
    /// The calendar is that of the dates in responses: this takes apart what they are made of.
    fn of(wall_milliseconds: u64) -> Self {
        let date = imf_fixdate(i64::try_from(wall_milliseconds / 1000).unwrap_or(i64::MAX));
        let [_, _, _, _, _, d1, d2, _, m1, m2, m3, _, y1, y2, y3, y4, _, time @ .., _, _, _, _] = date;
        let number = |digits: &[u8]| digits.iter().fold(0, |number, digit| number * 10 + u16::from(digit - b'0'));
        let month = MONTHS.iter().position(|name| name.as_bytes() == [m1, m2, m3]).unwrap_or_default();
        Self {
            year: number(&[y1, y2, y3, y4]),
            month: month + 1,
            day: (d1 - b'0') * 10 + (d2 - b'0'),
            time: Clock(time),
            millisecond: wall_milliseconds % 1000,
        }
    }
}

impl Display for Clock {
    fn fmt(&self, out: &mut Formatter<'_>) -> fmt::Result {
        out.write_str(std::str::from_utf8(&self.0).unwrap_or_default())
    }
}

/// A text between quotation marks of the common formats, which the caller writes; a hyphen where there is none.
struct Shown<'a>(Option<Text<'a>>);

impl Display for Shown<'_> {
    fn fmt(&self, out: &mut Formatter<'_>) -> fmt::Result {
        let Some(text) = self.0 else { return out.write_str("-") };
        escape(out, text, |out, byte| write!(out, "\\x{byte:02X}"))
    }
}

/// A text as a JSON string of ASCII (RFC 8259 section 7), each byte above it as the code point of that number; or null.
struct Json<'a>(Option<Text<'a>>);

impl Display for Json<'_> {
    fn fmt(&self, out: &mut Formatter<'_>) -> fmt::Result {
        let Some(text) = self.0 else { return out.write_str("null") };
        out.write_str("\"")?;
        escape(out, text, |out, byte| match byte {
            b'"' | b'\\' => write!(out, "\\{}", char::from(byte)),
            _ => write!(out, "\\u{byte:04x}"),
        })?;
        out.write_str("\"")
    }
}

/// Writes printable ASCII as it is and lets `other` write the rest, quotation marks and backslashes among it.
fn escape(
    out: &mut Formatter<'_>,
    text: Text<'_>,
    other: impl Fn(&mut Formatter<'_>, u8) -> fmt::Result,
) -> fmt::Result {
    let mut rest = text.bytes;
    loop {
        let end = rest.iter().position(|byte| matches!(byte, b'"' | b'\\' | ..=0x1f | 0x7f..));
        let (plain, after) = rest.split_at(end.unwrap_or(rest.len()));
        // What is plain is ASCII.
        out.write_str(std::str::from_utf8(plain).unwrap_or_default())?;
        let Some((&byte, after)) = after.split_first() else { break };
        other(out, byte)?;
        rest = after;
    }
    if text.is_cut { out.write_str(CUT) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::super::access::Access;
    use super::super::access::tests::{ACCESS, record};
    use super::*;
    use crate::http::Status;

    fn line(format: AccessFormat, access: &Access<'_>) -> String {
        AccessLine { record: &record(access), format }.to_string()
    }

    fn peer(text: &str) -> Option<std::net::SocketAddr> {
        Some(text.parse().expect("it is an address"))
    }

    #[test]
    fn the_common_log_format_is_exactly_this() {
        for (access, expected) in [
            (
                Access { peer: peer("127.0.0.1:52341"), ..ACCESS },
                r#"127.0.0.1 - - [22/Nov/2026:23:30:05 +0000] "GET /a HTTP/1.1" 200 6"#,
            ),
            (
                Access { peer: peer("[2001:db8::1]:80"), status: Status::NoContent.into(), content_bytes: 0, ..ACCESS },
                r#"2001:db8::1 - - [22/Nov/2026:23:30:05 +0000] "GET /a HTTP/1.1" 204 -"#,
            ),
            (
                Access { line: b"", status: Status::ServiceUnavailable.into(), content_bytes: u64::MAX, ..ACCESS },
                r#"unix: - - [22/Nov/2026:23:30:05 +0000] "-" 503 18446744073709551615"#,
            ),
            (
                Access { wall_milliseconds: 0, referer: Some(b"r"), agent: Some(b"a"), ..ACCESS },
                r#"unix: - - [01/Jan/1970:00:00:00 +0000] "GET /a HTTP/1.1" 200 6"#,
            ),
            (
                Access { wall_milliseconds: 951_782_399_999, ..ACCESS },
                r#"unix: - - [28/Feb/2000:23:59:59 +0000] "GET /a HTTP/1.1" 200 6"#,
            ),
        ] {
            assert_eq!(line(AccessFormat::Common, &access), expected);
        }
    }

    #[test]
    fn the_combined_format_adds_referer_and_agent() {
        let front = r#"127.0.0.1 - - [22/Nov/2026:23:30:05 +0000] "GET /a HTTP/1.1" 200 6"#;
        let access = Access { peer: peer("127.0.0.1:1"), ..ACCESS };
        assert_eq!(line(AccessFormat::Combined, &access), format!(r#"{front} "-" "-""#));
        let access = Access { referer: Some(b""), agent: Some(b"curl/8 (\"x\")\xff"), ..access };
        assert_eq!(line(AccessFormat::Combined, &access), format!(r#"{front} "" "curl/8 (\x22x\x22)\xFF""#));
    }

    #[test]
    fn a_json_line_is_exactly_this() {
        assert_eq!(
            line(AccessFormat::Json, &ACCESS),
            r#"{"time":"2026-11-22T23:30:05.042Z","client":"unix:","port":null,"connection":3,"request":1,"line":"GET /a HTTP/1.1","status":200,"bytes":6,"referer":null,"agent":null,"duration":0.000123}"#
        );
        let access = Access {
            peer: peer("[::1]:52341"),
            line: b"",
            referer: Some(b"\"\\/"),
            agent: Some(b"\0\n\x7f\x80\xff"),
            duration: 61_000_000_999,
            ..ACCESS
        };
        assert_eq!(
            line(AccessFormat::Json, &access),
            r#"{"time":"2026-11-22T23:30:05.042Z","client":"::1","port":52341,"connection":3,"request":1,"line":"","status":200,"bytes":6,"referer":"\"\\/","agent":"\u0000\u000a\u007f\u0080\u00ff","duration":61.000000}"#
        );
    }

    #[test]
    fn every_byte_is_shown_and_none_breaks_a_line() {
        for byte in 0..=u8::MAX {
            let (sent, is_plain) = ([byte], matches!(byte, 0x20..=0x7e) && !matches!(byte, b'"' | b'\\'));
            let plain = char::from(byte).to_string();
            let common = if is_plain { plain.clone() } else { format!("\\x{byte:02X}") };
            let json = match byte {
                _ if is_plain => plain,
                b'"' | b'\\' => format!("\\{}", char::from(byte)),
                _ => format!("\\u{byte:04x}"),
            };
            let access = Access { line: &sent, referer: Some(&sent), agent: Some(&sent), ..ACCESS };
            let combined = line(AccessFormat::Combined, &access);
            assert!(combined.ends_with(&format!("\"{common}\" 200 6 \"{common}\" \"{common}\"")), "{byte}: {combined}");
            let object = line(AccessFormat::Json, &access);
            assert!(object.contains(&format!("\"line\":\"{json}\",\"status\"")), "{byte}: {object}");
            assert!(object.contains(&format!("\"referer\":\"{json}\",\"agent\":\"{json}\",")), "{byte}: {object}");
            assert!((combined + &object).bytes().all(|byte| matches!(byte, 0x20..=0x7e)), "{byte}");
        }
    }

    #[test]
    fn what_was_cut_is_marked() {
        let (long, agent) = ([b'l'; 1000], [b'\n'; 300]);
        let access = Access { line: &long, agent: Some(&agent), ..ACCESS };
        let (kept, kept_agent) = ("l".repeat(720), "\\x0A".repeat(208));
        let combined = line(AccessFormat::Combined, &access);
        assert!(combined.ends_with(&format!("\"{kept}...\" 200 6 \"-\" \"{kept_agent}...\"")), "{combined}");
        let object = line(AccessFormat::Json, &access);
        assert!(object.contains(&format!("\"line\":\"{kept}...\",")), "{object}");
    }
}
