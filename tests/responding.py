"""What tests of registered answers have in common."""

from __future__ import annotations

import re
import socket

import pooled_httpd
from support import PATIENCE, exchange, get

Server = pooled_httpd.Server


def content(server: Server, path: str, method: str = "GET") -> bytes:
    """Ask for a path and return what comes."""
    return exchange(server.port, get(path, method=method), method).content


def whole(server: Server, path: str = "/a") -> tuple[bytes, str]:
    """Return all that comes until the connection ends, its Date left out, and how it ended."""
    received = b""
    with socket.create_connection(("127.0.0.1", server.port), timeout=PATIENCE) as client:
        client.sendall(get(path))
        while True:
            try:
                piece = client.recv(65536)
            except ConnectionResetError:
                return without_date(received), "reset"
            if not piece:
                return without_date(received), "closed"
            received += piece


def without_date(response: bytes) -> bytes:
    """Take the Date out, which is another each second."""
    return re.sub(rb"Date: [^\r]{29}\r\n", b"", response)


def assert_was_asked_as_a_proxy(server: Server) -> None:
    """Assert that it got the absolute form for http, with the proxy's credentials, and CONNECT for https."""
    page, tunnel = server.requests()
    assert (page.target, page.path, page.fields["host"]) == (
        "http://example.invalid/page?q",
        "/page",
        "example.invalid",
    )
    assert page.fields["proxy-authorization"] == "Basic dTpw"
    assert (tunnel.method, tunnel.target) == ("CONNECT", "example.invalid:443")
