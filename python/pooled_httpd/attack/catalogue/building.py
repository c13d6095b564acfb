"""What the requests of the catalogue are put together from. It holds no case and must never depend on a target.

A smuggled request is a whole one that hides where a stricter peer sees content. Its length is fixed, so that a
Content-Length or a chunk size in front of it can be: it names no placeholder.
"""

from __future__ import annotations

from pooled_httpd.attack.case import Check, Known, answers, closes, silent
from pooled_httpd.attack.reading import Response

CHUNKED = b"Transfer-Encoding: chunked"
#: The request that must not be answered. Whoever does answers once too often, whatever its status. It has 42 bytes,
#: hexadecimal 2A: many cases say so in the wrong words.
SMUGGLED = b"GET /smuggled HTTP/1.1\r\nHost: smuggled\r\n\r\n"
#: A content that ends early for whoever decodes chunks, so that what hides behind them runs; by its length it does not.
ENDS_EARLY = b"0\r\n\r\n" + SMUGGLED

#: What may become of a request that the grammar does not allow, besides 400 and close (RFC 9112 section 2.2).
REFUSED = (answers(400), silent())
#: What may become of a GET with content, which has no meaning and may be refused (RFC 9110 section 9.3.1).
GOT = (answers(200), answers(400, 405, 411, 413, 501))
#: What may become of a GET with a content that turns out malformed, besides 400 and close: it may have been answered
#: before its content came. Nothing behind it is, because nobody knows where that begins.
GOT_MALFORMED = (closes(200, 411, 413, 501),)
#: What may become of a POST where nothing is known that takes one.
POST_STATUSES = (200, 201, 202, 204, 303, 400, 403, 404, 405, 411, 413, 415, 501)
POSTED = (answers(*POST_STATUSES),)


def request(
    *lines: bytes,
    method: bytes = b"GET",
    target: bytes = b"{known}",
    version: bytes = b"HTTP/1.1",
    content: bytes = b"",
) -> bytes:
    """A request with a good Host, these field lines behind it, and whatever content."""
    head = [b" ".join((method, target, version)), b"Host: {host}", *lines, b"", b""]
    return b"\r\n".join(head) + content


def length(content: bytes) -> bytes:
    """The Content-Length line of a content."""
    return b"Content-Length: %d" % len(content)


def chunks(*contents: bytes) -> bytes:
    """A chunked content, its last chunk included, without trailers."""
    return b"".join(b"%x\r\n%b\r\n" % (len(content), content) for content in contents) + b"0\r\n\r\n"


def known_if_ok(*, response: int = 0) -> Check:
    """A 200 has the content of the known file."""

    def test(answer: Response, known: Known) -> bool:
        return answer.status != 200 or answer.content == known.content

    return Check("a 200 has the known file's content", response, test)


def allow_if_refused(*, response: int = 0) -> Check:
    """A 405 says which methods are allowed (RFC 9110 section 15.5.6)."""

    def test(answer: Response, _known: Known) -> bool:
        return answer.status != 405 or answer.field("allow") is not None

    return Check("a 405 has Allow", response, test)
