"""The projector: mastery events in, a graph that has seen them out."""

from collections.abc import Sequence

from contracts.mastery import MasteryChanged
from workers.graph.changes import changes_of
from workers.graph.protocol import Graph
from workers.graph.unlocking import Mastering, Unlocked


class Projector:
    """Merges what mastery events carry into a graph.

    Args:
        graph: where to; the caller prepares and closes it.
    """

    def __init__(self, graph: Graph) -> None:
        self._graph = graph

    async def project(
        self, events: Sequence[MasteryChanged], entries: Sequence[str] = ()
    ) -> list[Unlocked]:
        """Merge a batch; after this the graph holds it, and a repeat changes nothing.

        Events may come in any order: those older than what the graph holds are passed over.

        Args:
            events: what happened.
            entries: of each event its stream and id; without them nothing is unlocked.

        Returns:
            The concepts that these entries unlock, each to be published with the
            acknowledgement of its entry: of a batch that is tried again the same.

        Raises:
            GraphUnavailable: the whole batch is to be tried again.
            GraphRefused: the graph refuses our statements, whatever the events.
        """
        changes = changes_of(event.data for event in events)
        if not changes:
            return []
        mastering = [
            _mastering(event, entry)
            for event, entry in zip(events, entries, strict=bool(entries))
            if event.data.mastered
        ]
        return await self._graph.project(changes, mastering)


def _mastering(event: MasteryChanged, entry: str) -> Mastering:
    data = event.data
    return Mastering(
        data.tenant_id,
        data.student_id,
        data.concept_id,
        event.id,
        entry,
        data.version,
        data.answered_at,
    )
