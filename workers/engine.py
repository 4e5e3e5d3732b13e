"""One batch's way through the engine: admission, ledger, fold, ledger, outlet; never back."""

import asyncio
import logging
from datetime import UTC, datetime
from typing import Final

import structlog
from structlog.contextvars import bound_contextvars

from contracts.streams import Shard
from workers.errors import Fatal
from workers.intake.admission import Admission, Admitted, Rejection
from workers.intake.raw_batch import RawBatch, RawEntry
from workers.meter import Meter
from workers.outlet.events import rejection_event
from workers.outlet.outlet import Outlet, Settled
from workers.patience import Patience
from workers.recorder import Recorder, Result
from workers.tasks import end

_log = structlog.get_logger(__name__)

_IN_FLIGHT: Final = 3
"""Batches on their way at once: one admitted, one in the ledger, one in the outlet."""


class Engine:
    """Takes batches of raw entries and sees each entry through to its acknowledgement.

    Batches overlap: while one is in the outlet, the next is in the ledger and a third is being
    admitted. Each stage is passed in order and by one batch at a time, so that one worker
    publishes a learner's events in the order of their versions.

    Args:
        admission: judges each entry.
        recorder: sees the admitted ones into the ledger.
        outlet: acknowledges and publishes.
        patience: waits for Redis while it is away.
        meter: counts.
    """

    def __init__(
        self,
        *,
        admission: Admission,
        recorder: Recorder,
        outlet: Outlet,
        patience: Patience,
        meter: Meter,
    ) -> None:
        self._admission = admission
        self._recorder = recorder
        self._outlet = outlet
        self._patience = patience
        self._meter = meter
        self._room = asyncio.Semaphore(_IN_FLIGHT)
        self._ledger_turn = asyncio.Lock()
        self._outlet_turn = asyncio.Lock()
        self._batches: set[asyncio.Task[None]] = set()
        self._in_flight: set[tuple[str, str]] = set()
        self._failed = asyncio.Event()
        self._failure: Exception | None = None

    def holds(self, stream: str, entry_id: str) -> bool:
        """Whether the entry is on its way in this engine."""
        return (stream, entry_id) in self._in_flight

    async def submit(self, shard: Shard, batch: RawBatch) -> None:
        """Take a batch; returns once there is room for it, not when it is done."""
        entries = [e for e in batch if not self.holds(shard.responses, e.entry_id)]
        if not entries:
            return
        taken = {(shard.responses, e.entry_id) for e in entries}
        self._in_flight |= taken
        try:
            await self._room.acquire()
        except asyncio.CancelledError:
            # Never begun: held for ever, they could not be claimed again.
            self._in_flight -= taken
            raise
        task = asyncio.create_task(self._advance(shard, entries))
        self._batches.add(task)
        task.add_done_callback(self._batches.discard)

    async def drain(self) -> None:
        """Return when every batch taken is done with."""
        while self._batches:
            await asyncio.wait(self._batches)

    async def until_failed(self) -> None:
        """Wait for what stops the engine, and raise it; for ever if nothing does."""
        await self._failed.wait()
        if self._failure is not None:
            raise self._failure

    async def abandon(self) -> None:
        """Give up the batches on their way; their entries stay pending, for any worker."""
        await end(self._batches)

    async def _advance(self, shard: Shard, entries: list[RawEntry]) -> None:
        try:
            self._meter.batch(len(entries))
            with self._meter.stage("admit"):
                judged = [self._admission.judge(entry) for entry in entries]
            admitted = [one for one in judged if isinstance(one, Admitted)]
            results = [
                Result(0, one.entry, refusal=one.refusal, event=one.event)
                for one in judged
                if isinstance(one, Rejection)
            ]
            if admitted:
                async with self._ledger_turn:
                    results += await self._recorder.record(shard.responses, admitted)
            async with self._outlet_turn:
                await self._publish(shard, results)
        except Exception as error:  # noqa: BLE001  # raised to the worker by `until_failed`
            _log.critical("engine_stopped", error=str(error), exc_info=not isinstance(error, Fatal))
            self._failure = error
            self._failed.set()
        finally:
            self._in_flight.difference_update((shard.responses, e.entry_id) for e in entries)
            self._room.release()

    async def _publish(self, shard: Shard, results: list[Result]) -> None:
        refused = [one.entry.entry_id for one in results if one.refusal is not None]
        deliveries = (
            await self._patience.until_answered(
                lambda: self._outlet.deliveries(shard.responses, refused)
            )
            if refused
            else {}
        )
        results.sort(key=lambda one: one.version)
        if _log.is_enabled_for(logging.DEBUG):
            _tell(shard, results)
        settled = [self._settled(shard, one, deliveries) for one in results]
        with self._meter.stage("publish"):
            await self._patience.until_answered(lambda: self._outlet.publish(shard, settled))

    def _settled(self, shard: Shard, one: Result, deliveries: dict[str, int]) -> Settled:
        entry_id = one.entry.entry_id
        if one.refusal is None:
            return Settled(entry_id, one.events)
        self._meter.rejected(one.refusal.code)
        with bound_contextvars(**_names(shard, one)):
            _log.info("response_rejected", code=one.refusal.code.value, field=one.refusal.field)
        event = rejection_event(
            shard.responses, one.entry, one.refusal, deliveries[entry_id], datetime.now(UTC)
        )
        return Settled(entry_id, [event], rejected=True)


def _tell(shard: Shard, results: list[Result]) -> None:
    for one in results:
        with bound_contextvars(**_names(shard, one)):
            _log.debug("response_settled", version=one.version, events=len(one.events))


def _names(shard: Shard, one: Result) -> dict[str, str | None]:
    """What a log line about an entry is found by."""
    names: dict[str, str | None] = {
        "stream": shard.responses,
        "entry_id": one.entry.entry_id,
    }
    if one.event is None:
        return names
    return {
        **names,
        "event_id": one.event.id,
        "correlation_id": one.event.correlationid,
        "tenant_id": one.tenant_id,
        "student_id": one.event.data.response.student_id,
    }
