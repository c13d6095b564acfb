"""What methods make of arguments that are wrong: an OptionError that says which, and what would be right."""

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
FROM_0 = "is no number of seconds from 0 on"
NO_FILE = "is not the name of a file beneath the document root"

#: What is called, and what is told of it.
WRONG: list[tuple[str, Call, str]] = [
    *(
        (f"wait_for {value!r}", lambda server, value=value: server.wait_for(value), f"count: {value!r} {told}")
        for value, told in (
            (-1, "is not within 0 to 9,223,372,036,854,775,807; 0 waits for nothing"),
            (1 << 63, "is not within 0 to"),
            (True, NO_NUMBER),
            (1.0, NO_NUMBER),
            ("1", NO_NUMBER),
            (None, NO_NUMBER),
        )
    ),
    *(
        (f"{name} {value!r}", lambda server, call=call, value=value: call(server, value), f"timeout: .*{told}")
        for name, call in (
            ("wait_for timeout", lambda server, timeout: server.wait_for(9, timeout=timeout)),
            ("wait_for path timeout", lambda server, timeout: server.wait_for(9, path="/x", timeout=timeout)),
            ("expect_stats timeout", lambda server, timeout: server.expect_stats(total_requests=9, timeout=timeout)),
        )
        for value, told in (
            (math.nan, FROM_0),
            (-1, FROM_0),
            (-math.inf, FROM_0),
            (True, FROM_0),
            ("1", FROM_0),
            (None, FROM_0),
        )
    ),
    *(
        (f"{name} {filters}", lambda server, call=call, filters=filters: call(server, **filters), told)
        for name, call in (
            ("requests", lambda server, **filters: server.requests(**filters)),
            ("wait_for", lambda server, **filters: server.wait_for(1, **filters)),
        )
        for filters, told in (
            ({"path": "a"}, "path: .* is no path: it begins with a slash and has no fragment"),
            ({"path": ""}, "path: .* is no path"),
            ({"path": "/a#b"}, "path: .* is no path"),
            ({"path": "/%zz"}, "path: .* is refused before"),
            ({"path": "/\ud800"}, r"path: '/\\ud800' has half a surrogate pair"),
            ({"path": b"/a"}, "path: b'/a' is not allowed; it takes text"),
            ({"path": 1}, "path: 1 is not allowed; it takes text"),
            ({"method": b"GET"}, "method: b'GET' is not allowed; it takes text"),
            ({"status": 1000}, "status: 1000 is not within 0 to 999"),
            ({"status": -1}, "status: -1 is not within 0 to 999"),
            ({"status": True}, f"status: True {NO_NUMBER}"),
            ({"status": "200"}, f"status: '200' {NO_NUMBER}"),
        )
    ),
    *(
        (f"expect_stats {name}", lambda server, name=name: server.expect_stats(**{name: 1}), told)
        for name, told in (
            ("total_request", r"total_request: the statistics have no such name; did you mean total_requests\?$"),
            ("zzz", "zzz: the statistics have no such name; they are total_requests, "),
            ("as_dict", "as_dict: the statistics have no such name"),
        )
    ),
    *(
        (f"write {path!r}", lambda server, path=path: server.write(path, "x"), f"path: .*{told}")
        for path, told in (
            *((path, NO_FILE) for path in ("", "/", ".", "./", "a/", "a/.", "..", "../x", "a/../../x")),
            *((path, NO_FILE) for path in ("a/../x", "/../x", Path("../x"), Path("/"))),
            ("\ud800", "which no file's name can have"),
            ("a\0b", "has a NUL, which no file's name can have"),
            (b"a", "b'a' is not allowed; it takes text or a path"),
        )
    ),
    *(
        (
            f"url_for {value!r}",
            lambda server, value=value: server.url_for(value),
            rf"path: {re.escape(repr(value))} is not allowed; it takes text or a path, in UTF-8",
        )
        for value in (None, 3, b"/a", "\ud800")
    ),
    ("write None", lambda server: server.write(None, "x"), "path: None is not allowed; it takes text or a path"),  # type: ignore[arg-type]
    (
        "write text",
        lambda server: server.write("a", "\ud800"),
        r"content: '\\ud800' has half a surrogate pair",
    ),
    ("write number", lambda server: server.write("a", 1), "content: 1 is neither text nor bytes"),  # type: ignore[arg-type]
    *(
        (f"{name} {value!r}", lambda server, name=name, value=value: getattr(server, name)(value), told)
        for name, argument, high in (
            ("record_requests", "max_bytes", "65,536 to 1,073,741,824"),
            ("keep_story", "lines", "0 to 4,294,967,295"),
        )
        for value, told in (
            (-1, f"{argument}: -1 is not within {high}; 0 keeps none"),
            (1 << 70, f"{argument}: {1 << 70} is not within {high}; 0 keeps none"),
            (True, f"{argument}: True {NO_NUMBER}"),
            (1e6, f"{argument}: 1000000.0 {NO_NUMBER}"),
            (None, f"{argument}: None {NO_NUMBER}"),
        )
    ),
    *(
        (f"record_stats {arguments}", lambda server, a=arguments: server.record_stats(**a), told)
        for arguments, told in (
            ({"interval": True}, "interval: True is no number of seconds from 0.001 to 3,600"),
            ({"interval": "1"}, "interval: '1' is no number of seconds from 0.001 to 3,600"),
            (
                {"interval": math.nan},
                "interval: nan is no number of seconds from 0.001 to 3,600",
            ),
            (
                {"interval": 0},
                "interval: 0 is no number of seconds from 0.001 to 3,600",
            ),
            ({"max_samples": True}, f"max_samples: True {NO_NUMBER}"),
            ({"max_samples": 15}, "max_samples: 15 is not within 16 to 1,000,000"),
        )
    ),
]


@pytest.mark.parametrize(("call", "told"), [case[1:] for case in WRONG], ids=[case[0] for case in WRONG])
def test_a_wrong_argument_is_told(httpd: Server, call: Call, told: str) -> None:
    """By the argument's name, what is wrong with it and what would be right; nothing has been done or waited for."""
    with pytest.raises(OptionError, match=f"^{told}"):
        call(httpd)
    assert list(Path(httpd.docroot).rglob("*")) == []
    assert httpd.requests() == []
    exchange(httpd.port, get("/a"))
    assert len(httpd.requests()) == 1


@pytest.mark.parametrize("make", [pooled_httpd.Server, lambda root: pooled_httpd.server_create(0, root)])
@pytest.mark.parametrize("root", [None, 3, b"/tmp", "\ud800", ["www"]], ids=ascii)
def test_a_document_root_that_is_no_path_is_told(make: Callable[[object], Server], root: object) -> None:
    """Text and paths will do."""
    told = f"docroot: {root!r} is not allowed; it takes text or a path, in UTF-8"
    with pytest.raises(OptionError, match=f"^{re.escape(told)}$"):
        make(root)


AWAITED = [case for case in WRONG if re.match("wait_for|expect_stats", case[0])]


@pytest.mark.parametrize(("call", "told"), [case[1:] for case in AWAITED], ids=[case[0] for case in AWAITED])
def test_a_wrong_argument_is_told_to_asyncio_too(httpd: Server, call: Call, told: str) -> None:
    """The same error of what is awaited."""
    server = httpd.asynchronous()

    async def awaited() -> None:
        await asyncio.wait_for(call(server), PATIENCE)  # type: ignore[arg-type]

    with pytest.raises(OptionError, match=told):
        asyncio.run(awaited())


def test_what_is_right_is_taken(httpd: Server) -> None:
    """At the edges."""
    exchange(httpd.port, get("/a"))
    for timeout in (0, 0.5, math.inf, 10**400):
        assert len(httpd.wait_for(1, path="/a", timeout=timeout)) == len(httpd.wait_for(1, timeout=timeout)) == 1
        assert httpd.expect_stats(total_requests=1, timeout=timeout).total_requests == 1
    assert httpd.wait_for(0, path="/b") == []
    with pytest.raises(pooled_httpd.WaitTimeoutError):
        httpd.wait_for((1 << 63) - 1, timeout=0)
    assert len(httpd.requests(status=0)) == 0
    # As os.fsdecode() gives a name that is no UTF-8.
    assert httpd.write("\udcff", b"x").exists()
    assert exchange(httpd.port, get("/%FF")).content == b"x"
    httpd.write("/..a/b..", memoryview(b"x"))
    httpd.write("//c", bytearray(b"x"))
    assert exchange(httpd.port, get("/c")).content == b"x"
