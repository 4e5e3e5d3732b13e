"""Find the stream of an event and make its entry, for both publishers."""

from collections.abc import Sequence
from dataclasses import dataclass

from contracts.client.replies import text
from contracts.client.routing import (
    DEFAULT_TENANT_CLAIM,
    checked_shards,
    stream_name,
    tenant_of,
)
from contracts.jobs import JobRequested
from contracts.responses import ResponseRecorded
from contracts.streams import EVENT_FIELD, JOBS, RESPONSES, shard_of

Publishable = ResponseRecorded | JobRequested


@dataclass(frozen=True, slots=True)
class Published:
    """Where an event is."""

    stream: str
    entry_id: str


class Routed:
    """Finds the stream of an event.

    Args:
        shards: the engine's ``STREAM_SHARDS``.
        tenant_claim: the engine's ``JWT_TENANT_CLAIM``.
        cluster: True on a Redis Cluster.

    Raises:
        ValueError: `shards` is out of range: on a Redis Cluster it is 1 or more.
    """

    def __init__(
        self,
        shards: int = 0,
        tenant_claim: str = DEFAULT_TENANT_CLAIM,
        *,
        cluster: bool = False,
    ) -> None:
        self._shards = checked_shards(shards, cluster=cluster)
        self._tenant_claim = tenant_claim

    def stream_of(self, event: Publishable) -> str:
        """Return the stream that an event belongs to.

        Raises:
            TypeError: the claim of the tenant is not a string.
        """
        if isinstance(event, JobRequested):
            return JOBS
        data = event.data
        tenant = tenant_of(data.claims.model_dump(), self._tenant_claim)
        shard = shard_of(tenant, data.response.student_id, self._shards)
        return stream_name(RESPONSES, shard, self._shards)


def by_stream(routed: Sequence[tuple[str, object]]) -> dict[str, list[int]]:
    """Return the places of the events of each stream."""
    places: dict[str, list[int]] = {}
    for place, (stream, _) in enumerate(routed):
        places.setdefault(stream, []).append(place)
    return places


def fields_of(event: Publishable) -> dict[str | bytes, str | bytes]:
    """Return the fields of an event's entry."""
    # Unset fields are left out. A claim that is null stays: the engine compares claims and token.
    return {EVENT_FIELD: event.model_dump_json(exclude_unset=True)}


def published(stream: str, entry_id: str | bytes | None) -> Published:
    """Return where an event is, from the answer of XADD."""
    # None only answers NOMKSTREAM, which is not used.
    return Published(stream, text(entry_id or ""))
