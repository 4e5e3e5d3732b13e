"""Find the entry at fault, so that it alone pays.

A batch that fails unexpectedly is halved until the failing part is one entry. That entry is then
tried with nothing else in flight. Each try is noted in Redis before it begins, so an exception
counts, and so does the end of the process. A server that is away is no try of an entry.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Final

import structlog

from workers.common.errors import Fatal, MasteryError, Unavailable
from workers.common.retrying import Retrying
from workers.streams.batch import RawEntry
from workers.streams.tries import Tries

_log = structlog.get_logger(__name__)

_LONGEST_PAUSE_S: Final = 5.0
_ENDED: Final = "the process ended each time"


@dataclass(frozen=True, slots=True)
class EntryActions:
    """What `PoisonIsolation` can do with entries of a stream.

    Args:
        together: processes entries, and waits for servers that are away.
        alone: processes one entry; raises `Unavailable` if a server is away.
        reach: returns if the server that entries need answers.
        refuse: rejects an entry as poison, for the reason given.
    """

    together: Callable[[Sequence[RawEntry]], Awaitable[None]]
    alone: Callable[[RawEntry], Awaitable[None]]
    reach: Callable[[], Awaitable[None]]
    refuse: Callable[[RawEntry, str], Awaitable[None]]


class PoisonIsolation:
    """Processes entries of which at least one fails.

    Call it only while nothing else is in flight in the process: otherwise a failure of another
    entry counts against the entry tried.

    Args:
        tries: counts the tries of an entry alone.
        retrying: waits for servers that are away.
        max_deliveries: tries alone after which an entry is poison, 1 or more.
        first_pause_s: the pause between the first two tries, seconds; each pause doubles it.
    """

    def __init__(
        self,
        tries: Tries,
        retrying: Retrying,
        max_deliveries: int,
        *,
        first_pause_s: float = 0.1,
    ) -> None:
        self._tries = tries
        self._retrying = retrying
        self._max_deliveries = max_deliveries
        self._first_pause_s = first_pause_s

    async def one_by_one(
        self, stream: str, entries: Sequence[RawEntry], actions: EntryActions
    ) -> None:
        """Halve failing entries until one is left, and try that alone.

        Raises:
            Fatal: a server refuses us; no entry is at fault.
        """
        if len(entries) == 1:
            await self.alone(stream, entries[0], actions)
            return
        middle = len(entries) // 2
        for half in (entries[:middle], entries[middle:]):
            if len(half) == 1:
                await self.alone(stream, half[0], actions)
                continue
            try:
                await actions.together(half)
            except (Fatal, Unavailable):
                raise
            except Exception as error:  # noqa: BLE001  # whatever it is, only its own entry pays
                _log.warning("batch_failed", entries=len(half), error=described(error))
                await self.one_by_one(stream, half, actions)

    async def alone(self, stream: str, entry: RawEntry, actions: EntryActions) -> None:
        """Try one entry until it is processed or has failed too often.

        Raises:
            Fatal: a server refuses us; the entry is not at fault.
        """
        reason = _ENDED
        pause_s = self._first_pause_s
        while True:
            failure = await self._retrying.call(lambda: self._once(stream, entry, actions))
            if failure is None:
                break
            if isinstance(failure, _TooOften):
                await actions.refuse(
                    entry,
                    f"the event failed {self._max_deliveries} times when tried alone ({reason}): "
                    "report it, and send it again once that is mended",
                )
                break
            reason = described(failure)
            _log.warning("entry_failed", stream=stream, entry_id=entry.entry_id, error=reason)
            await asyncio.sleep(pause_s)
            pause_s = min(2 * pause_s, _LONGEST_PAUSE_S)
        await self._retrying.call(lambda: self._tries.forget(stream, entry.entry_id))

    async def _once(self, stream: str, entry: RawEntry, actions: EntryActions) -> Exception | None:
        """Try an entry once; return the error if it failed."""
        # First, so that the try itself hardly ever meets a server that is away.
        await actions.reach()
        made = await self._tries.made(stream, entry.entry_id)
        if made >= self._max_deliveries:
            return _TooOften()
        await self._tries.note(stream, entry.entry_id, made + 1)
        try:
            await actions.alone(entry)
        except (Fatal, Unavailable, asyncio.CancelledError):
            await self._retrying.call(lambda: self._tries.note(stream, entry.entry_id, made))
            raise
        except Exception as error:  # noqa: BLE001  # counted, and named in the rejection
            return error
        return None


class _TooOften(Exception):
    """The entry had all its tries."""


def described(error: Exception) -> str:
    """Describe an error for a log line or a rejection, without data that a library quotes."""
    text = (
        f"{type(error).__name__}: {error}"
        if isinstance(error, MasteryError)
        else type(error).__name__
    )
    return text[:300]
