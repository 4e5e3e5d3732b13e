"""Gauges of the lag of each consumer group and of the number of dead letters."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector
from redis.asyncio import Redis
from redis.exceptions import ResponseError

from workers.common.text import text_of
from workers.streams.entry_ids import order
from workers.streams.redis_errors import group_is_missing, redis_errors
from workers.streams.trimming import Bounds


class _Group(NamedTuple):
    stream: str
    group: str
    lag: int | None
    pending: int
    age_s: float


class _Seen(NamedTuple):
    groups: list[_Group]
    lengths: dict[str, int]


class StreamGauges(Collector):
    """Gauges as of the last `refresh`; register it with a registry.

    Every group of a stream is shown, since each of them holds entries back.

    Args:
        client: a client of the server.
        bounds: bounds of the streams with groups.
        dead_letters: streams of rejections.
        others: returns the bounds of streams that come and go.
    """

    def __init__(
        self,
        client: Redis,
        bounds: Sequence[Bounds],
        dead_letters: Sequence[str],
        others: Callable[[], Sequence[Bounds]] = tuple,
    ) -> None:
        self._client = client
        self._own = tuple(bound.stream for bound in bounds)
        self._others = others
        self._retentions_s = {
            bound.stream: bound.retention_ms / 1000
            for bound in bounds
            if bound.retention_ms is not None
        }
        self._dead_letters = tuple(dead_letters)
        self._seen: _Seen | None = None

    async def refresh(self) -> None:
        """Ask Redis, in two round trips.

        Raises:
            RedisUnavailable: Redis is away; the gauges have no values until the next refresh.
            StreamRefused: Redis refuses to answer.
        """
        seen = None
        try:
            seen = await self._look()
        finally:
            # Replace all values in one step: until then a scrape sees the old ones. After a failure
            # or a cancellation there is no value, since an old one would look like a new one.
            self._seen = seen

    async def _look(self) -> _Seen:
        others = (bound.stream for bound in self._others())
        streams = list(dict.fromkeys([*self._own, *others]))
        lengths = list(dict.fromkeys([*streams, *self._dead_letters]))
        with redis_errors():
            pipeline = self._client.pipeline(transaction=False)
            for stream in streams:
                pipeline.xinfo_groups(stream)
            for stream in streams:
                pipeline.xrange(stream, count=1)
            for stream in lengths:
                pipeline.xlen(stream)
            # As `time()`, which redis-py refuses in a pipeline on a Redis Cluster.
            pipeline.execute_command("TIME")
            *answers, (seconds, microseconds) = await _answers(pipeline)
            many = len(streams)
            first = dict(zip(streams, answers[many : 2 * many], strict=True))
            groups = [
                (stream, first[stream], info)
                for stream, infos in zip(streams, answers[:many], strict=True)
                for info in (infos if isinstance(infos, list) else [])
            ]
            group_states = await self._ages(groups, seconds * 1000 + microseconds // 1000)
        return _Seen(group_states, dict(zip(lengths, answers[2 * many :], strict=True)))

    async def _ages(self, groups: list[tuple[str, Any, Any]], now_ms: int) -> list[_Group]:
        """Return each group with the age of its oldest unacknowledged entry."""
        pipeline = self._client.pipeline(transaction=False)
        for stream, first, info in groups:
            # Start at the first entry, since deleted entries may still be pending.
            after = first[0][0] if first else "+"
            pipeline.xpending_range(stream, info["name"], after, "+", 1)
            pipeline.xrange(stream, min=f"({text_of(info['last-delivered-id'])}", count=1)
        answers = await _answers(pipeline) if groups else []
        with_ages = []
        for (stream, _, info), pending, unread in zip(
            groups, answers[::2], answers[1::2], strict=True
        ):
            if isinstance(pending, Exception):
                continue  # deleted in between
            ids = [order(text_of(row["message_id"])) for row in pending]
            ids += [order(text_of(entry_id)) for entry_id, _ in unread]
            age_s = max(0.0, (now_ms - min(ids)[0]) / 1000) if ids else 0.0
            # Redis before 7 has no `lag`, and later ones give none after entries were deleted.
            with_ages.append(
                _Group(stream, text_of(info["name"]), info.get("lag"), info["pending"], age_s)
            )
        return with_ages

    def collect(self) -> Iterable[GaugeMetricFamily]:
        """Return the gauges as of the last refresh."""
        up = GaugeMetricFamily("mastery_streams_up", "Whether Redis answered the last time.")
        up.add_metric([], float(self._seen is not None))
        groups, lengths = self._seen or _Seen([], {})
        lag = _family("lag", "Entries that a group has not read yet; absent if Redis can't tell.")
        pending = _family("pending", "Entries that a group has read and not acknowledged.")
        age = _family(
            "oldest_age_seconds",
            "Since when the oldest entry that a group has not acknowledged is there; 0: none is.",
        )
        for group in groups:
            labels = [group.stream, group.group]
            pending.add_metric(labels, group.pending)
            age.add_metric(labels, group.age_s)
            if group.lag is not None:
                lag.add_metric(labels, group.lag)
        retention = GaugeMetricFamily(
            "mastery_stream_retention_seconds",
            "How long a stream keeps what a group has not acknowledged; absent: for ever.",
            labels=["stream"],
        )
        for stream, retention_s in self._retentions_s.items():
            retention.add_metric([stream], retention_s)
        entries = GaugeMetricFamily(
            "mastery_stream_entries", "Entries of a stream.", labels=["stream"]
        )
        dead = GaugeMetricFamily(
            "mastery_dead_letters", "Rejected entries that wait for a person.", labels=["stream"]
        )
        for stream, length in lengths.items():
            (dead if stream in self._dead_letters else entries).add_metric([stream], length)
        return [up, lag, pending, age, retention, entries, dead]


async def _answers(pipeline: Any) -> list[Any]:
    """Return the answer of each command, or its error if the stream or the group does not exist."""
    answers: list[Any] = await pipeline.execute(raise_on_error=False)
    for answer in answers:
        if isinstance(answer, Exception) and not _missing(answer):
            raise answer
    return answers


def _missing(answer: Exception) -> bool:
    return isinstance(answer, ResponseError) and (
        "no such key" in str(answer) or group_is_missing(answer)
    )


def _family(name: str, text: str) -> GaugeMetricFamily:
    return GaugeMetricFamily(f"mastery_stream_{name}", text, labels=["stream", "group"])
