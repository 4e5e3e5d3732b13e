"""Erase everything that is held of a learner, while workers run.

The order makes it final:
1. The ledger: entries from before are not committed afterwards, by any worker.
2. The streams of unfinished work: a worker that holds such an entry publishes nothing.
3. Mastery events: those that the graph projector holds are waited for, because it may be merging
   them.
4. The graph.
5. Everything again, until nothing is found.

Later responses of the learner have higher versions and later entries, and stay. An erasure that was
stopped can be run again.
"""

import asyncio
import time
from dataclasses import dataclass, field
from typing import Final

from workers.common.errors import StillThere
from workers.estimation.learner import LearnerKey
from workers.graph.protocol import Graph
from workers.ledger.privacy import PrivacyLedger
from workers.operations.privacy.belonging import version_of
from workers.operations.privacy.removal import LearnerRemoval, letter_until
from workers.operations.privacy.streams import Entry, LearnerStreams

_LOOKS: Final = 20
_PAUSE_S: Final = 0.1
_TELLING_S: Final = 2.0
"""Time in which an outbox relay publishes the rows that it took, seconds."""


@dataclass(slots=True)
class Report:
    """Counts of erased data; in a dry run, of data to erase.

    Args:
        rows: number of rows by table of the ledger.
        responses, mastery, unlocked, jobs: number of entries of those streams.
        job_records: number of job records.
        letters: number of dead letters.
        relationships: number of relationships of the graph.
        looks: how often everything was searched; the last search found nothing.
    """

    rows: dict[str, int] = field(default_factory=dict)
    responses: int = 0
    mastery: int = 0
    unlocked: int = 0
    jobs: int = 0
    job_records: int = 0
    letters: int = 0
    relationships: int = 0
    looks: int = 0

    @property
    def found(self) -> int:
        """The number of things found outside the ledger."""
        jobs = self.jobs + self.job_records
        events = self.mastery + self.unlocked
        return self.responses + events + jobs + self.letters + self.relationships


@dataclass(frozen=True, slots=True)
class _Moment:
    """The boundary between before and after the erasure.

    Args:
        until_ms: responses that entered up to then are from before, milliseconds since 1970.
        taken_ms: a time after the ledger was erased, likewise.
        version: the highest version from before.
    """

    until_ms: int
    taken_ms: int
    version: int

    def of_before(self, entry: Entry) -> bool:
        """Return True if an event about mastery or an unlocked concept is from before."""
        version = version_of(entry.event)
        return entry.entered_ms <= self.taken_ms if version is None else version <= self.version


class Eraser:
    """Erases learners.

    Args:
        ledger: the system of record.
        graph: the graph, prepared.
        streams: the learner's entries.
        patience_s: how long to wait for a worker that holds an entry, seconds; then the entry is
            taken from it.
    """

    def __init__(
        self,
        *,
        ledger: PrivacyLedger,
        graph: Graph,
        streams: LearnerStreams,
        patience_s: float = 60.0,
    ) -> None:
        self._ledger = ledger
        self._graph = graph
        self._streams = streams
        self._removal = LearnerRemoval(streams)
        self._patience_s = patience_s

    async def preview(self, key: LearnerKey) -> Report:
        """Return what `erase` would erase now."""
        now_ms = await self._streams.now_ms()
        counted = await self._ledger.erase(key, now_ms, refuse=False, dry_run=True)
        everything = _Moment(now_ms, now_ms, 2**63 - 1)
        report = Report(counted.rows)
        await self._look(key, everything, report, force=True, dry_run=True)
        return report

    async def erase(self, key: LearnerKey, *, refuse: bool) -> Report:
        """Erase a learner.

        Args:
            key: the learner.
            refuse: True: refuse later events of the learner; False: they begin anew.

        Raises:
            StillThere: every search found something.
            Unavailable: a server is away; run it again to erase the rest.
        """
        until_ms = await self._streams.now_ms()
        erased = await self._ledger.erase(key, until_ms, refuse=refuse)
        moment = _Moment(until_ms, await self._streams.now_ms(), erased.version or 0)
        report = Report(erased.rows)
        deadline = time.monotonic() + self._patience_s
        report.responses += await self._removal.responses(until_ms)
        if erased.rows.get("untold"):
            await asyncio.sleep(_TELLING_S)
        await self._published(moment, deadline)
        while report.looks < _LOOKS:
            before = report.found
            await self._projected(moment, report, deadline)
            await self._look(key, moment, report, force=True)
            report.looks += 1
            if report.looks > 1 and report.found == before:
                return report
        raise StillThere(
            f"after {_LOOKS} searches there was still something of the learner: is a worker of an "
            "earlier version running, or `mastery reconcile`? Stop it and run this again"
        )

    async def _published(self, moment: _Moment, deadline: float) -> None:
        """Wait for responses committed just before the erasure and not published yet."""
        while True:
            pending = await self._streams.pending(moment.until_ms, moment.taken_ms)
            if not pending or time.monotonic() >= deadline:
                return
            await asyncio.sleep(_PAUSE_S)

    async def _projected(self, moment: _Moment, report: Report, deadline: float) -> None:
        """Take mastery events out; wait for those that the projector holds."""
        while True:
            gone, kept = await self._removal.mastery(moment.of_before, force=False)
            report.mastery += gone
            if not kept or time.monotonic() >= deadline:
                return
            await asyncio.sleep(_PAUSE_S)

    async def _look(
        self,
        key: LearnerKey,
        moment: _Moment,
        report: Report,
        *,
        force: bool,
        dry_run: bool = False,
    ) -> None:
        removal = self._removal
        report.responses += await removal.responses(moment.until_ms, dry_run=dry_run)
        report.jobs += await removal.jobs(moment.until_ms, dry_run=dry_run)
        # After their entries, from which a worker would create them again.
        report.job_records += await removal.job_records(moment.until_ms, dry_run=dry_run)
        report.letters += await removal.letters(
            letter_until(moment.until_ms, moment.version), dry_run=dry_run
        )
        gone, _ = await removal.mastery(moment.of_before, force=force, dry_run=dry_run)
        report.mastery += gone
        report.unlocked += await removal.unlocked(moment.of_before, dry_run=dry_run)
        report.relationships += await self._of_graph(key, moment.version)
        if not dry_run:
            await self._graph.erase(key, moment.version)

    async def _of_graph(self, key: LearnerKey, version: int) -> int:
        """Count relationships up to a version; a node without any counts as one."""
        (stored,) = await self._graph.learners([key])
        versions = [relationship.version for relationship in stored.mastery]
        versions += [relationship.version for relationship in stored.abilities]
        versions += [relationship.version for relationship in stored.attendance]
        versions += [relationship.version for relationship in stored.unlocked]
        if not versions:
            return int(await self._graph.knows(key))
        # Another program may have created one without a version.
        return sum((written or 0) <= version for written in versions)
