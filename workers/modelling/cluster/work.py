"""The work of a calibration on a Dask cluster."""

from asyncio import CancelledError, gather
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from typing import Any, Final, TypeVar
from uuid import uuid4

from distributed import Client, Future, KilledWorker
from distributed.security import Security
from typing_extensions import override

from workers.common.errors import CalibrationFailed
from workers.common.retrying import Retrying
from workers.estimation.documents import parameters_document
from workers.estimation.learner import LearnerKey
from workers.estimation.parameters import Parameters
from workers.modelling.calibration.facts import Facts
from workers.modelling.calibration.steps import Step
from workers.modelling.calibration.tallies import Tallies
from workers.modelling.calibration_run.work import LogLedger, Share, Work
from workers.modelling.cluster import tasks
from workers.modelling.cluster.address import check_address
from workers.modelling.cluster.tasks import OpenLedger, Partition, Versions
from workers.modelling.judging.predicted import Predicted

_LEARNERS: Final = 2_000
"""Number of learners of a partition of the log."""
_AT_ONCE: Final = 10_000
"""Steps given to the scheduler at once, which knows best how many run side by side."""
_CONNECT_S: Final = 30


Answer = TypeVar("Answer")


@asynccontextmanager
async def cluster_work(
    address: str, ledger: LogLedger, retrying: Retrying, open_ledger: OpenLedger
) -> AsyncIterator[Work]:
    """Connect to a cluster; leaving it ends what still runs and removes the answers from workers.

    Args:
        address: address of the scheduler, ``tls://`` unless it is a loopback one. Certificates are
            those of Dask's own configuration.
        ledger: lists the learners.
        retrying: retries its calls.
        open_ledger: opens the ledger on a worker, by the worker's own settings.

    Raises:
        CalibrationFailed: the address is not safe, or no scheduler answers there.
    """
    check_address(address)
    client = Client(
        address,
        asynchronous=True,
        security=Security(require_encryption=address.startswith("tls:")),
        timeout=_CONNECT_S,
        set_as_default=False,
    )
    try:
        await client
    except (OSError, TypeError, ValueError) as error:
        await client.close()
        # A missing certificate is a TypeError there.
        raise CalibrationFailed(f"no cluster can be reached at {address}: {error}") from error
    async with client:
        work = ClusterWork(client, ledger, retrying, open_ledger)
        try:
            yield work
        finally:
            await work.close()


class ClusterWork(Work):
    """Works on a cluster.

    Args:
        client: connected to the cluster.
        ledger: lists the learners.
        retrying: retries its calls.
        open_ledger: opens the ledger on a worker.
    """

    def __init__(
        self, client: Client, ledger: LogLedger, retrying: Retrying, open_ledger: OpenLedger
    ) -> None:
        self._client = client
        self._ledger = ledger
        self._retrying = retrying
        self._open_ledger = open_ledger
        self._run = uuid4().hex
        self._parts: list[Future] = []
        self._documents: tuple[Any, Any] = ({}, {})

    @property
    @override
    def size(self) -> int:
        return _AT_ONCE

    @override
    async def read(self, until_us: int, on_share: Share) -> Facts:
        partitions = await self._partitions(until_us)
        versions = Versions.here()
        self._parts = [
            self._submit(
                f"read {number}", tasks.read_partition, self._open_ledger, partition, versions
            )
            for number, partition in enumerate(partitions)
        ]
        done = 0

        async def see_through(part: Future) -> None:
            nonlocal done
            # Its answers stay on the worker.
            if await part.exception() is not None:
                await _result(part)
            done += 1
            await on_share(done / len(self._parts))

        await gather(*map(see_through, self._parts))
        return await self._answer("facts", tasks.collect_facts, self._run, self._parts)

    async def _partitions(self, until_us: int) -> list[Partition]:
        partitions: list[Partition] = []
        after: LearnerKey | None = None
        while True:
            keys = await self._retrying.call(
                lambda after=after: self._ledger.learners(after, _LEARNERS)  # type: ignore[misc]
            )
            if not keys:
                return partitions
            partitions.append(Partition(after, keys[-1], until_us))
            after = keys[-1]

    @override
    async def fit(self, model: str, step: Step, needed: Mapping[str, str]) -> str:
        return await self._answer(
            step.name, tasks.fit_step, self._run, self._parts, model, step, dict(needed)
        )

    @override
    async def tallies(self, scale: int) -> Tallies:
        return await self._answer(f"tallies {scale}", tasks.tally, self._run, self._parts, scale)

    @override
    async def compare(self, new: Parameters, present: Parameters) -> None:
        self._documents = (parameters_document(new), parameters_document(present))

    @override
    async def predict(self, span: tuple[int, int]) -> Predicted:
        return await self._answer(
            f"held-out {span[0]}", tasks.predict, self._run, self._parts, self._documents, span
        )

    async def close(self) -> None:
        """Remove the answers from the workers, as far as they can be reached."""
        self._parts = []
        with suppress(OSError, TimeoutError):
            await self._client.run(tasks.forget, self._run, on_error="ignore")

    def _submit(self, name: str, task: Callable[..., Any], *arguments: Any) -> Future:
        # A name of its own each time: versions may be compared more than once.
        key = f"mastery-{name}-{uuid4().hex}"
        return self._client.submit(task, *arguments, key=key, pure=False)

    async def _answer(self, name: str, task: Callable[..., Answer], *arguments: Any) -> Answer:
        answer: Answer = await _result(self._submit(name, task, *arguments))
        return answer


async def _result(future: Future) -> Any:
    """Wait for a result.

    Raises:
        CalibrationFailed: the task failed, or was lost with its worker too often.
    """
    waiting: Awaitable[Any] = future.result()
    try:
        return await waiting
    except KilledWorker as error:
        raise CalibrationFailed(
            f"{error}. Finished steps are kept: give the workers more memory and start again"
        ) from error
    except CancelledError:
        await future.cancel(force=True)
        raise
