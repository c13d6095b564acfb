"""What methods make of arguments that are wrong: another kind of thing is a TypeError, another value an OptionError."""

from __future__ import annotations

import asyncio
import math
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pooled_httpd
import pytest
from pooled_httpd.errors import OptionError
from support import PATIENCE, exchange, get

Server = pooled_httpd.Server
Call = Callable[[Server], Any]

NO_NUMBER = "is no whole number"
NO_SECONDS = "is no number of seconds"
FROM_0 = "is not allowed; it takes a number of seconds from 0 on"
NO_FILE = "is not the name of a file beneath the document root"

#: What is called, the error, and how it begins and ends.
WRONG: list[tuple[str, Call, type[Exception], str]] = [
    *(
        (f"wait_for {value!r}", lambda server, value=value: server.wait_for(value), error, f"count: {value!r} {told}")
        for value, error, told in (
            (-1, OptionError, "is not within 0 to 9,223,372,036,854,775,807; 0 waits for nothing"),
            (1 << 63, OptionError, "is not within 0 to"),
            (True, TypeError, NO_NUMBER),
            (1.0, TypeError, NO_NUMBER),
            ("1", TypeError, NO_NUMBER),
            (None, TypeError, NO_NUMBER),
        )
    ),
    *(
        (f"{name} {value!r}", lambda server, call=call, value=value: call(server, value), error, f"timeout: .*{told}")
        for name, call in (
            ("wait_for timeout", lambda server, timeout: server.wait_for(9, timeout=timeout)),
            ("wait_for path timeout", lambda server, timeout: server.wait_for(9, path="/x", timeout=timeout)),
            ("expect_stats timeout", lambda server, timeout: server.expect_stats(total_requests=9, timeout=timeout)),
        )
        for value, error, told in (
            (math.nan, OptionError, FROM_0),
            (-1, OptionError, FROM_0),
            (-math.inf, OptionError, FROM_0),
            (True, TypeError, NO_SECONDS),
            ("1", TypeError, NO_SECONDS),
            (None, TypeError, NO_SECONDS),
        )
    ),
    *(
        (f"{name} {filters}", lambda server, call=call, filters=filters: call(server, **filters), error, told)
        for name, call in (
            ("requests", lambda server, **filters: server.requests(**filters)),
            ("wait_for", lambda server, **filters: server.wait_for(1, **filters)),
        )
        for filters, error, told in (
            ({"path": "a"}, OptionError, "path: .* is no path: it begins with a slash and has no fragment"),
            ({"path": ""}, OptionError, "path: .* is no path"),
            ({"path": "/a#b"}, OptionError, "path: .* is no path"),
            ({"path": "/%zz"}, OptionError, "path: .* is refused before"),
            ({"path": "/\ud800"}, OptionError, r"path: '/\\ud800' has '\\ud800', which no URL can have"),
            ({"path": b"/a"}, TypeError, "path: b'/a' is neither text nor None"),
            ({"path": 1}, TypeError, "path: 1 is neither text nor None"),
            ({"method": b"GET"}, TypeError, "method: b'GET' is neither text nor None"),
            ({"status": 1000}, OptionError, "status: 1000 is not within 0 to 999"),
            ({"status": -1}, OptionError, "status: -1 is not within 0 to 999"),
            ({"status": True}, TypeError, f"status: True {NO_NUMBER}"),
            ({"status": "200"}, TypeError, f"status: '200' {NO_NUMBER}"),
        )
    ),
    *(
        (f"expect_stats {name}", lambda server, name=name: server.expect_stats(**{name: 1}), OptionError, told)
        for name, told in (
            ("total_request", r"total_request: the statistics have no such name; did you mean total_requests\?$"),
            ("zzz", "zzz: the statistics have no such name; they are total_requests, "),
            ("as_dict", "as_dict: the statistics have no such name"),
        )
    ),
    *(
        (f"write {path!r}", lambda server, path=path: server.write(path, "x"), error, f"path: .*{told}")
        for path, error, told in (
            *((path, OptionError, NO_FILE) for path in ("", "/", ".", "./", "a/", "a/.", "..", "../x", "a/../../x")),
            *((path, OptionError, NO_FILE) for path in ("a/../x", "/../x", Path("../x"), Path("/"))),
            ("\ud800", OptionError, "which no file's name can have"),
            ("a\0b", OptionError, "has a NUL, which no file's name can have"),
            (b"a", TypeError, "b'a' is no text"),
        )
    ),
    ("write None", lambda server: server.write(None, "x"), TypeError, "expected str, bytes or os.PathLike object"),  # type: ignore[arg-type]
    (
        "write text",
        lambda server: server.write("a", "\ud800"),
        OptionError,
        r"content: '\\ud800' has no bytes in UTF-8",
    ),
    ("write number", lambda server: server.write("a", 1), TypeError, "content: 1 is neither text nor bytes"),  # type: ignore[arg-type]
    *(
        (f"{name} {value!r}", lambda server, name=name, value=value: getattr(server, name)(value), error, told)
        for name, argument, high in (
            ("record_requests", "max_bytes", "65,536 to 1,073,741,824"),
            ("keep_story", "lines", "0 to 4,294,967,295"),
        )
        for value, error, told in (
            (-1, OptionError, f"{argument}: -1 is not within {high}; 0 keeps none"),
            (1 << 70, OptionError, f"{argument}: {1 << 70} is not within {high}; 0 keeps none"),
            (True, TypeError, f"{argument}: True {NO_NUMBER}"),
            (1e6, TypeError, f"{argument}: 1000000.0 {NO_NUMBER}"),
            (None, TypeError, f"{argument}: None {NO_NUMBER}"),
        )
    ),
    *(
        (f"record_stats {arguments}", lambda server, a=arguments: server.record_stats(**a), error, told)
        for arguments, error, told in (
            ({"interval": True}, TypeError, f"interval: True {NO_SECONDS}"),
            ({"interval": "1"}, TypeError, f"interval: '1' {NO_SECONDS}"),
            (
                {"interval": math.nan},
                OptionError,
                "interval: nan is not allowed; it takes a number of seconds from 0.001 to 3600",
            ),
            (
                {"interval": 0},
                OptionError,
                "interval: 0 is not allowed; it takes a number of seconds from 0.001 to 3600",
            ),
            ({"max_samples": True}, TypeError, f"max_samples: True {NO_NUMBER}"),
            ({"max_samples": 15}, OptionError, "max_samples: 15 is not within 16 to 1,000,000"),
        )
    ),
]


@pytest.mark.parametrize(("call", "error", "told"), [case[1:] for case in WRONG], ids=[case[0] for case in WRONG])
def test_a_wrong_argument_is_told(httpd: Server, call: Call, error: type[Exception], told: str) -> None:
    """By the argument's name, what is wrong with it and what would be right; nothing has been done or waited for."""
    with pytest.raises(error, match=f"^{told}" if error is OptionError else told) as caught:
        call(httpd)
    assert type(caught.value) is error
    assert list(Path(httpd.docroot).rglob("*")) == []
    assert httpd.requests() == []
    exchange(httpd.port, get("/a"))
    assert len(httpd.requests()) == 1


@pytest.mark.parametrize("case", [case for case in WRONG if re.match("wait_for|expect_stats", case[0])], ids=str)
def test_a_wrong_argument_is_told_to_asyncio_too(httpd: Server, case: tuple[str, Call, type[Exception], str]) -> None:
    """The same error of what is awaited."""
    _, call, error, told = case
    server = httpd.asynchronous()

    async def awaited() -> None:
        await asyncio.wait_for(call(server), PATIENCE)  # type: ignore[arg-type]

    with pytest.raises(error, match=told) as caught:
        asyncio.run(awaited())
    assert type(caught.value) is error


def test_what_is_right_is_taken(httpd: Server) -> None:
    """At the edges."""
    exchange(httpd.port, get("/a"))
    for timeout in (0, 0.5, math.inf, 10**400):
        assert len(httpd.wait_for(1, path="/a", timeout=timeout)) == len(httpd.wait_for(1, timeout=timeout)) == 1
        assert httpd.expect_stats(total_requests=1, timeout=timeout).total_requests == 1
    assert httpd.wait_for((1 << 63) - 1 - ((1 << 63) - 1), path="/b") == []
    assert len(httpd.requests(status=0)) == 0
    # As os.fsdecode() gives a name that is no UTF-8.
    assert httpd.write("\udcff", b"x").exists()
    assert exchange(httpd.port, get("/%FF")).content == b"x"
    httpd.write("/..a/b..", memoryview(b"x"))
    httpd.write("//c", bytearray(b"x"))
    assert exchange(httpd.port, get("/c")).content == b"x"
