"""The broken network itself, and the ledger's adapter on it."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import suppress
from urllib.parse import urlsplit

import httpx
import pytest

from tests.faults.proxy import Proxy, gateway_error
from workers.common.errors import LedgerUnavailable
from workers.ledger.sql.direct import DirectLedger
from workers.metrics.health import Check, Health

_WITHIN_S = 30.0
"""Limit on a busy machine for an act of milliseconds, seconds."""


@pytest.fixture
async def echo() -> AsyncIterator[Proxy]:
    """A proxy before a server that sends back whatever comes."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            while data := await reader.read(100):
                writer.write(data)
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    proxy = Proxy(server.sockets[0].getsockname()[1])
    await proxy.start()
    yield proxy
    await proxy.stop()
    server.close()


async def _said(proxy: Proxy, word: bytes = b"hello") -> bytes:
    reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
    try:
        writer.write(word)
        async with asyncio.timeout(_WITHIN_S):
            return await reader.read(100)
    finally:
        writer.close()


async def test_given_a_network_that_works_then_all_comes_back(echo: Proxy) -> None:
    assert await _said(echo) == b"hello"
    assert echo.connections == 1


async def test_given_refusal_when_it_ends_then_the_same_port_serves_again(echo: Proxy) -> None:
    await echo.refuse()
    with pytest.raises(ConnectionError):
        await _said(echo)

    await echo.accept()
    assert await _said(echo) == b"hello"


async def test_given_a_connection_when_cut_then_it_is_reset_and_a_new_one_works(
    echo: Proxy,
) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", echo.port)
    writer.write(b"a")
    assert await reader.read(1) == b"a"

    echo.cut()

    with pytest.raises(ConnectionError):
        await reader.read(1)
    writer.close()
    assert await _said(echo) == b"hello"


async def test_given_silence_when_it_ends_then_what_waited_arrives(echo: Proxy) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", echo.port)
    writer.write(b"a")
    assert await reader.read(1) == b"a"
    echo.silence()
    writer.write(b"b")
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(reader.read(1), 0.1)

    echo.speak()

    assert await asyncio.wait_for(reader.read(1), _WITHIN_S) == b"b"
    writer.close()


async def test_given_silence_and_forgotten_connections_then_only_new_ones_work(
    echo: Proxy,
) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", echo.port)
    writer.write(b"a")
    assert await reader.read(1) == b"a"
    echo.silence()
    writer.write(b"b")
    await asyncio.sleep(0.05)

    echo.speak(forget=True)

    with pytest.raises(TimeoutError):
        await asyncio.wait_for(reader.read(1), 0.1)
    assert await _said(echo) == b"hello"
    writer.close()


async def test_given_a_half_close_then_the_client_reads_the_end(echo: Proxy) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", echo.port)
    writer.write(b"a")
    assert await reader.read(1) == b"a"

    echo.half_close()

    assert await asyncio.wait_for(reader.read(1), _WITHIN_S) == b""
    writer.close()


async def test_given_a_delay_then_each_direction_has_it(echo: Proxy) -> None:
    echo.delay_s = 0.1
    began = time.monotonic()

    assert await _said(echo) == b"hello"

    assert time.monotonic() - began >= 0.2


async def test_given_an_answer_of_its_own_then_it_stands_in_for_the_gateway(
    echo: Proxy,
) -> None:
    echo.answer(gateway_error(502, "Bad Gateway"))

    async with httpx.AsyncClient() as client:
        for _ in range(2):
            answer = await client.post(f"http://127.0.0.1:{echo.port}/rest", json={"a": 1})
            assert answer.status_code == 502
            assert "502 Bad Gateway" in answer.text

    echo.answer(None)
    assert await _said(echo) == b"hello"


@pytest.fixture
async def ledger_line(database_url: str) -> AsyncIterator[tuple[Proxy, str]]:
    """A line to a database, and the address that leads through it."""
    parts = urlsplit(database_url)
    line = Proxy(parts.port or 5432)
    await line.start()
    host = parts.netloc.rpartition("@")[0] + f"@127.0.0.1:{line.port}"
    yield line, parts._replace(netloc=host).geturl()
    await line.stop()


async def test_given_a_silent_database_when_a_call_is_given_up_then_it_ends_soon(
    ledger_line: tuple[Proxy, str],
) -> None:
    line, url = ledger_line
    ledger = DirectLedger(url, timeout_s=2 * _WITHIN_S)
    await ledger.ping()
    line.silence()
    call = asyncio.create_task(ledger.ping())
    await asyncio.sleep(0.1)
    began = time.monotonic()

    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call

    assert time.monotonic() - began < _WITHIN_S
    line.speak(forget=True)
    async with asyncio.timeout(_WITHIN_S):
        await ledger.ping()
    await ledger.close()


async def test_given_a_silent_database_after_a_timeout_then_a_call_reconnects(
    ledger_line: tuple[Proxy, str],
) -> None:
    line, url = ledger_line
    ledger = DirectLedger(url, timeout_s=0.5, connections=2)
    await asyncio.gather(ledger.ping(), ledger.ping())
    line.silence()

    for _ in range(2):
        results = await asyncio.gather(ledger.ping(), ledger.ping(), return_exceptions=True)
        assert all(isinstance(result, LedgerUnavailable) for result in results)

    line.speak(forget=True)
    await ledger.ping()
    await ledger.close()


async def test_given_a_silent_database_then_health_answers_in_time(
    ledger_line: tuple[Proxy, str],
) -> None:
    line, url = ledger_line
    ledger = DirectLedger(url, timeout_s=2 * _WITHIN_S)
    health = Health([Check("ledger", ledger.ping)], version="1", timeout_s=0.3, cache_s=0)
    assert (await health.report()).ready
    line.silence()

    for _ in range(3):
        async with asyncio.timeout(_WITHIN_S):
            assert (await health.report()).checks[0].reason == "no answer within 0.3 s"

    line.speak(forget=True)
    async with asyncio.timeout(_WITHIN_S):
        while not (await health.report()).ready:
            await asyncio.sleep(0.1)
    await ledger.close()
