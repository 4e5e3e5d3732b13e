"""How far behind each consumer group is, and how many dead letters lie there."""

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector
from redis.asyncio import Redis
from redis.exceptions import ResponseError

from workers.intake.redis_errors import redis_errors


class _Group(NamedTuple):
    stream: str
    group: str
    lag: int | None
    pending: int


class StreamGauges(Collector):
    """Gauges as of the last `refresh`; register it with a registry.

    Args:
        client: any client of the server.
        groups: pairs of stream and group.
        dead_letters: streams of rejections.
    """

    def __init__(
        self, client: Redis, groups: Sequence[tuple[str, str]], dead_letters: Sequence[str]
    ) -> None:
        self._client = client
        self._groups = tuple(groups)
        self._dead_letters = tuple(dead_letters)
        self._answered = False
        self._found: list[_Group] = []
        self._lengths: dict[str, int] = {}

    async def refresh(self) -> None:
        """Ask Redis, in one round trip.

        Raises:
            RedisUnavailable: Redis is away; until the next refresh there are no values.
            StreamRefused: Redis refuses to tell.
        """
        # An old number would look like a present one.
        self._answered, self._found, self._lengths = False, [], {}
        streams = list(dict.fromkeys(stream for stream, _ in self._groups))
        lengths = list(dict.fromkeys([*streams, *self._dead_letters]))
        with redis_errors():
            pipeline = self._client.pipeline(transaction=False)
            for stream in streams:
                pipeline.xinfo_groups(stream)
            for stream in lengths:
                pipeline.xlen(stream)
            answers = await pipeline.execute(raise_on_error=False)
            for answer in answers:
                if isinstance(answer, Exception) and not _no_such_key(answer):
                    raise answer
        infos = dict(zip(streams, answers[: len(streams)], strict=True))
        self._found = [g for pair in self._groups if (g := _group(*pair, infos[pair[0]]))]
        self._lengths = dict(zip(lengths, answers[len(streams) :], strict=True))
        self._answered = True

    def collect(self) -> Iterable[GaugeMetricFamily]:
        """The gauges as of the last refresh."""
        up = GaugeMetricFamily("mastery_streams_up", "Whether Redis answered the last time.")
        up.add_metric([], float(self._answered))
        lag = GaugeMetricFamily(
            "mastery_stream_lag",
            "Entries that a group has not read yet; absent where Redis does not know it.",
            labels=["stream", "group"],
        )
        pending = GaugeMetricFamily(
            "mastery_stream_pending",
            "Entries that a group has read and not acknowledged.",
            labels=["stream", "group"],
        )
        for found in self._found:
            labels = [found.stream, found.group]
            pending.add_metric(labels, found.pending)
            if found.lag is not None:
                lag.add_metric(labels, found.lag)
        entries = GaugeMetricFamily(
            "mastery_stream_entries", "Entries of a stream.", labels=["stream"]
        )
        dead = GaugeMetricFamily(
            "mastery_dead_letters", "Rejected entries that wait for a person.", labels=["stream"]
        )
        for stream, length in self._lengths.items():
            (dead if stream in self._dead_letters else entries).add_metric([stream], length)
        return [up, lag, pending, entries, dead]


def _no_such_key(answer: Exception) -> bool:
    return isinstance(answer, ResponseError) and "no such key" in str(answer)


def _group(stream: str, group: str, infos: Any) -> _Group | None:
    if isinstance(infos, Exception):
        return None
    for info in infos:
        name = info["name"]
        if (name.decode() if isinstance(name, bytes) else name) == group:
            # Redis before 7 has no `lag`, and later ones give none after entries were deleted.
            return _Group(stream, group, info.get("lag"), info["pending"])
    return None
