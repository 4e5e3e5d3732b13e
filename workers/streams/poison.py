"""Finding the entry that is at fault, so that it alone pays.

A batch that fails unexpectedly is halved until what fails is one entry. That entry is tried with
nothing else on its way, and each such try is noted in Redis before it begins: an exception counts,
and so does the end of the process. A server that is away is no try of an entry.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Final

import structlog

from workers.common.errors import Fatal, MasteryError, Unavailable
from workers.common.retrying import Patience
from workers.streams.batch import RawEntry
from workers.streams.tries import Tries

_log = structlog.get_logger(__name__)

_LONGEST_PAUSE_S: Final = 5.0
_ENDED: Final = "the process ended each time"


@dataclass(frozen=True, slots=True)
class EntryActions:
    """What can be done with entries of a stream.

    Args:
        together: sees entries through, waiting for servers that are away.
        alone: sees one entry through; raises `Unavailable` where a server is away.
        reach: returns if the server that entries need answers.
        refuse: rejects an entry as poison, for this reason.
    """

    together: Callable[[Sequence[RawEntry]], Awaitable[None]]
    alone: Callable[[RawEntry], Awaitable[None]]
    reach: Callable[[], Awaitable[None]]
    refuse: Callable[[RawEntry, str], Awaitable[None]]


class PoisonIsolation:
    """Sees entries through of which at least one fails.

    Call it only while nothing else is on its way in the process: else what another entry does
    would be counted against the one tried.

    Args:
        tries: where tries alone are counted.
        patience: waits for servers that are away.
        max_deliveries: tries of an entry alone after which it is poison.
        first_pause_s: between its first two tries, seconds; it doubles.
    """

    def __init__(
        self,
        tries: Tries,
        patience: Patience,
        max_deliveries: int,
        *,
        first_pause_s: float = 0.1,
    ) -> None:
        self._tries = tries
        self._patience = patience
        self._max_deliveries = max_deliveries
        self._first_pause_s = first_pause_s

    async def one_by_one(
        self, stream: str, entries: Sequence[RawEntry], attempt: EntryActions
    ) -> None:
        """Halve what fails until it is one entry, and try that alone.

        Raises:
            Fatal: a server refuses us; no entry is at fault.
        """
        if len(entries) == 1:
            await self.alone(stream, entries[0], attempt)
            return
        middle = len(entries) // 2
        for half in (entries[:middle], entries[middle:]):
            if len(half) == 1:
                await self.alone(stream, half[0], attempt)
                continue
            try:
                await attempt.together(half)
            except (Fatal, Unavailable):
                raise
            except Exception as error:  # noqa: BLE001  # whatever it is, only its own entry pays
                _log.warning("batch_failed", entries=len(half), error=described(error))
                await self.one_by_one(stream, half, attempt)

    async def alone(self, stream: str, entry: RawEntry, attempt: EntryActions) -> None:
        """Try one entry until it is seen through or has failed too often.

        Raises:
            Fatal: a server refuses us; the entry is not at fault.
        """
        reason = _ENDED
        pause_s = self._first_pause_s
        while True:
            failure = await self._patience.until_answered(
                lambda: self._once(stream, entry, attempt)
            )
            if failure is None:
                break
            if isinstance(failure, _TooOften):
                await attempt.refuse(
                    entry,
                    f"the event failed {self._max_deliveries} times when tried alone ({reason}): "
                    "report it, and send it again once that is mended",
                )
                break
            reason = described(failure)
            _log.warning("entry_failed", stream=stream, entry_id=entry.entry_id, error=reason)
            await asyncio.sleep(pause_s)
            pause_s = min(2 * pause_s, _LONGEST_PAUSE_S)
        await self._patience.until_answered(lambda: self._tries.forget(stream, entry.entry_id))

    async def _once(self, stream: str, entry: RawEntry, attempt: EntryActions) -> Exception | None:
        """One try; returns what failed."""
        # First, so that the try itself hardly ever meets a server that is away.
        await attempt.reach()
        made = await self._tries.made(stream, entry.entry_id)
        if made >= self._max_deliveries:
            return _TooOften()
        await self._tries.note(stream, entry.entry_id, made + 1)
        try:
            await attempt.alone(entry)
        except (Fatal, Unavailable, asyncio.CancelledError):
            await self._patience.until_answered(
                lambda: self._tries.note(stream, entry.entry_id, made)
            )
            raise
        except Exception as error:  # noqa: BLE001  # counted, and named in the rejection
            return error
        return None


class _TooOften(Exception):
    """The entry had all its tries."""


def described(error: Exception) -> str:
    """An error as a log line or a rejection may say it: never what a library quotes of the data."""
    text = (
        f"{type(error).__name__}: {error}"
        if isinstance(error, MasteryError)
        else type(error).__name__
    )
    return text[:300]
