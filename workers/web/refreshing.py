"""Update gauges before they are shown; those of a server that is away keep no value."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

import structlog

from workers.common.errors import MasteryError

_TIMEOUT_S: Final = 3.0
"""Longer than each part has to answer in `Health`, so that one that hangs hides no other."""

_log = structlog.get_logger(__name__)

Refresh = Callable[[], Awaitable[None]]


async def refreshed(refresh: Refresh) -> None:
    """Update gauges; log why they are not up to date if they are not."""
    try:
        async with asyncio.timeout(_TIMEOUT_S):
            await refresh()
    except (MasteryError, TimeoutError) as error:
        # The counts of the process itself are still worth showing.
        _log.warning("gauges of the streams are not up to date", reason=str(error) or "no answer")
