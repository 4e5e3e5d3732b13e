"""One batch's way through the engine: admission, ledger, fold, ledger, outlet; never back."""

import asyncio
import logging
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Sequence
from collections.abc import Set as AbstractSet
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any, Final

import structlog

from contracts.rejections import RejectionCode
from contracts.streams import Shard
from workers.admission.admission import Admission
from workers.admission.parking import Parking
from workers.admission.verdicts import Admitted, Deferred, Rejection
from workers.common.errors import Fatal, Refused, Unavailable
from workers.common.retrying import Patience
from workers.common.tasks import end
from workers.engine.entry_log import names_of, tell
from workers.engine.once_lock import Turn
from workers.engine.recorder import Recorder, Result
from workers.metrics.meter import Meter
from workers.publishing.mastery_events import rejection_event
from workers.publishing.publisher import Outlet, Settled
from workers.streams.batch import RawBatch, RawEntry
from workers.streams.poison import EntryActions, PoisonIsolation, described
from workers.streams.redriven import Acceptances

_log = structlog.get_logger(__name__)

_SOON_S: Final = 0.05
_IN_FLIGHT: Final = 3
"""Batches on their way at once: one admitted, one in the ledger, one in the outlet."""


class Engine:
    """Takes batches of raw entries and sees each entry through to its acknowledgement.

    Batches overlap: while one is in the outlet, the next is in the ledger and a third is being
    admitted. Each stage is passed in order and by one batch at a time, so that one worker
    publishes a learner's events in the order of their versions. A batch is committed only when
    the one before it is acknowledged: whatever happens, one batch at most has to be repeated.

    Args:
        admission: judges each entry.
        acceptances: knows when the event of a redriven entry was first accepted.
        recorder: sees the admitted ones into the ledger.
        outlet: acknowledges and publishes.
        isolation: finds the entry at fault where something unexpected happens.
        patience: waits for servers that are away.
        meter: counts.
        clock: asks Redis what time it is, milliseconds since 1970; None: each entry is judged as of
            the moment at which it was added.
        parking: where entries wait whose key is not known; None where none ever is.
    """

    def __init__(
        self,
        *,
        admission: Admission,
        acceptances: Acceptances,
        recorder: Recorder,
        outlet: Outlet,
        isolation: PoisonIsolation,
        patience: Patience,
        meter: Meter,
        clock: Callable[[], Awaitable[int]] | None = None,
        parking: Parking | None = None,
    ) -> None:
        self._admission = admission
        self._acceptances = acceptances
        self._recorder = recorder
        self._outlet = outlet
        self._isolation = isolation
        self._patience = patience
        self._meter = meter
        self._clock = clock
        self._parking = parking
        self._room = asyncio.Semaphore(_IN_FLIGHT)
        self._alone = asyncio.Lock()
        self._ledger_turn = asyncio.Lock()
        self._outlet_turn = asyncio.Lock()
        self._batches: set[asyncio.Task[None]] = set()
        self._in_flight: defaultdict[str, set[str]] = defaultdict(set)
        self._isolating = 0
        self._failed = asyncio.Event()
        self._failure: Exception | None = None

    def held(self, stream: str) -> AbstractSet[str]:
        """The entries of a stream that are on their way in this engine, or wait in it for a key."""
        on_their_way = self._in_flight[stream]
        return on_their_way if self._parking is None else on_their_way | self._parking.held(stream)

    def unsettled(self) -> bool:
        """Whether a server is waited for, or came back so lately that others may still wait."""
        return self._patience.unsettled

    def waited_for(self) -> dict[str, str]:
        """Of each server that is waited for, why."""
        return dict(self._patience.waiting)

    async def submit(self, shard: Shard, batch: RawBatch) -> None:
        """Take a batch; returns once there is room for the next, not when it is done."""
        try:
            recalled = await self._patience.until_answered(lambda: self._taken_up(shard, batch))
        except Fatal as error:
            self._fail(error)
            return
        held = self._in_flight[shard.responses]
        entries = [e for e in recalled if e.entry_id not in held]
        if not entries:
            return
        held.update(e.entry_id for e in entries)
        batch = batch.part(entries)
        if batch.alone:
            task = self._start(self._isolate(shard, batch), shard, batch)
            # Not cancelled with its reader: it may be committed already.
            await asyncio.wait({task})
            return
        try:
            await self._room.acquire()
        except asyncio.CancelledError:
            # Never begun: held for ever, they could not be claimed again.
            held.difference_update(e.entry_id for e in entries)
            raise
        self._start(self._advance(shard, batch), shard, batch)

    async def _taken_up(self, shard: Shard, batch: RawBatch) -> list[RawEntry]:
        """What has to be known of a batch before it is judged."""
        if self._parking is not None:
            await self._parking.ready(batch)
        if self._clock is not None:
            batch.now_ms = await self._clock()
        return await self._acceptances.recall(shard.responses, batch)

    async def resume(self) -> None:
        """Take up again what waits for keys as they become known, until cancelled."""
        if self._parking is not None:
            await self._parking.run(self._resubmit)

    async def _resubmit(self, shard: Shard, batch: RawBatch) -> None:
        """Take entries that waited, once the batch that they came in is done with."""
        ids = {entry.entry_id for entry in batch}
        while not ids.isdisjoint(self._in_flight[shard.responses]):
            way = self._batches or {asyncio.create_task(asyncio.sleep(_SOON_S))}
            await asyncio.wait(way, return_when=asyncio.FIRST_COMPLETED)
        await self.submit(shard, batch)

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

    def _start(
        self, way: Coroutine[Any, Any, None], shard: Shard, batch: RawBatch
    ) -> asyncio.Task[None]:
        task = asyncio.create_task(self._guard(way, shard, batch))
        self._batches.add(task)
        task.add_done_callback(self._batches.discard)
        return task

    async def _guard(self, way: Coroutine[Any, Any, None], shard: Shard, batch: RawBatch) -> None:
        try:
            await way
        except Exception as error:  # noqa: BLE001  # raised to the worker by `until_failed`
            self._fail(error)
        finally:
            self._in_flight[shard.responses].difference_update(e.entry_id for e in batch)

    def _fail(self, error: Exception) -> None:
        _log.critical("engine_stopped", error=str(error), exc_info=not isinstance(error, Fatal))
        self._failure = error
        self._failed.set()

    async def _advance(self, shard: Shard, batch: RawBatch) -> None:
        """See a batch through beside others; if something unexpected happens, without them."""
        while True:
            try:
                await self._see_through(shard, batch, self._recorder, beside=True)
            except _GiveWay:
                pass
            except (Fatal, Unavailable):
                raise
            except Exception as error:  # noqa: BLE001  # whatever it is, only its own entry pays
                _log.warning("batch_failed", entries=len(batch), error=described(error))
                # The next batch notices before it commits: this one may be committed already.
                self._isolating += 1
                break
            else:
                return
            finally:
                self._room.release()
            async with self._alone:
                await self._room.acquire()
        try:
            await self._isolate(shard, batch)
        finally:
            self._isolating -= 1

    async def _isolate(self, shard: Shard, batch: RawBatch) -> None:
        """See a batch through in which an entry fails, with nothing else on its way."""
        impatient = self._recorder.impatient()

        async def refuse(entry: RawEntry, reason: str) -> None:
            refusal = Refused(RejectionCode.POISON, reason)
            await self._publish(shard, batch, [Result(0, entry, refusal=refusal)])

        attempt = EntryActions(
            together=lambda some: self._see_through(shard, batch.part(some), self._recorder),
            alone=lambda one: self._see_through(shard, batch.part([one]), impatient),
            reach=self._recorder.ping,
            refuse=refuse,
        )
        async with self._nothing_else():
            # What is committed already has its versions in this order, and is published in it. One
            # that is to be tried alone is not looked at before its try is noted.
            ordered = batch if batch.alone else sorted(batch, key=lambda e: self._place(batch, e))
            await self._isolation.one_by_one(shard.responses, ordered, attempt)

    def _place(self, batch: RawBatch, entry: RawEntry) -> tuple[int, str]:
        """An entry's place in its learner's order; what can't be judged comes first."""
        try:
            judged = self._admission.judge(entry, batch.now_ms)
        except Exception:  # noqa: BLE001  # it is told and counted when the entry is tried
            return (0, "")
        return judged.response.position if isinstance(judged, Admitted) else (0, "")

    @asynccontextmanager
    async def _nothing_else(self) -> AsyncIterator[None]:
        """Take all the room there is."""
        taken = 0
        async with self._alone:
            try:
                while taken < _IN_FLIGHT:
                    await self._room.acquire()
                    taken += 1
                yield
            finally:
                for _ in range(taken):
                    self._room.release()

    async def _see_through(
        self, shard: Shard, batch: RawBatch, recorder: Recorder, *, beside: bool = False
    ) -> None:
        self._meter.batch(len(batch))
        with self._meter.stage("admit"):
            judged = [self._admission.judge(entry, batch.now_ms) for entry in batch]
        admitted = [one for one in judged if isinstance(one, Admitted)]
        results = [
            Result(0, one.entry, refusal=one.refusal, event=one.event)
            for one in judged
            if isinstance(one, Rejection)
        ]
        await self._park(shard, [one for one in judged if isinstance(one, Deferred)])
        turn = Turn(self._outlet_turn)

        async def before_commit() -> None:
            if await turn.take() and beside and self._isolating:
                raise _GiveWay

        try:
            async with self._ledger_turn:
                if admitted:
                    results += await recorder.record(shard.responses, admitted, before_commit)
                # Within the ledger's turn, so that batches are published in its order.
                await turn.take()
            await self._publish(shard, batch, results)
        finally:
            turn.give_back()

    async def _park(self, shard: Shard, deferred: Sequence[Deferred]) -> None:
        parking = self._parking
        if deferred and parking is not None:
            await self._patience.until_answered(lambda: parking.park(shard, deferred))

    async def _publish(self, shard: Shard, batch: RawBatch, results: list[Result]) -> None:
        results.sort(key=lambda one: one.version)
        if _log.is_enabled_for(logging.DEBUG):
            tell(shard, results)
        settled = [self._settled(shard, one, batch) for one in results]
        with self._meter.stage("publish"):
            await self._patience.until_answered(lambda: self._outlet.publish(shard, settled))

    def _settled(self, shard: Shard, one: Result, batch: RawBatch) -> Settled:
        entry_id = one.entry.entry_id
        if one.refusal is None:
            return Settled(entry_id, one.events)
        self._meter.rejected(one.refusal.code)
        _log.info(
            "response_rejected",
            code=one.refusal.code.value,
            field=one.refusal.field,
            **names_of(shard, one),
        )
        event = rejection_event(
            shard.responses,
            one.entry,
            one.refusal,
            batch.deliveries.get(entry_id, 1),
            datetime.now(UTC),
        )
        return Settled(entry_id, [event], rejected=True)


class _GiveWay(Exception):
    """A batch before this one has to be seen through first."""
