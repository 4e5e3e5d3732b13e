"""Names of the streams, and the shard of each learner."""

import zlib
from dataclasses import dataclass

RESPONSES = "practice.responses.v1"
MASTERY = "practice.mastery.v1"
REJECTED = "practice.rejected.v1"
UNLOCKED = "practice.unlocked.v1"
JOBS = "practice.jobs.v1"

JOBS_REJECTED = f"{REJECTED}.{{{JOBS}}}"
"""Rejected jobs on a Redis Cluster, in the slot of the jobs; else the first shard has them."""

EVENT_FIELD = "event"
"""The only field of each entry: a CloudEvent as JSON."""

ENGINE_GROUP = "mastery-engine"
GRAPH_GROUP = "graph-projector"
JOBS_GROUP = "mastery-jobs"


MOST_SHARDS = 1024
"""The largest ``STREAM_SHARDS``."""


@dataclass(frozen=True, slots=True)
class Shard:
    """The streams that one responses stream feeds; in a Redis Cluster they share a slot."""

    responses: str
    mastery: str
    rejected: str
    unlocked: str


def shards(count: int) -> tuple[Shard, ...]:
    """Return all shards: the plain names for ``count`` 0, else ``count`` streams of each kind.

    Args:
        count: ``STREAM_SHARDS``, 0 or more.
    """
    suffixes = [f".{{{k}}}" for k in range(count)] if count else [""]
    return tuple(Shard(RESPONSES + s, MASTERY + s, REJECTED + s, UNLOCKED + s) for s in suffixes)


def other_shards(count: int) -> tuple[Shard, ...]:
    """Return the shards of every other count, whose streams may be left from before a change.

    Args:
        count: ``STREAM_SHARDS``, 0 or more.
    """
    own = frozenset(shards(count))
    return tuple(shard for shard in (*shards(0), *shards(MOST_SHARDS)) if shard not in own)


def shard_of(tenant_id: str, student_id: str, count: int) -> int:
    """Return a learner's shard: CRC-32 (zlib) of ``tenant/student`` modulo ``count``.

    Args:
        tenant_id: the tenant of the verified claims.
        student_id: the student.
        count: ``STREAM_SHARDS``; with 0 there is one shard, number 0.
    """
    return zlib.crc32(f"{tenant_id}/{student_id}".encode()) % count if count else 0
