"""HTTP-version: its grammar, other versions than 1.1, what 1.0 changes (RFC 9112 section 2.3, RFC 9110 section 2.5)."""

from __future__ import annotations

from pooled_httpd.attack.case import (
    Case,
    Check,
    Family,
    Level,
    Outcome,
    answers,
    closes,
    has_field,
    is_known,
    keeps,
    lacks_field,
    silent,
)

_HEAD = b"\r\nHost: {host}\r\n\r\n"


def _rejects(rule: str, version: bytes, why: str) -> Case:
    """Make a case with what is no HTTP-version."""
    return Case(
        id=f"version_rejects_{rule}",
        data=b"GET {known} " + version + _HEAD,
        section="RFC 9112 section 2.3",
        level=Level.SHOULD,
        strict=closes(400),
        accept=(silent(), answers(400, 501, 505)),
        why=why,
    )


def _not_supported(rule: str, line: bytes, why: str, *also: Outcome) -> Case:
    """Make a case with a version by the grammar whose major version is not 1."""
    return Case(
        id=f"version_{rule}",
        data=line + _HEAD,
        section="RFC 9110 section 15.6.6",
        level=Level.SHOULD,
        strict=closes(505),
        accept=(silent(), answers(400, 505), *also),
        why=why,
    )


_OLD = (
    Case(
        id="version_1_0_persists_where_asked",
        data=b"GET {known} HTTP/1.0\r\nHost: {host}\r\nConnection: keep-alive\r\n\r\n",
        section="RFC 9112 section 9.3",
        level=Level.MAY,
        strict=keeps(200),
        accept=(closes(200),),
        checks=(
            is_known(),
            lacks_field("transfer-encoding"),
            has_field("connection", "keep-alive|close"),
        ),
        why="Persistence of 1.0 must be asked for and granted in words, or the sides disagree where an answer ends.",
    ),
    Case(
        id="version_0_9_simple_request_is_refused",
        data=b"GET {known}\r\n\r\n",
        section="RFC 9112 section 3",
        level=Level.SHOULD,
        strict=closes(400),
        accept=(silent(), answers(400, 505)),
        why="Content without a head can be dressed up as anything, a response with fields of the attacker's included.",
    ),
    _not_supported(
        "0_9_in_words_is_not_supported",
        b"GET {known} HTTP/0.9",
        "Who sends content without a head because of these digits lets the peer choose what the next hop reads.",
    ),
)

_NEW = (
    Case(
        id="version_1_2_is_served_as_1_1",
        data=b"GET {known} HTTP/1.2" + _HEAD,
        section="RFC 9110 section 2.5",
        level=Level.SHOULD,
        strict=keeps(200),
        accept=(answers(200),),
        checks=(is_known(), Check("the version is HTTP/1.1", 0, lambda answer, _known: answer.version == "1.1")),
        why="A higher minor version is the same message format; a server that echoes 1.2 claims what it cannot do.",
    ),
    Case(
        id="version_1_9_needs_a_host",
        data=b"GET {known} HTTP/1.9\r\n\r\n",
        section="RFC 9112 section 3.2",
        level=Level.SHOULD,
        strict=closes(400),
        accept=(silent(), answers(400, 505)),
        why="A check for Host that asks for exactly 1.1 is passed by with a version one higher.",
    ),
    _not_supported(
        "2_0_is_not_supported",
        b"GET {known} HTTP/2.0",
        "HTTP/2 has no such request line; answering it as 1.1 hides a front that wrote down the wrong protocol.",
    ),
    _not_supported(
        "9_9_is_not_supported",
        b"GET {known} HTTP/9.9",
        "A comparison that asks for at least 1.1 serves a format that nobody has defined.",
    ),
    _not_supported(
        "of_a_preface_is_not_supported",
        b"PRI * HTTP/2.0",
        "The first line of an HTTP/2 preface is there to make a 1.1 server give up; one that parses on takes frames "
        "for requests.",
        answers(501),
    ),
)

_GRAMMAR = (
    _rejects(
        "a_lower_case_name",
        b"http/1.1",
        "The name is case-sensitive; one that ignores case accepts what a filter has let pass as no HTTP.",
    ),
    _rejects(
        "another_name",
        b"HTTPS/1.1",
        "A prefix compare takes HTTPS for HTTP and reads the version from the wrong place.",
    ),
    _rejects(
        "another_protocol",
        b"RTSP/1.0",
        "Requests of protocols with the same look have other framing rules; who answers them mixes the two.",
    ),
    _rejects(
        "a_minor_version_of_two_digits",
        b"HTTP/1.10",
        "Is it 1.10, 1.1 or 1.0? Persistence and framing depend on what the next hop takes it for.",
    ),
    _rejects("a_leading_zero", b"HTTP/01.1", "There is one digit; numbers with zeros before them compare otherwise."),
    _rejects(
        "a_number_that_wraps_around",
        b"HTTP/4294967297.1",
        "In 32 bits it is 1.1, in 64 bits the future: two servers read two versions.",
    ),
    _rejects("no_minor_version", b"HTTP/1", "A minor version that is made up decides whether the connection persists."),
    _rejects(
        "an_empty_minor_version", b"HTTP/1.", "An empty number becomes 0 for one parser and an error for the next."
    ),
    _rejects(
        "an_empty_major_version", b"HTTP/.1", "The digit is read from the place of the dot, which is whatever it is."
    ),
    _rejects("a_third_number", b"HTTP/1.1.1", "What stands behind the digit was never looked at, so anything may."),
    _rejects(
        "a_plus_sign", b"HTTP/+1.1", "Number functions accept signs, grammars do not, and filters compare strings."
    ),
    _rejects(
        "a_minus_sign", b"HTTP/1.-1", "A negative minor version is lower than 1.0, and what is done for it untested."
    ),
    _rejects("a_comma", b"HTTP/1,1", "A number read by the customs of a country has a comma where HTTP has a dot."),
    _rejects(
        "digits_of_another_script",
        b"HTTP/1.\xd9\xa1",
        "Text that is asked whether it is a digit says yes to all scripts; a byte parser sees garbage.",
    ),
    _rejects("a_hexadecimal_number", b"HTTP/1.0x1", "Lenient number functions read 1 of it, or 0, by their base."),
    _rejects(
        "a_space_behind_the_slash",
        b"HTTP/ 1.1",
        "There are four parts now; who joins the last two again sees a version where others see a longer target.",
    ),
)

FAMILY = Family("version", "HTTP-version", (*_OLD, *_NEW, *_GRAMMAR))
