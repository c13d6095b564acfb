"""Who is attacked: an address on this machine, unless another host is named twice, and what is known of the server
there.

A name is resolved once, and what was resolved is checked and then connected to: nobody can answer differently in
between.
"""

from __future__ import annotations

import ipaddress
import socket
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    import pooled_httpd

#: What no answer may contain, unless told otherwise: the beginning of /etc/passwd.
PASSWD = b"root:x:0:0:"


class TargetError(ValueError):
    """The target is not ``host:port``, cannot be resolved, or is not on this machine and was not named twice."""


@dataclass(frozen=True, slots=True)
class Target:
    """A server to attack, and what is known of it.

    ``address`` is where to connect to (an IP address), ``host`` the name in Host fields. ``known_path`` names a file
    that the server has (of 100 bytes or more, for range requests), ``directory`` a directory, without its final
    slash, and ``escaping_link`` a link that leaves its document root; what is not known is None, and cases that need
    it do not apply. ``secrets`` are bytes that no answer may contain.
    ``patience`` is the time in seconds in which a complete request must be answered, ``wait`` that in which the
    server must give up on an incomplete one (its longest timeout and some more); 0 leaves such cases out.
    """

    host: str
    port: int
    address: str
    known_path: str = "/index.html"
    directory: str | None = None
    escaping_link: str | None = None
    secrets: tuple[bytes, ...] = field(default=(PASSWD,))
    patience: float = 2.0
    wait: float = 0.0

    @classmethod
    def parse(cls, text: str, *, allow_remote: str | None = None) -> Self:
        """Take ``host:port`` apart, IPv6 addresses in brackets, and resolve the host.

        Anything but a loopback address is refused with TargetError, unless ``allow_remote`` names the same host again.
        """
        host, separator, port = text.rpartition(":")
        name = host.removeprefix("[").removesuffix("]")
        is_bare_ipv6 = ":" in name and not host.startswith("[")
        is_port = port.isascii() and port.isdigit() and len(port) <= 5 and 0 < int(port) < 65536
        if not separator or not name or is_bare_ipv6 or not is_port:
            raise TargetError(
                f"{text!r} is not host:port with a port from 1 to 65535, such as localhost:8080 or [::1]:80"
            )
        try:
            addresses = {entry[4][0] for entry in socket.getaddrinfo(name, int(port), type=socket.SOCK_STREAM)}
        except OSError as error:
            raise TargetError(f"the host {name!r} of {text!r} cannot be resolved: {error}") from error
        usable = sorted((str(address) for address in addresses), key=lambda address: ":" in address)
        loopback = [address for address in usable if ipaddress.ip_address(address.partition("%")[0]).is_loopback]
        if len(loopback) < len(usable) and allow_remote != name:
            named = f", and {allow_remote!r} is not {name!r}" if allow_remote is not None else ""
            raise TargetError(
                f"{name!r} is not this machine{named}: attack only what is yours; for another machine of yours name "
                f"its host twice, with --allow-remote {name}"
            )
        return cls(host=host, port=int(port), address=_first_that_listens(usable, int(port)))

    @classmethod
    def of(cls, server: pooled_httpd.Server) -> Self:
        """A running server of this process, on TCP."""
        host = server.host
        address = host.removeprefix("[").removesuffix("]")
        unspecified = {"0.0.0.0": "127.0.0.1", "::": "::1"}
        address = unspecified.get(address, address)
        return cls(host=f"[{address}]" if ":" in address else address, port=server.port, address=address)

    def with_options(self, **options: object) -> Self:
        """The same with other knowledge: any field by its name."""
        return replace(self, **options)  # type: ignore[arg-type]

    @property
    def authority(self) -> str:
        """The value of a Host field."""
        return f"{self.host}:{self.port}"

    def connect(self, *, receive_buffer: int | None = None, timeout: float | None = None) -> socket.socket:
        """Connect: a blocking socket with this timeout in seconds (``patience`` by default), without Nagle's delay."""
        connection = socket.socket(_family(self.address), socket.SOCK_STREAM)
        try:
            if receive_buffer is not None:
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
            connection.settimeout(self.patience if timeout is None else timeout)
            connection.connect((self.address, self.port))
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        except BaseException:
            connection.close()
            raise
        return connection


def _first_that_listens(addresses: list[str], port: int) -> str:
    """The first address that accepts a connection, or the first of all: ``localhost`` can be two."""
    for address in addresses if len(addresses) > 1 else ():
        with socket.socket(_family(address), socket.SOCK_STREAM) as probe:
            probe.settimeout(1.0)
            if probe.connect_ex((address, port)) == 0:
                return address
    return addresses[0]


def _family(address: str) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in address else socket.AF_INET
