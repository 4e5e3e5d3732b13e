from collections.abc import Sequence

import pytest

from tests.support.graph_events import mastery_changed
from workers.common.errors import GraphUnavailable
from workers.graph.changes import GraphChange, changes_of
from workers.graph.embedded import EmbeddedGraph
from workers.graph.projector import Projector
from workers.graph.unlocking import Mastering, Unlocked


class _Recording(EmbeddedGraph):
    def __init__(self, error: Exception | None = None) -> None:
        super().__init__()
        self.merged: list[list[GraphChange]] = []
        self.mastering: list[Mastering] = []
        self._error = error

    async def project(
        self, changes: Sequence[GraphChange], mastering: Sequence[Mastering]
    ) -> list[Unlocked]:
        if self._error is not None:
            raise self._error
        self.merged.append(list(changes))
        self.mastering += mastering
        return []


async def test_given_a_batch_when_projected_then_its_changes_are_merged_once() -> None:
    graph = _Recording()
    events = [mastery_changed(version=v) for v in (2, 1, 3)]

    await Projector(graph).project(events)

    assert graph.merged == [changes_of([events[2].data])]


async def test_given_entries_when_projected_then_what_is_mastered_is_asked_about() -> None:
    graph = _Recording()
    events = [mastery_changed(version=v) for v in (1, 2, 4)]

    await Projector(graph).project(events, ["m/1-0", "m/2-0", "m/3-0"])

    assert [(event.version, event.event_id, event.entry) for event in graph.mastering] == [
        (2, events[1].id, "m/2-0"),
        (4, events[2].id, "m/3-0"),
    ]
    assert graph.mastering[0].at == events[1].data.answered_at


async def test_given_an_empty_batch_when_projected_then_the_graph_is_left_alone() -> None:
    graph = _Recording()

    await Projector(graph).project([])

    assert graph.merged == []


async def test_given_an_absent_graph_when_projected_then_the_caller_hears_of_it() -> None:
    away = GraphUnavailable("gone")

    with pytest.raises(GraphUnavailable) as raised:
        await Projector(_Recording(away)).project([mastery_changed()])

    assert raised.value is away
