"""The projector: mastery events in, a graph that has seen them out."""

from collections.abc import Sequence

from contracts.mastery import MasteryChanged
from workers.graph.changes import changes_of
from workers.graph.protocol import Graph


class Projector:
    """Merges what mastery events carry into a graph.

    Args:
        graph: where to; the caller prepares and closes it.
    """

    def __init__(self, graph: Graph) -> None:
        self._graph = graph

    async def project(self, events: Sequence[MasteryChanged]) -> None:
        """Merge a batch; after this the graph holds it, and a repeat changes nothing.

        Events may come in any order: those older than what the graph holds are passed over.

        Raises:
            GraphUnavailable: the whole batch is to be tried again.
            GraphRefused: the graph refuses our statements, whatever the events.
        """
        changes = changes_of(event.data for event in events)
        if changes:
            await self._graph.merge(changes)
