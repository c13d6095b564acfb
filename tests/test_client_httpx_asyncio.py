"""httpx under asyncio."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx
import pytest
from httpx_clients import SHORT
from pooled_httpd import Server, WaitTimeoutError
from pooled_httpd.asynchronous import AsyncServer
from pooled_httpd.faults import CutShort, Dribble, Place, Reset, Stall
from support import PATIENCE


def asynchronous(server: Server, **options: Any) -> httpx.AsyncClient:  # noqa: ANN401 - as AsyncClient's
    """Make the same for asyncio."""
    options.setdefault("timeout", PATIENCE)
    return httpx.AsyncClient(base_url=server.url, trust_env=False, **options)


def test_concurrent_requests_share_a_limited_pool(pooled_httpd: Server) -> None:
    """Twenty requests through four connections, the loop free meanwhile."""
    pooled_httpd.respond("/slow*", delay=0.02, content=b"x")

    async def main() -> list[int]:
        async with asynchronous(pooled_httpd, limits=httpx.Limits(max_connections=4)) as client:
            answers = await asyncio.gather(*(client.get(f"/slow/{number}") for number in range(20)))
            await pooled_httpd.asynchronous().wait_for(20)
            return [answer.status_code for answer in answers]

    assert asyncio.run(main()) == [200] * 20
    stats = pooled_httpd.stats()
    assert (stats.peak_connections, stats.total_connections) == (4, 4)
    assert {got.path for got in pooled_httpd.requests()} == {f"/slow/{number}" for number in range(20)}


def test_a_server_in_the_same_task(pooled_httpd_factory: Any) -> None:  # noqa: ANN401
    """A request begun, waited for at the server, and read: nothing blocks the loop."""
    server: AsyncServer = pooled_httpd_factory().asynchronous()
    server.respond("/late", delay=2.5, content=b"late")

    async def main() -> None:
        async with asynchronous(server.server) as client:
            request = asyncio.create_task(client.get("/late"))
            with pytest.raises(WaitTimeoutError, match=r"waited 0.02 s for 1 requests; 0 came; no request came"):
                await server.wait_for(1, timeout=0.02)
            (got,) = await server.wait_for(1, path="/late")
            assert (got.method, got.status) == ("GET", 200)
            assert (await request).content == b"late"
        await server.expect_stats(active_connections=0, total_connections=1)

    asyncio.run(main())


def test_async_with_gives_a_server(tmp_path: Any) -> None:  # noqa: ANN401
    """``async with Server(...)``: started, used and stopped."""

    async def main() -> Server:
        async with Server(tmp_path) as server, httpx.AsyncClient(trust_env=False) as client:
            server.write("a", "hello")
            assert (await client.get(server.url_for("/a"))).text == "hello"
            assert (await server.reset()) == 1
            assert (await client.get(server.url_for("/a"))).text == "hello"
        return server.server

    assert not asyncio.run(main()).is_running


@pytest.mark.parametrize("at", ["start", "head", "middle"])
def test_a_cancelled_request_gives_its_connection_up(pooled_httpd: Server, at: Place) -> None:
    """Cancelled while the answer stalls: the server sees the end, and the client goes on."""
    pooled_httpd.respond("/stall", content=b"0123456789", fault=Stall(at))

    async def main() -> None:
        async with asynchronous(pooled_httpd, limits=httpx.Limits(max_connections=1)) as client:
            # The connection is there already, so that the time is for the answer alone.
            assert (await client.get("/none")).status_code == 404
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(SHORT):
                    await client.get("/stall")
            assert (await client.get("/none")).status_code == 404

    asyncio.run(main())
    pooled_httpd.expect_stats(total_connections=2, active_connections=0)


def test_what_breaks_an_asynchronous_stream(pooled_httpd: Server) -> None:
    """What came before the reset has been read."""
    pooled_httpd.respond("/reset", content=b"0123456789", fault=[Stall(5, seconds=0.05), Reset(5)])
    pooled_httpd.respond("/cut", content=b"0123456789", fault=[Dribble(50, 0.01), CutShort(7)])

    async def read(client: httpx.AsyncClient, path: str, error: type[Exception]) -> bytes:
        read = b""
        try:
            async with client.stream("GET", path) as response:
                async for piece in response.aiter_bytes():
                    read += piece
        except error:
            return read
        raise AssertionError(f"{read!r}, and no error")

    async def main() -> tuple[bytes, bytes]:
        async with asynchronous(pooled_httpd) as client:
            return await read(client, "/reset", httpx.ReadError), await read(client, "/cut", httpx.RemoteProtocolError)

    reset, cut = asyncio.run(main())
    assert cut == b"0123456"
    assert b"01234".startswith(reset)


def test_an_asynchronous_upload(pooled_httpd: Server) -> None:
    """An asynchronous generator that is slower than the server."""
    pooled_httpd.respond("/up", method="POST", status=201)

    async def pieces() -> Any:  # noqa: ANN401
        for number in range(5):
            await asyncio.sleep(0.05)
            yield b"piece %d;" % number

    async def main() -> int:
        async with asynchronous(pooled_httpd) as client:
            return (await client.post("/up", content=pieces())).status_code

    assert asyncio.run(main()) == 201
    (got,) = pooled_httpd.requests()
    assert got.content == b"".join(b"piece %d;" % number for number in range(5))
    assert got.duration >= 0.02
