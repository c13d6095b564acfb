"""Redirects of a directory to its name with a slash: that they stay on the site, add no field and lose nothing (RFC
9110 sections 10.2.2, 15.4 and 17.3).

A server need not redirect; whatever else it answers is as good, as long as it leads nobody away.
"""

from __future__ import annotations

import re

from pooled_httpd.attack.case import Case, Check, Danger, Family, Known, Level, Outcome, answers, closes, keeps, silent
from pooled_httpd.attack.reading import Response

_REDIRECTS = (301, 302, 303, 307, 308)
#: What answers a directory, or a path that only looks like one.
_ANY = (200, *_REDIRECTS, 400, 403, 404, 421)
_HERE = re.compile(r"(https?://[^/\\?#]+/[^?#]*|/([^/\\?#][^?#]*)?)(\?[^#]*)?")


def _stays_here(answer: Response, _known: Known) -> bool:
    """Whether a redirect, if it is one, names a path that every client takes for one of this site."""
    location = answer.field("location")
    return answer.status not in _REDIRECTS or (location is not None and _HERE.fullmatch(location) is not None)


_STAYS = Check("a Location is a path of this site", 0, _stays_here)


def _has_slash(query: str = "") -> Check:
    """Make a check that a redirect's path ends in a slash, and that its query is this one."""

    def test(answer: Response, _known: Known) -> bool:
        return answer.status not in _REDIRECTS or (answer.field("location") or "").endswith("/" + query)

    return Check(f"a Location ends in a slash and {query!r}", 0, test)


def _redirected(
    rule: str,
    target: bytes,
    why: str,
    *,
    fields: bytes = b"",
    strict: Outcome | None = None,
    section: str = "RFC 9110 section 17.3",
    level: Level = Level.MAY,
    forbid: tuple[Danger, ...] = (),
    checks: tuple[Check, ...] = (_STAYS,),
    host: bytes = b"{host}",
) -> Case:
    """Make a case with a target that a server may redirect."""
    return Case(
        id=f"redirect_{rule}",
        data=b"GET " + target + b" HTTP/1.1\r\nHost: " + host + b"\r\n" + fields + b"\r\n",
        section=section,
        level=level,
        strict=keeps(301) if strict is None else strict,
        accept=(answers(*_ANY),),
        forbid=forbid,
        checks=checks,
        why=why,
    )


FAMILY = Family(
    "redirect",
    "Redirects",
    (
        _redirected(
            "of_a_directory_adds_a_slash",
            b"{directory}",
            "Without the slash the links of its index lead to its parent; a loop where the slash is not added.",
            section="RFC 9110 section 15.4.2",
            checks=(_STAYS, _has_slash()),
        ),
        _redirected(
            "keeps_the_query",
            b"{directory}?a=b&c=%2F",
            "A query that is lost or decoded on the way changes what the page is asked.",
            section="RFC 9110 section 15.4",
            checks=(_STAYS, _has_slash("?a=b&c=%2F")),
        ),
        _redirected(
            "of_an_absolute_target_adds_a_slash_to_the_path",
            b"http://{host}{directory}",
            "A Location made by appending to the whole target names a path with a URL in it.",
            section="RFC 9112 section 3.2.2",
            checks=(_STAYS, _has_slash()),
        ),
        _redirected(
            "of_an_absolute_target_ignores_host",
            b"http://{host}{directory}",
            "The target's own host is the one that counts; a Location with the other sends the visitor there.",
            section="RFC 9112 section 3.2.2",
            level=Level.MUST,
            host=b"evil.example",
        ),
        _redirected(
            "ignores_forwarded_hosts",
            b"{directory}",
            "Any client can say what a proxy says: a cached Location with that host takes every visitor away.",
            fields=b"X-Forwarded-Host: evil.example\r\nX-Forwarded-Server: evil.example\r\nX-Host: evil.example\r\n"
            b"Forwarded: host=evil.example\r\nX-Original-URL: //evil.example/\r\nX-Rewrite-URL: //evil.example/\r\n",
            section="RFC 9110 section 10.2.2",
        ),
        _redirected(
            "of_two_slashes_stays_here",
            b"//evil.example/%2e%2e{directory}",
            "The path means this directory, but as a Location it begins with two slashes, which a browser takes for "
            "the name of a host.",
        ),
        _redirected(
            "of_two_slashes_and_plain_dots_stays_here",
            b"//evil.example/..{directory}",
            "Dots that are not encoded are resolved by the client too, but only after it has taken evil.example for "
            "the host.",
        ),
        _redirected(
            "of_three_slashes_stays_here",
            b"///evil.example/%2e%2e{directory}",
            "A server that takes one slash away, to be safe, leaves two.",
        ),
        _redirected(
            "of_a_dot_segment_and_two_slashes_stays_here",
            b"/.//evil.example/%2e%2e{directory}",
            "Removing the dot-segment leaves two slashes at the start of what was a harmless path.",
        ),
        _redirected(
            "of_a_backslash_stays_here",
            b"/\\evil.example/%2e%2e{directory}",
            "To a browser a backslash in a URL is a slash, and so this one begins with two.",
            strict=keeps(400),
        ),
        _redirected(
            "of_an_encoded_backslash_stays_here",
            b"/%5cevil.example/%2e%2e{directory}",
            "Decoded into a Location it is the second slash of a host.",
            strict=keeps(400),
        ),
        _redirected(
            "of_an_encoded_slash_stays_here",
            b"/%2fevil.example/%2e%2e{directory}",
            "It is no separator to who looks the path up, and one to a browser once it stands decoded in a Location.",
            strict=keeps(400),
        ),
        _redirected(
            "of_an_encoded_tab_stays_here",
            b"/%09/evil.example/%2e%2e/%2e%2e{directory}",
            "Browsers drop tabs from URLs, and the two slashes around it meet.",
        ),
        _redirected(
            "of_an_at_sign_stays_here",
            b"/@evil.example/%2e%2e{directory}",
            "Put behind a host without a slash between, what was the host becomes user information.",
        ),
        _redirected(
            "of_an_absolute_target_with_two_slashes_stays_here",
            b"http://{host}//evil.example/%2e%2e{directory}",
            "Cut down to its path the target begins with two slashes, behind every check of the request line.",
        ),
        _redirected(
            "of_encoded_line_ends_adds_no_field",
            b"/%0d%0aX-Injected:%20yes/%2e%2e{directory}",
            "The path is decoded to be looked up; written decoded into the Location it ends the line and begins a "
            "field of the attacker's (response splitting).",
            section="RFC 9110 section 5.5",
            level=Level.MUST,
        ),
        _redirected(
            "of_encoded_line_ends_in_the_query_adds_no_field",
            b"{directory}?%0d%0aX-Injected:%20yes%0d%0a%0d%0a",
            "The query is copied, not looked up, and decoded by whoever decodes the whole target first.",
            section="RFC 9110 section 5.5",
            level=Level.MUST,
        ),
        _redirected(
            "of_an_encoded_line_feed_adds_no_field",
            b"/%0aX-Injected:%20yes/%2e%2e{directory}",
            "Filters look for CR and LF together, and lenient clients end a line at LF alone.",
            section="RFC 9110 section 5.5",
            level=Level.MUST,
        ),
        _redirected(
            "of_wide_line_ends_adds_no_field",
            b"/%e5%98%8d%e5%98%8aX-Injected:%20yes/%2e%2e{directory}",
            "Letters whose last byte is CR or LF become line ends where text is narrowed to bytes.",
            section="RFC 9110 section 5.5",
            level=Level.MUST,
        ),
        Case(
            id="redirect_of_a_bare_line_feed_adds_no_field",
            data=b"GET {directory}?a\nX-Injected: yes HTTP/1.1\r\nHost: {host}\r\n\r\n",
            section="RFC 9112 section 2.2",
            level=Level.SHOULD,
            strict=closes(400),
            accept=(silent(), answers(301, 400, 505)),
            why="A target that goes on behind a line end carries the line end into the answer.",
        ),
        _redirected(
            "writes_no_markup_of_the_query",
            b"{directory}?<script>alert(1)</script>",
            "The short page of a redirect has a link to its Location, and a script where the link is not escaped.",
            strict=closes(400),
            section="RFC 9110 section 17.4",
            checks=(
                _STAYS,
                Check("no markup of the target's", 0, lambda answer, _known: b"<script>alert" not in answer.content),
            ),
        ),
    ),
)
