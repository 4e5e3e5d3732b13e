"""Publishers of a run on a cluster, and their own record of what was confirmed to them."""

import asyncio
import time
from collections import defaultdict
from collections.abc import Sequence
from typing import Any, Final

from redis.asyncio.cluster import RedisCluster
from redis.exceptions import RedisError

from contracts.client.asyncio.confirming import add_confirmed
from contracts.client.confirmation import Confirmation
from contracts.streams import shard_of, shards
from tests.faults.load import published
from tests.support.whole_run import event_of, simulated_rows
from workers.streams.cluster.client import node_addresses

_AT_ONCE: Final = 25
_AGAIN_S: Final = 0.1


class ClusterLoad:
    """One publisher for each shard, at a steady rate; each repeats what was not confirmed to it.

    Args:
        url: the URL of the cluster.
        responses: number of different responses.
        rate: events a second, of all shards together.
        students: number of students.
        seed: seed of all chance.
        shard_count: number of shards.
        confirmation: what must have an event; None: the server that takes it.

    Attributes:
        rows: the responses.
        confirmed: for each confirmed response its stream and the id of the confirmed entry.
        repeated: number of events published again since nobody confirmed them.
    """

    def __init__(
        self,
        url: str,
        responses: int,
        *,
        rate: float,
        students: int,
        seed: int,
        shard_count: int,
        confirmation: Confirmation | None,
    ) -> None:
        self.rows = simulated_rows(responses, students, seed)
        self.confirmed: dict[tuple[str, str, str], tuple[str, str]] = {}
        self.repeated = 0
        self._url = url
        self._confirmation = confirmation
        self._issued_at = int(time.time())
        self._streams = [shard.responses for shard in shards(shard_count)]
        self._of_shard: defaultdict[int, list[dict[str, Any]]] = defaultdict(list)
        entries = published(self.rows, seed)
        for row in entries:
            shard = shard_of(row["tenant_id"], row["student_id"], shard_count)
            self._of_shard[shard].append(row)
        self.total = len(entries)
        self._rates = {k: rate * len(own) / self.total for k, own in self._of_shard.items()}

    async def run(self) -> None:
        """Publish everything until all of it is confirmed."""
        await asyncio.gather(*(self._publish(k, rows) for k, rows in self._of_shard.items()))

    async def _publish(self, shard: int, rows: Sequence[dict[str, Any]]) -> None:
        (host, port), *_ = node_addresses(self._url)
        client = RedisCluster(host=host, port=port, socket_timeout=2, require_full_coverage=False)
        async with client:
            began, done = time.monotonic(), 0
            while done < len(rows):
                some = rows[done : done + _AT_ONCE]
                while not await self._added(client, self._streams[shard], some):
                    self.repeated += len(some)
                    await asyncio.sleep(_AGAIN_S)
                done += len(some)
                await asyncio.sleep(began + done / self._rates[shard] - time.monotonic())

    async def _added(self, client: Any, stream: str, rows: Sequence[dict[str, Any]]) -> bool:
        each = [{"event": event_of(row, self._issued_at)} for row in rows]
        try:
            if self._confirmation is not None:
                ids = await add_confirmed(client, stream, each, self._confirmation)
            else:
                async with client.pipeline(transaction=False) as pipeline:
                    for fields in each:
                        pipeline.xadd(stream, fields)
                    ids = await pipeline.execute()
        except (RedisError, OSError):
            return False
        for row, entry_id in zip(rows, ids, strict=True):
            name = (row["tenant_id"], row["student_id"], row["response_id"])
            self.confirmed[name] = (stream, entry_id.decode())
        return True
