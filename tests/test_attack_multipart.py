"""What the attack kit says of answers to range requests."""

from __future__ import annotations

import dataclasses

import pytest
from pooled_httpd.attack import Response
from pooled_httpd.attack.case import Known
from pooled_httpd.attack.multipart import describes_itself, is_bounded, selects, tells_the_length

KNOWN = Known(bytes(range(100)))


def response(status: int, content: bytes, **fields: str) -> Response:
    """Make a response; underscores in names are hyphens."""
    lines = tuple((name.replace("_", "-"), value) for name, value in fields.items())
    return Response(status, "1.1", "", lines, content, (), b"")


def part(first: int, last: int, size: object = 100, *, content: bytes | None = None) -> Response:
    """Make a 206 with one part."""
    content = KNOWN.content[first : last + 1] if content is None else content
    return response(206, content, content_range=f"bytes {first}-{last}/{size}")


def multipart(*ranges: tuple[int, int], end: bytes = b"--", **fields: str) -> Response:
    """Make a 206 with several parts."""
    content = b"".join(
        b"\r\n--b\r\nContent-Type: text/plain\r\ncontent-RANGE: bytes %d-%d/100\r\n\r\n" % (first, last)
        + KNOWN.content[first : last + 1]
        for first, last in ranges
    )
    content_type = "multipart/byteranges; boundary=b"
    return response(206, content + b"\r\n--b" + end, **({"content_type": content_type} | fields))


@pytest.mark.parametrize(
    "answer",
    [
        response(200, KNOWN.content),
        part(0, 0),
        part(0, 99, "*"),
        multipart((0, 4), (90, 99)),
        multipart((90, 99)),
        multipart((0, 4), content_type='Multipart/ByteRanges;boundary="b"'),
        response(416, b"", content_range="bytes */100"),
        response(416, b""),
        response(404, b"nothing"),
    ],
)
def test_an_answer_that_is_what_it_says_passes(answer: Response) -> None:
    """Whole, in part, in parts, not satisfiable, or none of these."""
    assert describes_itself().test(answer, KNOWN)


@pytest.mark.parametrize(
    "answer",
    [
        response(200, KNOWN.content[1:]),
        response(206, KNOWN.content),
        part(0, 9, content=KNOWN.content[1:11]),
        part(0, 9, content=KNOWN.content[:9]),
        part(0, 9, 101),
        part(90, 100),
        part(9, 8),
        response(206, b"\0", content_range="bytes 0-0"),
        response(206, b"\0", content_range="lines 0-0/100"),
        multipart(),
        multipart((90, 100)),
        multipart((0, 4), end=b""),
        multipart((0, 4), content_range="bytes 0-4/100"),
        multipart((0, 4), content_type="multipart/byteranges"),
        multipart((0, 4), content_type="multipart/byteranges; boundary=c"),
        response(416, b"", content_range="bytes */99"),
        response(416, b"", content_range="bytes 0-0/100"),
    ],
)
def test_an_answer_that_is_not_what_it_says_fails(answer: Response) -> None:
    """Another content, place, length or form."""
    assert not describes_itself().test(answer, KNOWN)
    assert not selects((0, 99)).test(answer, KNOWN)


def test_a_part_without_its_content_range_fails() -> None:
    """A body part says where it belongs, once."""
    good = multipart((0, 4), (6, 9))
    line = b"content-RANGE: bytes 6-9/100\r\n"
    for times in (0, 2):
        bad = dataclasses.replace(good, content=good.content.replace(line, line * times))
        assert not describes_itself().test(bad, KNOWN)


def test_selects_wants_every_byte_and_none_beyond() -> None:
    """A whole file is as good, a gap may be filled, and one range is one part."""
    two = selects((0, 4), (-10, None))
    for good in (multipart((0, 4), (90, 99)), multipart((90, 99), (0, 4)), part(0, 99), response(200, KNOWN.content)):
        assert two.test(good, KNOWN)
    for bad in (part(0, 4), multipart((0, 3), (90, 99)), multipart((0, 4), (91, 99))):
        assert not two.test(bad, KNOWN)
    assert selects((5, None)).test(part(5, 99), KNOWN)
    assert not selects((5, 50)).test(part(5, 51), KNOWN)
    assert selects((-200, 500)).test(part(0, 99), KNOWN)
    for bad in (part(5, 98), part(4, 99), multipart((5, 99))):
        assert not selects((5, None)).test(bad, KNOWN)


def test_416_tells_the_length() -> None:
    """Where there is a 416, and only there."""
    assert tells_the_length().test(response(416, b"", content_range="bytes */100"), KNOWN)
    assert tells_the_length().test(response(200, KNOWN.content), KNOWN)
    assert not tells_the_length().test(response(416, b""), KNOWN)


def test_is_bounded_counts_all_content() -> None:
    """Twice the file and 4 KiB are the most."""
    assert is_bounded().test(response(206, bytes(4296)), KNOWN)
    assert not is_bounded().test(response(206, bytes(4297)), KNOWN)
