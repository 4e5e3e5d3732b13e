"""Find the commands that the user in `REDIS_URL` may not run, without changing anything."""

from collections.abc import Iterator
from typing import Any, Final, NamedTuple

from redis.asyncio import Redis
from redis.exceptions import NoPermissionError, ResponseError

from contracts.streams import ENGINE_GROUP, JOBS, JOBS_GROUP, Shard, shards
from workers.streams.leases.lease import lease_key
from workers.streams.leases.roster import ROSTER_KEY
from workers.streams.redis_errors import redis_errors
from workers.streams.redriven import accepted_key
from workers.streams.tries import tries_key

_BAD: Final = "?"
"""Is no entry id, number or option: Redis checks permissions first, and then refuses it."""
_NO_JOB: Final = "job_progress:00000000-0000-0000-0000-000000000000"


class Trial(NamedTuple):
    """A command with arguments that make it fail or read, but never write."""

    command: tuple[str, ...]
    key: str

    def __str__(self) -> str:
        """Name the right, as in ``XADD on practice.mastery.v1``."""
        return f"{self.command[0]} on {self.key}" if self.key else self.command[0]


def trials(shard_count: int) -> Iterator[Trial]:
    """Yield a trial for each right that a worker of all roles needs."""
    yield Trial(("PING",), "")
    yield Trial(("INFO", "server"), "")
    yield Trial(("TIME",), "")
    yield Trial(("EVAL", "return 1", "0"), "")
    yield Trial(("PUBLISH", _NO_JOB, ""), _NO_JOB)
    for shard in shards(shard_count):
        yield from _of_shard(shard)
    yield from _of_group(JOBS, JOBS_GROUP)
    yield _trial("XADD", JOBS, _BAD, "event", "")
    yield _trial("XTRIM", JOBS, "MAXLEN", _BAD)
    yield _trial("HGETALL", f"{{{JOBS}}}:check")
    yield _trial("HGETALL", ROSTER_KEY)
    yield _trial("HGETALL", "practice.keys:check")
    yield _trial("GET", "mastery:http:check")
    yield _trial("SET", "mastery:http:check", "", _BAD)


def _of_shard(shard: Shard) -> Iterator[Trial]:
    for stream in (shard.responses, shard.mastery):
        yield from _of_group(stream, ENGINE_GROUP)
    for stream in (shard.mastery, shard.unlocked, shard.rejected):
        yield _trial("XADD", stream, _BAD, "event", "")
        yield _trial("XRANGE", stream, "-", "+", "COUNT", "1")
    for stream in (shard.responses, shard.mastery, shard.unlocked):
        yield _trial("XTRIM", stream, "MAXLEN", _BAD)
    for key in (tries_key(shard.responses), tries_key(shard.mastery)):
        yield _trial("HINCRBY", key, "check", _BAD)
    yield _trial("HGETALL", accepted_key(shard.responses))
    for notes in (f"{shard.responses}:history", f"{shard.responses}:successors"):
        yield _trial("HMGET", notes, "check")
    lease = lease_key(shard.responses)
    yield _trial("GET", lease)
    yield _trial("SET", lease, "", _BAD)


def _of_group(stream: str, group: str) -> Iterator[Trial]:
    yield Trial(("XGROUP", "CREATE", stream, group, _BAD), stream)
    yield Trial(("XREADGROUP", "GROUP", group, "check", "STREAMS", stream, _BAD), stream)
    yield _trial("XAUTOCLAIM", stream, group, "check", _BAD, "0")
    yield _trial("XPENDING", stream, group, _BAD, "+", "1")
    yield _trial("XACK", stream, group, _BAD)


def _trial(name: str, key: str, *arguments: str) -> Trial:
    return Trial((name, key, *arguments), key)


async def missing_rights(client: Redis, shard_count: int) -> list[str]:
    """List the rights that the client's user lacks, as in ``XADD on practice.mastery.v1``.

    Args:
        client: a client of the Redis of the streams.
        shard_count: `STREAM_SHARDS`.

    Raises:
        RedisUnavailable: Redis is away.
    """
    tried = list(trials(shard_count))
    with redis_errors():
        async with client.pipeline(transaction=False) as pipeline:
            waiting: Any = pipeline
            for trial in tried:
                waiting.execute_command(*trial.command)
            answers = await pipeline.execute(raise_on_error=False)
        for answer in answers:
            if isinstance(answer, Exception) and not isinstance(answer, ResponseError):
                raise answer
    return [
        str(trial)
        for trial, answer in zip(tried, answers, strict=True)
        if isinstance(answer, NoPermissionError)
    ]
