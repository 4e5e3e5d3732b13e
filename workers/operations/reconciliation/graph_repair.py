"""Compare the graph with the ledger, learner by learner, and repair it while workers run.

An event follows its commit. Whatever the graph held before the ledger was read is therefore in the
ledger, and anything newer in the graph is wrong. A repair removes only relationships that are still
as they were read, and compares them again afterwards: an event that a wrong relationship kept out
meanwhile is in the ledger by then.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import chain
from typing import Final, ParamSpec, Protocol, TypeVar

from workers.common.retrying import Retrying
from workers.estimation.learner import LearnerKey
from workers.graph.changes import PractisedChange
from workers.graph.protocol import Graph, SessionKey
from workers.graph.repairs import Repair
from workers.ledger.audit import AuditLedger
from workers.ledger.exchange import Touched
from workers.ledger.recording import RecordingLedger
from workers.operations.reconciliation.comparison import (
    Difference,
    differences,
    expected,
    practised,
    repair_of,
)
from workers.operations.reconciliation.pairs import Pairs
from workers.operations.repair.scope import Scope

_Arguments = ParamSpec("_Arguments")
_Result = TypeVar("_Result")
_Item = TypeVar("_Item")

_PAGE: Final = 100
"""Learners compared at once, with their logs."""
_NAMES: Final = 500
"""Names read from the graph at once."""
_TOGETHER: Final = 2_000
"""Differences repaired in one transaction, which takes some tenths of a second."""
_LOOKS: Final = 5


@dataclass(slots=True)
class Compared:
    """The result of one page of the comparison.

    Args:
        learners: number of learners of the ledger compared.
        after: the last of them, where to resume; None in the passes over the graph's own nodes.
        differences: the differences, repaired unless it was a dry run.
        left: differences that came back after each repair.
        nodes: students and practice sessions without any relationship, removed unless it was a dry
            run.
    """

    learners: int = 0
    after: LearnerKey | None = None
    differences: list[Difference] = field(default_factory=list)
    left: list[Difference] = field(default_factory=list)
    nodes: list[LearnerKey | SessionKey] = field(default_factory=list)


class ReconciledLedger(AuditLedger, RecordingLedger, Protocol):
    """Reads the states and outcomes that the graph is compared with."""


class GraphRepair:
    """Repairs the graph from the ledger.

    Args:
        ledger: the ledger, which is right.
        graph: the graph, prepared.
        retrying: waits for servers that are away.
        scope: the learners.
        dry_run: compare only.
    """

    def __init__(
        self,
        *,
        ledger: ReconciledLedger,
        graph: Graph,
        retrying: Retrying,
        scope: Scope,
        dry_run: bool,
    ) -> None:
        self._ledger = ledger
        self._graph = graph
        self._retrying = retrying
        self._scope = scope
        self._dry_run = dry_run
        self._practised = Pairs()

    async def run(self, after: LearnerKey | None = None) -> AsyncIterator[Compared]:
        """Compare and repair, page by page; can be resumed at any page.

        Learners of the ledger come first, then students that only the graph has, then wrong
        concepts of practice sessions. The last step needs all logs, so it is skipped for one
        learner and for a resumed run.

        Args:
            after: resume after this learner.
        """
        async for keys in self._scope.learners(self._learners_after, after):
            compared = await self._settled(keys)
            compared.learners, compared.after = len(keys), keys[-1]
            yield compared
        async for keys in self._scope.learners(self._students_after):
            if strangers := await self._unknown(keys):
                compared = await self._settled(strangers)
                compared.nodes += await self._without_nodes(strangers)
                yield compared
        if after is None and self._scope.learner is None:
            first = SessionKey(self._scope.tenant_id or "", "")
            async for sessions in self._scope.pages(self._sessions_after, first):
                yield await self._settled_sessions(sessions)

    async def _settled(self, keys: list[LearnerKey]) -> Compared:
        """Compare learners, repair differences, and compare forced repairs again."""
        compared = Compared()
        known = set()
        for _ in range(_LOOKS):
            differing = await self._differences(keys)
            compared.differences += [
                difference for difference in differing if difference.identity not in known
            ]
            known |= {difference.identity for difference in differing}
            if self._dry_run:
                return compared
            await self._repair(differing)
            compared.left = [difference for difference in differing if difference.forced]
            if not compared.left:
                break
        return compared

    async def _differences(self, keys: list[LearnerKey]) -> list[Difference]:
        # The graph first: see above.
        in_graph = await self._ask(self._graph.learners, keys)
        stored = await self._ask(self._ledger.stored, keys)
        differing = [
            difference
            for should, is_ in zip(stored, in_graph, strict=True)
            for difference in differences(expected(should), is_)
        ]
        should_be = set(
            chain.from_iterable(practised(learner.key, learner.log) for learner in stored)
        )
        self._practised.update(should_be)
        is_there = await self._practised_in({_session_of(pair) for pair in should_be})
        return differing + [Difference((), pair) for pair in sorted(should_be - is_there)]

    async def _practised_in(self, keys: Iterable[SessionKey]) -> set[PractisedChange]:
        pairs: set[PractisedChange] = set()
        for some in _slices(sorted(keys), _NAMES):
            for session in await self._ask(self._graph.practised, some):
                pairs |= {PractisedChange(*session.key, c) for c in session.concept_ids}
        return pairs

    async def _unknown(self, keys: list[LearnerKey]) -> list[LearnerKey]:
        touched = [Touched(key, []) for key in keys]
        loaded = await self._ask(self._ledger.load, touched)
        return [key for key, state in zip(keys, loaded, strict=True) if not state.learner.version]

    async def _without_nodes(self, keys: list[LearnerKey]) -> list[LearnerKey]:
        """Remove students without any relationship."""
        alone = await self._ask(self._graph.alone_students, keys)
        if alone and not self._dry_run:
            await self._ask(self._graph.remove_students, alone)
        return alone

    async def _settled_sessions(self, keys: list[SessionKey]) -> Compared:
        """Compare the concepts of sessions with the logs of those who attended."""
        compared = Compared()
        is_there = await self._practised_in(keys)
        # Responses recorded since the learners were compared are not among the pairs.
        suspects = {pair for pair in is_there if pair not in self._practised}
        strays = suspects - await self._attested(suspects)
        compared.differences = [Difference((pair,), None) for pair in sorted(strays)]
        if strays and not self._dry_run:
            await self._repair(compared.differences)
            if regretted := strays & await self._attested(strays):
                await self._ask(self._graph.repair, Repair(merges=sorted(regretted)))
        alone = await self._ask(self._graph.alone_sessions, keys)
        if alone and not self._dry_run:
            await self._ask(self._graph.remove_sessions, alone)
        compared.nodes += alone
        return compared

    async def _attested(self, suspects: set[PractisedChange]) -> set[PractisedChange]:
        """Return the concepts practised in these sessions, by the logs of the attendees."""
        if not suspects:
            return set()
        sessions = sorted({_session_of(pair) for pair in suspects})
        # The graph first here too: an event ties its student to the session in the same step.
        attended = await self._ask(self._graph.attendees, sessions)
        pairs: set[PractisedChange] = set()
        for some in _slices(sorted(set(chain.from_iterable(attended.values()))), _PAGE):
            for learner in await self._ask(self._ledger.stored, some):
                pairs |= practised(learner.key, learner.log)
        return pairs

    async def _repair(self, differing: list[Difference]) -> None:
        for some in _slices(differing, _TOGETHER):
            repair = repair_of(some)
            await self._ask(self._graph.repair, repair)

    async def _learners_after(self, after: LearnerKey) -> list[LearnerKey]:
        return await self._ask(self._ledger.learners, after, _PAGE)

    async def _students_after(self, after: LearnerKey) -> list[LearnerKey]:
        return await self._ask(self._graph.students, after, _NAMES)

    async def _sessions_after(self, after: SessionKey) -> list[SessionKey]:
        return await self._ask(self._graph.session_keys, after, _NAMES)

    async def _ask(
        self,
        call: Callable[_Arguments, Awaitable[_Result]],
        *arguments: _Arguments.args,
        **named: _Arguments.kwargs,
    ) -> _Result:
        return await self._retrying.call(lambda: call(*arguments, **named))


def _slices(items: Sequence[_Item], size: int) -> Iterator[list[_Item]]:
    for first in range(0, len(items), size):
        yield list(items[first : first + size])


def _session_of(change: PractisedChange) -> SessionKey:
    return SessionKey(change.tenant_id, change.session_id)
