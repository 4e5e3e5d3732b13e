"""Find the entry that is at fault, so that only this entry is rejected.

A batch that fails unexpectedly is halved until one entry is left that fails. This entry is tried
with nothing else in flight, and Redis counts each of these tries. An unavailable server is not a
try.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Final

import structlog

from workers.common.errors import Fatal, KeyUnknown, MasteryError, Unavailable
from workers.common.retrying import Retrying
from workers.streams.batch import RawEntry
from workers.streams.tries import Tries

_log = structlog.get_logger(__name__)

_FIRST_PAUSE_S: Final = 0.1
_LONGEST_PAUSE_S: Final = 5.0
_PROCESS_ENDED: Final = "the process ended each time"
_NO_FAULT: Final = (Fatal, Unavailable, KeyUnknown)
"""Errors that are never the fault of an entry."""


class PoisonRetry:
    """Retry one entry until it succeeds or is poison.

    Args:
        tries: counts tries.
        retrying: waits for unavailable servers.
        max_tries: tries after which an entry is poison.
        first_pause_s: the pause between the first two tries, seconds; it doubles.
    """

    def __init__(
        self,
        tries: Tries,
        retrying: Retrying,
        max_tries: int,
        *,
        first_pause_s: float = _FIRST_PAUSE_S,
    ) -> None:
        self._tries = tries
        self._retrying = retrying
        self._max_tries = max_tries
        self._first_pause_s = first_pause_s

    async def until_done(
        self,
        stream: str,
        entry_id: str,
        once: Callable[[], Awaitable[Exception | None]],
        refuse: Callable[[str], Awaitable[None]],
        *,
        log_event: str,
    ) -> None:
        """Try an entry until it succeeds, or refuse it after too many failures.

        Args:
            stream: name of the stream.
            entry_id: id of the entry.
            once: tries the entry once, by `counting_each` or `counting_failures`.
            refuse: rejects the entry as poison, with the reason of the last failure.
            log_event: name of the log event of a failure.
        """
        reason = _PROCESS_ENDED
        pause_s = self._first_pause_s
        while True:
            try:
                failure = await once()
            except _TriedTooOften as limit:
                await refuse(limit.reason or reason)
                break
            if failure is None:
                break
            reason = described(failure)
            _log.warning(log_event, stream=stream, entry_id=entry_id, error=reason)
            await asyncio.sleep(pause_s)
            pause_s = min(2 * pause_s, _LONGEST_PAUSE_S)
        await self._retrying.call(lambda: self._tries.forget(stream, entry_id))

    async def counting_each(
        self, stream: str, entry_id: str, call: Callable[[], Awaitable[None]]
    ) -> Exception | None:
        """Try once, counted before it begins, so that a crash of the process counts too.

        Returns:
            The failure; None on success.

        Raises:
            Unavailable: a server is away; the try is not counted.
            Fatal: a server refuses us; the try is not counted.
        """
        made = await self._tries.made(stream, entry_id)
        if made >= self._max_tries:
            raise _TriedTooOften
        await self._tries.note(stream, entry_id, made + 1)
        try:
            await call()
        except (*_NO_FAULT, asyncio.CancelledError):
            await self._retrying.call(lambda: self._tries.note(stream, entry_id, made))
            raise
        except Exception as error:  # noqa: BLE001  # counted, and named in the rejection
            return error
        return None

    async def counting_failures(
        self, stream: str, entry_id: str, call: Callable[[], Awaitable[None]]
    ) -> Exception | None:
        """Try once and count a failure; a crash of the process does not count.

        Returns:
            The failure; None on success.

        Raises:
            Unavailable, KeyUnknown: try again later; not counted.
            Fatal: a server refuses us; not counted.
        """
        try:
            await call()
        except _NO_FAULT:
            raise
        except Exception as error:  # noqa: BLE001  # counted, and named in the rejection
            wait = self._retrying.call
            made = 1 + await wait(lambda: self._tries.made(stream, entry_id))
            await wait(lambda: self._tries.note(stream, entry_id, made))
            if made >= self._max_tries:
                raise _TriedTooOften(described(error)) from None
            return error
        return None


class _TriedTooOften(Exception):
    """The entry has used up its tries."""

    def __init__(self, reason: str = "") -> None:
        super().__init__(reason)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class EntryActions:
    """Actions on the entries of a stream.

    Args:
        together: processes entries, waiting for unavailable servers.
        alone: processes one entry; raises `Unavailable` if a server is away.
        reach: returns once the server that the entries need answers.
        refuse: rejects an entry as poison, with a reason.
    """

    together: Callable[[Sequence[RawEntry]], Awaitable[None]]
    alone: Callable[[RawEntry], Awaitable[None]]
    reach: Callable[[], Awaitable[None]]
    refuse: Callable[[RawEntry, str], Awaitable[None]]


class PoisonIsolation:
    """Process entries if at least one of them fails.

    Call it only while nothing else is in flight in the process: otherwise a crash caused by
    another entry would count against this one.

    Args:
        tries: counts the tries of an entry alone.
        retrying: waits for unavailable servers.
        max_deliveries: tries of an entry alone after which it is poison.
        first_pause_s: the pause between the first two tries, seconds; it doubles.
    """

    def __init__(
        self,
        tries: Tries,
        retrying: Retrying,
        max_deliveries: int,
        *,
        first_pause_s: float = _FIRST_PAUSE_S,
    ) -> None:
        self._retrying = retrying
        self._max_deliveries = max_deliveries
        self._retry = PoisonRetry(tries, retrying, max_deliveries, first_pause_s=first_pause_s)

    async def one_by_one(
        self, stream: str, entries: Sequence[RawEntry], actions: EntryActions
    ) -> None:
        """Halve a failing batch until one entry is left, and try this entry alone.

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
            except Exception as error:  # noqa: BLE001  # reject only the entry at fault
                _log.warning("batch_failed", entries=len(half), error=described(error))
                await self.one_by_one(stream, half, actions)

    async def alone(self, stream: str, entry: RawEntry, actions: EntryActions) -> None:
        """Try one entry until it succeeds or has failed too often.

        Raises:
            Fatal: a server refuses us; the entry is not at fault.
        """

        async def once() -> Exception | None:
            # First, so that the try itself hardly ever meets an unavailable server.
            await actions.reach()
            return await self._retry.counting_each(
                stream, entry.entry_id, lambda: actions.alone(entry)
            )

        async def refuse(reason: str) -> None:
            await actions.refuse(
                entry,
                f"the event failed {self._max_deliveries} times when tried alone ({reason}): "
                "report it, and send it again once the cause is mended",
            )

        await self._retry.until_done(
            stream,
            entry.entry_id,
            lambda: self._retrying.call(once),
            refuse,
            log_event="entry_failed",
        )


def described(error: Exception) -> str:
    """Describe an error for a log line or a rejection, without data quoted by a library."""
    text = (
        f"{type(error).__name__}: {error}"
        if isinstance(error, MasteryError)
        else type(error).__name__
    )
    return text[:300]
