import asyncio
import socket
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress

import pytest

from tests.support.graph_events import mastery_data
from workers.common.errors import GraphRefused, GraphUnavailable
from workers.graph.changes import changes_of
from workers.graph.neo4j import Limits, Neo4jGraph

_LIMITS = Limits(connect_s=0.1, acquire_s=0.1, transaction_s=0.1, ping_s=0.1)
_NOTICED_WITHIN_S = 5.0

_Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def _listening(handler: _Handler) -> AsyncIterator[str]:
    writers: list[asyncio.StreamWriter] = []

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writers.append(writer)
        await handler(reader, writer)

    server = await asyncio.start_server(handle, "127.0.0.1", 0)
    try:
        yield f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()
        for writer in writers:
            writer.close()
            with suppress(ConnectionError):
                await writer.wait_closed()


async def _silent(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
    while await reader.read(1024):
        pass


async def _http(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.read(1024)
    writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
    writer.close()


async def _hanging_up(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.close()


async def _assert_unavailable(uri: str) -> None:
    graph = Neo4jGraph(uri, "neo4j", "secret-password", limits=_LIMITS)
    begun = time.monotonic()
    try:
        for work in (
            graph.ping,
            graph.prepare,
            graph.faults,
            graph.stored,
            graph.sessions,
            lambda: graph.merge(changes_of([mastery_data()])),
        ):
            with pytest.raises(GraphUnavailable) as raised:
                await work()
            assert "secret-password" not in str(raised.value)
    finally:
        await graph.close()
    assert time.monotonic() - begun < 6 * _NOTICED_WITHIN_S


@pytest.mark.parametrize("scheme", ["bolt", "neo4j"])
@pytest.mark.parametrize("handler", [_silent, _http, _hanging_up])
async def test_given_a_silent_server_when_used_then_the_graph_is_unavailable(
    scheme: str, handler: _Handler
) -> None:
    async with _listening(handler) as address:
        await _assert_unavailable(f"{scheme}://{address}")


async def test_given_a_closed_port_when_used_then_the_graph_is_unavailable() -> None:
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        await _assert_unavailable(f"bolt://127.0.0.1:{bound.getsockname()[1]}")


async def test_given_an_unknown_host_when_used_then_the_graph_is_unavailable() -> None:
    await _assert_unavailable("bolt://no-such-host.invalid:7687")


async def test_given_a_plain_server_and_tls_wanted_then_the_graph_is_unavailable() -> None:
    async with _listening(_hanging_up) as address:
        await _assert_unavailable(f"bolt+s://{address}")


@pytest.mark.parametrize("uri", ["redis://127.0.0.1:1", "nonsense", ""])
async def test_given_an_invalid_uri_then_the_graph_refuses_and_names_the_setting(
    uri: str,
) -> None:
    with pytest.raises(GraphRefused, match="NEO4J_URI"):
        Neo4jGraph(uri, "neo4j", "secret-password")
