"""Findings of a check about a Redis that is old, or whose clock is wrong."""

import time
from typing import Any

import pytest

from workers.cli.check import redis
from workers.config.settings import Settings

_SETTINGS = Settings(redis_url="redis://localhost", _env_file=None)


class _Server:
    """Answers like a server with this version and clock."""

    def __init__(self, version: str = "7.2.4", ahead_s: float = 0.0) -> None:
        self._version = version
        self._ahead_s = ahead_s

    async def info(self) -> dict[str, Any]:
        return {
            "redis_version": self._version,
            "aof_enabled": 1,
            "maxmemory_policy": "noeviction",
        }

    async def time(self) -> tuple[int, int]:
        return int(time.time() + self._ahead_s), 0

    async def type(self, _: str) -> bytes:
        return b"none"


@pytest.fixture(autouse=True)
def _all_rights(monkeypatch: pytest.MonkeyPatch) -> None:
    async def none(*_: object) -> list[str]:
        return []

    monkeypatch.setattr(redis, "missing_rights", none)


@pytest.mark.parametrize(
    ("server", "problem", "warning"),
    [
        (_Server(), "", ""),
        (_Server("6.0.16"), "Redis 6.0.16 is too old: install 6.2 or newer", ""),
        (_Server(ahead_s=30), "", "s ahead of this machine's: set the wrong one"),
        (_Server(ahead_s=-30), "", "s behind this machine's: set the wrong one"),
        (_Server(ahead_s=120), "s ahead of this worker's, more than 60 s", ""),
    ],
)
async def test_given_a_server_then_what_is_wrong_with_it_is_told(
    server: Any, problem: str, warning: str
) -> None:
    findings = await redis.check_redis(server, _SETTINGS)
    for texts, part in ((findings.problems, problem), (findings.warnings, warning)):
        assert len(texts) == bool(part)
        assert part in "".join(texts)
