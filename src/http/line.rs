//! Finding the lines of a request head, however its bytes arrive.
//!
//! The scanner looks at each byte once, in order, and refuses at the first one that may not stand where it stands, so that the
//! verdict does not depend on how the bytes were cut. A line ends in CRLF and in nothing else (RFC 9112 section 2.2).

use super::{Reject, Span, grammar};

/// Which line is looked for, and so what may stand in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LineKind {
    /// The request line: at most so many bytes without its CRLF, and no HTAB.
    Request {
        /// The limit in bytes.
        max_length: usize,
    },
    /// A field line: limited by the buffer alone.
    Field,
}

/// Where the scan stands, counted from the first byte of the request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LineScanner {
    line_start: usize,
    scanned: usize,
}

impl LineScanner {
    /// How many bytes of the request need not be looked at again.
    #[must_use]
    pub fn scanned(&self) -> usize {
        self.scanned
    }

    /// The next line without its CRLF, or nothing until more bytes have come.
    ///
    /// # Errors
    /// A control byte, a bare CR, a bare LF, or a request line over its limit: whichever comes first.
    pub fn next_line(&mut self, request: &[u8], kind: LineKind) -> Result<Option<Span>, Reject> {
        loop {
            let found = grammar::find_control(request.get(self.scanned..).unwrap_or_default());
            let position = found.map_or(request.len(), |offset| self.scanned + offset);
            if let LineKind::Request { max_length } = kind
                && position - self.line_start > max_length
            {
                return Err(Reject::RequestLineTooLong);
            }
            self.scanned = position;
            match (request.get(position), request.get(position + 1)) {
                (None, _) | (Some(b'\r'), None) => return Ok(None),
                (Some(b'\r'), Some(b'\n')) => {
                    let line = Span::new(self.line_start, position);
                    self.scanned = position + 2;
                    self.line_start = self.scanned;
                    return Ok(Some(line));
                }
                (Some(b'\r'), Some(_)) => return Err(Reject::BareCr),
                (Some(b'\n'), _) => return Err(Reject::BareLf),
                (Some(b'\t'), _) if kind == LineKind::Field => self.scanned = position + 1,
                (Some(_), _) => return Err(Reject::ControlByte),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What the scanner says of `bytes` when they come in two parts.
    fn scan(bytes: &[u8], split: usize, kind: LineKind) -> Result<Option<Span>, Reject> {
        let mut scanner = LineScanner::default();
        match scanner.next_line(&bytes[..split], kind) {
            Ok(None) => scanner.next_line(bytes, kind),
            verdict => verdict,
        }
    }

    #[test]
    fn the_verdict_does_not_depend_on_the_split() {
        let request = LineKind::Request { max_length: 5 };
        type Case = (&'static [u8], LineKind, Result<Option<Span>, Reject>);
        let cases: &[Case] = &[
            (b"GET\r\n", request, Ok(Some(Span::new(0, 3)))),
            (b"GET /\r\n", request, Ok(Some(Span::new(0, 5)))),
            (b"GET /a\r\n", request, Err(Reject::RequestLineTooLong)),
            (b"GET /\r ", request, Err(Reject::BareCr)),
            (b"GET /\0\r\n", request, Err(Reject::ControlByte)),
            (b"GET /a\0", request, Err(Reject::RequestLineTooLong)),
            (b"G\tT\r\n", request, Err(Reject::ControlByte)),
            (b"GET\n", request, Err(Reject::BareLf)),
            (b"a:\tb\r\n", LineKind::Field, Ok(Some(Span::new(0, 4)))),
            (b"a: \x7f\r\n", LineKind::Field, Err(Reject::ControlByte)),
            (b"a: b\r\r\n", LineKind::Field, Err(Reject::BareCr)),
            (b"\r\n", LineKind::Field, Ok(Some(Span::new(0, 0)))),
        ];
        for (bytes, kind, expected) in cases {
            for split in 0..=bytes.len() {
                assert_eq!(scan(bytes, split, *kind), *expected, "{bytes:?} split at {split}");
            }
        }
    }

    #[test]
    fn a_byte_is_scanned_once() {
        let mut scanner = LineScanner::default();
        let line = [b'a'; 1000];
        for filled in 0..=line.len() {
            assert_eq!(scanner.next_line(&line[..filled], LineKind::Field), Ok(None));
            assert_eq!(scanner.scanned(), filled);
        }
    }
}
