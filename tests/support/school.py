"""A school: a ledger with learners, and the graph that a repair compares with it."""

from collections.abc import Sequence
from dataclasses import dataclass

from contracts.mastery import MasteryChanged
from tests.support.graph_contents import everything
from tests.support.graph_events import DictGraph
from tests.support.ledger_steps import record
from workers.common.retrying import Retrying
from workers.estimation.learner import LearnerKey, Response
from workers.graph.changes import MasteryChange, changes_of
from workers.graph.projector import Projector
from workers.graph.protocol import Graph, StoredLearner, StoredSession
from workers.ledger.memory.ledger import MemoryLedger
from workers.operations.reconciliation.comparison import Difference
from workers.operations.reconciliation.graph_repair import Compared, GraphRepair
from workers.operations.repair.scope import Scope
from workers.publishing.mastery_events import restated_events

KEYS = [LearnerKey(tenant, student) for tenant in ("t1", "t2") for student in ("s1", "s2", "s3")]


@dataclass
class School:
    """A ledger with learners, and a graph that has seen all their events."""

    ledger: MemoryLedger
    graph: Graph

    async def record(self, key: LearnerKey, log: Sequence[Response]) -> None:
        await record(self.ledger, key, log)

    async def project(self) -> None:
        """All events there ever were, through the projector."""
        await Projector(self.graph).project(self.events())

    def events(self) -> list[MasteryChanged]:
        return [
            MasteryChanged.model_validate_json(event)
            for key, account in self.ledger._accounts.items()
            for recorded in account.log.values()
            for event in restated_events(
                key, recorded, {c["concept_id"] for c in recorded.outcome["concepts"]}
            )
        ]

    def expected(self) -> tuple[list[StoredLearner], list[StoredSession]]:
        model = DictGraph()
        for event in self.events():
            model.apply(changes_of([event.data]))
        return model.learners(), model.sessions()

    async def assert_equal(self) -> None:
        assert await everything(self.graph) == self.expected()

    async def mastery(self, key: LearnerKey, number: int = 0) -> MasteryChange:
        (learner,) = await self.graph.learners([key])
        return learner.mastery[number]

    async def reconcile(
        self, scope: Scope | None = None, after: LearnerKey | None = None, *, dry_run: bool = False
    ) -> "Outcome":
        repair = GraphRepair(
            ledger=self.ledger,
            graph=self.graph,
            retrying=Retrying(first_s=0.001, longest_s=0.002),
            scope=scope or Scope(),
            dry_run=dry_run,
        )
        return Outcome([page async for page in repair.run(after)])


class Outcome:
    def __init__(self, pages: list[Compared]) -> None:
        self.learners = sum(page.learners for page in pages)
        self.differences: list[Difference] = [
            difference for page in pages for difference in page.differences
        ]
        self.left = [difference for page in pages for difference in page.left]
        self.nodes = [node for page in pages for node in page.nodes]

    @property
    def kinds(self) -> list[str]:
        return [difference.kind for difference in self.differences]

    @property
    def identities(self) -> list[tuple[str, ...]]:
        return [difference.identity[1] for difference in self.differences]
