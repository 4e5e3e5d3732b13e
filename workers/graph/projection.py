"""Taking batches of mastery events from their stream into the graph."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Final

import structlog
from pydantic import ValidationError

from contracts.mastery import MasteryChanged
from contracts.rejections import RejectionCode
from contracts.streams import EVENT_FIELD, Shard
from workers.errors import Fatal, Refused, Unavailable
from workers.graph.projector import Projector
from workers.intake.raw_batch import RawBatch, RawEntry
from workers.outlet.events import rejection_event
from workers.outlet.outlet import Outlet, Settled
from workers.patience import Patience

_log = structlog.get_logger(__name__)

_FIELD: Final = EVENT_FIELD.encode()

Judged = tuple[RawEntry, MasteryChanged]


class Projection:
    """Validates each event, projects the batch, and acknowledges it.

    Neo4j being away delays the graph and nothing else: the batch waits here, intake pauses.

    Args:
        projector: merges events into the graph.
        prepare: creates the graph's constraints; called before the first event is merged.
        outlet: acknowledges for the projector's group.
        patience: waits for servers that are away.
        max_deliveries: tries of an entry alone after which it is poison.
    """

    def __init__(
        self,
        *,
        projector: Projector,
        prepare: Callable[[], Awaitable[None]],
        outlet: Outlet,
        patience: Patience,
        max_deliveries: int,
    ) -> None:
        self._projector = projector
        self._prepare = prepare
        self._prepared = False
        self._outlet = outlet
        self._patience = patience
        self._max_deliveries = max_deliveries
        self._turn = asyncio.Lock()
        self._held: set[str] = set()

    def holds(self, entry_id: str) -> bool:
        """Whether the entry is on its way here."""
        return entry_id in self._held

    async def submit(self, shard: Shard, batch: RawBatch) -> None:
        """Project a batch and acknowledge it."""
        async with self._turn:
            entries = [entry for entry in batch if entry.entry_id not in self._held]
            self._held = {entry.entry_id for entry in entries}
            try:
                await self._project(shard, entries)
            finally:
                self._held = set()

    async def _project(self, shard: Shard, entries: list[RawEntry]) -> None:
        events: list[Judged] = []
        refused: list[tuple[RawEntry, Refused]] = []
        for entry in entries:
            try:
                event = MasteryChanged.model_validate_json(entry.fields.get(_FIELD, b""))
            except ValidationError as error:
                refused.append((entry, _invalid(error)))
            else:
                events.append((entry, event))
        refused += await self._merge(events)
        away = {entry.entry_id for entry, _ in refused}
        settled = [Settled(entry.entry_id, []) for entry, _ in events if entry.entry_id not in away]
        settled += await self._rejected(shard, refused)
        await self._patience.until_answered(
            # The entries come from the mastery stream, and nothing follows from them there.
            lambda: self._outlet.publish(
                Shard(shard.mastery, shard.mastery, shard.rejected), settled
            )
        )

    async def _merge(self, events: list[Judged]) -> list[tuple[RawEntry, Refused]]:
        """Merge a batch; if something unexpected happens, each event alone."""
        if not events:
            return []
        try:
            await self._until_merged(events)
        except (Fatal, Unavailable):
            raise
        except Exception as error:  # noqa: BLE001  # only its own event pays for it
            _log.warning("projection_failed", events=len(events), error=type(error).__name__)
        else:
            return []
        failed = [await self._merge_alone(one) for one in events]
        return [one for one in failed if one is not None]

    async def _merge_alone(self, one: Judged) -> tuple[RawEntry, Refused] | None:
        reason = ""
        for _ in range(self._max_deliveries):
            try:
                await self._until_merged([one])
            except (Fatal, Unavailable):
                raise
            except Exception as error:  # noqa: BLE001  # named in the rejection
                reason = type(error).__name__
            else:
                return None
        return one[0], Refused(
            RejectionCode.POISON,
            f"the event failed {self._max_deliveries} times when projected alone ({reason})",
        )

    async def _until_merged(self, events: list[Judged]) -> None:
        if not self._prepared:
            await self._patience.until_answered(self._prepare)
            self._prepared = True
        await self._patience.until_answered(
            lambda: self._projector.project([event for _, event in events])
        )

    async def _rejected(
        self, shard: Shard, refused: list[tuple[RawEntry, Refused]]
    ) -> list[Settled]:
        if not refused:
            return []
        deliveries = await self._patience.until_answered(
            lambda: self._outlet.deliveries(shard.mastery, [e.entry_id for e, _ in refused])
        )
        settled = []
        for entry, refusal in refused:
            _log.warning("mastery_event_rejected", stream=shard.mastery, entry_id=entry.entry_id)
            event = rejection_event(
                shard.mastery, entry, refusal, deliveries[entry.entry_id], datetime.now(UTC)
            )
            settled.append(Settled(entry.entry_id, [event], rejected=True))
        return settled


def _invalid(error: ValidationError) -> Refused:
    first = error.errors(include_url=False, include_input=False)[0]
    field = ".".join(map(str, first["loc"])) or EVENT_FIELD
    return Refused(RejectionCode.INVALID, f"{field}: {first['msg']}", field)
