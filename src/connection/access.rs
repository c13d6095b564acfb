//! What the access log is told of an answer once it is over.

use super::core::Core;
use super::{Connection, State};
use crate::http::Reject;
use crate::http::field::FieldName;
use crate::trace::Access;
use std::net::SocketAddr;

impl Core {
    /// Tells the access log of a newcomer that got a 503 of so many bytes before it sent any request.
    pub(super) fn log_refused(&mut self, number: u64, peer: Option<SocketAddr>, reject: Reject, sent: usize) {
        self.tracer.access(&Access {
            connection: number,
            request: 0,
            peer,
            wall_milliseconds: self.now.wall_milliseconds(),
            status: reject.status().into(),
            // The content is the last of what was sent, all of it or nothing.
            content_bytes: sent.min(reject.content().len()) as u64,
            duration: 0,
            line: b"",
            referer: None,
            agent: None,
        });
    }
}

impl<F> Connection<F> {
    /// Tells the access log of the answer that ends here, where there is one and somebody keeps that log.
    pub(super) fn log_access(&self, core: &mut Core) {
        let Some(reply) = self.reply.as_ref().filter(|_| core.tracer.logs_access()) else { return };
        core.tracer.access(&Access {
            connection: self.number,
            request: self.requests,
            peer: self.peer,
            wall_milliseconds: core.now.wall_milliseconds(),
            status: reply.code,
            content_bytes: self.content_handed_over(),
            duration: core.now.time.since(self.request_started_at),
            line: self.request_line(),
            referer: self.field_value(FieldName::Referer),
            agent: self.field_value(FieldName::UserAgent),
        });
    }

    /// How much of the answer's content went to the kernel, or waits in the send buffer of a connection that goes on.
    pub(super) fn content_handed_over(&self) -> u64 {
        let Some(reply) = &self.reply else { return 0 };
        // The content is the last of what is in the send buffer, and what is there when the connection ends goes nowhere.
        let unsent = if self.state == State::Closing { self.output_end.saturating_sub(self.output_start) } else { 0 };
        reply.content_written.saturating_sub(unsent as u64)
    }

    /// The request line; where it was refused before it could be taken apart, what was received of it.
    fn request_line(&self) -> &[u8] {
        let received = self.received_bytes();
        let line = self.request.line.line;
        if line.end() > 0 {
            return line.of(received);
        }
        // Up to the first LF, bare or not: what stands behind it may be a secret.
        let line = memchr::memchr(b'\n', received).map_or(received, |end| &received[..end]);
        line.strip_suffix(b"\r").unwrap_or(line)
    }

    /// The same without its version, where it could be taken apart.
    pub(super) fn method_and_target(&self) -> &[u8] {
        let target = self.request.line.target;
        // The line begins the request, and its parts count from there.
        self.received_bytes()
            .get(..target.end())
            .filter(|target| !target.is_empty())
            .unwrap_or_else(|| self.request_line())
    }

    /// The value of the first field line of that name.
    fn field_value(&self, name: FieldName) -> Option<&[u8]> {
        let fields = self.request.fields.iter(&self.lease.as_ref()?.pool);
        fields.filter(|field| field.name == name).map(|field| field.value.of(self.received_bytes())).next()
    }
}

#[cfg(test)]
mod tests {
    use super::super::table::tests::{TestTable, table};
    use super::super::{Action, Input, Now, State, Time};
    use super::*;
    use crate::alloc::thread_heap_use;
    use crate::trace::{AccessFormat, Drain, Level, Logger, Sink, trace, trace_with_access};
    use std::fmt;

    #[derive(Default)]
    struct Lines(Vec<String>);

    impl Sink for Lines {
        fn line(&mut self, _: Level, _: Logger, _: fmt::Arguments<'_>) {}

        fn access(&mut self, line: fmt::Arguments<'_>) {
            self.0.push(line.to_string().replace("unix: - - [01/Jan/1970:00:00:00 +0000] ", ""));
        }
    }

    fn logging_table() -> (TestTable, u32, Drain) {
        let (mut test, slot) = table();
        let (tracer, drain, _) = trace_with_access(Level::Off, Some(AccessFormat::Combined));
        *test.table.tracer() = tracer;
        test.table.set_now(Now::default());
        (test, slot, drain)
    }

    /// The lines of the access log without what is the same in all of them. Ends the log.
    fn lines(mut test: TestTable, drain: Drain) -> Vec<String> {
        *test.table.tracer() = trace(Level::Off).0;
        let mut lines = Lines::default();
        drain.run(&mut lines, "");
        lines.0
    }

    /// The lines of a connection that sends this and ends.
    fn lines_of(bytes: &[u8]) -> Vec<String> {
        let (mut test, slot, drain) = logging_table();
        test.feed(slot, bytes);
        let before = thread_heap_use();
        while test.step(slot) {}
        assert_eq!(thread_heap_use(), before);
        test.finish(slot);
        lines(test, drain)
    }

    #[test]
    fn each_answer_is_one_line_and_no_answer_is_none() {
        let one = b"GET /a HTTP/1.1\r\nHost: a\r\nReferer: http://b/\r\nReferer: c\r\nUser-Agent: d \"e\"\r\n\r\n";
        let line = r#""GET /a HTTP/1.1" 200 6 "http://b/" "d \x22e\x22""#;
        assert_eq!(lines_of(one), [line]);
        assert_eq!(lines_of(&one.repeat(3)), [line; 3]);
        let head = b"HEAD /a HTTP/1.1\r\nHost: a\r\nUser-Agent:\r\n\r\nOPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n";
        assert_eq!(lines_of(head), [r#""HEAD /a HTTP/1.1" 200 - "-" """#, r#""OPTIONS * HTTP/1.1" 204 - "-" "-""#]);
        assert_eq!(lines_of(b"GET /a HTTP/1.1\r\nHost: a\r\n"), [""; 0]);
        assert_eq!(lines_of(b"\r\n"), [""; 0]);
    }

    #[test]
    fn of_a_refused_request_there_is_what_was_received_of_its_line() {
        for (bytes, line) in [
            (&b"GET /a HTTP/1.1\r\nUser-Agent: d\r\n\r\n"[..], r#""GET /a HTTP/1.1" 400 61 "-" "d""#),
            (b"G@T /a HTTP/1.1\r\nHost: a\r\n\r\n", r#""G@T /a HTTP/1.1" 400"#),
            (b"GET /\"\x1b[31m\0 HTTP/1.1\r\nHost: a\r\n\r\n", r#""GET /\x22\x1B[31m\x00 HTTP/1.1" 400"#),
            (b"GET /a HTTP/1.1\nAuthorization: secret\n\n", r#""GET /a HTTP/1.1" 400"#),
            (b"GET /\rHost: a\r\n\r\n", r#""GET /\x0DHost: a" 400"#),
            (b"\r\n\r\n\0", r#""\x00" 400"#),
            (b"\n", r#""-" 400"#),
        ] {
            let told = lines_of(bytes);
            assert_eq!(told.len(), 1, "{}", bytes.escape_ascii());
            assert!(told[0].starts_with(line), "{}: {told:?}", bytes.escape_ascii());
        }
    }

    #[test]
    fn a_request_that_does_not_come_to_its_end_has_what_came_of_it() {
        let (mut test, slot, drain) = logging_table();
        test.feed(slot, b"GET /never-en");
        test.table.set_now(Now { time: Time(1 << 60), ..Now::default() });
        assert_eq!(test.table.expire(), Some(slot));
        test.finish(slot);
        let told = lines(test, drain);
        assert_eq!(told.len(), 1);
        assert!(told[0].starts_with(r#""GET /never-en" 408 "#), "{told:?}");
    }

    /// The bytes that are told of an answer whose peer is lost after the kernel took so much of it.
    fn bytes_told(taken: usize) -> String {
        let (mut test, slot, drain) = logging_table();
        test.feed(slot, b"GET /a HTTP/1.1\r\nHost: a\r\n\r\n");
        loop {
            if let Action::Send { bytes, .. } = test.table.next_action(slot) {
                assert!(taken < bytes.len());
                break;
            }
            assert!(test.step(slot));
        }
        if taken > 0 {
            test.table.sent(slot, taken);
        }
        test.table.receive(slot, Input::Lost);
        while test.table.state(slot) != State::Free && test.step(slot) {}
        let told = lines(test, drain);
        assert_eq!(told.len(), 1);
        told[0].split(' ').nth(4).expect("it is the fifth word").to_owned()
    }

    #[test]
    fn an_answer_that_is_broken_off_has_the_bytes_that_were_taken() {
        let (mut test, slot, _drain) = logging_table();
        test.feed(slot, b"GET /a HTTP/1.1\r\nHost: a\r\n\r\n");
        while test.step(slot) {}
        let whole = test.sent.len();
        for (missing, told) in [(1, "5"), (5, "1"), (6, "-"), (7, "-"), (whole, "-")] {
            assert_eq!(bytes_told(whole - missing), told, "{missing} bytes are missing");
        }
    }

    #[test]
    fn a_newcomer_that_is_refused_is_a_line_too() {
        let (mut test, _, drain) = logging_table();
        let peer = "192.0.2.1:1".parse().ok();
        let content = Reject::NoSlot.content().len();
        test.table.refused(peer, Reject::NoSlot, 200);
        test.table.refused(peer, Reject::NoDescriptor, 0);
        let line = "192.0.2.1 - - [01/Jan/1970:00:00:00 +0000] \"-\" 503";
        assert_eq!(lines(test, drain), [format!("{line} {content} \"-\" \"-\""), format!("{line} - \"-\" \"-\"")]);
    }
}
