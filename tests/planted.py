"""Small faults, as somebody might make them: each a piece of the server's source and what stands in its place.

The text must occur exactly once in its file. ``caught_by`` names the tests that run besides the kit's.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Fault:
    """A fault: what it does, where, and how."""

    name: str
    file: str
    right: str
    wrong: str
    caught_by: tuple[str, ...] = ()


#: The tests of what is registered, kept, and asked of a running server.
REGISTERED = ("tests/test_registered.py",)

FAULTS = (
    Fault(
        "a bare LF ends a line",
        "http/line.rs",
        "(Some(b'\\n'), _) => return Err(Reject::BareLf),",
        """(Some(b'\\n'), _) => {
                    let line = Span::new(self.line_start, position);
                    self.scanned = position + 1;
                    self.line_start = self.scanned;
                    return Ok(Some(line));
                }""",
    ),
    Fault(
        "a bare CR passes within a line",
        "http/line.rs",
        "(Some(b'\\r'), Some(_)) => return Err(Reject::BareCr),",
        "(Some(b'\\r'), Some(_)) => self.scanned = position + 1,",
    ),
    Fault(
        "one field line more than the limit",
        "connection/reading.rs",
        "self.request.fields.len() >= core.limits.max_field_lines",
        "self.request.fields.len() > core.limits.max_field_lines",
    ),
    Fault(
        "one byte more in a request line than the limit",
        "http/line.rs",
        "position - self.line_start > max_length",
        "position - self.line_start > max_length + 1",
        ("tests/test_attack_generators.py::test_each_limit_is_kept_to_the_byte",),
    ),
    Fault(
        "white space before the colon is trimmed",
        "http/field.rs",
        "let (name, [b':', value @ ..]) = bytes.split_at(end) else { return Err(Reject::FieldName) };",
        "let (name, rest) = bytes.split_at(end);\n"
        "        let [b':', value @ ..] = grammar::trim_ows(rest) else { return Err(Reject::FieldName) };",
    ),
    Fault(
        "a folded line is taken for a field line",
        "http/field.rs",
        "if matches!(bytes.first(), Some(b' ' | b'\\t')) {",
        "let bytes = grammar::trim_ows(bytes);\n        if false {",
    ),
    Fault(
        "Transfer-Encoding wins over Content-Length",
        "http/framing.rs",
        "            return Err(Reject::LengthAmbiguous);",
        "            return transfer_encoding(values(FieldName::TransferEncoding));",
    ),
    Fault(
        "the first of two lengths counts",
        "http/framing.rs",
        "    if second.is_some() {",
        "    if false {",
    ),
    Fault(
        "a sign before a length is skipped",
        "http/framing.rs",
        "let Some(digits) = length else { return Ok(ContentLength::None) };",
        "let Some(digits) = length else { return Ok(ContentLength::None) };\n"
        '    let digits = digits.strip_prefix(b"+").unwrap_or(digits);',
    ),
    Fault(
        "the last chunk's data may end in LF alone",
        "http/chunked.rs",
        "Place::DataCr => expect(byte, b'\\r', Place::DataLf, Reject::ChunkEnd)?,",
        "Place::DataCr if byte == b'\\n' => {\n self.digits = 0;\n Place::Size\n }\n"
        "            Place::DataCr => expect(byte, b'\\r', Place::DataLf, Reject::ChunkEnd)?,",
    ),
    Fault(
        "the content of a GET is not taken in",
        "connection/reading.rs",
        "if framing.content == ContentLength::None {",
        "use crate::http::request_line::Method;\n"
        "        if framing.content == ContentLength::None || self.request.line.method == Method::Get {",
    ),
    Fault(
        "any number of Host lines will do",
        "http/framing.rs",
        "(Some(_), Some(_)) => Err(Reject::HostRepeated),",
        "(Some(_), Some(_)) => Ok(()),",
    ),
    Fault(
        "HTTP/1.0 persists",
        "http/framing.rs",
        "keep_alive || version == Version::Http11",
        "keep_alive || version == Version::Http11 || version == Version::Http10",
    ),
    Fault(
        "only the first connection option counts",
        "http/framing.rs",
        "for option in lines.flat_map(grammar::list_elements) {",
        "for option in lines.flat_map(|line| grammar::list_elements(line).take(1)) {",
    ),
    Fault(
        "a refused request leaves the connection open",
        "connection/replying.rs",
        "let persistent = may_persist && self.may_persist(core);",
        "let persistent = self.may_persist(core);",
    ),
    Fault(
        "the error of a HEAD has content",
        "connection/replying.rs",
        'let sent = if self.request.line.method == Method::Head { "" } else { content };',
        "let sent = content;",
    ),
    Fault(
        "405 without Allow",
        "connection/replying.rs",
        "Status::NoContent | Status::MethodNotAllowed => head",
        "Status::NoContent => head",
    ),
    Fault(
        "a range ends a byte early",
        "http/range.rs",
        "Part::Bytes(ByteRange { first, last: last.min(end) }),",
        "Part::Bytes(ByteRange { first, last: last.min(end).saturating_sub(1).max(first) }),",
    ),
    Fault(
        "an escaping link is followed",
        "file/mod.rs",
        "ResolveFlags::BENEATH.union(ResolveFlags::NO_MAGICLINKS)",
        "ResolveFlags::NO_MAGICLINKS",
    ),
    Fault(
        "the state of one request lasts for the next",
        "connection/mod.rs",
        "        self.request = Request::default();\n",
        "        let Request { framing, fields, .. } = self.request;\n"
        "        self.request = Request { framing, fields, ..Request::default() };\n",
    ),
    Fault(
        "the pool is not reset",
        "connection/mod.rs",
        "let freed = lease.pool.reset();",
        "let freed = lease.pool.used();",
    ),
    Fault(
        "a lease is not given back",
        "connection/mod.rs",
        "            core.leases.give_back(lease);",
        "            std::mem::forget(lease);",
    ),
    Fault(
        "a byte sent is not counted",
        "connection/sending.rs",
        "core.counters.bytes_sent.add(count as u64);",
        "core.counters.bytes_sent.add((count as u64).saturating_sub(1));",
    ),
    Fault(
        "drained bytes are not counted",
        "connection/table.rs",
        "core.counters.bytes_received.add(count as u64);\n                connection.drained += count;",
        "connection.drained += count;",
    ),
    Fault(
        "a refused newcomer is no answer",
        "connection/table.rs",
        "        counters.total_requests.add(1);\n        counters.count_response(reject.status().into());",
        "        counters.count_response(reject.status().into());",
    ),
    Fault(
        "the heap is used for a request",
        "connection/mod.rs",
        "        self.in_request = true;\n",
        "        self.in_request = true;\n        drop(std::hint::black_box(Box::new(self.requests)));\n",
    ),
    Fault(
        "100 (Continue) is never sent",
        "connection/reading.rs",
        "            self.put_output(CONTINUE);",
        "            let _ = CONTINUE;",
    ),
    Fault(
        "bytes that trickle in prolong the header timeout",
        "connection/reading.rs",
        "        self.filled += count;\n",
        "        self.filled += count;\n"
        "        core.deadlines.arm(self.slot, super::deadlines::DeadlineKind::Header, core.now.time);\n",
    ),
    Fault(
        "the newest idle connection makes room",
        "connection/deadlines.rs",
        "Some(self.ends[kind as usize].0).filter",
        "Some(self.ends[kind as usize].1).filter",
    ),
    Fault(
        "a path is decoded twice",
        "http/target.rs",
        "    Ok(length)\n}\n\nfn decode_segment",
        """    if name[..length].contains(&b'%') {
        let mut again = [0; 8192];
        again[0] = b'/';
        again[1..=length].copy_from_slice(&name[..length]);
        return decode_path(&again[..=length], name);
    }
    Ok(length)
}

fn decode_segment""",
    ),
    Fault(
        "what changed is not looked at",
        "net/event_loop.rs",
        "self.root.refresh();",
        "",
        caught_by=("tests/test_freshness.py",),
    ),
    Fault(
        "the deadline of a pause is not armed",
        "connection/canned.rs",
        "                core.deadlines.arm_until(self.slot, DeadlineKind::Pause, due);\n",
        "",
        caught_by=REGISTERED,
    ),
    Fault(
        "a registered answer is not counted",
        "canned/mod.rs",
        "found.served.store(found.served() + 1, Ordering::Relaxed);",
        "found.served.store(found.served(), Ordering::Relaxed);",
        caught_by=REGISTERED,
    ),
    Fault(
        "a cut sends a byte more",
        "canned/mod.rs",
        "place.offset(head_length).min(length)",
        "(place.offset(head_length) + 1).min(length)",
        caught_by=REGISTERED,
    ),
    Fault(
        "a reset is a close",
        "connection/canned.rs",
        "                self.resets = true;\n",
        "",
        caught_by=REGISTERED,
    ),
    Fault(
        "a registered answer to HEAD has content",
        "connection/canned.rs",
        "let has_content = self.request.line.method != Method::Head || canned.head().is_none();",
        "let has_content = self.request.line.method != Method::Get || !canned.content().is_empty();",
        caught_by=REGISTERED,
    ),
    Fault(
        "a request is kept with what follows it",
        "connection/capturing.rs",
        "received.get(..request.head_length).filter(|_| is_complete).unwrap_or(received)",
        "received",
        caught_by=REGISTERED,
    ),
    Fault(
        "a server that begins anew leaves connections open",
        "net/event_loop.rs",
        "                self.table.dismiss_all();\n",
        "",
        caught_by=REGISTERED,
    ),
    Fault(
        "an order does not wait for what came before it",
        "net/event_loop.rs",
        "if turns == 0 || (turns < ORDER_TURNS && self.is_behind()) {",
        "if false {",
        caught_by=REGISTERED,
    ),
    Fault(
        "a stall for ever outlives its peer",
        "connection/canned.rs",
        "(self.is_paused_for_ever() && self.input_ended)",
        "(self.is_paused_for_ever() && self.resets)",
        caught_by=REGISTERED,
    ),
    Fault(
        "who stalls for ever is not heard of once its buffer is full",
        "connection/reading.rs",
        "self.state == State::Closing || self.is_paused_for_ever()",
        "self.state == State::Closing",
        caught_by=REGISTERED,
    ),
)
