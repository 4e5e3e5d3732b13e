"""Ready-made batches: the calls a worker makes for given events, recorded once.

On a database that begins alike, the same calls in the same order give the same versions, so that
they can be made again by a process that neither parses nor estimates.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, cast

import orjson
from redis.asyncio import Redis

from contracts.streams import ENGINE_GROUP
from tests.support.doubles import ROUTE, STREAM, admission, fast_retrying, recorder
from workers.engine.pipeline import Pipeline
from workers.ledger.sql.direct import DirectLedger
from workers.ledger.sql.documents import encoded
from workers.metrics.engine_metrics import EngineMetrics
from workers.publishing.publisher import Publisher
from workers.streams.batch import RawBatch, RawEntry

BATCH_SIZE: Final = 500


@dataclass(frozen=True)
class ReadyBatch:
    """The calls for one batch.

    Args:
        entries: number of its entries.
        commits: documents of `mastery_commit`, as JSON.
        keys: keys of the publishing script.
        publish: arguments of the publishing script.
    """

    entries: int
    commits: list[str]
    keys: list[str]
    publish: list[str]


class _RecordingLedger(DirectLedger):
    def __init__(self, dsn: str) -> None:
        super().__init__(dsn)
        self.commits: list[str] = []

    async def _call(self, function: str, document: dict[str, Any]) -> Any:
        if function == "mastery_commit":
            self.commits.append(encoded(document).decode())
        return await super()._call(function, document)


class _RecordingRedis:
    """Stands for a client whose only script is the publishing one."""

    def __init__(self) -> None:
        self.calls: list[tuple[list[str], list[str]]] = []

    def register_script(self, _: str) -> Any:
        async def script(keys: list[str], args: list[str | bytes | int]) -> int:
            texts = [a.decode() if isinstance(a, bytes) else str(a) for a in args]
            self.calls.append((keys, texts))
            return 0

        return script


async def ready_batches(
    dsn: str, chunks: Sequence[Sequence[tuple[str, bytes]]]
) -> list[ReadyBatch]:
    """Process events on an empty database, and return the calls.

    Args:
        dsn: the database.
        chunks: ids and events of entries; no batch spans two chunks.
    """
    ledger, redis = _RecordingLedger(dsn), _RecordingRedis()
    pipeline = Pipeline(
        admission=admission(),
        recorder=recorder(ledger),
        publisher=Publisher(cast("Redis", redis), ENGINE_GROUP),
        retrying=fast_retrying(),
        meter=EngineMetrics("0"),
    )
    batches = []
    try:
        for chunk in chunks:
            for start in range(0, len(chunk), BATCH_SIZE):
                part = chunk[start : start + BATCH_SIZE]
                entries = [RawEntry(entry_id, {b"event": event}) for entry_id, event in part]
                ledger.commits, redis.calls = [], []
                async for _ in pipeline.run(ROUTE, RawBatch(STREAM, entries)):
                    pass  # no other batch to wait for
                ((keys, arguments),) = redis.calls
                batches.append(ReadyBatch(len(part), ledger.commits, keys, arguments))
    finally:
        await ledger.close()
    return batches


def to_json(batches: Sequence[ReadyBatch]) -> bytes:
    return orjson.dumps(batches)


def from_json(text: bytes) -> list[ReadyBatch]:
    return [ReadyBatch(**fields) for fields in orjson.loads(text)]
