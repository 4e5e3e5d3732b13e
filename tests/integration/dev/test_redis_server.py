"""The Redis of `mastery dev`: a real one, which ends with its owner."""

import asyncio
import os
import signal
import socket
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil  # type: ignore[import-untyped]  # has no types of its own
import pytest
from redis.asyncio import Redis

from workers.common.errors import SettingsError
from workers.dev import redis_server as module
from workers.dev.ports import free_port
from workers.dev.redis_server import redis_server

# Prints the URL and waits to be killed.
_OWNER = """
import asyncio
from workers.dev.redis_server import redis_server
async def own():
    async with redis_server(None) as url:
        print(url, flush=True)
        await asyncio.sleep(600)
asyncio.run(own())
"""


def _port(url: str) -> int:
    return int(url.rpartition(":")[2])


def _empty(directory: Path) -> bool:
    return not list(directory.iterdir())


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


async def _until(holds: Callable[[], bool], within_s: float = 20.0) -> None:
    async with asyncio.timeout(within_s):
        while not holds():
            await asyncio.sleep(0.05)


async def test_given_a_port_taken_meanwhile_then_another_one_is_used(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with redis_server(None) as first:
        taken = iter([_port(first)])
        monkeypatch.setattr(
            module, "free_port", lambda preferred: next(taken, None) or free_port(preferred)
        )
        async with redis_server(None) as second, Redis.from_url(second) as client:
            assert second != first
            assert await client.ping()


async def test_given_a_client_without_options_then_all_we_use_works() -> None:
    async with redis_server(None) as url, Redis.from_url(url) as client:
        info: Any = await client.info()
        assert info["maxmemory_policy"] == "noeviction"
        await client.xgroup_create("stream", "group", "0", mkstream=True)
        began = time.monotonic()
        assert not await client.xreadgroup("group", "me", {"stream": ">"}, block=300)
        assert time.monotonic() - began > 0.25
        await client.xadd("stream", {"event": "{}"})
        assert await client.xreadgroup("group", "me", {"stream": ">"}, block=300)
        script: Any = client.eval("return redis.call('XLEN', KEYS[1])", 1, "stream")
        assert await script == 1
        (address,) = {
            connection.laddr.ip
            for process in psutil.Process().children(recursive=True)
            for connection in process.net_connections("tcp")
            if connection.status == psutil.CONN_LISTEN and connection.laddr.port == _port(url)
        }
    assert address == "127.0.0.1"
    assert not _listens(_port(url))


async def test_given_a_directory_then_data_is_kept_and_it_is_locked(tmp_path: Path) -> None:
    async with redis_server(tmp_path) as url, Redis.from_url(url) as client:
        await client.set("key", "value")
        with pytest.raises(SettingsError, match="in use by another process"):
            await redis_server(tmp_path).__aenter__()

    async with redis_server(tmp_path) as url, Redis.from_url(url) as client:
        assert await client.get("key") == b"value"


async def test_given_a_directory_it_cannot_use_then_the_log_is_told(tmp_path: Path) -> None:
    (tmp_path / "appendonlydir").write_text("no directory")

    with pytest.raises(SettingsError, match=r"does not start: .*append"):
        await redis_server(tmp_path).__aenter__()


async def test_given_a_killed_owner_then_no_process_and_no_file_is_left(tmp_path: Path) -> None:
    owner = await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        _OWNER,
        stdout=asyncio.subprocess.PIPE,
        env={**os.environ, "TMPDIR": str(tmp_path)},
    )
    assert owner.stdout is not None
    port = _port((await owner.stdout.readline()).decode().strip())
    assert _listens(port)
    assert not _empty(tmp_path)

    owner.send_signal(signal.SIGKILL)
    await owner.wait()

    await _until(lambda: not _listens(port) and _empty(tmp_path))
