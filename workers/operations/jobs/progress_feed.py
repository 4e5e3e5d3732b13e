"""Feed watchers with the progress of jobs, by one Redis subscription per process."""

import asyncio
from collections import defaultdict
from collections.abc import AsyncGenerator, Iterator
from contextlib import contextmanager
from typing import Any, Final

import orjson
import structlog
from redis.asyncio import Redis

from workers.common.errors import StreamRefused, Unavailable
from workers.common.tasks import end
from workers.operations.jobs.record import PROGRESS_CHANNEL, JobKey
from workers.operations.jobs.records import JobRecords
from workers.streams.redis_errors import redis_errors

_log = structlog.get_logger(__name__)

_AWAY_S: Final = 1.0
_LOOK_S: Final = 5.0
"""Time between two reads of a record in case a message was lost, seconds."""


class JobWatch:
    """Yields the progress of jobs whenever it changes.

    A channel is named by the job's id alone, and two tenants may choose the same id. A message
    there is therefore only a hint to read one's own record.

    Args:
        client: a connection to the Redis of the streams.
        records: the records of jobs.
    """

    def __init__(self, client: Redis, records: JobRecords) -> None:
        self._client = client
        self._records = records
        self._watching: defaultdict[str, set[asyncio.Event]] = defaultdict(set)
        self._subscription: asyncio.Task[None] | None = None

    async def close(self) -> None:
        """End the subscription."""
        if self._subscription is not None:
            await end([self._subscription])
            self._subscription = None

    async def messages(self, key: JobKey) -> AsyncGenerator[str, None]:
        """Yield the progress of a job as JSON: now, and after each change.

        A slow reader misses changes in between. The feed ends when the job has ended or its record
        is gone.
        """
        said = None
        with self._moved(key.job_id) as moved:
            while True:
                moved.clear()
                try:
                    record = await self._records.find(key)
                except Unavailable:
                    await asyncio.sleep(_AWAY_S)
                    continue
                if record is None:
                    return
                message = orjson.dumps(record.progress_message()).decode()
                if message != said:
                    said = message
                    yield message
                if record.status.finished:
                    return
                try:
                    async with asyncio.timeout(_LOOK_S):
                        await moved.wait()
                except TimeoutError:
                    continue

    @contextmanager
    def _moved(self, job_id: str) -> Iterator[asyncio.Event]:
        if self._subscription is None:
            self._subscription = asyncio.create_task(self._subscribe(), name="job-progress")
        moved = asyncio.Event()
        self._watching[job_id].add(moved)
        try:
            yield moved
        finally:
            self._watching[job_id].discard(moved)
            if not self._watching[job_id]:
                del self._watching[job_id]

    async def _subscribe(self) -> None:
        while True:
            try:
                with redis_errors():
                    await self._listen()
            except (Unavailable, StreamRefused) as error:
                _log.warning("job_progress_waits", reason=str(error))
                await asyncio.sleep(_AWAY_S)

    async def _listen(self) -> None:
        async with self._client.pubsub() as pubsub:
            await pubsub.psubscribe(f"{PROGRESS_CHANNEL}*")
            while True:
                message: Any = await pubsub.get_message(timeout=1.0)
                if message is None:
                    continue
                if message["type"] != "pmessage":
                    # Subscribed again: messages published before were missed.
                    self._wake(*self._watching)
                    continue
                channel = message["channel"].decode(errors="replace")
                self._wake(channel.removeprefix(PROGRESS_CHANNEL))

    def _wake(self, *job_ids: str) -> None:
        for job_id in job_ids:
            for moved in self._watching.get(job_id, ()):
                moved.set()
