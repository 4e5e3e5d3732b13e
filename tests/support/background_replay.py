"""Learners under one version of parameters, a ledger that is busy, and their replayer."""

import math
from collections.abc import Sequence
from typing import Any

from tests.support.doubles import fast_retrying
from tests.support.factories import learner_log
from tests.support.ledger_steps import record
from workers.common.errors import LedgerUnavailable, Unstorable
from workers.estimation.documents import parameters_document
from workers.estimation.learner import LearnerKey
from workers.estimation.parameters import BktParameters, Parameters
from workers.ledger.corrections import CorrectionRow
from workers.ledger.memory.ledger import MemoryLedger
from workers.ledger.parameter_versions import ParametersSource
from workers.ledger.repair import Rewrite
from workers.ledger.rows import Stored
from workers.operations.repair.background_replay import Replayer
from workers.operations.repair.verifying import verify

DOCUMENT = parameters_document(
    Parameters(default=BktParameters(prior=0.4, learn=0.2, guess=0.15, slip=0.05))
)


class Meter:
    def __init__(self) -> None:
        self.versions: list[int] = []
        self.left: list[int] = []

    def computing_under(self, version: int) -> None:
        self.versions.append(version)

    def outdated(self, learners: int) -> None:
        self.left.append(learners)


class BusyLedger(MemoryLedger):
    """Ledger whose calls a test interrupts: others write in between, or it is away."""

    def __init__(self) -> None:
        super().__init__()
        self.meanwhile: list[Any] = []
        self.damaged: set[LearnerKey] = set()
        self.spoiled: set[LearnerKey] = set()
        self.unstorable: set[LearnerKey] = set()
        self.most = 1_000
        self.asked: list[int] = []
        self.looked_at: list[LearnerKey] = []
        self.rewritten: list[LearnerKey] = []

    async def stored(
        self, keys: Sequence[LearnerKey], most_answers: int | None = None
    ) -> list[Stored]:
        self.asked.append(len(keys))
        if len(keys) > self.most:
            raise LedgerUnavailable("it took too long")
        rows = await super().stored(keys, most_answers)
        for learner in rows:
            if learner.key in self.spoiled:
                learner.log = [learner.log[0]._replace(score=math.nan, concept_ids=())]
                learner.responses = list(learner.log)
            self.looked_at.append(learner.key)
            if learner.key in self.damaged:
                learner.corrections.append(CorrectionRow("gone", "void", None, "", 0, 1))
        return rows

    async def rewrite(self, rewrites: Sequence[Rewrite]) -> list[int | None]:
        if self.meanwhile:
            await self.meanwhile.pop(0)()
        if any(rewrite.key in self.unstorable for rewrite in rewrites):
            raise Unstorable("new row violates a check (SQLSTATE 23514)")
        versions = await super().rewrite(rewrites)
        self.rewritten += [
            rewrite.key for rewrite, version in zip(rewrites, versions, strict=True) if version
        ]
        return versions


class World:
    """Some learners under version 1, and another version."""

    def __init__(self, learners: int = 5) -> None:
        self.keys = [LearnerKey("t", f"s{n:03}") for n in range(learners)]
        self.ledger = BusyLedger()
        self.source = ParametersSource(self.ledger, 0.95)
        self.meter = Meter()
        self.now = 0.0

    async def fill(self) -> int:
        for number, key in enumerate(self.keys):
            await record(self.ledger, key, learner_log(6, seed=number))
        return await self.ledger.store("bkt", DOCUMENT, {}, "")

    def replayer(self, **options: Any) -> Replayer:
        return Replayer(
            ledger=self.ledger,
            versions=self.source,
            meter=self.meter,
            retrying=fast_retrying(),
            clock=lambda: self.now,
            **options,
        )

    async def assert_all_under(self, version: int) -> None:
        for stored in await MemoryLedger.stored(self.ledger, self.keys):
            assert {row.parameters_version for row in stored.concepts} == {version}
            assert {row.parameters_version for row in stored.abilities} == {version}
        pages = [page async for page in verify(self.ledger, self.source)]
        assert [page.differences for page in pages if page.differences] == []
        assert sum(page.outdated for page in pages) == 0
