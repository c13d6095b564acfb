"""What an answer to a range request says that it contains, held against the known file. It touches no socket."""

from __future__ import annotations

import re

from pooled_httpd.attack.case import Check, Known
from pooled_httpd.attack.reading import Response

_CONTENT_RANGE = re.compile(r"bytes (\d+)-(\d+)/(\d+|\*)")
_BOUNDARY = re.compile(r"multipart/byteranges\s*;\s*boundary=(?:\"([^\"]+)\"|([^\s;\"]+))\s*", re.IGNORECASE)

#: The places of a first and of a last byte, both included. Negative ones count from the end, None is the end.
Places = tuple[int, int | None]


def is_multipart(answer: Response) -> bool:
    """Whether its content says that it is multipart/byteranges (RFC 9110 section 14.6)."""
    return (answer.field("content-type") or "").lower().startswith("multipart/byteranges")


def places_of(answer: Response, known: Known) -> list[tuple[int, int]]:
    """Where the parts of a 206 (Partial Content) lie in the known file.

    Raises ValueError where a part is not what its Content-Range says.
    """
    if not is_multipart(answer):
        return [_place(answer.field("content-range") or "", answer.content, known)]
    if answer.field("content-range") is not None:
        raise ValueError("Content-Range beside several parts")
    return [_place(described, content, known) for described, content in _body_parts(answer)]


def _place(described: str, content: bytes, known: Known) -> tuple[int, int]:
    found = _CONTENT_RANGE.fullmatch(described)
    if found is None:
        raise ValueError(f"a Content-Range {described!r}")
    first, last = int(found[1]), int(found[2])
    size = len(known.content)
    if not first <= last < size or found[3] not in ("*", str(size)) or content != known.content[first : last + 1]:
        raise ValueError(f"{described!r} is not what comes with it")
    return first, last


def _body_parts(answer: Response) -> list[tuple[str, bytes]]:
    """The Content-Range and the content of each body part (RFC 2046 section 5.1.1)."""
    boundary = _BOUNDARY.fullmatch(answer.field("content-type") or "")
    if boundary is None:
        raise ValueError("multipart/byteranges without a boundary")
    delimiter = b"\r\n--" + (boundary[1] or boundary[2]).encode("latin-1")
    _preamble, *sections = (b"\r\n" + answer.content).split(delimiter)
    if len(sections) < 2 or not sections.pop().startswith(b"--"):
        raise ValueError("multipart/byteranges does not end with its boundary")
    parts = []
    for section in sections:
        head, _, content = section.partition(b"\r\n\r\n")
        lines = [line.partition(":") for line in head.decode("latin-1").split("\r\n")]
        described = [value.strip() for name, _, value in lines if name.lower() == "content-range"]
        if len(described) != 1:
            raise ValueError(f"a part with {len(described)} Content-Range fields")
        parts.append((described[0], content))
    return parts


def _describes_itself(answer: Response, known: Known) -> bool:
    """Whether the content of a 200, 206 or 416 is what the status and the fields say."""
    if answer.status == 200:
        return answer.content == known.content
    if answer.status == 416:
        return answer.field("content-range") in (None, f"bytes */{len(known.content)}")
    if answer.status != 206:
        return True
    try:
        places_of(answer, known)
    except ValueError:
        return False
    return True


def describes_itself() -> Check:
    """Whichever parts came, they are what they say; a whole file is whole; a length told by 416 is the file's."""
    return Check("the content is what status and Content-Range say", 0, _describes_itself)


def tells_the_length() -> Check:
    """A 416 has a Content-Range with the file's length."""
    return Check(
        "416 has a Content-Range with the file's length",
        0,
        lambda answer, known: answer.status != 416 or answer.field("content-range") == f"bytes */{len(known.content)}",
    )


def selects(*ranges: Places) -> Check:
    """The known file whole with 200, or with 206 all of these ranges, and nothing beyond their outermost ends.

    A server may send less of what was asked for (RFC 9110 section 14.2); one that sends files has no reason to. Between
    two ranges it may send what lies there.
    """

    def test(answer: Response, known: Known) -> bool:
        if not _describes_itself(answer, known):
            return False
        if answer.status != 206:
            return True
        size = len(known.content)
        wanted = [_absolute(places, size) for places in ranges]
        if len(wanted) == 1 and is_multipart(answer):
            return False
        sent = {place for first, last in places_of(answer, known) for place in range(first, last + 1)}
        asked = {place for first, last in wanted for place in range(first, last + 1)}
        return bool(asked) and asked <= sent and min(sent) == min(asked) and max(sent) == max(asked)

    return Check(f"the parts are those asked for: {', '.join(f'{first} to {last}' for first, last in ranges)}", 0, test)


def _absolute(places: Places, size: int) -> tuple[int, int]:
    first, last = places
    first = max(first + size, 0) if first < 0 else first
    last = size - 1 if last is None else last + size if last < 0 else last
    return first, min(last, size - 1)


def is_bounded() -> Check:
    """The content is not much longer than the file twice over, however much was asked for."""
    return Check(
        "the content is no longer than the file twice and 4 KiB",
        0,
        lambda answer, known: len(answer.content) <= 2 * len(known.content) + 4096,
    )
