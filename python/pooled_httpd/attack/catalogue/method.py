"""Methods: which are known and allowed, how they are spelled, what a refused one must not do (RFC 9110 section 9)."""

from __future__ import annotations

from pooled_httpd.attack.case import (
    Case,
    Check,
    Danger,
    Family,
    Known,
    Level,
    answers,
    closes,
    is_known,
    keeps,
    silent,
)
from pooled_httpd.attack.reading import Response

_HEAD = b" HTTP/1.1\r\nHost: {host}\r\n\r\n"
#: A path that no server has, for methods that would change what is there.
_NOWHERE = b"/pooled-httpd-attack-nowhere"
#: A request that runs only where the content of the one before is not taken in.
_SMUGGLED = b"GET / HTTP/1.1\r\nHost: elsewhere.example\r\n\r\n"


def _says_allow(answer: Response, _known: Known) -> bool:
    return answer.status != 405 or answer.field("allow") is not None


def _length_is_none_or_the_files(answer: Response, known: Known) -> bool:
    return answer.field("content-length") in (None, str(len(known.content)))


_ALLOW_WITH_405 = Check("405 has an Allow field", 0, _says_allow)
_ALLOW = Check(
    "there is Allow, or 501",
    0,
    lambda answer, _known: answer.status == 501 or answer.field("allow") is not None,
)


def _not_allowed(
    rule: str,
    data: bytes,
    why: str,
    *codes: int,
    section: str = "RFC 9110 section 15.5.6",
    forbid: tuple[Danger, ...] = (),
    checks: tuple[Check, ...] = (_ALLOW_WITH_405,),
) -> Case:
    """Make a case with a method that a standard defines and a static-file server does not allow."""
    return Case(
        id=f"method_{rule}",
        data=data,
        section=section,
        level=Level.MUST,
        strict=keeps(405),
        accept=(answers(405, 501, *codes),),
        forbid=forbid,
        checks=checks,
        why=why,
    )


def _unknown(rule: str, method: bytes, why: str, *codes: int, level: Level = Level.SHOULD) -> Case:
    """Make a case with a token that is no method known to anybody."""
    return Case(
        id=f"method_{rule}",
        data=method + b" {known}" + _HEAD,
        section="RFC 9110 section 9.1",
        level=level,
        strict=keeps(501),
        accept=(answers(405, 501, *codes),),
        why=why,
    )


def _no_token(rule: str, method: bytes, why: str) -> Case:
    """Make a case with a method that is no token."""
    return Case(
        id=f"method_rejects_{rule}",
        data=method + b" {known}" + _HEAD,
        section="RFC 9110 section 5.6.2",
        level=Level.SHOULD,
        strict=closes(400),
        accept=(silent(), answers(400, 405, 501)),
        why=why,
    )


def _with_content(method: bytes, target: bytes = b"{known}") -> bytes:
    """Make a request whose content is a request."""
    length = str(len(_SMUGGLED)).encode()
    head = method + b" " + target + b" HTTP/1.1\r\nHost: {host}\r\nContent-Length: " + length
    return head + b"\r\n\r\n" + _SMUGGLED


_HEAD_CASES = (
    Case(
        id="method_head_of_nothing_has_no_content",
        data=b"HEAD " + _NOWHERE + _HEAD,
        section="RFC 9110 section 9.3.2",
        level=Level.MUST,
        strict=keeps(404),
        accept=(answers(404),),
        methods=("HEAD",),
        why="Error pages are written by other code than files, and their text behind a HEAD poisons the connection.",
    ),
)

_OPTIONS_CASES = (
    Case(
        id="method_options_has_allow",
        data=b"OPTIONS {known}" + _HEAD,
        section="RFC 9110 section 9.3.7",
        level=Level.SHOULD,
        strict=keeps(204),
        accept=(answers(200, 204, 405, 501),),
        checks=(_ALLOW,),
        why="Allow tells a client what it may try; without it the only way to find out is to try all.",
    ),
    Case(
        id="method_options_takes_an_asterisk",
        data=b"OPTIONS *" + _HEAD,
        section="RFC 9112 section 3.2.4",
        level=Level.SHOULD,
        strict=keeps(204),
        accept=(answers(200, 204, 405, 501),),
        checks=(_ALLOW_WITH_405,),
        why="The asterisk asks about the server as a whole; a name lookup of it finds a file called * or an error.",
    ),
    Case(
        id="method_options_content_is_no_request",
        data=_with_content(b"OPTIONS"),
        section="RFC 9112 section 6.3",
        level=Level.MUST,
        strict=keeps(204),
        accept=(answers(200, 204, 400, 405, 413, 501),),
        why="Methods that seldom have content are answered without reading it, and then it runs as a request of its "
        "own.",
    ),
)

_REFUSED = (
    _not_allowed(
        "post_is_refused_with_allow",
        b"POST {known} HTTP/1.1\r\nHost: {host}\r\nContent-Length: 3\r\n\r\na=b",
        "A file has nothing to do with a form; 405 must say what is allowed instead.",
        200,
        403,
    ),
    _not_allowed(
        "post_content_is_no_request",
        _with_content(b"POST"),
        "The answer is clear before the content is read; whoever does not read it answers it (request smuggling).",
        200,
        400,
        403,
        413,
        section="RFC 9112 section 6.3",
        checks=(),
    ),
    _not_allowed(
        "put_writes_nothing",
        b"PUT " + _NOWHERE + b' HTTP/1.1\r\nHost: {host}\r\nIf-Match: "none"\r\nContent-Length: 4\r\n\r\nevil',
        "A method left on by default turns a file server into a drop for other people's files.",
        403,
        404,
        409,
        412,
        forbid=(Danger.SERVED,),
    ),
    _not_allowed(
        "delete_removes_nothing",
        b"DELETE " + _NOWHERE + _HEAD,
        "Whoever may delete without asking decides what the site is.",
        403,
        404,
        forbid=(Danger.SERVED,),
    ),
    _not_allowed(
        "patch_is_refused_with_allow",
        b"PATCH {known} HTTP/1.1\r\nHost: {host}\r\nContent-Type: text/x-none\r\nContent-Length: 4\r\n\r\nevil",
        "A newer method than the others is known to the parser and forgotten in the table of what is allowed.",
        403,
        404,
        415,
    ),
    _not_allowed(
        "trace_reflects_nothing",
        b"TRACE {known} HTTP/1.1\r\nHost: {host}\r\nCookie: session=reflected-canary\r\n"
        b"Authorization: Basic reflected-canary\r\n\r\n",
        "An answer with the request in it shows a script the cookies that are hidden from it (cross-site tracing).",
        400,
        403,
        section="RFC 9110 section 9.3.8",
        forbid=(Danger.REFLECTED,),
    ),
    _not_allowed(
        "trace_content_is_no_request",
        _with_content(b"TRACE"),
        "TRACE never has content by rule, so nobody reads it, and then it runs.",
        400,
        403,
        413,
        section="RFC 9110 section 9.3.8",
        forbid=(Danger.REFLECTED,),
        checks=(),
    ),
    _not_allowed(
        "connect_opens_no_tunnel",
        b"CONNECT {host}" + _HEAD,
        "An origin server that opens tunnels is an open proxy into the network behind it.",
        400,
        403,
        404,
        section="RFC 9110 section 9.3.6",
        forbid=(Danger.SERVED,),
    ),
    _not_allowed(
        "connect_opens_no_tunnel_to_another_port",
        b"CONNECT 127.0.0.1:25" + _HEAD,
        "Loopback behind the server is where mail and databases trust whoever connects.",
        400,
        403,
        404,
        421,
        section="RFC 9110 section 9.3.6",
        forbid=(Danger.SERVED,),
        checks=(),
    ),
    Case(
        id="method_connect_rejects_a_path",
        data=b"CONNECT {known}" + _HEAD,
        section="RFC 9112 section 3.2.3",
        level=Level.MUST,
        strict=closes(400),
        accept=(silent(), answers(400, 403, 404, 405, 501)),
        forbid=(Danger.SERVED,),
        why="CONNECT takes an authority and nothing else; a path served under it passes rules that are made for GET.",
    ),
)

_NAMES = (
    _unknown("unknown_is_not_implemented", b"BREW", "A method that means nothing here must not be taken for GET."),
    Case(
        id="method_unknown_content_is_no_request",
        data=_with_content(b"BREW"),
        section="RFC 9112 section 6.3",
        level=Level.MUST,
        strict=keeps(501),
        accept=(answers(400, 403, 404, 405, 413, 501),),
        why="Content does not depend on the method; a server that gives up early leaves it to run as the next request.",
    ),
    _unknown(
        "lower_case_is_another",
        b"get",
        "Names are case-sensitive: a rule for GET does not match get, and then the file is served past it.",
        400,
        level=Level.MUST,
    ),
    _unknown(
        "mixed_case_is_another", b"GeT", "Folding the case of some letters is folding too.", 400, level=Level.MUST
    ),
    _unknown(
        "prefix_is_another",
        b"GETS",
        "A compare over three bytes takes every name that begins like a known one for it.",
        400,
        level=Level.MUST,
    ),
    _unknown(
        "cut_short_is_another", b"GE", "A compare over what was received takes every beginning for the method.", 400
    ),
    _unknown(
        "may_have_any_token_byte",
        b"!#$%&'*+-.^_`|~0Az",
        "By the grammar it is a method nobody knows: 501, not a broken request.",
    ),
    _unknown(
        "of_300_bytes_is_not_implemented",
        b"A" * 300,
        "A length that fits no table of names wraps around in a byte and finds a name that does.",
        400,
        414,
    ),
    Case(
        id="method_pri_is_no_method_here",
        data=b"PRI *" + _HEAD,
        section="RFC 9112 section 3.2.4",
        level=Level.MUST,
        strict=closes(400),
        accept=(silent(), answers(400, 405, 501, 505)),
        why="The name is kept back for the preface of HTTP/2; a 1.1 server that answers it lets frames follow.",
    ),
    Case(
        id="method_override_field_is_ignored",
        data=b"GET {known} HTTP/1.1\r\nHost: {host}\r\nX-HTTP-Method-Override: TRACE\r\nX-Http-Method: TRACE\r\n"
        b"X-Method-Override: TRACE\r\nX-Canary: reflected-canary\r\n\r\n",
        section="RFC 9110 section 9.1",
        level=Level.MAY,
        strict=keeps(200),
        accept=(answers(200),),
        forbid=(Danger.REFLECTED,),
        checks=(is_known(),),
        why="A field that changes the method behind the request line passes every filter that reads the line.",
    ),
)

_BYTES = (
    _no_token("a_nul", b"G\x00ET", "Copied as a string it is G, or GET once the NUL is dropped."),
    _no_token("a_control_byte", b"GET\x01", "What a terminal or a log viewer does not show is there all the same."),
    _no_token("del", b"GET\x7f", "DEL is a control byte above the printable ones, where a range check forgets it."),
    _no_token("an_eight_bit_byte", b"G\xc9T", "Case folding by a locale makes letters of bytes that are none."),
    _no_token(
        "a_delimiter", b"GE(T)", "Delimiters end tokens, so who scans for the end of one stops inside the method."
    ),
    _no_token("a_colon", b"GET:", "A line with a colon is a field line to whoever resynchronizes there."),
    _no_token("quotes", b'"GET"', "Quotes that some reader takes away make an allowed method of one that is not."),
    _no_token("a_slash", b"GET/", "Split at the first slash it is a GET of another path."),
)

FAMILY = Family("method", "Methods", (*_HEAD_CASES, *_OPTIONS_CASES, *_REFUSED, *_NAMES, *_BYTES))
