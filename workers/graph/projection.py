"""Project batches of mastery events from their stream into the graph."""

import asyncio
from collections import defaultdict
from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from datetime import UTC, datetime
from typing import Final

import structlog
from pydantic import ValidationError

from contracts.mastery import MasteryChanged
from contracts.rejections import RejectionCode
from contracts.streams import EVENT_FIELD
from workers.admission.reasons import refusal_of
from workers.common.errors import Fatal, Refused, Unavailable
from workers.common.failure import FirstFailure
from workers.common.halving import halving
from workers.common.retrying import NoRetry, Retrying
from workers.graph.projector import Projector
from workers.graph.protocol import Graph
from workers.graph.unlocked_events import unlocked_event
from workers.graph.unlocking import Unlocked
from workers.publishing.publisher import Publisher
from workers.publishing.rejection_event import rejection_event
from workers.publishing.settled import Settled
from workers.streams.batch import RawBatch, RawEntry
from workers.streams.poison import EntryActions, PoisonIsolation, described
from workers.streams.route import Route

_log = structlog.get_logger(__name__)

_FIELD: Final = EVENT_FIELD.encode()

Judged = tuple[RawEntry, MasteryChanged]


class Projection:
    """Validate each event, project the batch and acknowledge it.

    While Neo4j is away, only the graph lags: the batch waits here and intake pauses. A batch that
    takes Neo4j too long is merged in halves.

    Args:
        projector: merges events into the graph.
        graph: the graph; its constraints are created before the first event is merged.
        publisher: acknowledges for the projector's group.
        isolation: finds the event at fault after an unexpected error.
        retrying: waits for unavailable servers.
    """

    def __init__(
        self,
        *,
        projector: Projector,
        graph: Graph,
        publisher: Publisher,
        isolation: PoisonIsolation,
        retrying: Retrying,
    ) -> None:
        self._projector = projector
        self._graph = graph
        self._prepared = False
        self._publisher = publisher
        self._isolation = isolation
        self._retrying = retrying
        self._turn = asyncio.Lock()
        self._in_flight: defaultdict[str, set[str]] = defaultdict(set)
        self._failure = FirstFailure("projection_stopped")

    def in_flight(self, stream: str) -> AbstractSet[str]:
        """Return the ids of a stream's entries that are processed here."""
        return self._in_flight[stream]

    async def until_failed(self) -> None:
        """Wait for the error that stops the projection; without one, for ever.

        Raises:
            Exception: that error.
        """
        await self._failure.wait()

    def unsettled(self) -> bool:
        """Return True if a server is away, or returned so recently that others may still wait."""
        return self._retrying.unsettled

    async def submit(self, route: Route, batch: RawBatch) -> None:
        """Project a batch and acknowledge it; its entries stay pending if the projection fails."""
        in_flight = self._in_flight[route.source]
        entries = [entry for entry in batch if entry.entry_id not in in_flight]
        ids = {entry.entry_id for entry in entries}
        in_flight |= ids
        try:
            async with self._turn:
                if not self._failure.happened:
                    await self._process_with_isolation(route, batch.part(entries))
        except Exception as error:  # noqa: BLE001  # FastStream swallows it: `until_failed` raises
            self._failure.note(error)
        finally:
            in_flight -= ids

    async def _process_with_isolation(self, route: Route, batch: RawBatch) -> None:
        if not batch.alone:
            try:
                await self._process(route, batch, self._retrying)
            except (Fatal, Unavailable):
                raise
            except Exception as error:  # noqa: BLE001  # reject only the event at fault
                _log.warning("batch_failed", entries=len(batch), error=described(error))
            else:
                return
        await self._isolate(route, batch)

    async def _isolate(self, route: Route, batch: RawBatch) -> None:
        async def refuse(entry: RawEntry, reason: str) -> None:
            await self._settle(route, batch, [], [(entry, Refused(RejectionCode.POISON, reason))])

        actions = EntryActions(
            together=lambda some: self._process(route, batch.part(some), self._retrying),
            alone=lambda entry: self._process(route, batch.part([entry]), NoRetry()),
            reach=self._graph.ping,
            refuse=refuse,
        )
        await self._isolation.one_by_one(route.source, batch, actions)

    async def _process(self, route: Route, batch: RawBatch, retrying: Retrying) -> None:
        # In a thread: a large batch would hold up the engine beside it.
        events, refused = await asyncio.to_thread(_judge, batch)
        unlocked: dict[str, list[bytes]] = {}
        if events:
            if not self._prepared:
                await retrying.call(self._graph.prepare)
                self._prepared = True
            by_entry = {f"{route.source}/{judged[0].entry_id}": judged for judged in events}

            async def project(names: Sequence[str]) -> list[list[Unlocked]]:
                concepts: dict[str, list[Unlocked]] = {name: [] for name in names}
                own = [by_entry[name][1] for name in names]
                for concept in await self._projector.project(own, names):
                    concepts[concept.entry].append(concept)
                return list(concepts.values())

            names = list(by_entry)
            answers = await halving(project, names, retrying)
            for name, concepts in zip(names, answers, strict=True):
                entry, event = by_entry[name]
                unlocked[entry.entry_id] = [unlocked_event(c, event, entry) for c in concepts]
        await self._settle(
            route,
            batch,
            [Settled(entry, unlocked.get(entry.entry_id, ())) for entry, _ in events],
            refused,
        )

    async def _settle(
        self,
        route: Route,
        batch: RawBatch,
        projected: list[Settled],
        refused: list[tuple[RawEntry, Refused]],
    ) -> None:
        settled = list(projected)
        for entry, refusal in refused:
            _log.warning("mastery_event_rejected", stream=route.source, entry_id=entry.entry_id)
            deliveries = batch.deliveries.get(entry.entry_id, 1)
            event = rejection_event(route.source, entry, refusal, deliveries, datetime.now(UTC))
            settled.append(Settled(entry, [event], refusal))
        await self._retrying.call(lambda: self._publisher.publish(route, settled))


def _judge(batch: RawBatch) -> tuple[list[Judged], list[tuple[RawEntry, Refused]]]:
    """Validate each entry by itself."""
    events: list[Judged] = []
    refused: list[tuple[RawEntry, Refused]] = []
    for entry in batch:
        try:
            event = MasteryChanged.model_validate_json(entry.fields.get(_FIELD, b""))
        except ValidationError as error:
            refused.append((entry, refusal_of(error)))
        else:
            events.append((entry, event))
    return events, refused
