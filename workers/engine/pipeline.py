"""One batch's way, top to bottom: admit, load, fold, commit, make events, publish."""

import logging
from collections.abc import AsyncGenerator, Mapping, Sequence
from datetime import UTC, datetime
from enum import Enum, auto

import structlog

from workers.admission.admission import Admission
from workers.admission.parking import Parking
from workers.admission.verdicts import Admitted, Deferred, Rejection
from workers.common.errors import LedgerTooSlow
from workers.common.retrying import Retrying
from workers.engine.entry_log import log_rejected, log_settled
from workers.engine.group import LearnerGroup, grouped
from workers.engine.recorder import Recorder
from workers.engine.set_aside import SetAside, Waiting
from workers.metrics.meter import Meter
from workers.publishing.lost_owners import LostOwners
from workers.publishing.mastery_events import mastery_events
from workers.publishing.publisher import Publisher
from workers.publishing.rejection_event import rejection_event
from workers.publishing.settled import Settled
from workers.streams.batch import RawBatch
from workers.streams.route import Route

_log = structlog.get_logger(__name__)


class Step(Enum):
    """The next step of a batch; it may have to wait for other batches."""

    LOAD = auto()
    """Load and fold, while the batch before is committed."""
    COMMIT = auto()
    """Commit, once the batch before is committed."""
    PUBLISH = auto()
    """Publish, once the batch before is published."""


class Pipeline:
    """Takes one batch through all steps. Each step can also be run by itself.

    Args:
        admission: judges each entry.
        recorder: loads, folds and commits.
        publisher: acknowledges and publishes.
        retrying: waits for Redis while it is away.
        meter: counts, and measures each step.
        parking: keeps entries whose key is unknown; None: no entry is ever deferred.
        lost_owners: lets repeats publish for owners that Redis lost; None: it loses none.

    Attributes:
        admission, recorder: as given; their methods are steps too.
    """

    def __init__(
        self,
        *,
        admission: Admission,
        recorder: Recorder,
        publisher: Publisher,
        retrying: Retrying,
        meter: Meter,
        parking: Parking | None = None,
        lost_owners: LostOwners | None = None,
    ) -> None:
        self.admission = admission
        self.recorder = recorder
        self._recorder_without_retry = recorder.without_retry()
        self._publisher = publisher
        self._retrying = retrying
        self._meter = meter
        self._parking = parking
        self._lost_owners = lost_owners

    async def run(
        self,
        route: Route,
        batch: RawBatch,
        *,
        wait_for_ledger: bool = True,
        aside: SetAside | None = None,
    ) -> AsyncGenerator[Step, None]:
        """Take a batch through all steps; yields before each step that may have to wait.

        Args:
            route: where the entries come from, and where their events go.
            batch: entries of one stream.
            wait_for_ledger: wait while the ledger is away.
            aside: takes learners whose logs are too long for a batch; None: the batch waits.

        Raises:
            Fatal: a server refuses us; no entry is at fault.
            LedgerUnavailable: the ledger is away, and `wait_for_ledger` is False.
            Exception: anything unexpected is the fault of one of the entries.
        """
        recorder = self.recorder if wait_for_ledger else self._recorder_without_retry
        admitted, settled, deferred = self.admit(batch)
        await self.park(route, deferred)

        yield Step.LOAD
        await recorder.look_up(admitted)
        groups, left = grouped(admitted), list[LearnerGroup]()
        if aside is not None:
            groups = aside.join(route, groups, batch.deliveries)
        rounds = self._rounds(route, recorder, groups, settled, None if aside is None else left)
        async for step in rounds:
            yield step

        yield Step.PUBLISH
        await self.settle(route, settled, batch.deliveries)
        if aside is not None:
            for group in left:
                aside.put(Waiting(route, group, dict(batch.deliveries)))

    async def run_aside(self, waiting: Waiting) -> AsyncGenerator[Step, None]:
        """Take a learner who was set aside through the last steps.

        Raises:
            Exception: see `run`.
        """
        settled: list[Settled] = []
        async for step in self._rounds(
            waiting.route, self.recorder, [waiting.group], settled, None
        ):
            yield step

        yield Step.PUBLISH
        await self.settle(waiting.route, settled, waiting.deliveries)

    async def _rounds(
        self,
        route: Route,
        recorder: Recorder,
        unsettled: list[LearnerGroup],
        settled: list[Settled],
        left: list[LearnerGroup] | None,
    ) -> AsyncGenerator[Step, None]:
        """Load, fold and commit until every learner is settled or left.

        Args:
            route: where the entries come from.
            recorder: loads, folds and commits.
            unsettled: the learners.
            settled: takes the settled entries.
            left: takes the learners whose log does not fit into a load; None: these logs are
                replayed page by page.
        """
        stream, ahead = route.source, True
        while unsettled:
            parameters = await recorder.load(unsettled, ahead=ahead)
            slow = [group for group in unsettled if group.loaded is None and group.slow]
            early = [group for group in unsettled if group.loaded is None and not group.slow]
            loaded = [group for group in unsettled if group.loaded is not None]
            done, ready, unsettled = recorder.settling.loaded(stream, loaded)
            unsettled += early
            settled += done
            await recorder.keep_versions(ready, parameters)
            if left is None:
                if slow:
                    raise LedgerTooSlow("the statement takes too long for one learner alone")
                for group in ready:
                    if not group.fits:
                        await recorder.replay(group, parameters)
                unsettled += [group for group in ready if not group.fits]
            else:
                left += [*slow, *(group for group in ready if not group.fits)]
            ready = [group for group in ready if group.fits]
            if not ready and not early:
                continue
            commits = await recorder.fold(stream, ready, parameters) if ready else []

            with recorder.giving_up(commits):
                yield Step.COMMIT
                answers = await recorder.commit(commits)
            ahead = False
            done, again = recorder.settling.committed(stream, ready, commits, answers)
            settled += done
            unsettled = [*unsettled, *again]

    def admit(self, batch: RawBatch) -> tuple[list[Admitted], list[Settled], list[Deferred]]:
        """Judge each entry: admitted, refused and thereby settled, or deferred for a key."""
        self._meter.batch(len(batch))
        with self._meter.stage("admit"):
            judged = [self.admission.judge(entry, batch.now_ms) for entry in batch]
        return (
            [verdict for verdict in judged if isinstance(verdict, Admitted)],
            [
                Settled(verdict.entry, refusal=verdict.refusal, event=verdict.event)
                for verdict in judged
                if isinstance(verdict, Rejection)
            ],
            [verdict for verdict in judged if isinstance(verdict, Deferred)],
        )

    async def park(self, route: Route, deferred: Sequence[Deferred]) -> None:
        """Keep entries whose key is unknown, until a newer key set decides."""
        parking = self._parking
        if deferred and parking is not None:
            await self._retrying.call(lambda: parking.park(route, deferred))

    async def settle(
        self, route: Route, settled: list[Settled], deliveries: Mapping[str, int]
    ) -> None:
        """Make the events of settled entries, acknowledge the entries and publish the events."""
        owners = self._lost_owners
        if owners is not None:
            await self._retrying.call(lambda: owners.replace(route.source, settled))
        self.make_events(route, settled, deliveries)
        await self.publish(route, settled)

    def make_events(
        self, route: Route, settled: list[Settled], deliveries: Mapping[str, int]
    ) -> None:
        """Give settled entries their events, and sort them by version.

        Args:
            route: where the entries come from.
            settled: the entries; the list is changed in place.
            deliveries: how often each entry was delivered, by id; an entry not named, once.
        """
        settled.sort(key=lambda settled_entry: settled_entry.version)
        debugging = _log.is_enabled_for(logging.DEBUG)
        for settled_entry in settled:
            if settled_entry.admitted is not None and settled_entry.recorded is not None:
                settled_entry.events = mastery_events(
                    settled_entry.admitted, settled_entry.recorded
                )
            if debugging:
                log_settled(route.source, settled_entry)
            if settled_entry.refusal is not None:
                self._meter.rejected(settled_entry.refusal.code)
                log_rejected(route.source, settled_entry, settled_entry.refusal)
                times, now = deliveries.get(settled_entry.entry.entry_id, 1), datetime.now(UTC)
                settled_entry.events = [
                    rejection_event(
                        route.source, settled_entry.entry, settled_entry.refusal, times, now
                    )
                ]

    async def publish(self, route: Route, settled: Sequence[Settled]) -> None:
        """Acknowledge entries and publish their events, in the order given."""
        with self._meter.stage("publish"):
            await self._retrying.call(lambda: self._publisher.publish(route, settled))
