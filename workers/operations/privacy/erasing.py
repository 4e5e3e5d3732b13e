"""Erasing all that is held of a learner, while workers run.

The order makes it final. The ledger first: what entered a stream before is not committed after
that, by whomever. Then the streams of what is still to be worked on: who holds such an entry then
publishes nothing. Then what tells of the learner: mastery events, of which those that the projector
holds are waited for, since it may be merging them; then the graph. Then all of it is looked at
again until nothing is found. What comes of the learner's later responses has higher versions and
later entries, and is left alone. Stopped half-way it can be run again.
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
from workers.operations.privacy.streams import Entry, LearnerStreams, letter_until

_LOOKS: Final = 20
_PAUSE_S: Final = 0.1
_TELLING_S: Final = 2.0
"""Within it a teller publishes what it has taken from the ledger."""


@dataclass(slots=True)
class Report:
    """What was erased, or would be.

    Args:
        rows: of each table of the ledger how many rows.
        responses, mastery, unlocked, jobs: how many entries of those streams.
        job_records: how many records of jobs.
        letters: how many dead letters.
        relationships: how many of the graph.
        looks: how often everything was looked at; at the last look nothing was found.
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
        """How much there was outside the ledger."""
        jobs = self.jobs + self.job_records
        told = self.mastery + self.unlocked
        return self.responses + told + jobs + self.letters + self.relationships


@dataclass(frozen=True, slots=True)
class _Moment:
    """What tells before from after.

    Args:
        until_ms: what entered the responses streams up to then is of before.
        taken_ms: a moment after the ledger was erased.
        version: nothing of before has a higher version.
    """

    until_ms: int
    taken_ms: int
    version: int

    def of_before(self, entry: Entry) -> bool:
        """Whether an event about mastery or an unlocked concept is."""
        version = version_of(entry.event)
        return entry.entered_ms <= self.taken_ms if version is None else version <= self.version


class Eraser:
    """Erases learners.

    Args:
        ledger: the system of record.
        graph: prepared.
        streams: of a client of Redis, the learner's entries.
        patience_s: how long who holds an entry is waited for, seconds; then it is taken away.
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
        self._patience_s = patience_s

    async def preview(self, key: LearnerKey) -> Report:
        """What `erase` would take away now."""
        now_ms = await self._streams.now_ms()
        counted = await self._ledger.erase(key, now_ms, refuse=False, dry_run=True)
        everything = _Moment(now_ms, now_ms, 2**63 - 1)
        report = Report(counted.rows)
        await self._look(key, everything, report, force=True, dry_run=True)
        return report

    async def erase(self, key: LearnerKey, *, refuse: bool) -> Report:
        """Erase a learner.

        Args:
            key: who.
            refuse: whether later events of the learner are refused; else they start anew.

        Raises:
            StillThere: something was found at each look.
            Unavailable: a server is away; what is left is erased when it is run again.
        """
        until_ms = await self._streams.now_ms()
        erased = await self._ledger.erase(key, until_ms, refuse=refuse)
        moment = _Moment(until_ms, await self._streams.now_ms(), erased.version or 0)
        report = Report(erased.rows)
        deadline = time.monotonic() + self._patience_s
        report.responses += await self._streams.take_responses(until_ms)
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
            f"after {_LOOKS} looks there still was something of the learner: is a worker of an "
            "earlier version running, or `mastery reconcile`? Stop it and run this again"
        )

    async def _published(self, moment: _Moment, deadline: float) -> None:
        """Wait for what was committed just before the erasure, and perhaps is not published yet."""
        while True:
            pending = await self._streams.pending(moment.until_ms, moment.taken_ms)
            if not pending or time.monotonic() >= deadline:
                return
            await asyncio.sleep(_PAUSE_S)

    async def _projected(self, moment: _Moment, report: Report, deadline: float) -> None:
        """Take the mastery events out, those that the projector holds once it is done with them."""
        while True:
            gone, held = await self._streams.take_mastery(moment.of_before, force=False)
            report.mastery += gone
            if not held or time.monotonic() >= deadline:
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
        streams = self._streams
        report.responses += await streams.take_responses(moment.until_ms, dry_run=dry_run)
        report.jobs += await streams.take_jobs(moment.until_ms, dry_run=dry_run)
        # After their entries, of which a worker would make them again.
        report.job_records += await streams.take_job_records(moment.until_ms, dry_run=dry_run)
        report.letters += await streams.take_letters(
            letter_until(moment.until_ms, moment.version), dry_run=dry_run
        )
        gone, _ = await streams.take_mastery(moment.of_before, force=force, dry_run=dry_run)
        report.mastery += gone
        report.unlocked += await streams.take_unlocked(moment.of_before, dry_run=dry_run)
        report.relationships += await self._of_graph(key, moment.version)
        if not dry_run:
            await self._graph.erase(key, moment.version)

    async def _of_graph(self, key: LearnerKey, version: int) -> int:
        """How many relationships of a version or older there are; a node without any is one."""
        (stored,) = await self._graph.learners([key])
        versions = [one.version for one in stored.mastery]
        versions += [one.version for one in stored.abilities]
        versions += [one.version for one in stored.attendance]
        versions += [one.version for one in stored.unlocked]
        if not versions:
            return int(await self._graph.knows(key))
        # One that another program made may have none.
        return sum((one or 0) <= version for one in versions)
