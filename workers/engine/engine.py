"""Run batches side by side: in order, within bounds, and alone where an entry fails."""

import asyncio
from collections import defaultdict
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Coroutine
from collections.abc import Set as AbstractSet
from contextlib import aclosing, asynccontextmanager
from typing import Any, Final

import structlog

from contracts.rejections import RejectionCode
from workers.admission.parking import Parking
from workers.common.errors import Fatal, LedgerTooSlow, Refused, Unavailable
from workers.common.failure import FirstFailure
from workers.common.retrying import Retrying
from workers.common.tasks import end
from workers.engine.learners_order import in_learners_order
from workers.engine.pipeline import Pipeline, Step
from workers.engine.set_aside import SetAside, Waiting
from workers.publishing.settled import Settled
from workers.streams.batch import RawBatch, RawEntry
from workers.streams.poison import EntryActions, PoisonIsolation, described
from workers.streams.redriven import RedriveOrigins
from workers.streams.route import Route

_log = structlog.get_logger(__name__)

_SOON_S: Final = 0.05
_AT_ONCE: Final = 3
"""Batches in flight at once: one is folded, one committed, one published. A fourth would be read
early, so be small, and then wait."""
_ASIDE_AT_ONCE: Final = 2
"""Learners set aside who are processed at once, so that a long log delays the others little."""


class Engine:
    """Takes batches of raw entries, and processes each entry until it is acknowledged.

    Batches overlap: while one is published, the next is committed and a third admitted and folded.
    Each step takes batches in order and one at a time, so that one worker publishes a learner's
    events in the order of their versions. Whatever happens, at most two batches are committed and
    not acknowledged, and have to be repeated.

    Args:
        pipeline: the steps of a batch.
        origins: finds out when the event of a redriven entry was first accepted.
        isolation: finds the entry at fault after an unexpected error.
        retrying: waits for servers that are away.
        clock: asks Redis for the time, milliseconds since 1970; None: each entry is judged as of
            the moment it was added.
        parking: keeps entries whose key is unknown; None: no entry is ever deferred.
        aside: keeps learners whose logs are too long for a batch.
    """

    def __init__(
        self,
        *,
        pipeline: Pipeline,
        origins: RedriveOrigins,
        isolation: PoisonIsolation,
        retrying: Retrying,
        clock: Callable[[], Awaitable[int]] | None = None,
        parking: Parking | None = None,
        aside: SetAside | None = None,
    ) -> None:
        self._pipeline = pipeline
        self._origins = origins
        self._isolation = isolation
        self._retrying = retrying
        self._clock = clock
        self._parking = parking
        self._aside = aside or SetAside()
        self._room_aside = asyncio.Semaphore(_ASIDE_AT_ONCE)
        self._room = asyncio.Semaphore(_AT_ONCE)
        self._alone = asyncio.Lock()
        self._folding_lock = asyncio.Lock()
        self._committing_lock = asyncio.Lock()
        self._publishing_lock = asyncio.Lock()
        self._batches: set[asyncio.Task[None]] = set()
        self._in_flight: defaultdict[str, set[str]] = defaultdict(set)
        self._isolating = 0
        self._failure = FirstFailure("engine_stopped")

    def in_flight(self, stream: str) -> AbstractSet[str]:
        """Return the ids of a stream's entries that are processed here or wait here."""
        in_flight = self._in_flight[stream] | self._aside.held(stream)
        return in_flight if self._parking is None else in_flight | self._parking.parked(stream)

    def busy(self) -> bool:
        """Say if a batch is processed here."""
        return bool(self._batches)

    def unsettled(self) -> bool:
        """Say if a server is away, or came back so lately that others may still wait for it."""
        return self._retrying.unsettled

    def waited_for(self) -> dict[str, str]:
        """Return the reason for each server that is away, by its name."""
        return dict(self._retrying.waiting)

    async def submit(self, route: Route, batch: RawBatch) -> None:
        """Take a batch; return once there is room for the next, not when this one is done."""
        try:
            prepared = await self._retrying.call(lambda: self._prepare(route, batch))
        except Fatal as error:
            self._failure.note(error)
            return
        in_flight = self._in_flight[route.source]
        entries = [e for e in prepared if e.entry_id not in in_flight]
        if not entries:
            return
        in_flight.update(e.entry_id for e in entries)
        batch = batch.part(entries)
        if batch.alone:
            task = self._start(self._isolate(route, batch), route, batch)
            # Not cancelled with its reader: it may be committed already.
            await asyncio.wait({task})
            return
        try:
            await self._room.acquire()
        except asyncio.CancelledError:
            # Never begun: entries that stay in flight could not be claimed again.
            in_flight.difference_update(e.entry_id for e in entries)
            raise
        self._start(self._process_with_others(route, batch), route, batch)

    async def _prepare(self, route: Route, batch: RawBatch) -> list[RawEntry]:
        """Find out what admission needs: keys, the time, and the origins of redriven entries."""
        if self._parking is not None:
            await self._parking.ready(batch)
        if self._clock is not None:
            batch.now_ms = await self._clock()
        return await self._origins.resolve(route.source, batch)

    async def resume(self) -> None:
        """Process entries that wait for keys and learners set aside, until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._work_aside())
            if self._parking is not None:
                group.create_task(self._parking.run(self._resubmit))

    async def _work_aside(self) -> None:
        """Process learners set aside, a few at once."""
        while True:
            await self._room_aside.acquire()
            try:
                waiting = await self._aside.take()
            except asyncio.CancelledError:
                self._room_aside.release()
                raise
            batch = RawBatch(waiting.route.source, waiting.entries())
            self._start(self._process_aside(waiting, batch), waiting.route, batch)

    async def _process_aside(self, waiting: Waiting, batch: RawBatch) -> None:
        """Process a learner set aside beside the batches."""
        try:
            await self._in_turn(self._pipeline.run_aside(waiting))
        except LedgerTooSlow:
            self._aside.put(waiting)
        except (Fatal, Unavailable):
            raise
        except Exception as error:  # noqa: BLE001  # whatever it is, only its own entry pays
            _log.warning("learner_failed", entries=len(batch), error=described(error))
            await self._isolate(waiting.route, batch)
        finally:
            self._aside.done(waiting)
            self._room_aside.release()

    async def _resubmit(self, route: Route, batch: RawBatch) -> None:
        """Take entries that waited, once the batch they came in is done."""
        ids = {entry.entry_id for entry in batch}
        while not ids.isdisjoint(self._in_flight[route.source]):
            tasks = self._batches or {asyncio.create_task(asyncio.sleep(_SOON_S))}
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        await self.submit(route, batch)

    async def settled(self, stream: str) -> None:
        """Return when no entry of a stream is processed here."""
        while self._in_flight[stream]:
            tasks = self._batches or {asyncio.create_task(asyncio.sleep(_SOON_S))}
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)

    def let_go(self, stream: str) -> None:
        """Forget the entries of a stream that wait here: another worker reads it."""
        self._aside.let_go(stream)
        if self._parking is not None:
            self._parking.let_go(stream)

    async def drain(self) -> None:
        """Return when every batch taken is done."""
        while self._batches:
            await asyncio.wait(self._batches)

    async def until_failed(self) -> None:
        """Wait for the error that stops the engine; without one, for ever.

        Raises:
            Exception: that error.
        """
        await self._failure.wait()

    async def abandon(self) -> None:
        """Cancel the batches in flight; their entries stay pending, for any worker."""
        await end(self._batches)

    def _start(
        self, processing: Coroutine[Any, Any, None], route: Route, batch: RawBatch
    ) -> asyncio.Task[None]:
        task = asyncio.create_task(self._guard(processing, route, batch))
        self._batches.add(task)
        task.add_done_callback(self._batches.discard)
        return task

    async def _guard(
        self, processing: Coroutine[Any, Any, None], route: Route, batch: RawBatch
    ) -> None:
        try:
            await processing
        except Exception as error:  # noqa: BLE001  # raised to the worker by `until_failed`
            self._failure.note(error)
        finally:
            self._in_flight[route.source].difference_update(e.entry_id for e in batch)

    async def _process_with_others(self, route: Route, batch: RawBatch) -> None:
        """Process a batch beside others; after an unexpected error, isolate its entries."""
        while True:
            try:
                await self._process(route, batch, beside=True)
            except YieldToEarlierBatch:
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
            await self._isolate(route, batch)
        finally:
            self._isolating -= 1

    async def _process(
        self, route: Route, batch: RawBatch, *, wait_for_ledger: bool = True, beside: bool = False
    ) -> None:
        """Take a batch through the pipeline, each step in its turn.

        Raises:
            YieldToEarlierBatch: an earlier batch failed, and `beside` is True.
        """
        aside = self._aside if beside else None
        run = self._pipeline.run(route, batch, wait_for_ledger=wait_for_ledger, aside=aside)
        await self._in_turn(run, beside=beside)

    async def _in_turn(self, pipeline: AsyncGenerator[Step, None], *, beside: bool = False) -> None:
        """Run steps, each in its turn.

        Raises:
            YieldToEarlierBatch: an earlier batch failed, and `beside` is True.
        """
        folding = OnceLock(self._folding_lock)
        committing = OnceLock(self._committing_lock)
        publishing = OnceLock(self._publishing_lock)
        try:
            async with aclosing(pipeline):
                async for step in pipeline:
                    if step is Step.LOAD:
                        await folding.acquire()
                        continue
                    # Taken before the lock before it is let go, so that batches keep their order.
                    newly_acquired = await committing.acquire()
                    folding.release()
                    if step is Step.PUBLISH:
                        newly_acquired = await publishing.acquire()
                        committing.release()
                    if newly_acquired and beside and self._isolating:
                        raise YieldToEarlierBatch
        finally:
            folding.release()
            committing.release()
            publishing.release()

    async def _isolate(self, route: Route, batch: RawBatch) -> None:
        """Process a batch in which an entry fails, with nothing else in flight."""
        actions = EntryActions(
            together=lambda some: self._process(route, batch.part(some)),
            alone=lambda entry: self._process(route, batch.part([entry]), wait_for_ledger=False),
            reach=self._pipeline.recorder.ping,
            refuse=lambda entry, reason: self._refuse(route, batch, entry, reason),
        )
        async with self._nothing_else():
            # Committed entries have their versions in this order, and are published in it. An
            # entry to be tried alone is not looked at before its try is noted.
            admission = self._pipeline.admission
            entries = batch if batch.alone else in_learners_order(admission, batch)
            await self._isolation.one_by_one(route.source, entries, actions)

    async def _refuse(self, route: Route, batch: RawBatch, entry: RawEntry, reason: str) -> None:
        """Reject an entry as poison."""
        settled = [Settled(entry, refusal=Refused(RejectionCode.POISON, reason))]
        self._pipeline.make_events(route, settled, batch.deliveries)
        await self._pipeline.publish(route, settled)

    @asynccontextmanager
    async def _nothing_else(self) -> AsyncIterator[None]:
        """Take all the room there is."""
        taken = 0
        async with self._alone:
            try:
                while taken < _AT_ONCE:
                    await self._room.acquire()
                    taken += 1
                yield
            finally:
                for _ in range(taken):
                    self._room.release()


class OnceLock:
    """A lock that one batch acquires once, at whichever step needs it first."""

    def __init__(self, lock: asyncio.Lock) -> None:
        self._lock = lock
        self._acquired = False

    async def acquire(self) -> bool:
        """Acquire the lock, if this batch has not; return True if it was acquired now."""
        if self._acquired:
            return False
        await self._lock.acquire()
        self._acquired = True
        return True

    def release(self) -> None:
        """Release the lock, if this batch has it."""
        if self._acquired:
            self._acquired = False
            self._lock.release()


class YieldToEarlierBatch(Exception):
    """An earlier batch has to be processed first."""
