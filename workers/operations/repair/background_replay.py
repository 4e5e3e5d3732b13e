"""Learners whose state is under other parameters than the active ones are replayed.

A learner who answers is replayed with the answer (`workers.estimation.fold`); the others are
replayed here, in the background. Any number of workers do it side by side: each takes some of the
learners that are left, at random; a rewrite that somebody else was faster with is a conflict, and
changes nothing. One that is killed leaves nothing behind.
"""

import asyncio
import random
import time
from collections.abc import Callable, Sequence
from typing import Final, Protocol

import structlog

from workers.common.errors import LedgerUnavailable, Unstorable
from workers.common.retrying import Patience
from workers.estimation.learner import LearnerKey
from workers.ledger.parameter_versions import PatientVersions, Versions
from workers.ledger.parameters import Outdated
from workers.ledger.repair import Rewrite
from workers.ledger.rows import Stored
from workers.operations.repair.rewriting import rewriting
from workers.operations.repair.verifying import log_differences

_log = structlog.get_logger(__name__)

_PERIOD_S: Final = 2.0
_AT_ONCE: Final = 20
"""Learners read and rewritten at once, with their logs."""
_MORE_AFTER: Final = 5
"""After so many answers one more is tried at once, where the ledger did not answer before."""
_WINDOW: Final = 400
"""Of so many that are left some are taken: two workers seldom take the same."""
_TOLD_EVERY_S: Final = 10.0
_LOOK_AGAIN_S: Final = 60.0
"""So long a learner is left alone who can't be replayed."""

_ALTERED: Final = "the log is not what was written: `mastery verify` says what was altered"
_NOT_REPLAYED: Final = "a replay of the log fails: report it, and activate another version"
_NOT_STORED: Final = "the ledger does not store what a replay gives: report it"


class ReplayMeter(Protocol):
    """What is shown of it (`workers.metrics.metrics`)."""

    def computing_under(self, version: int) -> None:
        """Under which version of the parameters this process computes."""
        ...

    def outdated(self, learners: int) -> None:
        """How many learners are left whose state is under another one."""
        ...


class ReplayLedger(Protocol):
    """What is asked of the ledger; see `workers.ledger.protocol.Ledger`."""

    async def outdated(self, after: Outdated | None = None, limit: int = 500) -> list[Outdated]:
        """See `ParametersLedger.outdated`."""
        ...

    async def outdated_count(self) -> int:
        """See `ParametersLedger.outdated_count`."""
        ...

    async def stored(self, keys: Sequence[LearnerKey]) -> list[Stored]:
        """See `Ledger.stored`."""
        ...

    async def rewrite(self, rewrites: Sequence[Rewrite]) -> list[int | None]:
        """See `RepairLedger.rewrite`."""
        ...


class Replayer:
    """Replays, in the background, who is not seen otherwise.

    Args:
        ledger: the system of record.
        versions: of the parameters.
        meter: is told how far it is.
        patience: waits for a ledger that is away.
        period_s: between two looks of `run`, at most, seconds.
        clock: seconds of a clock that never goes back.
    """

    def __init__(
        self,
        *,
        ledger: ReplayLedger,
        versions: Versions,
        meter: ReplayMeter,
        patience: Patience | None = None,
        period_s: float = _PERIOD_S,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._ledger = ledger
        self._patience = patience or Patience()
        self._versions = PatientVersions(versions, self._patience)
        self._meter = meter
        self._period_s = period_s
        self._clock = clock
        self._left_alone: dict[LearnerKey, float] = {}
        self._at_once = _AT_ONCE
        self._answered = 0
        self._told_at = clock()

    async def run(self) -> None:
        """Notice which version is active, and replay who is under another; for ever.

        Raises:
            Fatal: a server refuses us, or the active version can't be read.
        """
        while True:
            await self.replay()
            # Workers that were started together should not all look at one moment.
            await asyncio.sleep(self._period_s * random.uniform(0.5, 1.0))  # noqa: S311  # no secret

    async def replay(self) -> int:
        """Replay all learners there are now whose state is under another version.

        Returns:
            How many this worker replayed.

        Raises:
            Fatal: a server refuses us, or the active version can't be read.
        """
        present = await self._versions.refresh()
        self._meter.computing_under(present.version)
        window = await self._outdated(None)
        if not window:
            self._meter.outdated(0)
            self._left_alone.clear()
            return 0
        replayed, told = 0, False
        while window:
            now = self._clock()
            free = [one.key for one in window if self._left_alone.get(one.key, now) <= now]
            if free:
                if not told:
                    told = True
                    await self._tell("replay_started", replayed)
                replayed += await self._replay_some(free)
                if self._clock() - self._told_at >= _TOLD_EVERY_S:
                    await self._tell("replay_progress", replayed)
            # Who is done is in the window no more.
            window = await self._outdated(None if free else window[-1])
        if told:
            await self._tell("replay_ended", replayed)
        else:
            self._meter.outdated(await self._count())
        return replayed

    async def _replay_some(self, free: list[LearnerKey]) -> int:
        """Replay some of these learners, whoever else writes them; returns how many were.

        Whom somebody else wrote meanwhile is left for another time. While the ledger does not
        answer, others and fewer are drawn each time: it may be that these are too many for it.
        """

        async def attempt() -> int:
            try:
                done = await self._rewritten(
                    await self._rewrites(random.sample(free, min(len(free), self._at_once)))
                )
            except LedgerUnavailable:
                self._at_once, self._answered = max(1, self._at_once // 2), 0
                raise
            self._answered += 1
            if self._answered % _MORE_AFTER == 0:
                self._at_once = min(_AT_ONCE, self._at_once + 1)
            return done

        return await self._patience.until_answered(attempt)

    async def _rewrites(self, keys: list[LearnerKey]) -> list[Rewrite]:
        """What makes these learners' states ones under the active version, as they are now."""
        parameters = await self._versions.refresh()
        rewrites: list[Rewrite] = []
        for stored in await self._ledger.stored(keys):
            # Replaying one may take a while, and responses wait.
            await asyncio.sleep(0)
            if stored.parameters_version == parameters.version or not stored.version:
                continue
            if any(log_differences(stored)):
                # Nothing is computed from it: that would make an estimate of what was altered.
                self._leave_alone(stored.key, _ALTERED)
                continue
            try:
                rewrite = rewriting(stored, parameters)
            except Exception as error:  # noqa: BLE001  # one learner's fault: all others go on
                self._leave_alone(stored.key, _NOT_REPLAYED, error)
                continue
            if rewrite is not None:  # another version always is one
                rewrites.append(rewrite)
        return rewrites

    async def _rewritten(self, rewrites: list[Rewrite]) -> int:
        """Write them; returns how many were."""
        if not rewrites:
            return 0
        try:
            versions = await self._ledger.rewrite(rewrites)
        except Unstorable as error:
            if len(rewrites) == 1:
                self._leave_alone(rewrites[0].key, _NOT_STORED, error)
                return 0
            return sum([await self._rewritten([one]) for one in rewrites])
        written = [one.key for one, new in zip(rewrites, versions, strict=True) if new is not None]
        for key in written:
            self._left_alone.pop(key, None)
        return len(written)

    def _leave_alone(self, key: LearnerKey, why: str, error: Exception | None = None) -> None:
        if key not in self._left_alone:
            kind = {} if error is None else {"error": type(error).__name__}
            _log.warning("learner_not_replayed", why=why, **kind)
        self._left_alone[key] = self._clock() + _LOOK_AGAIN_S

    async def _outdated(self, after: Outdated | None) -> list[Outdated]:
        return await self._patience.until_answered(lambda: self._ledger.outdated(after, _WINDOW))

    async def _count(self) -> int:
        return await self._patience.until_answered(self._ledger.outdated_count)

    async def _tell(self, event: str, replayed: int) -> None:
        self._told_at = self._clock()
        left = await self._count()
        version = self._versions.active.version
        self._meter.computing_under(version)
        self._meter.outdated(left)
        _log.info(event, parameters_version=version, replayed=replayed, learners_left=left)
