"""Ask for the jobs that are due, once each, however many workers run."""

from typing import Any, Final

import structlog
from redis.asyncio import Redis

from contracts.streams import JOBS
from workers.common.errors import Refused, Unavailable
from workers.common.jitter import jittered_sleep
from workers.operations.jobs.records import JobRecords
from workers.operations.jobs.schedule import Schedule, Slot
from workers.streams.poison import described
from workers.streams.redis_clock import redis_now_ms
from workers.streams.redis_errors import redis_errors

_log = structlog.get_logger(__name__)

_PERIOD_S: Final = 5.0
# The braces put it into the slot of the stream in a Redis Cluster.
_KEY: Final = f"{{{JOBS}}}:schedule"
"""A hash from expression, kind and tenant to the latest slot that is done, milliseconds."""


class Scheduler:
    """Publishes requests at the times of a schedule, by Redis's clock.

    Of the slots that passed while no worker ran only the latest is caught up. A new expression
    begins with its next slot.

    Args:
        schedule: the times at which jobs are due.
        records: the records of jobs.
        client: a connection to the Redis of the streams.
        period_s: the longest time between two looks, seconds.
    """

    def __init__(
        self,
        *,
        schedule: Schedule,
        records: JobRecords,
        client: Redis,
        period_s: float = _PERIOD_S,
    ) -> None:
        self._schedule = schedule
        self._records = records
        self._client = client
        self._period_s = period_s
        self._failing: str | None = None

    async def run(self) -> None:
        """Look for ever; a failure is logged once and tried again."""
        while self._schedule.expressions:
            try:
                await self.look()
                self._failing = None
            except Unavailable:
                pass  # the readers of the streams report it; the next look waits for it
            except Exception as error:  # noqa: BLE001  # the next look may succeed
                if self._failing != described(error):
                    self._failing = described(error)
                    _log.warning("schedule_failed", error=self._failing)
            # Workers started together should not all look at the same time.
            await jittered_sleep(self._period_s)

    async def look(self) -> list[Slot]:
        """Ask for the jobs that are due and not asked for yet.

        Returns:
            The slots that were asked for.

        Raises:
            RedisUnavailable: try again; no job is asked for twice.
        """
        now_ms = await redis_now_ms(self._client)
        with redis_errors():
            seen: Any = await self._client.hgetall(_KEY)
        asked = []
        for slot in self._schedule.latest(now_ms):
            name = f"{self._schedule.expressions[slot.kind]} {slot.kind} {slot.tenant_id}"
            known = seen.get(name.encode())
            if known is not None and int(known) >= slot.at_ms:
                continue
            if known is not None and await self._ask(slot, now_ms):
                asked.append(slot)
            # Last: if the process ends before this, the next look finds the job there.
            with redis_errors():
                await self._client.hset(_KEY, name, str(slot.at_ms))
        return asked

    async def _ask(self, slot: Slot, now_ms: int) -> bool:
        if not self._schedule.in_time(slot, now_ms):
            _log.warning("schedule_missed", kind=slot.kind, tenant_id=slot.tenant_id)
            return False
        try:
            record = await self._records.open(slot.job, self._schedule.event(slot))
        except Refused as refusal:
            _log.warning("schedule_refused", kind=slot.kind, reason=refusal.reason)
            return False
        _log.info("job_scheduled", kind=slot.kind, job_id=record.key.job_id)
        return True
