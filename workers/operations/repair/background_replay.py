"""Replay learners in the background when other parameters become active.

A learner who answers may be replayed with the answer (`workers.engine.earlier_versions`); all
others are replayed here. Any number of workers may do so side by side: each draws some of the
remaining learners at random, and a rewrite that comes too late is a conflict, which changes
nothing. A worker that is killed leaves nothing behind.
"""

import asyncio
import functools
import random
import time
from collections.abc import Awaitable, Callable
from typing import Final, Protocol

import structlog

from workers.common.errors import LedgerTooSlow, LedgerUnavailable, MasteryError, Unstorable
from workers.common.jitter import jittered_sleep
from workers.common.retrying import Retrying
from workers.estimation.learner import LearnerKey
from workers.estimation.parameters import Parameters
from workers.ledger.parameter_versions import RetryingVersions, Versions
from workers.ledger.parameters import Outdated, ParametersLedger
from workers.ledger.repair import RepairLedger, Rewrite
from workers.ledger.rows import Stored
from workers.operations.repair.long_logs import in_parts, replayed
from workers.operations.repair.rewriting import RewriteDraft
from workers.operations.repair.verifying import log_differences

_log = structlog.get_logger(__name__)

_PERIOD_S: Final = 2.0
_AT_ONCE: Final = 20
"""Learners read and rewritten at once, with their logs."""
_MORE_AFTER: Final = 5
"""After so many answers of the ledger in a row one more learner is tried at once."""
_WINDOW: Final = 400
"""Learners are drawn from so many, so that two workers seldom draw the same."""
_BESIDE_ANSWERS: Final = 4
"""The most learners at once while this process records answers: few change within that time."""
_PAUSE: Final = 0.5
"""Length of a pause beside answers, as a multiple of the work before it."""
_LONGEST_PAUSE_S: Final = 5.0
_TOLD_EVERY_S: Final = 10.0
_LOOK_AGAIN_S: Final = 60.0
"""Pause after a failed replay of a learner, seconds."""

_ALTERED: Final = "the log was altered: `mastery verify` shows where"
_NOT_REPLAYED: Final = "a replay of the log fails: report it, and activate another version"
_TOO_SLOW: Final = "a statement takes too long for one learner alone"
_NOT_STORED: Final = "the ledger refuses the replayed state: report it"


class ReplayMeter(Protocol):
    """The metrics of the replay (`workers.metrics.engine_metrics`)."""

    def computing_under(self, version: int) -> None:
        """Show the version of the parameters under which this process computes."""
        ...

    def outdated(self, learners: int) -> None:
        """Show how many learners are left under another version."""
        ...


class ReplayLedger(ParametersLedger, RepairLedger, Protocol):
    """Finds outdated learners, reads their logs and rewrites their states."""


class Replayer:
    """Replays learners in the background.

    Args:
        ledger: the system of record.
        versions: the versions of the parameters.
        meter: shows the progress.
        retrying: waits for a ledger that is away.
        period_s: the longest time between two looks of `run`, seconds.
        clock: a monotonic clock, seconds.
        busy: says if this process has answers to record, which go first.
        sleep: sleeps, seconds.
    """

    def __init__(
        self,
        *,
        ledger: ReplayLedger,
        versions: Versions,
        meter: ReplayMeter,
        retrying: Retrying | None = None,
        period_s: float = _PERIOD_S,
        clock: Callable[[], float] = time.monotonic,
        busy: Callable[[], bool] = lambda: False,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._ledger = ledger
        self._retrying = retrying or Retrying()
        self._versions = RetryingVersions(versions, self._retrying)
        self._meter = meter
        self._period_s = period_s
        self._clock = clock
        self._busy = busy
        self._sleep = sleep
        self._left_alone: dict[LearnerKey, float] = {}
        self._long: set[LearnerKey] = set()
        self._at_once = _AT_ONCE
        self._answered = 0
        self._told_at = clock()

    async def run(self) -> None:
        """Notice which version is active, and replay learners under other versions; for ever.

        Raises:
            Fatal: a server refuses us, or the active version can't be read.
        """
        while True:
            await self.replay()
            # Workers started together should not all look at the same time.
            await jittered_sleep(self._period_s)

    async def replay(self) -> int:
        """Replay all learners whose state is now under another version.

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
        replayed, started = 0, False
        while window:
            now = self._clock()
            free = [
                learner.key
                for learner in window
                if self._left_alone.get(learner.key, now) <= now and learner.key not in self._long
            ]
            if free:
                if not started:
                    started = True
                    await self._tell("replay_started", replayed)
                replayed += await self._replay_some(free)
                await self._give_way(now)
                if self._clock() - self._told_at >= _TOLD_EVERY_S:
                    await self._tell("replay_progress", replayed)
            # Learners that are done have left the window.
            window = await self._outdated(None if free else window[-1])
        replayed += await self._replay_long()
        if started:
            await self._tell("replay_ended", replayed)
        else:
            self._meter.outdated(await self._count())
        return replayed

    async def _replay_some(self, free: list[LearnerKey]) -> int:
        """Replay some of these learners, and return how many were rewritten.

        A learner written by another worker meanwhile is left for another time. While the ledger
        does not answer, other and fewer learners are drawn each time, in case they were too many.
        """

        async def attempt() -> int:
            most = min(self._at_once, _BESIDE_ANSWERS) if self._busy() else self._at_once
            drawn = random.sample(free, min(len(free), most))
            try:
                rewrites = await self._rewrites(drawn)
                done = await self._rewritten(rewrites)
            except LedgerUnavailable as error:
                if isinstance(error, LedgerTooSlow) and len(drawn) == 1:
                    self._leave_alone(drawn[0], _TOO_SLOW, error)
                    return 0
                self._at_once, self._answered = max(1, self._at_once // 2), 0
                raise
            if done < len(rewrites) / 2:
                # They answer faster than so many are replayed.
                self._at_once, self._answered = max(1, self._at_once // 2), 0
                return done
            self._answered += 1
            if self._answered % _MORE_AFTER == 0:
                self._at_once = min(_AT_ONCE, self._at_once + 1)
            return done

        return await self._retrying.call(attempt)

    async def _give_way(self, began: float) -> None:
        """Pause after a part of the work, while answers are recorded in this process."""
        if self._busy():
            await self._sleep(min(_PAUSE * (self._clock() - began), _LONGEST_PAUSE_S))

    async def _rewrites(self, keys: list[LearnerKey]) -> list[Rewrite]:
        """Return the rewrites that bring these learners under the active version."""
        parameters = await self._versions.refresh()
        rewrites: list[Rewrite] = []
        async for part in in_parts(self._ledger, keys):
            for stored in part:
                if stored.parameters_version == parameters.version or not stored.version:
                    continue
                if stored.left_out:
                    self._long.add(stored.key)
                    continue
                rewrite = await self._drafted(stored, parameters)
                if rewrite is not None:
                    rewrites.append(rewrite)
        return rewrites

    async def _drafted(self, stored: Stored, parameters: Parameters) -> Rewrite | None:
        """Replay a learner; return the rewrite, None if the learner changed or is left alone."""
        if any(log_differences(stored)):
            # An altered log is not replayed: the estimate would contain the alteration.
            self._leave_alone(stored.key, _ALTERED)
            return None
        try:
            draft = RewriteDraft(stored, parameters)
            now = await replayed(self._ledger, stored, draft.replay)
            if now is None:
                return None
            if any(log_differences(now)):
                self._leave_alone(stored.key, _ALTERED)
                return None
            # A learner with a long log has many sessions: other tasks run meanwhile.
            return await asyncio.to_thread(draft.rewrite, now)
        except MasteryError:
            raise
        except Exception as error:  # noqa: BLE001  # one learner's fault: all others go on
            self._leave_alone(stored.key, _NOT_REPLAYED, error)
            return None

    async def _replay_long(self) -> int:
        """Replay learners with a long log, after all others; return how many were rewritten.

        One who changes behind the replay, or takes too long, is tried again later.
        """
        waiting, self._long, replayed = list(self._long), set(), 0
        # Two workers should not replay the same one.
        random.shuffle(waiting)
        for key in waiting:
            try:
                replayed += await self._retrying.call(functools.partial(self._one_long, key))
            except _TooSlow as error:
                self._leave_alone(key, _TOO_SLOW, error)
        return replayed

    async def _one_long(self, key: LearnerKey) -> int:
        parameters = await self._versions.refresh()
        try:
            async for (stored,) in in_parts(self._ledger, [key]):
                if stored.parameters_version == parameters.version or not stored.version:
                    continue
                rewrite = await self._drafted(stored, parameters)
                return 0 if rewrite is None else await self._rewritten([rewrite])
        except LedgerTooSlow as error:
            raise _TooSlow from error
        return 0

    async def _rewritten(self, rewrites: list[Rewrite]) -> int:
        """Write rewrites, and return how many were applied."""
        if not rewrites:
            return 0
        try:
            versions = await self._ledger.rewrite(rewrites)
        except Unstorable as error:
            if len(rewrites) == 1:
                self._leave_alone(rewrites[0].key, _NOT_STORED, error)
                return 0
            return sum([await self._rewritten([rewrite]) for rewrite in rewrites])
        written = [
            rewrite.key for rewrite, new in zip(rewrites, versions, strict=True) if new is not None
        ]
        for key in written:
            self._left_alone.pop(key, None)
        return len(written)

    def _leave_alone(self, key: LearnerKey, why: str, error: Exception | None = None) -> None:
        if key not in self._left_alone:
            kind = {} if error is None else {"error": type(error).__name__}
            _log.warning("learner_not_replayed", why=why, **kind)
        self._left_alone[key] = self._clock() + _LOOK_AGAIN_S

    async def _outdated(self, after: Outdated | None) -> list[Outdated]:
        return await self._retrying.call(lambda: self._ledger.outdated(after, _WINDOW))

    async def _count(self) -> int:
        return await self._retrying.call(self._ledger.outdated_count)

    async def _tell(self, event: str, replayed: int) -> None:
        self._told_at = self._clock()
        left = await self._count()
        version = self._versions.active.version
        self._meter.computing_under(version)
        self._meter.outdated(left)
        _log.info(event, parameters_version=version, replayed=replayed, learners_left=left)


class _TooSlow(Exception):
    """A statement takes too long for one learner alone."""
