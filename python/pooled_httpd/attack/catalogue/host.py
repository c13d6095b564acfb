"""Host: that it is there once, that it is ``uri-host [":" port]`` and nothing else, and what a strange one must not
reach (RFC 9112 section 3.2, RFC 9110 section 7.2, RFC 3986 section 3.2).

Which hosts a server answers for is its own matter, so a well-formed one may be refused. A malformed one must be.
"""

from __future__ import annotations

from pooled_httpd.attack.case import (
    Case,
    Danger,
    Family,
    Level,
    Outcome,
    answers,
    closes,
    is_known,
    keeps,
)

_LINE = b"GET {known} HTTP/1.1\r\n"
#: What a server says that does not answer for a host.
_NOT_MINE = (403, 404, 421)


def _invalid(
    rule: str,
    head: bytes,
    why: str,
    *also: Outcome,
    section: str = "RFC 9112 section 3.2",
    forbid: tuple[Danger, ...] = (),
) -> Case:
    """Make a case with this header section, which has no Host, several or a malformed one."""
    return Case(
        id=f"host_{rule}",
        data=_LINE + head + b"\r\n",
        section=section,
        level=Level.MUST,
        strict=closes(400),
        accept=(answers(400), *also),
        forbid=forbid,
        why=why,
    )


def _rejects(rule: str, value: bytes, why: str) -> Case:
    """Make a case with one Host line, whose value is malformed."""
    return _invalid(f"rejects_{rule}", b"Host: " + value + b"\r\n", why)


def _valid(rule: str, value: bytes, why: str, *codes: int) -> Case:
    """Make a case with a well-formed Host, which the server may not know."""
    return Case(
        id=f"host_{rule}",
        data=_LINE + b"Host: " + value + b"\r\n\r\n",
        section="RFC 9110 section 7.2",
        level=Level.SHOULD,
        strict=keeps(200),
        accept=(answers(200, *_NOT_MINE, *codes),),
        why=why,
    )


_PRESENCE = (
    _invalid("missing_is_refused", b"", "Without it a server guesses the site, and a cache in front guesses another."),
    Case(
        id="host_missing_is_refused_with_an_absolute_target",
        data=b"GET http://{host}{known} HTTP/1.1\r\n\r\n",
        section="RFC 9112 section 3.2",
        level=Level.MUST,
        strict=closes(400),
        accept=(answers(400),),
        why="The target names a host and the field is due all the same: who forwards the path alone has none to send.",
    ),
    _invalid(
        "empty_is_refused",
        b"Host:\r\n",
        "An http URI has a host; an empty one matches whatever pattern allows for nothing.",
        section="RFC 9110 section 4.2.1",
    ),
    _invalid(
        "of_white_space_is_refused",
        b"Host: \t \r\n",
        "White space around the value is no part of it, so this is empty, unless the check comes before the trimming.",
        section="RFC 9110 section 4.2.1",
    ),
    _invalid(
        "repeated_is_refused",
        b"Host: {host}\r\nHost: {host}\r\n",
        "Two lines that agree are still two; a front that changes the first leaves the second to the server behind.",
    ),
    _invalid(
        "repeated_with_another_value_is_refused",
        b"Host: {host}\r\nHost: evil.example\r\n",
        "One takes the first and another the last: what is stored under the first name is the second's (cache "
        "poisoning).",
        forbid=(Danger.SERVED,),
    ),
    _invalid(
        "repeated_in_another_case_is_refused",
        b"hOST: evil.example\r\nX-Between: 1\r\nHost: {host}\r\n",
        "Names that are compared with their case are counted as two different fields.",
        forbid=(Danger.SERVED,),
    ),
    _invalid(
        "repeated_with_an_empty_value_is_refused",
        b"Host: {host}\r\nHost:\r\n",
        "A table that keeps the last value loses the host to a line that looks like none.",
    ),
    Case(
        id="host_repeated_is_refused_in_1_0",
        data=b"GET {known} HTTP/1.0\r\nHost: {host}\r\nHost: evil.example\r\n\r\n",
        section="RFC 9112 section 3.2",
        level=Level.MUST,
        strict=closes(400),
        accept=(answers(400),),
        forbid=(Danger.SERVED,),
        why="Host is optional in 1.0, but that one is enough holds for any request: a downgrade must not undo it.",
    ),
)

_WELL_FORMED = (
    Case(
        id="host_is_found_in_any_case_and_without_space",
        data=_LINE + b"X-First: 1\r\nX-Second: 2\r\nhOsT:{host}\r\n\r\n",
        section="RFC 9110 section 5.1",
        level=Level.MUST,
        strict=keeps(200),
        accept=(answers(200),),
        checks=(is_known(),),
        why="Place and case mean nothing and the space is optional; a server that needs them refuses good clients.",
    ),
    Case(
        id="host_is_trimmed_of_spaces_and_tabs",
        data=_LINE + b"Host: \t{host} \t \r\n\r\n",
        section="RFC 9112 section 5.1",
        level=Level.MUST,
        strict=keeps(200),
        accept=(answers(200),),
        checks=(is_known(),),
        why="A host with a tab behind it is the same host; kept in the value, it is a new name in every cache.",
    ),
    _valid(
        "may_be_another_name",
        b"elsewhere.example",
        "A strange name is at most not found; it must not break the server.",
    ),
    _valid(
        "may_be_an_ipv6_address",
        b"[::1]:8080",
        "Colons inside brackets are not the port's; split at the first one, the host is a bracket.",
    ),
    _valid(
        "may_have_an_empty_port",
        b"localhost:",
        "A colon without digits is legal, and a number function that gets nothing may find anything.",
    ),
    _valid(
        "may_end_in_a_dot",
        b"localhost.",
        "The rooted form of a name is the same host; two spellings of one site split caches and pass filters.",
        400,
    ),
    _valid(
        "may_be_percent_encoded",
        b"local%68ost",
        "Decoded by one server and compared raw by the next, it is two hosts.",
        400,
    ),
    _valid(
        "of_dots_is_no_path",
        b"..",
        "Dots are a legal name; a server that keeps one directory a host opens the one above.",
        400,
    ),
    _valid(
        "may_have_sub_delims",
        b"a!$&'()*+;=_~",
        "Legal in a URI, and poison to whoever puts it into a shell, a query or a page.",
        400,
    ),
    _valid(
        "of_4000_bytes_is_no_harm",
        b"a" * 4000,
        "Names go into arrays of 255 bytes, as DNS has them, and a field value knows no such limit.",
        400,
        414,
        431,
    ),
)

_MALFORMED = (
    _rejects(
        "a_space", b"localhost evil.example", "Cut at the space or not, it is one host to a filter, another here."
    ),
    _rejects(
        "a_tab", b"localhost\tevil.example", "HTAB is legal in values, not in hosts; trimmed inside, it joins two."
    ),
    _rejects(
        "a_list",
        b"localhost, evil.example",
        "Two lines that a front has joined are still two hosts, and each reader picks its own.",
    ),
    _rejects(
        "user_information", b"localhost@evil.example", "What stands before the @ reads like the host and is none."
    ),
    _rejects("a_path", b"localhost/evil", "Joined to a URL it is host and path, and a link to somewhere else."),
    _rejects(
        "dot_segments",
        b"../../../../../../../../etc",
        "A directory of the host's name is how many servers find a site, and this one is outside of all.",
    ),
    _rejects(
        "a_backslash", b"localhost\\evil", "To a browser a backslash in a URL is a slash, to a host check a letter."
    ),
    _rejects(
        "a_query", b"localhost?evil", "In a URL made of it the path becomes a query, and a rule on paths is passed."
    ),
    _rejects("a_fragment", b"localhost#evil", "In a URL made of it everything behind is cut off."),
    _rejects("a_scheme", b"http://localhost", "A URL is no host; split at the colon, the host is http."),
    _rejects("markup", b"<script>alert(1)</script>", "Error pages and redirects print the host, and this one runs."),
    _rejects("quotes", b'"localhost"', "Quoted strings are for other fields; taken off by one reader, they differ."),
    _rejects(
        "nul", b"localhost\x00.evil.example", "To string functions the name ends at NUL, to the cache it does not."
    ),
    _rejects("a_control_byte", b"localhost\x1b[2J", "Hosts go to terminals and logs, and escape sequences act there."),
    _rejects("a_vertical_tab_behind_it", b"localhost\x0b", "Trimmed as white space it is this host, kept it is none."),
    _rejects("a_no_break_space_behind_it", b"localhost\xa0", "Trimmed as Latin-1 white space it is another host."),
    _rejects("eight_bit_bytes", b"b\xc3\xbccher.example", "Raw UTF-8 is normalized by some and hashed raw by others."),
    _rejects("bad_percent_encoding", b"local%zzhost", "A decoder that goes on after bad digits makes up the bytes."),
    _rejects("cut_percent_encoding", b"localhost%4", "The decoder takes its second digit from behind the value."),
    _rejects("a_port_without_host", b":80", "The host is empty, and the part before the colon is used all the same."),
    _rejects("letters_for_a_port", b"localhost:http", "A number function answers 0 for letters, which is a port too."),
    _rejects("a_signed_port", b"localhost:+80", "Number functions take signs; filters that compare text do not."),
    _rejects("a_second_port", b"localhost:80:443", "Split from the left and from the right it is two hosts."),
    _rejects(
        "a_name_behind_the_port", b"localhost:80.evil.example", "A suffix rule sees evil.example, others port 80."
    ),
    _rejects("an_open_bracket", b"[::1", "The search for the bracket's end runs on into whatever follows."),
    _rejects("empty_brackets", b"[]", "An address of no bytes is read from the byte behind."),
    _rejects("letters_in_an_ipv6_address", b"[::g]", "Brackets are no licence for any content."),
    _rejects("a_name_behind_the_brackets", b"[::1]evil.example", "Who stops at the bracket sees loopback, trusted."),
    _rejects("an_ipv6_address_without_brackets", b"::1", "Which colon begins the port is anybody's guess."),
    Case(
        id="host_rejects_a_port_that_wraps_around",
        data=_LINE + b"Host: localhost:65616\r\n\r\n",
        section="RFC 3986 section 3.2.3",
        level=Level.MAY,
        strict=closes(400),
        accept=(answers(400, 403, 404, 421),),
        why="In 16 bits it is port 80: a link or a redirect made of it leads to another service.",
    ),
    Case(
        id="host_malformed_is_refused_with_an_absolute_target",
        data=b"GET http://{host}{known} HTTP/1.1\r\nHost: a b/c\r\n\r\n",
        section="RFC 9112 section 3.2",
        level=Level.MUST,
        strict=closes(400),
        accept=(answers(400),),
        why="The field is not used for routing here, but what it says is copied into logs and forwarded all the same.",
    ),
    Case(
        id="host_malformed_is_refused_in_1_0",
        data=b"GET {known} HTTP/1.0\r\nHost: localhost/evil\r\n\r\n",
        section="RFC 9112 section 3.2",
        level=Level.MUST,
        strict=closes(400),
        accept=(answers(400),),
        why="The rule is for any request message; a version one lower must not be the way around it.",
    ),
)

FAMILY = Family("host", "Host", (*_PRESENCE, *_WELL_FORMED, *_MALFORMED))
