"""Merge mastery events into the graph."""

import asyncio
from collections.abc import Sequence

from contracts.mastery import MasteryChanged
from workers.graph.changes import changes_of
from workers.graph.protocol import Graph
from workers.graph.unlocking import Mastering, Unlocked


class Projector:
    """Merge mastery events into a graph.

    Args:
        graph: the graph; the caller prepares and closes it.
    """

    def __init__(self, graph: Graph) -> None:
        self._graph = graph

    async def project(
        self, events: Sequence[MasteryChanged], entries: Sequence[str] = ()
    ) -> list[Unlocked]:
        """Merge a batch; repeating it changes nothing.

        Events may come in any order: events older than the state of the graph are skipped.

        Args:
            events: the events.
            entries: stream and id of each event; without them no concept is unlocked.

        Returns:
            The concepts that these entries unlock, to be published with the acknowledgement of
            their entries. A batch that is tried again gives the same concepts.

        Raises:
            GraphUnavailable: try the whole batch again.
            GraphRefused: the graph refuses our statements, whatever the events.
        """
        # In a thread: a large batch would hold up the engine beside it.
        changes = await asyncio.to_thread(changes_of, [event.data for event in events])
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
